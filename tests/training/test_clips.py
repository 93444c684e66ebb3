from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from lifter.nets.temporal_mixer import TemporalMixer, TemporalMixerConfig  # noqa: E402
from lifter.rotation import matrix_to_quat  # noqa: E402
from lifter.skeleton import Skeleton  # noqa: E402
from tests.conftest import swinging  # noqa: E402
from training.config import MotionData, NetworkConfig, RunConfig  # noqa: E402
from training.data.recording import Recording  # noqa: E402
from training.data.store import draw_clips, save_store, split_of  # noqa: E402

CONFIG = RunConfig(NetworkConfig("temporal_mixer", "body"), MotionData())
SMALL = TemporalMixerConfig(channels=32, hidden=32, dilations=(1, 2))


@pytest.fixture
def store(tmp_path: Path, body: Skeleton):
    made = []
    for i, subject in enumerate(("someone", "another", "cmu_05")):
        rotations = matrix_to_quat(swinging(body, 50, seed=i))
        arrays = {"rotations": rotations, "root": np.zeros((50, 3)), "contacts": np.ones((50, 4))}
        made.append(Recording(f"m{i}", "accad", subject, 30.0, arrays))
    return save_store(tmp_path / "corpus", made, body)


def test_clips_are_cut_at_any_rate_and_stay_within_their_recording(store, body: Skeleton) -> None:
    q, root, contact = draw_clips(store, torch.tensor([0, 1, 2]), 90, 60.0, torch.Generator().manual_seed(0))
    assert q.shape == (3, 90, len(body.bones), 4) and root.shape == (3, 90, 3) and contact.shape == (3, 90, 4)
    assert torch.allclose(q.norm(dim=-1), torch.ones(3, 90, len(body.bones)), atol=1e-5)


def test_test_subjects_are_kept_apart() -> None:
    assert (split_of("cmu_05"), split_of("cmu_07"), split_of("cmu_01")) == ("test", "validation", "train")


RECALLING = replace(SMALL, recalls=(1,), memory=6)


def trained(net: TemporalMixer) -> TemporalMixer:
    """A network whose recalls do something, as after training."""
    for recall in net.recalls.values():
        torch.nn.init.normal_(recall.out.weight)
    return net


@pytest.mark.parametrize("config", [SMALL, RECALLING])
def test_networks_take_any_length_and_see_no_farther_than_they_say(config: TemporalMixerConfig) -> None:
    torch.manual_seed(0)
    net = trained(TemporalMixer(config)).eval()
    x = (torch.randn(1, 40, 33, 2), torch.rand(1, 40, 33), torch.rand(1, 40) + 0.1)
    whole = net(*x)[0]
    part = net(*(a[:, :25] for a in x))[0]
    assert torch.allclose(whole[:, : 25 - net.reach], part[:, : 25 - net.reach], atol=1e-5)
    assert net(*(a[:, :1] for a in x))[0].shape == (1, 1, 33, 3)
    assert (whole[:, :, 0] == 0).all()


def test_recalls_have_no_effect_before_training_and_reach_far_after_it() -> None:
    torch.manual_seed(0)
    plain, net = TemporalMixer(SMALL).eval(), TemporalMixer(RECALLING).eval()
    fresh = {k: v for k, v in net.state_dict().items() if k.startswith("recalls.")}
    net.load_state_dict(fresh | plain.state_dict())
    x = (torch.randn(1, 40, 33, 2), torch.rand(1, 40, 33), torch.rand(1, 40) + 0.1)
    assert torch.equal(net(*x)[0], plain(*x)[0])
    trained(net)
    before = net(*x)[0]
    x[0][:, 20] += 1
    changed = (net(*x)[0] != before).flatten(2).any(-1)[0].nonzero().flatten()
    assert (20 - changed.min(), changed.max() - 20) == (net.reach, net.reach) == (9, 9)
