"""Where a take was repaired, or has nothing: gaps, filled frames, outliers, exchanged sides. NumPy only."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ..take_file import GAP, TakeError, read_joint_names

FILLED = 2
"""Value of `state` where a short gap was filled."""

Kind = Literal["gap", "filled", "outlier", "swapped"]
KINDS: dict[Kind, str] = {
    "gap": "not seen, without keys",
    "filled": "short gaps, filled",
    "outlier": "joints that jumped, smoothed over",
    "swapped": "left and right exchanged, put right",
}
"""What is marked, in words."""

Spell = tuple[int, int]
"""First and last of a run of frames, the take's numbers."""


@dataclass(frozen=True)
class Repairs:
    """Of one person: how many frames there are; the runs of each kind; and in how many frames each joint jumped."""

    frames: int
    spells: dict[Kind, tuple[Spell, ...]]
    joints: tuple[tuple[str, int], ...]

    def count(self, kind: Kind) -> int:
        """How many frames."""
        return sum(last - first + 1 for first, last in self.spells[kind])

    def at(self, frame: int) -> list[Kind]:
        """What is marked at a frame."""
        return [k for k, spells in self.spells.items() if any(a <= frame <= b for a, b in spells)]


def read_repairs(path: Path) -> tuple[Repairs, ...]:
    """Of every person of a take; reads small arrays alone. Raises TakeError."""
    out: list[Repairs] = []
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = read_joint_names(str(archive["header"]))
            while (key := f"people/{len(out)}") + "/state" in archive.files:
                frames, state = archive[f"{key}/frames"], archive[f"{key}/state"]
                found = {n: _flags(archive, f"{key}/{n}") for n in ("outlier", "swapped")}
                out.append(repairs(frames, state, found["outlier"], found["swapped"], names))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TakeError(f"{path}: damaged, or not a take ({error}). Capture the clip again.") from error
    return tuple(out)


def _flags(archive: Any, key: str) -> NDArray[np.bool_] | None:
    """Takes of early versions lack some."""
    return cast("NDArray[np.bool_]", archive[key]).astype(bool) if key in archive.files else None


def repairs(
    frames: NDArray[np.int32],
    state: NDArray[np.uint8],
    outlier: NDArray[np.bool_] | None,
    swapped: NDArray[np.bool_] | None,
    names: tuple[str, ...],
) -> Repairs:
    """Of (T,) frame numbers and states, (T, J) outliers and (T,) exchanged sides, where there are such."""
    none = np.zeros(len(frames), bool)
    shown = state != GAP
    wrong = none[:, None] if outlier is None else outlier & shown[:, None]
    flags: dict[Kind, NDArray[np.bool_]] = {
        "gap": ~shown,
        "filled": state == FILLED,
        "outlier": wrong.any(1),
        "swapped": none if swapped is None else swapped & shown,
    }
    spells = {kind: _spells(frames, flag) for kind, flag in flags.items()}
    counts = wrong.sum(0) if outlier is not None else np.zeros(0, int)
    joints = tuple((names[j], int(counts[j])) for j in np.argsort(-counts, kind="stable") if counts[j] > 0)
    return Repairs(len(frames), spells, joints)


def _spells(frames: NDArray[np.int32], flag: NDArray[np.bool_]) -> tuple[Spell, ...]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flag, [False]]).astype(np.int8)))
    return tuple((int(frames[a]), int(frames[b - 1])) for a, b in edges.reshape(-1, 2))


def told(found: Repairs, kind: Kind, shift: int = 0, most: int = 3) -> str:
    """Such as "12 frames: 20-29, 41, 50 and 3 more", with `shift` added to the take's numbers; "" where there are
    none."""
    spells = found.spells[kind]
    if not spells:
        return ""
    places = [f"{a + shift}-{b + shift}" if b > a else str(a + shift) for a, b in spells[:most]]
    more = f" and {len(spells) - most} more" if len(spells) > most else ""
    count = found.count(kind)
    return f"{count} frame{'s' if count > 1 else ''}: {', '.join(places)}{more}"


def next_mark(found: tuple[Repairs, ...], frame: int, forwards: bool) -> int | None:
    """The nearest beginning of a spell, of anybody, after a frame or before it; the take's numbers."""
    starts = sorted({a for each in found for spells in each.spells.values() for a, _ in spells})
    if forwards:
        return next((a for a in starts if a > frame), None)
    return next((a for a in reversed(starts) if a < frame), None)
