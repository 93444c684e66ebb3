"""Key the controls of control rigs, such as Rigify's, so that the body takes a wanted pose.

Controls hang on bones and constraints that only Blender can evaluate. So the rig is measured: controls are keyed on a
few frames in a scene of their own, Blender evaluates these, and what each control hangs on is learned from them. Then
all frames are solved level by level without Blender. Only where a control is rigid to nothing are all evaluated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...fcurves import new_action, write_keys
from ..controls import (
    BETWEEN_TOLERANCE,
    Control,
    ControlBone,
    ControlKeys,
    ControlPlan,
    Follow,
    Measured,
    Model,
    Pole,
    Posed,
    Twist,
    angles_between,
    find_layout,
    hangs_at,
    learn_between,
    learn_rigid,
    levels,
    make_plan,
    nearest_rotations,
    pose_controls,
    rigid_at_rest,
    spread_frames,
)
from ..keys import rotation_channels
from ..rig import Array, RigError, RigSpec, make_rig
from ..rotations import IDENTITY, from_matrix

SAMPLES = 12
"""Frames on which the rig is measured."""

ROUNDS = 8
"""Of measuring and learning, at most; two do for rigs as they are generated."""

TOLERANCE = 6e-5
"""How far off a learned place may be, as a part of the body's height: a tenth of a millimetre."""


def find_control_rig(armature: Any) -> ControlPlan | None:
    """How to key this armature's controls; None if it is not a control rig that is known. Raises RigError."""
    bones = armature.pose.bones
    properties = {(b.name, key) for b in bones for key in b.keys()}  # noqa: SIM118 (a bone is no dictionary)
    parents = {b.name: b.parent.name if b.parent else None for b in bones}
    layout = find_layout(parents)
    if layout is None:
        return None
    solvers = {(b.name, c.pole_subtarget) for b in bones for c in b.constraints if c.type == "IK"}
    return make_plan(layout, parents, properties, solvers)


def body_spec(armature: Any, plan: ControlPlan) -> RigSpec:
    """The rig's body bones as a plain rig with the parents they have in the body, not those the generator gave them.

    The root is posed as it is now, for takes that do not move it; what is above it is at rest.
    """
    bones = [armature.data.bones[n] for n in plan.body]
    names, root = list(plan.body), plan.slots.get("root", ())
    parents = [names.index(p) if p else -1 for p in plan.body.values()]
    rest = np.array([np.array(b.matrix_local) for b in bones])
    return make_rig(
        names,
        parents,
        rest,
        np.array([b.length for b in bones]),
        armature.name,
        world=np.array(armature.matrix_world, np.float64),
        basis=np.array([armature.pose.bones[n].matrix_basis if n in root else np.eye(4) for n in names], np.float64),
    )


@dataclass(frozen=True)
class Solved:
    """keys: of the rig's controls; off: (B,) greatest distance, in armature units, by which body bones were measured to
    miss their wanted places."""

    keys: list[ControlKeys]
    off: Array


