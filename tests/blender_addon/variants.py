"""Rigs with nonsense names that differ from one another as characters do, and creatures that are no humanoids.

`random_variant` draws family, joints, proportions, rest pose, rolls, tails, axes, scale and what else hangs on the rig.
NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from blender_addon.retarget.rig import Array
from blender_addon.retarget.slots import FINGERS, SIDES

from .rigs import (
    EXTRAS,
    FAMILIES,
    Bone,
    Built,
    about,
    add_extras,
    axis_rotations,
    bones_of,
    build,
    drop,
    drop_below,
    from_bones,
    nonsense,
    place,
    vary,
)

X, Y, Z = np.eye(3)
EVERY_TURN = axis_rotations()


def random_variant(seed: int, hide_names: bool = True) -> tuple[Built, str]:
    """The rig with its truth, and what was done to it. The same seed gives the same rig."""
    rng = np.random.default_rng(seed)
    family = list(FAMILIES)[seed % len(FAMILIES)]
    done = [family]
    built = _joints(build(family), rng, done)
    built = vary(built, seed, proportions=float(rng.uniform(0, 0.2)), noise=float(rng.uniform(0, 0.03)))
    built = _shape(built, rng, done)
    built = _rest_pose(built, rng, done)
    kinds = [k for k in EXTRAS if rng.random() < 0.2]
    done += kinds
    built = name_toes(add_extras(built, *kinds))
    turn = EVERY_TURN[rng.integers(len(EVERY_TURN))]
    scale = float(rng.choice([0.01, 1.0, 100.0]))
    tails = str(rng.choice(["true", "leaves", "all"], p=[0.6, 0.25, 0.15]))
    done.append(f"loose tails: {tails}" if tails != "true" else "")
    built = vary(built, seed, rolls=True, turn=turn, scale=scale, loose_tails=tails != "true", all_tails=tails == "all")
    built = shuffle(built, seed)
    return nonsense(built, seed) if hide_names else built, ", ".join(d for d in done if d)


# What differs


def _joints(built: Built, rng: np.random.Generator, done: list[str]) -> Built:
    """More or fewer bones in the body."""

    def sometimes(chance: float, what: str, change: Callable[[Built], Built]) -> None:
        nonlocal built
        if rng.random() < chance:
            done.append(what)
            built = change(built)

    fingers = [[f"{s}_{f}" for s in SIDES] for f in FINGERS]
    spine, neck = int(rng.integers(1, 7)), int(rng.integers(0, 4))
    sometimes(0.3, f"spine of {spine}", lambda b: rechain(b, "spine", spine))
    sometimes(0.3, f"neck of {neck}", lambda b: rechain(b, "neck", neck))
    sometimes(0.07, "clavicles on the neck", clavicles_on_neck)
    sometimes(0.25, "no clavicles", lambda b: drop(b, "l_clavicle", "r_clavicle"))
    sometimes(0.2, "no toes", lambda b: drop_below(b, "l_toe", "r_toe"))
    sometimes(0.2, "no fingers", lambda b: drop_below(b, *(s for pair in fingers for s in pair)))
    sometimes(0.15, "four fingers", lambda b: drop_below(b, *fingers[4]))
    sometimes(0.1, "three fingers", lambda b: drop_below(b, *fingers[3], *fingers[4]))
    sometimes(0.1, "nulls", add_nulls)
    sometimes(0.15, "two more roots", add_roots)
    return built


def _shape(built: Built, rng: np.random.Generator, done: list[str]) -> Built:
    """Another build: a child, a giant, a cartoon."""
    if rng.random() < 0.5:
        return built
    # From the trunk outwards: a factor holds for all that hangs on the part.
    factors = {"spine": rng.uniform(0.8, 1.2), "neck": rng.uniform(0.7, 1.6), "head": rng.uniform(0.8, 1.8)}
    limits = {"thigh": (0.65, 1.35), "clavicle": (0.8, 1.3), "upper_arm": (0.75, 1.2), "hand": (0.8, 1.5)}
    for slot, (low, high) in {**limits, "foot": (0.7, 1.5)}.items():
        factors |= dict.fromkeys((f"l_{slot}", f"r_{slot}"), rng.uniform(low, high))
    for slot, factor in factors.items():
        built = scale_below(built, slot, factor)
    done.append(" ".join(f"{s.removeprefix('l_')} x{f:.1f}" for s, f in factors.items() if s[:2] != "r_"))
    return built


def _rest_pose(built: Built, rng: np.random.Generator, done: list[str]) -> Built:
    """T-pose to arms at the sides, palms down to forward, bent or straight, legs together or apart."""
    down = float(rng.choice([0.0, rng.uniform(0.3, 1.1), rng.uniform(1.1, 1.5)]))
    elbow, knee = float(rng.uniform(-0.02, 0.5)), float(rng.uniform(-0.02, 0.2))
    palms, apart, toes_out = float(rng.uniform(-0.2, 1.5)), float(rng.uniform(-0.03, 0.3)), float(rng.uniform(0, 0.3))
    for side, sign in (("l", 1.0), ("r", -1.0)):
        built = turn_below(built, f"{side}_forearm", Z, -elbow * sign)
        built = turn_below(built, f"{side}_hand", X, -palms)
        built = turn_below(built, f"{side}_upper_arm", Y, down * sign)
        built = turn_below(built, f"{side}_shin", X, knee)
        built = turn_below(built, f"{side}_foot", X, -knee / 2)
        built = turn_below(built, f"{side}_foot", Z, toes_out * sign)
        built = turn_below(built, f"{side}_thigh", X, -knee / 2)
        built = turn_below(built, f"{side}_thigh", Y, -apart * sign)
    done.append(f"arms down {down:.1f} elbow {elbow:.2f} knee {knee:.2f} palms {palms:.1f} legs apart {apart:.2f}")
    return built


def name_toes(built: Built) -> Built:
    """A bone that lies ahead of the ankle is a toe, whatever it was called: an end bone, or MPFB's second toe."""
    truth = dict(built.truth)
    for side in SIDES:
        for name in (f"{truth[f'{side}_foot'][0]}_zend", f"toe2-1.{side.upper()}"):
            if f"{side}_toe" not in truth and name in built.rig:
                truth[f"{side}_toe"] = (name,)
    return Built(built.rig, truth)


