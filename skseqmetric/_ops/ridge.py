r"""A linear readout from sums over rows: ridge regression, generalised cross-validation, recursive least squares.

With rows s_i (F,), targets y_i (K,) and weights w_i, and m, q the weighted means of rows and targets,

    W = argmin sum_i w_i |y_i - q - W^T (s_i - m)|^2 + alpha |W|^2,    intercept q - W^T m,

so that the intercept is not penalised. All numbers are float64. Rows come in any number of blocks. They are not kept
once there are more rows than features. A block contributes its deviations from its own mean, and one more row. This
row is a multiple of the difference of its mean from that of the earlier blocks (Chan, Golub & LeVeque 1983). The sums
of products of all these rows are those about the overall mean. Recursive least squares takes the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skseqmetric._files import record

BLOCK = 128
"""Rows of one update of the recursive form. They share a memory traffic of F^2 numbers."""

RANK, ROUNDING = 1e-13, 1e-11
"""Eigenvalues and squares below this part of the largest, or of the total, are rounding."""

GRID = np.logspace(-8, 2, 31)
"""Penalties that "auto" tries, in units of the mean of the eigenvalues."""

INFLATION = 1.4
"""Weight of a degree of freedom in cross-validation (Kim & Gu 2004). Plain GCV with a weight of 1 overfits."""


@dataclass(frozen=True)
class Readout:
    """coef (K, F), intercept (K,), the penalty, and the variance of the residuals as cross-validation estimates it."""

    coef: np.ndarray
    intercept: np.ndarray
    alpha: float
    variance: float


@record(n_rows="number", mean="tensor float64 F", target_mean="tensor float64 K")
class _Centring:
    """Turns blocks of weighted rows into rows whose plain sums of products are those about the overall mean."""

    def __init__(self, n_features: int, n_targets: int, device: torch.device) -> None:
        self.n_rows = 0.0  # by weight
        self.mean = torch.zeros(n_features, dtype=torch.float64, device=device)
        self.target_mean = torch.zeros(n_targets, dtype=torch.float64, device=device)

    def __call__(self, states: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and targets for states (n, F), targets (n, K), weights (n,); one more than n but for the first block."""
        total = float(weights.sum())
        if total == 0:
            return states[:0], targets[:0]
        mean, target_mean = weights @ states / total, weights @ targets / total
        step, target_step = mean - self.mean, target_mean - self.target_mean
        between = (self.n_rows * total / (self.n_rows + total)) ** 0.5
        root = weights.sqrt()[:, None]
        rows, values = root * (states - mean), root * (targets - target_mean)
        if between:
            rows = torch.cat([rows, between * step[None]])
            values = torch.cat([values, between * target_step[None]])
        self.n_rows += total
        self.mean += step * (total / self.n_rows)
        self.target_mean += target_step * (total / self.n_rows)
        return rows, values

    def readout(self, weights: Tensor, alpha: float, residual: float, left: float) -> Readout:
        """From W (F, K), the sum of squares of its residuals, mean over targets, and the degrees of freedom left."""
        left = max(left, 1.0)
        intercept = self.target_mean - weights.T @ self.mean
        return Readout(weights.T.cpu().numpy(), intercept.cpu().numpy(), alpha, residual * self.n_rows / left**2)

    def readout_of_cost(self, weights: Tensor, alpha: float, cost: Tensor, freedom: float) -> Readout:
        """Likewise from the penalised cost (K,) that W reaches and the degrees of freedom that it takes."""
        residual = float((cost - alpha * weights.square().sum(0)).clamp_min(0).mean())
        return self.readout(weights, alpha, residual, self.n_rows - 1 - freedom)


