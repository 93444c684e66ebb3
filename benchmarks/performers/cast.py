"""The performers, what they do, and the cameras that film them: plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .motions import Choreography, Jump, Proportions, Rise, Step, Swing

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Performer:
    """A body. Colours are linear RGB; `girth` thickens every part without moving a joint."""

    proportions: Proportions
    girth: float
    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    long_hair: bool = False


@dataclass(frozen=True)
class CameraSetup:
    """A standing camera: position in metres, angles in degrees.

    At pan 0 it looks along +Y, positive pan turns it to its left; tilt is downwards; roll turns the camera
    clockwise as seen from behind it.
    """

    position: tuple[float, float, float]
    pan: float
    tilt: float
    roll: float
    horizontal_fov: float


@dataclass(frozen=True)
class Box:
    """A block that stands in the room, to sit on: centre and half sizes in metres, along the axes."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    colour: Colour


@dataclass(frozen=True)
class Shot:
    """One clip: who does what, seen by which camera."""

    performer: Performer
    choreography: Choreography
    camera: CameraSetup
    fps: int
    size: tuple[int, int]
    floor: Colour
    wall: Colour
    boxes: tuple[Box, ...] = ()


def aimed(
    position: tuple[float, float, float], target: tuple[float, float, float], horizontal_fov: float, roll: float = 0.0
) -> CameraSetup:
    """A camera that looks at a point."""
    x, y, z = (b - a for a, b in zip(position, target, strict=True))
    pan, tilt = math.degrees(math.atan2(-x, y)), math.degrees(-math.atan2(z, math.hypot(x, y)))
    return CameraSetup(position, pan, tilt, roll, horizontal_fov)


def strides(
    first: str, start: float, count: int, forward: float, yaw: float, period: float = 0.54, swing: float = 0.41
) -> tuple[Step, ...]:
    """A steady walk: every `period` seconds the other foot steps, for `swing` seconds in the air."""
    feet = ("l", "r") if first == "l" else ("r", "l")
    return tuple(Step(feet[k % 2], start + k * period, start + k * period + swing, forward, yaw) for k in range(count))


# fmt: off
ALEX = Performer(
    Proportions(
        height=1.78, torso=0.98, neck=1.04, head=0.97, shoulders=1.04, arms=1.02, forearms=0.98, hands=1.02,
        hips=1.03, thighs=1.03, shins=1.02, feet=1.01,
    ),
    girth=1.0,
    skin=(0.62, 0.36, 0.25), hair=(0.045, 0.025, 0.016), shirt=(0.42, 0.06, 0.05), trousers=(0.05, 0.075, 0.16),
    shoes=(0.55, 0.54, 0.50),
)

