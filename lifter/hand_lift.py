"""Points of hands in a picture to bends of fingers, by the network that training/hands.py made.

MediaPipe's own guess at a hand in 3D (`SeenHands.world`) has its depth wrong by more than fingers are thick; the
network knows only how hands look from any side, and is nearer to the truth (benchmarks/hands.md).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import MotionliftError
from .hands import SeenHands

Array = NDArray[np.float64]

CHECKPOINT = Path(__file__).parent / "checkpoints" / "hands" / "hand.onnx"


def canonical(xy: NDArray[np.floating[Any]]) -> Array:
    """(N, 21, 2) points of left hands with the wrist at the origin, the knuckles above it, and a size of 1: the root
    mean square distance from the points' middle."""
    out = np.asarray(xy, np.float64) - xy[:, :1]
    up = out[:, [5, 9, 13, 17]].mean(1)
    up = up / np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-9)
    turn = np.stack([np.stack([-up[:, 1], up[:, 0]], -1), np.stack([-up[:, 0], -up[:, 1]], -1)], -2)
    size = np.sqrt(((out - out.mean(1, keepdims=True)) ** 2).sum(-1).mean(-1))
    return out @ np.swapaxes(turn, -1, -2) / np.maximum(size, 1e-9)[:, None, None]


def lift_hands(seen: SeenHands) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(T, 2, 5, 4) angles of T frames, not yet smooth, and how far off each may be, radians; NaN where no hand is seen.

    Raises MotionliftError where the checkpoint is missing or damaged.
    """
    count = len(seen.score)
    angles = np.full((count, 2, 5, 4), np.nan, np.float32)
    sigma = angles.copy()
    for side in range(2):
        xy = seen.xy[:, side].astype(np.float64)
        at = np.flatnonzero(np.isfinite(xy).all((-1, -2)) & (seen.score[:, side].mean(-1) > 0))
        if not len(at):
            continue
        points = canonical(xy[at] * ([-1, 1] if side else [1, 1])).reshape(-1, 42).astype(np.float32)
        got: list[NDArray[np.float32]] = _session().run(None, {"points": points})
        angles[at, side], sigma[at, side] = (x.reshape(-1, 5, 4) for x in got)
    return angles, sigma


@cache
def _session() -> Any:
    """On the CPU: a thousand hands take a few milliseconds."""
    onnxruntime: Any = import_module("onnxruntime")
    options: Any = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(CHECKPOINT), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of many kinds, by no common name
        raise MotionliftError(
            f"{CHECKPOINT}: cannot be loaded ({' '.join(str(error).split())})", "Install Motionlift again"
        ) from error
