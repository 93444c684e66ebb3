from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from lifter.errors import MotionliftError  # noqa: E402
from lifter.rotation import matrix_to_quat  # noqa: E402
from lifter.skeleton import Skeleton  # noqa: E402
from tests.conftest import ROOT, swinging  # noqa: E402
from training.batches import FilmedClips, MotionBatches  # noqa: E402
from training.config import Optimiser, RunConfig, load_config  # noqa: E402
from training.data.recording import Recording  # noqa: E402
from training.data.store import StoreWriter  # noqa: E402
from training.fit import LAST, fit, pretrain  # noqa: E402
from training.module import factor_at  # noqa: E402

NET = {"name": "st_transformer", "size": "xs", "options": {"channels": 16, "layers": 1, "dropout": 0.1}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, body: Skeleton) -> Path:
    folder = tmp_path_factory.mktemp("store")
    writer = StoreWriter(folder, body, {"sources": "made"})
    for i, split in enumerate(("train", "train", "validation", "test")):
        arrays = {
            "rotations": matrix_to_quat(swinging(body, 50, seed=i)).astype(np.float32),
            "root": np.zeros((50, 3), np.float32),
            "contacts": np.ones((50, 4), np.float32),
        }
        writer.add(f"m{i}", [Recording(f"m{i}", "made", f"s{i}", 30.0, arrays, split=split)])
    writer.finish()
    return folder


def config_file(folder: Path, store: Path, **changes: object) -> str:
    data = {
        "network": NET,
        "data": {"kind": "motion", "store": str(store), "frames": 8, "short_share": 0.3},
        "losses": {"mpjpe": 1, "velocity": 1, "likelihood": 0.02, "contact": 0.02, "gravity": 0.1},
        "optimiser": {"warmup": 3},
        "steps": 24,
        "batch": 4,
        "ema": 0.9,
        "save_every": 4,
        "validate_every": 8,
        "log_every": 1,
        "threads": 1,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(data | changes))
    return str(path)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def curve(run: Path) -> dict[int, float]:
    """Loss at every step, from the run's log; a step done again after a kill must have the same."""
    out: dict[int, float] = {}
    for file in sorted((run / "logs").glob("events.*"), key=lambda p: p.stat().st_mtime):
        events = EventAccumulator(str(file))
        events.Reload()
        if "train/loss" in events.Tags()["scalars"]:
            for e in events.Scalars("train/loss"):
                assert out.setdefault(e.step, e.value) == e.value
    return out


def state(run: Path) -> dict[str, object]:
    return torch.load(run / LAST, weights_only=True)


def same(a: object, b: object) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_a_run_killed_at_any_moment_follows_the_same_curve(store: Path, tmp_path: Path) -> None:
    # More steps than a kill can miss; saved and validated in the middle of the only pass over the data.
    path = config_file(tmp_path, store, steps=60)
    whole = tmp_path / "whole"
    fit(load_config(path), whole)
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "training.cli", "fit", path, "--out", str(killed)]
    for _ in range(2):
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
        seen = (killed / LAST).stat().st_mtime_ns if (killed / LAST).exists() else 0
        deadline = time.monotonic() + 600
        while not ((killed / LAST).exists() and (killed / LAST).stat().st_mtime_ns > seen):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert 0 < state(killed)["global_step"] < 60
    fit(load_config(path), killed)
    a, b = state(whole), state(killed)
    for key in ("global_step", "state_dict", "current_model_state", "optimizer_states", "lr_schedulers"):
        assert same(a[key], b[key]), key
    expected, found = curve(whole), curve(killed)
    # A kill between saving a step and logging it costs one point of the curve.
    assert len(expected) == 60 and len(found) >= 58 and all(expected[s] == v for s, v in found.items())


def test_a_finished_run_stays_as_it_is_and_another_one_is_not_mixed_in(store: Path, tmp_path: Path) -> None:
    config = load_config(config_file(tmp_path, store, steps=5))
    first = fit(config, tmp_path / "run").net.state_dict()
    assert same(dict(first), dict(fit(config, tmp_path / "run").net.state_dict()))
    with pytest.raises(MotionliftError, match="another configuration \\(batch\\)"):
        fit(load_config(config_file(tmp_path, store, steps=5, batch=2)), tmp_path / "run")


def test_a_trapezoid_may_be_prolonged(store: Path, tmp_path: Path) -> None:
    optimiser = {"kind": "muon", "schedule": "trapezoid", "cooldown": 2}
    whole = load_config(config_file(tmp_path, store, steps=8, optimiser=optimiser))
    fit(whole, tmp_path / "whole")
    fit(load_config(config_file(tmp_path, store, steps=6, optimiser=optimiser | {"cooldown": 2})), tmp_path / "part")
    assert state(tmp_path / "part")["global_step"] == 6
    fit(whole, tmp_path / "part")
    assert state(tmp_path / "part")["global_step"] == 8
    assert "steps: 8" in (tmp_path / "part" / "config.yaml").read_text()
    with pytest.raises(MotionliftError, match="another configuration \\(optimiser\\)"):
        changed = config_file(tmp_path, store, steps=9, optimiser=optimiser | {"learning_rate": 0.1})
        fit(load_config(changed), tmp_path / "part")


