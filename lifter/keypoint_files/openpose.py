"""OpenPose's folder, one JSON a frame: NAME_000000000012_keypoints.json, {"people": [{"pose_keypoints_2d": [x, y,
score, ...]}]}. Pose2Sim and Sports2D write the same as NAME_000012.json, with other layouts.

Where hands were detected too, and the body is BODY_25, both hands follow the body (layout openpose67). Every frame has
a file, also those without people. `person_id` is a number per frame and tells nobody apart.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import numpy as np

from lifter.errors import MotionliftError
from lifter.structure import array, entry, mapping, sequence

from .clip import Array, Found, KeypointClip, layout_of, make_clip, make_found, read_json

FRAME = re.compile(r"(.*?)_?([0-9]{1,12})(_keypoints)?\.json")
HANDS = ("hand_left_keypoints_2d", "hand_right_keypoints_2d")


def clips(folder: Path) -> dict[str, list[Path]]:
    """Videos in a folder and below it, by name: their files in the order of frames."""
    numbered = [(p, m) for p in folder.rglob("*.json") if (m := FRAME.fullmatch(p.name))]
    # Other tools number their own files too, in the same folder.
    named = [(p, m) for p, m in numbered if m[3]] or numbered
    keyed = sorted(((p.parent.relative_to(folder) / m[1]).as_posix(), int(m[2]), p) for p, m in named)
    return {name: [p for _, _, p in group] for name, group in groupby(keyed, lambda k: k[0])}


def read(files: list[Path], layout: str) -> KeypointClip:
    """One video from its files."""
    rows: list[tuple[int, Array, str]] = []
    frames: list[int] = []
    with_hands = True
    for file in files:
        match = FRAME.fullmatch(file.name)
        assert match
        frames.append(int(match[2]))
        people = sequence(entry(read_json(file), "people", str(file)), f"{file}, people")
        for i, person in enumerate(people):
            where = f"{file}, people[{i}]"
            body = _triples(person, "pose_keypoints_2d", where)
            if not len(body):
                continue  # a hand or a face without a body
            hands = [_triples(person, key, where) for key in HANDS if mapping(person, where).get(key)]
            whole = len(body) == 25 and len(hands) == 2 and all(len(hand) == 21 for hand in hands)
            with_hands = with_hands and whole
            rows.append((frames[-1], np.concatenate([body, *hands]) if whole else body, where))
    folder = files[0].parent
    if len(set(frames)) < len(frames):
        raise MotionliftError(f"{folder}: two files have the same frame number", "Keep the files of one clip in it")
    bodies = {25 if len(r) == 67 and not with_hands else len(r) for _, r, _ in rows}
    if len(bodies) > 1:
        what = f"{folder}: people have different numbers of keypoints ({', '.join(map(str, sorted(bodies)))})"
        raise MotionliftError(what, "Keep the files of one run of the detector in it")
    count = next(iter(bodies), 25)
    named = layout_of(count, layout, str(folder))
    found: list[Found] = [make_found(frame, r[:count], where=where) for frame, r, where in rows]
    return make_clip(folder, named, found, frames)


def _triples(person: object, key: str, where: str) -> Array:
    numbers = array(np.ravel(entry(person, key, where)), ("N",), f"{where}, {key}")
    if len(numbers) % 3:
        raise MotionliftError(f"{where}, {key}: {len(numbers)} numbers, not a multiple of 3", "Write the file again")
    return numbers.reshape(-1, 3)
