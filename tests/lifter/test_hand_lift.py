"""The network tells bends from points in the picture, wherever, however large and on whichever hand they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lifter import hand_lift
from lifter import hands as h
from lifter.errors import MotionliftError
from lifter.rotation import quat_to_matrix

pytest.importorskip("onnxruntime")


def filmed(angles: np.ndarray, seed: int, jitter: float = 0.0) -> tuple[h.SeenHands, np.ndarray]:
    """(N, 5, 4) angles as both hands in a picture, from any side but along the fingers, hands of 90 pixels."""
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(8 * len(angles), 4))
    turn = quat_to_matrix(q / np.linalg.norm(q, axis=-1, keepdims=True))
    turn = turn[np.abs(turn[:, 2, 0]) < 0.7][: len(angles)]
    points = h.hand_shape(angles) @ np.swapaxes(turn, -1, -2)
    xy = points[..., :2] / (1 + points[..., 2:] / 2) * 500 + rng.normal(0, jitter, (len(angles), 21, 2))
    found = h.no_hands(len(angles))
    found.xy[:, 0], found.xy[:, 1] = xy + [300, 200], xy * [-1, 1] + [100, 900]
    found.score[:] = 0.9
    return found, angles


def test_place_size_and_turn_do_not_matter() -> None:
    xy = np.random.default_rng(0).normal(size=(20, 21, 2))
    a = 2.1
    turned = xy @ np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) * 37 + [500, 20]
    np.testing.assert_allclose(hand_lift.canonical(turned), hand_lift.canonical(xy), atol=1e-9)
    assert (hand_lift.canonical(xy)[:, 0] == 0).all()
    assert np.isfinite(hand_lift.canonical(np.zeros((1, 21, 2)))).all()


def test_known_bends_come_back_on_both_hands() -> None:
    rng = np.random.default_rng(3)
    curl = rng.random((300, 4, 1))
    angles = np.repeat(h.AT_REST[None], 300, 0)
    angles[:, 1:, 1:] = np.radians([70, 90, 55]) * curl
    found, angles = filmed(angles, 4)
    got, sigma = hand_lift.lift_hands(found)
    np.testing.assert_allclose(got[:, 0], got[:, 1], atol=1e-3)
    off = np.degrees(np.abs(got[:, 0] - angles))[:, 1:, 1:]
    relaxed = np.degrees(np.abs(h.AT_REST - angles))[:, 1:, 1:]
    print(f"bends off by {off.mean():.1f} degrees, a relaxed hand's by {relaxed.mean():.1f}")
    assert off.mean() < 10 and off.mean() < 0.5 * relaxed.mean()
    # It knows where it is unsure.
    order = np.argsort(sigma[:, 0, 1:, 1:].mean((-1, -2)))
    assert off[order[:100]].mean() < 0.8 * off[order[-100:]].mean()


def test_what_is_not_seen_stays_empty() -> None:
    found, _ = filmed(np.zeros((3, 5, 4)), 0)
    found.xy[1, 0, 4], found.score[2, 1] = np.nan, 0
    got, sigma = hand_lift.lift_hands(found)
    assert np.isnan(got[1, 0]).all() and np.isnan(sigma[2, 1]).all()
    assert np.isfinite(got[0]).all() and np.isfinite(got[1, 1]).all()
    empty, _ = hand_lift.lift_hands(h.no_hands(4))
    assert empty.shape == (4, 2, 5, 4) and np.isnan(empty).all()


def test_a_missing_checkpoint_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hand_lift._session.cache_clear()
    monkeypatch.setattr(hand_lift, "CHECKPOINT", tmp_path / "hand.onnx")
    found, _ = filmed(np.zeros((1, 5, 4)), 0)
    try:
        with pytest.raises(MotionliftError, match=r"hand\.onnx"):
            hand_lift.lift_hands(found)
    finally:
        hand_lift._session.cache_clear()


def test_checkpoints_stay_small() -> None:
    """What the extension carries is below 20 MB; weights for further training (.safetensors) stay in the repository."""
    files = list(hand_lift.CHECKPOINT.parents[1].rglob("*.onnx"))
    assert hand_lift.CHECKPOINT in files
    assert sum(p.stat().st_size for p in files) < 20e6