def test_two_processes_do_what_one_does(store: Path, tmp_path: Path) -> None:
    net = NET | {"options": {"channels": 16, "layers": 1}}  # dropout differs between processes, on purpose
    path = config_file(tmp_path, store, network=net, shards=2, steps=8, validate_every=0)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29517"]
    command += ["-m", "training.cli", "fit", path, "--out", str(tmp_path / "two")]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    fit(load_config(path), tmp_path / "one")
    one, two = (state(tmp_path / n)["current_model_state"] for n in ("one", "two"))
    # Some biases have no gradient but rounding, which Adam magnifies: those of keys, and of the root joint.
    assert all(torch.allclose(one[k], two[k], atol=2e-5) for k in one if one[k].ndim > 1)
    start = MotionBatches(load_config(path))
    assert any((one[k] - v).abs().max() > 1e-3 for k, v in start_state(load_config(path), start).items())


def test_single_frames_cannot_be_shorter_and_misspelt_sources_are_told(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = {"kind": "motion", "store": str(store), "frames": 1, "short_share": 1, "source_weights": {"maed": 2}}
    config = load_config(config_file(tmp_path, store, data=data))
    batches = MotionBatches(config)
    assert "no source maed" in caplog.text and "made" in caplog.text
    assert FilmedClips(batches.store, config, 0, 1)[0][0].root.shape == (4, 1, 3)


def start_state(config: RunConfig, data: MotionBatches) -> dict[str, torch.Tensor]:
    from training.fit import new_net

    return {f"net.{k}": v for k, v in new_net(config, data.skeleton).state_dict().items()}


def test_shards_that_processes_cannot_share(store: Path, tmp_path: Path) -> None:
    from types import SimpleNamespace

    data = MotionBatches(load_config(config_file(tmp_path, store)))
    data.trainer = SimpleNamespace(global_rank=0, world_size=2, global_step=0)  # type: ignore[assignment]
    with pytest.raises(MotionliftError, match="--set shards=2"):
        data.train_dataloader()


@pytest.mark.parametrize("net", ["ampose", "tcn", "ssr_stf", "transformer_gcn", "st_transformer"])
def test_every_network_learns(store: Path, tmp_path: Path, net: str) -> None:
    network = {"name": net, "size": "xs", "options": {"channels": 16} | ({} if net == "tcn" else {"layers": 1})}
    path = config_file(tmp_path, store, network=network, steps=40, validate_every=0, ema=0.5, batch=8)
    fit(load_config(path), tmp_path / "run")
    losses = list(curve(tmp_path / "run").values())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_pre_training_then_fitting(store: Path, tmp_path: Path) -> None:
    network = {"name": "transformer_gcn", "size": "xs", "options": {"channels": 16, "layers": 2}}
    stage = {"steps": 6, "batch": 4, "masks": {"tube_frames": [2, 4], "target_layers": 2}}
    path = config_file(tmp_path, store, network=network, pretraining=stage, steps=2, validate_every=0)
    with pytest.raises(MotionliftError, match="motionlift-train pretrain"):
        fit(load_config(path), tmp_path / "run")
    learned = pretrain(load_config(path), tmp_path / "run").pretraining.student.layers[0]
    fitted = fit(load_config(path), tmp_path / "run")
    early = dict(fitted.net.net.layers[0].named_parameters())  # type: ignore[union-attr]
    far = max((early[k] - v).abs().max().item() for k, v in learned.named_parameters())
    assert far < 5e-3  # two steps away from where pre-training ended, and not from fresh weights
    with pytest.raises(MotionliftError, match="no pre-training"):
        pretrain(load_config(path, ["pretraining=null"]), tmp_path / "none")


def test_losses_that_the_data_cannot_have(store: Path, tmp_path: Path) -> None:
    data = {"kind": "motion", "store": str(store), "frames": 8, "joints": ["pelvis", "l_hip", "r_hip", "neck"]}
    with pytest.raises(MotionliftError, match="'contact'"):
        fit(load_config(config_file(tmp_path, store, data=data)), tmp_path / "run")


def test_schedules() -> None:
    cosine = factor_at(Optimiser(warmup=10, floor=0.1), 100)
    assert cosine(0) == pytest.approx(0.1, rel=1e-2) and cosine(10) > 0.95
    assert cosine(50) == pytest.approx(0.55) and cosine(100) == pytest.approx(0.1)
    exponential = factor_at(Optimiser(schedule="exponential", decay=0.5, decay_steps=7), 100)
    assert [exponential(s) for s in (0, 6, 7, 14)] == [1, 1, 0.5, 0.25]
    assert factor_at(Optimiser(schedule="constant"), 10)(9) == 1 and math.isclose(cosine(200), 0.1)
