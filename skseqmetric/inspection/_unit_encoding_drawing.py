"""Drawing of what units encode: bars of factors, points of units, rows of outputs; networks side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skseqmetric.inspection._drawing import COLOURS, MARKERS

_NETWORKS = (COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3], COLOURS[5])
_GROUPS = (COLOURS[2], COLOURS[3], COLOURS[5], COLOURS[4])  # not those of the first two networks
_HATCHES = ("", "///", "...", "xxx")
_REST = "#999999"
_ROW = 0.27  # inches of a row
_AROUND = 1.6  # inches of title, axis and legend


def network_colour(k: int) -> str:
    """Return the colour of network k; it can be told from others on white and on black."""
    return _NETWORKS[k % len(_NETWORKS)]


def draw_factors(
    ax: Any,
    shares: Mapping[str, Mapping[str, float]],
    sums: Mapping[str, Mapping[str, float]],
    groups: Mapping[str, str],
    of: str,
    resize: bool,
) -> None:
    """Draw a bar for every network in the row of every factor and group."""
    rows = _rows(shares, sums, groups)
    n_networks = len(shares)
    if resize:
        ax.figure.set_size_inches(9, _AROUND + _ROW * len(rows) * max(1.0, 0.75 * n_networks))
    height = 0.8 / n_networks
    for k, network in enumerate(shares):
        at = np.arange(len(rows)) + (k - (n_networks - 1) / 2) * height
        values = np.array([100 * own[network] for _, own, _ in rows])
        ax.barh(at, values, 0.9 * height, color=network_colour(k), label=network)
        for y, value in zip(at, values, strict=True):
            ax.text(max(value, 0) + 0.8, y, f"{round(value)}", va="center", fontsize="x-small")
    ax.set_yticks(np.arange(len(rows)), [name for name, _, _ in rows])
    for label, (_, _, is_sum) in zip(ax.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if is_sum else "normal")
    ax.set(ylim=(len(rows) - 0.4, -0.6), xlabel="share of the variance of a unit (%)")
    ax.set_title(f"What the units encode{of}")
    ax.margins(x=0.08)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))


def _rows(shares: Any, sums: Any, groups: Mapping[str, str]) -> list[tuple[str, dict[str, float], bool]]:
    """Return name, shares by network, and whether it is a sum, for every row from above."""
    rows = []
    *names, rest = next(iter(sums.values()))
    for group in names:
        rows.append((f"{group}, together", {network: own[group] for network, own in sums.items()}, True))
        members = [factor for factor, own in groups.items() if own == group]
        rows += [(factor, {network: own[factor] for network, own in shares.items()}, False) for factor in members]
    return [*rows, (rest, {network: own[rest] for network, own in sums.items()}, True)]


def draw_units(ax: Any, shares: Mapping[str, np.ndarray], groups: tuple[str, str]) -> None:
    """Draw a point for every unit: its shares (H, 2 or more) of the first two groups."""
    ax.plot([0, 100], [100, 0], color=_REST, lw=1, ls=":", zorder=1)
    ax.annotate("all explained", (50, 50), (4, 4), textcoords="offset points", fontsize="small")
    for k, (network, own) in enumerate(shares.items()):
        known = own[~np.isnan(own).any(axis=1)]
        area = float(np.clip(4000 / len(known), 14, 60))
        look = {"color": network_colour(k), "marker": MARKERS[k % len(MARKERS)], "alpha": 0.75}
        ax.scatter(*(100 * known[:, :2].T), s=area, linewidths=0, zorder=2 + 1 / len(known), **look)
        middle = 100 * known[:, :2].mean(axis=0)
        label = f"{network}: {len(known)} units"
        edge = {"edgecolors": "white", "linewidths": 1.5}
        ax.scatter(*middle, s=190, zorder=4, label=label, **{**look, "alpha": 1.0}, **edge)
    ax.set(xlabel=f"share of {groups[0]} (%)", ylabel=f"share of {groups[1]} (%)", aspect="equal")
    ax.set(xlim=(-4, 100), ylim=(-4, 100), title="What every unit encodes (large: the mean)")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper right")


def draw_readout(ax: Any, numbers: Mapping[str, tuple[np.ndarray, int]], names: list[str], resize: bool) -> None:
    """Draw for every output how many units it reads, in % of the H units of each network."""
    if resize:
        ax.figure.set_size_inches(7.5, _AROUND + _ROW * len(names))
    for k, (network, (counts, n_units)) in enumerate(numbers.items()):
        label = f"{network}: {np.median(counts):.0f} of {n_units} units"
        look = {"color": network_colour(k), "marker": MARKERS[k % len(MARKERS)]}
        ax.plot(100 * counts / n_units, np.arange(len(counts)), ls="", ms=7, label=label, **look)
    ax.set_yticks(np.arange(len(names)), names)
    ax.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 103), xlabel="units that an output reads (% of the network)")
    ax.set_title("How many units an output reads")
    ax.grid(axis="y", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, title="median over the outputs", loc="upper left", bbox_to_anchor=(1.01, 1))


def draw_output(
    ax: Any,
    parts: Mapping[str, tuple[np.ndarray, np.ndarray]],
    groups: list[str],
    name: str,
    n_units: int,
    resize: bool,
) -> None:
    """Draw the units that contribute most to an output, each bar divided by what the unit encodes.

    `parts` has contributions (H,) and shares of the groups (H, G) for each network.
    """
    if resize:
        ax.figure.set_size_inches(max(7.0, 2.5 + 0.34 * n_units * len(parts)), 4.6)
    start, ticks, labels = 0, list[int](), list[str]()
    for network, (contributions, shares) in parts.items():
        chosen = np.argsort(-contributions, kind="stable")[:n_units]
        at = start + np.arange(len(chosen))
        _draw_stack(ax, at, 100 * contributions[chosen], np.nan_to_num(shares[chosen]), groups if not start else None)
        total = 100 * contributions[chosen].sum()
        of = f"{network}\n{len(chosen)} of {len(contributions)} units have {total:.0f} %"
        ax.text(at.mean(), 1.0, of, transform=ax.get_xaxis_transform(), ha="center", va="bottom", fontsize="small")
        ticks, labels, start = [*ticks, *at], [*labels, *map(str, chosen)], at[-1] + 3
    ax.set_xticks(ticks, labels, fontsize="small", rotation=90 if n_units * len(parts) > 24 else 0)
    ax.set(xlabel="unit", ylabel="part of |weight| × deviation (%)")
    ax.set_title(f"Units that '{name}' reads most, and what they encode", pad=34)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))


def _draw_stack(ax: Any, at: np.ndarray, heights: np.ndarray, shares: np.ndarray, labels: list[str] | None) -> None:
    bottom = np.zeros(len(at))
    for g, share in enumerate(np.clip(shares, 0, 1).T):
        own = np.minimum(heights * share, heights - bottom)
        look = {"color": _GROUPS[g % len(_GROUPS)], "hatch": _HATCHES[g % len(_HATCHES)], "edgecolor": "white", "lw": 0}
        ax.bar(at, own, bottom=bottom, label=labels[g] if labels else None, **look)
        bottom = bottom + own
    rest = {"facecolor": "none", "edgecolor": _REST, "lw": 0.9}
    ax.bar(at, heights - bottom, bottom=bottom, label="unexplained" if labels else None, **rest)
