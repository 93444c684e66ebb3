"""Rotations as torch tensors; for arrays there is lifter/rotation.py."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def quaternions_to_matrices(q: Tensor) -> Tensor:
    """(..., 4) unit quaternions to (..., 3, 3)."""
    w, x, y, z = q.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def rotation_vectors_to_matrices(v: Tensor) -> Tensor:
    """(..., 3) axis times angle to (..., 3, 3)."""
    half = v / 2
    angle = half.norm(dim=-1, keepdim=True)
    return quaternions_to_matrices(torch.cat([angle.cos(), half * torch.sinc(angle / math.pi)], -1))
