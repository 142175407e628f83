"""CrossModalTranscriber: what it refuses, and how it stands inside scikit-learn."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import Tensor, nn

from skseqmetric.metrics import character_error_rate, neg_character_error_rate_scorer
from tests.small_embedder import CHEAP, Steps, Vectors
from tests.small_transcriber import Data, altered, equal, small

# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("spoil", "given", "error", "message"),
    [
        (lambda y: None, {}, ValueError, "the target y is None"),
        (lambda y: "abc", {}, TypeError, "y is one string"),
        (lambda y: y[:-1], {}, ValueError, "y has 29 labels, but X has 30 sequences"),
        (lambda y: np.arange(30), {}, TypeError, r"y\[0\] must be a string or a list of symbols, got int64"),
        (lambda y: altered(y, 3, None), {}, TypeError, r"y\[3\] must be .* got NoneType"),
        (lambda y: altered(y, 3, ["a"]), {}, TypeError, r"y\[0\] is a string and y\[3\] is not"),
        (lambda y: [[[s]] for s in y], {}, TypeError, r"y\[0\] must be .* hashable symbols: unhashable"),
        (lambda y: [[1, "a"] for _ in y], {}, TypeError, "hashable and sortable"),
        (lambda y: [[1.0, np.nan] for _ in y], {}, ValueError, "nan, which does not equal itself"),
        (lambda y: [""] * 30, {}, ValueError, "y has no symbol"),
        (lambda y: y, {"images": np.zeros((20, 9, 16))}, ValueError, "Got 20 images for 30 sequences"),
        (lambda y: y, {"image_labels": ["a"]}, ValueError, "image_labels are given without images"),
        (
            lambda y: y,
            {"images": np.zeros((4, 9, 16)), "image_labels": ["a", "b"]},
            ValueError,
            "image_labels has 2 labels, but there are 4 images",
        ),
        (
            lambda y: altered(y, 7, "bbbb"),
            {"images": np.zeros((29, 9, 16)), "image_labels": "without the 7th"},
            ValueError,
            "label 'bbbb' has sequences but no image",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_what_was_there(
    words: Data, spoil: Any, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    X, y, images = words
    if given.get("image_labels") == "without the 7th":
        given = {**given, "image_labels": y[:7] + y[8:]}
    with pytest.raises(error, match=message):
        small().fit(X, spoil(y), **given)
    reader = small(max_epochs=1, min_batches=1).fit(X, y, images=images)
    before, state = reader.predict_log_proba(X), dict(vars(reader))
    with pytest.raises(error, match=message):
        reader.fit([np.c_[x, x] for x in X], spoil(y), **given)
    assert vars(reader) == state
    assert equal(reader.predict_log_proba(X), before)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_label_that_does_not_fit_is_refused(words: Data, method: str, warm_start: bool) -> None:
    X, y, _ = words
    reader = small(warm_start=warm_start).fit(X, y)
    before = reader.predict_log_proba(X)
    short = [*X[:5], X[5][:17], *X[6:]]
    getattr(copy.deepcopy(reader), method)(short, altered(y, 5, "abcab"))
    message = r"y\[5\] does not fit: its 4 symbols take 6 steps .* sequence 5 has 17 steps, .* leaves 5\."
    with pytest.raises(ValueError, match=message):
        getattr(reader, method)(short, altered(y, 5, "aabb"))
    assert equal(reader.predict_log_proba(X), before)
    assert reader.n_iter_ == 2


def test_not_fitted(words: Data) -> None:
    X, _, images = words
    for call in (
        lambda: small().predict(X),
        lambda: small().predict_log_proba(X),
        lambda: small().transform_images(images),
    ):
        with pytest.raises(NotFittedError):
            call()
    assert not hasattr(small(), "symbols_")


# -------------------------------------------------------------------------------------------------- inside scikit-learn


def test_in_a_pipeline_and_a_grid_search(words: Data) -> None:
    X, y, images = words
    alone, in_pipe = small(**CHEAP, max_epochs=6).fit(X, y, images=images), small(**CHEAP, max_epochs=6)
    pipe = make_pipeline(FunctionTransformer(), in_pipe).fit(X, y, crossmodaltranscriber__images=images)
    assert pipe.predict(X) == alone.predict(X)
    assert pipe.score(X, y) == alone.score(X, y) > 0.4
    assert pipe[-1].image_shape_ == (1, 9, 16)
    search = GridSearchCV(small(**CHEAP), {"n_components": [4, 8]}, cv=2, error_score="raise").fit(X, y, images=images)
    assert len(search.predict(X)) == 30
    assert search.best_estimator_.kneighbors(X, 1)[1].shape == (30, 1)
    lists = [list(word) for word in y]
    pool = GridSearchCV(
        small(**CHEAP), {"n_components": [4]}, scoring=neg_character_error_rate_scorer, cv=2, error_score="raise"
    )
    pool.fit(X, lists, images=np.r_[images, images[:1]], image_labels=[*lists, ["?"]])
    assert pool.score(X, lists) == -character_error_rate(lists, pool.predict(X))


def test_images_are_routed(words: Data) -> None:
    X, y, images = words
    with config_context(enable_metadata_routing=True):
        reader = small(**CHEAP).set_fit_request(images=True)
        found = cross_validate(reader, X, y, params={"images": images}, cv=2, return_estimator=True)
    assert [fitted.image_shape_ for fitted in found["estimator"]] == [(1, 9, 16)] * 2


def test_pickled_copied_and_cloned(words: Data) -> None:
    X, y, images = words
    reader = small(series_encoder=Steps()).fit(X, y, images=images, image_labels=y)
    for again in (pickle.loads(pickle.dumps(reader)), copy.deepcopy(reader)):
        assert equal(again.predict_log_proba(X), reader.predict_log_proba(X))
        assert np.array_equal(again.kneighbors(X, 2)[0], reader.kneighbors(X, 2)[0])
        assert again.predict(X) == reader.predict(X)
    fresh = clone(reader).fit(X, y, images=images, image_labels=y)
    assert equal(fresh.predict_log_proba(X), reader.predict_log_proba(X))
    assert list(reader.get_feature_names_out())[:2] == ["crossmodaltranscriber0", "crossmodaltranscriber1"]


def test_threads_share_one_fitted_estimator(words: Data) -> None:
    X, y, _ = words
    reader = small(**CHEAP, max_epochs=10, decoding="beam").fit(X, y)
    state, expected = dict(vars(reader)), reader.predict(X)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: reader.predict(X), range(16)))
    assert all(answer == expected for answer in answers)
    assert vars(reader) == state


def test_input_is_not_changed(words: Data) -> None:
    X, y, images = copy.deepcopy(words)
    small().fit(X, y, images=images)
    assert equal(X, words[0])
    assert y == words[1]
    assert np.array_equal(images, words[2])


# ------------------------------------------------------------------------------------------------------- user's modules


class OnlyFeatures(nn.Module):
    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        return values


def test_an_encoder_of_the_user_reads(words: Data) -> None:
    X, y, images = words
    reader = small(series_encoder=Steps(100), image_encoder=Vectors(100), max_epochs=60).fit(X, y, images=images)
    assert reader.score(X, y) > 0.7
    assert [len(rows) for rows in reader.predict_log_proba(X)] == [(len(x) + 1) // 2 for x in X]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_steps_of_an_encoder_of_the_user_are_found_by_running_it(words: Data, method: str) -> None:
    X, y, _ = words
    short = [*X[:5], X[5][:16], *X[6:]]
    for encoder, fits, left in ((Steps(), "abcabcab", 8), (Steps(fewer=3), "abcab", 5)):
        reader = getattr(small(series_encoder=encoder, warm_start=True), method)(short, altered(y, 5, fits))
        for again in (reader, small(series_encoder=encoder)):
            with pytest.raises(ValueError, match=rf"sequence 5 has 16 steps, of which .* leaves {left}\."):
                getattr(again, method)(short, altered(y, 5, fits + "c"))
    with pytest.raises(ValueError, match=r"series_encoder must return \(features, lengths\)"):
        getattr(small(series_encoder=OnlyFeatures()), method)(X, y)
