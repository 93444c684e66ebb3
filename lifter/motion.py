"""From lifted joints to motion that stands in the scene. `solve_people` reads top to bottom:

repair -> smooth -> bone lengths and rotations -> gravity -> contacts -> root path and floor -> foot lock

Nothing here needs the video: a take is solved again from its own arrays in about a second.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .camera import Lens
from .contacts import MODES, believable, edited, find_contacts, parse_edits
from .errors import MotionliftError
from .lock import lock_feet
from .rotation import continuous, matrix_to_quat
from .skeleton import FEET, Skeleton, keypoints_to_joints
from .smooth import check_smoothing, outliers, runs, smooth, spline
from .solve import bend_limbs, forward_kinematics, solve_offsets, solve_rotations, standing_height
from .take import GAP, Camera, Person
from .world import Shot, floor_height, mean_direction, root_path, scene_axes

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


SMOOTHING_TEXTS = {
    "spline": "Weighs each joint by how sure it is, and keeps the corner where a foot lands",
    "butterworth": "Cuts off what is faster than a person moves",
    "savitzky_golay": "Keeps peaks high: for quick, sharp motion",
    "one_euro": "Smooths slow motion more than fast motion",
    "gaussian": "A plain mean of neighbouring frames",
}
CONTACT_TEXTS = {
    "auto": "As the network sees it",
    "always": "In every frame: for somebody who stays on the spot",
    "never": "In no frame: for jumping, swimming or hanging",
}
"""What each choice does, for Blender's panel."""


@dataclass(frozen=True)
class SolveSettings:
    """What solving offers; kept in the take's header. Blender's Solve panel is made from this (describe_settings.py).

    Attributes:
        height: The performer's standing height; scales the whole take.
        smoothing: The filter that takes jitter out. The spline weighs each joint by how sure it is.
        strength: Of the smoothing: 0 none, 1 most.
        torso: Factor on the strength for the torso.
        head: Factor on the strength for the head.
        arms: Factor on the strength for arms and hands.
        legs: Factor on the strength for legs and feet.
        contacts: Whether feet stand: the network says when (auto), always, or never.
        contact_edits: Your own word on feet over ranges of frames, such as left:100-120=off, both:200-230=on. The last
            one counts.
        foot_lock: Pin feet that stand to the floor.
    """

    height: float = field(default=1.70, metadata={"range": (0.05, 3.0), "unit": "m"})
    smoothing: Literal["spline", "butterworth", "savitzky_golay", "one_euro", "gaussian"] = field(
        default="spline", metadata={"choices": SMOOTHING_TEXTS}
    )
    strength: float = field(default=0.4, metadata={"range": (0.0, 1.0)})
    torso: float = field(default=1.0, metadata={"range": (0.0, 2.0)})
    head: float = field(default=1.0, metadata={"range": (0.0, 2.0)})
    arms: float = field(default=1.0, metadata={"range": (0.0, 2.0)})
    legs: float = field(default=1.0, metadata={"range": (0.0, 2.0)})
    contacts: Literal["auto", "always", "never"] = field(default="auto", metadata={"choices": CONTACT_TEXTS})
    contact_edits: str = ""
    foot_lock: bool = True

    def __post_init__(self) -> None:
        if not 0.05 <= self.height <= 3.0:
            raise MotionliftError(
                f"A performer {self.height} m tall is not possible", "Give the height in metres, such as 1.75"
            )
        check_smoothing(self.smoothing, self.strength)
        for part in PARTS:
            if not 0 <= getattr(self, part) <= 2:
                raise MotionliftError(f"A factor of {getattr(self, part)} for {part} is not possible", "Give 0 to 2")
        if self.contacts not in MODES:
            raise MotionliftError(f"Unknown contact mode {self.contacts!r}", f"Use one of {', '.join(MODES)}")
        parse_edits(self.contact_edits)


PARTS: dict[str, tuple[str, ...]] = {
    "torso": ("pelvis", "spine", "chest", "neck", "clavicle", "shoulder", "hip"),
    "head": ("head", "head_top", "nose", "ear"),
    "arms": ("elbow", "wrist", "thumb", "index", "little"),
    "legs": ("knee", "ankle", "heel", "toe"),
}
"""Joints of each part of the body, without their side. Others count as torso."""

IMPACT = 0.05
"""Seconds around a foot's landing in which its path may have a corner."""


