"""CrossModalTripletEmbedder: what it refuses, and how it stands inside scikit-learn."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from torch import nn

from skseqmetric import CrossModalTripletEmbedder
from tests.small_embedder import CHEAP, IMAGES, SMALL, Data, Steps, Vectors, small

# ------------------------------------------------------------------------------------------------------------- refusals


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
    embedder = small(max_epochs=1, min_batches=1).fit(X, y, images=images)
    before = embedder.decision_function(X), *embedder.kneighbors(X, 2)
    more_channels = [np.c_[x, x] for x in X]
    with pytest.raises(ValueError, match=message):
        embedder.set_params(**settings).fit(more_channels, y, **given)
    after = embedder.decision_function(X), *embedder.kneighbors(X, 2)
    assert all(np.array_equal(a, b) for a, b in zip(after, before, strict=True))
    assert embedder.n_channels_ == 2
    assert embedder.n_iter_ == 1


def test_images_of_another_size_are_refused_after_fit(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP).fit(X, y, images=images)
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
        lambda: small().transform(X),
        lambda: small().transform_images(images),
        lambda: small().kneighbors(X),
    ):
        with pytest.raises(NotFittedError):
            call()


# -------------------------------------------------------------------------------------------------- inside scikit-learn


def test_in_pipelines(pairs: Data) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP, max_epochs=20, learning_rate=0.01)
    pipe = Pipeline([("embedder", embedder), ("knn", KNeighborsClassifier(3))])
    pipe.fit(X, y, embedder__images=images)
    assert pipe.score(X, y) > 0.9
    assert pipe[0].image_shape_ == (1, 9, 8)
    assert list(pipe[:-1].get_feature_names_out())[:2] == ["crossmodaltripletembedder0", "crossmodaltripletembedder1"]
    assert make_pipeline(embedder, KNeighborsClassifier(3)).fit(X, y).score(X, y) > 0.8


@pytest.mark.parametrize("pool", [False, True])
def test_in_a_grid_search_images_are_split_and_a_pool_is_not(pairs: Data, pool: bool) -> None:
    X, y, images = pairs
    seen: list[int] = []

    class Counting(CrossModalTripletEmbedder):
        def fit(self, X: Any, y: Any = None, **given: Any) -> Any:
            seen.append(len(given["images"]))
            return super().fit(X, y, **given)

    given = {"images": images[:20], "image_labels": y[:20]} if pool else {"images": images}
    search = GridSearchCV(Counting(**SMALL, **CHEAP), {"n_components": [3, 5]}, cv=2, error_score="raise")
    search.fit(X, y, **given)
    assert seen == ([20] * 5 if pool else [12] * 4 + [24])
    assert search.best_estimator_.kneighbors(X, 1)[1].shape == (24, 1)
    assert search.predict(X).shape == (24,)


def test_images_are_routed(pairs: Data) -> None:
    X, y, images = pairs
    with config_context(enable_metadata_routing=True):
        pipe = make_pipeline(small(**CHEAP).set_fit_request(images=True), KNeighborsClassifier(1))
        search = GridSearchCV(pipe, {"crossmodaltripletembedder__n_components": [3]}, cv=2, error_score="raise")
        search.fit(X, y, images=images)
        assert search.best_estimator_[0].image_shape_ == (1, 9, 8)
        embedder = small(**CHEAP).set_fit_request(images=True)
        found = cross_validate(embedder, X, y, params={"images": images}, cv=2, return_estimator=True)
    assert [fitted.image_shape_ for fitted in found["estimator"]] == [(1, 9, 8)] * 2


@pytest.mark.parametrize("own", [False, True])
def test_pickled_copied_and_cloned(pairs: Data, own: bool) -> None:
    X, y, images = pairs
    embedder = small(**CHEAP if own else {}, max_epochs=1).fit(X, y, images=images)
    for again in (pickle.loads(pickle.dumps(embedder)), copy.deepcopy(embedder)):
        assert np.array_equal(again.transform_images(images), embedder.transform_images(images))
        assert np.array_equal(again.kneighbors(X, 2)[0], embedder.kneighbors(X, 2)[0])
    assert np.array_equal(clone(embedder).fit(X, y, images=images).transform(X), embedder.transform(X))


# ------------------------------------------------------------------------------------------------------- user's modules


@pytest.mark.parametrize(
    "settings",
    [
        CHEAP,
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
