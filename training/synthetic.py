"""Synthetic footage: people of random proportions before random cameras, as a detector would see them.

Everything is vectorised over a batch of B clips of T frames and runs on the device of its tensors.
Lengths are metres for a person of the skeleton's own height; angles radians.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lifter.camera import FOLLOW_SECONDS, follow_person, look_at
from lifter.checkpoint import middle_weights
from lifter.skeleton import Skeleton, layout_keypoints

INPUT_LAYOUTS = ("mediapipe33", "coco17", "halpe26", "body25", "h36m17")
LAYOUT_ODDS = (0.6, 0.1, 0.12, 0.12, 0.06)


@dataclass(frozen=True)
class Views:
    """What a camera sees of B clips, and the truth. Shapes as in lifter/nets/temporal_mixer.py."""

    rays: Tensor
    score: Tensor
    size: Tensor
    joints: Tensor
    down: Tensor
    contact: Tensor


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


def mirror_motion(skeleton: Skeleton, q: Tensor, root: Tensor, contact: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same motion in a mirror (x -> -x)."""
    names = [b.name for b in skeleton.bones]
    swap = [names.index({"l_": "r_", "r_": "l_"}.get(n[:2], n[:2]) + n[2:]) for n in names]
    sign = torch.tensor([1.0, 1.0, -1.0, -1.0])
    return q[..., swap, :] * sign, root * torch.tensor([-1.0, 1.0, 1.0]), contact[..., skeleton.contact_mirror.tolist()]


def random_people(skeleton: Skeleton, batch: int, g: torch.Generator, spread: float = 1.0) -> Tensor:
    """(B, J, 3) offsets of each joint from its parent: random human proportions, all of the same height."""
    names, parents = skeleton.joint_names, torch.tensor(skeleton.parents)
    rest = torch.tensor(skeleton.rest)
    base = torch.where(parents[:, None] >= 0, rest - rest[parents.clamp(min=0)], torch.zeros(3))

    def scale(deviation: float) -> Tensor:
        return (torch.randn(batch, generator=g) * deviation * spread).exp()

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
    factor = torch.stack([factors.get(k, torch.ones(batch)) for k in kind], 1)
    # Where a marker or a joint lies differs between people and between those who define it; sides agree.
    jitter = torch.randn(batch, len(names), 3, generator=g) * 0.008 * spread
    for deviation, group in ((0.012, ("nose", "head_top", "ear", "hip", "clavicle", "shoulder", "spine")),):
        extra = torch.randn(batch, len(names), 3, generator=g) * deviation * spread
        jitter = torch.where(torch.tensor([k in group for k in kind])[None, :, None], extra, jitter)
    swap = torch.tensor(skeleton.mirror.tolist())
    mirrored = jitter[:, swap] * torch.tensor([-1.0, 1.0, 1.0])
    is_right = torch.tensor([n.startswith("r_") for n in names])
    jitter = torch.where(is_right[None, :, None], mirrored, jitter)
    midline = swap == torch.arange(len(names))
    jitter[:, midline, 0] = 0
    offsets = base * factor[..., None] + jitter
    offsets[:, 0] = 0
    up = offsets[..., 2]
    column = [names.index(n) for n in ("spine", "chest", "neck", "head", "head_top")]
    down = [names.index(n) for n in ("l_hip", "l_knee", "l_ankle", "l_heel")]
    height = up[:, column].sum(1) - up[:, down].sum(1)
    own = float(rest[names.index("head_top"), 2] - rest[names.index("l_heel"), 2])
    return offsets * (own / height)[:, None, None]


def pose_people(skeleton: Skeleton, rotations: Tensor, offsets: Tensor) -> Tensor:
    """(B, T, J, 3) joints relative to the root from (B, T, bones, 3, 3) rotations and (B, J, 3) offsets."""
    bone = torch.tensor(skeleton.bone_of_joint.tolist()).clamp(min=0)
    steps = torch.einsum("btjik,bjk->btji", rotations[:, :, bone], offsets)
    chain = torch.zeros(len(skeleton.parents), len(skeleton.parents))
    for j, parent in enumerate(skeleton.parents):
        if parent >= 0:
            chain[j] = chain[parent]
            chain[j, j] = 1
    return torch.einsum("ij,btjk->btik", chain, steps)


