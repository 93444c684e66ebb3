"""From a performer's motion and a rig to the rig's pose: what every mapped bone turns by, where the hips go.

A posed bone is P = D @ B: B its rest, D its turn in armature space. D = G R A^-1, where R is the performer's turn
from the T-pose, G turns the scene's axes into the armature's, and A takes the T-pose to the rig's own rest pose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .body import Body, measure
from .feet import lock_feet
from .fingers import curl, follow
from .mapping import Mapping
from .motion import Motion, mirror
from .pose import Pose
from .rig import RigError, RigSpec
from .rotations import Array, about, continuous, inverse, multiply, rotate, slerp, to_matrix, twist_angle, unit
from .slots import SIDES

Root = Literal["hips", "bone", "object", "in_place"]


@dataclass(frozen=True)
class RetargetSettings:
    """root: what carries the character over the floor: the hips' bone, the root bone (path on the floor and heading),
    the object (the same), or nothing (in place). limbs: which controls of a control rig are keyed: "fk", "ik", or by
    limb, such as "arms=fk,legs=ik" (see controls.limb_ways).
    foot_lock: pin feet where the take says that they touch the ground.
    stride: factor on the path over the floor.
    fingers: turn finger bones, as the take has them, else as a relaxed hand's; without, they get no keys.
    mirror: exchange left and right. forearm_twist: share of the hand's twist that a forearm without twist bones takes.
    """

    root: Root = "hips"
    limbs: str = "fk"
    foot_lock: bool = True
    stride: float = 1.0
    fingers: bool = True
    mirror: bool = False
    forearm_twist: float = 0.5


@dataclass(frozen=True)
class BoneKeys:
    """A bone's own channels: (N, 4) quaternions and (N, 3) locations, or None where they are not keyed.
    Arrays of one row are the same in all frames."""

    bone: str
    rotation: Array | None = None
    location: Array | None = None


@dataclass(frozen=True)
class ObjectKeys:
    """Where armature space goes, if the object carries the character: (N, 3) path and (N, 4) turn in that space."""

    path: Array
    turn: Array


@dataclass(frozen=True)
class Retargeted:
    """frames: (N,) numbers of the take, fps its rate; bones: what to key; object: see ObjectKeys; pose: the whole
    posed rig; contact: (N, 2) left and right foot held; scale: armature units a metre of the performer's."""

    frames: NDArray[np.int32]
    fps: float
    bones: tuple[BoneKeys, ...]
    object: ObjectKeys | None
    pose: Pose
    body: Body
    contact: NDArray[np.bool_]
    scale: float
    warnings: tuple[str, ...] = ()


def retarget(motion: Motion, rig: RigSpec, mapping: Mapping, settings: RetargetSettings | None = None) -> Retargeted:
    """Raises RigError where the rig and the mapping cannot carry the motion."""
    settings = settings or RetargetSettings()
    mirrored = bool(np.linalg.det(rig.world[:3, :3]) < 0)
    if settings.mirror != mirrored:
        motion = mirror(motion)
    body = measure(rig, mapping, motion)
    warnings = [*mapping.notes, *body.notes]
    if mirrored:
        warnings.append(
            "The armature is mirrored by a negative scale: bones of its left side play the performer's right side, so "
            "that the picture is right. Apply the scale to be rid of this."
        )
    pelvis = rig.index(_need(mapping, "pelvis"))
    turns = _turns(motion, rig, mapping, body, settings)
    performer = float((motion.rest["l_hip"] + motion.rest["r_hip"])[2]) / 2
    scale = body.height / performer
    path = rotate(body.axes, motion.hips * scale * [settings.stride, settings.stride, 1.0]) + body.floor * body.up
    head = path + rotate(turns[pelvis], rig.heads[pelvis] - body.hips)
    contact = np.zeros((len(path), 2), bool)
    if settings.foot_lock:
        lock = lock_feet(motion, rig, mapping, body, turns, head)
        head, contact, turns = head + lock.drop, lock.contact, turns | lock.turns
        warnings += [*lock.warnings]
    if settings.root == "in_place":
        still = body.hips - (body.hips @ body.up) * body.up
        head = (
            head - (_flat(head, body.up) - _flat(rotate(turns[pelvis], rig.heads[pelvis] - body.hips), body.up)) + still
        )
    fingers = follow(motion, rig, mapping, body) if settings.fingers else {}
    turns |= {
        rig.index(b): q for slot, values in fingers.items() for b, q in zip(mapping.bones[slot], values, strict=True)
    }
    fixed = curl(rig, mapping, fingers) if settings.fingers else {}
    rig = _resting(rig, fixed)
    pose, ridden = _carry(rig, mapping, body, settings, turns, pelvis, head)
    bones = [BoneKeys(rig.names[b], continuous(pose.rotation_keys(b))) for b in sorted(turns)]
    bones = [BoneKeys(k.bone, k.rotation, _location(pose, rig.index(k.bone), len(head))) for k in bones]
    carriers = [b for b in pose.moved if b not in turns]
    bones += [BoneKeys(rig.names[b], None, _location(pose, b, len(head))) for b in carriers]
    bones += [BoneKeys(bone, q[None]) for bone, q in fixed.items()]
    return Retargeted(
        motion.frames, motion.fps, tuple(bones), ridden, pose, body, contact, scale, tuple(dict.fromkeys(warnings))
    )


