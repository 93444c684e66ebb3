"""Frames and their true times, from a video file or an image sequence, one frame at a time.

Phones write a variable frame rate and a rotation flag: times come from the container, and frames come upright.
Memory does not grow with the length of the footage.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

# OpenCV and the FFmpeg inside it print complaints of their own; ours name the cause. There is no other way to
# tell them, and whoever sets these variables to see the complaints keeps that. Read when cv2 is imported and
# when it first opens a video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2

from .errors import MotionliftError

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
SEQUENCE_FPS = 30.0
"""Assumed rate of an image sequence, which has none of its own."""
PROBED_FRAMES, FEWEST_PROBED = 120, 30
"""So many frames are decoded to learn the rate; the fewer ones where all come as the container claims."""
TOLERANCE = 0.001
"""Containers round their times, in seconds, to this."""
LONGEST_PAUSE = 60.0
"""No camera pauses for longer, in seconds, within a clip: its timestamps are wrong."""
MOST_FAILURES = 1000
"""So many frames in a row that cannot be decoded are the end. Past the real end, asking takes no time."""

Image = NDArray[np.uint8]
_Entry = tuple[int, float, Callable[[], Image | None]]
"""A frame before it is converted: index, seconds, and how to get its BGR picture, None where it is damaged."""


@dataclass(frozen=True)
class Footage:
    """What is known of a clip before it is decoded.

    Attributes:
        width, height: pixels, upright.
        fps: average rate, from the timestamps of the first frames where the container has them.
        frame_count: as the container claims, which may be wrong; 0 where unknown.
        files: the images of a sequence, in order; empty for a video.
    """

    path: Path
    width: int
    height: int
    fps: float
    frame_count: int
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One picture.

    Attributes:
        index: number of the frame in the footage, from 0; of a numbered sequence, that after the first number.
        time: seconds from the first frame of the footage.
        rgb: (H, W, 3) upright.
    """

    index: int
    time: float
    rgb: Image


def open_footage(path: str | Path, fps: float | None = None) -> Footage:
    """Look at a video file, a folder of images or a pattern such as shot/%04d.png, and decode its first frame.

    Args:
        fps: rate of an image sequence, 30 if not given; a video has its own.
    Raises:
        MotionliftError: no such file, not a video, audio only, no frames, images that cannot be read.
    """
    path = Path(path)
    if fps is not None and not 0 < fps <= 1000:
        raise MotionliftError(f"A frame rate of {fps} is not possible", "Give frames per second")
    if path.is_dir() or ("%" in path.name and not path.exists()):
        return _open_sequence(path, fps or SEQUENCE_FPS)
    _check_file(path)
    video = _open_video(path)
    try:
        if not video.isOpened():
            raise _not_a_video(path)
        shape, times = None, list[float]()
        claimed_fps, claimed_count = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
        while len(times) < PROBED_FRAMES and _grab(video):
            times.append(_stamp(video))
            if shape is None:
                good, picture = video.retrieve()
                shape = picture.shape if good else None
            if len(times) == FEWEST_PROBED and shape is not None and _as_claimed(times, claimed_fps):
                break
    finally:
        video.release()
    if shape is None:
        raise MotionliftError(
            f"{path}: a video without a single frame that can be decoded",
            "Check that it plays; record or export it again",
        )
    # A count of fewer frames than were seen is no count.
    count = int(claimed_count) if len(times) <= claimed_count < 1e9 else 0
    return Footage(path, shape[1], shape[0], frame_rate(times, claimed_fps), count)


