"""Known rotations of a known body, as a take, put on rigs of every family: the evaluated pose must be the known one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blender_addon.retarget.blender.apply import put_on_rig
from blender_addon.retarget.rig import Array, RigSpec
from blender_addon.retarget.rotations import (
    IDENTITY,
    about,
    angle_between,
    from_matrix,
    inverse,
    multiply,
    rotate,
    slerp,
    to_matrix,
    twist_angle,
    unit,
)
from blender_addon.retarget.solve import RetargetSettings
from blender_addon.take_file import TakeFile

from .armatures import build_armature, make_motion, performer, posed
from .rigs import PRESET_RIGS, Built, build, from_points

MODES = ("QUATERNION", "XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX", "AXIS_ANGLE")
X, Y, Z = np.eye(3)


def random_turns(seed: int, frames: int = 12, shrug: float = 0.0) -> tuple[dict[str, Array], Array]:
    """Turns of the take's bones that joint positions can show: half-way spine and neck, elbows and knees that hinge.

    Clavicles turn by up to `shrug` degrees. Joints do not show that exactly: shoulders also tell where the chest is.
    """
    rng = np.random.default_rng(seed)

    def any_turn(degrees: float) -> Array:
        axis = unit(rng.normal(size=(frames, 3)))
        return about(axis, np.radians(rng.uniform(0, degrees, frames)))

    def bend(axis: Array, low: float, high: float) -> Array:
        return about(np.broadcast_to(axis, (frames, 3)), np.radians(rng.uniform(low, high, frames)))

    t: dict[str, Array] = {"pelvis": any_turn(60)}
    t["chest"] = multiply(t["pelvis"], any_turn(50))
    t["spine"] = slerp(t["pelvis"], t["chest"], 0.5)
    t["head"] = multiply(t["chest"], any_turn(50))
    t["neck"] = slerp(t["chest"], t["head"], 0.5)
    for side, sign in (("l", 1.0), ("r", -1.0)):
        t[f"{side}_clavicle"] = multiply(t["chest"], any_turn(shrug))
        t[f"{side}_upper_arm"] = multiply(t[f"{side}_clavicle"], any_turn(80))
        t[f"{side}_forearm"] = multiply(t[f"{side}_upper_arm"], bend(-sign * Z, 25, 120))
        t[f"{side}_hand"] = multiply(t[f"{side}_forearm"], any_turn(50))
        t[f"{side}_thigh"] = multiply(t["pelvis"], any_turn(60))
        t[f"{side}_shin"] = multiply(t[f"{side}_thigh"], bend(X, 25, 100))
        t[f"{side}_foot"] = multiply(t[f"{side}_shin"], any_turn(30))
    root = np.array([0, 0, 1.0]) + rng.normal(size=(frames, 3)) * [1, 1, 0.1]
    return t, root


def other_rest(built: Built, seed: int, arms: float) -> tuple[RigSpec, dict[int, Array]]:
    """The rig with arms lowered by some radians, elbows and knees bent, legs spread, rolls at random; and what each
    bone has been turned by."""
    rng = np.random.default_rng(seed)
    rig, truth = built.rig, built.truth
    turned: dict[int, Array] = {}
    for side, sign in (("l", 1.0), ("r", -1.0)):
        down, spread = about(Y, sign * arms), about(Y, -sign * np.radians(rng.uniform(0, 12)))
        elbow = multiply(down, about(-sign * Z, np.radians(rng.uniform(10, 30))))
        knee = multiply(spread, about(X, np.radians(rng.uniform(8, 20))))
        for slot, q in (("upper_arm", down), ("forearm", elbow), ("thigh", spread), ("shin", knee), ("foot", IDENTITY)):
            for bone in truth.get(f"{side}_{slot}", ()):
                turned[rig.index(bone)] = q
    turns: list[Array] = []
    heads = rig.heads.copy()
    for i, p in enumerate(rig.parents):
        turns.append(turned.get(i, turns[p] if p >= 0 else IDENTITY))
        if p >= 0:
            heads[i] = heads[p] + rotate(turns[p], rig.heads[i] - rig.heads[p])
    # Feet stay on the ground.
    tails = heads + rotate(np.array(turns), rig.tails - rig.heads)
    feet = [rig.index(b) for s in "lr" for part in ("foot", "toe") for b in truth.get(f"{s}_{part}", ())]
    if feet:
        shift = min(heads[feet, 2].min(), tails[feet, 2].min()) - min(
            rig.heads[feet, 2].min(), rig.tails[feet, 2].min()
        )
        heads[:, 2] -= shift
        tails[:, 2] -= shift
    roll = rng.uniform(-np.pi, np.pi, len(rig.names))
    new = from_points(list(rig.names), list(rig.parents), heads, tails, rig.name, roll)
    return new, dict(enumerate(turns))


def placed(rig: RigSpec, keyed: set[str], seed: int, scale: float, axes: Array) -> RigSpec:
    """The rig with its inside turned and scaled, the object's matrix such that it stands upright about 1.7 m tall."""
    rng = np.random.default_rng(seed)
    rest = rig.rest.copy()
    rest[:, :3, :3] = to_matrix(axes) @ rest[:, :3, :3]
    rest[:, :3, 3] = rotate(axes, rest[:, :3, 3]) * scale
    world = np.eye(4)
    world[:3, :3] = to_matrix(inverse(axes)) / scale
    world[:3, 3] = rng.normal(size=3)
    modes = tuple(rng.choice(MODES, len(rig.names)).tolist())
    inherit = np.ones(len(rig.names), bool)
    inherit[[i for i, n in enumerate(rig.names) if n in keyed and rng.random() < 0.1]] = False
    return replace(
        rig,
        rest=rest,
        lengths=rig.lengths * scale,
        world=world,
        rotation_modes=modes,
        inherit_rotation=inherit,
        local_location=rng.random(len(rig.names)) < 0.8,
        inherit_scale=tuple(rng.choice(("FULL", "NONE", "ALIGNED", "AVERAGE"), len(rig.names)).tolist()),
    )


