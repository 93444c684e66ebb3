"""The button's operator: one undo step, errors where Blender shows them."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from ...take_file import TakeError
from ..rig import RigError
from ..solve import RetargetSettings
from .apply import KeySettings, put_on_rig


class MOTIONLIFT_OT_retarget(bpy.types.Operator):
    """Put a take on the active armature, in a new action"""

    bl_idname = "motionlift.retarget"
    bl_label = "Retarget"
    bl_options = {"REGISTER", "UNDO"}

    take: StringProperty(name="Take", subtype="FILE_PATH", description="The .take.npz file")
    person: IntProperty(name="Person", default=1, min=1, description="Which person of the take")
    mapping: StringProperty(
        name="Mapping", description="Name of a preset, or a mapping file (.toml); empty to find one"
    )
    root: EnumProperty(
        name="Root",
        items=(
            ("hips", "Hips", "The hips' bone carries the character"),
            ("bone", "Root Bone", "The root bone carries path and heading, the hips the rest"),
            ("object", "Object", "The object carries path and heading, the hips the rest"),
            ("in_place", "In Place", "The character stays where it is"),
        ),
    )
    limbs: EnumProperty(
        name="Limbs",
        description="Which controls of a control rig are keyed",
        items=(
            ("fk", "FK", "Key FK controls"),
            ("ik", "IK", "Key IK hands, feet and poles"),
            ("arms=fk,legs=ik", "FK Arms, IK Legs", "Key FK arms, IK feet and their poles"),
        ),
    )
    foot_lock: BoolProperty(name="Foot Lock", default=True, description="Keep standing feet where they are")
    stride: FloatProperty(name="Stride", default=1.0, min=0.0, soft_max=2.0, description="Factor on the path")
    mirror: BoolProperty(name="Mirror", description="Exchange left and right")
    step: IntProperty(name="Key Step", default=1, min=1, description="A key every so many frames")
    reduce: BoolProperty(name="Reduce Keys", description="Use fewer keys, within the tolerances")
    degrees: FloatProperty(name="Degrees", default=0.5, min=0.001, description="Largest error of a rotation")
    millimetres: FloatProperty(name="Millimetres", default=2.0, min=0.001, description="Largest error of a location")
    to_nla: BoolProperty(name="To the NLA", description="Put the action on a new NLA track")
    layer: BoolProperty(name="Layer for Edits", description="Add an empty action above, whose keys add to the take's")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.object is None or context.object.type != "ARMATURE":
            cls.poll_message_set("Choose an armature")
            return False
        return context.object.mode != "EDIT"

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = RetargetSettings(
            root=self.root, limbs=self.limbs, foot_lock=self.foot_lock, stride=self.stride, mirror=self.mirror
        )
        reduce = (self.degrees, self.millimetres) if self.reduce else None
        keys = KeySettings(self.step, reduce, self.to_nla, self.layer)
        try:
            report = put_on_rig(
                bpy.path.abspath(self.take),
                context.object,
                person=self.person - 1,
                mapping=self.mapping or None,
                settings=settings,
                keys=keys,
            )
        except (TakeError, RigError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for warning in report.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, f'Keyed "{report.action.name}" on {context.object.name}')
        return {"FINISHED"}


CLASSES = (MOTIONLIFT_OT_retarget,)
