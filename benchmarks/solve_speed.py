"""How long solving a take again takes: a minute of footage from the command line, and each stage of long takes.

python -m benchmarks.solve_speed --out benchmarks/solve_speed.md

The motion is of somebody who steps on the spot; how it looks does not matter to the time. Times are of the processor:
other work on the machine counts less.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from lifter import motion, skeleton
from lifter.camera import make_lens
from lifter.motion import SolveSettings, solve_people
from lifter.take import Camera, Person, Take, save_take

from .machine import heading

BODY = skeleton.load_skeleton("body")
LAYOUT = str(Path(skeleton.FOLDER) / "body.toml")
FPS = 30.0
STAGES = {
    "_smooth": "outliers and smoothing",
    "solve_rotations": "rotations",
    "solve_offsets": "bone lengths",
    "bend_limbs": "bent limbs",
    "forward_kinematics": "forward kinematics",
    "root_path": "root path",
    "believable": "contacts",
    "lock_feet": "foot lock",
    "matrix_to_quat": "quaternions",
}
"""Functions that motion.py calls, and what the table calls them."""


def walker(frames: int) -> Person:
    """Somebody who steps on the spot with jitter, filmed from the front; (frames,) of him."""
    at, rng = np.arange(frames) / FPS, np.random.default_rng(0)
    joints = np.repeat(BODY.rest[None].astype(np.float64), frames, 0)
    stands = np.zeros((frames, 4), bool)
    for n, side in enumerate("lr"):
        swing = np.sin(2 * np.pi * (at + n / 2))
        stands[:, 2 * n : 2 * n + 2] = (swing < 0)[:, None]
        lift = 0.1 * np.clip(swing, 0, None)
        for name, share in (("knee", 0.6), ("ankle", 1), ("heel", 1), ("toe", 1)):
            joints[:, BODY.joint(f"{side}_{name}"), 2] += share * lift
        joints[:, BODY.joint(f"{side}_knee"), 1] -= 0.05 + lift
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    seen = joints @ turn.T + [0, 0.9, 5.0]
    noisy = seen - seen[:, :1] + 0.01 * rng.normal(size=seen.shape)
    count = len(BODY.joint_names)
    return Person(
        frames=np.arange(frames, dtype=np.int32),
        times=at,
        state=np.ones(frames, np.uint8),
        swapped=np.zeros(frames, bool),
        keypoints=(seen[..., :2] / seen[..., 2:] * 1000 + [640, 360]).astype(np.float32),
        scores=np.ones((frames, count), np.float32),
        lifted=noisy.astype(np.float32),
        sigma=np.full((frames, count), 0.01, np.float32),
        contact=np.where(stands, 0.95, 0.05).astype(np.float32),
        down=np.tile(turn @ [0, 0, -1.0], (frames, 1)).astype(np.float32),
        joints_camera=seen.astype(np.float32),
        joints_world=joints.astype(np.float32),
        rotations=np.tile([1.0, 0, 0, 0], (frames, len(BODY.bones), 1)).astype(np.float32),
        offsets=np.zeros((count, 3), np.float32),
        stands=stands,
        outlier=np.zeros((frames, count), bool),
    )


def stages(frames: int, runs: int) -> dict[str, float]:
    """Seconds of each stage and of all, the run in which all took least."""
    person, best = walker(frames), dict[str, float]()
    for _ in range(runs):
        spent = dict.fromkeys(STAGES, 0.0)
        with ExitStack() as stack:
            for name in STAGES:
                stack.enter_context(patch.object(motion, name, timed(getattr(motion, name), name, spent)))
            begun = time.process_time()
            solve_people((person,), make_lens(1280, 720, focal=1000), BODY, LAYOUT, FPS, SolveSettings())
            whole = time.process_time() - begun
        found = {STAGES[k]: v for k, v in spent.items()}
        found |= {"the rest": whole - sum(spent.values()), "**all**": whole}
        best = found if not best or whole < best["**all**"] else best
    return best


def timed(function: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    """The function, which adds the seconds that it takes."""

    def wrapped(*args: Any, **more: Any) -> Any:
        begun = time.process_time()
        try:
            return function(*args, **more)
        finally:
            spent[name] += time.process_time() - begun

    return wrapped


def command(frames: int, runs: int) -> tuple[float, float]:
    """Seconds of `motionlift solve TAKE` from start to end, of processor and clock, the least of some runs."""
    header = {
        "version": 1,
        "fps": FPS,
        "source": {"path": None, "width": 1280, "height": 720, "frame_count": frames, "start": None, "end": None},
        "lens": {"focal": 1000.0, "center": [640.0, 360.0], "source": "given"},
        "detector": {"name": "keypoints", "layout": LAYOUT},
        "checkpoint": {"name": "body", "card": {}},
        "skeleton": BODY.to_dict(),
        "settings": asdict(SolveSettings()),
        "solve_warnings": [],
    }
    camera = Camera(np.eye(3), np.eye(3), np.zeros(3))
    found: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = save_take(Take(header, camera, (walker(frames),)), Path(folder) / "walk.take.npz")
        for _ in range(runs):
            clock, before = time.perf_counter(), sum(_children())
            subprocess.run([sys.executable, "-m", "lifter.cli", "solve", str(path)], check=True, capture_output=True)
            found.append((sum(_children()) - before, time.perf_counter() - clock))
    return min(found)


def _children() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime, used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--frames", type=int, nargs=2, default=(10_000, 100_000))
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    few, many = args.frames
    short, long = stages(few, args.runs), stages(many, 1)
    processor, clock = command(1800, args.runs)
    lines = [
        heading("Time of solving a take again"),
        "One person, one thread, default settings; seconds of the processor.",
        "",
        f"| stage | {few:,} frames | {many:,} frames | ratio |",
        "|---|---|---|---|",
    ]
    lines += [f"| {k} | {v:.2f} | {long[k]:.2f} | {long[k] / max(v, 1e-3):.1f} |" for k, v in short.items()]
    lines += [
        "",
        f"`motionlift solve TAKE` of 1,800 frames (a minute), start and files included: {processor:.2f} s of the "
        f"processor, {clock:.2f} s by the clock, the least of {args.runs}.",
        "",
    ]
    text = "\n".join(lines)
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
