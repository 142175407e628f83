"""Neighbours of sequences among images and of images among sequences, and the threshold of pairs."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from skseqmetric import SequenceKNeighborsClassifier
from tests.small_embedder import CHEAP, IMAGES, Data, small

# ----------------------------------------------------------------------------------------------------------- neighbours


def test_kneighbors_is_the_sorted_distance_table(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small().fit(X, y, images=images)
    points, others = (a.astype(np.float64) for a in (embedder.transform(X), embedder.transform_images(images)))
    table = np.linalg.norm(points[:, None] - others, axis=2)
    for found, expected in ((embedder.kneighbors(X, 5), table), (embedder.kneighbors(images=images), table.T)):
        order = np.argsort(expected, axis=1, kind="stable")[:, :5]
        assert np.array_equal(found[1], order)
        np.testing.assert_allclose(found[0], np.take_along_axis(expected, order, axis=1), atol=1e-6)


def test_kneighbors_in_a_given_gallery_and_ties_by_index(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small().fit(X, y, images=images)
    gallery = np.repeat(images[:2], 2, axis=0)
    distances, indices = embedder.kneighbors(X, 4, gallery=gallery)
    assert np.array_equal(np.sort(indices, axis=1), np.tile(np.arange(4), (len(X), 1)))
    assert set(map(tuple, indices)) <= {(0, 1, 2, 3), (2, 3, 0, 1)}
    assert np.array_equal(distances[:, ::2], distances[:, 1::2])
    assert (
        embedder.kneighbors(images=images, n_neighbors=1, gallery=X[:1], return_distance=False).tolist() == [[0]] * 24
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "pass either X or images"),
        ({"X": [np.zeros((3, 2))], "images": IMAGES}, "pass either X or images"),
        ({"images": IMAGES.astype(np.float32), "n_neighbors": 25}, "n_neighbors = 25"),
        ({"images": IMAGES, "n_neighbors": 0}, "at least 1, got 0"),
        ({"images": IMAGES, "n_neighbors": 2.0}, "at least 1, got 2.0"),
    ],
)
def test_kneighbors_says_what_is_wrong(pairs: Data, given: dict[str, Any], message: str) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP, max_epochs=1).fit(X, y, images=images)
    with pytest.raises(ValueError, match=message):
        embedder.kneighbors(**given)


def test_threads_share_one_fitted_estimator(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small().fit(X, y, images=images)
    state = copy.deepcopy(vars(embedder))
    expected = embedder.kneighbors(X, 3)[1], embedder.predict(X)

    def ask(_: int) -> tuple[np.ndarray, np.ndarray]:
        return embedder.kneighbors(X, 3)[1], embedder.predict(X)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(16)))
    assert all(np.array_equal(a, b) for got in answers for a, b in zip(got, expected, strict=True))
    assert set(vars(embedder)) == set(state)


def test_it_is_a_metric_between_sequences(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP, max_epochs=10).fit(X, y, images=images)
    D, points = embedder.pairwise_distances(X), embedder.transform(X).astype(np.float64)
    assert np.array_equal(D, D.T)
    np.testing.assert_allclose(D, np.linalg.norm(points[:, None] - points, axis=2), atol=1e-5)
    knn = SequenceKNeighborsClassifier(small(**CHEAP, max_epochs=20, learning_rate=0.01), n_neighbors=3)
    assert knn.fit(X, y).score(X, y) > 0.8
    assert knn.fit(X, y, images=images).score(X, y) > 0.9
    assert knn.metric_.image_shape_ == (1, 9, 8)
