"""A small CrossModalTripletEmbedder, and images that show their label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from skseqmetric import CrossModalTripletEmbedder

SMALL: dict[str, Any] = {
    "n_components": 6,
    "n_filters": 8,
    "n_units": 8,
    "max_epochs": 3,
    "min_batches": 3,
    "random_state": 0,
}
PARTS = ("series_loss", "image_loss", "cross_loss")
IMAGES = np.zeros((24, 9, 8), dtype=np.uint8)
Data = tuple[list[np.ndarray], np.ndarray, np.ndarray]


def pictures(y: np.ndarray, seed: int) -> np.ndarray:
    images = np.random.default_rng(seed).uniform(0, 0.4, size=(len(y), 9, 8)).astype(np.float32)
    for image, label in zip(images, y, strict=True):
        image[3 * label : 3 * label + 3] += 0.6
    return images


def small(**settings: Any) -> CrossModalTripletEmbedder:
    return CrossModalTripletEmbedder(**{**SMALL, **settings})


def distances_by_hand(kind: str, rows: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distances of three classes from embeddings or probabilities (n, D) of their members, pair by pair."""
    means = [rows[y == k].mean(axis=0) for k in range(3)]
    found = np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            if kind == "prototypes":
                found[a, b] = np.sqrt(((means[a] - means[b]) ** 2).sum())
            elif a != b:
                ratio = means[a][b] * means[b][a] / (means[a][a] * means[b][b])
                found[a, b] = max(-0.5 * np.log(ratio), 0)
    return found / (found.sum() / 6)


class Steps(nn.Module):
    """A series encoder: sequences (B, T, 2) to features of every second step but the last `fewer` ones."""

    def __init__(self, n_features: int = 7, fewer: int = 0) -> None:
        super().__init__()
        self.layer, self.fewer = started(2, n_features, seed=0), fewer

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tanh(self.layer(values[:, ::2])), ((lengths + 1) // 2 - self.fewer).clamp_min(1)


class Vectors(nn.Module):
    """An image encoder: images (B, 1, 9, w) to their means over the columns, in a linear map."""

    def __init__(self, n_features: int = 7) -> None:
        super().__init__()
        self.layer = started(9, n_features, seed=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.mean(3).flatten(1))


def started(n_inputs: int, n_outputs: int, seed: int) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, n_inputs, n_outputs, dtype=torch.float32)
    nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(seed))
    nn.init.zeros_(layer.bias)
    return layer


# encoders that train in a tenth of the time, for tests of what has nothing to do with them
CHEAP: dict[str, Any] = {"series_encoder": Steps(), "image_encoder": Vectors()}


class Interrupt(Callback):
    """Ctrl-C in the third epoch."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) > 2:
            raise KeyboardInterrupt


class CrossTerms(Callback):
    """The mean cosine loss of every batch between both modalities, by plain loops over its rows.

    `margin` maps the label distance of a negative to the margin. `apart` has these distances, batch by batch.
    """

    def __init__(self, loss: str, margin: Callable[[float], float]) -> None:
        self.loss, self.margin = loss, margin
        self.found: list[float] = []
        self.apart: list[list[tuple[int, int, float]]] = []

    @torch.no_grad()
    def on_batch_begin(self, net: Any, batch: Any = None, **kwargs: Any) -> None:
        given, network = batch[0], net.module_.train().network
        u = network.embed_series(*network.encode_series(given["values"], given["lengths"]))
        v = network.embed_images(network.encode_images(given["images"]))
        labels, negatives, apart = (given[k].tolist() for k in ("image_labels", "negatives", "apart"))
        self.found.append(
            float(
                np.mean(
                    [self.of_row(u[i], v[i], v[n], a) for i, (n, a) in enumerate(zip(negatives, apart, strict=True))]
                )
            )
        )
        self.apart.append([(labels[i], labels[n], a) for i, (n, a) in enumerate(zip(negatives, apart, strict=True))])

    def of_row(self, u: Tensor, v: Tensor, negative: Tensor, apart: float) -> float:
        near, far = (1 - float(cosine_similarity(u, other, dim=0)) for other in (v, negative))
        margin = self.margin(apart)
        return {"pair": near, "contrastive": near + max(margin - far, 0), "triplet": max(near - far + margin, 0)}[
            self.loss
        ]


class Batches(Callback):
    """Keeps what the network is given in every epoch, a dict of tensors for each batch; and what is minimised."""

    def __init__(self) -> None:
        self.epochs: list[list[dict[str, Tensor]]] = []

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.epochs.append([])
        self.objective = net.module_

    def on_batch_begin(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        if training:
            self.epochs[-1].append(batch[0])
