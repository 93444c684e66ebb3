"""Control rigs as data, and the mathematics of keying their controls. NumPy only, no bpy.

A control's evaluated matrix is X · basis: X comes from higher controls, through whatever bones and constraints the rig
has in between. All that must be known to key it is X, and X mostly is rigid to something already known.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rig import Array, RigError, RigSpec
from .rotations import inverse, multiply, rotate, to_matrix
from .solve import Retargeted

LAYOUTS = Path(__file__).parent / "control_rigs"


@dataclass(frozen=True)
class Follow:
    """A control that turns as the mean of body bones `rotate` and carries the head of body bone `anchor` rigidly.

    With `end`, the control points from the anchor to that bone's head, as a neck of one control over several bones
    does. Only with `location` is it moved; else it lies where the rig puts it.
    """

    control: str
    rotate: tuple[str, ...]
    anchor: str
    end: str | None = None
    location: bool = False


@dataclass(frozen=True)
class Twist:
    """A tweak at the head of a body bone whose stretched deform bone would else have the twist of its neighbour."""

    control: str
    bone: str
    location: bool = False


@dataclass(frozen=True)
class Pole:
    """A pole target; `solver` is the bone whose IK constraint looks at it."""

    control: str
    solver: str
    upper: str
    lower: str
    end: str


Control = Follow | Twist | Pole


@dataclass(frozen=True)
class Way:
    """One way to key a limb: controls, properties to set and key (bone, name) -> value, and controls to rest.

    Bones in `unstretched` have their own `ik_stretch` keyed to 0: Blender's solver else makes up for a part of every
    bend by squeezing the bones (2.7 degrees at knees of Rigify's rigs), even where the goal is within reach.
    `missing` are bones without which this way is closed.
    """

    controls: tuple[Control, ...]
    properties: dict[tuple[str, str], float]
    neutral: tuple[str, ...] = ()
    unstretched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limb:
    """The ways to key a limb, by LIMBS' names."""

    name: str
    ways: dict[str, Way]


@dataclass(frozen=True)
class ControlPlan:
    """How one control rig is keyed. `body` are its body bones with their parents in the body (parents first), `slots`
    which of them fill which slots; `controls` and `properties` are keyed whatever the limbs do; `neutral` controls are
    keyed at rest, and `tweaks` too where somebody moved them. `missing` are controls that the rig should have."""

    rig: str
    body: dict[str, str | None]
    slots: dict[str, tuple[str, ...]]
    controls: tuple[Control, ...]
    limbs: dict[str, Limb]
    properties: dict[tuple[str, str], float]
    neutral: tuple[str, ...]
    tweaks: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class ControlKeys:
    """What one bone is keyed with. Arrays have N rows, or one where the control only rests.

    `rotation` is in the bone's own mode, which `channel` names as Blender does. Custom `properties` and Blender's own
    `settings` of the bone, such as ik_stretch, are held throughout.
    """

    bone: str
    location: Array | None = None
    rotation: Array | None = None
    channel: str = "rotation_quaternion"
    scale: Array | None = None
    properties: tuple[tuple[str, float], ...] = ()
    settings: tuple[tuple[str, float], ...] = ()


# --- layouts: files to plans ---------------------------------------------------------------------------------------


@cache
def read_layouts() -> tuple[dict[str, Any], ...]:
    return tuple(tomllib.loads(p.read_text("utf-8")) for p in sorted(LAYOUTS.glob("*.toml")))


def find_layout(names: Collection[str]) -> dict[str, Any] | None:
    """The layout of a rig with these bones."""
    for layout in read_layouts():
        if set(layout["marks"]) <= set(names) and any(n.startswith(layout["machinery"]) for n in names):
            return layout
    return None


def make_plan(
    layout: dict[str, Any],
    parents: Mapping[str, str | None],
    properties: Collection[tuple[str, str]],
    solvers: Collection[tuple[str, str]],
) -> ControlPlan:
    """Fit a layout to a rig with these bones (name -> parent), custom properties (bone, name) and IK constraints with
    poles (bone, pole). Raises RigError where the controls of the trunk are not there."""
    missing: list[str] = []
    body: dict[str, str | None] = {}
    slots: dict[str, tuple[str, ...]] = {}
    controls: list[Control] = []
    if layout["root"] in parents:
        body[layout["root"]] = None
        slots["root"] = (layout["root"],)
        controls.append(Follow(layout["root"], (layout["root"],), layout["root"], location=True))
    else:
        missing.append(layout["root"])
    controls += _spine(layout, parents, body, slots, missing)
    limbs: dict[str, Limb] = {}
    for side in "LR":
        for single in layout["single"]:
            bone, control = (single[k].format(side=side) for k in ("body", "control"))
            if bone in parents and control in parents:
                body[bone] = (slots["spine"] or slots["pelvis"])[-1]
                slots[f"{side.lower()}_{single['slot']}"] = (bone,)
                controls.append(Follow(control, (bone,), bone))
            elif bone in parents:
                missing.append(control)
        for entry in layout["limbs"]:
            limb = _limb(entry, side, parents, properties, solvers, body, slots, missing)
            if limb:
                limbs[limb.name] = limb
        for entry in layout["fingers"]:
            controls += _finger(entry, side, parents, body, slots)
    return ControlPlan(
        rig=layout["name"],
        body=body,
        slots=slots,
        controls=tuple(controls),
        limbs=limbs,
        properties=_present(
            {(e["bone"], n): v for e in layout["properties"] for n, v in e["values"].items()}, properties
        ),
        neutral=tuple(n for n in layout["neutral"] if n in parents),
        tweaks=tuple(n for n in parents if "tweak" in n and not n.startswith(layout["machinery"])),
        missing=tuple(missing),
    )


def _present(
    values: dict[tuple[str, str], float], properties: Collection[tuple[str, str]]
) -> dict[tuple[str, str], float]:
    return {k: float(v) for k, v in values.items() if k in properties}


def _chain(first: str, names: Collection[str]) -> list[str]:
    """`first`, `first`.001, ... as far as they go."""
    out = [first] if first in names else []
    while out and f"{first}.{len(out):03d}" in names:
        out.append(f"{first}.{len(out):03d}")
    return out


def _spine(
    layout: dict[str, Any],
    parents: Mapping[str, str | None],
    body: dict[str, str | None],
    slots: dict[str, tuple[str, ...]],
    missing: list[str],
) -> list[Control]:
    """Controls of the trunk from torso to head; fills body and slots.

    The trunk hangs on its pivot: below it, each control turns its bone about that bone's upper end. So the torso has to
    bring the pivot to its place, and turns alone do the rest. Deform bones stretch from tweak to tweak, and some tweaks
    turn with a neighbour: these are twisted back.
    """
    data = layout["spine"]
    bones = _chain(data["body"], parents)
    driven = _chain(data["control"], parents)
    tweaks = _chain(data["tweak"], parents)
    lost = [n for n in (data["torso"], data["control"]) if n not in parents]
    if lost:
        raise RigError(
            f"The rig was generated by {layout['name']}, but has no control called {' or '.join(lost)}. "
            "Give the controls their names back, or generate the rig again."
        )
    for i, bone in enumerate(bones):
        body[bone] = bones[i - 1] if i else layout["root"] if layout["root"] in body else None
    trunk = bones[: len(driven)]
    above = bones[len(driven) :]
    slots["pelvis"], slots["spine"] = (bones[0],), tuple(trunk[1:])
    pivot = driven.index(str(parents[data["pivot"]])) if parents.get(data["pivot"]) in driven else 0
    out: list[Control] = [Follow(data["torso"], (bones[0],), bones[pivot], location=True)]
    out += [Follow(c, (b,), b) for b, c in zip(trunk, driven, strict=True)]
    out += [Twist(t, b) for b, t in zip(trunk, tweaks, strict=False)]
    if above and data["head"] in parents:
        neck, head = above[:-1], above[-1]
        slots["neck"], slots["head"] = tuple(neck), (head,)
        if neck and data["neck"] in parents:
            out.append(Follow(data["neck"], tuple(neck), neck[0], head))
            inner = zip(neck, tweaks[len(trunk) :], strict=False)
            out += [Twist(t, b, location=b != neck[0]) for b, t in inner]
        elif neck:
            missing.append(data["neck"])
        out.append(Follow(data["head"], (head,), head, location=len(neck) > 1))
    elif above:
        missing.append(data["head"])
    return out


def _limb(
    entry: dict[str, Any],
    side: str,
    parents: Mapping[str, str | None],
    properties: Collection[tuple[str, str]],
    solvers: Collection[tuple[str, str]],
    body: dict[str, str | None],
    slots: dict[str, tuple[str, ...]],
    missing: list[str],
) -> Limb | None:
    """Controls of an arm or leg; fills body and slots. None if the rig has no such limb, or none that can be moved."""

    def named(text: str) -> str:
        return text.format(side=side)

    def first(options: Sequence[str]) -> str | None:
        return next((n for n in map(named, options) if n in parents), None)

    bones = [named(b) for b in entry["body"] if named(b) in parents]
    if len(bones) < 3:
        return None
    switch = named(entry["switch"])
    if not all((switch, n) in properties for n in entry["switches"]):
        missing.append(switch)
        return None
    fk = [(b, first(options), named(options[0])) for b, options in zip(bones, entry["fk_controls"], strict=False)]
    # Toes may be left out; without one of the first three the others hang in the air.
    lost_fk = [usual for _, control, usual in fk[:3] if control is None]
    end, pole, solver = (named(entry[k]) for k in ("ik_end", "pole", "ik_solver"))
    lost_ik = [n for n in (end, pole) if n not in parents]
    if not lost_ik and (solver, pole) not in solvers:
        lost_ik = [solver]
    if lost_fk and lost_ik:
        missing += [*lost_fk, *lost_ik]
        return None
    ik: list[Control] = [
        Follow(end, (bones[2],), bones[2], location=True),
        Pole(pole, solver, bones[0], bones[1], bones[2]),
    ]
    toe = first(entry.get("ik_toe", ()))
    if toe and len(bones) > 3:
        ik.append(Follow(toe, (bones[3],), bones[3]))
    arm = entry["name"] == "arm"
    carrier = slots.get(f"{side.lower()}_clavicle", (slots["spine"] or slots["pelvis"])[-1:])[0]
    for i, (bone, slot) in enumerate(zip(bones, entry["slots"], strict=False)):
        body[bone] = bones[i - 1] if i else carrier if arm else slots["pelvis"][0]
        slots[f"{side.lower()}_{slot}"] = (bone,)
    ways = {
        "fk": Way(
            tuple(Follow(c, (b,), b) for b, c, _ in fk if c),
            _present({(switch, n): v for n, v in entry["fk"].items()}, properties),
            missing=tuple(lost_fk),
        ),
        "ik": Way(
            tuple(ik),
            _present({(switch, n): v for n, v in entry["ik"].items()}, properties),
            tuple(n for n in map(named, entry["ik_neutral"]) if n in parents),
            tuple(n for n in map(named, entry["ik_unstretched"]) if n in parents),
            tuple(lost_ik),
        ),
    }
    return Limb(f"{side.lower()}_{entry['name']}", ways)


def _finger(
    entry: dict[str, Any],
    side: str,
    parents: Mapping[str, str | None],
    body: dict[str, str | None],
    slots: dict[str, tuple[str, ...]],
) -> list[Control]:
    out: list[Control] = []
    hand = slots.get(f"{side.lower()}_hand")
    if hand is None:
        return out
    above = hand[0]
    bones: list[str] = []
    for number in ("01", "02", "03"):
        bone, control = (f"{entry[k]}.{number}.{side}" for k in ("body", "control"))
        if bone in parents and control in parents:
            body[bone] = above
            bones.append(bone)
            out.append(Follow(control, (bone,), bone))
            above = bone
    if bones:
        slots[f"{side.lower()}_{entry['slot']}"] = tuple(bones)
    return out


# --- which limbs are keyed how ------------------------------------------------------------------------------------

LIMBS = {"l_arm": "arms", "r_arm": "arms", "l_leg": "legs", "r_leg": "legs"}


def limb_ways(text: str) -> dict[str, str]:
    """The way of each limb, from "fk", "ik", or choices such as "arms=fk,legs=ik" or "ik,l_arm=fk": later ones win.

    Raises RigError.
    """
    out = dict.fromkeys(LIMBS, "fk")
    for part in text.lower().replace(" ", "").split(","):
        which, _, way = part.rpartition("=")
        chosen = [limb for limb, group in LIMBS.items() if which in ("", limb, group)]
        if way not in ("fk", "ik") or not chosen:
            raise RigError(
                f'"{text}" does not say which limbs are keyed how. Give fk, ik, or for example arms=fk,legs=ik.'
            )
        out |= dict.fromkeys(chosen, way)
    return out


# --- the body ------------------------------------------------------------------------------------------------------


def wanted_matrices(result: Retargeted) -> Array:
    """(N, B, 4, 4) of all bones of the retargeted body in armature space, which the object may have carried along."""
    pose, rig = result.pose, result.pose.rig
    count = len(result.frames)
    out = np.tile(np.eye(4), (count, len(rig.names), 1, 1))
    for b in range(len(rig.names)):
        turn, head = pose.turn(b), pose.head(b)
        if result.object is not None:
            back = inverse(result.object.turn)
            turn, head = multiply(back, turn), rotate(back, head - result.object.path)
        out[:, b, :3, :3] = to_matrix(turn) @ rig.rest[b, :3, :3]
        out[:, b, :3, 3] = head
    return out


def spread_frames(features: Array, count: int) -> NDArray[np.intp]:
    """Up to `count` of N frames (N, D) that differ most: each next is the farthest from all before."""
    chosen = [0]
    distance = np.linalg.norm(features - features[0], axis=1)
    while len(chosen) < min(count, len(features)) and distance.max() > 1e-9:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(features - features[chosen[-1]], axis=1))
    return np.sort(np.array(chosen))


