from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lifter.errors import MotionliftError
from lifter.rotation import quat_to_matrix
from lifter.skeleton import Skeleton, load_skeleton
from tests.conftest import swinging
from tests.training.bvh_files import SCENE_TO_Y_UP, bvh_text
from training.data.bvh import captured_bvh, parse_bvh
from training.data.mocap import MAPS, Captured, JointMap, Size, find_contacts, load_map, transfer

MIXAMO = {
    "pelvis": "Hips", "spine": "Spine", "chest": "Spine2", "neck": "Neck", "head": "Head", "clavicle": "Shoulder",
    "upper_arm": "Arm", "forearm": "ForeArm", "hand": "Hand", "thigh": "UpLeg", "shin": "Leg", "foot": "Foot",
}  # fmt: skip


def mixamo_bvh(body: Skeleton, rotations: np.ndarray, prefix: str, scale: float = 1.0) -> bytes:
    """A rig of Mixamo's names and our proportions, whose bones turn by (T, B, 3, 3)."""
    side = {"l_": "Left", "r_": "Right"}
    names = [
        prefix + side.get(b.name[:2], "") + MIXAMO[b.name.removeprefix("l_").removeprefix("r_")] for b in body.bones
    ]
    heads = np.array([body.rest[body.joint(b.head)] for b in body.bones], float)
    parents = body.bone_parents
    offsets = np.array([heads[i] - heads[p] if p >= 0 else np.zeros(3) for i, p in enumerate(parents)])
    tips = {
        "Head": "head_top",
        "LeftFoot": "l_toe",
        "RightFoot": "r_toe",
        "LeftHand": "l_index",
        "RightHand": "r_index",
    }
    ends = {
        prefix + n: SCENE_TO_Y_UP @ (body.rest[body.joint(t)] - heads[names.index(prefix + n)]) * 100 * scale
        for n, t in tips.items()
    }
    root = np.tile(heads[0], (len(rotations), 1)) * scale
    axes = SCENE_TO_Y_UP
    return bvh_text(
        names, parents, offsets @ axes.T * 100 * scale, axes @ rotations @ axes.T, root @ axes.T * 100, ends
    ).encode()


@pytest.mark.parametrize("prefix", ["mixamorig:", "mixamorig_", "mixamorig", ""])
def test_mixamos_rotations_come_back_as_they_were(body: Skeleton, prefix: str) -> None:
    joint_map, rotations = load_map("mixamo"), swinging(body, 12)
    bvh = parse_bvh(mixamo_bvh(body, rotations, prefix), "x")
    arrays = transfer(captured_bvh(bvh, 0.01, joint_map, "x"), joint_map, body)
    assert np.allclose(quat_to_matrix(arrays["rotations"]), rotations, atol=1e-5)
    # On the floor, and where the body's own kinematics put them.
    offsets = arrays["joints"] - arrays["joints"][:, :1]
    assert np.allclose(arrays["root"], arrays["joints"][:, 0]) and offsets.shape == (12, 33, 3)
    assert np.allclose(
        np.linalg.norm(offsets[:, body.joint("l_hip")], axis=-1), np.linalg.norm(body.rest_offsets[body.joint("l_hip")])
    )
    lowest = arrays["joints"][:, [body.joint(n) for n in ("l_heel", "l_toe", "r_heel", "r_toe")], 2].min(1)
    assert np.percentile(lowest, 10) == pytest.approx(0, abs=1e-9)


def test_a_performers_size_is_taken_off_the_path(body: Skeleton) -> None:
    joint_map, rotations = load_map("mixamo"), np.tile(np.eye(3), (3, len(body.bones), 1, 1))
    small = transfer(
        captured_bvh(parse_bvh(mixamo_bvh(body, rotations, "", 0.5), "x"), 0.01, joint_map, "x"), joint_map, body
    )
    assert np.allclose(small["root"][:, 2] - small["joints"][:, body.joint("l_ankle"), 2], 0.845, atol=1e-3)


def test_the_same_map_serves_a_skeleton_without_bones(body: Skeleton) -> None:
    h36m, joint_map, rotations = load_skeleton("h36m"), load_map("mixamo"), swinging(body, 6)
    bvh = parse_bvh(mixamo_bvh(body, rotations, "mixamorig:").replace(b"Spine2", b"Spine1"), "x")
    joint_map = replace(joint_map, joints=joint_map.joints | {"head_top": {"end:Head": 1}})
    arrays = transfer(captured_bvh(bvh, 0.01, joint_map, "x"), joint_map, h36m)
    assert set(arrays) == {"joints", "up"} and arrays["joints"].shape == (6, 17, 3)
    full = transfer(
        captured_bvh(parse_bvh(mixamo_bvh(body, rotations, ""), "x"), 0.01, load_map("mixamo"), "x"),
        load_map("mixamo"),
        body,
    )
    for name in ("r_ankle", "l_wrist", "head_top"):
        ours, theirs = (
            a["joints"][:, s.joint(name)] - a["joints"][:, s.joint("pelvis")] for a, s in ((full, body), (arrays, h36m))
        )
        assert np.allclose(ours, theirs, atol=1e-5)


