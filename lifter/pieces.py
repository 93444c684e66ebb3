"""Pieces of tracks that are beyond doubt: detections followed from frame to frame, all people at once.

`follow` takes one frame's detections; lifter/joining.py joins the pieces over gaps and crossings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .detect import Detection

Array = NDArray[np.float64]

SHAPE_JUMP, SHAPE_SPEED = 0.09, 0.4
"""A body whose keypoints moved against each other by more than this share of its size, and as much a second, is
somebody else or made up. Measured: at most 0.08 from frame to frame in a vault, 0.15 to 0.4 where made up."""
STEP_SECONDS = 0.12
"""So long a piece of a track may be unseen; what lies farther apart is joined in the end, all pieces at once."""
SAME = 0.04
"""Two detections in one frame that differ by less, in diagonals, are one body found twice."""
SHADOW_SECONDS = 0.7
"""Somebody unseen for up to this long may still be taken for whoever is found where they were heading."""
NEAR = 0.1
"""A body farther than this, in its diagonal, from where it was heading is not the same in the next frame."""
DOUBT = 0.06
"""Where somebody else fits a detection as well, but for this much of a diagonal, a piece ends: joining sees more."""
MOTION_SECONDS = 0.4
"""Velocity is taken over this long."""


@dataclass
class Piece:
    """Detections of one person, one after another."""

    times: list[float] = field(default_factory=list[float])
    detections: list[Detection] = field(default_factory=list[Detection])


def follow(
    alive: list[Piece], now: float, everything: Sequence[Detection], mirror: NDArray[np.intp]
) -> tuple[list[Piece], list[Piece]]:
    """Pieces of tracks that are beyond doubt, one frame on, all people at once.

    A body is expected where it was heading. A piece ends where its shape jumps (a detector that sees a head and an arm
    enter the picture makes up a whole small person, and another one in every frame; exchanged sides are no jump), and
    where two fit one another's detections: who is who is then decided by what comes after.

    Returns the pieces that begin in this frame, and all that may go on after it.
    """
    from scipy.optimize import linear_sum_assignment  # takes a second to load: beside detection, where there is one

    found = _without_doubles(everything, mirror)
    alive = [p for p in alive if now - p.times[-1] <= SHADOW_SECONDS]
    gone: set[int] = set()
    taken: set[int] = set()
    if alive and found:
        cost = _step_costs(alive, found, now, mirror)
        # Those unseen for a moment may come back any time: they raise doubts, but are joined only in the end.
        recent: Array = np.array([now - p.times[-1] <= STEP_SECONDS for p in alive])
        steps = np.where(recent[:, None], cost, np.inf)
        rows, columns = linear_sum_assignment(np.minimum(steps, 10 * NEAR))
        pairs: list[tuple[int, int]] = np.stack([rows, columns], -1).tolist()
        for r, c in pairs:
            if steps[r, c] < NEAR and not _in_doubt(cost, r, c):
                alive[r].times.append(now)
                alive[r].detections.append(found[c])
                taken.add(c)
        # Whoever begins anew where somebody is expected takes that one's place.
        for c in sorted(set(range(len(found))) - taken):
            free = [r for r in range(len(alive)) if alive[r].times[-1] < now and r not in gone]
            if free:
                best = free[int(np.argmin(cost[free, c]))]
                gone |= {best} if cost[best, c] < NEAR else set()
    begun = [Piece([now], [d]) for i, d in enumerate(found) if i not in taken]
    return begun, [p for r, p in enumerate(alive) if r not in gone] + begun


def _without_doubles(found: Sequence[Detection], mirror: NDArray[np.intp]) -> list[Detection]:
    """Detections of a frame, of two upon the same body the surer one."""
    if len(found) < 2:
        return list(found)
    order = sorted(range(len(found)), key=lambda i: -float(found[i].score.sum()))
    xy = np.stack([found[i].xy for i in order]).astype(np.float64)
    moved, shape, size, common = compared(xy, xy, mirror)
    same = (common >= 3) & (np.linalg.norm(moved, axis=-1) + shape < SAME * size)
    kept: list[int] = []
    for i in range(len(order)):
        if not same[i, kept].any():
            kept.append(i)
    return [found[order[i]] for i in kept]


def _in_doubt(cost: Array, row: int, column: int) -> bool:
    """Whether somebody else fits a detection nearly as well."""
    own = cost[row, column]
    others = np.delete(cost[:, column], row)
    return bool((others < min(own + DOUBT, NEAR)).any())


def _step_costs(alive: list[Piece], found: Sequence[Detection], now: float, mirror: NDArray[np.intp]) -> Array:
    """(P, D) how far each detection is from where each piece was heading, in diagonals of the body; inf where the shape
    jumped."""
    before = np.stack([p.detections[-1].xy for p in alive]).astype(np.float64)
    away: Array = np.array([now - p.times[-1] for p in alive])
    ahead = np.stack([velocity(p, end=True) for p in alive]) * away[:, None]
    here = np.stack([d.xy for d in found]).astype(np.float64)
    moved, shape, size, common = compared(before, here, mirror)
    off: Array = np.linalg.norm(moved - ahead[:, None], axis=-1) / size
    jumped = ~(shape / size < SHAPE_JUMP + SHAPE_SPEED * away[:, None])
    return np.where((common < 3) | jumped, np.inf, off + shape / size)


def compared(a: Array, b: Array, mirror: NDArray[np.intp]) -> tuple[Array, Array, Array, NDArray[np.intp]]:
    """Bodies a (P, K, 2) against bodies b (D, K, 2), by the keypoints that both have.

    Returns (P, D, 2) how far the whole body moved, (P, D) the median of what keypoints moved beyond that, exchanged
    sides forgiven, (P, D) the smaller of the diagonals, and (P, D) how many keypoints both have.
    """
    difference = b[None] - a[:, None]
    both = np.isfinite(difference).all(-1)
    common = both.sum(-1)
    moved = median(np.where(both[..., None], difference, np.nan), axis=2)
    own: Array = np.linalg.norm(difference - moved[:, :, None], axis=-1)
    other: Array = np.linalg.norm(b[None][:, :, mirror] - a[:, None] - moved[:, :, None], axis=-1)
    shape = median(np.where(both, np.fmin(own, other), np.nan), axis=2)
    # Diagonals of the same keypoints: half a body is no smaller body.
    masks = both[..., None]
    pairs = np.broadcast_arrays(a[:, None], b[None])
    diagonals = [np.where(masks, x, -np.inf).max(2) - np.where(masks, x, np.inf).min(2) for x in pairs]
    lengths = [np.linalg.norm(np.where(np.isfinite(d), d, 0), axis=-1) for d in diagonals]
    size: Array = np.maximum(np.minimum(*lengths), 1.0)
    return np.nan_to_num(moved), np.nan_to_num(shape, nan=np.inf), size, common


def median(x: Array, axis: int) -> Array:
    """As np.nanmedian without its warnings and its slowness: of an even number the lower one."""
    ordered = np.sort(x, axis=axis)  # NaN last
    middle = np.maximum((np.isfinite(x).sum(axis) - 1) // 2, 0)
    return np.take_along_axis(ordered, np.expand_dims(middle, axis), axis).squeeze(axis)


def velocity(piece: Piece, end: bool) -> Array:
    """(2,) pixels a second at a piece's end or beginning, of shorter pieces less, for it is noise."""
    times, count = piece.times, len(piece.times)
    if count < 2:
        return np.zeros(2)
    here = count - 1 if end else 0
    there = here
    while 0 <= there + (-1 if end else 1) < count and abs(times[there] - times[here]) < MOTION_SECONDS:
        there += -1 if end else 1
    first, last = (there, here) if end else (here, there)
    difference = piece.detections[last].xy.astype(np.float64) - piece.detections[first].xy
    both = np.isfinite(difference).all(-1)
    if both.sum() < 3:
        return np.zeros(2)
    seconds = times[last] - times[first]
    return np.median(difference[both], axis=0) / seconds * min(1.0, seconds / (0.5 * MOTION_SECONDS))


def typical_size(piece: Piece) -> float:
    """The diagonal of the body in pixels, mean of the larger half of its frames: a body half hidden seems small."""
    xy = np.stack([d.xy for d in piece.detections[:: max(1, len(piece.detections) // 30)]])
    finite = np.isfinite(xy)
    extent = np.where(finite, xy, -np.inf).max(1) - np.where(finite, xy, np.inf).min(1)
    lengths: Array = np.sort(np.linalg.norm(np.where(np.isfinite(extent), extent, 0), axis=-1))
    return max(float(lengths[len(lengths) // 2 :].mean()), 1.0)
