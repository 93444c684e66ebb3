"""What networks run on: ONNX Runtime on the CPU or a GPU, or torch on a GPU, behind one call.

A session is called as ONNX Runtime's are, `run(None, {name: array})`. Which backend it is, is chosen by trial ("auto"),
by the words "cpu" and "gpu", or by name (BACKENDS). A GPU that fails in the middle, such as one that runs out of
memory because another program took it, means smaller batches, then the CPU; the session's `warnings` say so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from .errors import MotionliftError

DEVICES = ("auto", "cpu", "gpu")
GPUS = {"CUDAExecutionProvider": "CUDA", "DmlExecutionProvider": "DirectML", "CoreMLExecutionProvider": "CoreML"}
"""Providers that run networks on a GPU, best first, and what they are called."""
CPU = "CPUExecutionProvider"
BACKENDS = {
    "onnx-cpu": CPU,
    "onnx-cuda": "CUDAExecutionProvider",
    "onnx-directml": "DmlExecutionProvider",
    "onnx-coreml": "CoreMLExecutionProvider",
    "torch-cpu": "",
    "torch-cuda": "",
    "torch-mps": "",
}
"""Backends by name, and ONNX Runtime's name of theirs."""

TRIAL_FRAMES = 256
TOLERANCE = 0.01
"""How far a GPU's outputs may be from the CPU's: of metres, a centimetre."""


def open_session(path: Path, device: str = "auto", threads: int = 0) -> Any:
    """A network ready to run: an onnxruntime.InferenceSession, a TorchSession, or a `WithFallback` around either.

    "auto" tries the GPU, if ONNX Runtime or torch is installed for one, beside the CPU, and takes it where it says the
    same and is faster; "gpu" and the names of backends insist. Raises MotionliftError for an unknown device, without a
    GPU that can be used, and without ONNX Runtime. Errors of ONNX Runtime about the file pass through.
    """
    if device not in DEVICES and device not in BACKENDS:
        known = ", ".join([*DEVICES, *BACKENDS])
        raise MotionliftError(f"Unknown device {device!r}", f"Use one of {known}")
    try:
        onnxruntime: Any = import_module("onnxruntime")
    except ImportError as error:
        raise MotionliftError(f"ONNX Runtime cannot be loaded ({error})", "pip install onnxruntime") from error

    def on_cpu() -> Any:
        return _session(onnxruntime, path, [CPU], threads)

    if device in ("cpu", "onnx-cpu"):
        return on_cpu()
    if device == "torch-cpu":
        return _on_torch(path, "cpu")
    if device.startswith("torch-"):
        return WithFallback(_on_torch(path, device.removeprefix("torch-")), on_cpu)
    if device in BACKENDS:
        return WithFallback(_on_gpu(onnxruntime, path, BACKENDS[device], threads), on_cpu)
    candidates = [p for p in GPUS if p in onnxruntime.get_available_providers()]
    torch_device = "" if candidates else torch_gpu(path)
    if not candidates and not torch_device:
        if device == "gpu":
            raise MotionliftError("The installed ONNX Runtime knows no GPU", "Choose the CPU, or set up for the GPU")
        return on_cpu()

    def on_gpu() -> Any:
        if candidates:
            return _on_gpu(onnxruntime, path, candidates[0], threads)
        return _on_torch(path, torch_device)

    if device == "gpu":
        return WithFallback(on_gpu(), on_cpu)
    plain = on_cpu()
    try:
        fast = on_gpu()
        (expected, seconds), (found, fast_seconds) = _trial(plain), _trial(fast)
    except Exception:  # whatever a driver may do: there is the CPU
        return plain
    same = all(np.abs(a - b).max() < TOLERANCE for a, b in zip(expected, found, strict=True))
    return WithFallback(fast, lambda: plain) if same and fast_seconds < seconds else plain


def device_name(session: Any) -> str:
    """What a session runs on: "CPU", "CUDA", ..."""
    name = session.get_providers()[0]
    return GPUS.get(name, "CPU" if name in (CPU, "torch-cpu") else name)