DEMO = Choreography(
    seconds=8.0,
    start=(-1.42, 0.22),
    start_yaw=100,
    steps=(
        Step("r", -0.62, -0.20, 0.30, 102),
        Step("l", -0.08, 0.34, 0.47, 100),
        Step("r", 0.46, 0.88, 0.49, 93),
        Step("l", 1.00, 1.42, 0.48, 80),
        Step("r", 1.54, 1.95, 0.44, 60),
        Step("l", 2.08, 2.48, 0.27, 28),
        Step("r", 2.64, 3.02, 0.06, -6),
        Step("l", 3.16, 3.50, 0.00, -14),
    ),
    keys={
        # Wave with the right arm, both arms forwards in the squat, then reach up with the left.
        "r_lower": ((2.95, 78), (3.45, 5), (4.75, 4), (5.15, 70), (5.6, 72), (6.3, 78)),
        "r_flex": ((2.95, 2), (3.45, 14), (4.75, 14), (5.15, 45), (5.65, 102), (5.85, 102), (6.5, 2)),
        "r_twist": ((2.95, 12), (3.45, -78), (4.75, -78), (5.25, 10), (6.4, 12)),
        "r_elbow": ((2.95, 18), (3.45, 78), (4.75, 76), (5.2, 30), (5.7, 14), (6.4, 18), (7.2, 30)),
        "r_pronate": ((2.95, 0), (3.45, -4), (4.75, -4), (5.3, 20), (5.8, 25), (6.5, 0)),
        "r_wrist": ((2.95, 8), (3.45, -8), (4.75, -8), (5.3, 5), (6.4, 8)),
        "r_shrug": ((2.95, -3), (3.45, 8), (4.75, 8), (5.2, -3)),
        "l_flex": ((4.95, 2), (5.6, 102), (5.85, 102), (6.4, 14), (7.05, 138), (7.45, 142), (8.2, 6)),
        "l_lower": ((4.95, 78), (5.6, 72), (6.3, 74), (7.05, 68), (7.45, 66), (8.2, 78)),
        "l_elbow": (
            (2.9, 18), (3.6, 40), (4.8, 38), (5.6, 14), (5.85, 14), (6.35, 55), (7.05, 16), (7.45, 14), (8.2, 20),
        ),
        "l_pronate": ((4.95, 0), (5.6, 25), (5.85, 25), (6.5, 0)),
        "l_twist": ((2.9, 12), (3.6, 30), (4.8, 28), (5.5, 10), (6.3, 20), (7.05, 4), (8.2, 12)),
        "l_shrug": ((6.3, -3), (7.05, 20), (7.45, 20), (8.2, -3)),
        "drop": ((4.95, 0), (5.68, 0.33), (5.82, 0.33), (6.55, 0.0)),
        "back": ((4.95, 0), (5.68, 0.15), (5.82, 0.15), (6.55, 0.0)),
        "pelvis_pitch": ((4.95, 0), (5.68, 24), (5.82, 24), (6.55, 0)),
        "chest_pitch": (
            (2.6, 4), (3.4, 0), (4.95, 0), (5.68, 14), (5.82, 14), (6.5, 2), (7.1, -9), (7.45, -9), (8.2, 2),
        ),
        "chest_roll": ((2.9, 0), (3.5, 5), (4.7, 5), (5.2, 0), (6.4, 0), (7.1, -7), (7.45, -7), (8.2, 0)),
        "chest_yaw": ((2.2, 0), (2.7, -8), (3.3, 0), (6.4, 0), (7.1, -12), (7.45, -12), (8.2, 0)),
        "head_yaw": (
            (0.4, 0), (1.2, -28), (1.9, -26), (2.4, -22), (3.2, 4), (3.5, 10), (4.7, 12), (5.3, 4), (6.4, 0),
            (7.1, 14), (7.5, 14), (8.2, 0),
        ),
        "head_pitch": ((0.0, 3), (4.9, 2), (5.6, -22), (5.9, -22), (6.5, 0), (7.1, -14), (7.45, -14), (8.2, 2)),
        "head_roll": ((3.2, 0), (3.8, -6), (4.6, -4), (5.1, 0)),
        "shift": ((3.3, 0), (3.8, 0.03), (4.6, 0.03), (5.2, 0), (6.5, 0), (7.1, -0.035), (7.5, -0.035), (8.2, 0)),
    },
    swings=(
        Swing("r_twist", 3.3, 4.95, 1.85, 24),
        Swing("r_elbow", 3.3, 4.95, 1.85, 12, phase=0.6),
        Swing("r_deviate", 3.3, 4.95, 1.85, 10, phase=-0.7),
        Swing("chest_roll", 3.3, 4.95, 1.85, 1.2, phase=0.3),
    ),
)

# --- The benchmark's performers: none of them may be used for training or tuning -----------------------------

