"""Sequences of tokens: what is taken for one, the vocabulary, the unknown token, and the estimators that read them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skseqmetric import (
    DTWMetric,
    EchoStateClassifier,
    MetricEnsemble,
    NRNMClassifier,
    NRNMMetric,
    NRNMRegressor,
    NRNMStepClassifier,
    RandomConvolutionMetric,
    RecurrentClassifier,
    RecurrentRegressor,
    SequenceKNeighborsClassifier,
    SyncGRUMetric,
    check_sequences,
)

FAST: dict[str, Any] = {"max_epochs": 1, "min_batches": 1, "random_state": 0, "tokens": True, "n_token_features": 4}
MEMORY: dict[str, Any] = {**FAST, "n_units": 4, "n_filters": 4}
X = [
    ["how", "many", "cats"],
    ["who"],
    ["how", "long"],
    ["who", "is", "it"],
    ["how", "are", "you", "now"],
    ["who", "am"],
]
LABELS = np.array([0, 1, 0, 1, 0, 1])
STEPS = [[int(word in ("who", "how")) for word in x] for x in X]

SEQUENCE = [
    NRNMClassifier(**MEMORY),
    NRNMRegressor(**MEMORY),
    RecurrentClassifier(4, **FAST),
    RecurrentRegressor(4, **FAST),
]
READERS: list[Any] = [
    *SEQUENCE,
    NRNMClassifier(**{**MEMORY, "n_filters": None}, n_slots=2, stride=1, window=1, cell="gru"),
    RecurrentClassifier(4, bidirectional=True, pooling="both", dropout=0.2, **FAST),
    NRNMMetric(**MEMORY),
    NRNMMetric(**MEMORY, coupling="alignment", n_places=3),
]
STEP_READERS: list[Any] = [
    NRNMStepClassifier(**MEMORY),
    NRNMRegressor(**MEMORY, target="step"),
    RecurrentClassifier(4, target="step", **FAST),
    RecurrentRegressor(4, target="step", cell="gru", **FAST),
]


def names(estimators: list[Any]) -> list[str]:
    return [f"{type(e).__name__}-{i}" for i, e in enumerate(estimators)]


def answer(fitted: Any, data: Any) -> np.ndarray:
    said = fitted.transform(data) if not hasattr(fitted, "predict_prefixes") else fitted._outputs(data)
    return np.concatenate(said) if isinstance(said, list) else said


# ------------------------------------------------------------------------------------------------ estimators


@pytest.mark.parametrize("reader", READERS, ids=names(READERS))
def test_a_reader_of_tokens_is_an_estimator(reader: Any) -> None:
    fitted = clone(reader).fit(X, LABELS)
    assert fitted.vocabulary_ == {word: i for i, word in enumerate(sorted({w for x in X for w in x}), 1)}
    said = fitted.transform(X)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), said)
    assert np.array_equal(clone(fitted).fit(X[::-1], LABELS[::-1]).transform(X), said)
    # padding is not read, whatever stands beside a sequence in its batch
    np.testing.assert_allclose(np.concatenate([fitted.transform([x]) for x in X]), said, rtol=1e-5, atol=1e-6)
    again = type(fitted.module_)(**fitted.network_config_)
    again.load_state_dict(fitted.module_.state_dict())
    values, lengths = torch.tensor([[[1.0], [3.0]]], dtype=torch.float32), torch.tensor([2])
    assert torch.equal(again.eval().features(values, lengths), fitted.module_.features(values, lengths))
    assert fitted.partial_fit([["zebra", "who"], ["how"]], [0, 1]).n_iter_ == 2
    assert "zebra" not in fitted.vocabulary_
    assert clone(fitted).set_params(warm_start=True).fit(X, LABELS).fit(X, LABELS).n_iter_ == 2


@pytest.mark.parametrize("reader", STEP_READERS, ids=names(STEP_READERS))
def test_labels_of_tokens_are_those_of_a_stream(reader: Any) -> None:
    fitted = clone(reader).fit(X, STEPS)
    whole = fitted.predict(X)
    assert [len(labels) for labels in whole] == [len(x) for x in X]
    np.testing.assert_allclose(
        list(fitted.predict_stream([*X[0], "zebra"])), fitted.predict([[*X[0], "zebra"]])[0], rtol=1e-5
    )
    np.testing.assert_allclose(fitted.predict_step(X[0][0])[0], whole[0][0], rtol=1e-5)
    with pytest.raises(ValueError, match="is 3, but other tokens are of type str"):
        fitted.predict_step(3)


def test_a_word_that_decides_is_learned() -> None:
    rng = np.random.default_rng(0)
    words = [[f"w{k}" for k in rng.integers(0, 20, size=rng.integers(3, 8))] for _ in range(80)]
    y = np.array(["yes" if "w0" in x or "w1" in x or "w2" in x else "no" for x in words])
    model = RecurrentClassifier(8, tokens=True, n_token_features=8, max_epochs=25, random_state=0).fit(
        words[:60], y[:60]
    )
    assert model.score(words[60:], y[60:]) >= 0.9
    steps = [np.isin(x, ["w0", "w1", "w2"]) for x in words]
    labeller = RecurrentClassifier(8, tokens=True, target="step", max_epochs=10, random_state=0).fit(
        words[:60], steps[:60]
    )
    assert labeller.score(words[60:], steps[60:]) > 0.98


def test_unseen_tokens_are_one_token_which_rare_ones_train() -> None:
    trained = RecurrentClassifier(4, **FAST, token_dropout=5.0).fit(X, LABELS)
    untrained = RecurrentClassifier(4, **FAST, token_dropout=0.0).fit(X, LABELS)
    first, second = trained.predict_proba([["how", "zebra"], ["how", "gnu"]])
    assert np.array_equal(first, second)
    for fitted, moved in ((trained, True), (untrained, False)):
        start = type(fitted.module_)(
            **fitted.network_config_, generator=torch.Generator("cpu").manual_seed(fitted._seed)
        )
        unknown = [network.vectors.table.weight[0].detach() for network in (start, fitted.module_)]
        # weight decay alone moves a vector by a factor
        ratio = (unknown[1] / unknown[0]).numpy()
        assert (np.ptp(ratio) > 1e-4) == moved


def test_frequent_tokens_are_dropped_less() -> None:
    data = [["often"] * 99, ["rare"]]
    rates = RecurrentClassifier(4, **FAST, token_dropout=1.0).fit(data, [0, 1]).module_.vectors.rates
    np.testing.assert_allclose(rates, [0, 1 / 100, 1 / 2])


def test_a_step_may_have_several_tokens_and_tokens_may_be_integers() -> None:
    tagged = [[(word, len(word)) for word in x] for x in X]
    fitted = RecurrentClassifier(4, **FAST).fit(tagged, LABELS)
    words, sizes = fitted.vocabulary_
    assert set(words) == {w for x in X for w in x}
    assert sorted(sizes) == [2, 3, 4]
    arrays = [np.array(x, dtype=object) for x in tagged]
    frames = [pd.DataFrame(x, columns=["word", "size"]) for x in tagged]
    said = fitted.predict_proba(tagged)
    assert np.array_equal(fitted.predict_proba(arrays), said)
    named = RecurrentClassifier(4, **FAST).fit(frames, LABELS)
    assert np.array_equal(named.predict_proba(frames), said)
    assert named.channel_names_in_.tolist() == ["word", "size"]
    with pytest.raises(ValueError, match=r"2 channel"):
        fitted.predict(X)
    codes = [np.arange(n) for n in (3, 1, 2, 3, 4, 2)]
    numbers = RecurrentClassifier(4, **FAST).fit(codes, LABELS)
    assert list(numbers.vocabulary_) == [0, 1, 2, 3]
    assert np.array_equal(numbers.predict_proba([c.tolist() for c in codes]), numbers.predict_proba(codes))
    table = np.array([[0, 1], [2, 3]])
    assert np.array_equal(numbers.predict_proba(table), numbers.predict_proba(list(table)))


def test_a_search_and_neighbours_take_tokens() -> None:
    search = GridSearchCV(RecurrentClassifier(4, **FAST), {"n_token_features": [2, 4]}, cv=2).fit(X, LABELS)
    assert search.predict([["zebra"]]).shape == (1,)
    metric = NRNMMetric(**MEMORY)
    neighbours = SequenceKNeighborsClassifier(metric, n_neighbors=1).fit(X, LABELS)
    assert neighbours.score(X, LABELS) == 1
    assert neighbours.kneighbors(X[:2], return_distance=False)[:, 0].tolist() == [0, 1]
    learned = neighbours.metric_
    assert learned.get_metric()(X[0], X[2]) == pytest.approx(learned.pairwise_distances(X[:1], X[2:3])[0, 0], rel=1e-5)
    paired = metric.fit_pairs(X, [[0, 2], [0, 1]], [1, -1])
    assert paired.calibrate_threshold(X, [[0, 2], [0, 1]], [1, -1]).predict_pairs(X, [[0, 0]]).tolist() == [1]


def test_a_later_fit_may_read_numbers() -> None:
    series = [np.ones((3, 1)), np.zeros((2, 1))]
    model = RecurrentClassifier(4, **FAST).fit(X, LABELS)
    model.set_params(tokens=False)
    assert len(model.predict(X)) == len(X)  # the network decides until the next fit
    model.fit(series, [0, 1])
    assert not hasattr(model, "vocabulary_")
    before = model.predict_proba(series)
    with pytest.raises(ValueError, match="class"):
        model.set_params(tokens=True).fit(X[:1], [0])
    assert np.array_equal(model.predict_proba(series), before)


# ------------------------------------------------------------------------------------------------ what is refused

REFUSED: dict[str, tuple[Any, str]] = {
    "text": ("how many", "X is of type str"),
    "texts": (["how many", "who"], r"sequence 0 is 'how many'.*text.split\(\)"),
    "one sequence of integers": ([3, 4], "sequence 0 is 3"),
    "mixed": ([["a"], ["b", 1]], "sequence 1, step 1 is 1, but other tokens are of type str"),
    "missing": ([["a"], ["b", None]], "sequence 1, step 1 is None, a missing token"),
    "float": ([["a"], [1.5, "b"]], "sequence 1, step 0 is 1.5, of type float.*tokens=False"),
    "floats": ([np.zeros((2, 2)), np.ones((1, 2))], "sequence 0, step 0 is 0.0"),
    "truth": ([[True], [False]], "of type bool"),
    "bytes": ([[b"x"], [b"y"]], "decode"),
    "empty": ([["a"], []], "sequence 1 has zero steps"),
    "nothing": ([], "X is empty"),
    "other width": ([["a"], [["b", "c"]]], r"sequence 1 has 2 tokens a step, but sequence 0 has 1"),
    "ragged width": ([["a"], [["b", "c"], ["d"]]], r"sequence 1, step 1 has 1 token\(s\), but step 0 has 2"),
    "half nested": ([["a"], ["b", ["d"]]], "sequence 1, step 1 and step 0 differ"),
    "too deep": ([["a"], np.zeros((2, 2, 2), dtype=int)], "sequence 1 has 3 dimensions"),
    "numbers checked before": (check_sequences([np.ones((2, 1))] * 2), "tokens=True: pass lists of tokens"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_token_is_named(name: str) -> None:
    data, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        RecurrentClassifier(4, **FAST).fit(data, [0, 1])


@pytest.mark.parametrize(
    "options", [{"instance_channels": True}, {"augment": "jitter"}, {"augment": ("warp", "crop")}], ids=str
)
@pytest.mark.parametrize("reader", [*SEQUENCE, NRNMMetric(**MEMORY)], ids=names([*SEQUENCE, NRNMMetric(**MEMORY)]))
def test_options_for_numbers_are_refused(reader: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))}.*token"):
        clone(reader).set_params(**options).fit(X, LABELS)


def test_an_augmentation_of_ones_own_gets_codes() -> None:
    seen: list[torch.Tensor] = []

    def look(values: torch.Tensor, lengths: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append(values)
        return values

    RecurrentClassifier(4, **FAST, augment=look).fit(X, LABELS)
    assert all(torch.equal(codes, codes.round()) for codes in seen)


NUMERIC: list[Any] = [
    RecurrentClassifier(4),
    NRNMMetric(4),
    SyncGRUMetric(4),
    DTWMetric(),
    RandomConvolutionMetric(),
    EchoStateClassifier(4),
    MetricEnsemble(),
    SequenceKNeighborsClassifier(DTWMetric()),
]


@pytest.mark.parametrize(
    "data", [X, [x[:1] for x in X], [np.array([[w] for w in x]) for x in X]], ids=["ragged", "equal", "columns"]
)
@pytest.mark.parametrize("estimator", NUMERIC, ids=names(NUMERIC))
def test_text_without_the_parameter_names_the_parameter(estimator: Any, data: Any) -> None:
    with pytest.raises(ValueError, match=r"tokens=True \(NRNM\*, Recurrent\*\)"):
        clone(estimator).fit(data, LABELS)
