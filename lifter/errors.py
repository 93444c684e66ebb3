"""The one error a user is meant to read: what is wrong and what to do about it."""

from __future__ import annotations


class MotionliftError(Exception):
    """Something the user can mend. `str()` is one line: what is wrong, then the remedy.

    Everything else that is raised is a defect of ours and keeps its traceback.
    """

    def __init__(self, what: str, remedy: str) -> None:
        self.what = " ".join(what.split()).rstrip(".")
        self.remedy = " ".join(remedy.split()).rstrip(".")
        super().__init__(f"{self.what}. {self.remedy}.")
