from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lifter.metrics import procrustes  # noqa: E402
from lifter.skeleton import load_skeleton  # noqa: E402
from training import losses  # noqa: E402

G = torch.Generator().manual_seed(0)
TRUTH = torch.randn(2, 6, 5, 3, generator=G)
ONES = torch.ones(5)
PARENTS = (-1, 0, 1, 2, 3)


def test_position() -> None:
    moved = TRUTH + torch.tensor([0.03, 0.0, 0.04])
    assert losses.mpjpe(moved, TRUTH, None, ONES).item() == pytest.approx(0.05, rel=1e-4)
    assert losses.mpjpe(moved, TRUTH, None, ONES * 0.5).item() == pytest.approx(0.025, rel=1e-4)


def test_position_of_any_scale() -> None:
    assert losses.n_mpjpe(3 * TRUTH, TRUTH, None, ONES).item() == pytest.approx(0, abs=1e-6)
    # One joint at x = 1, truth at y = 1: the best scale is 0, and the error 1.
    p, t = torch.tensor([[[[1.0, 0, 0]]]]), torch.tensor([[[[0.0, 1, 0]]]])
    assert losses.n_mpjpe(p, t, None, torch.ones(1)).item() == pytest.approx(1)


def turned(x: torch.Tensor) -> torch.Tensor:
    """Half as large again, turned by a quarter about z and moved."""
    return 1.5 * x @ torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + 2.0


def test_position_of_any_place_turn_and_scale() -> None:
    assert losses.p_mpjpe(turned(TRUTH), TRUTH, None, ONES).item() == pytest.approx(0, abs=1e-5)
    mirrored = TRUTH * torch.tensor([-1.0, 1, 1])
    for joints in (mirrored, TRUTH + 0.3 * torch.randn(TRUTH.shape, generator=G)):
        p, t = (x.reshape(-1, 5, 3).numpy() for x in (joints, TRUTH))
        expected = np.linalg.norm(procrustes(p, t) - t, axis=-1).mean()
        for loss in (losses.p_mpjpe(joints, TRUTH, None, ONES), losses.p_mpjpe(turned(joints), TRUTH, None, ONES)):
            assert loss.item() == pytest.approx(expected, rel=1e-3)
    joints = turned(TRUTH)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert losses.p_mpjpe(joints, TRUTH, None, ONES).item() == pytest.approx(0, abs=1e-5)


def test_slope_of_the_position_of_any_turn_and_scale() -> None:
    """Growing or shrinking changes nothing; a step down the slope brings joints to the truth's shape."""
    joints = (turned(TRUTH) + 0.5 * torch.randn(TRUTH.shape, generator=G)).requires_grad_()
    before = losses.p_mpjpe(joints, TRUTH, None, ONES).item()
    (slope,) = torch.autograd.grad(losses.p_mpjpe(joints, TRUTH, None, ONES), joints)
    outwards = joints - joints.mean(-2, keepdim=True)
    assert (slope * outwards).sum((-1, -2)).abs().max() < 1e-6
    for _ in range(200):
        (slope,) = torch.autograd.grad(losses.p_mpjpe(joints, TRUTH, None, ONES), joints)
        joints = (joints - 0.5 * slope).detach().requires_grad_()
    assert losses.p_mpjpe(joints, TRUTH, None, ONES).item() < 0.3 * before


def test_frames_without_extent_or_with_nan_end_nothing() -> None:
    point = torch.zeros_like(TRUTH).requires_grad_()
    (slope,) = torch.autograd.grad(losses.p_mpjpe(point, TRUTH, None, ONES), point)
    assert slope.isfinite().all()
    assert losses.p_mpjpe(torch.full_like(TRUTH, math.nan), TRUTH, None, ONES).isnan()


def test_velocity() -> None:
    drift = torch.arange(6.0)[None, :, None, None] * torch.tensor([0.0, 0.02, 0.0])
    assert losses.velocity(TRUTH + drift, TRUTH, None, ONES).item() == pytest.approx(0.02, rel=1e-4)
    assert losses.velocity(TRUTH + 1.0, TRUTH, None, ONES).item() == pytest.approx(0, abs=1e-6)
    assert losses.velocity(TRUTH[:, :1], TRUTH[:, :1] + 1, None, ONES).item() == 0


def test_bone_length() -> None:
    chain = torch.arange(5.0)[:, None] * torch.tensor([0.0, 0.0, 1.0])
    longer = chain * 1.1
    assert losses.bone_length(longer[None, None], chain[None, None], None, PARENTS).item() == pytest.approx(
        0.1, rel=1e-5
    )
    turned = chain[:, [2, 0, 1]]
    assert losses.bone_length(turned[None, None], chain[None, None], None, PARENTS).item() == pytest.approx(0, abs=1e-6)


def test_likelihood_is_least_where_sigma_is_the_error() -> None:
    joints = (TRUTH + torch.tensor([0.0, 0.1, 0.0])).requires_grad_()
    values = {
        s: losses.likelihood(joints, TRUTH, None, torch.full(TRUTH.shape[:3], math.log(s))) for s in (0.05, 0.1, 0.2)
    }
    assert values[0.1].item() == pytest.approx(1 + math.log(0.1), rel=1e-4)
    assert values[0.1] < values[0.05] and values[0.1] < values[0.2]
    assert not values[0.1].requires_grad  # it teaches sigma, not the joints


def test_contact() -> None:
    assert losses.contact(torch.zeros(1, 2, 4), torch.ones(1, 2, 4), None).item() == pytest.approx(math.log(2))
    assert losses.contact(torch.full((1, 2, 4), 20.0), torch.ones(1, 2, 4), None).item() < 1e-6


def test_contacts_that_are_not_known_count_for_nothing() -> None:
    truth = torch.tensor([[[1.0, math.nan], [math.nan, math.nan]]])
    logits = torch.zeros(1, 2, 2, requires_grad=True)
    loss = losses.contact(logits, truth, None)
    assert loss.item() == pytest.approx(math.log(2))
    loss.backward()
    assert logits.grad is not None and torch.equal(logits.grad != 0, truth.isfinite())
    assert losses.contact(logits, torch.full_like(truth, math.nan), None).item() == 0


def test_gravity() -> None:
    down, sideways = torch.tensor([[[0.0, 1, 0]]]), torch.tensor([[[1.0, 0, 0]]])
    assert losses.gravity(down, down, None).item() == 0
    assert losses.gravity(down, sideways, None).item() == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("loss", [losses.mpjpe, losses.n_mpjpe, losses.p_mpjpe, losses.velocity])
def test_padding_counts_for_nothing(loss) -> None:
    real = torch.ones(2, 6, dtype=torch.bool)
    real[1, 4:] = False
    joints = TRUTH + 0.1 * torch.randn(TRUTH.shape, generator=G)
    spoiled = torch.where(real[..., None, None], joints, 1e3)
    parts = [loss(joints[:1], TRUTH[:1], None, ONES), loss(joints[1:, :4], TRUTH[1:, :4], None, ONES)]
    steps = (5, 3) if loss is losses.velocity else (6, 4)
    expected = (parts[0] * steps[0] + parts[1] * steps[1]) / sum(steps)
    assert loss(spoiled, TRUTH, real, ONES).item() == pytest.approx(expected.item(), rel=1e-4)
    assert losses.average(TRUTH, torch.zeros(2, 6, dtype=torch.bool)).item() == 0


def test_collar_bones_count_half() -> None:
    body = load_skeleton()
    weights = losses.joint_weights(body)
    assert weights[body.joint("l_clavicle")] == 0.5 and weights[body.joint("l_knee")] == 1
