"""Hands round the wrists: crops map back, small and hidden hands are left out, whole bodies bring their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lifter.detect import Detection, hands, kept, load_detector, with_hands
from lifter.detect.hands import CROP, HandFinder, Wrist, crop_matrix, cut, from_crop, hand_columns, own_hands, wrists
from lifter.detect.models import hand_model
from lifter.errors import MotionliftError
from lifter.footage import Frame, open_footage, read_frames
from lifter.hands import SMALLEST, measure_angles, no_hands
from lifter.skeleton import layout_keypoints


def somebody(layout: str, places: Mapping[str, tuple[float, float]], score: float = 0.9) -> Detection:
    names = layout_keypoints(layout)
    xy, scores = np.full((len(names), 2), np.nan, np.float32), np.zeros(len(names), np.float32)
    for name, at in places.items():
        xy[names.index(name)], scores[names.index(name)] = at, score
    return Detection(xy, scores)


UPRIGHT = {
    "l_shoulder": (320, 100), "r_shoulder": (280, 100), "l_hip": (315, 200), "r_hip": (285, 200),
    "l_elbow": (330, 150), "r_elbow": (270, 150), "l_wrist": (332, 200), "r_wrist": (268, 200),
}  # fmt: skip
"""Somebody of 360 pixels."""


class TestWrists:
    def test_with_knuckles_and_without(self) -> None:
        for layout in ("coco17", "mediapipe33"):
            more = {} if layout == "coco17" else {"l_index": (334, 221), "l_little": (330, 219)}
            columns = hands.body_columns(layout)
            assert columns is not None
            left, right = wrists(somebody(layout, UPRIGHT | more), columns)
            assert left is not None and right is not None
            for hand in (left, right):
                assert 36 < hand.length < 42
                assert hand.up[1] > 0.99 and hand.middle[1] > hand.at[1] + 10
            assert left.at[0] == 332

    def test_what_is_not_seen_has_none(self) -> None:
        columns = hands.body_columns("coco17")
        assert columns is not None
        assert wrists(somebody("coco17", {}), columns) == [None, None]
        only = {k: v for k, v in UPRIGHT.items() if k != "r_elbow"}
        left, right = wrists(somebody("coco17", only), columns)
        assert left is not None and right is None


def make_wrist(at: tuple[float, float], length: float, angle: float = 0.0, score: float = 1.0) -> Wrist:
    up = np.array([np.sin(angle), -np.cos(angle)])
    place = np.array(at, float)
    return Wrist(place, place + 0.45 * length * up, length, score, up)


class TestCrops:
    @pytest.mark.parametrize("angle", [0.0, 0.7, np.pi, -2.0])
    @pytest.mark.parametrize("length", [20.0, 90.0, 700.0])
    def test_map_back_to_the_picture(self, length: float, angle: float) -> None:
        """A bright square in the picture is where its place in the crop says, to half a pixel."""
        wrist = make_wrist((400.0, 420.0), length, angle)
        matrix = crop_matrix(wrist)
        side = max(2, round(length / 15))
        x, y = (wrist.middle + 0.2 * length).round().astype(int)
        rgb = np.zeros((1200, 1000, 3), np.uint8)
        rgb[y : y + side, x : x + side] = 255
        crop = cut(rgb, matrix)
        assert crop.shape == (CROP, CROP, 3)
        rows, columns = np.nonzero(crop[..., 0] > 100)
        weights = crop[rows, columns, 0].astype(float)
        middle = np.average(np.stack([columns, rows], -1) + 0.5, axis=0, weights=weights)
        np.testing.assert_allclose(from_crop(middle, matrix), [x + side / 2, y + side / 2], atol=0.35 + length / 300)

    def test_the_forearm_points_up(self) -> None:
        wrist = make_wrist((50.0, 60.0), 40.0, 2.2)
        matrix = crop_matrix(wrist)
        away = matrix[:, :2] @ wrist.up
        np.testing.assert_allclose(away / np.linalg.norm(away), [0, -1], atol=1e-9)
        np.testing.assert_allclose(hands.turn_back(np.array([[0, -1.0, 3.0]]), matrix)[0], [*wrist.up, 3.0], atol=1e-9)


class Fixed:
    """A detector that says the same of every frame."""

    name, batch = "fixed", 1

    def __init__(self, layout: str, people: list[Detection]) -> None:
        self.layout, self.people, self.closed = layout, people, False

    def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        return [self.people for _ in frames]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def model() -> Path:
    try:
        return hand_model()
    except MotionliftError as error:
        pytest.skip(f"needs the hand model: {error}")


@pytest.fixture
def finder(model: Path) -> Iterator[HandFinder]:
    found = HandFinder()
    yield found
    found.close()


def test_small_and_hidden_hands_are_not_looked_at(finder: HandFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def look(_rgb: object, _person: object, side: int, _wrist: object, _hands: object) -> None:
        looked.append(side)

    monkeypatch.setattr(finder, "_find", look)
    rgb = np.zeros((100, 100, 3), np.uint8)
    small, hidden = make_wrist((50, 50), SMALLEST - 1), make_wrist((50, 50), 60, score=0.1)
    (found,) = finder.find(rgb, 0.0, [[small, hidden]])
    assert looked == [] and found.size.tolist() == [SMALLEST - 1, 60] and (found.score == 0).all()
    finder.find(rgb, 0.1, [[None, make_wrist((50, 50), 60)]])
    assert looked == [1]


class Told:
    """In place of MediaPipe's network: finds a hand in a corner of what is not black; remembers the pictures."""

    def __init__(self, finds: bool) -> None:
        self.finds = finds
        self.black: list[bool] = []
        self.stamps: list[int] = []

    def detect_for_video(self, picture: Any, stamp: int) -> Any:
        black = not picture.numpy_view().any()
        self.black.append(black)
        self.stamps.append(stamp)
        if black or not self.finds:
            return SimpleNamespace(hand_landmarks=[])
        corner = SimpleNamespace(x=0.0, y=0.0, z=0.0)
        return SimpleNamespace(hand_landmarks=[[corner] * 21], hand_world_landmarks=[[corner] * 21])

    def close(self) -> None:
        pass


