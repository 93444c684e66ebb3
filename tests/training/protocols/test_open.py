from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lifter.checkpoint import load_checkpoint  # noqa: E402
from lifter.errors import MotionliftError  # noqa: E402
from lifter.skeleton import load_skeleton  # noqa: E402
from tests.training.test_fit import store as made_store  # noqa: E402, F401
from training.data.recording import Recording  # noqa: E402
from training.data.store import Store, StoreWriter, load_store  # noqa: E402
from training.protocols import open as protocol  # noqa: E402


@pytest.fixture
def corpus(made_store: Path) -> Store:  # noqa: F811
    return load_store(made_store)


def judged(
    monkeypatch: pytest.MonkeyPatch, corpus: Store, change: Callable[[np.ndarray], np.ndarray]
) -> dict[str, Any]:
    """Figures of a network that knows the truth and says it changed."""
    now: list[Any] = []
    real = protocol.filmed_pieces

    def spy(*args: Any) -> Iterator[Any]:
        for source, views, fresh in real(*args):
            now[:] = [views]
            yield source, views, fresh

    def said(inputs: list[np.ndarray], checkpoint: Any) -> list[np.ndarray]:
        v = now[0]
        joints = v.joints.numpy()
        return [change(joints), np.full(joints.shape[:3], np.log(0.02)), 20 * v.contact.numpy() - 10, v.down.numpy()]

    monkeypatch.setattr(protocol, "filmed_pieces", spy)
    monkeypatch.setattr(protocol, "lift_views", said)
    table = protocol.evaluate_open(load_checkpoint("body"), corpus, 0.0, frames=16)
    assert set(table.rows) == {"made", "all frames", "mean of sources"} and "clean" in table.protocol
    assert table.rows["made"] == pytest.approx(table.rows["all frames"])
    return dict(table.rows["made"])


def test_figures_in_closed_form(monkeypatch: pytest.MonkeyPatch, corpus: Store) -> None:
    exact = judged(monkeypatch, corpus, lambda t: t)
    assert [exact[k] for k in ("MPJPE", "MPJVE", "PCK", "contact F1")] == [0, 0, 100, 1]
    assert exact["AUC"] == pytest.approx(100 * 30 / 31) and exact["sigma"] == pytest.approx(20)
    assert exact["P-MPJPE"] == pytest.approx(0, abs=1e-6) and exact["gravity"] < 0.1


def test_scale_and_turn_are_nothing_to_procrustes(monkeypatch: pytest.MonkeyPatch, corpus: Store) -> None:
    row = judged(monkeypatch, corpus, lambda t: 1.4 * t[..., [2, 0, 1]])
    assert row["P-MPJPE"] == pytest.approx(0, abs=1e-3) and row["MPJPE"] > 100


def test_an_offset_of_all_but_the_root(monkeypatch: pytest.MonkeyPatch, corpus: Store) -> None:
    def change(t: np.ndarray) -> np.ndarray:
        out = t.copy()
        out[:, :, 1:, 0] += 0.160
        return out

    row = judged(monkeypatch, corpus, change)
    count = len([n for n in load_skeleton().joint_names if n in protocol.JOINTS])
    assert row["MPJPE"] == pytest.approx(160 * (count - 1) / count, rel=1e-4)
    assert row["PCK"] == 0 and row["AUC"] == 0 and row["MPJVE"] == pytest.approx(0, abs=1e-3)


def test_all_frames_count_once_and_so_does_each_source(monkeypatch: pytest.MonkeyPatch, corpus: Store) -> None:
    """Three fifths of the frames in one source, the rest in another; sigma tells them apart."""
    real = protocol.filmed_pieces

    def two(*args: Any) -> Iterator[Any]:
        for _, views, fresh in real(*args):
            for source, part in (("a", slice(0, 3)), ("b", slice(3, 5))):
                yield source, type(views)(*(x[part] for x in vars(views).values())), np.ones_like(fresh[part])

    def said(inputs: list[np.ndarray], checkpoint: Any) -> list[np.ndarray]:
        rays = inputs[0]
        joints = np.zeros((*rays.shape[:3], 3), np.float32)
        log_sigma = np.full(rays.shape[:3], np.log(0.3 if len(rays) == 3 else 0.1))
        return [joints, log_sigma, np.zeros((*rays.shape[:2], 4)), np.tile([0.0, 1, 0], (*rays.shape[:2], 1))]

    monkeypatch.setattr(protocol, "filmed_pieces", two)
    monkeypatch.setattr(protocol, "lift_views", said)
    rows = protocol.evaluate_open(load_checkpoint("body"), corpus, 0.0, frames=10).rows
    assert rows["a"]["sigma"] == pytest.approx(300) and rows["b"]["sigma"] == pytest.approx(100)
    assert rows["all frames"]["sigma"] == pytest.approx(220) and rows["mean of sources"]["sigma"] == pytest.approx(200)


@pytest.mark.parametrize(("frames", "fps"), [(16, 30.0), (7, 30.0), (64, 30.0), (16, 15.0), (16, 40.0)])
def test_every_frame_is_in_one_piece_and_counts_once(corpus: Store, frames: int, fps: float) -> None:
    i = int(corpus.motion("test")[0])
    pose, root, contacts, fresh = protocol.pieces(corpus, i, fps, frames)
    count = int(np.floor(49 * fps / 30 + 1e-6)) + 1
    assert fresh.sum() == count and pose.shape[:2] == root.shape[:2] == contacts.shape[:2] == fresh.shape
    assert pose.shape[1] == min(frames, count)
    expected = torch.from_numpy(corpus.read(i, ("rotations",))["rotations"].copy())
    if fps == 30:
        assert torch.allclose(pose[torch.from_numpy(fresh)], expected, atol=1e-5)


def test_the_same_twice_and_cameras_of_their_own(corpus: Store) -> None:
    first, second = (list(protocol.filmed_pieces(corpus, 30.0, 16, 1.0, "test", None)) for _ in range(2))
    assert all(torch.equal(a[1].rays, b[1].rays) for a, b in zip(first, second, strict=True))
    down = first[0][1].down
    assert not torch.allclose(down[0, 0], down[1, 0], atol=1e-3)


def test_recordings_without_bones(tmp_path: Path) -> None:
    h36m = load_skeleton("h36m")
    writer = StoreWriter(tmp_path / "s", h36m, {})
    joints = h36m.rest + np.random.default_rng(0).normal(size=(30, 17, 3)) * 0.01
    writer.add("a", [Recording("a", "x", "s", 30.0, {"joints": joints, "up": (0, 0, 1)}, split="test")])
    pose, root, contacts, fresh = protocol.pieces(writer.finish(), 0, 30.0, 20)
    assert pose.shape == (2, 20, 17, 3) and contacts.shape == (2, 20, 0) and fresh.sum() == 30
    assert (pose[:, :, 0] == 0).all() and torch.allclose(root[0, 0], torch.tensor(joints[0, 0]).float())


def test_what_cannot_be_evaluated(corpus: Store, tmp_path: Path) -> None:
    body = load_checkpoint("body")
    with pytest.raises(MotionliftError, match="no recording"):
        protocol.evaluate_open(body, corpus, 0.0, split="nobody")
    h36m = load_skeleton("h36m")
    writer = StoreWriter(tmp_path / "s", h36m, {})
    writer.add("a", [Recording("a", "x", "s", 30.0, {"joints": np.zeros((3, 17, 3))}, split="test")])
    with pytest.raises(MotionliftError, match="its own skeleton"):
        protocol.evaluate_open(body, writer.finish(), 0.0)
