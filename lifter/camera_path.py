"""A camera whose pose is known: where it was and where it looked, frame by frame, as camera tracking finds it.

docs/camera.md describes the file. A path of one pose is a camera that stands still at a known place.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import MotionliftError
from .rotation import continuous, matrix_to_quat, normalize, quat_to_matrix

Array = NDArray[np.float64]

REMEDY = "Export the camera again; docs/camera.md describes the file"
LARGEST = 200_000_000
"""Bytes of a file that is still read: more than a million frames."""


@dataclass(frozen=True)
class CameraPath:
    """N poses of a camera in a world with Z up: x_camera = rotation @ X + translation, x right, y down, z forward.

    Attributes:
        rotation: (N, 3, 3); translation: (N, 3).
        focal: (N,) focal lengths in pixels of the footage, or None where the lens is not known.
        frames: (N,) numbers of the footage's frames, the first is 0, rising; or None where `times` says when.
        times: (N,) seconds from the footage's first frame, rising; or None. Neither: a pose a frame from the first on.
        metric: the translation is in metres. Else, as after camera tracking, its unit is not known and is solved.
    """

    rotation: Array
    translation: Array
    focal: Array | None = None
    frames: Array | None = None
    times: Array | None = None
    metric: bool = False

    def seconds(self, fps: float) -> Array:
        """(N,) when the poses are, of footage with an even rate."""
        if self.times is not None:
            return self.times
        return (np.arange(len(self.rotation)) if self.frames is None else self.frames) / fps


def make_camera_path(
    rotation: ArrayLike,
    translation: ArrayLike,
    *,
    focal: ArrayLike | None = None,
    frames: ArrayLike | None = None,
    times: ArrayLike | None = None,
    metric: bool = False,
    name: str = "The camera path",
) -> CameraPath:
    """A checked path; see `CameraPath`. One focal length may stand for all frames.

    Raises MotionliftError for wrong shapes, numbers that are not finite and rotations that are none.
    """
    r, t = _numbers(rotation, "rotation", name), _numbers(translation, "translation", name)
    r, t = (r[None] if r.ndim == 2 else r), (t[None] if t.ndim == 1 else t)
    n = len(r)
    if r.shape != (n, 3, 3) or not n:
        raise MotionliftError(f"{name}: rotation is {r.shape}, not (frames, 3, 3)", REMEDY)
    if t.shape != (n, 3):
        raise MotionliftError(f"{name}: translation is {t.shape}, but there are {n} rotations", REMEDY)
    off = np.abs(r @ np.swapaxes(r, 1, 2) - np.eye(3)).max((1, 2))
    if off.max() > 1e-3 or (np.linalg.det(r) < 0).any():
        worst = int(off.argmax() if off.max() > 1e-3 else np.linalg.det(r).argmin())
        raise MotionliftError(f"{name}: the matrix of pose {worst} is not a rotation", "Take scale and mirroring out")
    lens = None
    if focal is not None:
        lens = _numbers(focal, "focal", name)
        lens = np.full(n, lens) if lens.ndim == 0 else np.repeat(lens, n) if lens.shape == (1,) else lens
        if lens.shape != (n,) or (lens <= 0).any():
            raise MotionliftError(
                f"{name}: focal is not one positive number of pixels, nor one for each of {n} frames", REMEDY
            )
    if frames is not None and times is not None:
        raise MotionliftError(f"{name} has both frames and times", "Give one of them")
    when = {"frames": frames, "times": times}
    for key, values in when.items():
        if values is None:
            continue
        array = np.atleast_1d(_numbers(values, key, name))
        if array.shape != (n,) or (np.diff(array) <= 0).any():
            raise MotionliftError(f"{name}: {key} are not {n} rising numbers", REMEDY)
        when[key] = array
    return CameraPath(r, t, lens, cast(Array, when["frames"]), cast(Array, when["times"]), bool(metric))


def read_camera_path(source: CameraPath | str | Path | Mapping[str, Any]) -> CameraPath:
    """A path from a .npz or .json file, or from what such a JSON file holds. Raises MotionliftError."""
    if isinstance(source, CameraPath):
        return source
    if isinstance(source, Mapping):
        return _from_fields(source, "The camera path")
    path = Path(source)
    try:
        if path.stat().st_size > LARGEST:
            raise MotionliftError(f"{path}: too large for a camera path", REMEDY)
        if path.suffix.lower() == ".json":
            found: Any = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise MotionliftError(f"{path}: not a JSON object", REMEDY)
            return _from_fields(cast(dict[str, Any], found), str(path))
        with np.load(path, allow_pickle=False) as archive:
            return _from_fields({k: archive[k] for k in archive.files}, str(path))
    except FileNotFoundError as error:
        raise MotionliftError(f"{path}: no such camera path", "Check the path") from error
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise MotionliftError(f"{path}: damaged, or not a camera path ({error})", REMEDY) from error


def _from_fields(fields: Mapping[str, Any], name: str) -> CameraPath:
    known = ("rotation", "translation", "focal", "frames", "times", "metric")
    for key in ("rotation", "translation"):
        if key not in fields:
            raise MotionliftError(
                f"{name} has no {key!r}", f"It needs rotation and translation, and may have {known[2:]}"
            )
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise MotionliftError(f"{name} has {', '.join(map(repr, unknown))}", f"Known: {', '.join(known)}")
    given = {k: v for k, v in fields.items() if k not in ("rotation", "translation", "metric") and v is not None}
    metric = np.asarray(fields.get("metric", False))
    if metric.dtype != bool or metric.ndim:
        raise MotionliftError(f"{name}: metric is neither true nor false", "Say whether translations are in metres")
    return make_camera_path(fields["rotation"], fields["translation"], **given, metric=bool(metric), name=name)


def _numbers(values: Any, key: str, name: str) -> Array:
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise MotionliftError(f"{name}: {key} is not made of numbers", REMEDY) from error
    if not np.isfinite(array).all():
        raise MotionliftError(f"{name}: {key} has numbers that are not finite", REMEDY)
    return array


def put_in_time(path: CameraPath, indices: ArrayLike, seconds: ArrayLike) -> CameraPath:
    """The path with `times`, for frames of the footage that came at these seconds: phones write a variable rate."""
    if path.times is not None:
        return path
    at, when = np.asarray(indices, np.float64), np.asarray(seconds, np.float64)
    frames = np.arange(len(path.rotation)) if path.frames is None else path.frames
    step = (when[-1] - when[0]) / (at[-1] - at[0]) if len(at) > 1 else 1 / 30
    outside = np.where(frames < at[0], frames - at[0], np.maximum(frames - at[-1], 0)) * step
    return replace(path, frames=None, times=np.interp(frames, at, when) + outside)


@dataclass(frozen=True)
class Poses:
    """A path at T frames: rotation (T, 3, 3), translation (T, 3), focal (T,) or None, and known (T,): whether the
    path reaches there. Elsewhere the nearest pose stands in."""

    rotation: Array
    translation: Array
    focal: Array | None
    known: NDArray[np.bool_]


def poses_at(path: CameraPath, frames: NDArray[np.integer[Any]], fps: float) -> Poses:
    """The path at frames of a take: between two poses by the shortest turn and along a straight line."""
    when, own = np.asarray(frames, np.float64) / fps, path.seconds(fps)
    if len(own) == 1:
        one = len(when)
        focal = None if path.focal is None else np.repeat(path.focal, one)
        return Poses(np.repeat(path.rotation, one, 0), np.repeat(path.translation, one, 0), focal, np.ones(one, bool))
    known = (when >= own[0] - 0.5 / fps) & (when <= own[-1] + 0.5 / fps)
    inside = np.clip(when, own[0], own[-1])
    rotation = _turns_between(path.rotation, own, inside)
    # The camera's place, not its translation, moves along the line: a turn must not swing it about.
    places = camera_places(path.rotation, path.translation)
    place = np.stack([np.interp(inside, own, places[:, i]) for i in range(3)], -1)
    focal = None if path.focal is None else np.interp(inside, own, path.focal)
    return Poses(rotation, -(rotation @ place[..., None])[..., 0], focal, known)


def _sinc(x: Array) -> Array:
    """sin(x) / x, 1 at 0."""
    return np.where(np.abs(x) < 1e-8, 1.0, np.sin(x) / np.where(x == 0, 1.0, x))


def _turns_between(rotation: Array, own: Array, when: Array) -> Array:
    """(T, 3, 3) rotations between (N, 3, 3), along the shortest turn (Shoemake's slerp)."""
    q = continuous(matrix_to_quat(rotation))
    low = np.clip(np.searchsorted(own, when, side="right") - 1, 0, len(own) - 2)
    share = (when - own[low]) / (own[low + 1] - own[low])
    angle = np.arccos(np.clip((q[low] * q[low + 1]).sum(-1), -1.0, 1.0))
    # Of a very small angle the sines are as the angles.
    before = (1 - share) * _sinc((1 - share) * angle) / _sinc(angle)
    after = share * _sinc(share * angle) / _sinc(angle)
    return quat_to_matrix(normalize(before[:, None] * q[low] + after[:, None] * q[low + 1]))


def camera_places(rotation: Array, translation: Array) -> Array:
    """(T, 3) where in the world cameras are."""
    return -(np.swapaxes(rotation, -1, -2) @ translation[..., None])[..., 0]
