"""The open benchmark taken apart, for a checkpoint of the body: by joint, layout, frame rate, tilt and lens; sigma,
gravity and contacts; seams, speed and size; and the clips that it lifts worst.

Sections for `python -m benchmarks.default`. What is measured: motion of the test subjects, which no network was trained
on, on random proportions of the skeleton's height, before fixed random cameras (training/protocols/open.py).
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from lifter.camera import Lens
from lifter.checkpoint import Checkpoint
from lifter.lift import lift, lift_views
from lifter.metrics import joint_error, procrustes
from lifter.nets import build_net, skeleton_graph
from lifter.skeleton import load_skeleton
from training.data.store import Store
from training.export import export_graph
from training.noise import noise_layouts
from training.protocols.open import JOINTS, pieces
from training.synthetic import Footage, followed, shoot

from .measures import angle_between, calibration, contact_scores

Array = NDArray[np.float64]

LAYOUT = "mediapipe33"
RATES = (24, 25, 30, 48, 60, 120)
LENSES = (0.8, 0.9, 1.0, 1.1, 1.2)
TILTS = (0, 10, 20, 35, 90)
LENGTHS = (1, 9, 27, 81, 243)
FRAMES = 81
FEW = 4
"""Layouts, frame rates and lenses are tried on one of so many recordings."""
WORST = 20
UNIT_LENS = Lens(1.0, (0.0, 0.0), "given")


@dataclass(frozen=True)
class Filmed:
    """One recording's pieces before their cameras; `fresh` (N, T) are the frames that no piece before had."""

    source: str
    subject: str
    name: str
    footage: Footage
    fresh: NDArray[np.bool_]


@dataclass(frozen=True)
class Frames:
    """Every frame of the benchmark under one condition, N in all.

    Attributes:
        source, subject, clip: (N,) of each frame; a clip is a piece of a recording, "name, number".
        error, sigma: (N, J) metres; aligned: (N,) P-MPJPE in metres over the scored joints.
        tilt: (N,) degrees that the camera looks up or down at the person; gravity: (N,) degrees off.
        said, truth: (N, points) contacts.
    """

    source: NDArray[np.str_]
    subject: NDArray[np.str_]
    clip: NDArray[np.str_]
    error: Array
    sigma: Array
    aligned: Array
    tilt: Array
    gravity: Array
    said: NDArray[np.bool_]
    truth: NDArray[np.bool_]

    def mean(self, values: Array, sources: NDArray[np.str_] | None = None) -> float:
        """Mean over the frames of a source, then over sources, or some of them."""
        of = np.unique(self.source) if sources is None else sources
        return float(np.mean([values[self.source == s].mean() for s in of]))


def film_all(
    store: Store,
    noise: float,
    fps: float,
    frames: int,
    *,
    layout: str = LAYOUT,
    every: int = 1,
    split: str = "test",
    spread: float = 1.0,
) -> Iterator[Filmed]:
    """Every recording of a split's subjects, or one of `every`, at a rate, in pieces; proportions spread so far."""
    for i in store.motion(split).tolist()[::every]:
        pose, root, contacts, fresh = pieces(store, i, fps, frames)
        g = torch.Generator().manual_seed(zlib.crc32(store.names[i].encode()))
        shot = shoot(store.skeleton, pose, root, contacts, g, fps=fps, noise=noise, layout=layout, spread=spread)
        yield Filmed(store.sources[i], store.subjects[i], store.names[i], shot, fresh)


def scored_joints(checkpoint: Checkpoint) -> list[int]:
    return [checkpoint.skeleton.joint(n) for n in checkpoint.skeleton.joint_names if n in JOINTS]


