"""The modes of torch that a caller may have set: answers and fits do not depend on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., Any])

_AUTOCAST = ("cpu", "cuda", "mps")


def answering(function: Function) -> Function:
    """Run a function without gradients, and in full precision even if the caller is under autocast."""

    @wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        with torch.inference_mode(), _full_precision():
            return function(*args, **kwargs)

    return inner  # type: ignore[return-value]


@contextmanager
def learning() -> Iterator[None]:
    """Let torch compute gradients inside, in full precision, whatever the caller has turned off."""
    with torch.inference_mode(False), torch.enable_grad(), _full_precision():
        yield


@contextmanager
def _full_precision() -> Iterator[None]:
    with ExitStack() as stack:
        for device in _AUTOCAST:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
