"""The rig's own body, measured in its rest pose: which way it faces, how tall its legs are, and how each part's rest
differs from the T-pose that a take is relative to. Bone rolls do not enter: only where joints lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .mapping import Mapping
from .motion import Motion
from .rig import RigError, RigSpec
from .rotations import Array, about, from_matrix, multiply, rotate, swing, unit
from .slots import SIDES

UP_SLACK = np.cos(np.radians(30))
"""A body that leans less than this off an axis of its armature is upright along that axis."""

BENT = np.radians(3), np.radians(8)
"""An elbow or knee bent by more than the second shows its hinge; by less than the first it does not."""

TOES = 0.45
"""Length of toes as a part of the way from the ankle to the ball."""

HINGE = {"upper_arm": np.array([0.0, 0.0, -1.0]), "thigh": np.array([1.0, 0.0, 0.0])}
"""Axis about which the left elbow and knee bend in the T-pose."""


@dataclass(frozen=True)
class Foot:
    """Points of a rest foot, armature space: ankle; heel and ball on the floor; tip of the toes or None."""

    ankle: Array
    heel: Array
    ball: Array
    tip: Array | None


@dataclass(frozen=True)
class Body:
    """Armature space. axes: rotation from the scene's axes (left +X, facing -Y, up +Z); floor: height along `up`;
    hips: (3,) middle of the hip joints; height: that above the floor; rests: for slots, the rotation from a T-pose
    in the scene's axes to the rig's rest pose; feet: by side."""

    axes: Array
    up: Array
    floor: float
    hips: Array
    height: float
    rests: dict[str, Array]
    feet: dict[str, Foot]
    notes: tuple[str, ...]


def measure(rig: RigSpec, mapping: Mapping, motion: Motion) -> Body:
    """Raises RigError where the rest pose has no shape that could be measured."""
    at = _Joints(rig, mapping)
    notes: list[str] = []
    axes, up, leaning = _axes(at)
    if leaning:
        notes.append(
            "The rest pose does not stand upright along an axis of the armature: its own lean is taken as upright."
        )
    floor = _floor(rig, at, up)
    legs = [p for s in SIDES if (p := at.head(f"{s}_thigh")) is not None]
    hips = np.mean(legs, 0) if len(legs) == 2 else at.need("pelvis")
    height = float(hips @ up) - floor
    if height <= 1e-9:
        raise RigError(
            "The hips do not lie above the feet in the rest pose. Check that the mapping's thighs, shins and feet are "
            "the right bones."
        )
    rests: dict[str, Array] = dict.fromkeys(("pelvis", "spine", "neck", "head", "l_clavicle", "r_clavicle"), axes)
    feet: dict[str, Foot] = {}
    for side in SIDES:
        rests |= _arm(at, side, axes, motion)
        rests |= _leg(at, side, axes, up, motion)
        foot = _foot(at, side, axes, up, floor)
        if foot:
            feet[side] = foot
    return Body(axes, up, floor, hips, height, rests, feet, tuple(notes))


class _Joints:
    """Where slots begin and end."""

    def __init__(self, rig: RigSpec, mapping: Mapping) -> None:
        self.rig, self.mapping = rig, mapping

    def head(self, slot: str) -> Array | None:
        bones = self.mapping.bones.get(slot)
        return self.rig.heads[self.rig.index(bones[0])] if bones else None

    def tail(self, slot: str) -> Array | None:
        bones = self.mapping.bones.get(slot)
        return self.rig.tails[self.rig.index(bones[-1])] if bones else None

    def need(self, slot: str) -> Array:
        head = self.head(slot)
        if head is None:
            raise RigError(f"The mapping has no bone for {slot}. Choose one by hand, or another preset.")
        return head

    def along(self, slot: str, following: str) -> Array | None:
        """From a slot's head to the next slot's, or to its own tail where there is no next."""
        head, end = self.head(slot), self.head(following)
        if head is None:
            return None
        if end is None or np.linalg.norm(end - head) < 1e-9:
            end = self.tail(slot)
        return None if end is None or np.linalg.norm(end - head) < 1e-9 else end - head


def _axes(at: _Joints) -> tuple[Array, Array, bool]:
    """Rotation from the scene's axes to the body's, its up vector, and whether it leans."""
    left = np.zeros(3)
    for part in ("thigh", "upper_arm", "clavicle"):
        l, r = at.head(f"l_{part}"), at.head(f"r_{part}")  # noqa: E741
        if l is not None and r is not None:
            left += unit(l - r)
    if np.linalg.norm(left) < 1e-6:
        raise RigError(
            "Left and right cannot be told apart: no pair of limbs is mapped. Map both thighs or both upper arms."
        )
    low = at.need("pelvis")
    highs = [p for s in ("head", "neck", "l_upper_arm", "r_upper_arm") if (p := at.head(s)) is not None]
    feet = [p for s in SIDES for part in ("foot", "shin") if (p := at.head(f"{s}_{part}")) is not None]
    up = (np.mean(highs, 0) if highs else low) - (np.mean(feet, 0) if feet else low)
    if np.linalg.norm(up) < 1e-9:
        raise RigError("Up and down cannot be told apart in the rest pose. Map head, arms or feet.")
    up, left = unit(up), unit(left)
    snapped = _snap(up)
    leaning = snapped is None
    up = up if snapped is None else snapped
    left = unit(left - (left @ up) * up)
    nearest = _snap(left, np.cos(np.radians(15)))
    left = left if nearest is None or abs(nearest @ up) > 1e-6 else nearest
    forward = np.cross(left, up)
    return from_matrix(np.stack([left, -forward, up], -1)), up, leaning


def _snap(direction: Array, slack: float = UP_SLACK) -> Array | None:
    axis = int(np.argmax(np.abs(direction)))
    if abs(direction[axis]) < slack:
        return None
    return np.sign(direction[axis]) * np.eye(3)[axis]


def _floor(rig: RigSpec, at: _Joints, up: Array) -> float:
    """Height of the ground: the armature's origin where the feet stand about there, else their lowest point.

    Tails of feet and toes count unless they point straight down: importers let them point anywhere.
    """
    points: list[Array] = []
    for side in SIDES:
        foot, toe = at.head(f"{side}_foot"), at.head(f"{side}_toe")
        ends = (toe, at.tail(f"{side}_toe")) if toe is not None else (foot, at.tail(f"{side}_foot"))
        points += [p for p in (foot, toe) if p is not None]
        if ends[0] is not None and ends[1] is not None and unit(ends[1] - ends[0]) @ up > -0.8:
            points.append(ends[1])
    if not points:
        points = [p for s in SIDES if (p := at.tail(f"{s}_shin")) is not None]
    if not points:
        # A bust or a ghost floats above the ground of its own file.
        return min(0.0, float(rig.heads[0] @ up)) if float(at.need("pelvis") @ up) > 1e-6 else float(rig.heads[0] @ up)
    heights = np.array(points) @ up
    low, size = float(heights.min()), float(at.need("pelvis") @ up - heights.min())
    return 0.0 if -0.03 * size < low < 0.12 * size else low


def _bent(expected: Array, upper: Array, lower: Array) -> float:
    """Angle about the upper bone from the expected hinge to that which a bent limb shows, 0 where it is straight.

    A bend sideways or backwards is not a hinge but the modeller's hand, and is left out.
    """
    upper, lower = unit(upper), unit(lower)
    hinge = np.cross(upper, lower)
    bend = float(np.arctan2(np.linalg.norm(hinge), upper @ lower))
    expected = unit(expected - (expected @ upper) * upper)
    hinge = unit(hinge)
    angle = float(np.arctan2(np.cross(expected, hinge) @ upper, expected @ hinge))
    share = float(np.clip((bend - BENT[0]) / (BENT[1] - BENT[0]), 0, 1))
    return share * angle if abs(angle) < np.radians(60) else 0.0


def _limb(start: Array, upper: Array, lower: Array | None, t_pose: tuple[Array, Array], hinge: Array) -> list[Array]:
    """Rests of a limb's two bones: aimed along them from the T-pose, the upper turned to the hinge that is seen."""
    first = multiply(swing(rotate(start, t_pose[0]), upper), start)
    if lower is None:
        return [first, first]
    turn = _bent(rotate(first, hinge), upper, lower)
    first = multiply(about(unit(upper), turn), first)
    return [first, multiply(swing(rotate(first, t_pose[1]), lower), first)]


