"""Simulated captures: motion of people no checkpoint has seen, filmed by a known camera, seen by a noisy detector.

Each clip is a recording of the open benchmark's test subjects on the default skeleton, standing on the floor at Z = 0,
before one static (or moving) camera; the keypoints have a detector's errors (`training/synthetic.py`), the same in
every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lifter.skeleton import Skeleton, layout_keypoints, load_skeleton
from training.data.open_data import ManifestSource, manifest_items
from training.detector_noise import detector_errors

Array = NDArray[np.float64]

LAYOUT = "mediapipe33"
FPS = 30.0
SIZE = (1280, 720)

CLIPS = {
    "walk": ("cmu_05_01", 0.0, 5.0),
    "exaggerated stride": ("cmu_08_07", 0.0, 5.0),
    "navigate": ("cmu_09_12", 0.0, 12.0),
    "slow walk": ("cmu_08_04", 0.0, 4.0),
    "pirouettes": ("cmu_05_13.1", 0.0, 6.0),
    "dance": ("cmu_05_02", 0.0, 9.0),
    "jetes": ("cmu_05_07", 0.0, 9.0),
    "martial arts": ("cmu_aclstm_martial_05", 0.0, 10.0),
    "martial arts 2": ("cmu_aclstm_martial_08", 4.0, 14.0),
    "punches": ("skl_s11_a04_r01", 0.0, 8.0),
    "jumping": ("skl_s12_a01_r01", 0.0, 6.0),
    "jumping jacks": ("skl_s11_a02_r01", 0.0, 6.0),
}
"""Name: recording, and the seconds of it that are used."""


@dataclass(frozen=True)
class Simulated:
    """T frames at FPS. keypoints (T, K, 2) pixels and score (T, K) of LAYOUT; joints (T, J, 3) true, scene space,
    metres; contact (T, 4) true; K (3, 3); R (T, 3, 3), t (T, 3): x_camera = R X + t."""

    name: str
    keypoints: NDArray[np.float32]
    score: NDArray[np.float32]
    joints: Array
    contact: NDArray[np.bool_]
    K: Array
    R: Array
    t: Array


def load_clips(
    corpus: Path, noise: float = 1.0, names: list[str] | None = None, moving: bool = False, focal: float = 1.1
) -> list[Simulated]:
    """The clips from the folder with the motion capture archives; focal: length in widths of the picture."""
    skeleton = load_skeleton()
    wanted = {CLIPS[n][0]: (n, *CLIPS[n][1:]) for n in (names or CLIPS)}
    out: list[Simulated] = []
    for item in manifest_items(ManifestSource("manifest", str(corpus)), Path(), skeleton):
        key = item.name.partition("/")[2]
        if key not in wanted:
            continue
        name, start, end = wanted[key]
        (recording,) = item.read()
        step = round(recording.fps / FPS)
        part = slice(int(start * recording.fps), int(end * recording.fps), step)
        joints, contact = (np.asarray(recording.arrays[k][part], np.float64) for k in ("joints", "contacts"))
        out.append(simulate(name, skeleton, joints, contact > 0.5, noise, moving, focal))
    return sorted(out, key=lambda c: list(CLIPS).index(c.name))


def simulate(
    name: str,
    skeleton: Skeleton,
    joints: Array,
    contact: NDArray[np.bool_],
    noise: float,
    moving: bool = False,
    focal: float = 1.1,
) -> Simulated:
    """Film somebody from in front, with all of the path in the picture, and detect with errors."""
    seed = int.from_bytes(name.encode()[:4].ljust(4), "little") % 2**31
    rng = np.random.default_rng(seed)
    K = np.array([[focal * SIZE[0], 0, SIZE[0] / 2], [0, focal * SIZE[0], SIZE[1] / 2], [0, 0, 1.0]])
    points = joints.reshape(-1, 3)
    middle = (points.min(0) + points.max(0)) / 2
    angle, height, roll = rng.uniform(-np.pi, np.pi), rng.uniform(0.7, 2.4), np.radians(rng.normal(0, 2))
    away = np.array([np.sin(angle), -np.cos(angle), 0.0])
    distance = 2.5
    while True:
        place = middle * [1, 1, 0] + away * distance + [0, 0, height]
        R, t = look(place, middle, roll)
        seen = points @ R.T + t
        pixels = seen @ K.T
        pixels = pixels[:, :2] / pixels[:, 2:]
        if (seen[:, 2] > 1).all() and (np.abs(pixels / SIZE - 0.5) < 0.47).all():
            break
        distance += 0.1
    frames = len(joints)
    places = np.repeat(place[None], frames, 0)
    if moving:
        time = np.arange(frames)[:, None] / FPS
        side = np.cross([0, 0, 1.0], away)
        places = places + 0.6 * np.sin(0.7 * time) * side + 0.3 * np.sin(0.5 * time) * away
    Rs, ts = (np.stack(x) for x in zip(*(look(p, middle, roll) for p in places), strict=True))
    seen = np.einsum("tij,tkj->tki", Rs, joints) + ts[:, None]
    rays = seen[..., :2] / seen[..., 2:]
    score = np.ones(rays.shape[:2])
    if noise:
        g = torch.Generator().manual_seed(seed)
        found, sure = detector_errors(
            skeleton,
            torch.from_numpy(rays).float()[None],
            torch.ones(1, *score.shape),
            torch.from_numpy(seen).float()[None],
            torch.zeros(1, *score.shape, dtype=torch.bool),
            g,
            fps=FPS,
            amount=noise,
        )
        rays, score = found[0].numpy().astype(np.float64), sure[0].numpy()
    pixels = np.concatenate([rays, np.ones((*rays.shape[:2], 1))], -1) @ K.T
    names = layout_keypoints(LAYOUT)
    keypoints = np.full((frames, len(names), 2), np.nan, np.float32)
    scores = np.zeros((frames, len(names)), np.float32)
    for k, each in enumerate(names):
        if each in skeleton.joint_names:
            j = skeleton.joint(each)
            keypoints[:, k], scores[:, k] = pixels[:, j, :2], score[:, j]
    keypoints[scores <= 0] = np.nan
    return Simulated(name, keypoints, scores, joints, contact, K, Rs, ts)


def look(place: Array, target: Array, roll: float) -> tuple[Array, Array]:
    """(R, t) of a camera at a place that looks at a target: x right, y down, z forward."""
    forward = (target - place) / np.linalg.norm(target - place)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    right, down = np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right
    R = np.stack([right, down, forward])
    return R, -R @ place
