"""Known answers: whatever the camera does, who walks straight walks straight, and feet that stand, stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lifter
from lifter.camera import make_lens
from lifter.camera_path import CameraPath, make_camera_path
from lifter.errors import MotionliftError
from lifter.motion import SolveSettings, solve_people
from lifter.skeleton import Skeleton
from lifter.take import Camera, Person

from .walking import FPS, LAYOUT, film, look, walk

SECONDS = 5.0
LENS = make_lens(1280, 720, focal=1000)
PLAIN = SolveSettings(height=1.70, smoothing="gaussian", strength=0.0, foot_lock=False)
TARGET = np.array([0, -2.0, 0.9])


def camera(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T, 3, 3), (T, 3) and (T,) of a camera that does not move, pans, tracks, is held by hand, or zooms."""
    time = np.arange(round(SECONDS * FPS)) / FPS
    frames = len(time)
    place = np.tile([3.0, -7.5, 1.5], (frames, 1))
    target = np.tile(TARGET, (frames, 1))
    roll, focal = np.zeros(frames), np.full(frames, 1000.0)
    if kind in ("pan", "hand"):
        target = target + 0.9 * np.stack([0 * time, 1.5 - time, 0 * time], -1)
    if kind in ("track", "hand"):
        place = place + np.stack([0.6 * np.sin(0.8 * time), -0.25 * time, 0.2 * np.sin(0.6 * time)], -1)
    if kind == "hand":
        wobble = np.random.default_rng(0).uniform(0, 6, (3, 3))
        place = place + 0.02 * np.sin(2 * np.pi * 0.9 * time[:, None] + wobble[0])
        target = target + 0.05 * np.sin(2 * np.pi * 1.3 * time[:, None] + wobble[1])
        roll = 0.02 * np.sin(2 * np.pi * 0.7 * time)
    if kind == "zoom":
        focal = 1000 + 120 * time
    R, t = (np.stack(x) for x in zip(*map(look, place, target, roll), strict=True))
    return R, t, focal


def solved(
    body: Skeleton, kind: str, settings: SolveSettings = PLAIN, scale: float | None = None
) -> tuple[Camera, Person, tuple[str, ...]]:
    """The walk before a camera whose path is given: in metres, or `scale` times as large and to be solved."""
    R, t, focal = camera(kind)
    person = film(body, *walk(body, SECONDS), R, t, focal)
    path = make_camera_path(R, t * (scale or 1.0), focal=focal, metric=scale is None)
    lens = replace(LENS, focal=float(np.median(focal)))
    found, (person,), warnings = solve_people((person,), lens, body, LAYOUT, FPS, settings, path)
    return found, person, warnings


KINDS = ["still", "pan", "track", "hand", "zoom"]


@pytest.mark.parametrize("kind", KINDS)
def test_any_camera_gives_the_same_world_motion(body: Skeleton, kind: str) -> None:
    truth, _ = walk(body, SECONDS)
    found, person, warnings = solved(body, kind)
    assert not warnings
    error = np.linalg.norm(person.joints_world - truth, axis=-1)
    assert error.mean() < 0.004 and error.max() < 0.06, kind
    # and the rig overlays the footage in every frame.
    pixels = found.project(found.see(person.joints_world, person.frames), person.frames)
    assert np.linalg.norm(pixels - person.keypoints, axis=-1).max() < 12
    assert np.allclose(found.see(person.joints_world, person.frames), person.joints_camera, atol=1e-4)


@pytest.mark.parametrize("kind", ["pan", "track", "hand"])
def test_feet_that_stand_do_not_slide(body: Skeleton, kind: str) -> None:
    _, contact = walk(body, SECONDS)
    _, person, _ = solved(body, kind, replace(PLAIN, foot_lock=True))
    feet = person.joints_world[:, [body.joint(n) for n in ("l_heel", "l_toe", "r_heel", "r_toe")]]
    speed = np.linalg.norm(np.diff(feet, axis=0), axis=-1) * FPS
    held = contact[1:] & contact[:-1] & person.stands[1:] & person.stands[:-1]
    assert held.mean() > 0.3 and speed[held].mean() < 0.01


@pytest.mark.parametrize("scale", [0.2, 1.0, 7.0])
@pytest.mark.parametrize("kind", ["track", "hand"])
def test_the_size_of_a_tracked_path_is_found(body: Skeleton, kind: str, scale: float) -> None:
    truth, _ = walk(body, SECONDS)
    _, person, warnings = solved(body, kind, scale=scale)
    assert not warnings
    walked = (person.joints_world[-1, 0] - person.joints_world[0, 0]) / (truth[-1, 0] - truth[0, 0])
    assert walked[1] == pytest.approx(1, abs=0.04)
    steps = np.diff(person.joints_world[:, 0], axis=0) - np.diff(truth[:, 0], axis=0)
    assert np.abs(steps.sum(0)).max() < 0.12


def test_a_pan_has_no_size(body: Skeleton) -> None:
    truth, _ = walk(body, SECONDS)
    _, person, warnings = solved(body, "pan", scale=1.0)
    assert not warnings
    assert np.linalg.norm(person.joints_world - truth, axis=-1).mean() < 0.004


