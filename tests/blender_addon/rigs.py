"""Rigs of every known family, built from one body plan, and ways to vary them. NumPy only.

The body faces -Y, Z is up, its left is +X; T-pose, 1.70 tall, soles on Z = 0, palms down. `PRESET_RIGS` holds a builder
for each preset; `build` also gives the truth (which bones fill which slot). The names are written here once more rather
than read from the presets, so that a mistake in one of them shows.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from blender_addon.retarget.rig import Array, RigSpec, make_rig
from blender_addon.retarget.slots import FINGERS

Truth = dict[str, tuple[str, ...]]
Bone = tuple[str, str, Array, Array]
"""Name, parent ("" for none), head, tail."""

HIP, KNEE, ANKLE, BALL, TOE_END = (
    np.array(p)
    for p in ((0.09, 0, 0.90), (0.09, -0.01, 0.49), (0.09, 0.01, 0.08), (0.09, -0.12, 0.02), (0.09, -0.19, 0.02))
)
CLAVICLE, SHOULDER, ELBOW, WRIST, HAND_END = (
    np.array(p) for p in ((0.02, 0, 1.40), (0.17, 0, 1.40), (0.44, 0.005, 1.40), (0.70, 0, 1.40), (0.79, 0, 1.40))
)
PELVIS, WAIST, NECK, HEAD, CROWN = (
    np.array(p) for p in ((0, 0, 0.95), (0, 0, 1.03), (0, 0.02, 1.43), (0, 0.01, 1.52), (0, 0.01, 1.70))
)
KNUCKLES = {
    "thumb": np.array((0.725, -0.025, 1.39)),
    "index": np.array((0.79, -0.032, 1.40)),
    "middle": np.array((0.795, -0.011, 1.40)),
    "ring": np.array((0.79, 0.011, 1.40)),
    "little": np.array((0.775, 0.032, 1.40)),
}
PHALANGES = {"thumb": (0.045, 0.033, 0.027), "middle": (0.045, 0.028, 0.022), "little": (0.033, 0.02, 0.018)}


@dataclass(frozen=True)
class Family:
    """Names of a family's bones, left side only; `mirror` makes the right ones. A name may hold {} for the finger's
    bone number. `between` hangs between the pelvis and the thigh, `carpals` between hand and fingers."""

    mirror: tuple[str, str]
    pelvis: str
    spine: tuple[str, ...]
    neck: tuple[str, ...]
    head: str
    clavicle: tuple[str, ...]
    upper_arm: tuple[str, ...]
    forearm: tuple[str, ...]
    hand: str
    thigh: tuple[str, ...]
    shin: tuple[str, ...]
    foot: str
    toe: str
    fingers: tuple[str, ...] = ()
    root: str = ""
    between: tuple[str, ...] = ()
    carpals: tuple[str, ...] = ()
    twist: dict[str, tuple[str, ...]] = field(default_factory=dict)
    extra: tuple[tuple[str, str, tuple[float, float, float]], ...] = ()
    """Leaf bones of no slot: name, parent, where the bone begins."""


@dataclass(frozen=True)
class Built:
    rig: RigSpec
    truth: Truth


def five(template: str, words: str = "Thumb Index Middle Ring Pinky") -> tuple[str, ...]:
    return tuple(template.replace("*", w) for w in words.split())


def numbered(template: str, count: int, first: int = 1) -> tuple[str, ...]:
    return tuple(template.format(i) for i in range(first, first + count))


def _unreal(spine: int, neck: int, twist: int, root: str = "root") -> Family:
    parts = {"upper_arm": "upperarm", "forearm": "lowerarm", "thigh": "thigh", "shin": "calf"}
    return Family(
        ("_l$", "_r"), "pelvis", numbered("spine_0{}", spine), numbered("neck_0{}", neck), "head", ("clavicle_l",),
        ("upperarm_l",), ("lowerarm_l",), "hand_l", ("thigh_l",), ("calf_l",), "foot_l", "ball_l",
        five("*_0{}_l", "thumb index middle ring pinky"), root=root,
        twist={p: numbered(n + "_twist_0{}_l", twist) for p, n in parts.items()} if twist else {},
        carpals=("", *five("*_metacarpal_l", "index middle ring pinky")) if spine == 5 else (),
        extra=(("ik_foot_root", "root", (0, 0, 0)), ("ik_hand_root", "root", (0, 0, 0))) if twist else (),
    )  # fmt: skip


def _rigify(p: str, split: bool) -> Family:
    def limb(name: str) -> tuple[str, ...]:
        return (f"{p}{name}.L", f"{p}{name}.L.001") if split else (f"{p}{name}.L",)

    return Family(
        (r"\.L(?=$|\.)", ".R"), f"{p}spine", numbered(p + "spine.00{}", 3), numbered(p + "spine.00{}", 2, 4),
        f"{p}spine.006", (f"{p}shoulder.L",), limb("upper_arm"), limb("forearm"), f"{p}hand.L", limb("thigh"),
        limb("shin"), f"{p}foot.L", f"{p}toe.L", five(f"{p}*.0{{}}.L", "thumb f_index f_middle f_ring f_pinky"),
        extra=((f"{p}heel.02.L", f"{p}foot.L", (0.06, 0.05, 0)), (f"{p}breast.L", f"{p}spine.003", (0.1, -0.1, 1.3)),
               (f"{p}pelvis.L", f"{p}spine", (0, 0, 0.95))),
        root="root" if p else "",
    )  # fmt: skip


_MIXAMO = Family(
    ("Left", "Right"), "mixamorig:Hips", ("mixamorig:Spine", "mixamorig:Spine1", "mixamorig:Spine2"),
    ("mixamorig:Neck",), "mixamorig:Head", ("mixamorig:LeftShoulder",), ("mixamorig:LeftArm",),
    ("mixamorig:LeftForeArm",), "mixamorig:LeftHand", ("mixamorig:LeftUpLeg",), ("mixamorig:LeftLeg",),
    "mixamorig:LeftFoot", "mixamorig:LeftToeBase", five("mixamorig:LeftHand*{}"),
    extra=(("mixamorig:HeadTop_End", "mixamorig:Head", (0, 0.01, 1.70)),
           ("mixamorig:LeftToe_End", "mixamorig:LeftToeBase", (0.09, -0.19, 0.02))),
)  # fmt: skip


def _ready() -> Family:
    def bare(value: object) -> object:
        if isinstance(value, str):
            return value.replace("mixamorig:", "")
        return tuple(bare(v) for v in value) if isinstance(value, tuple) else value

    plain = Family(**{k: bare(v) for k, v in vars(_MIXAMO).items()})
    return replace(plain, extra=(*plain.extra, ("LeftEye", "Head", (0.03, -0.09, 1.60))))


def _vrm(thumb: str) -> Family:
    words = "Thumb Index Middle Ring Little"
    return Family(
        ("^left", "right"), "hips", ("spine", "chest", "upperChest"), ("neck",), "head", ("leftShoulder",),
        ("leftUpperArm",), ("leftLowerArm",), "leftHand", ("leftUpperLeg",), ("leftLowerLeg",), "leftFoot",
        "leftToes", (f"leftThumb{{{thumb}}}", *five("left*{PID}", words)[1:]), root="Root",
        extra=(("leftEye", "head", (0.03, -0.09, 1.60)),),
    )  # fmt: skip


FAMILIES: dict[str, Family] = {
    "mixamo": _MIXAMO,
    "ready_player_me": _ready(),
    "rigify_metarig": _rigify("", False),
    "rigify_deform": _rigify("DEF-", True),
    "rigify_controls": Family(
        (r"\.L(?=$|\.)", ".R"), "torso", numbered("spine_fk.00{}", 3), ("neck",), "head", ("shoulder.L",),
        ("upper_arm_fk.L",), ("forearm_fk.L",), "hand_fk.L", ("thigh_fk.L",), ("shin_fk.L",), "foot_fk.L", "toe_fk.L",
        five("*.0{}.L", "thumb f_index f_middle f_ring f_pinky"), root="root",
        extra=(("foot_ik.L", "root", (0.09, 0.01, 0.08)), ("hand_ik.L", "root", (0.7, 0, 1.4)),
               ("thigh_ik_target.L", "root", (0.09, -0.6, 0.49)), ("hips", "torso", (0, 0, 0.95)),
               ("chest", "torso", (0, 0, 1.2))),
    ),
    "ue4": _unreal(3, 1, 1),
    "ue5": _unreal(5, 2, 2),
    "mpfb_game_engine": _unreal(3, 1, 0, "Root"),
    "vrm0": _vrm("PID"),
    "vrm1": _vrm("MPD"),
    "vroid": Family(
        ("_L_", "_R_"), "J_Bip_C_Hips", ("J_Bip_C_Spine", "J_Bip_C_Chest", "J_Bip_C_UpperChest"), ("J_Bip_C_Neck",),
        "J_Bip_C_Head", ("J_Bip_L_Shoulder",), ("J_Bip_L_UpperArm",), ("J_Bip_L_LowerArm",), "J_Bip_L_Hand",
        ("J_Bip_L_UpperLeg",), ("J_Bip_L_LowerLeg",), "J_Bip_L_Foot", "J_Bip_L_ToeBase",
        five("J_Bip_L_*{}", "Thumb Index Middle Ring Little"), root="Root",
    ),
    "mpfb_default": Family(
        (r"\.L(?=$|\.)", ".R"), "root", ("spine05", "spine04", "spine03", "spine02", "spine01"),
        ("neck01", "neck02", "neck03"), "head", ("clavicle.L", "shoulder01.L"), ("upperarm01.L", "upperarm02.L"),
        ("lowerarm01.L", "lowerarm02.L"), "wrist.L", ("upperleg01.L", "upperleg02.L"), ("lowerleg01.L", "lowerleg02.L"),
        "foot.L", "toe1-1.L", numbered("finger{}-{{}}.L", 5), between=("pelvis.L",),
        carpals=("", *numbered("metacarpal{}.L", 4)),
        extra=(("toe2-1.L", "foot.L", (0.11, -0.12, 0.02)), ("toe3-1.L", "foot.L", (0.128, -0.11, 0.02)),
               ("eye.L", "head", (0.03, -0.09, 1.60)), ("jaw", "head", (0, -0.02, 1.56))),
    ),
    "cmu": Family(
        ("^(?:Left|L(?=[A-Z]))", "R~"), "Hips", ("LowerBack", "Spine", "Spine1"), ("Neck", "Neck1"), "Head",
        ("LeftShoulder",), ("LeftArm",), ("LeftForeArm",), "LeftHand", ("LeftUpLeg",), ("LeftLeg",), "LeftFoot",
        "LeftToeBase", between=("LHipJoint",),
        extra=(("LeftFingerBase", "LeftHand", (0.78, 0, 1.4)), ("LThumb", "LeftHand", (0.73, -0.02, 1.39)),
               ("LeftHandIndex1", "LeftFingerBase", (0.80, 0, 1.4))),
    ),
    "daz_genesis8": Family(
        ("^l(?=[A-Z])", "r"), "hip", ("abdomenLower", "abdomenUpper", "chestLower", "chestUpper"),
        ("neckLower", "neckUpper"), "head", ("lCollar",), ("lShldrBend", "lShldrTwist"),
        ("lForearmBend", "lForearmTwist"), "lHand", ("lThighBend", "lThighTwist"), ("lShin",), "lFoot", "lToe",
        five("l*{}", "Thumb Index Mid Ring Pinky"), between=("pelvis",), carpals=("", *numbered("lCarpal{}", 4)),
        extra=(("lPectoral", "chestLower", (0.1, -0.1, 1.3)), ("lEye", "head", (0.03, -0.09, 1.60))),
    ),
    "daz_genesis9": Family(
        ("^l_", "r_"), "hip", numbered("spine{}", 4), numbered("neck{}", 2), "head", ("l_shoulder",), ("l_upperarm",),
        ("l_forearm",), "l_hand", ("l_thigh",), ("l_shin",), "l_foot", "l_toes",
        five("l_*{}", "thumb index mid ring pinky"), between=("pelvis",),
        carpals=("", *five("l_*metacarpal", "index mid ring pinky")),
        twist={p: numbered("l_" + p.replace("_", "") + "twist{}", 2) for p in ("upper_arm", "forearm", "thigh")},
    ),
    "character_creator": Family(
        ("_L_", "_R_"), "CC_Base_Hip", ("CC_Base_Waist", "CC_Base_Spine01", "CC_Base_Spine02"),
        numbered("CC_Base_NeckTwist0{}", 2), "CC_Base_Head", ("CC_Base_L_Clavicle",), ("CC_Base_L_Upperarm",),
        ("CC_Base_L_Forearm",), "CC_Base_L_Hand", ("CC_Base_L_Thigh",), ("CC_Base_L_Calf",), "CC_Base_L_Foot",
        "CC_Base_L_ToeBase", five("CC_Base_L_*{}", "Thumb Index Mid Ring Pinky"), root="RL_BoneRoot",
        between=("CC_Base_Pelvis",),
        twist={p: numbered(f"CC_Base_L_{w}Twist0{{}}", 2) for p, w in
               (("upper_arm", "Upperarm"), ("forearm", "Forearm"), ("thigh", "Thigh"), ("shin", "Calf"))},
    ),
    "auto_rig_pro": Family(
        (r"\.l$", ".r"), "root.x", numbered("spine_0{}.x", 3), ("neck.x",), "head.x", ("shoulder.l",),
        ("arm_stretch.l",), ("forearm_stretch.l",), "hand.l", ("thigh_stretch.l",), ("leg_stretch.l",), "foot.l",
        "toes_01.l", five("*{ARP}.l", "thumb index middle ring pinky"), root="root",
        twist={p: (f"{w}_twist.l",) for p, w in
               (("upper_arm", "arm"), ("forearm", "forearm"), ("thigh", "thigh"), ("shin", "leg"))},
    ),
    "smpl": Family(
        ("L_", "R_"), "m_avg_Pelvis", numbered("m_avg_Spine{}", 3), ("m_avg_Neck",), "m_avg_Head", ("m_avg_L_Collar",),
        ("m_avg_L_Shoulder",), ("m_avg_L_Elbow",), "m_avg_L_Wrist", ("m_avg_L_Hip",), ("m_avg_L_Knee",),
        "m_avg_L_Ankle", "m_avg_L_Foot", extra=(("m_avg_L_Hand", "m_avg_L_Wrist", (0.78, 0, 1.4)),),
    ),
    "smplx": Family(
        ("^left", "right"), "pelvis", numbered("spine{}", 3), ("neck",), "head", ("left_collar",), ("left_shoulder",),
        ("left_elbow",), "left_wrist", ("left_hip",), ("left_knee",), "left_ankle", "left_foot",
        five("left_*{}", "thumb index middle ring pinky"), root="root",
    ),
}  # fmt: skip


def _finger_names(template: str) -> tuple[str, ...]:
    for key, words in (("{PID}", "Proximal Intermediate Distal"), ("{MPD}", "Metacarpal Proximal Distal")):
        if key in template:
            return tuple(template.replace(key, w) for w in words.split())
    if "{BIP}" in template:
        return tuple(template.replace("{BIP}", w) for w in ("", "1", "2"))
    if "{ARP}" in template:
        return tuple(("" if i == 1 else "c_") + template.replace("{ARP}", str(i)) for i in (1, 2, 3))
    return numbered(template, 3)


def _finger_points(finger: str) -> list[Array]:
    lengths = PHALANGES.get(finger, PHALANGES["middle"])
    direction = np.array((0.62, -0.76, -0.2) if finger == "thumb" else (1.0, 0, 0))
    ends = np.cumsum((0, *lengths))
    return [KNUCKLES[finger] + direction / np.linalg.norm(direction) * e for e in ends]


def build(name: str) -> Built:
    return build_family(name, FAMILIES[name])


def build_rig(name: str) -> RigSpec:
    return build(name).rig


PRESET_RIGS: dict[str, Callable[[], RigSpec]] = {n: (lambda n=n: build_rig(n)) for n in FAMILIES}


def build_family(name: str, f: Family) -> Built:
    bones: list[Bone] = []
    truth: Truth = {}
    right = re.compile(f.mirror[0])

    def mirrored(text: str) -> str:
        swapped = right.sub(f.mirror[1], text, count=1)
        # CMU has LeftArm -> RightArm beside LHipJoint -> RHipJoint.
        return swapped.replace("R~", "Right" if text.startswith("Left") else "R")

    def chain(names: tuple[str, ...], parent: str, points: list[Array]) -> str:
        """Bones one behind the other, shared out evenly along the points; returns the last."""
        along = np.linspace(0, len(points) - 1, len(names) + 1)
        at = np.array([np.interp(along, range(len(points)), [p[k] for p in points]) for k in range(3)]).T
        for bone, head, tail in zip(names, at, at[1:], strict=False):
            bones.append((bone, parent, head, tail))
            parent = bone
        return parent

    def middle(slot: str, names: tuple[str, ...], parent: str, points: list[Array]) -> str:
        truth[slot] = names
        return chain(names, parent, points)

    parent = ""
    if f.root:
        parent = middle("root", (f.root,), "", [np.zeros(3), np.array((0, 0, 0.1))])
    pelvis = middle("pelvis", (f.pelvis,), parent, [PELVIS, WAIST])
    chest = middle("spine", f.spine, pelvis, [WAIST, NECK])
    neck = middle("neck", f.neck, chest, [NECK, HEAD])
    middle("head", (f.head,), neck, [HEAD, CROWN])
    shared = bool(f.between) and mirrored(f.between[0]) == f.between[0]
    if shared:
        chain(f.between, pelvis, [PELVIS, PELVIS - (0, 0, 0.05)])

    def limb_side(side: str) -> None:
        sign = np.array((1 if side == "l" else -1, 1, 1))
        same = (lambda s: s) if side == "l" else mirrored

        def part(slot: str, names: tuple[str, ...], parent: str, points: list[Array]) -> str:
            names = tuple(map(same, names))
            if slot:
                truth[f"{side}_{slot}"] = names
            return chain(names, parent, [p * sign for p in points])

        def twists(slot: str, parent: str, head: Array, tail: Array) -> None:
            names = tuple(map(same, f.twist.get(slot, ())))
            for i, n in enumerate(names):
                a, b = (head + (tail - head) * ((i + k) / len(names) * 0.9) for k in (0.3, 0.9))
                bones.append((n, parent, a * sign, b * sign))
            if names:
                truth[f"{side}_{slot}_twist"] = names

        hips = pelvis
        if f.between:
            hips = f.between[0] if shared else part("", f.between, pelvis, [PELVIS, HIP])
        thigh = part("thigh", f.thigh, hips, [HIP, KNEE])
        twists("thigh", same(f.thigh[0]), HIP, KNEE)
        shin = part("shin", f.shin, thigh, [KNEE, ANKLE])
        twists("shin", same(f.shin[0]), KNEE, ANKLE)
        foot = part("foot", (f.foot,), shin, [ANKLE, BALL])
        part("toe", (f.toe,), foot, [BALL, TOE_END])
        shoulder = part("clavicle", f.clavicle, chest, [CLAVICLE, SHOULDER])
        upper = part("upper_arm", f.upper_arm, shoulder, [SHOULDER, ELBOW])
        twists("upper_arm", same(f.upper_arm[0]), SHOULDER, ELBOW)
        fore = part("forearm", f.forearm, upper, [ELBOW, WRIST])
        twists("forearm", same(f.forearm[0]), ELBOW, WRIST)
        hand = part("hand", (f.hand,), fore, [WRIST, HAND_END])
        carpals = f.carpals or ("",) * 5
        for finger, template, carpal in zip(FINGERS, f.fingers, carpals, strict=False):
            points = _finger_points(finger)
            base = part("", (carpal,), hand, [WRIST + (points[0] - WRIST) * 0.25, points[0]]) if carpal else hand
            part(finger, _finger_names(template), base, points)

    limb_side("l")
    limb_side("r")
    for bone, on, at in f.extra:
        bones.append((bone, on, np.array(at, float), np.array(at) + (0, 0, 0.04)))
        if mirrored(bone) != bone:
            at_right = np.array(at) * (-1, 1, 1)
            bones.append((mirrored(bone), mirrored(on), at_right, at_right + (0, 0, 0.04)))
    return Built(from_bones(bones, name), truth)


def bones_of(rig: RigSpec) -> list[Bone]:
    parents = [rig.names[p] if p >= 0 else "" for p in rig.parents]
    return list(zip(rig.names, parents, rig.heads, rig.tails, strict=True))


def from_bones(bones: list[Bone], name: str) -> RigSpec:
    """Bones in any order to a rig, parents first, children in the order given."""
    children: dict[str, list[int]] = {}
    for i, (_, parent, _, _) in enumerate(bones):
        children.setdefault(parent, []).append(i)
    order: list[int] = []
    todo = list(reversed(children.get("", [])))
    while todo:
        i = todo.pop()
        order.append(i)
        todo += reversed(children.get(bones[i][0], []))
    assert len(order) == len(bones), "a parent is missing"
    names = [bones[i][0] for i in order]
    parents = [names.index(bones[i][1]) if bones[i][1] else -1 for i in order]
    return from_points(
        names, parents, np.array([bones[i][2] for i in order]), np.array([bones[i][3] for i in order]), name
    )


def from_points(names: list[str], parents: list[int], heads: Array, tails: Array, name: str = "rig",
                rolls: Array | None = None) -> RigSpec:  # fmt: skip
    """Rest matrices with Y along the bone and any roll."""
    lengths = np.linalg.norm(tails - heads, axis=1)
    y = np.where(lengths[:, None] > 1e-12, (tails - heads) / np.maximum(lengths, 1e-12)[:, None], (0.0, 1.0, 0.0))
    x = np.cross(y, np.eye(3)[np.argmin(np.abs(y), axis=1)])
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    z = np.cross(x, y)
    c, s = (f(np.zeros(len(names)) if rolls is None else rolls)[:, None] for f in (np.cos, np.sin))
    rest = np.tile(np.eye(4), (len(names), 1, 1))
    rest[:, :3] = np.stack((c * x - s * z, y, s * x + c * z, heads), axis=-1)
    return make_rig(names, parents, rest, lengths, name)


def rename(built: Built, change: Callable[[str], str]) -> Built:
    new = {old: change(old) for old in built.rig.names}
    truth = {slot: tuple(new[b] for b in bones) for slot, bones in built.truth.items()}
    return Built(replace(built.rig, names=tuple(new.values())), truth)


def nonsense(built: Built, seed: int) -> Built:
    """Every bone gets a name that says nothing."""
    rng = np.random.default_rng(seed)
    letters = list(string.ascii_lowercase)
    names = {n: "".join(rng.choice(letters, 7)) + str(i) for i, n in enumerate(built.rig.names)}
    return rename(built, lambda n: names[n])


def drop(built: Built, *slots: str) -> Built:
    """Without the bones of these slots; their children move up."""
    rig = built.rig
    gone = {rig.index(b) for s in slots for b in built.truth.get(s, ())}
    keep = [i for i in range(len(rig.names)) if i not in gone]

    def parent(i: int) -> int:
        p = rig.parents[i]
        while p in gone:
            p = rig.parents[p]
        return keep.index(p) if p >= 0 else -1

    new = from_points(
        [rig.names[i] for i in keep], [parent(i) for i in keep], rig.heads[keep], rig.tails[keep], rig.name
    )
    return Built(new, {s: b for s, b in built.truth.items() if s not in slots})


def drop_below(built: Built, *slots: str) -> Built:
    """Without these slots' bones, all that hangs on them, and metacarpals that carried nothing else."""
    rig = built.rig
    gone = {rig.index(b) for s in slots for b in built.truth.get(s, ())}
    gone |= {i for i in range(len(rig.names)) if gone & set(rig.ancestors(i))}
    filled = {rig.index(b) for bones in built.truth.values() for b in bones}
    gone |= {p for i in gone if (p := rig.parents[i]) not in filled and set(rig.children[p]) <= gone}
    names = {rig.names[i] for i in gone}
    bones = [bone for i, bone in enumerate(bones_of(rig)) if i not in gone]
    return Built(from_bones(bones, rig.name), {s: b for s, b in built.truth.items() if not names & set(b)})


