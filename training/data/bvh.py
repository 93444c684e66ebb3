"""BVH files: hierarchy, motion, forward kinematics; single, in folders, or in archives."""

from __future__ import annotations

import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton
from training.data.mocap import Y_UP_TO_Z_UP, Captured, JointMap, load_map, transfer
from training.data.recording import Item, Recording

_REMEDY = "Export the motion as BVH again"
_ROTATIONS = ("Xrotation", "Yrotation", "Zrotation")
_POSITIONS = ("Xposition", "Yposition", "Zposition")


@dataclass(frozen=True)
class BvhSource:
    """BVH files of one skeleton.

    Attributes:
        path: a .bvh file, a folder that is searched to its depths, or a .tar, .tar.xz, .tar.gz or .zip of them.
        map: name or path of a joint map (training/data/mocap.py).
        unit_m: metres in a unit of the files; the map's where it is 0.
        subject: who it is, or a regular expression with one group that finds it in the file's path.
        test, validation: subjects that are not trained on.
        most_fps: faster recordings are thinned to a whole fraction of their rate, not below this.
    """

    kind: Literal["bvh"]
    path: str
    map: str
    name: str = "bvh"
    unit_m: float = 0.0
    subject: str = "unknown"
    test: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    licence: str = "unknown"
    most_fps: float = 60.0


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


def bvh_items(source: BvhSource, base: Path, skeleton: Skeleton) -> Iterator[Item]:
    """One item a file. `base` is the folder that paths are relative to."""
    joint_map = load_map(source.map, base)
    unit = source.unit_m or joint_map.unit_m
    if not unit:
        what = f"{source.name}: how long a unit of the files is, is not said"
        raise MotionliftError(what, f"Add unit_m to the source, or to {joint_map.path} (0.01 for centimetres)")
    for inside, file in bvh_files(base / source.path):

        def recordings(inside: str = inside, file: IO[bytes] = file):
            subject = found_subject(source.subject, inside)
            split = "test" if subject in source.test else "validation" if subject in source.validation else "train"
            bvh = parse_bvh(file.read(), f"{source.path}: {inside}")
            arrays = transfer(captured_bvh(bvh, unit, joint_map, inside, source.most_fps), joint_map, skeleton)
            fps = bvh.fps / thinning(bvh.fps, source.most_fps)
            name = f"{source.name}/{inside.removesuffix('.bvh')}"
            yield Recording(
                name, source.name, subject, fps, arrays, Path(inside).stem, split=split, licence=source.licence
            )

        yield Item(f"{source.name}/{inside}", recordings)


