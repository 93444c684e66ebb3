"""Motion capture, whatever skeleton it was recorded on, as motion of a skeleton of ours.

Every recording has its own proportions and its own idea of where a spine joint lies. What carries over to a skeleton
with bones is how they are turned: each bone's rotation relative to the rest pose, which training then puts on any
proportions (`training/synthetic.py`). A skeleton without bones takes over the positions of joints. A joint map
(training/data/maps/*.toml, or the user's own) says what is what.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from lifter.errors import MotionliftError
from lifter.rotation import continuous, matrix_to_quat, normalize, quat_to_matrix, shortest_arc
from lifter.skeleton import Skeleton
from lifter.smooth import runs
from lifter.solve import forward_kinematics, rigid_fit
from training.config import read
from training.data.recording import contact_points

Array = NDArray[np.float64]

MAPS = Path(__file__).parent / "maps"

Y_UP_TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
"""Motion capture with Y up faces +Z at rest; scene space is Z up and faces -Y. Both have the left side at +X."""

CONTACT_HEIGHT = 0.06
CONTACT_SPEED, CONTACT_STILL, CONTACT_SECONDS = 0.22, 0.12, 0.05
"""A foot's point touches the ground while it is lower than CONTACT_HEIGHT (metres) and slower than CONTACT_SPEED (m/s),
if it is nearly still, CONTACT_STILL, at some moment of it, and for so long."""
RESTS_UP_TO, RESTS_SECONDS = 0.12, 0.2
"""A point's own ground is where it rests, which may be up to so many metres above that of the lowest point: feet of a
recording, on our skeleton, stand with their heels 2 to 10 cm higher than the toes. It shows after so long a rest."""
SWING, SWING_SECONDS = 0.07, 0.5
"""In fast steps feet roll faster, and capture is blurred: there the speed may be up to this part of the feet's fastest
within so many seconds."""


@dataclass(frozen=True)
class Size:
    """Two chains of joints of the same length on everybody: what the performer's size is measured by."""

    theirs: tuple[str, ...]
    ours: tuple[str, ...]


Alike = tuple[str, str, float, float, float]
"""Two places of a recording, and the direction from the first to the second in our rest pose."""


@dataclass(frozen=True)
class JointMap:
    """How a recording's joints stand for ours. A place is a joint's name, or "end:NAME" for its End Site.

    Attributes:
        unit_m: metres in a unit of the file, where all files of the kind have the same.
        up: the file's axis that points up; with "z" it faces -Y at rest.
        prefixes: what exporters put before each name; tried in turn.
        bones: the recorded joint whose rotation each of our bones takes.
        aim: the two places between which a bone's direction is measured, which then holds exactly. A bone that is
            aimed and takes no rotation is its parent's, swung onto the direction.
        center: of such bones, those whose mean rotation is taken for the rest pose.
        adjust: a constant turn of a bone in degrees about its own axes at rest, where the recording's rest pose is not
            ours: feet that lean with legs spread at rest, a head bone that points backwards.
        align: for bones that take a rotation, two places and the direction between them in our rest pose (x, y, z): by
            these the constant is found between the rotation of a recording whose rest pose is no T-pose, and ours.
        size: without it the root's path is taken as large as it was recorded.
        joints: where each joint is, for skeletons without bones: a place, the middle of a list of places, or a table of
            places with weights that sum to 1 (more than 1 and less than 0 is beyond a place).
    """

    unit_m: float | None = None
    up: Literal["y", "z"] = "y"
    prefixes: tuple[str, ...] = ("",)
    bones: dict[str, str] = field(default_factory=dict[str, str])
    aim: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    center: tuple[str, ...] = ()
    adjust: dict[str, tuple[float, float, float]] = field(default_factory=dict[str, tuple[float, float, float]])
    align: dict[str, tuple[Alike, ...]] = field(default_factory=dict[str, tuple[Alike, ...]])
    size: Size | None = None
    joints: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    path: str = ""


