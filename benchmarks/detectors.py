"""Detectors side by side: licence, size, time a frame at 1080p, and errors in 2D and 3D on the rendered performers.

    python -m benchmarks.performers.render -o out/performers     once
    python -m benchmarks.detectors --out benchmarks/detectors.md

A detector whose package or networks are not on this computer keeps its row, without figures: fetch the networks
(`motionlift models fetch NAME`) and run again. Every performer is gone through frame by frame by each detector; its
take is captured with lens and height known. Compared are the twelve joints that every layout has.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifter.capture import capture
from lifter.detect import Detection, Detector, load_detector
from lifter.detect.models import BUNDLE, cache_folder
from lifter.detect.rtm_models import find_model, known_model
from lifter.errors import MotionliftError
from lifter.footage import Frame, open_footage, read_frames
from lifter.metrics import compare
from lifter.skeleton import keypoints_to_joints, layout_keypoints, load_skeleton

from .capture import AT_ONCE, make_clip
from .clips import Clip, all_clips, person_size
from .machine import heading

Array = NDArray[np.float64]

LIMBS = [f"{s}_{j}" for j in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for s in "lr"]
BODY = load_skeleton()


@dataclass(frozen=True)
class Candidate:
    """A row. networks: names in lifter/detect/rtm_models.py."""

    label: str
    detector: str
    options: dict[str, Any] = field(default_factory=dict)
    networks: tuple[str, ...] = ()


CANDIDATES = (
    Candidate("MediaPipe, one person", "mediapipe"),
    Candidate("MediaPipe, up to three", "mediapipe", {"people": 3}),
    Candidate("RTMPose-m, 26 keypoints", "rtmpose", {"model": "rtmpose-m-26"}, ("yolox-m", "rtmpose-m-26")),
    Candidate("RTMPose-m with YOLOX-tiny", "rtmpose", {"finder": "yolox-tiny"}, ("yolox-tiny", "rtmpose-m-26")),
    Candidate("RTMPose-x, 26 keypoints", "rtmpose", {"model": "rtmpose-x-26"}, ("yolox-m", "rtmpose-x-26")),
    Candidate("RTMW-m, whole body", "rtmw", {"model": "rtmw-m-133"}, ("yolox-m", "rtmw-m-133")),
    Candidate("RTMW-x, whole body", "rtmw", {"model": "rtmw-x-133"}, ("yolox-m", "rtmw-x-133")),
    Candidate("RTMO-s", "rtmo", {"model": "rtmo-s-17"}, ("rtmo-s-17",)),
    Candidate("RTMO-m", "rtmo", {"model": "rtmo-m-17"}, ("rtmo-m-17",)),
)


class Said:
    """A detector that says again what was seen, by the number of the frame."""

    batch = 1

    def __init__(self, name: str, layout: str, seen: Sequence[list[Detection]]) -> None:
        self.name, self.layout, self._seen = name, layout, seen

    def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        """See `lifter.detect.Detector.detect`."""
        return [self._seen[f.index] for f in frames]

    def close(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True)
class Errors:
    """Of one detector on one clip.

    Attributes:
        pixels, share: mean error of the joints in 2D, in pixels and as a part of the body's height in the picture.
        found: part of the frames in which the person is found.
        mpjpe, aligned, acceleration: of the take, mm, mm after Procrustes alignment, m/s^2.
    """

    pixels: float
    share: float
    found: float
    mpjpe: float
    aligned: float
    acceleration: float


def judge(clip: Clip, layout: str, seen: Sequence[list[Detection]]) -> Errors:
    """Errors of what was seen of a clip of known truth, and of the take that comes of it."""
    wanted = [clip.column(n) for n in LIMBS]
    mine = [BODY.joint(n) for n in LIMBS]
    frames = min(len(seen), len(clip.pixels))
    off = np.full((frames, len(LIMBS)), np.nan)
    for i in range(frames):
        if seen[i]:
            xy, score = keypoints_to_joints(
                np.stack([d.xy for d in seen[i]]), np.stack([d.score for d in seen[i]]), layout, BODY
            )
            away = np.linalg.norm(np.where(score[..., None] > 0, xy, np.nan)[:, mine] - clip.pixels[i, wanted], axis=-1)
            middle = np.nanmedian(np.where(np.isfinite(away).any(1)[:, None], away, np.inf), axis=1)
            off[i] = away[middle.argmin()] if middle.min() < 0.5 * person_size(clip)[i] else np.nan
    height = clip.focal * (clip.height or 1.75) / np.median(clip.joints[..., 2], axis=1)[:frames]
    found = np.isfinite(off).any(1)
    said = Said("again", layout, seen)
    take = capture(clip.path, detector=said, focal=clip.focal, height=clip.height, hands="off")
    joints = np.full((len(clip.joints), len(LIMBS), 3), np.nan)
    columns = [take.skeleton.joint(n) for n in LIMBS]
    # The person of the take who is nearest to the truth where both are.
    nearest = min(
        take.people,
        key=lambda p: float(
            np.nanmedian(np.linalg.norm(_placed(p, columns, len(joints)) - clip.joints[:, wanted], axis=-1))
        ),
    )
    joints = _placed(nearest, columns, len(joints))
    hips = np.array([LIMBS.index("l_hip"), LIMBS.index("r_hip")])
    figures = compare(joints, clip.joints[:, wanted], hips, open_footage(clip.path).fps)
    return Errors(
        float(np.nanmean(off)),
        float(np.nanmean(off / height[:, None])),
        float(found.mean()),
        figures["MPJPE"],
        figures["P-MPJPE"],
        figures["acceleration error"],
    )


def _placed(person: Any, columns: list[int], frames: int) -> Array:
    out = np.full((frames, len(columns), 3), np.nan)
    inside = person.frames < frames
    out[person.frames[inside]] = person.joints_camera[inside][:, columns]
    return out


def see(detector: Detector, path: Path) -> list[list[Detection]]:
    """Everybody in every frame of a clip, by its number. Closes the detector."""
    seen: list[list[Detection]] = []
    try:
        frames = read_frames(open_footage(path))
        while batch := list(islice(frames, detector.batch)):
            for frame, found in zip(batch, detector.detect(batch), strict=True):
                seen += [[] for _ in range(frame.index - len(seen))]
                seen.append(found)
    finally:
        detector.close()
    return seen


def milliseconds(candidate: Candidate, clip: Path, frames: int) -> tuple[float, float]:
    """A frame, of the clock and of the processor, medians of runs of ten frames; decoding not counted."""
    detector, took = load_detector(candidate.detector, **candidate.options), list[tuple[float, float]]()
    source = islice(read_frames(open_footage(clip)), frames)
    while some := list(islice(source, min(AT_ONCE, frames))):
        for i in range(0, len(some), 10):
            begun, used = time.perf_counter(), time.process_time()
            for frame in some[i : i + 10]:
                detector.detect([frame])
            count = len(some[i : i + 10])
            took.append(((time.perf_counter() - begun) / count, (time.process_time() - used) / count))
    detector.close()
    clock, processor = np.median(1000 * np.array(took[1:] or took), axis=0).tolist()
    return clock, processor


def missing(candidate: Candidate) -> str:
    """Why a detector cannot run here; empty where it can."""
    try:
        for name in candidate.networks:
            find_model(name)
        load_detector(candidate.detector, **candidate.options).close()
    except MotionliftError as error:
        return error.what
    return ""


def size_of(candidate: Candidate) -> str:
    """Of its networks' files; about, where they are not at hand."""
    try:
        files = [find_model(n) for n in candidate.networks] or [cache_folder() / BUNDLE]
        return f"{sum(f.stat().st_size for f in files) / 1e6:.0f} MB"
    except (MotionliftError, OSError):
        return f"about {sum(known_model(n).megabytes for n in candidate.networks)} MB"