def bvh_files(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Every BVH file of a file, a folder or an archive: its path inside, and the file, open until the next is taken.

    Nothing is unpacked onto the disk. Raises MotionliftError for what cannot be read, or holds none.
    """
    count = 0
    try:
        if path.is_dir():
            for each in sorted(p for p in path.rglob("*") if p.suffix.lower() == ".bvh"):
                with each.open("rb") as file:
                    yield each.relative_to(path).as_posix(), file
                count += 1
        elif path.suffix.lower() == ".bvh":
            with path.open("rb") as file:
                yield path.name, file
            count = 1
        elif path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in sorted(n for n in archive.namelist() if n.lower().endswith(".bvh")):
                    with archive.open(name) as file:
                        yield name, file
                    count += 1
        else:
            with tarfile.open(path, "r|*") as archive:
                for member in archive:
                    if member.isfile() and member.name.lower().endswith(".bvh"):
                        file = archive.extractfile(member)
                        assert file is not None
                        yield member.name, file
                        count += 1
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error) as error:
        raise MotionliftError(f"{path}: not an archive, or damaged ({error})", "Get the archive again") from error
    except OSError as error:
        raise MotionliftError(f"{path}: cannot be read ({error.strerror or error})", "Check the path") from error
    if not count:
        raise MotionliftError(f"{path}: no .bvh file in it", "Check the path")


def found_subject(pattern: str, path: str) -> str:
    """The subject of a file: a name as it is, or what a regular expression with one group finds in the path."""
    if "(" not in pattern:
        return pattern
    try:
        found = re.search(pattern, path)
        if found is None or not found.groups():
            raise MotionliftError(f"{path}: subject = {pattern!r} finds none in this path", "Change the expression")
    except re.error as error:
        raise MotionliftError(f"subject = {pattern!r} is no regular expression ({error})", "Change it") from error
    return str(found.group(1))


def thinning(fps: float, most: float) -> int:
    """Every how many frames are kept so that the rate comes down to `most`, if it can, and not below."""
    return max(1, int(fps / most + 0.01))


def captured_bvh(bvh: Bvh, unit: float, joint_map: JointMap, file: str, most_fps: float = np.inf) -> Captured:
    """Joints of a BVH in scene space, metres."""
    step = thinning(bvh.fps, most_fps)
    positions, turns = bvh_kinematics(bvh, step)
    ends = {n: positions[:, bvh.names.index(n)] + turns[:, bvh.names.index(n)] @ v for n, v in bvh.ends.items()}
    axes = Y_UP_TO_Z_UP if joint_map.up == "y" else np.eye(3)
    return Captured(
        file,
        bvh.fps / step,
        bvh.names,
        positions @ axes.T * unit,
        axes @ turns @ axes.T,
        {n: v @ axes.T * unit for n, v in ends.items()},
    )


def read_bvh(path: Path) -> Bvh:
    """Parse a file. Raises MotionliftError that names the file, and what is wrong in it or was expected."""
    try:
        return parse_bvh(path.read_bytes(), str(path))
    except OSError as error:
        raise MotionliftError(f"{path}: cannot be read ({error.strerror})", "Check the path") from error


def parse_bvh(data: bytes, file: str) -> Bvh:
    """Parse the content of a file; `file` names it in errors."""
    hierarchy, _, motion = data.decode("utf-8", errors="replace").partition("MOTION")
    if "HIERARCHY" not in hierarchy:
        raise MotionliftError(f"{file}: not a BVH file: HIERARCHY is missing", _REMEDY)
    names, parents, offsets, ends, channels = _parse_hierarchy(hierarchy, file)
    lines = motion.strip().splitlines()
    try:
        count, frame_time = int(lines[0].split(":")[1]), float(lines[1].split(":")[1])
        values = np.array(" ".join(lines[2:]).split(), float)
    except (IndexError, ValueError) as error:
        what = f"{file}: MOTION: expected `Frames: N`, `Frame Time: seconds` and rows of numbers ({error})"
        raise MotionliftError(what, _REMEDY) from error
    width = sum(map(len, channels))
    if not names or not width or len(values) % width or len(values) < count * width or not len(values):
        what = f"{file}: MOTION: {len(values)} numbers, expected {count} frames of {width} channels"
        raise MotionliftError(what, _REMEDY)
    if not np.isfinite(values).all() or not (np.isfinite(frame_time) and frame_time > 0):
        raise MotionliftError(f"{file}: MOTION: numbers that are not finite, or Frame Time {frame_time}", _REMEDY)
    return Bvh(names, parents, offsets, ends, channels, values.reshape(-1, width), 1 / frame_time)


def _parse_hierarchy(
    text: str, file: str
) -> tuple[
    tuple[str, ...], tuple[int, ...], NDArray[np.float64], dict[str, NDArray[np.float64]], tuple[tuple[str, ...], ...]
]:
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[tuple[str, ...]] = []
    ends: dict[str, NDArray[np.float64]] = {}
    stack: list[int] = []  # open joints; an End Site is -1
    for number, line in enumerate(text.splitlines(), 1):
        word, *rest = line.replace("{", " { ").split() or [""]
        try:
            if word in ("ROOT", "JOINT"):
                names.append(" ".join(rest).split("{")[0].strip())
                parents.append(stack[-1] if stack else -1)
                offsets.append([0.0, 0.0, 0.0])
                channels.append(())
                stack.append(len(names) - 1)
            elif word == "End":
                stack.append(-1)
            elif word == "OFFSET":
                offset = [float(v) for v in rest[:3]]
                if len(offset) != 3 or not np.isfinite(offset).all():
                    raise ValueError("three finite numbers")
                if stack[-1] < 0:
                    ends[names[stack[-2]]] = np.array(offset)
                else:
                    offsets[stack[-1]] = offset
            elif word == "CHANNELS":
                own = tuple(rest[1 : 1 + int(rest[0])])
                if len(own) != int(rest[0]) or any(c.capitalize() not in _ROTATIONS + _POSITIONS for c in own):
                    raise ValueError(f"channels of {', '.join(_POSITIONS + _ROTATIONS)}")
                channels[stack[-1]] = own
            elif word == "}":
                stack.pop()
        except (IndexError, ValueError) as error:
            what = f"{file}: line {number}, {line.strip()[:60]!r}: not a valid hierarchy (expected {error})"
            raise MotionliftError(what, _REMEDY) from error
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise MotionliftError(f"{file}: two joints are named {twice[0]!r}", "Rename one and export again")
    return tuple(names), tuple(parents), np.array(offsets), ends, tuple(channels)


def bvh_kinematics(bvh: Bvh, step: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(T, N, 3) positions in file units and (T, N, 3, 3) global rotations of every `step`-th frame, file axes."""
    motion = bvh.motion[::step]
    frames = len(motion)
    positions = np.zeros((frames, len(bvh.names), 3))
    rotations = np.zeros((frames, len(bvh.names), 3, 3))
    column = 0
    for j, (parent, offset) in enumerate(zip(bvh.parents, bvh.offsets, strict=True)):
        local, place = np.broadcast_to(np.eye(3), (frames, 3, 3)), np.broadcast_to(offset, (frames, 3)).copy()
        for name in bvh.channels[j]:
            axis = "XYZ".index(name[0].upper())
            if name.lower().endswith("rotation"):
                local = local @ _about(axis, np.radians(motion[:, column]))
            else:  # a position channel replaces the offset
                place[:, axis] = motion[:, column]
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
