"""Procedural motion of the `body` skeleton: a choreography (steps, key poses, swings) becomes bone rotations.

Feet come first: they stand exactly still between steps. The pelvis follows the feet, no higher than the legs
reach, and two-bone inverse kinematics puts the legs between them. In a jump the centre of mass comes first: it
flies along a parabola, and the pelvis goes where that needs it. Everything else is key poses through monotone
cubics and a Gaussian, therefore smooth in all derivatives.

Scene space: metres, Z up; a performer whose yaw is 0 faces -Y, and positive yaw turns to its left (+X).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BPoly, CubicSpline, PchipInterpolator
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from lifter.skeleton import Skeleton, load_skeleton

Array = NDArray[np.float64]

OVERSAMPLE = 8
"""Motion is computed at this multiple of the frame rate, so that the filters see smooth curves."""
FLATTEN_SECONDS = 0.12
HEEL_OFF_SECONDS = 0.22
KEY_SECONDS = 0.07
PELVIS_SECONDS = 0.12
REACH = 0.994
"""A leg is never straighter than this share of its length: a locked knee pops."""
GRAVITY = 9.81
TAKE_OFF_SECONDS = 0.16
"""The heels leave the ground this long before the toes do, in a jump."""
MASS = {
    "pelvis": 0.15, "spine": 0.15, "chest": 0.20, "neck": 0.02, "head": 0.06, "upper_arm": 0.027, "forearm": 0.016,
    "hand": 0.006, "thigh": 0.11, "shin": 0.037, "foot": 0.014,
}  # fmt: skip
"""Share of the body's mass in each bone, rounded from de Leva, J. Biomechanics 29, 1996 (arms, legs: each side)."""


@dataclass(frozen=True)
class Proportions:
    """A body as factors on the rest offsets of `body`; the whole is then scaled to `height` (metres)."""

    height: float
    torso: float = 1.0
    neck: float = 1.0
    head: float = 1.0
    shoulders: float = 1.0
    arms: float = 1.0
    forearms: float = 1.0
    hands: float = 1.0
    hips: float = 1.0
    thighs: float = 1.0
    shins: float = 1.0
    feet: float = 1.0


@dataclass(frozen=True)
class Step:
    """One foot leaves the ground at `lift` and is down at `land` (seconds).

    The walker's centre line advances by `forward` and `left` metres, along and across the new `yaw`
    (degrees); the foot lands beside it. `path` leads the foot elsewhere in between, as for a kick: (share of the
    step's time, metres ahead, to the left and up, degrees of toe up), added to the step's own arc.
    """

    foot: str
    lift: float
    land: float
    forward: float
    yaw: float
    left: float = 0.0
    path: tuple[tuple[float, float, float, float, float], ...] = ()


@dataclass(frozen=True)
class Rise:
    """A heel leaves the ground at `up` and is back at `down` (seconds), turned by `degrees` about the toe."""

    foot: str
    up: float
    down: float
    degrees: float
    ease: float = 0.25


@dataclass(frozen=True)
class Jump:
    """Both feet leave the ground at `lift` and land at `land`, `forward` metres on.

    The body sinks by `dip` metres from `crouch` on before it takes off, by `absorb` after the landing, and is
    itself again at `settle`. `tuck` is how much higher the feet fly than the body does, metres.
    """

    crouch: float
    lift: float
    land: float
    settle: float
    forward: float = 0.0
    dip: float = 0.25
    absorb: float = 0.2
    tuck: float = 0.05


@dataclass(frozen=True)
class Swing:
    """A sine on a channel, from `start` to `end` seconds, faded in and out over `fade` seconds."""

    channel: str
    start: float
    end: float
    hertz: float
    amplitude: float
    phase: float = 0.0
    fade: float = 0.3


