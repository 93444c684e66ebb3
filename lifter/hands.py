"""Hands: from 21 points each to how fingers are bent and spread, and to rotations of finger bones.

A hand is measured in its own palm, so that nothing of it depends on where the body is believed to hold it. All shapes
here are of a left hand in the T-pose of skeletons/body.toml (palm down, fingers to +X, thumb towards -Y), from the
wrist, in metres, for a person of 1.70 m. Right hands are mirrored, x to -x, and have the same angles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .rotation import continuous, matrix_to_quat, normalize, quat_to_matrix, svd
from .smooth import outliers, runs, spline

if TYPE_CHECKING:
    from .skeleton import Skeleton

Array = NDArray[np.float64]

SIDES = ("l", "r")
FINGERS = ("thumb", "index", "middle", "ring", "little")
POINTS = ("root", *(f"{f}_{n}" for f in FINGERS for n in ("1", "2", "3", "tip")))
"""The 21 points, in the order of common detectors. The thumb's first lies near the wrist, others' at the knuckle."""
ANGLES = ("spread", "bend_1", "bend_2", "bend_3")
"""Of each finger, radians: towards the thumb's side; and of its joints from the hand outwards, towards the palm. Of the
thumb, `spread` is away from the palm's middle."""

_KNUCKLES = {
    "thumb": (0.020, -0.022, -0.008),
    "index": (0.092, -0.028, -0.002),
    "middle": (0.094, -0.008, 0.001),
    "ring": (0.087, 0.013, 0.000),
    "little": (0.077, 0.034, -0.002),
}
_LENGTHS = {
    "thumb": (0.046, 0.031, 0.027),
    "index": (0.042, 0.025, 0.021),
    "middle": (0.046, 0.029, 0.023),
    "ring": (0.042, 0.027, 0.022),
    "little": (0.033, 0.020, 0.019),
}
_FAN = {"index": 6.0, "middle": 1.0, "ring": -5.0, "little": -12.0}
"""Degrees towards the thumb by which fingers fan out that are not spread."""
_THUMB = (0.62, -0.75, -0.20), (0.65, 0.45, -0.60)
"""Where a thumb at rest points, and about where its tip goes when it bends."""

LIMITS = {
    "thumb": ((-35, 45), (-35, 50), (-20, 75), (-25, 95)),
    "finger": ((-25, 25), (-35, 100), (-10, 120), (-10, 90)),
}
"""Degrees that each angle may have: what hands can do and a little more."""
RELAXED = {
    "thumb": (0, 5, 10, 15),
    "index": (0, 14, 22, 12),
    "middle": (0, 18, 26, 14),
    "ring": (0, 22, 29, 16),
    "little": (0, 25, 30, 18),
}
"""Degrees of a hand that hangs or rests, which is what hands do while they are not seen. The fingers' are those of
blender_addon/retarget/fingers.py."""

SMALLEST = 24.0
"""Pixels that a hand must be long, from the wrist to the fingertips, to be looked at: smaller ones are found more and
more seldom, two thirds of them at 20 and a quarter at 12 (benchmarks/hands.md)."""
SURE = 0.3
"""A hand with a lower score, the mean of its points, counts as unseen."""
BRIDGE_SECONDS = 0.4
"""A hand unseen for no longer moves on from where it was seen to where it is seen again."""
FADE_SECONDS = 0.3
"""A hand unseen for longer relaxes, and comes back, within this time."""
OFTEN = 0.3
"""Of a hand that is seen in a smaller part of the frames, the user is told."""
SHORTEST_SECONDS = 0.12
"""A hand seen for less, between two such pauses, is taken for a mistake."""


