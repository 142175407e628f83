"""What model files may hold beside plain values: the public estimators, and a few objects of other packages."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from sklearn import model_selection
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils.metadata_routing import MetadataRequest

from skseqmetric._files import damaged

FORMAT = 1
"""Version of the format. A file of a higher one is refused."""

TRANSIENT = frozenset(
    {"_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks", "_skl_callbacks_to_teardown", "_product"}
)
"""Attributes that belong to a fit in progress, to its callbacks, or to this process."""

_COMMON = {
    "n_channels_": "size C",
    "channel_names_in_": "labels C",
    "n_features_in_": "int",
    "feature_names_in_": "labels *",
    "fill_values_": "float64 C",
    "_missing": "str",
    "_sklearn_output_config": "dict",
    "_metadata_request": "dict",
}

_BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
_SPLITTERS = (
    "GroupKFold",
    "GroupShuffleSplit",
    "KFold",
    "LeaveOneGroupOut",
    "LeaveOneOut",
    "LeavePGroupsOut",
    "LeavePOut",
    "RepeatedKFold",
    "RepeatedStratifiedKFold",
    "ShuffleSplit",
    "StratifiedGroupKFold",
    "StratifiedKFold",
    "StratifiedShuffleSplit",
)

_HOLDERS: dict[str, tuple[type, str]] = {"frozen": (FrozenEstimator, "estimator")}


class Reference(NamedTuple):
    """Stands for an estimator of a file by its number."""

    number: int


class Held(NamedTuple):
    """Stands for an object of a kind of `_HOLDERS` that holds a value."""

    kind: str
    value: Any


def holds(kind: str, attribute: str) -> Callable[[type], type]:
    """Store objects of a class by the estimator that this attribute holds, as a decorator."""

    def register(cls: type) -> type:
        _HOLDERS[kind] = (cls, attribute)
        return cls

    return register


@cache
def public_estimators() -> dict[str, Any]:
    """Return the classes that a file may name."""
    package = sys.modules["skseqmetric"]  # whose layers are above this one
    public = {name: getattr(package, name) for name in package.__all__}
    return {
        name: value
        for name, value in public.items()
        if inspect.isclass(value) and issubclass(value, BaseEstimator) and not inspect.isabstract(value)
    }


@cache
def parameters_of(cls: Any) -> dict[str, Any]:
    """Return the parameters of a class with their defaults, or `inspect.Parameter.empty`."""
    found = inspect.signature(cls.__init__).parameters
    return {name: parameter.default for name, parameter in found.items() if name != "self"}


@cache
def kinds_of(cls: Any) -> dict[str, str]:
    """Return the kinds of the attributes that fits of a class set."""
    found = dict(_COMMON)
    for base in reversed(cls.__mro__):
        found.update(vars(base).get("_stored", {}))
    return found


# ------------------------------------------------------------------ objects of other packages


def held(value: Any) -> dict[str, Any] | None:
    """Return the kind and the plain content of an object, or None if no file holds such objects."""
    for kind, (cls, attribute) in _HOLDERS.items():
        if type(value) is cls:
            return {"kind": kind, "of": getattr(value, attribute)}
    if type(value) is np.random.RandomState:
        return {"kind": "random state", "of": value.get_state(legacy=False)}
    if type(value) is np.random.Generator:
        return {"kind": "generator", "of": dict(value.bit_generator.state)}
    if type(value).__name__ in _SPLITTERS and type(value) is getattr(model_selection, type(value).__name__):
        return {"kind": "splitter", "of": {"class": type(value).__name__, "values": dict(vars(value))}}
    return None


def makers(references: set[int]) -> dict[str, Callable[[Any], Any]]:
    """Return what makes objects of these kinds, or stands for them until all is checked.

    The numbers of estimators are added to `references`.
    """
    holders = {kind: _keeper(kind) for kind in _HOLDERS}
    return {
        **holders,
        "estimator": lambda number: _reference(number, references),
        "random state": lambda state: np.random.RandomState(_bit_generator(state)),
        "generator": lambda state: np.random.Generator(_bit_generator(state)),
        "splitter": _splitter,
    }


def _keeper(kind: str) -> Callable[[Any], Held]:
    def keep(value: Any) -> Held:
        return Held(kind, value) if isinstance(value, Reference) else damaged(f"a {kind} holds no estimator")

    return keep


def made_of(held_value: Held, inner: Any) -> Any:
    """Return the object that holds `inner`."""
    return _HOLDERS[held_value.kind][0](inner)


def _reference(number: Any, references: set[int]) -> Reference:
    if type(number) is not int or number < 0:
        damaged("the number of an estimator is none")
    references.add(number)
    return Reference(number)


def _bit_generator(state: dict[str, Any]) -> Any:
    name = state["bit_generator"]
    # NumPy would read beyond its memory
    position, most = (state["state"].get("pos", 0), 624) if name == "MT19937" else (state.get("buffer_pos", 0), 4)
    if name not in _BIT_GENERATORS or type(position) is not int or not 0 <= position <= most:
        damaged("the state of a random generator is none")
    made = getattr(np.random, name)(0)
    made.state = state
    return made


def _splitter(content: dict[str, Any]) -> Any:
    name, values = content["class"], content["values"]
    if name not in _SPLITTERS or not isinstance(values, dict) or not all(type(key) is str for key in values):
        damaged(f"it has the unknown splitter {str(name)[:40]!r}")
    cls = getattr(model_selection, name)
    required = {"n_groups": 1} if name == "LeavePGroupsOut" else {"p": 1} if name == "LeavePOut" else {}
    made = cls(**required)
    if set(values) != set(vars(made)):
        damaged(f"the splitter {name} has other settings than it should")
    vars(made).update(values)
    return made


def requests_of(request: Any) -> dict[str, Any]:
    """Return the metadata that methods of an estimator request, as plain values."""
    methods = [name for name in vars(request) if hasattr(getattr(request, name), "requests")]
    return {name: dict(getattr(request, name).requests) for name in methods}


def request_of(requests: dict[str, Any], owner: Any) -> MetadataRequest:
    """Return the request of plain values.

    Raises
    ------
    ValueError
        There is no such method or alias.
    """
    request = MetadataRequest(owner=owner)
    for method, wanted in requests.items():
        part = vars(request).get(method)
        if not hasattr(part, "add_request") or not isinstance(wanted, dict):
            raise ValueError(f"no metadata are requested for {method[:40]!r}.")
        for parameter, alias in wanted.items():
            part.add_request(param=parameter, alias=alias)
    return request
