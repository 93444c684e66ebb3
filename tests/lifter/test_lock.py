"""Known answers of the foot lock, on a body that walks by forward kinematics."""

from __future__ import annotations

import numpy as np
import pytest

from lifter.lock import gentle_contacts, legs_of, lock_feet
from lifter.rotation import normalize, quat_to_matrix
from lifter.skeleton import FEET, Skeleton, load_skeleton
from lifter.solve import bend_limbs, forward_kinematics, solve_rotations

from .walking import roll_off

FPS = 30


def stepping(body: Skeleton, slide: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Somebody who lifts each foot in turn, bending hip and knee, while all slides to the left at `slide` m/s,
    jitters and sinks: rotations (T, B, 3, 3), joints (T, J, 3), contact (T, 4)."""
    t = np.arange(120) / FPS
    names = [b.name for b in body.bones]
    lift = np.stack([np.clip(np.sin(2 * np.pi * (t / 2 + s)), 0, None) for s in (0, 0.5)], -1)
    turns = np.zeros((len(t), len(names), 4))
    turns[..., 0] = 1

    def about_x(angle: np.ndarray) -> np.ndarray:
        return np.stack([np.cos(angle / 2), np.sin(angle / 2), 0 * angle, 0 * angle], -1)

    for i, side in enumerate("lr"):
        turns[:, names.index(f"{side}_thigh")] = about_x(-0.9 * lift[:, i] - 0.15)
        turns[:, names.index(f"{side}_shin")] = about_x(0.4 * lift[:, i] + 0.15)
    rotations = quat_to_matrix(turns)
    joints = forward_kinematics(body, rotations, body.rest_offsets)
    low = joints[:, [body.joint(n) for n in FEET], 2].min()
    rng = np.random.default_rng(0)
    joints = joints - [0, 0, low + 0.02] + np.stack([slide * t, 0 * t, 0.01 * np.sin(9 * t)], -1)[:, None]
    joints = joints + 0.004 * rng.normal(size=(len(t), 1, 3))
    contact = np.repeat(lift < 1e-6, 2, axis=1)
    return rotations, joints, contact


def held(body: Skeleton, slide: float = 0.1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rotations, joints, contact = stepping(body, slide)
    valid = np.ones(len(joints), bool)
    locked = lock_feet(body, joints, body.rest_offsets, contact, valid, FPS)
    turned = solve_rotations(body, bend_limbs(body, locked, rotations, body.rest_offsets, exact=True), FPS)
    out = forward_kinematics(body, turned, body.rest_offsets) + locked[:, :1]
    return joints, out, contact, turned


def test_a_foot_that_stands_stays_within_a_millimetre(body: Skeleton) -> None:
    joints, out, contact, _ = held(body)
    feet = [body.joint(n) for n in FEET]
    both = contact[1:] & contact[:-1]
    before, after = (np.linalg.norm(np.diff(x[:, feet], axis=0), axis=-1)[both] for x in (joints, out))
    assert before.mean() * FPS > 0.1
    assert after.max() < 0.001
    sole = np.broadcast_to(body.rest[feet, 2], contact.shape)[contact]
    assert np.abs(out[:, feet, 2][contact] - sole).max() < 0.006  # on the ground, at the height of rest


def test_no_foot_sinks_and_bones_keep_their_lengths(body: Skeleton) -> None:
    _, out, _, _ = held(body)
    assert out[:, [body.joint(n) for n in FEET], 2].min() > -0.002
    for leg in legs_of(body):
        for a, b in ((leg.hip, leg.knee), (leg.knee, leg.ankle)):
            length = np.linalg.norm(out[:, a] - out[:, b], axis=-1)
            assert np.ptp(length) < 1e-6


def test_releases_are_smooth_and_upper_bodies_keep_their_pose(body: Skeleton) -> None:
    joints, out, _, _ = held(body)
    toe = body.joint("l_toe")
    jump = np.linalg.norm(np.diff(out[:, toe] - joints[:, toe], axis=0), axis=-1)
    assert jump.max() < 0.03
    head = body.joint("head")
    assert np.allclose(out[:, head] - out[:, 0], joints[:, head] - joints[:, 0], atol=1e-6)


def test_a_leg_that_does_not_reach_lowers_the_body(body: Skeleton) -> None:
    _, joints, contact = stepping(body, 0.0)
    contact[:] = True
    joints = joints + [0, 0, 0.08]
    locked = lock_feet(body, joints, body.rest_offsets, contact, np.ones(len(joints), bool), FPS)
    leg = legs_of(body)[0]
    reach = np.linalg.norm(body.rest_offsets[leg.knee]) + np.linalg.norm(body.rest_offsets[leg.ankle])
    assert np.linalg.norm(locked[:, leg.hip] - locked[:, leg.ankle], axis=-1).max() <= reach
    assert (locked[:, 0, 2] < joints[:, 0, 2]).any()


def test_without_contacts_nothing_moves_but_what_is_under_the_floor(body: Skeleton) -> None:
    _, joints, contact = stepping(body, 0.1)
    joints = joints + [0, 0, 0.1]
    free = lock_feet(body, joints, body.rest_offsets, np.zeros_like(contact), np.ones(len(joints), bool), FPS)
    assert np.allclose(free, joints)


def test_a_skeleton_without_legs_is_left_alone(body: Skeleton) -> None:
    h36m = load_skeleton("h36m")
    joints = np.random.default_rng(0).normal(size=(5, len(h36m.joint_names), 3))
    assert legs_of(h36m) == []
    assert np.allclose(lock_feet(h36m, joints, h36m.rest_offsets, np.ones((5, 4), bool), np.ones(5, bool), 30), joints)


@pytest.mark.parametrize("frames", [1, 2])
def test_very_short_clips(body: Skeleton, frames: int) -> None:
    _, joints, contact = stepping(body, 0.1)
    out = lock_feet(body, joints[:frames], body.rest_offsets, contact[:frames], np.ones(frames, bool), FPS)
    assert np.isfinite(out).all()


def knee_bend(body: Skeleton, joints: np.ndarray) -> np.ndarray:
    """(T, 2) degrees between thigh and shin."""
    out = []
    for side in "lr":
        hip, knee, ankle = (joints[:, body.joint(f"{side}_{n}")] for n in ("hip", "knee", "ankle"))
        u, v = normalize(knee - hip), normalize(ankle - knee)
        out.append(np.degrees(np.arccos(np.clip((u * v).sum(-1), -1, 1))))
    return np.stack(out, -1)


ERRORS = {
    "none": lambda t: np.zeros((len(t), 3)),
    "path wanders": lambda t: np.stack([0.02 * np.sin(2 * t), 0.03 * np.sin(1.7 * t + 1), 0.012 * np.sin(2.3 * t)], -1),
    "slides and sinks": lambda t: np.stack([0 * t, 0.1 * t, 0 * t - 0.02], -1),
}


@pytest.mark.parametrize("late", [0, 4])
@pytest.mark.parametrize("error", ERRORS)
def test_a_foot_that_rolls_off_starts_as_softly_as_it_truly_does(body: Skeleton, error: str, late: int) -> None:
    """The heel rises while the toe stays; contacts come and go so many frames late. No heel, toe or knee changes its
    speed within a frame much more than it truly does, and what stands stays."""
    fps = 60.0
    truth, rotations, contact = roll_off(body, 4.0, fps)
    contact = contact[np.clip(np.arange(len(contact)) - late, 0, len(contact) - 1)]
    raw = truth + ERRORS[error](np.arange(len(truth)) / fps)[:, None]
    locked = lock_feet(body, raw, body.rest_offsets, contact, np.ones(len(raw), bool), fps)
    turned = solve_rotations(body, bend_limbs(body, locked, rotations, body.rest_offsets, exact=True), fps)
    out = forward_kinematics(body, turned, body.rest_offsets) + locked[:, :1]
    feet = [body.joint(n) for n in FEET]

    def sudden(joints: np.ndarray) -> float:
        """m/s within a frame."""
        return float(np.linalg.norm(np.diff(joints[:, feet], 2, axis=0), axis=-1)[4:-4].max()) * fps

    assert sudden(out) < sudden(truth) * (1.05 if late == 0 else 1.5)
    knees = [float(np.abs(np.diff(knee_bend(body, x), 2, axis=0))[4:-4].max()) for x in (out, truth)]
    assert knees[0] < 1.6 * knees[1]
    both = contact[1:] & contact[:-1]
    assert np.linalg.norm(np.diff(out[:, feet], axis=0), axis=-1)[both].max() * fps < 0.001
    assert out[:, feet, 2].min() > body.rest[feet, 2].min() - 0.002


def test_heel_and_toe_that_stand_together_are_both_met(body: Skeleton) -> None:
    """Each has a place of its own; these are a foot's length apart, so that neither slides when the other lifts."""
    truth, _, contact = roll_off(body, 4.0, 60.0)
    noise = 0.01 * np.random.default_rng(0).normal(size=(len(truth), 1, 3))
    locked = lock_feet(body, truth + noise, body.rest_offsets, contact, np.ones(len(truth), bool), 60.0)
    feet = [body.joint(n) for n in FEET]
    both = contact[1:] & contact[:-1]
    assert np.linalg.norm(np.diff(locked[:, feet], axis=0), axis=-1)[both].max() < 1e-6


def early(contact: np.ndarray, frames: int) -> np.ndarray:
    """Contacts of which each begins so many frames too soon."""
    out = contact.copy()
    for k in range(1, frames + 1):
        out[:-k] |= contact[k:]
    return out


def hardest_stop(body: Skeleton, joints: np.ndarray, contact: np.ndarray, fps: float) -> float:
    """m/s^2, the greatest acceleration of heels and toes within 0.1 s of where a contact begins."""
    feet = [body.joint(n) for n in FEET]
    size = np.linalg.norm(np.diff(joints[:, feet], 2, axis=0), axis=-1).max(1) * fps**2
    begins = np.flatnonzero((contact[1:] & ~contact[:-1]).any(1))
    near = round(0.1 * fps)
    return max(float(size[max(b - near, 4) : b + near].max()) for b in begins if b > near)


def test_a_contact_that_comes_too_early_waits_for_the_foot(body: Skeleton) -> None:
    """A foot is not rushed to where it will stand; contacts that come when the foot does stand are left as they are,
    so that impacts stay sharp."""
    fps = 60.0
    truth, _, contact = roll_off(body, 4.0, fps)
    valid = np.ones(len(truth), bool)
    assert (gentle_contacts(body, truth, body.rest_offsets, contact, valid, fps) == contact).all()
    wrong = early(contact, 8)
    gentle = gentle_contacts(body, truth, body.rest_offsets, wrong, valid, fps)
    assert (gentle <= wrong).all() and (contact <= gentle).all(), "only what came too early goes"
    assert (wrong & ~gentle).sum() > 0.3 * (wrong & ~contact).sum()
    hard, soft = (
        hardest_stop(body, lock_feet(body, truth, body.rest_offsets, c, valid, fps), c, fps) for c in (wrong, gentle)
    )
    assert soft < 0.7 * hard


def test_contacts_end_as_they_are_told(body: Skeleton) -> None:
    """Feet roll off: they are fast while they still stand, and skate if they are let go then."""
    truth, _, contact = roll_off(body, 4.0, 60.0)
    valid = np.ones(len(truth), bool)
    late = early(contact[::-1], 8)[::-1]
    gentle = gentle_contacts(body, truth, body.rest_offsets, late, valid, 60.0)
    ends = (late[:-1] & ~late[1:]).sum()
    assert (gentle[:-1] & ~gentle[1:] & late[:-1] & ~late[1:]).sum() == ends