def solve_controls(
    armature: Any, plan: ControlPlan, wanted: Array, ways: dict[str, str], moving: Collection[str] | None = None
) -> Solved:
    """Keys for the rig's controls, so that its body bones take the wanted (N, B, 4, 4) armature-space matrices.

    Bones are in the order of `body_spec`; `ways` says "fk" or "ik" by limb, as `open_ways` has it. Controls of none of
    the `moving` bones are left alone. The scene, the rig's pose and its actions stay as they are. Raises RigError.
    """
    _require_evaluable(armature)
    controls, neutral, held = _chosen(plan, ways)
    if moving is not None:
        controls = [c for c in controls if not isinstance(c, Follow) or set(c.rotate) & set(moving)]
    body = body_spec(armature, plan)
    size = max(float(np.ptp(body.heads[:, 2])), 1e-6)
    needs = _needs(armature)
    by_name = {c.control: c for c in controls}
    bones = [_control_bone(armature, by_name[n]) for level in levels(by_name, needs) for n in level]
    resting = [n for n in dict.fromkeys((*by_name, *neutral, *plan.tweaks, *held)) if n in armature.pose.bones]
    with _own_scene(armature) as scene:
        posed, off = _solve(scene, armature, bones, needs, body, wanted, held, resting, size)
    done = dict(held)
    for bone in bones:
        keys = _as_keys(armature, bone.name, posed[bone.name])
        if not (isinstance(bone.control, Twist) and _at_rest(keys, TOLERANCE * size)):
            done[bone.name] = _with_values(keys, held)
    moved = [n for n in plan.tweaks if n not in done and _is_moved(armature, n)]
    for name in dict.fromkeys((*neutral, *moved)):
        done[name] = _with_values(_rest_keys(armature, name), held)
    return Solved([_settled(armature, keys) for keys in done.values()], off)


def _solve(
    scene: Any,
    armature: Any,
    bones: Sequence[ControlBone],
    needs: dict[str, set[str]],
    body: RigSpec,
    wanted: Array,
    held: dict[str, ControlKeys],
    resting: Sequence[str],
    size: float,
) -> tuple[dict[str, Posed], Array]:
    """Posed controls, and (B,) how far off the body was measured.

    What each control hangs on is guessed from the parents alone; the controls are posed so, somewhat at random, on a
    few frames, and measured. Where the guess was wrong, what the control hangs on is learned from that, and all are
    posed and measured anew, until measuring only confirms. All frames are measured only for what cannot be learned.
    """
    names = [b.name for b in bones]
    frames = samples = spread_frames(wanted[:, :, :3].reshape(len(wanted), -1), SAMPLES)
    models: dict[str, Model] = {b.name: _guess(armature, b, {*names, *body.names}) for b in bones}
    posed = pose_controls(bones, body, wanted[samples], models, (0.2, 0.03 * size))
    rows = np.arange(len(samples))
    off = np.full(len(body.names), np.inf)
    for turn in range(ROUNDS):
        keys = dict(held) | {n: _with_values(_as_keys(armature, n, p, rows), held) for n, p in posed.items()}
        measured = _evaluate(scene, armature, keys, resting, np.arange(len(rows)), [*names, *body.names])
        came = dict(zip(names, np.moveaxis(measured, 1, 0), strict=False))
        wrong = [b for b in bones if _differ(came[b.name], posed[b.name].matrix[rows], size)]
        off = np.linalg.norm(measured[:, len(names) :, :3, 3] - wanted[frames][..., :3, 3], axis=-1).max(0)
        if turn and not wrong:
            break
        parts = dict(zip(body.names, np.moveaxis(measured[:, len(names) :], 1, 0), strict=True))
        still, hard = np.broadcast_to(np.eye(4), (len(rows), 4, 4)), False
        for bone in wrong:
            x = hangs_at(bone, came[bone.name], posed[bone.name], rows)
            reach = _reach(bone.name, needs)
            others = {"": still} | {n: came[n] for n in names if n in reach}
            # Controls are where they were put, bones of the body only where the rig obeys.
            model = learn_rigid(x, others, TOLERANCE * size)
            if model is None:
                others = {n: parts[n] for n in parts if n in reach} | others
                model = learn_rigid(x, others, TOLERANCE * size)
            # Mixtures hold for poses like those that they were learned from.
            if model is None and turn:
                model = learn_between(x, others, TOLERANCE * size)
                hard |= model is None
            if model is None and len(rows) == len(wanted):
                model = Measured(x)
            models[bone.name] = model or models[bone.name]
        posed = pose_controls(bones, body, wanted, models)
        frames = rows = np.arange(len(wanted)) if hard else samples
    return posed, off


