"""Feet that stand are locked to the floor in the rig's own proportions: heel strike, flat, roll over the ball.

Sliding feet come from changed proportions: that is why this is done after retargeting, whatever the capture did.
Arrays are in armature space, time first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .body import HINGE, Body, Foot
from .mapping import Mapping
from .motion import Motion
from .pose import Pose
from .rig import RigSpec
from .rotations import IDENTITY, Array, about, cross, inverse, multiply, rotate, slerp, swing, unit
from .slots import SIDES

ON, OFF = 0.6, 0.4
"""A contact begins above the first probability and ends below the second."""

SHORTEST = 0.1
"""Contacts and breaks shorter than this, in seconds, are noise."""

RELEASE = 0.25
"""Seconds over which a foot finds back to its free path before and after it is held."""

REACH = 0.9985
"""Part of the straight leg's length that a held foot may be away: a last bend keeps knees from snapping."""

EASY = 0.97
"""Part of that up to which a leg may be stretched to put its foot where it should be without giving way."""

TOE_LIMIT = np.radians(60)
"""Toes bend no further than this."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Lock:
    """turns: changed turns by bone index; drop: (N, 3) what the pelvis is moved by; contact: (N, 2) foot held."""

    turns: dict[int, Array]
    drop: Array
    contact: Flags
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Leg:
    """Bones of a leg that can be solved: indices, lengths of thigh and shin, axis of the knee at rest."""

    thigh: tuple[int, ...]
    shin: tuple[int, ...]
    foot: tuple[int, ...]
    toe: tuple[int, ...]
    twists: tuple[int, ...]
    lower_twists: tuple[int, ...]
    hinge: Array
    points: Foot


def lock_feet(
    motion: Motion, rig: RigSpec, mapping: Mapping, body: Body, turns: dict[int, Array], pelvis_head: Array
) -> Lock:
    """turns: (N, 4) of driven bones; pelvis_head: (N, 3). A rig without feet comes back as it was, with a warning."""
    count = len(pelvis_head)
    none = Lock({}, np.zeros((count, 3)), np.zeros((count, 2), bool))
    legs = {s: leg for s in SIDES if (leg := _leg(rig, mapping, body, s))}
    if not legs:
        return replace(none, warnings=("The rig has no mapped legs with feet: none are locked to the floor.",))
    if not np.isfinite(motion.contact).all():
        return replace(none, warnings=("The take does not say when feet touch the ground: none are locked.",))
    pelvis = rig.index(mapping.bones["pelvis"][0])
    pose = Pose(rig, turns)
    pose.moved[pelvis] = pelvis_head - pose.unmoved(pelvis)
    wanted: dict[str, tuple[Array, Array, Array, Flags]] = {}
    for side, leg in legs.items():
        heel, toe = (contacts(motion.contact[:, 2 * SIDES.index(side) + i], motion) for i in (0, 1))
        ankle = pose.head(leg.foot[0])
        wanted[side] = plant(ankle, turns[leg.foot[0]], heel, toe, leg.points, body, motion)
    drop = _drop(legs, wanted, pose, body, motion)
    changed: dict[int, Array] = {}
    held = np.zeros((count, 2), bool)
    for side, leg in legs.items():
        ankle, foot, toes, on = wanted[side]
        held[:, SIDES.index(side)] = on
        changed |= _reach(leg, pose, turns, _within(leg, pose, ankle, drop, on, motion), drop)
        changed |= dict.fromkeys(leg.foot, foot) | dict.fromkeys(leg.toe, toes)
    return Lock(changed, drop, held)


def _leg(rig: RigSpec, mapping: Mapping, body: Body, side: str) -> _Leg | None:
    bones = {
        p: mapping.bones.get(f"{side}_{p}", ()) for p in ("thigh", "shin", "foot", "toe", "thigh_twist", "shin_twist")
    }
    if side not in body.feet or not bones["thigh"] or not bones["shin"]:
        return None
    found = {p: tuple(rig.index(b) for b in names) for p, names in bones.items()}
    return _Leg(
        found["thigh"],
        found["shin"],
        found["foot"],
        found["toe"],
        found["thigh_twist"],
        found["shin_twist"],
        rotate(body.rests[f"{side}_thigh"], HINGE["thigh"]),
        body.feet[side],
    )


def contacts(probability: Array, motion: Motion) -> Flags:
    """(N,) contact by hysteresis; what is shorter than SHORTEST joins what surrounds it."""
    out = np.zeros(len(probability), bool)
    shortest = max(1, round(SHORTEST * motion.fps))
    sure = (probability > ON) | (probability <= OFF)
    for run in motion.runs:
        # Between the thresholds a foot does what it did at the last frame that was sure.
        last = _last(sure[run])
        on = np.where(last >= 0, (probability[run] > ON)[last], False)
        for value in (False, True):  # first close short breaks, then drop short contacts
            for a, b in _runs(on == value):
                inside = a > 0 and b < len(on)
                if b - a < shortest and (inside or value):
                    on[a:b] = not value
        out[run] = on
    return out


def _runs(flags: Flags) -> list[tuple[int, int]]:
    """Beginnings and ends of stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def plant(
    ankle: Array, turn: Array, heel: Flags, toe: Flags, foot: Foot, body: Body, motion: Motion
) -> tuple[Array, Array, Array, Flags]:
    """(N, 3) ankle, (N, 4) turn of the foot, (N, 4) turn of the toes and (N,) held, from the free foot's.

    While heel and ball both stand, the foot lies flat and still; with only one of them it turns about that. Before
    and after, the difference to the free foot fades over RELEASE or, in a short swing, into the next stance's.
    """
    up, sole = body.up, foot.ball - foot.heel
    held = heel | toe
    stance = _stances(held, motion)
    flat = _flat(heel, toe, stance)
    direction = _mean(_level(rotate(turn, sole), up), flat, stance)
    fixes = _fade(multiply(swing(_level(sole, up), direction)[stance], inverse(turn)), flat, stance, motion.fps)
    kept = _none_below(multiply(fixes, turn), sole, up, heel & ~flat, toe & ~flat)
    fixes = np.where(held[:, None], multiply(kept, inverse(turn)), IDENTITY)
    offsets = _pinned(kept, ankle, toe | flat, flat, stance, foot, body) - ankle
    fixes, offsets = _release(fixes, offsets * held[:, None], held, motion)
    turned, moved = multiply(fixes, turn), ankle + offsets
    # A swinging foot that is still below the floor is lifted.
    points = [foot.heel, foot.ball, *([foot.tip] if foot.tip is not None else [])]
    under = [min(body.floor, float(p @ up)) - (moved + rotate(turned, p - foot.ankle)) @ up for p in points]
    moved = moved + (np.clip(np.max(under, 0), 0, None) * ~held)[:, None] * up
    return moved, turned, _toes(turned, toe, sole, up, motion), held


