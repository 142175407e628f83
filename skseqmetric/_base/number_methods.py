"""The public methods of regressors of sequences or of steps, written once over a `Numbers` task.

The functions are methods: an estimator takes them into its class, as in `predict = number_methods.predict`.
"""

from __future__ import annotations

from typing import Any

from skseqmetric._tasks import Numbers
from skseqmetric._training.running import fitting


@fitting
def fit(self: Any, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Any:
    """Learn to predict numbers for sequences or for their steps.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Training sequences.
    y : array-like of shape (n,) or (n, K); with `target="step"` list of n arrays (T_i,) or (T_i, K)
        Targets. Targets of steps may also be one array (n, T) or (n, T, K) if all sequences have the same length.
    sample_weight : array-like of shape (n,), optional
        Weight of every sequence in the loss. A weight of 2 acts like two copies of the sequence. A weight of 0 acts
        like leaving it out.
    groups : array-like of shape (n,), optional
        Group of every sequence, such as its recording or subject. `instance_channels="auto"` holds out whole groups.
        With `early_stopping=True`, all sequences of a group fall on the same side of the validation split.

    Returns
    -------
    self

    Raises
    ------
    ValueError
        `check_sequences` does not accept X, or y is not finite or does not match the sequences or their steps.
        Parameters contradict each other.
    FloatingPointError
        The loss is no longer finite. The last finite weights are kept if the training data have finite features with
        them; else the estimator is as it was before. The message says which.
    KeyboardInterrupt
        Ctrl-C came twice, or in a search, a cross-validation or a pipeline. The weights learned so far are kept. A
        single Ctrl-C elsewhere ends the fit with a ConvergenceWarning.
    """
    self._fit(X, y, sample_weight, groups)
    return self


@fitting
def partial_fit(self: Any, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Train for one epoch at a constant learning rate. The first call also learns the scaling of channels and y.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Sequences.
    y : array-like of shape (n,) or (n, K); with `target="step"` list of n arrays (T_i,) or (T_i, K)
        As in `fit`.
    sample_weight : array-like of shape (n,), optional
        As in `fit`.

    Returns
    -------
    self
    """
    self._partial_fit(X, y, sample_weight)
    return self


def make_task(self: Any) -> Numbers:
    return Numbers(every_step=self.target == "step")


def predict(self: Any, X: Any) -> Any:
    """Predict numbers in the units of y.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Sequences.

    Returns
    -------
    values : ndarray of shape (n, K), or list of n arrays (T_i, K) with `target="step"`
        If the y of `fit` had no axis of outputs, the shapes are (n,) and (T_i,).
    """
    outputs = self._outputs(X)
    return self._task.answer(outputs)


def score(self: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Return the coefficient of determination R^2, averaged over the outputs. The best score is 1.

    With `target="step"` it is computed over all steps.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Sequences.
    y : array-like
        Targets, as in `fit`.
    sample_weight : array-like of shape (n,), optional
        Weight of every sequence. A step has the weight of its sequence.

    Returns
    -------
    score : float
    """
    answers = self.predict(X)
    return self._task.score(y, answers, sample_weight)
