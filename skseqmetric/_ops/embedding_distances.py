"""Distances between embeddings of two modalities: of paired vectors, or of two whole batches.

A paired distance compares row with row: u, v (B, D) -> (B,). A batch distance compares two distributions, of which
the rows are samples: u (B, D), v (B', D) -> (). All of them are differentiable, finite for zero vectors, and 0 (up to
rounding) where both sides are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from skseqmetric._ops.metric_losses import row_blocks

F = TypeVar("F")

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Widths of the Gaussian kernels of `mmd`, in medians of the squared distances."""


def paired_distance(name: str, u: Tensor, v: Tensor) -> Tensor:
    """One of `PAIRED`, row by row: u, v (..., D), broadcastable -> (...); O(D) a pair.

    ========= ================================================= ============
    name      distance                                          range
    ========= ================================================= ============
    mse       mean_d (u_d - v_d)^2                              [0, inf)
    cosine    1 - u.v / (|u| |v|)                               [0, 2]
    pearson   cosine of u - mean(u) and v - mean(v)             [0, 2]
    kl        sum_d p_d log(p_d / q_d), p and q the softmax of  [0, inf)
              u and v; not symmetric
    ========= ================================================= ============

    A vector without a direction (zero for cosine, constant for pearson) has distance 1 to all vectors, like an
    orthogonal one. It gets no gradient.
    """
    return _chosen(_PAIRED, name)(u, v)


def batch_distance(name: str, u: Tensor, v: Tensor, weights: Tensor | None = None) -> Tensor:
    """One of `BATCH` between the rows of u (B, D) and the rows of v (B', D) -> ().

    `weights` (B,) are the weights of the rows on both sides, which needs B = B'. A row of weight 0 has no effect. If
    all weights are 0, the distance is 0. See `mmd`, `coral` and `homm`.
    """
    return _chosen(_BATCH, name)(u, v, weights)


def mse(u: Tensor, v: Tensor) -> Tensor:
    """Mean over the features of (u - v)^2."""
    return (u - v).square().mean(-1)


def cosine(u: Tensor, v: Tensor) -> Tensor:
    """1 - cos(u, v), computed as |u/|u| - v/|v||^2 / 2: no cancellation for close vectors, exactly 0 for equal ones."""
    # Below this length the square of a gradient, which grows as 1 / |u|, could not be represented.
    return _angular(u, v, torch.full_like(u[..., :1], _shortest(u)), torch.full_like(v[..., :1], _shortest(v)))


def pearson(u: Tensor, v: Tensor) -> Tensor:
    """1 - correlation of u and v over their features; a vector constant up to rounding has correlation 0."""
    return _angular(u - u.mean(-1, keepdim=True), v - v.mean(-1, keepdim=True), _rounding(u), _rounding(v))


def kl(u: Tensor, v: Tensor) -> Tensor:
    """Kullback-Leibler divergence of softmax(u) from softmax(v)."""
    log_p, log_q = u.log_softmax(-1), v.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def mmd(u: Tensor, v: Tensor, weights: Tensor | None = None, bandwidth: Tensor | None = None) -> Tensor:
    """Squared maximum mean discrepancy (Gretton et al. 2012): mean k(u, u) + mean k(v, v) - 2 mean k(u, v).

    It is a V-statistic: pairs of a row with itself count too. The kernel k is a sum of five Gaussian kernels
    exp(-|a - b|^2 / (c s)) with c in `BANDWIDTHS`. The scale s is the median of the squared distances between different
    rows of positive weight. The result thus has no unit, and its range is [0, 10]. The scale has no gradient.
    `bandwidth` () replaces it. The cost is O((B + B')^2 D) time. Memory holds half of the squared distances for their
    median, and the kernels of a block of pairs, in both passes.
    """
    rows, signed = _pooled(u, v, weights)
    rows = rows - rows.detach().mean(0)  # a common offset then costs no digits
    scale = _median_of_pairs(rows.detach(), signed != 0) if bandwidth is None else bandwidth

    def kernel(some: Tensor, everyone: Tensor) -> Tensor:
        scaled = _squared_distances(some, everyone) / scale
        return torch.stack([(-scaled / width).exp() for width in BANDWIDTHS]).sum(0)

    return _quadratic_form(kernel, rows, signed)


def coral(u: Tensor, v: Tensor, weights: Tensor | None = None) -> Tensor:
    """|C_u - C_v|_F^2 / (4 D^2) of the two covariances (Sun and Saenko 2016), unbiased: B - 1 in the denominator.

    At most 1 / (2 D^2) for many rows on the unit sphere. O(B D^2).
    """
    difference = _covariance(u, _shares(u, weights)) - _covariance(v, _shares(v, weights))
    return difference.square().sum() / (4 * u.shape[-1] ** 2)


