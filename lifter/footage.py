"""Frames and their true times, from a video file or an image sequence, one frame at a time.

Phones write a variable frame rate and a rotation flag: times come from the container, and frames come upright.
Memory does not grow with the length of the footage.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

# FFmpeg inside OpenCV prints its own complaints; ours name the cause. Read when OpenCV first opens a file.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2

from .errors import MotionliftError

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".exr")
SEQUENCE_FPS = 30.0
"""Assumed rate of an image sequence, which has none of its own."""


@dataclass(frozen=True)
class Footage:
    """What is known of a clip before it is decoded.

    Attributes:
        width, height: pixels, upright.
        fps: average rate, from the timestamps of the first seconds where the container has them.
        frame_count: as the container claims, which may be wrong; 0 where unknown.
        files: the images of a sequence, empty for a video.
    """

    path: Path
    width: int
    height: int
    fps: float
    frame_count: int
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One picture: its number in the file, seconds from the first frame, (H, W, 3) RGB."""

    index: int
    time: float
    rgb: NDArray[np.uint8]


def open_footage(path: str | Path, fps: float | None = None) -> Footage:
    """Look at a video file, a folder of images or a pattern such as shot/%04d.png, and decode its first frame.

    Args:
        fps: rate of an image sequence; a video has its own.
    Raises:
        MotionliftError: no such file, not a video, audio only, no frames, images that cannot be read.
    """
    path = Path(path)
    if "%" in path.name or path.is_dir():
        return _open_sequence(path, fps or SEQUENCE_FPS)
    if not path.exists():
        raise MotionliftError(f"{path}: no such file", "Check the path")
    video = _open_video(path)
    try:
        if not video.isOpened():
            raise MotionliftError(
                f"{path}: not a video that can be read: no video stream was found in it",
                "Check that it plays, and that it is not audio only; convert it to MP4 (H.264)",
            )
        times: list[float] = []
        size = None
        while len(times) < 240:
            ok, picture = video.read()
            if not ok:
                break
            size = picture.shape[:2]
            times.append(float(video.get(cv2.CAP_PROP_POS_MSEC)) / 1000)
        if size is None:
            raise MotionliftError(
                f"{path}: a video without a single frame that can be decoded",
                "Check that it plays; record or export it again",
            )
        claimed = float(video.get(cv2.CAP_PROP_FPS))
        count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    finally:
        video.release()
    return Footage(path, size[1], size[0], frame_rate(times, claimed), max(0, count))


def frame_rate(times: list[float], claimed: float) -> float:
    """The rate to sample a clip at: what the container claims where its timestamps agree, else theirs."""
    claimed = claimed if np.isfinite(claimed) and 1 <= claimed <= 1000 else 0.0
    span = times[-1] - times[0] if len(times) > 1 else 0.0
    if span <= 0:
        return claimed or SEQUENCE_FPS
    measured = (len(times) - 1) / span
    if claimed and abs(measured - claimed) < 0.02 * claimed:
        return claimed
    return float(np.clip(measured, 1, 1000))


def read_frames(footage: Footage, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
    """Decode a clip, or its part from `start` up to but without `end` (seconds).

    A frame that cannot be decoded is left out; a file cut short gives the frames that it has. Raises
    MotionliftError where the range is empty or lies behind the end.
    """
    begin = 0.0 if start is None else start
    if begin < 0 or (end is not None and end <= begin):
        raise MotionliftError(f"No frames lie between {begin} s and {end} s", "Let the start come before the end")
    last = -1.0
    found = False
    frames = _read_sequence(footage) if footage.files else _read_video(footage)
    for frame in frames:
        last = frame.time
        # Half a frame of tolerance: timestamps are rounded.
        if end is not None and frame.time > end - 0.5 / footage.fps:
            break
        if frame.time >= begin - 0.25 / footage.fps:
            found = True
            yield frame
    if not found:
        raise MotionliftError(
            f"{footage.path}: the clip is {max(last, 0):.2f} s long and has no frame at {begin} s",
            "Choose an earlier start",
        )


def _read_video(footage: Footage) -> Iterator[Frame]:
    video = _open_video(footage.path)
    try:
        index, failed, first, before = 0, 0, None, -np.inf
        while failed < 60:
            ok, picture = video.read()
            if not ok:
                # The end, or a damaged frame with whole ones behind it: the position tells.
                if index >= footage.frame_count - 1 or not video.grab():
                    return
                failed, index = failed + 1, index + 1
                continue
            time = float(video.get(cv2.CAP_PROP_POS_MSEC)) / 1000
            first = time if first is None else first
            time -= first
            if not np.isfinite(time) or time <= before:
                time = index / footage.fps if index / footage.fps > before else before + 1 / footage.fps
            before = time
            yield Frame(index, time, _rgb(picture))
            index, failed = index + 1, 0
    finally:
        video.release()


def _open_video(path: Path) -> cv2.VideoCapture:
    video = cv2.VideoCapture(str(path))
    # Some builds of OpenCV leave the rotation flag of phones alone unless asked.
    video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return video


def _rgb(picture: cv2.typing.MatLike) -> NDArray[np.uint8]:
    return cast(NDArray[np.uint8], cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def _open_sequence(path: Path, fps: float) -> Footage:
    remedy = f"Give a folder of images ({', '.join(IMAGES)}) or a pattern such as shot/%04d.png"
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGES)
    else:
        match = re.fullmatch(r"(.*)%0?(\d*)d(.*)", path.name)
        if match is None or not path.parent.is_dir():
            raise MotionliftError(f"{path}: no such image sequence", remedy)
        head, _, tail = match.groups()
        number = re.compile(re.escape(head) + r"(\d+)" + re.escape(tail))
        numbered = [(int(m[1]), p) for p in path.parent.iterdir() if (m := number.fullmatch(p.name))]
        files = [p for _, p in sorted(numbered)]
    if not files:
        raise MotionliftError(f"{path}: no images were found", remedy)
    height, width = _read_image(files[0]).shape[:2]
    return Footage(path, width, height, fps, len(files), tuple(files))


def _read_image(file: Path) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR) if file.stat().st_size else None
    if picture is None:
        raise MotionliftError(
            f"{file}: not an image that can be read", "Remove it from the sequence or export it again"
        )
    return cast(NDArray[np.uint8], picture)


def _read_sequence(footage: Footage) -> Iterator[Frame]:
    for index, file in enumerate(footage.files):
        picture = _read_image(file)
        if picture.shape[:2] != (footage.height, footage.width):
            raise MotionliftError(
                f"{file}: {picture.shape[1]} x {picture.shape[0]} pixels, not {footage.width} x {footage.height}",
                "Give a sequence of images of one size",
            )
        yield Frame(index, index / footage.fps, _rgb(picture))
