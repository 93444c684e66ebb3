"""Capturing beside the bare detector loop on the same frames, its time by stage, and its memory by length.

    python -m benchmarks.capture --out benchmarks/capture.md
    python -m benchmarks.capture --clip mine.mp4        on footage of one's own
    python -m benchmarks.capture --parts time --out benchmarks/capture.md       one part anew

Every figure comes from a process of its own; the ways to go through a clip take turns. Without --clip, a clip is made
by Blender's encoder: 1920 x 1080, H.264, from sports2d_demo.mp4 of the shared data, several times over.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

from .machine import heading

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MOTIONLIFT_SHARED", ROOT.parent / "shared"))
SOURCE = SHARED / "data" / "clips" / "sports2d_demo.mp4"
AT_ONCE = 100
"""Frames that are decoded before the bare loop's clock runs on."""
WAYS = {
    "bare": "the detector's loop alone, frames in memory (A)",
    "script": "a script's loop: decode, detect, in turn",
    "serial": "capture, one thread",
    "capture": "capture (B)",
}
PARTS = {"time": "Capturing beside the bare detector loop", "memory": "Memory by length"}
SPENT = ("start", "detect", "lift", "solve", "save")


# --- In processes of their own: each prints one JSON object --------------------------------------------------


def bare(clip: Path) -> dict[str, Any]:
    """Seconds of detection alone."""
    from lifter.detect import load_detector
    from lifter.footage import open_footage, read_frames

    detector, frames = load_detector(), read_frames(open_footage(clip))
    seconds, processor, count = 0.0, 0.0, 0
    while some := list(itertools.islice(frames, AT_ONCE)):
        begun, used = time.perf_counter(), time.process_time()
        for frame in some:
            detector.detect([frame])
        seconds, processor = seconds + time.perf_counter() - begun, processor + time.process_time() - used
        count += len(some)
    detector.close()
    return {"seconds": seconds, "processor": processor, "frames": count}


def script(clip: Path) -> dict[str, Any]:
    """Seconds from opening the clip to the last detection, as anybody would write it."""
    begun, used = time.perf_counter(), time.process_time()
    import cv2

    from lifter.detect import load_detector
    from lifter.footage import Frame

    detector, video, count = load_detector(), cv2.VideoCapture(str(clip)), 0
    fps = video.get(cv2.CAP_PROP_FPS)
    while (read := video.read())[0]:
        detector.detect([Frame(count, count / fps, cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))])
        count += 1
    detector.close()
    return {"seconds": time.perf_counter() - begun, "processor": time.process_time() - used, "frames": count}


def whole(clip: Path, threads: bool = True, every: str = "all") -> dict[str, Any]:
    """Seconds from the call of `capture` to the take on the disk, imports included, and those of each stage."""
    begun, used = time.perf_counter(), time.process_time()
    from lifter.capture import capture
    from lifter.take import save_take

    reached: dict[str, float] = {}

    def progress(stage: str, done: int, total: int) -> None:
        reached.setdefault(stage, time.perf_counter() - begun)

    module: Any = import_module("lifter.capture")
    serial = () if threads else (("ahead", _not_ahead), ("behind", _not_behind))
    with tempfile.TemporaryDirectory() as folder:
        for name, instead in serial:
            patch.object(module, name, instead).start()
        take = capture(clip, every=every, hands="off", progress=progress)
        reached["save"] = time.perf_counter() - begun
        save_take(take, Path(folder) / "a.take.npz")
    seconds = time.perf_counter() - begun
    # "detect" is told after its first frame, which belongs to it but for a few hundredths of a second.
    points = [0.0, *(reached[s] for s in SPENT[1:]), seconds]
    stages = {s: b - a for s, (a, b) in zip(SPENT, itertools.pairwise(points), strict=True)}
    frames = int(max(p.frames[-1] for p in take.people)) + 1
    out = {"seconds": seconds, "processor": time.process_time() - used, "frames": frames, "people": len(take.people)}
    return {**out, "stages": stages, "peak": _peak()}


@contextmanager
def _not_ahead(items: Iterator[Any], many: int) -> Iterator[Iterator[Any]]:
    yield items


@contextmanager
def _not_behind(call: Callable[..., Any], many: int) -> Iterator[Callable[..., Any]]:
    yield call


