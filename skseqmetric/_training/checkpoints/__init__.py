"""Checkpoints: what a training needs to go on, written after every epoch."""

from __future__ import annotations

from skseqmetric._training.checkpoints.folder import Checkpoint, checkpoint_in
from skseqmetric._training.checkpoints.identity import add_start, identity_of
from skseqmetric._training.checkpoints.streams import Streams

__all__ = ["Checkpoint", "Streams", "add_start", "checkpoint_in", "identity_of"]
