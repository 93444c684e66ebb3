"""What the worker is told of a clip in Blender: its file, the range in seconds, the lens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..errors import UserError
from ..properties import focal_to_fov
from .camera_solve import solved_focal, solved_path

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".exr", ".webp", ".tga", ".dpx")


@dataclass(frozen=True)
class Request:
    """name: of the clip, for people; path: for the worker, a file or a pattern of images; options: arguments of
    `lifter.capture`."""

    name: str
    path: str
    options: dict[str, Any]


def chosen_clip(scene: Any) -> Any | None:
    """The clip of the Footage panel; if none is chosen there, the only one in the file."""
    clip = scene.motionlift.footage.clip
    if clip is None and len(bpy.data.movieclips) == 1:
        return bpy.data.movieclips[0]
    return clip


def open_clip(path: Path) -> Any:
    """Load a video or the image sequence that an image belongs to. Raises UserError where Blender cannot."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such file", "Choose a video, or an image of a sequence")
    try:
        clip = bpy.data.movieclips.load(str(path), check_existing=True)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("Error: ")
        raise UserError(f"{path.name} cannot be opened", "Choose another file, or convert it to MP4", reason) from error
    try:
        check_clip(clip)
    except UserError:
        if clip.users == 0:
            bpy.data.movieclips.remove(clip)
        raise
    return clip


def check_clip(clip: Any) -> Path:
    """The file of a clip that has pictures. Raises UserError for one that is gone, damaged or has only sound."""
    path = Path(bpy.path.abspath(clip.filepath, library=clip.library))
    if not path.is_file():
        raise UserError(
            f'The footage of "{clip.name}" is not there any more',
            "Put it back, or choose where it is now in the Footage panel",
            str(path),
        )
    if not clip.size[0] or not clip.size[1] or clip.frame_duration < 1:
        raise UserError(
            f'"{clip.name}" has no pictures that Blender can read',
            "Choose a video with pictures, or convert it to MP4",
            "it is damaged, or has only sound",
        )
    return path


def make_request(clip: Any, footage: Any) -> Request:
    """Raises UserError for a clip that cannot be captured. `footage`: the panel's settings."""
    path = check_clip(clip)
    options: dict[str, Any] = {}
    if footage.use_range:
        first, last = footage.start, min(footage.end, clip.frame_duration)
        if first > last:
            raise UserError(
                f'The range from {footage.start} to {footage.end} has no frame of "{clip.name}"',
                f"Choose frames between 1 and {clip.frame_duration}",
            )
        # Half a frame earlier, so that rounding decides nothing.
        options |= {"start": max(0.0, (first - 1.5) / clip.fps), "end": (last - 0.5) / clip.fps}
    if footage.use_camera_path:
        options["camera"] = solved_path(clip, bpy.context.scene)
        if footage.lens == "value":
            del options["camera"]["focal"]
            options["fov"] = focal_to_fov(footage.focal_mm)
    elif footage.lens == "estimate":
        options["lens"] = "estimate"
    elif footage.lens == "value":
        options["fov"] = focal_to_fov(footage.focal_mm)
    elif footage.lens == "solve":
        options["focal"] = solved_focal(clip)
    return Request(Path(clip.name).stem, _as_worker_reads(clip, path), options)


def _as_worker_reads(clip: Any, path: Path) -> str:
    """Of a sequence, the pattern of its numbered images, such as shot/0001.png to shot/%04d.png."""
    if clip.source != "SEQUENCE":
        return str(path)
    stem = path.stem.rstrip("0123456789")
    digits = len(path.stem) - len(stem)
    if not digits:
        return str(path.parent)
    return str(path.with_name(f"{stem}%0{digits}d{path.suffix}"))
