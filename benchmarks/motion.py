"""World motion, before and after each stage of the solver, on clips with known truth.

    python -m benchmarks.performers.render -o out/performers     once: renders the performers
    python -m benchmarks.motion --out benchmarks/motion.md       the tables; plots: benchmarks.motion_plots

The demo clip and the performers are rendered and seen by MediaPipe; the simulated captures are recordings of the open
benchmark's test subjects, seen with a detector's errors. Lens and height are known. Takes up to the lifted joints are
kept in the cache folder; all that solving does is done anew in every run.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import lifter
from lifter.camera import Lens
from lifter.capture import capture, lift_keypoints, solve
from lifter.checkpoint import load_checkpoint
from lifter.motion import SolveSettings
from lifter.skeleton import FEET, keypoints_to_joints, layout_keypoints, load_skeleton
from lifter.take import GAP, Person, Take, load_take, save_take
from lifter.world import Shot, floor_height, mean_direction, root_path, scene_axes

from .clips import LAYOUT, ROOT, Clip, Recorded, all_clips, file_digest, fresh_clips, person_of, see
from .machine import heading
from .measures import align_on_floor, angle_between, fast_motion, foot_skate, landings, moving_average
from .performers.fresh import WHAT_IS_BLIND
from .simulated import FPS, SIZE, Simulated, load_clips

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

BODY = load_skeleton()
JOINTS = [n for n in BODY.joint_names if n in layout_keypoints(LAYOUT)]
"""The joints that MediaPipe has too: all methods are judged by these."""
HIPS = [JOINTS.index("l_hip"), JOINTS.index("r_hip")]
POINTS = [JOINTS.index(n) for n in FEET]
ENDS = [JOINTS.index(n) for n in ("l_wrist", "r_wrist", "l_ankle", "r_ankle")]

NO_FEET = {"contacts": "never", "foot_lock": False}
STAGES: dict[str, dict[str, object]] = {
    "constant bones": {"strength": 0.0, **NO_FEET},
    "+ smoothing": NO_FEET,
    "+ contacts, floor": {"foot_lock": False},
    "+ foot lock": {},
}
"""Stages of the solver and the settings that leave the later ones out; before them all come the lifted joints."""
MEDIAPIPE, LIFTED = "MediaPipe, hips at the origin", "lifted joints"
FAST_CLIPS = (
    "jump", "punches, simulated", "martial arts, simulated", "martial arts 2, simulated", "walk, simulated",
    "exaggerated stride, simulated", "jetes, simulated", "jumping, simulated", "jumping jacks, simulated",
)  # fmt: skip
"""Punches, steps and jumps: what fast motion is judged by."""

NOT_CAPTURE = ("motion", "world", "lock", "contacts", "smooth", "solve", "cli", "worker", "preview", "doctor")
"""Files of the lifter that change nothing before solving."""


@dataclass(frozen=True)
class Sample:
    """A clip: T frames of one person.

    Attributes:
        take: captured, with that one person, whose frames are rows of the truth.
        truth: (T, J, 3) JOINTS in the scene, metres; contact: (T, 4); up: (3,) the scene's in camera axes.
        mediapipe: (T, J, 3) MediaPipe's world landmarks in camera axes, NaN where nobody was found.
    """

    name: str
    simulated: bool
    take: Take
    truth: Array
    contact: Flags
    up: Array
    mediapipe: Array | None = None


@dataclass(frozen=True)
class Motion:
    """What a method says: (T, J, 3) JOINTS in its scene, floor at Z = 0; up in camera axes; (T, 4) feet it locks."""

    joints: Array
    up: Array
    locked: Flags | None = None


# --- Clips ------------------------------------------------------------------------------------------------------


def rendered_sample(clip: Clip, cache: Path) -> Sample | None:
    """The capture of rendered footage; nothing for clips whose contacts nobody knows."""
    if clip.contacts is None or clip.camera is None:
        return None
    take = _kept(
        cache,
        f"{clip.name} {file_digest(clip.path)}",
        lambda: capture(clip.path, detector=Recorded(see(clip, cache)), focal=clip.focal, height=clip.height),
    )
    person = person_of(take, clip)
    if person is None:
        raise SystemExit(f"{clip.name}: the performer was not found")
    at = person.frames[person.frames < len(clip.joints)]
    take = _alone(take, person, len(at))
    R, t = clip.camera
    landmarks = see(clip, cache).person(clip).world[:, 0].astype(np.float64)
    return Sample(
        clip.name,
        False,
        take,
        ((clip.joints[at] - t) @ R)[:, [clip.column(n) for n in JOINTS]],
        clip.contacts[at],
        clip.up,
        landmarks[at][:, [layout_keypoints(LAYOUT).index(n) for n in JOINTS]],
    )


def simulated_sample(clip: Simulated, cache: Path) -> Sample:
    """The capture of simulated keypoints."""
    digest = hashlib.sha256(clip.keypoints.tobytes()).hexdigest()
    take = _kept(
        cache,
        f"{clip.name} {digest}",
        lambda: lift_keypoints(
            clip.keypoints,
            clip.score,
            layout=LAYOUT,
            fps=FPS,
            image_size=SIZE,
            focal=float(clip.K[0, 0]),
            height=BODY.height,
        ),
    )
    person = max(take.people, key=lambda p: int((p.state != GAP).sum()))
    return Sample(
        f"{clip.name}, simulated",
        True,
        _alone(take, person, len(person.frames)),
        clip.joints[person.frames][:, [BODY.joint(n) for n in JOINTS]],
        clip.contact[person.frames],
        clip.R[0][:, 2],
    )


def exact_take(sample: Sample, clip: Simulated) -> Sample:
    """The same clip as if detector and network made no error at all: what is lost then, the solver loses."""
    person = sample.take.people[0]
    joints = np.einsum("tij,tkj->tki", clip.R[person.frames], clip.joints[person.frames])
    root = joints[:, :1]
    seen = (joints + clip.t[person.frames][:, None]) @ clip.K.T
    names = layout_keypoints(LAYOUT)
    keypoints, scores = np.full_like(person.keypoints, np.nan), np.zeros_like(person.scores)
    for k, name in enumerate(names):
        if name in BODY.joint_names:
            j = BODY.joint(name)
            keypoints[:, k], scores[:, k] = seen[:, j, :2] / seen[:, j, 2:], 1
    exact = replace(
        person,
        keypoints=keypoints,
        scores=scores,
        lifted=(joints - root).astype(np.float32),
        contact=clip.contact[person.frames].astype(np.float32),
        down=np.broadcast_to(-sample.up, person.down.shape).astype(np.float32),
    )
    return replace(sample, take=replace(sample.take, people=(exact,)))


def _kept(cache: Path, what: str, make: Callable[[], Take]) -> Take:
    """The take from the cache, or captured now and kept."""
    key = hashlib.sha256(f"{what} {file_digest(load_checkpoint('body').path)} {_code()}".encode()).hexdigest()[:16]
    path = cache / f"take_{what.split()[0]}_{key}.npz"
    if not path.exists():
        save_take(make(), path)
    return load_take(path)


def _code() -> str:
    """SHA-256 of the code that a take depends on before it is solved."""
    folder = Path(lifter.__file__).parent
    sources = [p for p in sorted([*folder.rglob("*.py"), *folder.rglob("*.toml")]) if p.stem not in NOT_CAPTURE]
    return hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()


def _alone(take: Take, person: Person, frames: int) -> Take:
    """The take with one person's first frames."""
    arrays = {k: v[:frames] for k, v in vars(person).items() if k not in ("offsets", "hands")}
    return replace(take, people=(replace(person, **arrays),))


