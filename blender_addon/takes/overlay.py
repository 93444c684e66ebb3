"""The take drawn over its clip in the Movie Clip Editor: the solved skeleton, and the points that the detector saw.

What was repaired has colours of its own, the same as in the timeline (marks.py), and gaps are told in words.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..armature import FIRST_FRAME
from ..places import absolute
from ..take_file import GAP, TakeError, read_take
from .entries import active_take
from .marks import COLORS, draw_words, repairs_of, words_at
from .repairs import FILLED

LEFT, RIGHT, MIDDLE = (0.25, 0.65, 1.0, 0.9), (1.0, 0.45, 0.25, 0.9), (0.95, 0.95, 0.95, 0.9)
POINT = (0.3, 1.0, 0.4, 0.9)
FAINT = 0.45
"""Opacity of a skeleton where nobody was seen for a moment."""


@dataclass(frozen=True)
class Drawing:
    """A take in the picture's own units: 0..1 from left to right and from bottom to top.

    joints: a person (T, J, 2), NaN in gaps; keypoints: (T, K, 2), NaN where unsure; wrong: (T, J) joints that jumped
    and were replaced; filled, swapped: (T,); first: number of the first frame, a person; ends: (B, 2) indices of each
    bone's two joints; sides: "l", "r" or "" of each bone.
    """

    joints: tuple[NDArray[np.float32], ...]
    keypoints: tuple[NDArray[np.float32], ...]
    wrong: tuple[NDArray[np.bool_], ...]
    filled: tuple[NDArray[np.bool_], ...]
    swapped: tuple[NDArray[np.bool_], ...]
    first: tuple[int, ...]
    ends: tuple[tuple[int, int], ...]
    sides: tuple[str, ...]


SURE = 0.3
"""Keypoints of less confidence are not drawn."""

_handler: Any = None
_drawing: tuple[tuple[str, float], Drawing | None] = (("", 0.0), None)


def make_drawing(path: Path) -> Drawing:
    """Project a take into its picture. Raises TakeError."""
    take = read_take(path)
    size = np.array(take.image_size, np.float64)
    joints, keypoints, first = [], [], []
    wrong, filled, swapped = [], [], []
    try:
        with np.load(path, allow_pickle=False) as archive:
            for i, person in enumerate(take.people):
                pixels = take.project(person.joints_world, person.frames)
                pixels[person.state == GAP] = np.nan
                joints.append(_normalized(pixels, size))
                points = np.array(archive[f"people/{i}/keypoints"], np.float64)
                points[archive[f"people/{i}/scores"] < SURE] = np.nan
                keypoints.append(_normalized(points, size))
                first.append(int(person.frames[0]))
                filled.append(person.state == FILLED)
                for flags, name, shape in (
                    (wrong, "outlier", person.joints_world.shape[:2]),
                    (swapped, "swapped", person.state.shape),
                ):
                    key = f"people/{i}/{name}"
                    flags.append(archive[key].astype(bool) if key in archive.files else np.zeros(shape, bool))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise TakeError(f"{path}: damaged ({error}). Capture the clip again.") from error
    names = take.joint_names
    ends = tuple((names.index(b.head), names.index(b.tail)) for b in take.bones)
    sides = tuple(b.name[0] if b.name[:2] in ("l_", "r_") else "" for b in take.bones)
    flags = tuple(wrong), tuple(filled), tuple(swapped)
    return Drawing(tuple(joints), tuple(keypoints), *flags, tuple(first), ends, sides)


def _normalized(pixels: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float32]:
    out = pixels / size
    out[..., 1] = 1.0 - out[..., 1]
    return out.astype(np.float32)


def drawing_of(path: Path) -> Drawing | None:
    """The drawing of a take, kept until its file changes; None where it cannot be read."""
    global _drawing
    try:
        key = (str(path), path.stat().st_mtime)
    except OSError:
        return None
    if _drawing[0] != key:
        try:
            made = make_drawing(path)
        except TakeError:
            made = None
        _drawing = (key, made)
    return _drawing[1]


def shown_on(clip: Any, entry: Any) -> bool:
    """Whether a take was captured from a clip: by the file's name, as it may have been moved."""
    if not entry.clip:
        return True
    if clip.source == "SEQUENCE":
        return Path(bpy.path.abspath(clip.filepath)).parent.name == Path(entry.clip).parent.name
    return bpy.path.basename(clip.filepath) == Path(entry.clip).name


