"""Scores by matrix products, which order references for a query up to an error that is known.

The score of a reference r for a query q, with a centre c near the references, is

    s(q, r) = |r - c|^2 - 2 (q - c) . (r - o),      o = c or 0.

It differs from |q - r|^2 by a number of the query alone: |q - c|^2, and 2 (q - c) . c where o is 0. With o = 0 the
references themselves are the factors of the product, so that nothing is stored but a number for each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import torch
from torch import Tensor

GROUP = 32
"""Columns that a first selection represents by their minimum."""

_CACHE = {"cpu": 2**18}
"""Scores of one product: their groups are formed while they are in the cache. Other devices want large products."""

_BLOCK = 2**14  # rows that are float64 at a time
_NARROWEST = 256  # references of a block of scores, where memory is scarce


def refuse_infinite(rows: Tensor, name: str) -> None:
    """Raise ValueError if a row is not finite, or too large for its square."""
    bad = torch.nonzero(~torch.isfinite(norms_from(rows, rows.new_zeros(rows.shape[1], dtype=torch.float64))))
    if len(bad):
        raise ValueError(f"the embedding of {name} {int(bad[0])} is not finite, or too large for float64")


def norms_from(rows: Tensor, center: Tensor) -> Tensor:
    """Return |r - c| (R,), float64, with little temporary memory."""
    if len(rows) <= _BLOCK:
        return (rows.double() - center).square_().sum(1).sqrt_()
    return torch.cat([(part.double() - center).square_().sum(1).sqrt_() for part in rows.split(_BLOCK)])


@dataclass(frozen=True)
class Scores:
    """The scores of all references in one precision.

    factors : the factors (stop - start, D) of references, r - o, and their squared distances from c, of one dtype.
    n : number of references R.
    width : numbers of a reference D.
    radius : largest |r - c|.
    offset : |c - o|.
    """

    factors: Callable[[int, int], tuple[Tensor, Tensor]]
    dtype: torch.dtype
    n: int
    width: int
    radius: float
    offset: float

    def error(self, norms: Tensor) -> Tensor:
        """Bound on |computed - exact| of a score, and of a direct squared distance, for queries of norms |q - c| (B,).

        Here u is the unit roundoff. A sum of D + 1 products in any order has an error of at most
        (D + 1) u (|r - c|^2 + 2 |q - c| |r - o|). Rounding of the factors and the direct form add a few of
        u (|q - c| + |r - c|)^2.
        """
        unit = torch.finfo(self.dtype).eps / 2
        return (self.width + 16) * unit * ((norms + self.radius).square() + 2 * self.offset * norms)

    def fill(self, queries: Tensor, start: int, out: Tensor, minima: Tensor | None = None) -> None:
        """Write the scores of centred queries (B, D) for references start..start + W into `out` (B, W + padding).

        `minima` (B, groups) gets the least score of every group of columns. Columns after the last reference are
        infinite.
        """
        n = min(out.shape[1], self.n - start)
        if n < out.shape[1]:
            out[:, n:] = torch.inf
        cache = _CACHE.get(out.device.type, 2**31)
        size = max(GROUP, cache // len(queries) // GROUP * GROUP)
        for s in range(0, n, size):
            e = min(s + size, n)
            weights, squares = self.factors(start + s, start + e)
            torch.addmm(squares, queries, weights.T, alpha=-2, out=out[:, s:e])
            if minima is not None:
                e += -e % GROUP
                torch.amin(out[:, s:e].unflatten(1, (-1, GROUP)), 2, out=minima[:, s // GROUP : e // GROUP])


class Buffers:
    """Memory for scores that goes from block to block: touching new memory costs as much as the product."""

    def __init__(self) -> None:
        self._free: SimpleQueue[Tensor] = SimpleQueue()

    def take(self, size: int, like: Tensor) -> Tensor:
        """Return a buffer of at least this size, whose contents are not defined."""
        try:
            buffer = self._free.get_nowait()
        except Empty:
            return like.new_empty(size)
        return buffer if len(buffer) >= size and buffer.dtype == like.dtype else like.new_empty(size)

    def give_back(self, buffer: Tensor) -> None:
        """Let the next block have the buffer."""
        self._free.put(buffer)


def smallest_scores(scores: Scores, queries: Tensor, kept: int, memory: int, buffers: Buffers) -> tuple[Tensor, Tensor]:
    """The `kept` references of smallest scores, for centred queries (B, D) of the dtype of the scores.

    Returns
    -------
    values : Tensor (B, kept), ascending
    indices : Tensor (B, kept), int64
    """
    spans = equal_spans(scores.n, block_width(scores, len(queries), memory))
    buffer = buffers.take(len(queries) * (spans[0].stop + GROUP), queries)
    found = [_smallest_of_span(scores, queries, span, kept, buffer) for span in spans]
    buffers.give_back(buffer)
    if len(found) == 1:
        return found[0]
    values, indices = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
    values, at = torch.topk(values, kept, dim=1, largest=False)
    return values, indices.gather(1, at)


def block_width(scores: Scores, n_queries: int, memory: int) -> int:
    """References whose scores for so many queries take so many bytes."""
    return max(_NARROWEST, memory // (scores.dtype.itemsize * n_queries))


def equal_spans(n: int, widest: int) -> list[range]:
    """Spans of about equal widths from 0 to n. All but the last are whole groups."""
    width = -(-n // -(-n // widest))
    width += -width % GROUP
    return [range(s, min(s + width, n)) for s in range(0, n, width)]


def _smallest_of_span(scores: Scores, queries: Tensor, span: range, kept: int, buffer: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest scores of a span: they lie in the groups of smallest minima."""
    height, width = len(queries), len(span)
    if 2 * GROUP * kept > width:
        out = buffer[: height * width].view(height, width)
        scores.fill(queries, span.start, out)
        values, columns = torch.topk(out, min(kept, width), dim=1, largest=False)
        return values, columns + span.start
    width += -width % GROUP
    out = buffer[: height * width].view(height, width)
    minima = out.new_empty(height, width // GROUP)
    scores.fill(queries, span.start, out, minima)
    groups = torch.topk(minima, kept, dim=1, largest=False, sorted=False).indices
    members = out.unflatten(1, (-1, GROUP)).gather(1, groups[:, :, None].expand(-1, -1, GROUP)).flatten(1)
    values, at = torch.topk(members, kept, dim=1, largest=False)
    return values, groups.gather(1, at // GROUP) * GROUP + at % GROUP + span.start
