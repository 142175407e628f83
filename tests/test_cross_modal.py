"""CrossModalTripletEmbedder: what it learns from sequences and images, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skseqmetric import CrossModalTripletEmbedder, SequenceKNeighborsClassifier
from skseqmetric._batching import FlatSequences, LabelledBatches
from skseqmetric._cross_modal._batches import CrossModalBatches, ImagePool, Pairing
from skseqmetric._cross_modal._distances import BATCH, PAIRED
from skseqmetric._cross_modal._encoders import ImageEncoder, SeriesEncoder
from skseqmetric._cross_modal._losses import cross_modal_loss
from skseqmetric._cross_modal._margins import label_distance
from skseqmetric._cross_modal._network import CrossModalNetwork
from skseqmetric._cross_modal._objective import Course, CrossModalObjective, CrossTerm
from skseqmetric._validation import check_images, check_sequences

SMALL: dict[str, Any] = {
    "n_components": 6, "n_filters": 8, "n_units": 8, "max_epochs": 3, "min_batches": 3, "random_state": 0,
}  # fmt: skip
PARTS = ("series_loss", "image_loss", "cross_loss")
Data = tuple[list[np.ndarray], np.ndarray, np.ndarray]


@pytest.fixture
def pairs(ragged: tuple[list[np.ndarray], np.ndarray]) -> Data:
    """The ragged sequences, their labels, and 9 x 8 images that show the label by where they are bright."""
    X, y = ragged
    return X, y, pictures(y, seed=3)


def pictures(y: np.ndarray, seed: int) -> np.ndarray:
    images = np.random.default_rng(seed).uniform(0, 0.4, size=(len(y), 9, 8)).astype(np.float32)
    for image, label in zip(images, y, strict=True):
        image[3 * label : 3 * label + 3] += 0.6
    return images


def small(**settings: Any) -> CrossModalTripletEmbedder:
    return CrossModalTripletEmbedder(**{**SMALL, **settings})


# ------------------------------------------------------------------------------------------------------------ learning


@pytest.mark.parametrize("pool", [False, True])
def test_learns_both_modalities_and_where_they_meet(pairs: Data, pool: bool) -> None:
    X, y, images = pairs
    names = np.array(["a", "b", "c"])[y]
    labels = None
    if pool:
        labels = names[:17]
        images = images[:17]
    embedder = small(max_epochs=30).fit(X, names, images=images, image_labels=labels)
    of_images = names[: len(images)]
    assert embedder.score(X, names) > 0.9
    points, others = embedder.transform(X), embedder.transform_images(images)
    assert points.shape == (len(X), 6)
    assert points.dtype == others.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(np.r_[points, others].astype(float), axis=1), 1, rtol=1e-5)
    assert (of_images[embedder.kneighbors(X, 3, return_distance=False)] == names[:, None]).mean() > 0.9
    assert (
        names[embedder.kneighbors(images=images, n_neighbors=3, return_distance=False)] == of_images[:, None]
    ).mean() > 0.9


def test_answers_of_the_classifier_agree(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(max_epochs=10).fit(X, y, images=images)
    probabilities, scores = embedder.predict_proba(X), embedder.decision_function(X)
    assert probabilities.shape == scores.shape == (len(X), 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(embedder.classes_[scores.argmax(axis=1)], embedder.predict(X))


def test_without_images_it_is_the_series_branch_alone(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(max_epochs=20).fit(X, y)
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
    embedder = small(early_stopping=True, validation_fraction=0.3).fit(X, y, images=images)
    assert embedder.image_shape_ == (1, 9, 8)
    for row in embedder.history_:
        assert {*PARTS, "train_loss", "valid_loss"} < set(row)
        np.testing.assert_allclose(row["train_loss"], np.mean([row[part] for part in PARTS]), rtol=1e-5)
    weighted = small(loss_weights=(1.0, 0.5, 2.0)).fit(X, y, images=images).history_[0]
    np.testing.assert_allclose(weighted["train_loss"], np.dot([1, 0.5, 2], [weighted[part] for part in PARTS]), 1e-5)


@pytest.mark.parametrize("loss", ["pair", "contrastive", "triplet"])
@pytest.mark.parametrize("distance", sorted(PAIRED | BATCH))
def test_every_loss_trains(pairs: Data, loss: str, distance: str) -> None:
    X, y, images = pairs
    embedder = small(loss=loss, distance=distance, max_epochs=2).fit(X, y, images=images)
    assert np.isfinite([row[part] for row in embedder.history_ for part in PARTS]).all()
    assert np.isfinite(embedder.transform(X)).all()


def test_parameters_of_the_loss_change_what_is_learned(pairs: Data) -> None:
    X, y, images = pairs
    plain = small().fit(X, y, images=images).transform(X)
    # with one label distance a dynamic margin is a fixed one
    assert np.array_equal(small(margin=0.1).fit(X, y, images=images).transform(X), plain)
    for other in (
        {"beta": 0.5}, {"label_distance": "ordered"}, {"loss_weights": "dynamic"}, {"loss": "pair"}, {"margin": 0.7},
        {"label_distance": [[0, 3, 1], [3, 0, 1], [1, 1, 0]]}, {"label_distance": lambda a, b: 4.0 * (a != b)},
        {"label_distance": "ordered", "curriculum": True},
    ):  # fmt: skip
        assert not np.array_equal(small(**other).fit(X, y, images=images).transform(X), plain)


def test_bfloat16(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(precision="bfloat16", distance="homm", max_epochs=20).fit(X, y, images=images)
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


def test_weights_are_repetitions_of_the_pair(pairs: Data) -> None:
    X, y, images = pairs
    weights = np.where(y == 0, 2.0, np.where(np.arange(len(y)) % 5 == 1, 0.0, 1.0))
    repeated = np.repeat(np.arange(len(X)), weights.astype(int))
    weighted = small().fit(X, y, weights, images=images)
    other = small().fit([X[i] for i in repeated], y[repeated], images=images[repeated])
    assert np.array_equal(weighted.decision_function(X), other.decision_function(X))
    assert not np.array_equal(weighted.transform(X), small().fit(X, y, images=images).transform(X))


def test_equal_sequences_with_other_images_stay_two_rows(pairs: Data) -> None:
    X, y, images = pairs
    both = [*X, *X], np.r_[y, y]
    once = small(scaling=None).fit(*both, images=np.r_[images, images])
    twice = small(scaling=None).fit(*both, images=np.r_[images, pictures(y, seed=9)])
    assert once.history_[0]["train_loss"] == small(scaling=None).fit(X, y, images=images).history_[0]["train_loss"]
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
    embedder = small().partial_fit(X[:8], y[:8], np.unique(y), images=images[:8])
    embedder.partial_fit(X[8:16], y[8:16], images=images[8:16])
    assert embedder.n_iter_ == 2
    assert all(set(PARTS) < set(row) for row in embedder.history_)
    indices = embedder.kneighbors(X[:3], 8, return_distance=False)
    assert np.array_equal(np.sort(indices), np.tile(np.arange(8), (3, 1)))  # the images of the last part
    with pytest.raises(ValueError, match="label 99, which is not among the classes"):
        embedder.partial_fit(X[:2], [99, 99], images=images[:2])
    warm = small(warm_start=True).fit(X, y, images=images)
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
    embedder = small(warm_start=True).partial_fit(X, y)
    with pytest.raises(ValueError, match="first fitted without images"):
        getattr(embedder, method)(X, y, images=images)
    assert embedder.fit(X, y).n_iter_ == 1 + SMALL["max_epochs"]


def test_threshold_does_not_outlive_its_distance(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small().fit(X, y, images=images)
    same = np.where(y[:-1] == y[1:], 1, -1)
    embedder.calibrate_threshold(X, np.c_[: len(X) - 1, 1 : len(X)], same)
    with pytest.raises(ValueError, match="NaN"):
        embedder.fit(X, y, images=np.full_like(images, np.nan))
    assert hasattr(embedder, "threshold_")
    embedder.partial_fit(X, y)
    assert not hasattr(embedder, "threshold_")


class Interrupt(Callback):
    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) > 2:
            raise KeyboardInterrupt


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


def test_early_stopping_keeps_groups_together(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(early_stopping=True, validation_fraction=0.3)
    embedder.fit(X, y, groups=np.arange(len(X)) // 4, images=images)
    assert "valid_loss" in embedder.history_[0]
    assert embedder.kneighbors(X, len(X))[1].shape == (len(X), len(X))  # held out, but known


# ------------------------------------------------------------------------------------------------------------- refusals

IMAGES = np.zeros((24, 9, 8), dtype=np.uint8)


@pytest.mark.parametrize(
    ("settings", "given", "message"),
    [
        ({}, {"images": IMAGES[:20]}, "Got 20 images for 24 sequences"),
        ({}, {"images": IMAGES[:, :, 0]}, "images has 2 dimension"),
        ({}, {"image_labels": [0, 1, 2]}, "image_labels are given without images"),
        ({}, {"images": IMAGES[:4], "image_labels": [0, 1]}, r"image_labels has shape \(2,\), but there are 4 images"),
        ({}, {"images": IMAGES[:3], "image_labels": [0, 1, 7]}, "image 2 has the label 7, which is not among"),
        ({}, {"images": IMAGES[:3], "image_labels": ["0", "1", "2"]}, "image 0 has the label '0', which is not among"),
        ({}, {"images": IMAGES[:3], "image_labels": [0, 0, 2]}, "class 1 has sequences but no image"),
        ({}, {"images": IMAGES[:, :7]}, "7 x 8 pixels, and image_encoder='conv' takes 8 or more"),
        ({"label_distance": np.zeros((2, 2))}, {"images": IMAGES}, r"\(3, 3\); got the shape \(2, 2\)"),
        ({"label_distance": np.eye(3)}, {"images": IMAGES}, "distance 0 from itself"),
        ({"label_distance": lambda a, b: a - b}, {"images": IMAGES}, "finite and not negative"),
        ({"loss_weights": (1.0, 2.0)}, {"images": IMAGES}, "3 numbers >= 0"),
        ({"loss_weights": (0, 0, 0)}, {"images": IMAGES}, "not all 0"),
        ({"loss_weights": "most"}, {"images": IMAGES}, "loss_weights"),
        ({"loss": "quadruplet"}, {"images": IMAGES}, "'loss' parameter"),
        ({"distance": "manhattan"}, {"images": IMAGES}, "'distance' parameter"),
        ({"margin": -1.0}, {"images": IMAGES}, "'margin' parameter"),
        ({"series_encoder": nn.Flatten()}, {"images": IMAGES}, "series_encoder fails on a batch"),
        ({"image_encoder": nn.Identity()}, {"images": IMAGES}, r"image_encoder must return .*\(B, F\)"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_what_was_there(
    pairs: Data, settings: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    X, y, images = pairs
    embedder = small(**settings)
    with pytest.raises(ValueError, match=message):
        embedder.fit(X, y, **given)
    with pytest.raises(NotFittedError):
        embedder.predict(X)
    embedder = small().fit(X, y, images=images)
    before = embedder.decision_function(X), *embedder.kneighbors(X, 2)
    more_channels = [np.c_[x, x] for x in X]
    with pytest.raises(ValueError, match=message):
        embedder.set_params(**settings).fit(more_channels, y, **given)
    after = embedder.decision_function(X), *embedder.kneighbors(X, 2)
    assert all(np.array_equal(a, b) for a, b in zip(after, before, strict=True))
    assert embedder.n_channels_ == 2
    assert embedder.n_iter_ == SMALL["max_epochs"]


def test_images_of_another_size_are_refused_after_fit(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small().fit(X, y, images=images)
    larger = np.zeros((2, 9, 9))
    for call in (
        lambda: embedder.transform_images(larger),
        lambda: embedder.kneighbors(images=larger),
        lambda: embedder.kneighbors(X, gallery=larger),
        lambda: embedder.partial_fit(X[:2], y[:2], images=larger),
    ):
        with pytest.raises(ValueError, match=r"9 x 9 pixels with 1 channel.*at fit they were 9 x 8"):
            call()


def test_not_fitted(pairs: Data) -> None:
    X, _, images = pairs
    for call in (
        lambda: small().transform(X), lambda: small().transform_images(images), lambda: small().kneighbors(X),
    ):  # fmt: skip
        with pytest.raises(NotFittedError):
            call()


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
        ({"images": IMAGES, "n_neighbors": 25}, "n_neighbors = 25"),
        ({"images": IMAGES, "n_neighbors": 0}, "at least 1, got 0"),
        ({"images": IMAGES, "n_neighbors": 2.0}, "at least 1, got 2.0"),
    ],
)
def test_kneighbors_says_what_is_wrong(pairs: Data, given: dict[str, Any], message: str) -> None:
    X, y, images = pairs
    embedder = small(max_epochs=1).fit(X, y, images=images)
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
    embedder = small(max_epochs=10).fit(X, y, images=images)
    D, points = embedder.pairwise_distances(X), embedder.transform(X).astype(np.float64)
    assert np.array_equal(D, D.T)
    np.testing.assert_allclose(D, np.linalg.norm(points[:, None] - points, axis=2), atol=1e-5)
    knn = SequenceKNeighborsClassifier(small(max_epochs=20), n_neighbors=3).fit(X, y, images=images)
    assert knn.score(X, y) > 0.9
    assert knn.metric_.image_shape_ == (1, 9, 8)
    assert SequenceKNeighborsClassifier(small(max_epochs=20), n_neighbors=3).fit(X, y).score(X, y) > 0.8


# -------------------------------------------------------------------------------------------------- inside scikit-learn


def test_in_pipelines(pairs: Data) -> None:
    X, y, images = pairs
    pipe = Pipeline([("embedder", small(max_epochs=20)), ("knn", KNeighborsClassifier(3))])
    pipe.fit(X, y, embedder__images=images)
    assert pipe.score(X, y) > 0.9
    assert pipe[0].image_shape_ == (1, 9, 8)
    assert list(pipe[:-1].get_feature_names_out())[:2] == ["crossmodaltripletembedder0", "crossmodaltripletembedder1"]
    assert make_pipeline(small(max_epochs=20), KNeighborsClassifier(3)).fit(X, y).score(X, y) > 0.8


@pytest.mark.parametrize("pool", [False, True])
def test_in_a_grid_search_images_are_split_and_a_pool_is_not(pairs: Data, pool: bool) -> None:
    X, y, images = pairs
    seen: list[int] = []

    class Counting(CrossModalTripletEmbedder):
        def fit(self, X: Any, y: Any = None, **given: Any) -> Any:
            seen.append(len(given["images"]))
            return super().fit(X, y, **given)

    given = {"images": images[:20], "image_labels": y[:20]} if pool else {"images": images}
    search = GridSearchCV(Counting(**SMALL), {"n_components": [3, 5]}, cv=2, error_score="raise")
    search.fit(X, y, **given)
    assert seen == ([20] * 5 if pool else [12] * 4 + [24])
    assert search.best_estimator_.kneighbors(X, 1)[1].shape == (24, 1)
    assert search.predict(X).shape == (24,)


def test_images_are_routed(pairs: Data) -> None:
    X, y, images = pairs
    with config_context(enable_metadata_routing=True):
        pipe = make_pipeline(small().set_fit_request(images=True), KNeighborsClassifier(1))
        search = GridSearchCV(pipe, {"crossmodaltripletembedder__n_components": [3]}, cv=2, error_score="raise")
        search.fit(X, y, images=images)
        assert search.best_estimator_[0].image_shape_ == (1, 9, 8)
        scores = cross_val_score(small().set_fit_request(images=True), X, y, params={"images": images}, cv=2)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("own", [False, True])
def test_pickled_copied_and_cloned(pairs: Data, own: bool) -> None:
    X, y, images = pairs
    embedder = small(series_encoder=Steps(), image_encoder=Vectors()) if own else small()
    embedder.fit(X, y, images=images)
    for again in (pickle.loads(pickle.dumps(embedder)), copy.deepcopy(embedder)):
        assert np.array_equal(again.transform_images(images), embedder.transform_images(images))
        assert np.array_equal(again.kneighbors(X, 2)[0], embedder.kneighbors(X, 2)[0])
    assert np.array_equal(clone(embedder).fit(X, y, images=images).transform(X), embedder.transform(X))


# ------------------------------------------------------------------------------------------------------- user's modules


class Steps(nn.Module):
    """Sequences (B, T, 2) to features of every second step."""

    def __init__(self, n_features: int = 7) -> None:
        super().__init__()
        self.layer = nn.utils.skip_init(nn.Linear, 2, n_features)
        nn.init.normal_(self.layer.weight, generator=torch.Generator().manual_seed(0))
        nn.init.zeros_(self.layer.bias)

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tanh(self.layer(values[:, ::2])), (lengths + 1) // 2


class Vectors(nn.Module):
    """Images (B, 1, 9, 8) to their sums over the columns, in a linear map."""

    def __init__(self, n_features: int = 7) -> None:
        super().__init__()
        self.layer = nn.utils.skip_init(nn.Linear, 9, n_features)
        nn.init.normal_(self.layer.weight, generator=torch.Generator().manual_seed(1))
        nn.init.zeros_(self.layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.mean(3).flatten(1))


@pytest.mark.parametrize(
    "settings",
    [
        {"series_encoder": Steps(), "image_encoder": Vectors()},
        {"series_encoder": Steps(5)},
        {"image_encoder": Vectors(5)},
    ],
)
def test_encoders_of_the_user_take_the_place_of_ours(pairs: Data, settings: dict[str, nn.Module]) -> None:
    X, y, images = pairs
    before = {name: copy.deepcopy(module.state_dict()) for name, module in settings.items()}
    embedder = small(**settings, max_epochs=20, learning_rate=0.01).fit(X, y, images=images)
    assert embedder.score(X, y) > 0.8
    for name, module in settings.items():
        assert all(torch.equal(module.state_dict()[key], value) for key, value in before[name].items())
        fitted = getattr(embedder.module_, name)
        assert type(fitted) is type(module)
        assert not torch.equal(fitted.layer.weight, module.layer.weight)
    still = small(**settings, max_epochs=1, learning_rate=1e-12).fit(X, y, images=images)
    for name, module in settings.items():
        torch.testing.assert_close(getattr(still.module_, name).layer.weight, module.layer.weight)


def test_encoders_of_unequal_widths_are_refused(pairs: Data) -> None:
    X, y, images = pairs
    with pytest.raises(ValueError, match="F = 4 features, and series_encoder F = 7"):
        small(series_encoder=Steps(), image_encoder=Vectors(4)).fit(X, y, images=images)


# --------------------------------------------------------------------------------------------------- batches, objective


def pool_of(y: np.ndarray, images: np.ndarray, labels: np.ndarray | None) -> ImagePool:
    checked = check_images(images)
    return ImagePool.paired(checked, y) if labels is None else ImagePool.matched(checked, labels, y)


def course(**changes: Any) -> Course:
    return Course(
        PARTS, **{"how": "equal", "earlier": [], "epoch": 0, "max_epochs": 10, "curriculum": False, **changes}
    )


def batches_of(pairs: Data, pool: ImagePool, how: Any, progress: Course) -> CrossModalBatches:
    X, y, _ = pairs
    flat = FlatSequences.from_sequences(check_sequences(X), np.zeros(2), np.ones(2), torch.device("cpu"))
    series = LabelledBatches(
        flat, torch.from_numpy(y), torch.ones(len(y)), lambda: np.array_split(np.arange(len(y)), 4), lambda v, _: v
    )

    def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return label_distance(how, first, second, table=True)

    return CrossModalBatches(series, Pairing(pool, distances, progress, np.random.default_rng(0)))


@pytest.mark.parametrize("paired", [True, False])
def test_batches_put_the_right_image_beside_every_sequence(pairs: Data, paired: bool) -> None:
    _, y, images = pairs
    labels = None if paired else y[:15]
    pool = pool_of(y, images if paired else images[:15], labels)
    table = np.array([[0, 2.0, 0.5], [2, 0, 3], [0.5, 3, 0]])
    batches = batches_of(pairs, pool, table, course())
    drawn: set[bytes] = set()
    for _ in range(30):
        seen = 0
        for batch in batches:
            rows = np.arange(seen, seen + len(batch["labels"]))
            seen += len(rows)
            assert torch.equal(batch["image_labels"], batch["labels"])
            if paired:
                np.testing.assert_array_equal(batch["images"][:, 0], images[rows])
            drawn |= {image.numpy().tobytes() for image in batch["images"]}
            own, other = y[rows], batch["image_labels"].numpy()[batch["negatives"]]
            assert (own != other).all()
            np.testing.assert_array_equal(batch["apart"], table[own, other].astype(np.float32))
    assert len(drawn) == len(pool.images)


def test_a_batch_of_one_class_has_no_negatives(pairs: Data) -> None:
    _, y, images = pairs
    batches = batches_of(pairs, pool_of(np.zeros_like(y), images, None), "classes", course())
    batch = next(iter(batches))
    assert (batch["negatives"] == -1).all()
    assert (batch["apart"] == 0).all()


def test_curriculum_starts_with_far_negatives(pairs: Data) -> None:
    _, y, images = pairs
    table = np.array([[0, 1.0, 5], [1, 0, 5], [5, 5, 0]])
    batches = batches_of(pairs, pool_of(y, images, None), table, course(curriculum=True, max_epochs=5))
    least = [min(batch["apart"].min().item() for batch in batches) for _ in range(5)]
    assert least == [5, 5, 5, 5, 1]


def test_course_settles_weights_from_the_epochs_before() -> None:
    rows = [dict(zip(PARTS, losses, strict=True)) for losses in ([2.0, 1.0, 1.0], [1.0, 1.0, 0.5])]
    progress = course(how="dynamic", earlier=[{"train_loss": 1.0}, *rows])
    speed = np.exp([0.5, 1.0, 0.5])
    np.testing.assert_allclose(progress.weights, speed / speed.sum())
    progress.record(torch.tensor([1.0, 2.0, 3.0]), 3)
    progress.record(torch.tensor([5.0, 2.0, 7.0]), 1)
    progress.end_epoch()
    assert progress.rows == [dict(zip(PARTS, [2.0, 2.0, 4.0], strict=True))]
    np.testing.assert_allclose(progress.weights, speed / speed.sum())
    progress.begin_epoch()
    speed = np.exp([2.0, 2.0, 8.0])
    np.testing.assert_allclose(progress.weights, speed / speed.sum())
    assert progress.epoch == 1
    assert course(how="dynamic").weights == pytest.approx([1 / 3] * 3)
    assert course(how=(1.0, 0.0, 3.0)).weights == [1.0, 0.0, 3.0]


def test_objective_is_the_weighted_sum_of_its_parts(pairs: Data) -> None:
    _, y, images = pairs
    generator = torch.Generator().manual_seed(0)
    network = CrossModalNetwork(
        SeriesEncoder(2, 6, n_units=3, n_outputs=5, dropout=0.0, generator=generator),
        ImageEncoder((1, 9, 8), n_outputs=5, dropout=0.0, generator=generator),
        5, 4, 3, "classes", generator,
    )  # fmt: skip
    progress = course(how=(0.5, 0.25, 2.0))

    def task(logits: Tensor, steps: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, reduction="none")

    objective = CrossModalObjective(
        network, task, 1.5, generator, CrossTerm(progress, "triplet", "cosine", None, 0.7)
    )  # fmt: skip
    batch = next(iter(batches_of(pairs, pool_of(y, images, None), "ordered", progress)))
    batch["weights"] = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0, 1.0])
    total = objective(**batch)
    features = network.encode_series(batch["values"], batch["lengths"])
    vectors, weights = network.encode_images(batch["images"]), batch["weights"]
    u, v = network.embed_series(*features), network.embed_images(vectors)
    parts = [
        sum(w * cross_entropy(row[None], k[None]) for w, row, k in zip(weights, logits, batch["labels"], strict=True))
        / 6
        / 1.5
        for logits in (network.series_logits(*features), network.image_logits(vectors))
    ]
    negatives, apart = batch["negatives"], batch["apart"]
    cross = cross_modal_loss(
        "triplet", "cosine", u, v, v[negatives.clamp_min(0)], negatives >= 0, 0.7 * apart, weights
    )  # fmt: skip
    expected = torch.stack([*parts, cross * weights.mean() / 1.5])
    torch.testing.assert_close(total, expected @ torch.tensor([0.5, 0.25, 2.0]))
    progress.end_epoch()
    assert list(progress.rows[0].values()) == pytest.approx(expected.tolist(), rel=1e-5)
    alone = objective(**{k: batch[k] for k in ("values", "lengths", "labels", "weights")})
    torch.testing.assert_close(alone, parts[0])


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
