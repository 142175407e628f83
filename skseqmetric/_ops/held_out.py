r"""Predictions of ridge regression for held-out rows, of all folds from one inverse.

For rows of features F (n, P), targets Y (n, K), weights w (n,) and the penalty alpha, let

.. math::
    K = F F^T / s + c\,11^T, \qquad A = K + \alpha \operatorname{diag}(1 / w), \qquad C = A^{-1} Y

with s the mean of the diagonal of :math:`F F^T` and c large, which stands for an intercept without penalty. The
prediction for the rows f of a fold by the other rows alone is

.. math::
    Y_f - \bigl((A^{-1})_{ff}\bigr)^{-1} C_f
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

ALPHAS = 10.0 ** np.arange(-3, 2)

_INTERCEPT = 10.0  # over the mean of the diagonal: far above what the targets leave of it, and no loss of digits


def held_out_predictions(
    features: np.ndarray, targets: np.ndarray, weights: np.ndarray, folds: np.ndarray, alphas: np.ndarray = ALPHAS
) -> np.ndarray:
    """Return the predictions (n, K) for every row by the rows of other folds, with the best of the penalties.

    Parameters
    ----------
    features : ndarray (n, P)
        Features. Columns are standardised here, constant ones do not count.
    targets : ndarray (n, K) float64
        Targets.
    weights : ndarray (n,)
        Weights > 0 of the rows.
    folds : ndarray (n,) of int
        Fold of every row.
    alphas : ndarray
        Penalties. The one of the smallest weighted squared error of the held-out rows is taken.
    """
    weights = weights / weights.mean()
    kernel, y = _kernel(features, weights), torch.from_numpy(targets)
    rows = [torch.from_numpy(np.flatnonzero(folds == fold)) for fold in np.unique(folds)]
    best, least = targets, np.inf
    for alpha in alphas:
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(kernel + torch.from_numpy(alpha / weights).diag()))
        dual, found = inverse @ y, torch.empty_like(y)
        for held_out in rows:
            own = inverse[held_out][:, held_out]
            found[held_out] = y[held_out] - torch.linalg.solve(own, dual[held_out])
        error = float(weights @ (y - found).square().sum(1).numpy())
        if error < least:
            best, least = found.numpy(), error
    return best


def _kernel(features: np.ndarray, weights: np.ndarray) -> Tensor:
    """Return products (n, n) of standardised features, with a mean diagonal of 1, and the part of the intercept."""
    centred = features.astype(np.float64) - np.average(features, axis=0, weights=weights)
    deviation = np.sqrt(np.average(np.square(centred), axis=0, weights=weights))
    varying = deviation > 1e-9
    standard = torch.from_numpy(centred[:, varying] / deviation[varying])
    kernel = standard @ standard.T
    return kernel / max(float(kernel.trace()) / len(kernel), 1e-300) + _INTERCEPT
