"""The file pair that VideoPose3D (Pavllo et al., CVPR 2019) prepares, and published lifting networks train on.

    data_3d_NAME.npz         positions_3d   {subject: {action: (T, joints, 3)}}, metres, world axes, Z up
    data_2d_NAME_2D.npz      positions_2d   {subject: {action: [(T', joints, 2) of each camera]}}, pixels, T' >= T
                             metadata       {"num_joints": n, "keypoints_symmetry": ..., "layout_name": ...}

Each value is a pickled dict in a 0-d array (training/data/unpickle.py). Where the cameras stand is in no file: it is in
training/data/cameras.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.rotation import normalize, quat_to_matrix
from lifter.skeleton import Skeleton, keypoints_to_joints, layout_keypoints
from lifter.structure import array, entry, joint_order, mapping, sequence
from training.data.recording import Item, Recording
from training.data.unpickle import member_names, read_member

CAMERAS = Path(__file__).parent / "cameras"
_LAYOUTS = {"coco": "coco17", "h36m": "h36m17"}


@dataclass(frozen=True)
class Camera:
    """A static camera: x_camera = pose x_world, metres. `intrinsics` fx, fy, cx, cy in pixels, where known."""

    name: str
    size: tuple[float, float]
    pose: NDArray[np.float64]
    intrinsics: tuple[float, ...] = ()


@dataclass(frozen=True)
class Pair:
    """A file pair, and how its contents are called.

    Attributes:
        joints: names of the 3D joints, after `keep` picked them from those of the file.
        people: by the file's name of a subject ("Train/S1"), who it is, its split, and the cameras in the 2D's order.
    """

    name: str
    positions: Path
    keypoints: Path
    file_joints: int
    keep: tuple[int, ...]
    joints: tuple[str, ...]
    people: Mapping[str, tuple[str, str, tuple[Camera, ...]]]
    fps: float
    licence: str


def load_cameras(name: str) -> dict[str, tuple[Camera, ...]]:
    """Cameras of each subject of a dataset, in the order of its 2D files."""
    data = tomllib.loads((CAMERAS / f"{name}.toml").read_text(encoding="utf-8"))
    out: dict[str, tuple[Camera, ...]] = {}
    for subject, pose in data["poses"].items():
        cameras: list[Camera] = []
        for camera, turn, place in zip(data["cameras"], pose["turn"], pose["place"], strict=True):
            to_camera = quat_to_matrix(normalize(np.array(turn))).T
            matrix = np.concatenate([to_camera, -to_camera @ np.array(place)[:, None] / 1000], 1)
            lens = (*camera["focal"], *camera["center"]) if "focal" in camera else ()
            cameras.append(Camera(camera["name"], tuple(camera["size"]), matrix, lens))
        out[subject] = tuple(cameras)
    return out


_Sorter = Callable[[object, str], tuple[NDArray[np.float32], NDArray[np.float32]]]


@dataclass(frozen=True)
class _Opened:
    """Both files in memory, what brings 2D into the skeleton's joints, and which 3D joint each of these is."""

    pair: Pair
    positions: dict[str, Any]
    keypoints: dict[str, Any]
    sort: _Sorter
    order: list[int]


def pair_items(pair: Pair, skeleton: Skeleton) -> Iterator[Item]:
    """One item a subject, action and camera. Both files are in memory meanwhile."""
    order = joint_order(pair.joints, skeleton, pair.name)
    files = _Opened(
        pair,
        mapping(read_member(pair.positions, "positions_3d"), f"{pair.positions}, positions_3d"),
        mapping(read_member(pair.keypoints, "positions_2d"), f"{pair.keypoints}, positions_2d"),
        _keypoint_sorter(pair, skeleton, order),
        order,
    )
    for subject, (_, _, cameras) in pair.people.items():
        if subject not in files.positions or subject not in files.keypoints or not cameras:
            yield Item(f"{pair.name}/{subject}", partial(_absent, pair, subject, known=bool(cameras)))
            continue
        for action in mapping(files.positions[subject], f"{pair.positions}, positions_3d/{subject}"):
            for number, camera in enumerate(cameras):
                name = f"{pair.name}/{subject}/{action}/{camera.name}"
                yield Item(name, partial(_read, files, subject, action, number, name))


def _absent(pair: Pair, subject: str, *, known: bool) -> Iterator[Recording]:
    what = f"{pair.positions} and {pair.keypoints}: not both have subject {subject!r}"
    if not known:
        what = f"{pair.name}: where the cameras of subject {subject!r} stand is not known"
    raise MotionliftError(what, "Get the files again, or leave the subject out of the source")


def _read(files: _Opened, subject: str, action: str, number: int, name: str) -> Iterator[Recording]:
    pair = files.pair
    person, split, cameras = pair.people[subject]
    camera = cameras[number]
    where = f"{pair.positions}, positions_3d/{subject}/{action}"
    world = array(files.positions[subject][action], ("T", pair.file_joints, 3), where)[:, list(pair.keep)]
    where = f"{pair.keypoints}, positions_2d/{subject}"
    views = sequence(entry(files.keypoints[subject], action, where), f"{where}/{action}", len(cameras))
    where += f"/{action}[{number}]"
    xy, score = files.sort(views[number], where)
    if len(xy) < len(world):
        what = f"{where}: {len(xy)} frames, expected at least the {len(world)} of the 3D"
        raise MotionliftError(what, "Use a pair of files made together")
    arrays: dict[str, Any] = {
        "joints": world[:, files.order] @ camera.pose[:, :3].T + camera.pose[:, 3],
        "keypoints": xy[: len(world)],
        "scores": score[: len(world)],
        "up": camera.pose[:, 2],
        "image_size": camera.size,
        "camera_pose": camera.pose,
    }
    if camera.intrinsics:
        arrays["intrinsics"] = camera.intrinsics
    yield Recording(name, pair.name, person, pair.fps, arrays, action, camera.name, split, pair.licence)


def _keypoint_sorter(pair: Pair, skeleton: Skeleton, order: list[int]) -> _Sorter:
    """What brings a file's 2D keypoints into the skeleton's joints, with score 1, or 0 where there is none."""
    layout = None
    if "metadata" in member_names(pair.keypoints):
        where = f"{pair.keypoints}, metadata"
        metadata = mapping(read_member(pair.keypoints, "metadata"), where)
        layout = metadata.get("layout_name")
        if layout not in (None, "coco", "h36m") and not str(layout).startswith("humaneva"):
            raise MotionliftError(f"{where}: layout_name {layout!r}", f"Known are {', '.join(_LAYOUTS)}, humaneva15")

    def same(value: object, where: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        xy = array(value, ("T", len(pair.joints), 2), where)[:, order].astype(np.float32)
        return xy, np.ones(xy.shape[:2], np.float32)

    def by_name(value: object, where: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        name = _LAYOUTS[str(layout)]
        xy = array(value, ("T", len(layout_keypoints(name)), 2), where)
        return keypoints_to_joints(xy, np.ones(xy.shape[:2]), name, skeleton)

    return by_name if layout == "coco" else same
