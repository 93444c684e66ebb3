"""The batches that pre-training learns from: 2D alone, in the input convention of the lifting that follows.

`data` of the configuration serves as it is, or `pretraining.store` takes its place: a store of keypoint files
(training/data/keypoint_files.py), of which 3D is neither needed nor looked at. As in training/batches.py, a batch
depends on the seed and the numbers of step and shard alone.
"""

from __future__ import annotations

from pathlib import Path

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lifter.camera import FOLLOW_SECONDS, follow_person, make_lens, pixels_to_rays
from lifter.checkpoint import middle_weights
from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton
from training.batches import (
    Example,
    FromStep,
    MotionBatches,
    PairBatches,
    check_shards,
    check_skeleton,
    join,
    seed_of,
    whole_batch,
)
from training.config import MotionData, RunConfig
from training.data.store import Store, load_store

KeypointBatch = list[dict[str, Tensor]]


def make_pretraining_batches(config: RunConfig) -> MotionBatches | PairBatches | KeypointBatches:
    """The batches of a configuration's first stage.

    Raises MotionliftError if a store is missing, of another skeleton, or has no 2D.
    """
    assert config.pretraining is not None
    if not config.pretraining.store:
        data = MotionBatches(config) if isinstance(config.data, MotionData) else PairBatches(config, targets=False)
    else:
        store, lifted = load_store(Path(config.pretraining.store)), load_store(Path(config.data.store))
        if store.skeleton.joint_names != lifted.skeleton.joint_names:
            raise MotionliftError(
                f"{store.path}: made for skeleton {store.skeleton.name}, {lifted.path} for {lifted.skeleton.name}",
                "Prepare both with the same skeleton",
            )
        motion = isinstance(config.data, MotionData)
        data = KeypointBatches(config, store) if motion else PairBatches(config, store, targets=False)
    check_skeleton(config, data.store)
    return data


class FollowedKeypoints(Dataset[KeypointBatch]):
    """Item n is this rank's shards of the batch of step n: recorded keypoints, seen by the virtual camera.

    The lens of a recording is the assumed one. Faster recordings are thinned to the rate of the clips; a recording
    that is shorter than a clip is padded, and `real` (B, T) says where.
    """

    def __init__(self, store: Store, config: RunConfig, rank: int, ranks: int) -> None:
        assert isinstance(config.data, MotionData)
        self.store, self.config, self.data, self.rank, self.ranks = store, config, config.data, rank, ranks
        self.clips = store.select("keypoints", "scores", "image_size", split="train")
        if not len(self.clips):
            raise MotionliftError(
                f"{store.path}: no training recording with keypoints and the size of its images",
                "Prepare a source of keypoints, with `size` where its files do not say it",
            )
        self.odds = store.length[self.clips] / store.fps[self.clips]
        names = config.data.joints or store.skeleton.joint_names
        self.skeleton = store.skeleton.subset(names) if config.data.joints else store.skeleton
        self.kept = [store.skeleton.joint(n) for n in self.skeleton.joint_names]

    def __getitem__(self, step: int) -> KeypointBatch:
        c, out = self.config, list[dict[str, Tensor]]()
        for shard in range(self.rank, c.shards, self.ranks):
            g = torch.Generator().manual_seed(seed_of(c.seed, step, shard, 6))
            chosen = torch.multinomial(self.odds, c.batch // c.shards, replacement=True, generator=g)
            some = [self.clip(int(self.clips[i]), g) for i in chosen.tolist()]
            out.append({k: torch.from_numpy(np.stack([s[k] for s in some])) for k in some[0]})
        return out

    def clip(self, i: int, g: torch.Generator) -> dict[str, NDArray[np.float32]]:
        """A clip of recording `i`: rays (T, J, 2), score (T, J), size (T,), real (T,)."""
        frames, fps = self.data.frames, float(self.store.fps[i])
        nth = max(1, round(fps / self.data.fps))
        count = min(frames, -(-int(self.store.length[i]) // nth))
        span = (count - 1) * nth + 1
        start = int(torch.randint(int(self.store.length[i]) - span + 1, (), generator=g))
        r = self.store.read(i, ("keypoints", "scores", "image_size"), start, span)
        xy, score = (np.asarray(r[k][::nth], np.float64)[:, self.kept] for k in ("keypoints", "scores"))
        rays = pixels_to_rays(xy, make_lens(*(int(n) for n in r["image_size"])))
        score = np.where(np.isfinite(rays).all(-1), score, 0)
        rays = np.where(score[..., None] > 0, rays, 0)
        if self.skeleton.symmetric and torch.rand((), generator=g) < 0.5:
            rays, score = rays[:, self.skeleton.mirror] * [-1, 1], score[:, self.skeleton.mirror]
        weights = middle_weights(self.skeleton).astype(np.float64)
        _, rays, size = follow_person(rays, score, weights, FOLLOW_SECONDS * fps / nth)
        padded = {"rays": rays, "score": score, "size": size, "real": np.ones(count)}
        return {k: _lengthened(np.asarray(v, np.float32), frames) for k, v in padded.items()}


def _lengthened(x: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    out = np.zeros((frames, *x.shape[1:]), np.float32)
    out[: len(x)] = x
    return out


class KeypointBatches(lightning.LightningDataModule):
    """Batches of a store's keypoints in the convention of filmed motion, without truth."""

    def __init__(self, config: RunConfig, store: Store) -> None:
        super().__init__()
        self.config, self.store = config, store
        self.skeleton: Skeleton = FollowedKeypoints(store, config, 0, 1).skeleton

    def train_dataloader(self) -> DataLoader[KeypointBatch]:
        trainer = self.trainer
        rank, ranks = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        check_shards(self.config.shards, ranks)
        data = FollowedKeypoints(self.store, self.config, rank, ranks)
        steps = FromStep(trainer.global_step if trainer else 0, self.config.steps)
        return DataLoader(data, None, sampler=steps, num_workers=self.config.workers, collate_fn=whole_batch)

    def on_after_batch_transfer(self, batch: KeypointBatch, dataloader_idx: int) -> Example:
        return join([self.example(b) for b in batch])

    def example(self, arrays: dict[str, Tensor]) -> Example:
        """The network's inputs; joints are zero, since nobody knows them."""
        rays = arrays["rays"]
        return Example((rays, arrays["score"], arrays["size"]), rays.new_zeros(*rays.shape[:-1], 3), arrays["real"] > 0)