@dataclass(frozen=True)
class Choreography:
    """What the performer does. Times may be negative: the clip starts at 0, the motion `lead_in` before.

    `keys` maps a channel to (seconds, value) pairs; see `CHANNELS`. Angles are degrees.
    """

    seconds: float
    start: tuple[float, float]
    start_yaw: float
    steps: tuple[Step, ...]
    keys: Mapping[str, tuple[tuple[float, float], ...]]
    swings: tuple[Swing, ...] = ()
    rises: tuple[Rise, ...] = ()
    jumps: tuple[Jump, ...] = ()
    lead_in: float = 1.2
    stance_width: float = 0.17
    toe_out: float = 7.0
    arm_swing: float = 42.0
    """Degrees of shoulder flexion per metre that the other foot is in front."""


SIDED = ("lower", "flex", "twist", "elbow", "pronate", "wrist", "deviate", "shrug", "protract")
MIDDLE = (
    "drop",
    "back",
    "shift",
    "pelvis_pitch",
    "pelvis_roll",
    "pelvis_yaw",
    "chest_pitch",
    "chest_roll",
    "chest_yaw",
    "head_pitch",
    "head_roll",
    "head_yaw",
)
CHANNELS = (*MIDDLE, *(f"{side}_{name}" for side in "lr" for name in SIDED))
"""Channels of key poses, zero where not named (arms: see RELAXED).

drop, back, shift: metres that the pelvis goes down, backwards, to the left of where the feet put it.
*_pitch bends forwards, *_roll to the left, *_yaw turns to the left; the chest's relative to the pelvis, the
head's relative to the chest.
Arms: `lower` 0 is a T-pose and 90 hanging, `flex` raises the hanging arm forwards, `twist` turns it inwards,
`elbow` bends, `pronate` turns the palm, `wrist` bends towards the palm, `deviate` towards the thumb, `shrug`
and `protract` lift the shoulder and bring it forwards.
"""
RELAXED = {"lower": 78.0, "flex": 2.0, "twist": 12.0, "elbow": 18.0, "wrist": 8.0, "shrug": -3.0}


@dataclass(frozen=True)
class Motion:
    """Frames of a motion: everything in scene space.

    Attributes:
        joints: (T, J, 3) metres.
        rotations: (T, B, 3, 3) of each bone relative to rest.
        contacts: (T, 4) left heel, left toe, right heel, right toe on the ground.
        offsets: (J, 3) the performer's own rest offset of each joint from its parent.
    """

    joints: Array
    rotations: Array
    contacts: NDArray[np.bool_]
    offsets: Array = field(repr=False)


def rest_offsets(p: Proportions) -> Array:
    """(J, 3) offsets of the joints from their parents, metres; the root's is its height above the soles.

    Each is the skeleton's own offset times a number: directions stay, so rotations keep their meaning.
    """
    skeleton = load_skeleton()
    factor = {
        "spine": p.torso,
        "chest": p.torso,
        "neck": p.torso,
        "head": p.neck,
        "head_top": p.head,
        "nose": p.head,
        "ear": p.head,
        "clavicle": p.torso,
        "shoulder": p.shoulders,
        "elbow": p.arms,
        "wrist": p.forearms,
        "thumb": p.hands,
        "index": p.hands,
        "little": p.hands,
        "hip": p.hips,
        "knee": p.thighs,
        "ankle": p.shins,
        "heel": p.feet,
        "toe": p.feet,
    }
    rest = skeleton.rest.astype(np.float64)
    offsets = np.zeros_like(rest)
    for j, parent in enumerate(skeleton.parents):
        if parent >= 0:
            kind = skeleton.joint_names[j].removeprefix("l_").removeprefix("r_")
            offsets[j] = (rest[j] - rest[parent]) * factor[kind]
    sole = rest[skeleton.joint("l_ankle"), 2] * p.feet
    offsets[0, 2] = sole - sum(offsets[skeleton.joint(n), 2] for n in ("l_hip", "l_knee", "l_ankle"))
    top = offsets[0, 2] + sum(offsets[skeleton.joint(n), 2] for n in ("spine", "chest", "neck", "head", "head_top"))
    return offsets * (p.height / top)


def rest_joints(offsets: Array) -> Array:
    """(J, 3) joints of the performer's own T-pose, soles at Z = 0."""
    out = offsets.copy()
    for j, parent in enumerate(load_skeleton().parents):
        if parent >= 0:
            out[j] += out[parent]
    return out


