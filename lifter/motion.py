"""From lifted joints to motion that stands in the scene. `solve_people` reads top to bottom:

repair -> smooth -> bone lengths and rotations -> gravity -> contacts -> root path and floor -> foot lock

Nothing here needs the video: a take is solved again from its own arrays in about a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from .camera import Lens, unzoom
from .camera_path import CameraPath, camera_places, poses_at
from .camera_scale import path_scale
from .contacts import MODES, believable, edited, find_contacts, parse_edits
from .errors import MotionliftError
from .hands import solve_hands
from .lock import gentle_contacts, lock_feet
from .rotation import continuous, matrix_to_quat, shortest_arc
from .skeleton import FEET, Skeleton, keypoints_to_joints
from .smooth import check_smoothing, outliers, runs, smooth, spline
from .solve import bend_limbs, forward_kinematics, sole_heights, solve_offsets, solve_rotations, standing_height
from .take import GAP, Camera, Person
from .world import Shot, floor_height, mean_direction, root_path, scene_axes, upright_on

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

TILT = 20.0
"""Degrees by which a camera path's Z axis may differ from the upright that the network sees: that is off by a few."""

SCALE_ERROR = 0.15
"""Part of the camera's way, in metres, by which its size may be uncertain without a word."""


def solve_people(
    people: tuple[Person, ...],
    lens: Lens,
    skeleton: Skeleton,
    layout: str,
    fps: float,
    settings: SolveSettings,
    path: CameraPath | None = None,
) -> tuple[Camera, tuple[Person, ...], tuple[str, ...]]:
    """Solve everybody anew, on one floor, before one camera: static, or on a path. Returns warnings too."""
    view, warnings = _static_view(people, lens), list[str]()
    if path is not None:
        view, warnings = _moving_view(people, lens, path, fps)
    bodies = [_solve_body(person, skeleton, fps, view, settings) for person in people]
    shots = [_shot(*both, view, skeleton, layout, fps) for both in zip(people, bodies, strict=True)]
    starts: list[Array | None] = [None] * len(shots)
    if path is None:
        view, bodies, shots, starts = _upright(view, bodies, shots, skeleton)
    elif not path.metric:
        view, wrong = _scaled(view, shots, people)
        warnings += wrong
        both = zip(shots, people, strict=True)
        shots = [replace(shot, translation=view.translation[view.of(person)]) for shot, person in both]
    roots, floor = _paths(shots, starts)
    if settings.contacts == "auto":
        before = [body.contact for body in bodies]
        bodies = [
            _with_believable_contacts(*each, floor, skeleton, settings)
            for each in zip(people, bodies, shots, roots, strict=True)
        ]
        if any((body.contact != old).any() for body, old in zip(bodies, before, strict=True)):
            columns = _foot_columns(skeleton)
            both = zip(shots, bodies, strict=True)
            shots = [replace(shot, contact=body.contact[:, columns]) for shot, body in both]
            roots, floor = _paths(shots, roots)
    out: list[Person] = []
    for person, body, shot, root in zip(people, bodies, shots, roots, strict=True):
        joints = shot.relative + root[:, None] - [0, 0, floor]
        rotations = body.rotations
        if settings.foot_lock:
            if settings.contacts == "auto":
                columns, contact = _foot_columns(skeleton), body.contact.copy()
                contact[:, columns] = gentle_contacts(
                    skeleton, joints, body.offsets, contact[:, columns], shot.valid, fps
                )
                body = replace(body, contact=_with_edits(contact, person, settings))
            joints, rotations = _lock(skeleton, joints, rotations, body, shot.valid, fps)
        solved = _solved(person, body, joints, rotations, shot, floor)
        if solved.hands is not None:
            strength = min(1.0, settings.strength * settings.arms)
            hands = solve_hands(solved.hands, solved.rotations, solved.offsets, skeleton, fps, strength)
            solved = replace(solved, hands=hands)
        out.append(solved)
    return _camera(view, floor, path), tuple(out), tuple(warnings)


