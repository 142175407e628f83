"""What is wrong with a file, or with a value that is to go into one."""

from __future__ import annotations

from typing import NoReturn


class DamagedFile(ValueError):
    """A file that is no whole model file. The message says what is wrong with it."""


class NotStorable(ValueError):
    """A value that no file can hold. `place` names it, and `what` says what it is."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place} is {what}")
        self.place, self.what = place, what


def damaged(what: str) -> NoReturn:
    """Raise `DamagedFile`."""
    raise DamagedFile(what)
