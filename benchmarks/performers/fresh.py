"""More performers, filmed after the constants of lifting and solving had been chosen: none was tuned on them.

Whoever tunes with one of them in view has to put others in its place. What `sidestep` showed made training bend knees,
and later keep backs straight (training/crouch.py): in that it is blind no more. `lift` was filmed between the two,
`keeper` after both, and after `lunge` of the first cast had made arms reach forward (training/bodies.py).
"""

from __future__ import annotations

from .cast import SHOTS, Performer, Shot, aimed, strides
from .motions import Choreography, Proportions, Step, Swing

# fmt: off
NINA = Performer(
    Proportions(height=1.61, torso=0.98, shoulders=0.94, hips=1.08, thighs=1.02, shins=1.0, arms=0.97, hands=0.93),
    girth=1.03,
    skin=(0.50, 0.29, 0.19), hair=(0.10, 0.03, 0.012), shirt=(0.30, 0.06, 0.36), trousers=(0.08, 0.09, 0.10),
    shoes=(0.60, 0.60, 0.62), long_hair=True,
)
OSCAR = Performer(
    Proportions(height=1.76, torso=1.03, head=1.02, shoulders=1.08, hips=1.0, thighs=0.98, shins=0.99, forearms=1.02),
    girth=1.10,
    skin=(0.24, 0.12, 0.07), hair=(0.01, 0.01, 0.01), shirt=(0.60, 0.42, 0.05), trousers=(0.14, 0.15, 0.17),
    shoes=(0.03, 0.03, 0.04),
)
IVO = Performer(
    Proportions(height=1.44, torso=1.01, head=1.14, shoulders=0.96, hips=0.96, arms=0.97, thighs=0.98, shins=0.99),
    girth=0.90,
    skin=(0.68, 0.45, 0.36), hair=(0.42, 0.28, 0.10), shirt=(0.10, 0.30, 0.12), trousers=(0.50, 0.48, 0.42),
    shoes=(0.12, 0.05, 0.02),
)
UMA = Performer(
    Proportions(height=1.68, torso=1.02, neck=1.03, shoulders=0.97, hips=1.04, thighs=0.99, shins=1.02, arms=1.01),
    girth=0.97,
    skin=(0.44, 0.24, 0.15), hair=(0.03, 0.02, 0.015), shirt=(0.55, 0.52, 0.46), trousers=(0.05, 0.12, 0.22),
    shoes=(0.30, 0.08, 0.06), long_hair=True,
)

RUBEN = Performer(
    Proportions(height=1.84, torso=0.99, head=0.98, shoulders=1.03, hips=0.98, arms=1.02, thighs=1.02, feet=1.02),
    girth=0.98,
    skin=(0.55, 0.33, 0.22), hair=(0.16, 0.08, 0.03), shirt=(0.10, 0.42, 0.46), trousers=(0.03, 0.03, 0.035),
    shoes=(0.50, 0.42, 0.06),
)

MARCH = Choreography(
    seconds=4.4,
    start=(-2.0, 2.0),
    start_yaw=62,
    steps=(
        *strides("l", -0.50, 6, 0.53, 62, period=0.45, swing=0.36),
        Step("l", 2.22, 2.60, 0.34, 30), Step("r", 2.70, 3.06, 0.24, -25), Step("l", 3.16, 3.52, 0.10, -80),
        Step("r", 3.62, 3.98, 0.30, -105), Step("l", 4.08, 4.44, 0.46, -105), Step("r", 4.54, 4.90, 0.46, -105),
    ),
    keys={
        "l_elbow": ((0.0, 82), (2.6, 80), (3.3, 30), (4.4, 26)),
        "r_elbow": ((0.0, 82), (2.6, 80), (3.3, 30), (4.4, 26)),
        "chest_pitch": ((0.0, 6), (2.8, 3)),
        "head_yaw": ((1.9, 0), (2.5, -28), (3.3, -24), (4.0, 0)),
    },
    stance_width=0.13,
    arm_swing=52,
)

