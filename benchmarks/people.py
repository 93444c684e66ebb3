"""Many people who cross: how well each is followed, by number of people and crossings.

    python -m benchmarks.people -o benchmarks/people.md

A scene is 2 to 8 recordings of motion capture, each turned so that its path leads across the picture, filmed by one
still camera two metres above the floor. The detector errs as in training (`training/detector_noise.py`) and, beyond
that, as detectors do in crowds: what lies behind somebody is lost, or found on the one in front; of two bodies upon
each other only one is found; people go undetected for some frames; bodies are made up.

The truth is everybody of whom half is in the picture and not hidden; whoever is found of the others counts neither way.
IDF1 (Ristani et al. 2016, "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", section 3):
true people and tracks are paired for the whole scene, one to one, so that most frames agree; IDF1 = 2 IDTP / (true +
tracked frames). A frame agrees if the median keypoint lies within a fifth of the body's diagonal. Tracks are taken with
their short gaps filled by a line, as capture fills them. "By keypoints alone" is without the colours of clothes; "told
apart" is what tracks reach whose detections are told apart by the truth: the rest was not detected.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.machine import heading
from benchmarks.simulated import look
from lifter.detect import Detection
from lifter.skeleton import Skeleton, layout_keypoints, load_skeleton
from lifter.smooth import runs
from lifter.track import SHORT_GAP_SECONDS, Track, track_people
from training.data.open_data import ManifestSource, manifest_items
from training.detector_noise import detector_errors

Array = NDArray[np.float64]
Tracker = Callable[[Sequence[float], Sequence[Sequence[Detection]], str, float], list[Track]]

LAYOUT, FPS, SECONDS, SIZE, FOCAL = "halpe26", 30.0, 8.0, (1280, 720), 1100.0
SCENES = 12
"""For each number of people."""

FIRST = 100
"""The tracker's constants were chosen on the scenes of seeds 0 to 11."""
CAST = (
    *("Female1_B03_Walk", "Female1_B07_WalkBackwardsTurnForwards", "Female1_B11_WalkTurnLeft135"),
    *("Female1_B14_WalkTurnRight135", "Female1_B17_WalkToHopToWalk1", "Male1_B13_WalkTurnRight45"),
    *("Male1_B17_Walk2Hop2Walk", "Male1_B18_Walk2Leap2Walk", "Male1_B3_Walk", "Male1_B6_WalkBackwards"),
    *("Male1_B7_WalkBackTurnForward", "Male2_B5_WalkBackwards", "Male2_B7_WalkBackwardsTurnForward"),
    *("cmu_06_13", "cmu_09_12", "cmu_05_02", "cmu_aclstm_martial_05", "cmu_03_03"),
)
LIMBS = (
    *(("neck", "pelvis"), ("l_shoulder", "r_shoulder"), ("l_hip", "r_hip"), ("neck", "head_top")),
    *((f"{s}_{a}", f"{s}_{b}") for s in "lr" for a, b in (("shoulder", "elbow"), ("elbow", "wrist"))),
    *((f"{s}_{a}", f"{s}_{b}") for s in "lr" for a, b in (("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle"))),
)
CLOTHED = (("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle"))
"""Keypoints round each part whose colour is seen (lifter/clothes.py)."""
LIGHT = 8.0
"""Lab lightness by which one person's clothes wander, over about a second."""
THICK = 0.10
"""Metres from a limb's middle to its skin, clothes and all."""


@dataclass(frozen=True)
class Scene:
    """T frames of N people. truth: (N, T, K, 2) pixels; there: (N, T) who is to be found; times: (T,); found: a
    frame's detections; who: whose each is, -1 for made up; crossings: how often two pass each other in the picture."""

    truth: Array
    there: NDArray[np.bool_]
    times: list[float]
    found: list[list[Detection]]
    who: list[list[int]]
    crossings: int


def load_cast(corpus: Path) -> list[Array]:
    """(T, J, 3) joints on the default skeleton at FPS, feet on the floor at Z = 0, of each of the cast."""
    skeleton, wanted = load_skeleton(), set(CAST)
    out: dict[str, Array] = {}
    for item in manifest_items(ManifestSource("manifest", str(corpus)), Path(), skeleton):
        name = item.name.partition("/")[2]
        if name in wanted:
            (recording,) = item.read()
            out[name] = np.asarray(recording.arrays["joints"][:: max(1, round(recording.fps / FPS))], np.float64)
    return [out[n] for n in CAST if n in out]


