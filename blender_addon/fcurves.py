"""Write f-curves in bulk on Blender 4.2 to 5.2: never one key at a time."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray


def new_action(target: Any, name: str) -> Any:
    """A new action on an object; returns a function (data path, index, group) -> f-curve.

    An action that the object had before is kept in the file, with a fake user where nothing else uses it.
    """
    action = bpy.data.actions.new(name)
    data = target.animation_data_create()
    before = data.action
    if before is not None and before.library is None and before.users <= 1:
        before.use_fake_user = True
    data.action = action
    if bpy.app.version < (4, 4, 0):
        return lambda path, index, group: action.fcurves.new(path, index=index, action_group=group)
    slot = action.slots.new(id_type=target.id_type, name=target.name)
    data.action_slot = slot
    strip = action.layers.new("Layer").strips.new(type="KEYFRAME")
    bag = strip.channelbag(slot, ensure=True)
    groups: dict[str, Any] = {}

    def make(path: str, index: int, group: str) -> Any:
        curve = bag.fcurves.new(path, index=index)
        if group not in groups:
            groups[group] = bag.groups.new(group)
        curve.group = groups[group]
        return curve

    return make


def write_keys(
    make: Any,
    path: str,
    group: str,
    frames: NDArray[np.floating[Any]],
    values: NDArray[np.floating[Any]],
    held: NDArray[np.bool_] | bool = False,
    slopes: NDArray[np.floating[Any]] | None = None,
) -> None:
    """Key (N, C) values at (N,) frames. Between keys: straight lines, or curves where (N, C) slopes a frame are given;
    a held key keeps its value until the next."""
    kinds = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items
    moving = kinds["LINEAR" if slopes is None else "BEZIER"].value
    held = np.broadcast_to(held, len(frames))
    interpolation = np.where(held, kinds["CONSTANT"].value, moving).astype(np.int32)
    points = np.empty((len(frames), 2), np.float32)
    points[:, 0] = frames
    for index in range(values.shape[1]):
        points[:, 1] = values[:, index]
        curve = make(path, index, group)
        keys = curve.keyframe_points
        keys.add(len(frames))
        keys.foreach_set("co", points.ravel())
        keys.foreach_set("interpolation", interpolation)
        if slopes is not None:
            _set_handles(keys, frames, values[:, index], slopes[:, index])
        curve.update()


def _set_handles(keys: Any, frames: Any, values: Any, slopes: Any) -> None:
    """Handles at a third of the way to the neighbours, along the slopes: cubic Hermite curves."""
    free = bpy.types.Keyframe.bl_rna.properties["handle_left_type"].enum_items["FREE"].value
    gaps = np.diff(frames)
    for side, length in (("left", -np.append(gaps[:1], gaps) / 3), ("right", np.append(gaps, gaps[-1:]) / 3)):
        length = length if len(length) == len(frames) else np.ones(len(frames))
        keys.foreach_set(f"handle_{side}_type", np.full(len(frames), free, np.int32))
        keys.foreach_set(
            f"handle_{side}", np.stack([frames + length, values + slopes * length], -1).astype(np.float32).ravel()
        )
