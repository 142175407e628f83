"""Scores of step-wise labels, and error rates of labels that are sequences of symbols."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein
from sklearn.metrics import f1_score

from skseqmetric._input import check_weights, joined_labels, label_array, positional

__all__ = [
    "character_error_rate",
    "neg_character_error_rate_scorer",
    "neg_word_error_rate_scorer",
    "step_accuracy",
    "step_f1_score",
    "step_macro_f1_scorer",
    "word_error_rate",
]

_Label = tuple[Hashable, ...]

# ------------------------------------------------------------------------------------------------ labels of steps


def step_accuracy(y_true: Any, y_pred: Sequence[Any], *, ignore_label: Any = None, sample_weight: Any = None) -> float:
    """Share of the labelled steps whose predicted label is right.

    Parameters
    ----------
    y_true : list of n arrays (T_i,), or array (n, T) padded with `ignore_label`
        True labels.
    y_pred : list of n arrays (T_i,)
        Predicted labels.
    ignore_label : object, default=None
        Steps with this true label do not count.
    sample_weight : array-like of shape (n,), default=None
        Weight of every step of a sequence, >= 0.

    Returns
    -------
    score : float in [0, 1]

    Raises
    ------
    ValueError
        The numbers of sequences or of steps differ, a weight is negative or not finite, or no step has a label.
    """
    true, predicted, weights = _flat(y_true, y_pred, ignore_label, sample_weight)
    return float(np.average(true == predicted, weights=weights))


def step_f1_score(
    y_true: Any, y_pred: Sequence[Any], *, average: str = "macro", ignore_label: Any = None, sample_weight: Any = None
) -> float:
    """F1 over all labelled steps. By default all classes count alike, whether they are rare or frequent.

    Parameters
    ----------
    y_true : list of n arrays (T_i,), or array (n, T) padded with `ignore_label`
        True labels.
    y_pred : list of n arrays (T_i,)
        Predicted labels.
    average : {"macro", "micro", "weighted"}, default="macro"
        How the scores of the classes become one, as in `sklearn.metrics.f1_score`.
    ignore_label : object, default=None
        Steps with this true label do not count.
    sample_weight : array-like of shape (n,), default=None
        Weight of every step of a sequence, >= 0.

    Returns
    -------
    score : float in [0, 1]

    Raises
    ------
    ValueError
        The numbers of sequences or of steps differ, a weight is negative or not finite, or no step has a label.
    """
    true, predicted, weights = _flat(y_true, y_pred, ignore_label, sample_weight)
    return float(f1_score(true, predicted, average=average, sample_weight=weights, zero_division=0.0))


def step_macro_f1_scorer(estimator: Any, X: Any, y: Any) -> float:
    """Macro F1 of a step-wise classifier, for `scoring=` of cross_validate and GridSearchCV.

    Parameters
    ----------
    estimator : fitted estimator
        What predicts.
    X : n sequences
        In any form that its `predict` accepts.
    y : list of n arrays (T_i,)
        True labels.

    Returns
    -------
    score : float in [0, 1]
    """
    return step_f1_score(y, estimator.predict(X), ignore_label=getattr(estimator, "ignore_label", None))


def _flat(
    y_true: Any, y_pred: Sequence[Any], ignore_label: Any, sample_weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True label, predicted label and weight of every labelled step."""
    parts, answers = _parts(y_true, "y_true", ignore_label), _parts(y_pred, "y_pred", ignore_label)
    _check_same_number(parts, answers)
    weights = check_weights(sample_weight, len(answers))
    for i, (true, predicted) in enumerate(zip(parts, answers, strict=True)):
        padding = true[len(predicted) :]
        if len(true) < len(predicted) or (len(padding) and (ignore_label is None or (padding != ignore_label).any())):
            raise ValueError(f"y_true[{i}] has {len(true)} labels and y_pred[{i}] has {len(predicted)}.")
    lengths = [len(p) for p in answers]
    true = joined_labels([labels[:n] for labels, n in zip(parts, lengths, strict=True)], ignore_label, "y_true")
    predicted = joined_labels(answers, ignore_label, "y_pred")
    of_step = np.repeat(weights, lengths)
    counted = of_step > 0 if ignore_label is None else (of_step > 0) & (true != ignore_label)
    if not counted.any():
        raise ValueError("No step has a label (of positive weight).")
    return true[counted], predicted[counted], of_step[counted]


def _parts(labels: Any, name: str, ignore_label: Any) -> list[np.ndarray]:
    """Labels of the steps of every sequence, (T_i,), by position."""
    found = positional(labels, name, "Pass a list with one array of labels for each sequence.")
    parts = [label_array(part, f"{name}[{i}]", ignored=ignore_label) for i, part in enumerate(found)]
    for i, part in enumerate(parts):
        if part.ndim != 1:
            raise ValueError(f"{name}[{i}] has shape {part.shape}: pass one label a step.")
    if not parts:
        raise ValueError(f"{name} is empty: at least one sequence is needed.")
    return parts


def _check_same_number(y_true: Any, y_pred: Sequence[Any]) -> None:
    if len(y_true) != len(y_pred):
        raise ValueError(f"y_true has {len(y_true)} sequences and y_pred has {len(y_pred)}.")


# ------------------------------------------------------------------------------------------------ labels as sequences


