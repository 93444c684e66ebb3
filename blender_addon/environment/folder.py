"""The environment's folder: what is installed in it, and how processes are started with it.

packages/         of the worker, as wheels hold them
models/           of the detector; $MOTIONLIFT_CACHE of the worker
installed.json    written last: a folder without it is none
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from .plan import Plan, SetupError, make_plan, this_target

ADDON = Path(__file__).parents[1]
BOOTSTRAP = ADDON / "worker" / "bootstrap.py"
RECORD = "installed.json"


@dataclass(frozen=True)
class Installed:
    """What installed.json says.

    Attributes:
        target, variant: as in `Plan`.
        wheels: file names, sorted.
        megabytes: of the whole folder, when it was installed.
    """

    target: str
    variant: str
    wheels: tuple[str, ...]
    megabytes: int


@dataclass(frozen=True)
class State:
    """Whether captures can run.

    Attributes:
        ready: the worker can be started.
        current: it is also what this version of the extension wants.
        text: a sentence for the user.
    """

    ready: bool
    current: bool
    text: str
    installed: Installed | None = None


def read_state(folder: Path) -> State:
    """What is in an environment's folder. Reads one small file."""
    try:
        said = cast(dict[str, Any], json.loads((folder / RECORD).read_text(encoding="utf-8")))
        wheels = tuple(str(w) for w in said["wheels"])
        installed = Installed(str(said["target"]), str(said["variant"]), wheels, int(said["megabytes"]))
    except FileNotFoundError:
        if not folder.exists() or not any(folder.iterdir()):
            return State(False, False, "Not set up yet")
        return State(False, False, "The environment is damaged: repair it")
    except (OSError, ValueError, TypeError, KeyError):
        return State(False, False, "The environment is damaged: repair it")
    if installed.target != this_target():
        text = f"The environment is for {installed.target}, this is {this_target()}: set it up again"
        return State(False, False, text, installed)
    with contextlib.suppress(SetupError):
        if installed.wheels == wheel_names(make_plan(installed.variant)):
            return State(True, True, f"Ready, {installed.variant}, {installed.megabytes} MB", installed)
    return State(True, False, "Works, but this version of Motionlift has newer packages: repair it", installed)


def wheel_names(plan: Plan) -> tuple[str, ...]:
    return tuple(sorted(w.file for w in plan.wheels))


def worker_command(python: str, folder: Path) -> tuple[str, ...]:
    """What starts the worker. `python`: Blender's own (`sys.executable`); nothing is written to it."""
    return process_command(python, "lifter.worker", lifter_sources(), folder / "packages")


def worker_variables(folder: Path) -> dict[str, str]:
    """Environment variables for the worker."""
    return {"MOTIONLIFT_CACHE": str(folder / "models")}


def setup_command(python: str) -> tuple[str, ...]:
    """What starts the process that sets up, checks and removes environments."""
    return process_command(python, "environment", ADDON)


def process_command(python: str, module: str, sources: Path, packages: Path | None = None) -> tuple[str, ...]:
    """A module in a process that sees nothing but its sources and packages (worker/bootstrap.py)."""
    paths = [str(p) for p in (sources, packages) if p]
    return (python, "-I", "-S", "-X", "utf8", str(BOOTSTRAP), module, *paths)


def lifter_sources() -> Path:
    """The folder that has lifter/ in it: the extension's own, or that of the repository."""
    return ADDON if (ADDON / "lifter").is_dir() else ADDON.parent


def leftovers(folder: Path, of: int | None = None) -> Iterator[Path]:
    """What setting up, or the process of that number alone, has left beside the folder when it was killed."""
    number = "*" if of is None else of
    with contextlib.suppress(OSError):
        yield from folder.parent.glob(f".{folder.name}.new-{number}-*")
        yield from folder.parent.glob(f".{folder.name}.old-{number}")


def remove_leftovers(folder: Path, of: int | None = None) -> None:
    """Bring back the environment if its exchange was broken off, and remove the rest.

    of: the process that did it; the next one may be at work already.
    """
    for path in sorted(leftovers(folder, of)):
        if ".old-" in path.name and (path / RECORD).is_file() and not folder.exists():
            path.rename(folder)
        else:
            shutil.rmtree(path, ignore_errors=True)
