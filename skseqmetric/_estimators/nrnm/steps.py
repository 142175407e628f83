"""NRNMStepClassifier: a label at every step, from a recurrent network with a non-local memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np
import torch
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base.supervised import check_steps_stay
from skseqmetric._estimators.nrnm.base import MemoryEstimator
from skseqmetric._input import Sequences, check_step_labels
from skseqmetric._networks.memory import MemoryNetwork
from skseqmetric._networks.memory_stream import StreamState, advance, start
from skseqmetric._tasks.label_training import LabelTraining, matched
from skseqmetric._training.batches import StepLabels
from skseqmetric._training.callbacks import with_callbacks
from skseqmetric.metrics import step_accuracy


class NRNMStepClassifier(LabelTraining, MemoryEstimator):
    r"""A label at every step: a recurrent network with a non-local recurrent memory.

    The network is that of `NRNMClassifier`, which has its equations; the class scores of step t are a linear map of its
    state :math:`h_t`. State, memory and stem read nothing behind t, so a label never depends on what comes later, and
    `predict_step` gives the labels of `predict` one incoming step at a time.

    Parameters
    ----------
    n_units : int, default=64
        Units H of a layer.
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        The backbone. For "gru" and "rnn" what is read from the memory enters the new state's tanh.
    n_layers : int, default=1
        Layers, each with a memory of its own; the states of one are the inputs of the next.
    n_slots : int, default=4
        Slots S of the memory.
    stride : int or "auto", default="auto"
        Steps between the states of a block that are attended to.
    window : int, "auto" or None, default="auto"
        Recurrent steps between two updates of the memory, n_slots * stride. With both "auto" about a quarter of the
        longest training sequence, at least 2 (and no more slots than that). None for no memory: the plain backbone.
    n_heads : int, default=4
        Heads of the self-attention; they divide n_units.
    attention : bool, default=True
        False replaces the self-attention by one linear map of each token.
    memory_input : {"pooled", "tokens"}, default="pooled"
        The inputs of a block as one token, a linear map of all of them, or as S tokens.
    zoneout : float, default=0.1
        Probability that a unit keeps its old state at a step in training; its expectation is used afterwards.
    memory_dropout : float, default=0.5
        Share of the memory that is not read, drawn for every sequence and update in training.
    stem_channels : int or None, default=64
        Filters of the two convolutions (kernels 7 and 5, GELU) in front of the recurrence, padded in front only;
        None for no stem.
    dropout : float, default=0.2
        Share of the stem's filters silenced, sequence by sequence, in training.
    class_weight : dict, "balanced" or None, default=None
        Factor of the loss of every class; "balanced": inversely proportional to the summed weight of its steps.
    ignore_label : object, default=None
        A label that means "none": such steps are not learned from and not scored. Needed where y is one array padded
        to the longest sequence.
    augment : "jitter", ("jitter",), callable or None, default="jitter"
        Drawn anew for every batch. "jitter": noise (0.05) and a factor (1 ± 0.1) per channel. What moves steps would
        part them from their labels. A callable takes (values (B, T, C), lengths (B,), generator) and returns values.
    scaling : {"channel", None}, default="channel"
        Standardise every channel by its mean and standard deviation over the training steps, in float64.
    max_epochs : int, default=100
        Passes over the data at most.
    min_batches : int, default=6
        Batches of an epoch at least: small training sets need updates, not epochs.
    max_updates : int or None, default=1500
        Large training sets get fewer epochs, the least that makes this many batches; None for no such bound.
    batch_size : int, default=16
        Sequences of a batch.
    learning_rate : float, default=3e-3
        Peak of the one-cycle schedule of AdamW; constant in `partial_fit`.
    weight_decay : float, default=1e-2
        AdamW's decoupled weight decay.
    early_stopping : bool, default=False
        In `fit`, hold `validation_fraction` of the training data out and stop after `n_iter_no_change` epochs without
        an improvement of its loss by `tol`; the best weights are kept. Nothing is held out otherwise.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=10
    tol : float, default=1e-4
    device : str, default="auto"
        "auto" (CUDA where there is one, else CPU), "cpu", "cuda", "cuda:1", "mps".
    precision : {"float32", "bfloat16"}, default="float32"
        Of the forward pass in training; weights and inference are float32.
    random_state : int, RandomState, Generator or None, default=None
        Seed of weights, batches, noise and augmentation. An int gives bit-equal results on one machine with the same
        number of threads.
    warm_start : bool, default=False
        Let `fit` continue from the weights of the last fit.
    verbose : int, default=0
        1 shows a progress bar with the loss.
    callbacks : list of skorch callbacks or None, default=None
        Passed to the training loop.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Labels of steps.
    module_ : torch.nn.Module
        The network.
    window_ : int or None
        Recurrent steps between two updates of the memory.
    n_iter_ : int
        Epochs trained.
    history_ : list of dict
        "epoch", "train_loss", "dur" (seconds) and, with early stopping, "valid_loss" of every epoch.
    mean_, scale_ : ndarray of shape (C,)
        The scaling of the channels.
    n_channels_ : int
        Channels C.

    Notes
    -----
    Cost of a sequence of T recurrent steps, in multiply-adds: the backbone's 4 T H (H + F), T S H (H + F) to read the
    memory, and about (T / w) (S^2 + 7 S) H^2 to write it.

    A sequence counts by its weight, however long it is: its loss is the mean over its labelled steps.

    The equations are those of [1]_ and [2]_ and of the authors' published program, with masks for each sequence, a last
    block that is written although unfinished, and layer norms that keep their gains; stem, schedule and defaults are
    ours.

    References
    ----------
    .. [1] C. Fu, W. Pei, Q. Cao, C. Zhang, Y. Zhao, X. Shen, Y.-W. Tai, "Non-local Recurrent Neural Memory for
       Supervised Sequence Modeling", ICCV 2019.
    .. [2] W. Pei, X. Feng, C. Fu, Q. Cao, G. Lu, Y.-W. Tai, "Learning Sequence Representations by Non-local Recurrent
       Neural Memory", IJCV 130, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import NRNMStepClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(t, 2)) for t in (20, 30, 25, 40)]
    >>> y = [np.where(np.cumsum(x[:, 0]) > 0, "up", "down") for x in X]
    >>> labeller = NRNMStepClassifier(8, stem_channels=None, max_epochs=5, random_state=0).fit(X, y)
    >>> [len(labels) for labels in labeller.predict(X)]
    [20, 30, 25, 40]
    >>> label, state = labeller.predict_step(X[0][0])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **MemoryEstimator._parameter_constraints,
        **LabelTraining._parameter_constraints,
        "ignore_label": [object],
    }

    def __init__(  # noqa: PLR0915  (one line a parameter)
        self,
        n_units: int = 64,
        *,
        cell: str = "lstm",
        n_layers: int = 1,
        n_slots: int = 4,
        stride: int | str = "auto",
        window: int | str | None = "auto",
        n_heads: int = 4,
        attention: bool = True,
        memory_input: str = "pooled",
        zoneout: float = 0.1,
        memory_dropout: float = 0.5,
        stem_channels: int | None = 64,
        dropout: float = 0.2,
        class_weight: Any = None,
        ignore_label: Any = None,
        augment: Any = "jitter",
        scaling: str | None = "channel",
        max_epochs: int = 100,
        min_batches: int = 6,
        max_updates: int | None = 1500,
        batch_size: int = 16,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        device: str = "auto",
        precision: str = "float32",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
    ) -> None:
        self.n_units = n_units
        self.cell = cell
        self.n_layers = n_layers
        self.n_slots = n_slots
        self.stride = stride
        self.window = window
        self.n_heads = n_heads
        self.attention = attention
        self.memory_input = memory_input
        self.zoneout = zoneout
        self.memory_dropout = memory_dropout
        self.stem_channels = stem_channels
        self.dropout = dropout
        self.class_weight = class_weight
        self.ignore_label = ignore_label
        self.augment = augment
        self.scaling = scaling
        self.max_epochs = max_epochs
        self.min_batches = min_batches
        self.max_updates = max_updates
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.callbacks = callbacks

    # ------------------------------------------------------------------ fitting
    @with_callbacks
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn to label steps.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : list of n arrays (T_i,), or array (n, T)
            Label of every step. One array for sequences of different lengths is padded with `ignore_label`.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence in the loss. A weight of 2 is the same as writing the sequence twice, a weight of 0
            the same as leaving it out.
        groups : array-like of shape (n,), optional
            With `early_stopping=True`, sequences of one group fall on one side of the validation split.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For input outside the contract (see `check_sequences`), labels that do not match the steps, a single class,
            a window longer than the longest training sequence, or parameters that contradict each other.
        FloatingPointError
            When the loss is no longer finite; the last finite weights are kept.
        """
        self._check_settings()
        self._fit_labelled(X, y, sample_weight, groups)
        return self

    @with_callbacks
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:
        """One epoch at a constant learning rate.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (K,), optional
            All labels that are to come, in the first call; those of y where None.
        """
        self._check_settings()
        self._partial_fit_labelled(X, y, sample_weight, classes)
        return self

    def _check_settings(self) -> None:
        super()._check_settings()
        check_steps_stay(self.augment)

    def _check_targets(self, y: Any, sequences: Sequences, known: np.ndarray | None) -> tuple[np.ndarray, StepLabels]:
        classes, codes = check_step_labels(
            y, sequences.lengths, ignore_label=self.ignore_label, min_classes=2 if known is None else 1
        )
        codes = codes if known is None else matched(classes, codes, known)
        return classes if known is None else known, StepLabels(codes, sequences.lengths)

    def _build_network(self, n_channels: int, longest: int, generator: torch.Generator) -> MemoryNetwork:
        return self._network(n_channels, longest, generator, head="steps", n_outputs=len(self.classes_))

    # ------------------------------------------------------------------ prediction
    def _scores(self, X: Any) -> list[np.ndarray]:
        """Logits (T_i, K) of every sequence."""
        check_is_fitted(self)
        return self._run_steps(X, lambda values, lengths: (self.module_(values, lengths), lengths))

    def predict(self, X: Any) -> list[np.ndarray]:
        """Labels of every step: a list of n arrays (T_i,)."""
        best = [scores.argmax(axis=1) for scores in self._scores(X)]
        return [self.classes_[codes] for codes in best]

    def predict_proba(self, X: Any) -> list[np.ndarray]:
        """Class probabilities of every step: a list of n arrays (T_i, K), columns as in `classes_`."""
        return [softmax(scores.astype(np.float64), axis=1) for scores in self._scores(X)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of labelled steps that are predicted rightly; a step counts by the weight of its sequence."""
        return step_accuracy(y, self.predict(X), ignore_label=self.ignore_label, sample_weight=sample_weight)

    # ------------------------------------------------------------------ streaming
    def predict_step(self, x: Any, state: StreamState | None = None) -> tuple[Any, StreamState]:
        """The label of one incoming step, as `predict` would give it for the sequence so far.

        Parameters
        ----------
        x : array-like of shape (C,)
            The step, in the units of the training data.
        state : StreamState or None, default=None
            What the previous call returned; None for the first step. It is not changed.

        Returns
        -------
        label : one of `classes_`
        state : StreamState
            To be given with the next step. Its size does not grow.
        """
        check_is_fitted(self)
        row = np.asarray(x, dtype=np.float64)
        if row.shape != (self.n_channels_,):
            raise ValueError(f"x has shape {row.shape}, but a step of this estimator has shape ({self.n_channels_},).")
        if not np.isfinite(row).all():
            raise ValueError(f"x is not finite in channel {int(np.argmin(np.isfinite(row)))}.")
        scaled = torch.from_numpy(((row - self.mean_) / self.scale_).astype(np.float32)).to(self._device)
        logits, state = advance(self.module_, scaled, start(self.module_) if state is None else state)
        return self.classes_[int(logits.argmax())], state

    def predict_stream(self, steps: Iterable[Any]) -> Iterator[Any]:
        """Yield a label for every incoming step (C,), as soon as it is there."""
        state = None
        for x in steps:
            label, state = self.predict_step(x, state)
            yield label
