"""Distances of tslearn by their names, as functions of two sequences."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from skseqmetric._estimators.dtw.library import tslearn_metrics, tslearn_sax
from skseqmetric._estimators.dtw.metric import DTWMetric
from skseqmetric._metrics.callable import CallableMetric
from skseqmetric._metrics.protocol import Metric, register_metric

_FUNCTIONS = {"dtw": "dtw", "softdtw": "soft_dtw", "gak": "gak", "lcss": "lcss", "frechet": "frechet", "ctw": "ctw"}
_SIMILARITIES = ("gak", "lcss")
_SAX = {"n_segments": 10, "alphabet_size_avg": 4, "scale": False}
"""The defaults of tslearn's nearest neighbours."""


class TslearnDistance:
    """A distance of tslearn as a function of two sequences (T, C), which can be pickled.

    Parameters
    ----------
    name : {"dtw", "softdtw", "gak", "lcss", "frechet", "ctw", "sax"}
        What tslearn calls it. Of the similarities "gak" and "lcss", which are 1 for equal sequences, the distance is 1
        minus the similarity. "sax" is the distance between symbols of `n_segments` means.
    **params : dict
        Parameters of tslearn, such as ``gamma`` of "softdtw".

    Raises
    ------
    ImportError
        tslearn is not installed, or is older than the distance.
    ValueError
        tslearn does not know a parameter.
    """

    def __init__(self, name: str, **params: Any) -> None:
        self.name, self.params = name, params
        known = set(inspect.signature(DTWMetric).parameters) if name == "dtw" else set[str]()
        known |= set(_SAX) if name == "sax" else set(inspect.signature(self._function).parameters) - {"s1", "s2", "be"}
        unknown = sorted(set(params) - known)
        if unknown:
            raise ValueError(
                f"metric_params has {unknown[0]!r}, but metric={name!r} takes {', '.join(sorted(known)) or 'none'}."
            )

    def __call__(self, x: np.ndarray, y: np.ndarray) -> float:
        """Return the distance of x to y."""
        if isinstance(x, list):
            raise TypeError("a distance of two sequences, not of two lists")
        if self.name == "sax":
            return self._sax(x, y)
        found = float(self._function(x, y, be="numpy", **self.params))
        return 1 - found if self.name in _SIMILARITIES else found

    def __repr__(self) -> str:
        return f"TslearnDistance({', '.join([repr(self.name), *(f'{k}={v!r}' for k, v in self.params.items())])})"

    @property
    def _function(self) -> Any:
        function = getattr(tslearn_metrics(f"metric={self.name!r}"), _FUNCTIONS[self.name], None)
        if function is None:
            raise ImportError(f"metric={self.name!r} needs a newer tslearn: pip install --upgrade tslearn")
        return function

    def _sax(self, x: np.ndarray, y: np.ndarray) -> float:
        settings = {**_SAX, **self.params}
        shortest = min(len(x), len(y))
        if shortest < settings["n_segments"]:
            raise ValueError(
                f"a sequence has {shortest} steps, fewer than the n_segments={settings['n_segments']} of "
                "metric=\"sax\": pass metric_params={'n_segments': ...}, or leave it out."
            )
        pair = np.full((2, max(len(x), len(y)), x.shape[1]), np.nan)
        pair[0, : len(x)], pair[1, : len(y)] = x, y
        return float(tslearn_sax(**settings).fit(pair).distance(x, y))


def _named(name: str, **params: Any) -> Metric:
    """Return the metric of a name: `DTWMetric` where it has the parameters, else a function of tslearn."""
    if name == "dtw" and set(params) <= set(inspect.signature(DTWMetric).parameters):
        return DTWMetric(**params)
    return CallableMetric(TslearnDistance(name, **params))


for _name in (*_FUNCTIONS, "sax"):
    register_metric(_name, name=_name)(_named)
