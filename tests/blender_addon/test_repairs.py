"""Gaps and repairs of a take: found, told in the panel, drawn in the timeline and over the clip, and gone to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from .extension import module
from .make_take import body, write_take
from .test_extension_registration import draw_all

NAMES = [j["name"] for j in body()["joints"]]


@pytest.fixture
def take(tmp_path: Path) -> Path:
    """Forty frames: a gap of 10 to 14, two filled ones at 20, a wrist that jumps at 25 and 30 to 31, sides exchanged at
    35 to 38. What is marked in the gap does not count."""
    state = np.ones(40, np.uint8)
    state[10:15], state[20:22] = 0, 2
    outlier = np.zeros((40, len(NAMES)), bool)
    outlier[[25, 30, 31], NAMES.index("l_wrist")] = True
    outlier[[30, 12], NAMES.index("head")] = True
    swapped = np.zeros(40, bool)
    swapped[35:39] = swapped[11] = True
    path = tmp_path / "marked.take.npz"
    write_take(path, frames=40, gap=slice(10, 15), state=state, outlier=outlier, swapped=swapped)
    return path


def test_spells_are_found(scene: Any, take: Path) -> None:
    repairs = module("takes.repairs")
    (found,) = repairs.read_repairs(take)
    assert found.spells == {
        "gap": ((10, 14),),
        "filled": ((20, 21),),
        "outlier": ((25, 25), (30, 31)),
        "swapped": ((35, 38),),
    }
    assert {k: found.count(k) for k in found.spells} == {"gap": 5, "filled": 2, "outlier": 3, "swapped": 4}
    assert found.joints == (("l_wrist", 3), ("head", 1))
    assert found.at(12) == ["gap"] and found.at(30) == ["outlier"] and found.at(0) == []
    assert repairs.told(found, "outlier", shift=1) == "3 frames: 26, 31-32"
    assert repairs.told(found, "gap") == "5 frames: 10-14"


def test_a_take_without_marks_has_none(scene: Any, tmp_path: Path) -> None:
    write_take(tmp_path / "old.take.npz")
    (found,) = module("takes.repairs").read_repairs(tmp_path / "old.take.npz")
    assert not any(found.spells.values()) and found.joints == ()
    bpy.ops.motionlift.add_take(filepath=str(tmp_path / "old.take.npz"))
    assert "No gaps, nothing repaired" in draw_all(bpy.context)
    (tmp_path / "cut.take.npz").write_bytes((tmp_path / "old.take.npz").read_bytes()[:900])
    with pytest.raises(Exception, match="damaged"):
        module("takes.repairs").read_repairs(tmp_path / "cut.take.npz")
    assert module("takes.marks").repairs_of(tmp_path / "cut.take.npz") == ()


def test_the_panel_tells_how_much_and_where(scene: Any, take: Path) -> None:
    bpy.ops.motionlift.add_take(filepath=str(take))
    drawn = " ".join(draw_all(bpy.context))
    for line in ("5 frames: 11-15", "2 frames: 21-22", "3 frames: 26, 31-32", "4 frames: 36-39", "l wrist 3, head 1"):
        assert line in drawn, line
    assert "motionlift.go_to_mark" in drawn and "show_marks" in drawn


def test_marks_are_gone_to_in_scene_frames(scene: Any, take: Path) -> None:
    bpy.ops.motionlift.add_take(filepath=str(take))
    scene.frame_set(1)
    seen: list[int] = []
    for _ in range(5):
        assert bpy.ops.motionlift.go_to_mark() == {"FINISHED"}
        seen.append(scene.frame_current)
    assert seen == [11, 21, 26, 31, 36]
    assert bpy.ops.motionlift.go_to_mark() == {"FINISHED"} and scene.frame_current == 36
    assert bpy.ops.motionlift.go_to_mark(back=True) == {"FINISHED"} and scene.frame_current == 31


def test_strips_and_words_of_the_timeline(scene: Any, take: Path) -> None:
    marks = module("takes.marks")
    found = marks.repairs_of(take)
    assert marks.bars(found) == [
        ("gap", 0, 11, 15),
        ("filled", 0, 21, 22),
        ("outlier", 0, 26, 26),
        ("outlier", 0, 31, 32),
        ("swapped", 0, 36, 39),
    ]
    assert marks.words_at(found, 12) == ["Not seen, without keys"] and marks.words_at(found, 1) == []
    two = marks.words_at((*found, *found), 36)
    assert two == [f"Person {n}: left and right exchanged, put right" for n in (1, 2)]


def test_keys_leave_the_gap_out_and_keep_filled_frames(scene: Any, take: Path) -> None:
    bpy.ops.motionlift.add_take(filepath=str(take))
    bpy.ops.motionlift.preview()
    armature = next(o for o in scene.objects if o.type == "ARMATURE")
    action = armature.animation_data.action
    curves = (
        action.fcurves if hasattr(action, "fcurves") else action.layers[0].strips[0].channelbag(action.slots[0]).fcurves
    )
    frames = {round(k.co[0]) for k in curves[0].keyframe_points}
    assert frames == set(range(1, 41)) - set(range(11, 16))


def test_the_overlay_knows_what_was_repaired(scene: Any, take: Path) -> None:
    overlay = module("takes.overlay")
    drawing = overlay.make_drawing(take)
    assert drawing.filled[0].nonzero()[0].tolist() == [20, 21]
    assert drawing.swapped[0][35:39].all() and drawing.wrong[0][25, NAMES.index("l_wrist")]
    plain, repaired = overlay._colored(drawing, 0, 5), overlay._colored(drawing, 0, 25)
    assert sum(len(ends) for _, ends in plain) == sum(len(ends) for _, ends in repaired) == len(drawing.ends)
    assert plain[-1][1] == []
    wrist = NAMES.index("l_wrist")
    assert {e for e in drawing.ends if wrist in e} == set(repaired[-1][1])
    assert np.isnan(drawing.joints[0][12]).all()


def test_a_take_that_is_solved_again_is_looked_at_again(scene: Any, take: Path) -> None:
    marks = module("takes.marks")
    assert marks.repairs_of(take)[0].count("gap") == 5
    write_take(take, frames=40)
    import os

    os.utime(take, (1, 1))
    assert marks.repairs_of(take)[0].count("gap") == 5  # looked at a moment ago
    marks.forget()
    assert marks.repairs_of(take)[0].count("gap") == 0