def perform(c: Choreography, proportions: Proportions, fps: float) -> Motion:
    """The choreography performed by a body, one frame every 1/fps seconds from 0 on."""
    skeleton = load_skeleton()
    offsets = rest_offsets(proportions)
    rate = fps * OVERSAMPLE
    lead = round(c.lead_in * rate)
    frames = round(c.seconds * fps)
    # As much after the end as before the start: the filters must not see the clip's ends.
    t = (np.arange(lead * 2 + frames * OVERSAMPLE) - lead) / rate
    ch = _channels(c, t, rate)
    feet = {side: _foot(c, side, t, offsets, skeleton) for side in "lr"}
    rotations, root = _pose(c, ch, feet, offsets, skeleton, t, rate)
    joints = _joints(rotations, root, offsets, skeleton)
    keep = slice(lead, lead + frames * OVERSAMPLE, OVERSAMPLE)
    contacts = np.concatenate([feet[side].contacts for side in "lr"], 1)
    return Motion(joints[keep], rotations[keep], contacts[keep], offsets)


def centre_of_mass(joints: Array) -> Array:
    """(..., 3) of (..., J, 3) joints of `body`: every bone's mass sits in its middle."""
    skeleton = load_skeleton()
    out = np.zeros((*joints.shape[:-2], 3))
    for bone in skeleton.bones:
        mass = MASS.get(bone.name.removeprefix("l_").removeprefix("r_"), 0.0)
        out += mass / 2 * (joints[..., skeleton.joint(bone.head), :] + joints[..., skeleton.joint(bone.tail), :])
    return out / sum(m * (2 if f"l_{n}" in {b.name for b in skeleton.bones} else 1) for n, m in MASS.items())


def _joints(rotations: Array, root: Array, offsets: Array, skeleton: Skeleton) -> Array:
    joints = np.zeros((len(root), len(offsets), 3))
    joints[:, 0] = root
    for j, parent in enumerate(skeleton.parents):
        if parent >= 0:
            joints[:, j] = joints[:, parent] + rotations[:, skeleton.bone_of_joint[j]] @ offsets[j]
    return joints


# --- Channels -----------------------------------------------------------------------------------------------


def _channels(c: Choreography, t: Array, rate: float) -> dict[str, Array]:
    unknown = {*c.keys, *(s.channel for s in c.swings)} - set(CHANNELS)
    if unknown:
        raise ValueError(f"unknown channels {sorted(unknown)}; known are {', '.join(CHANNELS)}")
    out: dict[str, Array] = {}
    for name in CHANNELS:
        resting = RELAXED.get(name[2:], 0.0) if name[1] == "_" else 0.0
        keys = np.array(c.keys.get(name, ((0.0, resting),)), np.float64)
        if len(keys) > 1:
            inside = np.clip(t, keys[0, 0], keys[-1, 0])
            curve = np.asarray(PchipInterpolator(keys[:, 0], keys[:, 1])(inside), np.float64)
            out[name] = gaussian_filter1d(curve, KEY_SECONDS * rate, mode="nearest")
        else:
            out[name] = np.full(len(t), keys[0, 1])
    for s in c.swings:
        fade = _ease((t - s.start) / s.fade) * _ease((s.end - t) / s.fade)
        out[s.channel] = out[s.channel] + s.amplitude * fade * np.sin(2 * np.pi * s.hertz * (t - s.start) + s.phase)
    return out


def _ease(u: Array) -> Array:
    """0 to 1 with no velocity and no acceleration at either end (the minimum-jerk polynomial)."""
    u = np.clip(u, 0, 1)
    return u**3 * (10 - 15 * u + 6 * u * u)


# --- Feet ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Foot:
    """(T,) paths of one foot: where it stands flat, its rotation and ankle, its contacts and its swing."""

    flat: Array
    yaw: Array
    rotation: Array
    ankle: Array
    contacts: NDArray[np.bool_]
    swing: Array


