"""The follow-camera convention around any network of lifter/nets: called as `temporal_mixer.py` says.

The three inputs become four channels a joint (ray, score, logarithm of the size); of the network's outputs the fourth
channel of a joint is the logarithm of its expected error, and a frame's vector is contacts and gravity.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from lifter.nets import SkeletonGraph, build_net
from lifter.nets.blocks import LiftingNet

CHANNELS_IN, CHANNELS_OUT = 4, 4


class Follower(nn.Module):
    """Input and output as of `TemporalMixer`, for as many contact points as the skeleton has."""

    def __init__(self, net: LiftingNet, contacts: int) -> None:
        super().__init__()
        self.net, self.contacts = net, contacts

    @property
    def window(self) -> int | None:
        """Frames that it takes at most, None for any number."""
        return self.net.window

    @property
    def reach(self) -> int:
        """Frames on either side that a frame's result can depend on, within its window."""
        return int(getattr(self.net, "reach", 0))

    @staticmethod
    def channels(rays: Tensor, score: Tensor, size: Tensor) -> Tensor:
        """(B, T, J, 4) the network's input."""
        size = size.clamp(min=1e-3).log()[..., None].expand_as(score)
        return torch.cat([rays.clamp(-8, 8), score[..., None], size[..., None]], -1)

    def forward(
        self, rays: Tensor, score: Tensor, size: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        out, frame = cast(tuple[Tensor, Tensor], self.net(self.channels(rays, score, size), mask))
        joints, log_sigma = out[..., :3], out[..., 3]
        contact, down = frame[..., : self.contacts], frame[..., self.contacts :]
        return (
            joints - joints[:, :, :1],
            log_sigma.clamp(-6, 1),
            contact,
            down / ((down * down).sum(-1, keepdim=True).sqrt() + 1e-6),
        )


def build_follower(name: str, size: str, graph: SkeletonGraph, contacts: int, **options: Any) -> nn.Module:
    """A network by name, called with rays, scores and sizes. Raises MotionliftError as `build_net`."""
    if name == "temporal_mixer":
        return build_net(name, size, graph, contacts=contacts, **options)
    channels = {"channels_in": CHANNELS_IN, "channels_out": CHANNELS_OUT, "frame_out": contacts + 3}
    return Follower(cast(LiftingNet, build_net(name, size, graph, **channels, **options)), contacts)