def _arm(at: _Joints, side: str, axes: Array, motion: Motion) -> dict[str, Array]:
    upper, lower = at.along(f"{side}_upper_arm", f"{side}_forearm"), at.along(f"{side}_forearm", f"{side}_hand")
    if upper is None:
        return {}
    rest = motion.rest
    bones = rest[f"{side}_elbow"] - rest[f"{side}_shoulder"], rest[f"{side}_wrist"] - rest[f"{side}_elbow"]
    hinge = HINGE["upper_arm"] * (1.0 if side == "l" else -1.0)
    first, second = _limb(axes, upper, lower, bones, hinge)
    return {f"{side}_upper_arm": first, f"{side}_forearm": second, f"{side}_hand": _hand(at, side, second, motion)}


def _hand(at: _Joints, side: str, forearm: Array, motion: Motion) -> Array:
    """From the knuckles where fingers are mapped, else straight on from the forearm."""
    palm = knuckles(at.rig, at.mapping, side)
    if palm is None:
        return forearm
    wrist, index, little = (motion.rest[f"{side}_{n}"] for n in ("wrist", "index", "little"))
    return multiply(
        from_matrix(_frame(*palm)), from_matrix(_frame((index + little) / 2 - wrist, index - little)) * [1, -1, -1, -1]
    )


