"""A skinned body around any humanoid rig, made to be read: seams show twist, patches show elbows and knees.

Everything is shaped in a T-pose (Z up, facing -Y, left is +X) and then carried to the rig's own rest pose, slot by
slot. The thumb's side, palms, toe caps, kneecaps and the point of the elbow have colours of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from blender_addon.retarget.rig import RigSpec
from blender_addon.retarget.rotations import IDENTITY, Array, from_matrix, inverse, multiply, rotate, swing, unit
from blender_addon.retarget.slots import FINGERS, SIDES

Truth = dict[str, tuple[str, ...]]
Weights = dict[str, float]
Colour = Callable[[int, float], str]
"""Name of a face's colour from its ring and its angle about the tube, radians from the first axis."""

AROUND = 20
"""Points of a ring."""
BLEND = 0.12
"""Share of a limb's segment over which two bones blend at a joint."""


@dataclass(frozen=True)
class Looks:
    """Half widths at a body of 1.70 m, and which part is how much thicker than usual."""

    trunk: float = 1.0
    arm: float = 1.0
    leg: float = 1.0
    neck: float = 1.0


@dataclass(frozen=True)
class Figure:
    """(V, 3) points at the rig's rest pose, faces, the name of each face's colour, and the weights of each point."""

    points: Array
    faces: list[tuple[int, ...]]
    colours: list[str]
    weights: list[Weights]


@dataclass(frozen=True)
class _Carry:
    """From the T-pose to the rig's rest: rest = rotate(turn, point - before) + after."""

    turn: Array
    before: Array
    after: Array

    def to_rest(self, points: Array) -> Array:
        return rotate(self.turn, points - self.before) + self.after

    def to_t(self, points: Array) -> Array:
        return rotate(inverse(self.turn), points - self.after) + self.before


def make_figure(rig: RigSpec, truth: Truth, looks: Looks) -> Figure:
    """A body around the rig, which stands with its soles on Z = 0 and faces -Y."""
    t = _Plan(rig, truth)
    parts: list[Part] = [*_trunk(t, looks), *_head(t, looks)]
    for side in SIDES:
        parts += [*_arm(t, side, looks), *_hand(t, side), *_leg(t, side, looks)]
    points: list[Array] = []
    faces: list[tuple[int, ...]] = []
    for part in parts:
        start = sum(len(p) for p in points)
        faces += [tuple(i + start for i in f) for f in part.faces]
        points.append(t.to_rest(part))
    return Figure(
        np.concatenate(points), faces, [c for p in parts for c in p.colours], [w for p in parts for w in p.weights]
    )


