"""Lenses, and the virtual camera that follows the person.

The lifter's network does not know where in the image a person stands, or through which lens. For every
frame a virtual camera is turned to look at the person, and the person's rays in it are divided by the
person's size, so that the network always sees somebody of the same size in the middle of the picture.
The turn is a homography on the normalised image, so perspective stays exact.

The virtual camera follows the person through time, smoothed, instead of standing still for a window: a
frame is then seen in the same way whichever window it is in, and long clips have no seams.

The functions down to `follow_person` take NumPy arrays and torch tensors alike: training looks through the
same virtual camera on its own device, and there is one definition of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import MotionliftError

ASSUMED_FOV = math.radians(55.0)
"""Field of view along the longer side of the image where the lens is unknown: a phone's main camera or a
webcam has 55 to 70 degrees, a camera with a normal zoom 40 to 60."""

FOLLOW_SECONDS = 0.25
"""Standard deviation of the Gaussian that smooths the virtual camera's path, seconds."""


@dataclass(frozen=True)
class Lens:
    """A pinhole lens: focal length and principal point in pixels, and where the focal length is from."""

    focal: float
    center: tuple[float, float]
    source: str  # "given", "fov", "path", "metadata", "estimated" or "assumed"

    @property
    def K(self) -> NDArray[np.float64]:  # noqa: N802 (the field's name for it)
        """(3, 3) camera matrix."""
        return np.array([[self.focal, 0, self.center[0]], [0, self.focal, self.center[1]], [0, 0, 1.0]])


def make_lens(width: int, height: int, focal: float | None = None, fov: float | None = None) -> Lens:
    """The lens of an image.

    Args:
        width, height: image size in pixels.
        focal: focal length in pixels, if known.
        fov: angle of view along the longer side in degrees, if that is known instead.
    """
    center = (width / 2, height / 2)
    if focal is not None and fov is not None:
        raise MotionliftError("Both a focal length and a field of view were given", "Give one of them")
    if focal is not None:
        if not (math.isfinite(focal) and focal > 0):
            raise MotionliftError(f"A focal length of {focal} px is not possible", "Give a positive number of pixels")
        return Lens(float(focal), center, "given")
    if fov is not None and not 1 <= fov <= 170:
        raise MotionliftError(f"A field of view of {fov} degrees is not possible", "Give 1 to 170 degrees")
    angle = ASSUMED_FOV if fov is None else math.radians(fov)
    return Lens(max(width, height) / 2 / math.tan(angle / 2), center, "assumed" if fov is None else "fov")


def project(points: NDArray[np.floating[Any]], K: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(..., 3) points in camera space, metres, to (..., 2) pixels."""
    p = points @ np.asarray(K, np.float64).T
    return p[..., :2] / p[..., 2:]


def pixels_to_rays(xy: NDArray[np.floating[Any]], lens: Lens) -> NDArray[np.float64]:
    """(..., 2) pixels to (..., 2) coordinates on the plane z = 1 of camera space."""
    return (np.asarray(xy, np.float64) - np.array(lens.center)) / lens.focal


def unzoom(xy: NDArray[np.floating[Any]], zoom: NDArray[np.floating[Any]], lens: Lens) -> NDArray[np.float64]:
    """(T, ..., 2) pixels seen with focal lengths of (T,) zoom times the lens's, as the lens would have seen them."""
    center = np.array(lens.center)
    return (np.asarray(xy, np.float64) - center) / zoom.reshape(-1, *(1,) * (xy.ndim - 1)) + center


def look_at(center: Any) -> Any:
    """The smallest rotation that turns a ray onto the optical axis.

    Args:
        center: (..., 2) point on the plane z = 1.
    Returns:
        (..., 3, 3) rotation R with R (x, y, 1) parallel to (0, 0, 1).
    """
    xp = _namespace(center)
    x, y = center[..., 0], center[..., 1]
    length = xp.sqrt(x * x + y * y + 1)
    x, y, c = x / length, y / length, 1 / length
    f = 1 / (1 + c)
    rows = [
        xp.stack([1 - x * x * f, -x * y * f, -x], -1),
        xp.stack([-x * y * f, 1 - y * y * f, -y], -1),
        xp.stack([x, y, c], -1),
    ]
    return xp.stack(rows, -2)


def turn_rays(rays: Any, rotation: Any) -> Any:
    """(..., J, 2) points on the plane z = 1, seen by a camera turned by (..., 3, 3).

    Rays that would fall behind the turned camera are held just in front of it.
    """
    xp = _namespace(rays)
    x, y, r = rays[..., 0], rays[..., 1], rotation[..., None, :, :]
    turned = [r[..., i, 0] * x + r[..., i, 1] * y + r[..., i, 2] for i in range(3)]
    depth = xp.where(turned[2] < 0.1, xp.ones_like(x) * 0.1, turned[2])
    return xp.stack([turned[0] / depth, turned[1] / depth], -1)


def smooth_path(values: Any, weights: Any, sigma: float) -> Any:
    """Gaussian smoothing along time of (..., T, C) values with (..., T) weights; sigma in frames.

    Frames of weight 0 take their neighbours' values; where no neighbour within three sigma has weight,
    the result is 0.
    """
    xp = _namespace(values)
    reach = max(1, math.ceil(3 * sigma))
    frames = values.shape[-2]
    total, norm = values * 0, weights * 0
    for shift in range(-reach, reach + 1):
        n = frames - abs(shift)
        if n <= 0:
            continue
        k = math.exp(-0.5 * (shift / sigma) ** 2)
        to, of = (slice(0, n), slice(shift, frames)) if shift >= 0 else (slice(-shift, frames), slice(0, n))
        total[..., to, :] += k * weights[..., of, None] * values[..., of, :]
        norm[..., to] += k * weights[..., of]
    return total / xp.where(norm > 0, norm, xp.ones_like(norm))[..., None]


def follow_person(rays: Any, score: Any, importance: Any, sigma: float) -> tuple[Any, Any, Any]:
    """Turn a virtual camera to the person in every frame.

    Args:
        rays: (..., T, J, 2) joints on the plane z = 1, any finite value where score is 0.
        score: (..., T, J) confidence, 0 where missing.
        importance: (J,) weight of each joint in the person's middle (hips and shoulders most).
        sigma: smoothing of the camera's path in frames.
    Returns:
        rotation (..., T, 3, 3) from camera space to the virtual camera's; (..., T, J, 2) rays there divided
        by the size, 0 where missing; (..., T) size, the tangent of the person's half-angle (twice the
        root mean square distance of the joints from their middle), smoothed likewise.
    """
    xp = _namespace(rays)
    seen = xp.where(score > 0, xp.ones_like(score), xp.zeros_like(score))
    weight = seen * importance
    count = weight.sum(-1)
    safe = xp.where(count > 0, count, xp.ones_like(count))
    middle = (rays * weight[..., None]).sum(-2) / safe[..., None]
    frame_weight = xp.where(count > 0, xp.ones_like(count), xp.zeros_like(count))
    middle = smooth_path(middle, frame_weight, sigma)
    rotation = look_at(middle)
    turned = turn_rays(rays, rotation)
    spread = ((turned * turned).sum(-1) * seen).sum(-1) / xp.where(count > 0, seen.sum(-1), xp.ones_like(count))
    size = smooth_path(2 * xp.sqrt(spread)[..., None], frame_weight, sigma)[..., 0]
    size = xp.where(size > 1e-4, size, xp.ones_like(size))
    return rotation, turned / size[..., None, None] * seen[..., None], size


def _namespace(array: Any) -> Any:
    """The module that an array's functions live in: numpy or torch."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch
