"""The take drawn over its clip in the Movie Clip Editor: the solved skeleton, and the points that the detector saw."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..places import absolute
from ..take_file import GAP, TakeError, read_take
from .entries import active_take

LEFT, RIGHT, MIDDLE = (0.25, 0.65, 1.0, 0.9), (1.0, 0.45, 0.25, 0.9), (0.95, 0.95, 0.95, 0.9)
POINT = (0.3, 1.0, 0.4, 0.9)


@dataclass(frozen=True)
class Drawing:
    """A take in the picture's own units: 0..1 from left to right and from bottom to top.

    joints: a person (T, J, 2), NaN in gaps; keypoints: (T, K, 2), NaN where unsure; first: number of the first frame,
    a person; ends: (B, 2) indices of each bone's two joints; sides: "l", "r" or "" of each bone.
    """

    joints: tuple[NDArray[np.float32], ...]
    keypoints: tuple[NDArray[np.float32], ...]
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
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise TakeError(f"{path}: damaged ({error}). Capture the clip again.") from error
    names = take.joint_names
    ends = tuple((names.index(b.head), names.index(b.tail)) for b in take.bones)
    sides = tuple(b.name[0] if b.name[:2] in ("l_", "r_") else "" for b in take.bones)
    return Drawing(tuple(joints), tuple(keypoints), tuple(first), ends, sides)


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
    for joints, keypoints, first in zip(drawing.joints, drawing.keypoints, drawing.first, strict=True):
        if not 0 <= frame - first < len(joints):
            continue
        pose, points = joints[frame - first], keypoints[frame - first]
        for side, color in (("l", LEFT), ("r", RIGHT), ("", MIDDLE)):
            lines = [pose[[a, b]] for (a, b), s in zip(drawing.ends, drawing.sides, strict=True) if s == side]
            lines = [line for line in lines if np.isfinite(line).all()]
            if lines:
                shader.uniform_float("color", color)
                batch_for_shader(shader, "LINES", {"pos": place(np.concatenate(lines))}).draw(shader)
        points = points[np.isfinite(points).all(-1)]
        if len(points):
            shader.uniform_float("color", POINT)
            batch_for_shader(shader, "POINTS", {"pos": place(points)}).draw(shader)
    gpu.state.line_width_set(1.0)
    gpu.state.point_size_set(1.0)
    gpu.state.blend_set("NONE")


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