class _Plan:
    """The rig's joints carried back to a T-pose."""

    def __init__(self, rig: RigSpec, truth: Truth) -> None:
        self.rig, self.truth = rig, truth
        self.slot_of = {b: slot for slot, bones in truth.items() for b in bones}
        self.carry: dict[str, _Carry] = {}
        for side in SIDES:
            self._arms_out(side)

    def _raw(self, slot: str) -> Array:
        return self.rig.heads[self.rig.index(self.truth[slot][0])]

    def _arms_out(self, side: str) -> None:
        """Turns that take a T-posed arm to the rig's: from the elbow's bend and the knuckles."""
        x = np.array([1.0 if side == "l" else -1.0, 0, 0])
        hinge = np.array([0, 0, -x[0]])
        shoulder, elbow = self._raw(f"{side}_upper_arm"), self._raw(f"{side}_forearm")
        wrist = self._raw(f"{side}_hand")
        u, v = elbow - shoulder, wrist - elbow
        bend = np.cross(unit(u), unit(v))
        upper = swing(x, u)
        if np.linalg.norm(bend) > 0.08:
            upper = multiply(from_matrix(_axes(u, bend)), inverse(from_matrix(_axes(x, hinge))))
        fore = multiply(swing(rotate(upper, x), v), upper)
        hand = fore
        if f"{side}_index" in self.truth and f"{side}_little" in self.truth:
            index, little = self._raw(f"{side}_index"), self._raw(f"{side}_little")
            rest = from_matrix(_axes((index + little) / 2 - wrist, index - little))
            hand = multiply(rest, inverse(from_matrix(_axes(x, np.array([0, -1.0, 0])))))
        t_elbow = shoulder + rotate(inverse(upper), u)
        t_wrist = t_elbow + rotate(inverse(fore), v)
        for part in ("upper_arm", "upper_arm_twist"):
            self.carry[f"{side}_{part}"] = _Carry(upper, shoulder, shoulder)
        for part in ("forearm", "forearm_twist"):
            self.carry[f"{side}_{part}"] = _Carry(fore, t_elbow, elbow)
        for part in ("hand", *FINGERS):
            self.carry[f"{side}_{part}"] = _Carry(hand, t_wrist, wrist)

    def of(self, bone: str) -> _Carry:
        zero = np.zeros(3)
        return self.carry.get(self.slot_of[bone], _Carry(IDENTITY, zero, zero))

    def has(self, slot: str) -> bool:
        return bool(self.truth.get(slot))

    def bones(self, slot: str) -> tuple[str, ...]:
        return self.truth.get(slot, ())

    def head(self, slot: str, bone: int = 0) -> Array:
        name = self.truth[slot][bone]
        return self.of(name).to_t(self.rig.heads[self.rig.index(name)])

    def tail(self, slot: str, bone: int = -1) -> Array:
        name = self.truth[slot][bone]
        return self.of(name).to_t(self.rig.tails[self.rig.index(name)])

    def to_rest(self, part: Part) -> Array:
        """Points moved by what moves their bones; where slots meet, by shares."""
        out = np.zeros_like(part.points)
        for i, weights in enumerate(part.weights):
            for bone, share in weights.items():
                out[i] += share * self.of(bone).to_rest(part.points[i])
        return out


def _axes(along: Array, across: Array) -> Array:
    y = unit(along)
    x = unit(across - (across @ y) * y)
    return np.stack([x, y, np.cross(x, y)], -1)


# --- Shapes ---


@dataclass(frozen=True)
class Part:
    points: Array
    faces: list[tuple[int, ...]]
    colours: list[str]
    weights: list[Weights]


@dataclass(frozen=True)
class Ring:
    """Centre of an ellipse, its half axes across the tube, and what it follows."""

    centre: Array
    half: tuple[float, float]
    weights: Weights


def tube(rings: Sequence[Ring], across: Sequence[float], colour: Colour, box: float = 2.0) -> Part:
    """A closed tube; `across` is the direction of the first half axis, `box` the exponent of its superellipse."""
    centres = np.array([r.centre for r in rings])
    along = unit(np.gradient(centres, axis=0))
    u = unit(np.array(across, float) - (along @ np.array(across, float))[:, None] * along)
    v = np.cross(along, u)
    angle = np.arange(AROUND) * 2 * np.pi / AROUND
    cosine, sine = (np.sign(f(angle)) * np.abs(f(angle)) ** (2 / box) for f in (np.cos, np.sin))
    # Rounded ends: smaller rings pushed out.
    ends = [(0.5, 0.87), (0.85, 0.53)]
    order = [(0, -p, s) for p, s in reversed(ends)] + [(i, 0.0, 1.0) for i in range(len(rings))]
    order += [(len(rings) - 1, p, s) for p, s in ends]
    points: list[Array] = []
    weights: list[Weights] = []
    faces: list[tuple[int, ...]] = []
    colours: list[str] = []
    for i, push, shrink in order:
        middle = centres[i] + push * 0.9 * min(rings[i].half) * along[i]
        a, b = rings[i].half
        points.append(middle + shrink * (a * cosine[:, None] * u[i] + b * sine[:, None] * v[i]))
        weights += [rings[i].weights] * AROUND
    for r in range(len(order) - 1):
        for k in range(AROUND):
            a, b = r * AROUND + k, r * AROUND + (k + 1) % AROUND
            faces.append((a, b, b + AROUND, a + AROUND))
            colours.append(colour(order[r][0], (angle[k] + np.pi / AROUND) % (2 * np.pi)))
    last = (len(order) - 1) * AROUND
    faces += [tuple(range(AROUND))[::-1], tuple(range(last, last + AROUND))]
    colours += [colour(0, np.pi / 2), colour(len(rings) - 1, np.pi / 2)]
    return Part(np.concatenate(points), faces, colours, weights)


