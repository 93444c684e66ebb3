"""Detections that are kept: the same comes back, nothing else does, and no more than wished for stays."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifter.capture import capture
from lifter.detect import Detection, kept
from lifter.detect.models import hand_model, pose_model
from lifter.errors import MotionliftError
from lifter.footage import Footage, open_footage

DEMO = Path(__file__).parents[3] / "lifter" / "demo" / "demo.mp4"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))
    return kept.folder()


def made_up(frames: int = 4, seed: int = 0) -> kept.Detected:
    """Nobody, one and two people by turns, with and without a guess at 3D."""
    rng = np.random.default_rng(seed)

    def somebody(world: bool) -> Detection:
        xy, score, at = (rng.normal(size=s).astype(np.float32) for s in ((33, 2), (33,), (33, 3)))
        xy[3] = np.nan
        colours = rng.normal(size=(3, 3)).astype(np.float32)
        return Detection(xy, score, at if world else None, colours=colours if world else None)

    people = [[somebody(bool(i % 2)) for _ in range(i % 3)] for i in range(frames)]
    return kept.Detected(list(range(5, 5 + frames)), [i / 30 for i in range(frames)], people, "It moved")


def test_what_is_kept_comes_back(cache: Path) -> None:
    kept.keep("a", made_up(), 10)
    back, whole = kept.load("a"), made_up()
    assert back is not None and kept.load("b") is None
    assert (back.indices, back.times, back.warning) == (whole.indices, whole.times, whole.warning)
    assert [len(p) for p in back.people] == [len(p) for p in whole.people] == [0, 1, 2, 0]
    for a, b in zip(chain(*back.people), chain(*whole.people), strict=True):
        np.testing.assert_array_equal(a.xy, b.xy)
        np.testing.assert_array_equal(a.score, b.score)
        assert (a.world is None) == (b.world is None)
        assert (a.colours is None) == (b.colours is None)
        if b.world is not None and b.colours is not None:
            np.testing.assert_array_equal(a.colours, b.colours)
            np.testing.assert_array_equal(a.world, b.world)


def test_a_damaged_file_is_as_none(cache: Path) -> None:
    kept.keep("a", made_up(), 10)
    data = (cache / "a.npz").read_bytes()
    for wrong in (data[: len(data) // 2], b"", b"no file of numpy's", data[:-30] + bytes(30)):
        (cache / "a.npz").write_bytes(wrong)
        assert kept.load("a") is None


def test_the_oldest_go_when_there_is_too_much(cache: Path) -> None:
    for i in range(5):
        kept.keep(str(i), made_up(560, seed=i), 100)
        assert 0.4e6 < (cache / f"{i}.npz").stat().st_size < 0.5e6
        os.utime(cache / f"{i}.npz", (1000 + i, 1000 + i))
    assert kept.load("0") is not None  # used just now: no more the oldest
    kept.keep("5", made_up(560, seed=5), 2)
    assert {p.stem for p in cache.iterdir()} == {"5", "0", "4", "3"}
    kept.keep("6", made_up(1500), 1)
    assert not (cache / "6.npz").exists(), "one that is larger than all may be is not written"


def test_a_folder_that_cannot_be_written_harms_nobody(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    kept.keep("a", made_up(), 10)
    assert kept.load("a") is None


def test_the_key_tells_apart_what_differs(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    footage = Footage(tmp_path / "a.mp4", 640, 480, 30.0, 10)
    other = Footage(tmp_path / "b.mp4", 640, 480, 30.0, 10)
    images = Footage(tmp_path, 640, 480, 30.0, 2, (tmp_path / "a.mp4", tmp_path / "b.mp4"))
    some: dict[str, Any] = {"people": 2}
    keys = [
        kept.key(footage, None, None, "mediapipe", {}, True),
        kept.key(other, None, None, "mediapipe", {}, True),
        kept.key(images, None, None, "mediapipe", {}, True),
        kept.key(footage, 1.0, None, "mediapipe", {}, True),
        kept.key(footage, None, 1.0, "mediapipe", {}, True),
        kept.key(footage, None, None, "other", {}, True),
        kept.key(footage, None, None, "mediapipe", some, True),
        kept.key(footage, None, None, "mediapipe", {}, False),
    ]
    assert len(set(keys)) == len(keys)
    assert kept.key(footage, None, None, "mediapipe", {}, True) == keys[0]
    (tmp_path / "a.mp4").write_bytes(b"changed since")
    assert kept.key(footage, None, None, "mediapipe", {}, True) != keys[0]


def test_capturing_again_looks_at_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        models = pose_model(), hand_model()
    except MotionliftError as error:
        pytest.skip(f"needs the pose model: {error}")
    (tmp_path / "cache").mkdir()
    for model in models:
        shutil.copy(model, tmp_path / "cache")
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))
    plain = capture(DEMO, end=0.5)
    assert not kept.folder().exists(), "nothing is kept unless asked for"
    first = capture(DEMO, end=0.5, keep_megabytes=10)
    module = import_module("lifter.capture")
    monkeypatch.setattr(module, "read_frames", lambda *_: pytest.fail("looked at the footage again"))
    again = capture(DEMO, end=0.5, keep_megabytes=10)
    wider = capture(DEMO, end=0.5, fov=90.0, keep_megabytes=10)
    for take in (first, again):
        assert take.header == plain.header
        np.testing.assert_array_equal(take.people[0].keypoints, plain.people[0].keypoints)
    assert wider.header["lens"] != first.header["lens"]
    assert open_footage(DEMO).frame_count == 240