TOM = Performer(
    Proportions(height=1.85, shoulders=1.0, hips=0.98, thighs=1.06, shins=1.07, arms=1.05, forearms=1.04),
    girth=0.92,
    skin=(0.16, 0.075, 0.045), hair=(0.008, 0.007, 0.006), shirt=(0.62, 0.60, 0.52), trousers=(0.03, 0.03, 0.035),
    shoes=(0.35, 0.05, 0.04),
)
BRUNO = Performer(
    Proportions(height=1.90, torso=1.04, head=1.0, shoulders=1.13, hips=1.06, arms=0.98, hands=1.08, feet=1.06),
    girth=1.16,
    skin=(0.70, 0.43, 0.32), hair=(0.20, 0.11, 0.05), shirt=(0.05, 0.16, 0.07), trousers=(0.24, 0.19, 0.12),
    shoes=(0.06, 0.04, 0.03),
)
MIRA = Performer(
    Proportions(height=1.72, shoulders=0.92, hips=1.06, torso=0.96, thighs=1.03, forearms=0.97, hands=0.92, feet=0.94),
    girth=0.87,
    skin=(0.42, 0.21, 0.13), hair=(0.02, 0.012, 0.01), shirt=(0.55, 0.30, 0.02), trousers=(0.12, 0.03, 0.09),
    shoes=(0.6, 0.58, 0.55), long_hair=True,
)
OLGA = Performer(
    Proportions(height=1.55, torso=1.05, head=1.05, shoulders=0.96, hips=1.12, thighs=0.96, shins=0.95, feet=0.95),
    girth=1.17,
    skin=(0.66, 0.42, 0.33), hair=(0.35, 0.20, 0.08), shirt=(0.09, 0.16, 0.34), trousers=(0.30, 0.29, 0.28),
    shoes=(0.02, 0.02, 0.02), long_hair=True,
)
KAI = Performer(
    Proportions(
        height=1.22, torso=1.06, neck=1.0, head=1.26, shoulders=0.95, arms=0.93, forearms=0.93, hands=0.98, hips=0.95,
        thighs=0.93, shins=0.92, feet=1.0,
    ),
    girth=0.98,
    skin=(0.55, 0.31, 0.20), hair=(0.05, 0.03, 0.02), shirt=(0.60, 0.10, 0.22), trousers=(0.06, 0.12, 0.30),
    shoes=(0.50, 0.40, 0.05),
)
JUN = Performer(
    Proportions(height=1.64, shoulders=1.0, hips=0.97, thighs=0.98, shins=0.98, torso=1.02, hands=0.98),
    girth=0.95,
    skin=(0.58, 0.36, 0.22), hair=(0.01, 0.01, 0.012), shirt=(0.03, 0.03, 0.04), trousers=(0.42, 0.41, 0.40),
    shoes=(0.10, 0.12, 0.30),
)
DANA = Performer(
    Proportions(height=1.68, shoulders=0.97, hips=1.04, thighs=1.0, shins=1.01, hands=0.94, feet=0.95),
    girth=0.94,
    skin=(0.30, 0.15, 0.09), hair=(0.02, 0.014, 0.012), shirt=(0.10, 0.35, 0.36), trousers=(0.02, 0.02, 0.025),
    shoes=(0.55, 0.20, 0.30), long_hair=True,
)

WALK = Choreography(
    seconds=4.5,
    start=(-2.7, 0.6),
    start_yaw=92,
    steps=(*strides("r", -0.62, 9, 0.58, 91), Step("l", 4.24, 4.62, 0.30, 91)),
    keys={
        "head_yaw": ((0.8, 0), (1.5, -35), (2.4, -32), (3.0, 0)),
        "head_pitch": ((0.0, 4), (1.5, 0), (3.2, 8)),
        "chest_pitch": ((0.0, 4),),
    },
    stance_width=0.15,
)

APPROACH = Choreography(
    seconds=5.5,
    start=(0.1, 2.0),
    start_yaw=4,
    steps=(
        *strides("l", -0.30, 4, 0.50, 4, period=0.55),
        Step("l", 1.90, 2.30, 0.22, 20), Step("r", 2.42, 2.82, 0.02, 75), Step("l", 2.94, 3.34, 0.06, 125),
        Step("r", 3.46, 3.86, 0.12, 172), Step("l", 3.98, 4.40, 0.42, 176), Step("r", 4.53, 4.94, 0.48, 176),
        Step("l", 5.07, 5.48, 0.48, 176), Step("r", 5.61, 6.02, 0.48, 176),
    ),
    keys={
        "head_yaw": ((1.6, 0), (2.2, 22), (3.2, 18), (4.0, 0)),
        "r_flex": ((0.6, 2), (1.1, 40), (1.9, 42), (2.5, 2)),
        "r_elbow": ((0.6, 18), (1.1, 105), (1.9, 108), (2.5, 18)),
        "r_twist": ((0.6, 12), (1.1, 0), (1.9, 0), (2.5, 12)),
        "chest_roll": ((1.9, 0), (2.8, 3), (3.8, 0)),
    },
    stance_width=0.20,
    toe_out=11,
)

