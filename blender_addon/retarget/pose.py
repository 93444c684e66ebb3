"""Forward kinematics of a rig as Blender does it: turns and heads in armature space from those of driven bones.

`base` is where the armature's own space has gone (path and turn), where the object carries the character.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .rig import RigSpec
from .rotations import IDENTITY, Array, from_matrix, inverse, multiply, rotate


@dataclass
class Pose:
    """driven: (N, 4) turn D of bones by index, a posed bone being D @ rest; moved: (N, 3) what a location adds to the
    head of a bone. All other bones keep the basis that the rig has now, and follow their parents."""

    rig: RigSpec
    driven: dict[int, Array]
    moved: dict[int, Array] = field(default_factory=dict[int, Array])
    base_turn: Array | None = None
    base_path: Array | None = None
    _turns: dict[int, Array] = field(default_factory=dict[int, Array])

    def turn(self, bone: int) -> Array:
        """(N, 4), or (1, 4) where it does not change."""
        if bone in self.driven:
            return self.driven[bone]
        if bone not in self._turns:
            basis, rest = self.rig.basis[bone, :3, :3], self.rig.rest[bone, :3, :3]
            own = rest @ _orthogonal(basis) @ rest.T
            carried = self.carried(bone)
            self._turns[bone] = carried if np.abs(own - np.eye(3)).max() < 1e-7 else multiply(carried, from_matrix(own))
        return self._turns[bone]

    def carried(self, bone: int) -> Array:
        """The turn that a bone has before its own rotation: its parent's, if it inherits that."""
        parent = self.rig.parents[bone]
        if parent < 0 or not self.rig.inherit_rotation[bone]:
            return IDENTITY[None] if self.base_turn is None else self.base_turn
        return self.turn(parent)

    def unmoved(self, bone: int) -> Array:
        """(N, 3) head of a bone before its own location."""
        parent = self.rig.parents[bone]
        if parent < 0:
            head = self.rig.heads[bone][None]
            if self.base_turn is None or self.base_path is None:
                return head
            return self.base_path + rotate(self.base_turn, head)
        return self.head(parent) + rotate(self.turn(parent), self.rig.heads[bone] - self.rig.heads[parent])

    def head(self, bone: int) -> Array:
        """(N, 3)"""
        head = self.unmoved(bone)
        if bone in self.moved:
            return head + self.moved[bone]
        location = self.rig.basis[bone, :3, 3]
        if bone in self.driven or self.rig.connected[bone] or not location.any():
            return head
        return head + rotate(self.location_axes(bone), location)

    def location_axes(self, bone: int) -> Array:
        """(N, 4) rotation from a bone's location channels to armature space."""
        parent = self.rig.parents[bone]
        base = IDENTITY[None] if self.base_turn is None else self.base_turn
        carried = self.turn(parent) if parent >= 0 else base
        # Without "Local Location" the channels lie along the parent's own axes (measured on 4.5 and 5.2).
        axes = bone if self.rig.local_location[bone] else parent
        return carried if axes < 0 else multiply(carried, from_matrix(self.rig.rest[axes, :3, :3]))

    def rotation_keys(self, bone: int) -> Array:
        """(N, 4) what to key on a driven bone."""
        rest = from_matrix(self.rig.rest[bone, :3, :3])
        local = multiply(inverse(self.carried(bone)), self.driven[bone])
        return multiply(multiply(inverse(rest), local), rest)

    def location_keys(self, bone: int) -> Array:
        """(N, 3) what to key on a moved bone."""
        return rotate(inverse(self.location_axes(bone)), self.moved[bone])


def _orthogonal(m: Array) -> Array:
    u, _, vt = np.linalg.svd(m)
    return np.asarray(u @ vt, np.float64)
