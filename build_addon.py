"""Build the Blender extension: python build_addon.py [--offline-for PLATFORM:PYTHON ...] [--all] [-o dist].

One small online zip fits every platform; an offline zip, for one platform and Python, holds wheels and models too.
Without options: the online zip and the offline zips for this platform. Each is validated with Blender's own tool,
and the same sources give the same bytes. `--lock` chooses the wheels anew and writes them down with their hashes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
ADDON = ROOT / "blender_addon"
LOCK = ADDON / "environment" / "lock.json"

TARGETS: dict[str, tuple[str, ...]] = {
    "linux-x64-py311": ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"),
    "linux-x64-py313": ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"),
    "windows-x64-py311": ("win_amd64",),
    "windows-x64-py313": ("win_amd64",),
    "macos-arm64-py311": ("macosx_14_0_arm64",),
    "macos-arm64-py313": ("macosx_14_0_arm64",),
    "macos-x64-py311": ("macosx_14_0_x86_64",),  # Blender 5.0 left Intel's Macs
}
"""Platforms and Pythons of Blender, with the tags of wheels that run there."""


# The lock: which wheels an environment consists of


def requirements(target: str, variant: str) -> list[str]:
    """What an environment needs, all of it: nothing else is installed. Versions as in constraints.txt where it has them.

    MediaPipe also asks for matplotlib, sounddevice and a larger OpenCV: the lifter does without (worker/bootstrap.py).
    """
    wanted = [
        "numpy==2.3.4" if target.endswith("py313") else "numpy==1.26.4",
        "scipy==1.17.1",
        "opencv-python-headless==4.11.0.86",
        "absl-py==2.5.1",
        "flatbuffers==25.12.19",
        "packaging==26.3",
    ]
    if target == "macos-x64-py311":  # the last that were made for it
        return [*wanted, "mediapipe==0.10.21", "protobuf==5.29.6", "attrs==26.1.0", "onnxruntime==1.23.2"]
    wanted += ["mediapipe==0.10.33", "protobuf==7.36.2"]
    return (
        wanted
        + {
            "cpu": ["onnxruntime==1.31.1"],
            "directml": ["onnxruntime-directml==1.24.4"],
            "cuda": [
                "onnxruntime-gpu==1.31.1",
                "nvidia-cuda-nvrtc~=13.0",
                "nvidia-cuda-runtime~=13.0",
                "nvidia-cufft~=12.0",
                "nvidia-curand~=10.0",
                "nvidia-cudnn-cu13~=9.0",
                "nvidia-cublas~=13.0",
                "nvidia-nvjitlink~=13.0",
            ],
        }[variant]
    )


def variants(target: str) -> list[str]:
    return ["cpu", *(["cuda"] if "macos" not in target else []), *(["directml"] if "windows" in target else [])]


def write_lock() -> None:
    """Ask pip's index which wheels fit, and write them down with hashes and sizes. Needs the network."""
    sys.path.insert(0, str(ROOT))
    from lifter.detect import models

    wheels: dict[str, dict[str, Any]] = {}
    targets: dict[str, dict[str, list[str]]] = {}
    for target in TARGETS:
        for variant in variants(target):
            found = _resolve(target, requirements(target, variant))
            targets.setdefault(target, {})[variant] = sorted(found)
            wheels |= found
            say(f"{target} {variant}: {len(found)} wheels, {sum(w['size'] for w in found.values()) / 1e6:.0f} MB")
    [(model, facts)] = _resolve("linux-x64-py311", [f"mediapipe=={models.RELEASE}"]).items()
    if (model, facts["sha256"]) != (models.WHEEL, models.WHEEL_SHA256):
        raise SystemExit(f"{model} is not the wheel that lifter/detect/models.py knows")
    lock = {"model": model, "targets": targets, "wheels": dict(sorted((wheels | {model: facts}).items()))}
    LOCK.write_text(json.dumps(lock, indent=1) + "\n", encoding="utf-8")
    say(f"wrote {LOCK}")


def _resolve(target: str, wanted: list[str]) -> dict[str, dict[str, Any]]:
    """File name of each wheel: name, version, sha256, size."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        pip(
            *("install", "--dry-run", "--ignore-installed", "--no-deps", "--target", scratch, "--report", str(report)),
            *_tags(target),
            *wanted,
        )
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        url = item["download_info"]["url"]
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 (pip's own answer)
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            size = int(answer.headers["Content-Length"])
        found[url.rsplit("/", 1)[-1]] = {
            "name": item["metadata"]["name"],
            "version": item["metadata"]["version"],
            "sha256": item["download_info"]["archive_info"]["hashes"]["sha256"],
            "size": size,
        }
    return found


def _tags(target: str) -> list[str]:
    """pip's options for another platform and Python than the one at hand."""
    platforms = [option for tag in TARGETS[target] for option in ("--platform", tag)]
    version = target.rsplit("py", 1)[1]
    python = f"{version[0]}.{version[1:]}"
    return ["--only-binary=:all:", "--implementation", "cp", "--python-version", python, *platforms]


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, env={k: v for k, v in os.environ.items() if k != "PIP_CONSTRAINT"})  # noqa: S603
    if done.returncode:
        raise SystemExit(f"pip failed: {' '.join(command)}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    write_lock()
