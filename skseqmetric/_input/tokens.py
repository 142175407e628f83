"""Tokens: sequences of words or other symbols, their vocabularies, and their codes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from skseqmetric._input.arrays import as_array, is_missing, kind_of, positional
from skseqmetric._input.frames import frame_array, is_frame, is_panel, shared_names
from skseqmetric._input.sequences import Sequences

Vocabulary = dict[Any, int]
"""Tokens of one column and their codes, from 1 on. Code 0 is the unknown token."""

REMEDY = "If these are tokens, such as words, use an estimator with tokens=True (NRNM*, Recurrent*)."

_FORMS = "Pass a list of sequences of tokens: [['how', 'many'], ['who']], or integers in place of text."
_NUMBERS = "Tokens are text or integers. Measured numbers need tokens=False."


def token_sequences(X: Any) -> Sequences:
    """Return `Sequences` whose values (sum of lengths, C) are the tokens themselves, str or int, dtype object.

    Raises
    ------
    ValueError
        X is no list of sequences of tokens. The message names the sequence and the step.
    """
    if is_panel(X):
        raise ValueError("X has an index (case, time): pass the tokens of each case as a list.")
    items = list(frame_array(X, "X") if is_frame(X) else positional(X, "X", _FORMS))
    if not items:
        raise ValueError(f"X is empty: at least one sequence is needed. {_FORMS}")
    blocks = [_block(x, i) for i, x in enumerate(items)]
    widths = [block.shape[1] for block in blocks]
    for i, width in enumerate(widths):
        if width != widths[0]:
            raise ValueError(f"sequence {i} has {width} tokens a step, but sequence 0 has {widths[0]}.")
    lengths = np.array([len(block) for block in blocks], dtype=np.int64)
    sequences = Sequences(np.concatenate(blocks), lengths, channel_names=shared_names(items))
    for column in range(widths[0]):
        _refuse_mixed(sequences, column)
    return sequences


def holds_tokens(sequences: Sequences) -> bool:
    """Whether the values are tokens, and not numbers."""
    return sequences.values.dtype.kind == "O"


def _block(x: Any, i: int) -> np.ndarray:
    """Return the tokens (T, C) of sequence i as Python objects."""
    if isinstance(x, (str, bytes, int, np.integer, np.str_)):
        raise ValueError(
            f"sequence {i} is {x!r}, but a sequence is a list of tokens. Pass [X] for one sequence, or "
            f"[text.split() for text in X] for texts. {_FORMS}"
        )
    rows = _rows(x, i)
    if not rows:
        raise ValueError(f"sequence {i} has zero steps: remove it.")
    width = len(rows[0])
    block = np.empty((len(rows), width), dtype=object)
    for t, row in enumerate(rows):
        if len(row) != width or not width:
            raise ValueError(f"sequence {i}, step {t} has {len(row)} token(s), but step 0 has {width}: pass as many.")
        for column, token in enumerate(row):
            block[t, column] = _token(token, i, t)
    return block


def _rows(x: Any, i: int) -> list[Any]:
    """Return the tokens of every step. Lists are not made arrays, which would turn integers beside text into text."""
    steps: list[Any] | np.ndarray
    if isinstance(x, (list, tuple)):
        steps = list(x)
    else:
        array = frame_array(x, f"sequence {i}") if is_frame(x) else as_array(positional(x, f"sequence {i}", _FORMS), "")
        if array.ndim > 2:
            raise ValueError(f"sequence {i} has {array.ndim} dimensions, but it is (steps,) or (steps, columns).")
        steps = array.tolist()
    nested = [isinstance(step, (list, tuple)) or (hasattr(step, "__array__") and np.ndim(step) > 0) for step in steps]
    if any(nested) and not all(nested):
        t = nested.index(not nested[0])
        raise ValueError(f"sequence {i}, step {t} and step 0 differ: one is a list of tokens, and one is a token.")
    if nested and nested[0]:
        return [step.tolist() if hasattr(step, "tolist") else list(step) for step in steps]
    return [[step] for step in steps]


def _token(token: Any, i: int, t: int) -> Any:
    """Return a token as str or int of Python."""
    if isinstance(token, str):
        return str(token)
    if isinstance(token, (int, np.integer)) and not isinstance(token, bool):
        return int(token)
    place = f"sequence {i}, step {t} is {token!r}"
    if is_missing(token):
        raise ValueError(f"{place}, a missing token: leave it out, or write a token of its own, such as '<missing>'.")
    if isinstance(token, bytes):
        raise ValueError(f"{place}, bytes: decode it to text first.")
    raise ValueError(f"{place}, {kind_of(token)}. {_NUMBERS}")


def _refuse_mixed(sequences: Sequences, column: int) -> None:
    """Refuse text and integers in one column: "1" and 1 would be two tokens."""
    kinds = list(map(type, sequences.values[:, column].tolist()))
    if len(set(kinds)) > 1:
        raise _other_kind(sequences, next(k for k, kind in enumerate(kinds) if kind is not kinds[0]), column, kinds[0])


def _other_kind(sequences: Sequences, row: int, column: int, kind: type) -> ValueError:
    i = int(np.searchsorted(np.cumsum(sequences.lengths), row, side="right"))
    step = row - int(sequences.offsets[i])
    return ValueError(
        f"sequence {i}, step {step} is {sequences.values[row, column]!r}, but other tokens are of type "
        f"{kind.__name__}: pass tokens of one type."
    )


# ------------------------------------------------------------------------------------ vocabularies


def vocabularies_of(sequences: Sequences) -> tuple[list[Vocabulary], list[tuple[int, ...]]]:
    """Return the vocabulary of every column, and how often every token occurs, in the order of the codes 1, 2, ..."""
    counts = [Counter(column) for column in sequences.values.T.tolist()]
    ordered = [sorted(counter) for counter in counts]
    vocabularies = [{token: code for code, token in enumerate(tokens, 1)} for tokens in ordered]
    return vocabularies, [tuple(c[t] for t in tokens) for c, tokens in zip(counts, ordered, strict=True)]


def token_codes(sequences: Sequences, vocabularies: list[Vocabulary]) -> Sequences:
    """Return the sequences with float32 codes as values. A token that is not in its vocabulary has the code 0.

    Raises
    ------
    ValueError
        A column has text where the vocabulary has integers, or the reverse.
    """
    values = np.empty(sequences.values.shape, dtype=np.float32)
    for column, vocabulary in enumerate(vocabularies):
        tokens, kind = sequences.values[:, column].tolist(), type(next(iter(vocabulary)))
        if type(tokens[0]) is not kind:
            raise _other_kind(sequences, 0, column, kind)
        values[:, column] = [vocabulary.get(token, 0) for token in tokens]
    return replace(sequences, values=values)
