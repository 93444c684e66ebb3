"""Pieces that three networks or more share. Shapes: B clips, T frames, J joints, C channels, N sequences, L tokens.

All networks are called alike: `net(x, mask)` with

    x (B, T, J, channels_in): 2D joints in the input convention of the checkpoint, with or without their confidence.
    mask (B, T): True where a frame is real. Padding may stand before and behind the real frames of a clip, and
        never changes their result; None means that every frame is real.

and they return (B, T, J, channels_out), zero at padded frames; with `frame_out` above zero a second tensor
(B, T, frame_out), one vector a frame (contact logits, gravity). What the numbers mean is up to whoever trains:
the first three of channels_out are a joint's position, in the unit of the training data.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lifter.errors import MotionliftError
from lifter.nets.graph import SkeletonGraph


class LiftingNet(nn.Module):
    """What the networks have in common: sizes, and the heads behind a body of the network's own, `features`.

    Attributes:
        graph: the skeleton that the network is built for; inputs and outputs have its joints.
        window: frames that it takes at most, None for any number.
    """

    window: int | None = None
    heads: Heads

    def __init__(self, graph: SkeletonGraph, channels_in: int, channels_out: int, frame_out: int) -> None:
        super().__init__()
        self.graph = graph
        self.channels_in, self.channels_out, self.frame_out = channels_in, channels_out, frame_out

    def features(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, J, channels_in) -> (B, T, J, C)."""
        raise NotImplementedError

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        # Whatever stands in the padding, NaN included, goes no farther than here.
        return self.heads(self.features(only_real(x, mask), mask), mask)


class Heads(nn.Module):
    """Normalise, then joints from every joint's features and, if asked, one vector a frame from their mean.

    `hidden` above zero puts a layer with tanh in between, as MotionBERT does (arXiv 2210.06551).
    """

    def __init__(self, channels: int, channels_out: int, frame_out: int, hidden: int = 0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.hidden = nn.Sequential(nn.Linear(channels, hidden), nn.Tanh()) if hidden else nn.Identity()
        self.joints = nn.Linear(hidden or channels, channels_out)
        self.frame = nn.Linear(hidden or channels, frame_out) if frame_out else None

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor | tuple[Tensor, Tensor]:
        x = self.hidden(self.norm(x))
        joints = only_real(self.joints(x), mask)
        return joints if self.frame is None else (joints, only_real(self.frame(x.mean(2)), mask))


class Attention(nn.Module):
    """Multi-head self-attention over L tokens (Vaswani et al. 2017)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            raise MotionliftError(f"{channels} channels have no {heads} equal heads", "Let heads divide channels")
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """(N, L, C) -> (N, L, C); bias (N, 1, 1, L) is added to the logits of each key."""
        n, length, c = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        if q.dtype == torch.bfloat16 and q.device.type == "cpu":
            # The kernel's backward pass in bfloat16 takes 20 times as long as in float32 on CPUs (torch 2.13).
            with torch.autocast("cpu", enabled=False):
                mixed = nn.functional.scaled_dot_product_attention(q.float(), k.float(), v.float(), bias)
        else:
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, bias)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Residual(nn.Module):
    """x + scale * inner(norm(x)); `scale` is learned a channel from a small value (LayerScale, arXiv 2103.17239)
    where `layer_scale` gives one."""

    def __init__(self, channels: int, inner: nn.Module, layer_scale: float | None = None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.inner = inner
        self.scale = None if layer_scale is None else nn.Parameter(torch.full((channels,), layer_scale))

    def forward(self, x: Tensor, *extra: Tensor | None) -> Tensor:
        y = self.inner(self.norm(x), *extra)
        return x + (y if self.scale is None else self.scale * y)


def mlp(channels: int, ratio: int, dropout: float = 0.0) -> nn.Sequential:
    wide = ratio * channels
    return nn.Sequential(nn.Linear(channels, wide), nn.GELU(), nn.Dropout(dropout), nn.Linear(wide, channels))


class TransformerBlock(nn.Module):
    """Attention and a multilayer perceptron, each with a norm before and a residual around."""

    def __init__(
        self, channels: int, heads: int, ratio: int, layer_scale: float | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.attention = Residual(channels, Attention(channels, heads), layer_scale)
        self.mlp = Residual(channels, mlp(channels, ratio, dropout), layer_scale)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        return self.mlp(self.attention(x, bias))

    def over_joints(self, x: Tensor) -> Tensor:
        """(B, T, J, C) -> same: the joints of a frame look at each other."""
        return self(x.flatten(0, 1)).reshape(x.shape)

    def over_frames(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, J, C) -> same: the frames of a joint look at each other, and never at padding."""
        frames = x.transpose(1, 2)
        bias = None
        if mask is not None:
            # exp(-3e4) is zero in every precision, and unlike infinity gives no NaN for a clip of padding alone.
            bias = (~mask).to(x.dtype) * -3e4
            bias = bias[:, None].expand(-1, x.shape[2], -1).flatten(0, 1)[:, None, None]
        return self(frames.flatten(0, 1), bias).reshape(frames.shape).transpose(1, 2)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation over the last axis that learns its statistics from real frames only."""

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: A002 (the base's name)
        """(B, T, ..., C) -> same; mask (B, T)."""
        if mask is None or not self.training:
            return super().forward(input.flatten(0, -2)).reshape(input.shape)
        real = input[mask]
        normal = super().forward(real.flatten(0, -2)).reshape(real.shape)
        out = normal.new_zeros(input.shape)
        out[mask] = normal
        return out


def only_real(x: Tensor, mask: Tensor | None) -> Tensor:
    """x (B, T, ...) with zeros at padded frames: what a convolution sees beyond the ends of a clip."""
    return x if mask is None else torch.where(mask[(..., *(None,) * (x.ndim - 2))], x, 0.0)


def time_embedding(table: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
    """(T or B, T, 1, C) of `table` (window, C), counted from the first real frame of x (B, T, ...).

    Raises ValueError for more frames than the window.
    """
    frames = x.shape[1]
    if not torch.onnx.is_in_onnx_export() and frames > len(table):
        raise ValueError(f"{frames} frames, but the network's window is {len(table)}: lift the clip in parts")
    if mask is None:
        return table[:frames, None]
    return table[(mask.long().cumsum(1) - 1).clamp(min=0)][:, :, None]


def embedding(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(*shape), std=0.02))


def constant(value: object) -> Tensor:
    """A matrix of the graph as float32."""
    return torch.as_tensor(value, dtype=torch.float32)
