"""What is no sequence, target, weight, group, pair or image is refused with the name of the argument, by all."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils import get_tags

from skseqmetric import (
    DTWMetric,
    EchoStateClassifier,
    Metric,
    check_images,
    check_sequences,
    from_channels_first,
    from_fixes,
    from_padded,
    inspection,
    to_padded,
)
from skseqmetric.datasets import (
    KeywordMemory,
    decode_meanings,
    gramian_angular_field,
    make_words,
    rate_meanings,
    render_trajectory,
    sentence_factors,
    sentence_roles,
    write_sequences,
)
from skseqmetric.inspection import (
    EmbeddingDisplay,
    NestedStatesDisplay,
    RecurrentStateDisplay,
    RecurrentStateMap,
    StateAnimation,
    UnitActivityDisplay,
    UnitEncodingDisplay,
)
from skseqmetric.metrics import character_error_rate, step_accuracy, step_f1_score, word_error_rate
from tests.small_door import IMAGES, LABELS, PAIRS, SAME, STEP_LABELS, WORDS, Case, X, where

N = len(X)


def generated() -> Any:
    yield X[0]


class Something: ...


NOTHING: dict[str, Any] = {
    "none": None,
    "number": 3.5,
    "text": "text",
    "bytes": b"x",
    "dict": {0: 1, 1: 2},
    "set": {1, 2},
    "object": object(),
    "0-D": np.array(1),
    "class": Something,
    "function": len,
    "generator": generated(),
    "ellipsis": ...,
    "complex number": 1j,
}
"""What no argument takes."""

ITEMS: dict[str, Any] = {
    "empty": [],
    "empty item": [[]],
    "none in a list": [None] * N,
    "too few": [1, 2],
    "ragged": [[1, [2]], [3]],
    "masked array": np.ma.masked_array(np.arange(N), np.arange(N) == 2),
    "masked item": [np.ma.masked, *range(N - 1)],
    "complex": [1j] * N,
    "dates": np.arange(N).astype("datetime64[D]"),
    "Python dates": [datetime.date(2020, 1, 1)] * N,
    "records": np.zeros(N, dtype=[("a", float)]),
    "objects": [object()] * N,
    "text and numbers": ["a", 1] * (N // 2),
    "text and none": [None, "a"] * (N // 2),
    "missing": [pd.NA] * N,
    "dicts": [{}] * N,
    "generators": [generated() for _ in X],
    "large": [10**400] * N,
    "nan": [float("nan")] * N,
    "too many axes": np.zeros((N, 2, 2, 2, 2)),
}

NOT_OURS = re.compile(
    r"not iterable|has no len|not supported between|has no attribute|object is not|subscript|must be a string or a real"
    r"|0-d array|out of bounds|out of range$|broadcast|bad operand|cannot reshape|ufunc|array element|invalid literal"
    r"|cannot be interpreted|ambiguous|too large to convert|inhomogen|unsized|unpack|positional argument"
)


def refused(call: Callable[[Any], Any], bad: Any, *names: str) -> str:
    """What is said to a bad argument, in words of the package and with its name."""
    with pytest.raises((ValueError, TypeError)) as error:
        call(bad)
    message = str(error.value)
    assert any(name in message for name in names), message
    assert not NOT_OURS.search(message), message
    return message


def refuse_all(call: Callable[[Any], Any], *names: str, but: tuple[str, ...] = ()) -> None:
    """Every bad argument is refused, except those that this argument takes."""
    for name, bad in {**NOTHING, **ITEMS}.items():
        if name not in but:
            refused(call, bad, *names)


@where()
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_estimators_refuse_with_the_name_of_the_argument(case: Case) -> None:
    fitted = case.fitted(**case.images)
    refuse_all(lambda bad: case.fitted(bad), "X", "sequence")
    ask = fitted.predict if hasattr(fitted, "predict") else getattr(fitted, "pairwise_distances", None)
    ask = fitted.transform if ask is None else ask
    refuse_all(ask, "X", "sequence", but=("none",) if "Neighbors" in case.name else ())
    if case.y is not None:
        taken = () if "Regressor" in case.name else ("dates",)  # classes may be of any type that can be sorted
        if not get_tags(case.estimator).target_tags.required:
            taken = (*taken, "none")
        refuse_all(
            lambda bad: case.fitted(y=bad) if bad is not None else clone(case.estimator).fit(X, None), "y", but=taken
        )
    if hasattr(fitted, "score"):
        refuse_all(lambda bad: fitted.score(X, bad), "y", but=("text and numbers",) * ("Transcriber" in case.name))
    if case.takes("sample_weight"):
        refuse_all(lambda bad: case.fitted(sample_weight=bad), "ample_weight", "ample weight", but=("none", "number"))
    if case.takes("groups"):
        dates = ("dates", "Python dates")
        refuse_all(lambda bad: case.fitted(groups=bad), "groups", but=("none", *dates))
    if case.takes("classes", "partial_fit"):
        first = clone(case.estimator)
        refuse_all(lambda bad: first.partial_fit(X, case.y, classes=bad), "classes", "y has the label", but=("none",))


@where(lambda case: isinstance(case.estimator, Metric))
def test_metrics_refuse_with_the_name_of_the_argument(case: Case) -> None:
    fitted = case.fitted()
    refuse_all(lambda bad: fitted.pair_distance(X, bad), "X", "sequence")
    refuse_all(lambda bad: fitted.score_pairs(X, bad), "pairs")
    refuse_all(lambda bad: fitted.calibrate_threshold(X, PAIRS, bad), "same")
    if case.takes("same", "fit_pairs"):
        refuse_all(lambda bad: case.estimator.fit_pairs(X, bad, SAME), "pairs")
        refuse_all(lambda bad: case.estimator.fit_pairs(X, PAIRS, bad), "same")


@where(lambda case: case.takes("images"))
def test_estimators_of_images_refuse_with_the_name_of_the_argument(case: Case) -> None:
    fitted = case.fitted(images=IMAGES)
    refuse_all(lambda bad: case.fitted(images=bad), "image", but=("none",))
    refuse_all(lambda bad: case.fitted(images=IMAGES, image_labels=bad), "image", but=("none",))
    refuse_all(fitted.transform_images, "image")
    refuse_all(fitted.predict_images, "image")
    refuse_all(lambda bad: fitted.score_images(IMAGES, bad), "y")


@where(lambda case: case.name in ("NRNMStepClassifier of steps", "RecurrentRegressor of steps"))
def test_steps_are_refused_with_their_name(case: Case) -> None:
    fitted = case.fitted()
    refuse_all(fitted.predict_step, "x")
    for name in ("none", "number", "text", "dict", "set", "class", "function"):
        refused(lambda bad: list(fitted.predict_stream(bad)), NOTHING[name], "steps")


# ----------------------------------------------------------------------------------------------- functions

METRIC = DTWMetric().fit(X)


def fixes(**given: Any) -> Any:
    return from_fixes([{"time": range(N), "latitude": range(N), "longitude": range(N), **given}])


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], tuple[str, ...], tuple[str, ...]]] = {
    "check_sequences": (check_sequences, ("X", "sequence"), ()),
    "to_padded": (to_padded, ("X", "sequence"), ()),
    "to_padded length": (lambda bad: to_padded(X, length=bad), ("length",), ("none", "0-D")),
    "from_channels_first": (from_channels_first, ("X", "sequence"), ("empty",)),
    "from_fixes": (from_fixes, ("X", "trip"), ()),
    "from_fixes time": (lambda bad: fixes(time=bad), ("time",), ("dates", "Python dates")),
    "from_fixes latitude": (lambda bad: fixes(latitude=bad), ("latitude",), ()),
    "from_padded": (from_padded, ("X", "sequence"), ()),
    "from_padded lengths": (lambda bad: from_padded(np.zeros((N, 9, 1)), bad), ("lengths",), ("none",)),
    "check_images": (check_images, ("image",), ()),
    "take": (check_sequences(X).take, ("indices",), ("empty", "too few", "ellipsis")),
    "take of images": (check_images(IMAGES).take, ("indices",), ("empty", "too few", "ellipsis")),
    "step_accuracy": (lambda bad: step_accuracy(bad, STEP_LABELS), ("y_true",), ()),
    "step_f1_score": (lambda bad: step_f1_score(STEP_LABELS, bad), ("y_pred",), ()),
    "step weights": (
        lambda bad: step_accuracy(STEP_LABELS, STEP_LABELS, sample_weight=bad),
        ("ample_weight", "ample weight"),
        ("none", "number"),
    ),
    "character_error_rate": (lambda bad: character_error_rate(bad, WORDS), ("y_true", "true labels"), ()),
    "word_error_rate": (lambda bad: word_error_rate(WORDS, bad), ("y_pred",), ()),
    "gramian_angular_field": (gramian_angular_field, ("series",), ("too few",)),
    "render_trajectory": (render_trajectory, ("points",), ()),
    "make_words": (lambda bad: make_words(bad, WORDS, WORDS), ("trajector",), ()),
    "writers": (lambda bad: make_words(X, WORDS, bad), ("writers",), ("dates", "Python dates", "large", "nan")),
    "decode_meanings": (lambda bad: decode_meanings(bad, 4), ("outputs",), ()),
    "rate_meanings": (lambda bad: rate_meanings(bad, np.zeros((1, 2, 3), int)), ("meanings",), ()),
    "sentence_roles": (sentence_roles, ("sentence",), ("empty",)),
    "sentence_factors": (sentence_factors, ("sentence",), ("empty", "empty item")),
    "sentences": (lambda bad: KeywordMemory().fit(bad, np.zeros((N, 22))), ("sentence",), ()),
    "meanings of sentences": (lambda bad: KeywordMemory().fit([["a"]] * N, bad), ("y",), ()),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_refuse_with_the_name_of_the_argument(name: str) -> None:
    call, names, but = FUNCTIONS[name]
    refuse_all(call, *names, but=but)


def test_written_data_are_refused_with_their_name(tmp_path: Any) -> None:
    path = tmp_path / "s.npz"
    refuse_all(lambda bad: write_sequences(path, bad), "split", but=())
    refuse_all(lambda bad: write_sequences(path, {"a": (bad, None)}), "split")
    refuse_all(lambda bad: write_sequences(path, {"a": (X, bad)}), "split", but=("none", "nan"))


def test_displays_refuse_with_the_name_of_the_argument() -> None:
    network = EchoStateClassifier(6, pooling="last", bidirectional=False, random_state=0).fit(X, LABELS)
    states = inspection.hidden_states(network, X).states
    mapped = RecurrentStateMap(PCA(2)).fit(states)
    points = mapped.transform(states)
    dates = ("dates", "Python dates")

    def display(**given: Any) -> Any:
        return RecurrentStateDisplay.from_estimator(network, X, map=mapped, **given)

    refuse_all(RecurrentStateMap(PCA(2)).fit, "states")
    refuse_all(mapped.transform, "states", "H =")
    refuse_all(lambda bad: mapped.purity(states, bad), "labels")
    refuse_all(lambda bad: inspection.hidden_states(network, bad), "X", "sequence")
    refuse_all(lambda bad: EmbeddingDisplay.from_estimator(_Embedder(), X, bad, reducer=PCA(2)), "y", but=dates)
    refuse_all(lambda bad: display(labels=bad, layer="final"), "labels", but=("none", *dates))
    refuse_all(lambda bad: display(places=bad, layer="places"), "places", but=("none",))
    refuse_all(lambda bad: display(step_names=bad), "step_names", but=("none",))
    for name in ("none in a list", "too few", "text", "number", "dict", "masked item"):
        bad = {**NOTHING, **ITEMS}[name]
        refused(lambda bad: display(names=bad), bad, "names")
    for name in ("step_labels", "coef"):
        refuse_all(partial(_units, network, name), name, but=("none",))
    for name, of in (("factors", _factors), ("levels", _levels)):
        refuse_all(
            partial(of, network), name, but=("none", "none in a list", "missing", "nan", "text and none", *dates)
        )
    refuse_all(lambda bad: StateAnimation.from_readouts(bad, points, [network]), "states")
    refuse_all(lambda bad: StateAnimation.from_readouts(states, bad, [network]), "points")
    refuse_all(lambda bad: StateAnimation.from_readouts(states, points, bad), "readouts", "stage")


def _units(network: Any, name: str, bad: Any) -> Any:
    return UnitActivityDisplay.from_estimator(network, X, **{name: bad})


def _factors(network: Any, bad: Any) -> Any:
    return UnitEncodingDisplay.from_estimator(network, X, factors={"g": {"f": bad}}, n_splits=2)


def _levels(network: Any, bad: Any) -> Any:
    return NestedStatesDisplay.from_estimator(network, X, levels={"a": bad}, reducer=PCA(2))


class _Embedder:
    def transform(self, X: Any) -> np.ndarray:
        return np.eye(N)


# ------------------------------------------------------------------------------------------------ places


def test_a_label_of_another_kind_is_named_with_its_place() -> None:
    model = EchoStateClassifier(5, random_state=0)
    steps = model.set_params(target="step")
    assert "y[1] is None" in refused(lambda y: steps.set_params(target="sequence").fit(X, y), ["a", None] * 3, "y")
    assert "y[1] is 1, a number, but y[0] is a string" in refused(lambda y: steps.fit(X, y), ["a", 1] * 3, "y")
    steps.set_params(target="step")
    labels = [list(own) for own in STEP_LABELS]
    labels[3][2] = None  # type: ignore[call-overload]
    assert "y[3][2] is None" in refused(lambda y: steps.fit(X, y), labels, "y")
    labels[3] = [0] * len(X[3])  # type: ignore[list-item]
    assert "y[3][0] is 0, a number, but y[0][0] is a string" in refused(lambda y: steps.fit(X, y), labels, "y")


def test_a_step_without_label_may_be_of_another_type() -> None:
    labels = [list(own) for own in STEP_LABELS]
    labels[0][0] = labels[2][1] = -1  # type: ignore[call-overload]
    model = EchoStateClassifier(5, target="step", ignore_label=-1, random_state=0).fit(X, labels)
    assert model.classes_.tolist() == ["down", "up"]
    text = [["none" if label == -1 else label for label in own] for own in labels]
    same = EchoStateClassifier(5, target="step", ignore_label="none", random_state=0).fit(X, text)
    np.testing.assert_array_equal(model.coef_, same.coef_)


def test_later_labels_of_another_type_are_refused() -> None:
    numbers = np.array([0, 1] * 3)
    model = EchoStateClassifier(5, random_state=0).partial_fit(X, numbers)
    with pytest.raises(ValueError, match="y has the label '0', which is not among the classes"):
        model.partial_fit(X, numbers.astype(str))
    with pytest.raises(ValueError, match="y has the label '0', but the classes are"):
        model.score(X, numbers.astype(str))
