"""Rigs that are no humanoids: animals, props, parts of bodies, and bones at random. NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from blender_addon.retarget.rig import Array, RigSpec

from .rigs import Bone, from_bones


def _chain(bones: list[Bone], name: str, parent: str, points: list[tuple[float, float, float]]) -> str:
    """Adds bones along the points; returns the last."""
    ends = [np.array(p, float) for p in points]
    for k, (head, tail) in enumerate(pairwise(ends)):
        bones.append((f"{name}{k}", parent, head, tail))
        parent = f"{name}{k}"
    return parent


def _mirrored(bones: list[Bone], side: int) -> list[Bone]:
    """One of two sides of limbs drawn at +X; names of the other end in _b."""
    if side > 0:
        return bones
    own = {b[0] for b in bones}
    flip = np.array((-1, 1, 1))
    return [(f"{n}_b", f"{p}_b" if p in own else p, h * flip, t * flip) for n, p, h, t in bones]


def four_legs(back: float = 0.7, height: float = 0.6) -> RigSpec:
    """A dog or a horse: a level back, a neck, a tail."""
    bones: list[Bone] = [("hips", "", np.array((0, back / 2, height)), np.array((0, back / 4, height)))]
    chest = _chain(
        bones, "back", "hips", [(0, back / 4, height), (0, 0, height), (0, -back / 4, height), (0, -back / 2, height)]
    )
    neck = [(0, -back / 2, height), (0, -0.62 * back, 1.2 * height), (0, -0.75 * back, 1.4 * height)]
    _chain(bones, "neck", chest, [*neck, (0, -back, 1.35 * height)])
    _chain(bones, "tail", "hips", [(0, back / 2 + 0.1 * k, height - 0.03 * k) for k in range(6)])
    for side in (1, -1):
        limbs: list[Bone] = []
        h = height
        hind = [(0.08, back / 2, h), (0.08, 0.4 * back, 0.55 * h), (0.08, 0.62 * back, 0.3 * h)]
        _chain(limbs, "hind", "hips", [*hind, (0.08, 0.6 * back, 0.05 * h), (0.08, 0.5 * back, 0)])
        fore = [(0.05, -0.45 * back, 1.05 * h), (0.08, -0.55 * back, 0.85 * h), (0.08, -0.4 * back, 0.5 * h)]
        _chain(limbs, "fore", chest, [*fore, (0.08, -0.42 * back, 0.06 * h), (0.08, -0.5 * back, 0)])
        bones += _mirrored(limbs, side)
    return from_bones(bones, "four legs")


HUMAN_NAMES = {
    "hips": "pelvis", "back0": "spine_01", "back1": "spine_02", "back2": "spine_03", "neck0": "neck", "neck1": "neck2",
    "neck2": "head", "hind0": "thigh", "hind1": "shin", "hind2": "foot", "hind3": "toe", "fore0": "shoulder",
    "fore1": "upper_arm", "fore2": "forearm", "fore3": "hand",
}  # fmt: skip


def four_legs_with_human_names() -> RigSpec:
    def named(name: str) -> str:
        stem, other = name.removesuffix("_b"), name.endswith("_b")
        side = "" if not stem.startswith(("hind", "fore")) else ".R" if other else ".L"
        return HUMAN_NAMES.get(stem, stem) + side

    rig = four_legs()
    bones = [
        (named(n), named(rig.names[p]) if p >= 0 else "", h, t)
        for n, p, h, t in zip(rig.names, rig.parents, rig.heads, rig.tails, strict=True)
    ]
    return from_bones(bones, "dog")


def bird() -> RigSpec:
    bones: list[Bone] = [("hips", "", np.array((0, 0.05, 0.3)), np.array((0, 0, 0.34)))]
    chest = _chain(bones, "back", "hips", [(0, 0, 0.34), (0, -0.1, 0.4), (0, -0.15, 0.42)])
    _chain(bones, "neck", chest, [(0, -0.15 - 0.02 * k, 0.42 + 0.05 * k) for k in range(6)])
    _chain(bones, "tail", "hips", [(0, 0.05, 0.3), (0, 0.2, 0.28), (0, 0.35, 0.27)])
    for side in (1, -1):
        limbs: list[Bone] = []
        _chain(limbs, "leg", "hips", [(0.04, 0, 0.28), (0.05, -0.06, 0.2), (0.05, 0.03, 0.1), (0.05, 0, 0.01)])
        _chain(limbs, "claw", "leg2", [(0.05, 0, 0.01), (0.05, -0.06, 0)])
        wing = [(0.03, -0.12, 0.41), (0.2, -0.05, 0.42), (0.42, -0.15, 0.42), (0.6, -0.08, 0.42), (0.8, 0.02, 0.42)]
        _chain(limbs, "wing", chest, wing)
        bones += _mirrored(limbs, side)
    return from_bones(bones, "bird")


def spider() -> RigSpec:
    bones: list[Bone] = [("body", "", np.array((0, 0, 0.3)), np.array((0, -0.2, 0.3)))]
    _chain(bones, "behind", "body", [(0, 0.1, 0.3), (0, 0.4, 0.35)])
    for k in range(8):
        a = np.pi * ((k % 4) * 0.22 + 0.17) * (1 if k < 4 else -1)
        out = [(0.1, 0.3), (0.4, 0.5), (0.7, 0.3), (1.0, 0.0)]
        _chain(bones, f"leg{k}_", "body", [(np.sin(a) * r, -np.cos(a) * r, z) for r, z in out])
    return from_bones(bones, "spider")


def snake() -> RigSpec:
    bones: list[Bone] = []
    _chain(bones, "s", "", [(0.2 * np.sin(0.7 * k), 0.15 * k, 0.05) for k in range(25)])
    return from_bones(bones, "snake")


def car() -> RigSpec:
    bones: list[Bone] = [("body", "", np.zeros(3), np.array((0, -1, 0)))]
    for x in (-0.8, 0.8):
        for y in (-1.3, 1.3):
            _chain(bones, f"wheel{x}{y}", "body", [(x, y, 0.35), (x, y, 0.6)])
        _chain(bones, f"door{x}", "body", [(x, -0.3, 0.8), (x, 0.5, 0.8)])
    return from_bones(bones, "car")


def one_hand() -> RigSpec:
    bones: list[Bone] = [("wrist", "", np.zeros(3), np.array((0.08, 0, 0)))]
    for k, y in enumerate((-0.03, -0.01, 0.01, 0.03)):
        _chain(bones, f"f{k}_", "wrist", [(0.09 + 0.035 * i, y, 0) for i in range(4)])
    _chain(bones, "thumb", "wrist", [(0.02, -0.03, 0), (0.05, -0.06, 0), (0.07, -0.08, 0)])
    return from_bones(bones, "one hand")


def candelabrum() -> RigSpec:
    """Two pairs of arms on a stem, one above the other."""
    bones: list[Bone] = []
    _chain(bones, "stem", "", [(0, 0, 0.3 * k) for k in range(5)])
    for k in (1, 3):
        for x in (-1, 1):
            _chain(bones, f"a{k}{x}", f"stem{k}", [(0, 0, 0.3 * k), (0.2 * x, 0, 0.3 * k), (0.3 * x, 0, 0.3 * k + 0.2)])
    return from_bones(bones, "candelabrum")


def bush(seed: int, symmetric: bool) -> RigSpec:
    """A tree of bones at random; symmetric: every branch twice, mirrored."""
    rng = np.random.default_rng(seed)
    bones: list[Bone] = []
    _chain(bones, "trunk", "", [(0.0, 0.0, 0.2 * k) for k in range(int(rng.integers(3, 8)))])
    trunk = len(bones)
    for b in range(int(rng.integers(3, 10))):
        at = bones[rng.integers(trunk)]
        steps: Array = rng.normal(0, 0.2, (int(rng.integers(2, 7)), 3))
        points = [tuple(map(float, p)) for p in at[2] + np.cumsum(steps, 0)]
        limb: list[Bone] = []
        _chain(limb, f"b{b}_", at[0], points)  # type: ignore[arg-type]
        bones += limb + (_mirrored(limb, -1) if symmetric else [])
    return from_bones(bones, "bush")


CREATURES: dict[str, Callable[[], RigSpec]] = {
    "dog": four_legs,
    "horse": lambda: four_legs(1.5, 1.5),
    "bird": bird,
    "spider": spider,
    "snake": snake,
    "car": car,
    "hand": one_hand,
    "candelabrum": candelabrum,
}
