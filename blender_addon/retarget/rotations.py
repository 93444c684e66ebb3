"""Quaternions (w, x, y, z) on arrays: (..., 4) unit rotations, that turn (..., 3) vectors. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

IDENTITY: Array = np.array([1.0, 0.0, 0.0, 0.0])
CONJUGATE: Array = np.array([1.0, -1.0, -1.0, -1.0])


def multiply(a: Array, b: Array) -> Array:
    """The rotation that does b first, then a."""
    if b.ndim == 1 and a.ndim > 1:
        return a @ multiply(np.eye(4), b[None])  # linear in a: one product of matrices is several times faster
    if a.ndim == 1 and b.ndim > 1:
        return b @ multiply(a[None], np.eye(4))
    aw, ax, ay, az = (a[..., i] for i in range(4))
    bw, bx, by, bz = (b[..., i] for i in range(4))
    out = np.empty(a.shape if a.shape == b.shape else np.broadcast_shapes(a.shape, b.shape))
    out[..., 0] = aw * bw - ax * bx - ay * by - az * bz
    out[..., 1] = aw * bx + ax * bw + ay * bz - az * by
    out[..., 2] = aw * by - ax * bz + ay * bw + az * bx
    out[..., 3] = aw * bz + ax * by - ay * bx + az * bw
    return out


def inverse(q: Array) -> Array:
    return q * CONJUGATE


def cross(a: Array, b: Array) -> Array:
    """np.cross of (..., 3) vectors, several times faster on the short arrays that feet are made of."""
    ax, ay, az = (a[..., i] for i in range(3))
    bx, by, bz = (b[..., i] for i in range(3))
    out = np.empty(a.shape if a.shape == b.shape else np.broadcast_shapes(a.shape, b.shape))
    out[..., 0] = ay * bz - az * by
    out[..., 1] = az * bx - ax * bz
    out[..., 2] = ax * by - ay * bx
    return out


def _dot(a: Array, b: Array) -> Array:
    """(...) of (..., n): a sum over so short an axis is several times slower."""
    out = a[..., 0] * b[..., 0]
    for i in range(1, a.shape[-1]):
        out = out + a[..., i] * b[..., i]
    return out


def rotate(q: Array, v: Array) -> Array:
    """Vectors turned by rotations; leading axes broadcast."""
    u = q[..., 1:]
    t = 2 * cross(u, v)
    return v + q[..., :1] * t + cross(u, t)


def about(axis: Array, angle: NDArray[np.floating[Any]] | float) -> Array:
    """Rotations by (...) radians about (..., 3) unit axes."""
    half = np.asarray(angle, np.float64)[..., None] / 2
    axis = np.asarray(axis, np.float64)
    w = np.broadcast_to(np.cos(half), (*np.broadcast_shapes(axis.shape[:-1], half.shape[:-1]), 1))
    return np.concatenate([w, axis * np.sin(half)], -1)


def swing(a: Array, b: Array) -> Array:
    """The smallest turn that takes the direction of (..., 3) a to that of b."""
    a, b = unit(a), unit(b)
    a, b = np.broadcast_arrays(a, b)
    w = 1 + (a * b).sum(-1, keepdims=True)
    q = np.concatenate([w, cross(a, b)], -1)
    opposite = w[..., 0] < 1e-9
    if opposite.any():
        side = np.where(np.abs(a[..., :1]) < 0.9, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
        q = np.where(opposite[..., None], np.concatenate([np.zeros_like(w), cross(a, side)], -1), q)
    return unit(q)


def twist_angle(q: Array, axis: Array) -> Array:
    """(...) radians in -pi..pi of the part of rotations that turns about an axis: q = swing * twist."""
    angle = 2 * np.arctan2((q[..., 1:] * axis).sum(-1), q[..., 0])
    return (angle + np.pi) % (2 * np.pi) - np.pi


def slerp(a: Array, b: Array, share: NDArray[np.floating[Any]] | float) -> Array:
    """From a (share 0) to b (share 1) on the shorter way, at constant speed."""
    share = np.asarray(share, np.float64)[..., None]
    dot = _dot(a, b)[..., None]
    b = np.where(dot < 0, -b, b)
    angle = np.arccos(np.clip(np.abs(dot), 0, 1))
    small = angle < 1e-6
    sine = np.where(small, 1.0, np.sin(angle))
    first = np.where(small, 1 - share, np.sin((1 - share) * angle) / sine)
    second = np.where(small, share, np.sin(share * angle) / sine)
    return unit(first * a + second * b)


def angle_between(a: Array, b: Array) -> NDArray[np.floating[Any]]:
    """(...) radians, 0..pi, of the rotation from a to b."""
    difference = multiply(inverse(a), b)
    return np.multiply(2, np.arctan2(np.linalg.norm(difference[..., 1:], axis=-1), np.abs(difference[..., 0])))


def continuous(q: Array) -> Array:
    """(N, 4) with the signs that let each lie nearest to the one before; the first has w >= 0."""
    sign = np.where(_dot(q[1:], q[:-1]) < 0, -1.0, 1.0)
    first = np.array([-1.0 if len(q) and q[0, 0] < 0 else 1.0])
    return q * np.cumprod(np.concatenate([first, sign]))[: len(q), None]


def unit(v: Array) -> Array:
    """(..., n) of length 1; a vector of no length stays."""
    length = np.sqrt(_dot(v, v))[..., None]
    return v / np.where(length < 1e-30, 1.0, length)


def to_matrix(q: Array) -> Array:
    """(..., 4) to (..., 3, 3)."""
    return np.stack([rotate(q, np.eye(3)[i]) for i in range(3)], -1)


def from_matrix(m: Array) -> Array:
    """(..., 3, 3) proper rotations to (..., 4): the largest of the four ways to divide (Shepperd, 1978)."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = np.moveaxis(np.asarray(m, np.float64).reshape(*m.shape[:-2], 9), -1, 0)
    ways = np.stack(
        [
            np.stack([1 + xx + yy + zz, zy - yz, xz - zx, yx - xy], -1),
            np.stack([zy - yz, 1 + xx - yy - zz, xy + yx, xz + zx], -1),
            np.stack([xz - zx, xy + yx, 1 - xx + yy - zz, yz + zy], -1),
            np.stack([yx - xy, xz + zx, yz + zy, 1 - xx - yy + zz], -1),
        ],
        -2,
    )
    best = np.argmax(np.stack([ways[..., i, i] for i in range(4)], -1), -1)
    return unit(np.take_along_axis(ways, best[..., None, None], -2)[..., 0, :])


