"""The extension's preferences: the environment, the model folder, the device, the cache's size."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from .places import PACKAGE
from .ui.parts import draw_environment, draw_notices

DEVICES = (
    ("auto", "Auto", "The GPU if the environment is set up for it, otherwise the CPU"),
    ("cpu", "CPU", "Always the CPU: slower, and never out of the GPU's memory"),
    ("gpu", "GPU", "The GPU; a capture fails where that is not possible"),
)


CACHE_MEGABYTES = 500


class MotionliftPreferences(bpy.types.AddonPreferences):
    bl_idname = PACKAGE

    model_folder: StringProperty(
        name="Model Folder",
        subtype="DIR_PATH",
        description="Where your own checkpoints (.onnx) lie; empty: a folder of the extension's own",
    )
    device: EnumProperty(name="Device", description="What networks run on", items=DEVICES)
    cache_megabytes: IntProperty(
        name="Cache Size",
        default=CACHE_MEGABYTES,
        min=0,
        soft_max=5000,
        description="Megabytes for what was found in footage: capturing it again with another lens, camera or "
        "checkpoint then takes seconds. An hour of video takes 85; 0 keeps nothing",
    )

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.use_property_split = True
        box = layout.box()
        box.label(text="Environment", icon="PACKAGE")
        draw_environment(box, context, full=True)
        draw_notices(box, context, "setup")
        layout.prop(self, "model_folder")
        row = layout.row()
        row.prop(self, "device", expand=True)
        layout.prop(self, "cache_megabytes", text="Cache Size (MB)")


def preferences() -> Any:
    """The extension's preferences; the defaults where this is no extension but a package of a script."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    if addon and addon.preferences:
        return addon.preferences
    return SimpleNamespace(model_folder="", device="auto", cache_megabytes=CACHE_MEGABYTES)


CLASSES = (MotionliftPreferences,)
