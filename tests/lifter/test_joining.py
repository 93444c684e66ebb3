"""Which piece of a track goes on as which other."""

from __future__ import annotations

import numpy as np
import pytest

from lifter.detect import Detection
from lifter.joining import LOST_SECONDS, ODDS, SIGNS, join, link_signs, log_odds
from lifter.pieces import Piece
from lifter.skeleton import layout_keypoints
from lifter.track import mirrored_keypoints

MIRROR = mirrored_keypoints("coco17")
SHAPES = np.random.default_rng(1).uniform((-30, -90), (30, 90), (4, len(layout_keypoints("coco17")), 2))


def piece(who: int, first: int, last: int, x: float, speed: float, y: float = 300.0) -> Piece:
    """Frames first to last, at 30 a second, of somebody at x in frame 0 who walks `speed` pixels a second."""
    frames = np.arange(first, last + 1)
    xy = SHAPES[who] + np.stack([x + speed * frames / 30, np.full(len(frames), y)], -1)[:, None]
    found = [Detection(f.astype(np.float32), np.ones(len(f), np.float32)) for f in xy]
    return Piece([float(f) / 30 for f in frames], found)


def spans(people: list[Piece]) -> list[tuple[int, int, int]]:
    return sorted((round(p.times[0] * 30), round(p.times[-1] * 30), len(p.times)) for p in people)


@pytest.mark.parametrize("gap", [1, 8, 20, 45])
def test_somebody_goes_on_where_they_were_heading(gap: int) -> None:
    a, b = piece(0, 0, 30, 200, 60), piece(0, 30 + gap, 90, 200, 60)
    assert spans(join([b, a], MIRROR)) == [(0, 90, 31 + 61 - gap)]


def test_whoever_is_unseen_for_too_long_is_somebody_new() -> None:
    later = 30 + round(30 * LOST_SECONDS) + 2
    assert len(join([piece(0, 0, 30, 200, 0), piece(0, later, later + 30, 200, 0)], MIRROR)) == 2


def test_nobody_is_joined_across_the_picture() -> None:
    """However alike they are: nobody is so fast."""
    assert len(join([piece(0, 0, 30, 200, 60), piece(0, 31, 60, 1000, 60)], MIRROR)) == 2


def test_nobody_grows_from_a_small_thing_that_was_made_up() -> None:
    thing, person = piece(0, 0, 3, 200, 0), piece(0, 6, 60, 200, 0)
    for d in thing.detections:
        d.xy[:] = d.xy.mean(0) + (d.xy - d.xy.mean(0)) / 4
    assert len(join([thing, person], MIRROR)) == 2


def test_two_who_passed_each_other_are_told_apart_by_shape_height_and_heading() -> None:
    pieces = [
        piece(w, *span, x, v, y)
        for w, x, v, y in ((0, 100, 150, 300), (1, 400, -150, 320))
        for span in ((0, 25), (35, 70))
    ]
    rng = np.random.default_rng(0)
    people = join([pieces[i] for i in rng.permutation(4)], MIRROR)
    assert spans(people) == [(0, 70, 62), (0, 70, 62)]
    for person in people:
        x = [float(np.mean(d.xy[:, 0])) for d in person.detections]
        assert len(set(np.sign(np.diff(x)))) == 1


def test_joining_does_not_depend_on_order_and_loses_nothing() -> None:
    rng = np.random.default_rng(3)
    pieces: list[Piece] = []
    for _ in range(60):
        first = int(rng.integers(0, 300))
        last = first + int(rng.integers(0, 40))
        pieces.append(piece(int(rng.integers(4)), first, last, rng.uniform(0, 900), rng.normal(0, 80)))
    one, other = (join([pieces[i] for i in rng.permutation(60)], MIRROR) for _ in range(2))
    assert spans(one) == spans(other)
    kept = sorted(id(d) for p in one for d in p.detections)
    assert kept == sorted(id(d) for p in pieces for d in p.detections)
    assert all((np.diff(p.times) > 0).all() for p in one)


def test_no_pieces_and_pieces_that_share_no_keypoints() -> None:
    assert join([], MIRROR) == []
    a, b = piece(0, 0, 10, 0, 0), piece(0, 12, 20, 0, 0)
    for d in a.detections:
        d.xy[:9] = np.nan
    for d in b.detections:
        d.xy[9:] = np.nan
    assert len(join([a, b], MIRROR)) == 2


def test_the_table_fits_its_knots_and_likeness_never_speaks_against() -> None:
    assert set(ODDS) == set(SIGNS)
    for name, rows in ODDS.items():
        for row in rows:
            assert len(row) == len(SIGNS[name]) and row[0] == 0
            assert name in ("gap", "frames") or (np.diff(row) <= 0).all()
    _, _, near = link_signs([piece(0, 0, 30, 200, 60), piece(0, 35, 60, 200, 60)], MIRROR, 1.0)
    _, _, far = link_signs([piece(0, 0, 30, 200, 60), piece(1, 35, 60, 260, -60, 360)], MIRROR, 1.0)
    assert log_odds(near)[0] > 1 > -2 > log_odds(far)[0]
