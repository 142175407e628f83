"""Kinds that are kept or refused: pixels, weights of classes, constant targets, groups, places of a reducer."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.decomposition import PCA

from skseqmetric import (
    CrossModalTripletEmbedder,
    EchoStateClassifier,
    EchoStateRegressor,
    RecurrentClassifier,
    SequenceKNeighborsRegressor,
    SyncGRUMetric,
    check_images,
)
from skseqmetric.inspection import CrossModalMapDisplay, EmbeddingDisplay, RecurrentStateMap
from tests.small_door import FAST, IMAGES, LABELS, NUMBERS, STEP_LABELS, STEP_NUMBERS, Case, X, outputs, where

NAN = float("nan")


def made(case: Case, **settings: Any) -> Any:
    return clone(case.estimator).set_params(**settings)


# ------------------------------------------------------------------------------------------------ pixels

COLOURS = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8))


def test_numbers_of_a_palette_become_colours() -> None:
    palette = COLOURS.quantize(64)
    expected = check_images([np.asarray(palette.convert("RGB"))])
    np.testing.assert_array_equal(check_images([palette]).values, expected.values)
    palette.info["transparency"] = 0
    assert check_images([palette]).shape == (4, 9, 8)
    assert check_images([COLOURS, COLOURS.quantize(64)]).shape == (3, 9, 8)


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4), ("I", 1), ("F", 1)]
)
def test_modes_of_grey_and_colour_pass(mode: str, channels: int) -> None:
    assert check_images([COLOURS.convert(mode)]).shape == (channels, 9, 8)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "LAB", "RGBX"])
def test_other_modes_are_refused_with_the_remedy(mode: str) -> None:
    with pytest.raises(ValueError, match=rf'image 1 is a Pillow image of mode {mode!r}.*image\.convert\("RGB"\)'):
        check_images([COLOURS, COLOURS.convert(mode)])


def test_one_pillow_image_is_no_list() -> None:
    with pytest.raises(ValueError, match=r"one image alone is passed as \[image\]"):
        check_images(COLOURS)


@where(lambda case: case.takes("images"))
@pytest.mark.parametrize(("first", "later"), [(np.uint8, np.int64), (np.uint8, np.float32), (np.int16, np.uint8)])
def test_the_kind_of_pixels_is_that_of_the_fit(case: Case, first: Any, later: Any) -> None:
    fitted = case.fitted(images=IMAGES.astype(first))
    expected = fitted.transform_images(IMAGES.astype(first))
    loaded = pickle.loads(pickle.dumps(fitted))
    for model in (fitted, loaded):
        for call in (model.transform_images, lambda images, model=model: model.kneighbors(X, 1, gallery=images)):
            with pytest.raises(ValueError, match="at fit they were"):
                call(IMAGES.astype(later))
        with pytest.raises(ValueError, match="at fit they were"):
            model.partial_fit(X, case.y, images=IMAGES.astype(later))
    np.testing.assert_array_equal(fitted.transform_images(check_images(IMAGES.astype(first))), expected)
    again = fitted.fit(X, case.y, images=IMAGES.astype(later))
    assert again.transform_images(IMAGES.astype(later)).shape == expected.shape


def test_pixels_that_are_not_divided_may_have_any_dtype() -> None:
    fitted = CrossModalTripletEmbedder(n_components=4, n_filters=3, n_units=3, **FAST).fit(
        X, LABELS, images=IMAGES / 255
    )
    expected = fitted.transform_images(IMAGES / 255)
    np.testing.assert_array_equal(fitted.transform_images((IMAGES / 255).astype(np.float32)), expected)


# ------------------------------------------------------------------------------------ weights of classes

WRONG_WEIGHTS: list[tuple[Any, str]] = [
    (-1.0, "must be finite and >= 0"),
    (NAN, "must be finite and >= 0"),
    (np.inf, "must be finite and >= 0"),
    ("2", "must be a number >= 0"),
    (None, "must be a number >= 0"),
    (True, "must be a number >= 0"),
    ([1.0], "must be a number >= 0"),
    (1j, "must be a number >= 0"),
]


@where(lambda case: hasattr(case.estimator, "class_weight"))
def test_weights_of_classes_are_checked_as_those_of_sequences(case: Case) -> None:
    label, other = np.unique(np.concatenate([np.atleast_1d(y) for y in case.y])).tolist()
    for weight, message in WRONG_WEIGHTS:
        for method in ("fit", "partial_fit"):
            with pytest.raises(ValueError, match=rf"class_weight\['{label}'\] is .*{message}"):
                getattr(made(case, class_weight={label: weight}), method)(X, case.y)
    with pytest.raises(ValueError, match="gives every class of y the weight 0"):
        made(case, class_weight={label: 0, other: 0.0}).fit(X, case.y)
    with pytest.raises(ValueError, match="class_weight names 'third'"):
        made(case, class_weight={"third": 1}).fit(X, case.y)
    fitted = made(case, class_weight={label: np.float32(0.5)}).fit(X, case.y)
    assert all(np.isfinite(rows).all() for rows in outputs(fitted))


# ------------------------------------------------------------------------------------ kinds of targets

BAD_NUMBERS: dict[str, Any] = {
    "digits": list("123456"),
    "objects that are digits": np.array(list("123456"), dtype=object),
    "dates": np.arange(6).astype("datetime64[D]"),
    "spans of time": np.arange(6).astype("timedelta64[D]"),
    "masked": np.ma.masked_array(NUMBERS, NUMBERS == 1),
    "infinite": np.where(NUMBERS == 1, np.inf, NUMBERS),
    "complex": NUMBERS + 0j,
}


@where(lambda case: "Regressor" in case.name)
@pytest.mark.parametrize("kind", BAD_NUMBERS)
def test_all_regressors_refuse_the_same_targets(case: Case, kind: str) -> None:
    bad = BAD_NUMBERS[kind]
    if "steps" in case.name:
        bad = [np.ma.concatenate([bad] * 3)[: len(x)] if kind == "masked" else np.resize(bad, len(x)) for x in X]
    with pytest.raises(ValueError, match="y"):
        case.fitted(y=bad)
    with pytest.raises(ValueError, match="y"):
        case.fitted().score(X, bad)


@where(lambda case: "Regressor" in case.name)
def test_all_regressors_learn_a_constant(case: Case) -> None:
    y = [np.full(len(x), 3.0) for x in X] if "steps" in case.name else np.full(len(X), 3.0)
    fitted = case.fitted(y=y)
    for rows in fitted.predict(X):
        np.testing.assert_allclose(rows, 3.0, atol=0.5)
    assert np.isfinite(fitted.score(X, y))


def test_a_constant_teaches_a_supervised_metric_nothing() -> None:
    regressor = SequenceKNeighborsRegressor(SyncGRUMetric(3, n_filters=3, **FAST), n_neighbors=2)
    with pytest.raises(ValueError, match=r'y is constant, which leaves one class for SyncGRUMetric.*metric="dtw"'):
        regressor.fit(X, np.full(len(X), 3.0))


@where(lambda case: case.y is not None and "Regressor" not in case.name and "Transcriber" not in case.name)
def test_masked_labels_are_refused(case: Case) -> None:
    bad = [np.ma.masked_array(own, np.arange(len(own)) == 1) for own in case.y] if "steps" in case.name else None
    with pytest.raises(ValueError, match=r"^y(\[0\])? has masked values"):
        case.fitted(y=np.ma.masked_array(case.y, np.arange(len(X)) == 1) if bad is None else bad)


# ------------------------------------------------------------------------------------ variances that are 0


def assert_probabilities(found: Any) -> None:
    for rows in found:
        assert np.isfinite(rows).all()
        np.testing.assert_allclose(np.sum(rows, axis=-1), 1)


@pytest.mark.parametrize("alpha", [0.01, "auto", [0.1, 1.0]])
def test_probabilities_are_finite_where_the_residuals_are_zero(alpha: Any) -> None:
    model = EchoStateClassifier(6, alpha=alpha, random_state=0)
    for n in (1, 5):
        first = clone(model).partial_fit(X[:n], [0] * n, classes=[0, 1])
        assert_probabilities(first.predict_proba(X))
        assert first.predict(X).tolist() == [0] * len(X)
    assert_probabilities(first.partial_fit(X[5:], [1]).predict_proba(X))
    steps = clone(model).set_params(target="step").partial_fit(X[:1], [[0] * len(X[0])], classes=[0, 1])
    assert_probabilities(steps.predict_proba(X))
    assert_probabilities(clone(model).fit([x * 0 for x in X], LABELS).predict_proba(X))
    assert_probabilities(clone(model).fit([x[:1] for x in X], LABELS).predict_proba(X))


@where(lambda case: case.y is not None and "Transcriber" not in case.name)
def test_constant_channels_and_single_steps_are_learned_from(case: Case) -> None:
    single = [own[:1] for own in case.y] if "steps" in case.name else case.y
    for sequences, y in (([x * 0 + 5 for x in X], case.y), ([x[:1] for x in X], single)):
        assert all(np.isfinite(rows.astype(float)).all() for rows in outputs(case.fitted(sequences, y), sequences))


def test_a_class_of_weight_zero_has_a_finite_score() -> None:
    y, weights = ["a", "b", "c"] * 2, [1, 1, 0] * 2
    fitted = EchoStateClassifier(6, readout="logistic", random_state=0).fit(X, y, sample_weight=weights)
    assert np.isfinite(fitted.intercept_).all()
    assert np.isfinite(fitted.decision_function(X)).all()
    assert all(np.isfinite(rows).all() for rows in fitted.predict_prefixes(X))
    assert_probabilities(fitted.predict_proba(X))
    assert (fitted.predict_proba(X)[:, 2] == 0).all()


def test_one_sequence_is_enough_for_a_regressor() -> None:
    for target, y in (("sequence", NUMBERS[:1]), ("step", STEP_NUMBERS[:1])):
        model = EchoStateRegressor(6, target=target, alpha="auto", random_state=0).partial_fit(X[:1], y)
        assert all(np.isfinite(rows).all() for rows in model.predict(X))


# ------------------------------------------------------------------------------------ groups and splits


@where(lambda case: case.takes("groups") and "early_stopping" in case.estimator.get_params())
def test_a_split_without_two_sides_is_refused(case: Case) -> None:
    model = made(case, early_stopping=True)
    with pytest.raises(ValueError, match=r"of the groups, and there are 1: .*Pass more groups"):
        model.fit(X, case.y, groups=["one"] * len(X))
    with pytest.raises(ValueError, match=r"0\.9 of the groups, and there are 2: one side of the split would be empty"):
        made(case, early_stopping=True, validation_fraction=0.9).fit(X, case.y, groups=[1, 2] * 3)
    with pytest.raises(ValueError, match="there are 6: one side of the split would be empty"):
        made(case, early_stopping=True, validation_fraction=0.95).fit(X, case.y)


def test_a_large_part_may_be_held_out() -> None:
    """The smaller side is the training data: too small for a stratified split."""
    model = RecurrentClassifier(3, early_stopping=True, validation_fraction=0.8, **FAST)
    assert model.fit(X, LABELS).n_iter_ == 1


# ------------------------------------------------------------------------------------ places of a reducer


class Reducer:
    """Places of a wrong kind."""

    def __init__(self, places: Any) -> None:
        self.places = places

    def fit_transform(self, rows: np.ndarray) -> np.ndarray:
        return np.resize(np.asarray(self.places), (len(rows), 2))

    def transform(self, rows: np.ndarray) -> np.ndarray:
        return np.full((len(rows), 2), NAN)


@pytest.mark.parametrize("places", [NAN, np.inf, "a", None])
def test_places_that_are_not_finite_are_refused(places: Any) -> None:
    embedder = CrossModalTripletEmbedder(n_components=4, n_filters=3, n_units=3, **FAST).fit(X, LABELS, images=IMAGES)
    reducer, message = Reducer(places), "Reducer returned places that are not finite numbers"
    with pytest.raises(ValueError, match=message):
        RecurrentStateMap(reducer).fit(X)
    with pytest.raises(ValueError, match=message):
        EmbeddingDisplay.from_estimator(embedder, X, LABELS, reducer=reducer)
    with pytest.raises(ValueError, match=message):
        CrossModalMapDisplay.from_estimator(embedder, X, LABELS, images=IMAGES, reducer=reducer)


def test_new_places_that_are_not_finite_are_refused() -> None:
    mapped = RecurrentStateMap(Reducer(0.5)).fit(X)
    with pytest.raises(ValueError, match="Reducer returned places that are not finite numbers"):
        mapped.transform([x + 1 for x in X])


def test_labels_of_displays_must_be_given() -> None:
    embedder = CrossModalTripletEmbedder(n_components=4, n_filters=3, n_units=3, **FAST).fit(X, LABELS, images=IMAGES)
    bad = [*LABELS[:-1].tolist(), None]
    with pytest.raises(ValueError, match=r"y\[5\] is None"):
        EmbeddingDisplay.from_estimator(embedder, X, bad, reducer=PCA(2))
    with pytest.raises(ValueError, match=r"image_labels\[5\] is None"):
        CrossModalMapDisplay.from_estimator(embedder, X, LABELS, images=IMAGES, image_labels=bad)
    with pytest.raises(ValueError, match=r"labels\[0\]\[1\] is None"):
        RecurrentStateMap(PCA(2)).fit(X).purity(X, [[own[0], None, *own[2:]] for own in STEP_LABELS], n_neighbors=2)
