"""How fast the loader is beside the networks that it feeds, in one run.

    python -m benchmarks.loader --out benchmarks/loader.md

Everything in turn, several rounds of it, so that whatever else the machine does meets all alike; the median counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

from lifter.nets import build_net, net_names, net_sizes, skeleton_graph
from lifter.skeleton import load_skeleton
from training.data.recording import Recording
from training.data.store import Store, draw_clips, save_store
from training.data.windows import WindowBatches, Windows
from training.describe import describe
from training.synthetic import film

from .machine import heading

FRAMES, CLIP, CLIPS = 243, 64, 64
WANTED = 20


@dataclass(frozen=True)
class Measured:
    """Frames a second, of each round."""

    name: str
    what: str
    rates: list[float]

    @property
    def rate(self) -> float:
        return median(self.rates)


def pairs_store(folder: Path, recordings: int) -> Store:
    """2D and 3D of 17 joints, as the published protocols train on them; about a megabyte a recording."""
    rng = np.random.default_rng(0)

    def made() -> Iterator[Recording]:
        for i in range(recordings):
            n = 2500
            arrays = {
                "joints": rng.normal(size=(n, 17, 3)),
                "keypoints": rng.normal(size=(n, 17, 2)),
                "scores": np.ones((n, 17)),
            }
            yield Recording(f"{i}", "made", "s", 50.0, arrays)

    return save_store(folder, made(), load_skeleton("h36m"))


def motion_store(folder: Path, recordings: int) -> Store:
    """Rotations of the default skeleton, as motion capture is kept."""
    skeleton = load_skeleton()
    rng = np.random.default_rng(0)

    def made() -> Iterator[Recording]:
        for i in range(recordings):
            q = rng.normal(size=(1, len(skeleton.bones), 4)) + 0.1 * rng.normal(size=(1000, len(skeleton.bones), 4))
            q /= np.linalg.norm(q, axis=-1, keepdims=True)
            arrays = {"rotations": q, "root": np.zeros((1000, 3)), "contacts": np.ones((1000, 4))}
            yield Recording(f"{i}", "made", "s", 60.0, arrays)

    return save_store(folder, made(), skeleton)


def timed(work: Callable[[], int], seconds: float = 0.5) -> float:
    """Frames a second of processor time of something that says how many frames it did, repeated for some time."""
    work()
    frames, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        frames += work()
    return frames / (time.process_time() - start)


def trainings() -> Iterator[tuple[str, str, Callable[[], int]]]:
    """Name, size, and a training step of each network: forward, backward, AdamW; one window, float32."""
    skeleton = load_skeleton("h36m")
    graph = skeleton_graph(skeleton)
    for name in net_names():
        if name == "temporal_mixer":
            continue
        for size in net_sizes(name):
            net = build_net(name, size, graph, channels_in=3)
            optimiser = torch.optim.AdamW(net.parameters(), lr=1e-5)
            frames = getattr(net_sizes(name)[size], "window", FRAMES)
            x, target = torch.randn(1, frames, 17, 3), torch.randn(1, frames, 17, 3)

            def step(net=net, optimiser=optimiser, x=x, target=target) -> int:  # type: ignore[no-untyped-def]
                optimiser.zero_grad()
                (net(x) - target).norm(dim=-1).mean().backward()
                optimiser.step()
                return x.shape[1]

            yield name, size, step


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--recordings", type=int, default=400)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        text = report(Path(scratch), args.rounds, args.recordings)
    print(text)  # noqa: T201
    if args.out:
        args.out.write_text(text)


def report(scratch: Path, rounds: int, recordings: int) -> str:
    """The file's text."""
    pairs, motion = pairs_store(scratch / "pairs", recordings), motion_store(scratch / "motion", recordings)
    windows = Windows(pairs, frames=FRAMES, stride=81)
    batches = WindowBatches(windows, ("joints", "keypoints", "scores"), 16, seed=1)
    numbers = iter(range(10**9))

    def read_pairs() -> int:
        return int(windows.read(batches.numbers(next(numbers) % len(batches)), batches.fields)["real"].sum())

    g = torch.Generator().manual_seed(0)
    odds = motion.length.float()

    def draw() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return draw_clips(motion, torch.multinomial(odds, CLIPS, replacement=True, generator=g), CLIP, 30.0, g, 0.2)

    def read_motion() -> int:
        return draw()[0].shape[0] * CLIP

    clip = draw()

    def film_only() -> int:
        film(motion.skeleton, *clip, g)
        return CLIPS * CLIP

    def read_and_film() -> int:
        film(motion.skeleton, *draw(), g)
        return CLIPS * CLIP

    loaders = [
        Measured("windows of 2D and 3D", f"16 x {FRAMES} frames, 17 joints, shuffled", []),
        Measured("clips of motion", f"{CLIPS} x {CLIP} frames at another rate, 19 bones", []),
        Measured("synthetic footage alone", "random bodies, cameras, detector noise; 33 joints", []),
        Measured("clips of motion, filmed", "both", []),
    ]
    steps = list(trainings())
    networks = [Measured(n, s, []) for n, s, _ in steps]
    for _ in range(rounds):
        for m, work in zip(loaders, (read_pairs, read_motion, film_only, read_and_film), strict=True):
            m.rates.append(timed(work))
        for m, (_, _, step) in zip(networks, steps, strict=True):
            m.rates.append(timed(step))
    return written(loaders, networks, pairs, motion, rounds)


def written(loaders: list[Measured], networks: list[Measured], pairs: Store, motion: Store, rounds: int) -> str:
    """Markdown."""
    graph = skeleton_graph(load_skeleton("h36m"))
    figures = {(m.name, m.what): describe(m.name, m.what, graph) for m in networks}
    largest = max(networks, key=lambda m: figures[m.name, m.what].macs)
    ratio = min(m.rate for m in loaders) / largest.rate
    sizes = [sum(p.stat().st_size for p in s.path.rglob("*.f32")) / 2**20 for s in (pairs, motion)]
    lines = [
        heading("The loader beside the networks"),
        f"Wanted: {WANTED} times what the largest network consumes. Measured: {ratio:.0f} times, by the slowest way of "
        f"loading (the largest network is {largest.name}, size {largest.what}).",
        "",
        f"Frames a second of one core's time (the machine had other work, which this leaves out), medians of {rounds} "
        f"rounds in turn; range in brackets. Stores of {sizes[0]:.0f} and {sizes[1]:.0f} MiB of random numbers, in the "
        f"system's cache. Networks train: forward, backward and AdamW on a window of {FRAMES} frames (or their own) of "
        "17 joints, float32.",
        "",
        "| loading | what | frames/s | times the largest network |",
        "|---|---|---|---|",
    ]
    for m in loaders:
        lines.append(f"| {m.name} | {m.what} | {_with_range(m)} | {m.rate / largest.rate:,.0f} |")
    lines += [
        "",
        "| network | size | MMAC/frame | trains, frames/s | windows read, times that | clips filmed, times that |",
        "|---|---|---|---|---|---|",
    ]
    for m in networks:
        lines.append(
            f"| {m.name} | {m.what} | {figures[m.name, m.what].macs / 1e6:.1f} | {_with_range(m)} | "
            f"{loaders[0].rate / m.rate:,.0f} | {loaders[3].rate / m.rate:,.1f} |"
        )
    return "\n".join(lines) + "\n"


def _with_range(m: Measured) -> str:
    return f"{m.rate:,.0f} ({min(m.rates):,.0f} to {max(m.rates):,.0f})"


if __name__ == "__main__":
    main()
