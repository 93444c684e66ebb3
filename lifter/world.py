"""From the camera's space to the scene's: root path, gravity, floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from scipy.ndimage import minimum_filter1d

from .camera import Lens, pixels_to_rays
from .rotation import normalize
from .smooth import runs

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

ROOT_ACCELERATION = 3.0
"""Typical acceleration of a person's hips in m/s^2: how smooth a root path is expected to be."""

PIXEL_ERROR = 0.015
"""Typical error of a keypoint relative to the person's size; joints of one frame err together."""

SLIDE = 0.12
"""m/s that a foot in contact seems to move by, since the joints above it err."""

SETTLING = 0.07
"""Seconds after a foot has landed and before it leaves in which it may still roll."""

FLOOR_ERROR = 0.02
"""Metres that a foot in contact seems to be off the floor."""

FOOTHOLD_ERROR, FOOTHOLDS, GRAVITY_ERROR = 0.06, 4.0, float(np.radians(4))
"""Metres that a place where a foot stands seems too high or low; how many of them are independent; and radians that
a network's gravity errs by over a clip."""

FLIGHT = 0.08, 0.9
"""Seconds that a person may be in the air: shorter is a contact that was missed, longer a harness."""

RISE = 0.04
"""Metres that the lower foot is off the floor in the middle of a flight, at least."""

JUMP_ACCELERATION = 30.0
"""Typical acceleration of the hips at take-off and landing, m/s^2."""

GRAVITY = 9.81

SETTLED = 2e-4
"""Metres by which a path may move in a round that is the last."""

NEAREST = 0.05
"""Metres before the camera; what seems nearer has no weight."""

BLOCK = 512
"""Frames that are looked at together: what is known of their joints fits into a processor's cache."""


@dataclass(frozen=True)
class Shot:
    """What a path is solved from: T frames in axes with Z up.

    Attributes:
        relative: (T, J, 3) joints minus the root, metres; any finite value where not valid.
        keypoints: (T, J, 2) pixels, NaN where missing; score: (T, J).
        valid: (T,) frames with joints. The others follow from their neighbours.
        lens: of the camera, whose pose is x_camera = rotation @ X + translation: (T, 3, 3) and (T, 3).
        feet: (T, F, 3) points under the feet, on the soles, relative to the root; contact: (T, F) which of them stand.
    """

    relative: NDArray[np.floating[Any]]
    keypoints: NDArray[np.floating[Any]]
    score: NDArray[np.floating[Any]]
    valid: Flags
    lens: Lens
    fps: float
    rotation: Array
    translation: Array
    feet: Array
    contact: Flags


def root_path(
    shot: Shot, floor: float | None = None, rounds: int = 8, even: bool = True, start: Array | None = None
) -> tuple[Array, float | None]:
    """(T, 3) positions of the root that best reproject the joints, with feet that stand, and the floor's height.

    For a known lens a joint's ray (x, y) asks c_x - x c_z = 0 and the same for y, where c = R (X + p) + t is the
    joint in the camera: linear in the root X. A foot point in contact neither moves between two frames nor leaves
    the floor, whose one height is solved along where it is not given. Elsewhere the root's acceleration is small,
    and that of a body in flight is gravity's. All frames are one banded system, solved in linear time; a few rounds
    re-weight by Huber's rule, so that wrong keypoints and wrong contacts lose their pull, until the path moves by less
    than SETTLED.

    The floor is None where it was not given and no foot stands. Without `even` feet stand at any height, and the
    floor is only their median: on a path with wrong gravity they then climb or descend. `start`: (T, 3), a path near
    the one that is looked for, which then needs fewer rounds.
    """
    frames, p = len(shot.relative), np.asarray(shot.relative, np.float64)
    sight = _sight(shot, p)
    distances = _lengths(p)[shot.valid]
    size = max(float(np.median(distances)) if distances.size else 0.0, 0.1) * 2
    standing = shot.contact & shot.valid[:, None]
    together = _settled(standing[1:] & standing[:-1], max(1, round(SETTLING * shot.fps)))
    steps, heights_of_feet = shot.feet[1:] - shot.feet[:-1], shot.feet[..., 2]
    fall, flights = _flights(shot, p)
    in_air = np.zeros(frames, bool)
    grip, level = np.ones(together.shape), np.ones(standing.shape)
    root, height = start, floor
    for turn in range(rounds):
        if root is not None:
            slid = _lengths(steps + (root[1:] - root[:-1])[:, None]) * shot.fps
            grip = np.minimum(1.0, 2 * SLIDE / np.maximum(slid, 1e-9))
            heights = root[:, None, 2] + heights_of_feet
            if height is None and standing.any():
                height = float(np.median(heights[standing]))
            if height is not None:
                # Who is in the air has left the floor: a contact that was only missed does not count as a flight.
                in_air = _risen(heights - height, flights)
                level = np.minimum(1.0, 2 * FLOOR_ERROR / np.maximum(np.abs(heights - height), 1e-9))
        # The residual is in metres on the plane through the person; all joints of a frame together count
        # like four independent ones.
        system = _System(frames)
        moved = None if root is None else (shot.rotation @ root[..., None])[..., 0]
        system.add_frames(*_normal_equations(shot.rotation, sight, moved, size * PIXEL_ERROR))
        system.add_accelerations(*_expected(shot.fps, fall, in_air))
        held = together * grip / (SLIDE / shot.fps) ** 2
        system.add_steps(held.sum(1), -(held[..., None] * steps).sum(1))
        on_floor = standing * level / FLOOR_ERROR**2
        if not even or (root is None and floor is None):
            on_floor = on_floor * 0  # the first path says where the floor is
        pull = -(on_floor * heights_of_feet).sum(1)
        before = root
        root, height = system.solve(on_floor.sum(1), pull, height if floor is not None else None)
        if turn and before is not None and float(np.abs(root - before).max(initial=0.0)) < SETTLED:
            break
    assert root is not None
    if height is None and standing.any():
        height = float(np.median((root[:, None, 2] + heights_of_feet)[standing]))
    return root, height


