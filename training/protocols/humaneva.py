"""HumanEva-I as VideoPose3D measures it: the Validate part, a row an action and subject, all its frames and cameras.

An action that stands in pieces ("Walking 1 chunk0") counts as one. The mean is over rows.
"""

from __future__ import annotations

import numpy as np

from lifter.errors import MotionliftError
from training.data.store import Store
from training.protocols.h36m import Figures, figures, pair, short_action, weighted
from training.protocols.screen import Lift
from training.protocols.table import Table


def evaluate_humaneva(lift: Lift, store: Store, keypoints: str) -> Table:
    """Errors a row an action and subject; `keypoints` names the 2D that the store was made with."""
    chosen = store.select("joints", "keypoints", split="test").tolist()
    if not chosen:
        raise MotionliftError(f"{store.path}: no recording of the Validate part", "Prepare HumanEva-I")
    parts: dict[str, list[tuple[int, Figures]]] = {}
    for i in chosen:
        predicted, truth = pair(store, i, lift)
        name = f"{short_action(store.actions[i])} {store.subjects[i].split('/')[-1]}"
        parts.setdefault(name, []).append((len(truth), figures(predicted, truth)))
    rows = {n: {**weighted(p), "frames": float(sum(k for k, _ in p))} for n, p in sorted(parts.items())}
    mean = {k: float(np.mean([r[k] for r in rows.values()])) for k in ("P1", "P2", "N-MPJPE", "MPJVE")}
    rows["mean of rows"] = {**mean, "frames": sum(r["frames"] for r in rows.values())}
    return Table(
        f"HumanEva-I, {keypoints} 2D",
        "Camera space, relative to the root, all frames of the Validate part; P1 MPJPE, P2 after Procrustes, N-MPJPE "
        "after scale, in mm; MPJVE in mm a frame.",
        "action and subject",
        rows,
    )