def simulated(frames: int, people: int) -> dict[str, Any]:
    """Peak memory of a capture of so many frames: pictures of noise, and people who step on the spot.

    Every picture is an array of its own, 0.7 MB: keeping one in a hundred of an hour's would take 0.75 GB.
    """
    from lifter.capture import capture
    from lifter.detect import Detection
    from lifter.footage import Footage, Frame

    from .solve_speed import LAYOUT, walker

    once = walker(3000)
    noise = np.random.default_rng(0).integers(0, 255, (360, 640, 3), dtype=np.uint8)

    class Simulated:
        name, layout, batch = "simulated", LAYOUT, 1

        def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
            xy = 0.5 * once.keypoints[frames[0].index % len(once.keypoints)]
            return [[Detection(xy + np.float32([150 * p, 0]), once.scores[0].copy()) for p in range(people)]]

        def close(self) -> None:
            pass

    def read(*_: Any) -> Iterator[Frame]:
        for i in range(frames):
            yield Frame(i, i / 30, noise.copy())

    module: Any = import_module("lifter.capture")
    begun, reached = time.perf_counter(), dict[str, tuple[float, float]]()

    def progress(stage: str, done: int, total: int) -> None:
        reached.setdefault(stage, (time.perf_counter() - begun, _peak()))

    footage = Footage(Path("noise.mp4"), 640, 360, 30.0, frames)
    with patch.object(module, "open_footage", lambda _: footage), patch.object(module, "read_frames", read):
        take = capture("noise.mp4", detector=Simulated(), focal=500, hands="off", progress=progress)
    if len(take.people) != people:
        raise RuntimeError(f"{len(take.people)} of {people} people were found")
    return {"peak": _peak(), "lift": reached["lift"][1], "solve": reached["solve"][1]}


def looped(clip: Path, frames: int) -> dict[str, Any]:
    """Peak memory of decoding and detecting so many frames, the clip over and over, by the default detector."""
    from lifter.detect import load_detector
    from lifter.footage import Frame, open_footage, read_frames

    module: Any = import_module("lifter.capture")
    footage, detector = open_footage(clip), load_detector()

    def read(*_args: Any) -> Iterator[Frame]:
        every = itertools.chain.from_iterable(read_frames(footage) for _ in itertools.count())
        for i, frame in enumerate(itertools.islice(every, frames)):
            yield Frame(i, i / footage.fps, frame.rgb)

    with patch.object(module, "read_frames", read):
        tracking = module.Tracking(detector.layout, footage.fps)
        found = module._detect(footage, detector, tracking, None, None, None, watched=True)
    detector.close()
    return {"peak": _peak(), "frames": len(found.times)}


def _peak() -> float:
    """Most memory that this process has held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


CHILDREN: dict[str, Callable[..., dict[str, Any]]] = {
    "bare": lambda clip: bare(Path(clip)),
    "script": lambda clip: script(Path(clip)),
    "serial": lambda clip: whole(Path(clip), threads=False),
    "capture": lambda clip, every="all": whole(Path(clip), every=every),
    "simulated": lambda frames, people: simulated(int(frames), int(people)),
    "looped": lambda clip, frames: looped(Path(clip), int(frames)),
}


def child(*words: object) -> dict[str, Any]:
    """What a process of its own measures."""
    command = [sys.executable, "-m", "benchmarks.capture", "--child", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-1000:]}")
    return json.loads(done.stdout.splitlines()[-1])


# --- The clip ------------------------------------------------------------------------------------------------

ENCODE = """
import bpy, sys
source, out, count, times = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
editor = scene.sequence_editor_create()
strips = editor.strips if hasattr(editor, "strips") else editor.sequences
for i in range(times):
    strips.new_movie(name=str(i), filepath=source, channel=1, frame_start=1 + i * count, fit_method="FILL")
scene.frame_start, scene.frame_end = 1, times * count
scene.view_settings.view_transform = "Standard"
render = scene.render
render.resolution_x, render.resolution_y, render.resolution_percentage, render.fps = 1920, 1080, 100, 30
if hasattr(render.image_settings, "media_type"):
    render.image_settings.media_type = "VIDEO"
