"""AMPose (Lin, Chiu, Wu: arXiv 2210.04216, ICASSP 2023): Transformer encoders and graph convolutions in turn.

What the paper establishes: one frame; embedded 2D joints pass through Transformer encoder blocks (every joint sees
every joint) and GCN blocks (joined by bones) that alternate, then a regression to 3D. Its introduction names one
transformation shared by all nodes as a drawback of spectral graph convolutions.

Our proposal, since the authors have published no code and we have not seen its details: depth, widths, pre-norm, two
graph convolutions a GCN block with batch norm, ReLU and a residual, and weights of their own for a joint itself, its
parent and its children (partitions as in ST-GCN, arXiv 1801.07455). Symmetric joints and a learned weight for
every edge (as MGCN, ICCV 2021) are options.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from lifter.nets.blocks import BatchNorm, Heads, LiftingNet, TransformerBlock, constant, embedding
from lifter.nets.graph import SkeletonGraph

Order = Literal["transformer-gcn", "gcn-transformer", "parallel", "transformer", "gcn"]
Weights = Literal["partition", "shared", "joint"]


@dataclass(frozen=True)
class AMPoseConfig:
    """`layers` pairs of blocks with `channels` each, and what the ablations change.

    order: which block comes first, both on the same input and added, or one kind alone.
    weights: of a graph convolution: own ones for each partition of the neighbours, one matrix shared by all, or
        own ones for each joint.
    symmetric: a joint is a neighbour of its mirror image, too.
    affinity: edges have learned weights.
    """

    channels: int = 256
    layers: int = 5
    heads: int = 8
    ratio: int = 2
    dropout: float = 0.0
    order: Order = "transformer-gcn"
    weights: Weights = "partition"
    symmetric: bool = False
    affinity: bool = False


SIZES = {
    "xs": AMPoseConfig(channels=96, heads=4),
    "base": AMPoseConfig(channels=256),
    "paper": AMPoseConfig(channels=512),
}


class GraphConv(nn.Module):
    """y_i = sum over partitions k and joints j of A_k[i, j] W_k x_j, as in ST-GCN (arXiv 1801.07455)."""

    adjacency: Tensor

    def __init__(self, graph: SkeletonGraph, config: AMPoseConfig) -> None:
        super().__init__()
        shared = config.weights != "partition"
        if shared:
            neighbours = [graph.adjacency(own=True, mirror=config.symmetric)]
        else:
            neighbours = [graph.towards_root(), graph.away_from_root()]
            neighbours += [graph.mirrored()] if config.symmetric else []
        self.register_buffer("adjacency", torch.stack([constant(a) for a in neighbours]), persistent=False)
        self.affinity = nn.Parameter(torch.ones_like(self.adjacency)) if config.affinity else None
        self.own = not shared
        c = config.channels
        self.per_joint = config.weights == "joint"
        shape = (graph.joints, c, c) if self.per_joint else ((self.own + len(neighbours)) * c, c)
        # No bias: the batch norm behind takes it away again.
        self.weight = nn.Parameter(nn.init.uniform_(torch.empty(shape), -(shape[-2] ** -0.5), shape[-2] ** -0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(N, J, C) -> same."""
        a = self.adjacency if self.affinity is None else self.adjacency * self.affinity
        seen = [torch.matmul(a_k, x) for a_k in a.unbind(0)]
        if self.per_joint:
            return torch.einsum("njc,jcd->njd", seen[0], self.weight)
        return torch.cat([x, *seen] if self.own else seen, -1) @ self.weight


class GCNBlock(nn.Module):
    def __init__(self, graph: SkeletonGraph, config: AMPoseConfig) -> None:
        super().__init__()
        self.convs = nn.ModuleList(GraphConv(graph, config) for _ in range(2))
        self.norms = nn.ModuleList(BatchNorm(config.channels) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, J, C) -> same."""
        y = x
        for conv, norm in zip(self.convs, self.norms, strict=True):
            y = norm(conv(y.flatten(0, 1)).reshape(x.shape), mask).relu()
        return x + y


class Layer(nn.Module):
    """A Transformer block and a GCN block in the order asked for."""

    def __init__(self, graph: SkeletonGraph, config: AMPoseConfig) -> None:
        super().__init__()
        self.order: Order = config.order
        if config.order != "gcn":
            self.transformer = TransformerBlock(config.channels, config.heads, config.ratio, dropout=config.dropout)
        if config.order != "transformer":
            self.gcn = GCNBlock(graph, config)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        match self.order:
            case "transformer-gcn":
                return self.gcn(self.transformer.over_joints(x), mask)
            case "gcn-transformer":
                return self.transformer.over_joints(self.gcn(x, mask))
            case "parallel":
                return self.transformer.over_joints(x) + self.gcn(x, mask) - x
            case "transformer":
                return self.transformer.over_joints(x)
            case "gcn":
                return self.gcn(x, mask)


class AMPose(LiftingNet):
    """Lifts every frame by itself. Call and shapes: lifter/nets/blocks.py."""

    def __init__(
        self,
        graph: SkeletonGraph,
        config: AMPoseConfig,
        channels_in: int = 2,
        channels_out: int = 3,
        frame_out: int = 0,
    ) -> None:
        super().__init__(graph, channels_in, channels_out, frame_out)
        self.config = config
        self.embed = nn.Linear(channels_in, config.channels)
        self.joint_embedding = embedding(graph.joints, config.channels)
        self.layers = nn.ModuleList(Layer(graph, config) for _ in range(config.layers))
        self.heads = Heads(config.channels, channels_out, frame_out)

    def features(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.embed(x) + self.joint_embedding
        for layer in self.layers:
            x = layer(x, mask)
        return x
