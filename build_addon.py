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
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lifter.detect import models

ROOT = Path(__file__).parent
ADDON = ROOT / "blender_addon"
LIFTER = ROOT / "lifter"
LOCK = ADDON / "environment" / "lock.json"
WHEELS = ROOT / "build" / "wheels"
"""Wheels are downloaded once."""
MOST_MEGABYTES = 250

TARGETS: dict[str, tuple[str, ...]] = {
    "linux-x64-py311": ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"),
    "linux-x64-py313": ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"),
    "windows-x64-py311": ("win_amd64",),
    "windows-x64-py313": ("win_amd64",),
    "macos-arm64-py311": ("macosx_14_0_arm64",),
    "macos-arm64-py313": ("macosx_14_0_arm64",),
    "macos-x64-py311": ("macosx_14_0_x86_64",),  # Blender 5 has no builds for Intel's Macs
}
"""Platforms and Pythons of Blender, with the tags of wheels that run there."""

BLENDERS = {"py311": ("4.2.0", "5.1.0"), "py313": ("5.1.0", None)}
"""Which Blender has which Python: from, and up to but without."""

LEFT_OUT = ("__pycache__", "nets", "demo", "*.safetensors", "*.pyc", ".*")
"""Of the lifter: the networks as torch has them, which run from ONNX files, and the clip of `motionlift demo`."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Builds and validates the Blender extension's zips.")
    parser.add_argument(
        "--offline-for", nargs="+", metavar="PLATFORM:PYTHON", default=[],
        help="such as windows-x64:3.11; of " + ", ".join(as_option(t) for t in TARGETS),
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="the offline zips of every platform")
    parser.add_argument("--online-only", action="store_true", help="no offline zip")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "dist", metavar="FOLDER")
    parser.add_argument("--lock", action="store_true", help="only choose the wheels anew, and write lock.json")
    args = parser.parse_args(argv)
    if args.lock:
        write_lock()
        return 0
    by_option = {as_option(target): target for target in TARGETS}
    unknown = [option for option in args.offline_for if option not in by_option]
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}; known: {', '.join(by_option)}")
    if args.all:
        targets = list(TARGETS)
    elif args.online_only:
        targets = []
    else:
        targets = [by_option[o] for o in args.offline_for] or [t for t in TARGETS if t.startswith(this_platform())]
    args.out.mkdir(parents=True, exist_ok=True)
    zips = [build_online(args.out), *(build_offline(target, args.out) for target in targets)]
    too_large = False
    for path in zips:
        validate(path)
        megabytes = path.stat().st_size / 1e6
        too_large |= megabytes > MOST_MEGABYTES
        say(f"{path}  {megabytes:.1f} MB  sha256 {sha256(path.read_bytes())}")
    if too_large:
        say(f"a zip is larger than {MOST_MEGABYTES} MB")
    return int(too_large)


def as_option(target: str) -> str:
    """linux-x64:3.11 of linux-x64-py311."""
    name, python = target.rsplit("-py", 1)
    return f"{name}:{python[0]}.{python[1:]}"


def this_platform() -> str:
    system = {"win32": "windows", "darwin": "macos"}.get(sys.platform, sys.platform)
    machine = platform.machine().lower()
    return f"{system}-{ {'amd64': 'x64', 'x86_64': 'x64', 'aarch64': 'arm64'}.get(machine, machine) }"


# The zips


def build_online(out: Path) -> Path:
    """For every platform and Blender: it downloads what it needs when Set up is pressed."""
    platforms = sorted({target.rsplit("-py", 1)[0] for target in TARGETS})
    path = out / f"motionlift-{version()}-online.zip"
    write_zip(path, sources() | {"blender_manifest.toml": manifest(platforms, BLENDERS["py311"][0], None)})
    return path


def build_offline(target: str, out: Path) -> Path:
    """For one platform and the Blenders of one Python: it needs no network at all."""
    name, python = target.rsplit("-", 1)
    first, beyond = BLENDERS[python]
    files = sources() | {"blender_manifest.toml": manifest([name], first, beyond)}
    files |= {f"wheels/{wheel.name}": wheel for wheel in fetch_wheels(target)}
    files |= {f"models/{name}": data for name, data in detector_models().items()}
    blenders = "blender-4.2-to-5.0" if beyond else "blender-5.1-on"
    path = out / f"motionlift-{version()}-offline-{name}-{blenders}.zip"
    write_zip(path, files)
    return path


def sources() -> dict[str, Path | bytes]:
    """The extension, and the lifter as data for its worker: names in the zip, and what they hold."""
    files: dict[str, Path | bytes] = {"LICENSE": ROOT / "LICENSE"}
    for folder, prefix in ((ADDON, ""), (LIFTER, "lifter/")):
        for path in folder.rglob("*"):
            inside = path.relative_to(folder)
            if path.is_file() and not any(Path(part).match(rule) for part in inside.parts for rule in LEFT_OUT):
                files[prefix + inside.as_posix()] = path
    return files


def manifest(platforms: list[str], first: str, beyond: str | None) -> bytes:
    """The manifest for some platforms, and Blenders from `first` up to but without `beyond`."""
    text = (ADDON / "blender_manifest.toml").read_text(encoding="utf-8")
    lines = [f'blender_version_min = "{first}"', *([f'blender_version_max = "{beyond}"'] if beyond else [])]
    lines.append(f"platforms = {json.dumps(platforms)}")
    text, count = re.subn(r"^blender_version_min = .*$", "\n".join(lines), text, flags=re.MULTILINE)
    assert count == 1
    return text.encode()


def version() -> str:
    found = re.search(
        r'^version = "(.+)"$', (ADDON / "blender_manifest.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert found
    return found[1]


def write_zip(path: Path, files: Mapping[str, Path | bytes]) -> None:
    """The same files give the same bytes: sorted, without dates, users or compression, which differs by zlib."""
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            content = files[name]
            archive.writestr(entry, content if isinstance(content, bytes) else content.read_bytes())
    partial.replace(path)


def validate(path: Path) -> None:
    """With the tool that Blender itself uses, out of the bpy module or by a `blender` on the PATH."""
    bpy = find_spec("bpy")
    tools = (
        Path(bpy.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py") if bpy and bpy.origin else ()
    )
    tool = next(iter(tools), None)
    if tool:
        command = [sys.executable, str(tool), "validate", str(path)]
    elif blender := shutil.which("blender"):
        command = [blender, "--command", "extension", "validate", str(path)]
    else:
        raise SystemExit('Nothing to validate with: pip install -e ".[blender]", or put Blender on the PATH')
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"{path} is not valid:\n{done.stdout}{done.stderr}")


def fetch_wheels(target: str) -> list[Path]:
    """The plain environment's wheels, from the cache or the index, each of the hash in lock.json."""
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    wheels = lock["targets"][target]["cpu"]
    download([(name, lock["wheels"][name]) for name in wheels], tags(target))
    return [WHEELS / name for name in wheels]


