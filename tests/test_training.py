"""Training as a user meets it: seeds, interruptions, divergence, continuation, progress, persistence."""

from __future__ import annotations

import copy
import io
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from skorch.callbacks import Callback

from skseqmetric import SequenceKNeighborsClassifier, SyncGRUMetric
from tests.fake_callbacks import SeenBatches, sequences_of

SMALL: dict[str, Any] = {"n_units": 6, "n_filters": 6, "max_epochs": 3, "min_batches": 3, "random_state": 0}
Data = tuple[list[np.ndarray], np.ndarray]


@pytest.mark.parametrize("coupling", [None, "symmetric"])
def test_same_seed_is_bit_equal_and_another_seed_is_not(coupling: str | None, ragged: Data) -> None:
    metric = SyncGRUMetric(**SMALL, coupling=coupling)
    first, again = (clone(metric).fit(*ragged).transform(ragged[0]) for _ in range(2))
    assert np.array_equal(first, again)
    other = clone(metric).set_params(random_state=1).fit(*ragged).transform(ragged[0])
    assert not np.array_equal(first, other)


def test_random_state_none_draws_anew(ragged: Data) -> None:
    metric = SyncGRUMetric(**{**SMALL, "random_state": None}, coupling=None)
    assert not np.array_equal(*(clone(metric).fit(*ragged).transform(ragged[0]) for _ in range(2)))


def test_a_generator_instance_moves_on(ragged: Data) -> None:
    metric = SyncGRUMetric(**{**SMALL, "random_state": np.random.default_rng(0)}, coupling=None)
    first = metric.fit(*ragged).transform(ragged[0])
    assert not np.array_equal(first, metric.fit(*ragged).transform(ragged[0]))


def test_order_and_repetition_of_the_data_are_weights(ragged: Data) -> None:
    X, y = ragged
    metric = SyncGRUMetric(**SMALL, coupling=None)
    plain = clone(metric).fit(X, y).transform(X)
    assert np.array_equal(clone(metric).fit(X[::-1], y[::-1]).transform(X), plain)
    weights = np.arange(24) % 3
    repeated = np.repeat(np.arange(24), weights)
    weighted = clone(metric).fit(X, y, sample_weight=weights).transform(X)
    assert np.array_equal(clone(metric).fit([X[i] for i in repeated], y[repeated]).transform(X), weighted)
    assert not np.array_equal(weighted, plain)


def weights_of(net: Any) -> dict[str, torch.Tensor]:
    """Copies of the weights of the network in training."""
    return {name: p.detach().clone() for name, p in net.module_.network.state_dict().items()}


class InterruptAt(Callback):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) == self.epoch and len(net.history[-1]["batches"]) == 2:
            self.weights = weights_of(net)
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def keyboard() -> Iterator[None]:
    """Ctrl-C arrives even where the suite was started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("keyboard")
def test_ctrl_c_keeps_the_weights_so_far_and_says_so(ragged: Data) -> None:
    interrupt = InterruptAt(3)
    metric = SyncGRUMetric(**{**SMALL, "max_epochs": 50}, coupling=None, callbacks=[interrupt])
    with pytest.warns(ConvergenceWarning, match="interrupted in epoch 3 of 50"):
        metric.fit(*ragged)
    assert metric.n_iter_ == 2
    assert_weights(metric, interrupt.weights)


def assert_weights(metric: SyncGRUMetric, expected: dict[str, torch.Tensor]) -> None:
    for name, p in metric.module_.state_dict().items():
        assert torch.equal(p, expected[name]), name


def break_after(batches: int) -> Any:
    calls = iter(range(10_000))

    def augment(values: torch.Tensor, lengths: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return values * torch.nan if next(calls) >= batches else values

    return augment


class LastBatch(Callback):
    """The weights before the latest batch."""

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        self.weights = weights_of(net)


def test_a_loss_that_becomes_nan_stops_and_keeps_the_last_finite_weights(ragged: Data) -> None:
    last = LastBatch()
    metric = SyncGRUMetric(**SMALL, coupling=None, augment=break_after(4), callbacks=[last])
    with pytest.raises(FloatingPointError, match=r"epoch 2 at learning rate .* Lower learning_rate"):
        metric.fit(*ragged)
    assert metric.n_iter_ == 1
    assert_weights(metric, last.weights)
    assert np.isfinite(metric.transform(ragged[0])).all()


def test_a_learning_rate_that_explodes_undoes_the_fit(ragged: Data) -> None:
    metric = SyncGRUMetric(**SMALL, coupling=None, learning_rate=1e38, weight_decay=1.0, warm_start=True)
    message = "SyncGRUMetric: the training loss .* The estimator is as it was before this fit"
    with pytest.raises(FloatingPointError, match=message):
        metric.fit(*ragged)
    with pytest.raises(NotFittedError):
        metric.transform(ragged[0])
    metric.set_params(learning_rate=1e-3, weight_decay=0).fit(*ragged)
    before = metric.transform(ragged[0])
    with pytest.raises(FloatingPointError, match=message):
        metric.set_params(learning_rate=1e38, weight_decay=1.0).fit(*ragged)
    assert np.array_equal(metric.transform(ragged[0]), before)


class Norms(Callback):
    """Norms of the gradients that the optimizer gets."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        self.found.append(float(torch.stack([p.grad.norm() for _, p in named_parameters if p.grad is not None]).norm()))


