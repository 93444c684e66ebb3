"""Spine, neck, head and root of a body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..rig import Array, RigSpec
from .bodies import Body
from .limbs import log_ratio, off

Chain = tuple[int, ...]


@dataclass(frozen=True)
class Trunk:
    """Bones from the pelvis outwards; what a rig lacks is empty or None."""

    spine: Chain
    neck: Chain
    head: int | None
    root: int | None


def find_trunk(rig: RigSpec, body: Body) -> Trunk:
    chest = body.arms.hub
    spine = tuple(reversed([b for b in (chest, *rig.ancestors(chest)) if body.pelvis in rig.ancestors(b)]))
    upwards = _upwards(rig, body)
    # Some rigs hang the clavicles on the neck: then they begin below the bone that carries them.
    begin = min(float(rig.heads[path[0]] @ body.up) for path in body.arms.paths)
    if len(spine) > 1 and upwards and begin < float(rig.heads[chest] @ body.up) - 0.01 * body.arms.length:
        spine, upwards = spine[:-1], (chest, *upwards)
    neck, head = _split_head(rig, body, upwards, on_spine=upwards[:1] != (chest,))
    return Trunk(spine, neck, head, _root(rig, body))


def _heights(rig: RigSpec, body: Body) -> Array:
    """(B,) of the bones' heads above the shoulders, in lengths of an arm."""
    return (rig.heads - body.arms.at(0).mean(0)) @ body.up / body.arms.length


def _upwards(rig: RigSpec, body: Body) -> Chain:
    """From the chest straight up as far as bones go."""
    arm, height = body.arms.length, _heights(rig, body)
    aside = np.abs((rig.heads - body.arms.at(0).mean(0)) @ body.left) / arm
    limbs = {b for path in body.arms.paths for b in (path[0], *rig.ancestors(path[0]))}

    def top(bone: int) -> float:
        return max([float(height[bone]), *(top(c) for c in rig.children[bone])])

    starts = [c for c in rig.children[body.arms.hub] if c not in limbs and aside[c] < 0.12 and top(c) > 0.1]
    if not starts:
        return ()
    chain = [max(starts, key=top)]
    while len(chain) <= 8:
        here = chain[-1]
        onward: list[tuple[float, int]] = []
        for c in rig.children[here]:
            step = rig.heads[c] - rig.heads[here]
            length = float(np.linalg.norm(step))
            # A neck may lean; what leaves a head aslant is hair, a jaw or the root of a face.
            face = length < 0.12 * arm and len(rig.children[c]) not in (1, 2, 3)
            steep = 0.85 if height[here] > 0.2 or face else 0.6
            if aside[c] < 0.12 and length > 1e-3 * arm and float(step @ body.up) > steep * length:
                # Of several, the one that goes on straightest and is no helper.
                onward.append((float(step @ body.up) / length + 0.3 * bool(rig.children[c]), c))
        if not onward:
            break
        chain.append(max(onward)[1])
    return tuple(chain)


def _split_head(rig: RigSpec, body: Body, chain: Chain, on_spine: bool) -> tuple[Chain, int | None]:
    """Neck and head of a chain that may end in a bone for the crown. on_spine: its first bone may be the head."""
    arm, height = body.arms.length, _heights(rig, body)

    def merit(k: int) -> float:
        score = off(float(height[chain[k]]), 0.25, 0.1) - (1.0 if k == 0 else 0.0)
        # An eye or a strand of hair has others beside it.
        score -= 1.5 * (k > 0 and len(rig.children[chain[k - 1]]) > 1)
        if len(rig.children[chain[k]]) >= 2:
            return score + 0.3
        rest = np.linalg.norm(np.diff(rig.heads[list(chain[k:])], axis=0), axis=1).sum()
        return score + (off(log_ratio(float(rest) / arm, 0.33), 0, 0.45) if rest > 0 else 0.0)

    places = range(0 if on_spine else 1, len(chain))
    if not places:
        return (chain if not on_spine else ()), None
    at = max(places, key=merit)
    return chain[:at], chain[at]


def _root(rig: RigSpec, body: Body) -> int | None:
    """The topmost bone above the pelvis, if it lies nearer to the floor than to the hips."""
    top = rig.ancestors(body.pelvis)[-1:]
    hips, ankles = body.legs.at(0).mean(0), body.legs.at(2).mean(0)
    low = [b for b in top if float((rig.heads[b] - hips) @ body.up) < 0.5 * float((ankles - hips) @ body.up)]
    return low[0] if low else None