LUNGE = Choreography(
    seconds=5.0,
    start=(0.0, 0.1),
    start_yaw=28,
    steps=(
        Step("r", 2.30, 2.85, 0.74, 28),
        Step("r", 4.02, 4.58, -0.74, 28),
    ),
    rises=(Rise("l", 2.45, 4.35, 42, 0.4),),
    keys={
        "drop": (
            (0.1, 0), (0.95, 0.40), (1.15, 0.40), (2.0, 0), (2.45, 0), (3.1, 0.24), (3.65, 0.24), (4.3, 0.02), (4.6, 0),
        ),
        "back": ((0.1, 0), (0.95, 0.19), (1.15, 0.19), (2.0, 0)),
        "pelvis_pitch": ((0.1, 0), (0.95, 28), (1.15, 28), (2.0, 0), (2.5, 0), (3.2, 6), (3.7, 6), (4.5, 0)),
        "chest_pitch": ((0.1, 2), (0.95, 10), (1.15, 10), (2.0, 2)),
        "head_pitch": ((0.1, 0), (0.95, -24), (1.15, -24), (2.0, 0)),
        "chest_yaw": ((2.4, 0), (3.2, -25), (3.7, -25), (4.5, 0)),
        "l_flex": ((0.1, 2), (0.9, 118), (1.2, 118), (1.95, 4), (2.5, 4), (3.15, 100), (3.7, 100), (4.5, 2)),
        "r_flex": ((0.1, 2), (0.9, 118), (1.2, 118), (1.95, 4), (2.5, 4), (3.15, 8), (3.7, 8), (4.5, 2)),
        "l_lower": ((0.1, 76), (0.9, 76), (1.95, 76), (2.5, 76), (3.15, 70), (3.7, 70), (4.5, 76)),
        "r_lower": ((0.1, 76), (1.95, 76), (2.5, 76), (3.15, 15), (3.7, 15), (4.5, 76)),
        "l_elbow": ((0.1, 18), (0.9, 10), (1.2, 10), (1.95, 20), (2.5, 20), (3.15, 8), (3.7, 8), (4.5, 18)),
        "r_elbow": ((0.1, 18), (0.9, 10), (1.2, 10), (1.95, 20), (2.5, 20), (3.15, 10), (3.7, 10), (4.5, 18)),
        "r_pronate": ((2.5, 0), (3.15, -10), (3.7, -10), (4.5, 0)),
    },
    arm_swing=6.0,
    stance_width=0.27,
    toe_out=14,
)

