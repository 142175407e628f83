"""Checkpoints: a fit that was ended goes on and ends as if it had not been, and no other fit can take its place."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from skorch.callbacks import Callback, LRScheduler

from skseqmetric import (
    CrossModalTripletEmbedder,
    MetricEnsemble,
    RecurrentClassifier,
    RecurrentRegressor,
    SequenceKNeighborsClassifier,
    SyncGRUMetric,
)
from tests.every_estimator import CASES, IMAGES, LABELS, NUMBERS, QUICK, SMALL, Case, X
from tests.kill_fits import FAMILIES, child, equal, report
from tests.small_embedder import Steps, Vectors

safetensors = pytest.importorskip("safetensors.torch")
load, save = safetensors.load, safetensors.save

ENDING = ".checkpoint.safetensors"
TRAINED = [case for case in CASES if case.trained and " " not in case.name]
LONGER: dict[str, Any] = {**QUICK, "max_epochs": 5}


class Crashed(Exception):
    """The end of a process, in a form that a test survives."""


class Crash(Callback):
    """Crashes in the second batch of an epoch, while `crashing_in` says so."""

    epoch: int | None = None

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if training and len(net.history) == Crash.epoch and len(net.history[-1]["batches"]) == 2:
            raise Crashed


@contextlib.contextmanager
def crashing_in(epoch: int) -> Iterator[None]:
    Crash.epoch = epoch
    try:
        with pytest.raises(Crashed):
            yield
    finally:
        Crash.epoch = None


class Epochs(Callback):
    """Counts the epochs that were trained, in all fits."""

    trained = 0

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        Epochs.trained += 1


class Full(OSError):
    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, "No space left on device")


def recurrent(folder: Any = None, **settings: Any) -> RecurrentClassifier:
    return RecurrentClassifier(4, **{**LONGER, "callbacks": [Crash()], "checkpoint": folder, **settings})


def the_file(folder: Path) -> Path:
    (found,) = folder.glob(f"*{ENDING}")
    return found


# ------------------------------------------------------------------ bits


@pytest.mark.parametrize("case", TRAINED, ids=str)
def test_every_trained_estimator_goes_on_from_its_checkpoint(case: Case, tmp_path: Path) -> None:
    def fitted(**settings: Any) -> Any:
        return case.make().set_params(callbacks=[Crash()], **settings).fit(case.X, **case.fits["fit"])

    whole = fitted()
    with crashing_in(epoch=2):
        fitted(checkpoint=tmp_path)
    resumed = fitted(checkpoint=tmp_path)
    again = fitted(checkpoint=str(tmp_path))
    assert equal(whole, resumed)
    assert equal(whole, again)
    assert again.history_ == resumed.history_  # to the second: nothing was trained
    for one, other in zip(case.answers(whole), case.answers(again), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [path.name for path in tmp_path.iterdir()] == [the_file(tmp_path).name]


def test_a_fit_to_pairs_goes_on(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "SyncGRUMetric coupled")

    def fitted(**settings: Any) -> Any:
        return case.make().set_params(callbacks=[Crash()], **settings).fit_pairs(case.X, **case.fits["fit_pairs"])

    whole = fitted()
    with crashing_in(epoch=2):
        fitted(checkpoint=tmp_path)
    assert equal(whole, fitted(checkpoint=tmp_path))
    with pytest.raises(ValueError, match=r"method is 'fit'|method is fit, and was fit_pairs"):
        case.make().set_params(checkpoint=tmp_path).fit(case.X, **case.fits["fit"])


class Doubling(Callback):
    """Doubles the learning rate after every second epoch that it sees."""

    def __init__(self) -> None:
        self.seen, self.log = 0, []

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.seen += 1
        self.log.append(self.seen)
        for group in net.optimizer_.param_groups if self.seen % 2 == 0 else ():
            group["weight_decay"] *= 2


def early(folder: Any) -> Any:
    patience: dict[str, Any] = {"early_stopping": True, "validation_fraction": 0.25, "n_iter_no_change": 2, "tol": 0.05}
    return recurrent(folder, max_epochs=12, **patience).fit(X, LABELS)


def moving(folder: Any) -> Any:
    settings = {**LONGER, "callbacks": [Crash()], "loss_weights": "dynamic", "curriculum": True, "n_filters": 4}
    encoders = {"series_encoder": "conv_bilstm", "image_encoder": Vectors(), "n_units": 4}
    model = CrossModalTripletEmbedder(3, **settings, **encoders, label_distance="prototypes", checkpoint=folder)
    return model.fit(X, LABELS, images=IMAGES)


def last_epoch_shorter(folder: Any) -> Any:
    weights, groups = np.linspace(1, 2, len(X)), np.arange(len(X)) % 4
    model = recurrent(folder, max_updates=9, instance_channels=True, precision="bfloat16")
    return model.fit(X, LABELS, weights, groups)


def followed(folder: Any) -> Any:
    schedule = LRScheduler("StepLR", step_size=2, gamma=0.5)
    return recurrent(folder, callbacks=[Crash(), Doubling(), ("steps", schedule)]).fit(X, LABELS)


def warm(folder: Any) -> Any:
    model = SyncGRUMetric(**{**SMALL, "max_epochs": 3}, callbacks=[Crash()], checkpoint=folder)
    epoch, Crash.epoch = Crash.epoch, None
    model.fit(X[:6], LABELS[:6])
    Crash.epoch = epoch
    return model.set_params(warm_start=True).fit(X, LABELS)


@pytest.mark.parametrize("fit", [early, moving, last_epoch_shorter, followed, warm], ids=lambda fit: fit.__name__)
def test_whatever_a_training_remembers_goes_on(fit: Callable[[Any], Any], tmp_path: Path) -> None:
    whole = fit(None)
    with crashing_in(epoch=3):
        fit(tmp_path)
    resumed = fit(tmp_path)
    assert len(whole.history_) >= 3
    assert equal(whole, resumed)
    assert equal(whole, fit(tmp_path))
    if fit is moving:
        np.testing.assert_array_equal(whole.label_distances_, resumed.label_distances_)
    if fit is followed:
        assert resumed.callbacks[1].log == [1, 2, 3, 4, 5]


def test_a_seed_that_was_drawn_is_kept(tmp_path: Path) -> None:
    with crashing_in(epoch=3):
        recurrent(tmp_path, random_state=None).fit(X, LABELS)
    began = the_file(tmp_path).read_bytes()
    first = recurrent(tmp_path, random_state=None).fit(X, LABELS)
    the_file(tmp_path).write_bytes(began)
    assert equal(first, recurrent(tmp_path, random_state=None).fit(X, LABELS))
    assert not equal(first, recurrent(None, random_state=None).fit(X, LABELS))
    with pytest.raises(ValueError, match=r"random_state is [0-9]+, and was None"):
        recurrent(tmp_path).fit(X, LABELS)


def test_ctrl_c_leaves_a_checkpoint_and_a_model(tmp_path: Path) -> None:
    class CtrlC(Callback):
        wanted = True

        def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
            if self.wanted and len(net.history) > 2:
                raise KeyboardInterrupt

    model = recurrent(tmp_path, callbacks=[CtrlC()])
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.fit(X, LABELS)
    assert model.n_iter_ == 2
    model.set_params(callbacks=[again := CtrlC()])
    again.wanted = False
    assert equal(recurrent(callbacks=None).fit(X, LABELS), model.fit(X, LABELS))


# ------------------------------------------------------------------ other fits


@pytest.fixture(scope="module")
def first_epoch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first_epoch")
    with crashing_in(epoch=2):
        recurrent(folder).fit(X, LABELS, np.ones(len(X)), np.arange(len(X)))
    return folder


@pytest.fixture
def begun(first_epoch: Path, tmp_path: Path) -> Path:
    shutil.copy(the_file(first_epoch), tmp_path)
    return tmp_path


OTHER_DATA = [x + 1 for x in X]


@pytest.mark.parametrize(
    ("settings", "data", "named"),
    [
        ({"max_epochs": 6}, {}, "max_epochs is 6, and was 5"),
        ({"random_state": 1}, {}, "random_state is [0-9]+, and was [0-9]+"),
        ({"augment": ("jitter",)}, {}, r"augment is \['jitter'\], and was None"),
        ({"callbacks": None}, {}, "callbacks is None, and was .*Crash"),
        ({}, {"X": OTHER_DATA}, ": X is 8 sequences, 71 steps, 2 channels"),
        ({}, {"X": [x.astype(np.float32) for x in X]}, ": X is 8 sequences"),
        ({}, {"y": 1 - LABELS}, ": y is [0-9a-f]*, and was [0-9a-f]*. Call"),
        ({}, {"y": LABELS.astype(str)}, ": y is [0-9a-f]*, and was [0-9a-f]*. Call"),
        ({}, {"sample_weight": np.arange(1, 9)}, ": sample_weight is"),
        ({}, {"groups": np.arange(8) // 2}, ": groups is"),
    ],
)
def test_another_fit_is_refused_and_named(
    settings: dict[str, Any], data: dict[str, Any], named: str, begun: Path
) -> None:
    before, model = the_file(begun).read_bytes(), recurrent(begun, **settings)
    given = {"X": X, "y": LABELS, "sample_weight": np.ones(len(X)), "groups": np.arange(len(X)), **data}
    with pytest.raises(ValueError, match=f"belongs to another fit.*{named}"):
        model.fit(**given)
    assert not hasattr(model, "module_")
    assert the_file(begun).read_bytes() == before


def test_another_image_and_another_encoder_are_refused(tmp_path: Path) -> None:
    settings = {**QUICK, "callbacks": [Crash()], "checkpoint": tmp_path, "image_encoder": Vectors()}
    with crashing_in(epoch=2):
        CrossModalTripletEmbedder(3, series_encoder=Steps(), **settings).fit(X, LABELS, images=IMAGES)
    with pytest.raises(ValueError, match="images is"):
        CrossModalTripletEmbedder(3, series_encoder=Steps(), **settings).fit(X, LABELS, images=IMAGES / 2)
    encoder = Steps()
    torch.nn.init.ones_(encoder.layer.weight)
    with pytest.raises(ValueError, match=r"series_encoder is .*Steps"):
        CrossModalTripletEmbedder(3, series_encoder=encoder, **settings).fit(X, LABELS, images=IMAGES)
    with pytest.raises(ValueError, match=r"estimator is .*RecurrentRegressor, and was .*CrossModalTripletEmbedder"):
        RecurrentRegressor(4, **QUICK, checkpoint=tmp_path).fit(X, NUMBERS)


def test_functions_count_by_what_they_hold(tmp_path: Path) -> None:
    def scaled(factor: float) -> Callable[..., Any]:
        return lambda values, lengths, generator: values * factor

    with crashing_in(epoch=2):
        recurrent(tmp_path, augment=scaled(1.0)).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"augment is .*test_functions"):
        recurrent(tmp_path, augment=scaled(2.0)).fit(X, LABELS)
    assert equal(recurrent(tmp_path, augment=scaled(1.0)).fit(X, LABELS), recurrent().fit(X, LABELS))


def test_what_changes_nothing_may_change(begun: Path) -> None:
    order = np.random.default_rng(0).permutation(len(X))
    model = recurrent(Path(os.path.relpath(begun)), device="cpu", warm_start=True)
    model.fit([X[i] for i in order], LABELS[order], groups=order)
    assert equal(recurrent().fit(X, LABELS, groups=np.arange(len(X))), model)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_a_second_process_is_refused(tmp_path: Path) -> None:
    class SecondProcess(Callback):
        status = None

        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(child(self.second), 0)[1])

        def second(self) -> None:
            with pytest.raises(ValueError, match=f"checkpoint='.*' is in use by process {os.getppid()} on .*: wait"):
                recurrent(tmp_path, callbacks=None).fit(X, LABELS)
            with pytest.raises(ValueError, match="is in use by process"):  # as is another fit
                recurrent(tmp_path, callbacks=None, random_state=1).fit(X, LABELS)

    recurrent(tmp_path, callbacks=[second := SecondProcess()], max_epochs=1).fit(X, LABELS)
    assert second.status == 0


def test_a_fit_within_the_fit_is_refused(tmp_path: Path) -> None:
    class Within(Callback):
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            with pytest.raises(ValueError, match="in use by process"):
                recurrent(tmp_path, callbacks=None).fit(X, LABELS)

    recurrent(tmp_path, callbacks=[Within()], max_epochs=1).fit(X, LABELS)


# ------------------------------------------------------------------ searches and ensembles


def search(folder: Any) -> GridSearchCV:
    metric = SyncGRUMetric(**SMALL, coupling=None, callbacks=[Crash(), Epochs()], checkpoint=folder)
    grid = {"metric__n_units": [3, 4], "n_neighbors": [1, 2]}
    return GridSearchCV(SequenceKNeighborsClassifier(metric), grid, cv=StratifiedKFold(2), error_score="raise")


def test_a_search_begins_where_it_was_ended(tmp_path: Path) -> None:
    expected = search(None).fit(X, LABELS)
    Epochs.trained = 0

    class Third(Callback):
        fits = 0

        def on_train_begin(self, net: Any, **kwargs: Any) -> None:
            Third.fits += 1
            if Third.fits == 3:
                Crash.epoch = 2

    ended = search(tmp_path)
    ended.estimator.metric.callbacks[0] = Crash()
    crash_in_third = Third()
    ended.estimator.metric.callbacks.append(crash_in_third)
    with pytest.raises(Crashed):
        ended.fit(X, LABELS)
    Crash.epoch = None
    again = search(tmp_path)
    again.estimator.metric.callbacks.append(crash_in_third)
    again.fit(X, LABELS)
    # 2 sizes and 2 folds, and one more for all data; metrics of another number of neighbours are the same
    assert Epochs.trained == QUICK["max_epochs"] * 5
    np.testing.assert_array_equal(again.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(again.predict_proba(X), expected.predict_proba(X))
    assert len(list(tmp_path.iterdir())) == 5


def test_members_of_an_ensemble_share_a_folder(tmp_path: Path) -> None:
    def fitted(folder: Any) -> Any:
        one = SyncGRUMetric(**SMALL, callbacks=[Crash()], checkpoint=folder)
        return MetricEnsemble([("one", one), ("other", clone(one).set_params(coupling=None))]).fit(X, LABELS)

    whole = fitted(None)
    with crashing_in(epoch=2):
        fitted(tmp_path)
    np.testing.assert_array_equal(fitted(tmp_path).pairwise_distances(X), whole.pairwise_distances(X))
    assert len(list(tmp_path.iterdir())) == 2


# ------------------------------------------------------------------ disks, and files that are not what they should be


def test_a_full_disk_ends_no_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with crashing_in(epoch=2):
        recurrent(tmp_path).fit(X, LABELS)
    before = the_file(tmp_path).read_bytes()

    def full(_: int) -> None:
        raise Full

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.warns(UserWarning, match=r"checkpoint of epoch 2 could not be written.*No space") as told:
            model = recurrent(tmp_path).fit(X, LABELS)
    assert len(told) == 1
    assert the_file(tmp_path).read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
    assert equal(model, recurrent().fit(X, LABELS))
    assert equal(model, recurrent(tmp_path).fit(X, LABELS))


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"checkpoint='.*file' is a file: pass a folder"):
        recurrent(tmp_path / "file").fit(X, LABELS)
    with pytest.raises(ValueError, match="checkpoint"):
        recurrent(3).fit(X, LABELS)

    def full(*_: Any) -> int:
        raise Full

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(ValueError, match=r"cannot be written: .*No space"):
        recurrent(tmp_path / "new").fit(X, LABELS)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A file with some other bytes, without its end, with more behind it, or with a part twice."""
    kind, at = rng.integers(5), int(rng.integers(len(content)))
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + rng.bytes(int(rng.integers(1, 40))) + content[at:]
    if kind == 2:
        return content[:at] + content[at // 2 :]
    at = at if kind == 3 else at % 5000  # in the header
    return content[:at] + bytes([content[at] ^ int(2 ** rng.integers(8))]) + content[at + 1 :]


@pytest.mark.parametrize("n", [40, pytest.param(3000, marks=pytest.mark.long)])
def test_a_damaged_checkpoint_is_refused_or_unhurt(n: int, begun: Path) -> None:
    expected, good = recurrent().fit(X, LABELS, groups=np.arange(len(X))), the_file(begun).read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for _ in range(n):
        the_file(begun).write_bytes(mutated(good, rng))
        model = recurrent(begun)
        said = ""
        try:
            model.fit(X, LABELS, groups=np.arange(len(X)))
        except ValueError as error:
            said = str(error)
        assert "cannot be read as a checkpoint" in said if said else equal(model, expected)
        assert hasattr(model, "module_") == (not said)
        refused += bool(said)
    assert refused > 0.9 * n


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def test_a_file_holds_arrays_and_text_alone(begun: Path) -> None:
    header, _ = header_of(the_file(begun))
    metadata = header.pop("__metadata__")
    assert set(metadata) == {"format", "identity", "seed", "state", "checksum"}
    json.loads(metadata["identity"]), json.loads(metadata["state"])
    assert {entry["dtype"] for entry in header.values()} <= {"F32", "U8", "I64", "F64"}


def forge(path: Path, change: Callable[[str], str]) -> None:
    """Change the state of a checkpoint, and give it the checksum that it then must have."""
    header, _ = header_of(path)
    metadata, tensors = header["__metadata__"], load(path.read_bytes())
    changed = change(metadata["state"])
    assert changed != metadata["state"]
    metadata["state"] = changed
    checksum = blake2b(digest_size=16)
    for name in ("format", "identity", "seed", "state"):
        checksum.update(f"{name} {len(metadata[name])} {metadata[name]}".encode())
    for name, tensor in sorted(tensors.items()):
        checksum.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        checksum.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    path.write_bytes(save(tensors, {**metadata, "checksum": checksum.hexdigest()}))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'\["epochs",1\]', '["epochs",1000000000]'),
        (r'\["epochs",1\]', '["epochs",0]'),
        (r'\["epochs",1\]', '["epochs",3]'),
        (r'\["lr",[^]]*\]', '["lr","high"]'),
        (r'\["left",[0-9]+\]', '["left",["list"]]'),
        (r'\["updates",[0-9]+\]', '["updates","many"]'),
        (r'\["tensor","0"\]', '["tensor","1"]'),
        (r'\["tensor","0"\]', '["tensor","1000"]'),
        (r'\["tensor","0"\]', '["module","os"]'),
        ("PCG64", "MT19937"),
        ('"misses|"best_score_"', '"__class__"'),
        (r'\["last_epoch",[0-9]+\]', '["last_epoch",null]'),
        (r'\["_step_count",', '["step",'),
        ("^.*$", "[" * 100_000),
        ("^.*$", '["list",' * 500 + "1" + "]" * 500),
        ("^.*$", "{}"),
        ("^.*$", "3"),
    ],
)
def test_a_forged_checkpoint_is_refused(old: str, new: str, begun: Path) -> None:
    forge(the_file(begun), lambda state: re.sub(old, new, state, count=1, flags=re.DOTALL))
    model = recurrent(begun)
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        model.fit(X, LABELS, groups=np.arange(len(X)))
    assert not hasattr(model, "module_")


