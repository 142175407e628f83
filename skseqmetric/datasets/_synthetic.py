"""Synthetic classes for tests and first steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric.datasets._arguments import check_ranges, generator, range_of

_N_HARMONICS = 4
_N_WARPS = 3


def make_shifted_sequences(
    n_sequences: int = 200,
    *,
    n_classes: int = 4,
    n_channels: int = 3,
    length: int | tuple[int, int] = (40, 80),
    shift: float = 0.1,
    warp: float = 0.3,
    noise: float = 0.1,
    random_state: Any = None,
) -> tuple[list[np.ndarray], np.ndarray]:
    r"""Make classes of smooth curves with random time warps and shifts.

    Class k has a random smooth prototype of period 1 and unit variance in every channel,

    .. math:: p_k(u) = \sum_{m=1}^{4} \frac{1}{m} [a_{km} \cos(2 \pi m u) + b_{km} \sin(2 \pi m u)] / s_k,

    a, b standard normal (C,). A sequence of class k with T steps is, at u = t / (T - 1),

    .. math:: x_t = p_k(w(u) + \delta) + \mathrm{noise} \cdot \epsilon_t, \quad
              w(u) = u + \mathrm{warp} \sum_{j=1}^{3} \frac{g_j}{\pi j} \sin(\pi j u),

    with :math:`\delta` uniform in [-shift, shift], :math:`\epsilon` standard normal and random g with
    :math:`\sum_j |g_j| = 1`, so that w increases from w(0) = 0 to w(1) = 1. The order of events stays, their
    times change.

    Parameters
    ----------
    n_sequences : int, default=200
        At least `n_classes`.
    n_classes : int, default=4
        Class sizes differ by one at most.
    n_channels : int, default=3
        Channels C.
    length : int or (int, int), default=(40, 80)
        Steps of every sequence, or the least and the largest number (uniform, both included).
    shift : float, default=0.1
        Largest shift in periods, >= 0.
    warp : float, default=0.3
        Strength of the warp, 0 <= warp < 1. The local speed lies between 1 - warp and 1 + warp.
    noise : float, default=0.1
        Standard deviation of the noise, >= 0; prototypes have standard deviation 1.
    random_state : int, numpy Generator, RandomState or None, default=None
        An int gives the same sequences every time. Global generators are neither used nor changed.

    Returns
    -------
    X : list of n_sequences ndarrays (T_i, n_channels) float64
    y : ndarray (n_sequences,) int64
        Classes 0 to n_classes - 1, in random order.

    Raises
    ------
    ValueError
        A parameter is out of its range.

    Examples
    --------
    >>> from skseqmetric.datasets import make_shifted_sequences
    >>> X, y = make_shifted_sequences(10, n_classes=2, length=(20, 30), random_state=0)
    >>> len(X), X[0].shape[1], sorted(set(y.tolist()))
    (10, 3, [0, 1])
    """
    check_ranges(
        {
            f"n_classes={n_classes} must be at least 1 and at most n_sequences={n_sequences}": (
                1 <= n_classes <= n_sequences
            ),
            f"n_channels={n_channels} must be at least 1": n_channels >= 1,
            f"shift={shift} must be finite and >= 0": 0 <= shift < np.inf,
            f"warp={warp} must be 0 <= warp < 1": 0 <= warp < 1,
            f"noise={noise} must be finite and >= 0": 0 <= noise < np.inf,
        }
    )
    shortest, longest = range_of("length", length)
    rng = generator(random_state)
    prototypes = [_prototype(rng, n_channels) for _ in range(n_classes)]
    y = rng.permutation(np.arange(n_sequences, dtype=np.int64) % n_classes)
    lengths = rng.integers(shortest, longest, size=n_sequences, endpoint=True)
    X = []
    for k, steps in zip(y.tolist(), lengths.tolist(), strict=True):
        u = _warped(rng, np.linspace(0.0, 1.0, steps), warp) + rng.uniform(-shift, shift)
        X.append(_harmonics(u) @ prototypes[k] + noise * rng.standard_normal((steps, n_channels)))
    return X, y


def _harmonics(u: np.ndarray) -> np.ndarray:
    """Cosine and sine of 2 pi m u, over m, (len(u), 2 M)."""
    m = np.arange(1, _N_HARMONICS + 1)
    angles = 2 * np.pi * np.multiply.outer(u, m)
    return np.hstack([np.cos(angles) / m, np.sin(angles) / m])


def _prototype(rng: np.random.Generator, n_channels: int) -> np.ndarray:
    """Draw the coefficients (2 M, C) of a curve of variance 1: a harmonic a / m has variance a^2 / 2 m^2."""
    coefficients = rng.standard_normal((2 * _N_HARMONICS, n_channels))
    m = np.tile(np.arange(1, _N_HARMONICS + 1), 2)[:, np.newaxis]
    return coefficients / np.sqrt(((coefficients / m) ** 2 / 2).sum(axis=0))


def _warped(rng: np.random.Generator, u: np.ndarray, warp: float) -> np.ndarray:
    g = rng.standard_normal(_N_WARPS)
    frequency = np.pi * np.arange(1, _N_WARPS + 1)
    return u + warp * np.sin(np.multiply.outer(u, frequency)) @ (g / np.abs(g).sum() / frequency)
