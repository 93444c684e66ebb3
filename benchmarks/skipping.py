"""A detector that looks at every n-th frame only: what it costs in accuracy and saves in time (lifter/follow.py).

    python -m benchmarks.performers.render -o out/performers     once
    python -m benchmarks.skipping --out benchmarks/skipping.md

MediaPipe on the rendered performers. It follows people from frame to frame itself, and so loses by skipping what other
detectors do not. Keypoints in between are followed by optical flow, or drawn on straight lines to compare with.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

from lifter import follow
from lifter.detect import Detection, load_detector
from lifter.footage import open_footage, read_frames

from .capture import child, make_clip
from .clips import Clip, all_clips
from .detectors import Errors, Said, judge
from .machine import heading

STRAIGHT, FLOW = "straight lines", "optical flow"


def looked_at(clip: Clip, every: int) -> list[list[Detection]]:
    """What MediaPipe says of every n-th frame and the last; nobody in the others."""
    detector, frames = load_detector(), list(read_frames(open_footage(clip.path)))
    seen: list[list[Detection]] = [[] for _ in frames]
    for frame in frames:
        if frame.index % every == 0 or frame is frames[-1]:
            (seen[frame.index],) = detector.detect([frame])
    detector.close()
    return seen


def followed(clip: Clip, seen: Sequence[list[Detection]], every: int, way: str) -> list[list[Detection]]:
    """The same with everybody followed in between."""
    says = Said("again", "mediapipe33", seen)
    plain: Any = patch.object(follow, "_bends", lambda a, b, pictures, u: 0.0) if way == STRAIGHT else nullcontext()
    with plain:
        return [found for _, found in follow.detect_every(read_frames(open_footage(clip.path)), says, every)]


def error_lines(clips: Sequence[Clip], numbers: Sequence[int]) -> list[str]:
    found: dict[tuple[int, str], dict[str, Errors]] = {}
    for clip in clips:
        for every in numbers:
            seen = looked_at(clip, every)
            for way in (STRAIGHT, FLOW) if every > 1 else ("",):
                found.setdefault((every, way), {})[clip.name] = judge(
                    clip, "mediapipe33", followed(clip, seen, every, way)
                )
    rates = {c.name: open_footage(c.path).fps for c in clips}
    slow, fast = [n for n in rates if rates[n] < 45], [n for n in rates if rates[n] >= 45]
    lines: list[str] = []
    for names in (slow, fast):
        if not names:
            continue
        low, high = (f([rates[n] for n in names]) for f in (min, max))
        lines += [
            f"{', '.join(names)}, {low:.0f}{f' to {high:.0f}' if high > low else ''} frames/s:",
            "",
            "| every | ms apart | in between | 2D error, % of the height | found | MPJPE mm | P-MPJPE mm "
            "| acceleration error |",
            "|---" * 8 + "|",
        ]
        for (every, way), by_clip in found.items():
            mean = {n: float(np.mean([getattr(by_clip[c], n) for c in names])) for n in Errors.__dataclass_fields__}
            apart = float(np.mean([1000 * every / rates[n] for n in names]))
            lines.append(
                f"| {every} | {apart:.0f} | {way} | {100 * mean['share']:.2f} | {100 * mean['found']:.0f} % "
                f"| {mean['mpjpe']:.1f} | {mean['aligned']:.1f} | {mean['acceleration']:.2f} |"
            )
        lines.append("")
    return lines


def time_lines(clip: Path, numbers: Sequence[int], rounds: int) -> list[str]:
    took: dict[int, list[dict[str, Any]]] = {n: [] for n in numbers}
    for _ in range(rounds):
        for every in numbers:
            took[every].append(child("capture", clip, every))
    lines = [
        f"Time of `capture` on {clip.name} (1920 x 1080, two people; decoding bounds what skipping can save), medians "
        f"of {rounds} rounds in turn:",
        "",
        "| every | seconds | of the processor | to every frame |",
        "|---" * 4 + "|",
    ]
    for every, runs in took.items():
        ratio = median(r["seconds"] / f["seconds"] for r, f in zip(runs, took[numbers[0]], strict=True))
        lines.append(
            f"| {every} | {median(r['seconds'] for r in runs):.1f} | {median(r['processor'] for r in runs):.1f} "
            f"| {ratio:.2f} |"
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--performers", type=Path, default=Path("out/performers"))
    parser.add_argument("--clip", type=Path, help="footage for the time; else one is made (benchmarks/capture.py)")
    parser.add_argument("--every", type=int, nargs="+", default=(1, 2, 3, 4, 6))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--remark", default="", help="a sentence on what else the machine did")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    clips = [c for c in all_clips(args.performers) if c.rotations is not None]
    lines = [
        heading("Detecting in every n-th frame"),
        "Errors of the twelve limb joints as in detectors.md: 2D in all frames, the takes with lens and height known. "
        f"`--every auto` looks at least every {1000 * follow.LONGEST:.0f} ms."
        + (f" {args.remark}" if args.remark else ""),
        "",
        *error_lines(clips, args.every),
        *time_lines(args.clip or make_clip(Path("out/capture"), 4), args.every, args.rounds),
        "",
    ]
    text = "\n".join(lines)
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
