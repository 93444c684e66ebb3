"""How right a mapping is, against the truth of a rig built for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from blender_addon.retarget.rig import RigError, RigSpec
from blender_addon.retarget.slots import BODY, FINGERS, SIDES, Mapping
from blender_addon.retarget.structure import find_by_structure

from .rigs import Built

OUTCOMES = ("right", "open", "abstained", "wrong", "exchanged")


@dataclass(frozen=True)
class Verdict:
    """outcome: right (every slot of the body), open (none wrong, but some left open with a note), abstained (an error
    instead of a mapping), wrong, or exchanged (left for right). The counts are of slots of fingers and twist bones."""

    outcome: str
    detail: str = ""
    fingers_right: int = 0
    fingers_open: int = 0
    fingers_wrong: int = 0
    twist_right: int = 0
    twist_open: int = 0
    twist_wrong: int = 0


def judge(built: Built, way: Callable[[RigSpec], Mapping] = find_by_structure) -> Verdict:
    truth = built.truth
    try:
        found = way(built.rig).bones
    except RigError as error:
        return Verdict("abstained", str(error))
    wrong = {s: (b, truth.get(s)) for s, b in found.items() if b != truth.get(s)}
    left_open = truth.keys() - found.keys()
    if found.get("l_thigh") == truth["r_thigh"]:
        outcome = "exchanged"
    elif wrong.keys() & set(BODY):
        outcome = "wrong"
    else:
        outcome = "open" if left_open & set(BODY) else "right"
    details = [f"{s}: {a} for {b}" for s, (a, b) in wrong.items()] + [f"{s} open" for s in sorted(left_open)]
    counts: list[int] = []
    for names in ([f"{s}_{f}" for s in SIDES for f in FINGERS], [s for s in truth | found if s.endswith("_twist")]):
        there = set(names) & (truth.keys() | found.keys())
        counts += [len(there - wrong.keys() - left_open), len(there & left_open), len(there & wrong.keys())]
    return Verdict(outcome, ", ".join(details), *counts)
