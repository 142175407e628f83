"""The columns of a data frame of any library, read by narwhals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skseqmetric._input.arrays import kind_of, real_numbers

_FORMS = "Pass a data frame of pandas, polars, pyarrow or another library that narwhals knows."
_ROW_NUMBERS = ("Unnamed: ", "__index_level_")
"""How columns begin that hold the row numbers of a table that was written with its index."""


class Columns:
    """The columns of a frame, by their names.

    Parameters
    ----------
    frame : data frame
        Of pandas, polars, pyarrow, or of another library that narwhals knows. A lazy frame is collected.
    source : str
        What messages call it.
    wanted : sequence, default=()
        Names of columns that are no channels. They may also be those of levels of the index of a pandas frame, which
        become columns then.
    """

    def __init__(self, frame: Any, source: str, wanted: Sequence[Any] = ()) -> None:
        self.source, self._wanted = source, wanted
        self._frame = _collected(_with_levels(frame, wanted), source)
        self.names: list[Any] = list(self._frame.columns)
        if not len(self):
            raise ValueError(f"{source} has no rows: at least one sequence is needed.")

    def __len__(self) -> int:
        return len(self._frame)

    def check_named(self, name: Any, role: str) -> None:
        """Refuse a name that no column has."""
        if name not in self.names:
            raise ValueError(f"{role}={name!r} is no column of {self.source}, whose columns are {self.names}.")

    def dtype(self, name: Any) -> str:
        """Return the dtype of a column as messages call it."""
        return str(self._frame.get_column(name).dtype)

    def read(self, name: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return a column (N,) and which of its rows are missing. Datetimes with a time zone are given in UTC."""
        import narwhals

        column = self._frame.get_column(name)
        if isinstance(column.dtype, narwhals.Datetime) and column.dtype.time_zone is not None:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        values, missing = np.asarray(column.to_numpy()), np.asarray(column.is_null().to_numpy(), dtype=bool)
        if values.dtype.kind == "f":
            missing = missing | np.isnan(values)
        return values, missing

    def numbers(self, name: Any) -> np.ndarray:
        """Return a column of real numbers (N,), whose missing values are NaN. Anything else is refused by its name."""
        values, missing = self.read(name)
        if values.dtype.kind in "biuf":
            return values
        filled = np.array(values, dtype=object)
        filled[missing] = np.nan
        try:
            found = real_numbers(filled, f"column {name!r}")
            if found.ndim != 1:
                raise ValueError("Its cells hold whole series.")
        except ValueError as error:
            raise ValueError(
                f"column {name!r} of {self.source} holds {self.dtype(name)}, which is no channel: encode it as "
                f"numbers, or name the channels, as by channels={self._some_numeric()}. {error}"
            ) from error
        return found

    def _some_numeric(self) -> list[Any]:
        """Return names of numeric columns for a hint."""
        import narwhals

        kinds = {name: self._frame.get_column(name).dtype for name in self.names if name not in self._wanted}
        return [name for name, kind in kinds.items() if kind.is_numeric() or kind == narwhals.Boolean][:5]

    def other_than(self, taken: Sequence[Any]) -> list[Any]:
        """Return the columns that are not taken. Row numbers that a writer has left in the table are refused."""
        rest = [name for name in self.names if name not in taken]
        for name in rest:
            if str(name).startswith(_ROW_NUMBERS):
                raise ValueError(
                    f"column {name!r} of {self.source} looks like the row numbers of another table: drop it, or name "
                    "the channels by channels=[...]."
                )
        if not rest:
            raise ValueError(f"{self.source} has no column left for channels: its columns are {self.names}.")
        return rest


def _collected(frame: Any, source: str) -> Any:
    """Return the frame as narwhals has it, in memory."""
    import narwhals

    try:
        found = narwhals.from_native(frame)
    except TypeError:
        if not hasattr(frame, "__arrow_c_stream__"):
            raise ValueError(f"{source} is {kind_of(frame)}. {_FORMS}") from None
        return narwhals.from_arrow(frame, backend="pyarrow")
    except ValueError as error:
        raise ValueError(f"{source} has two columns of one name: {error}. Rename one of them.") from error
    return found.collect() if isinstance(found, narwhals.LazyFrame) else found


def _with_levels(frame: Any, wanted: Sequence[Any]) -> Any:
    """Make the wanted levels of the index of a pandas frame columns, and leave its other levels out."""
    levels = list(getattr(getattr(frame, "index", None), "names", None) or ())
    if not hasattr(frame, "reset_index") or not hasattr(frame, "columns"):
        return frame
    found = [name for name in levels if name is not None and name in wanted and name not in frame.columns]
    return frame.reset_index(level=found) if found else frame