def homm(u: Tensor, v: Tensor, weights: Tensor | None = None) -> Tensor:
    """|E[u (x) u (x) u] - E[v (x) v (x) v]|^2 / D^3: third moments (higher-order moment matching, Chen et al. 2020).

    The tensors of D^3 moments are never made, because their inner products are E[(a.b)^3] over pairs of rows. This is
    exact for every D and costs O((B + B')^2 D), without sampling triples of features. The distance is at most 4 / D^3
    for rows on the unit sphere. In float32, values below about 1e-6 of that are rounding errors.
    """
    rows, signed = _pooled(u, v, weights)
    return _quadratic_form(lambda some, everyone: (some @ everyone.T) ** 3, rows, signed) / u.shape[-1] ** 3


_PAIRED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": mse, "cosine": cosine, "pearson": pearson, "kl": kl}
_BATCH: dict[str, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = {"mmd": mmd, "coral": coral, "homm": homm}
PAIRED = frozenset(_PAIRED)
BATCH = frozenset(_BATCH)


def _chosen(functions: dict[str, F], name: str) -> F:
    if name not in functions:
        raise ValueError(f"The distance must be one of {sorted(functions)}, got {name!r}.")
    return functions[name]


def _shortest(vectors: Tensor) -> float:
    return torch.finfo(vectors.dtype).tiny ** 0.5


def _rounding(vectors: Tensor) -> Tensor:
    """Deviations from the mean (..., 1) that summing D numbers alone may leave in a constant vector."""
    largest = vectors.detach().abs().amax(-1, keepdim=True)
    return (torch.finfo(vectors.dtype).eps * vectors.shape[-1] * largest).clamp_min(_shortest(vectors))


def _angular(u: Tensor, v: Tensor, shortest_u: Tensor, shortest_v: Tensor) -> Tensor:
    unit_u, lost_u = _unit(u, shortest_u)
    unit_v, lost_v = _unit(v, shortest_v)
    # A lost vector is 0 here and brings half of its distance 1; the other half is the other's square, or its own loss.
    return 0.5 * ((unit_u - unit_v).square().sum(-1) + lost_u + lost_v)


def _unit(vectors: Tensor, shortest: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors of length 1, and which (...) were too short to have a direction: those become 0, without gradient.

    Scaling by the largest feature first lets no square overflow or vanish; as the result does not depend on the scale,
    neither does the gradient.
    """
    largest = vectors.detach().abs().amax(-1, keepdim=True)
    lost = largest <= shortest  # False for NaN, which stays NaN
    scaled = (vectors / largest.masked_fill(lost, 1.0)).masked_fill(lost, 0.0)
    length = scaled.square().sum(-1, keepdim=True).masked_fill(lost, 1.0).sqrt()
    return scaled / length, lost.squeeze(-1)


def _shares(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Weights (B,) that sum to 1, or to 0 where nothing counts."""
    if weights is None:
        weights = rows.new_ones(len(rows))
    weights = weights.to(rows.dtype)
    total = weights.sum()
    return weights / torch.where(total > 0, total, 1.0)


def _pooled(u: Tensor, v: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """The rows of both (B + B', D) and their shares (B + B',), those of v negative."""
    return torch.cat([u, v]), torch.cat([_shares(u, weights), -_shares(v, weights)])


def _quadratic_form(kernel: Callable[[Tensor, Tensor], Tensor], rows: Tensor, signed: Tensor) -> Tensor:
    """sum_ij s_i s_j k(i, j): with the shares of `_pooled`, the squared distance of two means in the kernel's space.

    kernel(some (M, D), rows (N, D)) returns (M, N). With several blocks the backward pass computes every kernel again.
    """

    def part(some: Tensor, everyone: Tensor, left: Tensor, right: Tensor) -> Tensor:
        return left @ kernel(some, everyone) @ right

    blocks = row_blocks(rows)
    if len(blocks) == 1:
        return part(rows, rows, signed, signed)
    shares = signed.split(len(blocks[0]))
    parts = [
        checkpoint(part, some, rows, left, signed, use_reentrant=False, preserve_rng_state=False)
        for some, left in zip(blocks, shares, strict=True)
    ]
    return torch.stack(parts).sum()


def _squared_distances(some: Tensor, everyone: Tensor) -> Tensor:
    """(M, D) and (N, D) -> (M, N) by products of centred rows."""
    left, right = some.square().sum(-1), everyone.square().sum(-1)
    return (left[:, None] + right - 2 * some @ everyone.T).clamp_min(0)


def _median_of_pairs(rows: Tensor, counts: Tensor) -> Tensor:
    """Median of the squared distances of different rows that count; 1 where there is none, or where most are equal."""
    found, start = [], 0
    for some in row_blocks(rows):
        squared = _squared_distances(some, rows)
        used = torch.triu(counts[start : start + len(some), None] & counts, diagonal=1 + start)
        found.append(squared[used])
        start += len(some)
    median = torch.cat(found).nanmedian()
    return torch.where(median > _shortest(rows), median, 1.0)


def _covariance(rows: Tensor, shares: Tensor) -> Tensor:
    """Unbiased weighted covariance (D, D); 0 where fewer than two rows count."""
    centred = rows - shares @ rows
    freedom = 1 - shares.square().sum()
    freedom = torch.where(freedom > torch.finfo(rows.dtype).eps * len(rows), freedom, 1.0)
    return (centred * shares[:, None]).T @ centred / freedom
