"""The states of any fitted recurrent estimator after every prefix of its sequences, and the length of each prefix."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch

from skseqmetric.inspection._with_gaps import sequences_with_gaps


def hidden_states(estimator: Any, X: Any, Y: Any = None, *, initial: bool = True, **options: Any) -> Bunch:
    """Return the states of a recurrent estimator after every prefix of every sequence, also the empty prefix.

    Parameters
    ----------
    estimator : fitted estimator with a method `hidden_states`
        All recurrent estimators of the package have it. A fitted Pipeline that ends in one transforms X first. A
        fitted grid search uses its best estimator.
    X : n sequences
        In any form that the estimator accepts.
    Y : n sequences, optional
        Partners, for `SyncGRUMetric`: the states of the coupled pairs (X[p], Y[p]).
    initial : bool, default=True
        Begin every list of states with h_0 = 0, the state before the first step.
    **options
        For the estimator's method: layer=..., or kind="cell" for an LSTM.

    Returns
    -------
    states : Bunch
        states : list of n arrays (S_i, H) of float32, S_i = T_i' + 1 with `initial` and T_i' without, for T_i'
        recurrent steps.
        steps : list of n arrays (S_i,) of int, the number of input steps read before each state: 0 for the initial
        one, T_i for the last one. If a recurrent step covers several input steps, the last of them counts; a
        convolution may read further. The backward half of a bidirectional state has read the other steps.
        partner_states, partner_steps : the same for Y, if it is given.

    Raises
    ------
    TypeError
        If the estimator has no recurrent states, or its method does not know an option.
    NotFittedError
        If the estimator is not fitted.
    """
    last, inputs = final_estimator(estimator, X)
    if not hasattr(last, "hidden_states"):
        raise TypeError(
            f"{type(last).__name__} has no recurrent states: pass a fitted recurrent estimator (one with a method "
            "hidden_states), or a Pipeline that ends in one."
        )
    if Y is None:
        return Bunch(**_of_prefixes(last.hidden_states(inputs, **options), inputs, initial))
    partners = final_estimator(estimator, Y)[1]
    halves = last.hidden_states(inputs, partners, **options)
    own, others = (_of_prefixes(half, Z, initial) for half, Z in zip(halves, (inputs, partners), strict=True))
    return Bunch(**own, **{f"partner_{name}": value for name, value in others.items()})


def final_estimator(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the last estimator of a pipeline or a search, and the X that it receives."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        return estimator, X
    before = estimator[:-1]
    return final_estimator(estimator[-1], before.transform(X) if len(before) else X)


def mapped_by_default(estimator: Any) -> dict[str, Any]:
    """Return options of `hidden_states` for a map: the cell states of an LSTM, as in the paper, if it has them."""
    offered = signature(estimator.hidden_states).parameters if hasattr(estimator, "hidden_states") else ()
    return {"kind": "cell"} if "kind" in offered and getattr(estimator, "cell", None) == "lstm" else {}


def _of_prefixes(states: list[np.ndarray], X: Any, initial: bool) -> dict[str, list[np.ndarray]]:
    lengths = sequences_with_gaps(X).lengths.tolist()
    steps = [_steps_read(len(h), n_steps) for h, n_steps in zip(states, lengths, strict=True)]
    if initial:
        states = [np.concatenate([np.zeros_like(h[:1]), h]) for h in states]
        steps = [np.append(0, read) for read in steps]
    return {"states": states, "steps": steps}


def _steps_read(n_states: int, n_steps: int) -> np.ndarray:
    """Return the number of input steps read after every recurrent step of a sequence of n_steps, (S,).

    Strides and poolings of the package are powers of 2 and leave ceil(n_steps / stride) steps. If more than one step is
    left, only one power of 2 fits. Any other number of states is spread evenly.
    """
    count = np.arange(1, n_states + 1)
    stride = 1
    while -(-n_steps // stride) > n_states:
        stride *= 2
    if -(-n_steps // stride) == n_states:
        return np.minimum(count * stride, n_steps)
    return -(-count * n_steps // n_states)
