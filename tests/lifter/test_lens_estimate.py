from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import lifter
from lifter.camera import Lens, make_lens
from lifter.footage import Frame
from lifter.lens_estimate import FOVS, estimate_lens, most_likely
from lifter.motion import SolveSettings, solve_people
from lifter.skeleton import Skeleton
from lifter.take import Camera, Person

from .test_lens_metadata import jpeg
from .walking import FPS, LAYOUT, film, look, walk

FOCALS = np.array([make_lens(1280, 720, fov=f).focal for f in FOVS])
ASSUMED = make_lens(1280, 720).focal


def test_who_says_nothing_of_the_lens_gets_the_assumed_one() -> None:
    flat = np.ones((len(FOCALS), 3))
    focal, error = most_likely(FOCALS, flat, ASSUMED)
    assert focal == pytest.approx(ASSUMED, rel=0.05) and 0.28 < error < 0.36
    unknown = np.full((len(FOCALS), 3), np.nan)
    assert most_likely(FOCALS, unknown, ASSUMED) == pytest.approx((focal, error))


@pytest.mark.parametrize("true", [700.0, 1100.0, 2000.0])
def test_residuals_that_agree_are_believed(true: float) -> None:
    sharp = 0.01 + np.abs(np.log(FOCALS / true))[:, None] * np.ones(3)
    focal, error = most_likely(FOCALS, sharp, ASSUMED)
    assert focal == pytest.approx(true, rel=0.12) and error < 0.2


@pytest.mark.parametrize("true", [700.0, 1300.0, 2200.0])
def test_a_walk_whose_pose_is_known_tells_the_lens(body: Skeleton, true: float) -> None:
    """The network's part is played by the truth: only the path over the floor depends on the lens."""
    joints, contact = walk(body, 5.0)
    R, t = look(np.array([2.0, -2.0 - true / 250, 2.2]), np.array([0, -2.0, 0.8]))
    frames = len(joints)
    seen = film(body, joints, contact, np.tile(R, (frames, 1, 1)), np.tile(t, (frames, 1)), np.full(frames, true))
    settings = SolveSettings(height=1.682, smoothing="gaussian", strength=0.0, foot_lock=False)

    def solved(lens: Lens) -> tuple[Camera, Person]:
        camera, (person,), _ = solve_people((seen,), lens, body, LAYOUT, FPS, settings)
        return camera, person

    lens, error = estimate_lens(1280, 720, body, LAYOUT, solved)
    assert lens.source == "estimated" and error < 0.3
    off, plain = (abs(math.log(f / true)) for f in (lens.focal, ASSUMED))
    assert off < 0.2 and off < max(plain, 0.1)


def test_an_image_sequence_tells_its_lens(tmp_path: Path) -> None:
    """From the file to the take's header; a value that is given counts more."""
    from lifter.detect import Detection
    from lifter.footage import open_footage
    from lifter.take import load_take, save_take

    joints = np.load(Path(lifter.__file__).parent / "demo" / "demo_truth.npz")["keypoints"]
    names = [str(n) for n in np.load(Path(lifter.__file__).parent / "demo" / "demo_truth.npz")["joint_names"]]
    from lifter.skeleton import layout_keypoints

    for i in range(20):
        jpeg(tmp_path / f"{i:04d}.jpg", 28)

    class Known:
        name, layout, batch = "known", "coco17", 1
        count = 0

        def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
            xy = np.full((17, 2), np.nan, np.float32)
            for k, n in enumerate(layout_keypoints("coco17")):
                if n in names:
                    xy[k] = joints[self.count, names.index(n)] / 2
            self.count += 1
            return [[Detection(xy, np.isfinite(xy).all(-1).astype(np.float32), None)]]

        def close(self) -> None:
            pass

    assert open_footage(tmp_path).width == 640
    take = lifter.capture(tmp_path, detector=Known())
    told = 28 * math.hypot(640, 360) / math.hypot(36, 24)
    assert take.header["lens"] == {"focal": pytest.approx(told), "center": [320, 180], "source": "metadata"}
    assert load_take(save_take(take, tmp_path / "a.take.npz")).header["lens"]["source"] == "metadata"
    assert lifter.capture(tmp_path, detector=Known(), lens="assume").header["lens"]["source"] == "assumed"
    assert lifter.capture(tmp_path, detector=Known(), focal=500).header["lens"]["source"] == "given"
    found = lifter.capture(tmp_path, detector=Known(), lens="estimate").header["lens"]
    assert found["source"] == "estimated" and 0 < found["uncertainty"] < 0.4