def _foot(c: Choreography, side: str, t: Array, offsets: Array, skeleton: Skeleton) -> _Foot:
    sign = 1.0 if side == "l" else -1.0
    heel, toe = offsets[skeleton.joint(f"{side}_heel")], offsets[skeleton.joint(f"{side}_toe")]
    sole = rest_joints(offsets)[skeleton.joint(f"{side}_ankle"), 2]

    def beside(centre: Array, yaw: float) -> Array:
        return centre + sign * c.stance_width / 2 * np.array([np.cos(np.radians(yaw)), np.sin(np.radians(yaw))])

    centre = np.array(c.start)
    here, angle = beside(centre, c.start_yaw), np.radians(c.start_yaw + sign * c.toe_out)
    xy, yaw = np.tile(here, (len(t), 1)), np.full(len(t), angle)
    height, pitch, pivot, swing = np.zeros(len(t)), np.zeros(len(t)), np.zeros(len(t)), np.zeros(len(t))
    heel_down, toe_down = np.ones(len(t), bool), np.ones(len(t), bool)
    off_path = np.zeros((len(t), 4))
    facing, free = np.radians(c.start_yaw), -np.inf
    for step in sorted((*c.steps, *c.jumps), key=lambda s: s.lift):
        u = (t - step.lift) / (step.land - step.lift)
        if isinstance(step, Jump):
            advance = step.forward * np.array([np.sin(facing), -np.cos(facing)])
            centre, here = centre + advance, here + advance
            v = np.clip(u, 0, 1)
            xy += v[:, None] * advance
            height += GRAVITY / 2 * (step.land - step.lift) ** 2 * v * (1 - v) + step.tuck * 64 * (v * (1 - v)) ** 3
            off, strike = -np.radians(48), -np.radians(15)
            pitch += off * _ease((t - step.lift + TAKE_OFF_SECONDS) / TAKE_OFF_SECONDS)
            pitch += (strike - off) * _ease(u) - strike * _ease((t - step.land) / FLATTEN_SECONDS)
            heel_down &= (t <= step.lift - TAKE_OFF_SECONDS) | (t >= step.land + FLATTEN_SECONDS)
            toe_down &= (t <= step.lift) | (t >= step.land)
            continue
        turn = facing = np.radians(step.yaw)
        centre = centre + step.forward * np.array([np.sin(turn), -np.cos(turn)])
        centre = centre + step.left * np.array([np.cos(turn), np.sin(turn)])
        if step.foot != side:
            continue
        if step.lift < free:
            raise ValueError(f"foot {side} lifts at {step.lift:.2f} s, but is busy until {free:.2f} s")
        free = step.land + FLATTEN_SECONDS + HEEL_OFF_SECONDS
        target, target_angle = beside(centre, step.yaw), turn + np.radians(sign * c.toe_out)
        length = float(np.linalg.norm(target - here))
        roll = np.clip(length / 0.9, 0.12, 1.0)
        xy += _ease(u)[:, None] * (target - here)
        yaw += _ease(u) * (target_angle - angle)
        v = np.clip(u, 0, 1)
        height += (0.035 + 0.03 * roll) * 64 * (v * (1 - v)) ** 3
        swing += 64 * (v * (1 - v)) ** 3
        # Heel up before the lift, toe up at the landing, flat after it. Positive pitch is toe up.
        off, strike = -np.radians(33) * roll, np.radians(16) * roll
        pitch += off * _ease((t - step.lift + HEEL_OFF_SECONDS) / HEEL_OFF_SECONDS)
        pitch += (strike - off) * _ease(u) - strike * _ease((t - step.land) / FLATTEN_SECONDS)
        # The pivot wanders from the toe to the heel in the air, and back while the foot lies flat.
        pivot += _ease((u - 0.1) / 0.8) - _ease((t - step.land - FLATTEN_SECONDS) / 0.03)
        heel_down &= (t <= step.lift - HEEL_OFF_SECONDS) | (t >= step.land)
        toe_down &= (t <= step.lift) | (t >= step.land + FLATTEN_SECONDS)
        here, angle = target, target_angle
        if step.path:
            keys = np.array([(0.0,) * 5, *step.path, (1.0,) + (0.0,) * 4])
            off_path += np.asarray(CubicSpline(keys[:, 0], keys[:, 1:], bc_type="clamped")(v), np.float64)
    for rise in c.rises:
        if rise.foot == side:
            pitch -= np.radians(rise.degrees) * _ease((t - rise.up) / rise.ease) * _ease((rise.down - t) / rise.ease)
            heel_down &= (t <= rise.up) | (t >= rise.down)
    rotation = _rz(yaw) @ _rx(-pitch - np.radians(off_path[:, 3]))
    # Points on the foot relative to the ankle, flat: it turns about the pivot.
    about = toe + pivot[:, None] * (heel - toe)
    flat = np.concatenate([xy, (sole + height)[:, None]], 1)
    ankle = flat + (_rz(yaw) @ about[..., None])[..., 0] - (rotation @ about[..., None])[..., 0]
    ankle = ankle + (_rz(yaw) @ (off_path[:, [1, 0, 2]] * [1, -1, 1])[..., None])[..., 0]
    return _Foot(flat, yaw, rotation, ankle, np.stack([heel_down, toe_down], 1), swing)


