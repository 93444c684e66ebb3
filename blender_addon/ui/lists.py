"""Rows of the two lists: takes, and the bones of a mapping."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget.blender.mapping_rows import shown_first
from ..takes.entries import there


class TakeList(bpy.types.UIList):
    """Takes of the scene; the icon says how good each is"""

    bl_idname = "MOTIONLIFT_UL_takes"

    def draw_item(
        self, _context: Any, layout: Any, _data: Any, item: Any, _icon: int, _active: Any, _name: str, _index: int = 0
    ) -> None:
        good = item.coverage >= 0.9 and item.confidence >= 0.5
        icon = "ERROR" if not there(item) else "CHECKMARK" if good and not item.warnings else "INFO"
        split = layout.split(factor=0.6)
        split.prop(item, "name", text="", emboss=False, icon=icon)
        right = split.row()
        right.alignment = "RIGHT"
        right.label(text=f"{item.coverage:.0%} / {item.confidence:.0%}" if there(item) else "file is gone")


class SlotList(bpy.types.UIList):
    """Parts of the body, each with its bone, without the file's prefix; the chosen one is edited below the list"""

    bl_idname = "MOTIONLIFT_UL_slots"

    def draw_item(
        self, context: Any, layout: Any, _data: Any, item: Any, _icon: int, _active: Any, _name: str, _index: int = 0
    ) -> None:
        from ..retarget.blender.operator import target_rig

        rig = target_rig(context)
        wrong = bool(item.bone) and rig is not None and item.bone not in rig.data.bones
        split = layout.split(factor=0.5)
        split.label(text=item.name)
        right = split.row()
        right.alert = wrong
        right.label(text=item.bone.rpartition(":")[2], icon="ERROR" if wrong else "NONE")

    def filter_items(self, context: Any, data: Any, propname: str) -> tuple[list[int], list[int]]:
        rows = getattr(data, propname)
        wanted = self.filter_name.lower()
        every = data.details
        flags = [
            self.bitflag_filter_item
            if (every or shown_first(r.slot) or wanted) and (wanted in r.name.lower() or wanted in r.bone.lower())
            else 0
            for r in rows
        ]
        return flags, []


CLASSES = (TakeList, SlotList)
