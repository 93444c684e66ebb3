"""The clips with known 3D truth that captures are judged by, and what MediaPipe sees in them.

demo          lifter/demo, rendered, exact truth
performers    benchmarks/performers, rendered, exact truth; none is used for training, and to none was tuned but that
              what sidestep and lunge showed made training bend knees and have arms reach forward
pose2sim      two views of a man (in the shared data), triangulated from four cameras, good to 2 to 3 cm; a
              second person is in the picture: the person nearest to the truth in the image is taken
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lifter
from lifter.detect import Detection, load_detector
from lifter.footage import Frame, open_footage, read_frames
from lifter.skeleton import layout_keypoints
from lifter.take import Person, Take

from .performers.cast import SHOTS
from .performers.fresh import FRESH

Array = NDArray[np.float64]

ROOT = Path(__file__).parents[1]
LAYOUT = "mediapipe33"
NOISE_MEASURED = ("demo", "approach", "dance", "pose2sim_cam01", "pose2sim_cam03")
"""Clips on which training's idea of detector errors was measured; of all other clips it knows nothing."""
POSE2SIM = {
    "RHip": "r_hip", "RKnee": "r_knee", "RAnkle": "r_ankle", "RBigToe": "r_toe", "RHeel": "r_heel", "LHip": "l_hip",
    "LKnee": "l_knee", "LAnkle": "l_ankle", "LBigToe": "l_toe", "LHeel": "l_heel", "Nose": "nose",
    "RShoulder": "r_shoulder", "RElbow": "r_elbow", "RWrist": "r_wrist", "LShoulder": "l_shoulder",
    "LElbow": "l_elbow", "LWrist": "l_wrist",
}  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """Footage and what is known of it.

    Attributes:
        names: of J joints of `body`.
        joints: (T, J, 3) true joints in camera space, metres; pixels: (T, J, 2) their projections.
        focal: true focal length, pixels; size: (width, height) of the picture.
        height: of the person, metres; None where unknown.
        people: in the picture.
        up: (3,) the direction away from the ground in camera space.
        contacts: (T, 4) heels and toes on the ground; rotations: (T, B, 3, 3) of `body`'s bones relative to rest, in
            camera axes; camera: (R, t) from scene to camera space. None where unknown.
    """

    name: str
    path: Path
    names: list[str]
    joints: Array
    pixels: Array
    focal: float
    size: tuple[int, int]
    height: float | None
    people: int
    up: Array
    contacts: NDArray[np.bool_] | None = None
    rotations: Array | None = field(default=None, repr=False)
    camera: tuple[Array, Array] | None = field(default=None, repr=False)

    def column(self, name: str) -> int:
        """Index of a joint."""
        return self.names.index(name)


def all_clips(performers: Path, shared: Path | None = None) -> list[Clip]:
    """The demo clip, the performers that are rendered in the folder, and the pose2sim views where they are at hand.

    Raises FileNotFoundError if the folder lacks a performer.
    """
    out = [rendered(Path(lifter.__file__).parent / "demo", "demo")]
    out += _performers(performers, [n for n in SHOTS if n != "demo"])
    return out + pose2sim(shared or Path(os.environ.get("MOTIONLIFT_SHARED", ROOT.parent / "shared")))


def fresh_clips(performers: Path) -> list[Clip]:
    """The performers that were filmed after all constants had been chosen.

    Raises FileNotFoundError if the folder lacks one.
    """
    return _performers(performers, list(FRESH))


def _performers(folder: Path, names: list[str]) -> list[Clip]:
    missing = [n for n in names if not (folder / f"{n}_truth.npz").exists()]
    if missing:
        raise FileNotFoundError(
            f"{folder} lacks {', '.join(missing)}: python -m benchmarks.performers.render -o {folder}"
        )
    return [rendered(folder, n) for n in names]


def rendered(folder: Path, name: str) -> Clip:
    """A clip of benchmarks/performers/render.py."""
    from lifter.rotation import quat_to_matrix

    with np.load(folder / f"{name}_truth.npz", allow_pickle=False) as z:
        return Clip(
            name=name,
            path=folder / f"{name}.mp4",
            names=[str(n) for n in z["joint_names"]],
            joints=z["joints_camera"].astype(np.float64),
            pixels=z["keypoints"].astype(np.float64),
            focal=float(z["K"][0, 0]),
            size=(int(z["image_size"][0]), int(z["image_size"][1])),
            height=float(z["height"]),
            people=1,
            up=z["R"][:, 2],
            contacts=z["contacts"],
            rotations=z["R"] @ quat_to_matrix(z["rotations"]),
            camera=(z["R"], z["t"]),
        )


def pose2sim(shared: Path) -> list[Clip]:
    """The two views; none where the shared data is not at hand."""
    folder = shared / "data" / "clips"
    if not (folder / "pose2sim_truth.npz").exists():
        return []
    out: list[Clip] = []
    with np.load(folder / "pose2sim_truth.npz", allow_pickle=False) as z:
        keep = [j for j, n in enumerate(z["joints"]) if str(n) in POSE2SIM]
        for c, camera in enumerate(z["cameras"]):
            joints = z["xyz_world_m"][:, keep] @ z["R"][c].T + z["t"][c]
            pixels = joints @ z["K"][c].T
            path = folder / f"pose2sim_multi_{camera}.mp4"
            footage = open_footage(path)
            out.append(
                Clip(
                    name=f"pose2sim_{camera}",
                    path=path,
                    names=[POSE2SIM[str(z["joints"][j])] for j in keep],
                    joints=joints,
                    pixels=pixels[..., :2] / pixels[..., 2:],
                    focal=float(z["K"][c][0, 0]),
                    size=(footage.width, footage.height),
                    height=None,
                    people=2,
                    up=z["R"][c][:, 2],
                )
            )
    return out


