"""A character on Rigify's own rig: its basic human metarig with other proportions, generated. Needs bpy."""

from __future__ import annotations

from typing import Any

import addon_utils
import bpy

from blender_addon.retarget.blender.read_rig import read_rig
from blender_addon.retarget.rig import RigSpec
from tests.blender_addon.rigify import run_generator
from tests.blender_addon.rigs import Built, build

from .cast import Character, reshaped


def generate(who: Character) -> tuple[Any, Built]:
    """The generated rig in the open scene, and its deforming bones with the slots they fill."""
    addon_utils.enable("rigify", default_set=True)
    bpy.ops.object.armature_basic_human_metarig_add()
    metarig = bpy.context.object
    spec = read_rig(metarig)
    wanted = reshaped(Built(spec, _present("rigify_metarig", spec)), who).rig
    bpy.ops.object.mode_set(mode="EDIT")
    for i, name in enumerate(wanted.names):
        bone = metarig.data.edit_bones[name]
        bone.use_connect = False
        bone.head, bone.tail = wanted.heads[i], wanted.tails[i]
    for bone in metarig.data.edit_bones:
        # Rigify's chains must stay connected.
        bone.use_connect = bool(spec.connected[spec.index(bone.name)])
    bpy.ops.object.mode_set(mode="OBJECT")
    run_generator()
    rig = bpy.context.object
    bpy.data.objects.remove(metarig)
    whole = read_rig(rig)
    return rig, Built(whole, _present("rigify_deform", whole))


def _present(family: str, rig: RigSpec) -> dict[str, tuple[str, ...]]:
    """Which of a family's bones the rig has, by slot."""
    found = {s: tuple(b for b in bones if b in rig) for s, bones in build(family).truth.items()}
    return {s: bones for s, bones in found.items() if bones}
