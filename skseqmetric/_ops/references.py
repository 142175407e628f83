"""References of an exact Euclidean search: what the search needs of them is made once and kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import torch
from torch import Tensor

from skseqmetric._ops.exact_search import MEMORY, nearest, within
from skseqmetric._ops.scores import Scores, norms_from, refuse_infinite

_FAR = 2.0  # radii: a centre farther from 0 costs digits, so that the search then keeps centred references
_DRIFT = 0.25  # radii by which a mean may leave the centre
_BLOCK = 2**14  # rows that are float64 at a time


@dataclass(frozen=True)
class References:
    """Rows to search, and their distances from a centre. A search changes nothing, so that threads may share it.

    rows : Tensor (R, D), float32 or float64, as given. Distances are those between them and the queries.
    center : Tensor (D,), float64, near the mean of the rows.
    total : Tensor (D,), float64, the sum of the rows.
    squares : Tensor (R,), float32, |r - c|^2.
    radius : float, not less than any |r - c|.
    factors : Tensor (R, D), float32, r - o. The rows themselves, or r - c if c is far from 0 or the rows are float64.
    offset : float, |c - o|.

    Notes
    -----
    The centre decides which candidates are compared, not what is found. So `appended` and `without` keep it while it
    is near the mean, and have the results of `References.of` the same rows to the bit.
    """

    rows: Tensor
    center: Tensor
    total: Tensor
    squares: Tensor
    radius: float
    factors: Tensor
    offset: float

    @classmethod
    def of(cls, rows: Tensor) -> Self:
        """Prepare rows (R, D), on the CPU or CUDA. It takes O(R D) time, and no copy of float32 rows near 0.

        Raises
        ------
        ValueError
            A row is not finite, or its square overflows float64.
        """
        refuse_infinite(rows, "reference")
        total = rows.sum(0, dtype=torch.float64)
        center = total / max(1, len(rows))
        norms = norms_from(rows, center)
        radius = float(norms.max()) if len(rows) else 0.0
        offset = float(center.norm())
        squares = norms.square().float()
        if rows.dtype == torch.float32 and offset <= _FAR * radius:
            return cls(rows, center, total, squares, radius, rows, offset)
        return cls(rows, center, total, squares, radius, _centred(rows, center), 0.0)

    def __len__(self) -> int:
        return len(self.rows)

    def appended(self, rows: Tensor) -> Self:
        """Return these references and further ones, of the same dtype, behind them.

        The centre stays where it is near the new mean, so that only the new rows are prepared.

        Raises
        ------
        ValueError
            As in `of`. The index in the message is that of the new rows.
        """
        refuse_infinite(rows, "reference")
        every, total = torch.cat([self.rows, rows]), self.total + rows.sum(0, dtype=torch.float64)
        norms = norms_from(rows, self.center)
        radius = max(self.radius, float(norms.max())) if len(rows) else self.radius
        if not self._is_near(total, len(every), radius):
            return self.of(every)
        factors = every if self._has_own_factors else torch.cat([self.factors, _centred(rows, self.center)])
        squares = torch.cat([self.squares, norms.square().float()])
        return replace(self, rows=every, total=total, squares=squares, radius=radius, factors=factors)

    def without(self, removed: Tensor) -> Self:
        """Return these references but for those where `removed` (R,), bool, is true. The others keep their order."""
        left = torch.nonzero(~removed)[:, 0]
        rows, squares = self.rows.index_select(0, left), self.squares.index_select(0, left)
        total = self.total - self.rows[removed].sum(0, dtype=torch.float64)
        radius = float(squares.max().sqrt()) if len(left) else 0.0
        if radius < self.radius / 2 or not self._is_near(total, len(left), radius):
            return self.of(rows)
        factors = rows if self._has_own_factors else self.factors.index_select(0, left)
        return replace(self, rows=rows, total=total, squares=squares, factors=factors)

    def search(
        self, queries: Tensor, k: int, *, exclude: Tensor | None = None, memory: int = MEMORY
    ) -> tuple[Tensor, Tensor]:
        """Return the k nearest references of every query, exact.

        Parameters
        ----------
        queries : Tensor (Q, D), floating, on the device of the references
        k : int
            1 <= k <= R, or R - 1 if a reference is excluded.
        exclude : Tensor (Q,) int64, default=None
            One reference index per query that may not be its neighbour (-1: none).
        memory : int
            Bytes for the scores of one block of queries. No (Q, R) matrix is ever made.

        Returns
        -------
        distances : Tensor (Q, k) float64
            By the definition of `euclidean_rows`, to the bit.
        indices : Tensor (Q, k) int64
            Rows sorted by (distance, index), duplicates included.

        Raises
        ------
        ValueError
            A query is not finite, its square overflows float64, or k is out of range.

        Notes
        -----
        Costs O(Q R D) time and O(Q k + memory) space. Candidates come from a float32 matrix product. If its rounding
        bound cannot separate candidates from the rest, more of them are compared, and then those of a float64 product.
        If this fails too, because of exact ties, the search computes the distances to all references inside the bound.
        """
        most = len(self) - int(exclude is not None and bool((exclude >= 0).any()))
        if not 1 <= k <= most:
            raise ValueError(f"k={k} neighbours were asked for, but between 1 and {most} can be given")
        return nearest(self, queries, k, exclude, memory)

    def within(self, queries: Tensor, radius: float, *, memory: int = MEMORY) -> tuple[Tensor, Tensor, Tensor]:
        """Return all references of every query whose distance is at most `radius`.

        Parameters
        ----------
        queries : Tensor (Q, D), floating, on the device of the references
        radius : float
            Not negative.
        memory : int
            Bytes for the scores of one block of queries.

        Returns
        -------
        starts : Tensor (Q + 1,) int64
            Query q has the entries starts[q]..starts[q + 1] of the other two.
        distances : Tensor (P,) float64
            By the definition of `euclidean_rows`, to the bit.
        indices : Tensor (P,) int64
            Ascending for every query.

        Raises
        ------
        ValueError
            A query is not finite, or its square overflows float64.
        """
        return within(self, queries, radius, memory)

    def scores(self, dtype: torch.dtype) -> Scores:
        """Return the scores of the references by products in float32, or in float64 by factors that are not kept."""
        n, width = self.rows.shape
        if dtype == torch.float32:
            return Scores(self._single_factors, dtype, n, width, self.radius, self.offset)
        return Scores(partial(_double_factors, self.rows, self.center), dtype, n, width, self.radius, 0.0)

    def _single_factors(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        return self.factors[start:stop], self.squares[start:stop]

    @property
    def _has_own_factors(self) -> bool:
        return self.factors is self.rows

    def _is_near(self, total: Tensor, n: int, radius: float) -> bool:
        return float((total / max(1, n) - self.center).norm()) <= _DRIFT * radius


def _double_factors(rows: Tensor, center: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
    centred = rows[start:stop].double() - center
    return centred, centred.square().sum(1)


def _centred(rows: Tensor, center: Tensor) -> Tensor:
    out = torch.empty(rows.shape, dtype=torch.float32, device=rows.device)
    for s in range(0, len(rows), _BLOCK):
        out[s : s + _BLOCK] = rows[s : s + _BLOCK].double() - center
    return out
