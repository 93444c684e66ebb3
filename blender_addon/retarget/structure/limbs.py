"""Pairs of limbs: like branches of a rig, and which of their bones are hip, knee, ankle or shoulder, elbow, wrist.

A pair's readings are scored like log-likelihoods: 0 for a perfect limb, less for each way in which it is odd. The terms
need no size, axis or rest pose: ratios of lengths, angles between bones, and how well the sides mirror each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np

from ..rig import Array, RigSpec

Kind = Literal["leg", "arm"]
Joints = tuple[int, int, int]

MAX_PATH = 12
READINGS = 3
"""Readings kept of one pair."""
MAX_PAIRS = 32
"""Pairs kept of one kind."""
MIN_SCORE = -12.0


@dataclass(frozen=True)
class Pair:
    """paths: bones from the branch to the tip on each side; points: (2, n, 3) their heads, and where the path goes on
    or its tail; joints: indices into the path of hip, knee, ankle or shoulder, elbow, wrist; fingers: chains that leave
    the last of them."""

    hub: int
    paths: tuple[tuple[int, ...], tuple[int, ...]]
    points: Array
    joints: Joints
    fingers: int
    score: float

    def at(self, k: int) -> Array:
        """(2, 3) the k-th of the three joints, both sides."""
        return self.points[:, self.joints[k]]

    @cached_property
    def length(self) -> float:
        upper, lower = self.at(1) - self.at(0), self.at(2) - self.at(1)
        return float((np.linalg.norm(upper, axis=1) + np.linalg.norm(lower, axis=1)).mean())

    def flipped(self) -> Pair:
        return replace(self, paths=(self.paths[1], self.paths[0]), points=self.points[::-1])


def find_pairs(rig: RigSpec) -> dict[Kind, list[Pair]]:
    """The likeliest legs and the likeliest arms, best first."""
    out: dict[Kind, list[Pair]] = {"leg": [], "arm": []}
    if not rig.names or not np.isfinite(rig.heads).all():
        return out
    reach = _reach(rig)
    size = float(np.linalg.norm(np.ptp(rig.heads, axis=0)))
    for hub, children in enumerate(rig.children):
        paths = {c: _path(rig, reach, c, 1e-4 * size) for c in children if reach[c] > 0.08 * size}
        for a, b in combinations(paths, 2):
            if max(reach[a], reach[b]) <= 1.7 * min(reach[a], reach[b]):
                for kind, pairs in out.items():
                    pairs += _readings(rig, kind, hub, paths[a], paths[b])
    return {kind: sorted(pairs, key=lambda p: -p.score)[:MAX_PAIRS] for kind, pairs in out.items()}


def _reach(rig: RigSpec) -> Array:
    """(B,) length of the longest way down from each bone's head, over heads only."""
    out = np.zeros(len(rig.names))
    for i in range(len(rig.names) - 1, -1, -1):
        for c in rig.children[i]:
            out[i] = max(out[i], out[c] + float(np.linalg.norm(rig.heads[c] - rig.heads[i])))
    return out


def _path(rig: RigSpec, reach: Array, start: int, nothing: float) -> tuple[int, ...]:
    """Down the longest way. Bones at the very place of the next are left out: they carry a limb but are none of it."""
    path = [start]
    while rig.children[path[-1]] and len(path) < MAX_PATH:
        here = rig.heads[path[-1]]
        path.append(max(rig.children[path[-1]], key=lambda c: float(np.linalg.norm(rig.heads[c] - here)) + reach[c]))
    steps = np.linalg.norm(np.diff(rig.heads[path], axis=0), axis=1)
    return tuple(b for b, step in zip(path, [*steps, np.inf], strict=True) if step > nothing)


def _readings(rig: RigSpec, kind: Kind, hub: int, a: tuple[int, ...], b: tuple[int, ...]) -> list[Pair]:
    points, count = _points(rig, a, b)
    if count < 2 or asymmetry(points[:, : min(count, 4)]) > 0.25:
        return []
    steps = np.linalg.norm(np.diff(points, axis=1), axis=2).mean(0)
    fingers = [_branches(rig, (a[k], b[k])) for k in range(count)]
    chain = _Chain(steps, np.concatenate(([0.0], np.cumsum(steps))), _bends(points), fingers)
    scored = [(_score(kind, chain, joints), joints) for joints in combinations(range(count + 1), 3)]
    out: list[Pair] = []
    for score, joints in sorted(scored, reverse=True)[:READINGS]:
        score += off(asymmetry(points[:, : joints[2] + 1]), 0.0, 0.06)
        if score > MIN_SCORE:
            ends = fingers[joints[2]] if joints[2] < count else 0
            out.append(Pair(hub, (a, b), points, joints, ends, score))
    return out