def _settled(together: Flags, edge: int) -> Flags:
    """(T-1, F) steps without so many at either end of each stance, where feet roll and joints above them err most."""
    return minimum_filter1d(together, 2 * edge + 1, axis=0, mode="nearest") if len(together) else together


@dataclass(frozen=True)
class _Sight:
    """(J, T) of each joint in each frame: its ray (x, y), 0 where not seen; what is missed with the root at the origin,
    x c_z - c_x and y c_z - c_y; its depth then; and a weight, 0 where it is not seen. Joints first, so that sums over
    them are sums of long rows."""

    x: Array
    y: Array
    miss_x: Array
    miss_y: Array
    depth: Array
    weight: Array


def _sight(shot: Shot, p: Array) -> _Sight:
    """What the camera says of (T, J, 3) joints relative to the root."""
    frames, joints = p.shape[:2]
    out = _Sight(*(np.empty((joints, frames)) for _ in range(6)))
    for start in range(0, frames, BLOCK):
        at = slice(start, start + BLOCK)
        rays = pixels_to_rays(shot.keypoints[at], shot.lens)
        seen = np.isfinite(rays).all(-1) & shot.valid[at, None]
        place = p[at] @ np.swapaxes(shot.rotation[at], -1, -2) + shot.translation[at, None]
        rays = np.where(seen[..., None], rays, 0.0)
        miss = rays * place[..., 2:] - place[..., :2]
        weight = np.where(seen, np.asarray(shot.score[at], np.float64), 0.0)
        parts = (rays[..., 0], rays[..., 1], miss[..., 0], miss[..., 1], place[..., 2], weight)
        for part, value in zip((out.x, out.y, out.miss_x, out.miss_y, out.depth, out.weight), parts, strict=True):
            part[:, at] = value.T
    return out


