"""Read a take for Blender: the part of docs/take-format.md that animation needs. No bpy."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass, replace
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
    rest offsets of each joint from its parent joint. unseen_hands: "l" and "r" of hands that were never seen, whose
    fingers are relaxed in all frames."""

    frames: NDArray[np.int32]
    state: NDArray[np.uint8]
    contact: NDArray[np.float32]
    joints_world: NDArray[np.float32]
    rotations: NDArray[np.float32]
    offsets: NDArray[np.float32]
    unseen_hands: str = ""


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
    names = [f for f in TakePerson.__dataclass_fields__ if f != "unseen_hands"]
    values: dict[str, Any] = {f: arrays[f"{key}/{f}"] for f in names}
    # Feet stand as they were solved, with what the user said of them; the network's word is for takes without.
    contact: NDArray[Any] = arrays.get(f"{key}/stands", arrays[f"{key}/contact"])
    values["contact"] = contact.astype(np.float32)
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
    try:
        return _with_fingers(take, header.get("hands"), arrays)
    except (KeyError, ValueError, TypeError) as error:
        raise TakeError(f"{path}: damaged: its hands ({error}). Capture the clip again.") from error


def _turned(q: NDArray[np.float32], offset: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, 3) an offset turned by (T, 4) rotations."""
    w, x, y, z = (q[:, i : i + 1] for i in range(4))
    a, b, c = (float(v) for v in offset)
    u, v, r = 2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)
    return np.concatenate([a + w * u + y * r - z * v, b + w * v + z * u - x * r, c + w * r + x * v - y * u], 1)


def _with_fingers(take: TakeFile, hands: dict[str, Any] | None, arrays: dict[str, NDArray[Any]]) -> TakeFile:
    """The take with its finger bones and joints behind those of the body. Raises KeyError, ValueError or TypeError."""
    if (
        not hands
        or "bones" not in hands
        or any(f"people/{i}/hands/rotations" not in arrays for i in range(len(take.people)))
    ):
        return take
    names = (*take.joint_names, *(str(j["name"]) for j in hands["joints"]))
    parents = (*take.joint_parents, *(names.index(j["parent"]) for j in hands["joints"]))
    bones = (*take.bones, *(TakeBone(b["name"], b["parent"], b["head"], b["tail"]) for b in hands["bones"]))
    starts = {b.head: n for n, b in enumerate(bones)}
    people: list[TakePerson] = []
    for i, person in enumerate(take.people):
        key = f"people/{i}/hands"
        turns = np.concatenate([person.rotations, arrays[f"{key}/rotations"]], 1)
        offsets = np.concatenate([person.offsets, arrays[f"{key}/offsets"]], 0)
        if turns.shape[1:] != (len(bones), 4) or offsets.shape != (len(names), 3):
            raise ValueError(f"{key} does not fit its bones")
        world = np.full((len(turns), len(names), 3), np.nan, np.float32)
        world[:, : len(take.joint_names)] = person.joints_world
        for j in range(len(take.joint_names), len(names)):
            world[:, j] = world[:, parents[j]] + _turned(turns[:, starts[names[parents[j]]]], offsets[j])
        weight = arrays[f"{key}/weight"]
        unseen = "".join(side for k, side in enumerate("lr") if not (weight[:, k] > 0).any())
        people.append(replace(person, rotations=turns, offsets=offsets, joints_world=world, unseen_hands=unseen))
    return replace(take, joint_names=names, joint_parents=parents, bones=bones, people=tuple(people))
