"""The memory of the NRNM estimators: its shape, and methods that return states of a fitted network."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base import shown
from skseqmetric._networks.pooling import POOLINGS
from skseqmetric._networks.stem import stem_strides
from skseqmetric._ops.stem_shape import steps_behind
from skseqmetric._ops.weights import MemoryForm, MemoryScan
from skseqmetric._tensors.inference import check_finite, over_batches, run_steps
from skseqmetric._training.data import TrainingSet

FOREVER = 2**31
"""A window longer than any sequence. The memory is never written, and the network is the plain backbone."""

CONSTRAINTS: dict[str, list[Any]] = {
    "n_units": [Interval(Integral, 1, None, closed="left")],
    "n_layers": [Interval(Integral, 1, None, closed="left")],
    "cell": [StrOptions({"lstm", "gru", "rnn"})],
    "n_slots": [Interval(Integral, 1, None, closed="left")],
    "stride": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "window": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
    "n_heads": [Interval(Integral, 1, None, closed="left")],
    "attention": ["boolean"],
    "memory_input": [StrOptions({"pooled", "tokens"})],
    "zoneout": [Interval(Real, 0, 1, closed="left")],
    "memory_dropout": [Interval(Real, 0, 1, closed="left")],
    "pooling": [StrOptions(set(POOLINGS))],
    "n_filters": [Interval(Integral, 1, None, closed="left"), None],
    "max_recurrent_steps": [Interval(Integral, 1, None, closed="left"), None],
    "dropout": [Interval(Real, 0, 1, closed="left")],
}


# ------------------------------------------------------------------ shape


def check_memory(estimator: Any, training: TrainingSet, head: str, *, continued: bool) -> None:
    """Refuse a memory whose parameters contradict each other, or that would never be read on these data."""
    if estimator.attention and estimator.n_units % estimator.n_heads:
        raise ValueError(f"n_units={estimator.n_units} is not divisible by n_heads={estimator.n_heads}.")
    window, n_slots = estimator.window, estimator.n_slots
    if not isinstance(window, str) and window is not None and estimator.stride == "auto" and window % n_slots:
        raise ValueError(f"window={window} is not a multiple of n_slots={n_slots}: set the stride too.")
    if head == "step":
        estimator._refuse_views("target='step'")
    if not continued:
        _form(estimator, _strides(estimator, training, head), int(training.sequences.lengths.max()))


def memory_config(
    estimator: Any, training: TrainingSet, head: str, n_outputs: int, views: tuple[int, ...]
) -> dict[str, Any]:
    """Return the arguments of `MemoryNetwork` from the parameters of an estimator and its training data."""
    strides = _strides(estimator, training, head)
    return {
        "n_channels": training.sequences.values.shape[1],
        "n_units": estimator.n_units,
        "form": _form(estimator, strides, int(training.sequences.lengths.max())),
        "n_layers": estimator.n_layers,
        "head": head,
        "n_outputs": n_outputs,
        "pooling": estimator.pooling,
        "n_filters": estimator.n_filters,
        "strides": strides,
        "dropout": estimator.dropout,
        "zoneout": estimator.zoneout,
        "memory_dropout": estimator.memory_dropout,
        "views": views,
        "tokens": estimator._token_form(),
    }


def _strides(estimator: Any, training: TrainingSet, head: str) -> tuple[int, int]:
    """Return the strides of the stem. They are 1 if every step has a target."""
    if head == "step":
        return 1, 1
    return stem_strides(int(training.sequences.lengths.max()), estimator.max_recurrent_steps)


def _form(estimator: Any, strides: tuple[int, int], longest: int) -> MemoryForm:
    """Return the shape of the memory for sequences of at most `longest` steps."""
    n_steps = steps_behind(longest, strides) if estimator.n_filters else longest
    slots, stride, window, every = estimator.n_slots, estimator.stride, estimator.window, None
    if window is None:
        slots, stride = 1, FOREVER
    elif window != "auto" and stride == "auto":
        stride = window // slots
    elif window != "auto":
        every = None if window == slots * stride else window
    elif stride == "auto":
        wanted = max(2, round(n_steps / 4))
        slots = min(slots, wanted)
        stride = max(1, round(wanted / slots))
    if window is not None and (window, estimator.stride) != ("auto", "auto"):
        _check_lengths(slots, stride, every, n_steps)
    how = estimator.n_heads, estimator.attention, estimator.memory_input
    return MemoryForm(estimator.cell, slots, stride, *how, every)


def _check_lengths(slots: int, stride: int, every: int | None, n_steps: int) -> None:
    """Refuse a memory that would never be read, and slots that would never be written."""
    block = f"n_slots * stride = {slots} * {stride} = {slots * stride}"
    what = f"is written every {block} recurrent steps" if every is None else f"reads blocks of {block} recurrent steps"
    if every is not None and every > n_steps:
        what = f"is written every window = {every} recurrent steps"
    elif slots * stride <= n_steps:
        return
    raise ValueError(
        f"The memory {what}, but the longest training sequence has {n_steps}: it would never be "
        f"{'read' if every is None or every > n_steps else 'full'}. Use a shorter window, or window='auto' with "
        "stride='auto'."
    )


# ------------------------------------------------------------------ methods of the fitted estimators


def _window(self: Any) -> int | None:
    """Recurrent steps between two updates of the memory. None without memory."""
    check_is_fitted(self)
    window = self.network_config_["form"].window
    return None if window >= FOREVER else int(window)


window_ = property(_window)


@shown
def hidden_states(self: Any, X: Any, *, layer: int = -1) -> list[np.ndarray]:
    """Return the states h_t of a layer after every recurrent step.

    Parameters
    ----------
    X : list of n (T_i, C) arrays, array (n, T, C), or array (n, T)
        Sequences.
    layer : int, default=-1
        Index of the layer. -1 is the last layer, which the head reads.

    Returns
    -------
    states : list of n arrays (T_i', H), float32
        T_i' is the length of the sequence, or smaller if the stem has strides.

    Raises
    ------
    ValueError
        `check_sequences` does not accept X, or the network does not have this layer.
    """
    flat = self._checked(X)
    _check_layer(self, layer)

    def run(values: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features, steps = self.module_.encode(values, lengths)
        return self.module_.scans(features, steps)[layer].states, steps

    return run_steps(flat, run)


@shown
def memory_states(self: Any, X: Any, *, layer: int = -1) -> Bunch:
    """Return the memory after every update, and the attention weights of every update.

    Parameters
    ----------
    X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        Sequences.
    layer : int, default=-1
        Index of the layer.

    Returns
    -------
    states : Bunch
        - memory : list of n arrays (U_i, S, H), the S slots after each of the U_i updates. The update at the end of the
          sequence is included, although no step follows it.
        - attention : list of n arrays (U_i, m, S + E, S + E) of m heads, or None with `attention=False`. Rows sum to 1
          over the tokens that are read. The S hidden states of the block come first. Its E input tokens follow, 1 for
          "pooled" and S for "tokens". Missing tokens of an unfinished block have weight 0.
        - steps : list of n arrays (U_i, S) of int, the input step of each hidden state of a block, or -1 if it is
          missing. If the stem has strides, it is the first input step of the recurrent step.
    """
    check_is_fitted(self)
    if self.window_ is None:
        raise ValueError("This estimator was fitted with window=None: it has no memory.")
    _check_layer(self, layer)
    flat = self._checked(X)
    found: list[Any] = [None] * len(flat)
    factor = 1 if self.module_.stem is None else int(np.prod(self.module_.stem.strides))

    def look(values: torch.Tensor, lengths: torch.Tensor, indices: np.ndarray) -> None:
        features, steps = self.module_.encode(values, lengths)
        scan = self.module_.scans(features, steps, keep=True)[layer]
        for row, (i, n_steps) in enumerate(zip(indices, steps.tolist(), strict=True)):
            found[i] = _of_sequence(scan, row, n_steps, self.module_.memory_layers()[layer].form, factor)
            check_finite(found[i][0][np.newaxis], [i])

    over_batches(flat, look)
    memory, attention, steps = (list(part) for part in zip(*found, strict=True))
    return Bunch(memory=memory, attention=attention if self.network_config_["form"].attention else None, steps=steps)


def _check_layer(estimator: Any, layer: int) -> None:
    n_layers = len(estimator.module_.memory_layers())
    if not -n_layers <= layer < n_layers:
        raise ValueError(f"layer={layer} is out of range: this network has n_layers={n_layers}.")


def _of_sequence(
    scan: MemoryScan, row: int, n_steps: int, form: MemoryForm, factor: int
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    n_updates = form.n_updates(n_steps)
    memory = scan.memory[row, :n_updates].cpu().numpy().copy()  # type: ignore[index]
    maps = None if scan.attention is None else scan.attention[row, :n_updates].cpu().numpy().copy()
    steps = np.array([form.rows(k) for k in range(n_updates)]).reshape(n_updates, form.n_slots)
    return memory, maps, np.where((steps >= 0) & (steps < n_steps), steps * factor, -1)
