"""Detector errors that were made up are measured as they were made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import training.noise
from benchmarks.clips import Clip, rendered
from benchmarks.detector_noise import (
    Errors,
    correlate,
    derived,
    find_exchanges,
    find_lag,
    hidden_joints,
    line_to_segment,
    measure,
    model_bias,
    moved_by,
    score_table,
    split,
    stretches,
    toml,
    wander_correlation,
)
from benchmarks.performers.render import truth
from lifter.errors import MotionliftError
from lifter.skeleton import load_skeleton
from tests.benchmarks.test_performers import SHOTS, motion
from training.detector_noise import wander
from training.noise import FAST_SECONDS, SLOW_SECONDS, load_noise, noise_layouts

FPS = 30.0
BIAS = np.array([0.02, -0.01, 0.015])
rng = np.random.default_rng(11)


def made_up(frames: int, wandering: tuple[float, float, float] = (0, 0, 0), lag: float = 0.0) -> Errors:
    """Two hips with a known bias, wander and lag, on a pelvis that turns every way."""
    g = torch.Generator().manual_seed(2)
    fast, slow, white = wandering
    axes = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.1, (frames, 3)), 0)).as_matrix()[:, None].repeat(2, 1)
    noise = (
        fast * wander((1, 2, 2), frames, round(FAST_SECONDS * FPS), g)[0].numpy()
        + slow * wander((1, 2, 2), frames, round(SLOW_SECONDS * FPS), g)[0].numpy()
        + white * rng.normal(size=(frames, 2, 2))
    )
    velocity = np.cumsum(rng.normal(0, 0.1, (frames, 2, 2)), 0)
    velocity -= velocity.mean(0)
    clip = Clip("x", Path("x"), ["l_hip", "r_hip"], np.zeros((frames, 2, 3)), np.zeros((frames, 2, 2)), 500.0, (9, 9),
                1.7, 1, np.zeros(3))  # fmt: skip
    never = np.zeros(frames, bool)
    e = Errors(clip, ["l_hip", "r_hip"], FPS, noise, velocity, np.full((frames, 2), 0.9), np.zeros((frames, 2), bool),
               {"arms": never, "legs": never}, axes, rng.normal(0, 0.2, (frames, 2, 2)))  # fmt: skip
    for j in range(2):
        e.error[:, j] += moved_by(e, j) @ BIAS - lag * velocity[:, j]
    return e


def test_bias_in_the_axes_of_the_bone_is_found_and_mirrored() -> None:
    assert np.allclose(model_bias([made_up(400)], "hip", 0.0), BIAS, atol=2e-4)


def test_lag_is_found() -> None:
    clips = [made_up(3000, lag=0.02)]
    assert find_lag(clips) == pytest.approx(0.02, abs=0.003)


def test_wander_correlation_is_that_of_wander() -> None:
    g = torch.Generator().manual_seed(5)
    x = wander((4000, 1), 60, 6, g)[..., 0].numpy()
    for lag in (0, 3, 6, 9, 12):
        seen = float((x[:, : 60 - lag] * x[:, lag:]).mean())
        assert seen == pytest.approx(float(wander_correlation(np.array([lag / FPS]), 0.2)[0]), abs=0.02)


@pytest.mark.parametrize("parts", [(0.01, 0.0, 0.0), (0.0, 0.02, 0.003), (0.012, 0.012, 0.004)])
def test_wanders_and_jitter_are_told_apart(parts: tuple[float, float, float]) -> None:
    e = made_up(40_000, parts)
    rest = e.error[:, 0] - moved_by(e, 0) @ BIAS
    assert np.allclose(split(*correlate(rest, FPS)), parts, atol=0.003)


def test_measure_gives_back_what_was_put_in() -> None:
    m = measure([made_up(20_000, (0.01, 0.015, 0.004))], "hip", 0.0)
    assert np.allclose(m.bias, BIAS, atol=0.001)
    assert (m.fast, m.slow, m.white) == pytest.approx((0.01, 0.015, 0.004), abs=0.002)
    assert m.spread < 0.002 and m.score == pytest.approx(0.9) and np.isnan(m.hidden)


def test_exchanged_legs_are_found_where_they_are() -> None:
    names = [f"{s}_{p}" for p in ("elbow", "wrist", "knee", "ankle") for s in "lr"]
    true = np.array([[(100 if n[0] == "l" else 200), 50 * i] for i, n in enumerate(names)], float)[None].repeat(20, 0)
    seen = true + rng.normal(0, 2, true.shape)
    seen[5:9, 4:] = seen[5:9][:, [5, 4, 7, 6]]
    seen[0] = np.nan
    found = find_exchanges(seen, true, names)
    assert np.flatnonzero(found["legs"]).tolist() == [5, 6, 7, 8] and not found["arms"].any()
    clips = [Errors(None, names, 10.0, seen, seen, seen, seen, found, None, seen)]  # type: ignore[arg-type]
    events = stretches(clips, [found["legs"]])
    assert events.seconds == [0.4] and events.per_minute == pytest.approx(30.0)


def test_line_of_sight_to_a_segment() -> None:
    joint = np.array([[0, 0, 4.0]])
    gap, share = line_to_segment(joint, np.array([[-1, 0.3, 2.0]]), np.array([[1, 0.3, 2.0]]))
    assert gap[0] == pytest.approx(0.3) and share[0] == pytest.approx(0.5)


def test_the_far_arm_of_a_walker_is_hidden_now_and_then_and_the_near_one_not(tmp_path: Path) -> None:
    t = truth(SHOTS["walk"], motion("walk"))  # walks to the right: the right side is near
    np.savez(tmp_path / "walk_truth.npz", **t)
    clip = rendered(tmp_path, "walk")
    hidden = hidden_joints(clip, ["l_wrist", "r_wrist", "l_elbow", "nose"])
    assert 0.1 < hidden[:, 0].mean() < 0.95
    assert hidden[:, 1].mean() < 0.05
    assert hidden[:, 2].mean() > hidden[:, 1].mean()
    assert not hidden[:, 3].any()


def test_the_data_file_is_read_as_it_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    m = measure([made_up(2000, (0.01, 0.015, 0.004))], "hip", 0.0)
    events = stretches([made_up(300)], [np.arange(300) < 30])
    (tmp_path / "mine.toml").write_text(toml("mine", {"hip": m}, "here", 0.007, events, events), encoding="utf-8")
    monkeypatch.setattr(training.noise, "FOLDER", tmp_path)
    skeleton = load_skeleton()
    noise = load_noise("mine", skeleton)
    left, right, knee = (skeleton.joint(n) for n in ("l_hip", "r_hip", "l_knee"))
    assert np.allclose(noise.bias[left], m.bias, atol=1e-4)
    assert np.allclose(noise.bias[right], m.bias * [-1, 1, 1], atol=1e-4)
    assert skeleton.bones[noise.bone[left]].name == "pelvis" and noise.bone[knee] == -1
    assert noise.slow[right] == pytest.approx(m.slow, abs=1e-4)
    assert noise.lag == pytest.approx(0.007)
    assert noise.swap_seconds == pytest.approx(1.0) and noise.swaps_per_minute == pytest.approx(6.0)


def test_a_damaged_or_unknown_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.noise, "FOLDER", tmp_path)
    with pytest.raises(MotionliftError, match="No errors are known"):
        load_noise("mine", load_skeleton())
    for text in ("lag = [", "lag = 1.0", "lag = -1\n[swaps]\nper_minute=1\nseconds=1\n[misses]\nper_minute=1\nseconds=1"
                 "\n[keypoints]"):  # fmt: skip
        (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
        with pytest.raises(MotionliftError, match="damaged"):
            load_noise("mine", load_skeleton())


def test_a_layout_without_a_detector_has_no_bias_but_as_much_more_spread() -> None:
    m = {"hip": measure([made_up(2000, (0.01, 0.01, 0.001))], "hip", 0.0)}
    still = {"hip": measure([made_up(2000, (0.01, 0.01, 0.009))], "hip", 0.0)}
    parts = ("nose", "shoulder", "elbow", "wrist", "knee", "ankle", "ear", "hip", "heel", "toe")
    every = dict.fromkeys(parts, m["hip"])
    out = derived("halpe26", every, still)
    assert not out["hip"].bias.any()
    assert out["hip"].spread >= np.linalg.norm(m["hip"].bias) / np.sqrt(3)
    assert out["hip"].white == pytest.approx(still["hip"].white)
    assert "neck" in out and "head_top" in out


def test_every_file_that_ships_is_read() -> None:
    skeleton = load_skeleton()
    layouts = noise_layouts()
    assert {"mediapipe33", "coco17", "halpe26", "body25", "h36m17"} <= set(layouts)
    for layout in layouts:
        noise = load_noise(layout, skeleton)
        known = noise.bone >= 0
        assert known.sum() >= 12 and np.abs(noise.bias).max() < 0.1
        assert (noise.score[known] > 0.2).all() and (noise.score[known] <= 1).all()
        assert (noise.hidden[known] >= 1).all()


def test_score_table_shows_what_confidence_is_worth() -> None:
    e = made_up(1000)
    e.error[:] = [0.03, 0.04]
    e.score[:500] = 0.3
    e.error[:500] *= 2
    rows = score_table([e])[2:]
    assert [r.split("|")[1:5] for r in rows] == [
        [" 0.20 to 0.50 ", " 50.0 % ", " 0 % ", " 100 "],
        [" 0.80 to 0.95 ", " 50.0 % ", " 0 % ", " 50 "],
    ]