def test_another_version_and_huge_files_are_refused(begun: Path) -> None:
    path = the_file(begun)
    good = path.read_bytes()
    path.write_bytes(good.replace(b"skseqmetric checkpoint 1", b"skseqmetric checkpoint 2"))
    with pytest.raises(ValueError, match="format is 'skseqmetric checkpoint 2', and this version reads"):
        recurrent(begun).fit(X, LABELS, groups=np.arange(len(X)))
    with open(path, "wb") as file:
        file.write(good)
        file.truncate(2**33)  # holes, which take no room on the disk
    with pytest.raises(ValueError, match="has 8589934592 bytes"):
        recurrent(begun).fit(X, LABELS, groups=np.arange(len(X)))


# ------------------------------------------------------------------ kills


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_a_process_killed_while_it_writes_leaves_the_earlier_checkpoint(begun: Path) -> None:
    def fit() -> Any:
        return recurrent(begun).fit(X, LABELS, groups=np.arange(len(X)))

    def killed() -> None:
        os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        fit()

    before = the_file(begun).read_bytes()
    assert os.waitstatus_to_exitcode(os.waitpid(child(killed), 0)[1]) == -signal.SIGKILL
    assert the_file(begun).read_bytes() == before
    assert len(list(begun.iterdir())) == 4  # with two locks that nobody holds, and the half of a file
    assert equal(fit(), recurrent().fit(X, LABELS, groups=np.arange(len(X))))
    assert len(list(begun.iterdir())) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_a_killed_fit_loses_an_epoch_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLD", "")
    found = report(FAMILIES["RecurrentRegressor"], 3, tmp_path)
    assert found["kills"] == 3
    assert found["whole"] >= 1
    assert (found["failed"], found["unequal"]) == (0, 0)
    assert found["lost"] <= 1


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("family", FAMILIES)
def test_thirty_killed_fits_lose_an_epoch_at_most(family: str) -> None:
    command = [sys.executable, "-m", "tests.kill_fits", family, "30"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["kills"] == 30
    assert found["whole"] >= 1
    assert found["resumed"] >= 5
    assert (found["failed"], found["unequal"]) == (0, 0)
    assert found["lost"] <= 1


# ------------------------------------------------------------------ scikit-learn


def test_the_parameter_is_like_any_other(tmp_path: Path) -> None:
    model = recurrent(tmp_path)
    assert clone(model).checkpoint == tmp_path
    assert model.get_params()["checkpoint"] == tmp_path
    assert model.set_params(checkpoint=None).fit(X, LABELS).checkpoint is None
    assert list(tmp_path.iterdir()) == []
    model.set_params(checkpoint=tmp_path).partial_fit(X, LABELS)
    assert list(tmp_path.iterdir()) == []


def test_training_on_cuda_is_another_fit(begun: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    with pytest.raises(ValueError, match="device is cuda, and was cpu"):
        recurrent(begun, device="cuda").fit(X, LABELS, np.ones(len(X)), np.arange(len(X)))
