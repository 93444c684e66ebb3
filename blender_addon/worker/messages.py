"""Jobs for the worker and the messages that come back, one JSON object a line each (docs/extension.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Job:
    """Something for the worker to do; make it with one of the functions below.

    Attributes:
        kind: "capture", "solve", "strip", "report", "fetch" or "doctor".
        fields: what else the job says, as JSON can.
        id: of no other job of this process; its messages carry it.
    """

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    id: int = field(default_factory=count(1).__next__)

    @property
    def output(self) -> Path | None:
        """The file that the job writes."""
        return Path(self.fields["output"]) if "output" in self.fields else None

    def line(self) -> bytes:
        """As it is sent. Raises ValueError or TypeError for fields that JSON cannot say."""
        return json.dumps({"id": self.id, "kind": self.kind, **self.fields}, allow_nan=False).encode() + b"\n"


def capture_job(footage: str | Path, output: str | Path, settings: Mapping[str, Any] = _NOTHING) -> Job:
    """Capture a clip into a take.

    Args:
        footage: a video file, a folder of images or a pattern such as shot/%04d.png.
        output: the take to write; its folder exists.
        settings: those of `lifter.capture` and of `lifter.SolveSettings`, in one: height, fov, smoothing, ...
            Left out: the default.
    """
    return Job("capture", {"footage": str(footage), "output": str(output), "settings": dict(settings)})


def solve_job(take: str | Path, output: str | Path, settings: Mapping[str, Any] = _NOTHING) -> Job:
    """Solve a take again, without its footage, into another file or the same.

    Args:
        settings: of `lifter.SolveSettings`. Left out: as the take has it.
    """
    return Job("solve", {"take": str(take), "output": str(output), "settings": dict(settings)})


def fetch_job(model: str, folder: Path) -> Job:
    """Download a network of a detector into a folder that exists; the `summary` of the message that comes back tells
    megabytes, sha256, and whether that was compared with a known one."""
    return Job("fetch", {"model": model, "output": str(folder / f"{model}.onnx")})


def doctor_job() -> Job:
    """Ask for versions, devices and checkpoints: the `summary` of the message that comes back."""
    return Job("doctor")


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Attributes:
        stage: "start", "fetch" (a model), "detect", "lift", "solve", "save"; of setting up "download", "unpack",
            "check".
        done, total: frames, people or megabytes; total is 0 where unknown.
        rate: done a second, None at the start.
        left_s: seconds until the stage ends, None where unknown.
    """

    id: int | None
    stage: str
    done: int
    total: int
    rate: float | None
    left_s: float | None


@dataclass(frozen=True)
class Warned:
    """Something to show; the job goes on."""

    id: int | None
    message: str


@dataclass(frozen=True)
class Failed:
    """The job has ended without a result, and what was there before is as it was.

    Attributes:
        what, why, remedy: a sentence each without a full stop; why may be empty.
        report: the text of a report that is worth sending to the makers; "" where it is none.
        report_file: where the report was kept.
    """

    id: int | None
    what: str
    why: str
    remedy: str
    report: str = ""
    report_file: Path | None = None

    @property
    def text(self) -> str:
        """All of it in one line."""
        why = f" ({self.why})" if self.why else ""
        kept = f" Report: {self.report_file}" if self.report_file else ""
        remedy = f" {self.remedy}{'' if self.remedy.endswith(('.', '?', '!')) else '.'}" if self.remedy else ""
        return f"{self.what}{why}.{remedy}{kept}"


@dataclass(frozen=True)
class Done:
    """The job has ended well.

    Attributes:
        take: the file that was written, None for jobs that write none.
        summary: of a take: people, frames, fps, coverage and confidence in 0..1, warnings. Of "doctor": python,
            version, packages, providers, detectors, checkpoints, pose_model, missing.
    """

    id: int | None
    take: Path | None
    summary: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Cancelled:
    """The job was ended by the user. Its take was not written, nor is anything half-written left."""

    id: int | None


@dataclass(frozen=True)
class Garbled:
    """A line that is no message; kept among the worker's last lines, and of no other effect."""

    text: str


Message = Progress | Warned | Failed | Done | Cancelled | Garbled
ENDINGS = (Failed, Done, Cancelled)
"""After one of these a job has ended."""


def parse(line: bytes | str) -> Message:
    """What the worker said. Never raises: a line that makes no sense is `Garbled`."""
    text = line.decode(errors="replace") if isinstance(line, bytes) else line
    try:
        said = json.loads(text)
        return _PARSERS[said["type"]](cast(dict[str, Any], said))
    except (ValueError, TypeError, KeyError, RecursionError):
        return Garbled(text.rstrip("\r\n")[:2000])


def _progress(said: dict[str, Any]) -> Message:
    return Progress(
        _id(said), _text(said["stage"]), _whole(said["done"]), _whole(said["total"]),
        _number(said["rate"]), _number(said["left_s"]),
    )  # fmt: skip


def _failed(said: dict[str, Any]) -> Message:
    return Failed(
        _id(said), _text(said["what"]), _text(said["why"]), _text(said["remedy"]), _text(said.get("report", ""))
    )


def _done(said: dict[str, Any]) -> Message:
    summary = said["summary"]
    if not isinstance(summary, dict):
        raise TypeError
    return Done(_id(said), None if said["take"] is None else Path(_text(said["take"])), cast(dict[str, Any], summary))


def _warned(said: dict[str, Any]) -> Message:
    return Warned(_id(said), _text(said["message"]))


_PARSERS = {"progress": _progress, "warning": _warned, "error": _failed, "done": _done}


def _id(said: dict[str, Any]) -> int | None:
    return None if said["id"] is None else _whole(said["id"])


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
