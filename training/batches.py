"""Training batches by the number of the step: the same for a run in one piece and one that was killed and goes on.

A batch depends on the seed, the number of the step and of its shard (`RunConfig.shards`) and on nothing else: no state
has to be saved, and any number of processes that divides the shards draws the same clips. Reading happens in the
loader's processes, filming on the training device.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton, load_skeleton
from training.bodies import mirror_motion
from training.config import MotionData, PairData, RunConfig
from training.data.store import Store, draw_clips, load_store
from training.data.windows import Windows, permuted
from training.synthetic import film

log = logging.getLogger("training")
VALIDATION_CLIPS, VALIDATION_BATCHES = 32, 4


class Example(NamedTuple):
    """What a network sees of B clips, and the truth; None where data do not have it.

    inputs: the network's arguments, (B, T, ...) each.
    joints: (B, T, J, 3) relative to the root; real: (B, T), None if every frame is; contact: (B, T, points);
    down: (B, T, 3), the direction of gravity.
    """

    inputs: tuple[Tensor, ...]
    joints: Tensor
    real: Tensor | None = None
    contact: Tensor | None = None
    down: Tensor | None = None


class Motions(NamedTuple):
    """Clips that are still to be filmed; shapes as of `draw_clips`. `seed` is of the cameras."""

    rotations: Tensor
    root: Tensor
    contacts: Tensor
    seed: int


def seed_of(*numbers: int) -> int:
    """A seed that depends on all of the numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


class FilmedClips(Dataset[list[Motions]]):
    """Item n is this rank's shards of the batch of step n."""

    def __init__(self, store: Store, config: RunConfig, rank: int, ranks: int) -> None:
        assert isinstance(config.data, MotionData)
        self.store, self.config, self.data = store, config, config.data
        self.rank, self.ranks = rank, ranks
        self.odds = recording_odds(store, config.data)

    def __getitem__(self, step: int) -> list[Motions]:
        c, d = self.config, self.data
        g = torch.Generator().manual_seed(seed_of(c.seed, step))
        cut = 1
        if float(torch.rand((), generator=g)) < d.short_share and d.frames > 1:
            cut = 2 ** int(torch.randint(1, int(math.log2(d.frames)) + 1, (), generator=g))
        out: list[Motions] = []
        for shard in range(self.rank, c.shards, self.ranks):
            g.manual_seed(seed_of(c.seed, step, shard, 1))
            clips = torch.multinomial(self.odds, c.batch // c.shards * cut, replacement=True, generator=g)
            motions = draw_clips(self.store, clips, d.frames // cut, d.fps, g, d.warp)
            out.append(Motions(*motions, seed_of(c.seed, step, shard, 2)))
        return out


class ValidationClips(Dataset[list[Motions]]):
    """The same clips each time, of the validation subjects."""

    def __init__(self, store: Store, data: MotionData) -> None:
        self.store, self.data = store, data
        self.odds = recording_odds(store, data, "validation")

    def __len__(self) -> int:
        return VALIDATION_BATCHES if self.odds.sum() > 0 else 0

    def __getitem__(self, n: int) -> list[Motions]:
        g = torch.Generator().manual_seed(seed_of(2026, n))
        clips = torch.multinomial(self.odds, VALIDATION_CLIPS, replacement=True, generator=g)
        return [Motions(*draw_clips(self.store, clips, self.data.frames, self.data.fps, g), seed_of(2026, n, 1))]


def recording_odds(store: Store, data: MotionData, split: str = "train") -> Tensor:
    """(recordings,) probability weight of each recording of a split: its length, and the weight of its source."""
    seconds = store.length / store.fps
    keep = torch.zeros(len(store))
    keep[store.motion(split)] = 1.0
    return seconds * keep * torch.tensor([data.source_weights.get(s, 1.0) for s in store.sources])


def _warn_of_unknown_sources(data: MotionData, store: Store) -> None:
    """Weights may be given for more sources than a store has, but hardly on purpose for one that is misspelt."""
    known = sorted(set(store.sources))
    for name in sorted(set(data.source_weights) - set(known)):
        log.warning("data.source_weights: %s has no source %s; its sources are %s", store.path, name, ", ".join(known))


class FromStep(Sampler[int]):
    """Numbers of the steps that are still to be done. Its length is that of the whole run, as Lightning counts."""

    def __init__(self, first: int, steps: int) -> None:
        self.first, self.steps = first, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.steps))


