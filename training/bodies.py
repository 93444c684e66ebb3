"""Bodies in motion, of random proportions: what synthetic footage films.

Motion is given as `pose`: (B, T, bones, 4) rotations for a skeleton with bones, (B, T, J, 3) joints relative to the
root for one without; and `root`, the (B, T, 3) path of the root joint, scene space. Lengths are metres for a body of
the skeleton's own height; deviations are said for a height of 1.70 m, and scale with it. All is vectorised over B
clips of T frames, on the device of the generator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from lifter.skeleton import FEET, Skeleton
from training.crouch import crouch
from training.rotation import quaternions_to_matrices, rotation_vectors_to_matrices

PERSON = 1.70
"""Height for which lengths are said here and in what films bodies, metres."""

PLACES = {
    **dict.fromkeys(("nose", "ear", "spine"), 0.012),
    **dict.fromkeys(("chest", "neck", "head", "head_top"), 0.008),
    **dict.fromkeys(("thumb", "index", "little", "heel", "toe"), 0.003),
}
"""Where a joint or a marker lies differs between people and between those who define it: metres, 1 sigma along each
axis; 0.004 for others."""

SWINGS = ("upper_arm", "thigh")
SWING = 0.3
"""Bones that `swing_limbs` turns, and by how much, radians, 1 sigma about each axis."""
REACHES, REACH = 0.3, (0.3, 1.6)
"""How often arms reach forward in what `swing_limbs` turns; by how much they are raised, radians, and the second of
these is how far up at most: few recorded people reach towards the camera."""


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

    How parts vary, and vary together (long legs go with long arms), is fitted to grown-ups of both sexes in the
    ANSUR II survey of the US Army (2012): tests/training/test_bodies.py compares. Joints of other names vary by
    themselves; sides agree.
    """
    d = g.device
    names, parents = skeleton.joint_names, torch.tensor(skeleton.parents, device=d)
    rest = torch.tensor(skeleton.rest, device=d)
    base = torch.where(parents[:, None] >= 0, rest - rest[parents.clamp(min=0)], torch.zeros(3, device=d))
    unit = skeleton.height / PERSON

    def scale(deviation: float) -> Tensor:
        return (torch.randn(batch, generator=g, device=d) * deviation * spread).exp()

    limbs, torso, head = scale(0.052), scale(0.015), scale(0.05)
    leg, arm, ends = limbs * scale(0.01), limbs * scale(0.01), limbs * scale(0.022)
    factors = {
        "spine": torso * scale(0.05),
        "chest": torso * scale(0.04),
        "neck": torso * scale(0.03),
        "head": scale(0.05),
        "head_top": head,
        "nose": head,
        "ear": head,
        "clavicle": torso,
        "shoulder": limbs * scale(0.025),
        "elbow": arm * scale(0.015),
        "wrist": arm * scale(0.027),
        "thumb": ends,
        "index": ends,
        "little": ends,
        "hip": scale(0.075),
        "knee": leg * scale(0.047),
        "ankle": leg * scale(0.025),
        "heel": ends,
        "toe": ends,
    }
    kind = [n.removeprefix("l_").removeprefix("r_") for n in names]
    others = {k: scale(0.04) for k in dict.fromkeys(kind) if k not in factors}
    factor = torch.stack([(factors | others)[k] for k in kind], 1)
    deviation = torch.tensor([PLACES.get(k, 0.004) for k in kind], device=d) * spread * unit
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
    standing = torch.einsum("ij,bjk->bik", chains(skeleton, d), offsets)
    axis = int((rest.amax(0) - rest.amin(0)).argmax())
    top, bottom = int(rest[:, axis].argmax()), int(rest[:, axis].argmin())
    height = standing[:, top, axis] - standing[:, bottom, axis]
    return offsets * ((rest[top, axis] - rest[bottom, axis]) / height)[:, None, None]


def chains(skeleton: Skeleton, device: torch.device) -> Tensor:
    """(J, J) 1 where the second joint lies between the root, which is left out, and the first, or is it."""
    return torch.from_numpy(_chain(skeleton.parents)).to(device)


