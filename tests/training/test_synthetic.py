from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lifter.metrics import compare, procrustes  # noqa: E402
from lifter.rotation import quat_to_matrix  # noqa: E402
from lifter.skeleton import Skeleton, layout_keypoints, load_skeleton  # noqa: E402
from tests.training.test_prepare import hand, upper  # noqa: E402
from training.synthetic import (  # noqa: E402
    bursts,
    detector_errors,
    film,
    late,
    lost_limbs,
    mirror_motion,
    occluders,
    pose_people,
    quaternions_to_matrices,
    random_directions,
    random_people,
    random_shots,
    resize_people,
    swap_sides,
    wander,
    wrong_lens,
)


def still(body: Skeleton, batch: int = 16, frames: int = 12) -> tuple:
    q = torch.zeros(batch, frames, len(body.bones), 4)
    q[..., 0] = 1
    return q, torch.zeros(batch, frames, 3), torch.ones(batch, frames, 4)


def test_people_differ_but_are_of_one_height_and_symmetric(body: Skeleton) -> None:
    offsets = random_people(body, 50, torch.Generator().manual_seed(0))
    identity = torch.eye(3).expand(50, 1, len(body.bones), 3, 3)
    joints = pose_people(body, identity, offsets)[:, 0]
    height = joints[:, body.joint("head_top"), 2] - joints[:, body.joint("l_toe"), 2]
    assert height.std() < 1e-5 and height.mean() == pytest.approx(1.7 - 0.018, abs=1e-5)
    assert offsets.std(0)[body.joint("l_knee")].norm() > 0.005
    assert torch.allclose(joints[:, body.mirror.tolist()] * torch.tensor([-1.0, 1, 1]), joints, atol=1e-6)


def test_no_spread_is_the_skeleton_itself(body: Skeleton) -> None:
    offsets = random_people(body, 3, torch.Generator().manual_seed(0), 0.0)
    assert np.allclose(offsets, body.rest_offsets[None], atol=1e-6)


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
    assert (views.size > 0.02).all() and views.rays.abs().max() < 20
    # As large as the skeleton, seen from a distance that fits its size.
    assert 0.5 < float((views.joints.amax((1, 2)) - views.joints.amin((1, 2))).amax(-1).mean()) / skeleton.height < 2


def test_a_skeleton_without_bones_gets_other_proportions_and_one_size() -> None:
    h36m = load_skeleton("h36m")
    rest = torch.tensor(h36m.rest - h36m.rest[0]).expand(40, 3, -1, -1) * 1.3
    joints = resize_people(h36m, rest, torch.Generator().manual_seed(0))
    steps = joints - joints[:, :, [max(p, 0) for p in h36m.parents]]
    length = steps.norm(dim=-1)
    total = float(np.linalg.norm(h36m.rest_offsets, axis=-1).sum())
    assert torch.allclose(length.sum(-1), torch.tensor(total), atol=1e-4)
    assert (length.std(0)[0, 1:] > 0.003).all()
    assert torch.allclose(length[..., h36m.joint("l_knee")], length[..., h36m.joint("r_knee")], atol=1e-3)
    unchanged = resize_people(h36m, rest / 1.3, torch.Generator(), 0.0)
    assert torch.allclose(unchanged, rest / 1.3, atol=1e-5)


