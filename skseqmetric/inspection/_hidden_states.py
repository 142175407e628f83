"""The states of any fitted recurrent estimator after every prefix of its sequences, and how long each prefix is."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch

from skseqmetric._input import check_sequences


def hidden_states(estimator: Any, X: Any, Y: Any = None, *, initial: bool = True, **options: Any) -> Bunch:
    """States of a recurrent estimator after every prefix of every sequence, the empty one included.

    Parameters
    ----------
    estimator : fitted estimator with a method `hidden_states`
        All recurrent ones of the package have it. A fitted Pipeline that ends in one transforms X first; of a fitted
        grid search the best estimator is taken.
    X : n sequences
        As the estimator takes them.
    Y : n sequences, optional
        Partners, for `SyncGRUMetric`: the states of the coupled pairs (X[p], Y[p]).
    initial : bool, default=True
        Begin every list of states with h_0 = 0, the state before the first step.
    **options
        For the estimator's method: layer=..., or kind="cell" of an LSTM.

    Returns
    -------
    states : Bunch
        states : list of n arrays (S_i, H) of float32, S_i = T_i' + 1 with `initial` and T_i' without, for T_i'
        recurrent steps.
        steps : list of n arrays (S_i,) of int, the input steps that were read when each of these states was reached: 0
        for the initial one, T_i for the last one. Where a recurrent step stands for several input steps, they are
        counted to the last of these, whatever a convolution in front reads beyond; the backward half of a
        bidirectional state has read the other steps.
        partner_states, partner_steps : the same of Y, where it is given.

    Raises
    ------
    TypeError
        For an estimator without recurrent states, or an option that its method does not know.
    NotFittedError
        For one that is not fitted.
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
    """What predicts in the end, and the X that it is given: without the pipeline and the search around it."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        return estimator, X
    before = estimator[:-1]
    return final_estimator(estimator[-1], before.transform(X) if len(before) else X)


def mapped_by_default(estimator: Any) -> dict[str, Any]:
    """Options of `hidden_states` for a map: the cell states of an LSTM, as in the paper, where it offers them."""
    offered = signature(estimator.hidden_states).parameters if hasattr(estimator, "hidden_states") else ()
    return {"kind": "cell"} if "kind" in offered and getattr(estimator, "cell", None) == "lstm" else {}


def _of_prefixes(states: list[np.ndarray], X: Any, initial: bool) -> dict[str, list[np.ndarray]]:
    lengths = check_sequences(X).lengths.tolist()
    steps = [_steps_read(len(h), n_steps) for h, n_steps in zip(states, lengths, strict=True)]
    if initial:
        states = [np.concatenate([np.zeros_like(h[:1]), h]) for h in states]
        steps = [np.append(0, read) for read in steps]
    return {"states": states, "steps": steps}


def _steps_read(n_states: int, n_steps: int) -> np.ndarray:
    """Input steps (S,) read after every recurrent step of a sequence of n_steps.

    Strides and poolings of the package are powers of 2, and ceil(n_steps / stride) steps are left; only one power of 2
    leaves as many as there are, if more than one is left. Any other number is spread evenly.
    """
    count = np.arange(1, n_states + 1)
    stride = 1
    while -(-n_steps // stride) > n_states:
        stride *= 2
    if -(-n_steps // stride) == n_states:
        return np.minimum(count * stride, n_steps)
    return -(-count * n_steps // n_states)
