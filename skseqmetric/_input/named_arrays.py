"""Arrays of steps that know the names of their channels, so that a list of them can be split and joined by anybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class NamedArray(np.ndarray):
    """A sequence (T, C) with the names of its channels, which `column_names` reads as those of a frame.

    Whatever is computed from it or cut out of it has no names: nobody knows whether its columns are still the same.
    """

    _names: tuple[Any, ...]

    @property
    def columns(self) -> tuple[Any, ...]:
        """Names of the channels (C,). An array without names lacks the attribute, as every other array does."""
        try:
            return self._names
        except AttributeError:
            raise AttributeError("the array has no names of channels") from None

    def __reduce__(self) -> tuple[Any, ...]:
        array = np.asarray(self)
        return (named, (array, self._names)) if "_names" in vars(self) else array.__reduce__()  # type: ignore[return-value]


def named(array: np.ndarray, names: Sequence[Any] | None) -> np.ndarray:
    """Return a view of an array (T, C) that knows the names of its channels; the array itself without names."""
    if names is None:
        return array
    view = array.view(NamedArray)
    view._names = tuple(names)
    return view
