"""Feet that stand do not slide, float or sink, on rigs with legs of other lengths; the motion stays smooth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blender_addon.retarget.feet import contacts
from blender_addon.retarget.mapping import Mapping
from blender_addon.retarget.motion import FEET, Motion, read_motion
from blender_addon.retarget.rig import Array, RigSpec
from blender_addon.retarget.rotations import rotate
from blender_addon.retarget.solve import Retargeted, RetargetSettings, retarget
from blender_addon.take_file import TakeFile

from .armatures import make_motion
from .make_take import body
from .rigs import Built, build, from_points

TRUTH = Path(__file__).parents[2] / "lifter" / "demo" / "demo_truth.npz"


def demo() -> TakeFile:
    """The performance of the demo clip as it truly was: steps, turns, a squat, reaching."""
    with np.load(TRUTH, allow_pickle=False) as z:
        names, bones = [str(n) for n in z["joint_names"]], [str(n) for n in z["bone_names"]]
        offsets = dict(zip(names, z["offsets"], strict=True))
        turns = {b: z["rotations"][:, i].astype(float) for i, b in enumerate(bones)}
        root, contact, fps = z["joints_world"][:, 0].astype(float), z["contacts"], float(z["fps"])
    rest: dict[str, Array] = {}
    for joint in body()["joints"]:
        parent = joint.get("parent")
        rest[joint["name"]] = offsets[joint["name"]] + (rest[parent] if parent else 0)
    return make_motion(rest, turns, root, fps, contact)


def longer_legs(built: Built, factor: float) -> Built:
    rig = built.rig
    heads = rig.heads.copy()
    stretched = {rig.index(b) for s in "lr" for p in ("shin", "foot") for b in built.truth[f"{s}_{p}"]}
    for i, p in enumerate(rig.parents):
        if p >= 0:
            heads[i] = heads[p] + (rig.heads[i] - rig.heads[p]) * (factor if i in stretched else 1.0)
    tails = heads + rig.tails - rig.heads
    for s in "lr":
        for p in ("thigh", "shin"):
            i = rig.index(built.truth[f"{s}_{p}"][-1])
            tails[i] = heads[i] + (rig.tails[i] - rig.heads[i]) * factor
    feet = [rig.index(built.truth[f"{s}_toe"][0]) for s in "lr"]
    rise = rig.tails[feet, 2].min() - tails[feet, 2].min()
    heads[:, 2] += rise
    tails[:, 2] += rise
    return Built(from_points(list(rig.names), list(rig.parents), heads, tails), built.truth)


def sole(result: Retargeted, rig: RigSpec, truth: dict[str, tuple[str, ...]], side: str, part: str) -> Array:
    """(N, 3) path of a foot's heel or ball."""
    foot, bone = result.body.feet[side], rig.index(truth[f"{side}_foot"][0])
    point = foot.heel if part == "heel" else foot.ball
    return result.pose.head(bone) + rotate(result.pose.turn(bone), point - foot.ankle)


def skate(result: Retargeted, motion: Motion, rig: RigSpec, truth: dict[str, tuple[str, ...]]) -> tuple[float, float]:
    """Highest speed, units/s, and distance from the floor of points in contact."""
    fastest = off = 0.0
    for i, name in enumerate(FEET):
        on = contacts(motion.contact[:, i], motion)
        path = sole(result, rig, truth, name[0], "heel" if "heel" in name else "ball")
        speed = np.linalg.norm(np.diff(path, axis=0), axis=-1) * motion.fps
        fastest = max(fastest, float(speed[on[1:] & on[:-1]].max()))
        off = max(off, float(np.abs(path[on, 2]).max()))
    return fastest, off


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.3])
@pytest.mark.parametrize("name", ["mixamo", "ue5", "smpl"])
def test_no_skate(name: str, factor: float) -> None:
    built = longer_legs(build(name), factor)
    motion = read_motion(demo(), demo().people[0])
    mapping = Mapping(built.truth, {}, "file")
    free = retarget(motion, built.rig, mapping, RetargetSettings(foot_lock=False))
    held = retarget(motion, built.rig, mapping)
    before, _ = skate(free, motion, built.rig, built.truth)
    after, off = skate(held, motion, built.rig, built.truth)
    print(f"{name} x{factor}: skate {100 * before:.1f} -> {100 * after:.2f} cm/s, off the floor {1000 * off:.2f} mm")
    assert after <= 0.01
    assert off <= 0.002
    # The lock does not buy stillness with a jerk: ankles are hardly rougher than on the free path.
    for side in "lr":
        bone = built.rig.index(built.truth[f"{side}_foot"][0])
        rough = [np.abs(np.diff(r.pose.head(bone), 2, axis=0)).max() * motion.fps**2 for r in (free, held)]
        print(f"  {side} ankle acceleration, largest: {rough[0]:.0f} -> {rough[1]:.0f} m/s2")
        assert rough[1] < 1.6 * rough[0] + 10
    pelvis = built.rig.index(built.truth["pelvis"][0])
    drop = free.pose.head(pelvis) - held.pose.head(pelvis)
    print(f"  pelvis lowered by at most {1000 * drop[:, 2].max():.0f} mm")
    assert drop[:, 2].min() > -1e-9 and drop[:, 2].max() < 0.12 * factor


def raised(take: TakeFile, metres: float) -> TakeFile:
    person = replace(take.people[0], joints_world=take.people[0].joints_world + np.float32([0, 0, metres]))
    return replace(take, people=(person,))


@pytest.mark.parametrize("thickness", [-0.02, 0.015])
def test_soles_of_any_thickness(thickness: float) -> None:
    """Whether the take's floor is the ground or the height of the feet's joints, the character stands on its own."""
    wanted, got = (read_motion(t, t.people[0]) for t in (demo(), raised(demo(), thickness)))
    assert np.abs(wanted.hips - got.hips).max() < 1e-5
    built = build("mixamo")
    free = retarget(got, built.rig, Mapping(built.truth, {}, "file"), RetargetSettings(foot_lock=False))
    flat = (got.contact[:, :2] > 0.5).all(1)
    foot = built.rig.index(built.truth["l_foot"][0])
    floats = (free.pose.head(foot) - built.rig.heads[foot])[flat, 2]
    assert abs(floats.mean()) < 0.005, floats


def test_a_performance_on_a_platform_stays_up_there() -> None:
    wanted, got = (read_motion(t, t.people[0]) for t in (demo(), raised(demo(), 0.4)))
    assert (got.hips - wanted.hips)[:, 2].min() > 0.39


def test_swinging_legs_do_not_snap_straight() -> None:
    """The hips are too high for the next stance: until they come down to it, the foot that swings comes short."""
    built = build("mixamo")
    motion = read_motion(demo(), demo().people[0])
    motion = replace(motion, hips=motion.hips + [0, 0, 0.03])
    mapping = Mapping(built.truth, {}, "file")
    free = retarget(motion, built.rig, mapping, RetargetSettings(foot_lock=False))
    held = retarget(motion, built.rig, mapping)
    for i, side in enumerate("lr"):
        thigh, shin, foot = (built.rig.index(built.truth[f"{side}_{p}"][0]) for p in ("thigh", "shin", "foot"))
        rest = built.rig.heads
        length = np.linalg.norm(rest[shin] - rest[thigh]) + np.linalg.norm(rest[foot] - rest[shin])
        reach, before = (np.linalg.norm(r.pose.head(foot) - r.pose.head(thigh), axis=-1) / length for r in (held, free))
        swings = ~held.contact[:, i]
        assert swings.sum() > 20
        assert (reach[swings] < np.maximum(before[swings], 0.999)).all()
