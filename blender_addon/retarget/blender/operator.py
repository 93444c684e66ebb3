"""The buttons of the Retarget panel: one undo step each, errors where Blender shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import IntProperty, StringProperty

from ... import notices
from ...errors import UserError
from ...notices import Notice, perform
from ...places import absolute, user_folder
from ...takes.entries import active_path, active_take
from ..mapping import Mapping, find_mapping, load_mapping, save_mapping
from .apply import Report, put_on_rig
from .mapping_rows import fill_rows, read_rows
from .properties import NAMES, RetargetProperties, key_settings, retarget_settings
from .read_rig import read_rig


def target_rig(context: Any) -> Any | None:
    """The rig of the panel; if none is chosen there, the active armature, or the only one that shows no take."""
    scene = context.scene
    chosen = scene.motionlift.retarget.armature
    if chosen is not None:
        return chosen
    active = context.object if hasattr(context, "object") else None
    if active is not None and active.type == "ARMATURE" and "motionlift_take" not in active:
        return active
    rigs = [o for o in scene.objects if o.type == "ARMATURE" and "motionlift_take" not in o]
    return rigs[0] if len(rigs) == 1 else None


def panel_mapping(settings: Any, rig: Any) -> Mapping | str | Path | None:
    """What the panel says of the mapping, for `put_on_rig`. Raises RigError or UserError."""
    if settings.mapping == "preset":
        return settings.preset
    if settings.mapping == "list":
        return read_rows(settings.rows, rig)
    if settings.mapping == "file":
        if not settings.mapping_file:
            raise UserError("No mapping file is chosen", "Choose one, or let the mapping be found (Auto)")
        return absolute(settings.mapping_file)
    return None


def found_mapping(settings: Any, rig: Any) -> Mapping:
    """The mapping that would be used. Raises RigError or UserError."""
    said = panel_mapping(settings, rig)
    if isinstance(said, Mapping):
        return said
    spec = read_rig(rig)
    return load_mapping(said, spec) if isinstance(said, Path) else find_mapping(spec, said)


def needs_rig(cls: Any, context: Any) -> bool:
    """The poll of operators that work on the rig."""
    rig = target_rig(context)
    if rig is None:
        cls.poll_message_set("Choose the rig to animate, in the Retarget panel")
        return False
    if rig.mode == "EDIT":
        cls.poll_message_set("The rig is in edit mode: leave it first")
        return False
    return True


def retarget_onto(
    context: Any, properties: Any, rig: Any, take: Path, person: int, mapping: Mapping | str | Path | None
) -> Report:
    """Put a take on a rig as `properties` (of the panel or of an operator) say. Raises TakeError or RigError."""
    report = put_on_rig(
        take,
        rig,
        person=person - 1,
        mapping=mapping,
        settings=retarget_settings(properties),
        keys=key_settings(properties),
    )
    scene = context.scene
    if scene.motionlift.retarget.fit_range:
        start, end = (int(f) for f in report.action.frame_range)
        scene.frame_start, scene.frame_end = start, max(start, end)
    return report


class Retarget(RetargetProperties, bpy.types.Operator):
    """Put the take on the rig, in a new action. The rig itself is not changed"""

    bl_idname = "motionlift.retarget"
    bl_label = "Retarget"
    bl_options = {"REGISTER", "UNDO"}

    take: StringProperty(
        name="Take", subtype="FILE_PATH", description="The .take.npz file; empty for the one of the Takes panel"
    )
    person: IntProperty(name="Person", min=0, description="Which person of the take; 0 for the one of the Takes panel")
    rig: StringProperty(name="Rig", description="Name of the armature object; empty for the one of the panel")
    mapping: StringProperty(
        name="Mapping", description="Name of a preset, or a mapping file (.toml); empty for what the panel says"
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return needs_rig(cls, context)

    def invoke(self, context: Any, _event: Any) -> set[str]:
        settings = context.scene.motionlift.retarget
        for name in NAMES:
            setattr(self, name, getattr(settings, name))
        self.take, self.person, self.rig, self.mapping = "", 0, "", ""
        return self.execute(context)

    def execute(self, context: Any) -> set[str]:
        return perform(self, "retarget", lambda: self._retarget(context))

    def _retarget(self, context: Any) -> str:
        scene = context.scene
        settings = scene.motionlift.retarget
        for name in NAMES:
            if not self.properties.is_property_set(name):
                setattr(self, name, getattr(settings, name))
        rig = scene.objects.get(self.rig) if self.rig else target_rig(context)
        if rig is None or rig.type != "ARMATURE":
            raise UserError(
                f'There is no rig "{self.rig}"' if self.rig else "No rig is chosen", "Choose an armature of the scene"
            )
        path = absolute(self.take) if self.take else active_path(scene)
        entry = None if self.take else active_take(scene)
        person = self.person or (entry.person if entry else 1)
        said = self.mapping
        mapping = panel_mapping(settings, rig) if not said else Path(said) if said.endswith(".toml") else said
        report = retarget_onto(context, self, rig, path, person, mapping)
        # The panel of the last operation repeats exactly this, whatever is chosen by then.
        self.take, self.person, self.rig = str(path), person, rig.name
        for warning in report.warnings:
            notices.show("retarget", Notice("WARNING", warning))
        done = f'"{report.action.name}" is on {rig.name}, mapped by {report.mapping.found_by}'
        notices.show("retarget", Notice("INFO", done))
        return ""


class FindMapping(bpy.types.Operator):
    """Fill the list with the bones that the mapping above finds, to change them by hand"""

    bl_idname = "motionlift.find_mapping"
    bl_label = "Edit Bones"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return needs_rig(cls, context)

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            settings, rig = context.scene.motionlift.retarget, target_rig(context)
            if settings.mapping == "list":
                settings.mapping = "auto"
            mapping = found_mapping(settings, rig)
            fill_rows(settings.rows, mapping)
            settings.mapping = "list"
            for note in mapping.notes:
                notices.show("retarget", Notice("WARNING", note))
            return f"{len(mapping.bones)} parts, found by {mapping.found_by}"

        return perform(self, "retarget", work)


class AddBone(bpy.types.Operator):
    """Add another bone to the chosen part, such as one more of the spine"""

    bl_idname = "motionlift.add_bone"
    bl_label = "Add Bone"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        settings = context.scene.motionlift.retarget
        if not 0 <= settings.row < len(settings.rows):
            cls.poll_message_set("Choose a part in the list")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        settings = context.scene.motionlift.retarget
        before = settings.rows[settings.row]
        slot, name = before.slot, before.name
        row = settings.rows.add()
        row.slot, row.name = slot, name
        settings.rows.move(len(settings.rows) - 1, settings.row + 1)
        settings.row += 1
        return {"FINISHED"}


class SaveMapping(bpy.types.Operator):
    """Save which bone stands for which part, to use it for other files and in scripts"""

    bl_idname = "motionlift.save_mapping"
    bl_label = "Save Mapping"
    bl_options = {"REGISTER"}

    filepath: StringProperty(name="File", subtype="FILE_PATH", description="The mapping file (.toml) to write")
    filter_glob: StringProperty(default="*.toml", options={"HIDDEN"}, description="Which files to show")
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"}, description="Warn of existing files")

    @classmethod
    def poll(cls, context: Any) -> bool:
        return needs_rig(cls, context)

    def invoke(self, context: Any, _event: Any) -> set[str]:
        self.filepath = str(user_folder("mappings") / f"{target_rig(context).name}.toml")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            settings, rig = context.scene.motionlift.retarget, target_rig(context)
            path = absolute(self.filepath).with_suffix(".toml")
            mapping = found_mapping(settings, rig)
            try:
                save_mapping(mapping, path)
            except OSError as error:
                raise UserError(f"{path}: cannot be written", "Choose another folder", error.strerror or "") from error
            settings.mapping_file = str(path)
            return f"Saved {path.name}"

        return perform(self, "retarget", work)


CLASSES = (Retarget, FindMapping, AddBone, SaveMapping)
