"""Large input is read where it lies: answers, fits and refusals are those of small input, which is copied."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from skseqmetric import (
    EchoStateTransformer,
    RandomConvolutionTransformer,
    SequenceKNeighborsClassifier,
    Sequences,
    SyncGRUMetric,
    check_sequences,
)
from tests.all_answers import FAST, FIRST, Case, asked, cases, differences
from tests.fake_metrics import MeanMetric

EVERY = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=() if name in FIRST.values() and case.images is None else pytest.mark.slow)
        for name, case in cases().items()
    ],
)


@pytest.fixture
def lend(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on input of any size is read where it lies, some values at a time."""

    def begin() -> None:
        monkeypatch.setattr("skseqmetric._input.lent.FEWEST_LENT", 0)
        for module in ("_input.lent", "_input.door", "_tensors.flat"):
            monkeypatch.setattr(f"skseqmetric.{module}.BLOCK", 30)

    return begin


@EVERY
def test_every_estimator_learns_and_answers_as_from_copies(case: Case, lend: Callable[[], None]) -> None:
    expected = dict(asked(case, case.fit()))
    lend()
    assert differences(expected, dict(asked(case, case.fit()))) == []


RNG = np.random.default_rng(3)
RAGGED = [RNG.normal(size=(n, 2)) for n in (3, 12, 9, 17, 5, 8, 6, 11)]
EQUAL = RNG.normal(size=(8, 9, 2))
PADDED = np.where(np.arange(9)[:, None] < np.array([3, 9, 4, 9, 1, 8, 6, 7])[:, None, None], EQUAL, np.nan)
FORMS: dict[str, Any] = {
    "list": RAGGED,
    "list of float32": [x.astype(np.float32) for x in RAGGED],
    "list of integers": [(10 * x).astype(np.int16) for x in RAGGED],
    "list of views": [x[::-1] for x in RAGGED],
    "array": EQUAL,
    "array of float32": EQUAL.astype(np.float32),
    "array of float16": EQUAL.astype(np.float16),
    "array of integers": (10 * EQUAL).astype(np.int32),
    "array of another byte order": EQUAL.astype(">f4"),
    "array in Fortran order": np.asfortranarray(EQUAL),
    "padded array": PADDED,
    "table": EQUAL[:, :, 0],
    "Sequences": check_sequences(RAGGED),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_read_as_if_it_were_copied(name: str, lend: Callable[[], None]) -> None:
    X, y = FORMS[name], np.arange(8) % 2
    models = [
        SyncGRUMetric(4, **FAST, coupling=None),
        RandomConvolutionTransformer(84, random_state=0),
        EchoStateTransformer(20, random_state=0),
        SequenceKNeighborsClassifier(MeanMetric(), n_neighbors=2),
    ]
    expected = [_answers(model.fit(X, y), X) for model in models]
    lend()
    for model, arrays in zip(models, expected, strict=True):
        for found, array in zip(_answers(model.fit(X, y), X), arrays, strict=True):
            np.testing.assert_array_equal(found, array)


def _answers(model: Any, X: Any) -> list[np.ndarray]:
    return list(model.kneighbors(X)) if hasattr(model, "kneighbors") else [model.transform(X)]


def test_a_fitted_search_keeps_nothing_of_the_caller(lend: Callable[[], None]) -> None:
    lend()
    X = [x.copy() for x in RAGGED]
    model = SequenceKNeighborsClassifier(SyncGRUMetric(4, **FAST, coupling="symmetric"), n_neighbors=2)
    model.fit(X, np.arange(8) % 2)
    expected = model.kneighbors(RAGGED)
    for x in X:
        x[:] = 7
    for found in (model, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(found.kneighbors(RAGGED)[0], expected[0])


def test_metrics_of_users_get_arrays(lend: Callable[[], None]) -> None:
    seen: list[Any] = []

    class Seen(MeanMetric):
        def _prepare(self, sequences: Sequences) -> Any:
            seen.append(sequences.values)
            return super()._prepare(sequences)

    lend()
    Seen().fit(RAGGED).pairwise_distances(RAGGED)
    SequenceKNeighborsClassifier(Seen(), n_neighbors=1).fit(RAGGED, np.arange(8) % 2).predict(RAGGED)
    assert {type(values) for values in seen} == {np.ndarray}


@pytest.mark.parametrize(("row", "step", "channel"), [(0, 0, 0), (3, 16, 1), (7, 10, 0)])
def test_the_place_of_a_value_that_is_refused_is_named(
    row: int, step: int, channel: int, lend: Callable[[], None]
) -> None:
    model = SyncGRUMetric(4, **FAST).fit(RAGGED, np.arange(8) % 2)
    lend()
    for wrong, message in ((np.nan, "is NaN"), (np.inf, "is infinite"), (1e300, "after scaling")):
        X = [x.copy() for x in RAGGED]
        X[row][step, channel] = wrong
        with pytest.raises(ValueError, match=f"sequence {row}, step {step}, channel {channel} {message}|{message}"):
            model.transform(X)


def test_a_value_beside_which_others_vanish_is_named(lend: Callable[[], None]) -> None:
    lend()
    X = [x.copy() for x in RAGGED]
    X[3][5, 1] = 1e30
    with pytest.raises(ValueError, match="sequence 3, step 5, channel 1 is 1e"):
        SyncGRUMetric(4, **FAST).fit(X, np.arange(8) % 2)


def test_moments_of_channels_are_those_of_all_steps(lend: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    lend()
    monkeypatch.setattr("skseqmetric._tensors.scaling._MOMENT_VALUES", 14)
    for unit in (1.0, 1e-200, 1e200):
        X = [unit * x for x in RAGGED]
        weights = np.array([0, 1, 2, 1, 0.5, 1, 3, 1])
        found = EchoStateTransformer(4, random_state=0).fit(X)
        steps = np.concatenate(RAGGED)
        np.testing.assert_allclose(found.mean_, unit * steps.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.scale_, unit * steps.std(axis=0), rtol=1e-12)
        weighted = RandomConvolutionTransformer(84, random_state=0).fit(X, sample_weight=weights)
        share = np.repeat(weights, [len(x) for x in X])
        np.testing.assert_allclose(weighted.mean_, unit * np.average(steps, axis=0, weights=share), rtol=1e-12)
