from __future__ import annotations

import numpy as np
import pytest

from lifter.clothes import PARTS, seen_colours
from lifter.skeleton import layout_keypoints

LAYOUT = "coco17"
NAMES = list(layout_keypoints(LAYOUT))
PLACES = {"shoulder": (40, 50), "elbow": (60, 80), "hip": (30, 110), "knee": (30, 150), "ankle": (30, 190)}
RED, BLUE = (53.2, 80.1, 67.2), (32.3, 79.2, -107.9)
"""Lab of the pure colours (sRGB, D65)."""


def person(right: float = 0.0) -> np.ndarray:
    """(17, 2) somebody who faces us: left limbs at the larger x."""
    xy = np.full((17, 2), np.nan, np.float32)
    for name, (across, down) in PLACES.items():
        for side, sign in (("l_", 1), ("r_", -1)):
            xy[NAMES.index(side + name)] = 100 + right + sign * across, down
    return xy


def picture() -> np.ndarray:
    """Red above the hips, blue below."""
    rgb = np.zeros((240, 200, 3), np.uint8)
    rgb[:110, :, 0] = 255
    rgb[110:, :, 2] = 255
    return rgb


def test_parts_have_the_colour_of_the_picture_there() -> None:
    colours = dict(zip(PARTS, seen_colours(picture(), person(), np.ones(17), LAYOUT), strict=True))
    for part, colour in (("chest", RED), ("thighs", BLUE), ("shins", BLUE)):
        assert colours[part] == pytest.approx(colour, abs=0.2)


def test_what_is_hidden_missing_or_out_of_the_picture_has_no_colour() -> None:
    score = np.ones(17)
    score[[NAMES.index(s + "knee") for s in ("l_", "r_")]] = 0.1
    colours = seen_colours(picture(), person(), score, LAYOUT)
    assert np.isfinite(colours[:1]).all() and np.isnan(colours[1:]).all()
    assert np.isnan(seen_colours(picture(), person(right=900), np.ones(17), LAYOUT)).all()
    assert np.isnan(seen_colours(picture(), np.full((17, 2), np.nan), np.zeros(17), LAYOUT)).all()


def test_half_a_body_at_the_edge_is_seen_by_its_half() -> None:
    colours = seen_colours(picture(), person(right=100), np.ones(17), LAYOUT)
    assert colours[PARTS.index("chest")] == pytest.approx(RED, abs=0.2)


@pytest.mark.parametrize("layout", ["mediapipe33", "coco17", "halpe26", "body25", "h36m17"])
def test_every_layout_of_a_body_shows_all_parts(layout: str) -> None:
    names = layout_keypoints(layout)
    xy = np.full((len(names), 2), np.nan, np.float32)
    for name, (across, down) in PLACES.items():
        for side, sign in (("l_", 1), ("r_", -1)):
            xy[names.index(side + name)] = 100 + sign * across, down
    assert np.isfinite(seen_colours(picture(), xy, np.ones(len(names)), layout)).all()
