"""Errors of a checkpoint on motion of people it has never seen, by fixed random cameras.

Protocol: the test subjects of training/data/mocap.py, their motion on fixed random human proportions of the
skeleton's height ("height known"), windows of 81 frames at 30 fps, MediaPipe's layout; joints relative to the
root; every frame counts. Clean: exact 2D and lens. Noisy: detector errors and a lens wrong by 12 % (1 sigma).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lifter.checkpoint import Checkpoint
from lifter.lift import both_mirrors
from lifter.metrics import joint_error, procrustes
from training.data.store import Store, draw_clips, split_of
from training.synthetic import film


def evaluate_synthetic(
    checkpoint: Checkpoint,
    store: Store,
    noise: float,
    split: str = "test",
    clips: int = 24,
    seed: int = 2026,
    layout: str = "mediapipe33",
) -> dict[str, dict[str, float]]:
    """Mean errors in mm (velocity in mm a frame, gravity in degrees, contact as F1), per subject and over all."""
    skeleton, fps, frames = checkpoint.skeleton, checkpoint.fps, 81
    scored = [j for j, n in enumerate(skeleton.joint_names) if not n.endswith("clavicle")]
    out: dict[str, dict[str, float]] = {}
    for subject in sorted({s for s in store.subjects if split_of(s) == split}):
        g = torch.Generator().manual_seed(seed)
        mine = torch.tensor([i for i, s in enumerate(store.subjects) if s == subject])
        odds = (store.length / store.fps)[mine]
        picked = mine[torch.multinomial(odds, clips, replacement=True, generator=g)]
        q, root, contact = draw_clips(store, picked, frames, fps, g)
        views = film(skeleton, q, root, contact, g, fps=fps, noise=noise, layout=layout)
        inputs = [x.numpy().astype(np.float32) for x in (views.rays, views.score, views.size)]
        joints, log_sigma, logit, down = both_mirrors(inputs, checkpoint)
        p, t = joints[:, :, scored], views.joints.numpy()[:, :, scored]
        flat_p, flat_t = p.reshape(-1, len(scored), 3), t.reshape(-1, len(scored), 3)
        error = np.linalg.norm(p - t, axis=-1)
        touch, said = contact.numpy() > 0.5, logit > 0
        cosine = (down * views.down.numpy()).sum(-1).clip(-1, 1)
        out[subject] = {
            "MPJPE": 1000 * float(error.mean()),
            "P-MPJPE": 1000 * float(joint_error(procrustes(flat_p, flat_t), flat_t).mean()),
            "MPJVE": 1000 * float(np.linalg.norm(np.diff(p, axis=1) - np.diff(t, axis=1), axis=-1).mean()),
            "gravity": float(np.degrees(np.median(np.arccos(cosine)))),
            "contact F1": float(2 * (touch & said).sum() / max(1, touch.sum() + said.sum())),
            "sigma": 1000 * float(np.exp(log_sigma[:, :, scored]).mean()),
        }
    keys = next(iter(out.values())).keys()
    out["all"] = {k: float(np.mean([v[k] for v in out.values()])) for k in keys}
    return out


def as_markdown(table: dict[str, dict[str, Any]], first: str) -> str:
    """Rows of numbers as a Markdown table."""
    columns = list(next(iter(table.values())))
    lines = [f"| {first} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in table.items():
        cells = [f"{row[c]:.2f}" if abs(row[c]) < 10 else f"{row[c]:.1f}" for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
