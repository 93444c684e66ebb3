"""Mapping by structure alone: rigs of all families with nonsense names, odd proportions, poses and extra bones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blender_addon.retarget.rig import RigError
from blender_addon.retarget.slots import FINGERS, SIDES
from blender_addon.retarget.structure import find_by_structure

from .rigs import EXTRAS, FAMILIES, Built, add_extras, axis_rotations, build, drop, drop_below, rename, vary

LIMBS = ("clavicle", "upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
BODY = ("pelvis", "spine", "head", *(f"{s}_{p}" for s in SIDES for p in LIMBS))


@dataclass(frozen=True)
class Verdict:
    """outcome: right (every slot of the body), empty (some slots left empty, none wrong), abstained or wrong."""

    outcome: str
    detail: str = ""
    fingers_right: int = 0
    fingers_wrong: int = 0
    fingers_empty: int = 0


def judge(built: Built) -> Verdict:
    try:
        mapping = find_by_structure(built.rig)
    except RigError as error:
        return Verdict("abstained", str(error))
    truth = built.truth
    wrong = [s for s in BODY if s in mapping.bones and mapping.bones[s] != truth.get(s)]
    empty = [s for s in BODY if s in truth and s not in mapping.bones]
    fingers = [f"{s}_{f}" for s in SIDES for f in FINGERS if f"{s}_{f}" in truth]
    right = sum(mapping.bones.get(f) == truth[f] for f in fingers)
    none = sum(f not in mapping.bones for f in fingers)
    outcome = "wrong" if wrong else "empty" if empty else "right"
    shown = wrong or empty or [f for f in fingers if f in mapping.bones and mapping.bones[f] != truth[f]]
    detail = ", ".join(f"{s}: {mapping.bones.get(s)} for {truth.get(s)}" for s in shown)
    return Verdict(outcome, detail, right, len(fingers) - right - none, none)


def random_variant(seed: int) -> tuple[Built, str]:
    """A rig of a random family with nonsense names and all that rigs differ in, and what was done to it."""
    rng = np.random.default_rng(seed)
    family = list(FAMILIES)[seed % len(FAMILIES)]
    built = build(family)
    gone: list[str] = []
    if rng.random() < 0.3:
        gone += ["l_clavicle", "r_clavicle"]
    if rng.random() < 0.2:
        gone += ["neck"]
    built = drop(built, *gone)
    if rng.random() < 0.25:
        built = drop_below(built, "l_toe", "r_toe")
        gone.append("toes")
    if rng.random() < 0.3:
        built = drop_below(built, *(f"{s}_{f}" for s in SIDES for f in FINGERS))
        gone.append("fingers")
    kinds = [k for k in EXTRAS if rng.random() < 0.3]
    built = add_extras(built, *kinds)
    if "toes" in gone:
        # A bone at the ball of the foot is a toe, whatever it was called: an end bone, or MPFB's second toe.
        for side in SIDES:
            for name in (f"{built.truth[f'{side}_foot'][0]}_zend", f"toe2-1.{side.upper()}"):
                if name in built.rig:
                    built.truth[f"{side}_toe"] = (name,)
    turn = axis_rotations()[rng.integers(24)]
    scale = float(rng.choice([0.01, 1.0, 100.0]))
    down = float(rng.uniform(0, 1.45))
    loose = bool(rng.random() < 0.3)
    built = vary(
        built, seed, proportions=float(rng.uniform(0, 0.2)), noise=float(rng.uniform(0, 0.008)), arms_down=down, rolls=True,
        turn=turn, scale=scale, loose_tails=loose,
    )  # fmt: skip
    return rename(built, seed), f"{family} without {gone} with {kinds} arms {down:.1f} loose {loose}"
