"""The panels of the tab "Motion", in the sidebars of the 3D viewport and of the Movie Clip Editor.

Each is a function that draws into a layout; SECTIONS lists them in order, and each becomes a panel in both editors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bpy

from .. import solve_settings
from ..armature import FIRST_FRAME
from ..capture import jobs
from ..capture.camera_solve import is_solved
from ..capture.footage import chosen_clip
from ..capture.networks import missing
from ..contact_edits import read_edits
from ..places import absolute
from ..properties import FINDING, WITH_FILE, network_property, networks
from ..retarget.blender.operator import target_rig
from ..takes.entries import active_take, there, unlisted
from ..takes.marks import ICONS, repairs_of
from ..takes.repairs import KINDS, told
from .parts import characters, draw_environment, draw_notices, draw_progress, draw_text

EDITORS = ("VIEW_3D", "CLIP_EDITOR")


def draw_footage(layout: Any, context: Any) -> None:
    footage = context.scene.motionlift.footage
    layout.template_ID(footage, "clip", open="motionlift.open_footage")
    clip = chosen_clip(context.scene)
    if clip is not None:
        if footage.clip is None:
            layout.label(text=f"Uses {clip.name}", icon="FILE_MOVIE")
        size = f"{clip.size[0]} × {clip.size[1]}, {clip.frame_duration} frames, {clip.fps:.4g} fps"
        layout.label(text=size, icon="BLANK1" if footage.clip is None else "FILE_MOVIE")
    column = layout.column()
    column.prop(footage, "use_range")
    if footage.use_range:
        row = column.row(align=True)
        row.prop(footage, "start")
        row.prop(footage, "end")
    layout.prop(footage, "lens")
    if footage.lens == "value":
        layout.prop(footage, "focal_mm", text="Millimetres")
    layout.prop(footage, "use_camera_path")
    if (footage.lens == "solve" or footage.use_camera_path) and clip is not None:
        solved = is_solved(clip)
        focal = f"{clip.tracking.camera.focal_length_pixels:.0f} pixels" if solved else "The clip has no camera solve"
        layout.label(text=focal, icon="CAMERA_DATA" if solved else "ERROR")


def draw_capture(layout: Any, context: Any) -> None:
    from ..preferences import preferences

    settings = context.scene.motionlift
    if not jobs.environment_state().ready:
        box = layout.box()
        draw_text(
            box, "Capturing needs packages of its own. Set Up shows which, and asks.", characters(context), "INFO"
        )
        draw_environment(box, context, full=False)
        draw_notices(box, context, "setup")
    column = layout.column()
    column.prop(settings.solve, "height", text="Actor Height")
    draw_detector(column, settings.capture, characters(context))
    column.prop(settings.capture, "whose", text="People")
    if settings.capture.whose == "numbers":
        column.prop(settings.capture, "numbers")
    column.prop(settings.capture, "hands")
    column.prop(settings.capture, "checkpoint")
    if hasattr(preferences(), "bl_rna"):
        column.prop(preferences(), "device")
    row = layout.row()
    row.scale_y = 1.5
    row.operator(
        "motionlift.capture", icon="OUTLINER_OB_ARMATURE", text="Capture" if not jobs.tasks() else "Capture Next"
    )
    draw_progress(layout)


def draw_detector(layout: Any, settings: Any, width: int) -> None:
    """What finds people, and what each kind of detector can be told."""
    detector = settings.detector
    layout.prop(settings, "detector")
    if detector in WITH_FILE:
        row = layout.row(align=True)
        row.prop(settings, "detector_file", text="Keypoints" if detector == "keypoints" else "TOML File")
        row.operator("motionlift.choose_detector_file", text="", icon="FILEBROWSER")
    if networks(detector):
        layout.prop(settings, network_property(detector))
        if absent := missing(settings):
            box = layout.box()
            size = sum(n["megabytes"] for n in absent)
            names = " and ".join(n["name"] for n in absent)
            draw_text(box, f"{names}: not on this computer yet, about {size} MB", width - 4, "INFO")
            box.operator("motionlift.fetch_networks", icon="IMPORT")
    if detector == "mediapipe":
        layout.prop(settings, "people")
    elif detector != "keypoints":
        layout.prop(settings, "most_people")
    if detector in FINDING:
        layout.prop(settings, "find_every")
    if detector != "keypoints":
        layout.prop(settings, "every")


def draw_takes(layout: Any, context: Any) -> None:
    settings = context.scene.motionlift
    row = layout.row()
    row.template_list("MOTIONLIFT_UL_takes", "", settings, "takes", settings, "take", rows=3)
    side = row.column(align=True)
    side.operator("motionlift.add_take", text="", icon="ADD")
    side.operator("motionlift.remove_take", text="", icon="REMOVE")
    if found := unlisted():
        text = f"Add {len(found)} Found Take{'s' if len(found) > 1 else ''}"
        layout.operator("motionlift.add_unlisted", text=text, icon="FILE_REFRESH")
    entry = active_take(context.scene)
    if entry is None:
        return
    width = characters(context)
    if not there(entry):
        box = layout.box()
        box.alert = True
        draw_text(box, f"The take's file is gone: {absolute(entry.path)}", width, "ERROR")
        box.operator("motionlift.find_take", icon="FILEBROWSER")
        return
    column = layout.column(align=True)
    column.label(text=f"{entry.frames} frames at {entry.fps:.4g} fps")
    column.label(text=f"Seen in {entry.coverage:.0%}, sure by {entry.confidence:.0%}")
    for warning in entry.warnings.splitlines():
        draw_text(layout, warning, width, "ERROR")
    if entry.people > 1:
        layout.prop(entry, "person", text=f"Person of {entry.people}")
    draw_repairs(layout, entry, width)
    column = layout.column(align=True)
    column.operator("motionlift.preview", icon="ARMATURE_DATA")
    column.operator("motionlift.match_camera", icon="CAMERA_DATA")
    column = layout.column()
    column.use_property_split = False
    column.prop(settings, "match_time", text="Match Scene Rate and Range")
    column.prop(settings, "show_overlay", text="Overlay in the Clip Editor")
    column.prop(settings, "show_marks", text="Repairs in the Timeline")


def draw_repairs(layout: Any, entry: Any, width: int) -> None:
    """How much of each person is a gap or was repaired, and where, in scene frames."""
    found = repairs_of(absolute(entry.path))
    marked = False
    for number, person in enumerate(found, 1):
        lines = [(kind, told(person, kind, FIRST_FRAME)) for kind in KINDS]
        if not any(text for _, text in lines):
            continue
        marked = True
        box = layout.box().column(align=True)
        if len(found) > 1:
            box.label(text=f"Person {number}, {person.frames} frames")
        for kind, text in lines:
            if text:
                draw_text(box, f"{KINDS[kind][0].upper()}{KINDS[kind][1:]}: {text}", width - 4, ICONS[kind])
        if person.joints:
            most = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in person.joints[:3])
            draw_text(box, f"Jumped most: {most}", width - 4, "BLANK1")
    if found and not marked:
        layout.label(text="No gaps, nothing repaired", icon="CHECKMARK")
    if marked:
        row = layout.row(align=True)
        row.operator("motionlift.go_to_mark", text="Previous", icon="PREV_KEYFRAME").back = True
        row.operator("motionlift.go_to_mark", text="Next", icon="NEXT_KEYFRAME")


def draw_solve(layout: Any, context: Any) -> None:
    group = context.scene.motionlift.solve
    column = layout.column()
    for setting in solve_settings.description():
        name = setting["name"]
        if setting.get("optional"):
            row = column.row(heading=setting["label"])
            row.prop(group, solve_settings.USE + name, text="")
            field = row.row()
            field.enabled = getattr(group, solve_settings.USE + name)
            field.prop(group, name, text="")
        else:
            column.prop(group, name)
        if name == "contact_edits":
            draw_contact_edits(column, group)
    row = layout.row(align=True)
    row.operator("motionlift.solve", icon="FILE_REFRESH")
    row.operator("motionlift.adopt_settings", text="", icon="EYEDROPPER")


def draw_contact_edits(layout: Any, group: Any) -> None:
    """A row for each word of the user's on a foot, and a button for another."""
    for i, edit in enumerate(read_edits(group.contact_edits) or []):
        row = layout.row(align=True)
        row.label(text=edit.label, icon="LOCKED" if edit.stands else "UNLOCKED")
        row.operator("motionlift.remove_contact_edit", text="", icon="X").index = i
    layout.operator("motionlift.add_contact_edit", icon="ADD")


