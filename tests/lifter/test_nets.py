"""One test for all networks, and what is particular to some."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lifter.errors import MotionliftError  # noqa: E402
from lifter.nets import SkeletonGraph, build_net, net_names, net_sizes, skeleton_graph  # noqa: E402
from lifter.nets.temporal_mixer import along_rays  # noqa: E402
from lifter.skeleton import load_skeleton  # noqa: E402

NETS = tuple(n for n in net_names() if n != "temporal_mixer")
SKELETONS = ("h36m", "body")


def graph(name: str = "h36m") -> SkeletonGraph:
    return skeleton_graph(load_skeleton(name))


def make(name: str, skeleton: str = "h36m", seed: int = 0, **options):
    """An xs network whose layers all count, with statistics of its batch norms unlike those of the test."""
    torch.manual_seed(seed)
    net = build_net(name, "xs", graph(skeleton), **{"channels_in": 3, **options})
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm1d):
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 1.5)
        scale = getattr(m, "scale", None)
        if isinstance(scale, torch.nn.Parameter):
            torch.nn.init.constant_(scale, 0.7)
    return net


def motion(batch: int, frames: int, joints: int = 17, channels: int = 3, seed: int = 3):
    g = torch.Generator().manual_seed(seed)
    start = torch.randn(batch, 1, joints, channels, generator=g) * 0.5
    return start + 0.1 * torch.randn(batch, frames, joints, channels, generator=g).cumsum(1)


# The graph of a skeleton.


def test_the_skeleton_of_human36m_has_the_published_order() -> None:
    h36m = load_skeleton("h36m")
    assert h36m.parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
    assert h36m.mirror.tolist() == [0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13]
    x = h36m.rest[h36m.mirror] * [-1, 1, 1]
    assert np.allclose(x, h36m.rest)


@pytest.mark.parametrize("skeleton", SKELETONS)
def test_graph(skeleton: str) -> None:
    g = graph(skeleton)
    a = g.adjacency(own=True)
    degree = (a > 0).sum(1)
    assert np.allclose(a, a.T) and (np.diag(a) > 0).all()
    i, j = 1, g.parents[1]
    assert a[i, j] == pytest.approx((degree[i] * degree[j]) ** -0.5)
    assert np.count_nonzero(g.adjacency()) == 2 * (g.joints - 1)
    pairs = sum(m != k for k, m in enumerate(g.mirror))
    assert np.count_nonzero(g.adjacency(mirror=True)) == 2 * (g.joints - 1) + pairs
    assert np.allclose(g.towards_root().sum(1), [0] + [1] * (g.joints - 1))
    children = [g.parents.count(k) for k in range(g.joints)]
    assert np.allclose(g.away_from_root().sum(1), [float(c > 0) for c in children])
    distance = g.distance()
    assert (distance == distance.T).all() and ((distance == 1) == (g.adjacency() > 0)).all()
    a = (g.adjacency() > 0).astype(int)
    assert ((distance == 2) <= ((a @ a) > 0)).all()
    assert sorted(g.chains()) == list(range(g.joints))
    place = np.argsort(g.chains())
    assert all(place[p] < place[k] for k, p in enumerate(g.parents) if p >= 0)


# What holds for every network.


@pytest.mark.parametrize("skeleton", SKELETONS)
@pytest.mark.parametrize("name", NETS)
def test_shapes_at_any_length(name: str, skeleton: str) -> None:
    g = graph(skeleton)
    net = build_net(name, "xs", g, channels_in=2, channels_out=4, frame_out=7).eval()
    with torch.no_grad():
        for batch, frames in ((2, 1), (1, 2), (1, 17), (1, 81)):
            joints, vector = net(motion(batch, frames, g.joints, 2))
            assert joints.shape == (batch, frames, g.joints, 4) and vector.shape == (batch, frames, 7)
        alone = build_net(name, "xs", g)(motion(1, 3, g.joints, net_channels(name)))
    assert alone.shape == (1, 3, g.joints, 3)


def net_channels(name: str) -> int:
    return build_net(name, "xs", graph()).channels_in


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_padding_changes_nothing(name: str, training: bool) -> None:
    """Behind, before, both, and filled with anything; while training too, batch norms' statistics included."""
    x = motion(1, 9).double()
    nets = [make(name, frame_out=2, seed=1).double().train(training) for _ in range(2)]
    expected = nets[0](x)
    for before, behind in ((0, 5), (4, 0), (3, 6)):
        padded = torch.full((1, before + 9 + behind, 17, 3), torch.nan).double()
        padded[:, before : before + 9] = x
        mask = torch.zeros(1, before + 9 + behind, dtype=torch.bool)
        mask[:, before : before + 9] = True
        got = nets[1](padded, mask)
        for a, b in zip(expected, got, strict=True):
            assert torch.allclose(a, b[:, before : before + 9], atol=1e-11)
            assert (b[~mask] == 0).all()
        if training:
            for (key, a), b in zip(nets[0].state_dict().items(), nets[1].state_dict().values(), strict=True):
                assert torch.allclose(a, b, atol=1e-11), key
            nets = [make(name, frame_out=2, seed=1).double().train() for _ in range(2)]
            nets[0](x)


