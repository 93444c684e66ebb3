"""Detections, frame by frame, to one track a person on an even time base, with left and right put right.

People are followed in two steps: pieces that are beyond doubt, from frame to frame; then pieces are joined over gaps
and crossings, by motion, size and clothes. docs/people.md says how well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .clothes import PARTS
from .detect import Detection
from .errors import MotionliftError
from .hands import SeenHands, no_hands, stack_hands
from .skeleton import layout_keypoints, mirror_name
from .smooth import runs

Array = NDArray[np.float64]

LOST_SECONDS = 2.0
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
GAP_COST = 4.0
"""What a second of a gap costs."""
TURN = 0.7
"""Diagonals a second by which somebody's velocity commonly changes, unseen."""
COLOUR_ERROR = 12.0, 7.0, 7.0
"""By how much the colour of somebody's clothes commonly differs from piece to piece, as light and pose change: Lab."""
DRESSED_ALIKE, ALIKE_GAIN, UNLIKE_COST = 2.0, 2.0, 8.0
"""Mean square of differences, in those, from which on clothes speak against a link; and what they count at most for
it, where all parts are seen, and against it."""
MOST_COST = {0.12: 1.0, 0.3: 2.0, 0.6: 3.0, 1.0: 5.0, LOST_SECONDS: 7.0}
"""What a piece's end without a successor costs, a square of standard deviations, where gaps are up to so many seconds:
no link that costs more is made."""
LIMITS = 0.0, 1.0, 2.0, 3.0, 5.0, 7.0
ROUNDS = ((0.12, 1.0), *((gap, cost) for cost in LIMITS for gap, most in MOST_COST.items() if cost <= most))
"""What goes on at once comes first; then the surest links, over short gaps before long ones, as longer pieces show
better where somebody is heading and what they wear."""


@dataclass(frozen=True)
class Track:
    """One person on the take's even time base, without holes in the frame numbers.

    Attributes:
        frames: (T,) numbers on the even time base.
        xy: (T, K, 2) pixels, NaN where missing; score: (T, K).
        seen: (T,) frames with a detection.
        swapped: (T,) frames where left and right were exchanged and put right.
        hands: of the T frames, where they were looked for.
    """

    frames: NDArray[np.int32]
    xy: NDArray[np.float32]
    score: NDArray[np.float32]
    seen: NDArray[np.bool_]
    swapped: NDArray[np.bool_]
    hands: SeenHands | None = None

    def part(self, keep: slice) -> Track:
        """Some of the frames."""
        hands = None if self.hands is None else self.hands.at(keep)
        return Track(self.frames[keep], self.xy[keep], self.score[keep], self.seen[keep], self.swapped[keep], hands)


@dataclass
class _Piece:
    """Detections of one person, one after another."""

    times: list[float] = field(default_factory=list[float])
    detections: list[Detection] = field(default_factory=list[Detection])


@dataclass(frozen=True)
class _Stretch:
    """A piece that grows no more, as joining looks at it.

    Attributes:
        size: typical, pixels; colours: (PARTS, 3) of the clothes.
        speed_in, speed_out: (2,) pixels a second at its beginning and its end.
    """

    piece: _Piece
    size: float
    colours: Array
    speed_in: Array
    speed_out: Array


