"""The default checkpoint, or any other, on footage: beside MediaPipe's own 3D from the same frames, and in itself.

    python -m benchmarks.performers.render -o out/performers     once: renders the performers
    python -m benchmarks.default --out benchmarks/default.md
    python -m benchmarks.default --store runs/corpus             and the open benchmark, taken apart
    python -m benchmarks.default --checkpoint new.onnx           the same figures for another checkpoint

Detections and takes are kept in the cache folder, by clip, checkpoint and code: a run that was stopped goes on, and
a second one only reads. Clips: benchmarks/clips.py. Figures: lifter/metrics.py and benchmarks/measures.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

import lifter
from lifter.capture import capture
from lifter.checkpoint import load_checkpoint
from lifter.footage import open_footage
from lifter.metrics import compare, procrustes
from lifter.rotation import quat_to_matrix
from lifter.skeleton import FEET, layout_keypoints, load_skeleton
from lifter.solve import rigid_fit
from lifter.take import GAP, Person, Take, load_take, save_take
from training.data.store import load_store

from .clips import (
    LAYOUT,
    NOISE_MEASURED,
    ROOT,
    Clip,
    Recorded,
    all_clips,
    common_joints,
    file_digest,
    fresh_clips,
    person_of,
    person_size,
    see,
)
from .lifting import sections
from .machine import heading
from .measures import (
    align_on_floor,
    angle_between,
    calibration,
    contact_scores,
    foot_skate,
    rooted,
    size_ratio,
    turn_between,
)
from .performers.fresh import WHAT_IS_BLIND

Array = NDArray[np.float64]

MEDIAPIPE = "MediaPipe"
UNKNOWN = "ours, nothing known"
KNOWN = "ours, lens and height known"
NETWORK = "the network alone, likewise"
BODY = load_skeleton()
STIFF = {
    "head": ("head", ("nose", "l_ear", "r_ear")),
    "l_hand": ("l_wrist", ("l_index", "l_little", "l_thumb")),
    "r_hand": ("r_wrist", ("r_index", "r_little", "r_thumb")),
    "l_foot": ("l_ankle", ("l_toe", "l_heel")),
    "r_foot": ("r_ankle", ("r_toe", "r_heel")),
}
"""Bones whose rotation MediaPipe's landmarks show: the joint they turn about, and the landmarks on them."""
GROUPS = {
    "trunk": ("pelvis", "spine", "chest"),
    "head": ("head",),
    "arms": ("upper_arm", "forearm"),
    "hands": ("hand",),
    "legs": ("thigh", "shin"),
    "feet": ("foot",),
}


@dataclass(frozen=True)
class Result:
    """One method on one clip.

    Attributes:
        names: of the joints that all methods have; joints: (T, J, 3) metres, camera axes, NaN where nobody is found.
        turns: bone name -> (T, 3, 3) rotation relative to rest, camera axes, NaN likewise.
    """

    clip: Clip
    names: list[str]
    joints: Array
    truth: Array
    turns: dict[str, Array]
    take: Take | None = None
    person: Person | None = None

    @property
    def sized(self) -> Array:
        """The joints scaled as a whole to the true limbs."""
        return self.joints * size_ratio(self.joints, self.truth, self.names)


# --- The methods ----------------------------------------------------------------------------------------------


def mediapipe_result(clip: Clip, cache_folder: Path) -> Result:
    """MediaPipe's world landmarks."""
    mine, columns = common_joints(clip)
    world = see(clip, cache_folder).person(clip).world[:, 0].astype(np.float64)
    layout = layout_keypoints(LAYOUT)
    turns: dict[str, Array] = {}
    if clip.rotations is not None:
        for bone, (pivot, ends) in STIFF.items():
            rest, seen = (
                x[..., [names.index(n) for n in ends], :]
                for x, names in ((BODY.rest.astype(np.float64), BODY.joint_names), (world, layout))
            )
            if bone == "head":  # MediaPipe has no joint there: about the landmarks' middle
                rest, seen = rest - rest.mean(0), seen - seen.mean(1, keepdims=True)
            else:
                rest = rest - BODY.rest[BODY.joint(pivot)]
                seen = seen - world[:, [layout.index(pivot)]]
            known = np.isfinite(seen).all((1, 2))
            turns[bone] = np.full((len(world), 3, 3), np.nan)
            turns[bone][known] = rigid_fit(rest, seen[known])
    return Result(clip, [clip.names[j] for j in columns], world[:, mine], clip.joints[:, columns], turns)


