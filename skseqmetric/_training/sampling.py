"""Which sequences meet in a batch, and which pairs of a batch are evaluated."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

LENGTH_NOISE = 0.3


def noisy_length_order(lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order in which neighbours have similar lengths (a plain shuffle where all are equal)."""
    return np.argsort(np.log(lengths) + LENGTH_NOISE * rng.standard_normal(len(lengths)))


def shuffled_batches(
    lengths: np.ndarray, batch_size: int, n_batches: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Batches over everything, similar lengths together, passing over the data as often as n_batches needs."""
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
) -> list[np.ndarray]:
    """Batches that hold several sequences of each of their classes.

    A batch has batch_size // per_class places, filled by the classes in turn (each turn in a new random order), and
    every place takes the next `per_class` members of its class. Members wait in a random order in which neighbours have
    similar lengths, so a batch has little padding; the batches come out shuffled. With fewer classes than places a
    class fills several. A class with fewer than `per_class` members fills its place by starting over, so a single
    sequence meets itself under another augmentation.
    """
    members = [np.flatnonzero(labels == c) for c in range(int(labels.max()) + 1)]
    members = [m for m in members if len(m)]
    per_class = min(per_class, max(2, batch_size // 2))
    places = max(2, batch_size // per_class)
    turns = _class_turns(len(members), places * n_batches, rng).reshape(n_batches, places)
    queues = [_queue(m, lengths, int((turns == c).sum()) * per_class, rng) for c, m in enumerate(members)]
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


def _queue(members: np.ndarray, lengths: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` members of one class: whole passes, each in its own order, the last one thinned evenly."""
    passes = [members[noisy_length_order(lengths[members], rng)] for _ in range(-(-size // len(members)))]
    if not passes:
        return members[:0]
    rest = size - len(members) * (len(passes) - 1)
    kept = np.sort(rng.permutation(len(members))[:rest])
    passes[-1] = passes[-1][kept]
    return np.concatenate(passes)


def sample_pairs(labels: Tensor, per_sequence: int | None, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Unordered pairs (rows, columns) of a batch: all of them, or about `per_sequence` drawn for every sequence.

    Drawn pairs are half same-class, half other-class as far as the batch has them: partners at random ring
    offsets, so that no pair comes twice.
    """
    n = len(labels)
    rows, columns = torch.triu_indices(n, n, 1, device=labels.device)
    if per_sequence is None or per_sequence >= n - 1:
        return rows, columns
    same = labels[rows] == labels[columns]
    wanted = n * per_sequence // 2
    n_same = min(int(same.sum()), wanted // 2)
    n_other = min(len(rows) - int(same.sum()), wanted - n_same)
    keys = torch.rand(len(rows), generator=generator, device=labels.device)
    chosen = (
        torch.cat(
            [
                torch.topk(keys.masked_fill(~same, -1), n_same).indices,
                torch.topk(keys.masked_fill(same, -1), n_other).indices,
            ]
        )
        .sort()
        .values
    )
    return rows[chosen], columns[chosen]
