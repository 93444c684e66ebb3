"""Finds the humanoid in a rig without reading a single name: by topology, mirror symmetry and rest positions.

`limbs` finds every pair of like branches that could be legs or arms, `bodies` puts legs and arms together and scores
the whole, `trunk` and `hands` fill in what lies between and beyond, `sides` tells left from right. The best body is
taken if it is good enough and no other comes close; where anything is in doubt we say so instead of guessing.

Bone heads are trusted, tails only where a chain ends: importers make tails up.
"""

from __future__ import annotations

import numpy as np

from ..rig import Array, RigError, RigSpec
from ..slots import FINGERS, Mapping
from .bodies import MIN_SCORE, Body, find_bodies, stand_apart
from .hands import find_fingers
from .limbs import Pair, find_pairs
from .sides import Votes, forward, vote
from .trunk import Trunk, find_trunk

__all__ = ["check_single", "find_by_structure"]

MIN_MARGIN = 1.0
"""By how much the best body must beat the next that differs in a limb."""


def find_by_structure(rig: RigSpec) -> Mapping:
    """Raises RigError with the reason where the rig cannot be told with certainty."""
    bodies = find_bodies(rig)
    if not bodies:
        raise RigError(_what_lacks(rig))
    best = bodies[0]
    for other in bodies[1:]:
        if stand_apart(rig, best, other):
            raise _two_bodies(rig, best, other)
        if best.score - other.score < MIN_MARGIN and best.joint_bones() != other.joint_bones():
            where = sorted(rig.names[i] for i in best.joint_bones() ^ other.joint_bones())
            raise RigError(
                f"The rig can be read in two ways that differ in {', '.join(where[:6])}. "
                "Write a mapping file, or choose a preset."
            )
    trunk = find_trunk(rig, best)
    fingers = [find_fingers(rig, best, side) for side in (0, 1)]
    votes = vote(rig, best, trunk.head, fingers)
    if not votes.decided:
        raise RigError(
            "A body was found, but neither feet nor knees nor thumbs show which way it faces, so left and right cannot "
            "be told apart. Write a mapping file, or give the bones names with left and right."
        )
    return _mapping(rig, best, trunk, fingers, votes)


def check_single(rig: RigSpec) -> None:
    """Raises RigError where the armature holds two humanoids that stand apart."""
    bodies = find_bodies(rig)
    for other in bodies[1:]:
        if stand_apart(rig, bodies[0], other):
            raise _two_bodies(rig, bodies[0], other)


def _two_bodies(rig: RigSpec, a: Body, b: Body) -> RigError:
    one, two = (rig.names[i] for i in sorted((a.pelvis, b.pelvis)))
    return RigError(
        f"There are two candidates for the hips: {one} and {two}. "
        "Separate the two characters into armatures of their own, or write a mapping file for one of them."
    )


def _what_lacks(rig: RigSpec) -> str:
    lacking = "no two branches of the rig look like a pair of legs or arms"
    if any(find_pairs(rig).values()):
        lacking = "the rig's branches do not fit together as two legs, a spine and two arms"
    return f"No humanoid was found: {lacking}. Choose a preset or write a mapping file."


def _mapping(
    rig: RigSpec, body: Body, trunk: Trunk, fingers: list[dict[str, tuple[int, ...]]], votes: Votes
) -> Mapping:
    head, root = (() if b is None else (b,) for b in (trunk.head, trunk.root))
    found = {"root": root, "pelvis": (body.pelvis,), "spine": trunk.spine, "neck": trunk.neck, "head": head}
    toes = _toes(rig, body, forward(body) * np.sign(votes.total))
    for side, name in enumerate(("l", "r") if votes.total > 0 else ("r", "l")):
        parts = _limb(rig, body.legs, side, ("", "thigh", "shin", "foot"))
        parts |= _limb(rig, body.arms, side, ("clavicle", "upper_arm", "forearm", "hand"))
        parts |= {"toe": toes[side]} | fingers[side]
        found |= {f"{name}_{part}": bones for part, bones in parts.items()}
    found = {slot: bones for slot, bones in found.items() if bones}
    notes = [f"Bones were found by structure alone; which side is left follows from: {', '.join(votes.cues)}."]
    if trunk.doubt:
        either, other = (rig.names[b] for b in trunk.doubt)
        notes.append(f"The head may be {either} or {other}: it was left open. Name it in a mapping file.")
    names = {slot: tuple(rig.names[b] for b in bones) for slot, bones in found.items()}
    return Mapping(names, _confidence(found, body), "structure", tuple(notes))


def _confidence(found: dict[str, tuple[int, ...]], body: Body) -> dict[str, float]:
    quality = float(np.clip(1 + body.score / 2 / abs(MIN_SCORE), 0, 1))
    less_sure = ("neck", "head", "root")
    return {
        slot: round((0.5 + 0.4 * quality) * (0.9 if _is_detail(slot) or slot in less_sure else 1.0), 2)
        for slot in found
    }


def _is_detail(slot: str) -> bool:
    return slot[2:] in FINGERS or slot.endswith("_twist")


def _limb(rig: RigSpec, pair: Pair, side: int, parts: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Bones of the four parts: before the first joint, the two long ones with their twist bones, hand or foot."""
    path, points = pair.paths[side], pair.points[side]
    i, j, k = pair.joints
    out = dict(zip(parts, (path[:i], path[i:j], path[j:k], path[k : k + 1]), strict=True))
    for part, start, end in ((parts[1], i, j), (parts[2], j, k)):
        out[f"{part}_twist"] = _twist_bones(rig, path[start:end], points[start], points[end], path)
    out.pop("", None)
    return out


def _toes(rig: RigSpec, body: Body, ahead: Array) -> list[tuple[int, ...]]:
    """The bone ahead of each ankle; of several toes the big one, which is nearest to the other foot."""
    k = body.legs.joints[2]
    middle = body.legs.at(0).mean(0)
    out: list[tuple[int, ...]] = []
    for path in body.legs.paths:
        steps = {c: rig.heads[c] - rig.heads[path[k]] for c in rig.children[path[k]]} if k < len(path) else {}
        reach = {c: float(s @ ahead) for c, s in steps.items() if float(s @ ahead) > 0.6 * float(np.linalg.norm(s))}
        toes = [c for c, a in reach.items() if a > 0.5 * max(reach.values())]
        toes.sort(key=lambda c: abs(float((rig.heads[c] - middle) @ body.left)))
        out.append(tuple(toes[:1]))
    return out


def _twist_bones(
    rig: RigSpec, bones: tuple[int, ...], start: Array, end: Array, path: tuple[int, ...]
) -> tuple[int, ...]:
    """Bones beside the part that begin on its line and carry nothing, or no more than a bone for their end. One that
    begins at the joint itself may as well correct the skin there and is left alone."""
    line = end - start
    length = float(np.linalg.norm(line))
    out: list[tuple[float, int]] = []
    for c in (c for bone in bones for c in rig.children[bone] if c not in path):
        if any(rig.children[d] for d in rig.children[c]) or len(rig.children[c]) > 1:
            continue
        share = float((rig.heads[c] - start) @ line) / length**2
        aside = float(np.linalg.norm(rig.heads[c] - start - share * line))
        if 0.02 < share < 0.98 and aside < 0.1 * length:
            out.append((share, c))
    return tuple(c for _, c in sorted(out))
