"""The command line: `motionlift capture | solve | animate | batch | report | demo | doctor`.

It alone, with cli_batch.py, knows all packages, and imports late.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import MotionliftError

if TYPE_CHECKING:
    from .motion import SolveSettings
    from .take import Take


CAPTURING = ("focal", "fov", "lens", "start", "end", "detector", "every", "people", "hands", "checkpoint", "device")


def main(argv: list[str] | None = None) -> int:
    """Exit code 0; 2 after bad input, with one line on what is wrong and what to do; 130 after Ctrl-C."""
    try:
        args = build_parser().parse_args(argv)
        return int(args.run(args) or 0)
    except MotionliftError as error:
        sys.stderr.write(f"motionlift: {error}\n")
        return 2
    except ImportError as error:
        sys.stderr.write(f"motionlift: A package cannot be loaded ({error}). Run `motionlift doctor`.\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("motionlift: stopped; nothing was written\n")
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="motionlift", description="Turns video into animation on an armature.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("capture", help="video to a take: what people in it do, in 3D")
    one.add_argument("clip", help="video file, folder of images, or a pattern such as shot/%%04d.png")
    one.add_argument("-o", "--out", type=Path, required=True, metavar="NAME.take.npz")
    add_capturing(one)
    one.add_argument(
        "--camera", type=Path, metavar="FILE", help="path of a camera that moved, .json or .npz (docs/camera.md)"
    )
    add_solving(one)
    one.set_defaults(run=run_capture)

    five = commands.add_parser("solve", help="smooth and solve a take again with other settings, without the video")
    five.add_argument("take", type=Path, metavar="NAME.take.npz")
    five.add_argument("-o", "--out", type=Path, metavar="NAME.take.npz", help="default: the take itself")
    add_solving(five)
    five.set_defaults(run=run_solve)

    from .cli_batch import add_batch

    # --no-foot-lock is a word on solving and one on rigs: here it is both.
    many = "many clips to takes and rigs, resumable; on one machine or a cluster"
    add_batch(commands.add_parser("batch", help=many, conflict_handler="resolve"))
    add_animate(commands.add_parser("animate", help="take to keys on an armature: the performer's, or your own rig"))

    six = commands.add_parser("report", help="a page about a take: footage, 3D player, timelines, warnings")
    six.add_argument("take", type=Path, metavar="NAME.take.npz")
    six.add_argument("-o", "--out", type=Path, metavar="FILE.html", help="default: NAME.html beside the take")
    six.add_argument(
        "--pictures", type=int, metavar="N", help="frames of footage in the page, at most (360); 0 for none"
    )
    six.set_defaults(run=run_report)

    three = commands.add_parser("demo", help="both, on a clip of our own whose truth is known")
    three.add_argument("-o", "--out", type=Path, default=Path("motionlift-demo"), metavar="FOLDER")
    three.set_defaults(run=run_demo)

    nets = commands.add_parser("models", help="networks of the detectors RTMPose, RTMW and RTMO: list or fetch them")
    nets.add_argument("fetch", nargs="*", metavar="fetch NAME", help="names of those to fetch; none lists them")
    nets.set_defaults(run=run_models)

    four = commands.add_parser("doctor", help="what is installed, what is missing and how to get it")
    four.set_defaults(run=run_doctor)
    return parser


def add_capturing(one: argparse.ArgumentParser) -> None:
    """Options of capturing that hold for one clip as for many: those in CAPTURING."""
    lens = one.add_mutually_exclusive_group()
    lens.add_argument("--focal", type=float, metavar="PX", help="focal length of the lens in pixels")
    lens.add_argument("--fov", type=float, metavar="DEG", help="angle of view along the longer side of the picture")
    lens.add_argument(
        "--lens",
        choices=("auto", "assume", "estimate"),
        default="auto",
        help="what the file tells of it, else an ordinary one (auto); an ordinary one; or what fits the people best",
    )
    one.add_argument("--start", type=float, metavar="S", help="second of the clip to begin at")
    one.add_argument("--end", type=float, metavar="S", help="second of the clip to end before")
    one.add_argument(
        "--detector",
        default="mediapipe",
        metavar="NAME|PATH",
        help="what finds people, or a file or folder of keypoints that another tool found (docs/detectors.md)",
    )
    one.add_argument("--layout", metavar="L", help="keypoint layout of such a file, where it is not found by itself")
    one.add_argument(
        "--detector-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the detector (docs/detectors.md), such as people=3; may be given again",
    )
    one.add_argument(
        "--every",
        default="all",
        metavar="all|auto|N",
        help="frames that the detector looks at: all; every N-th, keypoints followed in between; or twelve a second",
    )
    one.add_argument(
        "--people",
        default="all",
        metavar="all|most|1,3",
        help="whom to capture of those that the detector finds: all; the one seen most; or some, by a take's numbers",
    )
    one.add_argument(
        "--hands",
        choices=("off", "auto", "on"),
        default="auto",
        help="fingers: of hands that are large enough in the picture (auto), of all (on), or none (docs/hands.md)",
    )
    one.add_argument("--checkpoint", default="body", help="name of a shipped checkpoint or path of an .onnx file")
    one.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="what lifting runs on: auto, cpu, gpu, or a backend such as onnx-cuda, onnx-directml, torch-cuda",
    )


def add_solving(command: argparse.ArgumentParser) -> None:
    """Options of solving; what is not given stays as it is, or at its default."""
    solving = command.add_argument_group("solving")

    def option(name: str, **more: Any) -> None:
        solving.add_argument(f"--{name.replace('_', '-')}", dest=name, default=argparse.SUPPRESS, **more)

    option("height", type=float, metavar="M", help="the performer's height in metres, such as 1.75")
    option("smoothing", choices=("spline", "butterworth", "savitzky_golay", "one_euro", "gaussian"))
    option("strength", type=float, metavar="X", help="of the smoothing: 0 none, 1 most (default 0.4)")
    for part in ("torso", "head", "arms", "legs"):
        option(part, type=float, metavar="X", help="factor on the strength there, 0 to 2")
    option("contacts", choices=("auto", "always", "never"), help="whether feet stand: auto asks the network")
    solving.add_argument(
        "--contact",
        dest="contact_edits",
        action="append",
        default=argparse.SUPPRESS,
        metavar="FOOT:FIRST-LAST=on|off",
        help="your own word on a foot (left, right or both) over a range of frames; may be given again",
    )
    option("foot_lock", action=argparse.BooleanOptionalAction, help="pin feet that stand to the floor")


def given_settings(args: argparse.Namespace, before: dict[str, Any] | None = None) -> SolveSettings:
    """Settings of a take or the defaults, with what the command line says."""
    from .motion import SolveSettings

    names = {f.name for f in fields(SolveSettings)}
    given = {k: v for k, v in {**(before or {}), **vars(args)}.items() if k in names}
    if isinstance(given.get("contact_edits"), list):
        given["contact_edits"] = ", ".join(given["contact_edits"])
    return SolveSettings(**given)


def run_solve(args: argparse.Namespace) -> int:
    from .capture import solve
    from .take import load_take, save_take

    out = args.out or args.take
    check_writable(out)
    take = load_take(args.take)
    take = solve(take, given_settings(args, take.header["settings"]))
    save_take(take, out)
    say(describe(take))
    say(f"wrote {out}")
    return 0


def run_report(args: argparse.Namespace) -> int:
    from .report import PICTURES, write_report
    from .take import load_take

    if args.pictures is not None and args.pictures < 0:
        raise MotionliftError(f"{args.pictures} pictures are not possible", "Give 0 or more")
    name = args.take.name.removesuffix(".npz").removesuffix(".take")
    out = args.out or args.take.with_name(f"{name}.html")
    check_writable(out)
    take = load_take(args.take)
    with Bar() as bar:
        pictures = PICTURES if args.pictures is None else args.pictures
        warnings = write_report(take, out, pictures=pictures, progress=bar)
    for warning in warnings:
        say(f"warning: {warning}")
    say(f"wrote {out}")
    return 0


def add_animate(two: argparse.ArgumentParser) -> None:
    from blender_addon.arguments import add_retarget_arguments

    two.add_argument("take", type=Path, metavar="NAME.take.npz")
    two.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help=".blend, .fbx, .glb, .bvh or .usd")
    rig = add_retarget_arguments(two)
    rig.add_argument("--save-mapping", type=Path, metavar="FILE.toml", help="write the mapping, to edit it by hand")
    rig.add_argument("--show-mapping", action="store_true", help="print which bones fill which slots")
    two.set_defaults(run=run_animate)


def run_capture(args: argparse.Namespace) -> int:
    from .capture import capture
    from .take import save_take

    check_writable(args.out)
    settings = given_settings(args)
    with Bar() as bar:
        take = capture(
            args.clip,
            focal=args.focal,
            fov=args.fov,
            lens=args.lens,
            camera=args.camera,
            start=args.start,
            end=args.end,
            detector=args.detector,
            detector_options=detector_options(args),
            every=args.every,
            people=args.people,
            hands=args.hands,
            checkpoint=args.checkpoint,
            device=args.device,
            settings=settings,
            progress=bar,
        )
    save_take(take, args.out)
    say(describe(take))
    for warning in (*take.header.get("warnings", ()), *take.header["solve_warnings"]):
        say(f"warning: {warning}")
    say(f"wrote {args.out}")
    return 0


def detector_options(args: argparse.Namespace) -> dict[str, Any]:
    """What the command line says of the detector; numbers as numbers. Raises MotionliftError."""
    options: dict[str, Any] = {} if args.layout is None else {"layout": args.layout}
    for given in args.detector_option:
        name, equals, value = given.partition("=")
        if not (name and equals):
            raise MotionliftError(f"--detector-option {given!r} is not NAME=VALUE", "Write it as people=3")
        for convert in (int, float, str):
            with suppress(ValueError):
                options[name] = convert(value)
                break
    return options


def run_animate(args: argparse.Namespace) -> int:
    need_bpy()
    check_writable(args.out)
    with blender_errors(), quiet_stdout():
        lines = animate_rig(args) if args.rig else animate_own(args)
    for line in lines:
        say(line)
    say(f"wrote {args.out}")
    return 0


def animate_own(args: argparse.Namespace) -> list[str]:
    from blender_addon.animate import animate

    person = None if args.person is None else args.person - 1
    return [f"warning: {w}" for w in animate(args.take, args.out, person)]


def animate_rig(args: argparse.Namespace) -> list[str]:
    """Lines to print: the mapping, warnings, and what was keyed."""
    from blender_addon.animate import animate_rig as put
    from blender_addon.arguments import retarget_options
    from blender_addon.retarget.mapping import describe, save_mapping

    report = put(args.take, args.rig, args.out, **retarget_options(args))
    if args.save_mapping:
        save_mapping(report.mapping, args.save_mapping)
    whole = describe(report.mapping, report.rig)
    lines = whole if args.show_mapping else [f"mapping: {report.mapping.found_by}, {len(report.mapping.bones)} slots"]
    return [*lines, *(f"warning: {w}" for w in report.warnings)]


def run_demo(args: argparse.Namespace) -> int:
    import numpy as np

    from .capture import capture
    from .metrics import compare
    from .preview import write_preview
    from .take import save_take

    need_bpy()
    folder = Path(__file__).parent / "demo"
    args.out.mkdir(parents=True, exist_ok=True)
    check_writable(args.out / "demo.take.npz")
    with np.load(folder / "demo_truth.npz", allow_pickle=False) as z:
        truth = {k: z[k] for k in z.files}
    with Bar() as bar:
        take = capture(folder / "demo.mp4", height=float(truth["height"]), progress=bar)
    path = save_take(take, args.out / "demo.take.npz")
    say(describe(take))
    write_preview(take, args.out / "demo.mp4")
    from blender_addon.animate import animate

    with blender_errors(), quiet_stdout():
        warnings = animate(path, args.out / "demo.blend")
    for warning in warnings:
        say(f"warning: {warning}")
    person = take.people[0]
    names = [str(n) for n in truth["joint_names"]]
    mine = [take.skeleton.joint(n) for n in names]
    hips = np.array([names.index("l_hip"), names.index("r_hip")])
    figures = compare(person.joints_camera[:, mine], truth["joints_camera"][person.frames], hips, take.fps)
    say(
        f"against the truth of {len(names)} joints in {figures['frames']:.0f} of {len(truth['joints_camera'])} frames: "
        f"mean error {figures['MPJPE']:.0f} mm, {figures['P-MPJPE']:.0f} mm after Procrustes alignment; "
        f"acceleration error {figures['acceleration error']:.1f} m/s2, "
        f"{100 * figures['liveliness']:.0f} % of the truth's mean acceleration kept"
    )
    for file in ("demo.blend", "demo.mp4", "demo.take.npz"):
        say(f"wrote {args.out / file}")
    return 0


def run_models(args: argparse.Namespace) -> int:
    from .detect.rtm_models import LICENCE, MODELS, SOURCE, fetch_model, known_model, model_folder

    if args.fetch and (args.fetch[0] != "fetch" or not args.fetch[1:]):
        raise MotionliftError("Models can be listed and fetched", "motionlift models; motionlift models fetch NAME")
    for name in args.fetch[1:]:
        known_model(name)
    for name in args.fetch[1:]:
        with Bar() as bar:
            path, digest, compared = fetch_model(name, bar)
        size = path.stat().st_size / 1e6
        checked = "as expected" if compared else "written down, and compared from now on"
        say(f"wrote {path} ({size:.0f} MB); SHA-256 of the download {digest}, {checked}")
    if not args.fetch:
        for model in MODELS.values():
            path = model_folder() / f"{model.name}.onnx"
            there = "fetched" if path.is_file() else "not fetched"
            say(f"{model.name:<14} {model.kind:<7} {model.layout or 'boxes':<13} {model.megabytes:>4} MB  {there}")
        say(f"from {SOURCE}, licence {LICENCE}")
    return 0


def run_doctor(args: argparse.Namespace) -> int:
    from .doctor import report

    lines, ready = report()
    for line in lines:
        say(line)
    return 0 if ready else 2


def need_bpy() -> None:
    """bpy is an option: say what to install. Raises MotionliftError."""
    try:
        import_module("bpy")
    except ImportError as error:
        raise MotionliftError(
            f"The bpy module is not installed ({error})",
            'pip install -c constraints.txt -e ".[blender]" (bpy has wheels for Python 3.11, and from 5.1 on 3.13)',
        ) from error


@contextmanager
def blender_errors() -> Generator[None]:
    """Turn the Blender side's errors, two sentences each, into ours."""
    from blender_addon.errors import UserError
    from blender_addon.retarget.rig import RigError
    from blender_addon.take_file import TakeError

    try:
        yield
    except UserError as error:
        raise MotionliftError(f"{error.what}{f' ({error.why})' if error.why else ''}", error.remedy) from error
    except (TakeError, RigError) as error:
        what, _, remedy = str(error).rstrip(".").rpartition(". ")
        raise MotionliftError(what, remedy) from error