def table(clips: Sequence[Clip], clip: Path, frames: int, lines: list[str]) -> list[str]:
    """The table; rows by clip are put behind `lines`."""
    out = [
        "| detector | licence | size | layout | ms a frame | of the processor | 2D error, pixels | % of the height "
        "| found | MPJPE mm | P-MPJPE mm | acceleration error |",
        "|---" * 12 + "|",
    ]
    for candidate in CANDIDATES:
        head = f"| {candidate.label} | Apache-2.0 | {size_of(candidate)} "
        if why := missing(candidate):
            out.append(f"{head}| | not measured here: {why} |" + " |" * 7)
            continue
        detector = load_detector(candidate.detector, **candidate.options)
        layout, found = detector.layout, dict[str, Errors]()
        detector.close()
        for each in clips:
            found[each.name] = judge(
                each, layout, see(load_detector(candidate.detector, **candidate.options), each.path)
            )
        mean = {n: float(np.mean([getattr(e, n) for e in found.values()])) for n in Errors.__dataclass_fields__}
        clock, processor = milliseconds(candidate, clip, frames)
        out.append(
            f"{head}| {layout}, {len(layout_keypoints(layout))} | {clock:.1f} | {processor:.1f} "
            f"| {mean['pixels']:.1f} | {100 * mean['share']:.2f} | {100 * mean['found']:.0f} % | {mean['mpjpe']:.0f} "
            f"| {mean['aligned']:.0f} | {mean['acceleration']:.1f} |"
        )
        lines += [
            f"| {n} | {candidate.label} | {e.pixels:.1f} | {100 * e.share:.2f} | {100 * e.found:.0f} % | {e.mpjpe:.0f} "
            f"| {e.aligned:.0f} | {e.acceleration:.1f} |"
            for n, e in found.items()
        ]
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--performers", type=Path, default=Path("out/performers"))
    parser.add_argument(
        "--clip", type=Path, help="footage for the time a frame; else one is made (benchmarks/capture.py)"
    )
    parser.add_argument("--frames", type=int, default=300, help="of it")
    parser.add_argument("--remark", default="", help="a sentence on what else the machine did")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    clips = [c for c in all_clips(args.performers) if c.rotations is not None]
    clip = args.clip or make_clip(Path("out/capture"), 4)
    size = open_footage(clip)
    by_clip: list[str] = []
    summary = table(clips, clip, args.frames, by_clip)
    lines = [
        heading("Detectors side by side"),
        f"Errors: means over {len(clips)} rendered performers ({sum(len(c.joints) for c in clips)} frames, one person "
        "each) of the shoulders, elbows, wrists, hips, knees and ankles that were found; in 3D after lifting by the "
        "shipped checkpoint and solving, lens and height known, relative to the hips (mm, m/s²). Time: of the clock, "
        f"frames of {clip.name} ({size.width} x {size.height}) in memory, one after the other, on the CPU; two people "
        "are in its picture." + (f" {args.remark}" if args.remark else ""),
        "",
        *summary,
        "",
        "By clip:",
        "",
        "| clip | detector | 2D error, pixels | % of the height | found | MPJPE mm | P-MPJPE mm | acceleration error |",
        "|---" * 8 + "|",
        *by_clip,
        "",
    ]
    text = "\n".join(lines)
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
