"""Exported programs answer as the estimators they were made from, whatever the lengths and the padding."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import skseqmetric
from skseqmetric import (
    CrossModalTripletEmbedder,
    DTWMetric,
    EchoStateTransformer,
    MetricEnsemble,
    NRNMClassifier,
    RandomConvolutionMetric,
    RecurrentClassifier,
    SequenceDistances,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
    SyncGRUMetric,
)
from tests.every_estimator import LABELS, NUMBERS, PREPARING, QUICK, SMALL, SMALL_BANK, X
from tests.small_embedder import Steps
from tests.small_exported import EXPORTABLE, OF_IMAGES, fitted

TOLERANCE = 1e-5
"""Of the largest answer."""

Run = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def loaded(path: Path) -> tuple[Run, dict[str, Any]]:
    """The program of a file, without the package, and its notes."""
    return loaded_onnx(path) if path.suffix == ".onnx" else loaded_pt2(path)


def loaded_pt2(path: Path) -> tuple[Run, dict[str, Any]]:
    notes = {"skseqmetric.json": ""}
    module = torch.export.load(path, extra_files=notes).module()
    known = json.loads(notes["skseqmetric.json"])

    def run(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = module(*map(torch.from_numpy, arrays.values()))
        return {name: part.numpy() for name, part in zip(known["outputs"], found, strict=True)}

    return run, known


def loaded_onnx(path: Path) -> tuple[Run, dict[str, Any]]:
    session = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    notes = session.get_modelmeta().custom_metadata_map
    known = {key.removeprefix("skseqmetric."): value for key, value in notes.items()}
    read = {key: json.loads(value) if value[:1] in "[{" else value for key, value in known.items()}
    return lambda arrays: dict(zip(names, session.run(names, arrays), strict=True)), read


def padded(sequences: list[np.ndarray], filler: float = 0.0) -> dict[str, np.ndarray]:
    lengths = np.array([len(x) for x in sequences])
    values = np.full((len(sequences), lengths.max(), sequences[0].shape[1]), filler, dtype=np.float32)
    for row, x in zip(values, sequences, strict=True):
        row[: len(x)] = x
    return {"values": values, "lengths": lengths}


def batches(n: int, seed: int, n_channels: int = 2, longest: int = 60) -> list[list[np.ndarray]]:
    """n batches of unseen lengths, and as many single sequences."""
    rng = np.random.default_rng(seed)
    sizes = [*rng.integers(2, 7, n), *[1] * n]
    return [
        [rng.normal(size=(t, n_channels)).astype(np.float32) for t in rng.integers(1, longest + 1, size)]
        for size in sizes
    ]


def answers(estimator: Any, name: str, sequences: list[np.ndarray]) -> Any:
    """What the public methods of the estimator say."""
    if name == "scores":
        return estimator.decision_function(sequences)
    if name == "steps":
        return np.array([len(rows) for rows in estimator.predict_log_proba(sequences)])
    methods = {
        "probabilities": "predict_proba",
        "predictions": "predict",
        "log_probabilities": "predict_log_proba",
        "states": "hidden_states",
    }
    return getattr(estimator, methods.get(name, "transform"))(sequences)


def comparable(name: str, found: np.ndarray) -> np.ndarray:
    """Scores of two classes as scikit-learn returns them."""
    return found[..., 1] - found[..., 0] if name == "scores" and found.shape[-1] == 2 else found


def largest_of(true: Any) -> float:
    return max(float(np.abs(one).max()) for one in (true if isinstance(true, list) else [true]))


def assert_same(name: str, found: np.ndarray, true: Any, largest: float) -> None:
    """In units of the largest answer: a score near 0 is a difference of numbers of that size."""
    found = comparable(name, found)
    if isinstance(true, list):
        for mine, theirs in zip(found, true, strict=True):
            assert not mine[len(theirs) :].any()
        found, true = np.concatenate([m[: len(t)] for m, t in zip(found, true, strict=True)]), np.concatenate(true)
    assert found.shape == true.shape
    assert np.abs(found - true).max() <= TOLERANCE * largest, name


def assert_program_is(estimator: Any, path: Path, tries: list[list[np.ndarray]]) -> None:
    run, notes = loaded(path)
    assert notes["estimator"] == type(estimator).__name__
    assert list(run(padded(tries[0]))) == list(notes["outputs"])
    assert_answers_are(estimator, run, notes, tries)


def assert_answers_are(estimator: Any, run: Run, notes: dict[str, Any], tries: list[list[np.ndarray]]) -> None:
    pairs: dict[str, list[tuple[np.ndarray, Any]]] = {}
    for sequences in tries:
        found = run(padded(sequences, filler=np.nan))
        if notes.get("distance") == "alignment":
            assert_distances_are(estimator, sequences, found, float(notes["pooled_weight"]))
            found.pop("states")
        for name, mine in found.items():
            pairs.setdefault(name, []).append((mine, answers(estimator, name, sequences)))
    for name, of_name in pairs.items():
        largest = max(largest_of(true) for _, true in of_name)
        for mine, true in of_name:
            assert_same(name, mine, true, largest)


def assert_distances_are(estimator: Any, sequences: list[np.ndarray], found: dict[str, np.ndarray], w: float) -> None:
    """The distance of matched states follows from what the program returns."""
    states, embedding = (found[name].astype(np.float64) for name in ("states", "embedding"))
    for other in range(len(sequences)):
        costs = np.square(states[0][:, None] - states[other][None]).sum(2)
        squared = costs.min(0).mean() + costs.min(1).mean() + w * np.square(embedding[0] - embedding[other]).sum()
        true = estimator.pair_distance(sequences[:1], [sequences[other]])[0]
        assert np.sqrt(squared) == pytest.approx(true, rel=1e-4, abs=1e-5)


# ------------------------------------------------------------------------------------------------ what is exported


def test_a_pt2_program_answers_as_its_estimator(tmp_path: Path) -> None:
    estimator = fitted("lstm")
    estimator.export(tmp_path / "model.pt2", format="pt2")
    assert_program_is(estimator, tmp_path / "model.pt2", batches(3, seed=1))
    _, notes = loaded_pt2(tmp_path / "model.pt2")
    assert notes["classes"] == ["rest", "walk"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt2"]


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "pt2"])
@pytest.mark.parametrize("form", EXPORTABLE)
def test_every_program_answers_as_its_estimator(form: str, format: str, tmp_path: Path) -> None:
    if format == "onnx":
        pytest.importorskip("onnx"), pytest.importorskip("onnxscript"), pytest.importorskip("onnxruntime")
    estimator, path = fitted(form), tmp_path / f"model.{format}"
    estimator.export(path, format)
    assert_program_is(estimator, path, batches(20, seed=2, n_channels=estimator.n_channels_))


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "pt2"])
def test_neighbours_at_equal_distances_vote_as_in_the_estimator(format: str, tmp_path: Path) -> None:
    """Every sequence occurs three times, with labels that differ, so that all distances are tied."""
    if format == "onnx":
        pytest.importorskip("onnx"), pytest.importorskip("onnxscript"), pytest.importorskip("onnxruntime")
    known = [x.astype(np.float32) for x in X]
    labels = np.random.default_rng(0).integers(0, 3, 3 * len(known))
    metric = RandomConvolutionMetric(views=["channels"], **SMALL_BANK)
    for weights, k in (("uniform", 2), ("distance", 4)):
        estimator = SequenceKNeighborsClassifier(metric, n_neighbors=k, weights=weights).fit(known * 3, labels)
        estimator.export(tmp_path / f"model.{format}", format)
        run, _ = loaded(tmp_path / f"model.{format}")
        found = run(padded(known))["probabilities"]
        np.testing.assert_allclose(found, estimator.predict_proba(known), atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("form", OF_IMAGES)
def test_programs_of_images_answer_as_their_estimator(form: str, tmp_path: Path) -> None:
    estimator, path = fitted(form), tmp_path / "images.pt2"
    estimator.export(path, "pt2", modality="images")
    run, notes = loaded(path)
    channels, height, width = estimator.image_shape_
    images = np.random.default_rng(0).uniform(size=(5, height, width, channels)).astype(np.float32)
    given = images[:, :, :, 0] if channels == 1 else images
    for rows in (slice(0, 5), slice(0, 1)):
        found = run({"images": np.moveaxis(images[rows], 3, 1).copy()})
        assert list(found) == list(notes["outputs"])
        true = estimator.transform_images(given[rows])
        assert_same("embedding", found["embedding"], true, largest_of(true))
        if "scores" in found:
            true = estimator.decision_function_images(given[rows])
            assert_same("scores", found["scores"], true, largest_of(true))
        else:
            true = np.stack(estimator.predict_log_proba_images(given[rows]))
            assert_same("log", found["log_probabilities"], true, largest_of(true))


# ------------------------------------------------------------------------------------------------ what is refused

REFUSED = {"DTWMetric", "SequenceDistances", "SequenceNeighborsTransformer"}
"""Estimators of which no form can be exported."""


def refused() -> dict[str, tuple[Any, str]]:
    """Estimators that cannot be exported, and what the error names as another way."""
    pairs = [(a[:, 0], b) for a, b in zip(X, LABELS, strict=True)]
    tokens = [np.array(["a", "b", "c"])[(x > 0).astype(int)] for x, _ in pairs]
    neighbors = RandomConvolutionMetric(**SMALL_BANK)
    own = CrossModalTripletEmbedder(4, series_encoder=Steps(), **QUICK)
    members = [("c", RandomConvolutionMetric(**SMALL_BANK)), ("d", DTWMetric())]
    return {
        "coupled": (SyncGRUMetric(coupling="symmetric", **SMALL).fit(X, LABELS), 'coupling="alignment"'),
        "tokens": (NRNMClassifier(tokens=True, n_heads=2, **SMALL).fit(tokens, LABELS), "Serve the estimator itself"),
        "own encoder": (own.fit(X, LABELS), "the package's own encoder"),
        "dtw": (DTWMetric().fit(X), "RandomConvolutionMetric"),
        "function": (SequenceKNeighborsClassifier(count).fit(X, LABELS).metric_, "RandomConvolutionMetric"),
        "ensemble": (MetricEnsemble(members).fit(X, LABELS), "Export the members"),
        "aligned neighbours": (SequenceKNeighborsClassifier(SyncGRUMetric(**SMALL)).fit(X, LABELS), "coupling=None"),
        "neighbours of dtw": (SequenceKNeighborsRegressor("dtw").fit(X, NUMBERS), "RandomConvolutionMetric"),
        "own weights": (
            SequenceKNeighborsClassifier(neighbors, weights=np.exp).fit(X, LABELS),
            "weight the neighbours",
        ),
        "distances": (SequenceDistances(neighbors).fit(X, LABELS), "Export its metric"),
        "graph": (SequenceNeighborsTransformer(neighbors).fit(X, LABELS), "Export its metric"),
    }


def count(x: np.ndarray, y: np.ndarray) -> float:
    return float(abs(len(x) - len(y)))


def test_what_cannot_be_exported_says_why_and_what_to_do(tmp_path: Path) -> None:
    found = refused()
    assert {type(estimator).__name__ for estimator, _ in found.values()} >= REFUSED
    for name, (estimator, remedy) in found.items():
        with pytest.raises(ValueError, match="cannot be exported") as error:
            estimator.export(tmp_path / "model", "pt2")
        assert remedy in str(error.value), name
        assert type(estimator).__name__ in str(error.value), name
    assert list(tmp_path.iterdir()) == []


def test_every_estimator_is_exported_or_refused() -> None:
    tried = {type(estimator).__name__ for estimator, _ in EXPORTABLE.values()} | REFUSED
    public = [getattr(skseqmetric, name) for name in skseqmetric.__all__]
    named = {cls.__name__ for cls in public if isinstance(cls, type) and hasattr(cls, "export")}
    assert named <= tried
    assert {cls.__name__ for cls in public if isinstance(cls, type) and hasattr(cls, "get_params")} - named == {
        "Metric",
        "SequenceIndex",
        *PREPARING,
    }


def test_mistakes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = RecurrentClassifier(3, **QUICK)
    with pytest.raises(ValueError, match="not fitted"):
        estimator.export(tmp_path / "model.onnx")
    estimator.fit(X, LABELS)
    with pytest.raises(ValueError, match="format='tflite': must be"):
        estimator.export(tmp_path / "model.tflite", "tflite")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"skseqmetric\[onnx\]"):
        estimator.export(tmp_path / "model.onnx")
    embedder = CrossModalTripletEmbedder(4, n_units=4, n_filters=4, **QUICK).fit(X, LABELS)
    with pytest.raises(ValueError, match="modality='text': must be"):
        embedder.export(tmp_path / "model", "pt2", modality="text")
    with pytest.raises(ValueError, match="fitted without images"):
        embedder.export(tmp_path / "model", "pt2", modality="images")
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reservoir = EchoStateTransformer(5, bidirectional=False, pooling="last", random_state=0).fit(X)
    true = EchoStateTransformer.transform
    monkeypatch.setattr(EchoStateTransformer, "transform", lambda self, X: true(self, X) * np.float32(1.0001))
    path = tmp_path / "model.pt2"
    path.write_text("the earlier file")
    with pytest.raises(RuntimeError, match="'features' differs by"):
        reservoir.export(path, "pt2")
    assert path.read_text() == "the earlier file"
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt2"]
