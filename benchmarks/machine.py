"""The heading of a benchmark file: date, commit, machine and command, as the machine prints them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path


def heading(title: str) -> str:
    """Markdown lines that say when, where and from which commit a benchmark was run."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    memory = ""
    if hasattr(os, "sysconf"):
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    spec = sys.modules["__main__"].__spec__
    command = f"python -m {spec.name if spec else Path(sys.argv[0]).stem} {' '.join(sys.argv[1:])}".strip()
    return (
        f"# {title}\n\n{datetime.now(UTC):%Y-%m-%d}, commit {done.stdout.strip()}, {model}, "
        f"{os.cpu_count()} cores{memory}, Python {platform.python_version()}\n\n    {command}\n"
    )
