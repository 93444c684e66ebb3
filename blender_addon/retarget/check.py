"""What about a rig will spoil keys that are right in themselves: told as warnings, each with what to do."""

from __future__ import annotations

import numpy as np

from .mapping import Mapping
from .rig import Array, RigSpec


def check_rig(rig: RigSpec, mapping: Mapping) -> list[str]:
    """One sentence or two a problem."""
    mapped = {b for bones in mapping.bones.values() for b in bones}
    carrying = mapped | {rig.names[a] for b in mapped for a in rig.ancestors(rig.index(b))}
    out: list[str] = []
    held = sorted({c.bone for c in rig.constraints} & mapped)
    chains = sorted({b for c in rig.constraints if c.type == "IK" for b in _chain(rig, c.bone, c.chain)} & mapped)
    if held or chains:
        out.append(
            f"Constraints act on {_list(held or chains)}: what is seen will differ from the keys. Mute them, or choose "
            "the rig's controls in the mapping."
        )
    cycle = find_cycle(rig)
    if cycle:
        out.append(
            f"Constraints depend on each other in a circle ({' -> '.join(cycle)}): Blender does not evaluate them "
            "reliably. Remove one of them."
        )
    if rig.driven & mapped:
        out.append(f"Drivers set {_list(sorted(rig.driven & mapped))}: keys there have no effect. Remove the drivers.")
    locked = [b for b in rig.names if b in mapped and rig.locked[rig.index(b)]]
    if locked:
        out.append(
            f"Rotation is locked on {_list(locked)}: keys are written all the same. Unlock the channels to edit them "
            "by hand, or take the bones out of the mapping."
        )
    size = float(np.ptp(rig.heads, axis=0).max())
    short = [b for b in rig.names if b in mapped and rig.lengths[rig.index(b)] < 1e-4 * size]
    if short:
        out.append(
            f"Bones have next to no length: {_list(short)}. Their direction is taken from the bones that follow."
        )
    scaled = [b for b in rig.names if b in carrying and _scaled(rig.basis[rig.index(b)])]
    if scaled:
        out.append(f"The pose scales {_list(scaled)}: feet and hips will be off. Clear the scale (Alt+S in pose mode).")
    if np.ptp(np.linalg.norm(rig.world[:3, :3], axis=0)) > 0.01 * np.linalg.norm(rig.world[:3, :3], axis=0).max():
        out.append("The armature is scaled unevenly: limbs will shear as they turn. Apply the scale (Ctrl+A).")
    return out


def _chain(rig: RigSpec, bone: str, length: int) -> list[str]:
    chain = [bone, *(rig.names[a] for a in rig.ancestors(rig.index(bone)))]
    return chain[:length] if length else chain


def find_cycle(rig: RigSpec) -> list[str]:
    """Bones that depend on each other in a circle through constraints and parents, or nothing."""
    needs: dict[str, set[str]] = {n: set() for n in rig.names}
    for i, p in enumerate(rig.parents):
        if p >= 0:
            needs[rig.names[i]].add(rig.names[p])
    for c in rig.constraints:
        moved = _chain(rig, c.bone, c.chain) if c.type == "IK" else [c.bone]
        for bone in moved:
            needs[bone] |= set(c.targets) & needs.keys()
    done: set[str] = set()
    for start in rig.names:
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(start, True)]
        while stack:
            bone, enter = stack.pop()
            if not enter:
                done.add(path.pop())
            elif bone in path:
                return [*path[path.index(bone) :], bone]
            elif bone not in done:
                path.append(bone)
                stack.append((bone, False))
                stack += [(n, True) for n in sorted(needs[bone])]
    return []


def _scaled(basis: Array) -> bool:
    return bool(np.abs(np.linalg.norm(basis[:3, :3], axis=0) - 1).max() > 1e-3)


def _list(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
