"""The public method `export`, written once for all estimators.

The function is a method: an estimator takes it into its class, as in `export = exporting.export`.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any

from sklearn.utils.validation import check_is_fitted

from skseqmetric._base.exporting.check import check_program
from skseqmetric._base.exporting.model import ExportedModel
from skseqmetric._base.exporting.programs import onnx_program, pt2_program
from skseqmetric._files import replacing
from skseqmetric._input import missing_rule

FORMATS = {"onnx": onnx_program, "pt2": pt2_program}


def export(self: Any, path: str | os.PathLike[str], format: str = "onnx") -> None:
    """Write the fitted model as a program that runs without this package.

    The program takes `values` float32 (batch, time, channel), as they were measured, and `lengths` int64 (batch,).
    Scaling and masks are inside. Batches may have any number of sequences and steps. Values past the end of a sequence
    are never read. The answers are those of the estimator for float32 sequences.

    Parameters
    ----------
    path : str or path-like
        The file. It is replaced in one step, after the program was checked.
    format : {"onnx", "pt2"}, default="onnx"
        "onnx" is read by ONNX Runtime and other programs, and needs the extra ``skseqmetric[onnx]``. "pt2" is read by
        `torch.export.load`.

    Raises
    ------
    ValueError
        The estimator has a form that cannot be exported. The message names the reason and another way.
    ImportError
        A package of the extra is missing.
    RuntimeError
        The program differs from the estimator by more than 1e-5 of the largest answer, for random sequences of random
        lengths. No file is then written.

    Notes
    -----
    An export takes some seconds: the network is recorded, and the file is run and compared with the estimator.
    """
    check_is_fitted(self)
    write(self, self._exportable, path, format)


def write(estimator: Any, make: Any, path: str | os.PathLike[str], format: str) -> None:
    """Write the model that make() returns, after it was compared with the estimator."""
    if format not in FORMATS:
        raise ValueError(f'format={format!r}: must be "onnx" or "pt2".')
    if missing_rule(estimator, reset=False) == "mask":
        raise ValueError(
            f'{type(estimator).__name__} with missing="mask" cannot be exported: its masks are made of the values that '
            'are missing, before the network. Fit with missing="interpolate", and give the program sequences that '
            "SequenceImputer has filled."
        )
    model: ExportedModel = make()
    notes = {"version": version("skseqmetric"), "estimator": type(estimator).__name__, "outputs": model.outputs}
    program, run = FORMATS[format](model, {**notes, **model.notes})
    check_program(model, run)
    with replacing(path) as file:
        file.write(program)
