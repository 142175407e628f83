"""The fixed weights of a reservoir, drawn on the CPU from a seed: the same model on every device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import ArpackNoConvergence, eigs

from skseqmetric._ops.reservoir import ReservoirWeights

ARPACK_UNITS = 100
"""From so many units on the largest eigenvalue is sought by iteration, which is faster than having all of them."""


@dataclass(frozen=True)
class ReservoirForm:
    """What the weights of one reservoir are drawn by; the parameters of the estimators, of one of their reservoirs."""

    n_units: int
    spectral_radius: float
    leak: float
    density: float
    input_scaling: float
    bias_scaling: float
    input_density: float
    exact: bool


def draw_reservoir(n_channels: int, form: ReservoirForm, seed: int, stream: int) -> ReservoirWeights:
    """Weights in float32 on the CPU; different `stream` numbers give independent reservoirs of one seed."""
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
    """W (N, N): entries uniform in (-a, a) with the given density, of about or exactly the spectral radius.

    Entries of variance a^2 / 3 give a spectral radius near a sqrt(p N / 3) by the circular law, which a is chosen by.
    """
    n, p = form.n_units, form.density
    bound = form.spectral_radius * np.sqrt(3 / (p * n))
    recurrent = rng.uniform(-bound, bound, (n, n)) * (rng.random((n, n)) < p)
    if not form.exact:
        return recurrent
    radius = spectral_radius(recurrent)
    # a matrix without a cycle has radius 0, which no factor changes
    return recurrent * (form.spectral_radius / radius) if radius > 0 else recurrent


def spectral_radius(matrix: np.ndarray) -> float:
    """The largest absolute value of an eigenvalue of a square matrix, to rounding."""
    n = len(matrix)
    if n >= ARPACK_UNITS:
        sparse = sp.csr_array(matrix)
        operator = sparse if sparse.nnz < n * n / 4 else matrix
        try:
            return float(abs(eigs(operator, k=1, v0=np.ones(n), maxiter=20 * n, return_eigenvectors=False)[0]))
        except ArpackNoConvergence:
            pass
    return float(np.abs(np.linalg.eigvals(matrix)).max())
