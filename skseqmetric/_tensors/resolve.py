"""Devices from their names, and seeds from `random_state`. Nothing is drawn from a global generator."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import nn


def resolve_device(device: str) -> torch.device:
    """Return the device of a name. "auto" is CUDA if available, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f'device={device!r} is not a device: use "auto", "cpu", "cuda", "cuda:1" or "mps".') from error
    backend = {"cuda": torch.cuda, "mps": torch.backends.mps}.get(resolved.type)
    if backend is not None and not backend.is_available():
        raise ValueError(f'device={device!r} was asked for, but torch sees none here: use device="auto" or "cpu".')
    return resolved


def device_or_cpu(device: str) -> torch.device:
    """Return the device of a name, or the CPU with a warning if there is no such device."""
    try:
        return resolve_device(device)
    except ValueError as error:
        warnings.warn(f"{error} The loaded model runs on the CPU.", stacklevel=3)
        return torch.device("cpu")


def on_cpu(value: Any) -> Any:
    """Return the value with its modules and tensors on the CPU. Modules on other devices are copied."""
    if isinstance(value, nn.Module) and any(p.device.type != "cpu" for p in value.parameters()):
        return copy.deepcopy(value).cpu()
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {k: on_cpu(v) for k, v in value.items()}
    return value


def draw_seed(random_state: Any) -> int:
    """Draw one integer from `random_state`. None means fresh entropy, and leaves the global generator alone."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))
