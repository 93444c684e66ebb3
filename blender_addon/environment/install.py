"""Setting an environment up: fetch wheels or take those of the extension, check their hashes, unpack, try.

All of it happens in a folder beside the final one, which is exchanged at the end: a killed process leaves nothing
half-done in its place. Wheels are zip files; unpacked like that they need no installer and run no code. pip, which
downloads them, is the one that Python carries for ensurepip, and knows the user's index, proxy and certificates.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, cast

from .folder import RECORD, remove_leftovers, wheel_names, worker_command, worker_variables
from .plan import INDEX, Plan, SetupError, Wheel, make_plan

Progress = Callable[[str, int, int], None]
"""Called with a stage, how much is done and how much there is, in megabytes where it is about files."""

PATIENCE = 300.0
"""Seconds that the first start of the worker may take; virus scanners look at every file."""
MARGIN_MEGABYTES = 100


def install(
    folder: Path, variant: str = "cpu", *, bundles: Path | None = None, online: bool = False, progress: Progress
) -> dict[str, Any]:
    """Set up an environment in `folder`, in place of one that is there; returns what the worker's doctor says of it.

    Args:
        variant: one of plan.VARIANTS.
        bundles: the folder with wheels/ and models/, of an offline extension.
        online: whether downloading is allowed, as Blender's preferences have it.
    Raises:
        SetupError: with what to do. Whatever was in `folder` is as it was.
    """
    plan = make_plan(variant, bundles)
    if plan.bundle is None and not online:
        raise SetupError(
            "Packages would have to be downloaded, and online access is off",
            "",
            "Allow online access in Blender's preferences (System), or install the offline version of Motionlift",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    _check_space(folder.parent, plan)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.new-{os.getpid()}-"))
    try:
        source = _from_bundle(plan, work) if plan.bundle else _download(plan, work / "wheels", progress)
        _unpack_all(plan.wheels, source, work / "packages", progress)
        variables = worker_variables(work)
        if plan.bundle is None:
            variables |= {"MOTIONLIFT_MEDIAPIPE_WHEEL": str(source / plan.model.file)}
        report = check(work, variables, progress)
        if plan.bundle is None:
            shutil.rmtree(source)
        _record(plan, work)
        _exchange(work, folder)
    except OSError as error:
        raise _explain(error, folder) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return report


def check(folder: Path, variables: dict[str, str] | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Start the worker of an environment and have it load everything; returns what its doctor says.

    Raises SetupError for whatever does not work.
    """
    if progress:
        progress("check", 0, 1)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment |= worker_variables(folder) | (variables or {})
    with tempfile.TemporaryFile() as complaints:
        worker = subprocess.Popen(  # noqa: S603 (our own command)
            worker_command(sys.executable, folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment,
        )
        assert worker.stdin and worker.stdout
        killer = threading.Timer(PATIENCE, worker.kill)
        killer.start()
        try:
            # A worker that dies at once is told by its exit code below, not by the pipe that it leaves broken.
            with contextlib.suppress(BrokenPipeError):
                worker.stdin.write(b'{"id": 1, "kind": "doctor", "thorough": true}\n{"kind": "shutdown"}\n')
                worker.stdin.flush()
            lines = worker.stdout.read().splitlines()
        except OSError:  # it has ended before it listened
            lines = list[bytes]()
        finally:
            killer.cancel()
            worker.kill()
            code = worker.wait()
            with contextlib.suppress(BrokenPipeError):
                worker.stdin.close()
            worker.stdout.close()
        complaints.seek(0)
        said = complaints.read().decode(errors="replace").strip().splitlines()
    try:
        answer = cast(dict[str, Any], json.loads(lines[0]))
        missing = cast(list[str], answer["summary"]["missing"])
    except (IndexError, ValueError, KeyError, TypeError) as error:
        why = said[-1] if said else f"its process ended with code {code}"
        raise SetupError("The environment does not work", why, _REPAIR) from error
    if missing:
        raise SetupError("The environment does not work", "; ".join(missing), _REPAIR)
    if progress:
        progress("check", 1, 1)
    return answer["summary"]


_REPAIR = "Repair it; if that does not help, report this with the name of your system"


def remove(folder: Path) -> None:
    """Remove an environment. Raises SetupError where it is in use."""
    remove_leftovers(folder)
    if folder.exists():
        try:
            gone = folder.with_name(f".{folder.name}.old-{os.getpid()}")
            (folder / RECORD).unlink(missing_ok=True)  # else leftovers would be brought back
            _rename(folder, gone)
            shutil.rmtree(gone)
        except OSError as error:
            raise _explain(error, folder) from error


# Steps


def _check_space(folder: Path, plan: Plan) -> None:
    needed = plan.disk_megabytes + 2 * plan.download_megabytes + MARGIN_MEGABYTES
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < needed:
        raise SetupError(
            f"The disk has too little space: {needed} MB are needed, {free} MB are free", str(folder), "Free some space"
        )


def _from_bundle(plan: Plan, work: Path) -> Path:
    """Copy the detector's models; where the wheels are."""
    assert plan.bundle
    shutil.copytree(plan.bundle / "models", work / "models")
    return plan.bundle / "wheels"


def _download(plan: Plan, folder: Path, progress: Progress) -> Path:
    """Have pip download the wheels, and nothing but what the lock's hashes allow."""
    folder.mkdir()
    pip = find_pip()
    common = ("download", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-cache-dir", "--quiet")
    quiet = ("--disable-pip-version-check", "--no-input", "--progress-bar=off", "--timeout=20", "--retries=2")
    # The model is data inside a wheel for another platform.
    tags = (
        "--python-version",
        "3.11",
        "--implementation",
        "cp",
        "--abi",
        "cp311",
        "--platform",
        "manylinux_2_28_x86_64",
    )
    total = plan.download_megabytes
    for wheels, more in ((plan.wheels, ()), ((plan.model,), tags)):
        listed = folder / "requirements.txt"
        listed.write_text(
            "".join(f"{w.name}=={w.version} --hash=sha256:{w.sha256}\n" for w in wheels), encoding="utf-8"
        )
        command = [*pip, *common, *quiet, *more, "--dest", str(folder), "-r", str(listed)]
        said = _run_pip(command, folder, lambda done: progress("download", min(done, total), total))
        absent = [w.file for w in wheels if not (folder / w.file).is_file()]
        if absent:
            raise _explain_pip(said, absent)
    return folder


def find_pip() -> list[str]:
    """The command of a pip that Blender's Python can run: the one of ensurepip, or one that is installed."""
    ensurepip = find_spec("ensurepip")
    if ensurepip and ensurepip.origin:
        bundled = sorted((Path(ensurepip.origin).parent / "_bundled").glob("pip-*.whl"))
        if bundled:
            return [sys.executable, "-I", str(bundled[-1] / "pip")]
    installed = [sys.executable, "-I", "-m", "pip"]
    if subprocess.run([*installed, "--version"], capture_output=True).returncode == 0:  # noqa: S603
        return installed
    raise SetupError(
        "Packages cannot be downloaded", f"{sys.executable} has no pip", "Install the offline version of Motionlift"
    )


def _run_pip(command: list[str], folder: Path, progress: Callable[[int], None]) -> str:
    """What pip said. A download that is broken off leaves no process behind."""
    # pip downloads to the folder for temporary files: in there its progress can be seen. What the user has set for
    # installing (a constraint, a target) is not about this.
    unwanted = ("PIP_CONSTRAINT", "PIP_TARGET", "PIP_REQUIREMENT", "PIP_REQUIRE_VIRTUALENV", "PIP_USER", "PIP_PREFIX")
    environment = {k: v for k, v in os.environ.items() if k not in unwanted and not k.startswith("PYTHON")}
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    with (folder / "pip.log").open("w+b") as log:
        pip = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603
        try:
            while pip.poll() is None:
                progress(_bytes_in(folder) // 1_000_000)
                time.sleep(0.2)
        finally:
            pip.kill()
            pip.wait()
        log.seek(0)
        return log.read().decode(errors="replace")


def _bytes_in(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # pip may have removed it meanwhile
            size += path.stat().st_size
    return size


def _explain_pip(said: str, absent: Iterable[str]) -> SetupError:
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or [f"pip left out {', '.join(absent)}"]
    if "No space left" in said or "Errno 28" in said:
        return SetupError("The disk is full", errors[-1], "Free some space and set up again")
    if "HASHES" in said or "hashes" in errors[-1]:
        return SetupError(
            "A package is not the one that is expected", errors[0], f"Do not use this index; ask who runs it ({INDEX})"
        )
    return SetupError(
        "Packages could not be downloaded",
        " ".join(errors[0].split()),
        "Check the connection and pip's settings for proxy and index, or install the offline version of Motionlift",
    )


def _unpack_all(wheels: Iterable[Wheel], source: Path, packages: Path, progress: Progress) -> None:
    wheels = tuple(wheels)
    total, done = sum(w.size for w in wheels), 0
    packages.mkdir()
    for wheel in wheels:
        progress("unpack", done // 1_000_000, total // 1_000_000)
        check_hash(source / wheel.file, wheel.sha256)
        unpack_wheel(source / wheel.file, packages)
        done += wheel.size
    progress("unpack", total // 1_000_000, total // 1_000_000)


def check_hash(path: Path, sha256: str) -> None:
    """Raises SetupError for a file that is missing or another one than is expected."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise SetupError(f"{path.name} is missing", "", "Install the extension again") from error
    if found != sha256:
        raise SetupError(
            f"{path.name} is damaged, or not the file that is expected", f"its SHA-256 is {found}", "Get it again"
        )


def unpack_wheel(wheel: Path, folder: Path) -> None:
    """Put a wheel's packages into a folder; its scripts, headers and data are left out.

    Raises SetupError for a file that would land elsewhere.
    """
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            parts = PurePosixPath(entry.filename).parts
            link = stat.S_ISLNK(entry.external_attr >> 16)
            if not parts or link or any(p in ("..", "/") or "\\" in p or ":" in p for p in parts):
                raise SetupError(f"{wheel.name} holds {entry.filename!r}, which a wheel must not", "", "Do not use it")
            if parts[0].endswith(".data"):
                if len(parts) < 3 or parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            target = folder.joinpath(*parts)
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)


def _record(plan: Plan, work: Path) -> None:
    said = {
        "target": plan.target,
        "variant": plan.variant,
        "wheels": wheel_names(plan),
        "megabytes": _bytes_in(work) // 1_000_000,
    }
    (work / RECORD).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def _exchange(work: Path, folder: Path) -> None:
    """Put the new folder in the place of the old one, or leave the old one there."""
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    if folder.exists():
        _rename(folder, old)
    try:
        _rename(work, folder)
    except OSError:
        if old.exists():
            _rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _rename(old: Path, new: Path) -> None:
    """Windows refuses for as long as a virus scanner, or a process that just ended, has a file in there open."""
    for seconds in (0.1, 0.3, 1.0, 3.0):
        try:
            old.rename(new)
            return
        except PermissionError:
            time.sleep(seconds)
    old.rename(new)


def _explain(error: OSError, folder: Path) -> SetupError:
    why = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupError("The disk is full", why, "Free some space and set up again")
    if isinstance(error, PermissionError):
        what = f"{folder}: cannot be exchanged or written"
        return SetupError(what, why, "Let captures end, close other Blender windows, and check the folder's rights")
    return SetupError(f"{folder}: cannot be written", why, "Check the disk and the folder's rights")
