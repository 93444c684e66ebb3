"""From a take's rotations to what bones of an armature are keyed with. NumPy only, no bpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .take_file import TakeFile, TakePerson

Array = NDArray[np.float64]


def rest_joints(take: TakeFile, person: TakePerson) -> Array:
    """(J, 3) rest pose of the performer in metres, standing on Z = 0 with the root above the origin."""
    out = np.zeros((len(take.joint_names), 3))
    for j, parent in enumerate(take.joint_parents):
        if parent >= 0:
            out[j] = out[parent] + person.offsets[j]
    out[:, 2] -= out[:, 2].min()
    return out


def quaternion_matrices(q: NDArray[np.floating[Any]]) -> Array:
    """(..., 4) unit quaternions (w, x, y, z) to (..., 3, 3)."""
    q = np.asarray(q, np.float64)
    w, v = q[..., :1, None], q[..., 1:]
    cross = np.zeros((*q.shape[:-1], 3, 3))
    cross[..., [2, 0, 1], [1, 2, 0]] = v
    cross[..., [1, 2, 0], [2, 0, 1]] = -v
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def matrix_quaternions(m: Array) -> Array:
    """(T, ..., 3, 3) rotations to (T, ..., 4) quaternions whose sign does not jump from frame to frame."""
    # The eigenvector with the largest eigenvalue of a symmetric matrix: Bar-Itzhack, J. Guidance 23, 2000.
    xx, xy, xz, yx, yy, yz, zx, zy, zz = np.moveaxis(m.reshape(*m.shape[:-2], 9), -1, 0)
    none = np.zeros_like(xx)  # only the lower triangle is read
    k = np.stack(
        [
            np.stack([xx + yy + zz, none, none, none], -1),
            np.stack([zy - yz, xx - yy - zz, none, none], -1),
            np.stack([xz - zx, yx + xy, yy - xx - zz, none], -1),
            np.stack([yx - xy, zx + xz, zy + yz, zz - xx - yy], -1),
        ],
        -2,
    )
    q = np.linalg.eigh(k, UPLO="L")[1][..., -1]
    q[0] = np.where(q[0, ..., :1] < 0, -q[0], q[0])
    flip = (q[1:] * q[:-1]).sum(-1) < 0
    q[1:] *= np.cumprod(np.where(flip, -1.0, 1.0), axis=0)[..., None]
    return q


def bone_keys(take: TakeFile, person: TakePerson, shown: NDArray[np.bool_], rest: Array) -> Array:
    """(N, B, 4) local quaternions of the N shown frames for bones with (B, 3, 3) rest rotations.

    A take's rotation R turns the rest pose: a posed bone is R @ rest. With the parent's R_p, what Blender
    keys is (R_p @ rest)^T (R @ rest), since the child's frame moves with its parent.
    """
    names = [b.name for b in take.bones]
    world = quaternion_matrices(person.rotations[shown])
    parents = [names.index(b.parent) if b.parent else -1 for b in take.bones]
    carried = np.stack([world[:, p] if p >= 0 else np.broadcast_to(np.eye(3), world[:, 0].shape) for p in parents], 1)
    return matrix_quaternions(np.swapaxes(carried @ rest, -1, -2) @ world @ rest)


def root_keys(person: TakePerson, shown: NDArray[np.bool_], rest_head: Array, rest: Array) -> Array:
    """(N, 3) local locations of the root bone, whose rest head and (3, 3) rest rotation are given."""
    return (person.joints_world[shown, 0] - rest_head) @ rest


def last_before_gap(frames: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(N,) True for the last frame before frame numbers jump: the pose is held there, not blended across."""
    return np.append(np.diff(frames) > 1, False)
