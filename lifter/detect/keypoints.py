"""Keypoints that another tool found, in place of a detector: from files of several formats (lifter/keypoint_files/)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.footage import Footage, Frame
from lifter.keypoint_files import KeypointClip, find_format, list_clips, read_clip

from . import Detection

SPARE = 3
"""Frames that a file may have more or fewer than the clip: decoders differ at its end."""
OUTSIDE = 0.5
"""Keypoints of another clip, or of the clip at another size, lie outside its picture for the most part."""


class KeypointDetector:
    """The people of a file, frame by frame.

    Its numbers of frames are the clip's, from 0 or from 1; a file that numbers otherwise needs `first`. Files of
    pictures of another size are scaled where they tell the size, and so are keypoints in shares of the picture (0..1).
    """

    batch = 1

    def __init__(
        self,
        path: str | Path,
        footage: Footage | None = None,
        *,
        form: str = "",
        layout: str = "",
        clip: str = "",
        first: int | None = None,
        camera: int | None = None,
    ) -> None:
        """Read the file.

        Args:
            path: a file or folder.
            footage: the clip that its keypoints are of; they are then checked against it.
            form, layout, clip: see `lifter.keypoint_files.read_clip`. Of several clips in a folder, the one that is
                named as the footage is taken.
            first: the number that the file gives the footage's first frame.
            camera: of FreeMoCap's files: which camera filmed this clip, from 0.
        Raises:
            MotionliftError: not such a file, damaged, or of another clip.
        """
        path = Path(path).expanduser()
        form = form or find_format(path)
        if not clip and footage is not None:
            stem = footage.path.stem
            clip = next((n for n in list_clips(path, form) if Path(n).name.removesuffix(".take") == stem), "")
        options = {} if camera is None else {"camera": camera}
        found = read_clip(path, form=form, layout=layout, clip=clip, **options)
        self.name, self.layout = f"{form} keypoints", found.layout
        self._fps = found.fps
        self._first = _first(found, footage) if first is None else first
        if footage is not None:
            _check_frames(found, footage, self._first, whole=first is None)
        self._people: dict[int, list[Detection]] = defaultdict(list)
        scaled = _scaled(found, footage)
        for person, xy in zip(found.found, scaled, strict=True):
            self._people[person.frame - self._first].append(Detection(xy, person.score, None, person.who))

    def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        """See `Detector.detect`."""
        numbers = [f.index if self._fps is None else round(f.time * self._fps) for f in frames]
        return [list(self._people.get(n, ())) for n in numbers]

    def close(self) -> None:
        """See `Detector.close`."""


def _first(found: KeypointClip, footage: Footage | None) -> int:
    """The number of the clip's first frame: 0 or 1, by what the file tells of all frames or of the last one."""
    if found.fps is not None:
        return 0
    if found.frames is not None:
        return min(found.frames) if min(found.frames) <= 1 else 0
    last = max(f.frame for f in found.found)
    return 1 if footage is not None and footage.frame_count and last == footage.frame_count else 0


def _check_frames(found: KeypointClip, footage: Footage, first: int, whole: bool) -> None:
    """Raises MotionliftError where a file has more frames than the clip, or tells of all and has fewer."""
    if not footage.frame_count:
        return
    rate = 1.0 if found.fps is None else footage.fps / found.fps
    listed = found.frames if found.frames is not None else [f.frame for f in found.found]
    spare = max(SPARE, 0.01 * footage.frame_count)
    last = (max(listed) - first) * rate
    if last >= footage.frame_count + spare:
        raise MotionliftError(
            f"{found.path}: has frame {max(listed)}, but the clip {footage.path.name} has {footage.frame_count} frames",
            "Choose the clip that it was made from, or say with first=N which number the clip's first frame has in it",
        )
    if whole and found.frames is not None and found.fps is None and last < footage.frame_count - 1 - spare:
        raise MotionliftError(
            f"{found.path}: has {len(found.frames)} frames, up to {max(listed)}, but the clip {footage.path.name} has "
            f"{footage.frame_count}",
            "Some are missing, or it is of another clip; with first=N, the number of the clip's first frame in it, "
            "it is taken as it is",
        )


def _scaled(found: KeypointClip, footage: Footage | None) -> list[NDArray[np.float32]]:
    """Keypoints in the footage's pixels. Raises MotionliftError where most lie outside its picture."""
    if footage is None:
        return [f.xy for f in found.found]
    size = np.array([footage.width, footage.height], np.float32)
    whole = np.concatenate([f.xy for f in found.found])
    whole = whole[np.isfinite(whole).all(-1)]
    shares = bool(((whole >= 0) & (whole <= 1)).all()) and all(f.size is None for f in found.found)
    out = [
        f.xy * (size if shares else 1.0 if f.size is None else size / np.array(f.size, np.float32)) for f in found.found
    ]
    placed = np.concatenate(out)
    placed = placed[np.isfinite(placed).all(-1)]
    if (((placed < 0) | (placed > size)).any(-1)).mean() > OUTSIDE:
        low, high = placed.min(0), placed.max(0)
        raise MotionliftError(
            f"{found.path}: its keypoints lie between ({low[0]:.0f}, {low[1]:.0f}) and ({high[0]:.0f}, {high[1]:.0f}), "
            f"mostly outside the picture of {footage.width} x {footage.height} pixels",
            "Choose the clip at the size that they were found in",
        )
    return [x.astype(np.float32) for x in out]
