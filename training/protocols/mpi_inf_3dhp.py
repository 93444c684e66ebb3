"""MPI-INF-3DHP's test set as P-STMO prepares it: true 2D in, universal skeleton out, frames marked valid.

PCK counts joints strictly within 150 mm, AUC is its mean over 0, 5, ... 150 mm; both over 14 joints: without pelvis,
spine and head. MPJPE is over all 17, the root's zero included. The frames of a sequence count alike. Published work
averages sequences in two ways, and both are given: weighted by valid frames (P-STMO), and plainly (D3DP).

Cross-dataset: the same figures of a network that was trained on Human3.6M, whose people have their own size and not
the universal one; nothing but the root is aligned.
"""

from __future__ import annotations

import numpy as np

from lifter.errors import MotionliftError
from lifter.metrics import area_under_curve, joint_error, share_within
from training.data.store import Store
from training.protocols.h36m import pair, weighted
from training.protocols.screen import Array, Lift
from training.protocols.table import Table

LEFT_OUT = ("pelvis", "h36m_spine", "h36m_nose")
"""Joints that PCK and AUC leave out, by the names of skeleton h36m."""


def evaluate_3dhp(lift: Lift, store: Store, *, cross_dataset: bool = False) -> Table:
    """Figures a row a test sequence, and their two means."""
    chosen = store.select("joints", "keypoints", "valid", split="test").tolist()
    if not chosen:
        raise MotionliftError(f"{store.path}: no test sequence with valid frames", "Prepare MPI-INF-3DHP")
    kept = [j for j, n in enumerate(store.skeleton.joint_names) if n not in LEFT_OUT]
    parts: dict[str, tuple[int, dict[str, float]]] = {}
    for i in chosen:
        predicted, truth = pair(store, i, lift)
        valid = store.read(i, ("valid",))["valid"] > 0
        if valid.any():
            parts[store.names[i].split("/")[-1]] = int(valid.sum()), figures(predicted[valid], truth[valid], kept)
    rows = {name: {**f, "valid frames": float(n)} for name, (n, f) in sorted(parts.items())}
    frames = float(sum(n for n, _ in parts.values()))
    rows["weighted by valid frames"] = {**weighted(list(parts.values())), "valid frames": frames}
    rows["plain mean of sequences"] = {**weighted([(1, f) for _, f in parts.values()]), "valid frames": frames}
    return Table(
        "MPI-INF-3DHP, true 2D, univ_annot3" + (", cross-dataset (trained on Human3.6M)" if cross_dataset else ""),
        "Relative to the root, valid frames; PCK strictly within 150 mm and AUC of 31 limits over 14 joints, in %; "
        "MPJPE of 17 joints in mm.",
        "sequence",
        rows,
    )


def figures(predicted: Array, truth: Array, kept: list[int]) -> dict[str, float]:
    """PCK, AUC (%), MPJPE (mm) of (T, J, 3) joints in metres; `kept` joints count for the first two."""
    distance = 1000 * np.linalg.norm(predicted - truth, axis=-1)
    return {
        "PCK": 100 * float(share_within(distance[:, kept], 150).mean()),
        "AUC": 100 * float(area_under_curve(distance[:, kept]).mean()),
        "MPJPE": 1000 * float(joint_error(predicted, truth).mean()),
    }