# --- what a control hangs on ---------------------------------------------------------------------------------------

ANGLE_TOLERANCE = np.radians(0.05)
BETWEEN_TOLERANCE = np.radians(0.3)
"""What lies between two bones are tweaks, whose twist is all that hangs on this."""


@dataclass(frozen=True)
class Rigid:
    """X turns with one thing and moves with another (names, or "" for the armature), each at a fixed offset."""

    turns_with: str
    turn: Array
    moves_with: str
    offset: Array

    def matrices(self, known: Callable[[str], Array]) -> Array:
        out = known(self.turns_with).copy()
        out[..., :3, :3] = out[..., :3, :3] @ self.turn
        carrier = known(self.moves_with)
        out[..., :3, 3] = carrier[..., :3, 3] + carrier[..., :3, :3] @ self.offset
        return out


def rigid_at_rest(x: Array, name: str, by: Array) -> Rigid:
    """As if nothing but parents were between a bone with (4, 4) rest x and one called name with (4, 4) rest."""
    turned = by[:3, :3].T
    return Rigid(name, turned @ x[:3, :3], name, turned @ (x[:3, 3] - by[:3, 3]))


def learn_rigid(x: Array, candidates: Mapping[str, Array], distance_tolerance: float) -> Rigid | None:
    """What the sampled (S, 4, 4) x is rigid to among candidates (S, 4, 4); None where it is to nothing."""
    names, all_of = list(candidates), np.stack(list(candidates.values()))
    turn, move = _turn_errors(x, all_of), _move_errors(x, all_of)
    a, b = int(turn.argmin()), int(move.argmin())
    if turn[a] > ANGLE_TOLERANCE or move[b] > distance_tolerance:
        return None
    turned = nearest_rotations(_relative_turn(x, all_of[a]).mean(0))
    return Rigid(names[a], turned, names[b], _relative_move(x, all_of[b]).mean(0))