@dataclass(frozen=True)
class SeenHands:
    """What was found of both hands, left first, in one frame or, with a first axis T, in many.

    Attributes:
        xy: (..., 2, 21, 2) pixels, NaN where missing; score: (..., 2, 21) 0..1, 0 where missing.
        world: (..., 2, 21, 3) metres in camera axes from the wrist, NaN where there is none.
        size: (..., 2) how long the hand is in the picture, pixels, by the body; NaN where the body does not show it.
    """

    xy: NDArray[np.float32]
    score: NDArray[np.float32]
    world: NDArray[np.float32]
    size: NDArray[np.float32]

    def at(self, frames: int | slice | NDArray[Any]) -> SeenHands:
        """Those of some of many frames."""
        return SeenHands(self.xy[frames], self.score[frames], self.world[frames], self.size[frames])

    def exchanged(self, where: NDArray[np.bool_]) -> SeenHands:
        """With left and right exchanged in some of T frames."""

        def other(x: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.where(where.reshape(-1, *[1] * (x.ndim - 1)), x[:, ::-1], x)

        return SeenHands(other(self.xy), other(self.score), other(self.world), other(self.size))


@dataclass(frozen=True)
class Hands:
    """Both hands of a person through T frames, left first.

    Attributes:
        keypoints, scores, world, size: what was found, as `SeenHands`.
        lifted, sigma: (T, 2, 5, 4) angles as they were lifted, frame by frame, and how far off each may be; NaN where
            no hand is seen.
        angles: (T, 2, 5, 4) solved angles of FINGERS, see ANGLES; of a relaxed hand where it is not seen.
        weight: (T, 2) how far these are of a hand that was seen: 1, or 0 where it is relaxed, or on the way.
        rotations: (T, 30, 4) of the bones of `hand_bones`, as those of a person's other bones.
        offsets: (40, 3) of the joints of `hand_joints`, from their parents, metres.
    """

    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    world: NDArray[np.float32]
    size: NDArray[np.float32]
    lifted: NDArray[np.float32]
    sigma: NDArray[np.float32]
    angles: NDArray[np.float32]
    weight: NDArray[np.float32]
    rotations: NDArray[np.float32]
    offsets: NDArray[np.float32]


def no_hands(*shape: int) -> SeenHands:
    """Nothing found, with these first axes."""
    return SeenHands(
        np.full((*shape, 2, 21, 2), np.nan, np.float32),
        np.zeros((*shape, 2, 21), np.float32),
        np.full((*shape, 2, 21, 3), np.nan, np.float32),
        np.full((*shape, 2), np.nan, np.float32),
    )


def stack_hands(each: Sequence[SeenHands]) -> SeenHands:
    """Those of single frames as those of many."""
    return SeenHands(
        np.stack([h.xy for h in each]),
        np.stack([h.score for h in each]),
        np.stack([h.world for h in each]),
        np.stack([h.size for h in each]),
    )


def unsolved_hands(seen: SeenHands, lifted: NDArray[np.float32], sigma: NDArray[np.float32]) -> Hands:
    """What was found and lifted in T frames, with empty solved arrays."""
    count = len(seen.score)
    return Hands(
        seen.xy,
        seen.score,
        seen.world,
        seen.size,
        lifted,
        sigma,
        np.broadcast_to(AT_REST, (count, 2, 5, 4)).astype(np.float32),
        np.zeros((count, 2), np.float32),
        np.full((count, 30, 4), np.nan, np.float32),
        np.zeros((40, 3), np.float32),
    )


def hand_joints() -> list[dict[str, str]]:
    """Names and parents of the 40 joints of fingers, those of the left hand first."""
    out: list[dict[str, str]] = []
    for side in SIDES:
        for finger in FINGERS:
            parent = f"{side}_wrist"
            for part in ("1", "2", "3", "tip"):
                out.append({"name": f"{side}_{finger}_{part}", "parent": parent})
                parent = out[-1]["name"]
    return out


def hand_bones() -> list[dict[str, str]]:
    """Names, parents and joints of the 30 finger bones, in the order of `Hands.rotations`."""
    out: list[dict[str, str]] = []
    for side in SIDES:
        for finger in FINGERS:
            parent = f"{side}_hand"
            for part, end in (("1", "2"), ("2", "3"), ("3", "tip")):
                name = f"{side}_{finger}_{part}"
                out.append({"name": name, "parent": parent, "head": name, "tail": f"{side}_{finger}_{end}"})
                parent = name
    return out


def _frames() -> Array:
    """(5, 3, 3) of each finger at rest, as columns: along it, towards the thumb's side, and where it bends to."""
    out = np.zeros((5, 3, 3))
    for i, finger in enumerate(FINGERS):
        if finger == "thumb":
            along, palm = normalize(np.array(_THUMB[0])), np.array(_THUMB[1])
        else:
            fan = np.radians(_FAN[finger])
            along, palm = np.array([np.cos(fan), -np.sin(fan), 0.0]), np.array([0.0, 0.0, -1.0])
        palm = normalize(palm - (palm @ along) * along)
        out[i] = np.stack([along, np.cross(palm, along), palm], -1)
    return out


FRAMES = _frames()
KNUCKLES: Array = np.array([_KNUCKLES[f] for f in FINGERS])
LENGTHS: Array = np.array([_LENGTHS[f] for f in FINGERS])
LOWEST, HIGHEST = (
    np.radians([[limit[k] for limit in LIMITS["thumb" if f == "thumb" else "finger"]] for f in FINGERS]) for k in (0, 1)
)
AT_REST: Array = np.radians([RELAXED[f] for f in FINGERS])


def _bend(angle: Array) -> Array:
    """(..., 3, 3) in a finger's own frame: along it towards the palm."""
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([np.stack([c, zero, -s], -1), np.stack([zero, one, zero], -1), np.stack([s, zero, c], -1)], -2)


def _spread(angle: Array) -> Array:
    """(..., 3, 3) in a finger's own frame: along it towards the side."""
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([np.stack([c, -s, zero], -1), np.stack([s, c, zero], -1), np.stack([zero, zero, one], -1)], -2)


def finger_turns(angles: NDArray[np.floating[Any]]) -> Array:
    """(..., 5, 4) angles to (..., 5, 3, 3, 3): how bones turn against the hand, in the T-pose's axes."""
    angles = np.asarray(angles, np.float64)
    first = _bend(angles[..., 1]) @ _spread(angles[..., 0])
    second = first @ _bend(angles[..., 2])
    third = second @ _bend(angles[..., 3])
    own = np.stack([first, second, third], -3)
    frames = FRAMES[:, None]
    return frames @ own @ np.swapaxes(frames, -1, -2)


def hand_shape(angles: NDArray[np.floating[Any]], knuckles: Array = KNUCKLES, lengths: Array = LENGTHS) -> Array:
    """(..., 5, 4) angles to (..., 21, 3) points of a left hand in the T-pose, from the wrist, metres.

    knuckles: (5, 3) where fingers begin; lengths: (5, 3) of their bones; those of an ordinary hand.
    """
    turns = finger_turns(angles)
    along = turns @ FRAMES[:, None, :, 0, None]
    steps = along[..., 0] * lengths[..., None]
    start = np.broadcast_to(knuckles[..., None, :], (*steps.shape[:-2], 1, 3))
    fingers = np.concatenate([start, start + np.cumsum(steps, -2)], -2)
    fingers = fingers.reshape(*fingers.shape[:-3], 20, 3)
    return np.concatenate([np.zeros((*fingers.shape[:-2], 1, 3)), fingers], -2)


PALM = (0, 5, 9, 13, 17)
"""Points that keep their places to one another: wrist and knuckles."""


def palm_rotation(points: NDArray[np.floating[Any]]) -> Array:
    """(..., 21, 3) points of a left hand to (..., 3, 3): the rotation that takes the T-pose's palm to theirs (Kabsch,
    1976). Sizes do not matter."""
    at = np.asarray(points, np.float64)[..., PALM, :]
    own = hand_shape(np.zeros((5, 4)))[list(PALM)]
    at, own = at - at.mean(-2, keepdims=True), own - own.mean(-2)
    u, _, v = svd(np.swapaxes(at, -1, -2) @ own)
    flip = np.ones((*u.shape[:-2], 3))
    flip[..., 2] = np.sign(np.linalg.det(u @ v))
    return (u * flip[..., None, :]) @ v


def measure_angles(points: NDArray[np.floating[Any]]) -> Array:
    """(..., 21, 3) points of a left hand, however it is turned and large, to (..., 5, 4) angles, not yet limited.

    Bends are of one bone against the one before, about the finger's own hinge; what lies beside that is noise.
    """
    points = np.asarray(points, np.float64)
    palm = palm_rotation(points)
    fingers = points[..., 1:, :].reshape(*points.shape[:-2], 5, 4, 3)
    along = normalize(np.diff(fingers, axis=-2))
    along = np.swapaxes(palm, -1, -2)[..., None, None, :, :] @ along[..., None]
    own = (np.swapaxes(FRAMES, -1, -2)[:, None] @ along)[..., 0]  # (..., 5, 3 bones, 3)
    out = np.zeros((*own.shape[:-2], 4))
    out[..., 0] = np.arcsin(np.clip(own[..., 0, 1], -1, 1))
    out[..., 1] = np.arctan2(own[..., 0, 2], own[..., 0, 0])
    turn = _bend(out[..., 1]) @ _spread(out[..., 0])
    for bone in (1, 2):
        local = (np.swapaxes(turn, -1, -2) @ own[..., bone, :, None])[..., 0]
        out[..., bone + 1] = np.arctan2(local[..., 2], local[..., 0])
        turn = turn @ _bend(out[..., bone + 1])
    return out


def limited(angles: NDArray[np.floating[Any]]) -> Array:
    """(..., 5, 4) angles within what hands can do. A bent finger spreads less: fists have none."""
    out = np.clip(np.asarray(angles, np.float64), LOWEST, HIGHEST)
    free = np.clip(np.cos(out[..., 1:, 1]), 0.2, 1)
    out[..., 1:, 0] = np.clip(out[..., 1:, 0], LOWEST[1:, 0] * free, HIGHEST[1:, 0] * free)
    return out


def solve_fingers(
    lifted: NDArray[np.floating[Any]],
    sigma: NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]],
    fps: float,
    strength: float,
) -> tuple[Array, Array]:
    """Angles of both hands through T frames, (T, 2, 5, 4), smooth, within limits; and their weight (T, 2).

    Where a hand is not seen it is relaxed, and gets there and back in FADE_SECONDS; see `Hands`.

    Args:
        lifted, sigma: (T, 2, 5, 4) as `Hands` has them; scores: (T, 2, 21).
        strength: of the smoothing, 0..1.
    """
    count = len(scores)
    angles, weight = np.broadcast_to(AT_REST, (count, 2, 5, 4)).copy(), np.zeros((count, 2))
    for side in range(2):
        score = scores[:, side].mean(-1).astype(np.float64)
        usable = (score >= SURE) & np.isfinite(lifted[:, side]).all((-1, -2))
        usable = _believable(usable, fps)
        if not usable.any():
            continue
        at = np.flatnonzero(usable)
        off = sigma[at, side].astype(np.float64).mean((-1, -2)) / np.maximum(score[at], 0.1)
        held, sure = _through(limited(lifted[at, side]), off, at, count, fps)
        smooth = spline(held, sure, fps, strength).reshape(count, 5, 4)
        weight[:, side] = _fade(usable, fps)
        share = weight[:, side, None, None]
        angles[:, side] = limited(smooth) * share + AT_REST * (1 - share)
    return angles, weight


