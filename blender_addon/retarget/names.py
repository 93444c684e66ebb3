"""Finds the parts of the body by the names of bones, in any usual spelling, and checks them against the hierarchy.

A name is cut into words (camel case, separators, digits), its side is read from marks such as Left, .L, _l or 左, and
the words left over are looked up in PARTS. A word may stand for several parts ("shoulder" is a clavicle or an upper
arm): the order of the bones along the limb decides. Bones between two known ones (spine, neck) need no name at all.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import product

from .rig import RigSpec
from .slots import CORE, FINGERS, SIDES, TWISTED, Mapping

PARTS: dict[str, tuple[str, ...]] = {
    "clavicle": ("clavicle",), "clavicula": ("clavicle",), "collar": ("clavicle",), "collarbone": ("clavicle",),
    "scapula": ("clavicle",), "shoulder": ("clavicle", "upper_arm"), "shldr": ("upper_arm", "clavicle"),
    "upperarm": ("upper_arm",), "uparm": ("upper_arm",), "arm": ("upper_arm",), "bicep": ("upper_arm",),
    "humerus": ("upper_arm",), "armupper": ("upper_arm",),
    "forearm": ("forearm",), "lowerarm": ("forearm",), "lowarm": ("forearm",), "armlower": ("forearm",),
    "elbow": ("forearm",), "radius": ("forearm",), "ulna": ("forearm",),
    "hand": ("hand",), "wrist": ("hand",),
    "thigh": ("thigh",), "upleg": ("thigh",), "upperleg": ("thigh",), "legupper": ("thigh",), "femur": ("thigh",),
    "hip": ("thigh", "between"), "hipjoint": ("between",), "pelvis": ("between",),
    "leg": ("shin", "thigh"), "shin": ("shin",), "calf": ("shin",), "lowerleg": ("shin",), "lowleg": ("shin",),
    "leglower": ("shin",), "knee": ("shin",), "tibia": ("shin",), "crus": ("shin",),
    "foot": ("foot", "toe"), "ankle": ("foot",), "toe": ("toe",), "toes": ("toe",), "toebase": ("toe",),
    "ball": ("toe",), "metatarsal": ("between",), "metatarsals": ("between",),
}  # fmt: skip
"""Parts of limbs by the words of a name put together. "between" is on the way but fills no slot."""
FINGER_WORDS = {
    "thumb": "thumb", "index": "index", "pointer": "index", "mid": "middle", "middle": "middle", "ring": "ring",
    "pinky": "little", "pinkie": "little", "little": "little", "small": "little",
}  # fmt: skip
PELVIS_WORDS = {"pelvis", "hips", "hip", "root", "spine", "torso", "cog", "lowerbody", "waist"}
ROOT_WORDS = {"root", "boneroot", "reference", "master", "origin", "armature", "rootmotion", "traj", "motherbone"}
FILLER = {
    "def", "bip", "biped", "bone", "jnt", "joint", "bn", "b", "j", "c", "cc", "base", "sk", "skel", "bind", "fk",
    "bend", "stretch", "x", "avg", "m", "f", "character", "rig", "rl", "d", "ctrl",
}  # fmt: skip
"""Words that say nothing on the part."""
HELPERS = {
    "ik", "pole", "target", "helper", "nub", "end", "tip", "tweak", "mch", "org", "vis", "socket", "weapon", "prop",
    "hair", "skirt", "jiggle", "breast", "goal", "effector", "roll", "corrective", "muscle", "driver", "parent", "site",
}  # fmt: skip
"""Words of bones that are not part of the body."""
PALM = {"metacarpal", "carpal", "palm", "metacarpals"}
LEFT, RIGHT = {"l", "left", "lf", "lft", "lt", "li"}, {"r", "right", "rt", "rgt", "rh"}
JAPANESE = {
    "左": " left ", "右": " right ", "全ての親": " master ", "センター": " cog ", "グルーブ": " helper ",
    "下半身": " pelvis ", "上半身": " spine ", "首": " neck ", "頭": " head ", "髪": " hair ", "目": " eye ",
    "肩": " shoulder ", "腕": " arm ", "ひじ": " elbow ", "手首": " wrist ", "捩": " twist ",
    "足": " thigh ", "ひざ": " knee ", "足首": " ankle ", "つま先": " toe ", "先": " end ", "ＩＫ": " ik ",
    "親指": " thumb ", "人指": " index ", "人差指": " index ", "中指": " middle ", "薬指": " ring ", "小指": " little ",
}  # fmt: skip
ARM, LEG = ("clavicle", "upper_arm", "forearm", "hand"), ("between", "thigh", "shin", "foot", "toe")


@dataclass(frozen=True)
class Word:
    """What a name says. parts: the limb parts it may stand for; text: its telling words put together."""

    side: str
    parts: tuple[str, ...]
    finger: str
    digit: str
    twist: bool
    palm: bool
    helper: bool
    text: str


def read_name(name: str) -> Word:
    # A namespace belongs to the file, not to the bone.
    name = re.split(r"[:|]", name)[-1]
    for ours, theirs in sorted(JAPANESE.items(), key=lambda kv: -len(kv[0])):
        name = name.replace(ours, theirs)
    name = unicodedata.normalize("NFKC", name)
    tokens = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    words = [t.lower() for t in tokens]
    side = ""
    rest: list[str] = []
    for word in words:
        if not side and word in LEFT | RIGHT:
            side = "l" if word in LEFT else "r"
        elif not side and (m := re.match(r"(left|right)([a-z]{3,})$|([a-z]{3,})(left|right)$", word)):
            side = (m[1] or m[4])[0]
            rest.append(m[2] or m[3])
        else:
            rest.append(word)
    digits = "".join(w for w in rest if w.isdigit())
    telling = [w for w in rest if not w.isdigit() and w not in FILLER]
    twist = any("twist" in w for w in telling)
    helper = any(w in HELPERS for w in telling)
    telling = [w for w in (re.sub("twist", "", w) for w in telling) if w]
    finger = next((FINGER_WORDS[w] for w in telling if w in FINGER_WORDS), "")
    if not finger:
        joined = re.sub("^(hand|finger|f)", "", "".join(telling))
        finger = FINGER_WORDS.get(joined, "")
        # VRM: LeftIndexProximal written as one word is not read; "finger" with a number is settled per hand.
        if not finger and "finger" in telling:
            finger = "finger"
    # VRM 1 calls the thumb's first bone a metacarpal.
    palm = finger != "thumb" and any(p in w for w in telling for p in PALM)
    text = "".join(telling)
    parts = () if finger or palm else PARTS.get(text, ())
    return Word(side, parts, finger, digits, twist, palm, helper, text)


def find_by_names(rig: RigSpec) -> Mapping | None:
    """None where the names do not tell half of the body."""
    words = [read_name(n) for n in rig.names]
    found: dict[str, tuple[int, ...]] = {}
    for side in SIDES:
        for order in (ARM, LEG):
            for part, bones in _limb(rig, words, side, order).items():
                found[f"{side}_{part}"] = bones
        hand = found.get(f"{side}_hand")
        if hand:
            for finger, bones in _fingers(rig, words, hand[0]).items():
                found[f"{side}_{finger}"] = bones
    guessed = _trunk(rig, words, found)
    for side in SIDES:
        for part in TWISTED:
            bones = found.get(f"{side}_{part}", ())
            twist = [
                c for b in bones for c in rig.children[b]
                if words[c].twist and not rig.children[c] and not words[c].helper and c not in bones
            ]  # fmt: skip
            if twist:
                found[f"{side}_{part}_twist"] = tuple(sorted(twist, key=lambda c: rig.names[c]))
    if "pelvis" not in found or sum(s in found for s in CORE) * 2 < len(CORE):
        return None
    confidence = {slot: _confidence(slot, bones, found, words, guessed) for slot, bones in found.items()}
    return Mapping({s: tuple(rig.names[b] for b in bones) for s, bones in found.items()}, confidence, "names")


def _confidence(
    slot: str, bones: tuple[int, ...], found: dict[str, tuple[int, ...]], words: list[Word], guessed: set[str]
) -> float:
    sure = 0.95
    if slot in guessed:
        sure -= 0.2
    if any(len(words[b].parts) > 1 for b in bones):
        sure -= 0.1
    if slot[:2] in ("l_", "r_"):
        other = found.get(("r" if slot[0] == "l" else "l") + slot[1:], ())
        if len(other) != len(bones):
            sure -= 0.2
    return round(sure, 2)


def _limb(rig: RigSpec, words: list[Word], side: str, order: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """The chain of this side's bones that names most parts in the right order."""
    usable = {
        i: w.parts
        for i, w in enumerate(words)
        if w.side == side and not w.helper and not w.palm and any(p in order for p in w.parts)
    }
    best: dict[str, tuple[int, ...]] = {}
    best_score: tuple[int, int, int] = (0, 0, 0)
    for tip in usable:
        chain = [i for i in (tip, *rig.ancestors(tip)) if i in usable][::-1]
        # A twist bone at the end of a chain is a leaf beside it.
        if words[tip].twist:
            continue
        parts = _in_order([usable[i] for i in chain], order)
        if parts is None:
            continue
        out: dict[str, tuple[int, ...]] = {}
        for bone, part in zip(chain, parts, strict=True):
            # A hand, foot or toe is one bone: what follows (SMPL's L_Hand beyond L_Wrist) is left over.
            if part != "between" and not (part in ("hand", "foot", "toe") and part in out):
                out[part] = (*out.get(part, ()), bone)
        deforming = sum(bool(rig.deform[i]) for i in chain)
        score = (len(out), deforming, -sum(len(rig.names[i]) for i in chain))
        if score > best_score:
            best, best_score = out, score
    return best