@dataclass(frozen=True)
class Measured:
    """X as it was measured, (N, 4, 4): what is left where it is rigid to nothing."""

    x: Array

    def matrices(self, known: Callable[[str], Array]) -> Array:
        return self.x


@dataclass(frozen=True)
class Between:
    """X lies between two things: its rotation on the shortest way from one to the other, its head on a mixture."""

    first: str
    second: str
    share: float
    """0 is the first, 1 the second."""
    turns: tuple[Array, Array]
    share_moved: float
    offsets: tuple[Array, Array]

    def matrices(self, known: Callable[[str], Array]) -> Array:
        a, b = known(self.first), known(self.second)
        out = a.copy()
        out[..., :3, :3] = _between(a[..., :3, :3] @ self.turns[0], b[..., :3, :3] @ self.turns[1], self.share)
        out[..., :3, 3] = a[..., :3, 3] + self.share_moved * (b[..., :3, 3] - a[..., :3, 3])
        for m, offset in zip((a, b), self.offsets, strict=True):
            out[..., :3, 3] += m[..., :3, :3] @ offset
        return out


NEAREST = 6
"""Pairs are tried among this many candidates, those that X is nearest to being rigid to."""


def learn_between(x: Array, candidates: Mapping[str, Array], distance_tolerance: float) -> Between | None:
    """Which two candidates (S, 4, 4) the sampled (S, 4, 4) x lies between; None if between none."""
    if len(x) < 6:  # too few to tell
        return None
    errors = _turn_errors(x, np.stack(list(candidates.values())))
    near = [n for _, n in sorted(zip(errors.tolist(), candidates, strict=True))[:NEAREST]]
    for k, first in enumerate(near):
        for second in near[k + 1 :]:
            a, b = candidates[first], candidates[second]
            share, turns, turn_error = _fit_turn(x, a, b)
            if turn_error > BETWEEN_TOLERANCE:
                continue
            share_moved, offsets, move_error = _fit_move(x, a, b)
            if move_error <= distance_tolerance:
                return Between(first, second, share, turns, share_moved, offsets)
    return None


