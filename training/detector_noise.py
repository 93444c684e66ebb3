"""Errors of a 2D detector on synthetic footage, by kind, as measured on MediaPipe.

White jitter alone would be a wrong model: what real detectors do is a bias per joint and clip, slow drift, a lag, hips
low and wide, joints, limbs and whole bodies missing, left and right exchanged for many frames with full confidence.
B clips of T frames at once, on the device of the generator; seconds become frames by the clips' rate.

How large they are is measured for a layout (training/noise); `KeypointErrors` are those of a batch, whose clips may be
of several layouts. Without them, for skeletons and joints that no layout was measured on, one size fits all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from lifter.skeleton import Skeleton
from training.bodies import PERSON, chains
from training.noise import FAST_SECONDS, SLOW_SECONDS, DetectorNoise

STRENGTH, STRENGTH_SPREAD = 1.2, 0.55
"""Detectors err more on real footage than on the rendered performers on whom they were measured, and on some clips far
more (two people, poor light, blur): median factor, and standard deviation of its logarithm."""


@dataclass(frozen=True)
class KeypointErrors:
    """How detectors err on B clips.

    Attributes:
        bone: (B, J) bone in whose axes the bias is, -1 where the layout lacks the joint; bias: (B, J, 3) metres for a
            body of PERSON metres: where the detector sees the joint.
        spread, fast, slow, white, hidden, score, score_hidden: (B, J); lag: (B,) seconds; as of `DetectorNoise`.
    """

    bone: Tensor
    bias: Tensor
    spread: Tensor
    fast: Tensor
    slow: Tensor
    white: Tensor
    hidden: Tensor
    score: Tensor
    score_hidden: Tensor
    lag: Tensor


def keypoint_errors(tables: list[DetectorNoise], which: Tensor) -> KeypointErrors:
    """The errors of clips whose layouts are `which` (B,) of the tables."""

    def rows(name: str) -> Tensor:
        table = np.stack([np.asarray(getattr(t, name)) for t in tables])
        table = table.astype(np.float32) if table.dtype.kind == "f" else table
        return torch.from_numpy(table).to(which.device)[which]

    return KeypointErrors(**{f.name: rows(f.name) for f in fields(KeypointErrors)})


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
    errors: KeypointErrors | None = None,
) -> tuple[Tensor, Tensor]:
    """Errors of a 2D detector, by kind, as measured on MediaPipe: a bias per joint and clip, slow drift, little white
    jitter and a lag; worse where a joint is hidden or out of the picture; joints, limbs and whole bodies missing; left
    and right exchanged, with full confidence.

    Args:
        rays: (B, T, J, 2); score: (B, T, J); seen: (B, T, J, 3) joints in camera space.
        outside: (B, T, J) True where a joint lies out of the picture.
        amount: how large the errors of places are.
        errors: of the clips' layouts; their bias is in the rays already.
    """
    batch, frames, count = score.shape
    d, unit = rays.device, skeleton.height / PERSON

    def each(probability: float, seconds: float) -> Tensor:
        """(B, T, J) bursts of each joint."""
        hit = bursts(batch * count, frames, probability, seconds * fps, g)
        return hit.unflatten(0, (batch, count)).movedim(1, 2)

    def some(probability: float) -> Tensor:
        return torch.rand(batch, 1, 1, generator=g, device=d) < probability

    occluded = occluders(rays, g, fps).float()
    trouble = 1 + 3 * each(0.15, 0.66) + 3 * occluded + 2 * outside.float()
    rays = late(rays, fps, g, None if errors is None else errors.lag)
    metre = unit / seen[:, :, 0, 2].clamp(min=unit)  # a metre at the body, on the plane z = 1
    if errors is None:
        trouble = trouble + (seen[..., 2] > seen[:, :, :1, 2] + 0.12 * unit).float()
        strength = (0.5 * torch.randn(batch, 1, 1, generator=g, device=d)).exp() * some(0.9)
        off = _places(skeleton, rays / metre[..., None, None], trouble, g, fps)
        sure = _scores(trouble, g)
    else:
        hidden = behind_the_body(skeleton, seen)
        strength = STRENGTH * (STRENGTH_SPREAD * torch.randn(batch, 1, 1, generator=g, device=d)).exp() * some(0.95)
        off = _measured_places(errors, trouble + (errors.hidden[:, None] - 1) * hidden, g, fps)
        sure = _measured_scores(errors, hidden, trouble, g, fps)
    rays = rays + off * (strength * metre[..., None] * amount).unsqueeze(-1)
    score = score * sure
    # Some detectors guess at what they cannot see, others leave it out.
    lost = (outside & some(0.5)).float() + occluded * some(0.5)
    lost = lost + lost_limbs(skeleton, batch, frames, g)
    lost = lost + bursts(batch, frames, 0.08, 0.33 * fps, g)[..., None] + each(0.04, frames / fps)
    score = torch.where(lost > 0, 0.0, score)
    return swap_sides(skeleton, rays, score, g, fps)


def _scores(trouble: Tensor, g: torch.Generator) -> Tensor:
    """(B, T, J) confidence: some detectors are less sure of everything, and of joints in trouble."""
    batch, _, count = trouble.shape
    d = trouble.device
    unsure = torch.rand(batch, 1, count, generator=g, device=d) * torch.rand(batch, 1, 1, generator=g, device=d)
    confidence = 1 - 0.5 * unsure
    return (confidence - 0.12 * (trouble - 1) * torch.rand(batch, 1, 1, generator=g, device=d)).clamp(0.05, 1)


def _measured_places(errors: KeypointErrors, trouble: Tensor, g: torch.Generator, fps: float) -> Tensor:
    """(B, T, J, 2) error of where joints are found beside their bias, metres in the picture's plane."""
    batch, frames, count = trouble.shape

    def slow(seconds: float) -> Tensor:
        return wander((batch, count, 2), frames, max(1, round(seconds * fps)), g)

    def each_frame(amount: Tensor) -> Tensor:
        return amount[:, None, :, None]

    drift = each_frame(errors.fast) * slow(FAST_SECONDS) + each_frame(errors.slow) * slow(SLOW_SECONDS)
    jitter = each_frame(errors.white) * torch.randn(batch, frames, count, 2, generator=g, device=trouble.device)
    once = torch.randn(batch, 1, count, 2, generator=g, device=trouble.device)
    return each_frame(errors.spread) * once + (drift + jitter) * trouble[..., None]