def knuckles(rig: RigSpec, mapping: Mapping, side: str) -> tuple[Array, Array] | None:
    """Direction of the hand from the wrist, and across it from the little finger's side to the index's."""
    at = _Joints(rig, mapping)
    wrist = at.head(f"{side}_hand")
    found = [p for f in ("index", "middle", "ring", "little") if (p := at.head(f"{side}_{f}")) is not None]
    if wrist is None or len(found) < 2:
        return None
    along, across = (found[0] + found[-1]) / 2 - wrist, found[0] - found[-1]
    if np.linalg.norm(np.cross(along, across)) < 0.05 * float(along @ along):
        return None
    return along, across


def _frame(along: Array, across: Array) -> Array:
    """Right-handed axes: Y along, X across as far as it is at right angles."""
    y = unit(along)
    x = unit(across - (across @ y) * y)
    return np.stack([x, y, np.cross(x, y)], -1)


def _leg(at: _Joints, side: str, axes: Array, up: Array, motion: Motion) -> dict[str, Array]:
    upper, lower = at.along(f"{side}_thigh", f"{side}_shin"), at.along(f"{side}_shin", f"{side}_foot")
    if upper is None:
        return {}
    rest = motion.rest
    bones = rest[f"{side}_knee"] - rest[f"{side}_hip"], rest[f"{side}_ankle"] - rest[f"{side}_knee"]
    first, second = _limb(axes, upper, lower, bones, HINGE["thigh"])
    foot = _foot_rest(at, side, axes, up, motion)
    return {f"{side}_thigh": first, f"{side}_shin": second, f"{side}_foot": foot, f"{side}_toe": foot}


def _foot_direction(at: _Joints, side: str, axes: Array, up: Array) -> Array | None:
    """Where a rest foot points, along the floor."""
    along = at.along(f"{side}_foot", f"{side}_toe")
    if along is None:
        return None
    flat = along - (along @ up) * up
    forward = rotate(axes, np.array([0.0, -1.0, 0.0]))
    # Importers give bones without children an end of their own choice: only one that points forward counts.
    if flat @ forward < 0.5 * np.linalg.norm(along) and flat @ forward < 0.7 * np.linalg.norm(flat):
        return None
    return unit(flat) if flat @ forward > 0 else None


def _foot_rest(at: _Joints, side: str, axes: Array, up: Array, motion: Motion) -> Array:
    """Soles are flat at rest, in the T-pose as in the rig: only the direction of the foot on the floor differs."""
    direction = _foot_direction(at, side, axes, up)
    if direction is None:
        return axes
    t_pose = motion.rest[f"{side}_toe"] - motion.rest[f"{side}_ankle"]
    t_pose = rotate(axes, t_pose * [1, 1, 0])
    return multiply(swing(t_pose, direction), axes)


def _foot(at: _Joints, side: str, axes: Array, up: Array, floor: float) -> Foot | None:
    ankle = at.head(f"{side}_foot")
    if ankle is None:
        return None
    forward = _foot_direction(at, side, axes, up)
    if forward is None:
        forward = rotate(axes, np.array([0.0, -1.0, 0.0]))
    ball, tip = at.head(f"{side}_toe"), at.tail(f"{side}_toe")
    height = float(ankle @ up) - floor
    end = ball if ball is not None else at.tail(f"{side}_foot")
    length = float((end - ankle) @ forward) if end is not None else 0.0
    # A foot without a toe bone is taken to be as long as feet are for the height of their ankle.
    length = length if length > 0.3 * height else 1.5 * height
    under = ankle - height * up
    if ball is not None and (tip is None or unit(tip - ball) @ forward < 0.7):
        # A tail that does not point ahead says nothing of the toes, but they are there.
        tip = ball + TOES * length * forward
    return Foot(ankle, under - 0.3 * length * forward, under + length * forward, tip)
