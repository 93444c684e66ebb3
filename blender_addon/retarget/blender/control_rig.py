"""Key the controls of control rigs, such as Rigify's, so that the body takes a wanted pose.

Controls hang on bones and constraints that only Blender can evaluate. They are solved level by level: controls of the
finished levels are keyed on a few frames in a scene of their own, Blender evaluates these, and what the next level
hangs on is learned from them. Only where that is not rigid to anything known are all frames evaluated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...fcurves import new_action, write_keys
from ..controls import (
    Control,
    ControlKeys,
    ControlPlan,
    Follow,
    Pole,
    Twist,
    find_layout,
    follow_matrices,
    learn_between,
    learn_rigid,
    levels,
    make_plan,
    nearest_rotations,
    pole_matrices,
    spread_frames,
    twist_matrices,
)
from ..keys import rotation_channels
from ..rig import Array, RigError, RigSpec, make_rig
from ..rotations import IDENTITY, from_matrix

SAMPLES = 12


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
    """The rig's body bones as a plain rig with the parents they have in the body, not those the generator gave them."""
    bones = [armature.data.bones[n] for n in plan.body]
    names = list(plan.body)
    parents = [names.index(p) if p else -1 for p in plan.body.values()]
    rest = np.array([np.array(b.matrix_local) for b in bones])
    return make_rig(
        names,
        parents,
        rest,
        np.array([b.length for b in bones]),
        armature.name,
        world=np.array(armature.matrix_world, np.float64),
    )


def solve_controls(
    armature: Any, plan: ControlPlan, wanted: Array, ways: dict[str, str], moving: Collection[str] | None = None
) -> list[ControlKeys]:
    """Keys for the rig's controls, so that its body bones take the wanted (N, B, 4, 4) armature-space matrices.

    Bones are in the order of `body_spec`; `ways` says "fk" or "ik" by limb, as `open_ways` has it. Controls of none of
    the `moving` bones are left alone. The scene, the rig's pose and its actions stay as they are. Raises RigError.
    """
    _require_evaluable(armature)
    controls, neutral, held = _chosen(plan, ways)
    if moving is not None:
        controls = [c for c in controls if not isinstance(c, Follow) or set(c.rotate) & set(moving)]
    body = body_spec(armature, plan)
    names = {c.control: c for c in controls}
    tolerance = 1e-4 * max(float(np.ptp(body.heads[:, 2])), 1e-6) / 1.7
    known = {"": np.broadcast_to(np.eye(4), (len(wanted), 4, 4))} | {n: wanted[:, b] for b, n in enumerate(body.names)}
    # Control names may be body names as well (the root): what is keyed counts.
    samples = spread_frames(wanted[:, :, :3].reshape(len(wanted), -1), SAMPLES)
    needs = _needs(armature)
    done = dict(held)
    resting = [n for n in dict.fromkeys((*names, *neutral, *plan.tweaks)) if n in armature.pose.bones]
    with _own_scene(armature) as scene:
        for level in levels(names, needs):
            sampled = _evaluate(scene, armature, done, resting, samples, level)
            hard: list[str] = []
            hangs: dict[str, Array] = {}
            for c, name in enumerate(level):
                reach = _reach(name, needs) & known.keys()
                candidates = {n: known[n][samples] for n in ("", *sorted(reach))}
                model = learn_rigid(sampled[:, c], candidates, tolerance) or learn_between(
                    sampled[:, c], candidates, tolerance
                )
                if model:
                    hangs[name] = model.matrices(known.__getitem__)
                else:
                    hard.append(name)
            if hard:
                evaluated = _evaluate(scene, armature, done, resting, np.arange(len(wanted)), hard)
                hangs |= {name: evaluated[:, c] for c, name in enumerate(hard)}
            for name in level:
                keys, known[name] = _keys(armature, names[name], body, wanted, hangs[name])
                if not (isinstance(names[name], Twist) and _at_rest(keys, tolerance)):
                    done[name] = _with_values(keys, held)
    moved = [n for n in plan.tweaks if n not in done and _is_moved(armature, n)]
    for name in dict.fromkeys((*neutral, *moved)):
        done[name] = _with_values(_rest_keys(armature, name), held)
    return [_settled(armature, keys) for keys in done.values()]


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


def _keys(armature: Any, control: Control, body: RigSpec, wanted: Array, hangs: Array) -> tuple[ControlKeys, Array]:
    """A control's keys, given what it hangs on, and the matrices it then has."""
    bone = armature.data.bones[control.control]
    rest = np.array(bone.matrix_local, np.float64)
    if isinstance(control, Follow):
        goal, moves = follow_matrices(control, body, wanted, rest), control.location
    elif isinstance(control, Twist):
        goal, moves = twist_matrices(hangs, wanted[:, body.index(control.bone)], control.location), control.location
    else:
        goal, moves = pole_matrices(control, body, wanted, rest, _pole_angle(armature, control)), True
    location = None
    if moves:
        location = np.einsum("nji,nj->ni", _location_axes(bone, hangs), goal[:, :3, 3] - hangs[:, :3, 3])
    else:
        goal[:, :3, 3] = hangs[:, :3, 3]
    if isinstance(control, Pole):  # only its place matters
        goal[:, :3, :3] = hangs[:, :3, :3]
        return ControlKeys(bone.name, location), goal
    mode = armature.pose.bones[bone.name].rotation_mode
    local = from_matrix(np.swapaxes(hangs[:, :3, :3], -1, -2) @ goal[:, :3, :3])
    channel, rotation = rotation_channels(local, mode)
    return ControlKeys(bone.name, location, rotation, channel), goal


def _location_axes(bone: Any, hangs: Array) -> Array:
    """(N, 3, 3) axes along which a bone's location moves it."""
    turn = hangs[:, :3, :3]
    if bone.use_local_location or not bone.parent:
        return turn
    rest, parent = (np.array(b.matrix_local, np.float64)[:3, :3] for b in (bone, bone.parent))
    return turn @ (parent.T @ rest).T


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


def measure(armature: Any, keys: Sequence[ControlKeys], at: NDArray[np.intp], names: Sequence[str]) -> Array:
    """(S, C, 4, 4) matrices that bones have on frames `at` of the keys, without writing them to the rig."""
    with _own_scene(armature) as scene:
        return _evaluate(scene, armature, {k.bone: k for k in keys}, (), at, names)


def misses(armature: Any, body: RigSpec, wanted: Array, keys: Sequence[ControlKeys], count: int = 4) -> Array:
    """(B,) greatest distance, in armature units, of body bones from their wanted places on a few frames."""
    at = spread_frames(wanted[:, :, :3].reshape(len(wanted), -1), count)
    got = measure(armature, keys, at, body.names)
    return np.linalg.norm(got[..., :3, 3] - wanted[at][..., :3, 3], axis=-1).max(0)
