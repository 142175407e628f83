"""The algebra of the ridge metric: both forms against the equations in float64."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigh

from skseqmetric._ops.held_out import held_out_predictions
from skseqmetric._ops.ridge_metric import FeatureSums, Form, KernelForm, Part, embedding_map, pair_directions

SIZES = [(9, 30), (60, 40), (150, 90), (70, 400)]


def rows(n: int, p: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares with a few strong directions, one of them constant; three classes; whole weights."""
    rng = np.random.default_rng(n)
    hidden = rng.normal(size=(n, 6)) * [5, 4, 3, 2, 1.5, 1]
    features = 1 / (1 + np.exp(-(hidden @ rng.normal(size=(6, p)) + 0.3 * rng.normal(size=(n, p))) / 4))
    features[:, 3] = 0.25
    return features.astype(np.float32), np.eye(3)[np.arange(n) % 3], rng.integers(1, 4, n).astype(float)


def kernel_form(features: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Form:
    return KernelForm(features.copy(), targets, weights)


def covariance_form(features: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Form:
    sums = FeatureSums(features.shape[1], targets.shape[1])
    for part in np.array_split(np.arange(len(features)), 4):
        sums.add(features[part].copy(), targets[part], weights[part])
    return sums.form()


def squared_distances(coordinates: np.ndarray) -> np.ndarray:
    return np.square(coordinates[:, None] - coordinates[None]).sum(2)


def standardised(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    share = weights / weights.sum()
    centred = features.astype(np.float64) - share @ features.astype(np.float64)
    deviation = np.sqrt(share @ centred**2)
    return centred / np.where(np.ptp(features, axis=0) > 0, deviation, np.inf)


def explicit(f: np.ndarray, targets: np.ndarray, weights: np.ndarray, alpha: float, blend: float, n: int) -> np.ndarray:
    """Squared distances of all rows by the equations, for standardised rows f."""
    share = weights / weights.sum()
    gram = f.T @ (weights[:, None] * f)
    penalty = alpha * np.linalg.eigvalsh(np.sqrt(weights)[:, None] * f @ f.T * np.sqrt(weights)).mean()
    centred = targets - share @ targets
    ridge = np.linalg.solve(gram + penalty * np.eye(len(gram)), f.T @ (weights[:, None] * centred))
    principal = np.linalg.eigh(gram)[1][:, ::-1][:, :n]
    parts = [squared_distances(f @ columns) for columns in (ridge, principal)]
    first, second = (part / (share @ part @ share) for part in parts)
    return (1 - blend) * first + blend * second


def found(form: Form, features: np.ndarray, alpha: float, blend: float, n: int) -> np.ndarray:
    directions, variances = form.principal(n, [0, 1])
    taught = form.ridge(alpha * form.mean_eigenvalue)
    columns = embedding_map(taught, Part(directions, float(variances.sum())), blend, form.total)
    return squared_distances(((features - form.mean) * form.inverse) @ columns.astype(np.float64))


@pytest.mark.parametrize("blend", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(("n", "p"), SIZES)
@pytest.mark.parametrize("make", [kernel_form, covariance_form])
def test_both_forms_are_the_equations(make: object, n: int, p: int, blend: float) -> None:
    features, targets, weights = rows(n, p)
    expected = explicit(standardised(features, weights), targets, weights, 0.1, blend, 6)
    actual = found(make(features, targets, weights), features, 0.1, blend, 6)  # type: ignore[operator]
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)
    assert expected.mean() == pytest.approx(1, rel=0.2)


def test_sums_in_float32_are_the_same_but_for_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets, weights = rows(150, 90)
    exact = found(covariance_form(features, targets, weights), features, 0.1, 0.2, 6)
    monkeypatch.setattr("skseqmetric._ops.ridge_metric.EXACT", 0)
    form = covariance_form(features, targets, weights)
    assert form.gram.dtype == np.float32  # type: ignore[attr-defined]
    np.testing.assert_allclose(found(form, features, 0.1, 0.2, 6), exact, rtol=1e-3, atol=1e-4)


def test_sums_go_on_after_their_form_was_used() -> None:
    features, targets, weights = rows(150, 90)
    sums = FeatureSums(90, 3)
    sums.add(features[:80].copy(), targets[:80], weights[:80])
    found(sums.form(), features, 0.1, 0.2, 6)
    sums.restore()
    sums.add(features[80:].copy(), targets[80:], weights[80:])
    expected = found(covariance_form(features, targets, weights), features, 0.1, 0.2, 6)
    np.testing.assert_allclose(found(sums.form(), features, 0.1, 0.2, 6), expected, rtol=1e-5, atol=1e-6)


def test_a_copy_of_the_sums_has_more_targets_and_leaves_the_first_alone() -> None:
    features, targets, weights = rows(150, 90)
    sums = FeatureSums(90, 2)
    early = targets[:, 1] == 0
    sums.add(features[early].copy(), targets[early][:, [0, 2]], weights[early])
    before = {name: np.copy(value) for name, value in vars(sums).items()}
    grown = sums.with_targets(np.array([0, 2]), 3)
    grown.add(features[~early].copy(), targets[~early], weights[~early])
    assert all(np.array_equal(before[name], value) for name, value in vars(sums).items())
    expected = found(kernel_form(features, targets, weights), features, 0.1, 0.2, 6)
    np.testing.assert_allclose(found(grown.form(), features, 0.1, 0.2, 6), expected, rtol=1e-3, atol=1e-4)


def test_rows_that_are_all_equal_have_no_direction() -> None:
    features = np.full((8, 12), 0.5, dtype=np.float32)
    for make in (kernel_form, covariance_form):
        form = make(features, np.eye(2)[np.arange(8) % 2], np.ones(8))
        directions, variances = form.principal(4, [0, 1])
        assert directions.shape == (12, 0)
        columns = embedding_map(form.ridge(1.0), Part(directions, float(variances.sum())), 0.2, 8.0)
        np.testing.assert_array_equal(columns, np.zeros((12, 1)))


def test_products_that_are_singular_name_the_penalty() -> None:
    features, targets, weights = rows(60, 400)
    features[8:] = features[np.arange(52) % 8]  # 52 pivots are rounding errors, whichever processor makes them
    with pytest.raises(ValueError, match="alpha is too small for these data, a penalty of 1e-30"):
        kernel_form(features, targets, weights).ridge(1e-30)


def test_directions_of_pairs_solve_the_generalised_eigenproblem() -> None:
    rng = np.random.default_rng(0)
    same, different = rng.normal(size=(40, 7)), rng.normal(size=(30, 7)) * np.arange(1, 8)
    variances, penalty = np.arange(7, 0, -1.0), 0.3
    values, vectors = eigh(different.T @ different / 30 - same.T @ same / 40, np.diag(variances) + penalty * np.eye(7))
    expected = (vectors[:, values > 0] * values[values > 0]) @ vectors[:, values > 0].T
    columns = pair_directions(same, different, variances, penalty, 7)
    np.testing.assert_allclose(columns @ columns.T, expected, rtol=1e-9, atol=1e-12)
    assert pair_directions(same, different, variances, penalty, 2).shape == (7, 2)


def test_directions_of_all_pairs_of_classes_are_those_of_ridge_regression() -> None:
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1, 2], 8)
    f = rng.normal(size=(24, 5)) + 2 * rng.normal(size=(3, 5))[y]
    f -= f.mean(0)
    f = f @ np.linalg.eigh(f.T @ f)[1]
    left, right = np.triu_indices(24, 1)
    differences, same = f[left] - f[right], y[left] == y[right]
    columns = pair_directions(differences[same], differences[~same], np.square(f).sum(0), 0.5, 5)
    targets = np.eye(3)[y] - 1 / 3
    ridge = np.linalg.solve(f.T @ f + 0.5 * np.eye(5), f.T @ targets)
    # all pairs of different classes weigh more than those between class means by the scatter within
    found = columns @ columns.T
    cosine = (found * (ridge @ ridge.T)).sum() / np.linalg.norm(found) / np.linalg.norm(ridge @ ridge.T)
    assert cosine > 0.999


def test_held_out_predictions_are_those_of_fits_without_the_fold() -> None:
    """An intercept with the penalty alpha / 10 and weights, against the equations of ridge regression."""
    rng = np.random.default_rng(0)
    n, alpha = 20, 0.3
    features, targets = rng.normal(size=(n, 6)), rng.normal(size=(n, 2))
    weights, folds = rng.uniform(0.5, 2, n), np.arange(n) % 4
    found = held_out_predictions(features, targets, weights, folds, np.array([alpha]))
    mean = np.average(features, axis=0, weights=weights)
    standard = (features - mean) / np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
    standard /= np.sqrt((standard**2).sum() / n)
    design = np.column_stack([standard, np.full(n, np.sqrt(10.0))])
    shares = weights / weights.mean()
    for fold in range(4):
        seen = folds != fold
        normal = design[seen].T @ (shares[seen, None] * design[seen]) + alpha * np.eye(7)
        slopes = np.linalg.solve(normal, design[seen].T @ (shares[seen, None] * targets[seen]))
        np.testing.assert_allclose(found[~seen], design[~seen] @ slopes, rtol=1e-9, atol=1e-9)