def our_result(clip: Clip, checkpoint: str, known: bool, cache_folder: Path) -> Result:
    """Our capture, from the same detections."""
    take = take_of(clip, checkpoint, known, cache_folder)
    person = person_of(take, clip)
    _, columns = common_joints(clip)
    names = [clip.names[j] for j in columns]
    joints = np.full((len(clip.joints), len(names), 3), np.nan)
    turns: dict[str, Array] = {}
    if person is not None:
        inside = person.frames < len(joints)
        at = person.frames[inside]
        joints[at] = person.joints_camera[inside][:, [take.skeleton.joint(n) for n in names]]
        if clip.rotations is not None:
            for b, bone in enumerate(take.skeleton.bones):
                turns[bone.name] = np.full((len(joints), 3, 3), np.nan)
                turns[bone.name][at] = take.camera.R @ quat_to_matrix(person.rotations[inside, b])
    return Result(clip, names, joints, clip.joints[:, columns], turns, take, person)


def network_result(solved: Result) -> Result:
    """What the network said of a capture: neither smoothed nor solved, its feet not locked."""
    clip, take, person = solved.clip, solved.take, solved.person
    joints = np.full_like(solved.joints, np.nan)
    if take is not None and person is not None:
        inside = person.frames < len(joints)
        columns = [take.skeleton.joint(n) for n in solved.names]
        scale = take.header["settings"]["height"] / take.skeleton.height
        joints[person.frames[inside]] = person.lifted[inside][:, columns] * scale
        joints[person.frames[inside & (person.state == GAP)]] = np.nan
    return Result(clip, solved.names, joints, solved.truth, {})


def take_of(clip: Clip, checkpoint: str, known: bool, cache_folder: Path) -> Take:
    """The capture of a clip, from the cache where it is there."""
    network = load_checkpoint(checkpoint)
    what = f"{file_digest(clip.path)} {network_digest(network.path)} {code_digest()} {known}"
    path = cache_folder / f"take_{clip.name}_{hashlib.sha256(what.encode()).hexdigest()[:16]}.npz"
    if not path.exists():
        options: dict[str, Any] = {"focal": clip.focal, "height": clip.height} if known else {}
        detector = Recorded(see(clip, cache_folder))
        save_take(capture(clip.path, detector=detector, checkpoint=checkpoint, **options), path)
    return load_take(path)


@cache
def network_digest(path: Path) -> str:
    """SHA-256 of a checkpoint without its card, which tells of these figures."""
    model = onnx.load(str(path))
    header = [json.loads(e.value) for e in model.metadata_props if e.key == "motionlift"]
    del model.metadata_props[:]
    for h in header:
        h.pop("card")
    return hashlib.sha256(model.SerializeToString(deterministic=True) + json.dumps(header).encode()).hexdigest()


@cache
def code_digest() -> str:
    """SHA-256 of all code that a take depends on."""
    folder = Path(lifter.__file__).parent
    sources = sorted([*folder.rglob("*.py"), *folder.rglob("*.toml")])
    return hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()


# --- The tables -----------------------------------------------------------------------------------------------


def figures(result: Result) -> dict[str, float]:
    """`compare`, and the mean error once the size is right."""
    names, fps = result.names, open_footage(result.clip.path).fps
    hips = np.array([names.index("l_hip"), names.index("r_hip")])
    plain = compare(result.joints, result.truth, hips, fps)
    return {**plain, "sized": compare(result.sized, result.truth, hips, fps)["MPJPE"]}


