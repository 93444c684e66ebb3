"""A worker that captures and fetches nothing, for tests: a clip is a text that says what is to happen.

"good": a take. "bad": an error. "crash": the process is killed, "crash once" only the first time. "hang": nothing more
is heard. "slow": a take after some seconds. $FAKE_OFFLINE: networks cannot be fetched.
Every job is written down in $FAKE_LOG.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def capture(number: int, clip: Path, output: Path) -> None:
    try:
        text = clip.read_text()
    except OSError:
        say(id=number, type="error", what=f"{clip}: no such file", why="", remedy="Check the path")
        return
    once = clip.with_suffix(".crashed")
    if text == "bad":
        say(id=number, type="error", what=f"{clip}: nobody is seen", why="", remedy="Choose another clip")
        return
    if text == "crash" or (text == "crash once" and not once.exists()):
        once.touch()
        output.with_name(f".{output.name}.abcd1234").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    if text == "hang":
        time.sleep(600)
    if text == "slow":
        half = output.with_name(f".{output.name}.abcd1234")
        half.write_text("half")
        time.sleep(3)
        half.unlink(missing_ok=True)
    say(id=number, type="progress", stage="detect", done=1, total=2, rate=1.0, left_s=1.0)
    output.write_text(f"take of {text}")
    summary = {"people": 1, "frames": 20, "fps": 30.0, "coverage": 1.0, "confidence": 0.8, "warnings": []}
    say(id=number, type="done", take=str(output), summary=summary)


def fetch(number: int, output: Path) -> None:
    if os.environ.get("FAKE_OFFLINE"):
        say(id=number, type="error", what=f"{output.stem} could not be fetched", why="", remedy="Connect")
        return
    say(id=number, type="progress", stage="fetch", done=1, total=56, rate=1.0, left_s=1.0)
    output.write_text("network")
    say(id=number, type="done", take=None, summary={"megabytes": 56, "sha256": "5" * 64, "compared": True})


for line in sys.stdin:
    job = json.loads(line)
    with Path(os.environ["FAKE_LOG"]).open("a") as log:
        log.write(f"{job['kind']} {job.get('model') or Path(job.get('footage', job.get('take'))).name}\n")
    if job["kind"] == "fetch":
        fetch(job["id"], Path(job["output"]))
    elif job["kind"] == "capture":
        capture(job["id"], Path(job["footage"]), Path(job["output"]))
    else:
        Path(job["output"]).write_text(f"{job['kind']} of {Path(job['take']).read_text()}")
        say(id=job["id"], type="done", take=None, summary={})
