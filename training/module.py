"""What Lightning trains: a network, its losses, its optimiser. The networks know nothing of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import lightning
import torch
from torch import Tensor, nn

from lifter.errors import MotionliftError
from lifter.nets.follower import Follower
from lifter.nets.screen import Screen
from lifter.nets.transformer_gcn import TransformerGCN
from lifter.skeleton import Skeleton
from training import losses
from training.batches import Example, seed_of
from training.config import Optimiser, RunConfig
from training.muon import MuonAndAdamW, hidden_matrices
from training.pretrain import Pretraining, check_collapse, draw_masks, fine_tuning_groups


class Lifting(lightning.LightningModule):
    """Learns to lift.

    Args:
        net: called with an example's inputs. Returns joints (B, T, J, 3), or a tuple of joints, logarithm of sigma,
            contact logits and direction of gravity.
    """

    weight: Tensor

    def __init__(self, net: nn.Module, skeleton: Skeleton, config: RunConfig) -> None:
        super().__init__()
        self.net, self.skeleton, self.config = net, skeleton, config
        self._call = (torch.compile(net) if config.compile else net,)  # in a tuple: it is no second copy of the weights
        self.register_buffer("weight", losses.joint_weights(skeleton), persistent=False)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Dropout depends on the step alone: a run that goes on after a kill draws what it would have drawn.
        torch.manual_seed(seed_of(self.config.seed, self.global_step, self.global_rank, 3))

    def training_step(self, batch: Example, batch_idx: int) -> Tensor:
        loss, parts = self.losses(batch)
        self.log_dict({f"train/{k}": v for k, v in parts.items()})
        self.log("train/loss", loss.detach(), prog_bar=True)
        self.log("train/rate", self.optimizers().param_groups[0]["lr"])  # pyright: ignore
        return loss

    def validation_step(self, batch: Example, batch_idx: int) -> None:
        _, parts = self.losses(batch)
        self.log_dict({f"validation/{k}": v for k, v in parts.items()}, batch_size=1, sync_dist=True)

    def losses(self, batch: Example) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the losses, and each of them."""
        out = self._call[0](*batch.inputs)
        joints, log_sigma, contact, down = (None if x is None else x.float() for x in _four(out))
        truth, real = batch.joints, batch.real
        parts: dict[str, Tensor] = {}
        for name, weight in vars(self.config.losses).items():
            if not weight:
                continue
            match name:
                case "mpjpe" | "n_mpjpe" | "p_mpjpe" | "velocity":
                    parts[name] = getattr(losses, name)(joints, truth, real, self.weight)
                case "bone_length":
                    parts[name] = losses.bone_length(cast(Tensor, joints), truth, real, self.skeleton.parents)
                case "likelihood":
                    parts[name] = losses.likelihood(cast(Tensor, joints), truth, real, _has(log_sigma, name))
                case "contact":
                    parts[name] = losses.contact(_has(contact, name), _has(batch.contact, name), real)
                case "gravity":
                    parts[name] = losses.gravity(_has(down, name), _has(batch.down, name), real)
                case _:
                    raise AssertionError(name)
        total = sum((getattr(self.config.losses, k) * v for k, v in parts.items()), start=truth.new_zeros(()))
        return total, {k: v.detach() for k, v in parts.items()}

    def configure_optimizers(self) -> Any:
        o = self.config.optimiser
        body = body_of(self.net)
        if self.config.pretraining is not None and isinstance(body, TransformerGCN):
            groups = fine_tuning_groups(body, o.learning_rate, o.backbone, o.layer_decay)
        else:
            groups = [{"params": list(self.net.parameters()), "lr": o.learning_rate}]
        return optimiser(_without_decay_of_vectors(groups, o.weight_decay), o, self.config.steps, self.net)


