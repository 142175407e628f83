"""The base class of the classifier and the regressor with non-local recurrent memory."""

from __future__ import annotations

from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skseqmetric._base import NetworkEstimator, Objective, Stage, exporting, save, shown, streaming
from skseqmetric._estimators.nrnm import memory
from skseqmetric._networks.memory import MemoryNetwork
from skseqmetric._tasks import Task
from skseqmetric._tensors.inference import run_steps
from skseqmetric._tensors.modules import frozen_copy
from skseqmetric._training.batches import Plan, shuffled_batches
from skseqmetric._training.data import TrainingSet
from skseqmetric._training.objectives import TaskObjective


class MemoryEstimator(NetworkEstimator):
    """An estimator that learns a task for sequences or for steps with a `MemoryNetwork`."""

    _parameter_constraints: dict[str, list[Any]] = {
        **NetworkEstimator._parameter_constraints,
        **NetworkEstimator._token_constraints,
        **memory.CONSTRAINTS,
        "target": [StrOptions({"sequence", "step"})],
        "batch_size": [Interval(Integral, 2, None, closed="left"), StrOptions({"auto"})],
    }

    _network = MemoryNetwork
    save = save
    module_: MemoryNetwork

    def _check_combinations(self, training: TrainingSet, task: Task, *, continued: bool) -> None:
        memory.check_memory(self, training, self.target, continued=continued)

    def _network_config(self, training: TrainingSet, task: Task) -> dict[str, Any]:
        views = self._views(training, task, whole=self.target == "sequence")
        return memory.memory_config(self, training, self.target, task.n_outputs, views)

    def _make_objective(self, training: TrainingSet, task: Task, generator: torch.Generator, stage: Stage) -> Objective:
        return Objective(TaskObjective(self.module_, task, generator))

    def _plan_batches(self, training: TrainingSet, size: int, n_batches: int, rng: np.random.Generator) -> Plan:
        return partial(shuffled_batches, training.sequences.lengths, size, n_batches, rng)

    export = exporting.export

    def _exportable(self) -> exporting.ExportedModel:
        exporting.refuse_tokens(self)
        return exporting.of_task(self, frozen_copy(self.module_), self._task)

    # ------------------------------------------------------------------ looks into the network
    hidden_states = memory.hidden_states
    memory_states = memory.memory_states
    window_ = memory.window_

    # ------------------------------------------------------------------ one incoming step at a time
    _reads_backwards = False
    predict_step = streaming.predict_step
    predict_stream = streaming.predict_stream
    _advance = streaming.advance_network

    @shown
    def predict_prefixes(self, X: Any) -> list[np.ndarray]:
        """Return the outputs of the network at every step, computed from the steps so far. Needs `target="step"`.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        outputs : list of n arrays (T_i, K)
            Class scores with columns as in `classes_`, or numbers in the units of y.
        """
        flat = self._checked(X)
        streaming.check_causal(self, "predict_prefixes")
        outputs = run_steps(flat, lambda values, lengths: (self.module_(values, lengths), lengths))
        return self._task.in_units_of_y(outputs)
