"""NRNMStepClassifier: labels of steps, causal and streamed, and their scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skseqmetric import NRNMStepClassifier
from skseqmetric.metrics import step_accuracy, step_f1_score

SMALL: dict[str, Any] = {"n_units": 8, "n_filters": 8, "max_epochs": 4, "min_batches": 4, "random_state": 0}
Steps = tuple[list[np.ndarray], list[np.ndarray]]


@pytest.fixture(scope="module")
def labelled_steps() -> Steps:
    """Whether the running sum of the first channel is positive: the whole past matters, the future does not."""
    rng = np.random.default_rng(5)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(12, 30, 24)]
    return X, [np.where(np.cumsum(x[:, 0]) > 0, "up", "down") for x in X]


@pytest.mark.slow
def test_step_classifier_learns_and_returns_true_lengths(labelled_steps: Steps) -> None:
    X, y = labelled_steps
    labeller = NRNMStepClassifier(**{**SMALL, "max_epochs": 40, "n_units": 16}).fit(X, y)
    predicted, probabilities = labeller.predict(X), labeller.predict_proba(X)
    assert [len(labels) for labels in predicted] == [len(x) for x in X]
    assert [p.shape for p in probabilities] == [(len(x), 2) for x in X]
    for labels, p in zip(predicted, probabilities, strict=True):
        np.testing.assert_allclose(p.sum(axis=1), 1)
        assert np.array_equal(labeller.classes_[p.argmax(axis=1)], labels)
    assert labeller.score(X, y) > 0.85
    assert labeller.score(X, y) == np.mean(np.concatenate(predicted) == np.concatenate(y))


@pytest.mark.parametrize("n_filters", [None, 8])
@pytest.mark.parametrize("memory_input", ["pooled", "tokens"])
def test_the_future_changes_nothing(labelled_steps: Steps, n_filters: int | None, memory_input: str) -> None:
    X, y = labelled_steps
    settings = {**SMALL, "n_filters": n_filters, "memory_input": memory_input, "n_layers": 2}
    labeller = NRNMStepClassifier(**settings).fit(X, y)
    whole = labeller.predict_proba(X)
    for cut in (1, 5, 11):
        for p, q in zip(labeller.predict_proba([x[:cut] for x in X]), whole, strict=True):
            np.testing.assert_allclose(p, q[:cut], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("settings", [{}, {"n_layers": 2, "memory_input": "tokens"}, {"attention": False}])
def test_streaming_equals_the_batch(labelled_steps: Steps, cell: str, settings: dict[str, Any]) -> None:
    X, y = labelled_steps
    labeller = NRNMStepClassifier(**SMALL, cell=cell, **settings).fit(X, y)
    for x, labels in zip(X[:4], labeller.predict(X[:4]), strict=True):
        assert list(labeller.predict_stream(x)) == labels.tolist()


def test_streamed_states_equal_those_of_the_batch(labelled_steps: Steps) -> None:
    X, y = labelled_steps
    labeller = NRNMStepClassifier(**SMALL).fit(X, y)
    state, longest = None, max(X, key=len)
    for x in longest:
        _, state = labeller.predict_step(x, state)
    memory = labeller.memory_states([longest]).memory[0]
    written = (len(longest) - 1) // labeller.window_
    np.testing.assert_allclose(state.layers[0].memory[0], memory[written - 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("window", "steps"),
    [
        (1, [[-1, -1, -1], [-1, -1, 0], [-1, -1, 1]]),
        (4, [[-1, 0, 2], [2, 4, 6], [6, 8, 10]]),
        (7, [[1, 3, 5], [8, 10, 12]]),
    ],
)
def test_a_window_that_is_no_block_streams_too(labelled_steps: Steps, window: int, steps: list[list[int]]) -> None:
    X, y = labelled_steps
    options = {**SMALL, "n_filters": None, "max_epochs": 1, "n_slots": 3, "stride": 2}
    labeller = NRNMStepClassifier(**options, window=window).fit(X, y)
    assert labeller.window_ == window
    x = X[0]
    assert list(labeller.predict_stream(x)) == labeller.predict([x])[0].tolist()
    assert labeller.memory_states([x]).steps[0][: len(steps)].tolist() == steps


def test_a_window_of_a_block_is_the_default(labelled_steps: Steps) -> None:
    X, y = labelled_steps
    options = {**SMALL, "max_epochs": 1, "n_slots": 3, "stride": 2}
    first, second, third = (
        NRNMStepClassifier(**options, window=window).fit(X, y).predict_proba(X[:1])[0] for window in (6, "auto", 4)
    )
    assert np.array_equal(first, second)
    assert not np.allclose(first, third, atol=1e-6)


def test_padded_labels_and_steps_without_one(labelled_steps: Steps) -> None:
    X, y = labelled_steps
    longest = max(len(x) for x in X)
    padded = np.full((len(X), longest), "none", dtype="<U4")
    for i, labels in enumerate(y):
        padded[i, : len(labels)] = labels
    of_lists = NRNMStepClassifier(**SMALL).fit(X, y)
    of_array = NRNMStepClassifier(**SMALL, ignore_label="none").fit(X, padded)
    for a, b in zip(of_lists.predict_proba(X), of_array.predict_proba(X), strict=True):
        assert np.array_equal(a, b)
    assert of_array.score(X, padded) == of_lists.score(X, y)
    with pytest.raises(ValueError, match=r"y\[0\] has .* padded with ignore_label, which must be given"):
        NRNMStepClassifier(**SMALL).fit(X, padded)
    half = [np.where(np.arange(len(v)) % 2, v, "none") for v in y]
    partly = NRNMStepClassifier(**SMALL, ignore_label="none").fit(X, half)
    assert list(partly.classes_) == ["down", "up"]
    predicted = partly.predict(X)
    right = np.concatenate([(p == v)[1::2] for p, v in zip(predicted, y, strict=True)])
    assert partly.score(X, half) == pytest.approx(right.mean())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda y: y[:-1], "y has labels of 23 sequences, but X has 24"),
        (lambda y: [y[0][:-1], *y[1:]], r"y\[0\] has \d+ labels, but sequence 0 has \d+ steps"),
        (lambda y: [np.full(len(v), "up") for v in y], "only one class, 'up'"),
        (lambda y: [v[:, None] for v in y], r"y\[0\] has 2 dimensions"),
        (lambda y: [np.linspace(0, 0.9, len(v)) for v in y], "continuous"),
        (lambda y: None, "the target y is None"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labelled_steps: Steps, spoil: Any, message: str) -> None:
    X, y = labelled_steps
    with pytest.raises(ValueError, match=message):
        NRNMStepClassifier(**SMALL).fit(X, spoil(y))


def test_augmentation_that_moves_steps_is_refused(labelled_steps: Steps) -> None:
    with pytest.raises(ValueError, match="augment='warp' moves steps away from their labels"):
        NRNMStepClassifier(**SMALL, augment=("jitter", "warp")).fit(*labelled_steps)


def test_scores_of_steps() -> None:
    true, predicted = [np.array([1, 1, 0]), np.array([0, 1])], [np.array([1, 0, 0]), np.array([0, 0])]
    assert step_accuracy(true, predicted) == pytest.approx(3 / 5)
    assert step_accuracy(true, predicted, sample_weight=[1, 0]) == pytest.approx(2 / 3)
    assert step_accuracy(true, predicted, ignore_label=0) == pytest.approx(1 / 3)
    assert step_f1_score(true, predicted) == pytest.approx((0.5 + 2 / 3) / 2)
    padded = np.array([[1, 1, 0], [0, 1, -1]])
    assert step_accuracy(padded, predicted, ignore_label=-1) == pytest.approx(3 / 5)
    with pytest.raises(ValueError, match=r"y_true\[1\] has 3 labels and y_pred\[1\] has 2"):
        step_accuracy(padded, predicted)
    with pytest.raises(ValueError, match="No step has a label"):
        step_accuracy([np.array([7])], [np.array([1])], ignore_label=7)