def make_scene(cast: list[Array], people: int, seed: int, noise: float = 1.0) -> Scene:
    """Put people on a floor, film and detect them."""
    rng = np.random.default_rng(1000 * people + seed)
    skeleton, frames = load_skeleton(), round(SECONDS * FPS)
    place = np.array([0.0, 0.0, 2.0])
    R, t = look(place, np.array([0.0, 6.0, 1.0]), np.radians(rng.normal(0, 1.5)))
    joints = np.full((people, frames, len(skeleton.joint_names), 3), np.nan)
    chosen = rng.permutation(len(cast))[:people]
    depths = np.linspace(4.5, 4.5 + 0.8 * people, people)
    for i, depth in zip(range(people), rng.permutation(depths), strict=True):
        own = cast[chosen[i]]
        start = rng.integers(0, max(1, len(own) - frames))
        own = own[start : start + frames]
        late = rng.integers(0, frames - len(own) + 1)
        joints[i, late : late + len(own)] = _across(own, rng, depth)
    seen = np.einsum("ij,ntkj->ntki", R, joints) + t
    rays = seen[..., :2] / seen[..., 2:]
    names = layout_keypoints(LAYOUT)
    index = [skeleton.joint(n) if n in skeleton.joint_names else skeleton.joint("nose") for n in names]
    known = np.array([n in skeleton.joint_names for n in names])

    def pixels(r: Array) -> Array:
        return FOCAL * r + np.array(SIZE) / 2

    truth = np.where(known[:, None], pixels(rays)[:, :, index], np.nan)
    hidden = _hidden(skeleton, pixels(rays), seen)[:, :, index]
    inside = ((truth >= 0) & (truth < SIZE)).all(-1)
    present = np.isfinite(joints[:, :, 0, 0])
    share = inside[..., known].mean(-1)
    open_share = (inside & ~hidden)[..., known].mean(-1)
    there = present & (share >= 0.5) & (open_share >= 0.5)
    rays, score = _detected(skeleton, rays, seen, hidden, index, noise, int(rng.integers(2**31)))
    found, who = _crowd(rng, pixels(rays)[:, :, index], score[:, :, index] * known, hidden, present & (share > 0.25))
    found = _dressed(np.random.default_rng([people, seed]), found, who, hidden)
    return Scene(truth[:, :, known], there, [i / FPS for i in range(frames)], found, who, _crossings(truth, present))


def _across(own: Array, rng: np.random.Generator, depth: float) -> Array:
    """A recording whose path leads left or right through the picture's middle, at a distance from the camera."""
    root = own[:, 0, :2] - own[:, 0, :2].mean(0)
    _, _, axes = np.linalg.svd(root, full_matrices=False)
    heading_now = np.arctan2(axes[0, 1], axes[0, 0])
    turn = -heading_now + np.radians(rng.normal(0, 15)) + rng.integers(2) * np.pi
    c, s = np.cos(turn), np.sin(turn)
    out = own - [*own[:, 0, :2].mean(0), 0]
    xy = out[..., :2] @ np.array([[c, s], [-s, c]])
    return np.concatenate([xy + [rng.uniform(-0.8, 0.8), depth], out[..., 2:]], -1)


def _hidden(skeleton: Skeleton, pixels: Array, seen: Array) -> NDArray[np.bool_]:
    """(N, T, J) joints that lie behind somebody else's body."""
    people, frames, count = pixels.shape[:3]
    out = np.zeros((people, frames, count), bool)
    for front in range(people):
        for back in range(people):
            if back == front:
                continue
            nearer = seen[front, :, 0, 2] < seen[back, :, 0, 2]
            for a, b in LIMBS:
                i, j = skeleton.joint(a), skeleton.joint(b)
                p, q = pixels[front, :, i], pixels[front, :, j]
                along = q - p
                offset = pixels[back] - p[:, None]
                u = np.einsum("tkc,tc->tk", offset, along) / np.maximum((along**2).sum(-1), 1e-9)[:, None]
                away = np.linalg.norm(offset - u.clip(0, 1)[..., None] * along[:, None], axis=-1)
                out[back] |= nearer[:, None] & (away < THICK * FOCAL / seen[front, :, 0, 2, None])
    return out


