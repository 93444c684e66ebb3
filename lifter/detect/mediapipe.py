"""The embedded detector: MediaPipe's pose landmarker, 33 keypoints, on the CPU, without any network call."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.footage import Frame

from . import Detection
from .models import Progress, pose_model

INSTALL = 'pip install "mediapipe>=0.10.30,<1.0"'
FAINTEST = 0.01
"""Score of a keypoint that was placed in the picture, however unsure; 0 would say that it is missing."""


class MediaPipeDetector:
    """MediaPipe's Tasks API in video mode: the person found in one frame is followed into the next. One clip each.

    Video mode smooths as it follows: keypoints are as near to the truth as those of single pictures, jitter a
    third as much, come in half the time and lag 7 to 10 ms. With `people` above 1 MediaPipe does not smooth,
    and looks for people anew in every frame that shows fewer.

    The score is visibility times presence, MediaPipe's own estimates that a keypoint is not hidden and that it
    lies in the picture. Keypoints outside the picture are guesses, 50 to 80 pixels wrong where those inside are
    20: they keep their coordinates and get score 0.
    """

    name = "mediapipe"
    layout = "mediapipe33"
    batch = 1

    def __init__(
        self,
        people: int = 1,
        *,
        detection_confidence: float = 0.5,
        presence_confidence: float = 0.5,
        tracking_confidence: float = 0.5,
        progress: Progress | None = None,
    ) -> None:
        """Start MediaPipe; the first use fetches its model.

        Args:
            people: at most so many are found.
            detection_confidence, presence_confidence, tracking_confidence: below these, 0..1, a person is not
                taken up, not reported, not followed.
            progress: told of the download of the model.
        Raises:
            MotionliftError: MediaPipe or its model is missing, broken or of the wrong version.
        """
        mediapipe, vision = import_mediapipe()
        options = vision.PoseLandmarkerOptions(
            base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(pose_model(progress))),
            running_mode=vision.RunningMode.VIDEO,
            num_poses=people,
            min_pose_detection_confidence=detection_confidence,
            min_pose_presence_confidence=presence_confidence,
            min_tracking_confidence=tracking_confidence,
        )
        try:
            with quiet():
                self._landmarker: Any = vision.PoseLandmarker.create_from_options(options)
        except OSError as error:  # its library is loaded here, and needs libraries of the system
            raise MotionliftError(
                f"MediaPipe cannot be started ({error})",
                "Install the system library that it names; on Debian and Ubuntu: apt install libegl1 libgles2",
            ) from error
        self._image: Any = mediapipe.Image
        self._format: Any = mediapipe.ImageFormat.SRGB
        self._last: int | None = None

    def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        """See `Detector.detect`."""
        return [self._detect(frame.rgb, frame.time) for frame in frames]

    def _detect(self, rgb: NDArray[np.uint8], time: float) -> list[Detection]:
        height, width = rgb.shape[:2]
        # The runtime counts in milliseconds, which must rise also where two frames come within one.
        stamp = round(time * 1000) if self._last is None else max(self._last + 1, round(time * 1000))
        picture = self._image(image_format=self._format, data=np.ascontiguousarray(rgb))
        # Its threads complain once each when they start, with the first frame.
        with quiet() if self._last is None else contextlib.nullcontext():
            result = self._landmarker.detect_for_video(picture, stamp)
        self._last = stamp
        return [
            make_detection(
                np.array([(m.x, m.y, m.visibility, m.presence) for m in marks], np.float32),
                np.array([(m.x, m.y, m.z) for m in world], np.float32),
                width,
                height,
            )
            for marks, world in zip(result.pose_landmarks, result.pose_world_landmarks, strict=True)
        ]

    def close(self) -> None:
        """See `Detector.close`."""
        self._landmarker.close()


def make_detection(marks: NDArray[np.float32], world: NDArray[np.float32], width: int, height: int) -> Detection:
    """A detection from MediaPipe's landmarks.

    Args:
        marks: (33, 4) x and y in 0..1 of width and height, visibility, presence.
        world: (33, 3) metres.
        width, height: of the picture in pixels.
    """
    place, visibility, presence = marks[:, :2], marks[:, 2], marks[:, 3]
    inside = ((place >= 0) & (place < 1)).all(-1)
    score = np.where(inside, np.clip(visibility * presence, FAINTEST, 1), 0)
    return Detection(place * np.array([width, height], np.float32), score.astype(np.float32), world)


def import_mediapipe() -> tuple[Any, Any]:
    """(the package, its vision tasks). Raises MotionliftError where it is missing, broken or reports to its maker."""
    try:
        found = version("mediapipe")
    except PackageNotFoundError as error:
        raise MotionliftError("MediaPipe is not installed", INSTALL) from error
    if int(found.split(".")[0]) >= 1:
        raise MotionliftError(f"MediaPipe {found} reports usage figures to its maker", INSTALL)
    try:
        return import_module("mediapipe"), import_module("mediapipe.tasks.python.vision")
    except (ImportError, OSError) as error:
        raise MotionliftError(f"MediaPipe {found} cannot be loaded ({error})", INSTALL) from error


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Send the C++ runtime's lines nowhere: they ignore every setting and go straight to the file descriptor."""
    try:
        saved = os.dup(2)
    except OSError:  # a window without a console
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
