"""Estimators from the content of a model file. All of it is checked first; nothing of it is run."""

from __future__ import annotations

from functools import cache
from inspect import Parameter
from typing import Any

from sklearn.utils._param_validation import make_constraint, validate_parameter_constraints

from skseqmetric._base.state import VERSION, version
from skseqmetric._base.stored import (
    FORMAT,
    Held,
    Reference,
    kinds_of,
    made_of,
    makers,
    parameters_of,
    public_estimators,
    request_of,
)
from skseqmetric._files import Checker, DamagedFile, Reader, damaged

_PARTS = {"format", "versions", "card", "estimators", "sha256", "arrays_sum"}
_MOST = 1 << 12  # estimators of a file
_SIMPLE = {type(None), bool, int, float, str}


class Loader:
    """Checks the content of a model file, and makes the estimator that it describes.

    Parameters
    ----------
    schema : dict
        The description.
    arrays : dict of str to ndarray
        The arrays by their names.

    Raises
    ------
    DamagedFile
        `save` does not write such a file, or a newer version of the package has written it.
    """

    def __init__(self, schema: dict[str, Any], arrays: dict[str, Any]) -> None:
        self.writer = _check_format(schema)
        entries = schema["estimators"]
        if not isinstance(entries, list) or not 0 < len(entries) <= _MOST:
            damaged("it holds no estimators")
        found = set[int]()
        reader = Reader(arrays, makers(found))
        self.entries = [_Entry(i, entry, reader, self.writer, found) for i, entry in enumerate(entries)]
        reader.check_all_used()
        used = set().union(*(entry.references for entry in self.entries))
        if used != set(range(len(self.entries) - 1)):
            damaged("one of its estimators belongs to none")

    def estimator(self) -> Any:
        """Return the estimator."""
        made: list[Any] = []
        for entry in self.entries:
            try:
                made.append(entry.made(made))
            except DamagedFile:
                raise
            except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
                reason = str(error).rstrip(".")
                damaged(f"its {entry.cls.__name__} contradicts itself: {reason}")
        return made[-1]


def _check_format(schema: dict[str, Any]) -> str:
    """Return the version of the package that wrote a file, whose format must be known."""
    versions, given = schema.get("versions"), schema.get("format")
    if not isinstance(versions, dict) or type(given) is not int:
        damaged("its description names no format")
    writer = str(versions.get("skseqmetric"))[:40]
    if given > FORMAT:
        damaged(
            f"skseqmetric {writer} has written it in format {given}, and skseqmetric {version()} reads formats up to "
            f"{FORMAT}: install skseqmetric {writer} or newer"
        )
    if given < 1 or set(schema) != _PARTS:
        damaged(f"its description has format {given} and the parts {sorted(schema)!s:.200}")
    return writer


class _Entry:
    """One estimator of a file."""

    def __init__(self, number: int, entry: Any, reader: Reader, writer: str, references: set[int]) -> None:
        if not isinstance(entry, dict) or set(entry) != {"class", "parameters", "fitted"}:
            damaged("an estimator has other parts than class, parameters and fitted")
        name = entry["class"]
        if type(name) is not str or name not in public_estimators():
            damaged(f"{str(name)[:80]!r} is no estimator of skseqmetric")
        self.cls: Any = public_estimators()[name]
        references.clear()
        self.parameters, self.fitted = self._read("parameters", entry, reader), self._read("fitted", entry, reader)
        self.references = set(references)
        if max(references, default=-1) >= number:
            damaged(f"{name} holds an estimator that comes after it, or itself")
        self._check_parameters(writer)
        self._check_fitted(writer)

    def _read(self, part: str, entry: dict[str, Any], reader: Reader) -> dict[str, Any]:
        content = entry[part]
        if not isinstance(content, dict) or "$" in content:
            damaged(f"the {part} of {self.cls.__name__} have no names")
        return {name: reader.value(tree) for name, tree in content.items()}

    def _check_parameters(self, writer: str) -> None:
        cls = self.cls
        known = parameters_of(cls)
        unknown = set(self.parameters) - set(known)
        if unknown:
            damaged(f"{cls.__name__} has no parameter {min(unknown)[:80]!r}; skseqmetric {writer} has written it")
        missing = {name: default for name, default in known.items() if name not in self.parameters}
        if Parameter.empty in missing.values():
            damaged(f"a parameter of {cls.__name__} is missing")
        self.parameters = {**missing, **self.parameters}

    def _check_fitted(self, writer: str) -> None:
        name, kinds = self.cls.__name__, kinds_of(self.cls)
        unknown = set(self.fitted) - set(kinds)
        if unknown:
            damaged(f"{name} has no attribute {min(unknown)[:80]!r}; skseqmetric {writer} has written it")
        checker = Checker(name, lambda value: isinstance(value, Reference))
        for attribute, value in self.fitted.items():
            checker.check(attribute, value, kinds[attribute])
        filling = self.fitted.get("_missing")
        if filling is not None and (filling not in ("interpolate", "mask") or "fill_values_" not in self.fitted):
            damaged(f"{name} fills missing values in no known way, or without their means")

    def made(self, earlier: list[Any]) -> Any:
        """Return the estimator, which may hold those that were made earlier."""
        state = {**self.parameters, **self.fitted}
        if self.references:
            state = {name: _filled(value, earlier) for name, value in state.items()}
        if "_metadata_request" in state:
            state["_metadata_request"] = request_of(state["_metadata_request"], self.cls.__name__)
        new = self.cls.__new__(self.cls)
        new.__setstate__({**state, VERSION: version()})
        _check_values(self.cls, {name: state[name] for name in self.parameters})
        new._check_loaded()
        return new


def _check_values(cls: Any, given: dict[str, Any]) -> None:
    """Raise ValueError if a parameter has a value that its class does not allow."""
    allowed, defaults = _constraints(cls), parameters_of(cls)
    for name, value in given.items():
        # a default is allowed; equal values of other types, such as 1 and True, may not be
        if name not in allowed or (type(value) in _SIMPLE and _is_default(value, defaults[name])):
            continue
        if not any(constraint.is_satisfied_by(value) for constraint in allowed[name]):
            validate_parameter_constraints(cls._parameter_constraints, given, caller_name=cls.__name__)


def _is_default(value: Any, default: Any) -> bool:
    return type(value) is type(default) and value == default


@cache
def _constraints(cls: Any) -> dict[str, list[Any]]:
    """Return the constraints of the parameters, which scikit-learn would make anew for every check."""
    return {name: [make_constraint(one) for one in found] for name, found in cls._parameter_constraints.items()}


def _filled(value: Any, earlier: list[Any]) -> Any:
    """Return a value with the estimators in place of their numbers."""
    if isinstance(value, Reference):
        return earlier[value.number]
    if isinstance(value, Held):
        return made_of(value, _filled(value.value, earlier))
    if type(value) in (list, tuple):
        return type(value)(_filled(item, earlier) for item in value)
    if type(value) is dict:
        return {key: _filled(item, earlier) for key, item in value.items()}
    return value