def solve_people(
    people: tuple[Person, ...], lens: Lens, skeleton: Skeleton, layout: str, fps: float, settings: SolveSettings
) -> tuple[Camera, tuple[Person, ...]]:
    """Solve everybody anew, on one floor, before one static camera."""
    axes = _gravity(people)
    bodies = [_solve_body(person, skeleton, fps, axes, settings) for person in people]
    shots = [_shot(*both, lens, skeleton, layout, fps, axes) for both in zip(people, bodies, strict=True)]
    roots, floor = _paths(shots)
    if settings.contacts == "auto":
        bodies = [
            _with_believable_contacts(*each, floor, skeleton, settings)
            for each in zip(people, bodies, shots, roots, strict=True)
        ]
        shots = [_shot(*both, lens, skeleton, layout, fps, axes) for both in zip(people, bodies, strict=True)]
        roots, floor = _paths(shots)
    out: list[Person] = []
    for person, body, shot, root in zip(people, bodies, shots, roots, strict=True):
        joints = shot.relative + root[:, None] - [0, 0, floor]
        rotations = body.rotations
        if settings.foot_lock:
            joints, rotations = _lock(skeleton, joints, rotations, body.offsets, shot, fps)
        out.append(_solved(person, body, joints, rotations, axes, floor))
    return Camera(lens.K, axes, axes @ np.array([0, 0, floor])), tuple(out)


@dataclass(frozen=True)
class _Body:
    """One person's own motion, in axes with Z up: joints follow from (T, B, 3, 3) rotations and (J, 3) offsets."""

    rotations: Array
    offsets: Array
    contact: Flags
    outlier: Flags


def _gravity(people: tuple[Person, ...]) -> Array:
    """(3, 3) rotation from the scene's axes to the camera's: the robust mean of what the network says in each frame."""
    down = np.concatenate([p.down[p.state != GAP] for p in people])
    return scene_axes(mean_direction(down, np.ones(len(down))))


def _solve_body(person: Person, skeleton: Skeleton, fps: float, axes: Array, settings: SolveSettings) -> _Body:
    shown = person.state != GAP
    contact = find_contacts(
        person.contact, shown, fps, settings.contacts, parse_edits(settings.contact_edits), person.frames
    )
    lifted = person.lifted @ axes
    joints, outlier = _smooth(lifted, person.sigma, shown, contact, skeleton, fps, settings)
    rotations = solve_rotations(skeleton, joints, fps)
    offsets = solve_offsets(skeleton, joints[shown], rotations[shown])
    rotations = solve_rotations(skeleton, bend_limbs(skeleton, joints, rotations, offsets), fps)
    return _Body(rotations, offsets * (settings.height / standing_height(skeleton, offsets)), contact, outlier)


def _smooth(
    joints: NDArray[np.floating[Any]],
    sigma: NDArray[np.floating[Any]],
    shown: Flags,
    contact: Flags,
    skeleton: Skeleton,
    fps: float,
    settings: SolveSettings,
) -> tuple[Array, Flags]:
    """(T, J, 3) joints without outliers and jitter, and (T, J) which were outliers."""
    out = np.array(joints, np.float64)
    outlier = np.zeros(out.shape[:2], bool)
    names = [n.removeprefix("l_").removeprefix("r_") for n in skeleton.joint_names]
    for j, name in enumerate(names):
        part = next((p for p, members in PARTS.items() if name in members), "torso")
        strength = min(1.0, settings.strength * float(getattr(settings, part)))
        landing = _landings(contact, skeleton.joint_names[j], fps) if part == "legs" else None
        for start, stop in runs(shown):
            span = slice(start, stop)
            sure = np.asarray(sigma[span, j], np.float64)
            wrong = outliers(out[span, j], sure, fps)
            outlier[span, j] = wrong
            if settings.smoothing == "spline":
                free = None if landing is None else landing[span]
                out[span, j] = spline(out[span, j], np.where(wrong, 100 * sure, sure), fps, strength, free)
            elif wrong.any():
                out[span, j] = _bridged(out[span, j], wrong)
        if settings.smoothing != "spline":
            out[:, j] = smooth(out[:, j], shown, fps, settings.smoothing, strength)
    return out, outlier


def _bridged(x: Array, wrong: Flags) -> Array:
    """(n, 3) with straight lines where samples are wrong."""
    at = np.arange(len(x))
    return np.stack([np.interp(at, at[~wrong], x[~wrong, c]) for c in range(x.shape[1])], -1)


