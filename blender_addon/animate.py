"""A take to a .blend with one keyed armature a person. For scripts, in `blender --background` or the bpy module."""

from __future__ import annotations

import os
from pathlib import Path

import bpy

from .armature import build_armature, build_body, key_armature
from .scene import build_camera, set_time
from .take_file import TakeError, read_take


def animate(take_path: str | Path, blend_path: str | Path) -> list[str]:
    """Write a new .blend with armatures, camera and footage; what was open before is left behind.

    Returns warnings. Raises TakeError for a bad take or a file that cannot be written; nothing is half-written.
    """
    take = read_take(Path(take_path))
    blend_path = Path(blend_path).absolute()
    if not blend_path.parent.is_dir() or not os.access(blend_path.parent, os.W_OK):
        raise TakeError(f"{blend_path}: the folder does not exist or cannot be written. Choose another one.")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    warnings: list[str] = []
    name = take.path.name.removesuffix(".npz").removesuffix(".take")
    for i, person in enumerate(take.people):
        label = name if len(take.people) == 1 else f"{name} {i + 1}"
        armature = build_armature(take, person, label)
        key_armature(take, person, armature, label)
        build_body(armature, take, person)
    _, warning = build_camera(take, f"{name} camera")
    if warning:
        warnings.append(warning)
    set_time(take)
    part = blend_path.with_name(f".{blend_path.stem}.part.blend")
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(part), compress=True, copy=True, check_existing=False)
        part.replace(blend_path)
    except (RuntimeError, OSError) as error:
        raise TakeError(f"{blend_path}: cannot be written ({error}). Choose another folder.") from error
    finally:
        part.unlink(missing_ok=True)
    return warnings
