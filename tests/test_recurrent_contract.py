"""RecurrentClassifier and RecurrentRegressor inside scikit-learn: searches, pipelines, parts, files, refusals."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline

from skseqmetric import EchoStateClassifier, EchoStateRegressor, RecurrentClassifier, RecurrentRegressor

SMALL: dict[str, Any] = {"n_units": 4, "max_epochs": 3, "min_batches": 3, "random_state": 0}
BOTH = pytest.mark.parametrize("estimator", [RecurrentClassifier, RecurrentRegressor])


@pytest.fixture(scope="module")
def X() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(t, 2)) for t in rng.integers(4, 16, size=20)]


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    return np.repeat([0, 1], 10)


def steps(X: list[np.ndarray]) -> list[np.ndarray]:
    return [np.where(x[:, 0] > 0, 1, 0) for x in X]


def answers(fitted: Any, X: Any) -> np.ndarray:
    return np.concatenate(fitted.predict_prefixes(X))


@pytest.mark.parametrize("target", ["sequence", "step"])
@pytest.mark.parametrize(
    "kinds", [(EchoStateClassifier, RecurrentClassifier), (EchoStateRegressor, RecurrentRegressor)]
)
def test_drawn_and_trained_networks_are_exchanged_in_one_search(X: Any, y: Any, kinds: Any, target: str) -> None:
    drawn, trained = kinds
    grid = {"network": [drawn(20, bidirectional=False, random_state=0), trained(**SMALL)]}
    pipeline = Pipeline([("network", drawn())])
    for network in grid["network"]:
        network.set_params(target=target)
    search = GridSearchCV(pipeline, grid, cv=KFold(2, shuffle=True, random_state=0), error_score="raise")
    y = y if target == "sequence" else steps(X)
    search.fit(X, y)
    scores = [cross_val_score(network, X, y, cv=search.cv).mean() for network in grid["network"]]
    assert search.cv_results_["mean_test_score"].tolist() == scores
    best = grid["network"][int(np.argmax(scores))]
    assert type(search.best_params_["network"]) is type(best)
    assert np.array_equal(answers(search.best_estimator_["network"], X), answers(clone(best).fit(X, y), X))


@BOTH
def test_states_are_features_for_any_estimator(X: Any, y: Any, estimator: Any) -> None:
    last = LogisticRegression() if estimator is RecurrentClassifier else Ridge()
    pipeline = make_pipeline(estimator(**SMALL, bidirectional=True), last).fit(X, y)
    assert pipeline[:-1].transform(X).shape == (20, 8)
    assert list(pipeline[0].get_feature_names_out())[:2] == [f"{estimator.__name__.lower()}{k}" for k in (0, 1)]
    frame = pipeline[0].set_output(transform="pandas").transform(X)
    assert frame.shape == (20, 8)
    assert (frame.dtypes == np.float32).all()


@BOTH
def test_pickled_and_cloned(X: Any, y: Any, estimator: Any) -> None:
    fitted = estimator(**SMALL, n_layers=2, bidirectional=True).fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(answers(again, X), answers(fitted, X))
    assert np.array_equal(answers(again.partial_fit(X, y), X), answers(fitted.partial_fit(X, y), X))
    with pytest.raises(NotFittedError):
        clone(fitted).predict(X)


@BOTH
def test_nothing_is_said_before_a_fit(X: Any, estimator: Any) -> None:
    for ask in (estimator().predict, estimator().predict_prefixes, estimator().hidden_states, estimator().transform):
        with pytest.raises(NotFittedError):
            ask(X)
    with pytest.raises(NotFittedError):
        estimator().score(X, np.zeros(20))
    assert not hasattr(estimator(), "coef_")
    assert not hasattr(estimator(), "intercept_")


# -------------------------------------------------------------------------------------------------------------- parts


def test_classes_of_the_first_part_stay(X: Any, y: Any) -> None:
    fitted = RecurrentClassifier(**SMALL).partial_fit(X[:8], y[:8], classes=[0, 1, 2])
    assert list(fitted.classes_) == [0, 1, 2]
    assert fitted.partial_fit(X[8:], y[8:]).n_iter_ == 2
    assert fitted.predict_proba(X).shape == (20, 3)
    with pytest.raises(ValueError, match="label 99, which is not among the classes"):
        fitted.partial_fit(X[:2], [99, 99])


def test_parts_of_a_regression_go_on(X: Any) -> None:
    y = np.array([x[:, 0].sum() for x in X])
    fitted = RecurrentRegressor(**{**SMALL, "n_units": 12}).partial_fit(X, y)
    first, scale = fitted.history_[0]["train_loss"], fitted.y_scale_.copy()
    for _ in range(40):
        fitted.partial_fit(X, y)
    assert fitted.n_iter_ == 41
    assert fitted.history_[-1]["train_loss"] < 0.5 * first
    fitted.partial_fit(X[:5], 100 * y[:5])
    assert np.array_equal(fitted.y_scale_, scale)
    before = answers(fitted, X)
    with pytest.raises(ValueError, match="y has 2 outputs, but this estimator was first fitted with 1"):
        fitted.partial_fit(X, np.column_stack([y, y]))
    assert np.array_equal(answers(fitted, X), before)
    assert fitted.predict(X).shape == (20,)


@BOTH
def test_warm_start_goes_on_with_the_same_kind_of_target(X: Any, y: Any, estimator: Any) -> None:
    warm = estimator(**SMALL, warm_start=True).fit(X, y)
    assert warm.fit(X, y).n_iter_ == 2 * SMALL["max_epochs"]
    before, predicted = answers(warm, X), warm.predict(X)
    with pytest.raises(ValueError, match=r"target='step', but the network of the earlier fit has target='sequence'"):
        warm.set_params(target="step").fit(X, steps(X))
    # what is said is of the network that there is
    assert np.array_equal(answers(warm, X), before)
    assert np.array_equal(warm.predict(X), predicted)
    assert len(warm.set_params(warm_start=False).fit(X, steps(X)).predict(X)[0]) == len(X[0])


@BOTH
@pytest.mark.parametrize("target", ["sequence", "step"])
def test_early_stopping_keeps_groups_together(X: Any, y: Any, estimator: Any, target: str) -> None:
    fitted = estimator(**SMALL, target=target, early_stopping=True, validation_fraction=0.3)
    y = y if target == "sequence" else steps(X)
    fitted.fit(X, y, groups=np.arange(20) % 2)
    assert all(np.isfinite(row["valid_loss"]) for row in fitted.history_)
    # one of the two groups is held out, whole: the scaling is that of the other
    sides = [clone(fitted).set_params(early_stopping=False).fit(X[k::2], y[k::2]).mean_ for k in (0, 1)]
    assert any(np.allclose(fitted.mean_, side, rtol=1e-12) for side in sides)


def test_one_value_of_y_is_a_regression_and_no_classification(X: Any) -> None:
    assert RecurrentRegressor(**SMALL, early_stopping=True).fit(X, np.zeros(20)).predict(X).shape == (20,)
    with pytest.raises(ValueError, match="only one class"):
        RecurrentClassifier(**SMALL).fit(X, np.zeros(20, dtype=int))
    with pytest.raises(ValueError, match="Only one class has sequences of positive sample_weight"):
        RecurrentClassifier(**SMALL).fit(X, np.arange(20) % 2, sample_weight=np.arange(20) % 2)


@BOTH
def test_bfloat16_trains(X: Any, y: Any, estimator: Any) -> None:
    for cell in ("lstm", "gru"):
        rounded = estimator(**SMALL, cell=cell, n_layers=2, precision="bfloat16").fit(X, y)
        exact = estimator(**SMALL, cell=cell, n_layers=2).fit(X, y)
        losses = [[row["train_loss"] for row in fitted.history_] for fitted in (rounded, exact)]
        np.testing.assert_allclose(*losses, rtol=0.02)
        assert losses[0] != losses[1]


@BOTH
def test_shortest_input(estimator: Any) -> None:
    X = np.random.default_rng(0).normal(size=(4, 1, 1))
    fitted = estimator(**{**SMALL, "n_units": 1}, bidirectional=True)
    fitted.fit(X, [0, 1, 0, 1])
    assert [h.shape for h in fitted.hidden_states(X, kind="cell")] == [(1, 2)] * 4


# ----------------------------------------------------------------------------------------------------------- refusals


@BOTH
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cell": "elman"}, "'cell' parameter"),
        ({"target": "steps"}, "'target' parameter"),
        ({"pooling": "max"}, "'pooling' parameter"),
        ({"batch_size": 1}, "'batch_size' parameter"),
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"n_units": 0}, "'n_units' parameter"),
        ({"target": "step", "augment": ("jitter", "crop")}, "augment='crop' moves steps away from their labels"),
        ({"target": "step"}, r"y\[0\]"),
        ({"device": "abacus"}, "device='abacus' is not a device"),
    ],
)
def test_what_cannot_be_is_refused_and_named(X: Any, y: Any, estimator: Any, wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimator(**{**SMALL, **wrong}).fit(X, y)


@BOTH
@pytest.mark.parametrize(
    "y", [None, np.arange(19), [np.zeros(3)] * 20 + [0], np.full(20, np.nan), np.full(20, 1j), np.array(["a"] * 20)]
)
def test_targets_that_do_not_fit_leave_an_earlier_fit(X: Any, estimator: Any, y: Any) -> None:
    fitted = estimator(**SMALL).fit(X, np.arange(20) % 2)
    before = answers(fitted, X)
    with pytest.raises(ValueError, match=r"y|Complex data"):
        fitted.fit(X, y)
    assert np.array_equal(answers(fitted, X), before)


# --------------------------------------------------------------------------------------------------------------- CUDA


@pytest.mark.cuda
@BOTH
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("target", ["sequence", "step"])
def test_cuda_trains_and_agrees_with_the_cpu(X: Any, y: Any, estimator: Any, cell: str, target: str) -> None:
    settings = {**SMALL, "max_epochs": 8, "cell": cell, "target": target, "n_layers": 2, "bidirectional": True}
    fitted = estimator(**settings, dropout=0.1, early_stopping=True, device="cuda")
    fitted.fit(X, y if target == "sequence" else steps(X))
    assert np.isfinite(fitted.history_[-1]["train_loss"])
    kinds = ["hidden", "cell"] if cell == "lstm" else ["hidden"]
    on_gpu = [answers(fitted, X), *(np.concatenate(fitted.hidden_states(X, kind=kind)) for kind in kinds)]
    fitted.device = "cpu"
    loaded = pickle.loads(pickle.dumps(fitted))
    assert next(loaded.module_.parameters()).device.type == "cpu"
    on_cpu = [answers(loaded, X), *(np.concatenate(loaded.hidden_states(X, kind=kind)) for kind in kinds)]
    for first, second in zip(on_gpu, on_cpu, strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-3, atol=1e-4)