@dataclass(frozen=True)
class _View:
    """The camera in F frames without holes: x_camera = rotation @ X + translation, (F, 3, 3) and (F, 3), Z up.

    lens: one for all frames; zoom: (F,) how much longer the focal length of each frame is, None where it is constant.
    """

    frames: NDArray[np.int32]
    rotation: Array
    translation: Array
    lens: Lens
    zoom: Array | None = None

    def of(self, person: Person) -> slice:
        """The person's frames."""
        start = int(person.frames[0] - self.frames[0])
        return slice(start, start + len(person.frames))


def _upright(
    view: _View, bodies: list[_Body], shots: list[Shot], skeleton: Skeleton
) -> tuple[_View, list[_Body], list[Shot], list[Array | None]]:
    """The scene of a static camera turned so that the places where feet stand lie on one level, and paths in it that
    are nearly right."""
    points: list[Array] = []
    seconds: list[float] = []
    roots: list[Array] = []
    for shot in shots:
        root, _ = root_path(shot, even=False)
        roots.append(root)
        feet = root[:, None] + shot.feet
        for f in range(feet.shape[1]):
            for start, stop in runs(shot.contact[:, f] & shot.valid):
                points.append(np.median(feet[start:stop, f], axis=0))
                seconds.append((stop - start) / shot.fps)
    up = upright_on(np.reshape(points, (-1, 3)), np.array(seconds))
    axes = scene_axes(-view.rotation[0] @ up)
    turn = axes.T @ view.rotation[0]
    view = replace(view, rotation=np.broadcast_to(axes, view.rotation.shape))
    bodies = [replace(body, rotations=turn @ body.rotations) for body in bodies]
    turned: list[Shot] = []
    for shot, body in zip(shots, bodies, strict=True):
        relative = shot.relative @ turn.T
        rotation = np.broadcast_to(axes, (len(relative), 3, 3))
        turned.append(replace(shot, relative=relative, rotation=rotation, feet=_feet(relative, body, skeleton)))
    return view, bodies, turned, [root @ turn.T for root in roots]


def _static_view(people: tuple[Person, ...], lens: Lens) -> _View:
    frames = _all_frames(people)
    down = np.concatenate([p.down[p.state != GAP] for p in people])
    axes = scene_axes(mean_direction(down, np.ones(len(down))))
    return _View(frames, np.broadcast_to(axes, (len(frames), 3, 3)), np.zeros((len(frames), 3)), lens)


def _moving_view(people: tuple[Person, ...], lens: Lens, path: CameraPath, fps: float) -> tuple[_View, list[str]]:
    """The path at every frame, upright: gravity is the path's, unless people plainly stand otherwise."""
    frames = _all_frames(people)
    poses = poses_at(path, frames, fps)
    warnings: list[str] = []
    if not poses.known.all():
        warnings.append(
            f"The camera path does not reach {(~poses.known).sum()} of {len(frames)} frames: its nearest pose stands in"
        )
    view = _View(frames, poses.rotation, poses.translation, lens)
    zoom = focal_ratio(poses.focal, lens)
    falls = [(p.down[:, None] @ view.rotation[view.of(p)])[:, 0][p.state != GAP] for p in people]
    down = mean_direction(np.concatenate(falls), np.ones(sum(map(len, falls))))
    tilt = float(np.degrees(np.arccos(np.clip(-down[2], -1, 1))))
    if tilt > TILT:
        turn = shortest_arc(down, np.array([0, 0, -1.0]))
        view = replace(view, rotation=view.rotation @ turn.T)
        warnings.append(
            f"The camera path's Z axis is {tilt:.0f} degrees off the upright of the people: it was turned by that. "
            "Set the floor of the camera solve"
        )
    return replace(view, zoom=zoom), warnings


def _all_frames(people: tuple[Person, ...]) -> NDArray[np.int32]:
    return np.arange(min(p.frames[0] for p in people), max(p.frames[-1] for p in people) + 1, dtype=np.int32)


def focal_ratio(focal: Array | None, lens: Lens) -> Array | None:
    """(F,) focal lengths over the lens's; None where they are all alike."""
    if focal is None or np.ptp(focal) < 1e-6 * lens.focal:
        return None
    return focal / lens.focal


