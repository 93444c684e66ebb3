"""The whole way from footage to a take; reads top to bottom like the arrow in docs/architecture.md.

footage -> detect -> track -> lift -> solve (smooth, rotations, root path, gravity, floor) -> take
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .camera import Lens, make_lens
from .checkpoint import Checkpoint, load_checkpoint
from .detect import Detection, Detector, load_detector
from .errors import MotionliftError
from .footage import Footage, open_footage, read_frames
from .lift import lift
from .rotation import continuous, matrix_to_quat
from .skeleton import FEET, Skeleton, keypoints_to_joints, layout_keypoints
from .smooth import runs, smooth
from .solve import bend_limbs, forward_kinematics, solve_offsets, solve_rotations, standing_height
from .take import FILLED, GAP, SEEN, VERSION, Camera, Person, Take
from .track import SHORT_GAP_SECONDS, Track, track_people
from .world import floor_height, mean_direction, root_path, scene_axes

Array = NDArray[np.float64]

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, how much of it is done and how much there is (0 where unknown)."""


@dataclass(frozen=True)
class SolveSettings:
    """What `solve` offers; kept in the take's header.

    Attributes:
        height: the performer's standing height in metres; scales the whole take.
        smoothing: "butterworth", "one_euro" or "gaussian".
        strength: of the smoothing, from 0 to 1.
    """

    height: float = 1.70
    smoothing: str = "butterworth"
    strength: float = 0.4

    def __post_init__(self) -> None:
        if not 0.3 <= self.height <= 3.0:
            raise MotionliftError(
                f"A performer {self.height} m tall is not possible", "Give the height in metres, such as 1.75"
            )


def capture(
    path: str | Path,
    *,
    focal: float | None = None,
    fov: float | None = None,
    height: float | None = None,
    start: float | None = None,
    end: float | None = None,
    detector: str | Detector = "mediapipe",
    detector_options: dict[str, Any] | None = None,
    checkpoint: str = "body",
    settings: SolveSettings | None = None,
    progress: Progress | None = None,
) -> Take:
    """Capture the people of a clip.

    Args:
        path: a video file, a folder of images, or a pattern such as shot/%04d.png.
        focal: focal length in pixels; or fov: angle of view along the longer side in degrees; else assumed.
        height: the performer's height in metres.
        start, end: seconds of the clip to use.
        detector: a name, or a detector of the caller's own, which is closed at the end.
        detector_options: for a detector by name, such as {"people": 3} for several people.
        checkpoint: a name, or the path of the user's own.
        progress: told of every stage.
    Raises:
        MotionliftError: with cause and remedy, for bad footage, nobody in the picture and the like.
    """
    settings = settings or SolveSettings()
    settings = settings if height is None else replace(settings, height=height)
    network = load_checkpoint(checkpoint)
    footage = open_footage(path)
    lens = make_lens(footage.width, footage.height, focal, fov)
    if isinstance(detector, str):
        with_detector = load_detector(detector, progress, **(detector_options or {}))
    else:
        with_detector = detector
    try:
        times, detections = _detect(footage, with_detector, start, end, progress)
    finally:
        with_detector.close()
    if not any(detections):
        raise MotionliftError(f"{path}: nobody is seen in the picture", "Choose a clip or a range in which somebody is")
    tracks = track_people(times, detections, with_detector.layout, footage.fps)
    header = {
        "version": VERSION,
        "fps": footage.fps,
        "source": {
            "path": str(Path(path).absolute()),
            "width": footage.width,
            "height": footage.height,
            "frame_count": footage.frame_count,
            "start": start,
            "end": end,
        },
        "lens": _lens_header(lens),
        "detector": {"name": with_detector.name, "layout": with_detector.layout},
    }
    return _lift_and_solve(header, tracks, lens, network, settings, progress)


