"""The choice of views: which versions of the channels a network reads beside the channels, by the training data.

A view must differ from what is there, and all views together must earn their place. Ridge regression on random
convolutions predicts held-out sequences, with the views and without them. The rule takes under a second whatever the
size of the data, because it reads some of the sequences, steps and channels of large ones.
"""

from __future__ import annotations

import numpy as np
import torch

from skseqmetric._input import Sequences
from skseqmetric._networks.stem import STILL, instance_channels
from skseqmetric._ops.held_out import held_out_predictions
from skseqmetric._ops.parallel import one_intra_op_thread
from skseqmetric._tasks import Task
from skseqmetric._tensors.flat import FlatSequences, standardised
from skseqmetric._tensors.inference import run_steps
from skseqmetric._tensors.modes import answering
from skseqmetric._training.data import TrainingSet

FOLDS = 4
FEWEST = 4 * FOLDS
"""Sequences below which nothing can be told: no view is kept."""

GAIN, GAIN_OF_GROUPS, ERRORS = 0.15, 0.1, 2.5
"""Views stay if they lower the squared error by this share, and by so many standard errors of the difference.

With groups it is the error of new groups, which views are meant for. Without groups more is asked. Networks gained
where the share was 0.18 or more. At 0.12 they lost on new classes, which need not differ in what the views show.
"""

COPY = 0.999
"""Squared correlation from which two channels are copies of each other."""

DRAWS = 2
N_SEQUENCES, N_CHANNELS, N_VALUES = 320, 8, 2**20
"""What is read of large data: sequences, channels, and values of the channels in all steps."""

N_FEATURES, N_PLACES, WIDTH, DILATIONS = 510, 48, 7, (1, 4, 16)
"""Random convolutions, places of a sequence where they are computed, weights of each, and steps between two weights."""

SEED = 0
_SHARPNESS = 1.5  # deviation of a convolution of standardised channels
_GATHERED = 2**18  # numbers that are gathered for convolutions at once


@answering
def choose_views(training: TrainingSet, task: Task, mean: np.ndarray, scale: np.ndarray) -> tuple[int, ...]:
    """Return the views that a network reads: columns of `instance_channels` that are not the channels themselves.

    The choice depends on the training data alone, and neither on their order nor on a seed.

    Parameters
    ----------
    training : TrainingSet
        Merged sequences with their targets, weights and groups.
    task : Task
        What the targets mean.
    mean, scale : ndarray (C,)
        The network reads (x - mean) / scale.
    """
    rows = None if len(training) < FEWEST else task.regression_rows(training.targets)
    if rows is None:
        return ()
    rng, n_channels = np.random.default_rng(SEED), len(mean)
    used = _some_rows(rows, training.sequences.values.size, rng)
    part, rows = training.take(used), rows[used]
    lengths, base, views = _read(part, mean, scale)
    kept = _not_copies(base, views, n_channels)
    if not len(kept):
        return ()
    tested = np.sort(rng.permutation(n_channels)[:N_CHANNELS])
    base = base[:, np.concatenate([tested, n_channels + tested])]
    both = np.concatenate([base, views[:, kept[np.isin(kept % n_channels, tested)]]], axis=1)
    # products by torch, whose threads can be limited: those of others wait for each other on a busy machine
    with one_intra_op_thread():
        errors = _held_out_errors((base, both), lengths, rows, part, rng)
    gain = GAIN_OF_GROUPS if has_groups(part.groups) else GAIN
    return tuple((n_channels + kept).tolist()) if earned(*errors, gain) else ()


