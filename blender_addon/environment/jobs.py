"""Setting up from Blender: jobs for a `Worker` that runs `setup_command`. It does one job and ends.

setup = Worker(setup_command(sys.executable), {}, log_folder, tidy=partial(remove_leftovers, folder))
setup.submit(install_job(folder, "cpu", online=bpy.app.online_access))
"""

from __future__ import annotations

from pathlib import Path

from ..worker.messages import Job
from .folder import ADDON


def install_job(folder: Path, variant: str, *, online: bool, bundles: Path | None = ADDON) -> Job:
    """Set up, repair or exchange the environment in `folder`. Its `Done.summary` is the doctor's.

    Args:
        variant: one of plan.VARIANTS.
        online: whether packages may be downloaded.
        bundles: where an offline extension has wheels/ and models/; used if they are there and fit.
    """
    fields = {"folder": str(folder), "variant": variant, "online": online, "bundles": str(bundles) if bundles else None}
    return Job("install", fields)


def check_job(folder: Path) -> Job:
    """Try everything in the environment. Its `Done.summary` is the doctor's."""
    return Job("check", {"folder": str(folder)})


def remove_job(folder: Path) -> Job:
    """Remove the environment."""
    return Job("remove", {"folder": str(folder)})
