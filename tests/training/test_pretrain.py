from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from lifter.errors import MotionliftError  # noqa: E402
from lifter.nets import build_net, skeleton_graph  # noqa: E402
from lifter.skeleton import load_skeleton  # noqa: E402
from training.pretrain import (  # noqa: E402
    PretrainConfig,
    Pretraining,
    check_collapse,
    distillation_loss,
    draw_masks,
    encoder_state,
    fine_tuning_groups,
    load_encoder,
    normalised,
    spread,
    tau_at,
    update_average,
)

CONFIG = PretrainConfig(target_layers=2, draws=2, tube_frames=(2, 5))


def small(**options):
    torch.manual_seed(0)
    graph = skeleton_graph(load_skeleton("h36m"))
    return build_net("transformer_gcn", "xs", graph, **{"channels": 16, "layers": 3, "window": 16, **options})


def clips(batch: int = 3, frames: int = 12):
    g = torch.Generator().manual_seed(1)
    x = torch.randn(batch, frames, 17, 3, generator=g).cumsum(1) * 0.2
    real = torch.ones(batch, frames, dtype=torch.bool)
    real[0, 8:] = False
    return x, real


def masks(real, config: PretrainConfig = CONFIG, seed: int = 0):
    g = torch.Generator().manual_seed(seed)
    return draw_masks(real.repeat_interleave(config.draws, 0), 17, config, g)


def test_masks_hide_the_share_that_was_asked_for_and_no_padding() -> None:
    real = torch.ones(40, 60, dtype=torch.bool)
    real[:20, 45:] = False
    real[10:20, :5] = False
    masked = draw_masks(real, 17, PretrainConfig(), torch.Generator().manual_seed(0))
    assert not masked[~real].any()
    share = masked.sum((1, 2)) / (17 * real.sum(1))
    assert ((share > 0.5) & (share < 0.6)).all()
    whole = masked.all(-1).sum(1) / real.sum(1)
    assert (whole >= 0.1).all() and (whole < 0.5).all()
    # Tubes: a masked joint is more often than not masked in the next frame too.
    assert masked[:, :-1][masked[:, 1:]].float().mean() > 0.75


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_masks_of_short_clips(frames: int) -> None:
    masked = draw_masks(torch.ones(5, frames, dtype=torch.bool), 17, PretrainConfig(), torch.Generator().manual_seed(0))
    assert masked.any((1, 2)).all() and not masked.all(-1).all(-1).any()


def test_the_teacher_is_the_moving_average_of_the_student() -> None:
    student = small()
    teacher = copy.deepcopy(student)
    expected = {k: v.clone() for k, v in teacher.named_parameters()}
    for _ in range(4):
        with torch.no_grad():
            for p in student.parameters():
                p.add_(torch.randn_like(p))
        student.layers[0].bones.inner.norm.running_mean.fill_(7.0)
        update_average(teacher, student, 0.9)
        expected = {k: 0.9 * v + 0.1 * dict(student.named_parameters())[k] for k, v in expected.items()}
    for k, v in teacher.named_parameters():
        assert torch.allclose(v, expected[k], atol=1e-6), k
    assert (teacher.layers[0].bones.inner.norm.running_mean == 7).all()


def test_tau_rises_and_then_stays() -> None:
    config = PretrainConfig()
    assert tau_at(config, 0) == pytest.approx(0.999) and tau_at(config, 0.15) == pytest.approx(0.99945)
    assert tau_at(config, 0.3) == pytest.approx(0.9999) and tau_at(config, 1) == pytest.approx(0.9999)


def test_only_masked_tokens_enter_the_loss() -> None:
    prediction, target = torch.randn(2, 5, 4, 8), torch.randn(2, 5, 4, 8)
    masked = torch.rand(2, 5, 4) < 0.5
    before = distillation_loss(prediction, target, masked)
    elsewhere = torch.where(masked[..., None], prediction, 1e3)
    assert distillation_loss(elsewhere, target, masked) == before
    changed = torch.where(masked[..., None], prediction + 1, prediction)
    assert distillation_loss(changed, target, masked) != before
    by_hand = torch.where(
        (prediction - target).abs() < 1, (prediction - target) ** 2 / 2, (prediction - target).abs() - 0.5
    )
    assert torch.allclose(before, by_hand[masked].mean())