AXES = {"X": 0, "Y": 1, "Z": 2}


def to_euler(q: Array, order: str) -> Array:
    """(N, 4) to (N, 3) angles about X, Y and Z, applied in Blender's `order` ("XYZ": X first), without flips.

    Of the two triples that mean a rotation, and of all full turns, each frame takes what is nearest to the
    frame before: curves stay smooth through 180 degrees and through gimbal lock.
    """
    i, j, k = (AXES[a] for a in order)
    odd = 1.0 if (i, j, k) in ((0, 1, 2), (1, 2, 0), (2, 0, 1)) else -1.0
    m = to_matrix(q)
    # m = R_k R_j R_i; with that, m[k, i] = -odd * sin(angle about j).
    middle = np.arcsin(np.clip(-odd * m[:, k, i], -1, 1))
    first = np.arctan2(odd * m[:, k, j], m[:, k, k])
    last = np.arctan2(odd * m[:, j, i], m[:, i, i])
    locked = np.cos(middle) < 1e-5
    if locked.any():
        # Only the sum or difference of the outer angles is seen: all of it goes to the last.
        first = np.where(locked, 0.0, first)
        last = np.where(locked, np.arctan2(-odd * m[:, i, j], m[:, j, j]), last)
    one = np.empty((len(q), 3))
    one[:, i], one[:, j], one[:, k] = first, middle, last
    other = np.empty_like(one)
    other[:, i], other[:, j], other[:, k] = first + np.pi, np.pi - middle, last + np.pi
    both = np.stack([one, other], 1)
    # The cheapest way through frames with two choices each.
    step = np.abs((both[1:, None, :] - both[:-1, :, None] + np.pi) % (2 * np.pi) - np.pi).sum(-1)
    cost = np.array([0.0, 0.05])
    came = np.zeros((len(q), 2), np.intp)
    for t in range(1, len(q)):
        total = cost[:, None] + step[t - 1]
        came[t] = total.argmin(0)
        cost = total.min(0)
    choice = np.zeros(len(q), np.intp)
    if len(q):
        choice[-1] = cost.argmin()
    for t in range(len(q) - 1, 0, -1):
        choice[t - 1] = came[t, choice[t]]
    return np.unwrap(both[np.arange(len(q)), choice], axis=0)


def from_euler(angles: Array, order: str) -> Array:
    """(..., 3) angles about X, Y, Z, applied in `order`, to (..., 4)."""
    q = np.broadcast_to(IDENTITY, (*angles.shape[:-1], 4))
    for axis in order:
        q = multiply(about(np.eye(3)[AXES[axis]], angles[..., AXES[axis]]), q)
    return q


def to_axis_angle(q: Array) -> Array:
    """(N, 4) quaternions to (N, 4) angle and unit axis as Blender keys them, continuous in time."""
    q = continuous(q)
    sine = np.linalg.norm(q[:, 1:], axis=-1)
    axis = np.where(sine[:, None] > 1e-9, q[:, 1:] / np.maximum(sine, 1e-9)[:, None], np.array([0.0, 1.0, 0.0]))
    angle = 2 * np.arctan2(sine, q[:, 0])
    # Axis and angle may both change sign: keep the axis on its side, then take out full turns.
    flip = np.cumprod(np.concatenate([[1.0], np.where((axis[1:] * axis[:-1]).sum(-1) < 0, -1.0, 1.0)]))[: len(q)]
    out = np.empty((len(q), 4))
    out[:, 0], out[:, 1:] = np.unwrap(angle * flip), axis * flip[:, None]
    return out