def _held_out_errors(
    columns: tuple[np.ndarray, np.ndarray],
    lengths: np.ndarray,
    rows: np.ndarray,
    part: TrainingSet,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the squared errors (n,) of held-out sequences by each of two sets of columns, and their weights (n,).

    They are means over draws of sequences, folds and convolutions.
    """
    errors, counts = np.zeros((2, len(rows))), np.zeros(len(rows))
    for _ in range(DRAWS):
        drawn = np.sort(rng.permutation(len(rows))[:N_SEQUENCES])
        targets, weights = rows[drawn], part.weights[drawn]
        groups = None if part.groups is None else part.groups[drawn]
        folds = spread_over_folds(_classes(targets), weights, groups, rng)
        for side, steps in enumerate(columns):
            found = held_out_predictions(_convolved(steps, lengths, drawn, rng), targets, weights, folds)
            errors[side, drawn] += np.square(targets - found).sum(axis=1)
        counts[drawn] += 1
    seen = counts > 0
    without, with_views = errors[:, seen] / counts[seen]
    return without, with_views, part.weights[seen]


def has_groups(groups: np.ndarray | None) -> bool:
    """Return whether there are several groups."""
    return groups is not None and bool((groups != groups[0]).any())


def earned(without: np.ndarray, with_views: np.ndarray, weights: np.ndarray, least: float) -> bool:
    """Return whether the squared errors (n,) of held-out sequences with views are clearly below those without.

    They must be lower by the share `least`.
    """
    gains, shares = without - with_views, weights / weights.sum()
    gain, n = float(shares @ gains), len(gains)
    error = np.sqrt(np.square(shares * (gains - gain)).sum() * n / (n - 1))
    return bool(gain > least * (shares @ without) and gain > ERRORS * error)


def spread_over_folds(
    classes: np.ndarray, weights: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Return the fold (n,) of every sequence. Groups stay together, and classes are spread evenly.

    `classes` (n,) are codes. The largest groups come first. Each goes to the fold that has the least of its classes. A
    single group is no group.
    """
    n = len(classes)
    codes = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    codes = np.arange(n) if codes.max() == 0 else codes
    parts = np.zeros((codes.max() + 1, classes.max() + 1))
    np.add.at(parts, (codes, classes), weights)
    sizes = parts.sum(axis=1)
    parts = np.column_stack([parts / np.maximum(parts.sum(axis=0), 1e-300), sizes / sizes.sum() / n])
    order = rng.permutation(len(parts))
    filled, fold = np.zeros((FOLDS, parts.shape[1])), np.zeros(len(parts), dtype=np.int64)
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        fold[group] = np.argmin((filled * parts[group]).sum(axis=1))
        filled[fold[group]] += parts[group]
    return fold[codes]


def _classes(rows: np.ndarray) -> np.ndarray:
    """Return the class (n,) of rows that hold a single 1 or nothing but 0, and else one class for all."""
    single = np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) <= 1).all()
    return rows.argmax(axis=1) if single else np.zeros(len(rows), dtype=np.int64)


