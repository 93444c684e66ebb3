"""The take: all that a capture knows, in one versioned .npz file without pickle.

docs/take-format.md gives every key with shape and unit. A take holds the arrays of every stage, so that
smoothing and solving can be redone without the video.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .camera_path import CameraPath, read_camera_path
from .errors import MotionliftError
from .hands import Hands
from .skeleton import Skeleton, layout_keypoints, skeleton_from_dict

VERSION = 1
GAP, SEEN, FILLED = 0, 1, 2
"""Values of `Person.state`: nobody seen, seen, and a short gap that was filled."""


@dataclass(frozen=True)
class Camera:
    """The camera in the scene: x_camera = R @ X_scene + t, pixels = K @ x_camera / depth.

    Attributes:
        K: (3, 3). R, t: (3, 3) and (3,) of one that stands still; of one that moves (F, 3, 3) and (F, 3).
        frames: (F,) frame numbers of the poses, without holes; None where the camera stands still.
        focal: (F,) focal lengths in pixels, in place of that of K; None where it does not change.
        given: the path that was given to the capture, before it got its size and its place over the floor.
    """

    K: NDArray[np.float64]
    R: NDArray[np.float64]
    t: NDArray[np.float64]
    frames: NDArray[np.int32] | None = None
    focal: NDArray[np.float64] | None = None
    given: CameraPath | None = None

    def see(self, points: NDArray[np.floating[Any]], frames: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """(T, J, 3) points in the scene to camera space, at T frame numbers."""
        if self.frames is None:
            return points @ self.R.T + self.t
        at = self._at(frames)
        return points @ np.swapaxes(self.R[at], -1, -2) + self.t[at][:, None]

    def project(self, points: NDArray[np.floating[Any]], frames: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """(T, J, 3) points in camera space to (T, J, 2) pixels, at T frame numbers."""
        p = points[..., :2] / points[..., 2:]
        focal = np.full(len(p), self.K[0, 0]) if self.focal is None else self.focal[self._at(frames)]
        return p * focal[:, None, None] + self.K[:2, 2]

    def _at(self, frames: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
        assert self.frames is not None
        return np.clip(np.asarray(frames) - self.frames[0], 0, len(self.frames) - 1).astype(np.intp)


@dataclass(frozen=True)
class Person:
    """One person through T frames of the take, without holes in the frame numbers.

    Attributes:
        frames: (T,) numbers on the take's own even time base, the first of the footage is 0.
        times: (T,) seconds from the start of the footage.
        state: (T,) GAP, SEEN or FILLED. Every solved array is NaN in a gap.
        swapped: (T,) where left and right were exchanged in the detections and put right.
        keypoints, scores: (T, K, 2) pixels and (T, K), in the detector's layout, left-right repaired.
        lifted: (T, J, 3) joints relative to the root as the network gave them, metres, camera axes, for a
            person of the skeleton's height.
        sigma: (T, J) expected error of these, metres.
        contact: (T, 4) probability that l_heel, l_toe, r_heel, r_toe touch the ground.
        down: (T, 3) direction of gravity, camera axes.
        joints_camera, joints_world: (T, J, 3) solved joints, metres.
        rotations: (T, B, 4) solved rotation of each bone relative to the rest pose, scene space, (w, x, y, z).
        offsets: (J, 3) rest offset of each joint from its parent, in the performer's proportions, metres.
        stands: (T, 4) which of these heels and toes were solved as standing.
        outlier: (T, J) lifted joints that were taken for wrong and replaced.
        hands: of the T frames, where they were looked for; else None.
    """

    frames: NDArray[np.int32]
    times: NDArray[np.float64]
    state: NDArray[np.uint8]
    swapped: NDArray[np.bool_]
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    lifted: NDArray[np.float32]
    sigma: NDArray[np.float32]
    contact: NDArray[np.float32]
    down: NDArray[np.float32]
    joints_camera: NDArray[np.float32]
    joints_world: NDArray[np.float32]
    rotations: NDArray[np.float32]
    offsets: NDArray[np.float32]
    stands: NDArray[np.bool_]
    outlier: NDArray[np.bool_]
    hands: Hands | None = None


@dataclass(frozen=True)
class Take:
    """People, the camera that saw them, and the header: everything else, as plain JSON data."""

    header: dict[str, Any]
    camera: Camera
    people: tuple[Person, ...]
    path: Path | None = field(default=None, compare=False)

    @cached_property
    def skeleton(self) -> Skeleton:
        return skeleton_from_dict(self.header["skeleton"], "the take's skeleton")

    @property
    def fps(self) -> float:
        """The take's own even sample rate."""
        return float(self.header["fps"])

    @property
    def layout(self) -> str:
        """Name of the keypoint layout of `Person.keypoints`."""
        return str(self.header["detector"]["layout"])


_HEADER_KEYS = ("version", "fps", "source", "lens", "detector", "checkpoint", "skeleton", "settings")


