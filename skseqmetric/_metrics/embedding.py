"""Metrics learned by gradient descent from labels or from given pairs, in one fit or in parts."""

from __future__ import annotations

import copy
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from torch import nn

from skseqmetric._base import NetworkEstimator, Objective, Stage, exporting, fitting
from skseqmetric._input import Sequences
from skseqmetric._metrics.alignment import Alignment, alignments
from skseqmetric._metrics.euclidean import embedded_nearest
from skseqmetric._metrics.pair_runs import EmbeddedSequences
from skseqmetric._metrics.pairings import Pairing, pairing_of
from skseqmetric._metrics.protocol import Metric
from skseqmetric._metrics.search import prepared_references
from skseqmetric._ops.metric_losses import BLOCK_LOSSES, PAIR_LOSSES
from skseqmetric._tasks import Classes, Pairs, Task
from skseqmetric._tensors.modules import own_copy
from skseqmetric._tensors.resolve import draw_seed, resolve_device
from skseqmetric._training.augmentation import Augment
from skseqmetric._training.batches import PairBatches, Plan, balanced_batches, shuffled_batches
from skseqmetric._training.checkpoints import Streams
from skseqmetric._training.data import TrainingSet
from skseqmetric._training.objectives import BlockObjective, PairObjective


def _matches(metric: Any) -> bool:
    """Whether the distance of a metric is that of matched states. The error becomes the cause of an AttributeError."""
    coupling = metric._coupling_in_use
    if coupling != "alignment":
        raise ValueError(f'coupling={coupling!r} matches no states: fit the metric with coupling="alignment".')
    return True


