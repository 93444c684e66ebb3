"""How large a tracked camera's path is in metres: camera tracking alone cannot know, the people in the picture do.

A person's height says how far from the camera he is in every frame. If the path is too large or too small, the camera's
own motion is left over in the person's: feet that stand seem to slide, and hips to be thrown about. The one factor
under which that is least is the scale.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .smooth import runs
from .world import ROOT_ACCELERATION, Shot, root_path

Array = NDArray[np.float64]

STANDING_ERROR = 0.05
"""Metres that a standing foot seems to move while it stands, across the line of sight."""

DEPTH_ERROR = 5.0
"""How much larger errors are along the line of sight."""

BETWEEN = 0.5
"""Seconds between the frames whose straight path is expected: accelerations over less are mostly noise."""


def path_scale(shots: list[Shot], places: list[Array], rounds: int = 10) -> tuple[float, float]:
    """The factor that brings camera places into the unit of the people before it, and its standard error.

    Args:
        shots: with the rotation of each frame, and a camera that does not leave the origin: translation 0.
        places: (T, 3) the camera's places of each shot, in their own unit.
    Returns:
        1 and infinity where the camera stays at its place, or nobody says anything about it.
    """
    groups: list[tuple[Array, Array]] = []
    for shot, place in zip(shots, places, strict=True):
        if shot.valid.any():
            groups += _groups(shot, place)
    if not groups or sum(float((a * a).sum()) for a, _ in groups) < 1e-12:
        return 1.0, float("inf")
    # y + scale * a = 0 up to an error of one: least squares, in which wrong stances count less by Huber's rule.
    trust = [np.ones(len(a)) for a, _ in groups]
    scale, normal, pulls = 1.0, np.ones(1), np.zeros(1)
    for _ in range(rounds):
        normal = np.array([(w[:, None] * a * a).sum() for (a, _), w in zip(groups, trust, strict=True)])
        pulls = np.array([-(w[:, None] * a * y).sum() for (a, y), w in zip(groups, trust, strict=True)])
        scale = float(pulls.sum() / normal.sum())
        trust = [1 / np.maximum(1, np.linalg.norm(y + scale * a, axis=1) / 1.5) for a, y in groups]
    # Errors of one stance go together, those of two do not: the sandwich formula over stances.
    error = float(np.sqrt(((pulls - scale * normal) ** 2).sum()) / normal.sum())
    return scale, error


def _groups(shot: Shot, place: Array) -> list[tuple[Array, Array]]:
    """Pairs of (n, 3) what the camera and the person seem to move, each in units of its error, a stance or second."""
    alone = replace(shot, contact=np.zeros_like(shot.contact), translation=np.zeros_like(shot.translation))
    root, _ = root_path(alone)
    feet = root[:, None] + shot.feet
    out: list[tuple[Array, Array]] = []
    weight = np.array([1, 1, 1 / DEPTH_ERROR])[:, None] * shot.rotation
    for f in range(shot.feet.shape[1]):
        for start, stop in runs(shot.contact[:, f] & shot.valid):
            part = slice(start, stop)
            a, y = place[part], feet[part, f]
            turn = weight[part] / STANDING_ERROR / np.sqrt(shot.feet.shape[1])
            out.append((_seen(turn, a - a.mean(0)), _seen(turn, y - y.mean(0))))
    standing = shot.contact & shot.valid[:, None]
    if standing.any():
        # All feet stand on one floor.
        heights = feet[..., 2][standing]
        above = np.repeat(place[:, None, 2], standing.shape[1], 1)[standing]
        few = STANDING_ERROR * np.sqrt(len(heights) / max(1, len(out)))
        a, y = ((v - v.mean())[:, None] / few for v in (above, heights))
        out += list(zip(np.array_split(a, max(1, len(out))), np.array_split(y, max(1, len(out))), strict=True))
    lag = max(1, round(BETWEEN * shot.fps))
    for start, stop in runs(shot.valid):
        if stop - start > 2 * lag:
            part = slice(start, stop)
            a, y = (_bend(v[part], lag) for v in (place, root))
            turn = weight[start + lag : stop - lag] / (ROOT_ACCELERATION * BETWEEN**2 * np.sqrt(2 * lag))
            a, y = _seen(turn, a), _seen(turn, y)
            many = max(1, len(a) // (2 * lag))
            out += list(zip(np.array_split(a, many), np.array_split(y, many), strict=True))
    return out


def _seen(turn: Array, v: Array) -> Array:
    return (turn @ v[..., None])[..., 0]


def _bend(v: Array, lag: int) -> Array:
    """How far the middle of three points is off the line between the others."""
    return v[: -2 * lag] - 2 * v[lag:-lag] + v[2 * lag :]