def _believable(usable: NDArray[np.bool_], fps: float) -> NDArray[np.bool_]:
    """Without what is seen for a moment only, between long pauses."""
    bridged = usable.copy()
    for start, stop in runs(~usable):
        if start > 0 and stop < len(usable) and stop - start <= BRIDGE_SECONDS * fps:
            bridged[start:stop] = True
    out = usable.copy()
    for start, stop in runs(bridged):
        if usable[start:stop].sum() < max(2, SHORTEST_SECONDS * fps):
            out[start:stop] = False
    return out


def _through(found: Array, sigma: Array, at: NDArray[np.intp], count: int, fps: float) -> tuple[Array, Array]:
    """Angles (N, 5, 4) of frames `at` to all `count` frames, (count, 20), linear between them, and how sure each is.

    Frames in which a hand jumped and came back are left out.
    """
    flat = found.reshape(len(found), 20)
    if len(at) > 4:
        strange = outliers(flat, sigma, fps)
        if not strange.all():
            flat, sigma, at = flat[~strange], sigma[~strange], at[~strange]
    frames = np.arange(count)
    held = np.stack([np.interp(frames, at, flat[:, k]) for k in range(20)], -1)
    return held, np.interp(frames, at, sigma) * (1 + 2 * np.minimum(_distance(frames, at), 10))