def _control_bone(armature: Any, control: Control) -> ControlBone:
    bone = armature.data.bones[control.control]
    rest = np.array(bone.matrix_local, np.float64)
    axes = np.eye(3)
    if bone.parent and not bone.use_local_location:  # then the location's axes are the parent's
        axes = rest[:3, :3].T @ np.array(bone.parent.matrix_local, np.float64)[:3, :3]
    angle = _pole_angle(armature, control) if isinstance(control, Pole) else 0.0
    return ControlBone(control, rest, axes, angle)


def _guess(armature: Any, bone: ControlBone, known: Collection[str]) -> Model:
    """As if nothing but parents were between a control and the next bone above it whose place is known."""
    above = armature.data.bones[bone.name].parent
    while above and above.name not in known:
        above = above.parent
    by = np.array(above.matrix_local, np.float64) if above else np.eye(4)
    return rigid_at_rest(bone.rest, above.name if above else "", by)


def _differ(a: Array, b: Array, size: float) -> bool:
    turned = angles_between(a[:, :3, :3], b[:, :3, :3]).max()
    moved = np.linalg.norm(a[:, :3, 3] - b[:, :3, 3], axis=-1).max()
    return bool(turned > 2 * BETWEEN_TOLERANCE or moved > 5 * TOLERANCE * size)


def _as_keys(armature: Any, name: str, posed: Posed, rows: NDArray[np.intp] | None = None) -> ControlKeys:
    location, rotation = posed.location, posed.rotation
    if rows is not None:
        location = None if location is None else location[rows]
        rotation = None if rotation is None else rotation[rows]
    if rotation is None:
        return ControlKeys(name, location)
    channel, values = rotation_channels(from_matrix(rotation), armature.pose.bones[name].rotation_mode)
    return ControlKeys(name, location, values, channel)


def control_channels(keys: Sequence[ControlKeys]) -> list[tuple[str, str, str, Array]]:
    """What to write for keys: the bone's data path, the property after it, the group, and (N or 1, C) values."""
    out: list[tuple[str, str, str, Array]] = []
    for key in keys:
        path = f'pose.bones["{bpy.utils.escape_identifier(key.bone)}"]'
        for channel, values in (("location", key.location), (key.channel, key.rotation), ("scale", key.scale)):
            if values is not None:
                out.append((f"{path}.", channel, key.bone, values))
        custom = [(f'["{bpy.utils.escape_identifier(n)}"]', v) for n, v in key.properties]
        out += [(path, end, key.bone, np.array([[value]])) for end, value in custom]
        out += [(f"{path}.", name, key.bone, np.array([[value]])) for name, value in key.settings]
    return out


def set_switches(armature: Any, keys: Sequence[ControlKeys]) -> None:
    """Give custom properties their keyed values now, so that the rig's panel shows them before the frame changes."""
    for key in keys:
        bone = armature.pose.bones[key.bone]
        for name, value in key.properties:
            bone[name] = type(bone[name])(value)


def _require_evaluable(armature: Any) -> None:
    if armature.library or (armature.override_library and armature.override_library.is_system_override):
        raise RigError(
            f"{armature.name} is linked from another file and cannot be animated. "
            "Make a library override of it first (Object > Relations > Make Library Override), and retarget that."
        )
    if armature.data.pose_position == "REST":
        raise RigError(
            f"{armature.name} is shown in its rest position, so its controls do nothing. "
            "Set it to Pose Position in the armature's properties."
        )


