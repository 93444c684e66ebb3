"""A network that tells how fingers are bent from the 21 points of a hand in a picture: made, trained and exported here.

    python -m training.hands -o lifter/checkpoints/hands/hand.onnx

It is trained on nothing but shapes: `lifter.hands.hand_shape` of random bends, proportions and views, seen by a camera,
with noise as hand detectors have it. The design is ours: a few layers on the points of one frame, that say each
angle and how sure it is (Laplace likelihood). Both hands use it, right ones mirrored. No data of people is needed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lifter.hand_lift import canonical
from lifter.hands import AT_REST, HIGHEST, KNUCKLES, LENGTHS, LOWEST, hand_shape, limited

Array = NDArray[np.float64]

HAND = 0.185
"""Metres from the wrist to the fingertips: noise is a part of it."""
SPREAD = (HIGHEST - LOWEST) / 4
"""Scale of each angle, radians."""


def random_angles(rng: np.random.Generator, count: int) -> Array:
    """(N, 5, 4) of hands: fingers together or each for itself, joints in step or not, thumbs anyhow."""
    together, own = rng.random((count, 1)), rng.random((count, 4))
    share = rng.choice([0.0, 0.3, 1.0], (count, 1), p=[0.45, 0.3, 0.25])
    curl = np.clip(1.2 * (together * (1 - share) + own * share) - 0.1, 0, 1)
    steps = np.clip(curl[..., None] + rng.normal(0, 0.16, (count, 4, 3)), -0.1, 1.1)
    # Knuckles bend without the joints behind them, and these without knuckles: a flat hand folded, a claw.
    apart = rng.random((count, 1, 1)) < 0.25
    steps[..., 0] = np.where(apart[..., 0], rng.random((count, 4)), steps[..., 0])
    out = np.zeros((count, 5, 4))
    out[:, 1:, 1:] = np.radians([82, 105, 68]) * steps - np.radians([8, 0, 0])
    fan = rng.normal(0, np.radians(8), (count, 1)) * np.array([1.0, 0.2, -0.6, -1.0])
    out[:, 1:, 0] = fan + rng.normal(0, np.radians(3), (count, 4))
    out[:, 0] = AT_REST[0] + rng.normal(0, 1, (count, 4)) * np.radians([18, 20, 26, 32])
    return limited(out)


def random_hands(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """(N, 21, 2) points as a detector gives them, hand lengths, and the (N, 5, 4) angles behind them."""
    angles = random_angles(rng, count)
    knuckles = KNUCKLES * (1 + rng.normal(0, 0.05, (count, 5, 1))) * (1 + rng.normal(0, 0.06, (count, 1, 3)))
    lengths = LENGTHS * (1 + rng.normal(0, 0.06, (count, 5, 1))) * (1 + rng.normal(0, 0.04, (count, 1, 3)))
    shape = hand_shape(angles, knuckles, lengths)
    q = rng.normal(size=(count, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=-1, keepdims=True)).T
    turn = np.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ],
        -1,
    ).reshape(count, 3, 3)  # fmt: skip
    seen = shape @ np.swapaxes(turn, -1, -2)
    away = np.exp(rng.uniform(np.log(0.5), np.log(8), (count, 1)))
    xy = seen[..., :2] * (away / (away + seen[..., 2]))[..., None] / HAND
    size = np.exp(rng.normal(np.log(0.03), 0.5, (count, 1, 1)))
    noise = rng.normal(0, 1, xy.shape) * size
    noise += np.repeat(rng.normal(0, 1, (count, 6, 2)) * size, [1, 4, 4, 4, 4, 4], axis=1)  # a finger as a whole
    wild = rng.random((count, 21, 1)) < 0.03
    return xy + noise + wild * rng.normal(0, 0.12, xy.shape), angles


class HandNet(nn.Module):
    """(N, 42) canonical points to (N, 20) angles and (N, 20) sigma, radians."""

    def __init__(self, width: int = 256, layers: int = 4) -> None:
        super().__init__()
        self.begin = nn.Linear(42, width)
        self.middle = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(layers)
        )
        self.end = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 40))
        self.register_buffer("centre", torch.tensor(AT_REST.reshape(20), dtype=torch.float32))
        self.register_buffer("spread", torch.tensor(SPREAD.reshape(20), dtype=torch.float32))

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        x = self.begin(points)
        for layer in self.middle:
            x = x + layer(x)
        out = self.end(x)
        spread: Tensor = self.get_buffer("spread")
        return self.get_buffer("centre") + spread * out[:, :20], spread * torch.exp(out[:, 20:].clamp(-4, 2))


def train(steps: int, batch: int, seed: int = 0) -> HandNet:
    """Adam with a cosine from 1e-3 to nothing."""
    torch.manual_seed(seed)
    rng, net = np.random.default_rng(seed), HandNet()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    begun = time.monotonic()
    for step in range(steps):
        xy, angles = random_hands(rng, batch)
        points = torch.from_numpy(canonical(xy).reshape(batch, 42).astype(np.float32))
        wanted = torch.from_numpy(angles.reshape(batch, 20).astype(np.float32))
        got, sigma = net(points)
        loss = ((got - wanted).abs() / sigma + sigma.log()).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 200 == 0 or step == steps - 1:
            off = np.degrees((got - wanted).abs().detach().numpy()).reshape(batch, 5, 4)
            sys.stdout.write(
                f"{step}: loss {loss.item():.3f}, fingers' bends {off[:, 1:, 1:].mean():.1f}, spread "
                f"{off[:, 1:, 0].mean():.1f}, thumb {off[:, 0].mean():.1f} degrees, {time.monotonic() - begun:.0f} s\n"
            )
            sys.stdout.flush()
    return net.eval()


def export(net: HandNet, path: Path, steps: int) -> None:
    """An ONNX file with a model card as metadata."""
    import onnx

    dynamic = {name: {0: "N"} for name in ("points", "angles", "sigma")}
    torch.onnx.export(
        net, (torch.zeros(2, 42),), str(path), input_names=["points"], output_names=["angles", "sigma"],
        dynamic_axes=dynamic, opset_version=17, dynamo=False,
    )  # fmt: skip
    model = onnx.load(str(path))
    card = {
        "data": "synthetic hands of training/hands.py; no recordings of people",
        "licence": "GPL-3.0-or-later",
        "steps": steps,
        "parameters": sum(p.numel() for p in net.parameters()),
    }
    onnx.helper.set_model_props(model, {"card": json.dumps(card)})
    onnx.save(model, str(path))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=512)
    args = parser.parse_args()
    export(train(args.steps, args.batch), args.out, args.steps)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
