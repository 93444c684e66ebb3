"""Pre-training of `transformer_gcn` on 2D motion alone: contextualised representations (arXiv 2504.01764).

What the paper establishes: 2D pose features are masked; a student predicts high-dimensional representations that a
teacher, an exponential moving average of the student, makes; unlabelled 2D data serve; then it is fine-tuned to lift.

Our proposal, in the manner of data2vec (arXiv 2202.03555), since the rest is not published: tubes (a few joints over a
run of frames) and whole frames are masked; the teacher sees the whole clip; targets are the mean of the last layers'
outputs, each channel normalised over the clip; smooth L1 on masked tokens.

    pretraining = Pretraining(net, PretrainConfig())
    loss, log = pretraining(x, real, draw_masks(...))      # x (B, T, J, channels_in)
    loss.backward(); optimizer.step(); pretraining.update_teacher(progress)
    ...
    load_encoder(build_net("transformer_gcn", ...), encoder_state(pretraining.student))

Shapes: B clips, T frames, J joints, C channels; real (B, T) is True where a frame is not padding.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lifter.errors import MotionliftError
from lifter.nets.blocks import embedding
from lifter.nets.transformer_gcn import TransformerGCN


@dataclass(frozen=True)
class PretrainConfig:
    """Masking, teacher and target; all values are our proposal.

    masked: share of the real tokens that are masked, at least.
    frame_share: share of the real frames that are masked whole, a part of `masked`.
    tube_frames: shortest and longest run of a tube; tube_joints: the most joints in one.
    tau: how much the teacher keeps of itself in a step, at the beginning and from `tau_until` of all steps on.
    target_layers: how many of the last layers make the target.
    draws: masks drawn for a clip that share one pass of the teacher.
    """

    masked: float = 0.55
    frame_share: float = 0.15
    tube_frames: tuple[int, int] = (9, 27)
    tube_joints: int = 4
    tau: tuple[float, float] = (0.999, 0.9999)
    tau_until: float = 0.3
    target_layers: int = 8
    draws: int = 3
    beta: float = 1.0


def draw_masks(real: Tensor, joints: int, config: PretrainConfig, g: torch.Generator) -> Tensor:
    """(B, T, J), True at masked tokens: whole frames first, then tubes until the share is reached.

    Every clip keeps a token that is seen, provided that `masked` is below one and its length above one.
    """
    frames = real.shape[1]
    out = torch.zeros(*real.shape, joints, dtype=torch.bool)

    def below(n: int) -> int:
        return int(torch.randint(max(1, n), (), generator=g))

    for mask, present in zip(out, real.cpu(), strict=True):
        own = present.nonzero()[:, 0]
        hidden = own[torch.randperm(len(own), generator=g)[: int(config.frame_share * len(own))]]
        mask[hidden] = True
        wanted = int(config.masked * len(own) * joints)
        while (missing := wanted - int(mask[own].sum())) > 0:
            shortest, longest = config.tube_frames
            some = torch.randperm(joints, generator=g)[: 1 + below(config.tube_joints)]
            run = min(shortest + below(longest - shortest + 1), max(1, missing // len(some)))
            start = int(own[below(len(own))])
            mask[start : min(frames, start + run), some[:missing]] = True
        mask &= present[:, None]
    return out


def tau_at(config: PretrainConfig, progress: float) -> float:
    """How much the teacher keeps of itself at a share of all steps (0..1); linear, then constant."""
    first, last = config.tau
    return first + (last - first) * min(1.0, progress / config.tau_until)


@torch.no_grad()
def update_average(teacher: nn.Module, student: nn.Module, tau: float) -> None:
    """teacher <- tau teacher + (1 - tau) student; statistics of batch norms are taken over as they are."""
    for t, s in zip(teacher.parameters(), student.parameters(), strict=True):
        t.lerp_(s, 1 - tau)
    for t, s in zip(teacher.buffers(), student.buffers(), strict=True):
        t.copy_(s)


def normalised(x: Tensor, real: Tensor, eps: float = 1e-5) -> Tensor:
    """x (B, T, J, C) with mean 0 and variance 1 in each clip and channel, over the joints of real frames."""
    w = real[:, :, None, None].to(x.dtype)
    count = w.sum((1, 2), keepdim=True).clamp(min=1) * x.shape[2]
    mean = (w * x).sum((1, 2), keepdim=True) / count
    variance = (w * (x - mean) ** 2).sum((1, 2), keepdim=True) / count
    return w * (x - mean) * (variance + eps) ** -0.5


def distillation_loss(prediction: Tensor, target: Tensor, counts: Tensor, beta: float = 1.0) -> Tensor:
    """Mean smooth L1 between (B, T, J, C) at the tokens where `counts` (B, T, J) is True; the target is constant."""
    return nn.functional.smooth_l1_loss(prediction[counts], target.detach()[counts], beta=beta)


def spread(x: Tensor, real: Tensor) -> float:
    """How much (B, T, J, C) differs between clips at the same frame and joint: the standard deviation over clips
    that are real there, averaged.

    Zero for a collapsed network, which says the same whatever it sees, though it may say different things at different
    places. Needs two clips; NaN with fewer.
    """
    w = real[:, :, None, None].to(x.dtype)
    count = w.sum(0)
    mean = (w * x).sum(0) / count.clamp(min=1)
    variance = (w * (x - mean) ** 2).sum(0) / (count - 1).clamp(min=1)
    several = count[:, 0, 0] > 1
    return float(variance[several].sqrt().mean())


def check_collapse(log: dict[str, float], floor: float = 0.01) -> None:
    """Raise MotionliftError if the targets no longer differ between clips; `log` is that of `Pretraining`.

    Targets are normalised over each clip, so that 1 means they have little in common, and 0 that they are the same.
    """
    if log["target spread"] < floor:
        raise MotionliftError(
            f"Pre-training has collapsed: targets differ by {log['target spread']:.4f} between clips",
            "Lower the learning rate or raise `tau`, and start again from an earlier state",
        )


class Pretraining(nn.Module):
    """Student, teacher, the token that hides joints, and the predictor of the teacher's representations."""

    def __init__(self, net: TransformerGCN, config: PretrainConfig) -> None:
        super().__init__()
        self.config = config
        self.student = net
        self.teacher = copy.deepcopy(net).requires_grad_(False).eval()
        c = net.config.channels
        self.hidden = embedding(c)
        self.predictor = nn.Sequential(nn.Linear(c, 2 * c), nn.GELU(), nn.Linear(2 * c, c))

    def train(self, mode: bool = True) -> Pretraining:
        super().train(mode)
        self.teacher.eval()
        return self

    @torch.no_grad()
    def target(self, x: Tensor, real: Tensor) -> Tensor:
        """(B, T, J, C) what the teacher makes of whole clips."""
        layers = self.teacher.encode(self.teacher.embed(x), real)[-self.config.target_layers :]
        mean = torch.stack([normalised(y, real) for y in layers]).mean(0)
        return normalised(mean, real)

    def predict(self, x: Tensor, real: Tensor, masked: Tensor) -> Tensor:
        """(B, T, J, C) the student's prediction; it sees nothing of masked joints (B, T, J), their score included."""
        tokens = torch.where(masked[..., None], self.hidden, self.student.embed(x))
        return self.predictor(self.student.encode(tokens, real)[-1])

    def forward(self, x: Tensor, real: Tensor, masked: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The loss and figures for the log.

        Args:
            x: (B, T, J, channels_in) in the convention of the network's input.
            masked: (draws * B, T, J), the draws of a clip one behind the other.
        """
        x, masked = torch.where(real[..., None, None], x, 0.0), masked.to(x.device)
        target = self.target(x, real)
        draws = len(masked) // len(x)
        many = [y.repeat_interleave(draws, 0) for y in (x, real, target)]
        prediction = self.predict(many[0], many[1], masked)
        loss = distillation_loss(prediction, many[2], masked & many[1][:, :, None], self.config.beta)
        return loss, {
            "loss": loss.item(),
            "target spread": spread(target, real),
            "prediction spread": spread(prediction.detach()[::draws], real),
        }

    def update_teacher(self, progress: float) -> float:
        """Move the teacher after a step of the optimiser, at a share of all steps; returns the tau that was used."""
        tau = tau_at(self.config, progress)
        update_average(self.teacher, self.student, tau)
        return tau


def encoder_state(net: TransformerGCN) -> dict[str, Tensor]:
    """Weights without the heads, which pre-training leaves as they were."""
    return {k: v for k, v in net.state_dict().items() if not k.startswith("heads.")}


def load_encoder(net: TransformerGCN, state: dict[str, Tensor]) -> None:
    """Put pre-trained weights in a network that is to be fine-tuned; its heads stay as they are.

    Raises MotionliftError if the state is of another size, skeleton or input.
    """
    own = net.state_dict()
    wrong = sorted(set(state) ^ {k for k in own if not k.startswith("heads.")})
    wrong += [k for k in state if k in own and own[k].shape != state[k].shape]
    if wrong:
        raise MotionliftError(
            f"The pre-trained weights do not fit: {', '.join(wrong[:3])}{' …' if len(wrong) > 3 else ''}",
            "Build the network with the size, skeleton and channels_in that were pre-trained",
        )
    net.load_state_dict({**own, **state})


def fine_tuning_groups(
    net: TransformerGCN, rate: float = 2e-4, backbone: float = 0.5, decay: float = 0.9
) -> list[dict[str, Any]]:
    """Parameter groups for an optimiser: the heads learn at `rate`, the last layer at `backbone` times that, each
    layer before it by `decay` slower, and the embeddings slowest (layer-wise decay as in BEiT, arXiv 2106.08254)."""
    heads = list(net.heads.parameters())
    layers = [list(layer.parameters()) for layer in net.layers]
    known = {id(p) for group in [heads, *layers] for p in group}
    embeddings = [p for p in net.parameters() if id(p) not in known]
    groups: list[dict[str, Any]] = [{"params": heads, "lr": rate}]
    for i, params in enumerate([*layers[::-1], embeddings]):
        groups.append({"params": params, "lr": rate * backbone * decay**i})
    return groups