def _between(a: Array, b: Array, share: Array | float) -> Array:
    return a @ _exp(share * _log(np.swapaxes(a, -1, -2) @ b))


def _log(m: Array) -> Array:
    """(..., 3) rotation vectors of rotations of less than a half turn."""
    skew = np.stack([m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], -1) / 2
    sine = np.linalg.norm(skew, axis=-1)
    angle = np.arctan2(sine, (np.trace(m, axis1=-2, axis2=-1) - 1) / 2)
    return skew * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 1.0)[..., None]


def _exp(v: Array) -> Array:
    angle = np.linalg.norm(v, axis=-1)[..., None, None]
    k = _cross_matrices(v)
    half = np.asarray(np.sinc(angle / (2 * np.pi)), np.float64)
    return np.eye(3) + np.asarray(np.sinc(angle / np.pi), np.float64) * k + half * half / 2 * k @ k


def _fit_turn(x: Array, a: Array, b: Array, rounds: int = 6) -> tuple[float, tuple[Array, Array], float]:
    """Share and fixed turns with which rotations lie between those of a and b, and the greatest angle left over."""
    turns = [nearest_rotations(_relative_turn(x, m).mean(0)) for m in (a, b)]
    back, first, second = np.swapaxes(x[:, :3, :3], -1, -2), a[:, :3, :3] @ turns[0], b[:, :3, :3] @ turns[1]

    def left(p: Array) -> Array:
        """(K, 3 S) rotation vectors left over with (K, 7) parameters."""
        at = p[:, None]
        got = _between(first @ _exp(at[..., :3]), second @ _exp(at[..., 3:6]), 0.5 + at[..., 6:])
        return _log(back @ got).reshape(len(p), -1)

    p, steps = np.zeros(7), np.concatenate([np.zeros((1, 7)), 1e-6 * np.eye(7)])
    for _ in range(rounds):
        now = left(p + steps)
        p = p - np.asarray(np.linalg.lstsq((now[1:] - now[0]).T / 1e-6, now[0], rcond=1e-9)[0], np.float64)
    error = float(np.linalg.norm(left(p[None]).reshape(-1, 3), axis=1).max())
    return 0.5 + float(p[6]), (turns[0] @ _exp(p[:3]), turns[1] @ _exp(p[3:6])), error