def ball(centre: Array, half: Sequence[float], colour: str, weights: Weights) -> Part:
    heights = np.cos(np.linspace(0, np.pi, 11))
    rings = [
        Ring(
            centre + [0, 0, half[2] * h],
            (half[0] * max(1e-4, np.sqrt(1 - h * h)), half[1] * max(1e-4, np.sqrt(1 - h * h))),
            weights,
        )
        for h in heights[::-1]
    ]
    return tube(rings, (1, 0, 0), lambda _i, _a: colour)


def plain(colour: str) -> Colour:
    return lambda _ring, _angle: colour


def near(angle: float, at: float, width: float) -> bool:
    return abs((angle - at + np.pi) % (2 * np.pi) - np.pi) < width


def share_out(knots: Sequence[tuple[float, str]], place: float) -> Weights:
    """Weights at a place from bones that hold fully at theirs."""
    places = [p for p, _ in knots]
    out: Weights = {}
    for i, (_, bone) in enumerate(knots):
        weight = float(np.interp(place, places, np.eye(len(knots))[i]))
        if weight > 0:
            out[bone] = out.get(bone, 0.0) + weight
    return out


# --- Parts of the body, shaped for 1.70 m and scaled by the part's own length ---


def _segment_knots(t: _Plan, slot: str, start: float, *, own: bool) -> list[tuple[float, str]]:
    """Where along a segment from `start` to `start + 1` its bones hold. `own`: the twist is the segment's own and
    all there at its end; else it comes from the next segment and grows towards it."""
    bones, leaves = t.bones(slot), t.bones(f"{slot}_twist")
    low, high = start + BLEND, start + 1 - BLEND
    if leaves:
        a, b = t.head(slot), t.tail(slot)
        along = (b - a) / float((b - a) @ (b - a))
        beside = [(start + float((t.head(f"{slot}_twist", i) - a) @ along), leaf) for i, leaf in enumerate(leaves)]
        knots = [*beside, (high, bones[0])] if own else [(low, bones[0]), *beside]
    elif len(bones) > 1:
        knots = [(start + (k + 0.5) / len(bones), b) for k, b in enumerate(bones)]
    else:
        knots = [(low, bones[0]), (high, bones[0])]
    return sorted((float(np.clip(p, low, high)), b) for p, b in knots)


def _along(points: Sequence[Array], place: float) -> Array:
    """A place on a polyline, each piece one long; straight on beyond its ends."""
    i = int(np.clip(np.floor(place), 0, len(points) - 2))
    return points[i] + (place - i) * (points[i + 1] - points[i])


def _arm(t: _Plan, side: str, looks: Looks) -> list[Part]:
    clavicle = t.bones(f"{side}_clavicle") or t.bones("spine")[-1:]
    joints = [t.head(f"{side}_upper_arm"), t.head(f"{side}_forearm"), t.head(f"{side}_hand")]
    knots = [(-BLEND, clavicle[-1])]
    knots += _segment_knots(t, f"{side}_upper_arm", 0.0, own=True)
    knots += _segment_knots(t, f"{side}_forearm", 1.0, own=False)
    knots += [(2.0 + BLEND / 2, t.bones(f"{side}_hand")[0])]
    size = float(np.linalg.norm(joints[2] - joints[0])) / 0.53 * looks.arm
    profile = ((-0.1, 0.046), (0.15, 0.054), (0.5, 0.048), (0.85, 0.041), (1.0, 0.042), (1.25, 0.043), (1.6, 0.035),
               (2.0, 0.027), (2.08, 0.027))  # fmt: skip
    places = np.linspace(-0.1, 2.08, 34)
    rings: list[Ring] = []
    for p in places:
        radius = size * float(np.interp(p, [a for a, _ in profile], [b for _, b in profile]))
        rings.append(Ring(_along(joints, float(p)), (radius, radius), share_out(knots, float(p))))

    def colour(ring: int, angle: float) -> str:
        # The first axis points up; the second forwards on the left, backwards on the right.
        back = np.pi * 1.5 if side == "l" else np.pi / 2
        if abs(places[ring] - 1.0) < 0.1 and near(angle, back, 0.7):
            return "patch"
        if near(angle, 0.0, 0.35):
            return "seam"
        return "shirt" if places[ring] < 0.55 else "skin"

    chest = t.bones("spine")[-1] if t.has("spine") else t.bones("pelvis")[0]
    inner, outer = t.head(f"{side}_clavicle") if t.has(f"{side}_clavicle") else joints[0] * [0.3, 1, 1], joints[0]
    wide = 0.05 * float(abs(outer[0])) / 0.17 * (0.5 + 0.5 * looks.trunk)
    yoke = [
        Ring(inner + f * (outer - inner) - [0, 0, 0.2 * wide], (wide, wide * 1.15), w)
        for f, w in ((0.0, {chest: 1.0}), (0.5, {chest: 0.5, clavicle[-1]: 0.5}), (0.9, {clavicle[-1]: 1.0}))
    ]
    shoulder = ball(outer, (0.058 * size,) * 3, "shirt", {clavicle[-1]: 0.5, knots[1][1]: 0.5})
    return [tube(rings, (0, 0, 1), colour), tube(yoke, (0, 0, 1), plain("shirt")), shoulder]


