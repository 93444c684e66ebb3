"""From the camera's space to the scene's: root path, gravity, floor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from .camera import Lens, pixels_to_rays
from .rotation import normalize

Array = NDArray[np.float64]

ROOT_ACCELERATION = 3.0
"""Typical acceleration of a person's hips in m/s^2: how smooth a root path is expected to be."""

PIXEL_ERROR = 0.015
"""Typical error of a keypoint relative to the person's size; joints of one frame err together."""


def root_path(
    relative: NDArray[np.floating[Any]],
    keypoints: NDArray[np.floating[Any]],
    score: NDArray[np.floating[Any]],
    valid: NDArray[np.bool_],
    lens: Lens,
    fps: float,
    rounds: int = 6,
) -> Array:
    """(T, 3) positions of the root in camera space, metres, that best reproject the joints.

    For a known lens a joint's ray (x, y) asks X_x + p_x - x (X_z + p_z) = 0 and the same for y: linear in the
    root X. All frames are solved at once with a prior on the root's acceleration, one symmetric system of
    bandwidth 6; a few rounds re-weight by depth and by Huber's rule, so that wrong keypoints lose their pull.

    Args:
        relative: (T, J, 3) joints minus the root, metres, camera axes; any finite value where not valid.
        keypoints: (T, J, 2) pixels, NaN where missing; score: (T, J).
        valid: (T,) frames with joints. The others follow from the prior alone.
    """
    frames = len(relative)
    rays = pixels_to_rays(keypoints, lens)
    weight: Array = np.where(np.isfinite(rays).all(-1) & valid[:, None], np.asarray(score, np.float64), 0.0)
    rays: Array = np.where(np.isfinite(rays), rays, 0.0)
    p = np.asarray(relative, np.float64)
    # Rows of (x, y) for unknowns (X, Y, Z): [1, 0, -x] and [0, 1, -y].
    target = rays * p[..., 2:] - p[..., :2]
    depth = np.full(frames, 4.0)
    robust = np.ones_like(weight)
    distances: Array = np.linalg.norm(p, axis=-1)
    size = max(float(np.median(distances)), 0.1) * 2
    smoothness = (fps**2 / ROOT_ACCELERATION) ** 2
    root = np.zeros((frames, 3))
    for _ in range(rounds):
        # The residual is in metres on the plane through the person; all joints of a frame together count
        # like four independent ones.
        w = weight * robust
        w = w * (4 / np.maximum(w.sum(1), 4))[:, None] / (size * PIXEL_ERROR) ** 2
        x, y = rays[..., 0], rays[..., 1]
        normal = np.zeros((frames, 3, 3))
        normal[:, 0, 0] = normal[:, 1, 1] = w.sum(1)
        normal[:, 0, 2] = -(w * x).sum(1)
        normal[:, 1, 2] = -(w * y).sum(1)
        normal[:, 2, 2] = (w * (x**2 + y**2)).sum(1)
        right = np.stack(
            [
                (w * target[..., 0]).sum(1),
                (w * target[..., 1]).sum(1),
                -(w * (x * target[..., 0] + y * target[..., 1])).sum(1),
            ],
            -1,
        )
        root = _solve_smooth(normal, right, smoothness)
        depth = np.maximum(root[:, 2], 0.3)
        seen = p + root[:, None]
        miss = np.linalg.norm(seen[..., :2] - rays * seen[..., 2:], axis=-1)
        robust = np.minimum(1.0, 2 * size * PIXEL_ERROR / np.maximum(miss, 1e-9))
    root[:, 2] = depth
    return root


def _solve_smooth(normal: Array, right: Array, smoothness: float) -> Array:
    """Solve sum_t |A_t X_t - b_t|^2 + smoothness * sum_t |X_t-1 - 2 X_t + X_t+1|^2 for (T, 3) X."""
    frames = len(normal)
    band = np.zeros((7, 3 * frames))  # upper form: band[6 + i - j, j] = matrix[i, j]
    for a in range(3):
        for b in range(a, 3):
            band[6 + a - b, b::3] = normal[:, a, b]
    band[6] += 1e-6
    for offset, values in _second_difference_bands(frames).items():
        for a in range(3):
            band[6 - 3 * offset, 3 * offset + a :: 3] += smoothness * values
    return np.asarray(solveh_banded(band, right.reshape(-1))).reshape(frames, 3)


def _second_difference_bands(frames: int) -> dict[int, Array]:
    """Diagonals 0, 1, 2 of D^T D, where D takes second differences over time."""
    bands = {k: np.zeros(max(frames - k, 0)) for k in range(3)}
    kernel = (1.0, -2.0, 1.0)
    for i in range(3):
        for j in range(i, 3):
            n = frames - 2
            if n > 0:
                bands[j - i][i : i + n] += kernel[i] * kernel[j]
    return bands


def mean_direction(directions: NDArray[np.floating[Any]], weights: NDArray[np.floating[Any]]) -> Array:
    """(3,) the robust mean of (N, 3) unit vectors: outliers count less, round by round."""
    d, weights = np.asarray(directions, np.float64), np.asarray(weights, np.float64)
    mean = normalize((d * weights[:, None]).sum(0))
    for _ in range(10):
        w = weights / np.maximum(np.linalg.norm(d - mean, axis=-1), 0.05)
        mean = normalize((d * w[:, None]).sum(0))
    return mean


def scene_axes(down: NDArray[np.floating[Any]]) -> Array:
    """(3, 3) rotation from scene space to camera space for a direction of gravity in camera space.

    The camera looks along the scene's +Y as far as its tilt allows: somebody who faces the camera faces -Y.
    """
    up = -normalize(down)
    forward = np.array([0.0, 0.0, 1.0])
    ahead = forward - (forward @ up) * up
    if np.linalg.norm(ahead) < 1e-3:  # straight down or up: the top of the picture is ahead
        ahead = np.array([0.0, -1.0, 0.0]) - (-up[1]) * up
    ahead = normalize(ahead)
    return np.stack([np.cross(ahead, up), ahead, up], -1)


def floor_height(feet: NDArray[np.floating[Any]], contact: NDArray[np.floating[Any]]) -> float:
    """Height of the floor from (N, 4) heights of heels and toes and their probability of touching it.

    The median of those that touch; where none is likely to, the lowest tenth.
    """
    touching = contact > 0.5
    if touching.sum() >= 5:
        return float(np.median(feet[touching]))
    return float(np.percentile(feet, 10))
