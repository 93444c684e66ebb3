"""Which bones of a rig fill which slots: found by presets, names or structure, or read from a file.

`find_mapping` asks `presets`, `names` and `structure` in this order; a result that lacks a limb gives way to the next.
A mapping file is TOML made to be edited by hand: one line a slot, a bone name or a list of them.
"""

from __future__ import annotations

import os
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import cast

import numpy as np

from . import names, presets, structure
from .rig import Array, RigError, RigSpec
from .slots import CORE, EXPECTED, FINGERS, REQUIRED, SIDES, SLOTS, Mapping

__all__ = ["Mapping", "describe", "find_mapping", "load_mapping", "save_mapping", "unmapped"]


LIMBS = ("thigh", "shin", "upper_arm", "forearm")


def find_mapping(rig: RigSpec, preset: str | None = None) -> Mapping:
    """The best mapping of the rig, or that of a preset asked for by name. Raises RigError."""
    if not rig.names:
        raise RigError("The armature has no bones. Choose the armature that moves the character.")
    if preset is not None:
        return _by_preset(rig, preset)
    structure.check_single(rig)
    match, by_names = presets.match(rig), names.find_by_names(rig)
    by_preset = None if match is None else _filled_up(_from_match(match), by_names if match.preset.hierarchy else None)
    named = [m for m in (by_preset, by_names) if m is not None]
    for found in named:
        _refuse_animals(rig, found)
    for found in (m for m in named if _complete(m)):
        return with_notes(found)
    try:
        return with_notes(structure.find_by_structure(rig))
    except RigError:
        if not named:
            raise
        # A preset knows more slots of a body that lacks a limb than its names tell, unless they fill more.
        return with_notes(max(named, key=lambda m: sum(s in m.bones for s in CORE)))


def _complete(mapping: Mapping) -> bool:
    return all(slot in mapping.bones for slot in REQUIRED)


def _refuse_animals(rig: RigSpec, mapping: Mapping) -> None:
    """Raises RigError for a level back over four legs: bones of animals are often named like a human's."""

    def begin(slots: list[str]) -> Array | None:
        """(n, 3) where the slots' first bones begin, None if one is empty."""
        bones = [mapping.bone(s) for s in slots]
        return None if None in bones else rig.heads[[rig.index(b) for b in bones if b]]

    hips, knees, shoulders, elbows = (begin([f"{s}_{p}" for s in SIDES]) for p in LIMBS)
    top = shoulders if shoulders is not None else begin(["head"])
    if hips is None or knees is None or top is None:
        return
    legs = (knees - hips).mean(0)
    hanging = shoulders is None or elbows is None or all(_cosine(arm, legs) > 0.7 for arm in elbows - shoulders)
    if hanging and abs(_cosine(top.mean(0) - hips.mean(0), legs)) < 0.6:
        raise RigError(
            f'"{rig.name}" looks like an animal: its back lies level and its front legs hang like its hind legs. '
            "To retarget onto it all the same, choose a preset by name or write a mapping file."
        )


def _cosine(a: Array, b: Array) -> float:
    return float(a @ b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)


def _from_match(match: presets.Match) -> Mapping:
    return Mapping(match.bones, dict.fromkeys(match.bones, 1.0), f"preset {match.preset.name}")


def _filled_up(mapping: Mapping, other: Mapping | None) -> Mapping:
    """What a preset leaves open filled by names: the rig may have other bones than its family."""
    if other is None:
        return mapping
    used = {b for bones in mapping.bones.values() for b in bones}
    more = {s: bones for s, bones in other.bones.items() if s not in mapping.bones and not used & set(bones)}
    for side in SIDES:
        fingers = [s for s in more if s[:2] == f"{side}_" and s[2:] in FINGERS]
        # Fewer are no hand: single bones stand for several fingers.
        more = {s: bones for s, bones in more.items() if s not in fingers or len(fingers) >= 3}
    found_by = f"{mapping.found_by} and names" if more else mapping.found_by
    confidence = mapping.confidence | {slot: other.confidence[slot] for slot in more}
    return Mapping(mapping.bones | more, confidence, found_by, mapping.notes)


def _by_preset(rig: RigSpec, name: str) -> Mapping:
    known = presets.presets()
    if name not in known:
        raise RigError(f'There is no preset "{name}". Choose one of {", ".join(known)}.')
    prefixes = presets.prefixes(rig, known[name]) or [""]
    match = max((presets.match_preset(rig, known[name], p) for p in prefixes), key=lambda m: m.found)
    if not match.bones:
        raise RigError(
            f'The preset "{name}" and the rig "{rig.name}" have no bones in common. '
            "Choose another preset, or none to have the rig recognised."
        )
    return with_notes(_from_match(match))


def with_notes(mapping: Mapping) -> Mapping:
    """The mapping with a sentence on each part of the body that a rig should have and this one lacks."""
    out: list[str] = []
    for word, parts in (("leg", ("thigh", "shin")), ("arm", ("upper_arm", "forearm"))):
        lacking = [s for s in SIDES if any(f"{s}_{p}" not in mapping.bones for p in parts)]
        if len(lacking) == 2:
            out.append(f"No {word}s were found: the animation will leave them out.")
        elif lacking:
            out.append(
                f"No {'left' if lacking == ['l'] else 'right'} {word} was found: the animation will leave it out."
            )
    empty = [s for s in ("pelvis", *EXPECTED) if s not in mapping.bones]
    if empty:
        out.append(f"Nothing was found for {', '.join(empty)}.")
    notes = (*mapping.notes, *(n for n in out if n not in mapping.notes))
    return Mapping(mapping.bones, mapping.confidence, mapping.found_by, notes)


