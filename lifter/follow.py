"""A detector that looks at every n-th frame; in between, keypoints are followed by optical flow from both sides.

From the detection before, keypoints are followed forwards (pyramidal Lucas-Kanade; Bouguet, Intel 2000), from the one
after it backwards, in grey pictures that are cut out around the person and made small. Each way is bent so that it ends
where the detector says, and the two are blended. Where they disagree, or a keypoint was unsure to begin with, it moves
in a straight line instead. benchmarks/skipping.md says how well that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .detect import Detection, Detector
from .errors import MotionliftError
from .footage import Frame, Image
from .pipeline import queue_length
from .track import mirrored_keypoints

Array = NDArray[np.float64]

LONGEST = 1 / 12
"""Seconds between two frames that are looked at, by choice of `auto`: farther apart, errors grow."""
MOST = 30
"""More frames wait in memory than is good, and nothing is followed so far."""
BODY = 256.0
"""Pixels of a body's diagonal in the pictures in which it is followed: of a smaller one no more than it has."""
MARGIN = 0.15
"""Of the box around a body's keypoints, what is cut out beside it."""
WINDOW, LEVELS = 15, 3
"""Side of the square of pixels that is compared, and how often the picture is halved for large motions."""
SURE = 0.5
"""Keypoints with a lower score are hidden, and the picture shows something else there."""
AGREE = 0.04
"""Of the body's diagonal: ways that end farther apart than this did not follow the keypoint."""
TRUST = 0.8
"""Factor on the score half-way between two detections."""
SAME = 0.5
"""Of the body's diagonal: who is found farther away is somebody else."""


def frames_apart(every: str | int, fps: float) -> int:
    """Of how many frames a detector looks at one.

    Args:
        every: "all"; "auto" for as few as follow well, by the frame rate; or a number from 1 to 30.
    Raises:
        MotionliftError: none of these.
    """
    if every == "all":
        return 1
    if every == "auto":
        return max(1, min(MOST, int(fps * LONGEST + 1e-6)))
    try:
        number = int(every)
    except ValueError:
        number = 0
    if not 1 <= number <= MOST or isinstance(every, bool):
        raise MotionliftError(f"The detector cannot look at every {every!r} frame", f"Use all, auto or 1 to {MOST}")
    return number


