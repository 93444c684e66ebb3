"""Hands of people whose bodies are known: MediaPipe's hand landmarks on crops round the wrists, or those that a
whole-body layout already has.

`WithHands` puts this behind any detector and is a detector itself: what it adds is `Detection.hands`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.footage import Frame
from lifter.hands import POINTS, SIDES, SMALLEST, SeenHands, no_hands
from lifter.skeleton import layout_keypoints

from . import Detection, Detector, HandChoice
from .mediapipe import import_mediapipe, quiet
from .models import Progress, hand_model

Array = NDArray[np.float64]

FAINT = 0.3
"""A wrist with a lower score is hidden, or somewhere else."""
CROP = 256
"""Pixels along the side of a crop: MediaPipe makes 192 of it to find a palm and 224 to find its points."""
WIDE = 1.6
"""Length of a hand to the side of its crop."""
OFF = 0.5
"""Hand lengths by which a hand's wrist may lie off the body's; farther, it is another hand, or a foot."""
SAME = 0.25
"""Hand lengths by which the points of two hands differ, in the mean, that are one hand found twice."""
FOLLOWED = 4
"""So many people's hands are followed from frame to frame at once; each needs networks of its own."""
LOST_SECONDS = 0.5
"""Somebody unseen for longer is looked at anew."""
DOUBTED = 0.5
"""Factor on the score of a hand that MediaPipe takes for one of the other side."""

# Lengths of a hand, wrist to fingertip, as parts of what the body shows: of the torso, shoulders to hips; of the
# forearm; of the distance from the wrist to the first knuckles. The largest counts: foreshortening only shortens.
TORSO, FOREARM, KNUCKLES = 0.39, 0.65, 1.9


