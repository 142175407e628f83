"""The estimator template: scikit-learn's contract, input, scaling, device and persistence, written once."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skseqmetric._input import Sequences, check_sequences
from skseqmetric._ops.parallel import run_tiles
from skseqmetric._tensors.flat import FlatSequences, batches_by_length
from skseqmetric._training.callbacks import CallbackSupportMixin, EpochReporter
from skseqmetric._training.loop import Batches, TrainingOptions, train


class BaseSequenceEstimator(BaseEstimator):
    """Anything that takes sequences: (n, T, C) arrays, ragged lists or 2-D tables of univariate series."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        return tags


def resolve_device(device: str) -> torch.device:
    """Device of a name: "auto" is CUDA where there is one, else the CPU; any other is taken at its word."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f'device={device!r} is not a device: use "auto", "cpu", "cuda", "cuda:1" or "mps".') from error
    backend = {"cuda": torch.cuda, "mps": torch.backends.mps}.get(resolved.type)
    if backend is not None and not backend.is_available():
        raise ValueError(f'device={device!r} was asked for, but torch sees none here: use device="auto" or "cpu".')
    return resolved


MAX_STEPS = 32768
"""Padded steps of one inference batch: large enough for full kernels, small enough to stay in cache and memory."""


class ScaledSequenceEstimator(BaseSequenceEstimator):
    """An estimator that standardises channels and computes on a device, batch by batch.

    A subclass has the parameters `scaling` and `device`, calls `_learn_scaling` in its fit, and says which device its
    fitted parts are on (`_device`).
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "scaling": [StrOptions({"channel"}), None],
        "device": [str],
    }

    @property
    def _device(self) -> torch.device:
        raise NotImplementedError

    def _learn_scaling(self, sequences: Sequences, weights: np.ndarray) -> None:
        """Mean and standard deviation of every channel over all steps, weighted by sequence, in float64."""
        n_channels = sequences.n_channels
        self.mean_, self.scale_ = np.zeros(n_channels), np.ones(n_channels)
        if self.scaling is None:
            return
        share = np.repeat(weights / (weights @ sequences.lengths), sequences.lengths)
        self.mean_ = share @ sequences.values
        deviation = np.sqrt(share @ np.square(sequences.values - self.mean_))
        # a constant channel keeps its (zero) deviation from the mean instead of dividing rounding noise by itself
        floor = 10 * np.finfo(sequences.values.dtype).eps * np.abs(self.mean_)
        self.scale_ = np.where(deviation > floor, deviation, 1.0)

    def _standardise(self, sequences: Sequences) -> FlatSequences:
        """Flat float32 values on the device, (x - mean_) / scale_."""
        return FlatSequences.from_sequences(sequences, self.mean_, self.scale_, self._device)

    def _run(
        self,
        X: Any,
        run: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        width: int,
        dtype: type[np.floating[Any]] = np.float32,
    ) -> np.ndarray:
        """run(values, lengths) -> (B, width) of all sequences, (n, width) in their order."""
        flat = self._standardise(check_sequences(X, estimator=self, reset=False))
        out = np.empty((len(flat), width), dtype=dtype)

        def each(values: torch.Tensor, lengths: torch.Tensor, indices: np.ndarray) -> None:
            out[indices] = run(values, lengths).cpu().numpy()

        self._over_batches(flat, flat.digests(), each)
        return out

    def _run_steps(
        self,
        X: Any,
        run: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
        max_steps: int = MAX_STEPS,
    ) -> list[np.ndarray]:
        """run(values, lengths) -> (B, T', width) and the steps (B,) of all sequences: n arrays (T_i', width)."""
        flat = self._standardise(check_sequences(X, estimator=self, reset=False))
        out: list[Any] = [None] * len(flat)

        def each(values: torch.Tensor, lengths: torch.Tensor, indices: np.ndarray) -> None:
            found, steps = run(values, lengths)
            for i, rows, n_steps in zip(indices, found.cpu().numpy(), steps.tolist(), strict=True):
                out[i] = rows[:n_steps].copy()

        self._over_batches(flat, flat.digests(), each, max_steps)
        return out

    def _over_batches(
        self,
        flat: FlatSequences,
        digests: np.ndarray,
        run: Callable[[torch.Tensor, torch.Tensor, np.ndarray], None],
        max_steps: int = MAX_STEPS,
    ) -> None:
        """run(values, lengths, indices) on every batch of sequences of similar lengths, batches side by side."""

        @torch.inference_mode()
        def each(indices: np.ndarray) -> None:
            run(*flat.padded(indices), indices)

        run_tiles(each, batches_by_length(flat.host_lengths, max_steps, digests), self._n_threads)

    @property
    def _n_threads(self) -> int | None:
        """Tiles in parallel on the CPU; one after the other on a device that is parallel in itself."""
        return None if self._device.type == "cpu" else 1


