"""Finds the humanoid in a rig without reading a single name: by topology, mirror symmetry and rest positions.

Every bone with two like branches is a candidate for hips (branches: legs) or chest (branches: arms). Each pair of a leg
pair and an arm pair is a *body*; it is scored by how well its proportions, its symmetry and its directions agree with a
human, in units that do not depend on size, up axis or rest pose. The best body is taken if it is good enough and no
other comes close. Which side is left follows from where toes, knees, thumbs and face point; where nothing points
anywhere, we say so instead of guessing.

Bone heads are trusted, tails only where a chain ends: importers make tails up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, pairwise, product

import numpy as np

from .rig import Array, RigError, RigSpec
from .slots import FINGERS, Mapping

MIN_SCORE = -14.0
"""Worst score of a body that is still believed; humans with 15 % odd proportions score above -8."""
MIN_MARGIN = 0.8
"""By how much the best body must beat the next that differs in a limb or in the pelvis."""
MIN_SIDE = 1.2
"""Votes needed to tell left from right; toes alone give 3."""
MAX_PATH = 9
READINGS = 3
MAX_PAIRS = 8


@dataclass(frozen=True)
class Pair:
    """Two like limbs. paths: bones from the branch to the tip on each side; points: (2, n, 3) their heads and, where
    both sides end, their tails; joints: indices into the path of shoulder, elbow, wrist or hip, knee, ankle."""

    hub: int
    paths: tuple[tuple[int, ...], tuple[int, ...]]
    points: Array
    joints: tuple[int, int, int]
    score: float

    def at(self, k: int) -> Array:
        """(2, 3) the k-th of the three joints, both sides."""
        return self.points[:, self.joints[k]]

    @property
    def length(self) -> float:
        upper, lower = self.at(1) - self.at(0), self.at(2) - self.at(1)
        return float((np.linalg.norm(upper, axis=1) + np.linalg.norm(lower, axis=1)).mean())

    def flipped(self) -> Pair:
        return Pair(self.hub, (self.paths[1], self.paths[0]), self.points[::-1], self.joints, self.score)


@dataclass(frozen=True)
class Body:
    """A hypothesis. `left` points from the second side of both pairs to the first, `up` from hips to shoulders; which
    side really is the left one is settled later."""

    pelvis: int
    legs: Pair
    arms: Pair
    left: Array
    up: Array
    score: float


@dataclass
class _Votes:
    """For "the first side is the left one"."""

    total: float = 0.0
    cues: list[str] = field(default_factory=list[str])

    def add(self, cue: str, value: float, full_at: float, weight: float) -> None:
        vote = weight * float(np.clip(value / full_at, -1, 1))
        self.total += vote
        if abs(vote) > 0.3:
            self.cues.append(cue)


def find_by_structure(rig: RigSpec) -> Mapping:
    """Raises RigError with the reason where the rig cannot be told with certainty."""
    bodies = find_bodies(rig)
    if not bodies:
        raise RigError(_what_lacks(rig))
    best = bodies[0]
    for other in bodies[1:]:
        if apart(best, other):
            raise _two_bodies(rig, best, other)
        if best.score - other.score < MIN_MARGIN and _limbs(best) != _limbs(other):
            where = sorted(rig.names[i] for i in _limbs(best) ^ _limbs(other))
            raise RigError(
                f"The rig can be read in two ways that differ in {', '.join(where[:6])}. "
                "Write a mapping file, or choose a preset."
            )
    fingers = [_fingers(rig, best, side) for side in (0, 1)]
    votes = _which_side(rig, best, fingers)
    if abs(votes.total) < MIN_SIDE:
        raise RigError(
            "A body was found, but neither feet nor knees nor thumbs show which way it faces, so left and right cannot "
            "be told apart. Write a mapping file, or give the bones names with left and right."
        )
    return _mapping(rig, best, fingers, votes)


def check_single(rig: RigSpec) -> None:
    """Raises RigError where the armature holds two humanoids that stand apart."""
    bodies = find_bodies(rig)
    for other in bodies[1:]:
        if apart(bodies[0], other):
            raise _two_bodies(rig, bodies[0], other)


def apart(a: Body, b: Body) -> bool:
    """Two bodies rather than two readings of one: no limb in common and hips away from each other."""
    hips = [x.legs.at(0).mean(0) for x in (a, b)]
    return not _limbs(a) & _limbs(b) and float(np.linalg.norm(hips[0] - hips[1])) > 0.3 * a.legs.length


def _two_bodies(rig: RigSpec, a: Body, b: Body) -> RigError:
    return RigError(
        f"There are two candidates for the hips: {rig.names[a.pelvis]} and {rig.names[b.pelvis]}. "
        "Separate the two characters into armatures of their own, or write a mapping file for one of them."
    )


def _limbs(body: Body) -> set[int]:
    """The bones that the main joints begin with."""
    pairs = (body.legs, body.arms)
    return {p.paths[s][j] for p in pairs for s in (0, 1) for j in p.joints if j < len(p.paths[s])}


def _what_lacks(rig: RigSpec) -> str:
    pairs = find_pairs(rig)
    legs, arms = pairs["leg"], pairs["arm"]
    if not legs and not arms:
        return (
            "No humanoid was found: no two branches of the rig look like a pair of legs or arms. "
            "Choose a preset or write a mapping file."
        )
    return (
        "No humanoid was found: the rig's branches do not fit together as two legs, a spine and two arms. "
        "Choose a preset or write a mapping file."
    )


# Pairs of limbs


def _reach(rig: RigSpec) -> Array:
    """(B,) length of the longest way down from each bone's head, over heads only."""
    out = np.zeros(len(rig.names))
    for i in range(len(rig.names) - 1, -1, -1):
        for c in rig.children[i]:
            out[i] = max(out[i], out[c] + float(np.linalg.norm(rig.heads[c] - rig.heads[i])))
    return out


