"""The progress bar of long work. Loops report to it; who asked for the work decides whether it is seen."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from tqdm import auto

Item = TypeVar("Item")

DELAY = 0.5
"""Seconds before a bar appears. Work that is done by then shows none."""

_title: ContextVar[str | None] = ContextVar("skseqmetric_progress_title", default=None)
_open: ContextVar[bool] = ContextVar("skseqmetric_progress_open", default=False)


class Bar:
    """A bar that several threads may advance. Without a display it does nothing."""

    def __init__(self, display: Any = None) -> None:
        self._display, self._lock = display, threading.Lock()

    @property
    def is_shown(self) -> bool:
        return self._display is not None

    def advance(self, n: int = 1, figures: dict[str, str] | None = None) -> None:
        """Count n further items as done. `figures` stand behind the bar."""
        if self._display is None:
            return
        with self._lock:
            if figures:
                self._display.set_postfix(figures, refresh=False)
            self._display.update(n)

    def close(self) -> None:
        if self._display is not None:
            self._display.close()


@contextmanager
def titled(title: str, *, wanted: bool = True) -> Iterator[None]:
    """Let the loops inside show bars of this title, if they are wanted. Within another title it is added to it."""
    if not wanted:
        yield
        return
    outer = _title.get()
    token = _title.set(title if outer is None else f"{outer}, {title}")
    try:
        yield
    finally:
        _title.reset(token)


def is_titled() -> bool:
    """Whether an outer call shows bars already."""
    return _title.get() is not None


def is_wanted() -> bool:
    """Whether a loop that begins here would show a bar. It may then work in smaller parts."""
    return is_titled() and not _open.get()


@contextmanager
def progress(what: str, total: int, unit: str, *, delay: float | None = None) -> Iterator[Bar]:
    """Show a bar for the loop inside, unless nobody asked for it or the loop is part of one that shows a bar."""
    if not is_wanted():
        yield Bar()
        return
    token, bar = (
        _open.set(True),
        Bar(_display(f"{_title.get()}: {what}", total, unit, DELAY if delay is None else delay)),
    )
    try:
        yield bar
    finally:
        bar.close()
        _open.reset(token)


@contextmanager
def hushed() -> Iterator[None]:
    """Show no bar for what is inside."""
    token = _open.set(True)
    try:
        yield
    finally:
        _open.reset(token)


def tracked(items: Iterable[Item], what: str, total: int, unit: str) -> Iterator[Item]:
    """Yield the items, and show a bar for them."""
    with progress(what, total, unit) as bar:
        for item in items:
            yield item
            bar.advance()


def worker_number() -> int | None:
    """The number of this process among the workers of a search, or None outside of workers."""
    digits = multiprocessing.current_process().name.rpartition("-")[2]
    return int(digits) if multiprocessing.parent_process() is not None and digits.isdigit() else None


def _display(text: str, total: int, unit: str, delay: float) -> Any:
    # workers share the terminal, and do not know of each other's lines
    worker = worker_number()
    line = None if worker is None else (worker - 1) % multiprocessing.cpu_count()
    return auto.tqdm(total=total, desc=text, unit=unit, delay=delay, position=line, dynamic_ncols=True)
