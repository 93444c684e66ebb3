"""Dual-stream Transformer-GCN (Ye et al.: arXiv 2504.01764, 2025), the network that training/pretrain.py pre-trains.

What the paper establishes: a Transformer stream relates all joints and all frames, a GCN stream adjacent joints and
adjacent frames, and the two are integrated adaptively. Before it learns to lift, the network learns representations
of 2D motion: 2D features are masked, and a student predicts what a teacher, the moving average of itself, makes
of the whole clip (self-distillation).

Our proposal, since we found no code and have not seen its details: all sizes; a layer's GCN stream is a
graph convolution over the skeleton and one over neighbouring frames, each with a matrix for a node itself and one for
its neighbours, and each followed by a multilayer perceptron. Sub-blocks, fusion and head have the form of
MotionAGFormer (arXiv 2310.16288). How it is pre-trained: training/pretrain.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from lifter.nets.blocks import (
    BatchNorm,
    Heads,
    LiftingNet,
    Residual,
    TransformerBlock,
    constant,
    embedding,
    mlp,
    only_real,
    time_embedding,
)
from lifter.nets.graph import SkeletonGraph


@dataclass(frozen=True)
class TransformerGCNConfig:
    """`layers` pairs of streams with `channels` each, for at most `window` frames.

    streams: both, or one alone, for ablation.
    symmetric: in the GCN stream a joint is a neighbour of its mirror image, too.
    fusion: weights of the streams from their features at every joint and frame, or one half each.
    """

    window: int = 243
    channels: int = 128
    layers: int = 16
    heads: int = 8
    ratio: int = 4
    hidden: int = 512
    streams: Literal["both", "transformer", "gcn"] = "both"
    symmetric: bool = False
    fusion: Literal["adaptive", "mean"] = "adaptive"
    layer_scale: float = 1e-5


SIZES = {
    "xs": TransformerGCNConfig(window=81, channels=64, layers=4, heads=4, hidden=256, layer_scale=0.1),
    "base": TransformerGCNConfig(),
}


class GraphConv(nn.Module):
    """relu(x + BN(U x + V neighbours(x))), the graph convolution of MotionAGFormer (arXiv 2310.16288)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.own = nn.Linear(channels, channels, bias=False)
        self.neighbours = nn.Linear(channels, channels, bias=False)
        self.norm = BatchNorm(channels)

    def gather(self, x: Tensor, mask: Tensor | None) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, J, C) -> same."""
        y = self.own(x) + self.neighbours(self.gather(x, mask))
        return (x + self.norm(y, mask)).relu()


class OverBones(GraphConv):
    """Neighbours are the joints that a bone joins, by the normalised adjacency."""

    adjacency: Tensor

    def __init__(self, channels: int, graph: SkeletonGraph, symmetric: bool) -> None:
        super().__init__(channels)
        self.register_buffer("adjacency", constant(graph.adjacency(mirror=symmetric)), persistent=False)

    def gather(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return torch.matmul(self.adjacency, x)


class OverFrames(GraphConv):
    """Neighbours are the same joint one frame before and after; their mean, of as many as there are."""

    def gather(self, x: Tensor, mask: Tensor | None) -> Tensor:
        there = only_real(torch.ones_like(x[:, :, :1, :1]), mask)
        total, count = (
            y[:, :-2] + y[:, 2:]
            for y in (nn.functional.pad(z, (0, 0, 0, 0, 1, 1)) for z in (only_real(x, mask), there))
        )
        return total / count.clamp(min=1)


class Layer(nn.Module):
    """Both streams on the same input, and their fusion."""

    def __init__(self, graph: SkeletonGraph, config: TransformerGCNConfig) -> None:
        super().__init__()
        c, scale = config.channels, config.layer_scale
        self.streams = config.streams
        if config.streams != "gcn":
            size = (c, config.heads, config.ratio, scale)
            self.spatial, self.temporal = TransformerBlock(*size), TransformerBlock(*size)
        if config.streams != "transformer":
            self.bones = Residual(c, OverBones(c, graph, config.symmetric), scale)
            self.frames = Residual(c, OverFrames(c), scale)
            self.mlps = nn.ModuleList(Residual(c, mlp(c, config.ratio), scale) for _ in range(2))
        self.fusion = None
        if config.streams == "both" and config.fusion == "adaptive":
            self.fusion = nn.Linear(2 * c, 2)
            nn.init.zeros_(self.fusion.weight)
            nn.init.constant_(self.fusion.bias, 0.5)

    def transformer(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.temporal.over_frames(self.spatial.over_joints(x), mask)

    def gcn(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.mlps[0](self.bones(x, mask))
        return self.mlps[1](self.frames(x, mask))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if self.streams != "both":
            return self.gcn(x, mask) if self.streams == "gcn" else self.transformer(x, mask)
        far, near = self.transformer(x, mask), self.gcn(x, mask)
        if self.fusion is None:
            return (far + near) / 2
        weight = self.fusion(torch.cat([far, near], -1)).softmax(-1)
        return weight[..., :1] * far + weight[..., 1:] * near


class TransformerGCN(LiftingNet):
    """Lifts a window of frames at once. Call and shapes: lifter/nets/blocks.py."""

    def __init__(
        self,
        graph: SkeletonGraph,
        config: TransformerGCNConfig,
        channels_in: int = 3,
        channels_out: int = 3,
        frame_out: int = 0,
    ) -> None:
        super().__init__(graph, channels_in, channels_out, frame_out)
        self.config, self.window = config, config.window
        self.embed = nn.Linear(channels_in, config.channels)
        self.joint_embedding = embedding(graph.joints, config.channels)
        self.time_embedding = embedding(config.window, config.channels)
        self.layers = nn.ModuleList(Layer(graph, config) for _ in range(config.layers))
        self.heads = Heads(config.channels, channels_out, frame_out, config.hidden)

    def encode(self, tokens: Tensor, mask: Tensor | None) -> list[Tensor]:
        """The output of every layer, (B, T, J, C), for embedded joints that know neither joint nor time yet."""
        x = tokens + self.joint_embedding + time_embedding(self.time_embedding, tokens, mask)
        out: list[Tensor] = []
        for layer in self.layers:
            x = layer(x, mask)
            out.append(x)
        return out

    def features(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.encode(self.embed(x), mask)[-1]
