"""NRNMRegressor: numbers for sequences or for steps, from a recurrent network with a non-local memory."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import MultiOutputMixin, RegressorMixin

from skseqmetric._estimators.nrnm.base import MemoryEstimator
from skseqmetric._tasks import Numbers
from skseqmetric._training.callbacks import with_callbacks


class NRNMRegressor(MultiOutputMixin, RegressorMixin, MemoryEstimator):
    """Numbers for sequences, or for every step: a recurrent network with a non-local recurrent memory.

    The network is that of `NRNMClassifier`, which has its equations. The numbers are a linear map of the pooled states
    or, with `target="step"`, of every state, trained by squared error on standardised targets. With `target="step"`
    nothing behind a step is read, and `predict_step` answers one incoming step at a time.

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
    target : {"sequence", "step"}, default="sequence"
        What y is given for: a whole sequence, or every step.
    pooling : {"mean", "last", "both"}, default="mean"
        Pooling over time: the mean of the valid states of the last layer, the last one (as in the papers), or both side
        by side. With `target="step"` for `transform` only.
    instance_channels : bool or "auto", default="auto"
        Show the network every channel in four ways: as it is, standardised within its sequence, its changes from step
        to step over their deviation, and the logarithm of its own deviation. Small movements are then seen next to the
        large ones that set the scale of the training data. For movements below 5 % of it, leave "jitter" out of
        `augment`: its noise would hide them. "auto": True, but False with `target="step"`, where no step may read the
        whole sequence.
    n_filters : int or None, default=64
        Filters of the two convolutions (kernels 7 and 5, GELU) in front of the recurrence; None for no stem. With
        `target="step"` they are padded in front only.
    max_recurrent_steps : int or None, default=64
        The stem's strides (powers of 2) are chosen at fit so that the longest training sequence has at most this many
        recurrent steps; None for stride 1. Nothing is shortened without a stem, or with `target="step"`.
    dropout : float, default=0.2
        Share of the stem's filters silenced, sequence by sequence, in training.
    augment : "auto", sequence of {"jitter", "warp", "crop"}, callable or None, default="auto"
        Drawn anew for every batch. "jitter": noise (0.05) and a factor (1 ± 0.1) per channel; "warp": smooth random
        time warp; "crop": up to 5 % off either end. "auto": all three, or "jitter" alone with `target="step"`, as the
        others would part steps from their targets. A callable takes (values (B, T, C), lengths (B,), generator) and
        returns values.
    scaling : {"channel", None}, default="channel"
        Standardise every channel by its mean and standard deviation over the training steps, in float64.
    max_epochs : int, default=100
        Passes over the data at most.
    min_batches : int, default=6
        Batches of an epoch at least: small training sets need updates, not epochs.
    max_updates : int or None, default=1500
        Large training sets get fewer epochs, the least that makes this many batches; None for no such bound.
    batch_size : int or "auto", default="auto"
        Sequences of a batch; "auto" is 32, or 16 with `target="step"`.
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
    y_mean_, y_scale_ : ndarray of shape (K,)
        Mean and standard deviation of the training targets, by weight; of steps, every sequence counts by its weight,
        however long it is. The deviation of a constant output is set to 1.
    module_ : torch.nn.Module
        The network.
    network_config_ : dict
        Arguments of the network's class: `type(module_)(**network_config_)` is the same network with new weights.
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

    The equations are those of [1]_ and [2]_ and of the authors' published program, with masks for each sequence, a last
    block that is written although unfinished, and layer norms that keep their gains; stem, instance channels, the mean
    as pooling, schedule and defaults are ours.

    A sequence counts by its weight, however long it is: its loss with `target="step"` is the mean over its steps.

    References
    ----------
    .. [1] C. Fu, W. Pei, Q. Cao, C. Zhang, Y. Zhao, X. Shen, Y.-W. Tai, "Non-local Recurrent Neural Memory for
       Supervised Sequence Modeling", ICCV 2019.
    .. [2] W. Pei, X. Feng, C. Fu, Q. Cao, G. Lu, Y.-W. Tai, "Learning Sequence Representations by Non-local Recurrent
       Neural Memory", IJCV 130, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import NRNMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(t, 1)) for t in rng.integers(10, 20, size=40)]
    >>> regressor = NRNMRegressor(8, n_filters=8, max_epochs=5, random_state=0).fit(X, [x.sum() for x in X])
    >>> regressor.predict(X).shape
    (40,)
    >>> running = NRNMRegressor(8, target="step", n_filters=None, max_epochs=5, random_state=0)
    >>> sums = running.fit(X, [x[:, 0].cumsum() for x in X]).predict(X)
    >>> [len(s) == len(x) for x, s in zip(X[:3], sums)]
    [True, True, True]
    """

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
        target: str = "sequence",
        pooling: str = "mean",
        instance_channels: bool | str = "auto",
        n_filters: int | None = 64,
        max_recurrent_steps: int | None = 64,
        dropout: float = 0.2,
        augment: Any = "auto",
        scaling: str | None = "channel",
        max_epochs: int = 100,
        min_batches: int = 6,
        max_updates: int | None = 1500,
        batch_size: int | str = "auto",
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
        self.target = target
        self.pooling = pooling
        self.instance_channels = instance_channels
        self.n_filters = n_filters
        self.max_recurrent_steps = max_recurrent_steps
        self.dropout = dropout
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
        """Learn to predict numbers for sequences, or for their steps.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,) or (n, K); with `target="step"` list of n arrays (T_i,) or (T_i, K)
            Targets; of steps also as one array (n, T) or (n, T, K) for sequences of one length.
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
            For input outside the contract (see `check_sequences`), targets that are not finite numbers or do
            not match the sequences or their steps, a window longer than the longest training
            sequence, or parameters that contradict each other.
        FloatingPointError
            When the loss is no longer finite; the last finite weights are kept.
        """
        self._fit(X, y, sample_weight, groups)
        return self

    @with_callbacks
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """One epoch at a constant learning rate; the first call learns the scaling of channels and targets too.

        Parameters as in `fit`.
        """
        self._partial_fit(X, y, sample_weight)
        return self

    def _make_task(self) -> Numbers:
        return Numbers(every_step=self.target == "step")

    # ------------------------------------------------------------------ prediction
    def predict(self, X: Any) -> Any:
        """Outputs in the units of y.

        (n, K), or (n,) where y was; with `target="step"` a list of n arrays (T_i, K) or (T_i,).
        """
        outputs = self._outputs(X)
        return self._task.answer(outputs)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination R^2, 1 at best, averaged over the outputs; with `target="step"` of all steps.

        A sequence counts by its weight, a step by the weight of its sequence.
        """
        answers = self.predict(X)
        return self._task.score(y, answers, sample_weight)