def random_cameras(batch: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """(B, 3, 3) rotations from scene space to a camera that looks at the person, and (B,) distances.

    Low and high, near and far, rolled: phones are held askew. The camera looks at the person here; where in
    the picture the person then stands is drawn in `film`.
    """

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g)

    elevation = torch.where(uniform(batch) < 0.75, 0.07 + 0.16 * normal(batch), -0.4 + 1.5 * uniform(batch))
    yaw = 2 * math.pi * uniform(batch)
    roll = torch.where(uniform(batch) < 0.8, 0.05 * normal(batch), 0.3 * normal(batch))
    distance = (math.log(1.7) + (math.log(11.0) - math.log(1.7)) * uniform(batch)).exp()
    ce, se, cy, sy = elevation.cos(), elevation.sin(), yaw.cos(), yaw.sin()
    zero = torch.zeros(batch)
    # The camera stands at (cy ce, sy ce, se) * distance from the person and looks back.
    forward = torch.stack([-cy * ce, -sy * ce, -se], -1)
    right = torch.stack([-sy, cy, zero], -1)
    down = torch.cross(forward, right, dim=-1)
    cr, sr = roll.cos()[:, None], roll.sin()[:, None]
    return torch.stack([cr * right + sr * down, -sr * right + cr * down, forward], -2), distance


def film(
    skeleton: Skeleton,
    q: Tensor,
    root: Tensor,
    contact: Tensor,
    g: torch.Generator,
    *,
    fps: float = 30.0,
    noise: float = 1.0,
    spread: float = 1.0,
    layout: str | Sequence[str] | None = None,
) -> Views:
    """Pose random people by a motion and look at them through random cameras.

    Args:
        q: (B, T, bones, 4) rotations; root: (B, T, 3) path; contact: (B, T, 4).
        noise: 0 gives clean 2D and the true lens; 1 a detector's errors.
        spread: how far human proportions spread.
        layout: the detector's keypoint layout or the names of the joints that it sees; drawn at random for each clip
            if None.
    """
    batch = len(q)
    turns = quaternions_to_matrices(q)
    # Nobody carries a bone exactly as the recording's skeleton did.
    deviation = torch.tensor([0.15 if b.name.endswith("hand") else 0.05 for b in skeleton.bones]) * spread
    turns = turns @ rotation_vectors_to_matrices(
        torch.randn(batch, 1, len(skeleton.bones), 3, generator=g) * deviation[:, None]
    )
    joints = pose_people(skeleton, turns, random_people(skeleton, batch, g, spread))
    camera, distance = random_cameras(batch, g)
    place = root - root.mean(1, keepdim=True)
    seen = torch.einsum("bij,btkj->btki", camera, joints + place[:, :, None])
    seen[..., 2] += distance[:, None, None]
    # Off the optical axis, and with the lens known only roughly.
    axis = torch.randn(batch, 2, generator=g) * torch.tensor([0.25, 0.12])
    off = look_at(axis.clamp(-0.6, 0.6))
    seen = torch.einsum("bij,btkj->btki", off, seen)
    full = torch.einsum("bij,bjk->bik", off, camera)
    depth = seen[..., 2:].clamp(min=0.25)
    lens = (torch.randn(batch, generator=g) * 0.12 * (1 if noise else 0)).exp()
    rays = seen[..., :2] / depth * lens[:, None, None, None]
    score = (seen[..., 2] > 0.25).float()
    if noise:
        scale = 1.0 / distance * lens  # the noise is relative to a person's size in the picture
        rays, score = detector_errors(skeleton, rays, score, seen, scale * noise, g)
    score = score * layout_mask(skeleton, batch, layout, g)[:, None]
    rotation, rays, size = follow_person(
        torch.where(score[..., None] > 0, rays, 0.0),
        score,
        torch.from_numpy(middle_weights(skeleton)),
        FOLLOW_SECONDS * fps,
    )
    rooted = torch.einsum("bij,btkj->btki", full, joints)
    target = torch.einsum("btij,btkj->btki", rotation, rooted)
    down = torch.einsum("btij,bj->bti", rotation, -full[..., 2])
    return Views(rays, score, size, target, down, contact)


def layout_mask(skeleton: Skeleton, batch: int, layout: str | Sequence[str] | None, g: torch.Generator) -> Tensor:
    """(B, J) 1 for joints that the clip's layout has."""
    layouts = INPUT_LAYOUTS if layout is None else (layout,)
    keypoints = [layout_keypoints(x) if isinstance(x, str) else x for x in layouts]
    table = torch.tensor([[n in names for n in skeleton.joint_names] for names in keypoints]).float()
    if layout is not None:
        return table.expand(batch, -1)
    return table[torch.multinomial(torch.tensor(LAYOUT_ODDS), batch, replacement=True, generator=g)]


