"""A page about a take, in one file that needs no network: footage with overlay, a 3D player, timelines, warnings.

page.html, page.css and player.js are the page; here they are put together with a take's data. Every text that comes
from a take is set as text in the browser, never as markup.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import MotionliftError
from ..hands import SIDES, finger_joints, has_hands
from ..pictures import frames_at, jpeg, write_beside
from ..skeleton import FEET
from ..take import GAP, SEEN, Person, Take
from .words import facts, hands_seen, warnings

FOLDER = Path(__file__).parent
SAMPLES = 4000
"""More frames than these are thinned out: a page has to open quickly."""
PICTURES = 360
PICTURE_HEIGHT = 400
MISSING = -32768
"""In 16 bits; in 8 it is -128."""

Progress = Callable[[str, int, int], None]


def write_report(
    take: Take,
    path: str | Path,
    *,
    pictures: int = PICTURES,
    height: int = PICTURE_HEIGHT,
    progress: Progress | None = None,
) -> list[str]:
    """Write the page. Of footage that is gone, or of takes without, there is the overlay alone.

    Args:
        pictures: how many frames of the footage are put into the page at most; 0 for none.
        height: of these in pixels, at most.
    Returns warnings. Raises MotionliftError where the file cannot be written; nothing is half-written.
    """
    path = Path(path)
    numbers = sampled(take)
    shown, said = _pictures(take, numbers, pictures, height, progress)
    data = report_data(take, numbers) | {"pictures": shown, "footage": said}
    name = take.path.name if take.path else path.name
    parts = {
        "title": html.escape(name.removesuffix(".npz").removesuffix(".take")),
        "style": (FOLDER / "page.css").read_text(encoding="utf-8"),
        # No text in the data can end the script element that holds it.
        "data": json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "script": (FOLDER / "player.js").read_text(encoding="utf-8"),
    }
    page = (FOLDER / "page.html").read_text(encoding="utf-8")
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], page)
    write_beside(path, page.encode(), "Choose a folder that exists and has room")
    return [said] if said and take.header["source"]["path"] else []


def sampled(take: Take) -> NDArray[np.int64]:
    """(S,) frame numbers that the page shows: from the first to the last of all people, evenly thinned out."""
    first = min(int(p.frames[0]) for p in take.people)
    last = max(int(p.frames[-1]) for p in take.people)
    return np.arange(first, last + 1, max(1, -(-(last - first + 1) // SAMPLES)), dtype=np.int64)


def report_data(take: Take, numbers: NDArray[np.int64]) -> dict[str, Any]:
    """All that the page shows but pictures, as JSON can say it."""
    skeleton, source = take.skeleton, take.header["source"]
    names = skeleton.joint_names
    return {
        "fps": take.fps,
        "first": int(numbers[0]),
        "step": int(numbers[1] - numbers[0]) if len(numbers) > 1 else 1,
        "count": len(numbers),
        "size": [int(source["width"]), int(source["height"])],
        "joints": list(names),
        "parents": [int(p) for p in skeleton.parents],
        "people": [_person(take, p, numbers) for p in take.people],
        "camera": _camera(take, numbers),
        "warnings": warnings(take),
        "facts": facts(take),
    }


def _person(take: Take, person: Person, numbers: NDArray[np.int64]) -> dict[str, Any]:
    at = numbers - int(person.frames[0])
    inside = (at >= 0) & (at < len(person.frames))
    at = np.clip(at, 0, len(person.frames) - 1)
    state = np.where(inside, person.state[at], GAP)
    shown = state != GAP
    image = take.camera.project(person.joints_camera, person.frames)
    scores = np.where(person.state == SEEN, person.scores.mean(-1), 0.0)
    names = list(take.skeleton.joint_names)
    hands = [names.index(n) for n in ("l_wrist", "r_wrist") if n in names]
    speed = joint_speed(person.joints_world[:, [0]], take.fps)[:, 0]
    hand = joint_speed(person.joints_world[:, hands], take.fps).max(-1) if hands else np.full(len(speed), np.nan)
    stands = (person.stands * 2 ** np.arange(len(FEET))).sum(-1)

    def small(values: NDArray[Any]) -> dict[str, Any]:
        return packed(np.where(shown.reshape(-1, *[1] * (values.ndim - 1)), values[at], np.nan))

    return {
        "world": small(person.joints_world),
        "image": small(image),
        "speed": small(speed),
        "hand": small(hand),
        "confidence": octets(np.where(inside, scores[at], 0) * 100),
        "state": octets(state),
        "stands": octets(np.where(shown, stands[at], 0)),
        "outliers": octets(np.where(shown, person.outlier.sum(-1)[at], 0)),
        "swapped": octets(np.where(shown, person.swapped[at], 0)),
        "hands": _hands(take, person, at, shown),
    }


def _hands(take: Take, person: Person, at: NDArray[np.int64], shown: NDArray[np.bool_]) -> dict[str, Any] | None:
    """Points of both hands in the picture, where they were seen; solved joints of the fingers, from the wrists, of
    hands that were seen at all; and when that was. None where the take has no hands."""
    hands = person.hands
    if hands is None:
        return None
    score, seen = hands.scores.mean(-1), hands_seen(person, hands)
    image = np.where((seen[..., None] & (hands.scores > 0))[..., None], hands.keypoints, np.nan)
    fingers = np.full((len(score), 2, 20, 3), np.nan)
    if has_hands(take.skeleton):
        bones = [b.name for b in take.skeleton.bones]
        fingers = finger_joints(hands, person.rotations[:, [bones.index(f"{s}_hand") for s in SIDES]])
        fingers[:, ~(hands.weight > 0).any(0)] = np.nan
    fingers[person.state == GAP] = np.nan
    inside = shown[:, None]
    return {
        "image": packed(np.where(inside[..., None, None], image[at], np.nan)),
        # A finger is short: 8 bits are finer than a line is wide.
        "fingers": packed(np.where(inside[..., None, None], fingers[at], np.nan), 8),
        "score": octets(np.where(inside & seen[at], score[at], 0) * 100),
        "weight": octets(np.where(inside, hands.weight[at], 0) * 100),
    }


def joint_speed(joints: NDArray[np.floating[Any]], fps: float) -> NDArray[np.float64]:
    """(T, J) metres a second of (T, J, 3) joints, over the frame before and that after; NaN in and beside gaps."""
    if len(joints) < 2:
        return np.zeros(joints.shape[:2])
    steps = np.linalg.norm(np.gradient(joints.astype(np.float64), 1 / fps, axis=0), axis=-1)
    return np.where(np.isfinite(joints).all(-1), steps, np.nan)


def _camera(take: Take, numbers: NDArray[np.int64]) -> dict[str, Any]:
    """World to camera of each sample, or once of a camera that stands still: rows of [R | t], and the focal length."""
    camera = take.camera
    if camera.frames is None:
        rows = np.concatenate([camera.R, camera.t[:, None]], 1)[None]
    else:
        at = np.clip(numbers - int(camera.frames[0]), 0, len(camera.frames) - 1)
        rows = np.concatenate([camera.R[at], camera.t[at][..., None]], 2)
    return {
        "rows": np.round(rows.reshape(len(rows), 12), 4).tolist(),
        "focal": float(camera.K[0, 0]),
        "center": [float(camera.K[0, 2]), float(camera.K[1, 2])],
    }


def _pictures(
    take: Take, numbers: NDArray[np.int64], most: int, height: int, progress: Progress | None
) -> tuple[list[Any], str]:
    """([sample, JPEG as base64], ...) and, where there are none, a sentence on why."""
    if take.header["source"]["path"] is None:
        return [], "This take was made from keypoints: it has no footage"
    if most < 1:
        return [], "Footage was left out of this page"
    every = max(1, -(-len(numbers) // most))
    wanted = {int(n): i for i, n in enumerate(numbers) if i % every == 0}
    found: list[Any] = []
    try:
        for number, _, picture in frames_at(take, list(wanted), height):
            found.append([wanted[number], base64.b64encode(jpeg(picture, 72)).decode()])
            if progress:
                progress("pictures", len(found), len(wanted))
    except MotionliftError as error:
        if not found:
            return [], f"The footage cannot be shown: {error.what}"
    return found, "" if found else "The footage has no frame of this take any more"


def packed(values: NDArray[Any], bits: Literal[16, 8] = 16) -> dict[str, Any]:
    """Numbers as integers of 16 or 8 bits and a common unit, in base64; the lowest where they are not finite."""
    finite = np.isfinite(values)
    most = float(np.abs(values[finite]).max()) if finite.any() else 0.0
    unit = max(most / (2 ** (bits - 1) - 1), 1e-4)
    lowest = -(2 ** (bits - 1))
    whole = np.where(finite, np.round(np.where(finite, values, 0) / unit), lowest)
    whole = whole.astype(np.dtype("<i2") if bits == 16 else np.dtype("i1"))
    return {"unit": unit, "bits": bits, "data": base64.b64encode(whole.tobytes()).decode()}


def octets(values: NDArray[Any]) -> str:
    """Whole numbers of 0 to 255, in base64."""
    return base64.b64encode(np.clip(np.round(values), 0, 255).astype(np.uint8).tobytes()).decode()
