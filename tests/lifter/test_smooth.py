from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from lifter.errors import MotionliftError
from lifter.smooth import FILTERS, mean_around, runs, smooth


@pytest.mark.parametrize("method", sorted(FILTERS))
class TestEveryFilter:
    def test_strength_zero_changes_nothing(self, method: str) -> None:
        x = np.random.default_rng(0).normal(size=(60, 4, 3))
        assert (FILTERS[method](x, 30, 0.0) == x).all()

    def test_a_constant_stays(self, method: str) -> None:
        assert np.allclose(FILTERS[method](np.full((60, 2, 3), 2.5), 30, 0.8), 2.5)

    def test_time_reversal_gives_the_reverse(self, method: str) -> None:
        x = np.random.default_rng(1).normal(size=(80, 2, 3)).cumsum(0)
        assert np.allclose(FILTERS[method](x[::-1], 30, 0.5), FILTERS[method](x, 30, 0.5)[::-1], atol=1e-6)

    def test_noise_goes_and_slow_motion_stays_in_phase(self, method: str) -> None:
        t = np.arange(300)[:, None] / 30
        clean = 0.05 * np.sin(2 * np.pi * 0.7 * t) * [1, 0.5, 0.2]
        noisy = clean + np.random.default_rng(2).normal(size=clean.shape) * 0.01
        out = FILTERS[method](noisy, 30, 0.5)
        assert np.abs(np.diff(out - clean, 2, axis=0)).mean() < 0.5 * np.abs(np.diff(noisy - clean, 2, axis=0)).mean()
        lags = [np.sum(out[10 + k : 290 + k, 0] * clean[10:290, 0]) for k in (-2, -1, 0, 1, 2)]
        assert int(np.argmax(lags)) == 2

    @pytest.mark.parametrize("frames", [1, 2, 3, 5])
    def test_very_short_clips(self, method: str, frames: int) -> None:
        out = FILTERS[method](np.random.default_rng(0).normal(size=(frames, 2, 3)), 30, 0.9)
        assert out.shape == (frames, 2, 3) and np.isfinite(out).all()


def test_gaps_are_not_smoothed_across() -> None:
    x = np.zeros((40, 1, 3))
    x[20:] = 1.0
    valid = np.ones(40, bool)
    valid[18:20] = False
    x[18:20] = np.nan
    out = smooth(x, valid, 30, "butterworth", 0.7)
    assert np.allclose(out[:18], 0) and np.allclose(out[20:], 1) and np.isnan(out[18:20]).all()


def test_runs() -> None:
    assert runs(np.array([1, 1, 0, 1, 0, 0, 1], bool)) == [(0, 2), (3, 4), (6, 7)]


def test_bad_settings() -> None:
    x, valid = np.zeros((4, 3)), np.ones(4, bool)
    with pytest.raises(MotionliftError, match="one_euro"):
        smooth(x, valid, 30, "magic", 0.5)
    with pytest.raises(MotionliftError, match="from 0 to 1"):
        smooth(x, valid, 30, "gaussian", 7)


@pytest.mark.parametrize(("frames", "sigma"), [(40, 3.6), (40, 57.6), (700, 14.4), (3000, 57.6)])
def test_mean_around_is_scipys_gaussian(frames: int, sigma: float) -> None:
    x = np.random.default_rng(3).normal(size=(frames, 3, 2))
    theirs = gaussian_filter1d(x, sigma, axis=0, mode="constant")
    assert np.allclose(mean_around(x, sigma), theirs, atol=1e-12)
