"""Trees of plain values, arrays and tensors as JSON text and a table of tensors. Nothing is pickled."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

DEEPEST = 32
"""Levels of a tree. The trees of a training have 7 or so."""

_ARRAYS = "biuf"


class CannotBeWritten(TypeError):
    """A value is neither plain nor an array nor a tensor."""


def to_json(tree: Any) -> tuple[str, dict[str, Tensor]]:
    """Return a tree as text, and the tensors that the text refers to.

    A tree is made of None, bool, int, float, str, list, tuple, dict, and of arrays, NumPy scalars and tensors of
    numbers. Every value comes back with its type and its bits.

    Raises
    ------
    CannotBeWritten
        A value is of another kind.
    """
    tensors: dict[str, Tensor] = {}
    return json.dumps(_written(tree, tensors, DEEPEST), separators=(",", ":")), tensors


def from_json(text: str, tensors: dict[str, Tensor]) -> Any:
    """Return the tree of a text and its tensors.

    Raises
    ------
    ValueError
        The text is no such tree, or it is too deep.
    """
    try:
        return _read(json.loads(text), tensors, DEEPEST)
    except (KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"no tree of plain values and arrays: {error!r}") from error


def fits_a_tree(value: Any, depth: int = DEEPEST) -> bool:
    """Return whether `to_json` takes a value, without a copy of its numbers."""
    if isinstance(value, list | tuple):
        return depth > 0 and all(fits_a_tree(item, depth - 1) for item in value)
    if isinstance(value, dict):
        return depth > 0 and all(fits_a_tree(part, depth - 1) for item in value.items() for part in item)
    try:
        _written(value[:0] if isinstance(value, Tensor | np.ndarray) and value.ndim else value, {}, 1)
    except CannotBeWritten:
        return False
    return True


def is_like(found: Any, expected: Any) -> bool:
    """Return whether a value that was read is of the kind of another: a number, a text, a list of equal length."""
    if isinstance(expected, int | float | np.number) and not isinstance(expected, bool):
        return isinstance(found, int | float | np.number) and not isinstance(found, bool)
    if isinstance(expected, list | tuple):
        same = isinstance(found, list | tuple) and len(found) == len(expected)
        return same and all(map(is_like, found, expected))
    if isinstance(expected, dict):
        same = isinstance(found, dict) and expected.keys() <= found.keys()
        return same and all(is_like(found[name], value) for name, value in expected.items())
    return type(found) is type(expected)


def _written(value: Any, tensors: dict[str, Tensor], depth: int) -> Any:
    if depth == 0:
        raise CannotBeWritten("it is nested too deeply")
    if isinstance(value, Tensor):
        return ["tensor", _kept(value.detach(), tensors)]
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in _ARRAYS:
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return [kind, _kept(torch.from_numpy(np.array(value)), tensors)]
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple):
        return [type(value).__name__, *(_written(item, tensors, depth - 1) for item in value)]
    if isinstance(value, dict):
        return ["dict", *([_written(k, tensors, 1), _written(v, tensors, depth - 1)] for k, v in value.items())]
    raise CannotBeWritten(f"{type(value).__name__} is neither a plain value nor an array of numbers")


def _kept(tensor: Tensor, tensors: dict[str, Tensor]) -> str:
    """Keep a copy under a number. Tensors may share memory, which a file of tensors may not."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
        raise CannotBeWritten(f"a tensor of {tensor.dtype}, {tensor.layout}, is no plain array of numbers")
    name = str(len(tensors))
    tensors[name] = tensor.to("cpu", copy=True, memory_format=torch.contiguous_format)
    return name


def _read(node: Any, tensors: dict[str, Tensor], depth: int) -> Any:
    if depth == 0:
        raise ValueError("it is nested too deeply")
    if not isinstance(node, list):
        if isinstance(node, dict):
            raise ValueError("it has an object where a list is expected")
        return node
    kind, *items = node
    if kind == "dict":
        return {_read(k, tensors, 1): _read(v, tensors, depth - 1) for k, v in items}
    if kind in ("list", "tuple"):
        found = [_read(item, tensors, depth - 1) for item in items]
        return found if kind == "list" else tuple(found)
    (name,) = items
    if kind == "tensor":
        return tensors[name]
    array = tensors[name].numpy()
    if kind == "array":
        return array
    if kind == "scalar":
        return array[()]
    raise ValueError(f"it has the unknown kind {kind!r}")
