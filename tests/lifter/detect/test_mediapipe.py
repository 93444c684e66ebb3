from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from lifter.detect import Detection, Detector, load_detector
from lifter.detect import mediapipe as mp
from lifter.detect.models import pose_model
from lifter.errors import MotionliftError
from lifter.footage import Frame, open_footage, read_frames
from lifter.skeleton import layout_keypoints

KNOWN = {  # keypoints that are joints of the triangulated truth
    "r_shoulder": "RShoulder",
    "r_elbow": "RElbow",
    "r_wrist": "RWrist",
    "l_shoulder": "LShoulder",
    "r_hip": "RHip",
    "r_knee": "RKnee",
    "r_ankle": "RAnkle",
    "l_hip": "LHip",
    "l_knee": "LKnee",
    "l_ankle": "LAnkle",
}
AHEAD = 2
"""The truth of that clip runs before its pictures by 1.75 frames (optical flow says so, without any detector)."""


def at(detector: Detector, rgb: np.ndarray, time: float) -> list[Detection]:
    """The people in one picture."""
    (found,) = detector.detect([Frame(0, time, rgb)])
    return found


@pytest.fixture
def detector() -> Iterator[Detector]:
    try:
        pose_model()
    except MotionliftError as error:
        pytest.skip(f"needs the pose model: {error}")
    found = load_detector("mediapipe")
    yield found
    found.close()


@pytest.fixture(scope="session")
def pictures(shared: Path) -> list[np.ndarray]:
    """Frames of a man of 700 pixels; others beside him are painted over."""
    clip = open_footage(shared / "data" / "clips" / "pose2sim_multi_cam01.mp4")
    frames = [f.rgb for f in read_frames(clip, end=0.7)]
    for rgb in frames:
        rgb[760:, 600:] = 90
        rgb[270:770, :135] = 200
    return frames


@pytest.fixture(scope="session")
def truth(shared: Path) -> np.ndarray:
    """(T, K, 2) pixels of KNOWN in the first camera, frame by frame of its pictures."""
    with np.load(shared / "data" / "clips" / "pose2sim_truth.npz") as z:
        names = [str(n) for n in z["joints"]]
        points = z["xyz_world_m"][:, [names.index(n) for n in KNOWN.values()]].astype(np.float64)
        rotation = cv2.Rodrigues(z["R"][0])[0]
        flat, _ = cv2.projectPoints(points.reshape(-1, 3), rotation, z["t"][0], z["K"][0], z["dist"][0])
    return np.concatenate([np.full((AHEAD, len(KNOWN), 2), np.nan), flat.reshape(*points.shape[:2], 2)])


def picked(xy: np.ndarray) -> np.ndarray:
    names = layout_keypoints("mediapipe33")
    return xy[..., [names.index(n) for n in KNOWN], :]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(MotionliftError, match=r"nobody.*mediapipe"):
        load_detector("nobody")


