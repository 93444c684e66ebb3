from __future__ import annotations

import numpy as np
import pytest

from lifter.camera import make_lens, project
from lifter.rotation import normalize
from lifter.world import floor_height, mean_direction, root_path, scene_axes

LENS = make_lens(1280, 720, focal=1100)


def walker(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """A body of 15 joints that walks past the camera: (T, J, 3) relative joints and (T, 3) root."""
    rng = np.random.default_rng(0)
    t = np.arange(frames) / 30
    shape = rng.normal(size=(15, 3)) * [0.2, 0.5, 0.2]
    wobble = 0.05 * np.sin(2 * np.pi * t[:, None, None] + rng.uniform(0, 6, (15, 3)))
    root = np.stack([-1.5 + 1.2 * t, 0.05 * np.sin(4 * np.pi * t), 4 + 0.5 * t], -1)
    return shape + wobble, root


def test_exact_keypoints_give_the_exact_path() -> None:
    relative, root = walker(90)
    xy = project(relative + root[:, None], LENS.K)
    found = root_path(relative, xy, np.ones(xy.shape[:2]), np.ones(90, bool), LENS, 30)
    assert np.abs(found - root).max() < 0.02


def test_noise_wrong_keypoints_and_missing_frames() -> None:
    relative, root = walker(90)
    rng = np.random.default_rng(1)
    xy = project(relative + root[:, None], LENS.K) + rng.normal(size=(90, 15, 2)) * 3
    xy[:, 3] += 150  # one joint is always wrong
    xy[40:46] = np.nan
    score = np.where(np.isfinite(xy).all(-1), 1.0, 0.0)
    valid = score.any(1)
    found = root_path(relative, xy, score, valid, LENS, 30)
    assert np.linalg.norm(found - root, axis=-1).mean() < 0.12
    jitter = np.linalg.norm(np.diff(found - root, 2, axis=0) * 900, axis=-1).mean()
    assert jitter < 2.0  # m/s^2


def test_one_frame() -> None:
    relative, root = walker(1)
    xy = project(relative + root[:, None], LENS.K)
    assert np.allclose(root_path(relative, xy, np.ones(xy.shape[:2]), np.ones(1, bool), LENS, 30), root, atol=0.02)


def test_a_long_clip_is_solved_at_once() -> None:
    relative, root = walker(3)
    frames = 20_000
    relative, root = np.tile(relative[:1], (frames, 1, 1)), np.tile(root[:1], (frames, 1))
    xy = project(relative + root[:, None], LENS.K)
    assert np.allclose(root_path(relative, xy, np.ones(xy.shape[:2]), np.ones(frames, bool), LENS, 30), root, atol=0.02)


def test_mean_direction_ignores_outliers() -> None:
    rng = np.random.default_rng(0)
    true = normalize(np.array([0.1, 0.9, 0.2]))
    d = normalize(true + rng.normal(size=(200, 3)) * 0.03)
    d[:50] = normalize(rng.normal(size=(50, 3)))
    assert np.degrees(np.arccos(mean_direction(d, np.ones(200)) @ true)) < 1


@pytest.mark.parametrize("down", [(0, 1, 0), (0.2, 0.9, 0.3), (0, 0, 1), (0.1, 0.2, -0.9)])
def test_scene_axes(down: tuple[float, float, float]) -> None:
    axes = scene_axes(np.array(down))
    assert np.allclose(axes.T @ axes, np.eye(3)) and np.isclose(np.linalg.det(axes), 1)
    assert np.allclose(axes @ [0, 0, -1], normalize(np.array(down)))


def test_a_level_camera_looks_along_y() -> None:
    axes = scene_axes(np.array([0, 1.0, 0]))
    assert np.allclose(axes.T @ [0, 0, 1], [0, 1, 0]) and np.allclose(axes.T @ [1, 0, 0], [1, 0, 0])


def test_floor_height_is_where_feet_touch() -> None:
    feet = np.random.default_rng(0).uniform(0.1, 0.5, (100, 4))
    contact = np.zeros((100, 4))
    feet[:20, 0], contact[:20, 0] = -0.8, 0.9
    assert floor_height(feet, contact) == pytest.approx(-0.8)
    assert 0.1 <= floor_height(np.abs(feet), np.zeros((100, 4))) < 0.2
