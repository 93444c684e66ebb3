"""Which side of a body is the left one: votes of all that shows where the body faces."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..rig import Array, RigSpec
from .bodies import Body
from .limbs import Pair

MIN_SIDE = 1.2
"""Votes needed to tell left from right; toes alone give 3."""


@dataclass
class Votes:
    """For "the first side is the left one". `cues` are the words of those that count."""

    total: float = 0.0
    cues: list[str] = field(default_factory=list[str])

    def add(self, cue: str, value: float, full_at: float, weight: float) -> None:
        vote = weight * float(np.clip(value / full_at, -1, 1))
        self.total += vote
        if abs(vote) > 0.3:
            self.cues.append(cue)

    @property
    def decided(self) -> bool:
        return abs(self.total) >= MIN_SIDE


def forward(body: Body) -> Array:
    """Where the body faces if its first side is the left one."""
    return np.cross(body.left, body.up)


def vote(rig: RigSpec, body: Body, head: int | None, fingers: list[dict[str, tuple[int, ...]]]) -> Votes:
    """head: the head's bone; fingers: bones of each finger, a dict a side. Lengths count relative to the limb's."""
    votes = Votes()
    ahead, legs, arms = forward(body), body.legs, body.arms
    leg, arm = legs.length, arms.length
    k = legs.joints[2]
    feet = legs.points[:, k + 1] - legs.points[:, k] if legs.points.shape[1] > k + 1 else np.zeros((2, 3))
    # A bone that hangs below the ankle rather than ahead of it is a heel.
    level = np.abs(feet @ ahead) > 0.6 * np.linalg.norm(feet, axis=1)
    step = float((feet @ ahead).mean()) / leg * float(level.all())
    # A tail at the end of the chain may be invented by an importer, hence less weight than a toe's head.
    has_toe = all(len(p) > k + 1 for p in legs.paths)
    votes.add("toes" if has_toe else "feet", step, 0.06, 3.0 if has_toe else 1.3)
    votes.add("knees", _bulge(legs, ahead) / leg, 0.02, 1.5)
    votes.add("elbows", -_bulge(arms, ahead) / arm, 0.02, 0.7)
    thumbs = [
        float((rig.heads[f["thumb"][-1]] - rig.heads[f["middle"][0]]) @ ahead) / arm
        for f in fingers
        if "thumb" in f and "middle" in f
    ]
    if thumbs:
        votes.add("thumbs", float(np.mean(thumbs)), 0.05, 1.5)
    # Eyes and jaw are single bones; hair is chains.
    leaves = [rig.heads[c] for c in rig.children[head] if not rig.children[c]] if head is not None else []
    if head is not None and leaves:
        votes.add("face", float(((np.array(leaves) - rig.heads[head]) @ ahead).mean()) / arm, 0.08, 0.8)
    return votes


def _bulge(pair: Pair, ahead: Array) -> float:
    """How far the middle joint lies ahead of the line between its neighbours."""
    top, middle, end = pair.at(0), pair.at(1), pair.at(2)
    line = end - top
    share = ((middle - top) * line).sum(1) / np.maximum((line**2).sum(1), 1e-12)
    return float(((middle - top - share[:, None] * line) @ ahead).mean())
