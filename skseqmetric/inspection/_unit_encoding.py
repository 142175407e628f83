"""What the units of recurrent networks encode, and which units their outputs read: networks side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from skseqmetric._input import as_array
from skseqmetric._tensors.resolve import draw_seed
from skseqmetric.inspection._drawing import make_axes
from skseqmetric.inspection._hidden_states import final_estimator, hidden_states
from skseqmetric.inspection._models import named_estimators
from skseqmetric.inspection._sequence_factors import codes_at_states, names_of_factors
from skseqmetric.inspection._state_outputs import names_of
from skseqmetric.inspection._unit_activity import weights_of_units
from skseqmetric.inspection._unit_encoding_drawing import draw_factors, draw_output, draw_readout, draw_units
from skseqmetric.inspection._unit_shares import design, divided, effective_number, explained, folds_of

KINDS = ("factors", "units", "readout", "output")
UNEXPLAINED = "unexplained"


class UnitEncoding(NamedTuple):
    """What H units encode of F factors: `shares` and `alone` (H, F), `deviations` (H,), and `coef` (K, H) or None.

    A row of `shares` divides what all factors explain of the variance of a unit; `alone` is what each factor explains
    without the others. Both are NaN for a unit that does not vary. `deviations` are the standard deviations of the
    states, and `coef` the weights of the outputs.
    """

    shares: np.ndarray
    alone: np.ndarray
    deviations: np.ndarray
    coef: np.ndarray | None


class UnitEncodingDisplay:
    r"""Which factors of the sequences the units of networks encode, and which units an output reads.

    A linear model explains the state x_u of a unit by labels of the steps, such as the clause or the last object. It is
    fitted to some sequences and tried on others. A set S of factors explains the share of the variance

    .. math:: R^2_u(S) = 1 - \frac{\sum (x_u - \hat x_u(S))^2}{\sum (x_u - \hat x_u(\emptyset))^2}

    Related factors explain the same variance. The share of a factor f is what it adds to the factors before it,
    averaged over all orders of the F factors:

    .. math:: s_{uf} = \sum_{S \not\ni f} \frac{|S|! \, (F - |S| - 1)!}{F!} \left(R^2_u(S \cup f) - R^2_u(S)\right)

    The shares of a unit add up to what all factors explain together, at most 1. A share below 0 is noise. The same
    numbers come from every network, so that an echo state network and an LSTM can be compared.

    Parameters
    ----------
    encodings : mapping from the name of a network to UnitEncoding
        M networks.
    factors : mapping from the name of a factor to the name of its group
        Names of the F columns of the shares.
    output_names : sequence of K names or None, default=None
        None: numbers.

    Attributes
    ----------
    ax_, figure_ : matplotlib objects
        Set by `plot`.

    Notes
    -----
    Cost: O(2^F P^2 (P + H) n_splits) for factors with P different labels, and the states of all sequences in memory.

    A share is about single units. A network may hold a factor in a pattern of many units, each of which has a small
    share of it.

    References
    ----------
    Variengien and Hinaut (2020), "A Journey in ESN and LSTM Visualisations on a Language Task", arXiv:2012.01748. They
    look at the weights and the activity of units; the shares are ours.

    Lindeman, Merenda and Gold (1980), "Introduction to Bivariate and Multivariate Analysis": the average over all
    orders.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import EchoStateRegressor
    >>> from skseqmetric.datasets import make_cross_situational, sentence_factors
    >>> from skseqmetric.inspection import UnitEncodingDisplay
    >>> corpus = make_cross_situational(4, random_state=0)
    >>> X, sentences = corpus.train.X[:100], corpus.train.sentences[:100]
    >>> network = EchoStateRegressor(20, bidirectional=False, pooling="last", random_state=0)
    >>> network.fit(X, corpus.train.y[:100])  # doctest: +ELLIPSIS
    EchoStateRegressor(...)
    >>> display = UnitEncodingDisplay.from_estimator(network, X, factors=sentence_factors(sentences))
    >>> list(display.group_shares()["EchoStateRegressor"])
    ['structure', 'content', 'unexplained']
    """

    def __init__(
        self, *, encodings: Mapping[str, UnitEncoding], factors: Mapping[str, str], output_names: Any = None
    ) -> None:
        self.encodings = encodings
        self.factors = factors
        self.output_names = output_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        factors: Mapping[str, Mapping[str, Any]],
        kind: str = "factors",
        coef: Any = None,
        state_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Explain the units of one network, and plot.

        Parameters
        ----------
        estimator : fitted estimator with `hidden_states`
            An echo state network or a trained recurrent one, also in a Pipeline or a grid search.
        X : n sequences
            What the network reads.
        factors : mapping of mappings
            As in `from_estimators`.
        kind : str, default="factors"
            As in `plot`.
        coef : array-like of shape (K, H) or None, default=None
            Weights of the outputs. None: the estimator's `coef_`, if it has one column per unit.
        state_options : mapping or None, default=None
            For the estimator's `hidden_states`, such as {"kind": "cell"} for an LSTM.
        **options
            As in `from_estimators`.

        Returns
        -------
        display : UnitEncodingDisplay
        """
        name = type(estimator).__name__
        own = {} if coef is None else {name: coef}
        states = None if state_options is None else {name: state_options}
        return cls.from_estimators(
            {name: estimator}, X, factors=factors, kind=kind, coef=own, state_options=states, **options
        )

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        X: Any,
        *,
        factors: Mapping[str, Mapping[str, Any]],
        kind: str = "factors",
        final: bool = False,
        coef: Mapping[str, Any] | None = None,
        output_names: Any = None,
        state_options: Mapping[str, Mapping[str, Any]] | None = None,
        n_splits: int = 5,
        random_state: Any = 0,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Run the sequences through networks, explain their units by the same factors, and plot.

        Parameters
        ----------
        estimators : mapping from names to fitted estimators, or sequence of fitted estimators
            Networks with `hidden_states`, such as an echo state network and an LSTM, also in a Pipeline or a grid
            search. Without names they are called by their classes.
        X : n sequences
            What every network reads.
        factors : mapping from a group to a mapping from the name of a factor to its labels
            At most ten factors. The labels are a list of n arrays (T_i,), one label for every step, or n labels of
            whole sequences. None or NaN is no label: such a step says nothing about this factor.
            `skseqmetric.datasets.sentence_factors` makes the factors of sentences.
        kind : str, default="factors"
            As in `plot`.
        final : bool, default=False
            Explain the last state of every sequence alone, and not the states after all steps.
        coef : mapping from the name of a network to array-like of shape (K, H), or None, default=None
            Weights of the outputs. None: the `coef_` of a network, if it has one column per unit.
        output_names : sequence of K names or None, default=None
            None: numbers.
        state_options : mapping from the name of a network to options of its `hidden_states`, or None, default=None
            The head of an LSTM reads its hidden state h, which is the default; {"LSTM": {"kind": "cell"}} explains c.
        n_splits : int, default=5
            Number of parts of the sequences. Models fitted to the others are tried on each of them.
        random_state : int, RandomState, Generator or None, default=0
            Of the parts.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.
        **options
            As in `plot`.

        Returns
        -------
        display : UnitEncodingDisplay

        Raises
        ------
        ValueError
            If a step has no label where it needs one, if labels are of different types, if there are too few sequences,
            if no unit of a network varies, or if `coef` does not have one weight for every unit and output.
        """
        groups = names_of_factors(factors)
        seed, encodings = draw_seed(random_state), {}
        for name, estimator in named_estimators(estimators).items():
            network, inputs = final_estimator(estimator, X)
            run = hidden_states(network, inputs, initial=False, **(state_options or {}).get(name, {}))
            fold = folds_of(len(run.states), n_splits, np.random.default_rng(seed))
            values, codes, fold = _rows(run.states, codes_at_states(factors, run.steps), fold, final)
            weights = weights_of_units(network, (coef or {}).get(name), values.shape[1])
            encodings[name] = _encoding(values, codes, fold, weights, name)
        return cls(encodings=encodings, factors=groups, output_names=output_names).plot(kind, ax=ax, **options)

    # ------------------------------------------------------------------------------------------------ numbers

    def factor_shares(self, output: int | None = None) -> dict[str, dict[str, float]]:
        """Return the share of every factor in every network.

        Parameters
        ----------
        output : int or None, default=None
            None: the mean over the units that vary. A number: the mean weighted by how much each unit contributes to
            the variance of this output, (weight x standard deviation) squared.

        Returns
        -------
        shares : dict from the name of a network to a dict from the name of a factor to its share
        """
        means = {
            name: _mean_shares(own, None if output is None else self._row(name, output)) for name, own in self._items
        }
        return {name: dict(zip(self.factors, own.tolist(), strict=True)) for name, own in means.items()}

    def group_shares(self, output: int | None = None) -> dict[str, dict[str, float]]:
        """Return the share of every group of factors in every network, and what no factor explains.

        Parameters
        ----------
        output : int or None, default=None
            As in `factor_shares`.

        Returns
        -------
        shares : dict from the name of a network to a dict from the name of a group, or "unexplained", to its share
            The shares of a network add up to 1.
        """
        found = {}
        for name, own in self.factor_shares(output).items():
            sums = dict.fromkeys(self.factors.values(), 0.0)
            for factor, share in own.items():
                sums[self.factors[factor]] += share
            found[name] = {**sums, UNEXPLAINED: 1 - sum(own.values())}
        return found

    def contributions(self, network: str) -> np.ndarray:
        """Return how much each unit contributes to each output: |weight| x standard deviation, as shares of 1.

        Parameters
        ----------
        network : str
            Name of the network.

        Returns
        -------
        contributions : ndarray of shape (K, H)
            Every row adds up to 1.
        """
        encoding = self._encoding_of(network)
        if encoding.coef is None:
            raise ValueError(
                f"The outputs of {network!r} need weights, one for each unit: pass coef={{{network!r}: array of shape "
                "(outputs, units)}. The readout of an echo state network with pooling='both' has those of the last "
                "state first, coef_[:, :units]."
            )
        parts = np.abs(as_array(encoding.coef, "coef")) * encoding.deviations
        return parts / np.maximum(parts.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)

    def n_units_read(self, network: str) -> np.ndarray:
        r"""Return how many units each output reads, :math:`(\sum_u c_u)^2 / \sum_u c_u^2` of its contributions c.

        Parameters
        ----------
        network : str
            Name of the network.

        Returns
        -------
        numbers : ndarray of shape (K,)
            H if all units contribute alike, 1 if one unit does all.
        """
        return effective_number(self.contributions(network))

    def to_frame(self, output: int | None = None) -> Any:
        """Return the shares as a table.

        Parameters
        ----------
        output : int or None, default=None
            As in `factor_shares`.

        Returns
        -------
        frame : pandas DataFrame
            A row for every network, a column for every factor, every group, and "unexplained".
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("A data frame needs pandas: pip install pandas.") from error
        groups = self.group_shares(output)
        rows = {name: {**own, **groups[name]} for name, own in self.factor_shares(output).items()}
        return pd.DataFrame.from_dict(rows, orient="index")

    @property
    def _items(self) -> list[tuple[str, UnitEncoding]]:
        return list(self.encodings.items())

    def _encoding_of(self, network: str) -> UnitEncoding:
        if network not in self.encodings:
            raise ValueError(f"network={network!r} is none of {', '.join(map(repr, self.encodings))}.")
        return self.encodings[network]

    def _row(self, network: str, output: int) -> np.ndarray:
        parts = self.contributions(network)
        if not 0 <= output < len(parts):
            raise ValueError(f"output={output} must be from 0 to {len(parts) - 1}: there are {len(parts)} outputs.")
        return parts[output]

    @property
    def _names(self) -> list[str]:
        n = max(len(self.contributions(name)) for name in self.encodings)
        if self.output_names is None:
            return [f"output {k}" for k in range(n)]
        return names_of(self.output_names, n, "output_names", "outputs")

    # ------------------------------------------------------------------------------------------------ drawing

    def plot(self, kind: str = "factors", *, ax: Any = None, output: int | None = None, n_units: int = 10) -> Self:
        """Draw one comparison.

        Parameters
        ----------
        kind : str, default="factors"
            - "factors": bars of the share of every factor and of every group, a bar for each network;
            - "units": a point for every unit, its share of the first group against that of the second;
            - "readout": how many units each output reads, in % of the network;
            - "output": the units that one output reads most, each bar divided among the groups of factors.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.
        output : int or None, default=None
            For "output" (None: 0), and for "factors": the shares in what this output reads.
        n_units : int, default=10
            For "output": number of units of each network.

        Returns
        -------
        self
        """
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r} must be one of {', '.join(map(repr, KINDS))}.")
        self.ax_ = make_axes(ax)
        self.figure_ = self.ax_.figure
        resize = ax is None
        if kind == "factors":
            of = "" if output is None else f" in what '{self._names[output]}' reads"
            draw_factors(self.ax_, self.factor_shares(output), self.group_shares(output), self.factors, of, resize)
        elif kind == "units":
            draw_units(self.ax_, {name: self._by_group(name) for name in self.encodings}, self._two_groups)
        elif kind == "readout":
            numbers = {name: (self.n_units_read(name), len(own.deviations)) for name, own in self._items}
            draw_readout(self.ax_, numbers, self._names, resize)
        else:
            chosen = 0 if output is None else output
            parts = {name: (self._row(name, chosen), self._by_group(name)) for name in self.encodings}
            draw_output(self.ax_, parts, self._groups, self._names[chosen], n_units, resize)
        return self

    @property
    def _groups(self) -> list[str]:
        return list(dict.fromkeys(self.factors.values()))

    @property
    def _two_groups(self) -> tuple[str, str]:
        if len(self._groups) < 2:
            raise ValueError(f"kind='units' needs two groups of factors, but there is {self._groups} alone.")
        return self._groups[0], self._groups[1]

    def _by_group(self, network: str) -> np.ndarray:
        """Share of every group in every unit, (H, G)."""
        belongs = np.array(list(self.factors.values()))
        shares = np.asarray(self._encoding_of(network).shares)
        return np.stack([shares[:, belongs == group].sum(axis=1) for group in self._groups], axis=1)


