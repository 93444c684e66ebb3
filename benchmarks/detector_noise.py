"""Measure how a 2D detector errs, against true projections, and write it down for training.

    python -m benchmarks.detector_noise --out benchmarks/detector_noise.md --data training/noise

MediaPipe on rendered clips: the performers of MEASURED alone, so that the other performers stay unseen by training.
Beside it, real footage (pose2sim): MediaPipe, and OpenPose's keypoints of the same frames. What the numbers mean:
training/noise/__init__.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

import lifter
from lifter.footage import open_footage
from lifter.skeleton import layout_keypoints, load_skeleton, mirror_name
from lifter.smooth import runs
from training.noise import FAST_SECONDS, PERSON, SLOW_SECONDS

from .clips import LAYOUT, NOISE_MEASURED, POSE2SIM, ROOT, Clip, common_joints, pose2sim, rendered, see
from .machine import heading
from .performers.cast import SHOTS

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

MEASURED = tuple(n for n in NOISE_MEASURED if n in SHOTS)
"""The rendered ones among them; in two of these the person is seen from all sides."""
BODY = load_skeleton()
CARRIER = {
    "nose": "head", "ear": "head", "shoulder": "chest", "elbow": "upper_arm", "wrist": "forearm", "thumb": "hand",
    "index": "hand", "little": "hand", "hip": "pelvis", "knee": "thigh", "ankle": "shin", "heel": "foot",
    "toe": "foot", "neck": "chest", "pelvis": "pelvis", "head_top": "head",
}  # fmt: skip
"""The bone in whose axes a keypoint's bias is told."""
LIKE = {"neck": "shoulder", "pelvis": "hip", "head_top": "nose"}
"""Joints that MediaPipe lacks and other layouts have err like these."""
THICK = {
    "pelvis": 0.12, "spine": 0.11, "chest": 0.12, "head": 0.09, "upper_arm": 0.045, "forearm": 0.035, "thigh": 0.07,
    "shin": 0.05,
}  # fmt: skip
"""Radius in metres of the capsules that hide what is behind them."""
PARTS = {"arms": ("elbow", "wrist", "thumb", "index", "little"), "legs": ("knee", "ankle", "heel", "toe")}
WILD = 0.30
"""Errors beyond this many metres count as this many: somebody else's limb, not noise."""
LAGS = 1.2
"""Seconds up to which errors are correlated with themselves."""


def kind(name: str) -> str:
    """A joint's name without its side."""
    return name.removeprefix("l_").removeprefix("r_")


@dataclass(frozen=True)
class Errors:
    """Where a detector finds T frames' joints, relative to where they are.

    Attributes:
        error: (T, J, 2) metres for a person of PERSON metres, in the picture's axes at the joint's depth; NaN where
            nobody is found.
        velocity: (T, J, 2) of the true joint, the same unit a second.
        score: (T, J); hidden: (T, J) joints behind another part of the body.
        swapped: part of the body -> (T,) frames in which left and right are exchanged.
        axes: (T, J, 3, 3) rotation to camera axes of the bone that carries the joint; rays: (T, J, 2).
    """

    clip: Clip
    names: list[str]
    fps: float
    error: Array
    velocity: Array
    score: Array
    hidden: Flags
    swapped: dict[str, Flags]
    axes: Array | None
    rays: Array


def errors_of(clip: Clip, names: list[str], columns: list[int], xy: Array, score: Array) -> Errors:
    """The errors of (T, J, 2) keypoints, which are the clip's `columns`."""
    true, depth = clip.pixels[:, columns], clip.joints[:, columns, 2:]
    unit = depth / clip.focal * (PERSON / (clip.height or PERSON))
    fps = open_footage(clip.path).fps
    swapped = find_exchanges(xy, true, names)
    error = (xy - true) * unit
    length = np.linalg.norm(error, axis=-1, keepdims=True)
    error = error * np.minimum(1, WILD / np.maximum(length, 1e-9))
    for part, members in PARTS.items():
        for j, n in enumerate(names):
            if kind(n) in members:
                error[swapped[part], j] = np.nan
    axes = None
    if clip.rotations is not None:
        bones = [b.name for b in BODY.bones]
        carriers = [CARRIER[kind(n)] for n in names]
        order = [bones.index(c if c in bones else n[:2] + c) for n, c in zip(names, carriers, strict=True)]
        axes = clip.rotations[:, order]
    middle = np.array(clip.size) / 2
    return Errors(
        clip, names, fps, error, np.gradient(true, 1 / fps, axis=0) * unit, score, hidden_joints(clip, names), swapped,
        axes, (true - middle) / clip.focal,
    )  # fmt: skip


