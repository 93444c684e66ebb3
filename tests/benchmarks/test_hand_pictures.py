"""A rendered hand is where its truth says, and MediaPipe and the hand network see how its fingers are bent."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("bpy")

from benchmarks.hand_pictures import SIDE, render_hand
from benchmarks.hands import BORDER, in_size
from lifter.detect.hands import HandFinder
from lifter.detect.models import hand_model
from lifter.errors import MotionliftError
from lifter.hand_lift import lift_hands
from lifter.hands import AT_REST, limited, stack_hands


def test_a_pointing_hand_is_found_and_measured() -> None:
    """Index and middle finger straight, ring and little finger closed, the palm towards the camera."""
    try:
        hand_model()
    except MotionliftError as error:
        pytest.skip(f"needs the hand model: {error}")
    angles = AT_REST.copy()
    angles[1:3, 1:] = np.radians(4)
    angles[3:, 1:] = np.radians([70, 90, 55])
    palm = np.array([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])  # fingers up; its palm, -Z at rest, away
    palm[2], palm[0] = -palm[2], -palm[0]  # and towards the camera
    picture = render_hand(3, limited(angles), palm, samples=4)
    assert picture.rgb.shape == (SIDE, SIDE, 3) and picture.rgb.std() > 10
    assert ((picture.xy > 0) & (picture.xy < SIDE)).all()
    data = {"rgb": picture.rgb, "xy": picture.xy, "elbow": picture.elbow}
    rgb, wrist = in_size(data, 120.0, np.random.default_rng(0))
    finder = HandFinder()
    for k in range(2):
        hands = finder.find(rgb, k / 30, [[wrist, None] if picture.side == 0 else [None, wrist]])
    finder.close()
    seen = stack_hands(hands)
    assert seen.score[0, picture.side].mean() > 0.3
    scale = wrist.length / (0.185 * 2.2 * SIDE / 0.75)
    off = np.linalg.norm(seen.xy[0, picture.side] - (picture.xy * scale + BORDER), axis=-1)
    assert np.median(off) < 0.08 * wrist.length
    got = np.degrees(lift_hands(seen)[0][0, picture.side])
    total = got[1:, 1:].sum(-1)
    print("index, middle, ring, little bent by", total.round(), "of", np.degrees(angles[1:, 1:]).sum(-1).round())
    assert total[:2].max() < 90 < 120 < total[2:].min()
