"""Temporal filters without phase lag: a take is smoothed offline, so nothing needs to trail behind.

Strength is one number for all of them: 0 leaves the motion as it is, 1 keeps only slow movement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfiltfilt

from .errors import MotionliftError

Array = NDArray[np.float64]


def cutoff_hz(strength: float) -> float:
    """The frequency at which a filter of this strength halves the power: 20 Hz just above 0, 1 Hz at 1.

    Walking lives below 5 Hz, a punch or a clap below 10; a detector's jitter is everywhere.
    """
    return 20.0 * (1.0 / 20.0) ** strength


def butterworth(x: Array, fps: float, strength: float) -> Array:
    """Second-order Butterworth, forwards and backwards, over (T, ...) samples."""
    cutoff = cutoff_hz(strength)
    if strength <= 0 or cutoff >= 0.45 * fps or len(x) < 2:
        return x
    sos = butter(2, cutoff / (fps / 2), output="sos")
    # Odd extension keeps a moving end moving; it may not be longer than the signal.
    return np.asarray(sosfiltfilt(sos, x, axis=0, padlen=min(len(x) - 1, math.ceil(fps))))


def one_euro(x: Array, fps: float, strength: float) -> Array:
    """The one-euro filter (Casiez, Roussel, Vogel, CHI 2012), run forwards and backwards and averaged.

    It smooths slow motion most and fast motion least. Its speed term is per (T, ..., C) vector.
    """
    if strength <= 0 or len(x) < 2:
        return x
    slow = 0.5 * cutoff_hz(strength)
    beta = 4.0 * (1 - 0.8 * strength)

    def factor(cutoff: Array | float) -> Array:
        r = 2 * math.pi * np.asarray(cutoff) / fps
        return r / (r + 1)

    def run(v: Array) -> Array:
        out = v.copy()
        speed = np.zeros_like(v[0])
        for t in range(1, len(v)):
            speed = speed + factor(1.0) * ((v[t] - out[t - 1]) * fps - speed)
            a = factor(slow + beta * np.linalg.norm(speed, axis=-1, keepdims=True))
            out[t] = out[t - 1] + a * (v[t] - out[t - 1])
        return out

    return (run(x) + run(x[::-1])[::-1]) / 2


def gaussian(x: Array, fps: float, strength: float) -> Array:
    """A Gaussian whose power is halved at the same frequency."""
    if strength <= 0 or len(x) < 2:
        return x
    sigma = math.sqrt(math.log(2)) / (2 * math.pi * cutoff_hz(strength)) * fps
    return gaussian_filter1d(x, sigma, axis=0, mode="nearest")


FILTERS: dict[str, Callable[[Array, float, float], Array]] = {
    "butterworth": butterworth,
    "one_euro": one_euro,
    "gaussian": gaussian,
}


def smooth(x: NDArray[np.floating[Any]], valid: NDArray[np.bool_], fps: float, method: str, strength: float) -> Array:
    """Smooth (T, ...) samples within each unbroken run of valid frames; the others stay as they are."""
    if method not in FILTERS:
        raise MotionliftError(f"Unknown smoothing {method!r}", f"Use one of {', '.join(FILTERS)}")
    if not 0 <= strength <= 1:
        raise MotionliftError(f"A smoothing strength of {strength} is not possible", "Give a number from 0 to 1")
    out = np.array(x, np.float64)
    for start, stop in runs(valid):
        out[start:stop] = FILTERS[method](out[start:stop], fps, strength)
    return out


def runs(valid: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, stop) of every unbroken run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
