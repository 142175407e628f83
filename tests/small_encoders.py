"""Small networks of both modalities, of the class that a fitted estimator names, and ragged batches for them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skseqmetric import CrossModalTranscriber, CrossModalTripletEmbedder

LENGTHS = torch.tensor([9, 1, 4, 7])
CLOSE = {"rtol": 1e-10, "atol": 1e-12}  # float64
SIZES: dict[str, Any] = {
    "n_channels": 2,
    "image_shape": (1, 8, 8),
    "n_features": 4,
    "n_components": 3,
    "n_classes": 6,
    "n_filters": 6,
    "n_units": 3,
    "n_layers": 2,
    "dropout": 0.3,
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def fitted(head: str) -> Any:
    """An estimator after one update, whose network scores whole sequences ("classes") or their steps ("steps")."""
    kind, y = (CrossModalTripletEmbedder, [0, 1]) if head == "classes" else (CrossModalTranscriber, ["a", "b"])
    estimator = kind(2, n_filters=2, n_units=2, max_epochs=1, min_batches=1, random_state=0)
    return estimator.fit(np.eye(2, 8), y, images=np.zeros((2, 8, 8)))


def network(head: str = "classes", seed: int = 0, **changes: Any) -> Any:
    """A new network of the class and the configuration of a fitted one, in other sizes."""
    estimator = fitted(head)
    config = {**estimator.network_config_, **SIZES, **changes}
    return type(estimator.module_)(**config, generator=generator(seed))


def series_encoder(**changes: Any) -> Any:
    return network(**changes).series_encoder.double()


def image_encoder(*shape: int, **changes: Any) -> Any:
    return network(image_shape=shape, **changes).image_encoder.double()


def batch(n_features: int, lengths: Tensor = LENGTHS, extra: int = 0, fill: float = 0.0) -> Tensor:
    """Random rows (B, T + extra, F) in float64, the same for every `extra`, with `fill` past their ends."""
    rows = torch.randn(len(lengths), int(lengths.max()), n_features, generator=generator(1), dtype=torch.float64)
    rows = torch.cat([rows, rows.new_zeros(len(rows), extra, n_features)], 1)
    return rows.masked_fill(outside(lengths, rows.shape[1])[..., None], fill)


def pixels(n: int, *shape: int) -> Tensor:
    return torch.rand(n, *shape, generator=generator(), dtype=torch.float64)


def outside(lengths: Tensor, n_steps: int) -> Tensor:
    """Where steps (B, T) stand past the end of their row."""
    return torch.arange(n_steps) >= lengths[:, None]


def valid(x: Tensor, lengths: Tensor) -> Tensor:
    """The valid steps of all rows, one below the other."""
    return torch.cat([row[:n] for row, n in zip(x, lengths, strict=True)])


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad.clone() for name, parameter in module.named_parameters()}