def find_exchanges(xy: Array, true: Array, names: Sequence[str]) -> dict[str, Flags]:
    """Part -> (T,) frames in which its keypoints fit the true ones of the other side far better than their own."""
    out: dict[str, Flags] = {}
    for part, members in PARTS.items():
        mine = [j for j, n in enumerate(names) if kind(n) in members]
        other = [names.index(mirror_name(names[j])) for j in mine]
        apart = np.linalg.norm(true[:, mine] - true[:, other], axis=-1)
        own, wrong = (np.linalg.norm(xy[:, mine] - true[:, c], axis=-1) for c in (mine, other))
        seen = np.isfinite(own).all(1)
        near = np.nan_to_num(wrong.mean(1), nan=np.inf) < 0.5 * np.nan_to_num(own.mean(1))
        size = np.linalg.norm(np.ptp(true, axis=1), axis=-1)
        out[part] = seen & near & (apart.mean(1) > 0.05 * size)
    return out


def hidden_joints(clip: Clip, names: Sequence[str]) -> Flags:
    """(T, J) joints whose line of sight passes through another part of the body, as capsules around bones."""
    out = np.zeros((len(clip.joints), len(names)), bool)
    if clip.rotations is None:
        return out
    size = (clip.height or PERSON) / PERSON
    for j, name in enumerate(names):
        joint = clip.joints[:, clip.column(name)]
        for bone in BODY.bones:
            radius = THICK.get(kind(bone.name))
            own = {bone.head, bone.tail, *bone.fit}
            if radius is None or name in own or CARRIER[kind(name)] == kind(bone.name):
                continue
            a, b = clip.joints[:, clip.column(bone.head)], clip.joints[:, clip.column(bone.tail)]
            gap, share = line_to_segment(joint, a, b)
            # In front of the joint by more than the flesh around both.
            out[:, j] |= (gap < radius * size) & (share < 1 - (radius + 0.04) * size / np.linalg.norm(joint, axis=1))
    return out


