"""The Export button: the rig and its animation to a file, with the user's selection left as it was."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, StringProperty

from .errors import UserError
from .files import check_output, write_output
from .notices import perform
from .places import absolute
from .retarget.blender.operator import needs_rig, target_rig


@contextmanager
def kept_selection(context: Any) -> Generator[None]:
    """Exporters take what is selected: put the user's selection back after them."""
    layer = context.view_layer
    selected = [o.name for o in layer.objects if o.select_get(view_layer=layer)]
    active = layer.objects.active
    active_name = active.name if active else ""
    if active is not None and active.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    try:
        yield
    finally:
        for each in layer.objects:
            each.select_set(each.name in selected, view_layer=layer)
        layer.objects.active = layer.objects.get(active_name)


def export_rig(context: Any, rig: Any, path: Path, *, deform_only: bool) -> Path:
    """Write a file of the rig and what it carries. Raises TakeError; nothing is half-written."""
    path = check_output(path)
    with kept_selection(context):
        write_output(path, [rig], deform_only=deform_only)
    return path


class Export(bpy.types.Operator):
    """Write a file of the rig with its animation, for another program"""

    bl_idname = "motionlift.export"
    bl_label = "Export"
    bl_options = {"REGISTER"}

    filepath: StringProperty(name="File", subtype="FILE_PATH", description="The file to write")
    filter_glob: StringProperty(default="*.fbx;*.glb;*.bvh;*.usd*", options={"HIDDEN"}, description="Files to show")
    check_existing: BoolProperty(default=True, options={"HIDDEN"}, description="Warn of existing files")

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not needs_rig(cls, context):
            return False
        data = target_rig(context).animation_data
        if data is None or not (data.action or data.nla_tracks):
            cls.poll_message_set("The rig has no animation yet: press Retarget first")
            return False
        return True

    def invoke(self, context: Any, _event: Any) -> set[str]:
        rig = target_rig(context)
        action = rig.animation_data.action
        name = bpy.path.clean_name(f"{rig.name} {action.name}" if action else rig.name)
        folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
        self.filepath = str(folder / f"{name}{context.scene.motionlift.export.format}")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            rig, settings = target_rig(context), context.scene.motionlift.export
            if not self.filepath:
                raise UserError("No file is named", "Choose where to export to")
            path = absolute(self.filepath)
            if not path.suffix:
                path = path.with_suffix(settings.format)
            deform_only = settings.deform_only and any(not b.use_deform for b in rig.data.bones)
            return f"Exported {export_rig(context, rig, path, deform_only=deform_only).name}"

        return perform(self, "export", work)


CLASSES = (Export,)
