"""The CTC loss per symbol against the sum over all paths, and which labels are negatives of which."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from skseqmetric._estimators.cross_modal.batches import CrossModalBatches, Pairing
from skseqmetric._estimators.cross_modal.objective import Course
from skseqmetric._input import check_sequences
from skseqmetric._tasks.symbols import led, numbered, without_lead
from skseqmetric._tensors.flat import FlatSequences
from skseqmetric._training.batches import LabelledBatches
from tests.small_transcriber import PARTS, equal, small

# ------------------------------------------------------------------------------------------------------------ CTC loss


def collapsed(path: tuple[int, ...]) -> list[int]:
    return [k for i, k in enumerate(path) if k and (i == 0 or path[i - 1] != k)]


def padded(labels: list[list[int]]) -> Tensor:
    lead = led([np.array(label, dtype=np.int64) for label in labels])
    return lead.to(torch.device("cpu"))[torch.arange(len(labels))]


def test_loss_is_the_sum_over_all_paths_per_symbol() -> None:
    labels = [[1, 2], [], [1, 1], [2]]
    steps = torch.tensor([4, 3, 3, 1])
    logits = torch.randn(4, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    losses = small()._task_loss(logits, steps, padded(labels))
    for logit, n, label, loss in zip(logits.detach(), steps.tolist(), labels, losses.tolist(), strict=True):
        probs = logit[:n].softmax(1).numpy()
        total = sum(
            np.prod(probs[np.arange(n), path]) for path in product(range(3), repeat=n) if collapsed(path) == label
        )
        np.testing.assert_allclose(loss, -np.log(total) / max(len(label), 1), rtol=1e-12)
    losses.sum().backward()
    valid = torch.arange(4) < steps[:, None]
    assert (logits.grad[~valid] == 0).all()
    assert (logits.grad[valid].abs().sum(1) > 0).all()
    assert torch.autograd.gradcheck(lambda z: small()._task_loss(z, steps, padded(labels)), logits)


def test_loss_of_empty_labels_alone() -> None:
    logits = torch.zeros(2, 3, 4, requires_grad=True)
    losses = small()._task_loss(logits, torch.tensor([3, 2]), padded([[], []]))
    np.testing.assert_allclose(losses.tolist(), [3 * np.log(4), 2 * np.log(4)], rtol=1e-6)
    losses.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_labels_are_led_so_that_empty_ones_have_a_row() -> None:
    codes = [np.array(label, dtype=np.int64) for label in ([], [2, 1], [], [3], [])]
    labels = led(codes)
    assert equal(without_lead(labels), codes)
    assert equal(without_lead(labels[np.array([3, 0, 4])]), [codes[3], codes[0], codes[4]])
    assert padded([[], [2, 1]]).tolist() == [[-1, -1, -1], [-1, 2, 1]]
    distinct, places = numbered(codes)
    assert [label.tolist() for label in distinct] == [[], [2, 1], [3]]
    assert places.tolist() == [0, 1, 0, 2, 0]


# ---------------------------------------------------------------------------------------------------------- negatives


def batches_of(labels: list[str], curriculum: bool = False, max_epochs: int = 5) -> CrossModalBatches:
    """One batch of all labels, each with the image that its number is written into."""
    reader, n = small(), len(labels)
    sequences = check_sequences(np.zeros((n, 80, 1)))
    classes, codes = reader._check_targets(labels, sequences, None)
    images = np.broadcast_to(np.arange(n, dtype=np.float32)[:, None, None], (n, 8, 8))
    given = type("Given", (), {"images": images, "labels": None})()
    pool = reader._check_beside(given, classes, codes, continued=False)
    flat = FlatSequences.from_sequences(sequences, np.zeros(1), np.ones(1), torch.device("cpu"))
    series = LabelledBatches(
        flat, codes.to(torch.device("cpu")), torch.ones(n), lambda: [np.arange(n)], lambda values, _: values
    )
    course = Course(PARTS, "equal", earlier=[], epoch=0, max_epochs=max_epochs, curriculum=curriculum)
    pairing = Pairing(
        pool, reader._label_distances(classes, pool), course, np.random.default_rng(0), reader._choosing_distances(pool)
    )
    return CrossModalBatches(series, pairing)


def chosen(batches: CrossModalBatches, n_epochs: int) -> list[set[tuple[int, float]]]:
    """For each sequence its negatives in some epochs, with the label distances that margins follow."""
    rows = [next(iter(batches)) for _ in range(n_epochs)]
    pairs = [zip(row["negatives"].tolist(), row["apart"].tolist(), strict=True) for row in rows]
    return [set(column) for column in zip(*pairs, strict=True)]


def test_negatives_have_the_length_of_the_label_and_margins_its_edit_distance() -> None:
    labels = ["abc", "bca", "abd", "abc", "a", "xyzwv"]
    batches = batches_of(labels)
    found = chosen(batches, 60)
    # three exchanges turn abc into bca, but two edits
    assert found[0] == found[3] == {(1, 2.0), (2, 1.0)}
    assert found[1] == {(0, 2.0), (2, 3.0), (3, 2.0)}
    # none of its length: by edit distance
    assert {i for i, _ in found[4]} == {0, 1, 2, 3, 5}
    assert (5, 5.0) in found[4]
    assert (0, 2.0) in found[4]
    np.testing.assert_array_equal(next(iter(batches))["images"][:, 0, 0, 0], np.arange(6))


def test_curriculum_takes_far_negatives_first() -> None:
    labels = ["aaaaaa", "aaaaab", "aaabbb", "bbbbbb"]
    distances = [max(d for _, d in chosen(batches_of(labels, curriculum=True), 1)[0]) for _ in range(10)]
    assert set(distances) == {6.0}  # the first epoch of five
    batches = batches_of(labels, curriculum=True)
    for _ in batches, batches, batches, batches:  # each a whole epoch
        list(batches)
    assert {d for _, d in chosen(batches, 30)[0]} == {1.0, 3.0, 6.0}


def test_a_batch_of_one_label_has_no_negative() -> None:
    assert chosen(batches_of(["ab", "ab"]), 3) == [{(-1, 0.0)}, {(-1, 0.0)}]
