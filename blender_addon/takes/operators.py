"""What can be done with the takes of the list."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import StringProperty

from .. import notices, solve_settings
from ..errors import UserError
from ..notices import Notice, perform
from ..places import TAKE, absolute, stored
from .entries import active_path, active_take, forget, show_take, unlisted
from .preview import show_camera, show_preview
from .summary import read_settings, read_summary


def needs_take(cls: Any, context: Any) -> bool:
    """The poll of operators that use the active take."""
    if active_take(context.scene) is None:
        cls.poll_message_set("Capture a clip first, or add a take")
        return False
    return True


class AddTake(bpy.types.Operator):
    """Add a take file that was made elsewhere to the list"""

    bl_idname = "motionlift.add_take"
    bl_label = "Add Take"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(name="File", subtype="FILE_PATH", description="A .take.npz file")
    filter_glob: StringProperty(default=f"*{TAKE}", options={"HIDDEN"}, description="Which files to show")

    def invoke(self, context: Any, _event: Any) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            path = absolute(self.filepath)
            entry = show_take(context.scene, path, read_summary(path))
            return f"Added {entry.name}"

        return perform(self, "takes", work)


class AddUnlisted(bpy.types.Operator):
    """Add takes that lie beside this file and are in no list: captured, and then the file was not saved"""

    bl_idname = "motionlift.add_unlisted"
    bl_label = "Add Found Takes"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            forget()
            found = unlisted()
            for path in found:
                show_take(context.scene, path, read_summary(path))
            forget()
            return f"Added {len(found)} takes"

        return perform(self, "takes", work)


class RemoveTake(bpy.types.Operator):
    """Take the chosen take off the list. Its file stays"""

    bl_idname = "motionlift.remove_take"
    bl_label = "Remove from List"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return needs_take(cls, context)

    def execute(self, context: Any) -> set[str]:
        settings = context.scene.motionlift
        name = settings.takes[settings.take].name
        settings.takes.remove(settings.take)
        settings.take = max(0, min(settings.take, len(settings.takes) - 1))
        self.report({"INFO"}, f"{name} is off the list; its file stays")
        return {"FINISHED"}


class FindTake(bpy.types.Operator):
    """Say where the file of the chosen take is now"""

    bl_idname = "motionlift.find_take"
    bl_label = "Find File"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(name="File", subtype="FILE_PATH", description="Where the take's file is now")
    filter_glob: StringProperty(default=f"*{TAKE}", options={"HIDDEN"}, description="Which files to show")

    @classmethod
    def poll(cls, context: Any) -> bool:
        return needs_take(cls, context)

    def invoke(self, context: Any, _event: Any) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            path = absolute(self.filepath)
            summary = read_summary(path)
            entry = active_take(context.scene)
            entry.path = stored(path)
            return f"Found {show_take(context.scene, path, summary).name}"

        return perform(self, "takes", work)


class Preview(bpy.types.Operator):
    """Show the take as an armature with a plain body, in the performer's own proportions"""

    bl_idname = "motionlift.preview"
    bl_label = "Preview Armature"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return needs_take(cls, context)

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            scene = context.scene
            path, entry = active_path(scene), active_take(scene)
            armature = show_preview(scene, entry, path, time=scene.motionlift.match_time)
            return f'"{armature.name}" shows the take; play the animation to see it'

        return perform(self, "takes", work)


class MatchCamera(bpy.types.Operator):
    """Add the camera that took the footage, where it stood, with the clip as its background"""

    bl_idname = "motionlift.match_camera"
    bl_label = "Matching Camera"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return needs_take(cls, context)

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            scene = context.scene
            path, entry = active_path(scene), active_take(scene)
            warning = show_camera(scene, entry, path, time=scene.motionlift.match_time)
            if warning:
                notices.show("takes", Notice("WARNING", warning))
            self._look_through(context)
            return "The scene's camera sees what the footage's saw"

        return perform(self, "takes", work)

    @staticmethod
    def _look_through(context: Any) -> None:
        space = getattr(context, "space_data", None)
        if space is not None and space.type == "VIEW_3D" and space.region_3d:
            space.region_3d.view_perspective = "CAMERA"


class AdoptSettings(bpy.types.Operator):
    """Show the settings that the chosen take was solved with"""

    bl_idname = "motionlift.adopt_settings"
    bl_label = "Settings of the Take"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return needs_take(cls, context)

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            settings = read_settings(active_path(context.scene))
            if not settings:
                raise UserError("The take does not say what it was solved with", "Press Solve Again to set it")
            solve_settings.adopt(context.scene.motionlift.solve, settings)
            return "The settings are those of the take"

        return perform(self, "solve", work)


CLASSES = (AddTake, AddUnlisted, RemoveTake, FindTake, Preview, MatchCamera, AdoptSettings)
