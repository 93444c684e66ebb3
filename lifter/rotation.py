"""Rotations as arrays: matrices (..., 3, 3) and unit quaternions (..., 4) as (w, x, y, z)."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def normalize(v: NDArray[np.floating[Any]]) -> Array:
    """Vectors of length 1 along the last axis; a zero vector stays zero."""
    v = np.asarray(v, np.float64)
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    return v / np.where(length > 0, length, 1)


def svd(m: NDArray[np.floating[Any]]) -> tuple[Array, Array, Array]:
    """NumPy's singular value decomposition, U, S and V transposed, with types that NumPy's own stubs lack."""
    u, s, vt = cast(tuple[Array, Array, Array], tuple(np.linalg.svd(np.asarray(m, np.float64))))
    return u, s, vt


def shortest_arc(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> Array:
    """(..., 3, 3): the smallest rotation that turns directions a onto directions b.

    Opposite directions turn by half a turn about any axis at right angles to them.
    """
    a, b = np.broadcast_arrays(normalize(a), normalize(b))
    c = (a * b).sum(-1)[..., None]
    w = np.cross(a, b)
    # Any axis at right angles to a, for the opposite case.
    other = np.where(np.abs(a[..., :1]) < 0.6, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    q = np.concatenate([1 + c, w], -1)
    q = np.where(c < -1 + 1e-9, np.concatenate([np.zeros_like(c), np.cross(a, other)], -1), q)
    return quat_to_matrix(normalize(q))


def quat_to_matrix(q: NDArray[np.floating[Any]]) -> Array:
    """(..., 4) unit quaternions to (..., 3, 3)."""
    m = np.stack(matrix_entries(*np.moveaxis(np.asarray(q, np.float64), -1, 0)), -1)
    return m.reshape(*m.shape[:-1], 3, 3)


def matrix_entries(w: Any, x: Any, y: Any, z: Any) -> list[Any]:
    """The nine entries, row by row, of the matrices of unit quaternions; arrays or, in training, tensors."""
    return [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]


def matrix_to_quat(m: NDArray[np.floating[Any]]) -> Array:
    """(..., 3, 3) rotations to (..., 4) unit quaternions with w >= 0.

    Takes the largest of the four components first, as in Shepperd, "Quaternion from rotation matrix"
    (Journal of Guidance and Control, 1978).
    """
    m = np.asarray(m, np.float64)
    xx, yy, zz = (m[..., i, i] for i in range(3))
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    # Four times the products of the quaternion with itself: a row for each component.
    rows = (
        (1 + xx + yy + zz, wx, wy, wz),
        (wx, 1 + xx - yy - zz, xy, xz),
        (wy, xy, 1 - xx + yy - zz, yz),
        (wz, xz, yz, 1 - xx - yy + zz),
    )
    largest = np.argmax([rows[i][i] for i in range(4)], axis=0)
    q = np.stack([np.choose(largest, [row[i] for row in rows]) for i in range(4)], -1)
    q = normalize(q)
    return np.where(q[..., :1] < 0, -q, q)


def continuous(q: NDArray[np.floating[Any]]) -> Array:
    """Choose the sign of every quaternion of (T, ..., 4) so that it is nearest to the one before."""
    q = np.array(q, np.float64)
    if len(q) > 1:
        flip = (q[1:] * q[:-1]).sum(-1) < 0
        sign = np.cumprod(np.where(flip, -1.0, 1.0), axis=0)
        q[1:] *= sign[..., None]
    return q
