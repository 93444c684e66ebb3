"""SSR-STF (arXiv 2412.19676, 2024): a spatio-temporal Transformer beside a convolutional refiner of skeletons.

What the paper establishes: a sequence goes through two streams, STFormer (spatio-temporal Transformer, global) and
SSRFormer (blocks of skeleton selective refine attention, local), which are fused adaptively; large kernels are
decomposed, so that they stay cheap.

Our proposal, since its code has not been published and we have not seen its details: everything else. Skeleton
selective refine attention is put together from Large Separable Kernel Attention (arXiv 2309.01439: a large depthwise
kernel as four one-dimensional ones) and the selection of LSKNet (arXiv 2303.09030: two receptive fields, weighted at
every place), on the plane of frames and joints. Sub-blocks, fusion and head have the form of MotionAGFormer (arXiv
2310.16288). A convolution over joints needs neighbours side by side: joints are put in the order of limb chains, or a
learned matrix over joints that are close on the skeleton takes the convolution's place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from lifter.nets.blocks import Heads, LiftingNet, Residual, TransformerBlock, constant, embedding, mlp, only_real
from lifter.nets.graph import SkeletonGraph


@dataclass(frozen=True)
class SSRSTFConfig:
    """`layers` pairs of streams with `channels` each.

    window: frames that it is trained with; longer clips run, but attention over them is untrained.
    local: SSRFormer blocks in a layer.
    small, large: (kernel, dilated kernel, dilation) of the two receptive fields, one behind the other.
    joint_order: of the joints that a convolution slides over, as limb chains or as the skeleton lists them.
    joint_mixing: over joints, by convolution or by a learned matrix within as many bones as the kernel reaches.
    fusion: weights of the streams from their features at every joint and frame, or one half each.
    """

    window: int = 243
    channels: int = 128
    layers: int = 16
    heads: int = 8
    ratio: int = 4
    hidden: int = 512
    local: int = 1
    small: tuple[int, int, int] = (3, 3, 2)
    large: tuple[int, int, int] = (5, 7, 3)
    joint_order: Literal["chains", "listed"] = "chains"
    joint_mixing: Literal["convolution", "adjacency"] = "convolution"
    fusion: Literal["adaptive", "mean"] = "adaptive"
    layer_scale: float = 1e-5


SIZES = {
    "xs": SSRSTFConfig(window=81, channels=64, layers=4, heads=4, hidden=256, layer_scale=0.1),
    "base": SSRSTFConfig(),
    "large": SSRSTFConfig(local=2),
}


class OverFrames(nn.Module):
    """Depthwise convolution over frames, (B, T, J, C) -> same. Padding counts as zero, like the ends of the clip."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        reach = dilation * (kernel // 2)
        self.conv = nn.Conv2d(
            channels, channels, (kernel, 1), padding=(reach, 0), dilation=(dilation, 1), groups=channels
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x, d = only_real(x, mask), self.conv.dilation[0]
        if d == 1 or torch.onnx.is_in_onnx_export():
            return self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        # Frames d apart become neighbours and the rest further columns: the same sums, and on CPUs the convolution and
        # its gradient take a fifth to an eighth of the time of dilated ones (torch 2.13).
        b, frames, joints, c = x.shape
        phases = nn.functional.pad(x, (0, 0, 0, 0, 0, -frames % d)).reshape(b, -1, d * joints, c).permute(0, 3, 1, 2)
        padding = (self.conv.kernel_size[0] // 2, 0)
        y = nn.functional.conv2d(phases, self.conv.weight, self.conv.bias, padding=padding, groups=c)
        return y.permute(0, 2, 3, 1).reshape(b, -1, joints, c)[:, :frames]


class OverJoints(nn.Module):
    """Depthwise convolution over joints in their given order, (B, T, J, C) -> same."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        reach = dilation * (kernel // 2)
        self.conv = nn.Conv2d(
            channels, channels, (1, kernel), padding=(0, reach), dilation=(1, dilation), groups=channels
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class OverBones(nn.Module):
    """A learned matrix between joints at most `reach` bones apart, the same for all channels."""

    near: Tensor

    def __init__(self, distance: Tensor, reach: int) -> None:
        super().__init__()
        near = (distance <= reach).float()
        self.register_buffer("near", near, persistent=False)
        self.weight = nn.Parameter(near / near.sum(1, keepdim=True))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return torch.matmul(self.weight * self.near, x)


class LargeKernel(nn.Module):
    """A large depthwise kernel over frames and joints as four small ones (arXiv 2309.01439), the last two
    dilated."""

    def __init__(self, config: SSRSTFConfig, distance: Tensor, size: tuple[int, int, int]) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        for kernel, dilation in ((size[0], 1), (size[1], size[2])):
            if config.joint_mixing == "convolution":
                self.steps.append(OverJoints(config.channels, kernel, dilation))
            else:
                self.steps.append(OverBones(distance, dilation * (kernel // 2)))
            self.steps.append(OverFrames(config.channels, kernel, dilation))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for step in self.steps:
            x = step(x, mask)
        return x


class SkeletonSelectiveRefineAttention(nn.Module):
    """Two receptive fields, chosen between at every frame and joint; the result multiplies the input."""

    def __init__(self, config: SSRSTFConfig, distance: Tensor) -> None:
        super().__init__()
        c = config.channels
        self.into = nn.Linear(c, c)
        self.small = LargeKernel(config, distance, config.small)
        self.large = LargeKernel(config, distance, config.large)
        self.halves = nn.ModuleList(nn.Linear(c, c // 2) for _ in range(2))
        self.select = nn.Conv2d(2, 2, 7, padding=3)
        self.gate = nn.Linear(c // 2, c)
        self.out = nn.Linear(c, c)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, J, C) -> same."""
        x = nn.functional.gelu(self.into(x))
        small = self.small(x, mask)
        large = self.large(small, mask)
        small, large = self.halves[0](small), self.halves[1](large)
        both = torch.cat([small, large], -1)
        summary = only_real(torch.stack([both.mean(-1), both.amax(-1)], -1), mask)
        chosen = self.select(summary.permute(0, 3, 1, 2)).sigmoid().permute(0, 2, 3, 1)
        refined = small * chosen[..., :1] + large * chosen[..., 1:]
        return self.out(x * self.gate(refined))


class SSRFormer(nn.Module):
    def __init__(self, config: SSRSTFConfig, distance: Tensor) -> None:
        super().__init__()
        c = config.channels
        self.attention = Residual(c, SkeletonSelectiveRefineAttention(config, distance), config.layer_scale)
        self.mlp = Residual(c, mlp(c, config.ratio), config.layer_scale)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.mlp(self.attention(x, mask))


class Layer(nn.Module):
    """Both streams on the same input, and their fusion."""

    def __init__(self, config: SSRSTFConfig, distance: Tensor) -> None:
        super().__init__()
        size = (config.channels, config.heads, config.ratio, config.layer_scale)
        self.spatial, self.temporal = TransformerBlock(*size), TransformerBlock(*size)
        self.local = nn.ModuleList(SSRFormer(config, distance) for _ in range(config.local))
        self.fusion = None
        if config.fusion == "adaptive":
            self.fusion = nn.Linear(2 * config.channels, 2)
            nn.init.zeros_(self.fusion.weight)
            nn.init.constant_(self.fusion.bias, 0.5)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        far = self.temporal.over_frames(self.spatial.over_joints(x), mask)
        near = x
        for block in self.local:
            near = block(near, mask)
        if self.fusion is None:
            return (far + near) / 2
        weight = self.fusion(torch.cat([far, near], -1)).softmax(-1)
        return weight[..., :1] * far + weight[..., 1:] * near


class SSRSTF(LiftingNet):
    """Lifts a window of frames at once. Call and shapes: lifter/nets/blocks.py.

    It has no embedding of time: the convolutions tell attention which frames are neighbours.
    """

    order: Tensor
    back: Tensor

    def __init__(
        self,
        graph: SkeletonGraph,
        config: SSRSTFConfig,
        channels_in: int = 3,
        channels_out: int = 3,
        frame_out: int = 0,
    ) -> None:
        super().__init__(graph, channels_in, channels_out, frame_out)
        self.config, self.window = config, config.window
        order = torch.tensor(graph.chains() if config.joint_order == "chains" else range(graph.joints))
        distance = constant(graph.distance())[order][:, order]
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", order.argsort(), persistent=False)
        self.embed = nn.Linear(channels_in, config.channels)
        self.joint_embedding = embedding(graph.joints, config.channels)
        self.layers = nn.ModuleList(Layer(config, distance) for _ in range(config.layers))
        self.heads = Heads(config.channels, channels_out, frame_out, config.hidden)

    def features(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = (self.embed(x) + self.joint_embedding)[:, :, self.order]
        for layer in self.layers:
            x = layer(x, mask)
        return x[:, :, self.back]
