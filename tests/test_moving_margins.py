"""Label distances that follow the training: from epoch to epoch, and when a model goes on."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from tests.small_embedder import CHEAP, Batches, Data, distances_by_hand, small

STILL: dict[str, Any] = {**CHEAP, "learning_rate": 1e-12, "weight_decay": 0.0, "augment": None, "max_epochs": 2}


@pytest.mark.parametrize("kind", ["prototypes", "confusion"])
def test_an_epoch_has_the_margins_of_the_one_before(pairs: Data, kind: str) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP, label_distance=kind, learning_rate=0.1, warm_start=True).fit(X, y, images=images)
    seen, first = Batches(), embedder.label_distances_
    embedder.set_params(**STILL, callbacks=[seen], min_batches=1).fit(X, y, images=images)
    rows = (embedder.transform(X) + embedder.transform_images(images)) / 2
    matrix = distances_by_hand(kind, rows if kind == "prototypes" else embedder.predict_proba(X), y)
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
    assert not np.array_equal(first, 1 - np.eye(3))
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
