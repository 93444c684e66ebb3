"""The performers, what they do, and the cameras that film them: plain data."""

from __future__ import annotations

from dataclasses import dataclass

from .motions import Choreography, Proportions, Step, Swing

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
class Shot:
    """One clip: who does what, seen by which camera."""

    performer: Performer
    choreography: Choreography
    camera: CameraSetup
    fps: int
    size: tuple[int, int]
    floor: Colour
    wall: Colour


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

SHOTS = {
    "demo": Shot(
        ALEX, DEMO, CameraSetup((0.74, -3.34, 1.63), pan=11.3, tilt=10.7, roll=1.2, horizontal_fov=47.3), fps=30,
        size=(640, 640), floor=(0.34, 0.25, 0.17), wall=(0.42, 0.47, 0.46),
    ),
}
