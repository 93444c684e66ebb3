"""The benchmark's own figures, against known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.measures import (
    LIMBS,
    align_on_floor,
    angle_between,
    calibration,
    contact_scores,
    foot_skate,
    landings,
    rooted,
    size_ratio,
    turn_between,
)

rng = np.random.default_rng(4)


def test_size_ratio_finds_the_scale_and_skips_missing_frames() -> None:
    names = sorted({n for pair in LIMBS for n in pair})
    truth = rng.normal(size=(1, len(names), 3)).repeat(5, 0)
    seen = truth / 1.3 + [1.0, 2.0, 3.0]
    seen[2] = np.nan
    assert size_ratio(seen, truth, names) == pytest.approx(1.3)


def test_rooted_puts_the_middle_of_the_hips_at_the_origin() -> None:
    joints = rng.normal(size=(4, 3, 3))
    out = rooted(joints, ["l_hip", "nose", "r_hip"])
    assert np.allclose((out[:, 0] + out[:, 2]) / 2, 0)
    assert np.allclose(out[:, 1] - out[:, 0], joints[:, 1] - joints[:, 0])


@pytest.mark.parametrize("degrees", [0.0, 1e-4, 37.0, 90.0, 179.0])
def test_turn_between(degrees: float) -> None:
    a = Rotation.random(random_state=1)
    axis = np.array([0.6, 0.0, 0.8])
    b = a * Rotation.from_rotvec(np.radians(degrees) * axis)
    assert turn_between(a.as_matrix(), b.as_matrix()) == pytest.approx(degrees, abs=1e-6)


def test_angle_between() -> None:
    assert angle_between(np.array([1.0, 0, 0]), np.array([0, 2.0, 0])) == pytest.approx(90)
    assert angle_between(np.array([1.0, 0, 0]), np.array([-3.0, 0, 0])) == pytest.approx(180)


def test_contact_scores() -> None:
    said = np.array([0.9, 0.8, 0.2, 0.1, 0.7])
    true = np.array([True, False, True, False, True])
    scores = contact_scores(said, true)
    assert scores["precision"] == pytest.approx(2 / 3)
    assert scores["recall"] == pytest.approx(2 / 3)
    assert scores["F1"] == pytest.approx(2 / 3)
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert np.isnan(contact_scores(np.zeros(3), np.zeros(3, bool))["F1"])


def test_calibration_of_a_forecaster_that_is_right_and_of_one_that_is_half_as_sure() -> None:
    sigma = rng.uniform(0.01, 0.2, 200_000)
    error = rng.exponential(sigma)
    table = calibration(sigma, error)
    assert table.shape == (10, 2) and (np.diff(table[:, 0]) > 0).all()
    assert np.allclose(table[:, 1] / table[:, 0], 1, atol=0.03)
    assert np.allclose(calibration(2 * sigma, error)[:, 1] / calibration(2 * sigma, error)[:, 0], 0.5, atol=0.03)


def test_align_on_floor_undoes_a_turn_and_a_shift_but_no_tilt() -> None:
    points = rng.normal(size=(50, 3))
    turn = Rotation.from_euler("z", 71, degrees=True).as_matrix()
    rotation, shift = align_on_floor(points, points @ turn.T + [1.0, -2.0, 0.5])
    assert np.allclose(rotation, turn) and np.allclose(shift, [1.0, -2.0, 0.5])
    tilted = points @ Rotation.from_euler("x", 20, degrees=True).as_matrix().T
    rotation, _ = align_on_floor(points, tilted)
    assert np.allclose(rotation[2], [0, 0, 1])


def test_foot_skate_counts_only_what_should_stand() -> None:
    feet = np.zeros((5, 2, 3))
    feet[:, 0, 0] = np.arange(5) * 0.01
    feet[:, 1, 2] = np.arange(5) * 1.0
    standing = np.tile([True, False], (5, 1))
    assert foot_skate(feet, standing, 30.0) == pytest.approx(0.3)
    assert np.isnan(foot_skate(feet, np.zeros((5, 2), bool), 30.0))


def test_landings_tell_how_hard_a_foot_stops() -> None:
    """Of two feet one stops within a frame from 3 m/s, the other over 0.1 s; the first frame is no landing."""
    at = np.arange(60) / 60
    hard = np.minimum(3 * at, 3 * at[30])
    soft = np.where(at < 0.4, 3 * at, 0)
    for t in range(24, 60):  # 3 m/s down to 0 with 30 m/s^2
        soft[t] = soft[23] + 3 * (m := min(at[t] - at[23], 0.1)) - 15 * m**2
    points = np.zeros((60, 4, 3))
    points[:, :2, 0], points[:, 2:, 0] = hard[:, None], soft[:, None]
    contact = np.zeros((60, 4), bool)
    contact[31:, :2] = contact[30:, 2:] = True
    found = landings(points, contact, 60.0)
    assert found[0] == pytest.approx(180, rel=0.01) and found[1] == pytest.approx(30, rel=0.1)
    assert len(landings(points, np.ones((60, 4), bool), 60.0)) == 0
