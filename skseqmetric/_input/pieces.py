"""Data that arrive piece by piece, from an iterator, so that they are never in memory all at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from skseqmetric._input.arrays import kind_of

Piece = tuple[Any, Any, Any]
"""X, y and sample_weight; the last two may be None."""


def pieces_of(X: Any, y: Any, sample_weight: Any) -> Iterator[Piece]:
    """Yield the pieces of an iterator over (X, y) or (X, y, sample_weight), or the arguments as the only piece.

    Raises
    ------
    ValueError
        y or sample_weight is given beside an iterator, the iterator yields something else, or nothing.
    """
    if not hasattr(X, "__next__"):
        yield X, y, sample_weight
        return
    if y is not None or sample_weight is not None:
        raise ValueError("X is an iterator of pieces, which bring their own y and sample_weight: pass X alone.")
    number = -1
    for number, piece in enumerate(X):
        if not isinstance(piece, tuple) or len(piece) not in (2, 3):
            raise ValueError(f"piece {number} is {kind_of(piece)}: yield tuples (X, y) or (X, y, sample_weight).")
        yield (*piece, None) if len(piece) == 2 else piece
    if number < 0:
        raise ValueError("X is an iterator that yields nothing: at least one piece (X, y) is needed.")
