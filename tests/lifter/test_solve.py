from __future__ import annotations

import numpy as np
import pytest

from lifter.rotation import quat_to_matrix
from lifter.skeleton import Skeleton
from lifter.solve import (
    bend_limbs,
    forward_kinematics,
    rigid_fit,
    sole_heights,
    solve_offsets,
    solve_rotations,
    standing_height,
    steady_fit,
)

Moving = tuple[np.ndarray, np.ndarray, np.ndarray]


def angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Degrees between rotations, accurate near zero."""
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=(-1, -2)) / np.sqrt(8), 0, 1)))


def test_rest_pose_gives_no_rotation(body: Skeleton) -> None:
    rotations = solve_rotations(body, np.tile(body.rest, (5, 1, 1)), 30)
    assert angles(rotations, np.eye(3)).max() < 0.01


def test_known_rotations_are_found_twist_included(body: Skeleton, moving: Moving) -> None:
    rotations, _, joints = moving
    names = [b.name for b in body.bones]
    error = angles(solve_rotations(body, joints, 30), rotations).max(0)
    # Fitted bones and hinged limbs are fully observed. A forearm follows its hinge, a shin likewise.
    for name in ("pelvis", "head", "l_hand", "r_hand", "l_foot", "r_foot"):
        assert error[names.index(name)] < 0.1, name
    # The chest is read off the shoulders, which collar bones move a little.
    assert error[names.index("chest")] < 4
    for name in ("l_upper_arm", "r_upper_arm", "l_thigh", "r_thigh", "l_forearm", "l_shin"):
        assert error[names.index(name)] < 3, name


def test_a_rotated_person_gives_rotated_bones(body: Skeleton, moving: Moving) -> None:
    _, _, joints = moving
    turn = quat_to_matrix(np.array([0.5, 0.5, -0.5, 0.5]))
    assert angles(solve_rotations(body, joints @ turn.T, 30), turn @ solve_rotations(body, joints, 30)).max() < 0.01


def test_mirrored_motion_gives_mirrored_rotations(body: Skeleton, moving: Moving) -> None:
    _, _, joints = moving
    flip = np.diag([-1.0, 1, 1])
    names = [b.name for b in body.bones]
    swap = [names.index({"l_": "r_", "r_": "l_"}.get(n[:2], n[:2]) + n[2:]) for n in names]
    mirrored = solve_rotations(body, joints[:, body.mirror] @ flip, 30)
    assert angles(mirrored, flip @ solve_rotations(body, joints, 30)[:, swap] @ flip).max() < 0.01


def test_forward_kinematics_gives_the_joints_back(body: Skeleton, moving: Moving) -> None:
    rotations, offsets, joints = moving
    again = forward_kinematics(body, rotations, solve_offsets(body, joints, rotations))
    assert np.abs(again - joints).max() < 1e-3
    assert np.allclose(solve_offsets(body, joints, rotations), offsets, atol=2e-3)


def test_bone_lengths_are_constant_and_symmetric(body: Skeleton, moving: Moving) -> None:
    _, _, joints = moving
    noisy = joints + np.random.default_rng(0).normal(size=joints.shape) * 0.01
    rotations = solve_rotations(body, noisy, 30)
    solved = forward_kinematics(body, rotations, solve_offsets(body, noisy, rotations))
    for a, b in (("hip", "knee"), ("shoulder", "elbow")):
        both = [
            np.linalg.norm(solved[:, body.joint(f"{s}_{a}")] - solved[:, body.joint(f"{s}_{b}")], axis=-1) for s in "lr"
        ]
        assert np.ptp(both[0]) < 1e-9 and both[0][0] == pytest.approx(both[1][0])


def test_a_straight_limb_keeps_the_last_good_hinge(body: Skeleton, moving: Moving) -> None:
    rotations, offsets, _ = moving
    rotations = rotations.copy()
    names = [b.name for b in body.bones]
    # The left arm is straight in the middle third: its twist is not observed there and must not jump.
    rotations[30:60, names.index("l_forearm")] = rotations[30:60, names.index("l_upper_arm")]
    rotations[30:60, names.index("l_hand")] = rotations[30:60, names.index("l_upper_arm")]
    joints = forward_kinematics(body, rotations, offsets)
    joints += np.random.default_rng(1).normal(size=joints.shape) * 1e-4
    arm = solve_rotations(body, joints, 30)[:, names.index("l_upper_arm")]
    assert angles(arm[1:], arm[:-1]).max() < 12


def test_limbs_of_the_right_length_stay_as_they_are(body: Skeleton, moving: Moving) -> None:
    rotations, offsets, joints = moving
    assert np.abs(bend_limbs(body, joints, rotations, offsets) - joints).max() < 2e-3


def test_a_squat_whose_legs_seem_short_bends_its_knees(body: Skeleton, moving: Moving) -> None:
    _, offsets, _ = moving
    joints = np.tile(body.rest.astype(np.float64), (30, 1, 1))
    shins = [body.joint(f"{s}_{n}") for s in "lr" for n in ("ankle", "heel", "toe")]
    joints[:, shins, 2] += 0.35
    joints[:, [body.joint("l_knee"), body.joint("r_knee")], 2] += 0.175
    rotations = solve_rotations(body, joints, 30)
    bent = bend_limbs(body, joints, rotations, offsets)
    for s in "lr":
        hip, knee, ankle = (bent[:, body.joint(f"{s}_{n}")] for n in ("hip", "knee", "ankle"))
        assert np.allclose(np.linalg.norm(knee - hip, axis=-1), np.linalg.norm(offsets[body.joint(f"{s}_knee")]))
        assert np.allclose(np.linalg.norm(ankle - knee, axis=-1), np.linalg.norm(offsets[body.joint(f"{s}_ankle")]))
        assert (knee[:, 1] < hip[:, 1] - 0.2).all()  # forwards


def test_an_arm_that_grows_longer_than_its_bones_does_not_snap_straight(body: Skeleton, moving: Moving) -> None:
    """Seen a little too short at first and too long at last, bent by the same 30 degrees all the while."""
    _, offsets, _ = moving
    shoulder, elbow, wrist = (body.joint(f"l_{n}") for n in ("shoulder", "elbow", "wrist"))
    joints = np.tile(body.rest.astype(np.float64), (60, 1, 1))
    upper, lower = (np.linalg.norm(offsets[j]) for j in (elbow, wrist))
    size = np.linspace(0.98, 1.08, 60)[:, None]
    joints[:, elbow] = joints[:, shoulder] + size * [upper, 0, 0]
    joints[:, wrist] = joints[:, elbow] + size * lower * np.array([np.cos(np.pi / 6), -np.sin(np.pi / 6), 0])
    bent = bend_limbs(body, joints, solve_rotations(body, joints, 30), offsets)
    u, v = bent[:, elbow] - bent[:, shoulder], bent[:, wrist] - bent[:, elbow]
    bend = np.degrees(np.arccos((u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)))
    assert np.abs(np.diff(bend)).max() < 3
    assert bend.min() > 29 and bend.max() < 45


def test_rigid_fit_is_a_rotation_even_for_mirrored_points() -> None:
    points = np.random.default_rng(0).normal(size=(5, 3))
    r = rigid_fit(points, (points * [-1, 1, 1])[None])
    assert np.linalg.det(r[0]) == pytest.approx(1)


def test_standing_height(body: Skeleton, moving: Moving) -> None:
    """From the ground, on which soles stand that lie below all joints."""
    assert np.ptp(body.rest[:, 2]) == pytest.approx(1.682)
    assert standing_height(body, moving[1]) == pytest.approx(1.70, abs=1e-6)
    assert standing_height(body, 0.5 * moving[1]) == pytest.approx(0.85, abs=1e-6)


def test_sole_heights(body: Skeleton) -> None:
    """Heels and toes lie inside the foot: 25 and 18 mm above the ground for somebody of the rest pose's size."""
    assert sole_heights(body, body.rest_offsets, ["l_heel", "l_toe"]) == pytest.approx([0.025, 0.018], abs=1e-6)
    assert sole_heights(body, 2 * body.rest_offsets, ["r_heel", "r_toe"]) == pytest.approx([0.05, 0.036], abs=1e-6)
    assert sole_heights(body, body.rest_offsets, []).shape == (0,)


