"""Class labels of whole sequences or of every step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from scipy.special import softmax
from sklearn.metrics import accuracy_score
from torch import Tensor
from torch.nn.functional import cross_entropy

from skseqmetric._files import record
from skseqmetric._input import Sequences, check_labels, check_step_labels, one_label_each
from skseqmetric._tasks.base import Blocks, Targets, Task, check_same_target, each_block
from skseqmetric._tensors.steps import IGNORED, StepTargets
from skseqmetric.metrics import step_accuracy


@record(
    every_step="bool",
    mean_weight="number",
    class_weight="any",
    ignore_label="any",
    labels="none|labels K",
    growing="bool",
    factors="none|float64 K",
)
@dataclass(frozen=True)
class Classes(Task):
    """Classes, learned by the cross-entropy of class scores. Targets are codes: indices into `labels`.

    class_weight : factors of the loss by class, "balanced" or None.
    ignore_label : a label of steps that means "no label".
    labels : the sorted labels, known after `check`. A network for K classes accepts no other labels later.
    growing : whether later fits may bring new labels. This is for networks without one output per class.
    factors : one factor of the loss per class, (K,), known after `learn`.
    """

    class_weight: Any = None
    ignore_label: Any = None
    labels: Any = None
    growing: bool = False
    factors: Any = None

    # ------------------------------------------------------------------ fitting
    def following(self, earlier: Task) -> Self:
        check_same_target(self.every_step, earlier.every_step)
        # a metric knows no labels after fit_pairs
        return replace(self, labels=getattr(earlier, "labels", None))

    def check(self, y: Any, sequences: Sequences) -> tuple[Self, Targets]:
        known = None if self.growing else self.labels
        fewest = 2 if known is None else 1
        if self.every_step:
            lengths = sequences.lengths
            labels, codes = check_step_labels(y, lengths, ignore_label=self.ignore_label, min_classes=fewest)
        else:
            labels, codes = check_labels(y, len(sequences.lengths), min_classes=fewest)
        if known is not None:
            labels, codes = known, _matched(labels, codes, known)
        if self.growing and self.labels is not None:
            check_same_type(labels, self.labels)
            labels = np.union1d(self.labels, labels)
        return replace(self, labels=labels), StepTargets(codes, sequences.lengths) if self.every_step else codes

    def learn(self, targets: Targets, weights: np.ndarray) -> Self:
        if self.growing:  # such networks only compare codes, and codes are valid within one fit
            return self
        codes, shares = _counted(targets, weights)
        counts = np.bincount(codes, shares, minlength=len(self.labels))
        factors = class_factors(self.class_weight, self.labels, counts)
        return replace(self, factors=factors, mean_weight=float((shares * factors[codes]).sum() / len(weights)))

    def network_targets(self, targets: Targets) -> Targets:
        return targets

    def regression_rows(self, targets: Targets) -> np.ndarray | None:
        """Return 1 for the class of a sequence and 0 for the others."""
        if isinstance(targets, StepTargets):
            return None
        return np.asarray(targets[:, np.newaxis] == np.unique(targets), dtype=np.float64)

    def loss(self, outputs: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy times the class factor, averaged over the labelled steps if there are steps."""
        given = targets != IGNORED
        codes = targets.clamp_min(0)
        cost = cross_entropy(outputs.flatten(0, -2), codes.flatten(), reduction="none").view_as(codes)
        factors = torch.from_numpy(self.factors.astype(np.float32)).to(cost.device)
        cost = cost * factors[codes] * given
        return cost.sum(1) / given.sum(1).clamp_min(1) if self.every_step else cost

    # ------------------------------------------------------------------ answers
    def in_units_of_y(self, outputs: Blocks) -> Blocks:
        return outputs

    @property
    def n_outputs(self) -> int:
        return len(self.labels)

    @property
    def attributes(self) -> dict[str, Any]:
        return {"classes_": self.labels}

    def answer(self, outputs: Blocks) -> Blocks:
        """Return the class with the highest score."""
        return each_block(lambda scores: self.labels[scores.argmax(axis=1)], outputs)

    def score(self, y: Any, answers: Any, sample_weight: Any) -> float:
        """Return the accuracy. A step counts by the weight of its sequence, and only if it has a label."""
        if self.every_step:
            return step_accuracy(y, list(answers), ignore_label=self.ignore_label, sample_weight=sample_weight)
        y = one_label_each(y, len(answers), "y", "sequences")
        check_same_type(y, self.labels)
        return float(accuracy_score(y, answers, sample_weight=sample_weight))