def lift_keypoints(
    xy: NDArray[np.floating[Any]],
    score: NDArray[np.floating[Any]],
    *,
    layout: str,
    fps: float,
    image_size: tuple[int, int],
    focal: float | None = None,
    fov: float | None = None,
    height: float | None = None,
    checkpoint: str = "body",
    settings: SolveSettings | None = None,
    progress: Progress | None = None,
) -> Take:
    """A take of one person from 2D keypoints of the caller's own.

    Args:
        xy: (T, K, 2) pixels in the order of the layout, NaN where missing.
        score: (T, K) confidence in 0..1, 0 where missing.
        layout: "mediapipe33", "coco17", "halpe26", "body25" or "h36m17".
        fps: even frame rate of the keypoints.
        image_size: (width, height) in pixels.
    """
    xy, score = np.asarray(xy, np.float32), np.asarray(score, np.float32)
    count = len(layout_keypoints(layout))
    if xy.ndim != 3 or xy.shape[1:] != (count, 2) or score.shape != xy.shape[:2] or not len(xy):
        raise MotionliftError(
            f"xy is {xy.shape} and score {score.shape}, which does not fit layout {layout}",
            f"Pass at least one frame, xy as (T, {count}, 2) and score as (T, {count})",
        )
    if not fps > 0:
        raise MotionliftError(f"A frame rate of {fps} is not possible", "Give frames per second")
    settings = settings or SolveSettings()
    settings = settings if height is None else replace(settings, height=height)
    network, lens = load_checkpoint(checkpoint), make_lens(*image_size, focal, fov)
    missing = ~np.isfinite(xy).all(-1) | ~(score > 0)
    xy, score = np.where(missing[..., None], np.nan, xy), np.where(missing, 0, score).astype(np.float32)
    found = [
        [Detection(x.astype(np.float32), s, None)] if (s > 0).any() else [] for x, s in zip(xy, score, strict=True)
    ]
    if not any(found):
        raise MotionliftError("Every keypoint is missing", "Pass keypoints with scores above 0")
    tracks = track_people([i / fps for i in range(len(xy))], found, layout, fps)
    header = {
        "version": VERSION,
        "fps": float(fps),
        "source": {
            "path": None,
            "width": image_size[0],
            "height": image_size[1],
            "frame_count": len(xy),
            "start": None,
            "end": None,
        },
        "lens": _lens_header(lens),
        "detector": {"name": "keypoints", "layout": layout},
    }
    return _lift_and_solve(header, tracks, lens, network, settings, progress)


def solve(take: Take, settings: SolveSettings) -> Take:
    """Smooth and solve a take again with other settings, from its own arrays: no video is needed."""
    lens = take.header["lens"]
    camera, people = _solve_people(
        take.people,
        Lens(lens["focal"], (lens["center"][0], lens["center"][1]), lens["source"]),
        take.skeleton,
        take.layout,
        take.fps,
        settings,
    )
    header = {**take.header, "settings": asdict(settings)}
    return Take(header, camera, people, take.path)


def _detect(
    footage: Footage, detector: Detector, start: float | None, end: float | None, progress: Progress | None
) -> tuple[list[float], list[list[Detection]]]:
    times: list[float] = []
    detections: list[list[Detection]] = []
    total = footage.frame_count
    if total and (start is not None or end is not None):
        last = min(total / footage.fps, end if end is not None else np.inf)
        total = max(0, round((last - (start or 0)) * footage.fps))
    for frame in read_frames(footage, start, end):
        times.append(frame.time)
        detections.append(detector.detect(frame.rgb, frame.time))
        if progress:
            progress("detect", len(times), total)
    return times, detections


def _lift_and_solve(
    header: dict[str, Any],
    tracks: list[Track],
    lens: Lens,
    network: Checkpoint,
    settings: SolveSettings,
    progress: Progress | None,
) -> Take:
    fps, layout = header["fps"], header["detector"]["layout"]
    people: list[Person] = []
    for i, track in enumerate(tracks):
        if progress:
            progress("lift", i, len(tracks))
        people.append(_lift_person(track, layout, lens, fps, network))
    if progress:
        progress("solve", 0, 1)
    camera, solved = _solve_people(tuple(people), lens, network.skeleton, layout, fps, settings)
    if progress:
        progress("solve", 1, 1)
    header = {
        **header,
        "checkpoint": {"name": network.name, "card": network.card},
        "skeleton": network.skeleton.to_dict(),
        "settings": asdict(settings),
    }
    return Take(header, camera, solved)


