"""Neighbour search by learned distance against dynamic time warping, tslearn's and the pruned search of `DTWMetric`.

Four comparisons: prediction by the embedding, the same by the number of references, exact coupled distances, and the
memory of a large embedding search.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from tslearn.metrics import cdist_dtw
from tslearn.neighbors import KNeighborsTimeSeriesClassifier

from benchmarks.environment import available_cores
from benchmarks.harness import Result, argument_parser, measure, report
from skseqmetric import (
    DTWMetric,
    RandomConvolutionMetric,
    SequenceKNeighborsClassifier,
    SequenceNeighborsTransformer,
    SyncGRUMetric,
)

STEPS, CHANNELS = 128, 9
REFERENCES = (10, 30, 100, 300, 1000, 3000)
PARTS = ("predict", "references", "pairs", "search")
TSLEARN, DTW = "tslearn kNN (DTW)", "DTWMetric kNN, compiled"
GRU, CONVOLUTION = "embedding kNN (SyncGRUMetric)", "embedding kNN (RandomConvolutionMetric)"


def make_data(n: int, steps: int = STEPS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(n, steps, 9): six classes of noisy sines."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 6, n)
    t = np.linspace(0, 2 * np.pi, steps)[None, :, None]
    phase = rng.uniform(0, 6, (n, 1, CHANNELS))
    return np.sin((1 + y)[:, None, None] * t + phase) + rng.normal(0, 0.3, (n, steps, CHANNELS)), y


def jobs(threads: int) -> tuple[int | None, ...]:
    """How tslearn is called: by itself, and by as many processes as there are threads, which need not be faster."""
    return (None,) if threads == 1 else (None, threads)


def by_jobs(name: str, n_jobs: int | None) -> str:
    """What it is called then."""
    return name if n_jobs is None else f"{name}, n_jobs={n_jobs}"


def quick_metric(**settings: Any) -> SyncGRUMetric:
    """A metric after few updates: how long a query takes does not depend on how well it was trained."""
    return SyncGRUMetric(**{"coupling": None, **settings}, max_epochs=1, min_batches=5, random_state=0)


def predict_by_embedding(n_queries: int, n_references: int, repeats: int, options: dict[str, Any]) -> Result:
    """Queries per second of 1-NN by embedding and by dynamic time warping."""
    X, y = make_data(n_references)
    Q, _ = make_data(n_queries, seed=1)
    contenders: dict[str, Any] = {
        by_jobs(TSLEARN, n): partial(
            KNeighborsTimeSeriesClassifier(n_neighbors=1, metric="dtw", n_jobs=n).fit(X, y).predict, Q
        )
        for n in jobs(options["threads"])
    }
    models = searches(X, y, options["threads"])
    tslearn_by_ours = DTWMetric(engine="tslearn", n_jobs=options["threads"])
    models["DTWMetric kNN, engine tslearn"] = SequenceKNeighborsClassifier(tslearn_by_ours, n_neighbors=1).fit(X, y)
    contenders |= {name: partial(model.predict, Q) for name, model in models.items()}

    def check(answers: dict[str, np.ndarray]) -> None:
        check_embeddings(answers, models, Q, X, y)
        for name in (DTW, "DTWMetric kNN, engine tslearn"):
            np.testing.assert_array_equal(answers[name], answers[TSLEARN], err_msg=name)

    title = f"predict {n_queries} queries, {n_references} references of {STEPS} x {CHANNELS}"
    return measure(title, contenders, check=check, repeats=repeats, items=n_queries, unit="queries", **options)


def predict_by_references(
    n_queries: int, numbers: Sequence[int], repeats: int, options: dict[str, Any]
) -> list[Result]:
    """The same without tslearn, by the number of references: warping pays for each of them, an embedding for none."""
    results = []
    for n in numbers:
        X, y = make_data(n)
        Q, _ = make_data(n_queries, seed=1)
        models = searches(X, y, options["threads"])
        title = f"predict {n_queries} queries, {n} references of {STEPS} x {CHANNELS}"
        calls = {name: partial(model.predict, Q) for name, model in models.items()}
        check = partial(check_embeddings, models=models, Q=Q, X=X, y=y)
        counted: dict[str, Any] = {"items": n_queries, "unit": "queries", "memory": False}
        results.append(measure(title, calls, check=check, repeats=repeats, **counted, **options))
    return results


def searches(X: np.ndarray, y: np.ndarray, threads: int) -> dict[str, SequenceKNeighborsClassifier]:
    """1-NN by pruned warping and by embeddings of two metrics, fitted; the metrics learn from 60 references at most."""
    few = slice(0, 60)
    metrics = {
        DTW: DTWMetric(engine="compiled", n_jobs=threads),
        GRU: FrozenEstimator(quick_metric(coupling=None).fit(X[few], y[few])),
        CONVOLUTION: FrozenEstimator(RandomConvolutionMetric(random_state=0).fit(X[few], y[few])),
    }
    return {name: SequenceKNeighborsClassifier(m, n_neighbors=1).fit(X, y) for name, m in metrics.items()}


def check_embeddings(
    answers: dict[str, np.ndarray],
    models: dict[str, SequenceKNeighborsClassifier],
    Q: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
) -> None:
    """Both by scikit-learn's search in the same embeddings."""
    for name in (GRU, CONVOLUTION):
        metric = models[name].metric_
        by_hand = KNeighborsClassifier(1, algorithm="brute").fit(metric.transform(X), y)
        np.testing.assert_array_equal(answers[name], by_hand.predict(metric.transform(Q)), err_msg=name)


