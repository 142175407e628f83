"""Metrics learned by gradient descent: fit from labels, from given pairs or in parts, and embed."""

from __future__ import annotations

import copy
from abc import abstractmethod
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base.supervised import Plan, SupervisedSequenceEstimator, Training
from skseqmetric._input import Sequences, check_labels, check_pairs, check_sequences
from skseqmetric._metrics.pair_runs import PreparedSequences
from skseqmetric._metrics.protocol import BaseSequenceMetric
from skseqmetric._networks.siamese import SiameseNetwork
from skseqmetric._ops.metric_losses import BLOCK_LOSSES, PAIR_LOSSES
from skseqmetric._tensors.flat import FlatSequences
from skseqmetric._tensors.seeding import draw_seed, numpy_generator, torch_generator
from skseqmetric._training.batches import PairBatches
from skseqmetric._training.callbacks import with_callbacks
from skseqmetric._training.objectives import BlockObjective, PairObjective
from skseqmetric._training.sampling import balanced_batches, shuffled_batches


class LearnedSequenceMetric(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, SupervisedSequenceEstimator, BaseSequenceMetric
):
    """The supervised side of a learned metric. A subclass builds the network and, if pairs meet in it, runs them."""

    _parameter_constraints: dict[str, list[Any]] = {
        **SupervisedSequenceEstimator._parameter_constraints,
        "loss": [StrOptions({*BLOCK_LOSSES, *PAIR_LOSSES}), HasMethods(["__call__"])],
        "margin": [Interval(Real, 0, None, closed="neither")],
        "samples_per_class": [Interval(Integral, 2, None, closed="left")],
    }

    # parameters of the metrics whose pairs meet in the network, without effect in the others
    embedding_weight: float = 1.0
    pairs_per_sequence: int | None = None

    @abstractmethod
    def _build_network(self, n_channels: int, longest: int, generator: torch.Generator) -> SiameseNetwork:
        """The network before training; with `pair_run` if `_coupled`."""

    @property
    def _coupled(self) -> bool:
        """Whether the distance is that of a pair's own run, and not of the embeddings."""
        return False

    @property
    def _is_euclidean(self) -> bool:
        return not self._coupled

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
        self._check_settings()
        self._forget_threshold()
        self._fit_labelled(X, y, sample_weight, groups)
        return self

    @with_callbacks
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """One epoch at a constant learning rate; the first call starts the metric, later ones may bring new classes.

        Scaling is learned in the first call and then kept. Parameters as in `fit`.
        """
        self._check_settings()
        self._forget_threshold()
        self._partial_fit_labelled(X, y, sample_weight)
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
        self._fit_given(X, pairs, same)
        return self

    def _check_settings(self, *, from_pairs: bool = False) -> None:
        super()._check_settings()
        if from_pairs and not isinstance(self.loss, str):
            raise ValueError("loss is a function of labels, and fit_pairs has none: use 'contrastive' or 'logistic'.")
        if not from_pairs and isinstance(self.loss, str) and self.loss not in BLOCK_LOSSES:
            raise ValueError(f"loss={self.loss!r} is for fit_pairs; fit(X, y) takes {sorted(BLOCK_LOSSES)}.")

    def _check_targets(self, y: Any, sequences: Sequences, known: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        return check_labels(y, len(sequences), estimator=self)

    def _start(self, training: Training, seed: int, classes: np.ndarray | None = None) -> None:
        super()._start(training, seed, classes)
        self.loss_ = self.loss if isinstance(self.loss, str) else copy.deepcopy(self.loss)

    def _plan(self, training: Training, n_batches: int, rng: np.random.Generator) -> Plan:
        return partial(
            balanced_batches,
            training.labels,
            training.sequences.lengths,
            self.batch_size,
            self.samples_per_class,
            n_batches,
            rng,
        )

    def _objective(self, training: Training, generator: torch.Generator) -> BlockObjective:
        return BlockObjective(
            self.module_,
            self.loss_,
            coupled=self._coupled,
            embedding_weight=self.embedding_weight,
            margin=self.margin,
            pairs_per_sequence=self.pairs_per_sequence,
            generator=generator,
        )

    def _fit_given(self, X: Any, pairs: Any, same: Any) -> None:
        continued = self.warm_start and hasattr(self, "module_")
        sequences = check_sequences(X, estimator=self, reset=not continued)
        pairs, same = check_pairs(pairs, same, len(sequences))
        training = Training(sequences, None, np.ones(len(sequences)))
        self._check_data(training, None, continued=continued)
        if not continued:
            self._start(training, draw_seed(self.random_state))
        self._optimizer_state = None
        self._learn_pairs(sequences, pairs, same > 0, (X, same))

    def _learn_pairs(self, sequences: Sequences, pairs: np.ndarray, same: np.ndarray, data: tuple[Any, Any]) -> None:
        rng = numpy_generator(self._seed, self.n_iter_)
        generator = torch_generator(int(rng.integers(2**31 - 1)), self._device)
        size = max(1, self.batch_size // 2)
        epochs, n_batches = self._budget(len(pairs), size)
        longest = sequences.lengths[pairs].max(axis=1)
        batches = PairBatches(
            self._standardise(sequences),
            pairs,
            torch.from_numpy(same).to(self._device),
            partial(shuffled_batches, longest, size, n_batches, rng),
            self._augmentation(generator),
        )
        objective = PairObjective(
            self.module_,
            self.loss if self.loss in PAIR_LOSSES else "contrastive",
            coupled=self._coupled,
            embedding_weight=self.embedding_weight,
            margin=self.margin,
            generator=generator,
        )
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

        def embed(values: torch.Tensor, lengths: torch.Tensor, indices: np.ndarray) -> None:
            out[indices] = self.module_.free_run(*self.module_.encode(values, lengths)).cpu().numpy()

        self._over_batches(flat, digests, embed)
        return out

    def _prepare(self, sequences: Sequences) -> PreparedSequences:
        flat = self._standardise(sequences)
        digests = flat.digests()
        embeddings = self._embed(flat, digests)
        if not self._coupled:
            return PreparedSequences(embeddings, sequences.lengths)
        return PreparedSequences(embeddings, sequences.lengths, flat, digests)

    def _embeddings(self, prepared: PreparedSequences) -> np.ndarray:
        return prepared.embeddings

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        # embeddings are float32 whatever comes in
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
