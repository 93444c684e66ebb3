"""What of a take moves a character: the performer's T-pose, turns of its bones, path of its hips, contacts of its feet.

Scene axes: Z up, the T-pose faces -Y, its left is +X. Metres; floor at Z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..take_file import GAP, TakeError, TakeFile, TakePerson
from .rotations import Array, continuous, rotate, slerp, unit
from .slots import FINGERS, SIDES

NEEDED = ("pelvis", "chest", *(f"{s}_{p}" for s in SIDES for p in ("upper_arm", "forearm", "thigh", "shin")))
"""Bones that a take must have to be retargeted."""

FEET = ("l_heel", "l_toe", "r_heel", "r_toe")
"""Order of a take's contacts."""

SOLE = 0.05
"""Metres that the joints of a foot may lie above the ground that it stands on."""


@dataclass(frozen=True)
class Motion:
    """N frames in which the person is seen.

    rest: T-pose position of every joint, standing on Z = 0; along: T-pose direction of every bone, unit length;
    turns: (N, 4) rotation of every bone relative to the T-pose; hips: (N, 3) middle of the hip joints; contact: (N, 4)
    probability that FEET touch the ground, NaN if unknown; frames: (N,) numbers; fps: frames a second.
    """

    rest: dict[str, Array]
    along: dict[str, Array]
    turns: dict[str, Array]
    hips: Array
    contact: Array
    frames: NDArray[np.int32]
    fps: float

    @property
    def runs(self) -> list[slice]:
        """Stretches of frames without a gap."""
        cuts = [0, *(np.flatnonzero(np.diff(self.frames) > 1) + 1).tolist(), len(self.frames)]
        return [slice(a, b) for a, b in pairwise(cuts) if b > a]


def read_motion(take: TakeFile, person: TakePerson) -> Motion:
    """Raises TakeError if the take's skeleton lacks a bone that every humanoid has, or nobody is seen."""
    names = [b.name for b in take.bones]
    missing = [n for n in NEEDED if n not in names]
    if missing:
        raise TakeError(
            f"{take.path}: the take's skeleton has no {', '.join(missing)}. Capture with a checkpoint of a humanoid."
        )
    shown = person.state != GAP
    shown &= np.isfinite(person.rotations).all((1, 2)) & np.isfinite(person.joints_world[:, 0]).all(-1)
    if not shown.any():
        raise TakeError(f"{take.path}: the person is seen in no frame. Choose another person, or capture again.")
    rest: dict[str, Array] = {}
    for name, parent, offset in zip(take.joint_names, take.joint_parents, person.offsets, strict=True):
        rest[name] = (rest[take.joint_names[parent]] if parent >= 0 else 0) + offset.astype(np.float64)
    lowest = min(float(p[2]) for p in rest.values())
    rest = {n: p - [0, 0, lowest] for n, p in rest.items()}
    # Fingers that were never seen are left to the rig's own relaxed hand.
    left_out = {f"{s}_{f}_" for s in person.unseen_hands for f in FINGERS}
    turns = {
        n: continuous(unit(person.rotations[shown, b].astype(np.float64)))
        for b, n in enumerate(names)
        if n[: n.rfind("_") + 1] not in left_out
    }
    root = take.joint_names[take.joint_parents.index(-1)]
    middle = (rest["l_hip"] + rest["r_hip"]) / 2 - rest[root]
    hips = person.joints_world[shown, take.joint_names.index(root)].astype(np.float64)
    hips[:, 2] -= _thickness(take, person.joints_world[shown], person.contact[shown], rest)
    return Motion(
        rest=rest,
        along={b.name: unit(rest[b.tail] - rest[b.head]) for b in take.bones},
        turns=turns,
        hips=hips + rotate(turns["pelvis"], middle),
        contact=person.contact[shown].astype(np.float64),
        frames=person.frames[shown],
        fps=take.fps,
    )


def _thickness(
    take: TakeFile, joints: NDArray[np.float32], contact: NDArray[np.float32], rest: dict[str, Array]
) -> float:
    """How far the joints of feet that touch the ground lie above where they lie in the T-pose on Z = 0, metres.

    A take's floor may be the ground, or the height of these joints, a sole's thickness above it. Left in, that sole
    has the character float and its knees straighten. More than SOLE is no sole but a step, and stays.
    """
    if not all(name in take.joint_names for name in FEET):
        return 0.0
    places = [take.joint_names.index(name) for name in FEET]
    above = joints[:, places, 2] - np.array([rest[name][2] for name in FEET])
    touching = above[contact > 0.5]
    if len(touching) < 5:
        return 0.0
    found = float(np.median(touching))
    return found if abs(found) < SOLE else 0.0


def mirror(motion: Motion) -> Motion:
    """The performance as in a mirror: left is right."""

    def other(name: str) -> str:
        return {"l_": "r_", "r_": "l_"}.get(name[:2], name[:2]) + name[2:]

    across = np.array([-1.0, 1.0, 1.0])
    return replace(
        motion,
        rest={other(n): p * across for n, p in motion.rest.items()},
        along={other(n): d * across for n, d in motion.along.items()},
        turns={other(n): q * np.array([1.0, 1.0, -1.0, -1.0]) for n, q in motion.turns.items()},
        hips=motion.hips * across,
        contact=motion.contact[:, [2, 3, 0, 1]],
    )


def resample(motion: Motion, fps: float) -> Motion:
    """The motion at another rate, so that keys lie on whole frames of the scene. Gaps stay gaps."""
    ratio = fps / motion.fps
    if abs(ratio - 1) < 1e-3:
        return motion
    parts: list[tuple[NDArray[np.int32], Array]] = []
    for run in motion.runs:
        first, last = motion.frames[run.start] * ratio, motion.frames[run.stop - 1] * ratio
        frames = np.arange(int(np.ceil(first - 1e-6)), int(np.floor(last + 1e-6)) + 1)
        if len(frames):
            parts.append((frames.astype(np.int32), run.start + frames / ratio - motion.frames[run.start]))
    frames = np.concatenate([f for f, _ in parts]) if parts else np.zeros(1, np.int32)
    place = np.concatenate([p for _, p in parts]) if parts else np.zeros(1)
    place = np.clip(place, 0, len(motion.frames) - 1)
    low = np.minimum(place.astype(np.intp), max(0, len(motion.frames) - 2))
    high = np.minimum(low + 1, len(motion.frames) - 1)
    share = (place - low)[:, None]
    return replace(
        motion,
        turns={n: slerp(q[low], q[high], share[:, 0]) for n, q in motion.turns.items()},
        hips=motion.hips[low] * (1 - share) + motion.hips[high] * share,
        contact=motion.contact[low] * (1 - share) + motion.contact[high] * share,
        frames=frames,
        fps=fps,
    )
