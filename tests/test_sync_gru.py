"""SyncGRUMetric: laws of the distance, and what it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from skseqmetric import SequenceKNeighborsClassifier, SyncGRUMetric
from skseqmetric._input import check_sequences
from skseqmetric._networks.stem import stem_strides
from skseqmetric._ops.reference import gru as reference

COUPLINGS = [None, "scalar", "symmetric", "diffusive"]
SMALL: dict[str, Any] = {"n_units": 8, "n_filters": 8, "max_epochs": 4, "min_batches": 4, "random_state": 0}
Data = tuple[list[np.ndarray], np.ndarray]


@pytest.fixture(scope="module", params=COUPLINGS)
def fitted(request: pytest.FixtureRequest) -> SyncGRUMetric:
    rng = np.random.default_rng(3)
    X = [rng.normal(size=(n, 2)) + k % 3 for k, n in enumerate(rng.integers(3, 14, 18))]
    return SyncGRUMetric(**SMALL, coupling=request.param).fit(X, np.arange(18) % 3)


def test_distance_is_symmetric_to_the_bit_and_zero_to_itself(fitted: SyncGRUMetric, ragged: Data) -> None:
    X = ragged[0]
    D = fitted.pairwise_distances(X)
    assert np.array_equal(D, D.T)
    assert (np.diag(D) == 0).all()
    assert (D[~np.eye(len(X), dtype=bool)] > 0).all()
    assert np.array_equal(fitted.pair_distance(X[:9], X[9:18]), fitted.pair_distance(X[9:18], X[:9]))
    assert (fitted.pair_distance(X, X) == 0).all()
    assert (np.diag(fitted.pairwise_distances(X, X[::-1])[:, ::-1]) <= 1e-6).all()


def test_every_way_to_a_distance_gives_the_same(fitted: SyncGRUMetric, ragged: Data) -> None:
    X = ragged[0]
    D = fitted.pairwise_distances(X)
    np.testing.assert_allclose(fitted.pairwise_distances(X[:7], X[7:]), D[:7, 7:], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(fitted.pair_distance(X[:7], X[7:14]), np.diag(D[:7, 7:14]), rtol=1e-4, atol=1e-6)
    assert fitted.get_metric()(X[3], X[5]) == pytest.approx(D[3, 5], rel=1e-4)
    knn = SequenceKNeighborsClassifier(fitted_in_place(fitted), n_neighbors=4).fit(X, ragged[1])
    distance, index = knn.kneighbors(X[:5])
    np.testing.assert_allclose(distance, np.sort(D[:5], axis=1)[:, :4], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(D[:5], index, 1), distance, rtol=1e-4, atol=1e-6)


def fitted_in_place(metric: SyncGRUMetric) -> Any:
    from sklearn.frozen import FrozenEstimator

    return FrozenEstimator(metric)


def test_distance_equals_the_reference_recurrence(fitted: SyncGRUMetric, ragged: Data) -> None:
    """Stem by torch, then the plain float64 loop over each single pair, both directions."""
    X = ragged[0][:6]
    network = fitted.module_
    expected = np.zeros((6, 6))
    encoded = []
    for i in range(6):
        flat = fitted._standardise(check_sequences(X[i : i + 1]))
        with torch.no_grad():
            encoded.append(network.encode(*flat.padded(np.array([0]))))
    for i in range(6):
        for j in range(6):
            (a, n), (b, m) = encoded[i], encoded[j]
            longest = int(max(n, m))
            a, b = (torch.nn.functional.pad(v, (0, 0, 0, longest - v.shape[1])) for v in (a, b))
            squared = 0.0
            runs = zip(network.weights(), network.directions(a, n), network.directions(b, m), strict=True)
            for w, x1, x2 in runs:
                inputs = (v.transpose(0, 1).double() for v in (x1, x2))
                states = reference.sync_gru_scan(*inputs, n, m, in_double(w))
                o1, o2 = reference.pool_states(states[0], n, "mean"), reference.pool_states(states[1], m, "mean")
                squared += float((o1 - o2).square().sum())
            expected[i, j] = np.sqrt(squared)
    np.testing.assert_allclose(fitted.pairwise_distances(X), expected, rtol=1e-4, atol=1e-5)


def in_double(w: Any) -> Any:
    from dataclasses import fields, replace

    return replace(
        w,
        **{f.name: v.detach().double() for f in fields(w) if isinstance(v := getattr(w, f.name), torch.Tensor)},
    )


def test_without_coupling_the_distance_is_euclidean_in_the_embedding(ragged: Data) -> None:
    metric = SyncGRUMetric(**SMALL, coupling=None).fit(*ragged)
    E = metric.transform(ragged[0]).astype(np.float64)
    expected = np.sqrt(((E[:, None] - E[None]) ** 2).sum(-1))
    np.testing.assert_allclose(metric.pairwise_distances(ragged[0]), expected, rtol=1e-6, atol=1e-7)


def test_padding_batch_and_order_change_nothing(fitted: SyncGRUMetric, ragged: Data) -> None:
    X = ragged[0]
    E = fitted.transform(X)
    alone = np.concatenate([fitted.transform([x]) for x in X])
    np.testing.assert_allclose(alone, E, rtol=1e-4, atol=1e-6)
    padded = np.full((len(X), 40, 2), np.nan)
    for row, x in zip(padded, X, strict=True):
        row[: len(x)] = x
    np.testing.assert_array_equal(fitted.transform(padded), E)
    np.testing.assert_allclose(fitted.transform(X[::-1])[::-1], E, rtol=1e-4, atol=1e-6)


def test_transform_is_the_readout_of_a_sequence_coupled_to_itself(fitted: SyncGRUMetric, ragged: Data) -> None:
    x = ragged[0][:1]
    with torch.no_grad():
        features, n = fitted.module_.encode(*fitted._standardise(check_sequences(x)).padded(np.array([0])))
        runs = zip(fitted.module_.weights(), fitted.module_.directions(features, n).transpose(1, 2), strict=True)
        states = [reference.sync_gru_scan(v, v, n, n, w)[0] for w, v in runs]
    expected = np.concatenate([reference.pool_states(s, n, "mean").numpy() for s in states], axis=1)
    np.testing.assert_allclose(fitted.transform(x), expected, rtol=1e-4, atol=1e-6)


def test_synchronization_gives_the_gap_per_step(fitted: SyncGRUMetric, ragged: Data) -> None:
    X = ragged[0]
    gaps = fitted.synchronization(X[:5], X[5:10])
    assert [len(g) for g in gaps] == [max(len(a), len(b)) for a, b in zip(X[:5], X[5:10], strict=True)]
    assert all((g > 0).all() for g in gaps)
    for gap in fitted.synchronization(X[:5], X[:5]):
        assert (gap == 0).all()
    with pytest.raises(ValueError, match="paired row by row"):
        fitted.synchronization(X[:5], X[:4])


def test_a_stronger_scalar_coupling_closes_the_gap(ragged: Data) -> None:
    metric = SyncGRUMetric(**{**SMALL, "bidirectional": False}, coupling="scalar").fit(*ragged)
    last = []
    for bias in (-12.0, 0.0, 12.0):
        metric.module_.cells[0].gate_bias.data.fill_(bias)
        last.append(np.mean([g[-1] for g in metric.synchronization(ragged[0][:8], ragged[0][8:16])]))
    assert last[0] > last[1] > last[2]


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize("loss", ["nca", "contrastive", "triplet"])
def test_every_coupling_and_loss_learns(coupling: str | None, loss: str, ragged: Data) -> None:
    X, y = ragged
    metric = SyncGRUMetric(**{**SMALL, "max_epochs": 8}, coupling=coupling, loss=loss).fit(X[:15], y[:15])
    assert metric.history_[-1]["train_loss"] < metric.history_[0]["train_loss"]
    D = metric.pairwise_distances(X[15:], X[:15])
    same = y[15:, None] == y[None, :15]
    assert roc_auc_score(same.ravel(), -D.ravel()) > 0.8
    knn = KNeighborsClassifier(1).fit(metric.transform(X[:15]), y[:15])
    assert knn.score(metric.transform(X[15:]), y[15:]) >= 7 / 9


@pytest.mark.parametrize("loss", ["nca", "logistic"])
@pytest.mark.parametrize("coupling", [None, "symmetric"])
def test_fit_pairs_learns_from_equivalence_constraints_alone(loss: str, coupling: str | None, ragged: Data) -> None:
    X, y = ragged
    rng = np.random.default_rng(0)
    pairs = np.array([rng.choice(15, 2, replace=False) for _ in range(60)])
    same = np.where(y[pairs[:, 0]] == y[pairs[:, 1]], 1, -1)
    metric = SyncGRUMetric(**{**SMALL, "max_epochs": 10}, coupling=coupling, loss=loss)
    metric.fit_pairs(X, pairs, same)
    test_pairs = np.array([(i, j) for i in range(15, 24) for j in range(15)])
    truth = y[test_pairs[:, 0]] == y[test_pairs[:, 1]]
    assert roc_auc_score(truth, metric.score_pairs(X, test_pairs)) > 0.8
    metric.calibrate_threshold(X, pairs, same)
    assert (metric.predict_pairs(X, test_pairs) == np.where(truth, 1, -1)).mean() > 0.7


def test_a_pytorch_metric_learning_loss_acts_on_the_embedding(ragged: Data) -> None:
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    X, y = ragged
    loss = losses.TripletMarginLoss(margin=0.2)
    metric = SyncGRUMetric(**SMALL, coupling=None, loss=loss).fit(X[:15], y[:15])
    assert metric.history_[-1]["train_loss"] != metric.history_[0]["train_loss"]
    knn = KNeighborsClassifier(1).fit(metric.transform(X[:15]), y[:15])
    assert knn.score(metric.transform(X[15:]), y[15:]) >= 7 / 9
    coupled = SyncGRUMetric(**SMALL, coupling="symmetric", loss=loss).fit(X, y)
    assert (coupled.pairwise_distances(X[:3], X[3:6]) > 0).all()


def test_loss_with_parameters_of_its_own_is_trained_on_a_copy(ragged: Data) -> None:
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    with torch.random.fork_rng():
        loss = losses.ProxyAnchorLoss(3, 16)
    before = loss.proxies.detach().clone()
    metric = SyncGRUMetric(**SMALL, coupling=None, loss=loss).fit(*ragged)
    assert torch.equal(loss.proxies, before)
    assert not torch.equal(metric.loss_.proxies, before)


def test_bfloat16_training_comes_close_to_float32(ragged: Data) -> None:
    X, y = ragged
    for coupling in (None, "symmetric"):
        metric = SyncGRUMetric(**SMALL, precision="bfloat16", coupling=coupling).fit(X[:15], y[:15])
        assert metric.transform(X).dtype == np.float32
        knn = KNeighborsClassifier(1).fit(metric.transform(X[:15]), y[:15])
        assert knn.score(metric.transform(X[15:]), y[15:]) >= 7 / 9


def test_large_offsets_keep_their_digits(ragged: Data) -> None:
    X, y = ragged
    near = SyncGRUMetric(**SMALL, coupling=None).fit(X, y)
    far = SyncGRUMetric(**SMALL, coupling=None).fit([x + 1e7 for x in X], y)
    scaled = far._standardise(check_sequences([x + 1e7 for x in X])).values
    torch.testing.assert_close(scaled, near._standardise(check_sequences(X)).values, rtol=0, atol=1e-6)


def test_constant_channel_is_harmless(ragged: Data) -> None:
    X = [np.column_stack([x, np.full(len(x), 5.3)]) for x in ragged[0]]
    metric = SyncGRUMetric(**SMALL, coupling=None).fit(X, ragged[1])
    assert np.isfinite(metric.transform(X)).all()


def test_strides_bound_the_recurrent_steps(ragged: Data) -> None:
    assert stem_strides(100, 100) == (1, 1)
    assert stem_strides(101, 100) == (2, 1)
    assert stem_strides(399, 100) == (2, 2)
    assert stem_strides(1000, 100) == (4, 4)
    assert stem_strides(10_000, None) == (1, 1)
    X, y = ragged
    metric = SyncGRUMetric(**SMALL, max_recurrent_steps=4).fit(X, y)
    longest = max(len(x) for x in X)
    assert metric.module_.stem.strides == stem_strides(longest, 4)
    assert metric.module_.n_steps(longest) <= 4


def test_a_new_fit_forgets_the_threshold_of_the_old_distance(ragged: Data) -> None:
    X, y = ragged
    pairs, same = np.array([(0, 1), (0, 2), (3, 4), (5, 6)]), np.array([1, -1, 1, -1])
    metric = SyncGRUMetric(**SMALL, coupling=None)
    for refit in (metric.fit, metric.partial_fit):
        metric.fit(X, y).calibrate_threshold(X, pairs, same)
        refit(X, y)
        assert not hasattr(metric, "threshold_")
