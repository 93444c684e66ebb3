"""How well fingers are measured, by the size of the hand in the picture, and what looking at hands costs.

    python -m benchmarks.hands --clip CLIP.mp4 -o benchmarks/hands.md

Hands whose bends are known are rendered (benchmarks/hand_pictures.py; kept in out/hands), made smaller, and found by
MediaPipe round a wrist that is off by 5 % of the hand. Bends then come from MediaPipe's own points in 3D, or by the
network of training/hands.py from its points in the picture. Needs bpy; about 15 seconds a picture on one busy core.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import heading
from lifter.detect import load_detector
from lifter.detect.hands import HandFinder, Wrist, body_columns, crop_matrix, cut, wrists
from lifter.footage import open_footage, read_frames
from lifter.hand_lift import lift_hands
from lifter.hands import AT_REST, SeenHands, limited, measure_angles, stack_hands

Array = NDArray[np.float64]

HAND = 0.185
"""Metres of the ordinary hand from wrist to fingertip."""
SIZES = (12, 16, 20, 24, 32, 48, 64, 96, 160)
BORDER = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=56, help="how many hands")
    parser.add_argument("--folder", type=Path, default=Path("out/hands"), help="where they are kept")
    parser.add_argument("--clip", type=Path, help="a clip of one person, to measure the time on")
    parser.add_argument("-o", "--out", type=Path)
    args = parser.parse_args()
    pictures = [load_picture(args.folder, 100 + i) for i in range(args.pictures)]
    lines = [heading("Hands"), *accuracy(pictures)]
    if args.clip:
        lines += ["", *cost(args.clip)]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text)
    return 0


def load_picture(folder: Path, seed: int) -> dict[str, Any]:
    """A rendered hand as arrays; rendered now where it is not there yet."""
    file = folder / f"{seed}.npz"
    if not file.exists():
        from benchmarks.hand_pictures import render_hand

        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(file, **asdict(render_hand(seed, samples=6)))
    with np.load(file) as z:
        return {k: z[k] for k in z.files}


def in_size(picture: dict[str, Any], length: float, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Wrist]:
    """The picture with a hand so many pixels long, and where a body detector would see it."""
    from benchmarks.hand_pictures import DISTANCE, FOCAL

    full = HAND * FOCAL / DISTANCE
    scale, xy = length / full, picture["xy"]
    rgb = cv2.resize(picture["rgb"], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    rgb = cv2.copyMakeBorder(rgb, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REFLECT)
    palm = (xy[5] + xy[17]) / 2 - xy[0]
    up = xy[0] - picture["elbow"]
    up = 0.6 * full * up / np.linalg.norm(up) + palm
    at = xy[0] + rng.normal(0, 0.05 * full, 2)
    wrist = Wrist(at * scale + BORDER, (at + 0.8 * palm) * scale + BORDER, length, 1.0, up / np.linalg.norm(up))
    return rgb.astype(np.uint8), wrist


def accuracy(pictures: list[dict[str, Any]]) -> list[str]:
    """Tables of errors by size."""
    truth = np.array([p["angles"] for p in pictures])
    relaxed = np.degrees(np.abs(AT_REST - truth))
    lines = [
        f"{len(pictures)} rendered hands. Degrees off the truth, mean over fingers and joints of hands that were",
        "found: bends of the four fingers' three joints, their spread, and the thumb's angles. *relaxed* is what a",
        "hand that is not looked at gets.",
        "",
        "| hand, px | found | other side | bends: 3D points | network | mean of both | spread: 3D points | network "
        "| thumb: 3D points | network |",
        "|---" * 10 + "|",
    ]
    for size in SIZES:
        rng = np.random.default_rng(size)
        seen, sides = [], np.array([int(p["side"]) for p in pictures])
        for picture, side in zip(pictures, sides, strict=True):
            rgb, wrist = in_size(picture, float(size), rng)
            finder = HandFinder(0.0)
            hands: list[SeenHands] = []
            for k in range(2):
                hands = finder.find(rgb, k / 30, [[wrist, None] if side == 0 else [None, wrist]])
            finder.close()
            seen.append(hands[0])
        stacked, every = stack_hands(seen), np.arange(len(pictures))
        score = stacked.score[every, sides].mean(-1)
        found = score > 0
        world = stacked.world[every, sides] * np.where(sides[:, None, None] == 1, [-1, 1, 1], [1, 1, 1])
        by_points = limited(measure_angles(np.nan_to_num(world)))
        by_network = limited(np.nan_to_num(lift_hands(stacked)[0][every, sides]))
        errors = [np.degrees(np.abs(a - truth))[found] for a in (by_points, by_network, (by_points + by_network) / 2)]
        bends = [e[:, 1:, 1:].mean() for e in errors]
        spread, thumb = [e[:, 1:, 0].mean() for e in errors[:2]], [e[:, 0].mean() for e in errors[:2]]
        figures = [*bends, *spread, *thumb]
        lines.append(
            f"| {size} | {found.mean():.0%} | {(score[found] <= 0.5).mean():.0%} | "
            + " | ".join(f"{f:.1f}" for f in figures)
            + " |"
        )
    bends, spread, thumb = relaxed[:, 1:, 1:].mean(), relaxed[:, 1:, 0].mean(), relaxed[:, 0].mean()
    lines.append(f"| relaxed | | | {bends:.1f} | | | {spread:.1f} | | {thumb:.1f} | |")
    return lines


def cost(clip: Path) -> list[str]:
    """Milliseconds of the body and of the hands, on the frames of a clip, and what is found."""
    detector, vision = load_detector("mediapipe"), HandFinder(0.0)
    columns = body_columns(detector.layout)
    assert columns is not None
    network: Any = __import__("mediapipe.tasks.python.core.base_options", fromlist=["BaseOptions"])
    still = vision._vision.HandLandmarker.create_from_options(
        vision._vision.HandLandmarkerOptions(
            base_options=network.BaseOptions(model_asset_path=vision._path),
            num_hands=1,
            min_hand_detection_confidence=0.3,
        )
    )
    body, followed, anew = [], [], []
    looked = kept = found = 0
    for frame in read_frames(open_footage(clip)):
        begun = time.perf_counter()
        people = detector.detect([frame])[0]
        body.append(time.perf_counter() - begun)
        if not people:
            continue
        wanted = wrists(people[0], columns)
        begun = time.perf_counter()
        (hands,) = vision.find(frame.rgb, frame.time, [wanted])
        followed.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        for side, wrist in enumerate(wanted):
            if wrist is None or wrist.score < 0.3:
                continue
            looked += 1
            kept += hands.score[side].mean() > 0
            matrix = crop_matrix(wrist)
            crop = cut(frame.rgb, matrix)
            result = still.detect(vision._image(image_format=vision._format, data=crop))
            if result.hand_landmarks:
                at = result.hand_landmarks[0][0]
                where = np.linalg.solve(matrix[:, :2], np.array([at.x, at.y]) * len(crop) - matrix[:, 2])
                found += bool(np.linalg.norm(where - wrist.at) < 0.5 * wrist.length)
        anew.append(time.perf_counter() - begun)
    detector.close()
    vision.close()
    still.close()
    rows = [1000 * float(np.median(x)) for x in (body, followed, anew)]
    return [
        f"Time on {clip.name}, {len(body)} frames, median of a frame:",
        "",
        "| | ms a frame | hands found at the wrist, of those looked at |",
        "|---|---|---|",
        f"| the body alone | {rows[0]:.0f} | |",
        f"| both hands, followed (as it is done) | {rows[1]:.0f} | {kept} of {looked} |",
        f"| both hands, found anew in every frame | {rows[2]:.0f} | {found} of {looked} |",
    ]


if __name__ == "__main__":
    raise SystemExit(main())
