"""Detections of footage that was captured before, kept in files: another lens or checkpoint needs no detector again.

A file is named by a hash of all that detections depend on: the footage's files with their sizes and dates, the range,
the detector, its options, its release and which frames it looks at. Writing one too many removes those that were used
least lately.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from lifter.clothes import PARTS
from lifter.errors import MotionliftError
from lifter.footage import Footage
from lifter.hands import SeenHands, no_hands, stack_hands

from . import Detection
from .models import cache_folder, write_whole

FORMAT = 3
"""Counted up when what detectors or `BackgroundWatch` say of the same pictures changes by our own code."""


@dataclass(frozen=True)
class Detected:
    """What was found in footage.

    Attributes:
        indices, times: number and seconds of each frame.
        people: of each frame, who is in it.
        warning: what the background says of the camera; None for nothing.
    """

    indices: list[int]
    times: list[float]
    people: list[list[Detection]]
    warning: str | None = None


def folder() -> Path:
    return cache_folder() / "detections"


def key(
    footage: Footage,
    start: float | None,
    end: float | None,
    detector: str,
    options: dict[str, Any],
    watched: bool,
    every: int = 1,
) -> str:
    """A name for what will be found by a detector that looks at every n-th frame. Raises OSError where the footage is
    gone."""
    stats = [(str(p.absolute()), p.stat()) for p in footage.files or (footage.path,)]
    try:
        release = version(detector)
    except PackageNotFoundError:
        release = ""
    said = {
        "format": FORMAT,
        "files": [(name, s.st_size, s.st_mtime_ns) for name, s in stats],
        "range": (start, end),
        "detector": (detector, release, sorted(options.items())),
        "watched": watched,
        "every": every,
    }
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:32]


def load(name: str) -> Detected | None:
    """What was kept under a key; None where nothing was, or where the file is damaged."""
    path = folder() / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {n: file[n] for n in file.files}
        found = _unpack(arrays)
    except (OSError, ValueError, KeyError, BadZipFile, EOFError):
        return None
    with suppress(OSError):
        os.utime(path)  # used just now
    return found


def keep(name: str, found: Detected, megabytes: int) -> None:
    """Write a file, and remove the oldest until all are below so many megabytes. That it cannot be written harms
    nobody: the next capture takes longer."""
    data = io.BytesIO()
    np.savez(data, allow_pickle=False, **_pack(found))
    with suppress(OSError, MotionliftError):
        if data.tell() <= megabytes * 1e6:
            folder().mkdir(parents=True, exist_ok=True)
            write_whole(folder() / f"{name}.npz", data.getvalue())
        shrink(megabytes)


def shrink(megabytes: int) -> None:
    """Remove files, the oldest first, until all are below so many megabytes. Raises OSError."""
    if not folder().is_dir():
        return
    files = sorted(((p.stat().st_mtime, p.stat().st_size, p) for p in folder().glob("*.npz")), reverse=True)
    total = 0
    for _, size, path in files:
        total += size
        if total > megabytes * 1e6:
            path.unlink()


def _pack(found: Detected) -> dict[str, Any]:
    """People of all frames in a row, (M, K, ...), and how many each frame has. What is missing is all NaN."""
    people = [d for each in found.people for d in each]
    count = len(people[0].score) if people else 0
    nothing = np.full((count, 3), np.nan, np.float32)
    unseen = np.full((len(PARTS), 3), np.nan, np.float32)
    return {
        "indices": np.array(found.indices, np.int64),
        "times": np.array(found.times, np.float64),
        "counts": np.array([len(each) for each in found.people], np.int64),
        "xy": np.array([d.xy for d in people], np.float32).reshape(-1, count, 2),
        "score": np.array([d.score for d in people], np.float32).reshape(-1, count),
        "world": np.array([nothing if d.world is None else d.world for d in people], np.float32).reshape(-1, count, 3),
        "has_world": np.array([d.world is not None for d in people], bool),
        "colours": np.array([unseen if d.colours is None else d.colours for d in people], np.float32).reshape(
            -1, len(PARTS), 3
        ),
        "has_colours": np.array([d.colours is not None for d in people], bool),
        "warning": np.array(found.warning or ""),
        **_pack_hands(people),
    }


def _pack_hands(people: list[Detection]) -> dict[str, Any]:
    """Hands of all people, where they were looked for."""
    if all(d.hands is None for d in people):
        return {}
    hands = stack_hands([d.hands or no_hands() for d in people])
    out: dict[str, Any] = {f"hands_{f.name}": getattr(hands, f.name) for f in fields(SeenHands)}
    return out | {"has_hands": np.array([d.hands is not None for d in people])}


def _unpack(arrays: dict[str, Any]) -> Detected:
    every = [
        Detection(xy, score, world if has else None)
        for xy, score, world, has in zip(
            arrays["xy"], arrays["score"], arrays["world"], arrays["has_world"], strict=True
        )
    ]
    if "hands_score" in arrays:
        hands = SeenHands(**{f.name: arrays[f"hands_{f.name}"] for f in fields(SeenHands)})
        every = [replace(d, hands=hands.at(i)) if arrays["has_hands"][i] else d for i, d in enumerate(every)]
    dressed = zip(every, arrays["colours"], arrays["has_colours"], strict=True)
    every = [replace(d, colours=colours) if has else d for d, colours, has in dressed]
    counts = arrays["counts"]
    if int(counts.sum()) != len(every) or not len(counts) == len(arrays["indices"]) == len(arrays["times"]):
        raise ValueError("counts that do not fit")
    ends = np.cumsum(counts)
    people = [every[end - n : end] for n, end in zip(counts, ends, strict=True)]
    return Detected(arrays["indices"].tolist(), arrays["times"].tolist(), people, str(arrays["warning"]) or None)