def _path(rig: RigSpec, reach: Array, start: int) -> tuple[int, ...]:
    out = [start]
    while rig.children[out[-1]] and len(out) < MAX_PATH:
        here = out[-1]
        # A child that itself has children comes first: chains go on, helpers end.
        out.append(
            max(rig.children[here], key=lambda c: float(np.linalg.norm(rig.heads[c] - rig.heads[here])) + reach[c])
        )
    return tuple(out)


def find_pairs(rig: RigSpec) -> dict[str, list[Pair]]:
    """The likeliest pairs of legs and of arms, best first, each with its best joints."""
    reach = _reach(rig)
    size = float(np.linalg.norm(np.ptp(rig.heads, axis=0))) if len(rig.names) else 0.0
    out: dict[str, list[Pair]] = {"leg": [], "arm": []}
    if size <= 0 or not np.isfinite(rig.heads).all():
        return out
    for hub, children in enumerate(rig.children):
        long = [c for c in children if reach[c] > 0.08 * size]
        paths = {c: _path(rig, reach, c) for c in long}
        for a, b in combinations(long, 2):
            if max(reach[a], reach[b]) > 1.7 * min(reach[a], reach[b]):
                continue
            points, count = _joint_points(rig, paths[a], paths[b])
            if count < 2 or _asymmetry(points[:, : min(count, 4)]) > 0.25:
                continue
            finger_counts = [_branches(rig, (paths[a][k], paths[b][k])) for k in range(count)]
            for kind in out:
                for joints, score in _best_joints(kind, points, count, finger_counts):
                    if score > -12:
                        out[kind].append(Pair(hub, (paths[a], paths[b]), points, joints, score))
    return {kind: sorted(pairs, key=lambda p: -p.score)[: 4 * MAX_PAIRS] for kind, pairs in out.items()}


