"""RecurrentClassifier: a trained LSTM or GRU for classes of sequences or of steps."""

from __future__ import annotations

from typing import Any

from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions

from skseqmetric._base import class_methods, renamed
from skseqmetric._estimators.recurrent.base import RecurrentEstimator


@renamed(readout="pooling", predict_steps="predict_prefixes")
class RecurrentClassifier(ClassifierMixin, RecurrentEstimator):
    r"""Classifier of sequences or of every step: a trained LSTM or GRU with a linear head.

    The gates of an LSTM [1]_ or of a GRU [2]_ update a state at every step,

    .. math::
        \text{LSTM:}\quad (i, f, g, o)_t &= W x_t + b + U h_{t-1} + b' \\
        c_t &= \sigma(f_t) \odot c_{t-1} + \sigma(i_t) \odot \tanh g_t, \quad
        h_t = \sigma(o_t) \odot \tanh c_t \\
        \text{GRU:}\quad r_t &= \sigma(W_r x_t + b_r + U_r h_{t-1} + b'_r), \quad
        z_t = \sigma(W_z x_t + b_z + U_z h_{t-1} + b'_z) \\
        n_t &= \tanh(W_n x_t + b_n + r_t \odot (U_n h_{t-1} + b'_n)), \quad
        h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    from h = c = 0 before the first step. The K class scores are A h + a. Here h is the pooled state of a sequence or,
    with `target="step"`, the state of a step. Cross-entropy trains all weights.

    `EchoStateClassifier` has the same interface, but random recurrent weights that are not trained. A pipeline or a
    grid search can choose between the two.

    Parameters
    ----------
    n_units : int, default=20
        Units H per layer and direction.
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        Recurrence: long short-term memory, gated recurrent unit, or plain recurrence with tanh (Elman 1990).
    n_layers : int, default=1
        Number of layers. Each layer reads the states of the layer before.
    bidirectional : bool, default=False
        Whether a second recurrence reads every sequence backwards. A state then has the 2 H numbers of both.
    target : {"sequence", "step"}, default="sequence"
        Whether y has one label per sequence, (n,), or one per step, a list of n arrays (T_i,). Predictions have the
        same form.
    pooling : {"last", "mean", "both"}, default="last"
        Pooling over time: the last valid state, the mean of the valid states, or both concatenated. The backward
        direction has its last state at the first step. With `target="step"` only `transform` uses it.
    dropout : float, default=0.0
        Share of the units between layers and before the head, and of the numbers of tokens' vectors, that is set to
        zero in training. A unit is zero at all steps of a sequence.
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
        False. True then needs `bidirectional=True`, because views read the whole sequence.
    class_weight : dict, "balanced" or None, default=None
        Factor of the loss of every class. "balanced" is inversely proportional to the summed weight of a class.
    ignore_label : object, default=None
        Label of steps without a label, with `target="step"`. These steps are neither learned from nor scored. It is
        needed if y is one array padded to the longest sequence.
    augment : sequence of {"jitter", "warp", "crop"}, callable or None, default=None
        Augmentation, drawn anew for every batch. "jitter" adds noise (0.05) and multiplies every channel by a factor
        (1 ± 0.1). "warp" is a smooth random time warp. "crop" cuts up to 5 % off either end. A callable takes
        (values (B, T, C), lengths (B,), generator) and returns values. With `target="step"`, "warp" and "crop" are
        refused, because they move steps away from their targets.
    scaling : {"channel", None}, default="channel"
        Standardise every channel by its mean and standard deviation over all training steps, computed in float64.
    max_epochs : int, default=100
        Largest number of passes over the training data.
    min_batches : int, default=8
        Smallest number of batches in an epoch. It gives small training sets enough updates.
    max_updates : int or None, default=1500
        Largest number of updates of a full fit, for large training sets. The last epoch ends early there. None: no
        limit. `partial_fit` always trains for a whole epoch.
    batch_size : int, default=16
        Sequences in a batch, at least 2.
    learning_rate : float, default=1e-2
        Peak of the one-cycle schedule of AdamW. `partial_fit` keeps the learning rate at this value. Use a smaller
        value for more than about 50 units.
    weight_decay : float, default=1e-4
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
        Seed of weights, batches, dropout and augmentation. An int gives bit-equal results on one machine with the same
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
    classes_ : ndarray of shape (K,)
        Sorted labels.
    coef_ : ndarray of shape (K, F)
        Weights of the linear head in the units of y. F is H, or 2 H for a bidirectional network.
    intercept_ : ndarray of shape (K,)
        Biases of the linear head in the units of y.
    module_ : torch.nn.Module
        The network.
    network_config_ : dict
        Arguments of the network's class. `type(module_)(**network_config_)` is the same network with new weights.
    instance_channels_ : dict of str to tuple of int
        Views that the network reads beside the channels: "standardised", "changes" and "deviation", each with its
        channels. Empty without views.
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
    Cost in multiply-adds for T steps of a layer with F inputs: 4 T H (H + F) with "lstm", 3 T H (H + F) with "gru",
    T H (H + F) with "rnn". Two directions double the cost, and training triples it. Steps run one after another. The
    sequences of a batch run in parallel.

    A sequence counts by its weight, whatever its length. With `target="step"` its loss is the mean over its labelled
    steps. Training merges equal sequences with equal targets into one sequence of their summed weight.

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

    def __init__(  # noqa: PLR0915  (one line a parameter)
        self,
        n_units: int = 20,
        *,
        cell: str = "lstm",
        n_layers: int = 1,
        bidirectional: bool = False,
        target: str = "sequence",
        pooling: str = "last",
        dropout: float = 0.0,
        tokens: bool = False,
        n_token_features: int = 64,
        token_dropout: float = 0.25,
        instance_channels: bool | str = "auto",
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
        self.bidirectional = bidirectional
        self.target = target
        self.pooling = pooling
        self.dropout = dropout
        self.tokens = tokens
        self.n_token_features = n_token_features
        self.token_dropout = token_dropout
        self.instance_channels = instance_channels
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
        self.missing = missing
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.callbacks = callbacks
        self.checkpoint = checkpoint

    # ------------------------------------------------------------------ a task of classes
    _make_task = class_methods.make_task
    fit = class_methods.fit
    partial_fit = class_methods.partial_fit
    decision_function = class_methods.decision_function
    predict_proba = class_methods.predict_proba
    predict = class_methods.predict
    score = class_methods.score
