"""Which fit a checkpoint is of: the parameters that change its result, and digests of its data."""

from __future__ import annotations

import functools
import re
import sys
import types
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skseqmetric._tasks import Task
from skseqmetric._training.checkpoints.file import Identity
from skseqmetric._training.checkpoints.hooks import PLAIN, given_parameters
from skseqmetric._training.data import TrainingSet

NEUTRAL = frozenset({"checkpoint", "device", "random_state", "verbose", "warm_start"})
"""Parameters that are compared in another form, or that do not change what is learned."""

OF_SEQUENCES = frozenset({"y", "sample_weight", "groups", "images", "rows"})
"""Parts of the data that belong to the sequences."""

LONGEST = 60
"""Characters of a description. Longer ones end in a digest."""

_DEEPEST = 6
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def identity_of(
    estimator: Any, method: str, training: TrainingSet, task: Task, device: torch.device, seed: int | None
) -> Identity:
    """Return what must be the same for a fit to go on from a checkpoint, by the names that a user knows.

    Parameters
    ----------
    estimator : estimator whose parameters are valid.
    method : name of the fit.
    training : merged data, before anything is held out.
    task : the task that has seen y.
    device : device on which the fit runs. Streams of random numbers differ between kinds of devices.
    seed : the seed if `random_state` determines it.
    """
    neutral = NEUTRAL | estimator._only_after_fits
    parameters = {name: value for name, value in estimator.get_params(deep=False).items() if name not in neutral}
    callbacks = parameters.pop("callbacks", None)
    return {
        "skseqmetric": sys.modules[__name__.partition(".")[0]].__version__,
        "estimator": _name(type(estimator)),
        "method": method,
        **{name: described(value) for name, value in sorted(parameters.items())},
        "random_state": described(seed),
        "callbacks": _short(", ".join(map(_callback, callbacks or ())) or "None"),
        "device": device.type,
        **_data(estimator, training, task),
    }


def add_start(identity: Identity, network: nn.Module, others: Any) -> Identity:
    """Return the identity of a fit that goes on from an earlier model."""
    return {**identity, "model before the fit": digest([described(network), described(others)])}


def differences(now: Identity, then: Identity) -> list[str]:
    """Return how a fit differs from that of a checkpoint, one text for each difference."""
    names = [*now, *(name for name in then if name not in now)]
    found = [name for name in names if now.get(name) != then.get(name)]
    # the digests of what belongs to sequences hold the sequences, and the last part of the data holds all others
    implied = OF_SEQUENCES if "X" in found else ()
    found = [name for name in found if name not in implied and (name != "rows" or len(found) == 1)]
    missing = "nothing of the kind"
    return [f"{name} is {now.get(name, missing)}, and was {then.get(name, missing)[: 2 * LONGEST]}" for name in found]


def _data(estimator: Any, training: TrainingSet, task: Task) -> Identity:
    """Return digests of X and of what belongs to it, which do not depend on the order of the sequences, and of all."""
    sequences, images, targets = training.sequences, training.images, training.targets
    n_steps, n_channels = sequences.values.shape
    own = [digest([x]) for x in sequences.to_list()]
    pairs, vocabulary = getattr(task, "pairs", None), described(vars(estimator).get("vocabulary_"))
    parts: dict[str, Any] = {
        "y": targets if pairs is None else None,
        "sample_weight": training.weights,
        "groups": training.groups,
        "images": None if images is None else images.tags(),
    }
    labels = [described(task.attributes), *([] if pairs is None else [_array(targets), pairs])]
    pool = [] if images is None else images.identity()
    others = {"y": labels, "images": pool}
    digests = {name: digest([*_sorted(own, column), *others.get(name, [])]) for name, column in parts.items()}
    x = digest([sequences.values.dtype.str, vocabulary, *sorted(own)])
    everything = [*own, _array(targets), training.weights, _array(training.groups), pairs, *pool]
    return {
        "X": f"{len(sequences)} sequences, {n_steps} steps, {n_channels} channels, {x}",
        **digests,
        "rows": digest("None" if part is None else part for part in everything),
    }


def _sorted(own: list[str], column: Any) -> list[str]:
    """Return the digests of sequences with what belongs to each of them, in an order that is always the same."""
    if column is None:
        return []
    return sorted(x + digest([_array(entry)]) for x, entry in zip(own, column, strict=True))


# ------------------------------------------------------------------ digests and descriptions


