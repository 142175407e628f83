"""Networks whose parameters have shapes alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_FACTORIES = frozenset({torch.empty, torch.full, torch.ones, torch.zeros})
_CHANGES = frozenset(
    {
        nn.init.kaiming_uniform_,
        nn.init.normal_,
        nn.init.uniform_,
        torch.empty_like,
        Tensor.fill_,
        Tensor.normal_,
        Tensor.uniform_,
        Tensor.zero_,
    }
)


class ShapesOnly(TorchFunctionMode):
    """Inside `with`, new tensors lie on the device "meta": a network costs no memory, however large it is."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _CHANGES:
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:  # without a value, it is as good as one with another
                return tensor
        if func in _FACTORIES:
            kwargs = {**(kwargs or {}), "device": "meta"}
        return func(*args, **(kwargs or {}))
