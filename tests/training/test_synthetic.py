from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lifter.metrics import compare, procrustes  # noqa: E402
from lifter.rotation import quat_to_matrix  # noqa: E402
from lifter.skeleton import Skeleton, layout_keypoints  # noqa: E402
from training.synthetic import (  # noqa: E402
    film,
    mirror_motion,
    pose_people,
    quaternions_to_matrices,
    random_cameras,
    random_people,
    wander,
)


def still(body: Skeleton, batch: int = 16, frames: int = 12) -> tuple:
    q = torch.zeros(batch, frames, len(body.bones), 4)
    q[..., 0] = 1
    return q, torch.zeros(batch, frames, 3), torch.ones(batch, frames, 4)


def test_people_differ_but_are_of_one_height_and_symmetric(body: Skeleton) -> None:
    offsets = random_people(body, 50, torch.Generator().manual_seed(0))
    identity = torch.eye(3).expand(50, 1, len(body.bones), 3, 3)
    joints = pose_people(body, identity, offsets)[:, 0]
    height = joints[:, body.joint("head_top"), 2] - joints[:, body.joint("l_heel"), 2]
    assert height.std() < 1e-5
    assert offsets.std(0)[body.joint("l_knee")].norm() > 0.005
    assert torch.allclose(joints[:, body.mirror.tolist()] * torch.tensor([-1.0, 1, 1]), joints, atol=1e-6)


def test_the_same_seed_gives_the_same_footage(body: Skeleton) -> None:
    a, b = (film(body, *still(body), torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(getattr(a, k), getattr(b, k)) for k in ("rays", "score", "size", "joints", "down"))


def test_cameras_look_at_the_person(body: Skeleton) -> None:
    rotation, distance = random_cameras(200, torch.Generator().manual_seed(0))
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(200), atol=1e-4)
    assert (distance > 1.5).all()
    # In most shots up in the scene is up in the picture.
    assert (rotation[:, 1, 2] < -0.7).float().mean() > 0.7


def test_clean_views_project_their_own_joints(body: Skeleton) -> None:
    """Rays of the joints, put at the depth that the size implies, differ from the truth by one translation."""
    views = film(body, *still(body), torch.Generator().manual_seed(1), noise=0.0, spread=0.0, layout="mediapipe33")
    seen = views.score[0, 0] > 0
    rays = views.rays * views.size[..., None, None]
    for clip in range(8):
        x, p = rays[clip, 5][seen].numpy(), views.joints[clip, 5][seen].numpy()
        rows = np.zeros((2 * len(x), 3))
        rows[0::2, 0] = rows[1::2, 1] = 1
        rows[0::2, 2], rows[1::2, 2] = -x[:, 0], -x[:, 1]
        target = np.stack([x[:, 0] * p[:, 2] - p[:, 0], x[:, 1] * p[:, 2] - p[:, 1]], -1).ravel()
        root, *_ = np.linalg.lstsq(rows, target, rcond=None)
        assert np.abs(rows @ root - target).max() < 1e-3 and root[2] > 1


def test_layouts_hide_what_they_lack(body: Skeleton) -> None:
    views = film(body, *still(body), torch.Generator().manual_seed(1), noise=0.0, layout="coco17")
    for j, name in enumerate(body.joint_names):
        assert bool((views.score[..., j] > 0).any()) == (name in layout_keypoints("coco17"))


def test_gravity_points_at_the_feet_of_somebody_who_stands(body: Skeleton) -> None:
    views = film(body, *still(body), torch.Generator().manual_seed(1), noise=0.0, spread=0.0)
    feet = views.joints[:, :, [body.joint("l_ankle"), body.joint("r_ankle")]].mean(2)
    assert (torch.nn.functional.cosine_similarity(feet, views.down, dim=-1) > 0.99).all()


def test_mirroring_twice_is_nothing(body: Skeleton) -> None:
    g = torch.Generator().manual_seed(0)
    q = torch.nn.functional.normalize(torch.randn(2, 3, len(body.bones), 4, generator=g), dim=-1)
    root, contact = torch.randn(2, 3, 3, generator=g), torch.rand(2, 3, 4, generator=g)
    again = mirror_motion(body, *mirror_motion(body, q, root, contact))
    assert all(torch.equal(a, b) for a, b in zip(again, (q, root, contact), strict=True))


def test_quaternions_agree_with_the_lifters() -> None:
    q = torch.nn.functional.normalize(torch.randn(50, 4, dtype=torch.float64), dim=-1)
    assert np.allclose(quaternions_to_matrices(q).numpy(), quat_to_matrix(q.numpy()))


def test_wandering_noise_is_slow_and_of_unit_size() -> None:
    x = wander((400, 5), 64, 16, torch.Generator().manual_seed(0))
    assert 0.6 < x.std() < 1.1 and x.diff(dim=1).std() < 0.15


def test_a_turned_and_scaled_pose_has_no_procrustes_error() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(4, 12, 3))
    turned = 1.7 * truth @ quat_to_matrix(np.array([0.5, 0.5, 0.5, 0.5])).T + [1, 2, 3]
    assert np.allclose(procrustes(turned, truth), truth)
    mirrored = procrustes(truth * [-1, 1, 1], truth)
    assert np.abs(mirrored - truth).max() > 0.1  # a mirror image is not the same pose


def test_figures_of_a_constant_offset_of_one_joint() -> None:
    truth = np.random.default_rng(0).normal(size=(20, 5, 3))
    predicted = truth.copy()
    predicted[:, 3, 0] += 0.1
    figures = compare(predicted, truth, np.array([0, 1]), 30)
    assert figures["MPJPE"] == pytest.approx(100 / 5) and figures["acceleration error"] == pytest.approx(0, abs=1e-9)
    assert figures["liveliness"] == pytest.approx(1)
