"""Who they are: a rig family with its bones' names, proportions, a rest pose, and how the armature lies in the file.

The body plans are those of the tests' rigs; Rigify's are its own. NumPy only, but for Rigify's generator.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from blender_addon.retarget.rig import RigSpec
from blender_addon.retarget.rotations import IDENTITY, Array, about, inverse, multiply, rotate, to_matrix
from blender_addon.retarget.slots import FINGERS
from tests.blender_addon.rigs import Built, build, from_points

from .figure import Looks

X, Y, Z = np.eye(3)
Y_UP = about(X, -np.pi / 2)
"""Turn of an armature's inside that lies as FBX files do: Y up, facing Z."""


@dataclass(frozen=True)
class Rest:
    """Degrees from the T-pose: arms lowered, elbows bent, palms turned forwards (thumbs up), legs apart, knees bent."""

    arms_down: float = 0.0
    elbows: float = 0.0
    thumbs_up: float = 0.0
    legs_apart: float = 0.0
    knees: float = 0.0


@dataclass(frozen=True)
class Character:
    """height: metres in the scene; size: how much longer parts are than the plan's; unit: armature units a metre;
    axes: turn of the armature's inside; colours: of shirt, trousers, skin, hair."""

    title: str
    family: str
    height: float
    size: dict[str, float]
    rest: Rest
    looks: Looks
    colours: tuple[str, str, str, str]
    unit: float = 1.0
    axes: Array = field(default_factory=lambda: IDENTITY)


CAST = {
    "mixamo": Character(
        "Mixamo, T-pose, centimetres, Y up", "mixamo", 1.75, {}, Rest(), Looks(),
        ("3f6fb5", "39424f", "e0ac88", "3a2618"), 100.0, Y_UP,
    ),
    "hero": Character(
        "UE5 mannequin with twist bones, A-pose", "ue5", 2.05,
        {"arm": 1.08, "forearm": 1.08, "shoulder": 1.45, "hips": 1.1, "thigh": 1.05, "shin": 1.05, "trunk": 1.12,
         "head": 0.92, "hand": 1.2, "foot": 1.15},
        Rest(arms_down=48, elbows=18, thumbs_up=35, legs_apart=6, knees=4), Looks(1.25, 1.35, 1.2, 1.5),
        ("b5443f", "2f2f38", "9c6a4a", "151515"), 100.0,
    ),
    "chibi": Character(
        "VRM 1, large head and short legs", "vrm1", 1.10,
        {"head": 2.5, "neck": 0.6, "trunk": 0.8, "thigh": 0.52, "shin": 0.52, "arm": 0.66, "forearm": 0.66,
         "hand": 0.8, "foot": 0.85, "shoulder": 0.85},
        Rest(arms_down=40, legs_apart=3), Looks(0.9, 1.0, 1.05, 0.7),
        ("e6a23a", "7c4fa0", "f1cdb0", "d8577f"),
    ),
    "legs": Character(
        "Daz Genesis 8, long legs, centimetres, Y up", "daz_genesis8", 1.88,
        {"thigh": 1.28, "shin": 1.32, "trunk": 0.93, "arm": 1.05, "forearm": 1.08, "hips": 0.95, "shoulder": 0.85,
         "neck": 1.15, "head": 0.9, "foot": 0.95},
        Rest(arms_down=30, elbows=6, legs_apart=5), Looks(0.75, 0.72, 0.8, 0.8),
        ("3c9a7c", "24505e", "c98f6b", "8a3b1e"), 100.0, Y_UP,
    ),
    "ogre": Character(
        "Rigify, generated: keys on its controls", "rigify", 2.6,
        {"arm": 1.3, "forearm": 1.35, "shoulder": 1.35, "hips": 1.2, "thigh": 0.78, "shin": 0.75, "trunk": 1.15,
         "neck": 0.8, "head": 0.95, "hand": 1.5, "foot": 1.35},
        Rest(), Looks(1.5, 1.45, 1.35, 1.5), ("8d6b46", "4b4238", "7fa05a", "3f5c2e"),
    ),
}  # fmt: skip

PARTS = {
    "pelvis": "trunk", "spine": "trunk", "neck": "neck", "head": "head", "clavicle": "shoulder", "upper_arm": "arm",
    "forearm": "forearm", "hand": "hand", "thigh": "thigh", "shin": "shin", "foot": "foot", "toe": "foot",
    **dict.fromkeys(FINGERS, "hand"),
}  # fmt: skip


