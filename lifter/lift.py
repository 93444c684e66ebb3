"""2D joints to 3D: the virtual camera, the network, and back into the camera's axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .camera import FOLLOW_SECONDS, Lens, follow_person, pixels_to_rays
from .checkpoint import Checkpoint
from .skeleton import FEET

CHUNK = 4096
"""Frames that one call of the network gets at most."""


@dataclass(frozen=True)
class Lifted:
    """What the network says of T frames, in camera axes; as the fields of the same names in a take."""

    joints: NDArray[np.float32]
    sigma: NDArray[np.float32]
    contact: NDArray[np.float32]
    down: NDArray[np.float32]


def lift(
    xy: NDArray[np.floating[Any]], score: NDArray[np.floating[Any]], lens: Lens, fps: float, checkpoint: Checkpoint
) -> Lifted:
    """Lift one person's joints.

    Args:
        xy: (T, J, 2) pixels in the order of the checkpoint's skeleton, NaN where missing.
        score: (T, J), 0 where missing.
        fps: rate of the frames; the network's own rate is reached by taking every n-th frame n times over,
            or by interpolation where the footage is slower.
    """
    rays = pixels_to_rays(xy, lens)
    missing = ~np.isfinite(rays).all(-1) | ~(score > 0)
    rays, score = np.where(missing[..., None], 0, rays), np.where(missing, 0, score)
    phases = max(1, round(fps / checkpoint.fps))
    repeat = max(1, round(checkpoint.fps / fps))
    frames = len(rays)
    if repeat > 1:
        rays, score = _denser(rays, score, repeat)
    out: list[NDArray[np.float32]] = []
    for phase in range(phases):
        part = _lift_even(rays[phase::phases], score[phase::phases], fps * repeat / phases, checkpoint)
        if not out:
            out = [np.zeros((len(rays), *p.shape[1:]), np.float32) for p in part]
        for whole, p in zip(out, part, strict=True):
            whole[phase::phases] = p
    return Lifted(*(o[::repeat][:frames] for o in out))


def _denser(
    rays: NDArray[np.floating[Any]], score: NDArray[np.floating[Any]], repeat: int
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Put `repeat` - 1 frames between any two, linear; a joint missing in either is missing between them."""
    at = np.arange((len(rays) - 1) * repeat + 1) / repeat
    low = at.astype(int)
    high = np.minimum(low + 1, len(rays) - 1)
    u = (at - low)[:, None]
    between = np.where((score[low] > 0) & ((score[high] > 0) | (u == 0)), score[low] * (1 - u) + score[high] * u, 0)
    return rays[low] * (1 - u[..., None]) + rays[high] * u[..., None], between


def _lift_even(
    rays: NDArray[np.floating[Any]], score: NDArray[np.floating[Any]], fps: float, checkpoint: Checkpoint
) -> tuple[NDArray[np.float32], ...]:
    """Lift frames that follow each other at about the network's rate."""
    rotation, seen, size = follow_person(
        rays.astype(np.float64), score.astype(np.float64), checkpoint.importance, FOLLOW_SECONDS * fps
    )
    inputs = [np.asarray(a, np.float32)[None] for a in (seen, score, size)]
    joints, log_sigma, contact, down = (r[0] for r in lift_views(inputs, checkpoint))
    # Rows times the rotation: the inverse turn, back into the camera's axes.
    return (
        (joints @ rotation).astype(np.float32),
        np.exp(log_sigma).astype(np.float32),
        _of_feet(1 / (1 + np.exp(-contact)), checkpoint),
        (down[:, None] @ rotation)[:, 0].astype(np.float32),
    )


def _of_feet(contact: NDArray[np.floating[Any]], checkpoint: Checkpoint) -> NDArray[np.float32]:
    """(T, 4) in the order of FEET; a point that the skeleton does not have never touches the ground."""
    points = [i for i, n in enumerate(FEET) if n in checkpoint.skeleton.joint_names]
    out = np.zeros((len(contact), len(FEET)), np.float32)
    out[:, points] = contact
    return out


def lift_views(inputs: list[NDArray[np.float32]], checkpoint: Checkpoint) -> list[NDArray[np.float32]]:
    """The network's outputs for (B, T, ...) rays, scores and sizes of any number of frames."""
    frames = inputs[0].shape[1]
    if checkpoint.window is not None and frames > checkpoint.window:
        return _in_windows(inputs, checkpoint, checkpoint.window)
    # Every frame sees `reach` frames on either side, so that chunks join without seams.
    parts: list[list[NDArray[np.float32]]] = []
    for start in range(0, frames, CHUNK):
        a, b = max(0, start - checkpoint.reach), min(frames, start + CHUNK + checkpoint.reach)
        result = both_mirrors([x[:, a:b] for x in inputs], checkpoint)
        keep = slice(start - a, min(start + CHUNK, frames) - a)
        parts.append([r[:, keep] for r in result])
    return [np.concatenate(p, 1) for p in zip(*parts, strict=True)]


def _in_windows(inputs: list[NDArray[np.float32]], checkpoint: Checkpoint, window: int) -> list[NDArray[np.float32]]:
    """Windows that overlap by half, each faded in and out, so that there are no seams."""
    batch, frames = inputs[0].shape[:2]
    starts = sorted({*range(0, frames - window, max(1, window // 2)), frames - window})
    weight = np.minimum(np.arange(1, window + 1), np.arange(window, 0, -1)).astype(np.float32)
    total: list[NDArray[np.float32]] = []
    norm = np.zeros(frames, np.float32)
    many = max(1, CHUNK // (window * batch))
    for first in range(0, len(starts), many):
        some = starts[first : first + many]
        result = both_mirrors([np.concatenate([x[:, s : s + window] for s in some]) for x in inputs], checkpoint)
        if not total:
            total = [np.zeros((batch, frames, *r.shape[2:]), np.float32) for r in result]
        for i, s in enumerate(some):
            norm[s : s + window] += weight
            for t, r in zip(total, result, strict=True):
                t[:, s : s + window] += r[i * batch : (i + 1) * batch] * weight.reshape(-1, *(1,) * (r.ndim - 2))
    return [t / norm.reshape(-1, *(1,) * (t.ndim - 2)) for t in total]


def both_mirrors(inputs: list[NDArray[np.float32]], checkpoint: Checkpoint) -> list[NDArray[np.float32]]:
    """The mean of what the network says of the person and of the person's mirror image.

    A skeleton that is not its own mirror image, such as a hand, is seen as it is alone.
    """
    mirror = checkpoint.skeleton.mirror
    rays, score, size = inputs
    flip2, flip3 = np.array([-1, 1], np.float32), np.array([-1, 1, 1], np.float32)
    plain = checkpoint.run(rays, score, size)
    if not checkpoint.skeleton.symmetric:
        return list(plain)
    image = checkpoint.run(rays[:, :, mirror] * flip2, score[:, :, mirror], size)
    unmirrored = (
        image[0][:, :, mirror] * flip3,
        image[1][:, :, mirror],
        image[2][..., checkpoint.skeleton.contact_mirror],
        image[3] * flip3,
    )
    return [(a + b) / 2 for a, b in zip(plain, unmirrored, strict=True)]
