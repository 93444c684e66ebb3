"""Feet that stand are pinned to the floor: nothing slides, floats or sinks.

Works on joints in scene space (Z up, metres, time first); the legs' bones keep their lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from .rotation import normalize, shortest_arc
from .skeleton import Skeleton
from .smooth import runs
from .solve import sole_heights

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

RELEASE = 0.2
"""Seconds over which a foot finds back to its free path before and after it stands."""

SKIM = 0.008
"""Metres over the floor in which a swinging foot that would sink is lifted, smoothly."""

HARD, NEAR = 20.0, 0.1
"""m/s^2 by which a pinned foot may stop harder than it is seen to, so many seconds about a contact's first frame."""

SLOW, EARLY, SHORTEST = 0.3, 0.1, 0.1
"""What is faster (m/s) may be let go, for so many seconds of a contact at most; so much of it stays (seconds)."""

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
    RELEASE, in position and velocity. The body is lowered, smoothly, where a leg would not reach. Feet that swing
    through the floor are lifted. Knees stay where they were: `solve.bend_limbs` puts them where the bones' lengths
    need them.

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
        out[:, leg.foot] = _planted(out, leg, on, valid, sole, fps)
        drop = np.maximum(drop, _missing(out, leg, offsets, _soon(on.any(1), fps) & valid))
    down = _eased(drop, valid, fps)
    feet = {j for leg in legs for j in leg.foot}
    rest = [j for j in range(out.shape[1]) if j not in feet]
    out[:, rest, 2] -= down[:, None]
    return out


def gentle_contacts(
    skeleton: Skeleton, joints: NDArray[np.floating[Any]], offsets: Array, contact: Flags, valid: Flags, fps: float
) -> Flags:
    """(T, 4) contacts without those of their first frames, EARLY at most, in which the foot is still fast, where to pin
    it would stop it harder than it is seen to by more than HARD.

    A contact that is told a few frames too early is pinned to where the foot will be, and the foot has to rush there.
    Feet that leave are let go as they are: they roll off, and are fast while they still stand. The arguments are those
    of `lock_feet`.
    """
    joints = np.asarray(joints, np.float64)
    out = contact.copy()
    near, most, shortest = (max(1, round(seconds * fps)) for seconds in (NEAR, EARLY, SHORTEST))
    for n, leg in enumerate(legs_of(skeleton)):
        columns = slice(2 * n, 2 * n + 2)
        sole = sole_heights(skeleton, offsets, [skeleton.joint_names[p] for p in leg.points])
        planted = _planted(joints, leg, contact[:, columns], valid, sole, fps)
        free, held = joints[:, leg.points], planted[:, [leg.foot.index(p) for p in leg.points]]
        harder = _hardest(held, valid, near, fps) - _hardest(free, valid, near, fps) > HARD
        speed = np.zeros(free.shape[:2])
        speed[1:-1] = np.linalg.norm(free[2:] - free[:-2], axis=-1) * fps / 2
        for p in range(2):
            for start, stop in runs(contact[:, 2 * n + p] & valid):
                late = _leading(speed[start : min(stop, start + most), p] > SLOW) if harder[start] else 0
                if stop - start - late >= shortest:
                    out[start : start + late, 2 * n + p] = False
    return out


def _leading(flags: Flags) -> int:
    """How many are True before the first that is not."""
    return len(flags) if flags.all() else int(np.argmin(flags))


def _hardest(points: Array, valid: Flags, near: int, fps: float) -> Array:
    """(T,) the greatest acceleration, m/s^2, of any of (T, P, 3) points within so many frames."""
    size = np.zeros(len(points))
    whole = valid[2:] & valid[1:-1] & valid[:-2]
    size[1:-1] = np.where(whole, np.linalg.norm(np.diff(points, 2, axis=0), axis=-1).max(-1) * fps**2, 0.0)
    return np.asarray(maximum_filter1d(size, 2 * near + 1, mode="constant"), np.float64)


def _stances(joints: Array, leg: _Leg, contact: Flags, sole: Array) -> Array:
    """(T, 2, 3) from where heel and toe are to where they stand; 0 where they do not.

    Places of a heel and a toe that stand at the same time are a foot's length apart, so that both can be met: the
    one that came later gives way.
    """
    points = joints[:, leg.points]
    shift = np.zeros_like(points)
    places = np.full_like(points, np.nan)
    stances = [(start, stop, p) for p in range(2) for start, stop in runs(contact[:, p])]
    for start, stop, p in sorted(stances):
        place = np.median(points[start:stop, p], axis=0)
        place[2] = sole[p]
        other = places[start, 1 - p]
        if np.isfinite(other).all():
            length = float(np.linalg.norm(points[start, 1] - points[start, 0]))
            level = np.sqrt(max(length**2 - (sole[0] - sole[1]) ** 2, 0.0))
            place[:2] = other[:2] + level * normalize(place[:2] - other[:2])
        places[start:stop, p] = place
        shift[start:stop, p] = place - points[start:stop, p]
    return shift