def make_rig(who: Character) -> Built:
    """The character's rig in its rest pose, soles on Z = 0, facing -Y, 1 unit a metre."""
    return _posed(reshaped(build(who.family), who), who)


def placed(rig: RigSpec, who: Character) -> RigSpec:
    """The same in the armature's own axes and units, with the object's matrix that sets it upright again."""
    rest = rig.rest.copy()
    rest[:, :3, :3] = to_matrix(who.axes) @ rest[:, :3, :3]
    rest[:, :3, 3] = rotate(who.axes, rest[:, :3, 3]) * who.unit
    world = np.eye(4)
    world[:3, :3] = to_matrix(inverse(who.axes)) / who.unit
    return replace(rig, rest=rest, lengths=rig.lengths * who.unit, world=world)


def into(points: Array, who: Character) -> Array:
    """Points that stand about the rig, in the armature's axes and units."""
    return rotate(who.axes, points) * who.unit


def _slots(built: Built) -> dict[str, str]:
    return {b: slot for slot, bones in built.truth.items() for b in bones}


def _part(slot: str | None) -> str | None:
    if slot is None:
        return None
    slot = slot.removesuffix("_twist")
    return PARTS.get(slot.removeprefix("l_").removeprefix("r_"))


def reshaped(built: Built, who: Character) -> Built:
    """Every part longer or shorter, then the whole as tall as wished and stood on the floor."""
    rig, slots = built.rig, _slots(built)
    heads, tails = rig.heads.copy(), rig.tails.copy()
    factors: list[float] = []
    for i, p in enumerate(rig.parents):
        part = _part(slots.get(rig.names[i]))
        factors.append(who.size.get(part, 1.0) if part else (factors[p] if p >= 0 else 1.0))
        if p >= 0:
            offset = rig.heads[i] - rig.heads[p]
            hips = slots.get(rig.names[i], "").endswith("thigh")
            heads[i] = heads[p] + offset * (who.size.get("hips", 1.0) if hips else factors[p])
        tails[i] = heads[i] + (rig.tails[i] - rig.heads[i]) * factors[i]
    low = min(float(min(heads[i, 2], tails[i, 2])) for i, n in enumerate(rig.names) if slots.get(n, "")[2:] == "toe")
    rise = rig.heads[rig.index(built.truth["l_toe"][0]), 2] * who.size.get("foot", 1.0) - low
    moved = [i for i, n in enumerate(rig.names) if slots.get(n) != "root"]
    heads[moved, 2] += rise
    tails[moved, 2] += rise
    scale = who.height / float(tails[rig.index(built.truth["head"][-1]), 2])
    return Built(from_points(list(rig.names), list(rig.parents), heads * scale, tails * scale, rig.name), built.truth)


def _posed(built: Built, who: Character) -> Built:
    """The rest pose, with rolls as importers leave them: any."""
    rig, slots, rest = built.rig, _slots(built), who.rest
    turned: dict[str, Array] = {}
    for side, sign in (("l", 1.0), ("r", -1.0)):
        upper = about(Y, sign * np.radians(rest.arms_down))
        fore = multiply(upper, about(-sign * Z, np.radians(rest.elbows)))
        hand = multiply(fore, about(-X, np.radians(rest.thumbs_up)))
        thigh = about(Y, -sign * np.radians(rest.legs_apart))
        shin = multiply(thigh, about(X, np.radians(rest.knees)))
        turned |= {f"{side}_upper_arm": upper, f"{side}_forearm": fore, f"{side}_hand": hand, f"{side}_thigh": thigh}
        turned |= {f"{side}_shin": shin, f"{side}_foot": IDENTITY}
    heads, turns = rig.heads.copy(), list[Array]()
    for i, p in enumerate(rig.parents):
        turns.append(turned.get(slots.get(rig.names[i], ""), turns[p] if p >= 0 else IDENTITY))
        if p >= 0:
            heads[i] = heads[p] + rotate(turns[p], rig.heads[i] - rig.heads[p])
    tails = heads + rotate(np.array(turns), rig.tails - rig.heads)
    toes = [rig.index(b) for b in (*built.truth["l_toe"], *built.truth["r_toe"])]
    rise = float(rig.tails[toes, 2].min() - tails[toes, 2].min())
    moved = [i for i, n in enumerate(rig.names) if slots.get(n) != "root"]
    heads[moved, 2] += rise
    tails[moved, 2] += rise
    roll = np.random.default_rng(5).uniform(-np.pi, np.pi, len(rig.names))
    return Built(from_points(list(rig.names), list(rig.parents), heads, tails, rig.name, roll), built.truth)