class TestOnAPerson:
    def test_keypoints_lie_on_the_joints(
        self, detector: Detector, pictures: list[np.ndarray], truth: np.ndarray, capfd: pytest.CaptureFixture[str]
    ) -> None:
        errors: list[np.ndarray] = []
        for i, rgb in enumerate(pictures):
            (person,) = at(detector, rgb, i / 60)
            assert person.xy.shape == (33, 2) and person.score.shape == (33,) and person.xy.dtype == np.float32
            assert person.world is not None and person.world.shape == (33, 3)
            assert 1.2 < np.ptp(person.world[:, 1]) < 2.2  # metres, a man standing
            errors.append(np.linalg.norm(picked(person.xy) - truth[i], axis=-1))
        # The truth is good to 2 or 3 cm, which is 12 pixels here, and MediaPipe means other points by "hip".
        assert np.nanmedian(errors[8:]) < 25
        assert capfd.readouterr().err == ""

    def test_the_size_of_the_picture_does_not_matter(self, detector: Detector, pictures: list[np.ndarray]) -> None:
        large = cv2.resize(pictures[0], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        wide = cv2.copyMakeBorder(pictures[0], 0, 0, 0, 1600, cv2.BORDER_CONSTANT, value=(128, 128, 128))
        (one,) = at(detector, pictures[0], 0)
        for other, scale in ((large, 2), (wide, 1)):
            again = load_detector("mediapipe")
            (two,) = at(again, other, 0)
            again.close()
            assert np.median(np.linalg.norm(picked(two.xy) / scale - picked(one.xy), axis=-1)) < 8

    def test_what_is_cut_off_has_no_score(self, detector: Detector, pictures: list[np.ndarray]) -> None:
        (person,) = at(detector, np.ascontiguousarray(pictures[0][:900]), 0)  # below the knees
        names = layout_keypoints("mediapipe33")
        outside = person.xy[:, 1] >= 900
        assert outside[names.index("l_toe")] and outside[names.index("r_toe")]
        assert (person.score[outside] == 0).all() and np.isfinite(person.xy).all()
        assert (person.score[[names.index("l_shoulder"), names.index("r_shoulder")]] > 0.9).all()

    def test_times_that_are_the_same_or_fall_are_no_error(self, detector: Detector, pictures: list[np.ndarray]) -> None:
        for time in (0.0, 0.0, 0.0004, 0.5, 0.1):
            assert len(at(detector, pictures[0], time)) == 1

    def test_a_mirrored_view_is_read_as_it_is_seen(self, detector: Detector, pictures: list[np.ndarray]) -> None:
        view = pictures[0][:, ::-1]  # not contiguous
        (seen,), again = at(detector, view, 0), load_detector("mediapipe")
        (copied,) = at(again, view.copy(), 0)
        again.close()
        assert np.array_equal(seen.xy, copied.xy)

    def test_nobody_is_there(self, detector: Detector) -> None:
        assert at(detector, np.full((240, 320, 3), 90, np.uint8), 0.0) == []

    def test_two_people(self, detector: Detector, shared: Path) -> None:
        clip = open_footage(shared / "data" / "clips" / "pose2sim_multi_cam01.mp4")
        pair = load_detector("mediapipe", people=2)
        found = [pair.detect([frame])[0] for frame in read_frames(clip, end=0.15)][-1]
        pair.close()
        assert len(found) == 2
        assert np.linalg.norm(found[0].xy.mean(0) - found[1].xy.mean(0)) > 200


class TestParts:
    def test_score_is_visibility_times_presence_inside_only(self) -> None:
        marks = np.zeros((33, 4), np.float32)
        marks[:4] = [[0.5, 0.25, 0.8, 0.5], [0, 0, 0, 1], [0.5, 1.0, 1, 1], [-0.01, 0.5, 1, 1]]
        found = mp.make_detection(marks, np.zeros((33, 3), np.float32), 200, 100)
        assert found.xy[0].tolist() == [100, 25] and found.xy[2].tolist() == [100, 100]
        assert found.score[:4] == pytest.approx([0.4, mp.FAINTEST, 0, 0])

    def test_quiet_restores_stderr(self, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(RuntimeError), mp.quiet():
            os.write(2, b"noise")
            raise RuntimeError
        os.write(2, b"news")
        assert capfd.readouterr().err == "news"


class TestVersions:
    @pytest.mark.parametrize("version", ["1.0.0", "1.0.0rc1", "2.3"])
    def test_those_that_report_to_their_maker_are_not_even_imported(
        self, version: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mp, "version", lambda _: version)
        monkeypatch.setattr(mp, "import_module", lambda name: pytest.fail(f"imported {name}"))
        with pytest.raises(MotionliftError, match=r"reports usage.*<1\.0"):
            load_detector("mediapipe")

    def test_a_broken_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "mediapipe", None)
        with pytest.raises(MotionliftError, match=r"cannot be loaded.*pip install"):
            load_detector("mediapipe")
