from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton, layout_keypoints, load_skeleton
from tests.training.archives import ACTIONS, _boxed, camera_joints, project, write_h36m
from training.data.human36m import STATIC, Human36mSource, human36m_items
from training.data.recording import Recording, checked
from training.data.unpickle import read_member
from training.data.videopose3d import load_cameras

H36M = load_skeleton("h36m")


def recordings(folder: Path, skeleton: Skeleton = H36M, **options) -> dict[str, Recording]:
    source = Human36mSource("h36m", ".", **({"train": ("S1",), "test": ("S9",)} | options))
    out = {item.name: list(item.read()) for item in human36m_items(source, folder, skeleton)}
    for each in out.values():
        for r in each:
            checked(r, skeleton)
    return {r.name: r for each in out.values() for r in each}


def test_everything_is_where_it_belongs(tmp_path: Path) -> None:
    truth = write_h36m(tmp_path)
    found = recordings(tmp_path)
    assert len(found) == 2 * 2 * 4 and len(load_cameras("h36m")) == 7
    for name, r in found.items():
        _, subject, action, camera = name.split("/")
        number = ("54138969", "55011271", "58860488", "60457274").index(camera)
        world = truth[f"{subject}/{action}"]
        joints = np.asarray(r.arrays["joints"])
        assert np.allclose(joints, camera_joints(subject, number, world), atol=1e-5)
        # Seen through the lens they are the 2D of the file, which for CPN is five pixels off.
        seen = project(load_cameras("h36m")[subject][number], world)
        assert np.abs(r.arrays["keypoints"] - seen - 5).max() < 0.01 and (r.arrays["scores"] == 1).all()
        assert r.arrays["keypoints"].shape == (40, 17, 2)
        # Up, in the camera, is where world points go when they rise.
        rise = camera_joints(subject, number, world + [0, 0, 1]) - joints
        assert np.allclose(rise, r.arrays["up"], atol=1e-4) and r.arrays["up"][1] < -0.9
        assert (r.subject, r.action, r.camera, r.fps) == (subject, action, camera, 50.0)
        assert r.split == ("test" if subject == "S9" else "train") and "academic" in r.licence
        assert tuple(r.arrays["image_size"]) == (1000, 1002 if number in (0, 3) else 1000)


def test_17_of_32_joints_in_the_papers_order() -> None:
    kept = [j for j in range(32) if j not in STATIC]
    assert kept == [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
    assert layout_keypoints("h36m17") == H36M.joint_names
    assert H36M.parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)


def test_cameras_look_down_into_the_room() -> None:
    for cameras in load_cameras("h36m").values():
        for camera in cameras:
            turn = camera.pose[:, :3]
            assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-6) and np.linalg.det(turn) > 0
            middle = camera.pose @ [0, 0, 1, 1]
            assert 3 < middle[2] < 7 and np.abs(middle[:2] / middle[2]).max() < 0.3


def test_ground_truth_2d_has_no_layout_name(tmp_path: Path) -> None:
    write_h36m(tmp_path)
    found = recordings(tmp_path, keypoints="gt")
    r = found["h36m/S1/Photo 1/58860488"]
    again = recordings(tmp_path)[r.name]
    assert np.allclose(again.arrays["keypoints"] - r.arrays["keypoints"], 5, atol=1e-3)


def test_coco_keypoints_go_to_the_joints_of_their_names(tmp_path: Path) -> None:
    write_h36m(tmp_path)
    gt = tmp_path / "data_2d_h36m_gt.npz"
    two = read_member(gt, "positions_2d")
    metadata = {"layout_name": "coco", "num_joints": 17, "keypoints_symmetry": [[1], [2]]}
    np.savez(tmp_path / "data_2d_h36m_detectron_pt_coco.npz", positions_2d=_boxed(two), metadata=_boxed(metadata))
    r = recordings(tmp_path, keypoints="detectron_pt_coco")["h36m/S1/Photo 1/54138969"]
    wrist, pelvis = H36M.joint("l_wrist"), H36M.joint("pelvis")
    file = two["S1"]["Photo 1"][0][:40]
    assert np.array_equal(r.arrays["keypoints"][:, wrist], file[:, layout_keypoints("coco17").index("l_wrist")])
    assert np.isnan(r.arrays["keypoints"][:, pelvis]).all() and not r.arrays["scores"][:, pelvis].any()


