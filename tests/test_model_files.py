"""Model files: every estimator with the same bits, labels of every kind, and what no file holds."""

from __future__ import annotations

import copy
import datetime
import json
import multiprocessing
import pickle
import warnings
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline

import skseqmetric
from skseqmetric import (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    DTWMetric,
    EchoStateClassifier,
    Metric,
    MetricEnsemble,
    NRNMClassifier,
    NRNMStepClassifier,
    RandomConvolutionMetric,
    RecurrentClassifier,
    SequenceKNeighborsClassifier,
    SyncGRUMetric,
    load,
)
from tests.every_estimator import LABELS, QUICK, SMALL, SMALL_BANK, STEPS, Case, X, count_of_steps
from tests.small_embedder import Data, Steps
from tests.small_embedder import small as small_embedder
from tests.small_models import FITS, STORABLE, fitted, parts, same
from tests.test_contract import estimators

PLAIN = (type(None), bool, int, float, str, bytes, np.ndarray, np.generic)


def through_file(model: Any, folder: Path, **options: Any) -> Any:
    model.save(folder / "model.skm")
    return load(folder / "model.skm", **options)


# ------------------------------------------------------------------ every estimator


@pytest.mark.parametrize(("case", "method"), FITS, ids=lambda value: str(value))
def test_a_loaded_model_answers_with_the_same_bits(case: Case, method: str, tmp_path: Path) -> None:
    model = fitted(case.name, method)
    loaded = through_file(model, tmp_path)
    assert same(loaded, model)
    for mine, its in zip(case.answers(loaded), case.answers(model), strict=True):
        assert mine.dtype == its.dtype
        assert mine.tobytes() == its.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("case", STORABLE, ids=str)
def test_a_model_that_was_loaded_is_saved_as_the_same_file(case: Case, tmp_path: Path) -> None:
    through_file(fitted(case.name), tmp_path, mmap=False).save(tmp_path / "again.skm")
    assert (tmp_path / "again.skm").read_bytes() == (tmp_path / "model.skm").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in STORABLE if "partial_fit" in case.fits], ids=str)
def test_a_loaded_model_goes_on_learning(case: Case, tmp_path: Path) -> None:
    model, loaded = copy.deepcopy(fitted(case.name)), through_file(fitted(case.name), tmp_path)
    before = (tmp_path / "model.skm").read_bytes()
    for one in (model, loaded):
        one.partial_fit(case.X, **case.fits["partial_fit"])
    for mine, its in zip(case.answers(loaded), case.answers(model), strict=True):
        assert mine.tobytes() == its.tobytes()
    assert (tmp_path / "model.skm").read_bytes() == before


@pytest.mark.parametrize("way", ["file", "pickle"])
def test_moments_follow_the_weights_of_images(way: str, pairs: Data, tmp_path: Path) -> None:
    """Weights of images have another order in memory than arrays of a file."""
    sequences, y, images = pairs
    model = small_embedder().partial_fit(sequences, y, images=images).partial_fit(sequences, y, images=images)
    again = through_file(model, tmp_path) if way == "file" else pickle.loads(pickle.dumps(model))
    for one in (model, again):
        one.partial_fit(sequences, y, images=images)
    assert again.transform(sequences).tobytes() == model.transform(sequences).tobytes()
    assert again.transform_images(images).tobytes() == model.transform_images(images).tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("cls", estimators())
def test_an_estimator_that_is_not_fitted_keeps_its_parameters(cls: type[BaseEstimator], tmp_path: Path) -> None:
    made = cls()
    loaded = through_file(made, tmp_path)
    assert type(loaded) is cls
    assert repr(loaded.get_params()) == repr(made.get_params())


def test_every_public_estimator_is_saved() -> None:
    assert {type(case.make()) for case in STORABLE} == set(estimators())


# ------------------------------------------------------------------ pickles


@pytest.mark.parametrize(("case", "method"), FITS, ids=lambda value: str(value))
def test_a_state_is_plain_values_and_arrays(case: Case, method: str) -> None:
    found = {type(part) for part in parts(fitted(case.name, method))}
    assert [kind for kind in found if not issubclass(kind, PLAIN)] == []


@pytest.mark.slow
@pytest.mark.parametrize("case", STORABLE, ids=str)
def test_pickles_and_joblib_keep_every_bit(case: Case, tmp_path: Path) -> None:
    model = fitted(case.name)
    joblib.dump(model, tmp_path / "model.joblib")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for again in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib", mmap_mode="r")):
            for mine, its in zip(case.answers(again), case.answers(model), strict=True):
                assert mine.tobytes() == its.tobytes()


