"""The open benchmark: motion of people that no network was trained on, seen by fixed random cameras.

Anyone can rerun it, since its data may be had: the test subjects of the prepared corpus. Each recording is sampled
at the checkpoint's rate and cut into pieces; each piece has random human proportions of one height and a random camera,
fixed by the recording's name. Joints are relative to the root; every frame counts once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lifter.checkpoint import Checkpoint
from lifter.errors import MotionliftError
from lifter.lift import lift_views
from lifter.metrics import area_under_curve, joint_error, procrustes, share_within, velocity_error
from training.data.store import Store
from training.protocols.table import Table
from training.synthetic import Views, film

JOINTS = (
    "pelvis", "l_hip", "l_knee", "l_ankle", "r_hip", "r_knee", "r_ankle", "h36m_spine", "chest", "neck", "h36m_nose",
    "nose", "l_shoulder", "l_elbow", "l_wrist", "r_shoulder", "r_elbow", "r_wrist",
)  # fmt: skip
"""The joints that are scored, and seen unless a layout is asked for: 16 of any human skeleton. Of one that has none of
them, such as a hand, all are."""

FROM_LOSS = {"gravity": "gravity", "sigma": "likelihood", "contact F1": "contact"}
"""Figures that mean nothing where the network was trained without the loss."""

Mask = NDArray[np.bool_]


def evaluate_open(
    checkpoint: Checkpoint, store: Store, noise: float, frames: int = 81, split: str = "test", layout: str | None = None
) -> Table:
    """Errors of a checkpoint, a row a source, one of all frames and one of the sources' mean.

    Args:
        noise: 0 for exact 2D and lens, 1 for a detector's errors and a lens that is wrong by 12 % (1 sigma).
        frames: of a piece.
        layout: 2D layout that is seen; the joints that are scored if None.
    Returns:
        MPJPE, P-MPJPE (mm), PCK and AUC of up to 150 mm without the root (%), MPJVE (mm a frame); where the checkpoint
        knows them the median error of gravity (degrees), F1 of contacts, and the mean expected error sigma (mm).
    """
    whole, kept = store.skeleton, checkpoint.skeleton
    unknown = set(kept.joint_names) - set(whole.joint_names)
    if unknown:
        raise MotionliftError(
            f"{checkpoint.name}: joints that {store.path} does not have ({', '.join(sorted(unknown))})",
            "Evaluate it with a store of its own skeleton",
        )
    names = [n for n in kept.joint_names if n in JOINTS] or list(kept.joint_names)
    scored, of_whole = [kept.joint(n) for n in names], [whole.joint(n) for n in kept.joint_names]
    weights = checkpoint.card.get("config", {}).get("losses", {})
    untrained = {n for n, k in FROM_LOSS.items() if weights.get(k) == 0}
    sums: dict[str, dict[str, list[NDArray[np.float64]]]] = {}
    for source, views, fresh in filmed_pieces(store, checkpoint.fps, frames, noise, split, layout):
        inputs = [
            x.numpy().astype(np.float32) for x in (views.rays[:, :, of_whole], views.score[:, :, of_whole], views.size)
        ]
        out = lift_views(inputs, checkpoint)
        truth = views.joints[:, :, of_whole].numpy()[:, :, scored]
        for name, values in _errors(out, views, truth, scored, fresh).items():
            if name in untrained:
                continue
            sums.setdefault(source, {}).setdefault(name, []).append(values.astype(np.float64))
    if not sums:
        raise MotionliftError(f"{store.path}: no recording of the {split} subjects", "Prepare the corpus again")
    rows = {s: {k: _summary(k, np.concatenate(v)) for k, v in parts.items()} for s, parts in sorted(sums.items())}
    columns = next(iter(rows.values()))
    rows["all frames"] = {k: _summary(k, np.concatenate([v for s in sums.values() for v in s[k]])) for k in columns}
    rows["mean of sources"] = {k: float(np.mean([rows[s][k] for s in sums])) for k in columns}
    return Table(
        f"open benchmark, {'noisy' if noise else 'clean'} 2D, {checkpoint.fps:g} frames/s",
        f"{len(names)} joints relative to the root, pieces of {frames} frames, every frame of the {split} subjects, "
        f"2D of {layout or 'these joints'}; "
        "MPJPE, P-MPJPE in mm, MPJVE in mm a frame, PCK and AUC (150 mm, without the root) in %.",
        "source",
        rows,
    )


def filmed_pieces(
    store: Store, fps: float, frames: int, noise: float, split: str, layout: str | None
) -> Iterator[tuple[str, Views, Mask]]:
    """Source, views (N, T, ...) and a mask (N, T) of the frames that no piece before had, of each recording."""
    known = layout or [n for n in store.skeleton.joint_names if n in JOINTS] or store.skeleton.joint_names
    for i in store.motion(split).tolist():
        pose, root, contacts, fresh = pieces(store, i, fps, frames)
        g = torch.Generator().manual_seed(zlib.crc32(store.names[i].encode()))
        views = film(store.skeleton, pose, root, contacts, g, fps=fps, noise=noise, layout=known)
        yield store.sources[i], views, fresh


def pieces(store: Store, i: int, fps: float, frames: int) -> tuple[Tensor, Tensor, Tensor, Mask]:
    """Recording `i` at a rate, cut: pose, root and contacts (N, T, ...) as of `draw_clips`; the last piece ends with
    the recording, and the mask says which of its frames are new."""
    has = store.has(i)
    fields = ["rotations", "root"] if "rotations" in has else ["joints"]
    arrays = {k: np.asarray(v) for k, v in store.read(i, fields + ["contacts"] * ("contacts" in has)).items()}
    last = len(arrays[fields[0]]) - 1
    at = np.arange(0, last + 1e-6, float(store.fps[i]) / fps)
    low = np.minimum(at.astype(int), last)
    high, share = np.minimum(low + 1, last), (at - low).astype(np.float32)
    length = min(frames, len(at))
    starts = [*range(0, len(at) - length, length), len(at) - length]
    index = np.array(starts)[:, None] + np.arange(length)
    done = np.array([0, *(s + length for s in starts[:-1])])

    def cut(name: str) -> Tensor:
        x = arrays[name]
        u = share.reshape(-1, *(1,) * (x.ndim - 1))
        x = x[low] * (1 - u) + x[high] * u
        x = x / np.linalg.norm(x, axis=-1, keepdims=True) if name == "rotations" else x
        return torch.from_numpy(x[index].astype(np.float32))

    contacts = cut("contacts") if "contacts" in arrays else torch.zeros(len(starts), length, 0)
    if "rotations" in arrays:
        return cut("rotations"), cut("root"), contacts, index >= done[:, None]
    joints = cut("joints")
    return joints - joints[:, :, :1], joints[:, :, 0], contacts, index >= done[:, None]


def _errors(
    out: list[NDArray[np.float32]], views: Views, truth: NDArray[np.float32], scored: list[int], fresh: Mask
) -> dict[str, NDArray[np.float64]]:
    """Values of single frames by the name of the figure."""
    joints, log_sigma, logit, down = out
    p = joints[:, :, scored].astype(np.float64)
    flat_p, flat_t = p[fresh], truth[fresh]
    distance = np.linalg.norm(flat_p - flat_t, axis=-1)
    step = fresh[:, 1:] & fresh[:, :-1]
    changes = np.stack([velocity_error(a, b) for a, b in zip(p, truth, strict=True)])
    values = {
        "MPJPE": 1000 * distance.mean(-1),
        "P-MPJPE": 1000 * joint_error(procrustes(flat_p, flat_t), flat_t),
        "PCK": 100 * share_within(1000 * distance[:, 1:], 150),
        "AUC": 100 * area_under_curve(1000 * distance[:, 1:]),
        "MPJVE": 1000 * changes[step],
        "gravity": np.degrees(np.arccos((down * views.down.numpy()).sum(-1).clip(-1, 1)))[fresh],
        "sigma": 1000 * np.exp(log_sigma[:, :, scored[1:]]).mean(-1)[fresh],
    }
    if logit.shape[-1]:
        touch, said = views.contact.numpy()[fresh] > 0.5, logit[fresh] > 0
        values["contact F1"] = np.stack([(touch & said).sum(-1), touch.sum(-1) + said.sum(-1)], -1)
    return values


def _summary(name: str, values: NDArray[np.float64]) -> float:
    if name == "contact F1":
        both, either = values.sum(0)
        return float(2 * both / max(1, either))
    return float(np.median(values) if name == "gravity" else values.mean())
