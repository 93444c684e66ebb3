"""From joint positions to a skeleton in motion: bone rotations, constant bone lengths, forward kinematics.

Rotations are relative to the skeleton's rest pose: `rotation @ rest direction = posed direction`, in the
axes of the positions that they come from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import MotionliftError
from .rotation import matrix_to_quat, normalize, quat_to_matrix, shortest_arc, svd
from .skeleton import Bone, Skeleton
from .smooth import mean_around

Array = NDArray[np.float64]

SURE_BEND = 0.03
"""A knee this far off the line from hip to ankle, in metres, shows which way it bends as well as its hinge does."""

WEAK_BEND = 0.65
"""Sine of a bend, up to which a limb that bends against its own hinge is taken to bend backwards."""

FORWARDS = 0.3
"""At least so much of SURE_BEND is the bend of a limb that seems to bend backwards."""

THICKEST_SOLE = 0.03
"""Part of the standing height that the lowest joint of a foot may lie above the ground."""

HINGE_SECONDS = 0.12
"""Standard deviation of the Gaussian over which a hinge's axis is gathered, seconds."""


SURE_FIT = 0.35
"""From this part of their usual spread across their common line on, joints that are fixed to a bone show well enough
how it turns about that line."""

STILL = 1e-9
"""Metres; joints that moved by less did not."""

FARTHEST_TURN = float(np.radians(100))
"""Neither chest and pelvis nor head and chest turn farther against each other."""


def check_solvable(skeleton: Skeleton) -> None:
    """Raises MotionliftError for a skeleton without the bones that solving turns, such as those of benchmarks."""
    heads = {b.head for b in skeleton.bones}
    loose = sorted({skeleton.joint_names[p] for p in skeleton.parents if p >= 0} - heads)
    if loose:
        raise MotionliftError(
            f"The skeleton {skeleton.name!r} has no bones at {', '.join(loose)}: it carries no twist for a rig",
            "Choose a checkpoint whose skeleton has bones, such as body",
        )


def solve_rotations(
    skeleton: Skeleton, joints: NDArray[np.floating[Any]], fps: float, before: tuple[Array, Array] | None = None
) -> Array:
    """(T, B, 3, 3) rotation of every bone from (T, J, 3) joints, finite throughout.

    Directions come from the joints, twist from what body.toml names for each bone.

    before: (T, J, 3) joints and the (T, B, 3, 3) rotations that they have, of which some joints were moved since. Bones
        that are fitted to joints which have not moved against each other keep their rotation.
    """
    # Joints and bones first: what is done with one of them is then done along a row.
    posed = _rows(joints)
    moved_from = None if before is None else _rows(before[0])
    rest = skeleton.rest.astype(np.float64)
    names = [b.name for b in skeleton.bones]
    out = np.zeros((len(names), len(joints), 3, 3))

    def segment(pose: Array, a: str, b: str) -> Array:
        return pose[skeleton.joint(b)] - pose[skeleton.joint(a)]

    # Bones that are half of the turn between two fitted ones wait for these.
    for b, bone in enumerate(skeleton.bones):
        if bone.fit:
            ends = [*bone.fit] if bone.tail in bone.fit else [bone.tail, *bone.fit]
            vectors = [segment(posed, bone.head, n) for n in ends]
            if before is not None and moved_from is not None:
                pairs = ((v, segment(moved_from, bone.head, n)) for v, n in zip(vectors, ends, strict=True))
                if all(float(np.abs(v - old).max(initial=0.0)) < STILL for v, old in pairs):
                    out[b] = before[1][:, b]
                    continue
            out[b] = steady_fit(np.stack([segment(rest, bone.head, n) for n in ends]), np.stack(vectors, 1), fps)
    for bone in skeleton.bones:
        if bone.between:
            a, c = (names.index(n) for n in bone.between)
            out[c] = _within(out[a], out[c])
    for b, bone in enumerate(skeleton.bones):
        if bone.fit:
            continue
        if bone.between:
            a, c = (out[names.index(n)] for n in bone.between)
            start = a @ _half(np.swapaxes(a, -1, -2) @ c)
        else:
            parent = skeleton.bone_parents[b]
            start = out[parent] if parent >= 0 else np.broadcast_to(np.eye(3), out[b].shape)
        direction = segment(posed, bone.head, bone.tail)
        out[b] = shortest_arc(start @ segment(rest, bone.head, bone.tail), direction) @ start
        if bone.hinge:
            upper, lower = (segment(posed, *bone.hinge[i : i + 2]) for i in (0, 1))
            out[b] = _twist_to_hinge(out[b], bone, direction, np.cross(upper, lower), fps)
    return np.moveaxis(out, 0, 1)


