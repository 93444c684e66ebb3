"""Lift whole recordings in the published protocols' input convention: every frame once, tails included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifter.checkpoint import CONVENTION, Checkpoint
from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton
from training.data.store import Store

Array = NDArray[np.float64]

Lift = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(T, J, 3) of a recording, screen coordinates and confidence, to (T, J, 3) joints."""


def to_screen(xy: NDArray[np.floating[Any]], size: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """(..., 2) pixels to x / w * 2 - 1 and y / w * 2 - h / w, in an image of `size` w, h; 0 where missing (NaN)."""
    w, h = float(size[0]), float(size[1])
    return np.nan_to_num((np.asarray(xy, np.float64) / w * 2 - [1, h / w]).astype(np.float32))


def seen(store: Store, i: int) -> NDArray[np.float32]:
    """(T, J, 3) what recording `i` shows: screen coordinates and confidence, 1 where the file has none."""
    fields = ("keypoints", "image_size", *(("scores",) if "scores" in store.has(i) else ()))
    r = store.read(i, fields)
    xy = to_screen(r["keypoints"], r["image_size"])
    score = np.asarray(r["scores"]) if "scores" in r else np.ones(xy.shape[:2], np.float32)
    return np.concatenate([xy, score[..., None]], -1)


def lift_with(checkpoint: Checkpoint) -> Lift:
    """What a checkpoint of these conventions says, mirrored too, in windows of its own length."""
    if checkpoint.convention == CONVENTION:
        raise MotionliftError(
            f"{checkpoint.name}: trained for capturing ({checkpoint.convention}), not for this protocol",
            "Evaluate it with --protocol open",
        )

    def once(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return checkpoint.run_screen(x[None, ..., : checkpoint.channels])[0]

    return in_windows(both_sides(once, checkpoint.skeleton), checkpoint.window)


def in_windows(lift: Lift, window: int | None) -> Lift:
    """Lift a recording in windows one behind the other; the last one ends with the recording."""

    def whole(x: NDArray[np.float32]) -> NDArray[np.float32]:
        frames = len(x)
        if window is None or frames <= window:
            return lift(x)
        out = np.zeros((*x.shape[:2], 3), np.float32)
        for start in [*range(0, frames - window, window), frames - window]:
            out[start : start + window] = lift(x[start : start + window])
        return out

    return whole


def both_sides(lift: Lift, skeleton: Skeleton) -> Lift:
    """The mean of what is said of the picture and of its mirror image: the papers' flip at test time."""
    mirror = skeleton.mirror

    def mean(x: NDArray[np.float32]) -> NDArray[np.float32]:
        image = x[:, mirror].copy()
        image[..., 0] *= -1
        flipped = lift(image)[:, mirror] * np.array([-1, 1, 1], np.float32)
        return (lift(x) + flipped) / 2

    return mean


def rooted(joints: NDArray[np.floating[Any]]) -> Array:
    """(T, J, 3) relative to the first joint."""
    out = np.asarray(joints, np.float64)
    return out - out[:, :1]