@dataclass(frozen=True)
class Captured:
    """What a file of motion capture says, in scene space.

    Attributes:
        file: for errors.
        names: N joints.
        positions: (T, N, 3) metres; NaN where the file does not say.
        turns: (T, N, 3, 3) rotation of each joint relative to the file's rest pose; None if it has only positions.
        ends: (T, 3) End Sites by the name of their joint.
        why: what to do about positions that the file does not say.
    """

    file: str
    fps: float
    names: tuple[str, ...]
    positions: Array
    turns: Array | None
    ends: Mapping[str, Array]
    why: str = ""


def load_map(name: str, base: Path | None = None) -> JointMap:
    """A joint map by its name in training/data/maps, or by the path of a .toml file, from `base`."""
    path = (base or Path()) / name if name.endswith(".toml") else MAPS / f"{name}.toml"
    if not path.is_file():
        known = sorted(p.stem for p in MAPS.glob("*.toml"))
        near = difflib.get_close_matches(name, known, 1, 0.5)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise MotionliftError(f"No joint map {name!r} ({path})", f"{hint}Known: {', '.join(known)}; or give a .toml")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MotionliftError(f"{path}: cannot be read as TOML ({error})", "Check the file") from error
    joints = data.get("joints")
    if isinstance(joints, dict):
        data["joints"] = {k: _weighted(v) for k, v in cast(dict[str, Any], joints).items()}
    out = replace(cast(JointMap, read(JointMap, data, str(path))), path=str(path))
    for name, places in out.joints.items():
        if abs(sum(places.values()) - 1) > 1e-6:
            raise MotionliftError(f"{path}: joints.{name}: weights sum to {sum(places.values()):g}", "Make it 1")
    return out


def _weighted(places: Any) -> Any:
    """Places as a table with weights, however they are written."""
    if isinstance(places, str):
        return {places: 1.0}
    if isinstance(places, list) and places and all(isinstance(p, str) for p in cast(list[Any], places)):
        return dict.fromkeys(cast(list[str], places), 1 / len(cast(list[str], places)))
    return places


def transfer(captured: Captured, joint_map: JointMap, skeleton: Skeleton) -> dict[str, NDArray[np.floating[Any]]]:
    """Arrays of a recording (training/data/recording.py): with bones `rotations`, `root`, `joints` and `contacts` for
    a person of the skeleton's own proportions; without bones the performer's own `joints` and `contacts`.

    Raises MotionliftError where the map names what the skeleton or the file does not have, or leaves a joint out.
    """
    _check_names(joint_map, skeleton)
    if skeleton.bones and (joint_map.bones or joint_map.aim):
        rotations = _bone_rotations(captured, joint_map, skeleton)
        root = _place(captured, joint_map, {joint_map.bones.get(skeleton.bones[0].name, captured.names[0]): 1})
        ratio = _size_ratio(captured, joint_map, skeleton)
        root = root * ratio
        joints = forward_kinematics(skeleton, rotations, skeleton.rest_offsets) + root[:, None]
        own = _on_own_feet(joints, captured, joint_map, skeleton, ratio)
        arrays: dict[str, Array] = {"rotations": continuous(matrix_to_quat(rotations))}
    else:
        missing = [n for n in skeleton.joint_names if n not in joint_map.joints]
        if missing:
            what = f"{joint_map.path}: [joints] lacks {', '.join(missing)} of skeleton {skeleton.name}"
            raise MotionliftError(what, "Say which joint of the recording each is")
        own = joints = np.stack([_place(captured, joint_map, joint_map.joints[n]) for n in skeleton.joint_names], 1)
        arrays = {}
    if points := [skeleton.joint(n) for n in contact_points(skeleton)]:
        joints = joints - [0, 0, float(np.percentile(joints[:, points, 2].min(1), 10))]
        arrays["contacts"] = find_contacts(own[:, points], captured.fps).astype(np.float64)
    if "rotations" in arrays:
        arrays["root"] = joints[:, 0]
    return {**arrays, "joints": joints, "up": np.array([0.0, 0.0, 1.0])}


