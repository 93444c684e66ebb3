"""From rotations and locations to keys: the bone's own rotation channels, fewer keys where the motion allows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rotations import Array, angle_between, continuous, to_axis_angle, to_euler, unit

CHANNELS = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
"""Blender's property for a rotation mode; all other modes are Euler orders."""


@dataclass(frozen=True)
class Keys:
    """K keys of one property with C channels: index (K,) into the frames, values (K, C), and slopes (K, C) a frame of
    Bezier curves, or None for straight lines. A single key holds for all time."""

    index: NDArray[np.intp]
    values: Array
    slopes: Array | None = None


def rotation_channels(q: Array, mode: str) -> tuple[str, Array]:
    """Blender's property and (N, C) values for (N, 4) quaternions in a bone's rotation mode, without jumps."""
    if mode == "QUATERNION":
        return CHANNELS[mode], continuous(q)
    if mode == "AXIS_ANGLE":
        return CHANNELS[mode], to_axis_angle(q)
    return "rotation_euler", to_euler(q, mode)


def stepped(frames: NDArray[np.integer[Any]], step: int) -> NDArray[np.intp]:
    """Every step-th frame, and the first and last of every stretch without a gap."""
    edge = np.flatnonzero(np.diff(frames) > 1)
    keep = (frames - frames[0]) % max(1, step) == 0
    keep[[0, -1]] = True
    keep[edge] = keep[edge + 1] = True
    return np.flatnonzero(keep)


def reduce(values: Array, frames: NDArray[np.integer[Any]], kind: str, tolerance: float) -> Keys:
    """The fewest keys found whose Bezier curves stay within a tolerance of (N, C) values in every frame.

    kind: "rotation_quaternion" and "rotation_axis_angle" are compared as rotations and "rotation_euler" by the sum of
    its angles' errors, in radians; all else by distance. Slopes at the keys are the motion's own. Keys are added where
    the curve is farthest off, in every stretch between two keys at once, until none is off. No curve crosses a gap in
    the frames.
    """
    count = len(values)
    if count == 1 or _off(values[:1], values, kind).max() <= tolerance:
        return Keys(np.zeros(1, np.intp), values[:1])
    slopes, edges = _slopes(values, frames), np.flatnonzero(np.diff(frames) > 1)
    index = np.unique(np.concatenate([[0, count - 1], edges, edges + 1]))
    while True:
        error = _off(_curve(values, slopes, frames, index), values, kind)
        error[index] = 0
        segment = np.searchsorted(index, np.arange(count), side="right")
        worst = np.zeros(len(index) + 1)
        np.maximum.at(worst, segment, error)
        new = np.flatnonzero((error > tolerance) & (error == worst[segment]))
        if not len(new):
            return Keys(index, values[index], slopes[index])
        new = new[np.unique(segment[new], return_index=True)[1]]
        index = np.union1d(index, new)


def _slopes(values: Array, frames: NDArray[np.integer[Any]]) -> Array:
    """(N, C) central differences, one-sided at the ends of a stretch."""
    out = np.zeros_like(values)
    cuts = [0, *(np.flatnonzero(np.diff(frames) > 1) + 1).tolist(), len(frames)]
    for a, b in pairwise(cuts):
        if b - a > 1:
            out[a:b] = np.gradient(values[a:b], frames[a:b].astype(np.float64), axis=0)
    return out


def _curve(values: Array, slopes: Array, frames: NDArray[np.integer[Any]], index: NDArray[np.intp]) -> Array:
    """(N, C) cubic Hermite curves through keys: what Blender makes of handles at a third of the way."""
    right = np.clip(np.searchsorted(index, np.arange(len(frames)), side="right"), 1, len(index) - 1)
    a, b = index[right - 1], index[right]
    length = (frames[b] - frames[a]).astype(np.float64)[:, None]
    t = (frames - frames[a])[:, None] / np.maximum(length, 1)
    t2, t3 = t * t, t * t * t
    ends = (2 * t3 - 3 * t2 + 1) * values[a] + (3 * t2 - 2 * t3) * values[b]
    return ends + length * ((t3 - 2 * t2 + t) * slopes[a] + (t3 - t2) * slopes[b])


def _off(got: Array, wanted: Array, kind: str) -> Array:
    """(N,) error of channels: radians for rotations, else the distance."""
    if kind == "rotation_quaternion":
        return np.asarray(angle_between(unit(np.broadcast_to(got, wanted.shape)), unit(wanted)), np.float64)
    if kind == "rotation_axis_angle":
        return _off(_as_quaternion(got), _as_quaternion(wanted), "rotation_quaternion")
    if kind == "rotation_euler":
        # No rotation is farther off than its three angles together.
        return np.abs(got - wanted).sum(-1)
    return np.linalg.norm(got - wanted, axis=-1)


def _as_quaternion(axis_angle: Array) -> Array:
    half = axis_angle[:, :1] / 2
    return np.concatenate([np.cos(half), np.sin(half) * unit(axis_angle[:, 1:])], -1)
