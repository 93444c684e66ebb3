"""The order in which ways of mapping are tried, what they say, and mapping files."""

from __future__ import annotations

from pathlib import Path

import pytest

from blender_addon.retarget.mapping import (
    Mapping,
    describe,
    find_mapping,
    load_mapping,
    save_mapping,
    unmapped,
    with_notes,
)
from blender_addon.retarget.rig import RigError
from blender_addon.retarget.slots import SLOTS

from .rigs import FAMILIES, Built, add_extras, build, build_family, drop_below, join, nonsense, rename, vary
from .test_names import NAMINGS

# The order


def test_preset_then_names_then_structure() -> None:
    built = build("ue4")
    assert find_mapping(built.rig).found_by == "preset ue4"
    other = build_family("maya lf_", NAMINGS["maya lf_"])
    assert find_mapping(other.rig).found_by == "names"
    hidden = nonsense(built, 1)
    found = find_mapping(hidden.rig)
    assert found.found_by == "structure"
    assert found.bones == hidden.truth


def test_names_that_lack_a_limb_give_way_to_structure() -> None:
    """Legs with names that say nothing."""
    built = build("mixamo")
    legs = {b for s, bones in built.truth.items() for b in bones if s[2:] in ("thigh", "shin", "foot", "toe")}
    odd = rename(built, lambda n: f"zz{sorted(legs).index(n)}" if n in legs else n)
    found = find_mapping(odd.rig)
    assert found.found_by == "structure"
    assert found.bones == odd.truth


@pytest.mark.parametrize("naming", NAMINGS)
def test_names_are_believed_before_structure(naming: str) -> None:
    built = build_family(naming, NAMINGS[naming])
    assert find_mapping(built.rig).bones == built.truth


def test_two_humanoids_in_one_armature() -> None:
    rig = join(build("ue4").rig, build("ue4").rig)
    with pytest.raises(RigError, match="two candidates for the hips: pelvis and pelvis_copy1"):
        find_mapping(rig)
    # A mapping file says which.
    assert find_mapping(rig, "ue4").bones["pelvis"] == ("pelvis",)


def test_a_single_character_with_much_hair_is_no_pair() -> None:
    """A false alarm here would keep well-named rigs from being mapped."""
    kinds = ("hair", "long hair", "skirt", "cape", "tail", "wings", "ears", "ik", "face rig", "correctives", "ends")
    for family in FAMILIES:
        built = add_extras(vary(build(family), 3, arms_down=0.8), *kinds)
        assert find_mapping(built.rig).bones == built.truth


def test_a_body_without_legs_is_mapped_and_says_so() -> None:
    built = drop_below(build("mixamo"), "l_thigh", "r_thigh")
    mapping = find_mapping(built.rig)
    assert mapping.bones == built.truth
    assert "No legs were found: the animation will leave them out." in mapping.notes
    named = build_family("unity humanoid", NAMINGS["unity humanoid"])
    upper = drop_below(named, "l_thigh", "r_thigh")
    mapping = find_mapping(upper.rig)
    assert mapping.bones == upper.truth
    assert any("No legs" in n for n in mapping.notes)
    with pytest.raises(RigError, match="No humanoid was found"):
        find_mapping(nonsense(upper, 1).rig)


def test_what_is_missing_is_told_once() -> None:
    built = drop_below(build("ue4"), "r_upper_arm", "l_foot", "head")
    mapping = with_notes(find_mapping(built.rig))
    assert mapping.notes == (
        "No right arm was found: the animation will leave it out.",
        "Nothing was found for head, l_foot, r_hand.",
    )


# What a mapping says


def test_unmapped_are_the_deforming_bones_in_no_slot() -> None:
    built = add_extras(build("mixamo"), "weapon", "face")
    left = unmapped(built.rig, find_mapping(built.rig))
    assert {"zw_0", "zj_0", "ze1_0", "mixamorig:HeadTop_End"} <= set(left)
    assert not set(left) & {b for bones in built.truth.values() for b in bones}
    plain = build("smplx")
    assert unmapped(plain.rig, find_mapping(plain.rig)) == []


def test_description() -> None:
    built = drop_below(build("ue4"), "head")
    lines = describe(find_mapping(built.rig), built.rig)
    assert lines[0] == "Found by preset ue4:"
    assert "  spine              100 %  spine_01, spine_02, spine_03" in lines
    (empty,) = (line for line in lines if line.startswith("Empty: "))
    assert "head" in empty.split(": ")[1].split(", ")
    (left,) = (line for line in lines if line.startswith("Bones in no slot: "))
    assert "ik_hand_root" in left
    assert lines[-1] == "Nothing was found for head."


