"""Ways to measure a network, one file each; every number carries the name of its protocol.

Human3.6M is measured in two ways that cannot be compared with each other; see docs/training.md.
"""

from __future__ import annotations

from lifter.checkpoint import IMAGE, Checkpoint
from lifter.errors import MotionliftError
from training.data.store import Store
from training.protocols.h36m import evaluate_mb, evaluate_vp
from training.protocols.humaneva import evaluate_humaneva
from training.protocols.mpi_inf_3dhp import evaluate_3dhp
from training.protocols.open import evaluate_open
from training.protocols.screen import lift_with
from training.protocols.table import Table


def evaluate(
    protocol: str,
    checkpoint: Checkpoint,
    store: Store,
    frames: int = 81,
    layout: str | None = None,
    keypoints: str = "",
) -> list[Table]:
    """Tables of a protocol by the name that the command line has for it."""
    if protocol == "open":
        return [evaluate_open(checkpoint, store, noise, frames, layout=layout) for noise in (0.0, 1.0)]
    lift = lift_with(checkpoint)
    if checkpoint.skeleton.joint_names != store.skeleton.joint_names:
        raise MotionliftError(
            f"{store.path}: of skeleton {store.skeleton.name}, {checkpoint.name} of {checkpoint.skeleton.name}",
            "Prepare the dataset with the checkpoint's skeleton",
        )
    if protocol == "h36m":
        if checkpoint.convention == IMAGE:
            return list(evaluate_mb(lift, store))
        return [evaluate_vp(lift, store, keypoints)]
    if checkpoint.convention == IMAGE:
        raise MotionliftError(f"{checkpoint.name}: says image coordinates and no metres", "Use --protocol h36m")
    if protocol == "humaneva":
        return [evaluate_humaneva(lift, store, keypoints)]
    return [evaluate_3dhp(lift, store, cross_dataset=protocol == "3dhp-cross")]
