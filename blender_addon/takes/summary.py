"""What the list shows of a take, read from its file. NumPy only. The worker says the same of a take that it made."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..take_file import GAP, TakeError, TakeFile, read_take

SEEN = 1
"""Value of `state` where the detector saw somebody."""


@dataclass(frozen=True)
class Summary:
    """people: how many; frames: length; coverage, confidence: 0..1; warnings: sentences; footage: as it was captured;
    settings: those that it was solved with."""

    people: int
    frames: int
    fps: float
    coverage: float
    confidence: float
    warnings: tuple[str, ...]
    footage: str = ""
    settings: dict[str, Any] | None = None


def from_worker(said: dict[str, Any], footage: str) -> Summary:
    """From the `summary` of the worker's message."""
    return Summary(
        int(said["people"]),
        int(said["frames"]),
        float(said["fps"]),
        float(said["coverage"]),
        float(said["confidence"]),
        tuple(str(w) for w in said["warnings"]),
        footage,
    )


def read_summary(path: Path) -> Summary:
    """Raises TakeError for a file that is missing, damaged, older or newer."""
    take = read_take(path)
    header, scores = _header_and_scores(path, len(take.people))
    frames = np.unique(np.concatenate([p.frames for p in take.people])) if take.people else np.zeros(0, np.int32)
    length = int(frames[-1] - frames[0] + 1) if len(frames) else 0
    shown = np.unique(np.concatenate([p.frames[p.state != GAP] for p in take.people])) if take.people else frames
    coverage = len(shown) / length if length else 0.0
    confidence = _confidence(take, scores)
    warnings = [str(w) for key in ("warnings", "solve_warnings") for w in cast("list[object]", header.get(key, []))]
    if coverage < 0.9:
        warnings.append(f"Nobody is seen in {100 * (1 - coverage):.0f} % of the frames")
    if confidence < 0.5:
        warnings.append(f"The detector is unsure: its mean confidence is {100 * confidence:.0f} %")
    footage = str(take.footage) if take.footage else ""
    settings = cast("dict[str, Any]", header.get("settings", {}))
    return Summary(
        len(take.people), length, take.fps, round(coverage, 4), round(confidence, 4), tuple(warnings), footage, settings
    )


def read_settings(path: Path) -> dict[str, Any]:
    """What a take was solved with. Raises TakeError."""
    return cast("dict[str, Any]", _header_and_scores(path, 0)[0].get("settings", {}))


def _confidence(take: TakeFile, scores: list[NDArray[np.float32]]) -> float:
    seen = [s[p.state == SEEN].ravel() for s, p in zip(scores, take.people, strict=True)]
    every = np.concatenate(seen) if seen else np.zeros(0)
    return float(every.mean()) if len(every) else 0.0


def _header_and_scores(path: Path, people: int) -> tuple[dict[str, Any], list[NDArray[np.float32]]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            header = cast("dict[str, Any]", json.loads(str(archive["header"])))
            return header, [archive[f"people/{i}/scores"] for i in range(people)]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TakeError(f"{path}: damaged, or not a take ({error}). Capture the clip again.") from error
