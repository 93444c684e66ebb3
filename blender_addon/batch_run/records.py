"""What has been done: one record a clip, by the contents of everything that its results depend on.

A record is written after the results that it speaks of, and every file under a temporary name that is then renamed:
whenever a batch is killed, what is said to be done is done and whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

FOLDER = ".motionlift"
"""Of records and strips, in the folder of the results."""
TAKE = ".take.npz"

State = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class Record:
    """What came of a clip.

    Attributes:
        clip: its path; name: of its results.
        state: done by this batch, skipped because it was done before, or failed.
        stamp: what the file system said of the clip, and `content` the SHA-256 of what is in it.
        take_key: hash of all that the take depends on; file_keys: of each file written from it.
        files: written, relative to the folder of the results, the take first.
        summary: what the worker says of the take: people, frames, fps, coverage, confidence, warnings.
        warnings: of keying rigs.
        error: what, why, remedy of a failure; None if there was none.
        lost: whether its process was lost, rather than the clip being bad: it is worth trying again.
        seconds: that it took; attempts: 2 where it was tried again; where: the machine.
    """

    clip: str
    name: str
    state: State
    stamp: str = ""
    content: str = ""
    take_key: str = ""
    file_keys: Mapping[str, str] = field(default_factory=dict[str, str])
    files: tuple[str, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict[str, Any])
    warnings: tuple[str, ...] = ()
    error: Mapping[str, str] | None = None
    lost: bool = False
    seconds: float = 0.0
    attempts: int = 1
    where: str = field(default_factory=socket.gethostname)

    @property
    def good(self) -> bool:
        return self.state != "failed"

    @property
    def told(self) -> list[str]:
        """Warnings of capturing and of keying rigs; of a clip that failed none."""
        of_take = self.summary.get("warnings", ())
        return [str(w) for w in (*of_take, *self.warnings)] if self.good else []


def record_file(out: Path, name: str) -> Path:
    return out / FOLDER / f"{name}.json"


def strip_file(out: Path, name: str) -> Path:
    """The row of pictures that the contact sheet shows."""
    return out / FOLDER / f"{name}.jpg"


def read_record(out: Path, name: str) -> Record | None:
    """None where there is none that makes sense: the clip is then done anew."""
    try:
        said = json.loads(record_file(out, name).read_text(encoding="utf-8"))
        known = {f.name for f in fields(Record)}
        values: dict[str, Any] = {k: v for k, v in said.items() if k in known}
        for name in ("files", "warnings"):
            values[name] = tuple(str(v) for v in values.get(name, ()))
        sound = isinstance(values["file_keys"], dict) and isinstance(values["summary"], dict)
        return Record(**values) if sound else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_record(out: Path, record: Record) -> None:
    """Raises OSError."""
    write_whole(record_file(out, record.name), json.dumps(asdict(record), indent=1).encode())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it; its folder is made. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = temporary(path)
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def key_of(parts: Mapping[str, Any]) -> str:
    """Hash of what results depend on, as JSON can say it."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


_numbers = iter(range(1 << 62))


def temporary(path: Path) -> Path:
    """A name beside a file for writing it, of no other process on any machine. It keeps the suffix."""
    stem, dot, suffix = path.name.partition(".")
    return path.with_name(f".{stem}.~{_host()}-{os.getpid()}-{next(_numbers)}{dot}{suffix}")


def remove_leftovers(out: Path) -> None:
    """Remove what batches on this machine that were killed have left half-written under temporary names."""
    mine = re.compile(rf"\..*\.~{re.escape(_host())}-(\d+)-\d+\..*")
    for folder, _, names in os.walk(out):
        for name in names:
            found = mine.fullmatch(name)
            if found and not _alive(int(found[1])):
                with contextlib.suppress(OSError):
                    Path(folder, name).unlink()


def remove_parts_of(out: Path, names: Iterable[str]) -> None:
    """Remove what is half-written of clips with which all is over, on whatever machine that was."""
    for name in names:
        for path in (out / f"{name}{TAKE}", strip_file(out, name)):
            start = f".{path.name.partition('.')[0]}.~"
            with contextlib.suppress(OSError):
                for part in [p for p in path.parent.iterdir() if p.name.lstrip(".").startswith(start[1:])]:
                    part.unlink()


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", socket.gethostname())[:40] or "host"


def _alive(pid: int) -> bool:
    if os.name == "nt":  # asking would end it there
        return pid == os.getpid()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
