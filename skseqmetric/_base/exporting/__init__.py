"""Export of fitted estimators as programs that run without this package: ONNX, and torch's pt2."""

from skseqmetric._base.exporting.method import export, write
from skseqmetric._base.exporting.model import (
    SCORES,
    Axes,
    ExportedModel,
    channel_names,
    of_images,
    of_metric,
    of_series,
    of_steps,
    of_task,
    plain,
    refuse_tokens,
)

__all__ = [
    "SCORES",
    "Axes",
    "ExportedModel",
    "channel_names",
    "export",
    "of_images",
    "of_metric",
    "of_series",
    "of_steps",
    "of_task",
    "plain",
    "refuse_tokens",
    "write",
]
