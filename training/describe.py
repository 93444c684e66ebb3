"""Parameters and multiply-accumulates of the networks: `motionlift-train describe [NET] [--size SIZE]`.

Counted by torch's FlopCounterMode, halved: every matrix product and convolution, so the products of attention and of
adjacency matrices too, which published figures often leave out. Additions, norms and activations are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lifter.nets import build_net, net_names, net_sizes
from lifter.nets.graph import SkeletonGraph

ANY_LENGTH = 243
"""Frames to count with where a network has no window."""


@dataclass(frozen=True)
class Reference:
    """What a size is expected to have: parameters in millions, and millions of multiply-accumulates a frame.

    `note` says where the figures come from and why ours may differ.
    """

    name: str
    size: str
    parameters: float
    macs: float | None
    note: str


# The papers of the first three networks publish neither figure. Theirs were counted on sketches of the same designs
# in advance; the other two are of the networks whose widths the size has, counted in the same way.
REFERENCES = (
    Reference("ampose", "base", 4.62, 80, "design; without the biases that its batch norms cancel"),
    Reference("ampose", "paper", 18.41, 316, "design; likewise. The paper gives no size"),
    Reference("ssr_stf", "base", 9.58, 179, "design, one local block a layer"),
    Reference("ssr_stf", "large", 12.71, 231, "design, two local blocks a layer"),
    Reference("transformer_gcn", "base", 11.73, 216, "design; 0.03 M more for the embedding of 243 frames"),
    Reference("tcn", "base", 16.95, None, "VideoPose3D; its 27.6 count the 242 frames eaten up at the ends"),
    Reference("st_transformer", "large", 33.78, 607, "MixSTE"),
)
TOLERANCE = 0.005
"""Relative deviation from a reference that rounding and the stated differences explain."""


@dataclass(frozen=True)
class Description:
    """Counts of one network: learned numbers, and multiply-accumulates a frame in a window of `frames` frames."""

    name: str
    size: str
    joints: int
    frames: int
    parameters: int
    macs: float


def describe(name: str, size: str, graph: SkeletonGraph, **options: Any) -> Description:
    """Count one network; nothing is computed, so that large ones take no longer. Options as in `build_net`."""
    net = build_net(name, size, graph, **options).eval()
    frames = int(getattr(net, "window", None) or ANY_LENGTH)
    parameters = sum(p.numel() for p in net.parameters())
    net = net.to("meta")
    x: tuple[torch.Tensor, ...] = (torch.empty(1, frames, graph.joints, getattr(net, "channels_in", 2), device="meta"),)
    if name == "temporal_mixer":  # rays, score, size
        x = (*x, x[0][..., 0], x[0][:, :, 0, 0])
    # The plain form of attention consists of products that the counter knows on every device.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        net(*x)
    return Description(name, size, graph.joints, frames, parameters, counter.get_total_flops() / 2 / frames)


def describe_all(graph: SkeletonGraph, name: str | None = None, size: str | None = None) -> str:
    """A Markdown table of all networks, of one, or of one size."""
    lines = [
        "| network | size | joints | frames | parameters M | reference | MMAC/frame | reference | reference is |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    known = {(r.name, r.size): r for r in REFERENCES} if graph.joints == 17 else {}
    for n in [name] if name else net_names():
        for s in [size] if size else net_sizes(n):
            d, r = describe(n, s, graph), known.get((n, s))
            expected = (r.parameters, "" if r.macs is None else r.macs, r.note) if r else ("", "", "")
            lines.append(
                f"| {n} | {s} | {d.joints} | {d.frames} | {d.parameters / 1e6:.2f} | {expected[0]} "
                f"| {d.macs / 1e6:.1f} | {expected[1]} | {expected[2]} |"
            )
    return "\n".join(lines)
