"""What both recurrent estimators share: network times task, the head, and looks into the states."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base import NetworkEstimator, Objective, Stage, streaming
from skseqmetric._networks.pooling import POOLINGS
from skseqmetric._networks.recurrent import RecurrentNetwork
from skseqmetric._tasks import Task
from skseqmetric._tensors.inference import run_steps
from skseqmetric._training.batches import Plan, shuffled_batches
from skseqmetric._training.data import TrainingSet
from skseqmetric._training.objectives import TaskObjective


class RecurrentEstimator(NetworkEstimator):
    """A task of whole sequences or of every step, learned by a `RecurrentNetwork`."""

    _parameter_constraints: dict[str, list[Any]] = {
        **NetworkEstimator._parameter_constraints,
        "n_units": [Interval(Integral, 1, None, closed="left")],
        "cell": [StrOptions({"lstm", "gru"})],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "target": [StrOptions({"sequence", "step"})],
        "pooling": [StrOptions(set(POOLINGS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    _network = RecurrentNetwork
    module_: RecurrentNetwork

    def _check_combinations(self, training: TrainingSet, task: Task, *, continued: bool) -> None:
        """Nothing contradicts."""

    def _network_config(self, training: TrainingSet, task: Task) -> dict[str, Any]:
        return {
            "n_channels": training.sequences.values.shape[1],
            "n_units": self.n_units,
            "n_targets": task.n_outputs,
            "cell": self.cell,
            "n_layers": self.n_layers,
            "bidirectional": self.bidirectional,
            "target": self.target,
            "pooling": self.pooling,
            "dropout": self.dropout,
        }

    def _make_objective(self, training: TrainingSet, task: Task, generator: torch.Generator, stage: Stage) -> Objective:
        return Objective(TaskObjective(self.module_, task, generator))

    def _plan_batches(self, training: TrainingSet, size: int, n_batches: int, rng: np.random.Generator) -> Plan:
        return partial(shuffled_batches, training.sequences.lengths, size, n_batches, rng)

    # ------------------------------------------------------------------ the head
    @property
    def _units_of_y(self) -> tuple[Any, Any]:
        """(scale, shift) from the network's outputs to the units of y."""
        return getattr(self, "y_scale_", 1.0), getattr(self, "y_mean_", 0.0)

    @property
    def coef_(self) -> np.ndarray:
        """Weights (K, F) of the linear head in the caller's units, for states of F = D H numbers (D directions)."""
        check_is_fitted(self)
        scale, _ = self._units_of_y
        return self._head("weight") * np.reshape(scale, (-1, 1))

    @property
    def intercept_(self) -> np.ndarray:
        """Biases (K,) of the linear head in the caller's units."""
        check_is_fitted(self)
        scale, shift = self._units_of_y
        return self._head("bias") * scale + shift

    def _head(self, name: str) -> np.ndarray:
        return self.module_.head.get_parameter(name).detach().cpu().numpy().astype(np.float64)

    # ------------------------------------------------------------------ answers after every step
    @property
    def _reads_backwards(self) -> bool:
        return self.module_.layers.bidirectional

    predict_step = streaming.predict_step
    predict_stream = streaming.predict_stream
    _advance = streaming.advance_network

    def predict_prefixes(self, X: Any) -> list[np.ndarray]:
        """The network's outputs after every prefix of a sequence.

        With `target="sequence"` the last row is the output for the whole sequence. The rows before are the outputs, had
        the sequence ended there; the backward states of a bidirectional network have read all of it at each step. With
        `target="step"` the rows are the outputs at every step.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)

        Returns
        -------
        answers : list of n arrays (T_i, K), float32
            Outputs of a regressor, in the units of y; scores (logits) of a classifier, columns as in `classes_`.
        """
        flat = self._checked(X)
        outputs = run_steps(flat, lambda values, lengths: (self.module_.prefixes(values, lengths), lengths))
        return [block.astype(np.float32) for block in self._task.in_units_of_y(outputs)]

    # ------------------------------------------------------------------ states
    def hidden_states(self, X: Any, *, kind: str = "hidden", layer: int = -1) -> list[np.ndarray]:
        """The state after every step.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        kind : {"hidden", "cell"}, default="hidden"
            The state h_t that the head and the next layer read, or the cell state c_t of an LSTM.
        layer : int, default=-1
            Of which layer.

        Returns
        -------
        states : list of n arrays (T_i, D H), float32
            Of a bidirectional network (D = 2) both directions side by side, each at its own place in time: the backward
            state of step t has read the steps from the last one down to t.

        Raises
        ------
        ValueError
            For a kind or layer that the network does not have.
        """
        flat = self._checked(X)
        if kind not in ("hidden", "cell") or (kind == "cell" and self.module_.cell != "lstm"):
            kinds = "'hidden' and 'cell'" if self.module_.cell == "lstm" else "'hidden' alone"
            raise ValueError(f"kind={kind!r}: cell={self.module_.cell!r} has states of kind {kinds}.")
        n_layers = len(self.module_.layers)
        if not -n_layers <= layer < n_layers:
            raise ValueError(f"layer={layer} is out of range: this network has n_layers={n_layers}.")

        run = partial(self.module_.states, kind=kind, layer=layer)
        return run_steps(flat, lambda values, lengths: (run(values, lengths), lengths))
