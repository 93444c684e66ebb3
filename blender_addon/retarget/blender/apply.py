"""Put a take on an armature: for scripts, in `blender --background`, in the bpy module, and for the add-on's button.

from blender_addon.retarget.blender.apply import put_on_rig
report = put_on_rig("walk.take.npz", bpy.data.objects["Hero"])
print(report.action.name, report.warnings)
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...armature import FIRST_FRAME
from ...fcurves import new_action, write_keys
from ...take_file import TakeError, TakeFile, read_take
from ..check import check_rig
from ..controls import ControlPlan, limb_ways, wanted_matrices
from ..keys import Keys, reduce, rotation_channels, stepped
from ..mapping import Mapping, find_mapping, load_mapping, with_notes
from ..motion import read_motion, resample
from ..rig import RigError, RigSpec
from ..rotations import Array, from_matrix, multiply
from ..solve import Retargeted, RetargetSettings, retarget
from .control_rig import body_spec, control_channels, find_control_rig, open_ways, set_switches, solve_controls
from .read_rig import read_rig


@dataclass(frozen=True)
class KeySettings:
    """step: a key every so many frames. reduce: degrees and millimetres that curves may be off, to do with fewer keys;
    None keys every frame. to_nla: put the action on a new NLA track. layer: also add an empty action above, whose keys
    add to the take's. start: scene frame of the take's frame 0."""

    step: int = 1
    reduce: tuple[float, float] | None = None
    to_nla: bool = False
    layer: bool = False
    start: int = FIRST_FRAME


@dataclass(frozen=True)
class Report:
    """What was done: the new action, the mapping that was used, what the user should know, and whether controls of a
    control rig were keyed and not the bones that deform."""

    action: Any
    mapping: Mapping
    warnings: tuple[str, ...]
    retargeted: Retargeted = field(repr=False)
    rig: RigSpec = field(repr=False)
    controls: bool = False


def put_on_rig(
    take: str | Path | TakeFile,
    armature: Any,
    *,
    person: int = 0,
    mapping: Mapping | str | Path | None = None,
    settings: RetargetSettings | None = None,
    keys: KeySettings | None = None,
) -> Report:
    """Key a person of a take on an armature object, in a new action named after the take. The rig is not edited.

    mapping: a Mapping, the name of a preset, the path of a mapping file, or None to find one.
    Raises TakeError, or RigError where the rig cannot be used; nothing has been changed then.
    """
    keys = keys or KeySettings()
    settings = settings or RetargetSettings()
    if not isinstance(take, TakeFile):
        take = read_take(Path(take))
    if not 0 <= person < len(take.people):
        count = len(take.people)
        raise TakeError(
            f"{take.path}: there is no person {person + 1}; the take has {count}. Choose one from 1 to {count}."
        )
    ways = limb_ways(settings.limbs)
    rig = read_rig(armature)
    chosen = None if mapping is None else _mapping(mapping, rig)
    plan = _plan(armature, chosen)
    scene = bpy.context.scene
    motion = resample(read_motion(take, take.people[person]), scene.render.fps / scene.render.fps_base)
    if plan is None:
        chosen = chosen or find_mapping(rig)
        warnings = check_rig(rig, chosen)
        result = retarget(motion, rig, chosen, settings)
        channels = _bone_channels(result, rig)
    else:
        rig = body_spec(armature, plan)
        if chosen is None or chosen.found_by == CONTROLS_PRESET:
            chosen = with_notes(Mapping(plan.slots, dict.fromkeys(plan.slots, 1.0), f"control rig {plan.rig}"))
        ways, warnings = open_ways(plan, ways)
        scaled = check_rig(rig, chosen)
        # The generated bones share a hand's twist out over the forearm themselves.
        result = retarget(motion, rig, chosen, replace(settings, forearm_twist=0.0))
        wanted = wanted_matrices(result)
        moving = {b.bone for b in result.bones}
        solved = solve_controls(armature, plan, wanted, ways, moving)
        # Bones that get no keys stay as the user posed them.
        off = np.where([n in moving for n in rig.names], solved.off, 0.0)
        warnings += scaled or _told_misses(rig, off, result.body.height)
        channels = control_channels(solved.keys)
        set_switches(armature, solved.keys)
    if result.object is not None:
        channels += _object_channels(armature, result)
    name = take.path.name.removesuffix(".npz").removesuffix(".take")
    name = name if len(take.people) == 1 else f"{name} {person + 1}"
    action = _write(armature, name, channels, result.frames, _size(rig), keys)
    # An earlier layer for edits may have left this at adding to what lies below.
    armature.animation_data.action_blend_type, armature.animation_data.action_influence = "REPLACE", 1.0
    if keys.to_nla or keys.layer:
        _to_nla(armature, action, name, keys)
    told = tuple(dict.fromkeys([*result.warnings, *warnings]))
    return Report(action, chosen, told, result, rig, plan is not None)


def _mapping(mapping: Mapping | str | Path, rig: RigSpec) -> Mapping:
    if isinstance(mapping, Mapping):
        return mapping
    if isinstance(mapping, str) and not mapping.endswith(".toml"):
        return find_mapping(rig, mapping)
    return load_mapping(Path(mapping), rig)


CONTROLS_PRESET = "preset rigify_controls"


def _plan(armature: Any, mapping: Mapping | None) -> ControlPlan | None:
    """How to key the controls; None for a plain rig, or where a mapping names bones that the controls do not move."""
    try:
        plan = find_control_rig(armature)
    except RigError:
        if mapping is None:
            raise
        return None
    if plan is None or mapping is None or mapping.found_by == CONTROLS_PRESET:
        return plan
    return plan if all(b in plan.body for bones in mapping.bones.values() for b in bones) else None


def _told_misses(body: RigSpec, off: Array, height: float) -> list[str]:
    """A sentence where the evaluated rig does not come where it should: it has been changed, or its drivers fail."""
    far = [n for n, d in zip(body.names, off, strict=True) if d > 0.02 * height]
    if not far:
        return []
    more = f" and {len(far) - 3} more" if len(far) > 3 else ""
    return [
        f"The controls do not bring {', '.join(far[:3])}{more} where the take has them (off by up to "
        f"{off.max() / height:.0%} of the hips' height). Look for muted constraints or broken drivers, or generate the "
        "rig again."
    ]


def _size(rig: RigSpec) -> float:
    """Metres a unit of armature space."""
    return abs(np.linalg.det(rig.world[:3, :3])) ** (1 / 3) * bpy.context.scene.unit_settings.scale_length


def _bone_channels(result: Retargeted, rig: RigSpec) -> list[tuple[str, str, str, Array]]:
    """What to write: what stands before the property, the property, the group, and (N or 1, C) values."""
    out: list[tuple[str, str, str, Array]] = []
    for bone in result.bones:
        base = f'pose.bones["{bpy.utils.escape_identifier(bone.bone)}"].'
        if bone.location is not None:
            out.append((base, "location", bone.bone, bone.location))
        if bone.rotation is not None:
            path, values = rotation_channels(bone.rotation, rig.rotation_modes[rig.index(bone.bone)])
            out.append((base, path, bone.bone, values))
    return out


def _write(
    armature: Any, name: str, channels: list[tuple[str, str, str, Array]], frames: Any, size: float, keys: KeySettings
) -> Any:
    """One new action with all curves."""
    make = new_action(armature, name)
    tried = stepped(frames, keys.step)
    for base, path, group, values in channels:
        _write_property(make, base, path, group, values, frames, tried, keys, size)
    return armature.animation_data.action


def _write_property(
    make: Any, base: str, path: str, group: str, values: Array, frames: Any, tried: Any, keys: KeySettings, size: float
) -> None:
    if len(values) == 1:
        write_keys(make, base + path, group, np.array([frames[0] + keys.start], float), values)
        return
    chosen = Keys(tried, values[tried])
    if keys.reduce is not None:
        degrees, millimetres = keys.reduce
        tolerance = millimetres / 1000 / size if path == "location" else np.radians(degrees)
        found = reduce(values[tried], frames[tried], path, tolerance)
        chosen = Keys(tried[found.index], found.values, found.slopes)
    times = frames[chosen.index]
    held = np.append(np.diff(chosen.index) == 1, False) & np.append(np.diff(times) > 1, False)
    # Only a jump in the take's own frames is a gap; keys farther apart than one frame are not.
    write_keys(make, base + path, group, times.astype(float) + keys.start, chosen.values, held, chosen.slopes)


def _object_channels(armature: Any, result: Retargeted) -> list[tuple[str, str, str, Array]]:
    """The object's own location and rotation that move armature space as the take asks."""
    ridden = result.object
    assert ridden is not None
    basis = np.array(armature.matrix_basis, np.float64)
    location = basis[:3, 3] + ridden.path @ basis[:3, :3].T
    u, _, vt = np.linalg.svd(basis[:3, :3])
    turned = u @ vt
    turned = turned * np.sign(np.linalg.det(turned))
    turn = multiply(from_matrix(turned), ridden.turn)
    path, values = rotation_channels(turn, armature.rotation_mode)
    return [("", "location", "Object Transforms", location), ("", path, "Object Transforms", values)]


def _to_nla(armature: Any, action: Any, name: str, keys: KeySettings) -> None:
    """Move the action onto a track of its own, below an empty layer if one is wanted."""
    data = armature.animation_data
    slot = getattr(data, "action_slot", None)
    track = data.nla_tracks.new()
    track.name = name
    strip = track.strips.new(name, int(action.frame_range[0]), action)
    if slot is not None:
        strip.action_slot = slot
    strip.extrapolation = "HOLD"
    data.action = None
    if keys.layer:
        new_action(armature, f"{name} edits")
        data.action_blend_type = "COMBINE"
