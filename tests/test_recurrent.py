"""RecurrentClassifier and RecurrentRegressor: what they learn, say and refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score

from skseqmetric import RecurrentClassifier, RecurrentRegressor

SMALL: dict[str, Any] = {"max_epochs": 3, "min_batches": 3, "random_state": 0}
LEARNING: dict[str, Any] = {"max_epochs": 60, "learning_rate": 0.03, "random_state": 0}
BOTH = [RecurrentClassifier, RecurrentRegressor]
Data = tuple[list[np.ndarray], Any]


def recall(n: int, seed: int) -> Data:
    """One-hot symbols; the first one is to be remembered."""
    rng = np.random.default_rng(seed)
    symbols = [rng.integers(0, 3, size=t) for t in rng.integers(4, 12, size=n)]
    return [np.eye(3)[s] for s in symbols], np.array(["a", "b", "c"])[[s[0] for s in symbols]]


def walks(n: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(t, 2)) for t in rng.integers(4, 16, size=n)]


def means(X: list[np.ndarray]) -> np.ndarray:
    """Mean of each channel, (n, 2), far from 0 and of unlike sizes."""
    return np.array([[1e4, -3.0] + x.mean(0) * [100.0, 0.01] for x in X])


def running_means(X: list[np.ndarray]) -> list[np.ndarray]:
    return [x[:, 0].cumsum() / np.arange(1, len(x) + 1) for x in X]


def targets(estimator: Any, target: str, X: list[np.ndarray]) -> Any:
    """Something to be learned for any of the four combinations."""
    if estimator is RecurrentRegressor:
        return running_means(X) if target == "step" else means(X)
    return [np.cumsum(x[:, 0]) > 0 for x in X] if target == "step" else np.array([x[:, 0].sum() > 0 for x in X])


def outputs(fitted: Any, X: Any) -> list[np.ndarray]:
    """All that a fitted estimator says, sequence by sequence."""
    return list(fitted.predict(X) if hasattr(fitted, "y_mean_") else fitted.predict_proba(X))


def same_bits(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


FOUR = pytest.mark.parametrize(("estimator", "target"), [(e, t) for e in BOTH for t in ("sequence", "step")])

# ----------------------------------------------------------------------------------------------------------- learning


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_remembers_the_first_symbol(cell: str) -> None:
    X, y = recall(120, 0)
    fitted = RecurrentClassifier(12, cell=cell, **LEARNING).fit(X, y)
    X_new, y_new = recall(60, 1)
    assert fitted.score(X_new, y_new) == (fitted.predict(X_new) == y_new).mean() > 0.9
    assert list(fitted.classes_) == ["a", "b", "c"]
    probabilities = fitted.predict_proba(X_new)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(fitted.classes_[probabilities.argmax(axis=1)], fitted.predict(X_new))
    assert fitted.decision_function(X_new).shape == (60, 3)
    # it knows as soon as it has seen the symbol
    first = np.array([fitted.classes_[steps[0].argmax()] for steps in fitted.predict_prefixes(X_new)])
    assert (first == y_new).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"cell": "lstm"}, {"cell": "gru", "pooling": "mean", "bidirectional": True}])
def test_regresses_means_in_the_units_of_y(settings: dict[str, Any]) -> None:
    X, X_new = walks(200, 0), walks(60, 1)
    fitted = RecurrentRegressor(12, **LEARNING, **settings).fit(X, means(X))
    predicted = fitted.predict(X_new)
    assert predicted.shape == (60, 2)
    assert predicted.dtype == np.float64
    assert fitted.score(X_new, means(X_new)) == r2_score(means(X_new), predicted)
    assert fitted.score(X_new, means(X_new)) > 0.9


@pytest.mark.slow
def test_regresses_running_means() -> None:
    X, X_new = walks(200, 0), walks(60, 1)
    fitted = RecurrentRegressor(12, target="step", **LEARNING).fit(X, running_means(X))
    predicted, expected = fitted.predict(X_new), running_means(X_new)
    assert [p.shape for p in predicted] == [e.shape for e in expected]
    flat = np.concatenate(expected), np.concatenate(predicted)
    assert fitted.score(X_new, expected) == pytest.approx(r2_score(*flat))
    assert fitted.score(X_new, expected) > 0.9
    weights = np.arange(60.0)
    of_steps = np.repeat(weights, [len(x) for x in X_new])
    assert fitted.score(X_new, expected, weights) == pytest.approx(r2_score(*flat, sample_weight=of_steps))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_labels_steps(bidirectional: bool) -> None:
    X = walks(120, 0)
    y = [np.where(np.cumsum(x[:, 0]) > 0, "up", "down") for x in X]
    fitted = RecurrentClassifier(12, target="step", bidirectional=bidirectional, **LEARNING).fit(X, y)
    predicted, probabilities, scores = fitted.predict(X), fitted.predict_proba(X), fitted.decision_function(X)
    assert fitted.score(X, y) == np.mean(np.concatenate(predicted) == np.concatenate(y)) > 0.9
    for labels, p, z in zip(predicted, probabilities, scores, strict=True):
        np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-z)))
        assert np.array_equal(labels == "up", z > 0)
    whole = fitted.predict_proba([x[:3] for x in X])
    seen = max(abs(p[:3] - q).max() for p, q in zip(probabilities, whole, strict=True))
    assert seen > 0.01 if bidirectional else seen < 1e-5  # whether the future matters


def test_steps_without_a_label_are_not_learned_from() -> None:
    X = walks(20, 0)
    y = [np.where(x[:, 0] > 0, 1, 0) for x in X]
    longest = max(map(len, X))
    padded = np.array([np.pad(v, (0, longest - len(v)), constant_values=-9) for v in y])
    of_lists = RecurrentClassifier(4, target="step", **SMALL).fit(X, y)
    of_array = RecurrentClassifier(4, target="step", ignore_label=-9, **SMALL).fit(X, padded)
    assert same_bits(outputs(of_lists, X), outputs(of_array, X))
    assert of_array.score(X, padded) == of_lists.score(X, y)


def test_balanced_weights_help_the_rare_class() -> None:
    rng = np.random.default_rng(0)
    y = np.r_[np.zeros(57, int), np.ones(3, int)]
    X = [rng.normal(size=(10, 1)) + 0.4 * label for label in y]
    settings = {**LEARNING, "max_epochs": 10}
    plain, balanced = (RecurrentClassifier(4, class_weight=w, **settings).fit(X, y) for w in (None, "balanced"))
    assert balanced.predict(X).mean() > plain.predict(X).mean()


def test_affine_changes_of_targets_change_predictions_likewise() -> None:
    X = walks(30, 0)
    y = means(X)[:, 1]
    # one batch of all sequences, whose order follows from everything, the targets included
    model = RecurrentRegressor(6, batch_size=30, **SMALL)
    plain, changed = (clone(model).fit(X, z).predict(X) for z in (y, 1e6 + 400 * y))
    # rounding of standardised targets to float32 is all that differs, grown by a few updates
    np.testing.assert_allclose((changed - 1e6) / 400, plain, rtol=0, atol=1e-4 * y.std())


def test_constant_targets_are_predicted() -> None:
    X = walks(20, 0)
    y = np.column_stack([np.full(20, 7.25e8), np.arange(20)])
    fitted = RecurrentRegressor(4, **{**LEARNING, "max_epochs": 20}).fit(X, y)
    assert fitted.y_scale_[0] == 1
    np.testing.assert_allclose(fitted.predict(X)[:, 0], 7.25e8, rtol=0, atol=0.5)


# --------------------------------------------------------------------------------------------------- laws of a fit


@FOUR
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_seed_order_and_repetition(estimator: Any, target: str, cell: str) -> None:
    X = walks(20, 0)
    y = targets(estimator, target, X)
    model = estimator(4, cell=cell, target=target, bidirectional=cell == "gru", dropout=0.2, **SMALL)
    first = outputs(model.fit(X, y), X)
    assert same_bits(first, outputs(clone(model).fit(X, y), X))
    turned = np.random.default_rng(3).permutation(20)
    assert same_bits(first, outputs(clone(model).fit([X[i] for i in turned], [y[i] for i in turned]), X))
    assert not same_bits(first, outputs(clone(model).set_params(random_state=1).fit(X, y), X))
    rows = [0, 0, 0, *range(1, 19)]
    weighted = clone(model).fit(X, y, sample_weight=np.r_[3.0, np.ones(18), 0.0])
    repeated = clone(model).fit([X[i] for i in rows], [y[i] for i in rows])
    assert same_bits(outputs(weighted, X), outputs(repeated, X))
    assert not same_bits(outputs(weighted, X), first)


def test_an_array_of_step_targets_is_a_list_of_its_rows() -> None:
    X = np.random.default_rng(0).normal(size=(10, 7, 2))
    y = X.cumsum(axis=1)
    model = RecurrentRegressor(3, target="step", **SMALL)
    assert same_bits(outputs(model.fit(X, y), X), outputs(clone(model).fit(list(X), list(y)), X))
    assert outputs(clone(model).fit(X, y[..., 0]), X)[0].shape == (7,)


# -------------------------------------------------------------------------------------------------------- head, states


@FOUR
@pytest.mark.parametrize("bidirectional", [False, True])
def test_head_in_the_units_of_the_caller(estimator: Any, target: str, bidirectional: bool) -> None:
    X = walks(20, 0)
    model = estimator(4, target=target, bidirectional=bidirectional, **SMALL).fit(X, targets(estimator, target, X))
    states, steps = model.hidden_states(X), model.predict_prefixes(X)
    width = 4 * (1 + bidirectional)
    assert [h.shape for h in states] == [(len(x), width) for x in X]
    assert {a.dtype for a in (*states, *steps, model.transform(X))} == {np.dtype(np.float32)}
    assert model.coef_.shape == (len(model.intercept_), width)
    # in units of the network's own answers, and float32 where they stand far from 0
    scale, close = getattr(model, "y_scale_", 1.0), {"rtol": 2e-7, "atol": 2e-6}
    if target == "step" or not bidirectional:
        for h, said in zip(states, steps, strict=True):
            np.testing.assert_allclose(said / scale, (h @ model.coef_.T + model.intercept_) / scale, **close)
    read = np.array([np.r_[h[-1, :4], h[0, 4:]] for h in states])
    np.testing.assert_allclose(model.transform(X), read, atol=1e-6)
    if target == "sequence":
        whole = model.predict(X) if estimator is RecurrentRegressor else np.log(model.predict_proba(X))
        said = read @ model.coef_.T + model.intercept_
        if estimator is RecurrentClassifier:
            said -= np.log(np.exp(said).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(whole / scale, said / scale, **close)


def test_states_of_layers_and_cells() -> None:
    X, y = recall(20, 0)
    fitted = RecurrentClassifier(4, n_layers=2, dropout=0.3, **SMALL).fit(X, y)
    lower, upper = (fitted.hidden_states(X, layer=k) for k in (0, 1))
    assert same_bits(upper, fitted.hidden_states(X))
    assert not same_bits(upper, lower)
    assert same_bits(lower, fitted.hidden_states(X, layer=-2))
    cells = fitted.hidden_states(X, kind="cell", layer=0)
    for h, c in zip(lower, cells, strict=True):
        assert h.shape == c.shape
        assert (np.abs(h) <= np.abs(np.tanh(c)) + 1e-6).all()  # h = sigma(o) tanh(c)
        assert (h * c >= 0).all()
    with pytest.raises(ValueError, match=r"layer=2 is out of range: this network has n_layers=2"):
        fitted.hidden_states(X, layer=2)
    with pytest.raises(ValueError, match=r"kind='memory': cell='lstm' has states of kind 'hidden' and 'cell'"):
        fitted.hidden_states(X, kind="memory")
    with pytest.raises(ValueError, match=r"kind='cell': cell='gru' has states of kind 'hidden' alone"):
        RecurrentClassifier(4, cell="gru", **SMALL).fit(X, y).hidden_states(X, kind="cell")


def test_what_is_said_depends_neither_on_order_nor_on_company() -> None:
    X = walks(20, 0)
    fitted = RecurrentRegressor(4, target="step", **SMALL).fit(X, running_means(X))
    together = fitted.predict(X)
    assert same_bits(together, fitted.predict(X[::-1])[::-1])
    for x, expected in zip(X, together, strict=True):
        np.testing.assert_allclose(fitted.predict([x])[0], expected, rtol=0, atol=1e-5)
