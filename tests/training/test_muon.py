"""Muon and AdamW behave as one optimiser, also when saved and taken up again."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from training.config import Optimiser  # noqa: E402
from training.module import factor_at  # noqa: E402
from training.muon import MuonAndAdamW, hidden_matrices  # noqa: E402


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 3))


def made(net: nn.Module) -> MuonAndAdamW:
    hidden = hidden_matrices(net)
    rest = [p for p in net.parameters() if all(p is not h for h in hidden)]
    return MuonAndAdamW(hidden, [{"params": rest, "lr": 0.01}], lr=0.01, weight_decay=0.0, betas=(0.9, 0.98))


def train(net: nn.Module, optimiser: MuonAndAdamW, steps: int, first: int = 0) -> None:
    for step in range(first, first + steps):
        x = torch.randn(32, 4, generator=torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        ((net(x) - x[:, :3].cumsum(1)) ** 2).mean().backward()
        optimiser.step()


def error(net: nn.Module) -> float:
    x = torch.randn(500, 4, generator=torch.Generator().manual_seed(99))
    with torch.no_grad():
        return float(((net(x) - x[:, :3].cumsum(1)) ** 2).mean())


def test_only_inner_matrices_are_muons() -> None:
    net = small()
    assert [id(p) for p in hidden_matrices(net)] == [id(net[2].weight)]
    assert hidden_matrices(nn.Linear(2, 2)) == []


def test_it_learns_and_all_weights_move() -> None:
    net, before = small(), error(small())
    optimiser = made(net)
    train(net, optimiser, 200)
    assert error(net) < 0.1 * before
    assert all((a != b).any() for a, b in zip(net.parameters(), small().parameters(), strict=True))


def test_a_schedule_reaches_both() -> None:
    net = small()
    optimiser = made(net)
    torch.optim.lr_scheduler.LambdaLR(optimiser, lambda _: 0.0)
    before = [p.clone() for p in net.parameters()]
    train(net, optimiser, 2)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), before, strict=True))


def test_taken_up_again_it_goes_on_as_before() -> None:
    whole, part = small(), small()
    train(whole, made(whole), 20)
    first = made(part)
    train(part, first, 10)
    again = small()
    again.load_state_dict(part.state_dict())
    second = made(again)
    second.load_state_dict(first.state_dict())
    train(again, second, 10, first=10)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_a_trapezoid_is_flat_and_comes_down_at_the_end() -> None:
    factor = factor_at(Optimiser(schedule="trapezoid", warmup=10, cooldown=100), 1000)
    assert factor(0) == pytest.approx(0.1) and factor(10) == factor(900) == 1
    assert factor(950) == pytest.approx(0.5) and factor(1000) == 0