# --- The body above the feet --------------------------------------------------------------------------------


def _pose(
    c: Choreography,
    ch: Mapping[str, Array],
    feet: Mapping[str, _Foot],
    offsets: Array,
    skeleton: Skeleton,
    t: Array,
    rate: float,
) -> tuple[Array, Array]:
    """(T, B, 3, 3) rotations and (T, 3) root path."""
    left, right = feet["l"], feet["r"]
    rad = {name: np.radians(curve) for name, curve in ch.items() if name not in ("drop", "back", "shift")}

    def smooth(x: Array, seconds: float) -> Array:
        return gaussian_filter1d(x, seconds * rate, axis=0, mode="nearest")

    heading = smooth((left.yaw + right.yaw) / 2, 0.14)
    forward = np.stack([np.sin(heading), -np.cos(heading)], 1)
    sideways = np.stack([np.cos(heading), np.sin(heading)], 1)
    # How far the left foot is in front of the right one, metres: it turns the hips and swings the arms.
    lead = smooth(((left.flat - right.flat)[:, :2] * forward).sum(-1), 0.05)
    load = 0.5 + 0.22 * (right.swing - left.swing)
    middle = load[:, None] * left.flat[:, :2] + (1 - load)[:, None] * right.flat[:, :2]
    xy = smooth(middle, PELVIS_SECONDS) - ch["back"][:, None] * forward + ch["shift"][:, None] * sideways
    # The ankles stand behind the hips' plumb line in a relaxed stance.
    xy = xy + 0.01 * forward

    b = {bone.name: i for i, bone in enumerate(skeleton.bones)}
    out = np.zeros((len(heading), len(b), 3, 3))
    out[:, b["pelvis"]] = pelvis = _rz(heading + rad["pelvis_yaw"] - 0.16 * lead) @ _bend(
        rad["pelvis_pitch"] + 0.03, rad["pelvis_roll"] + 0.05 * smooth(left.swing - right.swing, 0.06)
    )

    def chest_turn(share: float) -> Array:
        yaw = rad["chest_yaw"] + 0.34 * lead
        return _rz(share * yaw) @ _bend(share * rad["chest_pitch"], share * rad["chest_roll"])

    out[:, b["spine"]] = pelvis @ chest_turn(0.5)
    out[:, b["chest"]] = chest = pelvis @ chest_turn(1.0)

    def head_turn(share: float) -> Array:
        return _rz(share * (rad["head_yaw"] - 0.16 * lead)) @ _bend(share * rad["head_pitch"], share * rad["head_roll"])

    out[:, b["neck"]] = chest @ head_turn(0.5)
    out[:, b["head"]] = chest @ head_turn(1.0)

    mirror = np.diag([-1.0, 1.0, 1.0])
    for side, sign in (("l", 1.0), ("r", -1.0)):
        a = {name: rad[f"{side}_{name}"] for name in SIDED}
        swing = -sign * np.radians(c.arm_swing) * lead
        flex = a["flex"] + swing
        # The elbow bends more as the arm comes forwards.
        elbow = a["elbow"] + 0.6 * np.clip(swing + 0.35, 0, None) ** 2
        clavicle = _rz(-a["protract"]) @ _ry(-a["shrug"])
        upper = _rx(-flex) @ _ry(a["lower"]) @ _rx(a["twist"])
        forearm = upper @ _rz(-elbow) @ _rx(a["pronate"])
        hand = forearm @ _ry(a["wrist"]) @ _rz(-a["deviate"])
        for name, r in (("clavicle", clavicle), ("upper_arm", upper), ("forearm", forearm), ("hand", hand)):
            out[:, b[f"{side}_{name}"]] = chest @ (r if side == "l" else mirror @ r @ mirror)

    # No higher than both legs reach, smoothly below that bound.
    hips = {s: (pelvis @ offsets[skeleton.joint(f"{s}_hip")]) for s in "lr"}
    bound = np.full(len(heading), np.inf)
    for side, foot in feet.items():
        length = sum(float(np.linalg.norm(offsets[skeleton.joint(f"{side}_{n}")])) for n in ("knee", "ankle"))
        flat = foot.ankle[:, :2] - xy - hips[side][:, :2]
        below = np.sqrt((REACH * length) ** 2 - (flat**2).sum(-1))
        bound = np.minimum(bound, foot.ankle[:, 2] - hips[side][:, 2] + below)
    z = smooth(minimum_filter1d(bound, round(0.06 * rate)), 0.04) - ch["drop"]
    root = np.concatenate([xy, z[:, None]], 1)

    def legs(root: Array, strict: bool = True) -> None:
        for side, foot in feet.items():
            thigh, shin = (offsets[skeleton.joint(f"{side}_{n}")] for n in ("knee", "ankle"))
            ahead = (foot.yaw + heading) / 2
            facing = np.stack([np.sin(ahead), -np.cos(ahead), np.zeros(len(ahead))], 1)
            reach = foot.ankle - root - hips[side]
            if not strict:
                length = np.linalg.norm(reach, axis=-1, keepdims=True)
                longest = REACH * (np.linalg.norm(thigh) + np.linalg.norm(shin))
                reach = reach * np.minimum(1.0, longest / length)
            out[:, b[f"{side}_thigh"]], out[:, b[f"{side}_shin"]] = _leg(reach, thigh, shin, facing)
            out[:, b[f"{side}_foot"]] = foot.rotation

    if c.jumps:
        ordinary = root
        for _ in range(8):
            # The legs' pose moves the centre of mass against the pelvis: a few rounds settle both.
            legs(root, strict=False)
            mass = centre_of_mass(_joints(out, root, offsets, skeleton)) - root
            root = ordinary.copy()
            for jump in c.jumps:
                inside = (t >= jump.crouch) & (t <= jump.settle)
                root[inside] = _flight(jump, t, rate, ordinary, mass, feet, hips, offsets, skeleton)[inside]
    legs(root)
    return out, root