@pytest.mark.parametrize(("scale", "largest"), [(1e4, 1.0), (1e-4, 0.01)])
def test_gradients_are_clipped_to_norm_one(scale: float, largest: float, ragged: Data) -> None:
    def loss(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return scale * embeddings.square().sum()

    norms = Norms()
    SyncGRUMetric(**SMALL, coupling=None, loss=loss, callbacks=[norms]).fit(*ragged)
    assert len(norms.found) == 9
    assert min(norms.found) > 0
    assert max(norms.found) < largest * (1 + 1e-4)
    assert largest < 1 or min(norms.found) == pytest.approx(1, rel=1e-4)  # shortened, and no more than needed


class Rates(Callback):
    """The learning rate of every batch."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        self.found.append(net.optimizer_.param_groups[0]["lr"])


@pytest.mark.parametrize(("settings", "n_updates"), [({}, 9), ({"max_updates": 7, "max_epochs": 50}, 7)])
def test_the_learning_rate_runs_through_one_cycle_over_all_batches(
    settings: dict[str, Any], n_updates: int, ragged: Data
) -> None:
    rates = Rates()
    metric = SyncGRUMetric(**{**SMALL, **settings}, coupling=None, learning_rate=0.02, callbacks=[rates]).fit(*ragged)
    assert metric.n_iter_ == 3
    assert len(rates.found) == n_updates
    place = np.arange(n_updates)
    # from 1/25 of the peak by a cosine to the peak in 30 % of the updates, and down to 1/25 of 1e-4
    top = 0.3 * n_updates - 1
    peak, up, down = 0.02, place / top, (place - top) / (n_updates - 1 - top)
    rising = peak / 25 + (peak - peak / 25) * (1 - np.cos(np.pi * up)) / 2
    falling = peak + (peak / 25e4 - peak) * (1 - np.cos(np.pi * down)) / 2
    np.testing.assert_allclose(rates.found, np.where(up <= 1, rising, falling), rtol=1e-6)
    metric.partial_fit(*ragged)
    assert rates.found[n_updates:] == [0.02] * 3


def test_weight_decay_shrinks_the_weights_by_its_share_of_the_learning_rate(ragged: Data) -> None:
    def nothing(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return 0 * embeddings.sum()

    last = LastBatch()
    settings = {**SMALL, "coupling": None, "loss": nothing, "learning_rate": 0.5}
    metric = SyncGRUMetric(**settings, weight_decay=0.2, callbacks=[last]).partial_fit(*ragged)
    for name, p in metric.module_.state_dict().items():
        torch.testing.assert_close(p, 0.9 * last.weights[name])
    start = SyncGRUMetric(**settings, weight_decay=0.0, callbacks=[last]).partial_fit(*ragged)
    assert_weights(start, last.weights)


def test_partial_fit_learns_and_takes_new_classes(ragged: Data) -> None:
    X, y = ragged
    metric = SyncGRUMetric(**SMALL, coupling=None)
    few = y < 2
    metric.partial_fit([x for x, k in zip(X, few, strict=True) if k], y[few])
    before = metric.transform(X)
    assert metric.classes_.tolist() == [0, 1]
    for _ in range(3):
        metric.partial_fit(X, y)
    assert metric.classes_.tolist() == [0, 1, 2]
    assert metric.n_iter_ == 4
    assert [row["epoch"] for row in metric.history_] == [1, 2, 3, 4]
    assert not np.array_equal(metric.transform(X), before)


def test_partial_fit_continues_after_pickling_as_without(ragged: Data) -> None:
    straight = SyncGRUMetric(**SMALL, coupling=None).partial_fit(*ragged).partial_fit(*ragged)
    saved = pickle.loads(pickle.dumps(SyncGRUMetric(**SMALL, coupling=None).partial_fit(*ragged)))
    assert np.array_equal(saved.partial_fit(*ragged).transform(ragged[0]), straight.transform(ragged[0]))


class Moments(Callback):
    """Updates that the optimizer remembers when training begins, and the mean size of its first moments."""

    def __init__(self) -> None:
        self.found: list[tuple[int, bool]] = []

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        state = list(net.optimizer_.state.values())
        steps = {int(entry["step"]) for entry in state} or {0}
        self.found.append((steps.pop(), any(bool(entry["exp_avg"].any()) for entry in state)))
        assert not steps


def test_partial_fit_continues_the_moments_of_adam_and_fit_starts_new_ones(ragged: Data) -> None:
    moments = Moments()
    metric = SyncGRUMetric(**SMALL, coupling=None, callbacks=[moments])
    for fit in (metric.partial_fit, metric.partial_fit, metric.partial_fit, metric.fit, metric.partial_fit):
        fit(*ragged)
    assert moments.found == [(0, False), (3, True), (6, True), (0, False), (0, False)]
    metric.set_params(warm_start=True).fit(*ragged)
    assert moments.found[-1] == (0, False)  # only the weights go on


def test_warm_start_continues_and_a_plain_fit_starts_over(ragged: Data) -> None:
    X, y = ragged
    cold = SyncGRUMetric(**SMALL, coupling=None).fit(X, y)
    first = cold.transform(X)
    assert np.array_equal(cold.fit(X, y).transform(X), first)
    assert cold.n_iter_ == 3
    warm = SyncGRUMetric(**SMALL, coupling=None, warm_start=True).fit(X, y)
    assert np.array_equal(warm.transform(X), first)
    warm.fit(X, y)
    assert warm.n_iter_ == 6
    assert not np.array_equal(warm.transform(X), first)


def test_nothing_is_held_out_unless_early_stopping_is_asked_for(ragged: Data) -> None:
    metric = SyncGRUMetric(**SMALL, coupling=None).fit(*ragged)
    assert all("valid_loss" not in row for row in metric.history_)


class EveryEpoch(Callback):
    """The weights after every epoch."""

    def __init__(self) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.weights.append(weights_of(net))


STOPPING: dict[str, Any] = {**SMALL, "coupling": None, "early_stopping": True, "validation_fraction": 0.4}


@pytest.mark.parametrize(("max_epochs", "patience"), [(60, 3), (6, 60)])
def test_early_stopping_stops_and_keeps_the_best_weights(max_epochs: int, patience: int, ragged: Data) -> None:
    epochs = EveryEpoch()
    rule = {"max_epochs": max_epochs, "n_iter_no_change": patience, "tol": 0.0, "learning_rate": 0.2}
    metric = SyncGRUMetric(**{**STOPPING, **rule}, loss="contrastive", callbacks=[epochs]).fit(*ragged)
    losses = [row["valid_loss"] for row in metric.history_]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1  # else nothing has to be restored
    assert metric.n_iter_ == min(max_epochs, best + 1 + patience)
    assert_weights(metric, epochs.weights[best])
    assert not np.array_equal(*(w["cells.0.hidden"] for w in (epochs.weights[best], epochs.weights[-1])))


def test_held_out_batches_are_the_same_in_every_epoch_and_not_augmented(ragged: Data) -> None:
    X, y = ragged
    seen = SeenBatches()
    SyncGRUMetric(**STOPPING, scaling=None, callbacks=[seen]).fit(X, y)
    known = {x.astype(np.float32).tobytes() for x in X}
    assert all(x.tobytes() in known for batch in seen.held_out for x in sequences_of(batch))
    assert not any(x.tobytes() in known for batch in seen.training for x in sequences_of(batch))
    per_epoch = len(seen.held_out) // 3
    assert per_epoch > 0
    for batch, later in zip(seen.held_out, seen.held_out[per_epoch:], strict=False):
        np.testing.assert_array_equal(batch["values"], later["values"])
        np.testing.assert_array_equal(batch["targets"], later["targets"])


def test_a_sequence_of_two_groups_is_held_out_with_one_and_learned_with_the_other(ragged: Data) -> None:
    X, y = ragged
    seen = SeenBatches()
    metric = SyncGRUMetric(**{**STOPPING, "validation_fraction": 0.5}, augment=None, callbacks=[seen])
    metric.fit([*X, *X], np.r_[y, y], groups=np.arange(48) // 24)
    for batches in (seen.training, seen.held_out):
        assert len({x.tobytes() for batch in batches for x in sequences_of(batch)}) == 24


def epochs_until_stopped(losses: list[float], patience: int, least: Callable[[float], float]) -> int:
    """Epochs after which `patience` losses in a row were not below what `least` asks of the best before."""
    best, missed = np.inf, 0
    for epoch, loss in enumerate(losses, start=1):
        best, missed = (loss, 0) if loss < least(best) else (best, missed + 1)
        if missed == patience:
            return epoch
    return len(losses)


def test_tol_is_the_decrease_of_the_loss_that_counts(ragged: Data) -> None:
    def large(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return 100 * embeddings.square().mean()

    rule = {"max_epochs": 12, "loss": large, "augment": None, "learning_rate": 0.01}
    whole = SyncGRUMetric(**{**STOPPING, **rule}, n_iter_no_change=99).fit(*ragged)
    losses = [row["valid_loss"] for row in whole.history_]
    expected = {tol: epochs_until_stopped(losses, 2, lambda best, tol=tol: best - tol) for tol in (0.3, 3.0)}
    for tol, n_epochs in expected.items():
        assert SyncGRUMetric(**{**STOPPING, **rule}, n_iter_no_change=2, tol=tol).fit(*ragged).n_iter_ == n_epochs
    # a share of the loss would be another rule
    assert expected[0.3] != epochs_until_stopped(losses, 2, lambda best: best * 0.7)


def test_the_seed_chooses_what_is_held_out_and_few_rows_need_not_hold_every_class(ragged: Data) -> None:
    X, y = ragged
    found = []
    for seed in range(3):
        seen = SeenBatches()
        settings = {**STOPPING, "random_state": seed, "validation_fraction": 0.1, "max_epochs": 1}
        SyncGRUMetric(**settings, scaling=None, callbacks=[seen]).fit(X, y)
        found.append({x.tobytes() for batch in seen.held_out for x in sequences_of(batch)})
    assert [len(rows) for rows in found] == [3, 3, 3]
    assert not found[0] == found[1] == found[2]
    # two rows cannot hold three classes, and a class of one row cannot be on both sides
    for labels, fraction in ((y, 0.06), (np.where(np.arange(24) == 0, 3, y), 0.3)):
        settings = {**STOPPING, "validation_fraction": fraction, "max_epochs": 1}
        assert "valid_loss" in SyncGRUMetric(**settings).fit(X, labels).history_[0]


def test_calls_of_partial_fit_draw_batches_of_their_own(ragged: Data) -> None:
    seen = SeenBatches()
    metric = SyncGRUMetric(**SMALL, coupling=None, augment=("jitter",), callbacks=[seen])
    metric.partial_fit(*ragged).partial_fit(*ragged)
    assert len(seen.training) == 6
    known = {x.tobytes() for batch in seen.training[:3] for x in sequences_of(batch)}
    assert not known & {x.tobytes() for batch in seen.training[3:] for x in sequences_of(batch)}


def test_early_stopping_draws_its_split_from_a_local_generator(ragged: Data) -> None:
    settings = {**SMALL, "random_state": None, "early_stopping": True, "validation_fraction": 0.3}
    metric = SyncGRUMetric(**settings, coupling=None).fit(*ragged)  # the suite fails a test that moves a global one
    assert "valid_loss" in metric.history_[0]


@pytest.mark.parametrize("grouped", [True, False])
def test_early_stopping_holds_rows_out_and_keeps_groups_on_one_side(grouped: bool, ragged: Data) -> None:
    X, y = ragged
    groups = np.arange(24) // 4
    seen = SeenBatches()
    metric = SyncGRUMetric(**STOPPING, scaling=None, augment=None, callbacks=[seen])
    metric.fit(X, y, groups=groups if grouped else None)
    known = {x.astype(np.float32).tobytes(): i for i, x in enumerate(X)}
    kept, held_out = (
        {known[x.tobytes()] for batch in batches for x in sequences_of(batch)}
        for batches in (seen.training, seen.held_out)
    )
    assert not kept & held_out
    assert len(held_out) == (12 if grouped else 10)  # 0.4 of 6 groups, of 24 rows
    assert grouped != bool({groups[i] for i in kept} & {groups[i] for i in held_out})
    if not grouped:
        assert {y[i] for i in held_out} == {0, 1, 2}
    with pytest.raises(ValueError, match="groups has 5 entries, X has 24"):
        metric.fit(X, y, groups=groups[:5])


def test_verbose_shows_a_bar_with_the_loss_and_silence_is_the_default(
    ragged: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = io.StringIO()
    with redirect_stderr(shown):
        SyncGRUMetric(**SMALL, coupling=None, verbose=1).fit(*ragged)
    assert "train_loss=" in shown.getvalue()
    assert "3/3" in shown.getvalue()
    SyncGRUMetric(**SMALL, coupling=None).fit(*ragged)
    assert capsys.readouterr() == ("", "")


def test_skorch_callbacks_are_called(ragged: Data) -> None:
    seen = []

    class Count(Callback):
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            seen.append(net.history[-1]["train_loss"])

    metric = SyncGRUMetric(**SMALL, coupling=None, callbacks=[Count()]).fit(*ragged)
    assert seen == [row["train_loss"] for row in metric.history_]


class Recorder:
    """A scikit-learn callback that scores the estimator in training and stops it after two epochs."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.shapes: list[tuple[int, ...]] = []

    def setup(self, estimator: Any, context: Any) -> None:
        self.events.append("setup")

    def teardown(self, estimator: Any, context: Any) -> None:
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator: Any, context: Any, *, X: Any = None) -> None:
        self.events.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator: Any, context: Any, *, X: Any = None, fitted_estimator: Any = None) -> bool:
        self.events.append(f"end {context.task_name}")
        self.shapes.append(fitted_estimator.transform(X).shape)
        assert not fitted_estimator.module_.training  # layers of the user may differ between both modes
        return context.task_name == "epoch" and context.task_id == 1


