"""Where the shared data lies, small inputs that many tests use, and settings of Blender's own for all of them."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from lifter.rotation import quat_to_matrix
from lifter.skeleton import Skeleton, load_skeleton
from lifter.solve import forward_kinematics

ROOT = Path(__file__).parents[1]

# Blender reads this when it is imported, by whichever test is first: no settings of the user's are seen, none are left.
os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="motionlift-tests-")
atexit.register(shutil.rmtree, os.environ["BLENDER_USER_RESOURCES"], ignore_errors=True)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Motion capture and real clips; they are not part of the project and may be absent."""
    path = Path(os.environ.get("MOTIONLIFT_SHARED", ROOT.parent / "shared"))
    if not (path / "data").is_dir():
        pytest.skip(f"needs the shared data ({path}/data is absent; set MOTIONLIFT_SHARED)")
    return path


@pytest.fixture(scope="session")
def body() -> Skeleton:
    return load_skeleton()


def swinging(skeleton: Skeleton, frames: int, amount: float = 0.5, seed: int = 0) -> np.ndarray:
    """(T, B, 3, 3) rotations: every bone swings slowly about an axis of its own; knees and elbows bend one way."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames) / 30
    out = np.zeros((frames, len(skeleton.bones), 3, 3))
    names = [b.name for b in skeleton.bones]
    for b, bone in enumerate(skeleton.bones):
        if bone.name[2:] in ("forearm", "shin"):
            upper = skeleton.bones[names.index(bone.parent or "")]
            axis, angle = np.array(upper.axis), 0.9 + 0.4 * np.sin(2 * np.pi * 0.7 * time)
        else:
            axis = rng.normal(size=3)
            swing = 0.15 * amount if bone.name.endswith("clavicle") else amount
            angle = swing * rng.uniform(0.3, 1) * np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * time + rng.uniform(0, 6))
        axis = axis / np.linalg.norm(axis)
        half = angle[:, None] / 2
        local = quat_to_matrix(np.concatenate([np.cos(half), np.sin(half) * axis], -1))
        parent = skeleton.bone_parents[b]
        out[:, b] = local if parent < 0 else out[:, parent] @ local
    return out


@pytest.fixture(scope="session")
def moving(body: Skeleton) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rotations, offsets, joints) of 90 frames of somebody in motion."""
    offsets = body.rest_offsets
    rotations = swinging(body, 90)
    return rotations, offsets, forward_kinematics(body, rotations, offsets)
