"""Modules of the user: copies that the package may train."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn


def own_copy(module: nn.Module, name: str) -> nn.Module:
    """Return a copy of a user's module on the CPU, in float32 (complex64). Frozen parameters stay frozen.

    Raises
    ------
    ValueError
        The module of the argument `name` has tensors on the "meta" device, or cannot be copied.
    """
    for place, tensor in chain(module.named_parameters(), module.named_buffers()):
        if tensor.is_meta:
            raise ValueError(
                f'{name} has {place!r} on the device "meta", which holds no numbers: call '
                f'{name}.to_empty(device="cpu") and load or draw its weights first.'
            )
    try:
        copied = copy.deepcopy(module)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{name} cannot be copied, and a fit trains a copy only: {error}") from error
    return copied._apply(_in_single_precision)


def frozen_copy(module: Any) -> Any:
    """Return a copy of a module of the package on the CPU, in evaluation mode and without gradients."""
    return copy.deepcopy(module).to("cpu").eval().requires_grad_(False)


def _in_single_precision(tensor: Tensor) -> Tensor:
    if tensor.is_floating_point():
        return tensor.to(device="cpu", dtype=torch.float32)
    return tensor.to(device="cpu", dtype=torch.complex64) if tensor.is_complex() else tensor.to(device="cpu")
