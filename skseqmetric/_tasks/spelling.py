"""Checks of labels that are sequences of symbols, and their conversion to codes and back."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skseqmetric._input import positional
from skseqmetric._ops.ctc import least_steps
from skseqmetric._tensors.steps import IGNORED, StepTargets

BLANK = 0
"""The code of the blank of CTC. Symbols have the codes 1 to K."""

Symbols = tuple[Hashable, ...]


@dataclass(frozen=True)
class SymbolLabels:
    """n labels as tuples of symbols. The caller gave all of them as strings, or all as lists."""

    labels: list[Symbols]
    kind: str  # "string" or "list"

    def __len__(self) -> int:
        return len(self.labels)


def check_symbol_labels(y: Any, n: int, *, name: str = "y", of: str = "X has {} sequences") -> SymbolLabels:
    """Check the labels of n sequences.

    Parameters
    ----------
    y : sequence of n labels
        Either all are strings, or all are lists, tuples or arrays of hashable symbols. Labels may be empty.
    n : int
        Number of labels.
    name, of : str
        Parts of messages: the name of y, and a phrase that counts the n things.

    Raises
    ------
    ValueError
        The number of labels is not n, or there is no label.
    TypeError
        y is a single string, a label is neither a string nor a list, or both kinds occur.
    """
    if y is None:
        raise ValueError(f"The estimator requires {name} to be passed, but the target {name} is None.")
    if isinstance(y, str):
        raise TypeError(f"{name} is one string, expected a list of labels: put it in brackets.")
    try:
        labels = y if type(y) is list else list(positional(y, name, "Pass a list of strings, or of lists of symbols."))
    except ValueError as error:
        raise TypeError(str(error)) from error
    if len(labels) != n:
        raise ValueError(f"{name} has {len(labels)} labels, but {of.format(n)}: pass one label for each.")
    checked = [_symbols(f"{name}[{i}]", label) for i, label in enumerate(labels)]
    strings = [isinstance(label, str) for label in labels]
    if any(strings) and not all(strings):
        first, other = strings.index(True), strings.index(False)
        raise TypeError(f"{name}[{first}] is a string and {name}[{other}] is not: pass labels of one kind.")
    return SymbolLabels(checked, "string" if all(strings) else "list")


def check_alphabet(symbols: Iterable[Any], name: str = "y") -> np.ndarray:
    """Return the sorted distinct symbols (K,), K >= 1, as an array of objects.

    Raises
    ------
    ValueError
        There is no symbol, or one does not equal itself (NaN).
    TypeError
        Symbols cannot be hashed or sorted.
    """
    try:
        distinct = {_plain(symbol) for symbol in symbols}
        unequal = [symbol for symbol in distinct if symbol != symbol]  # True for NaN only
        ordered = sorted(distinct)
    except TypeError as error:
        raise TypeError(f"The symbols of {name} must be hashable and sortable: {error}.") from error
    if unequal:
        raise ValueError(f"{name} has the symbol {unequal[0]!r}, which does not equal itself: replace it.")
    if not ordered:
        raise ValueError(f"{name} has no symbol: there is nothing to learn.")
    alphabet = np.empty(len(ordered), dtype=object)
    for k, symbol in enumerate(ordered):  # one by one, because a symbol may be a tuple
        alphabet[k] = symbol
    return alphabet


def spelled(labels: SymbolLabels, alphabet: np.ndarray) -> list[np.ndarray]:
    """Convert labels to arrays of codes (L_i,). A symbol outside the alphabet becomes `IGNORED`."""
    codes = {symbol: k for k, symbol in enumerate(alphabet, start=BLANK + 1)}
    return [np.array([codes.get(symbol, IGNORED) for symbol in label], dtype=np.int64) for label in labels.labels]


def check_known(codes: Sequence[np.ndarray], labels: SymbolLabels, alphabet: np.ndarray) -> None:
    """Refuse symbols outside the alphabet of the first fit, and an alphabet that strings cannot spell."""
    others = [symbol for symbol in alphabet if not isinstance(symbol, str) or len(symbol) != 1]
    if labels.kind == "string" and others:
        raise ValueError(f"The labels are strings, so symbols are single characters, but {others[0]!r} is not.")
    for i, (row, label) in enumerate(zip(codes, labels.labels, strict=True)):
        if (row == IGNORED).any():
            symbol = label[int(np.argmin(row))]
            raise ValueError(
                f"y[{i}] has the symbol {symbol!r}, which is not among those of the first fit: "
                f"{', '.join(map(repr, alphabet))}."
            )


def check_room(codes: Sequence[np.ndarray], lengths: np.ndarray, steps: np.ndarray) -> None:
    """Refuse a label that is too long for CTC. The network leaves `steps` (n,) of sequences of `lengths` (n,)."""
    needed = np.array([least_steps(label) for label in codes])
    short = np.flatnonzero(needed > steps)
    if len(short):
        i = int(short[0])
        raise ValueError(
            f"y[{i}] does not fit: its {len(codes[i])} symbols take {needed[i]} steps (one each, and one between equal "
            f"neighbours), but sequence {i} has {lengths[i]} steps, of which the series encoder leaves {steps[i]}. "
            f"{len(short)} of {len(codes)} labels do not fit: sample the sequences more densely, or pass an encoder "
            "that leaves more steps."
        )


def with_start_symbol(codes: Sequence[np.ndarray]) -> StepTargets:
    """Put one `IGNORED` in front of every label, to make targets of training.

    An empty label then has a row too. The bytes of a sequence and its label are also unique to this pair.
    """
    lengths = np.array([len(label) + 1 for label in codes], dtype=np.int64)
    flat = np.full(lengths.sum(), IGNORED)
    flat[np.arange(len(flat)) != np.repeat(np.cumsum(lengths) - lengths, lengths)] = np.concatenate(list(codes))
    return StepTargets(flat, lengths)


def without_start_symbol(targets: StepTargets) -> list[np.ndarray]:
    """Return the codes that were passed to `with_start_symbol`."""
    return [row[1:] for row in targets]


def numbered(codes: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the sorted distinct labels, and the index (n,) of every label among them."""
    rows = [tuple(label.tolist()) for label in codes]
    distinct = sorted(set(rows))
    places = {row: k for k, row in enumerate(distinct)}
    return [np.array(row, dtype=np.int64) for row in distinct], np.array([places[row] for row in rows], dtype=np.int64)


def written(codes: np.ndarray, alphabet: np.ndarray, kind: str) -> Any:
    """Convert codes (L,) to a "string" or a "list" of symbols."""
    symbols = [alphabet[code - 1] for code in codes]
    return "".join(symbols) if kind == "string" else symbols


def _symbols(name: str, label: Any) -> Symbols:
    if isinstance(label, str):
        return tuple(label)
    try:
        symbols = tuple(_plain(symbol) for symbol in positional(label, name, "Pass a string or a list of symbols."))
        hash(symbols)
    except (TypeError, ValueError) as error:
        kind = type(label).__name__
        raise TypeError(
            f"{name} must be a string or a list of symbols, got {kind} instead of hashable symbols: {error}"
        ) from error
    if None in symbols:
        raise ValueError(f"{name}[{symbols.index(None)}] is None: every symbol must be given.")
    return symbols


def _plain(symbol: Any) -> Any:
    """Return the Python object that a NumPy scalar holds."""
    return symbol.item() if isinstance(symbol, np.generic) else symbol
