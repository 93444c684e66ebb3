"""The error that an animator reads: what is wrong, why, and what to do."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can mend. what, why (may be empty) and remedy are sentences without a full stop."""

    def __init__(self, what: str, remedy: str, why: str = "") -> None:
        self.what, self.why, self.remedy = what, why, remedy
        super().__init__(f"{what}{f' ({why})' if why else ''}. {remedy}.")