SIDESTEP = Choreography(
    seconds=4.6,
    start=(-0.75, 0.1),
    start_yaw=-8,
    steps=(
        Step("l", 0.25, 0.52, 0.0, -8, left=0.20), Step("r", 0.60, 0.87, 0.0, -8, left=0.20),
        Step("l", 0.95, 1.22, 0.0, -8, left=0.20), Step("r", 1.30, 1.57, 0.0, -8, left=0.20),
        Step("l", 1.65, 1.92, 0.0, -8, left=0.20), Step("r", 2.00, 2.27, 0.0, -8, left=0.20),
        Step("r", 2.75, 3.02, 0.0, -8, left=-0.18), Step("l", 3.10, 3.37, 0.0, -8, left=-0.18),
        Step("r", 3.45, 3.72, 0.0, -8, left=-0.18), Step("l", 3.80, 4.07, 0.0, -8, left=-0.18),
        Step("r", 4.15, 4.42, 0.0, -8, left=-0.18), Step("l", 4.50, 4.77, 0.0, -8, left=-0.18),
    ),
    keys={
        "drop": ((-0.6, 0.10), (2.3, 0.14), (2.5, 0.16), (5.0, 0.10)),
        "back": ((-0.6, 0.06), (5.0, 0.06)),
        "pelvis_pitch": ((-0.6, 18), (5.0, 18)),
        "chest_pitch": ((-0.6, 14), (5.0, 14)),
        "head_pitch": ((-0.6, -22), (5.0, -22)),
        "head_yaw": ((0.2, 0), (0.7, 25), (1.9, 22), (2.5, 0), (2.9, -25), (4.6, -20)),
        "l_lower": ((-0.6, 48), (2.2, 44), (2.5, 12), (2.8, 30), (5.0, 46)),
        "r_lower": ((-0.6, 48), (5.0, 48)),
        "l_flex": ((-0.6, 34), (2.2, 34), (2.5, 70), (2.8, 40), (5.0, 34)),
        "r_flex": ((-0.6, 34), (5.0, 34)),
        "l_elbow": ((-0.6, 62), (2.2, 62), (2.5, 8), (2.8, 40), (5.0, 62)),
        "r_elbow": ((-0.6, 62), (5.0, 62)),
        "l_pronate": ((-0.6, -30), (5.0, -30)),
        "r_pronate": ((-0.6, -30), (5.0, -30)),
    },
    swings=(Swing("drop", -0.4, 5.0, 2.86, 0.012),),
    stance_width=0.42,
    toe_out=14,
    arm_swing=8,
)

KICK = Choreography(
    seconds=4.2,
    start=(-0.2, 1.15),
    start_yaw=-30,
    steps=(
        Step("r", 0.35, 0.72, 0.34, -30), Step("l", 0.84, 1.20, 0.50, -24),
        Step(
            "r", 1.30, 2.20, 0.30, -24,
            path=((0.24, -0.34, 0.02, 0.36, -30), (0.42, 0.40, 0.04, 0.16, -20), (0.58, 0.56, 0.10, 0.50, -6)),
        ),
        Step("l", 2.34, 2.72, 0.22, -10), Step("r", 2.86, 3.22, 0.04, 40), Step("l", 3.34, 3.70, 0.04, 90),
    ),
    keys={
        "chest_pitch": ((0.2, 2), (1.5, -6), (1.70, 10), (2.2, 4)),
        "chest_yaw": ((1.2, 0), (1.50, -22), (1.74, 18), (2.3, 0)),
        "pelvis_yaw": ((1.2, 0), (1.50, -16), (1.74, 14), (2.3, 0)),
        "head_pitch": ((0.4, 14), (1.75, 16), (2.2, -4), (3.0, 0)),
        "l_lower": ((0.9, 74), (1.45, 26), (1.75, 34), (2.4, 72)),
        "l_flex": ((0.9, 2), (1.45, -20), (1.75, 46), (2.4, 4)),
        "l_elbow": ((0.9, 18), (1.45, 26), (1.75, 40), (2.4, 20)),
        "r_lower": ((0.9, 76), (1.45, 58), (1.75, 44), (2.4, 76)),
        "r_flex": ((0.9, 2), (1.45, 24), (1.75, -36), (2.4, 2), (2.9, 4), (3.3, 128), (3.8, 132), (4.4, 40)),
        "r_elbow": ((0.9, 18), (1.75, 30), (2.4, 18), (2.9, 24), (3.3, 22), (4.4, 30)),
        "r_shrug": ((2.9, -3), (3.3, 18), (3.8, 18), (4.4, -3)),
    },
    stance_width=0.16,
    arm_swing=30,
)

