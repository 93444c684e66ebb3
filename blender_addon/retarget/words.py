"""What the name of a bone says: its side and the part of the body, in the usual spellings of many programs.

A name is cut into words (camel case, separators, digits), its side is read from marks such as Left, .L, _l or 左, and
the words left over are looked up in PARTS. A word may stand for several parts ("shoulder" is a clavicle or an upper
arm): the order of the bones along the limb decides, in `names`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

PARTS: dict[str, tuple[str, ...]] = {
    "clavicle": ("clavicle",), "clavicula": ("clavicle",), "collar": ("clavicle",), "collarbone": ("clavicle",),
    "scapula": ("clavicle",), "shoulder": ("clavicle", "upper_arm"), "shldr": ("upper_arm", "clavicle"),
    "upperarm": ("upper_arm",), "uparm": ("upper_arm",), "uarm": ("upper_arm",), "arm": ("upper_arm",),
    "bicep": ("upper_arm",), "humerus": ("upper_arm",), "armupper": ("upper_arm",),
    "forearm": ("forearm",), "lowerarm": ("forearm",), "lowarm": ("forearm",), "farm": ("forearm",),
    "armlower": ("forearm",), "elbow": ("forearm",), "radius": ("forearm",), "ulna": ("forearm",),
    "hand": ("hand",), "wrist": ("hand",),
    "thigh": ("thigh",), "upleg": ("thigh",), "upperleg": ("thigh",), "legupper": ("thigh",), "femur": ("thigh",),
    "hip": ("thigh", "between"), "hipjoint": ("between",), "pelvis": ("between",),
    "leg": ("shin", "thigh"), "shin": ("shin",), "calf": ("shin",), "lowerleg": ("shin",), "lowleg": ("shin",),
    "leglower": ("shin",), "knee": ("shin",), "tibia": ("shin",), "crus": ("shin",),
    "foot": ("foot", "toe"), "ankle": ("foot",), "toe": ("toe",), "toes": ("toe",), "toebase": ("toe",),
    "ball": ("toe",), "metatarsal": ("between",), "metatarsals": ("between",),
}  # fmt: skip
"""Parts of limbs by the telling words of a name put together. "between" is on the way but fills no slot."""

FINGER_WORDS = {
    "thumb": "thumb", "index": "index", "pointer": "index", "mid": "middle", "middle": "middle", "ring": "ring",
    "pinky": "little", "pinkie": "little", "little": "little", "small": "little",
}  # fmt: skip
AROUND_FINGER = re.compile("^(hand|finger|f)|(finger|proximal|intermediate|distal|metacarpal)$")
PALM = ("metacarpal", "carpal", "palm")
PELVIS_WORDS = {"pelvis", "hips", "hip", "root", "spine", "torso", "cog", "lowerbody", "waist"}
ROOT_WORDS = {"root", "boneroot", "reference", "master", "origin", "armature", "rootmotion", "traj", "motherbone"}
FILLER = {
    "def", "bip", "biped", "bone", "jnt", "joint", "bn", "b", "j", "c", "cc", "base", "sk", "skel", "bind", "fk",
    "bend", "stretch", "x", "avg", "m", "f", "character", "rig", "rl", "d", "ctrl", "mixamorig", "valve",
}  # fmt: skip
"""Words that say nothing on the part."""
HELPERS = {
    "ik", "pole", "target", "helper", "nub", "end", "tip", "tweak", "mch", "org", "vis", "socket", "weapon", "prop",
    "hair", "skirt", "jiggle", "breast", "goal", "effector", "roll", "corrective", "muscle", "driver", "parent", "site",
}  # fmt: skip
"""Words of bones that are not part of the body."""
LEFT, RIGHT = {"l", "left", "lf", "lft", "lt"}, {"r", "right", "rt", "rgt"}
JAPANESE = {
    "左": " left ", "右": " right ", "全ての親": " master ", "センター": " cog ", "グルーブ": " cog ", "腰": " waist ",
    "下半身": " pelvis ", "上半身": " spine ", "首": " neck ", "頭": " head ", "髪": " hair ", "目": " eye ",
    "肩": " shoulder ", "腕": " arm ", "ひじ": " elbow ", "手捩": " forearm twist ", "手首": " wrist ", "捩": " twist ",
    "足": " thigh ", "ひざ": " knee ", "足首": " ankle ", "つま先": " toe ", "先": " end ", "ＩＫ": " ik ",
    "親指": " thumb ", "人指": " index ", "人差指": " index ", "中指": " middle ", "薬指": " ring ", "小指": " little ",
}  # fmt: skip


@dataclass(frozen=True)
class Word:
    """What a name says. side: "l", "r" or ""; parts: those of a limb that it may stand for; finger: one of FINGERS or
    "finger"; number: the digits behind "finger"; text: the telling words put together."""

    side: str
    parts: tuple[str, ...]
    finger: str
    number: str
    twist: bool
    palm: bool
    helper: bool
    text: str


def read_name(name: str) -> Word:
    side, words, number = _side(_cut(name))
    telling = [w for w in words if w not in FILLER]
    helper = any(w in HELPERS for w in telling)
    twist = any("twist" in w for w in telling)
    text = re.sub("twist", "", "".join(telling))
    finger = _finger(telling, text)
    # VRM 1 calls the thumb's first bone a metacarpal.
    palm = finger != "thumb" and any(p in text for p in PALM)
    parts = () if finger or palm else PARTS.get(text, ())
    return Word(side, parts, finger, number, twist, palm, helper, text)


def _cut(name: str) -> list[str]:
    """Words in lower case and numbers, in order. A namespace belongs to the file, not to the bone."""
    name = re.split(r"[:|]", name)[-1]
    for theirs in sorted(JAPANESE, key=len, reverse=True):
        name = name.replace(theirs, JAPANESE[theirs])
    # Full-width digits and letters to plain ones.
    name = unicodedata.normalize("NFKC", name)
    # LUArm is L and Uarm.
    name = re.sub(r"(?<![A-Za-z])([LR])([UF])([A-Z])(?=[a-z])", lambda m: f"{m[1]} {m[2]}{m[3].lower()}", name)
    return [w.lower() for w in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)]


def _side(cut: list[str]) -> tuple[str, list[str], str]:
    """The side, the other words, and the digits behind the word finger."""
    side = number = ""
    words: list[str] = []
    for word in cut:
        if word.isdigit():
            number += word if words[-1:] == ["finger"] else ""
            continue
        rest = word
        if not side:
            side, rest = _split_side(word)
        if rest:
            words.append(rest)
    return side, words, number


def _split_side(word: str) -> tuple[str, str]:
    if word in LEFT | RIGHT:
        return ("l" if word in LEFT else "r"), ""
    if m := re.match(r"(left|right)([a-z]{3,})$|([a-z]{3,})(left|right)$", word):
        return (m[1] or m[4])[0], m[2] or m[3]
    known = PARTS.keys() | FINGER_WORDS.keys()
    if word[0] in "lr" and word not in known and word[1:] in known:
        return word[0], word[1:]
    return "", word


def _finger(telling: list[str], text: str) -> str:
    for word in (*telling, AROUND_FINGER.sub("", text)):
        if word in FINGER_WORDS:
            return FINGER_WORDS[word]
    # Which one a numbered finger is depends on the others of the hand.
    return "finger" if "finger" in telling else ""
