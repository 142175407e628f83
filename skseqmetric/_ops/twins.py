"""Arrays on the host whose numbers are on a device as well: what a network has left there need not go back."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

_twins: dict[int, tuple[weakref.ref[Any], Tensor]] = {}
"""Tensors by the id of their array. A tensor lives as long as its array. Neither may change."""


def with_twin(tensor: Tensor) -> np.ndarray:
    """Return a copy of a tensor on the host, and remember the tensor as its twin."""
    array = tensor.to("cpu", copy=True).numpy()
    _twins[id(array)] = weakref.ref(array, partial(_forget, id(array))), tensor
    return array


def on_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Return the numbers of an array on a device: its twin, else a copy. On the CPU it has the memory of the array."""
    known = _twins.get(id(array))
    if known is not None and known[0]() is array and known[1].device == device:
        return known[1]
    # joblib and files pass large arrays as read-only, and torch warns of such arrays
    return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)


def _forget(key: int, gone: weakref.ref[Any]) -> None:
    known = _twins.get(key)
    if known is not None and known[0] is gone:  # another array may have got the same id
        _twins.pop(key, None)
