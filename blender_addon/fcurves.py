"""Write f-curves in bulk on Blender 4.2 to 5.2: never one key at a time."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray


def new_action(target: Any, name: str) -> Any:
    """A new action on an object; returns a function (data path, index, group) -> f-curve."""
    action = bpy.data.actions.new(name)
    data = target.animation_data_create()
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
    held: NDArray[np.bool_],
) -> None:
    """Key (N, C) values at (N,) frames, linear between; a held key keeps its value until the next."""
    kinds = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items
    interpolation = np.where(held, kinds["CONSTANT"].value, kinds["LINEAR"].value).astype(np.int32)
    points = np.empty((len(frames), 2), np.float32)
    points[:, 0] = frames
    for index in range(values.shape[1]):
        points[:, 1] = values[:, index]
        curve = make(path, index, group)
        curve.keyframe_points.add(len(frames))
        curve.keyframe_points.foreach_set("co", points.ravel())
        curve.keyframe_points.foreach_set("interpolation", interpolation)
        curve.update()
