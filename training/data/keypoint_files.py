"""2D keypoints alone, which pre-training learns from: COCO's JSON, OpenPose's folders, our own takes.

    coco      a .json file, or a folder of them, one a video: a list of {"image_id", "keypoints": [x, y, score, ...]},
              as detectors write results; or {"images": [{"id", "width", "height"}], "annotations": [the same]}, where
              the third number is 0 missing, 1 hidden, 2 visible. Images in the order of their ids, or of the number in
              their names, are frames; with `stills` each is by itself. "track_id" or "idx" tells people apart, where
              it is given.
    openpose  a folder of NAME_000000000012_keypoints.json, one a frame: {"people": [{"pose_keypoints_2d": [...]}]}
    take      a .take.npz file, or a folder of them (docs/take-format.md)

Pixels. Where nobody tells people apart, they are followed as in capture (lifter/track.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lifter.detect import Detection
from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton, keypoints_to_joints, layout_keypoints
from lifter.take import load_take
from lifter.track import track_people
from training.data.recording import Item, Recording
from training.data.structure import array, entry, mapping, sequence

_OPENPOSE = re.compile(r"(.*?)_?(\d+)_keypoints\.json$")
_LAYOUTS = {"coco": "coco17", "openpose": "body25"}


@dataclass(frozen=True)
class KeypointSource:
    """Files of 2D keypoints.

    Attributes:
        format: see above; takes know their layout, frame rate and image size themselves.
        layout: of lifter/skeletons/layouts.toml; coco17 or body25 if empty.
        size: width and height of the images, where the files do not say.
        stills: images have nothing to do with each other.
    """

    kind: Literal["keypoints"]
    path: str
    format: Literal["coco", "openpose", "take"]
    name: str = "keypoints"
    layout: str = ""
    fps: float = 30.0
    size: tuple[int, int] = (0, 0)
    stills: bool = False
    licence: str = "unknown"


@dataclass(frozen=True)
class _Found:
    """Somebody in one image. `who` is the file's own number for a person, or None."""

    frame: int
    xy: NDArray[np.float64]
    score: NDArray[np.float64]
    who: int | None
    size: tuple[float, float]


def keypoint_items(source: KeypointSource, base: Path, skeleton: Skeleton) -> Iterator[Item]:
    """One item a file; for OpenPose one a video."""
    path = base / source.path
    if source.format == "openpose":
        yield from _openpose_items(source, path, skeleton)
        return
    suffix, read = (".json", _read_coco) if source.format == "coco" else (".npz", _read_take)
    files = sorted(p for p in path.rglob(f"*{suffix}") if p.is_file()) if path.is_dir() else [path]
    if not files:
        raise MotionliftError(f"{path}: no {suffix} file in it", "Check the path")
    for file in files:
        inside = file.relative_to(path).as_posix() if path.is_dir() else file.name
        name = f"{source.name}/{inside.removesuffix(suffix)}"
        yield Item(name, partial(read, source, file, name, skeleton))


def _read_take(source: KeypointSource, file: Path, name: str, skeleton: Skeleton) -> Iterator[Recording]:
    take = load_take(file)
    width, height = (float(take.header["source"].get(k) or 0) for k in ("width", "height"))
    for i, person in enumerate(take.people):
        arrays = _arrays(person.keypoints, person.scores, take.layout, (width, height), skeleton, str(file))
        yield Recording(f"{name}/{i}", source.name, name, take.fps, arrays, licence=source.licence)


def _read_coco(source: KeypointSource, file: Path, name: str, skeleton: Skeleton) -> Iterator[Recording]:
    data = _read_json(file)
    images: dict[str, dict[str, Any]] = {}
    if isinstance(data, dict):
        for i, image in enumerate(sequence(entry(data, "images", str(file)), f"{file}, images")):
            where = f"{file}, images[{i}]"
            images[str(entry(image, "id", where))] = mapping(image, where)
        data = entry(data, "annotations", str(file))
    layout = source.layout or _LAYOUTS["coco"]
    count = len(layout_keypoints(layout))
    found: list[_Found] = []
    for i, value in enumerate(sequence(data, str(file))):
        where = f"{file}, [{i}]"
        one = mapping(value, where)
        if "keypoints" not in one or one.get("num_keypoints") == 0:
            continue  # an annotation of a box, or of a crowd
        numbers = array(np.ravel(one["keypoints"]), (3 * count,), f"{where}, keypoints").reshape(count, 3)
        key = entry(one, "image_id", where)
        image = images.get(str(key), {})
        size = (float(image.get("width", source.size[0])), float(image.get("height", source.size[1])))
        who = one.get("track_id", one.get("idx"))
        who = int(who) if isinstance(who, int | float) else None
        xy, score = _scored(numbers)
        found.append(_Found(_frame_number(key, where), xy, score, who, size))
    yield from _recordings(source, found, layout, name, skeleton, str(file))