def test_scikit_learn_callbacks_watch_and_stop_the_training(ragged: Data) -> None:
    pytest.importorskip("sklearn.callback")
    recorder = Recorder()
    metric = SyncGRUMetric(**{**SMALL, "max_epochs": 9}, coupling=None).set_callbacks(recorder)
    metric.fit(*ragged)
    epoch = ["begin epoch", "end epoch"]
    assert recorder.events == ["setup", "begin fit", *epoch, *epoch, "end fit", "teardown"]
    assert metric.n_iter_ == 2
    assert set(recorder.shapes) == {(24, 12)}


@pytest.mark.parametrize("coupling", [None, "symmetric"])
def test_pickle_joblib_and_deepcopy_are_bit_equal(coupling: str | None, ragged: Data, tmp_path: Path) -> None:
    X, y = ragged
    knn = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL, coupling=coupling), n_neighbors=2).fit(X, y)
    joblib.dump(knn, tmp_path / "knn.joblib")
    copies = [pickle.loads(pickle.dumps(knn)), joblib.load(tmp_path / "knn.joblib"), copy.deepcopy(knn)]
    for other in copies:
        assert np.array_equal(other.metric_.transform(X), knn.metric_.transform(X))
        for a, b in zip(other.kneighbors(X), knn.kneighbors(X), strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("coupling", [None, "symmetric"])
def test_eight_threads_on_one_fitted_estimator_give_what_one_gives(coupling: str | None, ragged: Data) -> None:
    X, y = ragged
    knn = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL, coupling=coupling), n_neighbors=3).fit(X, y)
    state = pickle.dumps(knn)
    expected, labels = knn.kneighbors(X), knn.predict(X)
    start = threading.Barrier(8)

    def ask(_: int) -> tuple[Any, Any]:
        start.wait()
        return knn.kneighbors(X), knn.predict(X)

    with ThreadPoolExecutor(8) as pool:
        for (distance, index), predicted in pool.map(ask, range(8)):
            assert np.array_equal(distance, expected[0])
            assert np.array_equal(index, expected[1])
            assert np.array_equal(predicted, labels)
    assert pickle.dumps(knn) == state