def join(*rigs: RigSpec, apart: float = 2.0) -> RigSpec:
    """Several rigs in one armature, side by side, names numbered."""
    bones: list[Bone] = []
    for k, rig in enumerate(rigs):
        shift = np.array((apart * k, 0, 0))
        end = f"_copy{k}" if k else ""
        bones += [(n + end, p and p + end, head + shift, tail + shift) for n, p, head, tail in bones_of(rig)]
    return from_bones(bones, "joined")


EXTRAS = (
    "hair", "long hair", "skirt", "cape", "tail", "wings", "ears", "weapon", "ik", "breast", "face", "face rig",
    "correctives", "ends",
)  # fmt: skip


def add_extras(built: Built, *kinds: str) -> Built:
    """Bones that belong to no slot, as characters have them. For a rig in its original place and size."""
    rig, truth = built.rig, built.truth
    bones = bones_of(rig)

    def strand(name: str, parent: str, start: Array, step: tuple[float, float, float], count: int) -> None:
        for k in range(count):
            a = start + np.array(step) * k
            bones.append((f"{name}_{k}", parent, a, a + step))
            parent = f"{name}_{k}"

    def head_of(slot: str) -> Array:
        return rig.heads[rig.index(truth[slot][0])]

    pelvis, head = truth["pelvis"][0], truth["head"][-1]
    for kind in kinds:
        if kind == "hair":
            for s in (-1, 1):
                strand(f"zh{s}", head, head_of("head") + (0.08 * s, 0.05, 0.1), (0.03 * s, 0.01, -0.12), 5)
            strand("zhb", head, head_of("head") + (0, 0.09, 0.1), (0, 0.01, -0.1), 4)
        elif kind == "long hair":
            for s in (-1, 1):
                strand(f"zl{s}", head, head_of("head") + (0.12 * s, 0.03, 0.15), (0.02 * s, 0.01, -0.16), 7)
        elif kind == "cape":
            for s in (-1, 0, 1):
                strand(f"zc{s}", truth["spine"][-1], head_of("head") + (0.15 * s, 0.12, -0.1), (0, 0.02, -0.2), 5)
        elif kind == "wings":
            for s in (-1, 1):
                strand(f"zv{s}", truth["spine"][-1], head_of("head") + (0.08 * s, 0.12, -0.2), (0.3 * s, 0.1, 0.05), 4)
        elif kind == "ears":
            for s in (-1, 1):
                strand(f"zr{s}", head, head_of("head") + (0.05 * s, 0, 0.18), (0.02 * s, 0, 0.1), 3)
        elif kind == "face rig":
            strand("zf", head, head_of("head") + (0, -0.02, 0.02), (0, -0.01, 0.01), 1)
            for k in range(24):
                across, high = 0.07 * np.sin(2.4 * k), 0.02 + 0.006 * k
                strand(f"zf{k}", "zf_0", head_of("head") + (across, -0.1, high), (0, -0.02, 0), 1)
        elif kind == "correctives":
            for slot, down in product(("forearm", "shin", "upper_arm", "thigh"), "lr"):
                joint = f"{down}_{slot}"
                if joint in truth:
                    strand(f"zk{joint}", truth[joint][0], head_of(joint), (0, 0.05, 0.02), 1)
        elif kind == "skirt":
            for k in range(8):
                a = 2 * np.pi * k / 8 + 0.2 * (k % 2)
                out = np.array((np.cos(a) * 0.15, np.sin(a) * 0.12, 0))
                strand(f"zs{k}", pelvis, head_of("pelvis") + out, (out[0] * 0.5, out[1] * 0.5, -0.16), 3)
        elif kind == "tail":
            strand("zt", pelvis, head_of("pelvis") + (0, 0.1, 0), (0, 0.1, -0.05), 7)
        elif kind == "weapon" and "r_hand" in truth:
            strand("zw", truth["r_hand"][0], head_of("r_hand") + (-0.07, 0, 0), (0, -0.9, 0), 1)
        elif kind == "ik":
            base = truth["root"][0] if "root" in truth else ""
            for side in ("l", "r"):
                for slot in ("foot", "hand"):
                    if f"{side}_{slot}" in truth:
                        strand(f"zi{side}{slot}", base, head_of(f"{side}_{slot}"), (0, 0.1, 0), 1)
                strand(f"zp{side}", base, head_of(f"{side}_shin") + (0, -0.5, 0), (0, -0.1, 0), 1)
        elif kind == "breast":
            for s in (-1, 1):
                strand(f"zb{s}", truth["spine"][-1], head_of("head") + (0.08 * s, -0.1, -0.2), (0, -0.05, 0), 2)
        elif kind == "face":
            for s in (-1, 1):
                strand(f"ze{s}", head, head_of("head") + (0.03 * s, -0.09, 0.08), (0, -0.03, 0), 1)
            strand("zj", head, head_of("head") + (0, -0.03, 0.03), (0, -0.07, -0.02), 1)
        elif kind == "ends":
            for i, n in enumerate(rig.names):
                if not rig.children[i]:
                    bones.append((f"{n}_zend", n, rig.tails[i], rig.tails[i] + (rig.tails[i] - rig.heads[i])))
    return Built(from_bones(bones, rig.name), truth)


