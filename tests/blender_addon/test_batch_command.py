"""`motionlift batch` as users run it: real captures in processes of their own, each keyed on a rig in another."""

from __future__ import annotations

import json
from pathlib import Path

import bpy
import pytest

from lifter.cli import main

from .armatures import build_armature
from .rigs import build_rig

pytest.importorskip("mediapipe")
pytest.importorskip("cv2")


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Two cuts of the demo clip and a file that is no video."""
    from benchmarks.batch import DEMO, write_video
    from lifter.footage import open_footage, read_frames

    pictures = [f.rgb for f in read_frames(open_footage(DEMO), end=1.0)]
    write_video(tmp_path / "shots" / "a" / "walk.mp4", pictures[:8])
    write_video(tmp_path / "shots" / "b" / "walk.mp4", pictures[15:23])
    (tmp_path / "shots" / "bad.mp4").write_bytes(b"no video")
    return tmp_path / "shots"


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    build_armature(build_rig("mixamo")).name = "Hero"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "hero.blend"))
    return tmp_path / "hero.blend"


def test_clips_to_takes_rigs_and_pages(
    shots: Path, rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # children see this very source
    out = tmp_path / "out"
    batch = ["batch", str(shots / "**/*.mp4"), "--rig", f"{rig}:Hero", "--out", str(out), "--export", "fbx"]
    assert main([*batch, "--report", "--height", "1.8", "--jobs", "2"]) == 1
    said = capsys.readouterr().out
    assert "2 of 3 clips are done" in said and "bad.mp4: not a video" in said
    for name in ("a/walk", "b/walk"):
        assert (out / f"{name}.take.npz").stat().st_size > 1000
        assert (out / f"{name}.fbx").stat().st_size > 1000
        assert '"pictures":[[0,' in (out / f"{name}.html").read_text()
    told = json.loads((out / "batch.json").read_text())
    assert told["counts"] == {"clips": 3, "done": 2, "skipped": 0, "failed": 1}
    assert told["settings"]["height"] == 1.8
    sheet = (out / "batch.html").read_text()
    assert sheet.count("data:image/jpeg;base64,") == 2 and "a/walk.fbx" in sheet

    assert main([*batch, "--report", "--height", "1.8"]) == 1
    assert "2 of 3 clips are done (2 were before)" in capsys.readouterr().out
    before = (out / "a/walk.take.npz").stat().st_mtime_ns
    assert main([*batch, "--report", "--height", "1.8", "--mirror"]) == 1
    assert "2 of 3 clips are done;" in capsys.readouterr().out
    assert (out / "a/walk.take.npz").stat().st_mtime_ns == before, "mirroring captured it again"


def test_bad_input_is_one_line(shots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "out")]
    for words, said in (
        ([str(tmp_path / "no/*.mp4")], "No clip was found"),
        ([str(shots), "--rig", "no.blend"], "cannot be read"),
        ([str(shots), "--height", "170"], "tall"),
        ([str(shots), "--checkpoint", "no.onnx"], "no.onnx: cannot be read"),
    ):
        assert main(["batch", *words, *out]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("motionlift: ") and said in line
    assert not (tmp_path / "out" / "batch.json").exists()
