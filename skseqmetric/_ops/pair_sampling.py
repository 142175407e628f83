"""Which pairs of a batch a loss of distances is computed from."""

from __future__ import annotations

import torch
from torch import Tensor


def sample_pairs(labels: Tensor, per_sequence: int | None, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Unordered pairs (rows, columns) of a batch, none twice: all of them, or `per_sequence` / 2 times the sequences.

    Half of the drawn pairs are within a class and half between classes, if the batch has enough of them. Random keys
    choose the pairs of each kind.
    """
    n = len(labels)
    rows, columns = torch.triu_indices(n, n, 1, dtype=torch.int64, device=labels.device)
    if per_sequence is None or per_sequence >= n - 1:
        return rows, columns
    same = labels[rows] == labels[columns]
    wanted = n * per_sequence // 2
    n_same = min(int(same.sum()), wanted // 2)
    n_other = min(int((~same).sum()), wanted - n_same)
    keys = torch.rand(len(rows), generator=generator, dtype=torch.float32, device=labels.device)
    drawn = [
        torch.topk(keys.masked_fill(kind, -1), count).indices for kind, count in ((~same, n_same), (same, n_other))
    ]
    chosen = torch.cat(drawn).sort().values
    return rows[chosen], columns[chosen]