@pytest.mark.parametrize("finds", [True, False])
def test_a_black_picture_is_shown_only_to_a_network_that_follows_what_is_not_the_hand(
    finder: HandFinder, monkeypatch: pytest.MonkeyPatch, finds: bool
) -> None:
    network = Told(finds)
    monkeypatch.setattr(finder, "_start", lambda: network)
    rgb, hand = np.full((100, 100, 3), 200, np.uint8), make_wrist((50, 50), 60)
    for k, wrist in enumerate([hand, hand, None, hand]):
        finder.find(rgb, k / 30, [[wrist, make_wrist((50, 50), 60, score=0.1)]])
    assert network.black == ([False, True, False, True, False] if finds else [False] * 3)
    assert network.stamps == sorted(set(network.stamps))


def test_one_hand_found_from_two_wrists_belongs_to_the_one_it_fits() -> None:
    out = [no_hands(), no_hands()]
    people = [[make_wrist((100, 100), 80), make_wrist((110, 100), 80)], [make_wrist((900, 100), 80), None]]
    for person, side, score in ((0, 0, 0.4), (0, 1, 0.9), (1, 0, 0.9)):
        out[person].xy[side] = np.arange(42).reshape(21, 2) + (900 if person else 100)
        out[person].score[side], out[person].world[side] = score, 0.1
    hands._without_doubles(out, people, [(0, 0, 0.1), (0, 1, 0.1), (1, 0, 0.1)])
    assert (out[0].score[0] == 0).all() and np.isnan(out[0].xy[0]).all() and np.isnan(out[0].world[0]).all()
    assert (out[0].score[1] > 0.8).all() and (out[1].score[0] > 0.8).all()


