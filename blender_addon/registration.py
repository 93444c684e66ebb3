"""All that the extension adds to Blender; `unregister` takes the same away, in the opposite order."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.app.handlers import persistent
from bpy.props import PointerProperty

from . import batch, contact_edits, export, headless, notices, preferences, properties, setup
from .capture import jobs, networks
from .capture import operators as capture_operators
from .files import own_context
from .retarget.blender import operator as retarget_operators
from .takes import entries, marks, overlay
from .takes import operators as take_operators
from .ui import lists, panels, parts

CLASSES: tuple[type[Any], ...] = (
    *properties.CLASSES,
    *preferences.CLASSES,
    *setup.CLASSES,
    *parts.CLASSES,
    *capture_operators.CLASSES,
    *contact_edits.CLASSES,
    *networks.CLASSES,
    *take_operators.CLASSES,
    *marks.CLASSES,
    *retarget_operators.CLASSES,
    *batch.CLASSES,
    *export.CLASSES,
    *lists.CLASSES,
    *panels.CLASSES,
)


@persistent
def _before_load(*_: object) -> None:
    """Another file is opened: what is being captured belongs to this one."""
    jobs.stop("another file was opened")


@persistent
def _after_load(*_: object) -> None:
    own_context()
    entries.forget()
    marks.forget()


@persistent
def _before_save(path: str = "", *_: object) -> None:
    entries.before_save(path if isinstance(path, str) else "")


@persistent
def _after_save(*_: object) -> None:
    entries.after_save()


HANDLERS = (
    (bpy.app.handlers.load_pre, _before_load),
    (bpy.app.handlers.load_post, _after_load),
    (bpy.app.handlers.save_pre, _before_save),
    (bpy.app.handlers.save_post, _after_save),
)

_keymap: list[tuple[Any, Any]] = []


def register() -> None:
    for each in CLASSES:
        bpy.utils.register_class(each)
    bpy.types.Scene.motionlift = PointerProperty(type=properties.MotionliftSettings)
    for handlers, handler in HANDLERS:
        handlers.append(handler)
    jobs.register()
    overlay.register()
    marks.register()
    headless.register()
    _add_keys()


def unregister() -> None:
    _remove_keys()
    headless.unregister()
    marks.unregister()
    overlay.unregister()
    jobs.unregister()
    for handlers, handler in reversed(HANDLERS):
        handlers.remove(handler)
    del bpy.types.Scene.motionlift
    for each in reversed(CLASSES):
        bpy.utils.unregister_class(each)
    notices.clear()
    entries.forget()


def _add_keys() -> None:
    """Esc asks whether to stop a capture; it does what it always did when there is none."""
    config = bpy.context.window_manager.keyconfigs.addon
    if config is None:  # background mode has no keys
        return
    keymap = config.keymaps.new(name="Window", space_type="EMPTY")
    _keymap.append((keymap, keymap.keymap_items.new("motionlift.ask_cancel", "ESC", "PRESS")))


def _remove_keys() -> None:
    for keymap, item in _keymap:
        keymap.keymap_items.remove(item)
    _keymap.clear()
