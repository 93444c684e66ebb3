"""A trained network as a checkpoint: ONNX for the lifter, safetensors for further training, and a model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import torch
from safetensors.torch import save_file

from lifter.checkpoint import CONVENTION
from lifter.nets.blocks import LiftingNet
from lifter.nets.temporal_mixer import TemporalMixer
from lifter.skeleton import Skeleton


def export(net: TemporalMixer, skeleton: Skeleton, fps: float, card: dict[str, Any], stem: Path) -> None:
    """Write `stem`.onnx (float32, any batch and length) and `stem`.safetensors (float16), with the same metadata."""
    net = net.eval().float()
    header = json.dumps(
        {
            "convention": CONVENTION,
            "network": "temporal_mixer",
            "config": net.config.to_dict(),
            "fps": fps,
            "reach": net.reach,
            "skeleton": skeleton.to_dict(),
            "card": card,
        }
    )
    stem.parent.mkdir(parents=True, exist_ok=True)
    joints = len(skeleton.joint_names)
    example = (torch.randn(2, 50, joints, 2), torch.rand(2, 50, joints), torch.rand(2, 50) + 0.1)
    inputs, outputs = ["rays", "score", "size"], ["joints", "log_sigma", "contact", "down"]
    path = stem.with_suffix(".onnx")
    torch.onnx.export(
        net,
        example,
        str(path),
        input_names=inputs,
        output_names=outputs,
        opset_version=17,
        dynamo=False,
        dynamic_axes={n: {0: "batch", 1: "time"} for n in [*inputs, *outputs]},
    )
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = "motionlift", header
    onnx.save(model, str(path))
    tensors = {k: v.half().contiguous() for k, v in net.state_dict().items()}
    save_file(tensors, str(stem.with_suffix(".safetensors")), {"motionlift": header})


def export_graph(net: LiftingNet, path: Path, *, masked: bool = False) -> None:
    """Write a network of lifter/nets/blocks.py as plain ONNX, any batch and any length up to its window.

    Inputs `x` and, if asked for, `mask`; outputs `joints` and, if the network has them, `frame`. Without the metadata
    that makes it a checkpoint: those are of the convention of `export`.
    """
    net = net.eval().float()
    frames = min(net.window or 16, 16)
    x = torch.zeros(2, frames, net.graph.joints, net.channels_in)
    inputs, outputs = ["x", "mask"][: 1 + masked], ["joints", "frame"][: 1 + (net.frame_out > 0)]
    torch.onnx.export(
        net,
        (x, torch.ones(2, frames, dtype=torch.bool)) if masked else (x,),
        str(path),
        input_names=inputs,
        output_names=outputs,
        opset_version=17,
        dynamo=False,
        dynamic_axes={n: {0: "batch", 1: "time"} for n in [*inputs, *outputs]},
    )
