"""Learned distances against dynamic time warping on Japanese Vowels: a table and two pictures.

Run: python examples/quickstart.py [--out DIR]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skseqmetric import DTWMetric, RandomConvolutionMetric, SequenceKNeighborsClassifier, SyncGRUMetric
from skseqmetric.datasets import load_japanese_vowels
from skseqmetric.inspection import AlignmentDisplay, EmbeddingDisplay


def main() -> None:
    """Fit, measure, print the table, draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    train, test = load_japanese_vowels(split="train"), load_japanese_vowels(split="test")
    print(f"Japanese Vowels: {len(train.data)} utterances to train, {len(test.data)} to test, 9 speakers, 12 channels,")
    print(f"{min(map(len, train.data))} to {max(map(len, test.data))} steps. Classifier: 1 nearest neighbour.\n")

    aligned = SyncGRUMetric(random_state=0, verbose=1)
    matched = SequenceKNeighborsClassifier(aligned, n_neighbors=1)
    reranked = SequenceKNeighborsClassifier(aligned, n_neighbors=1, algorithm="rerank", n_candidates=20)
    embedded = make_pipeline(SyncGRUMetric(coupling=None, random_state=0, verbose=1), KNeighborsClassifier(1))
    convolved = make_pipeline(RandomConvolutionMetric(random_state=0), KNeighborsClassifier(1))
    warped = SequenceKNeighborsClassifier(DTWMetric(), n_neighbors=1)

    rows = [measure("matched states, every pair", matched, train, test)]
    # the training is the same, so this search reuses the fitted metric
    reranked.set_params(metric=FrozenEstimator(matched.metric_))
    rows.append(measure("matched states, 20 re-ranked", reranked, train, test, fit_seconds=rows[0][2]))
    rows.append(measure("embedding, scikit-learn's kNN", embedded, train, test))
    rows.append(measure("random convolutions, the same kNN", convolved, train, test))
    rows.append(measure("dynamic time warping", warped, train, test))
    print_table(rows)

    embedding = EmbeddingDisplay.from_estimator(embedded[0], test.data, test.target_names[test.target])
    embedding.figure_.savefig(out / "embedding.png", dpi=120)
    draw_matching(matched.metric_, test).savefig(out / "alignment.png", dpi=90)
    print(f"\nPictures: {out / 'embedding.png'}, {out / 'alignment.png'}")


def measure(
    name: str, model: Any, train: Any, test: Any, fit_seconds: float | None = None
) -> tuple[str, float, float, float]:
    """Accuracy, seconds of fit and queries per second of one model."""
    start = time.perf_counter()
    model.fit(train.data, train.target)
    if fit_seconds is None:
        fit_seconds = time.perf_counter() - start
    model.predict(test.data[:2])  # the first call also loads and compiles: it is not timed
    start = time.perf_counter()
    predicted = model.predict(test.data)
    seconds = time.perf_counter() - start
    return name, float(np.mean(predicted == test.target)), fit_seconds, len(test.data) / seconds


def print_table(rows: list[tuple[str, float, float, float]]) -> None:
    """One line a model."""
    print(f"\n{'distance':<32}{'accuracy':>9}{'fit (s)':>10}{'queries/s':>12}")
    for name, accuracy, fit_seconds, rate in rows:
        print(f"{name:<32}{accuracy:>9.3f}{fit_seconds:>10.1f}{rate:>12,.0f}")


def draw_matching(metric: SyncGRUMetric, test: Any) -> Any:
    """Draw what matched what in two utterances of one speaker, and of two speakers, in one scale of colours."""
    first = test.target[0]
    partners = np.flatnonzero(test.target == first)[1], np.flatnonzero(test.target != first)[0]
    pairs = [test.data[j] for j in partners]
    largest = max(found.costs.max() for found in metric.alignment([test.data[0]] * 2, pairs))
    figure, axes = pyplot.subplots(2, 1, figsize=(11, 10), layout="constrained")
    for ax, other, kind in zip(axes, pairs, ("one speaker", "two speakers"), strict=True):
        display = AlignmentDisplay.from_estimator(metric, test.data[0], other, ax=ax, max_cost=largest)
        display.axes_["x"].set_title(f"{kind}: {display.axes_['x'].get_title()}")
    return figure


if __name__ == "__main__":
    main()