def _hand(t: _Plan, side: str) -> list[Part]:
    wrist, bone = t.head(f"{side}_hand"), t.bones(f"{side}_hand")[0]
    fingers = [f for f in FINGERS if t.has(f"{side}_{f}")]
    weights = {bone: 1.0}
    sign = 1.0 if side == "l" else -1.0
    if len(fingers) < 3:
        length = float(np.linalg.norm(t.tail(f"{side}_hand") - wrist))
        rings = [
            Ring(wrist + np.array([sign * f * length, 0, 0]), (w * length, 0.15 * length), weights)
            for f, w in ((-0.05, 0.3), (0.3, 0.42), (0.8, 0.45), (1.4, 0.40), (1.9, 0.25))
        ]
        thick = (0.13 * length, 0.12 * length)
        thumb = [
            Ring(wrist + np.array([sign * f, -s, -0.05]) * length, thick, weights)
            for f, s in ((0.15, 0.2), (0.6, 0.6), (1.0, 0.75))
        ]
        return [tube(rings, (0, -1, 0), _palm(side), 2.5), tube(thumb, (0, 0, 1), plain("thumb"))]
    knuckles = [t.head(f"{side}_{f}") for f in fingers if f != "thumb"]
    middle, spread = np.mean(knuckles, 0), float(np.ptp([k[1] for k in knuckles]))
    half = spread / 2 + 0.25 * spread
    rings = [
        Ring(wrist + f * (middle - wrist), (w * half, 0.32 * half), weights)
        for f, w in ((-0.05, 0.55), (0.25, 0.7), (0.7, 0.95), (1.05, 1.0))
    ]
    parts = [tube(rings, (0, -1, 0), _palm(side), 2.6)]
    for finger in fingers:
        bones = t.bones(f"{side}_{finger}")
        points = [t.head(f"{side}_{finger}", k) for k in range(len(bones))] + [t.tail(f"{side}_{finger}")]
        thick = 0.27 * half * (1.15 if finger == "thumb" else 1.0)
        around = [bone, *bones]
        made: list[Ring] = []
        if finger == "thumb":
            made.append(Ring(wrist + 0.3 * (points[0] - wrist), (thick * 1.2, thick * 1.1), weights))
        for k, point in enumerate(points[:-1]):
            shares = {around[k]: 0.5, around[k + 1]: 0.5}
            thin = 1 - 0.12 * k
            made.append(Ring(point, (thick * thin, thick * thin), shares))
            made.append(Ring((point + points[k + 1]) / 2, (thick * thin * 0.95,) * 2, {around[k + 1]: 1.0}))
        made.append(Ring(points[-1], (thick * 0.65,) * 2, {bones[-1]: 1.0}))
        colour = plain("thumb") if finger == "thumb" else _palm(side)
        parts.append(tube(made, (0, 0, 1) if finger == "thumb" else (0, -1, 0), colour))
    return parts