class Tracking:
    """Follows people through a clip, fed frame by frame, so that it can be done beside detection.

    Args:
        layout: keypoint layout of the detections.
        fps: the even rate of the result.
    """

    def __init__(self, layout: str, fps: float) -> None:
        self._layout, self._fps = layout, fps
        self._mirror = mirrored_keypoints(layout)
        self._pieces: list[_Piece] = []
        self._alive: list[_Piece] = []
        # Frames in which somebody else has numbered everybody: only one without a number shows that all are to be
        # followed, from the first on.
        self._numbered: list[tuple[float, Sequence[Detection]]] | None = []

    def add(self, time: float, found: Sequence[Detection]) -> None:
        """The people found in the frame at that time in seconds, which follows on the one before."""
        if self._numbered is not None:
            self._numbered.append((time, found))
            if all(d.who is not None for d in found):
                return
            waiting, self._numbered = self._numbered, None
        else:
            waiting = [(time, found)]
        for now, people in waiting:
            begun, self._alive = _followed(self._alive, now, people, self._mirror)
            self._pieces += begun

    def tracks(self) -> list[Track]:
        """One of each person so far, the one seen in most frames first."""
        if self._numbered is not None:
            people = _told_apart(self._numbered)
        else:
            stretches = [_stretch(p) for p in self._pieces]
            for gap, limit in ROUNDS:
                stretches = _joined(stretches, self._mirror, gap, limit)
            people = [s.piece for s in stretches]
        return _people_tracks(people, self._layout, self._fps)


def track_people(
    times: Sequence[float], detections: Sequence[Sequence[Detection]], layout: str, fps: float
) -> list[Track]:
    """Follow people through a clip whose detections are all there.

    Args:
        times: seconds of each decoded frame, rising.
        detections: the people found in each.
        layout: keypoint layout of the detections.
        fps: the even rate of the result.
    Returns:
        Tracks, the one seen in most frames first.
    """
    tracking = Tracking(layout, fps)
    for now, found in zip(times, detections, strict=True):
        tracking.add(now, found)
    return tracking.tracks()


def choose_people(tracks: list[Track], choice: str) -> list[Track]:
    """Those that are asked for, in the order of `track_people`.

    Args:
        choice: "all"; "most" for the one seen in most frames; or numbers in that order from 1, such as "1, 3".
    Raises:
        MotionliftError: no such choice, or no such person.
    """
    if choice == "all":
        return tracks
    if choice == "most":
        return tracks[:1]
    numbers = [n.strip() for n in choice.split(",")]
    if not all(n.isdecimal() and n.isascii() for n in numbers):
        raise MotionliftError(f"People cannot be chosen by {choice!r}", "Use all, most, or numbers such as 1,3")
    wrong = [n for n in numbers if not 1 <= int(n) <= len(tracks)]
    if wrong:
        raise MotionliftError(f"There is no person {wrong[0]}: {len(tracks)} are seen", "Capture all to see who is who")
    return [tracks[i] for i in sorted({int(n) - 1 for n in numbers})]


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


def _people_tracks(people: list[_Piece], layout: str, fps: float) -> list[Track]:
    """Tracks on the even time base, without what is made up, left and right put right."""
    longest = max((len(p.times) for p in people), default=0)
    shortest = min(SHORTEST_SECONDS * fps, 0.5 * longest)
    tracks = [_trimmed(_even(p, fps), fps) for p in people if len(p.times) >= shortest]
    tracks = sorted((t for t in tracks if t.seen.sum() >= shortest), key=lambda t: -int(t.seen.sum()))
    # Furniture that is now and then taken for somebody flickers. The longest track is never doubted.
    tracks = tracks[:1] + [t for t in tracks[1:] if _restlessness(t) < FLICKER]
    return [_repaired(t, layout) for t in tracks]


def _told_apart(frames: Sequence[tuple[float, Sequence[Detection]]]) -> list[_Piece]:
    """People by the numbers that somebody else has given them."""
    people: dict[int | None, _Piece] = {}
    for now, found in frames:
        for detection in found:
            person = people.setdefault(detection.who, _Piece())
            person.times.append(now)
            person.detections.append(detection)
    return list(people.values())


def _followed(
    alive: list[_Piece], now: float, everything: Sequence[Detection], mirror: NDArray[np.intp]
) -> tuple[list[_Piece], list[_Piece]]:
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
    begun = [_Piece([now], [d]) for i, d in enumerate(found) if i not in taken]
    return begun, [p for r, p in enumerate(alive) if r not in gone] + begun


