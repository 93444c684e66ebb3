"""Rotations as torch tensors; for arrays there is lifter/rotation.py."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lifter.rotation import matrix_entries


def quaternions_to_matrices(q: Tensor) -> Tensor:
    """(..., 4) unit quaternions to (..., 3, 3)."""
    return torch.stack(matrix_entries(*q.unbind(-1)), -1).unflatten(-1, (3, 3))


def rotation_vectors_to_matrices(v: Tensor) -> Tensor:
    """(..., 3) axis times angle to (..., 3, 3)."""
    half = v / 2
    angle = half.norm(dim=-1, keepdim=True)
    return quaternions_to_matrices(torch.cat([angle.cos(), half * torch.sinc(angle / math.pi)], -1))
