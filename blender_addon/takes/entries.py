"""The scene's list of takes: add, find, point elsewhere. The takes are files; removing a row removes none."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy

from ..errors import UserError
from ..places import TAKE, absolute, stored, takes_folder
from .summary import Summary

_seen: dict[str, tuple[float, bool]] = {}
"""Whether files are there, looked at a moment ago: panels ask at every redraw, and network disks are slow."""
LOOK_AGAIN_SECONDS = 2.0


def active_take(scene: Any) -> Any | None:
    """The chosen row of the list."""
    takes = scene.motionlift.takes
    index = scene.motionlift.take
    return takes[index] if 0 <= index < len(takes) else None


def active_path(scene: Any) -> Path:
    """The chosen take's file. Raises UserError where there is none."""
    entry = active_take(scene)
    if entry is None:
        raise UserError("There is no take yet", "Capture a clip, or add a take file to the list")
    path = absolute(entry.path)
    if not path.is_file():
        raise UserError(
            f'The file of the take "{entry.name}" is not there any more',
            "Put it back, press Find File, or capture the clip again",
            str(path),
        )
    return path


def show_take(scene: Any, path: Path, summary: Summary) -> Any:
    """Put a take's row into the list, or bring its row up to date, and choose it."""
    takes = scene.motionlift.takes
    index = next((i for i, t in enumerate(takes) if absolute(t.path) == path), -1)
    entry = takes[index] if index >= 0 else takes.add()
    if index < 0:
        entry.name = path.name.removesuffix(TAKE)
        index = len(takes) - 1
    entry.path = stored(path)
    entry.clip = summary.footage or entry.clip
    entry.people, entry.frames, entry.fps = summary.people, summary.frames, summary.fps
    entry.person = min(max(1, entry.person), max(1, summary.people))
    entry.coverage, entry.confidence = summary.coverage, summary.confidence
    entry.warnings = "\n".join(summary.warnings)
    scene.motionlift.take = index
    _seen.clear()
    return entry


def there(entry: Any) -> bool:
    """Whether a row's file is there, as of a moment ago."""
    now = time.monotonic()
    looked, found = _seen.get(entry.path, (-1e9, False))
    if now - looked > LOOK_AGAIN_SECONDS:
        found = absolute(entry.path).is_file()
        _seen[entry.path] = (now, found)
    return found


_unlisted: tuple[float, tuple[str, ...], list[Path]] = (-1e9, (), [])


def unlisted() -> list[Path]:
    """Takes in this file's own folder that are in no scene's list: captured, and then the file was not saved."""
    global _unlisted
    if not bpy.data.filepath:
        return []
    now = time.monotonic()
    rows = tuple(t.path for s in bpy.data.scenes for t in s.motionlift.takes)
    looked, known, found = _unlisted
    if now - looked > LOOK_AGAIN_SECONDS or rows != known:
        listed = {absolute(p) for p in rows}
        folder = takes_folder()
        found = sorted(p for p in folder.glob(f"[!.]*{TAKE}") if p not in listed) if folder.is_dir() else []
        _unlisted = (now, rows, found)
    return found


def forget() -> None:
    """What was looked at a moment ago: another file is open now."""
    global _unlisted
    _seen.clear()
    _unlisted = (-1e9, (), [])


# Paths stay right when the .blend is saved elsewhere, or a copy of it. Blender does this for its own data only.

_saving: list[tuple[int, int, Path]] = []


def before_save(target: str) -> None:
    """Write paths as they will be right in the file that is saved."""
    _saving[:] = [
        (s.session_uid, i, absolute(t.path)) for s in bpy.data.scenes for i, t in enumerate(s.motionlift.takes)
    ]
    _write_paths(target or bpy.data.filepath)


def after_save() -> None:
    """And as they are right in the file that is open: after Save Copy that is another one."""
    _write_paths(bpy.data.filepath)


def _write_paths(blend: str) -> None:
    scenes = {s.session_uid: s for s in bpy.data.scenes}
    for uid, index, path in _saving:
        entry = scenes[uid].motionlift.takes[index]
        if entry.path != (wanted := stored(path, blend)):
            entry.path = wanted
