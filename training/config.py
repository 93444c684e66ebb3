"""What a run is: frozen dataclasses, and the YAML files that fill them (training/configs/*.yaml).

    config = load_config("ampose_h36m", ["optimiser.learning_rate=5e-4"])

A key that is not known or a value of another type is refused, with the nearest right name.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

import yaml

from lifter.errors import MotionliftError
from lifter.nets import net_names, net_sizes
from training.losses import LossWeights
from training.pretrain import PretrainConfig

FOLDER = Path(__file__).parent / "configs"


@dataclass(frozen=True)
class NetworkConfig:
    """A network of lifter/nets by name and size; `options` replace fields of the size."""

    name: str
    size: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MotionData:
    """Motion capture of a prepared store, filmed by random cameras: input convention "follow-camera-1".

    Attributes:
        store: folder that `motionlift-train prepare` made.
        joints: of the store's skeleton that the network sees and says; all if empty.
        frames, fps: of a clip.
        warp: standard deviation of the logarithm of a random change of speed.
        short_share: in this share of the steps clips are shorter, down to one frame, and as many more.
        noise: 0 gives clean 2D and the true lens, 1 a detector's errors.
        spread: how far the proportions of people spread.
        mix: in this share of the clips, a part of the body moves as in another clip.
        bent: share of the clips that are lowered onto bent knees, trunks leaning (training/crouch.py).
        swung: share of the clips in which arms and legs are held otherwise than they were recorded.
        exact: share of the clips that are seen without a detector's errors and with the true lens.
        layout: 2D layout of the clips. If it is empty, all of `joints` are seen or, without these, the layout is drawn
            at random for each clip.
        source_weights: how often frames of a source are drawn, relative to their number; 1 for others.
    """

    kind: Literal["motion"] = "motion"
    store: str = "runs/corpus"
    joints: tuple[str, ...] = ()
    frames: int = 64
    fps: float = 30.0
    warp: float = 0.2
    short_share: float = 0.0
    noise: float = 1.0
    spread: float = 1.0
    mix: float = 0.0
    bent: float = 0.0
    swung: float = 0.0
    exact: float = 0.0
    layout: str = ""
    source_weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _at_least("data", self, frames=1)
        if not self.fps > 0:
            raise MotionliftError(f"data.fps is {self.fps:g}", "Give a number above 0")


@dataclass(frozen=True)
class PairData:
    """Recorded 2D with its 3D, of a prepared store: input convention "screen-1", or "image-1" for MotionBERT's files.

    Attributes:
        store: folder that `motionlift-train prepare` made.
        target: "camera" is metres in camera space, relative to the root; "image" is MotionBERT's pixels and scaled z.
        confidence: the input has the 2D's confidence as a third channel.
        frames, stride: of a window, and how far windows are apart.
        flip: share of the windows that are mirrored.
    """

    kind: Literal["pairs"]
    store: str
    target: Literal["camera", "image"] = "camera"
    confidence: bool = False
    frames: int = 243
    stride: int = 81
    flip: float = 0.5

    def __post_init__(self) -> None:
        _at_least("data", self, frames=1, stride=1)


@dataclass(frozen=True)
class Optimiser:
    """AdamW, and how its rate changes: linear warm-up, then a cosine down to `floor` times the rate, or a factor
    `decay` each `decay_steps` (each epoch if they are 0 and the run counts in epochs), or "trapezoid": constant, and
    down to 0 in a straight line over the last `cooldown` steps. A trapezoid's steps may be changed while it is
    constant: the run goes on for as long as there is time, and is then ended.

    Attributes:
        kind: "muon" takes torch.optim.Muon for the matrices inside the network (training/muon.py).
        clip: largest norm of all gradients together; 0 does not clip.
        layer_decay: where pre-trained weights are fine-tuned, each layer learns slower than the next by this factor,
            and all of them slower than the heads by `backbone`.
    """

    kind: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    amsgrad: bool = False
    schedule: Literal["cosine", "exponential", "constant", "trapezoid"] = "cosine"
    warmup: int = 0
    cooldown: int = 0
    floor: float = 0.02
    decay: float = 0.99
    decay_steps: int = 0
    clip: float = 1.0
    layer_decay: float = 0.9
    backbone: float = 0.5


@dataclass(frozen=True)
class Pretraining:
    """A first stage on 2D alone (`motionlift-train pretrain`); its optimiser is cosine with 5 % warm-up.

    Attributes:
        store: a store whose keypoints it learns from (training/data/keypoint_files.py). If it is empty, it learns from
            `data`: filmed motion, or all keypoints of the training recordings, with 3D or without.
    """

    steps: int
    store: str = ""
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    batch: int = 16
    masks: PretrainConfig = field(default_factory=PretrainConfig)

    def __post_init__(self) -> None:
        _at_least("pretraining", self, steps=1, batch=1)


@dataclass(frozen=True)
class RunConfig:
    """One training run.

    Attributes:
        skeleton: name or path of the data's skeleton; a store of another one is refused. Any if it is empty.
        steps, batch: optimiser steps, and clips in each.
        epochs: passes over all windows, in place of `steps`; of `pairs` alone. 0 counts in steps.
        shards: independent parts of a batch. Any number of processes that divides it gives the same run.
        ema: share that the average of the weights keeps of itself in a step; the average is what is exported.
        validate_every, save_every: in steps; 0 never validates.
        workers: processes that read ahead.
        start: weights to begin with: a .safetensors file of an export.
    """

    network: NetworkConfig
    data: MotionData | PairData
    about: str = ""
    skeleton: str = ""
    losses: LossWeights = field(default_factory=LossWeights)
    optimiser: Optimiser = field(default_factory=Optimiser)
    pretraining: Pretraining | None = None
    steps: int = 10000
    epochs: int = 0
    batch: int = 64
    shards: int = 1
    ema: float = 0.999
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    compile: bool = False
    seed: int = 1
    threads: int = 0
    workers: int = 0
    log_every: int = 50
    validate_every: int = 1000
    save_every: int = 250
    start: str = ""

    def __post_init__(self) -> None:
        _at_least("", self, steps=1, batch=1, shards=1, save_every=1, log_every=1, epochs=0, workers=0, threads=0)
        if not 0 <= self.ema < 1:
            raise MotionliftError(f"ema is {self.ema:g}", "Give 0 or more, below 1")
        o = self.optimiser
        if o.schedule == "exponential" and o.decay_steps < 1 and not self.epochs:
            raise MotionliftError("optimiser.decay_steps is not given", "Say after how many steps the rate decays")
        if self.epochs and isinstance(self.data, MotionData):
            raise MotionliftError("epochs: motion that is filmed anew has none", "Give steps")
        if self.batch % self.shards:
            raise MotionliftError(
                f"A batch of {self.batch} has no {self.shards} equal shards", "Let shards divide batch"
            )


def _at_least(where: str, value: object, **limits: int) -> None:
    for name, low in limits.items():
        if getattr(value, name) < low:
            what = f"{where}.{name}" if where else name
            raise MotionliftError(f"{what} is {getattr(value, name)}", f"Give at least {low}")


def config_names() -> tuple[str, ...]:
    """Names of the configurations in training/configs."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.yaml")))


