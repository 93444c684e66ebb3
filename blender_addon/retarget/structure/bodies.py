"""Bodies: a pair of legs and a pair of arms that fit together as one human, scored by proportions and directions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from ..rig import Array, RigSpec
from .limbs import Pair, find_pairs, log_ratio, off

MIN_SCORE = -9.0
"""Worst score of a body that is still believed. Characters of odd build with much hanging on them score above -6 in 98
of 100 cases, symmetrical bushes below -9 in 99 of 100."""


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

    @property
    def unit(self) -> float:
        """What is a metre for a human of 1.7 m, by the lengths of arms, legs and torso together."""
        torso = float(np.linalg.norm(self.arms.at(0).mean(0) - self.legs.at(0).mean(0)))
        return (self.arms.length + self.legs.length + torso) / 1.85

    def joint_bones(self) -> set[int]:
        """The bones that the twelve main joints begin with."""
        pairs = (self.legs, self.arms)
        return {p.paths[s][j] for p in pairs for s in (0, 1) for j in p.joints if j < len(p.paths[s])}


def find_bodies(rig: RigSpec) -> list[Body]:
    """Best first; only those that may be believed."""
    pairs = find_pairs(rig)
    bodies = [_body(rig, legs, arms) for legs, arms in product(pairs["leg"], pairs["arm"])]
    out = [replace(b, score=b.score + _passed_over(rig, b, pairs["arm"])) for b in bodies if b is not None]
    return sorted((b for b in out if b.score > MIN_SCORE), key=lambda b: -b.score)


def stand_apart(rig: RigSpec, a: Body, b: Body) -> bool:
    """Two bodies rather than two readings of one: neither hangs on the other."""
    hips = [body.legs.at(0).mean(0) for body in (a, b)]
    return (
        a.pelvis not in (b.pelvis, *rig.ancestors(b.pelvis))
        and b.pelvis not in rig.ancestors(a.pelvis)
        and not a.joint_bones() & b.joint_bones()
        and float(np.linalg.norm(hips[0] - hips[1])) > 0.3 * a.legs.length
    )


def _body(rig: RigSpec, legs: Pair, arms: Pair) -> Body | None:
    """None where the two cannot be legs and arms of one body."""
    pelvis = _carrier(rig, legs, arms)
    if pelvis is None:
        return None
    hips, shoulders = legs.at(0).mean(0), arms.at(0).mean(0)
    torso = float(np.linalg.norm(shoulders - hips))
    if min(torso, legs.length, arms.length) <= 1e-9:
        return None
    up = (shoulders - hips) / torso
    across_legs, across_arms = _across(legs), _across(arms)
    if float(across_legs @ across_arms) < 0:
        arms, across_arms = arms.flipped(), -across_arms
    left = across_legs + across_arms
    left -= float(left @ up) * up
    if np.linalg.norm(left) < 0.5:
        return None
    left /= np.linalg.norm(left)
    body = Body(pelvis, legs, arms, left, up, 0.0)
    if min(_width(legs, left), _width(arms, left)) <= 0 or np.linalg.norm(legs.at(2).mean(0) - hips) <= 1e-9:
        return None
    score = legs.score + arms.score + _directions(body) + _proportions(rig, body)
    return Body(pelvis, legs, arms, left, up, score)


def _carrier(rig: RigSpec, legs: Pair, arms: Pair) -> int | None:
    """The bone that carries both pairs; None where they are not two limbs beside a spine."""
    if set(legs.paths[0] + legs.paths[1]) & set(arms.paths[0] + arms.paths[1]):
        return None
    above_arms = [arms.hub, *rig.ancestors(arms.hub)]
    pelvis = next((b for b in (legs.hub, *rig.ancestors(legs.hub)) if b in above_arms), None)
    if pelvis == arms.hub or any(p[0] in above_arms for p in legs.paths):
        return None
    return pelvis


def _passed_over(rig: RigSpec, body: Body, arms: list[Pair]) -> float:
    """Another pair may be the arms: it has fingers, or hangs further down the spine, so that these would be hair."""
    spine = [b for b in rig.ancestors(body.arms.hub) if body.pelvis in rig.ancestors(b)]
    own = {body.arms.hub, *spine, *(b for pair in (body.arms, body.legs) for path in pair.paths for b in path)}
    others = [a for a in arms if a.score > -6 and not own & {*a.paths[0], *a.paths[1]}]
    if body.arms.fingers < 3 and any(a.fingers >= 3 for a in others):
        return -5.0
    if body.arms.fingers >= 3:
        others = [a for a in others if a.fingers >= 3]
    lower = [a for a in others if a.hub in spine and a.length > 0.5 * body.arms.length]
    # Arms hang wider than hair, and also than a cape.
    width = abs(_width(body.arms, body.left))
    return -2.5 if any(abs(_width(a, body.left)) > width for a in lower) else -1.25 * bool(lower)


def _across(pair: Pair) -> Array:
    """Unit vector from the second side to the first."""
    out: Array = (pair.points[0] - pair.points[1]).sum(0)
    return out / max(float(np.linalg.norm(out)), 1e-12)


def _width(pair: Pair, left: Array) -> float:
    return float((pair.at(0)[0] - pair.at(0)[1]) @ left)


def _directions(body: Body) -> float:
    """Legs hang below, hips and shoulders lie across, one above the other."""
    hips, shoulders = body.legs.at(0).mean(0), body.arms.at(0).mean(0)
    down = body.legs.at(2).mean(0) - hips
    across_legs, across_arms = _across(body.legs), _across(body.arms)
    score = off(float(np.arccos(np.clip(down @ -body.up / np.linalg.norm(down), -1, 1))), 0, 0.35)
    score += off(float(across_legs @ across_arms), 1, 0.1)
    score += off(float(across_legs @ body.up), 0, 0.15) + off(float(across_arms @ body.up), 0, 0.15)
    return score + off(float((shoulders - hips) @ body.left / np.linalg.norm(shoulders - hips)), 0, 0.08)


def _proportions(rig: RigSpec, body: Body) -> float:
    legs, arms = body.legs, body.arms
    hips, shoulders = legs.at(0).mean(0), arms.at(0).mean(0)
    torso = float(np.linalg.norm(shoulders - hips))
    score = off(log_ratio(legs.length, torso), 0.5, 0.35) + off(log_ratio(arms.length, legs.length), -0.43, 0.25)
    score += off(log_ratio(_width(arms, body.left), arms.length), -0.45, 0.45)
    score += off(log_ratio(_width(legs, body.left), legs.length), -1.5, 0.5)
    score += off(float(np.linalg.norm(rig.heads[body.pelvis] - hips)) / legs.length, 0.05, 0.12)
    # Something rises above the shoulders: arms that begin higher are hair.
    height = (rig.heads - shoulders) @ body.up
    centred = np.abs((rig.heads - shoulders) @ body.left) < 0.12 * arms.length
    score -= 2.5 * (not bool((centred & (height > 0.12 * arms.length)).any()))
    # The hub of the arms is the top of the spine, not a bone far from them.
    return score + off(float(np.linalg.norm(rig.heads[arms.hub] - shoulders)) / torso, 0.25, 0.25)