def expected(
    built: Built, rest: RigSpec, turned: dict[int, Array], turns: dict[str, Array], axes: Array
) -> dict[str, Array]:
    """(N, 4) turn from rest, armature space, of every bone whose turn is known."""
    truth, rig = built.truth, built.rig
    out: dict[str, Array] = {}

    def put(bone: str, turn: Array) -> None:
        whole = multiply(turn, inverse(turned[rig.index(bone)]))
        out[bone] = multiply(multiply(axes, whole), inverse(axes))

    put(truth["pelvis"][0], turns["pelvis"])
    lengths = np.array([np.linalg.norm(_next(rig, truth["spine"], i)) for i in range(len(truth["spine"]))])
    for bone, share in zip(truth["spine"], np.cumsum(lengths) / lengths.sum(), strict=True):
        put(bone, slerp(turns["pelvis"], turns["chest"], share))
    neck = truth.get("neck", ())
    for i, bone in enumerate(neck):
        put(bone, slerp(turns["chest"], turns["head"], (i + 1) / (len(neck) + 1)))
    put(truth["head"][0], turns["head"])
    for side in "lr":
        collar = truth.get(f"{side}_clavicle", ())
        for i, bone in enumerate(collar):
            put(bone, slerp(turns["chest"], turns[f"{side}_clavicle"], (i + 1) / len(collar)))
        for part, carrier in (("upper_arm", f"{side}_clavicle"), ("thigh", "pelvis")):
            bones = truth[f"{side}_{part}"]
            own = turns[f"{side}_{part}"]
            along = unit(rig.tails[rig.index(bones[-1])] - rig.heads[rig.index(bones[0])])
            twist = twist_angle(multiply(inverse(turns[carrier]), own), along)
            for i, bone in enumerate(bones):
                share = (i + 1) / len(bones)
                put(bone, multiply(own, about(np.broadcast_to(along, (len(own), 3)), (share - 1) * twist)))
        for part, end in (("forearm", "hand"), ("shin", "foot")):
            bones = truth[f"{side}_{part}"]
            if len(bones) == 1:  # shares of twist among several are tested below
                put(bones[0], turns[f"{side}_{part}"])
            for bone in truth.get(f"{side}_{end}", ())[:1]:
                put(bone, turns[f"{side}_{end}"])
    return out


