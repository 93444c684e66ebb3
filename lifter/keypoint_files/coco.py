"""COCO's JSON: results as detectors write them, [{"image_id", "keypoints": [x, y, score, ...]}], AlphaPose's among
them, or {"images", "annotations"}, where the third number is 0 missing, 1 hidden, 2 visible.

The number of an image, or the last number in its name, is its frame. "track_id", or AlphaPose's "idx", tells people
apart where it is given. Whole-body results in parts ("foot_kpts", ...) are put together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from lifter.errors import MotionliftError
from lifter.structure import array, entry, mapping, sequence

from .clip import Found, KeypointClip, frame_number, layout_of, make_clip, make_found, read_json

PARTS = ("foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")


def clips(path: Path) -> dict[str, list[Path]]:
    """Files in a folder and below it, each of one video; or the file alone."""
    files = sorted(p for p in path.rglob("*.json") if p.is_file()) if path.is_dir() else [path]
    return {_name(p, path): [p] for p in files}


def _name(file: Path, path: Path) -> str:
    return (file.relative_to(path).as_posix() if path.is_dir() else file.name).removesuffix(".json")


def read(files: list[Path], layout: str) -> KeypointClip:
    """One video from its file."""
    (file,) = files
    data: Any = read_json(file)
    images: dict[str, dict[str, Any]] = {}
    if isinstance(data, dict):
        data = mapping(cast(object, data), str(file))
        for i, image in enumerate(sequence(entry(data, "images", str(file)), f"{file}, images")):
            where = f"{file}, images[{i}]"
            images[str(entry(image, "id", where))] = mapping(image, where)
        data = entry(data, "annotations", str(file))
    found: list[Found] = []
    count = 0
    for i, value in enumerate(sequence(data, str(file))):
        where = f"{file}, [{i}]"
        one = mapping(value, where)
        if "keypoints" not in one or one.get("num_keypoints") == 0:
            continue  # an annotation of a box, or of a crowd
        parts = ["keypoints", *(PARTS if all(one.get(p) for p in PARTS) else ())]
        flat = np.concatenate([array(np.ravel(one[p]), ("N",), f"{where}, {p}") for p in parts])
        if not count:
            if not len(flat) or len(flat) % 3:
                raise MotionliftError(f"{where}, keypoints: {len(flat)} numbers, not a multiple of 3", "Write it again")
            count = len(flat) // 3
            layout = layout_of(count, layout, where)
        numbers = array(flat, (3 * count,), f"{where}, keypoints").reshape(-1, 3)
        key = entry(one, "image_id", where)
        image = images.get(str(key), {})
        frame = frame_number(image.get("file_name", key) if isinstance(key, str) else key, f"{where}, image_id")
        who = one.get("track_id", one.get("idx"))
        known = int(who) if isinstance(who, int | float) and float(who).is_integer() else None
        found.append(make_found(frame, numbers, known, _size(image, where), where=where))
    return make_clip(file, layout, found)


def _size(image: dict[str, Any], where: str) -> tuple[float, float] | None:
    if "width" not in image or "height" not in image:
        return None
    width, height = array([image["width"], image["height"]], (2,), f"{where}, size of its image")
    return (float(width), float(height)) if min(width, height) > 0 else None