def _in_order(options: list[tuple[str, ...]], order: tuple[str, ...]) -> tuple[str, ...] | None:
    """One part for each bone, never going back towards the trunk, with as many different parts as can be."""
    rank = {p: i for i, p in enumerate(order)}
    best: tuple[str, ...] | None = None
    best_merit = (-1, 0)
    for choice in product(*(tuple(p for p in o if p in rank) for o in options[:12])):
        # "between" may stand anywhere (a metatarsal lies between foot and toe).
        ranks = [rank[p] for p in choice if p != "between"]
        # Of choices with as many parts, the one that leaves more on the way: LHipJoint beside LeftUpLeg is no thigh.
        merit = (len(set(ranks)), choice.count("between"))
        if ranks == sorted(ranks) and merit > best_merit:
            best, best_merit = choice, merit
    return best


def _fingers(rig: RigSpec, words: list[Word], hand: int) -> dict[str, tuple[int, ...]]:
    below = [i for i in range(len(words)) if words[i].finger and not words[i].palm and not words[i].helper]
    below = [i for i in below if hand in rig.ancestors(i)]
    groups: dict[str, list[int]] = {}
    for i in below:
        key = words[i].finger if words[i].finger != "finger" else "finger" + words[i].digit[:1]
        groups.setdefault(key, []).append(i)
    numbered = sorted(k for k in groups if k.startswith("finger"))
    if len(numbered) >= 4:
        for key, finger in zip(numbered, FINGERS, strict=False):
            groups.setdefault(finger, groups[key])
    out: dict[str, tuple[int, ...]] = {}
    for finger in FINGERS:
        chain = groups.get(finger, [])
        # Only bones one behind the other; the shortest way up first.
        chain = sorted(chain, key=lambda i: len(rig.ancestors(i)))
        line: list[int] = []
        for i in chain:
            if not line or line[-1] == rig.parents[i]:
                line.append(i)
        if line:
            out[finger] = tuple(line[:3])
    return out


