"""What the estimators of sequences and images share: the network, training on both, embeddings and retrieval."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skseqmetric._base import NetworkEstimator, Objective, Stage
from skseqmetric._estimators.cross_modal.images import GivenImages, ImageColumns, ImagePool, LabelDistances
from skseqmetric._estimators.cross_modal.objective import Course, CrossModalObjective, CrossTerm
from skseqmetric._input import Sequences, check_images
from skseqmetric._metrics.euclidean import embedded_nearest, embedded_rows, embedded_tile
from skseqmetric._metrics.pair_runs import EmbeddedSequences
from skseqmetric._metrics.protocol import Metric
from skseqmetric._metrics.search import k_nearest
from skseqmetric._networks.cross_modal import CrossModalNetwork, encoder_width, image_width
from skseqmetric._ops.cross_modal_losses import KINDS
from skseqmetric._ops.embedding_distances import BATCH, PAIRED
from skseqmetric._ops.margins import default_beta
from skseqmetric._ops.parallel import run_tiles
from skseqmetric._tasks import Task
from skseqmetric._tensors.flat import FlatSequences
from skseqmetric._tensors.inference import n_threads, run_sequences, run_steps
from skseqmetric._training.batches import Plan, shuffled_batches
from skseqmetric._training.data import TrainingSet

N_FEATURES = 100
"""Features of the package's own encoders."""

LEAST_PIXELS = 8
"""Of a side of the images that the package's own encoder takes."""

IMAGE_STREAM = 2**33
"""Number of the first random stream that images and negatives are drawn from."""

PIXELS = 2**18
"""Pixels of one inference batch of images."""


