"""Motion on bent knees: recorded people mostly stand upright, footage shows stances, squats and people who bend down.

The pelvis is lowered and the trunk leans while the feet stay where they are and stand as they stood, so that what is
known of contacts stays true. All is vectorised over B clips of T frames; axes are the scene's, Z up; lengths are
metres.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lifter.skeleton import FEET, Skeleton
from training.rotation import rotation_vectors_to_matrices

LOWEST = 0.3
"""How near hips come to the ankles, in lengths of the leg: lower than it they sit on their heels."""
DEEPEST = 0.5
"""Largest lowering, in lengths of the leg."""
SIDES = ("l_", "r_")
LEG = ("thigh", "shin", "foot")
LEG_JOINTS = ("hip", "knee", "ankle")
PELVIS_SHARE = (0.15, 0.95)
"""How far the pelvis goes along with the trunk's lean: little of who bends the back, nearly all the way of who keeps it
straight and turns in the hips, as athletes do. The spine goes as far as half-way between pelvis and chest."""
HEAD_SHARE = 0.6
"""How far the head goes along; the other bones above the pelvis go all the way."""


def can_crouch(skeleton: Skeleton) -> bool:
    """Whether a skeleton has the legs and the trunk that this takes."""
    bones = {b.name for b in skeleton.bones}
    legs = {s + n for s in SIDES for n in LEG} | {"pelvis", "spine"}
    joints = {s + n for s in SIDES for n in LEG_JOINTS}
    return legs <= bones and joints | set(FEET) <= set(skeleton.joint_names)


def crouch(skeleton: Skeleton, turns: Tensor, g: torch.Generator, share: float) -> tuple[Tensor, Tensor]:
    """Lower a share of the clips onto bent knees, by an amount that changes steadily, trunks leaning as they happen to.

    Args:
        turns: (B, T, bones, 3, 3) of the bones.
    Returns:
        turns, and (B, T, 3) how far the root moves. A skeleton without legs stays as it is.
    """
    batch, frames, d = len(turns), turns.shape[1], turns.device
    if not share or not can_crouch(skeleton):
        return turns, turns.new_zeros(batch, frames, 3)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(batch, *shape, generator=g, device=d)

    def normal() -> Tensor:
        return torch.randn(batch, 1, generator=g, device=d)

    amounts = DEEPEST * uniform(2)
    time = torch.linspace(0, 1, frames, device=d)
    ease = time * time * (3 - 2 * time)
    amount = amounts[:, :1] + (amounts[:, 1:] - amounts[:, :1]) * ease
    lean = ((0.4 + 0.4 * normal()) * (0.5 + 0.5 * amount / DEEPEST)).clamp(-0.4, 1.3)
    back = uniform(1) * (0.35 * amount + 0.1 * lean.clamp(min=0))
    chosen = uniform(1) < share
    low, high = PELVIS_SHARE
    pelvis_share = low + (high - low) * uniform(1)
    return bend(skeleton, turns, amount * chosen, lean * chosen, back * chosen, pelvis_share)


def bend(
    skeleton: Skeleton, turns: Tensor, amount: Tensor, lean: Tensor, back: Tensor, pelvis_share: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Lower bodies by (B, T) amounts, in lengths of the leg, as far as they can; trunks lean forward by (B, T) radians,
    the pelvis by (B, 1) `pelvis_share` of that, and goes back by (B, T) lengths of the leg. Feet stay where they are,
    as far as legs reach."""
    names = [b.name for b in skeleton.bones]
    offsets = torch.from_numpy(skeleton.rest_offsets).to(turns)
    at = {n: offsets[skeleton.joint(n)] for n in skeleton.joint_names}
    leg = float(at["l_knee"].norm() + at["l_ankle"].norm())
    pelvis = turns[:, :, names.index("pelvis")]
    up = turns.new_tensor([0.0, 0.0, 1.0])
    # Scene space: at rest people face -Y and have their left side at +X.
    lateral = normalize(pelvis[..., 0] * turns.new_tensor([1.0, 1.0, 0.0]), dim=-1)
    forward = torch.cross(lateral, up.expand_as(lateral), dim=-1)
    upright = (pelvis[..., 2, 2].amin(1) > 0.5).to(turns)[:, None]

    legs = {s: _leg(names, at, turns, s) for s in SIDES}
    high = torch.stack([-(thigh + shin)[..., 2] for thigh, shin in legs.values()], -1).amin((1, 2))
    room = (high / leg - LOWEST).clamp(min=0)[:, None] * upright
    lowered = torch.minimum(amount, room)
    part = torch.where(amount > 0, lowered / amount.clamp(min=1e-6), upright)
    lean = lean * part
    moved = (-lowered[..., None] * up - (back * part)[..., None] * forward) * leg

    bent = turns.clone()
    shares = {"pelvis": pelvis_share, "spine": (1 + pelvis_share) / 2, "head": HEAD_SHARE}
    for b, name in enumerate(names):
        if name[2:] not in LEG or name[:2] not in SIDES:
            turn = rotation_vectors_to_matrices(lateral * (lean * shares.get(name, 1.0))[..., None])
            bent[:, :, b] = turn @ turns[:, :, b]
    for side, (thigh, shin) in legs.items():
        hip = at[f"{side}hip"]
        before, after = pelvis @ hip, bent[:, :, names.index("pelvis")] @ hip
        foot = turns[:, :, names.index(f"{side}foot")] @ at[f"{side}toe"]
        new_thigh, new_shin = _two_bones(thigh, shin, thigh + shin + before - after - moved, foot)
        for bone, old, new in (("thigh", thigh, new_thigh), ("shin", shin, new_shin)):
            b = names.index(side + bone)
            bent[:, :, b] = _onto(old, new) @ turns[:, :, b]
    touched = (moved.abs().amax((1, 2)) + lean.abs().amax(1) > 0)[:, None, None]
    return torch.where(touched[..., None, None], bent, turns), moved * touched


