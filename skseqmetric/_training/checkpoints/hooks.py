"""What callbacks of the user remember between two epochs, as trees that a checkpoint can hold."""

from __future__ import annotations

import inspect
from typing import Any

from skseqmetric._training.checkpoints.trees import fits_a_tree, is_like

PLAIN = (bool, int, float, str, type(None))


def given_parameters(callback: Any) -> dict[str, Any]:
    """Return the attributes that a callback has by the names of the parameters it was made with."""
    names = inspect.signature(type(callback).__init__).parameters
    return {name: value for name, value in vars(callback).items() if name in names}


def callback_state(callback: Any) -> dict[str, Any]:
    """Return what a callback remembers: its own state, or its attributes that are plain values and numbers.

    An attribute may also be an object with a state of its own, such as a schedule. Objects that the callback was made
    with are left out, because the next fit gives them again.
    """
    if _has_state(callback):
        return {"own": callback.state_dict()}
    given = {name for name, value in given_parameters(callback).items() if not isinstance(value, PLAIN)}
    attributes = {name: value for name, value in vars(callback).items() if name not in given}
    held = {name: value.state_dict() for name, value in attributes.items() if _has_state(value)}
    plain = {name: value for name, value in attributes.items() if name not in held and fits_a_tree(value)}
    return {"plain": plain, "held": {name: state for name, state in held.items() if fits_a_tree(state)}}


def restore_callback(callback: Any, state: dict[str, Any]) -> None:
    """Put back what a callback remembered. Lists and dicts that others may hold are changed in place."""
    if "own" in state:
        callback.load_state_dict(state["own"])
        return
    is_known = type(callback).__module__.startswith("skorch.")
    for name, value in state["plain"].items():
        now = vars(callback).get(name)
        if is_known and isinstance(now, int | float) and not is_like(value, now):
            raise ValueError(f"{name!r} of the callback {type(callback).__name__} is no number")
        _set(callback, name, value)
    for name, value in state["held"].items():
        holder = vars(callback).get(name)
        if is_known and _has_state(holder) and not is_like(value, holder.state_dict()):
            raise ValueError(f"{name!r} of the callback {type(callback).__name__} has a state of another kind")
        if not _has_state(holder):
            raise ValueError(
                f"the callback {type(callback).__name__} made its {name!r} during the training, which cannot be made "
                "again: make it in on_train_begin, or give the callback state_dict() and load_state_dict()"
            )
        holder.load_state_dict(value)


def _set(callback: Any, name: str, value: Any) -> None:
    shadowed = inspect.getattr_static(type(callback), name, None)
    if not isinstance(name, str) or not name.isidentifier() or callable(shadowed) or hasattr(shadowed, "__get__"):
        raise ValueError(f"a callback has no attribute {name!r} that could be set")
    now = vars(callback).get(name)
    if isinstance(now, list) and isinstance(value, list):
        now[:] = value
    elif isinstance(now, dict) and isinstance(value, dict):
        now.clear()
        now.update(value)
    else:
        setattr(callback, name, value)


def _has_state(value: Any) -> bool:
    return hasattr(value, "state_dict") and hasattr(value, "load_state_dict") and not isinstance(value, type)