def _resting(rig: RigSpec, fixed: dict[str, Array]) -> RigSpec:
    """The rig with these (4,) rotations as what its bones rest in."""
    basis = rig.basis.copy()
    for bone, q in fixed.items():
        basis[rig.index(bone), :3, :3] = to_matrix(q)
    return replace(rig, basis=basis)


def _need(mapping: Mapping, slot: str) -> str:
    bone = mapping.bone(slot)
    if bone is None:
        raise RigError(f"The mapping has no bone for {slot}. Choose one by hand, or another preset.")
    return bone


def _flat(v: Array, up: Array) -> Array:
    return v - (v @ up)[..., None] * up


def _location(pose: Pose, bone: int, count: int) -> Array | None:
    if bone not in pose.moved:
        return None
    return np.broadcast_to(pose.location_keys(bone), (count, 3))


def _carry(
    rig: RigSpec,
    mapping: Mapping,
    body: Body,
    settings: RetargetSettings,
    turns: dict[int, Array],
    pelvis: int,
    head: Array,
) -> tuple[Pose, ObjectKeys | None]:
    """Put the pelvis' head at (N, 3) places, by the pelvis alone or with root bone or object under it."""
    pose = Pose(rig, turns)
    ridden = None
    if settings.root in ("bone", "object"):
        hips = head + rotate(turns[pelvis], body.hips - rig.heads[pelvis])
        heading = _heading(turns[pelvis], body.up)
        turn = about(np.broadcast_to(body.up, hips.shape), heading)
        if settings.root == "object":
            path = _flat(hips, body.up) - _flat(rotate(turn, body.hips), body.up)
            pose = Pose(rig, turns, base_turn=turn, base_path=path)
            ridden = ObjectKeys(path, turn)
        else:
            root = rig.index(_root(rig, mapping, pelvis))
            turns[root] = turn
            start = rig.heads[root]
            path = _flat(hips - rotate(turn, body.hips - start), body.up) + (start @ body.up) * body.up
            pose.moved[root] = path - pose.unmoved(root)
    carrier = pelvis
    while rig.connected[carrier] and rig.parents[carrier] >= 0:
        carrier = rig.parents[carrier]
    pose.moved[carrier] = pose.moved.get(carrier, 0) + head - pose.head(pelvis)
    return pose, ridden


def _root(rig: RigSpec, mapping: Mapping, pelvis: int) -> str:
    root = mapping.bone("root")
    if root is None:
        raise RigError('The rig has no root bone that is mapped. Choose "hips" or "object" for the root, or map one.')
    if rig.index(root) not in rig.ancestors(pelvis):
        raise RigError(f'The root bone "{root}" does not carry the hips. Choose "hips" or "object" for the root.')
    return root


def _heading(turn: Array, up: Array) -> Array:
    """(N,) radians of turns about up, without jumps."""
    return np.unwrap(twist_angle(turn, up))