def _palm(side: str) -> Colour:
    """The palm's side of tubes whose first axis points to the index finger."""
    # The second axis points down on the left hand, up on the right.
    below = np.pi / 2 if side == "l" else np.pi * 1.5

    def colour(_ring: int, angle: float) -> str:
        if near(angle, below, 1.1):
            return "palm"
        return "seam" if near(angle, below + np.pi, 0.35) else "skin"

    return colour


def _leg(t: _Plan, side: str, looks: Looks) -> list[Part]:
    joints = [t.head(f"{side}_thigh"), t.head(f"{side}_shin"), t.head(f"{side}_foot")]
    knots = [(-BLEND, t.bones("pelvis")[0])]
    knots += _segment_knots(t, f"{side}_thigh", 0.0, own=True)
    knots += _segment_knots(t, f"{side}_shin", 1.0, own=False)
    knots += [(2.0 + BLEND / 2, t.bones(f"{side}_foot")[0])]
    size = float(np.linalg.norm(joints[2] - joints[0])) / 0.82 * looks.leg
    profile = ((-0.05, 0.078), (0.1, 0.086), (0.3, 0.080), (0.9, 0.058), (1.0, 0.056), (1.3, 0.060), (1.7, 0.045),
               (2.0, 0.040))  # fmt: skip
    places = np.linspace(-0.05, 2.0, 34)
    rings: list[Ring] = []
    for p in places:
        radius = size * float(np.interp(p, [a for a, _ in profile], [b for _, b in profile]))
        rings.append(Ring(_along(joints, float(p)), (radius, radius), share_out(knots, float(p))))
    out = 0.0 if side == "l" else np.pi

    def colour(ring: int, angle: float) -> str:
        # The second axis points forwards.
        if abs(places[ring] - 1.0) < 0.09 and near(angle, np.pi / 2, 0.8):
            return "patch"
        if near(angle, out, 0.3):
            return "seam"
        return "trousers"

    return [tube(rings, (1, 0, 0), colour), *_foot(t, side)]


def _foot(t: _Plan, side: str) -> list[Part]:
    """A shoe on the floor from heel to toe, its cap of another colour."""
    ankle, foot = t.head(f"{side}_foot"), t.bones(f"{side}_foot")[0]
    has_toe = t.has(f"{side}_toe")
    ball_of_foot = t.head(f"{side}_toe") if has_toe else t.tail(f"{side}_foot")
    toe = t.bones(f"{side}_toe")[0] if has_toe else foot
    length = float(np.hypot(*(ball_of_foot - ankle)[:2]))
    forward = unit((ball_of_foot - ankle) * [1, 1, 0])
    height = float(ankle[2])
    wide = 0.30 * length
    profile = ((-0.34, 0.75, 0.62, {foot: 1.0}), (0.0, 0.85, 0.98, {foot: 1.0}), (0.4, 0.95, 0.72, {foot: 1.0}),
               (0.85, 1.15, 0.42, {foot: 1.0}), (1.0, 1.15, 0.38, {foot: 0.5, toe: 0.5}),
               (1.15, 1.1, 0.34, {toe: 1.0}), (1.45, 0.85, 0.25, {toe: 1.0}))  # fmt: skip
    rings: list[Ring] = []
    for f, w, h, weights in profile:
        top = max(h * height, 0.02 * length)
        rings.append(Ring((ankle + f * length * forward) * [1, 1, 0] + [0, 0, top / 2], (w * wide, top / 2), weights))

    def colour(ring: int, angle: float) -> str:
        if near(angle, np.pi * 1.5, 0.6):
            return "sole"
        return "toes" if ring >= 4 else "shoes"

    # The first axis points to the foot's left, so that the second points up.
    return [tube(rings, np.cross([0, 0, 1.0], forward).tolist(), colour, 2.8)]