def _stances(held: Flags, motion: Motion) -> NDArray[np.intp]:
    """(N,) number of the stance that each frame belongs to; 0 in the air."""
    begins = held & ~np.concatenate([[False], held[:-1]])
    for run in motion.runs:
        begins[run.start] = held[run.start]
    return np.where(held, np.cumsum(begins), 0)


def _last(flags: Flags) -> NDArray[np.intp]:
    """(N,) index of the last True up to each frame, -1 before the first."""
    return np.maximum.accumulate(np.where(flags, np.arange(len(flags)), -1))


def _next(flags: Flags) -> NDArray[np.intp]:
    """(N,) index of the first True from each frame on, N after the last."""
    return len(flags) - 1 - _last(flags[::-1])[::-1]


def _mean(values: Array, chosen: Flags, stance: NDArray[np.intp]) -> Array:
    """(S, n) mean of the chosen frames of each stance; zero where there is none."""
    size = int(stance.max()) + 1
    count = np.bincount(stance[chosen], minlength=size)
    sums = [np.bincount(stance[chosen], values[chosen, i], size) for i in range(values.shape[1])]
    return np.stack(sums, -1) / np.maximum(count, 1)[:, None]


def _level(v: Array, up: Array) -> Array:
    """Directions along the floor, of length 1."""
    return unit(v - (v @ up)[..., None] * up)


def _flat(heel: Flags, toe: Flags, stance: NDArray[np.intp]) -> Flags:
    """Frames in which the whole sole stands; in a stance where heel hands over to toe at once, the frame between."""
    flat = heel & toe
    size = int(stance.max()) + 1
    rolls = np.bincount(stance, heel, size).astype(bool) & ~np.bincount(stance, flat, size).astype(bool)
    numbers, first = np.unique(stance[toe], return_index=True)
    flat[np.flatnonzero(toe)[first[rolls[numbers]]]] = True
    return flat


def _fade(fix: Array, flat: Flags, stance: NDArray[np.intp], fps: float) -> Array:
    """Corrections of flat frames kept, fading away from them in a stance; between two flat parts the nearer one's."""
    frames = np.arange(len(flat))
    before, after = _last(flat), _next(flat)

    def distance(other: NDArray[np.intp]) -> Array:
        inside = np.clip(other, 0, len(flat) - 1)
        return np.where((other == inside) & (stance[inside] == stance) & (stance > 0), np.abs(other - frames), np.inf)

    to_before, to_after = distance(before), distance(after)
    nearest = np.clip(np.where(to_before <= to_after, before, after), 0, len(flat) - 1)
    share = _ease(1 - np.minimum(to_before, to_after) / max(1.0, RELEASE * fps))
    return slerp(np.broadcast_to(IDENTITY, fix.shape), fix[nearest], share)


