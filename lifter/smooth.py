"""Temporal filters without phase lag: a take is smoothed offline, so nothing needs to trail behind.

Strength is one number for all of them: 0 leaves the motion as it is, 1 keeps only slow movement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d

from .errors import MotionliftError

Array = NDArray[np.float64]

OUTLIER = 6.0
"""A sample this many robust standard deviations off its neighbours' path is an outlier."""

YIELD, YIELD_ROUNDS = 4.0, 3
"""The spline gives way where a path bends by more than so many times what is usual for it."""

WIDE = 10.0
"""Samples from which on a Gaussian is wide."""

OUTLIER_STRENGTH = 0.5
"""Smoothing of the path that outliers are measured against."""


def cutoff_hz(strength: float) -> float:
    """The frequency at which a filter of this strength halves the power: 20 Hz just above 0, 1 Hz at 1.

    Walking lives below 5 Hz, a punch or a clap below 10; a detector's jitter is everywhere.
    """
    return 20.0 * (1.0 / 20.0) ** strength


def butterworth(x: Array, fps: float, strength: float) -> Array:
    """Second-order Butterworth, forwards and backwards, over (T, ...) samples."""
    from scipy.signal import butter, sosfiltfilt  # takes longer to load than a take to solve

    # Two passes each keep 1 / (1 + (f / cutoff)^4) of the amplitude: together they halve the power earlier.
    cutoff = cutoff_hz(strength) / (math.sqrt(2) - 1) ** 0.25
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


def savitzky_golay(x: Array, fps: float, strength: float) -> Array:
    """A cubic fitted to a window around each sample (Savitzky and Golay, 1964); halves the power where others do."""
    from scipy.signal import savgol_filter  # takes longer to load than a take to solve

    # A cubic over 2 m + 1 samples halves the power at about 0.54 / (m + 0.5) of the rate (found by experiment).
    window = 2 * max(2, round(0.54 * fps / cutoff_hz(strength) - 0.5)) + 1
    window = min(window, len(x) - 1 + len(x) % 2)
    if strength <= 0 or window < 5:
        return x
    return np.asarray(savgol_filter(x, window, 3, axis=0, mode="interp"), np.float64)


FILTERS: dict[str, Callable[[Array, float, float], Array]] = {
    "butterworth": butterworth,
    "savitzky_golay": savitzky_golay,
    "one_euro": one_euro,
    "gaussian": gaussian,
}


METHODS = ("spline", *FILTERS)
"""All smoothers; the spline alone knows how sure each sample is."""


def spline(
    x: Array, sigma: Array, fps: float, strength: float, free: Array | None = None, yielding: bool = True
) -> Array:
    """The smoothing spline of (T, C) samples of which each is sure to sigma (T,): minimises
    sum |s_t - x_t|^2 / sigma_t^2 + lambda sum rho(|s_t-1 - 2 s_t + s_t+1|), in linear time.

    rho is the square (Whittaker, 1923) up to YIELD times the median second difference and ever flatter from there
    (its weight falls with the square, over a few rounds): jitter goes, and a punch, which bends the path more than
    jitter does, stays.

    Where all are equally sure and nothing is fast its power is halved at the same frequency as the other filters'.
    Samples less sure than the median follow their neighbours, surer ones are kept better. `free` (T,) in 0..1 is how
    far the second difference at a frame may be anything: 1 keeps a corner, such as a foot that hits the ground.
    Without `yielding` rho is the square everywhere.
    """
    if strength <= 0 or len(x) < 3:
        return x
    weight = (np.median(sigma) / np.maximum(sigma, 1e-6)) ** 2
    # A filter through which all frequencies that the samples have would pass is still a weak one: towards a strength
    # of 0 the spline nears its samples.
    phase = math.pi * cutoff_hz(strength) / fps
    bend = 2 * math.sin(phase) if phase < math.pi / 3 else 2 * math.sin(math.pi / 3) * phase / (math.pi / 3)
    stiff = np.full(len(x) - 2, (math.sqrt(2) - 1) / bend**4)
    if free is not None:
        stiff = stiff * (1 - free[1:-1] + 1e-3 * free[1:-1])
    out = _stiffened(x, weight, stiff)
    usual = YIELD * float(np.median(_bends(out))) + 1e-9
    for _ in range(YIELD_ROUNDS if yielding else 0):
        bent = _bends(out) / usual
        out = _stiffened(x, weight, stiff / np.maximum(1.0, bent) ** 2)
    return out