def _fit_move(x: Array, a: Array, b: Array) -> tuple[float, tuple[Array, Array], float]:
    goal = (x[:, :3, 3] - a[:, :3, 3]).ravel()
    factors = np.concatenate(
        [(b[:, :3, 3] - a[:, :3, 3]).reshape(-1, 1), a[:, :3, :3].reshape(-1, 3), b[:, :3, :3].reshape(-1, 3)], 1
    )
    p = np.linalg.lstsq(factors, goal, rcond=1e-9)[0]
    error = float(np.linalg.norm((factors @ p - goal).reshape(-1, 3), axis=1).max())
    return float(p[0]), (p[1:4], p[4:7]), error


def _relative_turn(x: Array, by: Array) -> Array:
    """(..., S, 3, 3); `by` may be several."""
    return np.swapaxes(by[..., :3, :3], -1, -2) @ x[:, :3, :3]


def _relative_move(x: Array, by: Array) -> Array:
    """(..., S, 3)"""
    return ((x[:, :3, 3] - by[..., :3, 3])[..., None, :] @ by[..., :3, :3])[..., 0, :]


def _turn_errors(x: Array, by: Array) -> Array:
    """(K,) greatest angle by which (S, 4, 4) x turns otherwise than each of (K, S, 4, 4) others."""
    relative = _relative_turn(x, by)
    return angles_between(relative, nearest_rotations(relative.mean(1))[:, None]).max(1)


