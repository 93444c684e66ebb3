from __future__ import annotations

import numpy as np
import pytest

from lifter.contacts import ContactEdit, believable, find_contacts, parse_edits
from lifter.errors import MotionliftError


def one(probability: list[float], **options: object) -> list[bool]:
    """Contact of one foot point at 30 fps."""
    p = np.zeros((len(probability), 4))
    p[:, 0] = probability
    shown = options.pop("shown", np.ones(len(p), bool))
    return find_contacts(p, shown, 30, **options)[:, 0].tolist()  # type: ignore[arg-type]


def test_between_the_thresholds_a_foot_does_what_it_did() -> None:
    assert one([0.1, 0.5, 0.7, 0.5, 0.5, 0.5, 0.3, 0.5]) == [False, False, True, True, True, True, False, False]


def test_short_breaks_are_closed_before_short_contacts_are_dropped() -> None:
    p = [0.9, 0.9, 0.1, 0.9, 0.9, *[0.0] * 6, 0.9, 0.9, *[0.0] * 4]
    assert one(p) == [True] * 5 + [False] * 12


def test_modes() -> None:
    p, shown = [0.0] * 6, np.array([True, True, True, False, True, True])
    assert one(p, mode="always", shown=shown) == shown.tolist()
    assert not any(one([1.0] * 6, mode="never"))
    with pytest.raises(MotionliftError, match="auto, always, never"):
        one(p, mode="sometimes")


def test_nothing_reaches_across_a_gap_and_nan_is_no_contact() -> None:
    shown = np.array([True] * 5 + [False] * 2 + [True] * 5)
    p = [0.9] * 5 + [float("nan")] * 2 + [0.5] * 5
    assert one(p, shown=shown) == [True] * 5 + [False] * 7


def test_the_last_word_of_the_user_counts() -> None:
    p = np.tile([0.9, 0.9, 0.0, 0.0], (10, 1))
    edits = (ContactEdit("left", 102, 107, stands=False), ContactEdit("both", 107, 108, stands=True))
    found = find_contacts(p, np.ones(10, bool), 30, edits=edits, frames=np.arange(100, 110))
    assert found[:, 0].tolist() == [True, True, *[False] * 5, True, True, True]
    assert found[:, 3].tolist() == [False] * 7 + [True, True, False]


def test_bad_edits_say_what_is_wrong() -> None:
    with pytest.raises(MotionliftError, match="left, right or both"):
        ContactEdit("middle", 0, 1, stands=True)
    with pytest.raises(MotionliftError, match="first frame first"):
        ContactEdit("left", 5, 4, stands=True)


def test_edits_as_text() -> None:
    assert parse_edits("") == ()
    edits = parse_edits("left:100-120=off, both:7-9=on")
    assert edits == (ContactEdit("left", 100, 120, stands=False), ContactEdit("both", 7, 9, stands=True))
    with pytest.raises(MotionliftError, match="left:100-120=off"):
        parse_edits("left:100=off")


def test_a_foot_that_moves_or_is_high_does_not_stand() -> None:
    t = np.arange(60) / 30
    still, walking, high = (np.stack([v * t, 0 * t, h + 0 * t], -1) for v, h in ((0.1, 0.02), (1.5, 0.02), (0, 0.4)))
    feet = np.stack([still, walking, high], 1)
    found = believable(np.ones((60, 3), bool), feet, 0.0, np.ones(60, bool), 30)
    assert found[:, 0].all() and not found[:, 1:].any()
    assert not believable(np.zeros((60, 3), bool), feet, 0.0, np.ones(60, bool), 30).any()


def test_take_off_and_landing_are_believed() -> None:
    """A foot that flies at once at 4 m/s stood until then: the flight says nothing against its last frame."""
    stands = np.ones((60, 1), bool)
    stands[20:35] = False
    feet = np.zeros((60, 1, 3))
    feet[20:35, 0, 2] = 0.6 * np.sin(np.linspace(0.2, np.pi - 0.2, 15))
    assert (believable(stands, feet, 0.0, np.ones(60, bool), 30) == stands).all()
