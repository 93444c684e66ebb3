"""The whole way from footage to a take; reads top to bottom like the arrow in docs/architecture.md.

footage -> detect -> track -> lift -> solve (motion.py) -> take
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .camera import Lens, make_lens, unzoom
from .camera_path import CameraPath, poses_at, put_in_time, read_camera_path
from .checkpoint import Checkpoint, load_checkpoint
from .clothes import seen_colours
from .detect import Detection, Detector, HandChoice, kept, load_detector, with_hands
from .errors import MotionliftError
from .follow import detect_every, frames_apart
from .footage import Footage, Frame, open_footage, read_frames
from .hand_lift import lift_hands
from .hands import hand_bones, hand_joints, hand_warnings, has_hands, unsolved_hands
from .lens_estimate import FOVS, SECONDS, estimate_lens
from .lens_metadata import focal_from_metadata
from .lift import Lifted, lift_people
from .motion import SolveSettings, focal_ratio, solve_people
from .pipeline import ahead, behind, queue_length
from .skeleton import keypoints_to_joints, layout_keypoints
from .smooth import runs
from .solve import check_solvable
from .steadiness import BackgroundWatch
from .take import FILLED, GAP, SEEN, VERSION, Camera, Person, Take
from .track import SHORT_GAP_SECONDS, Track, Tracking, choose_people, track_people

LensChoice = Literal["auto", "assume", "estimate"]

UNCERTAIN = 0.28
"""An estimate of a lens that expects to be off by more knows hardly more than what lenses are like."""

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, how much of it is done and how much there is (0 where unknown)."""


