"""RTMPose, RTMW, RTMO and networks of the user's own that answer like them, by rtmlib on ONNX Runtime.

Two kinds. `pose` networks look at one person each: YOLOX finds boxes, in every frame or in every n-th, and in between a
person's box is where the keypoints were in the frame before. `all` networks (RTMO) find everybody at once.
"""

from __future__ import annotations

import contextlib
import io
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.footage import Frame
from lifter.skeleton import layout_keypoints

from . import Detection
from .rtm_models import find_model, known_model

INSTALL = 'pip install --no-deps "rtmlib>=0.0.13" (with its dependencies it would bring a second OpenCV)'
SURE = 0.3
"""Score from which a keypoint counts for where somebody is."""
MARGIN = 0.1
"""Of the box around a body's keypoints, on each side; the network's own margin comes on top."""
Box = NDArray[np.float64]


@dataclass(frozen=True)
class Networks:
    """Which files make a detector.

    Attributes:
        kind: "pose", one person at a time; or "all".
        pose: the network of keypoints; size: width and height of its input; layout: of its keypoints.
        people: the network of boxes, with its size; of kind "pose" only.
        mean, deviation: of the colours, taken off the input of kind "pose".
        colours: the order of the pose network's input channels.
    """

    kind: Literal["pose", "all"]
    pose: Path
    size: tuple[int, int]
    layout: str
    people: Path | None = None
    people_size: tuple[int, int] = (640, 640)
    mean: tuple[float, ...] | None = (123.675, 116.28, 103.53)
    deviation: tuple[float, ...] | None = (58.395, 57.12, 57.375)
    colours: Literal["rgb", "bgr"] = "rgb"


def named_networks(pose: str, people: str, models: str) -> Networks:
    """Networks of the list in rtm_models.py. Raises MotionliftError for unknown or missing ones."""
    model, finder = known_model(pose), known_model(people)
    path = find_model(pose, models)
    if model.kind == "all":
        return Networks("all", path, model.size, model.layout, mean=None, deviation=None, colours="bgr")
    if model.kind != "pose" or finder.kind != "people":
        raise MotionliftError(
            f"{pose} and {people} are not a network of poses and one of boxes", "See motionlift models"
        )
    return Networks("pose", path, model.size, model.layout, find_model(people, models), finder.size)


def read_networks(path: str | Path) -> Networks:
    """A user's own networks from a TOML file, paths in it relative to it; docs/detectors.md shows one.

    Raises MotionliftError with the key that is wrong.
    """
    file = Path(path).expanduser()
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MotionliftError(f"{file}: cannot be read as TOML ({error})", "Check the file") from error

    def fail(key: str, wanted: str) -> MotionliftError:
        return MotionliftError(f"{file}: {key} is {data.get(key)!r}", f"Give {wanted}; see docs/detectors.md")

    def numbers(key: str, count: int, default: Any) -> Any:
        value = data.get(key, default)
        if value is None:
            return None
        items: list[Any] = [*value] if isinstance(value, list | tuple) else []  # pyright: ignore[reportUnknownArgumentType]
        if len(items) != count or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in items):
            raise fail(key, f"{count} numbers")
        return tuple(items)

    def size(key: str, default: Any = None) -> tuple[int, int]:
        value = numbers(key, 2, default)
        if value is None or not all(isinstance(v, int) and 8 <= v <= 4096 for v in value):
            raise fail(key, "width and height of the input in pixels, such as [192, 256]")
        return value

    def network(key: str) -> Path:
        value = data.get(key)
        if not isinstance(value, str) or not (found := file.parent / value).is_file():
            raise fail(key, "the path of an .onnx file")
        return found

    known = {"kind", "model", "size", "layout", "people", "people_size", "mean", "deviation", "colours"}
    if unknown := sorted(set(data) - known):
        raise MotionliftError(f"{file}: no key {unknown[0]!r} is known", f"Known: {', '.join(sorted(known))}")
    kind, colours, layout = data.get("kind", "pose"), data.get("colours", "rgb"), data.get("layout", "")
    if kind not in ("pose", "all"):
        raise fail("kind", '"pose" or "all"')
    if colours not in ("rgb", "bgr"):
        raise fail("colours", '"rgb" or "bgr"')
    if not isinstance(layout, str) or not layout:
        raise fail("layout", "the name of a layout, or a skeleton's .toml")
    if layout.endswith(".toml"):
        layout = str(file.parent / layout)
    layout_keypoints(layout)
    people = network("people") if kind == "pose" else None
    plain = Networks("pose", Path(), (8, 8), layout)
    mean, deviation = (numbers(k, 3, getattr(plain, k) if kind == "pose" else None) for k in ("mean", "deviation"))
    sized = size("people_size", (640, 640))
    return Networks(kind, network("model"), size("size"), layout, people, sized, mean, deviation, colours)


