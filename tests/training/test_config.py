from __future__ import annotations

from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch")

from lifter.errors import MotionliftError
from lifter.nets import build_net, skeleton_graph
from lifter.skeleton import load_skeleton
from training.config import MotionData, RunConfig, config_names, load_config, read, to_dict
from training.fit import new_net

AMPOSE = {"name": "ampose", "size": "xs"}
GOOD = {"network": AMPOSE, "data": {"kind": "motion", "frames": 1}}


def written(folder: Path, data: object) -> str:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    return str(path)


@pytest.mark.parametrize("name", config_names())
def test_every_configuration_makes_its_network(name: str) -> None:
    config = load_config(name)
    skeleton = load_skeleton(config.skeleton or "body")
    graph = skeleton_graph(skeleton)
    build_net(config.network.name, config.network.size, graph, **config.network.options)
    assert config.about and config.steps > 0
    assert read(RunConfig, to_dict(config), "again") == config


def test_what_is_not_said_is_the_default(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, GOOD), ["optimiser.learning_rate=5e-4", "network.options.layers=2"])
    assert isinstance(config.data, MotionData) and config.data.frames == 1 and config.data.fps == 30
    assert config.optimiser.learning_rate == 5e-4 and config.network.options == {"layers": 2}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"optimizer": {}}, ["unknown key 'optimizer'", "Did you mean 'optimiser'"]),
        ({"optimiser": {"learning_rat": 1}}, ["learning_rat", "Did you mean 'learning_rate'"]),
        ({"losses": {"mpjp": 1}}, ["Did you mean 'mpjpe'"]),
        ({"steps": "many"}, ["steps", "'many' is not a whole number"]),
        ({"steps": 3.5}, ["steps", "3.5 is not a whole number"]),
        ({"steps": True}, ["steps", "is not a whole number"]),
        ({"steps": 0}, ["steps is 0"]),
        ({"batch": 6, "shards": 4}, ["no 4 equal shards"]),
        ({"precision": "bf16_mixed"}, ["'bf16_mixed'", "Did you mean 'bf16-mixed'"]),
        ({"optimiser": {"betas": [0.9]}}, ["optimiser.betas", "a list of 2"]),
        ({"optimiser": 3}, ["optimiser", "a mapping"]),
        ({"data": {"kind": "motions"}}, ["Did you mean 'motion'"]),
        ({"data": {"kind": "pairs"}}, ["'store' is missing"]),
        ({"network": {"name": "ampose"}}, ["'size' is missing"]),
        ({"network": {"name": "amposs", "size": "xs"}}, ["network.name", "Did you mean 'ampose'"]),
        ({"network": {"name": "ampose", "size": "papr"}}, ["network.size", "Did you mean 'paper'"]),
        ({"network": AMPOSE | {"options": {"layer": 2}}}, ["unknown key 'layer'", "Did you mean 'layers'"]),
        ({"network": AMPOSE | {"options": {"layers": "two"}}}, ["options.layers", "'two' is not a whole number"]),
        ({"network": AMPOSE | {"options": {"order": "paralel"}}}, ["options.order", "Did you mean 'parallel'"]),
        ({"network": AMPOSE | {"options": {"joints": 3}}}, ["unknown key 'joints'"]),
        ({"data": {"kind": "motion", "frames": 0}}, ["data.frames is 0"]),
        ({"data": {"kind": "motion", "fps": -3}}, ["data.fps is -3"]),
        ({"data": {"kind": "pairs", "store": "x", "stride": 0}}, ["data.stride is 0"]),
        ({"pretraining": {"steps": 0}}, ["pretraining.steps is 0"]),
        ({"ema": 1}, ["ema is 1"]),
        ({"pretraining": {"steps": 3, "masks": {"tube_frames": [1, 2, 3]}}}, ["tube_frames", "a list of 2"]),
    ],
)
def test_what_is_wrong_is_refused_with_the_nearest_right_name(
    tmp_path: Path, change: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(MotionliftError) as caught:
        load_config(written(tmp_path, GOOD | change))
    for word in words:
        assert word in str(caught.value)


def test_options_of_a_network_take_the_types_of_its_own_configuration(tmp_path: Path) -> None:
    network = {"name": "tcn", "size": "xs", "options": {"dilations": [3, 9], "dropout": 0}}
    config = load_config(written(tmp_path, GOOD | {"network": network}))
    assert config.network.options == {"dilations": (3, 9), "dropout": 0.0}


def test_networks_that_cannot_be_built_say_why(tmp_path: Path) -> None:
    body = load_skeleton("body")
    config = load_config(written(tmp_path, GOOD), ["network.name=st_transformer", "data.frames=82"])
    with pytest.raises(MotionliftError, match=r"data\.frames is 82, st_transformer xs takes 81 at most"):
        new_net(config, body)
    with pytest.raises(MotionliftError, match="96 channels have no 5 equal heads"):
        new_net(load_config(written(tmp_path, GOOD), ["network.options.heads=5"]), body)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(MotionliftError, match="Did you mean 'body'"):
        load_config("bodi")
    path = tmp_path / "x.yaml"
    path.write_text("a: [")
    with pytest.raises(MotionliftError, match="cannot be read as YAML"):
        load_config(str(path))
    path.write_text("just words")
    with pytest.raises(MotionliftError, match="a mapping"):
        load_config(str(path))
    with pytest.raises(MotionliftError, match="no value"):
        load_config("body", ["steps"])
