from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lifter.detect import Detection
from lifter.errors import MotionliftError
from lifter.skeleton import layout_keypoints, mirror_name
from lifter.track import Tracking, choose_people, find_swaps, track_people

NAMES = layout_keypoints("coco17")
MIRROR = [NAMES.index(mirror_name(n)) for n in NAMES]


def walking(frames: int, seed: int = 0, width: float = 25.0) -> np.ndarray:
    """(T, 17, 2) pixels of somebody who walks to the right; limbs swing past each other."""
    rng = np.random.default_rng(seed)
    shape = rng.normal(size=(17, 2)) * [0, 60]
    side = np.array([1 if n.startswith("l_") else -1 if n.startswith("r_") else 0 for n in NAMES])
    t = np.arange(frames)[:, None] / 30
    x = 300 + 60 * t + width * side + 30 * side * np.sin(2 * np.pi * 0.9 * t + shape[:, 1])
    y = 240 + shape[:, 1] + 5 * np.sin(2 * np.pi * 1.8 * t)
    return np.stack([x, y], -1) + rng.normal(size=(frames, 17, 2)) * 0.7


def detections(xy: np.ndarray) -> list[list[Detection]]:
    return [[Detection(x.astype(np.float32), np.ones(17, np.float32))] for x in xy]


@pytest.mark.parametrize("burst", [(20, 40), (0, 15), (100, 120), (50, 53)])
def test_bursts_of_exchanged_sides_are_found_to_the_frame(burst: tuple[int, int]) -> None:
    xy = walking(120)
    xy[slice(*burst)] = xy[slice(*burst)][:, MIRROR]
    expected = np.zeros(120, bool)
    expected[slice(*burst)] = True
    found = find_swaps(xy, np.ones(120, bool), "coco17")
    assert (found == expected).mean() > 0.97


def test_a_clean_walk_is_left_alone() -> None:
    for seed in range(5):
        assert not find_swaps(walking(150, seed, width=6.0), np.ones(150, bool), "coco17").any()


def test_short_clips_have_no_swaps() -> None:
    for frames in (1, 2):
        assert not find_swaps(walking(frames), np.ones(frames, bool), "coco17").any()


def test_frames_of_a_constant_rate_are_taken_as_they_are() -> None:
    xy = walking(60)
    times = [round(i / 29.97, 3) for i in range(60)]
    (track,) = track_people(times, detections(xy), "coco17", 29.97)
    assert (track.frames == np.arange(60)).all() and track.seen.all()
    assert np.allclose(track.xy, xy, atol=1e-3)


def test_a_variable_rate_is_resampled_at_the_true_times() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.02, 0.05, 90)) - 0.02
    times -= times[0]
    xy = np.stack([np.stack([100 + 50 * times + 3 * k, 200 + 0 * times + 10 * k], -1) for k in range(17)], 1)
    (track,) = track_people(times.tolist(), detections(xy), "coco17", 30.0)
    assert np.abs(track.xy[:, 0, 0] - (100 + 50 * track.frames / 30))[track.seen].max() < 0.6


def test_somebody_else_is_a_new_person_and_gaps_are_marked() -> None:
    xy = walking(200)
    found = detections(xy)
    for i in range(60, 75):
        found[i] = []
    for i in range(120, 200):
        found[i] = detections(xy[i : i + 1] + [600, 0])[0]
    tracks = track_people([i / 30 for i in range(200)], found, "coco17", 30.0)
    assert len(tracks) == 2
    first, second = tracks
    assert first.frames[0] == 0 and first.frames[-1] == 119 and (~first.seen).sum() == 15
    assert second.frames[0] == 120


def test_two_people_who_stand_still_keep_their_tracks() -> None:
    a, b = walking(60), walking(60, 3) + [400, 0]
    found = [[*d, *e] if i % 2 else [*e, *d] for i, (d, e) in enumerate(zip(detections(a), detections(b), strict=True))]
    tracks = track_people([i / 30 for i in range(60)], found, "coco17", 30.0)
    assert len(tracks) == 2 and all(t.seen.all() and np.ptp(t.xy[:, 0, 0]) < 250 for t in tracks)


