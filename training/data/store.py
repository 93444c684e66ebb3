"""The prepared corpus: every recording in one .npz without pickle, and clips drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lifter.errors import MotionliftError
from training.data.mocap import TEST, VALIDATION, Motion


@dataclass(frozen=True)
class Store:
    """All recordings end to end; `start` and `length` in frames, one entry a recording."""

    rotations: Tensor  # (N, B, 4)
    root: Tensor  # (N, 3)
    contacts: Tensor  # (N, 4)
    start: Tensor
    length: Tensor
    fps: Tensor
    names: tuple[str, ...]
    sources: tuple[str, ...]
    subjects: tuple[str, ...]


def save_store(path: Path, motions: list[Motion]) -> None:
    lengths = np.array([len(m.root) for m in motions])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        rotations=np.concatenate([m.rotations for m in motions]),
        root=np.concatenate([m.root for m in motions]),
        contacts=np.concatenate([m.contacts for m in motions]),
        length=lengths,
        fps=np.array([m.fps for m in motions]),
        names=np.array([m.name for m in motions]),
        sources=np.array([m.source for m in motions]),
        subjects=np.array([m.subject for m in motions]),
    )


def load_store(path: Path) -> Store:
    """Raises MotionliftError if the corpus was not prepared."""
    if not path.exists():
        raise MotionliftError(f"{path}: no prepared corpus", "Run `python -m training.cli prepare` first")
    with np.load(path, allow_pickle=False) as z:
        length = torch.tensor(z["length"])
        return Store(
            torch.tensor(z["rotations"]),
            torch.tensor(z["root"]),
            torch.tensor(z["contacts"]),
            torch.cumsum(length, 0) - length,
            length,
            torch.tensor(z["fps"]).float(),
            tuple(z["names"].tolist()),
            tuple(z["sources"].tolist()),
            tuple(z["subjects"].tolist()),
        )


def split_of(subject: str) -> str:
    """ "test", "validation" or "train", by subject."""
    return "test" if subject in TEST else "validation" if subject in VALIDATION else "train"


def draw_clips(
    store: Store, clips: Tensor, frames: int, fps: float, g: torch.Generator, warp: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut a window of `frames` at `fps` out of each of the named recordings.

    Args:
        clips: (B,) indices of recordings. A recording shorter than the window holds its last frame.
        warp: standard deviation of the logarithm of a random change of speed.
    Returns:
        (B, T, bones, 4) rotations, (B, T, 3) root, (B, T, 4) contacts.
    """
    step = store.fps[clips] / fps * (torch.randn(len(clips), generator=g) * warp).exp()
    room = (store.length[clips] - 1 - step * (frames - 1)).clamp(min=0)
    at = torch.rand(len(clips), generator=g)[:, None] * room[:, None] + step[:, None] * torch.arange(frames)
    at = torch.minimum(at, (store.length[clips] - 1)[:, None].float())
    low = at.floor().long()
    u = (at - low)[..., None]
    low = low + store.start[clips][:, None]
    high = torch.minimum(low + 1, (store.start[clips] + store.length[clips] - 1)[:, None])

    def between(x: Tensor, v: Tensor) -> Tensor:
        return x[low] * (1 - v) + x[high] * v

    q = between(store.rotations, u[..., None])
    return q / q.norm(dim=-1, keepdim=True), between(store.root, u), between(store.contacts, u)
