"""A skorch callback that keeps the batches of a fit."""

from __future__ import annotations

from typing import Any

from skorch.callbacks import Callback


class SeenBatches(Callback):
    """Batches in the order in which they were trained on: dictionaries of arrays, held-out ones apart."""

    def __init__(self) -> None:
        self.training: list[dict[str, Any]] = []
        self.held_out: list[dict[str, Any]] = []

    def on_batch_begin(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        entries = {name: tensor.clone().numpy() for name, tensor in batch[0].items()}
        (self.training if training else self.held_out).append(entries)


def sequences_of(batch: dict[str, Any]) -> list[Any]:
    """The sequences of a batch without their padding."""
    return [values[:n] for values, n in zip(batch["values"], batch["lengths"], strict=True)]
