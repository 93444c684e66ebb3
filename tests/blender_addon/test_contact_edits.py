"""Contacts that the user sets by buttons end up as the text that the lifter reads."""

from __future__ import annotations

from typing import Any

import bpy
import pytest

from .extension import module, refused
from .test_extension_registration import draw_all


def test_rows_are_added_and_removed_in_scene_frames(scene: Any) -> None:
    group = scene.motionlift.solve
    assert bpy.ops.motionlift.add_contact_edit(foot="left", first=101, last=121, stands=False) == {"FINISHED"}
    assert bpy.ops.motionlift.add_contact_edit(foot="both", first=1, last=1) == {"FINISHED"}
    assert group.contact_edits == "left:100-120=off, both:0-0=on"
    drawn = draw_all(bpy.context)
    assert "Left foot free, 101-121" in drawn and "Both feet stand, 1-1" in drawn
    assert bpy.ops.motionlift.remove_contact_edit(index=0) == {"FINISHED"}
    assert group.contact_edits == "both:0-0=on"
    assert "no such contact edit" in refused(bpy.ops.motionlift.remove_contact_edit, index=5)


def test_what_the_panel_writes_is_what_the_lifter_reads(scene: Any) -> None:
    parse_edits = pytest.importorskip("lifter.contacts").parse_edits
    edits = module("contact_edits")
    wanted = [edits.Edit("left", 1, 20, True), edits.Edit("right", 5, 5, False), edits.Edit("both", 7, 9, True)]
    read = parse_edits(edits.write_edits(wanted))
    assert [(e.foot, e.first + 1, e.last + 1, e.stands) for e in read] == [
        (e.foot, e.first, e.last, e.stands) for e in wanted
    ]
    assert edits.read_edits(edits.write_edits(wanted)) == wanted


def test_a_text_that_is_none_is_not_overwritten(scene: Any) -> None:
    group = scene.motionlift.solve
    group.contact_edits = "left:10-"
    assert "no list of contact edits" in refused(bpy.ops.motionlift.add_contact_edit)
    assert group.contact_edits == "left:10-"
    group.contact_edits = ""
    assert "before it begins" in refused(bpy.ops.motionlift.add_contact_edit, first=9, last=3)
