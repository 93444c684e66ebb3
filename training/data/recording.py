"""One recording, whatever file it came from: named arrays and where they are from.

Every source in this folder yields recordings, and the store keeps them. Which arrays there can be is said here, once.

    field              shape a frame   unit and space
    rotations          (B, 4)          of each bone relative to the rest pose, (w, x, y, z), scene space
    root               (3,)            path of the root joint, metres, scene space, for a person of the skeleton's size
    contacts           (C,)            1 where a foot's point touches the ground (`contact_points`)
    joints             (J, 3)          metres; scene space, or the camera's where the recording has a camera
    keypoints          (J, 2)          pixels, NaN where missing
    scores             (J,)            confidence in 0..1, 0 where missing
    valid              ()              0 where the source marks a frame as not to be scored
    image_joints       (J, 3)          pixels x and y, and z on the same scale (MotionBERT's `joint3d_image`)
    image_joints_mm    (J, 3)          millimetres (MotionBERT's `joints_2.5d_image`)
    mm_per_px          ()              from the one to the other (MotionBERT's `2.5d_factor`)

    constant           shape           for the whole recording
    up                 (3,)            the direction away from the ground, unit, in the space of `joints`
    image_size         (2,)            width and height, pixels
    intrinsics         (4,)            fx, fy, cx, cy in pixels, without the lens' distortion
    camera_pose        (3, 4)          [R | t]: x_camera = R x_world + t, metres

B bones, J joints and C contact points are the skeleton's. A recording has some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.skeleton import FEET, Skeleton

CONSTANTS: dict[str, tuple[int, ...]] = {"up": (3,), "image_size": (2,), "intrinsics": (4,), "camera_pose": (3, 4)}
MAY_BE_NAN = ("keypoints",)
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Recording:
    """One clip of one subject, seen by one camera or none.

    Attributes:
        name: unique in its store, such as "cmu_mb/05_12" or "h36m/S9/Photo 1/54138969".
        split: "train", "validation" or "test", as the source's authors or ours set it.
        licence: short name of the terms of the data.
        arrays: by field (see above), any float type.
    """

    name: str
    source: str
    subject: str
    fps: float
    arrays: Mapping[str, NDArray[Any]]
    action: str = ""
    camera: str = ""
    split: str = "train"
    licence: str = "unknown"


@dataclass(frozen=True)
class Item:
    """A piece of a source that is read whole or skipped whole: a file, or one entry of an archive.

    Attributes:
        name: unique among all items of a preparation; known without reading.
        read: the recordings in it. Raises MotionliftError that names the file, the key and what was expected.
            Valid until the next item is taken from the iterator that gave this one.
    """

    name: str
    read: Callable[[], Iterable[Recording]]


def contact_points(skeleton: Skeleton) -> tuple[str, ...]:
    """Joints whose contact with the ground is known, in the order of `contacts`."""
    return tuple(n for n in FEET if n in skeleton.joint_names)


def frame_fields(skeleton: Skeleton) -> dict[str, tuple[int, ...]]:
    """Shape of a frame of each field that recordings of a skeleton can have."""
    joints, bones, contacts = len(skeleton.joint_names), len(skeleton.bones), len(contact_points(skeleton))
    fields: dict[str, tuple[int, ...]] = {"rotations": (bones, 4), "root": (3,), "contacts": (contacts,)}
    fields |= {"joints": (joints, 3), "keypoints": (joints, 2), "scores": (joints,), "valid": ()}
    fields |= {"image_joints": (joints, 3), "image_joints_mm": (joints, 3), "mm_per_px": ()}
    return {k: v for k, v in fields.items() if 0 not in v}


def checked(recording: Recording, skeleton: Skeleton) -> tuple[int, dict[str, NDArray[np.float32]]]:
    """Number of frames, and the arrays as float32. Raises MotionliftError that names recording, field and shape."""
    remedy = "The file, or its joint map, does not fit the skeleton"
    fields, out, frames = frame_fields(skeleton), dict[str, NDArray[np.float32]](), -1
    for name, value in recording.arrays.items():
        array = np.asarray(value, np.float32)
        if name in CONSTANTS:
            shape: tuple[int, ...] = CONSTANTS[name]
        elif name in fields:
            frames = len(array) if frames < 0 and array.ndim else frames
            shape = (frames, *fields[name])
        else:
            known = ", ".join([*fields, *CONSTANTS])
            raise MotionliftError(f"{recording.name}: no field {name!r} in this skeleton's store", f"Known: {known}")
        if array.shape != shape:
            raise MotionliftError(f"{recording.name}: {name} is {array.shape}, expected {shape}", remedy)
        if name not in MAY_BE_NAN and not np.isfinite(array).all():
            raise MotionliftError(f"{recording.name}: {name} has numbers that are not finite", "Repair the file")
        out[name] = array
    if frames < 1:
        raise MotionliftError(f"{recording.name}: no frames", remedy)
    if not (np.isfinite(recording.fps) and recording.fps > 0):
        raise MotionliftError(f"{recording.name}: {recording.fps} frames a second", "Repair the file")
    if recording.split not in SPLITS:
        raise MotionliftError(f"{recording.name}: split {recording.split!r}", f"Use one of {', '.join(SPLITS)}")
    return frames, out
