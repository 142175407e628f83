"""Model files: estimators as plain values and arrays. A file is checked as a whole before anything is made of it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skseqmetric._base.loading import Loader
from skseqmetric._base.state import VERSION, version
from skseqmetric._base.stored import FORMAT, TRANSIENT, held, kinds_of, public_estimators, requests_of
from skseqmetric._files import DamagedFile, NotStorable, Writer, read_archive, write_archive

_DEPENDENCIES = ("numpy", "scipy", "scikit-learn", "torch", "skorch")
_SHOWN = 20
"""Most classes and channels that a card names."""


def save(self: Any, path: str | os.PathLike[str]) -> None:
    """Write the estimator to one file, which `skseqmetric.load` reads without running code.

    The file is a zip of `schema.json` and `arrays.safetensors`. The first holds the parameters, the fitted values, the
    versions and a short description of the model, the second all arrays. Metrics in the estimator are in it too. The
    file takes the place of `path` in one step, whatever happens meanwhile. The same model gives the same bytes.

    Parameters
    ----------
    path : str or path-like
        The file.

    Raises
    ------
    ValueError
        The estimator holds what is neither a plain value nor an array nor an estimator of this package: a function, a
        torch module, a label of another type, or an estimator of another package. The message names the parameter or
        the attribute. Such an estimator can be pickled.

    See Also
    --------
    skseqmetric.load : Read the file.
    """
    saver = _Saver()
    try:
        saver.add(self, type(self).__name__)
        schema = {"format": FORMAT, "versions": _versions(), "card": _card(self), "estimators": saver.entries}
        write_archive(path, schema, saver.writer.arrays)
    except NotStorable as error:
        raise ValueError(
            f"{error}. A model file holds numbers, text, dates, arrays of them, and estimators of skseqmetric: change "
            "it, or save the model by pickle or joblib, which run code when it is loaded."
        ) from error


def load(path: str | os.PathLike[str], *, mmap: bool = True) -> Any:
    """Read an estimator from a file of its method `save`, without running code of the file.

    The whole file is checked before anything is made of it: sums, names, kinds, shapes and sizes. Memory and time are
    bounded by the size of the file.

    Parameters
    ----------
    path : str or path-like
        The file.
    mmap : bool, default=True
        Whether the arrays stay in the file, as pages that all processes on a machine share. Changes of the model do not
        change the file. The file may be replaced or deleted while the model is in use, but not be written into. On
        Windows, it can be neither. False: the arrays are read into memory.

    Returns
    -------
    estimator : estimator
        It answers with the same bits as the one that was saved.

    Raises
    ------
    ValueError
        The file is damaged, cut off, changed, or no model file, or a newer version of the package has written it. The
        message says what is wrong.

    See Also
    --------
    SequenceKNeighborsClassifier.save : Write the file, as every estimator does.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skseqmetric import RandomConvolutionMetric, load
    >>> from skseqmetric.datasets import make_shifted_sequences
    >>> X, y = make_shifted_sequences(20, random_state=0)
    >>> metric = RandomConvolutionMetric(840, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     metric.save(Path(folder) / "metric.skm")
    ...     loaded = load(Path(folder) / "metric.skm", mmap=False)
    >>> bool((loaded.transform(X) == metric.transform(X)).all())
    True
    """
    try:
        schema, arrays = read_archive(path, mapped=mmap)
        return Loader(schema, arrays).estimator()
    except DamagedFile as error:
        raise ValueError(f"{os.fspath(path)!r} is no model file that can be read: {error}.") from error


class _Saver:
    """Collects an estimator and those that it holds, each once, the inner ones first."""

    def __init__(self) -> None:
        self.writer = Writer(self._foreign)
        self.entries: list[dict[str, Any]] = []
        self._places: dict[int, int | None] = {}

    def add(self, estimator: Any, place: str) -> int:
        """Return the number of the entry of an estimator."""
        known = self._places.setdefault(id(estimator), -1)
        if known is None:
            raise NotStorable(place, f"a {type(estimator).__name__} that holds itself")
        if known >= 0:
            return known
        self._places[id(estimator)] = None
        name = type(estimator).__name__
        if public_estimators().get(name) is not type(estimator):
            foreign = f"an estimator of class {type(estimator).__module__}.{name}, not of skseqmetric"
            raise NotStorable(place, getattr(estimator, "_not_storable", foreign))
        parameters = self._parameters(estimator, place)
        entry = {"class": name, "parameters": parameters, "fitted": self._fitted(estimator, place)}
        self.entries.append(entry)
        self._places[id(estimator)] = len(self.entries) - 1
        return len(self.entries) - 1

    def _parameters(self, estimator: Any, place: str) -> dict[str, Any]:
        given = vars(estimator)
        names = [name for name in estimator._get_param_names() if name in given]
        return {name: self.writer.tree(given[name], f"{place}.{name}") for name in names}

    def _fitted(self, estimator: Any, place: str) -> dict[str, Any]:
        cls: Any = type(estimator)
        kinds, skipped = kinds_of(cls), {VERSION, *TRANSIENT, *estimator._get_param_names()}
        found = {}
        for name, value in estimator.__getstate__().items():
            if name in skipped:
                continue
            if name not in kinds:
                raise NotStorable(f"{place}.{name}", "no attribute that a fit sets")
            value = requests_of(value) if name == "_metadata_request" else value
            found[name] = self.writer.tree(value, f"{place}.{name}")
        return found

    def _foreign(self, value: Any, place: str) -> dict[str, Any] | None:
        if isinstance(value, nn.Module):
            raise NotStorable(place, f"a torch module, {type(value).__qualname__}")
        found = held(value)
        if found is not None:
            return found
        if isinstance(value, BaseEstimator):
            return {"kind": "estimator", "of": self.add(value, place)}
        if callable(value):
            raise NotStorable(place, f"a function or another callable, {getattr(value, '__qualname__', value)!s:.80}")
        return None


def _versions() -> dict[str, str]:
    """Return the versions of the package, of Python and of what computes."""
    found = {"skseqmetric": version(), "python": platform.python_version()}
    for name in _DEPENDENCIES:
        try:
            found[name] = version_of(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _card(estimator: Any) -> dict[str, Any]:
    """Return a short description of a model, for people and for tools that do not load it."""
    own = vars(estimator)
    card: dict[str, Any] = {"class": type(estimator).__name__, "fitted": _is_fitted(estimator)}
    card["doc"] = (type(estimator).__doc__ or "").split("\n")[0]
    for name in ("n_channels_", "n_samples_fit_", "n_iter_", "threshold_"):
        if name in own:
            card[name] = _number(own[name])
    for name in ("channel_names_in_", "classes_"):
        if name in own:
            card[f"n_{name}"] = len(own[name])
            card[name] = [str(value)[:40] for value in own[name][:_SHOWN]]
    if own.get("history_"):
        card["last_epoch"] = {key: _number(value) for key, value in own["history_"][-1].items()}
    return card


def _is_fitted(estimator: Any) -> bool:
    if not hasattr(estimator, "fit"):  # an index, which learns nothing
        return True
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def _number(value: Any) -> Any:
    number = value.item() if isinstance(value, np.generic) else value
    return number if isinstance(number, int) or np.isfinite(number) else str(number)
