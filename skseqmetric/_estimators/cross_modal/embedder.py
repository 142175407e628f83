"""CrossModalTripletEmbedder: a classifier of sequences that embeds sequences and images in one space."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions

from skseqmetric._base import class_methods, fitting
from skseqmetric._base.exporting import ExportedModel
from skseqmetric._estimators.cross_modal import image_methods
from skseqmetric._estimators.cross_modal.base import CrossModalEstimator
from skseqmetric._estimators.cross_modal.exported import image_model, series_model
from skseqmetric._estimators.cross_modal.images import ImagePool, LabelDistances
from skseqmetric._estimators.cross_modal.moving import KINDS, MovingDistances
from skseqmetric._input import as_array, check_classes, one_label_each, real_numbers
from skseqmetric._ops.margins import label_distance, label_matrix
from skseqmetric._tasks import Classes
from skseqmetric._training.data import TrainingSet


class CrossModalTripletEmbedder(ClassifierMixin, CrossModalEstimator):
    r"""Classifier of sequences that learns from images too, and embeds both in one space.

    Each modality has an encoder. One projection maps the features of both onto the unit sphere:

    .. math::
        u = \frac{W f(X) + b}{\lVert W f(X) + b \rVert_2}, \qquad
        v = \frac{W g(I) + b}{\lVert W g(I) + b \rVert_2},

    Here f is the mean over the steps of the features of the series encoder, and g is the vector of the image encoder.
    Each modality has a linear head for the classes. A batch holds sequences, each with an image of its class. Training
    minimises

    .. math::
        w_s\, \mathrm{CE}(X, y) + w_i\, \mathrm{CE}(I^+, y) + w_x \max(d(u, v^+) - d(u, v^-) + \alpha,\, 0), \qquad
        \alpha = \beta\, D(y, y^-)

    for `loss="triplet"` with the dynamic margin. Here :math:`v^-` is an image of another class in the same batch, and D
    is the label distance of the classes. Only `fit` needs images. Without images it trains the series branch alone.

    Parameters
    ----------
    n_components : int, default=64
        Size D of the embedding.
    loss : {"pair", "contrastive", "triplet"}, default="triplet"
        "pair" is :math:`d(u, v^+)`, "contrastive" is :math:`d(u, v^+) + \max(\alpha - d(u, v^-), 0)`, and "triplet" is
        the third term above without its weight.
    distance : {"mse", "cosine", "pearson", "kl", "mmd", "coral", "homm"}, default="cosine"
        Distance d between embeddings in the loss. The last three compare whole batches: there is one d, and the mean
        margin. For embeddings of length 1, cosine and pearson are at most 2, mse at most 4 / D and kl at most 3.1 / D.
        The last two thus count little against the cross-entropies, unless `loss_weights` gives them more weight.
    margin : "dynamic" or float, default="dynamic"
        Margin :math:`\alpha`: "dynamic" is `beta` times the label distance of the sequence and the negative, so that
        each triplet has its own. It stays the same throughout training, unless `label_distance` is "prototypes" or
        "confusion". With "classes" all triplets have the margin `beta`. A float is a constant margin.
    beta : float or None, default=None
        Margin per unit of label distance. None: 1e-3 for mse, and 0.1 for cosine, pearson and mmd. For the others it is
        a twentieth of their largest value for embeddings of length 1. This is about :math:`0.15 / D` for kl,
        :math:`0.025 / D^2` for coral and :math:`0.2 / D^3` for homm.
    label_distance : str, array-like (K, K) or callable, default="classes"
        Distance of two classes. "classes" is 1 for different classes. "ordered" is the difference of their indices in
        `classes_`. Two distances follow the training, without gradients. Every epoch uses those of the epoch before,
        divided by their mean over all pairs, and the first epoch uses "classes". "prototypes" is
        :math:`\lVert p_a - p_b \rVert_2`, with the mean :math:`p_a` of the embeddings of class a in both modalities.
        "confusion" is :math:`-\tfrac12 \ln(P_{ab} P_{ba} / (P_{aa} P_{bb}))`, at least 0 [2]_, with the mean
        probability :math:`P_{ab}` of class b for sequences of class a. A matrix has the order of `classes_`. A callable
        takes two labels. Their distances are at least 0, and 0 from a class to itself. Classes at distance 0 are not
        negatives of each other.
    curriculum : bool, default=False
        Whether training starts with far negatives. Their label distance is at least 5 in the first fifth of training,
        and at least 1 in the last fifth. If a batch has none, the farthest label is taken. It has no effect with
        "classes", "prototypes" and "confusion".
    shared_layers : {"embedding", "convolution", "both"}, default="embedding"
        Layers that the loss between both modalities acts on. "embedding" is the projection, u and v above.
        "convolution" is the shared convolution: the last one of each encoder, with 100 filters in both. Its output is
        averaged over the steps or over the cells of the image, and divided by its length. "both" is the mean of both
        losses. The last two need the package's own encoders.
    common_convolution : bool, default=False
        Whether the shared convolution has the same weights in both encoders. It slides along the steps of a sequence
        and along every row of an image. A pointwise convolution before it gives the image as many channels. It needs
        the package's own encoders.
    loss_weights : {"equal", "dynamic"} or three floats, default="equal"
        Weights :math:`w_s, w_i, w_x`. "equal": one third each. "dynamic" is dynamic weight averaging: every epoch gives
        more weight to the losses that fell least between the last two epochs. Three floats are the weights themselves.
    series_encoder : "conv_bilstm" or torch.nn.Module, default="conv_bilstm"
        "conv_bilstm" has two blocks of convolution, maximum of two steps, batch normalisation and dropout. A
        convolution and a bidirectional LSTM follow. A module has forward(values (B, T, C), lengths (B,)) and returns
        (features (B, T', F), their lengths (B,)). The lengths returned are from 1 to T'. Values past the end of a row
        are 0. Training starts from a copy in float32.
    image_encoder : "conv" or torch.nn.Module, default="conv"
        "conv" has three or four blocks of convolution, batch normalisation, maximum of 2 x 2 pixels and dropout. A
        convolution follows. A module has forward(images (B, c, h, w)) and returns (B, F), with the F of the series
        encoder.
    n_filters : int, default=200
        Filters of the blocks of the series encoder.
    n_units : int, default=60
        Units of the LSTM in the series encoder, in each direction.
    n_layers : int, default=2
        Layers of the LSTM in the series encoder.
    dropout : float, default=0.2
        Share of the filters in the blocks of both encoders that is set to zero in training.
    instance_channels : bool or "auto", default="auto"
        Whether the network also reads three views of every channel. They are the channel standardised within its
        sequence, its standardised changes from step to step, and the logarithm of its deviation. They show movements
        that are small beside others, and let new recordings have other levels. True: all views. "auto": the first fit
        decides by its training data. It drops views that are constant or copies. The others are kept if they clearly
        lower the held-out error of ridge regression on random convolutions, in four folds that keep `groups` together.
        This takes under a second. Below 16 different sequences there are no views. Encoders of your own read the
        channels alone.
    augment : sequence of {"jitter", "warp", "crop"}, callable or None, default=("jitter", "warp", "crop")
        Augmentation of the sequences, drawn anew for every batch. "jitter" adds noise (0.05) and multiplies every
        channel by a factor (1 ± 0.1). "warp" is a smooth random time warp. "crop" cuts up to 5 % off either end. A
        callable takes (values (B, T, C), lengths (B,), generator) and returns values.
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
        Sequences in a batch. A batch has as many images.
    learning_rate : float, default=3e-3
        Peak of the one-cycle schedule of AdamW. `partial_fit` keeps the learning rate at this value.
    weight_decay : float, default=1e-2
        Decoupled weight decay of AdamW.
    early_stopping : bool, default=False
        Whether `fit` holds out validation data, stops once their loss no longer improves, and keeps the best weights.
        The validation loss is the cross-entropy of the sequences. False: nothing is held out.
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
        Precision of the forward pass in training. Losses, weights and inference are float32.
    random_state : int, RandomState, Generator or None, default=None
        Seed of weights, batches, images, noise and augmentation. An int gives bit-equal results on one machine with the
        same number of threads.
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
    module_ : torch.nn.Module
        The network.
    network_config_ : dict
        Arguments of the network's class. `type(module_)(**network_config_)` is the same network with new weights.
    instance_channels_ : dict of str to tuple of int
        Views that the network reads beside the channels: "standardised", "changes" and "deviation", each with its
        channels. Empty without views.
    image_shape_ : tuple of three int
        Channels, height and width of the images. Absent if `fit` had no images.
    n_iter_ : int
        Epochs trained.
    history_ : list of dict
        "epoch", "train_loss", "dur" (seconds) and, with early stopping, "valid_loss" of every epoch. With images also
        the unweighted parts "series_loss", "image_loss" and "cross_loss".
    label_distances_ : ndarray of shape (K, K)
        Distances of the classes after the last epoch. Only with images and "prototypes" or "confusion".
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
    A training step encodes each modality once, for every loss. The sequences cost O(B T F^2 k) for F filters of k = 4
    steps, and T / 4 sequential steps of the LSTM. The images cost their convolutions. The estimator keeps the
    embeddings of the training data for `kneighbors`.

    The losses and distances are those of [1]_. That paper states that a contrastive or triplet loss across the two
    modalities helps the task of the sequences. The margin there grows with the distance of the labels. The values of
    `beta`, the curriculum, layer sizes, the unit sphere and the training schedule are reconstructed or ours.

    References
    ----------
    .. [1] F. Ott, D. Ruegamer, L. Heublein, B. Bischl, C. Mutschler, "Auxiliary Cross-Modal Representation Learning
       With Triplet Loss Functions for Online Handwriting Recognition", IEEE Access, 2023.
    .. [2] R. N. Shepard, "Stimulus and response generalization: a stochastic model relating generalization to distance
       in psychological space", Psychometrika 22, 1957.

    Examples
    --------
    >>> from skseqmetric import CrossModalTripletEmbedder
    >>> from skseqmetric.datasets import make_sine_images
    >>> X, y, images = make_sine_images(10, n_classes=3, n_steps=60, image_size=16, random_state=0)
    >>> embedder = CrossModalTripletEmbedder(8, n_filters=8, n_units=8, max_epochs=5, random_state=0)
    >>> embedder.fit(X, y, images=images).transform(X).shape
    (30, 8)
    >>> embedder.kneighbors(X[:4], 2, return_distance=False).shape  # the images nearest to four sequences
    (4, 2)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **CrossModalEstimator._parameter_constraints,
        "label_distance": [StrOptions({"classes", "ordered", *KINDS}), "array-like", callable],
    }

    _head = "classes"

    def __init__(  # noqa: PLR0915  (one line a parameter)
        self,
        n_components: int = 64,
        *,
        loss: str = "triplet",
        distance: str = "cosine",
        margin: float | str = "dynamic",
        beta: float | None = None,
        label_distance: Any = "classes",
        curriculum: bool = False,
        shared_layers: str = "embedding",
        common_convolution: bool = False,
        loss_weights: Any = "equal",
        series_encoder: Any = "conv_bilstm",
        image_encoder: Any = "conv",
        n_filters: int = 200,
        n_units: int = 60,
        n_layers: int = 2,
        dropout: float = 0.2,
        instance_channels: bool | str = "auto",
        augment: Any = ("jitter", "warp", "crop"),
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
        self.n_components = n_components
        self.loss = loss
        self.distance = distance
        self.margin = margin
        self.beta = beta
        self.label_distance = label_distance
        self.curriculum = curriculum
        self.shared_layers = shared_layers
        self.common_convolution = common_convolution
        self.loss_weights = loss_weights
        self.series_encoder = series_encoder
        self.image_encoder = image_encoder
        self.n_filters = n_filters
        self.n_units = n_units
        self.n_layers = n_layers
        self.dropout = dropout
        self.instance_channels = instance_channels
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

    # ------------------------------------------------------------------ fitting
    @fitting
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
        *,
        images: Any = None,
        image_labels: Any = None,
    ) -> Self:
        """Learn to classify sequences and, given images, a common embedding of both.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : array-like of shape (n,)
            Class of every sequence.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence, and of its image, in the loss. A weight of 2 acts like two copies of both. A
            weight of 0 acts like leaving both out.
        groups : array-like of shape (n,), optional
            Group of every sequence, such as its recording or subject. `instance_channels="auto"` holds out whole
            groups. With `early_stopping=True`, all sequences of a group fall on the same side of the validation split.
        images : array (m, h, w) or (m, h, w, c), or list of m images, optional
            Images of one size: uint8 (divided by 255), bool or float. None: training uses the sequences alone, and the
            network has no image encoder.
        image_labels : array-like of shape (m,), optional
            Classes of images that belong to no particular sequence. A sequence then gets a random image of its class
            every time it is in a batch. None: image i belongs to sequence i and has its class, m = n.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, or `check_images` does not accept the images. There is a single class,
            or the numbers of images and of sequences or labels differ. A class has no image, or an image has an unknown
            class. The label distances do not fit the classes. An encoder returns a wrong shape.
        FloatingPointError
            The loss is no longer finite. The last finite weights are kept if the training data have finite features
            with them; else the estimator is as it was before. The message says which.
        KeyboardInterrupt
            Ctrl-C came twice, or in a search, a cross-validation or a pipeline. The weights learned so far are kept. A
            single Ctrl-C elsewhere ends the fit with a ConvergenceWarning.
        """
        continued = self.warm_start and hasattr(self, "module_")
        self._fit(X, y, sample_weight, groups, self._given(images, image_labels, continued=continued))
        self._remember(X, images)
        return self

    @fitting
    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        *,
        images: Any = None,
        image_labels: Any = None,
    ) -> Self:
        """Train for one epoch at a constant learning rate. The first call also learns the scaling of the channels.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        y : array-like of shape (n,)
            As in `fit`.
        classes : array-like of shape (K,), optional
            All labels of this and later calls, read by the first call. None: the labels of the first y.
        sample_weight : array-like of shape (n,), optional
            As in `fit`.
        images : array (m, h, w) or (m, h, w, c), or list of m images, optional
            As in `fit`. Later calls may have images only if the first call had some. A later call without images trains
            the series branch alone and leaves the image encoder unchanged.
        image_labels : array-like of shape (m,), optional
            As in `fit`.

        Returns
        -------
        self
        """
        declared = None if classes is None else Classes(labels=check_classes(classes))
        given = self._given(images, image_labels, continued=hasattr(self, "module_"))
        self._partial_fit(X, y, sample_weight, declared, given)
        self._remember(X, images)
        return self

    def _make_task(self) -> Classes:
        return Classes()

    def _number_labels(
        self, task: Classes, targets: np.ndarray, image_labels: Any, n_images: int
    ) -> tuple[np.ndarray, np.ndarray, Sequence[np.ndarray]]:
        if image_labels is None:
            return targets, targets, ()
        labels, classes = one_label_each(image_labels, n_images, "image_labels", "images"), task.labels
        places = {label: code for code, label in enumerate(classes.tolist())}
        of_images = np.array([places.get(label, -1) for label in labels.tolist()], dtype=np.int64)
        if (of_images < 0).any():
            i = int(np.argmin(of_images))
            raise ValueError(
                f"image {i} has the label {labels.tolist()[i]!r}, which is not among the classes {classes} of y."
            )
        missing = np.setdiff1d(targets, of_images)
        if len(missing):
            raise ValueError(
                f"class {classes.tolist()[missing[0]]!r} has sequences but no image: every class of y needs one."
            )
        return targets, of_images, ()

    def _label_distances(self, task: Classes, pool: ImagePool) -> tuple[LabelDistances, LabelDistances | None]:
        how = self.label_distance
        if isinstance(how, str) and how in KINDS:
            continued = self._moving is not None and getattr(self, "n_iter_", 0) > 0
            start = self._moving.matrix if continued and self._moving is not None else None
            # every other class is a negative, however near it is
            return MovingDistances(how, len(task.labels), start), partial(label_distance, "classes")
        if not isinstance(how, str) and not callable(how):
            how = real_numbers(as_array(how, "label_distance"), "label_distance")
        return partial(label_distance, how if isinstance(how, str) else label_matrix(how, task.labels)), None

    @property
    def label_distances_(self) -> np.ndarray:
        """Distances (K, K) of the classes after the last epoch, if `label_distance` follows the training."""
        if self._moving is None:
            raise AttributeError("label_distances_ exists after a fit with images and a label_distance that moves.")
        return self._moving.matrix

    def _has_image_task(self, training: TrainingSet, task: Classes, *, continued: bool) -> bool:
        return True

    # ------------------------------------------------------------------ prediction
    predict = class_methods.predict
    predict_proba = class_methods.predict_proba
    decision_function = class_methods.decision_function
    score = class_methods.score
    predict_images = image_methods.predict_images
    predict_proba_images = image_methods.predict_proba_images
    decision_function_images = image_methods.decision_function_images
    score_images = image_methods.score_images

    # ------------------------------------------------------------------ export
    def _exportable(self) -> ExportedModel:
        return series_model(self, symbols=False)

    def _exportable_images(self) -> ExportedModel:
        return image_model(self, symbols=False)
