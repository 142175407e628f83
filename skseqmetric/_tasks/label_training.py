"""Training on class scores: classes, their weights, shuffled batches, answers; of whole sequences or every step."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base.supervised import Plan, SupervisedSequenceEstimator, Training
from skseqmetric._input import Sequences, check_labels
from skseqmetric._training.batches import IGNORED, StepLabels
from skseqmetric._training.objectives import LabelObjective
from skseqmetric._training.sampling import shuffled_batches


class LabelTraining(SupervisedSequenceEstimator):
    """A supervised estimator whose network returns class scores; a subclass says how y becomes codes."""

    _parameter_constraints: dict[str, list[Any]] = {
        **SupervisedSequenceEstimator._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def _check_data(self, training: Training, classes: np.ndarray | None, *, continued: bool) -> None:
        super()._check_data(training, classes, continued=continued)
        if classes is not None:
            check_class_weight(self.class_weight, classes)

    def _plan(self, training: Training, n_batches: int, rng: np.random.Generator) -> Plan:
        return partial(shuffled_batches, training.sequences.lengths, self.batch_size, n_batches, rng)

    def _objective(self, training: Training, generator: torch.Generator) -> LabelObjective:
        codes, shares = _counted(training)
        counts = np.bincount(codes, shares, minlength=len(self.classes_))
        of_class = class_factors(self.class_weight, self.classes_, counts)
        mean_weight = float((shares * of_class[codes]).sum() / len(training))
        device = self._device
        return LabelObjective(
            self.module_, torch.from_numpy(of_class.astype(np.float32)).to(device), mean_weight, generator
        )


class SequenceClassification(SupervisedSequenceEstimator):
    """One label a sequence: what y becomes, and the answers of a network whose forward pass gives class scores."""

    def _check_targets(self, y: Any, sequences: Sequences, known: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        classes, codes = check_labels(y, len(sequences), estimator=self, min_classes=2 if known is None else 1)
        return (classes, codes) if known is None else (known, matched(classes, codes, known))

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self._run(X, self.module_, len(self.classes_))

    def decision_function(self, X: Any) -> np.ndarray:
        """Class scores (logits): (n, K), or (n,) for the second of two classes against the first."""
        return decision(self._scores(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, K), columns as in `classes_`."""
        return softmax(self._scores(X).astype(np.float64), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of every sequence, (n,)."""
        best = self._scores(X).argmax(axis=1)
        return self.classes_[best]


def decision(scores: np.ndarray) -> np.ndarray:
    """Scores (n, K) as scikit-learn has them: (n,) for the second of two classes against the first."""
    return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores


def check_class_weight(class_weight: Any, classes: np.ndarray) -> None:
    """Refuse factors of classes that there are not."""
    unknown = [label for label in class_weight if label not in classes] if isinstance(class_weight, dict) else []
    if unknown:
        raise ValueError(f"class_weight names {unknown[0]!r}, which is not among the classes {classes}.")


def class_factors(class_weight: Any, classes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """One factor a class (K,), from the summed weights (K,) of the training data."""
    if class_weight is None:
        return np.ones(len(counts))
    if class_weight == "balanced":
        present = counts > 0
        return np.divide(counts.sum(), present.sum() * counts, out=np.zeros(len(counts)), where=present)
    return np.array([class_weight.get(label, 1.0) for label in classes.tolist()])


def matched(classes: np.ndarray, codes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Codes of `classes` as codes of the `known` ones, of which they are a part; `IGNORED` stays."""
    unknown = np.setdiff1d(classes, known)
    if len(unknown):
        label = unknown.tolist()[0]
        raise ValueError(f"y has the label {label!r}, which is not among the classes {known} of the first fit.")
    return np.where(codes == IGNORED, IGNORED, np.searchsorted(known, classes)[codes])


def _counted(training: Training) -> tuple[np.ndarray, np.ndarray]:
    """Codes, and how much each counts: a sequence its weight, a labelled step its share of that."""
    if not isinstance(training.labels, StepLabels):
        return training.labels, training.weights
    labels = training.labels
    given = labels.codes != IGNORED
    row = np.repeat(np.arange(len(labels)), labels.lengths)
    per_row = np.bincount(row, given, minlength=len(labels))
    return labels.codes[given], (training.weights / np.maximum(per_row, 1))[row][given]