@record(
    centring="record Centring",
    squares="tensor float64 K",
    blocks="none|list",
    gram="none|tensor float64 F F",
    cross="none|tensor float64 F K",
)
class RidgeSums:
    """What ridge regression needs of the rows seen: themselves while they are few, then the sums of their products."""

    def __init__(self, n_features: int, n_targets: int, device: torch.device) -> None:
        self.centring = _Centring(n_features, n_targets, device)
        self.squares = torch.zeros(n_targets, dtype=torch.float64, device=device)
        self.blocks: list[tuple[Tensor, Tensor]] | None = []
        self.gram: Tensor | None = None  # (F, F)
        self.cross: Tensor | None = None  # (F, K)

    @property
    def n_features(self) -> int:
        return len(self.centring.mean)

    @property
    def device(self) -> torch.device:
        return self.squares.device

    def add(self, states: Tensor, targets: Tensor, weights: Tensor) -> None:
        """Rows (n, F), targets (n, K), weights (n,)."""
        rows, values = self.centring(states, targets, weights)
        self.squares += values.square().sum(0)
        if self.blocks is None:
            self._sum(rows, values)
            return
        self.blocks.append((rows, values))
        if sum(len(rows) for rows, _ in self.blocks) > self.n_features:
            kept, self.blocks = self.blocks, None
            for block in kept:
                self._sum(*block)

    def _sum(self, rows: Tensor, values: Tensor) -> None:
        if self.gram is None or self.cross is None:
            self.gram, self.cross = rows.T @ rows, rows.T @ values
        else:
            self.gram.addmm_(rows.T, rows)
            self.cross.addmm_(rows.T, values)

    def solve(self, alphas: np.ndarray | None) -> Readout:
        """The readout of a penalty or, of several, of the one that generalised cross-validation prefers."""
        if alphas is not None and len(alphas) == 1:
            return self._solve_one(float(alphas[0]))
        spectrum = self._spectrum()
        tried = GRID * spectrum.mean_eigenvalue if alphas is None else alphas
        alpha = spectrum.best(tried)
        return self.centring.readout(
            spectrum.weights(alpha), alpha, float(spectrum.residual(alpha).mean()), spectrum.left(alpha)
        )

    def _solve_one(self, alpha: float) -> Readout:
        """By one factorisation of the products of features or, where rows are fewer, of rows."""
        if self.gram is None or self.cross is None:
            rows, values = self.rows()
            products, right = rows @ rows.T, values
        else:
            rows, products, right = None, self.gram, self.cross
        factor = _factor(products, alpha)
        solved = torch.cholesky_solve(right, factor)
        weights = solved if rows is None else rows.T @ solved
        explained = (right * (solved if rows is None else products @ solved)).sum(0)
        inverse = torch.linalg.solve_triangular(
            factor, torch.eye(len(factor), dtype=factor.dtype, device=factor.device), upper=False
        )
        freedom = len(factor) - alpha * float(inverse.square().sum())
        return self.centring.readout_of_cost(weights, alpha, self.squares - explained, freedom)

    def rows(self) -> tuple[Tensor, Tensor]:
        """Centred rows (m, F) and targets (m, K), while they are kept."""
        rows, values = zip(*(self.blocks or ()), strict=True)
        return torch.cat(rows), torch.cat(values)

    def _spectrum(self) -> _Spectrum:
        dimensions = self.centring.n_rows - 1
        if self.gram is not None and self.cross is not None:
            values, vectors = torch.linalg.eigh(self.gram)
            kept = values > RANK * values[-1]
            values, vectors = values[kept], vectors[:, kept]
            shares = (vectors.T @ self.cross) / values.sqrt()[:, None]
        else:
            rows, targets = self.rows()
            values, left = torch.linalg.eigh(rows @ rows.T)
            kept = values > RANK * values[-1]
            values, left = values[kept], left[:, kept]
            vectors, shares = (rows.T @ left) / values.sqrt(), left.T @ targets
        return _Spectrum(values, vectors, shares, self.squares, dimensions, self.n_features)

    def inverse(self, alpha: float) -> Tensor:
        """(S^T S + alpha I)^-1, (F, F), of the centred rows S."""
        eye = torch.eye(self.n_features, dtype=torch.float64, device=self.centring.mean.device)
        if self.gram is not None:
            return torch.cholesky_inverse(_factor(self.gram, alpha))
        if not self.blocks:
            return eye / alpha
        rows, _ = self.rows()
        half = torch.linalg.solve_triangular(_factor(rows @ rows.T, alpha), rows, upper=False)
        return (eye - half.T @ half) / alpha


def _factor(products: Tensor, alpha: float) -> Tensor:
    shifted = products.clone()
    shifted.diagonal().add_(alpha)
    factor, info = torch.linalg.cholesky_ex(shifted)
    if int(info):
        raise ValueError(
            f"alpha={alpha:g} is too small for states of this size: their products are singular in float64; raise it, "
            f"for example to {max(10 * alpha, 1e-10 * float(products.diagonal().max())):.1g}."
        )
    return factor


