"""The user's word on feet, by buttons: rows of the setting `contact_edits`, whose text the lifter reads.

The text counts frames as the take does, from 0 for the footage's first; buttons and rows as the scene does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty

from .armature import FIRST_FRAME
from .errors import UserError
from .notices import perform

PATTERN = r"\s*(left|right|both):(\d+)-(\d+)=(on|off)\s*"


@dataclass(frozen=True)
class Edit:
    """A foot stands, or not, from one frame of the scene to another."""

    foot: str
    first: int
    last: int
    stands: bool

    @property
    def text(self) -> str:
        """As the lifter reads it."""
        state = "on" if self.stands else "off"
        return f"{self.foot}:{self.first - FIRST_FRAME}-{self.last - FIRST_FRAME}={state}"

    @property
    def label(self) -> str:
        """For a row of the panel."""
        who = "Both feet" if self.foot == "both" else f"{self.foot.title()} foot"
        verb = "free" if not self.stands else "stand" if self.foot == "both" else "stands"
        return f"{who} {verb}, {self.first}-{self.last}"


def read_edits(text: str) -> list[Edit] | None:
    """None for a text that is not only edits: somebody is still writing it."""
    out: list[Edit] = []
    for part in filter(str.strip, text.split(",")):
        found = re.fullmatch(PATTERN, part)
        if found is None:
            return None
        out.append(Edit(found[1], int(found[2]) + FIRST_FRAME, int(found[3]) + FIRST_FRAME, found[4] == "on"))
    return out


def write_edits(edits: list[Edit]) -> str:
    return ", ".join(each.text for each in edits)


class AddContactEdit(bpy.types.Operator):
    """Say that a foot stands, or does not, over a range of frames. Solve Again then holds it, or lets it go"""

    bl_idname = "motionlift.add_contact_edit"
    bl_label = "Add Contact"
    bl_options = {"REGISTER", "UNDO"}

    foot: EnumProperty(
        name="Foot",
        description="Which foot",
        items=(("left", "Left", "The left foot"), ("right", "Right", "The right foot"), ("both", "Both", "Both feet")),
    )
    stands: BoolProperty(name="Stands", default=True, description="It stands on the floor; otherwise it is free")
    first: IntProperty(name="First", default=1, min=FIRST_FRAME, description="First frame, as the scene counts")
    last: IntProperty(name="Last", default=10, min=FIRST_FRAME, description="Last frame, as the scene counts")

    def invoke(self, context: Any, _event: Any) -> set[str]:
        scene = context.scene
        self.first = max(FIRST_FRAME, scene.frame_preview_start if scene.use_preview_range else scene.frame_current)
        self.last = max(self.first, scene.frame_preview_end if scene.use_preview_range else self.first + 9)
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            group = context.scene.motionlift.solve
            edits = read_edits(group.contact_edits)
            if edits is None:
                raise UserError(
                    f'"{group.contact_edits}" is no list of contact edits', "Clear Contact Edits, or put it right"
                )
            if self.last < self.first:
                raise UserError(f"The range ends at {self.last}, before it begins", "Give the first frame first")
            new = Edit(self.foot, self.first, self.last, self.stands)
            group.contact_edits = write_edits([*edits, new])
            return f"{new.label}; press Solve Again"

        return perform(self, "solve", work)


class RemoveContactEdit(bpy.types.Operator):
    """Take this word on a foot back"""

    bl_idname = "motionlift.remove_contact_edit"
    bl_label = "Remove Contact"
    bl_options = {"REGISTER", "UNDO"}

    index: IntProperty(options={"HIDDEN", "SKIP_SAVE"}, description="Which row")

    def execute(self, context: Any) -> set[str]:
        def work() -> str | None:
            group = context.scene.motionlift.solve
            edits = read_edits(group.contact_edits) or []
            if not 0 <= self.index < len(edits):
                raise UserError("There is no such contact edit", "Look at the list again")
            gone = edits.pop(self.index)
            group.contact_edits = write_edits(edits)
            return f"Removed: {gone.label}"

        return perform(self, "solve", work)


CLASSES = (AddContactEdit, RemoveContactEdit)
