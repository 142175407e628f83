"""What the three estimators with non-local recurrent memory share: the memory's shape, and a look into it."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base.supervised import SupervisedSequenceEstimator, Training
from skseqmetric._input import check_sequences
from skseqmetric._networks.memory import MemoryNetwork
from skseqmetric._ops.memory import MemoryForm, MemoryScan

FOREVER = 2**31
"""A window that no sequence outlasts: the memory is never written, and what runs is the plain backbone."""


class MemoryEstimator(SupervisedSequenceEstimator):
    """Supervised estimators over a `MemoryNetwork`."""

    _parameter_constraints: dict[str, list[Any]] = {
        **SupervisedSequenceEstimator._parameter_constraints,
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
        "stem_channels": [Interval(Integral, 1, None, closed="left"), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    module_: MemoryNetwork

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.attention and self.n_units % self.n_heads:
            raise ValueError(f"n_units={self.n_units} is not divisible by n_heads={self.n_heads}.")
        if isinstance(self.window, str) or self.window is None:
            return
        if self.stride == "auto" and self.window % self.n_slots:
            raise ValueError(f"window={self.window} is not a multiple of n_slots={self.n_slots}.")
        if self.stride != "auto" and self.window != self.n_slots * self.stride:
            raise ValueError(
                f"window={self.window} is not n_slots * stride = {self.n_slots} * {self.stride}: leave one to 'auto'."
            )

    def _check_data(self, training: Training, classes: np.ndarray | None, *, continued: bool) -> None:
        super()._check_data(training, classes, continued=continued)
        if not continued:
            self._form(self._recurrent_steps(int(training.sequences.lengths.max())))

    def _recurrent_steps(self, length: int) -> int:
        for stride in self._strides(length) if self.stem_channels else ():
            length = (length - 1) // stride + 1
        return length

    def _network(
        self,
        n_channels: int,
        longest: int,
        generator: torch.Generator,
        *,
        head: str,
        n_outputs: int,
        readout: str = "last",
        with_instance: bool = False,
    ) -> MemoryNetwork:
        return MemoryNetwork(
            n_channels,
            self.n_units,
            form=self._form(self._recurrent_steps(longest)),
            n_layers=self.n_layers,
            head=head,
            n_outputs=n_outputs,
            readout=readout,
            with_instance=with_instance,
            stem_channels=self.stem_channels,
            strides=self._strides(longest),
            dropout=self.dropout,
            zoneout=self.zoneout,
            memory_dropout=self.memory_dropout,
            generator=generator,
        )

    def _strides(self, longest: int) -> tuple[int, int]:
        """Strides of the stem's convolutions."""
        return 1, 1

    def _form(self, n_steps: int) -> MemoryForm:
        """Slots and stride for sequences of at most so many recurrent steps."""
        slots, stride = self.n_slots, self.stride
        if self.window is None:
            slots, stride = 1, FOREVER
        elif self.window != "auto":
            stride = self.window // slots
        elif stride == "auto":
            wanted = max(2, round(n_steps / 4))
            slots = min(slots, wanted)
            stride = max(1, round(wanted / slots))
        if self.window is not None and (self.window, self.stride) != ("auto", "auto") and slots * stride > n_steps:
            raise ValueError(
                f"The memory is written every n_slots * stride = {slots} * {stride} = {slots * stride} recurrent "
                f"steps, but the longest training sequence has {n_steps}: it would never be read. Use a shorter "
                "window, or window='auto' with stride='auto'."
            )
        return MemoryForm(self.cell, slots, stride, self.n_heads, self.attention, self.memory_input)

    @property
    def window_(self) -> int | None:
        """Recurrent steps between two updates of the memory; None without memory."""
        check_is_fitted(self)
        window = self.module_.memory_layers()[0].form.window
        return None if window >= FOREVER else int(window)

    def hidden_states(self, X: Any, *, layer: int = -1) -> list[np.ndarray]:
        """The states h_t of a layer after every recurrent step.

        Parameters
        ----------
        X : list of n (T_i, C) arrays, array (n, T, C), or array (n, T)
        layer : int, default=-1
            Of which layer; -1 is the one that is read.

        Returns
        -------
        states : list of n arrays (T_i', H), float32
            Recurrent steps T_i' are steps of the sequence, or fewer where the stem has strides.

        Raises
        ------
        ValueError
            For input outside the contract (see `check_sequences`), or a layer that there is not.
        """
        check_is_fitted(self)
        self._check_layer(layer)

        def run(values: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            features, steps = self.module_.encode(values, lengths)
            return self.module_.scans(features, steps)[layer].states, steps

        return self._run_steps(X, run)

    def _check_layer(self, layer: int) -> None:
        n_layers = len(self.module_.memory_layers())
        if not -n_layers <= layer < n_layers:
            raise ValueError(f"layer={layer} is none of the {n_layers} of this network: 0 is the first, -1 the last.")

    def memory_states(self, X: Any, *, layer: int = -1) -> Bunch:
        """The memory after every update, and what attended to what.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        layer : int, default=-1
            Of which layer.

        Returns
        -------
        states : Bunch
            memory : list of n arrays (U_i, S, H), the S slots after each of the U_i updates; the last update, which
            closes the sequence, is in it although no step follows it.
            attention : list of n arrays (U_i, m, S + E, S + E), rows summing to 1 over the tokens attended to: first
            the S hidden states of the block, then its E input tokens (1 for "pooled", S for "tokens"); missing tokens
            of an unfinished block are 0. None with `attention=False`.
            steps : list of n arrays (U_i, S) of int, the input step at which each hidden state of a block was taken
            (the first of those that a step of the recurrence stands for, with strides in the stem); -1 where missing.
        """
        check_is_fitted(self)
        if self.window_ is None:
            raise ValueError("This estimator was fitted with window=None: it has no memory.")
        self._check_layer(layer)
        flat = self._standardise(check_sequences(X, estimator=self, reset=False))
        found: list[Any] = [None] * len(flat)
        factor = self._steps_each()

        def look(values: torch.Tensor, lengths: torch.Tensor, indices: np.ndarray) -> None:
            features, steps = self.module_.encode(values, lengths)
            scan = self.module_.scans(features, steps, keep=True)[layer]
            for row, (i, n_steps) in enumerate(zip(indices, steps.tolist(), strict=True)):
                found[i] = _of_sequence(scan, row, n_steps, self.module_.memory_layers()[layer].form, factor)

        self._over_batches(flat, flat.digests(), look)
        memory, attention, steps = (list(part) for part in zip(*found, strict=True))
        return Bunch(memory=memory, attention=attention if self.attention else None, steps=steps)

    def _steps_each(self) -> int:
        """Input steps that one recurrent step stands for."""
        stem = self.module_.stem
        return 1 if stem is None else int(np.prod(stem.strides))


def _of_sequence(
    scan: MemoryScan, row: int, n_steps: int, form: MemoryForm, factor: int
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    n_updates = form.n_updates(n_steps)
    memory = scan.memory[row, :n_updates].cpu().numpy().copy()  # type: ignore[index]
    maps = None if scan.attention is None else scan.attention[row, :n_updates].cpu().numpy().copy()
    steps = np.arange(n_updates * form.n_slots).reshape(n_updates, form.n_slots) * form.stride
    return memory, maps, np.where(steps < n_steps, steps * factor, -1)