class EmbeddingMetric(NetworkEstimator, Metric):
    """A metric whose network embeds sequences. It learns from labels or from pairs.

    The distance is the Euclidean distance of the embeddings. A subclass may couple the two sequences of a pair: the
    distance then comes from a run of the network on that pair.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **NetworkEstimator._parameter_constraints,
        "loss": [StrOptions({*BLOCK_LOSSES, *PAIR_LOSSES}), HasMethods(["__call__"])],
        "margin": [Interval(Real, 0, None, closed="neither")],
        "samples_per_class": [Interval(Integral, 2, None, closed="left")],
    }

    # parameters of coupled metrics; they have no effect in the others
    coupling: str | None = None
    _reads_lent = True
    embedding_weight: Any = "auto"
    pairs_per_sequence: int | None = None

    @property
    def _is_euclidean(self) -> bool:
        return self._coupling_in_use is None

    @property
    def _coupling_in_use(self) -> str | None:
        return self.module_.coupling if "module_" in vars(self) else self.coupling

    @property
    def _pairing(self) -> Pairing:
        return pairing_of(self.module_)

    # ------------------------------------------------------------------ fitting
    @fitting
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn the distance from labelled sequences.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,)
            Class of every sequence. Sequences of one class shall be close to each other.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence as an anchor of the loss. A weight of 2 acts like two copies of the sequence. A
            weight of 0 acts like leaving it out.
        groups : array-like of shape (n,), optional
            Group of every sequence, such as its recording or subject. `instance_channels="auto"` holds out whole
            groups. Batches mix the groups of a class. With `early_stopping=True`, all sequences of a group fall on the
            same side of the validation split.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            X is not accepted by `check_sequences`, or y has a single class.
        FloatingPointError
            The loss is no longer finite. The last finite weights are kept if the training data have finite features
            with them; else the estimator is as it was before. The message says which.
        KeyboardInterrupt
            Ctrl-C came twice, or in a search, a cross-validation or a pipeline. The weights learned so far are kept. A
            single Ctrl-C elsewhere ends the fit with a ConvergenceWarning.
        """
        self._fit(X, y, sample_weight, groups)
        return self

    @fitting
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch at a constant learning rate.

        The first call makes the network and learns the scaling of the channels. Later calls keep the scaling. They may
        bring new classes.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        y : array-like of shape (n,)
            As in `fit`.
        sample_weight : array-like of shape (n,), optional
            As in `fit`.

        Returns
        -------
        self
        """
        self._partial_fit(X, y, sample_weight)
        return self

    @fitting
    def fit_pairs(self, X: Any, pairs: Any, same: Any) -> Self:
        """Learn the distance from weak supervision: pairs that are known to belong together or not.

        The loss is the contrastive loss of the given pairs. With `loss="logistic"` it is the logistic loss.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        pairs : array-like of int, shape (P, 2)
            Rows of X.
        same : array-like of shape (P,)
            +1 if both sequences belong together, -1 if not.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            X is not accepted by `check_sequences`, or `loss` is a callable, which would need labels.
        FloatingPointError
            The loss is no longer finite. The last finite weights are kept if the training data have finite features
            with them; else the estimator is as it was before. The message says which.
        KeyboardInterrupt
            Ctrl-C came twice, or in a search, a cross-validation or a pipeline. The weights learned so far are kept. A
            single Ctrl-C elsewhere ends the fit with a ConvergenceWarning.
        """
        continued = self.warm_start and "module_" in vars(self)
        task, training, augment = self._checked_pairs(X, pairs, same, reset=not continued)
        seed, device = self._seed if continued else draw_seed(self.random_state), resolve_device(self.device)
        seed = self._open_checkpoint("fit_pairs", training, task, device, seed, continued=continued)
        self._begin(training, task, None if continued else seed, device)
        self._optimizer_state = None
        self._learn_pairs(training, task, augment, (X, same))
        return self

    def _checked_pairs(self, X: Any, pairs: Any, same: Any, *, reset: bool) -> tuple[Pairs, TrainingSet, Augment]:
        self._validate_params()
        if not isinstance(self.loss, str):
            raise ValueError("loss is a function of labels, and fit_pairs has none: use 'contrastive' or 'logistic'.")
        tokens = self._reads_tokens(reset=reset)
        if tokens:
            self._refuse_views("tokens=True", "reads numbers")
        augment = Augment(self.augment, tokens=tokens)
        sequences = self._read(X, reset=reset)
        task = Pairs(kind=self.loss if self.loss in PAIR_LOSSES else "contrastive", margin=self.margin)
        task, codes = task.check((pairs, same), sequences)
        return task, TrainingSet(sequences, codes, np.ones(len(sequences))), augment

    def _learn_pairs(self, training: TrainingSet, task: Pairs, augment: Augment, data: tuple[Any, Any]) -> None:
        rng, generator = self._generators()
        size = max(1, self._resolved_batch_size() // 2)
        epochs, n_batches, n_updates = self._budget(len(task.pairs), size)
        longest = training.sequences.lengths[task.pairs].max(axis=1)
        batches = PairBatches(
            self._flat(training.sequences),
            task.pairs,
            torch.from_numpy(training.targets).to(self._device),
            partial(shuffled_batches, longest, size, n_batches, rng),
            partial(augment, generator=generator),
            left=n_updates,
        )
        weight = self._resolved_embedding_weight()
        objective = PairObjective(self.module_, task, embedding_weight=weight, generator=generator)
        self._minimise(Objective(objective), Streams(rng, generator, batches), None, epochs, n_updates, data)

    def _make_task(self) -> Task:
        if isinstance(self.loss, str) and self.loss not in BLOCK_LOSSES:
            raise ValueError(f"loss={self.loss!r} is for fit_pairs; fit(X, y) takes {sorted(BLOCK_LOSSES)}.")
        return Classes(growing=True)

    def _plan_batches(self, training: TrainingSet, size: int, n_batches: int, rng: np.random.Generator) -> Plan:
        lengths = training.sequences.lengths
        per_class, groups = self.samples_per_class, training.groups
        return partial(balanced_batches, training.targets, lengths, size, per_class, n_batches, rng, groups)

    def _make_objective(
        self, training: TrainingSet, task: Classes, generator: torch.Generator, stage: Stage
    ) -> Objective:
        # a loss may have parameters of its own, so it is kept as long as the network; it is trained in place
        earlier: Any = self.loss if stage.fresh else getattr(self, "loss_", self.loss)
        self.loss_ = own_copy(earlier, "loss") if isinstance(earlier, nn.Module) else copy.deepcopy(earlier)
        objective = BlockObjective(
            self.module_,
            self.loss_,
            embedding_weight=self._resolved_embedding_weight(),
            margin=self.margin,
            pairs_per_sequence=self.pairs_per_sequence,
            generator=generator,
        )
        return Objective(objective)

    export = exporting.export

    def _exportable(self) -> exporting.ExportedModel:
        exporting.refuse_tokens(self)
        return exporting.of_metric(self)

    def _resolved_embedding_weight(self) -> float:
        """Return the weight of the embeddings' loss: "auto" is 0 where the matched distance trains the embedding."""
        if isinstance(self.embedding_weight, str):
            return 0.0 if self.module_.coupling == "alignment" and isinstance(self.loss, str) else 1.0
        return self.embedding_weight

    # ------------------------------------------------------------------ distances
    @available_if(_matches)
    def alignment(self, X: Any, Y: Any) -> list[Alignment]:
        """Return what matched what in the pairs (X[p], Y[p]), and the share of every step in their distances.

        It exists with ``coupling="alignment"``.

        Parameters
        ----------
        X, Y : list of n (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences, paired row by row.

        Returns
        -------
        alignments : list of n `skseqmetric.inspection.Alignment`
            Each has the costs (P, P) of all places of both sequences, where the places lie, which of them matched, and
            the shares of places and input steps. Its `distance` is that of `pair_distance`, up to rounding.

        Raises
        ------
        ValueError
            `check_sequences` does not accept X or Y, or they have different numbers of sequences.

        See Also
        --------
        skseqmetric.inspection.AlignmentDisplay : Draw the matching of a pair.
        """
        left, right = self._prepared(X), self._prepared(Y)
        if len(left) != len(right):
            raise ValueError(f"X has {len(left)} sequences and Y has {len(right)}: they are paired row by row.")
        return alignments(self.module_, left, right)

    def _prepare(self, sequences: Sequences) -> EmbeddedSequences:
        return self._pairing.prepare(self._scaled(sequences))

    def _tile(
        self, left: EmbeddedSequences, rows: np.ndarray, right: EmbeddedSequences, columns: np.ndarray
    ) -> np.ndarray:
        return self._pairing.tile(left, rows, right, columns)

    def _rows(
        self, left: EmbeddedSequences, rows: np.ndarray, right: EmbeddedSequences, columns: np.ndarray
    ) -> np.ndarray:
        return self._pairing.rows(left, rows, right, columns)

    def _embeddings(self, prepared: EmbeddedSequences) -> np.ndarray:
        return prepared.embeddings

    def _nearest(
        self,
        queries: EmbeddedSequences,
        references: EmbeddedSequences,
        k: int,
        *,
        exclude: np.ndarray | None,
        n_candidates: int | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        if self._is_euclidean:
            return embedded_nearest(queries.embeddings, prepared_references(self, references), k, exclude)
        return self._nearest_by_pairs(queries, references, k, exclude=exclude, n_candidates=n_candidates)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
