"""What pickles of an estimator hold: arrays and plain values, with the version of the package that wrote them.

Objects of the package become dictionaries of their fields, and tensors become arrays. What the user passed as a
parameter stays as it is.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from skseqmetric._files import RECORD, described, is_record, made
from skseqmetric._tensors.flat import tensor_of

VERSION = "_skseqmetric_version"
"""The key of the version in a state."""

TENSOR = "Tensor"

Root = TypeVar("Root", bound=type[BaseEstimator])


class Revived(dict[str, Any]):
    """A state whose objects are made already."""


def kept_plain(cls: Root) -> Root:
    """Let pickles of a class hold arrays and plain values, and copies share them, as a decorator of a root class.

    What the class itself defines of this stays. A mixin would be one more class below every estimator.
    """

    def getstate(self: Any) -> dict[str, Any]:
        return plain_state(self, parent(cls, self).__getstate__())

    def setstate(self: Any, state: dict[str, Any]) -> None:
        parent(cls, self).__setstate__(revived_state(self, state))

    parent: Any = super  # of an object whose class may be a subclass
    for name, method in {"__getstate__": getstate, "__setstate__": setstate, "__copy__": shallow_copy}.items():
        if name not in vars(cls):
            setattr(cls, name, method)
    return cls


def plain_state(estimator: Any, state: Any) -> dict[str, Any]:
    """Return the state of an estimator with arrays and plain values in place of its objects, and the version."""
    given = parameters_of_class(estimator)
    found = {name: value if name in given else plain(value) for name, value in dict(state or {}).items()}
    return {**found, VERSION: version()}


def revived_state(estimator: Any, state: Any) -> Revived:
    """Return the state with the objects of the package. A warning says if another version has written it."""
    if isinstance(state, Revived):
        return state
    state = dict(state)
    writer = state.pop(VERSION, "0.1.0 or earlier, which kept no version")
    if writer != version():
        warnings.warn(
            InconsistentVersionWarning(
                estimator_name=type(estimator).__name__,
                current_sklearn_version=f"skseqmetric {version()}",
                original_sklearn_version=f"skseqmetric {writer}",
            ),
            stacklevel=3,
        )
    given = parameters_of_class(estimator)
    return Revived({name: value if name in given else revived(value) for name, value in state.items()})


def parameters_of_class(estimator: Any) -> frozenset[str]:
    """Return the names of the parameters. scikit-learn would look at the signature of the class every time."""
    cls: Any = type(estimator)
    if cls not in _PARAMETERS:
        _PARAMETERS[cls] = frozenset(cls._get_param_names())
    return _PARAMETERS[cls]


_PARAMETERS: WeakKeyDictionary[Any, frozenset[str]] = WeakKeyDictionary()  # classes of users come and go


def version() -> str:
    """Return the version of the package."""
    return str(sys.modules["skseqmetric"].__version__)


def plain(value: Any) -> Any:
    """Return a value in which objects of the package are dictionaries of their fields. Others are left as they are."""
    if is_record(value):
        return {name: plain(field) for name, field in described(value).items()}
    if isinstance(value, torch.Tensor):
        return {RECORD: TENSOR, "values": value.detach().cpu().numpy()}
    if type(value) is dict:
        return {key: plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(item) for item in value) if _holds_objects(value) else value
    return value


def _holds_objects(values: Any) -> bool:
    """Whether anything in a list has to be looked at: long lists hold numbers or text."""
    return not set(map(type, values)) <= {int, float, str, bool, type(None)}


def revived(value: Any) -> Any:
    """Return a value with the objects that `plain` made dictionaries of.

    Raises
    ------
    ValueError
        There is no such class, or its fields contradict each other.
    """
    if type(value) in (list, tuple):
        return type(value)(revived(item) for item in value) if _holds_objects(value) else value
    if type(value) is not dict:
        return value
    if RECORD not in value:
        return {key: revived(item) for key, item in value.items()}
    if value[RECORD] == TENSOR:
        return _tensor(value)
    return made({name: field if name == RECORD else revived(field) for name, field in value.items()})


def _tensor(description: dict[str, Any]) -> torch.Tensor:
    values = description.get("values")
    if not isinstance(values, np.ndarray) or len(description) != 2:
        raise ValueError("a tensor is described by something else than its values.")
    return tensor_of(values)


def shallow_copy(estimator: Any) -> Any:
    """Return a copy that shares all attributes: `copy.copy` of an estimator makes no new network."""
    cls: Any = type(estimator)
    new = cls.__new__(cls)
    new.__dict__.update(vars(estimator))
    return new
