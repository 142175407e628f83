"""States of an untrained network for a grid of two parameters: a small map and its measures for every setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple, Self

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone

from skseqmetric.inspection._drawing import make_figure, style
from skseqmetric.inspection._hidden_states import hidden_states
from skseqmetric.inspection._state_drawing import dark_viridis, in_order
from skseqmetric.inspection._state_map import RecurrentStateMap
from skseqmetric.inspection._unit_analyses import check_step_categories, relative_time

SPECTRAL_RADIUS_BY_LEAK = {"spectral_radius": (0.5, 0.9, 1.3, 1.7), "leak": (0.05, 0.2, 0.5, 1.0)}
_N_PARTS = 5  # of a sequence, the default labels
_CELL = (2.3, 2.6)  # inches of a map and the text around it
_MARGIN = (2.0, 1.0)  # inches for the legend and for the title


class StatePanel(NamedTuple):
    """One setting: its parameters, a map of its states, and the measures of this map.

    `points` are n arrays (S_i, 2), `labels` n arrays (S_i,). `trustworthiness` and `purity` are at best 1; the chance
    level of the purity is the sum of the squared shares of the labels. `n_islands` counts HDBSCAN's clusters.
    """

    params: dict[str, Any]
    points: list[np.ndarray]
    labels: list[np.ndarray]
    trustworthiness: float
    n_islands: int
    purity: float


class HyperparameterPanels:
    """A grid of small state maps, one for every setting of two parameters of a network before any training.

    Parameters
    ----------
    panels : list of StatePanel
        One for every pair of values of two parameters; the second parameter changes faster. `from_estimator`
        makes them.
    label_name : str, default="place"
        Title of the legend. Labels of dtype float get colours along a scale, others one colour per category.
    n_neighbors : int, default=10
        Number of neighbours for trustworthiness and purity.

    Attributes
    ----------
    axes_ : ndarray of matplotlib axes (rows, columns)
    figure_ : matplotlib figure
        Both set by `plot`.

    References
    ----------
    Variengien and Hinaut (2020), "A Journey in ESN and LSTM Visualisations on a Language Task", arXiv:2012.01748.
    """

    def __init__(self, panels: list[StatePanel], *, label_name: str = "place", n_neighbors: int = 10) -> None:
        self.panels = panels
        self.label_name = label_name
        self.n_neighbors = n_neighbors

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        param_grid: Mapping[str, Sequence[Any]] | None = None,
        labels: Any = None,
        label_name: str | None = None,
        reducer: Any = None,
        random_state: Any = 42,
        n_neighbors: int = 10,
        n_jobs: int | None = None,
    ) -> Self:
        """Run the sequences through a fresh network for every setting, map its states, and plot.

        Parameters
        ----------
        estimator : estimator with `hidden_states`
            A network whose states do not depend on training, such as an echo state network. For every setting, a copy
            draws its weights in `fit_reservoir(X)`, or in `fit(X)` without such a method. With an integer
            `random_state` only the two parameters differ. With bidirectional=False a state knows only earlier steps.
        X : n sequences
            What every network reads.
        param_grid : mapping of two parameter names to their values, or None, default=None
            Rows and columns. None: spectral_radius (0.5, 0.9, 1.3, 1.7) x leak (0.05, 0.2, 0.5, 1).
        labels : list of n arrays (T_i,) or None, default=None
            A label of every step, such as its clause. None: relative time, in fifths.
        label_name : str or None, default=None
            Title of the legend. None: "place", or "relative time (%)".
        reducer : object with `fit_transform`, or None, default=None
            As in `RecurrentStateMap`; every map has a copy of its own.
        random_state : default=42
            Of the default reducer.
        n_neighbors : int, default=10
            Of trustworthiness and purity.
        n_jobs : int or None, default=None
            Number of settings that run at the same time, as in joblib. None: one.

        Returns
        -------
        panels : HyperparameterPanels

        Raises
        ------
        ValueError
            If the grid does not have two parameters, or a step has no label.

        Notes
        -----
        Cost of each setting: one run of the network, one fit of the map, and O(m^2 H) for the trustworthiness of m
        distinct states.
        """
        grid = SPECTRAL_RADIUS_BY_LEAK if param_grid is None else dict(param_grid)
        if len(grid) != 2 or not all(len(values) for values in grid.values()):
            raise ValueError(
                f"param_grid={grid!r} must give two parameters, rows and columns, at least one value each."
            )
        settings = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
        networks = [clone(estimator).set_params(**params) for params in settings]
        maps = [RecurrentStateMap(reducer, random_state=random_state) for _ in settings]
        run = delayed(_panel)
        jobs = (run(*setting, X, labels, n_neighbors) for setting in zip(networks, maps, settings, strict=True))
        panels = list(Parallel(n_jobs=n_jobs)(jobs))
        if label_name is None:
            label_name = "relative time (%)" if labels is None else "place"
        return cls(panels, label_name=label_name, n_neighbors=n_neighbors).plot()

    def to_frame(self) -> Any:
        """Return the measures of every panel as a table.

        Returns
        -------
        frame : pandas DataFrame
            A row for every setting: its two parameters, trustworthiness, n_islands, purity.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("A data frame needs pandas: pip install pandas.") from error
        numbers = ("trustworthiness", "n_islands", "purity")
        return pd.DataFrame([{**p.params, **{name: getattr(p, name) for name in numbers}} for p in self.panels])

    # ------------------------------------------------------------------------------------------------ drawing

    def plot(self, *, figure: Any = None) -> Self:
        """Draw the maps, their measures below them, and one legend.

        Parameters
        ----------
        figure : matplotlib figure or subfigure, default=None
            Drawn into; otherwise a new one of fitting size.

        Returns
        -------
        self
        """
        columns = len({repr(list(panel.params.values())[1]) for panel in self.panels})
        rows = len(self.panels) // columns
        size = columns * _CELL[0] + _MARGIN[0], rows * _CELL[1] + _MARGIN[1]
        self.figure_ = make_figure(size) if figure is None else figure
        self.axes_ = self.figure_.subplots(rows, columns, squeeze=False)
        looks = _looks(self.panels)
        for panel, ax in zip(self.panels, self.axes_.flat, strict=True):
            _draw_panel(ax, panel, looks)
        for panel, ax in zip(self.panels[:columns], self.axes_[0], strict=True):
            ax.set_title(_setting(panel, 1), fontsize="medium")
        for panel, ax in zip(self.panels[::columns], self.axes_[:, 0], strict=True):
            ax.set_ylabel(_setting(panel, 0))
        self._finish(looks)
        return self

    def _finish(self, looks: dict[Any, dict[str, Any]]) -> None:
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], ls="", ms=7, label=_text(label), **look) for label, look in looks.items()]
        place = {"loc": "outside right center", "frameon": False, "alignment": "left"}
        self.figure_.legend(handles=handles, title=self.label_name, **place)
        counts = np.unique(np.concatenate(self.panels[0].labels), return_counts=True)[1]
        chance = np.sum(np.square(counts / counts.sum()))
        self.figure_.suptitle("States of the untrained network, a map for every setting", fontsize="large")
        self.figure_.supxlabel(
            f"T: trustworthiness of the map.  islands: clusters that HDBSCAN finds.\npurity: share of the "
            f"{self.n_neighbors} nearest neighbours with the same label (about {chance:.2f} by chance).",
            fontsize="small",
        )


