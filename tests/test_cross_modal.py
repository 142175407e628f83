"""CrossModalTripletEmbedder: what it learns from sequences and images."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from tests.small_embedder import CHEAP, PARTS, SMALL, Batches, Data, Interrupt, pictures, small

DISTANCES = ["mse", "cosine", "pearson", "kl", "mmd", "coral", "homm"]

# ------------------------------------------------------------------------------------------------------------ learning


@pytest.mark.parametrize("pool", [False, True])
def test_learns_both_modalities_and_where_they_meet(pairs: Data, pool: bool) -> None:
    X, y, images = pairs
    names = np.array(["a", "b", "c"])[y]
    images, labels = (images[:17], names[:17]) if pool else (images, None)
    embedder = small(max_epochs=15).fit(X, names, images=images, image_labels=labels)
    of_images = names[: len(images)]
    assert embedder.score(X, names) > 0.9
    points, others = embedder.transform(X), embedder.transform_images(images)
    assert points.shape == (len(X), 6)
    assert points.dtype == others.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(np.r_[points, others].astype(float), axis=1), 1, rtol=1e-5)
    near_series = embedder.kneighbors(X, 3, return_distance=False)
    near_images = embedder.kneighbors(images=images, n_neighbors=3, return_distance=False)
    assert (of_images[near_series] == names[:, None]).mean() > 0.9
    assert (names[near_images] == of_images[:, None]).mean() > 0.9


def test_answers_of_the_classifier_agree(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP).fit(X, y, images=images)
    probabilities, scores = embedder.predict_proba(X), embedder.decision_function(X)
    assert probabilities.shape == scores.shape == (len(X), 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(embedder.classes_[scores.argmax(axis=1)], embedder.predict(X))


def test_without_images_it_is_the_series_branch_alone(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(max_epochs=12).fit(X, y)
    assert embedder.score(X, y) > 0.9
    assert embedder.module_.image_encoder is None
    assert not hasattr(embedder, "image_shape_")
    assert set(embedder.history_[0]) == {"epoch", "train_loss", "dur"}
    assert embedder.transform(X).shape == (len(X), 6)
    for call in (lambda: embedder.transform_images(images), lambda: embedder.kneighbors(X)):
        with pytest.raises(ValueError, match="fitted without images"):
            call()


def test_history_has_the_parts_of_the_loss(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP, early_stopping=True, validation_fraction=0.3).fit(X, y, images=images)
    assert embedder.image_shape_ == (1, 9, 8)
    for row in embedder.history_:
        assert {*PARTS, "train_loss", "valid_loss"} < set(row)
        np.testing.assert_allclose(row["train_loss"], np.mean([row[part] for part in PARTS]), rtol=1e-5)
    weighted = small(**CHEAP, loss_weights=(1.0, 0.5, 2.0)).fit(X, y, images=images).history_[0]
    np.testing.assert_allclose(weighted["train_loss"], np.dot([1, 0.5, 2], [weighted[part] for part in PARTS]), 1e-5)


@pytest.mark.parametrize("loss", ["pair", "contrastive", "triplet"])
@pytest.mark.parametrize("distance", DISTANCES)
def test_every_loss_trains(pairs: Data, loss: str, distance: str) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP, loss=loss, distance=distance, max_epochs=2).fit(X, y, images=images)
    assert np.isfinite([row[part] for row in embedder.history_ for part in PARTS]).all()
    assert np.isfinite(embedder.transform(X)).all()


def test_bfloat16_learns(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(precision="bfloat16", distance="homm", max_epochs=12).fit(X, y, images=images)
    assert embedder.score(X, y) > 0.9


# --------------------------------------------------------------------------------------------------- a set, not a list


@pytest.mark.parametrize("pool", [False, True])
def test_order_of_the_data_does_not_matter(pairs: Data, pool: bool) -> None:
    X, y, images = pairs
    turned, turned_pool = np.random.default_rng(0).permuted(np.tile(np.arange(len(X)), (2, 1)), axis=1)
    labels, other_labels = (y, y[turned_pool]) if pool else (None, None)
    embedder = small().fit(X, y, images=images, image_labels=labels)
    other = small().fit(
        [X[i] for i in turned], y[turned], images=images[turned_pool if pool else turned], image_labels=other_labels
    )
    assert np.array_equal(embedder.decision_function(X), other.decision_function(X))
    assert np.array_equal(embedder.transform_images(images), other.transform_images(images))


def test_repetitions_of_the_pair_are_merged_to_weights(pairs: Data) -> None:
    X, y, images = pairs
    weights = np.where(y == 0, 2.0, np.where(np.arange(len(y)) % 5 == 1, 0.0, 1.0))
    repeated = np.repeat(np.arange(len(X)), weights.astype(int))
    weighted = small().fit(X, y, weights, images=images)
    other = small().fit([X[i] for i in repeated], y[repeated], images=images[repeated])
    assert np.array_equal(weighted.decision_function(X), other.decision_function(X))
    assert not np.array_equal(weighted.transform(X), small().fit(X, y, images=images).transform(X))


def test_equal_sequences_with_other_images_stay_two_rows(pairs: Data) -> None:
    X, y, images = pairs
    settings = {**CHEAP, "scaling": None}
    both = [*X, *X], np.r_[y, y]
    once = small(**settings).fit(*both, images=np.r_[images, images])
    twice = small(**settings).fit(*both, images=np.r_[images, pictures(y, seed=9)])
    assert once.history_[0]["train_loss"] == small(**settings).fit(X, y, images=images).history_[0]["train_loss"]
    assert not np.array_equal(once.transform(X), twice.transform(X))


def test_input_is_not_changed(pairs: Data) -> None:
    X, y, images = pairs
    before = copy.deepcopy((X, y, images))
    small().fit(X, y, images=images).transform_images(images)
    assert all(np.array_equal(a, b) for a, b in zip(X, before[0], strict=True))
    assert np.array_equal(y, before[1])
    assert np.array_equal(images, before[2])


# --------------------------------------------------------------------------------------------------------- in parts


def test_partial_fit_and_warm_start_go_on(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP).partial_fit(X[:8], y[:8], np.unique(y), images=images[:8])
    embedder.partial_fit(X[8:16], y[8:16], images=images[8:16])
    assert embedder.n_iter_ == 2
    assert all(set(PARTS) < set(row) for row in embedder.history_)
    indices = embedder.kneighbors(X[:3], 8, return_distance=False)
    assert np.array_equal(np.sort(indices), np.tile(np.arange(8), (3, 1)))  # the images of the last part
    with pytest.raises(ValueError, match="label 99, which is not among the classes"):
        embedder.partial_fit(X[:2], [99, 99], images=images[:2])
    warm = small(**CHEAP, warm_start=True).fit(X, y, images=images)
    assert warm.fit(X, y, images=images).n_iter_ == 2 * SMALL["max_epochs"]


def test_a_part_without_images_leaves_their_branch_alone(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small().fit(X, y, images=images)
    before, of_series = embedder.transform_images(images), embedder.transform(X)
    embedder.partial_fit(X[:10], y[:10])
    assert np.array_equal(embedder.transform_images(images), before)
    assert not np.array_equal(embedder.transform(X), of_series)
    kept = embedder.kneighbors(X, 2)
    assert all(np.array_equal(a, b) for a, b in zip(kept, embedder.kneighbors(X, 2, gallery=images), strict=True))
    assert embedder.kneighbors(images=images, n_neighbors=10)[1].max() == 9


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_images_cannot_come_later(pairs: Data, method: str) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP, warm_start=True).partial_fit(X, y)
    with pytest.raises(ValueError, match="first fitted without images"):
        getattr(embedder, method)(X, y, images=images)
    assert embedder.fit(X, y).n_iter_ == 1 + SMALL["max_epochs"]


def test_threshold_does_not_outlive_its_distance(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP).fit(X, y, images=images)
    same = np.where(y[:-1] == y[1:], 1, -1)
    embedder.calibrate_threshold(X, np.c_[: len(X) - 1, 1 : len(X)], same)
    with pytest.raises(ValueError, match="NaN"):
        embedder.fit(X, y, images=np.full_like(images, np.nan))
    assert hasattr(embedder, "threshold_")
    embedder.partial_fit(X, y)
    assert not hasattr(embedder, "threshold_")


def test_interrupted_training_can_be_used(pairs: Data) -> None:
    X, y, images = pairs
    with pytest.warns(ConvergenceWarning, match="interrupted in epoch 3 of 30"):
        embedder = small(max_epochs=30, callbacks=[Interrupt()]).fit(X, y, images=images)
    assert embedder.n_iter_ == 2
    assert all(set(PARTS) < set(row) for row in embedder.history_)
    assert embedder.kneighbors(X, 1)[1].shape == (len(X), 1)


def test_a_loss_that_explodes_leaves_finite_numbers(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="NaN or infinite"):
        embedder.fit(X, y, images=images)
    assert all(torch.isfinite(value).all() for value in embedder.module_.state_dict().values())
    assert np.isfinite(embedder.decision_function(X)).all()
    with pytest.raises(ValueError, match="pass a gallery"):
        embedder.kneighbors(X)
    assert embedder.kneighbors(X, 1, gallery=images)[1].shape == (len(X), 1)


def test_early_stopping_watches_whole_groups_of_held_out_sequences(pairs: Data) -> None:
    X, y, images = pairs
    groups, seen = np.arange(len(X)) // 4, Batches()
    settings = {"early_stopping": True, "validation_fraction": 0.3, "scaling": None, "augment": None}
    embedder = small(**CHEAP, **settings, callbacks=[seen]).fit(X, y, groups=groups, images=images)
    trained = {row.numpy().tobytes() for epoch in seen.epochs for batch in epoch for row in batch["images"]}
    held_out = np.array([image.tobytes() not in trained for image in images])
    assert held_out.any()
    assert np.array_equal(held_out, np.isin(groups, groups[held_out]))
    losses = -np.log(embedder.predict_proba(X)[np.arange(len(X)), y][held_out])
    # the best weights are kept
    np.testing.assert_allclose(min(row["valid_loss"] for row in embedder.history_), losses.mean(), rtol=1e-5)
    assert embedder.kneighbors(X, len(X))[1].shape == (len(X), len(X))  # held out, but known


# ----------------------------------------------------------------------------------------------------------------- CUDA


@pytest.mark.cuda
@pytest.mark.parametrize("pool", [False, True])
def test_cuda_trains_and_agrees_with_the_cpu(pairs: Data, pool: bool) -> None:
    X, y, images = pairs
    embedder = small(max_epochs=10, device="cuda").fit(X, y, images=images, image_labels=y if pool else None)
    assert embedder.history_[-1]["train_loss"] < embedder.history_[0]["train_loss"]
    on_gpu = embedder.transform(X), embedder.transform_images(images)
    embedder.device = "cpu"
    loaded = pickle.loads(pickle.dumps(embedder))
    assert next(loaded.module_.parameters()).device.type == "cpu"
    np.testing.assert_allclose(loaded.transform(X), on_gpu[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(loaded.transform_images(images), on_gpu[1], rtol=1e-3, atol=1e-3)
