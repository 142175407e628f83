"""NRNM estimators: classes of sequences, labels of steps, distances; and the look into their memory."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline

from skseqmetric import NRNMClassifier, NRNMMetric, NRNMStepClassifier, SequenceKNeighborsClassifier, inspection
from skseqmetric._memory_network import MemoryNetwork
from skseqmetric._ops.memory import MemoryForm
from skseqmetric.metrics import step_accuracy, step_f1_score, step_macro_f1_scorer

SMALL: dict[str, Any] = {"n_units": 8, "stem_channels": 8, "max_epochs": 4, "min_batches": 4, "random_state": 0}
Data = tuple[list[np.ndarray], np.ndarray]
Steps = tuple[list[np.ndarray], list[np.ndarray]]


@pytest.fixture(scope="module")
def labelled_steps() -> Steps:
    """Whether the running sum of the first channel is positive: the whole past matters, the future does not."""
    rng = np.random.default_rng(5)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(12, 30, 24)]
    return X, [np.where(np.cumsum(x[:, 0]) > 0, "up", "down") for x in X]


# ------------------------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("memory_input", ["pooled", "tokens"])
def test_padding_and_company_change_nothing(cell: str, memory_input: str) -> None:
    generator = torch.Generator().manual_seed(0)
    network = MemoryNetwork(
        3, 8, form=MemoryForm(cell, 2, 2, 2, True, memory_input), n_layers=2, head="steps", n_outputs=4,
        stem_channels=5, strides=(1, 1), dropout=0.1, zoneout=0.2, memory_dropout=0.5, generator=generator,
    ).eval()  # fmt: skip
    lengths = torch.tensor([17, 3, 11])
    values = torch.randn(3, 17, 3, generator=generator) * (torch.arange(17) < lengths[:, None])[..., None]
    with torch.no_grad():
        together = network(values, lengths)
        for i, n in enumerate(lengths.tolist()):
            alone = network(values[i : i + 1, :n], lengths[i : i + 1])
            torch.testing.assert_close(together[i, :n], alone[0], rtol=1e-4, atol=1e-5)


def test_noise_of_training_is_drawn_for_each_sequence_and_only_with_a_generator() -> None:
    start = torch.Generator().manual_seed(0)
    network = MemoryNetwork(
        2, 8, form=MemoryForm("lstm", 2, 2, 2), n_layers=1, head="sequence", n_outputs=3, stem_channels=None,
        strides=(1, 1), dropout=0.0, zoneout=0.3, memory_dropout=0.5, generator=start,
    )  # fmt: skip
    values, lengths = torch.ones(2, 12, 2), torch.tensor([12, 12])
    quiet = network(values, lengths)
    assert torch.equal(quiet[0], quiet[1])
    noisy = network(values, lengths, torch.Generator().manual_seed(1))
    assert not torch.equal(noisy[0], noisy[1])
    assert torch.equal(noisy, network(values, lengths, torch.Generator().manual_seed(1)))


# --------------------------------------------------------------------------------------------------------- classifier


def test_classifier_learns_and_its_answers_agree(ragged: Data) -> None:
    X, y = ragged
    names = np.array(["a", "b", "c"])[np.unique(y, return_inverse=True)[1]]
    classifier = NRNMClassifier(**{**SMALL, "max_epochs": 30}).fit(X, names)
    assert classifier.score(X, names) > 0.9
    probabilities, scores = classifier.predict_proba(X), classifier.decision_function(X)
    assert probabilities.shape == scores.shape == (len(X), len(classifier.classes_))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(classifier.classes_[probabilities.argmax(axis=1)], classifier.predict(X))
    assert np.array_equal(scores.argmax(axis=1), probabilities.argmax(axis=1))


def test_two_classes_have_one_score(ragged: Data) -> None:
    X, y = ragged
    classifier = NRNMClassifier(**SMALL).fit(X, y == y[0])
    scores = classifier.decision_function(X)
    assert scores.shape == (len(X),)
    assert np.array_equal(scores > 0, classifier.predict(X))
    np.testing.assert_allclose(classifier.predict_proba(X)[:, 1], 1 / (1 + np.exp(-scores.astype(float))), rtol=1e-5)


def test_last_state_is_a_feature_for_any_classifier(ragged: Data) -> None:
    X, y = ragged
    pipeline = make_pipeline(NRNMClassifier(**SMALL), LogisticRegression()).fit(X, y)
    assert pipeline[:-1].transform(X).shape == (len(X), 8)
    assert list(pipeline[0].get_feature_names_out())[:2] == ["nrnmclassifier0", "nrnmclassifier1"]


def test_order_of_the_data_does_not_matter(ragged: Data) -> None:
    X, y = ragged
    turned = np.random.default_rng(0).permutation(len(X))
    classifier = NRNMClassifier(**SMALL).fit(X, y)
    other = NRNMClassifier(**SMALL).fit([X[i] for i in turned], y[turned])
    assert np.array_equal(classifier.decision_function(X), other.decision_function(X))


def test_weight_two_is_the_sequence_twice_and_class_weight_the_same_for_a_class(ragged: Data) -> None:
    X, y = ragged
    weights = np.where(y == y[0], 2.0, 1.0)
    twice = [i for i in range(len(X)) for _ in range(int(weights[i]))]
    weighted = NRNMClassifier(**SMALL).fit(X, y, sample_weight=weights).decision_function(X)
    repeated = NRNMClassifier(**SMALL).fit([X[i] for i in twice], y[twice]).decision_function(X)
    assert np.array_equal(weighted, repeated)
    scaling_aside = {**SMALL, "scaling": None}
    by_class = NRNMClassifier(**scaling_aside, class_weight={y[0]: 2.0}).fit(X, y).decision_function(X)
    by_weight = NRNMClassifier(**scaling_aside).fit(X, y, sample_weight=weights).decision_function(X)
    np.testing.assert_allclose(by_class, by_weight, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="class_weight names 'nobody'"):
        NRNMClassifier(**SMALL, class_weight={"nobody": 2.0}).fit(X, y)


def test_balanced_weights_help_the_rare_class() -> None:
    rng = np.random.default_rng(0)
    y = np.r_[np.zeros(57, int), np.ones(3, int)]
    X = [rng.normal(size=(10, 1)) + 0.4 * label for label in y]
    shares = [
        NRNMClassifier(**{**SMALL, "augment": None, "max_epochs": 15}, class_weight=w).fit(X, y).predict(X).mean()
        for w in (None, "balanced")
    ]
    assert shares[1] > shares[0]


def test_partial_fit_and_warm_start_keep_the_classes(ragged: Data) -> None:
    X, y = ragged
    classifier = NRNMClassifier(**SMALL).partial_fit(X[:8], y[:8], classes=np.unique(y))
    assert np.array_equal(classifier.classes_, np.unique(y))
    classifier.partial_fit(X[8:16], y[8:16])
    assert classifier.n_iter_ == 2
    with pytest.raises(ValueError, match="label 99, which is not among the classes"):
        classifier.partial_fit(X[:2], [99, 99])
    warm = NRNMClassifier(**SMALL, warm_start=True).fit(X, y)
    assert warm.fit(X, y).n_iter_ == 2 * SMALL["max_epochs"]
    with pytest.raises(ValueError, match="not among the classes"):
        warm.fit(X, np.where(y == y[0], 99, y))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_heads": 3}, "n_units=8 is not divisible by n_heads=3"),
        ({"window": 10}, "window=10 is not a multiple of n_slots=4"),
        ({"window": 12, "stride": 2}, r"window=12 is not n_slots \* stride = 4 \* 2"),
        ({"window": 400}, "= 400 recurrent steps, but the longest training sequence has"),
        ({"stride": 50}, "4 \\* 50 = 200 recurrent steps, but the longest training sequence has"),
        ({"cell": "transformer"}, "cell"),
    ],
)
def test_what_cannot_be_is_refused_and_named(ragged: Data, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NRNMClassifier(**{**SMALL, **wrong}).fit(*ragged)


@pytest.mark.parametrize(
    ("settings", "window"),
    [({}, None), ({"window": 8}, 8), ({"stride": 1}, 4), ({"window": None}, 0), ({"n_slots": 1, "stride": 3}, 3)],
)
def test_window(ragged: Data, settings: dict[str, Any], window: int | None) -> None:
    X, y = ragged
    classifier = NRNMClassifier(**{**SMALL, "stem_channels": None, "max_epochs": 1}, **settings).fit(X, y)
    quarter = max(len(x) for x in X) / 4
    if window is None:
        assert 0.5 * quarter <= classifier.window_ <= 2 * quarter
    else:
        assert (classifier.window_ or 0) == window


def test_without_memory_it_is_the_plain_backbone(ragged: Data) -> None:
    """The same weights but for the read-out of the memory, which is 0, give the same scores."""
    X, y = ragged
    plain = NRNMClassifier(**SMALL, window=None).fit(X, y)
    scores = plain.decision_function(X)
    with torch.no_grad():
        for layer in plain.module_.memory_layers():
            layer.read.zero_()
    assert np.array_equal(plain.decision_function(X), scores)
    assert not np.array_equal(NRNMClassifier(**SMALL).fit(X, y).decision_function(X), scores)
    with pytest.raises(ValueError, match="it has no memory"):
        plain.memory_states(X)


@pytest.mark.parametrize("estimator", [NRNMClassifier, NRNMMetric])
def test_pickled_and_cloned(ragged: Data, estimator: Any) -> None:
    X, y = ragged
    fitted = estimator(**SMALL).fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.transform(X), fitted.transform(X))
    assert np.array_equal(clone(fitted).fit(X, y).transform(X), fitted.transform(X))
    assert np.array_equal(copy.deepcopy(fitted).transform(X), fitted.transform(X))


def test_early_stopping_keeps_groups_together(ragged: Data) -> None:
    X, y = ragged
    fitted = NRNMClassifier(**SMALL, early_stopping=True, validation_fraction=0.3)
    fitted.fit(X, y, groups=np.arange(len(X)) // 4)
    assert "valid_loss" in fitted.history_[0]


# -------------------------------------------------------------------------------------------------------------- steps


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


@pytest.mark.parametrize("stem_channels", [None, 8])
@pytest.mark.parametrize("memory_input", ["pooled", "tokens"])
def test_the_future_changes_nothing(labelled_steps: Steps, stem_channels: int | None, memory_input: str) -> None:
    X, y = labelled_steps
    settings = {**SMALL, "stem_channels": stem_channels, "memory_input": memory_input, "n_layers": 2}
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
    first, state = labeller.predict_step(X[0][0])
    second = labeller.predict_step(X[0][1], state)[0]
    assert labeller.predict_step(X[0][1], state)[0] == second  # the state given is not changed
    assert [first, second] == labeller.predict(X[:1])[0][:2].tolist()
    with pytest.raises(ValueError, match=r"shape \(3,\), but a step of this estimator has shape \(2,\)"):
        labeller.predict_step([0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="not finite in channel 1"):
        labeller.predict_step([0.0, np.nan])


def test_streamed_states_equal_those_of_the_batch(labelled_steps: Steps) -> None:
    X, y = labelled_steps
    labeller = NRNMStepClassifier(**SMALL).fit(X, y)
    state, longest = None, max(X, key=len)
    for x in longest:
        _, state = labeller.predict_step(x, state)
    memory = labeller.memory_states([longest]).memory[0]
    written = (len(longest) - 1) // labeller.window_
    np.testing.assert_allclose(state.layers[0].memory[0], memory[written - 1], rtol=1e-4, atol=1e-5)


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


def test_steps_in_cross_validation_and_grid_search(labelled_steps: Steps) -> None:
    X, y = labelled_steps
    labeller = NRNMStepClassifier(**SMALL)
    found = cross_validate(labeller, X, y, cv=KFold(2), scoring={"f1": step_macro_f1_scorer}, error_score="raise")
    assert len(found["test_f1"]) == 2
    search = GridSearchCV(labeller, {"n_units": [4, 8]}, cv=KFold(2), error_score="raise").fit(X, y)
    assert len(search.predict(X[:2])[0]) == len(X[0])
    assert 0 < search.best_score_ <= 1


def test_sample_weight_of_steps(labelled_steps: Steps) -> None:
    X, y = labelled_steps
    weights = np.r_[2.0, np.ones(len(X) - 2), 0.0]
    weighted = NRNMStepClassifier(**SMALL).fit(X, y, sample_weight=weights).predict_proba(X)
    repeated = NRNMStepClassifier(**SMALL).fit([X[0], *X[:-1]], [y[0], *y[:-1]]).predict_proba(X)
    for a, b in zip(weighted, repeated, strict=True):
        assert np.array_equal(a, b)


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


# ------------------------------------------------------------------------------------------------------------- metric


def test_metric_is_the_distance_of_points_on_the_sphere(ragged: Data) -> None:
    X, y = ragged
    metric = NRNMMetric(**SMALL, n_outputs=5).fit(X, y)
    points = metric.transform(X).astype(np.float64)
    assert points.shape == (len(X), 5)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-5)
    D = metric.pairwise_distances(X)
    assert np.array_equal(D, D.T)
    assert (np.diag(D) == 0).all()
    np.testing.assert_allclose(D, np.linalg.norm(points[:, None] - points, axis=2), atol=1e-5)
    assert (D[:, :, None] <= D[:, None, :] + D.T[None] + 1e-6).all()
    np.testing.assert_allclose(metric.pair_distance(X[:5], X[5:10]), D[np.arange(5), np.arange(5, 10)], atol=1e-6)


@pytest.mark.parametrize("loss", ["nca", "contrastive", "triplet"])
def test_metric_learns_neighbours(ragged: Data, loss: str) -> None:
    X, y = ragged
    knn = SequenceKNeighborsClassifier(NRNMMetric(**{**SMALL, "max_epochs": 20}, loss=loss), n_neighbors=3)
    assert knn.fit(X, y).score(X, y) > 0.8


@pytest.mark.parametrize("loss", ["contrastive", "logistic"])
def test_metric_learns_from_pairs(ragged: Data, loss: str) -> None:
    X, y = ragged
    pairs = np.array([(i, j) for i in range(len(X)) for j in range(i)])
    same = np.where(y[pairs[:, 0]] == y[pairs[:, 1]], 1, -1)
    metric = NRNMMetric(**SMALL, loss=loss).fit_pairs(X, pairs, same)
    distance = metric.pair_distance([X[i] for i in pairs[:, 0]], [X[j] for j in pairs[:, 1]])
    assert distance[same > 0].mean() < distance[same < 0].mean()
    metric.calibrate_threshold(X, pairs, same)
    assert (metric.predict_pairs(X, pairs) == same).mean() > 0.7


# ------------------------------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize("memory_input", ["pooled", "tokens"])
def test_memory_states(ragged: Data, memory_input: str) -> None:
    X, y = ragged
    settings = {**SMALL, "stem_channels": None, "n_slots": 2, "stride": 2, "n_heads": 2, "memory_input": memory_input}
    classifier = NRNMClassifier(**settings).fit(X, y)
    states = classifier.memory_states(X)
    n_tokens = 2 + (1 if memory_input == "pooled" else 2)
    for x, memory, maps, steps in zip(X, states.memory, states.attention, states.steps, strict=True):
        n_updates = -(-len(x) // 4)
        assert memory.shape == (n_updates, 2, 8)
        assert maps.shape == (n_updates, 2, n_tokens, n_tokens)
        assert np.array_equal(steps.ravel()[steps.ravel() >= 0], np.arange(0, len(x), 2))
        sums = maps[:, :, :2].sum(axis=3)
        np.testing.assert_allclose(sums, (steps >= 0)[:, None] * np.ones((1, 2, 1)), atol=1e-5)
    assert NRNMClassifier(**settings, attention=False).fit(X, y).memory_states(X).attention is None


def test_attention_display(ragged: Data) -> None:
    pytest.importorskip("matplotlib.pyplot")
    from matplotlib.figure import Figure

    X, y = ragged
    classifier = NRNMClassifier(**SMALL).fit(X, y)
    axes = Figure().subplots()
    display = inspection.AttentionDisplay.from_estimator(classifier, X[0], ax=axes)
    image = axes.images[0].get_array()
    n_slots = display.steps.shape[1]
    assert image.shape == (n_slots, display.steps.size)
    assert np.nanmax(image) <= 1
    one = inspection.AttentionDisplay.from_estimator(classifier, X[0], head=0, ax=Figure().subplots())
    assert not np.array_equal(one.weights, display.weights, equal_nan=True)
    without = NRNMClassifier(**SMALL, attention=False).fit(X, y)
    with pytest.raises(ValueError, match="attention=False"):
        inspection.AttentionDisplay.from_estimator(without, X[0])
