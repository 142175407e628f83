"""The folder of a checkpoint: one file for each fit, who may write to it, and to which fits it belongs."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from skseqmetric._files import HeldElsewhere, locked, partial_files
from skseqmetric._ops.ranks import RANKS
from skseqmetric._training.checkpoints.file import ENDING, Identity, damaged, read_file, read_header, write_file
from skseqmetric._training.checkpoints.identity import differences, digest
from skseqmetric._training.checkpoints.trees import CannotBeWritten
from skseqmetric._training.running import RUNNING, fitted_by_a_library

SPARE = 2**26
"""Bytes that a file may have beyond 16 times those of the network: the history, and numbers of callbacks."""

MOST_DIFFERENCES = 5
"""Differences that an error names."""

MOST_FILES = 100
"""Files of other fits that are looked at, the latest ones, to find the fit with the fewest differences."""

PAUSE, PATIENCE = 0.1, 5.0
"""Seconds between two looks at a lock, and those after which a lock that can be shared is held by a fit by itself.

Whoever leaves such a lock last has it alone for a moment.
"""

_threads: dict[Path, int] = {}  # which thread of this process holds a lock


@dataclass
class Checkpoint:
    """The checkpoint of one fit, whose file nobody else writes meanwhile.

    Of processes that share the fit, the first one alone reads and writes. All of them call `read` and `write`.

    path : its file.
    identity : of which fit it is.
    seed : the seed of the fit, which a checkpoint that was found has decided.
    found : whether there is one already.
    """

    path: Path
    identity: Identity
    seed: int
    found: bool = False
    _warned: bool = field(default=False, repr=False)

    def read(self, n_bytes: int) -> Any:
        """Return the state that was found, for a training whose numbers have so many bytes."""
        return _in_first(lambda: read_file(self.path, 16 * n_bytes + SPARE))

    def write(self, state: dict[str, Any]) -> None:
        """Write the state of the fit. If the disk refuses it, a warning says so once and the file is as it was."""
        _in_first(lambda: self._write(state))

    def _write(self, state: dict[str, Any]) -> None:
        try:
            write_file(self.path, self.identity, self.seed, state)
        except CannotBeWritten as error:
            raise ValueError(f"checkpoint={str(self.path.parent)!r} cannot hold this training: {error}.") from error
        except OSError as error:
            self._warn(state["epochs"], error)

    def _warn(self, epoch: int, error: OSError) -> None:
        if self._warned:
            return
        self._warned = True
        kept = "The one before is still there" if self.path.exists() else "There is none yet"
        warnings.warn(
            f"The checkpoint of epoch {epoch} could not be written to {self.path}: {error}. {kept}, the fit goes on, "
            "and later epochs are tried without a further warning.",
            UserWarning,
            stacklevel=2,
        )

    def damaged(self, reason: object) -> ValueError:
        """Return the error of a file whose content does not fit the training."""
        return damaged(self.path, reason)


@contextmanager
def checkpoint_in(
    folder: str | os.PathLike[str], identity: Identity, seed: int, *, goes_on: bool
) -> Iterator[Checkpoint]:
    """Hold the checkpoint of a fit during the block.

    A fit by itself has the folder alone, and refuses one that belongs to other fits. Fits of a search, of a
    cross-validation, of a pipeline or of an ensemble share a folder, as do those that go on from an earlier model. Of
    two fits that are the same in all, the second waits for the first. Of processes that share a fit, the first one
    holds the folder for all.

    Parameters
    ----------
    folder : made if it does not exist.
    identity : of which fit it is.
    seed : used unless a checkpoint of the same fit has another one.
    goes_on : whether the fit goes on from an earlier model.

    Raises
    ------
    ValueError
        The folder cannot be used, somebody else uses it, it belongs to other fits, or the file is damaged.
    """
    with ExitStack() as held:
        yield _in_first(lambda: held.enter_context(_opened(folder, identity, seed, goes_on=goes_on)))


@contextmanager
def _opened(folder: str | os.PathLike[str], identity: Identity, seed: int, *, goes_on: bool) -> Iterator[Checkpoint]:
    folder = _made(folder)
    running = RUNNING.get()
    shared = fitted_by_a_library() or (running is not None and running.is_part)
    path = folder / f"{identity['estimator'].rpartition('.')[2]}-{digest([repr(sorted(identity.items()))])}{ENDING}"
    with ExitStack() as locks:
        _enter(locks, folder / ".lock", shared=shared)
        _enter(locks, path.with_name(f".{path.name}.lock"), waits=shared)
        for left in partial_files(path):  # of processes that were killed: nobody else writes now
            left.unlink(missing_ok=True)
        if path.exists():
            yield _found(path, identity)
        else:
            if not shared and not goes_on:
                _refuse_others(folder, identity)
            yield Checkpoint(path, identity, seed)


Answer = TypeVar("Answer")


def _in_first(call: Callable[[], Answer]) -> Answer:
    """Make a call, in the first of the processes that share a fit. All of them get its answer or its error."""
    ranks = RANKS.get()
    return call() if ranks is None else ranks.by_first(call)


def _made(folder: str | os.PathLike[str]) -> Path:
    made = Path(folder).absolute()  # the working directory may change during a fit
    try:
        made.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ValueError(f"checkpoint={os.fspath(folder)!r} is a file: pass a folder.") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"checkpoint={os.fspath(folder)!r} cannot be made: {error}.") from error
    return made


def _enter(locks: ExitStack, path: Path, *, shared: bool = False, waits: bool = False) -> None:
    """Take a lock, and hold it until the stack is closed."""
    refused_from = time.monotonic() + (PATIENCE if shared else 0)
    while True:
        try:
            locks.enter_context(locked(path, shared=shared))
            break
        except HeldElsewhere as error:
            # a fit within a callback of the same fit would wait for itself
            is_own = _threads.get(path) == threading.get_ident()
            if is_own or not (waits or time.monotonic() < refused_from):
                raise ValueError(
                    f"checkpoint={os.fspath(path.parent)!r} is in use by {error}: wait until it ends, or pass another "
                    "folder."
                ) from error
        except OSError as error:
            raise ValueError(f"checkpoint={os.fspath(path.parent)!r} cannot be written: {error}.") from error
        _pause()
    if not shared:
        _threads[path] = threading.get_ident()
        locks.callback(_threads.pop, path, None)


def _pause() -> None:
    time.sleep(PAUSE)
    running = RUNNING.get()
    if running is not None and running.ctrl_c.count:
        raise KeyboardInterrupt


def _found(path: Path, identity: Identity) -> Checkpoint:
    then, seed = read_header(path)
    if then != identity:
        raise damaged(path, f"its name is that of another fit: {'; '.join(differences(identity, then))}")
    return Checkpoint(path, identity, seed, found=True)


def _refuse_others(folder: Path, identity: Identity) -> None:
    """Refuse a folder with checkpoints of other fits, and name how the most similar one differs."""
    others = sorted(folder.glob(f"*{ENDING}"), key=lambda path: path.stat().st_mtime, reverse=True)
    if not others:
        return
    path, least = min(
        ((path, differences(identity, read_header(path)[0])) for path in others[:MOST_FILES]),
        key=lambda found: len(found[1]),
    )
    more = f"; and {len(least) - MOST_DIFFERENCES} more" if len(least) > MOST_DIFFERENCES else ""
    raise ValueError(
        f"checkpoint={os.fspath(folder)!r} belongs to another fit ({path.name}): {'; '.join(least[:MOST_DIFFERENCES])}"
        f"{more}. Call the fit as it was called then, pass another folder, or delete this one to begin anew."
    )
