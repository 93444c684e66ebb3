"""Keypoints from other tools' files: one reader a format, all giving the same (`KeypointClip`).

    openpose     a folder of JSON, one a frame: OpenPose, Pose2Sim, Sports2D
    coco         JSON of results or annotations, AlphaPose's among them; or a folder of them, one a video
    mmpose       JSON of MMPose's inferencer or demos; or a folder of one a picture
    trc          Sports2D's ..._px_person00.trc, or their folder
    deeplabcut   CSV or H5
    freemocap    the .npy of 2D data, or the recording's folder
    take         our own .take.npz, or a folder of them

A reader is a module with `clips(path)`, which lists the clips in a file or folder by name with the files of each, and
`read(files, layout)`, which reads one. docs/detectors.md says more of each format.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

from lifter.errors import MotionliftError

from . import coco, deeplabcut, freemocap, mmpose, openpose, takes, trc
from .clip import Found, KeypointClip

__all__ = ["FORMATS", "Found", "KeypointClip", "find_format", "list_clips", "read_clip"]

FORMATS: dict[str, ModuleType] = {
    "openpose": openpose,
    "coco": coco,
    "mmpose": mmpose,
    "trc": trc,
    "deeplabcut": deeplabcut,
    "freemocap": freemocap,
    "take": takes,
}
_BY_SUFFIX = {".trc": "trc", ".csv": "deeplabcut", ".h5": "deeplabcut", ".npy": "freemocap", ".npz": "take"}
_PEEK = 1 << 16


def list_clips(path: Path, form: str) -> dict[str, list[Path]]:
    """The clips in a file or folder by name, with the files of each. Raises MotionliftError where there are none."""
    if not path.exists():
        raise MotionliftError(f"{path}: cannot be read (no such file or folder)", "Check the path")
    found: dict[str, list[Path]] = FORMATS[form].clips(path)
    if not found:
        wanted = {"openpose": "NAME_000000000000_keypoints.json", "coco": ".json file", "take": ".npz file"}
        raise MotionliftError(f"{path}: no {wanted.get(form, f'file of {form}')} in it", "Check the path")
    return found


def read_clip(path: Path, *, form: str = "", layout: str = "", clip: str = "", **options: Any) -> KeypointClip:
    """The keypoints of one clip.

    Args:
        path: file or folder.
        form: one of FORMATS; found by the file's name and contents if empty.
        layout: of lifter/skeletons/layouts.toml, or a skeleton's .toml; found by number or names if empty.
        clip: which one, where a folder holds several.
        options: of the format's own; `camera` of freemocap.
    Raises:
        MotionliftError: not such a file, damaged, several clips to choose from, or nobody in it.
    """
    if form and form not in FORMATS:
        raise MotionliftError(f"Unknown format of keypoint files {form!r}", f"Use one of {', '.join(FORMATS)}")
    form = form or find_format(path)
    found = list_clips(path, form)
    if clip not in found:
        if clip or len(found) > 1:
            names = ", ".join(list(found)[:8]) + (", ..." if len(found) > 8 else "")
            what = f"no clip {clip!r}" if clip else f"{len(found)} clips"
            raise MotionliftError(f"{path}: {what} in it, but {names}", "Name one with clip=NAME, or give its own path")
        clip = next(iter(found))
    if options and form != "freemocap":
        raise MotionliftError(f"{path}: files of {form} have no option {next(iter(options))!r}", "Leave it out")
    return FORMATS[form].read(found[clip], layout, **options)


def find_format(path: Path) -> str:
    """The format of a file or folder, by its name and its first characters. Raises MotionliftError if it is unknown."""
    if path.is_dir():
        return _format_of_folder(path)
    if path.suffix in _BY_SUFFIX:
        return _BY_SUFFIX[path.suffix]
    if path.suffix == ".json":
        return _format_of_json(path)
    if not path.exists():
        raise MotionliftError(f"{path}: cannot be read (no such file or folder)", "Check the path")
    raise MotionliftError(f"{path}: no keypoint file that is known by its name", f"Use one of {', '.join(FORMATS)}")


def _format_of_folder(folder: Path) -> str:
    if any(folder.glob("*_px_person*.trc")):
        return "trc"
    if any(folder.rglob("*_keypoints.json")):
        return "openpose"
    if any(folder.rglob("*2dData*.npy")):
        return "freemocap"
    if any(folder.rglob("*.take.npz")):
        return "take"
    if file := next(iter(sorted(folder.rglob("*.json"))), None):
        return _format_of_json(file)
    raise MotionliftError(f"{folder}: no keypoint files in it that are known", f"Known are {', '.join(FORMATS)}")


def _format_of_json(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            head = opened.read(_PEEK)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise MotionliftError(f"{file}: cannot be read ({why})", "Check the path") from error
    keys = set(re.findall(r'"(\w+)"\s*:', head))
    if "people" in keys:
        return "openpose"
    if keys & {"instance_info", "instances", "keypoint_scores", "meta_info"}:
        return "mmpose"
    if keys & {"image_id", "annotations", "images"}:
        return "coco"
    raise MotionliftError(
        f"{file}: JSON, but not of OpenPose, COCO, AlphaPose or MMPose", "Check the path, or name the format"
    )
