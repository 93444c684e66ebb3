"""Bad input gives exit code 2, one line that names cause and remedy, and no file; the demo clip runs through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import wave
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from lifter.cli import main
from lifter.detect.models import pose_model
from lifter.errors import MotionliftError
from lifter.take import GAP, load_take

DEMO = Path(__file__).parents[2] / "lifter" / "demo" / "demo.mp4"


@pytest.fixture(scope="session")
def detector() -> None:
    try:
        pose_model()
    except MotionliftError as error:
        pytest.skip(f"needs the pose model: {error}")


def fails(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: str) -> str:
    """Run a command that must fail cleanly; returns its line of complaint."""
    before = sorted(tmp_path.rglob("*"))
    assert main(list(arguments)) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and said[0].startswith("motionlift: "), said
    assert sorted(tmp_path.rglob("*")) == before, "something was written"
    return said[0]


def still_video(path: Path, frames: int = 6) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (320, 240))
    for _ in range(frames):
        writer.write(np.full((240, 320, 3), 90, np.uint8))
    writer.release()
    return path


class TestBadInput:
    def test_no_such_file(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        assert "no such file" in fails(
            capsys, tmp_path, "capture", str(tmp_path / "x.mp4"), "-o", str(tmp_path / "x.take.npz")
        )

    def test_text_named_mp4(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        (tmp_path / "x.mp4").write_text("no video")
        assert "not a video" in fails(
            capsys, tmp_path, "capture", str(tmp_path / "x.mp4"), "-o", str(tmp_path / "x.take.npz")
        )

    def test_audio_only(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        with wave.open(str(tmp_path / "x.wav"), "wb") as w:
            w.setparams((1, 2, 8000, 0, "NONE", ""))
            w.writeframes(bytes(16000))
        assert "audio only" in fails(
            capsys, tmp_path, "capture", str(tmp_path / "x.wav"), "-o", str(tmp_path / "x.take.npz")
        )

    def test_zero_frames(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        still_video(tmp_path / "x.mp4", 0)
        fails(capsys, tmp_path, "capture", str(tmp_path / "x.mp4"), "-o", str(tmp_path / "x.take.npz"))

    def test_nobody_in_the_picture(self, detector: None, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        still_video(tmp_path / "x.mp4")
        assert "nobody" in fails(
            capsys, tmp_path, "capture", str(tmp_path / "x.mp4"), "-o", str(tmp_path / "x.take.npz")
        )

    def test_unwritable_output(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        still_video(tmp_path / "x.mp4")
        assert "no such folder" in fails(
            capsys, tmp_path, "capture", str(tmp_path / "x.mp4"), "-o", str(tmp_path / "no" / "x.take.npz")
        )
        assert "cannot be written" in fails(capsys, tmp_path, "capture", str(tmp_path / "x.mp4"), "-o", str(tmp_path))

    def test_a_bad_range_lens_and_height(
        self, detector: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        clip, out = str(still_video(tmp_path / "x.mp4")), str(tmp_path / "x.take.npz")
        assert "long" in fails(capsys, tmp_path, "capture", clip, "-o", out, "--start", "9")
        assert "focal length" in fails(capsys, tmp_path, "capture", clip, "-o", out, "--focal", "-3")
        assert "tall" in fails(capsys, tmp_path, "capture", clip, "-o", out, "--height", "170")

    def test_a_truncated_take(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        pytest.importorskip("bpy")
        (tmp_path / "x.take.npz").write_bytes(b"PK\x03\x04 cut short")
        assert "damaged" in fails(
            capsys, tmp_path, "animate", str(tmp_path / "x.take.npz"), "-o", str(tmp_path / "x.blend")
        )


def test_the_demo_clip_from_video_to_take(detector: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capture", str(DEMO), "-o", str(tmp_path / "d.take.npz"), "--height", "1.78", "--end", "2"]) == 0
    take = load_take(tmp_path / "d.take.npz")
    assert len(take.people) == 1 and (take.people[0].state != GAP).all()
    assert "person 1" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [tmp_path / "d.take.npz"]


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")
def test_ctrl_c_leaves_nothing_half_written(detector: None, tmp_path: Path) -> None:
    import pty  # POSIX alone has it

    ours, theirs = pty.openpty()  # progress is drawn for a terminal: it says when the work is under way
    process = subprocess.Popen(
        [sys.executable, "-m", "lifter.cli", "capture", str(DEMO), "-o", str(tmp_path / "d.take.npz")],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while b"detect" not in said:
        said += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    with suppress(OSError):  # how Linux says that the other side has closed
        while more := os.read(ours, 4096):
            said += more
    os.close(ours)
    assert process.wait(timeout=600) == 130 and b"nothing was written" in said
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) in (0, 2)
    said = capsys.readouterr().out
    assert "mediapipe" in said and "body" in said and "onnxruntime" in said


def test_a_broken_package_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "scipy.py").write_text("raise ImportError('broken on purpose')")
    done = subprocess.run(
        [sys.executable, "-m", "lifter.cli", "capture", str(DEMO), "-o", str(tmp_path / "d.take.npz")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=DEMO.parents[2],
    )
    assert done.returncode == 2 and "broken on purpose" in done.stderr and "motionlift doctor" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