# --- Methods ----------------------------------------------------------------------------------------------------


def methods(sample: Sample) -> dict[str, Motion]:
    """Every method and stage on a clip."""
    out: dict[str, Motion] = {}
    if sample.mediapipe is not None:
        out[MEDIAPIPE] = simplest(sample.mediapipe)
    out[LIFTED] = lifted(sample.take)
    settings = SolveSettings(height=sample.take.header["settings"]["height"])
    for stage, change in STAGES.items():
        out[stage] = solved(sample.take, replace(settings, **change))
    return out


def simplest(landmarks: Array) -> Motion:
    """What other add-ons make of MediaPipe's world landmarks: the camera is taken for level, the hips stay at the
    origin over a floor under the lowest feet, and a moving average over five frames takes the jitter out."""
    axes = scene_axes(np.array([0, 1.0, 0]))
    joints = moving_average(landmarks @ axes, 5)
    joints = joints - joints[:, HIPS].mean(1, keepdims=True)
    heights = joints[:, POINTS, 2]
    return Motion(joints - [0, 0, floor_height(heights[np.isfinite(heights)])], axes[:, 2])


def lifted(take: Take) -> Motion:
    """The network's joints as they are, on the root path that reprojects them; the floor is under the lowest feet."""
    person, skeleton = take.people[0], take.skeleton
    valid = person.state != GAP
    axes = scene_axes(mean_direction(person.down[valid], np.ones(int(valid.sum()))))
    scale = take.header["settings"]["height"] / skeleton.height
    relative = (np.nan_to_num(person.lifted) @ axes) * scale
    keypoints, score = keypoints_to_joints(person.keypoints, person.scores, take.layout, skeleton)
    lens, frames = take.header["lens"], len(relative)
    root, _ = root_path(
        Shot(
            relative=relative,
            keypoints=keypoints,
            score=score,
            valid=valid,
            lens=Lens(lens["focal"], (lens["center"][0], lens["center"][1]), lens["source"]),
            fps=take.fps,
            rotation=np.broadcast_to(axes, (frames, 3, 3)),
            translation=np.zeros((frames, 3)),
            feet=np.zeros((frames, 0, 3)),
            contact=np.zeros((frames, 0), bool),
        )
    )
    joints = relative + root[:, None]
    feet = joints[valid][:, [skeleton.joint(n) for n in FEET], 2]
    joints = joints - [0, 0, floor_height(feet)]
    joints[~valid] = np.nan
    return Motion(joints[:, [skeleton.joint(n) for n in JOINTS]], axes[:, 2])