def lift_all(
    checkpoint: Checkpoint, store: Store, noise: float, lens: float = 1.0, frames: int = FRAMES, **which: Any
) -> Frames:
    """Lift everything in pieces; `lens` is the true focal length over the one that is assumed, `which` as of
    `film_all`."""
    scored = scored_joints(checkpoint)
    parts: list[tuple[Any, ...]] = []
    for one in film_all(store, noise, checkpoint.fps, frames, **which):
        views = followed(store.skeleton, replace(one.footage, rays=one.footage.rays * lens))
        inputs = [x.numpy().astype(np.float32) for x in (views.rays, views.score, views.size)]
        joints, log_sigma, logit, down = lift_views(inputs, checkpoint)
        truth, true_down = views.joints.numpy().astype(float), views.down.numpy().astype(float)
        new = one.fresh
        p, t = joints.astype(float)[new][:, scored], truth[new][:, scored]
        clips = np.array([f"{one.name}, {n}" for n in range(len(new))])
        parts.append(
            (
                np.full(new.sum(), one.source),
                np.full(new.sum(), one.subject),
                np.repeat(clips, new.sum(1)),
                np.linalg.norm(joints - truth, axis=-1)[new],
                np.exp(log_sigma)[new],
                joint_error(procrustes(p, t), t),
                np.degrees(np.arcsin(np.clip(true_down[..., 2], -1, 1)))[new],
                angle_between(down[new].astype(float), true_down[new]),
                logit[new] > 0,
                views.contact.numpy()[new] > 0.5,
            )
        )
    return Frames(*(np.concatenate(p) for p in zip(*parts, strict=True)))


def lift_at(checkpoint: Checkpoint, store: Store, noise: float, fps: float) -> tuple[float, float]:
    """MPJPE and mean error of velocity, mm and mm/s, of footage at another rate, by what captures call."""
    scored = scored_joints(checkpoint)
    errors: dict[str, list[Array]] = {}
    for one in film_all(store, noise, fps, round(FRAMES * fps / checkpoint.fps), every=FEW):
        for rays, score, truth, new in zip(
            one.footage.rays.numpy(), one.footage.score.numpy(), one.footage.joints.numpy(), one.fresh, strict=True
        ):
            xy = np.where(score[..., None] > 0, rays, np.nan)
            found = lift(xy, score, UNIT_LENS, fps, checkpoint).joints
            off = np.linalg.norm(found - truth, axis=-1)[new][:, scored].mean(-1)
            change = np.linalg.norm(np.diff(found - truth, axis=0), axis=-1)[:, scored].mean(-1) * fps
            errors.setdefault(one.source, []).append(np.stack([off, np.append(change, np.nan)[new]], -1))
    means = [np.nanmean(np.concatenate(e), 0) for e in errors.values()]
    return tuple(1000 * np.mean(means, 0))  # pyright: ignore