def open_ways(plan: ControlPlan, asked: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The way of each limb of the rig: the one asked for, or the other where controls are missing; and what to tell."""
    ways: dict[str, str] = {}
    notes: list[str] = []
    if plan.missing:
        notes.append(
            f"{plan.rig} controls are missing or renamed: {', '.join(plan.missing)}. What they move is left out. "
            "Give them their names back, or generate the rig again."
        )
    for name, limb in plan.limbs.items():
        way = asked[name]
        if missing := limb.ways[way].missing:
            other = "fk" if way == "ik" else "ik"
            notes.append(
                f"The {LIMB_NAMES[name]} cannot be keyed as {way.upper()}: {', '.join(missing)} is not as {plan.rig} "
                f"makes it. It is keyed as {other.upper()}. Generate the rig again to have both."
            )
            way = other
        ways[name] = way
    return ways, notes


LIMB_NAMES = {"l_arm": "left arm", "r_arm": "right arm", "l_leg": "left leg", "r_leg": "right leg"}


def _chosen(plan: ControlPlan, ways: dict[str, str]) -> tuple[list[Control], tuple[str, ...], dict[str, ControlKeys]]:
    """Controls to key, controls to rest, and by bone the values that are held throughout."""
    controls, properties, neutral = list(plan.controls), dict(plan.properties), list(plan.neutral)
    unstretched: list[str] = []
    for name, limb in plan.limbs.items():
        way = limb.ways[ways[name]]
        controls += way.controls
        properties |= way.properties
        neutral += way.neutral
        unstretched += way.unstretched
    held = {n: ControlKeys(n, settings=(("ik_stretch", 0.0),)) for n in unstretched}
    for (bone, name), value in properties.items():
        before = held.get(bone, ControlKeys(bone))
        held[bone] = replace(before, properties=(*before.properties, (name, value)))
    return controls, tuple(neutral), held


def _with_values(keys: ControlKeys, held: dict[str, ControlKeys]) -> ControlKeys:
    values = held.get(keys.bone, ControlKeys(keys.bone))
    return replace(keys, properties=values.properties, settings=values.settings)


def _needs(armature: Any) -> dict[str, set[str]]:
    """For each bone, its parent and the bones its constraints look at."""
    out: dict[str, set[str]] = {}
    for bone in armature.pose.bones:
        found = {bone.parent.name} if bone.parent else set()
        for constraint in bone.constraints:
            if constraint.type == "ARMATURE":
                found |= {t.subtarget for t in constraint.targets if t.target == armature}
            elif getattr(constraint, "target", None) == armature:
                found |= {constraint.subtarget, getattr(constraint, "pole_subtarget", "")}
        out[bone.name] = {n for n in found if n in armature.pose.bones}
    return out


def _reach(bone: str, needs: dict[str, set[str]]) -> set[str]:
    """All bones that a bone hangs on, near or far."""
    out: set[str] = set()
    stack = list(needs[bone])
    while stack:
        if (n := stack.pop()) not in out:
            out.add(n)
            stack += needs[n]
    return out


def _pole_angle(armature: Any, pole: Pole) -> float:
    for constraint in armature.pose.bones[pole.solver].constraints:
        if constraint.type == "IK" and constraint.pole_subtarget == pole.control:
            return float(constraint.pole_angle)
    raise RigError(
        f"{pole.solver} has no IK constraint with {pole.control} as its pole. "
        "Generate the rig again, or key this limb as FK."
    )


def _at_rest(keys: ControlKeys, tolerance: float) -> bool:
    """Whether keys leave the control where it rests, within what nobody sees."""
    if keys.location is not None and np.abs(keys.location).max() > tolerance:
        return False
    rest = np.array([1.0, 0, 0, 0]) if keys.channel == "rotation_quaternion" else 0.0
    return keys.rotation is None or bool(np.abs(keys.rotation - rest).max() < 2e-4)


def _rest_keys(armature: Any, name: str) -> ControlKeys:
    channel, rotation = rotation_channels(IDENTITY[None], armature.pose.bones[name].rotation_mode)
    return ControlKeys(name, np.zeros((1, 3)), rotation, channel, np.ones((1, 3)))


def _settled(armature: Any, keys: ControlKeys) -> ControlKeys:
    """Keys as written: one row for what stays the same; what is not keyed is put to rest where somebody moved it."""
    bone, rest = armature.pose.bones[keys.bone], _rest_keys(armature, keys.bone)
    location, rotation, scale = keys.location, keys.rotation, keys.scale
    if location is None and max(map(abs, bone.location)) > 0:
        location = rest.location
    if rotation is None and _is_moved(armature, keys.bone):
        rotation = rest.rotation
    if scale is None and max(abs(v - 1) for v in bone.scale) > 1e-6:
        scale = rest.scale
    return replace(
        keys, location=_still(location), rotation=_still(rotation), channel=_channel(keys, rest), scale=_still(scale)
    )


def _channel(keys: ControlKeys, rest: ControlKeys) -> str:
    return rest.channel if keys.rotation is None else keys.channel


def _still(values: Array | None) -> Array | None:
    """The first row alone if all are the same."""
    return values[:1] if values is not None and np.abs(values - values[:1]).max() < 1e-6 else values


def _is_moved(armature: Any, name: str) -> bool:
    return bool(np.abs(np.array(armature.pose.bones[name].matrix_basis) - np.eye(4)).max() > 1e-6)


@contextmanager
def _own_scene(armature: Any) -> Iterator[Any]:
    """A scene with nothing but the armature: quick to evaluate, whatever the user's scene holds, and leaves no trace.

    Blender writes evaluated poses back only from the scene that is shown, so the user's pose is not touched.
    """
    data = armature.animation_data_create()
    new = bpy.app.version >= (4, 4, 0)
    before = (data.action, data.action_slot if new else None, data.use_nla, armature.hide_viewport)
    blend = (data.action_blend_type, data.action_influence, data.action_extrapolation)
    scene = bpy.data.scenes.new("Motionlift")
    try:
        data.use_nla = False
        data.action_blend_type, data.action_influence = "REPLACE", 1.0
        armature.hide_viewport = False
        scene.collection.objects.link(armature)
        yield scene
    finally:
        bpy.data.scenes.remove(scene)
        data.action = before[0]
        if new and before[0]:
            data.action_slot = before[1]
        data.use_nla, armature.hide_viewport = before[2:]
        data.action_blend_type, data.action_influence, data.action_extrapolation = blend


def _evaluate(
    scene: Any,
    armature: Any,
    done: dict[str, ControlKeys],
    resting: Sequence[str],
    at: NDArray[np.intp],
    names: Sequence[str],
) -> Array:
    """(S, C, 4, 4) evaluated matrices of bones on frames `at` of the keys, all controls without keys at rest."""
    frames = np.arange(1.0, len(at) + 1)
    cut: list[ControlKeys] = []
    for name in dict.fromkeys((*done, *resting)):
        rest, keys = _rest_keys(armature, name), done.get(name, ControlKeys(name))
        cut.append(
            replace(
                keys,
                location=rest.location if keys.location is None else _rows(keys.location, at),
                rotation=rest.rotation if keys.rotation is None else _rows(keys.rotation, at),
                channel=_channel(keys, rest),
                scale=rest.scale,
            )
        )
    make = new_action(armature, "Motionlift measures")
    action = armature.animation_data.action
    held = np.zeros(len(frames), bool)
    for base, name, group, values in control_channels(cut):
        still = len(values) == 1
        write_keys(make, base + name, group, frames[:1] if still else frames, values, still or held)
    out = np.empty((len(at), len(names), 4, 4))
    try:
        for s in range(len(at)):
            scene.frame_set(s + 1)
            bones = armature.evaluated_get(scene.view_layers[0].depsgraph).pose.bones
            for c, name in enumerate(names):
                out[s, c] = bones[name].matrix
    finally:
        bpy.data.actions.remove(action)
    # Stretched parents leave their scale in the axes.
    out[..., :3, :3] = nearest_rotations(out[..., :3, :3])
    return out


def _rows(values: Array, at: NDArray[np.intp]) -> Array:
    return values if len(values) == 1 else values[at]
