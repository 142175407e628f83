"""Pairs a second against the number of references, ours and the peers', as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Result

# Okabe and Ito's palette, distinct for every kind of colour vision; markers and dashes tell the lines apart in grey
STYLES = {
    "embedding, compiled": ("No coupling: the embedding alone", "#009E73", "o", "-"),
    "re-rank, compiled": ("Coupled, re-ranked, compiled", "#D55E00", "s", "-"),
    "re-rank, eager": ("Coupled, re-ranked, torch alone", "#D55E00", "s", ":"),
    "exact, compiled": ("Coupled, exact, compiled", "#0072B2", "D", "-"),
    "exact, eager": ("Coupled, exact, torch alone", "#0072B2", "D", ":"),
    "DTWMetric kNN": ("DTWMetric (DTW, pruned search)", "#56B4E9", "P", "-."),
    "dtaidistance": ("dtaidistance (DTW, C)", "#CC79A7", "v", "--"),
    "aeon": ("aeon (DTW, numba)", "#E69F00", "^", "--"),
    "tslearn": ("tslearn (DTW, numba)", "#000000", "x", "--"),
}


def lines(results: Sequence[Result], numbers: Sequence[int]) -> dict[str, tuple[list[int], list[float]]]:
    """Of every contender the numbers of references it was measured at, and its pairs a second there."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for result, n in zip(results, numbers, strict=True):
        for timing in result.timings:
            if timing.per_second is not None:
                xs, ys = found.setdefault(timing.name, ([], []))
                xs.append(n)
                ys.append(timing.per_second)
    return found


def draw(results: Sequence[Result], numbers: Sequence[int], subtitle: str, path: Path) -> None:
    """Write the picture of `scaling.against_references`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    found = lines(results, numbers)
    if not any(name.endswith("compiled") for name in found):
        found["embedding, compiled"] = found.get("embedding, eager", ([], []))
    figure, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
    for name, (label, colour, marker, dashes) in STYLES.items():
        if name in found:
            xs, ys = found[name]
            ax.plot(xs, ys, color=colour, marker=marker, linestyle=dashes, linewidth=1.8, markersize=5, label=label)
    ax.set(xscale="log", yscale="log", xlabel="references n", ylabel="query-reference pairs covered per second")
    ax.set_title(f"1-NN search, {subtitle}", fontsize=10, loc="left")
    ax.grid(True, which="major", color="0.85", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