def solved(take: Take, settings: SolveSettings) -> Motion:
    """The take as the solver leaves it."""
    done = solve(take, settings)
    person = done.people[0]
    joints = person.joints_world.astype(np.float64)[:, [take.skeleton.joint(n) for n in JOINTS]]
    return Motion(joints, done.camera.R[:, 2], person.stands if settings.foot_lock else None)


# --- Figures ----------------------------------------------------------------------------------------------------

FIGURES = {
    "first": ("joints, first frame mm", 0),
    "whole": ("joints, whole clip mm", 0),
    "root": ("root % of the way", 1),
    "drift": ("drift cm in 10 s", 0),
    "tilt": ("tilt °", 1),
    "sunk": ("under the floor mm", 1),
    "float": ("standing: above mm", 0),
    "sink": ("below mm", 0),
    "skate": ("skate cm/s", 1),
    "locked": ("locked cm/s", 2),
    "landing": ("landing m/s²", 0),
    "worst": ("worst", 0),
    "jitter": ("acceleration error m/s²", 1),
    "kept": ("fast motion %", 0),
    "energy": ("fast energy %", 0),
}
"""Key: column and digits."""


def world_figures(sample: Sample, motion: Motion) -> dict[str, float]:
    """All figures of a motion; NaN for what a clip does not show."""
    known = np.isfinite(motion.joints).all((1, 2))
    first, last = np.flatnonzero(known)[[0, -1]]
    fps, joints, truth = sample.take.fps, motion.joints, sample.truth
    turn, shift = align_on_floor(joints[first], truth[first])
    started = joints @ turn.T + shift * [1, 1, 0]
    turn, shift = align_on_floor(joints[known].reshape(-1, 3), truth[known].reshape(-1, 3))
    placed = joints @ turn.T + shift * [1, 1, 0]
    root, true_root = started[:, HIPS].mean(1), truth[:, HIPS].mean(1)
    way = float(np.linalg.norm(np.diff(true_root[first : last + 1, :2], axis=0), axis=-1).sum())
    off = np.linalg.norm(root - true_root, axis=-1)[known]
    moved = (placed - truth)[:, HIPS].mean(1)
    seconds = (last - first) / fps
    z, true_z = joints[:, POINTS, 2], truth[:, POINTS, 2]
    stands = sample.contact & known[:, None]
    height = (z - true_z)[stands]
    acceleration = (np.diff(x, 2, axis=0) * fps**2 for x in (placed, truth))
    jitter = np.linalg.norm(np.subtract(*acceleration), axis=-1)
    stops = landings(joints[:, POINTS], sample.contact, fps)
    stops = stops[np.isfinite(stops)]
    kept, energy = fast_motion(placed[:, ENDS], truth[:, ENDS], fps)
    return {
        "first": 1000 * float(np.linalg.norm(started - truth, axis=-1)[known].mean()),
        "whole": 1000 * float(np.linalg.norm(placed - truth, axis=-1)[known].mean()),
        "root": 100 * float(off.mean()) / way if way > 2 else np.nan,
        "drift": 100 * float(np.linalg.norm((moved[last] - moved[first])[:2])) * 10 / seconds,
        "tilt": float(angle_between(motion.up, sample.up)),
        "sunk": 1000 * float(np.clip(-z[known], 0, None).max(1).mean()),
        "float": 1000 * float(np.clip(height, 0, None).mean()) if len(height) else np.nan,
        "sink": 1000 * float(np.clip(-height, 0, None).mean()) if len(height) else np.nan,
        "skate": 100 * foot_skate(joints[:, POINTS], stands, fps),
        "locked": np.nan if motion.locked is None else 100 * foot_skate(joints[:, POINTS], motion.locked, fps),
        "landing": float(stops.mean()) if len(stops) else np.nan,
        "worst": float(stops.max()) if len(stops) else np.nan,
        "jitter": float(np.nanmean(jitter)),
        "kept": 100 * kept,
        "energy": 100 * energy,
    }


