"""Networks as arrays, and networks of the same class and configuration that use these arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skseqmetric._networks.shapes import ShapesOnly
from skseqmetric._tensors.flat import tensor_of

_ALIGNED = 64  # bytes, as torch aligns its own memory: results of its libraries may depend on that


def network_state(network: nn.Module, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return all values of a network: the arrays "weights" by name, and the user's "modules", which have their own."""
    modules = {name: getattr(network, name) for name in _of_user(config) if getattr(network, name) is not None}
    prefixes = tuple(f"{name}." for name in modules)
    found = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith(prefixes)}
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in found.items()}
    return {"weights": weights, "modules": modules}


def rebuilt(cls: type[nn.Module], config: Mapping[str, Any], state: Mapping[str, Any]) -> nn.Module:
    """Return a network in evaluation mode, on the CPU. Its parameters share memory with the arrays if they can.

    Raises
    ------
    ValueError
        The arrays are not those of such a network. No memory is taken for it before that is known.
    """
    weights, modules = state["weights"], state["modules"]
    _check_counts(config, len(weights))
    try:
        with ShapesOnly():
            network = cls(**{**config, **{name: nn.Identity() for name in _of_user(config)}})
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"there is no {cls.__name__} of this configuration: {error}") from error
    for name, module in modules.items():
        setattr(network, name, module)
    prefixes = tuple(f"{name}." for name in modules)
    shapes = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith(prefixes)}
    tensors = {name: _as(weights, name, shape) for name, shape in shapes.items()}
    if len(weights) > len(tensors):
        raise ValueError(f"the network has no parameter {min(set(weights) - set(tensors))[:80]!r}.")
    network.load_state_dict(tensors, strict=False, assign=True)
    return network.eval()


def _of_user(config: Mapping[str, Any]) -> list[str]:
    return [name for name, value in config.items() if isinstance(value, nn.Module)]


def _check_counts(config: Mapping[str, Any], n_weights: int) -> None:
    """Refuse numbers that would keep the construction of a network busy."""
    n_layers, most = config.get("n_layers", 1), config.get("max_recurrent_steps", 1)
    if not isinstance(n_layers, int) or n_layers > n_weights:
        raise ValueError(f"the network cannot have {n_layers!r} layers: it has {n_weights} arrays.")
    if most is not None and (not isinstance(most, int) or most < 1):
        raise ValueError(f"the network has max_recurrent_steps={most!r}.")


def _as(weights: Mapping[str, np.ndarray], name: str, like: Tensor) -> Tensor:
    """Return an array as a tensor of the shape, dtype and order in memory that the network has for it."""
    array = weights.get(name)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"the parameter {name!r} of the network is missing.")
    if array.dtype.kind not in "biuf" or array.shape != tuple(like.shape):
        raise ValueError(f"the parameter {name!r} has shape {array.shape}, and the network {tuple(like.shape)}.")
    tensor = tensor_of(array)
    if tensor.dtype != like.dtype:
        raise ValueError(f"the parameter {name!r} has dtype {tensor.dtype}, and the network {like.dtype}.")
    if tensor.stride() != like.stride():
        return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device="cpu").copy_(tensor)
    return tensor.clone() if tensor.data_ptr() % _ALIGNED else tensor
