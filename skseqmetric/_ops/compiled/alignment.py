"""Matching of places by the compiled kernels: threads take blocks of pairs, whose bits do not depend on the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from skseqmetric._ops.compiled._library import library
from skseqmetric._ops.operands import address
from skseqmetric._ops.parallel import Team

CALL_PRODUCTS = 2**34
"""Products of one call, about a second of work: Ctrl-C is heard between calls."""

Pairs = tuple[Tensor, Tensor]


def alignment_tile(first: Tensor, second: Tensor, pairs: Pairs | None, n_threads: int | None) -> Tensor:
    """Return the squared distances (N, M), or (K,) of the pairs."""
    team = Team.now(n_threads)
    if pairs is not None:
        out = torch.empty(len(pairs[0]), dtype=torch.float64, device="cpu")
        _run_pairs(first, second, pairs, [out], team)
        return out
    table = torch.empty(len(first), len(second), dtype=torch.float64, device="cpu")
    # the fewer sequences are packed, each for all of the others
    rows, lanes, out = (second, first, table.T) if len(first) < len(second) else (first, second, table)
    for part in _parts(len(rows), len(lanes) * _products(rows, lanes)):
        _run(rows[part], lanes, None, [out[part]], out.stride(), team)
    return table


def alignment_matches(first: Tensor, second: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what every place of the pairs matches: indices and costs, (K, P) and (K, P') each."""
    n, places = len(pairs[0]), (first.shape[1], second.shape[1])
    forward, backward = (torch.empty(n, size, dtype=torch.int64, device="cpu") for size in places)
    costs, costs_back = (torch.empty(n, size, dtype=torch.float64, device="cpu") for size in places)
    distances = torch.empty(n, dtype=torch.float64, device="cpu")
    _run_pairs(first, second, pairs, [distances, forward, backward, costs, costs_back], Team.now())
    return forward, backward, costs, costs_back


def _run_pairs(first: Tensor, second: Tensor, pairs: Pairs, results: Sequence[Tensor], team: Team) -> None:
    """Fill distances (K,) and, unless they are missing, the matches and costs of both sides."""
    rows, lanes = first, second
    row, lane = (_indices(index, side) for index, side in zip(pairs, (rows, lanes), strict=True))
    if len(row) != len(lane):
        raise ValueError(f"pairs has {len(row)} indices of one side, and {len(lane)} of the other")
    if _changes(row) < _changes(lane):  # the side that stays the same is packed once for several pairs
        rows, lanes, row, lane = second, first, lane, row
        results = [results[k] for k in (0, 2, 1, 4, 3)[: len(results)]]
    for part in _parts(len(row), _products(rows, lanes)):
        _run(rows, lanes, (row[part], lane[part]), [result[part] for result in results], (0, 0), team)


def _run(
    rows: Tensor, lanes: Tensor, pairs: Pairs | None, results: Sequence[Tensor], strides: Sequence[int], team: Team
) -> None:
    operands = address(rows, "rows"), address(lanes, "lanes")
    indices = (None, None) if pairs is None else [address(index, "pairs", torch.int64) for index in pairs]
    dtypes = [torch.float64, torch.int64, torch.int64, torch.float64, torch.float64]
    layout = "any" if pairs is None else "whole"
    written = [address(result, "results", dtype, layout) for result, dtype in zip(results, dtypes, strict=False)]
    missing = [None] * (len(dtypes) - len(written))
    counts = len(rows), len(lanes), 0 if pairs is None else len(pairs[0])
    sizes = rows.shape[1], lanes.shape[1], rows.shape[2]
    library().alignment(*operands, *indices, *written, *missing, *counts, *sizes, *strides, team.n_threads, team.openmp)


def _indices(index: Tensor, side: Tensor) -> Tensor:
    """Indices as the kernels read them; they would read beyond the end of a side."""
    index = index.to("cpu", torch.int64).contiguous()
    if len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(side):
        raise IndexError(f"pairs has indices from {int(index.min())} to {int(index.max())} of {len(side)} sequences")
    return index


def _changes(index: Tensor) -> int:
    return int((index[1:] != index[:-1]).sum())


def _products(rows: Tensor, lanes: Tensor) -> int:
    """Products of one pair."""
    return rows.shape[1] * lanes.shape[1] * rows.shape[2]


def _parts(n: int, products: int) -> Iterator[slice]:
    size = max(1, CALL_PRODUCTS // max(1, products))
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
