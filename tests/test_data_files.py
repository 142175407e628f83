"""Damaged and hostile data files: read rightly, or one ValueError that names the file, in little memory."""

from __future__ import annotations

import errno
import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skseqmetric.datasets import read_sequences, write_sequences
from tests.small_data_files import (
    MUTATIONS,
    REWRITTEN,
    Arrays,
    archive_of,
    good_arrays,
    good_file,
    members,
    npy,
    npy_of,
)

MIB = 2**20


def plainly_split(arrays: Arrays) -> dict[str, Any]:
    """Split arrays that are known to be good."""
    found = {}
    for split in dict.fromkeys(key.rpartition("_")[0] for key in arrays):
        own = {part: arrays.get(f"{split}_{part}" if split else part) for part in ("values", "lengths", "labels")}
        ends = [sum(own["lengths"].tolist()[: i + 1]) for i in range(len(own["lengths"]))]
        labels = own["labels"]
        if labels is not None and len(labels) != len(ends):
            labels = np.split(labels, ends[:-1])
        found[split] = (np.split(own["values"], ends[:-1]), labels)
    return found


def assert_same(read: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(read) == list(expected)
    for split, (X, y) in expected.items():
        X_read, y_read = read[split]
        assert isinstance(X_read, list)
        assert len(X_read) == len(X)
        for own, other in zip(X_read, X, strict=True):
            assert (own.dtype, own.shape, own.tobytes()) == (other.dtype, other.shape, other.tobytes())
        assert type(y_read) is type(y)
        for own, other in zip(y_read if y is not None else [], y if y is not None else [], strict=True):
            np.testing.assert_array_equal(own, other, strict=True)


# ---------------------------------------------------------------------------------------------- mutations


def mutate_and_read(folder: Path, n: int, seed: int) -> dict[str, int]:
    """Read `n` mutated files; return how many were read and refused, and the most memory that one needed."""
    rng = np.random.default_rng(seed)
    originals = [good_file(compressed=True), good_file(compressed=False)]
    expected = plainly_split(good_arrays())
    counts = {"read": 0, "refused": 0, "peak": 0}
    for k in range(n):
        name = list(MUTATIONS)[k % len(MUTATIONS)]
        path = folder / f"mutated {k}.npz"
        path.write_bytes(MUTATIONS[name](bytearray(originals[rng.integers(2)]), rng))
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        try:
            read = read_sequences(path)
        except Exception as error:
            assert type(error) is ValueError, (name, error)  # noqa: PT017
            assert str(error).startswith(str(path))  # noqa: PT017
            counts["refused"] += 1
        else:
            with np.load(io.BytesIO(path.read_bytes())) if name in REWRITTEN else np.load(path) as arrays:
                other = plainly_split(dict(arrays)) if name in REWRITTEN else expected
            assert_same(read, other)
            counts["read"] += 1
        counts["peak"] = max(counts["peak"], tracemalloc.get_traced_memory()[1] - before)
        path.unlink()
    return counts


@pytest.fixture
def traced() -> Any:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(
    ("n", "seed"), [(64, 0), pytest.param(3000, 1, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)
def test_a_mutated_file_is_read_rightly_or_refused(tmp_path: Path, n: int, seed: int) -> None:
    counts = mutate_and_read(tmp_path, n, seed)
    print(counts)  # noqa: T201
    assert counts["read"] > n // 50
    assert counts["refused"] > n // 2
    assert counts["peak"] < 4 * MIB


# ------------------------------------------------------------------------------------------ hostile files

V, L = np.ones((5, 2)), np.array([2, 3])


def split_of(values: Any = V, lengths: Any = L, **others: Any) -> bytes:
    return archive_of({f"{key}.npy": npy(a) for key, a in {"values": values, "lengths": lengths, **others}.items()})


def header(descr: str = "'<f8'", shape: str = "(5, 2)", fortran_order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran_order}, 'shape': {shape}, }}"


def with_values(content: bytes) -> bytes:
    return archive_of({"values.npy": content, "lengths.npy": npy(L)})


def with_labels(content: bytes) -> bytes:
    return archive_of({**members(split_of()), "labels.npy": content})


def declared(data: bytes, size: int) -> bytes:
    """Say in both headers of the first member that it unpacks to `size` bytes."""
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", changed, changed.index(mark) + offset, size)
    return bytes(changed)


def encrypted(data: bytes) -> bytes:
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[changed.index(mark) + offset] |= 1
    return bytes(changed)


def overlapping() -> bytes:
    """Two entries of the directory lead to the same member."""
    data = split_of()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 4, 4, 2 * (end - start))
    return data[:end] + data[start:end] + bytes(tail)


