"""What sequences and images share: from anything a caller passes to a NumPy array, or an error that names the place."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import scipy.sparse as sp

_NEITHER = (str, bytes, dict, set, frozenset, numbers.Number)


class SparseInputError(ValueError, TypeError):
    """Sparse input: a ValueError like all wrong input, and a TypeError because scikit-learn expects one."""


def refuse_other_objects(x: Any, name: str, forms: str) -> None:
    """Refuse what is no collection of arrays; `forms` says what is accepted."""
    if sp.issparse(x):
        raise SparseInputError(f"{name} is sparse, which is not supported: pass {name}.toarray(). {forms}")
    if x is None or isinstance(x, _NEITHER):
        raise ValueError(f"{name} is {kind_of(x)}. {forms}")


def as_array(x: Any, name: str) -> np.ndarray:
    """`numpy.asarray(x)`, with an error that calls x `name`."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ValueError(f"{name} has masked values, which are not supported: fill them or cut them off first.")
    try:
        return np.asarray(x)
    # nested lists of unequal lengths; tensors on a GPU or with a gradient
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name}, {kind_of(x)}, does not convert to an array: {error}") from error


def refuse_complex(array: np.ndarray, name: str) -> None:
    """Refuse complex numbers; the first words are those that scikit-learn's checks look for."""
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} is complex. Pass real and imaginary parts as channels.")


def kind_of(x: Any) -> str:
    """How messages call x: None, or its type."""
    return "None" if x is None else f"of type {type(x).__name__}"
