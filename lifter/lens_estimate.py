"""How wide the lens was, from the people in the picture: a person is lifted and solved through one lens after another.

Through the wrong lens the solved body fits the picture worse, and feet that stand do not lie in one plane, and slide.
How much each of these says was weighed on simulated and rendered clips. benchmarks/lens.md says how far the estimate is
off: it is a hint at wide lenses, and no better than assuming where the lens is ordinary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .camera import Lens, make_lens
from .skeleton import FEET, Skeleton, keypoints_to_joints
from .smooth import runs
from .take import GAP, Camera, Person

Array = NDArray[np.float64]

FOVS = (25.0, 32.0, 40.0, 47.0, 55.0, 63.0, 72.0, 82.0, 94.0)
"""Degrees along the longer side that are tried."""
SPREAD = 0.35
"""How far lenses are from the assumed one: standard deviation of the focal length's logarithm."""
WEIGHTS = 20.0, 1.0, 2.0
"""How much the logarithms of the three residuals of `residuals` count."""
SECONDS = 8.0
"""So much of a clip is looked at, from its middle."""


def estimate_lens(
    width: int, height: int, skeleton: Skeleton, layout: str, solved: Callable[[Lens], tuple[Camera, Person]]
) -> tuple[Lens, float]:
    """The lens, and how uncertain it is: the standard deviation of its focal length, as a part of it.

    Args:
        solved: a person as solved through a lens, without foot lock.
    """
    lenses = [make_lens(width, height, fov=fov) for fov in FOVS]
    found = np.array([residuals(*solved(lens), skeleton, layout) for lens in lenses], np.float64)
    focal, error = most_likely(np.array([lens.focal for lens in lenses]), found, make_lens(width, height).focal)
    return replace(lenses[0], focal=focal, source="estimated"), error


def residuals(camera: Camera, person: Person, skeleton: Skeleton, layout: str) -> tuple[float, float, float]:
    """How far the solved joints are from the keypoints, as a part of the person's size in the picture; how far points
    of the feet that stand are from one height, and how far they move while they stand, both in metres."""
    shown = person.state != GAP
    xy, _ = keypoints_to_joints(person.keypoints, person.scores, layout, skeleton)
    pixels = camera.project(np.asarray(person.joints_camera, np.float64), person.frames)
    seen: Array = pixels[shown]
    low: Array = np.min(seen, axis=1)
    high: Array = np.max(seen, axis=1)
    size = float(np.median(np.maximum(high[:, 0] - low[:, 0], high[:, 1] - low[:, 1])))
    off: Array = np.asarray(np.linalg.norm(pixels - xy, axis=-1), np.float64)[shown]
    feet = [i for i, n in enumerate(FEET) if n in skeleton.joint_names]
    points = person.joints_world[:, [skeleton.joint(FEET[i]) for i in feet]].astype(np.float64)
    stands = person.stands[:, feet] & shown[:, None]
    heights: Array = points[stands, 2]
    moved: list[float] = []
    for f in range(len(feet)):
        for start, stop in runs(stands[:, f]):
            if stop - start > 3:
                stance = points[start:stop, f]
                moved.append(float(np.linalg.norm(stance - np.median(stance, axis=0), axis=1).mean()))
    plane = float(np.median(np.abs(heights - np.median(heights)))) if len(heights) > 20 else math.nan
    return float(np.nanmedian(off) / size), plane, float(np.median(moved)) if moved else math.nan


def most_likely(focal: Array, found: Array, assumed: float) -> tuple[float, float]:
    """The mean focal length, and its relative uncertainty, of (N,) lenses with (N, 3) residuals.

    A residual that is not known of every lens says nothing. The likelihood is taken between the lenses by straight
    lines over the focal length's logarithm.
    """
    at = np.log(focal)
    cost = 0.5 * ((at - math.log(assumed)) / SPREAD) ** 2
    for weight, values in zip(WEIGHTS, found.T, strict=True):
        if np.isfinite(values).all() and (values > 0).all():
            cost = cost + weight * np.log(values)
    order = np.argsort(at)
    fine = np.asarray(np.linspace(float(at.min()), float(at.max()), 400), np.float64)
    likely: Array = np.interp(fine, at[order], cost[order])
    likely = np.exp(likely.min() - likely)
    likely /= likely.sum()
    mean = float((likely * fine).sum())
    return math.exp(mean), float(np.sqrt((likely * (fine - mean) ** 2).sum()))