LIFT = Choreography(
    seconds=4.8,
    start=(0.15, 0.75),
    start_yaw=14,
    steps=(
        Step("r", -0.30, 0.10, 0.30, 14), Step("l", 0.22, 0.62, 0.30, 8), Step("r", 0.74, 1.10, 0.06, 4),
        Step("l", 3.45, 3.85, 0.10, 40), Step("r", 3.97, 4.37, 0.30, 62), Step("l", 4.49, 4.89, 0.34, 66),
    ),
    keys={
        "drop": ((1.1, 0.0), (1.9, 0.38), (2.35, 0.40), (3.1, 0.03), (3.6, 0.01)),
        "back": ((1.1, 0.0), (1.9, 0.14), (2.35, 0.14), (3.1, 0.02)),
        "pelvis_pitch": ((1.1, 3), (1.9, 40), (2.35, 42), (3.1, 4), (3.6, 1)),
        "chest_pitch": ((1.1, 3), (1.9, 20), (2.35, 22), (3.1, -2), (4.4, -5)),
        "head_pitch": ((1.1, 8), (1.9, -6), (2.35, -12), (3.1, 4)),
        "l_flex": ((1.1, 4), (1.9, 66), (2.35, 66), (3.0, 34), (4.4, 36)),
        "r_flex": ((1.1, 4), (1.9, 66), (2.35, 66), (3.0, 34), (4.4, 36)),
        "l_elbow": ((1.1, 18), (1.9, 14), (2.35, 26), (3.0, 74), (4.4, 78)),
        "r_elbow": ((1.1, 18), (1.9, 14), (2.35, 26), (3.0, 74), (4.4, 78)),
        "l_pronate": ((1.1, 0), (1.9, -35), (4.4, -35)),
        "r_pronate": ((1.1, 0), (1.9, -35), (4.4, -35)),
    },
    stance_width=0.34,
    toe_out=16,
    arm_swing=20,
)

