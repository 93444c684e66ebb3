"""Run a configuration: `fit` to lift, `pretrain` to learn representations first. A killed run goes on where it was.

A run's folder holds last.ckpt (Lightning's, written atomically), config.yaml, and TensorBoard logs.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins import TorchCheckpointIO
from torch import Tensor, nn

from lifter.errors import MotionliftError
from lifter.nets import skeleton_graph
from lifter.nets.follower import build_follower
from lifter.nets.screen import build_screen
from lifter.skeleton import Skeleton
from training.batches import make_batches
from training.config import PairData, RunConfig, to_dict
from training.data.recording import contact_points
from training.module import Lifting, PretrainingModule
from training.pretrain import load_encoder
from training.pretraining_batches import make_pretraining_batches

log = logging.getLogger("training")
LAST = "last.ckpt"


class Average(WeightAveraging):
    """Exponential moving average of the weights, with a short memory at the beginning.

    Statistics of batch norms are the newest ones. The average is what is validated and exported.
    """

    def __init__(self, keep: float) -> None:
        def update(average: Any, current: Any, count: Tensor | int) -> None:
            n = int(count)
            torch._foreach_lerp_(average, current, 1 - min(keep, (n + 1) / (n + 21)))  # pyright: ignore

        super().__init__(use_buffers=False, multi_avg_fn=update)


class AtomicFiles(TorchCheckpointIO):
    """A checkpoint is whole under its name or not there: written beside it, and renamed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(path.name + ".tmp")
        with scratch.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)


class LastStep(Callback):
    """Saves after the last step, before the average takes the place of the weights."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        trainer.save_checkpoint(self.path, weights_only=False)

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        trainer.logger.experiment.flush()  # a kill shall not take the log of what is saved with it


class Lines(Callback):
    """A line of text each `every` steps, where nobody watches a progress bar."""

    def __init__(self, every: int) -> None:
        self.every = every

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step % self.every == 0 and trainer.is_global_zero:
            parts = {k: float(v) for k, v in trainer.callback_metrics.items()}
            text = "  ".join(f"{k.split('/')[-1]} {v:.4g}" for k, v in parts.items() if not k.startswith("validation"))
            log.info("step %d  %s", trainer.global_step, text)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        parts = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("validation")}
        if trainer.is_global_zero and parts:
            log.info("step %d  %s", trainer.global_step, "  ".join(f"{k} {v:.4g}" for k, v in parts.items()))


def new_net(config: RunConfig, skeleton: Skeleton) -> nn.Module:
    """The configuration's network with fresh weights, which depend on its seed alone."""
    torch.manual_seed(config.seed)
    n, graph = config.network, skeleton_graph(skeleton)
    if isinstance(config.data, PairData):
        net = build_screen(n.name, n.size, graph, 2 + config.data.confidence, **n.options)
    else:
        net = build_follower(n.name, n.size, graph, len(contact_points(skeleton)), **n.options)
    window = getattr(net, "window", None)
    if window and config.data.frames > window:
        raise MotionliftError(
            f"data.frames is {config.data.frames}, {n.name} {n.size} takes {window} at most",
            f"--set data.frames={window}, or a larger network.options.window",
        )
    return net


def fit(config: RunConfig, out: Path) -> Lifting:
    """Train to the configuration's number of steps; goes on from `out`/last.ckpt. Returns the averaged network."""
    data = make_batches(config)
    config = data.config
    net = new_net(config, data.skeleton)
    if config.pretraining is not None:
        _start_pretrained(net, out / "pretraining" / LAST)
    if config.start:
        start_from(net, Path(config.start))
    module = Lifting(net, data.skeleton, config)
    _run(module, data, config, out, config.steps, [Average(config.ema)])
    return module


def averaged_net(config: RunConfig, skeleton: Skeleton, path: Path) -> tuple[nn.Module, int]:
    """The averaged network of a checkpoint of `fit`, and its step."""
    state = torch.load(path, weights_only=True, map_location="cpu")
    net = new_net(config, skeleton)
    net.load_state_dict({k.removeprefix("net."): v for k, v in state["state_dict"].items() if k.startswith("net.")})
    return net, int(state["global_step"])


