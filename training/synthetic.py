"""Synthetic footage: motion on random proportions before random cameras, as a detector would see it.

Everything is vectorised over a batch of B clips of T frames, and runs on the device of its tensors with a generator of
that device: one seed gives one batch (of a device; CPUs and GPUs draw different numbers). Lengths are metres for a
body of the skeleton's own height; what is said in metres below is so for a height of 1.70 m, and scales with it, so a
hand is filmed as well as a person. Angles are radians.

Motion is given as `pose`: (B, T, bones, 4) rotations for a skeleton with bones, (B, T, J, 3) joints relative to the
root for one without; and `root`, the (B, T, 3) path of the root joint, scene space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lifter.camera import FOLLOW_SECONDS, follow_person, look_at
from lifter.checkpoint import middle_weights
from lifter.skeleton import Skeleton, layout_keypoints

INPUT_LAYOUTS = ("mediapipe33", "coco17", "halpe26", "body25", "h36m17")
LAYOUT_ODDS = (0.6, 0.1, 0.12, 0.12, 0.06)

PERSON = 1.70
"""Height for which lengths below are said, metres."""
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


def quaternions_to_matrices(q: Tensor) -> Tensor:
    """(..., 4) unit quaternions to (..., 3, 3)."""
    w, x, y, z = q.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def rotation_vectors_to_matrices(v: Tensor) -> Tensor:
    """(..., 3) axis times angle to (..., 3, 3)."""
    half = v / 2
    angle = half.norm(dim=-1, keepdim=True)
    return quaternions_to_matrices(torch.cat([angle.cos(), half * torch.sinc(angle / math.pi)], -1))


def mirror_motion(skeleton: Skeleton, pose: Tensor, root: Tensor, contact: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same motion in a mirror (x -> -x)."""
    flip = pose.new_tensor([-1.0, 1.0, 1.0])
    if pose.shape[-1] == 4:
        names = [b.name for b in skeleton.bones]
        swap = [names.index({"l_": "r_", "r_": "l_"}.get(n[:2], n[:2]) + n[2:]) for n in names]
        mirrored = pose[..., swap, :] * pose.new_tensor([1.0, 1.0, -1.0, -1.0])
    else:
        mirrored = pose[..., skeleton.mirror.tolist(), :] * flip
    return mirrored, root * flip, contact[..., skeleton.contact_mirror.tolist()]


def random_people(skeleton: Skeleton, batch: int, g: torch.Generator, spread: float = 1.0) -> Tensor:
    """(B, J, 3) offsets of each joint from its parent: random proportions, all of the same height.

    How parts of people vary together is in a table; joints of other names vary by themselves. Sides agree.
    """
    d = g.device
    names, parents = skeleton.joint_names, torch.tensor(skeleton.parents, device=d)
    rest = torch.tensor(skeleton.rest, device=d)
    base = torch.where(parents[:, None] >= 0, rest - rest[parents.clamp(min=0)], torch.zeros(3, device=d))
    unit = skeleton.height / PERSON

    def scale(deviation: float) -> Tensor:
        return (torch.randn(batch, generator=g, device=d) * deviation * spread).exp()

    leg, arm, torso, head = scale(0.04), scale(0.04), scale(0.05), scale(0.05)
    factors = {
        "spine": torso * scale(0.08),
        "chest": torso * scale(0.06),
        "neck": torso * scale(0.05),
        "head": scale(0.08),
        "head_top": head,
        "nose": head,
        "ear": head,
        "clavicle": torso,
        "shoulder": scale(0.07),
        "elbow": arm * scale(0.04),
        "wrist": arm * scale(0.04),
        "thumb": arm * scale(0.06),
        "index": arm * scale(0.06),
        "little": arm * scale(0.06),
        "hip": scale(0.10),
        "knee": leg * scale(0.04),
        "ankle": leg * scale(0.04),
        "heel": scale(0.08),
        "toe": scale(0.06),
    }
    kind = [n.removeprefix("l_").removeprefix("r_") for n in names]
    others = {k: scale(0.06) for k in dict.fromkeys(kind) if k not in factors}
    factor = torch.stack([(factors | others)[k] for k in kind], 1)
    # Where a marker or a joint lies differs between people and between those who define it; sides agree.
    vague = ("nose", "head_top", "ear", "hip", "clavicle", "shoulder", "spine")
    deviation = torch.tensor([0.012 if k in vague else 0.008 for k in kind], device=d) * spread * unit
    jitter = torch.randn(batch, len(names), 3, generator=g, device=d) * deviation[:, None]
    if skeleton.symmetric:
        swap = torch.tensor(skeleton.mirror.tolist(), device=d)
        mirrored = jitter[:, swap] * torch.tensor([-1.0, 1.0, 1.0], device=d)
        is_right = torch.tensor([n.startswith("r_") for n in names], device=d)
        jitter = torch.where(is_right[None, :, None], mirrored, jitter)
        jitter = jitter * torch.where(
            (swap == torch.arange(len(names), device=d))[:, None], torch.tensor([0.0, 1.0, 1.0], device=d), 1.0
        )
    offsets = base * factor[..., None] + jitter
    offsets[:, 0] = 0
    standing = torch.einsum("ij,bjk->bik", _chains(skeleton, d), offsets)
    axis = int((rest.amax(0) - rest.amin(0)).argmax())
    top, bottom = int(rest[:, axis].argmax()), int(rest[:, axis].argmin())
    height = standing[:, top, axis] - standing[:, bottom, axis]
    return offsets * ((rest[top, axis] - rest[bottom, axis]) / height)[:, None, None]


