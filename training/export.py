"""A trained network as a checkpoint: ONNX for the lifter, safetensors for further training, and a model card.

Both files carry the same header: input convention, network, frame rate, window, skeleton and card. The lifter and the
add-on need the ONNX file and nothing else.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import nn

from lifter.checkpoint import CONVENTION, IMAGE, SCREEN, Checkpoint, load_checkpoint
from lifter.errors import MotionliftError
from lifter.lift import lift_views
from lifter.nets.blocks import LiftingNet
from lifter.nets.follower import Follower
from lifter.nets.screen import Screen
from lifter.skeleton import Skeleton
from training.batches import MotionBatches, ValidationClips, make_batches
from training.config import MotionData, PairData, RunConfig, load_config
from training.data.store import Store

INPUTS, OUTPUTS = ("rays", "score", "size"), ("joints", "log_sigma", "contact", "down")
PARITY = 1e-4
"""Metres that the exported network may differ from torch."""


def export(
    net: nn.Module, skeleton: Skeleton, config: RunConfig, card: dict[str, Any], stem: Path, fps: float = 30.0
) -> None:
    """Write `stem`.onnx (any batch and length) and `stem`.safetensors, with the same header.

    Both keep weights in half precision, to which the network's own are rounded first; they compute in single precision.
    `fps` is what it was trained at. `net` is called with rays, scores and sizes
    (`lifter/nets/follower.py`), or as `lifter/nets/screen.py` says.
    """
    net = net.eval().float()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(p.half().float())
    data = config.data
    convention = CONVENTION if isinstance(data, MotionData) else {"camera": SCREEN, "image": IMAGE}[data.target]
    header = json.dumps(
        {
            "convention": convention,
            "channels": 0 if isinstance(data, MotionData) else 2 + data.confidence,
            "network": config.network.name,
            "size": config.network.size,
            "options": config.network.options,
            "fps": fps,
            "window": _window(net, config.data.frames),
            "reach": int(getattr(net, "reach", 0)),
            "skeleton": skeleton.to_dict(),
            "card": card,
        }
    )
    stem.parent.mkdir(parents=True, exist_ok=True)
    scratch = stem.with_name(stem.name + ".tmp.onnx")
    followed = convention == CONVENTION
    example = example_input(skeleton, config, min(data.frames, 16))
    _write_onnx(net, example, INPUTS if followed else ("x",), OUTPUTS if followed else ("joints",), scratch)
    model = onnx.load(str(scratch))
    _halve(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = "motionlift", header
    onnx.save(model, str(scratch))
    tensors = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    # Written as bytes: files that safetensors makes itself can be read by nobody else on the machine.
    stem.with_suffix(".safetensors").write_bytes(safetensors_bytes(tensors, {"motionlift": header}))
    scratch.replace(stem.with_suffix(".onnx"))


def _halve(model: onnx.ModelProto) -> None:
    """Keep large matrices in half precision; ONNX Runtime turns them back when it opens the file."""
    casts: list[onnx.NodeProto] = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or prod(tensor.dims) < 1024:
            continue
        whole, name = numpy_helper.to_array(tensor), tensor.name
        tensor.CopyFrom(numpy_helper.from_array(whole.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _window(net: nn.Module, frames: int) -> int | None:
    """Frames that a checkpoint is used with at once: as many as it was trained with, unless it sees no farther."""
    if isinstance(net, Follower | Screen) and net.window:
        return min(frames, net.window)
    order = int(getattr(net, "order", getattr(net, "reach", 0)))
    return frames if frames == 1 or order >= frames else None


def example_input(
    skeleton: Skeleton, config: RunConfig, frames: int, batch: int = 2, seed: int = 0
) -> tuple[torch.Tensor, ...]:
    """Random arguments of a network of this configuration."""
    g = torch.Generator().manual_seed(seed)
    shape = (batch, frames, len(skeleton.joint_names))
    if isinstance(config.data, PairData):
        return (torch.randn(*shape, 2 + config.data.confidence, generator=g),)
    return (
        torch.randn(*shape, 2, generator=g),
        torch.rand(shape, generator=g),
        torch.rand(shape[:2], generator=g) + 0.1,
    )


def deviation(net: nn.Module, path: Path, inputs: tuple[torch.Tensor, ...]) -> float:
    """Largest difference in metres between the joints of torch and of the exported file."""
    checkpoint, arrays = load_checkpoint(str(path)), [x.numpy() for x in inputs]
    with torch.no_grad():
        expected = net.eval().float()(*inputs)
    if checkpoint.convention == CONVENTION:
        return float(np.abs(expected[0].numpy() - checkpoint.run(arrays[0], arrays[1], arrays[2])[0]).max())
    return float(np.abs(expected.numpy() - checkpoint.run_screen(arrays[0])).max())


def export_run(run: Path) -> Path:
    """Export the newest state of a run's folder beside it; path of the ONNX file.

    Raises MotionliftError if there is no run, or if the exported file says something else than the network.
    """
    from training.fit import LAST, averaged_net

    if not (run / LAST).exists():
        raise MotionliftError(f"{run}: no run with a {LAST}", "Run `motionlift-train fit` first")
    config = load_config(str(run / "config.yaml"))
    data = make_batches(config)
    net, step = averaged_net(config, data.skeleton, run / LAST)
    stem = run / run.resolve().name
    fps = config.data.fps if isinstance(config.data, MotionData) else float(data.store.fps.median())
    card = make_card(config, data.store, step)
    export(net, data.skeleton, config, card, stem, fps)
    path = stem.with_suffix(".onnx")
    batch: Any = next(iter(data.train_dataloader()))[0]
    real = data.filmed(batch).inputs if isinstance(data, MotionBatches) else data.example(batch).inputs[:1]
    off = max(deviation(net, path, x) for x in (example_input(data.skeleton, config, config.data.frames), real))
    if not off < PARITY:
        path.unlink()
        raise MotionliftError(
            f"{path}: the exported network is off by {off:.2g} m", "Report this with the run's folder"
        )
    if isinstance(data, MotionBatches) and config.losses.likelihood:
        sigma = calibrate(load_checkpoint(str(path)), data)
        change_header(path, lambda header: header.update(sigma=sigma))
    return path


def calibrate(checkpoint: Checkpoint, data: MotionBatches) -> tuple[float, float]:
    """Offset and slope of the logarithm of sigma that fit the errors on the validation subjects, as they are lifted.

    In training a network sees worse footage than most, and is not averaged over mirror images. Half of the clips are
    exact, half noisy. (0, 1) without validation subjects.
    """
    said: list[NDArray[np.float64]] = []
    made: list[NDArray[np.float64]] = []
    clips = ValidationClips(data.store, data.data)
    for n in range(len(clips)):
        for noise in (0.0, 1.0):
            example = data.filmed(clips[n][0], noise)
            joints, log_sigma, *_ = lift_views([x.numpy() for x in example.inputs], checkpoint)
            said.append(log_sigma[:, :, 1:].ravel().astype(np.float64))
            made.append(np.linalg.norm(joints - example.joints.numpy(), axis=-1)[:, :, 1:].ravel().astype(np.float64))
    if not said:
        return 0.0, 1.0
    expected, errors = np.concatenate(said), np.concatenate(made)
    groups = np.array_split(np.argsort(expected), 20)
    x = np.array([expected[g].mean() for g in groups])
    y = np.log([max(errors[g].mean(), 1e-4) for g in groups])
    slope, offset = np.polyfit(x, y, 1)
    return float(offset), float(slope)


def attach_card(path: Path, text: Path) -> None:
    """Put a model card, which says what was measured and what fails, into an exported checkpoint's two files.

    Raises MotionliftError for files that cannot be read or are no checkpoint.
    """
    try:
        words = text.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MotionliftError(f"The card cannot be attached ({error})", "Give a Markdown file") from error
    change_header(path, lambda header: header["card"].update({"model card": words}))


def change_header(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the header of an exported checkpoint, in both of its files.

    Raises MotionliftError for files that cannot be read or are no checkpoint.
    """
    weights = path.with_suffix(".safetensors")
    try:
        with safe_open(weights, "pt") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 (no mapping)
        model = onnx.load(str(path))
    except (OSError, SafetensorError, DecodeError) as error:
        raise MotionliftError(f"{path}: cannot be changed ({error})", "Give a checkpoint's .onnx file") from error
    entry = next((e for e in model.metadata_props if e.key == "motionlift"), None)
    if entry is None:
        raise MotionliftError(f"{path}: not a Motionlift checkpoint", "Export a run first")
    header = json.loads(entry.value)
    change(header)
    entry.value = json.dumps(header)
    scratch = [p.with_name(p.name + ".tmp") for p in (path, weights)]
    onnx.save(model, str(scratch[0]))
    scratch[1].write_bytes(safetensors_bytes(tensors, {"motionlift": entry.value}))
    for part, whole in zip(scratch, (path, weights), strict=True):
        part.replace(whole)


