"""Prepared sequences put together, and some of them taken out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skseqmetric._input import Sequences


def joined(first: Any, second: Any) -> Any:
    """Return prepared sequences, and after them those of a second call of `_prepare` of the same metric."""
    if isinstance(first, Sequences):
        values = np.concatenate([first.values, second.values])
        return replace(first, values=values, lengths=np.concatenate([first.lengths, second.lengths]))
    return first.joined(second)


def taken(prepared: Any, rows: np.ndarray) -> Any:
    """Return a copy of some of the prepared sequences, in the order of `rows`."""
    return prepared.take(rows) if isinstance(prepared, Sequences) else prepared.taken(rows)


def can_grow(prepared: Any) -> bool:
    """Whether prepared sequences can be joined, and some taken out."""
    return isinstance(prepared, Sequences) or (hasattr(prepared, "joined") and hasattr(prepared, "taken"))


def check_growing(metric: Any, prepared: Any) -> None:
    """Raise ValueError if there is no way to join prepared sequences of this metric, or to take some out."""
    if can_grow(prepared):
        return
    raise ValueError(
        f"{type(metric).__name__}._prepare returns {type(prepared).__name__}, to which no sequences can be added: give "
        "it methods joined(other) and taken(rows), or let it return Sequences."
    )
