"""A dilated temporal convolution, to compare with: VideoPose3D's idea (Pavllo et al.: arXiv 1811.11742, CVPR 2019).

From the paper: all joints of a frame as one vector; a convolution over three frames, then residual blocks of a
convolution over three ever more distant frames and one over a single frame, with batch norm and ReLU behind each; the
size `base` has the paper's widths and its receptive field of 243 frames.

Ours: every frame is kept and the ends of a clip count as zero, where the paper repeats the first and last frame and
lets each block eat up the ends. A clip of T frames is then T frames of work in every layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lifter.nets.blocks import BatchNorm, LiftingNet, only_real
from lifter.nets.graph import SkeletonGraph


@dataclass(frozen=True)
class TCNConfig:
    """`channels`, and the dilation of each block; the first convolution has dilation 1."""

    channels: int = 1024
    dilations: tuple[int, ...] = (3, 9, 27, 81)
    dropout: float = 0.25


SIZES = {"xs": TCNConfig(256, (3, 9, 27), dropout=0.0), "base": TCNConfig()}


class Convolution(nn.Module):
    """A convolution over `frames` frames `dilation` apart, batch norm and ReLU, (B, T, C) -> (B, T, C').

    The frames are joined and multiplied by one matrix, which CPUs do faster than a convolution.
    """

    def __init__(self, channels_in: int, channels: int, frames: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.frames, self.dilation = frames, dilation
        self.linear = nn.Linear(frames * channels_in, channels, bias=False)
        self.norm = BatchNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if self.frames == 3:
            d = self.dilation
            padded = nn.functional.pad(only_real(x, mask), (0, 0, d, d))
            x = torch.cat([padded[:, : -2 * d], padded[:, d:-d], padded[:, 2 * d :]], -1)
        return self.dropout(self.norm(self.linear(x), mask).relu())


class Block(nn.Module):
    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.wide = Convolution(channels, channels, 3, dilation, dropout)
        self.narrow = Convolution(channels, channels, 1, 1, dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return x + self.narrow(self.wide(x, mask), mask)


class TCN(LiftingNet):
    """Lifts any number of frames at once. Call and shapes: lifter/nets/blocks.py."""

    def __init__(
        self, graph: SkeletonGraph, config: TCNConfig, channels_in: int = 2, channels_out: int = 3, frame_out: int = 0
    ) -> None:
        super().__init__(graph, channels_in, channels_out, frame_out)
        self.config = config
        c = config.channels
        self.embed = Convolution(graph.joints * channels_in, c, 3, 1, config.dropout)
        self.blocks = nn.ModuleList(Block(c, d, config.dropout) for d in config.dilations)
        self.joints = nn.Linear(c, graph.joints * channels_out)
        self.frame = nn.Linear(c, frame_out) if frame_out else None

    @property
    def reach(self) -> int:
        """Frames on either side that a frame's result can depend on."""
        return 1 + sum(self.config.dilations)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        y = self.embed(only_real(x, mask).flatten(2), mask)
        for block in self.blocks:
            y = block(y, mask)
        joints = only_real(self.joints(y).reshape(*x.shape[:3], self.channels_out), mask)
        return joints if self.frame is None else (joints, only_real(self.frame(y), mask))
