"""Bodies in motion, of random proportions: what synthetic footage films.

Motion is given as `pose`: (B, T, bones, 4) rotations for a skeleton with bones, (B, T, J, 3) joints relative to the
root for one without; and `root`, the (B, T, 3) path of the root joint, scene space. Lengths are metres for a body of
the skeleton's own height; deviations are said for a height of 1.70 m, and scale with it. All is vectorised over B
clips of T frames, on the device of the generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lifter.skeleton import FEET, Skeleton
from training.crouch import crouch
from training.rotation import quaternions_to_matrices, rotation_vectors_to_matrices

PERSON = 1.70
"""Height for which lengths are said here and in what films bodies, metres."""


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
    names = [b.name for b in skeleton.bones]
    parents = [-1 if b.parent is None else names.index(b.parent) for b in skeleton.bones]
    feet = [int(skeleton.bone_of_joint[skeleton.joint(n)]) for n in FEET if n in skeleton.joint_names]
    hangs = _chain(parents).T > 0  # row: a bone; itself and what hangs on it
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
) -> Bodies:
    """A motion on random proportions, spread as far as `spread`; `mix` as of `mix_bodies`, `bent` the share that is
    lowered by `crouch`."""
    if pose.shape[-1] == 3:
        return Bodies(resize_people(skeleton, pose, g, spread), None, pose.new_zeros(*pose.shape[:2], 3), contact)
    turns = quaternions_to_matrices(pose)
    if mix:
        turns, contact = mix_bodies(skeleton, turns, contact, g, mix)
    turns, moved = crouch(skeleton, turns, g, bent)
    # Nobody carries a bone exactly as the recording's skeleton did.
    deviation = [0.15 if b.name.endswith("hand") else 0.05 for b in skeleton.bones]
    drawn = torch.randn(len(pose), 1, len(skeleton.bones), 3, generator=g, device=pose.device)
    turns = turns @ rotation_vectors_to_matrices(drawn * pose.new_tensor(deviation)[:, None] * spread)
    joints = pose_people(skeleton, turns, random_people(skeleton, len(pose), g, spread))
    return Bodies(joints, turns, moved, contact)
