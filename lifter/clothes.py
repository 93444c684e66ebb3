"""What people wear, as a camera sees it: mean colours of parts of the body, by which track.py tells people apart.

Colours are CIE Lab: distances in it are about as large as differences look.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .skeleton import layout_keypoints

PARTS = ("chest", "thighs", "shins")
"""Arms are none: sleeves end anywhere on them."""
SURE = 0.3
"""Score from which a keypoint counts as in view: what is hidden shows somebody else's colour."""
FEWEST = 4
"""Samples in the picture that a part needs at least."""


class _Samples(NamedTuple):
    """S places as weights of four keypoints each; keypoints: (S, 4); weights: (S, 4); part: (S,)."""

    keypoints: NDArray[np.intp]
    weights: NDArray[np.float32]
    part: NDArray[np.intp]


def seen_colours(
    rgb: NDArray[np.uint8], xy: NDArray[np.floating[Any]], score: NDArray[np.floating[Any]], layout: str
) -> NDArray[np.float32]:
    """(PARTS, 3) Lab colours of one person's clothes, NaN where a part is not in view.

    Args:
        rgb: (H, W, 3) picture; xy: (K, 2) pixels, NaN where missing; score: (K,).
    """
    import cv2

    out = np.full((len(PARTS), 3), np.nan, np.float32)
    samples = _samples(layout)
    if not len(samples.part):
        return out
    known = np.isfinite(xy).all(-1) & (score > SURE)
    points = (np.where(known[:, None], xy, np.nan)[samples.keypoints] * samples.weights[..., None]).sum(1)
    height, width = rgb.shape[:2]
    with np.errstate(invalid="ignore"):
        inside = (points >= 0).all(-1) & (points[:, 0] < width) & (points[:, 1] < height)
    if not inside.any():
        return out
    x, y = points[inside].astype(np.intp).T
    colours = cv2.cvtColor(rgb[y, x][None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    for i in range(len(PARTS)):
        own = colours[samples.part[inside] == i]
        if len(own) >= FEWEST:
            out[i] = np.median(own, axis=0)
    return out


@lru_cache
def _samples(layout: str) -> _Samples:
    """Where to look, for a keypoint layout; nowhere for one without the limbs."""
    names = list(layout_keypoints(layout))
    corners: list[tuple[str, ...]] = []
    weights: list[tuple[float, ...]] = []
    part: list[int] = []

    def add(which: str, keypoints: tuple[str, ...], weight: tuple[float, ...]) -> None:
        if set(keypoints) <= set(names):
            corners.append(keypoints)
            weights.append(weight)
            part.append(PARTS.index(which))

    inner = (0.2, 0.4, 0.6, 0.8)
    for u in inner:
        for v in inner:
            chest = ("l_shoulder", "r_shoulder", "l_hip", "r_hip")
            add("chest", chest, ((1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v))
    for which, upper, lower in (("thighs", "hip", "knee"), ("shins", "knee", "ankle")):
        for side in ("l_", "r_"):
            for u in (0.3, 0.4, 0.5, 0.6, 0.7):
                ends = (side + upper, side + lower)
                add(which, ends + ends, (1 - u, u, 0.0, 0.0))
    index = np.array([[names.index(k) for k in four] for four in corners], np.intp).reshape(-1, 4)
    return _Samples(index, np.array(weights, np.float32).reshape(-1, 4), np.array(part, np.intp))