def _panel(
    network: Any, mapped: RecurrentStateMap, params: dict[str, Any], X: Any, labels: Any, n_neighbors: int
) -> StatePanel:
    draw = getattr(network, "fit_reservoir", network.fit)
    run = hidden_states(draw(X), X, initial=False)
    lengths = [int(read[-1]) for read in run.steps]
    if labels is None:
        labels = [relative_time(length, _N_PARTS) for length in lengths]
    labels = check_step_categories(labels, lengths, "labels")
    own = [label[read - 1] for label, read in zip(labels, run.steps, strict=True)]
    points = mapped.fit_transform(run.states)
    trust = mapped.trustworthiness(run.states, n_neighbors=n_neighbors)
    purity = mapped.purity(run.states, own, n_neighbors=n_neighbors)
    return StatePanel(params, points, own, trust, mapped.n_islands(), purity)


def _looks(panels: list[StatePanel]) -> dict[Any, dict[str, Any]]:
    """Return colour and marker of every label, in the order of the legend."""
    every = np.concatenate([label for panel in panels for label in panel.labels])
    labels = in_order(every)
    if every.dtype.kind != "f":
        return {label: style(k) for k, label in enumerate(labels)}
    from matplotlib.colors import to_hex

    colours = dark_viridis()(np.linspace(0, 1, len(labels)))
    return {label: {"color": to_hex(colour), "marker": "o"} for label, colour in zip(labels, colours, strict=True)}


def _draw_panel(ax: Any, panel: StatePanel, looks: dict[Any, dict[str, Any]]) -> None:
    points, labels = np.concatenate(panel.points), np.concatenate(panel.labels)
    area = float(np.clip(6000 / len(points), 2, 12))
    members = {label: labels == label for label in looks}
    for label in sorted(looks, key=lambda label: -members[label].sum()):  # rare ones on top
        ax.scatter(*points[members[label]].T, s=area, linewidths=0, **looks[label])
    ax.set_aspect("equal", adjustable="datalim")
    ax.set(xticks=[], yticks=[])
    ax.margins(0.05)
    islands = "1 island" if panel.n_islands == 1 else f"{panel.n_islands} islands"
    ax.set_xlabel(f"T {panel.trustworthiness:.2f},  {islands}\npurity {panel.purity:.2f}", fontsize="medium")


def _setting(panel: StatePanel, k: int) -> str:
    name, value = list(panel.params.items())[k]
    return f"{name} = {_text(value)}"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