def captured(positions: np.ndarray, **more) -> Captured:
    names = tuple("abcd"[: positions.shape[1]])
    return Captured("take.bvh", 50.0, names, positions, more.get("turns"), more.get("ends", {}), more.get("why", ""))


POINTS = load_skeleton("h36m")


def three_points() -> Skeleton:
    return replace(POINTS, joint_names=("x", "y", "z"), parents=(-1, 0, 1), rest=POINTS.rest[:3], markers=(False,) * 3)


def test_places_between_and_beyond_joints_and_end_sites() -> None:
    rng = np.random.default_rng(0)
    positions, end = rng.normal(size=(4, 3, 3)), rng.normal(size=(4, 3))
    joint_map = JointMap(joints={"x": {"a": 1}, "y": {"a": 2, "b": -1}, "z": {"end:c": 1}})
    joints = transfer(captured(positions, ends={"c": end}), joint_map, three_points())["joints"]
    assert np.allclose(joints[:, 0], positions[:, 0]) and np.allclose(joints[:, 2], end)
    assert np.allclose(joints[:, 1], 2 * positions[:, 0] - positions[:, 1])


NOWHERE = {
    r"lacks z of skeleton": {"x": {"a": 1}, "y": {"b": 1}},
    r"take\.bvh: no joint 'e'.*The file has a, b, c": {"x": {"a": 1}, "y": {"b": 1}, "z": {"e": 1}},
    r"take\.bvh: joint 'a' has no End Site": {"x": {"a": 1}, "y": {"b": 1}, "z": {"end:a": 1}},
}


@pytest.mark.parametrize("message", NOWHERE)
def test_a_map_that_does_not_fit_the_file_or_the_skeleton(message: str) -> None:
    with pytest.raises(MotionliftError, match=message):
        transfer(captured(np.zeros((4, 3, 3))), JointMap(joints=NOWHERE[message], path="my.toml"), three_points())


def test_places_may_be_written_in_three_ways(tmp_path: Path) -> None:
    text = '[joints]\nx = "a"\ny = ["a", "end:b"]\nz = { a = 1.5, b = -0.5 }'
    (tmp_path / "my.toml").write_text(text)
    joints = load_map("my.toml", tmp_path).joints
    assert joints == {"x": {"a": 1}, "y": {"a": 0.5, "end:b": 0.5}, "z": {"a": 1.5, "b": -0.5}}


def test_positions_that_a_file_does_not_say() -> None:
    positions = np.zeros((4, 3, 3))
    positions[:, 1] = np.nan
    joint_map = JointMap(joints={"x": {"a": 1}, "y": {"b": 1}, "z": {"c": 1}})
    with pytest.raises(MotionliftError, match=r"does not say where b is\. Get a body model"):
        transfer(captured(positions, why="Get a body model"), joint_map, three_points())


WRONG_MAPS = {
    r"unknown key 'bone'.*'bones'": 'bone = { pelvis = "Hips" }',
    r"no bone 'l_tigh'.*Did you mean 'l_thigh'": '[bones]\nl_tigh = "LeftUpLeg"',
    r"a list of 2": '[aim]\nl_thigh = ["LeftUpLeg"]',
    r"size: .* no joint 'l_hop'": '[bones]\npelvis = "a"\n[size]\ntheirs = ["a", "b"]\nours = ["l_hop", "l_knee"]',
    "cannot be read as TOML": "bones",
    "joints.z: weights sum to 1.5": "[joints]\nz = { a = 1.0, b = 0.5 }",
}


@pytest.mark.parametrize("message", WRONG_MAPS)
def test_wrong_maps_are_named(tmp_path: Path, body: Skeleton, message: str) -> None:
    (tmp_path / "my.toml").write_text(WRONG_MAPS[message])
    with pytest.raises(MotionliftError, match=rf"my\.toml.*{message}"):
        transfer(captured(np.zeros((4, 3, 3))), load_map("my.toml", tmp_path), body)


def test_unknown_maps_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(MotionliftError, match=r"Did you mean 'mixamo'\? Known: accad, cmu"):
        load_map("mixamoo")


def test_positions_alone_turn_no_bones(body: Skeleton) -> None:
    with pytest.raises(MotionliftError, match="no rotations"):
        transfer(captured(np.zeros((4, 3, 3))), JointMap(bones={"pelvis": "a"}, size=Size(("a",), ("pelvis",))), body)


