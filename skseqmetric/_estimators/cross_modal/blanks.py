"""Warnings of transcribers that write blanks alone, the state in which CTC starts."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skseqmetric._input import check_images, check_sequences
from skseqmetric._ops.ctc import greedy_decode
from skseqmetric._tasks.spelling import BLANK, check_symbol_labels
from skseqmetric._training.running import RUNNING

SAMPLE = 32
"""Sequences or images of the training data that are transcribed to see whether anything is written."""


def warn_after_fit(reader: Any, X: Any, y: Any, images: Any) -> None:
    """Warn if a fitted transcriber writes blanks alone for training data whose labels have symbols.

    A branch whose loss has the weight 0 is not looked at, and nothing is said after Ctrl-C, which has its own warning.
    """
    running = RUNNING.get()
    if running is not None and running.ctrl_c.count:
        return
    of_series, of_images = _learned(reader, images)
    if of_series and series_are_blank(reader, X, y):
        _warn(reader, "sequences", "more sequences, or sequences with more steps for each symbol")
    elif of_images and _images_are_blank(reader, images):
        _warn(reader, "images", "more images, or images with more columns for each symbol")


def series_are_blank(reader: Any, X: Any, y: Any) -> bool:
    """Return whether all of some training sequences, whose labels have symbols, are transcribed as empty."""
    labels = check_symbol_labels(y, len(y)).labels
    written = np.flatnonzero([len(label) > 0 for label in labels])
    if not len(written):
        return False
    rows = written[:: -(-len(written) // SAMPLE)]
    sample = check_sequences(X, estimator=reader, reset=False).take(rows)
    return not any(map(len, reader._of_steps(reader._flat(sample), _greedy)))


def warn_of_answers(reader: Any, n: int) -> None:
    """Warn that all n answers of a transcriber are empty, as those to its training data were."""
    more = "more sequences, or sequences with more steps for each symbol"
    _warn(reader, "sequences", more, of=f"all {n} answers", level=4)


def _learned(reader: Any, images: Any) -> tuple[bool, bool]:
    """Return whether the last fit trained the transcription of sequences, and that of images."""
    if images is None:
        return True, False
    weights = np.ones(3) if isinstance(reader.loss_weights, str) else np.asarray(reader.loss_weights)
    return bool(weights[0] > 0), reader.module_.image_head is not None and bool(weights[1] > 0)


def _images_are_blank(reader: Any, images: Any) -> bool:
    checked = check_images(images, like=reader.image_shape_)
    log_probs = reader._image_outputs(checked.take(np.arange(len(checked))[:: -(-len(checked) // SAMPLE)]))
    return bool((log_probs.argmax(2) == BLANK).all())


def _greedy(log_probs: Any, steps: Any) -> list[np.ndarray]:
    return greedy_decode(log_probs, steps, BLANK)


def _warn(reader: Any, what: str, more: str, of: str = "all transcripts of its training data", level: int = 6) -> None:
    """Warn at the line of the caller, `level` calls above: of a fit that is decorated, or of a method."""
    running = RUNNING.get()
    if running is not None:  # a filter may make the warning an error, and the fit is complete
        running.keeps = (*running.keeps, ConvergenceWarning)
    warnings.warn(
        f"{type(reader).__name__} writes blanks alone: {of} are empty after {reader.n_iter_} epochs. CTC begins with "
        f"blanks and learns symbols later. Train longer (max_epochs={reader.max_epochs}, "
        f"max_updates={reader.max_updates}, min_batches={reader.min_batches}), raise learning_rate="
        f"{reader.learning_rate:g}, or pass {more}. This is about {what}.",
        ConvergenceWarning,
        stacklevel=level,
    )
