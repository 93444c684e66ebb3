"""BVH files made by the tests: any hierarchy, any rotations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from lifter.skeleton import Skeleton

SCENE_TO_Y_UP = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])


def bvh_text(
    names: Sequence[str],
    parents: Sequence[int],
    offsets: np.ndarray,
    turns: np.ndarray,
    root: np.ndarray,
    ends: dict[str, Sequence[float]] | None = None,
    fps: float = 50.0,
    order: str = "ZXY",
) -> str:
    """A BVH file.

    Args:
        offsets: (N, 3) from the parent, in the file's axes and unit.
        turns: (T, N, 3, 3) global rotations in the file's axes.
        root: (T, 3) path of the first joint.
        ends: End Sites by joint; a leaf without one gets one of no length.
    """
    lines, children = ["HIERARCHY"], [[j for j, p in enumerate(parents) if p == i] for i in range(len(names))]
    ends = ends or {}
    listed: list[int] = []

    def joint(j: int, depth: int) -> None:
        listed.append(j)
        tab = "\t" * depth
        lines.extend([f"{tab}{'JOINT' if depth else 'ROOT'} {names[j]}", tab + "{"])
        lines.append(f"{tab}\tOFFSET " + " ".join(f"{v:.9f}" for v in offsets[j]))
        rotations = " ".join(f"{axis}rotation" for axis in order)
        lines.append(f"{tab}\tCHANNELS " + ("3 " if depth else "6 Xposition Yposition Zposition ") + rotations)
        for child in children[j]:
            joint(child, depth + 1)
        if names[j] in ends or not children[j]:
            end = " ".join(f"{v:.9f}" for v in ends.get(names[j], (0, 0, 0)))
            lines.extend([f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET {end}", f"{tab}\t}}"])
        lines.append(tab + "}")

    joint(0, 0)
    columns = [root]
    for j in listed:
        local = turns[:, j] if parents[j] < 0 else np.swapaxes(turns[:, parents[j]], -1, -2) @ turns[:, j]
        columns.append(Rotation.from_matrix(local).as_euler(order, degrees=True))
    rows = np.concatenate(columns, 1)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / fps:.9f}"]
    return "\n".join([*lines, *(" ".join(f"{v:.7f}" for v in row) for row in rows)]) + "\n"


def joints_bvh(skeleton: Skeleton, turns: np.ndarray, path: Path, unit: float = 0.01, fps: float = 50.0) -> np.ndarray:
    """Write a BVH whose joints are those of a skeleton, each turned by (T, J, 3, 3) in scene axes, about a root that
    moves; returns the (T, J, 3) joints in scene space, metres."""
    root = skeleton.rest[0] + np.linspace(0, 0.5, len(turns))[:, None] * [1.0, 0.3, 0]
    joints = np.zeros((len(turns), len(skeleton.parents), 3))
    for j, parent in enumerate(skeleton.parents):
        joints[:, j] = root if parent < 0 else joints[:, parent] + turns[:, parent] @ skeleton.rest_offsets[j]
    axes = SCENE_TO_Y_UP
    text = bvh_text(
        skeleton.joint_names,
        skeleton.parents,
        skeleton.rest_offsets @ axes.T / unit,
        axes @ turns @ axes.T,
        root @ axes.T / unit,
        fps=fps,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return joints


def wandering_turns(frames: int, joints: int, seed: int = 0, amount: float = 0.6) -> np.ndarray:
    """(T, J, 3, 3) rotations that swing about an axis of each joint."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None] / 50
    angle = amount * np.sin(2 * np.pi * rng.uniform(0.3, 1, joints) * time + rng.uniform(0, 6, joints))
    axis = rng.normal(size=(joints, 3))
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    return Rotation.from_rotvec((angle[..., None] * axis).reshape(-1, 3)).as_matrix().reshape(frames, joints, 3, 3)
