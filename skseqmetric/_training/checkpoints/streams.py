"""The random streams of a training, and how far its batches have come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skseqmetric._ops.ranks import RANKS
from skseqmetric._training.batches import Columns, PairBatches, TargetBatches


@dataclass(frozen=True)
class Streams:
    """All that draws from random numbers between two epochs.

    numpy : the generator that plans the batches.
    torch : the generator of augmentation, dropout and drawn pairs.
    batches : the batches of the training data.
    columns : the further columns of a batch, if there are any.
    """

    numpy: np.random.Generator
    torch: torch.Generator
    batches: TargetBatches | PairBatches
    columns: Columns | None = None

    def state(self) -> dict[str, Any]:
        """Return the state at the end of an epoch, as plain values, arrays and tensors.

        Processes that share the training call this together: each draws noise of its own.
        """
        ranks = RANKS.get()
        return {
            "numpy": self.numpy.bit_generator.state,
            "torch": self.torch.get_state(),
            "noise": None if ranks is None else ranks.all(ranks.noise(self.torch).get_state()),
            "left": self.batches.left,
            "columns": None if self.columns is None else self.columns.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.numpy.bit_generator.state = state["numpy"]
        self.torch.set_state(state["torch"])
        if (ranks := RANKS.get()) is not None:
            ranks.noise(self.torch).set_state(state["noise"][ranks.rank])
        self.batches.left = None if self.batches.left is None else max(0, int(state["left"]))
        if self.columns is not None:
            self.columns.restore(state["columns"])