def character_error_rate(y_true: Sequence[Any], y_pred: Sequence[Any], *, sample_weight: Any = None) -> float:
    """Edits that turn the predicted labels into the true ones, as a share of the true symbols.

        CER = sum_i w_i D(y_true_i, y_pred_i) / sum_i w_i |y_true_i|

    D is the Levenshtein distance: the least number of insertions, deletions and substitutions of one symbol. This is
    the rate of the whole corpus: a long label counts more than a short one. It is not the mean of the labels' rates.

    Parameters
    ----------
    y_true, y_pred : sequences of n labels
        A label is a string or a list, tuple or array of hashable symbols. The symbols of a string are its characters
        (code points), white space included. A symbol that no true label has is an error like any other.
    sample_weight : array-like of shape (n,), default=None
        Weight of each label, >= 0.

    Returns
    -------
    rate : float >= 0
        0 if all labels are right; above 1 if the predictions are much longer than the truth.

    Raises
    ------
    ValueError
        The numbers of labels differ, a weight is negative or not finite, or the true labels have no symbol at all.
    TypeError
        A label is neither a string nor a sequence of hashable symbols, or `y_true` or `y_pred` is one string.

    Examples
    --------
    >>> from skseqmetric.metrics import character_error_rate
    >>> character_error_rate(["kitten", "ab"], ["sitting", "ab"])
    0.375
    """
    return _error_rate(_symbols("y_true", y_true), _symbols("y_pred", y_pred), sample_weight, "symbol")


def word_error_rate(y_true: Sequence[Any], y_pred: Sequence[Any], *, sample_weight: Any = None) -> float:
    """Edits of whole words that turn the predicted labels into the true ones, as a share of the true words.

    As `character_error_rate`, with words for symbols. A string is split at white space. Any other label (a list,
    tuple or array of symbols) is one word: it counts as one error unless all its symbols are right. An empty label
    has no word.

    Parameters
    ----------
    y_true, y_pred : sequences of n labels
        True and predicted labels.
    sample_weight : array-like of shape (n,), default=None
        Weight of each label, >= 0.

    Returns
    -------
    rate : float >= 0
        0 if all labels are right; above 1 if the predictions are much longer than the truth.

    Raises
    ------
    ValueError
        The numbers of labels differ, a weight is negative or not finite, or the true labels have no word at all.
    TypeError
        A label is neither a string nor a sequence of hashable symbols, or `y_true` or `y_pred` is one string.

    Examples
    --------
    >>> from skseqmetric.metrics import word_error_rate
    >>> word_error_rate(["the cat sat", "on"], ["the hat sat", "on"])
    0.25
    >>> word_error_rate([[1, 2], [3, 4]], [[1, 2], [4, 3]])
    0.5
    """
    return _error_rate(_words("y_true", y_true), _words("y_pred", y_pred), sample_weight, "word")


def neg_character_error_rate_scorer(estimator: Any, X: Any, y: Any) -> float:
    """Minus the character error rate of predicted labels, for `scoring=` of cross_validate and GridSearchCV.

    Parameters
    ----------
    estimator : fitted estimator
        What predicts.
    X : n sequences
        In any form that its `predict` accepts.
    y : sequence of n labels
        True labels.

    Returns
    -------
    score : float <= 0
    """
    return -character_error_rate(y, estimator.predict(X))


def neg_word_error_rate_scorer(estimator: Any, X: Any, y: Any) -> float:
    """Minus the word error rate of predicted labels, for `scoring=` of cross_validate and GridSearchCV.

    Parameters
    ----------
    estimator : fitted estimator
        What predicts.
    X : n sequences
        In any form that its `predict` accepts.
    y : sequence of n labels
        True labels.

    Returns
    -------
    score : float <= 0
    """
    return -word_error_rate(y, estimator.predict(X))


def _symbols(name: str, labels: Sequence[Any]) -> list[_Label]:
    if isinstance(labels, str):
        raise TypeError(f"{name} is one string, expected a list of labels: put it in brackets.")
    try:
        found = positional(labels, name, "Pass a list of labels.")
    except ValueError as error:
        raise TypeError(str(error)) from error
    return [_tuple(f"{name}[{i}]", label) for i, label in enumerate(found)]


def _words(name: str, labels: Sequence[Any]) -> list[_Label]:
    # every word is a tuple of symbols, so that "ab" and ["a", "b"] are equal
    symbols = _symbols(name, labels)
    words = [
        label.split() if isinstance(label, str) else [s] if s else []
        for label, s in zip(list(labels), symbols, strict=True)
    ]
    return [tuple(map(tuple, split)) for split in words]


def _tuple(name: str, label: Any) -> _Label:
    try:
        symbols = tuple(label if isinstance(label, str) else positional(label, name))
        hash(symbols)
    except (TypeError, ValueError) as error:
        kind = type(label).__name__
        raise TypeError(f"{name} must be a string or a sequence of hashable symbols, got {kind}: {error}.") from error
    return symbols


def _error_rate(true: list[_Label], predicted: list[_Label], sample_weight: Any, unit: str) -> float:
    _check_same_number(true, predicted)
    lengths = [len(label) for label in true]
    weights = check_weights(sample_weight, len(true)) if true else np.empty(0)
    n_true = float(np.dot(weights, lengths))
    if not n_true:
        raise ValueError(f"The true labels have no {unit} (of positive weight): no error rate is defined.")
    return float(np.dot(weights, _edit_distances(true, predicted))) / n_true


def _edit_distances(first: list[_Label], second: list[_Label]) -> np.ndarray:
    """Levenshtein distances of label i to label i, (n,) int64."""
    # numbered, because symbols of equal hash are equal to rapidfuzz: "a" and 97, for example
    numbers: dict[Hashable, int] = {}
    codes = ([[numbers.setdefault(s, len(numbers)) for s in label] for label in labels] for labels in (first, second))
    return process.cpdist(*codes, scorer=Levenshtein.distance, dtype=np.int64)
