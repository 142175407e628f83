"""The modes of torch that a caller may have set: answers do not depend on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., Any])


def answering(function: Function) -> Function:
    """Return a function that runs without gradients, and in full precision even if the caller is under autocast."""
    for device in ("cpu", "cuda") if torch.backends.cuda.is_built() else ("cpu",):
        function = torch.autocast(device, enabled=False)(function)
    return torch.inference_mode()(function)
