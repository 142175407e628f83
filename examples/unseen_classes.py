"""Classes that the training data do not have: one example of each, and a picture of what a metric matches.

Run: python examples/unseen_classes.py [--out DIR] [--quick]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot

from skseqmetric import DTWMetric, RandomConvolutionMetric, SyncGRUMetric
from skseqmetric.datasets import make_shifted_sequences
from skseqmetric.inspection import AlignmentDisplay

N_CLASSES = 10  # of each half
N_TRIALS = 100


def main() -> None:
    """Fit on half of the classes, classify the others by one example of each, draw two matchings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the picture")
    parser.add_argument("--quick", action="store_true", help="less training, to see that it runs")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    known, unseen = make_data()
    settings: dict[str, Any] = {"max_updates": 20 if arguments.quick else 300, "random_state": 0}
    metrics: dict[str, Any] = {
        "matched states": SyncGRUMetric(**settings),
        "pooled states": SyncGRUMetric(coupling=None, **settings),
        "random convolutions": RandomConvolutionMetric(random_state=0),
        "dynamic time warping": DTWMetric(),
    }
    print(f"Trained on {N_CLASSES} classes. One example of each of {N_CLASSES} other classes, {N_TRIALS} trials.\n")
    print(f"{'distance':<24}accuracy")
    for name, metric in metrics.items():
        print(f"{name:<24}{one_shot(metric.fit(*known), *unseen):>8.3f}")
    file = arguments.out / "alignment.png"
    draw(metrics["matched states"], *unseen).savefig(file, dpi=90)
    print(f"\nPicture: {file}")


def make_data() -> tuple[tuple[list[np.ndarray], np.ndarray], tuple[list[np.ndarray], np.ndarray]]:
    """Return sequences and classes to train on, and those of the other classes."""
    X, y = make_shifted_sequences(
        600, n_classes=2 * N_CLASSES, n_channels=2, length=(50, 100), shift=0.1, warp=0.9, random_state=0
    )
    halves = np.flatnonzero(y < N_CLASSES), np.flatnonzero(y >= N_CLASSES)
    first, second = (([X[i] for i in half], y[half]) for half in halves)
    return first, second


def one_shot(metric: Any, X: list[np.ndarray], y: np.ndarray) -> float:
    """Return the accuracy of the nearest of one example of each class, over random examples."""
    rng = np.random.default_rng(0)
    distances, right = metric.pairwise_distances(X), []
    for _ in range(N_TRIALS):
        examples = np.array([rng.choice(np.flatnonzero(y == label)) for label in np.unique(y)])
        queries = np.setdiff1d(np.arange(len(y)), examples)
        nearest = examples[distances[np.ix_(queries, examples)].argmin(axis=1)]
        right.append(np.mean(y[nearest] == y[queries]))
    return float(np.mean(right))


def draw(metric: Any, X: list[np.ndarray], y: np.ndarray) -> Any:
    """Draw the matching of two sequences of a class, and of two classes, in one scale of colours."""
    partners = np.flatnonzero(y == y[0])[1], np.flatnonzero(y != y[0])[0]
    pairs = [(X[0], X[j]) for j in partners]
    largest = max(metric.alignment([x], [other])[0].costs.max() for x, other in pairs)
    figure, axes = pyplot.subplots(2, 1, figsize=(11, 10), layout="constrained")
    for ax, (x, other), title in zip(axes, pairs, ("one class", "two classes"), strict=True):
        display = AlignmentDisplay.from_estimator(metric, x, other, ax=ax, max_cost=largest)
        display.axes_["x"].set_title(f"{title}: {display.axes_['x'].get_title()}")
    return figure


if __name__ == "__main__":
    main()
