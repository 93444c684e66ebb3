"""Importers give bones axes of their own: Y along no limb, tails anywhere. Only where joints lie may count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blender_addon.retarget.mapping import Mapping
from blender_addon.retarget.motion import read_motion
from blender_addon.retarget.rig import RigSpec
from blender_addon.retarget.rotations import Array, angle_between, from_matrix, inverse, multiply
from blender_addon.retarget.solve import Retargeted, retarget

from .rigs import axis_rotations, build
from .test_feet import demo


def any_axes(rig: RigSpec, seed: int) -> RigSpec:
    """The rig with another axis of every bone along the limb than Y, joints where they were."""
    rest = rig.rest.copy()
    others = np.array([m for m in axis_rotations() if m[1, 1] < 0.5])
    rest[:, :3, :3] = rest[:, :3, :3] @ others[np.random.default_rng(seed).integers(len(others), size=len(rest))]
    return replace(rig, rest=rest)


def turns_of(result: Retargeted, rig: RigSpec) -> dict[str, Array]:
    """(N, 4) turn from rest in armature space of every keyed bone, from the keys alone."""
    out: dict[str, Array] = {}
    keys = {k.bone: k.rotation for k in result.bones}
    for i, name in enumerate(rig.names):
        parent = rig.parents[i]
        carried = out[rig.names[parent]] if parent >= 0 else np.array([[1.0, 0, 0, 0]])
        rotation = keys.get(name)
        if rotation is not None:
            rest = from_matrix(rig.rest[i, :3, :3])
            carried = multiply(carried, multiply(multiply(rest, rotation), inverse(rest)))
        out[name] = carried
    return out


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ["mixamo", "ue5", "daz_genesis8", "mpfb_default", "cmu"])
def test_axes_of_bones_do_not_matter(name: str, seed: int) -> None:
    built = build(name)
    mapping = Mapping(built.truth, {}, "file")
    motion = read_motion(demo(), demo().people[0])
    turned = any_axes(built.rig, seed)
    wanted, got = retarget(motion, built.rig, mapping), retarget(motion, turned, mapping)
    one, other = turns_of(wanted, built.rig), turns_of(got, turned)
    off = {b: float(np.degrees(angle_between(one[b], other[b])).max()) for b in one}
    worst = max(off, key=lambda b: off[b])
    # How long the toes are cannot be seen then: a swinging foot may clear the ground by a little more or less.
    assert off[worst] < 2, {b: round(a, 1) for b, a in off.items() if a > 1}
    pelvis = built.rig.index(built.truth["pelvis"][0])
    assert np.abs(wanted.pose.head(pelvis) - got.pose.head(pelvis)).max() < 0.003
