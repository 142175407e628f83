r"""A Euclidean metric from ridge regression on features: the algebra.

Rows f_i (P,) of features have weights w_i and targets y_i (K,). Features are standardised by their weighted mean and
deviation, and constant ones are dropped. With centred targets, and C = sum_i w_i f_i f_i^T,

    W = argmin sum_i w_i |y_i - W^T f_i|^2 + penalty |W|^2 = (C + penalty I)^-1 sum_i w_i f_i y_i^T

and the columns of V are the leading eigenvectors of C, the principal directions. The squared distance of two rows is

    (1 - b) |W^T (f - g)|^2 / u_1 + b |V^T (f - g)|^2 / u_2

with u_1 and u_2 the means of their terms over all pairs of rows, so that b is the share of the second part.

Few rows are kept as they are, and products of rows (n, n) are factorised: `KernelForm`. Of many rows there are sums of
products of features (P, P) alone: `CovarianceForm`. Both give the same result, but for rounding.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import lapack
from scipy.linalg.blas import dsymm, dsyrk, ssymm, ssyrk

from skseqmetric._files import record

OVERSAMPLING = 16
"""Directions that are iterated beside those that are wanted."""

N_PASSES = 6
"""Products with C that the directions go through before they are read."""

RANK = 1e-5
"""Eigenvalues below this part of the largest are rounding."""

EXACT = 2048
"""Features up to which their products are summed in float64; above, in float32."""

_ROWS = 256  # whose copy in float64 is held at once
_COLUMNS = 256  # of the products that are scaled at once


@dataclass(frozen=True)
class Part:
    """Columns (P, K) that map standardised features to coordinates, and the sum of their weighted squares."""

    columns: np.ndarray
    spread: float


class Form(ABC):
    """The standardised rows, as far as the metric needs them.

    mean, inverse (P,) : features are (f - mean) * inverse; the inverse of a constant feature is 0.
    total : sum of the weights.
    n_rows : number of rows.
    """

    mean: np.ndarray
    inverse: np.ndarray
    total: float
    n_rows: int

    @property
    def mean_eigenvalue(self) -> float:
        """Mean of the n eigenvalues of the products of weighted rows: each feature adds the sum of the weights."""
        return float(np.count_nonzero(self.inverse)) * self.total / self.n_rows or 1.0

    @abstractmethod
    def principal(self, n: int, seed: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return at most n principal directions (P, n), and their eigenvalues, the largest first."""

    @abstractmethod
    def ridge(self, penalty: float) -> Part:
        """Return W (P, K), without targets that are constant. The last call: it may overwrite what is kept."""

    def start(self, n: int, most: int, seed: list[int]) -> np.ndarray:
        """Return random columns (P, m) to begin with, the same for both forms."""
        width = min(n + OVERSAMPLING, most, len(self.mean))
        drawn = np.random.default_rng(seed).standard_normal((n + OVERSAMPLING, len(self.mean)), dtype=np.float32)
        return np.ascontiguousarray((drawn[:width] * (self.inverse > 0)).T)


