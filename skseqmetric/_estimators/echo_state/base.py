"""The base class of the echo state estimators: reservoirs and their states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skseqmetric._base import (
    CallbackSupportMixin,
    exporting,
    kept_plain,
    revived_state,
    save,
    shown,
    unchanged_if_refused,
)
from skseqmetric._estimators.echo_state.exported import ExportedReservoirs
from skseqmetric._estimators.echo_state.reservoirs import ReservoirForm, draw_reservoir
from skseqmetric._estimators.echo_state.states import all_states, pooled_states
from skseqmetric._input import (
    MISSING,
    Sequences,
    as_array,
    lent_sequences,
    n_channels_read,
    real_numbers,
)
from skseqmetric._ops.weights import ReservoirWeights
from skseqmetric._tensors.flat import ReadSequences, scaled_sequences
from skseqmetric._tensors.inference import MAX_STEPS, run_steps
from skseqmetric._tensors.modes import answering
from skseqmetric._tensors.resolve import device_or_cpu, draw_seed, resolve_device
from skseqmetric._tensors.scaling import channel_scaling

MAX_STATES = 1 << 24
"""Largest number of state values that a batch keeps: 64 MB in float32."""

PER_RESERVOIR = ("spectral_radius", "leak", "input_scaling", "bias_scaling")
"""Parameters that may be one number for all reservoirs, or one number per reservoir."""


@kept_plain
class EchoStateEstimator(CallbackSupportMixin, BaseEstimator, ABC):
    """An estimator on the states of fixed random reservoirs, which read forwards and, optionally, backwards."""

    _parameter_constraints: dict[str, list[Any]] = {
        "scaling": [StrOptions({"channel"}), None],
        "device": [str],
        "n_units": [Interval(Integral, 1, None, closed="left")],
        "spectral_radius": [Interval(Real, 0, None, closed="left"), "array-like"],
        "leak": [Interval(Real, 0, 1, closed="right"), "array-like"],
        "density": [Interval(Real, 0, 1, closed="right")],
        "input_scaling": [Interval(Real, 0, None, closed="left"), "array-like"],
        "bias_scaling": [Interval(Real, 0, None, closed="left"), "array-like"],
        "input_density": [Interval(Real, 0, 1, closed="right")],
        "spectral_scaling": [StrOptions({"fast", "exact"})],
        "n_reservoirs": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "random_state": ["random_state", np.random.Generator],
        "missing": [StrOptions(set(MISSING))],
        "verbose": ["verbose"],
    }

    _stored: ClassVar[dict[str, str]] = {
        "mean_": "float64 M",
        "scale_": "float64 M",
        "reservoirs_": "records ReservoirWeights",
        "classes_": "labels *",
        "y_mean_": "float64 *",
        "y_scale_": "float64 *",
        "coef_": "float64 K F",
        "intercept_": "float64 K",
        "alpha_": "number",
        "_n_forward": "int",
        "_variance": "none|number",
        "_form": "record ReadoutForm",
        "_task": "record Classes,Numbers",
        "_class_factors": "float64 *",
        "_solver": "record RidgeSums,RecursiveLeastSquares",
    }

    reservoirs_: list[ReservoirWeights]
    _n_forward: int

    @abstractmethod
    def _check_combinations(self) -> None:
        """Refuse parameters that contradict each other."""

    # ------------------------------------------------------------------ reservoirs
    def fit_reservoir(self, X: Any) -> Self:
        """Learn the scaling of the channels and draw the reservoirs. This is enough for `hidden_states`.

        An earlier readout is deleted, because it belongs to other reservoirs.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.

        Returns
        -------
        self
        """
        self._check_parameters()
        with unchanged_if_refused(self):
            sequences = lent_sequences(X, estimator=self)
            self._start(sequences, np.ones(len(sequences)))
            for name in ("coef_", "intercept_", "alpha_", "_solver"):
                self.__dict__.pop(name, None)
        return self

    def _check_parameters(self) -> None:
        self._validate_params()
        resolve_device(self.device)
        self._forms()
        self._check_combinations()

    def _start(self, sequences: Sequences, weights: np.ndarray) -> None:
        """Learn the scaling of the data, and draw new reservoirs from the seed."""
        self.mean_, self.scale_ = np.zeros(sequences.n_channels), np.ones(sequences.n_channels)
        if self.scaling is not None:
            self.mean_, self.scale_ = channel_scaling(sequences, weights)
        seed, n_channels, device = draw_seed(self.random_state), sequences.n_channels, resolve_device(self.device)
        drawn = [draw_reservoir(n_channels, form, seed, stream) for stream, form in enumerate(self._forms())]
        self.reservoirs_ = [_moved(reservoir, device) for reservoir in drawn]
        self._n_forward = self.n_reservoirs

    def _forms(self) -> list[ReservoirForm]:
        """Return the parameters of the forward reservoirs, then those of the backward ones."""
        columns = {name: self._of_each(name) for name in PER_RESERVOIR}
        forms = [
            ReservoirForm(
                self.n_units,
                density=self.density,
                input_density=self.input_density,
                exact=self.spectral_scaling == "exact",
                **{name: column[k] for name, column in columns.items()},
            )
            for k in range(self.n_reservoirs)
        ]
        return forms * (1 + self.bidirectional)

    def _of_each(self, name: str) -> list[float]:
        """Return the value of a parameter for every reservoir, checked to be in its range."""
        value = real_numbers(as_array(getattr(self, name), name), name).astype(np.float64)
        if value.ndim and value.shape != (self.n_reservoirs,):
            raise ValueError(f"{name} has shape {value.shape}: pass one number, or one for each of n_reservoirs.")
        values = np.broadcast_to(value, self.n_reservoirs).tolist()
        allowed = self._parameter_constraints[name][0]
        wrong = [v for v in values if v not in allowed]
        if wrong:
            raise ValueError(f"{name} holds {wrong[0]:g}, which is not in the range {allowed}.")
        return values

    def _scaled(self, sequences: Sequences) -> ReadSequences:
        """Return float32 values (x - mean_) / scale_ for one pass over them."""
        return scaled_sequences(sequences, self.mean_, self.scale_, self._device)

    def _checked(self, X: Any) -> ReadSequences:
        """Check new sequences and return them scaled, to be read in batches."""
        check_is_fitted(self, "reservoirs_")
        return self._scaled(lent_sequences(X, estimator=self, reset=False))

    @property
    def _device(self) -> torch.device:
        return self.reservoirs_[0].input.device

    @property
    def n_states_(self) -> int:
        """Size F of a state: the units of all reservoirs in all directions."""
        check_is_fitted(self, "reservoirs_")
        return self.reservoirs_[0].n_units * len(self.reservoirs_)

    # ------------------------------------------------------------------ states
    @shown
    def hidden_states(self, X: Any) -> list[np.ndarray]:
        """Return the states after every step.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        states : list of n arrays (T_i, F), float32
            States of all reservoirs, concatenated, forward ones first. A backward reservoir has read the steps from the
            last one down to t when it is at step t.
        """
        flat = self._checked(X)
        return run_steps(flat, lambda values, lengths: (self._states(values, lengths), lengths), self._max_steps)

    @property
    def _max_steps(self) -> int:
        """Padded steps of a batch that keeps all its states."""
        return max(1, min(MAX_STEPS, MAX_STATES // self.n_states_))

    @answering
    def _states(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Return the states (B, T, F) at every step. States past the end of a sequence are arbitrary."""
        return all_states(values, lengths, self.reservoirs_, self._n_forward)

    @answering
    def _pooled(self, values: Tensor, lengths: Tensor, pooling: str) -> Tensor:
        """Return the pooled states of whole sequences: (B, F), or (B, 2 F) for "both"."""
        return pooled_states(values, lengths, self.reservoirs_, self._n_forward, pooling)

    # ------------------------------------------------------------------ export
    export = exporting.export

    @abstractmethod
    def _exportable(self) -> exporting.ExportedModel:
        """Return the fitted model for `export`."""

    def _exported_states(self, pooling: str | None) -> ExportedReservoirs:
        return ExportedReservoirs(self.reservoirs_, self._n_forward, pooling)

    # ------------------------------------------------------------------ scikit-learn
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "error"
        return tags

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(revived_state(self, state))
        if hasattr(self, "reservoirs_"):
            # saved on the CPU, so that a model from a host with a GPU can be loaded on a host without one
            self.reservoirs_ = [_moved(r, device_or_cpu(self.device)) for r in self.reservoirs_]

    save = save

    def _check_loaded(self) -> None:
        """Raise ValueError if the parts of a model that was loaded do not fit each other."""
        if "reservoirs_" not in vars(self):
            return
        shapes = {tuple(reservoir.input.shape) for reservoir in self.reservoirs_}
        if len(shapes) != 1 or shapes.pop()[1] != n_channels_read(self) + 1:
            raise ValueError(f"its reservoirs have unequal sizes, or do not read {n_channels_read(self)} channels.")
        if not 0 < self._n_forward <= len(self.reservoirs_):
            raise ValueError(f"{self._n_forward} of its {len(self.reservoirs_)} reservoirs read forwards.")
        n_states = self.n_states_
        if "coef_" in vars(self) and self.coef_.shape[1] not in (n_states, 2 * n_states):
            raise ValueError(f"its readout reads {self.coef_.shape[1]} states, and there are {n_states}.")


def _moved(reservoir: ReservoirWeights, device: torch.device) -> ReservoirWeights:
    return replace(reservoir, input=reservoir.input.to(device), recurrent=reservoir.recurrent.to(device))