def _common(rig: RigSpec, bones: list[int]) -> int | None:
    """The lowest bone that carries them all, other than one of them."""
    if not bones:
        return None
    shared = [a for a in rig.ancestors(bones[0]) if all(a in rig.ancestors(b) for b in bones[1:])]
    return shared[0] if shared else None


def _trunk(rig: RigSpec, words: list[Word], found: dict[str, tuple[int, ...]]) -> set[str]:
    """Adds pelvis, spine, neck, head and root; returns the slots that were filled by position, not by name."""
    guessed: set[str] = set()
    arms = [found[s][0] for side in SIDES for s in (f"{side}_clavicle", f"{side}_upper_arm") if s in found]
    legs = [found[f"{side}_thigh"][0] for side in SIDES if f"{side}_thigh" in found]
    heads = [i for i, w in enumerate(words) if w.text == "head" and not w.side and not w.helper and not w.twist]
    heads.sort(key=lambda i: (not rig.deform[i], len(rig.ancestors(i)), len(rig.names[i])))
    head = next((h for h in heads if not arms or _common(rig, [h, *arms]) is not None), None)
    upper = [*arms, *([head] if head is not None else [])]
    chest = _common(rig, arms if len(arms) > 1 else upper)
    pelvis = _common(rig, [*legs, *upper]) if legs else None
    if (
        pelvis is None
        or words[pelvis].text not in PELVIS_WORDS
        or (words[pelvis].text in ROOT_WORDS and _on_floor(rig, pelvis, legs))
    ):
        named = [i for i, w in enumerate(words) if w.text in ("pelvis", "hips", "hip") and not w.side and not w.helper]
        named = [i for i in named if all(i in rig.ancestors(b) for b in upper)] if upper else named
        if named and (pelvis is None or _on_floor(rig, pelvis, legs)):
            pelvis = named[0]
        elif pelvis is not None and (not legs or _on_floor(rig, pelvis, legs)):
            pelvis = None
        else:
            guessed.add("pelvis")
    if pelvis is None:
        return guessed
    found["pelvis"] = (pelvis,)
    if chest is not None and pelvis in rig.ancestors(chest):
        found["spine"] = tuple(reversed([b for b in (chest, *rig.ancestors(chest)) if pelvis in rig.ancestors(b)]))
    if head is None and chest is not None:
        # Rigify's metarig numbers its spine up to the head: the last bone of that chain.
        chain = [i for i, w in enumerate(words) if w.text in ("spine", "neck") and chest in rig.ancestors(i)]
        head = max(chain, key=lambda i: len(rig.ancestors(i)), default=None)
        guessed |= {"head", "neck"}
    if head is not None and pelvis in rig.ancestors(head):
        found["head"] = (head,)
        below = set(found.get("spine", (pelvis,)))
        neck: list[int] = []
        for b in rig.ancestors(head):
            if b in below or b == pelvis:
                break
            neck.append(b)
        if neck and chest is not None:
            found["neck"] = tuple(reversed(neck))
    for b in reversed(rig.ancestors(pelvis)):
        if words[b].text in ROOT_WORDS and not words[b].helper:
            found["root"] = (b,)
            break
    return guessed


def _on_floor(rig: RigSpec, bone: int, legs: list[int]) -> bool:
    """Nearer to the feet than to the hips: such a bone carries the character but is not its pelvis."""
    if not legs:
        return False
    ends = [max((i for i in range(len(rig.names)) if leg in rig.ancestors(i)), default=leg) for leg in legs]
    hips, feet = rig.heads[legs].mean(0), rig.heads[ends].mean(0)
    at = rig.heads[bone]
    return float(((at - feet) ** 2).sum()) < float(((at - hips) ** 2).sum())
