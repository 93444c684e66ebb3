"""When heels and toes stand on the ground: from a network's probabilities to stretches of frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from .errors import MotionliftError
from .smooth import runs

Mode = Literal["auto", "always", "never"]
MODES: tuple[Mode, ...] = ("auto", "always", "never")

Flags = NDArray[np.bool_]

FASTEST, HIGHEST, SPEED_SECONDS = 0.5, 0.15, 0.06
"""A foot that is faster (m/s, over a Gaussian of that many seconds) or higher (metres) does not stand."""

ON, OFF = 0.6, 0.4
"""A contact begins above the first probability and ends below the second."""

SHORTEST = 0.1
"""Seconds. Contacts shorter than this, and breaks in them, are noise."""


@dataclass(frozen=True)
class ContactEdit:
    """A user's word on a foot: `foot` "left", "right" or "both" stands (or not) from frame `first` to `last`."""

    foot: str
    first: int
    last: int
    stands: bool

    def __post_init__(self) -> None:
        if self.foot not in ("left", "right", "both"):
            raise MotionliftError(f"A contact edit is for foot {self.foot!r}", "Use left, right or both")
        if self.last < self.first:
            raise MotionliftError(
                f"A contact edit runs from frame {self.first} to {self.last}", "Give the first frame first"
            )


def parse_edits(text: str) -> tuple[ContactEdit, ...]:
    """Edits from FOOT:FIRST-LAST=on or =off, with commas between, such as "left:100-120=off, both:200-230=on"."""
    out: list[ContactEdit] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        found = re.fullmatch(r"(\w+):(\d+)-(\d+)=(on|off)", part)
        if found is None:
            raise MotionliftError(
                f"{part!r} is no contact edit", "Write FOOT:FIRST-LAST=on or =off, such as left:100-120=off"
            )
        out.append(ContactEdit(found[1], int(found[2]), int(found[3]), found[4] == "on"))
    return tuple(out)


def find_contacts(
    probability: NDArray[np.floating[Any]],
    shown: Flags,
    fps: float,
    mode: Mode = "auto",
    edits: Sequence[ContactEdit] = (),
    frames: NDArray[np.integer[Any]] | None = None,
) -> Flags:
    """(T, 4) whether l_heel, l_toe, r_heel, r_toe stand.

    Args:
        probability: (T, 4) of a network; NaN counts as 0.
        shown: (T,) frames with a pose. No contact reaches across the others.
        mode: "auto" by hysteresis with shortest lengths; "always" or "never" whatever the network says.
        edits: what the user says instead, the last word counts; `frames` (T,) are the take's numbers.
    """
    if mode not in MODES:
        raise MotionliftError(f"Unknown contact mode {mode!r}", f"Use one of {', '.join(MODES)}")
    out = np.full(probability.shape, mode == "always") & shown[:, None]
    if mode == "auto":
        shortest = max(1, round(SHORTEST * fps))
        for start, stop in runs(shown):
            for f in range(probability.shape[1]):
                out[start:stop, f] = _hysteresis(probability[start:stop, f], shortest)
    return edited(out, shown, edits, np.arange(len(out)) if frames is None else frames)


def edited(contact: Flags, shown: Flags, edits: Sequence[ContactEdit], frames: NDArray[np.integer[Any]]) -> Flags:
    """(T, 4) contacts with the user's word in the shown frames; `frames` (T,) are the take's numbers."""
    out = contact.copy()
    for edit in edits:
        feet = {"left": slice(0, 2), "right": slice(2, 4), "both": slice(0, 4)}[edit.foot]
        inside = (frames >= edit.first) & (frames <= edit.last) & shown
        out[inside, feet] = edit.stands
    return out


def believable(contact: Flags, feet: NDArray[np.floating[Any]], floor: float, shown: Flags, fps: float) -> Flags:
    """(T, F) those contacts whose (T, F, 3) points are slow and near the floor: a false contact that is pinned would
    bend the leg far off what was seen.

    feet: metres, Z up, where the root path puts them; floor: its height.
    """
    sure = np.zeros_like(contact)
    for f in range(contact.shape[1]):
        # Within each stance alone: the swing before and after it is no sign against its first and last frame.
        for start, stop in runs(contact[:, f] & shown):
            points = np.asarray(feet[start:stop, f], np.float64)
            calm = np.asarray(gaussian_filter1d(points, SPEED_SECONDS * fps, axis=0, mode="nearest"), np.float64)
            speed = np.zeros(len(points))
            if stop - start > 1:
                speed = np.linalg.norm(np.gradient(calm, axis=0), axis=-1) * fps
            sure[start:stop, f] = (speed < FASTEST) & (points[:, 2] - floor < HIGHEST)
    out = np.zeros_like(contact)
    shortest = max(1, round(SHORTEST * fps))
    for start, stop in runs(shown):
        for f in range(contact.shape[1]):
            out[start:stop, f] = _hysteresis(sure[start:stop, f].astype(np.float64), shortest)
    return out


def _hysteresis(probability: NDArray[np.floating[Any]], shortest: int) -> Flags:
    """(n,) contact; between the thresholds a foot does what it did when last sure."""
    p = np.nan_to_num(np.asarray(probability, np.float64))
    sure = np.maximum.accumulate(np.where((p > ON) | (p <= OFF), np.arange(len(p)), -1))
    on = np.where(sure >= 0, (p > ON)[sure], False)
    for start, stop in runs(~on):  # breaks first: two halves of one stance may each be short
        if stop - start < shortest and start > 0 and stop < len(on):
            on[start:stop] = True
    for start, stop in runs(on):
        if stop - start < shortest:
            on[start:stop] = False
    return on