def _distance(frames: NDArray[np.intp], at: NDArray[np.intp]) -> NDArray[np.intp]:
    """(T,) frames to the nearest of those `at`."""
    place = np.searchsorted(at, frames)[:, None] + [-1, 0]
    return np.abs(frames[:, None] - at[np.clip(place, 0, len(at) - 1)]).min(-1)


def _fade(usable: NDArray[np.bool_], fps: float) -> Array:
    """(T,) weight of what was seen: 1 there and over short gaps, fading out into longer ones like a cosine."""
    shown = usable.copy()
    for start, stop in runs(~usable):
        if start > 0 and stop < len(usable) and stop - start <= BRIDGE_SECONDS * fps:
            shown[start:stop] = True
    at, frames = np.flatnonzero(shown), np.arange(len(shown))
    part = np.clip(1 - _distance(frames, at) / max(1.0, FADE_SECONDS * fps), 0, 1)
    return 0.5 - 0.5 * np.cos(np.pi * part)


def solve_hands(
    hands: Hands,
    rotations: NDArray[np.floating[Any]],
    offsets: NDArray[np.floating[Any]],
    skeleton: Skeleton,
    fps: float,
    strength: float,
) -> Hands:
    """Angles, and rotations of the finger bones on a person's solved hands.

    Args:
        rotations: (T, B, 4) of the skeleton's bones, NaN in gaps; offsets: (J, 3) the person's own.
        strength: of the smoothing, 0..1.
    Returns:
        The hands with the solved arrays; unchanged where the skeleton has no hand bones.
    """
    if not has_hands(skeleton):
        return hands
    angles, weight = solve_fingers(hands.lifted, hands.sigma, hands.scores, fps, strength)
    turns = finger_turns(angles)  # (T, 2, 5, 3, 3, 3)
    names = [b.name for b in skeleton.bones]
    out = np.zeros((len(angles), 2, 15, 4))
    at = np.zeros((2, 5, 4, 3))
    straight = hand_shape(np.zeros((5, 4)))[1:].reshape(5, 4, 3)
    for side, letter in enumerate(SIDES):
        local = turns[:, side].reshape(len(angles), 15, 3, 3)
        mirror = np.diag([1.0 if side == 0 else -1.0, 1.0, 1.0])
        local = mirror @ local @ mirror
        hand = quat_to_matrix(rotations[:, names.index(f"{letter}_hand")].astype(np.float64))
        out[:, side] = matrix_to_quat(hand[:, None] @ local)
        own = np.linalg.norm(offsets[skeleton.joint(f"{letter}_index")]) / np.linalg.norm(KNUCKLES[1])
        steps = np.concatenate([straight[:, :1], np.diff(straight, axis=1)], 1)
        at[side] = (steps * own) @ mirror
    turned = out.reshape(len(angles), 30, 4)
    shown = np.isfinite(turned).all((-1, -2))
    turned[shown] = continuous(turned[shown])
    return replace(
        hands,
        angles=angles.astype(np.float32),
        weight=weight.astype(np.float32),
        rotations=turned.astype(np.float32),
        offsets=at.reshape(40, 3).astype(np.float32),
    )