def _leg(names: list[str], at: dict[str, Tensor], turns: Tensor, side: str) -> tuple[Tensor, Tensor]:
    """(B, T, 3) from hip to knee and from knee to ankle."""
    thigh, shin = names.index(f"{side}thigh"), names.index(f"{side}shin")
    return turns[:, :, thigh] @ at[f"{side}knee"], turns[:, :, shin] @ at[f"{side}ankle"]


def _two_bones(thigh: Tensor, shin: Tensor, reach: Tensor, foot: Tensor) -> tuple[Tensor, Tensor]:
    """Thigh and shin of the same lengths that together are `reach`, or as much of it as they can; the knee points as it
    did and, the straighter the leg, to where the foot points."""
    a, b = thigh.norm(dim=-1, keepdim=True), shin.norm(dim=-1, keepdim=True)
    length = torch.minimum(torch.maximum(reach.norm(dim=-1, keepdim=True), (a - b).abs() * 1.05), (a + b) * 0.9995)
    along = normalize(reach, dim=-1)
    hint = normalize(thigh, dim=-1) - normalize(thigh + shin, dim=-1) + 0.3 * normalize(foot, dim=-1)
    across = normalize(hint - (hint * along).sum(-1, keepdim=True) * along, dim=-1)
    cosine = ((a * a + length * length - b * b) / (2 * a * length)).clamp(-1, 1)
    new_thigh = a * (cosine * along + (1 - cosine * cosine).sqrt() * across)
    return new_thigh, along * length - new_thigh


def _onto(old: Tensor, new: Tensor) -> Tensor:
    """(..., 3, 3) smallest turns that take one direction to another; a leg is never turned right round."""
    u, v = normalize(old, dim=-1), normalize(new, dim=-1)
    axis = torch.cross(u, v, dim=-1)
    sine = axis.norm(dim=-1)
    angle = torch.atan2(sine, (u * v).sum(-1))
    return rotation_vectors_to_matrices(axis * (angle / sine.clamp(min=1e-6))[..., None])
