"""Progress of a batch in a terminal: a line for each clip that has ended, and below them those that are under way.

Where nobody watches, in a log, only the former.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from .clip import Status
from .records import Record

REDRAW_SECONDS = 0.2
COLUMNS = f"{'clip':<32} {'state':<8} {'time':>8} {'frames':>7} {'people':>6} {'coverage':>8}  notes"


class Table:
    """What `run_batch` tells, drawn. `records` are those that have ended."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()
        self._total, self._width = total, len(str(total))
        self._begun, self._drawn, self._below = time.monotonic(), 0.0, 0
        self.records: list[Record] = []
        self._write([f"{'':>{2 * self._width + 3}} {COLUMNS}"])

    def ended(self, record: Record) -> None:
        self.records.append(record)
        self._write([f"[{len(self.records):>{self._width}}/{self._total}] {row(record)}"])

    def again(self, record: Record) -> None:
        told = record.error["what"] if record.error else "it was lost"
        self._write([f"{'':>{2 * self._width + 3}} {_short(record.name)} again: {told}"])

    def running(self, all_running: Sequence[Status], waiting: int) -> None:
        now = time.monotonic()
        if not self._live or now - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = now
        self._clear()
        width = shutil.get_terminal_size().columns - 1
        lines = [progress(s)[:width] for s in all_running] + [self._totals(len(all_running), waiting)[:width]]
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()
        self._below = len(lines)

    def close(self) -> None:
        self._clear()
        self._stream.flush()

    def _totals(self, running: int, waiting: int) -> str:
        counts = Counter(r.state for r in self.records)
        done = [f"{counts[state]} {state}" for state in ("done", "skipped", "failed")]
        spent = time.monotonic() - self._begun
        left = (running + waiting) * spent / counts["done"] if counts["done"] else None
        clock = "" if left is None else f", about {_time(left)} left"
        return f"{', '.join(done)}, {running} running, {waiting} waiting; {_time(spent)}{clock}"

    def _write(self, lines: list[str]) -> None:
        self._clear()
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()

    def _clear(self) -> None:
        if self._below:
            self._stream.write(f"\x1b[{self._below}A\x1b[J")
            self._below = 0


def row(record: Record) -> str:
    """A clip that has ended, in a line."""
    said: Mapping[str, Any] = record.summary if record.good else {}
    coverage = f"{100 * said['coverage']:.0f} %" if "coverage" in said else ""
    notes = record.told if record.good else [error_text(record)]
    note = f"{len(notes)} warnings: {notes[0]}" if len(notes) > 1 else "".join(notes)
    clock = "" if record.state == "skipped" else _time(record.seconds)
    numbers = f"{clock:>8} {said.get('frames', ''):>7} {said.get('people', ''):>6} {coverage:>8}"
    return f"{_short(record.name):<32} {record.state:<8} {numbers}  {plain(note)}".rstrip()


def error_text(record: Record) -> str:
    """What is wrong, why and what to do, in a line."""
    told = record.error or {"what": "It failed", "why": "", "remedy": ""}
    why = f" ({told['why']})" if told.get("why") else ""
    return f"{told['what']}{why}. {told['remedy']}".strip().rstrip(".") + "."


def progress(status: Status) -> str:
    """A clip that is under way, in a line."""
    bar = ""
    if status.total:
        filled = round(20 * min(1.0, status.done / status.total))
        bar = f"[{'#' * filled}{'.' * (20 - filled)}] {status.done}/{status.total}"
    rate = f"{status.rate:.1f} a second" if status.rate and status.stage == "detect" else ""
    return f"  {_short(status.name):<32} {status.stage:<8} {bar:<34} {rate}".rstrip()


def plain(text: str) -> str:
    """Without control characters, which a file's name may hold: they would reach the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _short(name: str) -> str:
    name = plain(name)
    return name if len(name) <= 32 else f"…{name[-31:]}"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