def _normal_equations(rotation: Array, sight: _Sight, moved: Array | None, error: float) -> tuple[Array, Array]:
    """(T, 3, 3) A^T A and (T, 3) A^T b of the terms w |c_x - x c_z|^2 + w |c_y - y c_z|^2 with c = R X + place.

    w: the sight's weights by Huber's rule, for a root at (T, 3) `moved` in the camera's axes; as they are for None.

    In the camera's axes the terms hold nothing but weighted sums over joints of 1, x, y, x^2 + y^2 and of what is
    missed with the root at the origin; so 100,000 frames need no rows of their own. Blocks of frames stay in the
    processor's cache.
    """
    frames = sight.x.shape[1]
    normal, right = np.zeros((frames, 3, 3)), np.zeros((frames, 3))
    for start in range(0, frames, BLOCK):
        at = slice(start, start + BLOCK)
        x, y, miss_x, miss_y = sight.x[:, at], sight.y[:, at], sight.miss_x[:, at], sight.miss_y[:, at]
        w = sight.weight[:, at]
        if moved is not None:
            mx, my, mz = moved[at].T
            off = np.square(mx - x * mz - miss_x) + np.square(my - y * mz - miss_y)
            trust = np.minimum(1.0, 2 * error / np.sqrt(np.maximum(off, 1e-18)))
            w = w * trust * (sight.depth[:, at] + mz > NEAREST)
        total = w.sum(0)
        w = w * (4 / np.maximum(total, 4) / error**2)
        wx, wy = w * x, w * y
        normal[at, 0, 0] = normal[at, 1, 1] = w.sum(0)
        normal[at, 0, 2] = normal[at, 2, 0] = -wx.sum(0)
        normal[at, 1, 2] = normal[at, 2, 1] = -wy.sum(0)
        normal[at, 2, 2] = (wx * x + wy * y).sum(0)
        right[at, 0], right[at, 1] = (w * miss_x).sum(0), (w * miss_y).sum(0)
        right[at, 2] = -(wx * miss_x + wy * miss_y).sum(0)
    back = np.swapaxes(rotation, -1, -2)
    return back @ normal @ rotation, (back @ right[..., None])[..., 0]


def _lengths(vectors: Array) -> Array:
    """(...) of (..., 3); several times as fast as NumPy's norm."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.sqrt(x * x + y * y + z * z)


def _flights(shot: Shot, p: Array) -> tuple[Array, list[tuple[int, int]]]:
    """(T-2, 3) what the root's acceleration is in flight, metres a frame^2, and (start, stop) of what may be flights.

    In the air the middle of the body falls; the root moves against what arms and legs do. The middle is taken as the
    mean of the joints.
    """
    found: list[tuple[int, int]] = []
    for start, stop in runs(shot.valid & ~shot.contact.any(1)) if shot.contact.any() else ():
        inside = start > 0 and stop < len(p) and shot.valid[start - 1] and shot.valid[stop]
        if inside and FLIGHT[0] <= (stop - start) / shot.fps <= FLIGHT[1]:
            found.append((start, stop))
    return np.array([0, 0, -GRAVITY / shot.fps**2]) - np.diff(p.mean(1), 2, axis=0), found


def _risen(heights: Array, flights: list[tuple[int, int]]) -> Flags:
    """(T,) frames of those flights in which (T, F) points of the feet are off the floor."""
    in_air = np.zeros(len(heights), bool)
    for start, stop in flights:
        lower: Array = heights[start:stop].min(1)
        in_air[start:stop] = float(np.median(lower)) > RISE
    return in_air


def _expected(fps: float, fall: Array, in_air: Flags) -> tuple[Array, Array]:
    """(T-2,) weights and (T-2, 3) wanted second differences of the root. Take-off and landing are sudden."""
    change = np.abs(np.diff(in_air.astype(np.int8)))
    sudden = (change[1:] + change[:-1]) > 0
    weight = (fps**2 / np.where(sudden, JUMP_ACCELERATION, ROOT_ACCELERATION)) ** 2
    return weight, np.where((in_air[1:-1] & ~sudden)[:, None], fall, 0.0)


class _System:
    """A symmetric banded system in (T, 3) positions: terms are added, then all are solved at once."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.band = np.zeros((7, 3 * frames))  # upper form: band[6 + i - j, j] = matrix[i, j]
        self.band[6] = 1e-6
        self.right = np.zeros((frames, 3))

    def _add(self, offset: int, values: Array) -> None:
        for a in range(3):
            self.band[6 - 3 * offset, 3 * offset + a :: 3] += values

    def add_frames(self, normal: Array, right: Array) -> None:
        """(T, 3, 3) A^T A and (T, 3) A^T b of terms |A X_t - b|^2."""
        for a in range(3):
            for b in range(a, 3):
                self.band[6 + a - b, b::3] += normal[:, a, b]
        self.right += right

    def add_steps(self, weight: Array, right: Array) -> None:
        """(T-1,) w and (T-1, 3) w * b of terms w |X_t+1 - X_t - b|^2."""
        diagonal = np.zeros(self.frames)
        diagonal[:-1] += weight
        diagonal[1:] += weight
        self._add(0, diagonal)
        self._add(1, -weight)
        self.right[1:] += right
        self.right[:-1] -= right

    def add_accelerations(self, weight: Array, wanted: Array) -> None:
        """Terms w |X_t-1 - 2 X_t + X_t+1 - b|^2 for (T-2,) w and (T-2, 3) b."""
        kernel = (1.0, -2.0, 1.0)
        inner = self.frames - 2
        if inner <= 0:
            return
        for offset in range(3):
            values = np.zeros(self.frames - offset)
            for i in range(3 - offset):
                values[i : i + inner] += weight * kernel[i] * kernel[i + offset]
            self._add(offset, values)
        for i in range(3):
            self.right[i : i + inner] += kernel[i] * weight[:, None] * wanted

    def solve(self, on_floor: Array, pull: Array, floor: float | None) -> tuple[Array, float | None]:
        """(T, 3) X and the floor h that also minimise sum_t w |Z_t - h - b|^2 for (T,) w and w * b.

        h is None where no term speaks of it. The path is linear in h: two right-hand sides tell both.
        """
        self.band[6, 2::3] += on_floor
        right = np.zeros((self.frames, 3, 2))
        right[..., 0] = self.right
        right[:, 2, 0] += pull
        right[:, 2, 1] = on_floor
        solved = np.asarray(
            solveh_banded(self.band, right.reshape(-1, 2), overwrite_ab=True, check_finite=False)
        ).reshape(self.frames, 3, 2)
        alone, per_metre = solved[..., 0], solved[..., 1]
        if not on_floor.any():
            return alone, floor
        if floor is None:
            free = float((on_floor * (1 - per_metre[:, 2])).sum())
            floor = float((on_floor * alone[:, 2] - pull).sum() / max(free, 1e-9))
        return alone + floor * per_metre, floor