@dataclass(frozen=True)
class _Spectrum:
    """Singular values of the rows, squared, (r,); right vectors (F, r); targets along the left ones, (r, K).

    n_dimensions : of the space that the centred targets are in.
    """

    values: Tensor
    vectors: Tensor
    along: Tensor
    squares: Tensor
    n_dimensions: float
    n_features: int

    @property
    def mean_eigenvalue(self) -> float:
        return float(self.values.sum()) / self.n_features or 1.0

    def weights(self, alpha: float) -> Tensor:
        return self.vectors @ (self.along * (self.values.sqrt() / (self.values + alpha))[:, None])

    def residual(self, alpha: float) -> Tensor:
        """Sums of squared residuals, (K,); the part along the rows without a difference of large numbers."""
        outside = (self.squares - self.along.square().sum(0)).clamp_min(0)
        outside = torch.where(outside > ROUNDING * self.squares, outside, 0)
        return outside + (self.along * (alpha / (self.values + alpha))[:, None]).square().sum(0)

    def left(self, alpha: float) -> float:
        """Degrees of freedom of the residuals."""
        outside = max(self.n_dimensions - len(self.values), 0.0)
        return outside + float((alpha / (self.values + alpha)).sum())

    def best(self, alphas: np.ndarray) -> float:
        """The penalty of the least residual / (n - 1 - INFLATION freedom)^2, targets counting by their own squares."""
        share = torch.where(self.squares > 0, 1 / self.squares, 0)
        scores = []
        for alpha in alphas.tolist():
            left = self.n_dimensions - INFLATION * (self.n_dimensions - self.left(alpha))
            scores.append(float(self.residual(alpha) @ share) / left**2 if left > 0 else np.inf)
        return float(alphas[int(np.argmin(scores))] if np.isfinite(scores).any() else alphas.max())


@record(
    centring="record Centring",
    alpha="number",
    covariance="tensor float64 F F",
    weights="tensor float64 F K",
    cost="tensor float64 K",
)
class RecursiveLeastSquares:
    r"""Ridge regression updated block by block: P <- P - P S^T (I + S P S^T)^-1 S P, W <- W + (...)(Y - S W).

    It starts from `sums`, or from P = I / alpha if they are empty. After any number of updates the result is the ridge
    solution of all rows. A block of n rows costs 4 n F^2 multiply-adds.
    """

    def __init__(self, sums: RidgeSums, alpha: float) -> None:
        self.centring, self.alpha = sums.centring, alpha
        self.covariance = sums.inverse(alpha)
        n_features, n_targets = sums.n_features, len(sums.squares)
        if sums.cross is not None:
            cross = sums.cross
        elif sums.blocks:
            rows, values = sums.rows()
            cross = rows.T @ values
        else:
            cross = self.covariance.new_zeros(n_features, n_targets)
        self.weights = self.covariance @ cross
        self.cost = sums.squares - (cross * self.weights).sum(0)

    def add(self, states: Tensor, targets: Tensor, weights: Tensor) -> None:
        """Rows (n, F), targets (n, K), weights (n,)."""
        rows, values = self.centring(states, targets, weights)
        for s, y in zip(rows.split(BLOCK), values.split(BLOCK), strict=True):
            moved = self.covariance @ s.T
            inner = s @ moved
            inner.diagonal().add_(1.0)
            factor = torch.linalg.cholesky(inner)
            error = y - s @ self.weights
            half = torch.linalg.solve_triangular(factor, moved.T, upper=False)
            weighed = torch.linalg.solve_triangular(factor, error, upper=False)
            self.weights += half.T @ weighed
            self.cost += weighed.square().sum(0)
            # as a product with its own transpose, so that rounding does not make it lopsided
            self.covariance.addmm_(half.T, half, alpha=-1)

    @property
    def device(self) -> torch.device:
        return self.cost.device

    def solve(self) -> Readout:
        """The readout of all rows so far."""
        freedom = len(self.covariance) - self.alpha * float(self.covariance.trace())
        return self.centring.readout_of_cost(self.weights, self.alpha, self.cost, freedom)
