"""Batch normalisation of a batch that several processes share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skseqmetric._ops.ranks import Ranks


def shared_batch_norm(norm: Any, x: Tensor, ranks: Ranks) -> Tensor:
    """Return norm(x) in training, for x (N, F) or (N, F, h, w) of this rank and a layer of `torch.nn`.

    Mean and variance are those of the rows of all ranks, and so are the running statistics. `torch.nn.SyncBatchNorm`
    does this on CUDA alone.
    """
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
    count = ranks.summed(x.new_full((), x.numel() // x.shape[1]))
    mean = ranks.summed(x.sum(axes)) / count
    centred = x - mean.view(shape)
    variance = ranks.summed(centred.square().sum(axes)) / count
    _follow(norm, mean.detach(), variance.detach() * count / (count - 1).clamp_min(1))
    return centred * ((variance + norm.eps).rsqrt() * norm.weight).view(shape) + norm.bias.view(shape)


@torch.no_grad()
def _follow(norm: Any, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics as torch does, with the unbiased variance."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    step = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, step)
    norm.running_var.lerp_(variance, step)
