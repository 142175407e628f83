"""Fits that several processes share: every process has a part of each batch, and all end with the same network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.distributed as dist

from skseqmetric._ops.progress import hushed
from skseqmetric._ops.ranks import RANKS, Ranks
from skseqmetric._tasks import Task
from skseqmetric._training.checkpoints.identity import add_start, differences, identity_of
from skseqmetric._training.data import TrainingSet


@contextmanager
def data_parallel(group: Any = None) -> Iterator[None]:
    """Share the fits inside among the processes of a group, each of which makes the same calls with the same data.

    Every process draws the same batches. It runs the network on its part of the rows and of the pairs, and gathers what
    the others found. The loss is thus that of the whole batch, with all of its negatives. Gradients are averaged over
    the processes before each update. Batch normalisation uses the statistics of the whole batch. The result is that of
    one process with the same `batch_size`, up to rounding and to the streams of dropout, and is the same everywhere.

    Parameters
    ----------
    group : process group of `torch.distributed`, default=None
        The processes. None: all of them.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    RuntimeError
        No process group was initialised, or a block of this kind is open already.
    ValueError
        A fit inside finds that processes differ in data, parameters or labels.

    Notes
    -----
    Every estimator that is trained by gradient descent takes part: metrics, classifiers, regressors and cross-modal
    estimators. A `batch_size` of W times the default keeps the batch of each of W processes. Batches of metrics hold
    the members of a class side by side, so that a process gets whole classes. With `random_state=None`, the seed is
    that of the first process. Predictions are not shared: each process answers what it is asked.

    The first process reads and writes the `checkpoint`, for all, and its parameter counts. If a process dies, start as
    many again with the same calls. The fit goes on after its last whole epoch, and ends with the same bits.

    Encoders of the user with batch normalisation of their own normalise by their own rows. An update sends one message
    with all gradients, and one for each gathered tensor: B D numbers for embeddings of D numbers, B P D for the states
    at P places, and the features of all steps for gates. Small networks on few sequences are faster in one process.

    Examples
    --------
    A script for ``torchrun --nproc-per-node 2 train.py``. One process starts it here:

    >>> import torch.distributed
    >>> from skseqmetric import SyncGRUMetric, data_parallel
    >>> from skseqmetric.datasets import load_japanese_vowels
    >>> X, y = load_japanese_vowels(split="train", return_X_y=True)
    >>> torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    >>> with data_parallel():
    ...     metric = SyncGRUMetric(max_updates=4, random_state=0).fit(X, y)
    >>> torch.distributed.destroy_process_group()
    >>> metric.transform(X[:2]).shape
    (2, 96)
    """
    if not (dist.is_available() and dist.is_initialized()):
        raise RuntimeError(
            "data_parallel needs a process group: call torch.distributed.init_process_group first, in a script that "
            "torchrun starts."
        )
    if RANKS.get() is not None:
        raise RuntimeError("data_parallel is open already: leave it before the next one.")
    ranks = Ranks(dist.group.WORLD if group is None else group)
    token = RANKS.set(ranks)
    try:
        with hushed() if ranks.rank else nullcontext():
            yield
    finally:
        RANKS.reset(token)


def agreed_seed(
    estimator: Any, method: str, training: TrainingSet, task: Task, device: torch.device, seed: int, *, continued: bool
) -> int:
    """Return the seed of the first process. Raise ValueError in all of them unless they agree about the fit."""
    ranks = RANKS.get()
    if ranks is None:
        return seed
    decided = continued or estimator.random_state is not None
    identity = identity_of(estimator, method, training, task, device, seed if decided else None)
    if continued:
        identity = add_start(identity, estimator.module_, (estimator.mean_, estimator.scale_))
    identities = ranks.all(identity)
    for rank, other in enumerate(identities):
        if found := differences(other, identities[0]):
            raise ValueError(
                f"data_parallel: processes 0 and {rank} differ. In process {rank}, {'; '.join(found)} in process 0. "
                "Every process must call the fit with the same data and parameters."
            )
    agreed: int = ranks.first(seed)
    return agreed