def _lift_person(track: Track, layout: str, lens: Lens, fps: float, network: Checkpoint) -> Person:
    """A person with the arrays of the stages up to lifting; the solved ones are still empty."""
    xy, score = keypoints_to_joints(track.xy, track.score, layout, network.skeleton)
    lifted = lift(xy, score, lens, fps, network)
    frames, joints, bones = len(track.frames), len(network.skeleton.joint_names), len(network.skeleton.bones)
    return Person(
        frames=track.frames,
        times=track.frames / fps,
        state=_states(track.seen, fps),
        swapped=track.swapped,
        keypoints=track.xy,
        scores=track.score,
        lifted=lifted.joints,
        sigma=lifted.sigma,
        contact=lifted.contact,
        down=lifted.down,
        joints_camera=np.full((frames, joints, 3), np.nan, np.float32),
        joints_world=np.full((frames, joints, 3), np.nan, np.float32),
        rotations=np.full((frames, bones, 4), np.nan, np.float32),
        offsets=np.zeros((joints, 3), np.float32),
    )


def _states(seen: NDArray[np.bool_], fps: float) -> NDArray[np.uint8]:
    """Short gaps between seen frames are filled, long ones stay empty."""
    state = np.where(seen, SEEN, GAP).astype(np.uint8)
    for start, stop in runs(~seen):
        if stop - start <= SHORT_GAP_SECONDS * fps and start > 0 and stop < len(seen):
            state[start:stop] = FILLED
    return state


def _solve_people(
    people: tuple[Person, ...], lens: Lens, skeleton: Skeleton, layout: str, fps: float, settings: SolveSettings
) -> tuple[Camera, tuple[Person, ...]]:
    """Smooth each person, turn joints into rotations and bone lengths, and set all on one floor."""
    turned: list[tuple[Array, Array]] = []
    seated: list[Array] = []
    for person in people:
        shown = person.state != GAP
        joints = smooth(person.lifted, shown, fps, settings.smoothing, settings.strength)
        rotations = solve_rotations(skeleton, joints, fps)
        offsets = solve_offsets(skeleton, joints[shown], rotations[shown])
        rotations = solve_rotations(skeleton, bend_limbs(skeleton, joints, rotations, offsets), fps)
        offsets *= settings.height / standing_height(skeleton, offsets)
        relative = forward_kinematics(skeleton, rotations, offsets)
        xy, score = keypoints_to_joints(person.keypoints, person.scores, layout, skeleton)
        root = root_path(relative, xy, score, shown, lens, fps)
        turned.append((rotations, offsets))
        seated.append(relative + root[:, None])
    shown = np.concatenate([p.state != GAP for p in people])
    down = np.concatenate([p.down for p in people])[shown]
    axes = scene_axes(mean_direction(down, np.ones(len(down))))
    feet = np.concatenate(seated)[shown][:, [skeleton.joint(n) for n in FEET if n in skeleton.joint_names]] @ axes
    camera_height = -floor_height(feet[..., 2], np.concatenate([p.contact for p in people])[shown])
    translation = -axes @ np.array([0, 0, camera_height])
    out: list[Person] = []
    for person, (rotations, offsets), joints in zip(people, turned, seated, strict=True):
        gone = person.state == GAP
        world = (joints - translation) @ axes
        quaternions = continuous(matrix_to_quat(axes.T @ rotations))
        joints = joints.copy()
        for array in (world, joints, quaternions):
            array[gone] = np.nan
        out.append(
            replace(
                person,
                joints_camera=joints.astype(np.float32),
                joints_world=world.astype(np.float32),
                rotations=quaternions.astype(np.float32),
                offsets=offsets.astype(np.float32),
            )
        )
    return Camera(lens.K, axes, translation), tuple(out)


def _lens_header(lens: Lens) -> dict[str, Any]:
    return {"focal": lens.focal, "center": list(lens.center), "source": lens.source}
