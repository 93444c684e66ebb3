"""2D joints to 3D: the virtual camera, the network, and back into the camera's axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from .camera import FOLLOW_SECONDS, Lens, follow_person, pixels_to_rays
from .checkpoint import Checkpoint
from .skeleton import FEET

CHUNK, PIECE = 4096, 2048
"""Frames that one call of the network gets at most, and frames of a piece of a long clip."""


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
        fps: rate of the frames; the network's own rate is reached by taking every n-th frame n times over, and evening
            what comes out over the time between two of those, or by interpolation where the footage is slower.
    """
    return lift_people([(xy, score)], lens, fps, checkpoint)[0]


def lift_people(
    people: Sequence[tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]],
    lens: Lens,
    fps: float,
    checkpoint: Checkpoint,
) -> list[Lifted]:
    """Lift several people at once, whose pieces share the network's batches; arguments of each as of `lift`."""
    every = max(1, round(fps / checkpoint.fps))
    repeat = max(1, round(checkpoint.fps / fps))
    window = FOLLOW_SECONDS * fps * repeat / every
    rotations: list[NDArray[np.float64]] = []
    views: list[list[NDArray[np.float32]]] = []
    known: list[NDArray[np.float64]] = []
    for xy, score in people:
        rays = pixels_to_rays(xy, lens)
        missing = ~np.isfinite(rays).all(-1) | ~(score > 0)
        rays, score = np.where(missing[..., None], 0, rays), np.where(missing, 0, score)
        if repeat > 1:
            rays, score = _denser(rays, score, repeat)
        known.append((score > 0).astype(np.float64))
        for phase in range(min(every, len(score))):
            some = slice(phase, None, every)
            rotation, seen, size = follow_person(
                rays[some].astype(np.float64), score[some].astype(np.float64), checkpoint.importance, window
            )
            rotations.append(rotation)
            views.append([np.asarray(a, np.float32) for a in (seen, score[some], size)])
    parts = iter([_in_camera(v, r, checkpoint) for v, r in zip(lift_many(views, checkpoint), rotations, strict=True)])
    out: list[Lifted] = []
    for (xy, _), joint_known in zip(people, known, strict=True):
        joints, sigma, contact, down = zip(*islice(parts, min(every, len(joint_known))), strict=True)
        frame_known = joint_known.max(1)
        fall = _joined(down, frame_known)
        fall = fall / (np.linalg.norm(fall, axis=-1, keepdims=True) + 1e-9)
        whole = (_joined(joints, joint_known), _joined(sigma, joint_known), _joined(contact, frame_known), fall)
        out.append(Lifted(*(x[::repeat][: len(xy)] for x in whole)))
    return out


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


def _joined(phases: Sequence[NDArray[np.float32]], seen: NDArray[np.float64]) -> NDArray[np.float32]:
    """(T, ...) of the n phases' every n-th frames, evened over n frames; the first and the last stay as they are.

    Phases are lifted apart, so each errs in its own way, and one after the other they shake. The mean over n frames has
    an equal share of each.

    Args:
        seen: (T,) or (T, J), 1 where something was seen, 0 where the network only guessed: that counts next to nothing.
    """
    n = len(phases)
    out = np.zeros((len(seen), *phases[0].shape[1:]))
    for phase, part in enumerate(phases):
        out[phase::n] = part
    if n == 1:
        return out.astype(np.float32)
    weight = np.maximum(seen, 1e-3).reshape(*seen.shape, *(1,) * (out.ndim - seen.ndim))
    # As long on one side as on the other: of an even number the two frames at the ends count half.
    kernel = np.ones(n) / n if n % 2 else np.concatenate([[0.5], np.ones(n - 1), [0.5]]) / n
    margin = [(n // 2, n // 2)] + [(0, 0)] * (out.ndim - 1)
    weight = np.pad(weight, margin, mode="reflect")
    longer = np.pad(out, margin, mode="reflect", reflect_type="odd")  # what moves steadily goes on so
    evened = convolve1d(weight * longer, kernel, axis=0) / convolve1d(weight, kernel, axis=0)
    return evened[n // 2 : -(n // 2)].astype(np.float32)


def _in_camera(
    out: list[NDArray[np.float32]], rotation: NDArray[np.float64], checkpoint: Checkpoint
) -> tuple[NDArray[np.float32], ...]:
    """The network's outputs of T frames as the fields of `Lifted`."""
    joints, log_sigma, contact, down = out
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
    views = [[x[b] for x in inputs] for b in range(len(inputs[0]))]
    return [np.stack(o) for o in zip(*lift_many(views, checkpoint), strict=True)]


def lift_many(views: Sequence[list[NDArray[np.float32]]], checkpoint: Checkpoint) -> list[list[NDArray[np.float32]]]:
    """The network's outputs for clips of different lengths: (T, ...) rays, scores and sizes of each.

    Clips are cut into pieces that see `reach` frames more on either side, so that they join without seams; pieces of
    one length share a batch.
    """
    if checkpoint.window is not None and any(len(v[0]) > checkpoint.window for v in views):
        return [_alone(v, checkpoint, checkpoint.window) for v in views]
    pieces: dict[int, list[tuple[int, int, int]]] = {}
    for i, view in enumerate(views):
        frames = len(view[0])
        for start in range(0, frames, PIECE):
            a, b = max(0, start - checkpoint.reach), min(frames, start + PIECE + checkpoint.reach)
            pieces.setdefault(b - a, []).append((i, a, start))
    out: list[list[NDArray[np.float32]]] = [[] for _ in views]
    for length, places in pieces.items():
        many = max(1, CHUNK // length)
        for first in range(0, len(places), many):
            some = places[first : first + many]
            batch = [np.stack([views[i][x][a : a + length] for i, a, _ in some]) for x in range(3)]
            result = both_mirrors(batch, checkpoint)
            for row, (i, a, start) in enumerate(some):
                if not out[i]:
                    out[i] = [np.zeros((len(views[i][0]), *r.shape[2:]), np.float32) for r in result]
                end = min(start + PIECE, len(views[i][0]))
                for whole, r in zip(out[i], result, strict=True):
                    whole[start:end] = r[row, start - a : end - a]
    return out


def _alone(view: list[NDArray[np.float32]], checkpoint: Checkpoint, window: int) -> list[NDArray[np.float32]]:
    inputs = [x[None] for x in view]
    few = len(view[0]) <= window
    return [r[0] for r in (both_mirrors(inputs, checkpoint) if few else _in_windows(inputs, checkpoint, window))]


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
    joints, log_sigma, contact, down = ((a + b) / 2 for a, b in zip(plain, unmirrored, strict=True))
    return [joints, log_sigma, contact, down / (np.linalg.norm(down, axis=-1, keepdims=True) + 1e-9)]
