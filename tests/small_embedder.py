"""A small CrossModalTripletEmbedder, and images that show their label."""

from __future__ import annotations

from typing import Any

import numpy as np
from skorch.callbacks import Callback
from torch import Tensor

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


class Interrupt(Callback):
    """Ctrl-C in the third epoch."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) > 2:
            raise KeyboardInterrupt


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
