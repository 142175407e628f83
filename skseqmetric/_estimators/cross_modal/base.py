"""The base class of the estimators of sequences and images: network, training, embeddings and retrieval."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skseqmetric._base import NetworkEstimator, Objective, Stage, shown
from skseqmetric._base.exporting import ExportedModel
from skseqmetric._estimators.cross_modal import exported
from skseqmetric._estimators.cross_modal.images import GivenImages, ImageColumns, ImagePool, LabelDistances
from skseqmetric._estimators.cross_modal.moving import MovingDistances
from skseqmetric._estimators.cross_modal.objective import SHARED_LAYERS, Course, CrossModalObjective, CrossTerm
from skseqmetric._input import Sequences, as_array, check_images, real_numbers
from skseqmetric._metrics.euclidean import embedded_nearest, embedded_rows, embedded_tile
from skseqmetric._metrics.pair_runs import EmbeddedSequences
from skseqmetric._metrics.protocol import Metric
from skseqmetric._metrics.search import k_nearest, prepared_references
from skseqmetric._networks.cross_modal import CrossModalNetwork, encoder_width, image_width
from skseqmetric._ops.cross_modal_losses import KINDS
from skseqmetric._ops.embedding_distances import BATCH, PAIRED
from skseqmetric._ops.margins import default_beta
from skseqmetric._ops.parallel import run_tiles
from skseqmetric._ops.progress import progress
from skseqmetric._tasks import Task
from skseqmetric._tensors.device_embeddings import embed_sequences
from skseqmetric._tensors.flat import FlatSequences, tensor_of
from skseqmetric._tensors.inference import check_finite, n_threads, run_steps
from skseqmetric._tensors.modes import answering
from skseqmetric._tensors.modules import own_copy
from skseqmetric._training.batches import Plan, shuffled_batches
from skseqmetric._training.data import TrainingSet

N_FEATURES = 100
"""Size of the features of the package's own encoders."""

N_SHARED = 100
"""Filters of the shared convolution of the package's own encoders."""

LEAST_PIXELS = 8
"""Smallest side of images for the package's own encoder."""

IMAGE_STREAM = 2**33
"""Number of the first random stream for images and negatives."""

PIXELS = 2**18
"""Pixels in one inference batch of images."""


