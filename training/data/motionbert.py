"""Human3.6M as MotionBERT (Zhu et al., ICCV 2023) prepares it: image-space targets, detected 2D with confidence.

    h36m_sh_conf_cam_source_final.pkl: {"train": {...}, "test": {...}}; in each, N rows, all cameras end to end:
        joint_2d          (N, 17, 2 or more) pixels
        confidence        (N, 17) or (N, 17, 1); may be absent
        joint3d_image     (N, 17, 3) pixels, and z on the same scale
        camera_name       N names of a camera
        source            N names of a video, the same for all rows of one: s_09_act_05_subact_02_ca_01
    and in "test" also
        action            N names
        2.5d_factor       N: millimetres in a pixel of joint3d_image
        joints_2.5d_image (N, 17, 3) millimetres

A recording is a run of rows of one `source`. Nothing is cut, left out or sampled: protocols choose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton, layout_keypoints
from lifter.structure import array, entry, joint_order, mapping, sequence
from training.data.human36m import LICENCE
from training.data.recording import Item, Recording
from training.data.unpickle import read_pickle
from training.data.videopose3d import load_cameras


@dataclass(frozen=True)
class MotionBertSource:
    """Attributes: `path` of the pickle."""

    kind: Literal["h36m_motionbert"]
    path: str
    name: str = "h36m_mb"
    fps: float = 50.0


def motionbert_items(source: MotionBertSource, base: Path, skeleton: Skeleton) -> Iterator[Item]:
    """One item a run of rows of one video. The file is in memory meanwhile."""
    path = base / source.path
    order = joint_order(layout_keypoints("h36m17"), skeleton, source.name)
    data = mapping(read_pickle(path), str(path))
    for split in ("train", "test"):
        where = f"{path}, {split}"
        part = mapping(entry(data, split, str(path)), where)
        videos = np.array([str(v) for v in sequence(entry(part, "source", where), f"{where}/source")])
        _check_rows(part, len(videos), where)
        if not len(videos):
            continue
        starts = np.flatnonzero(np.concatenate([[True], videos[1:] != videos[:-1]]))
        seen: dict[str, int] = {}
        for start, stop in zip(starts, [*starts[1:], len(videos)], strict=True):
            video = str(videos[start])
            seen[video] = seen.get(video, 0) + 1
            again = f"#{seen[video]}" if seen[video] > 1 else ""
            name = f"{source.name}/{split}/{video}{again}"
            rows = slice(int(start), int(stop))
            yield Item(name, partial(_read, source, part, rows, order, name, where))


def _check_rows(part: dict[str, Any], count: int, where: str) -> None:
    for key in ("joint_2d", "confidence", "joint3d_image", "camera_name", "action", "2.5d_factor", "joints_2.5d_image"):
        if key in part and len(part[key]) != count:
            what = f"{where}/{key}: {len(part[key])} rows, expected the {count} of source"
            raise MotionliftError(what, "Get the file again")


def _read(
    source: MotionBertSource, part: dict[str, Any], rows: slice, order: list[int], name: str, where: str
) -> Iterator[Recording]:
    def numbers(key: str, shape: tuple[int | str, ...]) -> NDArray[np.float64]:
        return array(entry(part, key, where)[rows], shape, f"{where}/{key}, rows {rows.start} to {rows.stop}")

    joints = len(layout_keypoints("h36m17"))
    arrays: dict[str, Any] = {
        "keypoints": numbers("joint_2d", ("T", joints, "2 or more"))[..., :2][:, order],
        "image_joints": numbers("joint3d_image", ("T", joints, 3))[:, order],
    }
    frames = len(arrays["keypoints"])
    arrays["scores"] = np.ones((frames, len(order)))
    if "confidence" in part:
        scores = np.asarray(part["confidence"][rows])
        scores = scores[..., 0] if scores.ndim == 3 else scores
        arrays["scores"] = array(scores, ("T", joints), f"{where}/confidence, rows {rows.start} to {rows.stop}")[
            :, order
        ]
    if "2.5d_factor" in part:
        arrays["mm_per_px"] = numbers("2.5d_factor", ("T",))
        arrays["image_joints_mm"] = numbers("joints_2.5d_image", ("T", joints, 3))[:, order]
    camera = str(entry(part, "camera_name", where)[rows.start])
    sizes = {c.name: c.size for c in load_cameras("h36m")["S1"]}
    if camera not in sizes:
        raise MotionliftError(
            f"{where}/camera_name, row {rows.start}: {camera!r}", f"Expected one of {', '.join(sizes)}"
        )
    arrays["image_size"] = sizes[camera]
    video = name.split("/")[-1]
    person = re.match(r"s_0*(\d+)_act_(\d+)", video)
    subject = f"S{person.group(1)}" if person else "unknown"
    action = f"act_{person.group(2)}" if person else ""
    action = str(part["action"][rows.start]) if "action" in part else action
    split = name.split("/")[-2]
    yield Recording(name, source.name, subject, source.fps, arrays, action, camera, split, LICENCE)
