"""The open benchmark: every network under one equal budget on openly licensed motion, and its table.

    motionlift-train prepare benchmarks/open.toml --out runs/open_corpus
    python -m benchmarks.open     # trains, evaluates, writes benchmarks/open.md; goes on where it stopped

Equal budget: the same number of frames, the same clips from the same random cameras, one optimiser for all. What is
measured, and on whom: training/protocols/open.py. Remarks on the results are kept in benchmarks/open_remarks.md.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lifter.checkpoint import load_checkpoint
from lifter.nets import skeleton_graph
from training.config import RunConfig, load_config
from training.data.store import load_store
from training.describe import describe
from training.export import export_run
from training.fit import fit, pretrain
from training.protocols.open import evaluate_open

from .machine import heading

OUT = Path("runs/open")
ONE_FRAME = ("data.frames=1", "batch=432")
SHORT = ("data.frames=9", "steps=1200", "optimiser.warmup=100")
"""The same number of frames in shorter clips: three times as many clips and steps."""


@dataclass(frozen=True)
class Entry:
    """A row of the table: a network, and what is changed in training/configs/open.yaml."""

    name: str
    network: str
    note: str
    changes: tuple[str, ...] = field(default=())


ENTRIES = (
    Entry("tcn", "tcn", "27 frames"),
    Entry("ampose", "ampose", "27 frames, each by itself"),
    Entry("st_transformer", "st_transformer", "27 frames"),
    Entry("transformer_gcn", "transformer_gcn", "27 frames, from scratch"),
    Entry("ssr_stf", "ssr_stf", "27 frames"),
    Entry("transformer_gcn_pretrained", "transformer_gcn", "27 frames, pre-trained on 2D before",
          ("pretraining={steps: 250, batch: 16, masks: {draws: 1, target_layers: 2, tau: [0.99, 0.999]}}",)),
    Entry("ampose_1", "ampose", "single frames, each of a clip of its own", ONE_FRAME),
    Entry("tcn_1", "tcn", "single frames, each of a clip of its own", ONE_FRAME),
    Entry("temporal_mixer", "temporal_mixer", "27 frames"),
    Entry("temporal_mixer_short", "temporal_mixer", "9 frames of three times as many clips", SHORT),
    Entry("temporal_mixer_1", "temporal_mixer", "single frames, each of a clip of its own", ONE_FRAME),
    Entry("temporal_mixer_long", "temporal_mixer", "9 frames, in as much CPU time as ampose_1: 5.4 times the frames",
          (*SHORT, "steps=6500")),
    Entry("tcn_short", "tcn", "9 frames of three times as many clips", SHORT),
    Entry("transformer_gcn_short", "transformer_gcn", "9 frames of three times as many clips", SHORT),
    Entry("ssr_stf_short", "ssr_stf", "9 frames of three times as many clips", SHORT),
)  # fmt: skip


def config_of(entry: Entry) -> RunConfig:
    return load_config("open", [f"network.name={entry.network}", *entry.changes])


def run(entry: Entry) -> None:
    """Train and evaluate one row, unless that was done; the result is in its folder."""
    folder = OUT / entry.name
    result = folder / "open.json"
    if result.exists():
        return
    config = config_of(entry)
    logging.info("== %s", entry.name)
    seconds: dict[str, list[float]] = {}
    resumed = (folder / "last.ckpt").exists() or (folder / "pretraining").exists()
    for stage, work in (("pretraining", pretrain), ("fit", fit)):
        if stage == "fit" or config.pretraining:
            wall, cpu = time.monotonic(), time.process_time()
            work(config, folder)
            seconds[stage] = [time.monotonic() - wall, time.process_time() - cpu]
    checkpoint, store = load_checkpoint(str(export_run(folder)), threads=1), load_store(Path(config.data.store))
    tables = [evaluate_open(checkpoint, store, noise, frames=27).to_dict() for noise in (0.0, 1.0)]
    done = {"tables": tables, "seconds": None if resumed else seconds}
    result.write_text(json.dumps(done, indent=1), encoding="utf-8")


def speed(path: Path, frames: int, repeats: int = 7) -> float:
    """Frames a CPU second of ONNX Runtime on one thread, 27 frames at a time; the best of some repeats."""
    checkpoint = load_checkpoint(str(path), threads=1)
    joints = len(checkpoint.skeleton.joint_names)
    rng = np.random.default_rng(0)
    shape = (27 // frames, frames, joints)
    x = (rng.normal(size=(*shape, 2)), rng.random(shape), rng.random(shape[:2]) + 0.1)
    inputs = [a.astype(np.float32) for a in x]
    best = 0.0
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(10):
            checkpoint.run(inputs[0], inputs[1], inputs[2])
        best = max(best, 10 * 27 / (time.process_time() - start))
    return best


def report() -> str:
    """benchmarks/open.md from the results that are there."""
    lines = [heading("Open benchmark: every network under one budget")]
    config = load_config("open")
    lines.append(
        f"Budget: {config.steps} steps of {config.batch} clips of {config.data.frames} frames at "
        f"{config.data.fps:g} frames/s, {config.steps * config.batch * config.data.frames:,} frames, the same for all; "
        "sizes `xs`; training/configs/open.yaml. What is measured: training/protocols/open.py.\n"
    )
    found = [(e, OUT / e.name / "open.json") for e in ENTRIES]
    rows = [(e, json.loads(p.read_text(encoding="utf-8"))) for e, p in found if p.exists()]
    lines += _summary(rows)
    for index, title in ((0, "Clean 2D"), (1, "Noisy 2D")):
        lines += [f"\n## {title}, by source\n", rows[0][1]["tables"][index]["how"] + "\n"]
        columns = list(next(iter(rows[0][1]["tables"][index]["rows"].values())))
        lines += ["| network | source | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
        for entry, result in rows:
            for source, figures in result["tables"][index]["rows"].items():
                cells = " | ".join(f"{figures[c]['value']:.1f}" for c in columns)
                lines.append(f"| {entry.name} | {source} | {cells} |")
    remarks = Path(__file__).with_name("open_remarks.md")
    if remarks.exists():
        lines += ["", remarks.read_text(encoding="utf-8")]
    return "\n".join(lines)


def _summary(rows: list[tuple[Entry, dict[str, Any]]]) -> list[str]:
    lines = [
        "Mean of the sources: MPJPE / P-MPJPE in mm, PCK / AUC in %, MPJVE in mm a frame. Parameters and "
        "multiply-accumulates a frame are of 16 joints; frames a CPU second of ONNX Runtime on one thread, "
        "27 frames at a time; training in CPU seconds of one thread (the machine was shared with other work).\n",
        "| network | sees | clean | noisy | noisy PCK / AUC | noisy MPJVE | M | MMAC/frame | frames/s | training s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for entry, result in rows:
        clean, noisy = ({k: v["value"] for k, v in t["rows"]["mean of sources"].items()} for t in result["tables"])
        checkpoint = OUT / entry.name / f"{entry.name}.onnx"
        options = {} if entry.network == "temporal_mixer" else {"channels_in": 4}  # which knows its own input
        d = describe(entry.network, "xs", skeleton_graph(load_checkpoint(str(checkpoint)).skeleton), **options)
        frames = config_of(entry).data.frames
        seconds = result["seconds"]
        cells = (
            entry.name,
            entry.note,
            f"{clean['MPJPE']:.1f} / {clean['P-MPJPE']:.1f}",
            f"{noisy['MPJPE']:.1f} / {noisy['P-MPJPE']:.1f}",
            f"{noisy['PCK']:.1f} / {noisy['AUC']:.1f}",
            f"{noisy['MPJVE']:.1f}",
            f"{d.parameters / 1e6:.2f}",
            f"{d.macs / 1e6:.1f}",
            f"{speed(checkpoint, frames):.0f}",
            " + ".join(f"{s[1]:.0f}" for s in seconds.values()) if seconds else "not known",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="names of rows")
    parser.add_argument("--report", action="store_true", help="write the table from what is there")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    for entry in ENTRIES:
        if not args.report and (args.only is None or entry.name in args.only):
            run(entry)
    if args.only is None:
        Path(__file__).with_name("open.md").write_text(report(), encoding="utf-8")


if __name__ == "__main__":
    main()