def _chain(parents: Sequence[int]) -> NDArray[np.float32]:
    """(N, N) the same from N parents, -1 for the root."""
    chain = np.zeros((len(parents), len(parents)), np.float32)
    for j, parent in enumerate(parents):
        if parent >= 0:
            chain[j] = chain[parent]
            chain[j, j] = 1
    return chain


def pose_people(skeleton: Skeleton, rotations: Tensor, offsets: Tensor) -> Tensor:
    """(B, T, J, 3) joints relative to the root from (B, T, bones, 3, 3) rotations and (B, J, 3) offsets."""
    bone = torch.tensor(skeleton.bone_of_joint.tolist(), device=offsets.device).clamp(min=0)
    steps = torch.einsum("btjik,bjk->btji", rotations[:, :, bone], offsets)
    return torch.einsum("ij,btjk->btik", chains(skeleton, offsets.device), steps)


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
    return torch.einsum("ij,btjk->btik", chains(skeleton, d), steps)


def _hanging(skeleton: Skeleton) -> tuple[NDArray[np.bool_], list[int]]:
    """(bones, bones) whether the second bone hangs on the first, or is it; and the bones that carry FEET."""
    feet = [int(skeleton.bone_of_joint[skeleton.joint(n)]) for n in FEET if n in skeleton.joint_names]
    return _chain(skeleton.bone_parents).T > 0, feet


def mix_bodies(
    skeleton: Skeleton, turns: Tensor, contact: Tensor, g: torch.Generator, share: float
) -> tuple[Tensor, Tensor]:
    """Let one part of the body move as in another clip, in a share of the clips.

    A part is a bone and all that hangs on it; it keeps its turn relative to the bone that carries it. Whether a foot
    touches the ground that came with another clip's leg is not known.

    Args:
        turns: (B, T, bones, 3, 3) of the bones; contact: (B, T, points).
    Returns:
        both; contact is NaN where it is not known.
    """
    batch, d = len(turns), turns.device
    parents = skeleton.bone_parents
    hangs, feet = _hanging(skeleton)
    parts = [b for b, p in enumerate(parents) if p >= 0]
    if not parts or batch < 2:
        return turns, contact
    drawn = torch.randint(0, len(parts), (batch,), generator=g, device=d)
    other = torch.randperm(batch, generator=g, device=d)
    rows = torch.arange(batch, device=d)
    mixed = (torch.rand(batch, generator=g, device=d) < share) & (other != rows)
    part = torch.tensor(parts, device=d)[drawn]
    belongs = torch.from_numpy(hangs[parts]).to(d)[drawn] & mixed[:, None]
    carrier = torch.tensor(parents, device=d)[part]
    change = turns[rows, :, carrier] @ turns[other][rows, :, carrier].transpose(-1, -2)
    moved = change[:, :, None] @ turns[other]
    if contact.shape[-1]:
        contact = contact.masked_fill(belongs[:, None, feet], torch.nan)
    return torch.where(belongs[:, None, :, None, None], moved, turns), contact


