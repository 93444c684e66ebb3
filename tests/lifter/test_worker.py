"""`python -m lifter.worker` as a process: its jobs, its messages, its errors, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from lifter.detect.models import pose_model
from lifter.errors import MotionliftError
from lifter.take import load_take
from lifter.worker import describe_error

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "lifter" / "demo" / "demo.mp4"


class Process:
    """A worker, its messages, and how to talk to it."""

    def __init__(self, *command: str) -> None:
        self.popen = subprocess.Popen(
            command or (sys.executable, "-m", "lifter.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        self.lines: Queue[bytes] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.popen.stdout
        for line in self.popen.stdout:
            self.lines.put(line)

    def send(self, job: dict[str, Any] | str) -> None:
        assert self.popen.stdin
        self.popen.stdin.write((job if isinstance(job, str) else json.dumps(job)).encode() + b"\n")
        self.popen.stdin.flush()

    def next(self) -> dict[str, Any]:
        return json.loads(self.lines.get(timeout=600))

    def do(self, job: dict[str, Any] | str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """(the message that ended the job, those before it)."""
        self.send(job)
        before: list[dict[str, Any]] = []
        while True:
            message = self.next()
            if message["type"] in ("done", "error"):
                return message, before
            before.append(message)


@pytest.fixture(scope="module")
def worker() -> Generator[Process]:
    process = Process()
    yield process
    process.popen.kill()
    process.popen.wait()


@pytest.fixture(scope="session")
def detector() -> None:
    try:
        pose_model()
    except MotionliftError as error:
        pytest.skip(f"needs the pose model: {error}")


@pytest.fixture(scope="module")
def captured(worker: Process, detector: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """(take, message "done", messages before it) of the demo clip's first second."""
    path = tmp_path_factory.mktemp("takes") / "demo.take.npz"
    settings = {"end": 1.0, "height": 1.6, "smoothing": "gaussian", "detector_options": {"people": 1}}
    job = {"id": 7, "kind": "capture", "footage": str(DEMO), "output": str(path), "settings": settings}
    return path, *worker.do(job)


def test_fetching_refuses_what_is_no_network_of_the_list(worker: Process, tmp_path: Path) -> None:
    for model, output, what in (
        ("mine", "mine.onnx", "No model is called 'mine'"),
        ("yolox-m", "other.onnx", "not named after the model"),
        ("../yolox-m", "yolox-m.onnx", "not named after the model"),
    ):
        job = {"id": 3, "kind": "fetch", "model": model, "output": str(tmp_path / output)}
        message, _ = worker.do(job)
        assert message["type"] == "error" and what in message["what"], message
    assert not list(tmp_path.iterdir())


def test_a_capture_tells_its_progress_and_writes_the_take(captured: tuple[Path, Any, Any]) -> None:
    path, done, before = captured
    assert done["type"] == "done" and done["id"] == 7 and done["take"] == str(path)
    take = load_take(path)
    assert take.header["settings"]["height"] == 1.6 and take.header["settings"]["smoothing"] == "gaussian"
    summary = done["summary"]
    assert (summary["people"], summary["frames"], summary["fps"]) == (1, 30, 30.0)
    assert summary["coverage"] == 1.0 and 0.5 < summary["confidence"] <= 1
    assert {m["type"] for m in before} == {"progress"} and {m["id"] for m in before} == {7}
    stages = list(dict.fromkeys(m["stage"] for m in before))
    assert stages == ["start", "detect", "lift", "solve", "save"]
    detect = [m for m in before if m["stage"] == "detect"]
    assert detect[-1]["done"] == detect[-1]["total"] == 30 and detect[-1]["rate"] > 0 and detect[-1]["left_s"] == 0


