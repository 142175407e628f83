"""The problems of a folder: every file in the form of `read_sequences` that has splits "train" and "test"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.problems import Split
from skseqmetric.datasets import read_sequences


@dataclass(frozen=True)
class Problem:
    """A problem of classes: labels are codes 0, 1, ... on both sides.

    groups : the recordings of the training sequences, for the estimators whose fit takes them; None if unknown.
    """

    name: str
    train: Split
    test: Split
    groups: np.ndarray | None = None

    @property
    def lengths(self) -> np.ndarray:
        """Steps of every sequence, of the training split first."""
        return np.array([len(x) for x in (*self.train[0], *self.test[0])])

    @property
    def is_ragged(self) -> bool:
        """Whether lengths differ."""
        return len(np.unique(self.lengths)) > 1

    def described(self) -> dict[str, int]:
        """Its sizes, for the report."""
        return {
            "train": len(self.train[0]),
            "test": len(self.test[0]),
            "channels": self.train[0][0].shape[1],
            "shortest": int(self.lengths.min()),
            "longest": int(self.lengths.max()),
            "classes": len(np.unique(self.train[1])),
        }


def find_problems(folder: Path, only: Iterable[str] | None = None) -> tuple[dict[str, Path], dict[str, str]]:
    """Files by the names of their problems, and why others are left out, in words.

    A problem is called as its file. Two files of one name are called by their paths from the folder.
    """
    paths = sorted(folder.rglob("*.npz"))
    stems = [path.stem for path in paths]
    files = {(p.stem if stems.count(p.stem) == 1 else str(p.relative_to(folder).with_suffix(""))): p for p in paths}
    if only is not None:
        if unknown := set(only) - set(files):
            raise ValueError(f"{folder} has no problem {sorted(unknown)}; it has {sorted(files)}.")
        files = {name: files[name] for name in dict.fromkeys(only)}
    left_out = {name: why for name, path in files.items() if (why := obstacle(path))}
    return {name: path for name, path in files.items() if name not in left_out}, left_out


def obstacle(path: Path) -> str | None:
    """Why the file is no problem for the panel, in words; None where it is one."""
    try:
        splits = read_sequences(path)
    except (ValueError, OSError) as error:
        return f"not in the form of read_sequences: {error}".replace(str(path), path.name)  # results name no folder
    if missing := [name for name in ("train", "test") if name not in splits]:
        return f"no split {' and no split '.join(missing)}"
    for name in ("train", "test"):
        X, y = splits[name]
        if not isinstance(y, np.ndarray) or y.ndim != 1:
            return f"split {name} has no label for every sequence"
        if not all(np.isfinite(x).all() for x in X):
            return f"split {name} has missing values"
    return None


def read_problem(name: str, path: Path) -> Problem:
    """The problem of a file that has no obstacle."""
    splits = read_sequences(path)
    codes, classes = {}, np.unique(np.concatenate([splits[side][1] for side in ("train", "test")]))
    for side in ("train", "test"):
        X, y = splits[side]
        codes[side] = ([np.asarray(x, dtype=np.float64) for x in X], np.searchsorted(classes, y))
    return Problem(name, codes["train"], codes["test"])
