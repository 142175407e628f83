"""What sequences and images are trained by: the images of every batch, the parts of the loss and their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from tests.small_embedder import CHEAP, PARTS, Batches, CrossTerms, Data, pictures, small

TABLE = np.array([[0, 2.0, 0.5], [2, 0, 3], [0.5, 3, 0]])


# ---------------------------------------------------------------------------------------------------- images of batches


@pytest.mark.parametrize("paired", [True, False])
def test_every_sequence_comes_with_its_image_or_one_of_its_class(pairs: Data, paired: bool) -> None:
    X, y, images = pairs
    images, labels = (images, None) if paired else (pictures(y[:15], seed=5), y[:15])
    seen = Batches()
    settings = {"label_distance": TABLE, "augment": None, "scaling": None, "max_epochs": 20, "min_batches": 4}
    small(callbacks=[seen], **settings, **CHEAP).fit(X, y, images=images, image_labels=labels)
    rows = {x.astype(np.float32).tobytes(): i for i, x in enumerate(X)}
    classes = {image.tobytes(): k for image, k in zip(images, y, strict=False)}
    drawn: set[bytes] = set()
    for batch in (batch for epoch in seen.epochs for batch in epoch):
        of_batch = [rows[x[:n].numpy().tobytes()] for x, n in zip(batch["values"], batch["lengths"], strict=True)]
        pixels = [image.numpy().tobytes() for image in batch["images"]]
        drawn |= set(pixels)
        own, other = y[of_batch], batch["image_labels"].numpy()[batch["negatives"]]
        assert batch["targets"].tolist() == batch["image_labels"].tolist() == own.tolist()
        assert [classes[image] for image in pixels] == own.tolist()
        if paired:
            np.testing.assert_array_equal(batch["images"][:, 0], images[of_batch])
        assert (own != other).all()
        np.testing.assert_array_equal(batch["apart"], TABLE[own, other].astype(np.float32))
    assert len(drawn) == len(images)


def test_a_batch_of_one_class_has_no_negatives(pairs: Data) -> None:
    X, y, images = pairs
    seen, rows = Batches(), y == 1
    of_one = [x for x, kept in zip(X, rows, strict=True) if kept]
    embedder = small(callbacks=[seen], **CHEAP).partial_fit(of_one, y[rows], [0, 1, 2], images=images[rows])
    for batch in seen.epochs[0]:
        assert (batch["negatives"] == -1).all()
        assert (batch["apart"] == 0).all()
    assert embedder.history_[0]["cross_loss"] == 0


def test_curriculum_starts_with_far_negatives(pairs: Data) -> None:
    X, y, images = pairs
    table = [[0, 1, 5], [1, 0, 5], [5, 5, 0]]
    seen = Batches()
    settings = {"label_distance": table, "curriculum": True, "max_epochs": 5, "min_batches": 1}
    small(callbacks=[seen], **settings, **CHEAP).fit(X, y, images=images)
    assert [min(batch["apart"].min().item() for batch in epoch) for epoch in seen.epochs] == [5, 5, 5, 5, 1]


# ------------------------------------------------------------------------------------------------- parts of the loss


class ByHand(Callback):
    """Computes the parts of the loss of every batch by plain loops. Keeps them and the loss that was used."""

    def __init__(self, beta: float, mean_weight: float) -> None:
        self.beta, self.mean_weight = beta, mean_weight
        self.parts: list[Tensor] = []
        self.alone: list[Tensor] = []
        self.sizes: list[int] = []
        self.losses: list[Tensor] = []

    @torch.no_grad()
    def on_batch_begin(self, net: Any, batch: Any = None, **kwargs: Any) -> None:
        objective, given = net.module_.train(), batch[0]
        self.parts.append(self.of_batch(objective.network, given))
        self.alone.append(objective(**{k: given[k] for k in ("values", "lengths", "targets", "weights")}))
        self.sizes.append(len(given["weights"]))

    def on_batch_end(self, net: Any, loss: Any = None, **kwargs: Any) -> None:
        self.losses.append(loss.detach())

    def of_batch(self, network: Any, batch: dict[str, Tensor]) -> Tensor:
        features = network.encode_series(batch["values"], batch["lengths"])
        vectors, weights = network.encode_images(batch["images"]), batch["weights"] / self.mean_weight
        u, v = network.embed_series(*features), network.embed_images(vectors)
        tasks = [
            sum(w * cross_entropy(row, k) for w, row, k in zip(weights, logits, batch["targets"], strict=True))
            / len(weights)
            for logits in (network.series_logits(*features), network.image_logits(vectors))
        ]
        hinges, counted = [], []
        for i, (negative, apart) in enumerate(zip(batch["negatives"].tolist(), batch["apart"], strict=True)):
            if negative < 0:
                continue
            near, far = (1 - cosine_similarity(u[i], other, dim=0) for other in (v[i], v[negative]))
            hinges.append(weights[i] * (near - far + self.beta * apart).clamp_min(0))
            counted.append(weights[i])
        return torch.stack([*tasks, sum(hinges) / sum(counted) * weights.mean()])


def test_objective_is_the_weighted_sum_of_its_parts(pairs: Data) -> None:
    X, y, images = pairs
    weights = np.random.default_rng(0).uniform(0.5, 3, size=len(X))
    seen = ByHand(0.7, weights.mean())
    settings = {"label_distance": "ordered", "beta": 0.7, "dropout": 0.0, "loss_weights": (0.5, 0.25, 2.0)}
    embedder = small(callbacks=[seen], **settings, max_epochs=2, batch_size=5).fit(X, y, weights, images=images)
    parts = torch.stack(seen.parts)
    torch.testing.assert_close(torch.stack(seen.losses), parts @ torch.tensor([0.5, 0.25, 2.0]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.stack(seen.alone), parts[:, 0])
    shares = torch.tensor(seen.sizes).view(2, 5, 1) / len(X)
    assert len(shares.unique()) == 2
    means = (parts.view(2, 5, 3) * shares).sum(1)
    for row, expected in zip(embedder.history_, means.tolist(), strict=True):
        assert [row[part] for part in PARTS] == pytest.approx(expected, rel=1e-5)


ORDERED = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))


@pytest.mark.parametrize(
    ("settings", "loss", "table", "margin"),
    [
        ({}, "triplet", ORDERED > 0, lambda apart: 0.1 * apart),
        ({"beta": 0.4}, "triplet", ORDERED > 0, lambda apart: 0.4 * apart),
        ({"margin": 0.3}, "triplet", ORDERED > 0, lambda apart: 0.3),
        ({"loss": "contrastive", "margin": 1.1}, "contrastive", ORDERED > 0, lambda apart: 1.1),
        ({"loss": "pair"}, "pair", ORDERED > 0, lambda apart: 0.0),
        ({"label_distance": "ordered"}, "triplet", ORDERED, lambda apart: 0.1 * apart),
        ({"label_distance": TABLE}, "triplet", TABLE, lambda apart: 0.1 * apart),
        ({"label_distance": lambda a, b: 4.0 * (a != b)}, "triplet", 4 * (ORDERED > 0), lambda apart: 0.1 * apart),
    ],
)
def test_the_cross_term_follows_its_parameters(
    settings: dict[str, Any], loss: str, table: Any, margin: Any, pairs: Data
) -> None:
    X, y, images = pairs
    hand = CrossTerms(loss, margin)
    # one batch an epoch of all rows, in which every row has a negative
    quiet = {"dropout": 0.0, "batch_size": 24, "min_batches": 1, "max_epochs": 2, "learning_rate": 0.05}
    embedder = small(callbacks=[hand], **{**CHEAP, **quiet, **settings}).fit(X, y, images=images)
    assert min(hand.found) > 0
    np.testing.assert_allclose([row["cross_loss"] for row in embedder.history_], hand.found, rtol=1e-4)
    assert {(own, other, apart) for batch in hand.apart for own, other, apart in batch} <= {
        (own, other, float(table[own][other])) for own in range(3) for other in range(3) if own != other
    }


def test_dynamic_weights_follow_the_two_epochs_before(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(loss_weights="dynamic", max_epochs=4, **CHEAP).fit(X, y, images=images)
    embedder.partial_fit(X, y)  # an epoch without images says nothing of the parts
    embedder.partial_fit(X, y, images=images)
    rows = [row for row in embedder.history_ if "cross_loss" in row]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 6]
    losses = np.array([[row[part] for part in PARTS] for row in rows])
    speeds = np.exp(np.r_[np.ones((2, 3)), losses[1:-1] / losses[:-2]])
    shares = speeds / speeds.sum(axis=1, keepdims=True)
    assert np.abs(shares[2:] - 1 / 3).max() > 0.01
    np.testing.assert_allclose([row["train_loss"] for row in rows], (shares * losses).sum(axis=1), rtol=1e-5)