def _flight(
    jump: Jump,
    t: Array,
    rate: float,
    ordinary: Array,
    mass: Array,
    feet: Mapping[str, _Foot],
    hips: Mapping[str, Array],
    offsets: Array,
    skeleton: Skeleton,
) -> Array:
    """(T, 3) root during a jump: the centre of mass, `mass` from the root, flies freely from lift to land.

    Before and after it joins the `ordinary` root path with its velocity and acceleration.
    """
    first, lift, land, last = (
        int(np.searchsorted(t, s - 1e-9)) for s in (jump.crouch, jump.lift, jump.land, jump.settle)
    )
    air = t[land] - t[lift]
    where = ordinary + mass
    velocity = np.gradient(where, 1 / rate, axis=0)
    force = np.gradient(velocity, 1 / rate, axis=0)
    travel = where[last] - where[first]
    start, end = where[first] + 0.12 * travel, where[last] - 0.12 * travel
    for point, i, stretch in ((start, lift, 0.985), (end, land, 0.955)):
        height = np.inf
        for side, foot in feet.items():
            length = sum(float(np.linalg.norm(offsets[skeleton.joint(f"{side}_{n}")])) for n in ("knee", "ankle"))
            across = (foot.ankle[i] - hips[side][i] - (point - mass[i]))[:2]
            up = float(np.sqrt((stretch * length) ** 2 - across @ across))
            height = min(height, float(foot.ankle[i, 2] - hips[side][i, 2]) + up)
        point[2] = height + mass[i, 2]
    fall = np.array([0, 0, -GRAVITY])
    leaving = (end - start) / air - fall * air / 2
    landing = leaving + fall * air
    sunk = where[first] * [1, 1, 1] + 0.06 * travel - [0, 0, jump.dip]
    soft = where[last] - 0.06 * travel - [0, 0, jump.absorb]
    # Lowest after 55 % of the way to the take-off, and after 35 % of the way from the landing.
    low = t[first] + 0.55 * (t[lift] - t[first])
    deep = t[land] + 0.35 * (t[last] - t[land])
    # Level while sunk: the vertical velocity is zero, the horizontal one follows the travel.
    drift = 0.12 * travel / (t[lift] - t[first]) * [1, 1, 0]
    calm = 0.12 * travel / (t[last] - t[land]) * [1, 1, 0]
    path = BPoly.from_derivatives(
        [t[first], low, t[lift], t[land], deep, t[last]],
        [
            [where[first], velocity[first], force[first]], [sunk, drift], [start, leaving, fall], [end, landing, fall],
            [soft, calm], [where[last], velocity[last], force[last]],
        ],
    )  # fmt: skip
    return np.asarray(path(np.clip(t, t[first], t[last])), np.float64) - mass