@pytest.mark.parametrize("layout", ["wholebody133", "openpose67"])
def test_whole_bodies_bring_their_own(layout: str) -> None:
    names = layout_keypoints(layout)
    own = hand_columns(layout)
    assert own is not None
    assert [names[i] for i in own[0][0][:6]] == [
        "l_hand_root",
        "l_thumb_1",
        "l_thumb",
        "l_thumb_3",
        "l_thumb_tip",
        "l_index",
    ]
    assert names[own[0][1][20]] == "r_little_tip"
    body = Detection(
        np.arange(2 * len(names), dtype=np.float32).reshape(-1, 2), np.linspace(0.1, 1, len(names), dtype=np.float32)
    )
    found = own_hands(body, *own)
    np.testing.assert_array_equal(found.xy[1, 20], body.xy[names.index("r_little_tip")])
    np.testing.assert_array_equal(found.score[0], body.score[own[0][0]])
    detector, said = with_hands(Fixed(layout, [body]), "auto")
    ((person,),) = detector.detect([Frame(0, 0.0, np.zeros((9, 9, 3), np.uint8))])
    assert said is None and person.hands is not None and np.isnan(person.hands.world).all()
    detector.close()


def test_layouts_without_arms_and_missing_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What cannot be done is an error only where it was asked for."""
    fixed = Fixed("coco17", [])
    monkeypatch.setattr(hands, "body_columns", lambda _: None)
    with pytest.raises(MotionliftError, match="no wrists"):
        with_hands(fixed, "on")
    detector, said = with_hands(Fixed("coco17", []), "auto")
    assert said is None and detector.detect([Frame(0, 0.0, np.zeros((9, 9, 3), np.uint8))]) == [[]]
    monkeypatch.undo()
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path))
    monkeypatch.setenv("MOTIONLIFT_MEDIAPIPE_WHEEL", str(tmp_path / "none.whl"))
    with pytest.raises(MotionliftError, match=r"none\.whl"):
        with_hands(Fixed("coco17", []), "on")
    _, said = with_hands(Fixed("coco17", []), "auto")
    assert said is not None and said.startswith("Hands were not looked for: ") and "none.whl" in said


def test_kept_detections_keep_hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path))
    rng = np.random.default_rng(0)
    hand = no_hands()
    hand.xy[:], hand.size[:] = rng.random((2, 21, 2)), 40
    person = replace(somebody("coco17", UPRIGHT), hands=hand)
    kept.keep("a", kept.Detected([0, 1], [0.0, 0.1], [[person], [person, person]]), 10)
    back = kept.load("a")
    assert back is not None
    again = back.people[1][1].hands
    assert again is not None
    np.testing.assert_array_equal(again.xy, hand.xy)
    np.testing.assert_array_equal(again.size, hand.size)
    assert np.isnan(again.world).all()


def test_a_real_hand(shared: Path, model: Path) -> None:
    """Half a second of a man who reaches out, his left hand of 125 pixels before him: ring and little finger are
    bent; the hand lies at the wrist."""
    clip = open_footage(shared / "data" / "clips" / "pose2sim_multi_cam01.mp4")
    detector, _ = with_hands(load_detector("mediapipe"), "auto")
    found = [detector.detect([f])[0][0] for f in read_frames(clip, start=0.95, end=1.2)]
    detector.close()
    seen = [d for d in found if d.hands is not None and d.hands.score[0].mean() > 0.7]
    assert len(seen) > 0.8 * len(found)
    wrist = layout_keypoints("mediapipe33").index("l_wrist")
    for d in seen:
        assert d.hands is not None
        assert np.linalg.norm(d.hands.xy[0, 0] - d.xy[wrist]) < 0.4 * d.hands.size[0]
        assert 100 < d.hands.size[0] < 150
    bends = np.degrees(np.median([measure_angles(d.hands.world[0]) for d in seen if d.hands is not None], 0))
    assert bends[3:, 1:3].sum(-1).min() > 50, "ring and little finger are bent"