def _scaled(view: _View, shots: list[Shot], people: tuple[Person, ...]) -> tuple[_View, list[str]]:
    """The view with its path in metres, and a word where that is uncertain."""
    places = camera_places(view.rotation, view.translation)
    reach = float(np.linalg.norm(np.ptp(places, axis=0)))
    scale, error = path_scale(shots, [places[view.of(p)] for p in people])
    if not np.isfinite(error):
        return view, []
    warnings: list[str] = []
    if scale <= 0 or error * reach > SCALE_ERROR * max(1.0, scale * reach):
        warnings.append(
            "The camera path's size in metres is uncertain: set the scale of the camera solve, or give a path in metres"
        )
    if scale <= 0:
        return replace(view, translation=np.zeros_like(view.translation)), warnings
    return replace(view, translation=view.translation * scale), warnings


def _camera(view: _View, floor: float, path: CameraPath | None) -> Camera:
    """The camera of the take, in a scene whose floor is Z = 0."""
    translation = view.translation + view.rotation @ np.array([0, 0, floor])
    if path is None or (len(path.rotation) == 1 and view.zoom is None):
        return Camera(view.lens.K, np.array(view.rotation[0]), translation[0], given=path)
    focal = None if view.zoom is None else view.zoom * view.lens.focal
    return Camera(view.lens.K, np.array(view.rotation), translation, view.frames, focal, path)


@dataclass(frozen=True)
class _Body:
    """One person's own motion, in axes with Z up: joints follow from (T, B, 3, 3) rotations and (J, 3) offsets."""

    rotations: Array
    offsets: Array
    contact: Flags
    outlier: Flags


def _solve_body(person: Person, skeleton: Skeleton, fps: float, view: _View, settings: SolveSettings) -> _Body:
    shown = person.state != GAP
    contact = find_contacts(
        person.contact, shown, fps, settings.contacts, parse_edits(settings.contact_edits), person.frames
    )
    lifted = person.lifted @ view.rotation[view.of(person)]
    joints, outlier = _smooth(lifted, person.sigma, shown, contact, skeleton, fps, settings)
    rotations = solve_rotations(skeleton, joints, fps)
    offsets = solve_offsets(skeleton, joints[shown], rotations[shown])
    bent = bend_limbs(skeleton, joints, rotations, offsets)
    rotations = solve_rotations(skeleton, bent, fps, before=(joints, rotations))
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
    # A joint's path in a row of memory; what comes of it keeps that order.
    rows = np.array(np.moveaxis(joints, 1, 0), np.float64, order="C")
    out = np.moveaxis(rows, 0, 1)
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
    """(T,) in 0..1 about the frames in which the joint's foot comes to stand, or leaves the ground."""
    side = contact[:, [i for i, n in enumerate(FEET) if n[0] == joint[0]]].any(1)
    changes = np.zeros(len(side))
    changes[1:] += side[1:] != side[:-1]
    changes[:-1] += side[1:] != side[:-1]
    reach = int(IMPACT * fps)
    return np.asarray(maximum_filter1d(np.minimum(changes, 1.0), 2 * reach + 1, mode="constant"), np.float64)


def _shot(person: Person, body: _Body, view: _View, skeleton: Skeleton, layout: str, fps: float) -> Shot:
    relative = forward_kinematics(skeleton, body.rotations, body.offsets)
    keypoints, score = keypoints_to_joints(person.keypoints, person.scores, layout, skeleton)
    own = view.of(person)
    if view.zoom is not None:
        keypoints = unzoom(keypoints, view.zoom[own], view.lens)
    return Shot(
        relative=relative,
        keypoints=keypoints,
        score=score,
        valid=person.state != GAP,
        lens=view.lens,
        fps=fps,
        rotation=view.rotation[own],
        translation=view.translation[own],
        feet=_feet(relative, body, skeleton),
        contact=body.contact[:, _foot_columns(skeleton)],
    )


