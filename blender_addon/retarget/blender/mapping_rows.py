"""A mapping as rows of a list that the user edits in the panel: one row a bone, and one for every empty slot."""

from __future__ import annotations

from typing import Any

from ..mapping import Mapping, with_notes
from ..rig import RigError
from ..slots import FINGERS, SIDES, SLOTS

WORDS = {"l": "Left", "r": "Right"}


def label(slot: str) -> str:
    """A slot as the panel names it: "l_upper_arm" is Left Upper Arm."""
    side, _, part = slot.partition("_")
    return " ".join((WORDS[side] if side in SIDES and part else side.title(), part.replace("_", " ").title())).strip()


def fill_rows(rows: Any, mapping: Mapping) -> None:
    """Write a mapping into the list, in the order of slots."""
    rows.clear()
    for slot in SLOTS:
        for bone in mapping.bones.get(slot, ("",)):
            row = rows.add()
            row.name = label(slot)
            row.slot, row.bone = slot, bone
            row.confidence = mapping.confidence.get(slot, 0.0) if bone else 0.0


def read_rows(rows: Any, armature: Any) -> Mapping:
    """The mapping that the list says. Raises RigError for a bone that is not there, or is there twice."""
    bones: dict[str, tuple[str, ...]] = {}
    slot_of: dict[str, str] = {}
    for row in rows:
        if not row.bone:
            continue
        if row.bone not in armature.data.bones:
            raise RigError(
                f'The rig "{armature.name}" has no bone "{row.bone}" (for {label(row.slot)}). '
                "Choose another bone in the list, or find the mapping again."
            )
        if row.bone in slot_of:
            raise RigError(
                f'The bone "{row.bone}" stands for {label(slot_of[row.bone])} and for {label(row.slot)}. '
                "Clear one of the two."
            )
        slot_of[row.bone] = row.slot
        bones[row.slot] = (*bones.get(row.slot, ()), row.bone)
    if not bones:
        raise RigError("The list of bones is empty. Find the mapping, or choose bones by hand.")
    return with_notes(Mapping(bones, dict.fromkeys(bones, 1.0), "list"))


def shown_first(slot: str) -> bool:
    """Whether the slot is shown without asking for fingers and twist bones."""
    return not (slot.endswith("_twist") or slot[2:] in FINGERS)