def draw_retarget(layout: Any, context: Any) -> None:
    settings = context.scene.motionlift.retarget
    layout.prop(settings, "armature")
    rig = target_rig(context)
    if settings.armature is None and rig is not None:
        layout.label(text=f"Uses {rig.name}", icon="ARMATURE_DATA")
    layout.prop(settings, "mapping")
    if settings.mapping == "preset":
        layout.prop(settings, "preset")
    elif settings.mapping == "file":
        layout.prop(settings, "mapping_file", text="File")
    if settings.mapping == "list":
        plain = layout.column()
        plain.use_property_split = False
        plain.template_list("MOTIONLIFT_UL_slots", "", settings, "rows", settings, "row", rows=8)
        if rig is not None and 0 <= settings.row < len(settings.rows):
            plain.prop_search(settings.rows[settings.row], "bone", rig.data, "bones", text="", icon="BONE_DATA")
        plain.prop(settings, "details")
    row = layout.row(align=True)
    row.operator("motionlift.find_mapping", text="Find Again" if settings.mapping == "list" else "Edit Bones")
    if settings.mapping == "list":
        row.operator("motionlift.add_bone", text="", icon="ADD")
    row.operator("motionlift.save_mapping", text="" if settings.mapping == "list" else "Save Mapping", icon="FILE_TICK")
    column = layout.column()
    column.row().prop(settings, "arms", expand=True)
    column.row().prop(settings, "legs", expand=True)
    column.prop(settings, "root")
    column.prop(settings, "foot_lock")
    column.prop(settings, "fingers")
    row = layout.row()
    row.scale_y = 1.5
    row.operator("motionlift.retarget", icon="CON_ARMATURE")
    header, body = layout.panel("motionlift_retarget_options", default_closed=True)
    header.label(text="Options")
    if body is None:
        return
    column = body.column()
    column.prop(settings, "mirror")
    column.prop(settings, "stride")
    column = body.column(heading="Keys")
    column.prop(settings, "step")
    column.prop(settings, "reduce")
    if settings.reduce:
        column.prop(settings, "degrees")
        column.prop(settings, "millimetres")
    column = body.column(heading="Result")
    column.prop(settings, "to_nla")
    column.prop(settings, "layer")
    column.prop(settings, "fit_range")