def _openpose_items(source: KeypointSource, path: Path, skeleton: Skeleton) -> Iterator[Item]:
    files = sorted(p for p in path.rglob("*_keypoints.json") if _OPENPOSE.match(p.name))
    if not files:
        raise MotionliftError(
            f"{path}: no file NAME_000000000000_keypoints.json in it", "Give OpenPose's output folder"
        )

    def video(file: Path) -> str:
        match = _OPENPOSE.match(file.name)
        assert match
        return (file.parent.relative_to(path) / match.group(1)).as_posix()

    for clip, frames in groupby(sorted(files, key=lambda p: (video(p), p.name)), video):
        name = f"{source.name}/{clip}"
        yield Item(name, partial(_read_openpose, source, list(frames), name, skeleton))


def _read_openpose(source: KeypointSource, files: list[Path], name: str, skeleton: Skeleton) -> Iterator[Recording]:
    layout = source.layout or _LAYOUTS["openpose"]
    count = len(layout_keypoints(layout))
    found: list[_Found] = []
    for file in files:
        match = _OPENPOSE.match(file.name)
        assert match
        for i, person in enumerate(sequence(entry(_read_json(file), "people", str(file)), f"{file}, people")):
            where = f"{file}, people[{i}]"
            flat = np.ravel(entry(person, "pose_keypoints_2d", where))
            numbers = array(flat, (3 * count,), f"{where}, pose_keypoints_2d").reshape(count, 3)
            xy, score = numbers[:, :2], numbers[:, 2].clip(0, 1)
            found.append(_Found(int(match.group(2)), xy, score, None, (source.size[0], source.size[1])))
    yield from _recordings(source, found, layout, name, skeleton, str(files[0].parent))


def _recordings(
    source: KeypointSource, found: list[_Found], layout: str, name: str, skeleton: Skeleton, file: str
) -> Iterator[Recording]:
    if not found:
        raise MotionliftError(f"{file}: nobody in it", "Leave it out")
    if source.stills:
        for i, f in enumerate(found):
            arrays = _arrays(f.xy[None], f.score[None], layout, f.size, skeleton, file)
            yield Recording(f"{name}/{i}", source.name, f"{name}/{i}", source.fps, arrays, licence=source.licence)
        return
    for i, (xy, score) in enumerate(_tracks(found, layout, source.fps)):
        arrays = _arrays(xy, score, layout, found[0].size, skeleton, file)
        yield Recording(f"{name}/{i}", source.name, name, source.fps, arrays, licence=source.licence)


def _tracks(found: list[_Found], layout: str, fps: float) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """(T, K, 2) and (T, K) of each person, without holes in time; as the file tells them apart, or by following."""
    if all(f.who is not None for f in found):
        for _, group in groupby(sorted(found, key=lambda f: (f.who or 0, f.frame)), lambda f: f.who):
            own = list(group)
            frames = own[-1].frame - own[0].frame + 1
            xy, score = np.full((frames, *own[0].xy.shape), np.nan), np.zeros((frames, len(own[0].score)))
            for f in own:
                xy[f.frame - own[0].frame], score[f.frame - own[0].frame] = f.xy, f.score
            yield xy, score
        return
    first, last = min(f.frame for f in found), max(f.frame for f in found)
    people: list[list[Detection]] = [[] for _ in range(last - first + 1)]
    for f in found:
        xy = np.where(f.score[:, None] > 0, f.xy, np.nan)
        people[f.frame - first].append(Detection(xy.astype(np.float32), f.score.astype(np.float32)))
    for track in track_people([i / fps for i in range(len(people))], people, layout, fps):
        yield track.xy, track.score


def _arrays(
    xy: NDArray[Any], score: NDArray[Any], layout: str, size: tuple[float, float], skeleton: Skeleton, file: str
) -> dict[str, Any]:
    keypoints, scores = keypoints_to_joints(xy, score, layout, skeleton)
    if not scores.any():
        what = f"{file}: nothing of layout {layout} is a joint of skeleton {skeleton.name}"
        raise MotionliftError(what, f"It has {', '.join(layout_keypoints(layout))}")
    sized = {"image_size": size} if min(size) > 0 else {}
    return {"keypoints": keypoints, "scores": scores, **sized}


def _scored(numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Keypoints and scores; marks of visibility become 0, 0.5 and 1."""
    score = numbers[:, 2]
    marks = bool((score > 1).any() and np.isin(score, (0, 1, 2)).all())
    return numbers[:, :2], (score / 2 if marks else score).clip(0, 1)


def _frame_number(key: object, where: str) -> int:
    if isinstance(key, int):
        return key
    digits = re.findall(r"\d+", str(key))
    if not digits:
        raise MotionliftError(f"{where}, image_id: {key!r} has no number", "Number the images in the order of time")
    return int(digits[-1])


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise MotionliftError(f"{file}: cannot be read ({error.strerror})", "Check the path") from error
    except (ValueError, RecursionError) as error:
        raise MotionliftError(f"{file}: not JSON ({error})", "Write it again") from error
