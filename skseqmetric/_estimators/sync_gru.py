"""SyncGRUMetric: a siamese GRU whose two halves synchronise through a coupling gate."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skseqmetric._base import renamed, shown
from skseqmetric._metrics.embedding import EmbeddingMetric
from skseqmetric._metrics.pair_runs import coupled_states, synchronization_gaps
from skseqmetric._metrics.protocol import register_metric
from skseqmetric._networks.pooling import POOLINGS
from skseqmetric._networks.sync_gru import SyncGRUNetwork
from skseqmetric._tasks import Classes
from skseqmetric._tensors.flat import ReadSequences
from skseqmetric._tensors.inference import run_steps
from skseqmetric._training.data import TrainingSet


@register_metric("alignment", coupling="alignment", random_state=0)
@renamed(readout="pooling", stem_channels="n_filters")
class SyncGRUMetric(EmbeddingMetric):
    r"""Learned distance between sequences: a siamese GRU whose two halves synchronise.

    Two copies of one recurrent network, the halves, read the two sequences of a pair. By default they synchronise by
    matching their states: each of P places of one sequence looks for the nearest state of the other sequence. With the
    states :math:`h^x_p, h^y_q` of D numbers, resampled linearly over the length of each sequence, and the embeddings
    :math:`e^x, e^y`, which are the pooled states and what `transform` returns:

    .. math::
        c_{pq} = \lVert h^x_p - h^y_q \rVert^2, \qquad
        d(x, y)^2 = \frac1P \sum_p \min_q c_{pq} + \frac1P \sum_q \min_p c_{pq} + w \lVert e^x - e^y \rVert^2

    `alignment` returns what matched what. Other couplings are a gate between the states at every step, as in [1]_, or
    none. The distance is symmetric to the bit, d(x, x) = 0 and d >= 0. With a coupling, the triangle inequality may
    fail.

    The gate, as we reconstruct it, leads the states of similar sequences together while both halves run:

    .. math::
        c_t &= \tfrac12 \sigma(W_c (x^1_t + x^2_t) + U_c |h^1_{t-1} - h^2_{t-1}| + b_c) \in (0, \tfrac12)^H \\
        \bar h^i &= h^i_{t-1} + c_t \odot (h^j_{t-1} - h^i_{t-1}) \\
        r &= \sigma(W_r x^i_t + U_r \bar h^i + b_r), \quad z = \sigma(W_z x^i_t + U_z \bar h^i + b_z) \\
        n &= \tanh(W_n x^i_t + b_n + r \odot (U_n \bar h^i + b_{hn})) \\
        h^i_t &= (1 - z) \odot n + z \odot \bar h^i, \qquad d(X^1, X^2) = \lVert o^1 - o^2 \rVert_2

    with :math:`o^i` the pooled states of half i. The half of the shorter sequence keeps its last state until the longer
    sequence ends. In a pair of equal sequences the gate has no effect.

    Parameters
    ----------
    n_units : int, default=48
        Units H of each recurrence. The embedding has H numbers per direction.
    coupling : {"alignment", "symmetric", "diffusive", "scalar", None}, default="alignment"
        How the two sequences of a pair meet. "alignment" matches the states of their free runs. None means c = 0: the
        plain siamese GRU, whose distance is the Euclidean distance of the embeddings. It needs no work per pair: take
        it for very many references, or where `transform` shall hold the whole distance. "symmetric" is one gate for
        both halves, as above. "diffusive" is a gate for each half,
        :math:`c^i = \tfrac12\sigma(W_c x^i + U_c h^i + V_c h^j + b_c)`. "scalar" is one learned number. In our
        comparison (benchmarks/README.md) no gate was more accurate than None with the default loss.
    n_places : int, default=24
        "alignment": places P of every sequence whose states are matched.
    pooled_weight : float, default=1.0
        "alignment": weight w of the embeddings in the squared distance. With 0 the embedding is not trained, unless
        `embedding_weight` says so.
    bidirectional : bool, default=True
        Whether a second recurrence reads every sequence backwards. The pooled states of both are concatenated.
    pooling : {"mean", "last", "both"}, default="mean"
        Pooling over time: the mean of the valid states, the last valid state, or both concatenated.
    n_filters : int or None, default=64
        Filters of the stem: two convolutions with GELU in front of the recurrence. None: no stem.
    kernel_sizes : pair of ints, default=(13, 9)
        Steps of the kernels of both convolutions, odd numbers.
    max_recurrent_steps : int or None, default=64
        Largest number of recurrent steps of the longest training sequence. `fit` chooses the strides of the stem, which
        are powers of 2, to meet it. None: stride 1. Without a stem, sequences keep their length.
    dropout : float, default=0.1
        Share of the stem's filters that is set to zero in training, drawn for every sequence.
    instance_channels : bool or "auto", default="auto"
        Whether the network also reads three views of every channel. They are the channel standardised within its
        sequence, its standardised changes from step to step, and the logarithm of its deviation. They show movements
        that are small beside others, and let new recordings have other levels. True: all views. "auto": the first fit
        decides by its training data. It drops views that are constant or copies. The others are kept if they clearly
        lower the held-out error of ridge regression on random convolutions, in four folds that keep `groups` together.
        This takes under a second. Below 16 different sequences there are no views. `fit_pairs` has no labels, and
        "auto" means False there.
    loss : {"nca", "contrastive", "triplet", "logistic"} or callable, default="nca"
        Loss of the distances within a batch. "logistic" is for `fit_pairs` only. A loss can also be a callable
        (embeddings, labels) -> scalar, such as a loss object of pytorch-metric-learning. With coupling, "nca" then
        trains the coupled distances, and `sample_weight` acts on this part only.
    margin : float, default=1.0
        "contrastive": distance from which a pair of different sequences costs nothing. "logistic": distance at which a
        pair is undecided.
    embedding_weight : float or "auto", default="auto"
        Weight of the loss of the embeddings' distances, added to the loss of the coupled distances. "auto" is 0 with
        "alignment", whose distance has a part of the embeddings, and 1 with a gate or a callable loss. With a gate and
        0, the embedding and the shortlist of `algorithm="rerank"` are not trained. Without coupling it has no effect.
    pairs_per_sequence : int or None, default=8
        With a gate, pairs drawn per sequence of a batch, half within a class and half between classes. None: all pairs.
    samples_per_class : int, default=4
        Sequences per class in a batch.
    augment : sequence of {"jitter", "warp", "crop"}, callable or None, default=("jitter", "warp", "crop")
        Augmentation, drawn anew for every batch. "jitter" adds noise (0.05) and multiplies every channel by a factor
        (1 ± 0.1). "warp" is a smooth random time warp. "crop" cuts up to 5 % off either end. A callable takes
        (values (B, T, C), lengths (B,), generator) and returns values.
    scaling : {"channel", None}, default="channel"
        Standardise every channel by its mean and standard deviation over all training steps, computed in float64.
    max_epochs : int, default=50
        Largest number of passes over the training data.
    min_batches : int, default=6
        Smallest number of batches in an epoch. It gives small training sets enough updates.
    max_updates : int or None, default=1250
        Largest number of updates of a full fit, for large training sets. The last epoch ends early there. None: no
        limit. `partial_fit` always trains for a whole epoch.
    batch_size : int, default=32
        Sequences in a batch. `fit_pairs` takes half as many pairs.
    learning_rate : float, default=3e-3
        Peak of the one-cycle schedule of AdamW. `partial_fit` keeps the learning rate at this value.
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
        Seed of weights, batches, pairs and augmentation. An int gives bit-equal results on one machine with the same
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
    module_ : torch.nn.Module
        The network.
    network_config_ : dict
        Arguments of the network's class. `type(module_)(**network_config_)` is the same network with new weights.
    instance_channels_ : dict of str to tuple of int
        Views that the network reads beside the channels: "standardised", "changes" and "deviation", each with its
        channels. Empty without views.
    classes_ : ndarray
        Labels seen in `fit` and `partial_fit`.
    n_iter_ : int
        Epochs trained.
    history_ : list of dict
        "epoch", "train_loss", "dur" (seconds) and, with early stopping, "valid_loss" of every epoch.
    mean_, scale_ : ndarray of shape (C,)
        Scaling of the channels. The network reads (x - mean_) / scale_.
    n_channels_ : int
        Channels C.
    channel_names_in_ : ndarray of shape (C,)
        Names of the channels. Only after fitting data frames.
    threshold_ : float
        Set by `calibrate_threshold`.

    Notes
    -----
    Training replaces both minima by the mean under softmax(-tau c), with a learned tau.

    `transform` costs O(T H (H + S)) multiply-adds per sequence for S inputs. A matched distance costs P^2 D
    multiply-adds per pair, and one with a gate about 14 T H^2 FLOP per pair and direction. Sequences are encoded once,
    not once per pair.

    Matching is ours. Its kin are the Chamfer distance and the late interaction of text retrieval [3]_. It became the
    default by cross-validation inside the training splits of 18 problems (docs/performance.md).

    The coupling as a new gate of the GRU, and metric learning as synchronisation, are from [1]_. We could read its
    abstract and introduction only. The equations of the gate are our reconstruction from the theory of coupled
    identical systems [2]_. The stem, all losses but the contrastive one, and the defaults are ours.

    References
    ----------
    .. [1] P. Compagnon, G. Lefebvre, S. Duffner, C. Garcia, "Sequence Metric Learning as Synchronization of Recurrent
       Neural Networks", IJCNN 2021.
    .. [2] L. M. Pecora, T. L. Carroll, "Synchronization in Chaotic Systems", Physical Review Letters 64, 1990.
    .. [3] O. Khattab, M. Zaharia, "ColBERT: Efficient and Effective Passage Search via Contextualized Late Interaction
       over BERT", SIGIR 2020.

    Examples
    --------
    >>> from skseqmetric import SequenceKNeighborsClassifier, SyncGRUMetric
    >>> from skseqmetric.datasets import make_shifted_sequences
    >>> X, y = make_shifted_sequences(60, n_classes=2, random_state=0)
    >>> metric = SyncGRUMetric(8, n_filters=8, max_epochs=5, random_state=0)
    >>> knn = SequenceKNeighborsClassifier(metric, n_neighbors=1).fit(X[:40], y[:40])
    >>> knn.predict(X[40:]).shape
    (20,)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **EmbeddingMetric._parameter_constraints,
        "n_units": [Interval(Integral, 1, None, closed="left")],
        "coupling": [StrOptions({"alignment", "scalar", "symmetric", "diffusive"}), None],
        "n_places": [Interval(Integral, 1, None, closed="left")],
        "pooled_weight": [Interval(Real, 0, None, closed="left")],
        "bidirectional": ["boolean"],
        "pooling": [StrOptions(set(POOLINGS))],
        "embedding_weight": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "pairs_per_sequence": [Interval(Integral, 2, None, closed="left"), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "n_filters": [Interval(Integral, 1, None, closed="left"), None],
        "kernel_sizes": [tuple, list],
        "max_recurrent_steps": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(  # noqa: PLR0915  (one line a parameter)
        self,
        n_units: int = 48,
        *,
        coupling: str | None = "alignment",
        n_places: int = 24,
        pooled_weight: float = 1.0,
        bidirectional: bool = True,
        pooling: str = "mean",
        n_filters: int | None = 64,
        kernel_sizes: tuple[int, int] = (13, 9),
        max_recurrent_steps: int | None = 64,
        dropout: float = 0.1,
        instance_channels: bool | str = "auto",
        loss: Any = "nca",
        margin: float = 1.0,
        embedding_weight: float | str = "auto",
        pairs_per_sequence: int | None = 8,
        samples_per_class: int = 4,
        augment: Any = ("jitter", "warp", "crop"),
        scaling: str | None = "channel",
        max_epochs: int = 50,
        min_batches: int = 6,
        max_updates: int | None = 1250,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
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
        self.coupling = coupling
        self.n_places = n_places
        self.pooled_weight = pooled_weight
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.n_filters = n_filters
        self.kernel_sizes = kernel_sizes
        self.max_recurrent_steps = max_recurrent_steps
        self.dropout = dropout
        self.instance_channels = instance_channels
        self.loss = loss
        self.margin = margin
        self.embedding_weight = embedding_weight
        self.pairs_per_sequence = pairs_per_sequence
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

    _network = SyncGRUNetwork
    module_: SyncGRUNetwork

    def _check_combinations(self, training: TrainingSet, task: Classes, *, continued: bool) -> None:
        """Check what the constraint of one parameter cannot say."""
        sizes = self.kernel_sizes
        if len(sizes) != 2 or any(not isinstance(size, Integral) or size < 1 or size % 2 == 0 for size in sizes):
            raise ValueError(f"kernel_sizes={sizes!r}: two odd numbers of steps are needed, such as (13, 9).")

    def _network_config(self, training: TrainingSet, task: Classes) -> dict[str, Any]:
        return {
            "n_channels": training.sequences.values.shape[1],
            "n_units": self.n_units,
            "coupling": self.coupling,
            "n_places": self.n_places,
            "pooled_weight": self.pooled_weight,
            "bidirectional": self.bidirectional,
            "pooling": self.pooling,
            "n_filters": self.n_filters,
            "kernel_sizes": tuple(int(size) for size in self.kernel_sizes),
            "longest": int(training.sequences.lengths.max()),
            "max_recurrent_steps": self.max_recurrent_steps,
            "dropout": self.dropout,
            "views": self._views(training, task),
        }

    # ------------------------------------------------------------------ states and synchronisation
    @shown
    def hidden_states(self, X: Any, Y: Any = None) -> Any:
        """Return the states h_t after every recurrent step, of single sequences or of coupled pairs.

        Parameters
        ----------
        X : list of n (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        Y : n sequences, optional
            Partners: the network runs the coupled pairs (X[p], Y[p]). None: it runs every sequence by itself, as in
            `transform`.

        Returns
        -------
        states : list of n arrays (T_i', H D), float32
            States of both directions, concatenated in time order. T_i' is the length of the sequence, or smaller if the
            stem has strides. With Y the result is a pair of such lists: the halves that read X, and those that read Y.
            Each half has the length of its own sequence.

        Raises
        ------
        ValueError
            `check_sequences` does not accept X or Y, or they have different numbers of sequences.
        """
        if Y is not None:
            left, right = self._paired(X, Y)
            return coupled_states(self.module_, left, right)

        def run(values: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            features, steps = self.module_.encode(values, lengths)
            return self.module_.free_states(features, steps), steps

        return run_steps(self._checked(X), run)

    @shown
    def synchronization(self, X: Any, Y: Any) -> list[np.ndarray]:
        """Return the gap |h^1_t - h^2_t| between the two halves at every step of the coupled pairs (X[p], Y[p]).

        Parameters
        ----------
        X, Y : n sequences each
            Sequences, paired row by row.

        Returns
        -------
        gaps : list of n arrays of shape (T_p,)
            Gaps of the forward direction at every recurrent step of the longer sequence. With strides in the stem, a
            recurrent step covers several input steps. The gap falls to 0 when the pair synchronises.
        """
        left, right = self._paired(X, Y)
        return synchronization_gaps(self.module_, left, right)

    def _paired(self, X: Any, Y: Any) -> tuple[ReadSequences, ReadSequences]:
        left, right = self._checked(X), self._checked(Y)
        if len(left) != len(right):
            raise ValueError(f"X has {len(left)} sequences and Y has {len(right)}: they are paired row by row.")
        return left, right
