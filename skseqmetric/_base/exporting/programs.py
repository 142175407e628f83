"""Programs as bytes, ONNX or torch's pt2, and how they are run to check them."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from skseqmetric._base.exporting.inputs import Arrays
from skseqmetric._base.exporting.model import ExportedModel
from skseqmetric._ops.dispatch import implementation

Run = Callable[[Arrays], list[np.ndarray]]
"""Runs a program on named arrays and returns its outputs in their order."""

NOTES = "skseqmetric.json"
"""The name of the notes in a pt2 file, and without its ending the key of the notes in an ONNX file."""

TALKATIVE = ("torch.onnx._internal.exporter._registration", "onnxscript", "onnx_ir")
"""Loggers of the exporters."""

DYNAMIC = ("batch", "time")
"""Axes of inputs that may have any size."""


def onnx_program(model: ExportedModel, notes: dict[str, Any]) -> tuple[bytes, Run]:
    """Return an ONNX program as bytes, and a function that runs it.

    Raises
    ------
    ImportError
        A package of the extra "onnx" is missing.
    """
    runtime = _onnx_packages()
    names = list(model.outputs)
    with _quiet(), torch.no_grad():
        recorded = torch.onnx.export(_recorded(model, "onnx"), output_names=names, dynamo=True, verbose=False)
    proto: Any = recorded.model_proto  # type: ignore[union-attr]
    _name_axes(proto.graph, {**model.inputs.axes, **model.outputs})
    for key, value in notes.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = f"skseqmetric.{key}", value if isinstance(value, str) else json.dumps(value)
    written = proto.SerializeToString()
    session = runtime.InferenceSession(written, providers=["CPUExecutionProvider"])
    return written, lambda arrays: list(session.run(names, arrays))


def pt2_program(model: ExportedModel, notes: dict[str, Any]) -> tuple[bytes, Run]:
    """Return a program of `torch.export` as bytes, and a function that runs it."""
    buffer = io.BytesIO()
    with _quiet(), torch.no_grad():
        torch.export.save(_recorded(model, "scanned"), buffer, extra_files={NOTES: json.dumps(notes)})
        written = buffer.getvalue()
        module = torch.export.load(io.BytesIO(written)).module()

    def run(arrays: Arrays) -> list[np.ndarray]:
        with torch.no_grad():
            found = module(*(torch.from_numpy(arrays[name]) for name in model.inputs.axes))
        return [part.numpy() for part in found]

    return written, run


def _onnx_packages() -> Any:
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'format="onnx" needs {error.name}, which is not installed: pip install "skseqmetric[onnx]". '
            'format="pt2" needs nothing more.'
        ) from error
    return onnxruntime


def _recorded(model: ExportedModel, form: str) -> torch.export.ExportedProgram:
    """Record the operations of a model, for any number of sequences and of steps."""
    free = {name: torch.export.Dim(name, min=1) for name in DYNAMIC}
    shapes = tuple(
        {i: free[axis] for i, axis in enumerate(axes) if axis in free} for axes in model.inputs.axes.values()
    )
    with implementation(form):
        return torch.export.export(model.module, model.inputs.example(), dynamic_shapes=shapes)


def _name_axes(graph: Any, axes: dict[str, tuple[str, ...]]) -> None:
    """Give the free axes of inputs and outputs their names."""
    for one in [*graph.input, *graph.output]:
        for dimension, name in zip(one.type.tensor_type.shape.dim, axes[one.name], strict=True):
            if dimension.dim_param:
                dimension.dim_param = name
    # shapes of values in between have other names for the same sizes
    del graph.value_info[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporters of torch say of themselves."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
