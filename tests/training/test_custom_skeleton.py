"""The steps of docs/custom-skeleton.md by the commands it names: skeleton, BVH, map, store, checkpoint, capture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import lifter  # noqa: E402
from lifter.camera import make_lens, project  # noqa: E402
from lifter.capture import capture  # noqa: E402
from lifter.checkpoint import load_checkpoint  # noqa: E402
from lifter.detect import Detection  # noqa: E402
from lifter.footage import Frame  # noqa: E402
from lifter.lift import lift  # noqa: E402
from lifter.skeleton import FOLDER, Skeleton, load_skeleton  # noqa: E402
from lifter.take import load_take, save_take  # noqa: E402
from tests.training.bvh_files import joints_bvh, wandering_turns  # noqa: E402
from training.cli import main  # noqa: E402

UPPER_BODY = """
name = "upper_body"
height = 0.75
joints = [
    { name = "pelvis", rest = [0.0, 0.0, 0.925] },
    { name = "chest", parent = "pelvis", rest = [0.0, 0.02, 1.2] },
    { name = "head", parent = "chest", rest = [0.0, 0.0, 1.5] },
    { name = "nose", parent = "head", rest = [0.0, -0.12, 1.55], marker = true },
    { name = "head_top", parent = "head", rest = [0.0, 0.0, 1.675], marker = true },
    { name = "l_shoulder", parent = "chest", rest = [0.17, 0.0, 1.4] },
    { name = "l_elbow", parent = "l_shoulder", rest = [0.45, 0.0, 1.4] },
    { name = "l_wrist", parent = "l_elbow", rest = [0.7, 0.0, 1.4] },
]
bones = [
    { name = "pelvis", head = "pelvis", tail = "chest" },
    { name = "chest", parent = "pelvis", head = "chest", tail = "head", fit = ["l_shoulder", "r_shoulder"] },
    { name = "head", parent = "chest", head = "head", tail = "head_top", fit = ["nose", "head_top"] },
    { name = "l_upper_arm", parent = "chest", head = "l_shoulder", tail = "l_elbow", hinge = ["l_shoulder", "l_elbow", "l_wrist"], axis = [0.0, 0.0, -1.0] },
    { name = "l_forearm", parent = "l_upper_arm", head = "l_elbow", tail = "l_wrist" },
]
"""  # noqa: E501
LENS = make_lens(640, 480, focal=600)
UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def studio(folder: Path, skeleton: Skeleton) -> Path:
    """Four takes of somebody with that skeleton, whose exporter has names of its own, and the corpus; its path."""
    for i in range(4):
        path = folder / "takes" / f"s{i}" / "take.bvh"
        joints_bvh(skeleton, wandering_turns(120, len(skeleton.parents), seed=i, amount=0.3), path)
        path.write_text("\n".join(
            line.replace("JOINT ", "JOINT rig:").replace("ROOT ", "ROOT rig:") for line in path.read_text().splitlines()
        ))  # fmt: skip
    lines = ["unit_m = 0.01", 'prefixes = ["rig:"]', "[bones]"]
    lines += [f'{b.name} = "{b.head}"' for b in skeleton.bones]
    lines += ["[size]", *(f"{k} = {list(skeleton.joint_names[:2])}" for k in ("theirs", "ours"))]
    (folder / "map.toml").write_text("\n".join(lines).replace("'", '"'))
    corpus = folder / "corpus.toml"
    corpus.write_text(
        'skeleton = "mine.toml"\n[[sources]]\nkind = "bvh"\npath = "takes"\nmap = "map.toml"\n'
        'subject = "(s\\\\d)"\ntest = ["s3"]\nlicence = "our own"\n'
    )
    return corpus


class Pointing:
    """A detector that sees the true keypoints, frame by frame."""

    name, layout, batch = "ours", "mine.toml", 1

    def __init__(self, layout: Path, xy: np.ndarray) -> None:
        self.layout, self.xy, self.at = str(layout), xy, 0

    def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        self.at += 1
        return [[Detection(self.xy[self.at - 1].astype(np.float32), np.ones(self.xy.shape[1], np.float32), None)]]

    def close(self) -> None:
        pass


@pytest.mark.parametrize("kind", ["hand21", "upper_body"])
def test_from_bvh_to_a_capture_without_touching_code(tmp_path: Path, kind: str) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(UPPER_BODY if kind == "upper_body" else (FOLDER / "hand21.toml").read_text())
    skeleton = load_skeleton(str(mine))
    corpus = studio(tmp_path, skeleton)
    assert main(["prepare", str(corpus), "--out", str(tmp_path / "store"), "--strict"]) == 0
    small = ["steps=500", "batch=16", "save_every=500", "threads=1", "log_every=50", "ema=0.9", "optimiser.warmup=10"]
    small += ["data.frames=16", "network.options={channels: 48, hidden: 64}", f"data.store={tmp_path / 'store'}"]
    run = tmp_path / "run"
    assert main(["fit", "custom", "--out", str(run), *(x for s in small for x in ("--set", s))]) == 0
    assert main(["export", str(run)]) == 0
    assert main(["evaluate", str(run / "run.onnx"), "--store", str(tmp_path / "store"), "--frames", "16"]) == 0

    checkpoint = load_checkpoint(str(run / "run.onnx"))
    assert checkpoint.skeleton.joint_names == skeleton.joint_names and checkpoint.card["data"] == {"bvh": "our own"}
    unit = skeleton.height / 1.7
    scene = joints_bvh(skeleton, wandering_turns(60, len(skeleton.parents), seed=9, amount=0.3), tmp_path / "new.bvh")
    truth = (scene - scene[:, :1]) @ UPRIGHT.T
    xy = project(truth + [0, 0, 4 * unit], LENS.K)
    said = lift(xy, np.ones(xy.shape[:2]), LENS, 30, checkpoint).joints
    error = np.linalg.norm(said - truth, axis=-1).mean()
    still = np.linalg.norm(truth - truth.mean(0), axis=-1).mean()
    spread = np.linalg.norm(truth - truth.mean(1, keepdims=True), axis=-1).mean()
    assert error < 0.5 * spread, (error, still, spread)  # it has learned what its body looks like

    footage = Path(lifter.__file__).parent / "demo" / "demo.mp4"
    take = capture(
        footage, focal=600, detector=Pointing(mine, np.tile(xy, (5, 1, 1))), checkpoint=str(run / "run.onnx")
    )
    take = load_take(save_take(take, tmp_path / "take.npz") or tmp_path / "take.npz")
    person = take.people[0]
    shown = np.isfinite(person.joints_world).all((1, 2))
    assert take.skeleton.joint_names == skeleton.joint_names and shown.sum() > 30
    assert np.allclose(np.linalg.norm(person.rotations[shown], axis=-1), 1, atol=1e-4)
    tall = np.ptp(person.joints_world[shown], axis=1).max()
    assert 0.3 * skeleton.height < tall < 3 * skeleton.height  # a hand stays as small as a hand