def swing_limbs(
    skeleton: Skeleton, turns: Tensor, contact: Tensor, g: torch.Generator, share: float
) -> tuple[Tensor, Tensor]:
    """Let arms and legs be held otherwise than they were: in a share of the clips each is turned by a constant in its
    joint, with one chance in two, and in some of them arms that hang reach forward, mostly both. Whether a foot on a
    leg so turned touches the ground is not known.

    Args, Returns: as of `mix_bodies`. A skeleton without such bones stays as it is.
    """
    batch, d = len(turns), turns.device
    hangs, feet = _hanging(skeleton)

    def uniform() -> Tensor:
        return torch.rand(batch, 1, generator=g, device=d)

    chosen = uniform() < share
    reaches, low, high = chosen & (uniform() < REACHES), *REACH
    most = low + (high - low) * uniform()
    for b, bone in enumerate(skeleton.bones):
        parent = skeleton.bone_parents[b]
        if parent < 0 or not bone.name.endswith(SWINGS):
            continue
        swung = chosen & (uniform() < 0.5)
        turn = SWING * torch.randn(batch, 1, 3, generator=g, device=d) * swung[..., None]
        swing = rotation_vectors_to_matrices(turn)
        if bone.name.endswith("upper_arm"):
            reaching = reaches & (uniform() < 0.8)
            raised = torch.minimum(most, _room_to_reach(skeleton, turns, b))
            # About the lateral axis: people face -Y and have their left side at +X.
            forward = turn.new_tensor([-1.0, 0.0, 0.0]) * (raised * reaching)[..., None]
            swing, swung = rotation_vectors_to_matrices(forward) @ swing, swung | reaching
        carrier = turns[:, :, parent]
        change = carrier @ swing @ carrier.mT
        belongs = torch.from_numpy(hangs[b]).to(d) & swung
        turns = torch.where(belongs[:, None, :, None, None], change[:, :, None] @ turns, turns)
        if contact.shape[-1]:
            contact = contact.masked_fill(belongs[:, None, feet], torch.nan)
    return turns, contact


def _room_to_reach(skeleton: Skeleton, turns: Tensor, arm: int) -> Tensor:
    """(B, 1) radians by which an upper arm may be raised forward before it points as far forward as REACH goes: none
    where it is overhead or held out to the side, as it is on the clip's mean."""
    head, tail = (skeleton.rest[skeleton.joint(n)] for n in (skeleton.bones[arm].head, skeleton.bones[arm].tail))
    carrier = turns[:, :, skeleton.bone_parents[arm]]
    held = normalize((carrier.mT @ turns[:, :, arm] @ torch.from_numpy(tail - head).to(turns)).mean(1), dim=-1)
    angle = torch.atan2(-held[:, 1:2], -held[:, 2:])  # 0 hanging, a quarter turn to the front
    angle = torch.where(angle < -0.5 * math.pi, angle + 2 * math.pi, angle)
    return (REACH[1] - angle).clamp(min=0) * (1 - held[:, :1] ** 2)


class Bodies(NamedTuple):
    """B clips of bodies in motion.

    Attributes:
        joints: (B, T, J, 3) relative to the root; turns: (B, T, bones, 3, 3) of the bones, None for a skeleton without.
        moved: (B, T, 3) how far the root is moved from where it was recorded.
        contact: (B, T, points), NaN where it is not known.
    """

    joints: Tensor
    turns: Tensor | None
    moved: Tensor
    contact: Tensor


def random_bodies(
    skeleton: Skeleton,
    pose: Tensor,
    contact: Tensor,
    g: torch.Generator,
    spread: float,
    mix: float = 0.0,
    bent: float = 0.0,
    swung: float = 0.0,
) -> Bodies:
    """A motion on random proportions, spread as far as `spread`; `mix` and `swung` as of `mix_bodies` and
    `swing_limbs`, `bent` the share that is lowered by `crouch`."""
    if pose.shape[-1] == 3:
        return Bodies(resize_people(skeleton, pose, g, spread), None, pose.new_zeros(*pose.shape[:2], 3), contact)
    turns = quaternions_to_matrices(pose)
    if mix:
        turns, contact = mix_bodies(skeleton, turns, contact, g, mix)
    if swung:
        turns, contact = swing_limbs(skeleton, turns, contact, g, swung)
    turns, moved = crouch(skeleton, turns, g, bent)
    # Nobody carries a bone exactly as the recording's skeleton did.
    deviation = [0.15 if b.name.endswith("hand") else 0.05 for b in skeleton.bones]
    drawn = torch.randn(len(pose), 1, len(skeleton.bones), 3, generator=g, device=pose.device)
    turns = turns @ rotation_vectors_to_matrices(drawn * pose.new_tensor(deviation)[:, None] * spread)
    joints = pose_people(skeleton, turns, random_people(skeleton, len(pose), g, spread))
    return Bodies(joints, turns, moved, contact)
