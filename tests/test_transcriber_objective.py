"""The CTC loss per symbol against the sum over all paths, and which labels are negatives of which."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from tests.small_embedder import CHEAP, Batches, CrossTerms
from tests.small_transcriber import PARTS, Data, small

Epochs = list[list[dict[str, Tensor]]]


def of_training(labels: list[str], **settings: Any) -> Batches:
    """The batches of a training, each of all labels and their images, into which the row's number is written."""
    rows = np.arange(len(labels), dtype=np.float32)
    seen, X = Batches(), np.random.default_rng(0).normal(size=(len(labels), 40, 2))
    images = np.broadcast_to(rows[:, None, None], (len(labels), 9, 8))
    small(callbacks=[seen], min_batches=1, **CHEAP, **settings).fit(X, labels, images=images)
    return seen


# ------------------------------------------------------------------------------------------------------------ CTC loss


def collapsed(path: tuple[int, ...]) -> str:
    """Symbols of a path of codes: "a" is 1, "b" is 2."""
    return "".join(" ab"[k] for i, k in enumerate(path) if k and (i == 0 or path[i - 1] != k))


def targets_of(*labels: str) -> tuple[Batches, Tensor]:
    """A training, and its targets of the labels."""
    seen = of_training(list(labels), max_epochs=1)
    (batch,) = seen.epochs[0]
    return seen, batch["targets"][batch["images"][:, 0, 0, 0].argsort()]


def test_loss_is_the_sum_over_all_paths_per_symbol() -> None:
    labels = "ab", "", "aa", "b"
    steps = torch.tensor([4, 3, 3, 1])
    seen, targets = targets_of(*labels)
    # behind a start symbol, so that an empty label has a row too
    assert targets.tolist() == [[-1, 1, 2], [-1, -1, -1], [-1, 1, 1], [-1, 2, -1]]
    loss_of = seen.objective.task.loss
    logits = torch.randn(4, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    losses = loss_of(logits, steps, targets)
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
    assert torch.autograd.gradcheck(lambda z: loss_of(z, steps, targets), logits)


def test_loss_of_empty_labels_alone() -> None:
    seen, targets = targets_of("", "", "abc")
    logits = torch.zeros(2, 3, 4, requires_grad=True)
    losses = seen.objective.task.loss(logits, torch.tensor([3, 2]), targets[:2, :1])
    np.testing.assert_allclose(losses.tolist(), [3 * np.log(4), 2 * np.log(4)], rtol=1e-6)
    losses.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_the_loss_is_the_weighted_mean_over_the_words(words: Data) -> None:
    X, y, _ = words
    weights = np.random.default_rng(0).uniform(0.2, 3, 30)
    still = {"learning_rate": 1e-12, "weight_decay": 0.0, "augment": None, "dropout": 0.0}
    reader = small(**CHEAP, **still, batch_size=8, max_epochs=1).fit(X, y, weights)
    losses = []
    for rows, word in zip(reader.predict_log_proba(X), y, strict=True):
        codes = torch.tensor([[1 + "abc".index(symbol) for symbol in word]])
        sizes = torch.tensor([len(rows)]), torch.tensor([len(word)])
        losses.append(float(ctc_loss(torch.from_numpy(rows)[:, None], codes, *sizes, reduction="sum")) / len(word))
    assert reader.history_[0]["train_loss"] == pytest.approx(np.average(losses, weights=weights), rel=1e-4)


# ---------------------------------------------------------------------------------------------------------- negatives


def chosen(epochs: Epochs, n_labels: int) -> list[set[tuple[int, float]]]:
    """For each label its negatives in some epochs, with the label distances that margins follow."""
    found: list[set[tuple[int, float]]] = [set() for _ in range(n_labels)]
    for batch in (batch for epoch in epochs for batch in epoch):
        row = batch["images"][:, 0, 0, 0].long()
        others = torch.where(batch["negatives"] < 0, -1, row[batch["negatives"].clamp_min(0)])
        for i, negative, apart in zip(row.tolist(), others.tolist(), batch["apart"].tolist(), strict=True):
            found[i].add((negative, apart))
    return found


def test_negatives_have_the_length_of_the_label_and_margins_its_edit_distance() -> None:
    labels = ["abc", "bca", "abd", "abc", "a", "xyzwv"]
    found = chosen(of_training(labels, curriculum=False, max_epochs=60).epochs, 6)
    # three exchanges turn abc into bca, but two edits
    assert found[0] == found[3] == {(1, 2.0), (2, 1.0)}
    assert found[1] == {(0, 2.0), (2, 3.0), (3, 2.0)}
    # none of its length: by edit distance
    assert {i for i, _ in found[4]} == {0, 1, 2, 3, 5}
    assert {(5, 5.0), (0, 2.0)} < found[4]


def test_curriculum_takes_far_negatives_first() -> None:
    epochs = of_training(["aaaaaa", "aaaaab", "aaabbb", "bbbbbb"], curriculum=True, max_epochs=60).epochs
    assert {d for _, d in chosen(epochs[:12], 4)[0]} == {6.0}
    assert {d for _, d in chosen(epochs[48:], 4)[0]} == {1.0, 3.0, 6.0}


@pytest.mark.parametrize(
    ("settings", "loss", "margin"),
    [
        ({}, "triplet", lambda apart: 0.1 * apart),
        ({"beta": 0.3}, "triplet", lambda apart: 0.3 * apart),
        ({"margin": 0.3}, "triplet", lambda apart: 0.3),
        ({"loss": "contrastive", "margin": 1.1}, "contrastive", lambda apart: 1.1),
        ({"loss": "pair"}, "pair", lambda apart: 0.0),
    ],
)
def test_the_cross_term_follows_its_parameters(settings: dict[str, Any], loss: str, margin: Any, words: Data) -> None:
    X, y, images = words
    hand = CrossTerms(loss, margin)
    quiet = {"dropout": 0.0, "batch_size": 30, "min_batches": 1, "distance": "cosine", "loss_weights": (1.0, 3.0)}
    reader = small(callbacks=[hand], **CHEAP, **quiet, **settings).fit(X, y, images=images)
    assert min(hand.found) > 0
    np.testing.assert_allclose([row["cross_loss"] for row in reader.history_], hand.found, rtol=1e-4)
    for row in reader.history_:
        np.testing.assert_allclose(row["train_loss"], row["series_loss"] + 3 * row["cross_loss"], rtol=1e-5)


def test_dynamic_weights_follow_the_two_epochs_before(words: Data) -> None:
    X, y, images = words
    rows = small(**CHEAP, loss_weights="dynamic", max_epochs=3).fit(X, y, images=images).history_
    losses = np.array([[row[part] for part in PARTS] for row in rows])
    speeds = np.exp(losses[1] / losses[0])
    shares = np.array([[0.5, 0.5], [0.5, 0.5], speeds / speeds.sum()])
    assert abs(shares[2, 0] - 0.5) > 0.001
    np.testing.assert_allclose([row["train_loss"] for row in rows], (shares * losses).sum(axis=1), rtol=1e-5)


def test_a_batch_of_one_label_has_no_negative() -> None:
    assert chosen(of_training(["ab", "ab"]).epochs, 2) == [{(-1, 0.0)}, {(-1, 0.0)}]
