"""Read a take for Blender: the part of docs/take-format.md that animation needs. No bpy."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

VERSION = 1
GAP = 0
"""Value of `TakePerson.state` where nobody was seen; the arrays are NaN there."""


class TakeError(Exception):
    """The file is not a take that can be used; the text says why and what to do."""


@dataclass(frozen=True)
class TakeBone:
    """A bone of the take's skeleton: names of its parent bone and of the joints that it runs between."""

    name: str
    parent: str | None
    head: str
    tail: str


@dataclass(frozen=True)
class TakePerson:
    """One person: frame numbers (T,), state (T,), joints (T, J, 3) metres and rotations (T, B, 4) in the scene, (T, 4)
    probability that left heel, left toe, right heel, right toe touch the ground (1 or 0 once it is solved), and (J, 3)
    rest offsets of each joint from its parent joint."""

    frames: NDArray[np.int32]
    state: NDArray[np.uint8]
    contact: NDArray[np.float32]
    joints_world: NDArray[np.float32]
    rotations: NDArray[np.float32]
    offsets: NDArray[np.float32]


@dataclass(frozen=True)
class TakeFile:
    """What animation needs of a take. Camera: x_camera = R @ X_scene + t, pixels = K @ x_camera / depth.

    Of a camera that moves, R is (F, 3, 3), t (F, 3), camera_frames (F,) numbers of its frames, without holes, and focal
    (F,) the focal lengths where they change; else R is (3, 3), t (3,), and camera_frames and focal are None.
    """

    path: Path
    fps: float
    footage: Path | None
    image_size: tuple[int, int]
    joint_names: tuple[str, ...]
    joint_parents: tuple[int, ...]
    bones: tuple[TakeBone, ...]
    K: NDArray[np.float64]
    R: NDArray[np.float64]
    t: NDArray[np.float64]
    people: tuple[TakePerson, ...]
    camera_frames: NDArray[np.int32] | None = None
    focal: NDArray[np.float64] | None = None

    def project(self, points: NDArray[np.floating[Any]], frames: NDArray[np.int32]) -> NDArray[np.float64]:
        """(T, J, 3) points in the scene to (T, J, 2) pixels at T frame numbers; NaN behind the camera."""
        at = np.zeros(1, np.intp)
        if self.camera_frames is not None:
            at = np.clip(frames - self.camera_frames[0], 0, len(self.camera_frames) - 1)
        turn, shift = self.R.reshape(-1, 3, 3)[at], self.t.reshape(-1, 3)[at]
        focal = np.array([self.K[0, 0]]) if self.focal is None else self.focal[at]
        seen = points @ np.swapaxes(turn, -1, -2) + shift[:, None]
        depth = np.where(seen[..., 2:] > 0, seen[..., 2:], np.nan)
        return seen[..., :2] / depth * focal[:, None, None] + self.K[:2, 2]


def read_joint_names(header: str) -> tuple[str, ...]:
    """Of a take's header as it is in the file. Raises ValueError, KeyError or TypeError where it says none."""
    said = cast(dict[str, Any], json.loads(header))
    return tuple(str(j["name"]) for j in cast(list[dict[str, Any]], said["skeleton"]["joints"]))


def _person(arrays: dict[str, NDArray[Any]], key: str) -> TakePerson:
    values = {f: arrays[f"{key}/{f}"] for f in TakePerson.__dataclass_fields__}
    # Feet stand as they were solved, with what the user said of them; the network's word is for takes without.
    values["contact"] = arrays.get(f"{key}/stands", values["contact"]).astype(np.float32)
    return TakePerson(**values)


def read_take(path: Path) -> TakeFile:
    """Raises TakeError for a missing, damaged, older or newer file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {k: cast(NDArray[Any], archive[k]) for k in archive.files}
        header = cast(dict[str, Any], json.loads(str(arrays["header"])))
        version = int(header["version"])
    except FileNotFoundError as error:
        raise TakeError(f"{path}: no such take. Check the path.") from error
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        TypeError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
    ) as error:
        raise TakeError(f"{path}: damaged, or not a take ({error}). Capture the clip again.") from error
    if version != VERSION:
        remedy = "Update Motionlift" if version > VERSION else "Capture the clip again"
        raise TakeError(f"{path}: a take of version {version}; this Motionlift reads version {VERSION}. {remedy}.")
    try:
        joints = cast(list[dict[str, Any]], header["skeleton"]["joints"])
        names = tuple(str(j["name"]) for j in joints)
        bones = cast(list[dict[str, Any]], header["skeleton"]["bones"])
        source = header["source"]
        people = {k.split("/")[1] for k in arrays if k.startswith("people/")}
        take = TakeFile(
            path=path,
            fps=float(header["fps"]),
            footage=Path(source["path"]) if source["path"] else None,
            image_size=(int(source["width"]), int(source["height"])),
            joint_names=names,
            joint_parents=tuple(names.index(j["parent"]) if "parent" in j else -1 for j in joints),
            bones=tuple(TakeBone(b["name"], b.get("parent"), b["head"], b["tail"]) for b in bones),
            K=arrays["camera/K"],
            R=arrays["camera/R"],
            t=arrays["camera/t"],
            people=tuple(_person(arrays, f"people/{i}") for i in range(len(people))),
            camera_frames=arrays.get("camera/frames"),
            focal=arrays.get("camera/focal"),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise TakeError(f"{path}: damaged: {error}. Capture the clip again.") from error
    many = () if take.camera_frames is None else (take.camera_frames.size,)
    camera = {"R": (take.R, (*many, 3, 3)), "t": (take.t, (*many, 3)), "focal": (take.focal, many)}
    for name, (value, shape) in camera.items():
        if value is not None and value.shape != shape:
            raise TakeError(f"{path}: damaged: camera/{name} is not {shape}. Capture the clip again.")
    for i, person in enumerate(take.people):
        t = len(person.frames)
        expected = {
            "state": (t,),
            "contact": (t, 4),
            "joints_world": (t, len(names), 3),
            "rotations": (t, len(take.bones), 4),
            "offsets": (len(names), 3),
        }
        for name, shape in expected.items():
            if getattr(person, name).shape != shape:
                raise TakeError(f"{path}: damaged: people/{i}/{name} is not {shape}. Capture the clip again.")
    return take
