"""The exact search for one query on the CPU, in few calls: for small references, calls take longer than the arithmetic.

NumPy has less to do for a call than torch. Its element-wise operations have the same bits.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from skseqmetric._ops.scores import GROUP

if TYPE_CHECKING:
    from skseqmetric._ops.references import References

_FEWEST = 2**15  # references from which groups are selected first
_UNIT = float(np.finfo(np.float32).eps) / 2


def nearest_to_one(references: References, query: Tensor, kept: int, k: int) -> tuple[Tensor, Tensor] | None:
    """Return distances and indices (1, k) of the references that are nearest to a query (1, D), exact.

    None: the `kept` candidates of a float32 product do not settle it. The query is finite, and of moderate size.
    """
    own = query.numpy()[0].astype(np.float64)
    centred = own - references.center.numpy()
    norm = sqrt(centred @ centred)
    single = torch.from_numpy(centred.astype(np.float32))
    scores = torch.addmv(references.squares, references.factors, single, alpha=-2)
    values, candidates = _smallest(scores, kept)
    reach = norm + references.radius
    error = (len(own) + 16) * _UNIT * (reach * reach + 2 * references.offset * norm)
    if kept < len(scores) and float(values[-1]) <= float(values[k - 1]) + 2 * error:
        return None
    distances = _distances(references.rows.numpy()[candidates], own)
    order = np.lexsort((candidates, distances))[:k]
    return torch.from_numpy(distances[order])[None], torch.from_numpy(candidates[order])[None]


def _smallest(scores: Tensor, kept: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `kept` smallest scores, ascending, and their indices."""
    n = len(scores) // GROUP * GROUP
    if n < _FEWEST or 2 * GROUP * kept > n:
        values, indices = torch.topk(scores, kept, largest=False)
        return values.numpy(), indices.numpy()
    minima = torch.cat([scores[:n].view(-1, GROUP).amin(1), scores[n:]])
    groups = torch.topk(minima, kept, largest=False, sorted=False).indices.numpy()
    last = groups >= n // GROUP  # those behind the whole groups stand for themselves
    members = (groups[~last][:, np.newaxis] * GROUP + np.arange(GROUP)).ravel()
    members = np.concatenate([members, groups[last] - n // GROUP + n])
    values = scores.numpy()[members]
    order = np.argsort(values, kind="stable")[:kept]
    return values[order], members[order]


def _distances(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Return the distances (K,) by the definition of `euclidean_rows`, to the bit."""
    squares = rows.astype(np.float64) - query
    squares *= squares
    width = squares.shape[1]
    while width > 1:
        half = (width + 1) // 2
        squares[:, : width - half] += squares[:, half:width]
        width = half
    return np.sqrt(squares[:, 0])
