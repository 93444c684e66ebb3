"""`blender --command motionlift capture | retarget | batch`: the same without a window."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import bpy

from .animate import animate, animate_rig
from .arguments import add_retarget_arguments, retarget_options
from .batch_run.command import add_batch_arguments, run_command
from .capture import jobs
from .capture.jobs import Ending, Task
from .notices import ERRORS, of_error, of_failure
from .places import TAKE
from .worker.messages import Done, Failed, capture_job

COMMAND = "motionlift"
_handle: Any = None


def main(argv: list[str]) -> int:
    """Exit code 0; 1 if some clips of a batch failed; 2 after bad input, with one line on what is wrong."""
    try:
        args = build_parser().parse_args(argv)
    except SystemExit as end:  # argparse has said what is wrong; Blender is not to end by an exception
        return int(end.code or 0)
    try:
        return int(args.run(args))
    except ERRORS as error:
        _say(f"motionlift: {of_error(error).text}", sys.stderr)
        return 2
    except KeyboardInterrupt:
        _say("motionlift: stopped; nothing was written", sys.stderr)
        return 130
    finally:
        jobs.stop_all()


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"blender --command {COMMAND}", description="Video to animation on your rig.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    capture = commands.add_parser("capture", help="video to a take")
    capture.add_argument("clip", help="video file, folder of images, or a pattern such as shot/%%04d.png")
    capture.add_argument("-o", "--out", type=Path, required=True, metavar=f"NAME{TAKE}")
    _add_capture_arguments(capture)
    capture.set_defaults(run=run_capture)
    retarget = commands.add_parser("retarget", help="a take onto a rig")
    retarget.add_argument("take", type=Path, metavar=f"NAME{TAKE}")
    retarget.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FILE", help=".blend, .fbx, .glb, .bvh, .usd"
    )
    add_retarget_arguments(retarget, rig_required=True)
    retarget.set_defaults(run=run_retarget)
    batch = commands.add_parser("batch", help="many videos, and each onto a rig; resumable")
    add_batch_arguments(batch)
    batch.add_argument("--format", metavar=".EXT", help="the same as --export")
    _add_capture_arguments(batch)
    add_retarget_arguments(batch)
    batch.set_defaults(run=run_batch)
    return parser


def _add_capture_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--height", type=float, help="the performer's height in metres, such as 1.75")
    parser.add_argument("--fov", type=float, metavar="DEG", help="angle of view along the longer side of the picture")
    parser.add_argument("--focal", type=float, metavar="PX", help="focal length in pixels, in place of --fov")
    parser.add_argument("--people", type=int, default=1, metavar="N", help="how many people to follow")
    parser.add_argument("--detector", metavar="NAME|PATH", help="who finds keypoints (docs/detectors.md)")
    parser.add_argument("--every", metavar="all|auto|N", help="which frames the detector looks at; all without it")
    parser.add_argument("--hands", choices=("off", "auto", "on"), help="whether fingers are captured; auto without it")
    parser.add_argument("--device", metavar="NAME", help="what lifting runs on: auto, cpu, gpu, or a backend")
    parser.add_argument("--checkpoint", help="name of a shipped checkpoint or path of an .onnx file")
    parser.add_argument("--start", type=float, metavar="S", help="second of the clip to begin at")
    parser.add_argument("--end", type=float, metavar="S", help="second of the clip to end before")


def run_capture(args: argparse.Namespace) -> int:
    ending = _capture(args.clip, args.out, args)
    if isinstance(ending, Done):
        _say(f"wrote {args.out}")
        return 0
    if isinstance(ending, Failed):
        _say(f"motionlift: {of_failure(ending).text}", sys.stderr)
    return 2


def run_retarget(args: argparse.Namespace) -> int:
    report = animate_rig(args.take, args.rig, args.out, **retarget_options(args))
    for warning in report.warnings:
        _say(f"warning: {warning}")
    _say(f"wrote {args.out}")
    return 0


def run_batch(args: argparse.Namespace) -> int:
    """One bad clip does not stop the others; what is done is skipped."""
    jobs.check_environment()
    if args.format:
        args.export.append(args.format)
    command, variables = jobs.worker_start()

    def put(take: Path, out: Path) -> list[str]:
        if args.rig:
            return list(animate_rig(take, args.rig, out, **retarget_options(args)).warnings)
        return animate(take, out, None if args.person is None else args.person - 1)

    settings = _settings(args)
    return run_command(args, worker=command, settings=settings, settings_key={}, animate=put, variables=variables)


def _capture(clip: str, out: Path, args: argparse.Namespace) -> Ending:
    job = capture_job(str(Path(clip).absolute()), out.absolute(), _settings(args))
    task = jobs.start(Task(job, Path(clip).name, "capture", 0, lambda _task, _ending: None))
    told = [0.0]

    def tell(each: Task) -> None:
        said = each.progress
        if said and time.monotonic() - told[0] > 2.0:
            told[0] = time.monotonic()
            _say(f"{each.title}: {said.stage} {said.done}{f' of {said.total}' if said.total else ''}", sys.stderr)

    ending = jobs.wait(task, tell)
    for warning in task.warnings:
        _say(f"warning: {warning}", sys.stderr)
    return ending


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """Of a capture, as far as they were given."""
    names = ("height", "fov", "focal", "detector", "every", "hands", "device", "checkpoint", "start", "end")
    options: dict[str, Any] = {n: getattr(args, n) for n in names if getattr(args, n) is not None}
    if args.people > 1:
        options["detector_options"] = {"people": args.people}
    return options


def _say(line: str, stream: Any = None) -> None:
    (stream or sys.stdout).write(line + "\n")
    (stream or sys.stdout).flush()


def register() -> None:
    global _handle
    _handle = bpy.utils.register_cli_command(COMMAND, main)


def unregister() -> None:
    global _handle
    if _handle is not None:
        bpy.utils.unregister_cli_command(_handle)
    _handle = None