# --- What MediaPipe sees --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """MediaPipe's detections of a clip: up to P people in each of T frames, NaN and 0 where there are fewer.

    xy (T, P, 33, 2) pixels, score (T, P, 33), world (T, P, 33, 3) metres, times (T,) seconds.
    """

    xy: NDArray[np.float32]
    score: NDArray[np.float32]
    world: NDArray[np.float32]
    times: Array

    def person(self, clip: Clip) -> Seen:
        """The one nearest to the truth in every frame, as P = 1; nobody where the nearest is someone else."""
        mine, columns = common_joints(clip)
        truth = clip.pixels[: len(self.xy), columns]
        miss = np.linalg.norm(np.median(self.xy[:, :, mine] - truth[:, None], axis=2), axis=-1)
        miss = np.where(np.isfinite(miss), miss, np.inf)
        best = miss.argmin(1)
        near = np.take_along_axis(miss, best[:, None], 1)[:, 0] < 0.5 * person_size(clip)[: len(self.xy)]
        rows = np.arange(len(best))
        xy, score, world = (a[rows, best].copy() for a in (self.xy, self.score, self.world))
        xy[~near], score[~near], world[~near] = np.nan, 0, np.nan
        return Seen(xy[:, None], score[:, None], world[:, None], self.times)


class Recorded:
    """A detector that says again what was seen before, frame by frame."""

    name = "mediapipe"
    layout = LAYOUT
    batch = 1

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._next = 0

    def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        """See `lifter.detect.Detector.detect`; frames must come as they were recorded."""
        return [self._recorded(frame.time) for frame in frames]

    def _recorded(self, time: float) -> list[Detection]:
        i, self._next = self._next, self._next + 1
        if abs(self._seen.times[i] - time) > 1e-3:
            raise ValueError(f"frame {i} was recorded at {self._seen.times[i]:.3f} s, but comes at {time:.3f} s")
        return [
            Detection(x, s, w)
            for x, s, w in zip(self._seen.xy[i], self._seen.score[i], self._seen.world[i], strict=True)
            if s.any()
        ]

    def close(self) -> None:
        """Nothing to close."""


def see(clip: Clip, cache_folder: Path) -> Seen:
    """MediaPipe's detections, from the cache where they are there."""
    key = hashlib.sha256(f"{file_digest(clip.path)} {version('mediapipe')} {clip.people}".encode()).hexdigest()[:16]
    path = cache_folder / f"seen_{clip.name}_{key}.npz"
    if not path.exists():
        times: list[float] = []
        found: list[list[Detection]] = []
        detector = load_detector("mediapipe", people=clip.people)
        try:
            for frame in read_frames(open_footage(clip.path)):
                times.append(frame.time)
                found += detector.detect([frame])
        finally:
            detector.close()
        shape = (len(found), clip.people, len(layout_keypoints(LAYOUT)))
        xy, score = np.full((*shape, 2), np.nan, np.float32), np.zeros(shape, np.float32)
        world = np.full((*shape, 3), np.nan, np.float32)
        for i, people in enumerate(found):
            for p, d in enumerate(people):
                xy[i, p], score[i, p], world[i, p] = d.xy, d.score, d.world if d.world is not None else np.nan
        write_npz(path, xy=xy, score=score, world=world, times=np.array(times))
    with np.load(path, allow_pickle=False) as z:
        return Seen(z["xy"], z["score"], z["world"], z["times"])


def common_joints(clip: Clip) -> tuple[list[int], list[int]]:
    """Columns of MediaPipe's layout and of the clip's truth that are the same joints."""
    layout = layout_keypoints(LAYOUT)
    names = [n for n in clip.names if n in layout]
    return [layout.index(n) for n in names], [clip.column(n) for n in names]


def person_size(clip: Clip) -> Array:
    """(T,) diagonal of the box around the true joints that MediaPipe has too, pixels."""
    _, columns = common_joints(clip)
    return np.linalg.norm(np.ptp(clip.pixels[:, columns], axis=1), axis=-1)


def person_of(take: Take, clip: Clip) -> Person | None:
    """The person of a take who is nearest to the truth in the image."""
    mine, columns = common_joints(clip)
    size = float(np.median(person_size(clip)))
    best: tuple[float, Person] | None = None
    for person in take.people:
        inside = person.frames < len(clip.pixels)
        away = person.keypoints[inside][:, mine] - clip.pixels[person.frames[inside]][:, columns]
        # The middle of the body: also right where left and right are exchanged.
        away = away[np.isfinite(away).any((1, 2))]
        miss = float(np.median(np.linalg.norm(np.nanmedian(away, axis=1), axis=-1)))
        if miss < 0.5 * size and (best is None or miss < best[0]):
            best = miss, person
    return None if best is None else best[1]


# --- Files ----------------------------------------------------------------------------------------------------


@cache
def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_npz(path: Path, **arrays: Any) -> None:
    """An .npz that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **arrays)
    os.replace(part, path)