def load_config(name: str, overrides: Sequence[str] = ()) -> RunConfig:
    """A configuration by its name in training/configs or by the path of a YAML file.

    Args:
        overrides: "key=value" with dots between keys; the value is read as YAML.
    Raises MotionliftError for a file, key or value that is not right.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        near = _nearest(path.stem, config_names())
        raise MotionliftError(f"No configuration {name!r}", f"{near}Known: {', '.join(config_names())}; or give a path")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        for text in overrides:
            key, equals, value = text.partition("=")
            if not equals:
                raise MotionliftError(f"--set {text}: no value", "Write key=value")
            _put(data, key.split("."), yaml.safe_load(value))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise MotionliftError(f"{path}: cannot be read as YAML ({error})", "Check the file") from error
    config = cast(RunConfig, read(RunConfig, data, path.name))
    return dataclasses.replace(config, network=_checked_network(config.network, f"{path.name}: network"))


def _checked_network(network: NetworkConfig, where: str) -> NetworkConfig:
    """The network with its options as values of their types."""
    if network.name not in net_names():
        near = _nearest(network.name, net_names())
        raise MotionliftError(f"{where}.name: {network.name!r}", f"{near}Use one of {', '.join(net_names())}")
    sizes = net_sizes(network.name)
    if network.size not in sizes:
        near = _nearest(network.size, tuple(sizes))
        raise MotionliftError(f"{where}.size: {network.size!r}", f"{near}{network.name} has {', '.join(sizes)}")
    hints = typing.get_type_hints(type(sizes[network.size]))
    known = [k for k in hints if k not in ("joints", "contacts")]  # these are the skeleton's
    options: dict[str, Any] = {}
    for key, value in network.options.items():
        if key not in known:
            near = _nearest(key, known)
            raise MotionliftError(f"{where}.options: unknown key {key!r}", f"{near}Known keys: {', '.join(known)}")
        options[key] = read(hints[key], value, f"{where}.options.{key}")
    return dataclasses.replace(network, options=options)


def _put(data: Any, keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        if not isinstance(data.get(key), dict):
            data[key] = {}
        data = data[key]
    data[keys[-1]] = value


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Plain data; `read(RunConfig, ...)` gives the configuration back."""
    return dataclasses.asdict(config)


