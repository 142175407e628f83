"""The tree of estimators: how deep it is, what it overrides, which of its bases enforce their hooks."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
from collections.abc import Iterator

from sklearn.base import BaseEstimator

import skseqmetric

PACKAGE = skseqmetric.__name__


def estimators() -> list[type]:
    """The public estimators."""
    public = (getattr(skseqmetric, name) for name in skseqmetric.__all__)
    return [c for c in public if inspect.isclass(c) and issubclass(c, BaseEstimator)]


def own_mro(cls: type) -> list[type]:
    """The classes of the package among those that `cls` is made of, itself first."""
    return [c for c in cls.__mro__ if _is_own(c)]


def depths() -> dict[str, int]:
    """Own classes in the MRO of every public estimator, the deepest first."""
    found = {cls.__name__: len(own_mro(cls)) for cls in estimators()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def bases() -> list[type]:
    """The classes that public estimators derive from and that are not public themselves."""
    public = estimators()
    return list(dict.fromkeys(c for cls in public for c in own_mro(cls) if c not in public))


def overridden() -> dict[str, list[str]]:
    """Concrete methods and properties of a class in the tree, and who overrides them; special methods do not count."""
    found: dict[str, set[str]] = {}
    for cls in estimators():
        mro = own_mro(cls)
        for i, child in enumerate(mro):
            for name in _members(child):
                base = next((b for b in mro[i + 1 :] if name in vars(b)), None)
                if base is not None and not _is_abstract(vars(base)[name]):
                    found.setdefault(f"{base.__name__}.{name}", set()).add(child.__name__)
    return {name: sorted(classes) for name, classes in sorted(found.items())}


def only_children() -> dict[str, str]:
    """Bases from which a single class of the package derives, and that class."""
    _import_everything()
    children = {base.__name__: [c.__name__ for c in base.__subclasses__() if _is_own(c)] for base in bases()}
    return {name: found[0] for name, found in children.items() if len(found) == 1}


def unenforced() -> list[str]:
    """Bases that can be instantiated: a hook that is missing in a child goes unnoticed until it is called."""
    return sorted(b.__name__ for b in bases() if not inspect.isabstract(b))


def _is_own(cls: type) -> bool:
    return cls.__module__.split(".")[0] == PACKAGE


def _members(cls: type) -> Iterator[str]:
    """Names of the methods and properties that `cls` defines."""
    for name, value in vars(cls).items():
        is_member = callable(value) or isinstance(value, property | classmethod | staticmethod)
        if is_member and not name.startswith("__"):
            yield name


def _is_abstract(member: object) -> bool:
    return getattr(member, "__isabstractmethod__", False)


def _import_everything() -> None:
    """Load every module, so that all subclasses are known; those that need what is not installed are left out."""
    for module in pkgutil.walk_packages(skseqmetric.__path__, f"{PACKAGE}."):
        with contextlib.suppress(ImportError):
            importlib.import_module(module.name)
