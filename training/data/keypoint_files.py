"""2D keypoints alone, which pre-training learns from: files of other tools and our own takes, as in capture.

    coco      a .json file, or a folder of them, one a video; with `stills` each image is by itself
    openpose  a folder of NAME_000000000012_keypoints.json, one a frame
    take      a .take.npz file, or a folder of them (docs/take-format.md)

and the other formats of lifter/keypoint_files/, which reads them. Pixels. Where nobody tells people apart, they are
followed as in capture (lifter/track.py).
"""

from __future__ import annotations

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
from lifter.keypoint_files import FORMATS, Found, KeypointClip, list_clips
from lifter.skeleton import Skeleton, keypoints_to_joints, layout_keypoints
from lifter.track import track_people
from training.data.recording import Item, Recording


@dataclass(frozen=True)
class KeypointSource:
    """Files of 2D keypoints.

    Attributes:
        format: see above; takes know their layout, frame rate and image size themselves.
        layout: of lifter/skeletons/layouts.toml; by the number or the names of keypoints if empty.
        size: width and height of the images, where the files do not say.
        stills: images have nothing to do with each other.
    """

    kind: Literal["keypoints"]
    path: str
    format: Literal["coco", "openpose", "mmpose", "trc", "deeplabcut", "freemocap", "take"]
    name: str = "keypoints"
    layout: str = ""
    fps: float = 30.0
    size: tuple[int, int] = (0, 0)
    stills: bool = False
    licence: str = "unknown"


def keypoint_items(source: KeypointSource, base: Path, skeleton: Skeleton) -> Iterator[Item]:
    """One item a clip."""
    path = base / source.path
    for clip, files in list_clips(path, source.format).items():
        name = f"{source.name}/{clip}"
        yield Item(name, partial(_read, source, files, name, skeleton))


def _read(source: KeypointSource, files: list[Path], name: str, skeleton: Skeleton) -> Iterator[Recording]:
    clip: KeypointClip = FORMATS[source.format].read(files, source.layout)
    file, fps = str(clip.path), clip.fps or source.fps
    given = source.size if min(source.size) > 0 else None
    if source.stills:
        for i, f in enumerate(clip.found):
            arrays = _arrays(f.xy[None], f.score[None], clip.layout, f.size or given, skeleton, file)
            yield Recording(f"{name}/{i}", source.name, f"{name}/{i}", fps, arrays, licence=source.licence)
        return
    for i, (xy, score) in enumerate(_tracks(clip, fps)):
        arrays = _arrays(xy, score, clip.layout, clip.found[0].size or given, skeleton, file)
        yield Recording(f"{name}/{i}", source.name, name, fps, arrays, licence=source.licence)


def _tracks(clip: KeypointClip, fps: float) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """(T, K, 2) and (T, K) of each person, without holes in time; as the file tells them apart, or by following."""
    found = clip.found
    if all(f.who is not None for f in found):

        def person(f: Found) -> int:
            return f.who or 0

        for _, group in groupby(sorted(found, key=lambda f: (person(f), f.frame)), person):
            own = list(group)
            frames = own[-1].frame - own[0].frame + 1
            xy = np.full((frames, *own[0].xy.shape), np.nan, np.float32)
            score = np.zeros((frames, len(own[0].score)), np.float32)
            for f in own:
                xy[f.frame - own[0].frame], score[f.frame - own[0].frame] = f.xy, f.score
            yield xy, score
        return
    people: dict[int, list[Detection]] = {}
    for f in found:
        people.setdefault(f.frame, []).append(Detection(f.xy, f.score))
    frames = sorted(people)
    for track in track_people([n / fps for n in frames], [people[n] for n in frames], clip.layout, fps):
        yield track.xy, track.score


def _arrays(
    xy: NDArray[Any], score: NDArray[Any], layout: str, size: tuple[float, float] | None, skeleton: Skeleton, file: str
) -> dict[str, Any]:
    keypoints, scores = keypoints_to_joints(xy, score, layout, skeleton)
    if not scores.any():
        what = f"{file}: nothing of layout {layout} is a joint of skeleton {skeleton.name}"
        raise MotionliftError(what, f"It has {', '.join(layout_keypoints(layout))}")
    sized = {} if size is None else {"image_size": size}
    return {"keypoints": keypoints, "scores": scores, **sized}
