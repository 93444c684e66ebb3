from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lifter.errors import MotionliftError
from lifter.skeleton import load_skeleton
from tests.training.archives import h36m_world, project, write_humaneva
from training.data.humaneva import HumanEvaSource, humaneva_items
from training.data.recording import checked
from training.data.videopose3d import load_cameras

SKELETON = load_skeleton("humaneva15")


def test_subjects_parts_cameras_and_joints(tmp_path: Path) -> None:
    write_humaneva(tmp_path)
    items = list(humaneva_items(HumanEvaSource("humaneva", "."), tmp_path, SKELETON))
    found = {i.name: next(iter(i.read())) for i in items}
    assert len(found) == 2 * 3 * 3
    r = found["humaneva/Validate/S2/Walking 1 chunk0/C3"]
    assert (r.subject, r.split, r.camera, r.fps) == ("S2", "test", "C3", 60.0)
    assert found["humaneva/Train/S2/Walking 1 chunk0/C3"].split == "train"
    checked(r, SKELETON)
    camera = load_cameras("humaneva")["S2"][2]
    world = h36m_world(20, 1)[:, :15].astype(float)
    joints = np.asarray(r.arrays["joints"])
    assert np.allclose(
        np.linalg.norm(np.diff(joints, axis=1), axis=-1), np.linalg.norm(np.diff(world, axis=1), axis=-1)
    )
    assert np.allclose(r.arrays["keypoints"], project(camera, world), atol=0.01)
    assert r.arrays["up"][1] < -0.9 and tuple(r.arrays["image_size"]) == (640, 480)


def test_joints_have_published_names_parents_and_sides() -> None:
    assert SKELETON.parents == (-1, 0, 1, 2, 3, 1, 5, 6, 0, 8, 9, 0, 11, 12, 1)
    left, right = [2, 3, 4, 8, 9, 10], [5, 6, 7, 11, 12, 13]
    assert SKELETON.mirror[left].tolist() == right and SKELETON.mirror[right].tolist() == left


def test_another_layout_is_refused(tmp_path: Path) -> None:
    write_humaneva(tmp_path)
    box = np.empty((), object)
    box[()] = {"layout_name": "openpose", "num_joints": 25}
    gt = tmp_path / "data_2d_humaneva15_gt.npz"
    with np.load(gt, allow_pickle=True) as z:
        np.savez(tmp_path / "data_2d_humaneva15_x.npz", positions_2d=z["positions_2d"], metadata=box)
    with pytest.raises(MotionliftError, match=r"metadata: layout_name 'openpose'"):
        list(humaneva_items(HumanEvaSource("humaneva", ".", keypoints="x"), tmp_path, SKELETON))
