from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from lifter.camera_path import camera_places, make_camera_path, poses_at, put_in_time, read_camera_path
from lifter.errors import MotionliftError


def turning(n: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """A camera that turns by 3 degrees and moves by a tenth of a metre a frame."""
    R = Rotation.from_euler("y", 3.0 * np.arange(n)[:, None], degrees=True).as_matrix()
    places = np.arange(n)[:, None] * np.array([0.1, 0, 0.02])
    return R, -(R @ places[..., None])[..., 0]


@pytest.mark.parametrize("ending", ["json", "npz"])
def test_files_round_trip(tmp_path: Path, ending: str) -> None:
    R, t = turning()
    fields = {"rotation": R, "translation": t, "focal": np.full(5, 900.0), "frames": np.arange(2, 7), "metric": True}
    path = tmp_path / f"camera.{ending}"
    if ending == "json":
        path.write_text(json.dumps({k: v if isinstance(v, bool) else v.tolist() for k, v in fields.items()}))
    else:
        np.savez(path, **fields)
    read = read_camera_path(path)
    assert np.allclose(read.rotation, R) and np.allclose(read.translation, t) and read.metric
    assert read.focal is not None and np.allclose(read.focal, 900)
    assert np.allclose(read.seconds(30.0), np.arange(2, 7) / 30)


def test_between_poses_the_camera_turns_and_moves_evenly() -> None:
    R, t = turning()
    path = make_camera_path(R[::2], t[::2], frames=[0, 2, 4], focal=[800, 820, 840])
    found = poses_at(path, np.arange(7), 30.0)
    assert np.allclose(found.rotation[:5], R) and np.allclose(found.translation[:5], t)
    assert found.focal is not None and np.allclose(found.focal, [800, 810, 820, 830, 840, 840, 840])
    assert found.known.tolist() == [True] * 5 + [False] * 2
    assert np.allclose(camera_places(found.rotation, found.translation)[5:], [0.4, 0, 0.08])


def test_turns_between_are_as_scipys() -> None:
    """Turns of any size, and none at all."""
    turns = Rotation.random(12, random_state=0).as_matrix()
    turns[5] = turns[4]
    at = np.array([0, 1, 2, 3.5, 4, 5, 7, 8, 9, 10, 11, 12.0])
    found = poses_at(make_camera_path(turns, np.zeros((12, 3)), times=at), np.arange(0, 121), 10.0)
    expected = Slerp(at, Rotation.from_matrix(turns))(np.arange(0, 121) / 10).as_matrix()
    assert np.abs(found.rotation - expected).max() < 1e-9


def test_one_pose_stands_for_all_frames() -> None:
    R, t = turning()
    found = poses_at(make_camera_path(R[1], t[1]), np.arange(100), 24.0)
    assert found.known.all() and np.allclose(found.rotation, R[1]) and np.allclose(found.translation, t[1])


def test_frame_numbers_follow_a_variable_rate() -> None:
    """Frame 2 came late: its pose belongs to that time."""
    path = put_in_time(make_camera_path(*turning(4)), [0, 1, 2, 3], [0.0, 0.03, 0.1, 0.13])
    assert path.times is not None and np.allclose(path.times, [0.0, 0.03, 0.1, 0.13])
    ahead = put_in_time(make_camera_path(*turning(4)), [2, 3, 4], [0.2, 0.3, 0.4])  # only a part was decoded
    assert ahead.times is not None and np.allclose(ahead.times, [0.0, 0.1, 0.2, 0.3])


R, T = turning()


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"translation": T}, "no 'rotation'"),
        ({"rotation": R, "translation": T[:3]}, "5 rotations"),
        ({"rotation": 2 * R, "translation": T}, "not a rotation"),
        ({"rotation": R * [1, 1, -1], "translation": T}, "not a rotation"),
        ({"rotation": R, "translation": np.where(T == 0, np.nan, T)}, "finite"),
        ({"rotation": "abc", "translation": T}, "numbers"),
        ({"rotation": R, "translation": T, "focal": [1, 2]}, "focal"),
        ({"rotation": R, "translation": T, "focal": -5}, "focal"),
        ({"rotation": R, "translation": T, "frames": [0, 1, 1, 2, 3]}, "rising"),
        ({"rotation": R, "translation": T, "frames": range(5), "times": range(5)}, "both"),
        ({"rotation": R, "translation": T, "fov": 40}, "'fov'"),
        ({"rotation": R, "translation": T, "metric": "yes"}, "metric"),
    ],
)
def test_what_is_wrong_is_said(fields: dict, word: str) -> None:
    with pytest.raises(MotionliftError, match=word):
        read_camera_path(fields)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(MotionliftError, match="no such"):
        read_camera_path(tmp_path / "nowhere.json")
    for name, text in (("a.json", "[1, 2]"), ("b.json", "{"), ("c.npz", "PK"), ("d.npz", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(MotionliftError):
            read_camera_path(tmp_path / name)
    np.savez(tmp_path / "e.npz", rotation=np.array([object()]), translation=T)
    with pytest.raises(MotionliftError, match="damaged"):
        read_camera_path(tmp_path / "e.npz")
    np.save(tmp_path / "f.npy", T)
    with pytest.raises(MotionliftError):
        read_camera_path(tmp_path / "f.npy")
