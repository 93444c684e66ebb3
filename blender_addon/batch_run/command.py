"""What `motionlift batch` and `blender --command motionlift batch` have in common: arguments, and the run itself."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..arguments import OUTPUTS, retarget_key
from ..errors import UserError
from .clip import Animate, Plan
from .clips import Clip, find_clips
from .records import Record
from .run import default_jobs, run_batch
from .sheet import write_sheet, write_summary
from .table import Table

Runner = Callable[[Sequence[Clip], Plan, Table], list[Record]]
"""Does all clips and tells the table; one record a clip."""


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "clips", nargs="+", metavar="CLIPS", help="videos, folders with videos, or patterns such as 'shots/**/*.mp4'"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="for everything that is made")
    parser.add_argument(
        "--export",
        action="append",
        default=[],
        metavar="FORMAT",
        help="write this of every take: blend (default with --rig), fbx, glb, bvh, usd; may be given again",
    )
    parser.add_argument("--report", action="store_true", help="write a page about every take, NAME.html")
    parser.add_argument(
        "--base", type=Path, metavar="FOLDER", help="results lie under --out as the clips lie under this folder"
    )
    parser.add_argument(
        "--no-sheet", action="store_true", help="write no summary and contact sheet: for one clip of many on a farm"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="clips at a time (default: one a core, as memory allows)")
    parser.add_argument("--again", action="store_true", help="do also what is done")
    parser.add_argument(
        "--stall", type=float, default=30.0, metavar="MIN", help="end a clip of which nothing is heard for so long (30)"
    )


def run_command(
    args: argparse.Namespace,
    *,
    worker: tuple[str, ...],
    settings: Mapping[str, Any],
    settings_key: Mapping[str, Any],
    animate: tuple[str, ...] | Animate,
    variables: Mapping[str, str],
    runner: Runner | None = None,
) -> int:
    """Do a batch and write its summary and contact sheet. worker, settings, ...: as in `Plan`.

    Returns 0; 1 where clips failed; 130 after Ctrl-C. Raises UserError for bad input, before anything is begun.
    """
    jobs = default_jobs() if args.jobs is None else args.jobs
    if jobs < 1:
        raise UserError(f"{jobs} clips at a time are not possible", "Give --jobs 1 or more")
    if not args.stall > 0:
        raise UserError(f"{args.stall:g} minutes are not possible", "Give --stall in minutes")
    clips = find_clips(args.clips, args.base)
    plan = Plan(
        out=_folder(args.out),
        worker=worker,
        settings=settings,
        settings_key=settings_key,
        suffixes=_suffixes(args),
        animate=animate,
        animate_key=_animate_key(args),
        variables=dict(variables) | _threads(jobs),
        reports=args.report,
        stall=60 * args.stall,
        again=args.again,
    )
    table = Table(len(clips))
    stopped = False
    try:
        if runner is None:
            run_batch(clips, plan, jobs, table)
        else:
            runner(clips, plan, table)
    except KeyboardInterrupt:
        stopped = True
    finally:
        table.close()
    sheet = "" if args.no_sheet else f"; see {_write_sheet(plan, table.records, len(clips))}"
    good = sum(r.good for r in table.records)
    skipped = sum(r.state == "skipped" for r in table.records)
    _say(f"{good} of {len(clips)} clips are done{f' ({skipped} were before)' if skipped else ''}{sheet}")
    if stopped:
        sys.stderr.write("motionlift: stopped; give the same command again to go on\n")
        return 130
    return 0 if good == len(clips) else 1


def _write_sheet(plan: Plan, records: Sequence[Record], total: int) -> Path:
    try:
        write_summary(plan.out, records, total, {**plan.settings, **plan.animate_key})
        return write_sheet(plan.out, records, total)
    except OSError as error:
        raise UserError(f"{plan.out}: cannot be written", "Check the disk; what is done is kept", str(error)) from error


def _folder(out: Path) -> Path:
    out = out.resolve()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: the folder cannot be made", "Choose another --out", error.strerror or "") from error
    if not os.access(out, os.W_OK):
        raise UserError(f"{out}: nothing can be written there", "Choose another --out")
    return out


def _suffixes(args: argparse.Namespace) -> tuple[str, ...]:
    words = [w for text in args.export for w in text.split(",") if w]
    suffixes = tuple(dict.fromkeys("." + w.lower().lstrip(".") for w in words))
    for suffix in suffixes:
        if suffix not in OUTPUTS:
            known = ", ".join(s.lstrip(".") for s in OUTPUTS)
            raise UserError(f'"{suffix.lstrip(".")}" is no format that can be written', f"Choose of {known}")
    return suffixes or ((".blend",) if args.rig else ())


def _animate_key(args: argparse.Namespace) -> dict[str, Any]:
    try:
        return retarget_key(args)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read", "Check the path", error.strerror or "") from error


def _threads(jobs: int) -> dict[str, str]:
    """Clips share the cores: libraries that would each take all of them are told so, unless the user has."""
    each = str(max(1, (os.cpu_count() or 1) // jobs))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {n: each for n in names if n not in os.environ}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