def _chains(skeleton: Skeleton, device: torch.device) -> Tensor:
    """(J, J) 1 where the second joint lies between the root, which is left out, and the first, or is it."""
    chain = np.zeros((len(skeleton.parents), len(skeleton.parents)), np.float32)
    for j, parent in enumerate(skeleton.parents):
        if parent >= 0:
            chain[j] = chain[parent]
            chain[j, j] = 1
    return torch.from_numpy(chain).to(device)


def pose_people(skeleton: Skeleton, rotations: Tensor, offsets: Tensor) -> Tensor:
    """(B, T, J, 3) joints relative to the root from (B, T, bones, 3, 3) rotations and (B, J, 3) offsets."""
    bone = torch.tensor(skeleton.bone_of_joint.tolist(), device=offsets.device).clamp(min=0)
    steps = torch.einsum("btjik,bjk->btji", rotations[:, :, bone], offsets)
    return torch.einsum("ij,btjk->btik", _chains(skeleton, offsets.device), steps)


def resize_people(skeleton: Skeleton, joints: Tensor, g: torch.Generator, spread: float = 1.0) -> Tensor:
    """(B, T, J, 3) joints relative to the root, of other proportions: every bone longer or shorter, all bones together
    as long as the skeleton's. Sides agree."""
    d = joints.device
    parents = torch.tensor(skeleton.parents, device=d)
    steps = joints - joints[:, :, parents.clamp(min=0)]
    kind = [n.removeprefix("l_").removeprefix("r_") if skeleton.symmetric else n for n in skeleton.joint_names]
    kinds = list(dict.fromkeys(kind))
    factors = (torch.randn(len(joints), len(kinds), generator=g, device=d) * 0.06 * spread).exp()
    steps = steps * factors[:, None, [kinds.index(k) for k in kind], None]
    length = steps.norm(dim=-1).mean(1).sum(-1)
    rest = torch.tensor(skeleton.rest_offsets, device=d, dtype=joints.dtype).norm(dim=-1).sum()
    steps = steps * (rest / length.clamp(min=1e-6))[:, None, None, None]
    return torch.einsum("ij,btjk->btik", _chains(skeleton, d), steps)


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