def save_take(take: Take, path: str | Path) -> Path:
    """Write a take under a temporary name and rename it: a killed process leaves nothing half-written."""
    path = Path(path)
    arrays: dict[str, Any] = {"header": np.array(json.dumps(take.header))}
    arrays |= _camera_arrays(take.camera)
    for i, person in enumerate(take.people):
        arrays |= {f"people/{i}/{f.name}": getattr(person, f.name) for f in fields(Person) if f.name != "hands"}
        if person.hands is not None:
            arrays |= {f"people/{i}/hands/{f.name}": getattr(person.hands, f.name) for f in fields(Hands)}
    name = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            name = file.name
            np.savez_compressed(file, **arrays)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except OSError as error:
        raise MotionliftError(
            f"{path}: cannot be written ({error.strerror or error})",
            "Choose a folder that exists, can be written and has room",
        ) from error
    finally:
        if name is not None and os.path.exists(name):
            os.unlink(name)
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load_take(path: str | Path) -> Take:
    """Read and check a take. Raises MotionliftError for a missing, damaged, older or newer file."""
    path = Path(path)
    again = "Capture the clip again"
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {k: archive[k] for k in archive.files}
    except FileNotFoundError as error:
        raise MotionliftError(f"{path}: no such take", "Check the path") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise MotionliftError(f"{path}: damaged, or not a take ({error})", again) from error
    try:
        header = cast(dict[str, Any], json.loads(str(arrays["header"])))
        version = int(header["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise MotionliftError(f"{path}: not a take: it has no header", again) from error
    if version != VERSION:
        newer = version > VERSION
        raise MotionliftError(
            f"{path}: a take of version {version}; this Motionlift reads version {VERSION}",
            "Update Motionlift" if newer else again,
        )
    missing = [k for k in _HEADER_KEYS if k not in header]
    if missing:
        raise MotionliftError(f"{path}: damaged: the header lacks {', '.join(missing)}", again)
    take = Take(header, _camera(arrays, path), (), path)
    count = len({k.split("/")[1] for k in arrays if k.startswith("people/")})
    return Take(header, take.camera, tuple(_person(arrays, i, take, path) for i in range(count)), path)


def _camera_arrays(camera: Camera) -> dict[str, Any]:
    out: dict[str, Any] = {f"camera/{k}": getattr(camera, k) for k in ("K", "R", "t", "frames", "focal")}
    if camera.given is not None:
        out |= {f"camera/given/{f.name}": getattr(camera.given, f.name) for f in fields(CameraPath)}
    return {k: v for k, v in out.items() if v is not None}


def _camera(arrays: dict[str, Any], path: Path) -> Camera:
    frames = arrays.get("camera/frames")
    many = () if frames is None else (frames.size,)
    shapes = {"K": (3, 3), "R": (*many, 3, 3), "t": (*many, 3)}
    if "camera/focal" in arrays:
        shapes["focal"] = many or (1,)
    for k, shape in shapes.items():
        value = arrays.get(f"camera/{k}")
        if value is None or value.shape != shape or value.dtype.kind != "f" or not np.isfinite(value).all():
            raise MotionliftError(
                f"{path}: damaged: camera/{k} is not {shape} finite numbers", "Capture the clip again"
            )
    if frames is not None and (frames.ndim != 1 or frames.dtype.kind != "i" or (np.diff(frames) != 1).any()):
        raise MotionliftError(f"{path}: damaged: camera/frames are not frame numbers", "Capture the clip again")
    given = {k.removeprefix("camera/given/"): v for k, v in arrays.items() if k.startswith("camera/given/")}
    found = {k: arrays[f"camera/{k}"] for k in shapes}
    return Camera(**found, frames=frames, given=read_camera_path(given) if given else None)


def _person(arrays: dict[str, Any], index: int, take: Take, path: Path) -> Person:
    again = "Capture the clip again"
    j, b = len(take.skeleton.joint_names), len(take.skeleton.bones)
    k = len(layout_keypoints(take.layout))
    frames = arrays.get(f"people/{index}/frames")
    t = -1 if frames is None else len(frames)
    shapes: dict[str, tuple[tuple[int, ...], str]] = {
        "frames": ((t,), "i"),
        "times": ((t,), "f"),
        "state": ((t,), "u"),
        "swapped": ((t,), "b"),
        "keypoints": ((t, k, 2), "f"),
        "scores": ((t, k), "f"),
        "lifted": ((t, j, 3), "f"),
        "sigma": ((t, j), "f"),
        "contact": ((t, 4), "f"),
        "down": ((t, 3), "f"),
        "joints_camera": ((t, j, 3), "f"),
        "joints_world": ((t, j, 3), "f"),
        "rotations": ((t, b, 4), "f"),
        "offsets": ((j, 3), "f"),
        "stands": ((t, 4), "b"),
        "outlier": ((t, j), "b"),
    }
    values: dict[str, Any] = {}
    for name, (shape, kind) in shapes.items():
        value = arrays.get(f"people/{index}/{name}")
        if value is None:
            raise MotionliftError(f"{path}: damaged: people/{index}/{name} is missing", again)
        if value.shape != shape or value.dtype.kind != kind:
            raise MotionliftError(
                f"{path}: damaged: people/{index}/{name} is {value.shape} {value.dtype}, expected {shape}", again
            )
        values[name] = value
    shown = values["state"] != GAP
    for name in ("joints_camera", "joints_world", "rotations"):
        if not np.isfinite(values[name][shown]).all():
            raise MotionliftError(
                f"{path}: damaged: people/{index}/{name} is not finite where somebody was seen", again
            )
    return Person(**values, hands=_hands(arrays, index, t, path))


def _hands(arrays: dict[str, Any], index: int, t: int, path: Path) -> Hands | None:
    key = f"people/{index}/hands"
    if f"{key}/scores" not in arrays:
        return None
    shapes = {
        "keypoints": (t, 2, 21, 2),
        "scores": (t, 2, 21),
        "world": (t, 2, 21, 3),
        "size": (t, 2),
        "lifted": (t, 2, 5, 4),
        "sigma": (t, 2, 5, 4),
        "angles": (t, 2, 5, 4),
        "weight": (t, 2),
        "rotations": (t, 30, 4),
        "offsets": (40, 3),
    }
    for name, shape in shapes.items():
        value = arrays.get(f"{key}/{name}")
        if value is None or value.shape != shape or value.dtype.kind != "f":
            raise MotionliftError(f"{path}: damaged: {key}/{name} is not {shape} numbers", "Capture the clip again")
    return Hands(**{name: arrays[f"{key}/{name}"] for name in shapes})
