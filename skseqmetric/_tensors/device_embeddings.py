"""Embeddings that stay on the device of their network, beside the array on the host that everybody knows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skseqmetric._ops.twins import with_twin
from skseqmetric._tensors.flat import ReadSequences
from skseqmetric._tensors.inference import Run, check_finite, over_batches, run_sequences

KEPT_ON = ("cuda",)
"""Devices where searches run, so that embeddings stay there."""


def embed_sequences(flat: ReadSequences, run: Run, width: int) -> np.ndarray:
    """Return the embeddings (n, width) of run(values, lengths) -> (B, width), float32, in the order of the sequences.

    On CUDA all batches come back in one transfer, and `_ops.twins` keeps the embeddings there.
    """
    if flat.device.type not in KEPT_ON:
        return run_sequences(flat, run, width)
    found = torch.empty((len(flat), width), dtype=torch.float32, device=flat.device)

    def each(values: Tensor, lengths: Tensor, indices: np.ndarray) -> None:
        found[torch.from_numpy(indices).to(found.device)] = run(values, lengths).float()

    over_batches(flat, each)
    embeddings = with_twin(found)
    check_finite(embeddings)
    return embeddings
