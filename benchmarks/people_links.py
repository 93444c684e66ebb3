"""What speaks for two pieces of tracks being one person: fits the table `ODDS` of lifter/joining.py.

    python -m benchmarks.people_links

Scenes are those of benchmarks/people.py with other seeds than it is judged on. Their pieces, as they are and joined by
the truth over gaps up to a length that is drawn, are linked in all ways that a gap allows; a link is right if most
detections of both pieces are of the same true person. Log odds are a sum over the signs, each linear between its knots
(an additive logistic regression, Hastie and Tibshirani 1986), with a small ridge; short pieces have their
own table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.people import FIRST, LAYOUT, SCENES, Scene, cached_cast, default_corpus, make_scene
from lifter.joining import LOST_SECONDS, SHORT, SIGNS, link_signs, log_odds
from lifter.pieces import Piece, follow
from lifter.track import mirrored_keypoints

Array = NDArray[np.float64]

FIT_FIRST = 1000
"""Seed of the first scene."""
RIDGE = 2e-4
JOINED = (0.12, 0.3, 0.6)
"""Seconds of the gaps over which the truth joins pieces, one of these for each scene."""


def pieces_of(scene: Scene) -> tuple[list[Piece], list[int]]:
    """Pieces beyond doubt, and whose most detections of each are; -1 for made up."""
    whose = {
        id(d): w for found, who in zip(scene.found, scene.who, strict=True) for d, w in zip(found, who, strict=True)
    }
    mirror = mirrored_keypoints(LAYOUT)
    pieces: list[Piece] = []
    alive: list[Piece] = []
    for now, found in zip(scene.times, scene.found, strict=True):
        begun, alive = follow(alive, now, found, mirror)
        pieces += begun
    people = [[whose[id(d)] for d in p.detections] for p in pieces]
    return pieces, [max(set(own), key=own.count) for own in people]


def joined_by_truth(pieces: list[Piece], whose: list[int], longest: float) -> tuple[list[Piece], list[int]]:
    """Pieces of one person joined over gaps up to `longest` seconds."""
    out: list[Piece] = []
    people: list[int] = []
    last: dict[int, Piece] = {}
    for i in sorted(range(len(pieces)), key=lambda i: pieces[i].times[0]):
        piece, who = pieces[i], whose[i]
        before = last.get(who)
        if who >= 0 and before is not None and 0 < piece.times[0] - before.times[-1] <= longest:
            before.times += piece.times
            before.detections += piece.detections
            continue
        out.append(Piece([*piece.times], [*piece.detections]))
        people.append(who)
        last[who] = out[-1]
    return out, people


def links(scenes: Sequence[Scene], rng: np.random.Generator) -> tuple[dict[str, Array], NDArray[np.bool_]]:
    """Signs of all links of all scenes, and which of them are right."""
    mirror = mirrored_keypoints(LAYOUT)
    signs: list[dict[str, Array]] = []
    right: list[NDArray[np.bool_]] = []
    for scene in scenes:
        pieces, whose = pieces_of(scene)
        for own, people in ((pieces, whose), joined_by_truth(pieces, whose, float(rng.choice(JOINED)))):
            before, after, found = link_signs(own, mirror, LOST_SECONDS)
            who = np.array(people)
            signs.append(found)
            right.append((who[before] == who[after]) & (who[before] >= 0))
    return {n: np.concatenate([s[n] for s in signs]) for n in SIGNS}, np.concatenate(right)


def fit(signs: dict[str, Array], right: NDArray[np.bool_]) -> tuple[float, dict[str, list[float]]]:
    """The constant, and log odds at each sign's knots, 0 at the first."""
    parts: list[Array] = []
    for name, knots in SIGNS.items():
        parts += [np.interp(signs[name], knots[i : i + 2], (0, 1)) for i in range(len(knots) - 1)]
    x = np.stack([*parts, np.ones(len(right))], 1)

    # Steps between knots; only a gap or a length may speak for a link where there is more of it.
    bounds = [(None, None if n in ("gap", "frames") else 0) for n, knots in SIGNS.items() for _ in knots[1:]]
    bounds.append((None, None))

    def loss(w: Array) -> tuple[float, Array]:
        z = x @ w
        held = np.r_[w[:-1], 0]
        slope = x.T @ (1 / (1 + np.exp(-z)) - right) / len(right)
        return float(np.logaddexp(0, np.where(right, -z, z)).mean() + RIDGE * held @ held), slope + 2 * RIDGE * held

    found: Array = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
    table: dict[str, list[float]] = {}
    at = 0
    for name, knots in SIGNS.items():
        table[name] = [0.0, *(round(float(v), 2) for v in found[at : at + len(knots) - 1].cumsum())]
        at += len(knots) - 1
    return round(float(found[-1]), 2), table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=default_corpus(), help="the motion capture archives")
    parser.add_argument("--scenes", type=int, default=12, help="for each number of people")
    parser.add_argument("--first", type=int, default=FIT_FIRST, metavar="SEED", help="of the scenes")
    parser.add_argument("--cache", type=Path, help="file to keep the cast's motion in between runs")
    args = parser.parse_args()
    seeds = range(args.first, args.first + args.scenes)
    if set(seeds) & set(range(FIRST, FIRST + SCENES)):
        parser.error(f"Seeds {FIRST} to {FIRST + SCENES - 1} judge the tracker: choose others")
    cast = cached_cast(args.corpus, args.cache)
    signs, right = links([make_scene(cast, n, seed) for n in range(2, 9) for seed in seeds], np.random.default_rng(0))
    short = signs["frames"] < SHORT
    tables = [fit({n: v[use] for n, v in signs.items()}, right[use]) for use in (short, ~short)]
    text = f"# {len(right)} links, of which {right.mean():.0%} are right\n"
    text += f"CONSTANT = {tuple(t[0] for t in tables)}\nODDS = {{\n"
    for name in SIGNS:
        text += f'    "{name}": ({tuple(tables[0][1][name])}, {tuple(tables[1][1][name])}),\n'
    now = log_odds(signs)
    entropy = np.logaddexp(0, np.where(right, -now, now)).mean()
    sys.stdout.write(text + f"}}\n# Cross-entropy of the table in lifter/joining.py: {entropy:.4f}\n")


if __name__ == "__main__":
    main()
