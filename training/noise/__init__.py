"""What is known of the errors of 2D detectors: one TOML file a keypoint layout, read into arrays.

The files are written by `python -m benchmarks.detector_noise`, from footage whose truth is known; each says what it was
measured on. An error has parts that a clip has once and parts that wander:

    found = projection of (joint + bias in the axes of its bone)      the detector's own idea of where the joint is
            + spread, drawn once a clip
            + fast and slow, two wanders (`training.detector_noise.wander`) with knots FAST_SECONDS and SLOW_SECONDS
              apart
            + white, drawn anew in every frame
    all `lag` seconds late; the wandering parts are `hidden` times as large where the body hides the joint

Lengths are metres for a person of PERSON metres, along the picture's axes at the joint's depth, but for `bias`.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton

PERSON = 1.70
FAST_SECONDS, SLOW_SECONDS = 0.2, 0.6
FOLDER = Path(__file__).parent
AMOUNTS = ("spread", "fast", "slow", "white", "hidden", "score", "score_hidden")


@dataclass(frozen=True)
class DetectorNoise:
    """The errors of one detector on the J joints of a skeleton.

    Attributes:
        bone: (J,) index of the bone in whose axes `bias` is given, -1 where the layout lacks the joint.
        bias: (J, 3) metres, in the axes of the bone at rest.
        spread, fast, slow, white: (J,) standard deviations in metres; of the wanders, those of their knots.
        hidden: (J,) factor on fast, slow and white where the body hides the joint.
        score, score_hidden: (J,) mean confidence of a joint in view, and of one that the body hides.
        lag: seconds.
        swaps_per_minute, swap_seconds: how often left and right of the legs, or the arms, or both are exchanged, and
            the mean length.
        misses_per_minute, miss_seconds: the same of frames in which nobody is found.
    """

    layout: str
    bone: NDArray[np.intp]
    bias: NDArray[np.float32]
    spread: NDArray[np.float32]
    fast: NDArray[np.float32]
    slow: NDArray[np.float32]
    white: NDArray[np.float32]
    hidden: NDArray[np.float32]
    score: NDArray[np.float32]
    score_hidden: NDArray[np.float32]
    lag: float
    swaps_per_minute: float
    swap_seconds: float
    misses_per_minute: float
    miss_seconds: float


def noise_layouts() -> list[str]:
    """Layouts whose errors are known."""
    return sorted(p.stem for p in FOLDER.glob("*.toml"))


def load_noise(layout: str, skeleton: Skeleton) -> DetectorNoise:
    """The errors of a layout's detector, arranged for a skeleton with bones.

    Left and right share their numbers: `bias` is written for the left, mirrored (x -> -x) for the right.

    Raises:
        MotionliftError: no such file, or one that is damaged.
    """
    path = FOLDER / f"{layout}.toml"
    if not path.is_file():
        raise MotionliftError(f"No errors are known of layout {layout!r}", f"Use one of {', '.join(noise_layouts())}")
    try:
        return _arranged(path, skeleton.joint_names, tuple(b.name for b in skeleton.bones))
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise MotionliftError(
            f"{path}: damaged ({error})", "Write it again: python -m benchmarks.detector_noise"
        ) from error


@lru_cache  # training asks for each batch
def _arranged(path: Path, joint_names: tuple[str, ...], bones: tuple[str, ...]) -> DetectorNoise:
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    count = len(joint_names)
    bone, bias = np.full(count, -1, np.intp), np.zeros((count, 3), np.float32)
    amounts = {name: np.zeros(count, np.float32) for name in AMOUNTS}
    for j, name in enumerate(joint_names):
        side = name[:2] if name[:2] in ("l_", "r_") else ""
        found = cast(dict[str, Any] | None, data["keypoints"].get(name.removeprefix(side)))
        if found is None:
            continue
        carrier = str(found["bone"])
        bone[j] = bones.index(carrier if carrier in bones else side + carrier)
        bias[j] = np.asarray(found["bias"], np.float32) * ([-1, 1, 1] if side == "r_" else [1, 1, 1])
        for key, array in amounts.items():
            array[j] = _amount(found[key], f"{name}.{key}")
    return DetectorNoise(
        layout=path.stem,
        bone=bone,
        bias=bias,
        spread=amounts["spread"],
        fast=amounts["fast"],
        slow=amounts["slow"],
        white=amounts["white"],
        hidden=amounts["hidden"],
        score=amounts["score"],
        score_hidden=amounts["score_hidden"],
        lag=_amount(data["lag"], "lag"),
        swaps_per_minute=_amount(data["swaps"]["per_minute"], "swaps.per_minute"),
        swap_seconds=_amount(data["swaps"]["seconds"], "swaps.seconds"),
        misses_per_minute=_amount(data["misses"]["per_minute"], "misses.per_minute"),
        miss_seconds=_amount(data["misses"]["seconds"], "misses.seconds"),
    )


def _amount(value: Any, name: str) -> float:
    number = float(value)
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{name} is {number}")
    return number
