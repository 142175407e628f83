"""Arrays of an .npz file that nobody vouches for: sizes are judged before anything is unpacked."""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import numpy as np

from skseqmetric.datasets._npy import Header, Unreadable, read_array, read_header

LONGEST_NAME = 200  # characters
LONGEST_DIRECTORY = 2**22  # bytes: some 50,000 arrays
_BEST_RATIO = 1032  # of deflate: no stream unpacks to more bytes for one of its own
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those of NumPy; the others unpack without a bound on memory
_REMEDY = "Copy it again from its source, or write it anew with write_sequences."
_LONGEST_DESCRIPTOR = 24  # bytes that some writers put behind a member
_ENCRYPTED, _UTF_8 = 0x1, 0x800
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")


class _BoundedFile(io.BufferedReader):
    """A file for zipfile, which reads the directory in one piece, however long the file says it is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LONGEST_DIRECTORY:
            raise Unreadable(f" has a directory of {size} bytes; at most {LONGEST_DIRECTORY} are read.")
        return super().read(size)


class Archive:
    """The arrays of an .npz file, by key; `open_archive` makes it."""

    def __init__(self, file: io.BufferedReader) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
        except zipfile.BadZipFile as error:
            raise Unreadable(f" is not an .npz file, or it is cut off or damaged: {error}. {_REMEDY}") from error
        self._file = file
        self.members = self._checked_members()

    def _checked_members(self) -> dict[str, zipfile.ZipInfo]:
        members: dict[str, zipfile.ZipInfo] = {}
        place = 0
        for info in sorted(self._zip.infolist(), key=lambda info: info.header_offset):
            _check_gap(place, info.header_offset)
            key = info.filename.removesuffix(".npy")
            if key in members:
                raise Unreadable(f" holds two arrays named {shown(key)}.")
            _check_member(info)
            place = self._end_of(info)
            members[key] = info
        _check_gap(place, self._zip.start_dir)
        return members

    def _end_of(self, info: zipfile.ZipInfo) -> int:
        """Return where a member ends. It has a second header before it; where the two differ, one of them is wrong."""
        with self._zip.open(info):  # compares the names
            self._file.seek(info.header_offset)
            local = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        if (local[2] ^ info.flag_bits) & (_ENCRYPTED | _UTF_8) or local[3] != info.compress_type:
            raise Unreadable(f" is damaged: two headers of {shown(info.filename)} differ. {_REMEDY}")
        return info.header_offset + _LOCAL_HEADER.size + local[-2] + local[-1] + info.compress_size

    def header(self, key: str) -> Header:
        """Read what an array promises; it must be as long as the archive says."""
        info = self.members[key]
        with self._zip.open(info) as stream:
            header = read_header(stream, key)
        if header.n_bytes != info.file_size:
            raise Unreadable(
                f": {key} should have {header.n_bytes} bytes for {header.dtype} of shape {header.shape}, but has "
                f"{info.file_size}. {_REMEDY}"
            )
        return header

    def array(self, key: str, header: Header) -> np.ndarray:
        """Unpack an array; its checksum must be right."""
        with self._zip.open(self.members[key]) as stream:
            return read_array(stream, header, key)

    def n_bytes(self, key: str) -> int:
        """Size of an unpacked array, as the archive says."""
        return self.members[key].file_size


def is_plain(name: str) -> bool:
    """Whether a member of an archive may have this name."""
    return 0 < len(name) <= LONGEST_NAME and not {"/", "\\", "\0"} & set(name)


def _check_gap(end: int, start: int) -> None:
    """Refuse members that overlap, and bytes of no member: of one that the directory has lost, say."""
    if not 0 <= start - end <= _LONGEST_DESCRIPTOR:
        raise Unreadable(f" is damaged: its members overlap or have a gap at byte {end}. {_REMEDY}")


def _check_member(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    if not is_plain(name):
        raise Unreadable(f" holds a member named {shown(name)}: names must be words, without folders.")
    if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
        raise Unreadable(f": {shown(name)} is encrypted, or packed otherwise than NumPy does. {_REMEDY}")
    packed, size = info.compress_size, info.file_size
    if size > _BEST_RATIO * packed or (info.compress_type == zipfile.ZIP_STORED and size != packed):
        raise Unreadable(f" is damaged: {shown(name)} cannot have {size} bytes, packed to {packed}. {_REMEDY}")


@contextmanager
def open_archive(path: str | os.PathLike[str]) -> Iterator[Archive]:
    """Open an .npz file. Inside the block, whatever its content does wrong becomes one ValueError with the path."""
    name = os.fsdecode(path)
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe would wait for a writer
        raise ValueError(f"{name} is not an .npz file, but a device or a pipe. Pass the path of a file.")
    with _BoundedFile(io.FileIO(path)) as file:
        try:
            yield Archive(file)
        except Unreadable as error:
            raise ValueError(f"{name}{error}") from error.__cause__
        except MemoryError as error:
            raise ValueError(f"{name} needs more memory than there is. Lower max_bytes to refuse it early.") from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL, errno.EOVERFLOW):
                raise  # the disk, not the content
            raise ValueError(f"{name} is damaged: {type(error).__name__}: {str(error)[:200]}. {_REMEDY}") from error


def shown(name: str) -> str:
    """Quote a name for a message, however long it is."""
    return repr(name if len(name) <= 60 else name[:60] + "...")


def all_shown(names: Collection[str]) -> str:
    """Quote names for a message, however many there are."""
    first, n_others = sorted(names)[:10], len(names) - 10
    return f"[{', '.join(map(shown, first))}]" + (f" and {n_others} more" if n_others > 0 else "")