@pytest.mark.parametrize("name", NETS)
def test_a_mask_that_is_all_true_or_all_false(name: str) -> None:
    net, x = make(name).eval(), motion(2, 7)
    mask = torch.ones(2, 7, dtype=torch.bool)
    with torch.no_grad():
        assert torch.allclose(net(x), net(x, mask), atol=1e-5)
        mask[1] = False
        y = net(x, mask)
    assert torch.isfinite(y).all() and (y[1] == 0).all()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NETS)
def test_mixed_precision(name: str, kind: torch.dtype) -> None:
    net, x = make(name).train(), motion(2, 9)
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[0] = False
    with torch.autocast("cpu", kind):
        y = net(x, mask)
    assert torch.isfinite(y).all()
    y.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())
    with torch.no_grad():
        exact = net.eval()(x, mask)
        with torch.autocast("cpu", kind):
            rough = net(x, mask)
    assert (exact - rough).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("name", NETS)
def test_clips_of_a_batch_do_not_see_each_other(name: str) -> None:
    net, x = make(name).eval().double(), motion(4, 11).double()
    mask = torch.ones(4, 11, dtype=torch.bool)
    mask[2, 6:] = False
    with torch.no_grad():
        whole = net(x, mask)
        for i in range(4):
            assert torch.allclose(whole[i : i + 1], net(x[i : i + 1], mask[i : i + 1]), atol=1e-11)


@pytest.mark.parametrize("skeleton", SKELETONS)
@pytest.mark.parametrize("name", NETS)
def test_xs_is_small(name: str, skeleton: str) -> None:
    count = sum(p.numel() for p in build_net(name, "xs", graph(skeleton), channels_in=3).parameters())
    assert 0.5e6 <= count <= 1.5e6