def _ease(x: Array) -> Array:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _none_below(turn: Array, sole: Array, up: Array, on_heel: Flags, on_ball: Flags) -> Array:
    """A foot on its heel does not dip its ball through the floor, nor one on its ball the heel."""
    direction = rotate(turn, sole)
    rise = direction @ up
    through = (on_heel & (rise < 0)) | (on_ball & (rise > 0))
    return np.where(through[:, None], multiply(swing(direction, _level(direction, up)), turn), turn)


def _pinned(
    turn: Array, ankle: Array, by_ball: Flags, flat: Flags, stance: NDArray[np.intp], foot: Foot, body: Body
) -> Array:
    """(N, 3) ankles that keep each stance's standing points where they are: the ball, or before it the heel."""
    at_heel, at_ball = (rotate(turn, p - foot.ankle) for p in (foot.heel, foot.ball))
    standing = np.where(by_ball[:, None], at_ball, at_heel)
    is_flat = np.bincount(stance, flat).astype(bool)
    ball = _mean(ankle + standing, flat | ~is_flat[stance], stance)
    ball += (body.floor - ball @ body.up)[:, None] * body.up
    # The heel strikes where it lies when the sole has come down.
    first = np.zeros(len(is_flat), np.intp)
    numbers, place = np.unique(stance[flat], return_index=True)
    first[numbers] = np.flatnonzero(flat)[place]
    strike = ball + is_flat[:, None] * (at_heel[first] - at_ball[first])
    return np.where(by_ball[:, None], ball[stance] - at_ball, strike[stance] - at_heel)


def _release(fixes: Array, offsets: Array, held: Flags, motion: Motion) -> tuple[Array, Array]:
    """Corrections faded out after a stance and in before the next, within each run of frames."""
    frames = np.arange(len(held))
    begin, end = np.zeros(len(held), np.intp), np.zeros(len(held), np.intp)
    for run in motion.runs:
        begin[run], end[run] = run.start, run.stop
    before, after = _last(held), _next(held)
    led = ~held & (before >= begin)
    leads = ~held & (after < end)
    size = np.minimum(after, end) - np.maximum(before, begin - 1) - 1
    reach = np.minimum(max(1.0, RELEASE * motion.fps), size + 1.0)
    for edge, there in ((before, led), (after, leads)):
        edge = np.where(there, edge, 0)
        share = np.where(there, _ease(1 - np.abs(frames - edge) / np.maximum(reach, 1)), 0.0)
        offsets = offsets + share[:, None] * offsets[edge]
        fade = slerp(np.broadcast_to(IDENTITY, fixes.shape), fixes[edge], share)
        fixes = np.where(there[:, None], multiply(fade, fixes), fixes)
    return fixes, offsets


def _toes(turn: Array, toe: Flags, sole: Array, up: Array, motion: Motion) -> Array:
    """Toes lie flat while the ball stands and the heel rises, and fade back to the foot's own turn."""
    direction = rotate(turn, sole)
    level = swing(direction, _level(direction, up))
    angle = 2 * np.arctan2(np.linalg.norm(level[:, 1:], axis=-1), np.abs(level[:, 0]))
    rising = direction @ up < 0
    share = np.where(rising, np.minimum(1.0, TOE_LIMIT / np.maximum(angle, 1e-9)), 0.0)
    for run in motion.runs:
        share[run] *= _ease(1 - _frames_to(toe[run]) / max(1.0, 0.1 * motion.fps))
    return multiply(slerp(np.broadcast_to(IDENTITY, level.shape), level, share), turn)


def _frames_to(flags: Flags) -> Array:
    """(n,) frames to the nearest True."""
    place = np.arange(len(flags), dtype=np.float64)
    before = np.maximum.accumulate(np.where(flags, place, -np.inf))
    after = np.minimum.accumulate(np.where(flags, place, np.inf)[::-1])[::-1]
    return np.minimum(place - before, after - place)


