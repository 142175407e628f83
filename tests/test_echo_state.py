"""Echo state estimators: what is learned of sequences and of steps, piece by piece and at once."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skseqmetric import EchoStateClassifier, EchoStateRegressor, EchoStateTransformer
from skseqmetric.datasets import load_japanese_vowels, make_shifted_sequences

ONE_WAY: dict[str, Any] = {"bidirectional": False, "pooling": "last", "random_state": 0}


def ragged(n: int = 12, n_channels: int = 2, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, n_channels)) for length in rng.integers(1, 15, n)]


# ------------------------------------------------------------------------------------------------- what is learned


def last_states(estimator: Any, X: list[np.ndarray]) -> np.ndarray:
    return np.array([states[-1] for states in estimator.hidden_states(X)], dtype=np.float64)


@pytest.mark.parametrize("n", [12, 80])
def test_the_regressor_is_ridge_regression_on_the_states(n: int) -> None:
    X, rng = ragged(n), np.random.default_rng(1)
    y, weights = rng.normal(size=(n, 2)) + 50, rng.uniform(0.5, 2, n)
    fitted = EchoStateRegressor(30, alpha=0.2, **ONE_WAY).fit(X, y, weights)
    expected = Ridge(alpha=0.2).fit(last_states(fitted, X), y, weights)
    np.testing.assert_allclose(fitted.coef_, expected.coef_, rtol=0, atol=1e-6 * np.abs(expected.coef_).max())
    np.testing.assert_allclose(fitted.predict(X), expected.predict(last_states(fitted, X)), rtol=1e-6)
    assert fitted.score(X, y) == pytest.approx(r2_score(y, fitted.predict(X)))


def test_continuous_learning_teaches_every_state() -> None:
    X, rng = ragged(40), np.random.default_rng(1)
    y, weights = rng.normal(size=40), rng.uniform(0.5, 2, 40)
    fitted = EchoStateRegressor(20, alpha=0.2, learning="continuous", **ONE_WAY).fit(X, y, weights)
    states, lengths = fitted.hidden_states(X), [len(x) for x in X]
    expected = Ridge(alpha=0.2).fit(np.concatenate(states), np.repeat(y, lengths), np.repeat(weights, lengths))
    np.testing.assert_allclose(fitted.predict(X), expected.predict(last_states(fitted, X)), rtol=0, atol=1e-4)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_targets_of_steps_are_learned_from_the_states_of_steps(bidirectional: bool) -> None:
    X, rng = ragged(40), np.random.default_rng(1)
    y, weights = [rng.normal(size=len(x)) for x in X], rng.uniform(0.5, 2, 40)
    fitted = EchoStateRegressor(20, alpha=0.2, target="step", bidirectional=bidirectional, random_state=0)
    fitted.fit(X, y, weights)
    states = np.concatenate(fitted.hidden_states(X))
    expected = Ridge(alpha=0.2).fit(states, np.concatenate(y), np.repeat(weights, [len(x) for x in X]))
    predicted = fitted.predict(X)
    assert [rows.shape for rows in predicted] == [rows.shape for rows in y]
    np.testing.assert_allclose(np.concatenate(predicted), expected.predict(states), rtol=0, atol=1e-5)
    assert fitted.score(X, y) == pytest.approx(r2_score(np.concatenate(y), np.concatenate(predicted)))


def test_a_delayed_sum_is_learned_at_every_step_and_of_two_outputs() -> None:
    X = [x[:, :1] for x in ragged(80)]
    y = [np.column_stack([np.convolve(x[:, 0], [0.5, 0.3, 0.2])[: len(x)], np.tanh(x[:, 0])]) for x in X]
    fitted = EchoStateRegressor(150, target="step", bidirectional=False, random_state=0).fit(X[:60], y[:60])
    assert fitted.score(X[60:], y[60:]) > 0.95


@pytest.mark.parametrize("learning", ["final", "continuous"])
@pytest.mark.parametrize("target", ["sequence", "step"])
def test_pieces_give_what_all_at_once_gives(target: str, learning: str) -> None:
    X, rng = ragged(60), np.random.default_rng(1)
    y: Any = rng.normal(size=(60, 2)) if target == "sequence" else [rng.normal(size=(len(x), 2)) for x in X]
    settings = {**ONE_WAY, "scaling": None, "target": target, "learning": learning, "alpha": 0.1}
    whole = EchoStateRegressor(50, **settings).fit(X, y)
    for cuts in ([0, 60], [0, 1, 2, 30, 60], [0, 55, 60]):
        pieces = EchoStateRegressor(50, **settings)
        for start, stop in pairwise(cuts):
            pieces.partial_fit(X[start:stop], y[start:stop])
        np.testing.assert_allclose(pieces.coef_, whole.coef_, rtol=0, atol=1e-6 * np.abs(whole.coef_).max())
    continued = EchoStateRegressor(50, **settings).fit(X[:40], y[:40]).partial_fit(X[40:], y[40:])
    np.testing.assert_allclose(continued.coef_, whole.coef_, rtol=0, atol=1e-6 * np.abs(whole.coef_).max())


def test_pieces_of_classes_give_what_all_at_once_gives() -> None:
    X, y = make_shifted_sequences(60, n_classes=3, random_state=0)
    settings = {"random_state": 0, "scaling": None}
    whole = EchoStateClassifier(50, **settings).fit(X, y)
    rare = [i for i in range(30) if y[i] != 2]
    rest = sorted(set(range(60)) - set(rare))
    pieces = EchoStateClassifier(50, **settings).partial_fit([X[i] for i in rare], y[rare], classes=[0, 1, 2])
    pieces.partial_fit([X[i] for i in rest], y[rest])
    np.testing.assert_allclose(pieces.coef_, whole.coef_, rtol=0, atol=1e-6 * np.abs(whole.coef_).max())
    with pytest.raises(ValueError, match="label 7, which is not among the classes"):
        pieces.partial_fit(X[:2], [7, 0])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", "mean", "both"])
def test_the_last_step_says_what_the_sequence_says(pooling: str, bidirectional: bool) -> None:
    X, rng = ragged(30), np.random.default_rng(1)
    fitted = EchoStateRegressor(20, pooling=pooling, bidirectional=bidirectional, random_state=0)
    fitted.fit(X, rng.normal(size=(30, 3)))
    last = np.array([rows[-1] for rows in fitted.predict_prefixes(X)])
    np.testing.assert_allclose(last, fitted.predict(X), rtol=0, atol=1e-4)
    if not bidirectional:
        cut = fitted.predict([x[:4] for x in X])
        at_four = np.array([rows[min(3, len(rows) - 1)] for rows in fitted.predict_prefixes(X)])
        np.testing.assert_allclose(at_four, cut, rtol=0, atol=1e-4)


def test_the_readout_is_in_units_of_the_states() -> None:
    X, rng = ragged(30), np.random.default_rng(1)
    fitted = EchoStateRegressor(20, **ONE_WAY).fit(X, rng.normal(size=(30, 3)))
    for states, said in zip(fitted.hidden_states(X), fitted.predict_prefixes(X), strict=True):
        np.testing.assert_allclose(states @ fitted.coef_.T + fitted.intercept_, said, rtol=0, atol=1e-4)


# ------------------------------------------------------------------------------------------------------ the classifier


def test_the_ridge_readout_tells_vowels_apart() -> None:
    X, y = load_japanese_vowels(split="train", return_X_y=True)
    X_new, y_new = load_japanese_vowels(split="test", return_X_y=True)
    fitted = EchoStateClassifier(random_state=0).fit(X, y)
    assert fitted.score(X_new, y_new) > 0.96
    probabilities = fitted.predict_proba(X_new)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (fitted.classes_[probabilities.argmax(axis=1)] == fitted.predict(X_new)).all()
    sure = probabilities.max(axis=1)
    right = fitted.predict(X_new) == y_new
    # of what is said with confidence p about the share p is right, within three standard deviations
    assert abs(sure.mean() - right.mean()) < 0.05
    assert sure[right].mean() > sure[~right].mean()


def test_the_logistic_readout_is_scikit_learns_on_summaries() -> None:
    X, y = make_shifted_sequences(80, n_classes=3, random_state=0)
    weights = np.random.default_rng(0).uniform(0.5, 2, 80)
    fitted = EchoStateClassifier(20, readout="logistic", alpha=2.0, random_state=0).fit(X, y, weights)
    features = EchoStateTransformer(20, random_state=0)
    scaled = StandardScaler().fit(features.fit(X).transform(X), sample_weight=weights)
    solver = LogisticRegression(C=0.5, max_iter=1000)
    solver.fit(scaled.transform(features.transform(X)), y, sample_weight=weights)
    expected = solver.predict_proba(scaled.transform(features.transform(X)))
    # the channels' scaling counts the weights too, so that the states differ a little
    assert np.abs(fitted.predict_proba(X) - expected).mean() < 0.05
    unweighted = EchoStateClassifier(20, readout="logistic", alpha=2.0, random_state=0).fit(X, y)
    solver.fit(StandardScaler().fit_transform(features.transform(X)), y)
    again = solver.predict_proba(StandardScaler().fit_transform(features.transform(X)))
    np.testing.assert_allclose(unweighted.predict_proba(X), again, rtol=0, atol=1e-3)


def test_two_classes_have_one_decision_and_two_probabilities() -> None:
    X, y = make_shifted_sequences(40, n_classes=2, random_state=0)
    for readout in ("ridge", "logistic"):
        fitted = EchoStateClassifier(20, readout=readout, alpha=1.0, random_state=0).fit(X, y)
        decision = fitted.decision_function(X)
        assert decision.shape == (40,)
        assert ((decision > 0) == (fitted.predict(X) == 1)).all()
        assert fitted.predict_proba(X).shape == (40, 2)


def test_labels_of_steps_with_and_without_a_label_for_none() -> None:
    X = [x[:, :1] for x in ragged(60)]
    y = [np.where(x[:, 0] > 0, "up", "down") for x in X]
    y_some = [np.where(np.arange(len(labels)) % 3 == 2, "none", labels) for labels in y]
    fitted = EchoStateClassifier(60, target="step", ignore_label="none", random_state=0).fit(X[:40], y_some[:40])
    assert fitted.classes_.tolist() == ["down", "up"]
    assert fitted.score(X[40:], y[40:]) > 0.9
    assert fitted.score(X[40:], y_some[40:]) > 0.9
    assert [p.shape for p in fitted.predict_proba(X)] == [(len(x), 2) for x in X]
    assert [d.shape for d in fitted.decision_function(X)] == [(len(x),) for x in X]


def test_weights_of_classes_act_as_weights_of_sequences() -> None:
    X, y = make_shifted_sequences(40, n_classes=3, random_state=0)
    factors = {0: 2.0, 2: 0.5}
    weights = np.array([factors.get(k, 1.0) for k in y.tolist()])
    by_class = EchoStateClassifier(20, class_weight=factors, scaling=None, random_state=0).fit(X, y)
    by_sequence = EchoStateClassifier(20, scaling=None, random_state=0).fit(X, y, weights)
    np.testing.assert_allclose(by_class.coef_, by_sequence.coef_, rtol=1e-8, atol=1e-10)
    counts = np.bincount(y)
    balanced = EchoStateClassifier(20, class_weight="balanced", scaling=None, random_state=0).fit(X, y)
    same = EchoStateClassifier(20, scaling=None, random_state=0).fit(X, y, (40 / 3 / counts)[y])
    np.testing.assert_allclose(balanced.coef_, same.coef_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("readout", ["ridge", "logistic"])
def test_a_class_without_weight_is_never_said(readout: str) -> None:
    X, y = make_shifted_sequences(60, n_classes=3, random_state=0)
    fitted = EchoStateClassifier(20, readout=readout, alpha=1.0, random_state=0).fit(X, y, (y != 2).astype(float))
    assert set(fitted.predict(X)) == {0, 1}
    assert np.isfinite(fitted.decision_function(X)).all()
    assert not fitted.predict_proba(X)[:, 2].any() or readout == "ridge"
    with pytest.raises(ValueError, match="Only one class has sequences of positive sample_weight"):
        EchoStateClassifier(20).fit(X, y, (y == 2).astype(float))


# ------------------------------------------------------------------------------------------------- manners of the house


def test_the_same_seed_gives_the_same_model_and_another_does_not() -> None:
    X, y = make_shifted_sequences(40, n_classes=2, random_state=0)
    first, second, other = (EchoStateClassifier(30, random_state=s).fit(X, y) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.coef_, second.coef_)
    assert not np.allclose(first.coef_, other.coef_)
    shuffled = np.random.default_rng(0).permutation(40)
    third = EchoStateClassifier(30, random_state=0, scaling=None).fit([X[i] for i in shuffled], y[shuffled])
    fourth = EchoStateClassifier(30, random_state=0, scaling=None).fit(X, y)
    np.testing.assert_array_equal(third.coef_, fourth.coef_)


def test_saved_and_copied_models_go_on_learning() -> None:
    X, y = make_shifted_sequences(40, n_classes=2, random_state=0)
    fitted = EchoStateClassifier(30, random_state=0).fit(X[:20], y[:20])
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
        again = copy.deepcopy(fitted).partial_fit(X[20:], y[20:])
        np.testing.assert_array_equal(other.partial_fit(X[20:], y[20:]).coef_, again.coef_)


def test_features_in_a_pipeline_and_the_penalty_in_a_search() -> None:
    X, y = make_shifted_sequences(60, n_classes=2, random_state=0)
    pipeline = make_pipeline(EchoStateTransformer(30, random_state=0), LogisticRegression(max_iter=1000))
    assert pipeline.fit(X[:40], y[:40]).score(X[40:], y[40:]) > 0.7
    search = GridSearchCV(EchoStateClassifier(30, random_state=0), {"alpha": [1e-2, 1.0], "leak": [0.1, 0.5]}, cv=2)
    assert search.fit(X, y).best_score_ > 0.7
    scores = [
        cross_val_score(EchoStateClassifier(30, random_state=0, **candidate), X, y, cv=2).mean()
        for candidate in search.cv_results_["params"]
    ]
    assert search.cv_results_["mean_test_score"].tolist() == scores
    assert search.best_params_ == search.cv_results_["params"][int(np.argmax(scores))]


def test_states_feed_another_estimator_of_sequences() -> None:
    X, y = make_shifted_sequences(60, n_classes=2, random_state=0)
    states, reader = EchoStateTransformer(10, pooling=None, random_state=0), EchoStateClassifier(30, random_state=0)
    stacked = make_pipeline(states, reader).fit(X[:40], y[:40])
    found = stacked.decision_function(X[40:])
    expected = reader.fit(states.fit(X[:40]).transform(X[:40]), y[:40]).decision_function(states.transform(X[40:]))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"leak": (0.1, 0.2)}, r"leak has shape \(2,\): pass one number, or one for each of n_reservoirs"),
        ({"leak": [0.0], "n_reservoirs": 1}, "leak holds 0, which is not in the range"),
        ({"spectral_radius": [-1.0]}, "spectral_radius holds -1"),
        ({"alpha": []}, "must be a number > 0"),
        ({"alpha": [1.0, 0.0]}, "must be a number > 0"),
        ({"learning": "continuous"}, 'needs pooling="last" and bidirectional=False'),
        ({"readout": "logistic", "alpha": "auto"}, "one number for alpha"),
        ({"readout": "logistic", "target": "step"}, 'needs target="sequence"'),
        ({"class_weight": {5: 1.0}}, "class_weight names 5"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    X, y = make_shifted_sequences(20, n_classes=2, random_state=0)
    with pytest.raises(ValueError, match=message):
        EchoStateClassifier(10, **settings).fit(X, y)


def test_answers_follow_what_was_fitted_and_not_what_is_set_later() -> None:
    X, y = make_shifted_sequences(30, n_classes=2, random_state=0)
    fitted = EchoStateClassifier(20, n_reservoirs=2, random_state=0).fit(X, y)
    before = fitted.predict_proba(X), fitted.hidden_states(X)[3], fitted.predict_prefixes(X)[3]
    fitted.set_params(n_units=7, n_reservoirs=3, bidirectional=False, pooling="last", target="step", readout="logistic")
    after = fitted.predict_proba(X), fitted.hidden_states(X)[3], fitted.predict_prefixes(X)[3]
    for first, second in zip(before, after, strict=True):
        np.testing.assert_array_equal(first, second)
    assert fitted.score(X, y) == (before[0].argmax(axis=1) == y).mean()
    with pytest.raises(ValueError, match=r"continues with ReadoutForm\(target='sequence'.*: call fit"):
        fitted.set_params(readout="ridge").partial_fit(X, [np.full(len(x), k) for x, k in zip(X, y, strict=True)])
    logistic = EchoStateClassifier(20, readout="logistic", alpha=1.0, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="cannot continue from readout"):
        logistic.set_params(readout="ridge").partial_fit(X, y)


@pytest.mark.parametrize("readout", ["ridge", "logistic"])
def test_an_interrupted_fit_leaves_the_model_of_before(readout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = make_shifted_sequences(20, n_classes=2, random_state=0)
    fitted = EchoStateClassifier(10, readout=readout, alpha=1.0, random_state=0).fit(X, y)
    before = fitted.predict_proba(X)

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    # the last step of either fit, when everything else is new
    monkeypatch.setattr(torch.linalg, "cholesky_ex", interrupt)
    monkeypatch.setattr(LogisticRegression, "fit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit([x[:, :2] for x in X[:8]], y[:8])
    monkeypatch.undo()
    np.testing.assert_array_equal(fitted.predict_proba(X), before)


def test_a_refused_fit_changes_nothing() -> None:
    X, y = make_shifted_sequences(20, n_classes=2, random_state=0)
    fitted = EchoStateClassifier(10, random_state=0).fit(X, y)
    before = fitted.predict_proba(X)
    for refused in (
        lambda: fitted.fit([x[:, :2] for x in X], y[:3]),
        lambda: fitted.partial_fit([x[:, :2] for x in X], y),
    ):
        with pytest.raises(ValueError, match=r"y has 3 labels|X has 2 channel"):
            refused()
    np.testing.assert_array_equal(fitted.predict_proba(X), before)
    few = EchoStateRegressor(30, random_state=0).fit(X, y)
    expected = few.predict(X)
    with pytest.raises(ValueError, match="alpha=1e-300 is too small"):
        few.set_params(alpha=1e-300).fit(X[:3] * 10, np.tile(y[:3], 10))  # products of rank 2
    np.testing.assert_array_equal(few.predict(X), expected)
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'"):
        EchoStateClassifier(10, readout="logistic").partial_fit(X, y)
    with pytest.raises(ValueError, match="cannot know how frequent classes will be"):
        EchoStateClassifier(10, class_weight="balanced").partial_fit(X, y)
    regressor = EchoStateRegressor(10).partial_fit(X, y)
    with pytest.raises(ValueError, match="y has 2 outputs, but this estimator was first fitted with 1"):
        regressor.partial_fit(X, np.column_stack([y, y]))


@pytest.mark.cuda
@pytest.mark.parametrize("density", [0.1, 0.9])
def test_a_model_is_the_same_on_cuda(density: float) -> None:
    X, y = make_shifted_sequences(60, n_classes=3, random_state=0)
    settings = {"density": density, "n_reservoirs": 2, "leak": (0.1, 0.5), "random_state": 0}
    here = EchoStateClassifier(200, device="cpu", **settings).fit(X[:40], y[:40])
    there = EchoStateClassifier(200, device="cuda", **settings).fit(X[:40], y[:40])
    for states, expected in zip(there.hidden_states(X), here.hidden_states(X), strict=True):
        np.testing.assert_allclose(states, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(there.predict_proba(X), here.predict_proba(X), rtol=0, atol=1e-2)
    again = pickle.loads(pickle.dumps(there)).set_params(device="cpu")
    np.testing.assert_allclose(again.predict_proba(X), there.predict_proba(X), rtol=0, atol=1e-2)
    pieces = [model.partial_fit(X[40:], y[40:]).predict(X) for model in (here, there)]
    assert (pieces[0] == pieces[1]).mean() > 0.95
