from __future__ import annotations

import numpy as np
import pytest

from lifter.camera import follow_person, look_at, make_lens, pixels_to_rays, project, smooth_path, turn_rays
from lifter.errors import MotionliftError


def test_lens_from_focal_length_and_from_angle() -> None:
    assert make_lens(1920, 1080, focal=1500).focal == 1500
    assert make_lens(1920, 1080, fov=90).focal == pytest.approx(960)
    assert make_lens(1080, 1920).source == "assumed"


@pytest.mark.parametrize("bad", [{"focal": -1}, {"focal": float("nan")}, {"fov": 200}, {"focal": 900, "fov": 50}])
def test_impossible_lenses_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(MotionliftError):
        make_lens(640, 480, **bad)


def test_rays_invert_projection() -> None:
    lens = make_lens(1280, 720, focal=1000)
    points = np.random.default_rng(0).normal(size=(20, 3)) + [0, 0, 5]
    assert np.allclose(pixels_to_rays(project(points, lens.K), lens), points[:, :2] / points[:, 2:])


def test_look_at_brings_the_ray_to_the_axis() -> None:
    rays = np.random.default_rng(0).normal(size=(50, 2))
    r = look_at(rays)
    turned = np.einsum("nij,nj->ni", r, np.concatenate([rays, np.ones((50, 1))], -1))
    assert np.allclose(turned[:, :2], 0) and (turned[:, 2] > 0).all()
    assert np.allclose(r @ r.swapaxes(-1, -2), np.eye(3))


def test_turning_rays_is_turning_points() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4, 9, 3)) * 0.3 + [0.5, -0.2, 4]
    r = look_at(np.tile([0.1, -0.05], (4, 1)))
    turned = np.einsum("tij,tkj->tki", r, points)
    assert np.allclose(turn_rays(points[..., :2] / points[..., 2:], r), turned[..., :2] / turned[..., 2:])


def test_smooth_path_bridges_missing_frames_and_keeps_constants() -> None:
    values, weights = np.full((50, 2), 3.0), np.ones(50)
    values[20:25], weights[20:25] = 1e6, 0
    assert np.allclose(smooth_path(values, weights, 5.0), 3.0)


def test_the_same_person_looks_the_same_anywhere_in_the_picture() -> None:
    """A person on the optical axis and the same one at the edge of the picture give the network one view."""
    rng = np.random.default_rng(2)
    person = rng.normal(size=(1, 12, 3)) * [0.3, 0.6, 0.2]
    axis = person + [0, 0, 4.0]
    edge = np.einsum("ij,tkj->tki", look_at(np.array([[0.5, 0.2]]))[0].T, axis)
    score, weight = np.ones((1, 12)), np.ones(12)
    a = follow_person(axis[..., :2] / axis[..., 2:], score, weight, 5.0)
    b = follow_person(edge[..., :2] / edge[..., 2:], score, weight, 5.0)
    assert np.allclose(a[2], b[2], rtol=0.03)
    # Up to the middle, which is a mean on the picture's plane, and a roll about the axis.
    assert np.allclose(np.linalg.norm(a[1], axis=-1), np.linalg.norm(b[1], axis=-1), atol=0.06)


def test_missing_joints_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    rays, score = rng.normal(size=(30, 6, 2)) * 0.1, np.ones((30, 6))
    score[:, 4] = 0
    other = rays.copy()
    other[:, 4] = 77.0
    for a, b in zip(
        follow_person(rays, score, np.ones(6), 4.0), follow_person(other, score, np.ones(6), 4.0), strict=True
    ):
        assert np.allclose(a, b)


def test_numpy_and_torch_agree() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    rays, score = rng.normal(size=(3, 40, 6, 2)) * 0.2, (rng.random((3, 40, 6)) > 0.2).astype(float)
    arrays = follow_person(rays, score, np.ones(6), 4.0)
    tensors = follow_person(torch.tensor(rays), torch.tensor(score), torch.ones(6, dtype=torch.float64), 4.0)
    for a, b in zip(arrays, tensors, strict=True):
        assert np.allclose(a, b.numpy())
