"""Fingers: as the take has them, else a relaxed hand.

A take that knows fingers has bones `l_index_1`, `l_index_2`, ... from the knuckle outwards, the thumb from the wrist.
"""

from __future__ import annotations

from collections.abc import Container
from itertools import pairwise

import numpy as np

from .body import Body, knuckles
from .mapping import Mapping
from .motion import Motion
from .rig import RigSpec
from .rotations import Array, about, from_matrix, inverse, multiply, rotate, swing, unit
from .slots import FINGERS, SIDES

RELAXED = {"index": (14, 22, 12), "middle": (18, 26, 14), "ring": (22, 29, 16), "little": (25, 30, 18)}
"""Degrees by which the joints of each finger are bent in a hand that hangs or rests, from the knuckle outwards."""


def follow(motion: Motion, rig: RigSpec, mapping: Mapping, body: Body) -> dict[str, list[Array]]:
    """(N, 4) turns in armature space of the bones of each finger that the take has, by slot.

    Fingers of the rig and of the take may have different numbers of bones. Bent rest poses are taken off: straight
    fingers of the performer are straight on the rig.
    """
    out: dict[str, list[Array]] = {}
    for slot in (f"{s}_{f}" for s in SIDES for f in FINGERS):
        known = sorted(n for n in motion.turns if n.startswith(f"{slot}_") and n in motion.along)
        bones = [rig.index(b) for b in mapping.bones.get(slot, ())]
        hand = body.rests.get(f"{slot[0]}_hand")
        if not known or not bones or hand is None:
            continue
        out[slot] = []
        for i, direction in enumerate(_directions(rig, bones)):
            name = known[i * len(known) // len(bones)]
            rest = multiply(swing(rotate(hand, motion.along[name]), direction), hand)
            out[slot].append(multiply(multiply(body.axes, motion.turns[name]), inverse(rest)))
    return out


def _directions(rig: RigSpec, bones: list[int]) -> list[Array]:
    """Where each bone of a finger points: to the next one's head. The last keeps on if its own tail lies elsewhere."""
    if not bones:
        return []
    out = [rig.heads[b] - rig.heads[a] for a, b in pairwise(bones)]
    last = rig.tails[bones[-1]] - rig.heads[bones[-1]]
    if out and unit(last) @ unit(out[-1]) < 0.5:
        last = out[-1]
    return [unit(v) for v in (*out, last)]


def curl(rig: RigSpec, mapping: Mapping, known: Container[str] = ()) -> dict[str, Array]:
    """(4,) local rotations of finger bones, by name, less what the rest pose is already bent by; thumbs stay.

    Slots that are `known` from the take are left out.
    """
    out: dict[str, Array] = {}
    for side in SIDES:
        palm = knuckles(rig, mapping, side)
        if palm is None:
            continue
        along, across = palm
        axis = unit(across - (across @ unit(along)) * unit(along)) * (-1 if side == "l" else 1)
        for finger, degrees in RELAXED.items():
            if f"{side}_{finger}" in known:
                continue
            bones = [rig.index(b) for b in mapping.bones.get(f"{side}_{finger}", ())]
            before = along
            for bone, direction, wanted in zip(bones, _directions(rig, bones), degrees, strict=False):
                bent = np.degrees(np.arctan2(np.cross(before, direction) @ axis, before @ direction))
                before = direction
                rest = from_matrix(rig.rest[bone, :3, :3])
                turn = about(axis, np.radians(max(0.0, wanted - max(0.0, bent))))
                out[rig.names[bone]] = multiply(multiply(inverse(rest), turn), rest)
    return out
