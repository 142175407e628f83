"""NRNMMetric: a learned distance from a recurrent network with a non-local memory."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import Interval, StrOptions

from skseqmetric._base import renamed
from skseqmetric._estimators.nrnm import memory
from skseqmetric._metrics.embedding import EmbeddingMetric
from skseqmetric._networks.memory import MemoryNetwork
from skseqmetric._tasks import Task
from skseqmetric._training.data import TrainingSet


@renamed(readout="pooling", stem_channels="n_filters", n_outputs="n_components")
class NRNMMetric(EmbeddingMetric):
    r"""Learned distance between sequences: a siamese recurrent network with a non-local recurrent memory.

    One network reads both sequences of a pair separately. `NRNMClassifier` documents its equations. A linear map sends
    the pooled states h to a point on the unit sphere. The distance of two sequences is that of their points:

    .. math::
        e(X) = \frac{W h + b}{\lVert W h + b \rVert_2} \in \mathbb{R}^D, \qquad
        d(X^1, X^2) = \lVert e(X^1) - e(X^2) \rVert_2 \in [0, 2]

    The distance is Euclidean: it is symmetric, d(x, x) = 0, and the triangle inequality holds. `transform` returns the
    points e(X), so that any search by embedding is exact. With ``coupling="alignment"`` the distance has a second part,
    of states that are matched.

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
    pooling : {"mean", "last", "both"}, default="mean"
        Pooling over time of the last layer: the mean of the valid states, the last valid state (as in the papers), or
        both concatenated.
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
        This takes under a second. Below 16 different sequences there are no views. `fit_pairs` has no labels, and
        "auto" means False there.
    n_filters : int or None, default=64
        Filters of the stem: two convolutions (kernels 7 and 5, GELU) in front of the recurrence. None: no stem.
    max_recurrent_steps : int or None, default=64
        Largest number of recurrent steps of the longest training sequence. `fit` chooses the strides of the stem, which
        are powers of 2, to meet it. None: stride 1. Without a stem, sequences keep their length.
    dropout : float, default=0.2
        Share of the stem's filters, and of the numbers of tokens' vectors, that is set to zero in training, drawn for
        every sequence.
    n_components : int, default=64
        Size D of the embedding.
    coupling : {"alignment", None}, default=None
        How the two sequences of a pair meet. None: in their points e(X). "alignment" matches their states h too, see
        the notes of `SyncGRUMetric`: for classes that the training data do not have, sequences that are not aligned,
        and few examples. The triangle inequality may then fail.
    n_places : int, default=24
        "alignment": places P of every sequence whose states are matched.
    pooled_weight : float, default=1.0
        "alignment": weight w of the points e(X) in the squared distance. With 0 they are not trained, unless
        `embedding_weight` says so.
    loss : {"nca", "contrastive", "triplet", "logistic"} or callable, default="nca"
        Loss of the distances within a batch. "logistic" is for `fit_pairs` only. Its probability that a pair belongs
        together is :math:`\sigma(m^2 - \gamma d^2)` with the margin m and a learned scale :math:`\gamma`. A loss can
        also be a callable (embeddings, labels) -> scalar, such as a loss object of pytorch-metric-learning.
    margin : float, default=1.0
        "contrastive": distance from which a pair of different sequences costs nothing. "logistic": distance at which a
        pair is undecided.
    embedding_weight : float or "auto", default="auto"
        "alignment": weight of the loss of the points' distances, added to the loss of the matched distances. "auto" is
        0, or 1 with a callable loss.
    samples_per_class : int, default=4
        Sequences per class in a batch.
    augment : "auto", sequence of {"jitter", "warp", "crop"}, callable or None, default="auto"
        Augmentation, drawn anew for every batch. "jitter" adds noise (0.05) and multiplies every channel by a factor
        (1 ± 0.1). "warp" is a smooth random time warp. "crop" cuts up to 5 % off either end. A callable takes
        (values (B, T, C), lengths (B,), generator) and returns values. "auto" means all three, or none for tokens.
    scaling : {"channel", None}, default="channel"
        Standardise every channel by its mean and standard deviation over all training steps, computed in float64.
    max_epochs : int, default=100
        Largest number of passes over the training data.
    min_batches : int, default=6
        Smallest number of batches in an epoch. It gives small training sets enough updates.
    max_updates : int or None, default=1500
        Largest number of updates of a full fit, for large training sets. The last epoch ends early there. None: no
        limit. `partial_fit` always trains for a whole epoch.
    batch_size : int, default=32
        Sequences in a batch. `fit_pairs` takes half as many pairs.
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
    classes_ : ndarray
        Labels seen in `fit` and `partial_fit`.
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
    threshold_ : float
        Set by `calibrate_threshold`.

    Notes
    -----
    For T recurrent steps with F inputs the backbone costs 4 T H (H + F) multiply-adds. Reading the memory costs
    T S H (H + F). Writing it costs about (T / w) (S^2 + 7 S) H^2.

    The memory is that of [1]_ and [2]_. Similarity learning with siamese networks is an application in [2]_. The unit
    sphere, the "nca" and "logistic" losses, stem, instance channels, mean pooling, schedule and defaults are ours.

    References
    ----------
    .. [1] C. Fu, W. Pei, Q. Cao, C. Zhang, Y. Zhao, X. Shen, Y.-W. Tai, "Non-local Recurrent Neural Memory for
       Supervised Sequence Modeling", ICCV 2019.
    .. [2] W. Pei, X. Feng, C. Fu, Q. Cao, G. Lu, Y.-W. Tai, "Learning Sequence Representations by Non-local Recurrent
       Neural Memory", IJCV 130, 2022.

    Examples
    --------
    >>> from skseqmetric import NRNMMetric, SequenceKNeighborsClassifier
    >>> from skseqmetric.datasets import make_shifted_sequences
    >>> X, y = make_shifted_sequences(60, n_classes=2, random_state=0)
    >>> metric = NRNMMetric(8, n_filters=8, max_epochs=5, random_state=0)
    >>> SequenceKNeighborsClassifier(metric, n_neighbors=1).fit(X[:40], y[:40]).predict(X[40:]).shape
    (20,)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **EmbeddingMetric._parameter_constraints,
        **EmbeddingMetric._token_constraints,
        **memory.CONSTRAINTS,
        "coupling": [StrOptions({"alignment"}), None],
        "n_places": [Interval(Integral, 1, None, closed="left")],
        "pooled_weight": [Interval(Real, 0, None, closed="left")],
        "embedding_weight": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "n_components": [Interval(Integral, 1, None, closed="left")],
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
        pooling: str = "mean",
        tokens: bool = False,
        n_token_features: int = 64,
        token_dropout: float = 0.25,
        instance_channels: bool | str = "auto",
        n_filters: int | None = 64,
        max_recurrent_steps: int | None = 64,
        dropout: float = 0.2,
        n_components: int = 64,
        coupling: str | None = None,
        n_places: int = 24,
        pooled_weight: float = 1.0,
        loss: Any = "nca",
        margin: float = 1.0,
        embedding_weight: float | str = "auto",
        samples_per_class: int = 4,
        augment: Any = "auto",
        scaling: str | None = "channel",
        max_epochs: int = 100,
        min_batches: int = 6,
        max_updates: int | None = 1500,
        batch_size: int = 32,
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
        self.pooling = pooling
        self.tokens = tokens
        self.n_token_features = n_token_features
        self.token_dropout = token_dropout
        self.instance_channels = instance_channels
        self.n_filters = n_filters
        self.max_recurrent_steps = max_recurrent_steps
        self.dropout = dropout
        self.n_components = n_components
        self.coupling = coupling
        self.n_places = n_places
        self.pooled_weight = pooled_weight
        self.loss = loss
        self.margin = margin
        self.embedding_weight = embedding_weight
        self.samples_per_class = samples_per_class
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

    _network = MemoryNetwork
    module_: MemoryNetwork

    def _check_combinations(self, training: TrainingSet, task: Task, *, continued: bool) -> None:
        memory.check_memory(self, training, "embedding", continued=continued)

    def _network_config(self, training: TrainingSet, task: Task) -> dict[str, Any]:
        config = memory.memory_config(self, training, "embedding", self.n_components, self._views(training, task))
        return {
            **config,
            "coupling": self.coupling,
            "n_places": self.n_places,
            "pooled_weight": self.pooled_weight,
        }

    # ------------------------------------------------------------------ looks into the network
    hidden_states = memory.hidden_states
    memory_states = memory.memory_states
    window_ = memory.window_
