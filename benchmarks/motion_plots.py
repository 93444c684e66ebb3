"""The plots of docs/world-motion.md: feet with contacts, a path from above, a rotation before and after.

python -m benchmarks.motion_plots     needs matplotlib; reads what benchmarks.motion keeps in out/motion
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np

from lifter.capture import solve
from lifter.motion import SolveSettings
from lifter.take import Person

from .clips import ROOT, all_clips
from .measures import align_on_floor
from .motion import BODY, HIPS, NO_FEET, POINTS, Motion, Sample, kept_clips, rendered_sample, simulated_sample, solved

mpl.use("Agg")
from matplotlib import pyplot as plt


def placed(sample: Sample, motion: Motion) -> np.ndarray:
    """(T, J, 3) joints turned about the vertical and moved along the floor onto the truth."""
    turn, shift = align_on_floor(motion.joints.reshape(-1, 3), sample.truth.reshape(-1, 3))
    return motion.joints @ turn.T + shift * [1, 1, 0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=ROOT / "out" / "performers")
    parser.add_argument("--corpus", type=Path, default=ROOT.parent / "shared" / "data" / "mocap")
    parser.add_argument("--cache", type=Path, default=ROOT / "out" / "motion")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    walk = rendered_sample(next(c for c in all_clips(args.clips) if c.name == "walk"), args.cache)
    assert walk is not None
    far = simulated_sample(next(c for c in kept_clips(args.corpus, args.cache) if c.name == "navigate"), args.cache)
    feet(walk, args.out / "motion_feet.png")
    path(far, args.out / "motion_path.png")
    rotation(walk, args.out / "motion_rotation.png")
    return 0


def settings_of(sample: Sample) -> SolveSettings:
    return SolveSettings(height=sample.take.header["settings"]["height"])


def feet(sample: Sample, file: Path) -> None:
    settings = settings_of(sample)
    before, after = solved(sample.take, replace(settings, **NO_FEET)), solved(sample.take, settings)
    point, fps = 0, sample.take.fps
    time = np.arange(len(sample.truth)) / fps
    fig, (height, speed) = plt.subplots(2, 1, figsize=(7, 4), sharex=True, layout="constrained")
    for motion, name, color in ((before, "smoothed", "C1"), (after, "feet locked", "C0")):
        z = motion.joints[:, POINTS[point]]
        height.plot(time, 100 * z[:, 2], color, label=name, lw=1.2)
        speed.plot(time[1:], 100 * np.linalg.norm(np.diff(z, axis=0), axis=-1) * fps, color, lw=1.2)
    true = sample.truth[:, POINTS[point]]
    height.plot(time, 100 * true[:, 2], "k--", label="truth", lw=0.8)
    speed.plot(time[1:], 100 * np.linalg.norm(np.diff(true, axis=0), axis=-1) * fps, "k--", lw=0.8)
    stands = after.locked[:, point] if after.locked is not None else np.zeros(len(time), bool)
    for axis in (height, speed):
        axis.fill_between(time, 0, 1, where=stands, transform=axis.get_xaxis_transform(), color="C0", alpha=0.15, lw=0)
    height.set_ylabel("left heel, cm")
    speed.set_ylabel("its speed, cm/s")
    speed.set_xlabel("seconds; shaded: stands")
    height.legend(fontsize=8, ncols=3)
    fig.savefig(file, dpi=90)
    plt.close(fig)


def path(sample: Sample, file: Path) -> None:
    settings = settings_of(sample)
    fig, axis = plt.subplots(figsize=(4.5, 4), layout="constrained")
    for change, name, color in ((NO_FEET, "by reprojection alone", "C1"), ({}, "with contacts and lock", "C0")):
        root = placed(sample, solved(sample.take, replace(settings, **change)))[:, HIPS].mean(1)
        axis.plot(root[:, 0], root[:, 1], color, label=name, lw=1.2)
    true = sample.truth[:, HIPS].mean(1)
    axis.plot(true[:, 0], true[:, 1], "k--", label="truth", lw=0.8)
    axis.plot(*true[0, :2], "ko", ms=4)
    axis.set_aspect("equal")
    axis.set_xlabel("m")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    fig.savefig(file, dpi=90)
    plt.close(fig)


def rotation(sample: Sample, file: Path) -> None:
    settings = settings_of(sample)
    bone = [b.name for b in BODY.bones].index("l_shin")

    def bend(person: Person) -> np.ndarray:
        """Degrees between thigh and shin."""
        hip, knee, ankle = (person.joints_world[:, BODY.joint(f"l_{n}")] for n in ("hip", "knee", "ankle"))
        a, b = knee - hip, ankle - knee
        cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
        return np.degrees(np.arccos(np.clip(cosine, -1, 1)))

    fig, (knee, turn) = plt.subplots(2, 1, figsize=(7, 4), sharex=True, layout="constrained")
    time = np.arange(len(sample.truth)) / sample.take.fps
    for change, name, color in (({"strength": 0.0, **NO_FEET}, "before", "C1"), ({}, "after", "C0")):
        person = solve(sample.take, replace(settings, **change)).people[0]
        knee.plot(time, bend(person), color, label=name, lw=1.2)
        turn.plot(time, person.rotations[:, bone, 1], color, lw=1.2)
    knee.set_ylabel("left knee, degrees")
    turn.set_ylabel("left shin, quaternion x")
    turn.set_xlabel("seconds")
    knee.legend(fontsize=8)
    fig.savefig(file, dpi=90)
    plt.close(fig)


if __name__ == "__main__":
    raise SystemExit(main())