def about(axis: Array, angle: float) -> Array:
    """(3, 3) right-handed rotation about a unit axis (Rodrigues)."""
    k = np.cross(np.eye(3), -axis).T
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def axis_rotations() -> list[Array]:
    """The 24 proper rotations that move axes onto axes."""
    out: list[Array] = []
    for i in range(3):
        for j in range(3):
            for a in (1.0, -1.0):
                for b in (1.0, -1.0):
                    if i != j:
                        x, y = np.eye(3)[i] * a, np.eye(3)[j] * b
                        out.append(np.column_stack((x, y, np.cross(x, y))))
    return out


def place(built: Built, heads: Array, tails: Array) -> Built:
    """The same bones elsewhere."""
    rig = built.rig
    return Built(from_points(list(rig.names), list(rig.parents), heads, tails, rig.name), built.truth)


def vary(built: Built, seed: int = 0, *, proportions: float = 0.0, noise: float = 0.0, arms_down: float = 0.0,
         rolls: bool = False, turn: Array | None = None, scale: float = 1.0, loose_tails: bool = False,
         all_tails: bool = False) -> Built:  # fmt: skip
    """`proportions`: every bone longer or shorter by up to this share, both sides alike. `noise`: displacement of every
    joint (standard deviation, share of the distance from its parent), sides apart. `arms_down`: radians the arms are
    lowered from the T-pose. `turn`: rotation of the whole. `loose_tails`: leaf bones point anywhere, as importers leave
    them; with `all_tails` every bone does."""
    rng = np.random.default_rng(seed)
    rig = built.rig
    count = len(rig.names)
    linked = {i: c for i in range(count) for c in rig.children[i] if np.linalg.norm(rig.tails[i] - rig.heads[c]) < 1e-6}
    factors: dict[tuple[float, ...], float] = {}
    heads, tails = rig.heads.copy(), rig.tails.copy()
    for i, p in enumerate(rig.parents):
        offset = rig.heads[i] - (rig.heads[p] if p >= 0 else 0)
        key = (abs(round(rig.heads[i, 0], 4)), *np.round(rig.heads[i, 1:], 4), len(rig.ancestors(i)))
        factor = factors.setdefault(key, float(rng.uniform(1 - proportions, 1 + proportions))) if proportions else 1.0
        heads[i] = offset * factor + (heads[p] if p >= 0 else 0) + rng.normal(0, 1, 3) * noise * np.linalg.norm(offset)
        tails[i] = heads[i] + (rig.tails[i] - rig.heads[i]) * factor
    if arms_down:
        for side, sign in (("l", 1.0), ("r", -1.0)):
            if f"{side}_upper_arm" in built.truth:
                top = rig.index(built.truth[f"{side}_upper_arm"][0])
                turn_arm = about(np.array((0, 1.0, 0)), arms_down * sign)
                under = [i for i in range(count) if i == top or top in rig.ancestors(i)]
                pivot = heads[top].copy()
                heads[under] = (heads[under] - pivot) @ turn_arm.T + pivot
                tails[under] = (tails[under] - pivot) @ turn_arm.T + pivot
    for i, c in linked.items():
        tails[i] = heads[c]
    if loose_tails or all_tails:
        for i in range(count):
            if all_tails or not rig.children[i]:
                away = rng.normal(0, 1, 3)
                tails[i] = heads[i] + away / np.linalg.norm(away) * max(rig.lengths[i], 1e-3)
    if turn is not None:
        heads, tails = heads @ turn.T, tails @ turn.T
    roll = rng.uniform(-np.pi, np.pi, count) if rolls else None
    new = from_points(list(rig.names), list(rig.parents), heads * scale, tails * scale, rig.name, roll)
    return Built(new, built.truth)
