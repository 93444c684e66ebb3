"""2D detectors behind one protocol; each is a file, imported when it is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lifter.errors import MotionliftError

from .models import Progress

if TYPE_CHECKING:  # `motionlift doctor` comes through here even where NumPy is broken
    import numpy as np
    from numpy.typing import NDArray

    from lifter.footage import Footage, Frame
    from lifter.hands import SeenHands


@dataclass(frozen=True)
class Detection:
    """One person in one frame.

    Attributes:
        xy: (K, 2) pixels, origin at the top-left corner of the top-left pixel, NaN where missing.
        score: (K,) confidence in 0..1, 0 where missing.
        world: (K, 3) metres, the detector's own guess at 3D where it makes one; kept for comparison only.
        who: a number that is the same in every frame, where somebody else has told people apart; else None.
        hands: what was found of the hands, where they were looked for.
        colours: of the clothes (lifter/clothes.py), where somebody looked.
    """

    xy: NDArray[np.float32]
    score: NDArray[np.float32]
    world: NDArray[np.float32] | None = None
    who: int | None = None
    hands: SeenHands | None = None
    colours: NDArray[np.float32] | None = None


class Detector(Protocol):
    """Finds people in frames that arrive in the order of time.

    Attributes:
        name: for the take's header.
        layout: of its keypoints, in lifter/skeletons/layouts.toml; or the path of a skeleton's .toml.
        batch: how many frames it wants at once.
    """

    name: str
    layout: str
    batch: int

    def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        """The people in each of at most `batch` frames, which follow on those of the call before."""
        ...

    def close(self) -> None: ...


HandChoice = Literal["off", "auto", "on"]
"""Whether hands are looked for: not, where they are large enough, or always."""

DETECTORS = ("mediapipe", "rtmpose", "rtmw", "rtmo", "onnx", "keypoints")
RTM = {"rtmpose": "rtmpose-m-26", "rtmw": "rtmw-m-133", "rtmo": "rtmo-m-17"}
"""The network that each takes where none is named."""
FINDER = "yolox-m"
"""The network of boxes where none is named."""


def load_detector(
    name: str = "mediapipe", progress: Progress | None = None, footage: Footage | None = None, **options: Any
) -> Detector:
    """A detector by name, or keypoints of another tool by the path of their file or folder.

    Args:
        progress: told of the download of its model.
        footage: the clip to come; keypoint files are checked against it.
        options: of the detector.
    Raises:
        MotionliftError: an unknown name or option, a missing package or model, or a file that does not fit.
    """
    if name not in DETECTORS and ("/" in name or "\\" in name or Path(name).suffix or Path(name).exists()):
        name, options = "onnx" if name.endswith(".toml") else "keypoints", {"path": name, **options}
    if name in RTM or name == "onnx":
        return _load_rtm(name, options)
    if name == "mediapipe":
        from .mediapipe import MediaPipeDetector as Found

        options |= {"progress": progress}
    elif name == "keypoints":
        from .keypoints import KeypointDetector as Found

        if not options.get("path"):
            raise MotionliftError("No keypoint file is named", "Give its path as the detector, or as the option path")
        options |= {"footage": footage}
    else:
        raise MotionliftError(
            f"Unknown detector {name!r}", f"Use one of {', '.join(DETECTORS)}, or the path of a keypoint file"
        )
    _check_options(name, options, [*inspect.signature(Found).parameters])
    return Found(**options)


def with_hands(detector: Detector, choice: HandChoice, progress: Progress | None = None) -> tuple[Detector, str | None]:
    """A detector that looks for hands, too, and why it cannot, where it cannot.

    Raises MotionliftError where that is so and they are asked for (on).
    """
    from .hands import WithHands

    found = WithHands(detector, choice, progress)
    return found, found.warning


def _load_rtm(name: str, options: dict[str, Any]) -> Detector:
    """RTMPose, RTMW or RTMO by the names of their networks, or the user's own by a TOML file."""
    from .rtm import RtmDetector, named_networks, read_networks

    own = [p for p in inspect.signature(RtmDetector).parameters if p not in ("networks", "name")]
    if name == "onnx":
        _check_options(name, options, ["path", *own])
        if not options.get("path"):
            raise MotionliftError("No file names the networks", "Give the path of a .toml; docs/detectors.md shows one")
        networks = read_networks(options["path"])
    else:
        _check_options(name, options, ["model", "finder", "models", *own])
        networks = named_networks(
            str(options.get("model", RTM[name])), str(options.get("finder", FINDER)), str(options.get("models", ""))
        )
    return RtmDetector(networks, name, **{k: v for k, v in options.items() if k in own})


def _check_options(name: str, options: dict[str, Any], known: list[str]) -> None:
    for option in options:
        if option not in known:
            names = ", ".join(repr(n) for n in known if n not in ("progress", "footage"))
            raise MotionliftError(f"The detector {name} has no option {option!r}", f"Its options: {names}")
