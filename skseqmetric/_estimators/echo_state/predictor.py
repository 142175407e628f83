"""What the echo state predictors share: a linear read-out of states, learned at once or piece by piece."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skseqmetric._base.template import MAX_STEPS
from skseqmetric._estimators.echo_state.base import EchoStateEstimator
from skseqmetric._input import Sequences
from skseqmetric._ops.ridge import Readout, RecursiveLeastSquares, RidgeSums
from skseqmetric._ops.steps import valid_steps
from skseqmetric._tensors.flat import batches_by_length


@dataclass(frozen=True)
class Lesson:
    """Sequences with what is to be said of each, or of each of their steps.

    targets : one row a sequence, or one a step, sequence after sequence; what they hold is the estimator's affair.
    """

    sequences: Sequences
    targets: np.ndarray
    weights: np.ndarray  # (n,)


class Taught(NamedTuple):
    """What the read-out was taught: those of the parameters that its answers depend on, as they were then."""

    target: str
    learning: str
    summary: str

    @property
    def every_step(self) -> bool:
        return self.target == "step" or self.learning == "continuous"


Rows = tuple[Tensor, Tensor, Tensor]
"""States (m, F), targets (m, K), weights (m,), float64 on the device that sums are kept on."""


class EchoStatePredictor(EchoStateEstimator):
    """Ridge regression on states: `_fit_readout` at once, `_update_readout` by recursive least squares."""

    _parameter_constraints: dict[str, list[Any]] = {
        **EchoStateEstimator._parameter_constraints,
        "target": [StrOptions({"sequence", "step"})],
        "learning": [StrOptions({"final", "continuous"})],
        "summary": [StrOptions({"last", "mean", "both"})],
        "alpha": [Interval(Real, 0, None, closed="neither"), "array-like", StrOptions({"auto"})],
    }

    coef_: np.ndarray
    intercept_: np.ndarray
    _taught: Taught
    _variance: float | None
    _solver: RidgeSums | RecursiveLeastSquares

    @abstractmethod
    def _encode(self, targets: np.ndarray) -> np.ndarray:
        """Rows of targets as numbers (m, K) float64; NaN rows say nothing."""

    def _factors(self, targets: np.ndarray) -> np.ndarray | float:
        """How much rows of targets count beside the weight of their sequence."""
        return 1.0

    @property
    @abstractmethod
    def _n_targets(self) -> int: ...

    # ------------------------------------------------------------------ fitting
    def _check_settings(self) -> None:
        super()._check_settings()
        self._alphas()
        if self.target == "step" or self.learning == "final":
            return
        if self.summary != "last" or self.bidirectional:
            raise ValueError(
                'learning="continuous" teaches the state after every step: it needs summary="last" and '
                "bidirectional=False."
            )

    def _alphas(self) -> np.ndarray | None:
        """The penalties to choose from; None where they are chosen too."""
        if isinstance(self.alpha, str):
            return None
        alphas = np.atleast_1d(np.asarray(self.alpha, dtype=np.float64))
        if alphas.ndim != 1 or not len(alphas) or not (np.isfinite(alphas) & (alphas > 0)).all():
            raise ValueError(f'alpha={self.alpha!r} must be a number > 0, some of them, or "auto".')
        return alphas

    def _fit_readout(self, lesson: Lesson) -> None:
        """New reservoirs, and the read-out of this lesson alone."""
        self._begin(lesson)
        device = self._float64_device
        sums = RidgeSums(self._n_features, self._n_targets, device)
        for rows in self._rows(lesson, device):
            sums.add(*rows)
        self._solver = sums
        self._keep(sums.solve(self._alphas()))

    def _begin(self, lesson: Lesson) -> None:
        self.__dict__.pop("_solver", None)
        self._start(lesson.sequences, lesson.weights)
        self._taught = self._wanted

    @property
    def _wanted(self) -> Taught:
        return Taught(self.target, self.learning, self.summary)

    def _check_wanted(self) -> None:
        """Refuse to teach an earlier read-out something else."""
        if not hasattr(self, "coef_"):
            return
        if not hasattr(self, "_solver"):
            raise ValueError('partial_fit cannot go on from readout="logistic": call fit.')
        if self._wanted != self._taught:
            raise ValueError(
                f"partial_fit goes on with {self._taught}, but the parameters are {self._wanted}: call fit."
            )

    def _update_readout(self, lesson: Lesson) -> None:
        """The read-out of all lessons since the reservoirs were drawn."""
        if not hasattr(self, "coef_"):
            self._fit_readout(lesson)
            return
        if isinstance(self._solver, RidgeSums):
            self._solver = RecursiveLeastSquares(self._solver, self.alpha_)
        for rows in self._rows(lesson, self._solver.device):
            self._solver.add(*rows)
        self._keep(self._solver.solve())

    def _keep(self, readout: Readout) -> None:
        self.coef_, self.intercept_ = readout.coef, readout.intercept
        self.alpha_, self._variance = readout.alpha, readout.variance

    @property
    def _float64_device(self) -> torch.device:
        # Apple's GPUs have no float64
        return torch.device("cpu") if self._device.type == "mps" else self._device

    @property
    def _n_features(self) -> int:
        return self.n_states_ * (2 if self._reads_both else 1)

    @property
    def _reads_both(self) -> bool:
        return self._taught.target == "sequence" and self._taught.summary == "both"

    def _rows(self, lesson: Lesson, device: torch.device) -> Iterator[Rows]:
        """States with targets, batch by batch; the order of the sequences does not matter."""
        flat = self._standardise(lesson.sequences)
        target, _, summary = self._taught
        most = self._max_steps if self._taught.every_step else MAX_STEPS
        for indices in batches_by_length(flat.host_lengths, most, flat.digests()):
            values, lengths = flat.padded(indices)
            rows = steps = indices
            if self._taught.every_step:
                states = self._states(values, lengths)[valid_steps(lengths, values.shape[1])]
                rows = np.repeat(indices, flat.host_lengths[indices])
                steps = _step_indices(lesson.sequences.offsets[indices], flat.host_lengths[indices])
            else:
                states = self._summaries(values, lengths, summary)
            targets = lesson.targets[rows if target == "sequence" else steps]
            encoded, weights = self._encode(targets), lesson.weights[rows] * self._factors(targets)
            given = torch.from_numpy(~np.isnan(encoded[:, 0]) & (weights > 0))
            yield (
                states[given.to(states.device)].to(device, torch.float64),
                torch.from_numpy(encoded)[given].to(device),
                torch.from_numpy(weights)[given].to(device),
            )

    # ------------------------------------------------------------------ inference
    def _outputs(self, X: Any) -> np.ndarray:
        """Read-out of whole sequences, (n, K) float64."""
        coef, intercept = self._readout()

        def run(values: Tensor, lengths: Tensor) -> Tensor:
            return self._summaries(values, lengths, self._taught.summary).to(coef) @ coef.T + intercept

        return self._run(X, run, self._n_targets, np.float64)

    def predict_steps(self, X: Any) -> list[np.ndarray]:
        """What the read-out says at every step: a list of n arrays (T_i, K) float32.

        The last row of a sequence is what it says of the whole one, the rows before what it would say had the
        sequence ended there. With `bidirectional` and `target="sequence"` the backward reservoirs have read all of it
        at each step.
        """
        check_is_fitted(self)
        coef, intercept = self._readout()

        def run(values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            states = self._states(values, lengths)
            if self._taught.target == "sequence":
                states = self._summaries_so_far(states, lengths)
            return (states.to(coef) @ coef.T + intercept).float(), lengths

        return self._run_steps(X, run, self._max_steps)

    def _readout(self) -> tuple[Tensor, Tensor]:
        device = self._float64_device
        return torch.from_numpy(self.coef_).to(device), torch.from_numpy(self.intercept_).to(device)

    def _summaries_so_far(self, states: Tensor, lengths: Tensor) -> Tensor:
        """From states (B, T, F), the summary of the steps up to each; of backward states that of all steps."""
        summary, n_forward = self._taught.summary, self.reservoirs_[0].n_units * self._n_forward
        forward, backward = states[..., :n_forward], states[..., n_forward:]
        parts = []
        if summary != "mean":
            # a backward reservoir ends at the first step
            parts.append(torch.cat([forward, backward[:, :1].expand_as(backward)], 2))
        if summary != "last":
            counts = torch.arange(1, states.shape[1] + 1, device=states.device)[:, None]
            inside = valid_steps(lengths, states.shape[1])[..., None]
            means = (backward * inside).sum(1, keepdim=True) / lengths[:, None, None]
            parts.append(torch.cat([forward.cumsum(1) / counts, means.expand_as(backward)], 2))
        return torch.cat(parts, 2)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coef_")


def _step_indices(offsets: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Indices of the steps of sequences that begin at offsets and have so many steps."""
    starts = np.cumsum(lengths) - lengths
    return np.repeat(offsets - starts, lengths) + np.arange(lengths.sum())