@pytest.mark.parametrize("name", NETS)
def test_gradients_reach_every_parameter(name: str) -> None:
    net = make(name, frame_out=2).train()
    if hasattr(net, "time_embedding"):
        net = make(name, frame_out=2, window=8).train()
    joints, vector = net(motion(2, 8))
    ((joints**2).sum() + (vector**3).sum()).backward()
    for key, p in net.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all() and p.grad.abs().max() > 0, key


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_it_learns_one_batch_by_heart(name: str) -> None:
    """A tenth of the loss within a short loop."""
    torch.manual_seed(0)
    net = build_net(name, "xs", graph(), channels_in=2).train()
    x = motion(2, 9, channels=2)
    depth = motion(2, 9, channels=1, seed=9)
    target = torch.cat([x, depth], -1)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3)
    losses = []
    for _ in range(150):
        loss = ((net(x) - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if losses[-1] < losses[0] / 10:
            return
    pytest.fail(f"{losses[0]:.3f} -> {losses[-1]:.3f}")


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_onnx_runtime_says_the_same_at_any_length(name: str, masked: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from training.export import export_graph

    net = make(name, frame_out=2).eval()
    path = tmp_path / "net.onnx"
    export_graph(net, path, masked=masked)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch, frames in ((1, 1), (3, 20), (1, 81)):
        x = motion(batch, frames)
        mask = torch.ones(batch, frames, dtype=torch.bool)
        mask[0, frames // 2 + 1 :] = False
        inputs = (x, mask) if masked else (x,)
        with torch.no_grad():
            expected = net(*inputs)
        got = session.run(None, dict(zip(("x", "mask"), (i.numpy() for i in inputs), strict=False)))
        for a, b in zip(expected, got, strict=True):
            assert a.shape == b.shape and np.abs(a.numpy() - b).max() < 1e-4


# The registry.


def test_unknown_names_are_errors_that_say_what_is_known() -> None:
    with pytest.raises(MotionliftError, match="No network"):
        build_net("posenet", "xs", graph())
    with pytest.raises(MotionliftError, match="no size"):
        build_net("ampose", "xxl", graph())
    with pytest.raises(MotionliftError, match="no option depth"):
        build_net("ampose", "xs", graph(), depth=3)
    with pytest.raises(MotionliftError, match="no option channels_in"):
        build_net("temporal_mixer", "body", graph(), channels_in=2)


def test_names_need_no_torch() -> None:
    code = "import sys, lifter.nets; lifter.nets.net_names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_every_network_has_its_sizes_and_says_what_is_the_papers() -> None:
    for name in net_names():
        assert net_sizes(name)
        text = importlib.import_module(f"lifter.nets.{name}").__doc__ or ""
        assert "ours" in text.lower() or "our " in text.lower()
        assert name in ("temporal_mixer",) or "arXiv" in text


def test_the_temporal_mixer_keeps_its_own_call() -> None:
    net = build_net("temporal_mixer", "body", graph("body"))
    joints, log_sigma, contact, down = net(torch.randn(1, 5, 33, 2), torch.rand(1, 5, 33), torch.rand(1, 5))
    assert joints.shape == (1, 5, 33, 3) and log_sigma.shape == (1, 5, 33)
    assert contact.shape == (1, 5, 4) and down.shape == (1, 5, 3)


# What is particular.


@pytest.mark.parametrize("name", ["transformer_gcn", "st_transformer"])
def test_more_frames_than_the_window_are_refused(name: str) -> None:
    net = make(name, window=8)
    with pytest.raises(ValueError, match="window is 8"):
        net(motion(1, 9))


def test_ampose_sees_one_frame() -> None:
    net, x = make("ampose").eval(), motion(1, 6)
    with torch.no_grad():
        assert torch.allclose(net(x)[:, 2:3], net(x[:, 2:3]), atol=1e-5)


def test_tcn_sees_no_farther_than_it_says() -> None:
    net, x = make("tcn").eval(), motion(1, 120)
    other = x.clone()
    other[:, net.reach + 5 :] += 1
    with torch.no_grad():
        a, b = net(x), net(other)
    assert torch.equal(a[:, :5], b[:, :5]) and not torch.allclose(a[:, 5], b[:, 5])


AMPOSE = {
    "order": ("transformer-gcn", "gcn-transformer", "parallel", "transformer", "gcn"),
    "weights": ("partition", "shared", "joint"),
    "symmetric": (False, True),
    "affinity": (False, True),
}


@pytest.mark.parametrize(("option", "value"), [(k, v) for k, values in AMPOSE.items() for v in values])
def test_options_of_ampose(option: str, value: object) -> None:
    net = make("ampose", channels=32, layers=2, **{option: value}).train()
    y = net(motion(2, 3))
    assert y.shape == (2, 3, 17, 3)
    y.square().sum().backward()
    for key, p in net.named_parameters():
        assert p.grad is not None and p.grad.abs().max() > 0, key


def test_options_of_ampose_change_what_they_say() -> None:
    def count(**options: object) -> int:
        return sum(p.numel() for p in make("ampose", channels=32, layers=2, **options).parameters())

    c, convs, full = 32, 4, count()
    assert count(order="parallel") == count(order="gcn-transformer") == full
    assert full - count(weights="shared") == convs * 2 * c * c
    assert count(weights="joint") - count(weights="shared") == convs * 16 * c * c
    assert count(symmetric=True) - full == convs * c * c
    assert count(affinity=True) - full == convs * 2 * 17 * 17
    # A GCN alone reaches as many bones as it has convolutions; a Transformer reaches everything at once.
    g = graph()
    for order, reaches in (("gcn", False), ("transformer", True)):
        net = make("ampose", channels=32, layers=2, order=order).eval()
        x = motion(1, 1)
        other = x.clone()
        other[:, :, 16] += 1
        far = torch.from_numpy(g.distance()[16] > convs)
        with torch.no_grad():
            moved = (net(x) - net(other)).abs().amax(-1)[0, 0]
        assert (moved[far] > 1e-6).all() == reaches and bool(far.any())
    # Orders differ in what they compute, not in their weights.
    results = []
    for order in ("transformer-gcn", "gcn-transformer", "parallel"):
        net = make("ampose", channels=32, layers=2, order=order).eval()
        net.load_state_dict(make("ampose", channels=32, layers=2).state_dict())
        with torch.no_grad():
            results.append(net(motion(1, 1)))
    assert not torch.allclose(results[0], results[1]) and not torch.allclose(results[0], results[2])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ssr_stf", {"joint_order": "listed"}),
        ("ssr_stf", {"joint_mixing": "adjacency"}),
        ("ssr_stf", {"fusion": "mean"}),
        ("ssr_stf", {"local": 2}),
        ("transformer_gcn", {"streams": "gcn"}),
        ("transformer_gcn", {"streams": "transformer"}),
        ("transformer_gcn", {"symmetric": True}),
        ("transformer_gcn", {"fusion": "mean"}),
    ],
)
def test_options_of_the_dual_streams(name: str, options: dict[str, object]) -> None:
    sizes = {"channels": 16, "layers": 2, "window": 6}
    net = make(name, "body", **sizes, **options).train()
    x = motion(2, 6, 33)
    y = net(x)
    y.square().sum().backward()
    for key, p in net.named_parameters():
        assert p.grad is not None and p.grad.abs().max() > 0, key
    plain = make(name, "body", **sizes).train()(x)
    assert y.shape == plain.shape and not torch.allclose(y, plain)


def test_the_order_of_joints_is_put_back() -> None:
    """With a convolution over joints that reaches nobody, the order cannot matter."""
    nets = [make("ssr_stf", "body", channels=16, layers=1, small=(1, 1, 1), large=(1, 1, 1), joint_order=o).eval()
            for o in ("chains", "listed")]  # fmt: skip
    for net in nets:
        net.layers[0].local[0].attention.inner.select.weight.data.zero_()
    nets[1].load_state_dict(nets[0].state_dict())
    with torch.no_grad():
        assert torch.allclose(nets[0](motion(1, 4, 33)), nets[1](motion(1, 4, 33)), atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 7, 12])
def test_dilated_convolution_over_frames_is_that_of_torch(frames: int) -> None:
    from lifter.nets.ssr_stf import OverFrames

    torch.manual_seed(0)
    layer = OverFrames(8, 7, 3)
    x = torch.randn(2, frames, 5, 8)
    expected = layer.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert torch.allclose(layer(x, None), expected, atol=1e-5)


def test_joints_lie_along_the_rays_that_are_believed() -> None:
    g = torch.Generator().manual_seed(0)
    rays, size = torch.randn(2, 3, 5, 2, generator=g) * 0.5, torch.rand(2, 3, generator=g) * 0.3 + 0.1
    depth, distance = torch.randn(2, 3, 5, generator=g) * 0.3, torch.zeros(2, 3, 1)
    score, sure, none = torch.ones(2, 3, 5), torch.full((2, 3, 5), 50.0), torch.zeros(2, 3, 5, 2)
    joints = along_rays(rays, score, size, none, depth, sure, distance)
    away = 1 / size[..., None] + joints[..., 2]  # the root is exp(0) / size away
    assert torch.allclose(joints[..., :2] / away[..., None], rays * size[..., None, None], atol=1e-5)
    assert torch.equal(joints[:, :, 0, 2], torch.zeros(2, 3))
    # What is not seen lies where the network puts it.
    there = torch.randn(2, 3, 5, 2, generator=g)
    unseen = along_rays(rays, torch.zeros(2, 3, 5), size, there, depth, sure, distance)
    assert torch.equal(unseen[..., :2], there)