def _detected(
    skeleton: Skeleton, rays: Array, seen: Array, hidden: NDArray[np.bool_], index: list[int], noise: float, seed: int
) -> tuple[Array, Array]:
    """Rays and scores as a detector finds them, one person by one."""
    score = np.isfinite(rays).all(-1).astype(np.float64)
    if not noise:
        return rays, score
    g = torch.Generator().manual_seed(seed)
    filled = np.nan_to_num(rays), np.nan_to_num(seen, nan=5.0)
    outside = (np.abs(np.nan_to_num(rays)) > np.array(SIZE) / 2 / FOCAL).any(-1)
    with torch.no_grad():
        found, sure = detector_errors(
            skeleton,
            torch.from_numpy(filled[0]).float(),
            torch.from_numpy(score).float(),
            torch.from_numpy(filled[1]).float(),
            torch.from_numpy(outside),
            g,
            fps=FPS,
            amount=noise,
        )
    return found.numpy().astype(np.float64), sure.numpy() * score


def _crowd(
    rng: np.random.Generator, xy: Array, score: Array, hidden: NDArray[np.bool_], present: NDArray[np.bool_]
) -> tuple[list[list[Detection]], list[list[int]]]:
    """Detections of each frame and whose they are, in any order, with what goes wrong where people are close."""
    people, frames, count = score.shape
    score, xy = score.copy(), xy.copy()
    # A hidden keypoint is lost, guessed at, or found on the one in front; so for a while at a time.
    mood = np.repeat(rng.random((people, frames // 6 + 1, count)), 6, axis=1)[:, :frames]
    centre = np.nanmedian(np.where(score[..., None] > 0, xy, np.nan), axis=2)
    for i in range(people):
        others = [k for k in range(people) if k != i]
        gaps = np.linalg.norm(centre[others] - centre[i], axis=-1)
        nearest = np.array(others)[np.argmin(np.nan_to_num(gaps, nan=1e9), axis=0)]
        front = xy[nearest, np.arange(frames)]
        taken = hidden[i] & (mood[i] < 0.25) & np.isfinite(front).all(-1)
        xy[i] = np.where(taken[..., None], front, xy[i])
        lost = hidden[i] & (mood[i] >= 0.6)
        score[i] = np.where(lost, 0, np.where(hidden[i], 0.5 * score[i], score[i]))
    size = np.linalg.norm(_extent(np.where(score[..., None] > 0, xy, np.nan)), axis=-1)
    hidden_share = hidden.mean(-1)
    out: list[list[Detection]] = []
    whose: list[list[int]] = []
    blind = np.zeros((people, frames), bool)
    for i in range(people):
        for start in np.flatnonzero(rng.random(frames) < 0.003):  # undetected for a while
            blind[i, start : start + rng.integers(1, 12)] = True
    ghosts: list[tuple[int, int, Array, float]] = []
    for start in np.flatnonzero(rng.random(frames) < 0.02):
        shape = rng.normal(size=(count, 2)) * rng.uniform(15, 60)
        ghosts.append((int(start), int(start + rng.integers(1, 20)), shape + rng.uniform((0, 0), SIZE), 0.04))
    for t in range(frames):
        now: list[tuple[float, int, Detection]] = []
        for i in range(people):
            if not present[i, t] or blind[i, t] or rng.random() < _lose(float(hidden_share[i, t])):
                continue
            ok = score[i, t] > 0
            if ok.sum() < 6:
                continue
            now.append((float(score[i, t].sum()), i, _detection(xy[i, t], score[i, t])))
        now.sort(key=lambda x: -x[0])
        kept: list[Detection] = []
        own: list[int] = []
        for _, i, d in now:  # of two upon each other one is found
            if all(_apart(d, k) > 0.12 * np.nanmax(size[:, t]) for k in kept):
                kept.append(d)
                own.append(i)
        for start, stop, shape, shake in ghosts:
            if start <= t < stop:
                moved = shape + rng.normal(size=shape.shape) * shake * 100
                kept.append(_detection(moved, np.full(count, 0.4)))
                own.append(-1)
        order = rng.permutation(len(kept))
        out.append([kept[k] for k in order])
        whose.append([own[k] for k in order])
    return out, whose


def _dressed(
    rng: np.random.Generator, found: list[list[Detection]], who: list[list[int]], hidden: NDArray[np.bool_]
) -> list[list[Detection]]:
    """The detections with the colours of their clothes.

    Lab; how far one person's colours wander in a clip, and how far people's are apart, is about as on the real clips
    and the rendered performers: light changes with place and pose. Clothes are dull, and in every fourth case those of
    somebody else in the scene. What is hidden shows the colour of another person, or none.
    """
    people, frames = hidden.shape[:2]
    clothes = np.stack([rng.uniform(5, 75, (people, 3)), *rng.normal(0, 7, (2, people, 3))], -1)
    clothes[:, 2] = np.where(rng.random((people, 1)) < 0.8, clothes[:, 1], clothes[:, 2])  # long trousers
    for i in range(1, people):
        if rng.random() < 0.25:
            clothes[i] = clothes[rng.integers(i)]
    light = np.zeros((people, frames, 3))
    for t in range(1, frames):
        light[:, t] = 0.97 * light[:, t - 1] + rng.normal(0, LIGHT * np.sqrt(1 - 0.97**2), (people, 3))
    names = layout_keypoints(LAYOUT)
    parts = [[k for k, n in enumerate(names) if n[2:] in part] for part in CLOTHED]
    out: list[list[Detection]] = []
    for t, (now, whose) in enumerate(zip(found, who, strict=True)):
        seen: list[Detection] = []
        for detection, i in zip(now, whose, strict=True):
            colours = rng.normal(0, (4, 2, 2), (3, 3))
            if i < 0:
                colours += rng.uniform((5, -20, -20), (90, 20, 20), (3, 3))
            else:
                colours += clothes[i]
                colours[:, 0] += light[i, t]
                for part, keypoints in enumerate(parts):
                    if hidden[i, t, keypoints].mean() > 0.3:
                        other = clothes[rng.integers(people), part]
                        colours[part] = other if rng.random() < 0.5 else np.nan
            seen.append(replace(detection, colours=colours.astype(np.float32)))
        out.append(seen)
    return out


def _lose(hidden: float) -> float:
    """How likely a body is not found in a frame, by how much of it is hidden."""
    return float(np.interp(hidden, (0.0, 0.3, 0.6, 0.8), (0.005, 0.02, 0.35, 0.95)))


def _detection(xy: Array, score: Array) -> Detection:
    ok = score > 0
    return Detection(np.where(ok[:, None], xy, np.nan).astype(np.float32), np.where(ok, score, 0).astype(np.float32))


def _apart(a: Detection, b: Detection) -> float:
    with np.errstate(all="ignore"):
        away = np.linalg.norm(a.xy - b.xy, axis=-1)
    return float(np.nanmedian(away)) if np.isfinite(away).any() else float("inf")


def _extent(xy: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.nanmax(xy, axis=-2) - np.nanmin(xy, axis=-2))


def _crossings(truth: Array, present: NDArray[np.bool_]) -> int:
    """Pairs of people who change sides in the picture while both are in it."""
    total = 0
    middle = np.nanmean(truth[..., 0], axis=2)
    for i in range(len(truth)):
        for j in range(i):
            both = present[i] & present[j] & (middle[i] > 0) & (middle[i] < SIZE[0])
            side = np.sign(middle[i, both] - middle[j, both])
            total += int((np.diff(side) != 0).sum())
    return total


def idf1(truth: Array, there: NDArray[np.bool_], tracks: Sequence[Track], known: Sequence[int] | None = None) -> Any:
    """(IDF1, identity switches, tracks); see the module's text. truth: (N, T, K, 2); there: (N, T).

    A switch is a frame in which a person is covered by another track than the last time.
    """
    people, frames = there.shape
    size = np.maximum(np.linalg.norm(_extent(truth), axis=-1), 1.0)
    agree = np.zeros((len(tracks), people, frames), bool)
    in_view = ((truth >= 0) & (truth < SIZE)).all(-1).any(-1)
    length = np.zeros(len(tracks))
    for i, track in enumerate(tracks):
        xy, has = _filled(track)
        use = (track.frames >= 0) & (track.frames < frames)
        at = track.frames[use]
        length[i] = has[use].sum()
        own = xy[use] if known is None else xy[use][:, known]
        away = np.linalg.norm(own[None] - truth[:, at], axis=-1)
        middle = np.where(np.isfinite(away).any(-1), _nanmedian(away), np.inf)
        near = (middle < 0.2 * size[:, at]) & has[use]
        agree[i][:, at] = near & there[:, at]
        # Whoever is found though mostly hidden is neither asked for nor wrong.
        excused = (near & (in_view & ~there)[:, at]).any(0) & ~agree[i][:, at].any(0)
        length[i] -= excused.sum()
    both = agree.sum(-1)
    rows, columns = linear_sum_assignment(-both) if len(tracks) else ((), ())
    hits = both[rows, columns].sum() if len(tracks) else 0
    score = 2 * hits / max(there.sum() + length.sum(), 1)
    switches = 0
    for n in range(people):
        last = -1
        for t in np.flatnonzero(agree[:, n].any(0)):
            options = np.flatnonzero(agree[:, n, t])
            if last not in options:
                switches += last >= 0
                last = int(options[0])
    return float(score), switches, len(tracks)


def _nanmedian(x: Array) -> Array:
    """Along the last axis; NaN, without a word, where nothing is finite."""
    ordered = np.sort(np.where(np.isfinite(x), x, np.inf), axis=-1)
    middle = np.maximum((np.isfinite(x).sum(-1) - 1) // 2, 0)
    return np.take_along_axis(ordered, middle[..., None], -1)[..., 0]


def _filled(track: Track) -> tuple[Array, NDArray[np.bool_]]:
    """(T, K, 2) keypoints and (T,) frames that the track has, short gaps filled by a line."""
    xy, has = track.xy.astype(np.float64), track.seen.copy()
    for start, stop in runs(~has):
        if start > 0 and stop < len(has) and stop - start <= SHORT_GAP_SECONDS * FPS:
            u = (np.arange(start, stop) - start + 1)[:, None, None] / (stop - start + 1)
            xy[start:stop] = xy[start - 1] * (1 - u) + xy[stop] * u
            has[start:stop] = True
    return xy, has


def tracker_of(commit: str) -> Tracker:
    """`track_people` as it was at a commit, to compare with."""
    text = subprocess.run(["git", "show", f"{commit}:lifter/track.py"], capture_output=True, text=True, check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".py", delete=False) as file:
        file.write(text.stdout.replace("from .", "from lifter."))
    spec = importlib.util.spec_from_file_location("track_before", file.name)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["track_before"] = module
    spec.loader.exec_module(module)
    Path(file.name).unlink()
    return module.track_people


def undressed(scene: Scene) -> Scene:
    """The scene without the colours of clothes."""
    return replace(scene, found=[[replace(d, colours=None) for d in now] for now in scene.found])


def told_apart(scenes: list[tuple[int, Scene]]) -> Tracker:
    """Tracks of detections that are told apart by the truth, made-up ones left out."""
    whose: dict[int, int] = {}
    for _, scene in scenes:
        for found, who in zip(scene.found, scene.who, strict=True):
            whose |= {id(d): w for d, w in zip(found, who, strict=True)}

    def tracker(times: Sequence[float], found: Sequence[Sequence[Detection]], layout: str, fps: float) -> list[Track]:
        known = [[Detection(d.xy, d.score, None, whose[id(d)]) for d in f if whose[id(d)] >= 0] for f in found]
        return track_people(times, known, layout, fps)

    return tracker


def measure(scenes: list[tuple[int, Scene]], tracker: Tracker) -> tuple[list[tuple[float, int, int]], float]:
    """(IDF1, switches, tracks) of each scene, and seconds of tracking."""
    skeleton = load_skeleton()
    known = [k for k, n in enumerate(layout_keypoints(LAYOUT)) if n in skeleton.joint_names]
    out: list[tuple[float, int, int]] = []
    taken = 0.0
    for _, scene in scenes:
        begun = time.perf_counter()
        tracks = tracker(scene.times, scene.found, LAYOUT, FPS)
        taken += time.perf_counter() - begun
        out.append(idf1(scene.truth, scene.there, tracks, known))
    return out, taken


def main() -> None:
    shared = Path(os.environ.get("MOTIONLIFT_SHARED", Path(__file__).parents[2] / "shared"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=shared / "data" / "mocap", help="the motion capture archives")
    parser.add_argument("--scenes", type=int, default=SCENES, help="for each number of people")
    parser.add_argument("--first", type=int, default=FIRST, metavar="SEED", help="of the scenes")
    parser.add_argument("--before", default="ae0318e", metavar="COMMIT", help="whose tracker to compare with")
    parser.add_argument("--cache", type=Path, help="file to keep the cast's motion in between runs")
    parser.add_argument("-o", "--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cast = _cached(args.corpus, args.cache)
    seeds = range(args.first, args.first + args.scenes)
    scenes = [(n, make_scene(cast, n, seed)) for n in range(2, 9) for seed in seeds]
    after, seconds = measure(scenes, track_people)
    best, _ = measure(scenes, told_apart(scenes))
    before, seconds_before = measure(scenes, tracker_of(args.before))
    naked, _ = measure([(n, undressed(scene)) for n, scene in scenes], track_people)
    text = report(scenes, before, naked, after, best, seconds_before, seconds)
    if args.out:
        args.out.write_text(heading("Following many people") + "\n" + text, encoding="utf-8")
    sys.stdout.write(text)


def _cached(corpus: Path, cache: Path | None) -> list[Array]:
    if cache and cache.exists():
        with np.load(cache, allow_pickle=False) as data:
            return [data[k] for k in data.files]
    cast = load_cast(corpus)
    if cache:
        np.savez(cache, *cast)
    return cast


def report(
    scenes: list[tuple[int, Scene]],
    before: list[tuple[float, int, int]],
    naked: list[tuple[float, int, int]],
    after: list[tuple[float, int, int]],
    best: list[tuple[float, int, int]],
    seconds_before: float,
    seconds: float,
) -> str:
    """The tables."""

    def row(name: str, chosen: list[int]) -> str:
        if not chosen:
            return ""
        crossings = sum(scenes[i][1].crossings for i in chosen)
        old, plain, new = (np.mean([x[i][0] for i in chosen]) for x in (before, naked, after))
        switches = [sum(x[i][1] for i in chosen) for x in (before, after)]
        told = np.mean([best[i][0] for i in chosen])
        least = min(after[i][0] for i in chosen)
        extra = [sum(x[i][2] - scenes[i][0] for i in chosen) for x in (before, after)]
        return (
            f"| {name} | {len(chosen)} | {crossings} | {old:.3f} | {plain:.3f} | {new:.3f} | {least:.3f} | "
            f"{told:.3f} | {switches[0]} | {switches[1]} | {extra[0]:+d} | {extra[1]:+d} |\n"
        )

    head = "scenes | crossings | IDF1 before | by keypoints alone | IDF1 | least IDF1 | told apart | "
    head += "switches before | switches | extra tracks before | extra tracks |"
    rule = "|---" * 12 + "|\n"
    groups = ((0, 2), (3, 5), (6, 10), (11, 20), (21, 999))
    text = f"| people | {head}\n{rule}"
    for n in sorted({n for n, _ in scenes}):
        text += row(str(n), [i for i, (m, _) in enumerate(scenes) if m == n])
    everything = list(range(len(scenes)))
    text += row("all", everything)
    text += f"\n| crossings | {head}\n{rule}"
    for low, high in groups:
        name = f"{low} to {high}" if high < 999 else f"{low} and more"
        text += row(name, [i for i in everything if low <= scenes[i][1].crossings <= high])
    lost = [1 - float(np.mean([x[i][0] for i in everything])) for x in (before, after)]
    frames = sum(len(s.times) for _, s in scenes)
    text += (
        f"\nWhat IDF1 lacks of 1 is {lost[1] / max(lost[0], 1e-9):.2f} of what it was before. Tracking takes "
        f"{1000 * seconds / frames:.2f} ms a frame, {seconds / seconds_before:.2f} times as long as before.\n"
    )
    return text


if __name__ == "__main__":
    main()
