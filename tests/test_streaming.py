"""Answers one incoming step at a time: those of `predict`, from a state that is neither changed nor grows."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from skseqmetric import (
    EchoStateClassifier,
    EchoStateRegressor,
    NRNMClassifier,
    NRNMRegressor,
    RecurrentClassifier,
    RecurrentRegressor,
)

MEMORY: dict[str, Any] = {"n_units": 4, "n_heads": 2, "max_epochs": 2, "min_batches": 2, "random_state": 0}
RECURRENT: dict[str, Any] = {"n_units": 4, "n_layers": 2, "max_epochs": 2, "min_batches": 2, "random_state": 0}
RESERVOIRS: dict[str, Any] = {"n_units": 12, "n_reservoirs": 2, "leak": (0.2, 0.9), "random_state": 0}
FORWARDS = {**RESERVOIRS, "bidirectional": False}
SETTINGS: list[tuple[Any, Any, dict[str, Any]]] = [
    (NRNMClassifier, NRNMRegressor, {**MEMORY, "n_filters": 4, "stride": 2, "n_slots": 2}),
    (NRNMClassifier, NRNMRegressor, {**MEMORY, "n_filters": None, "cell": "gru", "n_layers": 2}),
    (RecurrentClassifier, RecurrentRegressor, {**RECURRENT, "cell": "lstm"}),
    (RecurrentClassifier, RecurrentRegressor, {**RECURRENT, "cell": "gru"}),
    (RecurrentClassifier, RecurrentRegressor, {**RECURRENT, "cell": "rnn"}),
    (EchoStateClassifier, EchoStateRegressor, FORWARDS),
]
NAMES = ["nrnm with stem", "nrnm", "lstm", "gru", "rnn", "echo state"]
FAMILIES = pytest.mark.parametrize("family", SETTINGS, ids=NAMES)
EVERY = pytest.mark.parametrize(
    ("estimator", "settings"),
    [(family[k], family[2]) for family in SETTINGS for k in (0, 1)],
    ids=[f"{name} {kind}" for name in NAMES for kind in ("classifier", "regressor")],
)
X = [np.random.default_rng(n).normal(size=(n, 2)) * 3 + 1 for n in (1, 9, 14, 5, 11, 7)]
LABELS = [np.array(["down", "flat", "up"])[np.digitize(np.cumsum(x[:, 0] - 1), [-2, 2])] for x in X]
NUMBERS = [x.cumsum(axis=0) for x in X]


def fitted(estimator: Any, settings: dict[str, Any]) -> Any:
    return estimator(**settings, target="step").fit(X, LABELS if hasattr(estimator, "predict_proba") else NUMBERS)


def streamed(model: Any, x: np.ndarray) -> np.ndarray:
    state, answers = None, []
    for row in x:
        answer, state = model.predict_step(row, state)
        answers.append(answer)
    return np.array(answers)


def tensors(state: Any) -> list[torch.Tensor]:
    """All tensors of a state, which is made of tuples, lists, dataclasses and numbers."""
    if isinstance(state, torch.Tensor):
        return [state]
    if dataclasses.is_dataclass(state):
        state = tuple(vars(state).values())
    return [tensor for part in state for tensor in tensors(part)] if isinstance(state, tuple | list) else []


@FAMILIES
def test_streamed_labels_are_those_of_predict(family: tuple[Any, Any, dict[str, Any]]) -> None:
    model = fitted(family[0], family[2])
    for x, labels in zip(X, model.predict(X), strict=True):
        assert streamed(model, x).tolist() == labels.tolist()
        assert list(model.predict_stream(iter(x))) == labels.tolist()


@FAMILIES
def test_streamed_numbers_are_those_of_predict(family: tuple[Any, Any, dict[str, Any]]) -> None:
    model = fitted(family[1], family[2])
    scale = np.concatenate(NUMBERS).std()
    for x, numbers in zip(X, model.predict(X), strict=True):
        np.testing.assert_allclose(streamed(model, x), numbers, rtol=0, atol=1e-5 * scale)
        np.testing.assert_allclose(list(model.predict_stream(x.tolist())), numbers, rtol=0, atol=1e-5 * scale)
    single = family[1](**family[2], target="step").fit(X, [y[:, 0] for y in NUMBERS])
    assert np.shape(single.predict_step(X[0][0])[0]) == ()
    np.testing.assert_allclose(streamed(single, X[1]), single.predict(X[1:2])[0], rtol=0, atol=1e-5 * scale)


@EVERY
def test_prefixes_are_the_outputs_behind_the_answers(estimator: Any, settings: dict[str, Any]) -> None:
    model = fitted(estimator, settings)
    of_whole = model.predict_prefixes(X)
    for rows, answers in zip(of_whole, model.predict(X), strict=True):
        if estimator in (NRNMRegressor, RecurrentRegressor, EchoStateRegressor):
            np.testing.assert_allclose(rows, answers, rtol=1e-6)
        else:
            assert model.classes_[rows.argmax(axis=1)].tolist() == answers.tolist()
    for n in (1, 4):
        for rows, cut in zip(of_whole, model.predict_prefixes([x[:n] for x in X]), strict=True):
            np.testing.assert_allclose(cut, rows[:n], rtol=1e-4, atol=1e-5)


@EVERY
def test_a_call_leaves_the_state_that_it_was_given(estimator: Any, settings: dict[str, Any]) -> None:
    model, state = fitted(estimator, settings), None
    for row in X[2]:
        before = copy.deepcopy(state)
        first, after = model.predict_step(row, state)
        second, again = model.predict_step(row, state)
        assert np.array_equal(first, second)
        assert all(map(torch.equal, tensors(after), tensors(again)))
        assert all(map(torch.equal, tensors(state), tensors(before)))
        assert tensors(after)
        state = after


@EVERY
def test_a_state_does_not_grow(estimator: Any, settings: dict[str, Any]) -> None:
    model, state, sizes = fitted(estimator, settings), None, []
    for row in np.random.default_rng(0).normal(size=(96, 2)):
        _, state = model.predict_step(row, state)
        sizes.append(sum(tensor.untyped_storage().nbytes() for tensor in tensors(state)))
    assert max(sizes[48:]) <= max(sizes[:48])


@EVERY
@pytest.mark.parametrize(
    ("step", "message"),
    [
        ([0.0, 1.0, 2.0], r"x has shape \(3,\), but a step of this estimator has shape \(2,\)"),
        ([[0.0, 1.0]], r"x has shape \(1, 2\)"),
        (0.0, r"x has shape \(\)"),
        ([0.0, np.nan], "x is not finite in channel 1"),
        ([np.inf, 0.0], "x is not finite in channel 0"),
    ],
)
def test_what_is_no_step_is_refused(estimator: Any, settings: dict[str, Any], step: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(estimator, settings).predict_step(step)


def refuse_to_stream(model: Any, remedy: str) -> None:
    with pytest.raises(ValueError, match=f"predict_step answers at every step .* fit with {remedy}"):
        model.predict_step(X[0][0])
    with pytest.raises(ValueError, match=f"fit with {remedy}"):
        list(model.predict_stream(X[0]))


@EVERY
def test_whole_sequences_cannot_be_streamed(estimator: Any, settings: dict[str, Any]) -> None:
    model = estimator(**settings).fit(X, np.arange(len(X)) % 2)
    refuse_to_stream(model, "target='step'")
    refuse_to_stream(model.set_params(target="step"), "target='step'")
    if estimator in (NRNMClassifier, NRNMRegressor):
        with pytest.raises(ValueError, match="predict_prefixes answers at every step"):
            model.predict_prefixes(X)


@pytest.mark.parametrize(
    ("estimator", "settings"),
    [
        (RecurrentClassifier, RECURRENT),
        (RecurrentRegressor, RECURRENT),
        (EchoStateClassifier, RESERVOIRS),
        (EchoStateRegressor, RESERVOIRS),
    ],
)
def test_what_reads_backwards_cannot_be_streamed_whatever_is_set_later(
    estimator: Any, settings: dict[str, Any]
) -> None:
    model = fitted(estimator, {**settings, "bidirectional": True})
    refuse_to_stream(model, "target='step' and bidirectional=False")
    refuse_to_stream(model.set_params(bidirectional=False), "target='step' and bidirectional=False")
    forwards = fitted(estimator, {**settings, "bidirectional": False})
    answer = forwards.predict_step(X[0][0])[0]
    assert np.array_equal(forwards.set_params(bidirectional=True).predict_step(X[0][0])[0], answer)
