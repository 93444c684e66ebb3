"""Quaternions, Blender's Euler orders and axis and angle: known answers, Blender's own, and continuity in time."""

from __future__ import annotations

from itertools import permutations

import bpy  # noqa: F401  mathutils comes with it
import numpy as np
import pytest
from mathutils import Euler, Quaternion, Vector

from blender_addon.retarget.rotations import (
    Array,
    about,
    angle_between,
    continuous,
    from_euler,
    from_matrix,
    inverse,
    multiply,
    rotate,
    slerp,
    swing,
    to_axis_angle,
    to_euler,
    to_matrix,
    twist_angle,
    unit,
)

ORDERS = ["".join(p) for p in permutations("XYZ")]
X, Y, Z = np.eye(3)


def some(count: int, seed: int = 0) -> Array:
    return unit(np.random.default_rng(seed).normal(size=(count, 4)))


def wandering(count: int = 400, seed: int = 0, step: float = 0.08) -> Array:
    """Small turns one after the other, through everything that Euler angles have trouble with."""
    rng = np.random.default_rng(seed)
    axis = unit(np.cumsum(rng.normal(size=(count, 3)), 0))
    out = [np.array([1.0, 0, 0, 0])]
    for a in about(axis, step):
        out.append(multiply(a, out[-1]))
    return np.array(out[1:])


def degrees(a: Array, b: Array) -> float:
    return float(np.degrees(angle_between(a, b)).max())


@pytest.mark.parametrize("order", ORDERS)
def test_euler_angles_are_blenders(order: str) -> None:
    q = some(50)
    got = to_euler(q, order)
    for each, angles in zip(q, got, strict=True):
        back = Euler(angles, order).to_quaternion()
        assert degrees(np.array(back), each) < 1e-2
    assert degrees(from_euler(got, order), q) < 1e-4


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(4))
def test_euler_angles_do_not_flip(order: str, seed: int) -> None:
    """Steps of 4.6 degrees stay small in every channel wherever the middle angle is away from a right angle."""
    q = wandering(seed=seed)
    angles = to_euler(q, order)
    assert degrees(from_euler(angles, order), q) < 1e-3
    middle = np.abs(np.cos(angles[:, "XYZ".index(order[1])]))
    steps = np.abs(np.diff(angles, axis=0)).max(1)
    away = np.minimum(middle[1:], middle[:-1])
    # Near gimbal lock the outer two angles truly run: by the turn divided by the cosine.
    assert (steps < 0.08 * 2.5 / np.maximum(away, 0.08)).all()


@pytest.mark.parametrize("order", ORDERS)
def test_a_turn_through_gimbal_lock_is_smooth(order: str) -> None:
    """The middle angle goes straight through a right angle: no other channel moves."""
    axis = np.eye(3)["XYZ".index(order[1])]
    wanted = np.radians(np.linspace(0, 170, 171))
    angles = to_euler(about(np.broadcast_to(axis, (171, 3)), wanted), order)
    assert np.abs(angles[:, "XYZ".index(order[1])] - wanted).max() < 1e-6
    others = ["XYZ".index(order[0]), "XYZ".index(order[2])]
    assert np.abs(angles[:, others]).max() < 1e-6


@pytest.mark.parametrize("order", ORDERS)
def test_staying_in_gimbal_lock(order: str) -> None:
    """Middle angle at 90 degrees while the outer one turns: only their sum is seen, and it moves on evenly."""
    outer = np.radians(np.linspace(0, 300, 301))
    wanted = np.zeros((301, 3))
    wanted[:, "XYZ".index(order[1])] = np.pi / 2
    wanted[:, "XYZ".index(order[0])] = outer
    q = from_euler(wanted, order)
    angles = to_euler(q, order)
    assert degrees(from_euler(angles, order), q) < 1e-2
    assert np.abs(np.diff(angles, axis=0)).max() < np.radians(2)


def test_euler_angles_pass_180_degrees_and_go_on() -> None:
    turn = np.radians(np.linspace(0, 1080, 721))
    angles = to_euler(about(np.broadcast_to(Z, (721, 3)), turn), "XYZ")
    assert np.abs(angles[:, 2] - turn).max() < 1e-6


def test_euler_angles_of_one_frame_and_none() -> None:
    assert to_euler(np.zeros((0, 4)), "XYZ").shape == (0, 3)
    assert np.allclose(to_euler(about(X, 0.3)[None], "XYZ"), [[0.3, 0, 0]])


