"""Networks times tasks: every family learns classes and numbers, of whole sequences and of every step."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from skorch.callbacks import Callback

from skseqmetric import (
    EchoStateClassifier,
    EchoStateRegressor,
    NRNMClassifier,
    NRNMRegressor,
    NRNMStepClassifier,
    RecurrentClassifier,
    RecurrentRegressor,
)
from skseqmetric.metrics import step_accuracy, step_f1_score, step_macro_f1_scorer

FAST: dict[str, Any] = {"max_epochs": 2, "min_batches": 2, "random_state": 0}
MEMORY: dict[str, Any] = {**FAST, "n_units": 4, "n_heads": 2, "n_filters": 4}
SETTINGS: dict[Any, dict[str, Any]] = {
    NRNMClassifier: MEMORY,
    NRNMRegressor: MEMORY,
    RecurrentClassifier: {**FAST, "n_units": 4},
    RecurrentRegressor: {**FAST, "n_units": 4},
    EchoStateClassifier: {"n_units": 12, "random_state": 0},
    EchoStateRegressor: {"n_units": 12, "random_state": 0},
}
ALL = list(SETTINGS)
TRAINED, CLASSIFIERS, REGRESSORS = ALL[:4], ALL[::2], ALL[1::2]
TARGET = pytest.mark.parametrize("target", ["sequence", "step"])
# without noise in training, and standing still: the loss of the first epoch is that of the answers
STILL: dict[str, Any] = {"min_batches": 1, "max_epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0}
QUIET: dict[Any, dict[str, Any]] = {
    NRNMClassifier: {"augment": None, "dropout": 0.0, "zoneout": 0.0, "memory_dropout": 0.0},
    NRNMRegressor: {"augment": None, "dropout": 0.0, "zoneout": 0.0, "memory_dropout": 0.0},
    RecurrentClassifier: {},
    RecurrentRegressor: {},
}
X = [np.random.default_rng(n).normal(size=(n % 9 + 3, 2)) * 3 + 1 for n in range(16)]
WEIGHTS = np.random.default_rng(0).uniform(0.2, 3, 16)
LENGTHS = [len(x) for x in X]


def make(estimator: Any, **settings: Any) -> Any:
    return estimator(**{**SETTINGS[estimator], **settings})


def labels(target: str) -> Any:
    """Three classes of steps by their first channel, of sequences by its sum."""
    names = np.array(["down", "flat", "up"])
    if target == "step":
        return [names[np.digitize(x[:, 0], [0, 2])] for x in X]
    return names[np.argsort(np.argsort([x[:, 0].sum() for x in X])) // 6]


def numbers(target: str) -> Any:
    """Two outputs of unlike sizes."""
    steps = [np.column_stack([1e3 + x[:, 0].cumsum(), 0.01 * x[:, 1]]) for x in X]
    return steps if target == "step" else np.array([rows[-1] for rows in steps])


def truth(estimator: Any, target: str) -> Any:
    return labels(target) if estimator in (*CLASSIFIERS, NRNMStepClassifier) else numbers(target)


def said(fitted: Any, sequences: Any = X) -> list[np.ndarray]:
    """All that a fitted estimator says, sequence by sequence."""
    return list((fitted.predict_proba if hasattr(fitted, "predict_proba") else fitted.predict)(sequences))


def same_bits(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def rows(target: str, given: Any) -> np.ndarray:
    """One row a target: sequences as they are, steps one below the other."""
    return np.concatenate(list(given)) if target == "step" else np.asarray(given)


def per_row(target: str, weights: np.ndarray) -> np.ndarray:
    return np.repeat(weights, LENGTHS) if target == "step" else weights


# ------------------------------------------------------------------------------------------------------------- answers


@TARGET
@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_probabilities_scores_and_classes_agree(estimator: Any, target: str) -> None:
    fitted = make(estimator, target=target).fit(X, labels(target))
    assert fitted.classes_.tolist() == ["down", "flat", "up"]
    p = rows(target, fitted.predict_proba(X))
    z, answers = rows(target, fitted.decision_function(X)), rows(target, fitted.predict(X))
    assert p.shape == z.shape == (len(answers), 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert np.array_equal(fitted.classes_[z.argmax(axis=1)], answers)
    assert np.array_equal(p.argmax(axis=1), z.argmax(axis=1))
    if estimator is not EchoStateClassifier:
        np.testing.assert_allclose(p, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), rtol=1e-6)
    if target == "step":
        assert [len(a) for a in fitted.predict(X)] == [len(q) for q in fitted.predict_proba(X)] == LENGTHS
    right = answers == rows(target, labels(target))
    assert fitted.score(X, labels(target)) == pytest.approx(right.mean())
    weighted = np.average(right, weights=per_row(target, WEIGHTS))
    assert fitted.score(X, labels(target), WEIGHTS) == pytest.approx(weighted)


@TARGET
@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_two_classes_have_one_score(estimator: Any, target: str) -> None:
    y = [v == "up" for v in labels(target)]
    fitted = make(estimator, target=target).fit(X, y)
    z = rows(target, fitted.decision_function(X))
    assert z.ndim == 1
    assert np.array_equal(z > 0, rows(target, fitted.predict(X)))
    assert np.array_equal(z > 0, rows(target, fitted.predict_proba(X))[:, 1] > 0.5)


@TARGET
@pytest.mark.parametrize("estimator", REGRESSORS)
@pytest.mark.parametrize("shape", [(), (1,), (2,)])
def test_numbers_have_the_shape_of_targets(estimator: Any, target: str, shape: tuple[int, ...]) -> None:
    y = [v[..., 0] if not shape else v[..., : shape[0]] for v in numbers(target)]
    fitted = make(estimator, target=target).fit(X, y)
    answers = fitted.predict(X)
    assert np.shape(answers[3]) == (*([LENGTHS[3]] if target == "step" else []), *shape)
    assert {np.asarray(a).dtype for a in answers} == {np.dtype(np.float64)}
    assert len(answers) == len(X)


@TARGET
@pytest.mark.parametrize("estimator", REGRESSORS)
def test_the_score_of_numbers_is_r2_by_hand(estimator: Any, target: str) -> None:
    y, fitted = numbers(target), make(estimator, target=target).fit(X, numbers(target))
    true, answers = rows(target, y), rows(target, fitted.predict(X))
    for weights in (np.ones(16), WEIGHTS):
        w = per_row(target, weights)[:, None]
        mean = (w * true).sum(axis=0) / w.sum()
        left = (w * (true - answers) ** 2).sum(axis=0) / (w * (true - mean) ** 2).sum(axis=0)
        assert fitted.score(X, y, weights) == pytest.approx(np.mean(1 - left))
    assert fitted.score(X, y) == pytest.approx(fitted.score(X, y, np.full(16, 3.0)))


@pytest.mark.slow
def test_memory_learns_numbers_of_sequences_and_of_steps() -> None:
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(int(n), 1)) for n in rng.integers(4, 9, 60)]
    settings = {**MEMORY, "n_units": 8, "n_filters": None, "max_epochs": 40, "learning_rate": 0.02, "augment": None}
    for target in ("sequence", "step"):
        y: Any = [50 + x[:, 0].cumsum() for x in series]
        y = np.array([v[-1] for v in y]) if target == "sequence" else y
        views = target == "sequence"  # with them, 80 updates are enough
        fitted = NRNMRegressor(**settings, target=target, instance_channels=views).fit(series[:45], y[:45])
        assert fitted.score(series[45:], y[45:]) > 0.8


# -------------------------------------------------------------------------------------------------------- laws of a fit


@TARGET
@pytest.mark.parametrize("estimator", TRAINED)
def test_weight_two_is_the_row_twice(estimator: Any, target: str) -> None:
    y, made = truth(estimator, target), make(estimator, target=target)
    weights = np.r_[2.0, np.ones(14), 0.0]
    weighted = said(clone(made).fit(X, y, sample_weight=weights))
    twice = [0, 0, *range(1, 15)]
    repeated = said(clone(made).fit([X[i] for i in twice], [y[i] for i in twice]))
    assert same_bits(weighted, repeated)
    assert not same_bits(weighted, said(clone(made).fit(X[:15], y[:15])))


@TARGET
@pytest.mark.parametrize("estimator", TRAINED[::2])
@pytest.mark.parametrize("class_weight", [None, "balanced", {"up": 5.0, "flat": 0.5}])
def test_the_loss_of_classes_is_that_of_a_plain_loop(estimator: Any, target: str, class_weight: Any) -> None:
    """A sequence counts by its weight and the factors of its classes, a step by its share of the labelled ones."""
    y = labels(target)
    settings = {**QUIET[estimator], **STILL, "batch_size": 16, "target": target, "class_weight": class_weight}
    if target == "step":
        y = [np.where(np.arange(len(v)) % 3 == k % 3, "none", v) for k, v in enumerate(y)]
        y[2] = np.full(len(y[2]), "none")
        settings["ignore_label"] = "none"
    fitted = make(estimator, **settings).fit(X, y, WEIGHTS)
    blocks = [np.atleast_1d(v) for v in y]
    share = np.concatenate(
        [(v != "none") * w / max(1, (v != "none").sum()) for v, w in zip(blocks, WEIGHTS, strict=True)]
    )
    flat, p = np.concatenate(blocks), rows(target, fitted.predict_proba(X))
    counts = {label: share[flat == label].sum() for label in fitted.classes_}
    if class_weight == "balanced":
        factors = {label: sum(counts.values()) / (3 * count) for label, count in counts.items()}
    else:
        factors = {label: (class_weight or {}).get(label, 1.0) for label in counts}
    importance = share * [factors.get(label, 0.0) for label in flat]
    cost = [-np.log(q[fitted.classes_ == label].sum() or 1.0) for q, label in zip(p, flat, strict=True)]
    assert fitted.history_[0]["train_loss"] == pytest.approx(np.average(cost, weights=importance), rel=1e-4)


@TARGET
@pytest.mark.parametrize("estimator", TRAINED[1::2])
def test_the_loss_of_numbers_is_that_of_a_plain_loop(estimator: Any, target: str) -> None:
    y = numbers(target)
    settings = {**QUIET[estimator], **STILL, "batch_size": 16, "target": target}
    fitted = make(estimator, **settings).fit(X, y, WEIGHTS)
    errors = [(a - b) / fitted.y_scale_ for a, b in zip(fitted.predict(X), y, strict=True)]
    expected = np.average([np.mean(e**2) for e in errors], weights=WEIGHTS)
    assert fitted.history_[0]["train_loss"] == pytest.approx(expected, rel=1e-4)
    each = [np.atleast_2d(v) for v in y]
    mean = np.average([v.mean(axis=0) for v in each], axis=0, weights=WEIGHTS)
    variance = np.average([((v - mean) ** 2).mean(axis=0) for v in each], axis=0, weights=WEIGHTS)
    np.testing.assert_allclose(fitted.y_mean_, mean)
    np.testing.assert_allclose(fitted.y_scale_, np.sqrt(variance))


@TARGET
@pytest.mark.parametrize("estimator", TRAINED)
def test_held_out_sequences_have_the_loss_of_the_same_ones_in_training(estimator: Any, target: str) -> None:
    settings = {**QUIET[estimator], **STILL, "batch_size": 16, "target": target}
    model = make(estimator, **settings, early_stopping=True, validation_fraction=0.5)
    model.fit([*X, *X], [*truth(estimator, target)] * 2, groups=np.arange(32) // 16)
    first = model.history_[0]
    assert first["valid_loss"] == pytest.approx(first["train_loss"], rel=1e-4)


class Sizes(Callback):
    """How many sequences every batch has."""

    seen: list[int]

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        Sizes.seen = []

    def on_batch_begin(self, net: Any, batch: Any = None, training: bool | None = None, **kwargs: Any) -> None:
        Sizes.seen.append(len(batch[1]))


@pytest.mark.parametrize("estimator", TRAINED[:2])
def test_batches_have_32_sequences_or_16_where_steps_have_targets(estimator: Any) -> None:
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(2, 2)) for _ in range(64)]
    made = make(estimator, min_batches=1, max_epochs=1, callbacks=[Sizes()])
    of_steps = [(x[:, 0] > 0).astype(int) for x in series]
    sizes = {
        target: made.set_params(target=target).fit(series, y) and Sizes.seen
        for target, y in (("sequence", np.arange(64) % 2), ("step", of_steps))
    }
    assert sizes == {"sequence": [32] * 2, "step": [16] * 4}
    made.set_params(batch_size=8).fit(series, of_steps)
    assert Sizes.seen == [8] * 8
    with pytest.raises(ValueError, match="batch_size"):
        made.set_params(batch_size="automatic").fit(series, of_steps)


# --------------------------------------------------------------------------------------------------------------- parts


@TARGET
@pytest.mark.parametrize("estimator", [NRNMRegressor, RecurrentRegressor])
def test_parts_keep_the_units_of_the_first(estimator: Any, target: str) -> None:
    y = numbers(target)
    fitted = make(estimator, target=target).partial_fit(X, y)
    mean, scale = fitted.y_mean_.copy(), fitted.y_scale_.copy()
    fitted.partial_fit(X[:5], [7 - 100 * v for v in y[:5]])
    assert fitted.n_iter_ == 2
    assert np.array_equal(fitted.y_mean_, mean)
    assert np.array_equal(fitted.y_scale_, scale)
    refitted = fitted.fit(X, [2 * v for v in y])
    np.testing.assert_allclose(refitted.y_scale_, 2 * scale)


@TARGET
@pytest.mark.parametrize("estimator", REGRESSORS)
def test_parts_with_another_number_of_outputs_are_refused(estimator: Any, target: str) -> None:
    y = numbers(target)
    fitted = make(estimator, target=target).partial_fit(X, y)
    before = said(fitted)
    with pytest.raises(ValueError, match="y has 1 outputs, but this estimator was first fitted with 2"):
        fitted.partial_fit(X, [v[..., 0] for v in y])
    assert same_bits(said(fitted), before)
    assert fitted.fit(X, [v[..., 0] for v in y]).predict(X)[0].ndim == (target == "step")


@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_parts_of_labels_of_steps_keep_the_classes(estimator: Any) -> None:
    y = labels("step")
    fitted = make(estimator, target="step").partial_fit(X[:8], y[:8], classes=["up", "flat", "down", "aside"])
    assert fitted.classes_.tolist() == ["aside", "down", "flat", "up"]
    fitted.partial_fit(X[8:], y[8:])
    assert {p.shape[1] for p in fitted.predict_proba(X)} == {4}
    with pytest.raises(ValueError, match="label 'else', which is not among the classes"):
        fitted.partial_fit(X[:1], [np.full(len(X[0]), "else")])


@TARGET
@pytest.mark.parametrize("estimator", ALL)
def test_another_kind_of_target_is_refused_by_what_goes_on(estimator: Any, target: str) -> None:
    other = {"sequence": "step", "step": "sequence"}[target]
    fitted = make(estimator, target=target).fit(X, truth(estimator, target))
    before = said(fitted)
    message = rf"target='{target}'.*(: fit a new one|: call fit)"
    with pytest.raises(ValueError, match=message):
        fitted.set_params(target=other).partial_fit(X, truth(estimator, other))
    if estimator in TRAINED:
        with pytest.raises(ValueError, match=message):
            fitted.set_params(warm_start=True).fit(X, truth(estimator, other))
    assert same_bits(said(fitted), before)


@TARGET
@pytest.mark.parametrize("estimator", TRAINED)
def test_warm_start_goes_on_from_the_weights(estimator: Any, target: str) -> None:
    y = truth(estimator, target)
    warm = make(estimator, target=target, warm_start=True).fit(X, y)
    first = said(warm)
    assert warm.fit(X, y).n_iter_ == 2 * FAST["max_epochs"]
    assert not same_bits(said(warm), first)
    standing = warm.set_params(learning_rate=1e-12, weight_decay=0.0)
    before = said(standing)
    for a, b in zip(said(standing.fit(X, y)), before, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    again = said(clone(warm).set_params(warm_start=False, learning_rate=1e-3, weight_decay=0.01).fit(X, y))
    assert not same_bits(again, before)


# ------------------------------------------------------------------------------------------------------ the former name


def test_the_step_classifier_is_the_classifier_of_steps() -> None:
    y = labels("step")
    former, now = NRNMStepClassifier(**MEMORY), NRNMClassifier(**MEMORY, target="step")
    assert isinstance(former, NRNMClassifier)
    assert former.get_params() == now.get_params()
    assert NRNMStepClassifier().get_params() == {**NRNMClassifier().get_params(), "target": "step"}
    expected = said(now.fit(X, y, sample_weight=WEIGHTS))
    assert same_bits(said(former.fit(X, y, sample_weight=WEIGHTS)), expected)
    assert same_bits(said(pickle.loads(pickle.dumps(former))), expected)
    copied = clone(former)
    assert (type(copied), copied.target) == (NRNMStepClassifier, "step")
    with pytest.raises(NotFittedError):
        copied.predict(X)
    assert same_bits(said(copied.fit(X, y, sample_weight=WEIGHTS)), expected)
    whole = NRNMStepClassifier(**MEMORY, target="sequence").fit(X, labels("sequence"))
    assert same_bits(said(whole), said(NRNMClassifier(**MEMORY).fit(X, labels("sequence"))))


# ------------------------------------------------------------------------------------------------------------ searches


@pytest.mark.parametrize("estimator", ALL)
def test_cross_validation_of_steps_is_that_of_single_fits(estimator: Any) -> None:
    y, made, folds = truth(estimator, "step"), make(estimator, target="step"), KFold(2)
    found = cross_val_score(made, X, y, cv=folds, error_score="raise")
    expected, f1 = [], []
    for train, test in folds.split(X):
        fitted = clone(made).fit([X[i] for i in train], [y[i] for i in train])
        held_out = [X[i] for i in test], [y[i] for i in test]
        expected.append(fitted.score(*held_out))
        if estimator in CLASSIFIERS:
            assert expected[-1] == step_accuracy(held_out[1], fitted.predict(held_out[0]))
            f1.append(step_f1_score(held_out[1], fitted.predict(held_out[0])))
    assert found.tolist() == expected
    if estimator in CLASSIFIERS:
        scores = cross_val_score(made, X, y, cv=folds, scoring=step_macro_f1_scorer, error_score="raise")
        assert scores.tolist() == f1


@TARGET
@pytest.mark.parametrize("estimator", ALL)
def test_a_search_is_cross_validation_of_every_candidate(estimator: Any, target: str) -> None:
    y, made, folds = truth(estimator, target), make(estimator, target=target), KFold(2, shuffle=True, random_state=0)
    name, values = ("alpha", [1e-3, 1e3]) if estimator in ALL[4:] else ("cell", ["lstm", "gru"])
    search = GridSearchCV(made, {name: values}, cv=folds, error_score="raise").fit(X, y)
    scores = [cross_val_score(clone(made).set_params(**{name: v}), X, y, cv=folds) for v in values]
    results = search.cv_results_
    assert np.array_equal(np.column_stack([results[f"split{k}_test_score"] for k in (0, 1)]), scores)
    assert scores[0].tolist() != scores[1].tolist()
    best = values[int(np.argmax([s.mean() for s in scores]))]
    assert search.best_params_ == {name: best}
    assert same_bits(said(search), said(clone(made).set_params(**{name: best}).fit(X, y)))
