"""Estimators that learn from labels or real targets: the path of `fit`, equal rows, validation data, batches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import torch
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils._param_validation import HasMethods
from torch import nn

from skseqmetric._base.template import TrainedSequenceEstimator, resolve_device, unchanged_if_refused
from skseqmetric._input import Sequences, check_sequences, check_weights
from skseqmetric._tensors.seeding import draw_seed, numpy_generator, torch_generator
from skseqmetric._training.augmentation import POSITION_MAPS, Augment
from skseqmetric._training.batches import LabelledBatches, StepTargets
from skseqmetric._training.loop import Batches
from skseqmetric._training.sampling import merge_duplicates

Plan = Callable[[], list[np.ndarray]]


class Partners(Protocol):
    """What is given beside the sequences, for those estimators that learn from more: images, for one."""

    def tags(self) -> list[bytes]:
        """For every sequence what it is given with: equal sequences are one row only if their tags are equal too."""

    def __getitem__(self, rows: np.ndarray) -> Partners: ...


@dataclass(frozen=True)
class Training:
    """What one call of fit trains on."""

    sequences: Sequences
    # codes (n,) of classes, real targets (n, K), or either of every step, StepTargets; None for pairs
    labels: Any
    weights: np.ndarray
    partners: Any = None  # Partners, where there are any

    def __len__(self) -> int:
        return len(self.weights)

    def chosen(self, rows: np.ndarray) -> Training:
        """The sequences at `rows`."""
        partners = None if self.partners is None else self.partners[rows]
        return Training(self.sequences.take(rows), self.labels[rows], self.weights[rows], partners)


class SupervisedSequenceEstimator(TrainedSequenceEstimator):
    """An estimator that learns from sequences with labels or real targets; equal rows are one row of summed weight.

    A subclass builds the network (`_build_network`), what it minimises (`_objective`) and the batches (`_plan`), turns
    y into codes or numbers (`_check_targets`), and calls `_fit_labelled` and `_partial_fit_labelled` from its own fits.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **TrainedSequenceEstimator._parameter_constraints,
        "augment": ["array-like", str, HasMethods(["__call__"]), None],
    }

    _seed: int
    # of the last partial_fit, so that the next one continues its moments
    _optimizer_state: dict[str, Any] | None

    @abstractmethod
    def _build_network(self, n_channels: int, longest: int, generator: torch.Generator) -> Any:
        """The module before training; `n_outputs` is the number of features that `transform` returns."""

    @abstractmethod
    def _objective(self, training: Training, generator: torch.Generator) -> nn.Module:
        """Batch in, scalar out."""

    @abstractmethod
    def _plan(self, training: Training, n_batches: int, rng: np.random.Generator) -> Plan:
        """Index arrays of the batches of one epoch, drawn anew by each call."""

    @abstractmethod
    def _check_targets(
        self, y: Any, sequences: Sequences, known: np.ndarray | None
    ) -> tuple[np.ndarray | None, np.ndarray | StepTargets]:
        """Classes and codes, or None and real targets; `known` are the classes a network was or is to be built for."""

    def _check_beside(self, beside: Any, classes: Any, codes: Any, *, continued: bool) -> Partners | None:
        """What a fit was given beside X and y, checked; `continued` where the network of an earlier fit goes on."""
        return None

    def _check_settings(self) -> None:
        """Refuse what cannot work before anything of an earlier fit is given up."""
        self._validate_params()
        Augment(self.augment)
        resolve_device(self.device)

    def _check_data(self, training: Training, classes: np.ndarray | None, *, continued: bool) -> None:
        """Refuse settings that do not suit the training data, likewise before anything is given up.

        `continued` where the network of an earlier fit goes on; no classes where pairs or real targets are given.
        """

    # ------------------------------------------------------------------ fitting
    def _fit_labelled(self, X: Any, y: Any, sample_weight: Any, groups: Any, beside: Any = None) -> None:
        """A whole fit: the budget under the one-cycle schedule."""
        continued = self.warm_start and hasattr(self, "module_")
        with unchanged_if_refused(self):
            sequences = check_sequences(X, estimator=self, reset=not continued)
            classes, codes = self._check_targets(y, sequences, getattr(self, "classes_", None) if continued else None)
            partners = self._check_beside(beside, classes, codes, continued=continued)
            seed = self._seed if continued else draw_seed(self.random_state)
            training, validation = self._training_sets(sequences, codes, partners, sample_weight, groups, seed)
            self._check_data(training, classes, continued=continued)
        if not continued:
            self._start(training, seed, classes)
        self._optimizer_state = None
        self._add_classes(classes)
        self._learn(training, validation, data=(X, y))

    def _partial_fit_labelled(
        self, X: Any, y: Any, sample_weight: Any, classes: Any = None, beside: Any = None
    ) -> None:
        """One epoch at a constant learning rate; `classes` are all that are to come, for a network that counts them."""
        first = not hasattr(self, "module_")
        with unchanged_if_refused(self):
            sequences = check_sequences(X, estimator=self, reset=first)
            known = getattr(self, "classes_", None) if not first else None if classes is None else np.unique(classes)
            classes, codes = self._check_targets(y, sequences, known)
            partners = self._check_beside(beside, classes, codes, continued=not first)
            training = _merged(sequences, codes, check_weights(sample_weight, len(sequences)), None, partners)[0]
            self._check_data(training, classes, continued=not first)
        if first:
            self._start(training, draw_seed(self.random_state), classes)
        self._add_classes(classes)
        self._optimizer_state = self._learn(training, None, data=(X, y), epochs=1)

    def _add_classes(self, classes: np.ndarray | None) -> None:
        if classes is not None:
            self.classes_ = np.union1d(getattr(self, "classes_", classes), classes)

    def _training_sets(
        self,
        sequences: Sequences,
        codes: np.ndarray | StepTargets,
        partners: Partners | None,
        sample_weight: Any,
        groups: Any,
        seed: int,
    ) -> tuple[Training, Training | None]:
        weights = check_weights(sample_weight, len(sequences))
        if groups is not None and len(groups) != len(sequences):
            raise ValueError(f"groups has {len(groups)} entries, X has {len(sequences)} sequences.")
        training, groups = _merged(sequences, codes, weights, groups, partners)
        of_sequences = _class_codes(training.labels)
        if of_sequences is not None and len(np.unique(of_sequences)) < 2:
            raise ValueError("Only one class has sequences of positive sample_weight: two are needed.")
        if not self.early_stopping:
            return training, None
        kept, held_out = self._validation_split(training.labels, groups, seed)
        return training.chosen(kept), training.chosen(held_out)

    def _validation_split(self, labels: Any, groups: np.ndarray | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows to train on and rows held out, every class on both sides where it can; labels as in `Training`."""
        options: dict[str, Any] = {"n_splits": 1, "test_size": self.validation_fraction, "random_state": seed}
        splitter: Any = ShuffleSplit(**options)
        codes = _class_codes(labels)
        if groups is not None:
            splitter = GroupShuffleSplit(**options)
        elif codes is not None:
            # a class of one sequence cannot be on both sides
            enough = np.bincount(codes).min(initial=2, where=np.bincount(codes) > 0) > 1
            fits = self.validation_fraction * len(codes) >= len(np.unique(codes))
            splitter = StratifiedShuffleSplit(**options) if enough and fits else splitter
        return next(splitter.split(np.empty(len(labels)), codes, groups))

    def _start(self, training: Training, seed: int, classes: np.ndarray | None = None) -> None:
        """A new network from the seed, and the scaling of this data; nothing of an earlier one stays."""
        self.__dict__.pop("classes_", None)
        if classes is not None:
            self.classes_ = classes
        self._optimizer_state = None
        sequences = training.sequences
        self._learn_scaling(sequences, training.weights)
        self._seed = seed
        self.history_: list[dict[str, Any]] = []
        self.n_iter_ = 0
        network = self._build_network(sequences.n_channels, int(sequences.lengths.max()), torch_generator(self._seed))
        self.module_: Any = network.to(resolve_device(self.device)).eval()
        self._n_features_out: int = self.module_.n_outputs

    def _learn(
        self, training: Training, validation: Training | None, data: tuple[Any, Any], epochs: int | None = None
    ) -> dict[str, Any] | None:
        """The budget of a full fit under the one-cycle schedule, or `epochs` at a constant learning rate."""
        # the stream number makes every call of partial_fit draw something new, and a repeated fit the same
        rng = numpy_generator(self._seed, self.n_iter_)
        generator = torch_generator(int(rng.integers(2**31 - 1)), self._device)
        all_epochs, n_batches = self._budget(len(training), self.batch_size)
        plan = self._plan(training, n_batches, rng)
        batches = self._batches(training, plan, self._augmentation(generator))
        held_out = None if validation is None else self._batches(validation, self._fixed_plan(validation), _keep)
        updates = None if epochs else all_epochs * n_batches
        objective = self._objective(training, generator)
        return self._train(objective, batches, held_out, epochs or all_epochs, updates, data, self._optimizer_state)

    def _batches(self, part: Training, plan: Plan, augment: Callable[..., torch.Tensor]) -> Batches:
        return self._labelled_batches(part, plan, augment)

    def _labelled_batches(self, part: Training, plan: Plan, augment: Callable[..., torch.Tensor]) -> LabelledBatches:
        device = self._device
        labels = part.labels
        return LabelledBatches(
            self._standardise(part.sequences),
            torch.from_numpy(labels).to(device) if isinstance(labels, np.ndarray) else labels.to(device),
            torch.from_numpy(part.weights.astype(np.float32)).to(device),
            plan,
            augment,
        )

    def _fixed_plan(self, validation: Training) -> Plan:
        """The same validation batches in every epoch."""
        n_batches = -(-len(validation) // self.batch_size)
        batches = self._plan(validation, n_batches, numpy_generator(self._seed, 2**32))()
        return lambda: batches

    def _augmentation(self, generator: torch.Generator) -> Callable[..., torch.Tensor]:
        return partial(Augment(self.augment), generator=generator)


def check_steps_stay(augment: Any) -> None:
    """Refuse augmentations that move steps, for estimators with a target at every step."""
    names = [] if augment is None or callable(augment) else np.atleast_1d(augment).tolist()
    moving = [name for name in names if name in POSITION_MAPS]
    if moving:
        raise ValueError(f"augment={moving[0]!r} moves steps away from their labels: use 'jitter', a callable or None.")


def _keep(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return values


def _class_codes(labels: Any) -> np.ndarray | None:
    """The codes of classes of whole sequences; None for real targets, and for anything given at every step."""
    return labels if isinstance(labels, np.ndarray) and labels.dtype.kind == "i" else None


def _merged(
    sequences: Sequences,
    codes: np.ndarray | StepTargets,
    weights: np.ndarray,
    groups: Any,
    partners: Partners | None = None,
) -> tuple[Training, np.ndarray | None]:
    """Equal rows (same sequence, target, group and partner) become one row of their summed weight, in its own order."""
    groups = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    parts = [[x.tobytes() for x in sequences.to_list()], [code.tobytes() for code in codes]]
    if groups is not None:
        parts.append([group.tobytes() for group in groups])
    if partners is not None:
        parts.append(partners.tags())
    keys = [blake2b(b"".join(row), digest_size=16).digest() for row in zip(*parts, strict=True)]
    kept, summed = merge_duplicates(keys, weights)
    training = Training(sequences.take(kept), codes[kept], summed, None if partners is None else partners[kept])
    return training, None if groups is None else groups[kept]
