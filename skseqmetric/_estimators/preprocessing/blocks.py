"""Sequences in parts, so that memory beside the result is bounded and a bar can show how far the work is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from skseqmetric._input import Sequences
from skseqmetric._ops.progress import tracked

MOST_VALUES = 1 << 20
"""Values of a block, unless one sequence has more."""


def blocks(sequences: Sequences) -> Iterator[tuple[Sequences, slice]]:
    """Yield runs of sequences, each with its rows in the values of all."""
    stops = np.cumsum(sequences.lengths)
    numbers = (stops - 1) * sequences.n_channels // MOST_VALUES
    firsts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(sequences)]
    runs = list(pairwise(firsts))
    for first, end in tracked(runs, "sequences", len(runs), "block"):
        yield sequences.take(slice(first, end)), slice(int(sequences.offsets[first]), int(stops[end - 1]))