def test_a_torso_that_passes_through_one_line_does_not_flip(body: Skeleton) -> None:
    """Somebody turns about; midway hips and shoulders seem to lie on the spine, and noise alone says how he faces."""
    at = np.linspace(0, 1, 60)
    half = np.radians(90) * at / 2
    truth = quat_to_matrix(np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], -1))
    joints = body.rest.astype(np.float64) @ np.swapaxes(truth, -1, -2)
    collapsed = 1 - np.exp(-(((at - 0.5) / 0.08) ** 2))  # of the distance from the midline
    middle = joints[:, [body.joint("neck")]] * [1, 1, 0]
    wide = joints - middle
    joints = np.concatenate([wide[..., :2] * collapsed[:, None, None], wide[..., 2:]], -1) + middle
    joints += 0.0015 * np.random.default_rng(0).normal(size=joints.shape)
    found = solve_rotations(body, joints, 30)
    for name in ("pelvis", "spine", "chest"):
        bone = found[:, [b.name for b in body.bones].index(name)]
        assert angles(bone[1:], bone[:-1]).max() < 8  # 1.5 degrees a frame are true
        assert angles(bone, truth).max() < 15
    pelvis = [body.joint(n) for n in ("spine", "l_hip", "r_hip")]
    vectors = joints[:, pelvis] - joints[:, :1]
    plain = rigid_fit(body.rest[pelvis] - body.rest[0].astype(np.float64), vectors)
    assert angles(plain[1:], plain[:-1]).max() > 60  # what it was before


