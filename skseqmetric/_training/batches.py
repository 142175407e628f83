"""Batches of training data: the choice of sequences for each batch, and their padded values and targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from skseqmetric._tensors.flat import FlatSequences
from skseqmetric._tensors.steps import PaddedTargets

Plan = Callable[[], list[np.ndarray]]
"""A function that draws the batches of one epoch, as index arrays."""

Augmentation = Callable[[Tensor, Tensor], Tensor]
"""A function (values (B, T, C), lengths (B,)) -> values."""


class Columns(Protocol):
    """Further tensors for every batch, such as images of the sequences. An epoch begins and ends by two calls.

    `state` is what they remember between two epochs, as plain values and arrays.
    """

    def begin_epoch(self) -> None: ...

    def __call__(self, rows: np.ndarray) -> dict[str, Tensor]: ...

    def end_epoch(self) -> None: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


@dataclass
class TargetBatches:
    """Batches of sequences with targets. Each iteration is one epoch, with a new plan and new augmentation.

    A batch has the entries values (B, T, C), lengths (B,), targets (B, ...) or (B, T, ...) and weights (B,), and the
    entries that `columns` returns. At most `left` batches are drawn in all epochs.
    """

    sequences: FlatSequences
    targets: Tensor | PaddedTargets
    weights: Tensor
    plan: Plan
    augment: Augmentation | None = None
    columns: Columns | None = None
    left: int | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        plan = self.plan()[: self.left]
        if self.left is not None:
            self.left -= len(plan)
        return map(self._batch, plan) if self.columns is None else self._with_columns(self.columns, plan)

    def _with_columns(self, columns: Columns, plan: list[np.ndarray]) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        columns.begin_epoch()
        for rows in plan:
            batch, lengths = self._batch(rows)
            yield {**batch, **columns(rows)}, lengths
        columns.end_epoch()

    def _batch(self, rows: np.ndarray) -> tuple[dict[str, Tensor], Tensor]:
        values, lengths = self.sequences.padded(rows)
        chosen = torch.from_numpy(rows).to(values.device)
        batch = {
            "values": values if self.augment is None else self.augment(values, lengths),
            "lengths": lengths,
            "targets": self.targets[chosen],
            "weights": self.weights[chosen],
        }
        return batch, lengths


@dataclass
class PairBatches:
    """Batches of given pairs: values (P, 2, T, C), lengths (P, 2), same (P,) bool. At most `left` in all epochs."""

    sequences: FlatSequences
    pairs: np.ndarray
    same: Tensor
    plan: Plan
    augment: Augmentation
    left: int

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        plan = self.plan()[: self.left]
        self.left -= len(plan)
        for rows in plan:
            values, lengths = self.sequences.padded(self.pairs[rows].ravel())
            batch = {
                "values": self.augment(values, lengths).unflatten(0, (len(rows), 2)),
                "lengths": lengths.view(-1, 2),
                "same": self.same[torch.from_numpy(rows).to(values.device)],
            }
            yield batch, batch["lengths"]


# ------------------------------------------------------------------ which sequences meet in a batch

LENGTH_NOISE = 0.3


def noisy_length_order(lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random order in which neighbours have similar lengths. Equal lengths give a plain shuffle."""
    return np.argsort(np.log(lengths) + LENGTH_NOISE * rng.standard_normal(len(lengths)))


def shuffled_batches(
    lengths: np.ndarray, batch_size: int, n_batches: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Return n_batches batches of sequences of similar lengths, from as many passes over the data as needed."""
    batches: list[np.ndarray] = []
    while len(batches) < n_batches:
        order = noisy_length_order(lengths, rng)
        n_chunks = -(-len(order) // batch_size)
        chunks = np.array_split(order, n_chunks)
        batches.extend(chunks[i] for i in rng.permutation(n_chunks))
    return batches[:n_batches]


def balanced_batches(
    labels: np.ndarray,
    lengths: np.ndarray,
    batch_size: int,
    per_class: int,
    n_batches: int,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Return batches that hold several sequences of each of their classes.

    A batch has batch_size // per_class places. The classes fill the places in turn, each turn in a new random order.
    A place takes the next `per_class` members of its class. Members are in a random order in which neighbours have
    similar lengths, so that a batch has little padding. The order of the batches is random. If there are fewer classes
    than places, a class fills several places. A class with fewer than `per_class` members repeats them. The copies get
    different augmentation.

    With `groups` (n,), neighbours in the order of a class come from different groups, as far as it has several. A
    network then learns what the members of a class share across groups, and not what the members of a group share.
    """
    members = [np.flatnonzero(labels == c) for c in range(int(labels.max()) + 1)]
    members = [m for m in members if len(m)]
    per_class = min(per_class, max(2, batch_size // 2))
    places = max(2, batch_size // per_class)
    turns = _class_turns(len(members), places * n_batches, rng).reshape(n_batches, places)
    sizes = np.bincount(turns.ravel(), minlength=len(members)) * per_class
    queues = [_queue(m, lengths, int(size), rng, groups) for m, size in zip(members, sizes, strict=True)]
    taken = np.zeros(len(members), dtype=np.int64)
    batches = []
    for turn in turns:
        parts = []
        for c in turn:
            parts.append(queues[c][taken[c] : taken[c] + per_class])
            taken[c] += per_class
        batches.append(np.concatenate(parts))
    return [batches[i] for i in rng.permutation(n_batches)]


def _class_turns(n_classes: int, n_turns: int, rng: np.random.Generator) -> np.ndarray:
    rounds = -(-n_turns // n_classes)
    return np.concatenate([rng.permutation(n_classes) for _ in range(rounds)])[:n_turns]


def _queue(
    members: np.ndarray, lengths: np.ndarray, size: int, rng: np.random.Generator, groups: np.ndarray | None
) -> np.ndarray:
    """Return `size` members of one class: full passes in random orders, then a random part of one more pass."""
    passes = [members[noisy_length_order(lengths[members], rng)] for _ in range(-(-size // len(members)))]
    if not passes:
        return members[:0]
    rest = size - len(members) * (len(passes) - 1)
    kept = np.sort(rng.permutation(len(members))[:rest])
    passes[-1] = passes[-1][kept]
    return np.concatenate(passes if groups is None else [_mixed(order, groups[order], rng) for order in passes])


def _mixed(order: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the order with the members of each group spread evenly over it.

    The k-th of m members of a group comes at about (k + u) / m, with u drawn for each group. Members of a group keep
    their order.
    """
    _, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    rank = np.empty(len(order), dtype=np.int64)
    by_group = np.argsort(codes, kind="stable")
    rank[by_group] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[np.argsort((rank + rng.random(len(counts))[codes]) / counts[codes], kind="stable")]