def line_to_segment(joint: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """(T,) shortest distance between the line from the camera to (T, 3) joints and segments from a to b, and how far
    along that line the nearest point lies, as a share."""
    best, at = np.full(len(joint), np.inf), np.zeros(len(joint))
    for f in np.linspace(0, 1, 9):
        point = a + f * (b - a)
        share = (point * joint).sum(-1) / (joint**2).sum(-1)
        gap = np.linalg.norm(point - share[:, None] * joint, axis=-1)
        closer = gap < best
        best, at = np.where(closer, gap, best), np.where(closer, share, at)
    return best, at


# --- From errors to numbers -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """A keypoint's numbers, as in training/noise/__init__.py; `samples` counts frames."""

    bias: Array
    spread: float
    fast: float
    slow: float
    white: float
    hidden: float
    score: float
    score_hidden: float
    seconds: float
    hidden_share: float
    samples: int


def model_bias(clips: Sequence[Errors], which: str, lag: float) -> Array:
    """(3,) offset of a keypoint in its bone's axes (of the left side) that explains most of its errors.

    Linear least squares over all frames: an offset o of a bone whose axes are R moves the projection by
    [1 0 -x; 0 1 -y] R o, in metres at the joint's depth.
    """
    normal, right = 1e-3 * np.eye(3), np.zeros(3)
    for c in clips:
        for j, name in enumerate(c.names):
            if kind(name) != which or c.axes is None:
                continue
            a = moved_by(c, j)
            y = c.error[:, j] + lag * c.velocity[:, j]
            good = np.isfinite(y).all(1) & ~c.hidden[:, j]
            # Clips count alike, whatever their length.
            weight = 1 / max(int(good.sum()), 1)
            normal += weight * np.einsum("tij,tik->jk", a[good], a[good])
            right += weight * np.einsum("tij,ti->j", a[good], y[good])
    return np.linalg.solve(normal, right)


def moved_by(c: Errors, j: int) -> Array:
    """(T, 2, 3) how an offset of the left side's keypoint, in its bone's axes, moves the projection of joint j."""
    if c.axes is None:
        raise ValueError(f"{c.clip.name} has no bone rotations")
    axes = c.axes[:, j] * ([-1, 1, 1] if c.names[j].startswith("r_") else [1, 1, 1])
    x, y = c.rays[:, j, 0, None], c.rays[:, j, 1, None]
    return np.stack([axes[:, 0] - x * axes[:, 2], axes[:, 1] - y * axes[:, 2]], 1)


def find_lag(clips: Sequence[Errors]) -> float:
    """Seconds by which keypoints come late: how their errors follow the joints' velocity, once each keypoint's mean is
    taken off both."""
    top = bottom = 0.0
    for c in clips:
        for j in range(len(c.names)):
            good = np.isfinite(c.error[:, j]).all(1) & ~c.hidden[:, j]
            if good.sum() < 10:
                continue
            e, v = (x[good, j] - x[good, j].mean(0) for x in (c.error, c.velocity))
            top, bottom = top - float((e * v).sum()), bottom + float((v * v).sum())
    return max(0.0, top / bottom)


def wander_correlation(lag: Array, knot: float) -> Array:
    """Autocovariance over time of `training.synthetic.wander` with knots of variance 1, `knot` apart."""
    s = np.abs(lag) / knot
    return np.where(s < 1, 2 / 3 - s**2 + s**3 / 2, np.where(s < 2, (2 - s).clip(0) ** 3 / 6, 0))


def correlate(rest: Array, fps: float) -> tuple[Array, Array]:
    """Lags in seconds and the autocovariance of (T, 2) errors, mean of both axes; pairs with NaN are left out."""
    count = min(int(LAGS * fps), len(rest) - 1)
    lags = np.arange(count + 1)
    values = [float(np.nanmean(rest[: len(rest) - k] * rest[k:])) for k in lags]
    return lags / fps, np.array(values)


def split(lags: Array, covariance: Array) -> tuple[float, float, float]:
    """(fast, slow, white) standard deviations whose autocovariance comes nearest, none negative."""
    basis = [wander_correlation(lags, FAST_SECONDS), wander_correlation(lags, SLOW_SECONDS), lags == 0]
    parts, _ = nnls(np.stack(basis, 1).astype(np.float64), covariance)
    return float(np.sqrt(parts[0])), float(np.sqrt(parts[1])), float(np.sqrt(parts[2]))


def measure(clips: Sequence[Errors], which: str, lag: float) -> Measured:
    """A keypoint's numbers from all clips, left and right together."""
    with_axes = all(c.axes is not None for c in clips)
    bias = model_bias(clips, which, lag) if with_axes else np.zeros(3)
    means: list[Array] = []
    lags: list[Array] = []
    covariances: list[Array] = []
    rms: dict[bool, list[Array]] = {False: [], True: []}
    scores: dict[bool, list[Array]] = {False: [], True: []}
    samples = 0
    for c in clips:
        # The spread is what a clip has that the others do not foretell.
        others = [o for o in clips if o is not c]
        foretold = model_bias(others, which, lag) if with_axes and others else bias
        for j, name in enumerate(c.names):
            if kind(name) != which:
                continue
            rest = c.error[:, j] + lag * c.velocity[:, j]
            found = np.isfinite(rest).all(1)
            if found.sum() < 20:
                continue
            if with_axes:
                means.append(np.median((rest - moved_by(c, j) @ foretold)[found], axis=0))
                rest = rest - moved_by(c, j) @ bias
            else:
                means.append(np.median(rest[found], axis=0))
            rest = rest - np.median(rest[found], axis=0)
            samples += int(found.sum())
            seconds, covariance = correlate(rest, c.fps)
            lags.append(seconds)
            covariances.append(covariance)
            for behind in (False, True):
                rows = found & (c.hidden[:, j] == behind)
                rms[behind].append((rest[rows] ** 2).ravel())
                scores[behind].append(c.score[rows, j])
    fast, slow, white = split(np.concatenate(lags), np.concatenate(covariances))
    squares = {k: np.concatenate(v) for k, v in rms.items()}
    score = {k: np.concatenate(v) for k, v in scores.items()}
    enough = len(squares[True]) > 60
    factor = float(np.sqrt(squares[True].mean() / squares[False].mean())) if enough else float("nan")
    if enough:
        # The amounts are those of a joint in view; the correlation saw both.
        share = len(squares[True]) / (len(squares[True]) + len(squares[False]))
        shrink = 1 / np.sqrt(1 - share + share * max(factor, 1.0) ** 2)
        fast, slow, white = fast * shrink, slow * shrink, white * shrink
    total = np.concatenate(covariances)
    steps = np.concatenate(lags)
    at_zero = float(total[steps == 0].mean())
    falls = [
        float(t) for t in np.unique(np.round(steps, 2)) if np.median(total[np.abs(steps - t) < 0.02]) < at_zero / np.e
    ]
    return Measured(
        bias=bias,
        spread=float(np.sqrt(np.mean(np.square(means)))),
        fast=fast,
        slow=slow,
        white=white,
        hidden=max(1.0, factor) if enough else float("nan"),
        score=float(score[False].mean()),
        score_hidden=float(score[True].mean()) if enough else float("nan"),
        seconds=falls[0] if falls else LAGS,
        hidden_share=len(score[True]) / max(samples, 1),
        samples=samples,
    )


@dataclass(frozen=True)
class Events:
    """Stretches of frames in which something happens, over all clips."""

    seconds: list[float]
    minutes: float

    @property
    def per_minute(self) -> float:
        return len(self.seconds) / self.minutes

    @property
    def mean(self) -> float:
        return float(np.mean(self.seconds)) if self.seconds else 0.0


def stretches(clips: Sequence[Errors], flags: Sequence[Flags]) -> Events:
    return Events(
        [(b - a) / c.fps for c, f in zip(clips, flags, strict=True) for a, b in runs(f)],
        sum(len(c.error) / c.fps for c in clips) / 60,
    )


# --- Clips ------------------------------------------------------------------------------------------------------


def mediapipe_errors(clip: Clip, cache_folder: Path) -> Errors:
    mine, columns = common_joints(clip)
    seen = see(clip, cache_folder).person(clip)
    layout = layout_keypoints(LAYOUT)
    return errors_of(
        clip, [layout[k] for k in mine], columns, seen.xy[:, 0, mine].astype(np.float64),
        seen.score[:, 0, mine].astype(np.float64),
    )  # fmt: skip


def openpose_errors(shared: Path) -> list[Errors]:
    """OpenPose's keypoints of the pose2sim views, which come with the truth."""
    out: list[Errors] = []
    with np.load(shared / "data" / "clips" / "pose2sim_truth.npz", allow_pickle=False) as z:
        at = {POSE2SIM[str(n)]: j for j, n in enumerate(z["joints"]) if str(n) in POSE2SIM}
        for c, clip in enumerate(pose2sim(shared)):
            points = z["kp2d"][c][:, [at[n] for n in clip.names]].astype(np.float64)
            missing = ~(points[..., 2] > 0.05)
            points[missing] = np.nan
            out.append(errors_of(clip, clip.names, list(range(len(clip.names))), points[..., :2],
                                 np.nan_to_num(points[..., 2])))  # fmt: skip
    return out


# --- Output -----------------------------------------------------------------------------------------------------


def table(measured: dict[str, Measured]) -> list[str]:
    lines = [
        "| keypoint | bias x, y, z mm | spread | fast | slow | white | all | 1/e s | hidden: share | factor | score in "
        "view | hidden |",
        "|---" * 12 + "|",
    ]
    for name, m in measured.items():
        every = np.sqrt((m.fast**2 + m.slow**2) * 2 / 3 + m.white**2)
        mm = [1000 * x for x in (m.spread, m.fast, m.slow, m.white, every)]
        lines.append(
            f"| {name} | {', '.join(f'{1000 * x:.0f}' for x in m.bias)} | " + " | ".join(f"{x:.1f}" for x in mm)
            + f" | {m.seconds:.2f} | {100 * m.hidden_share:.0f} % | {m.hidden:.1f} | {m.score:.2f} "
            f"| {m.score_hidden:.2f} |"
        )  # fmt: skip
    return [line.replace("nan", "") for line in lines]


def score_table(clips: Sequence[Errors]) -> list[str]:
    """How far keypoints are off where the detector gives them a score: what its confidence is worth."""
    length = np.concatenate([np.linalg.norm(c.error, axis=-1).ravel() for c in clips])
    score = np.concatenate([c.score.ravel() for c in clips])
    hidden = np.concatenate([c.hidden.ravel() for c in clips])
    found = np.isfinite(length)
    lines = ["| score | share | of them hidden | median error mm | 95 % below mm |", "|---|---|---|---|---|"]
    for low, high in pairwise((0.0, 0.2, 0.5, 0.8, 0.95, 1.01)):
        rows = found & (score >= low) & (score < high)
        if rows.sum() >= 20:
            middle, most = 1000 * np.quantile(length[rows], (0.5, 0.95))
            lines.append(
                f"| {low:.2f} to {min(high, 1):.2f} | {100 * rows.sum() / found.sum():.1f} % "
                f"| {100 * hidden[rows].mean():.0f} % | {middle:.0f} | {most:.0f} |"
            )
    return lines


def event_lines(clips: Sequence[Errors]) -> list[str]:
    minutes = sum(len(c.error) / c.fps for c in clips) / 60
    lines = []
    for what, flags in (
        ("legs exchanged", [c.swapped["legs"] & ~c.swapped["arms"] for c in clips]),
        ("arms exchanged", [c.swapped["arms"] & ~c.swapped["legs"] for c in clips]),
        ("both exchanged", [c.swapped["legs"] & c.swapped["arms"] for c in clips]),
        ("nobody found", [~np.isfinite(c.error).any((1, 2)) for c in clips]),
    ):
        e = stretches(clips, flags)
        lengths = ", ".join(f"{s:.2f}" for s in sorted(e.seconds))
        lines.append(
            f"- {what}: {len(e.seconds)} times in {60 * minutes:.0f} s" + (f", {lengths} s" if lengths else "")
        )
    return lines


def toml(layout: str, measured: dict[str, Measured], source: str, lag: float, swaps: Events, misses: Events) -> str:
    """The data file of a layout; a factor or score that could not be measured is that of all keypoints together."""
    typical = {
        k: float(np.median(known)) if len(known := [v for v in values if np.isfinite(v)]) else otherwise
        for k, values, otherwise in (
            ("hidden", [m.hidden for m in measured.values()], 1.0),
            ("score_hidden", [m.score_hidden for m in measured.values()], min(m.score for m in measured.values())),
        )
    }
    lines = [
        f"# Errors of 2D keypoints in layout {layout}; written by benchmarks/detector_noise.py, which says how.",
        "# Keys: training/noise/__init__.py.",
        "",
        f'measured_on = "{source}"',
        f"lag = {lag:.4f}",
        "",
        "[swaps]",
        f"per_minute = {swaps.per_minute:.2f}",
        f"seconds = {swaps.mean:.3f}",
        "",
        "[misses]",
        f"per_minute = {misses.per_minute:.2f}",
        f"seconds = {misses.mean:.3f}",
    ]
    for name, m in measured.items():
        values: dict[str, Any] = {k: getattr(m, k) for k in ("spread", "fast", "slow", "white", "score")}
        values |= {k: v if np.isfinite(v := getattr(m, k)) else typical[k] for k in typical}
        lines += [
            "",
            f"[keypoints.{name}]",
            f'bone = "{CARRIER[name]}"',
            f"bias = [{', '.join(f'{x:.4f}' for x in m.bias)}]",
            *(f"{k} = {v:.4f}" for k, v in values.items()),
        ]
    return "\n".join(lines) + "\n"


def derived(layout: str, measured: dict[str, Measured], still: dict[str, Measured]) -> dict[str, Measured]:
    """What a layout without a detector at hand is taken for: MediaPipe's errors of the same joints, but for

    bias: of unknown sign, since others draw their joints elsewhere: it widens the spread;
    white: OpenPose's, since detectors of single pictures do not smooth.
    """
    white = float(np.median([m.white for m in still.values()]))
    kinds = list(dict.fromkeys(kind(n) for n in layout_keypoints(layout) if kind(n) in CARRIER))
    out: dict[str, Measured] = {}
    for name in kinds:
        m = measured[LIKE.get(name, name)]
        loose = float(np.sqrt(m.spread**2 + (m.bias @ m.bias) / 3))
        jitter = still[name].white if name in still else white
        out[name] = Measured(np.zeros(3), loose, m.fast, m.slow, max(jitter, m.white), m.hidden, m.score,
                             m.score_hidden, m.seconds, m.hidden_share, 0)  # fmt: skip
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=ROOT / "out" / "performers", help="the rendered performers")
    parser.add_argument("--cache", type=Path, default=ROOT / "out" / "default", help="detections")
    parser.add_argument("--out", type=Path, help="write the tables here too")
    parser.add_argument("--data", type=Path, help="write the data files of all layouts into this folder")
    args = parser.parse_args()
    shared = Path(os.environ.get("MOTIONLIFT_SHARED", ROOT.parent / "shared"))
    folders = {n: Path(lifter.__file__).parent / "demo" if n == "demo" else args.clips for n in MEASURED}
    clips = [mediapipe_errors(rendered(folder, n), args.cache) for n, folder in folders.items()]
    lag = find_lag(clips)
    kinds = list(dict.fromkeys(kind(n) for n in clips[0].names))
    measured = {k: measure(clips, k, lag) for k in kinds}
    lines = [
        heading("How 2D detectors err"),
        "Errors of keypoints against the projections of true joints, mm for a person of 1.70 m, per axis of the "
        "picture at the joint's depth (1 % of the height is 17 mm). Frames with exchanged sides are left out of "
        "the table. Bias: where the detector sees the keypoint relative to the joint, in the axes of the bone at "
        "rest that carries it (x to the person's left, y backwards, z up, of the left side). Spread: what else is"
        " constant in a clip, which the other clips do not foretell. Fast, slow, white: amounts of two wanders "
        "with knots 0.2 s and 0.6 s apart and of jitter, in view. All: together. 1/e s: after which the error's "
        "correlation has fallen to 1/e. Hidden: behind another part of the body, by how much the error is larger "
        "there, and what the detector's score is.",
        "",
        f"## MediaPipe, one person, video mode: {', '.join(MEASURED)}",
        "",
        f"It lags {1000 * lag:.0f} ms.",
        "",
        *table(measured),
        "",
        *event_lines(clips),
        "",
        "Confidence and error, bias included:",
        "",
        *score_table(clips),
    ]  # fmt: skip
    still: dict[str, Measured] = {}
    real = pose2sim(shared)
    if real:
        for title, found in (
            ("MediaPipe, two people (which it does not smooth): pose2sim, real, truth good to 20 to 30 mm",
             [mediapipe_errors(c, args.cache) for c in real]),
            ("OpenPose: pose2sim; the truth was made from it and three other views, so its errors look too small",
             openpose_errors(shared)),
        ):  # fmt: skip
            late = find_lag(found)
            still = {k: measure(found, k, late) for k in dict.fromkeys(kind(n) for n in found[0].names)}
            lines += ["", f"## {title}", "", "The bias is not told apart from the spread.", "", *table(still), "",
                      *event_lines(found)]  # fmt: skip
    lines += [
        "",
        "## Layouts without a detector at hand",
        "",
        "coco17, halpe26, body25 and h36m17 are taken to err like MediaPipe on the same joints (neck like shoulders, "
        "pelvis like hips, top of the head like the nose), with two differences: their bias has an unknown direction "
        "and is added to the spread; their white noise is OpenPose's where that is larger.",
    ]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    if args.data:
        # Events are rare: of all footage, the real one included.
        every = [*clips, *(mediapipe_errors(c, args.cache) for c in real)]
        swaps = stretches(every, [c.swapped["legs"] | c.swapped["arms"] for c in every])
        misses = stretches(every, [~np.isfinite(c.error).any((1, 2)) for c in every])
        for layout in (LAYOUT, "coco17", "halpe26", "body25", "h36m17"):
            mine = layout == LAYOUT
            numbers = measured if mine else derived(layout, measured, still)
            source = "MediaPipe on " + ", ".join(MEASURED) if mine else "derived from mediapipe33 and OpenPose"
            path = args.data / f"{layout}.toml"
            path.write_text(toml(layout, numbers, source, lag if mine else 0.0, swaps, misses), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
