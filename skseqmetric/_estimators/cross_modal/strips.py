"""Transcription of image strips alone: the room that labels have in them, and the methods of a fitted transcriber."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from skseqmetric._estimators.cross_modal.images import ImagePool
from skseqmetric._input import Images
from skseqmetric._networks.cross_modal import image_features
from skseqmetric._networks.encoders import StripEncoder
from skseqmetric._ops.ctc import least_steps
from skseqmetric._tasks import Symbols
from skseqmetric._tasks.spelling import check_symbol_labels, written
from skseqmetric._tensors.flat import tensor_of
from skseqmetric._tensors.modes import answering


def columns(encoder: nn.Module | None, images: Images) -> int:
    """Return the columns S that an encoder leaves of images, 0 if it returns vectors. None: the package's own."""
    if encoder is None or isinstance(encoder, StripEncoder):
        return StripEncoder.n_steps(images.shape)
    pixels = tensor_of(images.values[:2]).to(next((p.device for p in encoder.parameters()), torch.device("cpu")))
    found = image_features(encoder, pixels, strips=True)
    return found.shape[1] if found.ndim == 3 else 0


def fit_into(encoder: nn.Module | None, pool: ImagePool) -> bool:
    """Return whether all labels have room in the columns that an encoder leaves."""
    return max(map(least_steps, pool.spelled)) <= columns(encoder, pool.images) > 0


def check_room(codes: Sequence[np.ndarray], task: Symbols, n_columns: int) -> None:
    """Refuse a label that is too long for the columns of an image."""
    if not n_columns:
        raise ValueError(
            "transcribe_images=True reads the columns of an image, but image_encoder returns one vector of it, (B, F): "
            "let it return (B, S, F) with S columns from left to right."
        )
    needed = [least_steps(label) for label in codes]
    longest = int(np.argmax(needed))
    if needed[longest] > n_columns:
        label = written(codes[longest], task.alphabet, str(task.kind))
        raise ValueError(
            f"label {label!r} does not fit into its image: its {len(codes[longest])} symbols take {needed[longest]} "
            f"columns (one each, and one between equal neighbours), and the image encoder leaves {n_columns}. Pass "
            "wider images, or use transcribe_images=False in a new fit."
        )


# ------------------------------------------------------------------------------------------- methods of a transcriber


def predict_images(self: Any, images: Any) -> list[Any]:
    """Transcribe image strips alone, by the image branch (offline recognition).

    Parameters
    ----------
    images : array (m, h, w) or (m, h, w, c), or list of m images
        Images of the same size and kind of pixels as in `fit`, read from left to right.

    Returns
    -------
    labels : list of m strings, or of m lists of symbols
        Labels of the same type as in `fit`, decoded as `decoding` says.

    Raises
    ------
    ValueError
        `check_images` does not accept the images, or the model was fitted without images or does not transcribe them.
    """
    log_probs = _log_probabilities(self, images)
    self._validate_params()
    steps = torch.full((len(log_probs),), log_probs.shape[1], dtype=torch.int64, device="cpu")
    return self._task.answer(self._decode(torch.from_numpy(log_probs), steps))


def predict_log_proba_images(self: Any, images: Any) -> list[np.ndarray]:
    """Return log-probabilities at the columns that the image encoder leaves, for your own decoder.

    Parameters
    ----------
    images : array (m, h, w) or (m, h, w, c), or list of m images
        Images of the same size and kind of pixels as in `fit`.

    Returns
    -------
    log_probs : list of m arrays (S, K + 1), float32
        The first column is the blank. The others are the symbols as in `symbols_`.

    Raises
    ------
    ValueError
        As for `predict_images`.
    """
    return list(_log_probabilities(self, images))


def score_images(self: Any, images: Any, y: Any, sample_weight: Any = None) -> float:
    """Return 1 - character error rate of the labels that `predict_images` returns.

    Parameters
    ----------
    images : array (m, h, w) or (m, h, w, c), or list of m images
        Images of the same size and kind of pixels as in `fit`.
    y : list of m strings, or of m lists of symbols
        True labels. A symbol that is not in `symbols_` counts as an error.
    sample_weight : array-like of shape (m,), optional
        Weight of every label.

    Returns
    -------
    score : float
    """
    answers = self.predict_images(images)
    check_symbol_labels(y, len(answers), of="there are {} images")
    return self._task.score(y, answers, sample_weight)


@answering
def _log_probabilities(self: Any, images: Any) -> np.ndarray:
    """Return the log-probabilities (m, S, K + 1) of the columns of images."""
    return torch.from_numpy(self._image_outputs(images)).log_softmax(2).numpy()