def coupled_pairs(n_queries: int, n_references: int, repeats: int, options: dict[str, Any]) -> Result:
    """Pairs per second of exact coupled distances and of tslearn's cdist_dtw."""
    X, y = make_data(n_references)
    Q, _ = make_data(n_queries, seed=1)
    one_way = {"coupling": "symmetric", "n_units": 32, "bidirectional": False, "max_recurrent_steps": None}
    metrics = {
        "coupled H=32, no stem": quick_metric(**one_way, n_filters=None).fit(X, y),
        "coupled H=32, stem": quick_metric(**one_way).fit(X, y),
    }

    def check(answers: dict[str, np.ndarray]) -> None:
        rows, columns = np.arange(10), np.arange(10, 20)
        for name, metric in metrics.items():
            one_by_one = metric.pair_distance(Q[rows], X[columns])
            np.testing.assert_allclose(answers[name][rows, columns], one_by_one, rtol=1e-3, atol=1e-5)

    contenders: dict[str, Any] = {
        by_jobs("tslearn cdist_dtw", n): partial(cdist_dtw, Q, X, n_jobs=n) for n in jobs(options["threads"])
    }
    for name, metric in metrics.items():
        contenders[name] = lambda metric=metric: metric.pairwise_distances(Q, X)
    return measure(
        f"all pairs, {n_queries} x {n_references} sequences of {STEPS} x {CHANNELS}",
        contenders,
        check=check,
        repeats=repeats,
        items=n_queries * n_references,
        unit="pairs",
        **options,
    )


def large_search(n: int, options: dict[str, Any]) -> Result:
    """Time and memory of a search by embedding in which no distance matrix would fit a bound of 1 GB."""
    X, y = make_data(n, steps=16)
    X = X.astype(np.float32)
    metric = quick_metric(coupling=None).fit(X, y)
    search = SequenceNeighborsTransformer(FrozenEstimator(metric), n_neighbors=5).fit(X)
    E = metric.transform(X)
    theirs = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(E)

    def check(answers: dict[str, Any]) -> None:
        ours, brute = answers["SequenceNeighborsTransformer"], answers["transform + scikit-learn brute force"]
        np.testing.assert_allclose(ours[0], brute[0], rtol=1e-3, atol=1e-4)

    return measure(
        f"kneighbors, {n} x {n} sequences by embedding",
        {
            "transform + scikit-learn brute force": lambda: theirs.kneighbors(metric.transform(X)),
            "SequenceNeighborsTransformer": lambda: search.kneighbors(X),
        },
        check=check,
        repeats=2,
        items=n,
        unit="queries",
        **options,
    )


def print_ratios(result: Result, peer: str, names: Sequence[str]) -> None:
    """How many times as many items a second as `peer`."""
    print(f"\n{result.title}")
    for name in names:
        print(f"  {name}: {1 / result.ratio(name, peer):.2f} times {peer}")


def main() -> None:
    """Measure, print the tables and the ratios that docs/performance.md quotes."""
    parser = argument_parser(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    options = {"threads": args.threads or available_cores(), "device": args.device}
    queries, references, large = (20, 60, 1000) if args.quick else (200, 500, 20_000)
    numbers, repeats = ((10, 30), 1) if args.quick else (REFERENCES, args.repeats)
    results, ratios = [], []
    if "predict" in args.parts:
        results.append(predict_by_embedding(queries, references, repeats, options))
        ratios.append((results[-1], TSLEARN, (DTW, GRU, CONVOLUTION)))
    if "references" in args.parts:
        by_references = predict_by_references(queries, numbers, repeats, options)
        results += by_references
        ratios += [(result, DTW, (GRU, CONVOLUTION)) for result in by_references]
    if "pairs" in args.parts:
        results.append(coupled_pairs(queries, references, repeats, options))
        ratios.append((results[-1], "tslearn cdist_dtw", ("coupled H=32, no stem", "coupled H=32, stem")))
    if "search" in args.parts:
        results.append(large_search(large, options))
    report(results, args.out)
    for result, peer, names in ratios:
        print_ratios(result, peer, names)


if __name__ == "__main__":
    main()
