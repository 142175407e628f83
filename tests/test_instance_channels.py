"""Which views of the channels trained estimators read, and how they choose them by their training data."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, clone

import skseqmetric
from skseqmetric import (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    MetricEnsemble,
    NRNMClassifier,
    NRNMMetric,
    NRNMRegressor,
    NRNMStepClassifier,
    RecurrentClassifier,
    RecurrentRegressor,
    SequenceKNeighborsClassifier,
    SyncGRUMetric,
)
from tests.fake_callbacks import SeenBatches, sequences_of

VIEWS = ("standardised", "changes", "deviation")
FAST: dict[str, Any] = {"max_epochs": 1, "min_batches": 1, "random_state": 0, "n_units": 4}
WHOLE: list[Any] = [
    SyncGRUMetric(n_filters=4, **FAST),
    NRNMMetric(n_filters=4, **FAST),
    NRNMClassifier(n_filters=4, **FAST),
    RecurrentClassifier(**FAST),
    CrossModalTripletEmbedder(4, n_filters=4, **FAST),
]
OTHERS = [CrossModalTranscriber, NRNMRegressor, NRNMStepClassifier, RecurrentRegressor]
Data = tuple[list[np.ndarray], np.ndarray]


def of_recordings(n: int = 80, n_groups: int = 8) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Two frequencies, at a level and a size that belong to the recording: absolute values tell the recording."""
    rng = np.random.default_rng(0)
    y, groups = np.arange(n) % 2, np.arange(n) // 2 % n_groups
    level, size = rng.normal(0, 5, n_groups), np.exp(rng.normal(0, 1, n_groups))
    steps = np.arange(40)
    X = [
        level[g] + size[g] * np.sin((0.3, 0.5)[k] * steps[:, None] + rng.uniform(0, 6)) + 0.1 * rng.normal(size=(40, 1))
        for k, g in zip(y, groups, strict=True)
    ]
    return X, y, groups


def standardised_one_by_one() -> Data:
    X, y, _ = of_recordings()
    return [(x - x.mean()) / x.std() for x in X], y


def by_level() -> Data:
    """Two classes that differ by their level alone, which the views hide behind noise."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    return [k + 0.5 * rng.normal(size=(20, 1)) + 0.3 * rng.normal() for k in y], y


def kept(X: Any, y: Any, metric: Any = None, **given: Any) -> dict[str, tuple[int, ...]]:
    return (metric or SyncGRUMetric(n_filters=4, **FAST)).fit(X, y, **given).instance_channels_


@pytest.mark.parametrize(
    ("share", "grouped", "ungrouped"), [(0.08, False, False), (0.13, True, False), (0.18, True, True)]
)
def test_views_that_help_new_groups_need_to_help_less(
    share: float, grouped: bool, ungrouped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held-out errors that fall by a share, the same in every sequence but for a little noise."""
    X, y, groups = of_recordings()
    noise = np.random.default_rng(0).normal(0, 0.01, (2, len(y)))
    errors = 1 + noise[0], 1 - share + noise[1], np.ones(len(y))
    monkeypatch.setattr("skseqmetric._training.views._held_out_errors", lambda *_: errors)
    assert bool(kept(X, y, groups=groups)) == grouped
    assert bool(kept(X, y)) == bool(kept(X, y, groups=np.zeros(len(y)))) == ungrouped


@pytest.mark.parametrize("made", WHOLE, ids=lambda made: type(made).__name__)
def test_views_are_kept_where_recordings_have_other_levels(made: Any) -> None:
    X, y, groups = of_recordings()
    fitted = clone(made).fit(X, y, groups=groups)
    assert tuple(fitted.instance_channels_) == VIEWS
    assert fitted.network_config_["views"] == (1, 2, 3)
    shifted = [7.0 + 0 * x for x in X]
    assert fitted.transform(shifted).shape == (80, fitted.module_.n_outputs)


@pytest.mark.parametrize("made", WHOLE, ids=lambda made: type(made).__name__)
@pytest.mark.parametrize("data", [standardised_one_by_one, by_level])
def test_views_are_dropped_where_they_are_copies_or_do_not_help(made: Any, data: Any) -> None:
    fitted = clone(made).fit(*data())
    assert fitted.instance_channels_ == {}
    assert fitted.network_config_["views"] == ()


def test_no_network_reads_a_constant_view_or_a_copy() -> None:
    """The second channel repeats the first, and the third is constant."""
    X, y, groups = of_recordings()
    assert kept([np.column_stack([x, x, np.ones(len(x))]) for x in X], y, groups=groups) == dict.fromkeys(VIEWS, (0,))


def test_a_fit_with_groups_holds_out_whole_groups() -> None:
    """Levels tell the class in recordings that are known, and not in others: the views help in others alone."""
    rng, groups = np.random.default_rng(1), np.arange(96) % 4
    y = groups % 2
    waves = [np.sin((0.4, 0.6)[k] * np.arange(30) + rng.uniform(0, 6)) + rng.normal(size=30) for k in y]
    X = [g + 0.1 * wave[:, None] for g, wave in zip(groups, waves, strict=True)]
    assert kept(X, y, groups=groups)
    assert not kept(X, y)