def _check_names(joint_map: JointMap, skeleton: Skeleton) -> None:
    bones = [b.name for b in skeleton.bones]
    named = {"bones": joint_map.bones, "aim": joint_map.aim, "adjust": joint_map.adjust, "center": joint_map.center}
    for table, names in named.items():
        if bones and (unknown := [n for n in names if n not in bones]):
            raise _unknown(joint_map, table, unknown[0], "bone", skeleton, bones)
    if joint_map.size and (unknown := [n for n in joint_map.size.ours if n not in skeleton.joint_names]) and bones:
        raise _unknown(joint_map, "size", unknown[0], "joint", skeleton, skeleton.joint_names)


def _unknown(
    joint_map: JointMap, table: str, name: str, what: str, skeleton: Skeleton, known: Sequence[str]
) -> MotionliftError:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return MotionliftError(
        f"{joint_map.path}: {table}: skeleton {skeleton.name} has no {what} {name!r}",
        f"{hint}It has {', '.join(known)}",
    )


def _index(captured: Captured, joint_map: JointMap, name: str) -> int:
    for prefix in joint_map.prefixes:
        if prefix + name in captured.names:
            return captured.names.index(prefix + name)
    near = difflib.get_close_matches(name, captured.names, 1, 0.6)
    raise MotionliftError(
        f"{captured.file}: no joint {name!r}, which {joint_map.path} names",
        f"{f'Did you mean {near[0]!r}? ' if near else ''}The file has {', '.join(captured.names)}",
    )


def _place(captured: Captured, joint_map: JointMap, places: Mapping[str, float]) -> Array:
    """(T, 3) the weighted middle of places."""
    out = np.zeros((len(captured.positions), 3))
    for name, weight in places.items():
        if name.startswith("end:"):
            joint = captured.names[_index(captured, joint_map, name[4:])]
            if joint not in captured.ends:
                raise MotionliftError(
                    f"{captured.file}: joint {joint!r} has no End Site, which {joint_map.path} names",
                    f"Joints that have one: {', '.join(captured.ends) or 'none'}",
                )
            out += weight * captured.ends[joint]
        else:
            out += weight * captured.positions[:, _index(captured, joint_map, name)]
    if not np.isfinite(out).all():
        raise MotionliftError(f"{captured.file}: does not say where {', '.join(places)} is", captured.why)
    return out


def _says(captured: Captured, joint_map: JointMap, names: Sequence[str]) -> bool:
    """Whether the file says where these joints are."""
    joints = [_index(captured, joint_map, n.removeprefix("end:")) for n in names]
    return bool(np.isfinite(captured.positions[:, joints]).all())


def _bone_rotations(captured: Captured, joint_map: JointMap, skeleton: Skeleton) -> Array:
    """(T, B, 3, 3)"""
    if captured.turns is None:
        raise MotionliftError(
            f"{captured.file}: has positions and no rotations, which the bones of skeleton {skeleton.name} take over",
            "Use a skeleton without bones, or a file with rotations",
        )
    strange = _rests_strangely(captured, joint_map, skeleton)
    rotations = np.zeros((len(captured.positions), len(skeleton.bones), 3, 3))
    for b, bone in enumerate(skeleton.bones):
        parent = skeleton.bone_parents[b]
        above = rotations[:, parent] if parent >= 0 else np.broadcast_to(np.eye(3), (len(rotations), 3, 3))
        rule = joint_map.bones.get(bone.name)
        turn = above if rule is None else captured.turns[:, _index(captured, joint_map, rule)]
        if strange and rule is not None:
            turn = _aligned(turn, above, captured, joint_map, skeleton, b)
        # Without places to aim at a bone keeps the rotation that it takes over.
        aim = joint_map.aim.get(bone.name, ())
        if aim and (rule is None or _says(captured, joint_map, aim)):
            a, c = (_place(captured, joint_map, {k: 1}) for k in aim)
            rest = skeleton.rest[skeleton.joint(bone.tail)] - skeleton.rest[skeleton.joint(bone.head)]
            turn = shortest_arc(turn @ rest, c - a) @ turn
            if rule is None and bone.name in joint_map.center:
                turn = _centred(turn, above)
        rotations[:, b] = turn
    for name, degrees in joint_map.adjust.items():
        b = [x.name for x in skeleton.bones].index(name)
        rotations[:, b] = rotations[:, b] @ _about_axes(np.radians(degrees))
    return rotations