def test_well_seen_joints_are_fitted_as_they_are() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5, 3))
    q = rng.normal(size=(20, 4))
    turns = quat_to_matrix(q / np.linalg.norm(q, axis=-1, keepdims=True))
    posed = points @ np.swapaxes(turns, -1, -2)
    assert angles(steady_fit(points, posed, 30), turns).max() < 1e-4
    assert np.isfinite(steady_fit(points, np.zeros_like(posed), 30)).all()


@pytest.mark.parametrize("above, middle, below", [("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")])
@pytest.mark.parametrize("backwards", [0.0, 12.0, 22.0])
def test_knees_and_elbows_do_not_bend_backwards(
    body: Skeleton, above: str, middle: str, below: str, backwards: float
) -> None:
    """A limb bends by 40 degrees, then seems to go so far beyond straight, under noise of half a centimetre."""
    rng = np.random.default_rng(0)
    bend = np.radians(np.interp(np.arange(120), [0, 40, 60, 80, 120], [40, 40, -backwards, -backwards, 40]))
    joints = np.tile(body.rest.astype(np.float64), (120, 1, 1))
    a, m, z = (body.joint(f"l_{n}") for n in (above, middle, below))
    # Seen from the knee, the way the shin goes when it bends; likewise the forearm.
    along, back = (body.rest[z] - body.rest[m]).astype(np.float64), np.array([0, 1.0, 0])
    back = back if middle == "knee" else -back
    length = float(np.linalg.norm(along))
    joints[:, z] = joints[:, m] + np.cos(bend)[:, None] * along + np.sin(bend)[:, None] * length * back
    joints += 0.005 * rng.normal(size=joints.shape)
    rotations = solve_rotations(body, joints, 30)
    offsets = body.rest_offsets
    rotations = solve_rotations(body, bend_limbs(body, joints, rotations, offsets), 30)
    upper = [b.name for b in body.bones].index("l_thigh" if middle == "knee" else "l_upper_arm")
    solved = forward_kinematics(body, rotations, offsets)
    u, v = solved[:, m] - solved[:, a], solved[:, z] - solved[:, m]
    axis = rotations[:, upper] @ np.array(body.bones[upper].axis)
    turn = np.degrees(np.arctan2((np.cross(u, v) * axis).sum(-1), (u * v).sum(-1)))
    assert turn.min() > -5
    assert np.abs(turn[:35] - 40).max() < 12  # what does bend still does


def test_heads_and_chests_turn_no_farther_than_people_can(body: Skeleton) -> None:
    half = np.radians(np.linspace(0, 160, 40)) / 2
    turn = quat_to_matrix(np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], -1))
    joints = np.tile(body.rest.astype(np.float64), (40, 1, 1))
    head = [body.joint(n) for n in ("head_top", "nose", "l_ear", "r_ear")]
    middle = joints[:, [body.joint("head")]]
    joints[:, head] = (joints[:, head] - middle) @ np.swapaxes(turn, -1, -2) + middle
    names = [b.name for b in body.bones]
    rotations = solve_rotations(body, joints, 30)
    between = angles(rotations[:, names.index("head")], rotations[:, names.index("chest")])
    assert between.max() == pytest.approx(100, abs=0.5)
    assert np.allclose(between[:20], np.linspace(0, 160, 40)[:20], atol=0.1)


def test_bones_whose_joints_stayed_keep_their_rotation(body: Skeleton, moving: Moving) -> None:
    """Where nothing moved, or all together, the rotations before are the answer; others are found as without them."""
    _, _, joints = moving
    first = solve_rotations(body, joints, 30)
    same = solve_rotations(body, joints + [0.1, 0.2, -0.05], 30, before=(joints, first))
    assert angles(same, first).max() < 1e-4
    bent = np.array(joints)
    bent[:, body.joint("l_toe")] += [0, 0, 0.05]
    bent[:, body.joint("l_elbow")] += [0.03, 0, 0]
    assert angles(solve_rotations(body, bent, 30, before=(joints, first)), solve_rotations(body, bent, 30)).max() < 1e-4