def read_frames(footage: Footage, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
    """Decode a clip, or its part from `start` up to but without `end` (seconds).

    A frame that cannot be decoded is left out; a file cut short gives the frames that it has. What lies before
    `start` is decoded too, so that times and frames are exact, but is not converted. Raises MotionliftError
    where the range is empty, at once, or lies behind the end, when that is reached.
    """
    begin, stop = start or 0.0, math.inf if end is None else end
    if not 0 <= begin < stop:
        what = f"begins at {begin:g} s" if end is None else f"runs from {begin:g} s to {end:g} s"
        raise MotionliftError(f"No frames lie in a range that {what}", "Let it start at 0 or later, and end after that")
    return _frames_between(footage, begin, stop)


def frame_rate(times: list[float], claimed: float) -> float:
    """The average rate of frames: what the container claims where its timestamps agree, else theirs.

    Args:
        times: seconds, as the container has them; zero or falling where it has none.
        claimed: frames per second; 0, NaN or absurd where the container does not know.
    """
    claimed = claimed if math.isfinite(claimed) and 1 <= claimed <= 1000 else 0.0
    steps = np.diff(times)
    if not len(steps) or (steps <= 0).any() or (steps > LONGEST_PAUSE).any():
        return claimed or SEQUENCE_FPS
    # The median is right where frames are missing, the mean where the rate varies.
    if claimed and any(abs(step * claimed - 1) < 0.02 for step in (float(np.median(steps)), float(steps.mean()))):
        return claimed
    return float(np.clip(1 / steps.mean(), 1, 1000))


def _as_claimed(times: list[float], claimed: float) -> bool:
    """Whether every frame comes when it should by the container's rate."""
    return bool((np.abs(np.diff(times) * claimed - 1) < 0.02).all())


def next_time(stamp: float, before: float, fps: float) -> float:
    """Time of a frame from its timestamp, or one frame after `before` where that is not believable (seconds)."""
    return stamp if before < stamp <= before + LONGEST_PAUSE else before + 1 / fps


def _frames_between(footage: Footage, begin: float, stop: float) -> Iterator[Frame]:
    last, found = 0.0, False
    entries = _sequence_entries(footage) if footage.files else _video_entries(footage)
    with closing(entries):
        for index, time, picture_of in entries:
            last = time
            if time >= stop - TOLERANCE:
                break
            if time < begin - TOLERANCE:
                continue
            picture = picture_of()
            if picture is None:
                continue
            found = True
            yield Frame(index, time, cast(Image, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)))
    if not found:
        where = f"from {begin:g} s on" if math.isinf(stop) else f"between {begin:g} s and {stop:g} s"
        length = "" if last >= stop - TOLERANCE else f": the clip is {last + 1 / footage.fps:.2f} s long"
        raise MotionliftError(f"{footage.path} has no frame {where}{length}", "Choose another range")


def _of_one_size(picture: Image, footage: Footage, name: str) -> Image:
    if picture.shape[:2] != (footage.height, footage.width):
        raise MotionliftError(
            f"{name} has {picture.shape[1]} x {picture.shape[0]} pixels, "
            f"the first picture has {footage.width} x {footage.height}",
            "Give footage of one size",
        )
    return picture


# Video files


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise MotionliftError(f"{path}: not a video: the file is empty", "Copy or record it again")
    except FileNotFoundError as error:
        raise MotionliftError(f"{path}: no such file", "Check the path") from error
    except OSError as error:
        raise MotionliftError(f"{path}: cannot be read ({error.strerror})", "Check the file and its rights") from error
    if path.suffix.lower() in IMAGES:
        raise MotionliftError(f"{path}: one image, not a video", _SEQUENCE_REMEDY)


def _not_a_video(path: Path) -> MotionliftError:
    if _lacks_index(path):
        return MotionliftError(
            f"{path}: not a video that can be read: its index is missing, so it was cut short or is being written",
            "Wait until it is whole, copy it again, or have a repair tool rebuild its index",
        )
    return MotionliftError(
        f"{path}: not a video that can be read: no video stream was found in it",
        "Check that it plays, and that it is not audio only; convert it to MP4 (H.264)",
    )


def _lacks_index(path: Path) -> bool:
    """Whether a file is an MP4 or MOV whose `moov` box, which cameras write last, is not there."""
    kinds: list[bytes] = []
    at, size = 0, path.stat().st_size
    with path.open("rb") as file:
        while at + 8 <= size and len(kinds) < 100:
            file.seek(at)
            length, kind = int.from_bytes(file.read(4)), file.read(4)
            length = int.from_bytes(file.read(8)) if length == 1 else length
            kinds.append(kind)
            at += max(length, 8) if length else size
    return kinds[:1] == [b"ftyp"] and b"moov" not in kinds


