"""FreeMoCap's 2D data: mediapipe_2dData_numCams_numFrames_numTrackedPoints_pixelXY.npy, (cameras, frames, points, 2 or
more) pixels, NaN where missing. The file, or the recording's folder.

Of MediaPipe's whole body, whose points begin with the pose's 33, the pose is read. There are no scores: what is there
has score 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError

from .clip import Found, KeypointClip, layout_of, make_clip, make_found

HOLISTIC = 33 + 2 * 21
"""Points of MediaPipe's pose and hands; those of the face follow, their number varies."""


def clips(path: Path) -> dict[str, list[Path]]:
    """The file; in a recording's folder the newest form of it."""
    if not path.is_dir():
        return {path.stem: [path]}
    files = sorted(path.rglob("*2dData*.npy"), key=lambda p: (p.parent.name != "raw_data", len(p.parts), p.name))
    return {files[0].stem: files[:1]} if files else {}


def read(files: list[Path], layout: str, camera: int | None = None) -> KeypointClip:
    """One camera's clip; camera: from 0, needed where there are several."""
    (file,) = files
    try:
        data: Any = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MotionliftError(f"{file}: not an array of numbers, or cut short ({error})", "Write it again") from error
    # An archive of arrays may bear this name, too.
    data = cast(NDArray[Any], data if isinstance(data, np.ndarray) else np.zeros(0))
    if data.dtype.kind not in "fiu" or data.ndim not in (3, 4) or data.shape[-1] < 2:
        what = f"{file}: expected an array (cameras, frames, points, 2 or more) of pixels"
        raise MotionliftError(what, "Give FreeMoCap's file of 2D data")
    if "3dData" in file.name:
        raise MotionliftError(f"{file}: 3D data, not places in the picture", "Give the file with 2dData in its name")
    data = data[None] if data.ndim == 3 else data
    if camera is None and len(data) > 1:
        raise MotionliftError(
            f"{file}: holds {len(data)} cameras", "Say which one filmed this clip: camera=0 is the first"
        )
    if not 0 <= (camera or 0) < len(data):
        raise MotionliftError(f"{file}: no camera {camera}, it holds {len(data)}", "Count cameras from 0")
    own = np.asarray(data[camera or 0, :, :, :2], np.float64)
    if np.isinf(own).any():
        raise MotionliftError(f"{file}: numbers that are not finite", "Write it again")
    holistic = own.shape[1] == HOLISTIC or own.shape[1] >= HOLISTIC + 400
    if holistic and not layout:
        own = own[:, :33]
    named = layout_of(own.shape[1], layout, str(file))
    found: list[Found] = []
    for number, points in enumerate(own):
        seen = np.isfinite(points).all(-1)
        if seen.any():
            found.append(make_found(number, np.column_stack([points, seen]), 0, where=str(file)))
    return make_clip(file, named, found, range(len(own)))
