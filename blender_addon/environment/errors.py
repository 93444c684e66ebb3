"""The one error of this package that a user is meant to read."""

from __future__ import annotations


class SetupError(Exception):
    """Setting up cannot go on: what is wrong, why (may be empty), and what to do, each without a full stop."""

    def __init__(self, what: str, why: str, remedy: str) -> None:
        self.what, self.why, self.remedy = what, why, remedy
        super().__init__(f"{what}{f' ({why})' if why else ''}. {remedy}.")
