from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton
from lifter.take import VERSION, Camera, Person, Take, load_take, save_take


def make_take(skeleton: Skeleton, frames: int = 5) -> Take:
    j, b, k = len(skeleton.joint_names), len(skeleton.bones), 17
    rng = np.random.default_rng(0)

    def values(*shape: int) -> np.ndarray:
        return rng.random(shape, np.float32)

    person = Person(
        frames=np.arange(frames, dtype=np.int32),
        times=np.arange(frames) / 30,
        state=np.ones(frames, np.uint8),
        swapped=np.zeros(frames, bool),
        keypoints=values(frames, k, 2),
        scores=values(frames, k),
        lifted=values(frames, j, 3),
        sigma=values(frames, j),
        contact=values(frames, 4),
        down=values(frames, 3),
        joints_camera=values(frames, j, 3),
        joints_world=values(frames, j, 3),
        rotations=np.tile(np.array([1, 0, 0, 0], np.float32), (frames, b, 1)),
        offsets=values(j, 3),
        stands=values(frames, 4) > 0.5,
        outlier=values(frames, j) > 0.5,
    )
    header = {
        "version": VERSION,
        "fps": 30.0,
        "lens": {"focal": 800.0, "center": [320, 240], "source": "given"},
        "source": {"path": None, "width": 640, "height": 480, "frame_count": frames, "start": None, "end": None},
        "detector": {"name": "keypoints", "layout": "coco17"},
        "checkpoint": {"name": "body", "card": {}},
        "skeleton": skeleton.to_dict(),
        "settings": {},
    }
    return Take(header, Camera(np.eye(3), np.eye(3), np.zeros(3)), (person,))


def test_round_trip(body: Skeleton, tmp_path: Path) -> None:
    take = make_take(body)
    again = load_take(save_take(take, tmp_path / "a.take.npz"))
    assert again.header == take.header and again.skeleton.joint_names == body.joint_names
    assert again.people[0].hands is None
    for name in sorted({*Person.__dataclass_fields__} - {"hands"}):
        a, b = getattr(take.people[0], name), getattr(again.people[0], name)
        assert a.dtype == b.dtype and (a == b).all(), name
    assert [p.name for p in tmp_path.iterdir()] == ["a.take.npz"]  # no temporary file is left


def test_nothing_needs_pickle(body: Skeleton, tmp_path: Path) -> None:
    with np.load(save_take(make_take(body), tmp_path / "a.take.npz"), allow_pickle=False) as z:
        assert all(z[k].dtype != object for k in z.files)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_take_is_refused(body: Skeleton, tmp_path: Path, share: float) -> None:
    path = save_take(make_take(body), tmp_path / "a.take.npz")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(MotionliftError, match="damaged"):
        load_take(path)


def test_a_flipped_byte_is_found(body: Skeleton, tmp_path: Path) -> None:
    path = save_take(make_take(body), tmp_path / "a.take.npz")
    with zipfile.ZipFile(path) as archive:
        inside = archive.getinfo("people/0/lifted.npy").header_offset + 200
    data = bytearray(path.read_bytes())
    data[inside] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(MotionliftError, match="damaged"):
        load_take(path)


@pytest.mark.parametrize(("version", "remedy"), [(VERSION + 1, "Update"), (VERSION - 1, "Capture")])
def test_other_versions_say_what_to_do(body: Skeleton, tmp_path: Path, version: int, remedy: str) -> None:
    take = make_take(body)
    path = save_take(replace(take, header={**take.header, "version": version}), tmp_path / "a.take.npz")
    with pytest.raises(MotionliftError, match=remedy):
        load_take(path)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(MotionliftError, match="no such take"):
        load_take(tmp_path / "none.take.npz")
    (tmp_path / "text.take.npz").write_text("hello")
    with pytest.raises(MotionliftError, match="not a take"):
        load_take(tmp_path / "text.take.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(MotionliftError, match="not a take"):
        load_take(tmp_path / "other.npz")


def test_wrong_shapes_and_nan_name_the_array(body: Skeleton, tmp_path: Path) -> None:
    take = make_take(body)
    short = replace(take.people[0], rotations=take.people[0].rotations[:-1])
    with pytest.raises(MotionliftError, match="rotations"):
        load_take(save_take(replace(take, people=(short,)), tmp_path / "a.take.npz"))
    broken = take.people[0].joints_world.copy()
    broken[2, 3] = np.nan
    with pytest.raises(MotionliftError, match="joints_world is not finite"):
        load_take(
            save_take(replace(take, people=(replace(take.people[0], joints_world=broken),)), tmp_path / "b.take.npz")
        )


def test_a_folder_that_is_not_there(body: Skeleton, tmp_path: Path) -> None:
    with pytest.raises(MotionliftError, match="cannot be written"):
        save_take(make_take(body), tmp_path / "no" / "a.take.npz")


def test_the_header_is_plain_json(body: Skeleton, tmp_path: Path) -> None:
    path = save_take(make_take(body), tmp_path / "a.take.npz")
    with zipfile.ZipFile(path) as z, z.open("header.npy") as file:
        assert json.loads(str(np.lib.format.read_array(file, allow_pickle=False)))["version"] == VERSION
