from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lifter.metrics import compare, procrustes  # noqa: E402
from lifter.rotation import quat_to_matrix  # noqa: E402
from lifter.skeleton import Skeleton, layout_keypoints, load_skeleton  # noqa: E402
from tests.training.test_prepare import hand, upper  # noqa: E402
from training.bodies import mirror_motion  # noqa: E402
from training.detector_noise import keypoint_errors  # noqa: E402
from training.noise import load_noise  # noqa: E402
from training.synthetic import Views, draw_layouts, film, random_directions, random_shots, seen_places, wrong_lens  # noqa: E402


def still(body: Skeleton, batch: int = 16, frames: int = 12) -> tuple:
    q = torch.zeros(batch, frames, len(body.bones), 4)
    q[..., 0] = 1
    return q, torch.zeros(batch, frames, 3), torch.ones(batch, frames, 4)


def test_the_same_seed_gives_the_same_footage(body: Skeleton) -> None:
    a, b = (film(body, *still(body), torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(getattr(a, k), getattr(b, k)) for k in ("rays", "score", "size", "joints", "down"))


def test_cameras_stand_on_all_sides_and_mostly_upright() -> None:
    turn = random_directions(2000, torch.Generator().manual_seed(0))
    assert torch.allclose(turn @ turn.mT, torch.eye(3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(turn), torch.ones(2000), atol=1e-4)
    # In most shots up in the scene is up in the picture; some look from far above, some are rolled.
    assert 0.8 < (turn[:, 1, 2] < -0.7).float().mean() < 0.97
    elevation, yaw = -turn[:, 2, 2].asin(), torch.atan2(turn[:, 2, 1], turn[:, 2, 0])
    assert (elevation > 0.6).float().mean() > 0.05 and (elevation < -0.1).float().mean() > 0.05
    assert all((yaw > a).float().mean() == pytest.approx((np.pi - a) / (2 * np.pi), abs=0.05) for a in (-2, 0, 2))
    roll = torch.atan2(turn[:, 0, 2], -turn[:, 1, 2])
    assert 0.02 < (roll.abs() > np.radians(20)).float().mean() < 0.2


def test_shots_have_lenses_formats_and_distances_of_all_kinds() -> None:
    still_path = torch.zeros(4000, 3, 3)
    shots = random_shots(still_path, 1.7, torch.Generator().manual_seed(0))
    fov = 2 * shots.half.amax(-1).atan().rad2deg()
    assert fov.min() >= 28 - 1e-3 and fov.max() <= 84 + 1e-3 and (fov > 60).float().mean() > 0.2
    wide = shots.half[:, 0] > shots.half[:, 1]
    assert 0.45 < wide.float().mean() < 0.65 and (shots.half[:, 0] < shots.half[:, 1]).float().mean() > 0.25
    share = 1.7 / (2 * shots.half[:, 1] * shots.distance)
    assert share.min() > 0.2 and (share > 1.15).float().mean() > 0.05 and 0.5 < share.median() < 0.75
    assert shots.distance.min() >= 1.3 and shots.distance.max() <= 25
    assert (shots.distance < 2.5).float().mean() > 0.08 and (shots.distance > 8).float().mean() > 0.08
    # The body is in the picture, and not always in its middle.
    at = torch.einsum("bij,j->bi", shots.off, torch.tensor([0, 0, 1.0]))
    at = (at[:, :2] / at[:, 2:]).abs() / shots.half
    assert at.max() < 0.61 and (at[:, 0] > 0.3).float().mean() > 0.2


def test_most_cameras_keep_somebody_who_walks_off_in_the_picture() -> None:
    path = torch.linspace(-4, 4, 30)[None, :, None] * torch.tensor([1.0, 0, 0])
    shots = random_shots(path.expand(1000, -1, -1), 1.7, torch.Generator().manual_seed(0))
    seen = torch.einsum("bij,btj->bti", shots.turn, path.expand(1000, -1, -1))
    seen[..., 2] += shots.distance[:, None]
    seen = torch.einsum("bij,btj->bti", shots.off, seen)
    inside = ((seen[..., :2] / seen[..., 2:]).abs() < shots.half[:, None]).all(-1) & (seen[..., 2] > 0)
    assert 0.6 < inside.all(1).float().mean() < 0.95


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


def test_a_share_of_the_clips_is_seen_without_errors(body: Skeleton) -> None:
    """What is drawn else, the cameras and the other clips' errors, stays."""

    def views(**how: float) -> Views:
        return film(body, *still(body, 64), torch.Generator().manual_seed(1), layout="mediapipe33", **how)

    clean, noisy, some = views(noise=0.0), views(), views(exact=0.4)
    assert all(torch.equal(some.score[b], (clean if e else noisy).score[b]) for b, e in enumerate(exactly(some, clean)))
    same, other = exactly(some, clean), exactly(some, noisy)
    assert 0.2 < same.float().mean() < 0.6 and torch.equal(other, ~same)
    assert exactly(views(exact=1.0), clean).all() and exactly(views(exact=0.0), noisy).all()


def exactly(a: Views, b: Views) -> torch.Tensor:
    """(B,) True for clips that see the same rays."""
    return (a.rays == b.rays).flatten(1).all(1)


def test_layouts_hide_what_they_lack(body: Skeleton) -> None:
    views = film(body, *still(body), torch.Generator().manual_seed(1), noise=0.0, layout="coco17")
    for j, name in enumerate(body.joint_names):
        assert bool((views.score[..., j] > 0).any()) == (name in layout_keypoints("coco17"))


def test_gravity_points_at_the_feet_of_somebody_who_stands(body: Skeleton) -> None:
    views = film(body, *still(body), torch.Generator().manual_seed(1), noise=0.0, spread=0.0)
    feet = views.joints[:, :, [body.joint("l_ankle"), body.joint("r_ankle")]].mean(2)
    assert (torch.nn.functional.cosine_similarity(feet, views.down, dim=-1) > 0.99).all()


@pytest.mark.parametrize("make", [hand, upper, lambda: load_skeleton("h36m"), lambda: load_skeleton()])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_any_skeleton_is_filmed_on_one_device(make, noise: float) -> None:
    """Nothing human is assumed; and nothing is made on another device than the generator's."""
    skeleton = make()
    rest = torch.tensor(skeleton.rest - skeleton.rest[0])
    pose = rest.expand(8, 10, -1, -1) if not skeleton.bones else still(skeleton, 8, 10)[0]
    root, contact = torch.zeros(8, 10, 3), torch.ones(8, 10, len(skeleton.contact_mirror))
    g = torch.Generator().manual_seed(0)
    torch.set_default_device("meta")  # whatever says no device is made there, and cannot meet the rest
    try:
        if skeleton.symmetric:
            pose, root, contact = mirror_motion(skeleton, pose, root, contact)
        views = film(skeleton, pose, root, contact, g, noise=noise)
    finally:
        torch.set_default_device("cpu")
    joints = len(skeleton.joint_names)
    assert views.rays.shape == (8, 10, joints, 2) and views.joints.shape == (8, 10, joints, 3)
    assert all(torch.isfinite(getattr(views, n)).all() for n in ("rays", "score", "size", "joints", "down"))
    assert 0.2 < (views.score > 0).float().mean() <= 1
    assert (views.size > 0.003).all() and views.rays.abs().max() < 20
    # As large as the skeleton, seen from a distance that fits its size.
    assert 0.5 < float((views.joints.amax((1, 2)) - views.joints.amin((1, 2))).amax(-1).mean()) / skeleton.height < 2


def test_the_lens_is_wrong_on_purpose() -> None:
    half = torch.tensor([[0.3, 0.2]]).expand(2000, 2)
    rays = torch.tensor([[0.1, 0.0], [-0.1, 0.0]]).expand(2000, 1, 2, 2)
    taken = wrong_lens(rays, half, torch.Generator().manual_seed(0))
    focal = (taken[:, 0, 0, 0] - taken[:, 0, 1, 0]) / 0.2
    assert 0.1 < focal.log().std() < 0.14 and abs(float(focal.log().mean())) < 0.02
    shift = taken[:, 0].mean(1).norm(dim=-1)
    assert 0.15 < (shift > 1e-4).float().mean() < 0.35 and shift.max() < 0.15


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


def test_a_detector_sees_joints_where_it_was_measured_to(body: Skeleton) -> None:
    """Noise that is switched off but for the bias: the ear is found behind and above the joint, sides mirrored."""
    table = load_noise("mediapipe33", body)
    errors = keypoint_errors([table], torch.zeros(2000, dtype=torch.long))
    upright = torch.eye(3).expand(2000, 1, len(body.bones), 3, 3)
    at = seen_places(errors, upright, torch.Generator().manual_seed(0)).mean((0, 1))
    ear = body.joint("l_ear")
    assert torch.allclose(at[ear], torch.from_numpy(table.bias[ear]), atol=1e-3)
    assert torch.allclose(at[body.joint("r_ear")], at[ear] * torch.tensor([-1.0, 1, 1]), atol=2e-3)


def test_layouts_without_measurements_have_no_errors_of_their_own(body: Skeleton) -> None:
    g = torch.Generator().manual_seed(0)
    has, errors = draw_layouts(body, 50, None, g)
    assert errors is not None and has.shape == (50, len(body.joint_names)) and len(has.unique(dim=0)) > 2
    assert draw_layouts(body, 2, ["nose", "l_knee"], g)[1] is None
    assert draw_layouts(load_skeleton("hand21"), 2, None, g)[1] is None
