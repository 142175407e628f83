"""NRNMClassifier and NRNMMetric: classes of sequences, distances, and the look into their memory."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skseqmetric import NRNMClassifier, NRNMMetric, SequenceKNeighborsClassifier, inspection
from skseqmetric._ops.memory import MemoryState, memory_step

SMALL: dict[str, Any] = {"n_units": 8, "n_filters": 8, "max_epochs": 4, "min_batches": 4, "random_state": 0}
Data = tuple[list[np.ndarray], np.ndarray]


# ------------------------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("memory_input", ["pooled", "tokens"])
@torch.no_grad()
def test_padding_and_company_change_nothing(cell: str, memory_input: str) -> None:
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 3)) for n in (17, 3, 11)]
    settings = {**SMALL, "n_layers": 2, "n_slots": 2, "stride": 2, "n_heads": 2, "max_epochs": 1}
    fitted = NRNMClassifier(**settings, cell=cell, memory_input=memory_input, target="step")
    network = fitted.fit(X, [np.arange(len(x)) % 4 for x in X]).module_
    lengths = torch.tensor([len(x) for x in X])
    for fill in (0.0, 1e6):
        values = torch.full((3, 20, 3), fill, dtype=torch.float32)
        for row, x in zip(values, X, strict=True):
            row[: len(x)] = torch.from_numpy(x)
        together = network(values, lengths)
        for i, n in enumerate(lengths.tolist()):
            alone = network(values[i : i + 1, :n], lengths[i : i + 1])
            torch.testing.assert_close(together[i, :n], alone[0], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_noise_of_training_is_drawn_for_each_sequence_and_only_with_a_generator(ragged: Data) -> None:
    settings = {**SMALL, "n_filters": None, "stride": 2, "n_slots": 2, "n_heads": 2, "zoneout": 0.3}
    network = NRNMClassifier(**settings).fit(*ragged).module_
    values, lengths = torch.ones(2, 12, 2), torch.tensor([12, 12])
    quiet = network(values, lengths)
    assert torch.equal(quiet[0], quiet[1])
    assert torch.equal(quiet, network(values, lengths))
    noisy = network(values, lengths, torch.Generator().manual_seed(1))
    assert not torch.equal(noisy[0], noisy[1])
    assert torch.equal(noisy, network(values, lengths, torch.Generator().manual_seed(1)))
    assert not torch.equal(noisy, network(values, lengths, torch.Generator().manual_seed(2)))


@torch.no_grad()
def test_a_new_network_forgets_slowly_and_writes_by_half(ragged: Data) -> None:
    made = NRNMClassifier(**{**SMALL, "max_epochs": 1}, n_slots=2, stride=1, n_heads=2).fit(*ragged)
    layer = type(made.module_)(**made.network_config_).memory_layers()[0]
    weights, generator = layer.weights(), torch.Generator().manual_seed(0)
    zeros = torch.zeros(1, 8, dtype=torch.float32)

    def after(memory: torch.Tensor, hidden: torch.Tensor) -> MemoryState:
        """One step behind a block of two states without input, on top of a memory."""
        inputs = torch.zeros(1, layer.input.shape[1], dtype=torch.float32)
        before = MemoryState(
            2, zeros, torch.ones(1, 8, dtype=torch.float32), memory, (inputs, inputs), (hidden, hidden)
        )
        return memory_step(inputs, before, weights)

    # with nothing to write G_f = sigma(1) is left of the memory, and as much of c
    faint = torch.full((1, 2, 8), 1e-6, dtype=torch.float32)
    kept = after(faint, zeros)
    torch.testing.assert_close(
        kept.memory / faint, torch.full_like(kept.memory, 1 / (1 + np.exp(-1))), rtol=1e-4, atol=0
    )
    torch.testing.assert_close(kept.c, torch.full_like(kept.c, 1 / (1 + np.exp(-1))), rtol=1e-4, atol=0)
    # G_i = sigma(0) of the candidate is written: half of what an open gate writes
    hidden = torch.randn(1, 8, generator=generator, dtype=torch.float32)
    written = after(0 * faint, hidden).memory
    layer.update_bias[:8] = 50.0
    torch.testing.assert_close(written, after(0 * faint, hidden).memory / 2)
    assert written.abs().min() > 0


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


def test_pooled_states_are_features_for_any_classifier(ragged: Data) -> None:
    X, y = ragged
    pipeline = make_pipeline(NRNMClassifier(**SMALL), LogisticRegression()).fit(X, y)
    features = [states.mean(axis=0) for states in pipeline[0].hidden_states(X)]
    np.testing.assert_allclose(pipeline[:-1].transform(X), features, rtol=1e-4, atol=1e-5)
    expected = LogisticRegression().fit(pipeline[:-1].transform(X), y).predict_proba(pipeline[:-1].transform(X))
    assert np.array_equal(pipeline.predict_proba(X), expected)
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


@pytest.mark.slow
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
        ({"window": 4, "stride": 50}, "4 \\* 50 = 200 recurrent steps, but the longest training sequence has"),
        ({"window": 300, "stride": 1}, "window = 300 recurrent steps, but the longest training sequence has"),
        ({"window": 400}, "= 400 recurrent steps, but the longest training sequence has"),
        ({"stride": 50}, "4 \\* 50 = 200 recurrent steps, but the longest training sequence has"),
        ({"cell": "transformer"}, "cell"),
    ],
)
def test_what_cannot_be_is_refused_and_named(ragged: Data, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NRNMClassifier(**{**SMALL, **wrong}).fit(*ragged)


@pytest.mark.parametrize("wrong", [{"window": 400}, {"class_weight": {"nobody": 2.0}}])
def test_a_refused_fit_leaves_what_was_there(ragged: Data, wrong: dict[str, Any]) -> None:
    X, y = ragged
    classifier = NRNMClassifier(**SMALL, **wrong)
    with pytest.raises(ValueError, match=r"never be read|names 'nobody'"):
        classifier.fit(X, y)
    with pytest.raises(NotFittedError):
        classifier.predict(X)
    classifier = NRNMClassifier(**SMALL).fit(X, y)
    before = classifier.decision_function(X)
    with pytest.raises(ValueError, match=r"never be read|names 'nobody'"):
        classifier.set_params(**wrong).fit(X, y == y[0])
    assert np.array_equal(classifier.decision_function(X), before)
    assert np.array_equal(classifier.classes_, np.unique(y))


def test_a_later_part_may_be_shorter_than_the_window(ragged: Data) -> None:
    X, y = ragged
    classifier = NRNMClassifier(**SMALL, window=8).partial_fit(X, y)
    assert classifier.partial_fit([x[:3] for x in X], y).n_iter_ == 2


@pytest.mark.parametrize(
    ("settings", "window"),
    [({}, None), ({"window": 8}, 8), ({"stride": 1}, 4), ({"window": None}, 0), ({"n_slots": 1, "stride": 3}, 3)],
)
def test_window(ragged: Data, settings: dict[str, Any], window: int | None) -> None:
    X, y = ragged
    classifier = NRNMClassifier(**{**SMALL, "n_filters": None, "max_epochs": 1}, **settings).fit(X, y)
    quarter = max(len(x) for x in X) / 4
    if window is None:
        assert 0.5 * quarter <= classifier.window_ <= 2 * quarter
    else:
        assert (classifier.window_ or 0) == window


def test_without_memory_it_is_the_plain_backbone(ragged: Data) -> None:
    """The weights that read the memory have no effect: with others in their place the scores are the same."""
    X, y = ragged
    plain = NRNMClassifier(**SMALL, window=None).fit(X, y)
    scores = plain.decision_function(X)
    with torch.no_grad():
        for layer in plain.module_.memory_layers():
            layer.read.fill_(7.0)
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


@pytest.mark.cuda
@pytest.mark.parametrize("estimator", [NRNMClassifier, NRNMMetric])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_cuda_trains_and_agrees_with_the_cpu(ragged: Data, estimator: Any, cell: str) -> None:
    X, y = ragged
    fitted = estimator(**{**SMALL, "max_epochs": 8, "device": "cuda"}, cell=cell).fit(X, y)
    assert fitted.history_[-1]["train_loss"] < fitted.history_[0]["train_loss"]
    on_gpu = fitted.transform(X)
    fitted.device = "cpu"
    loaded = pickle.loads(pickle.dumps(fitted))
    assert next(loaded.module_.parameters()).device.type == "cpu"
    np.testing.assert_allclose(loaded.transform(X), on_gpu, rtol=1e-3, atol=1e-4)


def test_early_stopping_keeps_groups_together(ragged: Data) -> None:
    X, y = ragged
    fitted = NRNMClassifier(**SMALL, early_stopping=True, validation_fraction=0.3)
    fitted.fit(X, y, groups=np.arange(len(X)) // 4)
    assert all(np.isfinite(row["valid_loss"]) for row in fitted.history_)
    # two groups of sequences that say nothing of each other: what is held out is one of them, whole
    apart = clone(fitted).fit(X, y, groups=np.arange(len(X)) % 2)
    sides = [NRNMClassifier(**SMALL).fit(X[k::2], y[k::2]).mean_ for k in (0, 1)]
    assert any(np.allclose(apart.mean_, side, rtol=1e-12) for side in sides)


# ------------------------------------------------------------------------------------------------------------- metric


def test_metric_is_the_distance_of_points_on_the_sphere(ragged: Data) -> None:
    X, y = ragged
    metric = NRNMMetric(**SMALL, n_components=5).fit(X, y)
    points = metric.transform(X).astype(np.float64)
    assert points.shape == (len(X), 5)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-5)
    D = metric.pairwise_distances(X)
    assert np.array_equal(D, D.T)
    assert (np.diag(D) == 0).all()
    np.testing.assert_allclose(D, np.linalg.norm(points[:, None] - points, axis=2), atol=1e-5)
    assert (D[:, :, None] <= D[:, None, :] + D.T[None] + 1e-6).all()
    np.testing.assert_allclose(metric.pair_distance(X[:5], X[5:10]), D[np.arange(5), np.arange(5, 10)], atol=1e-6)


@pytest.mark.parametrize(
    "loss", ["nca", *(pytest.param(loss, marks=pytest.mark.slow) for loss in ("contrastive", "triplet"))]
)
def test_metric_learns_neighbours(ragged: Data, loss: str) -> None:
    X, y = ragged
    knn = SequenceKNeighborsClassifier(NRNMMetric(**{**SMALL, "max_epochs": 20}, loss=loss), n_neighbors=3)
    assert knn.fit(X, y).score(X, y) > 0.8


@pytest.mark.parametrize("loss", ["contrastive", pytest.param("logistic", marks=pytest.mark.slow)])
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
    settings = {**SMALL, "n_filters": None, "n_slots": 2, "stride": 2, "n_heads": 2, "memory_input": memory_input}
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