def _move_errors(x: Array, by: Array) -> Array:
    relative = _relative_move(x, by)
    return np.linalg.norm(relative - relative.mean(1, keepdims=True), axis=-1).max(1)


def nearest_rotations(m: Array) -> Array:
    """(..., 3, 3) rotations nearest to matrices."""
    parts = np.linalg.svd(m)
    u, vt = np.asarray(parts[0], np.float64), np.asarray(parts[2], np.float64)
    u[..., -1] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return u @ vt


def angles_between(a: Array, b: Array) -> Array:
    """Radians between rotations; from the difference, since the trace says nothing below a few thousandths."""
    return 2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=(-2, -1)) / np.sqrt(8), 0, 1))


def levels(controls: Collection[str], needs: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Controls in groups that need only controls of earlier groups; `needs` names what each bone looks at directly."""
    depth: dict[str, int] = {}

    def visit(bone: str, trail: frozenset[str]) -> int:
        if bone in trail:  # a cycle: Blender breaks it somewhere, so may we
            return 0
        if bone not in depth:
            below = [visit(n, trail | {bone}) for n in needs.get(bone, ())]
            depth[bone] = max(below, default=0) + (bone in controls)
        return depth[bone]

    out: dict[int, list[str]] = {}
    for control in controls:
        out.setdefault(visit(control, frozenset()), []).append(control)
    return [out[k] for k in sorted(out)]


# --- where controls are wanted -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ControlBone:
    """What must be known of a control's own bone: (4, 4) rest, the (3, 3) axes of its location relative to what it
    hangs on, and for a pole the angle of the IK constraint that looks at it."""

    control: Control
    rest: Array
    axes: Array
    pole_angle: float = 0.0

    @property
    def name(self) -> str:
        return self.control.control


@dataclass(frozen=True)
class Posed:
    """A control's own location (N, 3) and rotation (N, 3, 3), None where it has none, and the (N, 4, 4) it comes to."""

    location: Array | None
    rotation: Array | None
    matrix: Array


Model = Rigid | Between | Measured


def pose_controls(
    bones: Sequence[ControlBone],
    body: RigSpec,
    wanted: Array,
    models: Mapping[str, Model],
    jitter: tuple[float, float] | None = None,
) -> dict[str, Posed]:
    """Controls, in the order of their levels, that give the body the wanted (N, B, 4, 4) pose.

    jitter: radians and length by which each is off at random, for learning from poses in which nothing moves alike.
    """
    rng = np.random.default_rng(0)
    known = {"": np.broadcast_to(np.eye(4), (len(wanted), 4, 4))} | {n: wanted[:, b] for b, n in enumerate(body.names)}
    out: dict[str, Posed] = {}
    for bone in bones:
        x = models[bone.name].matrices(known.__getitem__)
        goal = _goal(bone, body, wanted, x)
        location = rotation = None
        if isinstance(bone.control, Pole) or bone.control.location:
            location = ((goal[:, :3, 3] - x[:, :3, 3])[:, None] @ (x[:, :3, :3] @ bone.axes))[:, 0]
        if not isinstance(bone.control, Pole):
            rotation = np.swapaxes(x[:, :3, :3], -1, -2) @ goal[:, :3, :3]
        if jitter:
            angle, length = jitter
            location = None if location is None else location + rng.normal(0, length, location.shape)
            rotation = None if rotation is None else rotation @ _exp(rng.normal(0, angle, (len(x), 3)))
        # Names of controls may be names of the body as well (the root): what is keyed counts.
        known[bone.name] = _put(bone, x, location, rotation)
        out[bone.name] = Posed(location, rotation, known[bone.name])
    return out


def _goal(bone: ControlBone, body: RigSpec, wanted: Array, x: Array) -> Array:
    """(N, 4, 4) where a control should be that hangs at x."""
    control = bone.control
    if isinstance(control, Follow):
        return follow_matrices(control, body, wanted, bone.rest)
    if isinstance(control, Twist):
        return twist_matrices(x, wanted[:, body.index(control.bone)], control.location)
    return pole_matrices(control, body, wanted, bone.rest, bone.pole_angle)


def _put(bone: ControlBone, x: Array, location: Array | None, rotation: Array | None) -> Array:
    out = x.copy()
    if location is not None:
        out[:, :3, 3] += (x[:, :3, :3] @ bone.axes @ location[..., None])[..., 0]
    if rotation is not None:
        out[:, :3, :3] = x[:, :3, :3] @ rotation
    return out


def hangs_at(bone: ControlBone, matrix: Array, posed: Posed, rows: NDArray[np.intp]) -> Array:
    """(S, 4, 4) x of a control that came to matrix (S, 4, 4) when posed as in these rows."""
    out = matrix.copy()
    if posed.rotation is not None:
        out[:, :3, :3] = matrix[:, :3, :3] @ np.swapaxes(posed.rotation[rows], -1, -2)
    if posed.location is not None:
        out[:, :3, 3] -= (out[:, :3, :3] @ bone.axes @ posed.location[rows][..., None])[..., 0]
    return out


def follow_matrices(follow: Follow, body: RigSpec, wanted: Array, rest: Array) -> Array:
    """(N, 4, 4) of a control with this (4, 4) rest matrix that follows the wanted (N, B, 4, 4) body."""
    index = [body.index(n) for n in follow.rotate]
    deltas = wanted[:, index, :3, :3] @ np.swapaxes(body.rest[index, :3, :3], -1, -2)
    delta = deltas[:, 0] if len(index) == 1 else nearest_rotations(deltas.mean(1))
    anchor = body.index(follow.anchor)
    if follow.end:
        end = body.index(follow.end)
        chord = wanted[:, end, :3, 3] - wanted[:, anchor, :3, 3]
        delta = swings(delta @ (body.heads[end] - body.heads[anchor]), chord) @ delta
    out = np.tile(np.eye(4), (len(wanted), 1, 1))
    out[:, :3, :3] = delta @ rest[:3, :3]
    out[:, :3, 3] = wanted[:, anchor, :3, 3] + delta @ (rest[:3, 3] - body.heads[anchor])
    return out


def swings(start: Array, end: Array) -> Array:
    """(N, 3, 3) the smallest rotations that turn directions (N, 3) into others; half turns are not expected."""
    a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (start, end))
    cosine = (a * b).sum(-1)[:, None, None]
    k = _cross_matrices(np.cross(a, b))
    return np.eye(3) + k + k @ k / (1 + np.maximum(cosine, -0.999999))


