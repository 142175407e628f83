"""Scores of labels given step by step, for sequences of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

__all__ = ["step_accuracy", "step_f1_score", "step_macro_f1_scorer"]


def _flat(
    y_true: Any, y_pred: Sequence[Any], ignore_label: Any, sample_weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True and predicted labels of all labelled steps, and the weight of each step."""
    if len(y_true) != len(y_pred):
        raise ValueError(f"y_true has {len(y_true)} sequences and y_pred has {len(y_pred)}.")
    weights = np.ones(len(y_pred)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (len(y_pred),):
        raise ValueError(f"sample_weight has shape {weights.shape}, but there are {len(y_pred)} sequences.")
    parts = [np.asarray(labels) for labels in y_true]
    for i, (true, predicted) in enumerate(zip(parts, y_pred, strict=True)):
        padding = true[len(predicted) :]
        if len(true) < len(predicted) or (len(padding) and (ignore_label is None or (padding != ignore_label).any())):
            raise ValueError(f"y_true[{i}] has {len(true)} labels and y_pred[{i}] has {len(predicted)}.")
    true = np.concatenate([labels[: len(p)] for labels, p in zip(parts, y_pred, strict=True)])
    predicted = np.concatenate([np.asarray(p) for p in y_pred])
    of_step = np.repeat(weights, [len(p) for p in y_pred])
    given = np.ones(len(true), dtype=bool) if ignore_label is None else true != ignore_label
    if not given.any():
        raise ValueError("No step has a label.")
    return true[given], predicted[given], of_step[given]


def step_accuracy(y_true: Any, y_pred: Sequence[Any], *, ignore_label: Any = None, sample_weight: Any = None) -> float:
    """Share of labelled steps that are predicted rightly.

    Parameters
    ----------
    y_true : list of n arrays (T_i,), or array (n, T) padded with `ignore_label`
    y_pred : list of n arrays (T_i,)
    ignore_label : object, default=None
        Steps with this true label do not count.
    sample_weight : array-like of shape (n,), default=None
        Weight of every step of a sequence.

    Returns
    -------
    score : float in [0, 1]

    Raises
    ------
    ValueError
        Where numbers of sequences or of steps differ, or no step has a label.
    """
    true, predicted, weights = _flat(y_true, y_pred, ignore_label, sample_weight)
    return float(np.average(true == predicted, weights=weights))


def step_f1_score(
    y_true: Any, y_pred: Sequence[Any], *, average: str = "macro", ignore_label: Any = None, sample_weight: Any = None
) -> float:
    """F1 over all labelled steps, by default the mean over classes, in which a rare class counts as a frequent one.

    Parameters and errors as in `step_accuracy`; `average` as in `sklearn.metrics.f1_score`.
    """
    true, predicted, weights = _flat(y_true, y_pred, ignore_label, sample_weight)
    return float(f1_score(true, predicted, average=average, sample_weight=weights, zero_division=0.0))


def step_macro_f1_scorer(estimator: Any, X: Any, y: Any) -> float:
    """For `scoring=` of cross_validate and GridSearchCV: macro F1 of a step classifier's predictions."""
    return step_f1_score(y, estimator.predict(X), ignore_label=getattr(estimator, "ignore_label", None))