def _draw() -> None:
    """Called by Blender whenever a clip editor is drawn; the region is that of the picture."""
    context = bpy.context
    scene, space = context.scene, context.space_data
    entry = active_take(scene)
    if entry is None or not scene.motionlift.show_overlay or space.clip is None or not shown_on(space.clip, entry):
        return
    drawing = drawing_of(absolute(entry.path))
    if drawing is None:
        return
    import gpu
    from gpu_extras.batch import batch_for_shader

    frame = scene.frame_current - space.clip.frame_start
    view = context.region.view2d
    scale = context.preferences.system.ui_scale

    def place(points: NDArray[np.float32]) -> list[tuple[float, float]]:
        return [view.view_to_region(float(x), float(y), clip=False) for x, y in points]

    gpu.state.blend_set("ALPHA")
    gpu.state.line_width_set(2.5 * scale)
    gpu.state.point_size_set(5.0 * scale)
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    for person, first in enumerate(drawing.first):
        at = frame - first
        if not 0 <= at < len(drawing.joints[person]):
            continue
        pose, points = drawing.joints[person][at], drawing.keypoints[person][at]
        opacity = FAINT if drawing.filled[person][at] else 1.0
        for color, ends in _colored(drawing, person, at):
            lines = [pose[[a, b]] for a, b in ends if np.isfinite(pose[[a, b]]).all()]
            if lines:
                shader.uniform_float("color", (*color[:3], color[3] * opacity))
                batch_for_shader(shader, "LINES", {"pos": place(np.concatenate(lines))}).draw(shader)
        repaired = pose[drawing.wrong[person][at]]
        dots = COLORS["swapped"] if drawing.swapped[person][at] else POINT
        for color, at_points in ((dots, points), (COLORS["outlier"], repaired)):
            seen = at_points[np.isfinite(at_points).all(-1)]
            if len(seen):
                shader.uniform_float("color", color)
                batch_for_shader(shader, "POINTS", {"pos": place(seen)}).draw(shader)
    draw_words(words_at(repairs_of(absolute(entry.path)), frame + FIRST_FRAME), context)
    gpu.state.line_width_set(1.0)
    gpu.state.point_size_set(1.0)
    gpu.state.blend_set("NONE")


def _colored(
    drawing: Drawing, person: int, at: int
) -> list[tuple[tuple[float, float, float, float], list[tuple[int, int]]]]:
    """The bones of a pose by colour: left, right, middle, and those at a joint that was replaced."""
    wrong = drawing.wrong[person][at]
    by_side: dict[str, list[tuple[int, int]]] = {"l": [], "r": [], "": [], "wrong": []}
    for (a, b), side in zip(drawing.ends, drawing.sides, strict=True):
        by_side["wrong" if wrong[a] or wrong[b] else side].append((a, b))
    return list(zip((LEFT, RIGHT, MIDDLE, COLORS["outlier"]), by_side.values(), strict=True))


def redraw() -> None:
    """Have the clip editors drawn again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "CLIP_EDITOR":
                area.tag_redraw()


def register() -> None:
    global _handler
    _handler = bpy.types.SpaceClipEditor.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")


def unregister() -> None:
    global _handler, _drawing
    if _handler is not None:
        bpy.types.SpaceClipEditor.draw_handler_remove(_handler, "WINDOW")
    _handler, _drawing = None, (("", 0.0), None)