def _rows(joints: NDArray[np.floating[Any]]) -> Array:
    """(J, T, 3) of (T, J, 3), a row a joint: nothing is copied of what already lies like that."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(joints, np.float64), 1, 0))


def rigid_fit(rest: Array, posed: Array) -> Array:
    """(T, 3, 3) rotations that best turn (N, 3) vectors onto (T, N, 3): Kabsch, Acta Cryst. A32, 1976."""
    return _nearest_rotation(np.swapaxes(posed, -1, -2) @ rest)


def steady_fit(rest: Array, posed: Array, fps: float) -> Array:
    """(T, 3, 3) `rigid_fit`, which neighbouring frames hold where the vectors nearly lie on one line.

    How far bones turn about that line is then chance, and flips: hips that seem to coincide say nothing of which way
    a pelvis faces. The mean rotation of well seen frames, over ever longer times where these are far, is added to what
    is fitted, the more the less is seen; across the line the vectors still say all.
    """
    covariance = np.swapaxes(posed, -1, -2) @ rest
    u, s, vt = svd(covariance)
    sign = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    usual = float(np.linalg.svd(rest.T @ rest, compute_uv=False)[1:].sum())
    seen = (s[:, 1] + sign * s[:, 2]) / max(usual, 1e-12)
    turn = np.stack([np.ones_like(sign), np.ones_like(sign), sign], -1)
    found = (u * turn[:, None]) @ vt
    lack = np.clip(1 - seen / SURE_FIT, 0, None)
    if not (lack > 0).any():
        return found
    weight = np.clip(seen / SURE_FIT - 0.5, 0, 1)[:, None, None] ** 2
    if not (weight > 0).any():  # a clip in which nothing is ever seen
        return found
    usually = np.zeros_like(found)
    for share, seconds in ((1.0, HINGE_SECONDS), (1e-2, 4 * HINGE_SECONDS), (1e-4, 16 * HINGE_SECONDS)):
        usually += share * mean_around(weight * found, seconds * fps)
    held = lack > 0  # elsewhere nothing is added
    mean = _nearest_rotation(usually[held])
    found[held] = _nearest_rotation(covariance[held] + (lack[held] * SURE_FIT * usual)[:, None, None] * mean)
    return found


def _nearest_rotation(matrices: Array) -> Array:
    """(T, 3, 3) rotations that are nearest to these."""
    u, _, vt = svd(matrices)
    turn = np.ones((len(matrices), 1, 3))
    turn[:, 0, 2] = np.linalg.det(u @ vt)
    return (u * turn) @ vt


def _within(near: Array, far: Array) -> Array:
    """The far rotations, turned back to where they are within FARTHEST_TURN of the near ones."""
    q = matrix_to_quat(np.swapaxes(near, -1, -2) @ far)
    sine: Array = np.linalg.norm(q[:, 1:], axis=-1)
    half = np.arctan2(sine, q[:, 0])
    beyond = half > FARTHEST_TURN / 2
    if not beyond.any():
        return far
    half = np.minimum(half, FARTHEST_TURN / 2)[:, None]
    limited = quat_to_matrix(np.concatenate([np.cos(half), np.sin(half) * normalize(q[:, 1:])], -1))
    return np.where(beyond[:, None, None], near @ limited, far)


def _half(rotation: Array) -> Array:
    """Half of each rotation: the mean of it and no rotation."""
    q = matrix_to_quat(rotation)
    q[..., 0] += 1
    return quat_to_matrix(normalize(q))


def _twist_to_hinge(start: Array, bone: Bone, direction: Array, axis: Array, fps: float) -> Array:
    """Turn bones about their own direction so that their hinge meets the axis seen in the joints.

    The axis is seen well where the limb is bent. The angle is therefore a mean over neighbouring frames,
    weighted by the bend, over ever longer times where the limb stays straight; in the end the parent's own
    twist remains. An axis that points against its neighbours (a knee that seems to bend forwards) is left out.
    """
    along = normalize(direction)
    resting = start @ np.array(bone.axis)
    resting = normalize(resting - (resting * along).sum(-1, keepdims=True) * along)
    bend = np.linalg.norm(axis, axis=-1) / np.maximum((direction**2).sum(-1), 1e-12)
    axis = normalize(axis)
    angle = np.arctan2((np.cross(resting, axis) * along).sum(-1), (resting * axis).sum(-1))
    weight = np.clip(bend - 0.1, 0, None) ** 2
    # A limb that bends a little the other way for a while has not turned about: it seems to bend backwards.
    unit = np.stack([np.cos(angle), np.sin(angle)], -1)
    wide = mean_around(weight[:, None] * unit, 16 * HINGE_SECONDS * fps)
    weak = np.clip((WEAK_BEND - bend) / (WEAK_BEND / 4), 0, 1)
    weight = weight * (1 - weak * (1 - np.clip(0.2 + np.cos(angle - np.arctan2(wide[:, 1], wide[:, 0])), 0, 1)))
    mean: Array = np.zeros(len(angle))
    for _ in range(3):
        turn = weight[:, None] * unit
        total = np.tile([1e-7, 0.0], (len(angle), 1))
        for share, seconds in ((1.0, HINGE_SECONDS), (1e-2, 4 * HINGE_SECONDS), (1e-4, 16 * HINGE_SECONDS)):
            total += share * mean_around(turn, seconds * fps)
        mean = np.arctan2(total[:, 1], total[:, 0])
        weight = weight * np.clip(0.2 + np.cos(angle - mean), 0, 1)
    half = mean[:, None] / 2
    return quat_to_matrix(np.concatenate([np.cos(half), np.sin(half) * along], -1)) @ start


def solve_offsets(skeleton: Skeleton, joints: NDArray[np.floating[Any]], rotations: Array) -> Array:
    """(J, 3) the performer's own rest offsets: each joint in its bone's axes, the median over the clip.

    Left and right get the same lengths, as mirror images.
    """
    joints = np.asarray(joints, np.float64)
    offsets = np.zeros((len(skeleton.joint_names), 3))
    for j, parent in enumerate(skeleton.parents):
        if parent >= 0:
            local = ((joints[:, j] - joints[:, parent])[:, None] @ rotations[:, skeleton.bone_of_joint[j]])[:, 0]
            offsets[j] = np.median(local, axis=0)
            bone = skeleton.bones[int(skeleton.bone_of_joint[j])]
            if bone.tail == skeleton.joint_names[j] and not bone.fit:
                # An aimed bone runs along its rest direction exactly; only its length is measured.
                rest = skeleton.rest[j] - skeleton.rest[parent]
                offsets[j] = normalize(rest) * np.median(np.linalg.norm(local, axis=-1))
    if not skeleton.symmetric:  # a hand has no sides
        return offsets
    flipped = offsets[skeleton.mirror] * np.array([-1.0, 1.0, 1.0])
    return (offsets + flipped) / 2


def forward_kinematics(skeleton: Skeleton, rotations: Array, offsets: Array) -> Array:
    """(T, J, 3) joints relative to the root from (T, B, 3, 3) rotations and (J, 3) rest offsets."""
    out = np.zeros((len(skeleton.joint_names), len(rotations), 3))
    for j, parent in enumerate(skeleton.parents):
        if parent >= 0:
            out[j] = out[parent] + rotations[:, skeleton.bone_of_joint[j]] @ offsets[j]
    return np.moveaxis(out, 0, 1)


def bend_limbs(
    skeleton: Skeleton, joints: NDArray[np.floating[Any]], rotations: Array, offsets: Array, exact: bool = False
) -> Array:
    """(T, J, 3) joints whose elbows and knees are where constant bone lengths need them to be.

    A network that is unsure how far a limb is bent towards the camera says that its bones are short. Both ends of
    the limb are well seen, so they stay, and the joint between them moves out of their line until its bones have
    their lengths: a squat seen from the front bends its knees again. It moves the way it already lies off the
    line or, where that is nothing, the way its hinge bends. Bones that seem long stay so: a limb whose ends lie
    about as far apart as it can reach then keeps the bend that was seen, instead of snapping straight and back.
    A limb that seems to bend backwards is straightened.
    With `exact` every limb gets its bones' lengths, for ends that were put where they are.
    """
    out = np.array(joints, np.float64)
    for b, bone in enumerate(skeleton.bones):
        if not bone.hinge:
            continue
        above, middle, below = (skeleton.joint(n) for n in bone.hinge)
        line = out[:, below] - out[:, above]
        along = normalize(line)
        seen = (out[:, middle] - out[:, above], out[:, below] - out[:, middle])
        upper, lower = (
            np.maximum(np.linalg.norm(offsets[j]), 0.0 if exact else np.linalg.norm(s, axis=-1))
            for j, s in zip((middle, below), seen, strict=True)
        )
        distance = np.maximum(np.linalg.norm(line, axis=-1), np.abs(upper - lower) + 1e-4)
        distance = np.minimum(distance, upper + lower)
        share = (upper**2 - lower**2 + distance**2) / (2 * distance)
        depth = np.sqrt(np.clip(upper**2 - share**2, 0, None))
        bending = normalize(np.cross(along, rotations[:, b] @ np.array(bone.axis)))
        # Knees and elbows do not bend backwards: what seems to is straightened.
        ahead = (seen[0] * bending).sum(-1)
        if not exact:
            depth = np.maximum(depth + np.minimum(ahead, 0), 0)
        side = seen[0] + (np.maximum(ahead + SURE_BEND, FORWARDS * SURE_BEND) - ahead)[:, None] * bending
        side = normalize(side - (side * along).sum(-1, keepdims=True) * along)
        out[:, middle] = out[:, above] + share[:, None] * along + depth[:, None] * side
    return out


def standing_height(skeleton: Skeleton, offsets: Array) -> float:
    """Height in metres of a person with these rest offsets, from the ground to the crown.

    What the joints do not span, such as the soles, is in proportion to the skeleton's own.
    """
    identity = np.broadcast_to(np.eye(3), (1, len(skeleton.bones), 3, 3))
    spanned = float(np.ptp(forward_kinematics(skeleton, identity, offsets)[0, :, 2]))
    return spanned * skeleton.height / float(np.ptp(skeleton.rest[:, 2]))


def sole_heights(skeleton: Skeleton, offsets: Array, names: list[str]) -> Array:
    """(F,) metres that heels and toes (F names of them) lie above the ground while a person with these rest offsets
    stands: joints are inside the foot. A skeleton whose rest pose says nothing of the ground has no soles."""
    points = [skeleton.joint(n) for n in names]
    if not points:
        return np.zeros(0)
    lowest = float(skeleton.rest[points, 2].min())
    sole = lowest if 0 <= lowest <= THICKEST_SOLE * skeleton.height else 0.0
    above = np.array([offsets[p, 2] for p in points])
    return above - above.min() + sole * standing_height(skeleton, offsets) / skeleton.height
