"""What an estimator says of its export: the module, the names of its answers, and the answers to compare with."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from skseqmetric._base.exporting.inputs import ImageInputs, SeriesInputs
from skseqmetric._networks.exported import (
    ClassAnswers,
    ExportedImages,
    ExportedSeries,
    MetricAnswers,
    NumberAnswers,
    TaskAnswers,
    reduction,
)
from skseqmetric._tasks import Classes, Numbers, probabilities
from skseqmetric._tensors.flat import in_precision
from skseqmetric._tensors.modules import frozen_copy

Axes = dict[str, tuple[str, ...]]
"""Names of answers, and the names of their axes."""

SCORES: Axes = {"scores": ("batch", "class"), "probabilities": ("batch", "class")}


@dataclass(frozen=True, eq=False)
class ExportedModel:
    """A model that can be exported.

    module : maps the inputs to a tuple of answers, one for each name in `outputs`.
    inputs : what the module takes.
    outputs : names of the answers, and names of their axes.
    answers : function of the sequences (or images) X that returns what the estimator itself answers, for every output
        an array, or a list of one array per sequence.
    notes : what a program cannot know by itself, such as the classes; numbers, text, lists and dicts.
    """

    module: nn.Module
    inputs: SeriesInputs | ImageInputs
    outputs: Axes
    answers: Callable[[Any], tuple[Any, ...]]
    notes: dict[str, Any] = field(default_factory=dict)


def of_series(
    estimator: Any,
    run: nn.Module,
    outputs: Axes,
    answers: Callable[[Any], tuple[Any, ...]],
    *,
    extra_steps: int = 1,
    **notes: Any,
) -> ExportedModel:
    """Return the model of an estimator that reads sequences of numbers.

    `run` gets them scaled, with zeros past the end. The argument `extra_steps` is that of `ExportedSeries`.
    """
    mean, scale = estimator.mean_, estimator.scale_
    inputs = SeriesInputs(mean, scale)
    every_step = any("time" in axes for axes in outputs.values())
    scaling = in_precision(np.dtype(np.float32), mean, scale)
    module = ExportedSeries(*scaling, run, extra_steps=extra_steps, every_step=every_step)
    notes = {"n_channels": len(mean), "channels": channel_names(estimator), **notes}
    return ExportedModel(module.eval(), inputs, outputs, answers, notes)


def of_images(
    estimator: Any, run: nn.Module, outputs: Axes, answers: Callable[[Any], tuple[Any, ...]], **notes: Any
) -> ExportedModel:
    """Return the model of an estimator that reads images."""
    inputs = ImageInputs(estimator.image_shape_, bool(getattr(estimator, "_divided", False)))
    notes = {"image_shape": list(inputs.shape), "pixels_divided_by_255": inputs.divided, **notes}
    return ExportedModel(ExportedImages(run).eval(), inputs, outputs, answers, notes)


def of_task(estimator: Any, network: nn.Module, task: Any, sharpness: float = 1.0) -> ExportedModel:
    """Return the model of a classifier or a regressor, whose network maps scaled sequences to the outputs of a task."""
    if isinstance(task, Classes):
        return of_series(
            estimator,
            TaskAnswers(network, ClassAnswers(sharpness)),
            of_steps(SCORES) if task.every_step else SCORES,
            lambda X: _scored(estimator._outputs(X), sharpness),
            extra_steps=reduction(network),
            classes=plain(task.labels),
        )
    return of_series(
        estimator,
        TaskAnswers(network, number_answers(task)),
        _number_axes(task),
        lambda X: (estimator.predict(X),),
        extra_steps=reduction(network),
    )


def of_metric(estimator: Any) -> ExportedModel:
    """Return the model of a learned metric: embeddings, and states at places if the distance matches them."""
    network, places = estimator.module_, estimator.module_.coupling == "alignment"
    outputs: Axes = {"embedding": ("batch", "component")}
    if places:
        outputs["states"] = ("batch", "place", "feature")
    elif network.coupling is not None:
        raise ValueError(
            f"{type(estimator).__name__} with coupling={network.coupling!r} cannot be exported: its distance comes "
            "from a run of the network on each pair, so that no sequence has an embedding of its own. Fit a metric "
            'with coupling="alignment" or coupling=None.'
        )

    def answers(X: Any) -> tuple[Any, ...]:
        prepared = estimator._prepared(X)
        return (prepared.embeddings, prepared.places) if places else (prepared.embeddings,)

    notes = {"distance": "alignment", "pooled_weight": float(network.pooled_weight)} if places else {}
    run = MetricAnswers(frozen_copy(network))
    steps = reduction(network)
    return of_series(estimator, run, outputs, answers, extra_steps=steps, **{"distance": "euclidean", **notes})


def _scored(outputs: Any, sharpness: float) -> tuple[Any, Any]:
    return outputs, probabilities(outputs, sharpness)


def number_answers(task: Numbers) -> nn.Module:
    """Return the module that converts outputs to the units of y."""
    scale, mean = (1.0, 0.0) if task.mean is None else (task.scale, task.mean)
    return NumberAnswers(scale, mean, one_column=task.one_column)


def _number_axes(task: Numbers) -> Axes:
    axes: Axes = {"predictions": ("batch",) if task.one_column else ("batch", "output")}
    return of_steps(axes) if task.every_step else axes


def of_steps(axes: Axes) -> Axes:
    """Return the axes of answers for every step."""
    return {name: (one[0], "time", *one[1:]) for name, one in axes.items()}


def channel_names(estimator: Any) -> list[str] | None:
    """Return the names of the channels, if the estimator was fitted to sequences with names."""
    names = getattr(estimator, "channel_names_in_", None)
    return None if names is None else [str(name) for name in names]


def plain(labels: np.ndarray) -> list[Any]:
    """Return labels as text, numbers and bools; dates as text of ISO 8601, and other objects as `str` writes them."""
    if labels.dtype.kind == "M":
        return np.datetime_as_string(labels).tolist()
    return [_plain(label) for label in labels.tolist()]


def _plain(label: Any) -> Any:
    if isinstance(label, (datetime.date, datetime.datetime)):
        return label.isoformat()
    return label if isinstance(label, (str, bool, int, float)) else str(label)


def refuse_tokens(estimator: Any) -> None:
    """Refuse estimators that read tokens."""
    if hasattr(estimator, "vocabulary_"):
        raise ValueError(
            f"{type(estimator).__name__} with tokens=True cannot be exported: its sequences are text or integers, and "
            "a program takes numbers. Serve the estimator itself, saved by save or joblib."
        )
