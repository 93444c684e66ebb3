"""Synthetic footage: motion on random proportions before random cameras, as a detector would see it.

Bodies: training/bodies.py. Detectors' errors: training/detector_noise.py. Here are the cameras, and `film`.

Everything is vectorised over a batch of B clips of T frames, and runs on the device of its tensors with a generator of
that device: one seed gives one batch (of a device; CPUs and GPUs draw different numbers). Lengths are metres for a
body of the skeleton's own height; what is said in metres below is so for a height of 1.70 m, and scales with it, so a
hand is filmed as well as a person. Angles are radians.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lifter.camera import FOLLOW_SECONDS, follow_person, look_at
from lifter.checkpoint import middle_weights
from lifter.skeleton import Skeleton, layout_keypoints
from training.bodies import PERSON, random_bodies
from training.detector_noise import KeypointErrors, detector_errors, keypoint_errors
from training.noise import load_noise, noise_layouts

INPUT_LAYOUTS = ("mediapipe33", "coco17", "halpe26", "body25", "h36m17")
LAYOUT_ODDS = (0.6, 0.1, 0.12, 0.12, 0.06)

FIELD_OF_VIEW = (math.radians(28), math.radians(84))
"""Along the longer side of the picture, from a tele lens to an action camera; drawn evenly by logarithm."""
ASPECTS = ((16 / 9, 0.45), (9 / 16, 0.3), (4 / 3, 0.1), (3 / 4, 0.05), (1.0, 0.1))
"""Width over height of the picture, and how often."""
SHARE, CLOSE_SHARE, CLOSE_ODDS = (0.3, 1.1), (1.1, 2.2), 0.15
"""How much of the picture's height somebody who stands takes up; and in close shots, which cut legs or head off."""
DISTANCES = (1.3, 25.0)
LENS_ERROR = 0.12
"""Standard deviation of the logarithm of the focal length that is assumed over the true one."""


@dataclass(frozen=True)
class Views:
    """What a camera sees of B clips, and the truth. Shapes as in lifter/nets/temporal_mixer.py."""

    rays: Tensor
    score: Tensor
    size: Tensor
    joints: Tensor
    down: Tensor
    contact: Tensor


@dataclass(frozen=True)
class Footage:
    """B clips of T frames as a detector finds them, in the axes of their static cameras, and the truth.

    Attributes:
        rays: (B, T, J, 2) keypoints, x/z and y/z; score: (B, T, J), 0 where missing.
        joints: (B, T, J, 3) metres relative to the root; down: (B, 3) direction of gravity.
        contact: (B, T, points), NaN where it is not known; fps: frames a second.
    """

    rays: Tensor
    score: Tensor
    joints: Tensor
    down: Tensor
    contact: Tensor
    fps: float


@dataclass(frozen=True)
class Shots:
    """Static cameras.

    Attributes:
        turn: (B, 3, 3) from scene to camera axes, looking at the middle of the body's path.
        off: (B, 3, 3) the turn that then puts the body off the optical axis.
        distance: (B,) from the middle of the path.
        half: (B, 2) half width and half height of the picture on the plane z = 1.
    """

    turn: Tensor
    off: Tensor
    distance: Tensor
    half: Tensor


def random_directions(batch: int, g: torch.Generator) -> Tensor:
    """(B, 3, 3) from scene to camera axes: from any side, mostly from about the body's height, sometimes from far above
    or below; mostly upright, sometimes rolled by up to thirty degrees and more."""
    d = g.device

    def normal() -> Tensor:
        return torch.randn(batch, generator=g, device=d)

    def uniform() -> Tensor:
        return torch.rand(batch, generator=g, device=d)

    elevation = torch.where(uniform() < 0.75, 0.07 + 0.16 * normal(), -0.4 + 1.5 * uniform())
    yaw = 2 * math.pi * uniform()
    roll = torch.where(uniform() < 0.8, 0.05 * normal(), 0.3 * normal())
    ce, se, cy, sy = elevation.cos(), elevation.sin(), yaw.cos(), yaw.sin()
    # The camera stands at (cy ce, sy ce, se) from the body and looks back.
    forward = torch.stack([-cy * ce, -sy * ce, -se], -1)
    right = torch.stack([-sy, cy, torch.zeros_like(sy)], -1)
    down = torch.cross(forward, right, dim=-1)
    cr, sr = roll.cos()[:, None], roll.sin()[:, None]
    return torch.stack([cr * right + sr * down, -sr * right + cr * down, forward], -2)