def detect_every(frames: Iterator[Frame], detector: Detector, every: int) -> Iterator[tuple[Frame, list[Detection]]]:
    """All frames in order, and who is in them; the detector sees the first, every n-th and the last.

    Frames wait for the next one that is looked at: `every` of them, times the detector's batch where memory allows.
    Who is found on one side only is not followed.
    """
    if every == 1:
        while batch := list(islice(frames, detector.batch)):
            yield from zip(batch, detector.detect(batch), strict=True)
        return
    mirror = mirrored_keypoints(detector.layout)
    for before in islice(frames, 1):
        height, width = before.rgb.shape[:2]
        batch = max(1, min(detector.batch, queue_length(width, height, detector.batch) // every))
        (known,) = detector.detect([before])
        yield before, known
        while chunk := list(islice(frames, every * batch)):
            groups = [chunk[i : i + every] for i in range(0, len(chunk), every)]
            for group, found in zip(groups, detector.detect([g[-1] for g in groups]), strict=True):
                yield from zip(group[:-1], _between(known, found, [before, *group], mirror), strict=True)
                yield group[-1], found
                before, known = group[-1], found


def _between(
    known: list[Detection], found: list[Detection], frames: list[Frame], mirror: NDArray[np.intp]
) -> list[list[Detection]]:
    """Everybody who is in the first and the last frame, in each frame between them."""
    out: list[list[Detection]] = [[] for _ in frames[1:-1]]
    if not out:
        return out
    begin, end = frames[0].time, frames[-1].time
    at = [(f.time - begin) / max(end - begin, 1e-9) for f in frames[1:-1]]
    for one, other in _pairs(known, found, mirror):
        for people, person in zip(out, follow(one, other, [f.rgb for f in frames], at), strict=True):
            people.append(person)
    return out


def _pairs(
    known: list[Detection], found: list[Detection], mirror: NDArray[np.intp]
) -> list[tuple[Detection, Detection]]:
    """The same people in two frames. Where left and right are exchanged in one of them, they are exchanged back: nobody
    turns inside out on the way."""
    near: list[tuple[float, int, int, Detection]] = []
    for i, one in enumerate(known):
        size = _diagonal(one.xy)
        for j, other in enumerate(found):
            if one.who is not None and other.who is not None and one.who != other.who:
                continue
            turned = Detection(other.xy[mirror], other.score[mirror], None, other.who)
            off, off_turned = (_distance(one.xy, d.xy) / size for d in (other, turned))
            # Nearly alike from the side: then as it was detected.
            best = (off_turned, turned) if off_turned < 0.5 * off else (off, other)
            if best[0] < SAME:
                near.append((best[0], i, j, best[1]))
    pairs: dict[int, tuple[Detection, Detection]] = {}
    taken: set[int] = set()
    for _, i, j, other in sorted(near, key=lambda n: n[:3]):
        if i not in pairs and j not in taken:
            pairs[i] = known[i], other
            taken.add(j)
    return [pairs[i] for i in sorted(pairs)]


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Median distance of keypoints that both have; infinite where there are none."""
    apart: Array = np.linalg.norm((a - b).astype(np.float64), axis=-1)
    apart = apart[np.isfinite(apart)]
    return float(np.median(apart)) if len(apart) else float("inf")


def _diagonal(xy: NDArray[np.float32]) -> float:
    finite = xy[np.isfinite(xy).all(-1)]
    return max(float(np.linalg.norm(np.ptp(finite, axis=0))), 1.0) if len(finite) else 1.0


def follow(before: Detection, after: Detection, pictures: Sequence[Image], at: Sequence[float]) -> list[Detection]:
    """One person in the frames between two detections.

    Args:
        before, after: the person in the first and the last picture.
        pictures: (H, W, 3), from the frame of `before` to that of `after`.
        at: of each picture in between, where in time it lies: 0 at `before`, 1 at `after`.
    """
    a, b = before.xy.astype(np.float64), after.xy.astype(np.float64)
    both = np.isfinite(a).all(-1) & np.isfinite(b).all(-1) & (before.score > 0) & (after.score > 0)
    u = np.asarray(at, np.float64)[:, None, None]
    xy = a * (1 - u) + b * u
    sure = np.flatnonzero(both & (before.score >= SURE) & (after.score >= SURE))
    if len(sure) and len(at):
        xy[:, sure] += _bends(a[sure], b[sure], pictures, u)
    xy[:, ~both] = np.nan
    # A parabola: the farther from a detection, the less sure.
    trust = 1 - (1 - TRUST) * 4 * u[..., 0] * (1 - u[..., 0])
    score = np.where(both, np.minimum(before.score, after.score) * trust, 0)
    who = before.who if before.who == after.who else None
    return [Detection(x.astype(np.float32), s.astype(np.float32), None, who) for x, s in zip(xy, score, strict=True)]


def _bends(a: Array, b: Array, pictures: Sequence[Image], u: Array) -> Array:
    """(N, K, 2) how far from the straight line from a (K, 2) to b the N pictures in between show keypoints, 0 where
    they do not tell."""
    ends = np.concatenate([a, b])
    low, high = ends.min(0), ends.max(0)
    size = max(float(np.linalg.norm(np.ptp(a, axis=0))), float(np.linalg.norm(np.ptp(b, axis=0))), 1.0)
    shape = np.array(pictures[0].shape[1::-1])
    x0, y0 = np.clip(low - MARGIN * size, 0, shape - 2).astype(int)
    x1, y1 = np.clip(np.ceil(high + MARGIN * size), [x0 + 2, y0 + 2], shape).astype(int)
    scale = min(1.0, BODY / size)
    if min(x1 - x0, y1 - y0) * scale < WINDOW:
        return np.zeros((len(u), *a.shape))
    small: list[Any] = [p[y0:y1, x0:x1] for p in pictures]
    if scale < 1:
        small = [cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for p in small]
    small = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in small]
    corner = np.array([x0, y0])
    ahead, fine = _chain((a - corner) * scale, small)
    back, good = _chain((b - corner) * scale, small[::-1])
    ahead, back = ahead / scale + corner, back[::-1] / scale + corner
    fine &= good & (np.linalg.norm(ahead[-1] - b, axis=-1) < AGREE * size)
    fine &= np.linalg.norm(back[0] - a, axis=-1) < AGREE * size
    straight = a * (1 - u) + b * u
    forwards = ahead[1:-1] + (b - ahead[-1]) * u - straight
    backwards = back[1:-1] + (a - back[0]) * (1 - u) - straight
    return np.where(fine[:, None], forwards * (1 - u) + backwards * u, 0.0)


def _chain(start: Array, pictures: Sequence[Any]) -> tuple[Array, NDArray[np.bool_]]:
    """(N, K, 2) points followed from picture to picture, and (K,) whether to the last."""
    points = start.astype(np.float32)[:, None]
    out, kept = [start], np.ones(len(start), bool)
    for one, other in pairwise(pictures):
        flow: Any = cv2.calcOpticalFlowPyrLK
        points, found, _ = flow(one, other, points, None, winSize=(WINDOW, WINDOW), maxLevel=LEVELS)
        kept &= found.ravel() == 1
        out.append(points[:, 0].astype(np.float64))
    return np.stack(out), kept
