"""A critical-difference diagram, and accuracy against seconds, as one PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.panel.report import Scores
from benchmarks.panel.statistics import LEVEL, cliques, mean_ranks, wilcoxon_holm

# Okabe and Ito's palette, distinct for every kind of colour vision; markers tell the points apart in grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
LINE, GAP = 0.45, 0.3
"""Inches between two names, and between two bars."""


def draw(scores: Scores, path: Path) -> None:
    """Write both pictures, of the problems that every contender was fitted on."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    ranks = mean_ranks(scores.accuracy)
    bars = cliques(list(ranks), wilcoxon_holm(scores.accuracy))
    height = 0.9 + LINE * ((len(ranks) + 1) // 2) + GAP * len(bars)
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(9, height + 4.6), height_ratios=(height, 4.6), layout="constrained"
    )
    _critical_differences(above, scores, ranks, bars, height)
    _accuracy_against_seconds(below, scores)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _critical_differences(ax: Any, scores: Scores, ranks: np.ndarray, bars: list[list[int]], height: float) -> None:
    """Demsar's diagram: the better half of the names to the left, the other to the right, bars over what is level."""
    n = len(ranks)
    ax.set(xlim=(-0.35 * n, 1.35 * n + 1), ylim=(height, 0))
    ax.axis("off")
    title = f"Mean ranks over {len(scores.problems)} problems; bars join what does not differ (Wilcoxon, Holm, {LEVEL})"
    ax.set_title(title, fontsize=10, loc="left")
    ax.plot([1, n], [0.4, 0.4], color="black", linewidth=1)
    for rank in range(1, n + 1):
        ax.plot([rank, rank], [0.32, 0.4], color="black", linewidth=1)
        ax.text(rank, 0.28, str(rank), ha="center", va="bottom", fontsize=8)
    first = 0.75 + GAP * len(bars)
    for k, members in enumerate(bars):
        low, high = ranks[members].min(), ranks[members].max()
        ax.plot([low - 0.04, high + 0.04], [0.6 + GAP * k] * 2, color="#D55E00", linewidth=3, solid_capstyle="round")
    order = np.argsort(ranks, kind="stable")
    left, right = order[: (n + 1) // 2], order[(n + 1) // 2 :][::-1]
    for side, members, align in ((0.8, left, "right"), (n + 0.2, right, "left")):
        for k, at in enumerate(members):
            y = first + LINE * k
            ax.plot([ranks[at], ranks[at], side], [0.4, y, y], color="0.45", linewidth=0.8)
            ax.text(side, y, f" {scores.contenders[at]} {ranks[at]:.2f} ", ha=align, va="center", fontsize=9)


def _accuracy_against_seconds(ax: Any, scores: Scores) -> None:
    seconds = (scores.costs["fit_cpu_s"] + scores.costs["predict_cpu_s"]).mean(axis=0)
    accuracy = scores.accuracy.mean(axis=0)
    for k in range(len(accuracy)):
        colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
        filled = colour if k < len(COLOURS) else "none"
        ax.scatter(seconds[k], accuracy[k], s=70, marker=marker, facecolor=filled, edgecolor=colour)
    for k, height in _apart(np.log10(seconds), accuracy).items():
        label = {"xytext": (seconds[k] * 1.08, height), "va": "center", "fontsize": 8.5}
        ax.annotate(scores.contenders[k], (seconds[k], accuracy[k]), **label)
    ax.set(xscale="log", xlabel="CPU seconds a problem, fit and predict, mean", ylabel="mean accuracy")
    ax.set_title("Accuracy against seconds", fontsize=10, loc="left")
    ax.grid(True, which="major", color="0.88", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlim(seconds.min() / 1.5, seconds.max() * 4)


def _apart(x: np.ndarray, y: np.ndarray) -> dict[int, float]:
    """Heights of the names of points, from the top, so that none lies on another; x in decades."""
    least = max(float(np.ptp(y)), 1e-3) / 28
    heights: dict[int, float] = {}
    for k in np.argsort(-y, kind="stable"):
        near = [heights[i] for i in heights if abs(x[i] - x[k]) < 0.6]
        heights[int(k)] = min([float(y[k]), *(height - least for height in near if height - y[k] < least)])
    return heights