def _measured_scores(errors: KeypointErrors, hidden: Tensor, trouble: Tensor, g: torch.Generator, fps: float) -> Tensor:
    """(B, T, J) confidence: lower where the body, something else or the picture's edge hides a joint; some detectors
    are less sure of everything, all are unsure in their own way."""
    batch, frames, count = hidden.shape
    d = g.device
    mean = torch.where(hidden, errors.score_hidden[:, None], errors.score[:, None]).clamp(0.05, 0.98)
    logit = mean.logit() - 0.5 * (trouble - 1)
    drawn = 0.8 * torch.randn(batch, 1, 1, generator=g, device=d)
    drawn = drawn + 0.5 * torch.randn(batch, 1, count, generator=g, device=d)
    drawn = drawn + 0.7 * wander((batch, count), frames, max(1, round(SLOW_SECONDS * fps)), g)
    least = torch.rand(batch, 1, 1, generator=g, device=d)
    return ((logit + drawn).sigmoid() * (1 - 0.4 * least * least)).clamp(0.02, 1)


def behind_the_body(skeleton: Skeleton, seen: Tensor) -> Tensor:
    """(B, T, J) True where the trunk, the head or a thigh lies before a joint: capsules, as wide as people are.

    Args:
        seen: (B, T, J, 3) joints in camera space.
    """
    unit = skeleton.height / PERSON
    hidden = torch.zeros(seen.shape[:3], dtype=torch.bool, device=seen.device)
    depth = seen[..., 2].clamp(min=0.1 * unit)
    place = seen[..., :2] / depth[..., None]
    for first, second, radius in CAPSULES:
        if first not in skeleton.joint_names or second not in skeleton.joint_names:
            continue
        a, b = skeleton.joint(first), skeleton.joint(second)
        start, along = place[:, :, a, None], (place[:, :, b] - place[:, :, a])[:, :, None]
        length = (along * along).sum(-1).clamp(min=1e-8)
        t = ((place - start) * along).sum(-1).div(length).clamp(0, 1)
        off = (place - start - t[..., None] * along).norm(dim=-1)
        front = depth[:, :, a, None] + t * (depth[:, :, b] - depth[:, :, a])[:, :, None]
        covered = (off * front < radius * unit) & (depth > front + 1.2 * radius * unit)
        covered[:, :, [a, b]] = False
        hidden |= covered
    return hidden


CAPSULES = (
    ("pelvis", "neck", 0.12),
    ("head", "head_top", 0.09),
    ("l_hip", "l_knee", 0.075),
    ("r_hip", "r_knee", 0.075),
    ("l_shoulder", "l_elbow", 0.045),
    ("r_shoulder", "r_elbow", 0.045),
)
"""What hides joints behind it: between which joints it lies, and its radius in metres for a body of PERSON metres."""


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


def late(rays: Tensor, fps: float, g: torch.Generator, lag: Tensor | None = None) -> Tensor:
    """(B, T, J, 2) rays of some moments before: detectors of video smooth. Half of the clips are up to a thirtieth of a
    second late or, where `lag` (B,) seconds was measured, all by up to twice as much."""
    d, frames = rays.device, rays.shape[1]
    drawn = torch.rand(2, len(rays), 1, generator=g, device=d)
    lag = drawn[0] * (drawn[1] < 0.5) * fps / 30 if lag is None else 2 * drawn[0] * lag[:, None] * fps
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