@pytest.mark.parametrize("name", sorted(p.stem for p in MAPS.glob("*.toml")))
def test_every_map_says_its_unit_and_what_turns_each_bone(body: Skeleton, name: str) -> None:
    joint_map = load_map(name)
    assert joint_map.unit_m
    assert set(POINTS.joint_names) - set(joint_map.joints) <= {"head_top"}
    still = [b.name for b in body.bones if b.name not in joint_map.bones and b.name not in joint_map.aim]
    assert all(n.endswith("hand") for n in still)  # as the forearm


@pytest.mark.parametrize("source", ["accad", "cmu_mb", "cmu_daz", "cmu_c3s2s", "mhad"])
def test_real_recordings_stand_on_their_feet(shared: Path, body: Skeleton, source: str) -> None:
    import json
    import tarfile

    folder = shared / "data" / "mocap"
    record = next(m for m in json.loads((folder / "manifest.json").read_text()) if m["source"] == source)
    with tarfile.open(folder / f"{source}.tar.xz") as archive:
        file = archive.extractfile(record["file"])
        assert file
        bvh = parse_bvh(file.read(), record["file"])
    joint_map = load_map(source)
    assert joint_map.unit_m == record["unit_m"]
    joints = transfer(captured_bvh(bvh, record["unit_m"], joint_map, source), joint_map, body)["joints"]
    assert np.isfinite(joints).all()
    assert 1.3 < np.median(np.ptp(joints[..., 2], axis=1)) < 1.9  # upright, Z up
    assert abs(np.percentile(joints[..., 2].min(1), 10)) < 0.05  # on the floor
    left = joints[:, body.joint("l_hip")] - joints[:, body.joint("r_hip")]
    ahead = np.cross(left, [0, 0, 1.0])
    toes = joints[:, body.joint("l_toe")] - joints[:, body.joint("l_heel")]
    assert np.median((ahead * toes).sum(-1)) > 0  # toes point ahead
    if "head_top" not in joint_map.joints:
        with pytest.raises(MotionliftError, match=r"lacks head_top"):
            transfer(captured_bvh(bvh, record["unit_m"], joint_map, source), joint_map, POINTS)
        return
    # A skeleton without bones gets the performer's own joints, which are of a similar size.
    h36m = transfer(captured_bvh(bvh, record["unit_m"], joint_map, source), joint_map, POINTS)["joints"]
    assert 1.2 < np.median(np.ptp(h36m[..., 2], axis=1)) < 2.1


def test_contacts_are_told_by_height_and_speed() -> None:
    """A foot that stands for a second, is lifted for one, and slides along the ground for one."""
    time = np.arange(0, 3, 1 / 60)
    foot = np.zeros((len(time), 1, 3))
    lifted, slides = (time >= 1) & (time < 2), time >= 2
    foot[lifted, 0, 2] = 0.3 * np.sin(np.pi * (time[lifted] - 1))
    foot[slides, 0, 0] = 0.5 * (time[slides] - 2)
    foot += 0.0005 * np.random.default_rng(0).normal(size=foot.shape)  # jitter of some cm/s does not break a stance
    touches = find_contacts(foot, 60.0)[:, 0]
    assert touches[2:55].all() and not touches[70:115].any() and not touches[125:].any()
    assert np.abs(np.diff(touches)).sum() <= 3


def test_a_single_moment_of_standing_does_not_count() -> None:
    foot = np.zeros((60, 1, 3))
    foot[:, 0, 0] = np.concatenate([np.arange(29) * 0.02, [0.58, 0.58], 0.58 + np.arange(29) * 0.02])
    assert not find_contacts(foot, 60.0).any()


def test_a_heel_that_rests_higher_than_the_toe_stands_too() -> None:
    """A recording's foot on our skeleton: the heel rests 7 cm higher. One second on the floor, one of swing."""
    swing = np.sin(np.pi * np.arange(60) / 60)
    heights = np.concatenate([np.zeros(60), 0.3 * swing, np.zeros(60)])
    forward = np.concatenate([np.zeros(60), np.linspace(0, 1, 60), np.ones(60)])
    foot = np.zeros((180, 2, 3))
    foot[..., 2], foot[..., 1] = heights[:, None] + [0.07, 0.0], forward[:, None]
    touches = find_contacts(foot, 60.0)
    np.testing.assert_array_equal(touches[:, 0], touches[:, 1])
    assert touches[5:55].all() and touches[125:175].all() and not touches[65:115].any()


def test_a_heel_that_never_comes_down_does_not_stand() -> None:
    foot = np.zeros((120, 2, 3))
    foot[:, 0, 2] = 0.16
    touches = find_contacts(foot, 60.0)
    assert touches[:, 1].all() and not touches[:, 0].any()
