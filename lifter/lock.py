"""Feet that stand are pinned to the floor: nothing slides, floats or sinks.

Works on joints in scene space (Z up, metres, time first); the legs' bones keep their lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rotation import shortest_arc
from .skeleton import Skeleton
from .smooth import runs
from .solve import sole_heights

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

RELEASE = 0.2
"""Seconds over which a foot finds back to its free path before and after it stands."""

REACH = 0.9985
"""Part of the straight leg's length that a foot may be away from the hip: a last bend keeps knees from snapping."""


@dataclass(frozen=True)
class _Leg:
    """Joint indices, and what hangs on the ankle."""

    hip: int
    knee: int
    ankle: int
    points: tuple[int, int]
    foot: tuple[int, ...]


def legs_of(skeleton: Skeleton) -> list[_Leg]:
    """Legs with heel and toe, left first; a skeleton without them has none."""
    out: list[_Leg] = []
    for side in "lr":
        names = [f"{side}_{n}" for n in ("hip", "knee", "ankle", "heel", "toe")]
        if not all(n in skeleton.joint_names for n in names):
            continue
        hip, knee, ankle, heel, toe = (skeleton.joint(n) for n in names)
        foot = [ankle]
        for j, parent in enumerate(skeleton.parents):
            if parent in foot:
                foot.append(j)
        out.append(_Leg(hip, knee, ankle, (heel, toe), tuple(foot)))
    return out


def lock_feet(
    skeleton: Skeleton, joints: NDArray[np.floating[Any]], offsets: Array, contact: Flags, valid: Flags, fps: float
) -> Array:
    """(T, J, 3) joints whose feet stay where they stand, their soles on the floor at Z = 0.

    Each stance of a heel or toe keeps the robust mean of where it was. What that moves is eased in and out over
    RELEASE. The body is lowered, smoothly, where a leg would not reach. Feet that swing through the floor are lifted.
    Knees stay where they were: `solve.bend_limbs` puts them where the bones' lengths need them.

    Args:
        joints: (T, J, 3), finite where valid.
        offsets: (J, 3) the performer's rest offsets: lengths of thigh and shin, and height of heel and toe at rest.
        contact: (T, 4) l_heel, l_toe, r_heel, r_toe stand.
        valid: (T,) frames with a pose; nothing eases across the others.
    """
    out = np.array(joints, np.float64)
    legs = legs_of(skeleton)
    drop = np.zeros(len(out))
    for n, leg in enumerate(legs):
        on = contact[:, 2 * n : 2 * n + 2]
        sole = sole_heights(skeleton, offsets, [skeleton.joint_names[p] for p in leg.points])
        shift = _stances(out, leg, on, valid, sole)
        out[:, leg.foot] = _planted(out, leg, shift, on, valid, sole, fps)
        drop = np.maximum(drop, _missing(out, leg, offsets, on.any(1) & valid))
    down = _eased(drop, valid, fps)
    feet = {j for leg in legs for j in leg.foot}
    rest = [j for j in range(out.shape[1]) if j not in feet]
    out[:, rest, 2] -= down[:, None]
    return out


def _stances(joints: Array, leg: _Leg, contact: Flags, valid: Flags, sole: Array) -> Array:
    """(T, 2, 3) from where heel and toe are to where they stand; 0 where they do not."""
    points = joints[:, leg.points]
    shift = np.zeros_like(points)
    for p in range(2):
        for start, stop in runs(contact[:, p] & valid):
            place = np.median(points[start:stop, p], axis=0)
            place[2] = sole[p]
            shift[start:stop, p] = place - points[start:stop, p]
    return shift


def _planted(joints: Array, leg: _Leg, shift: Array, contact: Flags, valid: Flags, sole: Array, fps: float) -> Array:
    """(T, F, 3) the foot's joints, held."""
    points = joints[:, leg.points]
    # While one of the two stands the foot turns about it; the other keeps its own way of turning.
    for p, other in ((0, 1), (1, 0)):
        alone = contact[:, p] & ~contact[:, other] & valid
        shift[alone, other] = shift[alone, p]
    held = contact.any(1) & valid
    for start, stop in runs(valid):
        shift[start:stop] = _released(shift[start:stop], held[start:stop], contact[start:stop], fps)
    wanted = points + shift
    # No point of a swinging foot is under the floor.
    wanted[..., 2] = np.where(valid[:, None], np.maximum(wanted[..., 2], sole.min()), wanted[..., 2])
    return _rigid(joints[:, leg.foot], points, wanted, contact)


def _released(shift: Array, held: Flags, contact: Flags, fps: float) -> Array:
    """(n, 2, 3) corrections faded out after a stance and in before the next one; also from one point to both."""
    frames = np.arange(len(held))
    length = max(1.0, RELEASE * fps)
    out = np.zeros_like(shift)
    for p in range(2):
        # A point that begins or ends to stand while the other one does eases too.
        own = contact[:, p] | held
        last = np.maximum.accumulate(np.where(own, frames, -1))
        following = len(own) - 1 - np.maximum.accumulate(np.where(own[::-1], frames, -1))[::-1]
        out[:, p] = np.where(own[:, None], shift[:, p], 0)
        gap = following - last
        reach = np.minimum(length, np.maximum(gap, 1))
        for edge, there in ((last, ~own & (last >= 0)), (following, ~own & (following < len(own)))):
            share = np.where(there, _ease(1 - np.abs(frames - edge) / reach), 0.0)
            out[:, p] += share[:, None] * shift[np.where(there, edge, 0), p]
    return out


def _ease(x: Array) -> Array:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _rigid(foot: Array, points: Array, wanted: Array, contact: Flags) -> Array:
    """(T, F, 3) the foot moved as one piece so that its sole lies along the wanted one; a point that stands alone is
    met exactly, two that stand by their middle."""
    turn = shortest_arc(points[:, 1] - points[:, 0], wanted[:, 1] - wanted[:, 0])
    share = np.where(contact[:, 0] & ~contact[:, 1], 0.0, np.where(contact[:, 1] & ~contact[:, 0], 1.0, 0.5))[:, None]
    pivot = points[:, 0] * (1 - share) + points[:, 1] * share
    target = wanted[:, 0] * (1 - share) + wanted[:, 1] * share
    return (foot - pivot[:, None]) @ np.swapaxes(turn, -1, -2) + target[:, None]


def _length(offsets: Array, leg: _Leg) -> tuple[float, float]:
    return float(np.linalg.norm(offsets[leg.knee])), float(np.linalg.norm(offsets[leg.ankle]))


def _missing(joints: Array, leg: _Leg, offsets: Array, held: Flags) -> Array:
    """(T,) metres that the hip has to come down for the ankle of a held foot to be reached."""
    away = joints[:, leg.hip] - joints[:, leg.ankle]
    reach = REACH * sum(_length(offsets, leg))
    highest = np.sqrt(np.clip(reach**2 - (away[:, :2] ** 2).sum(-1), 0, None))
    return np.where(held, np.clip(away[:, 2] - highest, 0, None), 0.0)


def _eased(drop: Array, valid: Flags, fps: float) -> Array:
    """A smooth curve that is nowhere below the drop that is needed."""
    out = np.zeros(len(drop))
    radius = max(1, round(0.1 * fps))
    kernel = np.hanning(2 * radius + 3)[1:-1]
    for start, stop in runs(valid):
        padded = np.pad(np.nan_to_num(drop[start:stop]), 2 * radius, mode="edge")
        widest = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1).max(-1)
        out[start:stop] = np.convolve(widest, kernel / kernel.sum(), mode="valid")
    return out
