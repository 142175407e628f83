"""How time and memory grow with references, steps, units and threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from benchmarks.harness import Result, Timing, measure
from benchmarks.peers.aeon_process import Aeon
from benchmarks.peers.distances import N_CANDIDATES, PRUNED, warping_contenders
from benchmarks.peers.runs import forced, implementations, quick_metric, sines
from skseqmetric import DTWMetric, SequenceKNeighborsClassifier, SyncGRUMetric

STEPS = 64
TRAINED_ON = 100
TOLERANCE = 1e-3
WARPING = ("tslearn", "dtaidistance", "aeon")

Call = Callable[[], Any]


@dataclass(frozen=True)
class Limits:
    """Repeats of a call, and the seconds that one may take: a longer one is foreseen and left out."""

    repeats: int
    longest_call: float


class Foresight:
    """Leaves a contender out once its next call would take too long, judged by its last one."""

    def __init__(self, longest_call: float) -> None:
        self.longest_call = longest_call
        self._last: dict[str, tuple[float, float]] = {}

    def affordable(self, contenders: Mapping[str, Call], work: float) -> dict[str, Call]:
        """Those that are expected to keep within the limit, taking time to grow as `work` does; one at least."""
        expected = {name: self._expected(name, work) for name in contenders}
        limit = max(self.longest_call, min(expected.values()))
        return {name: call for name, call in contenders.items() if expected[name] <= limit}

    def learn(self, timings: Iterable[Timing], work: float) -> None:
        """Remember how long `work` took."""
        self._last.update({timing.name: (work, timing.median) for timing in timings})

    def _expected(self, name: str, work: float) -> float:
        done, seconds = self._last.get(name, (work, 0.0))
        return seconds * work / done


def against_references(
    numbers: Sequence[int], *, n_queries: int, threads: int, limits: Limits, aeon_python: Path | None
) -> list[Result]:
    """1-NN search of the same queries in ever more references; items are (query, reference) pairs covered.

    A pair is covered when its distance need not be computed to know the answer too: that is what the shortlist is for.
    "prepare" is what the references cost once: their embedding.
    """
    trained = {c: quick_metric(32, coupling=c).fit(*sines(TRAINED_ON, STEPS)) for c in (None, "symmetric")}
    Q, _ = sines(n_queries, STEPS, seed=1)
    foresight, results = Foresight(limits.longest_call), []
    for n in numbers:
        X, y = sines(n, STEPS, seed=2)
        contenders = foresight.affordable(_searches(trained, Q, X, y, threads), n)
        aeon_affordable = foresight.affordable({"aeon": lambda: None}, n) if aeon_python else {}
        results.append(_searched(contenders, Q, X, n, threads, limits, aeon_python if aeon_affordable else None))
        foresight.learn(results[-1].timings, n)
    return results


def _searched(
    contenders: dict[str, Call],
    Q: list[np.ndarray],
    X: list[np.ndarray],
    n: int,
    threads: int,
    limits: Limits,
    aeon_python: Path | None,
) -> Result:
    title = f"search of {len(Q)} queries in {n} references of {STEPS} x {Q[0].shape[1]}"
    options: dict[str, Any] = {"check": _agreeing, "repeats": limits.repeats, "unit": "pairs", "threads": threads}
    options["items"] = {name: len(Q) * n for name in (*contenders, "aeon") if not name.startswith("prepare")}
    if aeon_python is None:
        return measure(title, contenders, **options)
    with Aeon(aeon_python, Q, X, threads) as aeon:
        return measure(title, {**contenders, "aeon": aeon.run}, **options)


def _searches(
    trained: Mapping[str | None, SyncGRUMetric], Q: list[np.ndarray], X: list[np.ndarray], y: np.ndarray, threads: int
) -> dict[str, Call]:
    """Every way to search X; the references' side is prepared when a contender is first called."""
    contenders: dict[str, Call] = warping_contenders(Q, X, threads)
    pruned = SequenceKNeighborsClassifier(DTWMetric(engine="compiled", n_jobs=threads), n_neighbors=1)
    contenders[PRUNED] = _lazily(pruned, Q, X, y)
    for name in implementations("sync_gru"):
        models = {
            f"exact, {name}": _model(trained["symmetric"]),
            f"re-rank, {name}": _model(trained["symmetric"], algorithm="rerank", n_candidates=N_CANDIDATES),
            f"embedding, {name}": _model(trained[None]),
        }
        for label, model in models.items():
            contenders[label] = forced(name, _lazily(model, Q, X, y))
        fresh = _model(trained["symmetric"])
        contenders[f"prepare, {name}"] = forced(name, lambda model=fresh: bool(model.fit(X, y)))
    return contenders