def _bends(x: Array) -> Array:
    """(T-2,) lengths of the second differences of (T, C) samples."""
    second: Array = np.diff(x, 2, axis=0)
    return np.linalg.norm(second, axis=-1)


def _stiffened(x: Array, weight: Array, stiff: Array) -> Array:
    """(T, C) minimum of sum weight_t |s_t - x_t|^2 + stiff_t |s_t-1 - 2 s_t + s_t+1|^2."""
    band = np.zeros((3, len(x)))  # upper form: band[2 + i - j, j] = matrix[i, j]
    band[2] = weight
    kernel = (1.0, -2.0, 1.0)
    for i in range(3):
        for j in range(i, 3):
            band[2 + i - j, j : j + len(stiff)] += stiff * kernel[i] * kernel[j]
    right = np.asfortranarray(x * weight[:, None])  # as LAPACK wants it: it is solved in place
    solved = solveh_banded(band, right, overwrite_ab=True, overwrite_b=True, check_finite=False)
    return np.asarray(solved, np.float64)


def outliers(x: Array, sigma: Array, fps: float) -> NDArray[np.bool_]:
    """(T,) samples of (T, C) that lie off their neighbours' path by more than is likely: a joint that jumped and came
    back. A stretch longer than a fifth of a second is not an outlier but something that happened."""
    out = np.zeros(len(x), bool)
    if len(x) < 5:
        return out
    for _ in range(3):
        path = spline(x, np.where(out, 100 * sigma, sigma), fps, OUTLIER_STRENGTH, yielding=False)
        off: Array = np.linalg.norm(x - path, axis=-1)
        spread = 1.4826 * float(np.median(off)) + 0.1 * float(np.median(sigma))
        found = off > OUTLIER * spread
        for start, stop in runs(found):
            if stop - start > 0.2 * fps:
                found[start:stop] = False
        if (found == out).all():
            break
        out = found
    return out


def mean_around(x: Array, sigma: float) -> Array:
    """(T, ...) sums of (T, ...) samples under a Gaussian of `sigma` samples, cut off at four of them; 0 beyond an end.

    As scipy's gaussian_filter1d, whose time grows with sigma: wide ones go by Fourier's transform, alike to 1e-12.
    """
    if sigma < WIDE or len(x) < 8 * sigma:
        return np.asarray(gaussian_filter1d(x, sigma, axis=0, mode="constant"), np.float64)
    reach = int(4 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    size = 1 << (len(x) + 2 * reach - 1).bit_length()
    rows = np.moveaxis(x, 0, -1)
    spectrum = np.fft.rfft(rows, size) * np.fft.rfft(kernel / kernel.sum(), size)
    return np.moveaxis(np.fft.irfft(spectrum, size)[..., reach : reach + len(x)], -1, 0)


def smooth(x: NDArray[np.floating[Any]], valid: NDArray[np.bool_], fps: float, method: str, strength: float) -> Array:
    """Smooth (T, ...) samples within each unbroken run of valid frames; the others stay as they are."""
    check_smoothing(method, strength)
    out = np.array(x, np.float64)
    for start, stop in runs(valid):
        out[start:stop] = FILTERS[method](out[start:stop], fps, strength)
    return out


def check_smoothing(method: str, strength: float) -> None:
    """Raises MotionliftError for a method or a strength that does not exist."""
    if method not in METHODS:
        raise MotionliftError(f"Unknown smoothing {method!r}", f"Use one of {', '.join(METHODS)}")
    if not 0 <= strength <= 1:
        raise MotionliftError(f"A smoothing strength of {strength} is not possible", "Give a number from 0 to 1")


def runs(valid: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, stop) of every unbroken run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