def wander(shape: tuple[int, ...], frames: int, knot: int, g: torch.Generator) -> Tensor:
    """(B, T, ...) noise that changes slowly: linear between independent normal values `knot` frames apart."""
    batch = shape[0]
    knots = torch.randn(batch, math.prod(shape[1:]), frames // knot + 2, generator=g)
    at = torch.arange(frames)[None] / knot + torch.rand(batch, 1, generator=g)
    i = at.long().clamp(max=knots.shape[-1] - 2)
    u = (at - i)[:, None]
    i = i[:, None].expand(-1, knots.shape[1], -1)
    values = knots.gather(2, i) * (1 - u) + knots.gather(2, i + 1) * u
    return values.unflatten(1, shape[1:]).movedim(-1, 1)


def bursts(batch: int, frames: int, probability: float, longest: int, g: torch.Generator) -> Tensor:
    """(B, T) 1 within one stretch of up to `longest` frames in a clip, in a share of the clips."""
    length = 1 + torch.rand(batch, 1, generator=g) * longest
    start = torch.rand(batch, 1, generator=g) * (frames + longest) - longest
    t = torch.arange(frames)[None]
    hit = torch.rand(batch, 1, generator=g) < probability
    return ((t >= start) & (t < start + length) & hit).float()


def detector_errors(
    skeleton: Skeleton, rays: Tensor, score: Tensor, seen: Tensor, scale: Tensor, g: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Errors of a 2D detector, by kind, as measured on MediaPipe: a bias per joint and clip, slow drift, little
    white jitter; worse where a joint is hidden; joints and whole people missing; left and right exchanged.

    Args:
        rays: (B, T, J, 2); score: (B, T, J); seen: (B, T, J, 3) joints in camera space.
        scale: (B,) length of a metre at the person on the plane z = 1.
    """
    batch, frames, count = score.shape
    names = skeleton.joint_names
    ends = torch.tensor(
        [1.5 if n[2:] in ("wrist", "ankle", "thumb", "index", "little", "heel", "toe") else 1.0 for n in names]
    )
    amount = (0.5 * torch.randn(batch, 1, 1, generator=g)).exp() * (torch.rand(batch, 1, 1, generator=g) < 0.9)
    hidden = (seen[..., 2] > seen[:, :, :1, 2] + 0.12).float()
    trouble = 1 + hidden + 3 * bursts(batch * count, frames, 0.15, 20, g).unflatten(0, (batch, count)).movedim(1, 2)
    error = (
        0.020 * torch.randn(batch, 1, count, 2, generator=g)
        + 0.014 * wander((batch, count, 2), frames, 6, g) * trouble[..., None]
        + 0.014 * wander((batch, count, 2), frames, 18, g) * trouble[..., None]
        + 0.004 * torch.randn(batch, frames, count, 2, generator=g) * trouble[..., None]
    )
    # A detector's hips lie lower and wider than the anatomical ones.
    hips = torch.tensor([n in ("l_hip", "r_hip") for n in names]).float()
    low = (0.02 * torch.randn(batch, 1, 1, generator=g) + 0.015) * hips
    error[..., 1] += low
    across = rays[:, :, names.index("l_hip")] - rays[:, :, names.index("r_hip")]
    side = torch.tensor([{"l": 1.0, "r": -1.0}.get(n[0], 0.0) for n in names]) * hips
    widen = 0.12 * torch.randn(batch, generator=g) + 0.12
    rays = rays + side[:, None] * across[:, :, None] * widen[:, None, None, None]
    rays = rays + error * (amount * ends)[..., None] * scale[:, None, None, None]
    confidence = 1 - 0.5 * torch.rand(batch, 1, count, generator=g) * torch.rand(batch, 1, 1, generator=g)
    score = score * (confidence - 0.12 * (trouble - 1) * torch.rand(batch, 1, 1, generator=g)).clamp(0.05, 1.0)
    # Parts out of the picture or hidden: below a line, or one limb, or all.
    lost = torch.zeros(batch, frames, count)
    for group in _GROUPS:
        member = torch.tensor([n in group for n in names]).float()
        lost = lost + bursts(batch, frames, 0.05, 2 * frames, g)[..., None] * member
    lost = lost + bursts(batch, frames, 0.08, 10, g)[..., None]
    lost = lost + bursts(batch * count, frames, 0.04, frames, g).unflatten(0, (batch, count)).movedim(1, 2)
    score = torch.where(lost > 0, 0.0, score)
    swapped = bursts(batch, frames, 0.08, 12, g)[..., None] > 0
    swap = skeleton.mirror.tolist()
    rays = torch.where(swapped[..., None], rays[:, :, swap], rays)
    return rays, torch.where(swapped, score[:, :, swap], score)


def _side(*parts: str) -> list[frozenset[str]]:
    return [frozenset(f"{s}_{p}" for p in parts) for s in "lr"]


_GROUPS: list[frozenset[str]] = [
    *_side("thumb", "index", "little"),
    *_side("elbow", "wrist", "thumb", "index", "little"),
    *_side("ankle", "heel", "toe"),
    frozenset(f"{s}_{p}" for s in "lr" for p in ("knee", "ankle", "heel", "toe")),
    frozenset(f"{s}_{p}" for s in "lr" for p in ("ankle", "heel", "toe")),
    frozenset(("nose", "l_ear", "r_ear", "head_top", "neck")),
]
