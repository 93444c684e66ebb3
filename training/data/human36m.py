"""Human3.6M as VideoPose3D prepares it: all frames of all cameras, 2D in pixels, 3D in camera space.

    FOLDER/data_3d_h36m.npz, FOLDER/data_2d_h36m_KEYPOINTS.npz (training/data/videopose3d.py); 32 joints, 50 frames/s.

Only the 17 joints that published work uses are kept: those of lifter/skeletons/h36m.toml, in its order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lifter.skeleton import Skeleton, layout_keypoints
from training.data.recording import Item
from training.data.videopose3d import Pair, load_cameras, pair_items

LICENCE = "Human3.6M: academic use only"
STATIC = (4, 5, 9, 10, 11, 16, 20, 21, 22, 23, 24, 28, 29, 30, 31)
"""Those of the 32 joints that do not move by themselves, or stand twice."""


@dataclass(frozen=True)
class Human36mSource:
    """Attributes: `path` of the folder; `keypoints` "cpn_ft_h36m_dbb", "gt" or another 2D file's middle part."""

    kind: Literal["h36m"]
    path: str
    keypoints: str = "cpn_ft_h36m_dbb"
    name: str = "h36m"
    train: tuple[str, ...] = ("S1", "S5", "S6", "S7", "S8")
    test: tuple[str, ...] = ("S9", "S11")


def human36m_items(source: Human36mSource, base: Path, skeleton: Skeleton) -> Iterator[Item]:
    """One item a subject, action and camera."""
    cameras = load_cameras("h36m")
    splits = dict.fromkeys(source.train, "train") | dict.fromkeys(source.test, "test")
    folder = base / source.path
    yield from pair_items(
        Pair(
            source.name,
            folder / "data_3d_h36m.npz",
            folder / f"data_2d_h36m_{source.keypoints}.npz",
            32,
            tuple(j for j in range(32) if j not in STATIC),
            layout_keypoints("h36m17"),
            {s: (s, split, cameras.get(s, ())) for s, split in splits.items()},
            50.0,
            LICENCE,
        ),
        skeleton,
    )