Rows = dict[str, dict[str, dict[str, float]]]
"""Clip, method, figure."""


def table(rows: Rows, means_only: bool = False, clips: tuple[str, ...] | None = None) -> list[str]:
    """Clips and methods down, figures across, and the means."""
    lines = [
        "| clip | stage | " + " | ".join(title for title, _ in FIGURES.values()) + " |",
        "|---" * (len(FIGURES) + 2) + "|",
    ]
    chosen = {n: by for n, by in rows.items() if clips is None or n in clips}
    stages = list(dict.fromkeys(s for by in chosen.values() for s in by))
    if not means_only:
        lines += [_line(n, s, f) for n, by in chosen.items() for s, f in by.items()]
    for stage in stages:
        have = [by[stage] for by in chosen.values() if stage in by]
        mean = {}
        for key in FIGURES:
            values = [f[key] for f in have if np.isfinite(f[key])]
            mean[key] = float(np.mean(values)) if values else np.nan
        lines.append(_line(f"**mean of {len(have)}**", stage, mean))
    return lines


def _line(name: str, stage: str, f: dict[str, float]) -> str:
    cells = (f"{f[k]:.{digits}f}" if np.isfinite(f[k]) else "" for k, (_, digits) in FIGURES.items())
    return f"| {name} | {stage} | " + " | ".join(cells) + " |"


# --- Time and memory --------------------------------------------------------------------------------------------


def longer(take: Take, frames: int) -> Take:
    """A take of that many frames: the person's own, forwards and backwards in turn."""
    person = take.people[0]
    own = len(person.frames)
    there = np.concatenate([np.arange(own), np.arange(own - 2, 0, -1)])
    order = there[np.arange(frames) % len(there)]
    arrays = {k: v[order] for k, v in vars(person).items() if k not in ("offsets", "frames", "times", "hands")}
    at = np.arange(frames, dtype=np.int32)
    return replace(take, people=(replace(person, frames=at, times=at / take.fps, **arrays),))


def timing(take: Take, frames: tuple[int, ...]) -> list[str]:
    """Seconds and memory of solving so many frames, best of three up to a minute's footage."""
    import resource

    lines = ["| frames | seconds | microseconds a frame | most memory of the process, MiB |", "|---|---|---|---|"]
    for count in frames:
        long = longer(take, count)
        best = np.inf
        for _ in range(3 if count <= 10_000 else 1):
            start = time.perf_counter()
            solve(long, SolveSettings(height=take.header["settings"]["height"]))
            best = min(best, time.perf_counter() - start)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        lines.append(f"| {count} | {best:.2f} | {1e6 * best / count:.0f} | {most:.0f} |")
    return lines