class CrossModalEstimator(NetworkEstimator, Metric):
    """An estimator of sequences that can also learn from images, and that embeds both.

    A subclass defines how labels become numbers (`_number_labels`), how distant they are (`_label_distances`), and
    whether images have a task of their own (`_has_image_task`). It also names the `_head` of the network.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **NetworkEstimator._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions(set(KINDS))],
        "distance": [StrOptions(set(PAIRED | BATCH))],
        "margin": [StrOptions({"dynamic"}), Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="neither"), None],
        "curriculum": ["boolean"],
        "shared_layers": [StrOptions(set(SHARED_LAYERS))],
        "common_convolution": ["boolean"],
        "loss_weights": [StrOptions({"equal", "dynamic"}), "array-like"],
        "series_encoder": [StrOptions({"conv_bilstm"}), nn.Module],
        "image_encoder": [StrOptions({"conv"}), nn.Module],
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "n_units": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    _stored: ClassVar[dict[str, str]] = {
        "_gallery": "dict",
        "_moving": "none|record MovingDistances",
        "_divided": "bool",
        "_blanks_untold": "bool",
    }

    _network = CrossModalNetwork
    module_: CrossModalNetwork

    _is_euclidean = True
    _head: str
    # embeddings of the training data by modality, for `kneighbors`
    _gallery: dict[str, np.ndarray]
    # label distances of the last training that follow it
    _moving: MovingDistances | None = None

    # ------------------------------------------------------------------ hooks
    @abstractmethod
    def _number_labels(
        self, task: Any, targets: Any, image_labels: Any, n_images: int
    ) -> tuple[np.ndarray, np.ndarray, Sequence[np.ndarray]]:
        """Return the labels of sequences (n,) and of images (m,) as numbers, and the labels of these numbers.

        Without `image_labels`, images have the labels of the sequences. Every label of a sequence needs an image. An
        image with another label is an error, or gets the number -1.
        """

    @abstractmethod
    def _label_distances(self, task: Any, pool: ImagePool) -> tuple[LabelDistances, LabelDistances | None]:
        """Return distances between labels, for margins and, if different, for the choice of negatives.

        Labels are given by their numbers. Parameters that do not fit the labels are an error.
        """

    @abstractmethod
    def _has_image_task(self, training: TrainingSet, task: Any, *, continued: bool) -> bool:
        """Return whether images learn the task too. Images and parameters that contradict each other are an error.

        Without images: whether they could, as far as the parameters tell.
        """

    # ------------------------------------------------------------------ fitting
    def _given(self, images: Any, labels: Any, *, continued: bool) -> GivenImages | None:
        """Return the images and their labels that a fit was given, or None."""
        if images is None:
            if labels is not None:
                raise ValueError("image_labels are given without images: pass both, or neither.")
            return None
        earlier = (self.network_config_, getattr(self, "_divided", None)) if continued else (None, None)
        return GivenImages(images, labels, self._number_labels, *earlier)

    def _check_combinations(self, training: TrainingSet, task: Task, *, continued: bool) -> None:
        if not isinstance(self.series_encoder, str):
            self._refuse_views("an encoder of your own, which has its channels")
        self._check_shared_layers()
        parts = loss_parts(self._has_image_task(training, task, continued=continued))
        if not isinstance(self.loss_weights, str):
            weights = real_numbers(as_array(self.loss_weights, "loss_weights"), "loss_weights").astype(np.float64)
            wanted = len(parts)
            if weights.shape != (wanted,) or not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
                raise ValueError(
                    f"loss_weights={self.loss_weights!r} must be 'equal', 'dynamic' or {wanted} numbers >= 0, not all "
                    f"0: the weights of {', '.join(parts)}."
                )
        if training.images is not None:
            self._label_distances(task, training.images)

    def _check_shared_layers(self) -> None:
        """Refuse a shared convolution where an encoder of the user has none."""
        own = [name for name in ("series_encoder", "image_encoder") if not isinstance(getattr(self, name), str)]
        asked = [
            f"{name}={value!r}"
            for name, value, plain in (
                ("shared_layers", self.shared_layers, "embedding"),
                ("common_convolution", self.common_convolution, False),
            )
            if value != plain
        ]
        if own and asked:
            raise ValueError(
                f"{asked[0]} needs the package's own encoders, which have a shared convolution, but {own[0]} is a "
                "module of yours: leave one of both at its default."
            )

    def _network_config(self, training: TrainingSet, task: Task) -> dict[str, Any]:
        series, images = (copied(self, name) for name in ("series_encoder", "image_encoder"))
        shape = None if training.images is None else training.images.images.shape
        if shape is not None and images is None and min(shape[1:]) < LEAST_PIXELS:
            raise ValueError(
                f"The images are {shape[1]} x {shape[2]} pixels, and image_encoder='conv' takes {LEAST_PIXELS} or more "
                "a side: enlarge them, or pass an encoder of your own."
            )
        strips = self._head == "steps" and shape is not None
        strips = strips and self._has_image_task(training, task, continued=False)
        return {
            "n_channels": training.sequences.values.shape[1],
            "image_shape": shape,
            "series_encoder": series,
            "image_encoder": images,
            "n_features": _width(series, images, training, strips=self._head == "steps"),
            "n_components": self.n_components,
            "n_classes": task.n_outputs,
            "head": self._head,
            "n_filters": self.n_filters,
            "n_units": self.n_units,
            "n_layers": self.n_layers,
            "dropout": self.dropout,
            "views": self._views(training, task, whole=series is None),
            "strips": strips,
            "common_convolution": self.common_convolution,
        }

    def _plan_batches(self, training: TrainingSet, size: int, n_batches: int, rng: np.random.Generator) -> Plan:
        return partial(shuffled_batches, training.sequences.lengths, size, n_batches, rng)

    def _make_objective(self, training: TrainingSet, task: Task, generator: torch.Generator, stage: Stage) -> Objective:
        # embeddings of images stay valid only if this fit does not change the image branch
        kept = () if stage.fresh or training.images is not None else ("images",)
        self._gallery = {name: self._gallery[name] for name in kept if name in self._gallery}
        if training.images is None:
            self._moving = None if stage.fresh else self._moving
            return Objective(CrossModalObjective(self.module_, task, generator))
        self._divided = training.images.images.divided
        course = Course(
            loss_parts(self.module_.image_head is not None),
            self.loss_weights,
            earlier=self.history_,
            curriculum=self.curriculum,
            epoch=stage.first_epoch,
            max_epochs=stage.epochs,
        )
        # a separate stream, so that the batches do not depend on the images
        rng = np.random.default_rng([self._seed, IMAGE_STREAM + self.n_iter_])
        distances, choosing = self._label_distances(task, training.images)
        self._moving = distances if isinstance(distances, MovingDistances) else None
        columns = ImageColumns(training.images, distances, choosing, course, rng, self._device)
        margin = None if self.margin == "dynamic" else self.margin
        cross = CrossTerm(course, self.loss, self.distance, margin, self._betas())
        return Objective(CrossModalObjective(self.module_, task, generator, cross, self._moving), columns)

    def _betas(self) -> dict[str, float]:
        """Return the margin per unit of label distance on every shared layer."""
        sizes = {"embedding": self.n_components, "convolution": N_SHARED}
        return {
            layer: default_beta(self.distance, sizes[layer]) if self.beta is None else self.beta
            for layer in SHARED_LAYERS[self.shared_layers]
        }

    def _remember(self, X: Any, images: Any) -> None:
        """Embed the training data, in the order of the caller, for `kneighbors`."""
        if self.module_.image_encoder is not None:
            self._gallery["series"] = self._features(X)
        if images is not None:
            self._gallery["images"] = self._embed_images(images)

    @property
    def image_shape_(self) -> tuple[int, int, int]:
        """Channels, height and width of the images. Absent if `fit` had no images."""
        shape = self.network_config_["image_shape"]
        if shape is None:
            raise AttributeError("this estimator was fitted without images: it has no image_shape_")
        return shape

    def __setstate__(self, state: dict[str, Any]) -> None:
        # models that were saved before a parameter existed are read with its default
        given = inspect.signature(type(self).__init__).parameters
        missing = {name: p.default for name, p in given.items() if p.default is not p.empty and name not in state}
        super().__setstate__({**missing, **state})

    # ------------------------------------------------------------------ inference
    @shown
    def hidden_states(self, X: Any) -> list[np.ndarray]:
        """Return the states of the LSTM in the series encoder after each of its steps.

        Parameters
        ----------
        X : list of n (T_i, C) arrays, array (n, T, C), or array (n, T)
            Sequences.

        Returns
        -------
        states : list of n arrays (T_i', 2 H), float32
            States of the last layer, both directions concatenated in time order. The package's own encoder leaves
            T_i' = ceil(T_i / 4) steps. If `series_encoder` is your own module, the result is its features (T_i', F).

        Raises
        ------
        ValueError
            `check_sequences` does not accept X.
        """
        return run_steps(self._checked(X), self.module_.series_states)

    export = exported.export

    @abstractmethod
    def _exportable_images(self) -> ExportedModel:
        """Return the fitted model of images for `export`."""

    def _embed_images(self, images: Any) -> np.ndarray:
        """Return the embeddings (m, n_components) of images, float32."""
        return self._of_images(images, lambda pixels: self.module_.embed_images(self.module_.encode_images(pixels)))

    def _image_outputs(self, images: Any) -> np.ndarray:
        """Return the class scores of images, (m, K), or (m, S, K) of the columns of strips, float32."""
        check_is_fitted(self)
        self._need_images()
        if self.module_.image_head is None:
            raise ValueError(
                f"This {type(self).__name__} does not read images: in its first fit the labels had more symbols than "
                "the images have columns for, or transcribe_images or image_encoder left no columns. Fit a new one on "
                "wider images with transcribe_images=True."
            )
        return self._of_images(images, lambda pixels: self.module_.image_logits(self.module_.encode_images(pixels)))

    @shown
    def _of_images(self, images: Any, run: Callable[[Tensor], Tensor]) -> np.ndarray:
        """Return run(pixels (B, c, h, w)) of all images, in their order, float32."""
        images = check_images(images, like=self.image_shape_, divided=getattr(self, "_divided", None))
        found: list[Any] = [None] * len(images)
        _, height, width = images.shape
        # sorted by content, so that rounding does not depend on the order of the caller
        order, size = np.argsort(images.digests(), kind="stable"), max(1, PIXELS // (height * width))

        with progress("reading", len(order), "image") as bar:

            @answering
            def each(rows: np.ndarray) -> None:
                pixels = torch.from_numpy(images.values[rows]).to(self._device)
                for i, row in zip(rows, run(pixels).cpu().numpy(), strict=True):
                    found[i] = row
                bar.advance(len(rows))

            run_tiles(each, [order[i : i + size] for i in range(0, len(order), size)], n_threads(self._device))
        out = np.stack(found)
        check_finite(out)
        return out

    def transform_images(self, images: Any) -> np.ndarray:
        """Return the embeddings of images. They have Euclidean length 1.

        Parameters
        ----------
        images : array (m, h, w) or (m, h, w, c), or list of m images
            Images of the same size as in `fit`.

        Returns
        -------
        embeddings : ndarray of shape (m, n_components), float32
        """
        check_is_fitted(self)
        self._need_images()
        return self._embed_images(images)

    @shown
    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int = 5,
        *,
        images: Any = None,
        gallery: Any = None,
        return_distance: bool = True,
    ) -> tuple[np.ndarray, np.ndarray] | np.ndarray:
        """Find the nearest images of sequences, or the nearest sequences of images.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T), optional
            Sequences to find images for. Pass either X or images.
        n_neighbors : int, default=5
            Neighbours K.
        images : array (n, h, w) or (n, h, w, c), or list of n images, optional
            Images to find sequences for.
        gallery : images for X, sequences for images, optional
            Where to search. None: the images or sequences of the last `fit` or `partial_fit` that had some.
        return_distance : bool, default=True
            Whether to return distances too.

        Returns
        -------
        distances : ndarray of shape (n, K), float64
            Euclidean distances of the embeddings, in [0, 2]. Only with `return_distance=True`.
        indices : ndarray of shape (n, K), int64
            Indices into the gallery. Each row is sorted by (distance, index).

        Raises
        ------
        ValueError
            Both X and images are given, or neither. The gallery has fewer than K members. The model was fitted without
            images.
        """
        check_is_fitted(self)
        if (X is None) == (images is None):
            raise ValueError("kneighbors looks from one modality to the other: pass either X or images.")
        if not isinstance(n_neighbors, Integral) or n_neighbors < 1:
            raise ValueError(f"n_neighbors must be an integer of at least 1, got {n_neighbors!r}.")
        self._need_images()
        from_series = images is None
        queries = self._features(X) if from_series else self._embed_images(images)
        references = self._references(gallery, of_images=from_series)
        distances, indices = k_nearest(self, embedded(queries), embedded(references), int(n_neighbors))
        return (distances, indices) if return_distance else indices

    def _references(self, gallery: Any, *, of_images: bool) -> np.ndarray:
        if gallery is not None:
            return self._embed_images(gallery) if of_images else self._features(gallery)
        known = self._gallery.get("images" if of_images else "series")
        if known is None:
            raise ValueError("The last fit did not finish and kept no embeddings: pass a gallery.")
        return known

    def _need_images(self) -> None:
        if self.module_.image_encoder is None:
            raise ValueError(f"This {type(self).__name__} was fitted without images: its network knows sequences only.")

    # ------------------------------------------------------------------ distances between sequences
    def _prepare(self, sequences: Sequences) -> EmbeddedSequences:
        embeddings = embed_sequences(self._scaled(sequences), self.module_.features, self._n_features_out)
        return EmbeddedSequences(embeddings, sequences.lengths)

    def _tile(
        self, left: EmbeddedSequences, rows: np.ndarray, right: EmbeddedSequences, columns: np.ndarray
    ) -> np.ndarray:
        return embedded_tile(left.embeddings, rows, right.embeddings, columns)

    def _rows(
        self, left: EmbeddedSequences, rows: np.ndarray, right: EmbeddedSequences, columns: np.ndarray
    ) -> np.ndarray:
        return embedded_rows(left.embeddings, rows, right.embeddings, columns)

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
        return embedded_nearest(queries.embeddings, prepared_references(self, references), k, exclude)


def embedded(embeddings: np.ndarray) -> EmbeddedSequences:
    """Return embeddings of either modality in the form that the search needs."""
    return EmbeddedSequences(embeddings, np.ones(len(embeddings), dtype=np.int64))


def loss_parts(of_images: bool) -> tuple[str, ...]:
    """Return the names of the parts of the loss with images, in the order of `loss_weights`."""
    return ("series_loss", "image_loss", "cross_loss") if of_images else ("series_loss", "cross_loss")


def _width(series: nn.Module | None, images: nn.Module | None, training: TrainingSet, *, strips: bool) -> int:
    """Return the size F of the features of both encoders. Modules of the user run on two sequences and images."""
    pixels = None if training.images is None else tensor_of(training.images.images.values[:2])
    if series is not None:
        return encoder_width(series, images, *_shortest_and_longest(training), pixels, strips=strips)
    return N_FEATURES if images is None or pixels is None else image_width(images, pixels, strips=strips)


def copied(estimator: CrossModalEstimator, name: str) -> nn.Module | None:
    """Return a copy of the encoder that the user gave as parameter `name`, or None for the package's own encoder."""
    encoder = getattr(estimator, name)
    return None if isinstance(encoder, str) else own_copy(encoder, name)


def _shortest_and_longest(training: TrainingSet) -> tuple[Tensor, Tensor]:
    lengths = training.sequences.lengths
    rows = np.array([lengths.argmin(), lengths.argmax()])
    chosen, n_channels = training.sequences.take(rows), training.sequences.n_channels
    blank = replace(chosen, values=np.zeros_like(chosen.values))
    flat = FlatSequences.from_sequences(blank, np.zeros(n_channels), np.ones(n_channels), torch.device("cpu"))
    return flat.padded(np.arange(2))