def draw_batch(layout: Any, context: Any) -> None:
    settings = context.scene.motionlift.batch
    layout.row().prop(settings, "source", expand=True)
    if settings.source == "folder":
        layout.prop(settings, "folder")
    column = layout.column(heading="Each Take")
    column.prop(settings, "retarget")
    sub = column.column()
    sub.enabled = settings.retarget
    sub.prop(settings, "export")
    if settings.retarget and settings.export:
        layout.prop(settings, "format")
        layout.prop(settings, "output")
    row = layout.row()
    row.scale_y = 1.5
    row.operator("motionlift.batch", icon="RENDER_ANIMATION")
    if any(t.section == "batch" for t in jobs.tasks()):
        draw_progress(layout)


def draw_export(layout: Any, context: Any) -> None:
    settings = context.scene.motionlift.export
    layout.prop(settings, "format")
    if settings.format in (".fbx", ".glb"):
        layout.column(heading="Bones").prop(settings, "deform_only")
    row = layout.row()
    row.scale_y = 1.5
    row.operator("motionlift.export", icon="EXPORT")


@dataclass(frozen=True)
class Section:
    """A panel: its name, what draws it, whether it starts closed. Notices are those of `name`."""

    name: str
    label: str
    draw: Callable[[Any, Any], None]
    closed: bool = False


SECTIONS = (
    Section("footage", "Footage", draw_footage),
    Section("capture", "Capture", draw_capture),
    Section("takes", "Takes", draw_takes),
    Section("solve", "Solve", draw_solve, closed=True),
    Section("retarget", "Retarget", draw_retarget),
    Section("batch", "Batch", draw_batch, closed=True),
    Section("export", "Export", draw_export, closed=True),
)


def make_panel(section: Section, editor: str, order: int) -> type[Any]:
    """The panel class of a section in an editor."""

    def draw(self: Any, context: Any) -> None:
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        section.draw(self.layout, context)
        draw_notices(self.layout, context, section.name)

    name = f"MOTIONLIFT_PT_{section.name}{'_clip' if editor == 'CLIP_EDITOR' else ''}"
    return type(
        name,
        (bpy.types.Panel,),
        {
            "bl_idname": name,
            "bl_label": section.label,
            "bl_space_type": editor,
            "bl_region_type": "UI",
            "bl_category": jobs.TAB,
            "bl_order": order,
            "bl_options": {"DEFAULT_CLOSED"} if section.closed else set(),
            "draw": draw,
        },
    )


CLASSES = tuple(make_panel(s, e, i) for e in EDITORS for i, s in enumerate(SECTIONS))
