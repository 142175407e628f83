"""What both recurrent estimators share: the network's shape, its answers, and a look at its states."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base.supervised import SupervisedSequenceEstimator, Training, check_steps_stay
from skseqmetric._networks.recurrent import RecurrentNetwork

Answers = np.ndarray | list[np.ndarray]


class RecurrentEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SupervisedSequenceEstimator):
    """Supervised estimators over a `RecurrentNetwork`."""

    _parameter_constraints: dict[str, list[Any]] = {
        **SupervisedSequenceEstimator._parameter_constraints,
        "n_units": [Interval(Integral, 1, None, closed="left")],
        "cell": [StrOptions({"lstm", "gru"})],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "target": [StrOptions({"sequence", "step"})],
        "readout": [StrOptions({"last", "mean"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    module_: RecurrentNetwork

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.target == "step":
            check_steps_stay(self.augment)

    def _check_data(self, training: Training, classes: np.ndarray | None, *, continued: bool) -> None:
        super()._check_data(training, classes, continued=continued)
        if continued and self.target != self.module_.target:
            raise ValueError(
                f"target={self.target!r}, but the network of the earlier fit has target={self.module_.target!r}: "
                "fit a new one."
            )

    def _network(self, n_channels: int, n_targets: int, generator: torch.Generator) -> RecurrentNetwork:
        return RecurrentNetwork(
            n_channels,
            self.n_units,
            n_targets,
            cell=self.cell,
            n_layers=self.n_layers,
            bidirectional=self.bidirectional,
            target=self.target,
            readout=self.readout,
            dropout=self.dropout,
            generator=generator,
        )

    # ------------------------------------------------------------------ the head
    @property
    def _units(self) -> tuple[Any, Any]:
        """(scale, shift) from the network's answers to the caller's units."""
        return 1.0, 0.0

    @property
    def coef_(self) -> np.ndarray:
        """Weights (K, F) of the linear head in the caller's units, for states of F = D H numbers (D directions)."""
        check_is_fitted(self)
        scale, _ = self._units
        return self._head("weight") * np.reshape(scale, (-1, 1))

    @property
    def intercept_(self) -> np.ndarray:
        """Biases (K,) of the linear head in the caller's units."""
        check_is_fitted(self)
        scale, shift = self._units
        return self._head("bias") * scale + shift

    def _head(self, name: str) -> np.ndarray:
        return self.module_.head.get_parameter(name).detach().cpu().numpy().astype(np.float64)

    # ------------------------------------------------------------------ answers
    def _answers(self, X: Any) -> Answers:
        """What the network says in the caller's units: (n, K), or a list of (T_i, K) where targets are of steps."""
        check_is_fitted(self)
        if self.module_.target == "step":
            return [self._in_units(numbers) for numbers in self._each_step(X, self.module_)]
        return self._in_units(self._run(X, self.module_, self.module_.head.out_features))

    def _each_step(self, X: Any, run: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> list[np.ndarray]:
        """run(values, lengths) -> (B, T, width) of all sequences, n arrays (T_i, width)."""
        return self._run_steps(X, lambda values, lengths: (run(values, lengths), lengths))

    def _in_units(self, numbers: np.ndarray) -> np.ndarray:
        scale, shift = self._units
        return numbers.astype(np.float64) * scale + shift

    def predict_steps(self, X: Any) -> list[np.ndarray]:
        """What the network says at every step.

        With `target="sequence"` the last row of a sequence is what it says of the whole one, the rows before what it
        would say had the sequence ended there; the backward states of a bidirectional network have then read all of it
        at each step. With `target="step"` what it says of each step.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)

        Returns
        -------
        answers : list of n arrays (T_i, K), float32
            Outputs of a regressor, in the units of y; scores (logits) of a classifier, columns as in `classes_`.
        """
        check_is_fitted(self)
        return [self._in_units(numbers).astype(np.float32) for numbers in self._each_step(X, self.module_.steps)]

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
        check_is_fitted(self)
        if kind not in ("hidden", "cell") or (kind == "cell" and self.module_.cell != "lstm"):
            kinds = "'hidden' and 'cell'" if self.module_.cell == "lstm" else "'hidden' alone"
            raise ValueError(f"kind={kind!r}: cell={self.module_.cell!r} has states of kind {kinds}.")
        n_layers = len(self.module_.layers)
        if not -n_layers <= layer < n_layers:
            raise ValueError(f"layer={layer} is out of range: this network has n_layers={n_layers}.")

        return self._each_step(X, partial(self.module_.states, kind=kind, layer=layer))

    def transform(self, X: Any) -> np.ndarray:
        """The read-out of the last layer's states, (n, D H) float32: features for any estimator.

        "last" or "mean" as `readout` says, with either `target`.
        """
        check_is_fitted(self)
        return self._run(X, self.module_.features, self._n_features_out)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # features are float32 whatever comes in
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
