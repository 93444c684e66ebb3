"""What a report says of a take in words: facts, and what to look at, with the frames that it is about."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hands import SURE, Hands
from ..skeleton import keypoints_to_joints
from ..smooth import runs
from ..take import FILLED, GAP, SEEN, Person, Take

LOW_CONFIDENCE = 0.5
LOW_SECONDS = 0.2
"""Shorter spells of low confidence are not worth a word."""
OFF = 0.1
"""A skeleton that is farther off than this part of the person's size in the picture is worth a word."""
MOST_SPELLS = 6
LENSES = {
    "given": "as given",
    "fov": "from the angle of view given",
    "path": "of the camera's path",
    "metadata": "from the file's metadata",
    "estimated": "estimated from the people",
    "assumed": "assumed, an ordinary one",
}


def facts(take: Take) -> list[list[str]]:
    """[label, value] pairs."""
    header, source = take.header, take.header["source"]
    focal = float(header["lens"]["focal"])
    angle = np.degrees(2 * np.arctan(max(source["width"], source["height"]) / 2 / focal))
    lens = LENSES.get(str(header["lens"]["source"]), str(header["lens"]["source"]))
    out = [
        ["Footage", str(source["path"] or "none: keypoints")],
        ["Picture", f"{source['width']} × {source['height']}, {take.fps:.6g} frames a second"],
        ["Lens", f"{angle:.0f}° along the longer side, {lens}"],
        ["Camera", "stands still" if take.camera.frames is None else "moves"],
        ["Detector", f"{header['detector']['name']} ({header['detector']['layout']})"],
        ["Checkpoint", str(header["checkpoint"]["name"])],
    ]
    settings = header["settings"]
    if "height" in settings:
        out.append(["Height", f"{settings['height']:g} m"])
    if "smoothing" in settings and "strength" in settings:
        out.append(["Smoothing", f"{str(settings['smoothing']).replace('_', ' ')}, {settings['strength']:g}"])
    for i, person in enumerate(take.people):
        seen = 100 * float((person.state != GAP).mean())
        who = "Person" if len(take.people) == 1 else f"Person {i + 1}"
        out.append([who, f"{person.times[0]:.1f} to {person.times[-1]:.1f} s, seen in {seen:.0f} %"])
        if person.hands is not None:
            left, right = 100 * hands_seen(person, person.hands).mean(0)
            out.append(
                [
                    f"{who}'s hands" if len(take.people) > 1 else "Hands",
                    f"left seen in {left:.0f} %, right in {right:.0f} %",
                ]
            )
    return out


def warnings(take: Take) -> list[dict[str, Any]]:
    """{text, level, and frames [first, last] and person where it is about some}. level: "warning" or "note"."""
    out: list[dict[str, Any]] = []
    for key in ("warnings", "solve_warnings"):
        out += [{"text": str(w), "level": "warning"} for w in take.header.get(key, ())]
    if take.header["lens"]["source"] == "assumed":
        out.append({"text": _ASSUMED, "level": "note"})
    for i, person in enumerate(take.people):
        who = "" if len(take.people) == 1 else f"Person {i + 1}: "
        out += [{**each, "text": who + each["text"], "person": i} for each in _of_person(person, take)]
    return out


_ASSUMED = (
    "The lens is not known and was assumed: distances and the path over the floor may be off. Give --fov or --focal"
)


def _of_person(person: Person, take: Take) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    scores = person.scores.mean(-1)
    unsure = (person.state == SEEN) & (scores < LOW_CONFIDENCE)
    out += _spells(person, person.state == GAP, "is not seen", "warning", take.fps, 0)
    out += _spells(person, unsure, "the detector is unsure", "warning", take.fps, LOW_SECONDS)
    out += _spells(person, person.state == FILLED, "not seen for a moment, and filled in", "note", take.fps, 0)
    out += _spells(person, person.swapped, "left and right were exchanged, and put right", "note", take.fps, 0)
    out += _spells(
        person, _off(person, take), "the skeleton does not lie on the person", "warning", take.fps, LOW_SECONDS
    )
    wrong = person.outlier.sum(0)
    worst: list[int] = np.argsort(-wrong)[:3].tolist()
    for joint in worst:
        if wrong[joint] > 0:
            name = _spoken(take.skeleton.joint_names[joint])
            first = int(person.frames[np.argmax(person.outlier[:, joint])])
            times = "once" if wrong[joint] == 1 else f"in {wrong[joint]} frames"
            out.append(
                {"text": f"the {name} jumped {times}, and was smoothed over", "level": "note", "frames": [first] * 2}
            )
    return [{**each, "text": each["text"][0].upper() + each["text"][1:]} for each in out]


def _off(person: Person, take: Take) -> NDArray[np.bool_]:
    """(T,) where the solved joints, seen through the camera, are far from the keypoints for the person's size."""
    xy, score = keypoints_to_joints(person.keypoints, person.scores, take.layout, take.skeleton)
    xy = np.where((score > LOW_CONFIDENCE)[..., None], xy, np.nan)
    known = np.isfinite(xy).all(-1).sum(-1) >= 4
    off = np.zeros(len(xy), bool)
    at = np.flatnonzero(known & (person.state == SEEN))
    if len(at):
        image = take.camera.project(person.joints_camera[at], person.frames[at])
        size = np.linalg.norm(np.nanmax(xy[at], 1) - np.nanmin(xy[at], 1), axis=-1)
        off[at] = np.nanmedian(np.linalg.norm(image - xy[at], axis=-1), axis=1) > OFF * size
    return off


def _spoken(joint: str) -> str:
    """l_big_toe: left big toe."""
    side = {"l_": "left ", "r_": "right "}.get(joint[:2], "")
    return side + (joint[2:] if side else joint).replace("_", " ")


def _spells(
    person: Person, mask: NDArray[np.bool_], what: str, level: str, fps: float, shortest: float
) -> list[dict[str, Any]]:
    """A warning a spell; where there are many, one for all of them."""
    spells = [(a, b) for a, b in runs(mask) if b - a >= shortest * fps]
    if not spells:
        return []
    if len(spells) > MOST_SPELLS:
        total = sum(b - a for a, b in spells)
        start = int(person.frames[spells[0][0]])
        text = f"{what}: {len(spells)} times, {total / fps:.1f} s in all"
        return [{"text": text, "level": level, "frames": [start, start]}]
    return [
        {
            "text": f"{what} {_at(person.times[a], person.times[b - 1])}",
            "level": level,
            "frames": [int(person.frames[a]), int(person.frames[b - 1])],
        }
        for a, b in spells
    ]


def _at(first: float, last: float) -> str:
    return f"at {first:.2f} s" if last - first < 0.05 else f"from {first:.2f} to {last:.2f} s"


def hands_seen(person: Person, hands: Hands) -> NDArray[np.bool_]:
    """(T, 2) frames in which the person's left and right hand were seen."""
    return (hands.scores.mean(-1) >= SURE) & (person.state != GAP)[:, None]
