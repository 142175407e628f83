"""Weights and states of echo state networks: what is drawn, and what becomes of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from skseqmetric import EchoStateRegressor, EchoStateTransformer

ONE_WAY: dict[str, Any] = {"bidirectional": False, "pooling": "last", "random_state": 0}


def ragged(n: int = 12, n_channels: int = 2, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, n_channels)) for length in rng.integers(1, 15, n)]


def loop(x: np.ndarray, estimator: Any, k: int = 0) -> np.ndarray:
    """States (T, N) of reservoir k by the equation, in float64."""
    w = estimator.reservoirs_[k]
    scaled = (x - estimator.mean_) / estimator.scale_
    state, states = np.zeros(w.n_units), []
    for u in scaled:
        pre = w.input.double().numpy() @ np.append(1.0, u) + w.recurrent.double().numpy() @ state
        state = (1 - w.leak) * state + w.leak * np.tanh(pre)
        states.append(state)
    return np.array(states)


def spectral_radius(recurrent: torch.Tensor) -> float:
    return float(np.abs(np.linalg.eigvals(recurrent.double().numpy())).max())


# ------------------------------------------------------------------------------------------------------- the weights


def test_weights_have_the_entries_that_were_asked_for() -> None:
    fitted = EchoStateTransformer(
        400,
        density=0.3,
        spectral_radius=0.8,
        input_scaling=0.5,
        bias_scaling=0.2,
        input_density=0.4,
        random_state=0,
    ).fit(ragged())
    w = fitted.reservoirs_[0]
    assert sorted(np.unique(w.input[:, 1:].numpy())) == [-0.5, 0, 0.5]
    np.testing.assert_allclose(np.unique(w.input[:, 0].numpy()), [-0.2, 0, 0.2], rtol=1e-7)
    assert (w.input != 0).float().mean() == pytest.approx(0.4, abs=0.05)
    assert (w.recurrent != 0).float().mean() == pytest.approx(0.3, abs=0.01)
    bound = 0.8 * np.sqrt(3 / (0.3 * 400))
    assert float(w.recurrent.abs().max()) == pytest.approx(bound, rel=0.01)
    assert float(w.recurrent.mean()) == pytest.approx(0, abs=0.01 * bound)
    assert spectral_radius(w.recurrent) == pytest.approx(0.8, rel=0.1)


@pytest.mark.parametrize("n_units", [1, 30, 150])
@pytest.mark.parametrize("density", [0.1, 1.0])
def test_the_exact_spectral_radius_is_that_of_the_eigenvalues(n_units: int, density: float) -> None:
    fitted = EchoStateTransformer(
        n_units, density=density, spectral_radius=1.3, spectral_scaling="exact", random_state=0
    ).fit(ragged())
    for w in fitted.reservoirs_:
        assert spectral_radius(w.recurrent) == (pytest.approx(1.3, rel=1e-5) if w.recurrent.count_nonzero() else 0)


def test_reservoirs_differ_and_the_first_does_not_depend_on_how_many_there_are() -> None:
    X = ragged()
    one = EchoStateTransformer(60, **{**ONE_WAY, "pooling": None}).fit(X)
    many = EchoStateTransformer(
        60, n_reservoirs=3, leak=(0.3, 0.1, 1.0), spectral_radius=[1.0, 0.5, 0.9], random_state=0
    ).fit(X)
    assert [w.leak for w in many.reservoirs_] == [0.3, 0.1, 1.0] * 2
    assert torch.equal(one.reservoirs_[0].recurrent, many.reservoirs_[0].recurrent)
    matrices = [w.recurrent.numpy() for w in many.reservoirs_]
    assert len({m.tobytes() for m in matrices}) == 6
    spread = [m.std() for m in matrices]
    np.testing.assert_allclose(np.array(spread) / spread[0], [1, 0.5, 0.9] * 2, rtol=0.2)


# -------------------------------------------------------------------------------------------------------- the states


@pytest.mark.parametrize("density", [0.1, 0.9])
@pytest.mark.parametrize("n_units", [5, 200])
def test_states_are_those_of_the_plain_loop(n_units: int, density: float) -> None:
    X = ragged()
    fitted = EchoStateTransformer(n_units, density=density, n_reservoirs=2, leak=(0.2, 0.7), random_state=0).fit(X)
    for x, states in zip(X, fitted.hidden_states(X), strict=True):
        assert states.dtype == np.float32
        expected = [loop(x, fitted, k) for k in range(2)] + [loop(x[::-1], fitted, k)[::-1] for k in (2, 3)]
        np.testing.assert_allclose(states, np.concatenate(expected, axis=1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean", "both"])
def test_pooled_states_are_those_of_the_loop(pooling: str) -> None:
    X = ragged()
    fitted = EchoStateTransformer(15, pooling=pooling, random_state=0).fit(X)
    rows = []
    for x in X:
        forward, backward = loop(x, fitted), loop(x[::-1], fitted, 1)
        last = np.append(forward[-1], backward[-1])
        mean = np.append(forward.mean(0), backward.mean(0))
        rows.append({"last": last, "mean": mean, "both": np.append(last, mean)}[pooling])
    np.testing.assert_allclose(fitted.transform(X), rows, rtol=0, atol=1e-5)
    assert len(fitted.get_feature_names_out()) == len(rows[0])


def test_batches_and_order_change_nothing() -> None:
    X = ragged(30)
    fitted = EchoStateTransformer(40, pooling=None, random_state=0).fit(X)
    together, summary = fitted.transform(X), fitted.set_params(pooling="both").transform(X)
    order = np.random.default_rng(0).permutation(30)
    np.testing.assert_allclose(fitted.transform([X[i] for i in order]), summary[order], rtol=0, atol=1e-6)
    for x, states in zip(X, together, strict=True):
        np.testing.assert_allclose(fitted.hidden_states([x])[0], states, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_more_steps_than_a_batch_holds() -> None:
    """The states of 60,000 steps with 600 units are 144 MB, more than a batch keeps."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 1)) for n in (9_000, 20_000, 7, 12_000, 19_000)]
    fitted = EchoStateTransformer(300, pooling=None, density=0.01, random_state=0).fit(X)
    for x, states in zip(X, fitted.hidden_states(X), strict=True):
        np.testing.assert_allclose(states[:40, :300], loop(x[:40], fitted), rtol=0, atol=1e-5)
        np.testing.assert_allclose(states[-40:, 300:], loop(x[::-1][:40], fitted, 1)[::-1], rtol=0, atol=1e-5)


def test_states_need_no_readout() -> None:
    X = ragged()
    drawn = EchoStateRegressor(15, random_state=0).fit_reservoir(X)
    same = EchoStateTransformer(15, random_state=0).fit(X)
    np.testing.assert_array_equal(drawn.hidden_states(X)[3], same.hidden_states(X)[3])
    with pytest.raises(NotFittedError):
        drawn.predict(X)
    # a readout belongs to its reservoirs
    fitted = EchoStateRegressor(15, random_state=0).fit(X, np.arange(len(X)))
    with pytest.raises(NotFittedError):
        fitted.fit_reservoir(X).predict(X)
    fitted.partial_fit(X, np.arange(len(X)))
    np.testing.assert_array_equal(fitted.coef_, EchoStateRegressor(15, random_state=0).fit(X, np.arange(len(X))).coef_)
    with pytest.raises(NotFittedError):
        EchoStateRegressor(15).hidden_states(X)