def _open_video(path: Path) -> cv2.VideoCapture:
    # FFmpeg would take every core; the detector, which decoding runs beside, needs one.
    threads = [cv2.CAP_PROP_N_THREADS, min(16, max(1, (os.cpu_count() or 2) - 1))]
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, threads)
    if not video.isOpened():
        video = cv2.VideoCapture(str(path))
    # Some builds of OpenCV leave the rotation flag of phones alone unless asked.
    video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return video


def _stamp(video: cv2.VideoCapture) -> float:
    """The container's own time of the frame that was just decoded, in seconds; 0 where it has none."""
    return float(video.get(cv2.CAP_PROP_POS_MSEC)) / 1000


def _grab(video: cv2.VideoCapture) -> bool:
    """Decode the next whole frame. OpenCV reports damage as it reports the end: only asking on tells them apart."""
    return any(video.grab() for _ in range(MOST_FAILURES))


def _video_entries(footage: Footage) -> Generator[_Entry]:
    video = _open_video(footage.path)
    index, first, time = 0, 0.0, 0.0

    def picture() -> Image | None:
        good, decoded = video.retrieve()
        return _of_one_size(cast(Image, decoded), footage, f"{footage.path} at {time:.2f} s") if good else None

    try:
        if not video.isOpened():
            raise MotionliftError(f"{footage.path}: cannot be opened any more", "Put it back where it was")
        while _grab(video):
            stamp = _stamp(video)
            if index == 0:
                first = stamp
            else:
                time = next_time(stamp - first, time, footage.fps)
            yield index, time, picture
            index += 1
    finally:
        video.release()


# Image sequences

_SEQUENCE_REMEDY = f"Give a folder of images ({', '.join(IMAGES)}) or a pattern such as shot/%04d.png"


def _open_sequence(path: Path, fps: float) -> Footage:
    files = [file for _, file in _numbered_files(path)]
    if not files:
        raise MotionliftError(f"{path}: no images were found", _SEQUENCE_REMEDY)
    first = next((picture for picture in map(_read_image, files) if picture is not None), None)
    if first is None:
        raise MotionliftError(f"{path}: none of its {len(files)} images can be read", "Export the images again")
    return Footage(path, first.shape[1], first.shape[0], fps, len(files), tuple(files))


def _numbered_files(path: Path) -> list[tuple[int, Path]]:
    """The images of a folder, counted, with 10 after 9; or those of a pattern, with the numbers in their names."""
    try:
        if path.is_dir():
            files = [p for p in path.iterdir() if p.suffix.lower() in IMAGES and not p.name.startswith(".")]
            return list(enumerate(sorted(files, key=_natural)))
        pattern = re.fullmatch(r"(.*)%(?:0(\d+))?d(.*)", path.name)
        if pattern is None:
            raise MotionliftError(f"{path}: no such file, and no pattern of an image sequence", _SEQUENCE_REMEDY)
        head, digits, tail = pattern[1], int(pattern[2] or 1), pattern[3]
        name = re.compile(f"{re.escape(head)}(\\d{{{digits},}}){re.escape(tail)}")
        return sorted((int(m[1]), p) for p in path.parent.iterdir() if (m := name.fullmatch(p.name)))
    except OSError as error:
        raise MotionliftError(f"{path}: its images cannot be listed ({error.strerror})", _SEQUENCE_REMEDY) from error


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _read_image(file: Path) -> Image | None:
    try:
        return cast(Image | None, cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR))
    except (OSError, cv2.error):  # an empty file, or one that OpenCV refuses
        return None


def _sequence_entries(footage: Footage) -> Generator[_Entry]:
    """A number that is missing in a pattern is a frame that is missing: the others keep their times."""

    def picture(file: Path) -> Image | None:
        decoded = _read_image(file)
        return None if decoded is None else _of_one_size(decoded, footage, str(file))

    numbered = list(enumerate(footage.files)) if footage.path.is_dir() else _numbered_files(footage.path)
    for number, file in numbered:
        index = number - numbered[0][0]
        yield index, index / footage.fps, partial(picture, file)
