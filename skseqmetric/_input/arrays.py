"""What all checks share: from anything a caller passes to a NumPy array, or an error that names the place.

Containers are read by position. An index, such as that of a pandas Series, never decides which item belongs to which.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Set
from decimal import Decimal
from typing import Any

import numpy as np
import scipy.sparse as sp

_NEITHER = (str, bytes, bytearray, Mapping, Set, numbers.Number, np.generic, type)
_REAL = (numbers.Real, Decimal, np.bool_)
_SCALARS = {int, float, bool, complex, str, bytes, type(None), np.float64, np.float32, np.int64, np.str_, np.bool_}


class SparseInputError(ValueError, TypeError):
    """Sparse input: a ValueError like all wrong input, and a TypeError because scikit-learn expects one."""


def refuse_other_objects(x: Any, name: str, forms: str) -> None:
    """Refuse what is no collection of items in a known order; `forms` says what is accepted."""
    if sp.issparse(x):
        raise SparseInputError(f"{name} is sparse, which is not supported: pass {name}.toarray(). {forms}")
    if isinstance(x, _NEITHER) or not (hasattr(x, "__len__") or hasattr(x, "__array__")):
        hint = f" Pass list({name}) if it yields the items." if hasattr(x, "__next__") else ""
        raise ValueError(f"{name} is {kind_of(x)}. {forms}{hint}")


def positional(x: Any, name: str, forms: str = "Pass a list or an array.") -> list[Any] | np.ndarray:
    """Return the items of a container in their order: an array of at least one dimension, or a list.

    Raises
    ------
    ValueError
        x is no container with an order (None, text, a number, a mapping, a set, an iterator), or has masked values.
    """
    if type(x) is list:
        return x
    refuse_other_objects(x, name, forms)
    if hasattr(x, "__array__"):
        array = as_array(x, name)
        if array.ndim == 0:
            raise ValueError(f"{name} is {kind_of(x)} without dimensions. {forms}")
        return array
    return list(x)


def as_array(x: Any, name: str) -> np.ndarray:
    """`numpy.asarray(x)` for arrays, frames, nested lists and tensors on any device, with an error that names x."""
    if type(x) is np.ndarray:
        return x
    try:
        return np.asarray(_without_tensors(x, name))
    # nested lists of unequal lengths; objects that refuse to be converted
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        if isinstance(error, MaskedInputError):
            raise
        why = "its items have different shapes" if "inhomogeneous" in str(error) else error
        raise ValueError(f"{name}, {kind_of(x)}, does not convert to an array: {why}") from error


class MaskedInputError(ValueError):
    """A masked value, whose number or label nobody knows."""


def _without_tensors(x: Any, name: str) -> Any:
    """Return x with NumPy arrays in place of tensors. Masked values are an error, also within lists."""
    if isinstance(x, np.ma.MaskedArray):
        if np.ma.is_masked(x):
            raise MaskedInputError(
                f"{name} has masked values, which are not supported: fill them or cut them off first."
            )
        return x.data
    if hasattr(x, "detach") and hasattr(x, "cpu"):
        return _of_tensor(x, name)
    if isinstance(x, (list, tuple)) and not _SCALARS.issuperset(map(type, x)):
        return [_without_tensors(item, name) for item in x]
    return x


def _of_tensor(x: Any, name: str) -> np.ndarray:
    """Convert a tensor with a gradient, on another device or of a small float dtype. torch is not imported here."""
    if getattr(x, "is_nested", False):
        raise ValueError(f"it is a nested tensor: pass list({name}.unbind())")
    if str(getattr(x, "layout", "torch.strided")) != "torch.strided":
        raise ValueError(f"it is a sparse tensor: pass {name}.to_dense()")
    x = x.detach().cpu()
    if str(x.dtype).startswith(("torch.bfloat16", "torch.float8")):
        x = x.float()
    return x.resolve_conj().resolve_neg().numpy()


def real_numbers(array: np.ndarray, name: str) -> np.ndarray:
    """Real numbers as they are, objects converted to float64, everything else refused."""
    refuse_complex(array, name)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind != "O":
        raise ValueError(f"{name} has dtype {array.dtype}: encode text, bytes, dates or records as numbers first.")
    array = unnested(array, name)
    if array.dtype.kind != "O":
        return real_numbers(array, name)
    items = array.ravel().tolist()
    for i, item in enumerate(items):
        if not isinstance(item, _REAL):
            place = ", ".join(map(str, np.unravel_index(i, array.shape)))
            raise ValueError(
                f"{name} has dtype object and holds something that is not a number: [{place}] is {item!r}, "
                f"{kind_of(item)}."
            )
    try:
        return array.astype(np.float64)
    except OverflowError as error:
        raise ValueError(
            f"{name} has dtype object and holds something that is not a number of 64 bits: it is too large."
        ) from error


def unnested(array: np.ndarray, name: str) -> np.ndarray:
    """Stack rows that are lists or arrays in an array of objects (n,), such as a Series of vectors."""
    if array.dtype.kind == "O" and array.ndim == 1 and array.size and all(map(_is_row, array)):
        return as_array(array.tolist(), name)
    return array


def _is_row(item: Any) -> bool:
    return isinstance(item, (list, tuple)) or (hasattr(item, "__array__") and np.ndim(item) > 0)


def refuse_complex(array: np.ndarray, name: str) -> None:
    """Refuse complex numbers; the first words are those that scikit-learn's checks look for."""
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} is complex. Pass real and imaginary parts as channels.")


def kind_of(x: Any) -> str:
    """How messages call x: None, or its type."""
    return "None" if x is None else f"of type {type(x).__name__}"


def is_missing(x: Any) -> bool:
    """Whether x is None, NaN, or the missing value of pandas."""
    if x is None or type(x).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(x, (float, np.floating)) and bool(x != x)
