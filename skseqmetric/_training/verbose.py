"""The parameter `verbose`: whose work is shown, and by what name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import count
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from skseqmetric._ops.progress import is_titled, titled, worker_number

Method = TypeVar("Method", bound=Callable[..., Any])

MOST_CHARACTERS = 72

_UNNAMED = {"callbacks", "device", "n_jobs", "random_state", "verbose"}
"""Parameters that say nothing about what is fitted."""

_fits: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
_numbers = count(1)


@contextmanager
def shown_by(estimator: Any, *, fits: bool = False) -> Iterator[None]:
    """Let the loops inside show bars if the estimator is verbose, or one whose work this is part of.

    The bars name the estimator, its parameters and the number of its fit in this process, so that bars of a search can
    be told apart. `fits` means that a fit begins here.
    """
    if not getattr(estimator, "verbose", 0) or is_titled():
        yield
        return
    if fits:
        _fits[estimator] = next(_numbers)
    with titled(_name(estimator)):
        yield


def shown(method: Method) -> Method:
    """Make a method show bars if its estimator is verbose."""

    @wraps(method)
    def with_bars(self: Any, *args: Any, **kwargs: Any) -> Any:
        with shown_by(self):
            return method(self, *args, **kwargs)

    return with_bars  # type: ignore[return-value]


def _name(estimator: Any) -> str:
    number, worker = _fits.get(estimator), worker_number()
    fit = "" if number is None else f" fit {number}"
    return brief(estimator) + fit + (f" of worker {worker}" if fit and worker is not None else "")


def brief(estimator: Any) -> str:
    """Return the class with those parameters that are not at their defaults, in at most 72 characters."""
    signature = inspect.signature(type(estimator).__init__).parameters
    given = estimator.get_params(deep=False)
    changed = [_given(name, given[name]) for name in signature if name in given and _is_changed(given, name, signature)]
    text = type(estimator).__name__ + (f"({', '.join(changed)})" if changed else "")
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."


def _is_changed(given: dict[str, Any], name: str, signature: Any) -> bool:
    return name not in _UNNAMED and repr(given[name]) != repr(signature[name].default)


def _given(name: str, value: Any) -> str:
    if hasattr(value, "get_params") and not isinstance(value, type):
        return brief(value)
    return f"{name}={' '.join(repr(value).split())}"
