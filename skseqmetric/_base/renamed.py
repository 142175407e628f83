"""Changes to constructors: errors that name the new name of a renamed parameter, and other defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)


def renamed(**names: str) -> Callable[[Class], Class]:
    """Refuse old names of parameters, methods and attributes of a class, by an error that gives the new name.

    `names` maps old names to new ones. The class decorator covers the constructor, `set_params` (and thus searches)
    and attributes.
    """

    def decorate(cls: Class) -> Class:
        init, set_params = cls.__init__, cls.set_params  # type: ignore[misc, attr-defined]

        @wraps(init)
        def checked_init(self: Any, *args: Any, **parameters: Any) -> None:
            _refuse(cls.__name__, names, parameters, TypeError)
            init(self, *args, **parameters)

        @wraps(set_params)
        def checked_set_params(self: Any, **parameters: Any) -> Any:
            _refuse(cls.__name__, names, parameters, ValueError)
            return set_params(self, **parameters)

        cls.__init__, cls.set_params = checked_init, checked_set_params  # type: ignore[misc, attr-defined]
        for old, new in names.items():
            setattr(cls, old, _RenamedAttribute(_message(cls.__name__, old, new)))
        return cls

    return decorate


class _RenamedAttribute:
    """A missing attribute. Its error gives the new name."""

    def __init__(self, message: str) -> None:
        self.message = message

    def __get__(self, instance: Any, owner: type) -> Any:
        raise AttributeError(self.message)

    def __set__(self, instance: Any, value: Any) -> None:
        raise AttributeError(self.message)


def _refuse(name: str, renamed_names: dict[str, str], given: Iterable[str], error: type[Exception]) -> None:
    for old in given:
        if old in renamed_names:
            raise error(_message(name, old, renamed_names[old]))


def _message(name: str, old: str, new: str) -> str:
    return f"{name} has no {old!r} any more: it is called {new!r} now."


def with_defaults(init: Callable[..., None], **defaults: Any) -> Callable[..., None]:
    """Return a constructor with other defaults, which its signature shows."""
    signature = inspect.signature(init)
    changed = [p.replace(default=defaults[p.name]) if p.name in defaults else p for p in signature.parameters.values()]

    @wraps(init)
    def with_them(self: Any, *args: Any, **parameters: Any) -> None:
        init(self, *args, **{**defaults, **parameters})

    with_them.__signature__ = signature.replace(parameters=changed)  # type: ignore[attr-defined]
    return with_them