class TrainedSequenceEstimator(CallbackSupportMixin, ScaledSequenceEstimator):
    """An estimator whose parameters are learned by gradient descent (`module_` holds the network).

    A subclass lists the training parameters below in its own `__init__` and calls `_standardise`, then `_train`.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **ScaledSequenceEstimator._parameter_constraints,
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "min_batches": [Interval(Integral, 1, None, closed="left")],
        "max_updates": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "precision": [StrOptions({"float32", "bfloat16"})],
        "random_state": ["random_state", np.random.Generator],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "callbacks": [list, tuple, None],
    }

    def _budget(self, n_items: int, batch_size: int) -> tuple[int, int]:
        """(epochs, batches per epoch) of a full fit on n_items."""
        n_batches = max(self.min_batches, -(-n_items // batch_size))
        if self.max_updates is None:
            return self.max_epochs, n_batches
        return min(self.max_epochs, -(-self.max_updates // n_batches)), n_batches

    @property
    def _device(self) -> torch.device:
        return next(self.module_.parameters()).device

    def _train(
        self,
        objective: nn.Module,
        batches: Batches,
        validation: Batches | None,
        epochs: int,
        n_updates: int | None,
        data: tuple[Any, Any],
        optimizer_state: dict[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        """Run the loop, record `history_` and `n_iter_`, return the optimizer's state."""
        reporter = EpochReporter(self, *data, epochs, self._fitted_copy)
        options = self._training_options(epochs, n_updates, validation is not None, reporter)
        result = train(objective, batches, validation, options, optimizer_state)
        self.history_ += [{**row, "epoch": self.n_iter_ + row["epoch"]} for row in result.history]
        self.n_iter_ += len(result.history)
        if result.failure is not None:
            raise FloatingPointError(f"{type(self).__name__}: {result.failure}")
        if result.interrupted:
            warnings.warn(
                f"{type(self).__name__}: training was interrupted in epoch {len(result.history) + 1} of {epochs}; the "
                "weights learned so far are kept and the estimator can be used.",
                ConvergenceWarning,
                stacklevel=6,
            )
        reporter.end()
        return result.optimizer_state

    def _training_options(
        self, epochs: int, n_updates: int | None, early_stopping: bool, reporter: EpochReporter
    ) -> TrainingOptions:
        return TrainingOptions(
            max_epochs=epochs,
            n_updates=n_updates,
            early_stopping=early_stopping,
            device=self._device,
            callbacks=tuple(self.callbacks or ()),
            on_epoch_begin=reporter.begin_epoch,
            on_epoch_end=reporter.end_epoch,
            **{
                name: getattr(self, name)
                for name in (
                    "learning_rate",
                    "weight_decay",
                    "n_iter_no_change",
                    "tol",
                    "precision",
                    "verbose",
                )
            },
        )

    def _fitted_copy(self) -> dict[str, Any]:
        """The fitted attributes as they are now, for callbacks that look at an estimator in training."""
        fitted = {name: value for name, value in vars(self).items() if name.endswith("_") and name[0] != "_"}
        return {**fitted, "module_": copy.deepcopy(self.module_).eval()}

    def __sklearn_is_fitted__(self) -> bool:
        # not by any attribute: a fit that was refused may have set those of the input
        return hasattr(self, "module_")

    def __getstate__(self) -> dict[str, Any]:
        # saved on the CPU, so that a model from a GPU host opens on a host without one
        state = dict(super().__getstate__())
        return {name: _on_cpu(value) for name, value in state.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "module_"):
            self.module_.to(device_or_cpu(self.device))


@contextmanager
def unchanged_if_refused(estimator: Any) -> Iterator[None]:
    """Put the attributes back that what is inside has set, if it ends with an error or is interrupted."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _on_cpu(value: Any) -> Any:
    if isinstance(value, nn.Module) and any(p.device.type != "cpu" for p in value.parameters()):
        return copy.deepcopy(value).cpu()
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {k: _on_cpu(v) for k, v in value.items()}
    return value


def device_or_cpu(device: str) -> torch.device:
    try:
        return resolve_device(device)
    except ValueError as error:
        warnings.warn(f"{error} The loaded model runs on the CPU.", stacklevel=3)
        return torch.device("cpu")
