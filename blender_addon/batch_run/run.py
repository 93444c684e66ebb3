"""All clips of a batch on this machine: several at once, each in processes of its own, those that were lost twice."""

from __future__ import annotations

import os
import time
import traceback
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from .clip import Plan, Status, do_clip
from .clips import Clip
from .records import Record, remove_leftovers

ATTEMPTS = 2
GIB_A_CLIP = 1.5
"""Memory that a clip is reckoned with: a capture of 1080p and Blender's module after it."""


class Watcher(Protocol):
    """Told of what happens: table.py draws it."""

    def running(self, all_running: Sequence[Status], waiting: int) -> None: ...
    def ended(self, record: Record) -> None: ...
    def again(self, record: Record) -> None: ...


@dataclass(eq=False)
class _Running:
    clip: Clip
    attempt: int
    status: Status
    steps: Generator[None, None, Record]


def run_batch(clips: Sequence[Clip], plan: Plan, jobs: int, watcher: Watcher) -> list[Record]:
    """Do the clips, `jobs` at a time. One record a clip, in their order.

    A clip that is bad fails and the others go on; one whose process was lost is tried once more, after the others.
    KeyboardInterrupt ends all processes; what was not done is left for the next time.
    """
    remove_leftovers(plan.out)
    waiting = deque((clip, 1) for clip in clips)
    running: list[_Running] = []
    records: dict[str, Record] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    clip, attempt = waiting.popleft()
                    status = Status(clip.name)
                    running.append(_Running(clip, attempt, status, do_clip(clip, plan, status, pool)))
                ended = [(each, record) for each in running if (record := _step(each))]
                for each, record in ended:
                    running.remove(each)
                    if record.lost and each.attempt < ATTEMPTS:
                        waiting.append((each.clip, each.attempt + 1))
                        watcher.again(record)
                        continue
                    records[each.clip.name] = record
                    watcher.ended(record)
                if not ended:
                    watcher.running([each.status for each in running], len(waiting))
                    time.sleep(0.03)
        finally:
            for each in running:
                each.steps.close()
    return [records[clip.name] for clip in clips]


def _step(each: _Running) -> Record | None:
    """Let a clip go on; its record when it has ended."""
    try:
        next(each.steps)
        return None
    except StopIteration as end:
        record: Record = end.value
        return record if record.state == "skipped" else replace(record, attempts=each.attempt)
    except Exception as error:  # a defect of ours costs one clip, too
        return failed_by_defect(each.clip, error, each.attempt)


def failed_by_defect(clip: Clip, error: Exception, attempt: int = 1) -> Record:
    why = traceback.format_exception(error)[-1].strip()
    told = {"what": "Motionlift failed; this is a defect", "why": why, "remedy": "Report it"}
    return Record(str(clip.path), clip.name, "failed", error=told, attempts=attempt)


def default_jobs() -> int:
    """One clip a core, as far as memory goes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = available_gib()
    return max(1, cores if memory is None else min(cores, int(memory / GIB_A_CLIP)))


def available_gib() -> float | None:
    """Memory that can be had, None where the system does not say so in a file."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) / 2**20
    except (OSError, KeyError, ValueError):
        return None
