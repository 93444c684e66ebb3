"""Spine, neck, head and root of a body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..rig import Array, RigSpec
from .bodies import Body
from .limbs import log_ratio, off

Chain = tuple[int, ...]

MIN_MARGIN = 0.3
"""By how much the head must do better as such than the next bone."""


@dataclass(frozen=True)
class Trunk:
    """Bones from the pelvis outwards; what a rig lacks is empty or None. doubt: two bones of which either may be the
    head, which is then left open."""

    spine: Chain
    neck: Chain
    head: int | None
    root: int | None
    doubt: tuple[int, int] | None = None


def find_trunk(rig: RigSpec, body: Body) -> Trunk:
    chest = body.arms.hub
    spine = tuple(reversed([b for b in (chest, *rig.ancestors(chest)) if body.pelvis in rig.ancestors(b)]))
    upwards = _upwards(rig, body)
    # Some rigs hang the clavicles on the neck: then they begin below the bone that carries them.
    begin = min(float(rig.heads[path[0]] @ body.up) for path in body.arms.paths)
    if len(spine) > 1 and upwards and begin < float(rig.heads[chest] @ body.up) - 0.01 * body.arms.length:
        spine, upwards = spine[:-1], (chest, *upwards)
    root = _root(rig, body)
    if not upwards:
        return Trunk(spine, (), None, root)
    merits = {k: _head_merit(rig, body, upwards, k) for k in range(len(upwards)) if upwards[k] != chest}
    best, *others = sorted(merits, key=lambda k: -merits[k])
    if others and merits[best] - merits[others[0]] < MIN_MARGIN:
        return Trunk(spine, (), None, root, (upwards[best], upwards[others[0]]))
    return Trunk(spine, upwards[:best], upwards[best], root)


def _heights(rig: RigSpec, body: Body) -> Array:
    """(B,) of the bones' heads above the shoulders, in metres of a human of 1.7 m."""
    return (rig.heads - body.arms.at(0).mean(0)) @ body.up / body.unit


def _upwards(rig: RigSpec, body: Body) -> Chain:
    """From the chest straight up as far as bones go."""
    height = _heights(rig, body)
    aside = np.abs((rig.heads - body.arms.at(0).mean(0)) @ body.left) / body.unit
    limbs = {b for path in body.arms.paths for b in (path[0], *rig.ancestors(path[0]))}

    def top(bone: int) -> float:
        return max([float(height[bone]), *(top(c) for c in rig.children[bone])])

    def climb(here: int, c: int) -> float:
        """How steeply it goes on with this child, 0 for not at all."""
        step = rig.heads[c] - rig.heads[here]
        length = float(np.linalg.norm(step)) / body.unit
        if aside[c] > 0.06 or length < 1e-3:
            return 0.0
        slope = float(step @ body.up) / body.unit / length
        # A neck may lean; what leaves a head aslant is hair, a jaw or the root of a face.
        face = length < 0.06 and len(rig.children[c]) not in (1, 2, 3)
        return slope if slope > (0.85 if height[here] > 0.1 or face else 0.6) else 0.0

    starts = [c for c in rig.children[body.arms.hub] if c not in limbs and aside[c] < 0.06 and top(c) > 0.05]
    chain = [max(starts, key=top)] if starts else []
    while chain and len(chain) <= 8:
        # Of several, the one that goes on straightest and is no helper.
        onward = {c: s + 0.3 * bool(rig.children[c]) for c in rig.children[chain[-1]] if (s := climb(chain[-1], c))}
        if not onward:
            break
        chain.append(max(onward, key=lambda c: onward[c]))
    return tuple(chain)


def _head_merit(rig: RigSpec, body: Body, chain: Chain, k: int) -> float:
    """How well bone k of a chain of neck, head and perhaps a bone for the crown does as the head."""
    carried = len(rig.children[chain[k]])
    # Most rigs have a neck below and at most one bone, for the crown, above.
    score = off(float(_heights(rig, body)[chain[k]]), 0.12, 0.07) - (k == 0) - max(len(chain) - k - 2, 0)
    # An eye or a strand of hair has others beside it.
    score -= 1.5 * (k > 0 and len(rig.children[chain[k - 1]]) > 1)
    if carried > 1:
        return score + 0.4 * min(carried - 1, 3)
    rest = float(np.linalg.norm(np.diff(rig.heads[list(chain[k:])], axis=0), axis=1).sum()) / body.unit
    return score + (off(log_ratio(rest, 0.18), 0, 0.45) if rest > 0 else 0.0)


def _root(rig: RigSpec, body: Body) -> int | None:
    """The topmost bone above the pelvis, if it lies nearer to the floor than to the hips."""
    top = rig.ancestors(body.pelvis)[-1:]
    hips, ankles = body.legs.at(0).mean(0), body.legs.at(2).mean(0)
    low = [b for b in top if float((rig.heads[b] - hips) @ body.up) < 0.5 * float((ankles - hips) @ body.up)]
    return low[0] if low else None