def without_first_entry(data: bytes) -> bytes:
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    second = data.index(b"PK\x01\x02", start + 4)
    tail = bytearray(data[end:])
    struct.pack_into("<I", tail, 12, end - second)
    return data[:end] + bytes(tail)


def with_checksum(data: bytes, checksum: bytes) -> bytes:
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        place = changed.index(mark) + offset
        changed[place : place + 4] = checksum
    return bytes(changed)


def written_through(method: int) -> bytes:
    return archive_of({"values.npy": npy(V), "lengths.npy": npy(L)}, method)


DATES = np.array(["2026-01-01"] * 5, dtype="M8[D]")[:, np.newaxis]
RECORDS = np.zeros((5, 2), dtype=[("x", "f4")])
HOSTILE = {
    "lengths that wrap to the right sum": (split_of(lengths=np.array([2**63 + 5, 2**63], np.uint64)), "the longest is"),
    "negative lengths": (split_of(lengths=np.array([8, -3])), "the longest is 8"),
    "a length of zero": (split_of(lengths=np.array([5, 0])), "positive and sum to the 5 rows .* the least 0"),
    "more sequences than rows": (split_of(lengths=np.ones(6, int)), "6 sequences for the 5 rows"),
    "no sequences": (split_of(V[:0], L[:0]), "at least one sequence"),
    "no channels": (split_of(V[:, :0]), "no channels"),
    "text": (split_of(V.astype(str)), "must be real numbers, got <U"),
    "dates": (split_of(DATES), "must be real numbers, got datetime64"),
    "complex numbers": (split_of(V * 1j), "must be real numbers, got complex"),
    "records": (split_of(RECORDS), "structured array"),
    "records as labels": (split_of(labels=RECORDS[:2, 0]), "structured array"),
    "objects": (with_values(npy_of(header("'|O'"), b"cos\nsystem\n")), "holds Python objects"),
    "bytes of no type": (split_of(V.view("V8")), "must be real numbers"),
    "labels of no type": (split_of(labels=np.zeros(2, "V8")), "must be numbers, text or dates"),
    "labels of no width": (
        with_labels(npy_of(header("'<U0'", "(2,)"))),
        "numbers, text",
    ),
    "text that is no Unicode": (split_of(labels=np.array([2**31, 7], np.uint32).view("U1")), "do not exist"),
    "bools of two": (split_of(np.full((5, 1), 2, np.uint8).view(bool)), "neither 0 nor 1"),
    "two arrays of a name": (
        archive_of([("values.npy", npy(V)), ("lengths.npy", npy(L)), ("values", b"")]),
        "two arrays",
    ),
    "a name with folders": (archive_of({**members(split_of()), "../../x_values.npy": npy(V)}), "without folders"),
    "an absolute name": (archive_of({**members(split_of()), "/etc/passwd": b""}), "without folders"),
    "a name of Windows": (archive_of({**members(split_of()), "..\\x": b""}), "without folders"),
    "a name that ends early": (split_of().replace(b"lengths.npy", b"lengths\0npy"), "without folders"),
    "a huge shape": (with_values(npy_of(header(shape="(4611686018427387904, 2)"), V.tobytes())), "should have"),
    "a shape that wraps": (with_values(npy_of(header(shape="(9223372036854775813, 2)"), V.tobytes())), "should have"),
    "a negative shape": (with_values(npy_of(header(shape="(-5, -2)"), V.tobytes())), "header of values is damaged"),
    "a huge dtype": (with_values(npy_of(header("'<U2147483647'"), V.tobytes())), "values"),
    "no dtype": (with_values(npy_of(header("'<f7'"), V.tobytes())), "there is no dtype"),
    "a shape of many digits": (with_values(npy_of(header(shape="(" + 9000 * "1" + ")"), V.tobytes())), "is damaged"),
    "a shape of many sizes": (with_values(npy_of(header(shape="(" + 3000 * "1, " + ")"), V.tobytes())), "is damaged"),
    "an expression": (with_values(npy_of(header(shape="(5, 2)*9**9"), V.tobytes())), "header of values is damaged"),
    "a nested header": (with_values(npy_of("(" * 9000)), "header of values is damaged"),
    "many signs": (with_values(npy_of("-" * 9000 + "1")), "header of values is damaged"),
    "a long header": (with_values(npy_of(" " * 2**21, version=2)), "header of 2097153 bytes"),
    "a header without end": (with_values(b"\x93NUMPY\x01\x00\xff\x20{'descr'"), "ends inside its header"),
    "a version to come": (with_values(b"\x93NUMPY\x04\x00" + npy(V)[8:]), "no array of the .npy format"),
    "a text": (with_values(b"values"), "no array of the .npy format"),
    "a shorter array": (with_values(npy(V)[:-8]), "should have 208 bytes .* has 200"),
    "a longer array": (with_values(npy(V) + b"\0" * 8), "should have 208 bytes .* has 216"),
    "a size that cannot be": (declared(split_of(), 2**31), "cannot have 2147483648 bytes"),
    "a size that is a little too large": (declared(split_of(np.ones((5, 1000))), 40192), "should have"),
    "an encrypted array": (encrypted(split_of()), "is encrypted"),
    "bzip2": (written_through(zipfile.ZIP_BZIP2), "packed otherwise"),
    "LZMA": (written_through(zipfile.ZIP_LZMA), "packed otherwise"),
    "arrays that overlap": (overlapping(), "overlap or have a gap"),
    "a wrong checksum": (with_checksum(split_of(), b"abcd"), "Bad CRC-32"),
    "a directory that has lost an array": (without_first_entry(split_of(labels=L)), "overlap or have a gap"),
    "nothing": (b"", "not an .npz file"),
    "an archive of nothing": (archive_of({}), "no key that ends in"),
    "an array alone": (npy(V), "not an .npz file"),
}


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    with pytest.raises(ValueError, match=message) as caught:
        read_sequences(path)
    assert type(caught.value) is ValueError
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < len(str(path)) + 500
    assert tracemalloc.get_traced_memory()[1] - before < 8 * MIB


