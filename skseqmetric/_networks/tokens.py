"""Tokens as vectors that a network learns."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from skseqmetric._networks.layers import silence_filters
from skseqmetric._ops.steps import valid_steps

START = 0.1
"""Deviation of the vectors before training. Rare words stay near the middle, and thus say little."""


@dataclass(frozen=True)
class TokenForm:
    """What a network knows of its tokens.

    counts : of every column, how often each token of the vocabulary occurs in the training data.
    n_features : numbers of a vector.
    dropout : a in the probability a / (a + n) by which a token of count n is read as unknown in training.
    """

    counts: tuple[tuple[int, ...], ...]
    n_features: int
    dropout: float

    @property
    def n_channels(self) -> int:
        """Numbers of a step: the vectors of all its tokens."""
        return self.n_features * len(self.counts)


class TokenVectors(nn.Module):
    """Codes of tokens (B, T, C) -> their vectors, side by side (B, T, C F), zero past the end.

    Code 0 is the unknown token, which has a vector too. With a generator, rare tokens are read as unknown, and a share
    `dropout` of the numbers is zero for a whole sequence.
    """

    starts: Tensor
    rates: Tensor

    def __init__(self, form: TokenForm, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.form, self.dropout = form, dropout
        self.sizes = [0]
        for counts in form.counts:
            self.sizes.append(self.sizes[-1] + len(counts) + 1)
        table = torch.empty(self.sizes[-1], form.n_features, dtype=torch.float32, device="cpu")
        # one table for all columns, so that a batch is one look-up
        self.table = nn.Embedding.from_pretrained(table.normal_(std=START, generator=generator), freeze=False)
        starts = torch.tensor(self.sizes[:-1], dtype=torch.int64, device="cpu")
        rates = torch.zeros(self.sizes[-1], dtype=torch.float32, device="cpu")
        for (start, stop), counts in zip(pairwise(self.sizes), form.counts, strict=True):
            found = torch.tensor(counts, dtype=torch.float32, device="cpu")
            rates[start + 1 : stop] = form.dropout / (form.dropout + found)
        self.register_buffer("starts", starts, persistent=False)
        self.register_buffer("rates", rates, persistent=False)

    def forward(self, codes: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        rows = codes.long() + self.starts
        if generator is not None and self.form.dropout:
            drawn = torch.rand(rows.shape, generator=generator, dtype=torch.float32, device=rows.device)
            rows = torch.where(drawn < self.rates[rows], self.starts, rows)
        vectors = silence_filters(self.table(rows).flatten(2), self.dropout, 2, generator)
        return vectors * valid_steps(lengths, codes.shape[1])[..., None]

    def advance(self, codes: Tensor) -> Tensor:
        """Return the vectors (C F,) of one step of codes (C,)."""
        return self.table(codes.long() + self.starts).flatten()