class quiet_stdout:  # noqa: N801 (a context manager, named as the standard library names them)
    """Keeps Blender's own lines off the terminal: they go straight to the file descriptor."""

    def __enter__(self) -> None:
        sys.stdout.flush()
        self.saved = os.dup(1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        os.dup2(self.saved, 1)
        os.close(self.saved)


def check_writable(path: Path) -> None:
    """Before an hour of work, not after it. Raises MotionliftError."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise MotionliftError(f"{folder}: no such folder", "Create it or choose another one with -o")
    if path.is_dir() or not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise MotionliftError(f"{path}: cannot be written", "Choose another file or folder with -o")


class Bar:
    """A progress bar of the stage at hand: done of all, frames a second, time left."""

    def __init__(self) -> None:
        self.stage, self.begun, self.drawn = "", 0.0, 0.0

    def __enter__(self) -> Bar:
        return self

    def __call__(self, stage: str, done: int, total: int) -> None:
        if _interrupts:
            raise KeyboardInterrupt
        now = time.monotonic()
        if stage != self.stage:
            self.end_line()
            self.stage, self.begun, self.drawn = stage, now, 0.0
        if now - self.drawn < 0.1 and done != total:
            return
        self.drawn = now
        rate = done / max(now - self.begun, 1e-6)
        parts = [f"{stage:<7}"]
        if total:
            filled = round(24 * min(1, done / total))
            parts.append(f"[{'#' * filled}{'.' * (24 - filled)}] {done}/{total}")
        else:
            parts.append(f"{done}")
        if stage == "detect" and done:
            parts.append(f"{rate:.1f} frames/s")
            if total:
                parts.append(f"{max(0, total - done) / max(rate, 1e-6):.0f} s left")
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K" + "  ".join(parts))
            sys.stderr.flush()

    def end_line(self) -> None:
        if self.stage and sys.stderr.isatty():
            sys.stderr.write("\n")

    def __exit__(self, *_: object) -> None:
        self.end_line()


def describe(take: Take) -> str:
    """One line a person: frames, gaps, swaps put right."""
    from .take import FILLED, GAP

    lines: list[str] = []
    for i, p in enumerate(take.people):
        seconds = f"{p.times[0]:.1f} to {p.times[-1]:.1f} s"
        gaps, filled, swapped = ((p.state == GAP).sum(), (p.state == FILLED).sum(), p.swapped.sum())
        lines.append(
            f"person {i + 1}: {len(p.frames)} frames ({seconds}), {gaps} in gaps, {filled} filled, "
            f"left and right put right in {swapped}"
        )
    return "\n".join(lines)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


_interrupts: list[int] = []


def _interrupt(number: int, _frame: Any) -> None:
    """Ctrl-C. Libraries in C now and then lose what is raised here: the bar asks again."""
    _interrupts.append(number)
    raise KeyboardInterrupt


def run() -> None:
    """The command. Leaves without tear-down where Blender's module was used: after a file with Rigify's scripts that of
    4.2 crashes there, when all is written. Ctrl-C that comes so late changes nothing any more."""
    signal.signal(signal.SIGINT, _interrupt)
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "bpy" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)


if __name__ == "__main__":
    run()