def _next(rig: RigSpec, bones: tuple[str, ...], i: int) -> Array:
    a = rig.index(bones[i])
    return (rig.heads[rig.index(bones[i + 1])] if i + 1 < len(bones) else rig.tails[a]) - rig.heads[a]


AXES = {"Z up": IDENTITY, "Y up": about(X, -np.pi / 2), "sideways": multiply(about(Z, np.pi / 2), about(X, np.pi / 2))}


def from_joints(take: TakeFile, joints: dict[str, Array]) -> TakeFile:
    """The take with its rotations solved anew from its joint positions."""
    solve = pytest.importorskip("lifter.solve", reason="needs SciPy")
    from lifter.rotation import matrix_to_quat
    from lifter.skeleton import load_skeleton

    skeleton = load_skeleton()
    rest = np.array([joints[n] for n in skeleton.joint_names], np.float32)
    # At one frame in fifty seconds no frame lends its hinges to its neighbours.
    turns = solve.solve_rotations(replace(skeleton, rest=rest), take.people[0].joints_world, fps=0.02)
    person = replace(take.people[0], rotations=matrix_to_quat(turns).astype(np.float32))
    return replace(take, people=(person,))


@pytest.mark.parametrize("via", ["rotations", "joints"])
@pytest.mark.parametrize("name", sorted(PRESET_RIGS))
def test_round_trip(name: str, via: str) -> None:
    if name == "rigify_controls":
        pytest.skip("a control rig: see test_control_rigs.py")
    seed = sorted(PRESET_RIGS).index(name)
    built = build(name)
    rest, turned = other_rest(built, seed, np.radians((0, 45, 80, 20)[seed % 4]))
    axes = list(AXES.values())[seed % 3]
    scale = (1.0, 100.0, 0.2, 18.0)[seed % 4]
    keyed = {b for slot, bones in built.truth.items() if slot != "root" for b in bones}
    rig = placed(rest, keyed, seed, scale, axes)
    armature = build_armature(rig)
    joints = performer(built.rig, built.truth)
    turns, root = random_turns(seed, shrug=0.0 if via == "joints" else 15.0)
    take = make_motion(joints, turns, root)
    if via == "joints":
        take = from_joints(take, joints)
    settings = RetargetSettings(foot_lock=False, forearm_twist=0.0, fingers=False)
    report = put_on_rig(take, armature, settings=settings)
    assert report.mapping.found_by == f"preset {name}"
    frames = [int(f) + 1 for f in take.people[0].frames]
    got, heads = posed(armature, frames)
    order = [b.name for b in armature.pose.bones]
    wanted = expected(built, rest, turned, turns, axes)
    off = {b: float(np.degrees(angle_between(from_matrix(got[:, order.index(b)]), q)).max()) for b, q in wanted.items()}
    worst = max(off, key=lambda b: off[b])
    print(f"{name}: worst bone {worst} {off[worst]:.3f} degrees, found by {report.mapping.found_by}")
    assert off[worst] <= 1.0, {b: round(a, 2) for b, a in off.items() if a > 1}
    middle = np.mean([heads[:, order.index(built.truth[f"{s}_thigh"][0])] for s in "lr"], 0)
    hips = take.people[0].joints_world[:, 0] + rotate(
        turns["pelvis"], (joints["l_hip"] + joints["r_hip"]) / 2 - joints["pelvis"]
    )
    stands = float(np.mean([rest.heads[rest.index(built.truth[f"{s}_thigh"][0])][2] for s in "lr"]))
    grown = stands / ((joints["l_hip"] + joints["r_hip"])[2] / 2)
    miss = np.abs(middle - rotate(axes, hips * grown) * scale).max()
    print(f"hips off by {1000 * miss / scale:.3f} mm of the character")
    assert miss <= 0.002 * scale
