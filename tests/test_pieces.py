"""Data from an iterator of pieces: one pass, the model of all pieces together, and refusals that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from skseqmetric import EchoStateClassifier, EchoStateRegressor, RandomConvolutionMetric
from tests.all_answers import RNG

X = [RNG.normal(size=(n, 2)) + k % 3 for k, n in enumerate(RNG.integers(6, 14, size=30))]
LABELS = np.arange(30) % 3
NUMBERS = np.array([x.mean() for x in X])
BANK: dict[str, Any] = {"n_features": 84, "views": ["channels"], "random_state": 0}
ECHO: dict[str, Any] = {"n_units": 20, "random_state": 0}
MODELS = [
    (RandomConvolutionMetric(**BANK), LABELS),  # 84 features: the rows of 42 sequences are kept
    (RandomConvolutionMetric(**BANK, target="numbers"), NUMBERS),
    (EchoStateClassifier(**ECHO), LABELS),
    (EchoStateRegressor(**ECHO), NUMBERS),
]
EVERY = pytest.mark.parametrize(("made", "y"), MODELS, ids=lambda value: type(value).__name__)


def pieces(y: np.ndarray, *, times: int = 1, weights: np.ndarray | None = None) -> Iterator[tuple[Any, ...]]:
    for _ in range(times):
        for part in (slice(0, 9), slice(9, 10), slice(10, 30)):
            yield (X[part], y[part]) if weights is None else (X[part], y[part], weights[part])


def answers(model: Any) -> np.ndarray:
    return np.asarray(model.transform(X) if hasattr(model, "transform") else model.predict(X))


def learned(model: Any) -> list[np.ndarray]:
    names = ("components_", "feature_mean_", "coef_", "intercept_", "mean_", "scale_", "classes_")
    return [np.asarray(vars(model)[name]) for name in names if name in vars(model)]


@EVERY
@pytest.mark.parametrize("times", [1, 3])
def test_an_iterator_gives_what_its_pieces_give_one_by_one(made: Any, y: np.ndarray, times: int) -> None:
    one_by_one = type(made)(**made.get_params())
    for piece in pieces(y, times=times):
        one_by_one.partial_fit(*piece)
    at_once = type(made)(**made.get_params()).partial_fit(pieces(y, times=times))
    for ours, expected in zip(learned(at_once), learned(one_by_one), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)
    # and both go on alike
    again = at_once.partial_fit(pieces(y)), one_by_one.partial_fit(X, y)
    np.testing.assert_allclose(*map(answers, again), rtol=1e-3, atol=1e-3)


@EVERY
def test_pieces_bring_their_weights(made: Any, y: np.ndarray) -> None:
    weights = np.arange(30) % 4.0
    found = type(made)(**made.get_params()).partial_fit(pieces(y, weights=weights))
    expected = type(made)(**made.get_params())
    for part in (slice(0, 9), slice(9, 10), slice(10, 30)):
        expected.partial_fit(X[part], y[part], sample_weight=weights[part])
    np.testing.assert_allclose(answers(found), answers(expected), rtol=1e-3, atol=1e-3)


def test_a_class_that_comes_later_is_learned() -> None:
    given = iter([(X[:2], LABELS[:2]), (X[2:], LABELS[2:])])
    model = RandomConvolutionMetric(**BANK).partial_fit(given)
    assert model.classes_.tolist() == [0, 1, 2]
    expected = RandomConvolutionMetric(**BANK).partial_fit(X[:2], LABELS[:2]).partial_fit(X[2:], LABELS[2:])
    np.testing.assert_array_equal(model.components_, expected.components_)


@EVERY
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda y: iter([(X[:9], y[:9]), X[9:]]), "piece 1 is of type list"),
        (lambda y: iter([(X[:9], y[:9]), (X[9:], y[:2])]), "2"),
        (lambda y: iter([]), "yields nothing"),
    ],
)
def test_a_wrong_piece_leaves_the_model_as_it_was(made: Any, y: np.ndarray, wrong: Any, message: str) -> None:
    model = type(made)(**made.get_params()).partial_fit(X, y)
    before = answers(model)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(wrong(y))
    np.testing.assert_array_equal(answers(model), before)
    with pytest.raises(ValueError, match="bring their own y"):
        model.partial_fit(pieces(y), y)


@EVERY
def test_one_piece_is_in_memory_at_a_time(made: Any, y: np.ndarray) -> None:
    """A piece may be overwritten when the next one is asked for."""
    buffer = np.empty((10, 6, 2))

    def reused() -> Iterator[tuple[Any, ...]]:
        for start in range(0, 30, 10):
            buffer[:] = [x[:6] for x in X[start : start + 10]]
            yield buffer, y[start : start + 10]

    found = type(made)(**made.get_params()).partial_fit(reused())
    copied = ([x[:6] for x in X[start : start + 10]] for start in range(0, 30, 10))
    expected = type(made)(**made.get_params()).partial_fit(
        (part, y[10 * k : 10 * k + 10]) for k, part in enumerate(copied)
    )
    np.testing.assert_array_equal(answers(found), answers(expected))