def read(kind: Any, value: Any, where: str) -> Any:
    """`value`, as YAML has it, as a value of the type `kind`; `where` names it in errors."""
    origin = get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _read_union(get_args(kind), value, where)
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(cast(type, kind), value, where)
    if origin is Literal:
        if value not in get_args(kind):
            known = [str(a) for a in get_args(kind)]
            raise MotionliftError(f"{where}: {value!r}", f"{_nearest(str(value), known)}Use one of {', '.join(known)}")
        return value
    if origin is tuple:
        return _read_tuple(get_args(kind), value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(where, value, "a mapping")
        return {str(k): read(get_args(kind)[1], v, f"{where}.{k}") for k, v in cast(dict[Any, Any], value).items()}
    if kind is Any:
        return value
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 1e-3 as a string
        try:
            value = float(value)
        except ValueError as error:
            raise _wrong(where, value, "a number") from error
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        words = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
        raise _wrong(where, value, words[kind])
    return value


def _read_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and types.NoneType in kinds:
        return None
    rest = [k for k in kinds if k is not types.NoneType]
    if len(rest) == 1:
        return read(rest[0], value, where)
    if not isinstance(value, dict):
        raise _wrong(where, value, "a mapping")
    by_name = {get_args(typing.get_type_hints(k)["kind"])[0]: k for k in rest}
    name = cast(dict[str, Any], value).get("kind")
    if name not in by_name:
        near = _nearest(str(name), tuple(by_name))
        raise MotionliftError(f"{where}.kind: {name!r}", f"{near}Use one of {', '.join(by_name)}")
    return read(by_name[name], value, where)


def _read_dataclass(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(where, value, "a mapping")
    given = cast(dict[str, Any], value)
    hints = typing.get_type_hints(kind)
    for key in given:
        if key not in hints:
            near = _nearest(str(key), tuple(hints))
            raise MotionliftError(f"{where}: unknown key {key!r}", f"{near}Known keys: {', '.join(hints)}")
    for f in dataclasses.fields(kind):
        needed = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if needed and f.name not in given:
            raise MotionliftError(f"{where}: {f.name!r} is missing", "Add it")
    return kind(
        **{k: read(hints[k], v, f"{where}: {k}" if ":" not in where else f"{where}.{k}") for k, v in given.items()}
    )


def _read_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, list | tuple):
        raise _wrong(where, value, "a list")
    items = cast(list[Any], list(cast(Any, value)))
    if kinds[-1] is Ellipsis:
        return tuple(read(kinds[0], v, f"{where}[{i}]") for i, v in enumerate(items))
    if len(items) != len(kinds):
        raise _wrong(where, value, f"a list of {len(kinds)}")
    return tuple(read(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, items, strict=True)))


def _wrong(where: str, value: Any, wanted: str) -> MotionliftError:
    return MotionliftError(f"{where}: {value!r} is not {wanted}", f"Give {wanted}")


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f"Did you mean {near[0]!r}? " if near else ""