def _cross_matrices(v: Array) -> Array:
    out = np.zeros((*v.shape[:-1], 3, 3))
    out[..., [2, 0, 1], [1, 2, 0]] = v
    out[..., [1, 2, 0], [2, 0, 1]] = -v
    return out


def twist_matrices(x: Array, wanted: Array, location: bool) -> Array:
    """(N, 4, 4) of a tweak that hangs at x (N, 4, 4), so that the bone stretched from it has the wanted (N, 4, 4) pose.

    Stretching swings the tweak's Y axis onto the bone, so only a turn about Y is left to choose.
    """
    swung = swings(x[:, :3, 1], wanted[:, :3, 1]) @ x[:, :3, :3]
    relative = np.swapaxes(swung, -1, -2) @ wanted[:, :3, :3]
    angle = np.arctan2(relative[:, 0, 2] - relative[:, 2, 0], relative[:, 0, 0] + relative[:, 2, 2])
    turn = np.tile(np.eye(3), (len(x), 1, 1))
    turn[:, 0, 0] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 0, 2], turn[:, 2, 0] = np.sin(angle), -np.sin(angle)
    out = x.copy()
    out[:, :3, :3] = x[:, :3, :3] @ turn
    if location:
        out[:, :3, 3] = wanted[:, :3, 3]
    return out