@pytest.mark.parametrize("case", STORABLE, ids=str)
def test_another_version_is_warned_of(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pickle.dumps(fitted(case.name))
    monkeypatch.setattr(skseqmetric, "__version__", "99.0")
    with pytest.warns(InconsistentVersionWarning, match=f"from version skseqmetric {_version(data)} when .*99"):
        pickle.loads(data)


def _version(data: bytes) -> str:
    return "0" if b"99.0" in data else "0.1.0"


@pytest.mark.slow
@pytest.mark.parametrize("case", STORABLE, ids=str)
def test_a_pickle_without_a_version_is_warned_of(case: Case) -> None:
    """As all were before they kept one: objects in place of plain values."""
    model = fitted(case.name)
    old = type(model).__new__(type(model))
    with pytest.warns(InconsistentVersionWarning, match="kept no version"):
        old.__setstate__(dict(vars(model)))
    assert same(case.answers(old), case.answers(model))


def test_a_copy_shares_its_network() -> None:
    model = fitted("SyncGRUMetric")
    assert copy.copy(model).module_ is model.module_
    assert copy.deepcopy(model).module_ is not model.module_


# ------------------------------------------------------------------ labels and parameters

TEXT = np.array(["no", "yes"])
KINDS = {
    "text": TEXT[LABELS],
    "objects": TEXT[LABELS].astype(object),
    "long text": np.array(["a", "b" * 300])[LABELS],
    "other letters": np.array(["é", "日本\x00x"])[LABELS],
    "bool": LABELS > 0,
    "whole numbers": LABELS.astype(np.int8),
    "floats": LABELS.astype(np.float32),
    "big endian": LABELS.astype(">i4"),
    "days": np.array(["2020-01-01", "2021-12-31"], dtype="M8[D]")[LABELS],
    "nanoseconds": np.array([0, 10**18], dtype="M8[ns]")[LABELS],
    "date objects": np.array([datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)], dtype=object)[LABELS],
}


@pytest.mark.parametrize(
    "made",
    [
        SequenceKNeighborsClassifier(RandomConvolutionMetric(**SMALL_BANK), n_neighbors=1),
        EchoStateClassifier(8, random_state=0),
        RecurrentClassifier(4, **QUICK),
    ],
    ids=lambda made: type(made).__name__,
)
@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_every_kind(kind: str, made: Any, tmp_path: Path) -> None:
    try:
        model = clone(made).fit(X, KINDS[kind])
    except ValueError:
        pytest.skip("the estimator refuses such labels")
    loaded = through_file(model, tmp_path)
    assert loaded.classes_.dtype == model.classes_.dtype
    assert same(loaded.predict(X), model.predict(X))


def test_symbols_of_every_kind(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(40, 2)) for _ in range(6)]
    y = [[("a", 1), ("b", 2)], [("b", 2)]] * 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CrossModalTranscriber(3, n_filters=4, n_units=4, **QUICK).fit(sequences, y)
        loaded = through_file(model, tmp_path)
        assert loaded.symbols_.tolist() == [("a", 1), ("b", 2)]
        assert same(loaded.predict(sequences), model.predict(sequences))


