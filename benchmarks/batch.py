"""A hundred short clips, five of them bad, as a batch that is killed in the middle and started again.

    python -m benchmarks.batch -o benchmarks/batch.md

The clips are cut from the demo clip. The batch runs as users run it, `motionlift batch`, and is ended by SIGKILL when
half of its takes are there; the second run has to end complete. A few clips are then captured alone, to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import cv2
import numpy as np

from benchmarks.machine import heading
from lifter.footage import open_footage, read_frames
from lifter.take import load_take

DEMO = Path(__file__).parents[1] / "lifter" / "demo" / "demo.mp4"
BAD = ("corrupt", "cut_short", "sound_only", "nobody", "one_frame")
FPS = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, help="where the page goes (default: printed only)")
    parser.add_argument("--clips", type=int, default=100, help="all of them, bad ones included")
    parser.add_argument("--frames", type=int, default=20, help="of each clip")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--export", default="", help="also write this of every take, such as fbx")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="motionlift-batch-") as folder:
        lines = measure(Path(folder), args.clips, args.frames, args.jobs, args.export)
    text = heading(f"A batch of {args.clips} clips, killed in the middle") + "\n" + "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    return 0


def measure(folder: Path, count: int, frames: int, jobs: int, export: str) -> list[str]:
    """Markdown lines with what was seen. Raises AssertionError where the batch did not end as it must."""
    shots, out = folder / "shots", folder / "out"
    make_clips(shots, count - len(BAD), frames)
    command = [sys.executable, "-m", "lifter.cli", "batch", str(shots / "**/*"), "-o", str(out), "--jobs", str(jobs)]
    command += ["--export", export] if export else []
    busy = os.getloadavg()[0] > 1
    begun = time.monotonic()
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while first.poll() is None and len(takes(out)) < count // 2:
        time.sleep(0.1)
    killed_at = time.monotonic() - begun
    first.send_signal(signal.SIGKILL)
    printed = first.communicate()[0].splitlines()
    time.sleep(3)  # children end by themselves once their parent is gone
    told_done = [json.loads(p.read_text()) for p in (out / ".motionlift").rglob("*.json") if "~" not in p.name]
    before = {out / c["files"][0]: 0 for c in told_done if c["state"] == "done"}
    before = {p: p.stat().st_mtime_ns for p in before}
    parts = [p for p in out.rglob("*") if "~" in p.name]
    begun = time.monotonic()
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begun
    told = json.loads((out / "batch.json").read_text())
    counts = told["counts"]
    failed = {c["name"]: c["error"]["what"].replace(str(shots), "shots") for c in told["clips"] if c["error"]}
    after = takes(out)
    assert first.returncode == -signal.SIGKILL and second.returncode == 1, (first.returncode, second.returncode)
    # one frame is short, but somebody is seen in it
    assert set(failed) == {f"bad/{n}" for n in BAD if n != "one_frame"}, failed
    assert len(after) == count - len(failed) and all(load_take(p).people for p in after)
    assert all(p.stat().st_mtime_ns == t for p, t in before.items()), "something was done twice"
    assert not [p for p in out.rglob("*") if "~" in p.name], "something half-written is left"
    again = time.monotonic()
    third = subprocess.run(command, capture_output=True, text=True, check=False)
    idle = time.monotonic() - again
    assert json.loads((out / "batch.json").read_text())["counts"]["skipped"] == len(after), third.stdout
    same = identical(shots, out, sorted(after)[:: max(1, len(after) // 5)][:5], folder)
    sheet = out / "batch.html"
    clips = [c for c in told["clips"] if c["state"] == "done"]
    return [
        f"{count} clips of {frames} frames at 640 x 640 pixels, {len(BAD)} of them bad ({', '.join(BAD)}); "
        f"{jobs} at a time{f'; --export {export}' if export else ''}.",
        "",
        "| | |",
        "|---|---|",
        f"| first run, killed (SIGKILL) after | {killed_at:.0f} s, {len(before)} takes, "
        f"{max(0, len(printed) - 1)} clips told |",
        f"| half-written files it left, removed by the second run | {len(parts)} |",
        f"| second run | {seconds:.0f} s: {counts['done']} done, {counts['skipped']} skipped, "
        f"{counts['failed']} failed, exit code {second.returncode} |",
        f"| third run, nothing left but what fails | {idle:.0f} s, exit code {third.returncode} |",
        f"| takes in the end | {len(after)}; none was written twice |",
        f"| a clip from start to end, in the second run | {np.mean([c['seconds'] for c in clips]):.1f} s on average |",
        f"| takes compared with `motionlift capture` alone | {same} identical arrays |",
        f"| contact sheet | {sheet.stat().st_size / 1e6:.1f} MB |",
        "",
        *(["Other programs ran on the machine at the same time: the times are upper bounds.", ""] if busy else []),
        "What was said of the bad clips:",
        "",
        *(f"- {name}: {what}" for name, what in sorted(failed.items())),
        "- bad/one_frame: done; a take of one frame",
    ]


def make_clips(shots: Path, good: int, frames: int) -> None:
    """Cuts of the demo clip in folders of ten, and the bad ones."""
    pictures = [f.rgb for f in read_frames(open_footage(DEMO))]
    starts = np.linspace(0, len(pictures) - frames, good).astype(int)
    for i, start in enumerate(starts):
        write_video(shots / f"scene{i // 10:02d}" / f"shot{i:03d}.mp4", pictures[start : start + frames])
    bad = shots / "bad"
    write_video(bad / "nobody.mp4", [np.full((240, 320, 3), 90, np.uint8)] * frames)
    write_video(bad / "one_frame.mp4", pictures[:1])
    (bad / "corrupt.mp4").write_bytes(np.random.default_rng(0).bytes(40000))
    whole = (shots / "scene00" / "shot000.mp4").read_bytes()
    (bad / "cut_short.mp4").write_bytes(whole[: len(whole) // 2])
    with wave.open(str(bad / "sound_only.mp4"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))


def write_video(path: Path, pictures: list[np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (width, height))
    for picture in pictures:
        writer.write(picture[..., ::-1])
    writer.release()


def takes(out: Path) -> list[Path]:
    return [p for p in out.rglob("*.take.npz") if "~" not in p.name]


def identical(shots: Path, out: Path, some: list[Path], folder: Path) -> str:
    """How many of these takes are what `motionlift capture` makes of their clips: "5 of 5"."""
    same = 0
    for path in some:
        clip = shots / path.relative_to(out).with_name(path.name.replace(".take.npz", ".mp4"))
        alone = folder / "alone.take.npz"
        subprocess.run(
            [sys.executable, "-m", "lifter.cli", "capture", str(clip), "-o", str(alone)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        same += same_take(path, alone)
    return f"{same} of {len(some)}"


def same_take(a: Path, b: Path) -> bool:
    """Whether every array of two takes is the same to the last bit."""
    with np.load(a) as one, np.load(b) as other:
        return one.files == other.files and all(
            np.array_equal(one[k], other[k], equal_nan=one[k].dtype.kind == "f") for k in one.files
        )


if __name__ == "__main__":
    raise SystemExit(main())