class CrossModalEstimator(NetworkEstimator, Metric):
    """An estimator of sequences that learns from images too, where it is given some, and embeds both.

    A subclass says how labels become numbers (`_number_labels`), how far they are apart (`_label_distances`), which
    `_parts` the loss has and which `_head` the network.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **NetworkEstimator._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions(set(KINDS))],
        "distance": [StrOptions(set(PAIRED | BATCH))],
        "margin": [StrOptions({"dynamic"}), Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="neither"), None],
        "curriculum": ["boolean"],
        "loss_weights": [StrOptions({"equal", "dynamic"}), "array-like"],
        "series_encoder": [StrOptions({"conv_bilstm"}), nn.Module],
        "image_encoder": [StrOptions({"conv"}), nn.Module],
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "n_units": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    _network = CrossModalNetwork
    module_: CrossModalNetwork

    _head: str
    _parts: tuple[str, ...]
    # embeddings of the training data by modality, for `kneighbors`
    _gallery: dict[str, np.ndarray]

    # ------------------------------------------------------------------ hooks
    @abstractmethod
    def _number_labels(
        self, task: Any, targets: Any, image_labels: Any, n_images: int
    ) -> tuple[np.ndarray, np.ndarray, Sequence[np.ndarray]]:
        """Every label as a number, of the sequences (n,) and of the images (m,), and what the numbers stand for.

        Without `image_labels` those of the images are those of the sequences. A sequence whose label no image has is
        an error; an image whose label no sequence has is one too, or has the number -1.
        """

    @abstractmethod
    def _label_distances(self, task: Any, pool: ImagePool) -> tuple[LabelDistances, LabelDistances | None]:
        """How far labels, given by their numbers, are apart; and for choosing negatives, where that differs.

        Parameters that do not suit the labels are an error.
        """

    # ------------------------------------------------------------------ fitting
    def _given(self, images: Any, labels: Any, *, continued: bool) -> GivenImages | None:
        """What a fit was given beside X and y; None for no images."""
        if images is None:
            if labels is not None:
                raise ValueError("image_labels are given without images: pass both, or neither.")
            return None
        return GivenImages(images, labels, self._number_labels, self.network_config_ if continued else None)

    def _check_combinations(self, training: TrainingSet, task: Task, *, continued: bool) -> None:
        if not isinstance(self.loss_weights, str):
            weights, wanted = np.asarray(self.loss_weights, dtype=np.float64), len(self._parts)
            if weights.shape != (wanted,) or not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
                raise ValueError(
                    f"loss_weights={self.loss_weights!r} must be 'equal', 'dynamic' or {wanted} numbers >= 0, not all "
                    f"0: the weights of {', '.join(self._parts)}."
                )
        if training.images is not None:
            self._label_distances(task, training.images)

    def _network_config(self, training: TrainingSet, task: Task) -> dict[str, Any]:
        series, images = (copied(encoder) for encoder in (self.series_encoder, self.image_encoder))
        shape = None if training.images is None else training.images.images.shape
        if shape is not None and images is None and min(shape[1:]) < LEAST_PIXELS:
            raise ValueError(
                f"The images are {shape[1]} x {shape[2]} pixels, and image_encoder='conv' takes {LEAST_PIXELS} or more "
                "a side: enlarge them, or pass an encoder of your own."
            )
        return {
            "n_channels": training.sequences.values.shape[1],
            "image_shape": shape,
            "series_encoder": series,
            "image_encoder": images,
            "n_features": _width(series, images, training),
            "n_components": self.n_components,
            "n_classes": task.n_outputs,
            "head": self._head,
            "n_filters": self.n_filters,
            "n_units": self.n_units,
            "n_layers": self.n_layers,
            "dropout": self.dropout,
        }

    def _plan_batches(self, training: TrainingSet, size: int, n_batches: int, rng: np.random.Generator) -> Plan:
        return partial(shuffled_batches, training.sequences.lengths, size, n_batches, rng)

    def _make_objective(self, training: TrainingSet, task: Task, generator: torch.Generator, stage: Stage) -> Objective:
        # embeddings of before; without images the branch of the images stays as it is
        kept = () if stage.fresh or training.images is not None else ("images",)
        self._gallery = {name: self._gallery[name] for name in kept if name in self._gallery}
        if training.images is None:
            return Objective(CrossModalObjective(self.module_, task, generator))
        course = Course(
            self._parts,
            self.loss_weights,
            earlier=self.history_,
            curriculum=self.curriculum,
            epoch=stage.first_epoch,
            max_epochs=stage.epochs,
        )
        # drawing images leaves the batches as they are
        rng = np.random.default_rng([self._seed, IMAGE_STREAM + self.n_iter_])
        distances, choosing = self._label_distances(task, training.images)
        columns = ImageColumns(training.images, distances, choosing, course, rng, self._device)
        beta = default_beta(self.distance, self.n_components) if self.beta is None else self.beta
        cross = CrossTerm(course, self.loss, self.distance, None if self.margin == "dynamic" else self.margin, beta)
        return Objective(CrossModalObjective(self.module_, task, generator, cross), columns)

    def _remember(self, X: Any, images: Any) -> None:
        """Embed the training data, in the caller's order, for `kneighbors`."""
        if self.module_.image_encoder is not None:
            self._gallery["series"] = self._features(X)
        if images is not None:
            self._gallery["images"] = self._embed_images(images)

    @property
    def image_shape_(self) -> tuple[int, int, int]:
        """Channels, height and width of the images; absent without any."""
        shape = self.network_config_["image_shape"]
        if shape is None:
            raise AttributeError("this estimator was fitted without images: it has no image_shape_")
        return shape

    # ------------------------------------------------------------------ inference
    def hidden_states(self, X: Any) -> list[np.ndarray]:
        """The states of the recurrence in the series branch after each of its steps.

        Parameters
        ----------
        X : list of n (T_i, C) arrays, array (n, T, C), or array (n, T)

        Returns
        -------
        states : list of n arrays (T_i', 2 H), float32
            Of the last layer, both directions side by side, each at its own place in time. The package's own encoder
            leaves T_i' = ceil(T_i / 4) steps. Of a `series_encoder` of one's own, whose inside is not known, the
            features (T_i', F) that it returns.

        Raises
        ------
        ValueError
            For input outside the contract (see `check_sequences`).
        """
        return run_steps(self._checked(X), self.module_.series_states)

    def _embed_images(self, images: Any) -> np.ndarray:
        """Embeddings (m, n_components) of images, float32."""
        images = check_images(images, like=self.image_shape_)
        out = np.empty((len(images), self.module_.n_outputs), dtype=np.float32)
        _, height, width = images.shape
        # in an order of their own, so that the order of the caller changes no rounding
        order, size = np.argsort(images.digests(), kind="stable"), max(1, PIXELS // (height * width))

        @torch.inference_mode()
        def each(rows: np.ndarray) -> None:
            pixels = torch.from_numpy(images.values[rows]).to(self._device)
            out[rows] = self.module_.embed_images(self.module_.encode_images(pixels)).cpu().numpy()

        run_tiles(each, [order[i : i + size] for i in range(0, len(order), size)], n_threads(self._device))
        return out

    def transform_images(self, images: Any) -> np.ndarray:
        """The embeddings of images, (m, n_components) float32, of length 1.

        Parameters
        ----------
        images : array (m, h, w) or (m, h, w, c), or list of m images
            As large as those in `fit`.
        """
        check_is_fitted(self)
        self._need_images()
        return self._embed_images(images)

    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int = 5,
        *,
        images: Any = None,
        gallery: Any = None,
        return_distance: bool = True,
    ) -> tuple[np.ndarray, np.ndarray] | np.ndarray:
        """The nearest images of sequences, or the nearest sequences of images.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T), optional
            Sequences whose nearest images are looked for.
        n_neighbors : int, default=5
            K.
        images : array (n, h, w) or (n, h, w, c), or list of n images, optional
            Images whose nearest sequences are looked for; either X or images is given.
        gallery : images for X, sequences for images, optional
            Among which to look. None: those of the last `fit` or `partial_fit` that had some.
        return_distance : bool, default=True
            Whether distances come with the indices.

        Returns
        -------
        distances : ndarray of shape (n, K), float64
            Euclidean ones of the embeddings, in [0, 2]. Only with `return_distance=True`.
        indices : ndarray of shape (n, K), int64
            Rows of the gallery in the order of (distance, index).

        Raises
        ------
        ValueError
            For both of X and images or neither, more neighbours than the gallery has, or a model fitted without images.
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
            raise ValueError("The last fit kept no embeddings, as it did not end: pass a gallery.")
        return known

    def _need_images(self) -> None:
        if self.module_.image_encoder is None:
            raise ValueError(f"This {type(self).__name__} was fitted without images: its network knows sequences only.")

    # ------------------------------------------------------------------ distances between sequences
    def _prepare(self, sequences: Sequences) -> EmbeddedSequences:
        embeddings = run_sequences(self._flat(sequences), self.module_.features, self._n_features_out)
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
        return embedded_nearest(queries.embeddings, references.embeddings, k, exclude)


def embedded(embeddings: np.ndarray) -> EmbeddedSequences:
    """Embeddings of either modality as the search takes them."""
    return EmbeddedSequences(embeddings, np.ones(len(embeddings), dtype=np.int64))


def _width(series: nn.Module | None, images: nn.Module | None, training: TrainingSet) -> int:
    """Features F that both encoders return; modules of the user are run on two sequences and images."""
    pixels = None if training.images is None else torch.from_numpy(training.images.images.values[:2])
    if series is not None:
        return encoder_width(series, images, *_shortest_and_longest(training), pixels)
    return N_FEATURES if images is None or pixels is None else image_width(images, pixels)


def copied(encoder: str | nn.Module) -> nn.Module | None:
    """A module of the user, copied, as it was given; None for the package's own."""
    return None if isinstance(encoder, str) else copy.deepcopy(encoder).cpu()


def _shortest_and_longest(training: TrainingSet) -> tuple[Tensor, Tensor]:
    lengths = training.sequences.lengths
    rows = np.array([lengths.argmin(), lengths.argmax()])
    n_channels = training.sequences.n_channels
    flat = FlatSequences.from_sequences(
        training.sequences.take(rows), np.zeros(n_channels), np.ones(n_channels), torch.device("cpu")
    )
    return flat.padded(np.arange(2))