def capture(
    path: str | Path,
    *,
    focal: float | None = None,
    fov: float | None = None,
    lens: LensChoice = "auto",
    camera: CameraPath | Path | str | dict[str, Any] | None = None,
    height: float | None = None,
    start: float | None = None,
    end: float | None = None,
    detector: str | Detector = "mediapipe",
    detector_options: dict[str, Any] | None = None,
    every: str | int = "all",
    people: str = "all",
    hands: HandChoice = "auto",
    checkpoint: str = "body",
    device: str = "auto",
    keep_megabytes: int = 0,
    settings: SolveSettings | None = None,
    progress: Progress | None = None,
) -> Take:
    """Capture the people of a clip.

    Args:
        path: a video file, a folder of images, or a pattern such as shot/%04d.png.
        focal: focal length in pixels; or fov: angle of view along the longer side in degrees.
        lens: what it is taken for where neither is given: what the file tells of it, else an ordinary one (auto); an
            ordinary one (assume); or what fits the people best (estimate), which takes longer.
        camera: the path of a camera that moved, or its file, or what such a JSON file holds; see docs/camera.md.
        height: the performer's height in metres; that of the checkpoint's skeleton if neither it nor settings say.
        start, end: seconds of the clip to use.
        detector: a name; the path of keypoints that another tool found (docs/detectors.md); or a detector of the
            caller's own, which is closed at the end.
        detector_options: for a detector by name or path, such as {"people": 3} or {"layout": "halpe26"}.
        every: which frames the detector looks at: "all"; a number, for every n-th, with keypoints followed in the
            pictures in between (lifter/follow.py); or "auto", at least twelve a second. Keypoints that another tool
            found cost nothing: of them, auto takes all.
        people: of those that are seen, "all"; "most" for the one seen in most frames; or numbers such as "1, 3", as
            a take of all of them numbers them.
        hands: whether fingers are looked for: off, of hands that are large enough (auto), or of all (on).
        checkpoint: a name, or the path of the user's own.
        device: that the network runs on, "auto", "cpu", "gpu" or a backend (lifter/device.py).
        keep_megabytes: how much of what detectors found is kept in the cache, so that the same footage need not be
            looked at again; 0 neither keeps nor uses any.
        progress: told of every stage.
    Raises:
        MotionliftError: with cause and remedy, for bad footage, nobody in the picture and the like.
    """
    network = load_checkpoint(checkpoint, device=device)
    check_solvable(network.skeleton)
    settings = _sized(settings, height, network)
    moves = None if camera is None else read_camera_path(camera)
    footage = open_footage(path)
    apart = frames_apart(every, footage.fps)
    taken = _lens(footage.width, footage.height, focal, fov, moves)
    if taken.source == "assumed" and lens == "auto":
        taken = _lens_of_file(footage, taken)
    if isinstance(detector, str):
        with_detector = load_detector(detector, progress, footage, **(detector_options or {}))
    else:
        with_detector = detector
    if every == "auto" and with_detector.name.endswith(" keypoints"):
        apart = 1
    try:
        untold = None
        if hands != "off":
            with_detector, untold = with_hands(with_detector, hands, progress)
        name = None
        if keep_megabytes > 0 and isinstance(detector, str):
            options = {**(detector_options or {}), "hands": hands}
            name = kept.key(footage, start, end, detector, options, moves is None, apart)
        found = kept.load(name) if name else None
        tracking = Tracking(with_detector.layout, footage.fps)
        if found is not None:
            for now, seen in zip(found.times, found.people, strict=True):
                tracking.add(now, seen)
        else:
            found = _detect(footage, with_detector, tracking, start, end, progress, moves is None, apart)
            if name and any(found.people) and untold is None:
                kept.keep(name, found, keep_megabytes)
    finally:
        with_detector.close()
    indices, times, detections = found.indices, found.times, found.people
    if not any(detections):
        raise MotionliftError(f"{path}: nobody is seen in the picture", "Choose a clip or a range in which somebody is")
    tracks = choose_people(tracking.tracks(), people)
    if not tracks:
        raise MotionliftError(
            f"{path}: nobody is seen for long enough to follow",
            "Choose a clip or a range in which somebody stays in view",
        )
    # Tracks hold what is needed of the detections, of which an hour fills half a gigabyte.
    detections.clear()
    del tracking
    header: dict[str, Any] = {
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
        "lens": _lens_header(taken),
        "detector": {"name": with_detector.name, "layout": with_detector.layout, "every": apart},
        "hands": {"choice": hands},
        "warnings": [w for w in (found.warning, untold, *hand_warnings(tracks, hands)) if w],
    }
    moves = None if moves is None else put_in_time(moves, indices, times)
    if taken.source == "assumed" and lens == "estimate":
        size = footage.width, footage.height
        layout = with_detector.layout
        taken, error = estimated_lens(tracks[0], layout, footage.fps, size, network, settings, moves, progress)
        header["lens"] = {**_lens_header(taken), "uncertainty": error}
        if error > UNCERTAIN:
            header["warnings"].append("The lens is uncertain: the people move too little over the floor to tell it")
    return _lift_and_solve(header, tracks, taken, moves, network, settings, progress)