class KernelForm(Form):
    """By products of rows. The features (n, P), float32, are overwritten."""

    def __init__(self, features: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> None:
        self.total, self.n_rows = float(weights.sum()), len(weights)
        self.mean, self.inverse = _standardise(features, weights)
        roots = np.sqrt(weights)
        features *= roots[:, np.newaxis].astype(np.float32)
        self.rows, self.gram = features, features @ features.T
        self.targets = _varying(roots[:, np.newaxis] * (targets - weights @ targets / self.total))

    def principal(self, n: int, seed: list[int]) -> tuple[np.ndarray, np.ndarray]:
        basis = _orthonormal(self.rows @ self.start(n, len(self.rows), seed))
        for _ in range(N_PASSES if basis.shape[1] < len(self.rows) else 0):
            basis = _orthonormal(self.gram @ basis)
        moved = self.gram @ basis
        # the directions are F^T basis; first made orthonormal, then turned to the axes of C in their span
        sizes, turned = _spectrum(basis.T @ moved)
        scaled = turned / np.sqrt(sizes)
        values, axes = _spectrum(scaled.T @ (moved.T.astype(np.float64) @ moved) @ scaled)
        chosen = (basis @ (scaled @ axes)[:, :n]).astype(np.float32)
        return self.rows.T @ chosen, values[:n]

    def ridge(self, penalty: float) -> Part:
        if not self.targets.shape[1]:
            return Part(np.zeros((len(self.mean), 0), np.float32), 0.0)
        shifted = self.gram.astype(np.float64)
        _add_to_diagonal(shifted, penalty)
        solved = _solved(shifted.T, self.targets, penalty)  # symmetric: its transpose has the order of LAPACK
        weights = solved.astype(np.float32)
        spread = float(np.square(self.gram @ weights, dtype=np.float64).sum())
        return Part(self.rows.T @ weights, spread)


class CovarianceForm(Form):
    """By products of features (P, P), of which the upper triangle is in use. It is overwritten.

    cross : sums (P, K) of products of features and targets, both centred and scaled.
    """

    def __init__(
        self, gram: np.ndarray, cross: np.ndarray, mean: np.ndarray, inverse: np.ndarray, total: float, n_rows: int
    ) -> None:
        self.gram, self.cross, self.mean, self.inverse = gram, cross, mean, inverse
        self.total, self.n_rows = total, n_rows

    def principal(self, n: int, seed: list[int]) -> tuple[np.ndarray, np.ndarray]:
        basis = _orthonormal(self.start(n, len(self.mean), seed))
        for _ in range(N_PASSES + 1 if basis.shape[1] < len(self.mean) else 0):
            basis = _orthonormal(self._product(basis))
        values, axes = _spectrum(basis.T @ self._product(basis))
        return (basis @ axes[:, :n]).astype(np.float32), values[:n]

    def ridge(self, penalty: float) -> Part:
        if not self.cross.shape[1]:
            return Part(np.zeros(self.cross.shape, np.float32), 0.0)
        _add_to_diagonal(self.gram, penalty)
        solved = _solved(self.gram, self.cross, penalty).astype(np.float64)
        # W^T C W = W^T (cross - penalty W)
        spread = float((solved * (self.cross - penalty * solved)).sum())
        return Part(solved.astype(np.float32), max(spread, 0.0))

    def _product(self, columns: np.ndarray) -> np.ndarray:
        symm = dsymm if self.gram.dtype == np.float64 else ssymm
        return symm(1.0, self.gram, np.asfortranarray(columns, dtype=self.gram.dtype), lower=0)


@record(
    gram="floats P P",
    total="number",
    n_rows="int",
    sums="float64 P",
    squares="float64 P",
    target_sums="float64 K",
    target_squares="float64 K",
    cross="float64 P K",
    shift="none|float32 P",
    unit="none|float32 P",
    lowest="none|float32 P",
    highest="none|float32 P",
)
class FeatureSums:
    """Sums over rows that come in any number of pieces. They grow with the number of targets.

    Features are shifted and scaled as in the first piece, so that little is lost to rounding. The sums of products
    (P, P) are in the lower triangle. The upper one is free for what `form` makes of them, so that one array is enough.
    """

    def __init__(self, n_features: int, n_targets: int) -> None:
        dtype = np.float64 if n_features <= EXACT else np.float32
        self.gram = np.zeros((n_features, n_features), dtype=dtype, order="F")
        self.total, self.n_rows = 0.0, 0
        self.sums, self.squares = np.zeros(n_features), np.zeros(n_features)
        self.target_sums, self.target_squares = np.zeros(n_targets), np.zeros(n_targets)
        self.cross = np.zeros((n_features, n_targets))
        self.shift: Any = None  # until the first piece; then (P,), as are unit, lowest and highest

    def add(self, features: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> None:
        """Add rows (m, P) in float32, which are overwritten, with targets (m, K) and weights (m,) > 0."""
        lowest, highest = features.min(0), features.max(0)
        if self.shift is None:
            self.lowest, self.highest = lowest, highest
            self.shift, self.unit = (part.astype(np.float32) for part in _moments(features, weights))
            self.unit[~(self.unit > 0)] = 1
        self.lowest, self.highest = np.minimum(self.lowest, lowest), np.maximum(self.highest, highest)
        features -= self.shift
        features /= self.unit
        rows = np.ascontiguousarray(features, dtype=self.gram.dtype)
        self._add_targets(rows, targets, weights)
        rows *= np.sqrt(weights)[:, np.newaxis].astype(rows.dtype)
        self.squares += np.einsum("ij,ij->j", rows, rows)
        syrk = dsyrk if rows.dtype == np.float64 else ssyrk
        self.gram = syrk(1.0, rows.T, 1.0, self.gram, lower=1, overwrite_c=1)

    def _add_targets(self, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> None:
        weighted = weights[:, np.newaxis] * targets
        self.total += float(weights.sum())
        self.n_rows += len(weights)
        self.target_sums += weighted.sum(0)
        self.target_squares += (weighted * targets).sum(0)
        found = rows.T @ np.column_stack([weights, weighted]).astype(rows.dtype)
        self.sums += found[:, 0]
        self.cross += found[:, 1:]

    def with_targets(self, places: np.ndarray, n_targets: int) -> FeatureSums:
        """Return a copy in which target k is target places[k] of n_targets. New ones were 0 in all rows so far."""
        copied = copy.deepcopy(self)
        for name in ("target_sums", "target_squares", "cross"):
            earlier = getattr(self, name)
            grown = np.zeros((*earlier.shape[:-1], n_targets))
            grown[..., places] = earlier
            setattr(copied, name, grown)
        return copied

    def form(self) -> CovarianceForm:
        """Return the form of all rows. It shares the diagonal with these sums, which `restore` puts back."""
        mean = self.sums / self.total
        variance = np.maximum(self.squares / self.total - mean**2, 0)
        kept = (self.highest > self.lowest) & (variance > 0)
        inverse = np.divide(1, np.sqrt(variance), out=np.zeros(len(mean)), where=kept)
        self._diagonal = self.gram.diagonal().copy()
        _fill_upper(self.gram, mean * np.sqrt(self.total), inverse)
        target_mean = self.target_sums / self.total
        cross = inverse[:, np.newaxis] * (self.cross - np.outer(mean, self.target_sums))
        varying = self.target_squares / self.total - target_mean**2 > 1e-12
        unit = self.unit.astype(np.float64)
        centre, inverse = self.shift + mean * unit, inverse / unit
        return CovarianceForm(self.gram, cross[:, varying], centre, inverse, self.total, self.n_rows)

    def restore(self) -> None:
        """Put the diagonal back after the form was used."""
        np.fill_diagonal(self.gram, self._diagonal)


def embedding_map(taught: Part | None, principal: Part, blend: float, total: float) -> np.ndarray:
    """Return columns (P, D) that map standardised features to vectors, whose distance is that of the metric.

    Without anything taught, or where it is the same for all rows, the principal part is all.
    """
    if taught is None or not taught.spread > 0:
        taught, blend = None, 1.0
    parts = [] if taught is None else [(1 - blend, taught)]
    parts.append((blend if principal.spread > 0 else 0.0, principal))
    # the mean over pairs of a squared difference is twice the variance
    scaled = [part.columns * np.float32(np.sqrt(share * total / (2 * part.spread))) for share, part in parts if share]
    # where all rows are equal, one column of zeros is left
    return np.concatenate(scaled, axis=1) if scaled else np.zeros((len(principal.columns), 1), dtype=np.float32)


def pair_directions(
    same: np.ndarray, different: np.ndarray, variances: np.ndarray, penalty: float, n: int
) -> np.ndarray:
    """Return columns (R, K), K <= n, from the differences (S, R) of same pairs and (U, R) of different pairs.

    They solve (S_D - S_S) v = m (C + penalty I) v for the mean outer products S_D and S_S of differences. C is the
    diagonal of `variances`. A column is v, of length 1 by the right side, times the root of m > 0. The columns V then
    have V V^T = (C + penalty I)^-1 (S_D - S_S) (C + penalty I)^-1, but for negative m. With all pairs of rows in
    classes, that is W W^T of ridge regression, because S_D - S_S is proportional to the scatter between classes.
    """
    scale = 1 / np.sqrt(variances + penalty)
    left, right = same * scale, different * scale
    values, vectors = np.linalg.eigh(right.T @ right / len(right) - left.T @ left / len(left))
    values, vectors = values[::-1][:n], vectors[:, ::-1][:, :n]
    useful = values > RANK * max(values.max(initial=0), 0)
    return scale[:, np.newaxis] * vectors[:, useful] * np.sqrt(values[useful])


# ------------------------------------------------------------------------------------------------------------- rows


def _moments(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean and deviation (P,), float64."""
    share = weights / weights.sum()
    parts = [slice(start, start + _ROWS) for start in range(0, len(features), _ROWS)]
    mean = sum(share[part] @ features[part].astype(np.float64) for part in parts)
    square = sum(share[part] @ np.square(features[part].astype(np.float64) - mean) for part in parts)
    return np.asarray(mean), np.sqrt(square)


def _standardise(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardise rows (n, P) in place. Return mean and inverse deviation (P,), which is 0 for constant features."""
    mean, deviation = _moments(features, weights)
    kept = (features.max(0) > features.min(0)) & (deviation > 0)
    inverse = np.divide(1, deviation, out=np.zeros(len(mean)), where=kept)
    features -= mean.astype(np.float32)
    features *= inverse.astype(np.float32)
    return mean, inverse


def _varying(targets: np.ndarray) -> np.ndarray:
    return targets[:, np.square(targets).sum(0) > 1e-12 * len(targets)]


# ------------------------------------------------------------------------------------------------------------- matrices


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    return np.linalg.qr(columns)[0]


def _spectrum(symmetric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues that are more than rounding, the largest first, and their eigenvectors, in float64."""
    values, vectors = np.linalg.eigh(symmetric.astype(np.float64))
    kept = values > RANK * max(values.max(initial=0), np.finfo(np.float32).tiny)
    return values[kept][::-1], vectors[:, kept][:, ::-1]


def _add_to_diagonal(matrix: np.ndarray, value: float) -> None:
    matrix[np.diag_indices(len(matrix))] += value


def _fill_upper(gram: np.ndarray, mean: np.ndarray, inverse: np.ndarray) -> None:
    """Write the lower triangle to the upper one, less the outer product of means, with rows and columns scaled."""
    mean, inverse = mean.astype(gram.dtype), inverse.astype(gram.dtype)
    for start in range(0, len(gram), _COLUMNS):
        stop = min(start + _COLUMNS, len(gram))
        block = gram[start:stop, :stop].T - np.outer(mean[:stop], mean[start:stop])
        block *= inverse[:stop, np.newaxis]
        block *= inverse[start:stop]
        gram[:start, start:stop] = block[:start]
        upper = np.triu_indices(stop - start)
        gram[start:stop, start:stop][upper] = block[start:][upper]


def _solved(matrix: np.ndarray, right: np.ndarray, penalty: float) -> np.ndarray:
    """Return matrix^-1 right by Cholesky's factorisation of the upper triangle, in place."""
    factorise, substitute = (lapack.dpotrf, lapack.dpotrs)
    if matrix.dtype == np.float32:
        factorise, substitute = (lapack.spotrf, lapack.spotrs)
    factor, info = factorise(matrix, lower=0, clean=0, overwrite_a=1)
    if info:
        raise ValueError(
            f"alpha is too small for these data, a penalty of {penalty:.3g}: products of the features are singular in "
            f"{matrix.dtype}. Raise it."
        )
    return substitute(factor, right, lower=0)[0]
