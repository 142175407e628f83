"""One-shot trials above, ROC-AUC below, a panel a problem: every seed a dot, the mean a bar."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.unseen.report import FIGURES, Columns, one_shot, ordered

# Okabe and Ito's palette: what learns nothing of classes, what is pooled or gated, what matches states
COLOURS = {"raw": "#999999", "other": "#0072B2", "alignment": "#D55E00"}
RAW = ("Euclid", "DTW", "Chamfer", "random convolutions")


def draw(document: Mapping[str, Any], path: Path) -> None:
    """Write the picture of a summary as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    of_problems = ordered(document)
    names = list(dict.fromkeys(name for found in of_problems.values() for name in found))
    size = (2.6 + 2.3 * len(of_problems), 1.4 + 2 * 0.24 * len(names))
    figure, axes = plt.subplots(2, len(of_problems), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for column, (problem, found) in zip(axes.T, of_problems.items(), strict=True):
        for ax, key in zip(column, (one_shot(found), "auc"), strict=True):
            _panel(ax, names, found, key)
        column[0].set_title(problem, fontsize=10)
    axes[0, 0].invert_yaxis()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _panel(ax: Any, names: list[str], found: Mapping[str, Columns], key: str) -> None:
    for place, name in enumerate(names):
        values = np.array(found.get(name, {}).get(key, []), dtype=np.float64)
        if len(values):
            colour = COLOURS[_kind(name)]
            ax.plot([values.mean()] * 2, [place - 0.35, place + 0.35], color=colour, linewidth=2.5)
            ax.scatter(values, np.full(len(values), place), s=14, color=colour, alpha=0.6, linewidths=0)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.tick_params(axis="x", labelsize=8)
    ax.set_xlabel(f"{FIGURES[key]}{'' if key == 'auc' else ' one-shot'} (%)", fontsize=8)
    ax.grid(True, axis="x", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _kind(name: str) -> str:
    if name in RAW:
        return "raw"
    return "alignment" if "alignment" in name or name == "MetricEnsemble" else "other"