def detector_models() -> dict[str, bytes]:
    """The detector's models by file name, packed as lifter/detect/models.py does."""
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    download([(lock["model"], lock["wheels"][lock["model"]])], tags("linux-x64-py311"))
    wheel = (WHEELS / lock["model"]).read_bytes()
    out = {models.BUNDLE: models.make_bundle(wheel), models.HAND_BUNDLE: models.make_bundle(wheel, models.HAND_MODELS)}
    if [sha256(data) for data in out.values()] != [models.BUNDLE_SHA256, models.HAND_BUNDLE_SHA256]:
        raise SystemExit("The detector's models cannot be packed with the installed flatbuffers package")
    return out


def download(wheels: Iterable[tuple[str, Mapping[str, Any]]], options: list[str]) -> None:
    """Have in the cache; Raises SystemExit for what the index does not have or has otherwise."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    wheels = [
        (n, w) for n, w in wheels if not (WHEELS / n).is_file() or sha256((WHEELS / n).read_bytes()) != w["sha256"]
    ]
    if not wheels:
        return
    with tempfile.TemporaryDirectory(dir=WHEELS) as scratch:
        listed = Path(scratch) / "requirements.txt"
        listed.write_text("".join(f"{w['name']}=={w['version']} --hash=sha256:{w['sha256']}\n" for _, w in wheels))
        pip("download", "--no-deps", "--require-hashes", *options, "--dest", scratch, "-r", str(listed))
        for name, _ in wheels:
            (Path(scratch) / name).replace(WHEELS / name)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# The lock: which wheels an environment consists of


def requirements(target: str, variant: str) -> list[str]:
    """All that an environment needs; nothing else is installed. Versions as constraints.txt has them.

    MediaPipe also asks for matplotlib, sounddevice and a larger OpenCV: the lifter does without (worker/bootstrap.py).
    """
    wanted = [
        "numpy==2.3.4" if target.endswith("py313") else "numpy==1.26.4",
        "scipy==1.17.1",
        "opencv-python-headless==4.11.0.86",
        "absl-py==2.5.1",
        "flatbuffers==25.12.19",
        "packaging==26.3",
        "rtmlib==0.0.16",
        "tqdm==4.70.1",  # rtmlib imports it
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
    wheels: dict[str, dict[str, Any]] = {}
    targets: dict[str, dict[str, list[str]]] = {}
    for target in TARGETS:
        for variant in variants(target):
            found = resolve(target, requirements(target, variant))
            targets.setdefault(target, {})[variant] = sorted(found)
            wheels |= found
            say(f"{target} {variant}: {len(found)} wheels, {sum(w['size'] for w in found.values()) / 1e6:.0f} MB")
    [(model, facts)] = resolve("linux-x64-py311", [f"mediapipe=={models.RELEASE}"]).items()
    if (model, facts["sha256"]) != (models.WHEEL, models.WHEEL_SHA256):
        raise SystemExit(f"{model} is not the wheel that lifter/detect/models.py knows")
    lock = {"model": model, "targets": targets, "wheels": dict(sorted((wheels | {model: facts}).items()))}
    LOCK.write_text(json.dumps(lock, indent=1) + "\n", encoding="utf-8")
    say(f"wrote {LOCK}")


def resolve(target: str, wanted: list[str]) -> dict[str, dict[str, Any]]:
    """File name of each wheel: name, version, sha256, size."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        pip(
            *("install", "--dry-run", "--ignore-installed", "--no-deps", "--target", scratch, "--report", str(report)),
            *tags(target),
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


def tags(target: str) -> list[str]:
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
    raise SystemExit(main())