FIGHT = Choreography(
    seconds=3.6,
    start=(-0.15, 0.25),
    start_yaw=16,
    steps=(
        Step("l", -0.95, -0.60, 0.24, 10),
        Step("l", 0.12, 0.42, 0.14, 10), Step("r", 0.36, 0.66, -0.22, 10, left=-0.03),
        Step(
            "r", 1.62, 2.56, 0.04, 10,
            path=((0.28, 0.16, 0.0, 0.42, -8), (0.48, 0.66, 0.02, 0.58, 52), (0.66, 0.22, 0.02, 0.38, 0)),
        ),
        Step("r", 2.94, 3.24, -0.24, 10),
    ),
    keys={
        "drop": ((-0.8, 0.0), (-0.2, 0.05), (4.0, 0.05)),
        "chest_yaw": (
            (0.0, -12), (0.5, -14), (0.66, -24), (0.90, -14), (1.02, -10), (1.22, 26), (1.50, -10), (2.0, -6),
            (2.6, -14), (2.85, -14), (3.06, 20), (3.4, -10),
        ),
        "pelvis_yaw": ((0.0, -18), (0.95, -18), (1.22, 10), (1.55, -16), (2.0, 0), (2.6, -16), (4.0, -18)),
        "chest_pitch": ((0.0, 10), (1.5, 10), (1.9, 2), (2.15, -8), (2.6, 10)),
        "pelvis_pitch": ((1.5, 0), (2.15, -8), (2.6, 0)),
        "head_pitch": ((0.0, 0), (1.9, 0), (2.15, 8), (2.6, 0)),
        "head_yaw": ((0.0, 22), (0.9, 22), (1.22, -8), (1.5, 20), (2.0, 8), (2.6, 22), (3.06, -4), (3.4, 22)),
        "shift": ((1.45, 0), (1.75, 0.045), (2.35, 0.045), (2.7, 0)),
        "l_flex": ((0.0, 34), (0.48, 34), (0.68, 86), (0.92, 34), (2.8, 36), (4.0, 36)),
        "l_elbow": ((0.0, 112), (0.48, 112), (0.68, 6), (0.92, 112), (2.0, 108), (4.0, 112)),
        "l_twist": ((0.0, 18), (0.48, 18), (0.68, 34), (0.92, 18)),
        "l_pronate": ((0.0, -30), (0.48, -30), (0.68, 25), (0.92, -30)),
        "l_protract": ((0.0, 6), (0.48, 6), (0.68, 18), (0.92, 6)),
        "r_flex": ((0.0, 30), (1.0, 30), (1.22, 88), (1.50, 30), (2.85, 30), (3.08, 88), (3.4, 32)),
        "r_elbow": ((0.0, 118), (1.0, 118), (1.22, 6), (1.50, 116), (2.0, 100), (2.85, 118), (3.08, 26), (3.4, 116)),
        "r_twist": ((0.0, 18), (1.0, 18), (1.22, 34), (1.5, 18), (2.85, 18), (3.08, 34), (3.4, 18)),
        "r_pronate": ((0.0, -30), (1.0, -30), (1.22, 25), (1.5, -30), (2.85, -30), (3.08, 20), (3.4, -30)),
        "r_protract": ((0.0, 4), (1.0, 4), (1.22, 22), (1.5, 4), (2.85, 4), (3.08, 20), (3.4, 4)),
        "l_lower": ((0.0, 74), (4.0, 74)),
        "r_lower": ((0.0, 76), (4.0, 76)),
        "l_wrist": ((0.0, 2), (4.0, 2)),
        "r_wrist": ((0.0, 2), (4.0, 2)),
    },
    arm_swing=4.0,
    stance_width=0.24,
    toe_out=16,
)

JUMP = Choreography(
    seconds=4.5,
    start=(-0.25, 0.3),
    start_yaw=-24,
    steps=(Step("l", 3.85, 4.2, 0.0, 10), Step("r", 4.3, 4.65, 0.0, 10)),
    jumps=(
        Jump(0.35, 0.95, 1.33, 2.0, forward=0.32, dip=0.13, absorb=0.11, tuck=0.06),
        Jump(2.05, 2.62, 3.08, 3.75, forward=0.0, dip=0.15, absorb=0.13, tuck=0.13),
    ),
    keys={
        "pelvis_pitch": (
            (0.3, 0), (0.72, 22), (1.0, 0), (1.25, 6), (1.5, 20), (2.0, 2), (2.38, 22), (2.66, -2), (3.0, 6),
            (3.3, 20), (3.8, 0),
        ),
        "chest_pitch": (
            (0.3, 2), (0.72, 18), (1.0, -4), (1.5, 14), (2.0, 2), (2.38, 16), (2.66, -6), (3.3, 14), (3.8, 2),
        ),
        "head_pitch": (
            (0.3, 0), (0.72, -22), (1.0, -6), (1.5, -18), (2.0, 0), (2.38, -20), (2.66, -8), (3.3, -18), (3.8, 0),
        ),
        "l_flex": (
            (0.3, 4), (0.72, -38), (1.02, 105), (1.3, 70), (1.7, 20), (2.05, 4), (2.36, -40), (2.68, 150),
            (2.95, 150), (3.4, 25), (3.8, 4),
        ),
        "r_flex": (
            (0.3, 4), (0.72, -38), (1.02, 105), (1.3, 70), (1.7, 20), (2.05, 4), (2.36, -40), (2.68, 150),
            (2.95, 150), (3.4, 25), (3.8, 4),
        ),
        "l_lower": ((0.3, 76), (2.36, 72), (2.68, 50), (2.95, 50), (3.4, 68), (3.8, 76)),
        "r_lower": ((0.3, 76), (2.36, 72), (2.68, 50), (2.95, 50), (3.4, 68), (3.8, 76)),
        "l_elbow": ((0.3, 20), (0.72, 18), (1.02, 30), (1.3, 40), (2.0, 22), (2.36, 14), (2.68, 16), (3.8, 20)),
        "r_elbow": ((0.3, 20), (0.72, 18), (1.02, 30), (1.3, 40), (2.0, 22), (2.36, 14), (2.68, 16), (3.8, 20)),
    },
    stance_width=0.16,
    arm_swing=20,
)

