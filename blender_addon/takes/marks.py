"""Repairs and gaps of the chosen take, shown: strips in the timeline, a word in the 3D view, and buttons that go there.

Nothing of the scene is changed: both are drawn over the editors.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty

from ..armature import FIRST_FRAME
from ..notices import perform
from ..places import absolute
from ..take_file import TakeError
from .entries import LOOK_AGAIN_SECONDS, active_path, active_take
from .preview import MARK
from .repairs import KINDS, Kind, Repairs, next_mark, read_repairs

COLORS: dict[Kind, tuple[float, float, float, float]] = {
    "gap": (0.86, 0.20, 0.18, 0.9),
    "filled": (0.95, 0.80, 0.20, 0.9),
    "outlier": (0.1, 0.95, 0.9, 0.95),
    "swapped": (0.75, 0.35, 0.90, 0.9),
}
ICONS: dict[Kind, str] = {
    "gap": "COLORSET_01_VEC",
    "filled": "COLORSET_09_VEC",
    "outlier": "COLORSET_07_VEC",
    "swapped": "COLORSET_06_VEC",
}
"""In the panel, of about these colours."""
ROW = 5.0
"""Pixels of a person's strip, on a screen of scale 1."""

_handlers: list[tuple[Any, Any]] = []
_kept: tuple[str, float, float, tuple[Repairs, ...]] = ("", -1.0, -1e9, ())
"""Path, its time of change, when that was looked up, and what was found."""


def repairs_of(path: Path) -> tuple[Repairs, ...]:
    """Of a take, kept until its file changes; () where it cannot be read. Panels and editors ask at every redraw."""
    global _kept
    name, changed, looked, found = _kept
    now = time.monotonic()
    if name == str(path) and now - looked < LOOK_AGAIN_SECONDS:
        return found
    try:
        at = path.stat().st_mtime
        if (name, changed) != (str(path), at):
            found = read_repairs(path)
    except (OSError, TakeError):
        at, found = -1.0, ()
    _kept = (str(path), at, now, found)
    return found


def forget() -> None:
    """A take was written anew."""
    global _kept
    _kept = (_kept[0], _kept[1], -1e9, _kept[3])


def bars(found: tuple[Repairs, ...]) -> list[tuple[Kind, int, int, int]]:
    """(kind, row, first, last) of the strips, in scene frames; outliers over gaps and fillings, thinner."""
    return [
        (kind, row, first + FIRST_FRAME, last + FIRST_FRAME)
        for kind in KINDS
        for row, each in enumerate(found)
        for first, last in each.spells[kind]
    ]


def words_at(found: tuple[Repairs, ...], frame: int) -> list[str]:
    """What is to be said at a scene frame, a line a person that has something."""
    out: list[str] = []
    for number, each in enumerate(found, 1):
        kinds = each.at(frame - FIRST_FRAME)
        if kinds:
            who = f"Person {number}: " if len(found) > 1 else ""
            text = "; ".join(KINDS[k] for k in kinds)
            out.append(who + (text if who else text[0].upper() + text[1:]))
    return out


def _wanted(context: Any) -> tuple[Repairs, ...]:
    settings = context.scene.motionlift
    entry = active_take(context.scene)
    return () if entry is None or not settings.show_marks else repairs_of(absolute(entry.path))


def _draw_timeline() -> None:
    """Called by Blender whenever a dope sheet or timeline is drawn."""
    context = bpy.context
    found = _wanted(context)
    if not found:
        return
    import gpu
    from gpu_extras.batch import batch_for_shader

    view, scale = context.region.view2d, context.preferences.system.ui_scale
    width, height = context.region.width, ROW * scale
    # One batch a kind: a long take has thousands of outliers, and Blender draws this at every frame that it plays.
    points: dict[Kind, list[tuple[float, float]]] = {k: [] for k in KINDS}
    for kind, row, first, last in bars(found):
        left = view.view_to_region(first - 0.5, 0, clip=False)[0]
        right = max(view.view_to_region(last + 0.5, 0, clip=False)[0], left + 2)
        if right < 0 or left > width:
            continue
        low = 2 + row * (height + 2)
        top = low + (height if kind in ("gap", "filled") else height * 0.6)
        points[kind] += [(left, low), (right, low), (right, top), (left, low), (right, top), (left, top)]
    gpu.state.blend_set("ALPHA")
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    for kind, corners in points.items():
        if corners:
            shader.uniform_float("color", COLORS[kind])
            batch_for_shader(shader, "TRIS", {"pos": corners}).draw(shader)
    gpu.state.blend_set("NONE")


def _draw_view() -> None:
    """Called by Blender whenever a 3D view is drawn: where the take is shown, what there is to say of this frame."""
    context = bpy.context
    found = _wanted(context)
    if not found or not any(MARK in o for o in context.scene.objects):
        return
    draw_words(words_at(found, context.scene.frame_current), context)


def draw_words(lines: list[str], context: Any) -> None:
    """Lines at the bottom left of the region at hand."""
    import blf

    scale = context.preferences.system.ui_scale
    blf.size(0, 13 * scale)
    blf.color(0, 1.0, 0.85, 0.3, 1.0)
    blf.enable(0, blf.SHADOW)
    blf.shadow(0, 3, 0.0, 0.0, 0.0, 0.9)
    for i, line in enumerate(reversed(lines)):
        blf.position(0, 20 * scale, (20 + 18 * i) * scale, 0)
        blf.draw(0, line)
    blf.disable(0, blf.SHADOW)


class GoToMark(bpy.types.Operator):
    """Go to the next frame at which somebody is not seen, or something was repaired"""

    bl_idname = "motionlift.go_to_mark"
    bl_label = "Next Repair"
    bl_options = {"REGISTER", "UNDO"}

    back: BoolProperty(name="Back", options={"SKIP_SAVE"}, description="The one before, not the one after")

    @classmethod
    def poll(cls, context: Any) -> bool:
        if active_take(context.scene) is None:
            cls.poll_message_set("Capture a clip first, or add a take")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            scene = context.scene
            found = repairs_of(active_path(scene))
            frame = next_mark(found, scene.frame_current - FIRST_FRAME, not self.back)
            if frame is None:
                return f"Nothing is marked {'before' if self.back else 'after'} this frame"
            scene.frame_set(frame + FIRST_FRAME)
            return "; ".join(words_at(found, frame + FIRST_FRAME))

        return perform(self, "takes", work)


def redraw() -> None:
    """Have timelines, dope sheets and 3D views drawn again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("DOPESHEET_EDITOR", "VIEW_3D"):
                area.tag_redraw()


def register() -> None:
    for space, draw in ((bpy.types.SpaceDopeSheetEditor, _draw_timeline), (bpy.types.SpaceView3D, _draw_view)):
        _handlers.append((space, space.draw_handler_add(draw, (), "WINDOW", "POST_PIXEL")))


def unregister() -> None:
    global _kept
    for space, handler in _handlers:
        space.draw_handler_remove(handler, "WINDOW")
    _handlers.clear()
    _kept = ("", -1.0, -1e9, ())


CLASSES = (GoToMark,)
