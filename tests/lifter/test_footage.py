from __future__ import annotations

import itertools
import struct
import sys
import wave
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest

import lifter.footage
from lifter.errors import MotionliftError
from lifter.footage import frame_rate, next_time, open_footage, read_frames


def write_video(path: Path, frames: int = 20, fps: float = 30.0, size: tuple[int, int] = (64, 48)) -> Path:
    """A video whose frame i has the brightness 10 i, with a white top-left corner."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    for i in range(frames):
        picture = np.full((size[1], size[0], 3), 10 * i % 200, np.uint8)
        picture[: size[1] // 4, : size[0] // 4] = 255
        writer.write(picture)
    writer.release()
    return path


def write_noise(path: Path, codec: str, frames: int = 60) -> Path:
    """Noise does not compress: every frame takes its share of the file."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 30, (64, 48))
    for i in range(frames):
        writer.write(np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    return path


def set_durations(path: Path, runs: list[tuple[int, float]]) -> None:
    """Rewrite an MP4's time table (stts): so many frames of so many seconds each, and so on."""
    data = bytearray(path.read_bytes())
    at = data.index(b"mdhd") + 4
    timescale = struct.unpack(">I", data[at + 12 : at + 16])[0]
    at = data.index(b"stts")
    old = struct.unpack(">I", data[at - 4 : at])[0]
    entries = b"".join(struct.pack(">II", n, round(s * timescale)) for n, s in runs)
    table = struct.pack(">II", 0, len(runs)) + entries
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):  # all that it lies in grow with it
        start = data.index(box) - 4
        size = struct.unpack(">I", data[start : start + 4])[0]
        data[start : start + 4] = struct.pack(">I", size + 8 + len(table) - old)
    data[at - 4 : at - 4 + old] = struct.pack(">I", 8 + len(table)) + b"stts" + table
    at = data.index(b"edts")
    data[at : at + 4] = b"free"  # the edit list, which would cut the clip to its old length
    path.write_bytes(bytes(data))


def times_of(path: Path) -> list[float]:
    return [f.time for f in read_frames(open_footage(path))]


