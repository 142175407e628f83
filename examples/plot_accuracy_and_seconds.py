"""
Accuracy against seconds on five problems
=========================================

You learn what four kinds of model cost and what they bring. The baseline is the nearest neighbour under dynamic time
warping, :class:`skseqmetric.DTWMetric`. Beside it stand :class:`skseqmetric.RandomConvolutionMetric`,
:class:`skseqmetric.EchoStateClassifier` and a short training of :class:`skseqmetric.SyncGRUMetric`. No single one of
them is best on all five problems.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from pen_writers import DIGITS, drawings, make_writer

from skseqmetric import (
    DTWMetric,
    EchoStateClassifier,
    RandomConvolutionMetric,
    SequenceKNeighborsClassifier,
    SyncGRUMetric,
)
from skseqmetric.datasets import load_japanese_vowels, make_shifted_sequences, make_sine_images

# %%
# Five problems
# -------------
# The speakers are real recordings, every second one of the original split. The other problems are made. Curves are
# warped in time, and noisy sines differ in frequency only. Digits are those of unseen writers, half of whom draw half
# of the digits backwards. At last, three events follow each other in noise. The file ``pen_writers.py`` beside this one
# makes the writers.


def halves(X, y):
    """Split after the first half."""
    n = len(X) // 2
    return (X[:n], y[:n]), (X[n:], y[n:])


def events(n, rng):
    """Two bumps and a dip somewhere in noise; the class is the place of the dip among them."""
    y, X = np.arange(n) % 3, []
    for label in y:
        x = 0.4 * rng.normal(size=120)
        for k, place in enumerate(np.sort(rng.choice(10, 3, replace=False))):
            x[12 * place : 12 * place + 10] += (-2 if k == label else 2) * np.hanning(10)
        X.append(x[:, np.newaxis])
    return X, y


rng = np.random.default_rng(0)
pen = [drawings([make_writer(rng, unusual=k % 2 == 1) for k in range(6)], DIGITS, 2, rng)[:2] for _ in range(2)]
X_sines, y_sines, _ = make_sine_images(30, n_classes=6, noise=0.6, image_size=1, random_state=0)
problems = {
    "nine speakers": [
        [part[::2] for part in load_japanese_vowels(split=split, return_X_y=True)] for split in ("train", "test")
    ],
    "ten warped curves": halves(
        *make_shifted_sequences(120, n_classes=10, n_channels=2, shift=0.1, warp=0.9, noise=0.8, random_state=0)
    ),
    "six frequencies": halves(list(X_sines), y_sines),
    "digits, new writers": pen,
    "order of three events": halves(*events(160, rng)),
}
for name, ((X, y), (X_new, _)) in problems.items():
    steps = [len(x) for x in X]
    print(
        f"{name:<24}{len(X):>4} + {len(X_new)} sequences, {len(np.unique(y))} classes, "
        f"{X[0].shape[1]} channels, {min(steps)} to {max(steps)} steps"
    )

# %%
# Four contenders
# ---------------
# Three keep their defaults. The network trains for 40 updates instead of 1250, so its accuracy is not what it can be.
# Seconds are those of ``fit`` and ``predict`` together, on the machine that built this page.

contenders = {
    "1-NN DTW": lambda: SequenceKNeighborsClassifier(DTWMetric(), n_neighbors=1),
    "random convolutions": lambda: SequenceKNeighborsClassifier(RandomConvolutionMetric(random_state=0), n_neighbors=1),
    "echo state network": lambda: EchoStateClassifier(random_state=0),
    "matched states, 40 updates": lambda: SequenceKNeighborsClassifier(
        SyncGRUMetric(max_updates=40, random_state=0), n_neighbors=1
    ),
}


def measure(make, train, test):
    """Return the seconds of fit and predict, and the accuracy."""
    start = time.perf_counter()
    accuracy = make().fit(*train).score(*test)
    return time.perf_counter() - start, accuracy


results = {name: [measure(make, *problem) for problem in problems.values()] for name, make in contenders.items()}

# %%
# What comes out
# --------------
# Up and left is good: accurate and fast.

COLOURS, MARKERS = ("#000000", "#0072B2", "#009E73", "#D55E00"), "sovD"
fig, axes = plt.subplots(2, 3, figsize=(9, 5.6), sharex=True, sharey=True, layout="constrained")
for k, (ax, title) in enumerate(zip(axes.flat[:5], problems, strict=True)):
    for (name, points), colour, marker in zip(results.items(), COLOURS, MARKERS, strict=True):
        ax.scatter(*points[k], s=90, label=name, color=colour, marker=marker)
    ax.set(title=title, xscale="log")
    ax.grid(alpha=0.3)
    ax.margins(0.15)
axes[0, 0].set_ylabel("accuracy on new sequences")
axes[1, 0].set_ylabel("accuracy on new sequences")
fig.supxlabel("seconds of fit and predict")
handles, labels = axes[0, 0].get_legend_handles_labels()
axes[1, 2].axis("off")
axes[1, 2].legend(handles, labels, loc="center", frameon=False)
plt.show()

print(f"{'contender':<30}{'mean accuracy':>14}{'sum of seconds':>16}")
for name, points in results.items():
    seconds, accuracies = np.transpose(points)
    print(f"{name:<30}{accuracies.mean():>14.3f}{seconds.sum():>16.2f}")
