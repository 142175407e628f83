"""Every file that the package writes is replaced in one step, by any number of writers, or stays as it was."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import stat
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import skseqmetric
from skseqmetric.datasets import read_sequences, write_sequences
from skseqmetric.inspection import StateAnimation

ROOT = Path(skseqmetric.__file__).parent
posix = pytest.mark.skipif(os.name != "posix", reason="permissions and links are those of POSIX")


def write(path: Path, number: int = 0) -> None:
    """A file of `number` + 1 sequences that hold nothing else than `number`."""
    write_sequences(path, {"train": (np.full((number + 1, 200, 2), float(number)), None)})


def read(path: Path) -> int:
    """The number of a whole file."""
    X, _ = read_sequences(path)["train"]
    number = len(X) - 1
    assert (np.stack(X) == number).all()
    assert X[0].shape == (200, 2)
    return number


# ---------------------------------------------------------------------------------------- many at a time


def write_five(path: Path, first: int, failures: Any) -> None:
    try:
        for number in range(first, first + 5):
            write(path, number)
    except BaseException as error:
        failures.put(repr(error))
        raise


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="starts processes by fork")
def test_no_write_is_lost_beside_others(tmp_path: Path) -> None:
    """Four processes and four threads write one file 40 times, while it is read."""
    path = tmp_path / "x.npz"
    write(path)
    context = multiprocessing.get_context("fork")
    failures = context.SimpleQueue()
    writers: list[Any] = [context.Process(target=write_five, args=(path, 5 * k, failures)) for k in range(4)]
    writers += [threading.Thread(target=write_five, args=(path, 5 * k, failures)) for k in range(4, 8)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns where a process with threads forks
        for writer in writers:
            writer.start()
    n_reads = 0
    while any(writer.is_alive() for writer in writers):
        assert 0 <= read(path) < 40
        n_reads += 1
    for writer in writers:
        writer.join()
    assert failures.empty(), failures.get()
    assert [writer.exitcode for writer in writers[:4]] == [0] * 4
    assert n_reads > 1
    assert read(path) % 5 == 4, "the last write of somebody"
    assert os.listdir(tmp_path) == ["x.npz"]


# ------------------------------------------------------------------------------------------- every writer


def animation() -> StateAnimation:
    rng = np.random.default_rng(0)
    states, points = [rng.normal(size=(4, 3))], [rng.normal(size=(4, 2))]
    return StateAnimation.from_readouts(states, points, [(np.ones((1, 3)), np.zeros(1))] * 2)


def save_page(path: Path) -> None:
    pytest.importorskip("plotly")
    animation().save_html(path)


def save_film(path: Path) -> None:
    pytest.importorskip("matplotlib")
    animation().save_gif(path, dpi=20)


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "sequences": ("x.npz", write),
    "page": ("x.html", save_page),
    "film": ("x.gif", save_film),
    "video": ("x.mp4", save_film),
}
FFMPEG = """#!{python} -S
import sys
assert sys.argv[sys.argv.index("-f", 3) + 1] == "mp4" or "mp4" in sys.argv
frames = sys.stdin.buffer.read()
with open(sys.argv[-1], "wb") as file:
    file.write(b"%d bytes" % len(frames))
"""


@pytest.fixture
def ffmpeg(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of this name that writes the number of bytes it was given."""
    folder = tmp_path_factory.mktemp("programs")
    program = folder / "ffmpeg"
    program.write_text(FFMPEG.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@posix
@pytest.mark.usefixtures("ffmpeg")
@pytest.mark.parametrize("kind", WRITERS)
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    name, save = WRITERS[kind]
    path = tmp_path / name
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="the disk is full"):
            save(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [name]
    save(path)
    assert path.read_bytes() not in (b"old", b"")
    assert os.listdir(tmp_path) == [name]


def test_nothing_is_written_past_the_door() -> None:
    """Names that write to a path of their own are used in one place only."""
    past = re.compile(
        r"open\([^)\n]*[\"'][wax]b?\+?[\"']|\.write_(text|bytes|html|image)\(|savefig\(|\btofile\(|\bmktemp\(|"
        r"np\.save\w*\((?!file)|torch\.save\((?!file)|NamedTemporaryFile"
    )
    found = {
        str(file.relative_to(ROOT)): lines
        for file in sorted(ROOT.rglob("*.py"))
        if file.parent.name != "_files"
        if (lines := [line for line in file.read_text(encoding="utf-8").splitlines() if past.search(line)])
    }
    assert found == {}


# ------------------------------------------------------------------------------------ permissions and links


@posix
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path / "x.npz")
        (tmp_path / "plain").touch()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("x.npz", "plain")]
    assert modes == [0o666 & ~umask] * 2


@posix
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o666])
def test_a_file_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "x.npz"
    write(path)
    path.chmod(mode)
    write(path, 1)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert read(path) == 1


@posix
def test_a_protected_file_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npz"
    write(path)
    path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda *_: False)  # as for everybody but root
    with pytest.raises(PermissionError):
        write(path, 1)
    assert read(path) == 0
    assert os.listdir(tmp_path) == ["x.npz"]


@posix
def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file, link = tmp_path / "data" / "x.npz", tmp_path / "link.npz"
    link.symlink_to(Path("data") / "x.npz")
    for number in (0, 1):  # at first it leads to nothing
        write(link, number)
        assert link.is_symlink()
        assert read(file) == read(link) == number
    assert os.listdir(tmp_path / "data") == ["x.npz"]
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        write(loop)


@posix
def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write(path)
    received = os.read(reader, 2**16)
    os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)
    (tmp_path / "x.npz").write_bytes(received)
    assert read(tmp_path / "x.npz") == 0


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises((IsADirectoryError, PermissionError)):
        write(tmp_path)
    assert os.listdir(tmp_path) == []


def test_long_names_are_written(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 120 + ".npz")
    write(path)
    assert read(path) == 0
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "none" / "x.npz")


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
