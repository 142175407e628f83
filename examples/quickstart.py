"""Learned distances against dynamic time warping on Japanese Vowels: a table and two pictures.

Run: python examples/quickstart.py [--out DIR]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skseqmetric import DTWMetric, SequenceKNeighborsClassifier, SyncGRUMetric
from skseqmetric.datasets import load_japanese_vowels
from skseqmetric.inspection import EmbeddingDisplay, SynchronizationDisplay


def main() -> None:
    """Fit, measure, print the table, draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    train, test = load_japanese_vowels(split="train"), load_japanese_vowels(split="test")
    print(f"Japanese Vowels: {len(train.data)} utterances to train, {len(test.data)} to test, 9 speakers, 12 channels,")
    print(f"{min(map(len, train.data))} to {max(map(len, test.data))} steps. 1 nearest neighbour by every distance:\n")

    gated = SyncGRUMetric(coupling="symmetric", random_state=0, verbose=1)
    coupled = SequenceKNeighborsClassifier(gated, n_neighbors=1)
    reranked = SequenceKNeighborsClassifier(gated, n_neighbors=1, algorithm="rerank", n_candidates=20)
    embedded = make_pipeline(SyncGRUMetric(random_state=0, verbose=1), KNeighborsClassifier(1))
    warped = SequenceKNeighborsClassifier(DTWMetric(), n_neighbors=1)

    rows = [measure("coupled distance, every pair", coupled, train, test)]
    # the same training, so the fitted metric is handed on instead of being fitted again
    reranked.set_params(metric=FrozenEstimator(coupled.metric_))
    rows.append(measure("coupled distance, 20 re-ranked", reranked, train, test, fit_seconds=rows[0][2]))
    rows.append(measure("embedding, scikit-learn's kNN", embedded, train, test))
    rows.append(measure("dynamic time warping (tslearn)", warped, train, test))
    print_table(rows)

    EmbeddingDisplay.from_estimator(embedded[0], test.data, test.target_names[test.target]).figure_.savefig(
        out / "embedding.png", dpi=120
    )
    SynchronizationDisplay.from_estimator(coupled.metric_, test.data, test.target).figure_.savefig(
        out / "synchronization.png", dpi=120
    )
    print(f"\nPictures: {out / 'embedding.png'}, {out / 'synchronization.png'}")


def measure(
    name: str, model: Any, train: Any, test: Any, fit_seconds: float | None = None
) -> tuple[str, float, float, float]:
    """Accuracy, seconds of fit and queries per second of one model."""
    start = time.perf_counter()
    model.fit(train.data, train.target)
    if fit_seconds is None:
        fit_seconds = time.perf_counter() - start
    model.predict(test.data[:2])  # what is loaded or compiled at the first call is not the search
    start = time.perf_counter()
    predicted = model.predict(test.data)
    seconds = time.perf_counter() - start
    return name, float(np.mean(predicted == test.target)), fit_seconds, len(test.data) / seconds


def print_table(rows: list[tuple[str, float, float, float]]) -> None:
    """One line a model."""
    print(f"\n{'distance':<32}{'accuracy':>9}{'fit (s)':>10}{'queries/s':>12}")
    for name, accuracy, fit_seconds, rate in rows:
        print(f"{name:<32}{accuracy:>9.3f}{fit_seconds:>10.1f}{rate:>12,.0f}")


if __name__ == "__main__":
    main()
