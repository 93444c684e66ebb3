"""Sports2D's TRC files of pixels, NAME_px_person00.trc: one file a person, markers by name, a row a frame.

TRC knows no scores: what is there has score 1. Files of markers in metres (NAME_m_person00.trc, Pose2Sim's own) hold no
places in the picture and are refused.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import numpy as np

from lifter.errors import MotionliftError
from lifter.structure import array

from .clip import LONGEST, Array, Found, KeypointClip, make_clip, make_found
from .names import place_names

PERSON = re.compile(r"(.*)_person([0-9]{1,4})\.trc")


def clips(path: Path) -> dict[str, list[Path]]:
    """Files of pixels in a folder, by clip, one a person; or the file alone."""
    if not path.is_dir():
        return {path.stem: [path]}
    keyed = sorted((m[1], int(m[2]), p) for p in path.glob("*.trc") if (m := PERSON.fullmatch(p.name)))
    pixels = [k for k in keyed if k[0].endswith("_px")] or keyed
    return {name: [p for _, _, p in group] for name, group in groupby(pixels, lambda k: k[0])}


def read(files: list[Path], layout: str) -> KeypointClip:
    """One clip from its people's files."""
    found: list[Found] = []
    frames: set[int] = set()
    rates: set[float] = set()
    for who, file in enumerate(files):
        fps, names, rows = _read(file)
        layout, order = place_names(names, layout, str(file))
        rates.add(fps)
        for row in rows:
            points = np.column_stack([row[2:].reshape(-1, 3)[:, :2], np.ones(len(names))])
            points[~np.isfinite(points).all(-1) | (points[:, :2] == 0).all(-1)] = (np.nan, np.nan, 0)
            numbers = np.vstack([points, [np.nan, np.nan, 0]])[order]
            found.append(make_found(round(row[1] * fps), numbers, who, where=str(file)))
            frames.add(found[-1].frame)
    path = files[0] if len(files) == 1 else files[0].parent
    if len(rates) > 1:
        raise MotionliftError(f"{path}: its files have different frame rates", "Keep the files of one clip in it")
    return make_clip(path, layout, found, sorted(frames), rates.pop())


def _read(file: Path) -> tuple[float, list[str], Array]:
    """Frame rate, names of markers, and (T, 2 + 3 M) frame, time and places, NaN where blank."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MotionliftError(f"{file}: cannot be read ({error})", "Check the path") from error
    damaged = MotionliftError(f"{file}: not a TRC file, or cut short", "Write it again")
    if len(lines) < 6 or not lines[0].startswith("PathFileType") or "DataRate" not in lines[1]:
        raise damaged
    facts = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=False))
    names = [n for n in lines[3].rstrip("\t").split("\t")[2:] if n]
    try:
        fps, listed = float(facts["DataRate"]), int(float(facts["NumFrames"]))
        cells = [[float(c) if c.strip() else np.nan for c in line.split("\t")] for line in lines[5:] if line.strip()]
    except (KeyError, ValueError, OverflowError):
        raise damaged from None
    width = 2 + 3 * len(names)
    # Trailing tabs are common.
    cells = [c[:width] if all(np.isnan(x) for x in c[width:]) else c for c in cells]
    if not 0 < fps < 10_000 or any(len(c) != width for c in cells) or not names:
        raise damaged
    if len(cells) != listed:
        raise MotionliftError(f"{file}: {len(cells)} frames, but its head says {listed}", "Write it again")
    rows = np.array(cells)
    array(rows[:, :2], ("T", 2), f"{file}, frames and times")
    if (rows[:, 1] < 0).any() or (rows[:, 1] * fps >= LONGEST).any() or (np.diff(rows[:, 1]) <= 0).any():
        raise MotionliftError(f"{file}: its times do not rise", "Write it again")
    places = rows[:, 2:].reshape(len(rows), -1, 3)[..., :2]
    if np.isinf(places).any():
        raise MotionliftError(f"{file}: numbers that are not finite", "Write it again")
    if np.isfinite(places).any() and np.nanmax(np.abs(places)) < 20:
        raise MotionliftError(
            f"{file}: markers in metres, not places in the picture",
            "Give Sports2D's file of pixels, ..._px_person00.trc",
        )
    return fps, names, rows
