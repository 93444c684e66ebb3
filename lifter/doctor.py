"""`motionlift doctor`: what is installed, which devices are seen, where models lie, what is missing.

Nothing but the standard library is imported here, and every package is imported in a process of its own: one
that is broken, or takes its process down, is reported like one that is absent.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from .detect.models import BUNDLE, WHEEL_MEGABYTES, cache_folder, is_whole

CHECKPOINTS = Path(__file__).parent / "checkpoints"
PATIENCE = 180.0
"""Seconds that an import may take; the first after an installation is slow."""


@dataclass(frozen=True)
class Package:
    """A package to look for.

    Attributes:
        distributions: names in the index that provide the module; two at once overwrite each other.
        remedy: the command that installs it.
        purpose: what it is for, if one can do without.
        version, detail: Python expressions of the imported module `m`: its version, and what else to tell.
    """

    module: str
    distributions: tuple[str, ...]
    remedy: str
    purpose: str = ""
    version: str = "m.__version__"
    detail: str = "''"


PACKAGES = (
    Package("numpy", ("numpy",), 'pip install "numpy>=1.26,<3"'),
    Package("scipy", ("scipy",), 'pip install "scipy>=1.11"'),
    Package(
        "cv2",
        ("opencv-contrib-python", "opencv-python", "opencv-contrib-python-headless", "opencv-python-headless"),
        "pip install opencv-contrib-python",
    ),
    Package(
        "onnxruntime",
        ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml"),
        "pip install onnxruntime",
        detail="'runs on ' + ', '.join(m.get_available_providers())",
    ),
    Package("mediapipe", ("mediapipe",), 'pip install "mediapipe>=0.10.30,<1.0"'),
    Package(
        "torch",
        ("torch",),
        'pip install -c constraints.txt -e ".[training]"',
        purpose="to train networks",
        detail="'runs on ' + ', '.join([m.cuda.get_device_name(i) for i in range(m.cuda.device_count())]"
        " + ['Apple GPU (mps)'] * m.backends.mps.is_available() + ['CPU'])",
    ),
    Package(
        "bpy",
        ("bpy",),
        'pip install -c constraints.txt -e ".[blender]"',
        purpose="to write .blend files without Blender",
        version="m.app.version_string",
        detail="'Blender as a module'",
    ),
)


def report() -> tuple[list[str], bool]:
    """Lines to print, and whether everything that capturing needs is there."""
    lines = [
        f"motionlift {_version('motionlift') or '(not installed, run from its folder)'}",
        f"  Python       {platform.python_version()}, {sys.executable}",
        f"  platform     {platform.platform()}, {os.cpu_count()} processors",
    ]
    missing: list[str] = []
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        missing.append("Python 3.11, 3.12 or 3.13: make a virtual environment with one of these")
    with ThreadPoolExecutor(4) as pool:
        for package, (works, text) in zip(PACKAGES, pool.map(probe, PACKAGES), strict=True):
            installed = [d for d in package.distributions if _version(d)]
            lines.append(f"  {package.module:<12} {text}{_provided(package, installed)}")
            if not works and package.purpose:
                lines[-1] += f"; only needed {package.purpose}: {package.remedy}"
            elif not works:
                missing.append(f"{package.module}: {package.remedy}")
            if len(installed) > 1:
                missing.append(
                    f"one {package.module} only, {' and '.join(installed)} overwrite each other: "
                    f"pip uninstall -y {' '.join(installed)}, then {package.remedy}"
                )
    if not is_fitting_mediapipe(_version("mediapipe")):
        remedy = next(p.remedy for p in PACKAGES if p.module == "mediapipe")
        missing.append(f"another MediaPipe (1.0 and later report usage figures to their maker): {remedy}")
    lines += _models(missing)
    lines += [f"MISSING  {what}" for what in missing] or ["everything that capturing needs is there"]
    return lines, not missing


def is_fitting_mediapipe(found: str) -> bool:
    """Whether a version is 0.10.30 or later and below 1.0. "" (not installed) fits: that is reported elsewhere."""
    numbers = [int(n) for n in found.split(".")[:3] if n.isdigit()]
    return not found or [0, 10, 30] <= numbers < [1]


def probe(package: Package) -> tuple[bool, str]:
    """Import a package in another process: (whether it works, its version or what is wrong)."""
    try:
        if find_spec(package.module) is None:
            return False, "not installed"
    except (ImportError, ValueError) as error:
        return False, f"broken: {error}"
    code = f"import json, {package.module} as m; print('\\n' + json.dumps([str({package.version}), {package.detail}]))"
    try:
        # -P: a file of that name in the current folder is not the package.
        done = subprocess.run(  # noqa: S603 (fixed commands)
            [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=PATIENCE, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"broken: {' '.join(str(error).split())}"
    if done.returncode < 0:
        return False, f"broken: importing it crashes Python ({_signal_name(-done.returncode)})"
    try:
        found, detail = cast(list[str], json.loads(done.stdout.strip().splitlines()[-1]))
    except (IndexError, ValueError):
        said = done.stderr.strip().splitlines()
        return False, f"broken: {said[-1] if said else f'importing it ends Python with code {done.returncode}'}"
    return True, f"{found}, {detail}" if detail else found


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _provided(package: Package, installed: Iterable[str]) -> str:
    """Which distributions provide a module, where its name does not say."""
    names = ", ".join(f"{name} {_version(name)}" for name in installed)
    return f" (from {names})" if names and len(package.distributions) > 1 else ""


def _version(distribution: str) -> str:
    """Of an installed distribution; "" where there is none."""
    try:
        return version(distribution) or ""  # a half-removed one has metadata without a version
    except (PackageNotFoundError, KeyError):
        return ""


def _models(missing: list[str]) -> list[str]:
    checkpoints = sorted(CHECKPOINTS.glob("*.onnx"))
    if not checkpoints:
        missing.append(f"the shipped checkpoint body.onnx in {CHECKPOINTS}: install Motionlift again")
    lines = [f"  checkpoint   {p.stem}, {_size(p)}, {p}" for p in checkpoints]
    bundle = cache_folder() / BUNDLE
    if is_whole(bundle):
        text = f"{_size(bundle)}, {bundle}"
    else:
        text = (
            f"{'damaged' if bundle.exists() else 'not there yet'}: the next capture fetches it "
            f"({WHEEL_MEGABYTES} MB, from the package index), or do so now: "
            f'python -c "from lifter.detect.models import pose_model; print(pose_model())"'
        )
    return [*lines, f"  pose model   {text}", f"  cache        {bundle.parent} (MOTIONLIFT_CACHE sets another)"]


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
