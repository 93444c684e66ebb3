"""Make lifting checkpoints: `motionlift-train prepare | pretrain | fit | export | evaluate | describe`.

motionlift-train prepare ../shared/data/mocap      # BVH archives -> runs/corpus
motionlift-train fit body                          # training/configs/body.yaml -> runs/body; goes on where it stopped
motionlift-train export runs/body                  # -> runs/body/body.onnx and .safetensors
motionlift-train evaluate runs/body/body.onnx      # errors on the test subjects
motionlift-train describe ampose                   # parameters and multiply-accumulates of a network's sizes

docs/training.md explains configurations and protocols.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from lifter.errors import MotionliftError
from lifter.nets import net_names, skeleton_graph
from lifter.skeleton import load_skeleton

from .data import prepare

CORPUS = Path("runs/corpus")
PROTOCOLS = ("open", "h36m", "3dhp", "3dhp-cross", "humaneva")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")

    prepare.add_arguments(command("prepare", "turn source files into one store (docs/training-data.md)"))
    stages = {
        "pretrain": "a configuration's first stage, on 2D alone",
        "fit": "train a configuration's network to lift; a killed run goes on by the same command",
    }
    for name, text in stages.items():
        sub = command(name, text)
        sub.add_argument("config", help="a name in training/configs, or the path of a YAML file")
        sub.add_argument("--out", type=Path, help="folder of the run; runs/NAME without it")
        sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="such as network.size=xs")
    three = command("export", "a run as ONNX and safetensors, with all that is needed to use it")
    three.add_argument("run", type=Path, help="folder of a run of `fit`")
    four = command("evaluate", "errors of a checkpoint under a named protocol, as Markdown and JSON")
    four.add_argument("checkpoint", help="name of a shipped checkpoint or path of an .onnx file")
    four.add_argument("--store", type=Path, default=CORPUS, help=f"prepared store ({CORPUS})")
    four.add_argument("--protocol", choices=PROTOCOLS, default="open", help="see docs/training.md (open)")
    four.add_argument("--keypoints", default="CPN", help="what 2D the store was made with, for the tables")
    four.add_argument("--frames", type=int, default=81, help="open: frames of a piece")
    four.add_argument("--layout", help="open: 2D layout that is seen, such as mediapipe33; the scored joints without")
    four.add_argument("--json", type=Path, help="write the tables there, too")
    five = command("describe", "parameters and multiply-accumulates of the networks")
    five.add_argument("net", nargs="?", choices=net_names(), help="all networks without it")
    five.add_argument("--size", help="one size instead of all")
    five.add_argument("--skeleton", default="h36m", help="a name or a TOML file; references are of h36m's 17 joints")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        {
            "prepare": prepare.run,
            "pretrain": _train,
            "fit": _train,
            "export": _export,
            "evaluate": _evaluate,
            "describe": _describe,
        }[args.command](args)
    except MotionliftError as error:
        sys.stderr.write(f"training: {error}\n")
        return 2
    return 0


def _train(args: argparse.Namespace) -> None:
    from training.config import load_config
    from training.fit import fit, pretrain

    config = load_config(args.config, args.set)
    {"pretrain": pretrain, "fit": fit}[args.command](config, args.out or Path("runs") / Path(args.config).stem)


def _export(args: argparse.Namespace) -> None:
    from training.export import export_run

    logging.info("wrote %s", export_run(args.run))


def _evaluate(args: argparse.Namespace) -> None:
    from lifter.checkpoint import load_checkpoint
    from training.data.store import load_store
    from training.protocols import evaluate
    from training.protocols.table import as_json

    checkpoint, store = load_checkpoint(args.checkpoint), load_store(args.store)
    tables = evaluate(args.protocol, checkpoint, store, args.frames, args.layout, args.keypoints)
    sys.stdout.write("\n".join(t.markdown() for t in tables))
    if args.json:
        args.json.write_text(as_json(tables), encoding="utf-8")


def _describe(args: argparse.Namespace) -> None:
    from training.describe import describe_all

    if args.size and not args.net:
        raise MotionliftError("--size without a network", "Name the network, too")
    sys.stdout.write(describe_all(skeleton_graph(load_skeleton(args.skeleton)), args.net, args.size) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
