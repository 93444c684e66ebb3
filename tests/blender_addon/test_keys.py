"""Fewer keys: every n-th, or as few as stay within a tolerance; compared with curves that Blender evaluates."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon.fcurves import new_action, write_keys
from blender_addon.retarget.keys import Keys, reduce, rotation_channels, stepped
from blender_addon.retarget.rotations import Array, about, angle_between, continuous, from_euler, multiply, unit

from .test_rotations import wandering


def test_every_nth_frame_and_the_ends() -> None:
    assert stepped(np.arange(10, 31), 7).tolist() == [0, 7, 14, 20]
    assert stepped(np.arange(5), 1).tolist() == [0, 1, 2, 3, 4]
    assert stepped(np.array([3]), 4).tolist() == [0]


def test_steps_keep_both_sides_of_a_gap() -> None:
    frames = np.array([0, 1, 2, 3, 4, 20, 21, 22, 23])
    assert frames[stepped(frames, 3)].tolist() == [0, 3, 4, 20, 21, 23]


def motion(kind: str, count: int = 240) -> Array:
    q = continuous(wandering(count, seed=3, step=0.03))
    if kind == "location":
        t = np.linspace(0, 8, count)[:, None]
        return np.concatenate([np.sin(t), 0.3 * np.cos(2.3 * t), np.abs(np.sin(3 * t)) * 0.1], 1)
    return rotation_channels(
        q, {"rotation_quaternion": "QUATERNION", "rotation_axis_angle": "AXIS_ANGLE"}.get(kind, "XYZ")
    )[1]


def evaluated(keys: Keys, frames: Any, kind: str) -> Array:
    """(N, C) what Blender makes of the keys."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    empty = bpy.data.objects.new("empty", None)
    make = new_action(empty, "test")
    write_keys(make, kind, "test", frames[keys.index].astype(float), keys.values, None, keys.slopes)
    action = empty.animation_data.action
    found = action.fcurves if bpy.app.version < (4, 4, 0) else action.layers[0].strips[0].channelbags[0].fcurves
    return np.array([[c.evaluate(float(f)) for c in found] for f in frames])


def off(got: Array, wanted: Array, kind: str) -> float:
    """Degrees for rotations, else the distance."""

    def quaternion(v: Array) -> Array:
        if kind == "rotation_euler":
            return from_euler(v, "XYZ")
        return unit(v) if kind == "rotation_quaternion" else about(unit(v[:, 1:]), v[:, 0])

    if kind == "location":
        return float(np.linalg.norm(got - wanted, axis=1).max())
    return float(np.degrees(angle_between(quaternion(got), quaternion(wanted))).max())


@pytest.mark.parametrize("tolerance", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("kind", ["rotation_quaternion", "rotation_axis_angle", "rotation_euler", "location"])
def test_blenders_curves_stay_within_the_tolerance(kind: str, tolerance: float) -> None:
    """Degrees, or centimetres."""
    values, frames = motion(kind), np.arange(240)
    allowed = tolerance / 100 if kind == "location" else np.radians(tolerance)
    keys = reduce(values, frames, kind, allowed)
    got = evaluated(keys, frames, kind)
    error = off(got, values, kind)
    print(f"{kind} within {tolerance}: {len(keys.index)} of 240 keys, off by {error:.3f}")
    assert error <= 1.02 * (allowed if kind == "location" else tolerance)
    assert {0, 239} <= set(keys.index.tolist())
    assert len(keys.index) < 240 * (0.6 if tolerance < 1 else 0.3)


def test_a_wider_tolerance_never_needs_more_keys() -> None:
    values = motion("location")
    counts = [len(reduce(values, np.arange(240), "location", t).index) for t in (0.0005, 0.002, 0.01, 0.05, 5.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 1


def test_what_stands_still_is_one_key() -> None:
    values = np.repeat(about(np.array([0, 0, 1.0]), 0.7)[None], 100, 0)
    keys = reduce(values, np.arange(100), "rotation_quaternion", np.radians(0.1))
    assert keys.index.tolist() == [0]
    assert keys.slopes is None


def test_a_quaternion_that_stands_still_between_two_poses_keeps_them() -> None:
    """Nothing is gained by keys on the way: straight motion at an even speed needs its two ends."""
    turn = about(np.broadcast_to([0, 0, 1.0], (61, 3)), np.linspace(0, 0.5, 61))
    assert reduce(turn, np.arange(61), "rotation_quaternion", np.radians(0.1)).index.tolist() == [0, 60]


def test_curves_do_not_cross_gaps() -> None:
    frames = np.array([*range(30), *range(100, 130)])
    values = np.concatenate([np.linspace(0, 1, 30), np.linspace(5, 4, 30)])[:, None].repeat(3, 1)
    keys = reduce(values, frames, "location", 0.001)
    assert {29, 30} <= set(keys.index.tolist())
    assert keys.slopes is not None
    # The slopes at the gap's edges are those of their own stretch, not of the jump.
    at = [keys.index.tolist().index(i) for i in (29, 30)]
    assert np.allclose(keys.slopes[at, 0], [1 / 29, -1 / 29])


def test_a_jerk_is_kept() -> None:
    values = np.zeros((100, 3))
    values[50, 0] = 1.0
    keys = reduce(values, np.arange(100), "location", 0.01)
    got = evaluated(keys, np.arange(100), "location")
    assert np.abs(got - values).max() < 0.011


def test_channels_of_each_mode() -> None:
    q = wandering(60, seed=5)
    path, values = rotation_channels(-q, "QUATERNION")
    assert path == "rotation_quaternion" and values[0, 0] >= 0
    path, values = rotation_channels(q, "AXIS_ANGLE")
    assert path == "rotation_axis_angle" and values.shape == (60, 4)
    path, values = rotation_channels(q, "ZXY")
    assert path == "rotation_euler"
    assert np.degrees(angle_between(from_euler(values, "ZXY"), q)).max() < 1e-3
    once = multiply(q, about(np.array([1.0, 0, 0]), 0.0))
    assert np.array_equal(rotation_channels(once, "QUATERNION")[1], continuous(once))
