"""The parameter `missing` of estimators: what the door does with NaN inside sequences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from skseqmetric._input.lent import owned
from skseqmetric._input.sequences import Sequences
from skseqmetric._ops.gaps import interpolated, masked, observed_means


def completed(sequences: Sequences, estimator: Any, rule: str, *, reset: bool) -> Sequences:
    """Return the sequences as the estimator reads them: without NaN, by "interpolate" or "mask".

    A fit keeps the mean of every channel as `fill_values_`. Sequences that are complete already stay as they are.
    """
    sequences = owned(sequences)
    if reset:
        estimator.fill_values_, estimator._missing = observed_means(sequences.values), rule
    elif is_completed(sequences, estimator):
        return sequences
    if rule == "interpolate":
        values = interpolated(sequences.values, sequences.lengths, estimator.fill_values_)
        return sequences if values is sequences.values else replace(sequences, values=values)
    values = masked(sequences.values, sequences.lengths, estimator.fill_values_)
    names = None if sequences.channel_names is None else with_masks(sequences.channel_names)
    return replace(sequences, values=values, channel_names=names, table_width=None, feature_names=None)


def is_completed(sequences: Sequences, estimator: Any) -> bool:
    """Whether the masks of missing values are channels of the sequences already, as a fitted estimator reads them."""
    is_masked = getattr(estimator, "_missing", None) == "mask"
    return is_masked and sequences.n_channels == n_channels_read(estimator)


def with_masks(names: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the names of channels, then those of their masks and of the times since the last value."""
    return (*names, *(f"{name}_observed" for name in names), *(f"{name}_gap" for name in names))


def n_channels_read(estimator: Any) -> int:
    """Return the number of channels that a fitted estimator computes with: three times C with masks."""
    return int(estimator.n_channels_) * (3 if vars(estimator).get("_missing") == "mask" else 1)
