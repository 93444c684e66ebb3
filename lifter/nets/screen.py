"""The published protocols' conventions around a network: screen coordinates in, joints relative to the root out."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn

from lifter.nets import SkeletonGraph, build_net
from lifter.nets.blocks import LiftingNet


class Screen(nn.Module):
    """Called as the networks are (lifter/nets/blocks.py).

    Input (B, T, J, 2 or 3): pixels as x / w * 2 - 1 and y / w * 2 - h / w, and confidence. Output (B, T, J, 3), the
    root at zero: metres in camera space, or the image's own coordinates on the input's scale.
    """

    def __init__(self, net: LiftingNet) -> None:
        super().__init__()
        self.net = net

    @property
    def window(self) -> int | None:
        """Frames that it takes at most, None for any number."""
        return self.net.window

    @property
    def reach(self) -> int:
        """Frames on either side that a frame's result can depend on, within its window."""
        return int(getattr(self.net, "reach", 0))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        joints = cast(Tensor, self.net(x, mask))
        return joints - joints[:, :, :1]


def build_screen(name: str, size: str, graph: SkeletonGraph, channels_in: int, **options: Any) -> Screen:
    """A network by name. Raises MotionliftError as `build_net`."""
    return Screen(cast(LiftingNet, build_net(name, size, graph, channels_in=channels_in, channels_out=3, **options)))
