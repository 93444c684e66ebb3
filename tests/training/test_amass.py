from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lifter.errors import MotionliftError
from lifter.rotation import quat_to_matrix
from lifter.skeleton import Skeleton, load_skeleton
from training.data.amass import BODY, AmassSource, amass_items, captured_amass, model_joints
from training.data.mocap import Y_UP_TO_Z_UP
from training.data.recording import Recording, checked

H36M = load_skeleton("h36m")
# About where SMPL's joints are at rest, Y up, facing +Z, metres.
REST = {
    "pelvis": (0, -0.22, 0.03), "left_hip": (0.06, -0.31, 0.02), "left_knee": (0.1, -0.7, 0.02),
    "left_ankle": (0.09, -1.1, -0.02), "left_foot": (0.11, -1.15, 0.1), "spine1": (0, -0.1, 0.0),
    "spine2": (0, 0.03, 0.01), "spine3": (0, 0.08, 0.03), "neck": (0, 0.29, 0.0), "head": (0, 0.38, 0.05),
    "left_collar": (0.08, 0.2, 0.0),
    "left_shoulder": (0.17, 0.23, 0.0), "left_elbow": (0.43, 0.22, -0.02), "left_wrist": (0.68, 0.22, -0.02),
}  # fmt: skip


def rest_pose(count: int = 52) -> np.ndarray:
    names, parents = model_joints(count)
    rest = np.zeros((count, 3))
    for j, name in enumerate(names):
        left = name.replace("right_", "left_")
        if left in REST:
            rest[j] = np.array(REST[left]) * ([-1, 1, 1] if name.startswith("right_") else [1, 1, 1])
        else:
            rest[j] = rest[parents[j]] + [0.03 * np.sign(rest[parents[j]][0]), 0, 0]
    return rest


def write_model(path: Path, count: int = 52) -> None:
    """A body model whose vertices are its joints; the first shape makes it larger."""
    rest = rest_pose(count)
    shapes = np.zeros((count, 3, 10))
    shapes[..., 0] = 0.1 * rest
    parents = np.array(model_joints(count)[1])
    tree = np.stack([np.where(parents < 0, 2**32 - 1, parents), np.arange(count)]).astype(np.uint32)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, J_regressor=np.eye(count), v_template=rest, shapedirs=shapes, kintree_table=tree)


def write_amass(path: Path, frames: int = 24, count: int = 52, **more) -> dict[str, np.ndarray]:
    """A file of AMASS: somebody stands, Z up, facing -Y, and swings."""
    rng = np.random.default_rng(0)
    poses = 0.3 * rng.normal(size=(1, count, 3)) * np.sin(np.linspace(0, 3, frames))[:, None, None]
    upright = Rotation.from_matrix(Y_UP_TO_Z_UP)
    poses[:, 0] = (Rotation.from_rotvec(poses[:, 0]) * upright).as_rotvec()
    data = {"poses": poses.reshape(frames, -1), "trans": np.tile([0.5, 1.0, 1.1], (frames, 1)), "betas": np.zeros(16)}
    data |= {"mocap_framerate": np.array(120.0), "gender": np.array("male"), "dmpls": np.zeros((frames, 8))} | more
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{k: v for k, v in data.items() if v is not None})
    return data


def posed(data: dict, count: int = 52, size: float = 1.0) -> np.ndarray:
    """(T, J, 3) where joints are, by the definition of the model."""
    rest, parents = rest_pose(count) * size, model_joints(count)[1]
    local = Rotation.from_rotvec(np.reshape(data["poses"], (-1, 3))).as_matrix().reshape(-1, count, 3, 3)
    frames = len(local)
    place, turn = np.zeros((frames, count, 3)), local.copy()
    for j, p in enumerate(parents):
        if p < 0:
            place[:, j] = rest[j] + data["trans"]
        else:
            turn[:, j] = turn[:, p] @ local[:, j]
            place[:, j] = place[:, p] + turn[:, p] @ (rest[j] - rest[p])
    return place


def recordings(folder: Path, skeleton: Skeleton, **options) -> dict[str, Recording]:
    out = {}
    for item in amass_items(AmassSource("amass", "amass", **options), folder, skeleton):
        for r in item.read():
            checked(r, skeleton)
            out[r.name] = r
    return out


def test_bones_need_no_body_model(tmp_path: Path, body: Skeleton) -> None:
    data = write_amass(tmp_path / "amass" / "CMU" / "01" / "01_01_poses.npz")
    write_amass(tmp_path / "amass" / "CMU" / "02" / "02_01_poses.npz")
    np.savez(tmp_path / "amass" / "CMU" / "01" / "shape.npz", betas=np.zeros(16))
    found = recordings(tmp_path, body, test=("CMU/02",))
    assert list(found) == ["amass/CMU/01/01_01_poses", "amass/CMU/02/02_01_poses"]
    r = found["amass/CMU/01/01_01_poses"]
    assert (r.subject, r.fps, r.split) == ("CMU/01", 60.0, "train") and found[
        "amass/CMU/02/02_01_poses"
    ].split == "test"
    rotations = quat_to_matrix(np.asarray(r.arrays["rotations"]))
    # At rest nothing is turned; a bone turns as its joint does.
    assert np.allclose(rotations[0], np.eye(3), atol=1e-6)
    world = Rotation.from_rotvec(data["poses"][::2, :3]).as_matrix() @ Y_UP_TO_Z_UP.T
    assert np.allclose(rotations[:, 0], world, atol=1e-6)
    names, hip = [b.name for b in body.bones], 1
    thigh = (
        world
        @ Y_UP_TO_Z_UP
        @ Rotation.from_rotvec(data["poses"][::2, 3 * hip : 3 * hip + 3]).as_matrix()
        @ Y_UP_TO_Z_UP.T
    )
    assert np.allclose(rotations[:, names.index("l_thigh")], thigh, atol=1e-6)
    joints = np.asarray(r.arrays["joints"])
    assert np.ptp(joints[0, :, 2]) > 1.6 and joints[0, body.joint("nose"), 1] < joints[0, body.joint("head"), 1]