def _drop(
    legs: dict[str, _Leg], wanted: dict[str, tuple[Array, Array, Array, Flags]], pose: Pose, body: Body, motion: Motion
) -> Array:
    """(N, 3) how far the pelvis goes down so that legs reach their held feet, smoothly."""
    need = np.zeros(len(next(iter(wanted.values()))[0]))
    for side, leg in legs.items():
        ankle, _, _, on = wanted[side]
        hip = pose.head(leg.thigh[0])
        away = hip - ankle
        high = away @ body.up
        flat2 = (away**2).sum(-1) - high**2
        reach = _eased(np.linalg.norm(away, axis=-1), leg, pose)
        below = high - np.sqrt(np.clip(reach**2 - flat2, 0, None))
        need = np.maximum(need, np.where(on, np.clip(below, 0, None), 0))
    radius = max(1, round(0.1 * motion.fps))
    out = np.zeros(len(need))
    for run in motion.runs:
        out[run] = _envelope(need[run], radius)
    return -out[:, None] * body.up


def _eased(distance: Array, leg: _Leg, pose: Pose) -> Array:
    """(N,) how far an ankle that should be (N,) away from its hip may be: never straighter than REACH, and as the
    knee nears that it gives way ever more, unless the performer's own knee is as straight."""
    full = REACH * _length(leg, pose.rig)
    free = np.linalg.norm(pose.head(leg.foot[0]) - pose.head(leg.thigh[0]), axis=-1)
    start = np.clip(free, EASY * full, full * 0.9999)
    eased = full - (full - start) * np.exp(-np.clip(distance - start, 0, None) / (full - start))
    return np.where(distance > start, eased, distance)


def _envelope(values: Array, radius: int) -> Array:
    """A smooth curve that is nowhere below the values."""
    padded = np.pad(values, 2 * radius, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1)
    kernel = np.hanning(2 * radius + 3)[1:-1]
    return np.convolve(windows.max(-1), kernel / kernel.sum(), mode="valid")


def _length(leg: _Leg, rig: RigSpec) -> float:
    knee = rig.heads[leg.shin[0]]
    return float(np.linalg.norm(knee - rig.heads[leg.thigh[0]]) + np.linalg.norm(rig.heads[leg.foot[0]] - knee))


def _within(leg: _Leg, pose: Pose, ankle: Array, drop: Array, held: Flags, motion: Motion) -> Array:
    """(N, 3) ankles of which the free ones stay within the leg's length: a swing leg that cannot follow its foot to
    the next stance comes short of it rather than snap straight."""
    hip = pose.head(leg.thigh[0])
    wanted = ankle - hip - drop
    distance = np.linalg.norm(wanted, axis=-1)
    share = np.concatenate([_ease(_frames_to(held[run]) / max(1.0, 0.1 * motion.fps)) for run in motion.runs])
    hard = np.where(held, distance, np.minimum(distance, REACH * _length(leg, pose.rig)))
    size = hard + share * (_eased(distance, leg, pose) - hard)
    return hip + drop + wanted * (size / np.maximum(distance, 1e-12))[:, None]


def _reach(leg: _Leg, pose: Pose, turns: dict[int, Array], ankle: Array, drop: Array) -> dict[int, Array]:
    """Turn thigh and shin so that the ankle is reached: bend the knee about its own axis, then swing the whole leg."""
    rig = pose.rig
    hip = pose.head(leg.thigh[0]) + drop
    target = ankle - hip
    upper, lower = turns[leg.thigh[-1]], turns[leg.shin[0]]
    u = rotate(upper, rig.heads[leg.shin[0]] - rig.heads[leg.thigh[0]])
    v = rotate(lower, rig.heads[leg.foot[0]] - rig.heads[leg.shin[0]])
    n = rotate(upper, leg.hinge)
    un, vn = (u * n).sum(-1), (v * n).sum(-1)
    a, b = (u * v).sum(-1) - un * vn, (u * cross(n, v)).sum(-1)
    size = np.maximum(np.hypot(a, b), 1e-12)
    limit = (u**2).sum(-1) + (v**2).sum(-1) + 2 * un * vn
    distance2 = np.clip((target**2).sum(-1), None, limit + 2 * size * 0.999999)
    cosine = np.clip((distance2 - limit) / (2 * size), -1, 1)
    # Of the two ways to bend, the one in which the knee goes forwards.
    turn = np.arctan2(b, a) + np.arccos(cosine)
    bend = about(n, turn)
    whole = swing(u + rotate(bend, v), target)
    new_upper, new_lower = multiply(whole, upper), multiply(multiply(whole, bend), lower)
    out: dict[int, Array] = {}
    for bones, old, new in (
        (leg.thigh + leg.twists, upper, new_upper),
        (leg.shin + leg.lower_twists, lower, new_lower),
    ):
        change = multiply(new, inverse(old))
        out |= {bone: multiply(change, turns[bone]) for bone in bones if bone in turns}
    return out
