"""HumanEva-I as VideoPose3D prepares it: like Human3.6M (training/data/videopose3d.py), 15 joints, 60 frames/s.

    FOLDER/data_3d_humaneva15.npz, FOLDER/data_2d_humaneva15_KEYPOINTS.npz

Subjects are called Train/S1 and Validate/S1; published work tests on Validate. An action that motion capture lost
meanwhile stands in pieces: "Walking 1 chunk0". Joints: lifter/skeletons/humaneva15.toml.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lifter.skeleton import Skeleton, load_skeleton
from training.data.recording import Item
from training.data.videopose3d import Pair, load_cameras, pair_items

LICENCE = "HumanEva: research use only"


@dataclass(frozen=True)
class HumanEvaSource:
    """Attributes: `path` of the folder; `keypoints` "gt", "detectron_pt_coco" or another 2D file's last part."""

    kind: Literal["humaneva"]
    path: str
    keypoints: str = "gt"
    name: str = "humaneva"
    subjects: tuple[str, ...] = ("S1", "S2", "S3")


def humaneva_items(source: HumanEvaSource, base: Path, skeleton: Skeleton) -> Iterator[Item]:
    """One item a subject, action and camera."""
    cameras = load_cameras("humaneva")
    folder = base / source.path
    parts = (("Train", "train"), ("Validate", "test"))
    yield from pair_items(
        Pair(
            source.name,
            folder / "data_3d_humaneva15.npz",
            folder / f"data_2d_humaneva15_{source.keypoints}.npz",
            15,
            tuple(range(15)),
            load_skeleton("humaneva15").joint_names,
            {f"{part}/{s}": (s, split, cameras.get(s, ())) for part, split in parts for s in source.subjects},
            60.0,
            LICENCE,
        ),
        skeleton,
    )