@pytest.mark.parametrize("seed", range(4))
def test_axis_and_angle_are_continuous(seed: int) -> None:
    """What is keyed means the rotation, and between two keys Blender's straight lines stay on the way."""
    q = wandering(seed=seed)
    keys = to_axis_angle(q)
    assert np.allclose(np.linalg.norm(keys[:, 1:], axis=1), 1)
    assert degrees(about(keys[:, 1:], keys[:, 0]), q) < 1e-3
    between = (keys[1:] + keys[:-1]) / 2
    half = slerp(continuous(q)[:-1], continuous(q)[1:], 0.5)
    # Where the angle is near none (or a full turn), the axis may swing round: the rotation is small there.
    sure = np.abs(np.sin(between[:, 0] / 2)) > 0.2
    assert sure.sum() > 100
    assert degrees(about(unit(between[:, 1:]), between[:, 0])[sure], half[sure]) < 2


def test_axis_and_angle_wind_up() -> None:
    turn = np.radians(np.linspace(10, 700, 231))
    keys = to_axis_angle(about(np.broadcast_to(Y, (231, 3)), turn))
    assert np.abs(np.diff(keys[:, 0])).max() < np.radians(4)
    assert np.abs(np.abs(keys[:, 0] - keys[0, 0]) - (turn - turn[0])).max() < 1e-6


def test_signs_are_continuous() -> None:
    q = wandering() * np.where(np.random.default_rng(1).random(400) < 0.5, -1, 1)[:, None]
    out = continuous(q)
    assert ((out[1:] * out[:-1]).sum(1) > 0).all()
    assert out[0, 0] >= 0
    assert degrees(out, q) < 1e-5
    assert continuous(np.zeros((0, 4))).shape == (0, 4)


def test_multiplication_and_turning_are_mathutils() -> None:
    a, b, v = some(20, 1), some(20, 2), np.random.default_rng(3).normal(size=(20, 3))
    for one, other, vector, got, turned in zip(a, b, v, multiply(a, b), rotate(a, v), strict=True):
        assert np.allclose(Quaternion(one) @ Quaternion(other), got, atol=1e-6)
        assert np.allclose(Quaternion(one) @ Vector(vector), turned, atol=1e-5)
    assert np.allclose(multiply(a, inverse(a)), [1, 0, 0, 0])


def test_matrices_there_and_back() -> None:
    q = np.concatenate([some(50), about(np.eye(3), np.pi), about(np.eye(3), np.pi - 1e-9)])
    assert degrees(from_matrix(to_matrix(q)), q) < 1e-4


def test_the_smallest_turn_between_directions() -> None:
    rng = np.random.default_rng(0)
    a, b = unit(rng.normal(size=(50, 3))), unit(rng.normal(size=(50, 3)))
    q = swing(a, 3 * b)
    assert np.allclose(rotate(q, a), b, atol=1e-9)
    assert np.allclose(2 * np.arccos(np.clip(q[:, 0], -1, 1)), np.arccos((a * b).sum(1)), atol=1e-6)
    opposite = swing(a, -a)
    assert np.allclose(rotate(opposite, a), -a, atol=1e-6)
    assert np.allclose(swing(a, a), [1, 0, 0, 0], atol=1e-9)


def test_twist_is_what_remains_of_a_swing() -> None:
    """q = swing * twist: the twist about the axis is found whatever the swing, also past 180 degrees."""
    rng = np.random.default_rng(0)
    axis = unit(rng.normal(size=3))
    angle = rng.uniform(-np.pi, np.pi, 100)
    side = unit(np.cross(axis, rng.normal(size=(100, 3))))
    q = multiply(about(side, rng.uniform(0, 2.8, 100)), about(np.broadcast_to(axis, (100, 3)), angle))
    assert np.allclose(twist_angle(q, axis), angle, atol=1e-6)
    assert np.allclose(twist_angle(-q, axis), angle, atol=1e-6)


def test_slerp_is_the_shorter_way_at_constant_speed() -> None:
    a, b = some(30, 1), some(30, 2)
    for share in (0.0, 0.25, 1.0):
        between = slerp(a, -b, share)
        assert np.allclose(angle_between(a, between), share * angle_between(a, b), atol=1e-6)
    assert np.allclose(slerp(a, a, 0.3), a)