@pytest.mark.parametrize("way", ["preset", "names", "structure"])
def test_every_filled_slot_has_a_confidence(way: str) -> None:
    built = {
        "preset": build("vrm1"),
        "names": build_family("biped", NAMINGS["biped"]),
        "structure": nonsense(build("vrm1"), 1),
    }[way]
    mapping = find_mapping(built.rig)
    assert mapping.confidence.keys() == mapping.bones.keys()
    assert all(0 < c <= 1 for c in mapping.confidence.values())
    assert (min(mapping.confidence.values()) == 1) == (way == "preset")


# Files


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_and_loaded(tmp_path: Path, family: str) -> None:
    built = build(family)
    save_mapping(find_mapping(built.rig), tmp_path / "mine.toml")
    loaded = load_mapping(tmp_path / "mine.toml", built.rig)
    assert loaded.bones == built.truth
    assert loaded.found_by == "file"
    assert set(loaded.confidence.values()) == {1.0}
    assert [p.name for p in tmp_path.iterdir()] == ["mine.toml"]


def test_names_with_any_letters_survive(tmp_path: Path) -> None:
    odd = ('a"b', "back\\slash", "new\nline", "tab\t", "左腕", "🦴", "# no comment", "[x]", "\u202e", "'", "\x7f")
    built = rename(build("smpl"), lambda n: odd[sum(map(ord, n)) % len(odd)] + n)
    save_mapping(Mapping(built.truth, {}, "file"), tmp_path / "m.toml")
    assert load_mapping(tmp_path / "m.toml", built.rig).bones == built.truth


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Built]:
    built = build("ue4")
    save_mapping(find_mapping(built.rig), tmp_path / "m.toml")
    return tmp_path / "m.toml", built


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_edited_by_hand(saved: tuple[Path, Built]) -> None:
    path, built = saved
    edit(path, 'spine = ["spine_01", "spine_02", "spine_03"]', 'spine = "spine_01"')
    edit(path, 'neck = "neck_01"', 'neck = ["spine_02", "spine_03", "neck_01"]')
    edit(path, 'l_toe = "ball_l"', 'l_toe = ""')
    edit(path, 'r_toe = "ball_r"', "# the right toe is stiff")
    mapping = load_mapping(path, built.rig)
    assert mapping.bones["spine"] == ("spine_01",)
    assert mapping.bones["neck"] == ("spine_02", "spine_03", "neck_01")
    assert not {"l_toe", "r_toe"} & mapping.bones.keys()


def test_every_slot_stands_in_the_file(saved: tuple[Path, Built]) -> None:
    """Empty ones as comments that only have to be filled in."""
    text = saved[0].read_text(encoding="utf-8")
    for slot in SLOTS:
        assert f"\n{slot} = " in text or f'\n# {slot} = ""' in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("l_forearm =", "l_forarm =", r'no part "l_forarm"\. Did you mean "l_forearm"\? Parts are root, pelvis'),
        ('"lowerarm_l"', '"LowerArm_l"', r'no bone "LowerArm_l" \(part l_forearm\)\. Did you mean "lowerarm_l"\?'),
        ('"lowerarm_l"', '"qqq"', r'no bone "qqq" \(part l_forearm\)\. Correct the name or remove it\.'),
        ('"lowerarm_l"', '"upperarm_l"', r'"upperarm_l" is named twice, in l_upper_arm and in l_forearm'),
        ('"lowerarm_l"', "lowerarm_l", "no valid TOML.*line"),
        ('"lowerarm_l"', "7", "l_forearm must be a bone name or a list"),
        ('"lowerarm_l"', '["a", 7]', "l_forearm must be a bone name or a list"),
        ("[bones]", "[bone]", r"no \[bones\] table"),
        ("[bones]", "bones = 3", r"no valid TOML|no \[bones\] table"),
    ],
)  # fmt: skip
def test_mistakes_are_named(saved: tuple[Path, Built], old: str, new: str, message: str) -> None:
    path, built = saved
    edit(path, old, new)
    with pytest.raises(RigError, match=message):
        load_mapping(path, built.rig)


def test_a_file_for_another_rig(saved: tuple[Path, Built]) -> None:
    with pytest.raises(RigError, match="no bones in common"):
        load_mapping(saved[0], build("mixamo").rig)
    with pytest.raises(RigError, match=r"and 9 others"):
        load_mapping(saved[0], drop_below(build("ue4"), "l_foot", "r_foot", "l_index", "r_thumb").rig)


def test_files_that_cannot_be_read_or_written(saved: tuple[Path, Built], tmp_path: Path) -> None:
    _, built = saved
    with pytest.raises(RigError, match="cannot be read"):
        load_mapping(tmp_path / "none.toml", built.rig)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RigError, match="no valid TOML"):
        load_mapping(tmp_path / "binary.toml", built.rig)
    with pytest.raises(RigError, match="cannot be written"):
        save_mapping(Mapping({}, {}, "file"), tmp_path / "no folder" / "m.toml")
    assert not (tmp_path / "no folder").exists()


def test_windows_editors(saved: tuple[Path, Built]) -> None:
    """A byte order mark and their line ends."""
    path, built = saved
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_mapping(path, built.rig).bones == built.truth
