from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lifter.camera import make_lens, project
from lifter.rotation import normalize
from lifter.world import Shot, floor_height, mean_direction, root_path, scene_axes, upright_on

LENS = make_lens(1280, 720, focal=1100)


def walker(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """A body of 15 joints that walks past the camera: (T, J, 3) relative joints and (T, 3) root."""
    rng = np.random.default_rng(0)
    t = np.arange(frames) / 30
    shape = rng.normal(size=(15, 3)) * [0.2, 0.5, 0.2]
    wobble = 0.05 * np.sin(2 * np.pi * t[:, None, None] + rng.uniform(0, 6, (15, 3)))
    root = np.stack([-1.5 + 1.2 * t, 0.05 * np.sin(4 * np.pi * t), 4 + 0.5 * t], -1)
    return shape + wobble, root


def shot(
    relative: np.ndarray,
    xy: np.ndarray,
    valid: np.ndarray | None = None,
    axes: np.ndarray | None = None,
    feet: np.ndarray | None = None,
    contact: np.ndarray | None = None,
) -> Shot:
    """A shot by a camera that stands at the origin; its own axes unless the scene's are given."""
    frames = len(relative)
    return Shot(
        relative=relative,
        keypoints=xy,
        score=np.where(np.isfinite(xy).all(-1), 1.0, 0.0),
        valid=np.ones(frames, bool) if valid is None else valid,
        lens=LENS,
        fps=30,
        rotation=np.broadcast_to(np.eye(3) if axes is None else axes, (frames, 3, 3)),
        translation=np.zeros((frames, 3)),
        feet=np.zeros((frames, 0, 3)) if feet is None else feet,
        contact=np.zeros((frames, 0), bool) if contact is None else contact,
    )


def test_exact_keypoints_give_the_exact_path() -> None:
    relative, root = walker(90)
    xy = project(relative + root[:, None], LENS.K)
    found, floor = root_path(shot(relative, xy))
    assert np.abs(found - root).max() < 0.02 and floor is None


def test_noise_wrong_keypoints_and_missing_frames() -> None:
    relative, root = walker(90)
    rng = np.random.default_rng(1)
    xy = project(relative + root[:, None], LENS.K) + rng.normal(size=(90, 15, 2)) * 3
    xy[:, 3] += 150  # one joint is always wrong
    xy[40:46] = np.nan
    found, _ = root_path(shot(relative, xy, np.isfinite(xy).all((1, 2))))
    assert np.linalg.norm(found - root, axis=-1).mean() < 0.12
    jitter = np.linalg.norm(np.diff(found - root, 2, axis=0) * 900, axis=-1).mean()
    assert jitter < 2.0  # m/s^2


def test_one_frame() -> None:
    relative, root = walker(1)
    found, _ = root_path(shot(relative, project(relative + root[:, None], LENS.K)))
    assert np.allclose(found, root, atol=0.02)


def test_a_long_clip_is_solved_at_once() -> None:
    relative, root = walker(3)
    frames = 20_000
    relative, root = np.tile(relative[:1], (frames, 1, 1)), np.tile(root[:1], (frames, 1))
    found, _ = root_path(shot(relative, project(relative + root[:, None], LENS.K)))
    assert np.allclose(found, root, atol=0.02)


def steps(seconds: float, tilt: float, noise: float = 0.0) -> tuple[Shot, np.ndarray, np.ndarray]:
    """Somebody who walks straight ahead with feet that stand in turn, seen by a camera that looks down by `tilt` from
    1.5 m: the shot in the scene's axes, the true root relative to the camera, and the axes."""
    rng = np.random.default_rng(0)
    frames = round(seconds * 30)
    t = np.arange(frames) / 30
    root = np.stack([-1.5 + 0.9 * t, 4.5 + 0.2 * t, 0.9 - 1.5 + 0 * t], -1)
    phase = (t[:, None] + [0.0, 0.5]) % 1.0
    contact = phase < 0.5
    # A foot that stands keeps its place; one that swings overtakes the body.
    forward = np.where(contact, 0.225 - 0.9 * phase, -0.225 + 0.9 * (phase - 0.5))
    lift = np.where(contact, 0.0, 0.1 * np.sin(np.pi * (phase - 0.5) / 0.5))
    feet = np.stack([forward, forward * 0.2 / 0.9 + [-0.1, 0.1], lift - 0.9], -1)
    body = rng.normal(size=(1, 12, 3)) * [0.2, 0.1, 0.4] + 0 * root[:, None]
    relative = np.concatenate([body, feet], 1)
    down = np.array([0, np.cos(tilt), np.sin(tilt)])
    axes = scene_axes(down)
    seen = (relative + root[:, None]) @ axes.T
    relative = relative + rng.normal(size=relative.shape) * noise
    return shot(relative, project(seen, LENS.K), axes=axes, feet=relative[:, 12:], contact=contact), root, axes


@pytest.mark.parametrize("tilt", [0.0, 0.3, -0.2])
def test_a_tilted_camera_gives_the_same_path_and_floor(tilt: float) -> None:
    seen, root, _ = steps(4, tilt)
    found, floor = root_path(seen)
    assert np.abs(found - root).max() < 0.01
    assert floor == pytest.approx(-1.5, abs=0.005)


def test_feet_that_stand_take_jitter_out() -> None:
    """A detector that shakes as a whole shakes the root; feet that stand hold it."""
    seen, root, _ = steps(6, 0.1)
    shake = np.random.default_rng(1).normal(size=(len(root), 1, 2)) * 6
    seen = replace(seen, keypoints=seen.keypoints + shake)
    free = replace(seen, feet=seen.feet[:, :0], contact=seen.contact[:, :0])
    held, loose = (root_path(s)[0] for s in (seen, free))
    on = seen.contact[1:] & seen.contact[:-1]

    def slide(path: np.ndarray) -> float:
        return float(np.linalg.norm(np.diff(path[:, None] + seen.feet, axis=0), axis=-1)[on].mean() * 30)

    assert slide(held) < 0.85 * slide(loose)
    assert np.linalg.norm(held - root, axis=-1).mean() < 1.1 * np.linalg.norm(loose - root, axis=-1).mean()


def test_a_straight_walk_is_straight() -> None:
    seen, _, _ = steps(6, 0.1, noise=0.01)
    found, _ = root_path(seen)
    line = found[-1, :2] - found[0, :2]
    across = np.array([-line[1], line[0]]) / np.linalg.norm(line)
    assert np.abs((found[:, :2] - found[0, :2]) @ across).max() < 0.06


def test_a_jump_flies_along_a_parabola() -> None:
    """In the air nothing is seen for a while: the body falls as bodies do."""
    frames, rise = 60, 2.2
    t = np.arange(frames) / 30
    flight = (t > 0.6) & (t < 0.6 + 2 * rise / 9.81)
    height = np.where(flight, rise * (t - 0.6) - 9.81 / 2 * (t - 0.6) ** 2, 0)
    root = np.stack([0 * t, 4 + 0 * t, -0.6 + height], -1)
    relative = np.random.default_rng(0).normal(size=(1, 14, 3)) * [0.2, 0.1, 0.4] + 0 * root[:, None]
    relative -= relative.mean(1, keepdims=True)
    feet = np.array([[[-0.1, 0, -0.9], [0.1, 0, -0.9]]]) + 0 * root[:, None]
    axes = scene_axes(np.array([0, 1.0, 0]))
    xy = project((relative + root[:, None]) @ axes.T, LENS.K)
    hidden = (t > 0.68) & (t < 0.98)
    xy[hidden] = np.nan
    found, floor = root_path(shot(relative, xy, axes=axes, feet=feet, contact=np.repeat(~flight[:, None], 2, 1)))
    assert np.abs(found - root).max() < 0.05
    assert floor == pytest.approx(-1.5, abs=0.02)


def test_a_given_floor_is_kept() -> None:
    seen, root, _ = steps(4, 0.2)
    found, floor = root_path(seen, floor=-1.45)
    assert floor == -1.45
    assert (found - root)[:, 2].mean() > 0.001  # exact keypoints hold against it


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


def test_the_floor_is_where_the_lowest_foot_comes() -> None:
    feet = np.random.default_rng(0).uniform(0.1, 0.5, (100, 4))
    assert 0.1 <= floor_height(feet) < 0.2


def test_somebody_who_walks_far_levels_the_scene_and_who_stays_does_not() -> None:
    rng = np.random.default_rng(0)
    slope = np.tan(np.radians(5))
    far = np.concatenate([rng.uniform(-3, 3, (20, 2)), np.zeros((20, 1))], 1)
    far[:, 2] = far[:, 0] * slope + rng.normal(size=20) * 0.01
    far[3, 2] += 0.5  # a step onto a box
    near = far * [0.03, 0.03, 0]
    near[:, 2] = near[:, 0] * slope
    for points, low, high in ((far, 4.5, 5.3), (near, 0, 0.5), (far[:2], 0, 1e-9)):
        up = upright_on(points, np.ones(len(points)))
        assert low <= np.degrees(np.arccos(up[2])) <= high


def test_a_start_nearby_gives_the_same_path_and_so_do_more_rounds() -> None:
    """The weights settle: neither where the rounds began nor how many more there are moves a frame by a millimetre."""
    relative, root = walker(300)
    rng = np.random.default_rng(3)
    xy = project(relative + root[:, None], LENS.K) + rng.normal(size=(300, 15, 2)) * 3
    xy[:, 3] += 150
    one = shot(relative, xy)
    long, _ = root_path(one, rounds=60)
    warm, _ = root_path(one, start=root + [0.1, -0.05, 0.2], rounds=60)
    assert np.abs(warm - long).max() < 1e-3
    assert np.abs(root_path(one)[0] - long).max() < 0.01 and np.abs(root_path(one, start=long)[0] - long).max() < 1e-3
    assert (root_path(one, rounds=30)[0] == long).all(), "it stops when nothing moves"


def test_blocks_of_frames_leave_no_seam() -> None:
    """Normal equations are made block by block: as if there were one block."""
    from lifter import world

    relative, root = walker(700)
    one = shot(relative, project(relative + root[:, None], LENS.K))
    blocks, _ = root_path(one)
    kept, world.BLOCK = world.BLOCK, 10_000
    try:
        assert np.allclose(root_path(one)[0], blocks, atol=1e-9)
    finally:
        world.BLOCK = kept