def _landings(contact: Flags, joint: str, fps: float) -> Array:
    """(T,) in 0..1 about the frames in which the joint's foot comes to stand."""
    side = contact[:, [i for i, n in enumerate(FEET) if n[0] == joint[0]]].any(1)
    begins = side & ~np.concatenate([[True], side[:-1]])
    at = np.flatnonzero(begins)
    if not len(at):
        return np.zeros(len(side))
    away = np.abs(np.arange(len(side))[:, None] - at).min(1) / fps
    return (away <= IMPACT).astype(np.float64)


def _shot(person: Person, body: _Body, lens: Lens, skeleton: Skeleton, layout: str, fps: float, axes: Array) -> Shot:
    relative = forward_kinematics(skeleton, body.rotations, body.offsets)
    keypoints, score = keypoints_to_joints(person.keypoints, person.scores, layout, skeleton)
    feet = [n for n in FEET if n in skeleton.joint_names]
    frames = len(relative)
    return Shot(
        relative=relative,
        keypoints=keypoints,
        score=score,
        valid=person.state != GAP,
        lens=lens,
        fps=fps,
        rotation=np.broadcast_to(axes, (frames, 3, 3)),
        translation=np.zeros((frames, 3)),
        feet=relative[:, [skeleton.joint(n) for n in feet]],
        contact=body.contact[:, [FEET.index(n) for n in feet]],
    )


def _paths(shots: list[Shot]) -> tuple[list[Array], float]:
    """(T, 3) path of everybody's root, and the height of the one floor under them."""
    paths = [root_path(shot) for shot in shots]
    floor = _common_floor(shots, paths)
    if len(shots) > 1:
        paths = [root_path(shot, floor) for shot in shots]
    return [root for root, _ in paths], floor


def _with_believable_contacts(
    person: Person, body: _Body, shot: Shot, root: Array, floor: float, skeleton: Skeleton, settings: SolveSettings
) -> _Body:
    """The body with contacts that agree with where its feet are; what the user said stays."""
    columns = [i for i, n in enumerate(FEET) if n in skeleton.joint_names]
    contact = np.zeros_like(body.contact)
    contact[:, columns] = believable(shot.contact, root[:, None] + shot.feet, floor, shot.valid, shot.fps)
    return replace(body, contact=edited(contact, shot.valid, parse_edits(settings.contact_edits), person.frames))


def _common_floor(shots: list[Shot], paths: list[tuple[Array, float | None]]) -> float:
    """Height of the one floor: of those who stand on it, by how long; else where the lowest foot comes."""
    known = [(h, shot.contact.sum()) for shot, (_, h) in zip(shots, paths, strict=True) if h is not None]
    if known:
        return float(np.average([h for h, _ in known], weights=[n for _, n in known]))
    feet = [(root[:, None] + shot.feet)[shot.valid] for shot, (root, _) in zip(shots, paths, strict=True)]
    heights = np.concatenate([f[..., 2].ravel() for f in feet])
    return floor_height(heights) if heights.size else 0.0


def _lock(
    skeleton: Skeleton, joints: Array, rotations: Array, offsets: Array, shot: Shot, fps: float
) -> tuple[Array, Array]:
    """(T, J, 3) joints and (T, B, 3, 3) rotations with the feet held."""
    locked = lock_feet(skeleton, joints, offsets, shot.contact, shot.valid, fps)
    locked = bend_limbs(skeleton, locked, rotations, offsets, exact=True)
    rotations = solve_rotations(skeleton, locked, fps)
    return forward_kinematics(skeleton, rotations, offsets) + locked[:, :1], rotations


def _solved(person: Person, body: _Body, joints: Array, rotations: Array, axes: Array, floor: float) -> Person:
    """The person with the solved arrays, NaN in gaps."""
    camera = (joints + [0, 0, floor]) @ axes.T
    quaternions = continuous(matrix_to_quat(rotations))
    world = np.array(joints)
    for array in (world, camera, quaternions):
        array[person.state == GAP] = np.nan
    return replace(
        person,
        stands=body.contact,
        outlier=body.outlier,
        joints_camera=camera.astype(np.float32),
        joints_world=world.astype(np.float32),
        rotations=quaternions.astype(np.float32),
        offsets=body.offsets.astype(np.float32),
    )
