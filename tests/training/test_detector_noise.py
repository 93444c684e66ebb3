from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from lifter.skeleton import Skeleton  # noqa: E402
from training.detector_noise import (  # noqa: E402
    behind_the_body,
    bursts,
    detector_errors,
    keypoint_errors,
    late,
    lost_limbs,
    occluders,
    swap_sides,
    wander,
)
from training.noise import load_noise  # noqa: E402


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


def test_bursts_are_as_long_as_they_say() -> None:
    b = bursts(3000, 50, 0.5, 12, torch.Generator().manual_seed(0), 4)
    length = b.sum(1)[b.any(1)]
    assert 0.4 < b.any(1).float().mean() < 0.52 and length.max() <= 13
    inner = b[(b[:, 0] == 0) & (b[:, -1] == 0) & b.any(1)].sum(1)
    assert inner.min() >= 3 and (b.diff(dim=1).abs().sum(1) <= 2).all()


def test_wandering_noise_is_slow_and_of_unit_size() -> None:
    x = wander((400, 5), 64, 16, torch.Generator().manual_seed(0))
    assert 0.6 < x.std() < 1.1 and x.diff(dim=1).std() < 0.15


def test_errors_are_those_of_each_clips_layout(body: Skeleton) -> None:
    tables = [load_noise(n, body) for n in ("mediapipe33", "coco17")]
    errors = keypoint_errors(tables, torch.tensor([1, 0, 0]))
    ear, toe = body.joint("l_ear"), body.joint("l_toe")
    assert torch.allclose(errors.bias[1, ear], torch.from_numpy(tables[0].bias[ear]))
    assert errors.bone[0, toe] == -1 and errors.bone[1, toe] >= 0  # coco17 has no toes
    assert errors.lag.shape == (3,) and errors.fast.shape == (3, len(body.joint_names))


def test_measured_errors_have_the_measured_size(body: Skeleton) -> None:
    table = load_noise("mediapipe33", body)
    rays, seen = seen_from_afar(body, 400, 40)
    errors = keypoint_errors([table], torch.zeros(400, dtype=torch.long))
    outside = torch.zeros(rays.shape[:3], dtype=torch.bool)
    g = torch.Generator().manual_seed(0)
    found, score = detector_errors(body, rays, torch.ones(rays.shape[:3]), seen, outside, g, fps=30.0, errors=errors)
    for name in ("l_knee", "l_wrist", "nose"):
        j = body.joint(name)
        off = 4 * (found - rays)[:, :, j][score[:, :, j] > 0] * 1.70 / body.height
        size = (table.spread[j] ** 2 + table.fast[j] ** 2 + table.slow[j] ** 2 + table.white[j] ** 2) ** 0.5
        assert 0.7 * size < off.abs().median() * 1.48 < 2.2 * size, name  # bursts and strong clips on top
    assert score[..., body.joint("nose")].median() > 0.8


def test_what_the_body_hides(body: Skeleton) -> None:
    _, seen = seen_from_afar(body, 1, 1)
    wrist = body.joint("l_wrist")
    behind, before = seen.clone(), seen.clone()
    middle = seen[:, :, body.joint("spine")]
    behind[:, :, wrist] = middle + torch.tensor([0.0, 0.0, 0.3])
    before[:, :, wrist] = middle - torch.tensor([0.0, 0.0, 0.3])
    assert behind_the_body(body, behind)[0, 0, wrist] and not behind_the_body(body, before)[0, 0, wrist]
    assert not behind_the_body(body, seen).any()  # upright, seen from the front