class RtmDetector:
    """People by networks of the RTM family. One clip each."""

    def __init__(
        self,
        networks: Networks,
        name: str,
        *,
        people: int = 0,
        batch: int = 1,
        device: str = "cpu",
        find_every: int = 1,
        sure: float = 0.5,
    ) -> None:
        """Load the networks.

        Args:
            people: at most so many in a frame, the largest; 0 for all.
            batch: frames at once: more is faster on a GPU.
            device: "cpu" or "gpu".
            find_every: look for people in every n-th frame and follow their keypoints in between; of kind "pose".
            sure: people below this, 0..1, are left out.
        Raises:
            MotionliftError: rtmlib is missing, a file is no such network, or no GPU can be used.
        """
        if not (people >= 0 and batch >= 1 and find_every >= 1 and 0 <= sure <= 1):
            raise MotionliftError(
                "An option of the detector is out of range", "people from 0, batch and find_every from 1"
            )
        try:
            rtmlib: Any = import_module("rtmlib")
        except ImportError as error:
            raise MotionliftError(f"The package rtmlib is not installed ({error})", INSTALL) from error
        options = {"backend": "onnxruntime", "device": _device(device)}
        self.name, self.layout, self.batch = name, networks.layout, batch
        self._networks, self._people, self._every, self._sure = networks, people, find_every, sure
        self._count = len(layout_keypoints(networks.layout))
        self._finder: Any = None
        self._pose: Any = None
        self._boxes: list[Box] = []
        colours = {"mean": networks.mean, "std": networks.deviation}
        if networks.kind == "all":
            width, height = networks.size
            self._pose = _load(rtmlib.RTMO, networks.pose, (height, width), score_thr=sure, **colours, **options)
            return
        self._pose = _load(rtmlib.RTMPose, networks.pose, networks.size, **colours, **options)
        assert networks.people is not None
        width, height = networks.people_size
        self._finder = _load(rtmlib.YOLOX, networks.people, (height, width), score_thr=sure, **options)
        # Networks with everything of COCO in them tell what a box is; those with suppression built in know people only.
        if self._finder.session.get_outputs()[0].shape[-1] != 5:
            self._finder.det_mode = "multiclass"

    def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        """See `Detector.detect`."""
        if self._networks.kind == "all":
            return [self._everybody(f.rgb) for f in frames]
        if self._every == 1:
            return self._bodies([f.rgb for f in frames], [self._find(f.rgb) for f in frames])
        out: list[list[Detection]] = []
        for frame in frames:
            if frame.index % self._every == 0 or not self._boxes:
                self._boxes = self._find(frame.rgb)
            (found,) = self._bodies([frame.rgb], [self._boxes])
            self._boxes = [b for d in found if (b := _box(d)) is not None]
            out.append(found)
        return out

    def close(self) -> None:
        """See `Detector.close`."""
        self._pose = self._finder = None

    def _find(self, rgb: NDArray[np.uint8]) -> list[Box]:
        found: Any = self._finder(np.ascontiguousarray(rgb[..., ::-1]))  # YOLOX was trained on blue, green, red
        parts: list[Any] = [*found] if isinstance(found, tuple) else [found, None]  # pyright: ignore[reportUnknownArgumentType]
        kinds: Any = parts[1]
        boxes = np.asarray(parts[0], np.float64).reshape(-1, 4)
        if kinds is not None:
            boxes = boxes[np.asarray(kinds).ravel()[: len(boxes)] == 0]
        sides = boxes[:, 2:] - boxes[:, :2]
        boxes = boxes[(sides > 2).all(-1) & np.isfinite(boxes).all(-1)]
        order = np.argsort(-(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
        return list(boxes[order[: self._people or None]])

    def _bodies(self, pictures: list[NDArray[np.uint8]], boxes: list[list[Box]]) -> list[list[Detection]]:
        """Keypoints in every box of every picture, all crops in one run where the network takes that."""
        crops: list[Any] = []
        for rgb, own in zip(pictures, boxes, strict=True):
            picture = rgb if self._networks.colours == "rgb" else np.ascontiguousarray(rgb[..., ::-1])
            crops += [self._pose.preprocess(picture, box) for box in own]
        answers: list[list[Any]] = []
        if crops:
            stacked = np.stack([c[0].transpose(2, 0, 1) for c in crops]).astype(np.float32)
            answers = self._run(stacked)
        out: list[list[Detection]] = []
        at = 0
        for own in boxes:
            now: list[Detection] = []
            for _ in own:
                _, center, scale = crops[at]
                xy, score = self._pose.postprocess(answers[at], center, scale)
                now += self._checked(xy, score)
                at += 1
            out.append(now)
        return out

    def _run(self, stacked: NDArray[np.float32]) -> list[list[Any]]:
        session: Any = self._pose.session
        wanted = session.get_inputs()[0]
        together = len(stacked) if not isinstance(wanted.shape[0], int) else wanted.shape[0]
        out: list[list[Any]] = []
        for i in range(0, len(stacked), together):
            part = stacked[i : i + together]
            if len(part) < together:  # a network for a fixed number: fill up
                part = np.concatenate([part, np.repeat(part[-1:], together - len(part), 0)])
            answer = session.run(None, {wanted.name: part})
            out += [[a[k : k + 1] for a in answer] for k in range(min(together, len(stacked) - i))]
        return out

    def _everybody(self, rgb: NDArray[np.uint8]) -> list[Detection]:
        picture = rgb if self._networks.colours == "rgb" else np.ascontiguousarray(rgb[..., ::-1])
        found = self._checked(*self._pose(picture))
        sized = sorted(found, key=_extent)
        return sized[: self._people or None]

    def _checked(self, xy: Any, score: Any) -> list[Detection]:
        """Detections; those with nothing sure are left out, which rtmlib gives as zeros where nobody is."""
        xy, score = np.asarray(xy, np.float32), np.asarray(score, np.float32)
        if xy.shape[1:] != (self._count, 2) or score.shape != xy.shape[:2]:
            raise MotionliftError(
                f"The network {self._networks.pose.name} gives {xy.shape[1]} keypoints, "
                f"but layout {self.layout} has {self._count}",
                "Name the layout that it was trained with",
            )
        out: list[Detection] = []
        for places, sure in zip(xy, score, strict=True):
            missing = ~np.isfinite(places).all(-1) | ~(sure > 0)
            kept = np.where(missing, 0, sure.clip(0, 1)).astype(np.float32)
            if (kept > SURE).sum() >= 3:
                out.append(Detection(np.where(missing[:, None], np.nan, places).astype(np.float32), kept))
        return out


def _sure(detection: Detection) -> NDArray[np.float32]:
    return detection.xy[detection.score > SURE]


def _extent(detection: Detection) -> float:
    """For sorting: the largest body first."""
    sure = _sure(detection)
    return -float(np.prod(np.ptp(sure, axis=0))) if len(sure) else 0.0


def _box(detection: Detection) -> Box | None:
    """Where to look for somebody in the next frame."""
    xy = _sure(detection).astype(np.float64)
    if len(xy) < 3:
        return None
    low, high = xy.min(0), xy.max(0)
    if (high - low).min() < 2:
        return None
    return np.concatenate([low - MARGIN * (high - low), high + MARGIN * (high - low)])


def _device(device: str) -> str:
    if device not in ("cpu", "gpu"):
        raise MotionliftError(f"Unknown device {device!r} of a detector", "Use cpu or gpu")
    if device == "gpu" and "CUDAExecutionProvider" not in import_module("onnxruntime").get_available_providers():
        raise MotionliftError("The installed ONNX Runtime knows no GPU", "Choose the CPU, or set up for the GPU")
    return {"cpu": "cpu", "gpu": "cuda"}[device]


def _load(kind: Any, path: Path, size: tuple[int, int], **options: Any) -> Any:
    """One of rtmlib's tools. The file is there: rtmlib would otherwise take its name for a URL."""
    if not path.is_file():
        raise MotionliftError(f"{path}: no such file", "Check the path")
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it loads
            return kind(str(path), model_input_size=size, **options)
    except Exception as error:  # ONNX Runtime has errors of its own for each kind of damage
        raise MotionliftError(
            f"{path}: no network that ONNX Runtime can run ({error})", "Fetch or export it again"
        ) from error
