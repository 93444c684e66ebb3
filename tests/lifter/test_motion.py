"""Known answers of the whole solver: exact joints go in, and the motion that was filmed comes out."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest

from lifter.camera import make_lens
from lifter.cli import main
from lifter.motion import SolveSettings, solve_people
from lifter.rotation import quat_to_matrix
from lifter.skeleton import FEET, Skeleton
from lifter.smooth import spline
from lifter.take import GAP, Camera, Person, Take, load_take, save_take

from .walking import FPS, LAYOUT, film, look, walk

SECONDS = 5.0
LENS = make_lens(1280, 720, focal=1000)
LOCKED = SolveSettings(height=1.70)
PLACES = {
    "level": ([3.0, -7.5, 0.9], [0, -2.0, 0.9], 0.0),
    "high": ([4.0, -6.5, 3.5], [0, -2.0, 0.9], 0.0),
    "low": ([3.0, -7.5, 0.2], [0, -2.0, 1.2], 0.0),
    "rolled": ([-4.0, -6.0, 1.5], [0, -2.0, 0.9], 0.15),
}


def seen(body: Skeleton, where: str, joints: np.ndarray, contact: np.ndarray, gravity: float = 0.0) -> Person:
    """The person before a camera at a place; the network's gravity is off by so many degrees."""
    place, target, roll = PLACES[where]
    R, t = look(np.array(place), np.array(target), roll)
    frames = len(joints)
    rotation = np.broadcast_to(R, (frames, 3, 3))
    person = film(body, joints, contact, rotation, np.broadcast_to(t, (frames, 3)), np.full(frames, 1000.0))
    turn = quat_to_matrix(np.array([np.cos(np.radians(gravity) / 2), np.sin(np.radians(gravity) / 2), 0, 0]))
    return replace(person, down=(person.down @ turn.T).astype(np.float32))


def solve(body: Skeleton, person: Person, settings: SolveSettings = LOCKED) -> tuple[Camera, Person]:
    camera, (found,), _ = solve_people((person,), LENS, body, LAYOUT, FPS, settings)
    return camera, found