SIT = Choreography(
    seconds=5.5,
    start=(0.0, 0.0),
    start_yaw=0,
    steps=(Step("l", -0.9, -0.55, 0.0, 0), Step("r", 4.72, 5.16, 0.34, 6), Step("l", 5.24, 5.66, 0.36, 12)),
    keys={
        "drop": ((0.3, 0), (1.45, 0.258), (3.05, 0.258), (4.15, 0)),
        "back": ((0.3, 0), (1.35, 0.335), (3.25, 0.335), (4.15, 0)),
        "pelvis_pitch": ((0.3, 0), (0.95, 30), (1.55, -4), (2.85, -4), (3.45, 32), (4.2, 0)),
        "chest_pitch": ((0.3, 2), (0.95, 20), (1.6, 0), (2.85, 2), (3.4, 22), (4.2, 2)),
        "head_pitch": ((0.3, 2), (0.95, -18), (1.6, 2), (2.85, 0), (3.4, -20), (4.2, 0)),
        "head_yaw": ((1.5, 0), (2.0, 30), (2.5, 26), (3.0, 0)),
        "chest_yaw": ((1.5, 0), (2.0, 12), (2.5, 10), (3.0, 0)),
        "l_flex": ((0.3, 2), (0.95, 26), (1.6, 24), (1.8, 30), (2.15, 62), (2.6, 58), (3.0, 34), (3.5, 30), (4.2, 2)),
        "l_elbow": ((0.3, 18), (0.95, 44), (1.6, 62), (2.15, 60), (2.6, 58), (3.0, 60), (3.5, 36), (4.2, 18)),
        "l_lower": ((0.3, 72), (1.6, 70), (2.15, 52), (2.6, 54), (3.0, 70), (4.2, 72)),
        "r_flex": ((0.3, 2), (0.95, 26), (1.6, 24), (3.0, 26), (3.5, 30), (4.2, 2)),
        "r_elbow": ((0.3, 18), (0.95, 44), (1.6, 66), (3.0, 66), (3.5, 36), (4.2, 18)),
        "r_lower": ((0.3, 72), (4.2, 72)),
        "l_pronate": ((1.7, 0), (2.15, -40), (2.6, -40), (3.0, 0)),
    },
    stance_width=0.24,
    toe_out=10,
)