def _model(metric: SyncGRUMetric, **search: Any) -> SequenceKNeighborsClassifier:
    return SequenceKNeighborsClassifier(FrozenEstimator(metric), n_neighbors=1, **search)


def _lazily(model: SequenceKNeighborsClassifier, Q: list[np.ndarray], X: list[np.ndarray], y: np.ndarray) -> Call:
    """Search only: the first call, which nobody times, fits."""

    def run() -> np.ndarray:
        if not hasattr(model, "classes_"):
            model.fit(X, y)
        return model.kneighbors(Q)[0]

    return run


def _agreeing(answers: Mapping[str, Any]) -> None:
    """All finite, and implementations of one thing agree; against the reference they are checked elsewhere.

    One in a hundred may differ: two candidates of nearly one embedding distance may change places in a shortlist.
    """
    families: dict[str, list[np.ndarray]] = {}
    for name, answer in answers.items():
        found = answer.distances() if isinstance(answer, Aeon) else answer
        if isinstance(found, np.ndarray):
            families.setdefault("warping" if name.startswith(WARPING) else name.split(",")[0], []).append(found)
    for family, members in families.items():
        for member in members:
            close = np.isclose(member, members[0], rtol=0, atol=TOLERANCE * np.abs(members[0]).max())
            if not (np.isfinite(member).all() and close.mean() >= 0.99):
                raise AssertionError(f"{family}: implementations do not agree")


def against_steps(steps: Sequence[int], *, n: int, threads: int, limits: Limits) -> list[Result]:
    """All pairs of n and n sequences that grow longer: coupled distances linearly, warping quadratically."""
    foresight, results = Foresight(limits.longest_call), []
    for T in steps:
        metric = quick_metric(32).fit(*sines(TRAINED_ON, T))
        Q, X = sines(n, T, seed=1)[0], sines(n, T, seed=2)[0]
        contenders = {**warping_contenders(Q, X, threads), **_coupled(metric, Q, X)}
        title = f"all pairs, {n} x {n} of {T} steps, H=32"
        results.append(_pairs(title, foresight, contenders, n, T * T, threads, limits))
    return results


def against_units(units: Sequence[int], *, n: int, threads: int, limits: Limits) -> list[Result]:
    """The same with more units."""
    foresight, results = Foresight(limits.longest_call), []
    Q, X = sines(n, STEPS, seed=1)[0], sines(n, STEPS, seed=2)[0]
    for h in units:
        contenders = _coupled(quick_metric(h).fit(*sines(TRAINED_ON, STEPS)), Q, X)
        title = f"all pairs, {n} x {n} of {STEPS} steps, H={h}"
        results.append(_pairs(title, foresight, contenders, n, h * h, threads, limits))
    return results


def against_threads(threads: Sequence[int], *, n: int, limits: Limits) -> list[Result]:
    """The same with more threads, against those peers that have threads."""
    Q, X = sines(n, STEPS, seed=1)[0], sines(n, STEPS, seed=2)[0]
    metric = quick_metric(32).fit(*sines(TRAINED_ON, STEPS))
    results = []
    for k in threads:
        contenders = {**warping_contenders(Q, X, k), **_coupled(metric, Q, X)}
        title = f"all pairs, {n} x {n} of {STEPS} steps, H=32, {k} thread(s)"
        results.append(_pairs(title, Foresight(limits.longest_call), contenders, n, 1, k, limits))
    return results


def _coupled(metric: SyncGRUMetric, Q: list[np.ndarray], X: list[np.ndarray]) -> dict[str, Call]:
    return {
        f"coupled, {name}": forced(name, lambda: metric.pairwise_distances(Q, X))
        for name in implementations("sync_gru")
    }


def _pairs(
    title: str, foresight: Foresight, contenders: Mapping[str, Call], n: int, work: float, threads: int, limits: Limits
) -> Result:
    result = measure(
        title,
        foresight.affordable(contenders, work),
        check=_agreeing,
        repeats=limits.repeats,
        items=n * n,
        unit="pairs",
        threads=threads,
    )
    foresight.learn(result.timings, work)
    return result
