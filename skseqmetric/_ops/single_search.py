"""The exact search for one query on the CPU, in few calls: for few references, calls take longer than the arithmetic.

NumPy has less to do for a call than torch. Let a be the k-th smallest score, and E the bound on the error of a score.
All references that are as near as the k-th have scores of at most a + 2 E. They are few, so that all are compared.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from skseqmetric._ops.topk import euclidean_to_one

if TYPE_CHECKING:
    from skseqmetric._ops.references import References

_GROUP = 32  # references that a first selection represents by their least score
_FEWEST = 2**11  # references from which groups are selected first
_MOST = 2**12  # references that are compared, or groups that are looked into
_UNIT = float(np.finfo(np.float32).eps) / 2


def nearest_to_one(references: References, query: Tensor, k: int) -> tuple[Tensor, Tensor] | None:
    """Return distances and indices (1, k) of the references that are nearest to a query (1, D), exact.

    None: the query is not finite or of unusual size, or too many references are as near as the scores can tell.
    """
    own = query.numpy()[0]
    centred = own - references.center.numpy()
    norm = sqrt(np.vdot(centred, centred))
    reach = norm + references.radius
    if not 1e-12 < reach < 1e12:
        return None
    single = torch.from_numpy(centred.astype(np.float32))
    scores = torch.addmv(references.squares, references.factors, single, alpha=-2)
    error = (len(own) + 16) * _UNIT * (reach * reach + 2 * references.offset * norm)
    found = _smallest(scores, k, 2 * error)
    if len(found) > _MOST:
        return None
    distances = euclidean_to_one(own, references.rows.numpy()[found])
    order = distances.argsort(kind="stable")[:k]
    return torch.from_numpy(distances[order])[None], torch.from_numpy(found[order])[None]


def _smallest(scores: Tensor, k: int, slack: float) -> np.ndarray:
    """Return where scores are up to `slack` above the k-th smallest, ascending."""
    values, n = scores.numpy(), len(scores)
    width = n // _GROUP
    if n >= _FEWEST and 2 * k <= width:
        # the k-th smallest of the minima is not below that of all scores
        least = scores[: width * _GROUP].view(_GROUP, width).amin(0).numpy()
        limit = _limit(least, k, slack)
        groups = (least <= limit).nonzero()[0]
        if len(groups) <= _MOST:
            members = np.concatenate([(groups + _STARTS * width).ravel(), np.arange(width * _GROUP, n)])
            return np.sort(members[values[members] <= limit])
    return (values <= _limit(values, k, slack)).nonzero()[0]


_STARTS = np.arange(_GROUP)[:, np.newaxis]


def _limit(values: np.ndarray, k: int, slack: float) -> np.float32:
    """Return at least the k-th smallest value and `slack`."""
    kth = np.partition(values, k - 1)[k - 1]
    return np.nextafter(np.float32(float(kth) + slack), np.float32(np.inf))