class WithHands:
    """A detector that finds hands, too. See `Detector`; of whole-body layouts it takes theirs.

    choice: "auto" leaves out hands that are smaller than SMALLEST; "on" looks at every hand, and fails where MediaPipe
    cannot be had.
    """

    def __init__(self, detector: Detector, choice: HandChoice = "auto", progress: Progress | None = None) -> None:
        """Raises MotionliftError where hands are asked for and cannot be found."""
        self.detector = detector
        self.name, self.layout, self.batch = detector.name, detector.layout, detector.batch
        self.warning: str | None = None
        self._own = hand_columns(detector.layout)
        self._body = body_columns(detector.layout)
        self._finder: HandFinder | None = None
        if self._own is not None:
            return
        if self._body is None:
            if choice == "on":
                raise MotionliftError(
                    f"Hands cannot be looked for: the layout {detector.layout} has no wrists and elbows",
                    "Use another detector, or no hands",
                )
            return
        try:
            self._finder = HandFinder(SMALLEST if choice == "auto" else 0.0, progress)
        except MotionliftError as error:
            if choice == "on":
                raise
            self.warning = f"Hands were not looked for: {error}"

    def detect(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        """See `Detector.detect`."""
        found = self.detector.detect(frames)
        if self._own is not None:
            return [[replace(d, hands=own_hands(d, *self._own)) for d in each] for each in found]
        if self._finder is None or self._body is None:
            return found
        return [self._add(frame, each) for frame, each in zip(frames, found, strict=True)]

    def _add(self, frame: Frame, people: list[Detection]) -> list[Detection]:
        assert self._finder is not None and self._body is not None
        hands = self._finder.find(frame.rgb, frame.time, [wrists(d, self._body) for d in people])
        return [replace(d, hands=h) for d, h in zip(people, hands, strict=True)]

    def close(self) -> None:
        """See `Detector.close`."""
        self.detector.close()
        if self._finder is not None:
            self._finder.close()


@dataclass(frozen=True)
class Wrist:
    """Where a hand should be, by the body: wrist (2,), middle of the hand (2,) and length of the hand, in pixels; score
    of the wrist. up: (2,) direction from the forearm to the hand, unit length."""

    at: Array
    middle: Array
    length: float
    score: float
    up: Array


def body_columns(layout: str) -> dict[str, int] | None:
    """Numbers of the keypoints that show where hands are; None where there are no wrists and elbows."""
    names = layout_keypoints(layout)
    parts = ("shoulder", "elbow", "wrist", "index", "little", "hip")
    found = {n: names.index(n) for n in (f"{s}_{p}" for s in SIDES for p in parts) if n in names}
    return found if all(f"{s}_{p}" in found for s in SIDES for p in ("wrist", "elbow")) else None


def wrists(body: Detection, columns: dict[str, int]) -> list[Wrist | None]:
    """Where both hands should be, left first; None where the body does not show it."""
    xy, score = body.xy.astype(np.float64), body.score

    def at(name: str) -> Array | None:
        column = columns.get(name)
        if column is None or not score[column] > 0 or not np.isfinite(xy[column]).all():
            return None
        return xy[column]

    shoulders, hips = ([p for s in SIDES if (p := at(f"{s}_{part}")) is not None] for part in ("shoulder", "hip"))
    torso = float(np.linalg.norm(np.mean(shoulders, 0) - np.mean(hips, 0))) if shoulders and hips else 0.0
    out: list[Wrist | None] = []
    for side in SIDES:
        wrist, elbow = at(f"{side}_wrist"), at(f"{side}_elbow")
        if wrist is None or elbow is None:
            out.append(None)
            continue
        knuckles = [p for n in ("index", "little") if (p := at(f"{side}_{n}")) is not None]
        forearm = float(np.linalg.norm(wrist - elbow))
        palm = np.mean(knuckles, 0) - wrist if len(knuckles) == 2 else None
        reach = 0.0 if palm is None else float(np.linalg.norm(palm))
        length = max(TORSO * torso, FOREARM * forearm, KNUCKLES * reach)
        up = wrist - elbow + (0 if palm is None else palm)
        up = up / max(float(np.linalg.norm(up)), 1e-6)
        middle = wrist + (0.4 * length * up if palm is None else 0.8 * palm)
        out.append(Wrist(wrist, middle, length, float(score[columns[f"{side}_wrist"]]), up) if length > 1 else None)
    return out


def crop_matrix(wrist: Wrist) -> Array:
    """(2, 3) from the picture's pixels to those of a crop round a hand, turned so that the forearm points up.

    Pixels have their origin at the corner of the first one."""
    scale = CROP / (WIDE * wrist.length)
    turn = scale * np.array([[-wrist.up[1], wrist.up[0]], [-wrist.up[0], -wrist.up[1]]])
    return np.concatenate([turn, (CROP / 2 - turn @ wrist.middle)[:, None]], -1)


def cut(rgb: NDArray[np.uint8], matrix: Array) -> NDArray[np.uint8]:
    """(CROP, CROP, 3) of a picture; black beyond it. Large hands are shrunk without aliasing."""
    scale = float(np.linalg.norm(matrix[:, 0]))
    middle = matrix.copy()
    # OpenCV counts from the middle of the first pixel.
    middle[:, 2] += 0.5 * (matrix[:, 0] + matrix[:, 1]) - 0.5
    if scale < 0.5:
        half = int(np.floor(0.5 / scale)) * 2
        large = middle * half
        large[:, 2] += 0.5 * (half - 1)
        side = CROP * half
        return cv2.resize(cv2.warpAffine(rgb, large, (side, side)), (CROP, CROP), interpolation=cv2.INTER_AREA).astype(
            np.uint8
        )
    return cv2.warpAffine(rgb, middle, (CROP, CROP), flags=cv2.INTER_LINEAR).astype(np.uint8)


def from_crop(points: NDArray[np.floating[Any]], matrix: Array) -> Array:
    """(..., 2) pixels of a crop back to those of the picture."""
    return (np.asarray(points, np.float64) - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def turn_back(world: NDArray[np.floating[Any]], matrix: Array) -> Array:
    """(..., 3) points in the axes of a crop to those of the camera."""
    turn = matrix[:, :2] / np.linalg.norm(matrix[:, 0])
    out = np.array(world, np.float64)
    out[..., :2] = out[..., :2] @ turn
    return out


@dataclass
class _Followed:
    """Somebody whose hands are followed: networks of the left and the right one, and where they were last.

    lost: what a network follows is not this hand; follows: whether it follows anything; None before its first picture.
    """

    networks: tuple[Any, Any]
    time: float = -np.inf
    place: Array = field(default_factory=lambda: np.zeros((2, 2)))
    size: float = 1.0
    lost: list[bool] = field(default_factory=lambda: [True, True])
    follows: list[bool | None] = field(default_factory=lambda: [None, None])


class HandFinder:
    """MediaPipe's hand landmarker, in video mode, one for each hand that is followed.

    Following a hand costs little more than half of finding it anew in every frame, and loses none
    (benchmarks/hands.md): it is one run of the network of points. Threads do not help, as MediaPipe makes one call at a
    time in a process. Crops move with the hand, so that what is followed stands nearly still.
    """

    def __init__(self, smallest: float = SMALLEST, progress: Progress | None = None) -> None:
        """Start MediaPipe; the first use fetches its models.

        Args:
            smallest: hands that are shorter, in pixels, are left out.
            progress: told of the download.
        Raises:
            MotionliftError: MediaPipe or its models are missing or broken.
        """
        mediapipe, self._vision = import_mediapipe()
        self._smallest, self._path = smallest, str(hand_model(progress))
        self._image, self._format = mediapipe.Image, mediapipe.ImageFormat.SRGB
        self._people: list[_Followed] = []
        self._stamp = 0

    def find(self, rgb: NDArray[np.uint8], time: float, people: Sequence[Sequence[Wrist | None]]) -> list[SeenHands]:
        """The hands of everybody in one frame. Frames come in the order of time."""
        self._stamp += 1
        out = [no_hands() for _ in people]
        for wanted, hands in zip(people, out, strict=True):
            hands.size[:] = [np.nan if w is None else w.length for w in wanted]
        taken: list[int] = []
        found: list[tuple[int, int, float]] = []
        for i, wanted in enumerate(people):
            looked_at = [w is not None and w.score >= FAINT and w.length >= self._smallest for w in wanted]
            if not any(looked_at):
                continue
            number = self._who(wanted, time, taken)
            if number is None:
                continue
            taken.append(number)
            person = self._people[number]
            for side, wrist in enumerate(wanted):
                if wrist is None or not looked_at[side]:
                    person.lost[side] = True
                    continue
                off = self._find(rgb, person, side, wrist, out[i])
                if off is not None:
                    found.append((i, side, off))
        _without_doubles(out, people, found)
        return out

    def _who(self, wanted: Sequence[Wrist | None], time: float, taken: list[int]) -> int | None:
        """Number of whoever is followed and was nearest; somebody new takes a free place, or the longest unseen."""
        place = np.array([np.full(2, np.nan) if w is None else w.at for w in wanted])
        size = max(w.length for w in wanted if w is not None)
        best, least = None, 2.0
        for number, person in enumerate(self._people):
            if number in taken or time - person.time > LOST_SECONDS:
                continue
            off = np.linalg.norm(place - person.place, axis=-1)
            away = float(np.nanmin(off)) / size if np.isfinite(off).any() else np.inf
            if away < least:
                best, least = number, away
        if best is None:
            free = [n for n, p in enumerate(self._people) if n not in taken and time - p.time > LOST_SECONDS]
            if free:
                best = min(free, key=lambda n: self._people[n].time)
                self._people[best].lost[:] = [True, True]
            elif len(self._people) < FOLLOWED:
                self._people.append(_Followed((self._start(), self._start())))
                best = len(self._people) - 1
            else:
                return None
        person = self._people[best]
        person.time, person.size = time, size
        person.place = np.where(np.isfinite(place), place, person.place)
        return best

    def _start(self) -> Any:
        base: Any = __import__("mediapipe.tasks.python.core.base_options", fromlist=["BaseOptions"])
        options = self._vision.HandLandmarkerOptions(
            base_options=base.BaseOptions(model_asset_path=self._path),
            running_mode=self._vision.RunningMode.VIDEO,
            num_hands=1,
            min_hand_detection_confidence=0.3,
            min_hand_presence_confidence=0.5,
            min_tracking_confidence=0.5,
        )
        with quiet():
            return self._vision.HandLandmarker.create_from_options(options)

    def _find(
        self, rgb: NDArray[np.uint8], person: _Followed, side: int, wrist: Wrist, hands: SeenHands
    ) -> float | None:
        """Look at one hand. Returns how many hand lengths its wrist lies off the body's; None where none is."""
        matrix = crop_matrix(wrist)
        # A picture with nothing in it ends the following of what was not the hand, or of the hand of somebody else.
        if person.lost[side] and person.follows[side]:
            self._look(person, side, np.zeros((CROP, CROP, 3), np.uint8))
            self._stamp += 1
        person.lost[side] = False
        result = self._look(person, side, cut(rgb, matrix))
        if not result.hand_landmarks:
            return None
        points = np.array([(p.x, p.y) for p in result.hand_landmarks[0]], np.float64) * CROP
        world = np.array([(p.x, p.y, p.z) for p in result.hand_world_landmarks[0]], np.float64)
        xy = from_crop(points, matrix)
        off = float(np.linalg.norm(xy[0] - wrist.at)) / wrist.length
        if off > OFF:
            person.lost[side] = True
            return None
        said = result.handedness[0][0]
        right_side = said.category_name == ("Left", "Right")[side]
        height, width = rgb.shape[:2]
        inside = ((xy >= 0) & (xy < [width, height])).all(-1)
        score = float(said.score) * (1.0 if right_side else DOUBTED)
        hands.xy[side], hands.score[side] = xy, np.where(inside, score, 0.3 * score)
        # The back of a left hand looks like the palm of a right one: taken for the other side it has its picture right
        # and its depth reversed.
        world = (world - world[0]) * [1, 1, 1 if right_side else -1]
        hands.world[side] = turn_back(world, matrix)
        return off

    def _look(self, person: _Followed, side: int, crop: NDArray[np.uint8]) -> Any:
        picture = self._image(image_format=self._format, data=np.ascontiguousarray(crop))
        # A network's threads complain when they start, with its first picture.
        with quiet() if person.follows[side] is None else contextlib.nullcontext():
            result = person.networks[side].detect_for_video(picture, self._stamp)
        person.follows[side] = bool(result.hand_landmarks)
        return result

    def close(self) -> None:
        for person in self._people:
            for network in person.networks:
                network.close()
        self._people = []


def _without_doubles(
    out: list[SeenHands], people: Sequence[Sequence[Wrist | None]], found: list[tuple[int, int, float]]
) -> None:
    """Of one hand that was found from two wrists, keep the one whose side and wrist fit better."""
    for a, (i, s, off) in enumerate(found):
        for j, t, other in found[a + 1 :]:
            first, second = people[i][s], people[j][t]
            assert first is not None and second is not None
            apart = np.linalg.norm(out[i].xy[s] - out[j].xy[t], axis=-1).mean()
            if not apart < SAME * max(first.length, second.length):
                continue
            mine, theirs = out[i].score[s].mean() - off, out[j].score[t].mean() - other
            person, side = (j, t) if mine >= theirs else (i, s)
            out[person].xy[side], out[person].score[side], out[person].world[side] = np.nan, 0, np.nan


def hand_columns(layout: str) -> tuple[NDArray[np.intp], dict[str, int]] | None:
    """(2, 21) numbers of a whole-body layout's hand keypoints, and the body's; None where it has no hands."""
    names = layout_keypoints(layout)
    body_names = {"thumb_2": "thumb", "index_1": "index", "little_1": "little", "root": "hand_root"}
    wanted = [[f"{s}_{body_names.get(p, p)}" for p in POINTS] for s in SIDES]
    columns = body_columns(layout)
    if columns is None or not all(n in names for side in wanted for n in side):
        return None
    return np.array([[names.index(n) for n in side] for side in wanted]), columns


def own_hands(body: Detection, columns: NDArray[np.intp], about: dict[str, int]) -> SeenHands:
    """The hands among the keypoints of a whole body: without `world`, which lifting adds."""
    size = [np.nan if w is None else w.length for w in wrists(body, about)]
    return replace(no_hands(), xy=body.xy[columns], score=body.score[columns], size=np.array(size, np.float32))