def lift_keypoints(
    xy: NDArray[np.floating[Any]],
    score: NDArray[np.floating[Any]],
    *,
    layout: str,
    fps: float,
    image_size: tuple[int, int],
    focal: float | None = None,
    fov: float | None = None,
    camera: CameraPath | Path | str | dict[str, Any] | None = None,
    height: float | None = None,
    checkpoint: str = "body",
    settings: SolveSettings | None = None,
    progress: Progress | None = None,
) -> Take:
    """A take of one person from 2D keypoints of the caller's own.

    Args:
        xy: (T, K, 2) pixels in the order of the layout, NaN where missing.
        score: (T, K) confidence in 0..1, 0 where missing.
        layout: "mediapipe33", "coco17", "halpe26", "body25" or "h36m17"; or the path of a skeleton's .toml file, whose
            joints the keypoints then are.
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
    moves = None if camera is None else read_camera_path(camera)
    network, lens = load_checkpoint(checkpoint), _lens(*image_size, focal, fov, moves)
    check_solvable(network.skeleton)
    settings = _sized(settings, height, network)
    missing = ~np.isfinite(xy).all(-1) | ~(score > 0)
    xy, score = np.where(missing[..., None], np.nan, xy), np.where(missing, 0, score).astype(np.float32)
    found = [
        [Detection(x.astype(np.float32), s, None)] if (s > 0).any() else [] for x, s in zip(xy, score, strict=True)
    ]
    if not any(found):
        raise MotionliftError("Every keypoint is missing", "Pass keypoints with scores above 0")
    tracks = track_people([i / fps for i in range(len(xy))], found, layout, fps)
    if not tracks:
        raise MotionliftError(
            "The keypoints show nobody for long enough to follow", "Pass keypoints of every frame, or a lower rate"
        )
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
    return _lift_and_solve(header, tracks, lens, moves, network, settings, progress)


def _dressed(frame: Frame, found: Detection, layout: str) -> Detection:
    """With the colours of the clothes, which tracking asks for where nobody else has told people apart."""
    if found.who is not None:
        return found
    return replace(found, colours=seen_colours(frame.rgb, found.xy, found.score, layout))


def _lens(width: int, height: int, focal: float | None, fov: float | None, moves: CameraPath | None) -> Lens:
    """The lens that was given, or the camera path's, or an assumed one."""
    if moves is None or moves.focal is None:
        return make_lens(width, height, focal, fov)
    if focal is not None or fov is not None:
        raise MotionliftError("A lens was given beside a camera path that has its own", "Give one of them")
    return replace(make_lens(width, height, float(np.median(moves.focal))), source="path")


def estimated_lens(
    track: Track,
    layout: str,
    fps: float,
    size: tuple[int, int],
    network: Checkpoint,
    settings: SolveSettings,
    moves: CameraPath | None = None,
    progress: Progress | None = None,
) -> tuple[Lens, float]:
    """The lens that fits a person best in a picture of that size, and how uncertain its focal length is, as a part."""
    many = min(len(track.frames), round(SECONDS * fps))
    start = (len(track.frames) - many) // 2
    part = replace(track.part(slice(start, start + many)), hands=None)
    plain, done = replace(settings, foot_lock=False), 0

    def solved(lens: Lens) -> tuple[Camera, Person]:
        nonlocal done
        if progress:
            progress("lens", done, len(FOVS))
        done += 1
        person = _lift([part], layout, lens, moves, fps, network)[0]
        camera, (person,), _ = solve_people((person,), lens, network.skeleton, layout, fps, plain, moves)
        return camera, person

    return estimate_lens(*size, network.skeleton, layout, solved)


def _lens_of_file(footage: Footage, assumed: Lens) -> Lens:
    """The lens that the file tells of, or the assumed one."""
    file = footage.files[0] if footage.files else footage.path
    focal = focal_from_metadata(file, footage.width, footage.height)
    return assumed if focal is None else replace(assumed, focal=focal, source="metadata")


def _sized(settings: SolveSettings | None, height: float | None, network: Checkpoint) -> SolveSettings:
    """The settings, with the height that was given or, without any, that of the network's skeleton."""
    if settings is None:
        return SolveSettings(height=network.skeleton.height if height is None else height)
    return settings if height is None else replace(settings, height=height)


def solve(take: Take, settings: SolveSettings) -> Take:
    """Smooth and solve a take again with other settings, from its own arrays: no video is needed."""
    lens = take.header["lens"]
    camera, people, warnings = solve_people(
        take.people,
        Lens(lens["focal"], (lens["center"][0], lens["center"][1]), lens["source"]),
        take.skeleton,
        take.layout,
        take.fps,
        settings,
        take.camera.given,
    )
    header = {**take.header, "settings": asdict(settings), "solve_warnings": list(warnings)}
    return Take(header, camera, people, take.path)