class Odd:
    """A label that can be sorted and hashed, and that no file holds."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __lt__(self, other: Any) -> bool:
        return self.number < other.number

    def __le__(self, other: Any) -> bool:
        return self.number <= other.number


@pytest.mark.parametrize("label", [Decimal, lambda i: datetime.timedelta(i), Odd], ids=["decimal", "delta", "own"])
def test_another_label_is_named(label: Any, tmp_path: Path) -> None:
    model = copy.deepcopy(fitted("EchoStateClassifier"))
    model.classes_ = np.array([label(0), label(1)], dtype=object)
    with pytest.raises(ValueError, match=r"EchoStateClassifier\.classes_\[0\] is an object of type .*pickle"):
        model.save(tmp_path / "model.skm")
    assert list(tmp_path.iterdir()) == []


def scale(x: Any, *_: Any) -> Any:
    return x


REFUSED: dict[str, tuple[Any, str]] = {
    "loss": (SyncGRUMetric(loss=torch.nn.TripletMarginLoss()), r"SyncGRUMetric\.loss is a torch module"),
    "a function as a loss": (SyncGRUMetric(loss=scale), r"SyncGRUMetric\.loss is a function"),
    "augment": (SyncGRUMetric(augment=scale), r"SyncGRUMetric\.augment is a function"),
    "callbacks": (NRNMClassifier(callbacks=[Steps()]), r"NRNMClassifier\.callbacks\[0\] is a torch module"),
    "encoder": (CrossModalTripletEmbedder(series_encoder=Steps()), r"\.series_encoder is a torch module"),
    "metric": (SequenceKNeighborsClassifier(count_of_steps), r"Classifier\.metric is a function"),
    "weights": (SequenceKNeighborsClassifier(weights=np.exp), r"Classifier\.weights is a function"),
    "member": (MetricEnsemble([("a", count_of_steps)]), r"MetricEnsemble\.metrics\[0\]\[1\] is a function"),
    "inner loss": (
        SequenceKNeighborsClassifier(SyncGRUMetric(loss=scale)),
        r"SequenceKNeighborsClassifier\.metric\.loss is a function",
    ),
    "NaN": (DTWMetric(window=np.array([np.nan])), r"DTWMetric\.window is an array with NaN"),
    "a pipeline": (SequenceKNeighborsClassifier(make_pipeline(DTWMetric())), r"Pipeline, not of skseqmetric"),
    "a class": (SequenceKNeighborsClassifier(DTWMetric), r"Classifier\.metric is a function or another callable"),
    "complex": (DTWMetric(window=np.array([1j])), r"an array of dtype complex128"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_file_holds_is_named(name: str, tmp_path: Path) -> None:
    made, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"{message}.*pickle or joblib"):
        made.save(tmp_path / "model.skm")
    assert list(tmp_path.iterdir()) == []


def test_an_attribute_of_the_user_is_named(tmp_path: Path) -> None:
    model = copy.deepcopy(fitted("DTWMetric"))
    model.note_ = "mine"
    with pytest.raises(ValueError, match=r"DTWMetric\.note_ is no attribute that a fit sets"):
        model.save(tmp_path / "model.skm")


def test_an_estimator_that_holds_itself_is_refused(tmp_path: Path) -> None:
    made = SequenceKNeighborsClassifier()
    made.metric = made
    with pytest.raises(ValueError, match="holds itself"):
        made.save(tmp_path / "model.skm")


class LastStepMetric(DTWMetric):
    """A class of the user."""


def test_a_class_of_the_user_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"class .*LastStepMetric, not of skseqmetric"):
        LastStepMetric().save(tmp_path / "model.skm")


GIVEN: dict[str, Any] = {
    "numbers of NumPy": RandomConvolutionMetric(alpha=np.float64(0.5), n_features=np.int64(84)),
    "arrays": EchoStateClassifier(8, n_reservoirs=2, leak=np.array([0.1, 0.2])),
    "a tuple": SyncGRUMetric(kernel_sizes=(3, 3), augment=("noise",)),
    "numbers as keys": EchoStateClassifier(8, class_weight={0: 1.0, 1: np.float32(2)}),
    "a random state": EchoStateClassifier(8, random_state=np.random.RandomState(3)),
    "a generator": EchoStateClassifier(8, random_state=np.random.Generator(np.random.Philox(4))),
    "a splitter": MetricEnsemble(cv=StratifiedKFold(4, shuffle=True, random_state=1)),
    "members": MetricEnsemble([("a", "dtw"), ("b", DTWMetric(window=2)), ("c", "drop")], weights=[1, 2, 3]),
    "a dictionary with a strange key": EchoStateClassifier(8, class_weight={"$": 1.0, "record": 2.0}),
    "many numbers": EchoStateClassifier(8, alpha=np.logspace(-3, 3, 40).tolist()),
}


@pytest.mark.parametrize("name", GIVEN)
def test_parameters_of_every_kind(name: str, tmp_path: Path) -> None:
    made = GIVEN[name]
    loaded = through_file(made, tmp_path)
    if name not in ("a random state", "a generator"):
        assert repr(loaded) == repr(made)
    else:
        assert loaded.random_state.normal(size=3).tolist() == copy.deepcopy(made.random_state).normal(size=3).tolist()


def test_what_holds_a_fitted_metric_shares_it(tmp_path: Path) -> None:
    metric = fitted("SyncGRUMetric")
    frozen = SequenceKNeighborsClassifier(FrozenEstimator(metric), n_neighbors=1).fit(X, LABELS)
    loaded = through_file(frozen, tmp_path)
    assert loaded.metric.estimator is loaded.metric_
    members = MetricEnsemble([("one", FrozenEstimator(metric)), ("two", metric.get_metric())], weights=[1, 2])
    ensemble = through_file(members.fit(X, LABELS), tmp_path)
    assert ensemble.named_metrics_.one is ensemble.metrics_[0]
    assert same(ensemble.pairwise_distances(X), members.pairwise_distances(X))


def test_settings_of_scikit_learn_are_kept(tmp_path: Path) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        made = RandomConvolutionMetric(**SMALL_BANK).set_fit_request(sample_weight=True).set_output(transform="pandas")
        loaded = through_file(made.fit(X, LABELS), tmp_path)
        assert loaded.get_metadata_routing().fit.requests["sample_weight"] is True
        assert list(loaded.transform(X).columns) == list(made.transform(X).columns)


def test_tokens_and_names_of_channels(tmp_path: Path) -> None:
    words = [["a", "b"], ["b", "c", "c"], ["a"], ["c", "a"]] * 4
    model = RecurrentClassifier(4, tokens=True, n_token_features=3, **QUICK).fit(words, [0, 1, 0, 1] * 4)
    loaded = through_file(model, tmp_path)
    assert same(loaded.predict_proba([["a", "new"], ["c"]]), model.predict_proba([["a", "new"], ["c"]]))
    pandas = pytest.importorskip("pandas")
    frames = [pandas.DataFrame(x, columns=["left", "right"]) for x in X]
    named = through_file(EchoStateClassifier(8, random_state=0).fit(frames, LABELS), tmp_path)
    assert named.channel_names_in_.tolist() == ["left", "right"]


@pytest.mark.slow
def test_an_optimizer_and_a_search(tmp_path: Path) -> None:
    search = GridSearchCV(NRNMStepClassifier(**SMALL), {"dropout": [0.0]}, cv=2).fit(X, STEPS)
    best = search.best_estimator_.partial_fit(X, STEPS)
    loaded = through_file(best, tmp_path).partial_fit(X, STEPS)
    assert same(loaded.predict_proba(X), best.partial_fit(X, STEPS).predict_proba(X))


# ------------------------------------------------------------------ the file


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    fitted("SequenceKNeighborsClassifier").save(tmp_path / "model.skm")
    with zipfile.ZipFile(tmp_path / "model.skm") as archive:
        assert archive.testzip() is None
        schema = json.loads(archive.read("schema.json"))
    assert schema["format"] == 1
    assert set(schema["versions"]) >= {"skseqmetric", "python", "numpy", "torch", "scikit-learn"}
    assert schema["card"]["class"] == "SequenceKNeighborsClassifier"
    assert schema["card"]["classes_"] == ["0", "1"]
    assert schema["card"]["n_channels_"] == 2
    assert [entry["class"] for entry in schema["estimators"]] == [
        "SyncGRUMetric",
        "SyncGRUMetric",
        "SequenceKNeighborsClassifier",
    ]


def test_arrays_are_read_by_safetensors(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    model = fitted("RandomConvolutionMetric")
    model.save(tmp_path / "model.skm")
    with zipfile.ZipFile(tmp_path / "model.skm") as archive:
        arrays = safetensors.load(archive.read("arrays.safetensors"))
    assert np.array_equal(arrays["RandomConvolutionMetric.components_"], model.components_)


def test_arrays_stay_in_the_file(tmp_path: Path) -> None:
    model = fitted("RandomConvolutionMetric")
    loaded = through_file(model, tmp_path)
    assert not loaded.components_.flags.owndata
    assert loaded.components_.ctypes.data % 64 == 0
    loaded.components_[:] = 0  # a change of the model is none of the file
    assert np.array_equal(load(tmp_path / "model.skm").components_, model.components_)
    (tmp_path / "model.skm").unlink()
    assert not loaded.components_.any()


def test_a_file_is_replaced_while_it_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "model.skm"
    first = through_file(fitted("RandomConvolutionMetric"), tmp_path)
    fitted("DTWMetric").save(path)
    assert same(first.transform(X), fitted("RandomConvolutionMetric").transform(X))
    assert isinstance(load(path), DTWMetric)


def test_a_path_may_be_text(tmp_path: Path) -> None:
    fitted("DTWMetric").save(str(tmp_path / "model.skm"))
    assert isinstance(load(str(tmp_path / "model.skm")), Metric)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.skm")


def test_another_process_reads_it(tmp_path: Path) -> None:
    fitted("SyncGRUMetric").save(tmp_path / "model.skm")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply(_distances, (tmp_path / "model.skm",))
    assert same(found, fitted("SyncGRUMetric").pairwise_distances(X))


def _distances(path: Path) -> np.ndarray:
    return load(path).pairwise_distances(X)
