"""The modes of torch that a caller may have set: answers and fits do not depend on them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., Any])


def answering(function: Function) -> Function:
    """Return a function that runs without gradients, and in full precision even if the caller is under autocast."""
    for device in ("cpu", "cuda"):
        function = torch.autocast(device, enabled=False)(function)
    return torch.inference_mode()(function)


def learning() -> AbstractContextManager[Any]:
    """Return a context in which torch computes gradients, in full precision, whatever the caller has turned off."""
    stack = ExitStack()
    for mode in (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        stack.enter_context(mode)
    return stack
