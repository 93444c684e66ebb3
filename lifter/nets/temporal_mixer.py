"""A temporal mixer: residual blocks that look at a frame and at one frame on either side, ever farther apart.

Our own design, close to VideoPose3D's dilated convolutions, but with a residual stream that keeps every
frame: a frame's result depends on `reach` frames on either side and no others, so that the network takes
any number of frames, one included, and a long clip gives the same result in one piece or in overlapping
ones. The three frames are joined and multiplied by one matrix, which CPUs do far faster than a depthwise
convolution over time (measured when training: five times).

How long the limbs of a person are is seen over seconds, not in a moment: of a leg seen from the front there is no
telling whether it is bent or short. So between some blocks a frame recalls a mean over several seconds, weighted by how
telling the network finds each frame of them (as in the attention-free transformer of Zhai et al., arXiv 2105.14103).

The network does not draw the body again from memory. What a joint's ray says is passed on to the output: along the
ray a joint lies where the depth that the network finds puts it. It finds the distance of the person, the depth of each
joint behind the root, how far each ray is to be believed, and a shift across the line of sight, which is all there is
for joints that are not seen. So fast motion of the keypoints is kept, and only depth has to be learned.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class TemporalMixerConfig:
    """Sizes.

    Attributes:
        joints: J, both input and output; contacts: feet points of the contact head.
        recalls: blocks before which a frame recalls the `memory` frames on either side, the nearer the more.
    """

    joints: int = 33
    contacts: int = 4
    channels: int = 384
    hidden: int = 448
    dilations: tuple[int, ...] = (1, 2, 4, 8, 4, 2)
    recalls: tuple[int, ...] = ()
    memory: int = 120

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Block(nn.Module):
    def __init__(self, config: TemporalMixerConfig, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(config.channels)
        self.up = nn.Linear(3 * config.channels, config.hidden)
        self.down = nn.Linear(config.hidden, config.channels)

    def forward(self, x: Tensor) -> Tensor:
        d = self.dilation
        padded = nn.functional.pad(self.norm(x), (0, 0, d, d))
        three = torch.cat([padded[:, : -2 * d], padded[:, d:-d], padded[:, 2 * d :]], -1)
        return x + self.down(nn.functional.gelu(self.up(three)))


class Recall(nn.Module):
    """Adds to each frame what frames near and far tell; without effect before it has been trained."""

    def __init__(self, config: TemporalMixerConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.channels)
        self.tell = nn.Linear(config.channels, config.channels)
        self.out = nn.Linear(config.channels // 2, config.channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, near: Tensor) -> Tensor:
        """x (B, T, channels); near (T, T), how much a frame counts for another."""
        told, telling = self.tell(self.norm(x)).chunk(2, -1)
        weight = telling.clamp(-8, 8).exp()
        mean = (near @ (weight * told)) / (near @ weight)
        return x + self.out(nn.functional.gelu(mean))


class TemporalMixer(nn.Module):
    """Lifts the virtual camera's view of a person.

    Input:
        rays (B, T, J, 2): joints in the virtual camera, divided by the person's size; 0 where missing.
        score (B, T, J): confidence in 0..1, 0 where missing.
        size (B, T): tangent of the person's half-angle.
    Output, in the virtual camera's space, for a person of the skeleton's height:
        joints (B, T, J, 3) metres, relative to the root joint.
        log_sigma (B, T, J): natural logarithm of the expected error in metres.
        contact (B, T, 4): logit of l_heel, l_toe, r_heel, r_toe touching the ground.
        down (B, T, 3): direction of gravity, unit.
    """

    def __init__(self, config: TemporalMixerConfig) -> None:
        super().__init__()
        self.config = config
        j = config.joints
        self.embed = nn.Linear(3 * j + 2, config.channels)
        self.blocks = nn.ModuleList(Block(config, d) for d in config.dilations)
        self.recalls = nn.ModuleDict({str(n): Recall(config) for n in config.recalls})
        self.norm = nn.LayerNorm(config.channels)
        self.head = nn.Linear(config.channels, 5 * j + 1 + config.contacts + 3)

    @property
    def reach(self) -> int:
        """Frames on either side that a frame's result can depend on."""
        return self.order + len(self.recalls) * self.config.memory

    @property
    def order(self) -> int:
        """Frames on either side whose order matters; beyond them is only the mean, of any number of frames."""
        return sum(self.config.dilations)

    def forward(self, rays: Tensor, score: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        j = self.config.joints
        log_size = size.clamp(min=1e-3).log()[..., None]
        x = self.embed(torch.cat([rays.clamp(-8, 8).flatten(2), score, log_size, torch.ones_like(log_size)], -1))
        near = _nearness(x, self.config.memory) if self.recalls else x  # which nothing looks at then
        for n, block in enumerate(self.blocks):
            if str(n) in self.recalls:
                x = self.recalls[str(n)](x, near)
            x = block(x)
        parts = [2 * j, j, j, j, 1, self.config.contacts, 3]
        shift, depth, belief, log_sigma, distance, contact, down = self.head(self.norm(x)).float().split(parts, -1)
        joints = along_rays(rays, score, size, shift.unflatten(-1, (j, 2)), depth, belief, distance)
        return (
            joints - joints[:, :, :1],
            log_sigma.clamp(-6, 1),
            contact,
            down / (down.norm(dim=-1, keepdim=True) + 1e-6),
        )


def _nearness(x: Tensor, memory: int) -> Tensor:
    """(T, T) how much frames count for each other: falls to 0 beyond `memory` frames, so that results do not jump where
    a telling frame comes into reach."""
    time = torch.arange(x.shape[1], device=x.device)
    return (1 - (time[:, None] - time).abs() / (memory + 1)).clamp(min=0)


def along_rays(
    rays: Tensor, score: Tensor, size: Tensor, shift: Tensor, depth: Tensor, belief: Tensor, distance: Tensor
) -> Tensor:
    """(B, T, J, 3) joints; x and y from the virtual camera's axis, z behind the root.

    Args:
        rays, score, size: the input. rays * size is the direction of a joint, (x/z, y/z).
        shift: (B, T, J, 2) metres across; depth: (B, T, J) metres behind the root.
        belief: (B, T, J) logit of how far a ray is believed.
        distance: (B, T, 1) logarithm of the distance of the root times the size, metres: that the person fills the same
            part of the view near and far makes it nearly constant.
    """
    believed = belief.sigmoid() * (score > 0)
    depth = depth - depth[:, :, :1]
    scale = distance.clamp(-5, 3).exp() + size[..., None] * depth
    across = rays.clamp(-8, 8) * (believed * scale)[..., None] + shift
    return torch.cat([across, depth[..., None]], -1)


SIZES = {"xs": TemporalMixerConfig(channels=160, hidden=192), "body": TemporalMixerConfig()}
