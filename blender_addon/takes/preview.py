"""A take shown in the scene: an armature in the performer's own proportions, and the camera that took the footage."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy

from ..armature import build_armature, build_body, key_armature
from ..errors import UserError
from ..places import absolute
from ..scene import build_camera, set_time
from ..take_file import TakeError, read_take

MARK = "motionlift_take"
"""Custom property of what shows a take: the path of the take's file."""


def show_preview(scene: Any, entry: Any, path: Path, *, time: bool) -> Any:
    """Build the armature of the chosen person, in place of one that is there already.

    time: let the scene run at the take's rate, over its range. Raises TakeError or UserError.
    """
    take = read_take(path)
    if not 1 <= entry.person <= len(take.people):
        raise TakeError(f"The take has {len(take.people)} people. Choose a person from 1 to {len(take.people)}.")
    person = take.people[entry.person - 1]
    with _object_mode(scene):
        for old in previews(scene, path, "ARMATURE"):
            _remove(old)
        name = entry.name if len(take.people) == 1 else f"{entry.name} {entry.person}"
        armature = build_armature(take, person, name)
        key_armature(take, person, armature, f"{name} preview")
        body = build_body(armature, take, person)
        for each in (armature, body):
            each[MARK] = str(path)
        if time:
            set_time(take)
    return armature


def show_camera(scene: Any, entry: Any, path: Path, *, time: bool) -> str | None:
    """Build the camera of the footage, with the clip behind it, in place of one that is there; a warning or None."""
    take = read_take(path)
    for old in previews(scene, path, "CAMERA"):
        _remove(old)
    camera, warning = build_camera(take, f"{entry.name} camera")
    camera[MARK] = str(path)
    if time:
        set_time(take)
    return warning


def update_preview(scene: Any, entry: Any, path: Path) -> bool:
    """Build again what shows a take that was solved anew. False if nothing does, or an object is being edited."""
    if not previews(scene, path, "ARMATURE") or bpy.context.mode != "OBJECT":
        return False
    chosen = bpy.context.view_layer.objects.active
    name = chosen.name if chosen else None
    window = next(iter(bpy.context.window_manager.windows), None)
    override = {"window": window} if window and not bpy.app.background else {}
    with bpy.context.temp_override(**override):
        show_preview(scene, entry, path, time=False)
        if previews(scene, path, "CAMERA"):
            show_camera(scene, entry, path, time=False)
        if name in bpy.context.view_layer.objects:
            bpy.context.view_layer.objects.active = bpy.context.view_layer.objects[name]
    return True


def previews(scene: Any, path: Path, kind: str) -> list[Any]:
    """Objects of a type that show a take."""
    return [o for o in scene.objects if o.type == kind and MARK in o and absolute(str(o[MARK])) == path]


def _remove(each: Any) -> None:
    """An object with all that hangs on it and nothing else uses: its body, data, action, material."""
    for child in [c for c in each.children if MARK in c]:
        _remove(child)
    data, kind = each.data, each.type
    actions = [a.animation_data.action for a in (each, data) if a and a.animation_data]
    materials = [s.material for s in each.material_slots if s.material]
    bpy.data.objects.remove(each)
    store = {"ARMATURE": bpy.data.armatures, "MESH": bpy.data.meshes, "CAMERA": bpy.data.cameras}[kind]
    left = [(store, data), *((bpy.data.actions, a) for a in actions), *((bpy.data.materials, m) for m in materials)]
    for owner, unused in left:
        if unused is not None and unused.users == 0:
            owner.remove(unused)


@contextmanager
def _object_mode(scene: Any) -> Generator[None]:
    """Building an armature goes through edit mode: leave the mode that is on, for good."""
    if bpy.context.scene != scene:
        raise UserError(f'The scene "{scene.name}" is not the active one', "Switch to it and press Preview again")
    active = bpy.context.view_layer.objects.active
    if active is not None and active.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    yield