STRAIGHT = (np.radians(3.0), np.radians(10.0))
"""A limb bent less than the first shows no plane: its upper bone's twist alone tells where the pole is; one bent more
than the second shows it well, and elbow and knee go where they are wanted."""


def pole_matrices(pole: Pole, body: RigSpec, wanted: Array, rest: Array, angle: float) -> Array:
    """(N, 4, 4) of a pole target with this rest matrix; `angle` is the IK constraint's pole angle.

    Blender turns a limb about the line from its root to its end until the upper bone's axis at `angle` from X towards Z
    looks at the pole. That axis is known from the wanted upper bone even when the limb is straight, so the pole never
    jumps. Where the limb is bent otherwise than about the rig's own hinge, its plane counts.
    """
    upper, lower, end = (wanted[:, body.index(n)] for n in (pole.upper, pole.lower, pole.end))
    root, elbow, tip = (m[:, :3, 3] for m in (upper, lower, end))
    along = _unit(tip - root)
    hinge = _rest_hinge(pole, body)
    turned = upper[:, :3, :3] @ hinge
    plane = np.cross(elbow - root, tip - elbow)
    bend = np.arctan2(np.linalg.norm(plane, axis=-1), ((elbow - root) * (tip - elbow)).sum(-1))
    weight = np.clip((bend - STRAIGHT[0]) / (STRAIGHT[1] - STRAIGHT[0]), 0, 1)
    weight = weight * weight * (3 - 2 * weight)
    axis = _unit(elbow - root)
    # A plane that looks the other way is a limb bent backwards: no turn of the limb about itself.
    normal = plane * np.where((plane * turned).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    twist = weight * np.arctan2((np.cross(turned, normal) * axis).sum(-1), (turned * normal).sum(-1))
    up = upper[:, :3, :3] @ np.array([np.cos(angle), 0.0, np.sin(angle)])
    up = _rotate_about(up, axis, twist)
    out = np.tile(rest, (len(wanted), 1, 1))
    reach = np.linalg.norm(body.heads[body.index(pole.end)] - body.heads[body.index(pole.upper)])
    middle = root + along * ((elbow - root) * along).sum(-1, keepdims=True)
    out[:, :3, 3] = middle + reach * _unit(up - along * (up * along).sum(-1, keepdims=True))
    return out


def _rest_hinge(pole: Pole, body: RigSpec) -> Array:
    """(3,) axis about which the limb bends, in the upper bone's own space."""
    u, lo, e = (body.index(n) for n in (pole.upper, pole.lower, pole.end))
    normal = np.cross(_unit(body.heads[lo] - body.heads[u]), _unit(body.heads[e] - body.heads[lo]))
    local = body.rest[u, :3, :3].T @ normal
    if np.linalg.norm(local) < np.sin(np.radians(0.5)):
        return np.array([1.0, 0.0, 0.0])
    local[1] = 0.0
    return _unit(local)


def _unit(v: Array) -> Array:
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def _rotate_about(v: Array, axis: Array, angle: Array) -> Array:
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return v * c + np.cross(axis, v) * s + axis * (axis * v).sum(-1, keepdims=True) * (1 - c)
