"""Runs a function of padded batches over a whole data set. On the CPU, batches run in parallel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from skseqmetric._ops.parallel import run_tiles
from skseqmetric._ops.progress import progress
from skseqmetric._tensors.flat import ReadSequences, batches_by_length
from skseqmetric._tensors.modes import answering

MAX_STEPS = 32768
"""Padded steps of one inference batch: enough to keep the kernels busy, and few enough for cache and memory."""

Run = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
RunSteps = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def over_batches(
    flat: ReadSequences, run: Callable[[torch.Tensor, torch.Tensor, np.ndarray], None], max_steps: int = MAX_STEPS
) -> None:
    """Call run(values, lengths, indices) on every batch of sequences of similar lengths."""
    if len(flat) == 1:
        _run_batch(flat, run, np.zeros(1, dtype=np.int64))
        return
    batches = batches_by_length(flat.host_lengths, max_steps, flat.digests)
    with progress("reading", len(flat), "sequence") as bar:

        def each(indices: np.ndarray) -> None:
            _run_batch(flat, run, indices)
            bar.advance(len(indices))

        run_tiles(each, batches, n_threads(flat.device))


@answering
def _run_batch(
    flat: ReadSequences, run: Callable[[torch.Tensor, torch.Tensor, np.ndarray], None], indices: np.ndarray
) -> None:
    run(*flat.padded(indices), indices)


def run_sequences(flat: ReadSequences, run: Run, width: int, dtype: type[np.floating[Any]] = np.float32) -> np.ndarray:
    """Return the results (n, width) of run(values, lengths) -> (B, width), in the order of the sequences."""
    out = np.empty((len(flat), width), dtype=dtype)

    def each(values: torch.Tensor, lengths: torch.Tensor, indices: np.ndarray) -> None:
        out[indices] = run(values, lengths).cpu().numpy()

    over_batches(flat, each)
    check_finite(out)
    return out


def run_steps(flat: ReadSequences, run: RunSteps, max_steps: int = MAX_STEPS) -> list[np.ndarray]:
    """Return n arrays (T_i', width) from run(values, lengths) -> (B, T', width) and numbers of steps (B,)."""
    out: list[Any] = [None] * len(flat)

    def each(values: torch.Tensor, lengths: torch.Tensor, indices: np.ndarray) -> None:
        found, steps = run(values, lengths)
        # one sum of a batch; steps past the end are arbitrary, so that only a doubtful batch is looked at closely
        doubtful = not bool(torch.isfinite(found.sum()))
        for i, rows, n_steps in zip(indices, found.cpu().numpy(), steps.tolist(), strict=True):
            out[i] = rows[:n_steps].copy()
            if doubtful:
                check_finite(out[i][np.newaxis], [i])

    over_batches(flat, each, max_steps)
    return out


def check_finite(results: np.ndarray, numbers: Sequence[int] | np.ndarray | None = None) -> None:
    """Refuse results (n, ...) of n sequences that are not finite. `numbers` (n,) are those of the sequences.

    A sum tells it in one pass. Only if it is not finite, every value is looked at.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(results.sum()) or np.isfinite(results).all():
            return
    row = int(np.argmin(np.isfinite(results.reshape(len(results), -1)).all(axis=1)))
    name = row if numbers is None else numbers[row]
    raise ValueError(
        f"the network has no finite result for sequence {name}: its values are too far from those of the training "
        "data, or the weights of the network are too large. Look for extreme values in X, and for a learning rate that "
        "is too high."
    )


def n_threads(device: torch.device) -> int | None:
    """Return the threads for tiles: None (all) on the CPU, and 1 on a device that is parallel by itself."""
    return None if device.type == "cpu" else 1
