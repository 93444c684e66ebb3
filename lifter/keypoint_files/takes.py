"""Our own takes (docs/take-format.md): the keypoints they were made from, people told apart, sides put right."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lifter.errors import MotionliftError
from lifter.take import load_take

from .clip import Found, KeypointClip, make_clip, make_found


def clips(path: Path) -> dict[str, list[Path]]:
    """Takes in a folder and below it; or the file alone."""
    if not path.is_dir():
        return {path.name.removesuffix(".npz"): [path]}
    return {p.relative_to(path).as_posix().removesuffix(".npz"): [p] for p in sorted(path.rglob("*.npz"))}


def read(files: list[Path], layout: str) -> KeypointClip:
    """One clip from its take, in the layout that the take names."""
    (file,) = files
    take = load_take(file)
    if layout and layout != take.layout:
        raise MotionliftError(f"{file}: its keypoints are of layout {take.layout}, not {layout}", "Name no layout")
    width, height = (float(take.header["source"].get(k) or 0) for k in ("width", "height"))
    size = (width, height) if min(width, height) > 0 else None
    found: list[Found] = []
    for who, person in enumerate(take.people):
        for frame, xy, score in zip(person.frames, person.keypoints, person.scores, strict=True):
            if (score > 0).any():
                found.append(make_found(int(frame), np.column_stack([xy, score]), who, size, where=str(file)))
    return make_clip(file, take.layout, found, None, take.fps)
