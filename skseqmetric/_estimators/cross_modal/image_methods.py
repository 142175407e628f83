"""Classification of images alone, by the image branch of a fitted embedder.

The functions are methods of `CrossModalTripletEmbedder`, written here because they say nothing of sequences.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric._input import one_label_each
from skseqmetric._tasks import decision, probabilities


def decision_function_images(self: Any, images: Any) -> np.ndarray:
    """Return class scores (logits) of images, by the image branch alone.

    Parameters
    ----------
    images : array (m, h, w) or (m, h, w, c), or list of m images
        Images of the same size and kind of pixels as in `fit`.

    Returns
    -------
    scores : ndarray of shape (m, K) or (m,)
        Columns as in `classes_`. For two classes there is one number: the second score minus the first.

    Raises
    ------
    ValueError
        `check_images` does not accept the images, or the model was fitted without images.
    """
    return np.asarray(decision(self._image_outputs(images)))


def predict_proba_images(self: Any, images: Any) -> np.ndarray:
    """Return class probabilities of images, by the image branch alone.

    Parameters
    ----------
    images : array (m, h, w) or (m, h, w, c), or list of m images
        Images of the same size and kind of pixels as in `fit`.

    Returns
    -------
    probabilities : ndarray of shape (m, K)
        Columns as in `classes_`.

    Raises
    ------
    ValueError
        As for `decision_function_images`.
    """
    return np.asarray(probabilities(self._image_outputs(images)))


def predict_images(self: Any, images: Any) -> np.ndarray:
    """Predict the most probable class of every image, by the image branch alone.

    The image branch is trained by its own cross-entropy and, through the shared embedding, by the sequences.
    `loss_weights=(0, 1, 0)` trains it by images alone, for comparison.

    Parameters
    ----------
    images : array (m, h, w) or (m, h, w, c), or list of m images
        Images of the same size and kind of pixels as in `fit`.

    Returns
    -------
    labels : ndarray of shape (m,)

    Raises
    ------
    ValueError
        As for `decision_function_images`.
    """
    outputs = self._image_outputs(images)
    return np.asarray(self._task.answer(outputs))


def score_images(self: Any, images: Any, y: Any, sample_weight: Any = None) -> float:
    """Return the accuracy of `predict_images`.

    Parameters
    ----------
    images : array (m, h, w) or (m, h, w, c), or list of m images
        Images of the same size and kind of pixels as in `fit`.
    y : array-like of shape (m,)
        True classes.
    sample_weight : array-like of shape (m,), optional
        Weight of every image.

    Returns
    -------
    accuracy : float in [0, 1]
    """
    answers = self.predict_images(images)
    return float(self._task.score(one_label_each(y, len(answers), "y", "images"), answers, sample_weight))