render.image_settings.file_format = "FFMPEG"
render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.audio_codec = "MPEG4", "H264", "NONE"
render.ffmpeg.constant_rate_factor, render.ffmpeg.ffmpeg_preset, render.ffmpeg.gopsize = "HIGH", "REALTIME", 30
render.filepath = out
bpy.ops.render.render(animation=True)
"""


def make_clip(folder: Path, times: int) -> Path:
    """The clip, made once."""
    from lifter.footage import open_footage

    if not SOURCE.exists():
        raise SystemExit(f"{SOURCE} is not at hand: name a clip with --clip")
    path = folder / f"1080p_{times}.mp4"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        count, part = open_footage(SOURCE).frame_count, folder / "part.mp4"
        words = [sys.executable, "-c", ENCODE, SOURCE.absolute(), part.absolute(), count, times]
        subprocess.run([str(w) for w in words], check=True, capture_output=True)
        os.replace(part, path)
    return path


# --- The tables ----------------------------------------------------------------------------------------------


def speed_lines(clip: Path, rounds: int) -> list[str]:
    from lifter.footage import open_footage

    found: dict[str, list[dict[str, Any]]] = {w: [] for w in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            found[way].append(child(way, clip))
    frames = found["bare"][0]["frames"]
    size = open_footage(clip)
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(found["bare"], found["capture"], strict=True)]
    lines = [
        f"{clip.name}: {size.width} x {size.height}, {size.fps:.0f} frames/s, {frames} frames, "
        f"{found['capture'][0]['people']} people. Medians of {rounds} rounds in which the ways take turns, the range "
        "in brackets. All but A count the start (imports, models) too; capture goes on to the take on the disk. "
        "Fingers are not looked for.",
        "",
        "| way | seconds | of the processor | ms a frame | to A, round by round |",
        "|---|---|---|---|---|",
    ]
    for way, label in WAYS.items():
        seconds = [r["seconds"] for r in found[way]]
        to_bare = [r["seconds"] / a["seconds"] for r, a in zip(found[way], found["bare"], strict=True)]
        lines.append(
            f"| {label} | {median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f}) "
            f"| {median(r['processor'] for r in found[way]):.1f} | {1000 * median(seconds) / frames:.1f} "
            f"| {median(to_bare):.2f} ({min(to_bare):.2f} to {max(to_bare):.2f}) |"
        )
    lines += [
        "",
        f"**Capture takes {median(ratios):.2f} times the bare detector loop** (aim: at most 1.15).",
        "",
        "Where capture's time goes, seconds (start: imports, opening the clip, loading network and detector, the first "
        "frame; detect: with decoding and the background watch, and at its end tracking; save: the take to the disk):",
        "",
        "| way | " + " | ".join(SPENT) + " |",
        "|---" * (len(SPENT) + 1) + "|",
    ]
    for way in ("serial", "capture"):
        cells = " | ".join(f"{median(r['stages'][s] for r in found[way]):.2f}" for s in SPENT)
        lines.append(f"| {WAYS[way]} | {cells} |")
    return lines


def memory_lines(clip: Path, sizes: Sequence[str], loops: Sequence[int]) -> list[str]:
    lines = [
        "Peak memory of the process, MB. Simulated: pictures of 0.7 MB and a detector that says where people who step "
        "on the spot are; the whole way, tracking, lifting and solving included.",
        "",
        "| frames | minutes at 30/s | people | while detecting | while lifting | in all | KB a frame and person "
        "beyond the shortest |",
        "|---" * 7 + "|",
    ]
    first: dict[int, tuple[int, float]] = {}
    for size in sizes:
        frames, many = map(int, size.split("x"))
        r, more = child("simulated", frames, many), ""
        if many in first:
            more = f"{1000 * (r['peak'] - first[many][1]) / (frames - first[many][0]) / many:.1f}"
        first.setdefault(many, (frames, r["peak"]))
        lines.append(
            f"| {frames:,} | {frames / 1800:.1f} | {many} | {r['lift']:.0f} | {r['solve']:.0f} | {r['peak']:.0f} "
            f"| {more} |"
        )
    lines += ["", f"The default detector, decoding and detecting {clip.name} over and over:", ""]
    lines += ["| frames | peak MB |", "|---|---|"]
    lines += [f"| {n:,} | {child('looped', clip, n)['peak']:.0f} |" for n in loops]
    return lines


def put_part(path: Path, text: str) -> None:
    """Write a part of the file, a heading of the second level and what follows, in place of the one that it had."""
    before = path.read_text() if path.exists() else "# Capturing: time and memory\n"
    top, *parts = before.split("\n## ")
    found = {p.split("\n")[0]: p for p in parts}
    new = text.removeprefix("## ")
    found[new.split("\n")[0]] = new
    order = sorted(found, key=lambda title: list(PARTS.values()).index(title))
    path.write_text("\n".join([top, *(f"## {found[title].rstrip()}\n" for title in order)]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="footage to go through")
    parser.add_argument("--folder", type=Path, default=Path("out/capture"), help="where a clip is made")
    parser.add_argument("--times", type=int, default=4, help="how often the made clip repeats its source")
    parser.add_argument("--rounds", type=int, default=5)
    sizes = [f"{frames}x{people}" for people in (1, 3) for frames in (1_000, 10_000, 108_000)]
    parser.add_argument("--sizes", nargs="*", default=sizes, metavar="FRAMESxPEOPLE", help="of simulated captures")
    parser.add_argument("--loops", type=int, nargs="*", default=(1_000, 8_000), help="frames of real detection")
    parser.add_argument("--remark", default="", help="a sentence on what else the machine did")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=tuple(PARTS), help="of the file; others stay")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        sys.stdout.write(json.dumps(CHILDREN[args.child[0]](*args.child[1:])) + "\n")
        return 0
    clip = args.clip or make_clip(args.folder, args.times)
    remark = [args.remark, ""] if args.remark else []
    for part in args.parts:
        lines = speed_lines(clip, args.rounds) if part == "time" else memory_lines(clip, args.sizes, args.loops)
        text = "\n".join([f"#{heading(PARTS[part])}", *remark, *lines, ""])
        sys.stdout.write(text)
        if args.out:
            put_part(args.out, text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
