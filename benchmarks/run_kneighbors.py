"""Neighbour search by learned distance against tslearn's dynamic time warping.

Three comparisons: prediction by the embedding, exact coupled distances, and the memory of a large embedding search.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from tslearn.metrics import cdist_dtw
from tslearn.neighbors import KNeighborsTimeSeriesClassifier

from benchmarks.harness import Result, argument_parser, measure, report
from skseqmetric import DTWMetric, SequenceKNeighborsClassifier, SequenceNeighborsTransformer, SyncGRUMetric

STEPS, CHANNELS = 128, 9


def make_data(n: int, steps: int = STEPS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(n, steps, 9): six classes of noisy sines."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 6, n)
    t = np.linspace(0, 2 * np.pi, steps)[None, :, None]
    phase = rng.uniform(0, 6, (n, 1, CHANNELS))
    return np.sin((1 + y)[:, None, None] * t + phase) + rng.normal(0, 0.3, (n, steps, CHANNELS)), y


def quick_metric(**settings: Any) -> SyncGRUMetric:
    """A metric after few updates: how long a query takes does not depend on how well it was trained."""
    return SyncGRUMetric(max_epochs=1, min_batches=5, random_state=0, **settings)


def predict_by_embedding(n_queries: int, n_references: int, repeats: int, options: dict[str, Any]) -> Result:
    """Queries per second of 1-NN by embedding and by dynamic time warping."""
    X, y = make_data(n_references)
    Q, _ = make_data(n_queries, seed=1)
    embedding = SequenceKNeighborsClassifier(quick_metric(coupling=None), n_neighbors=1).fit(X, y)
    warping = SequenceKNeighborsClassifier(DTWMetric(n_jobs=options["threads"]), n_neighbors=1).fit(X, y)
    theirs = KNeighborsTimeSeriesClassifier(n_neighbors=1, metric="dtw").fit(X, y)

    def check(answers: dict[str, np.ndarray]) -> None:
        by_hand = KNeighborsClassifier(1).fit(embedding.metric_.transform(X), y)
        np.testing.assert_array_equal(answers["embedding kNN"], by_hand.predict(embedding.metric_.transform(Q)))
        np.testing.assert_array_equal(answers["tslearn kNN (DTW)"], answers["DTWMetric kNN"])

    return measure(
        f"predict {n_queries} queries, {n_references} references of {STEPS} x {CHANNELS}",
        {
            "tslearn kNN (DTW)": lambda: theirs.predict(Q),
            "DTWMetric kNN": lambda: warping.predict(Q),
            "embedding kNN": lambda: embedding.predict(Q),
        },
        check=check,
        repeats=repeats,
        items=n_queries,
        unit="queries",
        **options,
    )


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

    contenders: dict[str, Any] = {"tslearn cdist_dtw": lambda: cdist_dtw(Q, X)}
    contenders["tslearn cdist_dtw, n_jobs=2"] = lambda: cdist_dtw(Q, X, n_jobs=2)
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


def main() -> None:
    """Measure, print the tables and the ratios that docs/performance.md quotes."""
    args = argument_parser(__doc__).parse_args()
    options = {"threads": args.threads, "device": args.device}
    queries, references, large = (20, 60, 1000) if args.quick else (200, 500, 20_000)
    repeats = 1 if args.quick else 5
    predicted = predict_by_embedding(queries, references, repeats, options)
    pairs = coupled_pairs(queries, references, repeats, options)
    searched = large_search(large, options)
    report([predicted, pairs, searched], args.out)
    print(f"\nembedding kNN: {1 / predicted.ratio('embedding kNN', 'tslearn kNN (DTW)'):.0f}x tslearn's queries/s")
    print(f"DTWMetric kNN: {1 / predicted.ratio('DTWMetric kNN', 'tslearn kNN (DTW)'):.0f}x tslearn's queries/s")
    for name in ("coupled H=32, no stem", "coupled H=32, stem"):
        print(f"{name}: {1 / pairs.ratio(name, 'tslearn cdist_dtw'):.2f}x tslearn's cdist_dtw in pairs/s")
    peak = searched["SequenceNeighborsTransformer"].peak_bytes
    print(f"search of {large} x {large}: {'-' if peak is None else f'{peak / 2**20:.0f} MiB'} beyond the inputs")


if __name__ == "__main__":
    main()