def digest(parts: Iterable[Any]) -> str:
    """Return 16 hexadecimal digits of arrays, texts and bytes."""
    found = blake2b(digest_size=8)
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype.str}{part.shape}".encode())
            part = np.ascontiguousarray(part).reshape(-1).view(np.uint8).data
        elif isinstance(part, str):
            part = part.encode()
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.hexdigest()


def described(value: Any, depth: int = _DEEPEST) -> str:
    """Return a text that is the same for equal values, in every process."""
    return _short(_text(value, depth))


def _text(value: Any, depth: int) -> str:
    value = value.item() if isinstance(value, np.generic) and value.dtype.kind in "biufU" else value
    if isinstance(value, PLAIN):
        return repr(value)
    if depth == 0:
        return _name(type(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(item, depth - 1) for item in value)}]"
    if isinstance(value, dict | set | frozenset):
        pairs = value.items() if isinstance(value, dict) else ((item, None) for item in value)
        return f"{{{', '.join(sorted(f'{_text(k, 1)}: {_text(v, depth - 1)}' for k, v in pairs))}}}"
    return _text_of_object(value, depth)


def _text_of_object(value: Any, depth: int) -> str:
    if isinstance(value, nn.Module):
        return f"{_name(type(value))} {_module(value)}"
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return _function(value, depth)
    if isinstance(value, types.MethodType):
        return f"{_text(value.__func__, depth - 1)} of {_text(value.__self__, depth - 1)}"
    if isinstance(value, functools.partial):
        return f"partial{_text([value.func, value.args, value.keywords], depth - 1)}"
    if isinstance(value, np.ndarray | Tensor) or hasattr(value, "to_numpy"):
        return f"array {digest([_array(value)])}"
    if hasattr(value, "get_params"):
        return f"{_name(type(value))}{_text(value.get_params(deep=False), depth - 1)}"
    if hasattr(value, "__dict__"):
        return f"{_name(type(value))}{_text(vars(value), depth - 1)}"
    return _ADDRESS.sub("", repr(value))  # dates, fractions and the like


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 22]}... ({digest([text])})"


def _name(kind: Any) -> str:
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', kind)}"


def _array(value: Any) -> Any:
    """Return targets, groups and the like as an array, or as a text where they are no numbers."""
    if value is None:
        return "None"
    if isinstance(value, bytes):
        return value
    if hasattr(value, "values") and hasattr(value, "lengths"):  # targets of steps
        return _array(value.values)
    array = _numbers(value) if isinstance(value, Tensor) else np.asarray(value)
    return array if array.dtype.kind in "biuf" else _text(array.tolist(), _DEEPEST)


def _numbers(tensor: Tensor) -> np.ndarray:
    """Return the bytes of a tensor. NumPy does not know all of torch's kinds of numbers."""
    if tensor.is_meta:
        return np.empty(tensor.shape)
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _module(module: nn.Module) -> str:
    """Return a digest of a module: its layers, their settings, and all numbers."""
    settings = [
        f"{place}.{name}={value!r}"
        for place, part in module.named_modules()
        for name, value in sorted(vars(part).items())
        if isinstance(value, PLAIN) and name != "training" and name[0] != "_"
    ]
    numbers = [_array(tensor) for tensor in [*module.parameters(), *module.buffers()]]
    return digest([_ADDRESS.sub("", repr(module)), *settings, *numbers])


def _function(value: Any, depth: int) -> str:
    code = getattr(value, "__code__", None)
    if code is None:
        return _name(value)
    held = [cell.cell_contents for cell in value.__closure__ or () if cell != types.CellType()]
    settings = _text([value.__defaults__, value.__kwdefaults__, held], depth - 1)
    return f"{_name(value)} {digest([*_code(code), settings])}"


def _code(code: types.CodeType) -> list[Any]:
    """Return what a function does, without where it is written."""
    inner = [part for constant in code.co_consts if isinstance(constant, types.CodeType) for part in _code(constant)]
    constants = [_text(part, _DEEPEST) for part in code.co_consts if not isinstance(part, types.CodeType)]
    return [code.co_code, *code.co_names, *constants, *inner]


def _callback(value: Any) -> str:
    """Return the class of a callback and its plain parameters. Other parameters may be what it writes to."""
    name, callback = value if isinstance(value, tuple) else ("", value)
    kind = callback if isinstance(callback, type) else type(callback)
    given = {} if kind is callback else given_parameters(callback)
    plain = {key: item for key, item in given.items() if isinstance(item, PLAIN)}
    return f"{name}{_name(kind)}{_text(plain, 2)}"
