"""Detections, frame by frame, to one track a person on an even time base, with left and right put right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .detect import Detection
from .skeleton import layout_keypoints, mirror_name
from .smooth import runs

Array = NDArray[np.float64]

LOST_SECONDS = 1.0
"""A person unseen for longer who then appears is somebody new."""
SHORT_GAP_SECONDS = 0.4
"""Gaps up to this long are filled; longer ones are marked and left empty."""
ISLAND_SECONDS = 0.25
"""Fewer frames than this before the first gap or after the last are left out."""
SHORTEST_SECONDS = 0.5
"""A track shorter than this is taken for a false detection, unless it is most of the clip."""
SHAPE_JUMP, SHAPE_SPEED = 0.09, 0.4
"""A body whose keypoints moved against each other by more than this share of its size, and as much a second, is
somebody else or made up. Measured: at most 0.08 from frame to frame in a vault, 0.15 to 0.4 where made up."""
FLICKER = 0.03
"""A body whose shape changes by this much in most frames is made up. Measured: at most 0.02 for people, 0.035 to
0.17 for a table that is taken for one."""
FAR = 0.9
"""Two detections are not the same person if they are farther apart than this, in half body sizes."""


@dataclass(frozen=True)
class Track:
    """One person on the take's even time base, without holes in the frame numbers.

    Attributes:
        frames: (T,) numbers on the even time base.
        xy: (T, K, 2) pixels, NaN where missing; score: (T, K).
        seen: (T,) frames with a detection.
        swapped: (T,) frames where left and right were exchanged and put right.
    """

    frames: NDArray[np.int32]
    xy: NDArray[np.float32]
    score: NDArray[np.float32]
    seen: NDArray[np.bool_]
    swapped: NDArray[np.bool_]


@dataclass
class _Growing:
    times: list[float] = field(default_factory=list[float])
    detections: list[Detection] = field(default_factory=list[Detection])


def track_people(
    times: Sequence[float], detections: Sequence[Sequence[Detection]], layout: str, fps: float
) -> list[Track]:
    """Follow people through a clip.

    Args:
        times: seconds of each decoded frame, rising.
        detections: the people found in each.
        layout: keypoint layout of the detections.
        fps: the even rate of the result.
    Returns:
        Tracks, the one seen in most frames first.
    """
    people = _assign(times, detections, _mirror(layout))
    longest = max((len(p.times) for p in people), default=0)
    shortest = min(SHORTEST_SECONDS * fps, 0.5 * longest)
    tracks = [_trimmed(_even(p, fps), fps) for p in people if len(p.times) >= shortest]
    tracks = sorted((t for t in tracks if t.seen.sum() >= shortest), key=lambda t: -int(t.seen.sum()))
    # Furniture that is now and then taken for somebody flickers. The longest track is never doubted.
    tracks = tracks[:1] + [t for t in tracks[1:] if _restlessness(t) < FLICKER]
    return [_repaired(t, layout) for t in tracks]


def _restlessness(track: Track) -> float:
    """How far keypoints move against each other from frame to frame, in body sizes: the median over the track."""
    xy = track.xy[track.seen].astype(np.float64)
    if len(xy) < 2:
        return 0.0
    sizes = [float(np.linalg.norm(np.nanmax(x, 0) - np.nanmin(x, 0))) for x in xy]
    changes = [
        _shape_change(a[both], b[both]) / max(size, 1.0)
        for a, b, size in zip(xy[:-1], xy[1:], sizes, strict=False)
        if (both := np.isfinite(a).all(-1) & np.isfinite(b).all(-1)).sum() >= 3
    ]
    return float(np.median(changes)) if changes else 0.0


def _assign(
    times: Sequence[float], detections: Sequence[Sequence[Detection]], mirror: NDArray[np.intp]
) -> list[_Growing]:
    """Match the people of each frame with those of before, all at once, by the distance of their keypoints."""
    from scipy.optimize import linear_sum_assignment  # takes longer to load than a take to solve

    people: list[_Growing] = []
    for now, found in zip(times, detections, strict=True):
        alive = [p for p in people if now - p.times[-1] <= LOST_SECONDS]
        cost = np.array([[_distance(p, d, now, mirror) for d in found] for p in alive]).reshape(len(alive), len(found))
        pairs = np.stack(linear_sum_assignment(np.minimum(cost, 10 * FAR)), -1).tolist()
        owner: dict[int, _Growing] = {c: alive[r] for r, c in pairs if cost[r, c] < FAR}
        for i, detection in enumerate(found):
            person = owner.get(i)
            if person is None:
                person = _Growing()
                people.append(person)
            person.times.append(now)
            person.detections.append(detection)
    return people


def _distance(person: _Growing, detection: Detection, now: float, mirror: NDArray[np.intp]) -> float:
    """How far the body moved since it was last seen, in half body sizes; forgiven a little for time unseen.

    Infinite where its shape jumped: a detector that sees a head and an arm enter the picture makes up a whole
    small person, and another one in every frame. Exchanged sides are no jump.
    """
    before = person.detections[-1]
    both = np.isfinite(before.xy).all(-1) & np.isfinite(detection.xy).all(-1)
    if both.sum() < 3:
        return float("inf")
    a, b = before.xy[both], detection.xy[both]
    size = max(float(np.linalg.norm(np.ptp(a, axis=0))), float(np.linalg.norm(np.ptp(b, axis=0))), 1.0)
    away = max(0.0, now - person.times[-1])
    smaller = max(min(float(np.linalg.norm(np.ptp(a, axis=0))), float(np.linalg.norm(np.ptp(b, axis=0)))), 1.0)
    jump = min(_shape_change(a, b), _shape_change(a, detection.xy[mirror][both])) / smaller
    if not jump < SHAPE_JUMP + SHAPE_SPEED * away:
        return float("inf")
    middle = float(np.linalg.norm(np.median(a - b, axis=0)))
    return 2 * middle / size / (1 + away)


def _shape_change(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    """The median distance that keypoints moved beyond what all moved together; NaN where one is missing."""
    moved: Array = np.asarray(b - a, np.float64)
    apart: Array = np.linalg.norm(moved - np.median(moved, axis=0), axis=-1)
    return float(np.median(apart))


def _even(person: _Growing, fps: float) -> Track:
    """Resample onto frames at n / fps: the detection of that very time, or linear between its neighbours."""
    times: Array = np.array(person.times, np.float64)
    xy = np.stack([d.xy for d in person.detections]).astype(np.float64)
    score = np.stack([d.score for d in person.detections]).astype(np.float64)
    frames = np.arange(round(person.times[0] * fps), round(person.times[-1] * fps) + 1)
    at: Array = frames / fps
    after = np.clip(np.searchsorted(times, at), 0, len(times) - 1)
    before = np.clip(after - 1, 0, len(times) - 1)
    gap = times[after] - times[before]
    u: Array = np.clip((at - times[before]) / np.where(gap > 0, gap, 1), 0, 1)
    # On constant-rate footage a frame's time is that of a detection but for rounding: take it as it is.
    u = np.where(np.abs(at - times[before]) < 0.2 / fps, 0, np.where(np.abs(at - times[after]) < 0.2 / fps, 1, u))
    v = u[:, None, None]
    out = np.where(v == 0, xy[before], np.where(v == 1, xy[after], xy[before] * (1 - v) + xy[after] * v))
    out_score = np.where(
        v[..., 0] == 0, score[before], np.where(v[..., 0] == 1, score[after], np.minimum(score[before], score[after]))
    )
    seen = (u == 0) | (u == 1) | (gap <= 2.5 / fps)
    out[~seen], out_score[~seen] = np.nan, 0
    out_score[~np.isfinite(out).all(-1)] = 0
    return Track(
        frames.astype(np.int32), out.astype(np.float32), out_score.astype(np.float32), seen, np.zeros(len(frames), bool)
    )


def _trimmed(track: Track, fps: float) -> Track:
    """Without islands of a few frames at either end that a gap separates from the rest: mostly made up."""
    stretches = runs(track.seen)
    while len(stretches) > 1 and stretches[0][1] - stretches[0][0] < ISLAND_SECONDS * fps:
        stretches = stretches[1:]
    while len(stretches) > 1 and stretches[-1][1] - stretches[-1][0] < ISLAND_SECONDS * fps:
        stretches = stretches[:-1]
    keep = slice(stretches[0][0], stretches[-1][1])
    return Track(track.frames[keep], track.xy[keep], track.score[keep], track.seen[keep], track.swapped[keep])


def _repaired(track: Track, layout: str) -> Track:
    swapped = find_swaps(track.xy, track.seen, layout)
    mirror = _mirror(layout)
    xy = np.where(swapped[:, None, None], track.xy[:, mirror], track.xy)
    score = np.where(swapped[:, None], track.score[:, mirror], track.score)
    return Track(track.frames, xy, score, track.seen, swapped)


def _mirror(layout: str) -> NDArray[np.intp]:
    names = layout_keypoints(layout)
    return np.array([names.index(mirror_name(n)) if mirror_name(n) in names else i for i, n in enumerate(names)])


def find_swaps(xy: NDArray[np.floating[Any]], seen: NDArray[np.bool_], layout: str) -> NDArray[np.bool_]:
    """(T,) frames in which a detector exchanged left and right for the whole body.

    A detector that takes somebody's back for the front does so with full confidence and for many frames:
    only continuity shows it. Every frame is either as detected or exchanged, and the sequence of the two
    along which the keypoints move least is found (Viterbi). Motion is predicted at constant velocity, since
    legs that pass each other would otherwise look like an exchange. Being exchanged costs a little, so that
    the more frequent of the two counts as right.
    """
    mirror = _mirror(layout)
    pairs = np.flatnonzero(mirror != np.arange(len(mirror)))
    index = np.flatnonzero(seen)
    out = np.zeros(len(xy), bool)
    if len(index) < 3 or not len(pairs):
        return out
    x: Array = np.asarray(xy[index], np.float64)
    finite = np.isfinite(x)
    sizes: Array = np.linalg.norm(np.nanmax(x, 1) - np.nanmin(x, 1), axis=-1)
    size = float(np.nanmedian(sizes)) + 1e-6
    x = np.where(finite, x, np.nan) / size
    state: Array = np.stack([x[:, pairs], x[:, mirror][:, pairs]])  # (2, N, P, 2)

    def moved(difference: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.nanmean(np.minimum(np.linalg.norm(difference, axis=-1), 0.15), axis=-1)

    with np.errstate(all="ignore"):
        step = np.zeros((2, 2, 2, len(index)))
        for a in range(2):
            for b in range(2):
                for c in range(2):
                    bent: Array = state[c, 2:] - 2 * state[b, 1:-1] + state[a, :-2]
                    step[a, b, c, 2:] = moved(bent) + 0.5 * moved(state[c, 2:] - state[b, 1:-1])
    step = np.nan_to_num(step)
    # After a gap nothing is known of how fast they moved.
    broken = np.concatenate([[0, 0], (index[2:] - index[:-2]) > 3])
    step[..., broken > 0] *= 0.3
    prior, switch = 0.002, 0.02
    cost = np.full((2, 2), 0.0)  # states of the last two frames
    cost[1, :] += prior
    cost[:, 1] += prior
    cost[0, 1] += switch
    cost[1, 0] += switch
    back = np.zeros((len(index), 2, 2), np.int8)
    change = switch * (1 - np.eye(2))
    for t in range(2, len(index)):
        total = cost[:, :, None] + step[..., t] + change[None] + prior * np.arange(2)
        back[t] = total.argmin(0)
        cost = total.min(0)
    b, c = np.unravel_index(int(cost.argmin()), (2, 2))
    path = [int(c), int(b)]
    for t in range(len(index) - 1, 1, -1):
        path.append(int(back[t, path[-1], path[-2]]))
    states = np.array(path[::-1], bool)
    if states.mean() > 0.5:
        states = ~states
    out[index] = states
    return out
