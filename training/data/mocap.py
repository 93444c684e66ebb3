"""Motion capture as rotations of the default skeleton's bones, whatever skeleton it was recorded on.

Every recording has its own proportions and its own idea of where a spine joint lies. What carries over is
how bones are turned: each bone's rotation relative to the T-pose. Training then puts any human proportions
on these rotations (`training/synthetic.py`).
"""

from __future__ import annotations

import json
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.rotation import continuous, matrix_to_quat, quat_to_matrix, shortest_arc
from lifter.skeleton import FEET, Skeleton
from lifter.solve import forward_kinematics

from .bvh import Bvh, bvh_kinematics, read_bvh

MAPS = Path(__file__).parent / "maps"
TEST = ("cmu_05", "cmu_08", "cmu_09", "cmu_135", "accad_Male1", "mhad_s11", "mhad_s12")
VALIDATION = ("cmu_07", "mhad_s10")

Y_UP_TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
"""BVH is Y up and faces +Z at rest; scene space is Z up and faces -Y. Both have the left side at +X."""


@dataclass(frozen=True)
class Motion:
    """One recording.

    Attributes:
        rotations: (T, B, 4) scene-space rotation of each bone relative to the rest pose.
        root: (T, 3) path of the pelvis in metres, for a person of the skeleton's own leg length.
        contacts: (T, 4) l_heel, l_toe, r_heel, r_toe on the ground, 0 or 1.
    """

    name: str
    source: str
    subject: str
    fps: float
    rotations: NDArray[np.float32]
    root: NDArray[np.float32]
    contacts: NDArray[np.float32]


def load_map(source: str) -> dict[str, Any]:
    """The joint map of a source, from training/data/maps."""
    path = MAPS / f"{source}.toml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in MAPS.glob("*.toml")))
        raise MotionliftError(f"No joint map for {source!r}", f"Write {path.name} beside the known ones: {known}")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def load_corpus(folder: Path, skeleton: Skeleton) -> list[Motion]:
    """Every recording that `folder`/manifest.json lists, from the archives beside it."""
    manifest = cast(list[dict[str, Any]], json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    out: list[Motion] = []
    for source in sorted({str(m["source"]) for m in manifest}):
        with TemporaryDirectory() as scratch, tarfile.open(folder / f"{source}.tar.xz") as archive:
            archive.extractall(scratch, filter="data")
            for record in (m for m in manifest if m["source"] == source):
                bvh = read_bvh(Path(scratch) / record["file"])
                out.append(
                    read_motion(
                        bvh,
                        load_map(source),
                        float(record["unit_m"]),
                        skeleton,
                        record["id"],
                        source,
                        record["subject"],
                    )
                )
    return out


def read_motion(
    bvh: Bvh, joint_map: dict[str, Any], unit: float, skeleton: Skeleton, name: str, source: str, subject: str
) -> Motion:
    """Turn a BVH into rotations of the skeleton's bones.

    `joint_map` has two tables: `bones` names the BVH joint whose rotation a bone takes; `aim` gives the two
    BVH joints (or `end:JOINT`) between which a bone's direction is measured, which then holds exactly.
    `adjust` turns a bone by a constant (degrees about its own axes at rest) where the recording's rest pose
    is not ours: feet that lean with legs spread at rest, a head bone that points backwards.
    """
    positions, turns = bvh_kinematics(bvh)
    ends = {n: positions[:, bvh.names.index(n)] + turns[:, bvh.names.index(n)] @ v for n, v in bvh.ends.items()}
    positions = positions @ Y_UP_TO_Z_UP.T * unit
    turns = Y_UP_TO_Z_UP @ turns @ Y_UP_TO_Z_UP.T

    def point(key: str) -> NDArray[np.float64]:
        try:
            if key.startswith("end:"):
                return ends[key[4:]] @ Y_UP_TO_Z_UP.T * unit
            return positions[:, bvh.names.index(key)]
        except (KeyError, ValueError) as error:
            raise MotionliftError(f"{name}: no joint {key!r} in this BVH", f"Mend the joint map of {source}") from error

    rotations = np.zeros((len(positions), len(skeleton.bones), 3, 3))
    for b, bone in enumerate(skeleton.bones):
        parent = skeleton.bone_parents[b]
        rule = joint_map["bones"].get(bone.name)
        turn = rotations[:, parent] if rule is None else turns[:, bvh.names.index(rule)]
        if bone.name in joint_map.get("aim", {}):
            a, c = (point(k) for k in joint_map["aim"][bone.name])
            rest = skeleton.rest[skeleton.joint(bone.tail)] - skeleton.rest[skeleton.joint(bone.head)]
            if rule is None:
                # Without a rotation of its own, the bone is the parent's, swung onto the measured direction.
                turn = shortest_arc(rotations[:, parent] @ rest, c - a) @ rotations[:, parent]
                if bone.name in joint_map.get("center", ()):
                    turn = _centred(turn, rotations[:, parent])
            else:
                turn = shortest_arc(turn @ rest, c - a) @ turn
        rotations[:, b] = turn
    for bone_name, degrees in joint_map.get("adjust", {}).items():
        b = [x.name for x in skeleton.bones].index(bone_name)
        rotations[:, b] = rotations[:, b] @ _about_axes(np.radians(degrees))
    root, contacts = _ground(rotations, positions, point, joint_map, skeleton, bvh.fps)
    return Motion(
        name,
        source,
        subject,
        bvh.fps,
        continuous(matrix_to_quat(rotations)).astype(np.float32),
        root.astype(np.float32),
        contacts,
    )


def _centred(turn: NDArray[np.float64], parent: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take a bone's mean rotation relative to its parent out: the recording's rest is not ours."""
    relative = np.swapaxes(parent, -1, -2) @ turn
    u, _, vt = np.linalg.svd(relative.mean(0))
    return turn @ (u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt).T


def _about_axes(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) rotation by an axis-angle vector."""
    angle = float(np.linalg.norm(angles))
    half = angles / (angle or 1.0) * np.sin(angle / 2)
    return quat_to_matrix(np.concatenate([[np.cos(angle / 2)], half]))


def _ground(
    rotations: NDArray[np.float64],
    positions: NDArray[np.float64],
    point: Any,
    joint_map: dict[str, Any],
    skeleton: Skeleton,
    fps: float,
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Path of the root for our own proportions, on a floor at 0, and foot contacts by height and speed."""
    thigh, shin = joint_map["leg"][:2], joint_map["leg"][1:]
    length = sum(float(np.median(np.linalg.norm(point(a) - point(b), axis=-1))) for a, b in (thigh, shin))
    ours = skeleton.rest[:, 2][skeleton.joint("l_hip")] - skeleton.rest[:, 2][skeleton.joint("l_ankle")]
    root = positions[:, 0] * (ours / length)
    joints = forward_kinematics(skeleton, rotations, skeleton.rest_offsets) + root[:, None]
    feet = joints[:, [skeleton.joint(n) for n in FEET]]
    floor = np.percentile(feet[..., 2].min(1), 10)
    root[:, 2] -= floor
    height = feet[..., 2] - floor
    speed = np.linalg.norm(np.gradient(feet, 1 / fps, axis=0), axis=-1) if len(feet) > 1 else np.zeros(height.shape)
    return root, ((height < 0.06) & (speed < 0.35)).astype(np.float32)
