"""Whether the camera moved: corners of the background, outside of the people's boxes, followed by optical flow.

Runs on small grey pictures beside detection, ten times a second, and costs next to nothing there. It does not measure
the camera's path; it tells a tripod from a hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Array = NDArray[np.float64]

SIZE = 320
"""Pixels of the longer side of the pictures that are compared."""
RATE = 10.0
"""Pictures a second that are looked at."""
CORNERS = 80
"""Corners that are followed, at most."""
FEWEST = 12
"""With fewer corners that agree, nothing is said of a picture."""
MARGIN = 0.2
"""By this part of its size a person's box is widened: hair, hands and shadows move too."""
MOVES = 0.01
"""Part of the picture's longer side by which the background has to wander for the camera to have moved.
Measured: up to 0.001 on tripods, 0.007 in an animated GIF of few colours (docs/camera.md)."""

WARNING = (
    "The camera moved (the background wanders by {:.0f} % of the picture), but is taken to stand still: feet slide, "
    "and the path is off. Track and solve the camera in the Movie Clip Editor and switch on Moving Camera, "
    "or use a tripod"
)


@dataclass(frozen=True)
class Steadiness:
    """wander: how far the background moves through the clip, as a part of the picture's longer side; seen: part of the
    pictures in which enough of a background was seen to say so."""

    wander: float
    seen: float

    @property
    def warning(self) -> str | None:
        """A sentence for the user where the camera moved."""
        return WARNING.format(100 * self.wander) if self.seen > 0.3 and self.wander > MOVES else None


class BackgroundWatch:
    """Fed frame by frame, in order; says at the end what it saw."""

    def __init__(self, fps: float) -> None:
        self._every = max(1, round(fps / RATE))
        self._count = 0
        self._reference: Image | None = None
        self._corners = np.zeros((0, 1, 2), np.float32)
        self._offset = np.zeros(8)  # how far the picture's four corners had moved when the reference was taken
        self._moved: list[Array] = []
        self._looked = 0

    def see(self, rgb: Image, people: list[NDArray[np.floating[Any]]]) -> None:
        """A frame and the (K, 2) keypoints in pixels of everybody in it, NaN where missing."""
        self._count += 1
        if (self._count - 1) % self._every:
            return
        self._looked += 1
        scale = SIZE / max(rgb.shape[:2])
        small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        mask = _background(grey, people, min(scale, 1.0))
        motion = None if self._reference is None else self._follow(grey, mask)
        if motion is None:
            # Nothing to compare with: the first picture, a cut, or the background went out of the picture.
            self._begin(grey, mask)
            return
        self._moved.append(self._offset + motion)
        if np.abs(motion).max() > 0.1 * SIZE:
            self._offset = self._offset + motion
            self._begin(grey, mask)

    def result(self) -> Steadiness:
        if not self._moved:
            return Steadiness(0.0, 0.0)
        # Two per cent of the pictures at either end may be wrong.
        low, high = np.percentile(np.stack(self._moved), [2, 98], axis=0)
        return Steadiness(float((high - low).max() / SIZE), (len(self._moved) + 1) / self._looked)

    def _begin(self, grey: Image, mask: Image) -> None:
        found = cast(Any, cv2.goodFeaturesToTrack(grey, CORNERS, 0.02, SIZE / 40, mask=mask))
        self._reference = grey
        self._corners = np.zeros((0, 1, 2), np.float32) if found is None else np.asarray(found, np.float32)

    def _follow(self, grey: Image, mask: Image) -> Array | None:
        """(8,) how far the picture's corners moved since the reference, pixels; None where too little agrees."""
        assert self._reference is not None
        if len(self._corners) < FEWEST:
            return None
        ahead, good, _ = cv2.calcOpticalFlowPyrLK(self._reference, grey, self._corners, np.zeros_like(self._corners))
        back, fine, _ = cv2.calcOpticalFlowPyrLK(grey, self._reference, ahead, np.zeros_like(ahead))
        kept = (good.ravel() == 1) & (fine.ravel() == 1)
        kept &= np.linalg.norm(back - self._corners, axis=-1).ravel() < 0.5
        at = np.clip(np.nan_to_num(ahead[:, 0]).round().astype(int), 0, np.array(grey.shape[::-1]) - 1)
        kept &= mask[at[:, 1], at[:, 0]] > 0  # somebody came in front of it
        if kept.sum() < FEWEST:
            return None
        estimate: Any = cv2.estimateAffinePartial2D
        turn, agree = estimate(self._corners[kept], ahead[kept], method=cv2.RANSAC, ransacReprojThreshold=1.0)
        if turn is None or agree.sum() < max(FEWEST, 0.4 * kept.sum()):
            return None
        h, w = grey.shape
        ends = np.array([[0, 0], [w, 0], [0, h], [w, h]], np.float64)
        return np.asarray(ends @ turn[:, :2].T + turn[:, 2] - ends, np.float64).ravel()


def _background(grey: Image, people: list[NDArray[np.floating[Any]]], scale: float) -> Image:
    """255 outside of the people's boxes."""
    mask = np.full(grey.shape, 255, np.uint8)
    for xy in people:
        xy = xy[np.isfinite(xy).all(-1)] * scale
        if len(xy):
            low, high = xy.min(0), xy.max(0)
            low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
            (x0, y0), (x1, y1) = np.maximum(low, 0).astype(int), np.maximum(high, 0).astype(int) + 1
            mask[y0:y1, x0:x1] = 0
    return mask
