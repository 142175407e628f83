"""Metrics learned by gradient descent: fit from labels, from given pairs or in parts, and embed."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._augment import Augment
from skseqmetric._base import TrainedSequenceEstimator, resolve_device
from skseqmetric._batching import FlatSequences, LabelledBatches, PairBatches, batches_by_length
from skseqmetric._callbacks import with_callbacks
from skseqmetric._losses import BLOCK_LOSSES, PAIR_LOSSES
from skseqmetric._metric import BaseSequenceMetric
from skseqmetric._modules import SiameseNetwork
from skseqmetric._objective import BlockObjective, PairObjective
from skseqmetric._ops.parallel import run_tiles
from skseqmetric._sampling import balanced_batches, merge_duplicates, shuffled_batches
from skseqmetric._seeding import draw_seed, numpy_generator, torch_generator
from skseqmetric._validation import Sequences, check_labels, check_pairs, check_sequences, check_weights

MAX_STEPS = 32768
"""Padded steps of one inference batch: large enough for full kernels, small enough to stay in cache and memory."""


@dataclass(frozen=True)
class _Training:
    """What one call of fit trains on."""

    sequences: Sequences
    labels: np.ndarray
    weights: np.ndarray


class LearnedSequenceMetric(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, TrainedSequenceEstimator, BaseSequenceMetric
):
    """The supervised side of a learned metric. A subclass builds the network and, if pairs meet in it, runs them."""

    _parameter_constraints: dict[str, list[Any]] = {
        **TrainedSequenceEstimator._parameter_constraints,
        "loss": [StrOptions({*BLOCK_LOSSES, *PAIR_LOSSES}), HasMethods(["__call__"])],
        "margin": [Interval(Real, 0, None, closed="neither")],
        "embedding_weight": [Interval(Real, 0, None, closed="left")],
        "pairs_per_sequence": [Interval(Integral, 2, None, closed="left"), None],
        "samples_per_class": [Interval(Integral, 2, None, closed="left")],
        "augment": ["array-like", str, HasMethods(["__call__"]), None],
    }

    # of the last partial_fit, so that the next one continues its moments
    _optimizer_state: dict[str, Any] | None

    @abstractmethod
    def _build_network(self, n_channels: int, longest: int, generator: torch.Generator) -> SiameseNetwork:
        """The network before training; with `pair_run` if `_coupled`."""

    @property
    def _coupled(self) -> bool:
        return False

    # ------------------------------------------------------------------ fitting
    @with_callbacks
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn the distance from labelled sequences.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,)
            Class of every sequence; sequences of one class are to be near.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence as an anchor of the loss. A weight of 2 is the same as writing the sequence
            twice, a weight of 0 the same as leaving it out.
        groups : array-like of shape (n,), optional
            With `early_stopping=True`, sequences of one group fall on one side of the validation split.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For input outside the contract (see `check_sequences`), or a single class.
        FloatingPointError
            When the loss is no longer finite; the last finite weights are kept.
        """
        self._check_settings(from_pairs=False)
        self._forget_threshold()
        continued = self.warm_start and hasattr(self, "module_")
        sequences = check_sequences(X, estimator=self, reset=not continued)
        classes, labels = check_labels(y, len(sequences), estimator=self)
        seed = self._seed if continued else draw_seed(self.random_state)
        training, validation = self._training_sets(sequences, labels, sample_weight, groups, seed)
        if not continued:
            self._start(training.sequences, training.weights, seed)
        self._optimizer_state = None
        self._add_classes(classes)
        self._learn(training, validation, data=(X, y))
        return self

    @with_callbacks
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """One epoch at a constant learning rate; the first call starts the metric, later ones may bring new classes.

        Scaling is learned in the first call and then kept. Parameters as in `fit`.
        """
        self._check_settings(from_pairs=False)
        self._forget_threshold()
        first = not hasattr(self, "module_")
        sequences = check_sequences(X, estimator=self, reset=first)
        classes, labels = check_labels(y, len(sequences), estimator=self)
        weights = check_weights(sample_weight, len(sequences))
        training = _merged(sequences, labels, weights, None)[0]
        if first:
            self._start(training.sequences, training.weights, draw_seed(self.random_state))
        self._add_classes(classes)
        self._optimizer_state = self._learn(training, None, data=(X, y), epochs=1)
        return self

    @with_callbacks
    def fit_pairs(self, X: Any, pairs: Any, same: Any) -> Self:
        """Learn the distance from weak supervision: pairs known to belong together or not, and nothing else.

        The loss is the contrastive one on the given pairs, or the logistic one with `loss="logistic"`.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            The sequences that the pairs are made of.
        pairs : array-like of int, shape (P, 2)
            Rows of X.
        same : array-like of shape (P,)
            +1 where both belong together, -1 where they do not.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For input outside the contract, or a callable `loss`: it would need labels.
        FloatingPointError
            When the loss is no longer finite; the last finite weights are kept.
        """
        self._check_settings(from_pairs=True)
        self._forget_threshold()
        continued = self.warm_start and hasattr(self, "module_")
        sequences = check_sequences(X, estimator=self, reset=not continued)
        pairs, same = check_pairs(pairs, same, len(sequences))
        if not continued:
            self._start(sequences, np.ones(len(sequences)), draw_seed(self.random_state))
        self._optimizer_state = None
        self._learn_pairs(sequences, pairs, same > 0, (X, same))
        return self

    def _check_settings(self, *, from_pairs: bool) -> None:
        """Refuse what cannot work before anything of an earlier fit is given up."""
        self._validate_params()
        Augment(self.augment)
        resolve_device(self.device)
        if from_pairs and not isinstance(self.loss, str):
            raise ValueError("loss is a function of labels, and fit_pairs has none: use 'contrastive' or 'logistic'.")
        if not from_pairs and isinstance(self.loss, str) and self.loss not in BLOCK_LOSSES:
            raise ValueError(f"loss={self.loss!r} is for fit_pairs; fit(X, y) takes {sorted(BLOCK_LOSSES)}.")

    def _add_classes(self, classes: np.ndarray) -> None:
        self.classes_ = np.union1d(getattr(self, "classes_", classes), classes)

    def _training_sets(
        self, sequences: Sequences, labels: np.ndarray, sample_weight: Any, groups: Any, seed: int
    ) -> tuple[_Training, _Training | None]:
        weights = check_weights(sample_weight, len(sequences))
        if groups is not None and len(groups) != len(sequences):
            raise ValueError(f"groups has {len(groups)} entries, X has {len(sequences)} sequences.")
        training, groups = _merged(sequences, labels, weights, groups)
        if len(np.unique(training.labels)) < 2:
            raise ValueError("Only one class has sequences of positive sample_weight; a distance needs two.")
        if not self.early_stopping:
            return training, None
        kept, held_out = self._validation_split(training.labels, groups, seed)
        return _chosen(training, kept), _chosen(training, held_out)

    def _validation_split(
        self, labels: np.ndarray, groups: np.ndarray | None, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        options: dict[str, Any] = {"n_splits": 1, "test_size": self.validation_fraction, "random_state": seed}
        if groups is not None:
            splitter: Any = GroupShuffleSplit(**options)
        else:
            # a class of one sequence cannot be on both sides
            enough = np.bincount(labels).min(initial=2, where=np.bincount(labels) > 0) > 1
            fits = self.validation_fraction * len(labels) >= len(np.unique(labels))
            splitter = StratifiedShuffleSplit(**options) if enough and fits else ShuffleSplit(**options)
        return next(splitter.split(labels, labels, groups))

    def _start(self, sequences: Sequences, weights: np.ndarray, seed: int) -> None:
        """A new network from the seed, and the scaling of this data; nothing of an earlier one stays."""
        self.__dict__.pop("classes_", None)
        self._optimizer_state = None
        self._learn_scaling(sequences, weights)
        self._seed = seed
        self.history_: list[dict[str, Any]] = []
        self.n_iter_ = 0
        network = self._build_network(sequences.n_channels, int(sequences.lengths.max()), torch_generator(self._seed))
        self.module_: SiameseNetwork = network.to(resolve_device(self.device)).eval()
        self.loss_ = self.loss if isinstance(self.loss, str) else copy.deepcopy(self.loss)
        self._n_features_out = network.n_outputs

    def _learn(
        self, training: _Training, validation: _Training | None, data: tuple[Any, Any], epochs: int | None = None
    ) -> dict[str, Any] | None:
        """The budget of a full fit under the one-cycle schedule, or `epochs` at a constant learning rate."""
        # the stream number makes every call of partial_fit draw something new, and a repeated fit the same
        rng = numpy_generator(self._seed, self.n_iter_)
        generator = torch_generator(int(rng.integers(2**31 - 1)), self._device)
        all_epochs, n_batches = self._budget(len(training.labels), self.batch_size)
        plan = partial(
            balanced_batches, training.labels, training.sequences.lengths,
            self.batch_size, self.samples_per_class, n_batches, rng,
        )  # fmt: skip
        batches = self._batches(training, plan, self._augmentation(generator))
        held_out = None if validation is None else self._batches(validation, self._fixed_plan(validation), _keep)
        objective = self._block_objective(generator)
        updates = None if epochs else all_epochs * n_batches
        return self._train(objective, batches, held_out, epochs or all_epochs, updates, data, self._optimizer_state)

    def _block_objective(self, generator: torch.Generator) -> BlockObjective:
        return BlockObjective(
            self.module_, self.loss_, coupled=self._coupled, embedding_weight=self.embedding_weight,
            margin=self.margin, pairs_per_sequence=self.pairs_per_sequence, generator=generator,
        )  # fmt: skip

    def _batches(
        self, part: _Training, plan: Callable[[], list[np.ndarray]], augment: Callable[..., torch.Tensor]
    ) -> LabelledBatches:
        device = self._device
        return LabelledBatches(
            self._standardise(part.sequences),
            torch.from_numpy(part.labels).to(device),
            torch.from_numpy(part.weights.astype(np.float32)).to(device),
            plan,
            augment,
        )

    def _fixed_plan(self, validation: _Training) -> Callable[[], list[np.ndarray]]:
        """The same balanced validation batches in every epoch."""
        n_batches = -(-len(validation.labels) // self.batch_size)
        batches = balanced_batches(
            validation.labels, validation.sequences.lengths, self.batch_size, self.samples_per_class, n_batches,
            numpy_generator(self._seed, 2**32),
        )  # fmt: skip
        return lambda: batches

    def _augmentation(self, generator: torch.Generator) -> Callable[..., torch.Tensor]:
        return partial(Augment(self.augment), generator=generator)

    def _learn_pairs(self, sequences: Sequences, pairs: np.ndarray, same: np.ndarray, data: tuple[Any, Any]) -> None:
        rng = numpy_generator(self._seed, self.n_iter_)
        generator = torch_generator(int(rng.integers(2**31 - 1)), self._device)
        size = max(1, self.batch_size // 2)
        epochs, n_batches = self._budget(len(pairs), size)
        longest = sequences.lengths[pairs].max(axis=1)
        batches = PairBatches(
            self._standardise(sequences), pairs, torch.from_numpy(same).to(self._device),
            partial(shuffled_batches, longest, size, n_batches, rng), self._augmentation(generator),
        )  # fmt: skip
        objective = PairObjective(
            self.module_, self.loss if self.loss in PAIR_LOSSES else "contrastive", coupled=self._coupled,
            embedding_weight=self.embedding_weight, margin=self.margin, generator=generator,
        )  # fmt: skip
        self._train(objective, batches, None, epochs, epochs * n_batches, data)

    # ------------------------------------------------------------------ embedding
    def transform(self, X: Any) -> np.ndarray:
        """The embedding: read-out of the free-running network, one pass a sequence.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)

        Returns
        -------
        embeddings : ndarray of shape (n, D), float32
        """
        check_is_fitted(self)
        flat = self._standardise(check_sequences(X, estimator=self, reset=False))
        return self._embed(flat, flat.digests())

    def _embed(self, flat: FlatSequences, digests: np.ndarray) -> np.ndarray:
        out = np.empty((len(flat), self._n_features_out), dtype=np.float32)

        @torch.inference_mode()
        def embed(indices: np.ndarray) -> None:
            out[indices] = self.module_.free_run(*self.module_.encode(*flat.padded(indices))).cpu().numpy()

        run_tiles(embed, batches_by_length(flat.host_lengths, MAX_STEPS, digests), self._n_threads)
        return out

    @property
    def _n_threads(self) -> int | None:
        """Tiles in parallel on the CPU; one after the other on a device that is parallel in itself."""
        return None if self._device.type == "cpu" else 1

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        # embeddings are float32 whatever comes in
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _keep(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return values


def _merged(
    sequences: Sequences, labels: np.ndarray, weights: np.ndarray, groups: Any
) -> tuple[_Training, np.ndarray | None]:
    """Equal rows (same sequence, label and group) become one row of their summed weight, in an order of their own."""
    groups = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    tags = labels if groups is None else np.stack([labels, groups], axis=1)
    keys = [
        blake2b(x.tobytes() + tag.tobytes(), digest_size=16).digest()
        for x, tag in zip(sequences.to_list(), tags, strict=True)
    ]
    kept, summed = merge_duplicates(keys, weights)
    training = _Training(sequences.take(kept), labels[kept], summed)
    return training, None if groups is None else groups[kept]


def _chosen(training: _Training, rows: np.ndarray) -> _Training:
    return _Training(training.sequences.take(rows), training.labels[rows], training.weights[rows])
