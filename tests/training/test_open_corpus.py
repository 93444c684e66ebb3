"""Sanity of the openly licensed corpus as it comes out: what a wrong joint map or rest pose would break."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from lifter.rotation import quat_to_matrix
from lifter.skeleton import load_skeleton
from training.data.open_data import ManifestSource, manifest_items

BODY = load_skeleton()
LYING = (("pelvis", "spine", 50), ("spine", "chest", 30), ("chest", "head", 60), ("l_shin", "l_foot", 50))
"""Bones, and the degrees that the second may be off the first in the median. Heads of single subjects of CMU really
are that far off: where their head bones point differs from subject to subject."""

A_SUBJECT = 6
"""Recordings of each subject that are looked at."""


@pytest.fixture(scope="module")
def subjects(shared: Path) -> dict[str, list[dict[str, np.ndarray]]]:
    folder = shared / "data" / "mocap"
    wanted: dict[str, list[str]] = defaultdict(list)
    for record in json.loads((folder / "manifest.json").read_text(encoding="utf-8")):
        if record["sec"] > 2:
            wanted[record["subject"]].append(f"{record['source']}/{record['id']}")
    # Spread over what the subject does: some lie or crawl for several recordings.
    chosen = {names[i * len(names) // A_SUBJECT] for names in wanted.values() for i in range(A_SUBJECT)}
    out: dict[str, list[dict[str, np.ndarray]]] = defaultdict(list)
    for item in manifest_items(ManifestSource("manifest", str(folder)), Path(), BODY):
        for recording in item.read() if item.name in chosen else ():
            out[recording.subject].append({k: np.asarray(v, np.float64) for k, v in recording.arrays.items()})
    return out


def test_both_feet_stand_on_the_floor(subjects: dict[str, list[dict[str, np.ndarray]]]) -> None:
    ankles = [BODY.joint("l_ankle"), BODY.joint("r_ankle")]
    for subject, recordings in subjects.items():
        low = np.mean([np.percentile(r["joints"][:, ankles, 2], 5, axis=0) for r in recordings], 0)
        assert abs(low[0] - low[1]) < 0.05, f"{subject}: left ankle {low[0]:.3f}, right {low[1]:.3f} m"
        touch = np.mean([r["contacts"].reshape(-1, 2, 2).any(-1).mean(0) for r in recordings], 0)
        assert touch.min() > 0.05, f"{subject}: share of frames in which a foot stands: {touch}"


def test_trunk_and_hands_lie_as_bodies_do(subjects: dict[str, list[dict[str, np.ndarray]]]) -> None:
    """A rest pose that is not ours shows as a constant turn of one bone against the next."""
    names = [b.name for b in BODY.bones]
    for subject, recordings in subjects.items():
        turns = np.concatenate([quat_to_matrix(r["rotations"]) for r in recordings])
        for above, below, most in LYING:
            between = np.swapaxes(turns[:, names.index(above)], -1, -2) @ turns[:, names.index(below)]
            trace = np.clip((np.trace(between, axis1=-2, axis2=-1) - 1) / 2, -1, 1)
            angle = float(np.degrees(np.median(np.arccos(trace))))
            assert angle < most, f"{subject}: {below} lies {angle:.0f} degrees off {above}"
