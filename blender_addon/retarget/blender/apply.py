"""Put a take on an armature: for scripts, in `blender --background`, in the bpy module, and for the add-on's button.

from blender_addon.retarget.blender.apply import put_on_rig
report = put_on_rig("walk.take.npz", bpy.data.objects["Hero"])
print(report.action.name, report.warnings)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...armature import FIRST_FRAME
from ...fcurves import new_action, write_keys
from ...take_file import TakeError, TakeFile, read_take
from ..check import check_rig
from ..keys import Keys, reduce, rotation_channels, stepped
from ..mapping import Mapping, find_mapping, load_mapping
from ..motion import read_motion, resample
from ..rig import RigSpec
from ..rotations import Array, from_matrix, multiply
from ..solve import Retargeted, RetargetSettings, retarget
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
    rig = read_rig(armature)
    mapping = _mapping(mapping, rig)
    scene = bpy.context.scene
    motion = resample(read_motion(take, take.people[person]), scene.render.fps / scene.render.fps_base)
    warnings = check_rig(rig, mapping)
    result = retarget(motion, rig, mapping, settings)
    name = take.path.name.removesuffix(".npz").removesuffix(".take")
    name = name if len(take.people) == 1 else f"{name} {person + 1}"
    action = _write(armature, name, result, rig, keys)
    if keys.to_nla or keys.layer:
        _to_nla(armature, action, name, keys)
    return Report(action, mapping, tuple(dict.fromkeys([*result.warnings, *warnings])), result, rig)


def _mapping(mapping: Mapping | str | Path | None, rig: Any) -> Mapping:
    if isinstance(mapping, Mapping):
        return mapping
    if mapping is None or (isinstance(mapping, str) and not mapping.endswith(".toml")):
        return find_mapping(rig, mapping)
    return load_mapping(Path(mapping), rig)


def _write(armature: Any, name: str, result: Retargeted, rig: Any, keys: KeySettings) -> Any:
    """One new action with all curves."""
    frames = result.frames
    size = abs(np.linalg.det(rig.world[:3, :3])) ** (1 / 3) * bpy.context.scene.unit_settings.scale_length
    properties: list[tuple[str, str, str, Array]] = []
    for bone in result.bones:
        base = f'pose.bones["{bpy.utils.escape_identifier(bone.bone)}"]'
        if bone.location is not None:
            properties.append((base + ".", "location", bone.bone, bone.location))
        if bone.rotation is not None:
            mode = rig.rotation_modes[rig.index(bone.bone)]
            path, values = rotation_channels(bone.rotation, mode)
            properties.append((base + ".", path, bone.bone, values))
    if result.object is not None:
        properties += _object_channels(armature, result)
    make = new_action(armature, name)
    tried = stepped(frames, keys.step)
    for base, path, group, values in properties:
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