def make_batches(config: RunConfig) -> MotionBatches | PairBatches:
    """The batches of a configuration's data. Its own `config` has epochs counted in steps."""
    batches = MotionBatches(config) if isinstance(config.data, MotionData) else PairBatches(config)
    if isinstance(batches, PairBatches):
        batches.config = resolved(config, len(batches.windows))
    check_skeleton(config, batches.store)
    return batches


def check_skeleton(config: RunConfig, store: Store) -> None:
    """Raise MotionliftError for a store of another skeleton than the configuration's, if it names one."""
    if config.skeleton and load_skeleton(config.skeleton).joint_names != store.skeleton.joint_names:
        raise MotionliftError(
            f"{store.path}: made for skeleton {store.skeleton.name}, the configuration is for {config.skeleton}",
            "Prepare the store with the skeleton of the configuration, or --set skeleton=''",
        )


def whole_batch(items: Any) -> Any:
    """A dataset's item is a batch already."""
    return items


class MotionBatches(lightning.LightningDataModule):
    """Batches of a store's motion, filmed (`training/synthetic.py`)."""

    def __init__(self, config: RunConfig, store: Store | None = None) -> None:
        super().__init__()
        assert isinstance(config.data, MotionData)
        self.config, self.data = config, config.data
        self.store = load_store(Path(config.data.store)) if store is None else store
        _warn_of_unknown_sources(config.data, self.store)
        if not recording_odds(self.store, config.data).sum() > 0:
            raise MotionliftError(
                f"{config.data.store}: no training motion in it",
                "Prepare a source of BVH files, or weigh its sources above 0",
            )
        self.whole: Skeleton = self.store.skeleton
        names = config.data.joints or self.whole.joint_names
        self.skeleton = self.whole.subset(names) if config.data.joints else self.whole
        self.kept = [self.whole.joint(n) for n in self.skeleton.joint_names]

    def train_dataloader(self) -> DataLoader[list[Motions]]:
        trainer = self.trainer
        rank, ranks = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        check_shards(self.config.shards, ranks)
        data = FilmedClips(self.store, self.config, rank, ranks)
        return self._loader(data, FromStep(trainer.global_step if trainer else 0, self.config.steps))

    def val_dataloader(self) -> DataLoader[list[Motions]] | list[Any]:
        data = ValidationClips(self.store, self.data)
        return self._loader(data, FromStep(0, len(data))) if self.config.validate_every and len(data) else []

    def _loader(self, data: Dataset[list[Motions]], steps: FromStep) -> DataLoader[list[Motions]]:
        return DataLoader(
            data, None, sampler=steps, num_workers=self.config.workers, collate_fn=whole_batch, pin_memory=False
        )

    def on_after_batch_transfer(self, batch: list[Motions], dataloader_idx: int) -> Example:
        return join([self.filmed(m) for m in batch])

    def filmed(self, motions: Motions, noise: float | None = None) -> Example:
        """Seen by random cameras; `noise` in place of the configuration's."""
        d = self.data
        device = motions.rotations.device
        with torch.no_grad():
            g = torch.Generator(device).manual_seed(motions.seed)
            clip = motions[:3]
            if self.whole.symmetric and torch.rand((), generator=g, device=device) < 0.5:
                clip = mirror_motion(self.whole, *clip)
            noise = d.noise if noise is None else noise
            layout = d.layout or d.joints or None
            drawn = {"spread": d.spread, "mix": d.mix, "bent": d.bent, "swung": d.swung, "exact": d.exact}
            v = film(self.whole, *clip, g, fps=d.fps, noise=noise, layout=layout, **drawn)
        k = self.kept
        contact = v.contact if len(k) == len(self.whole.joint_names) else None
        return Example((v.rays[:, :, k], v.score[:, :, k], v.size), v.joints[:, :, k], None, contact, v.down)


class PairWindows(Dataset[list[dict[str, Tensor]]]):
    """Item n is this rank's shards of windows of the batch of step n; each pass over them is in an order of its own."""

    def __init__(self, windows: Windows, fields: Sequence[str], config: RunConfig, rank: int, ranks: int) -> None:
        self.windows, self.fields, self.config, self.rank, self.ranks = windows, fields, config, rank, ranks

    def __getitem__(self, step: int) -> list[dict[str, Tensor]]:
        c, count = self.config, len(self.windows)
        out: list[dict[str, Tensor]] = []
        size = c.batch // c.shards
        for shard in range(self.rank, c.shards, self.ranks):
            places = np.arange(size, dtype=np.int64) + step * c.batch + shard * size
            epochs = places // count
            numbers = np.concatenate(
                [permuted(places[epochs == e] % count, count, c.seed, int(e)) for e in set(epochs)]
            )
            arrays = self.windows.read(numbers, self.fields)
            g = torch.Generator().manual_seed(seed_of(c.seed, step, shard, 5))
            arrays["flip"] = torch.rand(size, generator=g)
            out.append(arrays)
        return out


