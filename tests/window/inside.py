"""Runs inside the Blender that run.py drives: does what it is told by files, and measures how long the window stalls.

A command is a file N.py in $MOTIONLIFT_WINDOW; what it assigns to `result` is written to N.json.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from pathlib import Path
from typing import Any

import bpy

FOLDER = Path(os.environ["MOTIONLIFT_WINDOW"])
state: dict[str, Any] = {"next": 1, "last": time.perf_counter(), "gaps": [], "times": []}


def serve() -> float:
    """Called by Blender's timers as often as its main loop comes around."""
    now = time.perf_counter()
    gap = now - state["last"]
    state["gaps"].append(gap)
    command = FOLDER / f"{state['next']}.py"
    if command.exists():
        scope: dict[str, Any] = {"bpy": bpy, "state": state, "result": None}
        try:
            exec(compile(command.read_text(encoding="utf-8"), command.name, "exec"), scope)
            said = {"result": scope["result"]}
        except Exception:
            said = {"error": traceback.format_exc()}
        answer = FOLDER / f"{state['next']}.json"
        answer.with_suffix(".part").write_text(json.dumps(said), encoding="utf-8")
        answer.with_suffix(".part").replace(answer)
        state["next"] += 1
    state["last"] = time.perf_counter()
    return 0.002


bpy.context.preferences.view.show_splash = False
bpy.app.timers.register(serve, first_interval=1.0, persistent=True)
