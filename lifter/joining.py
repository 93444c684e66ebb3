"""Pieces of tracks to people: which piece goes on as which other, over gaps and crossings.

Every piece is followed by one other or by none, so that all links together are likeliest. What speaks for a link (how
far the body is from where it was heading, how alike it is, ...) was weighed on simulated scenes, whose truth is known:
`benchmarks/people_links.py` fits the table `ODDS`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

from .pieces import Array, Piece, median, typical_size, velocity

LOST_SECONDS = 2.0
"""A person unseen for longer who then appears is somebody new."""
ROUNDS = ((0.12, 0.0), (0.5, 0.0), (LOST_SECONDS, 4.0))
"""Pieces are joined over short gaps first, as longer pieces show better where somebody is heading: seconds of a gap,
and the log odds against it at which a link is still made. These are high in the end: a track in two halves is as
wrong as one of two people."""
FASTEST = 5.0
"""Diagonals a second: whoever would have been faster, unseen, is somebody else. Sprinters make as much."""
LARGER = 2.2
"""Times: pieces whose bodies differ more in size are of two people, or of one and of something made up."""
LOOKS = (0.0, 0.13, 0.27, 0.4)
"""Seconds from the ends of two pieces at which bodies are compared: somebody walking has the same pose again, and the
very last frames before somebody hides are the worst."""
SHORT = 5
"""A piece of fewer frames has no velocity to speak of."""
SIGNS: dict[str, tuple[float, ...]] = {
    "along": (0, 0.5, 1, 1.5, 2.5, 4, 8),
    "rise": (0, 0.25, 0.5, 1, 2, 4, 8),
    "either": (0, 1, 2, 4, 8),
    "alike": (0, 0.02, 0.04, 0.07, 0.1, 0.15, 0.25),
    "shape": (0, 0.5, 1, 2, 4),
    "turn": (0, 0.5, 1, 2, 4),
    "size": (0, 0.05, 0.1, 0.2, 0.4, 0.8),
    "gap": (0, 0.05, 0.12, 0.3, 0.6, 1, 2),
    "frames": (1, 2, 4, 7, 10),
}
"""What speaks for or against a link, and the knots of its table. Lengths are in diagonals of the body, and by what is
usual over such a gap:

along: how far the body is, across the picture, from where it was heading before the gap and came from after it;
rise: how far it is above or below where it was, as who stands on one floor at one distance is at one height;
either: how far it is from where it was heading, or came from, the worse of the two;
alike: how different its shape is at best, at the ends of the two pieces or a little inside;
shape: how different its shape is at the very ends;
turn: how much its velocity changed;
size: the logarithm of how much larger or smaller it is;
gap: seconds; frames: of the shorter piece."""

CONSTANT = (3.53, 3.65)
ODDS = {
    "along": ((0.0, 0.0, -0.07, -0.75, -1.77, -1.77, -1.77), (0.0, -1.02, -2.78, -3.44, -4.45, -5.05, -5.25)),
    "rise": ((0.0, -0.65, -1.69, -2.51, -2.51, -2.97, -3.55), (0.0, -0.64, -1.33, -2.08, -2.16, -2.44, -2.54)),
    "either": ((0.0, 0.0, 0.0, -0.91, -0.98), (0.0, -1.33, -1.33, -1.33, -1.61)),
    "alike": ((0.0, -1.65, -4.2, -5.44, -5.44, -5.44, -5.59), (0.0, -0.47, -1.83, -2.98, -4.34, -5.07, -5.48)),
    "shape": ((0.0, -0.09, -0.36, -0.36, -0.36), (0.0, 0.0, 0.0, -0.14, -0.19)),
    "turn": ((0.0, -0.53, -0.53, -0.53, -0.53), (0.0, -0.71, -1.23, -1.23, -1.23)),
    "size": ((0.0, 0.0, 0.0, 0.0, -0.12, -0.12), (0.0, -0.26, -0.26, -0.64, -0.98, -1.05)),
    "gap": ((0.0, 0.08, 0.96, 1.95, 1.93, 1.1, 1.51), (0.0, 0.29, 1.82, 2.18, 1.42, 0.52, 0.62)),
    "frames": ((0.0, -0.21, -0.51, -0.51, -0.51), (0.0, 0.0, 0.01, 0.2, 0.46)),
}
"""Log odds that a link is right, a constant and what each sign adds at its knots, linear in between: where one of the
pieces is short, and where none is. Fitted by `python -m benchmarks.people_links`."""


def join(pieces: list[Piece], mirror: NDArray[np.intp]) -> list[Piece]:
    """People, of pieces in any order."""
    for longest, limit in ROUNDS:
        if len(pieces) < 2:
            break
        before, after, signs = link_signs(pieces, mirror, longest)
        cost = np.where(signs["size"] < np.log(LARGER), -log_odds(signs), np.inf)
        pieces = _linked(pieces, before, after, cost, limit)
    return pieces


def link_signs(
    pieces: list[Piece], mirror: NDArray[np.intp], longest: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], dict[str, Array]]:
    """Links over gaps up to `longest` seconds: (L,) the piece before, (L,) the one after, and (L,) of each sign."""
    first: Array = np.array([p.times[0] for p in pieces])
    last: Array = np.array([p.times[-1] for p in pieces])
    order = np.argsort(first)
    start = np.searchsorted(first[order], last, side="right")
    stop = np.searchsorted(first[order], last + longest, side="right")
    before = np.repeat(np.arange(len(pieces)), stop - start)
    within = np.arange(len(before)) - np.repeat((stop - start).cumsum() - (stop - start), stop - start)
    after = order[start[before] + within]
    ends: Array = np.stack([_looks(p, end=True) for p in pieces])
    starts: Array = np.stack([_looks(p, end=False) for p in pieces])
    sizes: Array = np.array([typical_size(p) for p in pieces])
    gap: Array = first[after] - last[before]
    size: Array = np.sqrt(sizes[before] * sizes[after])
    moved, shape = _moved(ends[before, 0], starts[after, 0], mirror)
    possible = np.isfinite(shape) & (np.linalg.norm(moved, axis=-1) < FASTEST * size * (0.1 + gap))
    before, after, gap, size = before[possible], after[possible], gap[possible], size[possible]
    moved, shape = moved[possible], shape[possible]
    alike: Array = np.full(len(before), np.inf)
    for end in range(len(LOOKS)):
        for begin in range(len(LOOKS)):
            alike = np.fmin(alike, _moved(ends[before, end], starts[after, begin], mirror)[1])
    out: Array = np.stack([velocity(p, end=True) for p in pieces])[before]
    into: Array = np.stack([velocity(p, end=False) for p in pieces])[after]
    count: Array = np.array([len(p.times) for p in pieces], np.float64)
    fewest: Array = np.minimum(count[before], count[after])
    known = np.minimum(count, 8) - 1 + 1e-3  # a single detection has no velocity
    share: Array = (known[before] / (known[before] + known[after]))[:, None]
    usual = 0.06 + 0.35 * gap

    def off(speed: Array) -> Array:
        return np.abs(moved - speed * gap[:, None]) / size[:, None]

    along = off(share * out + (1 - share) * into)[:, 0]
    either = np.maximum(np.linalg.norm(off(out), axis=-1), np.linalg.norm(off(into), axis=-1))
    turn = np.linalg.norm(into - out, axis=-1) / size / (0.7 + 0.5 * gap)
    return (
        before,
        after,
        {
            "along": along / usual,
            "rise": np.abs(moved[:, 1]) / size / (0.06 + 0.1 * gap),
            "either": either / usual,
            "alike": alike / size,
            "shape": shape / size / (0.06 + 0.15 * np.minimum(gap, 1.0)),
            "turn": turn * (np.minimum(fewest, 8) - 1) / 7,
            "size": np.abs(np.log(sizes[after] / sizes[before])),
            "gap": gap,
            "frames": fewest,
        },
    )


def log_odds(signs: dict[str, Array]) -> Array:
    """(L,) that the pieces of each link are of one person."""
    out: Array = np.where(signs["frames"] < SHORT, *CONSTANT)
    for name, knots in SIGNS.items():
        short, others = ODDS[name]
        short, others = np.interp(signs[name], knots, short), np.interp(signs[name], knots, others)
        out += np.where(signs["frames"] < SHORT, short, others)
    return out


def _looks(piece: Piece, end: bool) -> Array:
    """(4, K, 2) the body at a piece's end, or start, and a little inside; the farthest there is in a short one."""
    times = piece.times
    if end:
        at = [bisect_left(times, times[-1] - look - 1e-6) for look in LOOKS]
    else:
        at = [bisect_right(times, times[0] + look + 1e-6) - 1 for look in LOOKS]
    return np.stack([piece.detections[i].xy for i in at]).astype(np.float64)


def _moved(a: Array, b: Array, mirror: NDArray[np.intp]) -> tuple[Array, Array]:
    """Bodies a (L, K, 2) to b (L, K, 2): (L, 2) how far the whole moved, and (L,) the median of what keypoints moved
    beyond that, exchanged sides forgiven; NaN where they share fewer than three keypoints."""
    difference = b - a
    both = np.isfinite(difference).all(-1)
    moved = median(difference, axis=1)
    own: Array = np.linalg.norm(difference - moved[:, None], axis=-1)
    other: Array = np.linalg.norm(b[:, mirror] - a - moved[:, None], axis=-1)
    shape = median(np.where(both, np.fmin(own, other), np.nan), axis=1)
    return np.nan_to_num(moved), np.where(both.sum(-1) >= 3, shape, np.nan)


def _linked(
    pieces: list[Piece], before: NDArray[np.intp], after: NDArray[np.intp], cost: Array, limit: float
) -> list[Piece]:
    """Pieces joined so that the costs of all links, and `limit` for every piece without a successor, are least."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    count = len(pieces)
    good = cost < limit
    before, after, cost = before[good], after[good], cost[good]
    # Every piece has a place of its own for no successor. The same amount on every link of a piece changes nothing, and
    # keeps zeros, which are no links, away.
    rows = np.concatenate([before, np.arange(count)])
    columns = np.concatenate([after, count + np.arange(count)])
    costs = np.concatenate([cost, np.full(count, limit)])
    costs += 1 - costs.min()
    rows, columns = min_weight_full_bipartite_matching(csr_array((costs, (rows, columns)), shape=(count, 2 * count)))
    following = {int(r): int(c) for r, c in zip(rows, columns, strict=True) if c < count}
    begins = sorted(set(range(count)) - set(following.values()), key=lambda i: pieces[i].times[0])
    people: list[Piece] = []
    for start in begins:
        person, at = Piece(), start
        while True:
            person.times += pieces[at].times
            person.detections += pieces[at].detections
            if at not in following:
                break
            at = following[at]
        people.append(person)
    return people