def test_a_made_up_body_at_the_entry_is_left_out() -> None:
    """As somebody's head enters the picture, a detector sees another small body in every frame."""
    xy = walking(90)
    rng = np.random.default_rng(5)
    for i in range(6):
        xy[i] = xy[6, 0] + rng.normal(size=(17, 2)) * 12
    (track,) = track_people([i / 30 for i in range(90)], detections(xy), "coco17", 30.0)
    assert track.frames[0] == 6 and track.seen.all()


def test_one_made_up_frame_within_a_walk_becomes_a_gap() -> None:
    xy = walking(90)
    xy[40] = xy[40].mean(0) + np.random.default_rng(5).normal(size=(17, 2)) * 12
    (track,) = track_people([i / 30 for i in range(90)], detections(xy), "coco17", 30.0)
    # Its neighbours are near enough in time to be joined by a line.
    assert len(track.frames) == 90 and np.abs(track.xy[40] - (xy[39] + xy[41]) / 2).max() < 1


def test_furniture_that_flickers_like_a_body_is_left_out() -> None:
    person = walking(90)
    rng = np.random.default_rng(7)
    table = rng.normal(size=(17, 2)) * 15 + [900, 100]
    found = detections(person)
    for i in range(20, 70):
        flicker = (table + rng.normal(size=(17, 2)) * 2.5).astype(np.float32)
        found[i].append(Detection(flicker, np.full(17, 0.9, np.float32)))
    (track,) = track_people([i / 30 for i in range(90)], found, "coco17", 30.0)
    assert np.nanmax(track.xy[..., 0]) < 800


def crossing(seed: int = 0, hidden: tuple[int, int] = (55, 68)) -> tuple[list[list[Detection]], np.ndarray, np.ndarray]:
    """Two people who walk past each other; the one behind is not found while they are close."""
    rng = np.random.default_rng(seed)
    a = walking(120, seed) + np.arange(120)[:, None, None] * [2.0, 0]
    b = walking(120, seed + 9) * [-1, 1] + [1110, 12] - np.arange(120)[:, None, None] * [2.0, 0]
    found = []
    for t in range(120):
        now = [a[t]] if hidden[0] <= t < hidden[1] else [a[t], b[t]]
        listed = [Detection(x.astype(np.float32), np.ones(17, np.float32)) for x in now]
        found.append([listed[i] for i in rng.permutation(len(listed))])
    return found, a, b


@pytest.mark.parametrize("seed", range(4))
def test_people_who_pass_each_other_keep_their_tracks(seed: int) -> None:
    found, a, b = crossing(seed)
    tracks = track_people([i / 30 for i in range(120)], found, "coco17", 30.0)
    assert len(tracks) == 2
    for track, truth in zip(tracks, (a, b), strict=True):
        assert track.frames[0] == 0 and track.frames[-1] == 119
        away = np.linalg.norm(track.xy - truth[track.frames], axis=-1)[track.seen].max(-1)
        assert (away < 60).mean() > 0.97


def test_two_who_vanish_together_go_on_the_way_they_went() -> None:
    found, a, b = crossing()
    for t in range(54, 66):
        found[t] = []
    tracks = track_people([i / 30 for i in range(120)], found, "coco17", 30.0)
    assert len(tracks) == 2
    ends = sorted(float(np.nanmean(t.xy[-1, :, 0])) for t in tracks if t.frames[0] == 0)
    assert np.allclose(ends, sorted((a[-1, :, 0].mean(), b[-1, :, 0].mean())), atol=2)
    assert all(
        np.sign(np.nanmean(t.xy[-1, :, 0] - t.xy[0, :, 0])) == (1 if t.xy[0, 0, 0] < 600 else -1) for t in tracks
    )


def two_who_stop_behind_a_pillar(swap: bool, dressed: bool) -> list[list[Detection]]:
    """Two of one shape walk up to a pillar from either side, are not seen for a second, and two come out, slowly."""
    colours = np.zeros((2, 3, 3), np.float32)
    colours[0, :] = 70, 5, 10
    colours[1, :] = 20, 0, -15
    shape = walking(1)[0] - walking(1)[0].mean(0)
    found: list[list[Detection]] = []
    for t in range(90):
        now: list[Detection] = []
        for person in (0, 1):
            if 30 <= t < 60:
                continue
            side = (-1, 1)[person] if t < 30 else (-1, 1)[person ^ (not swap)]
            x = 400 + side * (30 + 3 * abs(t - 44.5))
            wobble = np.random.default_rng(100 * t + person).normal(size=(17, 2))
            own = colours[person] + np.float32(np.random.default_rng(t).normal(0, 3))
            body = (shape + [x, 300] + wobble).astype(np.float32)
            now.append(Detection(body, np.ones(17, np.float32), colours=own if dressed else None))
        found.append(now)
    return found


