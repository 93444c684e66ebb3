"""The extension as Blender has it: installed into the tests' own user folder, enabled, asked for its modules."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any
from zipfile import ZipFile

import bpy

sys.path.insert(0, str(Path(__file__).parents[2]))
import addon_utils  # on the path once bpy is imported

import build_addon

NAME = "bl_ext.user_default.motionlift"


def install() -> None:
    """Unpack the online zip where Blender would."""
    folder = Path(os.environ["BLENDER_USER_RESOURCES"]) / "extensions" / "user_default" / "motionlift"
    with TemporaryDirectory() as made, ZipFile(build_addon.build_online(Path(made))) as archive:
        archive.extractall(folder)


def enable() -> None:
    if not addon_utils.check(NAME)[1]:
        assert addon_utils.enable(NAME, default_set=True), "the extension cannot be enabled"


def disable() -> None:
    addon_utils.disable(NAME, default_set=True)


def module(name: str) -> ModuleType:
    """One of the extension's own modules."""
    return importlib.import_module(f"{NAME}.{name}")


def refused(operator: Any, **properties: Any) -> str:
    """The message of an operator that is to fail."""
    try:
        operator(**properties)
    except RuntimeError as error:
        return str(error).removeprefix("Error: ").strip()
    raise AssertionError(f"{operator.idname()} did not fail")


def user_folder(name: str) -> Path:
    return Path(bpy.utils.extension_path_user(NAME, path=name, create=True))
