"""Known rig families: each preset knows its own rig under any namespace, and no other's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from blender_addon.retarget.mapping import find_mapping
from blender_addon.retarget.presets import match, presets, read_preset
from blender_addon.retarget.rig import RigError
from blender_addon.retarget.slots import FINGERS, SIDES

from .creatures import four_legs_with_human_names
from .rigs import FAMILIES, Built, add_extras, build, drop, drop_below, nonsense, rename, vary
from .variants import name_toes, rechain

PREFIXES = ("mixamorig:", "mixamorig1:", "mixamorig12:", "mixamorig_", "mixamorig", "hero:", "a:b:", "scene|mixamorig:")


def wrong(built: Built) -> dict[str, object]:
    """Slots that the best preset fills otherwise than the truth."""
    found = match(built.rig)
    assert found is not None
    slots = found.bones.keys() | built.truth.keys()
    return {s: (found.bones.get(s), built.truth.get(s)) for s in slots if found.bones.get(s) != built.truth.get(s)}


def test_every_preset_has_a_rig_here() -> None:
    assert presets().keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_preset_knows_its_rig_and_no_other_does(family: str) -> None:
    built = build(family)
    found = match(built.rig)
    assert found is not None
    assert found.preset.name == family
    assert not wrong(built)
    mapping = find_mapping(built.rig)
    assert mapping.found_by == f"preset {family}"
    assert mapping.bones == built.truth
    assert set(mapping.confidence.values()) == {1.0}
    assert not mapping.notes


@pytest.mark.parametrize("family", FAMILIES)
def test_pose_and_extra_bones_do_not_matter(family: str) -> None:
    built = add_extras(
        vary(build(family), 1, proportions=0.2, arms_down=0.9), "hair", "skirt", "tail", "face rig", "ends"
    )
    found = match(vary(built, 1, rolls=True, all_tails=True, scale=0.01).rig)
    assert found is not None
    assert found.preset.name == family
    assert found.bones == built.truth


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "rigify_controls"])
def test_fewer_bones(family: str) -> None:
    whole = build(family)
    fingers = tuple(f"{s}_{f}" for s in SIDES for f in FINGERS)
    for built in (
        drop(whole, "neck"),
        drop(whole, "l_clavicle", "r_clavicle"),
        name_toes(drop_below(whole, "l_toe", "r_toe")),
        name_toes(drop_below(whole, *fingers, "l_toe", "r_toe")),
    ):
        mapping = find_mapping(built.rig)
        assert mapping.bones == built.truth
        assert mapping.found_by.startswith("preset")


@pytest.mark.parametrize("family", ["mixamo", "ue5", "vrm1", "daz_genesis8", "mpfb_default", "smpl"])
def test_names_fill_what_a_preset_leaves_open(family: str) -> None:
    """A spine and a neck with other numbers of bones, under other names."""
    built = rechain(rechain(build(family), "spine", 6), "neck", 4)
    mapping = find_mapping(built.rig)
    assert mapping.bones == built.truth
    assert mapping.found_by == f"preset {family} and names"
    assert mapping.confidence["spine"] < mapping.confidence["l_thigh"] == 1


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_prefix_of_mixamo(prefix: str) -> None:
    built = rename(build("mixamo"), lambda n: n.replace("mixamorig:", prefix))
    assert find_mapping(built.rig).bones == built.truth
    assert find_mapping(built.rig).found_by == "preset mixamo"


def test_mixamo_without_prefix() -> None:
    """Ready Player Me and a stripped Mixamo rig have the same names: either preset fills the same slots."""
    built = rename(build("mixamo"), lambda n: n.replace("mixamorig:", ""))
    assert find_mapping(built.rig).bones == built.truth


@pytest.mark.parametrize("family", ["ue4", "vrm1", "smpl", "daz_genesis8", "character_creator"])
def test_namespaces(family: str) -> None:
    built = rename(build(family), lambda n: f"hero:{n}")
    assert find_mapping(built.rig).bones == built.truth
    # Some programs leave the topmost bone without.
    root = build(family).truth.get("root", ("",))[0]
    built = rename(build(family), lambda n: n if n == root else f"hero:{n}")
    assert find_mapping(built.rig).bones == built.truth


def test_generated_rigify_is_moved_by_its_controls() -> None:
    """A generated rig has both: controls that are keyed and bones that follow them."""
    controls, deform = build("rigify_controls"), build("rigify_deform")
    rigs = [replace(b.rig, name=n) for b, n in ((deform, "deform"), (controls, "controls"))]
    both = replace(
        rigs[0],
        names=(*rigs[0].names, *(n + ".c" if n in rigs[0] else n for n in rigs[1].names)),
        parents=(*rigs[0].parents, *(p + len(rigs[0].names) if p >= 0 else -1 for p in rigs[1].parents)),
        **{k: _stack(rigs, k) for k in ("rest", "lengths", "basis", "deform", "locked")},
    )
    found = match(both)
    assert found is not None
    assert found.preset.name == "rigify_controls"


def _stack(rigs: list[object], name: str) -> object:
    import numpy as np

    return np.concatenate([getattr(r, name) for r in rigs])


def test_names_that_do_not_hang_together_are_no_match() -> None:
    built = build("ue4")
    rig = built.rig
    shin, arm = rig.index("calf_l"), rig.index("upperarm_r")
    parents = list(rig.parents)
    parents[shin] = rig.index("pelvis")
    assert match(replace(rig, parents=tuple(parents))) is None
    parents = list(rig.parents)
    parents[arm] = rig.index("pelvis")
    assert match(replace(rig, parents=tuple(parents))) is None


def test_nonsense_and_animals_match_nothing() -> None:
    assert match(nonsense(build("ue5"), 2).rig) is None
    with pytest.raises(RigError, match="looks like an animal"):
        find_mapping(four_legs_with_human_names())


def test_a_preset_asked_for_by_name() -> None:
    built = build("rigify_deform")
    assert find_mapping(built.rig, "rigify_deform").bones == built.truth
    with pytest.raises(RigError, match=r'no preset "rigfy"\. Choose one of .*rigify_deform'):
        find_mapping(built.rig, "rigfy")
    with pytest.raises(RigError, match="no bones in common"):
        find_mapping(built.rig, "mixamo")


def test_a_preset_asked_for_fits_where_it_can() -> None:
    """It is taken although it lacks limbs, and says which."""
    built = drop_below(build("ue4"), "l_upper_arm", "r_thigh")
    mapping = find_mapping(built.rig, "ue4")
    assert mapping.bones == built.truth
    assert any("No left arm" in n for n in mapping.notes)
    assert any("No right leg" in n for n in mapping.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('label = "x"\nmirror = ["Left", "Right"]\n[bones]\nl_hand = "hand"', "mirror"),
        ('label = "x"\nmirror = ["l", "r"]\n[bones]\nl_hoof = "l_hoof"', "unknown slots"),
    ],
)
def test_a_preset_with_a_mistake_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_preset(path)
