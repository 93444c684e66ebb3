"""Windows of a store in a shuffled order that needs no memory and can be taken up anywhere.

    windows = Windows(store, store.select("joints", "keypoints", split="train"), frames=243, stride=81)
    batches = WindowBatches(windows, ("keypoints", "joints"), batch=16, seed=1, epoch=3, first=120)
    for arrays in DataLoader(batches, batch_size=None, num_workers=2): ...

The order is a permutation of the numbers of the windows that depends on the seed and the epoch alone: batch 120 of
epoch 3 is the same whether the run was stopped before it or not, with any number of workers; and the ranks of a
distributed run share out exactly the batches of one process with a batch as large as all of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from lifter.errors import MotionliftError
from training.data.recording import CONSTANTS
from training.data.store import Store


class Windows:
    """All windows of `frames` frames, `stride` apart, of some recordings, numbered.

    A recording that the stride does not divide has a last window that ends with it, so every frame is in one; a
    recording shorter than a window has one short window.
    """

    def __init__(
        self, store: Store, clips: NDArray[np.int64] | None = None, *, frames: int, stride: int | None = None
    ) -> None:
        stride = frames if stride is None else stride
        if frames < 1 or stride < 1:
            raise MotionliftError(f"windows of {frames} frames, {stride} apart", "Both must be at least 1")
        self.store, self.frames, self.stride = store, frames, stride
        self.clips = np.arange(len(store)) if clips is None else np.asarray(clips, np.int64)
        self._room = np.maximum(store.length.numpy()[self.clips] - frames, 0)
        self._until = np.cumsum(-(-self._room // stride) + 1)

    def __len__(self) -> int:
        return int(self._until[-1]) if len(self._until) else 0

    def locate(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(N,) recording, first frame and number of frames of windows by their numbers."""
        row = np.searchsorted(self._until, numbers, side="right")
        within = numbers - np.where(row > 0, self._until[row - 1], 0)
        start = np.minimum(within * self.stride, self._room[row])
        length = np.minimum(self.frames, self.store.length.numpy()[self.clips[row]])
        return self.clips[row], start, length

    def read(self, numbers: NDArray[np.int64], fields: Sequence[str]) -> dict[str, Tensor]:
        """Windows as one batch.

        Returns:
            each field (B, frames, ...), 0 behind the end of a short recording and where a keypoint is missing;
            constants (B, ...); `real` (B, frames), False behind the end; `clip` and `start` (B,) int64.
        """
        clip, start, length = self.locate(numbers)
        shapes = self.store.fields
        out = {
            n: np.zeros((len(numbers), *shapes[n]) if n in CONSTANTS else (len(numbers), self.frames, *shapes[n]), "f4")
            for n in fields
        }
        for b in range(len(numbers)):
            for n, array in self.store.read(int(clip[b]), fields, int(start[b]), int(length[b])).items():
                if n in CONSTANTS:
                    out[n][b] = array
                else:
                    out[n][b, : length[b]] = array
        if "keypoints" in out:
            np.nan_to_num(out["keypoints"], copy=False)
        real = np.arange(self.frames) < length[:, None]
        return {k: torch.from_numpy(v) for k, v in (out | {"real": real, "clip": clip, "start": start}).items()}


class WindowBatches(IterableDataset[dict[str, Tensor]]):
    """Batches of windows of one epoch, from batch `first` on. Use it with DataLoader(batch_size=None).

    Args:
        batch: windows a rank and batch. The last batch of an epoch is short or, with several ranks, may be empty for
            some: with `drop_last` it is left out.
        rank, ranks: of a distributed run; batch n of all ranks together is batch n of one process with `batch * ranks`.
        shuffle: False goes through the windows in order.
    """

    def __init__(
        self,
        windows: Windows,
        fields: Sequence[str],
        batch: int,
        *,
        seed: int = 0,
        epoch: int = 0,
        first: int = 0,
        rank: int = 0,
        ranks: int = 1,
        shuffle: bool = True,
        drop_last: bool = False,
    ) -> None:
        self.windows, self.fields, self.batch = windows, tuple(fields), batch
        self.seed, self.epoch, self.first = seed, epoch, first
        self.rank, self.ranks, self.shuffle, self.drop_last = rank, ranks, shuffle, drop_last

    def __len__(self) -> int:
        """Batches of a whole epoch; `first` is not taken off."""
        whole = self.batch * self.ranks
        return len(self.windows) // whole if self.drop_last else -(-len(self.windows) // whole)

    def numbers(self, n: int) -> NDArray[np.int64]:
        """Numbers of the windows in batch `n` of this rank."""
        at = (n * self.ranks + self.rank) * self.batch
        places = np.arange(at, min(at + self.batch, len(self.windows)), dtype=np.int64)
        return permuted(places, len(self.windows), self.seed, self.epoch) if self.shuffle else places

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        for n in range(self.first + worker, len(self), workers):
            yield self.windows.read(self.numbers(n), self.fields)


def permuted(places: NDArray[np.int64], count: int, seed: int, epoch: int = 0) -> NDArray[np.int64]:
    """Which of `count` numbers stand at these places of a shuffled order: a bijection of 0..count-1.

    A Feistel network of eight rounds over the next power of four, applied again while it leaves the range ("cycle
    walking", Black and Rogaway 2002); no list of all numbers is ever made.
    """
    places = np.asarray(places, np.int64)
    if count < 1 or (places.size and not 0 <= places.min() <= places.max() < count):
        raise IndexError(f"places of an order of {count}")
    half = np.uint64(max(1, ((count - 1).bit_length() + 1) // 2))
    mask = np.uint64((1 << int(half)) - 1)
    keys = np.random.SeedSequence([seed, epoch]).generate_state(8, np.uint64)
    out = places.astype(np.uint64)
    moving = np.ones(out.shape, bool)
    while moving.any():
        left, right = out[moving] >> half, out[moving] & mask
        for key in keys:
            left, right = right, left ^ (_mixed(right ^ key) & mask)
        out[moving] = left << half | right
        moving = out >= count
    return out.astype(np.int64)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of the result depends on every bit of x (the finaliser of SplitMix64, Steele et al. 2014)."""
    x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return x ^ x >> np.uint64(31)