class TestVideo:
    def test_every_frame_comes_with_its_time(self, tmp_path: Path) -> None:
        footage = open_footage(write_video(tmp_path / "a.mp4", 20, 25.0))
        frames = list(read_frames(footage))
        assert (footage.width, footage.height, footage.fps, footage.frame_count) == (64, 48, 25.0, 20)
        assert [f.index for f in frames] == list(range(20)) and frames[0].time == 0
        assert np.allclose([f.time for f in frames], np.arange(20) / 25, atol=1e-6)
        assert all(abs(int(f.rgb[40, 40, 0]) - 10 * i) < 12 for i, f in enumerate(frames))

    def test_colours_are_rgb(self, tmp_path: Path) -> None:
        writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
        writer.write(np.full((48, 64, 3), (20, 60, 200), np.uint8))  # OpenCV writes BGR
        writer.release()
        (frame,) = read_frames(open_footage(tmp_path / "a.avi"))
        assert np.allclose(frame.rgb.mean((0, 1)), (200, 60, 20), atol=6)

    @pytest.mark.parametrize(("name", "codec"), [("a.mkv", "MJPG"), ("a.mov", "mp4v"), ("a.avi", "MJPG")])
    def test_other_containers(self, tmp_path: Path, name: str, codec: str) -> None:
        assert np.allclose(times_of(write_noise(tmp_path / name, codec)), np.arange(60) / 30, atol=1e-3)

    @pytest.mark.parametrize("degrees", [90, 180, 270])
    def test_a_phones_rotation_flag_is_honoured(self, tmp_path: Path, degrees: int) -> None:
        path = write_video(tmp_path / "a.mp4")
        data = bytearray(path.read_bytes())
        at = data.index(b"tkhd") + 4 + 4 + 20 + 16  # version and flags, times and ids, then the matrix
        one, w, h = 0x10000, 64 << 16, 48 << 16
        matrix = {
            90: (0, one, 0, -one, 0, 0, h, 0, 0x40000000),
            180: (-one, 0, 0, 0, -one, 0, w, h, 0x40000000),
            270: (0, -one, 0, one, 0, 0, 0, w, 0x40000000),
        }
        data[at : at + 36] = struct.pack(">9i", *matrix[degrees])
        path.write_bytes(bytes(data))
        footage = open_footage(path)
        size = (64, 48) if degrees == 180 else (48, 64)
        assert (footage.width, footage.height) == size
        rgb = next(iter(read_frames(footage))).rgb
        assert rgb.shape == (size[1], size[0], 3)
        # The white corner, at the top left of what was stored, turns clockwise.
        corner = {90: rgb[4, -4], 180: rgb[-4, -4], 270: rgb[-4, 4]}
        assert corner[degrees][0] > 200 and rgb[4, 4, 0] < 100

    def test_a_variable_frame_rate_keeps_its_times(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", 20, 30.0)
        set_durations(path, [(5, 0.02), (10, 0.05), (5, 0.1)])
        footage = open_footage(path)
        times = [f.time for f in read_frames(footage)]
        assert np.allclose(np.diff(times), [0.02] * 5 + [0.05] * 10 + [0.1] * 4, atol=1e-3)
        assert footage.fps == pytest.approx(19 / 1.0, rel=0.06)
        assert [f.index for f in read_frames(footage, 0.1, 0.2)] == [5, 6]

    @pytest.mark.parametrize(("late", "decoded"), [(None, 30), (5, 61), (29, 61)])
    def test_an_even_rate_is_learnt_from_few_frames(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: int | None, decoded: int
    ) -> None:
        path = write_video(tmp_path / "a.mp4", 60, 30.0)
        if late is not None:
            set_durations(path, [(late - 1, 1 / 30), (1, 0.05), (60 - late, 1 / 30)])
        grabbed: list[bool] = []
        grab = lifter.footage._grab
        monkeypatch.setattr(lifter.footage, "_grab", lambda video: (grabbed.append(True), grab(video))[1])
        assert open_footage(path).fps == pytest.approx(30.0, rel=0.02)
        assert len(grabbed) == decoded

    def test_a_half_open_range_is_cut_out(self, tmp_path: Path) -> None:
        footage = open_footage(write_video(tmp_path / "a.mp4", 30, 30.0))
        assert [f.index for f in read_frames(footage, 0.2, 0.5)] == list(range(6, 15))
        assert [f.index for f in read_frames(footage, end=1 / 30)] == [0]
        assert [f.index for f in read_frames(footage, start=28 / 30)] == [28, 29]
        # Ranges that touch share no frame and lose none.
        cut = [0, 0.11, 0.25, 0.7, 2]
        parts = [f.index for a, b in itertools.pairwise(cut) for f in read_frames(footage, a, b)]
        assert parts == list(range(30))

    def test_one_frame_at_a_time_is_held(self, tmp_path: Path) -> None:
        seen: list[weakref.ref[np.ndarray]] = []
        for frame in read_frames(open_footage(write_video(tmp_path / "a.mp4"))):
            seen.append(weakref.ref(frame.rgb))
            assert sum(r() is not None for r in seen) <= 2

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
    def test_the_file_is_closed_with_the_generator(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4")

        def is_open() -> bool:
            return any(link.exists() and link.resolve() == path for link in Path("/proc/self/fd").iterdir())

        frames = read_frames(open_footage(path))
        next(frames)
        assert is_open()
        frames.close()
        assert not is_open()


class TestDamage:
    def test_damaged_frames_are_skipped_and_the_others_keep_their_times(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = write_noise(tmp_path / "a.mp4", "mp4v")
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 12000] = bytes(12000)
        path.write_bytes(bytes(data))
        frames = np.array(times_of(path)) * 30
        assert 40 <= len(frames) < 60 and frames[-1] == pytest.approx(59, abs=0.01)
        assert np.allclose(frames, np.round(frames), atol=0.01) and (np.diff(frames) > 0.5).all()
        said = capfd.readouterr()
        assert said.out == said.err == ""

    @pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mkv", "mp4v")])
    def test_a_truncated_video_gives_what_it_has(self, tmp_path: Path, name: str, codec: str) -> None:
        path = write_noise(tmp_path / name, codec)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        times = times_of(path)
        assert 10 < len(times) < 40 and np.allclose(times, np.arange(len(times)) / 30, atol=1e-3)

    def test_timestamps_that_cannot_be_believed(self) -> None:
        assert next_time(0.5, 0.4, 30) == 0.5
        for stamp in (0.0, 0.4, 0.3, float("nan"), 4000.0):  # none, twice, back, undefined, a wild one
            assert next_time(stamp, 0.4, 30) == pytest.approx(0.4 + 1 / 30)

    def test_frame_rates(self) -> None:
        assert frame_rate([i / 29.97 for i in range(100)], 29.97) == 29.97
        assert frame_rate(np.cumsum([0.03, 0.05] * 50).tolist(), 30.0) == pytest.approx(25, rel=0.02)
        assert frame_rate([i / 30 for i in range(100) if not 20 <= i < 40], 30.0) == 30.0  # some are missing
        assert frame_rate([i / 25 for i in range(100)], 1000.0) == pytest.approx(25)  # a time base, not a rate
        for times in ([], [0.0], [0.0] * 50, [0.0, 5.0, 4.0], [0.0, 0.03, 9000.0]):
            assert frame_rate(times, 24.0) == 24.0
            assert frame_rate(times, float("nan")) == 30.0


class TestSequence:
    def write(self, folder: Path, name: str, numbers: list[int]) -> None:
        for i in numbers:
            cv2.imwrite(str(folder / (name % i)), np.full((20, 30, 3), i * 10, np.uint8))

    def test_folder_and_pattern(self, tmp_path: Path) -> None:
        self.write(tmp_path, "shot.%04d.png", [8, 9, 10, 11])
        (tmp_path / "._shot.0008.png").write_bytes(b"what macOS leaves behind")
        for path in (tmp_path, tmp_path / "shot.%04d.png", str(tmp_path / "shot.%d.png")):
            footage = open_footage(path, fps=24)
            frames = list(read_frames(footage))
            assert (footage.width, footage.height, footage.fps, footage.frame_count) == (30, 20, 24, 4)
            assert [int(f.rgb[0, 0, 0]) for f in frames] == [80, 90, 100, 110]
            assert [f.time for f in frames] == pytest.approx([0, 1 / 24, 2 / 24, 3 / 24])
        assert open_footage(tmp_path).fps == 30

    def test_ten_comes_after_nine(self, tmp_path: Path) -> None:
        self.write(tmp_path, "%d.png", [8, 9, 10, 11])
        assert [int(f.rgb[0, 0, 0]) for f in read_frames(open_footage(tmp_path))] == [80, 90, 100, 110]

    def test_missing_and_damaged_images_leave_holes(self, tmp_path: Path) -> None:
        self.write(tmp_path, "%03d.png", [1, 2, 3, 5, 6])
        (tmp_path / "002.png").write_bytes(b"nothing")
        (tmp_path / "006.png").write_bytes(b"")
        frames = list(read_frames(open_footage(tmp_path / "%03d.png", fps=10)))
        assert [f.index for f in frames] == [0, 2, 4]
        assert [f.time for f in frames] == pytest.approx([0, 0.2, 0.4])

    def test_a_range(self, tmp_path: Path) -> None:
        self.write(tmp_path, "%03d.png", list(range(20)))
        assert [f.index for f in read_frames(open_footage(tmp_path, fps=10), 0.5, 0.8)] == [5, 6, 7]


class TestBadInput:
    def refused(self, path: Path, match: str) -> None:
        with pytest.raises(MotionliftError, match=match) as caught:
            list(read_frames(open_footage(path)))
        assert "\n" not in str(caught.value)

    def test_no_such_file(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "none.mp4", "no such file")
        self.refused(tmp_path / "no" / "folder" / "x.mp4", "no such file")
        self.refused(tmp_path / "100%.mp4", "no such file")

    def test_a_percent_sign_in_a_files_name(self, tmp_path: Path) -> None:
        assert len(times_of(write_video(tmp_path / "100%d.mp4"))) == 20

    def test_text_named_mp4(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "a.mp4").write_text("this is no video\n" * 100)
        self.refused(tmp_path / "a.mp4", "not a video")
        assert capfd.readouterr().err == ""

    def test_audio_only(self, tmp_path: Path) -> None:
        with wave.open(str(tmp_path / "a.wav"), "wb") as w:
            w.setparams((1, 2, 8000, 0, "NONE", ""))
            w.writeframes(bytes(16000))
        self.refused(tmp_path / "a.wav", "no video stream.*audio only")

    def test_a_recording_without_its_index(self, tmp_path: Path) -> None:
        path = write_noise(tmp_path / "a.mp4", "mp4v")
        path.write_bytes(path.read_bytes()[:50000])
        self.refused(path, "cut short")

    def test_zero_frames(self, tmp_path: Path) -> None:
        self.refused(write_video(tmp_path / "a.mp4", 0), r"frame|video")

    def test_frames_none_of_which_decodes(self, tmp_path: Path) -> None:
        path = write_noise(tmp_path / "a.mp4", "mp4v")
        data = bytearray(path.read_bytes())
        begin, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
        data[begin:end] = bytes(end - begin)
        path.write_bytes(bytes(data))
        self.refused(path, "without a single frame")

    def test_an_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").touch()
        self.refused(tmp_path / "a.mp4", "empty")

    def test_one_image(self, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 30, 3), np.uint8))
        self.refused(tmp_path / "a.png", "one image")

    def test_empty_folder_and_pattern_without_match(self, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "x%04d.png", tmp_path / "no" / "x%04d.png"):
            self.refused(path, "image")

    def test_a_folder_of_images_that_are_none(self, tmp_path: Path) -> None:
        for i in range(3):
            (tmp_path / f"{i}.png").write_bytes(b"nothing")
        self.refused(tmp_path, "none of its 3 images can be read")

    def test_images_of_different_sizes(self, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "1.png"), np.zeros((20, 30, 3), np.uint8))
        cv2.imwrite(str(tmp_path / "2.png"), np.zeros((21, 30, 3), np.uint8))
        self.refused(tmp_path, r"2\.png has 30 x 21 pixels.*30 x 20")

    @pytest.mark.parametrize(("start", "end"), [(0.4, 0.2), (0.3, 0.3), (-1.0, None), (float("nan"), None), (0.1, 0.0)])
    def test_an_impossible_range_is_refused_at_once(
        self, tmp_path: Path, start: float | None, end: float | None
    ) -> None:
        footage = open_footage(write_video(tmp_path / "a.mp4"))
        with pytest.raises(MotionliftError, match="No frames lie"):
            read_frames(footage, start, end)

    def test_a_range_behind_the_end(self, tmp_path: Path) -> None:
        footage = open_footage(write_video(tmp_path / "a.mp4", 45, 30.0))
        for end in (None, 9.0):
            with pytest.raises(MotionliftError, match=r"from 5 s|between 5 s.*clip is 1\.50 s long"):
                list(read_frames(footage, 5.0, end))
        with pytest.raises(MotionliftError, match=r"between 0\.01 s and 0\.02 s"):
            list(read_frames(footage, 0.01, 0.02))

    @pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
    def test_an_impossible_rate(self, tmp_path: Path, fps: float) -> None:
        with pytest.raises(MotionliftError, match="frame rate"):
            open_footage(tmp_path, fps=fps)
