"""Muon for the matrices inside a network, AdamW for everything else, as one optimiser.

Muon (Jordan et al. 2024; torch.optim.Muon) takes steps that turn all directions of a matrix by as much. It is made for
hidden matrices: the first and the last layer, biases and norms are left to AdamW.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class MuonAndAdamW(torch.optim.Optimizer):
    """Both take steps of about the same size at one learning rate.

    Args:
        hidden: matrices for Muon.
        groups: parameter groups for AdamW.
    """

    def __init__(
        self,
        hidden: list[Tensor],
        groups: list[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
    ) -> None:
        self.muon = torch.optim.Muon(hidden, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        self.adam = torch.optim.AdamW(groups, lr=lr, betas=betas)
        super().__init__([*self.muon.param_groups, *self.adam.param_groups], {})
        self._share()

    def _share(self) -> None:
        """One state, and the same groups, so that schedules, saving and loading see one optimiser."""
        self.muon.param_groups, self.adam.param_groups = self.param_groups[:1], self.param_groups[1:]
        self.muon.state = self.adam.state = self.state

    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.muon.step()
        self.adam.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._share()


def hidden_matrices(net: nn.Module) -> list[Tensor]:
    """Weights of linear layers but the first and the last."""
    linear = [m.weight for m in net.modules() if isinstance(m, nn.Linear)]
    return linear[1:-1]
