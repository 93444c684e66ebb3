"""2D detectors behind one protocol; each is a file, imported when it is asked for."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lifter.errors import MotionliftError

from .models import Progress

if TYPE_CHECKING:  # `motionlift doctor` comes through here even where NumPy is broken
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Detection:
    """One person in one frame.

    Attributes:
        xy: (K, 2) pixels, origin at the top-left corner of the top-left pixel, NaN where missing.
        score: (K,) confidence in 0..1, 0 where missing.
        world: (K, 3) metres, the detector's own guess at 3D where it makes one; kept for comparison only.
    """

    xy: NDArray[np.float32]
    score: NDArray[np.float32]
    world: NDArray[np.float32] | None = None


class Detector(Protocol):
    """Finds people in frames that arrive in the order of time."""

    name: str
    layout: str

    def detect(self, rgb: NDArray[np.uint8], time: float) -> list[Detection]:
        """People in an (H, W, 3) RGB frame, `time` seconds from the start, later than the frame before."""
        ...

    def close(self) -> None: ...


DETECTORS = ("mediapipe",)


def load_detector(name: str = "mediapipe", progress: Progress | None = None, **options: Any) -> Detector:
    """A detector by name. `progress` is told of the download of its model.

    Raises MotionliftError for an unknown name or option, or a missing package or model.
    """
    if name == "mediapipe":
        from .mediapipe import MediaPipeDetector as Found
    else:
        raise MotionliftError(f"Unknown detector {name!r}", f"Use one of {', '.join(DETECTORS)}")
    known = inspect.signature(Found).parameters
    for option in options:
        if option not in known:
            names = ", ".join(repr(n) for n in known if n != "progress")
            raise MotionliftError(f"The detector {name} has no option {option!r}", f"Its options: {names}")
    return Found(progress=progress, **options)
