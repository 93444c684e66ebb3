"""An armature as plain data: what mapping and retargeting have to know of it. NumPy only, no bpy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class RigError(Exception):
    """The rig cannot be used; the text says why and what to do, in two sentences."""


@dataclass(frozen=True)
class Constraint:
    """A constraint that acts: the bone that has it, its Blender type, and the bones of the same armature it looks at.

    `chain` is the number of bones that an IK constraint moves, counted from its own upwards; 0 is all of them.
    """

    bone: str
    type: str
    targets: tuple[str, ...] = ()
    chain: int = 1


@dataclass(frozen=True)
class RigSpec:
    """An armature of B bones, parents before children, in armature space (units of the armature, not of the scene).

    parents (B,) index of the parent or -1; rest (B, 4, 4) rest matrices, whose Y axis runs along the bone;
    lengths (B,); world (4, 4) the object's matrix; basis (B, 4, 4) the pose that bones which are not keyed keep.
    inherit_rotation, local_location, connected, deform, locked are (B,) flags as Blender has them; `locked` is true
    where any rotation channel is locked. inherit_scale and rotation_modes are Blender's names, one a bone.
    """

    name: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    rest: Array
    lengths: Array
    world: Array
    basis: Array
    inherit_rotation: NDArray[np.bool_]
    local_location: NDArray[np.bool_]
    connected: NDArray[np.bool_]
    deform: NDArray[np.bool_]
    locked: NDArray[np.bool_]
    inherit_scale: tuple[str, ...]
    rotation_modes: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()
    driven: frozenset[str] = frozenset[str]()
    """Bones whose location or rotation is set by drivers."""

    @cached_property
    def _index(self) -> dict[str, int]:
        return {n: i for i, n in enumerate(self.names)}

    def index(self, name: str) -> int:
        """Raises KeyError."""
        return self._index[name]

    def __contains__(self, name: object) -> bool:
        return name in self._index

    @cached_property
    def heads(self) -> Array:
        """(B, 3)"""
        return self.rest[:, :3, 3]

    @cached_property
    def tails(self) -> Array:
        """(B, 3)"""
        return self.heads + self.rest[:, :3, 1] * self.lengths[:, None]

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        out: list[list[int]] = [[] for _ in self.names]
        for i, p in enumerate(self.parents):
            if p >= 0:
                out[p].append(i)
        return tuple(tuple(c) for c in out)

    def ancestors(self, bone: int) -> list[int]:
        """From the parent up to the root."""
        out: list[int] = []
        while (bone := self.parents[bone]) >= 0:
            out.append(bone)
        return out


def make_rig(
    names: list[str], parents: list[int], rest: Array, lengths: Array, name: str = "rig", **others: Any
) -> RigSpec:
    """A rig with Blender's defaults for all that is not given."""
    count = len(names)
    defaults: dict[str, Any] = {
        "world": np.eye(4),
        "basis": np.tile(np.eye(4), (count, 1, 1)),
        "inherit_rotation": np.ones(count, bool),
        "local_location": np.ones(count, bool),
        "connected": np.zeros(count, bool),
        "deform": np.ones(count, bool),
        "locked": np.zeros(count, bool),
        "inherit_scale": ("FULL",) * count,
        "rotation_modes": ("QUATERNION",) * count,
    }
    return RigSpec(
        name, tuple(names), tuple(parents), np.asarray(rest, float), np.asarray(lengths, float), **(defaults | others)
    )
