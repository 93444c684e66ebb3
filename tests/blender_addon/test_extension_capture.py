"""Capturing and solving by the operators, in background mode: the whole way, and every bad input of issue 4."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import wave
from collections.abc import Generator
from pathlib import Path
from typing import Any

import bpy
import pytest

from .extension import module, refused
from .make_take import write_take

RANGE = (1, 30)
"""Frames of the demo clip that tests capture: a second of it."""


@pytest.fixture(autouse=True)
def ended(scene: Any) -> Generator[None]:
    yield
    module("capture.jobs").stop_all()


@pytest.fixture
def ready(scene: Any, worker: None, demo_clip: Path, tmp_path: Path) -> Any:
    """A saved file with a second of the demo clip chosen."""
    shutil.copy(demo_clip, tmp_path / "dance.mp4")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert bpy.ops.motionlift.open_footage(filepath=str(tmp_path / "dance.mp4")) == {"FINISHED"}
    footage = bpy.context.scene.motionlift.footage
    footage.use_range, footage.start, footage.end = True, *RANGE
    return bpy.context.scene


def test_capture_preview_solve_retarget_save_reopen(ready: Any, tmp_path: Path) -> None:
    assert bpy.ops.motionlift.capture() == {"FINISHED"}
    (take,) = ready.motionlift.takes
    assert (take.name, take.path) == ("dance", "//shot takes/dance.take.npz")
    assert take.people == 1 and take.frames == 30 and take.coverage > 0.9 and take.confidence > 0.5
    path = tmp_path / "shot takes" / "dance.take.npz"
    assert module("takes.summary").read_summary(path).frames == 30

    assert bpy.ops.motionlift.preview() == {"FINISHED"}
    assert bpy.ops.motionlift.match_camera() == {"FINISHED"}
    assert ready.camera.data.background_images[0].clip == bpy.data.movieclips["dance.mp4"]
    assert len(bpy.data.movieclips) == 1 and (ready.frame_start, ready.frame_end) == (1, 30)
    armature = next(o for o in ready.objects if o.type == "ARMATURE")
    height = armature.data.bones["l_shin"].length

    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    scene = bpy.context.scene
    assert scene.motionlift.takes[0].path == "//shot takes/dance.take.npz"
    scene.motionlift.solve.height = 2.0
    assert bpy.ops.motionlift.solve() == {"FINISHED"}
    again = [o for o in scene.objects if o.type == "ARMATURE"]
    assert len(again) == 1 and again[0].data.bones["l_shin"].length / height == pytest.approx(2.0 / 1.7, rel=0.02)
    scene.motionlift.solve.height = 1.0
    assert bpy.ops.motionlift.adopt_settings() == {"FINISHED"}
    assert scene.motionlift.solve.height == pytest.approx(2.0)


def test_keypoints_of_another_tool(ready: Any) -> None:
    """Our own take stands for them: what was found in the clip, in a file."""
    bpy.ops.motionlift.capture()
    settings, (first,) = ready.motionlift.capture, ready.motionlift.takes
    settings.detector = "keypoints"
    assert "needs a file" in refused(bpy.ops.motionlift.capture)
    settings.detector_file = first.path
    assert bpy.ops.motionlift.capture() == {"FINISHED"}
    _, second = ready.motionlift.takes
    assert (second.frames, second.people) == (first.frames, 1)
    Path(bpy.path.abspath("//broken.json")).write_text('[{"image_id": 0, "keypoints": [1, 2')
    settings.detector_file = "//broken.json"
    assert "cut short" in refused(bpy.ops.motionlift.capture)
    assert len(ready.motionlift.takes) == 2


def test_several_captures_get_names_of_their_own(ready: Any) -> None:
    bpy.ops.motionlift.capture()
    bpy.ops.motionlift.capture()
    assert [t.name for t in ready.motionlift.takes] == ["dance", "dance 2"]
    assert ready.motionlift.take == 1


def test_capturing_again_with_another_lens_uses_what_was_found(ready: Any, tmp_path: Path) -> None:
    module("preferences").preferences().cache_megabytes = 10
    bpy.ops.motionlift.capture()
    begun = ready.motionlift.takes[0].coverage
    ready.motionlift.footage.lens, ready.motionlift.footage.focal_mm = "value", 20.0
    task = module("capture.operators").start_capture(ready, bpy.data.movieclips[0])
    stages: set[str] = set()
    module("capture.jobs").wait(task, lambda t: stages.add(t.progress.stage if t.progress else ""))
    assert "detect" not in stages and ready.motionlift.takes[1].coverage == begun


def test_summary_of_worker_and_of_file_agree(ready: Any, tmp_path: Path) -> None:
    bpy.ops.motionlift.capture()
    take = ready.motionlift.takes[0]
    before = (take.people, take.frames, take.fps, take.coverage, take.confidence, take.warnings)
    ready.motionlift.takes.clear()
    bpy.ops.motionlift.add_take(filepath=str(tmp_path / "shot takes" / "dance.take.npz"))
    take = ready.motionlift.takes[0]
    assert (take.people, take.frames, take.fps, take.coverage, take.confidence, take.warnings) == before


def test_takes_of_an_unsaved_session_are_found_again(ready: Any, tmp_path: Path) -> None:
    bpy.ops.motionlift.capture()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))  # not saved since
    scene = bpy.context.scene
    assert len(scene.motionlift.takes) == 0
    assert [p.name for p in module("takes.entries").unlisted()] == ["dance.take.npz"]
    assert bpy.ops.motionlift.add_unlisted() == {"FINISHED"}
    assert [t.name for t in scene.motionlift.takes] == ["dance"] and not module("takes.entries").unlisted()


def test_opening_another_file_ends_the_capture_and_says_so(ready: Any, tmp_path: Path) -> None:
    jobs = module("capture.jobs")
    module("capture.operators").start_capture(ready, bpy.data.movieclips[0])
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert jobs.tasks() == [] and jobs.worker_pid() is None
    assert "another file" in module("notices").shown("capture")[0].text
    assert not list((tmp_path / "shot takes").iterdir())


def test_killed_worker_is_told_with_a_report_and_the_next_capture_works(ready: Any) -> None:
    import signal
    import time

    jobs, notices = module("capture.jobs"), module("notices")
    task = module("capture.operators").start_capture(ready, bpy.data.movieclips[0])
    while task.progress is None:
        time.sleep(0.02)
        jobs.tick()
    os.kill(jobs.worker_pid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    ending = jobs.wait(task)
    notice = notices.shown("capture")[0]
    assert notice.kind == "ERROR" and "worker has stopped" in notice.what and notice.remedy
    assert notice.file is not None and notice.file.is_file() and ending.report_file == notice.file
    assert bpy.ops.motionlift.capture() == {"FINISHED"}


def test_cancelled_capture_leaves_nothing(ready: Any, tmp_path: Path) -> None:
    import time

    jobs = module("capture.jobs")
    task = module("capture.operators").start_capture(ready, bpy.data.movieclips[0])
    waiting = module("capture.operators").start_capture(ready, bpy.data.movieclips[0])
    while task.progress is None:
        time.sleep(0.02)
        jobs.tick()
    begun = time.monotonic()
    assert bpy.ops.motionlift.cancel() == {"FINISHED"}
    jobs.wait(task)
    jobs.wait(waiting)
    assert time.monotonic() - begun < 300
    assert not list((tmp_path / "shot takes").iterdir()) and not len(ready.motionlift.takes)


# Bad input: one clear message, and nothing is lost


def choose(scene: Any, path: Path) -> None:
    """As if the user had the clip from before it went bad."""
    scene.motionlift.footage.clip = bpy.data.movieclips.load(str(path))


def test_corrupt_video(ready: Any, tmp_path: Path) -> None:
    whole = (tmp_path / "dance.mp4").read_bytes()
    (tmp_path / "bad.mp4").write_bytes(b"not a video at all" * 100)
    said = refused(bpy.ops.motionlift.open_footage, filepath=str(tmp_path / "bad.mp4"))
    assert "bad.mp4" in said and "convert it to MP4" in said
    assert ready.motionlift.footage.clip.name == "dance.mp4"  # what was chosen before stays
    (tmp_path / "dance.mp4").write_bytes(whole[: len(whole) // 3])  # gone bad after it was opened
    said = refused(bpy.ops.motionlift.capture)
    assert "dance.mp4" in said
    assert not len(ready.motionlift.takes) and not list((tmp_path / "shot takes").iterdir())


def test_sound_only(ready: Any, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    said = refused(bpy.ops.motionlift.open_footage, filepath=str(tmp_path / "sound.wav"))
    assert "sound" in said and "Choose" in said


def test_nobody_in_the_picture(ready: Any, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    for i in range(8):
        image = bpy.data.images.new("grey", 320, 240)
        image.filepath_raw, image.file_format = str(folder / f"{i + 1:04d}.png"), "PNG"
        image.save()
    bpy.ops.motionlift.open_footage(filepath=str(folder / "0001.png"))
    said = refused(bpy.ops.motionlift.capture)
    assert "nobody" in said and "Choose" in said


def test_image_sequence(ready: Any, tmp_path: Path) -> None:
    """Frames of the demo as numbered images give a take of as many frames."""
    folder = tmp_path / "frames"
    folder.mkdir()
    code = (
        "import sys, cv2\n"
        "video = cv2.VideoCapture(sys.argv[1])\n"
        "for i in range(12):\n"
        "    cv2.imwrite(f'{sys.argv[2]}/walk_{i + 1:03d}.png', video.read()[1])\n"
    )
    subprocess.run([os.environ["MOTIONLIFT_PYTHON"], "-c", code, str(tmp_path / "dance.mp4"), str(folder)], check=True)
    bpy.ops.motionlift.open_footage(filepath=str(folder / "walk_001.png"))
    assert bpy.ops.motionlift.capture() == {"FINISHED"}
    assert ready.motionlift.takes[0].frames == 12


def test_clip_moved_away_since(ready: Any, tmp_path: Path) -> None:
    (tmp_path / "dance.mp4").rename(tmp_path / "elsewhere.mp4")
    said = refused(bpy.ops.motionlift.capture)
    assert "not there any more" in said and "dance.mp4" in said and "Footage panel" in said


def test_range_without_frames(ready: Any) -> None:
    ready.motionlift.footage.start, ready.motionlift.footage.end = 500, 600
    assert "Choose frames between 1 and 240" in refused(bpy.ops.motionlift.capture)


def test_lens_from_a_camera_solve_that_is_not_there(ready: Any) -> None:
    ready.motionlift.footage.lens = "solve"
    assert "no camera solve" in refused(bpy.ops.motionlift.capture)


def test_take_cut_short(scene: Any, tmp_path: Path) -> None:
    write_take(tmp_path / "whole.take.npz")
    data = (tmp_path / "whole.take.npz").read_bytes()
    (tmp_path / "short.take.npz").write_bytes(data[: len(data) // 2])
    said = refused(bpy.ops.motionlift.add_take, filepath=str(tmp_path / "short.take.npz"))
    assert "short.take.npz" in said and "Capture the clip again" in said and not len(scene.motionlift.takes)


def test_take_cut_short_after_it_was_listed(ready: Any, tmp_path: Path) -> None:
    bpy.ops.motionlift.capture()
    path = tmp_path / "shot takes" / "dance.take.npz"
    path.write_bytes(path.read_bytes()[:20000])
    for operator in (bpy.ops.motionlift.preview, bpy.ops.motionlift.match_camera, bpy.ops.motionlift.solve):
        said = refused(operator)
        assert "dance.take.npz" in said and ("apture the clip again" in said), (operator.idname(), said)
    assert len(ready.motionlift.takes) == 1 and path.stat().st_size == 20000
    path.unlink()
    assert "Find File" in refused(bpy.ops.motionlift.preview)


RELABEL = """
import json, sys, onnx
from lifter.checkpoint import load_checkpoint
from lifter.skeleton import load_skeleton
model = onnx.load(str(load_checkpoint("body").path))
(entry,) = [p for p in model.metadata_props if p.key == "motionlift"]
entry.value = json.dumps({**json.loads(entry.value), "skeleton": load_skeleton("h36m").to_dict()})
onnx.save(model, sys.argv[1])
"""


@pytest.fixture
def models(scene: Any, tmp_path: Path) -> Generator[Path]:
    """A model folder of the user's."""
    folder = tmp_path / "models"
    folder.mkdir()
    preferences = module("preferences").preferences()
    preferences.model_folder = str(folder)
    yield folder
    preferences.model_folder = ""


