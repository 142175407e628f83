"""What matched what in a pair, and the share of every step: the definition, the laws, the picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from skseqmetric import NRNMMetric, SyncGRUMetric
from skseqmetric.inspection import Alignment

SMALL: dict[str, Any] = {
    "coupling": "alignment",
    "n_filters": 6,
    "max_epochs": 2,
    "min_batches": 3,
    "batch_size": 8,
    "random_state": 0,
}
RNG = np.random.default_rng(0)
LENGTHS = (3, 12, 9, 17, 1, 8, 2, 11, 9, 30)
X = [RNG.normal(size=(n, 2)) + i % 2 for i, n in enumerate(LENGTHS)]
Y = X[3:] + X[:3]
LABELS = np.arange(len(X)) % 2
MADE = {  # with the product of the strides of each stem
    "every step": (SyncGRUMetric(5, n_places=7, max_recurrent_steps=None, **SMALL), 1),
    "one place": (SyncGRUMetric(5, n_places=1, pooled_weight=2.5, bidirectional=False, **SMALL), 1),
    "strides": (SyncGRUMetric(5, pooled_weight=0.5, max_recurrent_steps=6, **SMALL), 8),
    "memory": (NRNMMetric(4, n_places=9, pooled_weight=0.5, max_recurrent_steps=15, **SMALL), 2),
    "without a stem": (NRNMMetric(4, **{**SMALL, "n_filters": None}), 1),
}


@pytest.fixture(scope="module", params=MADE)
def made(request: pytest.FixtureRequest) -> tuple[Any, int]:
    metric, stride = MADE[request.param]
    return metric.fit(X, LABELS), stride


def parts_of(found: Alignment) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Positions, matches, costs, shares of places and shares of steps: of x, then of y."""
    columns = found.positions, found.matches, found.match_costs, found.place_shares, found.step_shares
    yield from zip(*columns, strict=True)


# ------------------------------------------------------------------ arrays
def test_its_distance_and_its_shares_are_those_of_the_metric(made: tuple[Any, int]) -> None:
    metric, _ = made
    found, distances = metric.alignment(X, Y), metric.pair_distance(X, Y)
    np.testing.assert_allclose([one.distance for one in found], distances, rtol=1e-12, atol=0)
    pooled = metric.pooled_weight * np.square(metric.transform(X).astype(float) - metric.transform(Y)).sum(1)
    np.testing.assert_allclose([one.pooled_share for one in found], pooled / distances**2, rtol=1e-6)
    for one, x, y in zip(found, X, Y, strict=True):
        for sides in (one.place_shares, one.step_shares):
            assert sum(shares.sum() for shares in sides) + one.pooled_share == pytest.approx(1, abs=1e-12)
            assert min(shares.min() for shares in sides) >= 0
        assert [len(shares) for shares in one.step_shares] == [len(x), len(y)]


def test_every_place_matches_the_one_of_least_cost(made: tuple[Any, int]) -> None:
    metric, _ = made
    for one in metric.alignment(X, Y):
        assert one.costs.shape == (metric.n_places, metric.n_places)
        for costs, (_, matches, least, shares, _) in zip((one.costs, one.costs.T), parts_of(one), strict=True):
            np.testing.assert_allclose(least, costs.min(axis=1), rtol=1e-5, atol=1e-10)
            np.testing.assert_allclose(costs[np.arange(len(costs)), matches], costs.min(axis=1), rtol=1e-5, atol=1e-10)
            np.testing.assert_allclose(shares, least / len(least) / one.distance**2, rtol=1e-12)


def test_costs_are_those_of_the_hidden_states_at_the_positions(made: tuple[Any, int]) -> None:
    metric, stride = made
    states = metric.hidden_states(X), metric.hidden_states(Y)
    for p, one in enumerate(metric.alignment(X, Y)):
        places = [
            np.stack([np.interp(where / stride, np.arange(len(h[p])), unit) for unit in h[p].T.astype(float)], axis=1)
            for h, where in zip(states, one.positions, strict=True)
        ]
        expected = np.square(places[0][:, np.newaxis] - places[1]).sum(2)
        np.testing.assert_allclose(one.costs, expected, rtol=1e-4, atol=1e-6)


def test_a_step_gets_the_shares_of_its_part_of_the_sequence(made: tuple[Any, int]) -> None:
    metric, _ = made
    for one in metric.alignment(X, Y):
        for _, _, _, shares, of_steps in parts_of(one):
            fine = np.repeat(shares / len(of_steps), len(of_steps))  # steps and places are whole numbers of these
            expected = fine.reshape(len(of_steps), len(shares)).sum(axis=1)
            np.testing.assert_allclose(of_steps, expected, rtol=1e-9, atol=1e-12)


def test_places_span_a_sequence_and_a_single_place_is_its_middle(made: tuple[Any, int]) -> None:
    metric, stride = made
    for one, x in zip(metric.alignment(X, Y), X, strict=True):
        last = (len(x) - 1) // stride * stride
        expected = np.linspace(0, last, metric.n_places) if metric.n_places > 1 else [last / 2]
        np.testing.assert_allclose(one.positions[0], expected)


def test_equal_sequences_match_place_by_place_and_nothing_has_a_share(made: tuple[Any, int]) -> None:
    metric, _ = made
    for one in metric.alignment(X, [x.copy() for x in X]):
        assert one.distance == one.pooled_share == 0
        for where, matches, costs, shares, of_steps in parts_of(one):
            np.testing.assert_array_equal(where[matches], where)
            assert not costs.any()
            assert not shares.any()
            assert not of_steps.any()


def test_swapping_the_sequences_swaps_the_sides(made: tuple[Any, int]) -> None:
    metric, _ = made
    for one, other in zip(metric.alignment(X, Y), metric.alignment(Y, X), strict=True):
        assert one.distance == other.distance
        np.testing.assert_array_equal(one.costs, other.costs.T)
        for ours, theirs in zip(parts_of(one), reversed(list(parts_of(other))), strict=True):
            for left, right in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(left, right)


# ------------------------------------------------------------------ errors
@pytest.mark.parametrize(
    "made", [SyncGRUMetric(**SMALL | {"coupling": c}) for c in (None, "symmetric")] + [NRNMMetric()]
)
def test_other_couplings_have_no_alignment_and_say_what_to_do(made: Any) -> None:
    assert not hasattr(made, "alignment")
    with pytest.raises(AttributeError, match="no attribute 'alignment'") as raised:
        made.alignment(X, X)
    assert 'fit the metric with coupling="alignment"' in str(raised.value.__cause__)


def test_the_coupling_of_the_fit_decides() -> None:
    metric = SyncGRUMetric(3, **SMALL).fit(X, LABELS).set_params(coupling=None)
    (found,) = metric.alignment(X[:1], X[1:2])
    assert found.distance == pytest.approx(metric.pair_distance(X[:1], X[1:2])[0], rel=1e-12)
    assert not hasattr(SyncGRUMetric(3, **SMALL | {"coupling": None}).fit(X, LABELS), "alignment")


def test_unequal_numbers_of_sequences_are_refused(made: tuple[Any, int]) -> None:
    with pytest.raises(ValueError, match="X has 10 sequences and Y has 9: they are paired row by row"):
        made[0].alignment(X, Y[:9])