def _without_doubles(found: Sequence[Detection], mirror: NDArray[np.intp]) -> list[Detection]:
    """Detections of a frame, of two upon the same body the surer one."""
    if len(found) < 2:
        return list(found)
    order = sorted(range(len(found)), key=lambda i: -float(found[i].score.sum()))
    xy = np.stack([found[i].xy for i in order]).astype(np.float64)
    moved, shape, size, common = _compared(xy, xy, mirror)
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


def _step_costs(alive: list[_Piece], found: Sequence[Detection], now: float, mirror: NDArray[np.intp]) -> Array:
    """(P, D) how far each detection is from where each piece was heading, in diagonals of the body; inf where the shape
    jumped."""
    before = np.stack([p.detections[-1].xy for p in alive]).astype(np.float64)
    away: Array = np.array([now - p.times[-1] for p in alive])
    ahead = np.stack([_velocity(p, end=True) for p in alive]) * away[:, None]
    here = np.stack([d.xy for d in found]).astype(np.float64)
    moved, shape, size, common = _compared(before, here, mirror)
    off: Array = np.linalg.norm(moved - ahead[:, None], axis=-1) / size
    jumped = ~(shape / size < SHAPE_JUMP + SHAPE_SPEED * away[:, None])
    return np.where((common < 3) | jumped, np.inf, off + shape / size)


def _compared(a: Array, b: Array, mirror: NDArray[np.intp]) -> tuple[Array, Array, Array, NDArray[np.intp]]:
    """Bodies a (P, K, 2) against bodies b (D, K, 2), by the keypoints that both have.

    Returns (P, D, 2) how far the whole body moved, (P, D) the median of what keypoints moved beyond that, exchanged
    sides forgiven, (P, D) the smaller of the diagonals, and (P, D) how many keypoints both have.
    """
    difference = b[None] - a[:, None]
    both = np.isfinite(difference).all(-1)
    common = both.sum(-1)
    moved = _median(np.where(both[..., None], difference, np.nan), axis=2)
    own: Array = np.linalg.norm(difference - moved[:, :, None], axis=-1)
    other: Array = np.linalg.norm(b[None][:, :, mirror] - a[:, None] - moved[:, :, None], axis=-1)
    shape = _median(np.where(both, np.fmin(own, other), np.nan), axis=2)
    # Diagonals of the same keypoints: half a body is no smaller body.
    masks = both[..., None]
    pairs = np.broadcast_arrays(a[:, None], b[None])
    diagonals = [np.where(masks, x, -np.inf).max(2) - np.where(masks, x, np.inf).min(2) for x in pairs]
    lengths = [np.linalg.norm(np.where(np.isfinite(d), d, 0), axis=-1) for d in diagonals]
    size: Array = np.maximum(np.minimum(*lengths), 1.0)
    return np.nan_to_num(moved), np.nan_to_num(shape, nan=np.inf), size, common