def _turns(motion: Motion, rig: RigSpec, mapping: Mapping, body: Body, settings: RetargetSettings) -> dict[int, Array]:
    """(N, 4) D of every bone that the take says something of, by bone index."""

    def turn(slot: str, bone: str) -> Array:
        """D of a slot as the performer's `bone` has it."""
        return multiply(multiply(body.axes, motion.turns[bone]), inverse(body.rests[slot]))

    pelvis, chest = turn("pelvis", "pelvis"), turn("spine", "chest")
    head = turn("head", "head") if "head" in motion.turns else chest
    slots: dict[str, list[Array]] = {"pelvis": [pelvis], "head": [head]}
    spine, neck = mapping.bones.get("spine", ()), mapping.bones.get("neck", ())
    via = turn("spine", "spine") if "spine" in motion.turns else slerp(pelvis, chest, 0.5)
    slots["spine"] = [_between(pelvis, via, chest, f) for f in _fractions(rig, spine)]
    via = turn("neck", "neck") if "neck" in motion.turns else slerp(chest, head, 0.5)
    slots["neck"] = [_between(chest, via, head, (i + 1) / (len(neck) + 1)) for i in range(len(neck))]
    for side in SIDES:
        slots |= _arm(side, chest, turn, motion, rig, mapping, body, settings)
        slots |= _leg(side, pelvis, turn, motion, rig, mapping, body)
    out: dict[int, Array] = {}
    for slot, values in slots.items():
        for bone, value in zip(mapping.bones.get(slot, ()), values, strict=False):
            out[rig.index(bone)] = value
    return out


def _fractions(rig: RigSpec, bones: tuple[str, ...]) -> list[float]:
    """How far up the chain, by length, the end of each bone lies."""
    heads = np.array([rig.heads[rig.index(b)] for b in bones] + [rig.tails[rig.index(b)] for b in bones[-1:]])
    lengths = np.linalg.norm(np.diff(heads, axis=0), axis=-1) if len(bones) else np.zeros(0)
    total = lengths.sum()
    if total < 1e-9:
        return [(i + 1) / len(bones) for i in range(len(bones))]
    return np.clip(np.cumsum(lengths) / total, 0, 1).tolist()


def _between(low: Array, middle: Array, high: Array, fraction: float) -> Array:
    if fraction <= 0.5:
        return slerp(low, middle, 2 * fraction)
    return slerp(middle, high, 2 * fraction - 1)


Turn = Callable[[str, str], Array]


def _arm(
    side: str,
    chest: Array,
    turn: Turn,
    motion: Motion,
    rig: RigSpec,
    mapping: Mapping,
    body: Body,
    settings: RetargetSettings,
) -> dict[str, list[Array]]:
    names = {p: f"{side}_{p}" for p in ("clavicle", "upper_arm", "forearm", "hand")}
    if names["upper_arm"] not in body.rests:
        return {}
    slots: dict[str, list[Array]] = {}
    clavicle = names["clavicle"]
    has = clavicle in motion.turns
    shoulder = turn(clavicle, clavicle) if has else chest
    count = len(mapping.bones.get(clavicle, ()))
    slots[clavicle] = [slerp(chest, shoulder, (i + 1) / count) for i in range(count)]
    upper, lower = (turn(names[p], names[p]) for p in ("upper_arm", "forearm"))
    hand = turn(names["hand"], names["hand"]) if names["hand"] in motion.turns else lower
    carrier = motion.turns[clavicle] if has else motion.turns["chest"]
    along = motion.rest[f"{side}_elbow"] - motion.rest[f"{side}_shoulder"]
    rolled = _twist(multiply(inverse(carrier), motion.turns[names["upper_arm"]]), unit(along))
    slots |= _segments(rig, mapping, names["upper_arm"], upper, rolled, from_end=True, alone=1.0)
    axis = _axis(rig, mapping, names["forearm"])
    pronated = _twist(multiply(inverse(lower), hand), axis) if axis is not None else np.zeros(len(hand))
    slots |= _segments(rig, mapping, names["forearm"], lower, pronated, from_end=False, alone=settings.forearm_twist)
    return slots | {names["hand"]: [hand]}


