"""The fixed weights of a reservoir. They are drawn on the CPU and are the same on every device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import ArpackNoConvergence, eigs

from skseqmetric._ops.reservoir import ReservoirWeights

ARPACK_UNITS = 100
"""Number of units from which an iterative solver finds the largest eigenvalue faster than a full decomposition."""


@dataclass(frozen=True)
class ReservoirForm:
    """The parameters of an estimator for one of its reservoirs."""

    n_units: int
    spectral_radius: float
    leak: float
    density: float
    input_scaling: float
    bias_scaling: float
    input_density: float
    exact: bool


def draw_reservoir(n_channels: int, form: ReservoirForm, seed: int, stream: int) -> ReservoirWeights:
    """Draw weights in float32 on the CPU. Different `stream` numbers give independent reservoirs for one seed."""
    rng = np.random.default_rng([seed, stream])
    signs = rng.integers(2, size=(form.n_units, n_channels + 1)) * 2.0 - 1.0
    kept = rng.random(signs.shape) < form.input_density
    scale = np.full(n_channels + 1, form.input_scaling)
    scale[0] = form.bias_scaling
    recurrent = _recurrent(form, rng)
    return ReservoirWeights(
        torch.from_numpy((signs * kept * scale).astype(np.float32)),
        torch.from_numpy(recurrent.astype(np.float32)),
        float(form.leak),
    )


def _recurrent(form: ReservoirForm, rng: np.random.Generator) -> np.ndarray:
    """Draw W (N, N) with entries uniform in (-a, a), the given density and, about or exactly, the spectral radius.

    The variance of an entry is p a^2 / 3. By the circular law the spectral radius is near a sqrt(p N / 3). This gives
    the choice of a.
    """
    n, p = form.n_units, form.density
    bound = form.spectral_radius * np.sqrt(3 / (p * n))
    recurrent = rng.uniform(-bound, bound, (n, n)) * (rng.random((n, n)) < p)
    if not form.exact:
        return recurrent
    radius = spectral_radius(recurrent)
    # a matrix without a cycle has radius 0, which no factor can change
    return recurrent * (form.spectral_radius / radius) if radius > 0 else recurrent


def spectral_radius(matrix: np.ndarray) -> float:
    """Return the largest absolute value of the eigenvalues of a square matrix, up to rounding."""
    n = len(matrix)
    if n >= ARPACK_UNITS:
        sparse = sp.csr_array(matrix)
        operator = sparse if sparse.nnz < n * n / 4 else matrix
        try:
            return float(abs(eigs(operator, k=1, v0=np.ones(n), maxiter=20 * n, return_eigenvectors=False)[0]))
        except ArpackNoConvergence:
            pass
    return float(np.abs(np.linalg.eigvals(matrix)).max())
