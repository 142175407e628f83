"""Clusters within clusters: how small they get, and whether all are arranged alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

_LEAST_CHILDREN = 3  # whose distances have an order
_MOST_PAIRS = 200  # of clusters of one pair of depths


class SelfSimilarity(NamedTuple):
    """How alike the arrangements at two depths are: mean rank `correlation`, `p_value`, and `n_pairs` of clusters.

    The correlation is that of the distances between the sub-clusters that two clusters have in common; 1 for equal
    orders of the distances, about 0 for arrangements without relation. Without a pair it is NaN.
    """

    depths: tuple[int, int]
    correlation: float
    p_value: float
    n_pairs: int


class _Cluster(NamedTuple):
    """Sub-clusters of a cluster: their codes (C,) in order, and the distances (1 + B, C, C) between their means.

    Row 0 has the true codes, the others have codes that were shuffled among the sub-clusters.
    """

    words: np.ndarray
    distances: np.ndarray


def self_similarity(
    states: np.ndarray, codes: np.ndarray, *, min_states: int, n_permutations: int, rng: np.random.Generator
) -> list[SelfSimilarity]:
    """Compare the arrangements of sub-clusters at all pairs of depths, for states (n, H) and codes (n, D), -1 for none.

    The clusters of depth d are the states with the same first d codes; depth 0 is the cluster of all. What depth d + 1
    shows are their sub-clusters, which have the same code d + 1 as well.
    """
    depths = range(codes.shape[1])
    clusters = [list(_clusters(states, codes, d, min_states, n_permutations, rng)) for d in depths]
    found = []
    for a, b in combinations(depths, 2):
        found.append(_compared((a + 1, b + 1), list(product(clusters[a], clusters[b])), rng))
    for d in depths[1:]:
        found.append(_compared((d + 1, d + 1), list(combinations(clusters[d], 2)), rng))
    return sorted(found)


def relative_spread(states: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the root mean square distance of states from the mean of their cluster, relative to that of all, (1 + D,).

    Entry d is for clusters with the same first d codes, with degrees of freedom counted.
    """
    spreads = []
    for depth in range(codes.shape[1] + 1):
        within = freedom = 0.0
        for members in members_of(codes[:, :depth]):
            own = states[members]
            within += np.sum(np.square(own - own.mean(axis=0)))
            freedom += len(own) - 1
        spreads.append(np.sqrt(within / freedom) if freedom else np.nan)
    return np.array(spreads) / (spreads[0] or 1.0)


def members_of(codes: np.ndarray) -> list[np.ndarray]:
    """Return the rows with equal codes (n, d), one array for each cluster; rows with -1 belong to none."""
    rows = np.flatnonzero((codes >= 0).all(axis=1))
    if not codes.shape[1]:
        return [rows]
    back = np.unique(codes[rows], axis=0, return_inverse=True)[1].ravel()
    return [rows[back == k] for k in range(back.max(initial=-1) + 1)]


def _clusters(
    states: np.ndarray, codes: np.ndarray, depth: int, min_states: int, n_permutations: int, rng: np.random.Generator
) -> Iterator[_Cluster]:
    for members in members_of(codes[:, :depth]):
        words, counts = np.unique(codes[members, depth], return_counts=True)
        words = words[(counts >= min_states) & (words >= 0)]
        if len(words) < _LEAST_CHILDREN:
            continue
        means = np.stack([states[members[codes[members, depth] == word]].mean(axis=0) for word in words])
        distances = np.linalg.norm(means[:, np.newaxis] - means, axis=2)
        orders = [np.arange(len(words)), *(rng.permutation(len(words)) for _ in range(n_permutations))]
        yield _Cluster(words, np.stack([distances[np.ix_(order, order)] for order in orders]))


def _compared(
    depths: tuple[int, int], pairs: list[tuple[_Cluster, _Cluster]], rng: np.random.Generator
) -> SelfSimilarity:
    pairs = [(a, b) for a, b in pairs if len(np.intersect1d(a.words, b.words)) >= _LEAST_CHILDREN]
    if len(pairs) > _MOST_PAIRS:
        pairs = [pairs[i] for i in rng.choice(len(pairs), _MOST_PAIRS, replace=False)]
    if not pairs:
        return SelfSimilarity(depths, np.nan, np.nan, 0)
    # a cluster keeps its shuffled codes in all its pairs, so that these depend on each other as the true ones do
    ranks: dict[Any, np.ndarray] = {}
    means = np.mean([_correlations(a, b, ranks) for a, b in pairs], axis=0)
    p_value = float(np.mean(means >= means[0] - 1e-12))
    return SelfSimilarity(depths, float(means[0]), p_value, len(pairs))


def _correlations(a: _Cluster, b: _Cluster, ranks: dict[Any, np.ndarray]) -> np.ndarray:
    """Return the rank correlations (1 + B,) of the distances between the sub-clusters that both have.

    `ranks` keeps what other pairs need as well.
    """
    common = np.intersect1d(a.words, b.words)
    for own in (a, b):
        key = id(own), common.tobytes()
        if key not in ranks:
            ranks[key] = _unit_ranks(own, common)
    return np.sum(ranks[id(a), common.tobytes()] * ranks[id(b), common.tobytes()], axis=1)


def _unit_ranks(cluster: _Cluster, words: np.ndarray) -> np.ndarray:
    """Return the ranks of the distances between sub-clusters, of mean 0 and length 1, (1 + B, pairs)."""
    at = np.searchsorted(cluster.words, words)
    first, second = (at[own] for own in np.triu_indices(len(at), 1))
    distances = cluster.distances[:, first, second]
    ranks = rankdata(np.round(distances / max(float(distances.max()), 1e-300), 9), axis=1)  # equal ones share a rank
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    return ranks / np.maximum(np.linalg.norm(ranks, axis=1, keepdims=True), np.finfo(np.float64).tiny)
