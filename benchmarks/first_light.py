"""Captures beside MediaPipe's own world landmarks, on the same frames, against known 3D truth.

    python -m benchmarks.first_light --out benchmarks/first_light.md

The demo clip has exact truth. The two pose2sim views (in the shared data) have a man triangulated from four
cameras, good to 2 to 3 cm, and a second person in the picture: the person nearest to the truth in the image is
taken, for MediaPipe and for us alike. Joints are those that MediaPipe's layout and the truth both have.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import lifter
from lifter.capture import capture
from lifter.detect import Detection, load_detector
from lifter.footage import open_footage, read_frames
from lifter.metrics import compare
from lifter.skeleton import layout_keypoints, mirror_name

from .machine import heading

ROOT = Path(__file__).parents[1]
POSE2SIM = {
    "RHip": "r_hip", "RKnee": "r_knee", "RAnkle": "r_ankle", "RBigToe": "r_toe", "RHeel": "r_heel", "LHip": "l_hip",
    "LKnee": "l_knee", "LAnkle": "l_ankle", "LBigToe": "l_toe", "LHeel": "l_heel", "Nose": "nose",
    "RShoulder": "r_shoulder", "RElbow": "r_elbow", "RWrist": "r_wrist", "LShoulder": "l_shoulder",
    "LElbow": "l_elbow", "LWrist": "l_wrist",
}  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """Footage with (T, J, 3) true joints in camera space, (T, J, 2) their pixels, and the true lens."""

    name: str
    path: Path
    names: list[str]
    joints: np.ndarray
    pixels: np.ndarray
    focal: float
    height: float | None
    people: int


def demo() -> Clip:
    folder = Path(lifter.__file__).parent / "demo"
    with np.load(folder / "demo_truth.npz", allow_pickle=False) as z:
        names = [str(n) for n in z["joint_names"]]
        keep = [j for j, n in enumerate(names) if n in layout_keypoints("mediapipe33")]
        return Clip("demo", folder / "demo.mp4", [names[j] for j in keep], z["joints_camera"][:, keep],
                    z["keypoints"][:, keep], float(z["K"][0, 0]), float(z["height"]), 1)  # fmt: skip


def pose2sim(shared: Path) -> list[Clip]:
    clips = shared / "data" / "clips"
    with np.load(clips / "pose2sim_truth.npz", allow_pickle=False) as z:
        keep = [j for j, n in enumerate(z["joints"]) if str(n) in POSE2SIM]
        names = [POSE2SIM[str(z["joints"][j])] for j in keep]
        out: list[Clip] = []
        for c, camera in enumerate(z["cameras"]):
            joints = z["xyz_world_m"][:, keep] @ z["R"][c].T + z["t"][c]
            pixels = joints @ z["K"][c].T
            out.append(Clip(f"pose2sim_{camera}", clips / f"pose2sim_multi_{camera}.mp4", names, joints,
                            pixels[..., :2] / pixels[..., 2:], float(z["K"][c][0, 0]), None, 2))  # fmt: skip
        return out


def mediapipe_world(clip: Clip) -> np.ndarray:
    """(T, J, 3) MediaPipe's world landmarks of the person nearest to the truth; NaN where nobody is found."""
    layout = list(layout_keypoints("mediapipe33"))
    mine = [layout.index(n) for n in clip.names]
    detector = load_detector("mediapipe", people=clip.people)
    out = np.full(clip.joints.shape, np.nan)
    for frame in read_frames(open_footage(clip.path)):
        truth = clip.pixels[frame.index]
        size = np.linalg.norm(np.ptp(truth, axis=0))

        def miss(d: Detection, truth: np.ndarray = truth) -> float:
            return float(np.linalg.norm(np.median(d.xy[mine] - truth, axis=0)))

        found = sorted((d for d in detector.detect(frame.rgb, frame.time)), key=miss)
        if found and found[0].world is not None and miss(found[0]) < 0.5 * size:
            out[frame.index] = found[0].world[mine]
    detector.close()
    return out


def ours(clip: Clip, **options: Any) -> np.ndarray:
    """(T, J, 3) captured joints of the person nearest to the truth in the image."""
    take = capture(clip.path, detector_options={"people": clip.people}, **options)
    out = np.full(clip.joints.shape, np.nan)
    mine = [take.skeleton.joint(n) for n in clip.names]
    layout = list(layout_keypoints(take.layout))
    two = [layout.index(n) for n in clip.names]
    size = np.median(np.linalg.norm(np.ptp(clip.pixels, axis=1), axis=-1))
    for person in reversed(take.people):
        truth = clip.pixels[person.frames]
        swapped = truth[:, [clip.names.index(mirror_name(n)) for n in clip.names]]
        seen = person.keypoints[:, two]
        miss = np.nanmedian([np.nanmedian(np.linalg.norm(seen - x, axis=-1)) for x in (truth, swapped)])
        if miss < 0.5 * size:
            out[person.frames] = person.joints_camera[:, mine]
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    shared = Path(os.environ.get("MOTIONLIFT_SHARED", ROOT.parent / "shared"))
    clips = [demo(), *(pose2sim(shared) if (shared / "data").is_dir() else [])]
    lines = [
        heading("First light: captures beside MediaPipe's world landmarks"),
        "MPJPE: root-aligned (middle of the hips), mm. P-MPJPE: each frame moved, turned and scaled onto the truth, "
        "mm. Acceleration error: mean over joints and frames, m/s^2. Kept: mean magnitude of acceleration relative to "
        "the truth's. All with default settings but for what is named.",
        "",
        "| clip | what | MPJPE | P-MPJPE | acceleration error | kept | frames |",
        "|---|---|---|---|---|---|---|",
    ]
    for clip in clips:
        hips = np.array([clip.names.index("l_hip"), clip.names.index("r_hip")])
        fps = open_footage(clip.path).fps
        rows = {"MediaPipe world landmarks": mediapipe_world(clip), "ours, lens and height unknown": ours(clip)}
        rows["ours, lens known"] = ours(clip, focal=clip.focal)
        if clip.height is not None:
            rows["ours, lens and height known"] = ours(clip, focal=clip.focal, height=clip.height)
        for what, joints in rows.items():
            f = compare(joints, clip.joints, hips, fps)
            lines.append(
                f"| {clip.name} | {what} | {f['MPJPE']:.1f} | {f['P-MPJPE']:.1f} | {f['acceleration error']:.2f} "
                f"| {100 * f['liveliness']:.0f} % | {f['frames']:.0f} of {len(clip.joints)} |"
            )
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