class WithFallback:
    """A session on a GPU. Where it fails it gets half of the batch at a time, and where one clip fails the CPU takes
    over for good.

    Attributes:
        warnings: what happened, once each.
    """

    def __init__(self, session: Any, on_cpu: Callable[[], Any]) -> None:
        self.session, self._on_cpu, self._gpu = session, on_cpu, True
        self.warnings: list[str] = []

    def get_inputs(self) -> Any:
        return self.session.get_inputs()

    def get_providers(self) -> list[str]:
        return self.session.get_providers()

    def get_modelmeta(self) -> Any:
        return self.session.get_modelmeta()

    def run(self, names: Any, inputs: dict[str, Any]) -> list[Any]:
        """As of ONNX Runtime. The first axis of inputs and outputs is the batch."""
        if not self._gpu:
            return self.session.run(names, inputs)
        try:
            return self.session.run(names, inputs)
        except Exception as error:  # drivers raise what they like
            reason = str(error).strip().split("\n")[0][:120] or type(error).__name__
        size = len(next(iter(inputs.values())))
        if size > 1:
            self._warn(f"The GPU gets smaller batches, since it failed ({reason})")
            halves = [{k: v[s] for k, v in inputs.items()} for s in (slice(0, size // 2), slice(size // 2, None))]
            first, second = self.run(names, halves[0]), self.run(names, halves[1])
            return [np.concatenate(o) for o in zip(first, second, strict=True)]
        self._warn(f"The CPU does the GPU's work, since that failed ({reason}); close other programs that use the GPU")
        self.session, self._gpu = self._on_cpu(), False
        return self.session.run(names, inputs)

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


class TorchSession:
    """A checkpoint's .safetensors file run by torch, called as ONNX Runtime's sessions are.

    The network computes in half precision on a GPU, in single precision on the CPU; the geometry at its end always in
    single precision (lifter/nets/temporal_mixer.py).
    """

    def __init__(self, path: Path, device: str) -> None:
        import json

        import torch

        safe_open: Any = import_module("safetensors").safe_open
        from .nets import skeleton_graph
        from .nets.follower import build_follower
        from .skeleton import FEET, skeleton_from_dict

        file: Any
        with safe_open(path, "pt") as file:
            self._meta: dict[str, str] = file.metadata()
            state: dict[str, torch.Tensor] = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 (no mapping)
        header = json.loads(self._meta["motionlift"])
        skeleton = skeleton_from_dict(header["skeleton"], str(path))
        contacts = sum(n in skeleton.joint_names for n in FEET)
        net = build_follower(header["network"], header["size"], skeleton_graph(skeleton), contacts, **header["options"])
        net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
        self._torch, self.device = torch, device
        self._net = net.eval().to(device)

        joints = len(skeleton.joint_names)
        shapes = {"rays": ["batch", "time", joints, 2], "score": ["batch", "time", joints], "size": ["batch", "time"]}
        self._inputs = [SimpleNamespace(name=k, shape=v) for k, v in shapes.items()]

    def get_inputs(self) -> Any:
        return self._inputs

    def get_modelmeta(self) -> Any:
        return SimpleNamespace(custom_metadata_map=self._meta)

    def get_providers(self) -> list[str]:
        return [f"torch-{self.device.split(':')[0]}"]

    def run(self, names: Any, inputs: dict[str, Any]) -> list[Any]:
        """Outputs of (B, T, ...) rays, scores and sizes, as the ONNX file's."""
        torch = self._torch
        half = self.device != "cpu"
        with torch.inference_mode(), torch.autocast(self.device.split(":")[0], torch.float16, enabled=half):
            out = self._net(*(torch.from_numpy(inputs[k]).to(self.device) for k in ("rays", "score", "size")))
        return [o.float().cpu().numpy() for o in out]


def torch_gpu(path: Path) -> str:
    """The device on which torch could run a checkpoint, "" if there is none: no torch, no GPU, no .safetensors."""
    if not path.with_suffix(".safetensors").is_file() or find_spec("torch") is None or find_spec("safetensors") is None:
        return ""
    if version("torch").endswith("+cpu"):  # it takes a second to load, and would say no
        return ""
    torch: Any = import_module("torch")
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else ""


def _on_torch(path: Path, device: str) -> TorchSession:
    weights = path.with_suffix(".safetensors")
    if not weights.is_file():
        raise MotionliftError(
            f"{weights}: not there", "torch needs it beside the .onnx file: export the checkpoint again"
        )
    try:
        return TorchSession(weights, device)
    except ImportError as error:
        raise MotionliftError(f"torch cannot be used ({error})", "pip install torch safetensors") from error
    except (KeyError, ValueError, OSError) as error:
        raise MotionliftError(f"{weights}: damaged ({error})", "Export the checkpoint again") from error
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise MotionliftError(f"torch cannot use {device} ({reason})", "Choose the CPU") from error


def _on_gpu(onnxruntime: Any, path: Path, provider: str, threads: int) -> Any:
    if provider not in onnxruntime.get_available_providers():
        raise MotionliftError(
            f"The installed ONNX Runtime does not know {GPUS.get(provider, provider)}",
            "Choose the CPU, or set up for the GPU",
        )
    if provider == "CUDAExecutionProvider" and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA's libraries lie in packages of their own
    session = _session(onnxruntime, path, [provider, CPU], threads)
    if session.get_providers()[0] != provider:  # it says so on stderr only, and goes on with the CPU
        raise MotionliftError(
            f"The GPU cannot be used: {GPUS[provider]} does not start", "Update the GPU's driver, or choose the CPU"
        )
    return session


def _session(onnxruntime: Any, path: Path, providers: list[str], threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if "DmlExecutionProvider" in providers:  # DirectML asks for both
        options.enable_mem_pattern = False
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    return onnxruntime.InferenceSession(str(path), options, providers=providers)


def _trial(session: Any) -> tuple[list[Any], float]:
    """Outputs for a few hundred made-up frames, and the seconds that the second run of them takes."""
    rng = np.random.default_rng(0)
    inputs: dict[str, Any] = {}
    for wanted in session.get_inputs():
        shape = [TRIAL_FRAMES if not isinstance(n, int) and i == 1 else n for i, n in enumerate(wanted.shape)]
        shape = [n if isinstance(n, int) else 1 for n in shape]
        inputs[wanted.name] = rng.uniform(0.1, 0.9, shape).astype(np.float32)
    session.run(None, inputs)
    begun = time.monotonic()
    outputs = session.run(None, inputs)
    return outputs, time.monotonic() - begun