def _trunk(t: _Plan, looks: Looks) -> list[Part]:
    hip, shoulder = t.head("l_thigh"), t.head("l_upper_arm")
    crotch, neck = float(hip[2]), float((t.head("neck") if t.has("neck") else t.head("head"))[2])
    tall = neck - crotch
    at_hips, at_shoulders = abs(float(hip[0])) / 0.09, abs(float(shoulder[0])) / 0.17
    chain = [*t.bones("pelvis"), *t.bones("spine")]
    heads = [float(t.head("pelvis")[2])] + [float(t.head("spine", k)[2]) for k in range(len(t.bones("spine")))]
    ends = [*heads[1:], float(t.tail("spine")[2])]
    knots = [((a + b) / 2, bone) for a, b, bone in zip(heads, ends, chain, strict=True)]
    deep = tall / 0.53 * looks.trunk
    profile = (
        (-0.14, 0.085 * at_hips, 0.070), (-0.06, 0.150 * at_hips, 0.105), (0.05, 0.168 * at_hips, 0.115),
        (0.18, 0.155 * at_hips, 0.108), (0.34, 0.074 * (at_hips + at_shoulders), 0.100),
        (0.55, 0.150 * at_shoulders, 0.112), (0.75, 0.163 * at_shoulders, 0.115),
        (0.90, 0.150 * at_shoulders, 0.090), (0.98, 0.095 * at_shoulders, 0.068), (1.02, 0.06 * at_shoulders, 0.055),
    )  # fmt: skip
    places = np.linspace(-0.14, 1.02, 24)
    rings: list[Ring] = []
    y = float(np.mean([hip[1], shoulder[1]])) + 0.01 * tall
    for p in places:
        w, d = (float(np.interp(p, [r[0] for r in profile], [r[k] for r in profile])) for k in (1, 2))
        z = crotch + p * tall
        w *= 0.6 + 0.4 * looks.trunk
        rings.append(Ring(np.array([0, y, z]), (w, d * deep), share_out(knots, z)))

    def colour(ring: int, angle: float) -> str:
        if places[ring] < 0.17:
            return "trousers"
        # The second axis points backwards.
        if near(angle, np.pi * 1.5, 0.16):
            return "seam"
        return "patch" if near(angle, np.pi / 2, 0.2) else "shirt"

    return [tube(rings, (1, 0, 0), colour, 2.3)]


def _head(t: _Plan, looks: Looks) -> list[Part]:
    base, crown = t.head("head"), t.tail("head")
    tall = float(crown[2] - base[2])
    bone = t.bones("head")[-1]
    chest = t.bones("spine")[-1] if t.has("spine") else t.bones("pelvis")[0]
    low = t.head("neck") if t.has("neck") else base - [0, 0, 0.3 * tall]
    chain = [*t.bones("neck")]
    n = len(chain) + 1
    knots = [(-0.3, chest), *(((k + 0.5) / n, b) for k, b in enumerate(chain)), (1.0, bone)]
    thick = 0.052 * looks.neck * (tall / 0.18) ** 0.5
    neck = [
        Ring(low + p * (base - low) + [0, -0.01 * p, 0], (thick, thick), share_out(knots, p))
        for p in np.linspace(-0.35, 1.25, 8)
    ]
    weights = {bone: 1.0}
    middle = base + [0, -0.10 * tall, 0.50 * tall]

    def at(x: float, y: float, z: float) -> Array:
        return middle + np.array([x, y, z]) * tall

    def size(*s: float) -> list[float]:
        return [v * tall for v in s]

    parts = [
        tube(neck, (1, 0, 0), plain("skin")),
        ball(middle, size(0.40, 0.47, 0.53), "skin", weights),
        ball(at(0, -0.10, -0.33), size(0.26, 0.30, 0.24), "skin", weights),
        ball(at(0, 0.09, 0.10), size(0.425, 0.46, 0.47), "hair", weights),
        ball(at(0, -0.48, -0.05), size(0.05, 0.10, 0.09), "patch", weights),
    ]
    for s in (1, -1):
        parts += [
            ball(at(0.15 * s, -0.42, 0.07), size(0.065, 0.05, 0.06), "eyes", weights),
            ball(at(0.41 * s, 0.0, -0.05), size(0.05, 0.09, 0.13), "skin", weights),
        ]
    return parts
