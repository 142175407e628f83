"""Features of random convolutions: views of scaled sequences, each with a bank of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import torch

from skseqmetric._estimators.random_convolution.bank import draw_bank, median_length
from skseqmetric._files import record
from skseqmetric._input import Sequences, chosen, in_parts
from skseqmetric._ops.progress import progress
from skseqmetric._ops.random_convolution import ConvolutionBank, convolution_shares
from skseqmetric._tensors.flat import scaled_sequences, standardised
from skseqmetric._tensors.modes import answering
from skseqmetric._tensors.scaling import channel_scaling

VIEWS = ("channels", "differences", "relative", "relative_differences")
"""What the convolutions read: the scaled channels, their differences, and both in relative time."""

_LEARNED, _ANSWERED = 1 << 23, 1 << 21  # values, and features, that are held at once in a fit, and to answer

_VALUES = 1 << 20  # values of sequences on the CPU of which the views are held at once


@record(mean="float64 C", scale="float64 C", n_steps="int", banks="dict")
@dataclass(frozen=True, eq=False)
class ConvolutionFeatures:
    """What is learned for the features: the scaling of the channels, and a bank for every view.

    Parameters
    ----------
    mean, scale : ndarray (C,)
        Convolutions read (x - mean) / scale.
    n_steps : int
        Steps of a sequence in relative time: the median of the training lengths.
    banks : dict of str to ConvolutionBank
        Banks by the names of their views, in the order of their features.
    """

    mean: np.ndarray
    scale: np.ndarray
    n_steps: int
    banks: dict[str, ConvolutionBank]

    def check_record(self) -> None:
        """Raise ValueError if a bank reads what sequences of these channels do not have."""
        if not self.banks or set(self.banks) - set(VIEWS) or self.n_steps < 1:
            raise ValueError("the random convolutions have unknown views.")
        for bank in self.banks.values():
            bank.check_channels(len(self.mean))

    @classmethod
    def draw(
        cls,
        sequences: Sequences,
        n_features: int,
        rng: np.random.Generator,
        *,
        views: str | Sequence[str] = "auto",
        weights: np.ndarray | None = None,
        numbers: np.ndarray | None = None,
    ) -> Self:
        """Learn the scaling, and draw a bank of at most `n_features` >= 84 features for every view.

        "auto" takes the channels and their differences, and if the lengths differ, relative time too. `weights` (n,)
        are those of the sequences: a sequence of weight 2 counts like two sequences, one of weight 0 not at all.
        `numbers` (n,) are those by which messages call the sequences, if not by their order.
        """
        weights = np.ones(len(sequences)) if weights is None else weights
        mean, scale = channel_scaling(sequences, weights, numbers)
        used = np.flatnonzero(weights)
        counted = sequences if weights.all() else chosen(sequences, used)
        numbers = used if numbers is None else numbers[used]
        weights, lengths = weights[weights != 0], counted.lengths
        ragged = bool((lengths != lengths[0]).any())
        names = (VIEWS if ragged else VIEWS[:2]) if isinstance(views, str) else views
        n_steps = median_length(lengths, weights)
        # an order of their own, so that neither that of the data matters nor the units of the channels
        scaled = scaled_sequences(counted, mean, scale, torch.device("cpu"), numbers)
        order = np.argsort(scaled.digests, kind="stable")

        def read(name: str, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            some = counted.take(drawn)
            return viewed(name, standardised(some, mean, scale), some.lengths, n_steps)

        banks = {}
        for name in names:
            there = np.full_like(lengths, n_steps) if name.startswith("relative") else lengths
            there = np.maximum(there - 1, 1) if name.endswith("differences") else there
            banks[name] = draw_bank(partial(read, name), there, len(mean), weights, order, n_features, rng)
        return cls(mean, scale, n_steps, banks)

    @property
    def n_features_out(self) -> int:
        """Number of features P."""
        return sum(bank.n_features for bank in self.banks.values())

    @answering
    def features(
        self, sequences: Sequences, device: torch.device | str = "cpu", numbers: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the features (n, P), float32 in [0, 1]. A row is the same in every bit whatever the other sequences.

        `numbers` are those by which messages call the sequences, if not by their order.
        """
        out = np.empty((len(sequences), self.n_features_out), dtype=np.float32)
        numbers = np.arange(len(sequences)) if numbers is None else numbers
        # a GPU takes all at once
        most = _VALUES if torch.device(device).type == "cpu" else max(_VALUES, sequences.values.size)
        begin = 0
        for first, stop in in_parts(sequences.lengths, max(1, most // sequences.n_channels)):
            lengths = sequences.lengths[first:stop]
            end = begin + int(lengths.sum())
            part = Sequences(sequences.values[begin:end], lengths)
            self._fill(out[first:stop], part, device, numbers[first:stop])
            begin = end
        return out

    def _fill(self, out: np.ndarray, sequences: Sequences, device: torch.device | str, numbers: np.ndarray) -> None:
        """Write the features of a few sequences."""
        values, column = standardised(sequences, self.mean, self.scale, numbers), 0
        for name, bank in self.banks.items():
            steps, lengths = viewed(name, values, sequences.lengths, self.n_steps)
            found = convolution_shares(torch.from_numpy(steps).to(device), lengths, bank).cpu().numpy()
            out[:, column : column + bank.n_features] = found
            column += bank.n_features


def check_views(views: Any) -> str | Sequence[str]:
    """Return "auto" or names of views, or refuse them."""
    if isinstance(views, str):
        return views
    names = list(views)
    wrong = [name for name in names if name not in VIEWS]
    if wrong or not names or len(set(names)) < len(names):
        what = f"holds {wrong[0]!r}" if wrong else "is empty" if not names else "names a view twice"
        raise ValueError(f'views={views!r} {what}: pass "auto" or some of {", ".join(VIEWS)}.')
    return names


def pieces(sequences: Sequences, n_features: int, *, learning: bool) -> Iterator[tuple[np.ndarray, Sequences]]:
    """Yield the sequences in pieces of bounded memory, each with the numbers of its sequences.

    Those of a fit are larger: sums of products of features are faster, and have the same bits as ever.
    """
    n_values = _LEARNED if learning else _ANSWERED
    steps, n_channels = np.cumsum(sequences.lengths), sequences.n_channels
    start, done = 0, 0
    with progress("convolutions", len(sequences), "sequence") as bar:
        while start < len(sequences):
            allowed = start + max(1, n_values // n_features)
            stop = min(allowed, int(np.searchsorted(steps, done + n_values // n_channels, side="right")))
            stop = min(max(stop, start + 1), len(sequences))
            rows, part = np.arange(start, stop), slice(done, int(steps[stop - 1]))
            yield rows, Sequences(sequences.values[part], sequences.lengths[start:stop])
            bar.advance(stop - start)
            start, done = stop, part.stop


def viewed(name: str, values: np.ndarray, lengths: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the view of sequences (sum of lengths, C), stacked along time, and its lengths."""
    if name.startswith("relative"):
        values, lengths = _resampled(values, lengths, n_steps)
    return _differences(values, lengths) if name.endswith("differences") else (values, lengths)


def _differences(values: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x_t - x_(t-1) for every step but the first; one step of zeros if there is no other step."""
    found = np.zeros_like(values)
    np.subtract(values[1:], values[:-1], out=found[1:])
    first = np.cumsum(lengths) - lengths
    found[first] = 0
    kept = np.ones(len(values), dtype=bool)
    kept[first[lengths > 1]] = False
    return found[kept], np.maximum(lengths - 1, 1)


def _resampled(values: np.ndarray, lengths: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n_steps places of every sequence, evenly from its first step to its last, linear between steps."""
    places = np.linspace(0, 1, n_steps) * (lengths[:, None] - 1)
    lower = np.minimum(places.astype(np.int64), np.maximum(lengths[:, None] - 2, 0))
    share = (places - lower).astype(np.float32).reshape(-1, 1)
    below = ((np.cumsum(lengths) - lengths)[:, None] + lower).ravel()
    above = below + np.repeat(lengths > 1, n_steps)
    found = values[below] * (1 - share) + values[above] * share
    return found, np.full(len(lengths), n_steps)