def film(
    skeleton: Skeleton,
    pose: Tensor,
    root: Tensor,
    contact: Tensor,
    g: torch.Generator,
    *,
    fps: float = 30.0,
    noise: float = 1.0,
    spread: float = 1.0,
    layout: str | Sequence[str] | None = None,
) -> Views:
    """Put a motion on random bodies and look at them through random cameras.

    Args:
        pose, root: the motion (see above); contact: (B, T, points), passed through.
        noise: 0 gives clean 2D and the true lens; 1 a detector's errors.
        spread: how far proportions spread.
        layout: the detector's keypoint layout or the names of the joints that it sees; drawn at random for each clip
            if None.
    """
    d, unit = pose.device, skeleton.height / PERSON
    joints = _bodies(skeleton, pose, g, spread)
    path = root - root.mean(1, keepdim=True)
    shots = random_shots(path, skeleton.height, g)
    seen = torch.einsum("bij,btkj->btki", shots.turn, joints + path[:, :, None])
    seen[..., 2] += shots.distance[:, None, None]
    seen = torch.einsum("bij,btkj->btki", shots.off, seen)
    full = shots.off @ shots.turn
    near = 0.25 * unit
    rays = seen[..., :2] / seen[..., 2:].clamp(min=near)
    score = (seen[..., 2] > near).float()
    if noise:
        outside = (rays.abs() > shots.half[:, None, None]).any(-1)
        rays, score = detector_errors(skeleton, rays, score, seen, outside, g, fps=fps, amount=noise)
        rays = wrong_lens(rays, shots.half, g)
    score = score * layout_mask(skeleton, len(pose), layout, g)[:, None]
    rotation, rays, size = follow_person(
        torch.where(score[..., None] > 0, rays, 0.0),
        score,
        torch.from_numpy(middle_weights(skeleton)).to(d),
        FOLLOW_SECONDS * fps,
    )
    rooted = torch.einsum("bij,btkj->btki", full, joints)
    target = torch.einsum("btij,btkj->btki", rotation, rooted)
    down = torch.einsum("btij,bj->bti", rotation, -full[..., 2])
    return Views(rays, score, size, target, down, contact)


def _bodies(skeleton: Skeleton, pose: Tensor, g: torch.Generator, spread: float) -> Tensor:
    """(B, T, J, 3) joints relative to the root."""
    if pose.shape[-1] == 3:
        return resize_people(skeleton, pose, g, spread)
    turns = quaternions_to_matrices(pose)
    # Nobody carries a bone exactly as the recording's skeleton did.
    deviation = [0.15 if b.name.endswith("hand") else 0.05 for b in skeleton.bones]
    drawn = torch.randn(len(pose), 1, len(skeleton.bones), 3, generator=g, device=pose.device)
    turns = turns @ rotation_vectors_to_matrices(drawn * pose.new_tensor(deviation)[:, None] * spread)
    return pose_people(skeleton, turns, random_people(skeleton, len(pose), g, spread))


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


def layout_mask(skeleton: Skeleton, batch: int, layout: str | Sequence[str] | None, g: torch.Generator) -> Tensor:
    """(B, J) 1 for joints that the clip's layout has. One that has few of the skeleton's joints is not drawn, and where
    all have few, all joints are seen."""
    layouts = INPUT_LAYOUTS if layout is None else (layout,)
    keypoints = [layout_keypoints(x) if isinstance(x, str) else x for x in layouts]
    has = [[float(n in names) for n in skeleton.joint_names] for names in keypoints]
    table = torch.tensor(has, device=g.device)
    if layout is not None:
        return table.expand(batch, -1)
    odds = [o if sum(row) > 0.3 * len(row) else 0.0 for o, row in zip(LAYOUT_ODDS, has, strict=True)]
    if not any(odds):
        return torch.ones(batch, len(skeleton.joint_names), device=g.device)
    return table[torch.multinomial(torch.tensor(odds, device=g.device), batch, replacement=True, generator=g)]


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
    """(B, T, J) above 0 where a joint and all that hangs on it are not found, for a while."""
    d = g.device
    below = _chains(skeleton, d).T  # row: a joint; 1 for itself and what hangs on it
    odds = (below.sum(1) > 0) & (below.sum(1) < 0.5 * len(below))
    lost = torch.zeros(batch, frames, len(below), device=d)
    if not odds.any():
        return lost
    for _ in range(4):
        limb = below[torch.multinomial(odds.float(), batch, replacement=True, generator=g)]
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
    below = _chains(skeleton, d).T
    pairs = ((below + below[skeleton.mirror.tolist()]) > 0).float()  # a joint, its mirror image, and what hangs on them
    part = pairs[torch.randint(0, count, (batch,), generator=g, device=d)]
    limbs = bursts(batch, frames, 0.05, 0.4 * fps, g)[..., None] * part[:, None]
    swapped = (whole + limbs) > 0
    swap = skeleton.mirror.tolist()
    return torch.where(swapped[..., None], rays[:, :, swap], rays), torch.where(swapped, score[:, :, swap], score)
