"""Lifting networks, one readable file each, by name.

    net = build_net("ampose", "xs", skeleton_graph(load_skeleton("body")), channels_in=3)
    joints = net(x, mask)

How they are called: lifter/nets/blocks.py. `temporal_mixer`, the network of the default checkpoint, has a call of its
own: it takes rays, scores and the person's size apart and returns joints, errors, contacts and gravity by name
(lifter/nets/temporal_mixer.py), so it takes no channel counts here.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lifter.errors import MotionliftError
from lifter.nets.graph import SkeletonGraph, skeleton_graph

if TYPE_CHECKING:
    from torch import nn

__all__ = ["SkeletonGraph", "build_net", "net_names", "net_sizes", "skeleton_graph"]

# Class of each network; its module has the network's name, and its sizes as `SIZES`.
_CLASSES = {
    "ampose": "AMPose",
    "ssr_stf": "SSRSTF",
    "transformer_gcn": "TransformerGCN",
    "tcn": "TCN",
    "st_transformer": "STTransformer",
    "temporal_mixer": "TemporalMixer",
}


def net_names() -> tuple[str, ...]:
    """Names that `build_net` knows."""
    return tuple(_CLASSES)


def _module(name: str) -> Any:
    if name not in _CLASSES:
        raise MotionliftError(f"No network {name!r}", f"Use one of {', '.join(_CLASSES)}")
    return import_module(f"lifter.nets.{name}")  # only here: they need torch, which lifting does without


def net_sizes(name: str) -> dict[str, Any]:
    """Configurations of one network by the name of the size, the smallest first."""
    return dict(_module(name).SIZES)


def build_net(name: str, size: str, graph: SkeletonGraph, **options: Any) -> nn.Module:
    """A network with fresh weights.

    Args:
        graph: the skeleton that it is to lift (`skeleton_graph`).
        options: channels_in, channels_out, frame_out; and any field of the network's configuration, in place of the
            size's value.
    Raises MotionliftError for an unknown network, size or option.
    """
    module, sizes = _module(name), net_sizes(name)
    if size not in sizes:
        raise MotionliftError(f"{name} has no size {size!r}", f"Use one of {', '.join(sizes)}")
    config, make = sizes[size], getattr(module, _CLASSES[name])
    channels = {k: options.pop(k) for k in ("channels_in", "channels_out", "frame_out") if k in options}
    known = [f for f in config.__dataclass_fields__ if f != "joints"]
    unknown = sorted(set(options) - set(known))
    if name == "temporal_mixer":
        unknown += sorted(channels)
        options["joints"] = graph.joints
    if unknown:
        raise MotionliftError(f"{name} has no option {', '.join(unknown)}", f"Its options are {', '.join(known)}")
    config = replace(config, **options)
    return make(config) if name == "temporal_mixer" else make(graph, config, **channels)
