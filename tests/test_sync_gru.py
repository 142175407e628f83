"""SyncGRUMetric: laws of the distance, and what it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from skorch.callbacks import Callback

from skseqmetric import NRNMMetric, SequenceKNeighborsClassifier, SyncGRUMetric
from skseqmetric._ops.metric_losses import BLOCK_LOSSES
from tests.fake_callbacks import SeenBatches, sequences_of

COUPLINGS = [None, "scalar", "symmetric", "diffusive", "alignment"]
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


@pytest.mark.parametrize("coupling", COUPLINGS[1:])
def test_equal_sequences_are_at_distance_zero_wherever_they_stand(coupling: str, ragged: Data) -> None:
    X, y = ragged
    metric = SyncGRUMetric(**SMALL, coupling=coupling).fit(X, y)
    mixed = [x.copy() for x in (*X[::-1], X[0][:3], *X[:5])]
    same = np.array([[np.array_equal(a, b) for b in mixed] for a in X])
    np.testing.assert_array_equal(metric.pairwise_distances(X, mixed) == 0, same)
    assert same.sum() == 24 + 5


def test_every_way_to_a_distance_gives_the_same(fitted: SyncGRUMetric, ragged: Data) -> None:
    X = ragged[0]
    D = fitted.pairwise_distances(X)
    np.testing.assert_allclose(fitted.pairwise_distances(X[:7], X[7:]), D[:7, 7:], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(fitted.pair_distance(X[:7], X[7:14]), np.diag(D[:7, 7:14]), rtol=1e-4, atol=1e-6)
    assert fitted.get_metric()(X[3], X[5]) == pytest.approx(D[3, 5], rel=1e-4)
    knn = SequenceKNeighborsClassifier(FrozenEstimator(fitted), n_neighbors=4).fit(X, ragged[1])
    distance, index = knn.kneighbors(X[:5])
    np.testing.assert_allclose(distance, np.sort(D[:5], axis=1)[:, :4], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(D[:5], index, 1), distance, rtol=1e-4, atol=1e-6)


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
@pytest.mark.parametrize("coupling", [None, "symmetric", "alignment"])
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
    metric = SyncGRUMetric(**{**SMALL, "max_epochs": 8}, coupling=None, loss=loss).fit(X[:15], y[:15])
    assert metric.history_[-1]["train_loss"] < metric.history_[0]["train_loss"]
    knn = KNeighborsClassifier(1).fit(metric.transform(X[:15]), y[:15])
    assert knn.score(metric.transform(X[15:]), y[15:]) >= 7 / 9


class Attraction(torch.nn.Module):
    """A loss with a parameter of its own, whose best value is 3 whatever the embeddings are."""

    def __init__(self) -> None:
        super().__init__()
        self.place = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[tuple[int, ...], list[int]]] = []

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.seen.append((tuple(embeddings.shape), sorted(set(labels.tolist()))))
        return (self.place - 3).square() + 0 * embeddings.sum()


def test_loss_with_parameters_of_its_own_is_trained_on_a_copy(ragged: Data) -> None:
    loss = Attraction()
    settings = {**SMALL, "min_batches": 1, "learning_rate": 0.125, "weight_decay": 1e-9}
    metric = SyncGRUMetric(**settings, coupling=None, loss=loss).partial_fit(*ragged)
    # the first step of Adam is the learning rate, and the next one in the same direction about as long
    assert metric.loss_.place.item() == pytest.approx(0.125, rel=1e-5)
    assert metric.partial_fit(*ragged).loss_.place.item() == pytest.approx(0.25, rel=0.02)
    assert metric.loss_.seen == [((32, 16), [0, 1, 2])] * 2
    assert loss.place.item() == 0
    assert loss.seen == []
    # a new fit starts from the loss that was given
    fresh = SyncGRUMetric(**settings, coupling=None, loss=loss).fit(*ragged)
    assert metric.fit(*ragged).loss_.place.item() == fresh.loss_.place.item() > 0


def small_memory_metric(loss: torch.nn.Module) -> NRNMMetric:
    return NRNMMetric(8, n_filters=4, max_epochs=2, min_batches=2, loss=loss, random_state=0)


class Places(torch.nn.Module):
    """A loss with a place for every class, like those of proxies, and a buffer."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        places = torch.linspace(-1, 1, 3 * n_features, dtype=torch.float32).view(3, n_features)
        self.places = torch.nn.Parameter(places)
        self.register_buffer("sizes", torch.ones(3, dtype=torch.float32))

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self.sizes * (embeddings @ self.places.T), labels)


