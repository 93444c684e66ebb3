"""Blender's own Rigify rigs: metarigs, generated rigs, their deforming bones, and animals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
import pytest

from blender_addon.retarget.blender.read_rig import read_rig
from blender_addon.retarget.mapping import find_mapping, unmapped
from blender_addon.retarget.names import find_by_names
from blender_addon.retarget.rig import RigError, RigSpec
from blender_addon.retarget.structure import find_by_structure

from .rigs import Built, Truth, build, from_points, nonsense


@pytest.fixture(scope="module", autouse=True)
def rigify() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    # Found only once bpy has been imported.
    import addon_utils

    addon_utils.enable("rigify", default_set=True)


def metarig(name: str) -> Any:
    for old in list(bpy.data.objects):
        bpy.data.objects.remove(old)
    getattr(bpy.ops.object, f"armature_{name}_metarig_add")()
    return bpy.context.object


@pytest.fixture(scope="module", params=["basic_human", "human"])
def generated(request: pytest.FixtureRequest, rigify: None) -> RigSpec:
    meta = metarig(request.param)
    bpy.ops.pose.rigify_generate()
    return read_rig(next(o for o in bpy.data.objects if o.type == "ARMATURE" and o != meta))


def expected(family: str, rig: RigSpec) -> Truth:
    """The slots of the family whose bones this rig has: the basic metarig has no fingers."""
    return {s: bones for s, bones in build(family).truth.items() if all(b in rig for b in bones)}


@pytest.mark.parametrize("name", ["basic_human", "human"])
@pytest.mark.parametrize("way", [find_mapping, find_by_names, find_by_structure])
def test_metarigs(name: str, way: Callable[[RigSpec], Any]) -> None:
    rig = read_rig(metarig(name))
    truth = expected("rigify_metarig", rig)
    assert ("l_index" in truth) == (name == "human")
    assert way(rig).bones == truth


def test_metarig_with_names_of_nonsense() -> None:
    rig = read_rig(metarig("human"))
    hidden = nonsense(Built(rig, expected("rigify_metarig", rig)), 5)
    assert find_mapping(hidden.rig).bones == hidden.truth


def test_generated_rigs_are_moved_by_their_controls(generated: RigSpec) -> None:
    mapping = find_mapping(generated)
    assert mapping.found_by == "preset rigify_controls"
    assert mapping.bones == expected("rigify_controls", generated)
    assert {"root", "head", "l_toe", "r_clavicle"} <= mapping.bones.keys()
    # What deforms the mesh follows the controls and is no part of the mapping itself.
    assert "DEF-thigh.L" in unmapped(generated, mapping)


def test_deforming_bones_of_generated_rigs(generated: RigSpec) -> None:
    mapping = find_mapping(generated, "rigify_deform")
    assert mapping.bones == expected("rigify_deform", generated)


def deform_only(rig: RigSpec) -> RigSpec:
    """As exporters write it that keep deforming bones: each hangs on the next deforming bone above."""
    keep = [i for i, n in enumerate(rig.names) if rig.deform[i] or n == "root"]

    def parent(i: int) -> int:
        return next((keep.index(a) for a in rig.ancestors(i) if a in keep), -1)

    return from_points([rig.names[i] for i in keep], [parent(i) for i in keep], rig.heads[keep], rig.tails[keep])


def test_deforming_bones_alone(generated: RigSpec) -> None:
    rig = deform_only(generated)
    mapping = find_mapping(rig)
    assert mapping.found_by == "preset rigify_deform"
    assert mapping.bones == expected("rigify_deform", rig)


def test_generated_rig_by_structure_abstains(generated: RigSpec) -> None:
    """Its limbs lie there several times, for FK, IK and the mesh."""
    with pytest.raises(RigError, match="can be read in two ways"):
        find_by_structure(generated)


@pytest.mark.parametrize("name", ["basic_quadruped", "cat", "horse", "wolf"])
def test_animals_are_refused(name: str) -> None:
    rig = read_rig(metarig(name))
    with pytest.raises(RigError, match="looks like an animal"):
        find_mapping(rig)
    with pytest.raises(RigError, match="No humanoid was found"):
        find_by_structure(rig)


def test_a_shark_is_no_humanoid() -> None:
    with pytest.raises(RigError, match="No humanoid was found"):
        find_mapping(read_rig(metarig("shark")))


def test_a_bird_has_no_arms() -> None:
    """It stands on two legs: what can be mapped is, and what lacks is told."""
    mapping = find_mapping(read_rig(metarig("bird")))
    assert mapping.bones["l_thigh"] == ("thigh.L",)
    assert "l_upper_arm" not in mapping.bones
    assert any("No arms were found" in n for n in mapping.notes)
