"""Errors of a 2D detector on synthetic footage, by kind, as measured on MediaPipe.

White jitter alone would be a wrong model: what real detectors do is a bias per joint and clip, slow drift, a lag, hips
low and wide, joints, limbs and whole bodies missing, left and right exchanged for many frames with full confidence.
B clips of T frames at once, on the device of the generator; seconds become frames by the clips' rate.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lifter.skeleton import Skeleton
from training.bodies import PERSON, chains


def detector_errors(
    skeleton: Skeleton,
    rays: Tensor,
    score: Tensor,
    seen: Tensor,
    outside: Tensor,
    g: torch.Generator,
    *,
    fps: float,
    amount: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Errors of a 2D detector, by kind, as measured on MediaPipe: a bias per joint and clip, slow drift, little white
    jitter and a lag; worse where a joint is hidden or out of the picture; joints, limbs and whole bodies missing; left
    and right exchanged, with full confidence.

    Args:
        rays: (B, T, J, 2); score: (B, T, J); seen: (B, T, J, 3) joints in camera space.
        outside: (B, T, J) True where a joint lies out of the picture.
        amount: how large the errors of places are.
    """
    batch, frames, count = score.shape
    d, unit = rays.device, skeleton.height / PERSON

    def each(probability: float, seconds: float) -> Tensor:
        """(B, T, J) bursts of each joint."""
        hit = bursts(batch * count, frames, probability, seconds * fps, g)
        return hit.unflatten(0, (batch, count)).movedim(1, 2)

    def some(probability: float) -> Tensor:
        return torch.rand(batch, 1, 1, generator=g, device=d) < probability

    hidden = (seen[..., 2] > seen[:, :, :1, 2] + 0.12 * unit).float()
    occluded = occluders(rays, g, fps).float()
    trouble = 1 + hidden + 3 * each(0.15, 0.66) + 3 * occluded + 2 * outside.float()
    rays = late(rays, fps, g)
    metre = unit / seen[:, :, 0, 2].clamp(min=unit)  # a metre at the body, on the plane z = 1
    strength = (0.5 * torch.randn(batch, 1, 1, generator=g, device=d)).exp() * some(0.9)
    rays = rays + _places(skeleton, rays / metre[..., None, None], trouble, g, fps) * (
        strength * metre[..., None] * amount
    ).unsqueeze(-1)
    confidence = 1 - 0.5 * torch.rand(batch, 1, count, generator=g, device=d) * torch.rand(
        batch, 1, 1, generator=g, device=d
    )
    score = score * (confidence - 0.12 * (trouble - 1) * torch.rand(batch, 1, 1, generator=g, device=d)).clamp(0.05, 1)
    # Some detectors guess at what they cannot see, others leave it out.
    lost = (outside & some(0.5)).float() + occluded * some(0.5)
    lost = lost + lost_limbs(skeleton, batch, frames, g)
    lost = lost + bursts(batch, frames, 0.08, 0.33 * fps, g)[..., None] + each(0.04, frames / fps)
    score = torch.where(lost > 0, 0.0, score)
    return swap_sides(skeleton, rays, score, g, fps)


def _places(skeleton: Skeleton, places: Tensor, trouble: Tensor, g: torch.Generator, fps: float) -> Tensor:
    """(B, T, J, 2) error of where joints are found, which are at `places`; both metres in the picture's plane."""
    batch, frames, count = trouble.shape
    d, names = places.device, skeleton.joint_names
    loose = ("wrist", "ankle", "thumb", "index", "little", "heel", "toe")
    ends = torch.tensor([1.5 if n[2:] in loose else 1.0 for n in names], device=d)

    def slow(seconds: float) -> Tensor:
        return wander((batch, count, 2), frames, max(1, round(seconds * fps)), g)

    error = (
        0.020 * torch.randn(batch, 1, count, 2, generator=g, device=d)
        + (0.014 * slow(0.2) + 0.014 * slow(0.6)) * trouble[..., None]
        + 0.004 * torch.randn(batch, frames, count, 2, generator=g, device=d) * trouble[..., None]
    ) * ends[:, None]
    if "l_hip" in names and "r_hip" in names:
        # A detector's hips lie lower and wider than the anatomical ones.
        left, right = names.index("l_hip"), names.index("r_hip")
        low = 0.02 * torch.randn(batch, 1, generator=g, device=d) + 0.015
        wide = 0.12 * torch.randn(batch, 1, 1, generator=g, device=d) + 0.12
        across = wide * (places[:, :, left] - places[:, :, right])
        error[:, :, left] += across
        error[:, :, right] -= across
        error[:, :, [left, right], 1] += low[:, None]
    return error