# ---------------------------------------------------------------------------------------- limits and forms


def test_a_file_beyond_the_limit_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "zeros.npz"
    write_sequences(path, {"train": (np.zeros((2, 2**18, 2)), None)})
    assert path.stat().st_size < MIB // 32
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"zeros\.npz would unpack to 8388\d+ bytes, more than max_bytes=8388608"):
        read_sequences(path, max_bytes=2**23)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MIB // 2
    for limit in (2**23 + 1000, None):
        assert [x.shape for x in read_sequences(path, max_bytes=limit)["train"][0]] == [(2**18, 2)] * 2


def test_the_limit_counts_all_splits_and_every_sequence(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    write_sequences(path, {"a": (np.zeros((1, 5000, 1)), None), "b": (np.zeros((1, 5000, 1)), None)})
    with pytest.raises(ValueError, match="more than max_bytes=70000"):
        read_sequences(path, max_bytes=70_000)
    np.savez(path, values=np.ones((10_000, 1), np.int8), lengths=np.ones(10_000, np.int8))
    with pytest.raises(ValueError, match=r"would unpack to 1460256 bytes"):
        read_sequences(path, max_bytes=10**6)
    assert len(read_sequences(path)[""][0]) == 10_000
    np.savez(path, values=V, lengths=L, more=np.zeros(10**6))
    assert list(read_sequences(path, max_bytes=10_000)) == [""], "what is ignored is not unpacked, and does not count"


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "1", np.inf])
def test_a_limit_is_a_positive_int(tmp_path: Path, limit: Any) -> None:
    with pytest.raises(ValueError, match="max_bytes must be a positive int, or None for no limit, got"):
        read_sequences(tmp_path / "x.npz", max_bytes=limit)


