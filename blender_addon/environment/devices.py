"""Which GPU is here, and so which ONNX Runtime to install. Looks at files only: quick."""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from .plan import Plan, make_plan

CUDA_DRIVER = 580
"""NVIDIA's first driver that runs CUDA 13, which onnxruntime-gpu is built for."""
PROC = Path("/proc/driver/nvidia")


@dataclass(frozen=True)
class Device:
    """What was found.

    Attributes:
        name: such as "NVIDIA H200" or "CPU".
        variant: of the environment (plan.VARIANTS) that makes use of it.
        text: a sentence on it, without a full stop.
    """

    name: str
    variant: str
    text: str


def fitting_plan(wish: str, device: Device, bundles: Path | None) -> Plan:
    """What to install here, with its `reason`.

    "auto" takes what the extension brings along, else DirectML where that is the device's, as it is small. CUDA is
    not downloaded unasked: it is twelve times as large as all the rest, and of a capture's time the shipped network
    takes a few hundredths on the CPU.

    Args:
        wish: "auto", "cpu" or "gpu".
        bundles: as in `make_plan`.
    Raises:
        SetupError: nothing fits this platform and Python.
    """
    plain = make_plan("cpu", bundles)
    if device.variant == "cpu":
        return replace(plain, reason=f"{device.text}.")
    whole = make_plan(device.variant, bundles)
    if wish == "gpu" or (wish == "auto" and device.variant == "directml" and not plain.bundle):
        return replace(whole, reason=f"{device.text}.")
    if wish == "cpu":
        return replace(plain, reason=f"{device.text}, but the CPU was chosen.")
    more = f"choose GPU as device to have it, with {whole.download_megabytes} MB to download"
    return replace(
        plain, reason=f"{device.text}. For the network that comes with Motionlift the CPU is enough; {more}."
    )


def find_device(renderer: str = "") -> Device:
    """The fitting device. `renderer`: what the window system calls its GPU, where that is known."""
    if sys.platform == "darwin":
        return _apple(platform.machine())
    if sys.platform == "win32":
        root = Path(os.environ.get("SYSTEMROOT", "C:/Windows"))
        return _windows((root / "System32" / "nvcuda.dll").is_file(), renderer)
    return _linux(PROC)


def _apple(machine: str) -> Device:
    if machine == "arm64":
        return Device(
            "Apple GPU", "cpu", "Apple's chip: ONNX Runtime brings CoreML, which uses its GPU and neural engine"
        )
    return Device("CPU", "cpu", "An Intel Mac: networks run on the CPU")


def _windows(has_cuda: bool, renderer: str) -> Device:
    if has_cuda:
        return Device(renderer or "NVIDIA GPU", "cuda", f"{renderer or 'An NVIDIA GPU'}: CUDA can use it")
    name = renderer or "GPU"
    return Device(name, "directml", f"{name}: DirectML uses any GPU that Windows knows")


def _linux(proc: Path) -> Device:
    try:
        gpu = next(proc.glob("gpus/*/information")).read_text(errors="replace")
        driver = (proc / "version").read_text(errors="replace")
    except (OSError, StopIteration):
        return Device("CPU", "cpu", "No NVIDIA GPU was found: networks run on the CPU")
    model = re.search(r"Model:\s*(.+)", gpu)
    number = re.search(r"Module.*?\s(\d+)\.\d", driver)
    name = model[1].strip() if model else "NVIDIA GPU"
    if number and int(number[1]) < CUDA_DRIVER:
        old = f"its driver {number[1]} is older than {CUDA_DRIVER}, which CUDA 13 needs"
        return Device(name, "cpu", f"{name}: {old}; networks run on the CPU")
    return Device(name, "cuda", f"{name}: CUDA can use it")