def _points(rig: RigSpec, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[Array, int]:
    """(2, n + 1, 3) heads along both paths as far as both go, and what comes next; n."""
    count = min(len(a), len(b))
    sides: list[Array] = []
    for path in (a, b):
        end = rig.heads[path[count]] if len(path) > count else rig.tails[path[-1]]
        sides.append(np.vstack((rig.heads[list(path[:count])], end)))
    return np.stack(sides), count


def asymmetry(points: Array) -> float:
    """How far two chains (2, n, 3) are from being mirror images, relative to their length."""
    across = points[0] - points[1]
    normal = across.sum(0)
    norm = float(np.linalg.norm(normal))
    extent = float(np.linalg.norm(np.diff(points, axis=1), axis=2).sum(1).mean())
    if norm < 1e-9 or extent < 1e-9:
        return 9.0
    normal /= norm
    skew = across - (across @ normal)[:, None] * normal
    middle = points.mean(0)
    drift = (middle - middle.mean(0)) @ normal
    return float(np.sqrt((skew**2).sum(1).mean() + (drift**2).mean())) / extent


def _branches(rig: RigSpec, bones: tuple[int, int]) -> int:
    """How many chains of at least two bones leave both bones: three or more are fingers."""
    return min(sum(bool(rig.children[c]) for c in rig.children[b]) for b in bones)


# Scores


def off(value: float, mean: float, sigma: float) -> float:
    """How unlikely a value is: 0 at the mean, -1/2 at one sigma, never below -20."""
    return -min(((value - mean) / sigma) ** 2, 40.0) / 2


def log_ratio(a: float, b: float) -> float:
    return float(np.log(max(a, 1e-9) / max(b, 1e-9)))


def _bends(points: Array) -> Array:
    """(n,) angle between the segments before and after each point, mean of the sides; 0 at the ends."""
    segments = np.diff(points, axis=1)
    norms = np.linalg.norm(segments, axis=2)
    dots = (segments[:, :-1] * segments[:, 1:]).sum(2) / np.maximum(norms[:, :-1] * norms[:, 1:], 1e-12)
    # Where two heads coincide there is no direction to bend.
    angles = np.where(np.minimum(norms[:, :-1], norms[:, 1:]) < 1e-9, 0.0, np.arccos(np.clip(dots, -1, 1)))
    return np.concatenate(([0.0], angles.mean(0), [0.0]))


@dataclass(frozen=True)
class _Chain:
    """Of n bones, mean of the sides: steps (n,) from head to head, arc (n + 1,) their sums, bends (n + 1,) angles, and
    how many chains branch off each bone."""

    steps: Array
    arc: Array
    bends: Array
    branches: list[int]


def _score(kind: Kind, chain: _Chain, joints: Joints) -> float:
    """How well the three points do as the joints of such a limb."""
    i, j, k = joints
    arc, bends, count = chain.arc, chain.bends, len(chain.branches)
    before, upper, lower = float(arc[i]), float(arc[j] - arc[i]), float(arc[k] - arc[j])
    limb = upper + lower
    if before > 1.2 * limb:
        return -np.inf
    after = float(arc[count - 1] - arc[k]) if k < count else 0.0
    score = _splits(chain, joints)
    if k == count:
        # The path ends before the ankle or wrist: nothing but a tail says where that is.
        score -= 1.6
    if kind == "leg":
        score += off(log_ratio(upper, lower), 0.0, 0.2) + min(0.0, off(before / limb, 0.1, 0.12))
        score += off(after / limb, 0.15, 0.12)
        if k < count:
            # The foot points forward.
            score += 2.5 * (min(float(bends[k]), 1.0) - 1.0) * (1.0 if k < count - 1 else 0.3)
        return score
    score += off(log_ratio(upper, lower), 0.06, 0.2) + off(after / limb, 0.2, 0.2)
    # Without a clavicle the arm begins at its hub.
    score += off(before / limb, 0.25, 0.12) if i else -0.2
    # Rigs split both parts of the arm or neither.
    score -= 1.0 * abs((j - i) - (k - j))
    if max(chain.branches) >= 3:
        score += 2.0 if k < count and chain.branches[k] >= 3 else -2.0
    return score


def _splits(chain: _Chain, joints: Joints) -> float:
    """A part of a limb is straight and one bone, or a few like ones; a forearm and its hand are not two such halves."""
    i, j, k = joints
    score = -0.15 * (k - i - 2)
    for a, b in ((i, j), (j, k)):
        score -= float((chain.bends[a + 1 : b] ** 2).sum()) / 0.1 + 0.7 * max(b - a - 2, 0)
        if b - a > 1:
            score -= 1.2 * log_ratio(float(chain.steps[a:b].max()), float(chain.steps[a:b].min()))
    return score
