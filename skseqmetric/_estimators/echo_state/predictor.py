"""The base class of the echo state predictors: a linear readout of states, learned at once or in parts."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skseqmetric._base import exporting, shown, streaming
from skseqmetric._estimators.echo_state.base import EchoStateEstimator
from skseqmetric._estimators.echo_state.exported import ExportedReadout
from skseqmetric._files import record
from skseqmetric._input import as_array, check_weights, lent_sequences, real_numbers
from skseqmetric._networks.pooling import POOLINGS, pooled
from skseqmetric._ops.progress import tracked
from skseqmetric._ops.reservoir import reservoir_step
from skseqmetric._ops.ridge import Readout, RecursiveLeastSquares, RidgeSums
from skseqmetric._ops.steps import valid_steps
from skseqmetric._tasks import Blocks, Task
from skseqmetric._tensors.flat import ReadSequences, batches_by_length, tensor_of
from skseqmetric._tensors.inference import MAX_STEPS, run_sequences, run_steps
from skseqmetric._tensors.steps import StepTargets
from skseqmetric._training.data import TrainingSet


@record(target="str", learning="str", pooling="str")
class ReadoutForm(NamedTuple):
    """The parameters at training time that predictions of a readout depend on."""

    target: str
    learning: str
    pooling: str

    @property
    def every_step(self) -> bool:
        """Whether the readout learns from the state after every step, instead of pooled states."""
        return self.target == "step" or self.learning == "continuous"


Rows = tuple[Tensor, Tensor, Tensor]
"""States (m, F), targets (m, K) and weights (m,) in float64, on the device of the sums."""


class EchoStatePredictor(EchoStateEstimator):
    """Ridge regression on states: `_fit_readout` solves at once, `_update_readout` by recursive least squares."""

    _parameter_constraints: dict[str, list[Any]] = {
        **EchoStateEstimator._parameter_constraints,
        "target": [StrOptions({"sequence", "step"})],
        "learning": [StrOptions({"final", "continuous"})],
        "pooling": [StrOptions(set(POOLINGS))],
        "alpha": [Interval(Real, 0, None, closed="neither"), "array-like", StrOptions({"auto"})],
    }

    coef_: np.ndarray
    intercept_: np.ndarray
    _task: Any
    _form: ReadoutForm
    _variance: float | None
    _solver: RidgeSums | RecursiveLeastSquares

    @abstractmethod
    def _make_task(self) -> Task:
        """Return the task that the parameters ask for."""

    @abstractmethod
    def _encode(self, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        """Return m targets as float64 numbers (m, K), NaN for missing ones, and factors of their weights."""

    # ------------------------------------------------------------------ fitting
    def _check_readout(self) -> None:
        self._alphas()
        if self.target == "step" or self.learning == "final":
            return
        if self.pooling != "last" or self.bidirectional:
            raise ValueError(
                'learning="continuous" learns from the state after every step: it needs pooling="last" and '
                "bidirectional=False."
            )

    def _checked_data(self, X: Any, y: Any, sample_weight: Any, task: Task, *, reset: bool) -> tuple[Task, TrainingSet]:
        """Check all arguments of a fit once. Return the task that has seen y, and the data."""
        sequences = lent_sequences(X, estimator=self, reset=reset)
        task, targets = task.check(y, sequences)
        return task, TrainingSet(sequences, targets, check_weights(sample_weight, len(sequences)))

    def _know(self, task: Task) -> None:
        self._task = task
        self.__dict__.update(task.attributes)

    def _alphas(self) -> np.ndarray | None:
        """Return the penalties to choose from, or None for "auto"."""
        if isinstance(self.alpha, str):
            return None
        alphas = np.atleast_1d(real_numbers(as_array(self.alpha, "alpha"), "alpha").astype(np.float64))
        if alphas.ndim != 1 or not len(alphas) or not (np.isfinite(alphas) & (alphas > 0)).all():
            raise ValueError(f'alpha={self.alpha!r} must be a number > 0, a list of such numbers, or "auto".')
        return alphas

    def _fit_readout(self, pieces: Iterable[TrainingSet]) -> None:
        """Draw new reservoirs for the first piece, and learn the readout from these pieces alone."""
        sums: Any = None
        for training in pieces:
            if sums is None:
                self._begin(training)
                sums = RidgeSums(self._n_features, self._task.n_outputs, self._float64_device)
            for rows in self._rows(training, sums.device):
                sums.add(*rows)
        self._solver = sums
        self._keep(sums.solve(self._alphas()))

    def _begin(self, training: TrainingSet) -> None:
        self.__dict__.pop("_solver", None)
        self._start(training.sequences, training.weights)
        self._form = self._wanted_form

    @property
    def _wanted_form(self) -> ReadoutForm:
        return ReadoutForm(self.target, self.learning, self.pooling)

    def _check_continues(self) -> None:
        """Refuse to continue with a readout of another form."""
        if not hasattr(self, "coef_"):
            return
        if not hasattr(self, "_solver"):
            raise ValueError('partial_fit cannot continue from readout="logistic": call fit.')
        if self._wanted_form != self._form:
            raise ValueError(
                f"partial_fit continues with {self._form}, but the parameters are {self._wanted_form}: call fit."
            )

    def _update_readout(self, pieces: Iterable[TrainingSet]) -> None:
        """Learn the readout from all data since the reservoirs were drawn."""
        # a copy, because the sums grow in place and an error must leave the old ones
        earlier = copy.deepcopy(self._solver)
        solver = RecursiveLeastSquares(earlier, self.alpha_) if isinstance(earlier, RidgeSums) else earlier
        for training in pieces:
            for rows in self._rows(training, solver.device):
                solver.add(*rows)
        self._solver = solver
        self._keep(solver.solve())

    def _keep(self, readout: Readout) -> None:
        self.coef_, self.intercept_ = readout.coef, readout.intercept
        self.alpha_, self._variance = readout.alpha, readout.variance

    @property
    def _float64_device(self) -> torch.device:
        # Apple's GPUs have no float64
        return torch.device("cpu") if self._device.type == "mps" else self._device

    @property
    def _n_features(self) -> int:
        both = self._form.target == "sequence" and self._form.pooling == "both"
        return self.n_states_ * (2 if both else 1)

    def _rows(self, training: TrainingSet, device: torch.device) -> Iterator[Rows]:
        """Yield states with targets, batch by batch. The batches do not depend on the order of the sequences."""
        flat = self._scaled(training.sequences)
        most = self._max_steps if self._form.every_step else MAX_STEPS
        batches = list(batches_by_length(flat.host_lengths, most, flat.digests))
        for indices in tracked(batches, "states", len(batches), "batch"):
            states, targets, weights = self._states_of(training, flat, indices)
            numbers, factors = self._encode(targets)
            weights = weights * factors
            given = torch.from_numpy(~np.isnan(numbers[:, 0]) & (weights > 0))
            yield (
                states[given.to(states.device)].to(device, torch.float64),
                torch.from_numpy(numbers)[given].to(device),
                torch.from_numpy(weights)[given].to(device),
            )

    def _states_of(
        self, training: TrainingSet, flat: ReadSequences, indices: np.ndarray
    ) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """Return states (m, F) of the sequences at `indices`, with their targets and weights."""
        values, lengths = flat.padded(indices)
        targets: Any = training.targets
        if not self._form.every_step:
            return self._pooled(values, lengths, self._form.pooling), targets[indices], training.weights[indices]
        n_steps = flat.host_lengths[indices]
        rows = np.repeat(indices, n_steps)
        if isinstance(targets, StepTargets):
            targets = targets.values[_step_indices(training.sequences.offsets[indices], n_steps)]
        else:
            targets = targets[rows]
        states = self._states(values, lengths)[valid_steps(lengths, values.shape[1])]
        return states, targets, training.weights[rows]

    # ------------------------------------------------------------------ inference
    @shown
    def _outputs(self, X: Any) -> Blocks:
        """Return the outputs of whole sequences, (n, K) float64, or of every step, n arrays (T_i, K)."""
        check_is_fitted(self)
        if self._form.target == "step":
            return self.predict_prefixes(X)
        flat, (coef, intercept) = self._checked(X), self._readout()

        def run(values: Tensor, lengths: Tensor) -> Tensor:
            return self._pooled(values, lengths, self._form.pooling).to(coef) @ coef.T + intercept

        return run_sequences(flat, run, self._task.n_outputs, np.float64)

    @shown
    def predict_prefixes(self, X: Any) -> list[np.ndarray]:
        """Return the outputs of the readout for every prefix of a sequence.

        Row t is the output for the first t steps, and the last row that for the whole sequence. With `bidirectional`
        and `target="sequence"` the backward reservoirs always read the whole sequence.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        outputs : list of n arrays (T_i, K), float32
        """
        check_is_fitted(self)
        flat, (coef, intercept) = self._checked(X), self._readout()

        def run(values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            every = states = self._states(values, lengths)
            if self._form.target == "sequence":
                states = pooled(self._form.pooling, lambda how: self._pooled_so_far(every, lengths, how))
            return (states.to(coef) @ coef.T + intercept).float(), lengths

        return run_steps(flat, run, self._max_steps)

    def _readout(self) -> tuple[Tensor, Tensor]:
        device = self._float64_device
        return tensor_of(self.coef_).to(device), tensor_of(self.intercept_).to(device)

    def _pooled_so_far(self, states: Tensor, lengths: Tensor, how: str) -> Tensor:
        """Return the pooled states of all prefixes, (B, T, F). Backward states are pooled over all steps."""
        n_forward = self.reservoirs_[0].n_units * self._n_forward
        forward, backward = states[..., :n_forward], states[..., n_forward:]
        if how == "last":
            # a backward reservoir ends at the first step
            return torch.cat([forward, backward[:, :1].expand_as(backward)], 2)
        counts = torch.arange(1, states.shape[1] + 1, dtype=torch.int64, device=states.device)[:, None]
        inside = valid_steps(lengths, states.shape[1])[..., None]
        means = (backward * inside).sum(1, keepdim=True) / lengths[:, None, None]
        return torch.cat([forward.cumsum(1) / counts, means.expand_as(backward)], 2)

    # ------------------------------------------------------------------ export
    def _exported_task(self, sharpness: float = 1.0) -> exporting.ExportedModel:
        """Return the fitted model. `sharpness` is the factor from class scores to logits."""
        pooling = None if self._form.target == "step" else self._form.pooling
        run = ExportedReadout(self._exported_states(pooling), *self._readout())
        return exporting.of_task(self, run, self._task, sharpness)

    # ------------------------------------------------------------------ one incoming step at a time
    @property
    def _reads_backwards(self) -> bool:
        return len(self.reservoirs_) > self._n_forward

    predict_step = streaming.predict_step
    predict_stream = streaming.predict_stream

    def _advance(self, x: np.ndarray, state: list[Tensor] | None) -> tuple[np.ndarray, list[Tensor]]:
        row = torch.from_numpy(x).to(self._device)[None]
        before = [row.new_zeros(1, r.n_units) for r in self.reservoirs_] if state is None else state
        states = reservoir_step(row, before, self.reservoirs_)
        coef, intercept = self._readout()
        return (torch.cat(states, 1)[0].to(coef) @ coef.T + intercept).cpu().numpy(), states

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coef_")


def _step_indices(offsets: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the indices of all steps of sequences that begin at `offsets` and have `n_steps` steps."""
    starts = np.cumsum(lengths) - lengths
    return np.repeat(offsets - starts, lengths) + np.arange(lengths.sum())
