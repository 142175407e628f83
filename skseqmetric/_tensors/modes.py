"""The modes of torch that a caller may have set: answers do not depend on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., Any])


def answering(function: Function) -> Function:
    """Return a function that runs without gradients, and in full precision even if the caller is under autocast."""
    devices = ("cpu", "cuda") if torch.backends.cuda.is_built() else ("cpu",)
    plain = precise = torch.inference_mode()(function)
    for device in devices:
        precise = torch.autocast(device, enabled=False)(precise)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        # to leave an autocast that is off takes as long as a small answer
        in_autocast = any(map(torch.is_autocast_enabled, devices))
        return precise(*args, **kwargs) if in_autocast else plain(*args, **kwargs)

    return call  # type: ignore[return-value]
