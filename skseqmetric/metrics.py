"""Scores of labels given step by step, and error rates of labels that are sequences themselves."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from skseqmetric._ops.edit_distance import edit_distances

__all__ = [
    "character_error_rate",
    "neg_character_error_rate_scorer",
    "neg_word_error_rate_scorer",
    "step_accuracy",
    "step_f1_score",
    "step_macro_f1_scorer",
    "word_error_rate",
]


def _flat(
    y_true: Any, y_pred: Sequence[Any], ignore_label: Any, sample_weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True and predicted labels of all labelled steps, and the weight of each step."""
    weights = _weights(y_true, y_pred, sample_weight)
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


def _weights(y_true: Any, y_pred: Sequence[Any], sample_weight: Any) -> np.ndarray:
    if len(y_true) != len(y_pred):
        raise ValueError(f"y_true has {len(y_true)} sequences and y_pred has {len(y_pred)}.")
    weights = np.ones(len(y_pred)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (len(y_pred),):
        raise ValueError(f"sample_weight has shape {weights.shape}, but there are {len(y_pred)} sequences.")
    return weights


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


# ------------------------------------------------------------------------------------------------ labels as sequences


def character_error_rate(y_true: Sequence[Any], y_pred: Sequence[Any], *, sample_weight: Any = None) -> float:
    """Edits that turn the predicted labels into the true ones, as a share of the true symbols.

        CER = sum_i w_i D(y_true_i, y_pred_i) / sum_i w_i |y_true_i|

    with D the Levenshtein distance: the least number of insertions, deletions and substitutions of one symbol. A rate
    of the whole corpus, in which a long label counts more than a short one; not the mean of the labels' own rates.

    Parameters
    ----------
    y_true, y_pred : sequences of n labels
        A label is a string, whose symbols are its characters (code points, white space among them), or a list, tuple or
        array of symbols, which can be of any hashable type. A symbol that no true label has is an error like any other.
    sample_weight : array-like of shape (n,), default=None
        Weight of each label.

    Returns
    -------
    rate : float >= 0
        0 where all labels are right; above 1 where predictions are longer than the truth by enough.

    Raises
    ------
    ValueError
        Where the numbers of labels differ, or the true labels have no symbol at all.
    TypeError
        Where a label is neither a string nor a sequence of hashable symbols, or one string stands for the list.

    Examples
    --------
    >>> from skseqmetric.metrics import character_error_rate
    >>> character_error_rate(["kitten", "ab"], ["sitting", "ab"])
    0.375
    """
    true, predicted = _symbols("y_true", y_true), _symbols("y_pred", y_pred)
    return _error_rate(true, predicted, _weights(true, predicted, sample_weight), "symbol")


def word_error_rate(y_true: Sequence[Any], y_pred: Sequence[Any], *, sample_weight: Any = None) -> float:
    """Edits of whole words that turn the predicted labels into the true ones, as a share of the true words.

    As `character_error_rate`, with words for symbols. A string is split at white space. Every other label (a list,
    tuple or array of symbols) is one word, so that it counts as one error unless all its symbols are right; an empty
    label has no word. Parameters and errors as there.

    Examples
    --------
    >>> from skseqmetric.metrics import word_error_rate
    >>> word_error_rate(["the cat sat", "on"], ["the hat sat", "on"])
    0.25
    >>> word_error_rate([[1, 2], [3, 4]], [[1, 2], [4, 3]])
    0.5
    """
    true, predicted = _words("y_true", y_true), _words("y_pred", y_pred)
    return _error_rate(true, predicted, _weights(true, predicted, sample_weight), "word")


def neg_character_error_rate_scorer(estimator: Any, X: Any, y: Any) -> float:
    """For `scoring=` of cross_validate and GridSearchCV: minus the character error rate of predicted labels."""
    return -character_error_rate(y, estimator.predict(X))


def neg_word_error_rate_scorer(estimator: Any, X: Any, y: Any) -> float:
    """For `scoring=` of cross_validate and GridSearchCV: minus the word error rate of predicted labels."""
    return -word_error_rate(y, estimator.predict(X))


def _symbols(name: str, labels: Sequence[Any]) -> list[tuple[Hashable, ...]]:
    if isinstance(labels, str):
        raise TypeError(f"{name} is one string, expected a list of labels: put it in brackets.")
    return [_tuple(f"{name}[{i}]", label) for i, label in enumerate(labels)]


def _words(name: str, labels: Sequence[Any]) -> list[tuple[Hashable, ...]]:
    # a word is a tuple of symbols in every case, so that "ab" and ["a", "b"] are the same one
    symbols = _symbols(name, labels)
    words = [
        label.split() if isinstance(label, str) else [s] if s else [] for label, s in zip(labels, symbols, strict=True)
    ]
    return [tuple(map(tuple, split)) for split in words]


def _tuple(name: str, label: Any) -> tuple[Hashable, ...]:
    try:
        symbols = tuple(label)
        hash(symbols)
    except TypeError as error:
        kind = type(label).__name__
        raise TypeError(f"{name} must be a string or a sequence of hashable symbols, got {kind}: {error}.") from error
    return symbols


def _error_rate(
    true: list[tuple[Hashable, ...]], predicted: list[tuple[Hashable, ...]], weights: np.ndarray, unit: str
) -> float:
    n_true = float(np.dot(weights, [len(label) for label in true]))
    if not n_true:
        raise ValueError(f"The true labels have no {unit} (of positive weight): no error rate is defined.")
    numbers: dict[Hashable, int] = {}
    first, second = (
        [np.array([numbers.setdefault(s, len(numbers)) for s in label], dtype=np.int64) for label in labels]
        for labels in (true, predicted)
    )
    return float(np.dot(weights, edit_distances(first, second))) / n_true
