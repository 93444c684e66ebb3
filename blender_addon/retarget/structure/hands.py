"""The fingers of a hand, told apart by where they begin and point."""

from __future__ import annotations

import numpy as np

from ..rig import Array, RigSpec
from ..slots import FINGERS
from .bodies import Body

Chain = tuple[int, ...]


def find_fingers(rig: RigSpec, body: Body, side: int) -> dict[str, Chain]:
    """Up to three bones of each finger; empty where the fingers cannot be told apart."""
    path, k = body.arms.paths[side], body.arms.joints[2]
    if k >= len(path):
        return {}
    wrist, arm = rig.heads[path[k]], body.arms.length
    whole = {c[-1]: c for c in _chains(rig, path[k]) if len(c) >= 2}
    chains = [_without_metacarpal(rig, c, wrist) for c in whole.values()]
    chains = [c for c in chains if np.linalg.norm(rig.heads[c[-1]] - wrist) < 0.6 * arm]
    if not 3 <= len(chains) <= 5:
        return {}
    order = _from_the_thumb(rig, chains, wrist)
    if order is None:
        return {}
    # The thumb has no metacarpal that could be left out: its first bone begins at the wrist.
    order[0] = whole[order[0][-1]]
    return {f: c[:3] for f, c in zip(FINGERS, order, strict=False)}


def _chains(rig: RigSpec, hand: int) -> list[Chain]:
    """From below the hand to each tip. A palm bone with two fingers belongs to the first; the second begins with its
    own bone."""
    out: list[Chain] = []

    def follow(bone: int, before: Chain) -> None:
        here = (*before, bone)
        if not rig.children[bone]:
            out.append(here)
        nearest_last = sorted(rig.children[bone], key=lambda c: -float(np.linalg.norm(rig.heads[c] - rig.heads[bone])))
        for n, c in enumerate(nearest_last):
            follow(c, here if n == 0 else ())

    for child in rig.children[hand]:
        follow(child, ())
    return out


def _without_metacarpal(rig: RigSpec, chain: Chain, wrist: Array) -> Chain:
    """A metacarpal begins at the wrist rather than at the knuckle."""
    if len(chain) < 4:
        return chain
    first, second = (float(np.linalg.norm(rig.heads[b] - wrist)) for b in chain[:2])
    return chain[1:] if first < 0.55 * second else chain


def _from_the_thumb(rig: RigSpec, chains: list[Chain], wrist: Array) -> list[Chain] | None:
    """Chains in the order thumb to little finger; None where no finger looks like a thumb or two lie
    too close to be told apart."""
    thumb = _thumb(rig, chains, wrist)
    if thumb is None:
        return None
    others = [c for i, c in enumerate(chains) if i != thumb]
    along = np.mean([_direction(rig, c) for c in others], axis=0)
    # Several joints a finger: one knuckle alone may be out of line.
    places = np.array([rig.heads[list(c[:3])].mean(0) for c in others])
    flat = places - places.mean(0)
    flat = flat - (flat @ along)[:, None] * along / max(float(along @ along), 1e-12)
    across: Array = np.asarray(np.linalg.svd(flat)[2], float)[0]
    if float(across @ (rig.heads[chains[thumb][-1]] - places.mean(0))) < 0:
        across = -across
    along_hand = places @ across
    gaps = np.abs(np.diff(np.sort(along_hand)))
    if gaps.min() < 0.3 * gaps.max():
        return None
    return [chains[thumb], *(others[i] for i in np.argsort(-along_hand))]


def _thumb(rig: RigSpec, chains: list[Chain], wrist: Array) -> int | None:
    """The finger that begins nearest to the wrist and points away from the others."""
    bases = np.array([rig.heads[c[0]] for c in chains])
    directions = np.array([_direction(rig, c) for c in chains])
    merits: list[float] = []
    for t in range(len(chains)):
        others = [i for i in range(len(chains)) if i != t]
        along = directions[others].mean(0)
        along /= max(float(np.linalg.norm(along)), 1e-12)
        reach = (bases - wrist) @ along
        lag = 1 - float(reach[t]) / max(float(reach[others].mean()), 1e-9)
        merits.append(lag + float(np.arccos(np.clip(directions[t] @ along, -1, 1))))
    best = int(np.argmax(merits))
    return best if merits[best] >= 0.5 else None


def _direction(rig: RigSpec, chain: Chain) -> Array:
    out = rig.heads[chain[-1]] - rig.heads[chain[0]]
    return out / max(float(np.linalg.norm(out)), 1e-12)
