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
from skseqmetric.inspection import EmbeddingDisplay, SynchronizationDisplay


def main() -> None:
    """Fit, measure, print the table, draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    train, test = load_japanese_vowels(split="train"), load_japanese_vowels(split="test")
    print(f"Japanese Vowels: {len(train.data)} utterances to train, {len(test.data)} to test, 9 speakers, 12 channels,")
    print(f"{min(map(len, train.data))} to {max(map(len, test.data))} steps. Classifier: 1 nearest neighbour.\n")

    gated = SyncGRUMetric(coupling="symmetric", random_state=0, verbose=1)
    coupled = SequenceKNeighborsClassifier(gated, n_neighbors=1)
    reranked = SequenceKNeighborsClassifier(gated, n_neighbors=1, algorithm="rerank", n_candidates=20)
    embedded = make_pipeline(SyncGRUMetric(random_state=0, verbose=1), KNeighborsClassifier(1))
    convolved = make_pipeline(RandomConvolutionMetric(random_state=0), KNeighborsClassifier(1))
    warped = SequenceKNeighborsClassifier(DTWMetric(), n_neighbors=1)

    rows = [measure("coupled distance, every pair", coupled, train, test)]
    # the training is the same, so this search reuses the fitted metric
    reranked.set_params(metric=FrozenEstimator(coupled.metric_))
    rows.append(measure("coupled distance, 20 re-ranked", reranked, train, test, fit_seconds=rows[0][2]))
    rows.append(measure("embedding, scikit-learn's kNN", embedded, train, test))
    rows.append(measure("random convolutions, the same kNN", convolved, train, test))
    rows.append(measure("dynamic time warping", warped, train, test))
    print_table(rows)

    embedding = EmbeddingDisplay.from_estimator(embedded[0], test.data, test.target_names[test.target])
    embedding.figure_.savefig(out / "embedding.png", dpi=120)
    draw_gaps({"with the coupling gate": coupled.metric_, "without it": embedded[0]}, test, out / "synchronization.png")
    print(f"\nPictures: {out / 'embedding.png'}, {out / 'synchronization.png'}")


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


def draw_gaps(metrics: dict[str, SyncGRUMetric], test: Any, file: Path) -> None:
    """How far the two halves of each network are apart, and the ratio of pairs of one speaker to other pairs."""
    figure, axes = pyplot.subplots(1, len(metrics), figsize=(11, 4.5), sharey=True, layout="constrained")
    print("\nGap between the two halves of a pair, one speaker's pairs over pairs of two speakers:")
    for ax, (name, metric) in zip(axes, metrics.items(), strict=True):
        display = SynchronizationDisplay.from_estimator(metric, test.data, test.target, ax=ax)
        ax.set_title(name)
        ratio = np.mean(np.median(display.same, axis=0)) / np.mean(np.median(display.different, axis=0))
        print(f"  {name}: {ratio:.2f}")
    axes[0].set_ylim(0, 1.05 * max(ax.dataLim.y1 for ax in axes))
    figure.suptitle("How far the two halves of a pair are apart")
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