def _rows(
    states: list[np.ndarray], codes: np.ndarray, fold: np.ndarray, final: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return states (N, H), codes (N, F) and fold (N,) of all states, or of the last one of every sequence."""
    lengths = np.array([len(own) for own in states])
    rows = np.cumsum(lengths) - 1 if final else np.arange(lengths.sum())
    return np.concatenate(states)[rows].astype(np.float64), codes[rows], np.repeat(fold, lengths)[rows]


def _encoding(
    values: np.ndarray, codes: np.ndarray, fold: np.ndarray, coef: np.ndarray | None, name: str
) -> UnitEncoding:
    shares = explained(values, design(codes, fold), fold)
    if np.isnan(shares).all():
        raise ValueError(f"No unit of {name!r} varies over these states: there is nothing to explain.")
    alone = shares[2 ** np.arange(codes.shape[1])].T
    return UnitEncoding(divided(shares), alone, values.std(axis=0), coef)


def _mean_shares(encoding: UnitEncoding, contributions: np.ndarray | None) -> np.ndarray:
    shares = np.asarray(encoding.shares)
    varies = ~np.isnan(shares).any(axis=1)
    weights = np.ones(varies.sum()) if contributions is None else contributions[varies] ** 2
    return np.average(shares[varies], axis=0, weights=weights if weights.any() else None)
