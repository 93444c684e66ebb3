"""Which bones of a rig fill which slots: found by presets, names or structure, or read from a file."""

from __future__ import annotations

from dataclasses import dataclass


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