def test_wrong_parameters_are_named(ragged: Data) -> None:
    for wrong, message in (
        ({"coupling": "strong"}, "coupling"),
        ({"n_units": 0}, "n_units"),
        ({"max_epochs": 0}, "max_epochs"),
        ({"loss": "hinge"}, "loss"),
        ({"augment": ("jiter",)}, "jiter"),
        ({"device": "gpu"}, "is not a device"),
    ):
        with pytest.raises(ValueError, match=message):
            SyncGRUMetric(**{**SMALL, **wrong}).fit(*ragged)
    with pytest.raises(ValueError, match=r"logistic.*is for fit_pairs"):
        SyncGRUMetric(**SMALL, loss="logistic").fit(*ragged)
    with pytest.raises(NotFittedError):
        SyncGRUMetric().transform(ragged[0])


def test_a_missing_gpu_is_an_error_that_says_what_to_do(ragged: Data) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ValueError, match=r'device="auto" or "cpu"'):
        SyncGRUMetric(**SMALL, device="cuda").fit(*ragged)


def test_a_model_that_asks_for_a_missing_gpu_opens_on_the_cpu(ragged: Data) -> None:
    metric = SyncGRUMetric(**SMALL, coupling=None).fit(*ragged)
    metric.device = "cuda:7"
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.warns(UserWarning, match="runs on the CPU"):
        loaded = pickle.loads(pickle.dumps(metric))
    assert np.array_equal(loaded.transform(ragged[0]), metric.transform(ragged[0]))