def finger_joints(hands: Hands, turns: NDArray[np.floating[Any]]) -> Array:
    """(T, 2, 20, 3) solved joints of the fingers from the wrist, in the order of `hand_joints`, metres in scene axes;
    NaN where fingers are not solved.

    turns: (T, 2, 4) rotations of the hands' own bones.
    """
    count = len(hands.rotations)
    bones = quat_to_matrix(hands.rotations).reshape(count, 2, 5, 3, 3, 3)
    carriers = np.concatenate(
        [np.broadcast_to(quat_to_matrix(turns)[:, :, None, None], bones[:, :, :, :1].shape), bones], 3
    )
    steps = carriers @ hands.offsets.astype(np.float64).reshape(2, 5, 4, 3, 1)
    return np.cumsum(steps[..., 0], 3).reshape(count, 2, 20, 3)


def has_hands(skeleton: Skeleton) -> bool:
    """Whether fingers can be put on a skeleton: it has both hands, and their knuckles."""
    bones, joints = [b.name for b in skeleton.bones], skeleton.joint_names
    return all(f"{s}_hand" in bones and f"{s}_wrist" in joints and f"{s}_index" in joints for s in SIDES)


def hand_warnings(people: Sequence[Any], choice: str) -> list[str]:
    """Why fingers are missing, for each hand of some tracks or people where they are, in words.

    people: with `hands`, of what was seen or solved, or None.
    """
    out: list[str] = []
    for number, person in enumerate(people, 1):
        hands: SeenHands | Hands | None = person.hands
        if hands is None or choice == "off":
            continue
        score = hands.score if isinstance(hands, SeenHands) else hands.scores
        for side, name in enumerate(("left", "right")):
            who = f"{name.capitalize()} hand" if len(people) == 1 else f"Person {number}, {name} hand"
            # Frames that no detector looked at have no size.
            looked_at = np.isfinite(hands.size[:, side])
            sizes: NDArray[np.float32] = hands.size[looked_at, side]
            usual = float(np.median(sizes)) if len(sizes) else 0.0
            share = float((score[looked_at, side].mean(-1) >= SURE).mean()) if looked_at.any() else 0.0
            if share >= OFTEN:
                continue
            if not usual:
                out.append(f"{who}: the body does not show where it is; its fingers are relaxed")
            elif usual < SMALLEST:
                out.append(f"{who}: {usual:.0f} px long in most frames; hands need about {SMALLEST:.0f} px")
            else:
                out.append(f"{who}: found in {share:.0%} of the frames; its fingers are relaxed in the others")
    return out