def _leg(reach: Array, thigh: Array, shin: Array, facing: Array) -> tuple[Array, Array]:
    """(T, 3, 3) of thigh and shin that put the ankle at `reach` from the hip, the knee bent towards `facing`."""
    upper, lower = np.linalg.norm(thigh), np.linalg.norm(shin)
    distance = np.linalg.norm(reach, axis=-1)
    if (distance > 0.999 * (upper + lower)).any():
        raise ValueError(f"a foot is {distance.max():.3f} m from its hip, the leg is {upper + lower:.3f} m long")
    along = reach / distance[:, None]
    # Forwards x down is the performer's left, where the knee's axis points.
    axis = np.asarray(np.cross(facing, along), np.float64)
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    towards = np.cross(along, axis)
    cosine = (upper**2 + distance**2 - lower**2) / (2 * upper * distance)
    knee = upper * (cosine[:, None] * along + np.sqrt(1 - cosine**2)[:, None] * towards)
    resting = np.array([1.0, 0.0, 0.0])
    return _frame(knee, axis) @ _frame(thigh, resting).T, _frame(reach - knee, axis) @ _frame(shin, resting).T


def _frame(direction: Array, axis: Array) -> Array:
    """(..., 3, 3) orthonormal columns: the direction, the axis made square to it, and their cross product."""
    d = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    a = axis - (axis * d).sum(-1, keepdims=True) * d
    a = a / np.linalg.norm(a, axis=-1, keepdims=True)
    return np.stack([d, a, np.cross(d, a)], -1)


def _bend(pitch: Array, roll: Array) -> Array:
    """Forwards and then to the left, for a body that faces -Y."""
    return _ry(roll) @ _rx(pitch)


def _rx(a: Array) -> Array:
    return _axis(a, 0)


def _ry(a: Array) -> Array:
    return _axis(a, 1)


def _rz(a: Array) -> Array:
    return _axis(a, 2)


def _axis(a: Array, k: int) -> Array:
    """(T, 3, 3) right-handed rotations by angles a about coordinate axis k."""
    i, j = (k + 1) % 3, (k + 2) % 3
    out = np.zeros((*a.shape, 3, 3))
    out[..., k, k] = 1
    out[..., i, i] = out[..., j, j] = np.cos(a)
    out[..., j, i] = np.sin(a)
    out[..., i, j] = -np.sin(a)
    return out
