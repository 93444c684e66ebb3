"""The embedded detector: MediaPipe's pose landmarker, 33 keypoints, on the CPU, without any network call."""

from __future__ import annotations

import contextlib
import os
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError

from . import Detection
from .models import pose_model


class MediaPipeDetector:
    """MediaPipe's Tasks API in video mode: the person found in one frame is followed into the next.

    Its landmarks outside the picture are extrapolations; they keep their coordinates and lose their score.
    """

    name = "mediapipe"
    layout = "mediapipe33"

    def __init__(self, people: int = 1) -> None:
        self._mediapipe, vision = _import_mediapipe()
        options = vision.PoseLandmarkerOptions(
            base_options=self._mediapipe.tasks.BaseOptions(model_asset_path=str(pose_model())),
            running_mode=vision.RunningMode.VIDEO,
            num_poses=people,
        )
        with _quiet():
            self._landmarker: Any = vision.PoseLandmarker.create_from_options(options)
        self._last = -1

    def detect(self, rgb: NDArray[np.uint8], time: float) -> list[Detection]:
        """See `Detector.detect`."""
        first = self._last < 0
        # Milliseconds must rise from frame to frame, also where two frames share a timestamp.
        self._last = max(self._last + 1, round(time * 1000))
        height, width = rgb.shape[:2]
        # Its tracking is right for square pictures only: others are padded.
        side = max(height, width)
        square = np.zeros((side, side, 3), np.uint8)
        square[:height, :width] = rgb
        picture = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=square)
        with _quiet() if first else contextlib.nullcontext():
            result = self._landmarker.detect_for_video(picture, self._last)
        out: list[Detection] = []
        for marks, world in zip(result.pose_landmarks, result.pose_world_landmarks, strict=True):
            xy = np.array([[m.x * side, m.y * side] for m in marks], np.float32)
            score = np.array([(m.visibility or 0.0) for m in marks], np.float32)
            inside = ((xy > -0.02 * side) & (xy < [width + 0.02 * side, height + 0.02 * side])).all(-1)
            score = np.where(inside, np.clip(score, 0.01, 1), 0).astype(np.float32)
            out.append(Detection(xy, score, np.array([[m.x, m.y, m.z] for m in world], np.float32)))
        return out

    def close(self) -> None:
        self._landmarker.close()


def _import_mediapipe() -> tuple[Any, Any]:
    """(the package, its vision tasks); its own log lines are kept off the user's terminal."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    remedy = 'pip install "mediapipe>=0.10.30,<1.0"'
    try:
        found = version("mediapipe")
        if int(found.split(".")[0]) >= 1:
            raise MotionliftError(f"mediapipe {found} reports usage figures to its maker", remedy)
        mediapipe: Any = import_module("mediapipe")
        vision: Any = import_module("mediapipe.tasks.python.vision")
    except ImportError as error:  # PackageNotFoundError too
        raise MotionliftError(f"MediaPipe cannot be loaded ({error})", remedy) from error
    return mediapipe, vision


class _quiet:  # noqa: N801 (a context manager, named as the standard library names them)
    """Sends the C++ runtime's start-up lines nowhere: they go past Python straight to the file descriptor."""

    def __enter__(self) -> None:
        self.saved = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    def __exit__(self, *_: object) -> None:
        os.dup2(self.saved, 2)
        os.close(self.saved)
