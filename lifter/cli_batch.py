"""`motionlift batch`: blender_addon/batch_run does the work; here it is told how to start the lifter and Blender."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import MotionliftError

if TYPE_CHECKING:
    from blender_addon.batch_run.command import Runner


def add_batch(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    from blender_addon.arguments import add_retarget_arguments
    from blender_addon.batch_run.command import add_batch_arguments

    from .cli import add_capturing, add_solving

    add_batch_arguments(parser)
    cluster = parser.add_argument_group("on a cluster (docs/batch.md)")
    cluster.add_argument("--ray", metavar="auto|ADDRESS", help="have a Ray cluster do the work: this one, or HOST:PORT")
    cluster.add_argument("--ray-cpus", type=float, default=1.0, metavar="N", help="cores that a capture reserves (1)")
    cluster.add_argument("--ray-gpus", type=float, default=0.0, metavar="N", help="GPUs, or a part of one (0)")
    add_capturing(parser)
    add_solving(parser)
    add_retarget_arguments(parser)
    parser.set_defaults(run=run_batch)


def run_batch(args: argparse.Namespace) -> int:
    """Exit code 0; 1 where clips failed, 130 after Ctrl-C. Raises MotionliftError for bad input."""
    from blender_addon.arguments import retarget_argv
    from blender_addon.batch_run.command import run_command

    from .cli import blender_errors, need_bpy

    if args.rig or args.export:
        need_bpy()
    if args.no_foot_lock:
        args.foot_lock = False
    settings, contents = capture_settings(args)
    with blender_errors():
        return run_command(
            args,
            worker=(sys.executable, "-m", "lifter.worker"),
            settings=settings,
            settings_key=contents,
            animate=(sys.executable, "-m", "lifter.cli", "animate", *retarget_argv(args)),
            # Children find the packages where this process does, wherever it was started.
            variables={n: v for n, v in os.environ.items() if n.startswith("PYTHON")},
            runner=ray_runner(args) if args.ray else fetch_models(args),
        )


def capture_settings(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings for the worker, as far as they were given; and what stands for files in them: their contents.

    Raises MotionliftError for values that are not possible.
    """
    from dataclasses import asdict, fields

    from .cli import CAPTURING, detector_options, given_settings
    from .motion import SolveSettings

    solving = asdict(given_settings(args))
    names = {f.name for f in fields(SolveSettings)}
    settings: dict[str, Any] = {n: solving[n] for n in names if n in vars(args)}
    settings |= {n: getattr(args, n) for n in CAPTURING if getattr(args, n) is not None}
    if options := detector_options(args):
        settings["detector_options"] = options
    contents: dict[str, Any] = {}
    checkpoint = Path(args.checkpoint)
    if checkpoint.suffix == ".onnx":
        try:
            contents["checkpoint"] = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
        except OSError as error:
            raise MotionliftError(f"{checkpoint}: cannot be read ({error.strerror})", "Check the path") from error
        settings["checkpoint"] = str(checkpoint.absolute())
    return settings, contents


def fetch_models(args: argparse.Namespace) -> None:
    """Once, before many processes would. Raises MotionliftError."""
    if args.detector == "mediapipe":
        from .cli import Bar
        from .detect.models import pose_model

        with Bar() as bar:
            pose_model(bar)


def ray_runner(args: argparse.Namespace) -> Runner:
    from blender_addon.batch_run.cluster import Resources, connect, run_on_ray

    connect(args.ray)
    resources = Resources(args.ray_cpus, args.ray_gpus)
    return lambda clips, plan, table: run_on_ray(clips, plan, resources, table)