def make_card(config: RunConfig, store: Store, step: int) -> dict[str, Any]:
    """What a checkpoint says of itself."""
    used = sorted({(s, licence) for s, licence in zip(store.sources, store.licences, strict=True)})
    splits = {
        k: sorted({s for s, x in zip(store.subjects, store.splits, strict=True) if x == k})
        for k in ("test", "validation")
    }
    return {
        "data": dict(used),
        "test subjects, never trained on": splits["test"],
        "validation subjects": splits["validation"],
        "steps": step,
        "config": asdict(config),
        "commit": commit(),
        "intended use": "Lifting 2D keypoints to 3D for animation; not for biometrics, medicine or safety.",
    }


def commit() -> str:
    """The commit of the code, with "+" if files differ from it; "unknown" outside of a repository."""
    folder = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603, S607
        return done.stdout.strip()

    name = git("rev-parse", "--short", "HEAD")
    return name + ("+" if git("status", "--porcelain", "--untracked-files=no") else "") if name else "unknown"


def _write_onnx(
    net: nn.Module, example: tuple[torch.Tensor, ...], inputs: tuple[str, ...], outputs: tuple[str, ...], path: Path
) -> None:
    torch.onnx.export(
        net,
        example,
        str(path),
        input_names=list(inputs),
        output_names=list(outputs),
        opset_version=17,
        dynamo=False,
        dynamic_axes={n: {0: "batch", 1: "time"} for n in [*inputs, *outputs]},
    )


def export_graph(net: LiftingNet, path: Path, *, masked: bool = False) -> None:
    """Write a network of lifter/nets/blocks.py as plain ONNX, any batch and any length up to its window.

    Inputs `x` and, if asked for, `mask`; outputs `joints` and, if the network has them, `frame`. Without the header
    that makes it a checkpoint: those are of the convention of `export`.
    """
    net = net.eval().float()
    frames = min(net.window or 16, 16)
    x = torch.zeros(2, frames, net.graph.joints, net.channels_in)
    example = (x, torch.ones(2, frames, dtype=torch.bool)) if masked else (x,)
    _write_onnx(net, example, ("x", "mask")[: 1 + masked], ("joints", "frame")[: 1 + (net.frame_out > 0)], path)
