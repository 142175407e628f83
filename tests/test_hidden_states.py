"""The states of every recurrent estimator: its outputs follow from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skseqmetric import (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    EchoStateClassifier,
    NRNMClassifier,
    NRNMMetric,
    NRNMStepClassifier,
    RecurrentClassifier,
    SyncGRUMetric,
)
from skseqmetric.inspection import hidden_states
from tests.fake_recurrent import LeakySum

Data = tuple[list[np.ndarray], np.ndarray]
SMALL: dict[str, Any] = {"n_units": 8, "n_filters": 8, "max_epochs": 2, "min_batches": 2, "random_state": 0}
# float32 sums over states, in another order
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-6}


def means(states: list[np.ndarray]) -> np.ndarray:
    return np.stack([h.mean(axis=0) for h in states])


def assert_states_close(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(found) == len(expected)
    for h, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(h, e, **CLOSE)


# ------------------------------------------------------------------ networks with memory
@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("n_filters", [None, 8])
def test_features_of_the_memory_network_are_its_pooled_states(
    ragged: Data, pooling: str, n_filters: int | None
) -> None:
    settings = {**SMALL, "pooling": pooling, "n_filters": n_filters, "max_recurrent_steps": 6}
    classifier = NRNMClassifier(**settings).fit(*ragged)
    states = classifier.hidden_states(ragged[0])
    factor = 1 if n_filters is None else 2  # 12 steps become 6
    assert [h.shape for h in states] == [(-(-len(x) // factor), 8) for x in ragged[0]]
    assert {h.dtype for h in states} == {np.dtype(np.float32)}
    read = means(states) if pooling == "mean" else np.stack([h[-1] for h in states])
    np.testing.assert_allclose(classifier.transform(ragged[0]), read, **CLOSE)


def test_embedding_of_the_memory_metric_follows_from_its_states(ragged: Data) -> None:
    metric = NRNMMetric(**SMALL, n_components=5).fit(*ragged)
    head = metric.module_.head
    with torch.no_grad():
        embedded = head(torch.from_numpy(means(metric.hidden_states(ragged[0])))).numpy()
    expected = embedded / np.linalg.norm(embedded, axis=1, keepdims=True)
    np.testing.assert_allclose(metric.transform(ragged[0]), expected, **CLOSE)


def test_step_labels_follow_from_the_states_which_know_no_future(ragged: Data) -> None:
    X = ragged[0]
    labeller = NRNMStepClassifier(**SMALL).fit(X, [np.arange(len(x)) % 2 for x in X])
    states, head = labeller.hidden_states(X), labeller.module_.head
    weights, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    for p, h in zip(labeller.predict_proba(X), states, strict=True):
        np.testing.assert_allclose(p, softmax(h @ weights.T + bias, axis=1), **CLOSE)
    assert_states_close(labeller.hidden_states([x[:4] for x in X]), [h[:4] for h in states])


def test_layers_of_the_memory_network(ragged: Data) -> None:
    classifier = NRNMClassifier(**SMALL, n_layers=2).fit(*ragged)
    first, last = (classifier.hidden_states(ragged[0], layer=layer) for layer in (0, 1))
    assert_states_close(classifier.hidden_states(ragged[0]), last)
    assert_states_close(classifier.hidden_states(ragged[0], layer=-2), first)
    assert not np.allclose(first[0], last[0])
    for layer in (2, -3):
        with pytest.raises(ValueError, match=f"layer={layer} is out of range"):
            classifier.hidden_states(ragged[0], layer=layer)
        with pytest.raises(ValueError, match=f"layer={layer} is out of range"):
            classifier.memory_states(ragged[0], layer=layer)


def test_states_do_not_depend_on_the_rest_of_the_batch(ragged: Data) -> None:
    X, y = ragged
    for estimator in (NRNMClassifier(**SMALL).fit(X, y), SyncGRUMetric(**SMALL).fit(X, y)):
        together = estimator.hidden_states(X)
        assert_states_close([estimator.hidden_states([x])[0] for x in X], together)
        assert_states_close(estimator.hidden_states(X[::-1])[::-1], together)


# ------------------------------------------------------------------ coupled networks
@pytest.fixture(scope="module", params=[None, "scalar", "symmetric", "diffusive"])
def coupled(request: pytest.FixtureRequest) -> SyncGRUMetric:
    rng = np.random.default_rng(3)
    X = [rng.normal(size=(n, 2)) + k % 3 for k, n in enumerate(rng.integers(3, 14, 18))]
    return SyncGRUMetric(**SMALL, coupling=request.param).fit(X, np.arange(18) % 3)


def test_embedding_follows_from_the_free_states(coupled: SyncGRUMetric, ragged: Data) -> None:
    states = coupled.hidden_states(ragged[0])
    assert [h.shape for h in states] == [(len(x), 16) for x in ragged[0]]
    np.testing.assert_allclose(means(states), coupled.transform(ragged[0]), **CLOSE)


def test_both_directions_stand_at_their_own_place(ragged: Data) -> None:
    metric = SyncGRUMetric(**SMALL, pooling="last").fit(*ragged)
    states = metric.hidden_states(ragged[0])
    # the forward half ends at the last step, the backward half at the first
    ends = np.stack([np.append(h[-1, :8], h[0, 8:]) for h in states])
    np.testing.assert_allclose(ends, metric.transform(ragged[0]), **CLOSE)


def test_coupled_halves_give_distance_and_gap(coupled: SyncGRUMetric, ragged: Data) -> None:
    X, Y = ragged[0][:9], ragged[0][9:18]
    first, second = coupled.hidden_states(X, Y)
    assert [len(h) for h in first] == [len(x) for x in X]
    assert [len(h) for h in second] == [len(y) for y in Y]
    apart = np.linalg.norm(means(first) - means(second), axis=1)
    np.testing.assert_allclose(apart, coupled.pair_distance(X, Y), rtol=1e-3, atol=1e-5)
    for h, g, gap in zip(first, second, coupled.synchronization(X, Y), strict=True):
        n = min(len(h), len(g))
        np.testing.assert_allclose(np.linalg.norm(h[:n, :8] - g[:n, :8], axis=1), gap[:n], **CLOSE)


def test_a_sequence_coupled_to_itself_runs_free(coupled: SyncGRUMetric, ragged: Data) -> None:
    free = coupled.hidden_states(ragged[0])
    for half in coupled.hidden_states(ragged[0], ragged[0]):
        assert_states_close(half, free)
    with pytest.raises(ValueError, match="X has 3 sequences and Y has 2"):
        coupled.hidden_states(ragged[0][:3], ragged[0][:2])


# ------------------------------------------------------------------ sequences and images
def test_outputs_of_the_cross_modal_network_follow_from_the_states(ragged: Data) -> None:
    X, y = ragged
    small = {"n_filters": 6, "n_units": 5, "max_epochs": 2, "random_state": 0}
    embedder = CrossModalTripletEmbedder(4, **small).fit(X, y)
    states = embedder.hidden_states(X)
    assert [h.shape for h in states] == [(-(-len(x) // 4), 10) for x in X]
    module = embedder.module_
    with torch.no_grad():
        features = [module.series_encoder.output(torch.from_numpy(h)) for h in states]
        logits = torch.stack([module.series_head(f.mean(0)) for f in features]).numpy()
    np.testing.assert_allclose(embedder.decision_function(X), logits, **CLOSE)
    words = [str(label) for label in y]
    transcriber = CrossModalTranscriber(4, **small).fit(X, words)
    with torch.no_grad():
        steps = [transcriber.module_.series_encoder.output(torch.from_numpy(h)) for h in transcriber.hidden_states(X)]
        scores = [transcriber.module_.series_head(f).log_softmax(1).numpy() for f in steps]
    assert_states_close(transcriber.predict_log_proba(X), scores)


class Every(torch.nn.Module):
    """An encoder of a user: every third step as it is."""

    def forward(self, values: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return values[:, ::3], (lengths + 2) // 3


def test_of_an_encoder_of_ones_own_the_features_are_returned(ragged: Data) -> None:
    X, y = ragged
    embedder = CrossModalTripletEmbedder(4, series_encoder=Every(), scaling=None, max_epochs=2, random_state=0)
    embedder.fit(X, y)
    assert_states_close(embedder.hidden_states(X), [x[::3] for x in X])
    found = hidden_states(embedder, X[:1], initial=False)
    n = len(X[0])
    assert found.steps[0].tolist() == [-(-k * n // len(X[0][::3])) for k in range(1, len(X[0][::3]) + 1)]


# ------------------------------------------------------------------ of prefixes
def test_states_of_every_prefix(ragged: Data) -> None:
    X = ragged[0]
    found = hidden_states(LeakySum(), X)
    for x, h, steps in zip(X, found.states, found.steps, strict=True):
        assert np.array_equal(steps, np.arange(len(x) + 1))
        assert h.shape == (len(x) + 1, 2)
        for n in steps:
            whole = np.float32(0.5) ** np.arange(n)[::-1] @ x[:n].astype(np.float32)
            np.testing.assert_allclose(h[n], whole, rtol=1e-5, atol=1e-6)  # float32 sums of up to 12 terms
    without = hidden_states(LeakySum(), X, initial=False)
    for h, g, n, m in zip(found.states, without.states, found.steps, without.steps, strict=True):
        assert np.array_equal(h[1:], g)
        assert np.array_equal(n[1:], m)


@pytest.mark.parametrize(
    ("n_states", "n_steps", "expected"),
    [
        (3, 3, [1, 2, 3]),
        (1, 1, [1]),
        (1, 3, [3]),
        (3, 5, [2, 4, 5]),
        (3, 10, [4, 8, 10]),
        (2, 10, [8, 10]),
        (2, 16, [8, 16]),
        (4, 10, [3, 5, 8, 10]),  # no power of 2 leaves 4 of 10
        (6, 4, [1, 2, 2, 3, 4, 4]),
    ],
)
def test_input_steps_read_at_every_recurrent_step(n_states: int, n_steps: int, expected: list[int]) -> None:
    class Network:
        def hidden_states(self, X: Any) -> list[np.ndarray]:
            return [np.zeros((n_states, 1), dtype=np.float32) for _ in X]

    (steps,) = hidden_states(Network(), [np.zeros((n_steps, 1))], initial=False).steps
    assert steps.tolist() == expected


def test_steps_where_the_stem_has_strides(ragged: Data) -> None:
    X = ragged[0]
    classifier = NRNMClassifier(**SMALL, max_recurrent_steps=3).fit(*ragged)
    found = hidden_states(classifier, X)
    for x, h, steps in zip(X, found.states, found.steps, strict=True):
        assert len(h) == len(steps) == -(-len(x) // 4) + 1
        assert steps.tolist() == [0, *range(4, len(x), 4), len(x)]
        assert not h[0].any()


def test_states_of_echo_state_and_trained_networks(ragged: Data) -> None:
    X, y = ragged
    reservoir = EchoStateClassifier(12, random_state=0).fit(X, y)
    lstm = RecurrentClassifier(6, max_epochs=2, random_state=0).fit(X, y)
    for estimator in (reservoir, lstm):
        found = hidden_states(estimator, X)
        assert_states_close([h[1:] for h in found.states], estimator.hidden_states(X))
        assert [steps.tolist() for steps in found.steps] == [list(range(len(x) + 1)) for x in X]
    cells = hidden_states(lstm, X, kind="cell")
    assert_states_close([c[1:] for c in cells.states], lstm.hidden_states(X, kind="cell"))
    assert not np.allclose(cells.states[0], found.states[0])


def test_options_reach_the_estimator(ragged: Data) -> None:
    plain, scaled = hidden_states(LeakySum(), ragged[0]), hidden_states(LeakySum(), ragged[0], scale=2.0)
    assert_states_close(scaled.states, [2 * h for h in plain.states])
    with pytest.raises(TypeError, match="layer"):
        hidden_states(LeakySum(), ragged[0], layer=1)


def test_through_a_pipeline_and_a_search(ragged: Data) -> None:
    X, y = ragged
    twice = FunctionTransformer(lambda sequences: [2 * x for x in sequences])
    pipeline = make_pipeline(twice, LeakySum(0.25)).fit(X, y)
    expected = hidden_states(LeakySum(0.25), [2 * x for x in X]).states
    assert_states_close(hidden_states(pipeline, X).states, expected)
    assert_states_close(hidden_states(make_pipeline(LeakySum(0.25)), X).states, hidden_states(LeakySum(0.25), X).states)
    search = GridSearchCV(
        make_pipeline(twice, LeakySum()), {"leakysum__decay": [0.25]}, cv=2, scoring=lambda estimator, X, y: 0.0
    ).fit(X, y)
    assert_states_close(hidden_states(search, X).states, expected)


def test_with_partners(ragged: Data) -> None:
    X, Y = ragged[0][:6], ragged[0][6:12]
    metric = SyncGRUMetric(**SMALL, coupling="symmetric").fit(*ragged)
    found = hidden_states(metric, X, Y)
    for half, states, steps, given in zip(
        metric.hidden_states(X, Y),
        (found.states, found.partner_states),
        (found.steps, found.partner_steps),
        (X, Y),
        strict=True,
    ):
        assert_states_close([h[1:] for h in states], half)
        assert [s[-1] for s in steps] == [len(x) for x in given]


def test_what_has_no_states_is_refused(ragged: Data) -> None:
    with pytest.raises(TypeError, match="PCA has no recurrent states: pass a fitted recurrent estimator"):
        hidden_states(PCA(2), ragged[0])
    with pytest.raises(TypeError, match="PCA has no recurrent states"):
        hidden_states(make_pipeline(FunctionTransformer(), PCA(2)), ragged[0])
    for estimator in (NRNMClassifier(), SyncGRUMetric(), CrossModalTripletEmbedder()):
        with pytest.raises(NotFittedError):
            hidden_states(estimator, ragged[0])
