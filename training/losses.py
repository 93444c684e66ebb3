"""Training losses. Shapes as in lifter/nets/temporal_mixer.py; lengths in metres."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lifter.skeleton import Skeleton
from training.synthetic import Views


@dataclass(frozen=True)
class LossWeights:
    velocity: float = 2.0
    sigma: float = 0.02
    contact: float = 0.02
    gravity: float = 0.1


def joint_weights(skeleton: Skeleton) -> Tensor:
    """(J,) how much each joint counts: collar bones move with the chest and count half."""
    return torch.tensor([0.5 if n.endswith("clavicle") else 1.0 for n in skeleton.joint_names])


def lifting_loss(
    prediction: tuple[Tensor, Tensor, Tensor, Tensor], views: Views, weight: Tensor, w: LossWeights
) -> tuple[Tensor, dict[str, float]]:
    """The sum of all losses, and its parts for the log."""
    joints, log_sigma, contact, down = prediction
    error = (joints - views.joints).norm(dim=-1)
    position = (error * weight).mean()
    change = joints.diff(dim=1) - views.joints.diff(dim=1)
    velocity = (change.norm(dim=-1) * weight).mean() if change.shape[1] else joints.new_zeros(())
    # Likelihood of an exponential distribution of the error, whose mean is sigma; it trains sigma alone.
    sigma = (error.detach() / log_sigma.exp() + log_sigma)[:, :, 1:].mean()
    contacts = functional.binary_cross_entropy_with_logits(contact, views.contact)
    gravity = (down - views.down).norm(dim=-1).mean()
    total = position + w.velocity * velocity + w.sigma * sigma + w.contact * contacts + w.gravity * gravity
    return total, {
        "mm": 1000 * position.item(),
        "velocity": 1000 * velocity.item(),
        "sigma": sigma.item(),
        "contact": contacts.item(),
        "gravity": gravity.item(),
    }


def mpjpe(predicted: Tensor, truth: Tensor) -> Tensor:
    """(...) mean joint error of (..., J, 3), in their unit."""
    return (predicted - truth).norm(dim=-1).mean(-1)