# Changes of a rig


def rechain(built: Built, slot: str, count: int) -> Built:
    """The slot's chain cut into so many bones. What hung on its bones hangs on the last, or on the parent of none."""
    rig, old = built.rig, built.truth.get(slot, ())
    if not old or len(old) == count:
        return built
    start, end = rig.heads[rig.index(old[0])], rig.tails[rig.index(old[-1])]
    parent = rig.names[rig.parents[rig.index(old[0])]]
    new = tuple(f"{old[0]}_of_{count}_{k}" for k in range(count))
    last = new[-1] if new else parent
    bones = [(n, last if p in old else p, h, t) for n, p, h, t in bones_of(rig) if n not in old]
    for k, name in enumerate(new):
        a, b = (start + (end - start) * (k + i) / count for i in (0, 1))
        bones.append((name, new[k - 1] if k else parent, a, b))
    truth = {s: b for s, b in built.truth.items() if s != slot} | ({slot: new} if new else {})
    return Built(from_bones(bones, rig.name), truth)


def _on(built: Built, parents: dict[str, str], more: list[Bone]) -> Built:
    """With other parents for some bones, and more bones."""
    bones = [(n, parents.get(n, p), h, t) for n, p, h, t in bones_of(built.rig)]
    return Built(from_bones(bones + more, built.rig.name), built.truth)


def clavicles_on_neck(built: Built) -> Built:
    truth = built.truth
    if "neck" not in truth or "l_clavicle" not in truth:
        return built
    return _on(built, {truth[f"{s}_clavicle"][0]: truth["neck"][0] for s in SIDES}, [])


def add_nulls(built: Built) -> Built:
    """A bone of no length above each limb, as rigs have them that were grouped for animation."""
    rig, parents, more = built.rig, dict[str, str](), list[Bone]()
    for slot in ("clavicle", "upper_arm", "hand", "thigh"):
        for bone in (built.truth[f"{s}_{slot}"][0] for s in SIDES if f"{s}_{slot}" in built.truth):
            i = rig.index(bone)
            more.append((f"{bone}_null", rig.names[rig.parents[i]], rig.heads[i], rig.heads[i] + (0, 0, 0.01)))
            parents[bone] = f"{bone}_null"
    return _on(built, parents, more)


def add_roots(built: Built) -> Built:
    """Two bones at the origin above all others; the topmost is then the root."""
    floor = np.zeros(3)
    more = [("zroot0", "", floor, floor + (0, 0, 0.1)), ("zroot1", "zroot0", floor, floor + (0, 0, 0.1))]
    tops = {n: "zroot1" for n, p, _, _ in bones_of(built.rig) if not p}
    new = _on(built, tops, more)
    return Built(new.rig, new.truth | {"root": ("zroot0",)})


def below(built: Built, slot: str) -> list[int]:
    """The slot's first bone and all that hangs on it."""
    rig = built.rig
    if slot not in built.truth:
        return []
    top = rig.index(built.truth[slot][0])
    return [i for i in range(len(rig.names)) if i == top or top in rig.ancestors(i)]


def _move_below(built: Built, slot: str, matrix: Array) -> Built:
    """The bones below moved about the head of the slot's first bone."""
    rig, moved = built.rig, below(built, slot)
    if not moved:
        return built
    heads, tails, pivot = rig.heads.copy(), rig.tails.copy(), rig.heads[moved[0]]
    heads[moved] = (heads[moved] - pivot) @ matrix.T + pivot
    tails[moved] = (tails[moved] - pivot) @ matrix.T + pivot
    return place(built, heads, tails)


def turn_below(built: Built, slot: str, axis: Array, angle: float) -> Built:
    return _move_below(built, slot, about(axis, angle))


def scale_below(built: Built, slot: str, factor: float) -> Built:
    return _move_below(built, slot, np.eye(3) * factor)


def shuffle(built: Built, seed: int) -> Built:
    """The same bones in another order."""
    bones = bones_of(built.rig)
    order = np.random.default_rng(seed).permutation(len(bones))
    return Built(from_bones([bones[i] for i in order], built.rig.name), built.truth)