def test_true_means_all_views_and_false_none() -> None:
    X, y = by_level()
    assert kept(X, y, SyncGRUMetric(**FAST, instance_channels=True)) == dict.fromkeys(VIEWS, (0,))
    X, y, groups = of_recordings()
    assert kept(X, y, SyncGRUMetric(**FAST, instance_channels=False), groups=groups) == {}


@pytest.mark.parametrize("made", [NRNMRegressor(n_filters=4, **FAST), RecurrentRegressor(**FAST)])
def test_regressors_choose_by_their_numbers(made: Any) -> None:
    X, y, groups = of_recordings()
    assert tuple(clone(made).fit(X, y + 0.1, groups=groups).instance_channels_) == VIEWS
    X, y = by_level()
    assert clone(made).fit(X, y + 0.1).instance_channels_ == {}


def test_transcribers_choose_by_the_symbols_of_the_labels() -> None:
    X, y, groups = of_recordings()
    transcriber = CrossModalTranscriber(n_filters=4, n_units=4, max_epochs=1, random_state=0)
    assert tuple(transcriber.fit(X, np.array(["a", "b"])[y], groups=groups).instance_channels_) == VIEWS


@pytest.mark.parametrize("made", [NRNMClassifier, NRNMRegressor, NRNMStepClassifier, RecurrentClassifier])
def test_targets_of_steps_leave_no_views_to_be_chosen_and_refuse_them(made: Any) -> None:
    X, y, _ = of_recordings()
    given = {} if made is NRNMStepClassifier else {"target": "step"}
    steps = [np.full(len(x), k) for x, k in zip(X, y, strict=True)]
    fitted = made(**FAST, **given).fit(X, steps)
    assert fitted.instance_channels_ == {}
    fitted.predict_step(X[0][0])
    for allowed in (True, np.True_):
        with pytest.raises(ValueError, match=r"instance_channels=True reads whole sequences.*target='step'"):
            made(**FAST, **given, instance_channels=allowed).fit(X, steps)


def test_steps_read_in_both_directions_may_have_views() -> None:
    X, y, _ = of_recordings(20)
    steps = [np.full(len(x), k) for x, k in zip(X, y, strict=True)]
    fitted = RecurrentClassifier(**FAST, target="step", bidirectional=True, instance_channels=True).fit(X, steps)
    assert tuple(fitted.instance_channels_) == VIEWS
    assert [len(answer) for answer in fitted.predict(X)] == [40] * 20


def test_encoders_of_a_user_read_the_channels_alone() -> None:
    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.map = torch.nn.Parameter(torch.ones(1, 3))

        def forward(self, values: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return values @ self.map, lengths

    X, y, groups = of_recordings()
    made = CrossModalTripletEmbedder(4, series_encoder=Encoder(), max_epochs=1, random_state=0)
    assert made.fit(X, y, groups=groups).instance_channels_ == {}
    with pytest.raises(ValueError, match="encoder of your own"):
        made.set_params(instance_channels=True).fit(X, y)


def test_pairs_have_no_labels_and_no_views() -> None:
    X, y, _ = of_recordings()
    pairs = np.column_stack([np.arange(40), np.arange(40) + 40 - np.arange(40) % 3])
    same = np.where(y[pairs[:, 0]] == y[pairs[:, 1]], 1, -1)
    assert SyncGRUMetric(n_filters=4, **FAST).fit_pairs(X, pairs, same).instance_channels_ == {}
    made = SyncGRUMetric(n_filters=4, **FAST, instance_channels=True)
    assert tuple(made.fit_pairs(X, pairs, same).instance_channels_) == VIEWS


# ----------------------------------------------------------------------------------------------- what it depends on


def scores(monkeypatch: pytest.MonkeyPatch, **given: Any) -> tuple[np.ndarray, np.ndarray]:
    """The predictions for held-out sequences, without and with views, of a fit."""
    found: list[np.ndarray] = []
    predictions = skseqmetric._training.views.held_out_predictions

    def kept_predictions(*args: Any) -> np.ndarray:
        found.append(predictions(*args))
        return found[-1]

    monkeypatch.setattr("skseqmetric._training.views.held_out_predictions", kept_predictions)
    SyncGRUMetric(n_filters=4, **FAST).set_params(**given.pop("settings", {})).fit(**given)
    return np.concatenate(found)


def test_the_choice_depends_neither_on_order_nor_seed_nor_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, groups = of_recordings(40)
    rows = np.random.default_rng(0).permutation(40)
    base = scores(monkeypatch, X=X, y=y, groups=groups)
    mixed = scores(monkeypatch, X=[X[i] for i in rows], y=y[rows], groups=groups[rows], settings={"random_state": 5})
    assert np.array_equal(base, mixed)
    weights = np.where(np.arange(40) < 10, 2.0, 1.0)
    doubled = scores(monkeypatch, X=X + X[:10], y=np.r_[y, y[:10]], groups=np.r_[groups, groups[:10]])
    assert np.array_equal(scores(monkeypatch, X=X, y=y, groups=groups, sample_weight=weights), doubled)
    assert not np.array_equal(base, doubled)
    left_out = np.where(np.arange(40) < 10, 0.0, 1.0)
    fewer = scores(monkeypatch, X=X[10:], y=y[10:], groups=groups[10:])
    assert np.array_equal(scores(monkeypatch, X=X, y=y, groups=groups, sample_weight=left_out), fewer)


def test_later_fits_keep_the_choice_of_the_first() -> None:
    X, y, groups = of_recordings()
    metric = SyncGRUMetric(n_filters=4, **FAST, warm_start=True).fit(X, y, groups=groups)
    assert tuple(metric.fit(*by_level()).instance_channels_) == VIEWS
    assert tuple(metric.partial_fit(*by_level()).instance_channels_) == VIEWS
    assert SyncGRUMetric(n_filters=4, **FAST).partial_fit(*by_level()).instance_channels_ == {}


@pytest.mark.filterwarnings("ignore::skseqmetric.exceptions.SuspiciousShapeWarning")
@pytest.mark.parametrize("n_classes", [2, 300])
def test_large_data_are_read_in_part(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 12, 40))
    y = np.arange(900) % n_classes
    assert kept(X, y, RecurrentClassifier(**FAST).set_params(max_updates=1)) == {}