def _detect(
    footage: Footage,
    detector: Detector,
    tracking: Tracking,
    start: float | None,
    end: float | None,
    progress: Progress | None,
    watched: bool,
    every: int = 1,
) -> kept.Detected:
    """Number and time of each frame, and who is in it; tracking is fed with them; watched: and whether the camera
    moved; every: of how many frames the detector looks at one."""
    indices: list[int] = []
    times: list[float] = []
    detections: list[list[Detection]] = []
    watch = BackgroundWatch(footage.fps) if watched else None
    total = footage.frame_count
    if total and (start is not None or end is not None):
        last = min(total / footage.fps, end if end is not None else np.inf)
        total = max(0, round((last - (start or 0)) * footage.fps))
    many = queue_length(footage.width, footage.height, detector.batch)

    def see(frame: Frame, found: list[Detection]) -> None:
        detections.append([_dressed(frame, d, detector.layout) for d in found])
        tracking.add(frame.time, detections[-1])
        if watch is not None:
            watch.see(frame.rgb, [d.xy for d in found])

    with ExitStack() as threads:
        frames = threads.enter_context(ahead(read_frames(footage, start, end), many))
        see_behind = threads.enter_context(behind(see, many))
        for frame, found in detect_every(frames, detector, every):
            indices.append(frame.index)
            times.append(frame.time)
            see_behind(frame, found)
            if progress:
                progress("detect", len(times), total)
    return kept.Detected(indices, times, detections, None if watch is None else watch.result().warning)


def _lift_and_solve(
    header: dict[str, Any],
    tracks: list[Track],
    lens: Lens,
    moves: CameraPath | None,
    network: Checkpoint,
    settings: SolveSettings,
    progress: Progress | None,
) -> Take:
    fps, layout = header["fps"], header["detector"]["layout"]
    if progress:
        progress("lift", 0, 1)
    people = _lift(tracks, layout, lens, moves, fps, network)
    if progress:
        progress("solve", 0, 1)
    camera, solved, warnings = solve_people(tuple(people), lens, network.skeleton, layout, fps, settings, moves)
    if progress:
        progress("solve", 1, 1)
    told = [*header.get("warnings", ()), *getattr(network.session, "warnings", ())]
    header = {
        **header,
        "warnings": told,
        "checkpoint": {"name": network.name, "card": network.card},
        "skeleton": network.skeleton.to_dict(),
        "settings": asdict(settings),
        "solve_warnings": list(warnings),
    }
    if all(p.hands is not None for p in solved) and has_hands(network.skeleton):
        header["hands"] = {**header.get("hands", {}), "joints": hand_joints(), "bones": hand_bones()}
    return Take(header, camera, solved)


def _lift(
    tracks: list[Track], layout: str, lens: Lens, moves: CameraPath | None, fps: float, network: Checkpoint
) -> list[Person]:
    """People with the arrays of the stages up to lifting; the solved ones are still empty."""
    seen: list[tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]] = []
    for track in tracks:
        xy, score = keypoints_to_joints(track.xy, track.score, layout, network.skeleton)
        zoom = None if moves is None else focal_ratio(poses_at(moves, track.frames, fps).focal, lens)
        seen.append((xy if zoom is None else unzoom(xy, zoom, lens), score))
    lifted = lift_people(seen, lens, fps, network)
    return [_lifted_person(t, found, network, fps) for t, found in zip(tracks, lifted, strict=True)]


def _lifted_person(track: Track, lifted: Lifted, network: Checkpoint, fps: float) -> Person:
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
        stands=np.zeros((frames, 4), bool),
        outlier=np.zeros((frames, joints), bool),
        offsets=np.zeros((joints, 3), np.float32),
        hands=None if track.hands is None else unsolved_hands(track.hands, *lift_hands(track.hands)),
    )


def _states(seen: NDArray[np.bool_], fps: float) -> NDArray[np.uint8]:
    """Short gaps between seen frames are filled, long ones stay empty."""
    state = np.where(seen, SEEN, GAP).astype(np.uint8)
    for start, stop in runs(~seen):
        if stop - start <= SHORT_GAP_SECONDS * fps and start > 0 and stop < len(seen):
            state[start:stop] = FILLED
    return state


def _lens_header(lens: Lens) -> dict[str, Any]:
    return {"focal": lens.focal, "center": list(lens.center), "source": lens.source}