def pretrain(config: RunConfig, out: Path) -> PretrainingModule:
    """The first stage: learn representations of 2D, into `out`/pretraining."""
    stage = config.pretraining
    if stage is None:
        raise MotionliftError("This configuration has no pre-training", "Add `pretraining:` with its steps, or use fit")
    config = replace(config, steps=stage.steps, epochs=0, batch=stage.batch, validate_every=0)
    data = make_pretraining_batches(config)
    module = PretrainingModule(new_net(config, data.skeleton), config)
    _run(module, data, config, out / "pretraining", stage.steps, [])
    return module


def _start_pretrained(net: nn.Module, path: Path) -> None:
    if not path.exists():
        raise MotionliftError(
            f"{path}: no pre-trained weights", "Run `motionlift-train pretrain` first, or --set pretraining=null"
        )
    state = torch.load(path, weights_only=True, map_location="cpu")["state_dict"]
    prefix = "pretraining.student."
    student = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    load_encoder(net.net, {k: v for k, v in student.items() if not k.startswith("heads.")})  # pyright: ignore


def start_from(net: nn.Module, path: Path) -> None:
    """Take the weights of an export. Recalls that it does not have stay without effect.

    Raises MotionliftError for a file that is not there or of another network.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        raise MotionliftError(f"{path}: no such file to start from", "Give the .safetensors file of an export")
    try:
        state = load_file(path)
        fresh = {k: v for k, v in net.state_dict().items() if k.startswith("recalls.")}
        net.load_state_dict(fresh | {k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    except (OSError, RuntimeError, ValueError) as error:
        raise MotionliftError(
            f"{path}: does not fit the network ({error})", "Train with the network it is of"
        ) from error


def _run(
    module: lightning.LightningModule,
    data: lightning.LightningDataModule,
    config: RunConfig,
    out: Path,
    steps: int,
    callbacks: list[Callback],
) -> None:
    if config.threads:
        torch.set_num_threads(config.threads)
    _keep_config(config, out)
    last = out / LAST
    saving = ModelCheckpoint(
        out,
        "last",
        every_n_train_steps=config.save_every,
        save_on_train_epoch_end=False,
        enable_version_counter=False,
        auto_insert_metric_name=False,
    )
    shown = TQDMProgressBar() if sys.stderr.isatty() else Lines(config.log_every)
    quiet = ("workers", "resuming from a checkpoint", "exists and is not empty", "treespec", "val_dataloader")
    for text in (*quiet, "smaller than the logging interval", "in eval mode at the start"):
        warnings.filterwarnings("ignore", f".*{text}.*", module="lightning")
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    trainer = lightning.Trainer(
        max_steps=steps,
        max_epochs=-1,
        precision=config.precision,
        strategy=_strategy(module, config),
        devices="auto" if torch.cuda.is_available() else int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        num_nodes=int(os.environ.get("WORLD_SIZE", "1")) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        accelerator="auto",
        gradient_clip_val=config.optimiser.clip or None,
        val_check_interval=config.validate_every or None,
        check_val_every_n_epoch=None,
        limit_val_batches=1.0 if config.validate_every else 0,
        num_sanity_val_steps=0,
        log_every_n_steps=config.log_every,
        use_distributed_sampler=False,
        logger=TensorBoardLogger(out, name="", version="logs"),
        callbacks=[*callbacks, saving, LastStep(last), shown],
        plugins=[AtomicFiles()],
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        deterministic="warn",
    )
    trainer.fit(module, data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    module.load_state_dict(torch.load(last, weights_only=True, map_location="cpu")["state_dict"])


def _strategy(module: lightning.LightningModule, config: RunConfig) -> str:
    """How processes work together; heads that no loss reaches have to be looked for."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return "auto"
    idle = isinstance(module, PretrainingModule) or not (config.losses.contact or config.losses.gravity)
    return "ddp_find_unused_parameters_true" if idle else "ddp"


def _keep_config(config: RunConfig, out: Path) -> None:
    """Write the configuration down; refuse to go on with another one."""
    text = yaml.safe_dump(_plain(to_dict(config)), sort_keys=False)
    path = out / "config.yaml"
    if path.exists() and (out / LAST).exists():
        old = yaml.safe_load(path.read_text(encoding="utf-8"))
        new = yaml.safe_load(text)
        free = {"workers", "log_every", "save_every", "threads", "about"}
        if config.optimiser.schedule == "trapezoid":
            free.add("steps")
        differ = [k for k in new if old.get(k) != new[k] and k not in free]
        if differ:
            raise MotionliftError(
                f"{out}: holds a run of another configuration ({', '.join(differ)})", "Choose another folder with --out"
            )
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    """Tuples as lists, for YAML."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
