"""Who takes part: every metric with every coupling, and classifiers of the panel."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.ablation.design import COUPLINGS
from benchmarks.panel.contenders import CONTENDERS as OF_PANEL
from benchmarks.panel.contenders import Contender, brief, ensemble, ours

BAND = 0.1
"""Radius of the band of warping, as a share of the steps."""

CLASSIFIERS = (
    "forest",
    "RandomConvolutionTransformer",
    "MiniROCKET",
    "EchoStateClassifier",
    "RecurrentClassifier",
    "NRNMClassifier",
)


def _band(seed: int, threads: int, quick: bool) -> Any:
    return ours("DTWMetric", window=BAND, n_jobs=threads)


def _convolutions(seed: int, threads: int, quick: bool) -> Any:
    return ours("RandomConvolutionMetric", random_state=seed)


def _network(name: str, coupling: str | None, seed: int, threads: int, quick: bool) -> Any:
    return ours(name, coupling=coupling, random_state=seed, **brief(quick))


def _networks(name: str, *couplings: str | None) -> list[Contender]:
    about = "every other parameter at its default"
    return [
        Contender(
            f"{name}, {coupling}", f"coupling={coupling!r}, {about}", partial(_network, name, coupling), slow=True
        )
        for coupling in couplings
    ]


GATED = _networks("SyncGRUMetric", *filter(None, COUPLINGS))
"""These run the network on every pair of a query and a training window."""

METRICS = (
    Contender("DTW, 10 % band", "dynamic time warping of all channels, nothing learned", _band, seeded=False),
    Contender("RandomConvolutionMetric", "every parameter at its default", _convolutions),
    Contender("MetricEnsemble", "every parameter at its default", ensemble, slow=True),
    *_networks("SyncGRUMetric", "alignment", None),
    *_networks("NRNMMetric", "alignment", None),
    *GATED,
)

ALL = (*METRICS, *(OF_PANEL[name] for name in CLASSIFIERS))
CONTENDERS = {contender.name: contender for contender in ALL}
