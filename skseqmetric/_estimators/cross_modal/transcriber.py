"""CrossModalTranscriber: transcription of sequences to sequences of symbols by CTC, helped by images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from skseqmetric._base import fitting, shown
from skseqmetric._base.exporting import ExportedModel
from skseqmetric._estimators.cross_modal import blanks, strips
from skseqmetric._estimators.cross_modal.base import CrossModalEstimator, copied
from skseqmetric._estimators.cross_modal.exported import image_model, series_model
from skseqmetric._estimators.cross_modal.images import ImagePool, LabelDistances
from skseqmetric._input import Sequences
from skseqmetric._networks.cross_modal import encoder_steps
from skseqmetric._networks.encoders import SeriesEncoder
from skseqmetric._ops.ctc import beam_decode, greedy_decode
from skseqmetric._ops.margins import label_distance
from skseqmetric._tasks import Symbols
from skseqmetric._tasks.spelling import (
    BLANK,
    check_alphabet,
    check_symbol_labels,
    numbered,
    spelled,
    without_start_symbol,
    written,
)
from skseqmetric._tensors.flat import FlatSequences, ReadSequences, batches_by_length
from skseqmetric._tensors.inference import MAX_STEPS, check_finite, over_batches
from skseqmetric._tensors.steps import StepTargets
from skseqmetric._training.data import TrainingSet


class CrossModalTranscriber(CrossModalEstimator):
    r"""Transcriber of sequences or image strips to sequences of symbols, such as written words.

    The encoder of the sequences leaves T' of T steps. At each of them a linear head and a softmax give the
    probabilities of the K symbols and of a blank. A path has one symbol or blank per step. Its label results from
    merging repeated symbols and then removing blanks (connectionist temporal classification, CTC). With images, one
    projection maps both modalities onto the unit sphere, as in `CrossModalTripletEmbedder`. The embedding u comes from
    the mean of the steps, and v from the mean of the columns of the image. A batch holds sequences, each with an image
    of its label. Training minimises

    .. math::
        w_s \frac{-\ln p(y \mid X)}{\max(|y|, 1)} + w_i \frac{-\ln p(y \mid I^+)}{\max(|y|, 1)}
        + w_x \max(d(u, v^+) - d(u, v^-) + \alpha,\, 0), \qquad
        \alpha = \beta\, \mathrm{ED}(y, y^-)

    for `loss="triplet"` with the dynamic margin. Here :math:`v^-` is an image of another label in the same batch, and
    ED is the edit distance. `predict` reads sequences and needs no images. `predict_images` reads image strips, such as
    scanned words, and needs no sequences. Without images, `fit` trains the series branch alone. With
    `loss_weights=(0, 1, 0)` it trains the image branch alone.

    Parameters
    ----------
    n_components : int, default=64
        Size D of the embedding.
    loss : {"pair", "contrastive", "triplet"}, default="triplet"
        "pair" is :math:`d(u, v^+)`, "contrastive" is :math:`d(u, v^+) + \max(\alpha - d(u, v^-), 0)`, and "triplet" is
        the last term above without its weight.
    distance : {"mse", "cosine", "pearson", "kl", "mmd", "coral", "homm"}, default="cosine"
        Distance d between embeddings in the loss. The last three compare whole batches: there is one d, and the mean
        margin. For embeddings of length 1, cosine and pearson are at most 2, mse at most 4 / D and kl at most 3.1 / D.
        The last two thus count little against the CTC loss, unless `loss_weights` gives them more weight.
    margin : "dynamic" or float, default="dynamic"
        Margin :math:`\alpha`: "dynamic" is `beta` times the edit distance of the labels. A float is a constant margin.
    beta : float or None, default=None
        Margin per unit of edit distance. None: 1e-3 for mse, and 0.1 for cosine, pearson and mmd. For the others it is
        a twentieth of their largest value for embeddings of length 1. This is about :math:`0.15 / D` for kl,
        :math:`0.025 / D^2` for coral and :math:`0.2 / D^3` for homm.
    curriculum : bool, default=True
        Whether training starts with far negatives. At least 5 symbols differ in the first fifth of training, and at
        least 1 in the last fifth. If a batch has none, the farthest label is taken. Negatives are labels of the same
        length. If a batch has no other label of this length, all labels are taken, by their edit distance.
    shared_layers : {"embedding", "convolution", "both"}, default="embedding"
        Layers that the loss between both modalities acts on. "embedding" is the projection, u and v above.
        "convolution" is the shared convolution: the last one of each encoder, with 100 filters in both. Its output is
        averaged over the steps or over the cells of the image, and divided by its length. "both" is the mean of both
        losses. The last two need the package's own encoders.
    common_convolution : bool, default=False
        Whether the shared convolution has the same weights in both encoders. It slides along the steps of a sequence
        and along every row of an image. A pointwise convolution before it gives the image as many channels. It needs
        the package's own encoders.
    loss_weights : {"equal", "dynamic"}, two floats or three floats, default="equal"
        Weights :math:`w_s, w_i, w_x`. "equal": all the same, with the sum 1. "dynamic" is dynamic weight averaging:
        every epoch gives more weight to the losses that fell least between the last two epochs. Three floats are the
        weights themselves. Two floats are :math:`w_s, w_x`, and images are then not transcribed.
    series_encoder : "conv_bilstm" or torch.nn.Module, default="conv_bilstm"
        "conv_bilstm" has two blocks of convolution, maximum of two steps, batch normalisation and dropout. A
        convolution and a bidirectional LSTM follow. A module has forward(values (B, T, C), lengths (B,)) and returns
        (features (B, T', F), their lengths (B,)). The lengths returned are from 1 to T' and depend only on the lengths
        of the input. Values past the end of a row are 0. Training starts from a copy in float32.
    image_encoder : "conv" or torch.nn.Module, default="conv"
        "conv" has three or four blocks of convolution, batch normalisation, maximum of 2 x 2 pixels and dropout. A
        convolution follows. With `transcribe_images`, only the first block halves the width, or the first two from a
        height of 24 pixels. A bidirectional LSTM over the columns follows, of the size of the other one. A module has
        forward(images (B, c, h, w)) and returns (B, F), with the F of the series encoder. A module that returns columns
        (B, S, F), from left to right, can be transcribed.
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
        This takes under a second. Below 16 different sequences there are no views. The target of the regression is how
        often each symbol is in a label. Encoders of your own read the channels alone.
    transcribe_images : bool or "auto", default="auto"
        Whether images are transcribed too, as strips that are read from left to right. The image branch then has a CTC
        loss of its own, and `predict_images` works. An image of w columns leaves S = ⌈w / 2⌉ steps, or ⌈w / 4⌉ from a
        height of 24 pixels. A label of L symbols needs L steps, and one more for each repeated symbol. "auto": if all
        labels of the first fit have room, and `loss_weights` are not two floats. True: a label without room is an
        error. False: images serve the shared embedding alone.
    decoding : {"greedy", "beam"}, default="greedy"
        Decoding in `predict` and `predict_images`. "greedy" takes the most probable symbol of each step. "beam"
        searches for the most probable label by prefix beam search. It can be changed after `fit`.
    beam_width : int, default=10
        Number of labels that the beam search keeps.
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
    max_updates : int or None, default=2500
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
        The validation loss is the CTC loss of the sequences, not of the images. False: nothing is held out.
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
    symbols_ : ndarray of shape (K,), of objects
        Sorted symbols of the training labels. `classes_` is the same.
    label_kind_ : {"string", "list"}
        Type of the labels.
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
        the unweighted parts "series_loss" and "cross_loss".
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
    A label of L symbols needs L + r steps if r symbols equal their predecessor. The package's own encoder leaves
    T' = ceil(T / 4) steps. A label that needs more steps is refused. An empty label is allowed.

    A sequence counts by its weight, whatever the length of its label, because its loss is divided by this length.

    CTC training starts with empty transcripts. After 250 updates on 300 words of `make_sine_words` all transcripts were
    still empty. The benchmark with words uses the default budget of 2,500 updates.

    A training step costs as much as in `CrossModalTripletEmbedder`, and O(B T' L) for the CTC loss. Greedy decoding of
    a sequence costs O(T' K). The beam search with W labels costs O(T' W (K + W + T')).

    The losses and distances are those of [1]_. That paper states that a contrastive or triplet loss across the two
    modalities helps to transcribe sequences by CTC. The margin there grows with the edit distance of the labels.
    Negatives of equal length, the curriculum, the values of `beta`, layer sizes, the unit sphere and the training
    schedule are reconstructed or ours.

    References
    ----------
    .. [1] F. Ott, D. Ruegamer, L. Heublein, B. Bischl, C. Mutschler, "Auxiliary Cross-Modal Representation Learning
       With Triplet Loss Functions for Online Handwriting Recognition", IEEE Access, 2023.
    .. [2] A. Graves, S. Fernandez, F. Gomez, J. Schmidhuber, "Connectionist Temporal Classification: Labelling
       Unsegmented Sequence Data with Recurrent Neural Networks", ICML 2006.

    Examples
    --------
    >>> from skseqmetric import CrossModalTranscriber
    >>> from skseqmetric.datasets import make_sine_words
    >>> X, words, images = make_sine_words(30, n_classes=3, image_size=16, random_state=0)
    >>> transcriber = CrossModalTranscriber(8, n_filters=8, n_units=8, max_epochs=2, random_state=0)
    >>> transcriber.fit(X, words, images=images).symbols_
    array(['0', '1', '2'], dtype=object)
    >>> len(transcriber.predict(X[:4]))  # strings, as the labels are
    4
    >>> transcriber.kneighbors(X[:4], 2, return_distance=False).shape  # the images nearest to four sequences
    (4, 2)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **CrossModalEstimator._parameter_constraints,
        "transcribe_images": ["boolean", StrOptions({"auto"})],
        "decoding": [StrOptions({"greedy", "beam"})],
        "beam_width": [Interval(Integral, 1, None, closed="left")],
    }

    _head = "steps"
    _only_after_fits = frozenset({"decoding", "beam_width"})
    # whether the last training was a `partial_fit` that left a network which writes blanks alone
    _blanks_untold: bool = False

    def __init__(  # noqa: PLR0915  (one line a parameter)
        self,
        n_components: int = 64,
        *,
        loss: str = "triplet",
        distance: str = "cosine",
        margin: float | str = "dynamic",
        beta: float | None = None,
        curriculum: bool = True,
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
        transcribe_images: bool | str = "auto",
        decoding: str = "greedy",
        beam_width: int = 10,
        augment: Any = ("jitter", "warp", "crop"),
        scaling: str | None = "channel",
        max_epochs: int = 100,
        min_batches: int = 6,
        max_updates: int | None = 2500,
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
        self.transcribe_images = transcribe_images
        self.decoding = decoding
        self.beam_width = beam_width
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
        """Learn to transcribe sequences and, given images, a common embedding of both.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Training sequences.
        y : list of n strings, or of n lists of symbols
            Label of every sequence. Symbols are characters, or any objects that can be hashed and sorted.
        sample_weight : array-like of shape (n,), optional
            Weight of every sequence, and of its image, in the loss. A weight of 2 acts like two copies of both. A
            weight of 0 acts like leaving both out, but their labels are still checked.
        groups : array-like of shape (n,), optional
            Group of every sequence, such as its recording or subject. `instance_channels="auto"` holds out whole
            groups. With `early_stopping=True`, all sequences of a group fall on the same side of the validation split.
        images : array (m, h, w) or (m, h, w, c), or list of m images, optional
            Images of one size: uint8 (divided by 255), bool or float. None: training uses the sequences alone, and the
            network has no image encoder.
        image_labels : list of m labels, optional
            Labels of images that belong to no particular sequence. A sequence then gets a random image of its label
            every time it is in a batch. Every label of y needs an image. Images with other labels are not used. None:
            image i belongs to sequence i and has its label, m = n.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `check_sequences` does not accept X, or `check_images` does not accept the images. A label needs more steps
            than its sequence has, or no label has a symbol. The numbers of images and of sequences or labels differ, or
            a label has no image. An encoder returns a wrong shape.
        TypeError
            Labels are neither all strings nor all lists, or symbols cannot be hashed or sorted.
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
        self._blanks_untold = False
        blanks.warn_after_fit(self, X, y, images)
        return self

    @fitting
    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        symbols: Any = None,
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
        y : list of n strings, or of n lists of symbols
            As in `fit`.
        symbols : str or list of symbols, optional
            All symbols of this and later calls, read by the first call. None: the symbols of the first y.
        sample_weight : array-like of shape (n,), optional
            As in `fit`.
        images : array (m, h, w) or (m, h, w, c), or list of m images, optional
            As in `fit`. Later calls may have images only if the first call had some. A later call without images trains
            the series branch alone and leaves the image encoder unchanged.
        image_labels : list of m labels, optional
            As in `fit`.

        Returns
        -------
        self
        """
        declared = None if symbols is None else Symbols(alphabet=check_alphabet(symbols, "symbols"))
        given = self._given(images, image_labels, continued=hasattr(self, "module_"))
        self._partial_fit(X, y, sample_weight, declared, given)
        self._remember(X, images)
        self._blanks_untold = blanks.series_are_blank(self, X, y)
        return self

    def _make_task(self) -> Symbols:
        return Symbols(steps_left=self._steps_left)

    def _steps_left(self, sequences: Sequences, *, continued: bool) -> np.ndarray:
        """Return the steps (n,) that the series encoder leaves of every sequence. A module of the user is run."""
        encoder = self.module_.series_encoder if continued else copied(self, "series_encoder")
        if encoder is None or isinstance(encoder, SeriesEncoder):
            return SeriesEncoder.output_lengths(sequences.lengths)
        return _steps_by_running(encoder, sequences)

    def _number_labels(
        self, task: Symbols, targets: StepTargets, image_labels: Any, n_images: int
    ) -> tuple[np.ndarray, np.ndarray, Sequence[np.ndarray]]:
        distinct, of_sequences = numbered(without_start_symbol(targets))
        if image_labels is None:
            return of_sequences, of_sequences, distinct
        labels = check_symbol_labels(image_labels, n_images, name="image_labels", of="there are {} images")
        places = {row.tobytes(): k for k, row in enumerate(distinct)}
        of_images = np.array([places.get(row.tobytes(), -1) for row in spelled(labels, task.alphabet)], dtype=np.int64)
        missing = np.setdiff1d(of_sequences, of_images)
        if len(missing):
            label = written(distinct[missing[0]], task.alphabet, str(task.kind))
            raise ValueError(f"label {label!r} has sequences but no image: every label of y needs one.")
        return of_sequences, of_images, distinct

    def _label_distances(self, task: Symbols, pool: ImagePool) -> tuple[LabelDistances, LabelDistances]:
        return partial(_distances, "edit", pool.spelled), partial(_exchanges, pool.spelled)

    def _has_image_task(self, training: TrainingSet, task: Symbols, *, continued: bool) -> bool:
        pool = training.images
        if continued and pool is not None:
            if self.module_.image_head is None:
                return False
            strips.check_room(pool.spelled, task, strips.columns(self.module_.image_encoder, pool.images))
            return True
        if isinstance(self.transcribe_images, str):
            two_weights = not isinstance(self.loss_weights, str) and np.size(self.loss_weights) == 2
            return not two_weights and (pool is None or strips.fit_into(copied(self, "image_encoder"), pool))
        if self.transcribe_images and pool is not None:
            strips.check_room(pool.spelled, task, strips.columns(copied(self, "image_encoder"), pool.images))
        return bool(self.transcribe_images)

    # ------------------------------------------------------------------ inference
    def predict(self, X: Any) -> list[Any]:
        """Transcribe sequences.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        labels : list of n strings, or of n lists of symbols
            Labels of the same type as in `fit`.
        """
        flat = self._checked(X)
        self._validate_params()
        labels = self._of_steps(flat, self._decode)
        if self._blanks_untold and not any(map(len, labels)):
            blanks.warn_of_answers(self, len(labels))
        return self._task.answer(labels)

    def _decode(self, log_probs: Tensor, steps: Tensor) -> list[np.ndarray]:
        """Return the codes of labels from log-probabilities (B, T', K + 1) and lengths (B,)."""
        if self.decoding == "beam":
            return beam_decode(log_probs, steps, self.beam_width, BLANK)
        return greedy_decode(log_probs, steps, BLANK)

    def predict_log_proba(self, X: Any) -> list[np.ndarray]:
        """Return log-probabilities at the steps that the encoder leaves, for your own decoder.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        log_probs : list of n arrays (T'_i, K + 1), float32
            The first column is the blank. The others are the symbols as in `symbols_`.
        """
        flat = self._checked(X)

        def valid(log_probs: Tensor, steps: Tensor) -> list[np.ndarray]:
            rows = log_probs.cpu().numpy()
            return [row[:n].copy() for row, n in zip(rows, steps.tolist(), strict=True)]

        return self._of_steps(flat, valid)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return 1 - character error rate of the labels that `predict` returns.

        The best score is 1. More errors than symbols give a score below 0.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.
        y : list of n strings, or of n lists of symbols
            True labels. A symbol that is not in `symbols_` counts as an error.
        sample_weight : array-like of shape (n,), optional
            Weight of every label.

        Returns
        -------
        score : float
        """
        answers = self.predict(X)
        return self._task.score(y, answers, sample_weight)

    predict_images = strips.predict_images
    predict_log_proba_images = strips.predict_log_proba_images
    score_images = strips.score_images

    @shown
    def _of_steps(self, flat: ReadSequences, what: Callable[[Tensor, Tensor], list[np.ndarray]]) -> list[np.ndarray]:
        """Return what(log-probabilities (B, T', K + 1), lengths (B,)) of all sequences, in their order."""
        out: list[Any] = [None] * len(flat)

        def each(values: Tensor, lengths: Tensor, indices: np.ndarray) -> None:
            features, steps = self.module_.encode_series(values, lengths)
            log_probs = self.module_.series_logits(features, steps).log_softmax(2)
            check_finite(log_probs.cpu().numpy(), indices)
            for i, found in zip(indices, what(log_probs, steps), strict=True):
                out[i] = found

        over_batches(flat, each)
        return out

    # ------------------------------------------------------------------ export
    def _exportable(self) -> ExportedModel:
        return series_model(self, symbols=True)

    def _exportable_images(self) -> ExportedModel:
        return image_model(self, symbols=True)


def _distances(how: str, codes: Sequence[np.ndarray], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the distances (B, M) of labels, which are given by their indices (B,) and (M,) into codes."""
    return label_distance(how, [codes[i] for i in first], [codes[i] for i in second])


def _exchanges(codes: Sequence[np.ndarray], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Count the symbols that differ between labels of equal length. A row without such labels has edit distances."""
    table = _distances("substitutions", codes, first, second)
    alone = ~(table > 0).any(axis=1)
    if alone.any():
        table[alone] = _distances("edit", codes, first[alone], second)
    return table


def _steps_by_running(encoder: nn.Module, sequences: Sequences) -> np.ndarray:
    device = next((parameter.device for parameter in encoder.parameters()), torch.device("cpu"))
    n_channels = sequences.n_channels
    blank = replace(sequences, values=np.zeros(sequences.values.shape, dtype=sequences.values.dtype))
    flat = FlatSequences.from_sequences(blank, np.zeros(n_channels), np.ones(n_channels), device)
    steps = np.empty(len(flat), dtype=np.int64)
    for rows in batches_by_length(flat.host_lengths, MAX_STEPS):
        steps[rows] = encoder_steps(encoder, *flat.padded(rows)).cpu().numpy()
    return steps
