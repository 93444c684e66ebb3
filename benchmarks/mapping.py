"""How often the bones of a rig are mapped rightly: by structure alone, and as users meet it, with names.

    python -m benchmarks.mapping --recordings FOLDER --out benchmarks/mapping.md

Rigs are drawn at random by `tests/blender_addon/variants.py`: 19 families, other numbers of bones, proportions, rest
poses, axes, scales, rolls, tails that point anywhere, and hair, clothes, wings, faces and helpers that hang on them.
FOLDER holds archives of motion capture in BVH: skeletons of other people's making, on which nothing was tuned.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from blender_addon.retarget.mapping import find_mapping
from blender_addon.retarget.names import find_by_names
from blender_addon.retarget.rig import RigError, RigSpec
from blender_addon.retarget.slots import BODY, Mapping
from blender_addon.retarget.structure import find_by_structure
from tests.blender_addon.creatures import CREATURES, bush
from tests.blender_addon.judge import OUTCOMES, Verdict, judge
from tests.blender_addon.rigs import Built, from_points
from tests.blender_addon.variants import random_variant
from training.data.bvh import Bvh, bvh_files, parse_bvh

from .machine import heading

FIRST_SEED = 3000
"""Thresholds were set on seeds from 10000 on."""
GROUPS: dict[str, tuple[str, ...]] = {
    "all": ("",),
    "nothing hangs on them": (),
    "long hair, wings or a cape": ("long hair", "wings", "cape"),
    "other build": ("spine x",),
    "no fingers": ("no fingers",),
    "neither fingers nor toes": ("no fingers", "no toes"),
    "no clavicles": ("no clavicles",),
    "clavicles on the neck": ("clavicles on the neck",),
    "every tail loose": ("loose tails: all",),
}
EXTRAS = ("hair", "skirt", "cape", "tail", "wings", "ears", "weapon", "ik", "breast", "face", "correctives", "ends")


def in_group(name: str, done: str) -> bool:
    if name == "nothing hangs on them":
        return not any(f", {kind}" in done for kind in EXTRAS)
    needed = GROUPS[name]
    return (all if name.startswith("neither") else any)(word in done for word in needed)


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def table(rows: Iterable[tuple[str, list[Verdict]]]) -> str:
    lines = [
        "| rigs | number | right | left open | abstained | wrong | sides exchanged | fingers right, open, wrong |"
        " twist bones right, open, wrong |",
        "|---|" + "---|" * 8,
    ]
    for name, verdicts in rows:
        count = Counter(v.outcome for v in verdicts)
        shares = [percent(count[o], len(verdicts)) for o in OUTCOMES]
        fingers = [sum(getattr(v, f"fingers_{k}") for v in verdicts) for k in ("right", "open", "wrong")]
        twists = [sum(getattr(v, f"twist_{k}") for v in verdicts) for k in ("right", "open", "wrong")]
        cells = [percent(n, sum(three)) for three in (fingers, twists) for n in three]
        lines.append(
            f"| {name} | {len(verdicts)} | {' | '.join(shares)} | {', '.join(cells[:3])} | {', '.join(cells[3:])} |"
        )
    return "\n".join(lines)


def measure(
    count: int, hide_names: bool, way: Callable[[RigSpec], Mapping]
) -> tuple[list[tuple[str, Verdict]], float, int]:
    """What was done to each rig and the verdict on it; median milliseconds of one mapping; median bones."""
    out: list[tuple[str, Verdict]] = []
    times: list[float] = []
    bones: list[int] = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        built, done = random_variant(seed, hide_names)
        start = perf_counter()
        verdict = judge(built, way)
        times.append(1e3 * (perf_counter() - start))
        bones.append(len(built.rig.names))
        out.append((done, verdict))
    return out, median(times), int(median(bones))


def mapped(rigs: Iterable[RigSpec]) -> tuple[int, int]:
    """How many of rigs that are no humanoids were taken for one, and how many rigs there are."""
    taken = number = 0
    for rig in rigs:
        number += 1
        try:
            find_by_structure(rig)
        except RigError:
            continue
        taken += 1
    return taken, number


def skeleton(bvh: Bvh) -> RigSpec:
    """The rest pose of a recording."""
    heads = np.zeros((len(bvh.names), 3))
    for i, p in enumerate(bvh.parents):
        heads[i] = heads[p] + bvh.offsets[i] if p >= 0 else 0
    tails = heads.copy()
    for i, name in enumerate(bvh.names):
        children = [heads[c] for c, p in enumerate(bvh.parents) if p == i]
        tails[i] = heads[i] + bvh.ends[name] if name in bvh.ends else np.mean(children, axis=0)
        if np.linalg.norm(tails[i] - heads[i]) < 1e-6:
            tails[i] += (0, 0.01, 0)
    return from_points(list(bvh.names), list(bvh.parents), heads, tails)


def recordings(archive: Path) -> list[Verdict]:
    """One verdict for each skeleton that differs by more than a tenth of a unit; the truth is what their names say."""
    seen: set[tuple[object, bytes]] = set()
    out: list[Verdict] = []
    for name, file in bvh_files(archive):
        rig = skeleton(parse_bvh(file.read(), name))
        key = (rig.names, np.round(rig.heads, 1).tobytes())
        named = find_by_names(rig)
        if key not in seen and named is not None:
            seen.add(key)
            out.append(judge(Built(rig, {s: b for s, b in named.bones.items() if s in BODY})))
    return out


def main() -> None:
    """Map all rigs and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rigs", type=int, default=400, help="random rigs")
    parser.add_argument("--recordings", type=Path, help="a folder of archives of BVH files")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    hidden, time, bones = measure(args.rigs, True, find_by_structure)
    named, named_time, _ = measure(args.rigs, False, find_mapping)
    groups = [(name, [v for done, v in hidden if in_group(name, done)]) for name in GROUPS]
    # With names the new roots' say nothing, and the rig's own root is as good.
    shown = [v for done, v in named if "two more roots" not in done]
    animals, animal_count = mapped(make() for make in CREATURES.values())
    wild, wild_count = mapped(bush(seed, False) for seed in range(1000, 1300))
    even, even_count = mapped(bush(seed, True) for seed in range(1000, 1300))
    parts = [
        "By structure alone, every name replaced by nonsense. Right: every bone of root, pelvis, spine, neck, head, "
        "arms and legs as built, and no other. Left open: nothing wrong, but a part was left open, with a note that "
        f"says so. Abstained: an error instead of a mapping. Median: {bones} bones, {time:.0f} ms.",
        table(groups),
        "The same rigs with their names, as `find_mapping` maps them (preset, then names, then structure; "
        f"median {named_time:.0f} ms). Some of their bones have names that say nothing, such as end bones for toes.",
        table([("all", shown)]),
        "Taken for humanoids by structure, of rigs that are none:\n\n"
        f"- animals, vehicles, a hand, a candelabrum: {animals} of {animal_count}\n"
        f"- bones at random: {wild} of {wild_count}\n"
        f"- bones at random, mirrored so that every branch has its twin: {even} of {even_count}",
    ]
    if args.recordings:
        archives = sorted(p for p in args.recordings.iterdir() if ".tar" in p.suffixes)
        parts += [
            "Skeletons of motion capture by structure, against what their names say. A BVH file's rest pose need not "
            "be a pose: those of mhad point all limbs the same way, most of accad's sit; there abstaining is right.",
            table([(p.name.split(".")[0], recordings(p)) for p in archives]),
        ]
    odd = [(done, v) for done, v in hidden if v.outcome in ("wrong", "exchanged")]
    if odd:
        parts.append("What was wrong:\n\n" + "\n".join(f"- {done}" for done, _ in odd))
    sys.argv = [
        sys.argv[0],
        *(["--recordings ..."] if args.recordings else []),
        *(["--out", str(args.out)] * bool(args.out)),
    ]
    text = heading("Mapping of bones") + "\n" + "\n\n".join(parts) + "\n"
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
