"""Metrics whose pairs match their states: the distance is what the docstring says, for both networks."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from skseqmetric import NRNMMetric, SequenceKNeighborsClassifier, SyncGRUMetric

SMALL: dict[str, Any] = {"n_filters": 6, "max_epochs": 2, "min_batches": 3, "batch_size": 8, "random_state": 0}
MADE = [
    SyncGRUMetric(5, coupling="alignment", n_places=7, **SMALL),
    SyncGRUMetric(5, coupling="alignment", n_places=1, bidirectional=False, pooling="last", **SMALL),
    SyncGRUMetric(5, coupling="alignment", pooled_weight=2.5, pooling="both", max_recurrent_steps=6, **SMALL),
    NRNMMetric(4, coupling="alignment", n_places=9, pooled_weight=0.5, **SMALL),
    NRNMMetric(4, coupling="alignment", max_recurrent_steps=5, **SMALL),
]
RNG = np.random.default_rng(0)
LENGTHS = (3, 12, 9, 17, 1, 8, 2, 11, 9, 30)
X = [RNG.normal(size=(n, 2)) + i % 2 for i, n in enumerate(LENGTHS)]
LABELS = np.arange(len(X)) % 2


@pytest.fixture(scope="module", params=MADE, ids=lambda made: f"{type(made).__name__}-{made.n_places}")
def metric(request: pytest.FixtureRequest) -> Any:
    return copy.deepcopy(request.param).fit(X, LABELS)


def at_places(states: np.ndarray, n_places: int) -> np.ndarray:
    """The states resampled over the length of the sequence; a single place is the middle."""
    where = np.linspace(0, len(states) - 1, n_places) if n_places > 1 else [(len(states) - 1) / 2]
    return np.stack([np.interp(where, np.arange(len(states)), h) for h in states.T.astype(np.float64)], axis=1)


def defined(metric: Any) -> np.ndarray:
    """Distances (n, n) from hidden states and embeddings, as the docstring defines them."""
    places = np.stack([at_places(states, metric.n_places) for states in metric.hidden_states(X)])
    embeddings = metric.transform(X).astype(np.float64)
    costs = np.square(places[:, np.newaxis, :, np.newaxis] - places[np.newaxis, :, np.newaxis]).sum(-1)
    between = np.square(embeddings[:, np.newaxis] - embeddings).sum(-1)
    return np.sqrt(costs.min(3).mean(2) + costs.min(2).mean(2) + metric.pooled_weight * between)


def test_the_distance_is_that_of_the_matched_states(metric: Any) -> None:
    np.testing.assert_allclose(metric.pairwise_distances(X), defined(metric), rtol=1e-4, atol=1e-5)


def test_it_is_symmetric_to_the_bit_and_zero_only_for_equal_sequences(metric: Any) -> None:
    n = len(X)
    i, j = (part.ravel() for part in np.indices((n, n)))
    one_way = metric.pair_distance([X[k] for k in i], [X[k] for k in j]).reshape(n, n)
    np.testing.assert_array_equal(one_way, one_way.T)
    np.testing.assert_array_equal(one_way, metric.pairwise_distances(X))
    np.testing.assert_array_equal(one_way == 0, np.eye(n, dtype=bool))


def test_a_shortlist_of_all_references_finds_what_the_exact_search_finds(metric: Any) -> None:
    found = []
    for algorithm in ({"algorithm": "exact"}, {"algorithm": "rerank", "n_candidates": len(X)}):
        knn = SequenceKNeighborsClassifier(FrozenEstimator(metric), n_neighbors=3, **algorithm).fit(X, LABELS)
        found.append(knn.kneighbors(X))
    for exact, reranked in zip(*found, strict=True):
        np.testing.assert_array_equal(exact, reranked)


def test_parameters_set_after_the_fit_change_no_distance(metric: Any) -> None:
    changed = copy.deepcopy(metric).set_params(coupling=None, n_places=2, pooled_weight=9.0)
    np.testing.assert_array_equal(changed.pairwise_distances(X), metric.pairwise_distances(X))


@pytest.mark.parametrize("made", MADE[:1] + MADE[3:4], ids=lambda made: type(made).__name__)
@pytest.mark.parametrize("loss", ["nca", "contrastive", "triplet"])
def test_the_loss_of_matched_distances_falls(made: Any, loss: str) -> None:
    settings = {"loss": loss, "embedding_weight": 0.0, "max_epochs": 12, "augment": None, "dropout": 0.0}
    fitted = copy.deepcopy(made).set_params(**settings).fit(X, LABELS)
    assert fitted.history_[-1]["train_loss"] < 0.95 * fitted.history_[0]["train_loss"]


def test_with_embedding_weight_0_and_no_pooled_part_the_map_to_the_embedding_learns_nothing() -> None:
    settings = {"coupling": "alignment", "pooled_weight": 0.0, "weight_decay": 0.0, **SMALL}
    trained = NRNMMetric(4, embedding_weight=0.0, **settings).fit(X, LABELS)
    longer = copy.deepcopy(trained).set_params(max_epochs=4).fit(X, LABELS)
    np.testing.assert_array_equal(trained.module_.head.weight.detach(), longer.module_.head.weight.detach())
    assert np.abs(trained.pairwise_distances(X) - longer.pairwise_distances(X)).max() > 1e-3


@pytest.mark.parametrize("made", MADE[:1] + MADE[3:4], ids=lambda made: type(made).__name__)
def test_a_callable_loss_trains_the_embedding_beside_the_matched_distances(made: Any) -> None:
    def none(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return 0 * embeddings.sum()

    def apart(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return -embeddings.var()

    first, second = (copy.deepcopy(made).set_params(loss=loss).fit(X, LABELS) for loss in (none, apart))
    assert np.abs(first.pairwise_distances(X) - second.pairwise_distances(X)).max() > 1e-3


@pytest.mark.parametrize("cls", [SyncGRUMetric, NRNMMetric])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"coupling": "matched"}, "coupling"),
        ({"n_places": 0}, "n_places"),
        ({"n_places": 2.5}, "n_places"),
        ({"pooled_weight": -1.0}, "pooled_weight"),
        ({"pooled_weight": np.nan}, "pooled_weight"),
        ({"embedding_weight": -0.5}, "embedding_weight"),
        ({"embedding_weight": "none"}, "embedding_weight"),
    ],
)
def test_wrong_parameters_are_refused_by_name(cls: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cls(**{**SMALL, "coupling": "alignment", **settings}).fit(X, LABELS)
