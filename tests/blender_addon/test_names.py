"""Mapping by names: spellings of many programs, and what the words of one name say."""

from __future__ import annotations

import pytest

from blender_addon.retarget.names import find_by_names
from blender_addon.retarget.words import read_name

from .rigs import FAMILIES, Built, Family, add_extras, build, build_family, drop, drop_below, five, nonsense, rename
from .variants import clavicles_on_neck

JAPANESE_FINGERS = ("左親指{}", "左人指{}", "左中指{}", "左薬指{}", "左小指{}")


def _joints(mirror: tuple[str, str], form: str, fingers: str = "") -> Family:
    """Named for the joints that the bones begin at, as riggers in Maya do."""
    named = {w: (form.replace("*", w),) for w in ("clavicle", "shoulder", "elbow", "hip", "knee")}
    return Family(
        mirror, "pelvis_jnt", ("spine01_jnt", "spine02_jnt", "chest_jnt"), ("neck_jnt",), "head_jnt", named["clavicle"],
        named["shoulder"], named["elbow"], form.replace("*", "wrist"), named["hip"], named["knee"],
        form.replace("*", "ankle"), form.replace("*", "ball"),
        five(fingers, "thumb index mid ring pinky") if fingers else (), root="root_jnt",
    )  # fmt: skip


def _biped(p: str) -> Family:
    s = p + "L" + p[-1]
    return Family(
        (f"{p[-1]}L{p[-1]}", f"{p[-1]}R{p[-1]}"), f"{p}Pelvis", (f"{p}Spine", f"{p}Spine1", f"{p}Spine2"),
        (f"{p}Neck",), f"{p}Head", (f"{s}Clavicle",), (f"{s}UpperArm",), (f"{s}Forearm",), f"{s}Hand",
        (f"{s}Thigh",), (f"{s}Calf",),
        f"{s}Foot", f"{s}Toe0", tuple(f"{s}Finger{k}{{BIP}}" for k in range(5)),
        extra=((f"{s}Toe0Nub", f"{s}Toe0", (0.09, -0.2, 0.02)), (f"{p}HeadNub", f"{p}Head", (0, 0, 1.7))),
    )  # fmt: skip


NAMINGS: dict[str, Family] = {
    "unity humanoid": Family(
        ("^Left", "Right"), "Hips", ("Spine", "Chest", "UpperChest"), ("Neck",), "Head", ("LeftShoulder",),
        ("LeftUpperArm",), ("LeftLowerArm",), "LeftHand", ("LeftUpperLeg",), ("LeftLowerLeg",), "LeftFoot", "LeftToes",
        five("Left*{PID}", "Thumb Index Middle Ring Little"),
    ),
    "maya lf_": _joints(("^lf_", "rt_"), "lf_*_jnt", "lf_*_{}_jnt"),
    "maya l_": _joints(("^l_", "r_"), "l_*_jnt"),
    "maya _L": _joints(("_L", "_R"), "*_L", "*{}_L"),
    "maya Lft": _joints(("Lft", "Rgt"), "Lft_*", "Lft_*{}"),
    "dots": Family(
        (r"\.L$", ".R"), "hips", ("spine", "chest"), ("neck",), "head", ("shoulder.L",), ("upper_arm.L",),
        ("forearm.L",), "hand.L", ("thigh.L",), ("shin.L",), "foot.L", "toe.L",
        five("f_*.0{}.L", "thumb index middle ring pinky"),
    ),
    "glued lower case": Family(
        ("^left", "right"), "hips", ("spine1", "spine2"), ("neck",), "head", ("leftshoulder",), ("leftupperarm",),
        ("leftlowerarm",), "lefthand", ("leftupperleg",), ("leftlowerleg",), "leftfoot", "lefttoes",
    ),
    "one letter": Family(
        ("^l", "r"), "pelvis", ("spine",), ("neck",), "head", ("lcollar",), ("larm",), ("lforearm",), "lhand",
        ("lthigh",), ("lshin",), "lfoot", "ltoe",
    ),
    "biped": _biped("Bip01 "),
    "biped exported": _biped("Bip001_"),
    "valve": _biped("ValveBiped.Bip01_"),
    "cascadeur": Family(
        ("_l$", "_r"), "pelvis", ("stomach", "chest"), ("neck",), "head", ("clavicle_l",), ("arm_l",), ("forearm_l",),
        "hand_l", ("thigh_l",), ("calf_l",), "foot_l", "toe_l",
        five("*_{}_l", "thumb index middle ring pinky"),
    ),
    "motive": Family(
        (":L", ":R"), "Actor:Hip", ("Actor:Ab", "Actor:Chest"), ("Actor:Neck",), "Actor:Head", ("Actor:LShoulder",),
        ("Actor:LUArm",), ("Actor:LFArm",), "Actor:LHand", ("Actor:LThigh",), ("Actor:LShin",), "Actor:LFoot",
        "Actor:LToe",
    ),
    "xsens": Family(
        ("^Left", "Right"), "Pelvis", ("L5", "L3", "T12", "T8"), ("Neck",), "Head", ("LeftShoulder",),
        ("LeftUpperArm",), ("LeftForeArm",), "LeftHand", ("LeftUpperLeg",), ("LeftLowerLeg",), "LeftFoot", "LeftToe",
    ),
    "second life": Family(
        ("Left$", "Right"), "mPelvis", ("mTorso", "mChest"), ("mNeck",), "mHead", ("mCollarLeft",), ("mShoulderLeft",),
        ("mElbowLeft",), "mWristLeft", ("mHipLeft",), ("mKneeLeft",), "mAnkleLeft", "mFootLeft",
    ),
    "mmd": Family(
        ("左", "右"), "腰", ("上半身", "上半身2"), ("首",), "頭", ("左肩",),
        ("左腕", "左腕捩"), ("左ひじ", "左手捩"), "左手首", ("左足",), ("左ひざ",), "左足首", "左つま先",
        JAPANESE_FINGERS, root="全ての親", between=("下半身",),
        extra=(("左足ＩＫ", "全ての親", (0.09, 0.01, 0.08)), ("左つま先ＩＫ", "全ての親", (0.09, -0.12, 0.02)),
               ("左目", "頭", (0.03, -0.09, 1.6)), ("前髪", "頭", (0, -0.1, 1.7))),
    ),
    "mmd in blender": Family(
        (r"\.L", ".R"), "センター", ("上半身", "上半身2"), ("首",), "頭", ("肩.L",), ("腕.L",), ("ひじ.L",),
        "手首.L", ("足.L",), ("ひざ.L",), "足首.L", "つま先.L", root="全ての親", between=("下半身",),
        extra=(("足ＩＫ.L", "全ての親", (0.09, 0.01, 0.08)),),
    ),
}  # fmt: skip


