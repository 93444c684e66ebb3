"""Fingers that are known come back, on either hand, however it is held; unseen hands relax without a jump."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lifter import hands as h
from lifter.errors import MotionliftError
from lifter.rotation import matrix_to_quat, quat_to_matrix
from lifter.skeleton import Skeleton, load_skeleton
from lifter.take import load_take, save_take

from .test_take import make_take

FPS = 30.0


def turns(count: int, seed: int = 0) -> np.ndarray:
    q = np.random.default_rng(seed).normal(size=(count, 4))
    return quat_to_matrix(q / np.linalg.norm(q, axis=-1, keepdims=True))


def anyhow(count: int, seed: int = 0) -> np.ndarray:
    """(N, 5, 4) angles within limits."""
    return h.LOWEST + (h.HIGHEST - h.LOWEST) * np.random.default_rng(seed).random((count, 5, 4))


def seen(points: np.ndarray, sides: tuple[int, ...] = (0, 1)) -> h.SeenHands:
    """(T, 21, 3) points of a left hand, on these sides."""
    out = h.no_hands(len(points))
    for side in sides:
        out.world[:, side] = points * ([-1, 1, 1] if side else [1, 1, 1])
        out.score[:, side], out.xy[:, side], out.size[:, side] = 0.9, 100, 80
    return out


def solve(found: h.SeenHands, strength: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """By the angles of their points in 3D."""
    return h.solve_fingers(*measured(found), found.score, FPS, strength)


def unsolved(found: h.SeenHands) -> h.Hands:
    return h.unsolved_hands(found, *measured(found))


def measured(found: h.SeenHands) -> tuple[np.ndarray, np.ndarray]:
    angles = h.measure_angles(np.nan_to_num(found.world) * np.array([[1, 1, 1], [-1, 1, 1]])[:, None])
    angles[np.isnan(found.world).any((-1, -2))] = np.nan
    return angles.astype(np.float32), np.full(angles.shape, 0.1, np.float32)


def test_angles_come_back_however_the_hand_is_held_and_large() -> None:
    angles = anyhow(300)
    points = h.hand_shape(angles) @ turns(300) * 1.7 + [0.1, 2, 3]
    np.testing.assert_allclose(h.measure_angles(points), angles, atol=1e-6)


def test_bends_are_towards_the_palm_and_spread_towards_the_thumb() -> None:
    """In the T-pose the palm is down and the thumb ahead, which is -Y."""
    straight = np.zeros((5, 4))
    tip = h.hand_shape(straight)[8]
    for bone in (1, 2, 3):
        bent = straight.copy()
        bent[1, bone] = 0.5
        assert h.hand_shape(bent)[8][2] < tip[2] - 0.005
    spread = straight.copy()
    spread[1, 0] = 0.2
    assert h.hand_shape(spread)[8][1] < tip[1] - 0.01
    lengths = np.linalg.norm(np.diff(h.hand_shape(anyhow(1)[0])[1:].reshape(5, 4, 3), axis=1), axis=-1)
    np.testing.assert_allclose(lengths, h.LENGTHS)


def test_hands_of_other_proportions_are_off_by_little() -> None:
    rng = np.random.default_rng(1)
    angles = anyhow(200)
    knuckles, lengths = (x * (1 + rng.normal(0, 0.04, (5, 1))) for x in (h.KNUCKLES, h.LENGTHS))
    off = np.degrees(np.abs(h.measure_angles(h.hand_shape(angles, knuckles, lengths)) - angles))
    assert np.median(off) < 1.5 and np.percentile(off, 95) < 8


def test_limits_keep_what_hands_can_do() -> None:
    possible = h.limited(anyhow(50))
    assert (possible <= h.HIGHEST + 1e-9).all() and (possible >= h.LOWEST - 1e-9).all()
    np.testing.assert_array_equal(possible[..., 1:], anyhow(50)[..., 1:])
    fist = np.zeros((5, 4))
    fist[:, 0], fist[:, 1] = 0.4, np.radians(90)
    assert (h.limited(fist)[1:, 0] < np.radians(6)).all(), "a bent finger does not spread"
    assert (h.limited(np.full((5, 4), -3.0)) == h.limited(np.full((5, 4), -9.0))).all()


def test_moving_fingers_are_followed_through_noise() -> None:
    time = np.arange(120) / FPS
    angles = np.repeat(h.AT_REST[None], 120, 0)
    angles[:, 1:, 1:] += 0.5 * (1 - np.cos(2 * np.pi * 0.7 * time))[:, None, None]
    points = h.hand_shape(angles) + np.random.default_rng(0).normal(0, 0.002, (120, 21, 3))
    got, weight = solve(seen(points))
    assert (weight == 1).all()
    np.testing.assert_allclose(got[:, 0], got[:, 1], atol=1e-5)
    off = np.degrees(np.abs(got[:, 0] - angles))
    raw = np.degrees(np.abs(h.measure_angles(points) - angles))
    assert off[:, 1:].mean() < 4.5 and off[:, 1:].mean() < 0.75 * raw[:, 1:].mean()


def test_unseen_hands_relax_without_a_jump() -> None:
    """Bent throughout; unseen for 0.2 s, which is bridged, then for 2 s, then to the end. One frame of something else
    in the long pause counts for nothing."""
    bent = np.repeat((h.AT_REST + np.radians([0, 40, 40, 30]))[None], 180, 0)
    found = seen(h.hand_shape(h.limited(bent)), (0,))
    for start, stop in ((20, 26), (60, 90), (91, 120), (160, 180)):
        found.score[start:stop, 0] = 0
        found.world[start:stop, 0] = np.nan
    found.world[90, 0] = h.hand_shape(np.zeros((5, 4)))
    got, weight = solve(found)
    assert (weight[:, 1] == 0).all() and (got[:, 1] == h.AT_REST).all()
    assert (weight[:60, 0] == 1).all() and (weight[75:105, 0] == 0).all() and (weight[175:, 0] == 0).all()
    np.testing.assert_allclose(got[:60, 0], h.limited(bent)[:60], atol=0.02)
    np.testing.assert_allclose(got[75:105, 0], np.repeat(h.AT_REST[None], 30, 0), atol=1e-6)
    assert np.degrees(np.abs(np.diff(got[:, 0], axis=0))).max() < 12, "no joint turns faster than 360 degrees a second"


def test_nothing_seen_and_one_frame() -> None:
    got, weight = solve(h.no_hands(4))
    assert (weight == 0).all() and (got == h.AT_REST).all()
    got, _ = solve(seen(h.hand_shape(anyhow(1))))
    assert got.shape == (1, 2, 5, 4) and np.isfinite(got).all()


def solved(skeleton: Skeleton, frames: int = 6) -> tuple[h.Hands, np.ndarray, np.ndarray]:
    """Hands on bodies in any pose, (T, B, 4) rotations of these, and the (T, 5, 4) angles of both hands."""
    q = np.random.default_rng(2).normal(size=(frames, len(skeleton.bones), 4))
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    angles = h.limited(np.repeat(anyhow(1, 5), frames, 0))
    found = unsolved(seen(h.hand_shape(angles)))
    return h.solve_hands(found, q, skeleton.rest_offsets, skeleton, FPS, 0.0), q, angles


def test_finger_bones_turn_with_the_hand_and_bend_as_seen() -> None:
    """Forward kinematics of the bones gives the hand's shape, on the body's hand; the right one is its mirror image."""
    skeleton = load_skeleton()
    hands, q, angles = solved(skeleton)
    np.testing.assert_allclose(hands.angles[:, 0], angles, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(hands.rotations, axis=-1), 1, atol=1e-5)
    names = [b.name for b in skeleton.bones]
    joints, bones = h.hand_joints(), h.hand_bones()
    order = [j["name"] for j in joints]
    for side, letter in enumerate("lr"):
        mirror = np.array([-1.0 if side else 1.0, 1, 1])
        hand = quat_to_matrix(q[:, names.index(f"{letter}_hand")])
        shape = h.hand_shape(angles) * mirror * 1.0
        scale = np.linalg.norm(skeleton.rest_offsets[skeleton.joint(f"{letter}_index")]) / np.linalg.norm(h.KNUCKLES[1])
        wanted = (hand[:, None] @ (shape * scale)[..., None])[..., 0]
        at = {f"{letter}_wrist": np.zeros((len(q), 3))}
        turn = {f"{letter}_wrist": hand}
        turn |= {b["head"]: quat_to_matrix(hands.rotations[:, i].astype(float)) for i, b in enumerate(bones)}
        for joint in joints[20 * side : 20 * side + 20]:
            step = hands.offsets[order.index(joint["name"])].astype(float)
            at[joint["name"]] = at[joint["parent"]] + turn[joint["parent"]] @ step
        got = np.stack([at[j["name"]] for j in joints[20 * side : 20 * side + 20]], 1)
        np.testing.assert_allclose(got, wanted[:, 1:], atol=1e-4)


def test_joints_of_fingers_are_those_of_the_shape_on_the_solved_hand(body: Skeleton) -> None:
    held, angles = turns(6, seed=2), h.limited(anyhow(6, seed=2))
    found = seen(h.hand_shape(angles))
    rotations = np.tile(np.array([1.0, 0, 0, 0]), (6, len(body.bones), 1))
    bones = [b.name for b in body.bones]
    hands = [bones.index("l_hand"), bones.index("r_hand")]
    rotations[:, hands] = matrix_to_quat(held)[:, None]
    solved = h.solve_hands(unsolved(found), rotations, body.rest_offsets, body, FPS, 0.0)
    got = h.finger_joints(solved, rotations[:, hands])
    own = np.linalg.norm(body.rest_offsets[body.joint("l_index")]) / np.linalg.norm(h.KNUCKLES[1])
    shape = h.hand_shape(solved.angles[:, 0])[:, 1:] * own
    for side, mirror in enumerate(([1, 1, 1], [-1, 1, 1])):
        np.testing.assert_allclose(got[:, side], (shape * mirror) @ held.swapaxes(-1, -2), atol=1e-5)


def test_a_skeleton_without_hands_has_no_fingers() -> None:
    skeleton = load_skeleton("h36m")
    assert not h.has_hands(skeleton) and h.has_hands(load_skeleton())
    found = unsolved(h.no_hands(3))
    assert h.solve_hands(found, np.zeros((3, 16, 4)), np.zeros((17, 3)), skeleton, FPS, 0.4) is found


def test_a_take_keeps_its_hands(body: Skeleton, tmp_path: Path) -> None:
    take = make_take(body)
    hands, _, _ = solved(body, 5)
    take = replace(take, people=(replace(take.people[0], hands=hands),))
    again = load_take(save_take(take, tmp_path / "a.take.npz")).people[0].hands
    assert again is not None
    for name in h.Hands.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), getattr(hands, name))
    broken = replace(take.people[0], hands=replace(hands, angles=hands.angles[:, :1]))
    with pytest.raises(MotionliftError, match="people/0/hands/angles"):
        load_take(save_take(replace(take, people=(broken,)), tmp_path / "b.take.npz"))


def test_the_user_is_told_why_fingers_are_missing(body: Skeleton) -> None:
    person = make_take(body).people[0]
    assert h.hand_warnings([person], "auto") == []
    tiny = h.no_hands(5)
    tiny.size[:, 0], tiny.size[:, 1] = 12.0, 60.0
    small = replace(person, hands=unsolved(tiny))
    left, right = h.hand_warnings([small], "auto")
    assert left == f"Left hand: 12 px long in most frames; hands need about {h.SMALLEST:.0f} px"
    assert right == "Right hand: found in 0% of the frames; its fingers are relaxed in the others"
    assert h.hand_warnings([small], "off") == []
    assert h.hand_warnings([small, small], "on")[2].startswith("Person 2, left hand: 12 px")
    good = replace(person, hands=unsolved(seen(h.hand_shape(anyhow(5)))))
    assert h.hand_warnings([good], "auto") == []


def test_bones_hang_together() -> None:
    joints, bones = h.hand_joints(), h.hand_bones()
    names = {j["name"] for j in joints}
    assert len(names) == 40 and len(bones) == 30
    assert all(b["head"] in names and b["tail"] in names for b in bones)
    assert all(j["parent"] in names or j["parent"] in ("l_wrist", "r_wrist") for j in joints)