def sections(checkpoint: Checkpoint, store: Store, plots: Path | None) -> list[str]:
    """Markdown of all of it. Plots are drawn into a folder, if there is one."""
    clean, noisy = (lift_all(checkpoint, store, n) for n in (0.0, 1.0))
    lines = [
        "## The open benchmark",
        "",
        f"Test subjects, height known, 2D of {LAYOUT} where nothing else is said; clean: exact 2D and lens; noisy: a "
        "detector's errors and a lens that is wrong by 12 % (1 sigma). 16 joints relative to the root. Aim, over all "
        "frames: 45 and 33 mm clean, 55 and 42 mm noisy; gravity under 4°, contacts 0.9. The mean of the four sources "
        "gives karate (cmu_daz) and ballet (cmu_mb) half of the weight, where they are a quarter of the frames.",
        "",
        *_source_table(checkpoint, clean, noisy),
        "",
        "By subject, MPJPE / P-MPJPE in mm:",
        "",
        *_subject_table(checkpoint, clean, noisy),
        "",
        "All that follows are means of the four sources, where nothing else is said.",
        "",
        "By joint, all 33, left and right together, MPJPE in mm:",
        "",
        *_joint_table(checkpoint, clean, noisy),
        "",
        "What the error comes of. The recordings that the network was trained with (one of 12, the same four sources), "
        "and the test subjects' where proportions differ more from the skeleton's than people's do, less, or not at "
        "all; MPJPE / P-MPJPE in mm:",
        "",
        *_cause_table(checkpoint, store, clean, noisy),
        "",
        f"By the frames of a clip, one of {FEW} recordings, MPJPE / P-MPJPE in mm:",
        "",
        *_length_table(checkpoint, store),
        "",
        f"By layout, one of {FEW} recordings, MPJPE / P-MPJPE in mm:",
        "",
        *_layout_table(checkpoint, store),
        "",
        f"By frame rate of the footage, one of {FEW} recordings, through `lifter.lift`; velocity: mean error, mm/s:",
        "",
        *_rate_table(checkpoint, store),
        "",
        "By how far the camera looks up or down at the person, noisy 2D; and by the true focal length over the one "
        "that is assumed, exact 2D, one of "
        f"{FEW} recordings; MPJPE / P-MPJPE in mm:",
        "",
        *_tilt_table(noisy, scored_joints(checkpoint)),
        "",
        *_lens_table(checkpoint, store),
        "",
        "Sigma, the error that the network expects of a joint, and the one it makes, by deciles of the former, all "
        "joints but the root (aim: 0.85 to 1.15):",
        "",
        *_sigma_table(clean, noisy),
        "",
        *_seam_lines(checkpoint, store),
        "",
        *_speed_table(checkpoint),
        "",
        f"The {WORST} clips (pieces of {FRAMES} frames) with the largest P-MPJPE, noisy 2D:",
        "",
        *_worst_table(noisy, scored_joints(checkpoint)),
    ]
    if plots:
        plot_sigma(clean, noisy, plots / "sigma.png")
        plot_worst(checkpoint, store, noisy, plots / "worst.png")
    return lines


def _source_table(checkpoint: Checkpoint, clean: Frames, noisy: Frames) -> list[str]:
    scored = scored_joints(checkpoint)
    lines = [
        "| 2D | source | MPJPE | P-MPJPE | gravity, median ° | contact F1 | frames |",
        "|---|---|---|---|---|---|---|",
    ]
    for what, f in (("clean", clean), ("noisy", noisy)):
        every = np.ones(len(f.source), bool)
        rows = {str(s): _row(f, scored, f.source == s) for s in np.unique(f.source)}
        lines += [f"| {what} | {s} | {_cells(row)} | {(f.source == s).sum()} |" for s, row in rows.items()]
        lines.append(f"| {what} | **all frames** | {_cells(_row(f, scored, every))} | {every.sum()} |")
        lines.append(f"| {what} | mean of the sources | {_cells(np.mean(list(rows.values()), 0))} | |")
    return lines


def _subject_table(checkpoint: Checkpoint, clean: Frames, noisy: Frames) -> list[str]:
    scored, subjects = scored_joints(checkpoint), np.unique(clean.subject)
    lines = ["| 2D | " + " | ".join(subjects) + " |", "|---" * (len(subjects) + 1) + "|"]
    for what, f in (("clean", clean), ("noisy", noisy)):
        lines.append(f"| {what} | " + " | ".join(_pair_of(f, scored, f.subject == s) for s in subjects) + " |")
    frames = " | ".join(str((clean.subject == s).sum()) for s in subjects)
    return [*lines, f"| frames | {frames} |"]


def _row(f: Frames, scored: list[int], of: NDArray[np.bool_]) -> list[float]:
    """MPJPE, P-MPJPE, gravity and contacts of some of the frames, alike whatever source they are of."""
    return [*_errors_of(f, scored, of), float(np.median(f.gravity[of])), contact_scores(f.said[of], f.truth[of])["F1"]]


def _cells(row: Sequence[float] | Array) -> str:
    a, b, gravity, f1 = row
    return f"{a:.1f} | {b:.1f} | {gravity:.1f} | {f1:.2f}"