def wrong(built: Built) -> dict[str, object]:
    """Slots filled with other bones than the truth's, and slots left open that should not be."""
    found = find_by_names(built.rig)
    assert found is not None
    slots = found.bones.keys() | built.truth.keys()
    return {s: (found.bones.get(s), built.truth.get(s)) for s in slots if found.bones.get(s) != built.truth.get(s)}


@pytest.mark.parametrize("naming", NAMINGS)
def test_spellings_of_many_programs(naming: str) -> None:
    assert not wrong(build_family(naming, NAMINGS[naming]))


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "rigify_controls"])
def test_names_alone_find_what_presets_find(family: str) -> None:
    left = wrong(build(family))
    if family == "cmu":
        # Its one bone for all fingers is called an index finger.
        left = {s: bones for s, bones in left.items() if s[2:] not in ("thumb", "index")}
    assert not left


@pytest.mark.parametrize("naming", NAMINGS)
def test_namespaces_say_nothing(naming: str) -> None:
    built = build_family(naming, NAMINGS[naming])
    assert not wrong(rename(built, lambda n: f"scene:left_hero:{n}"))
    assert not wrong(rename(built, lambda n: f"group|{n}"))


@pytest.mark.parametrize("naming", ["unity humanoid", "maya lf_", "biped", "mmd", "dots"])
def test_more_and_fewer_bones(naming: str) -> None:
    whole = build_family(naming, NAMINGS[naming])
    assert not wrong(drop(whole, "l_clavicle", "r_clavicle"))
    assert not wrong(drop(whole, "neck"))
    assert not wrong(drop_below(whole, "l_toe", "r_toe"))
    assert not wrong(add_extras(whole, "hair", "skirt", "weapon", "ends", "face"))
    assert not wrong(clavicles_on_neck(whole))


def test_hands_of_three_numbered_fingers() -> None:
    built = build_family("biped", NAMINGS["biped"])
    assert not wrong(drop_below(built, "l_ring", "r_ring", "l_little", "r_little"))


def test_nonsense_is_not_read() -> None:
    assert find_by_names(nonsense(build("ue5"), 4).rig) is None


def test_doubt_lowers_confidence() -> None:
    built = build_family("maya l_", NAMINGS["maya l_"])
    plain = find_by_names(built.rig)
    assert plain is not None
    # "shoulder" may be a clavicle, "head" is a head.
    assert plain.confidence["l_upper_arm"] < plain.confidence["head"]
    lacking = find_by_names(drop_below(build("ue4"), "r_toe").rig)
    assert lacking is not None
    assert lacking.confidence["l_toe"] < lacking.confidence["l_foot"]


@pytest.mark.parametrize(
    ("name", "side", "parts"),
    [
        ("LeftForeArm", "l", ("forearm",)), ("upper_arm.R", "r", ("upper_arm",)), ("rt_knee_jnt", "r", ("shin",)),
        ("ArmL", "l", ("upper_arm",)), ("calf_r", "r", ("shin",)), ("RFArm", "r", ("forearm",)),
        ("lThighBend", "l", ("thigh",)), ("右ひざ", "r", ("shin",)), ("左足", "l", ("thigh",)),
        ("CC_Base_L_Upperarm", "l", ("upper_arm",)), ("mixamorigLeftUpLeg", "l", ("thigh",)),
        ("ns:sub:LeftArm", "l", ("upper_arm",)), ("right_shoulder", "r", ("clavicle", "upper_arm")),
        ("ring", "", ()), ("leg.R", "r", ("shin", "thigh")), ("radius", "", ("forearm",)), ("L3", "l", ()),
    ],
)  # fmt: skip
def test_side_and_part_of_a_name(name: str, side: str, parts: tuple[str, ...]) -> None:
    word = read_name(name)
    assert (word.side, word.parts) == (side, parts)


@pytest.mark.parametrize(
    ("name", "finger"),
    [
        ("LeftHandIndex1", "index"), ("f_pinky.02.L", "little"), ("leftThumbMetacarpal", "thumb"),
        ("左人指２", "index"), ("Bip01 L Finger12", "finger"), ("lMid1", "middle"),
        ("leftindexproximal", "index"), ("LeftEarring", ""),
    ],
)  # fmt: skip
def test_finger_of_a_name(name: str, finger: str) -> None:
    assert read_name(name).finger == finger


@pytest.mark.parametrize("name", ["foot_ik.L", "左足ＩＫ", "Bip01 L Toe0Nub", "elbow_pole.L", "weapon_r", "hair_01"])
def test_helpers_are_no_part_of_the_body(name: str) -> None:
    assert read_name(name).helper