def decision(scores: Blocks) -> Blocks:
    """Return scores (n, K) in float64; for two classes (n,), the second score minus the first, as in scikit-learn."""

    def one(block: np.ndarray) -> np.ndarray:
        block = block.astype(np.float64)
        return block[:, 1] - block[:, 0] if block.shape[1] == 2 else block

    return each_block(one, scores)


def probabilities(scores: Blocks, sharpness: float = 1.0) -> Blocks:
    """Return the softmax of `sharpness` times the scores, in float64."""
    return each_block(lambda block: softmax(sharpness * block.astype(np.float64), axis=1), scores)


def class_factors(class_weight: Any, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return one factor per class (K,) from the summed weights (K,) of the training data.

    Raises
    ------
    ValueError
        A class is unknown, its weight is no number >= 0 or not finite, or all classes of the data have the weight 0.
    """
    if class_weight is None:
        return np.ones(len(counts))
    if isinstance(class_weight, str):  # "balanced"
        present = counts > 0
        return np.divide(counts.sum(), present.sum() * counts, out=np.zeros(len(counts)), where=present)
    known = set(labels.tolist())
    for label, weight in class_weight.items():
        _check_class_weight(label, weight, known, labels)
    factors = np.array([class_weight.get(label, 1.0) for label in labels.tolist()], dtype=np.float64)
    if not (factors * counts).any():
        raise ValueError(f"class_weight={class_weight!r} gives every class of y the weight 0: one must be larger.")
    return factors


def _check_class_weight(label: Any, weight: Any, known: set[Any], labels: np.ndarray) -> None:
    if label not in known:
        raise ValueError(f"class_weight names {label!r}, which is not among the classes {labels}.")
    if isinstance(weight, (bool, np.bool_)) or not isinstance(weight, Real):
        raise ValueError(f"class_weight[{label!r}] is {weight!r}, but a weight must be a number >= 0.")
    if not 0 <= float(weight) < np.inf:
        raise ValueError(f"class_weight[{label!r}] is {weight!r}, but a weight must be finite and >= 0.")


def _matched(labels: np.ndarray, codes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Convert codes of `labels` to codes of the `known` labels, which must include them. `IGNORED` stays."""
    places = {label: code for code, label in enumerate(known.tolist())}
    for label in labels.tolist():
        if label not in places:
            raise ValueError(f"y has the label {label!r}, which is not among the classes {known} of the first fit.")
    own = np.array([places[label] for label in labels.tolist()], dtype=np.int64)
    return np.where(codes == IGNORED, IGNORED, own[codes])


def check_same_type(labels: np.ndarray, known: np.ndarray) -> None:
    """Refuse text after numbers, and numbers after text: together they would all become text."""
    if len(labels) and _type_of(labels) != _type_of(known):
        raise ValueError(
            f"y has the label {labels.tolist()[0]!r}, but the classes are {known}: pass labels of the same type."
        )


def _type_of(labels: np.ndarray) -> str:
    """Return what NumPy can compare the labels with: text, numbers, or another type."""
    if labels.dtype.kind in "biuf":
        return "number"
    return "text" if isinstance(labels.tolist()[0], str) else f"{labels.dtype.kind} {type(labels.tolist()[0])}"


def _counted(targets: Targets, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return codes and their weights. Labelled steps share the weight of their sequence equally."""
    if not isinstance(targets, StepTargets):
        return targets, weights
    given = targets.values != IGNORED
    row = np.repeat(np.arange(len(targets)), targets.lengths)
    per_row = np.bincount(row, given, minlength=len(targets))
    return targets.values[given], (weights / np.maximum(per_row, 1))[row][given]