def test_joints_without_a_model_say_what_to_run(tmp_path: Path) -> None:
    write_amass(tmp_path / "amass" / "a.npz")
    with pytest.raises(
        MotionliftError, match=r"a\.npz: does not say where .*body_model = .*or use a skeleton with bones"
    ):
        recordings(tmp_path, H36M)


@pytest.mark.parametrize("count", [24, 52, 55])
def test_joints_of_the_users_own_model(tmp_path: Path, count: int) -> None:
    data = write_amass(tmp_path / "amass" / "a.npz", count=count, betas=np.array([2.0, *[0.0] * 15]))
    write_model(tmp_path / "smplh" / "male" / "model.npz", count)
    joints = recordings(tmp_path, H36M, body_model="smplh/{gender}/model.npz")["amass/a"].arrays["joints"]
    truth = posed(data, count, 1.2)[::2]
    for ours, theirs in {"pelvis": "pelvis", "l_wrist": "left_wrist", "r_ankle": "right_ankle", "neck": "neck"}.items():
        assert np.allclose(joints[:, H36M.joint(ours)], truth[:, model_joints(count)[0].index(theirs)], atol=1e-9)
    top, head = joints[0, H36M.joint("head_top")], joints[0, H36M.joint("h36m_nose")]
    assert 0.1 < top[2] - head[2] < 0.25


def test_joints_in_the_file_are_used(tmp_path: Path, body: Skeleton) -> None:
    data = write_amass(tmp_path / "with" / "x.npz")
    joints = posed(data)[:, :22] * 1.5
    write_amass(tmp_path / "amass" / "a.npz", joints=joints)
    found = recordings(tmp_path, H36M)["amass/a"].arrays["joints"]
    assert np.allclose(found[:, H36M.joint("r_knee")], joints[::2, BODY.index("right_knee")])
    # Bones are aimed by them, and their size is taken off the path.
    r = recordings(tmp_path, body)["amass/a"]
    ours = np.asarray(r.arrays["joints"])
    step = ours[:, body.joint("l_knee")] - ours[:, body.joint("l_hip")]
    theirs = joints[::2, BODY.index("left_knee")] - joints[::2, BODY.index("left_hip")]
    cosine = (step * theirs).sum(-1) / np.linalg.norm(step, axis=-1) / np.linalg.norm(theirs, axis=-1)
    assert (cosine > 1 - 1e-9).all()


def test_smpl_x_files_have_other_names_for_the_rate(tmp_path: Path) -> None:
    write_amass(tmp_path / "a.npz", count=55, mocap_framerate=None, mocap_frame_rate=np.array(30.0))
    assert captured_amass(tmp_path / "a.npz", most_fps=60).fps == 30


DAMAGE = {
    r"no key 'poses'; it has": {"poses": None},
    r"no key 'mocap_framerate'": {"mocap_framerate": None},
    r"poses: shape \(24, 100\), expected \(T, 156\)": {"poses": np.zeros((24, 100))},
    r"trans: shape \(24, 2\), expected \(T, 3\)": {"trans": np.zeros((24, 2))},
    r"trans: 5 frames, expected the 12 of poses": {"trans": np.zeros((10, 3))},
    r"joints: shape \(12, 21, 3\), expected \(12, 22 or more, 3\)": {"joints": np.zeros((24, 21, 3))},
    r"gender: 'robot'": {"gender": np.array("robot")},
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damage_is_named_by_file_key_and_shape(tmp_path: Path, message: str) -> None:
    write_amass(tmp_path / "a.npz", **DAMAGE[message])
    write_model(tmp_path / "model.npz")
    with pytest.raises(MotionliftError, match=rf"a\.npz.*{message}"):
        captured_amass(tmp_path / "a.npz", str(tmp_path / "{gender}.npz"), 60)


def test_a_model_that_does_not_fit(tmp_path: Path) -> None:
    write_amass(tmp_path / "a.npz")
    write_model(tmp_path / "model.npz", 55)
    with pytest.raises(MotionliftError, match=r"model\.npz: a model of 55 joints, but the poses are of 52"):
        captured_amass(tmp_path / "a.npz", str(tmp_path / "model.npz"))
    np.savez(tmp_path / "other.npz", v_template=np.zeros((5, 3)))
    with pytest.raises(MotionliftError, match=r"other\.npz: no key 'shapedirs'"):
        captured_amass(tmp_path / "a.npz", str(tmp_path / "other.npz"))


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "amass").mkdir()
    with pytest.raises(MotionliftError, match=r"no \.npz file"):
        recordings(tmp_path, H36M)
