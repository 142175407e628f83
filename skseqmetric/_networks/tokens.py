"""Tokens as vectors that a network learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from skseqmetric._files import record
from skseqmetric._networks.layers import silence_filters
from skseqmetric._ops.steps import valid_steps

START = 0.1
"""Deviation of the vectors before training. Rare words stay near the middle, and thus say little."""


@record(counts="list", n_features="int", dropout="number")
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


def check_vocabulary(vocabulary: Any, form: TokenForm | None) -> None:
    """Raise ValueError unless the codes of the tokens, by column, are those that a network has vectors for."""
    columns = vocabulary if isinstance(vocabulary, list) else [] if vocabulary is None else [vocabulary]
    wanted = [] if form is None else [len(counts) for counts in form.counts]
    codes = [sorted(column.values()) for column in columns]
    if codes != [list(range(1, n + 1)) for n in wanted]:
        raise ValueError(f"the network knows {wanted} tokens, and the vocabulary {list(map(len, codes))}.")


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
        nn.init.normal_(table, std=START, generator=generator)
        self.table = nn.Embedding.from_pretrained(table, freeze=False)
        starts = torch.tensor(self.sizes[:-1], dtype=torch.int64, device="cpu")
        rates = []
        for counts in form.counts:
            found = torch.tensor(counts, dtype=torch.float32, device="cpu")
            # the unknown token, and those of the vocabulary
            rates += [found.new_tensor([0.0]), form.dropout / (form.dropout + found)]
        self.register_buffer("starts", starts, persistent=False)
        self.register_buffer("rates", torch.cat(rates), persistent=False)

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
