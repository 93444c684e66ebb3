"""Read a BVH file: hierarchy, motion, forward kinematics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError


@dataclass(frozen=True)
class Bvh:
    """N joints, parents before children; lengths in the file's own unit.

    Attributes:
        offsets: (N, 3) rest offset from the parent.
        ends: offset of a joint's End Site, by joint name.
        channels: of each joint, such as ("Zrotation", "Xrotation", "Yrotation").
        motion: (T, channels) degrees and file units.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: NDArray[np.float64]
    ends: dict[str, NDArray[np.float64]]
    channels: tuple[tuple[str, ...], ...]
    motion: NDArray[np.float64]
    fps: float


def read_bvh(path: Path) -> Bvh:
    """Parse a file. Raises MotionliftError that names the file and what is missing in it."""
    remedy = "Export the motion as BVH again"
    try:
        hierarchy, _, motion = path.read_text(encoding="utf-8", errors="replace").partition("MOTION")
    except OSError as error:
        raise MotionliftError(f"{path}: cannot be read ({error.strerror})", "Check the path") from error
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[tuple[str, ...]] = []
    ends: dict[str, NDArray[np.float64]] = {}
    stack: list[int] = []  # open joints; an End Site is -1
    try:
        for line in hierarchy.splitlines():
            word, *rest = line.replace("{", " { ").split() or [""]
            if word in ("ROOT", "JOINT"):
                names.append(" ".join(rest).split("{")[0].strip())
                parents.append(stack[-1] if stack else -1)
                offsets.append([0.0, 0.0, 0.0])
                channels.append(())
                stack.append(len(names) - 1)
            elif word == "End":
                stack.append(-1)
            elif word == "OFFSET":
                if stack[-1] < 0:
                    ends[names[stack[-2]]] = np.array(rest[:3], float)
                else:
                    offsets[stack[-1]] = [float(v) for v in rest[:3]]
            elif word == "CHANNELS":
                channels[stack[-1]] = tuple(rest[1 : 1 + int(rest[0])])
            elif word == "}":
                stack.pop()
        lines = motion.strip().splitlines()
        frame_time = float(lines[1].split(":")[1])
        width = sum(map(len, channels))
        values = np.array(" ".join(lines[2:]).split(), float)
        values = values[: len(values) // width * width].reshape(-1, width)
    except (IndexError, ValueError, ZeroDivisionError) as error:
        raise MotionliftError(f"{path}: not a valid BVH file ({error})", remedy) from error
    if not names or not len(values) or not np.isfinite(values).all() or frame_time <= 0:
        raise MotionliftError(f"{path}: a BVH file without joints, frames or finite numbers", remedy)
    return Bvh(tuple(names), tuple(parents), np.array(offsets), ends, tuple(channels), values, 1 / frame_time)


def bvh_kinematics(bvh: Bvh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(T, N, 3) positions in file units and (T, N, 3, 3) global rotations, in the file's axes."""
    frames = len(bvh.motion)
    positions = np.zeros((frames, len(bvh.names), 3))
    rotations = np.zeros((frames, len(bvh.names), 3, 3))
    column = 0
    for j, (parent, offset) in enumerate(zip(bvh.parents, bvh.offsets, strict=True)):
        local, place = np.broadcast_to(np.eye(3), (frames, 3, 3)), np.broadcast_to(offset, (frames, 3)).copy()
        for name in bvh.channels[j]:
            axis = "XYZ".index(name[0].upper())
            if name.lower().endswith("rotation"):
                local = local @ _about(axis, np.radians(bvh.motion[:, column]))
            else:  # a position channel replaces the offset
                place[:, axis] = bvh.motion[:, column]
            column += 1
        if parent < 0:
            positions[:, j], rotations[:, j] = place, local
        else:
            positions[:, j] = positions[:, parent] + np.einsum("tij,tj->ti", rotations[:, parent], place)
            rotations[:, j] = rotations[:, parent] @ local
    return positions, rotations


def _about(axis: int, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.zeros((len(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[:, axis, axis] = 1
    out[:, i, i] = out[:, j, j] = np.cos(angle)
    out[:, j, i] = np.sin(angle)
    out[:, i, j] = -np.sin(angle)
    return out
