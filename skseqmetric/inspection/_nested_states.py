"""The fractal embedding: final states in clusters within clusters, by the last words or by other labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from skseqmetric._input import as_array, positional
from skseqmetric._tensors.resolve import draw_seed
from skseqmetric.inspection._drawing import make_figure
from skseqmetric.inspection._hidden_states import final_estimator, hidden_states, mapped_by_default
from skseqmetric.inspection._models import named_estimators
from skseqmetric.inspection._nested_drawing import Panel, draw_panel, draw_words, panel_looks
from skseqmetric.inspection._nested_levels import levels_of_labels, levels_of_words
from skseqmetric.inspection._self_similarity import (
    SelfSimilarity,
    members_of,
    relative_spread,
    self_similarity,
)
from skseqmetric.inspection._state_map import RecurrentStateMap

_PANEL = (3.5, 3.6)  # inches
_LEGEND = 1.5  # inches


class NestedStates(NamedTuple):
    """Final states of one network: `points` (n, 2) in a map, `spread` (1 + D,), and `similarity`, a list.

    `spread` is the root mean square distance of the states from the mean of their cluster of depth 0 to D, relative to
    that of all. `similarity` has a SelfSimilarity for every two depths that can be compared.
    """

    points: np.ndarray
    spread: np.ndarray
    similarity: list[SelfSimilarity]


class NestedStatesDisplay:
    r"""Final states of recurrent networks in clusters within clusters: zoomed maps and their self-similarity.

    States with the same labels of the first d levels are a cluster of depth d. The levels are the last words that were
    read, the last one first, or other labels of the sequences, such as parts of their meaning. Panel 1 shows all final
    states by the first level, panel 2 zooms into one cluster and shows the second level, and so on. An embedding is
    fractal if two things hold at all depths:

    - Clusters get smaller. `spread[d]` is the root mean square distance of the states from the mean of their cluster of
      depth d, relative to that of all states from their mean. 1 means that the labels tell nothing.
    - Clusters are arranged alike. For a cluster p, let D_p be the distances between the means of its sub-clusters, one
      for each label. The similarity of two clusters is the rank correlation of D_p and D_q over their common labels.
      Its mean over the pairs of clusters of two depths, or of one, is 1 for equal arrangements. The p-value comes from
      labels that are shuffled among the sub-clusters of each cluster.

    Both are needed. A network that adds up its input arranges all words alike at all depths, and its clusters overlap.

    Parameters
    ----------
    networks : mapping from the name of a network to NestedStates
        M networks.
    codes : ndarray of shape (n, D) of int
        Labels of every sequence: positions in `words`, -1 for none.
    words : sequence of names
        What the codes stand for.
    levels : sequence of D names
        Of the columns of codes.
    method : str, default="UMAP"
        What placed the states.

    Attributes
    ----------
    axes_ : ndarray of matplotlib axes (M, D)
    figure_ : matplotlib figure
        Both set by `plot`.

    Notes
    -----
    Clusters with fewer than `min_states` states, and pairs of clusters with fewer than three common labels, are left
    out of the similarity. Distances are those between states and not those of the map.

    Cost: O(n H) for the measures, and a map of n states for each network.

    References
    ----------
    Variengien and Hinaut (2020), "A Journey in ESN and LSTM Visualisations on a Language Task", arXiv:2012.01748. They
    show the nested clusters; the measures are ours.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from skseqmetric import EchoStateRegressor
    >>> from skseqmetric.datasets import make_cross_situational
    >>> from skseqmetric.inspection import NestedStatesDisplay
    >>> corpus = make_cross_situational(4, random_state=0)
    >>> X, sentences = corpus.train.X[:200], corpus.train.sentences[:200]
    >>> network = EchoStateRegressor(20, bidirectional=False, pooling="last", random_state=0)
    >>> network = network.fit(X, corpus.train.y[:200])
    >>> display = NestedStatesDisplay.from_estimator(
    ...     network, X, step_names=sentences, leave_out=["END"], depth=2, reducer=PCA(2)
    ... )
    >>> display.axes_.shape
    (1, 2)
    """

    def __init__(
        self, *, networks: Mapping[str, NestedStates], codes: np.ndarray, words: Any, levels: Any, method: str = "UMAP"
    ) -> None:
        self.networks = networks
        self.codes = codes
        self.words = words
        self.levels = levels
        self.method = method

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, state_options: Mapping[str, Any] | None = None, **options: Any
    ) -> Self:
        """Collect the final states of one network, measure them, and plot.

        Parameters
        ----------
        estimator : fitted estimator with `hidden_states`
            A recurrent network, also in a Pipeline or a grid search.
        X : n sequences
            What the network reads.
        state_options : mapping or None, default=None
            For the estimator's `hidden_states`. None: {"kind": "cell"} for an LSTM, as in the paper.
        **options
            As in `from_estimators`, `step_names` or `levels` among them.

        Returns
        -------
        display : NestedStatesDisplay
        """
        name = type(estimator).__name__
        states = None if state_options is None else {name: state_options}
        return cls.from_estimators({name: estimator}, X, state_options=states, **options)

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        X: Any,
        *,
        step_names: Any = None,
        depth: int = 3,
        leave_out: Any = (),
        levels: Mapping[str, Any] | None = None,
        reducer: Any = None,
        min_states: int = 3,
        n_permutations: int = 199,
        random_state: Any = 42,
        state_options: Mapping[str, Mapping[str, Any]] | None = None,
        path: Any = None,
        figure: Any = None,
    ) -> Self:
        """Collect the final states of networks, measure them, and plot.

        Parameters
        ----------
        estimators : mapping from names to fitted estimators, or sequence of fitted estimators
            Networks with `hidden_states`, also in a Pipeline or a grid search. Without names they are called by their
            classes.
        X : n sequences
            What every network reads.
        step_names : list of n sequences of T_i names, or None, default=None
            The word, or another label, of every step. The levels are the last words.
        depth : int, default=3
            Number D of last words, and of panels.
        leave_out : sequence of names, default=()
            Steps with these names do not count as words, such as "END", or all words without content.
        levels : mapping from the names of D levels to n labels each, or None, default=None
            Other levels than the last words, the outermost first: one label for every sequence, None or NaN for none.
        reducer : object with `fit_transform`, or None, default=None
            Places the final states in the plane, as in `RecurrentStateMap`. None: UMAP.
        min_states : int, default=3
            Least number of states in a sub-cluster whose place counts.
        n_permutations : int, default=199
            Number of shuffles for the p-values.
        random_state : int, RandomState, Generator or None, default=42
            Of the shuffles and of the default reducer.
        state_options : mapping from the name of a network to options of its `hidden_states`, or None, default=None
            A network without options takes {"kind": "cell"} if it is an LSTM, as in the paper.
        path : sequence of names or None, default=None
            As in `plot`.
        figure : matplotlib figure or subfigure, default=None
            As in `plot`.

        Returns
        -------
        display : NestedStatesDisplay

        Raises
        ------
        ValueError
            If neither or both of `step_names` and `levels` are given, if a step has no name, if no sequence has a label
            of every level, or if a number is below 1.
        """
        _check_counts(depth=depth, min_states=min_states, n_permutations=n_permutations)
        if (step_names is None) == (levels is None):
            raise ValueError("Pass step_names for levels by the last words, or levels, and not both.")
        seed, networks = draw_seed(random_state), {}
        for name, estimator in named_estimators(estimators).items():
            network, inputs = final_estimator(estimator, X)
            options = (state_options or {}).get(name, mapped_by_default(network))
            run = hidden_states(network, inputs, initial=False, **options)
            if levels is None:
                nesting = levels_of_words(step_names, [int(read[-1]) for read in run.steps], leave_out, depth)
            else:
                nesting = levels_of_labels(levels, len(run.steps))
            final = np.stack([own[-1] for own in run.states]).astype(np.float64)
            mapped = RecurrentStateMap(reducer, random_state=seed)
            drawn = np.random.default_rng(seed)
            similarity = self_similarity(
                final, nesting.codes, min_states=min_states, n_permutations=n_permutations, rng=drawn
            )
            networks[name] = NestedStates(
                mapped.fit_transform(final), relative_spread(final, nesting.codes), similarity
            )
        display = cls(networks=networks, **nesting._asdict(), method=type(mapped.reducer_).__name__)
        return display.plot(path, figure=figure)

    # ------------------------------------------------------------------------------------------------ numbers

    def to_frame(self) -> Any:
        """Return the measures as a table.

        Returns
        -------
        frame : pandas DataFrame
            A row for every network and two depths: "network", "depths", "correlation", "p_value", "n_pairs", and
            "spread" of the clusters that the second depth shows.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("A data frame needs pandas: pip install pandas.") from error
        rows = [
            {"network": name, **own._asdict(), "spread": found.spread[own.depths[1]]}
            for name, found in self.networks.items()
            for own in found.similarity
        ]
        return pd.DataFrame(rows)

    # ------------------------------------------------------------------------------------------------ drawing

    def plot(self, path: Any = None, *, figure: Any = None) -> Self:
        """Draw a row of zoomed maps for every network.

        Parameters
        ----------
        path : sequence of up to D - 1 names or None, default=None
            A label of the first level, one of the second, and so on: the clusters to zoom into. None, or a path that is
            too short: at every depth the cluster with the most sub-clusters, and of these the one with the most states.
        figure : matplotlib figure or subfigure, default=None
            Drawn into; otherwise a new one of fitting size.

        Returns
        -------
        self
        """
        codes = as_array(self.codes, "codes")
        chosen, n = self._path(codes, path), len(self.networks)
        size = codes.shape[1] * _PANEL[0] + _LEGEND, n * _PANEL[1] + 0.4
        self.figure_ = make_figure(size) if figure is None else figure
        self.axes_ = self.figure_.subplots(n, codes.shape[1], squeeze=False)
        looks = panel_looks(np.unique(codes[codes >= 0]))
        for (name, found), row in zip(self.networks.items(), self.axes_, strict=True):
            for d, ax in enumerate(row):
                within = [(codes[:, :k] == chosen[:k]).all(axis=1) for k in range(len(row))]
                outline = within[d + 1] if d + 1 < len(row) else None
                draw_panel(ax, Panel(found.points, codes[:, d], within[d], outline), looks)
                ax.set_title(self._title(name, chosen[:d]), fontsize="medium")
                ax.set_xlabel(_measures(found, d + 1), fontsize="small")
            row[0].set_ylabel(f"map by {self.method}", fontsize="small")
        draw_words(self.figure_, looks, self._names)
        return self

    @property
    def _names(self) -> list[str]:
        return [str(word) for word in positional(self.words, "words")]

    def _title(self, network: str, chosen: list[int]) -> str:
        level = str(positional(self.levels, "levels")[len(chosen)])
        inside = ", ".join(self._names[code] for code in chosen)
        return f"in “{inside}”: by {level}" if chosen else f"{network}: by {level}"

    def _path(self, codes: np.ndarray, path: Any) -> list[int]:
        """Return the codes of the last D - 1 words to zoom into."""
        given = [] if path is None else [str(word) for word in positional(path, "path", "Pass a list of names.")]
        chosen: list[int] = []
        for d in range(codes.shape[1] - 1):
            inside = codes[(codes[:, :d] == chosen).all(axis=1)] if d else codes
            if d < len(given):
                names = self._names
                code = names.index(given[d]) if given[d] in names else -1
                if code not in inside[:, d][inside[:, d] >= 0]:
                    raise ValueError(f"path[{d}] is {given[d]!r}, but no sequence has the labels {given[: d + 1]}.")
                chosen.append(code)
            else:
                chosen.append(_richest(inside, d))
        return chosen


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name}={value!r} must be a whole number of at least 1.")


def _richest(codes: np.ndarray, d: int) -> int:
    """Return the code of level d with the most different codes of the next level, then with the most states."""
    best = (-1, -1, -1)
    for members in members_of(codes[:, d : d + 1]):
        within = codes[members, d + 1]
        best = max(best, (len(np.unique(within[within >= 0])), len(members), -int(codes[members[0], d])))
    return -best[2]


def _measures(found: NestedStates, depth: int) -> str:
    """Say how large the clusters of a panel are, and how alike the arrangements at its depth and before are."""
    lines = [f"spread within a colour: {found.spread[depth]:.2f}"]
    for own in found.similarity:
        if own.depths[1] == depth and depth - own.depths[0] <= 1 and own.n_pairs:
            which = "as in the panel before" if own.depths[0] < depth else "alike in all such clusters"
            lines.append(f"arranged {which}: ρ = {own.correlation:.2f} (p = {own.p_value:.3f})")
    return "\n".join(lines)
