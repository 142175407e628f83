"""The numbers of modules and optimizers, as trees that a checkpoint can hold."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from skseqmetric._training.checkpoints.trees import is_like


def module_state(module: nn.Module) -> dict[str, Any]:
    """Return weights and buffers, also those buffers that a module does not save."""
    return {"saved": dict(module.state_dict()), "others": _other_buffers(module)}


def restore_module(module: nn.Module, state: dict[str, Any]) -> None:
    """Put weights and buffers back.

    Raises
    ------
    ValueError
        Names, shapes or kinds of numbers are not those of the module, or a weight is not finite.
    """
    check_weights_of(module, state["saved"])
    others = _other_buffers(module)
    _check(others, state["others"])
    saved = module.state_dict()  # with the versions of its parts
    saved.update(state["saved"])
    module.load_state_dict(saved)
    for name, buffer in others.items():
        buffer.copy_(state["others"][name])
    if not all(torch.isfinite(p).all() for p in module.parameters()):
        raise ValueError("a weight is not finite")


def check_weights_of(module: nn.Module, saved: dict[str, Any]) -> None:
    """Refuse weights and buffers whose names, shapes or kinds of numbers are not those of the module: ValueError."""
    _check(dict(module.state_dict()), saved)


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Put the moments and settings of an optimizer back.

    Raises
    ------
    ValueError
        They are not those of these parameters.
    """
    if not is_like(state["param_groups"], optimizer.state_dict()["param_groups"]):
        raise ValueError("the settings of the optimizer are of other kinds")
    parameters = _parameters(optimizer)
    for number, moments in state["state"].items():
        for name, value in moments.items():
            shape = () if name == "step" else parameters[number].shape
            if not isinstance(value, Tensor) or value.shape != shape or not torch.isfinite(value).all():
                raise ValueError(f"{name} of a weight does not fit it")
    load_optimizer(optimizer, state)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Give an optimizer a copy of a state. Moments get the strides of their weights, whatever they were stored with.

    Fused optimizers go through the memory of weights and moments alike, and do not look at strides.
    """
    parameters = _parameters(optimizer)

    def moment(parameter: Tensor, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.shape != parameter.shape:
            return copy.deepcopy(value)
        return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)

    found = {
        number: {name: moment(parameters[number], value) for name, value in moments.items()}
        for number, moments in state["state"].items()
    }
    optimizer.load_state_dict({"state": found, "param_groups": state["param_groups"]})


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _other_buffers(module: nn.Module) -> dict[str, Tensor]:
    saved = module.state_dict()
    return {name: buffer for name, buffer in module.named_buffers() if name not in saved}


def _check(expected: dict[str, Any], found: dict[str, Any]) -> None:
    if set(expected) != set(found):
        raise ValueError(f"the weights have other names: {sorted(set(expected) ^ set(found))[:3]}")
    for name, value in expected.items():
        if isinstance(value, Tensor):
            given = found[name]
            if not isinstance(given, Tensor) or given.shape != value.shape or given.dtype != value.dtype:
                raise ValueError(f"{name} has another shape or another kind of numbers")