def test_checkpoint_of_another_skeleton(ready: Any, models: Path) -> None:
    made = subprocess.run(
        [os.environ["MOTIONLIFT_PYTHON"], "-c", RELABEL, str(models / "odd.onnx")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=False,
    )
    if b"No module named 'onnx'" in made.stderr:
        pytest.skip("needs the onnx package")
    assert made.returncode == 0, made.stderr
    ready.motionlift.capture.checkpoint = str(models / "odd.onnx")
    said = refused(bpy.ops.motionlift.capture)
    assert "33 joints" in said and "h36m" in said and "Export the checkpoint again" in said


def test_checkpoint_that_is_none_or_gone(ready: Any, models: Path) -> None:
    (models / "odd.onnx").write_bytes(b"no network")
    ready.motionlift.capture.checkpoint = str(models / "odd.onnx")
    said = refused(bpy.ops.motionlift.capture)
    assert "odd.onnx" in said and "Get the checkpoint again" in said
    (models / "odd.onnx").unlink()
    assert "model folder" in refused(bpy.ops.motionlift.capture)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a small file system of its own, which Linux makes of memory")
def test_full_disk(ready: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The takes' folder is a small file system of its own, which is full."""
    full = tmp_path / "shot takes"
    full.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(full)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs to be allowed to mount a file system")
    try:
        said = refused(bpy.ops.motionlift.capture)
        assert "disk is full" in said.lower() and "Free some space" in said
        assert not list(full.iterdir()) and not len(ready.motionlift.takes)
    finally:
        subprocess.run(["umount", str(full)], check=True)


FULL_GPU = """
import runpy, onnxruntime
class Session(onnxruntime.InferenceSession):
    def run(self, *args, **options):
        raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running "
                           "Conv node. Failed to allocate memory for requested buffer of size 1073741824")
onnxruntime.InferenceSession = Session
runpy.run_module("lifter.worker", run_name="__main__")
"""


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for a Python is a shell script")
def test_no_gpu_memory(ready: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's own words for it, from a worker whose network cannot be run."""
    (tmp_path / "full_gpu.py").write_text(FULL_GPU)
    stand_in = tmp_path / "python"
    stand_in.write_text(f'#!/bin/sh\nexec "{os.environ["MOTIONLIFT_PYTHON"]}" "{tmp_path / "full_gpu.py"}"\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("MOTIONLIFT_PYTHON", str(stand_in))
    said = refused(bpy.ops.motionlift.capture)
    assert "The GPU's memory ran out" in said and "choose the CPU as device" in said
    assert not len(ready.motionlift.takes) and not list((tmp_path / "shot takes").iterdir())


def test_folder_that_cannot_be_written(ready: Any, tmp_path: Path) -> None:
    (tmp_path / "shot takes").write_text("a file where the folder should be")
    assert "cannot be written" in refused(bpy.ops.motionlift.capture)


# The environment


def test_without_an_environment_the_button_says_why(
    scene: Any, monkeypatch: pytest.MonkeyPatch, demo_clip: Path
) -> None:
    monkeypatch.delenv("MOTIONLIFT_PYTHON", raising=False)
    bpy.ops.motionlift.open_footage(filepath=str(demo_clip))
    assert not bpy.ops.motionlift.capture.poll()
    assert "Set up" in refused(bpy.ops.motionlift.capture)


def test_no_network(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOTIONLIFT_PYTHON", raising=False)
    if bpy.app.online_access:
        bpy.context.preferences.system.use_online_access = False
    said = refused(bpy.ops.motionlift.set_up)
    assert "online access is off" in said and "offline version" in said


def test_what_would_be_installed_is_shown(scene: Any) -> None:
    setup = module("setup")
    plan = setup.wanted_plan("cpu")
    if not hasattr(plan, "wheels"):
        pytest.skip(str(plan))
    lines = "\n".join(setup.plan_lines(plan))
    for word in ("onnxruntime", "mediapipe", "MB", "Into", plan.source):
        assert word in lines


def test_paths_stay_right_when_the_file_is_saved_elsewhere(scene: Any, tmp_path: Path) -> None:
    write_take(tmp_path / "walk.take.npz")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.motionlift.add_take(filepath=str(tmp_path / "walk.take.npz"))
    take = bpy.context.scene.motionlift.takes[0]
    assert take.path == "//walk.take.npz"
    (tmp_path / "deep").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "deep" / "copy.blend"), copy=True)
    assert take.path == "//walk.take.npz"  # the open file is still the first one
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "deep" / "copy.blend"))
    take = bpy.context.scene.motionlift.takes[0]
    assert Path(bpy.path.abspath(take.path)).resolve() == (tmp_path / "walk.take.npz").resolve()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "b.blend"))
    assert bpy.context.scene.motionlift.takes[0].path == "//walk.take.npz"