def unmapped(rig: RigSpec, mapping: Mapping) -> list[str]:
    """Deforming bones in no slot."""
    used = {b for bones in mapping.bones.values() for b in bones}
    return [n for n, deforms in zip(rig.names, rig.deform, strict=True) if deforms and n not in used]


def describe(mapping: Mapping, rig: RigSpec) -> list[str]:
    """Lines for a terminal or panel: each slot's bones and confidence, then what is empty and what is left over."""
    out = [f"Found by {mapping.found_by}:"]
    width = max((len(s) for s in mapping.bones), default=0)
    for slot in SLOTS:
        if slot in mapping.bones:
            sure = round(100 * mapping.confidence.get(slot, 0.0))
            out.append(f"  {slot:<{width}}  {sure:3d} %  {', '.join(mapping.bones[slot])}")
    empty = [s for s in SLOTS if s not in mapping.bones]
    left = unmapped(rig, mapping)
    if empty:
        out.append(f"Empty: {', '.join(empty)}")
    if left:
        out.append(f"Bones in no slot: {', '.join(left)}")
    return out + list(mapping.notes)


# Files


def save_mapping(mapping: Mapping, path: Path | str) -> None:
    """Wholly written or not at all. Raises RigError where it cannot be written."""
    path = Path(path)
    lines = [
        '# Which bones fill which parts of the body. A line is `part = "bone"` or `part = ["bone", "bone"]`,',
        "# from the trunk outwards. Empty parts are commented out.",
        f"# Found by {mapping.found_by}; the numbers say how sure that was.",
        "",
        "[bones]",
    ]
    for slot in SLOTS:
        bones = mapping.bones.get(slot)
        if bones:
            value = _quoted(bones[0]) if len(bones) == 1 else "[" + ", ".join(map(_quoted, bones)) + "]"
            lines.append(f"{slot} = {value}  # {mapping.confidence.get(slot, 0.0):.2f}")
        else:
            lines.append(f'# {slot} = ""')
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RigError(
            f"The mapping file {path} cannot be written ({error.strerror}). Choose a folder that you may write to."
        ) from error


def _quoted(text: str) -> str:
    """A TOML basic string."""
    out = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in out) + '"'


def load_mapping(path: Path | str, rig: RigSpec) -> Mapping:
    """Raises RigError that names the line, part or bone that is wrong."""
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RigError(f"The mapping file {path} cannot be read ({error.strerror}). Choose another file.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RigError(f"The mapping file {path.name} is no valid TOML: {error}. Correct that place.") from error
    table: object = data.get("bones")
    if not isinstance(table, dict):
        raise RigError(f"The mapping file {path.name} has no [bones] table. Save a mapping and edit that file.")
    bones = {slot: _read_slot(path.name, slot, value) for slot, value in cast("dict[str, object]", table).items()}
    bones = {slot: names_ for slot, names_ in bones.items() if names_}
    _check_bones(path.name, bones, rig)
    return with_notes(Mapping(bones, dict.fromkeys(bones, 1.0), "file"))


def _read_slot(file: str, slot: str, value: object) -> tuple[str, ...]:
    if slot not in SLOTS:
        raise RigError(f'{file}: there is no part "{slot}".{_nearest(slot, SLOTS)} Parts are {", ".join(SLOTS)}.')
    items = [value] if isinstance(value, str) else value
    if isinstance(items, list):
        listed = cast("list[object]", items)
        out = tuple(v for v in listed if isinstance(v, str))
        if len(out) == len(listed):
            # An empty text is a part left open.
            return tuple(v for v in out if v)
    raise RigError(f"{file}: {slot} must be a bone name or a list of them. Put the names in quotes.")


def _check_bones(file: str, bones: dict[str, tuple[str, ...]], rig: RigSpec) -> None:
    slot_of: dict[str, str] = {}
    for slot, listed in bones.items():
        for bone in listed:
            if bone in slot_of:
                raise RigError(
                    f'{file}: the bone "{bone}" is named twice, in {slot_of[bone]} and in {slot}. Remove one of them.'
                )
            slot_of[bone] = slot
    unknown = [b for b in slot_of if b not in rig]
    if len(unknown) == len(slot_of):
        raise RigError(
            f'{file} and the rig "{rig.name}" have no bones in common. Choose the mapping file made for this rig.'
        )
    if unknown:
        raise RigError(
            f'{file}: the rig has no bone "{unknown[0]}" (part {slot_of[unknown[0]]})'
            + (f" and {len(unknown) - 1} others" if len(unknown) > 1 else "")
            + f".{_nearest(unknown[0], rig.names)} Correct the name or remove it."
        )


def _nearest(name: str, known: tuple[str, ...]) -> str:
    """A sentence with the known name that is most like this one, if any is."""
    lower = {k.lower(): k for k in known}
    near = get_close_matches(name.lower(), lower, n=1, cutoff=0.7)
    return f' Did you mean "{lower[near[0]]}"?' if near else ""