def _joint_table(checkpoint: Checkpoint, clean: Frames, noisy: Frames) -> list[str]:
    names = checkpoint.skeleton.joint_names
    kinds = list(dict.fromkeys(n.removeprefix("l_").removeprefix("r_") for n in names[1:]))
    members = {k: [j for j, n in enumerate(names) if n.removeprefix("l_").removeprefix("r_") == k] for k in kinds}
    lines = ["| 2D | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for what, f in (("clean", clean), ("noisy", noisy)):
        cells = [f"{1000 * f.mean(f.error[:, members[k]].mean(1)):.0f}" for k in kinds]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return lines


def _cause_table(checkpoint: Checkpoint, store: Store, clean: Frames, noisy: Frames) -> list[str]:
    scored, tested = scored_joints(checkpoint), np.unique(clean.source)

    def cells(**which: Any) -> str:
        both = (lift_all(checkpoint, store, n, **which) for n in (0.0, 1.0))
        return " | ".join(_pair(f, scored, tested) for f in both)

    lines = ["| subjects | proportions | clean | noisy |", "|---|---|---|---|"]
    lines.append(f"| test | people's | {_pair(clean, scored)} | {_pair(noisy, scored)} |")
    lines.append(f"| of training | people's | {cells(split='train', every=12)} |")
    lines.append(f"| test | twice as far from the skeleton's | {cells(spread=2.0)} |")
    lines.append(f"| test | half as far | {cells(spread=0.5)} |")
    lines.append(f"| test | the skeleton's | {cells(spread=0.0)} |")
    return lines


def _length_table(checkpoint: Checkpoint, store: Store) -> list[str]:
    lines = ["| frames | " + " | ".join(str(n) for n in LENGTHS) + " |", "|---" * (len(LENGTHS) + 1) + "|"]
    for what, noise in (("clean", 0.0), ("noisy", 1.0)):
        found = (lift_all(checkpoint, store, noise, frames=n, every=FEW) for n in LENGTHS)
        lines.append(f"| {what} | " + " | ".join(_pair(f, scored_joints(checkpoint)) for f in found) + " |")
    return lines


def _layout_table(checkpoint: Checkpoint, store: Store) -> list[str]:
    names = [LAYOUT, *(n for n in noise_layouts() if n != LAYOUT)]
    lines = ["| layout | clean | noisy |", "|---|---|---|"]
    for name in names:
        both = [lift_all(checkpoint, store, n, layout=name, every=FEW) for n in (0.0, 1.0)]
        lines.append(f"| {name} | " + " | ".join(_pair(f, scored_joints(checkpoint)) for f in both) + " |")
    return lines


def _pair(f: Frames, scored: list[int], sources: NDArray[np.str_] | None = None) -> str:
    """MPJPE / P-MPJPE in mm, the mean of sources."""
    return " / ".join(f"{1000 * f.mean(x, sources):.1f}" for x in (f.error[:, scored].mean(1), f.aligned))


def _pair_of(f: Frames, scored: list[int], of: NDArray[np.bool_]) -> str:
    """The same of some of the frames, alike whatever source they are of."""
    return " / ".join(f"{x:.1f}" for x in _errors_of(f, scored, of))


def _errors_of(f: Frames, scored: list[int], of: NDArray[np.bool_]) -> tuple[float, float]:
    return 1000 * f.error[of][:, scored].mean(), 1000 * f.aligned[of].mean()


def _rate_table(checkpoint: Checkpoint, store: Store) -> list[str]:
    found = {r: [lift_at(checkpoint, store, n, r) for n in (0.0, 1.0)] for r in RATES}
    lines = ["| frames/s | " + " | ".join(str(r) for r in RATES) + " |", "|---" * (len(RATES) + 1) + "|"]
    for row, what in enumerate(("clean: MPJPE", "noisy: MPJPE")):
        lines.append(f"| {what} | " + " | ".join(f"{found[r][row][0]:.1f}" for r in RATES) + " |")
        lines.append(f"| {what[:5]}: velocity | " + " | ".join(f"{found[r][row][1]:.0f}" for r in RATES) + " |")
    return lines


def _tilt_table(f: Frames, scored: list[int]) -> list[str]:
    heads, cells = ["tilt °"], ["noisy"]
    for low, high in pairwise(TILTS):
        of = (np.abs(f.tilt) >= low) & (np.abs(f.tilt) < high)
        heads.append(f"{low} to {high} ({100 * of.mean():.0f} % of the frames)")
        cells.append(_pair_of(f, scored, of))
    return ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|", "| " + " | ".join(cells) + " |"]


def _lens_table(checkpoint: Checkpoint, store: Store) -> list[str]:
    scored, cells = scored_joints(checkpoint), ["exact 2D"]
    for ratio in LENSES:
        f = lift_all(checkpoint, store, 0.0, ratio, every=FEW)
        cells.append(_pair(f, scored))
    heads = ["true over assumed", *(f"{r:g}" for r in LENSES)]
    return ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|", "| " + " | ".join(cells) + " |"]


def _sigma_table(clean: Frames, noisy: Frames) -> list[str]:
    lines = ["| 2D | | " + " | ".join(str(i + 1) for i in range(10)) + " |", "|---" * 12 + "|"]
    for what, f in (("clean", clean), ("noisy", noisy)):
        every = calibration(f.sigma[:, 1:].ravel().astype(float), f.error[:, 1:].ravel())
        for label, values in (("expected mm", 1000 * every[:, 0]), ("made mm", 1000 * every[:, 1])):
            lines.append(f"| {what} | {label} | " + " | ".join(f"{x:.0f}" for x in values) + " |")
        lines.append(f"| {what} | made / expected | " + " | ".join(f"{b / a:.2f}" for a, b in every) + " |")
    return lines


def _seam_lines(checkpoint: Checkpoint, store: Store) -> list[str]:
    """A clip lifted whole and in two halves."""
    longest = max(film_all(store, 1.0, checkpoint.fps, 2000), key=lambda x: x.footage.rays.shape[1])
    rays, score = longest.footage.rays[0].numpy(), longest.footage.score[0].numpy()
    xy, half = np.where(score[..., None] > 0, rays, np.nan), len(rays) // 2
    lens, fps = UNIT_LENS, checkpoint.fps
    whole = lift(xy, score, lens, fps, checkpoint).joints
    parts = [lift(xy[s], score[s], lens, fps, checkpoint).joints for s in (slice(0, half), slice(half, None))]
    off = 1000 * np.linalg.norm(whole - np.concatenate(parts), axis=-1).max(-1)
    away = np.abs(np.arange(len(off)) + 0.5 - half)
    cells = [f"{off[away > n].max():.2f} mm beyond {n} frames" for n in (0, 15, 30, 60, 120, 240)]
    return [
        f"A clip of {len(off)} frames lifted whole and in two halves, largest difference of a joint: "
        f"{', '.join(cells)} (aim: 2 mm away from the cut)."
    ]


def _speed_table(checkpoint: Checkpoint) -> list[str]:
    """Seconds for 243 frames of one person on one thread, beside reference networks of the training package."""
    frames, graph, rows = 243, skeleton_graph(load_skeleton("h36m")), []
    rng = np.random.default_rng(0)
    joints = len(checkpoint.skeleton.joint_names)
    inputs = [
        rng.uniform(0.1, 0.9, s).astype(np.float32) for s in ((1, frames, joints, 2), (1, frames, joints), (1, frames))
    ]
    one = _session(checkpoint.path)
    names = ("rays", "score", "size")
    both = [np.concatenate([x, x]) for x in inputs]
    rows.append(
        (f"{checkpoint.name}, both mirror images", _seconds(lambda: one.run(None, dict(zip(names, both, strict=True)))))
    )
    with TemporaryDirectory() as folder:
        for name, size in (("tcn", "base"), ("ampose", "base"), ("transformer_gcn", "base")):
            path = Path(folder) / f"{name}.onnx"
            export_graph(build_net(name, size, graph, channels_in=2), path)  # pyright: ignore
            session = _session(path)
            x = rng.uniform(-1, 1, (1, frames, graph.joints, 2)).astype(np.float32)
            rows.append((f"{name} {size}, 17 joints", _seconds(lambda s=session, x=x: s.run(None, {"x": x}))))
    size = checkpoint.path.stat().st_size / 1e6
    lines = [
        f"Seconds for {frames} frames on one thread of ONNX Runtime, the best of five (aim: 0.25 s); the file has "
        f"{size:.1f} MB (aim: 20):",
        "",
        "| network | seconds | relative |",
        "|---|---|---|",
    ]
    return lines + [f"| {name} | {s:.3f} | {s / rows[0][1]:.2f} |" for name, s in rows]


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _seconds(call: Callable[[], Any]) -> float:
    best = math.inf
    for _ in range(6):
        begun = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begun)
    return best


