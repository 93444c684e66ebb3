"""A preview video: the footage with its 2D skeleton, beside the solved one seen from the side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import MotionliftError
from .footage import open_footage, read_frames
from .take import GAP, Person, Take

LEFT, RIGHT, MIDDLE = (60, 140, 255), (255, 120, 50), (90, 200, 90)  # RGB
BACKGROUND = (38, 40, 44)


def write_preview(take: Take, path: Path, size: int = 480) -> None:
    """Write an .mp4 of the whole take; each half is `size` pixels high. Needs the footage where it was."""
    footage = open_footage(take.header["source"]["path"])
    width = round(size * footage.width / footage.height)
    scale = size / footage.height
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    writer = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*"mp4v"), take.fps, (width + size, size))
    if not writer.isOpened():
        raise MotionliftError(f"{path}: cannot be written", "Choose a folder that exists and can be written")
    try:
        for frame in read_frames(footage, take.header["source"]["start"], take.header["source"]["end"]):
            number = round(frame.time * take.fps)
            left = np.asarray(cv2.resize(frame.rgb, (width, size), interpolation=cv2.INTER_AREA), np.uint8)
            right = np.full((size, size, 3), BACKGROUND, np.uint8)
            for person in take.people:
                draw_person(left, right, take, person, number, scale)
            writer.write(cv2.cvtColor(np.hstack([left, right]), cv2.COLOR_RGB2BGR))
        writer.release()
        os.replace(part, path)
    finally:
        writer.release()
        part.unlink(missing_ok=True)


def draw_person(
    left: NDArray[np.uint8], right: NDArray[np.uint8], take: Take, person: Person, number: int, scale: float
) -> None:
    """Draw one frame of one person: reprojected onto the footage, and turned by 60 degrees beside it."""
    at = number - int(person.frames[0])
    if not draw_overlay(left, take, person, number, scale):
        return
    joints = person.joints_world[at].astype(np.float64)
    middle = joints[0] * [1, 1, 0]
    angle = np.radians(60)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    seen = (joints - middle) @ turn.T
    size = right.shape[0]
    zoom = size / 2.3
    _ground(right, turn, middle, zoom)
    _bones(
        right, np.stack([size / 2 + zoom * seen[:, 0], 0.9 * size - zoom * (seen[:, 2] - 0.25 * seen[:, 1])], -1), take
    )


def draw_overlay(picture: NDArray[np.uint8], take: Take, person: Person, number: int, scale: float) -> bool:
    """Draw one frame of one person onto its picture, `scale` times as large as the footage. False in a gap."""
    at = number - int(person.frames[0])
    if not 0 <= at < len(person.frames) or person.state[at] == GAP:
        return False
    _bones(picture, take.camera.project(person.joints_camera[at][None], np.array([number]))[0] * scale, take)
    return True


def _ground(picture: NDArray[np.uint8], turn: NDArray[np.float64], middle: NDArray[np.float64], zoom: float) -> None:
    size = picture.shape[0]
    offset = middle[:2] % 0.5
    for k in np.arange(-1, 1.01, 0.5):
        for a, b in (((k, -1.0), (k, 1.0)), ((-1.0, k), (1.0, k))):
            ends = (np.array([[*a, 0.0], [*b, 0.0]]) - [*offset, 0]) @ turn.T
            points = np.stack([size / 2 + zoom * ends[:, 0], 0.9 * size + zoom * 0.25 * ends[:, 1]], -1)
            _line(picture, points[0], points[1], (70, 74, 80), 1)


def _bones(picture: NDArray[np.uint8], xy: NDArray[np.floating[Any]], take: Take) -> None:
    width = max(1, picture.shape[0] // 160)
    for j, parent in enumerate(take.skeleton.parents):
        name = take.skeleton.joint_names[j]
        if parent >= 0 and not name.endswith(("_ear", "head_top")):
            color = LEFT if name.startswith("l_") else RIGHT if name.startswith("r_") else MIDDLE
            _line(picture, xy[parent], xy[j], color, width)


def _line(
    picture: NDArray[np.uint8], a: NDArray[Any], b: NDArray[Any], color: tuple[int, int, int], width: int
) -> None:
    if np.isfinite(a).all() and np.isfinite(b).all() and np.abs([a, b]).max() < 1e5:
        cv2.line(
            picture,
            (round(float(a[0])), round(float(a[1]))),
            (round(float(b[0])), round(float(b[1]))),
            color,
            width,
            cv2.LINE_AA,
        )
