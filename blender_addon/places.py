"""Where files lie: beside the .blend, or in the extension's folder of the user. Never in the extension itself."""

from __future__ import annotations

import re
from pathlib import Path

import bpy

PACKAGE = __package__ or ""
"""What Blender calls the extension, such as bl_ext.user_default.motionlift."""

TAKE = ".take.npz"


def user_folder(name: str) -> Path:
    """A folder of the user's, made if it is not there: "takes", "models", "mappings", "reports", "environment"."""
    try:
        return Path(bpy.utils.extension_path_user(PACKAGE, path=name, create=True))
    except ValueError:  # a package on the path of a script, and no extension
        return Path(bpy.utils.user_resource("DATAFILES", path=f"motionlift/{name}", create=True))


def takes_folder() -> Path:
    """Where this file's takes go: a folder beside it, `NAME takes`; the user's own as long as it is not saved."""
    if not bpy.data.filepath:
        return user_folder("takes")
    blend = Path(bpy.data.filepath)
    return blend.with_name(f"{blend.stem} takes")


def new_take(name: str, folder: Path, taken: set[Path]) -> Path:
    """A path in the folder that is not there yet nor in `taken`, named after a clip; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w .()+-]", "_", name).strip(" .") or "take"
    number = 1
    while True:
        path = folder / f"{stem}{'' if number == 1 else f' {number}'}{TAKE}"
        if path not in taken and not path.exists():
            return path
        number += 1


def absolute(path: str) -> Path:
    """A path as Blender writes it, // for the folder of the .blend."""
    return Path(bpy.path.abspath(path))


def stored(path: Path, blend: str | None = None) -> str:
    """A path as it is written into a .blend (None: this one), relative to it where that is possible and wished for."""
    blend = bpy.data.filepath if blend is None else blend
    if blend and bpy.context.preferences.filepaths.use_relative_paths:
        try:
            return bpy.path.relpath(str(path), start=str(Path(blend).parent))
        except ValueError:  # on another drive
            pass
    return str(path)
