"""Locks that the operating system holds: a process that dies leaves none behind."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}
"""Errors of file systems that know no locks."""

_MOST = 200  # bytes that are read of who holds a lock


class HeldElsewhere(Exception):
    """Somebody else holds a lock. The text says who."""


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock `path`, a small file that is removed afterwards, during the block.

    Any number of holders may share a lock, or one has it alone. Two blocks of one process count like two processes.
    Where the system or the file system has no locks, a warning says so; without locks that can be shared, `shared`
    locks nothing.

    Raises
    ------
    HeldElsewhere
        Somebody else holds the lock.
    OSError
        The file cannot be made.
    """
    descriptor = _taken(path, shared=shared)
    try:
        yield
    finally:
        _release(path, descriptor, shared=shared)


def _taken(path: Path, *, shared: bool) -> int:
    """Return the open file of a lock that is held. Its name may have been removed by the holder before."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor, path, shared=shared)
            if _is_named(descriptor, path):
                if not shared:
                    _sign(descriptor)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, path: Path, *, shared: bool) -> None:
    try:
        if sys.platform == "win32":
            _lock_on_windows(descriptor, shared=shared)
        else:
            import fcntl

            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except ImportError:
        _warn_of_no_lock(path)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise HeldElsewhere(_holder(descriptor)) from error
        _warn_of_no_lock(path)


def _lock_on_windows(descriptor: int, *, shared: bool) -> None:
    if sys.platform == "win32" and not shared:
        import msvcrt

        os.lseek(descriptor, 2**20, os.SEEK_SET)  # behind the text, which others may read
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)


def _warn_of_no_lock(path: Path) -> None:
    warnings.warn(
        f"{path.parent} has no locks of files: take care that no other process works in this folder.", stacklevel=2
    )


def _is_named(descriptor: int, path: Path) -> bool:
    """Whether the name still points to this file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # only a message needs it
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())


def _holder(descriptor: int) -> str:
    with contextlib.suppress(OSError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        text = os.read(descriptor, _MOST).decode(errors="replace")
        if text.isprintable() and text:
            return text
    return "another process"


def _release(path: Path, descriptor: int, *, shared: bool) -> None:
    try:
        if shared:  # the last of those that share it removes the file
            _lock(descriptor, path, shared=False)
        if sys.platform != "win32":
            path.unlink(missing_ok=True)
    except (HeldElsewhere, OSError):
        pass
    finally:
        os.close(descriptor)
