"""The hand network's training: its hands are possible ones, it learns, and what is exported says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from lifter.hand_lift import canonical  # noqa: E402
from lifter.hands import HIGHEST, LOWEST  # noqa: E402
from training import hands  # noqa: E402


def test_hands_are_possible_and_alike_by_seed() -> None:
    xy, angles = hands.random_hands(np.random.default_rng(1), 400)
    again, _ = hands.random_hands(np.random.default_rng(1), 400)
    np.testing.assert_array_equal(xy, again)
    assert xy.shape == (400, 21, 2) and np.isfinite(xy).all()
    assert (angles >= LOWEST - 1e-9).all() and (angles <= HIGHEST + 1e-9).all()
    bends = np.degrees(angles[:, 1:, 2])
    assert (bends < 10).mean() > 0.1 and (bends > 80).mean() > 0.1, "straight and closed fingers are among them"


def test_it_learns_and_is_exported(tmp_path: Path) -> None:
    """Sixty steps beat saying the mean; right and wrong answers of the file are those of the network."""
    net = hands.train(60, 256)
    xy, angles = hands.random_hands(np.random.default_rng(99), 500)
    points = canonical(xy).reshape(500, 42).astype(np.float32)
    with torch.no_grad():
        got, sigma = (x.numpy() for x in net(torch.from_numpy(points)))
    off = np.abs(got.reshape(500, 5, 4) - angles)[:, 1:, 1:].mean()
    mean = np.abs(angles.mean(0) - angles)[:, 1:, 1:].mean()
    assert off < 0.8 * mean and (sigma > 0).all()
    hands.export(net, tmp_path / "hand.onnx", 60)
    session = onnxruntime.InferenceSession(str(tmp_path / "hand.onnx"), providers=["CPUExecutionProvider"])
    said = session.run(None, {"points": points})
    np.testing.assert_allclose(said[0], got, atol=1e-4)
    assert "synthetic" in session.get_modelmeta().custom_metadata_map["card"]
