"""How far joints are from the truth. Lengths in the unit of the joints."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rotation import svd

Array = NDArray[np.float64]


def joint_error(predicted: NDArray[np.floating[Any]], truth: NDArray[np.floating[Any]]) -> Array:
    """(...) mean distance of (..., J, 3) joints."""
    return np.linalg.norm(np.asarray(predicted, np.float64) - truth, axis=-1).mean(-1)


def procrustes(predicted: NDArray[np.floating[Any]], truth: NDArray[np.floating[Any]]) -> Array:
    """Predictions (N, J, 3) moved, turned and scaled onto the truth, each frame for itself, as P-MPJPE wants.

    Reflections are not allowed. Umeyama, IEEE PAMI 13, 1991.
    """
    p, t = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    pm, tm = p.mean(1, keepdims=True), t.mean(1, keepdims=True)
    p0, t0 = p - pm, t - tm
    u, s, vt = svd(np.swapaxes(t0, 1, 2) @ p0)
    sign = np.ones_like(s)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None]) @ vt
    scale = (s * sign).sum(1) / np.maximum((p0**2).sum((1, 2)), 1e-12)
    return scale[:, None, None] * p0 @ np.swapaxes(rotation, 1, 2) + tm


def scaled(predicted: NDArray[np.floating[Any]], truth: NDArray[np.floating[Any]]) -> Array:
    """Predictions (N, J, 3) times the scale of each frame that fits the truth best, as N-MPJPE wants.

    Least squares, both relative to their root (Rhodin et al., CVPR 2018; VideoPose3D's "protocol 3").
    """
    p, t = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    return (p * t).sum((1, 2), keepdims=True) / np.maximum((p * p).sum((1, 2), keepdims=True), 1e-12) * p


def velocity_error(predicted: NDArray[np.floating[Any]], truth: NDArray[np.floating[Any]]) -> Array:
    """(T - 1,) mean distance of the changes from frame to frame of (T, J, 3) joints, as MPJVE wants."""
    return joint_error(
        np.diff(np.asarray(predicted, np.float64), axis=0), np.diff(np.asarray(truth, np.float64), axis=0)
    )


def share_within(distances: NDArray[np.floating[Any]], limit: float) -> Array:
    """(...) share of the J joints of (..., J) that are strictly closer to the truth than the limit, in mm: PCK.

    Distances are rounded to the nearest micrometre, so that float32 decides nothing.
    """
    return (np.round(np.asarray(distances, np.float64), 3) < limit).mean(-1)


def area_under_curve(distances: NDArray[np.floating[Any]]) -> Array:
    """(...) mean of the shares of (..., J) within 0, 5, ... 150 mm, 31 limits (Mehta et al., 3DV 2017)."""
    return np.mean([share_within(distances, 5.0 * k) for k in range(31)], axis=0)


def acceleration(joints: NDArray[np.floating[Any]], fps: float) -> Array:
    """(T - 2, J, 3) second differences of (T, J, 3) joints, per second squared."""
    return np.diff(np.asarray(joints, np.float64), 2, axis=0) * fps**2


def compare(
    predicted: NDArray[np.floating[Any]], truth: NDArray[np.floating[Any]], root: NDArray[np.integer[Any]], fps: float
) -> dict[str, float]:
    """The figures of one clip, from (T, J, 3) joints in metres; frames that are NaN in either are left out.

    Args:
        root: indices of the joints whose middle is the root (both hips).
    Returns:
        MPJPE (mm, root-aligned), P-MPJPE (mm, each frame for itself), acceleration error (m/s^2, root-aligned)
        and the predicted share of the truth's mean magnitude of acceleration, "liveliness".
    """
    p, t = (
        np.asarray(x, np.float64) - np.asarray(x, np.float64)[:, root].mean(1, keepdims=True)
        for x in (predicted, truth)
    )
    known = np.isfinite(p).all((1, 2)) & np.isfinite(t).all((1, 2))
    ap, at = acceleration(p, fps), acceleration(t, fps)
    steady = known[2:] & known[1:-1] & known[:-2]
    moving = float(np.linalg.norm(at[steady], axis=-1).mean())
    return {
        "MPJPE": 1000 * float(joint_error(p[known], t[known]).mean()),
        "P-MPJPE": 1000 * float(joint_error(procrustes(p[known], t[known]), t[known]).mean()),
        "acceleration error": float(np.linalg.norm(ap[steady] - at[steady], axis=-1).mean()),
        "liveliness": float(np.linalg.norm(ap[steady], axis=-1).mean()) / moving,
        "frames": float(known.sum()),
    }
