"""A skeleton as a graph, the only thing a network learns of the skeleton it is built for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifter.skeleton import Skeleton

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class SkeletonGraph:
    """J joints, joined by bones.

    Attributes:
        parents: index of each joint's parent, -1 for the root; a parent stands before its children.
        mirror: index of each joint's mirror image; a joint on the midline mirrors itself.
    """

    parents: tuple[int, ...]
    mirror: tuple[int, ...]

    @property
    def joints(self) -> int:
        return len(self.parents)

    def towards_root(self) -> Matrix:
        """(J, J): row j is one at the parent of j, and zero for the root."""
        return np.array([[float(p == i) for i in range(self.joints)] for p in self.parents], np.float32)

    def away_from_root(self) -> Matrix:
        """(J, J): row j is the mean over the children of j, and zero for the end of a chain."""
        children = self.towards_root().T
        return children / np.maximum(children.sum(1, keepdims=True), 1)

    def mirrored(self) -> Matrix:
        """(J, J): row j is one at the mirror image of j, and zero on the midline."""
        pairs = [[float(m == i and i != j) for i in range(self.joints)] for j, m in enumerate(self.mirror)]
        return np.array(pairs, np.float32)

    def adjacency(self, *, own: bool = False, mirror: bool = False) -> Matrix:
        """(J, J) symmetric normalised adjacency D^-1/2 A D^-1/2 (Kipf and Welling, ICLR 2017, eq. 2).

        Args:
            own: join every joint to itself, as that paper does.
            mirror: join every joint to its mirror image too.
        """
        up = self.towards_root()
        a = up + up.T + own * np.eye(self.joints) + mirror * self.mirrored()
        a = (a > 0).astype(np.float32)
        scale = np.maximum(a.sum(1), 1) ** -0.5
        return (scale[:, None] * a * scale).astype(np.float32)

    def distance(self) -> NDArray[np.intp]:
        """(J, J) number of bones on the way from one joint to the other."""
        out = np.zeros((self.joints, self.joints), np.intp)
        for j, parent in enumerate(self.parents):
            if parent >= 0:
                out[j, :j] = out[:j, j] = out[parent, :j] + 1
        return out

    def chains(self) -> tuple[int, ...]:
        """A permutation of the joints, depth first: neighbours of a limb stand side by side."""
        order: list[int] = []
        stack = [j for j, p in enumerate(self.parents) if p < 0]
        while stack:
            joint = stack.pop()
            order.append(joint)
            stack += [j for j, p in enumerate(self.parents) if p == joint][::-1]
        return tuple(order)


def skeleton_graph(skeleton: Skeleton) -> SkeletonGraph:
    """The graph of a skeleton's joints."""
    return SkeletonGraph(skeleton.parents, tuple(int(i) for i in skeleton.mirror))
