"""2D alone, from keypoint files, is what pre-training may learn from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from lifter.errors import MotionliftError  # noqa: E402
from lifter.skeleton import Skeleton, load_skeleton  # noqa: E402
from tests.training.archives import write_h36m  # noqa: E402
from tests.training.test_fit import config_file, same, state, store  # noqa: E402, F401
from tests.training.test_keypoint_files import results, walking  # noqa: E402
from training.config import RunConfig, load_config  # noqa: E402
from training.data.human36m import Human36mSource  # noqa: E402
from training.data.keypoint_files import KeypointSource  # noqa: E402
from training.data.prepare import Corpus, prepare  # noqa: E402
from training.data.recording import Recording  # noqa: E402
from training.data.store import Store, save_store  # noqa: E402
from training.fit import fit, pretrain  # noqa: E402
from training.module import PretrainingModule  # noqa: E402
from training.pretraining_batches import FollowedKeypoints, KeypointBatches, make_pretraining_batches  # noqa: E402

NETWORK = {"name": "transformer_gcn", "size": "xs", "options": {"channels": 16, "layers": 2}}
STAGE = {"steps": 6, "batch": 4, "masks": {"tube_frames": [2, 4], "target_layers": 2}}


@pytest.fixture
def seen(tmp_path: Path, body: Skeleton) -> Path:
    """A store of two people in a COCO file: 40 frames, and 5 frames."""
    people = [walking(body, "coco17", 40), walking(body, "coco17", 5, at=700)]
    (tmp_path / "coco.json").write_text(json.dumps(results(people, track_id=[1, 2])))
    source = KeypointSource("keypoints", "coco.json", "coco", size=(1280, 720))
    prepare(Corpus((source,), "body"), tmp_path, tmp_path / "seen")
    return tmp_path / "seen"


def config(folder: Path, motion: Path, keypoints: Path, *overrides: str, **changes: object) -> RunConfig:
    stage = STAGE | {"store": str(keypoints)}
    more = {"network": NETWORK, "pretraining": stage, "steps": 2, "validate_every": 0} | changes
    return load_config(config_file(folder, motion, **more), list(overrides))


def keypoint_store(folder: Path, body: Skeleton, xy: np.ndarray, fps: float = 30.0, size: object = (640, 480)) -> Store:
    arrays = {"keypoints": xy, "scores": np.isfinite(xy).all(-1) * 0.8}
    arrays |= {} if size is None else {"image_size": np.array(size)}
    return save_store(folder, [Recording("a", "seen", "a", fps, arrays)], body)


def test_keypoint_files_alone_are_pre_trained_on_and_then_motion_is_lifted(
    store: Path,  # noqa: F811
    seen: Path,
    tmp_path: Path,
) -> None:
    c = config(tmp_path, store, seen)
    learned = pretrain(c, tmp_path / "run").pretraining.student.layers[0]
    early = dict(fit(c, tmp_path / "run").net.net.layers[0].named_parameters())  # type: ignore[union-attr]
    assert max((early[k] - v).abs().max().item() for k, v in learned.named_parameters()) < 5e-3


def test_batches_have_the_shape_of_filmed_motion(store: Path, seen: Path, tmp_path: Path, body: Skeleton) -> None:  # noqa: F811
    data = make_pretraining_batches(config(tmp_path, store, seen))
    assert isinstance(data, KeypointBatches)
    batch = [data.on_after_batch_transfer(b, 0) for b in data.train_dataloader()]
    again = [data.on_after_batch_transfer(b, 0) for b in data.train_dataloader()]
    j = len(body.joint_names)
    assert all(
        torch.equal(a, b) for x, y in zip(batch, again, strict=True) for a, b in zip(x.inputs, y.inputs, strict=True)
    )
    for e in batch:
        rays, score, size = e.inputs
        assert rays.shape[1:] == (8, j, 2) and score.shape[1:] == (8, j) and size.shape[1:] == (8,)
        assert e.real is not None and set(e.real.sum(1).tolist()) <= {5, 8}
        assert torch.isfinite(rays).all() and (rays[score == 0] == 0).all() and (size[e.real] > 0).all()
        assert not score[~e.real].any() and score[..., body.joint("l_knee")][e.real].all()
        assert not score[..., body.joint("l_toe")].any()  # COCO has no toes
    assert {int(n) for e in batch if e.real is not None for n in e.real.sum(1)} == {5, 8}


def test_what_is_seen_does_not_depend_on_resolution(tmp_path: Path, store: Path, body: Skeleton) -> None:  # noqa: F811
    xy = np.random.default_rng(0).uniform(100, 400, (20, len(body.joint_names), 2)).astype(np.float32)
    xy[3, 5] = np.nan
    one = keypoint_store(tmp_path / "one", body, xy)
    two = keypoint_store(tmp_path / "two", body, 3 * xy, size=(1920, 1440))
    c = config(tmp_path, store, tmp_path)
    a, b = (FollowedKeypoints(s, c, 0, 1)[4][0] for s in (one, two))
    assert all(torch.allclose(a[k], b[k], atol=1e-5) for k in a)


def test_fast_recordings_are_thinned(tmp_path: Path, store: Path, body: Skeleton) -> None:  # noqa: F811
    xy = np.random.default_rng(0).uniform(100, 400, (41, len(body.joint_names), 2)).astype(np.float32)
    data = FollowedKeypoints(
        keypoint_store(tmp_path / "fast", body, xy, 120.0), config(tmp_path, store, tmp_path), 0, 1
    )
    clip = data.clip(0, torch.Generator().manual_seed(0))
    assert clip["real"].sum() == 8  # 8 frames, 4 apart
    data = FollowedKeypoints(
        keypoint_store(tmp_path / "short", body, xy[:20], 120.0), config(tmp_path, store, tmp_path), 0, 1
    )
    assert data.clip(0, torch.Generator().manual_seed(0))["real"].sum() == 5


def test_recorded_pairs_are_pre_trained_on_whatever_else_is_in_the_store(tmp_path: Path) -> None:
    write_h36m(tmp_path / "h36m")
    h36m = load_skeleton("h36m")
    (tmp_path / "coco.json").write_text(json.dumps(results([walking(load_skeleton(), "coco17", 20)])))
    sources = (Human36mSource("h36m", "h36m"), KeypointSource("keypoints", "coco.json", "coco", size=(1280, 720)))
    out = prepare(Corpus(sources, "h36m"), tmp_path, tmp_path / "both")
    data = {"kind": "pairs", "store": str(tmp_path / "both"), "frames": 9, "stride": 9, "confidence": True}
    losses = {"mpjpe": 1, "velocity": 0}
    path = config_file(tmp_path, tmp_path, network=NETWORK, data=data, losses=losses, pretraining=STAGE, steps=2)
    c = load_config(path, ["validate_every=0"])
    batches = make_pretraining_batches(c)
    names = {out.names[i] for i in batches.windows.clips}  # type: ignore[union-attr]
    assert any(n.startswith("keypoints/") for n in names) and any(n.startswith("h36m/S1") for n in names)
    assert not any("S9" in n for n in names)
    pretrain(c, tmp_path / "run")
    assert fit(c, tmp_path / "run").skeleton.joint_names == h36m.joint_names


def test_stores_that_do_not_serve(tmp_path: Path, store: Path, body: Skeleton) -> None:  # noqa: F811
    xy = np.zeros((9, len(body.joint_names), 2), np.float32)
    keypoint_store(tmp_path / "sizeless", body, xy, size=None)
    with pytest.raises(MotionliftError, match="size of its images"):
        make_pretraining_batches(config(tmp_path, store, tmp_path / "sizeless"))
    hand = load_skeleton("hand21")
    save_store(tmp_path / "hand", [Recording("a", "b", "c", 30.0, {"keypoints": np.zeros((9, 21, 2))})], hand)
    with pytest.raises(MotionliftError, match="made for skeleton"):
        make_pretraining_batches(config(tmp_path, store, tmp_path / "hand"))
    with pytest.raises(MotionliftError, match="motionlift-train prepare"):
        make_pretraining_batches(config(tmp_path, store, tmp_path / "nothing"))


def test_a_first_stage_that_was_cut_off_ends_as_an_unbroken_one(
    store: Path,  # noqa: F811
    seen: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    c = config(tmp_path, store, seen, "save_every=2")
    pretrain(c, tmp_path / "whole")
    start = PretrainingModule.on_train_batch_start

    def cut(self: PretrainingModule, batch: object, batch_idx: int) -> None:
        if self.global_step == 5:
            raise OSError("the machine went off")
        start(self, batch, batch_idx)

    with monkeypatch.context() as m, pytest.raises(OSError, match="went off"):
        m.setattr(PretrainingModule, "on_train_batch_start", cut)
        pretrain(c, tmp_path / "cut")
    assert state(tmp_path / "cut" / "pretraining")["global_step"] == 4
    pretrain(c, tmp_path / "cut")
    a, b = (state(tmp_path / n / "pretraining") for n in ("whole", "cut"))
    for key in ("global_step", "state_dict", "optimizer_states", "lr_schedulers"):
        assert same(a[key], b[key]), key
