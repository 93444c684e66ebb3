"""News for the user, kept until the panel that they belong to is used again: errors, warnings, what was done.

An operator's report is gone from the status bar after a few seconds, and what ends while nobody waits for it has no
operator at all; so every panel also draws the notices of its own section.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .environment.errors import SetupError
from .errors import UserError
from .retarget.rig import RigError
from .take_file import TakeError
from .worker.messages import Failed

Kind = Literal["ERROR", "WARNING", "INFO"]
ERRORS = (UserError, SetupError, TakeError, RigError)
MOST = 6
"""Notices that a section keeps; older ones go."""


@dataclass(frozen=True)
class Notice:
    """A piece of news. file: a report to open, where there is one."""

    kind: Kind
    what: str
    why: str = ""
    remedy: str = ""
    file: Path | None = None

    @property
    def text(self) -> str:
        """All of it in one line."""
        parts = [self.what + (f" ({self.why})" if self.why else ""), self.remedy]
        return " ".join(p if p.endswith((".", "?", "!")) else p + "." for p in parts if p)


_shown: dict[str, list[Notice]] = {}


def show(section: str, notice: Notice) -> None:
    kept = [n for n in _shown.get(section, []) if n != notice]
    _shown[section] = [*kept, notice][-MOST:]


def shown(section: str) -> list[Notice]:
    return _shown.get(section, [])


def clear(section: str | None = None) -> None:
    """Of one section, or of all."""
    if section is None:
        _shown.clear()
    else:
        _shown.pop(section, None)


def of_error(error: Exception) -> Notice:
    """The notice of one of `ERRORS`. Those of takes and rigs are one text whose last sentence is the remedy."""
    if isinstance(error, UserError | SetupError):
        return Notice("ERROR", error.what, error.why, error.remedy)
    what, _, remedy = str(error).rstrip(".").rpartition(". ")
    return Notice("ERROR", what or remedy, "", remedy if what else "")


def of_failure(failed: Failed) -> Notice:
    return Notice("ERROR", failed.what, failed.why, failed.remedy, failed.report_file)


def perform(operator: Any, section: str, work: Callable[[], str | None]) -> set[str]:
    """An operator's whole execute: do the work, and show what came of it in the status bar and in the section's panel.

    work: returns a sentence on what was done, or None; raises one of `ERRORS`.
    """
    clear(section)
    try:
        done = work()
    except ERRORS as error:
        notice = of_error(error)
        show(section, notice)
        operator.report({"ERROR"}, notice.text)
        return {"CANCELLED"}
    for notice in shown(section):
        operator.report({notice.kind}, notice.text)
    if done:
        operator.report({"INFO"}, done)
    return {"FINISHED"}