def refuse(*args: Any, **options: Any) -> None:
    raise PermissionError(errno.EACCES, "no")


def test_what_the_system_says_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        read_sequences(tmp_path / "x.npz")
    (tmp_path / "secret.csv").write_text("x\n1\n")
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(PermissionError):
        read_sequences(tmp_path)
    monkeypatch.undo()
    with pytest.raises(TypeError):
        read_sequences(3)  # type: ignore[arg-type]
    path = tmp_path / "x.npz"
    path.write_bytes(split_of())

    def fail(*args: Any, **options: Any) -> None:
        raise OSError(errno.EIO, "the disk")

    monkeypatch.setattr(zipfile.ZipFile, "open", fail)
    with pytest.raises(OSError, match="the disk"):
        read_sequences(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="a device or a pipe"):
        read_sequences(tmp_path / "pipe")


def test_memory_that_is_not_there_is_a_value_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(split_of())

    def fail(*args: Any, **options: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "frombuffer", fail)
    with pytest.raises(ValueError, match=r"x\.npz needs more memory than there is"):
        read_sequences(path)


FORMS = {
    "in Fortran's order": npy(np.asfortranarray(np.arange(10.0).reshape(5, 2))),
    "big-endian": npy(np.arange(10.0).reshape(5, 2).astype(">f8")),
    "version 2": npy_of(header(), np.arange(10.0).tobytes(), version=2),
    "version 3": npy_of(header(), np.arange(10.0).tobytes(), version=3),
    "with keys in another order": npy_of(
        "{'shape': (5, 2), 'fortran_order': False, 'descr': '<f8'}   ", np.arange(10.0).tobytes()
    ),
    "of Python 2": npy_of(header(shape="(5L, 2L)"), np.arange(10.0).tobytes()),
    "tight": npy_of("{'descr':'<f8','fortran_order':False,'shape':(5,2)}", np.arange(10.0).tobytes()),
}


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_other_writers_are_read(tmp_path: Path, form: str) -> None:
    (tmp_path / "x.npz").write_bytes(with_values(FORMS[form]))
    X, y = read_sequences(tmp_path / "x.npz")[""]
    assert [x.tolist() for x in X] == [[[0, 1], [2, 3]], [[4, 5], [6, 7], [8, 9]]]
    assert y is None


def test_dates_and_bytes_are_labels(tmp_path: Path) -> None:
    for labels in (np.array(["2026-01-01", "2026-02-01"], "M8[D]"), np.array([b"a", b"bc"]), np.array([3, 4], "m8[s]")):
        np.savez(tmp_path / "x.npz", values=V, lengths=L, labels=labels)
        np.testing.assert_array_equal(read_sequences(tmp_path / "x.npz")[""][1], labels, strict=True)


def test_a_file_streamed_to_a_pipe_is_read(tmp_path: Path) -> None:
    """Its members have their sizes behind them."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *place: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    file = Pipe()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members(split_of()).items():
            archive.writestr(name, content)
    (tmp_path / "x.npz").write_bytes(file.getvalue())
    assert [x.shape for x in read_sequences(tmp_path / "x.npz")[""][0]] == [(2, 2), (3, 2)]


def test_values_can_be_written_to(tmp_path: Path) -> None:
    write_sequences(tmp_path / "x.npz", {"train": ([V, V], ["a", "b"])})
    X, y = read_sequences(tmp_path / "x.npz")["train"]
    X[0][:], y[0] = 7, "c"
    assert X[1].tolist() == V.tolist()
    assert y.tolist() == ["c", "b"]
