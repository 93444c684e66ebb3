"""MMPose's predictions: a JSON a video, or a folder of one a picture.

Its inferencer writes [{"frame_id": 0, "instances": [{"keypoints": [[x, y], ...], "keypoint_scores": [...]}]}], frames
from 0; for a picture the list of instances alone. Its demos write {"meta_info", "instance_info": [the same]}, frames
from 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from lifter.errors import MotionliftError
from lifter.structure import array, entry, mapping, sequence

from .clip import Found, KeypointClip, frame_number, layout_of, make_clip, make_found, read_json


def clips(path: Path) -> dict[str, list[Path]]:
    """The file, or a folder's pictures in the order of their numbers."""
    if not path.is_dir():
        return {path.stem: [path]}
    files = [p for p in path.glob("*.json") if p.is_file()]
    return {path.name: sorted(files, key=lambda p: frame_number(p.name, str(p)))}


def read(files: list[Path], layout: str) -> KeypointClip:
    """One video from its file, or from its pictures' files."""
    listed: list[tuple[int, Any, str]] = []
    for file in files:
        data: Any = read_json(file)
        if isinstance(data, dict):
            data = entry(cast(object, data), "instance_info", str(file))
        items = sequence(data, str(file))
        if len(files) == 1 and all(isinstance(x, dict) and "frame_id" in x for x in items):
            for i, item in enumerate(items):
                where = f"{file}, [{i}]"
                number = entry(item, "frame_id", where)
                if not isinstance(number, int):
                    raise MotionliftError(f"{where}, frame_id: {str(number)[:40]!r}", "Expected a whole number")
                listed.append((number, entry(item, "instances", where), where))
        else:
            listed.append((frame_number(file.name, str(file)), items, str(file)))
    path = files[0] if len(files) == 1 else files[0].parent
    frames = [number for number, _, _ in listed]
    if len(set(frames)) < len(frames):
        raise MotionliftError(f"{path}: two entries have the same frame number", "Write it again")
    found: list[Found] = []
    count = 0
    for number, instances, where in listed:
        for i, value in enumerate(sequence(instances, where)):
            inside = f"{where}, instances[{i}]"
            one = mapping(value, inside)
            points = array(entry(one, "keypoints", inside), ("K", 2), f"{inside}, keypoints")
            scores = array(
                np.ravel(entry(one, "keypoint_scores", inside)), (len(points),), f"{inside}, keypoint_scores"
            )
            if not count:
                count = len(points)
                layout = layout_of(count, layout, inside)
            numbers = array(np.column_stack([points, scores]), (count, 3), f"{inside}, keypoints")
            who = one.get("track_id")
            known = who if isinstance(who, int) and who >= 0 else None
            found.append(make_found(number, numbers, known, where=inside))
    return make_clip(path, layout, found, frames)
