"""Human3.6M, in the two ways in which it is measured. Their figures must not be compared with each other.

VP (VideoPose3D's files): 2D in pixels without confidence; joints in camera space, metres, relative to the root; all
frames of S9 and S11 from four cameras. Figures are means over the frames of an action, then over actions.

MB (MotionBERT's file): 2D of another detector with confidence; the network says image coordinates, which are made
millimetres by each frame's true factor. It is given what a camera does not know, so beside it stands the honest figure:
one factor a recording, with which the predicted bones add up to those of a standing person of 1.70 m
(lifter/skeletons/h36m.toml). Three sequences of S9 with faulty truth are left out, as published work does; tails of
recordings are not, which published work does leave out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.metrics import joint_error, procrustes, scaled, velocity_error
from lifter.skeleton import Skeleton
from training.data.store import Store
from training.protocols.screen import Array, Lift, rooted, seen
from training.protocols.table import Table

BLOCKED = ("s_09_act_05_subact_02", "s_09_act_10_subact_02", "s_09_act_13_subact_01")
"""Sequences whose truth is faulty, by the names of the MotionBERT file."""

Figures = dict[str, float]


def evaluate_vp(lift: Lift, store: Store, keypoints: str) -> Table:
    """Errors a row an action; `keypoints` names the 2D that the store was made with, such as "CPN" or "GT"."""
    chosen = store.select("joints", "keypoints", split="test")
    _some(len(chosen), store)
    parts = ((short_action(store.actions[i]), *pair(store, i, lift)) for i in chosen.tolist())
    return Table(
        f"Human3.6M VP, {keypoints} 2D",
        "Camera space, relative to the root, all frames of S9 and S11; P1 MPJPE, P2 after Procrustes, N-MPJPE after "
        "scale, in mm; MPJVE in mm a frame. Means over frames of an action, then over actions.",
        "action",
        by_action(parts),
    )


def evaluate_mb(lift: Lift, store: Store) -> tuple[Table, Table]:
    """Errors a row an action: with the true factor of each frame, and without it."""
    chosen = store.select("image_joints_mm", "mm_per_px", "keypoints", split="test").tolist()
    chosen = [i for i in chosen if store.names[i].split("/")[-1].split("#")[0][:-6] not in BLOCKED]
    _some(len(chosen), store)
    true: list[tuple[str, Array, Array]] = []
    honest: list[tuple[str, Array, Array]] = []
    for i in chosen:
        r = {k: np.asarray(v) for k, v in store.read(i, ("image_joints_mm", "mm_per_px", "image_size")).items()}
        pixels = rooted(lift(seen(store, i))) * float(r["image_size"][0]) / 2
        truth = rooted(r["image_joints_mm"]) / 1000
        action = store.actions[i]
        true.append((action, pixels * r["mm_per_px"][:, None, None] / 1000, truth))
        honest.append((action, pixels * metres_a_pixel(pixels, store.skeleton), truth))
    how = (
        "Image coordinates relative to the root, all frames of S9 and S11 but three faulty sequences; {}. "
        "P1 MPJPE, P2 after Procrustes, N-MPJPE after scale, in mm; MPJVE in mm a frame. "
        "Means over frames of an action, then over actions."
    )
    return (
        Table(
            "Human3.6M MB, true scale",
            how.format("times the true factor of each frame"),
            "action",
            by_action(iter(true)),
        ),
        Table(
            "Human3.6M MB, no true scale",
            how.format("one factor a recording, from the bones of a person of 1.70 m"),
            "action",
            by_action(iter(honest)),
        ),
    )


def metres_a_pixel(pixels: Array, skeleton: Skeleton) -> float:
    """The factor with which the bones of (T, J, 3) joints add up to those of the skeleton at rest; the median."""
    child = np.array([j for j, p in enumerate(skeleton.parents) if p >= 0])
    parent = np.array(skeleton.parents)[child]
    ours = np.linalg.norm(skeleton.rest[child] - skeleton.rest[parent], axis=-1).sum()
    theirs = np.linalg.norm(pixels[:, child] - pixels[:, parent], axis=-1).sum(-1)
    return float(ours / max(float(np.median(theirs)), 1e-9))


def pair(store: Store, i: int, lift: Lift) -> tuple[Array, Array]:
    """(T, J, 3) what is said of recording `i`, and the truth; metres, relative to the root."""
    return rooted(lift(seen(store, i))), rooted(store.read(i, ("joints",))["joints"])


def short_action(name: str) -> str:
    """ "Photo" of "TakingPhoto 1" and the like."""
    word = name.split(" ")[0]
    return {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}.get(word, word)


def figures(predicted: Array, truth: Array) -> Figures:
    """P1, P2, N-MPJPE in mm and MPJVE in mm a frame of one recording, (T, J, 3) metres each."""
    moving = velocity_error(predicted, truth)
    return {
        "P1": 1000 * float(joint_error(predicted, truth).mean()),
        "P2": 1000 * float(joint_error(procrustes(predicted, truth), truth).mean()),
        "N-MPJPE": 1000 * float(joint_error(scaled(predicted, truth), truth).mean()),
        "MPJVE": 1000 * float(moving.mean()) if len(moving) else 0.0,
    }


def by_action(parts: Iterator[tuple[str, Array, Array]]) -> dict[str, dict[str, float]]:
    """Figures of each action, weighted by frames, and the plain mean of the actions."""
    sums: dict[str, list[tuple[int, Figures]]] = {}
    for action, predicted, truth in parts:
        sums.setdefault(action, []).append((len(truth), figures(predicted, truth)))
    rows = {action: weighted(some) for action, some in sorted(sums.items())}
    rows["mean of actions"] = {
        k: float(np.mean([r[k] for r in rows.values()])) for k in ("P1", "P2", "N-MPJPE", "MPJVE")
    }
    for action, some in [*sums.items(), ("mean of actions", [x for s in sums.values() for x in s])]:
        rows[action]["frames"] = float(sum(n for n, _ in some))
    return rows


def weighted(parts: list[tuple[int, Figures]]) -> Figures:
    """The mean of figures, weighted by frames."""
    weights: NDArray[np.float64] = np.array([n for n, _ in parts], np.float64)
    return {k: float(np.average([f[k] for _, f in parts], weights=weights)) for k in parts[0][1]}


def _some(count: int, store: Store) -> None:
    if not count:
        raise MotionliftError(
            f"{store.path}: no test recording that this protocol needs", "Prepare the dataset it is of"
        )