def _rolling(contact: Flags) -> Flags:
    """(T, 2) contacts in which a foot that goes from heel to toe, or back, within a frame stands on both meanwhile."""
    ends, begins = contact[:-1] & ~contact[1:], ~contact[:-1] & contact[1:]
    over = ends & begins[:, ::-1]
    out = contact.copy()
    out[1:] |= over
    out[:-1] |= over[:, ::-1]
    return out


def _planted(joints: Array, leg: _Leg, contact: Flags, valid: Flags, sole: Array, fps: float) -> Array:
    """(T, F, 3) the foot's joints, held.

    Heel and toe move by a common correction and by a difference. The difference is known while both stand; while one
    stands alone the foot turns about it, and the other finds back to its own way of turning. The common one is known
    while anything stands. What is not known fades.
    """
    points = joints[:, leg.points]
    contact = _rolling(contact & valid[:, None])
    shift = _stances(joints, leg, contact, sole)
    both, held = contact.all(1), contact.any(1)
    apart = np.where(both[:, None], shift[:, 1] - shift[:, 0], 0.0)
    common, alone = np.zeros_like(apart), contact[:, 1].astype(np.float64) - contact[:, 0]
    near = np.zeros(len(points))
    for start, stop in runs(valid):
        span = slice(start, stop)
        apart[span] = _faded(apart[span], both[span], fps)
        own = (shift.sum(1) - alone[:, None] * apart / 2)[span]
        common[span] = _faded(np.where(both[span, None], own / 2, own), held[span], fps)
        alone[span] = _faded(alone[span, None], (alone != 0)[span], fps)[:, 0]
        near[span] = _faded(held[span, None].astype(np.float64), held[span], fps)[:, 0]
    wanted = points + np.stack([common - apart / 2, common + apart / 2], 1)
    # No point of a swinging foot is under the floor.
    height = wanted[..., 2] - sole.min()
    wanted[..., 2] = np.where(valid[:, None], _above(height, SKIM * (1 - near[:, None])), height) + sole.min()
    return _rigid(joints[:, leg.foot], points, wanted, (1 + alone) / 2)


def _faded(values: Array, known: Flags, fps: float) -> Array:
    """(n, C) values where they are known; elsewhere they fade out after and in before these, over RELEASE at most.

    By Hermite's cubics: value and slope go on where they were, and end at 0. What is corrected moves against the
    foot, so that a value that went on without its slope would let the foot start at once with the speed that it had
    without being held.
    """
    frames = np.arange(len(known))
    last = np.maximum.accumulate(np.where(known, frames, -1))
    following = len(known) - 1 - np.maximum.accumulate(np.where(known[::-1], frames, -1))[::-1]
    reach = np.minimum(max(1.0, RELEASE * fps), np.maximum(following - last, 1))
    out = np.where(known[:, None], values, 0.0)
    for edge, step in ((last, -1), (following, 1)):
        there = ~known & (edge >= 0) & (edge < len(known))
        edge = np.where(there, edge, 0)
        before = np.clip(edge + step, 0, len(known) - 1)
        slope = np.where((there & known[before])[:, None], values[edge] - values[before], 0.0)
        u = np.clip(np.abs(frames - edge) / reach, 0, 1)[:, None]
        fade = (1 + 2 * u) * (1 - u) ** 2 * values[edge] + u * (1 - u) ** 2 * reach[:, None] * slope
        out += np.where(there[:, None], fade, 0.0)
    return out


def _above(height: Array, margin: Array) -> Array:
    """Heights that are nowhere below 0, bent upwards smoothly within the margin."""
    soft = (height + margin) ** 2 / np.maximum(4 * margin, 1e-9)
    return np.where(height >= margin, height, np.where(height <= -margin, 0.0, soft))


def _rigid(foot: Array, points: Array, wanted: Array, share: Array) -> Array:
    """(T, F, 3) the foot moved as one piece so that its sole lies along the wanted one, and the point so far from heel
    to toe, (T,) in 0..1, is where it is wanted."""
    turn = shortest_arc(points[:, 1] - points[:, 0], wanted[:, 1] - wanted[:, 0])
    share = share[:, None]
    pivot = points[:, 0] * (1 - share) + points[:, 1] * share
    target = wanted[:, 0] * (1 - share) + wanted[:, 1] * share
    return (foot - pivot[:, None]) @ np.swapaxes(turn, -1, -2) + target[:, None]


def _length(offsets: Array, leg: _Leg) -> tuple[float, float]:
    return float(np.linalg.norm(offsets[leg.knee])), float(np.linalg.norm(offsets[leg.ankle]))


def _soon(held: Flags, fps: float) -> Flags:
    """(T,) frames in which a foot is held or on its way from or to where it is."""
    return maximum_filter1d(held, 2 * round(RELEASE * fps) + 1, mode="constant")


def _missing(joints: Array, leg: _Leg, offsets: Array, held: Flags) -> Array:
    """(T,) metres that the hip has to come down for the ankle to be reached in these frames."""
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
