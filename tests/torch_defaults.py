"""Defaults of torch that a user may have set for the whole process."""

from __future__ import annotations

import torch

TORCH_DEFAULTS = ("float64", "bfloat16", "meta")


def set_torch_default(name: str | None) -> None:
    """Set the default device "meta", or a default dtype. None changes nothing."""
    if name == "meta":
        torch.set_default_device(name)
    elif name is not None:
        torch.set_default_dtype(getattr(torch, name))


def prepare_process(*names: str) -> None:
    """Set the defaults in a process of its own, which then computes as the suite does."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name in names:
        set_torch_default(name)