def late(rays: Tensor, fps: float, g: torch.Generator) -> Tensor:
    """(B, T, J, 2) rays of up to a thirtieth of a second before, in half of the clips: detectors of video smooth."""
    d, frames = rays.device, rays.shape[1]
    drawn = torch.rand(2, len(rays), 1, generator=g, device=d)
    lag = drawn[0] * (drawn[1] < 0.5) * fps / 30
    at = (torch.arange(frames, device=d) - lag).clamp(min=0)
    low = at.long()
    u = (at - low)[..., None, None]
    rows = torch.arange(len(rays), device=d)[:, None]
    return rays[rows, low] * (1 - u) + rays[rows, (low + 1).clamp(max=frames - 1)] * u


def occluders(rays: Tensor, g: torch.Generator, fps: float) -> Tensor:
    """(B, T, J) True behind an upright rectangle that stands still in the picture, for a while, in a sixth of the
    clips: furniture that somebody passes, or somebody else."""
    batch, frames = rays.shape[:2]
    d = rays.device
    middle = rays.mean((1, 2))
    size = (rays - rays.mean(2, keepdim=True)).norm(dim=-1).mean((1, 2))[:, None]
    at = middle + torch.randn(batch, 2, generator=g, device=d) * size
    half = (0.3 + 1.2 * torch.rand(batch, 2, generator=g, device=d)) * size
    inside = ((rays - at[:, None, None]).abs() < half[:, None, None]).all(-1)
    return inside & (bursts(batch, frames, 0.17, 2 * frames, g, 0.5 * fps)[..., None] > 0)


def lost_limbs(skeleton: Skeleton, batch: int, frames: int, g: torch.Generator) -> Tensor:
    """(B, T, J) above 0 where a joint and all that hangs on it are not found, for a while; never half of the body."""
    d, count = g.device, len(skeleton.joint_names)
    hanging = [0] * count
    for j in range(1, count):
        while j >= 0:
            hanging[j] += 1
            j = skeleton.parents[j]
    limbs = [j for j in range(1, count) if hanging[j] < 0.5 * count]
    lost = torch.zeros(batch, frames, count, device=d)
    if not limbs:
        return lost
    below = chains(skeleton, d).T[limbs]  # row: a joint; 1 for itself and what hangs on it
    for _ in range(4):
        limb = below[torch.randint(0, len(limbs), (batch,), generator=g, device=d)]
        lost = lost + bursts(batch, frames, 0.06, 2 * frames, g)[..., None] * limb[:, None]
    return lost


def swap_sides(
    skeleton: Skeleton, rays: Tensor, score: Tensor, g: torch.Generator, fps: float
) -> tuple[Tensor, Tensor]:
    """Exchange left and right for a while, of the whole body in a twelfth of the clips, of a part in as many less."""
    if not skeleton.symmetric:
        return rays, score
    batch, frames, count = score.shape
    d = rays.device
    whole = bursts(batch, frames, 0.08, 0.6 * fps, g, 0.1 * fps)[..., None]
    below = chains(skeleton, d).T
    pairs = ((below + below[skeleton.mirror.tolist()]) > 0).float()  # a joint, its mirror image, and what hangs on them
    part = pairs[torch.randint(0, count, (batch,), generator=g, device=d)]
    limbs = bursts(batch, frames, 0.05, 0.4 * fps, g)[..., None] * part[:, None]
    swapped = (whole + limbs) > 0
    swap = skeleton.mirror.tolist()
    return torch.where(swapped[..., None], rays[:, :, swap], rays), torch.where(swapped, score[:, :, swap], score)


def wander(shape: tuple[int, ...], frames: int, knot: int, g: torch.Generator) -> Tensor:
    """(B, T, ...) noise that changes slowly: linear between independent normal values `knot` frames apart."""
    batch, d = shape[0], g.device
    knots = torch.randn(batch, math.prod(shape[1:]), frames // knot + 2, generator=g, device=d)
    at = torch.arange(frames, device=d)[None] / knot + torch.rand(batch, 1, generator=g, device=d)
    i = at.long().clamp(max=knots.shape[-1] - 2)
    u = (at - i)[:, None]
    i = i[:, None].expand(-1, knots.shape[1], -1)
    values = knots.gather(2, i) * (1 - u) + knots.gather(2, i + 1) * u
    return values.unflatten(1, shape[1:]).movedim(-1, 1)


def bursts(
    batch: int, frames: int, probability: float, longest: float, g: torch.Generator, shortest: float = 1.0
) -> Tensor:
    """(B, T) 1 within one stretch of `shortest` to `longest` frames, in a share of the clips."""
    d = g.device
    length = shortest + torch.rand(batch, 1, generator=g, device=d) * max(0.0, longest - shortest)
    start = torch.rand(batch, 1, generator=g, device=d) * (frames + length) - length
    t = torch.arange(frames, device=d)[None]
    hit = torch.rand(batch, 1, generator=g, device=d) < probability
    return ((t >= start) & (t < start + length) & hit).float()
