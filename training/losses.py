"""Training losses, each a function of its own; lengths in metres.

Shapes: B clips, T frames, J joints. `real` (B, T) is True where a frame is not padding, None if all are; `weight` (J,)
says how much each joint counts. A loss is the mean over what is real.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lifter.skeleton import Skeleton


@dataclass(frozen=True)
class LossWeights:
    """Factor of each loss in the sum; 0 leaves it out."""

    mpjpe: float = 1.0
    n_mpjpe: float = 0.0
    p_mpjpe: float = 0.0
    velocity: float = 2.0
    bone_length: float = 0.0
    likelihood: float = 0.0
    contact: float = 0.0
    gravity: float = 0.0


def joint_weights(skeleton: Skeleton) -> Tensor:
    """(J,) how much each joint counts: collar bones move with the chest and count half."""
    return torch.tensor([0.5 if n.endswith("clavicle") else 1.0 for n in skeleton.joint_names])


def average(x: Tensor, real: Tensor | None) -> Tensor:
    """Mean of x (B, T, ...) over real frames; 0 without any."""
    if real is None:
        return x.mean() if x.numel() else x.sum()
    w = real.to(x.dtype).reshape(*real.shape, *(1,) * (x.ndim - 2))
    return (x * w).sum() / (w.expand_as(x).sum()).clamp(min=1)


def mpjpe(joints: Tensor, truth: Tensor, real: Tensor | None, weight: Tensor) -> Tensor:
    """Mean distance of (B, T, J, 3) joints from the truth."""
    return average((joints - truth).norm(dim=-1) * weight, real)


def n_mpjpe(joints: Tensor, truth: Tensor, real: Tensor | None, weight: Tensor) -> Tensor:
    """Mean distance after the scale of each frame that fits best in the least-squares sense (Rhodin et al., CVPR 2018,
    arXiv 1803.04775)."""
    scale = (joints * truth).sum((-1, -2), keepdim=True) / (joints * joints).sum((-1, -2), keepdim=True).clamp(min=1e-9)
    return mpjpe(scale * joints, truth, real, weight)


def p_mpjpe(joints: Tensor, truth: Tensor, real: Tensor | None, weight: Tensor) -> Tensor:
    """Mean distance after each frame was moved, turned and scaled onto the truth in the least-squares sense, without
    reflection (Umeyama, IEEE PAMI 13, 1991): the error of the pose, whichever way the body faces.

    No gradient passes through the turn.
    """
    placed, target = (x - x.mean(-2, keepdim=True) for x in (joints, truth))
    with torch.no_grad():
        # Sums of products in place of matrix products: those would be rounded where training is in mixed precision.
        u, _, vt = torch.linalg.svd((target[..., :, None] * placed[..., None, :]).sum(-3).nan_to_num())
        u[..., 2] *= (torch.linalg.det(u) * torch.linalg.det(vt)).sign()[..., None]
        turn = (u[..., :, :, None] * vt[..., None, :, :]).sum(-2)
    return n_mpjpe((turn[..., None, :, :] * placed[..., None, :]).sum(-1), target, real, weight)


def velocity(joints: Tensor, truth: Tensor, real: Tensor | None, weight: Tensor) -> Tensor:
    """Mean distance of the changes from frame to frame, per frame; 0 for a single frame."""
    both = None if real is None else real[:, 1:] & real[:, :-1]
    return mpjpe(joints.diff(dim=1), truth.diff(dim=1), both, weight)


def bone_length(joints: Tensor, truth: Tensor, real: Tensor | None, parents: tuple[int, ...]) -> Tensor:
    """Mean absolute difference of the lengths of bones, from every joint to its parent."""
    child = [j for j, p in enumerate(parents) if p >= 0]
    parent = [parents[j] for j in child]
    lengths = [(x[..., child, :] - x[..., parent, :]).norm(dim=-1) for x in (joints, truth)]
    return average((lengths[0] - lengths[1]).abs(), real)


def likelihood(joints: Tensor, truth: Tensor, real: Tensor | None, log_sigma: Tensor) -> Tensor:
    """Negative log-likelihood of an exponential distribution of the error, whose mean is sigma (B, T, J).

    It trains sigma alone. The root, which has no error, is left out.
    """
    error = (joints - truth).norm(dim=-1).detach()
    return average((error / log_sigma.exp() + log_sigma)[:, :, 1:], real)


def contact(logits: Tensor, truth: Tensor, real: Tensor | None) -> Tensor:
    """Cross entropy of (B, T, points) logits of touching the ground; truth in 0..1, NaN where it is not known."""
    known = truth.isfinite().to(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth.nan_to_num(), reduction="none")
    return average(entropy * known, real) / average(known, real).clamp(min=1e-6)


def gravity(down: Tensor, truth: Tensor, real: Tensor | None) -> Tensor:
    """Mean distance of (B, T, 3) unit directions."""
    return average((down - truth).norm(dim=-1), real)
