"""All distances between two sets, and 1-NN, against dynamic time warping by tslearn, dtaidistance and aeon."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from tslearn.metrics import cdist_dtw
from tslearn.neighbors import KNeighborsTimeSeriesClassifier
from tslearn.utils import to_time_series_dataset

from benchmarks.harness import Result, measure
from benchmarks.peers.aeon_process import Aeon
from benchmarks.peers.runs import check_close, forced, implementations, quick_metric, sines
from skseqmetric import DTWMetric, SequenceKNeighborsClassifier, SyncGRUMetric
from skseqmetric._ops.dispatch import implementation

PRUNED = "DTWMetric kNN"
N_CANDIDATES = 20
N_CHECKED = 10
TOLERANCE = 1e-3
Sequences = list[np.ndarray]


def all_pairs(
    lengths: int | tuple[int, int],
    units: Sequence[int],
    *,
    n_queries: int,
    n_references: int,
    threads: int,
    repeats: int,
    aeon_python: Path | None,
) -> Result:
    """Exact coupled distances of every query to every reference, one direction, without stem; items are pairs."""
    Q, _ = sines(n_queries, lengths, seed=1)
    X, y = sines(n_references, lengths)
    metrics = {h: quick_metric(h).fit(X, y) for h in units}
    contenders = warping_contenders(Q, X, threads)
    with contextlib.ExitStack() as stack:
        if aeon_python is not None:
            aeon = stack.enter_context(Aeon(aeon_python, Q, X, threads))
            contenders[f"aeon {aeon.versions['aeon']}"] = aeon.run
        for h, metric in metrics.items():
            for name in implementations("sync_gru"):
                contenders[coupled_name(h, name)] = forced(name, lambda metric=metric: metric.pairwise_distances(Q, X))
        return measure(
            f"all pairs, {n_queries} x {n_references} sequences of {_described(lengths)} x {Q[0].shape[1]}",
            contenders,
            check=_check_pairs(Q, X, metrics),
            repeats=repeats,
            items=n_queries * n_references,
            unit="pairs",
            threads=threads,
            memory=False,
        )


def coupled_name(units: int, name: str) -> str:
    """What a contender is called in tables and bars."""
    return f"coupled H={units}, {name}"


def _described(lengths: int | tuple[int, int]) -> str:
    return str(lengths) if isinstance(lengths, int) else f"{lengths[0]}-{lengths[1]}"


def warping_contenders(Q: Sequences, X: Sequences, threads: int) -> dict[str, Callable[[], Any]]:
    """The DTW of this environment; tslearn's by processes too, though it need not be faster."""

    @functools.cache
    def theirs() -> list[np.ndarray]:
        return [to_time_series_dataset(Z) for Z in (Q, X)]

    contenders: dict[str, Callable[[], Any]] = {"tslearn": lambda: cdist_dtw(*theirs())}
    if threads > 1:
        contenders[f"tslearn, n_jobs={threads}"] = lambda: cdist_dtw(*theirs(), n_jobs=threads)
    if (parallel := dtaidistance_pairs(Q, X)) is not None:
        contenders["dtaidistance"] = parallel
    return contenders


def dtaidistance_pairs(Q: Sequences, X: Sequences) -> Callable[[], np.ndarray] | None:
    """dtaidistance's C code, parallel by OpenMP, full window; None where it is not installed, or without C."""
    try:
        from dtaidistance import dtw_cc_omp, dtw_ndim
    except ImportError:
        return None
    if not dtw_cc_omp.is_openmp_supported():
        return None
    series, block = [*Q, *X], ((0, len(Q)), (len(Q), len(Q) + len(X)))

    def run() -> np.ndarray:
        flat = dtw_ndim.distance_matrix_fast(series, block=block, compact=True, parallel=True)
        return np.asarray(flat).reshape(len(Q), len(X))

    return run


def _check_pairs(Q: Sequences, X: Sequences, metrics: Mapping[int, SyncGRUMetric]) -> Callable[[dict[str, Any]], None]:
    """Peers against tslearn, ours against the reference loop on some pairs."""
    rows = np.arange(min(N_CHECKED, len(Q), len(X)))

    def check(answers: dict[str, Any]) -> None:
        for name, answer in answers.items():
            if name.startswith("coupled"):
                metric = next(m for h, m in metrics.items() if name.startswith(f"coupled H={h},"))
                with implementation("reference"):
                    expected = metric.pair_distance([Q[i] for i in rows], [X[i] for i in rows])
                check_close(name, answer[rows, rows], expected, TOLERANCE)
            else:
                found = answer.distances() if isinstance(answer, Aeon) else answer
                check_close(name, found, answers["tslearn"], 1e-6)

    return check