def _leg(
    side: str, pelvis: Array, turn: Turn, motion: Motion, rig: RigSpec, mapping: Mapping, body: Body
) -> dict[str, list[Array]]:
    thigh, shin, foot, toe = (f"{side}_{p}" for p in ("thigh", "shin", "foot", "toe"))
    if thigh not in body.rests:
        return {}
    upper, lower = turn(thigh, thigh), turn(shin, shin)
    end = turn(foot, foot) if foot in motion.turns else lower
    along = motion.rest[f"{side}_knee"] - motion.rest[f"{side}_hip"]
    rolled = _twist(multiply(inverse(motion.turns["pelvis"]), motion.turns[thigh]), unit(along))
    slots = _segments(rig, mapping, thigh, upper, rolled, from_end=True, alone=1.0)
    axis = _axis(rig, mapping, shin)
    turned = _twist(multiply(inverse(lower), end), axis) if axis is not None else np.zeros(len(end))
    slots |= _segments(rig, mapping, shin, lower, turned, from_end=False, alone=0.0)
    toes = len(mapping.bones.get(toe, ()))
    return slots | {foot: [end] * len(mapping.bones.get(foot, ())), toe: [end] * toes}


def _axis(rig: RigSpec, mapping: Mapping, slot: str) -> Array | None:
    """(3,) direction of a part at rest: from its head to the next part's."""
    ends = _ends(rig, mapping, slot)
    return None if ends is None else unit(ends[1] - ends[0])


def _ends(rig: RigSpec, mapping: Mapping, slot: str) -> tuple[Array, Array] | None:
    """Where a part begins, and where the next one does: a tail may lie anywhere, and counts only if nothing follows."""
    bones = mapping.bones.get(slot)
    if not bones:
        return None
    following = {"forearm": "hand", "shin": "foot", "upper_arm": "forearm", "thigh": "shin"}[slot[2:]]
    start, end = rig.heads[rig.index(bones[0])], mapping.bone(f"{slot[:2]}{following}")
    for target in (rig.heads[rig.index(end)] if end else start, rig.tails[rig.index(bones[-1])]):
        if np.linalg.norm(target - start) > 1e-9:
            return start, target
    return start, start + rig.rest[rig.index(bones[0]), :3, 1]


def _twist(q: Array, axis: Array) -> Array:
    """(N,) radians of twist about an axis, continuous in time and about zero."""
    angle = np.unwrap(twist_angle(q, axis))
    return angle - 2 * np.pi * np.round(np.median(angle) / (2 * np.pi))


def _segments(
    rig: RigSpec, mapping: Mapping, slot: str, turn: Array, twist: Array, *, from_end: bool, alone: float
) -> dict[str, list[Array]]:
    """Share a part's twist out over its bones and the twist bones beside them.

    from_end: the twist is the part's own and fades towards where it is carried (upper arm, thigh): the last bone has
    all of it. Else it is the next part's, and grows towards that (forearm, shin). `alone` is the share of a single bone
    that has no twist bones.
    """
    bones, leaves = mapping.bones.get(slot, ()), mapping.bones.get(f"{slot}_twist", ())
    ends = _ends(rig, mapping, slot)
    if ends is None:
        return {}
    start, axis, count = ends[0], unit(ends[1] - ends[0]), len(bones)
    if from_end:
        shares = [(k + 1) / count - 1 for k in range(count)]
    elif count == 1:
        shares = [0.0 if leaves else alone]
    else:
        shares = [(k + 0.5) / count for k in range(count)]
    length = float(np.linalg.norm(ends[1] - start))
    out: list[float] = []
    for i, leaf in enumerate(leaves):
        place = float((rig.heads[rig.index(leaf)] - start) @ axis) / length
        if not from_end and place < 0.05:
            place = (i + 1) / (len(leaves) + 1)
        out.append(float(np.clip(place, 0, 1)) - (1 if from_end else 0))
    turned = {
        s: multiply(turn, about(np.broadcast_to(axis, (len(twist), 3)), s * twist)) if s else turn
        for s in {*shares, *out}
    }
    return {slot: [turned[s] for s in shares], f"{slot}_twist": [turned[s] for s in out]}
