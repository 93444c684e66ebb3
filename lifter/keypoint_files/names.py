"""Keypoints by name, as TRC files and DeepLabCut have them: which layout they are, and where each goes in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lifter.errors import MotionliftError
from lifter.skeleton import layout_keypoints

FEWEST = 5
"""Names that must be known before a layout is believed."""
CHOICE = ("coco17", "halpe26", "body25", "mediapipe33")
"""Tried in this order: the first that takes in most names."""

# What others call a keypoint, without its side.
_SAME = {
    "bigtoe": "toe",
    "footindex": "toe",
    "littletoe": "small_toe",
    "smalltoe": "small_toe",
    "pinky": "little",
    "littlefinger": "little",
    "indexfinger": "index",
    "foreindex": "index",
    "headtop": "head_top",
    "tophead": "head_top",
    "tophead1": "head_top",
    "crown": "head_top",
    "eyeinner": "eye_inner",
    "eyeouter": "eye_outer",
}
_SAME_MIDDLE = {
    "hip": "pelvis",
    "midhip": "pelvis",
    "chip": "pelvis",
    "root": "pelvis",
    "hips": "pelvis",
    "head": "head_top",
}
_SIDED = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "toe", "bigtoe", "smalltoe")
"""Names that belong to a side, which may be one letter before them."""


def plain_name(name: str) -> str:
    """A name as our layouts write it: `LBigToe`, `left_big_toe`, `bigtoe-L` and `big toe 2` are all `l_toe`.

    DeepLabCut's human model numbers sides as MPII lists them, 1 right and 2 left.
    """
    # RHip is R, Hip; LBigToe is L, Big, Toe.
    lower = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]
    sides = {"l": "l_", "left": "l_", "r": "r_", "right": "r_"}
    side = next((sides[p] for p in lower if p in sides), "")
    rest = [p for p in lower if p not in sides]
    if not side and len(rest) > 1 and rest[-1] in ("1", "2"):
        side = {"1": "r_", "2": "l_"}[rest.pop()]
    whole = "".join(rest)
    if not side and whole[:1] in tuple("lr") and whole[1:] in _SIDED:
        side, whole = f"{whole[0]}_", whole[1:]
    return side + (_SAME.get(whole, whole) if side else _SAME_MIDDLE.get(whole, _SAME.get(whole, whole)))


def place_names(names: Sequence[str], layout: str, where: str) -> tuple[str, list[int]]:
    """A layout, and for each of its keypoints which of the file's names it is; -1 for none.

    Args:
        names: of the file's keypoints, in its order.
        layout: the user's choice, or "" to find one.
    Raises:
        MotionliftError: fewer than 5 names are known (with a layout of fewer keypoints: not all of it is there).
    """
    plain = [plain_name(n) for n in names]
    best: tuple[int, str, list[int]] = (-1, "", [])
    for candidate in (layout,) if layout else CHOICE:
        wanted = layout_keypoints(candidate)
        order = [names.index(k) if k in names else plain.index(k) if k in plain else -1 for k in wanted]
        known = sum(i >= 0 for i in order)
        if known > best[0]:
            best = known, candidate, order
    known, chosen, order = best
    if known < min(FEWEST, len(order)):
        listed = ", ".join(list(names)[:12]) or "nothing"
        raise MotionliftError(
            f"{where}: its keypoints are {listed}; {known} of them are known by name in "
            f"{f'layout {layout}' if layout else 'any layout'}",
            "Name them as lifter/skeletons/layouts.toml does, or give a skeleton's .toml file with these as joints",
        )
    return chosen, order
