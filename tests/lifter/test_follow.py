"""Detectors that look at every n-th frame: which ones, and where keypoints are in between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import lifter
from lifter.capture import capture
from lifter.cli import main
from lifter.detect import Detection
from lifter.errors import MotionliftError
from lifter.follow import LONGEST, MOST, TRUST, detect_every, follow, frames_apart
from lifter.footage import Frame
from lifter.skeleton import layout_keypoints
from lifter.track import mirrored_keypoints

DEMO = Path(lifter.__file__).parent / "demo" / "demo.mp4"
COUNT = len(layout_keypoints("coco17"))


@pytest.mark.parametrize(
    ("every", "fps", "apart"),
    [("all", 240, 1), ("auto", 24, 2), ("auto", 30, 2), ("auto", 60, 5), ("auto", 120, 10), ("auto", 10, 1),
     ("auto", 1000, MOST), ("1", 30, 1), ("4", 30, 4), (MOST, 30, MOST)],
)  # fmt: skip
def test_frames_that_are_looked_at(every: str | int, fps: float, apart: int) -> None:
    assert frames_apart(every, fps) == apart
    assert every != "auto" or apart == 1 or apart / fps <= LONGEST + 1e-6


@pytest.mark.parametrize("every", ["0", "-2", "often", "2.5", "", str(MOST + 1)])
def test_other_numbers_are_errors(every: str) -> None:
    with pytest.raises(MotionliftError, match=f"Use all, auto or 1 to {MOST}"):
        frames_apart(every, 30)


def test_the_command_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.take.npz"
    assert main(["capture", str(DEMO), "-o", str(out), "--every", "0"]) == 2
    assert "every '0' frame" in capsys.readouterr().err
    assert not out.exists()


# Which frames


class Recorder:
    """Finds what it is told to find, and notes what it was asked."""

    name, layout = "recorder", "coco17"

    def __init__(self, people: Sequence[list[Detection]], batch: int = 1) -> None:
        self.people, self.batch, self.asked = people, batch, list[list[int]]()

    def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        self.asked.append([f.index for f in frames])
        return [self.people[f.index] for f in frames]

    def close(self) -> None: ...


def grey_frames(count: int, times: Sequence[float] | None = None) -> list[Frame]:
    picture = np.full((120, 160, 3), 90, np.uint8)
    return [Frame(i, i / 30 if times is None else times[i], picture) for i in range(count)]


def body(x: float, y: float, score: float = 0.9, who: int | None = None) -> Detection:
    """A body of random shape, the same always, with its left half to the left."""
    shape = np.random.default_rng(0).uniform(0, 40, (COUNT, 2))
    return Detection((shape + [x, y]).astype(np.float32), np.full(COUNT, score, np.float32), None, who)


@pytest.mark.parametrize(
    ("count", "every", "batch", "asked"),
    [
        (10, 3, 1, [[0], [3], [6], [9]]),
        (11, 3, 1, [[0], [3], [6], [9], [10]]),
        (9, 2, 2, [[0], [2, 4], [6, 8]]),
        (2, 5, 1, [[0], [1]]),
        (1, 5, 1, [[0]]),
        (0, 5, 1, []),
        (5, 1, 2, [[0, 1], [2, 3], [4]]),
    ],
)
def test_the_first_every_nth_and_the_last_are_looked_at(
    count: int, every: int, batch: int, asked: list[list[int]]
) -> None:
    detector = Recorder([[body(2 * i, i)] for i in range(count)], batch)
    seen = list(detect_every(iter(grey_frames(count)), detector, every))
    assert detector.asked == asked
    assert [frame.index for frame, _ in seen] == list(range(count))
    # On a plain picture nothing can be followed: straight lines, which is how this body moves.
    for frame, (found,) in seen:
        np.testing.assert_allclose(found.xy, body(2 * frame.index, frame.index).xy, atol=1e-3)


def test_true_times_say_how_far() -> None:
    detector = Recorder([[body(0, 0)], [], [], [body(20, 0)]])
    seen = list(detect_every(iter(grey_frames(4, [0, 0.01, 0.09, 0.1])), detector, 3))
    moved = [float((found[0].xy - body(0, 0).xy)[:, 0].mean()) for _, found in seen]
    assert moved == pytest.approx([0, 2, 18, 20], abs=1e-3)


def test_people_are_paired_and_strangers_are_not() -> None:
    left, right = (0, 0), (100, 60)
    people = [[body(*left), body(*right)], [], [body(102, 60), body(2, 0), body(50, 75)]]
    found = list(detect_every(iter(grey_frames(3)), Recorder(people), 2))[1][1]
    assert len(found) == 2
    for one, (x, y) in zip(found, [(1, 0), (101, 60)], strict=True):
        np.testing.assert_allclose(one.xy, body(x, y).xy, atol=1e-3)
    # Far away: somebody else came, and one left.
    found = list(detect_every(iter(grey_frames(3)), Recorder([[body(0, 0)], [], [body(100, 0)]]), 2))[1][1]
    assert found == []


def test_whoever_is_known_by_another_number_is_somebody_else() -> None:
    people = [[body(0, 0, who=1)], [], [body(1, 0, who=2), body(2, 0, who=1)]]
    (found,) = list(detect_every(iter(grey_frames(3)), Recorder(people), 2))[1][1]
    assert found.who == 1
    np.testing.assert_allclose(found.xy, body(1, 0).xy, atol=1e-3)


def test_exchanged_sides_do_not_cross() -> None:
    mirror = mirrored_keypoints("coco17")
    exchanged = body(4, 0)
    exchanged = Detection(exchanged.xy[mirror], exchanged.score[mirror])
    seen = list(detect_every(iter(grey_frames(5)), Recorder([[body(0, 0)], [], [], [], [exchanged]]), 4))
    for frame, (found,) in seen[:-1]:
        np.testing.assert_allclose(found.xy, body(frame.index, 0).xy, atol=1e-3)
    np.testing.assert_array_equal(seen[-1][1][0].xy, exchanged.xy)  # which tracking repairs, as ever


# Where keypoints are


def arc(u: NDArray[np.floating] | float) -> NDArray[np.float64]:
    """A way that bends: 30 pixels to the right, and 12 up and down again."""
    return np.stack([30 * np.asarray(u), -48 * np.asarray(u) * (1 - np.asarray(u))], -1)


def moving(count: int) -> tuple[list[NDArray[np.uint8]], NDArray[np.float64]]:
    """Pictures of a patch of noise that moves along `arc` over other noise, and points on it in the first picture."""
    rng = np.random.default_rng(1)
    ground = cv2.GaussianBlur(rng.integers(0, 255, (240, 320), dtype=np.uint8), (0, 0), 2)
    patch = cv2.GaussianBlur(rng.integers(0, 255, (150, 120), dtype=np.uint8), (0, 0), 2)
    pictures: list[NDArray[np.uint8]] = []
    for u in np.linspace(0, 1, count):
        x, y = arc(u) + [60, 70]
        shift = np.array([[1, 0, x], [0, 1, y]])
        over = cv2.warpAffine(patch, shift, (320, 240))
        mask = cv2.warpAffine(np.ones_like(patch), shift, (320, 240), flags=cv2.INTER_NEAREST)
        grey = np.where(mask > 0, over, ground).astype(np.uint8)
        pictures.append(np.repeat(grey[..., None], 3, -1))
    points = np.stack(np.meshgrid(np.linspace(75, 165, 4), np.linspace(85, 205, 5)), -1).reshape(-1, 2)
    return pictures, points


def test_bent_ways_are_followed() -> None:
    pictures, points = moving(7)
    at = np.arange(1, 6) / 6
    full = np.ones(len(points), np.float32)
    before = Detection(points.astype(np.float32), full)
    after = Detection((points + arc(1)).astype(np.float32), full)
    found = follow(before, after, pictures, at.tolist())
    truth = points + arc(at)[:, None]
    followed = np.linalg.norm(np.stack([d.xy for d in found]) - truth, axis=-1)
    straight = np.linalg.norm(points + at[:, None, None] * arc(1) - truth, axis=-1)
    assert straight.max() > 10
    assert np.median(followed) < 0.3 and followed.mean() < 0.1 * straight.mean()
    # Half-way is least sure.
    scores = np.stack([d.score for d in found])
    assert scores.min() == pytest.approx(TRUST) == pytest.approx(scores[2].max())
    assert (np.diff(scores[:3], axis=0) < 0).all() and (np.diff(scores[2:], axis=0) > 0).all()


def test_what_is_unsure_or_disagrees_moves_straight_and_what_is_missing_is_missing() -> None:
    pictures, points = moving(4)
    score = np.ones(len(points), np.float32)
    score[0], score[1] = 0.3, 0
    before = Detection(points.astype(np.float32), score)
    end = (points + arc(1)).astype(np.float32)
    end[2] += 40  # the detector says that it went somewhere else
    end[3] = np.nan
    after = Detection(end, np.where(np.arange(len(points)) == 3, 0, 1).astype(np.float32))
    for found, u in zip(follow(before, after, pictures, [1 / 3, 2 / 3]), (1 / 3, 2 / 3), strict=True):
        for k in (0, 2):
            np.testing.assert_allclose(found.xy[k], points[k] * (1 - u) + end[k] * u, atol=1e-3)
        assert np.isnan(found.xy[[1, 3]]).all() and (found.score[[1, 3]] == 0).all()
        assert found.score[0] < 0.3


def test_a_body_at_the_edge_is_followed() -> None:
    pictures, points = moving(3)
    for away in (-500.0, -150.0, 200.0, 500.0):
        body = Detection((points + away).astype(np.float32), np.ones(len(points), np.float32))
        (found,) = follow(body, body, pictures, [0.5])
        np.testing.assert_allclose(found.xy, body.xy, atol=2)


def test_capturing_every_third_frame_is_nearly_as_good() -> None:
    with np.load(DEMO.with_name("demo_truth.npz"), allow_pickle=False) as z:
        truth, names = z["keypoints"], [str(n) for n in z["joint_names"]]
    layout = layout_keypoints("mediapipe33")
    mine, other = zip(*[(layout.index(n), i) for i, n in enumerate(names) if n in layout], strict=True)
    errors: list[float] = []
    for every in ("all", 3):
        take = capture(DEMO, end=1.5, every=every)
        (person,) = take.people
        assert take.header["detector"]["every"] == (1 if every == "all" else 3)
        assert len(person.frames) >= 43
        off = person.keypoints[:, mine] - truth[person.frames][:, other]
        errors.append(float(np.nanmean(np.linalg.norm(off, axis=-1))))
    assert errors[0] < 10 and errors[1] < 1.1 * errors[0]
