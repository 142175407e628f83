"""Small encoders, ragged batches for them, and what a test reads of both."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skseqmetric._networks.encoders import (
    SeriesEncoder,
)

LENGTHS = torch.tensor([9, 1, 4, 7])
CLOSE = {"rtol": 1e-10, "atol": 1e-12}  # float64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n_features: int, lengths: Tensor = LENGTHS, extra: int = 0, fill: float = 0.0) -> Tensor:
    """Random rows (B, T + extra, F) in float64, the same for every `extra`, with `fill` past their ends."""
    rows = torch.randn(len(lengths), int(lengths.max()), n_features, generator=generator(1), dtype=torch.float64)
    rows = torch.cat([rows, rows.new_zeros(len(rows), extra, n_features)], 1)
    outside = torch.arange(rows.shape[1]) >= lengths[:, None]
    return rows.masked_fill(outside[..., None], fill)


def small_encoder(n_channels: int = 2, dropout: float = 0.3) -> SeriesEncoder:
    return SeriesEncoder(n_channels, 6, 4, 5, 3, 2, dropout, 4, generator=generator()).double()


def valid(x: Tensor, lengths: Tensor) -> Tensor:
    """The valid steps of all rows, one below the other."""
    return torch.cat([row[:n] for row, n in zip(x, lengths, strict=True)])


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad.clone() for name, parameter in module.named_parameters()}
