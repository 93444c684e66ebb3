"""How well a lens is estimated, and what a moving camera costs: writes benchmarks/lens.md.

python -m benchmarks.lens --corpus FOLDER --performers FOLDER

The lens of the simulated clips is known exactly, as is the camera's path; so is the lens of the rendered performers.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lifter
from lifter.camera import Lens, make_lens
from lifter.camera_path import CameraPath, make_camera_path
from lifter.capture import estimated_lens
from lifter.checkpoint import Checkpoint, load_checkpoint
from lifter.detect import Detection
from lifter.skeleton import FEET, load_skeleton
from lifter.take import GAP, Take
from lifter.track import track_people

from .clips import LAYOUT, all_clips, see
from .machine import heading
from .measures import align_on_floor, foot_skate
from .simulated import FPS, SIZE, Simulated, load_clips

Array = NDArray[np.float64]

HELD_OUT = ["exaggerated stride", "pirouettes", "jetes", "martial arts", "jumping jacks"]
"""Simulated clips that the estimate's weights were not chosen on."""
LENSES = (0.7, 1.1, 1.9)
"""Focal lengths in widths of the picture: 71, 49 and 29 degrees."""
MOVING = ["walk", "exaggerated stride", "navigate", "dance", "jetes", "martial arts", "punches", "jumping"]
UNIT = 0.37
"""How much smaller a path is handed over whose size is to be found."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder with the motion capture archives")
    parser.add_argument("--performers", type=Path, required=True, help="folder with the rendered performers")
    parser.add_argument("--cache", type=Path, default=Path("out/lens"), help="for what MediaPipe sees")
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).with_suffix(".md"))
    args = parser.parse_args()
    network, begun = load_checkpoint(), time.monotonic()
    lines = [heading("Lens and moving camera"), f"Checkpoint {network.name}.", ""]
    lines += moving_part(args.corpus)
    lines += lens_part(args.corpus, args.performers, args.cache, network)
    lines += [f"All of it took {time.monotonic() - begun:.0f} s."]
    args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


# --- The lens -------------------------------------------------------------------------------------------------


def lens_part(corpus: Path, performers: Path, cache: Path, network: Checkpoint) -> list[str]:
    simulated: list[tuple[str, float, Lens, float]] = []
    for focal in LENSES:
        for clip in load_clips(corpus, names=HELD_OUT, focal=focal):
            lens, error = estimate(clip.keypoints, clip.score, FPS, SIZE, network)
            simulated.append((clip.name, float(clip.K[0, 0]), lens, error))
    filmed: list[tuple[str, float, Lens, float]] = []
    for clip in all_clips(performers):
        seen = see(clip, cache).person(clip)
        fps = 1 / float(np.median(np.diff(seen.times)))
        filmed.append((clip.name, clip.focal, *estimate(seen.xy[:, 0], seen.score[:, 0], fps, clip.size, network)))
    lines = [
        "## The lens, estimated",
        "",
        "Error of the focal length in % (of its logarithm), of the estimate and of the assumed 55 degrees; `expects` "
        "is the error that the estimate itself expects. The weights of the estimate were chosen on other simulated "
        "clips, but on the same filmed ones: of those, the figures flatter it.",
        "",
        "| clip | true lens, degrees | estimated | error % | expects % | assumed: error % |",
        "|---|---|---|---|---|---|",
    ]
    sizes = {c.name: c.size for c in all_clips(performers)}
    for title, rows in (("simulated, held out", simulated), ("filmed", filmed)):
        errors: list[tuple[float, float, bool]] = []
        for name, focal, lens, expected in rows:
            size = sizes.get(name, SIZE) if rows is filmed else SIZE
            off = abs(math.log(lens.focal / focal))
            plain = abs(math.log(make_lens(*size).focal / focal))
            errors.append((off, plain, abs(degrees(focal, size) - 50) > 15))
            lines.append(
                f"| {name} | {degrees(focal, size):.0f} | {degrees(lens.focal, size):.0f} | {100 * off:.0f} | "
                f"{100 * expected:.0f} | {100 * plain:.0f} |"
            )
        for what, part in (("all", errors), ("35 to 65 degrees", [e for e in errors if not e[2]])):
            if part:
                mean = [100 * float(np.mean([e[i] for e in part])) for i in (0, 1)]
                lines.append(f"| **{title}, {what}: mean** | | | **{mean[0]:.0f}** | | **{mean[1]:.0f}** |")
    return [*lines, ""]


def estimate(
    xy: NDArray[Any], score: NDArray[Any], fps: float, size: tuple[int, int], network: Checkpoint
) -> tuple[Lens, float]:
    """As `lifter.capture(lens="estimate")` does it."""
    people = [
        [Detection(np.asarray(x, np.float32), np.asarray(s, np.float32), None)] if (s > 0).any() else []
        for x, s in zip(xy, score, strict=True)
    ]
    track = track_people([i / fps for i in range(len(xy))], people, LAYOUT, fps)[0]
    settings = lifter.SolveSettings(height=network.skeleton.height)
    return estimated_lens(track, LAYOUT, fps, size, network, settings)


def degrees(focal: float, size: tuple[int, int]) -> float:
    """Angle along the longer side."""
    return math.degrees(2 * math.atan(max(size) / 2 / focal))


# --- The moving camera ----------------------------------------------------------------------------------------


def moving_part(corpus: Path) -> list[str]:
    still = {c.name: c for c in load_clips(corpus, names=MOVING)}
    moved = {c.name: c for c in load_clips(corpus, names=MOVING, moving=True)}
    ways: dict[str, Callable[[str], tuple[Take, Simulated]]] = {
        "camera on a tripod": lambda n: (take_of(still[n], None), still[n]),
        "moving camera, its path given in metres": lambda n: (take_of(moved[n], path_of(moved[n], True)), moved[n]),
        "moving camera, its path of unknown size": lambda n: (take_of(moved[n], path_of(moved[n], False)), moved[n]),
        "moving camera, taken to stand still": lambda n: (take_of(moved[n], None), moved[n]),
    }
    lines = [
        "## A moving camera",
        "",
        f"Simulated clips ({', '.join(MOVING)}) of a detector's errors; the camera's place wanders by 0.6 m to the "
        "sides and 0.3 m ahead while it keeps looking at the same point. Lens known. World joint error after the path "
        "as a whole is brought nearest to the truth by a turn about Z and a shift, and, where a path in metres is "
        "given, as it is, without any alignment; sliding of feet in true contact, with foot lock; mean acceleration "
        "error of the root; found size of the path over the true one, and the largest error.",
        "",
        "| | world joints mm, aligned | as it is | foot skate cm/s | root acceleration error m/s² | size found |",
        "|---|---|---|---|---|---|",
    ]
    for title, make in ways.items():
        rows = [judge(*make(name)) for name in MOVING]
        mean = {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}
        worst = max((abs(r["size"] - 1) for r in rows), default=0.0)
        known, solved = "metres" in title, "unknown" in title
        plain = f"{1000 * mean['plain']:.0f}" if known else ""
        size = f"{mean['size']:.2f}, off by {100 * worst:.0f} % at most" if solved else ""
        lines.append(
            f"| {title} | {1000 * mean['aligned']:.0f} | {plain} | {100 * mean['skate']:.1f} | "
            f"{mean['acceleration']:.1f} | {size} |"
        )
    return [*lines, ""]


def path_of(clip: Simulated, metric: bool) -> CameraPath:
    """The true path, or one of an unknown unit."""
    return make_camera_path(clip.R, clip.t * (1 if metric else UNIT), metric=metric)


def take_of(clip: Simulated, path: CameraPath | None) -> Take:
    return lifter.lift_keypoints(
        clip.keypoints, clip.score, layout=LAYOUT, fps=FPS, image_size=SIZE, focal=float(clip.K[0, 0]), camera=path
    )


def judge(take: Take, clip: Simulated) -> dict[str, float]:
    person, skeleton = take.people[0], load_skeleton()
    shown = person.state != GAP
    mine, true = person.joints_world[shown].astype(np.float64), clip.joints[person.frames[shown]]
    turn, shift = align_on_floor(mine.reshape(-1, 3), true.reshape(-1, 3))
    feet = [skeleton.joint(n) for n in FEET]
    size = float("nan")
    given = take.camera.given
    if given is not None and take.camera.frames is not None:
        steps = [np.diff(_places(r, t), axis=0) for r, t in ((take.camera.R, take.camera.t), (clip.R, clip.t))]
        n = min(map(len, steps))
        size = float((steps[0][:n] * steps[1][:n]).sum() / (steps[1][:n] ** 2).sum())
    moved = mine @ turn.T + shift
    return {
        "aligned": float(np.linalg.norm(moved - true, axis=-1).mean()),
        "plain": float(np.linalg.norm(mine - true, axis=-1).mean()),
        "skate": foot_skate(mine[:, feet], clip.contact[person.frames[shown]], FPS),
        "acceleration": float(np.linalg.norm(np.diff((moved - true)[:, 0], 2, axis=0), axis=-1).mean() * FPS**2),
        "size": size,
    }


def _places(R: Array, t: Array) -> Array:
    return -(np.swapaxes(R, 1, 2) @ t[..., None])[..., 0]


if __name__ == "__main__":
    main()
