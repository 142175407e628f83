"""RecurrentClassifier: labels of sequences, or of their steps, from a trained LSTM or GRU."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions

from skseqmetric._base import renamed
from skseqmetric._estimators.recurrent.base import RecurrentEstimator
from skseqmetric._tasks import Classes, decision, probabilities
from skseqmetric._training.callbacks import with_callbacks


@renamed(readout="pooling", predict_steps="predict_prefixes")
class RecurrentClassifier(ClassifierMixin, RecurrentEstimator):
    r"""Classifier of sequences, or of every step of sequences: a trained LSTM or GRU with a linear head.

    A state is updated at every step, by the gates of an LSTM [1]_ or of a GRU [2]_,

    .. math::
        \text{LSTM:}\quad (i, f, g, o)_t &= W x_t + b + U h_{t-1} + b' \\
        c_t &= \sigma(f_t) \odot c_{t-1} + \sigma(i_t) \odot \tanh g_t, \quad
        h_t = \sigma(o_t) \odot \tanh c_t \\
        \text{GRU:}\quad r_t &= \sigma(W_r x_t + b_r + U_r h_{t-1} + b'_r), \quad
        z_t = \sigma(W_z x_t + b_z + U_z h_{t-1} + b'_z) \\
        n_t &= \tanh(W_n x_t + b_n + r_t \odot (U_n h_{t-1} + b'_n)), \quad
        h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    from h = c = 0 before the first step. The K class scores are A h + a, of the state after the last step, of the mean
    of all states (`pooling="mean"`), or of every state (`target="step"`). All weights are trained by cross-entropy.
    The counterpart of `EchoStateClassifier`, whose recurrent weights are drawn and left as they are, with the same
    interface: a pipeline or a grid search can choose between them.

    Parameters
    ----------
    n_units : int, default=20
        Units H of a layer and direction.
    cell : {"lstm", "gru"}, default="lstm"
        Long short-term memory, or gated recurrent units.
    n_layers : int, default=1
        Layers; the states of one are the inputs of the next.
    bidirectional : bool, default=False
        A second recurrence reads every sequence from its end to its start; a state then is that of both, 2 H numbers.
    target : {"sequence", "step"}, default="sequence"
        What has a label: a sequence, y (n,), or every step, y a list of n arrays (T_i,). Predictions are alike.
    pooling : {"last", "mean", "both"}, default="last"
        Pooling over time: the last valid state (of the backward direction its own last one, at the first step), the
        mean of the valid ones, or both side by side. With `target="step"` for `transform` only.
    dropout : float, default=0.0
        Share of the units silenced between layers and before the head in training, each for all steps of a sequence.
    class_weight : dict, "balanced" or None, default=None
        Factor of the loss of every class; "balanced": inversely proportional to the summed weight of a class.
    ignore_label : object, default=None
        With `target="step"`, a label that means "none": such steps are not learned from and not scored. Needed where y
        is one array padded to the longest sequence.
    augment : sequence of {"jitter", "warp", "crop"}, callable or None, default=None
        Drawn anew for every batch. "jitter": noise (0.05) and a factor (1 ± 0.1) per channel; "warp": smooth random
        time warp; "crop": up to 5 % off either end; the last two not with `target="step"`, whose targets they would
        leave behind. A callable takes (values (B, T, C), lengths (B,), generator) and returns values.
    scaling : {"channel", None}, default="channel"
        Standardise every channel by its mean and standard deviation over the training steps, in float64.
    max_epochs : int, default=100
        Passes over the data at most.
    min_batches : int, default=8
        Batches of an epoch at least: small training sets need updates, not epochs.
    max_updates : int or None, default=1500
        Large training sets get fewer epochs, the least that makes this many batches; None for no such bound.
    batch_size : int, default=16
        Sequences of a batch, 2 or more.
    learning_rate : float, default=1e-2
        Peak of the one-cycle schedule of AdamW; constant in `partial_fit`. Lower for more than about 50 units.
    weight_decay : float, default=1e-4
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
        Seed of weights, batches, dropout and augmentation. An int gives bit-equal results on one machine with the same
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
        Labels.
    coef_ : ndarray of shape (K, F)
        Weights of the linear head in the caller's units, F = H, or 2 H of a bidirectional network.
    intercept_ : ndarray of shape (K,)
        Its biases.
    module_ : torch.nn.Module
        The network.
    network_config_ : dict
        Arguments of the network's class: `type(module_)(**network_config_)` is the same network with new weights.
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
    Cost of a sequence of T steps, in multiply-adds of a layer that reads F numbers a step: 4 T H (H + F) with "lstm",
    3 T H (H + F) with "gru", twice that for both directions, and three times that in training. Steps follow one
    another; the sequences of a batch run side by side.

    A sequence counts by its weight, however long it is: its loss with `target="step"` is the mean over its labelled
    steps. Equal sequences with equal targets are trained on as one of their summed weight.

    References
    ----------
    .. [1] S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9, 1997.
    .. [2] K. Cho, B. van Merriënboer, C. Gulcehre, D. Bahdanau, F. Bougares, H. Schwenk, Y. Bengio, "Learning Phrase
       Representations using RNN Encoder-Decoder for Statistical Machine Translation", EMNLP 2014.
    .. [3] A. Variengien, X. Hinaut, "A Journey in ESN and LSTM Visualisations on a Language Task", arXiv:2012.01748,
       2020.

    Examples
    --------
    >>> from skseqmetric import RecurrentClassifier
    >>> from skseqmetric.datasets import make_shifted_sequences
    >>> X, y = make_shifted_sequences(60, n_classes=2, random_state=0)
    >>> classifier = RecurrentClassifier(8, cell="gru", max_epochs=5, random_state=0).fit(X[:40], y[:40])
    >>> classifier.predict(X[40:]).shape
    (20,)
    >>> [scores.shape == (len(x), 2) for x, scores in zip(X[:2], classifier.predict_prefixes(X[:2]))]
    [True, True]
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **RecurrentEstimator._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "ignore_label": [object],
    }

    def __init__(
        self,
        n_units: int = 20,
        *,
        cell: str = "lstm",
        n_layers: int = 1,
        bidirectional: bool = False,
        target: str = "sequence",
        pooling: str = "last",
        dropout: float = 0.0,
        class_weight: Any = None,
        ignore_label: Any = None,
        augment: Any = None,
        scaling: str | None = "channel",
        max_epochs: int = 100,
        min_batches: int = 8,
        max_updates: int | None = 1500,
        batch_size: int = 16,
        learning_rate: float = 1e-2,
        weight_decay: float = 1e-4,
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
        self.bidirectional = bidirectional
        self.target = target
        self.pooling = pooling
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
        """Learn to label sequences, or their steps.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,); with `target="step"` list of n arrays (T_i,), or array (n, T)
            Class of every sequence or step. One array of steps for sequences of different lengths is padded with
            `ignore_label`.
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
            For input outside the contract (see `check_sequences`), labels that do not match the sequences or their
            steps, a single class, or parameters that contradict each other.
        FloatingPointError
            When the loss is no longer finite; the last finite weights are kept.
        """
        self._fit(X, y, sample_weight, groups)
        return self

    @with_callbacks
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:
        """One epoch at a constant learning rate; the first call learns the scaling of the channels too.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (K,), optional
            All labels that are to come, in the first call; those of y where None.
        """
        declared = None if classes is None else Classes(every_step=self.target == "step", labels=np.unique(classes))
        self._partial_fit(X, y, sample_weight, declared)
        return self

    def _make_task(self) -> Classes:
        return Classes(every_step=self.target == "step", class_weight=self.class_weight, ignore_label=self.ignore_label)

    # ------------------------------------------------------------------ prediction
    def decision_function(self, X: Any) -> Any:
        """Class scores (logits).

        (n, K), or (n,) for the second of two classes against the first; with `target="step"` a list of n arrays
        (T_i, K) or (T_i,).
        """
        return decision(self._outputs(X))

    def predict_proba(self, X: Any) -> Any:
        """Class probabilities, columns as in `classes_`: (n, K), or a list of n arrays (T_i, K)."""
        return probabilities(self._outputs(X))

    def predict(self, X: Any) -> Any:
        """The most probable class of every sequence, (n,), or of every step, a list of n arrays (T_i,)."""
        outputs = self._outputs(X)
        return self._task.answer(outputs)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of sequences that are predicted rightly; with `target="step"` of labelled steps.

        A sequence counts by its weight, a step by the weight of its sequence.
        """
        answers = self.predict(X)
        return self._task.score(y, answers, sample_weight)
