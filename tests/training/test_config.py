from __future__ import annotations

from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch")

from lifter.errors import MotionliftError
from lifter.nets import build_net, skeleton_graph
from lifter.skeleton import load_skeleton
from training.config import MotionData, RunConfig, config_names, load_config, read, to_dict

GOOD = {"network": {"name": "ampose", "size": "xs"}, "data": {"kind": "motion", "frames": 1}}


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