def nearest(*, steps: int, n_queries: int, n_references: int, threads: int, repeats: int) -> Result:
    """1-NN prediction: warping by tslearn and by our pruned search, learned distances exact and re-ranked.

    Items are queries.
    """
    X, y = sines(n_references, steps)
    Q, _ = sines(n_queries, steps, seed=1)
    metrics = {
        "H=32": quick_metric(32).fit(X, y),
        "H=48, both ways": SyncGRUMetric(coupling="symmetric", max_epochs=1, min_batches=2, random_state=0).fit(X, y),
    }
    contenders = _tslearn_neighbours(Q, X, y, threads)
    pruned = SequenceKNeighborsClassifier(DTWMetric(engine="compiled", n_jobs=threads), n_neighbors=1).fit(X, y)
    contenders[PRUNED] = lambda: pruned.predict(Q)
    for name, metric in metrics.items():
        for implementation_name in implementations("sync_gru"):
            for how, model in _searches(metric).items():
                model.fit(X, y)
                run = forced(implementation_name, lambda model=model: model.predict(Q))
                contenders[f"{how} {name}, {implementation_name}"] = run

    def check(answers: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
        few = slice(0, N_CHECKED)
        by_hand = y[cdist_dtw(Q[few], X).argmin(1)]
        np.testing.assert_array_equal(answers["tslearn kNN"][few], by_hand)
        np.testing.assert_array_equal(answers[PRUNED], answers["tslearn kNN"])
        for name, metric in metrics.items():
            _check_neighbours(answers, metric, Q[few], X, y, name)
        return {name: {"agrees with exact": _agreement(name, answers)} for name in answers if " H=" in name}

    return measure(
        f"1-NN, {n_queries} queries, {n_references} references of {steps} x {X[0].shape[1]}",
        contenders,
        check=check,
        repeats=repeats,
        items=n_queries,
        unit="queries",
        threads=threads,
        memory=False,
    )


def _tslearn_neighbours(Q: Sequences, X: Sequences, y: np.ndarray, threads: int) -> dict[str, Callable[[], Any]]:
    queries, references = (to_time_series_dataset(Z) for Z in (Q, X))
    contenders = {}
    for jobs in (None, threads) if threads > 1 else (None,):
        model = KNeighborsTimeSeriesClassifier(n_neighbors=1, metric="dtw", n_jobs=jobs).fit(references, y)
        name = "tslearn kNN" if jobs is None else f"tslearn kNN, n_jobs={jobs}"
        contenders[name] = lambda model=model: model.predict(queries)
    return contenders


def _searches(metric: SyncGRUMetric) -> dict[str, SequenceKNeighborsClassifier]:
    frozen = FrozenEstimator(metric)
    return {
        "exact": SequenceKNeighborsClassifier(frozen, n_neighbors=1),
        "re-rank": SequenceKNeighborsClassifier(frozen, n_neighbors=1, algorithm="rerank", n_candidates=N_CANDIDATES),
    }


def _check_neighbours(
    answers: Mapping[str, np.ndarray], metric: SyncGRUMetric, Q: Sequences, X: Sequences, y: np.ndarray, name: str
) -> None:
    """Of the first queries: exact by the matrix of reference distances, re-ranked by its shortlist's part of it."""
    with implementation("reference"):
        distances = metric.pairwise_distances(Q, X)
    embedded = [metric.transform(Z).astype(np.float64) for Z in (Q, X)]
    by_embedding = ((embedded[0][:, None] - embedded[1][None]) ** 2).sum(2)
    shortlist = np.argsort(by_embedding, axis=1, kind="stable")[:, :N_CANDIDATES]
    reranked = np.take_along_axis(shortlist, np.take_along_axis(distances, shortlist, 1).argmin(1)[:, None], 1)[:, 0]
    for contender, answer in answers.items():
        if f" {name}," in contender:
            expected = y[distances.argmin(1)] if contender.startswith("exact") else y[reranked]
            np.testing.assert_array_equal(answer[: len(Q)], expected, err_msg=contender)


def _agreement(name: str, answers: Mapping[str, np.ndarray]) -> float:
    return float(np.mean(answers[name] == answers[name.replace("re-rank", "exact")]))
