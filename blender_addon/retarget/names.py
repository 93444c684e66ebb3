"""Finds the parts of the body by what the names of bones say (`words`), checked against the hierarchy.

Limbs come first: the chain of one side's bones that names most parts in their order. Bones between two known ones
(spine, neck) need no name at all.
"""

from __future__ import annotations

from itertools import pairwise, product

from .rig import RigSpec
from .slots import CORE, FINGERS, SIDES, TWISTED, Mapping
from .words import PELVIS_WORDS, ROOT_WORDS, Word, read_name

Found = dict[str, tuple[int, ...]]

LONG = ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")
ARM, LEG = ("clavicle", "upper_arm", "forearm", "hand"), ("between", "thigh", "shin", "foot", "toe")


def find_by_names(rig: RigSpec) -> Mapping | None:
    """None where the names do not tell half of the body."""
    words = [read_name(n) for n in rig.names]
    found: Found = {}
    for side in SIDES:
        for order in (ARM, LEG):
            found |= {f"{side}_{part}": bones for part, bones in _limb(rig, words, side, order).items()}
        if f"{side}_hand" in found:
            hand = found[f"{side}_hand"][0]
            found |= {f"{side}_{finger}": bones for finger, bones in _fingers(rig, words, hand).items()}
    guessed = _trunk(rig, words, found)
    found |= _twist_bones(rig, words, found)
    if "pelvis" not in found or sum(s in found for s in CORE) * 2 < len(CORE):
        return None
    confidence = {slot: _confidence(slot, found, words, guessed) for slot in found}
    return Mapping({s: tuple(rig.names[b] for b in bones) for s, bones in found.items()}, confidence, "names")


def _confidence(slot: str, found: Found, words: list[Word], guessed: set[str]) -> float:
    sure = 0.95
    if slot in guessed:
        sure -= 0.2
    if any(len(words[b].parts) > 1 for b in found[slot]):
        sure -= 0.1
    if slot[:2] in ("l_", "r_"):
        other = found.get(("r" if slot[0] == "l" else "l") + slot[1:], ())
        if len(other) != len(found[slot]):
            sure -= 0.2
    return round(sure, 2)


# Limbs


def _limb(rig: RigSpec, words: list[Word], side: str, order: tuple[str, ...]) -> Found:
    """The chain of this side's bones that names most parts in the right order."""
    usable = {
        i: w.parts
        for i, w in enumerate(words)
        if w.side == side and not w.helper and not w.palm and any(p in order for p in w.parts)
    }
    best: Found = {}
    best_score: tuple[int, int, int] = (0, 0, 0)
    # A twist bone at the end of a chain is a leaf beside it. Of toes that are alike the first by name is the big one.
    for tip in sorted((i for i in usable if not words[i].twist), key=lambda i: rig.names[i]):
        chain = [i for i in (tip, *rig.ancestors(tip)) if i in usable][::-1]
        parts = _in_order([words[i] for i in chain], order)
        if parts is None:
            continue
        out: Found = {}
        for bone, part in zip(chain, parts, strict=True):
            # A hand, foot or toe is one bone: what follows (SMPL's L_Hand beyond L_Wrist) is left over.
            if part != "between" and not (part in ("hand", "foot", "toe") and part in out):
                out[part] = (*out.get(part, ()), bone)
        deforming = sum(bool(rig.deform[i]) for i in chain)
        score = (len(out), deforming, -sum(len(rig.names[i]) for i in chain))
        if score > best_score:
            best, best_score = out, score
    return best


def _in_order(words: list[Word], order: tuple[str, ...]) -> tuple[str, ...] | None:
    """One part for each bone, never going back towards the trunk, with as many different parts as can be."""
    rank = {p: i for i, p in enumerate(order)}
    best: tuple[str, ...] | None = None
    best_merit = (-1, 0, 0)
    # A twist bone in the chain goes on with the part before it.
    twists = [i for i, word in enumerate(words[:12]) if word.twist and i]
    for choice in product(*(tuple(p for p in w.parts if p in rank) for w in words[:12])):
        if any(choice[i] != choice[i - 1] for i in twists):
            continue
        # "between" may stand anywhere (a metatarsal lies between foot and toe).
        ranks = [rank[p] for p in choice if p != "between"]
        # Of choices with as many parts, the one with most bones that belong together: a shoulder above an elbow is an
        # upper arm. Then the one that leaves more on the way: LHipJoint beside LeftUpLeg is no thigh.
        together = sum(a in choice and b in choice for a, b in pairwise(LONG))
        merit = (len(set(ranks)), together, choice.count("between"))
        if ranks == sorted(ranks) and merit > best_merit:
            best, best_merit = choice, merit
    return best


def _fingers(rig: RigSpec, words: list[Word], hand: int) -> Found:
    groups: dict[str, list[int]] = {}
    for i, word in enumerate(words):
        if word.finger and not word.palm and not word.helper and hand in rig.ancestors(i):
            key = word.finger if word.finger != "finger" else "finger" + word.number[:1]
            groups.setdefault(key, []).append(i)
    numbered = sorted(k for k in groups if k.startswith("finger"))
    if len(numbered) >= 3:
        # Fingers that have only numbers are counted from the thumb.
        groups |= {finger: groups[key] for key, finger in zip(numbered, FINGERS, strict=False)}
    out: Found = {}
    for finger in (f for f in FINGERS if f in groups):
        line: list[int] = []
        for i in sorted(groups[finger], key=lambda i: len(rig.ancestors(i))):
            if not line or line[-1] == rig.parents[i]:
                line.append(i)
        out[finger] = tuple(line[:3])
    return out


