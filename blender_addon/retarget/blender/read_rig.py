"""An armature object as plain data."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..rig import Constraint, RigError, RigSpec

PASSIVE = {"LIMIT_ROTATION", "LIMIT_LOCATION", "LIMIT_SCALE", "LIMIT_DISTANCE", "FLOOR", "MAINTAIN_VOLUME"}
"""Constraints that only limit what keys say."""


def read_rig(armature: Any) -> RigSpec:
    """Never changes the armature. Raises RigError if it is none, or cannot be keyed."""
    if armature is None or armature.type != "ARMATURE":
        what = "No object" if armature is None else f'"{armature.name}" is a {armature.type.lower()} and no armature'
        raise RigError(f"{what}: there is nothing to put the take on. Choose an armature.")
    if armature.library is not None:
        raise RigError(
            f'"{armature.name}" is linked from {armature.library.filepath} and cannot be keyed here. Make a library '
            "override of it first (Object, Relations, Make Library Override)."
        )
    if armature.mode == "EDIT":
        raise RigError(f'"{armature.name}" is in edit mode. Leave edit mode, then retarget.')
    bones = list(armature.data.bones)
    if not bones:
        raise RigError(f'"{armature.name}" has no bones. Choose another armature.')
    place = {b.name: i for i, b in enumerate(bones)}
    rest = np.array([b.matrix_local for b in bones], np.float64)
    if not np.isfinite(rest).all():
        bad = [b.name for b, m in zip(bones, rest, strict=True) if not np.isfinite(m).all()]
        raise RigError(f"Bones have no valid rest pose: {', '.join(bad[:5])}. Give them a length in edit mode.")
    poses = [armature.pose.bones[b.name] for b in bones]
    return RigSpec(
        name=armature.name,
        names=tuple(b.name for b in bones),
        parents=tuple(place[b.parent.name] if b.parent else -1 for b in bones),
        rest=rest,
        lengths=np.array([b.length for b in bones]),
        world=np.array(armature.matrix_world, np.float64),
        basis=np.array([p.matrix_basis for p in poses], np.float64),
        inherit_rotation=np.array([b.use_inherit_rotation for b in bones]),
        local_location=np.array([b.use_local_location for b in bones]),
        connected=np.array([b.use_connect for b in bones]),
        deform=np.array([b.use_deform for b in bones]),
        locked=np.array([any(p.lock_rotation) or (p.lock_rotations_4d and p.lock_rotation_w) for p in poses]),
        inherit_scale=tuple(b.inherit_scale for b in bones),
        rotation_modes=tuple(p.rotation_mode for p in poses),
        constraints=tuple(c for p in poses for c in _constraints(armature, p)),
        driven=_driven(armature),
    )


def _constraints(armature: Any, bone: Any) -> list[Constraint]:
    out: list[Constraint] = []
    for c in bone.constraints:
        if c.mute or not c.enabled or c.influence == 0 or c.type in PASSIVE:
            continue
        pairs = [(getattr(c, "target", None), getattr(c, "subtarget", ""))]
        pairs += [(getattr(c, "pole_target", None), getattr(c, "pole_subtarget", ""))]
        pairs += [(t.target, t.subtarget) for t in getattr(c, "targets", ())]
        targets = tuple(name for target, name in pairs if target == armature and name)
        out.append(Constraint(bone.name, c.type, targets, getattr(c, "chain_count", 1) if c.type == "IK" else 1))
    return out


def _driven(armature: Any) -> frozenset[str]:
    data = armature.animation_data
    paths = [d.data_path for d in data.drivers] if data else []
    turned = [p for p in paths if p.startswith('pose.bones["') and p.rpartition(".")[2].startswith(("rotation", "loc"))]
    return frozenset(p.split('"')[1] for p in turned)