# ----------------------------------------------------------------------------------------------- what networks do


def test_views_shift_with_their_sequence() -> None:
    """Of the kept views, none changes when all of a sequence is shifted: the channel itself does."""
    X, y, groups = of_recordings()
    metric = SyncGRUMetric(n_filters=None, **FAST).fit(X, y, groups=groups)
    values, lengths = torch.zeros(2, 40, 1), torch.tensor([40, 40])
    values[0] = torch.sin(torch.arange(40.0))[:, None]
    values[1] = values[0] + 2
    features, _ = metric.module_.encode(values, lengths)
    assert features.shape == (2, 40, 4)
    torch.testing.assert_close(features[0, :, 1:], features[1, :, 1:], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(features[0, :, 0], features[1, :, 0])


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_outputs_of_prefixes_are_those_of_prefixes_alone(pooling: str) -> None:
    X, y, _ = of_recordings(20)
    made = RecurrentClassifier(**FAST, pooling=pooling, instance_channels=True).fit(X, y)
    rows = made.predict_prefixes([X[0], X[1][:9]])
    assert [len(block) for block in rows] == [40, 9]
    for t in (1, 5, 40):
        np.testing.assert_allclose(rows[0][t - 1], made.predict_prefixes([X[0][:t]])[0][-1], rtol=1e-4, atol=1e-5)
    difference = made.decision_function([X[0][:5]])[0]
    np.testing.assert_allclose(rows[0][4, 1] - rows[0][4, 0], difference, rtol=1e-4, atol=1e-5)


# ----------------------------------------------------------------------------------------------- who passes groups on


def test_groups_reach_the_choice_through_other_estimators() -> None:
    X, y, groups = of_recordings()
    metric = SyncGRUMetric(n_filters=4, **FAST)
    neighbours = SequenceKNeighborsClassifier(metric, n_neighbors=1).fit(X, y, groups=groups)
    assert neighbours.metric_.instance_channels_
    ensemble = MetricEnsemble([("gru", metric), ("dtw", "dtw")], cv=None).fit(X, y, groups=groups)
    assert ensemble.metrics_[0].instance_channels_


@pytest.mark.parametrize("ragged", [False, True])
def test_batches_mix_the_groups_of_a_class(ragged: bool) -> None:
    """Sequences tell which they are. Each class has four groups; four members of a class meet in a batch."""
    n = 96
    y, groups = np.arange(n) % 2, np.arange(n) // 2 % 4
    lengths = np.random.default_rng(0).integers(5, 30, n) if ragged else np.full(n, 6)
    X = [np.full((steps, 1), float(i)) for i, steps in enumerate(lengths)]
    shares = {}
    for given in (groups, None):
        seen = SeenBatches()
        settings = {**FAST, "max_epochs": 4, "augment": None, "scaling": None, "instance_channels": False}
        SyncGRUMetric(n_filters=None, **settings, callbacks=[seen]).fit(X, y, groups=given)
        parts = [np.array([x[0, 0] for x in sequences_of(b)], dtype=int).reshape(-1, 4) for b in seen.training]
        distinct = [len(np.unique(groups[part])) for batch in parts for part in batch]
        shares[given is None] = np.mean(distinct)
        assert all(len(np.unique(y[part])) == 1 for batch in parts for part in batch)
        assert set(np.concatenate(parts).ravel()) == set(range(n))
    assert shares[False] > (3.4 if ragged else 3.9)
    assert shares[True] < 3.1


def test_every_trained_estimator_has_the_parameter() -> None:
    public = (getattr(skseqmetric, name) for name in skseqmetric.__all__)
    trained = {
        cls
        for cls in public
        if inspect.isclass(cls) and issubclass(cls, BaseEstimator) and "max_epochs" in inspect.signature(cls).parameters
    }
    assert {*map(type, WHOLE), *OTHERS} == trained
    for cls in trained:
        assert inspect.signature(cls).parameters["instance_channels"].default == "auto"
