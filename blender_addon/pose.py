"""From a take's rotations to what bones of the performer's own armature are keyed with. NumPy only, no bpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .retarget.rotations import Array, continuous, from_matrix, inverse, multiply, unit
from .take_file import TakeFile, TakePerson


def rest_joints(take: TakeFile, person: TakePerson) -> Array:
    """(J, 3) rest pose of the performer in metres, standing on Z = 0 with the root above the origin."""
    out = np.zeros((len(take.joint_names), 3))
    for j, parent in enumerate(take.joint_parents):
        if parent >= 0:
            out[j] = out[parent] + person.offsets[j]
    out[:, 2] -= out[:, 2].min()
    return out


def bone_keys(take: TakeFile, person: TakePerson, shown: NDArray[np.bool_], rest: Array) -> Array:
    """(N, B, 4) local quaternions of the N shown frames for bones with (B, 3, 3) rest rotations.

    A take's rotation R turns the rest pose: a posed bone is R @ rest. With the parent's R_p, what Blender
    keys is (R_p @ rest)^T (R @ rest), since the child's frame moves with its parent.
    """
    names = [b.name for b in take.bones]
    turns = unit(person.rotations[shown].astype(np.float64))
    out = np.empty_like(turns)
    for i, bone in enumerate(take.bones):
        lying = from_matrix(rest[i])
        local = turns[:, i]
        if bone.parent:
            local = multiply(inverse(turns[:, names.index(bone.parent)]), local)
        out[:, i] = continuous(multiply(multiply(inverse(lying), local), lying))
    return out


def root_keys(person: TakePerson, shown: NDArray[np.bool_], rest_head: Array, rest: Array) -> Array:
    """(N, 3) local locations of the root bone, whose rest head and (3, 3) rest rotation are given."""
    return (person.joints_world[shown, 0] - rest_head) @ rest


def last_before_gap(frames: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(N,) True for the last frame before frame numbers jump: the pose is held there, not blended across."""
    return np.append(np.diff(frames) > 1, False)
