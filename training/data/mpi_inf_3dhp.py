"""MPI-INF-3DHP as P-STMO (Shan et al., ECCV 2022) prepares it.

    FOLDER/data_train_3dhp.npz   data = {"S1 Seq1": [{"0": views, "1": views, ...}, frames a second], ...}, by camera
    FOLDER/data_test_3dhp.npz    data = {"TS1": views, ...}
    views = {"data_2d": (T, 17, 2), "data_3d": (T, 17, 3)}, in the test file also "valid": (T,)

2D in pixels; 3D in millimetres of camera space, the universal skeleton (`univ_annot3`); `valid` marks the frames that
are scored. Both values are pickled dicts in 0-d arrays. The 17 joints are those of Human3.6M by meaning, so they take
its names and, in the store, the order of the skeleton; definitions of head and spine differ between the two datasets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton
from lifter.structure import array, entry, joint_order, mapping, sequence
from training.data.recording import Item, Recording
from training.data.unpickle import read_member

LICENCE = "MPI-INF-3DHP: research use only"
JOINTS = (
    "head_top", "neck", "r_shoulder", "r_elbow", "r_wrist", "l_shoulder", "l_elbow", "l_wrist", "r_hip", "r_knee",
    "r_ankle", "l_hip", "l_knee", "l_ankle", "pelvis", "h36m_spine", "h36m_nose",
)  # fmt: skip
"""The files' joints, by the names of lifter/skeletons/h36m.toml; spine and head are h36m_spine and h36m_nose."""

_SIZE, _SIZES = (2048, 2048), {"TS5": (1920, 1080), "TS6": (1920, 1080)}
_TEST_FPS = 25.0  # the test file does not say


@dataclass(frozen=True)
class MpiInf3dhpSource:
    """Attributes: `path` of the folder; `splits` to read, of "train" and "test"."""

    kind: Literal["mpi_inf_3dhp"]
    path: str
    name: str = "3dhp"
    splits: tuple[Literal["train", "test"], ...] = ("train", "test")


def mpi_inf_3dhp_items(source: MpiInf3dhpSource, base: Path, skeleton: Skeleton) -> Iterator[Item]:
    """One item a sequence and camera. A file is in memory meanwhile."""
    order = joint_order(JOINTS, skeleton, source.name)
    for split in source.splits:
        path = base / source.path / f"data_{split}_3dhp.npz"
        for key, value in mapping(read_member(path, "data"), f"{path}, data").items():
            where = f"{path}, data/{key}"
            if split == "test":
                take = partial(
                    _recording, source, order, value, where, f"{source.name}/{key}", key, "test", "", _TEST_FPS
                )
                yield Item(f"{source.name}/{key}", take)
                continue
            parts = sequence(value, where)
            cameras = mapping(parts[0] if parts else None, f"{where}[0]")
            fps = float(array(parts[1], (), f"{where}[1]")) if len(parts) > 1 else _TEST_FPS
            for camera, views in cameras.items():
                at, name = f"{where}[0]/{camera}", f"{source.name}/{key}/{camera}"
                yield Item(name, partial(_recording, source, order, views, at, name, key, "train", camera, fps))


def _recording(
    source: MpiInf3dhpSource,
    order: list[int],
    value: object,
    where: str,
    name: str,
    key: str,
    split: str,
    camera: str,
    fps: float,
) -> Iterator[Recording]:
    joints = array(entry(value, "data_3d", where), ("T", 17, 3), f"{where}/data_3d") / 1000
    keypoints = array(entry(value, "data_2d", where), ("T", 17, 2), f"{where}/data_2d")
    if len(keypoints) != len(joints):
        what = f"{where}/data_2d: {len(keypoints)} frames, expected the {len(joints)} of data_3d"
        raise MotionliftError(what, "Get the file again")
    arrays: dict[str, Any] = {"joints": joints[:, order], "keypoints": keypoints[:, order]}
    arrays["scores"] = np.ones(arrays["keypoints"].shape[:2])
    arrays["image_size"] = _SIZES.get(key, _SIZE)
    if split == "test":
        valid = array(np.ravel(entry(value, "valid", where)), ("T",), f"{where}/valid")
        if len(valid) != len(joints):
            what = f"{where}/valid: {len(valid)} frames, expected the {len(joints)} of data_3d"
            raise MotionliftError(what, "Get the file again")
        arrays["valid"] = valid != 0
    subject, _, action = key.partition(" ")
    yield Recording(name, source.name, subject, fps, arrays, action, camera, split, LICENCE)