def onto(moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Joints turned about the vertical and moved along the floor onto others: Z stays as it is."""
    a, b = moving[..., :2].reshape(-1, 2).mean(0), fixed[..., :2].reshape(-1, 2).mean(0)
    p, q = (moving[..., :2] - a).reshape(-1, 2), (fixed[..., :2] - b).reshape(-1, 2)
    angle = np.arctan2((p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum(), (p * q).sum())
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.concatenate([(moving[..., :2] - a) @ turn.T + b, moving[..., 2:]], -1)


@pytest.mark.parametrize("where", sorted(PLACES))
def test_a_tilted_camera_gives_the_same_world_motion(body: Skeleton, where: str) -> None:
    truth, contact = walk(body, SECONDS)
    camera, person = solve(body, seen(body, where, truth, contact))
    error = np.linalg.norm(onto(person.joints_world.astype(np.float64), truth) - truth, axis=-1)
    assert error.mean() < 0.015 and error.max() < 0.08
    # The rig overlays the footage: scene and camera agree.
    again = person.joints_world @ camera.R.T + camera.t
    assert np.allclose(again, person.joints_camera, atol=1e-4)


@pytest.mark.parametrize("off", [-4.0, 3.0])
def test_a_walk_levels_the_scene(body: Skeleton, off: float) -> None:
    """Gravity that is off makes a walk climb; the places where feet stood show it."""
    truth, contact = walk(body, SECONDS)
    camera, _ = solve(body, seen(body, "level", truth, contact, off))
    up = look(np.array(PLACES["level"][0]), np.array(PLACES["level"][1]))[0][:, 2]
    tilt = np.degrees(np.arccos(np.clip(camera.R[:, 2] @ up, -1, 1)))
    assert tilt < 0.6 * abs(off)
    standing = solve(body, seen(body, "level", truth, contact, off), replace(LOCKED, contacts="never"))[0]
    assert np.degrees(np.arccos(standing.R[:, 2] @ up)) == pytest.approx(abs(off), abs=0.1)


def test_feet_stand_on_the_ground_and_stay(body: Skeleton) -> None:
    """Within a millimetre, their joints a sole's thickness above the floor, and no foot is under it."""
    truth, contact = walk(body, SECONDS)
    noise = np.random.default_rng(0).normal(size=(len(truth), 1, 3)) * 0.01
    person = seen(body, "high", truth, contact)
    person = replace(person, lifted=(person.lifted + noise * (np.arange(33) > 0)[:, None]).astype(np.float32))
    _, found = solve(body, person)
    feet = found.joints_world[:, [body.joint(n) for n in FEET]]
    both = found.stands[1:] & found.stands[:-1]
    assert both.mean() > 0.3
    assert np.linalg.norm(np.diff(feet, axis=0), axis=-1)[both].max() < 0.001
    sole = np.broadcast_to(body.rest[[body.joint(n) for n in FEET], 2], found.stands.shape)
    assert np.abs(feet[..., 2] - sole)[found.stands].max() < 0.012
    assert feet[..., 2].min() > -0.001


def test_a_straight_walk_is_straight(body: Skeleton) -> None:
    truth, contact = walk(body, SECONDS)
    _, found = solve(body, seen(body, "rolled", truth, contact))
    path = found.joints_world[:, 0, :2].astype(np.float64)
    along = (path[-1] - path[0]) / np.linalg.norm(path[-1] - path[0])
    across = (path - path[0]) @ np.array([-along[1], along[0]])
    assert np.abs(across).max() < 0.03
    assert np.linalg.norm(path[-1] - path[0]) == pytest.approx(0.9 * (SECONDS - 1 / FPS), rel=0.02)


def test_a_jump_flies_along_a_parabola(body: Skeleton) -> None:
    """Nobody sees the middle of the flight; the body falls as bodies do."""
    at = np.arange(75) / FPS
    rise, start = 2.4, 0.8
    air = (at > start) & (at < start + 2 * rise / 9.81)
    height = np.where(air, rise * (at - start) - 9.81 / 2 * (at - start) ** 2, 0)
    truth = body.rest + np.stack([0 * at, 0 * at, height], -1)[:, None]
    person = seen(body, "level", truth, np.repeat(~air[:, None], 4, 1))
    hidden = np.abs(at - start - rise / 9.81) < 0.15
    person = replace(person, scores=np.where(hidden[:, None], 0, person.scores).astype(np.float32))
    person.keypoints[hidden] = np.nan
    _, found = solve(body, person)
    flown = found.joints_world[:, 0, 2] - body.rest[0, 2]
    assert np.abs(flown - height).max() < 0.015
    inside = np.flatnonzero(air)[4:-4]
    assert np.polyfit(at[inside], flown[inside], 2)[0] == pytest.approx(-9.81 / 2, rel=0.04)


@pytest.mark.parametrize("smoothing", ["spline", "butterworth", "gaussian", "savitzky_golay", "one_euro"])
def test_time_reversal_gives_the_reverse(body: Skeleton, smoothing: str) -> None:
    """No filter knows which way time goes, nor does what follows for contacts of which there is no doubt."""
    truth, contact = walk(body, SECONDS)
    noise = np.random.default_rng(0).normal(size=truth.shape) * 0.01
    person = seen(body, "high", truth, contact)
    state = person.state.copy()
    state[60:85] = GAP  # a gap within a step
    person = replace(person, lifted=(person.lifted + noise).astype(np.float32), state=state)
    turned = ("state", "swapped", "keypoints", "scores", "lifted", "sigma", "contact", "down")
    arrays = {k: getattr(person, k)[::-1].copy() for k in turned}
    settings = replace(LOCKED, smoothing=smoothing)  # type: ignore[arg-type]
    _, there = solve(body, person, settings)
    _, back = solve(body, replace(person, **arrays), settings)
    off = np.linalg.norm(there.joints_world - back.joints_world[::-1], axis=-1)[state != GAP]
    assert off.max() < 1e-3
    assert (there.stands == back.stands[::-1]).all()


def test_fast_motion_outlives_the_spline(body: Skeleton) -> None:
    """A punch of a tenth of a second keeps its reach at the default strength, and jitter goes."""
    at = np.arange(120) / FPS
    punch = 0.4 * np.exp(-0.5 * ((at - 2.0) / 0.03) ** 2)
    x = np.stack([punch, 0.05 * np.sin(2 * np.pi * 0.5 * at), 0 * at], -1)
    noisy = x + np.random.default_rng(0).normal(size=x.shape) * 0.003
    sigma = np.ones(len(x))
    out, stiff = (spline(noisy, sigma, FPS, LOCKED.strength, yielding=y) for y in (True, False))
    assert out[:, 0].max() > 0.95 * 0.4 and stiff[:, 0].max() < 0.85 * 0.4
    calm = np.abs(at - 2.0) > 0.4

    def jitter(v: np.ndarray) -> float:
        return float(np.abs(np.diff(v - x, 2, axis=0))[calm[1:-1]].mean())

    assert jitter(out) < 0.4 * jitter(noisy)


def longer(person: Person, frames: int) -> Person:
    """The same person forwards and backwards in turn."""
    own = len(person.frames)
    there = np.concatenate([np.arange(own), np.arange(own - 2, 0, -1)])
    order = there[np.arange(frames) % len(there)]
    arrays = {k: v[order] for k, v in vars(person).items() if k not in ("offsets", "frames", "times")}
    at = np.arange(frames, dtype=np.int32)
    return replace(person, frames=at, times=at / FPS, **arrays)


@pytest.mark.slow
def test_a_long_take_costs_time_and_memory_in_proportion(body: Skeleton) -> None:
    truth, contact = walk(body, SECONDS)
    person = seen(body, "high", truth, contact)
    cost: list[tuple[float, float]] = []
    for frames in (5_000, 50_000):
        long = longer(person, frames)
        tracemalloc.start()
        start = time.process_time()
        _, found = solve(body, long)
        cost.append((time.process_time() - start, tracemalloc.get_traced_memory()[1]))
        tracemalloc.stop()
        assert np.isfinite(found.joints_world).all()
    assert cost[1][0] < 20 * cost[0][0]  # ten times the frames
    assert cost[1][1] < 12 * cost[0][1]


def test_every_setting_is_in_the_command_line_and_in_the_takes_header(body: Skeleton, tmp_path: Path) -> None:
    """Blender's panel has them all too: tests/blender_addon/test_extension_registration.py."""
    truth, contact = walk(body, 1.0)
    camera, person = solve(body, seen(body, "level", truth, contact))
    header = {
        "version": 1,
        "fps": FPS,
        "source": {"path": None, "width": 1280, "height": 720, "frame_count": 0, "start": None, "end": None},
        "lens": {"focal": 1000.0, "center": [640.0, 360.0], "source": "given"},
        "detector": {"name": "keypoints", "layout": LAYOUT},
        "checkpoint": {"name": "body", "card": {}},
        "skeleton": body.to_dict(),
        "settings": asdict(SolveSettings()),
        "solve_warnings": [],
    }
    path = save_take(Take(header, camera, (person,)), tmp_path / "walk.take.npz")
    wanted = {
        "height": 1.9,
        "smoothing": "gaussian",
        "strength": 0.3,
        "torso": 0.5,
        "head": 0.6,
        "arms": 0.7,
        "legs": 1.5,
        "contacts": "never",
        "contact_edits": "left:3-9=on, right:4-8=off",
        "foot_lock": False,
    }
    assert set(wanted) == {f.name for f in fields(SolveSettings)}
    options = [f"--{n}={v}" for n, v in wanted.items() if n not in ("contact_edits", "foot_lock")]
    assert (
        main(["solve", str(path), *options, "--contact", "left:3-9=on", "--contact", "right:4-8=off", "--no-foot-lock"])
        == 0
    )
    again = load_take(path)
    assert again.header["settings"] == wanted
    assert again.people[0].stands[3:10, :2].all() and not again.people[0].stands[10:, :2].any()
    assert not again.people[0].stands[:, 2:].any()
