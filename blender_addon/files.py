"""Files around an animation: open the user's rig, write .blend, .fbx, .glb, .bvh or .usd. Nothing is half-written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import addon_utils
import bpy

from .arguments import OUTPUTS, split_rig
from .retarget.rig import RigError
from .take_file import TakeError

IMPORTERS = {".fbx": "io_scene_fbx", ".glb": "io_scene_gltf2", ".gltf": "io_scene_gltf2", ".bvh": "io_anim_bvh"}
EXPORTERS = {".fbx": "io_scene_fbx", ".glb": "io_scene_gltf2", ".bvh": "io_anim_bvh"}
"""Blender's own add-ons that a bare bpy module has to be told to load."""


def check_output(path: Path) -> Path:
    """The absolute path, if a file of a known kind can be written there. Raises TakeError."""
    path = path.absolute()
    if path.suffix.lower() not in OUTPUTS:
        raise TakeError(f"{path}: cannot write such a file. Choose one of {', '.join(OUTPUTS)}.")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise TakeError(f"{path}: the folder does not exist or cannot be written. Choose another one.")
    return path


def open_rig(text: str) -> Any:
    """Open FILE.blend[:OBJECT] (or .fbx, .glb, .bvh) in place of the current file; the armature object in it.

    Scripts in the file are not run. Raises RigError if there is no such file or armature, or several to choose from.
    """
    path, name = split_rig(text)
    if not path.is_file():
        raise RigError(f"{path}: no such file. Check the path of the rig.")
    suffix = path.suffix.lower()
    try:
        if suffix == ".blend":
            bpy.ops.wm.open_mainfile(filepath=str(path.absolute()), load_ui=False, use_scripts=False)
        elif suffix in IMPORTERS:
            _import(path, suffix)
        else:
            raise RigError(f"{path}: not a file of a rig. Give a .blend, .fbx, .glb or .bvh file.")
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise RigError(f"{path}: Blender cannot open it ({reason}). Open it in Blender and save it again.") from error
    found = [o for o in bpy.context.scene.objects if o.type == "ARMATURE"]
    if not found:
        raise RigError(f"{path}: there is no armature in the scene. Choose a file with a rig.")
    names = ", ".join(o.name for o in found)
    if name is not None:
        found = [o for o in found if o.name == name]
        if not found:
            raise RigError(f'{path}: there is no armature called "{name}". The scene has: {names}.')
    if len(found) > 1:
        raise RigError(f"{path}: there are several armatures. Choose one: {path.name}:OBJECT, with one of {names}.")
    return found[0]


def own_context() -> None:
    """Make the present scene the owner of `bpy.context`, where Blender 4.2 has left that of a file closed since.

    Reading `context.layer_collection`, as Rigify does, has this side effect there; what is set by way of the context
    afterwards, as the glTF add-on sets the window's scene, then writes to freed memory. Later versions have no owner.
    """
    _ = bpy.context.layer_collection


def _import(path: Path, suffix: str) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    own_context()
    addon_utils.enable(IMPORTERS[suffix], default_set=True)
    operators: dict[str, Callable[..., Any]] = {
        ".fbx": lambda **k: bpy.ops.import_scene.fbx(**k),
        ".glb": lambda **k: bpy.ops.import_scene.gltf(**k),
        ".gltf": lambda **k: bpy.ops.import_scene.gltf(**k),
        ".bvh": lambda **k: bpy.ops.import_anim.bvh(**k),
    }
    operators[suffix](filepath=str(path.absolute()))


def write_output(path: Path, armatures: list[Any], *, deform_only: bool = False) -> None:
    """Save the scene as .blend, or export armatures with what they carry. Raises TakeError where that fails.

    deform_only: leave out bones that do not deform (controls and their machinery), where the format's exporter can.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        if path.suffix.lower() == ".blend":
            bpy.ops.wm.save_as_mainfile(filepath=str(part), compress=True, copy=True, check_existing=False)
        else:
            _export(part, armatures, deform_only)
        part.replace(path)
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise TakeError(f"{path}: cannot be written ({reason}). Choose another file or folder.") from error
    finally:
        part.unlink(missing_ok=True)


def _export(path: Path, armatures: list[Any], deform_only: bool) -> None:
    own_context()
    suffix = path.suffix.lower()
    if suffix in EXPORTERS:
        addon_utils.enable(EXPORTERS[suffix], default_set=True)
    scene, layer = bpy.context.scene, bpy.context.view_layer
    carried = [o for o in scene.objects if _carried_by(o, armatures)]
    for each in scene.objects:
        each.select_set(each in armatures or each in carried)
    layer.objects.active = armatures[0]
    file = str(path)
    if suffix == ".fbx":
        bpy.ops.export_scene.fbx(
            filepath=file,
            use_selection=True,
            object_types={"ARMATURE", "MESH", "EMPTY"},
            add_leaf_bones=False,
            use_armature_deform_only=deform_only,
            bake_anim_use_all_actions=False,
            bake_anim_use_nla_strips=False,
            bake_anim_simplify_factor=0.0,
        )
    elif suffix == ".glb":
        bpy.ops.export_scene.gltf(
            filepath=file,
            export_format="GLB",
            use_selection=True,
            export_animation_mode="ACTIVE_ACTIONS",
            export_def_bones=deform_only,
            export_optimize_animation_size=False,
        )
    elif suffix == ".bvh":
        if len(armatures) > 1:
            raise RuntimeError("a .bvh file holds one armature: choose a person with --person")
        bpy.ops.export_anim.bvh(filepath=file, frame_start=scene.frame_start, frame_end=scene.frame_end)
    else:
        bpy.ops.wm.usd_export(
            filepath=file,
            selected_objects_only=True,
            export_animation=True,
            export_armatures=True,
            export_materials=True,
        )


def _carried_by(each: Any, armatures: list[Any]) -> bool:
    """Meshes and empties that hang on an armature, by parent or by modifier."""
    if each.type not in ("MESH", "EMPTY"):
        return False
    parent = each.parent
    while parent is not None:
        if parent in armatures:
            return True
        parent = parent.parent
    return any(m.type == "ARMATURE" and m.object in armatures for m in each.modifiers)
