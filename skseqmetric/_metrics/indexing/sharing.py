"""A lock that any number of readers share, or one writer has alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class SharedLock:
    """Readers wait for a writer, and a writer for the readers before it. A writer that waits lets no new reader in."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._n_readers = self._n_waiting = 0
        self._is_written = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Share the lock with other readers."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._is_written or self._n_waiting))
            self._n_readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_readers -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have the lock alone."""
        with self._changed:
            self._n_waiting += 1
            try:
                self._changed.wait_for(lambda: not (self._is_written or self._n_readers))
            finally:
                self._n_waiting -= 1
            self._is_written = True
        try:
            yield
        finally:
            with self._changed:
                self._is_written = False
                self._changed.notify_all()
