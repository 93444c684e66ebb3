"""What networks run on: ONNX Runtime's execution providers behind the words "auto", "cpu" and "gpu"."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .errors import MotionliftError

DEVICES = ("auto", "cpu", "gpu")
GPUS = {"CUDAExecutionProvider": "CUDA", "DmlExecutionProvider": "DirectML", "CoreMLExecutionProvider": "CoreML"}
"""Providers that run networks on a GPU, best first, and what they are called."""
CPU = "CPUExecutionProvider"

TRIAL_FRAMES = 256
TOLERANCE = 0.01
"""How far a GPU's outputs may be from the CPU's: of metres, a centimetre."""


def open_session(path: Path, device: str = "auto", threads: int = 0) -> Any:
    """An onnxruntime.InferenceSession.

    "auto" tries the GPU, if the installed ONNX Runtime knows one, beside the CPU, and takes it where it says the
    same and is faster; "gpu" insists on it. Raises MotionliftError for an unknown device, without a GPU that can be
    used, and without ONNX Runtime. Errors of ONNX Runtime about the file pass through.
    """
    if device not in DEVICES:
        raise MotionliftError(f"Unknown device {device!r}", f"Use one of {', '.join(DEVICES)}")
    try:
        onnxruntime: Any = import_module("onnxruntime")
    except ImportError as error:
        raise MotionliftError(f"ONNX Runtime cannot be loaded ({error})", "pip install onnxruntime") from error
    available = [p for p in GPUS if p in onnxruntime.get_available_providers()]
    if device == "gpu":
        return _on_gpu(onnxruntime, path, available, threads)
    plain = _session(onnxruntime, path, [CPU], threads)
    if device == "cpu" or not available:
        return plain
    try:
        fast = _on_gpu(onnxruntime, path, available, threads)
        (expected, seconds), (found, fast_seconds) = _trial(plain), _trial(fast)
    except Exception:  # whatever a driver may do: there is the CPU
        return plain
    same = all(np.abs(a - b).max() < TOLERANCE for a, b in zip(expected, found, strict=True))
    return fast if same and fast_seconds < seconds else plain


def device_name(session: Any) -> str:
    """What a session runs on: "CPU", "CUDA", ..."""
    return GPUS.get(session.get_providers()[0], "CPU")


def _on_gpu(onnxruntime: Any, path: Path, available: list[str], threads: int) -> Any:
    if not available:
        raise MotionliftError("The installed ONNX Runtime knows no GPU", "Choose the CPU, or set up for the GPU")
    provider = available[0]
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