DANCE = Choreography(
    seconds=3.8,
    start=(0.0, 0.1),
    start_yaw=-10,
    steps=(
        Step("r", -0.45, -0.10, 0.0, -10, left=-0.16), Step("l", 0.05, 0.36, 0.0, -10, left=0.05),
        Step("l", 0.72, 1.02, 0.0, -10, left=0.16), Step("r", 1.10, 1.40, 0.0, -10, left=-0.05),
        Step("l", 1.48, 1.80, 0.08, 40), Step("r", 1.88, 2.20, 0.06, 105), Step("l", 2.28, 2.60, 0.06, 170),
        Step("r", 2.68, 3.00, 0.06, 235), Step("l", 3.08, 3.40, 0.06, 295), Step("r", 3.48, 3.80, 0.04, 350),
        Step("l", 3.95, 4.28, 0.0, 350, left=0.16), Step("r", 4.42, 4.74, 0.0, 350, left=-0.05),
        Step("r", 5.10, 5.40, 0.0, 350, left=-0.16),
    ),
    keys={
        "l_lower": ((-0.5, 60), (0.2, 20), (0.8, 62), (1.4, 20), (1.9, 0), (3.2, -8), (3.8, 30), (4.3, 55), (4.9, 15)),
        "r_lower": ((-0.5, 20), (0.2, 60), (0.8, 18), (1.4, 40), (1.9, 4), (3.2, -8), (3.8, 35), (4.3, 10), (4.9, 60)),
        "l_elbow": ((-0.5, 60), (0.2, 30), (0.8, 70), (1.4, 40), (1.9, 18), (3.2, 24), (3.8, 70), (4.3, 80), (4.9, 40)),
        "r_elbow": ((-0.5, 30), (0.2, 70), (0.8, 30), (1.4, 60), (1.9, 18), (3.2, 24), (3.8, 70), (4.3, 40), (4.9, 80)),
        "l_flex": ((-0.5, 10), (0.2, 25), (0.8, 12), (1.4, 20), (1.9, 5), (3.8, 20)),
        "r_flex": ((-0.5, 25), (0.2, 10), (0.8, 25), (1.4, 20), (1.9, 5), (3.8, 20)),
        "head_yaw": ((1.2, 0), (1.55, -30), (2.1, -40), (2.5, 30), (3.1, 35), (3.8, 0)),
        "drop": ((-0.5, 0.03), (4.0, 0.03)),
    },
    swings=(
        Swing("pelvis_roll", -0.6, 5.6, 1.05, 6),
        Swing("chest_roll", -0.6, 5.6, 1.05, -9),
        Swing("shift", -0.6, 1.6, 1.05, 0.025),
        Swing("drop", -0.6, 5.6, 2.1, 0.018, phase=1.0),
        Swing("head_roll", -0.6, 5.6, 1.05, 5),
    ),
    stance_width=0.17,
    arm_swing=15,
)

REACH_UP = Choreography(
    seconds=5.0,
    start=(0.0, -0.15),
    start_yaw=150,
    steps=(
        Step("r", -0.7, -0.3, 0.25, 148), Step("l", -0.2, 0.2, 0.18, 146),
        Step("r", 2.05, 2.5, 0.20, 120), Step("l", 4.55, 4.95, 0.1, 112),
    ),
    rises=(Rise("l", 0.55, 1.75, 26, 0.35), Rise("r", 0.55, 1.75, 26, 0.35), Rise("l", 2.45, 4.3, 40, 0.5)),
    keys={
        "drop": ((2.3, 0), (3.2, 0.47), (3.6, 0.47), (4.5, 0)),
        "back": ((2.3, 0), (3.2, 0.05), (3.6, 0.05), (4.5, 0)),
        "pelvis_pitch": ((2.3, 0), (3.2, 30), (3.6, 30), (4.5, 0)),
        "chest_pitch": ((0.4, 2), (0.95, -8), (1.4, -8), (1.9, 2), (2.4, 4), (3.2, 26), (3.6, 26), (4.4, 2)),
        "chest_roll": ((0.4, 0), (0.95, 8), (1.4, 8), (1.9, 0)),
        "chest_yaw": ((2.4, 0), (3.2, 14), (3.6, 14), (4.4, 0)),
        "head_pitch": ((0.2, 0), (0.8, -24), (1.5, -24), (2.0, 6), (3.2, 8), (3.6, 8), (4.4, 0)),
        "head_yaw": ((2.0, 0), (2.5, -12), (4.0, 0)),
        "r_flex": ((0.25, 2), (0.95, 150), (1.4, 150), (2.05, 4), (2.5, 10), (3.2, 70), (3.6, 70), (4.3, 4)),
        "r_lower": ((0.25, 76), (0.95, 70), (1.4, 70), (2.05, 76), (2.5, 76), (3.2, 72), (4.3, 76)),
        "r_shrug": ((0.3, -3), (0.95, 22), (1.4, 22), (2.0, -3)),
        "r_elbow": (
            (0.25, 18), (0.6, 55), (0.95, 12), (1.4, 12), (1.75, 50), (2.1, 18), (3.2, 12), (3.6, 12), (4.3, 18),
        ),
        "l_flex": ((0.25, 2), (0.95, 20), (1.4, 20), (2.05, 2), (2.5, 4), (3.2, 42), (3.6, 42), (4.3, 2)),
        "l_elbow": ((0.25, 18), (0.95, 30), (2.05, 18), (2.5, 30), (3.2, 78), (3.6, 78), (4.3, 18)),
        "l_lower": ((0.25, 76), (4.3, 76)),
    },
    stance_width=0.19,
    arm_swing=25,
)

