"""Mean and standard deviation of channels, computed in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from skseqmetric._input import Sequences, blocks_of_steps

LARGEST = 1e15
"""Bound of scaled values: their squares, summed over all steps and channels, must fit into float32."""

_MOMENT_VALUES = 2**19
"""Values of a block of which moments are computed."""

Blocks = Iterator[tuple[np.ndarray, np.ndarray]]
"""Values (m, C) and their weights (m,)."""

_OUTLYING = 1e12  # a value so many times larger than nine of ten others is a marker, not a measurement


def channel_scaling(
    sequences: Sequences, weights: np.ndarray, numbers: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (C,) of every channel over all steps, weighted by sequence, in float64.

    The deviation of a constant channel is set to 1. Its scaled values are then 0. `numbers` are those by which messages
    call the sequences, if not by their order.

    Raises
    ------
    ValueError
        A channel has a value beside which all others vanish, such as a fill value for missing ones.
    """
    share = weights / (weights @ sequences.lengths)

    def blocks() -> Blocks:
        for block in blocks_of_steps(sequences, _MOMENT_VALUES):
            yield sequences.values[block], _of_steps(share, sequences, block)

    mean, deviation = weighted_moments(blocks)
    for channel in np.flatnonzero(deviation > LARGEST):
        _refuse_outlier(sequences, channel, np.repeat(share > 0, sequences.lengths), numbers)
    return mean, usable_deviation(deviation, mean, sequences.values.dtype)


def weighted_moments(blocks: Callable[[], Blocks]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (C,) of values (n, C) whose weights (n,) sum to 1, in float64.

    `blocks` gives the values with their weights, block by block, and is called for every pass. Columns whose squares
    overflow or vanish in float64 are computed in units of their largest value.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        mean = np.sum([share @ values for values, share in blocks()], axis=0)
        deviation = np.sqrt(np.sum([share @ _squared(values - mean) for values, share in blocks()], axis=0))
    for column in np.flatnonzero(~((deviation > 1e-140) & (deviation < 1e140))):
        unit = max(float(np.abs(values[:, column]).max()) for values, _ in blocks())
        if unit > 0:
            middle = sum(share @ (values[:, column] / unit) for values, share in blocks())
            squares = sum(share @ np.square(values[:, column] / unit - middle) for values, share in blocks())
            deviation[column], mean[column] = unit * np.sqrt(squares), unit * middle
    return mean, deviation


def plain_moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and usable deviation (C,) of values (n, C) of equal weight, in float64."""
    share = np.full(len(values), 1 / len(values))
    mean, deviation = weighted_moments(lambda: iter([(values, share)]))
    return mean, usable_deviation(deviation, mean, values.dtype)


def _squared(values: np.ndarray) -> np.ndarray:
    return np.square(values, out=values)


def _of_steps(numbers: np.ndarray, sequences: Sequences, block: slice) -> np.ndarray:
    """Return the number of its sequence for every step of a block, from numbers (n,)."""
    ends = np.cumsum(sequences.lengths)
    stop = min(block.stop, int(ends[-1]))
    first, last = np.searchsorted(ends, (block.start, stop - 1), side="right").tolist()
    counts = np.diff(np.minimum(ends[first : last + 1], stop), prepend=block.start)
    return np.repeat(numbers[first : last + 1], counts)


def usable_deviation(deviation: np.ndarray, mean: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Replace deviations by 1 that are at most the rounding error of the mean."""
    return np.where(deviation > 10 * np.finfo(dtype).eps * np.abs(mean), deviation, 1.0)


def _refuse_outlier(sequences: Sequences, channel: int, counted: np.ndarray, numbers: np.ndarray | None) -> None:
    """Refuse a value that hides all others of its channel but 0."""
    sizes = np.where(counted, np.abs(sequences.values[:, channel]), 0)
    row = int(np.argmax(sizes))
    others = sizes[(sizes > 0) & (sizes < sizes[row])]
    if not len(others) or sizes[row] / _OUTLYING <= np.quantile(others, 0.9):
        return
    place, value = place_of(sequences, row, channel, numbers), sequences.values[row, channel]
    raise ValueError(
        f"{place} is {value:.6g}, and nine of ten others are more than {_OUTLYING:.0e} times smaller, so that scaling "
        "would make them equal. Is it a fill value for missing data? Impute such values or cut them off first."
    )


def place_of(sequences: Sequences, row: int, channel: int, numbers: np.ndarray | None) -> str:
    """Return how messages call a value in a row of all steps. `numbers` are those of the sequences."""
    i = int(np.searchsorted(np.cumsum(sequences.lengths), row, side="right"))
    step = row - int(sequences.offsets[i])
    return f"sequence {i if numbers is None else numbers[i]}, step {step}, channel {channel}"
