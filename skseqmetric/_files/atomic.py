"""Files that hold either their old or their new content, whatever happens while they are written."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_LONGEST_STEM = 40  # characters of the name that the temporary file's name repeats; a system takes 255 bytes


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` in one step, once the block ends without an error.

    The content is on the disk before the name points to it. Every call writes to a temporary file of its own in the
    same folder, so that threads and processes may write the same path: the last to end wins, and none fails. After an
    error the temporary file is removed and `path` is as it was.

    The rest is as with `open(path, "wb")`. A new file has the permissions that the umask leaves. One that is replaced
    keeps its own, and a protected one is a PermissionError. A symbolic link stays, and the file that it leads to is
    replaced. What is no file, such as a pipe or /dev/null, is written to, since it has no content to replace; a folder
    is an IsADirectoryError.
    """
    target = _target(path)
    mode = _mode(target)
    if mode is not None and not stat.S_ISREG(mode):
        with open(target, "wb") as file:
            yield file
        return
    if mode is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
    partial = target.with_name(f".{target.name[:_LONGEST_STEM]}.{os.getpid()}.{secrets.token_hex(8)}.partial")
    try:
        with open(partial, "xb", opener=_opener(mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
        _sync_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def partial_files(path: str | os.PathLike[str]) -> list[Path]:
    """Return the temporary files of `path`: of processes that write it, or that were killed while they did."""
    target = _target(path)
    return list(target.parent.glob(f".{glob.escape(target.name[:_LONGEST_STEM])}.*.partial"))


def _opener(mode: int | None) -> Callable[[str, int], int]:
    """Create a file with these permissions from its first moment, whatever the umask is; None: as the umask says."""

    def create(path: str, flags: int) -> int:
        permissions = 0o666 if mode is None else mode & 0o777
        descriptor = os.open(path, flags, permissions)
        if mode is not None:
            with suppress(PermissionError):  # the folder may lie on a disk without permissions
                os.chmod(path, permissions)
        return descriptor

    return create


def _target(path: str | os.PathLike[str]) -> Path:
    """Follow symbolic links."""
    target = os.path.realpath(os.fspath(path))
    if os.path.islink(target):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    return Path(target)


def _mode(target: Path) -> int | None:
    try:
        return os.stat(target).st_mode
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk, where the system lets a program do that; the file is in its place anyway."""
    if os.name != "posix":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