def worst_clips(f: Frames) -> list[tuple[str, Array]]:
    """Names of the worst clips and masks of their frames, the worst first."""
    clips, index = np.unique(f.clip, return_inverse=True)
    error = np.bincount(index, f.aligned) / np.bincount(index)
    return [(str(clips[i]), index == i) for i in np.argsort(-error)[:WORST]]


def _worst_table(f: Frames, scored: list[int]) -> list[str]:
    lines = ["| recording, piece | source | MPJPE | P-MPJPE | tilt ° | expected mm |", "|---|---|---|---|---|---|"]
    for name, of in worst_clips(f):
        expected = 1000 * f.sigma[of][:, scored[1:]].mean()
        lines.append(
            f"| {name} | {f.source[of][0]} | {1000 * f.error[of][:, scored].mean():.0f} | "
            f"{1000 * f.aligned[of].mean():.0f} | {np.abs(f.tilt[of]).mean():.0f} | {expected:.0f} |"
        )
    return lines


def plot_sigma(clean: Frames, noisy: Frames, path: Path) -> None:
    """Expected and made errors by decile, and the line on which they agree."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 4.5), layout="constrained")
    for what, f in (("clean 2D", clean), ("noisy 2D", noisy)):
        every = 1000 * calibration(f.sigma[:, 1:].ravel().astype(float), f.error[:, 1:].ravel())
        axes.plot(every[:, 0], every[:, 1], "o-", label=what)
    top = max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([0, top], [0, top], color="0.6", lw=1)
    axes.fill_between([0, top], [0, 0.85 * top], [0, 1.15 * top], color="0.9", label="within 15 %")
    axes.set(xlabel="expected error, mm", ylabel="error, mm", title="Deciles of sigma")
    axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def plot_worst(checkpoint: Checkpoint, store: Store, f: Frames, path: Path) -> None:
    """The middle frame of each of the worst clips: truth in grey, lifted in colour, as the camera sees it and from the
    side."""
    from matplotlib import pyplot

    names = [n for n, _ in worst_clips(f)]
    figure, grid = pyplot.subplots(4, 10, figsize=(18, 11), layout="constrained")
    rest = [(j, p) for j, p in enumerate(checkpoint.skeleton.parents) if p >= 0]
    for one in film_all(store, 1.0, checkpoint.fps, FRAMES):
        for piece in range(len(one.fresh)):
            label = f"{one.name}, {piece}"
            if label not in names:
                continue
            place = names.index(label)
            views = followed(store.skeleton, one.footage)
            inputs = [x[piece : piece + 1].numpy().astype(np.float32) for x in (views.rays, views.score, views.size)]
            found, truth = lift_views(inputs, checkpoint)[0][0], views.joints[piece].numpy()
            middle = len(found) // 2
            for side in range(2):
                axes = grid[place // 5, 2 * (place % 5) + side]
                for joints, colour in ((truth[middle], "0.6"), (found[middle], "tab:red")):
                    across = joints[:, 2] if side else joints[:, 0]
                    for j, p in rest:
                        axes.plot(across[[j, p]], -joints[[j, p], 1], color=colour, lw=1.5)
                axes.set_aspect("equal")
                axes.axis("off")
                axes.set_title("side" if side else label[-22:], fontsize=7)
    figure.savefig(path, dpi=70)
    pyplot.close(figure)
