"""What every reader of keypoint files gives: who was found in which frame of one clip."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.skeleton import layout_keypoints

Array = NDArray[np.float64]

LONGEST = 10_000_000
"""No clip has more frames: 92 hours at 30 a second. A larger number in a file is not a frame's."""

BY_COUNT = {
    15: "mpi15",
    17: "coco17",
    18: "openpose18",
    25: "body25",
    26: "halpe26",
    33: "mediapipe33",
    67: "openpose67",
    133: "wholebody133",
    136: "halpe136",
}
"""The layout that a number of keypoints stands for where nobody names one."""


@dataclass(frozen=True)
class Found:
    """Somebody in one frame.

    Attributes:
        frame: its number, as the file counts.
        xy: (K, 2) pixels, NaN where missing; score: (K,) 0..1, 0 where missing.
        who: the file's own number for this person, the same in every frame; None where it tells nobody apart.
        size: width and height of the picture, where the file says.
    """

    frame: int
    xy: NDArray[np.float32]
    score: NDArray[np.float32]
    who: int | None = None
    size: tuple[float, float] | None = None


@dataclass(frozen=True)
class KeypointClip:
    """The keypoints of one clip.

    Attributes:
        path: the file or folder, for messages.
        layout: of lifter/skeletons/layouts.toml, or a skeleton's .toml.
        found: everybody, in the order of the file.
        frames: numbers of all frames that the file tells of, also of those with nobody; None where it lists people
            and not frames.
        fps: where the file counts time and not frames: its own even rate, by which it numbers.
    """

    path: Path
    layout: str
    found: tuple[Found, ...]
    frames: tuple[int, ...] | None = None
    fps: float | None = None


def make_clip(
    path: Path, layout: str, found: Sequence[Found], frames: Sequence[int] | None = None, fps: float | None = None
) -> KeypointClip:
    """A clip that holds somebody. The file's numbers for people are kept if no two in one frame have the same.

    Raises MotionliftError where nobody is in it.
    """
    if not any((f.score > 0).any() for f in found):
        raise MotionliftError(f"{path}: nobody in it", "Choose a file of a clip in which somebody is seen")
    count = Counter((f.frame, f.who) for f in found)
    if any(f.who is None for f in found) or max(count.values()) > 1:
        found = [replace(f, who=None) for f in found]
    return KeypointClip(path, layout, tuple(found), None if frames is None else tuple(frames), fps)


def make_found(
    frame: int,
    numbers: NDArray[np.floating[Any]],
    who: int | None = None,
    size: tuple[float, float] | None = None,
    *,
    where: str,
) -> Found:
    """Somebody, from (K, 3) numbers: x, y and a score, in which 0 or NaN says missing.

    Marks of visibility as COCO's annotations have them (2 seen, 1 hidden, 0 missing) become 1, 0.5 and 0. Scores
    above 1, as some networks give, count as 1. Raises MotionliftError for a frame number that cannot be one.
    """
    if not 0 <= frame < LONGEST:
        raise MotionliftError(f"{where}: a frame number of {frame}", "Number frames from 0 or 1 on")
    xy = np.asarray(numbers[:, :2], np.float32)
    score = np.nan_to_num(np.asarray(numbers[:, 2], np.float32), nan=0.0)
    if (score > 1).any() and np.isin(score, (0, 1, 2)).all():
        score = score / 2
    missing = ~np.isfinite(xy).all(-1) | ~(score > 0)
    xy, score = np.where(missing[:, None], np.nan, xy), np.where(missing, 0, score.clip(0, 1))
    return Found(frame, xy.astype(np.float32), score.astype(np.float32), who, size)


def layout_of(count: int, named: str, where: str) -> str:
    """The layout of a file with so many keypoints: the named one if it has as many, else the usual one.

    Raises MotionliftError where it does not fit or is not known.
    """
    if not named:
        if count in BY_COUNT:
            return BY_COUNT[count]
        known = ", ".join(f"{n} ({layout})" for n, layout in BY_COUNT.items())
        raise MotionliftError(
            f"{where}: {count} keypoints a person, which is no layout that is known by its number",
            f"Name its layout, or a skeleton's .toml file with its keypoints as joints; known numbers: {known}",
        )
    expected = len(layout_keypoints(named))
    if count != expected:
        usual = f"Name {BY_COUNT[count]}" if count in BY_COUNT else "Name the layout that the file was written with"
        raise MotionliftError(
            f"{where}: {count} keypoints a person, but layout {named} has {expected}", f"{usual}, or none"
        )
    return named


def frame_number(key: object, where: str) -> int:
    """The number in an image's id or name: the last one in its stem. Raises MotionliftError where there is none."""
    if isinstance(key, int) and not isinstance(key, bool):
        return key
    digits = re.findall(r"[0-9]{1,12}", Path(str(key)).stem)
    if not digits:
        raise MotionliftError(f"{where}: {str(key)[:60]!r} has no number", "Number the images in the order of time")
    return int(digits[-1])


def read_json(file: Path) -> Any:
    """The file's contents. Raises MotionliftError where it cannot be read, is no JSON or is cut short."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise MotionliftError(f"{file}: cannot be read ({error.strerror})", "Check the path") from error
    except (ValueError, RecursionError) as error:
        raise MotionliftError(f"{file}: not JSON, or cut short ({error})", "Write it again") from error