def damaged(tmp_path: Path, change) -> Path:
    """The pair with something changed in its dicts."""
    write_h36m(tmp_path)
    three = read_member(tmp_path / "data_3d_h36m.npz", "positions_3d")
    two = read_member(tmp_path / "data_2d_h36m_gt.npz", "positions_2d")
    three, two = change(three, two)
    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d=_boxed(three))
    np.savez(tmp_path / "data_2d_h36m_gt.npz", positions_2d=_boxed(two), metadata=_boxed({"num_joints": 17}))
    return tmp_path


def put(data: dict, keys: tuple, value) -> dict:
    for key in keys[:-1]:
        data = data[key]
    data[keys[-1]] = value
    return data


DAMAGE = {
    r"data_3d_h36m\.npz, positions_3d/S1/Directions: shape \(5, 17, 3\), expected \(T, 32, 3\)": lambda t, k: (
        put(t, ("S1", "Directions"), np.zeros((5, 17, 3))), (t, k))[1],
    r"data_2d_h36m_gt\.npz, positions_2d/S1/Directions\[2\]: shape \(43, 16, 2\), expected \(T, 17, 2\)": lambda t, k: (
        put(k, ("S1", "Directions", 2), np.zeros((43, 16, 2))), (t, k))[1],
    r"positions_2d/S1/Directions: a list of 3, expected a list of 4": lambda t, k: (
        k["S1"]["Directions"].pop(), (t, k))[1],
    r"positions_2d/S1: no key 'Directions'; it has Photo 1": lambda t, k: (k["S1"].pop("Directions"), (t, k))[1],
    r"\[0\]: 39 frames, expected at least the 40 of the 3D": lambda t, k: (
        put(k, ("S1", "Directions", 0), np.zeros((39, 17, 2))), (t, k))[1],
    r"not both have subject 'S1'": lambda t, k: (t.pop("S1"), (t, k))[1],
    r"positions_3d: a list of 1, expected a dict": lambda t, k: ([t], k),
    r"positions_3d/S1/Directions: str 'none', expected numbers": lambda t, k: (
        put(t, ("S1", "Directions"), "none"), (t, k))[1],
    r"numbers that are not finite": lambda t, k: (put(t, ("S1", "Directions"), np.full((5, 32, 3), np.nan)), (t, k))[1],
}  # fmt: skip


@pytest.mark.parametrize("message", DAMAGE)
def test_damage_is_named_by_file_key_and_shape(tmp_path: Path, message: str) -> None:
    with pytest.raises(MotionliftError, match=message):
        recordings(damaged(tmp_path, DAMAGE[message]), keypoints="gt")


def test_files_that_are_not_there_or_not_such(tmp_path: Path) -> None:
    with pytest.raises(MotionliftError, match=r"data_3d_h36m\.npz: cannot be read"):
        recordings(tmp_path)
    write_h36m(tmp_path)
    np.savez(tmp_path / "data_3d_h36m.npz", positions=np.zeros(3))
    with pytest.raises(MotionliftError, match=r"data_3d_h36m\.npz: no key 'positions_3d'; it has positions"):
        recordings(tmp_path)


def test_a_skeleton_of_some_of_the_joints_takes_those(tmp_path: Path, body: Skeleton) -> None:
    write_h36m(tmp_path)
    arms = Skeleton("arms", ("neck", "l_shoulder"), (-1, 0), H36M.rest[:2], (False, False), 1.0, ())
    whole, part = recordings(tmp_path), recordings(tmp_path, arms)
    for name, r in part.items():
        assert np.array_equal(r.arrays["joints"], whole[name].arrays["joints"][:, [8, 11]])
        assert np.array_equal(r.arrays["keypoints"], whole[name].arrays["keypoints"][:, [8, 11]])
    with pytest.raises(MotionliftError, match=r"has no spine, chest.*which skeleton body has"):
        recordings(tmp_path, body)


def test_a_subject_whose_cameras_are_not_known(tmp_path: Path) -> None:
    write_h36m(tmp_path)
    with pytest.raises(MotionliftError, match="cameras of subject 'S2'"):
        recordings(tmp_path, train=("S1", "S2"), test=())


class _Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_hostile_archive_is_refused(tmp_path: Path) -> None:
    write_h36m(tmp_path)
    evil = {"S1": {ACTIONS[0]: _Hostile(tmp_path / "mark")}}
    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d=_boxed(evil))
    with pytest.raises(
        MotionliftError, match=r"data_3d_h36m\.npz, key 'positions_3d': asks for posix\.mkdir|nt\.mkdir"
    ):
        recordings(tmp_path)
    assert not (tmp_path / "mark").exists()
