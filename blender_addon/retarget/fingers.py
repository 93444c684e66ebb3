"""A relaxed hand for takes that know nothing of fingers."""

from __future__ import annotations

import numpy as np

from .body import knuckles
from .mapping import Mapping
from .rig import RigSpec
from .rotations import Array, about, from_matrix, inverse, multiply, unit
from .slots import SIDES

RELAXED = {"index": (14, 22, 12), "middle": (18, 26, 14), "ring": (22, 29, 16), "little": (25, 30, 18)}
"""Degrees by which the joints of each finger are bent in a hand that hangs or rests, from the knuckle outwards."""


def curl(rig: RigSpec, mapping: Mapping) -> dict[str, Array]:
    """(4,) local rotations of finger bones, by name, less what the rest pose is already bent by; thumbs stay."""
    out: dict[str, Array] = {}
    for side in SIDES:
        palm = knuckles(rig, mapping, side)
        if palm is None:
            continue
        along, across = palm
        axis = unit(across - (across @ unit(along)) * unit(along)) * (-1 if side == "l" else 1)
        for finger, degrees in RELAXED.items():
            bones = [rig.index(b) for b in mapping.bones.get(f"{side}_{finger}", ())]
            before = along
            for bone, wanted in zip(bones, degrees, strict=False):
                direction = rig.rest[bone, :3, 1]
                bent = np.degrees(np.arctan2(np.cross(before, direction) @ axis, before @ direction))
                before = direction
                rest = from_matrix(rig.rest[bone, :3, :3])
                turn = about(axis, np.radians(max(0.0, wanted - max(0.0, bent))))
                out[rig.names[bone]] = multiply(multiply(inverse(rest), turn), rest)
    return out
