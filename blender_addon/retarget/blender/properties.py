"""What retargeting can be told, once for the panel's settings and for the operator's own properties."""

from __future__ import annotations

from typing import Any

from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty

from ..solve import RetargetSettings
from .apply import KeySettings


class RetargetProperties:
    """Mixed into a PropertyGroup and into an operator."""

    root: EnumProperty(
        name="Root",
        description="What carries the character over the floor",
        items=(
            ("hips", "Hips", "The hips' bone carries the character"),
            ("bone", "Root Bone", "The root bone carries path and heading, the hips the rest"),
            ("object", "Object", "The object carries path and heading, the hips the rest"),
            ("in_place", "In Place", "The character stays where it is"),
        ),
    )
    arms: EnumProperty(
        name="Arms",
        description="Which controls of a control rig's arms get the keys",
        items=(("fk", "FK", "Turn each bone"), ("ik", "IK", "Move hands and elbow poles")),
    )
    legs: EnumProperty(
        name="Legs",
        description="Which controls of a control rig's legs get the keys",
        items=(("fk", "FK", "Turn each bone"), ("ik", "IK", "Move feet and knee poles")),
    )
    foot_lock: BoolProperty(
        name="Foot Lock", default=True, description="Keep standing feet where they are, in the character's proportions"
    )
    fingers: BoolProperty(
        name="Fingers",
        default=True,
        description="Move fingers as the take has them, else as a relaxed hand's; without, they get no keys",
    )
    stride: FloatProperty(
        name="Stride", default=1.0, min=0.0, soft_max=2.0, description="Factor on the path over the floor"
    )
    mirror: BoolProperty(name="Mirror", description="Exchange left and right")
    step: IntProperty(name="Key Step", default=1, min=1, soft_max=10, description="A key every so many frames")
    reduce: BoolProperty(name="Reduce Keys", description="Use fewer keys, off by no more than the tolerances")
    degrees: FloatProperty(
        name="Degrees", default=0.5, min=0.001, soft_max=5.0, description="Largest error of a rotation, degrees"
    )
    millimetres: FloatProperty(
        name="Millimetres",
        default=2.0,
        min=0.001,
        soft_max=20.0,
        description="Largest error of a location, millimetres",
    )
    to_nla: BoolProperty(name="To the NLA", description="Put the action on a new NLA track")
    layer: BoolProperty(
        name="Layer for Edits", description="Put it there below an empty action, whose keys add to the take's"
    )


NAMES = tuple(RetargetProperties.__annotations__)


def retarget_settings(properties: Any) -> RetargetSettings:
    return RetargetSettings(
        root=properties.root,
        limbs=f"arms={properties.arms},legs={properties.legs}",
        foot_lock=properties.foot_lock,
        fingers=properties.fingers,
        stride=properties.stride,
        mirror=properties.mirror,
    )


def key_settings(properties: Any) -> KeySettings:
    reduce = (properties.degrees, properties.millimetres) if properties.reduce else None
    return KeySettings(properties.step, reduce, properties.to_nla, properties.layer)