@pytest.mark.cuda
@pytest.mark.parametrize("coupling", [None, "alignment", "symmetric", "diffusive", "scalar"])
def test_cuda_agrees_with_the_cpu_and_its_pickle_opens_there(coupling: str | None, ragged: Data) -> None:
    X, y = ragged
    metric = SyncGRUMetric(**SMALL, coupling=coupling, device="cuda").fit(X, y)
    on_gpu, embedding = metric.pairwise_distances(X), metric.transform(X)
    metric.device = "cpu"
    loaded = pickle.loads(pickle.dumps(metric))
    assert next(loaded.module_.parameters()).device.type == "cpu"
    np.testing.assert_allclose(loaded.transform(X), embedding, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(loaded.pairwise_distances(X), on_gpu, rtol=1e-3, atol=1e-4)


@pytest.mark.cuda
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_neighbours_fitted_on_cuda_open_on_either_device(device: str, ragged: Data) -> None:
    X, y = ragged
    knn = SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL, device="cuda"), n_neighbors=2).fit(X, y)
    expected = knn.kneighbors(X)[0]
    knn.metric_.device = device
    loaded = pickle.loads(pickle.dumps(knn))
    assert next(loaded.metric_.module_.parameters()).device.type == device
    np.testing.assert_allclose(loaded.kneighbors(X)[0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_cuda_trains(precision: str, ragged: Data) -> None:
    metric = SyncGRUMetric(**{**SMALL, "max_epochs": 8}, device="cuda", precision=precision).fit(*ragged)
    assert metric.history_[-1]["train_loss"] < metric.history_[0]["train_loss"]


PAIRS, ALIKE = np.array([(0, 1), (0, 2), (3, 4), (5, 6)]), np.array([1, -1, 1, -1])


def test_every_way_of_fitting_may_follow_every_other(ragged: Data) -> None:
    X, y = ragged
    for first in ("fit", "fit_pairs", "partial_fit"):
        for second in ("fit", "fit_pairs", "partial_fit"):
            metric = SyncGRUMetric(**SMALL, coupling=None)
            for name in (first, second):
                getattr(metric, name)(X, *((PAIRS, ALIKE) if name == "fit_pairs" else (y,)))
            assert np.isfinite(metric.transform(X)).all()
            # labels are known after training from labels, and not left over from a model that is gone
            assert hasattr(metric, "classes_") == (second != "fit_pairs")


def test_early_stopping_concerns_fit_alone(ragged: Data) -> None:
    X, y = ragged
    settings = {**SMALL, "early_stopping": True, "validation_fraction": 0.3}
    assert SyncGRUMetric(**settings, coupling=None).partial_fit(X, y).n_iter_ == 1
    assert SyncGRUMetric(**settings, coupling=None).fit_pairs(X, PAIRS, ALIKE).n_iter_ == 3


@pytest.mark.parametrize("wrong", [{"loss": "logistic"}, {"augment": ("jiter",)}, {"device": "gpu"}])
def test_a_refused_setting_leaves_the_fitted_model_alone(wrong: dict[str, Any], ragged: Data) -> None:
    X, y = ragged
    metric = SyncGRUMetric(**SMALL, coupling=None).fit(X, y)
    before = metric.transform(X)
    with pytest.raises(ValueError, match=r"logistic|jiter|gpu"):
        metric.set_params(**wrong).fit(X, y)
    assert np.array_equal(metric.transform(X), before)
    fresh = SyncGRUMetric(**{**SMALL, **wrong}, coupling=None)
    with pytest.raises(ValueError, match=r"logistic|jiter|gpu"):
        fresh.fit(X, y)
    with pytest.raises(NotFittedError):
        fresh.transform(X)


def test_a_refused_first_fit_leaves_nothing_that_looks_fitted(ragged: Data) -> None:
    X, _ = ragged
    metric = SyncGRUMetric(**SMALL, coupling=None)
    for model in (metric, SequenceKNeighborsClassifier(metric)):
        with pytest.raises(ValueError, match="only one class"):
            model.fit(X, np.zeros(len(X)))
        with pytest.raises(NotFittedError):
            (model.predict if hasattr(model, "predict") else model.transform)(X)


def test_fit_pairs_refuses_a_loss_that_needs_labels(ragged: Data) -> None:
    metric = SyncGRUMetric(**SMALL, coupling=None, loss=lambda embeddings, labels: embeddings.sum())
    with pytest.raises(ValueError, match="loss is a function of labels, and fit_pairs has none"):
        metric.fit_pairs(ragged[0], PAIRS, ALIKE)


def test_warm_start_with_new_labels_knows_them_all(ragged: Data) -> None:
    X, y = ragged
    metric = SyncGRUMetric(**SMALL, coupling=None, warm_start=True).fit(X, y)
    assert metric.fit(X, y + 2).classes_.tolist() == [0, 1, 2, 3, 4]
