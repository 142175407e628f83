"""Dynamic time warping by the compiled kernels: the bits of the plain loop, on every instruction set."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from skseqmetric._ops.compiled import library
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.dtw import SteppedSeries, dtw_nearest, dtw_pairs, dtw_table
from skseqmetric._ops.reference import dtw as reference
from tests.test_compiled import built, kernels  # noqa: F401 - a fixture

pytestmark = built
RADII = [None, 0, 1, 3, 1000]


def stacked(sequences: list[np.ndarray]) -> SteppedSeries:
    """The sequences in the middle of a larger array of NaN, which poisons what is computed from beyond the ends."""
    steps, n_channels = sum(map(len, sequences)), sequences[0].shape[1]
    values = np.full((steps + 40, n_channels), np.nan)[20:-20]
    np.concatenate(sequences, out=values)
    return SteppedSeries(values, np.array([len(x) for x in sequences]))


def walks(rng: np.random.Generator, n: int, longest: int, n_channels: int) -> list[np.ndarray]:
    return [rng.normal(size=(rng.integers(1, longest + 1), n_channels)).cumsum(0) for _ in range(n)]


def steps(rng: np.random.Generator, n: int, longest: int, n_channels: int) -> list[np.ndarray]:
    """Integers from 0 to 2: most distances occur many times."""
    return [rng.integers(0, 3, size=(rng.integers(1, longest + 1), n_channels)).astype(float) for _ in range(n)]


def twins(rng: np.random.Generator, n: int, longest: int, n_channels: int) -> list[np.ndarray]:
    """Every sequence several times, of one length."""
    few = [rng.normal(size=(longest, n_channels)) for _ in range(1 + n // 4)]
    return [few[i] for i in rng.integers(0, len(few), n)]


def flat(rng: np.random.Generator, n: int, longest: int, n_channels: int) -> list[np.ndarray]:
    return [np.full((rng.integers(1, longest + 1), n_channels), rng.integers(0, 2)).astype(float) for _ in range(n)]


MAKERS = [walks, steps, twins, flat]


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__)
def made(request: pytest.FixtureRequest) -> Callable[..., list[np.ndarray]]:
    return request.param


def matrix(queries: list[np.ndarray], references: list[np.ndarray], radius: int | None) -> np.ndarray:
    return np.array([[reference.dtw(q, r, radius) for r in references] for q in queries])


def nearest_in(distances: np.ndarray, k: int, exclude: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """By (distance, index), as the search must find them."""
    if exclude is not None:
        distances = np.where(np.arange(distances.shape[1]) == exclude[:, None], np.inf, distances)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, 1), order


def assert_same(found: tuple[np.ndarray, ...], expected: tuple[np.ndarray, ...]) -> None:
    for part, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(part, wanted)


@pytest.mark.parametrize("n_channels", [1, 2, 9])
@pytest.mark.parametrize("radius", RADII)
def test_everything_has_the_bits_of_the_plain_loop(
    kernels: str,  # noqa: F811
    rng: np.random.Generator,
    made: Callable[..., list[np.ndarray]],
    radius: int | None,
    n_channels: int,
) -> None:
    Q, R = made(rng, 3, 9, n_channels), made(rng, 17, 9, n_channels)
    expected, (queries, references) = matrix(Q, R, radius), (stacked(Q), stacked(R))
    rows, columns = rng.permutation(3), rng.permutation(17)
    found = dtw_table(queries, rows, references, columns, radius, n_threads=2)
    np.testing.assert_array_equal(found, expected[np.ix_(rows, columns)])
    turned = dtw_table(references, columns, queries, rows, radius)
    np.testing.assert_array_equal(turned, found.T)
    rows, columns = rng.integers(0, 3, 11), rng.integers(0, 17, 11)
    np.testing.assert_array_equal(dtw_pairs(queries, rows, references, columns, radius), expected[rows, columns])
    np.testing.assert_array_equal(dtw_pairs(references, columns, queries, rows, radius), expected[rows, columns])
    for k, exclude in ((1, None), (16, rng.integers(0, 17, 3)), (17, None), (4, rng.integers(0, 17, 3))):
        found_nearest = dtw_nearest(queries, references, k, radius, exclude, n_threads=2)
        assert_same(found_nearest, nearest_in(expected, k, exclude))


def test_the_reference_form_is_the_plain_loop(rng: np.random.Generator) -> None:
    Q, R = walks(rng, 3, 6, 2), walks(rng, 5, 6, 2)
    queries, references, exclude = stacked(Q), stacked(R), np.array([4, 0, 1])
    rows, columns = np.arange(3), np.arange(5)

    def answers() -> tuple[Any, ...]:
        pairs = dtw_pairs(queries, rows, references, columns[:3], 1)
        near = dtw_nearest(queries, references, 2, 1, exclude)
        return dtw_table(queries, rows, references, columns, 1), pairs, *near

    expected = answers()
    with implementation("reference"):
        assert_same(answers(), expected)


@pytest.mark.parametrize("radius", [None, 12])
@pytest.mark.parametrize("k", [1, 5])
def test_what_the_search_leaves_out_is_not_near(
    kernels: str,  # noqa: F811
    rng: np.random.Generator,
    radius: int | None,
    k: int,
) -> None:
    """Long sequences of classes, so that most cells are left out, and near ties that single precision cannot tell."""
    t = np.linspace(0, 6, 90)[:, None]
    R = [np.sin(t * (1 + i % 4) + rng.uniform(0, 3, 3))[: 90 - i % 7] + rng.normal(0, 0.1, 3) for i in range(150)]
    R += [x + rng.choice([0.0, 1e-9, -1e-12], size=x.shape) for x in R[:30]]
    Q = [x + rng.normal(0, 0.05, x.shape) for x in R[:6]] + R[6:9]
    queries, references = stacked(Q), stacked(R)
    table = dtw_table(queries, np.arange(9), references, np.arange(180), radius)
    assert_same(dtw_nearest(queries, references, k, radius), nearest_in(table, k, None))


@pytest.mark.parametrize("scale", [1e-300, 1e-163, 1e-150, 1e-30, 1.0, 1e30, 1e140, 1e146])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_values_of_any_size(rng: np.random.Generator, scale: float, offset: float) -> None:
    """Single precision holds neither: it sees values less a centre, scaled; tiny squares round to zero as they must."""
    R = [scale * (x + offset) for x in walks(rng, 30, 9, 2)]
    queries = references = stacked(R)
    table = dtw_table(queries, np.arange(30), references, np.arange(30), None)
    np.testing.assert_array_equal(table[:4], matrix(R[:4], R, None))
    assert_same(dtw_nearest(queries, references, 5, None), nearest_in(table, 5, None))


def test_one_value_far_from_all_others(rng: np.random.Generator) -> None:
    R = walks(rng, 40, 9, 3)
    R[7][0, 1] = 1e12
    series = stacked(R)
    table = dtw_table(series, np.arange(40), series, np.arange(40), None)
    assert_same(dtw_nearest(series, series, 39, None, np.arange(40)), nearest_in(table, 39, np.arange(40)))


def test_company_and_threads_change_no_bit(kernels: str, rng: np.random.Generator) -> None:  # noqa: F811
    X = walks(rng, 70, 30, 4)
    series, every = stacked(X), np.arange(70)
    table = dtw_table(series, every, series, every, 3)
    np.testing.assert_array_equal(table, table.T)
    assert not table.diagonal().any()
    for threads in (1, 3):
        np.testing.assert_array_equal(dtw_table(series, every, series, every, 3, threads), table)
        assert_same(dtw_nearest(series, series, 3, 3, None, threads), nearest_in(table, 3, None))
    alone = [dtw_pairs(series, every[[i]], series, every[[69 - i]], 3).item() for i in every]
    np.testing.assert_array_equal(alone, table[every, every[::-1]])
    one = [dtw_nearest(stacked([x]), series, 3, 3) for x in X[:8]]
    assert_same(tuple(np.concatenate(part) for part in zip(*one, strict=True)), nearest_in(table[:8], 3, None))


def test_nothing_is_asked_of_no_pairs(rng: np.random.Generator) -> None:
    series, none = stacked(walks(rng, 3, 5, 2)), np.empty(0, dtype=np.int64)
    assert dtw_table(series, none, series, np.arange(3), None).shape == (0, 3)
    assert dtw_table(series, np.arange(3), series, none, None).shape == (3, 0)
    assert dtw_pairs(series, none, series, none, None).shape == (0,)


def test_other_arrays_are_refused(rng: np.random.Generator) -> None:
    series, every = stacked(walks(rng, 3, 5, 2)), np.arange(3)
    for values in (series.values.astype(np.float32), np.asfortranarray(series.values)):
        with pytest.raises(TypeError, match="a kernel needs values as one block of float64"):
            dtw_table(SteppedSeries(values, series.lengths), every, series, every, None)


def test_exhausted_memory_is_an_error(rng: np.random.Generator) -> None:
    series = stacked(walks(rng, 3, 5, 1))
    columns, long = np.arange(3), SteppedSeries(np.zeros((1, 1)), np.array([1]))
    long.__dict__["starts"] = np.array([0, 2**55])  # its memory is asked for first, and nothing of it is read
    with pytest.raises(MemoryError, match="no memory"):
        dtw_table(series, columns, long, np.array([0]), None)
    with pytest.raises(MemoryError, match="no memory"):
        dtw_nearest(series, long, 1, None)


@pytest.fixture
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skseqmetric._ops.compiled.dtw.CALL_CELLS", 1)


def test_calls_in_parts_are_the_whole(short_calls: None, rng: np.random.Generator) -> None:
    X = walks(rng, 150, 6, 2)
    series, every, exclude = stacked(X), np.arange(150), rng.integers(0, 150, 150)
    table = dtw_table(series, every, series, every, 1)
    np.testing.assert_array_equal(table[140:], matrix(X[140:], X, 1))
    np.testing.assert_array_equal(dtw_pairs(series, every, series, every[::-1], 1), table[every, every[::-1]])
    assert_same(dtw_nearest(series, series, 2, 1, exclude), nearest_in(table, 2, exclude))


def test_ctrl_c_is_heard_between_calls_however_long_the_sequences(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    calls: list[int] = []
    real = library()
    monkeypatch.setattr(real, "dtw_nearest", lambda *given: calls.append(1))
    monkeypatch.setattr(real, "dtw", lambda *given: calls.append(2))
    monkeypatch.setattr("skseqmetric._ops.compiled.dtw.CALL_CELLS", 20 * 9 * 9)
    series, every = stacked([rng.normal(size=(9, 1)) for _ in range(20)]), np.arange(20)
    dtw_nearest(series, series, 1, None, None)
    dtw_table(series, every, series, every, None)
    assert calls == [1] * 20 + [2] * 20
    calls.clear()
    dtw_nearest(series, series, 1, None, None, 4)
    assert calls == [1] * 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_fork_after_threads_searches_with_threads(rng: np.random.Generator) -> None:
    series = stacked(walks(rng, 40, 12, 2))
    expected = dtw_nearest(series, series, 2, None, None, n_threads=3)
    child = os.fork()
    if not child:
        found = dtw_nearest(series, series, 2, None, None, n_threads=3)
        os._exit(0 if np.array_equal(found[1], expected[1]) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
