"""Known rig families: `presets/NAME.toml` says which bone fills which slot, and `match` finds the family of a rig.

A preset file has a `label`, the `[bones]` of each slot (left side only) and `mirror`, a regular expression and its
replacement that turn a left bone name into the right one. A name the rig lacks is left out, so that a rig may have
fewer spine bones or no fingers; "a|b" is the first of several names that is there. `marks` are unmapped bones that tell
the family from a like-named one; `priority` lets a preset win over others that fit as well; `hierarchy = false` is for
control rigs, whose bones do not hang on each other.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import cast

from .rig import RigSpec
from .slots import CORE, SIDES, SLOTS

FOLDER = Path(__file__).parent / "presets"
PREFIX = re.compile(r"(.*[:|_]|mixamorig\d*)?")
"""What may stand before a name: a namespace, or Mixamo's own without its colon, as some formats drop it. "ORG-" and
"DEF-" are no namespaces: they mark other bones of the same rig."""


@dataclass(frozen=True)
class Preset:
    """`bones` holds both sides; each entry is the alternatives for one bone."""

    name: str
    label: str
    bones: dict[str, tuple[tuple[str, ...], ...]]
    marks: tuple[str, ...]
    priority: int
    hierarchy: bool


@dataclass(frozen=True)
class Match:
    preset: Preset
    bones: dict[str, tuple[str, ...]]
    found: int
    missing: int


def _strings(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(v) for v in cast("list[object]", value))


def read_preset(path: Path) -> Preset:
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    left, right = _strings(data["mirror"])
    bones: dict[str, tuple[tuple[str, ...], ...]] = {}
    for slot, value in cast("dict[str, object]", data["bones"]).items():
        names = tuple(tuple(n.split("|")) for n in _strings(value))
        bones[slot] = names
        if slot.startswith("l_"):
            mirrored = tuple(tuple(re.sub(left, right, n, count=1) for n in options) for options in names)
            if any(a == b for a, b in zip(names, mirrored, strict=True)):
                raise ValueError(f"{path.name}: `mirror` does not change {slot}")
            bones["r_" + slot[2:]] = mirrored
    unknown = set(bones) - set(SLOTS)
    if unknown:
        raise ValueError(f"{path.name}: unknown slots {sorted(unknown)}")
    marks = _strings(data.get("marks", []))
    return Preset(
        path.stem, data["label"], bones, marks, int(data.get("priority", 0)), bool(data.get("hierarchy", True))
    )


@cache
def presets() -> dict[str, Preset]:
    return {p.stem: read_preset(p) for p in sorted(FOLDER.glob("*.toml"))}


def prefixes(rig: RigSpec, preset: Preset) -> list[str]:
    """What stands before the preset's pelvis bone in this rig: "" or namespaces such as "mixamorig1:"."""
    out: set[str] = set()
    for wanted in preset.bones["pelvis"][0]:
        for name in rig.names:
            prefix = name[: len(name) - len(wanted)]
            if name.endswith(wanted) and PREFIX.fullmatch(prefix):
                out.add(prefix)
    return sorted(out)


def match_preset(rig: RigSpec, preset: Preset, prefix: str) -> Match:
    bones: dict[str, tuple[str, ...]] = {}
    found = missing = 0
    for slot, entries in preset.bones.items():
        names = tuple(
            next((prefix + n for n in options if prefix + n in rig), None)
            # Some programs leave the topmost bone without the namespace.
            or (next((n for n in options if n in rig), None) if slot == "root" else None)
            for options in entries
        )
        here = tuple(n for n in names if n is not None)
        if here:
            bones[slot] = here
        found += len(here)
        missing += len(entries) - len(here)
    for mark in preset.marks:
        found, missing = (found + 1, missing) if prefix + mark in rig else (found, missing + 1)
    return Match(preset, bones, found, missing)


def match(rig: RigSpec) -> Match | None:
    """The family that explains most bones of the rig; None where none has the pelvis and half of the body."""
    matches = [match_preset(rig, p, prefix) for p in presets().values() for prefix in prefixes(rig, p)]
    fitting = [m for m in matches if sum(s in m.bones for s in CORE) * 2 >= len(CORE) and chains_hold(rig, m)]
    return max(fitting, key=lambda m: (m.preset.priority, m.found, -m.missing), default=None)


def chains_hold(rig: RigSpec, m: Match) -> bool:
    """The names alone may deceive: each limb's bones must hang on one another, legs on the pelvis, arms further up."""
    if not m.preset.hierarchy:
        return True
    slot_of = {rig.index(b): slot for slot in ("pelvis", "spine", "neck") for b in m.bones.get(slot, ())}
    for side in SIDES:
        for parts in (("upper_arm", "forearm", "hand"), ("thigh", "shin", "foot")):
            chain = [rig.index(b) for part in parts for b in m.bones.get(f"{side}_{part}", ())]
            if any(a not in rig.ancestors(b) for a, b in pairwise(chain)):
                return False
            if chain:
                carrier = next((slot_of[a] for a in rig.ancestors(chain[0]) if a in slot_of), "")
                if not _may_carry(carrier, parts[0], "spine" in m.bones):
                    return False
    return True


def _may_carry(carrier: str, part: str, spine_known: bool) -> bool:
    """Whether a limb may hang on this part of the trunk; "" is none of the known, as where exports kept only some."""
    if not carrier:
        return spine_known
    if part == "thigh":
        return carrier == "pelvis"
    return carrier != "pelvis" or not spine_known
