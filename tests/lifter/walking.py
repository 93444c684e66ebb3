"""Somebody who walks on a floor at Z = 0 with feet that stand exactly, filmed by a camera whose path is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lifter.skeleton import Skeleton
from lifter.take import Person

LAYOUT = str(Path(__file__).parents[2] / "lifter" / "skeletons" / "body.toml")
FPS = 30.0


def walk(body: Skeleton, seconds: float, speed: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    """(T, J, 3) joints of somebody who walks towards -Y, and (T, 4) which heels and toes stand."""
    frames = round(seconds * FPS)
    time = np.arange(frames) / FPS
    joints = np.repeat(body.rest[None].astype(np.float64), frames, 0)
    joints[..., 1] -= speed * time[:, None]
    joints[..., 2] -= 0.06  # bent knees
    contact = np.zeros((frames, 4), bool)
    for side, shift in (("l", 0.0), ("r", 0.5)):
        hip, knee, ankle, heel, toe = (body.joint(f"{side}_{n}") for n in ("hip", "knee", "ankle", "heel", "toe"))
        phase = (time + shift) % 1.0
        stands = phase < 0.5
        ahead = np.where(stands, 0.25 - phase, -0.25 + (phase - 0.5)) * speed
        lift = np.where(stands, 0.0, 0.08 * np.sin(np.pi * (phase - 0.5) / 0.5))
        for j in (ankle, heel, toe):
            joints[:, j, 1] = joints[:, hip, 1] + body.rest[j, 1] - body.rest[hip, 1] - ahead
            joints[:, j, 2] = body.rest[j, 2] + lift
        thigh, shin = (np.linalg.norm(body.rest[b] - body.rest[a]) for a, b in ((hip, knee), (knee, ankle)))
        leg = joints[:, ankle] - joints[:, hip]
        length = np.linalg.norm(leg, axis=-1)
        assert (length < thigh + shin).all()
        along = (thigh**2 - shin**2 + length**2) / (2 * length)
        forward = np.cross(leg, [1.0, 0, 0])
        forward *= np.sign(-forward[:, 1:2]) / np.linalg.norm(forward, axis=-1, keepdims=True)
        joints[:, knee] = (
            joints[:, hip] + leg * (along / length)[:, None] + forward * np.sqrt(thigh**2 - along**2)[:, None]
        )
        contact[:, (0, 1) if side == "l" else (2, 3)] = stands[:, None]
    return joints, contact


def look(place: np.ndarray, target: np.ndarray, roll: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(R, t) of a camera at a place that looks at a target."""
    forward = (target - place) / np.linalg.norm(target - place)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    right, down = np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right
    R = np.stack([right, down, forward])
    return R, -R @ place


def film(
    body: Skeleton,
    joints: np.ndarray,
    contact: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    focal: np.ndarray,
    center: tuple[float, float] = (640.0, 360.0),
) -> Person:
    """What a perfect detector and a perfect network see of it: (T, 3, 3), (T, 3) and (T,) of the camera."""
    frames = len(joints)
    seen = joints @ np.swapaxes(rotation, 1, 2) + translation[:, None]
    pixels = seen[..., :2] / seen[..., 2:] * focal[:, None, None] + np.array(center)
    count, bones = len(body.joint_names), len(body.bones)
    return Person(
        frames=np.arange(frames, dtype=np.int32),
        times=np.arange(frames) / FPS,
        state=np.ones(frames, np.uint8),
        swapped=np.zeros(frames, bool),
        keypoints=pixels.astype(np.float32),
        scores=np.ones((frames, count), np.float32),
        lifted=(seen - seen[:, :1]).astype(np.float32),
        sigma=np.full((frames, count), 0.01, np.float32),
        contact=np.where(contact, 0.98, 0.02).astype(np.float32),
        down=-rotation[:, :, 2].astype(np.float32),
        joints_camera=seen.astype(np.float32),
        joints_world=np.zeros((frames, count, 3), np.float32),
        rotations=np.zeros((frames, bones, 4), np.float32),
        offsets=np.zeros((count, 3), np.float32),
        stands=np.zeros((frames, 4), bool),
        outlier=np.zeros((frames, count), bool),
    )
