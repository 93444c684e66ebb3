"""A capture that says the truth gets a perfect score; one that is wrong in a known way gets that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import default
from benchmarks.clips import LAYOUT, Clip, Recorded, Seen, all_clips, person_of, rendered
from benchmarks.default import KNOWN, figures, network_result, our_result, sigma_samples, turn_table, world_row
from benchmarks.performers.render import truth
from lifter.footage import Frame
from lifter.rotation import matrix_to_quat
from lifter.skeleton import layout_keypoints, load_skeleton
from lifter.take import SEEN, Camera, Person, Take
from tests.benchmarks.test_performers import SHOTS, motion

SKELETON = load_skeleton()


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    np.savez(tmp_path / "sit_truth.npz", **truth(SHOTS["sit"], motion("sit")))
    return rendered(tmp_path, "sit")


def perfect(clip: Clip) -> Take:
    """A take that is the truth itself."""
    assert clip.camera is not None and clip.rotations is not None and clip.contacts is not None
    R, t = clip.camera
    frames = len(clip.joints)
    layout = layout_keypoints(LAYOUT)
    keypoints = np.full((frames, len(layout), 2), np.nan, np.float32)
    for k, name in enumerate(layout):
        if name in clip.names:
            keypoints[:, k] = clip.pixels[:, clip.column(name)]
    canonical = (clip.joints - clip.joints[:, :1]) * (SKELETON.height / (clip.height or 1))
    person = Person(
        frames=np.arange(frames, dtype=np.int32),
        times=np.arange(frames) / 24,
        state=np.full(frames, SEEN, np.uint8),
        swapped=np.zeros(frames, bool),
        keypoints=keypoints,
        scores=np.isfinite(keypoints[..., 0]).astype(np.float32),
        lifted=canonical.astype(np.float32),
        sigma=np.full(canonical.shape[:2], 0.05, np.float32),
        contact=clip.contacts.astype(np.float32),
        down=np.tile(-clip.up, (frames, 1)).astype(np.float32),
        joints_camera=clip.joints.astype(np.float32),
        joints_world=((clip.joints - t) @ R).astype(np.float32),
        rotations=matrix_to_quat(R.T @ clip.rotations).astype(np.float32),
        offsets=np.zeros((len(clip.names), 3), np.float32),
        stands=clip.contacts,
        outlier=np.zeros(canonical.shape[:2], bool),
    )
    header = {
        "fps": 24.0, "skeleton": SKELETON.to_dict(), "detector": {"name": "x", "layout": LAYOUT},
        "settings": {"height": clip.height},
    }  # fmt: skip
    return Take(header, Camera(np.eye(3), R, t), (person,))


def result_of(clip: Clip, take: Take, monkeypatch: pytest.MonkeyPatch) -> default.Result:
    monkeypatch.setattr(default, "take_of", lambda *_: take)
    monkeypatch.setattr(default, "open_footage", lambda _: type("Footage", (), {"fps": 24.0}))
    return our_result(clip, "body", True, clip.path.parent)


def test_the_truth_gets_a_perfect_score(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    r = result_of(clip, perfect(clip), monkeypatch)
    for joints in (r, network_result(r)):
        f = figures(joints)
        assert max(f["MPJPE"], f["sized"], f["P-MPJPE"]) < 0.01
        assert f["liveliness"] == pytest.approx(1, abs=1e-3) and f["frames"] == len(clip.joints)
    row = world_row(r)
    assert row["F1"] == 1 and row["stands"] == 1 and row["gravity, frames"] < 0.05 and row["gravity, clip"] < 0.05
    assert row["root"] < 1e-4 and row["path"] < 0.1 and row["skate"] < 0.01 and row["floor"] < 0.01
    turns = turn_table({"sit": {KNOWN: r}})[2].split("|")[3:-1]
    assert all(float(x) < 0.2 for x in turns)
    predicted, observed = sigma_samples(r)
    assert np.allclose(predicted, 0.05) and observed.max() < 1e-5


def test_known_errors_are_reported_as_they_are(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    take = perfect(clip)
    person = take.people[0]
    tilted = np.array([[1, 0, 0], [0, np.cos(0.1), -np.sin(0.1)], [0, np.sin(0.1), np.cos(0.1)]])
    wrong = replace(
        person,
        joints_camera=(person.joints_camera * 1.1).astype(np.float32),
        joints_world=(person.joints_world + [0, 0, 0.03]).astype(np.float32),
        down=(person.down @ tilted.T).astype(np.float32),
        contact=np.ones_like(person.contact),
        lifted=(person.lifted + np.float32(0.02)).astype(np.float32),
    )
    r = result_of(clip, Take(take.header, take.camera, (wrong,)), monkeypatch)
    f = figures(r)
    assert f["MPJPE"] > 10 and f["sized"] < 0.01 and f["liveliness"] == pytest.approx(1.1, abs=1e-3)
    row = world_row(r)
    assert row["floor"] == pytest.approx(30, abs=0.1) and row["path"] < 0.1
    assert row["recall"] == 1 and row["precision"] == pytest.approx(float(clip.contacts.mean()), abs=1e-6)  # type: ignore[union-attr]
    axis = np.array([1.0, 0, 0])
    off_axis = np.linalg.norm(clip.up - (clip.up @ axis) * axis)
    assert np.radians(row["gravity, frames"]) == pytest.approx(2 * np.arcsin(np.sin(0.05) * off_axis), abs=1e-3)
    assert np.allclose(sigma_samples(r)[1], 0.02 * np.sqrt(3), atol=1e-4)


def test_somebody_else_is_not_taken_for_the_person(clip: Clip) -> None:
    take = perfect(clip)
    person = take.people[0]
    other = replace(person, keypoints=person.keypoints + np.float32(5000))
    assert person_of(Take(take.header, take.camera, (other, person)), clip) is person
    assert person_of(Take(take.header, take.camera, (other,)), clip) is None


def test_the_person_among_detections_is_the_nearest_or_nobody(clip: Clip) -> None:
    right = perfect(clip).people[0]
    xy = np.stack([right.keypoints + 3000, right.keypoints], 1)
    xy[4, 1] += 3000
    score = np.ones(xy.shape[:3], np.float32)
    world = np.zeros((*xy.shape[:3], 3), np.float32)
    found = Seen(xy, score, world, np.arange(len(xy)) / 24).person(clip)
    assert np.isnan(found.xy[4]).all() and not found.score[4].any()
    rest = np.delete(np.arange(len(xy)), 4)
    assert np.array_equal(found.xy[rest, 0], right.keypoints[rest], equal_nan=True)


def test_a_recording_must_fit_the_footage() -> None:
    xy, world = np.ones((2, 1, 33, 2), np.float32), np.zeros((2, 1, 33, 3), np.float32)
    score = np.repeat(np.array([1, 0], np.float32), 33).reshape(2, 1, 33)
    picture = np.zeros((4, 4, 3), np.uint8)
    recorded = Recorded(Seen(xy, score, world, np.array([0.0, 0.04])))
    assert [len(found) for found in recorded.detect([Frame(0, 0.0, picture), Frame(1, 0.04, picture)])] == [1, 0]
    recorded = Recorded(Seen(xy, score, world, np.array([0.0, 1.0])))
    with pytest.raises(ValueError, match="frame 0 was recorded at"):
        recorded.detect([Frame(0, 0.5, picture)])


def test_missing_performers_are_told_with_the_command_that_renders_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="python -m benchmarks"):
        all_clips(tmp_path)