def random_shots(path: Tensor, height: float, g: torch.Generator) -> Shots:
    """Cameras before bodies of a height whose roots take (B, T, 3) paths about 0.

    A lens and a format are drawn, and how large the body is to be in the picture; that gives the distance. Four of five
    cameras stand far enough off to keep the root in the picture all the time.
    """
    d, batch = g.device, len(path)

    def uniform(low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(batch, generator=g, device=d)

    turn = random_directions(batch, g)
    odds = torch.tensor([o for _, o in ASPECTS], device=d)
    aspect = torch.tensor([a for a, _ in ASPECTS], device=d)[
        torch.multinomial(odds, batch, replacement=True, generator=g)
    ]
    longer = (uniform(math.log(FIELD_OF_VIEW[0]), math.log(FIELD_OF_VIEW[1])).exp() / 2).tan()
    half = torch.stack([longer * aspect.clamp(max=1), longer / aspect.clamp(min=1)], -1)
    share = torch.where(
        uniform() < CLOSE_ODDS,
        uniform(math.log(CLOSE_SHARE[0]), math.log(CLOSE_SHARE[1])),
        uniform(math.log(SHARE[0]), math.log(SHARE[1])),
    ).exp()
    distance = height / (2 * half[:, 1] * share)
    # Where the body stands in the picture; larger bodies nearer to its middle.
    wander = torch.randn(batch, 2, generator=g, device=d) * torch.tensor([0.35, 0.15], device=d)
    axis = half * (wander / share[:, None].clamp(min=0.5)).clamp(-0.6, 0.6)
    seen = torch.einsum("bij,btj->bti", turn, path)
    room = (half * 0.9 - axis.abs()).clamp(min=0.02)
    needed = (seen[..., :2].abs() / room[:, None] - seen[..., 2:]).amax((1, 2))
    keeps = uniform() < 0.8
    unit = height / PERSON
    distance = torch.where(keeps, torch.maximum(distance, needed), distance)
    return Shots(turn, look_at(axis), distance.clamp(DISTANCES[0] * unit, DISTANCES[1] * unit), half)


def film(skeleton: Skeleton, pose: Tensor, root: Tensor, contact: Tensor, g: torch.Generator, **how: Any) -> Views:
    """What the virtual camera that follows the person sees of a motion; arguments as of `shoot`."""
    return followed(skeleton, shoot(skeleton, pose, root, contact, g, **how))


def followed(skeleton: Skeleton, footage: Footage) -> Views:
    """Footage through the virtual camera that follows the person."""
    score = footage.score
    rotation, rays, size = follow_person(
        torch.where(score[..., None] > 0, footage.rays, 0.0),
        score,
        torch.from_numpy(middle_weights(skeleton)).to(score.device),
        FOLLOW_SECONDS * footage.fps,
    )
    target = torch.einsum("btij,btkj->btki", rotation, footage.joints)
    down = torch.einsum("btij,bj->bti", rotation, footage.down)
    return Views(rays, score, size, target, down, footage.contact)


def shoot(
    skeleton: Skeleton,
    pose: Tensor,
    root: Tensor,
    contact: Tensor,
    g: torch.Generator,
    *,
    fps: float = 30.0,
    noise: float = 1.0,
    spread: float = 1.0,
    mix: float = 0.0,
    bent: float = 0.0,
    swung: float = 0.0,
    exact: float = 0.0,
    layout: str | Sequence[str] | None = None,
) -> Footage:
    """Put a motion on random bodies and look at them through random cameras.

    Args:
        pose, root: the motion (training/bodies.py); contact: (B, T, points), of the feet that are not another clip's.
        noise: 0 gives clean 2D and the true lens; 1 a detector's errors.
        spread: how far proportions spread.
        mix: share of the clips in which a part of the body moves as in another clip (`mix_bodies`).
        bent: share of the clips that are lowered onto bent knees (training/crouch.py).
        swung: share of the clips in which arms and legs are held otherwise (`swing_limbs`).
        exact: share of the clips that are clean in spite of `noise`.
        layout: the detector's keypoint layout or the names of the joints that it sees; drawn at random for each clip
            if None.
    """
    unit = skeleton.height / PERSON
    joints, turns, moved, contact = random_bodies(skeleton, pose, contact, g, spread, mix, bent, swung)
    path = root + moved
    path = path - path.mean(1, keepdim=True)
    shots = random_shots(path, skeleton.height, g)
    full = shots.off @ shots.turn

    def in_camera(places: Tensor) -> Tensor:
        seen = torch.einsum("bij,btkj->btki", shots.turn, places + path[:, :, None])
        seen[..., 2] += shots.distance[:, None, None]
        return torch.einsum("bij,btkj->btki", shots.off, seen)

    has, errors = draw_layouts(skeleton, len(pose), layout, g)
    seen = in_camera(joints)
    near = 0.25 * unit
    true_rays, in_front = seen[..., :2] / seen[..., 2:].clamp(min=near), (seen[..., 2] > near).float()
    rays, score = true_rays, in_front
    if noise and errors is not None and turns is not None:
        found = in_camera(joints + (noise * unit) * seen_places(errors, turns, g))
        rays = found[..., :2] / found[..., 2:].clamp(min=near)
    if noise:
        outside = (rays.abs() > shots.half[:, None, None]).any(-1)
        rays, score = detector_errors(
            skeleton, rays, score, seen, outside, g, fps=fps, amount=noise, errors=None if turns is None else errors
        )
        rays = wrong_lens(rays, shots.half, g)
        if exact:
            clean = torch.rand(len(pose), 1, 1, generator=g, device=g.device) < exact
            rays = torch.where(clean[..., None], true_rays, rays)
            score = torch.where(clean, in_front, score)
    score = score * has[:, None]
    rooted = torch.einsum("bij,btkj->btki", full, joints)
    return Footage(rays, score, rooted, -full[..., 2], contact, fps)


def seen_places(errors: KeypointErrors, turns: Tensor, g: torch.Generator) -> Tensor:
    """(B, T, J, 3) metres from joints to where a detector sees them, for bodies of PERSON metres.

    Args:
        turns: (B, T, bones, 3, 3). The measured bias is that of a few bodies: it differs by a third.
    """
    bias = errors.bias * (1 + 0.35 * torch.randn(errors.bias.shape, generator=g, device=turns.device))
    batch, frames = turns.shape[:2]
    bone = errors.bone.clamp(min=0)[:, None, :, None, None].expand(batch, frames, -1, 3, 3)
    return torch.einsum("btjik,bjk->btji", turns.gather(2, bone), bias)


def wrong_lens(rays: Tensor, half: Tensor, g: torch.Generator) -> Tensor:
    """(B, T, J, 2) rays as they are taken for, where the lens is known roughly: the focal length is wrong, wide lenses
    bend lines, and one clip in four was cropped, so that the optical axis is not in the middle."""
    d, batch = rays.device, len(rays)

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=g, device=d)

    bend = 0.04 * normal() * (half.amax(-1) > math.tan(math.radians(30))).float()
    rays = rays * (1 + bend[:, None, None, None] * (rays * rays).sum(-1, keepdim=True).clamp(max=1.0))
    cropped = (torch.rand(batch, 1, generator=g, device=d) < 0.25).float()
    rays = rays + (0.08 * half * cropped * normal(2))[:, None, None]
    return rays * (LENS_ERROR * normal()).exp()[:, None, None, None]