def _feet(relative: NDArray[np.floating[Any]], body: _Body, skeleton: Skeleton) -> Array:
    """(T, F, 3) points under heels and toes, on the soles, of (T, J, 3) joints in axes with Z up."""
    names = [FEET[i] for i in _foot_columns(skeleton)]
    soles = sole_heights(skeleton, body.offsets, names)
    return relative[:, [skeleton.joint(n) for n in names]] - soles[:, None] * [0, 0, 1.0]


def _foot_columns(skeleton: Skeleton) -> list[int]:
    """Those of FEET that the skeleton has."""
    return [i for i, n in enumerate(FEET) if n in skeleton.joint_names]


def _paths(shots: list[Shot], starts: Sequence[Array | None]) -> tuple[list[Array], float]:
    """(T, 3) path of everybody's root, from paths nearby where there are such, and the height of the one floor."""
    paths = [root_path(shot, start=start) for shot, start in zip(shots, starts, strict=True)]
    floor = _common_floor(shots, paths)
    if len(shots) > 1:
        both = zip(shots, paths, strict=True)
        paths = [root_path(shot, floor, start=root) for shot, (root, _) in both]
    return [root for root, _ in paths], floor


def _with_believable_contacts(
    person: Person, body: _Body, shot: Shot, root: Array, floor: float, skeleton: Skeleton, settings: SolveSettings
) -> _Body:
    """The body with contacts that agree with where its feet are; what the user said stays."""
    columns = _foot_columns(skeleton)
    contact = np.zeros_like(body.contact)
    contact[:, columns] = believable(shot.contact, root[:, None] + shot.feet, floor, shot.valid, shot.fps)
    return replace(body, contact=_with_edits(contact, person, settings))


def _with_edits(contact: Flags, person: Person, settings: SolveSettings) -> Flags:
    """(T, 4) contacts, but for what the user said."""
    return edited(contact, person.state != GAP, parse_edits(settings.contact_edits), person.frames)


def _common_floor(shots: list[Shot], paths: list[tuple[Array, float | None]]) -> float:
    """Height of the one floor: of those who stand on it, by how long; else where the lowest foot comes."""
    known = [(h, shot.contact.sum()) for shot, (_, h) in zip(shots, paths, strict=True) if h is not None]
    if known:
        return float(np.average([h for h, _ in known], weights=[n for _, n in known]))
    feet = [(root[:, None] + shot.feet)[shot.valid] for shot, (root, _) in zip(shots, paths, strict=True)]
    heights = np.concatenate([f[..., 2].ravel() for f in feet])
    return floor_height(heights) if heights.size else 0.0


def _lock(
    skeleton: Skeleton, joints: Array, rotations: Array, body: _Body, valid: Flags, fps: float
) -> tuple[Array, Array]:
    """(T, J, 3) joints and (T, B, 3, 3) rotations with the feet held."""
    offsets = body.offsets
    locked = lock_feet(skeleton, joints, offsets, body.contact[:, _foot_columns(skeleton)], valid, fps)
    locked = bend_limbs(skeleton, locked, rotations, offsets, exact=True)
    rotations = solve_rotations(skeleton, locked, fps, before=(joints, rotations))
    return forward_kinematics(skeleton, rotations, offsets) + locked[:, :1], rotations


def _solved(person: Person, body: _Body, joints: Array, rotations: Array, shot: Shot, floor: float) -> Person:
    """The person with the solved arrays, NaN in gaps."""
    camera = (joints + [0, 0, floor]) @ np.swapaxes(shot.rotation, -1, -2) + shot.translation[:, None]
    quaternions = continuous(matrix_to_quat(rotations))
    world = np.array(joints, order="C")
    for array in (world, camera, quaternions):
        array[person.state == GAP] = np.nan
    return replace(
        person,
        stands=body.contact,
        outlier=body.outlier,
        joints_camera=camera.astype(np.float32, order="C"),
        joints_world=world.astype(np.float32),
        rotations=quaternions.astype(np.float32, order="C"),
        offsets=body.offsets.astype(np.float32),
    )
