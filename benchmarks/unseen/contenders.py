"""Who takes part: every metric of the package with every coupling, and distances that learn nothing of classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.unseen.raw import FeatureMetric, FunctionMetric, chamfer, euclid
from skseqmetric import (
    DTWMetric,
    MetricEnsemble,
    NRNMMetric,
    RandomConvolutionMetric,
    RandomConvolutionTransformer,
    SyncGRUMetric,
)

GATES = ("symmetric", "diffusive", "scalar")
POOLED_WEIGHT = 3.0
"""Of the embeddings, beside the matched states."""


@dataclass(frozen=True)
class Contender:
    """A metric by its name, and what it is, for whoever reads the table.

    build : an unfitted metric for (seed, updates).
    slow : whether every pair is a run of its own, so that fewer seeds are enough.
    """

    name: str
    about: str
    build: Callable[[int, int], Any]
    slow: bool = False


def _network(estimator: Any, seed: int, updates: int, **settings: Any) -> Any:
    return estimator(max_updates=updates, random_state=seed, **settings)


def _ensemble(seed: int, updates: int) -> Any:
    members = [
        ("convolution", RandomConvolutionMetric(random_state=seed)),
        ("alignment", _network(SyncGRUMetric, seed, updates, coupling="alignment")),
    ]
    return MetricEnsemble(members)


def _coupled(estimator: Any, coupling: str | None, **settings: Any) -> Contender:
    name = f"{estimator.__name__}, {coupling}{' + pooled' if settings else ''}"
    about = ", ".join(f"{key}={value!r}" for key, value in {"coupling": coupling, **settings}.items())
    build = partial(_network, estimator, coupling=coupling, **settings)
    return Contender(name, about, build, slow=coupling in GATES)


ALL = (
    Contender("Euclid", "root mean square at equal steps, nothing learned", lambda *_: FunctionMetric(euclid)),
    Contender("DTW", "dynamic time warping of all channels, nothing learned", lambda *_: DTWMetric()),
    Contender("Chamfer", "raw steps, each to its nearest, nothing learned", lambda *_: FunctionMetric(chamfer)),
    Contender(
        "random convolutions",
        "Euclidean distance of standardised features, no classes learned",
        lambda seed, updates: FeatureMetric(RandomConvolutionTransformer(random_state=seed)),
    ),
    Contender(
        "RandomConvolutionMetric",
        "every parameter at its default",
        lambda seed, updates: RandomConvolutionMetric(random_state=seed),
    ),
    _coupled(SyncGRUMetric, None),
    *(_coupled(SyncGRUMetric, gate) for gate in GATES),
    _coupled(SyncGRUMetric, "alignment"),
    _coupled(SyncGRUMetric, "alignment", pooled_weight=POOLED_WEIGHT),
    _coupled(NRNMMetric, None),
    _coupled(NRNMMetric, "alignment"),
    Contender(
        "MetricEnsemble", 'RandomConvolutionMetric and SyncGRUMetric(coupling="alignment"), equal weights', _ensemble
    ),
)

CONTENDERS = {contender.name: contender for contender in ALL}
