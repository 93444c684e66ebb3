"""Small pictures of a take's footage: the strip of a contact sheet, the frames of a report."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import MotionliftError
from .footage import open_footage, read_frames
from .preview import draw_overlay
from .take import GAP, Take

STRIP_PICTURES = 6
STRIP_SIZE = 120, 150
"""Width and height of each, in pixels."""


def frames_at(take: Take, numbers: Sequence[int], height: int) -> Iterator[tuple[int, float, NDArray[np.uint8]]]:
    """(number, scale, (H, W, 3) RGB) of frames of the take's footage, at most `height` pixels high, in order.

    numbers: on the take's time base. For one that the footage lacks, the next picture stands; past its end, none.
    scale: of the picture to the footage. Raises MotionliftError where the footage is gone or cannot be read.
    """
    source = take.header["source"]
    if source["path"] is None:
        raise MotionliftError("The take was made from keypoints: it has no footage", "Capture a video for pictures")
    footage = open_footage(source["path"])
    waiting = sorted(set(numbers), reverse=True)
    for frame in read_frames(footage, source["start"], source["end"]):
        if not waiting:
            return
        if round(frame.time * take.fps) < waiting[-1]:
            continue
        scale = min(1.0, height / footage.height)
        size = (max(1, round(scale * footage.width)), max(1, round(scale * footage.height)))
        picture = cast(NDArray[np.uint8], cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA))
        while waiting and waiting[-1] <= round(frame.time * take.fps):
            yield waiting.pop(), scale, picture


def jpeg(picture: NDArray[np.uint8], quality: int = 80) -> bytes:
    """An (H, W, 3) RGB picture as a JPEG file."""
    good, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert good
    return data.tobytes()


def write_strip(take: Take, path: Path, count: int = STRIP_PICTURES) -> None:
    """A JPEG of `count` frames side by side, spread over those in which somebody is seen, with the solved skeletons.

    Each is cut to the people in it. Raises MotionliftError where the footage is gone or the file cannot be written;
    nothing is half-written.
    """
    seen = np.unique(np.concatenate([p.frames[p.state != GAP] for p in take.people]))
    # In the middle of `count` equal parts: the very first and last frames show little.
    numbers = seen[((np.arange(count) + 0.5) / count * len(seen)).astype(int)].tolist()
    width, height = STRIP_SIZE
    pictures: list[NDArray[np.uint8]] = []
    for number, scale, picture in frames_at(take, numbers, 4 * height):
        drawn = picture.copy()
        for person in take.people:
            draw_overlay(drawn, take, person, number, scale)
        cut = _around_people(drawn, take, number, scale)
        pictures.append(cast(NDArray[np.uint8], cv2.resize(cut, STRIP_SIZE, interpolation=cv2.INTER_AREA)))
    row = [*pictures, *[np.zeros((height, width, 3), np.uint8)] * (count - len(pictures))]
    if not pictures:
        raise MotionliftError(f"{take.header['source']['path']}: no frame can be read any more", "Put the footage back")
    write_beside(path, jpeg(np.hstack(row)), "Choose another folder")


def write_beside(path: Path, data: bytes, remedy: str) -> None:
    """Write a file that is whole under its name or not there. Raises MotionliftError with the remedy."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise MotionliftError(f"{path}: cannot be written ({error.strerror or error})", remedy) from error
    finally:
        part.unlink(missing_ok=True)


def _around_people(picture: NDArray[np.uint8], take: Take, number: int, scale: float) -> NDArray[np.uint8]:
    """The part of a frame's picture that its people are in, in the strip's proportions where there is room for that."""
    points: list[NDArray[np.floating[Any]]] = []
    for person in take.people:
        at = number - int(person.frames[0])
        if 0 <= at < len(person.frames) and person.state[at] != GAP:
            points.append(take.camera.project(person.joints_camera[at][None], np.array([number]))[0] * scale)
    size = np.array(picture.shape[1::-1], np.float64)
    every = np.clip(np.concatenate(points), 0, size) if points else np.stack([size * 0, size])
    low, high = every.min(0), every.max(0)
    shape = np.array(STRIP_SIZE, np.float64)
    wanted = shape * np.max((high - low) * 1.35 / shape)
    wanted = np.clip(wanted, 16, size)
    corner = np.clip((low + high - wanted) / 2, 0, size - wanted)
    (x0, y0), (x1, y1) = corner.astype(int), (corner + wanted).astype(int)
    return picture[y0:y1, x0:x1]