def _twist_bones(rig: RigSpec, words: list[Word], found: Found) -> Found:
    """Leaves of the limbs' parts that are called twist bones."""
    out: Found = {}
    for slot in (f"{side}_{part}" for side in SIDES for part in TWISTED):
        bones = found.get(slot, ())
        leaves = [c for b in bones for c in rig.children[b] if c not in bones and not rig.children[c]]
        twist = sorted((c for c in leaves if words[c].twist and not words[c].helper), key=lambda c: rig.names[c])
        if twist:
            out[f"{slot}_twist"] = tuple(twist)
    return out


# Trunk


def _trunk(rig: RigSpec, words: list[Word], found: Found) -> set[str]:
    """Adds pelvis, spine, neck, head and root; returns the slots that were filled by position, not by name."""
    guessed: set[str] = set()
    arms = [found[s][0] for side in SIDES for s in (f"{side}_clavicle", f"{side}_upper_arm") if s in found]
    legs = [found[f"{side}_thigh"][0] for side in SIDES if f"{side}_thigh" in found]
    head = _named_head(rig, words, arms)
    upper = [*arms, *([] if head is None else [head])]
    chest = _common(rig, arms if len(arms) > 1 else upper)
    pelvis, sure = _pelvis(rig, words, legs, upper)
    if pelvis is None:
        return guessed
    if not sure:
        guessed.add("pelvis")
    found["pelvis"] = (pelvis,)
    if head is None and chest is not None:
        # Rigify's metarig numbers its spine up to the head: the last bone of that chain.
        chain = [i for i, w in enumerate(words) if w.text == "spine" and chest in rig.ancestors(i)]
        head = max(chain, key=lambda i: len(rig.ancestors(i)), default=None)
        guessed |= {"head", "neck"}
    found |= _spine(rig, words, pelvis, chest, head)
    for b in reversed(rig.ancestors(pelvis)):
        if words[b].text in ROOT_WORDS and not words[b].helper:
            found["root"] = (b,)
            break
    return guessed


def _named_head(rig: RigSpec, words: list[Word], arms: list[int]) -> int | None:
    heads = [i for i, w in enumerate(words) if w.text == "head" and not w.side and not w.helper and not w.twist]
    heads.sort(key=lambda i: (not rig.deform[i], len(rig.ancestors(i)), len(rig.names[i])))
    return next((h for h in heads if not arms or _common(rig, [h, *arms]) is not None), None)


def _pelvis(rig: RigSpec, words: list[Word], legs: list[int], upper: list[int]) -> tuple[int | None, bool]:
    """The bone that carries legs and trunk, and whether its name says so."""
    carrier = _common(rig, [*legs, *upper]) if legs else None
    floor = carrier is not None and _on_floor(rig, carrier, legs)
    if (
        carrier is not None
        and words[carrier].text in PELVIS_WORDS
        and not (words[carrier].text in ROOT_WORDS and floor)
    ):
        return carrier, True
    if carrier is None or floor:
        # Control rigs hang the legs on the root; rigs without legs still have hips.
        named = [i for i, w in enumerate(words) if w.text in ("pelvis", "hips", "hip") and not w.side and not w.helper]
        named = [i for i in named if all(i in rig.ancestors(b) for b in upper)]
        return (named[0] if named else None), True
    return carrier, False


def _spine(rig: RigSpec, words: list[Word], pelvis: int, chest: int | None, head: int | None) -> Found:
    """Spine, neck and head; a neck that carries the clavicles is still a neck."""
    out: Found = {}
    spine: list[int] = []
    if chest is not None and pelvis in rig.ancestors(chest):
        spine = [b for b in (chest, *rig.ancestors(chest)) if pelvis in rig.ancestors(b)][::-1]
    while len(spine) > 1 and words[spine[-1]].text.startswith("neck"):
        spine.pop()
    if spine:
        out["spine"] = tuple(spine)
    below = {pelvis, *rig.ancestors(pelvis), *spine}
    if head is not None and pelvis in rig.ancestors(head):
        out["head"] = (head,)
        neck = [b for b in rig.ancestors(head) if b not in below][::-1]
    else:
        neck = [i for i, w in enumerate(words) if w.text == "neck" and pelvis in rig.ancestors(i)]
        neck = [b for b in neck if b not in below and not words[b].helper]
    if neck and spine:
        out["neck"] = tuple(neck)
    return out


def _common(rig: RigSpec, bones: list[int]) -> int | None:
    """The lowest bone that carries them all, other than one of them."""
    if not bones:
        return None
    shared = [a for a in rig.ancestors(bones[0]) if all(a in rig.ancestors(b) for b in bones[1:])]
    return shared[0] if shared else None


def _on_floor(rig: RigSpec, bone: int, legs: list[int]) -> bool:
    """Nearer to the feet than to the hips: such a bone carries the character but is not its pelvis."""
    ends = [max((i for i in range(len(rig.names)) if leg in rig.ancestors(i)), default=leg) for leg in legs]
    hips, feet = rig.heads[legs].mean(0), rig.heads[ends].mean(0)
    at = rig.heads[bone]
    return float(((at - feet) ** 2).sum()) < float(((at - hips) ** 2).sum())
