"""What matched what in a pair of sequences: lines between their steps, and the matrix of costs."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from skseqmetric._input import as_array, positional
from skseqmetric._metrics.alignment import Alignment
from skseqmetric.inspection._alignment_panels import (
    cost_colours,
    draw_channels,
    draw_costs,
    draw_links,
    draw_shares,
    make_panels,
)
from skseqmetric.inspection._state_outputs import names_of
from skseqmetric.inspection._with_gaps import sequences_with_gaps


class AlignmentDisplay:
    """The matching of one pair of sequences under a metric with ``coupling="alignment"``.

    On the left are both sequences, one above the other, and between them a line for every match. A thick line has a
    large share of the squared distance. The bars are the shares of the steps. On the right is the matrix of costs, with
    the match of every place of x as a ring, and that of every place of y as a cross. Lines and matrix have one scale of
    colours.

    Parameters
    ----------
    x, y : arrays (T, C) and (S, C)
        The sequences. One-dimensional arrays have one channel.
    alignment : Alignment
        Their matching, from `metric.alignment([x], [y])[0]`.
    channels : list of int or str, or None, default=None
        Channels to draw, by number or by name. None: all. More than 6 are drawn as an image, each channel standardised
        over both sequences.
    channel_names : sequence of C names or None, default=None
        None: those of data frames, else numbers.
    names : pair of str, default=("x", "y")
        Of the sequences.

    Attributes
    ----------
    axes_ : dict of matplotlib axes
        "x", "x shares", "links", "y shares", "y" and "costs". Set by `plot`.
    figure_ : matplotlib figure
        Set by `plot`.

    Examples
    --------
    >>> from skseqmetric import SyncGRUMetric
    >>> from skseqmetric.datasets import make_shifted_sequences
    >>> from skseqmetric.inspection import AlignmentDisplay
    >>> X, y = make_shifted_sequences(60, n_classes=2, random_state=0)
    >>> metric = SyncGRUMetric(8, coupling="alignment", n_filters=8, max_epochs=5, random_state=0).fit(X, y)
    >>> display = AlignmentDisplay.from_estimator(metric, X[0], X[1])
    >>> sorted(display.axes_)
    ['costs', 'links', 'x', 'x shares', 'y', 'y shares']
    """

    def __init__(
        self,
        *,
        x: Any,
        y: Any,
        alignment: Alignment,
        channels: Any = None,
        channel_names: Any = None,
        names: tuple[str, str] = ("x", "y"),
    ) -> None:
        self.x = x
        self.y = y
        self.alignment = alignment
        self.channels = channels
        self.channel_names = channel_names
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        metric: Any,
        x: Any,
        y: Any,
        *,
        channels: Any = None,
        channel_names: Any = None,
        names: tuple[str, str] = ("x", "y"),
        ax: Any = None,
        **drawing: Any,
    ) -> Self:
        """Match two sequences by a fitted metric, and plot.

        Parameters
        ----------
        metric : fitted SyncGRUMetric or NRNMMetric with coupling="alignment"
            What matches the sequences.
        x, y : arrays (T, C) and (S, C)
            The sequences. One-dimensional arrays have one channel.
        channels : list of int or str, or None, default=None
            As in the class.
        channel_names : sequence of C names or None, default=None
            As in the class. None: those that the metric was fitted with, else numbers.
        names : pair of str, default=("x", "y")
            Of the sequences.
        ax : matplotlib axes, default=None
            As in `plot`.
        **drawing
            As in `plot`.

        Returns
        -------
        display : AlignmentDisplay

        Raises
        ------
        ValueError
            The metric has another coupling, a sequence is not accepted by `check_sequences`, or there is no such
            channel.
        """
        if not hasattr(metric, "alignment"):
            raise ValueError(
                f"{type(metric).__name__} has no alignment to draw: pass a SyncGRUMetric or an NRNMMetric, fitted with "
                'coupling="alignment".'
            )
        found = metric.alignment([_with_channels(x, "x")], [_with_channels(y, "y")])[0]
        given = getattr(metric, "channel_names_in_", None) if channel_names is None else channel_names
        display = cls(x=x, y=y, alignment=found, channels=channels, channel_names=given, names=names)
        return display.plot(ax=ax, **drawing)

    def plot(self, *, ax: Any = None, max_cost: float | None = None, title: str | None = None) -> Self:
        """Draw sequences, matches, shares and costs.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Axes of a grid, such as those of `pyplot.subplots`, whose place is taken. None: a new figure.
        max_cost : float or None, default=None
            Cost at the end of the scale of colours, so that several displays can have one. None: the largest cost.
        title : str or None, default=None
            None: the distance, and the share of the pooled states in its square.

        Returns
        -------
        self
        """
        curves, chosen = self._curves()
        self.figure_, self.axes_ = make_panels(ax)
        top = float(self.alignment.costs.max()) if max_cost is None else max_cost
        colours, titles = cost_colours(top or 1.0), names_of(self.names, 2, "names", "sequences")
        draw_channels([self.axes_["x"], self.axes_["y"]], curves, chosen, titles)
        draw_shares([self.axes_["x shares"], self.axes_["y shares"]], self.alignment)
        draw_links(self.axes_["links"], self.alignment, colours)
        draw_costs(self.axes_["costs"], self.alignment, colours, titles)
        self.axes_["x"].set_title(self._summary() if title is None else title)
        return self

    def _summary(self) -> str:
        pooled = self.alignment.pooled_share
        return f"distance {self.alignment.distance:.3g}" + (f" (pooled states {pooled:.0%})" if pooled else "")

    def _curves(self) -> tuple[list[np.ndarray], list[str]]:
        """Return the chosen channels of both sequences, (T, K) and (S, K), and their names."""
        sides = [sequences_with_gaps([_with_channels(own, name)]) for own, name in ((self.x, "x"), (self.y, "y"))]
        if sides[0].n_channels != sides[1].n_channels:
            raise ValueError(
                f"x has {sides[0].n_channels} channels and y has {sides[1].n_channels}: pass sequences of one kind."
            )
        given = sides[0].channel_names if self.channel_names is None else self.channel_names
        n = sides[0].n_channels
        names = [f"channel {c}" for c in range(n)] if given is None else names_of(given, n, "channel_names", "channels")
        chosen = range(n) if self.channels is None else [_number_of(c, names) for c in _several(self.channels)]
        return [side.values[:, list(chosen)] for side in sides], [names[c] for c in chosen]


def _with_channels(x: Any, name: str) -> Any:
    """Return a sequence with an axis of channels."""
    array = as_array(x, name)
    return array[:, np.newaxis] if array.ndim == 1 else x


def _several(channels: Any) -> list[Any]:
    """Return the channels that are asked for, one or several."""
    return [channels] if isinstance(channels, int | np.integer | str) else list(positional(channels, "channels"))


def _number_of(channel: Any, names: list[str]) -> int:
    """Return the number of a channel that is given by number or by name."""
    if isinstance(channel, str) and channel in names:
        return names.index(channel)
    if isinstance(channel, int | np.integer) and not isinstance(channel, bool) and -len(names) <= channel < len(names):
        return int(channel) % len(names)
    raise ValueError(
        f"channels has {channel!r}: pass numbers from 0 to {len(names) - 1}, or some of the names {names}."
    )
