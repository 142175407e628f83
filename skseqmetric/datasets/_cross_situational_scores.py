"""Scores of the cross-situational task: decoding, errors and a baseline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from skseqmetric._input import as_array, positional, real_numbers, unnested
from skseqmetric.datasets._arguments import check_ranges
from skseqmetric.datasets._cross_situational_grammar import (
    N_SLOTS,
    NOT_MENTIONED,
    STRUCTURE_WORDS,
    check_n_objects,
    clauses_of,
    group_sizes,
)

_INVALID, _EXACT = 0, 2


def decode_meanings(outputs: Any, n_objects: int, threshold: float = 1.3) -> np.ndarray:
    r"""Decode the outputs of a model of the cross-situational task to meanings.

    In every slot, the outputs o of each group of K concepts (K = O objects, 3 positions, 4 colours) give

    .. math:: p = \mathrm{softmax}(o), \qquad
              \hat c = \arg\max_k p_k \;\text{ where }\; \max_k p_k \ge \mathrm{threshold} / K,
              \;\text{ else none.}

    Parameters
    ----------
    outputs : array-like (n, 2 (O + 7))
        Columns as in y of `make_cross_situational`; one row for each sentence, or for each step of one.
    n_objects : int
        Objects O, 2 to 50.
    threshold : float, default=1.3
        Least probability, in multiples of a uniform guess 1 / K, >= 0. Groups of K < threshold concepts always give
        none.

    Returns
    -------
    ndarray (n, 2, 3) int64
        Index of object, position and colour of both slots, -1 for none.

    Raises
    ------
    ValueError
        `outputs` has another shape or is not finite, or a parameter is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric.datasets import decode_meanings
    >>> cup, left, red = [0, 1, 0, 0], [1, 0, 0], [1, 0, 0, 0]
    >>> decode_meanings([[*cup, *left, *red, *np.zeros(11)]], 4).tolist()
    [[[1, 0, 0], [-1, -1, -1]]]
    """
    check_n_objects(n_objects)
    check_ranges({f"threshold={threshold} must be finite and >= 0": 0 <= threshold < np.inf})
    sizes = group_sizes(n_objects)
    outputs = _checked_table(outputs, "outputs")
    n, width = outputs.shape
    if width != N_SLOTS * sum(sizes):
        raise ValueError(
            f"outputs has {width} columns, but n_objects={n_objects} needs {N_SLOTS} x {sum(sizes)}: two slots of "
            f"{n_objects} objects, {sizes[1]} positions and {sizes[2]} colors."
        )
    groups = np.split(outputs.reshape(n, N_SLOTS, sum(sizes)), np.cumsum(sizes)[:-1], axis=-1)
    return np.stack([_decoded(group, threshold) for group in groups], axis=-1)


def rate_meanings(meanings: Any, decoded: Any) -> np.ndarray:
    """Rate the decoded meaning of both objects of every sentence.

    Parameters
    ----------
    meanings : array-like (n, 2, 3) of int
        What the sentences mention, as `make_cross_situational` returns it.
    decoded : array-like (n, 2, 3) of int
        What `decode_meanings` made of a model's outputs.

    Returns
    -------
    ndarray (n, 2) int64
        For every slot 0, 1 or 2. 0, invalid: something mentioned is wrong or missing. 1, valid: all that is mentioned
        is right, but more was decoded. 2, exact: both are equal.

    Raises
    ------
    ValueError
        One of the two is not (n, 2, 3) of integers with n >= 1, or the shapes differ.

    Examples
    --------
    >>> from skseqmetric.datasets import rate_meanings
    >>> rate_meanings([[[0, 1, -1], [-1, -1, -1]]], [[[0, 1, 3], [-1, -1, -1]]]).tolist()
    [[1, 2]]
    """
    meanings, decoded = _checked_meanings("meanings", meanings), _checked_meanings("decoded", decoded)
    if len(meanings) != len(decoded):
        raise ValueError(f"meanings are of {len(meanings)} sentences, but decoded of {len(decoded)}.")
    same = meanings == decoded
    valid = (same | (meanings == NOT_MENTIONED)).all(axis=-1)
    return valid.astype(np.int64) + same.all(axis=-1)  # what is exact is valid


def valid_error(meanings: Any, decoded: Any) -> float:
    """Share of sentences with an invalid slot: something that they mention is decoded wrongly.

    Parameters
    ----------
    meanings : array-like (n, 2, 3) of int
        What the sentences mention, -1 for none.
    decoded : array-like (n, 2, 3) of int
        What `decode_meanings` returned for a model's outputs.

    Returns
    -------
    float
        In [0, 1]. What is decoded beyond the sentence is not counted.

    Raises
    ------
    ValueError
        One of the two is not (n, 2, 3) of integers with n >= 1, or the shapes differ.

    See Also
    --------
    exact_error : Counts everything; never smaller.
    rate_meanings : Object by object.

    Examples
    --------
    >>> from skseqmetric.datasets import valid_error
    >>> meanings = [[[0, 1, -1], [-1, -1, -1]], [[0, 1, 2], [3, -1, -1]]]
    >>> valid_error(meanings, [[[0, 1, 2], [3, 2, 1]], [[0, 1, 2], [-1, -1, -1]]])
    0.5
    """
    return float((rate_meanings(meanings, decoded) == _INVALID).any(axis=1).mean())


def exact_error(meanings: Any, decoded: Any) -> float:
    """Share of sentences with any of the six fields decoded wrongly.

    Parameters
    ----------
    meanings : array-like (n, 2, 3) of int
        What the sentences mention, -1 for what they do not.
    decoded : array-like (n, 2, 3) of int
        What `decode_meanings` returned for a model's outputs; a field that is not mentioned must be -1 here too.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        One of the two is not (n, 2, 3) of integers with n >= 1, or the shapes differ.

    See Also
    --------
    valid_error : Ignores fields that are not mentioned.
    rate_meanings : Object by object.

    Examples
    --------
    >>> from skseqmetric.datasets import exact_error
    >>> exact_error([[[0, 1, -1], [-1, -1, -1]]], [[[0, 1, 2], [-1, -1, -1]]])
    1.0
    """
    return float((rate_meanings(meanings, decoded) != _EXACT).any(axis=1).mean())


class KeywordMemory(BaseEstimator):
    """Baseline of the cross-situational task: remembers clauses by their key words, in any order.

    Key words name an object, a position or a colour. For every multiset of key words, the memory keeps the last object
    that the teachers showed with such a clause, in either slot. It predicts this object for every clause with the same
    key words. It predicts zeros for key words that it has not seen, and for a missing second clause. It knows neither
    words nor grammar.

    Attributes
    ----------
    memory_ : dict of {tuple of str: ndarray (K,)}
        Sorted key words, and the slot remembered for them, K = O + 7.
    n_outputs_ : int
        Columns of y, 2 K.

    Examples
    --------
    >>> from skseqmetric.datasets import KeywordMemory, decode_meanings, make_cross_situational, valid_error
    >>> task = make_cross_situational(4, random_state=0)
    >>> memory = KeywordMemory().fit(task.train.sentences, task.train.y)
    >>> decoded = decode_meanings(memory.predict(task.test.sentences), 4)
    >>> valid_error(task.test.meanings, decoded)
    0.0
    """

    def fit(self, sentences: Any, y: Any) -> KeywordMemory:
        """Remember the sentences in their order.

        Parameters
        ----------
        sentences : list of n lists of words
            Sentences of one clause, or of two clauses joined by "and".
        y : array-like (n, 2 K)
            Teachers as in `make_cross_situational`: first the columns of the first slot.

        Returns
        -------
        self : KeywordMemory

        Raises
        ------
        ValueError
            Sentences and y differ in number, y has an odd number of columns, or a sentence has more than two clauses.
        """
        sentences = positional(sentences, "sentences", "Pass a list of lists of words.")
        y = _checked_table(y, "y")
        if len(sentences) != len(y) or y.shape[1] % N_SLOTS:
            raise ValueError(
                f"y has shape {y.shape}, but {len(sentences)} sentences need ({len(sentences)}, 2 K): one row each, "
                "and K columns for each of the two slots."
            )
        slots = y.reshape(len(y), N_SLOTS, -1)
        self.memory_ = {bag: slots[i, k].copy() for i, k, bag in _bags(sentences)}
        self.n_outputs_ = y.shape[1]
        return self

    def predict(self, sentences: Any) -> np.ndarray:
        """Recall the objects of the sentences.

        Parameters
        ----------
        sentences : list of n lists of words
            As for `fit`.

        Returns
        -------
        ndarray (n, 2 K) float64
            Outputs for `decode_meanings`.

        Raises
        ------
        ValueError
            A sentence has more than two clauses.
        """
        check_is_fitted(self)
        sentences = positional(sentences, "sentences", "Pass a list of lists of words.")
        recalled = np.zeros((len(sentences), N_SLOTS, self.n_outputs_ // N_SLOTS))
        for i, k, bag in _bags(sentences):
            recalled[i, k] = self.memory_.get(bag, 0.0)
        return recalled.reshape(len(sentences), self.n_outputs_)


def _decoded(outputs: np.ndarray, threshold: float) -> np.ndarray:
    """Index of the largest of the outputs (..., K), or -1 where its softmax is below threshold / K."""
    largest = outputs.max(axis=-1, keepdims=True)
    certainty = 1 / np.exp(outputs - largest).sum(axis=-1)  # the softmax at the largest output
    return np.where(certainty >= threshold / outputs.shape[-1], outputs.argmax(axis=-1), NOT_MENTIONED)


def _checked_table(values: Any, name: str) -> np.ndarray:
    """Finite numbers (n, columns) in float64."""
    array = real_numbers(as_array(positional(values, name), name), name)
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f"Expected 2D array: {name} has shape {array.shape}, but must be (n, columns) with at least one of each."
        )
    return check_array(array, dtype=np.float64, input_name=name)


def _checked_meanings(name: str, values: Any) -> np.ndarray:
    codes = unnested(as_array(positional(values, name), name), name)
    if codes.ndim != 3 or codes.shape[1:] != (N_SLOTS, 3) or len(codes) == 0 or codes.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be (n, 2, 3) integers with n >= 1, got an array of shape {codes.shape}, {codes.dtype}."
        )
    return codes


def _bags(sentences: Any) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Sentence, slot and sorted key words of every clause that has key words."""
    for i, sentence in enumerate(sentences):
        for k, clause in enumerate(clauses_of(sentence)):
            bag = tuple(sorted(word for word in clause if word not in STRUCTURE_WORDS))
            if bag:
                yield i, k, bag