def seen_from_afar(body: Skeleton, batch: int, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Everybody four metres away, upright in the middle: (rays, joints in camera space)."""
    at = torch.tensor(body.rest - body.rest[0]) @ torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).T
    seen = (at + torch.tensor([0, 0, 4.0])).expand(batch, frames, -1, -1)
    return seen[..., :2] / seen[..., 2:], seen


def errors(body: Skeleton, batch: int = 300, frames: int = 60, amount: float = 1.0, **more):
    rays, seen = seen_from_afar(body, batch, frames)
    outside = more.get("outside", torch.zeros(rays.shape[:3], dtype=torch.bool))
    g = torch.Generator().manual_seed(more.get("seed", 0))
    found, score = detector_errors(body, rays, torch.ones(rays.shape[:3]), seen, outside, g, fps=30.0, amount=amount)
    return rays, found, score


def test_places_are_off_by_a_bias_slow_drift_and_little_jitter(body: Skeleton) -> None:
    rays, found, score = errors(body)
    knee = body.joint("l_knee")
    error = 4 * (found - rays)[:, :, knee].norm(dim=-1)  # metres
    assert 0.02 < error.median() < 0.06
    error = 4 * (found - rays)[:, :, knee]
    assert error.diff(dim=1).abs().median() < 0.4 * error.abs().median()  # slow
    assert 0.4 < error.mean(1).std() / error.std() < 1.0  # much of it is the same all the time
    low = 4 * (found - rays)[:, :, [body.joint("l_hip"), body.joint("r_hip")], 1].mean()
    assert 0.008 < low < 0.022  # hips are found too low
    assert (score[score > 0] >= 0.05).all() and (score <= 1).all()
    clean = errors(body, amount=0.0)
    assert (clean[1] - clean[0]).abs().median() == 0  # only exchanged sides differ
    assert torch.equal(clean[2], score)


def test_joints_limbs_and_whole_bodies_are_missing_at_times(body: Skeleton) -> None:
    _, _, score = errors(body)
    lost = score == 0
    assert 0.02 < lost.float().mean() < 0.25
    assert 0.02 < lost.all(-1).any(1).float().mean() < 0.2  # nobody found
    limb = lost_limbs(body, 400, 30, torch.Generator().manual_seed(0)) > 0
    elbow, wrist, hand_ = (body.joint(n) for n in ("l_elbow", "l_wrist", "l_index"))
    assert limb[..., elbow].any() and (limb[..., wrist] & limb[..., hand_])[limb[..., elbow]].all()
    assert not limb[..., 0].any() and (limb[..., wrist] & ~limb[..., elbow]).any()


def test_out_of_the_picture_is_lost_or_guessed(body: Skeleton) -> None:
    rays, _ = seen_from_afar(body, 300, 20)
    outside = torch.zeros(rays.shape[:3], dtype=torch.bool)
    feet = [body.joint(n) for n in ("l_ankle", "r_ankle", "l_toe", "r_toe", "l_heel", "r_heel")]
    outside[:, :, feet] = True
    _, found, score = errors(body, 300, 20, outside=outside)
    gone = (score[:, :, feet] == 0).all(-1).all(-1)
    assert 0.35 < gone.float().mean() < 0.65
    kept = ~(score[:, :, feet] == 0).any(-1).any(-1)
    knees = [body.joint("l_knee"), body.joint("r_knee")]
    assert score[kept][:, :, feet].mean() < score[kept][:, :, knees].mean() - 0.05
    assert (found - rays)[kept][:, :, feet].abs().mean() > 1.4 * (found - rays)[kept][:, :, knees].abs().mean()


def test_things_in_between_hide_what_is_behind_them(body: Skeleton) -> None:
    rays, _ = seen_from_afar(body, 500, 30)
    hidden = occluders(rays, torch.Generator().manual_seed(0), 30.0)
    some = hidden.any(2).any(1)
    assert 0.05 < some.float().mean() < 0.17
    area = hidden[some].float().mean(2).amax(1)
    assert 0.03 < area.median() < 0.8
    for clip in some.nonzero()[:20, 0].tolist():  # what is hidden lies together, and nothing between it is seen
        t = int(hidden[clip].any(-1).float().argmax())
        at, inside = rays[clip, t], hidden[clip, t]
        low, high = at[inside].amin(0), at[inside].amax(0)
        assert inside[((at >= low) & (at <= high)).all(-1)].all()


def test_sides_are_exchanged_for_a_while_with_full_confidence(body: Skeleton) -> None:
    rays, _ = seen_from_afar(body, 800, 60)
    score = torch.rand(rays.shape[:3], generator=torch.Generator().manual_seed(1))
    found, said = swap_sides(body, rays, score, torch.Generator().manual_seed(0), 30.0)
    left = [body.joint(n) for n in ("l_shoulder", "l_wrist", "l_ankle")]
    other = (found[:, :, left] != rays[:, :, left]).any(-1)
    whole = other.all(-1)
    assert 0.04 < whole.any(1).float().mean() < 0.1
    length = whole.sum(1)[whole.any(1)]
    assert length.max() <= 18 and length.float().mean() > 5  # up to 0.6 s
    assert (other & ~whole[..., None]).any()  # legs or arms alone
    swap = body.mirror.tolist()
    exchanged = (found != rays).any(-1)
    assert torch.equal(found[exchanged], rays[:, :, swap][exchanged])
    assert torch.equal(said[exchanged], score[:, :, swap][exchanged])
    assert said.mean() == pytest.approx(float(score.mean()), abs=1e-5)


def test_a_lag_is_of_the_past_and_short() -> None:
    ramp = torch.arange(40.0)[None, :, None, None].expand(200, -1, 1, 2)
    lag = (ramp - late(ramp, 60.0, torch.Generator().manual_seed(0)))[:, 5:, 0, 0]
    assert torch.allclose(lag, lag[:, :1], atol=1e-4) and lag.min() >= 0 and lag.max() <= 2
    assert 0.3 < (lag[:, 0] > 0).float().mean() < 0.7


def test_the_lens_is_wrong_on_purpose() -> None:
    half = torch.tensor([[0.3, 0.2]]).expand(2000, 2)
    rays = torch.tensor([[0.1, 0.0], [-0.1, 0.0]]).expand(2000, 1, 2, 2)
    taken = wrong_lens(rays, half, torch.Generator().manual_seed(0))
    focal = (taken[:, 0, 0, 0] - taken[:, 0, 1, 0]) / 0.2
    assert 0.1 < focal.log().std() < 0.14 and abs(float(focal.log().mean())) < 0.02
    shift = taken[:, 0].mean(1).norm(dim=-1)
    assert 0.15 < (shift > 1e-4).float().mean() < 0.35 and shift.max() < 0.15


def test_bursts_are_as_long_as_they_say() -> None:
    b = bursts(3000, 50, 0.5, 12, torch.Generator().manual_seed(0), 4)
    length = b.sum(1)[b.any(1)]
    assert 0.4 < b.any(1).float().mean() < 0.52 and length.max() <= 13
    inner = b[(b[:, 0] == 0) & (b[:, -1] == 0) & b.any(1)].sum(1)
    assert inner.min() >= 3 and (b.diff(dim=1).abs().sum(1) <= 2).all()


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