def mean_direction(directions: NDArray[np.floating[Any]], weights: NDArray[np.floating[Any]]) -> Array:
    """(3,) the robust mean of (N, 3) unit vectors: outliers count less, round by round."""
    d, weights = np.asarray(directions, np.float64), np.asarray(weights, np.float64)
    mean = normalize((d * weights[:, None]).sum(0))
    for _ in range(10):
        w = weights / np.maximum(np.linalg.norm(d - mean, axis=-1), 0.05)
        mean = normalize((d * w[:, None]).sum(0))
    return mean


def upright_on(points: Array, seconds: Array) -> Array:
    """(3,) up, from (N, 3) places where feet stood, for so many (N,) seconds each, in axes whose Z is about up.

    The plane through the places, robustly (Huber), held by the axes' own Z as if that erred by GRAVITY_ERROR. All
    places together count like FOOTHOLDS, since one pose's errors are in many: somebody who stays on the spot hardly
    turns the scene, somebody who walks through it does.
    """
    slope: Array = np.zeros(2)
    if len(points) < 3:
        return np.array([0, 0, 1.0])
    share = np.minimum(seconds, 1.0)
    share = share * min(1.0, FOOTHOLDS / share.sum())
    trust = np.ones(len(points))
    for _ in range(5):
        w = (share * trust)[:, None]
        off = points - (w * points).sum(0) / w.sum()
        flat, rise = off[:, :2], off[:, 2]
        normal = (w * flat).T @ flat / FOOTHOLD_ERROR**2 + np.eye(2) / GRAVITY_ERROR**2
        slope = np.asarray(np.linalg.solve(normal, (w * flat).T @ rise / FOOTHOLD_ERROR**2), np.float64)
        trust = np.minimum(1.0, 2 * FOOTHOLD_ERROR / np.maximum(np.abs(rise - flat @ slope), 1e-9))
    return normalize(np.append(-slope, 1.0))


def scene_axes(down: NDArray[np.floating[Any]]) -> Array:
    """(3, 3) rotation from scene space to camera space for a direction of gravity in camera space.

    The camera looks along the scene's +Y as far as its tilt allows: somebody who faces the camera faces -Y.
    """
    up = -normalize(down)
    forward = np.array([0.0, 0.0, 1.0])
    ahead = forward - (forward @ up) * up
    if np.linalg.norm(ahead) < 1e-3:  # straight down or up: the top of the picture is ahead
        ahead = np.array([0.0, -1.0, 0.0]) - (-up[1]) * up
    ahead = normalize(ahead)
    return np.stack([np.cross(ahead, up), ahead, up], -1)


def floor_height(feet: NDArray[np.floating[Any]]) -> float:
    """Height of the floor from heights of feet of which nobody knows when they stand: the lowest tenth."""
    return float(np.percentile(feet, 10))
