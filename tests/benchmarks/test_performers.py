"""The performers' motions are truth for world motion too: what stands is still, what flies falls."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import lifter
from benchmarks.performers.cast import ALEX, SHOTS, aimed
from benchmarks.performers.fresh import ALL
from benchmarks.performers.motions import (
    GRAVITY,
    Choreography,
    Jump,
    Motion,
    Proportions,
    Step,
    centre_of_mass,
    perform,
    rest_joints,
)  # fmt: skip
from benchmarks.performers.render import camera_matrices, finished, truth
from lifter.skeleton import FEET, load_skeleton

SKELETON = load_skeleton()
FOOT_JOINTS = [SKELETON.joint(n) for n in FEET]


@cache
def motion(name: str) -> Motion:
    shot = ALL[name]
    return perform(shot.choreography, shot.performer.proportions, shot.fps)


@pytest.mark.parametrize("name", ALL)
def test_feet_in_contact_stand_still_on_the_floor(name: str) -> None:
    m = motion(name)
    feet = m.joints[:, FOOT_JOINTS]
    resting = rest_joints(m.offsets)[FOOT_JOINTS, 2]
    assert 0.3 < m.contacts.mean() < 1
    assert np.abs(feet[..., 2] - resting)[m.contacts].max() < 1e-9
    still = m.contacts[1:] & m.contacts[:-1]
    assert np.linalg.norm(np.diff(feet, axis=0), axis=-1)[still].max() < 1e-9


@pytest.mark.parametrize("name", ALL)
def test_nothing_goes_below_the_floor(name: str) -> None:
    m = motion(name)
    feet = m.joints[:, FOOT_JOINTS, 2] - rest_joints(m.offsets)[FOOT_JOINTS, 2]
    assert feet.min() > -1e-4
    assert m.joints[..., 2].min() > 0.01


@pytest.mark.parametrize("name", ALL)
def test_bones_keep_their_length_and_nobody_moves_inhumanly(name: str) -> None:
    m = motion(name)
    for j, parent in enumerate(SKELETON.parents):
        if parent >= 0:
            lengths = np.linalg.norm(m.joints[:, j] - m.joints[:, parent], axis=-1)
            assert np.ptp(lengths) < 1e-9
    rate = ALL[name].fps
    root = m.joints[:, 0]
    assert np.linalg.norm(np.diff(root, axis=0), axis=-1).max() * rate < 3.5
    assert np.linalg.norm(np.diff(m.joints, 2, axis=0), axis=-1).max() * rate**2 < 130


@pytest.mark.parametrize("name", ALL)
def test_the_person_is_in_the_picture(name: str) -> None:
    t = truth(ALL[name], motion(name))
    inside = ((t["keypoints"] >= 0) & (t["keypoints"] < t["image_size"])).all(-1)
    assert inside.mean() > 0.98
    assert t["joints_camera"][..., 2].min() > 0.8


def test_flight_is_a_parabola() -> None:
    shot = SHOTS["jump"]
    fine = perform(shot.choreography, shot.performer.proportions, 240)
    t = np.arange(len(fine.joints)) / 240
    mass = centre_of_mass(fine.joints)
    for jump in shot.choreography.jumps:
        flying = (t > jump.lift + 0.01) & (t < jump.land - 0.01)
        assert not fine.contacts[flying].any()
        fall = np.diff(mass[flying], 2, axis=0) * 240**2
        assert np.allclose(fall, [0, 0, -GRAVITY], atol=0.05)


def test_a_jump_is_as_high_as_its_time_in_the_air() -> None:
    c = Choreography(2.5, (0.0, 0.0), 0, (), {}, jumps=(Jump(0.4, 1.0, 1.5, 2.2),))
    m = perform(c, Proportions(1.75), 100)
    height = centre_of_mass(m.joints)[:, 2]
    assert height[125] - (height[100] + height[150]) / 2 == pytest.approx(GRAVITY * 0.5**2 / 8, abs=0.005)


def test_centre_of_mass_of_a_rest_pose_lies_in_the_pelvis() -> None:
    x, y, z = centre_of_mass(SKELETON.rest.astype(np.float64)[None])[0]
    assert abs(x) < 1e-6 and abs(y) < 0.05
    assert 0.54 < z / SKELETON.height < 0.62  # arms out: a little above the 55 to 57 % of standing people


def test_a_foot_that_is_still_busy_cannot_lift() -> None:
    c = Choreography(2.0, (0.0, 0.0), 0, (Step("l", 0.2, 0.6, 0.2, 0), Step("l", 0.7, 1.0, 0.2, 0)), {})
    with pytest.raises(ValueError, match="busy until"):
        perform(c, ALEX.proportions, 30)


def test_a_path_leads_the_foot_elsewhere_and_back() -> None:
    kick = Step("r", 0.5, 1.5, 0.0, 0, path=((0.5, 0.4, 0.1, 0.5, 30),))
    c = Choreography(2.0, (0.0, 0.0), 0, (kick,), {}, arm_swing=0)
    m = perform(c, ALEX.proportions, 50)
    ankle = m.joints[:, SKELETON.joint("r_ankle")]
    assert np.allclose(ankle[50] - ankle[0], [0.1, -0.4, 0.5], atol=0.06)
    assert np.allclose(ankle[-1], ankle[0], atol=1e-9)


def test_the_demo_is_as_it_was_filmed() -> None:
    wanted = truth(SHOTS["demo"], motion("demo"))
    with np.load(Path(lifter.__file__).parent / "demo" / "demo_truth.npz", allow_pickle=False) as z:
        assert np.allclose(z["joints_world"], wanted["joints_world"], atol=1e-4)
        assert np.allclose(z["keypoints"], wanted["keypoints"], atol=0.05)


def test_a_clip_counts_as_finished_only_with_the_truth_of_today(tmp_path: Path) -> None:
    wanted = truth(SHOTS["sit"], motion("sit"))
    assert not finished(tmp_path, "sit", wanted)
    np.savez(tmp_path / "sit_truth.npz", **wanted)
    assert not finished(tmp_path, "sit", wanted)
    (tmp_path / "sit.mp4").write_bytes(b"video")
    assert finished(tmp_path, "sit", wanted)
    assert not finished(tmp_path, "sit", {**wanted, "joints_world": wanted["joints_world"] + 0.01})


def test_an_aimed_camera_sees_its_target_in_the_middle() -> None:
    K, R, t = camera_matrices(aimed((1.0, -3.0, 2.0), (0.3, 0.5, 0.9), 50.0, roll=7.0), (400, 300))
    pixel = K @ (R @ [0.3, 0.5, 0.9] + t)
    assert np.allclose(pixel[:2] / pixel[2], [200, 150])
