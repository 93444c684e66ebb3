"""Every network as a checkpoint: the ONNX file says what torch says, carries what is needed, and lifts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("lightning")

import lifter  # noqa: E402
from lifter.camera import make_lens, project  # noqa: E402
from lifter.checkpoint import FOLDER, SCREEN, load_checkpoint  # noqa: E402
from lifter.errors import MotionliftError  # noqa: E402
from lifter.lift import lift, lift_views  # noqa: E402
from lifter.nets import net_names  # noqa: E402
from lifter.skeleton import Skeleton, layout_keypoints, load_skeleton  # noqa: E402
from tests.training.archives import write_3dhp, write_h36m  # noqa: E402
from tests.training.test_fit import NET, config_file, store  # noqa: E402, F401
from training.batches import MotionBatches, ValidationClips, seed_of  # noqa: E402
from training.cli import main  # noqa: E402
from training.config import MotionData, NetworkConfig, PairData, RunConfig  # noqa: E402
from training.data.human36m import Human36mSource  # noqa: E402
from training.data.mpi_inf_3dhp import MpiInf3dhpSource  # noqa: E402
from training.data.prepare import Corpus, prepare  # noqa: E402
from training.export import calibrate, change_header, deviation, example_input, export  # noqa: E402
from training.fit import new_net, start_from  # noqa: E402

LENS = make_lens(1280, 720, focal=1000)
UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def tiny(name: str, extra: dict[str, Any] | None = None, **data: object) -> RunConfig:
    size = "body" if name == "temporal_mixer" else "xs"
    options = {"channels": 16} | ({} if name in ("tcn", "temporal_mixer") else {"layers": 1})
    options |= {"window": 32} if name in ("ssr_stf", "transformer_gcn", "st_transformer") else {}
    options |= extra or {}
    return RunConfig(NetworkConfig(name, size, options), MotionData(**({"frames": 16} | data)))  # type: ignore[arg-type]


@pytest.fixture(params=[*((n, {}) for n in net_names()), ("temporal_mixer", {"recalls": [1, 3], "memory": 5})])
def exported(request: pytest.FixtureRequest, body: Skeleton, tmp_path: Path):
    config = tiny(*request.param)
    net = new_net(config, body)
    for p in net.parameters():  # fresh heads say nearly nothing
        p.data += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1))
    export(net, body, config, {"data": "none"}, tmp_path / "net", 25.0)
    return config, net, tmp_path / "net.onnx"


def test_the_exported_network_says_the_same(exported, body: Skeleton, store: Path) -> None:  # noqa: F811
    config, net, path = exported
    for batch, frames in ((1, 1), (2, 16), (3, 7)):
        assert deviation(net, path, example_input(body, config, frames, batch)) < 1e-4
    real = MotionBatches(tiny("tcn", store=str(store)))
    motions = next(iter(real.train_dataloader()))[0]
    assert deviation(net, path, real.filmed(motions).inputs) < 1e-4


def test_a_checkpoint_of_any_network_makes_a_take(exported, moving: tuple[np.ndarray, ...], body: Skeleton) -> None:
    _, _, path = exported
    xy = project(moving[2] @ UPRIGHT.T + [0, 0, 4.0], LENS.K)
    score = np.ones(xy.shape[:2])
    checkpoint = load_checkpoint(str(path))
    assert checkpoint.fps == 25 and checkpoint.card == {"data": "none"}
    out = lift(xy, score, LENS, 25, checkpoint)
    assert out.joints.shape == (*xy.shape[:2], 3) and np.isfinite(out.joints).all()
    assert (out.joints[:, 0] == 0).all() and out.contact.shape == (len(xy), 4)
    names = layout_keypoints("coco17")
    chosen = [body.joint(n) if n in body.joint_names else 0 for n in names]
    seen = np.array([n in body.joint_names for n in names], float)
    take = lifter.lift_keypoints(
        xy[:, chosen],
        np.tile(seen, (len(xy), 1)),
        layout="coco17",
        fps=25,
        image_size=(1280, 720),
        checkpoint=str(path),
    )
    assert np.isfinite(take.people[0].joints_world).all()


@pytest.mark.parametrize(("name", "frames", "options", "window"), [
    ("st_transformer", 16, {}, 16),
    ("temporal_mixer", 32, {}, None),
    ("temporal_mixer", 16, {}, 16),  # it sees 21 frames either side, farther than its clips were
    ("temporal_mixer", 32, {"recalls": [2]}, None),  # a mean is of any number of frames
])  # fmt: skip
def test_a_long_clip_is_lifted_without_seams(
    name: str, frames: int, options: dict[str, Any], window: int | None, body: Skeleton, tmp_path: Path
) -> None:
    config = tiny(name, options, frames=frames)
    export(new_net(config, body), body, config, {}, tmp_path / "net")
    checkpoint = load_checkpoint(str(tmp_path / "net.onnx"))
    assert checkpoint.window == window
    still = [x[:1, :1].repeat(1, 100, *(1,) * (x.ndim - 2)).numpy() for x in example_input(body, config, 1)]
    out = lift_views(still, checkpoint)[0][0]
    # Somebody who stands still before a still camera: a network with a window has no seams but where windows meet,
    # and there the result changes no faster than within one.
    steps = np.abs(np.diff(out, axis=0)).max((1, 2))
    inside = np.abs(np.diff(checkpoint.run(*(x[:, :16] for x in still))[0][0], axis=0)).max()
    assert out.shape[0] == 100 and steps.max() <= max(2 * inside, 1e-5)


def test_both_files_carry_the_same_header(exported, body: Skeleton) -> None:
    from safetensors import safe_open

    _, net, path = exported
    with safe_open(path.with_suffix(".safetensors"), "pt") as file:
        header = json.loads(file.metadata()["motionlift"])
        assert set(file.keys()) == set(net.state_dict())
    onnx = load_checkpoint(str(path))
    assert header["skeleton"]["joints"][3]["name"] == onnx.skeleton.joint_names[3]
    assert header["fps"] == 25 and header["convention"] == "follow-camera-1" and "network" in header


def test_a_run_is_exported_with_its_card_and_can_be_begun_from(store: Path, tmp_path: Path) -> None:  # noqa: F811
    path = config_file(tmp_path, store, steps=3, validate_every=0)
    assert main(["fit", path, "--out", str(tmp_path / "run")]) == 0
    assert main(["export", str(tmp_path / "run")]) == 0
    modes = {(tmp_path / "run" / f"run.{kind}").stat().st_mode for kind in ("onnx", "safetensors")}
    assert len(modes) == 1  # who may read one may read the other
    card = load_checkpoint(str(tmp_path / "run" / "run.onnx")).card
    assert card["steps"] == 3 and card["data"] == {"made": "unknown"} and card["commit"]
    assert card["test subjects, never trained on"] == ["s3"] and card["config"]["network"]["name"] == NET["name"]
    start = tmp_path / "run" / "run.safetensors"
    assert main(["fit", path, "--out", str(tmp_path / "again"), "--set", f"start={start}"]) == 0
    wrong = ["--set", "network={name: tcn, size: xs}", "--set", f"start={start}"]
    assert main(["fit", path, "--out", str(tmp_path / "other"), *wrong]) == 2
    assert main(["export", str(tmp_path / "nothing")]) == 2


def test_a_network_without_recalls_begins_one_that_has_them(body: Skeleton, tmp_path: Path) -> None:
    plain = new_net(tiny("temporal_mixer"), body)
    export(plain, body, tiny("temporal_mixer"), {}, tmp_path / "plain")
    recalling = new_net(tiny("temporal_mixer", {"recalls": [3]}), body)
    start_from(recalling, tmp_path / "plain.safetensors")
    x = example_input(body, tiny("temporal_mixer"), 16)
    with torch.no_grad():
        assert torch.equal(plain(*x)[0], recalling.eval()(*x)[0])
    export(recalling, body, tiny("temporal_mixer", {"recalls": [3]}), {}, tmp_path / "recalling")
    with pytest.raises(MotionliftError, match="does not fit"):  # what it recalls would be lost
        start_from(plain, tmp_path / "recalling.safetensors")


def test_published_protocols_from_archive_to_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    h36m = load_skeleton("h36m")
    write_h36m(tmp_path / "h36m")
    write_3dhp(tmp_path / "3dhp")
    prepare(Corpus((Human36mSource("h36m", "h36m"),), "h36m"), tmp_path, tmp_path / "one")
    prepare(Corpus((MpiInf3dhpSource("mpi_inf_3dhp", "3dhp"),), "h36m"), tmp_path, tmp_path / "two")
    net = {"name": "st_transformer", "size": "xs", "options": {"channels": 16, "layers": 1}}
    data = {"kind": "pairs", "store": str(tmp_path / "one"), "frames": 15, "stride": 5}
    optimiser = {"schedule": "exponential", "decay": 0.9}
    losses = {"mpjpe": 1, "n_mpjpe": 0.5, "bone_length": 0.1}
    path = config_file(
        tmp_path,
        tmp_path / "one",
        network=net,
        data=data,
        optimiser=optimiser,
        losses=losses,
        epochs=2,
        skeleton="h36m",
    )
    run = tmp_path / "run"
    assert main(["fit", path, "--out", str(run)]) == 0
    # Two actions, four cameras, one training subject; 40 frames have 6 windows.
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 2 * (8 * 6 // 4)
    assert main(["export", str(run)]) == 0
    checkpoint = load_checkpoint(str(run / "run.onnx"))
    assert (checkpoint.convention, checkpoint.channels, checkpoint.window, checkpoint.fps) == (SCREEN, 2, 15, 50)
    capsys.readouterr()
    out = tmp_path / "tables.json"
    evaluate = ["evaluate", str(run / "run.onnx")]
    assert main([*evaluate, "--protocol", "h36m", "--store", str(tmp_path / "one"), "--json", str(out)]) == 0
    assert main([*evaluate, "--protocol", "3dhp-cross", "--store", str(tmp_path / "two")]) == 0
    text = capsys.readouterr().out
    assert "Human3.6M VP, CPN 2D" in text and "cross-dataset" in text
    assert json.loads(out.read_text())[0]["rows"]["mean of actions"]["P1"]["protocol"] == "Human3.6M VP, CPN 2D"
    assert main([*evaluate, "--protocol", "open", "--store", str(tmp_path / "one")]) == 2
    assert main(["evaluate", "body", "--protocol", "h36m", "--store", str(tmp_path / "one")]) == 2
    with pytest.raises(MotionliftError, match="published protocol"):
        checkpoint.run(*(np.zeros((1, 2, 17, 2), np.float32),) * 3)
    assert len(h36m.joint_names) == 17


def test_missing_keypoints_are_zero_and_mirrors_agree(tmp_path: Path) -> None:
    from training.batches import PairBatches

    write_h36m(tmp_path / "h36m")
    prepare(Corpus((Human36mSource("h36m", "h36m"),), "h36m"), tmp_path, tmp_path / "one")
    config = RunConfig(NetworkConfig("tcn", "xs"), PairData("pairs", str(tmp_path / "one"), frames=10, confidence=True))
    data = PairBatches(config)
    arrays = data.windows.read(np.array([0, 1]), ("keypoints", "scores", "image_size", "joints"))
    arrays["keypoints"][0, 3, 5] = 0
    arrays["scores"][0, 3, 5] = 0
    plain = data.example(arrays | {"flip": torch.ones(2)})
    mirrored = data.example(arrays | {"flip": torch.zeros(2)})
    assert (plain.inputs[0][0, 3, 5] == 0).all() and (plain.joints[:, :, 0] == 0).all()
    mirror = data.skeleton.mirror.tolist()
    assert torch.allclose(mirrored.joints, plain.joints[:, :, mirror] * torch.tensor([-1.0, 1, 1]))
    assert torch.allclose(mirrored.inputs[0], plain.inputs[0][:, :, mirror] * torch.tensor([-1.0, 1, 1]))
    assert seed_of(1, 2) != seed_of(2, 1)


def test_the_shipped_checkpoint_is_small_and_carries_its_card() -> None:
    assert sum(p.stat().st_size for p in FOLDER.glob("body.*")) < 20e6
    card = load_checkpoint("body").card
    assert "NSF EIA-0196217" in str(card["data"]) and "cmu_05" in str(card)


def test_sigma_is_brought_to_the_errors(body: Skeleton, store: Path, tmp_path: Path) -> None:  # noqa: F811
    """A network that expects 1 m everywhere is told better, and its file says so."""
    config = tiny("tcn", store=str(store))
    data = MotionBatches(config)
    export(new_net(config, data.skeleton), data.skeleton, config, {}, tmp_path / "net")
    change_header(tmp_path / "net.onnx", lambda header: header.update(sigma=(-1.0, 0.5)))
    checkpoint = load_checkpoint(str(tmp_path / "net.onnx"))
    plain = replace(checkpoint, sigma=(0.0, 1.0))
    inputs = [x.numpy() for x in example_input(data.skeleton, config, 8)]
    assert np.allclose(checkpoint.run(*inputs)[1], -1 + 0.5 * plain.run(*inputs)[1], atol=1e-6)
    if not len(ValidationClips(data.store, data.data)):
        assert calibrate(plain, data) == (0.0, 1.0)


def test_a_model_card_is_in_both_files(body: Skeleton, tmp_path: Path) -> None:
    from safetensors import safe_open

    config = tiny("tcn")
    export(new_net(config, body), body, config, {"data": "none"}, tmp_path / "net")
    (tmp_path / "card.md").write_text("# What fails\n", encoding="utf-8")
    path = tmp_path / "net.onnx"
    assert main(["card", str(path), str(tmp_path / "card.md")]) == 0
    assert load_checkpoint(str(path)).card == {"data": "none", "model card": "# What fails\n"}
    with safe_open(path.with_suffix(".safetensors"), "pt") as file:
        assert json.loads(file.metadata()["motionlift"])["card"]["model card"] == "# What fails\n"
    assert main(["card", str(tmp_path / "card.md"), str(tmp_path / "card.md")]) == 2


def test_the_shipped_checkpoint_carries_its_card() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert load_checkpoint("body").card["model card"] == card