def _median(x: Array, axis: int) -> Array:
    """As np.nanmedian without its warnings and its slowness: of an even number the lower one."""
    ordered = np.sort(x, axis=axis)  # NaN last
    middle = np.maximum((np.isfinite(x).sum(axis) - 1) // 2, 0)
    return np.take_along_axis(ordered, np.expand_dims(middle, axis), axis).squeeze(axis)


def _velocity(piece: _Piece, end: bool) -> Array:
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


def _stretch(piece: _Piece) -> _Stretch:
    speeds = (_velocity(piece, end) for end in (False, True))
    return _Stretch(piece, _typical_size(piece), _clothes(piece), *speeds)


def _joined(stretches: list[_Stretch], mirror: NDArray[np.intp], longest: float, limit: float) -> list[_Stretch]:
    """Pieces to people: every piece is followed by one other or by none, so that all links together cost least.

    A link costs the squares of how far the body is from where it was heading before the gap and came from after it, of
    how much its shape changed and of how much its size did, each by what is usual over such a gap; clothes speak for it
    or against it. No link that costs more than the limit is made.
    """
    from scipy.optimize import linear_sum_assignment  # loads for longer than a take takes to solve

    count = len(stretches)
    if count < 2:
        return stretches
    pieces = [s.piece for s in stretches]
    first: Array = np.array([p.times[0] for p in pieces])
    last: Array = np.array([p.times[-1] for p in pieces])
    order = np.argsort(first)
    cost = np.full((count, count), np.inf)
    out_speed, in_speed = np.stack([s.speed_out for s in stretches]), np.stack([s.speed_in for s in stretches])
    sizes: Array = np.array([s.size for s in stretches])
    colours = np.stack([s.colours for s in stretches])
    for i in range(count):
        gap = first - last[i]
        near: list[int] = [int(j) for j in np.flatnonzero((gap > 0) & (gap <= longest))]
        if not len(near):
            continue
        before = pieces[i].detections[-1].xy.astype(np.float64)[None]
        after = np.stack([pieces[j].detections[0].xy for j in near]).astype(np.float64)
        moved, shape, _, common = (x[0] for x in _compared(before, after, mirror))
        away, size = gap[near], np.sqrt(sizes[i] * sizes[near])
        lengths = [min(len(pieces[j].times), 8) for j in near]
        weight: Array = np.stack([np.full(len(near), min(len(pieces[i].times), 8)), lengths])
        known = weight - 1 + 1e-3  # a single detection has no velocity
        speed = (known[0][:, None] * out_speed[i] + known[1][:, None] * in_speed[near]) / known.sum(0)[:, None]
        off = np.linalg.norm(moved - speed * away[:, None], axis=-1) / size
        total = (off / (0.06 + 0.35 * away)) ** 2 + (shape / size / (0.06 + 0.15 * np.minimum(away, 1.0))) ** 2
        total += (np.log(sizes[near] / sizes[i]) / 0.3) ** 2 + GAP_COST * away
        total += _dressed_apart(colours[i], colours[near])
        turned = np.linalg.norm(in_speed[near] - out_speed[i], axis=-1) / size / (TURN + 0.5 * away)
        total += turned**2 * ((weight.min(0) - 1) / 7)
        # A few frames of something made up fit many a gap.
        few = (weight.min(0) < 4) & (away > 0.5)
        cost[i, near] = np.where((common >= 3) & ~few, total, np.inf)
    if not (cost < limit).any():
        return stretches
    whole = np.full((count, 2 * count), 1e6)
    whole[:, :count] = np.minimum(cost, 1e6)
    whole[np.arange(count), count + np.arange(count)] = limit
    rows, columns = linear_sum_assignment(whole)
    following = {int(r): int(c) for r, c in zip(rows, columns, strict=True) if c < count and whole[r, c] < limit}
    begins = set(range(count)) - set(following.values())
    people: list[_Stretch] = []
    for start in (int(i) for i in order if int(i) in begins):
        chain = [start]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        if len(chain) == 1:
            people.append(stretches[start])
            continue
        times = [t for i in chain for t in pieces[i].times]
        people.append(_stretch(_Piece(times, [d for i in chain for d in pieces[i].detections])))
    return people


def _typical_size(piece: _Piece) -> float:
    """The diagonal of the body in pixels, mean of the larger half of its frames: a body half hidden seems small."""
    xy = np.stack([d.xy for d in piece.detections[:: max(1, len(piece.detections) // 30)]])
    finite = np.isfinite(xy)
    extent = np.where(finite, xy, -np.inf).max(1) - np.where(finite, xy, np.inf).min(1)
    lengths: Array = np.sort(np.linalg.norm(np.where(np.isfinite(extent), extent, 0), axis=-1))
    return max(float(lengths[len(lengths) // 2 :].mean()), 1.0)


def _clothes(piece: _Piece) -> Array:
    """(PARTS, 3) colours of the clothes, the median of some frames; NaN where nobody looked."""
    some = piece.detections[:: max(1, len(piece.detections) // 30)]
    nothing = np.full((len(PARTS), 3), np.nan)
    seen = np.stack([nothing if d.colours is None else np.asarray(d.colours, np.float64) for d in some])
    return _median(seen, axis=0)


def _dressed_apart(one: Array, others: Array) -> Array:
    """(N,) what it costs that (N, PARTS, 3) clothes are not (PARTS, 3) those: below 0 where they are alike, 0 where
    either is unknown."""
    squares = ((others - one) / COLOUR_ERROR) ** 2
    known = np.isfinite(squares).all(-1)
    parts: Array = known.sum(-1)
    off = np.where(known, squares.mean(-1), 0).sum(-1) / np.maximum(parts, 1)
    cost = np.clip(off - DRESSED_ALIKE, -ALIKE_GAIN * parts / len(PARTS), UNLIKE_COST)
    return np.where(parts > 0, cost, 0)


def _shape_change(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    """The median distance that keypoints moved beyond what all moved together; NaN where one is missing."""
    moved: Array = np.asarray(b - a, np.float64)
    apart: Array = np.linalg.norm(moved - np.median(moved, axis=0), axis=-1)
    return float(np.median(apart))


def _even(person: _Piece, fps: float) -> Track:
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
        frames.astype(np.int32),
        out.astype(np.float32),
        out_score.astype(np.float32),
        seen,
        np.zeros(len(frames), bool),
        _even_hands(person, before, after, u, seen),
    )


def _even_hands(
    person: _Piece, before: NDArray[np.intp], after: NDArray[np.intp], share: Array, seen: NDArray[np.bool_]
) -> SeenHands | None:
    """Hands of each frame, between those of the two detections around it, or as in the one that has them."""
    if all(d.hands is None for d in person.detections):
        return None
    found = stack_hands([d.hands or no_hands() for d in person.detections])
    first, last = found.at(before), found.at(after)
    u = share[:, None, None]
    known = [h.score[..., :1] > 0 for h in (first, last)]
    u = np.where(known[0] & ~known[1], 0.0, np.where(known[1] & ~known[0], 1.0, u)).astype(np.float32)

    def mixed(a: NDArray[np.float32], b: NDArray[np.float32], part: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.where(part == 0, a, np.where(part == 1, b, a * (1 - part) + b * part))

    out = SeenHands(
        mixed(first.xy, last.xy, u[..., None]),
        mixed(first.score, last.score, u),
        mixed(first.world, last.world, u[..., None]),
        mixed(first.size, last.size, u[..., 0]),
    )
    nobody = no_hands()
    for name in ("xy", "score", "world", "size"):
        getattr(out, name)[~seen] = getattr(nobody, name)
    return out


def _trimmed(track: Track, fps: float) -> Track:
    """Without islands of a few frames at either end that a gap separates from the rest: mostly made up."""
    stretches = runs(track.seen)
    while len(stretches) > 1 and stretches[0][1] - stretches[0][0] < ISLAND_SECONDS * fps:
        stretches = stretches[1:]
    while len(stretches) > 1 and stretches[-1][1] - stretches[-1][0] < ISLAND_SECONDS * fps:
        stretches = stretches[:-1]
    keep = slice(stretches[0][0], stretches[-1][1])
    return track.part(keep)


def _repaired(track: Track, layout: str) -> Track:
    swapped = find_swaps(track.xy, track.seen, layout)
    mirror = mirrored_keypoints(layout)
    xy = np.where(swapped[:, None, None], track.xy[:, mirror], track.xy)
    score = np.where(swapped[:, None], track.score[:, mirror], track.score)
    hands = None if track.hands is None else track.hands.exchanged(swapped)
    return Track(track.frames, xy, score, track.seen, swapped, hands)


def mirrored_keypoints(layout: str) -> NDArray[np.intp]:
    """(K,) of each keypoint of a layout, the one of the other side; itself where there is none."""
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
    mirror = mirrored_keypoints(layout)
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
