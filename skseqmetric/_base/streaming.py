"""Answers one incoming step at a time, for estimators whose answers never depend on later steps.

The functions here are methods of those estimators. Each has a `_task`, `_reads_backwards`, which says how it was
fitted, and `_advance(x, state) -> outputs (K,), state` of a scaled step x (C,) in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from numbers import Number
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skseqmetric._input import as_array, check_step_names, n_channels_read, positional, real_numbers, steps_of
from skseqmetric._tensors.flat import standardised_step
from skseqmetric._tensors.inference import check_finite
from skseqmetric._tensors.modes import answering


def predict_step(self: Any, x: Any, state: Any = None) -> tuple[Any, Any]:
    """Predict for one incoming step. The result equals that of `predict` for the last step of the sequence so far.

    The estimator needs `target="step"` and a network that reads forwards only.

    Parameters
    ----------
    x : array-like of shape (C,)
        The step, in the units of the training data. With `tokens=True` a token, or C tokens.
    state : object or None, default=None
        State that the previous call returned; None for the first step. It is not changed, and its size is constant.

    Returns
    -------
    answer : one of `classes_`, or numbers in the units of y
    state : object
        Pass it with the next step.

    Raises
    ------
    ValueError
        The step has another shape or holds NaN or infinity, or predictions of the estimator depend on later steps.
    """
    check_is_fitted(self)
    check_causal(self, "predict_step")
    outputs, state = self._advance(_checked_step(self, x), state)
    check_finite(outputs[np.newaxis])
    return self._task.answer(outputs[np.newaxis])[0], state


def predict_stream(self: Any, steps: Iterable[Any]) -> Iterator[Any]:
    """Predict for every incoming step, as soon as it arrives. See `predict_step`.

    Parameters
    ----------
    steps : iterable of array-likes of shape (C,), or data frame
        Steps, in the units of the training data. The rows of a data frame are steps.

    Yields
    ------
    answer : one of `classes_`, or numbers in the units of y
    """
    state = None
    check_is_fitted(self)
    for x in steps_of(self, steps):
        answer, state = self.predict_step(x, state)
        yield answer


@answering
def advance_network(self: Any, x: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
    """Return the outputs (K,) of a network for one more step, and its next state."""
    row = torch.from_numpy(x).to(self._device)
    outputs, state = self.module_.advance(row, self.module_.first_state() if state is None else state)
    return outputs.cpu().numpy(), state


def check_causal(estimator: Any, method: str) -> None:
    """Refuse an estimator that was fitted for whole sequences, or to read them backwards too."""
    if not estimator._task.every_step or estimator._reads_backwards:
        raise ValueError(
            f"{method} answers at every step from the steps so far: fit with target='step'"
            f"{' and bidirectional=False' if hasattr(estimator, 'bidirectional') else ''}."
        )


def _checked_step(estimator: Any, x: Any) -> np.ndarray:
    """Return the step, scaled, in float32. A step of tokens becomes their codes."""
    if hasattr(estimator, "vocabulary_"):
        return estimator._read([[x]], reset=False).values[0]
    check_step_names(estimator, x)
    given = np.asarray(x) if isinstance(x, Number) else as_array(positional(x, "x"), "x")
    if n_channels_read(estimator) != estimator.n_channels_:
        raise ValueError('missing="mask" needs whole sequences: fit with another value for answers step by step.')
    row, n_channels = real_numbers(given, "x").astype(np.float64), estimator.n_channels_
    if row.shape != (n_channels,):
        raise ValueError(f"x has shape {row.shape}, but a step of this estimator has shape ({n_channels},).")
    if not np.isfinite(row).all():
        raise ValueError(f"x is not finite in channel {int(np.argmin(np.isfinite(row)))}.")
    return standardised_step(row, estimator.mean_, estimator.scale_)
