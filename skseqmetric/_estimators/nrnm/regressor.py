"""NRNMRegressor: a recurrent network with a non-local memory, for numbers of sequences or of steps."""

from __future__ import annotations

from typing import Any

from sklearn.base import MultiOutputMixin, RegressorMixin

from skseqmetric._base import number_methods
from skseqmetric._estimators.nrnm.base import MemoryEstimator


class NRNMRegressor(MultiOutputMixin, RegressorMixin, MemoryEstimator):
    """Regressor of sequences or of every step: a recurrent network with a non-local recurrent memory.

    `NRNMClassifier` has the same network, and documents its equations. The predictions are a linear map of the pooled
    states or, with `target="step"`, of every state. The squared error on standardised targets trains the network. With
    `target="step"` a prediction never depends on later steps, and `predict_step` predicts one incoming step at a time.

    Parameters
    ----------
    n_units : int, default=64
        Units H of a layer.
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        Recurrence of the backbone. With "gru" and "rnn", the value read from the memory enters the tanh of the new
        state.
    n_layers : int, default=1
        Number of layers. Each layer has its own memory, and reads the states of the layer before.
    n_slots : int, default=4
        Slots S of the memory.
    stride : int or "auto", default="auto"
        Steps between two states of a block that the self-attention reads. A block is the last n_slots * stride
        recurrent steps.
    window : int, "auto" or None, default="auto"
        Recurrent steps between two updates of the memory. Less than a block: blocks overlap, as the window of the
        papers' figure slides over the sequence. More: steps between blocks are not attended to. With `stride="auto"`
        the stride is window / n_slots, so that blocks follow one another. "auto": n_slots * stride. If both are "auto",
        the window is about a quarter of the longest training sequence, at least 2. It then also limits the number of
        slots. None: no memory, only the plain backbone.
    n_heads : int, default=4
        Heads of the self-attention. They must divide n_units.
    attention : bool, default=True
        Whether self-attention updates the memory. False replaces it by one linear map of each token.
    memory_input : {"pooled", "tokens"}, default="pooled"
        Input tokens of a block: "pooled" is one token, a linear map of all inputs of the block. "tokens" are S tokens.
    zoneout : float, default=0.1
        Probability that a unit keeps its old state at a step in training. Inference uses the expected state.
    memory_dropout : float, default=0.5
        Share of the memory that is not read in training, drawn for every sequence and update.
    target : {"sequence", "step"}, default="sequence"
        Whether y has one target per sequence or one per step.
    pooling : {"mean", "last", "both"}, default="mean"
        Pooling over time of the last layer: the mean of the valid states, the last valid state (as in the papers), or
        both concatenated. With `target="step"` only `transform` uses it.
    tokens : bool, default=False
        Whether the sequences are tokens: a sequence is a list (T_i,) of text or of integers, or (T_i, C) with C tokens
        a step. The network learns a vector of every token of the training data (`vocabulary_`), and reads the vectors.
        Tokens that are not in the vocabulary share one vector, that of the unknown token. `scaling` then has no effect,
        `instance_channels` must be "auto" or False, and named augmentations are refused.
    n_token_features : int, default=64
        Numbers of the vector of a token, the size of the learned embedding. With C tokens a step, the network reads C
        such vectors side by side. Only with `tokens=True`, as the next.
    token_dropout : float, default=0.25
        Constant a of the dropout of tokens: a token that occurs n times in the training data is read as unknown with
        probability a / (a + n) at a step in training. Rare tokens thus train the unknown one. 0: none is, and the
        unknown vector stays as it was drawn.
    instance_channels : bool or "auto", default="auto"
        Whether the network also reads three views of every channel. They are the channel standardised within its
        sequence, its standardised changes from step to step, and the logarithm of its deviation. They show movements
        that are small beside others, and let new recordings have other levels. True: all views. "auto": the first fit
        decides by its training data. It drops views that are constant or copies. The others are kept if they clearly
        lower the held-out error of ridge regression on random convolutions, in four folds that keep `groups` together.
        This takes under a second. Below 16 different sequences there are no views. With `target="step"` "auto" means
        False, because no step may then depend on the whole sequence.
    n_filters : int or None, default=64
        Filters of the stem: two convolutions (kernels 7 and 5, GELU) in front of the recurrence. None: no stem. With
        `target="step"` the convolutions are padded in front only.
    max_recurrent_steps : int or None, default=64
        Largest number of recurrent steps of the longest training sequence. `fit` chooses the strides of the stem, which
        are powers of 2, to meet it. None: stride 1. Without a stem, and with `target="step"`, sequences keep their
        length.
    dropout : float, default=0.2
        Share of the stem's filters, and of the numbers of tokens' vectors, that is set to zero in training, drawn for
        every sequence.
    augment : "auto", sequence of {"jitter", "warp", "crop"}, callable or None, default="auto"
        Augmentation, drawn anew for every batch. "jitter" adds noise (0.05) and multiplies every channel by a factor
        (1 ± 0.1). "warp" is a smooth random time warp. "crop" cuts up to 5 % off either end. A callable takes
        (values (B, T, C), lengths (B,), generator) and returns values. "auto" means all three. With `target="step"` it
        means "jitter" alone, because the others move steps away from their targets.
    scaling : {"channel", None}, default="channel"
        Standardise every channel by its mean and standard deviation over all training steps, computed in float64.
    max_epochs : int, default=100
        Largest number of passes over the training data.
    min_batches : int, default=6
        Smallest number of batches in an epoch. It gives small training sets enough updates.
    max_updates : int or None, default=1500
        Largest number of updates of a full fit, for large training sets. The last epoch ends early there. None: no
        limit. `partial_fit` always trains for a whole epoch.
    batch_size : int or "auto", default="auto"
        Sequences in a batch. "auto" is 32, or 16 with `target="step"`.
    learning_rate : float, default=3e-3
        Peak of the one-cycle schedule of AdamW. `partial_fit` keeps the learning rate at this value.
    weight_decay : float, default=1e-2
        Decoupled weight decay of AdamW.
    early_stopping : bool, default=False
        Whether `fit` holds out validation data, stops once their loss no longer improves, and keeps the best weights.
        False: nothing is held out.
    validation_fraction : float, default=0.1
        Share of the training data that early stopping holds out.
    n_iter_no_change : int, default=10
        Number of epochs without improvement after which training stops.
    tol : float, default=1e-4
        Smallest decrease of the validation loss that counts as an improvement.
    missing : {"error", "interpolate", "mask"}, default="error"
        What becomes of missing values (NaN) in sequences. "error" refuses them. "interpolate" puts them on lines
        between observed values, and a channel without any in a sequence gets its training mean. "mask" then adds two
        channels for each: whether the value was observed, and the steps since the last one that was.
    device : str, default="auto"
        "auto" (CUDA if available, else the CPU), "cpu", "cuda", "cuda:1" or "mps".
    precision : {"float32", "bfloat16"}, default="float32"
        Precision of the forward pass in training. Weights and inference are float32.
    random_state : int, RandomState, Generator or None, default=None
        Seed of weights, batches, noise and augmentation. An int gives bit-equal results on one machine with the same
        number of threads.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last fit.
    verbose : int, default=0
        1 shows a progress bar with the loss.
    callbacks : list of skorch callbacks or None, default=None
        Callbacks for the training loop.
    checkpoint : str, path-like or None, default=None
        Folder for a checkpoint. `fit` writes it after every epoch. If it finds one, it goes on from there, and ends
        with the bits of a fit that was never interrupted. A checkpoint of other data or parameters is refused. None:
        nothing is written.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (K,)
        Weighted mean and standard deviation of the training targets. With `target="step"` every sequence counts by its
        weight, whatever its length. The deviation of a constant output is set to 1.
    module_ : torch.nn.Module
        The network.
    network_config_ : dict
        Arguments of the network's class. `type(module_)(**network_config_)` is the same network with new weights.
    instance_channels_ : dict of str to tuple of int
        Views that the network reads beside the channels: "standardised", "changes" and "deviation", each with its
        channels. Empty without views.
    window_ : int or None
        Recurrent steps between two updates of the memory.
    n_iter_ : int
        Epochs trained.
    history_ : list of dict
        "epoch", "train_loss", "dur" (seconds) and, with early stopping, "valid_loss" of every epoch.
    mean_, scale_ : ndarray of shape (C,)
        Scaling of the channels. The network reads (x - mean_) / scale_.
    vocabulary_ : dict
        Tokens of the data of the first fit and their codes, from 1 on; with C > 1 tokens a step a list of C dicts. Code
        0 is the unknown token. Only with `tokens=True`.
    n_channels_ : int
        Channels C, or tokens a step.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.

    Notes
    -----
    For T recurrent steps with F inputs the backbone costs 4 T H (H + F) multiply-adds. Reading the memory costs
    T S H (H + F). Writing it costs about (T / w) (S^2 + 7 S) H^2.

    The equations are those of [1]_ and [2]_ and of the authors' published program. We add masks for each sequence. We
    also write the last block of a sequence if it is unfinished, and keep the gains of the layer norms. Stem, instance
    channels, mean pooling, schedule and defaults are ours.

    A sequence counts by its weight, whatever its length. With `target="step"` its loss is the mean over its steps.

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
        tokens: bool = False,
        n_token_features: int = 64,
        token_dropout: float = 0.25,
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
        missing: str = "error",
        device: str = "auto",
        precision: str = "float32",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
        checkpoint: Any = None,
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
        self.tokens = tokens
        self.n_token_features = n_token_features
        self.token_dropout = token_dropout
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
        self.missing = missing
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.callbacks = callbacks
        self.checkpoint = checkpoint

    # ------------------------------------------------------------------ a task of numbers
    _make_task = number_methods.make_task
    fit = number_methods.fit
    partial_fit = number_methods.partial_fit
    predict = number_methods.predict
    score = number_methods.score
