"""The base class of both recurrent estimators: the network, its head and its states."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base import NetworkEstimator, Objective, Stage, exporting, save, shown, streaming
from skseqmetric._networks.pooling import POOLINGS
from skseqmetric._networks.recurrent import RecurrentNetwork
from skseqmetric._tasks import Task
from skseqmetric._tensors.inference import run_steps
from skseqmetric._tensors.modules import frozen_copy
from skseqmetric._training.batches import Plan, shuffled_batches
from skseqmetric._training.data import TrainingSet
from skseqmetric._training.objectives import TaskObjective


class RecurrentEstimator(NetworkEstimator):
    """An estimator that learns a task for sequences or for steps with a `RecurrentNetwork`."""

    _parameter_constraints: dict[str, list[Any]] = {
        **NetworkEstimator._parameter_constraints,
        **NetworkEstimator._token_constraints,
        "n_units": [Interval(Integral, 1, None, closed="left")],
        "cell": [StrOptions({"lstm", "gru", "rnn"})],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "target": [StrOptions({"sequence", "step"})],
        "pooling": [StrOptions(set(POOLINGS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    _network = RecurrentNetwork
    save = save
    module_: RecurrentNetwork

    def _check_combinations(self, training: TrainingSet, task: Task, *, continued: bool) -> None:
        if not self._reads_everything:
            self._refuse_views("target='step' and bidirectional=False")

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
            "views": self._views(training, task),
            "tokens": self._token_form(),
        }

    @property
    def _reads_everything(self) -> bool:
        """Whether every output may depend on the whole sequence."""
        return self.target == "sequence" or bool(self.bidirectional)

    def _make_objective(self, training: TrainingSet, task: Task, generator: torch.Generator, stage: Stage) -> Objective:
        return Objective(TaskObjective(self.module_, task, generator))

    def _plan_batches(self, training: TrainingSet, size: int, n_batches: int, rng: np.random.Generator) -> Plan:
        return partial(shuffled_batches, training.sequences.lengths, size, n_batches, rng)

    export = exporting.export

    def _exportable(self) -> exporting.ExportedModel:
        exporting.refuse_tokens(self)
        return exporting.of_task(self, frozen_copy(self.module_), self._task)

    # ------------------------------------------------------------------ the head
    @property
    def _units_of_y(self) -> tuple[Any, Any]:
        """Scale and shift that convert outputs of the network to the units of y."""
        return getattr(self, "y_scale_", 1.0), getattr(self, "y_mean_", 0.0)

    @property
    def coef_(self) -> np.ndarray:
        """Weights (K, F) of the linear head in the units of y, for states of size F = D H with D directions."""
        check_is_fitted(self)
        scale, _ = self._units_of_y
        return self._head("weight") * np.reshape(scale, (-1, 1))

    @property
    def intercept_(self) -> np.ndarray:
        """Biases (K,) of the linear head in the units of y."""
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

    @shown
    def predict_prefixes(self, X: Any) -> list[np.ndarray]:
        """Return the outputs of the network for every prefix of a sequence.

        With `target="sequence"` row t is the output for the first t steps, and the last row that for the whole
        sequence. The backward states of a bidirectional network always read the whole sequence. With `target="step"`
        the rows are the outputs at every step.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        outputs : list of n arrays (T_i, K), float32
            A regressor returns numbers in the units of y. A classifier returns class scores (logits) with columns as in
            `classes_`.
        """
        flat = self._checked(X)
        outputs = run_steps(flat, lambda values, lengths: (self.module_.prefixes(values, lengths), lengths))
        return [block.astype(np.float32) for block in self._task.in_units_of_y(outputs)]

    # ------------------------------------------------------------------ states
    @shown
    def hidden_states(self, X: Any, *, kind: str = "hidden", layer: int = -1) -> list[np.ndarray]:
        """Return the state after every step.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        kind : {"hidden", "cell"}, default="hidden"
            "hidden" is the state h_t that the head and the next layer read. "cell" is the cell state c_t of an LSTM.
        layer : int, default=-1
            Index of the layer. -1 is the last layer, which the head reads.

        Returns
        -------
        states : list of n arrays (T_i, D H), float32
            A bidirectional network has D = 2 directions, whose states are concatenated. The backward state at step t
            has read the steps from the last one down to t.

        Raises
        ------
        ValueError
            The network does not have this kind of state or this layer.
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
