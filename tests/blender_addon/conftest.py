"""These tests need bpy and numpy only: they also run where the lifter's packages are not installed.

Captures need them; such tests use this Python if it has them, or the one that $MOTIONLIFT_PYTHON names, or skip.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave without tear-down where Blender's module was used: that of 4.2 crashes in it after Rigify, and that of 4.5
    was once seen to wait for ever for a thread of its own."""
    if "bpy" in sys.modules and STATUS in config.stash:
        shutil.rmtree(os.environ["BLENDER_USER_RESOURCES"], ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[STATUS])


@pytest.fixture(scope="session", autouse=True)
def own_context_after_loading() -> None:
    """As the extension sees to it, for the tests that do without: see `own_context`."""
    import bpy

    from blender_addon.files import own_context

    @bpy.app.handlers.persistent
    def after_load(*_: object) -> None:
        own_context()

    bpy.app.handlers.load_post.append(after_load)


@pytest.fixture(scope="session")
def installed() -> Generator[None]:
    """The extension's files where Blender installs extensions, and the extension enabled until the session's end."""
    from .extension import disable, enable, install

    install()
    enable()
    yield
    disable()


@pytest.fixture
def scene(installed: None) -> Any:
    """The scene of a new, empty file, with the extension enabled."""
    import bpy

    from .extension import enable, module

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    enable()
    module("notices").clear()
    module("preferences").preferences().cache_megabytes = 0
    return bpy.context.scene


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python for the worker; skips the test where there is none."""
    if os.environ.get("MOTIONLIFT_PYTHON"):
        return
    if not all(find_spec(name) for name in ("mediapipe", "onnxruntime", "cv2", "scipy")):
        pytest.skip("needs the lifter's packages: install them, or set MOTIONLIFT_PYTHON to a Python that has them")
    monkeypatch.setenv("MOTIONLIFT_PYTHON", sys.executable)


@pytest.fixture
def demo_clip() -> Path:
    return Path(__file__).parents[2] / "lifter" / "demo" / "demo.mp4"