def test_a_take_is_solved_again(worker: Process, captured: tuple[Path, Any, Any], tmp_path: Path) -> None:
    begun = time.monotonic()
    job = {"id": 8, "kind": "solve", "take": str(captured[0]), "output": str(tmp_path / "b.take.npz")}
    edits = "left:3-9=off"
    done, _ = worker.do({**job, "settings": {"strength": 0.9, "contact_edits": edits}})
    assert done["type"] == "done" and time.monotonic() - begun < 300
    settings = load_take(tmp_path / "b.take.npz").header["settings"]
    assert settings["strength"] == 0.9
    assert settings["height"] == 1.6, "what is not given stays as the take has it"
    assert settings["contact_edits"] == edits
    done, _ = worker.do({**job, "take": str(tmp_path / "b.take.npz"), "settings": {}})
    assert load_take(tmp_path / "b.take.npz").header["settings"] == settings


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ("no json", "not JSON"),
        ("[1, 2]", "not a JSON object"),
        ({"id": "x", "kind": "solve"}, "id"),
        ({"id": 1, "kind": "captur"}, "Did you mean 'capture'?"),
        ({"id": 1, "kind": ["a"]}, "kind"),
        ({"id": 1, "kind": "capture", "output": "x"}, "has no 'footage'"),
        ({"id": 1, "kind": "solve", "take": "x", "ouput": "y"}, "has no 'output', but 'ouput'"),
        ({"id": 1, "kind": "capture", "footage": "x", "output": "y", "setings": {}}, "Did you mean 'settings'?"),
        ({"id": 1, "kind": "capture", "footage": 5, "output": "y"}, "Give text"),
        ({"settings": {"strengh": 0.3}}, "Did you mean 'strength'?"),
        ({"settings": {"height": "tall"}}, "Give a number or null"),
        ({"settings": {"height": True}}, "Give a number or null"),
        ({"settings": {"strength": "0.5"}}, "Give a number"),
        ({"settings": {"progress": 1}}, "No setting is called 'progress'"),
        ({"settings": {"height": 12.0}}, "12.0 m tall"),
        ({"settings": {"smoothing": "guassian"}}, "one of 'spline'"),
        ({"settings": {"contact_edits": "left:3=off"}}, "left:100-120=off"),
        ({"settings": {"detector": "mediapip"}}, "mediapip"),
        ({"settings": {"detector_options": {"peple": 2}}}, "'people'"),
        ({"settings": {"checkpoint": "nobody"}}, "nobody"),
        ({"footage": "/nowhere/x.mp4"}, "no such file"),
        ({"output": "/nowhere/x.take.npz"}, "no such folder"),
    ],
)
def test_a_wrong_job_is_one_clear_error_and_the_worker_lives_on(
    worker: Process, tmp_path: Path, job: dict[str, Any] | str, said: str
) -> None:
    if isinstance(job, dict) and "kind" not in job:
        job = {"id": 1, "kind": "capture", "footage": str(DEMO), "output": str(tmp_path / "x.take.npz"), **job}
    error, _ = worker.do(job)
    assert error["type"] == "error" and "report" not in error, error
    assert said in f"{error['what']} {error['why']} {error['remedy']}", error
    assert not list(tmp_path.iterdir()), "something was written"
    assert worker.do({"id": 2, "kind": "doctor"})[0]["type"] == "done"


def test_the_doctor_names_versions_and_checkpoints(worker: Process, detector: None) -> None:
    done, _ = worker.do({"id": 3, "kind": "doctor", "thorough": True})
    assert done["summary"]["missing"] == [] and "body" in done["summary"]["checkpoints"]
    assert "CPUExecutionProvider" in done["summary"]["providers"] and done["summary"]["packages"]["numpy"]


def test_a_crash_in_a_job_is_an_error_with_a_report_and_the_worker_lives_on(tmp_path: Path) -> None:
    crashing = "import lifter.worker as w\ndef crash(job, send): print('noise'); raise RuntimeError('boom')\n"
    crashing += "w.JOBS['crash'] = crash\nw.main()"
    worker = Process(sys.executable, "-c", crashing)
    for number in (1, 2):
        error, _ = worker.do({"id": number, "kind": "crash"})
        assert error["id"] == number and error["why"] == "RuntimeError: boom" and "Traceback" in error["report"]
    worker.send({"kind": "shutdown"})
    assert worker.next()["type"] == "done"
    assert worker.popen.wait(10) == 0
    assert worker.popen.stderr and b"noise" in worker.popen.stderr.read(), "only messages go to stdout"


def test_what_can_run_out_is_named() -> None:
    assert describe_error(MemoryError())["what"] == "Memory ran out"
    assert describe_error(OSError(28, "No space left on device", "/x"))["what"] == "The disk is full"
    wrapped = MotionliftError("/x: cannot be written", "Choose another folder")
    wrapped.__cause__ = OSError(28, "No space left on device")
    assert describe_error(wrapped)["what"] == "The disk is full"
    assert describe_error(RuntimeError("CUDA error: out of memory"))["what"] == "The GPU's memory ran out"
    assert describe_error(ImportError("No module named 'cv2'"))["what"] == "A package cannot be loaded"
    assert "report" not in describe_error(MotionliftError("a", "b"))


def test_it_ends_when_its_parent_is_gone(detector: None, tmp_path: Path) -> None:
    worker = Process()
    worker.send({"id": 1, "kind": "capture", "footage": str(DEMO), "output": str(tmp_path / "x.take.npz")})
    while worker.next().get("stage") != "detect":
        pass
    assert worker.popen.stdin
    begun = time.monotonic()
    worker.popen.stdin.close()
    assert worker.popen.wait(300) == 1
    assert time.monotonic() - begun < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="fills a file system of its own")
def test_a_full_disk_is_named_and_leaves_nothing(worker: Process, captured: tuple[Path, Any, Any]) -> None:
    full = Path("/dev/shm/motionlift-full-test")
    if os.geteuid() != 0:
        pytest.skip("needs the right to mount")
    full.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(full)], capture_output=True).returncode:
        full.rmdir()
        pytest.skip("needs the right to mount")
    try:
        job = {"id": 4, "kind": "solve", "take": str(captured[0]), "output": str(full / "x.take.npz")}
        error, _ = worker.do(job)
        assert error["what"] == "The disk is full" and str(full) in error["why"]
        assert not list(full.iterdir())
    finally:
        subprocess.run(["umount", str(full)], check=True)
        full.rmdir()
