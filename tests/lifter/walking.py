"""Somebody who walks on a floor at Z = 0 with feet that stand exactly, filmed by a camera whose path is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lifter.rotation import normalize, quat_to_matrix
from lifter.skeleton import Skeleton
from lifter.solve import forward_kinematics, solve_rotations
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


def roll_off(
    body: Skeleton, seconds: float, fps: float = FPS, speed: float = 0.9
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Somebody who walks towards -Y and rolls off: each heel rises while its toe stays, then the foot swings.

    Heels, toes and ankles move as smoothly as people do; standing ones do not move at all.

    Returns:
        (T, J, 3) joints of constant bone lengths, (T, B, 3, 3) rotations, (T, 4) which heels and toes stand.
    """
    time = np.arange(round(seconds * fps)) / fps
    stride = speed * 1.0  # a step of each foot every second

    def ease(x: np.ndarray) -> np.ndarray:
        x = np.clip(x, 0, 1)
        return x**3 * (10 - 15 * x + 6 * x * x)

    joints = np.repeat(body.rest[None].astype(np.float64), len(time), 0)
    joints[..., 1] -= speed * time[:, None]
    joints[..., 2] -= 0.07
    contact = np.zeros((len(time), 4), bool)
    for n, (side, shift) in enumerate((("l", 0.0), ("r", 0.5))):
        hip, knee, ankle, heel, toe = (body.joint(f"{side}_{j}") for j in ("hip", "knee", "ankle", "heel", "toe"))
        cycle, phase = np.divmod(time + shift, 1.0)
        moved = (cycle - shift + 0.30 + ease((phase - 0.6) / 0.4)) * stride
        lift = 0.05 * (ease((phase - 0.6) / 0.2) - ease((phase - 0.8) / 0.2))
        pitch = np.radians(32) * (ease((phase - 0.3) / 0.3) - ease((phase - 0.6) / 0.35))
        place = np.stack([np.full(len(time), body.rest[toe, 0]), body.rest[toe, 1] - moved, lift], -1)
        place[:, 2] += body.rest[toe, 2]
        turn = quat_to_matrix(np.stack([np.cos(pitch / 2), np.sin(pitch / 2), 0 * pitch, 0 * pitch], -1))
        for j in (heel, ankle, toe):
            joints[:, j] = place + turn @ (body.rest[j] - body.rest[toe]).astype(np.float64)
        thigh, shin = (np.linalg.norm(body.rest[b] - body.rest[a]) for a, b in ((hip, knee), (knee, ankle)))
        leg = joints[:, ankle] - joints[:, hip]
        length = np.linalg.norm(leg, axis=-1)
        assert (length < 0.995 * (thigh + shin)).all()
        along = (thigh**2 - shin**2 + length**2) / (2 * length)
        forward = normalize(np.cross(leg, [-1.0, 0, 0]))
        forward *= np.sign(-forward[:, 1:2])
        off = np.sqrt(thigh**2 - along**2)[:, None]
        joints[:, knee] = joints[:, hip] + leg * (along / length)[:, None] + forward * off
        contact[:, 2 * n], contact[:, 2 * n + 1] = phase < 0.3, phase < 0.6
    rotations = solve_rotations(body, joints, fps)
    return forward_kinematics(body, rotations, body.rest_offsets) + joints[:, :1], rotations, contact


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