def test_a_height_scales_the_whole_scene_with_a_solved_path(body: Skeleton) -> None:
    """Somebody twice as tall walks twice as far before a camera that moved twice as far."""
    _, one, _ = solved(body, "track", scale=1.0)
    _, two, _ = solved(body, "track", replace(PLAIN, height=1.5 * PLAIN.height), scale=1.0)
    way = [np.linalg.norm(np.diff(p.joints_world[[0, -1], 0], axis=0)) for p in (one, two)]
    assert way[1] / way[0] == pytest.approx(1.5, rel=0.03)


def test_a_path_that_is_not_upright_is_turned_and_said(body: Skeleton) -> None:
    """As camera tracking leaves it before its floor is set: here with Y up."""
    truth, _ = walk(body, SECONDS)
    R, t, focal = camera("track")
    person = film(body, *walk(body, SECONDS), R, t, focal)
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # from its axes to the scene's
    path = make_camera_path(R @ turn, t, focal=focal, metric=True)
    _, (person,), warnings = solve_people((person,), LENS, body, LAYOUT, FPS, PLAIN, path)
    assert len(warnings) == 1 and "90 degrees" in warnings[0]
    found = person.joints_world - person.joints_world[:1, :1]
    assert np.abs(found[..., 2] - (truth - truth[:1, :1])[..., 2]).max() < 0.05


def test_frames_beyond_the_path_are_said(body: Skeleton) -> None:
    R, t, focal = camera("track")
    person = film(body, *walk(body, SECONDS), R, t, focal)
    path = make_camera_path(R[:100], t[:100], focal=1000, metric=True)
    _, _, warnings = solve_people((person,), LENS, body, LAYOUT, FPS, PLAIN, path)
    assert len(warnings) == 1 and "50 of 150 frames" in warnings[0]


def test_one_pose_is_a_camera_that_stands_at_a_known_place(body: Skeleton) -> None:
    R, t, focal = camera("still")
    person = film(body, *walk(body, SECONDS), R, t, focal)
    path = make_camera_path(R[0], t[0], metric=True)
    found, (person,), warnings = solve_people((person,), LENS, body, LAYOUT, FPS, PLAIN, path)
    assert not warnings and found.frames is None and found.R.shape == (3, 3)
    assert np.linalg.norm(person.joints_world - walk(body, SECONDS)[0], axis=-1).mean() < 0.004


def test_two_people_share_one_size(body: Skeleton) -> None:
    R, t, focal = camera("track")
    joints, contact = walk(body, SECONDS)
    away = np.array([0.8, 0.3, 0.0])
    two = tuple(film(body, j, contact, R, t, focal) for j in (joints, joints + away))
    path: CameraPath = make_camera_path(R, 3 * t)
    _, found, warnings = solve_people(two, LENS, body, LAYOUT, FPS, PLAIN, path)
    assert not warnings
    assert np.abs((found[1].joints_world - found[0].joints_world).mean((0, 1)) - away).max() < 0.05


def test_a_take_keeps_the_path_and_is_solved_again(body: Skeleton, tmp_path: Path) -> None:
    """Keypoints of somebody's own, a path and a zoom: from the capture to the file and back."""
    R, t, _ = camera("hand")
    focal = 1000 + 2.0 * np.arange(len(R))
    seen = film(body, *walk(body, SECONDS), R, t, focal)
    path = make_camera_path(R, 3 * t, focal=focal)
    take = lifter.lift_keypoints(
        seen.keypoints, seen.scores, layout=LAYOUT, fps=FPS, image_size=(1280, 720), camera=path
    )
    again = lifter.load_take(lifter.save_take(take, tmp_path / "a.take.npz"))
    assert again.camera.given is not None and again.header["lens"]["source"] == "path"
    for name in ("K", "R", "t", "frames", "focal"):
        assert np.array_equal(getattr(again.camera, name), getattr(take.camera, name)), name
    person = again.people[0]
    assert np.allclose(again.camera.see(person.joints_world, person.frames), person.joints_camera, atol=1e-3)
    same = lifter.solve(again, SolveSettings(height=1.70))
    assert np.allclose(same.people[0].joints_world, person.joints_world, atol=1e-5)
    # The overlay fits, whatever the network made of the pose.
    pixels = again.camera.project(again.camera.see(person.joints_world, person.frames), person.frames)
    assert np.linalg.norm((pixels - seen.keypoints)[:, 0], axis=-1).mean() < 40


def test_a_lens_beside_a_path_with_its_own_is_refused(body: Skeleton) -> None:
    R, t, focal = camera("pan")
    seen = film(body, *walk(body, SECONDS), R, t, focal)
    path = make_camera_path(R, t, focal=focal)
    with pytest.raises(MotionliftError, match="lens"):
        lifter.lift_keypoints(
            seen.keypoints, seen.scores, layout=LAYOUT, fps=FPS, image_size=(1280, 720), camera=path, fov=50
        )