@pytest.mark.parametrize("swap", [False, True])
def test_clothes_tell_who_comes_out_from_behind_a_pillar(swap: bool) -> None:
    """Whether they turn back or go on, which paths cannot tell; without colours both cases have one answer."""
    times = [i / 30 for i in range(90)]
    tracks = track_people(times, two_who_stop_behind_a_pillar(swap, True), "coco17", 30)
    assert len(tracks) == 2
    for track in tracks:
        first, last = track.xy[0, 0, 0] < 400, track.xy[-1, 0, 0] < 400
        assert (first == last) == swap
    plain = [
        [t.xy[[0, -1], 0, 0] for t in track_people(times, two_who_stop_behind_a_pillar(s, False), "coco17", 30)]
        for s in (False, True)
    ]
    assert len(plain[0]) == len(plain[1])
    for a, b in zip(*plain, strict=True):
        assert np.allclose(a, b, atol=5)


@pytest.mark.parametrize("dressed", [False, True])
def test_who_jumps_stays_one_person(dressed: bool) -> None:
    """What MediaPipe saw of the benchmark's performer who jumps twice, in the air for 0.4 s each, arms thrown up; and
    her clothes, as far as light and shade changed them."""
    usual, change = (
        np.float32([[42, 46, -3], [47, 6, -32], [30, 3, -19]]),
        np.float32([[10, 7, 2], [7, 1, 4], [5, 1, 4]]),
    )

    def clothes(frame: int) -> np.ndarray | None:
        return usual + np.float32(np.sin(frame / 10)) * change if dressed else None

    with np.load(Path(__file__).parent / "data" / "jump_seen.npz", allow_pickle=False) as z:
        seen = [
            [Detection(x, s, colours=clothes(i))]
            for i, (x, s) in enumerate(zip(z["xy"].astype(np.float32), z["score"].astype(np.float32), strict=True))
        ]
        (track,) = track_people(z["times"].tolist(), seen, "mediapipe33", 30.0)
    assert len(track.frames) == len(seen) and track.seen.all()


def test_numbers_that_somebody_else_gave_are_kept() -> None:
    xy = walking(60)
    found = [
        [Detection(xy[t].astype(np.float32), np.ones(17, np.float32), None, 4 if t < 30 else 9)] for t in range(60)
    ]
    assert len(track_people([i / 30 for i in range(60)], found, "coco17", 30.0)) == 2


def test_people_are_chosen_by_number_or_by_how_much_they_are_seen() -> None:
    found, _, _ = crossing()
    tracks = track_people([i / 30 for i in range(120)], found, "coco17", 30.0)
    assert choose_people(tracks, "all") == tracks and choose_people(tracks, "most") == tracks[:1]
    assert choose_people(tracks, "2") == tracks[1:] and choose_people(tracks, "2, 1") == tracks
    for wrong in ("3", "0", "everybody", ""):
        with pytest.raises(MotionliftError, match=r"no person|cannot be chosen"):
            choose_people(tracks, wrong)


@pytest.mark.parametrize("numbered", [0, 40, 120], ids=["no numbers", "numbers at first", "numbers"])
def test_people_fed_frame_by_frame_are_those_of_all_frames_at_once(numbered: int) -> None:
    """Also where results are asked for on the way, and where it shows late that not everybody has a number."""
    found, _, _ = crossing()
    times = [i / 30 for i in range(120)]
    whole = track_people(times, found, "coco17", 30.0)
    for t in range(numbered):  # the numbers are wrong, for the order of detections is drawn
        found[t] = [replace(d, who=i) for i, d in enumerate(found[t])]
    if numbered == len(found):
        whole = track_people(times, found, "coco17", 30.0)
    tracking = Tracking("coco17", 30.0)
    for now, people in zip(times, found, strict=True):
        tracking.add(now, people)
        if now == 2.0:
            assert len(tracking.tracks()) >= 1
    parts = tracking.tracks()
    assert len(whole) == len(parts) == 2
    for a, b in zip(whole, parts, strict=True):
        for name in ("frames", "xy", "score", "seen", "swapped"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
