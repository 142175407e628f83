"""How much each of several losses counts in their sum."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def task_weights(history: ArrayLike, how: str, temperature: float = 1.0) -> np.ndarray:
    """Weights of P tasks for the coming epoch; they sum to 1.

    "equal" gives 1 / P each. "dynamic" is dynamic weight averaging (Liu et al. 2019), normalised to 1. It gives the
    largest weight to the loss L_i that falls most slowly:

        lambda_i = L_i(e - 1) / L_i(e - 2),    w_i(e) = exp(lambda_i / t) / sum_k exp(lambda_k / t)

    with equal weights in the first two epochs, which have nothing to compare. A large temperature t makes the weights
    more equal. If a loss was 0, negative or not finite, its ratio counts as 1.

    Parameters
    ----------
    history : array-like (P, E)
        For each task its mean loss of the E epochs so far; P empty lists before the first.
    how : {"equal", "dynamic"}
    temperature : float > 0

    Returns
    -------
    array (P,) of float64
    """
    losses = np.asarray(history, dtype=np.float64)
    n_tasks, n_epochs = losses.shape
    if how not in ("equal", "dynamic"):
        raise ValueError(f"The weights of the losses must be 'equal' or 'dynamic', got {how!r}.")
    if how == "equal" or n_epochs < 2:
        return np.full(n_tasks, 1 / n_tasks)
    before, after = losses[:, -2], losses[:, -1]
    usable = np.isfinite(before) & np.isfinite(after) & (before > 0) & (after >= 0)
    speed = np.divide(after, before, out=np.ones(n_tasks), where=usable) / temperature
    shares = np.exp(speed - speed.max())
    return shares / shares.sum()
