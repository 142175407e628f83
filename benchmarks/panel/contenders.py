"""Who takes part in the panel. What a contender needs is imported when it is built, so that others do without it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Build = Callable[[int, int, bool], Any]
"""An unfitted classifier for (seed, threads, quick); None where aeon's process has it."""


@dataclass(frozen=True)
class Contender:
    """A classifier by its name, and what it is, for whoever reads the table.

    seeded : whether it draws random numbers; if not, one fit says all.
    slow : whether it trains a network, so that it comes last.
    """

    name: str
    about: str
    build: Build | None
    seeded: bool = True
    slow: bool = False

    @property
    def by_aeon(self) -> bool:
        """Whether it needs the process of aeon."""
        return self.build is None


def ours(name: str, *args: Any, **parameters: Any) -> Any:
    """An estimator of the package by its name."""
    package = importlib.import_module("skseqmetric")
    if not hasattr(package, name):
        raise ImportError(f"this skseqmetric has no {name}: leave its contender out of --contenders")
    return getattr(package, name)(*args, **parameters)


def nearest(metric: Any) -> Any:
    """1-NN under a metric."""
    return ours("SequenceKNeighborsClassifier", metric, n_neighbors=1)


def brief(quick: bool) -> dict[str, Any]:
    """Parameters of training that only shows that it runs."""
    return {"max_epochs": 1, "max_updates": 2} if quick else {}


def ensemble(seed: int, threads: int, quick: bool) -> Any:
    """The unfitted metric; the network of its default trains briefly in a quick run."""
    brief_member = {f"alignment__{name}": value for name, value in brief(quick).items()}
    return ours("MetricEnsemble", random_state=seed).set_params(**brief_member)


def _convolution_ridge(seed: int, threads: int, quick: bool) -> Any:
    import numpy as np
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline

    transformer = ours("RandomConvolutionTransformer", random_state=seed)
    return make_pipeline(transformer, RidgeClassifierCV(np.logspace(-3, 3, 10)))


def _band(seed: int, threads: int, quick: bool) -> Any:
    from benchmarks.panel.warping import BandByLeaveOneOut

    return BandByLeaveOneOut(engine="compiled", n_jobs=threads)


def _tslearn(seed: int, threads: int, quick: bool) -> Any:
    from benchmarks.panel.warping import TslearnNeighbor

    return TslearnNeighbor(n_jobs=None if threads == 1 else threads)


def _forest(seed: int, threads: int, quick: bool) -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline

    from benchmarks.panel.summary_features import summarizer

    n_trees = 10 if quick else 500
    return make_pipeline(summarizer(), RandomForestClassifier(n_trees, n_jobs=threads, random_state=seed))


ALL = (
    Contender("forest", "random forest of 500 trees on summary features of channels and their differences", _forest),
    Contender(
        "RandomConvolutionMetric",
        "1-NN, every parameter at its default",
        lambda seed, threads, quick: nearest(ours("RandomConvolutionMetric", random_state=seed)),
    ),
    Contender(
        "RandomConvolutionTransformer",
        "its features before scikit-learn's RidgeClassifierCV",
        _convolution_ridge,
    ),
    Contender("MiniROCKET", "aeon's MiniRocketClassifier: features and ridge classifier", None),
    Contender("MultiROCKET-Hydra", "aeon's MultiRocketHydraClassifier: features and ridge classifier", None),
    Contender(
        "EchoStateClassifier",
        "every parameter at its default",
        lambda seed, threads, quick: ours("EchoStateClassifier", random_state=seed),
    ),
    Contender(
        "DTW",
        "1-NN by full dynamic time warping, the compiled search of DTWMetric",
        lambda seed, threads, quick: nearest(ours("DTWMetric", engine="compiled", n_jobs=threads)),
        seeded=False,
    ),
    Contender(
        "DTW, band",
        "the same with the band that leave-one-out chooses on the training split; the choice is in its fit",
        _band,
        seeded=False,
    ),
    Contender("DTW, tslearn", "1-NN by full dynamic time warping, tslearn's own classifier", _tslearn, seeded=False),
    Contender(
        "SyncGRUMetric",
        "1-NN, every parameter at its default",
        lambda seed, threads, quick: nearest(ours("SyncGRUMetric", random_state=seed, **brief(quick))),
        slow=True,
    ),
    Contender(
        "MetricEnsemble",
        "1-NN, every parameter at its default",
        lambda seed, threads, quick: nearest(ensemble(seed, threads, quick)),
        slow=True,
    ),
    Contender(
        "NRNMMetric",
        "1-NN, every parameter at its default",
        lambda seed, threads, quick: nearest(ours("NRNMMetric", random_state=seed, **brief(quick))),
        slow=True,
    ),
    Contender(
        "NRNMClassifier",
        "every parameter at its default",
        lambda seed, threads, quick: ours("NRNMClassifier", random_state=seed, **brief(quick)),
        slow=True,
    ),
    Contender(
        "RecurrentClassifier",
        "an LSTM, every parameter at its default",
        lambda seed, threads, quick: ours("RecurrentClassifier", random_state=seed, **brief(quick)),
        slow=True,
    ),
)

CONTENDERS = {contender.name: contender for contender in ALL}
