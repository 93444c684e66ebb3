"""Figures of merit of a capture beside those in lifter/metrics.py; each a plain function on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

LANDING = 0.15
"""Seconds about a landing in which a foot may be stopped."""

LIMBS = [
    (f"{s}_{a}", f"{s}_{b}")
    for s in "lr"
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip"))
]


def size_ratio(predicted: Array, truth: Array, names: list[str]) -> float:
    """What predicted (T, J, 3) joints have to be multiplied by to be of the truth's size.

    One number a clip: the ratio of the summed median lengths of limbs and flanks, over frames known in both.
    """
    known = np.isfinite(predicted).all((1, 2)) & np.isfinite(truth).all((1, 2))

    def total(joints: Array) -> float:
        return sum(
            float(np.median(np.linalg.norm(joints[known, names.index(a)] - joints[known, names.index(b)], axis=-1)))
            for a, b in LIMBS
        )

    return total(truth) / total(predicted)


def rooted(joints: Array, names: list[str]) -> Array:
    """(T, J, 3) joints relative to the middle of the hips."""
    hips = [names.index("l_hip"), names.index("r_hip")]
    return joints - joints[:, hips].mean(1, keepdims=True)


def turn_between(a: Array, b: Array) -> Array:
    """(...) degrees of the smallest rotation from (..., 3, 3) a to b.

    From |a - b|^2 = 8 sin^2(angle / 2), which is exact for small angles too.
    """
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=(-2, -1)) / np.sqrt(8), 0, 1)))


def angle_between(a: Array, b: Array) -> Array:
    """(...) degrees between (..., 3) directions."""
    cross = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.degrees(np.arctan2(cross, (a * b).sum(-1)))


def contact_scores(probability: NDArray[Any], truth: NDArray[np.bool_]) -> dict[str, float]:
    """Precision, recall, F1 and accuracy of contacts (booleans, or probabilities cut at one half); NaN without any."""
    said = np.asarray(probability) > 0.5
    hit, wrong, missed = (said & truth).sum(), (said & ~truth).sum(), (~said & truth).sum()

    def share(part: int, whole: int) -> float:
        return float(part / whole) if whole else float("nan")

    return {
        "precision": share(hit, hit + wrong),
        "recall": share(hit, hit + missed),
        "F1": share(2 * hit, 2 * hit + wrong + missed),
        "accuracy": float((said == truth).mean()) if truth.size else float("nan"),
    }


def calibration(sigma: NDArray[np.floating[Any]], error: NDArray[np.floating[Any]], bins: int = 10) -> Array:
    """(bins, 2) mean predicted and mean observed error within the quantiles of the prediction, ascending.

    Args:
        sigma, error: of the same number of samples; sigma is the error that is expected, the mean of an exponential.
    """
    sigma, error = np.ravel(sigma), np.ravel(error)
    parts = np.array_split(np.argsort(sigma, kind="stable"), bins)
    return np.array([(sigma[p].mean(), error[p].mean()) for p in parts], np.float64)


def align_on_floor(moving: Array, fixed: Array) -> tuple[Array, Array]:
    """Turn about Z and shift that bring (N, 3) points nearest to others: (3, 3) R and (3,) t, fixed ~ R moving + t."""
    a, b = moving.mean(0), fixed.mean(0)
    p, q = moving - a, fixed - b
    angle = np.arctan2((p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum(), (p[:, :2] * q[:, :2]).sum())
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    return rotation, b - rotation @ a


def landings(points: Array, contact: Flags, fps: float) -> Array:
    """(N,) the greatest acceleration of (T, P, 3) heels and toes, m/s^2, within LANDING of each of the N times at which
    one of a foot's (T, P) contacts begins after none; two points a foot, NaN where the motion has a gap."""
    size = np.full(points.shape[:2], np.nan)
    size[1:-1] = np.linalg.norm(np.diff(points, 2, axis=0), axis=-1) * fps**2
    near, found = round(LANDING * fps), list[float]()
    for foot in range(0, points.shape[1], 2):
        stands = contact[:, foot : foot + 2].any(1)
        for t in np.flatnonzero(stands[1:] & ~stands[:-1]) + 1:
            around = size[max(t - near, 0) : t + near + 1, foot : foot + 2]
            found.append(float(np.nanmax(around)) if np.isfinite(around).any() else np.nan)
    return np.array(found)


def foot_skate(feet: Array, contacts: NDArray[np.bool_], fps: float) -> float:
    """Mean speed in m/s of (T, F, 3) points of the feet where the (T, F) truth says that they stand still.

    The truth's own motion there is zero, so this is the capture's sliding, up and down included.
    """
    speed = np.linalg.norm(np.diff(feet, axis=0), axis=-1) * fps
    standing = contacts[1:] & contacts[:-1] & np.isfinite(speed)
    return float(speed[standing].mean()) if standing.any() else float("nan")


def moving_average(x: Array, frames: int) -> Array:
    """(T, ...) means over an odd number of frames around each, of those that are finite; fewer at the ends."""
    reach = frames // 2
    padded = np.full((len(x) + 2 * reach, *x.shape[1:]), np.nan)
    padded[reach : reach + len(x)] = x
    windows = np.lib.stride_tricks.sliding_window_view(padded, frames, axis=0)
    known = np.isfinite(windows)
    count = known.sum(-1)
    total = np.where(known, windows, 0).sum(-1)
    return np.where(np.isfinite(x), total / np.maximum(count, 1), np.nan)


def fast_motion(moving: Array, truth: Array, fps: float, above: float = 6.0) -> tuple[float, float]:
    """Shares of the true motion above so many Hz in (T, N, 3) points: how much of it is there, and energy.

    The first is the regression of the moving points on the true ones (1: all of it, in phase and full size); the
    second is the ratio of their energies, to which noise adds. NaN where a clip is too short, has gaps, or
    moves so fast by less than 1.5 mm (root mean square): ratios say nothing then.
    """
    if len(truth) < 30 or fps <= 2 * above or not np.isfinite(moving).all():
        return np.nan, np.nan
    sos = butter(4, above / (fps / 2), "high", output="sos")
    x, y = (np.asarray(sosfiltfilt(sos, p, axis=0)) for p in (truth, moving))
    true = float((x * x).sum())
    if true / x[..., 0].size < 0.0015**2:
        return np.nan, np.nan
    return float((x * y).sum()) / true, float((y * y).sum()) / true