class PretrainingModule(lightning.LightningModule):
    """Learns representations of 2D motion (`training/pretrain.py`)."""

    def __init__(self, net: nn.Module, config: RunConfig) -> None:
        super().__init__()
        body = body_of(net)
        if config.pretraining is None or not isinstance(body, TransformerGCN):
            raise MotionliftError(f"{config.network.name} cannot be pre-trained", "Use transformer_gcn")
        self.config, self.stage = config, config.pretraining
        self.pretraining = Pretraining(body, config.pretraining.masks)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        torch.manual_seed(seed_of(self.config.seed, self.global_step, self.global_rank, 3))

    def training_step(self, batch: Example, batch_idx: int) -> Tensor:
        x = batch.inputs[0] if len(batch.inputs) == 2 else Follower.channels(*batch.inputs)
        real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if batch.real is None else batch.real
        g = torch.Generator().manual_seed(seed_of(self.config.seed, self.global_step, self.global_rank, 4))
        draws = real.cpu().repeat_interleave(self.stage.masks.draws, 0)
        loss, log = self.pretraining(x, real, draw_masks(draws, x.shape[2], self.stage.masks, g))
        if self.global_step and self.global_step % 100 == 0:
            check_collapse(log)
        self.log_dict({f"pretrain/{k.replace(' ', '_')}": v for k, v in log.items()}, prog_bar=True)
        return loss

    def optimizer_step(self, *args: Any, **options: Any) -> None:
        # Here and not at the end of the batch, where what is saved would have the teacher of the step before.
        super().optimizer_step(*args, **options)
        self.pretraining.update_teacher((self.global_step + 1) / self.stage.steps)

    def configure_optimizers(self) -> Any:
        s = self.stage
        o = Optimiser(learning_rate=s.learning_rate, weight_decay=s.weight_decay, warmup=max(1, s.steps // 20))
        params = [p for p in self.pretraining.parameters() if p.requires_grad]
        return optimiser(
            _without_decay_of_vectors([{"params": params, "lr": o.learning_rate}], o.weight_decay), o, s.steps
        )


def body_of(net: nn.Module) -> nn.Module:
    """The network inside of its input convention."""
    return net.net if isinstance(net, Follower | Screen) else net


def optimiser(groups: list[dict[str, Any]], o: Optimiser, steps: int, net: nn.Module | None = None) -> dict[str, Any]:
    """AdamW or, for a network's inside, Muon; and the schedule; as Lightning takes them."""
    hidden = hidden_matrices(net) if net is not None and o.kind == "muon" else []
    if hidden:
        taken = {id(p) for p in hidden}
        rest = [{**g, "params": [p for p in g["params"] if id(p) not in taken]} for g in groups]
        rest = [g for g in rest if g["params"]]
        made = MuonAndAdamW(hidden, rest, lr=o.learning_rate, weight_decay=o.weight_decay, betas=o.betas)
    else:
        made = torch.optim.AdamW(groups, lr=o.learning_rate, betas=o.betas, amsgrad=o.amsgrad)
    schedule = torch.optim.lr_scheduler.LambdaLR(made, factor_at(o, steps))
    return {"optimizer": made, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def factor_at(o: Optimiser, steps: int) -> Callable[[int], float]:
    """What the learning rate is multiplied with at a step."""

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / o.warmup) if o.warmup else 1.0
        match o.schedule:
            case "cosine":
                return warm * (o.floor + (1 - o.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))
            case "exponential":
                return warm * o.decay ** (step // o.decay_steps)
            case "constant":
                return warm
            case "trapezoid":
                return warm * min(1.0, (steps - step) / max(1, o.cooldown))

    return factor


def _without_decay_of_vectors(groups: list[dict[str, Any]], weight_decay: float) -> list[dict[str, Any]]:
    """Biases, norms and the like are not decayed."""
    out: list[dict[str, Any]] = []
    for group in groups:
        for matrices in (True, False):
            params = [p for p in group["params"] if (p.ndim > 1) == matrices]
            if params:
                out.append({**group, "params": params, "weight_decay": weight_decay if matrices else 0.0})
    return out


def _four(out: Any) -> tuple[Tensor | None, ...]:
    return out if isinstance(out, tuple) else (out, None, None, None)


def _has(value: Tensor | None, loss: str) -> Tensor:
    if value is None or not value.shape[-1]:
        raise MotionliftError(
            f"The loss {loss!r} needs what this network or these data do not have", f"Set losses.{loss} to 0"
        )
    return value
