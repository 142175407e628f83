"""A folder, or the files that match a pattern, with one recording in each: CSV and Parquet."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch
from tqdm import auto

from skseqmetric._input import bunch_of, label_array, named
from skseqmetric.datasets._csv import Recording, read_csv
from skseqmetric.datasets._npy import Unreadable
from skseqmetric.datasets._parquet import read_parquet

Naming = str | re.Pattern[str] | Callable[[Path], Any] | None
"""What makes a label of the path of a file: a pattern with a named group, or a function."""

_TEXT = {".csv", ".tsv", ".txt"}
_PARQUET = {".parquet", ".pq"}
_VIEW = 144  # bytes of the array object that every recording is, beside its numbers
_DELAY = 0.5  # seconds before the bar appears


def is_many(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder or a pattern of files, rather than one file."""
    return os.path.isdir(path) or (glob.has_magic(os.fspath(path)) and not os.path.exists(path))


def read_folder(
    path: str | os.PathLike[str],
    *,
    channels: Sequence[str] | None,
    time: str | None,
    label: Naming,
    group: Naming,
    header: bool | None,
    max_bytes: int | None,
    verbose: int,
) -> Bunch:
    """Read the files of a folder or of a pattern; `read_sequences` describes them."""
    root, paths = _files(path)
    wanted = None if channels is None else list(channels)
    names = [p.relative_to(root).as_posix() for p in paths]
    labels, groups = (_named_by(naming, role, paths, names) for naming, role in ((label, "label"), (group, "group")))
    found: list[Recording] = []
    n_bytes = 0
    for p in auto.tqdm(
        paths, desc="read_sequences", unit="file", delay=_DELAY, disable=not verbose, dynamic_ncols=True
    ):
        left = None if max_bytes is None else max_bytes - n_bytes
        found.append(_alike(_recording(p, wanted, time, header, left), found, p))
        n_bytes += found[-1].values.nbytes + _VIEW
        if max_bytes is not None and n_bytes > max_bytes:
            raise ValueError(
                f"{p}: the data so far need {n_bytes} bytes, more than max_bytes={max_bytes}. If you trust them, pass "
                "a larger max_bytes, or None."
            )
    kept = found[0].names
    times = None if time is None else [r.times for r in found if r.times is not None]
    X = [named(r.values, kept) for r in found]
    shown = [f"channel_{c}" for c in range(X[0].shape[1])] if kept is None else list(kept)
    return bunch_of(X, labels, groups, times, shown, np.array(names))


# ------------------------------------------------------------------------------------------------ paths


def _files(path: str | os.PathLike[str]) -> tuple[Path, list[Path]]:
    """Return the folder that names are relative to, and the files in the order of their names."""
    if os.path.isdir(path):
        root = Path(path)
        found = [p for p in root.rglob("*") if not any(part.startswith(".") for part in p.relative_to(root).parts)]
        found = [p for p in found if p.suffix.lower() in _TEXT | _PARQUET]
        kinds = "no file of CSV (.csv, .tsv, .txt) or Parquet (.parquet, .pq)"
    else:
        pattern = os.fspath(path)
        root = Path(os.path.dirname(re.split(r"[*?\[]", pattern, maxsplit=1)[0]))
        found = [Path(p) for p in glob.glob(pattern, recursive=True)]
        kinds = "no file that matches"
    files = sorted((p for p in found if p.is_file()), key=lambda p: p.relative_to(root).as_posix())
    if not files:
        raise ValueError(f"{os.fspath(path)} has {kinds}: a recording is one such file.")
    return root, files


def _named_by(naming: Naming, role: str, paths: list[Path], names: list[str]) -> np.ndarray | None:
    """Return the label of every file, or None without a way to name them."""
    if naming is None:
        return None
    if callable(naming):
        return label_array([naming(p) for p in paths], role)
    try:
        pattern = re.compile(naming)
    except (re.error, TypeError) as error:
        raise ValueError(f"{role}={naming!r} is no regular expression: {error}.") from error
    if role not in pattern.groupindex:
        raise ValueError(f"{role}={pattern.pattern!r} has no group of this name: write (?P<{role}>...) in it.")
    found = []
    for p, name in zip(paths, names, strict=True):
        match = pattern.search(name)
        if match is None or match[role] is None:
            raise ValueError(f"{p}: its name {name!r} does not match {role}={pattern.pattern!r}.")
        found.append(match[role])
    return np.array(found)


# ------------------------------------------------------------------------------------------- recordings


def _recording(path: Path, channels: list[str] | None, time: str | None, header: bool | None, left: Any) -> Recording:
    """Read one file, its rows sorted by time."""
    try:
        if path.suffix.lower() in _PARQUET:
            found = read_parquet(path, channels, time, left)
        else:
            found = read_csv(path, channels, time, header, left)
        return found if found.times is None else _sorted(found, found.times)
    except Unreadable as error:
        raise ValueError(f"{path}{error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _sorted(found: Recording, times: np.ndarray) -> Recording:
    if not np.isfinite(times).all():
        raise Unreadable(f": the time of step {int(np.argmin(np.isfinite(times)))} is missing. Remove the row.")
    order = np.argsort(times, kind="stable")
    twice = times[order][1:] == times[order][:-1]
    if twice.any():
        k = int(np.argmax(twice))
        raise Unreadable(
            f" has the time {times[order[k]]} twice, in the steps {order[k]} and {order[k + 1]}. Keep one."
        )
    return Recording(found.names, found.values[order], times[order])


def _alike(found: Recording, before: list[Recording], path: Path) -> Recording:
    """Return a recording with its channels in the order of the first one. Others are refused."""
    if not before:
        return found
    first = before[0]
    if first.times is not None and found.times is not None and first.times.dtype.kind != found.times.dtype.kind:
        raise ValueError(f"{path} has time stamps of {found.times.dtype}, but the first file of {first.times.dtype}.")
    if found.names == first.names and found.values.shape[1] == first.values.shape[1]:
        return found
    if found.names is None or first.names is None or sorted(found.names) != sorted(first.names):
        raise ValueError(
            f"{path} has the columns {_listed(found)}, but the first file has {_listed(first)}. Choose common ones by "
            "channels=[...]."
        )
    order = [found.names.index(name) for name in first.names]
    return Recording(first.names, found.values[:, order], found.times)


def _listed(found: Recording) -> str:
    return f"{found.values.shape[1]} without names" if found.names is None else f"{list(found.names)!s:.200}"
