"""Label distances that follow the training: against loops, from epoch to epoch, and when a model goes on."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from skseqmetric._ops.margins import confusion_distances, prototype_distances
from tests.small_embedder import CHEAP, Batches, Data, small

ONES = 1.0 - np.eye(3)
STILL: dict[str, Any] = {**CHEAP, "learning_rate": 1e-12, "weight_decay": 0.0, "augment": None, "max_epochs": 2}


def by_hand(kind: str, rows: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distances of three classes from embeddings or probabilities (n, D) of their members, pair by pair."""
    means = [rows[y == k].mean(axis=0) for k in range(3)]
    found = np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            if kind == "prototypes":
                found[a, b] = np.sqrt(((means[a] - means[b]) ** 2).sum())
            elif a != b:
                ratio = means[a][b] * means[b][a] / (means[a][a] * means[b][b])
                found[a, b] = max(-0.5 * np.log(ratio), 0)
    return found / (found.sum() / 6)


def test_distances_of_sums_against_loops() -> None:
    rng, y = np.random.default_rng(0), np.arange(30) % 3
    points, shares = rng.normal(size=(30, 4)), rng.dirichlet([1, 1, 1], size=30) + 2 * np.eye(3)[y]
    shares /= shares.sum(axis=1, keepdims=True)
    for kind, rows, compute in (
        ("prototypes", points, prototype_distances),
        ("confusion", shares, confusion_distances),
    ):
        sums = np.array([rows[y == k].sum(axis=0) for k in range(3)])
        np.testing.assert_allclose(compute(sums, np.full(3, 10.0), ONES), by_hand(kind, rows, y), rtol=1e-12)
    # a class without members keeps its distances, and what nobody confuses is finite
    kept = prototype_distances(np.array([[1.0, 0], [0, 3], [9, 9]]), np.array([1.0, 1, 0]), 5 * ONES)
    assert kept.tolist() == [[0, 1, 5], [1, 0, 5], [5, 5, 0]]
    assert np.isfinite(confusion_distances(np.eye(3), np.ones(3), ONES)).all()
    assert prototype_distances(np.ones((3, 2)), np.ones(3), 7 * ONES).tolist() == (7 * ONES).tolist()
    # two classes that are confused more often than told apart
    turned = confusion_distances(np.array([[0.4, 0.5, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]]), np.ones(3), ONES)
    assert turned[0, 1] == turned[1, 0] == 0 < turned[0, 2]


@pytest.mark.parametrize("kind", ["prototypes", "confusion"])
def test_an_epoch_has_the_margins_of_the_one_before(pairs: Data, kind: str) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP, label_distance=kind, learning_rate=0.1, warm_start=True).fit(X, y, images=images)
    seen, first = Batches(), embedder.label_distances_
    embedder.set_params(**STILL, callbacks=[seen], min_batches=1).fit(X, y, images=images)
    rows = (embedder.transform(X) + embedder.transform_images(images)) / 2
    matrix = by_hand(kind, rows if kind == "prototypes" else embedder.predict_proba(X), y)
    np.testing.assert_allclose(embedder.label_distances_, matrix, rtol=1e-4)
    assert not np.allclose(first, matrix, rtol=1e-3)
    for epoch, expected in zip(seen.epochs, (first, matrix), strict=True):
        for batch in epoch:
            other = batch["image_labels"][batch["negatives"]]
            np.testing.assert_allclose(batch["apart"], expected[batch["image_labels"], other], rtol=1e-4)


def test_a_model_goes_on_from_its_distances(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP, label_distance="prototypes").partial_fit(X, y, images=images)
    first = embedder.label_distances_
    assert not np.array_equal(first, ONES)
    embedder.partial_fit(X, y)
    assert embedder.label_distances_ is first  # no images, nothing to learn from
    loaded = pickle.loads(pickle.dumps(embedder))
    seen = Batches()
    loaded.set_params(callbacks=[seen]).partial_fit(X, y, images=images)
    batch = seen.epochs[0][0]
    other = batch["image_labels"][batch["negatives"]]
    np.testing.assert_allclose(batch["apart"], first[batch["image_labels"], other], rtol=1e-6)
    assert np.array_equal(embedder.label_distances_, first)
    two = embedder.set_params(warm_start=False, label_distance="confusion").fit(X[:9], y[:9] % 2, images=images[:9])
    assert two.label_distances_.shape == (2, 2)
    for other_kind in (two.set_params(label_distance="classes").fit(X, y, images=images), clone(two)):
        with pytest.raises(AttributeError, match="label_distances_"):
            _ = other_kind.label_distances_
    with pytest.raises(ValueError, match="'label_distance' parameter of CrossModalTripletEmbedder"):
        clone(two).set_params(label_distance="prototype").fit(X, y, images=images)
