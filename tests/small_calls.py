"""Every public method of every public estimator as a call, on data that torch shares out among threads."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, clone

from skseqmetric import (
    CrossModalTranscriber,
    CrossModalTripletEmbedder,
    DTWMetric,
    EchoStateClassifier,
    EchoStateRegressor,
    EchoStateTransformer,
    Metric,
    MetricEnsemble,
    NRNMClassifier,
    NRNMMetric,
    NRNMRegressor,
    NRNMStepClassifier,
    RandomConvolutionMetric,
    RandomConvolutionTransformer,
    RecurrentClassifier,
    RecurrentRegressor,
    SequenceCropper,
    SequenceDistances,
    SequenceFeatures,
    SequenceImputer,
    SequenceKNeighborsClassifier,
    SequenceKNeighborsRegressor,
    SequenceNeighborsTransformer,
    SequenceResampler,
    SequenceScaler,
    SequenceWindower,
    SyncGRUMetric,
    check_images,
    check_sequences,
    metrics,
    to_padded,
)
from skseqmetric.inspection import Alignment, EmbeddingDisplay

Call = Callable[[], Any]

_RNG = np.random.default_rng(5)
# wide rather than long: torch shares out operations on 32,768 values and more, and steps cost time
X = [_RNG.normal(size=(n, 32)) for n in _RNG.integers(16, 22, size=64)]
LABELS = np.arange(len(X)) % 3
for _x, _label in zip(X, LABELS, strict=True):
    _x[:, _label] += 2
STEPS = [np.arange(len(x)) // 3 % 3 for x in X]
WORDS = ["abc"[a] + "abc"[b] for a, b in _RNG.integers(3, size=(len(X), 2))]
IMAGES = _RNG.uniform(size=(len(X), 9, 16)).astype(np.float32)
PAIRS = _RNG.integers(len(X), size=(40, 2))
SAME = LABELS[PAIRS[:, 0]] == LABELS[PAIRS[:, 1]]

ONCE: dict[str, Any] = {"max_epochs": 1, "min_batches": 1, "random_state": 0}
MEMORY: dict[str, Any] = {**ONCE, "n_units": 8, "n_filters": 8}
CAUSAL: dict[str, Any] = {**ONCE, "n_units": 6, "target": "step"}
RESERVOIR: dict[str, Any] = {"n_units": 60, "random_state": 0}
MADE: dict[str, BaseEstimator] = {
    "CrossModalTranscriber": CrossModalTranscriber(6, n_filters=8, n_units=8, **ONCE),
    "CrossModalTripletEmbedder": CrossModalTripletEmbedder(6, n_filters=8, n_units=8, **ONCE),
    "DTWMetric": DTWMetric(n_jobs=2),
    "EchoStateClassifier": EchoStateClassifier(**RESERVOIR, target="step", bidirectional=False),
    "EchoStateClassifier, logistic": EchoStateClassifier(**RESERVOIR, readout="logistic"),
    "EchoStateRegressor": EchoStateRegressor(**RESERVOIR, target="step", bidirectional=False),
    "EchoStateTransformer": EchoStateTransformer(**RESERVOIR),
    "MetricEnsemble": MetricEnsemble([("gru", SyncGRUMetric(**MEMORY)), ("memory", NRNMMetric(**MEMORY))]),
    "MetricEnsemble, default": MetricEnsemble().set_params(
        convolution__n_features=336, random_state=0, **{f"alignment__{name}": value for name, value in MEMORY.items()}
    ),
    "NRNMClassifier": NRNMClassifier(**MEMORY, target="step"),
    "NRNMMetric": NRNMMetric(n_components=4, **MEMORY),
    "NRNMRegressor": NRNMRegressor(**MEMORY, target="step"),
    "NRNMStepClassifier": NRNMStepClassifier(**MEMORY),
    "RandomConvolutionMetric": RandomConvolutionMetric(n_features=336, n_components=4, random_state=0),
    "RandomConvolutionTransformer": RandomConvolutionTransformer(1000, random_state=0),
    "RecurrentClassifier": RecurrentClassifier(**CAUSAL),
    "RecurrentRegressor": RecurrentRegressor(**CAUSAL, cell="gru"),
    "SequenceCropper": SequenceCropper(threshold=0.2),
    "SequenceDistances": SequenceDistances(SyncGRUMetric(**MEMORY)),
    "SequenceFeatures": SequenceFeatures(),
    "SequenceImputer": SequenceImputer("mask"),
    "SequenceKNeighborsClassifier": SequenceKNeighborsClassifier(SyncGRUMetric(**MEMORY), algorithm="rerank"),
    "SequenceKNeighborsRegressor": SequenceKNeighborsRegressor(SyncGRUMetric(**MEMORY, coupling=None)),
    "SequenceNeighborsTransformer": SequenceNeighborsTransformer(NRNMMetric(**MEMORY)),
    "SequenceResampler": SequenceResampler(12),
    "SequenceScaler": SequenceScaler(),
    "SequenceWindower": SequenceWindower(8, stride=4),
    "SyncGRUMetric": SyncGRUMetric(**MEMORY, coupling="symmetric"),
    "SyncGRUMetric, aligned": SyncGRUMetric(**MEMORY, coupling="alignment"),
    "SyncGRUMetric, plain": SyncGRUMetric(**MEMORY, coupling=None),
}
ARGUMENTS: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "fit_pairs": lambda _: (X, PAIRS, SAME),
    "fit_reservoir": lambda _: (X,),
    "score": lambda made: (X, labels(made)),
    "calibrate_threshold": lambda _: (X, PAIRS, SAME),
    "predict_pairs": lambda _: (X, PAIRS),
    "score_pairs": lambda _: (X, PAIRS),
    "pair_distance": lambda _: (X, X[::-1]),
    "pairwise_distances": lambda _: (X[:20], X),
    **dict.fromkeys(("alignment", "synchronization"), lambda _: (X[:20], X[20:40])),
    "transform_with_targets": lambda _: (X, LABELS),
    "predict_step": lambda _: (X[0][0],),
    "predict_stream": lambda _: (X[0][:5],),
    **dict.fromkeys(
        (
            "transform_images",
            "predict_images",
            "predict_proba_images",
            "predict_log_proba_images",
            "decision_function_images",
        ),
        lambda _: (IMAGES,),
    ),
    "score_images": lambda made: (IMAGES, labels(made)),
    "get_metric": lambda _: (),
}
# what reads no sequence
IDLE = {"get_params", "get_metadata_routing", "get_feature_names_out"}


def labels(made: Any) -> Any:
    """The y of an estimator."""
    if isinstance(made, CrossModalTranscriber):
        return WORDS
    of_steps = isinstance(made, NRNMStepClassifier) or getattr(made, "target", None) == "step"
    return STEPS if of_steps else LABELS


def calls() -> dict[str, Call]:
    """All of them by name, "Estimator.method" for methods. A method that is public is here because it exists."""
    found = {f"{name}.{method}": partial(_ask, name, method) for name in MADE for method in _methods(name)}
    unpickled = {f"{name} unpickled": partial(_unpickled, name) for name in MADE}
    anew = {f"{name} fitted anew": partial(_fitted_anew, name) for name in MADE}
    return {**found, **unpickled, **anew, **_FUNCTIONS}


def answer(name: str) -> str:
    """The digest of what a call gives."""
    return digest(calls()[name]())


def _methods(name: str) -> list[str]:
    made = MADE[name]
    streams = getattr(made, "target", "step") == "step"
    public = [m for m in dir(made) if not m.startswith(("_", "set_")) and m not in IDLE]
    return [m for m in public if callable(getattr(made, m)) and (streams or not m.startswith("predict_st"))]


@cache
def fitted(name: str) -> Any:
    made = _fit(name)
    return made.calibrate_threshold(X, PAIRS, SAME) if isinstance(made, Metric) else made


def _fit(name: str) -> Any:
    made: Any = clone(MADE[name])
    return made.fit(X, labels(made), **_images(made))


@cache
def pickled(name: str) -> bytes:
    return pickle.dumps(fitted(name))


def _images(made: Any) -> dict[str, Any]:
    return {"images": IMAGES} if isinstance(made, CrossModalTranscriber | CrossModalTripletEmbedder) else {}


def _ask(name: str, method: str) -> Any:
    made: Any = clone(MADE[name])
    trains = method in ("fit", "partial_fit", "fit_transform")
    asked = made if "fit" in method else pickle.loads(pickled(name)) if "calibrate" in method else fitted(name)
    arguments = (X, labels(made)) if trains else ARGUMENTS.get(method, lambda _: (X,))(made)
    result = getattr(asked, method)(*arguments, **(_images(made) if trains else {}))
    if method == "get_metric":
        return result(X[0], X[1])
    return list(result) if method == "predict_stream" else result


def _unpickled(name: str) -> Any:
    return _first_answer(pickle.loads(pickled(name)))


def _fitted_anew(name: str) -> Any:
    return _first_answer(_fit(name))


def _first_answer(made: Any) -> Any:
    first = next(m for m in ("transform", "predict", "pairwise_distances") if hasattr(made, m))
    return getattr(made, first)(X[:40])


_FUNCTIONS: dict[str, Call] = {
    "check_sequences": lambda: check_sequences(X).values,
    "check_images": lambda: check_images(IMAGES).values,
    "to_padded": lambda: to_padded(X),
    "metrics.step_accuracy": lambda: metrics.step_accuracy(STEPS, STEPS[:]),
    "metrics.character_error_rate": lambda: metrics.character_error_rate(WORDS, WORDS[::-1]),
    "EmbeddingDisplay": lambda: EmbeddingDisplay.from_estimator(fitted("SyncGRUMetric"), X, LABELS).points,
}


def digest(value: Any) -> str:
    """A hash of every bit of an answer; of an estimator, of what it has learned."""
    return hashlib.sha256(repr(_parts(value)).encode()).hexdigest()


def _parts(value: Any) -> Any:
    if isinstance(value, torch.nn.Module):
        return _parts(value.state_dict())
    if isinstance(value, BaseEstimator):
        return _parts({k: v for k, v in vars(value).items() if k.endswith("_") and k != "history_"})
    if isinstance(value, Mapping):
        return [(str(key), _parts(item)) for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))]
    if sparse.issparse(value):
        return _parts([value.indptr, value.indices, value.data])
    if isinstance(value, list | tuple):
        return [_parts(item) for item in value]
    if isinstance(value, Alignment):
        return _parts(vars(value))
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.dtype.str, value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return value if isinstance(value, str | int | float | np.generic | None) else type(value).__name__
