"""The readout of reservoirs: ridge regression from sums, its recursive form, the choice of the penalty."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge, RidgeCV

from skseqmetric._ops import ridge as _ridge
from skseqmetric._ops.ridge import Readout, RecursiveLeastSquares, RidgeSums

CPU = torch.device("cpu")


class Case:
    """Correlated rows far from 0, with two targets and weights between 0.2 and 3."""

    def __init__(self, n: int, n_features: int = 12) -> None:
        rng = np.random.default_rng(n)
        self.rows = rng.normal(size=(n, n_features)) @ rng.normal(size=(n_features, n_features)) + 5.0
        self.targets = self.rows[:, :2] - self.rows[:, 2:4] + rng.normal(size=(n, 2)) + 100.0
        self.weights = rng.uniform(0.2, 3, n)

    def sums(self, *, blocks: int = 1, weighted: bool = True) -> RidgeSums:
        sums = RidgeSums(self.rows.shape[1], 2, CPU)
        for block in self.blocks(blocks, weighted=weighted):
            sums.add(*block)
        return sums

    def blocks(self, n: int, *, weighted: bool = True) -> list[list[torch.Tensor]]:
        weights = self.weights if weighted else np.ones(len(self.rows))
        parts = [np.array_split(part, n) for part in (self.rows, self.targets, weights)]
        return [[torch.from_numpy(part) for part in block] for block in zip(*parts, strict=True)]


def assert_same(readout: Readout, coef: np.ndarray, intercept: np.ndarray, rtol: float = 1e-9) -> None:
    np.testing.assert_allclose(readout.coef, coef, rtol=rtol, atol=rtol * np.abs(coef).max())
    np.testing.assert_allclose(readout.intercept, intercept, rtol=rtol)


@pytest.mark.parametrize("n", [1, 3, 8, 12, 13, 60])
@pytest.mark.parametrize("blocks", [1, 5])
@pytest.mark.parametrize("alpha", [0.1, 30.0])
def test_sums_give_the_ridge_solution(n: int, blocks: int, alpha: float) -> None:
    case = Case(n)
    expected = Ridge(alpha=alpha, solver="cholesky").fit(case.rows, case.targets, sample_weight=case.weights)
    assert_same(case.sums(blocks=blocks).solve(np.array([alpha])), expected.coef_, expected.intercept_)


@pytest.mark.parametrize("n_before", [0, 4, 40])
@pytest.mark.parametrize("blocks", [1, 7])
def test_recursive_least_squares_is_ridge_regression(n_before: int, blocks: int) -> None:
    """Also row by row, from rows that are kept, from sums, and from nothing."""
    case, alpha = Case(50), 0.3
    sums = RidgeSums(12, 2, CPU)
    rows = [torch.from_numpy(part) for part in (case.rows, case.targets, case.weights)]
    if n_before:
        sums.add(*(part[:n_before] for part in rows))
    recursive = RecursiveLeastSquares(sums, alpha)
    size = (50 - n_before) // blocks + 1
    for start in range(n_before, 50, size):
        recursive.add(*(part[start : start + size] for part in rows))
    expected = Ridge(alpha=alpha, solver="cholesky").fit(case.rows, case.targets, sample_weight=case.weights)
    found = recursive.solve()
    assert_same(found, expected.coef_, expected.intercept_)
    batch = case.sums().solve(np.array([alpha]))
    assert found.variance == pytest.approx(batch.variance, rel=1e-6)


def test_one_row_at_a_time_over_many_features_stays_within_a_millionth() -> None:
    rng = np.random.default_rng(0)
    states = np.tanh(rng.normal(size=(600, 200)) @ rng.normal(size=(200, 200)) / 4)
    targets = rng.normal(size=(600, 3))
    recursive = RecursiveLeastSquares(RidgeSums(200, 3, CPU), 10**-3.5)
    for state, target in zip(states, targets, strict=True):
        recursive.add(torch.from_numpy(state[None]), torch.from_numpy(target[None]), torch.ones(1, dtype=torch.float64))
    expected = Ridge(alpha=10**-3.5, solver="cholesky").fit(states, targets)
    found = recursive.solve().coef
    assert np.linalg.norm(found - expected.coef_) < 1e-6 * np.linalg.norm(expected.coef_)
    torch.testing.assert_close(recursive.covariance, recursive.covariance.T, rtol=0, atol=1e-12)


def test_a_long_block_is_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(50)
    monkeypatch.setattr(_ridge, "BLOCK", 7)
    recursive = RecursiveLeastSquares(RidgeSums(12, 2, CPU), 0.3)
    recursive.add(*case.blocks(1)[0])
    assert_same(recursive.solve(), *_solution(case.sums().solve(np.array([0.3]))))


def _solution(readout: Readout) -> tuple[np.ndarray, np.ndarray]:
    return readout.coef, readout.intercept


@pytest.mark.parametrize("n", [9, 40])
def test_weights_count_as_repetitions(n: int) -> None:
    case = Case(n)
    times = np.random.default_rng(1).integers(0, 4, n)
    repeated = RidgeSums(12, 2, CPU)
    repeated.add(
        *(torch.from_numpy(np.repeat(part, times, axis=0)) for part in (case.rows, case.targets)),
        torch.ones(times.sum(), dtype=torch.float64),
    )
    weighted = RidgeSums(12, 2, CPU)
    weighted.add(*(torch.from_numpy(part) for part in (case.rows, case.targets, times.astype(np.float64))))
    for alphas in (np.array([0.5]), None):
        first, second = repeated.solve(alphas), weighted.solve(alphas)
        assert_same(first, *_solution(second), rtol=1e-7)
        assert first.alpha == pytest.approx(second.alpha)


def leave_out(case: Case, alpha: float) -> tuple[float, float]:
    """Residual sum of squares over that of the targets (mean), and degrees of freedom, by the hat matrix."""
    rows, targets = case.rows - case.rows.mean(0), case.targets - case.targets.mean(0)
    hat = rows @ np.linalg.solve(rows.T @ rows + alpha * np.eye(rows.shape[1]), rows.T)
    residual = np.square(targets - hat @ targets).sum(0)
    return float((residual / np.square(targets).sum(0)).mean()), float(np.trace(hat))


@pytest.mark.parametrize("n", [9, 30])
def test_the_penalty_is_that_of_the_least_generalised_cross_validation(n: int) -> None:
    case, alphas = Case(n), np.logspace(-3, 4, 200)
    tried = [leave_out(case, alpha) for alpha in alphas]

    def best(inflation: float) -> int:
        left = [n - 1 - inflation * freedom for _, freedom in tried]
        scores = [r / k**2 if k > 0 else np.inf for (r, _), k in zip(tried, left, strict=True)]
        return int(np.argmin(scores))

    # every degree of freedom counts 1.4 times (Kim & Gu 2004), and another number is told apart
    assert 0 < best(1.35) < best(1.4) < best(1.45) < 199
    expected = alphas[best(1.4)]
    found = case.sums(weighted=False).solve(alphas)
    assert found.alpha == expected
    assert_same(found, *_solution(case.sums(weighted=False).solve(np.array([expected]))), rtol=1e-7)


@pytest.mark.parametrize("n", [9, 30])
def test_the_variance_is_that_of_generalised_cross_validation(n: int) -> None:
    case, alpha = Case(n), 2.0
    _, freedom = leave_out(case, alpha)
    readout = case.sums(weighted=False).solve(np.array([alpha]))
    residual = np.square(case.targets - case.rows @ readout.coef.T - readout.intercept).sum(0).mean()
    assert readout.variance == pytest.approx(residual * n / (n - 1 - freedom) ** 2, rel=1e-6)


def test_noise_alone_is_penalised_and_a_law_is_not() -> None:
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(size=(80, 30)))
    law, noise = rows[:, :1] * 3.0, torch.from_numpy(rng.normal(size=(80, 1)))
    found = []
    for targets in (law, noise):
        sums = RidgeSums(30, 1, CPU)
        sums.add(rows, targets, torch.ones(80, dtype=torch.float64))
        found.append(sums.solve(None))
    assert found[0].alpha < 1e-4
    assert found[1].alpha > 50
    assert RidgeCV(np.logspace(-6, 3, 10)).fit(rows, noise[:, 0]).alpha_ == 1000


def test_a_penalty_too_small_for_float64_is_named() -> None:
    rows = torch.ones(20, 3, dtype=torch.float64) * torch.arange(20)[:, None]
    sums = RidgeSums(3, 1, CPU)
    sums.add(rows, rows[:, :1], torch.ones(20, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"alpha=1e-20 is too small for states of this size"):
        sums.solve(np.array([1e-20]))


def test_targets_without_variance_have_no_coefficients() -> None:
    case = Case(30)
    sums = RidgeSums(12, 1, CPU)
    sums.add(torch.from_numpy(case.rows), torch.full((30, 1), 7.0).double(), torch.ones(30, dtype=torch.float64))
    for alphas in (None, np.array([1.0])):
        readout = sums.solve(alphas)
        assert np.abs(readout.coef).max() < 1e-12
        np.testing.assert_allclose(readout.intercept, 7.0)


def test_sums_are_saved_as_they_are() -> None:
    case = Case(30)
    sums = pickle.loads(pickle.dumps(case.sums()))
    assert_same(sums.solve(np.array([1.0])), *_solution(case.sums().solve(np.array([1.0]))))
