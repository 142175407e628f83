"""The public methods of classifiers of sequences or of steps, written once over a `Classes` task.

The functions are methods: an estimator takes them into its class, as in `predict = class_methods.predict`.
"""

from __future__ import annotations

from typing import Any

from skseqmetric._input import check_classes
from skseqmetric._tasks import Classes, decision, probabilities
from skseqmetric._training.running import fitting


@fitting
def fit(self: Any, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Any:
    """Learn to classify sequences or their steps.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Training sequences.
    y : array-like of shape (n,); with `target="step"` list of n arrays (T_i,), or array (n, T)
        Class of every sequence or step. An array (n, T) for sequences of different lengths is padded with
        `ignore_label`.
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
        `check_sequences` does not accept X, or y does not match the sequences or their steps. There is a single
        class. Parameters contradict each other.
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
def partial_fit(self: Any, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Any:
    """Train for one epoch at a constant learning rate. The first call also learns the scaling of the channels.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Sequences.
    y : array-like of shape (n,); with `target="step"` list of n arrays (T_i,), or array (n, T)
        As in `fit`.
    classes : array-like of shape (K,), optional
        All labels of this and later calls, read by the first call. None: the labels of the first y.
    sample_weight : array-like of shape (n,), optional
        As in `fit`.

    Returns
    -------
    self
    """
    declared = None if classes is None else Classes(every_step=self.target == "step", labels=check_classes(classes))
    self._partial_fit(X, y, sample_weight, declared)
    return self


def make_task(self: Any) -> Classes:
    return Classes(every_step=self.target == "step", class_weight=self.class_weight, ignore_label=self.ignore_label)


def decision_function(self: Any, X: Any) -> Any:
    """Return class scores (logits).

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Sequences.

    Returns
    -------
    scores : ndarray of shape (n, K) or (n,), or list of n arrays (T_i, K) or (T_i,) with `target="step"`
        Columns as in `classes_`. For two classes there is one number: the second score minus the first.
    """
    return decision(self._outputs(X))


def predict_proba(self: Any, X: Any) -> Any:
    """Return class probabilities.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Sequences.

    Returns
    -------
    probabilities : ndarray of shape (n, K), or list of n arrays (T_i, K) with `target="step"`
        Columns as in `classes_`.
    """
    return probabilities(self._outputs(X))


def predict(self: Any, X: Any) -> Any:
    """Predict the most probable class of every sequence, or of every step.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Sequences.

    Returns
    -------
    labels : ndarray of shape (n,), or list of n arrays (T_i,) with `target="step"`
    """
    outputs = self._outputs(X)
    return self._task.answer(outputs)


def score(self: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Return the accuracy over the sequences, or over the labelled steps with `target="step"`.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Sequences.
    y : array-like
        Labels, as in `fit`.
    sample_weight : array-like of shape (n,), optional
        Weight of every sequence. A step has the weight of its sequence.

    Returns
    -------
    accuracy : float in [0, 1]
    """
    answers = self.predict(X)
    return self._task.score(y, answers, sample_weight)
