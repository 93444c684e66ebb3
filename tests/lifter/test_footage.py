from __future__ import annotations

import struct
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

from lifter.errors import MotionliftError
from lifter.footage import frame_rate, open_footage, read_frames


def write_video(path: Path, frames: int = 20, fps: float = 30.0, size: tuple[int, int] = (64, 48)) -> Path:
    """A video whose frame i has the brightness 10 i, with a white top-left corner."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    for i in range(frames):
        picture = np.full((size[1], size[0], 3), 10 * i % 200, np.uint8)
        picture[: size[1] // 4, : size[0] // 4] = 255
        writer.write(picture)
    writer.release()
    return path


def test_every_frame_comes_with_its_time(tmp_path: Path) -> None:
    footage = open_footage(write_video(tmp_path / "a.mp4", 20, 25.0))
    frames = list(read_frames(footage))
    assert (footage.width, footage.height, footage.fps, footage.frame_count) == (64, 48, 25.0, 20)
    assert len(frames) == 20 and frames[0].time == 0
    assert np.allclose([f.time for f in frames], np.arange(20) / 25, atol=2e-3)
    assert all(abs(int(f.rgb[40, 40, 0]) - 10 * i) < 12 for i, f in enumerate(frames))


def test_a_range_is_cut_out(tmp_path: Path) -> None:
    footage = open_footage(write_video(tmp_path / "a.mp4", 30, 30.0))
    frames = list(read_frames(footage, 0.2, 0.5))
    assert len(frames) == 9 and frames[0].time == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize(("start", "end"), [(5.0, None), (0.4, 0.2), (-1.0, None)])
def test_an_empty_range_is_refused(tmp_path: Path, start: float, end: float | None) -> None:
    footage = open_footage(write_video(tmp_path / "a.mp4"))
    with pytest.raises(MotionliftError):
        list(read_frames(footage, start, end))


def test_a_phones_rotation_flag_is_honoured(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 16  # version and flags, times and ids, then the matrix
    data[at : at + 36] = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 48 << 16, 0, 0x40000000)  # 90 degrees
    path.write_bytes(bytes(data))
    footage = open_footage(path)
    assert (footage.width, footage.height) == (48, 64)
    first = next(iter(read_frames(footage)))
    assert first.rgb.shape == (64, 48, 3) and first.rgb[4, 44, 0] > 200  # top-left has turned to top-right


def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 20, 30.0)
    data = bytearray(path.read_bytes())
    at = data.index(b"stts")
    count, delta = struct.unpack(">II", data[at + 8 + 4 : at + 8 + 12])
    assert count == 20
    # All frames last longer: the time table is true, the rate in the header is not asked.
    data[at + 16 : at + 20] = struct.pack(">I", 2 * delta)
    path.write_bytes(bytes(data))
    footage = open_footage(path)
    times = [f.time for f in read_frames(footage)]
    assert footage.fps == pytest.approx(15, rel=0.05)
    assert np.allclose(np.diff(times), 1 / 15, atol=2e-3)


def test_frame_rates() -> None:
    assert frame_rate([i / 29.97 for i in range(100)], 29.97) == 29.97
    assert frame_rate(np.cumsum([0.03, 0.05] * 50).tolist(), 30.0) == pytest.approx(25, rel=0.02)
    assert frame_rate([0.0], 24.0) == 24.0
    assert frame_rate([0.0], float("nan")) == 30.0


def test_image_sequences(tmp_path: Path) -> None:
    for i in range(8, 12):
        cv2.imwrite(str(tmp_path / f"shot.{i:04d}.png"), np.full((20, 30, 3), i * 10, np.uint8))
    for path in (tmp_path, tmp_path / "shot.%04d.png"):
        frames = list(read_frames(open_footage(path, fps=24)))
        assert [int(f.rgb[0, 0, 0]) for f in frames] == [80, 90, 100, 110]
        assert frames[3].time == pytest.approx(3 / 24)


def test_a_truncated_video_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for i in range(40):
        writer.write(np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert 5 < len(list(read_frames(open_footage(path)))) < 40


class TestBadInput:
    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(MotionliftError, match="no such file"):
            open_footage(tmp_path / "none.mp4")

    def test_text_named_mp4(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").write_text("this is no video\n" * 100)
        with pytest.raises(MotionliftError, match="not a video"):
            open_footage(tmp_path / "a.mp4")

    def test_audio_only(self, tmp_path: Path) -> None:
        with wave.open(str(tmp_path / "a.wav"), "wb") as w:
            w.setparams((1, 2, 8000, 0, "NONE", ""))
            w.writeframes(bytes(16000))
        with pytest.raises(MotionliftError, match="no video stream"):
            open_footage(tmp_path / "a.wav")

    def test_zero_frames(self, tmp_path: Path) -> None:
        with pytest.raises(MotionliftError, match=r"frame|video"):
            open_footage(write_video(tmp_path / "a.mp4", 0))

    def test_an_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").touch()
        with pytest.raises(MotionliftError, match="not a video"):
            open_footage(tmp_path / "a.mp4")

    def test_empty_folder_and_pattern_without_match(self, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "x%04d.png", tmp_path / "no" / "x%04d.png"):
            with pytest.raises(MotionliftError, match="image"):
                open_footage(path)

    def test_images_that_are_none_and_of_different_sizes(self, tmp_path: Path) -> None:
        (tmp_path / "1.png").write_bytes(b"nothing")
        with pytest.raises(MotionliftError, match="not an image"):
            open_footage(tmp_path)
        cv2.imwrite(str(tmp_path / "1.png"), np.zeros((20, 30, 3), np.uint8))
        cv2.imwrite(str(tmp_path / "2.png"), np.zeros((21, 30, 3), np.uint8))
        with pytest.raises(MotionliftError, match="one size"):
            list(read_frames(open_footage(tmp_path)))