def test_the_student_sees_nothing_of_masked_joints_and_padding_changes_nothing() -> None:
    x, real = clips()
    p = Pretraining(small(), CONFIG).eval()
    masked = masks(real)[:3]
    other = torch.where((masked | ~real[..., None])[..., None], torch.randn_like(x) * 9, x)
    assert torch.allclose(p.predict(x, real, masked)[real], p.predict(other, real, masked)[real], atol=1e-5)
    loss, _ = p(x, real, masks(real))
    nan = torch.where(real[..., None, None], x, torch.nan)
    assert torch.allclose(p(nan, real, masks(real))[0], loss)


def test_no_gradient_reaches_the_teacher_and_every_encoder_weight_gets_one() -> None:
    x, real = clips()
    p = Pretraining(small(), CONFIG).train()
    assert not p.teacher.training and p.student.training
    before = {k: v.clone() for k, v in p.teacher.state_dict().items()}
    loss, _ = p(x, real, masks(real))
    loss.backward()
    assert all(t.grad is None and not t.requires_grad for t in p.teacher.parameters())
    assert all(torch.equal(v, before[k]) for k, v in p.teacher.state_dict().items())
    for name, weight in p.named_parameters():
        if name.startswith("teacher.") or "heads." in name:
            assert weight.grad is None, name
        else:
            assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_targets_are_normalised_over_real_tokens() -> None:
    x, real = clips()
    y = normalised(torch.randn(3, 12, 17, 4) * 5 + 3, real)
    assert (y[~real] == 0).all()
    first = y[0, :8].flatten(0, 1)
    assert torch.allclose(first.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(first.var(0, unbiased=False), torch.ones(4), atol=1e-3)
    p = Pretraining(small(), CONFIG)
    assert torch.allclose(p.target(x, real)[1].flatten(0, 1).var(0, unbiased=False), torch.ones(16), atol=1e-2)


def test_a_collapse_is_noticed() -> None:
    x, real = clips()
    p = Pretraining(small(), CONFIG)
    _, log = p(x, real, masks(real))
    check_collapse(log)
    # A network that does not look at its input still says different things at different places.
    with torch.no_grad():
        p.teacher.embed.weight.zero_()
    everywhere = torch.ones_like(real)
    target = p.target(x, everywhere)
    assert target[0].std() > 0.5 and spread(target, everywhere) < 1e-4
    _, log = p(x, everywhere, masks(everywhere))
    with pytest.raises(MotionliftError, match="collapsed"):
        check_collapse(log)


def test_a_short_run_learns_and_does_not_collapse() -> None:
    x, real = clips(6)
    config = PretrainConfig(target_layers=2, draws=2, tube_frames=(2, 5), tau=(0.99, 0.99))
    p = Pretraining(small(layer_scale=0.1), config).train()
    optimizer = torch.optim.AdamW([q for q in p.parameters() if q.requires_grad], 3e-3)
    losses = []
    for step in range(60):
        loss, log = p(x, real, masks(real, config, step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        p.update_teacher(step / 60)
        losses.append(log["loss"])
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    check_collapse(log)


def test_fine_tuning_begins_with_the_encoder() -> None:
    p = Pretraining(small(), CONFIG)
    with torch.no_grad():
        for w in p.student.parameters():
            w.normal_()
    net = small()
    heads = {k: v.clone() for k, v in net.heads.state_dict().items()}
    load_encoder(net, encoder_state(p.student))
    assert all(torch.equal(v, heads[k]) for k, v in net.heads.state_dict().items())
    x, _ = clips()
    assert torch.equal(net.eval().features(x, None), p.student.eval().features(x, None))
    with pytest.raises(MotionliftError, match="do not fit"):
        load_encoder(small(channels=32), encoder_state(p.student))
    with pytest.raises(MotionliftError, match="do not fit"):
        load_encoder(small(layers=2), encoder_state(p.student))


def test_fine_tuning_is_slower_towards_the_input() -> None:
    net = small()
    groups = fine_tuning_groups(net, rate=1.0)
    assert [round(g["lr"], 4) for g in groups] == [1.0, 0.5, 0.45, 0.405, 0.3645]
    assert sum(p.numel() for g in groups for p in g["params"]) == sum(p.numel() for p in net.parameters())
