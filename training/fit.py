"""Train a lifting network on synthetic footage of motion capture, on the CPU or a GPU.

The budget is a time, since what a machine gives differs; the learning rate follows the share of the budget
that is used up. A killed run goes on from its last checkpoint.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from lifter.nets.temporal_mixer import TemporalMixer, TemporalMixerConfig
from lifter.skeleton import Skeleton
from training.data.store import Store, draw_clips, split_of
from training.losses import LossWeights, joint_weights, lifting_loss
from training.synthetic import film, mirror_motion

log = logging.getLogger("training")


@dataclass(frozen=True)
class FitConfig:
    """One training run; training/configs/*.toml hold them."""

    minutes: float = 60.0
    batch: int = 64
    frames: int = 64
    # In this share of the steps clips are shorter, down to one frame, and as many more.
    short_share: float = 0.15
    fps: float = 30.0
    warp: float = 0.2
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    ema: float = 0.999
    seed: int = 1
    threads: int = 2
    # Frames of a source are drawn this often relative to their number: mhad is nine exercises on one spot.
    source_weights: tuple[tuple[str, float], ...] = (
        ("mhad", 0.35),
        ("accad", 1.6),
        ("cmu_mb", 1.3),
        ("cmu_daz", 0.8),
        ("cmu_c3s2s", 1.3),
    )


def recording_odds(store: Store, config: FitConfig, split: str = "train") -> torch.Tensor:
    """(recordings,) probability weight of each recording of a split."""
    weights = dict(config.source_weights)
    seconds = store.length / store.fps
    keep = torch.tensor([split_of(s) == split for s in store.subjects])
    return seconds * keep * torch.tensor([weights.get(s, 1.0) for s in store.sources])


def fit(
    store: Store, skeleton: Skeleton, net_config: TemporalMixerConfig, config: FitConfig, out: Path
) -> TemporalMixer:
    """Train, and write `out`/last.pt every two minutes; returns the averaged network."""
    torch.set_num_threads(config.threads)
    g = torch.Generator().manual_seed(config.seed)
    torch.manual_seed(config.seed)
    net = TemporalMixer(net_config)
    average = copy.deepcopy(net).eval()
    decay = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}],
        lr=config.learning_rate,
        betas=(0.9, 0.98),
    )
    spent, step = 0.0, 0
    last = out / "last.pt"
    if last.exists():
        state = torch.load(last, weights_only=True)
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        g.set_state(state["generator"])
        spent, step = state["spent"], state["step"]
        log.info("going on from step %d, %.1f min", step, spent / 60)
    odds, weight = recording_odds(store, config), joint_weights(skeleton)
    budget, saved, clock = config.minutes * 60, spent, time.monotonic()
    parts: dict[str, float] = {}
    while spent < budget:
        progress = spent / budget
        rate = (
            config.learning_rate * min(1.0, (step + 1) / 300) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        cut = 1
        if float(torch.rand((), generator=g)) < config.short_share:
            cut = 2 ** int(torch.randint(1, int(math.log2(config.frames)) + 1, (), generator=g))
        clips = torch.multinomial(odds, config.batch * cut, replacement=True, generator=g)
        with torch.no_grad():
            q, root, contact = draw_clips(store, clips, config.frames // cut, config.fps, g, config.warp)
            if torch.rand((), generator=g) < 0.5:
                q, root, contact = mirror_motion(skeleton, q, root, contact)
            views = film(skeleton, q, root, contact, g, fps=config.fps)
        with torch.autocast("cpu", torch.bfloat16):
            prediction = net(views.rays, views.score, views.size)
        joints, log_sigma, logits, down = (p.float() for p in prediction)
        loss, now = lifting_loss((joints, log_sigma, logits, down), views, weight, LossWeights())
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {step}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        step += 1
        keep = min(config.ema, step / (step + 20))
        with torch.no_grad():
            for a, p in zip(average.parameters(), net.parameters(), strict=True):
                a.lerp_(p, 1 - keep)
        parts = {k: 0.98 * parts.get(k, v) + 0.02 * v for k, v in now.items()}
        tick = time.monotonic()
        spent, clock = spent + tick - clock, tick
        if step % 100 == 0:
            log.info(
                "step %d  %.1f min  lr %.1e  %s",
                step,
                spent / 60,
                rate,
                "  ".join(f"{k} {v:.3f}" for k, v in parts.items()),
            )
        if spent - saved > 120 or spent >= budget:
            saved = spent
            out.mkdir(parents=True, exist_ok=True)
            state = {
                "net": net.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "generator": g.get_state(),
                "spent": spent,
                "step": step,
            }
            torch.save(state, last.with_suffix(".tmp"))
            last.with_suffix(".tmp").replace(last)
    return average
