"""Containers of known sequences in the forms of other libraries, and what may be wrong with the sequences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import torch
import xarray as xr

from skseqmetric import from_concatenated
from skseqmetric.datasets import read_sequences

Made = list[np.ndarray]


def names_of(X: Made) -> list[str]:
    return [f"channel {c}" for c in range(X[0].shape[1])]


def columns_of(X: Made) -> dict[str, list[Any]]:
    return {name: [x[:, c].tolist() for x in X] for c, name in enumerate(names_of(X))}


def two_level(X: Made) -> pd.DataFrame:
    cases, times = np.repeat(np.arange(len(X)), [len(x) for x in X]), np.concatenate([np.arange(len(x)) for x in X])
    index = pd.MultiIndex.from_arrays([cases, times], names=["case", "time"])
    return pd.DataFrame(np.concatenate(X), index=index, columns=names_of(X))


def padded(X: Made) -> xr.DataArray:
    """A DataArray, padded with NaN. Object arrays keep their objects."""
    kind = object if X[0].dtype == object else np.float64
    values = np.full((len(X), max(1, *map(len, X)), X[0].shape[1]), np.nan, dtype=kind)
    for row, x in zip(values, X, strict=True):
        row[: len(x)] = x
    return xr.DataArray(values, dims=["case", "time", "channel"], coords={"channel": names_of(X)})


def from_folder(X: Made, kind: str) -> Any:
    """Write a file for each sequence, and read the folder. Gaps are allowed in files, so the door looks at them too."""
    with TemporaryDirectory() as folder:
        for i, x in enumerate(X):
            frame, path = pd.DataFrame(x, columns=names_of(X)), Path(folder) / f"case_{i}.{kind}"
            frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path, index=False)
        return read_sequences(folder).X


def concatenated(X: Made) -> Any:
    return from_concatenated(np.concatenate(X), [len(x) for x in X])


FORMS: dict[str, Callable[[Made], Any]] = {
    "concatenated": concatenated,
    "nested frame of Series": lambda X: pd.DataFrame(
        {name: [pd.Series(cell, dtype=X[0].dtype) for cell in cells] for name, cells in columns_of(X).items()}
    ),
    "polars lists": lambda X: pl.DataFrame(columns_of(X)),
    "pyarrow lists": lambda X: pa.table(columns_of(X)),
    "pandas with Arrow lists": lambda X: pa.table(columns_of(X)).to_pandas(types_mapper=pd.ArrowDtype),
    "DataArray": padded,
    "DataArray, turned": lambda X: padded(X).transpose("channel", "time", "case"),
    "Dataset": lambda X: padded(X).to_dataset(dim="channel"),
    "DataArrays": lambda X: [xr.DataArray(x, dims=["time", "channel"], coords={"channel": names_of(X)}) for x in X],
    "nested tensor": lambda X: torch.nested.nested_tensor([torch.from_numpy(x) for x in X], layout=torch.jagged),
    "two-level index": two_level,
    "two-level index, shuffled": lambda X: shuffled(two_level(X)),
    "folder of CSV": lambda X: from_folder(X, "csv"),
    "folder of Parquet": lambda X: from_folder(X, "parquet"),
}
NUMBERS_ONLY = {"nested tensor"}
OF_ONE_TYPE = {"polars lists", "pyarrow lists", "pandas with Arrow lists"}
"""Lists that their own library refuses to make of numbers and text."""
KEEPS_FLOAT32 = {"concatenated", "DataArrays", "nested tensor", "nested frame of Series", "folder of Parquet"} | {
    "two-level index",
    "two-level index, shuffled",
}


def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of every case in another order; the cases in theirs."""
    return pd.concat([part.iloc[::-1] for _, part in frame.groupby(level=0, sort=False)])


def made(rng: np.random.Generator) -> Made:
    """One to five sequences of one to three channels, of one of the dtypes of numbers."""
    n_channels, dtype = int(rng.integers(1, 4)), rng.choice(["float64", "float32", "int16", "int64", "bool"])
    return [rng.uniform(-9, 9, (t, n_channels)).astype(dtype) for t in rng.integers(1, 7, size=rng.integers(1, 6))]


# ------------------------------------------------------------------------------------------------ faults


def with_value(value: Any, dtype: Any) -> Callable[[Made, np.random.Generator], Made]:
    """One value is another, which is not the whole end of its sequence: that would be padding."""

    def change(X: Made, rng: np.random.Generator) -> Made:
        X = [np.concatenate([x, x[:1]]).astype(dtype) for x in X]
        i = int(rng.integers(len(X)))
        X[i][0, int(rng.integers(X[i].shape[1]))] = value
        return X

    return change


def without_steps(X: Made, rng: np.random.Generator) -> Made:
    """One sequence has no steps, and another one has."""
    X = [*X, X[0]]
    i = int(rng.integers(len(X) - 1))
    X[i] = X[i][:0]
    return X


FAULTS = {
    "NaN": (with_value(np.nan, np.float64), r"sequence \d+, step 0, channel \d is NaN"),
    "infinite": (with_value(-np.inf, np.float64), r"sequence \d+, step 0, channel \d is infinite|line 2"),
    "text": (with_value("x", object), r"sequence \d|row \d|column|channel|values|case_\d\.csv|X has"),
    "None": (with_value(None, object), r"sequence \d|row \d|column|channel|values|case_\d\.csv|X has"),
    "empty": (without_steps, r"sequence \d has zero steps|lengths\[\d\] is 0|case_\d|row \d|sequence \d"),
}
CANNOT_BE_EMPTY = {"two-level index", "two-level index, shuffled"}
"""A case without rows is not in the table."""
