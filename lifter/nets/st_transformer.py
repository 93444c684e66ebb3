"""A plain spatio-temporal Transformer, to compare with.

Every layer lets the joints of a frame look at each other, then the frames of a joint, with one embedding a joint and
one a frame; nothing else. The alternation is that of MixSTE (arXiv 2203.00859, CVPR 2022), and the size `large` has
its widths; where it embeds time and how it normalises between layers is not followed: this is our own plain form.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lifter.nets.blocks import Heads, LiftingNet, TransformerBlock, embedding, time_embedding
from lifter.nets.graph import SkeletonGraph


@dataclass(frozen=True)
class STTransformerConfig:
    """`layers` pairs of blocks with `channels` each, for at most `window` frames."""

    window: int = 243
    channels: int = 256
    layers: int = 8
    heads: int = 8
    ratio: int = 2
    dropout: float = 0.0


SIZES = {
    "xs": STTransformerConfig(window=81, channels=96, layers=4, heads=4),
    "base": STTransformerConfig(),
    "large": STTransformerConfig(channels=512),
}


class Layer(nn.Module):
    def __init__(self, config: STTransformerConfig) -> None:
        super().__init__()
        self.spatial, self.temporal = (
            TransformerBlock(config.channels, config.heads, config.ratio, dropout=config.dropout) for _ in range(2)
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.temporal.over_frames(self.spatial.over_joints(x), mask)


class STTransformer(LiftingNet):
    """Lifts a window of frames at once. Call and shapes: lifter/nets/blocks.py."""

    def __init__(
        self,
        graph: SkeletonGraph,
        config: STTransformerConfig,
        channels_in: int = 3,
        channels_out: int = 3,
        frame_out: int = 0,
    ) -> None:
        super().__init__(graph, channels_in, channels_out, frame_out)
        self.config, self.window = config, config.window
        self.embed = nn.Linear(channels_in, config.channels)
        self.joint_embedding = embedding(graph.joints, config.channels)
        self.time_embedding = embedding(config.window, config.channels)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.heads = Heads(config.channels, channels_out, frame_out)

    def features(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.embed(x) + self.joint_embedding + time_embedding(self.time_embedding, x, mask)
        for layer in self.layers:
            x = layer(x, mask)
        return x