class PairBatches(lightning.LightningDataModule):
    """Batches of recorded 2D with its 3D, in the published protocols' screen coordinates.

    Without `targets`, of all recorded 2D: joints are zero.
    """

    def __init__(self, config: RunConfig, store: Store | None = None, *, targets: bool = True) -> None:
        super().__init__()
        assert isinstance(config.data, PairData)
        self.data, self.targets = config.data, targets
        self.store = load_store(Path(config.data.store)) if store is None else store
        target = ("joints" if config.data.target == "camera" else "image_joints",) if targets else ()
        self.fields = ("keypoints", "scores", "image_size", *target)
        clips = self.store.select(*self.fields, split="train")
        if not len(clips):
            raise MotionliftError(
                f"{self.store.path}: no training recording with {', '.join(self.fields)}",
                "Prepare the dataset that the configuration is of; keypoint files need `size`",
            )
        self.windows = Windows(self.store, clips, frames=config.data.frames, stride=config.data.stride)
        self.config = config
        self.skeleton = self.store.skeleton

    def train_dataloader(self) -> DataLoader[list[dict[str, Tensor]]]:
        trainer = self.trainer
        rank, ranks = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        check_shards(self.config.shards, ranks)
        steps = FromStep(trainer.global_step if trainer else 0, self.config.steps)
        data = PairWindows(self.windows, self.fields, self.config, rank, ranks)
        return DataLoader(data, None, sampler=steps, num_workers=self.config.workers, collate_fn=whole_batch)

    def on_after_batch_transfer(self, batch: list[dict[str, Tensor]], dataloader_idx: int) -> Example:
        return join([self.example(b) for b in batch])

    def example(self, arrays: dict[str, Tensor]) -> Example:
        """Screen coordinates and targets, mirrored where it was drawn."""
        size, real = arrays["image_size"][:, None, None], arrays["real"]
        x = screen(arrays["keypoints"], size)
        # A missing keypoint is zero, as it was in pixels.
        missing = (arrays["keypoints"] == 0).all(-1, keepdim=True) & (arrays["scores"] == 0)[..., None]
        x = torch.where(missing, 0.0, x)
        if self.data.confidence:
            x = torch.cat([x, arrays["scores"][..., None]], -1)
        if not self.targets:
            y = x.new_zeros(*x.shape[:-1], 3)
        elif self.data.target == "camera":
            y = arrays["joints"]
        else:
            image = arrays["image_joints"]
            y = torch.cat([screen(image[..., :2], size), image[..., 2:] / size[..., :1] * 2], -1)
        y = y - y[:, :, :1]
        mirror = torch.from_numpy(self.skeleton.mirror).to(x.device)
        flip = (arrays["flip"] < self.data.flip)[:, None, None, None]
        sign = x.new_tensor([-1.0, 1.0, 1.0])
        x = torch.where(flip, x[:, :, mirror] * sign[: x.shape[-1]], x)
        y = torch.where(flip, y[:, :, mirror] * sign, y)
        return Example((x, real), y, real)


def screen(xy: Tensor, size: Tensor) -> Tensor:
    """Pixels to x / w * 2 - 1 and y / w * 2 - h / w."""
    w, h = size[..., :1], size[..., 1:]
    return xy / w * 2 - torch.cat([torch.ones_like(w), h / w], -1)


def resolved(config: RunConfig, windows: int) -> RunConfig:
    """Epochs as steps, where a configuration counts in these."""
    if not config.epochs:
        return config
    each = max(1, windows // config.batch)
    o = config.optimiser
    return replace(
        config, steps=config.epochs * each, epochs=0, optimiser=replace(o, decay_steps=o.decay_steps or each)
    )


def check_shards(shards: int, ranks: int) -> None:
    """Raise MotionliftError if processes cannot share the parts of a batch equally."""
    if shards % ranks:
        raise MotionliftError(f"{ranks} processes cannot share {shards} shards of a batch", f"--set shards={ranks}")


def join(examples: list[Example]) -> Example:
    """One batch of several."""
    if len(examples) == 1:
        return examples[0]

    def cat(parts: list[Any]) -> Any:
        return None if parts[0] is None else torch.cat(parts)

    inputs = tuple(torch.cat(x) for x in zip(*(e.inputs for e in examples), strict=True))
    return Example(inputs, *(cat([e[i] for e in examples]) for i in range(1, 5)))