def draw_layouts(
    skeleton: Skeleton, batch: int, layout: str | Sequence[str] | None, g: torch.Generator
) -> tuple[Tensor, KeypointErrors | None]:
    """The keypoint layouts of B clips, drawn at random if `layout` is None: (B, J) 1 for joints that the clip's layout
    has, and how its detector errs.

    A layout that has few of the skeleton's joints is not drawn, and where all have few, all joints are seen. Errors are
    None where they were not measured: for these, for names of joints, and for skeletons without bones.
    """
    names = INPUT_LAYOUTS if layout is None else (layout,)
    keypoints = [layout_keypoints(x) if isinstance(x, str) else x for x in names]
    has = [[float(n in names) for n in skeleton.joint_names] for names in keypoints]
    table = torch.tensor(has, device=g.device)
    if layout is None:
        odds = [o if sum(row) > 0.3 * len(row) else 0.0 for o, row in zip(LAYOUT_ODDS, has, strict=True)]
        if not any(odds):
            return torch.ones(batch, len(skeleton.joint_names), device=g.device), None
        which = torch.multinomial(torch.tensor(odds, device=g.device), batch, replacement=True, generator=g)
    else:
        which = torch.zeros(batch, dtype=torch.long, device=g.device)
    measured = noise_layouts() if skeleton.bones else []
    tables = [load_noise(x, skeleton) for x in names if isinstance(x, str) and x in measured]
    return table[which], keypoint_errors(tables, which) if len(tables) == len(names) else None