KEEPER = Choreography(
    seconds=4.4,
    start=(0.25, 0.2),
    start_yaw=12,
    steps=(
        Step("l", 0.35, 0.62, 0.0, 12, left=0.22), Step("r", 0.70, 0.97, 0.0, 12, left=0.22),
        Step("r", 1.40, 1.65, 0.05, 6, left=-0.16), Step("l", 1.75, 2.00, 0.05, 6, left=-0.16),
        Step("l", 3.00, 3.40, 0.25, 2), Step("r", 3.55, 3.95, 0.25, -4),
    ),
    keys={
        "drop": ((-0.5, 0.13), (1.6, 0.15), (2.1, 0.09), (2.6, 0.06), (3.2, 0.01), (4.4, 0.0)),
        "back": ((-0.5, 0.07), (1.6, 0.07), (2.2, 0.01), (4.4, 0.0)),
        "pelvis_pitch": ((-0.5, 24), (1.6, 22), (2.2, 10), (3.0, 2), (4.4, 0)),
        "chest_pitch": ((-0.5, 9), (1.6, 9), (2.2, 4), (3.0, 2), (4.4, 0)),
        "head_pitch": ((-0.5, -24), (1.6, -22), (2.2, -8), (3.0, 12), (4.4, 0)),
        "l_lower": ((-0.5, 60), (1.7, 58), (2.2, 74), (2.6, 78), (4.4, 76)),
        "r_lower": ((-0.5, 60), (1.7, 58), (2.2, 74), (2.6, 78), (4.4, 76)),
        "l_flex": ((-0.5, 38), (1.7, 42), (2.15, 92), (2.35, 92), (2.8, 40), (3.6, 34), (4.4, 8)),
        "r_flex": ((-0.5, 38), (1.7, 42), (2.15, 92), (2.35, 92), (2.8, 40), (3.6, 34), (4.4, 8)),
        "l_elbow": ((-0.5, 55), (1.7, 50), (2.15, 12), (2.35, 12), (2.8, 120), (3.6, 112), (4.4, 30)),
        "r_elbow": ((-0.5, 55), (1.7, 50), (2.15, 12), (2.35, 12), (2.8, 120), (3.6, 112), (4.4, 30)),
        "l_pronate": ((-0.5, 25), (2.2, 40), (2.8, -30), (4.4, 0)),
        "r_pronate": ((-0.5, 25), (2.2, 40), (2.8, -30), (4.4, 0)),
    },
    swings=(Swing("shift", -0.4, 1.5, 1.7, 0.012),),
    stance_width=0.36,
    toe_out=12,
    arm_swing=6,
)

FRESH = {
    # Across the room and round, from the corner, a little above the head.
    "march": Shot(
        NINA, MARCH, aimed((2.3, -2.9, 1.95), (0.0, 0.45, 0.82), 44.0, roll=2.5), fps=30, size=(480, 320),
        floor=(0.26, 0.22, 0.19), wall=(0.36, 0.40, 0.36),
    ),
    # From the height of the knees; 50 frames a second.
    "sidestep": Shot(
        OSCAR, SIDESTEP, aimed((-0.5, -4.3, 0.6), (-0.05, 0.1, 0.82), 40.0), fps=50, size=(480, 360),
        floor=(0.20, 0.26, 0.17), wall=(0.55, 0.56, 0.60),
    ),
    # A boy, from where he kicks to, a long lens, portrait.
    "kick": Shot(
        IVO, KICK, aimed((-3.2, -3.4, 1.25), (0.0, 0.3, 0.68), 27.0, roll=-3.0), fps=25, size=(360, 480),
        floor=(0.38, 0.36, 0.33), wall=(0.28, 0.24, 0.30),
    ),
    # Squats for something and carries it off; from the front and the height of the hips, portrait, wide.
    "lift": Shot(
        UMA, LIFT, aimed((0.35, -2.9, 0.95), (0.15, 0.25, 0.82), 48.0, roll=1.5), fps=25, size=(384, 480),
        floor=(0.30, 0.30, 0.32), wall=(0.42, 0.38, 0.30),
    ),
    # Waits in a crouch, side steps, catches a ball before the chest; from the front and a little above the hips.
    "keeper": Shot(
        RUBEN, KEEPER, aimed((0.7, -3.5, 1.15), (0.15, 0.15, 0.86), 50.0, roll=-1.0), fps=25, size=(480, 384),
        floor=(0.12, 0.24, 0.10), wall=(0.50, 0.52, 0.55),
    ),
}

WHAT_IS_BLIND = (
    "They were filmed when all constants had been chosen (benchmarks/performers/fresh.py). What sidestep showed made "
    "training lower some clips onto bent knees, later with straight backs (and what lunge, above, showed made arms "
    "reach forward in some): in that it is blind no more; keeper was filmed after that."
)
"""What benchmarks say above the figures of these."""

ALL = {**SHOTS, **FRESH}