# --- The whole --------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("MOTIONLIFT_SHARED", ROOT.parent / "shared"))
    parser.add_argument("--clips", type=Path, default=ROOT / "out" / "performers", help="the rendered performers")
    parser.add_argument("--corpus", type=Path, default=shared / "data" / "mocap", help="the motion capture archives")
    parser.add_argument("--cache", type=Path, default=ROOT / "out" / "motion", help="detections, takes, recordings")
    parser.add_argument("--only", nargs="*", help="these clips only")
    parser.add_argument("--brief", action="store_true", help="means only, and no time")
    parser.add_argument("--frames", type=int, nargs="*", default=[1800, 10_000, 100_000], help="lengths that are timed")
    parser.add_argument("--out", type=Path, help="write the tables here too")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    try:
        clips, fresh = all_clips(args.clips), fresh_clips(args.clips)
    except FileNotFoundError as error:
        parser.error(str(error))
    recordings = {f"{c.name}, simulated": c for c in kept_clips(args.corpus, args.cache)}
    samples = [s for s in (rendered_sample(c, args.cache) for c in clips) if s is not None]
    samples += [simulated_sample(c, args.cache) for c in recordings.values()]
    unseen = [s for s in (rendered_sample(c, args.cache) for c in fresh) if s is not None]
    samples, unseen = ([s for s in of if not args.only or s.name in args.only] for of in (samples, unseen))
    new = {s.name: {m: world_figures(s, x) for m, x in methods(s).items()} for s in unseen}
    rows: dict[bool, Rows] = {False: {}, True: {}}
    exact: Rows = {}
    for sample in samples:
        sys.stderr.write(f"{sample.name}\n")
        found = methods(sample)
        rows[sample.simulated][sample.name] = {m: world_figures(sample, x) for m, x in found.items()}
        if sample.simulated:
            perfect = exact_take(sample, recordings[sample.name])
            exact[sample.name] = {m: world_figures(perfect, x) for m, x in methods(perfect).items()}
    both = {**rows[False], **rows[True]}
    true = {s.name: {"truth": world_figures(s, Motion(s.truth, s.up))} for s in samples}
    lines = [
        heading("World motion, before and after each stage"),
        *INTRODUCTION,
        "## Rendered: the demo and the performers, seen by MediaPipe",
        "",
        *table(rows[False], args.brief),
        "",
        "## Rendered performers on whom nothing was tuned",
        "",
        WHAT_IS_BLIND,
        "",
        *table(new, args.brief),
        "",
        "## Simulated captures of the open benchmark's test subjects",
        "",
        *table(rows[True], args.brief),
        "",
        "## Punches, steps and jumps",
        "",
        f"The means over {', '.join(n for n in FAST_CLIPS if n in both)}.",
        "",
        *table(both, True, FAST_CLIPS),
        "",
        "## What the solver itself loses",
        "",
        "The simulated captures as if detector and network made no error: exact joints, keypoints, contacts and "
        "gravity go in, with the network's own sigma.",
        "",
        *table(exact, args.brief),
        "",
        "## The truth by the same measures",
        "",
        "Recorded feet slide a little where the recordings say that they stand.",
        "",
        *table(true, args.brief),
    ]
    if not args.brief:
        longest = max(samples, key=lambda s: len(s.truth))
        lines += ["", "## Time", "", *timing(longest.take, tuple(args.frames)), ""]
        lines.append(f"Frames of {longest.name}, forwards and backwards in turn, one person, one thread of NumPy.")
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    return 0


INTRODUCTION = [
    f"Lens and height are known. Judged by the {len(JOINTS)} joints that MediaPipe has too; Z is never aligned, the "
    "floor is Z = 0.",
    "",
    "- **Joints**: mean error in the scene once the motion is turned about the vertical and moved so that its first "
    "frame, or the whole clip, lies nearest to the truth.",
    "- **Root**: mean distance of the hips' middle from where it is, first frame aligned, over the length of the way "
    "that it goes (clips of more than 2 m). **Drift**: how far it ends from where it should, whole clip aligned, on "
    "the floor, scaled to ten seconds. **Tilt**: of the vertical.",
    "- **Under the floor**: the lowest point of the feet, mean over frames. **Standing**: how far heels and toes that "
    "truly stand are above or below their true height. **Skate**: their mean speed; **locked**: the mean speed of "
    "those that the solver holds.",
    "- **Landing**: the greatest acceleration of heel and toe within 0.15 s of a true landing, the mean over landings "
    "and the worst of a clip: a foot that is stopped too hard is far above the truth's.",
    "- **Acceleration error**: mean over joints and frames. **Fast motion**: how much of the true motion of wrists "
    "and ankles above 6 Hz is in the result (regression of the result on the truth); **fast energy**: the result's "
    "energy there in per cent of the truth's, noise included.",
    "",
]


def kept_clips(corpus: Path, cache: Path) -> list[Simulated]:
    """The simulated captures, from the cache where they are there: reading the archives takes a minute."""
    source = (Path(__file__).parent / "simulated.py").read_bytes()
    key = hashlib.sha256(source + (corpus / "manifest.json").read_bytes()).hexdigest()[:16]
    path = cache / f"simulated_{key}.npz"
    names = Simulated.__dataclass_fields__
    if not path.exists():
        arrays: dict[str, NDArray[np.generic]] = {}
        for i, clip in enumerate(load_clips(corpus)):
            arrays |= {f"{i:02}/{n}": np.asarray(getattr(clip, n)) for n in names}
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, **arrays)
        os.replace(part, path)
    with np.load(path, allow_pickle=False) as z:
        count = len({k.partition("/")[0] for k in z.files})
        read = [{n: z[f"{i:02}/{n}"] for n in names} for i in range(count)]
    return [Simulated(**{**r, "name": str(r["name"])}) for r in read]


if __name__ == "__main__":
    raise SystemExit(main())