SHOTS = {
    "demo": Shot(
        ALEX, DEMO, CameraSetup((0.74, -3.34, 1.63), pan=11.3, tilt=10.7, roll=1.2, horizontal_fov=47.3), fps=30,
        size=(640, 640), floor=(0.34, 0.25, 0.17), wall=(0.42, 0.47, 0.46),
    ),
    # Low and far.
    "walk": Shot(
        TOM, WALK, aimed((0.5, -5.7, 0.45), (0.0, 0.6, 0.95), 46.0), fps=30, size=(480, 270),
        floor=(0.22, 0.22, 0.24), wall=(0.30, 0.36, 0.45),
    ),
    # Portrait, at the height of the chest; the person comes near.
    "approach": Shot(
        BRUNO, APPROACH, aimed((0.55, -3.55, 1.2), (0.15, 0.6, 0.92), 29.5, roll=-2.0), fps=24, size=(270, 480),
        floor=(0.40, 0.33, 0.26), wall=(0.55, 0.50, 0.40),
    ),
    # High, near, a wide lens.
    "lunge": Shot(
        DANA, LUNGE, aimed((1.15, -1.6, 2.2), (0.12, -0.05, 0.76), 64.0), fps=24, size=(480, 400),
        floor=(0.45, 0.40, 0.34), wall=(0.50, 0.30, 0.24),
    ),
    # Almost on the floor, looking up, rolled; 60 frames a second.
    "fight": Shot(
        JUN, FIGHT, aimed((2.3, -2.15, 0.35), (0.02, 0.0, 0.84), 35.0, roll=4.0), fps=60, size=(360, 480),
        floor=(0.16, 0.20, 0.18), wall=(0.62, 0.62, 0.60),
    ),
    # A child, a camera held askew.
    "jump": Shot(
        KAI, JUMP, aimed((-1.0, -2.5, 0.95), (-0.25, 0.15, 0.68), 50.0, roll=10.0), fps=30, size=(480, 480),
        floor=(0.30, 0.20, 0.13), wall=(0.32, 0.42, 0.30),
    ),
    "sit": Shot(
        OLGA, SIT, aimed((2.05, -2.15, 1.55), (0.0, 0.05, 0.68), 40.0), fps=24, size=(400, 480),
        floor=(0.28, 0.24, 0.22), wall=(0.48, 0.44, 0.50),
        boxes=(Box((0.0, 0.40, 0.184), (0.30, 0.22, 0.184), (0.35, 0.22, 0.10)),),
    ),
    # Portrait, a long lens.
    "dance": Shot(
        MIRA, DANCE, aimed((-0.5, -5.2, 1.5), (0.0, 0.1, 0.95), 22.0), fps=24, size=(320, 480),
        floor=(0.20, 0.15, 0.12), wall=(0.20, 0.22, 0.30),
    ),
    # From above and behind.
    "reach": Shot(
        BRUNO, REACH_UP, aimed((-1.5, -2.6, 2.25), (0.12, 0.0, 0.98), 44.0, roll=-5.0), fps=25, size=(360, 480),
        floor=(0.35, 0.28, 0.20), wall=(0.40, 0.40, 0.33),
    ),
}