def _directions(captured: Captured, joint_map: JointMap, name: str) -> list[tuple[Array, Array]]:
    """(T, 3) directions in the recording and (3,) in our rest pose, by which a bone is aligned."""
    out: list[tuple[Array, Array]] = []
    for a, c, *rest in joint_map.align.get(name, ()):
        seen = _place(captured, joint_map, {c: 1}) - _place(captured, joint_map, {a: 1})
        out.append((normalize(seen), normalize(np.array(rest, np.float64))))
    return out


def _rests_strangely(captured: Captured, joint_map: JointMap, skeleton: Skeleton) -> bool:
    """Whether the recording's rest pose is turned by more than 30 degrees from ours: the root's bone shows it."""
    bone = skeleton.bones[0].name
    places = [n for pair in joint_map.align.get(bone, ()) for n in pair[:2]]
    if bone not in joint_map.bones or captured.turns is None or not _says(captured, joint_map, places):
        return False
    turn = captured.turns[:, _index(captured, joint_map, joint_map.bones[bone])]
    for seen, ours in _directions(captured, joint_map, bone):
        local = (seen[:, None] @ turn)[:, 0].mean(0)
        if normalize(local) @ ours < np.cos(np.radians(30)):
            return True
    return False


def _aligned(
    turn: Array, above: Array, captured: Captured, joint_map: JointMap, skeleton: Skeleton, index: int
) -> Array:
    """(T, 3, 3) the rotation with the constant taken out by which the recording's rest differs from ours.

    Two directions of a bone tell the constant; with one, the turn about it is that with which the bone does not
    twist against the one above on the average. The second of a limb is the hinge of its elbow or knee.
    """
    bone = skeleton.bones[index]
    pairs = _directions(captured, joint_map, bone.name)
    weights = [np.ones(len(turn)) for _ in pairs]
    hinged = bone if bone.hinge else next((b for b in skeleton.bones if b.name == bone.parent and b.hinge), None)
    if hinged is not None and bone.head in hinged.hinge[:2] and hinged.name in joint_map.aim:
        upper, lower = (
            _place(captured, joint_map, {c: 1}) - _place(captured, joint_map, {a: 1})
            for a, c in (joint_map.aim[n] for n in (hinged.name, _child(skeleton, hinged.name)))
        )
        across = np.cross(normalize(upper), normalize(lower))
        pairs.append((normalize(across), np.array(hinged.axis)))
        weights.append(np.linalg.norm(across, axis=-1))
    if not pairs:
        raise MotionliftError(
            f"{captured.file}: rests in no T-pose, and {joint_map.path} does not say how {bone.name} lies",
            f"Add {bone.name} to [align]",
        )
    local = [
        normalize(((seen[:, None] @ turn)[:, 0] * w[:, None]).sum(0))
        for (seen, _), w in zip(pairs, weights, strict=True)
    ]
    ours = [rest for _, rest in pairs]
    if len(pairs) > 1:
        return turn @ rigid_fit(np.stack(ours), np.stack(local)[None])[0]
    constant = shortest_arc(ours[0], local[0])
    # How the bone then lies against the one above, on the average, and the part of it that turns about the bone.
    quaternion = matrix_to_quat(_mean_rotation(np.swapaxes(above, -1, -2) @ turn @ constant)[None])[0]
    twist = 2 * np.arctan2(quaternion[1:] @ ours[0], quaternion[0])
    return turn @ constant @ _about_axes(-twist * ours[0])


def _child(skeleton: Skeleton, bone: str) -> str:
    return next(b.name for b in skeleton.bones if b.parent == bone)