def clip_table(clips: Iterable[Clip]) -> list[str]:
    lines = [
        "| clip | frames | fps | picture | height m | camera tilt, roll ° | view ° | distance m | person, share of "
        "the picture's diagonal |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for clip in clips:
        tilt = 90 - float(angle_between(np.array([0, 0, 1.0]), -clip.up))
        roll = float(np.degrees(np.arctan2(clip.up[0], -clip.up[1])))
        distance = float(np.median(np.linalg.norm(clip.joints.mean(1), axis=-1)))
        share = float(np.median(person_size(clip))) / float(np.hypot(*clip.size))
        view = 2 * np.degrees(np.arctan(clip.size[0] / 2 / clip.focal))
        height = "unknown" if clip.height is None else f"{clip.height:.2f}"
        lines.append(
            f"| {clip.name} | {len(clip.joints)} | {open_footage(clip.path).fps:.0f} | {clip.size[0]}x{clip.size[1]} "
            f"| {height} | {tilt:.0f}, {roll:.0f} | {view:.0f} | {distance:.1f} | {100 * share:.0f} % |"
        )
    return lines


def main_table(results: dict[str, dict[str, Result]], numbers: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    lines = [
        "| clip | what | MPJPE | sized | P-MPJPE | acceleration error | kept | frames |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for clip, by_method in results.items():
        for method, result in by_method.items():
            f = numbers[clip][method]
            lines.append(
                f"| {clip} | {method} | {f['MPJPE']:.0f} | {f['sized']:.0f} | {f['P-MPJPE']:.0f} "
                f"| {f['acceleration error']:.2f} | {100 * f['liveliness']:.0f} % "
                f"| {f['frames']:.0f} of {len(result.truth)} |"
            )
    for method in next(iter(results.values())):
        f = {k: float(np.mean([n[method][k] for n in numbers.values()])) for k in numbers[next(iter(numbers))][method]}
        lines.append(
            f"| **mean** | {method} | {f['MPJPE']:.0f} | {f['sized']:.0f} | {f['P-MPJPE']:.0f} "
            f"| {f['acceleration error']:.2f} | {100 * f['liveliness']:.0f} % | |"
        )
    return lines


def ratio_table(numbers: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """Ours in units of MediaPipe's errors, clip by clip, and the aims."""
    columns = [
        ("MPJPE, nothing known", UNKNOWN, "MPJPE"),
        ("MPJPE, known", KNOWN, "MPJPE"),
        ("sized, known", KNOWN, "sized"),
        ("P-MPJPE, known", KNOWN, "P-MPJPE"),
        ("acceleration error, known", KNOWN, "acceleration error"),
    ]
    table = np.array([[n[m][k] / n[MEDIAPIPE][k] for _, m, k in columns] for n in numbers.values()])
    unseen = [name not in NOISE_MEASURED for name in numbers]
    lines = ["| clip | " + " | ".join(c for c, _, _ in columns) + " | kept, known |", "|---" * (len(columns) + 2) + "|"]
    kept = np.array([n[KNOWN]["liveliness"] for n in numbers.values()])
    for clip, row, k in zip(numbers, table, kept, strict=True):
        lines.append(f"| {clip} | " + " | ".join(f"{x:.2f}" for x in row) + f" | {100 * k:.0f} % |")
    for what, rows in (("mean", [True] * len(unseen)), ("mean of the unseen", unseen)):
        if any(rows):
            cells = " | ".join(f"**{x:.2f}**" for x in table[rows].mean(0))
            lines.append(f"| **{what}** | {cells} | **{100 * kept[rows].mean():.0f} %** |")
    lines.append("| worst | " + " | ".join(f"{x:.2f}" for x in table.max(0)) + f" | {100 * kept.min():.0f} % |")
    lines.append("| aim |" + 4 * " 0.65, none above 1 |" + " 0.30 | 80 % |")
    return lines


def joint_table(results: dict[str, dict[str, Result]]) -> list[str]:
    """Mean errors of each joint, left and right together, sized and after Procrustes, averaged over the clips."""
    sums: dict[tuple[str, str, str], list[float]] = {}
    for by_method in results.values():
        for method, r in by_method.items():
            p, t = rooted(r.sized, r.names), rooted(r.truth, r.names)
            known = np.isfinite(p).all((1, 2)) & np.isfinite(t).all((1, 2))
            sized = np.linalg.norm(p - t, axis=-1)[known].mean(0)
            turned = np.linalg.norm(procrustes(p[known], t[known]) - t[known], axis=-1).mean(0)
            for j, name in enumerate(r.names):
                kind = name.removeprefix("l_").removeprefix("r_")
                sums.setdefault((kind, method, "sized"), []).append(1000 * float(sized[j]))
                sums.setdefault((kind, method, "P"), []).append(1000 * float(turned[j]))
    kinds = list(dict.fromkeys(k for k, _, _ in sums))
    lines = [
        "| joint | sized: MediaPipe | nothing known | known | network | Procrustes: MediaPipe | nothing known | known "
        "| network |",
        "|---" * 9 + "|",
    ]
    for kind in kinds:
        row = [np.mean(sums[kind, m, k]) for k in ("sized", "P") for m in (MEDIAPIPE, UNKNOWN, KNOWN, NETWORK)]
        lines.append(f"| {kind} | " + " | ".join(f"{x:.0f}" for x in row) + " |")
    return lines


def turn_table(results: dict[str, dict[str, Result]]) -> list[str]:
    """Mean angle between true and captured bone rotations; MediaPipe's from its landmarks where they show them."""
    lines = ["| clip | what | " + " | ".join(GROUPS) + " |", "|---" * (len(GROUPS) + 2) + "|"]
    total: dict[str, list[list[float]]] = {}
    for name, by_method in results.items():
        for method, r in by_method.items():
            if r.clip.rotations is None or not r.turns or method == UNKNOWN:
                continue
            row: list[float] = []
            for members in GROUPS.values():
                errors = [
                    turn_between(r.turns[bone.name], r.clip.rotations[:, b])
                    for b, bone in enumerate(BODY.bones)
                    if bone.name.removeprefix("l_").removeprefix("r_") in members and bone.name in r.turns
                ]
                row.append(float(np.nanmean(np.concatenate(errors))) if errors else float("nan"))
            total.setdefault(method, []).append(row)
            lines.append(f"| {name} | {method} | " + " | ".join(_number(x, 1) for x in row) + " |")
    for method, rows in total.items():
        lines.append(f"| **mean** | {method} | " + " | ".join(_number(x, 1) for x in np.mean(rows, axis=0)) + " |")
    return lines


def world_row(r: Result) -> dict[str, float]:
    """Contacts, gravity, path, skating and floor of one capture with everything known."""
    clip, take, person = r.clip, r.take, r.person
    if take is None or person is None:
        return {}
    inside = person.frames < len(clip.joints)
    at, down = person.frames[inside], -clip.up
    said = person.down[inside].astype(np.float64)
    out = {
        "gravity, frames": float(np.median(angle_between(said[np.isfinite(said).all(1)], down))),
        "gravity, clip": float(angle_between(-take.camera.R[:, 2], down)),
    }
    if clip.contacts is None or clip.camera is None:
        return out
    contacts = clip.contacts[at]
    out |= contact_scores(person.contact[inside], contacts)
    feet = [clip.column(n) for n in FEET]
    R, t = clip.camera
    true_world = (clip.joints[at] - t) @ R
    world = person.joints_world[inside].astype(np.float64)
    root, true_root = world[:, take.skeleton.joint("pelvis")], true_world[:, clip.column("pelvis")]
    known = np.isfinite(root).all(1)
    turn, shift = align_on_floor(root[known], true_root[known])
    camera_root = person.joints_camera[inside][:, take.skeleton.joint("pelvis")].astype(np.float64)
    away = camera_root - clip.joints[at][:, clip.column("pelvis")]
    moved = root[known] @ turn.T + shift - true_root[known]
    our_feet = world[:, [take.skeleton.joint(n) for n in FEET]]
    height = our_feet[..., 2] - true_world[:, feet, 2]
    return out | {
        "stands": contact_scores(person.stands[inside], contacts)["F1"],
        "root": float(np.nanmedian(np.linalg.norm(away, axis=1))),
        "path": 1000 * float(np.sqrt((moved**2).sum(1).mean())),
        "skate": 100 * foot_skate(our_feet, contacts, take.fps),
        "floor": 1000 * float(np.nanmean(np.abs(height[contacts]))),
    }


def world_table(results: dict[str, dict[str, Result]]) -> list[str]:
    columns = {
        "gravity, frames": 1, "gravity, clip": 1, "F1": 3, "precision": 3, "recall": 3, "stands": 3, "root": 2,
        "path": 0, "skate": 1, "floor": 0,
    }  # fmt: skip
    lines = [
        "| clip | gravity: median of the frames ° | of the clip ° | contacts: F1 | precision | recall | as solved: F1 "
        "| root m | path mm | skating cm/s | floor mm |",
        "|---" * (len(columns) + 1) + "|",
    ]
    rows = {name: world_row(r[KNOWN]) for name, r in results.items()}
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(_number(row.get(k, np.nan), d) for k, d in columns.items()) + " |")
    means = [float(np.nanmean([row.get(k, np.nan) for row in rows.values()])) for k in columns]
    cells = [_number(m, d) for m, d in zip(means, columns.values(), strict=True)]
    return [*lines, "| **mean** | " + " | ".join(cells) + " |"]


def sigma_samples(r: Result) -> tuple[Array, Array]:
    """(N,) predicted and observed errors in metres of the network's own joints, at the skeleton's height."""
    clip, take, person = r.clip, r.take, r.person
    if take is None or person is None or clip.height is None:
        return np.zeros(0), np.zeros(0)
    names = [n for n in take.skeleton.joint_names if n in clip.names and n != take.skeleton.joint_names[0]]
    ours = [take.skeleton.joint(n) for n in names]
    inside = (person.frames < len(clip.joints)) & np.isfinite(person.lifted).all((1, 2))
    true = clip.joints[person.frames[inside]]
    root = true[:, [clip.column(take.skeleton.joint_names[0])]]
    true = (true[:, [clip.column(n) for n in names]] - root) * (take.skeleton.height / clip.height)
    error = np.linalg.norm(person.lifted[inside][:, ours] - true, axis=-1)
    return person.sigma[inside][:, ours].astype(np.float64).ravel(), error.ravel()


def sigma_table(results: dict[str, dict[str, Result]]) -> list[str]:
    samples = {name: sigma_samples(r[KNOWN]) for name, r in results.items()}
    samples = {name: s for name, s in samples.items() if len(s[0])}
    predicted, observed = (np.concatenate([s[i] for s in samples.values()]) for i in (0, 1))
    every = calibration(predicted, observed)
    return [
        "| decile | " + " | ".join(str(i + 1) for i in range(10)) + " |",
        "|---" * 11 + "|",
        "| predicted mm | " + " | ".join(f"{1000 * x:.0f}" for x in every[:, 0]) + " |",
        "| observed mm | " + " | ".join(f"{1000 * x:.0f}" for x in every[:, 1]) + " |",
        "| observed / predicted | " + " | ".join(f"{b / a:.2f}" for a, b in every) + " |",
        "",
        "Mean observed / mean predicted: "
        + ", ".join(f"{name} {e.mean() / s.mean():.2f}" for name, (s, e) in samples.items())
        + ".",
    ]


def _number(x: float, digits: int) -> str:
    return f"{x:.{digits}f}" if np.isfinite(x) else ""


def results_of(clip: Clip, checkpoint: str, cache: Path) -> dict[str, Result]:
    """What MediaPipe makes of a clip, and what we do, by method."""
    sys.stderr.write(f"{clip.name}\n")
    known = our_result(clip, checkpoint, True, cache)
    return {
        MEDIAPIPE: mediapipe_result(clip, cache),
        UNKNOWN: our_result(clip, checkpoint, False, cache),
        KNOWN: known,
        NETWORK: network_result(known),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="body", help="a shipped one by name, or the path of an .onnx file")
    parser.add_argument("--clips", type=Path, default=ROOT / "out" / "performers", help="the rendered performers")
    parser.add_argument("--cache", type=Path, default=ROOT / "out" / "default", help="detections and takes")
    parser.add_argument("--store", type=Path, help="prepared corpus: adds the open benchmark (benchmarks/lifting.py)")
    parser.add_argument("--plots", type=Path, default=ROOT / "docs" / "images", help="folder for that one's plots")
    parser.add_argument("--only", nargs="*", help="these clips only")
    parser.add_argument("--out", type=Path, help="write the tables here too")
    args = parser.parse_args()
    for folder in (args.cache, args.plots):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        clips, fresh = (
            [c for c in of(args.clips) if not args.only or c.name in args.only] for of in (all_clips, fresh_clips)
        )
    except FileNotFoundError as error:
        parser.error(str(error))
    results = {clip.name: results_of(clip, args.checkpoint, args.cache) for clip in clips}
    unseen = {clip.name: results_of(clip, args.checkpoint, args.cache) for clip in fresh}
    numbers, unseen_numbers = (
        {name: {m: figures(r) for m, r in by_method.items()} for name, by_method in of.items()}
        for of in (results, unseen)
    )
    joints = len(next(iter({**results, **unseen}.values()))[MEDIAPIPE].names)
    network = load_checkpoint(args.checkpoint)
    lines = [
        heading("A checkpoint on footage, beside MediaPipe's own 3D"),
        f"Checkpoint {network.name}, SHA-256 of the network {network_digest(network.path)[:16]}, "
        f"{network.path.stat().st_size / 1e6:.1f} MB.",
        "Both start from the same MediaPipe keypoints. The performers are rendered (benchmarks/performers), pose2sim "
        "is a real man, his truth good to 2 to 3 cm. No network is trained on any of them, and none tuned but that "
        "what lunge and sidestep showed made training draw more of the like; how 2D detectors err in training was "
        f"measured on {', '.join(NOISE_MEASURED)}: the others are unseen in that respect.",
        "",
        "## Clips",
        "",
        *clip_table(clips),
        "",
        "Positive tilt looks down.",
        "",
        "## Joints",
        "",
        f"{joints} joints that MediaPipe has too (17 on pose2sim), mm. MPJPE: "
        "from the middle of the hips. Sized: the clip scaled as a whole to the true limbs. P-MPJPE: each frame moved, "
        "turned and scaled onto the truth. Acceleration error: mean over joints and frames, m/s². Kept: mean magnitude "
        "of acceleration relative to the truth's. Known: the true focal length and, but for pose2sim, the height; "
        "nothing known: an assumed lens, 1.70 m. The network alone: before smoothing, constant bones and the lock of "
        "the feet.",
        "",
        *main_table(results, numbers),
        "",
        "In units of MediaPipe's error:",
        "",
        *ratio_table(numbers),
        "",
        "## Performers on whom nothing was tuned",
        "",
        WHAT_IS_BLIND,
        "",
        *clip_table(fresh),
        "",
        *main_table(unseen, unseen_numbers),
        "",
        *ratio_table(unseen_numbers),
        "",
        *world_table(unseen),
        "",
        "## Joint by joint",
        "",
        "mm, mean over the clips, left and right together.",
        "",
        *joint_table(results),
        "",
        "## Bone rotations",
        "",
        "Mean angle to the truth in degrees, in the camera's axes. MediaPipe's: its landmarks fitted to the bone at "
        "rest.",
        "",
        *turn_table(results),
        "",
        "## Contacts, gravity and the path through the scene",
        "",
        "Lens and height known. Gravity: of the network's frames, and of the scene. Contacts: "
        "the network's at a probability of one half, and the standing feet of the solver. Root: median distance of the "
        "pelvis from where it is, in the camera's space. Path: the pelvis in the scene once turned about the vertical "
        "and moved onto the truth, root mean square. Skating: mean speed of heels and toes that stand. Floor: how far "
        "their height is off.",
        "",
        *world_table(results),
        "",
        "## Sigma",
        "",
        "The error that the network expects of each joint, beside the one it makes, by deciles of the former: all "
        "joints and frames of the clips with exact truth, at the skeleton's own height. The aim is 0.85 to 1.15.",
        "",
        *sigma_table(results),
    ]  # fmt: skip
    if args.store:
        lines += ["", *sections(network, load_store(args.store), args.plots)]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
