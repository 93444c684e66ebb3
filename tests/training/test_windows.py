from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader  # noqa: E402

from lifter.errors import MotionliftError  # noqa: E402
from tests.training.test_store import recording, written  # noqa: E402
from training.data.store import Store  # noqa: E402
from training.data.windows import WindowBatches, Windows, permuted  # noqa: E402


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return written(tmp_path / "s", [recording(i, frames=f) for i, f in enumerate((5, 10, 11, 27, 30))])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 17, 1000])
def test_an_order_has_every_number_once(count: int) -> None:
    whole = permuted(np.arange(count), count, seed=3, epoch=1)
    assert sorted(whole.tolist()) == list(range(count))
    assert [int(permuted(np.array([i]), count, 3, 1)[0]) for i in range(min(count, 20))] == whole[:20].tolist()


def test_orders_differ_by_seed_and_epoch_and_are_well_mixed() -> None:
    orders = [permuted(np.arange(5000), 5000, s, e) for s, e in ((0, 0), (0, 1), (1, 0))]
    for i, a in enumerate(orders):
        assert abs(np.corrcoef(a, np.arange(5000))[0, 1]) < 0.06
        assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.06
        for b in orders[:i]:
            assert (a == b).mean() < 0.01
    with pytest.raises(IndexError):
        permuted(np.array([5]), 5, 0)


@pytest.mark.parametrize("stride", [1, 3, 10])
def test_every_frame_is_in_a_window(store: Store, stride: int) -> None:
    windows = Windows(store, frames=10, stride=stride)
    seen = [np.zeros(n, bool) for n in store.length.tolist()]
    for clip, start, length in zip(*windows.locate(np.arange(len(windows))), strict=True):
        assert length == min(10, len(seen[clip])) and start + length <= len(seen[clip])
        seen[clip][start : start + length] = True
    assert all(s.all() for s in seen)
    assert len(set(zip(*(x.tolist() for x in windows.locate(np.arange(len(windows)))), strict=True))) == len(windows)


def test_short_recordings_are_padded_and_said_so(store: Store) -> None:
    windows = Windows(store, store.select("keypoints"), frames=20)
    batch = windows.read(np.array([0, 1]), ["joints", "keypoints", "scores", "up"])
    assert batch["joints"].shape == (2, 20, 17, 3) and batch["up"].shape == (2, 3)
    assert batch["clip"].tolist() == [1, 3] and batch["real"].sum(1).tolist() == [10, 20]
    assert not batch["joints"][0, 10:].any() and torch.isfinite(batch["keypoints"]).all()
    assert np.array_equal(batch["joints"][1].numpy(), store.read(3, ["joints"], 0, 20)["joints"])


def test_the_order_can_be_taken_up_anywhere_and_by_any_number_of_workers(store: Store) -> None:
    windows = Windows(store, frames=4, stride=2)

    def clips(workers: int = 0, **options) -> list[list[tuple[int, int]]]:
        batches = WindowBatches(windows, ["joints"], 5, seed=1, epoch=2, **options)
        loader = DataLoader(batches, batch_size=None, num_workers=workers)
        return [list(zip(b["clip"].tolist(), b["start"].tolist(), strict=True)) for b in loader]

    whole = clips()
    assert sorted(x for b in whole for x in b) == sorted({x for b in whole for x in b})
    assert sum(map(len, whole)) == len(windows)
    assert clips(first=3) == whole[3:] and clips(workers=2) == whole and clips(workers=2, first=1) == whole[1:]
    assert clips(shuffle=False)[0][:3] == [(0, 0), (0, 1), (1, 0)]


def test_ranks_share_the_batches_of_one_process(store: Store) -> None:
    windows = Windows(store, frames=4, stride=1)
    one = WindowBatches(windows, ["joints"], 6, seed=5)
    ranks = [WindowBatches(windows, ["joints"], 3, seed=5, rank=r, ranks=2, drop_last=True) for r in range(2)]
    for n in range(len(ranks[0])):
        assert np.concatenate([r.numbers(n) for r in ranks]).tolist() == one.numbers(n).tolist()


def test_windows_must_have_frames(store: Store) -> None:
    with pytest.raises(MotionliftError, match="0 frames"):
        Windows(store, frames=0)
    assert len(Windows(store, np.array([], int), frames=5)) == 0