def _mean_rotation(rotations: Array) -> Array:
    u, _, vt = np.linalg.svd(rotations.mean(0))
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def _centred(turn: Array, parent: Array) -> Array:
    """Take a bone's mean rotation relative to its parent out: the recording's rest is not ours."""
    return turn @ _mean_rotation(np.swapaxes(parent, -1, -2) @ turn).T


def _about_axes(angles: Array) -> Array:
    """(3, 3) rotation by an axis-angle vector."""
    angle = float(np.linalg.norm(angles))
    half = angles / (angle or 1.0) * np.sin(angle / 2)
    return quat_to_matrix(np.concatenate([[np.cos(angle / 2)], half]))


def _size_ratio(captured: Captured, joint_map: JointMap, skeleton: Skeleton) -> float:
    """Our size over the performer's."""
    if joint_map.size is None or not _says(captured, joint_map, joint_map.size.theirs):
        return 1.0
    theirs = np.stack([_place(captured, joint_map, {n: 1}) for n in joint_map.size.theirs], 1)
    ours = skeleton.rest[[skeleton.joint(n) for n in joint_map.size.ours]]
    length = float(np.median(np.linalg.norm(np.diff(theirs, axis=1), axis=-1), axis=0).sum())
    if length <= 0:
        raise MotionliftError(f"{captured.file}: {' - '.join(joint_map.size.theirs)} has no length", "Check the file")
    return float(np.linalg.norm(np.diff(ours, axis=0), axis=-1).sum()) / length


def _on_own_feet(joints: Array, captured: Captured, joint_map: JointMap, skeleton: Skeleton, ratio: float) -> Array:
    """(T, J, 3) joints with the feet where the performer's own were: those of other proportions slide, so they are
    moved with the ankle to where the recording, made larger by `ratio`, has it."""
    out = np.array(joints)
    for bone in skeleton.bones:
        if not bone.name.endswith("_foot") or bone.name not in joint_map.bones:
            continue
        ankle = captured.positions[:, _index(captured, joint_map, joint_map.bones[bone.name])] * ratio
        if not np.isfinite(ankle).all():  # a file of rotations alone
            continue
        columns = [skeleton.joint(n) for n in contact_points(skeleton) if n[0] == bone.name[0]]
        out[:, columns] += (ankle - joints[:, skeleton.joint(bone.head)])[:, None]
    return out


def find_contacts(feet: Array, fps: float) -> NDArray[np.float32]:
    """(T, points) 1 where points of feet (T, points, 3), metres with Z up, touch the ground, by height and speed."""
    height = feet[..., 2] - np.percentile(feet[..., 2].min(1), 10)
    speed = np.linalg.norm(np.gradient(feet, 1 / fps, axis=0), axis=-1) if len(feet) > 1 else np.zeros(height.shape)
    height = height - _own_ground(height, speed < CONTACT_STILL, fps)
    swing = maximum_filter1d(speed.max(1), 2 * round(SWING_SECONDS * fps) + 1, mode="nearest")[:, None]
    limit = np.maximum(1, SWING / CONTACT_SPEED * swing)  # times the limits of slow steps
    slow = (height < CONTACT_HEIGHT) & (speed < CONTACT_SPEED * limit)
    touches = np.zeros(slow.shape, np.float32)
    for point in range(slow.shape[1]):
        for start, stop in runs(slow[:, point]):
            long = stop - start >= min(CONTACT_SECONDS * fps, len(feet))
            if long and (speed[start:stop, point] < CONTACT_STILL * limit[start:stop, 0]).any():
                touches[start:stop, point] = 1
    return touches


def _own_ground(height: Array, still: NDArray[np.bool_], fps: float) -> Array:
    """(points,) height at which each point rests above the lowest; 0 where it is not seen to."""
    rests = still & (height < RESTS_UP_TO)
    return np.array(
        [
            max(0.0, float(np.percentile(h[r], 30))) if r.sum() >= RESTS_SECONDS * fps else 0.0
            for h, r in zip(height.T, rests.T, strict=True)
        ]
    )