def _joint_points(rig: RigSpec, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[Array, int]:
    """(2, n or n + 1, 3) heads along both paths as far as both go, and n. The tail follows where a side ends."""
    count = min(len(a), len(b))
    sides: list[Array] = []
    for path in (a, b):
        end = rig.heads[path[count]] if len(path) > count else rig.tails[path[-1]]
        sides.append(np.vstack((rig.heads[list(path[:count])], end)))
    return np.stack(sides), count


def _asymmetry(points: Array) -> float:
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


def _off(value: float, mean: float, sigma: float) -> float:
    return -min(((value - mean) / sigma) ** 2, 40.0) / 2


def _log_ratio(a: float, b: float) -> float:
    return float(np.log(max(a, 1e-9) / max(b, 1e-9)))


def _bends(points: Array) -> Array:
    """(n,) angle between the segments before and after each point, mean of the sides; 0 at the ends."""
    segments = np.diff(points, axis=1)
    norms = np.linalg.norm(segments, axis=2)
    dots = (segments[:, :-1] * segments[:, 1:]).sum(2) / np.maximum(norms[:, :-1] * norms[:, 1:], 1e-12)
    # Where two heads coincide there is no direction to bend.
    angles = np.where(np.minimum(norms[:, :-1], norms[:, 1:]) < 1e-9, 0.0, np.arccos(np.clip(dots, -1, 1)))
    return np.concatenate(([0.0], angles.mean(0), [0.0]))


def _best_joints(kind: str, points: Array, count: int, fingers: list[int]) -> list[tuple[tuple[int, int, int], float]]:
    """Which three points of the chain are hip, knee and ankle, or shoulder, elbow and wrist: the best READINGS."""
    steps = np.linalg.norm(np.diff(points, axis=1), axis=2).mean(0)
    arc = np.concatenate(([0.0], np.cumsum(steps)))
    bends = _bends(points)
    readings: list[tuple[float, tuple[int, int, int]]] = []
    for i, j, k in combinations(range(count + 1), 3):
        upper, lower = float(arc[j] - arc[i]), float(arc[k] - arc[j])
        limb, before = upper + lower, float(arc[i])
        if upper <= 0 or lower <= 0 or before > 1.2 * limb:
            continue
        after = float(arc[count - 1] - arc[k]) if k < count else 0.0
        bent = float(sum(bends[m] ** 2 for m in (*range(i + 1, j), *range(j + 1, k))))
        score = -bent / 0.1 - 0.4 * (k == count) * 4
        # A part of more than two bones is rare.
        score -= 0.7 * (max(j - i - 2, 0) + max(k - j - 2, 0)) + 0.15 * (k - i - 2)
        # Where a part is split for twist it is split into like lengths: a forearm and its hand are not two such halves.
        for a, b in ((i, j), (j, k)):
            if b - a > 1:
                score -= 0.8 * _log_ratio(float(steps[a:b].max()), float(steps[a:b].min()))
        if kind == "leg":
            score += _off(_log_ratio(upper, lower), 0.0, 0.2) + min(0.0, _off(before / limb, 0.1, 0.12))
            score += _off(after / limb, 0.15, 0.12)
            if k < count:
                # The foot points forward.
                score += 2.5 * (min(float(bends[k]), 1.0) - 1.0) * (1.0 if k < count - 1 else 0.3)
        else:
            score += _off(_log_ratio(upper, lower), 0.06, 0.2)
            # Without a clavicle the arm begins at its hub.
            score += _off(before / limb, 0.25, 0.12) if i else -0.2
            # Rigs split both parts of the arm or neither.
            score -= 0.6 * abs((j - i) - (k - j))
            score += _off(after / limb, 0.2, 0.2)
            if max(fingers) >= 3:
                score += 2.0 if k < count and fingers[k] >= 3 else -2.0
        readings.append((score, (i, j, k)))
    best = sorted(readings, reverse=True)[:READINGS]
    return [(j, score + _off(_asymmetry(points[:, : j[2] + 1]), 0.0, 0.06)) for score, j in best]


# Bodies


def find_bodies(rig: RigSpec) -> list[Body]:
    """Best first; only those that may be believed."""
    pairs = find_pairs(rig)
    out = [body for legs, arms in product(pairs["leg"], pairs["arm"]) if (body := _body(rig, legs, arms)) is not None]
    return sorted((b for b in out if b.score > MIN_SCORE), key=lambda b: -b.score)


def _body(rig: RigSpec, legs: Pair, arms: Pair) -> Body | None:
    """None where the two cannot be legs and arms of one body."""
    if set(legs.paths[0] + legs.paths[1]) & set(arms.paths[0] + arms.paths[1]):
        return None
    above_arms = [arms.hub, *rig.ancestors(arms.hub)]
    pelvis = next((b for b in (legs.hub, *rig.ancestors(legs.hub)) if b in above_arms), None)
    if pelvis is None or pelvis == arms.hub or any(p[0] in above_arms for p in legs.paths):
        return None
    hips, shoulders = legs.at(0).mean(0), arms.at(0).mean(0)
    torso = float(np.linalg.norm(shoulders - hips))
    leg, arm = legs.length, arms.length
    if min(torso, leg, arm) <= 1e-9:
        return None
    up = (shoulders - hips) / torso
    across_legs, across_arms = (legs.points[0] - legs.points[1]).sum(0), (arms.points[0] - arms.points[1]).sum(0)
    if float(across_legs @ across_arms) < 0:
        arms, across_arms = arms.flipped(), -across_arms
    unit_legs, unit_arms = (v / max(float(np.linalg.norm(v)), 1e-12) for v in (across_legs, across_arms))
    left = unit_legs + unit_arms
    left -= float(left @ up) * up
    if np.linalg.norm(left) < 0.5:
        return None
    left /= np.linalg.norm(left)
    down = legs.at(2).mean(0) - hips
    if np.linalg.norm(down) <= 1e-9:
        return None
    score = legs.score + arms.score
    score += _off(float(np.arccos(np.clip(down @ -up / np.linalg.norm(down), -1, 1))), 0, 0.35)
    score += _off(float(unit_legs @ unit_arms), 1, 0.1) + _off(float(unit_legs @ up), 0, 0.15)
    score += _off(float(unit_arms @ up), 0, 0.15)
    score += _off(float((shoulders - hips) @ left) / torso, 0, 0.08)
    score += _off(_log_ratio(leg, torso), 0.5, 0.35) + _off(_log_ratio(arm, leg), -0.43, 0.25)
    shoulder_width = float((arms.at(0)[0] - arms.at(0)[1]) @ left)
    hip_width = float((legs.at(0)[0] - legs.at(0)[1]) @ left)
    if shoulder_width <= 0 or hip_width <= 0:
        return None
    score += _off(_log_ratio(shoulder_width, arm), -0.45, 0.45) + _off(_log_ratio(hip_width, leg), -1.5, 0.5)
    score += _off(float(np.linalg.norm(rig.heads[pelvis] - hips)) / leg, 0.05, 0.12)
    # The hub of the arms is the top of the spine, not a bone far from them.
    score += _off(float(np.linalg.norm(rig.heads[arms.hub] - shoulders)) / torso, 0.25, 0.25)
    return Body(pelvis, legs, arms, left, up, score)


# Left and right


def _forward(body: Body) -> Array:
    """Where the body faces if its first side is the left one."""
    return np.cross(body.left, body.up)


def _which_side(rig: RigSpec, body: Body, fingers: list[dict[str, tuple[int, ...]]]) -> _Votes:
    votes = _Votes()
    forward, legs, arms = _forward(body), body.legs, body.arms
    leg, arm = legs.length, arms.length
    k = legs.joints[2]
    feet = legs.points[:, k + 1] - legs.points[:, k] if legs.points.shape[1] > k + 1 else np.zeros((2, 3))
    # A bone that hangs below the ankle rather than ahead of it is a heel.
    level = np.abs(feet @ forward) > 0.6 * np.linalg.norm(feet, axis=1)
    ahead = float((feet @ forward).mean()) / leg * float(level.all())
    # A tail at the end of the chain may be invented by an importer, hence less weight than a toe's head.
    has_toe = all(len(p) > k + 1 for p in legs.paths)
    votes.add("toes" if has_toe else "feet", ahead, 0.06, 3.0 if has_toe else 1.3)
    votes.add("knees", _bulge(legs, forward) / leg, 0.02, 1.5)
    votes.add("elbows", -_bulge(arms, forward) / arm, 0.02, 0.7)
    thumbs = [
        float((rig.heads[f["thumb"][-1]] - rig.heads[f["middle"][0]]) @ forward) / arm
        for f in fingers
        if "thumb" in f and "middle" in f
    ]
    if thumbs:
        votes.add("thumbs", float(np.mean(thumbs)), 0.05, 1.5)
    head = _head_chain(rig, body)[1]
    if head is not None:
        # Eyes and jaw are single bones; hair is chains.
        leaves = [rig.heads[c] for c in rig.children[head] if not rig.children[c]]
        if leaves:
            votes.add("face", float(((np.array(leaves) - rig.heads[head]) @ forward).mean()) / arm, 0.08, 0.8)
    return votes


def _bulge(pair: Pair, forward: Array) -> float:
    """How far the middle joint lies ahead of the line between its neighbours."""
    top, middle, end = pair.at(0), pair.at(1), pair.at(2)
    line = end - top
    share = ((middle - top) * line).sum(1) / np.maximum((line**2).sum(1), 1e-12)
    return float(((middle - top - share[:, None] * line) @ forward).mean())


# Head and hands


def _head_chain(rig: RigSpec, body: Body) -> tuple[tuple[int, ...], int | None]:
    """Neck bones and the head."""
    chest = body.arms.hub
    arm = body.arms.length
    shoulders = body.arms.at(0).mean(0)
    height = (rig.heads - shoulders) @ body.up / arm
    aside = np.abs((rig.heads - shoulders) @ body.left) / arm

    def top(bone: int) -> float:
        return max([float(height[bone]), *(top(c) for c in rig.children[bone])])

    starts = [
        c for c in rig.children[chest]
        if c not in (body.arms.paths[0][0], body.arms.paths[1][0]) and aside[c] < 0.12 and top(c) > 0.1
    ]  # fmt: skip
    if not starts:
        return (), None
    chain = [max(starts, key=top)]
    while True:
        here = chain[-1]
        onward: list[tuple[float, int]] = []
        for c in rig.children[here]:
            step = rig.heads[c] - rig.heads[here]
            length = float(np.linalg.norm(step))
            if aside[c] < 0.12 and length > 1e-9 and float(step @ body.up) > 0.6 * length:
                # Of several, the one that goes on straightest and is no helper.
                onward.append((float(step @ body.up) / length + 0.3 * bool(rig.children[c]), c))
        if not onward or len(chain) > 8:
            break
        chain.append(max(onward)[1])
    # The jaw begins close above the head's joint: the head's own length counts too, unless it is absurd.
    lengths = [min(float(rig.lengths[b]), 0.35 * arm) for b in chain]
    for n, (a, b) in enumerate(pairwise(chain)):
        lengths[n] = max(lengths[n], float(np.linalg.norm(rig.heads[b] - rig.heads[a])))
    longest = max(max(lengths), 1e-9)

    def headlike(k: int) -> float:
        branching = len(rig.children[chain[k]]) >= 2
        return 2 * lengths[k] / longest - abs(float(height[chain[k]]) - 0.23) / 0.15 + 0.7 * branching

    at = max(range(len(chain)), key=headlike)
    return tuple(chain[:at]), chain[at]


def _fingers(rig: RigSpec, body: Body, side: int) -> dict[str, tuple[int, ...]]:
    """Empty where the fingers cannot be told apart."""
    path, k = body.arms.paths[side], body.arms.joints[2]
    if k >= len(path):
        return {}
    hand = path[k]
    wrist, arm = rig.heads[hand], body.arms.length
    chains: list[list[int]] = []
    whole: dict[int, list[int]] = {}

    def collect(bone: int, before: list[int]) -> None:
        here = [*before, bone]
        if not rig.children[bone]:
            chains.append(here)
        for n, c in enumerate(
            sorted(
                rig.children[bone], key=lambda c: float(np.linalg.norm(rig.heads[c] - rig.heads[bone])), reverse=True
            )
        ):
            # A palm bone with two fingers belongs to the first; the second begins with its own bone.
            collect(c, here if n == 0 else [])

    for c in rig.children[hand]:
        collect(c, [])
    for chain in [c for c in chains if len(c) >= 2]:
        whole[chain[-1]] = chain
    chains = [_knuckles(rig, c, wrist) for c in whole.values()]
    chains = [c for c in chains if np.linalg.norm(rig.heads[c[-1]] - wrist) < 0.6 * arm]
    if not 3 <= len(chains) <= 5:
        return {}
    order = _from_the_thumb(rig, chains, wrist)
    if order is None:
        return {}
    # The thumb has no metacarpal that could be left out: its first bone begins at the wrist.
    order[0] = whole[order[0][-1]]
    return {f: tuple(c[:3]) for f, c in zip(FINGERS, order, strict=False)}


def _knuckles(rig: RigSpec, chain: list[int], wrist: Array) -> list[int]:
    """The chain without the metacarpal, which begins at the wrist rather than at the knuckle."""
    if len(chain) < 4:
        return chain
    first, second = (float(np.linalg.norm(rig.heads[b] - wrist)) for b in chain[:2])
    return chain[1:] if first < 0.55 * second else chain


def _from_the_thumb(rig: RigSpec, chains: list[list[int]], wrist: Array) -> list[list[int]] | None:
    """Chains in the order thumb to little finger. The thumb lies at an edge of the hand, begins nearest to the wrist
    and points away from the others; None where no finger does."""
    bases = np.array([rig.heads[c[0]] for c in chains])
    directions = np.array([rig.heads[c[-1]] - rig.heads[c[0]] for c in chains])
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    best: tuple[float, int] | None = None
    for t in range(len(chains)):
        others = [i for i in range(len(chains)) if i != t]
        along = directions[others].mean(0)
        along /= max(float(np.linalg.norm(along)), 1e-12)
        reach = (bases - wrist) @ along
        lag = 1 - float(reach[t]) / max(float(reach[others].mean()), 1e-9)
        spread = float(np.arccos(np.clip(directions[t] @ along, -1, 1)))
        score = lag + spread
        if best is None or score > best[0]:
            best = (score, t)
    if best is None or best[0] < 0.5:
        return None
    thumb = best[1]
    others = [i for i in range(len(chains)) if i != thumb]
    along = directions[others].mean(0)
    # Several joints a finger: one knuckle alone may be out of line.
    places = np.array([rig.heads[c[:3]].mean(0) for c in chains])
    flat = places[others] - places[others].mean(0)
    flat = flat - (flat @ along)[:, None] * along / max(float(along @ along), 1e-12)
    across: Array = np.asarray(np.linalg.svd(flat)[2], float)[0]
    towards = rig.heads[chains[thumb][-1]] - places[others].mean(0)
    if float(across @ towards) < 0:
        across = -across
    return [chains[thumb], *(chains[i] for i in sorted(others, key=lambda i: -float(places[i] @ across)))]


# The result


def _mapping(rig: RigSpec, body: Body, fingers: list[dict[str, tuple[int, ...]]], votes: _Votes) -> Mapping:
    legs, arms = body.legs, body.arms
    found: dict[str, tuple[int, ...]] = {"pelvis": (body.pelvis,)}
    spine = [b for b in (arms.hub, *rig.ancestors(arms.hub)) if body.pelvis in rig.ancestors(b)]
    found["spine"] = tuple(reversed(spine))
    neck, head = _head_chain(rig, body)
    if head is not None:
        found["head"] = (head,)
        if neck:
            found["neck"] = neck
    root = next(iter(reversed(rig.ancestors(body.pelvis))), None)
    floor = float((legs.at(2).mean(0) - legs.at(0).mean(0)) @ body.up)
    if root is not None and float((rig.heads[root] - legs.at(0).mean(0)) @ body.up) < 0.75 * floor:
        found["root"] = (root,)
    forward = _forward(body) * np.sign(votes.total)
    for side in (0, 1):
        name = "l" if (side == 0) == (votes.total > 0) else "r"
        for pair, parts in (
            (legs, ("", "thigh", "shin", "foot", "toe")),
            (arms, ("clavicle", "upper_arm", "forearm", "hand", "")),
        ):
            path = pair.paths[side]
            i, j, k = pair.joints
            toe = _toe(rig, body, path[k], forward) if pair is legs and k < len(path) else ()
            spans = (path[:i], path[i:j], path[j:k], path[k : k + 1], toe)
            for part, bones in zip(parts, spans, strict=True):
                if part and bones:
                    found[f"{name}_{part}"] = bones
            for part, start, end in ((parts[1], i, j), (parts[2], j, k)):
                twist = _twist_bones(rig, path[start:end], pair.points[side, start], pair.points[side, end], path)
                if twist:
                    found[f"{name}_{part}_twist"] = twist
        for finger, bones in fingers[side].items():
            found[f"{name}_{finger}"] = bones
    quality = float(np.clip(1 + body.score / 2 / abs(MIN_SCORE), 0, 1))
    base = 0.5 + 0.4 * quality
    confidence = {
        s: round(base * (0.9 if s[2:] in FINGERS or s in ("neck", "head", "root") or s.endswith("_twist") else 1.0), 2)
        for s in found
    }
    notes = (f"Bones were found by structure alone; which side is left follows from: {', '.join(votes.cues)}.",)
    return Mapping(
        {s: tuple(rig.names[b] for b in bones) for s, bones in found.items()}, confidence, "structure", notes
    )


def _toe(rig: RigSpec, body: Body, foot: int, forward: Array) -> tuple[int, ...]:
    """The bone ahead of the ankle; of several toes the big one, which is nearest to the other foot."""
    steps = {c: rig.heads[c] - rig.heads[foot] for c in rig.children[foot]}
    ahead = {c: float(s @ forward) for c, s in steps.items() if float(s @ forward) > 0.6 * float(np.linalg.norm(s))}
    toes = [c for c, a in ahead.items() if a > 0.5 * max(ahead.values())]
    middle = body.legs.at(0).mean(0)
    return (min(toes, key=lambda c: abs(float((rig.heads[c] - middle) @ body.left))),) if toes else ()


def _twist_bones(
    rig: RigSpec, bones: tuple[int, ...], start: Array, end: Array, path: tuple[int, ...]
) -> tuple[int, ...]:
    """Leaves beside the part whose heads lie on it."""
    line = end - start
    length = float(np.linalg.norm(line))
    out: list[tuple[float, int]] = []
    for bone in bones:
        for c in rig.children[bone]:
            if c in path or rig.children[c]:
                continue
            share = float((rig.heads[c] - start) @ line) / length**2
            aside = float(np.linalg.norm(rig.heads[c] - start - share * line))
            if -0.02 < share < 0.98 and aside < 0.05 * length:
                out.append((share, c))
    return tuple(c for _, c in sorted(out))
