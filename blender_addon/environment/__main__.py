"""`python -m environment`: one job on stdin, messages on stdout, as the worker speaks them; then it ends.

    {"id": 1, "kind": "install", "folder": ..., "variant": "cpu", "bundles": ..., "online": true}
    {"id": 1, "kind": "check" or "remove", "folder": ...}

It also ends, and tidies up, when stdin closes: then whoever started it is gone.
"""

from __future__ import annotations

import _thread
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

from .install import SetupError, check, install, remove

GRACE_SECONDS = 10.0
"""So long may removing a half-made environment take when stdin has closed."""


def main() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    line = sys.stdin.buffer.readline()
    threading.Thread(target=_watch, args=(sys.stdin.buffer,), daemon=True).start()
    number: Any = None
    try:
        job = cast(dict[str, Any], json.loads(line))
        number = job["id"]
        _send({"id": number, "type": "done", "take": None, "summary": _do(job)})
    except KeyboardInterrupt:
        return 1
    except SetupError as error:
        said = {"what": error.what, "why": error.why, "remedy": error.remedy}
        _send({"id": number, "type": "error", **said})
    except Exception as error:
        what, why = "Setting up failed; this is a defect", f"{type(error).__name__}: {error}"
        said = {"what": what, "why": why, "remedy": "Report it with the file that was kept"}
        _send({"id": number, "type": "error", **said, "report": traceback.format_exc()})
    return 0


def _do(job: Mapping[str, Any]) -> dict[str, Any]:
    folder = Path(job["folder"])
    if job["kind"] == "remove":
        remove(folder)
        return {}
    progress = _progress(job["id"])
    if job["kind"] == "check":
        return check(folder, progress=progress)
    bundles = Path(job["bundles"]) if job["bundles"] else None
    return install(folder, job["variant"], bundles=bundles, online=job["online"], progress=progress)


def _progress(number: int) -> Callable[[str, int, int], None]:
    """Messages of a stage's progress, with rate and time left."""
    begun: dict[str, float] = {}

    def tell(stage: str, done: int, total: int) -> None:
        elapsed = time.monotonic() - begun.setdefault(stage, time.monotonic())
        rate = done / elapsed if done and elapsed > 0 else None
        left = max(0, total - done) / rate if rate and total else None
        said = {"stage": stage, "done": done, "total": total, "rate": rate, "left_s": left}
        _send({"id": number, "type": "progress", **said})

    return tell


def _send(message: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _watch(stdin: IO[bytes]) -> None:
    while stdin.readline():
        pass
    _thread.interrupt_main()
    time.sleep(GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    raise SystemExit(main())
