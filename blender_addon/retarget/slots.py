"""The parts of a humanoid that bones of a rig are mapped to. A slot holds bones in order."""

from __future__ import annotations

from dataclasses import dataclass

SIDES = ("l", "r")
FINGERS = ("thumb", "index", "middle", "ring", "little")
LIMB_PARTS = ("clavicle", "upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toe")
TWISTED = ("upper_arm", "forearm", "thigh", "shin")
"""Parts that may have twist bones beside them: leaves that carry a share of the twist (slot `l_forearm_twist`).
Twist bones that lie in the chain itself, one behind the other, are further bones of the part's own slot."""

BODY = ("root", "pelvis", "spine", "neck", "head", *(f"{s}_{p}" for s in SIDES for p in LIMB_PARTS))

SLOTS = (*BODY, *(f"{s}_{f}" for s in SIDES for f in FINGERS), *(f"{s}_{p}_twist" for s in SIDES for p in TWISTED))
"""`root` lies on the floor and carries the character; `pelvis` carries legs and spine; `spine` is all bones above the
pelvis up to the chest that carries arms and neck; `neck` all below the head. A finger's bones begin at its knuckle
(the thumb's at the wrist); metacarpals are left out."""

REQUIRED = ("pelvis", *(f"{s}_{p}" for s in SIDES for p in ("upper_arm", "forearm", "thigh", "shin")))
"""What a humanoid cannot do without. Hands, feet and head are expected, and their lack is told."""

EXPECTED = ("spine", "head", *(f"{s}_{p}" for s in SIDES for p in ("hand", "foot")))

CORE = (*REQUIRED, *EXPECTED)


@dataclass(frozen=True)
class Mapping:
    """Bones of each slot that is filled, and how sure each is (0..1). `found_by` is "preset NAME", "names",
    "structure" or "file"; `notes` are sentences for the user, such as on slots that stay empty."""

    bones: dict[str, tuple[str, ...]]
    confidence: dict[str, float]
    found_by: str
    notes: tuple[str, ...] = ()

    def bone(self, slot: str) -> str | None:
        """The slot's first bone."""
        return self.bones[slot][0] if self.bones.get(slot) else None
