from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lifter import doctor
from lifter.detect.models import BUNDLE


def test_a_whole_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path))
    lines, ready = doctor.report()
    text = "\n".join(lines)
    for word in ("motionlift", "Python", "numpy", "scipy", "cv2", "onnxruntime", "mediapipe", "CPUExecutionProvider"):
        assert word in text
    assert "not there yet" in text and "pose_model()" in text and str(tmp_path) in text
    assert ready == (not any(line.startswith("MISSING") for line in lines))
    (tmp_path / BUNDLE).write_bytes(b"half of it")
    assert any("damaged" in line for line in doctor._models([]))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise ImportError('libfoo.so.1 is missing')", "libfoo.so.1 is missing"),
        ("raise RuntimeError('first line\\nsecond line')", "second line"),
        ("import os; os._exit(3)", "code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import sys; sys.exit()", "broken"),
        ("", "__version__"),
        ("def = 3", "SyntaxError"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_broken_packages_are_reported(source: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "frail.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    works, text = doctor.probe(doctor.Package("frail", ("frail",), "pip install frail"))
    assert not works and says in text and text.startswith("broken") and "\n" not in text


def test_a_package_that_talks_when_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chatty.py").write_text("print('hello', end=''); __version__ = '1.2'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    package = doctor.Package("chatty", ("chatty",), "", detail="'with ' + m.__name__")
    assert doctor.probe(package) == (True, "1.2, with chatty")


def test_what_is_missing_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = doctor.Package("no_such_module", ("no-such-package",), "pip install no-such-package")
    wanted = doctor.Package("no_such_option", ("no-such-option",), "pip install no-such-option", purpose="to fly")
    monkeypatch.setattr(doctor, "PACKAGES", (*doctor.PACKAGES[:1], needed, wanted, doctor.PACKAGES[4]))
    lines, ready = doctor.report()
    assert not ready
    assert [line for line in lines if line.startswith("MISSING")] == [
        "MISSING  no_such_module: pip install no-such-package"
    ]
    assert any("not installed; only needed to fly: pip install no-such-option" in line for line in lines)


def test_two_packages_of_one_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor, "_version", lambda name: {"opencv-python": "4.9", "opencv-contrib-python": "4.11"}.get(name, "")
    )
    monkeypatch.setattr(doctor, "probe", lambda _: (True, "1.0"))
    lines, ready = doctor.report()
    assert not ready
    assert any(
        "overwrite each other: pip uninstall -y opencv-contrib-python opencv-python, then" in line for line in lines
    )


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("", True),
        ("0.10.33", True),
        ("0.10.30", True),
        ("0.10.21", False),
        ("0.11", True),
        ("1.0", False),
        ("1.0.0rc1", False),
    ],
)
def test_which_mediapipe_fits(version: str, fits: bool) -> None:
    assert doctor.is_fitting_mediapipe(version) == fits


def test_it_runs_where_packages_are_broken(tmp_path: Path) -> None:
    for name in ("numpy", "cv2", "scipy", "mediapipe", "onnxruntime", "torch", "bpy"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('broken on purpose')")
    code = "from lifter.doctor import report; print(*report()[0], sep='\\n')"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(doctor.__file__).parents[1]}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.count("broken on purpose") == 7 and done.stdout.count("MISSING") == 5, done.stderr