def _some_rows(rows: np.ndarray, n_values: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sequences that are read, ascending. Of many classes some are read, so that each has several."""
    n = len(rows)
    most = min(n, DRAWS * N_SEQUENCES, max(N_SEQUENCES // 4, N_VALUES * n // n_values))
    order = rng.permutation(n)
    classes = _classes(rows)
    few = rng.permutation(classes.max() + 1)[: max(2, most // (2 * DRAWS * FOLDS))]
    if most < n:
        order = order[np.isin(classes[order], few)]
    return np.sort(order[:most])


def _read(training: TrainingSet, mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lengths (n,), channels with their differences (S, 2 C), and views (S, 3 C), all standardised, float32.

    The differences are what a convolution can do without views. Of long sequences every so many steps are read.
    """
    values, lengths = standardised(training.sequences, mean, scale, training.numbers), training.sequences.lengths
    stride = -(-values.size // N_VALUES)
    if stride > 1:
        steps = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        values, lengths = values[steps % stride == 0], -(-lengths // stride)
    n_channels = values.shape[1]
    device = torch.device("cpu")  # whatever the network has, so that the choice is the same everywhere
    flat = FlatSequences.from_sequences(Sequences(values, lengths), np.zeros(n_channels), np.ones(n_channels), device)
    all_views = np.concatenate(run_steps(flat, lambda x, n: (instance_channels(x, n), n)))
    differences = np.diff(values, axis=0, prepend=values[:1])
    differences[np.cumsum(lengths) - lengths] = 0
    base = np.concatenate([values, differences], axis=1)
    return lengths, _standard(base, 0.0), _standard(all_views[:, n_channels:], STILL)


def _standard(columns: np.ndarray, least: float) -> np.ndarray:
    """Return columns (S, V) of mean 0 and deviation 1, or 0 where the deviation is at most `least`."""
    centred = columns - columns.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = np.sqrt(np.square(centred).mean(axis=0, dtype=np.float64))
    factors = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > least)
    return centred * factors.astype(np.float32)


def _not_copies(base: np.ndarray, views: np.ndarray, n_channels: int) -> np.ndarray:
    """Return the views (S, 3 C) that vary and are no copies, but for sign and scale, of the base or of one before.

    They are looked for among some steps, and among the versions of `N_CHANNELS` channels at a time.
    """
    some = slice(None, None, max(1, len(base) // 4096))
    kept: list[int] = []
    for start in range(0, n_channels, N_CHANNELS):
        channels = np.arange(start, min(start + N_CHANNELS, n_channels))
        known = np.concatenate([channels, n_channels + channels])
        asked = np.concatenate([known, 2 * n_channels + channels])
        columns = np.concatenate([base[some, known], views[some, asked]], axis=1).astype(np.float64)
        centred = columns - columns.mean(axis=0)
        tensor = torch.from_numpy(centred)
        products = (tensor.T @ tensor).square().numpy()
        sizes = np.sqrt(products.diagonal())
        copies = products > COPY * np.outer(sizes, sizes)
        seen = list(range(len(known)))
        for column, view in enumerate(asked.tolist(), len(known)):
            if sizes[column] > 0 and not copies[column, seen].any():
                seen.append(column)
                kept.append(view)
    return np.sort(np.array(kept, dtype=np.int64))


def _convolved(columns: np.ndarray, lengths: np.ndarray, drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return means over time (m, P) of the cosines of random convolutions of the sequences `drawn` of columns (S, V).

    They are computed at `N_PLACES` places of a sequence at most, and read zeros outside of it. They see the levels of
    the channels, as a network does. Kernels whose weights sum to 0 would not.
    """
    dilations = [d for d in DILATIONS if d == 1 or (WIDTH - 1) * d < lengths.max()]
    n_filters, size = N_FEATURES // len(dilations), WIDTH * columns.shape[1]
    shape = (len(dilations), size, n_filters)
    kernels = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32) * np.float32(_SHARPNESS / np.sqrt(size)))
    phases = torch.from_numpy(rng.uniform(0, 2 * np.pi, (len(dilations), n_filters)).astype(np.float32))
    table = torch.from_numpy(np.concatenate([columns, np.zeros((1, columns.shape[1]), np.float32)]))
    starts, lengths = (np.cumsum(lengths) - lengths)[drawn], lengths[drawn]
    places, shares = _places(lengths)
    features = np.empty((len(lengths), len(dilations) * n_filters), dtype=np.float32)
    share = max(1, _GATHERED // (places.shape[1] * max(size, n_filters)))
    # memory that is used again, because new pages cost more than what is computed
    seen = torch.zeros(share * places.shape[1] * WIDTH, columns.shape[1], dtype=torch.float32, device="cpu")
    waves = torch.zeros(share * places.shape[1], n_filters, dtype=torch.float32, device="cpu")
    for start in range(0, len(lengths), share):
        rows = slice(start, min(start + share, len(lengths)))
        used = (rows.stop - start) * places.shape[1]
        for i, dilation in enumerate(dilations):
            taps = _taps(places[rows], starts[rows], lengths[rows], len(columns), dilation)
            torch.index_select(table, 0, torch.from_numpy(taps.ravel()), out=seen[: used * WIDTH])
            torch.addmm(phases[i], seen[: used * WIDTH].view(used, size), kernels[i], out=waves[:used])
            np.cos(waves[:used].numpy(), out=waves[:used].numpy())  # half the time of torch's
            means = torch.from_numpy(shares[rows]) @ waves[:used].view(len(taps), -1, n_filters)
            features[rows, i * n_filters : (i + 1) * n_filters] = means[:, 0].numpy()
    return features


def _places(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return steps (m, p) spread evenly over every sequence, and their shares (m, 1, p) in a mean; 0 if not in use."""
    counts = np.minimum(lengths, N_PLACES)[:, np.newaxis]
    numbers = np.arange(counts.max())
    places = (2 * numbers + 1) * lengths[:, np.newaxis] // (2 * counts)
    return places, np.where(numbers < counts, 1 / counts, 0).astype(np.float32)[:, np.newaxis]


def _taps(places: np.ndarray, starts: np.ndarray, lengths: np.ndarray, outside: int, dilation: int) -> np.ndarray:
    """Return the rows (m, p, WIDTH) of all steps that are read at places (m, p); `outside` if there is no such step."""
    steps = places[:, :, np.newaxis] + dilation * (np.arange(WIDTH) - WIDTH // 2)
    inside = (steps >= 0) & (steps < lengths[:, np.newaxis, np.newaxis])
    return np.where(inside, starts[:, np.newaxis, np.newaxis] + steps, outside)
