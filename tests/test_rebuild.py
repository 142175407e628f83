"""`type(module_)(**network_config_)` is the network of every trained estimator, with new weights."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator

import skseqmetric
from skseqmetric import (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    NRNMClassifier,
    NRNMMetric,
    NRNMRegressor,
    NRNMStepClassifier,
    RecurrentClassifier,
    RecurrentRegressor,
    SyncGRUMetric,
)
from tests import small_embedder, small_transcriber

FAST: dict[str, Any] = {"max_epochs": 1, "min_batches": 1, "random_state": 0}
MEMORY: dict[str, Any] = {**FAST, "n_units": 4, "n_heads": 2, "n_filters": 4}
X = [np.random.default_rng(n).normal(size=(n, 2)) for n in (3, 40, 9, 17)]
LABELS = np.array([0, 1, 0, 1])
STEPS = [np.arange(len(x)) % 2 for x in X]


def given(estimator: Any) -> Any:
    return STEPS if getattr(estimator, "target", None) == "step" else LABELS


SERIES: list[Any] = [
    SyncGRUMetric(4, n_filters=4, **FAST),
    SyncGRUMetric(4, n_filters=None, coupling="diffusive", pooling="both", **FAST),
    SyncGRUMetric(4, n_filters=4, coupling="scalar", bidirectional=False, max_recurrent_steps=8, **FAST),
    NRNMMetric(n_components=3, **MEMORY),
    NRNMClassifier(**MEMORY, max_recurrent_steps=8),
    NRNMClassifier(**{**MEMORY, "n_filters": None}, cell="gru", window=None, pooling="last"),
    NRNMClassifier(**MEMORY, n_layers=2, memory_input="tokens", attention=False, instance_channels=False),
    NRNMRegressor(**MEMORY, target="step", pooling="both"),
    NRNMStepClassifier(**MEMORY, cell="rnn", stride=2, n_slots=3),
    RecurrentClassifier(3, n_layers=2, dropout=0.1, **FAST),
    RecurrentClassifier(3, target="step", pooling="mean", **FAST),
    RecurrentRegressor(3, cell="gru", bidirectional=True, pooling="both", **FAST),
]


def rebuilt(fitted: Any) -> torch.nn.Module:
    """The network made anew, which differs until it has the learned weights."""
    network = type(fitted.module_)(**fitted.network_config_)
    same = [torch.equal(a, b) for a, b in zip(network.parameters(), fitted.module_.parameters(), strict=True)]
    assert not all(same)
    network.load_state_dict(fitted.module_.state_dict())
    return network.eval()


@torch.no_grad()
def assert_same_features(fitted: Any, sequences: list[np.ndarray]) -> None:
    network = rebuilt(fitted)
    for x in sequences:
        values = torch.from_numpy(((x - fitted.mean_) / fitted.scale_).astype(np.float32))[None]
        lengths = torch.tensor([len(x)])
        features = network.features(values, lengths)
        assert torch.equal(features, fitted.module_.features(values, lengths))
        np.testing.assert_allclose(features, fitted.transform([x]), rtol=1e-4, atol=1e-5)
        if hasattr(fitted, "predict"):
            assert torch.equal(network(values, lengths), fitted.module_(values, lengths))


@pytest.mark.parametrize("estimator", SERIES, ids=lambda made: type(made).__name__)
def test_a_network_is_made_again_from_its_configuration(estimator: Any) -> None:
    assert_same_features(estimator.fit(X, given(estimator)), X)


@pytest.mark.parametrize("coupling", ["scalar", "symmetric", "diffusive"])
def test_coupled_runs_of_the_network_made_again_are_the_same(coupling: str) -> None:
    fitted = SyncGRUMetric(4, n_filters=4, coupling=coupling, **FAST).fit(X, LABELS)
    before = fitted.pairwise_distances(X)
    fitted.module_ = rebuilt(fitted)
    assert np.array_equal(fitted.pairwise_distances(X), before)


@pytest.mark.parametrize("with_images", [False, True])
def test_cross_modal_networks_are_made_again(pairs: Any, words: Any, with_images: bool) -> None:
    for made, data in ((small_embedder.small(), pairs), (small_transcriber.small(), words)):
        sequences, y, images = data
        fitted = made.set_params(max_epochs=1).fit(sequences, y, **({"images": images} if with_images else {}))
        assert_same_features(fitted, sequences[:4])
        if with_images:
            before = fitted.transform_images(images)
            fitted.module_ = rebuilt(fitted)
            assert np.array_equal(fitted.transform_images(images), before)


@pytest.mark.parametrize("estimator", [NRNMClassifier, NRNMMetric, NRNMRegressor])
def test_the_configuration_is_that_of_the_fit_and_not_of_parameters_set_later(estimator: Any) -> None:
    """Window and strides follow from the longest training sequence, which nothing else remembers."""
    fitted = estimator(**MEMORY, max_recurrent_steps=8).fit(X, LABELS)
    assert fitted.module_.stem.strides == (4, 2)
    assert (fitted.window_, fitted.network_config_["strides"]) == (2, (4, 2))
    before = fitted.transform(X), fitted.memory_states(X).memory
    fitted.set_params(n_units=6, window=12, stride=3, max_recurrent_steps=None, pooling="last", n_filters=None)
    assert fitted.window_ == 2
    assert_same_features(fitted, X)
    fitted.module_ = rebuilt(fitted)
    assert np.array_equal(fitted.transform(X), before[0])
    assert all(map(np.array_equal, fitted.memory_states(X).memory, before[1]))


def test_every_trained_estimator_is_tested_here() -> None:
    public = (getattr(skseqmetric, name) for name in skseqmetric.__all__)
    trained = {
        cls
        for cls in public
        if inspect.isclass(cls) and issubclass(cls, BaseEstimator) and "max_epochs" in inspect.signature(cls).parameters
    }
    assert {*map(type, SERIES), CrossModalTranscriber, CrossModalTripletEmbedder} == trained
