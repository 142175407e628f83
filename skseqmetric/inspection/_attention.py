"""The attention of a recurrent memory to the steps of one sequence, block by block."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from skseqmetric.inspection._drawing import COLOURS, make_axes


class AttentionDisplay:
    """Attention maps of one sequence: how much each state of a block attends to each step of the block.

    Parameters
    ----------
    weights : ndarray of shape (U, S, S)
        Attention of the S hidden states of each of U blocks to each other, of one head or as the mean of all heads.
        Attention to the tokens of the inputs is left out. NaN for missing steps.
    steps : ndarray of shape (U, S) of int
        Input step of each of these states, -1 if missing.

    Attributes
    ----------
    ax_, figure_ : matplotlib objects
        Set by `plot`.
    """

    def __init__(self, *, weights: np.ndarray, steps: np.ndarray) -> None:
        self.weights = weights
        self.steps = steps

    @classmethod
    def from_estimator(
        cls, estimator: Any, x: Any, *, head: int | None = None, layer: int = -1, ax: Any = None
    ) -> Self:
        """Run one sequence through a fitted estimator with memory, and plot.

        Parameters
        ----------
        estimator : fitted NRNMClassifier, NRNMStepClassifier or NRNMMetric with attention=True
            What has the memory.
        x : array (T, C)
            The sequence.
        head : int or None, default=None
            Head of the attention; None: the mean of all heads.
        layer : int, default=-1
            Layer of the network.
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.

        Returns
        -------
        display : AttentionDisplay

        Raises
        ------
        ValueError
            If the estimator has no attention or no memory.
        """
        states = estimator.memory_states([x], layer=layer)
        if states.attention is None:
            raise ValueError("This estimator was fitted with attention=False: there are no attention maps.")
        maps, steps = states.attention[0], states.steps[0]
        n_slots = steps.shape[1]
        weights = (maps.mean(axis=1) if head is None else maps[:, head])[:, :n_slots, :n_slots]
        missing = steps < 0
        weights = np.where(missing[:, :, None] | missing[:, None, :], np.nan, weights)
        return cls(weights=weights, steps=steps).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw a column for every attended step, with a cell for every attending state of the same block.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Drawn into; a new figure otherwise.

        Returns
        -------
        self
        """
        self.ax_ = make_axes(ax)
        self.figure_ = self.ax_.figure
        n_blocks, n_slots, _ = self.weights.shape
        image = np.concatenate(list(self.weights), axis=1)  # (attending, attended to of all blocks)
        drawn = self.ax_.imshow(image, aspect="auto", cmap="viridis", vmin=0, interpolation="nearest")
        for block in range(1, n_blocks):
            self.ax_.axvline(block * n_slots - 0.5, color="white", lw=1.5)
        present = np.flatnonzero(self.steps.ravel() >= 0)
        shown = present[:: max(1, len(present) // 12)]
        self.ax_.set_xticks(shown, self.steps.ravel()[shown])
        self.ax_.set_yticks(range(n_slots), range(1, n_slots + 1))
        self.ax_.set(
            xlabel="step attended to",
            ylabel="attending state of the same block",
            title="Attention inside each block of the memory",
        )
        self.figure_.colorbar(drawn, ax=self.ax_, label="attention")
        self.ax_.tick_params(colors=COLOURS[7])
        return self
