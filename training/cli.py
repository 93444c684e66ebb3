"""Train the default checkpoint: `motionlift-train prepare | fit | evaluate | export`, or look at networks: `describe`.

python -m training.cli prepare ../shared/data/mocap     # BVH archives -> runs/corpus
python -m training.cli fit --minutes 60                 # -> runs/body/last.pt; goes on where it was stopped
python -m training.cli export                           # -> lifter/checkpoints/body.onnx and .safetensors
python -m training.cli evaluate                         # errors on the test subjects
python -m training.cli describe ampose                  # parameters and multiply-accumulates of a network's sizes
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from lifter.checkpoint import FOLDER, load_checkpoint
from lifter.errors import MotionliftError
from lifter.nets import net_names, skeleton_graph
from lifter.nets.temporal_mixer import TemporalMixer, TemporalMixerConfig
from lifter.skeleton import load_skeleton

from .data import prepare
from .data.open_data import TEST, VALIDATION
from .data.store import load_store
from .describe import describe_all
from .evaluate import as_markdown, evaluate_synthetic
from .export import export
from .fit import FitConfig, fit

CORPUS = Path("runs/corpus")
LICENCES = {
    "CMU Graphics Lab Motion Capture Database": (
        "Free for all uses; may be included in products, not resold as data. The data used in this project was "
        "obtained from mocap.cs.cmu.edu. The database was created with funding from NSF EIA-0196217."
    ),
    "ACCAD Open Motion Data Project": (
        "CC BY 3.0. Advanced Computing Center for the Arts and Design (ACCAD), The Ohio State University, "
        "Open Motion Data Project."
    ),
    "Berkeley MHAD": (
        "BSD-2-Clause as remembered, not verified against its download page. Ofli, Chaudhry, Kurillo, Vidal, Bajcsy: "
        "Berkeley MHAD: A Comprehensive Multimodal Human Action Database, WACV 2013."
    ),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    prepare.add_arguments(commands.add_parser("prepare"))
    two = commands.add_parser("fit")
    two.add_argument("--minutes", type=float, default=FitConfig.minutes)
    two.add_argument("--seed", type=int, default=FitConfig.seed)
    for name in ("fit", "export"):
        sub = two if name == "fit" else commands.add_parser(name)
        sub.add_argument("--run", type=Path, default=Path("runs/body"))
    four = commands.add_parser("evaluate")
    four.add_argument("--checkpoint", default="body")
    five = commands.add_parser("describe")
    five.add_argument("net", nargs="?", choices=net_names(), help="all networks without it")
    five.add_argument("--size", help="one size instead of all")
    five.add_argument("--skeleton", default="h36m", help="a name or a TOML file; references are of h36m's 17 joints")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        {"prepare": prepare.run, "fit": _fit, "export": _export, "evaluate": _evaluate, "describe": _describe}[
            args.command
        ](args)
    except MotionliftError as error:
        sys.stderr.write(f"training: {error}\n")
        return 2
    return 0


def _fit(args: argparse.Namespace) -> None:
    fit(
        load_store(CORPUS),
        load_skeleton(),
        TemporalMixerConfig(),
        FitConfig(minutes=args.minutes, seed=args.seed),
        args.run,
    )


def _export(args: argparse.Namespace) -> None:
    path = args.run / "last.pt"
    if not path.exists():
        raise MotionliftError(f"{path}: no such run", "Run `python -m training.cli fit` first")
    state = torch.load(path, weights_only=True)
    net = TemporalMixer(TemporalMixerConfig())
    net.load_state_dict(state["average"])
    card = make_card(state)
    export(net, load_skeleton(), FitConfig.fps, card, FOLDER / "body")
    # The figures are measured on the exported file, and exported with it.
    card["measured"] = _tables("body")
    export(net, load_skeleton(), FitConfig.fps, card, FOLDER / "body")
    logging.info("wrote %s", FOLDER / "body.onnx")


def make_card(state: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of itself."""
    config = asdict(FitConfig(minutes=round(state["spent"] / 60, 1)))
    return {
        "data": LICENCES,
        "test subjects, never trained on": list(TEST),
        "validation subjects": list(VALIDATION),
        "steps": state["step"],
        "config": config,
        "commit": _commit(),
        "intended use": "Lifting a person's 2D keypoints to 3D for animation; not for biometrics, medicine or safety.",
    }


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout.strip() or "unknown"


def _tables(checkpoint: str) -> dict[str, dict[str, dict[str, float]]]:
    network, store = load_checkpoint(checkpoint), load_store(CORPUS)
    return {name: evaluate_synthetic(network, store, noise) for name, noise in (("clean", 0.0), ("noisy", 1.0))}


def _evaluate(args: argparse.Namespace) -> None:
    for name, table in _tables(args.checkpoint).items():
        sys.stdout.write(f"\n{name} 2D\n\n{as_markdown(table, 'subject')}\n")


def _describe(args: argparse.Namespace) -> None:
    if args.size and not args.net:
        raise MotionliftError("--size without a network", "Name the network, too")
    sys.stdout.write(describe_all(skeleton_graph(load_skeleton(args.skeleton)), args.net, args.size) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