@pytest.mark.parametrize(
    ("kind", "n_features"), [(lambda loss: SyncGRUMetric(**SMALL, loss=loss), 16), (small_memory_metric, 64)]
)
def test_loss_of_any_dtype_is_trained_as_float32(ragged: Data, kind: Any, n_features: int) -> None:
    expected = kind(Places(n_features)).fit(*ragged)
    given = Places(n_features).double()
    made = kind(given).fit(*ragged)
    assert {value.dtype for value in made.loss_.state_dict().values()} == {torch.float32}
    assert {value.dtype for value in given.state_dict().values()} == {torch.float64}
    assert torch.equal(made.loss_.places, expected.loss_.places)
    assert not torch.equal(made.loss_.places, given.places)
    np.testing.assert_array_equal(made.transform(ragged[0]), expected.transform(ragged[0]))
    frozen = kind(given.bfloat16().requires_grad_(False)).fit(*ragged)
    assert torch.equal(frozen.loss_.places, given.places.float())
    with pytest.raises(ValueError, match="loss has 'places' on the device \"meta\""):
        kind(given.to("meta")).fit(*ragged)


def test_with_a_loss_of_embeddings_coupled_distances_are_trained_by_nca(ragged: Data) -> None:
    def constant(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return 5 + 0 * embeddings.sum()

    plain, beside = (
        first_loss(ragged, coupling="symmetric", **s) for s in ({"embedding_weight": 0}, {"loss": constant})
    )
    assert beside == pytest.approx(5 + plain, rel=1e-6)


def first_loss(data: Data, sample_weight: Any = None, **settings: Any) -> float:
    """The loss of the network as it starts, over one batch: nothing is learned before it is recorded."""
    start: dict[str, Any] = {**SMALL, "max_epochs": 1, "min_batches": 1, "scaling": None}
    metric = SyncGRUMetric(**{**start, **settings}).fit(*data, sample_weight=sample_weight)
    return float(metric.history_[0]["train_loss"])


@pytest.mark.parametrize("loss", ["nca", "contrastive", "triplet"])
def test_embedding_weight_weighs_the_free_running_part_of_the_loss(loss: str, ragged: Data) -> None:
    # in one direction the recurrences of coupled and uncoupled networks start from the same weights
    options: dict[str, Any] = {"loss": loss, "bidirectional": False}
    found = [first_loss(ragged, coupling="symmetric", embedding_weight=w, **options) for w in (0.0, 1.0, 3.0)]
    free = first_loss(ragged, coupling=None, **options)
    assert free > 0.01
    np.testing.assert_allclose(np.diff(found), [free, 2 * free], rtol=1e-4)
    assert first_loss(ragged, coupling=None, embedding_weight=3.0, **options) == free


def test_embedding_weight_counts_for_given_pairs_too(ragged: Data) -> None:
    pairs, same = np.array([(0, 1), (0, 2), (3, 4), (5, 6)]), np.array([1, -1, 1, -1])
    start: dict[str, Any] = {**SMALL, "max_epochs": 1, "min_batches": 1, "coupling": "symmetric"}
    found = []
    for weight in (0.0, 1.0, 3.0):
        metric = SyncGRUMetric(**start, embedding_weight=weight).fit_pairs(ragged[0], pairs, same)
        found.append(metric.history_[0]["train_loss"])
    assert found[1] - found[0] > 0.01
    assert found[2] - found[0] == pytest.approx(3 * (found[1] - found[0]), rel=1e-4)


@pytest.mark.parametrize("coupling", [None, "symmetric"])
@pytest.mark.parametrize("loss", ["nca", "triplet"])
def test_sample_weight_weighs_the_anchors_of_the_loss(loss: str, coupling: str | None, ragged: Data) -> None:
    # every anchor i of the batch costs l_i: the loss is sum w_i l_i / sum w_i
    heavy = np.random.default_rng(2).random(24) < 0.5
    options: dict[str, Any] = {"coupling": coupling, "loss": loss, "pairs_per_sequence": None}
    seen = SeenBatches()
    first_loss(ragged, np.where(heavy, 2.0, 1.0), callbacks=[seen], **options)
    anchors = np.array([(seen.training[0]["weights"] == w).sum() for w in (2, 1)])
    shares = np.array([[3, 1], [1, 3], [1, 1]]) * anchors
    shares = shares / shares.sum(axis=1, keepdims=True)
    found = []
    for of_heavy, of_light in ((3, 1), (1, 3), (1, 1)):
        weights = np.where(heavy, float(of_heavy), float(of_light))
        found.append(first_loss(ragged, weights, **options))
    costs = np.linalg.solve(shares[:2], found[:2])
    assert abs(costs[0] - costs[1]) > 0.01
    assert shares[2] @ costs == pytest.approx(found[2], rel=1e-4)


class ByHand(Callback):
    """The loss of every batch as `expected` computes it from the objective and the batch, and that which was used."""

    def __init__(self, expected: Any) -> None:
        self.expected, self.found, self.used = expected, [], []
        self.scales: list[float] = []

    @torch.no_grad()
    def on_batch_begin(self, net: Any, batch: Any = None, **kwargs: Any) -> None:
        self.scales.append(float(net.module_.scale))
        self.found.append(float(self.expected(net.module_.network, net.module_.scale, **batch[0])))

    def on_batch_end(self, net: Any, loss: Any = None, **kwargs: Any) -> None:
        self.used.append(float(loss.detach()))


MARGIN = 2.5  # wide enough for the distances of a new network to lie within
PLAIN: dict[str, Any] = {**SMALL, "n_filters": None, "augment": None, "learning_rate": 0.03, "margin": MARGIN}


def squared_of(network: Any, coupling: str | None, values: Any, lengths: Any, rows: Any, columns: Any) -> Any:
    """Squared distances of pairs of a batch."""
    if coupling is None:
        points = network.features(values, lengths)
        return (points[rows] - points[columns]).square().sum(1)
    first, second = network.pair_run(*network.encode(values, lengths), rows, columns)
    return (first - second).square().sum(1)


@pytest.mark.parametrize("coupling", [None, "symmetric"])
@pytest.mark.parametrize("loss", ["nca", "contrastive", "triplet"])
def test_the_loss_of_labels_is_that_of_all_distances_of_the_batch(
    loss: str, coupling: str | None, ragged: Data
) -> None:
    def expected(network: Any, scale: Any, values: Any, lengths: Any, targets: Any, weights: Any) -> Any:
        n = len(targets)
        same, apart = targets[:, None] == targets, ~torch.eye(n, dtype=torch.bool)
        rows, columns = (every.flatten() for every in torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij"))
        squared = squared_of(network, coupling, values, lengths, rows, columns).view(n, n)
        return BLOCK_LOSSES[loss](squared, same, apart, weights, scale, MARGIN)

    hand = ByHand(expected)
    settings = {**PLAIN, "embedding_weight": 0.0, "pairs_per_sequence": None, "batch_size": 12}
    weights = np.random.default_rng(0).uniform(0.5, 3, 24)
    SyncGRUMetric(**settings, coupling=coupling, loss=loss, callbacks=[hand]).fit(*ragged, sample_weight=weights)
    np.testing.assert_allclose(hand.used, hand.found, rtol=1e-4)
    assert (set(hand.scales) == {1.0}) == (loss != "nca")  # learned by this loss alone


@pytest.mark.parametrize("coupling", [None, "symmetric"])
@pytest.mark.parametrize("loss", ["nca", "logistic"])
def test_the_loss_of_pairs_is_that_of_their_distances(loss: str, coupling: str | None, ragged: Data) -> None:
    def expected(network: Any, scale: Any, values: Any, lengths: Any, same: Any) -> Any:
        even = torch.arange(0, 2 * len(same), 2)
        squared = squared_of(network, coupling, values.flatten(0, 1), lengths.flatten(), even, even + 1)
        if loss == "logistic":
            return torch.nn.functional.softplus(torch.where(same, 1, -1) * (scale * squared - MARGIN**2)).mean()
        return torch.where(same, squared, (MARGIN - squared.sqrt()).clamp_min(0).square()).mean()

    hand, pairs = ByHand(expected), np.random.default_rng(0).choice(24, (30, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    same = np.where(ragged[1][pairs[:, 0]] == ragged[1][pairs[:, 1]], 1, -1)
    metric = SyncGRUMetric(**PLAIN, embedding_weight=0.0, coupling=coupling, loss=loss, callbacks=[hand])
    metric.fit_pairs(ragged[0], pairs, same)
    np.testing.assert_allclose(hand.used, hand.found, rtol=1e-4)
    assert (len(set(hand.scales)) > 1) == (loss == "logistic")  # learned, where the loss has a scale


@pytest.mark.parametrize(("per_sequence", "n_pairs"), [(2, 12), (6, 36), (None, 66)])
def test_pairs_per_sequence_bounds_the_coupled_runs(per_sequence: int | None, n_pairs: int, ragged: Data) -> None:
    runs: list[int] = []

    class Watch(Callback):
        def on_train_begin(self, net: Any, **kwargs: Any) -> None:
            run = net.module_.network.pair_run
            net.module_.network.pair_run = lambda *given: (runs.append(len(given[2])), run(*given))[1]

        def on_train_end(self, net: Any, **kwargs: Any) -> None:
            del net.module_.network.pair_run

    settings = {**PLAIN, "max_epochs": 1, "batch_size": 12, "pairs_per_sequence": per_sequence}
    SyncGRUMetric(**settings, coupling="symmetric", callbacks=[Watch()]).fit(*ragged)
    assert runs == [n_pairs] * 4


@pytest.mark.parametrize("coupling", [None, "symmetric"])
def test_bfloat16_training_comes_close_to_float32(coupling: str | None, ragged: Data) -> None:
    X, y = ragged
    full, half = (SyncGRUMetric(**SMALL, precision=p, coupling=coupling).fit(X, y) for p in ("float32", "bfloat16"))
    losses = [[row["train_loss"] for row in metric.history_] for metric in (full, half)]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[1], losses[0], rtol=3e-3)
    assert half.transform(X).dtype == np.float32
    distances = [metric.pairwise_distances(X) for metric in (full, half)]
    np.testing.assert_allclose(distances[1], distances[0], rtol=0, atol=0.01 * distances[0].max())


def test_large_offsets_keep_their_digits(ragged: Data) -> None:
    X, y = ragged
    mean, scale = np.concatenate(X).mean(axis=0), np.concatenate(X).std(axis=0)
    expected = [(x - mean) / scale for x in X]
    for offset in (0, 1e7):
        seen = SeenBatches()
        metric = SyncGRUMetric(**SMALL, augment=None, callbacks=[seen]).fit([x + offset for x in X], y)
        np.testing.assert_allclose(metric.mean_ - offset, mean, rtol=0, atol=1e-8)
        for x in {x.tobytes(): x for batch in seen.training for x in sequences_of(batch)}.values():
            assert min(np.abs(x - known).max() for known in expected if len(known) == len(x)) < 1e-6


def test_channels_are_scaled_by_the_weighted_moments_of_their_steps(ragged: Data) -> None:
    X, y = ragged
    weights = np.random.default_rng(1).uniform(0, 3, len(X))
    metric = SyncGRUMetric(**SMALL).fit(X, y, sample_weight=weights)
    steps = np.repeat(weights, [len(x) for x in X])
    mean = np.average(np.concatenate(X), axis=0, weights=steps)
    np.testing.assert_allclose(metric.mean_, mean, rtol=1e-12)
    variance = np.average((np.concatenate(X) - mean) ** 2, axis=0, weights=steps)
    np.testing.assert_allclose(metric.scale_, np.sqrt(variance), rtol=1e-12)


def test_constant_channel_is_harmless(ragged: Data) -> None:
    X = [np.column_stack([x, np.full(len(x), 5.3)]) for x in ragged[0]]
    metric = SyncGRUMetric(**SMALL, coupling=None).fit(X, ragged[1])
    assert metric.scale_[2] == 1
    # scaled it is 0, so that its weights do nothing
    embedded = metric.transform(X)
    with torch.no_grad():
        metric.module_.stem.convolutions[0].weight[:, 2] = 0
    assert np.array_equal(metric.transform(X), embedded)


@pytest.mark.parametrize(
    ("longest", "most", "strides"),
    [(100, 100, (1, 1)), (101, 100, (2, 1)), (399, 100, (2, 2)), (1000, 100, (4, 4)), (2000, None, (1, 1))],
)
def test_strides_bound_the_recurrent_steps(longest: int, most: int | None, strides: tuple[int, int]) -> None:
    X = [np.full((steps, 1), float(steps)) for steps in (longest, 5, 3, 2)]
    settings = {**SMALL, "n_units": 1, "n_filters": 1, "max_epochs": 1, "min_batches": 1}
    metric = SyncGRUMetric(**settings, max_recurrent_steps=most).fit(X, [0, 0, 1, 1])
    assert metric.module_.stem.strides == strides
    steps = [len(h) for h in metric.hidden_states(X)]
    assert steps[0] == -(-longest // np.prod(strides))
    assert most is None or steps[0] <= most


def test_a_step_of_the_stem_sees_as_far_as_both_kernels_reach() -> None:
    X = [np.random.default_rng(k).normal(size=(40, 2)) for k in range(4)]
    for sizes in ((13, 9), [1, 3], (5, 1)):
        settings = {**SMALL, "max_epochs": 1, "min_batches": 1, "instance_channels": False}
        metric = SyncGRUMetric(**settings, kernel_sizes=sizes, max_recurrent_steps=None).fit(X, [0, 0, 1, 1])
        reach = sum(size // 2 for size in sizes)
        values = torch.zeros(1, 40, 2, requires_grad=True)
        features, _ = metric.module_.stem(values, torch.tensor([40]))
        (grad,) = torch.autograd.grad(features[0, 20].sum(), values)
        seen = grad[0].abs().sum(1).nonzero().flatten().tolist()
        assert seen == list(range(20 - reach, 21 + reach))


@pytest.mark.parametrize("sizes", [(4, 5), (0, 3), (3,), (3, 5, 7), (3.0, 5), (-1, 3), "75"])
def test_kernels_have_an_odd_number_of_steps(sizes: Any, ragged: Data) -> None:
    with pytest.raises(ValueError, match="kernel_sizes"):
        SyncGRUMetric(**SMALL, kernel_sizes=sizes).fit(*ragged)


@pytest.mark.parametrize(("most", "strides"), [(None, (1, 1)), (6, (2, 1)), (3, (2, 2))])
def test_stem_is_blind_to_padding(most: int | None, strides: tuple[int, int], ragged: Data) -> None:
    stem = SyncGRUMetric(**SMALL, max_recurrent_steps=most).fit(*ragged).module_.stem.double()
    assert stem.strides == strides
    X = ragged[0][:6]
    lengths = torch.tensor([len(x) for x in X])
    padded = torch.full((6, 12, 2), 1e3, dtype=torch.float64)
    for row, x in zip(padded, X, strict=True):
        row[: len(x)] = torch.from_numpy(x)
    with torch.no_grad():
        together, kept = stem(padded, lengths)
        for i, x in enumerate(X):
            alone, length = stem(torch.from_numpy(x)[None], lengths[i : i + 1])
            assert length == kept[i] == alone.shape[1]
            torch.testing.assert_close(together[i, : kept[i]], alone[0])
            assert (together[i, kept[i] :] == 0).all()


def test_dropout_silences_whole_filters_and_keeps_the_mean(ragged: Data) -> None:
    X, y = ragged
    settings = {**SMALL, "n_units": 2, "n_filters": 400, "max_epochs": 1, "min_batches": 1}
    stem = SyncGRUMetric(**settings, dropout=0.25).fit(X, y).module_.stem.double()
    lengths = torch.tensor([7, 9])
    values = torch.randn(2, 9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        plain, _ = stem(values, lengths)
        dropped, _ = stem(values, lengths, torch.Generator().manual_seed(1))
    for ratio, n in zip(dropped / plain, lengths.tolist(), strict=True):
        torch.testing.assert_close(ratio[:n], ratio[0].expand(n, -1))
        assert set(ratio[0].mul(3).round().tolist()) == {0.0, 4.0}
        assert ratio[0].mean() == pytest.approx(1.0, abs=0.12)


def test_a_new_fit_forgets_the_threshold_of_the_old_distance(ragged: Data) -> None:
    X, y = ragged
    pairs, same = np.array([(0, 1), (0, 2), (3, 4), (5, 6)]), np.array([1, -1, 1, -1])
    metric = SyncGRUMetric(**SMALL, coupling=None)
    for refit in (metric.fit, metric.partial_fit):
        metric.fit(X, y).calibrate_threshold(X, pairs, same)
        refit(X, y)
        assert not hasattr(metric, "threshold_")
