"""What the estimators of sequences and images share: images in, the network, training on both, embeddings out."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skseqmetric._base.supervised import Plan, SupervisedSequenceEstimator, Training
from skseqmetric._estimators.cross_modal.batches import CrossModalBatches, ImagePool, LabelDistances, Pairing
from skseqmetric._estimators.cross_modal.margins import default_beta
from skseqmetric._estimators.cross_modal.objective import Course, CrossModalObjective, CrossTerm
from skseqmetric._input import check_images
from skseqmetric._networks.cross_modal import CrossModalNetwork, encoder_width, image_width
from skseqmetric._networks.encoders import ImageEncoder, SeriesEncoder
from skseqmetric._ops.cross_modal_losses import KINDS
from skseqmetric._ops.embedding_distances import BATCH, PAIRED
from skseqmetric._ops.parallel import run_tiles
from skseqmetric._tensors.flat import FlatSequences
from skseqmetric._tensors.seeding import numpy_generator
from skseqmetric._training.loop import Batches
from skseqmetric._training.sampling import shuffled_batches

N_FEATURES = 100
"""Features of the package's own encoders."""

LEAST_PIXELS = 8
"""Of a side of the images that the package's own encoder takes."""

IMAGE_STREAM = 2**33
"""Number of the first random stream that images and negatives are drawn from."""

PIXELS = 2**18
"""Pixels of one inference batch of images."""


@dataclass(frozen=True)
class GivenImages:
    """What a fit was given beside X and y: images of the sequences, or images with labels of their own."""

    images: Any = None
    labels: Any = None


class CrossModalEstimator(SupervisedSequenceEstimator):
    """An estimator of sequences that learns from images too, where it is given some.

    A subclass says what a label is (`_number_labels`, `_label_distances`), what the task of the sequences costs
    (`_task_loss`), which of the parts of the loss there are (`_parts`) and which `_head` the network has.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **SupervisedSequenceEstimator._parameter_constraints,
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

    module_: CrossModalNetwork

    _head: str
    _parts: tuple[str, ...]

    # ------------------------------------------------------------------ hooks
    @abstractmethod
    def _number_labels(
        self, classes: np.ndarray, codes: Any, image_labels: Any, n_images: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Every label as a number, of the sequences (n,) and of the images (m,), which are checked.

        Without `image_labels` those of the images are those of the sequences. A sequence whose label no image has is
        an error; an image whose label no sequence has is one too, or has the number -1.
        """

    @abstractmethod
    def _label_distances(self, classes: np.ndarray, pool: ImagePool) -> LabelDistances:
        """How far labels, given by their numbers, are apart; parameters that do not suit the classes are an error."""

    def _choosing_distances(self, pool: ImagePool) -> LabelDistances | None:
        """The same for choosing negatives, where that does not go by `_label_distances`."""
        return None

    @abstractmethod
    def _task_loss(self, logits: Tensor, steps: Tensor, labels: Tensor) -> Tensor:
        """Loss of every sequence (B,) from its logits, in float32, and their steps (B,)."""

    # ------------------------------------------------------------------ checks
    def _check_settings(self) -> None:
        super()._check_settings()
        if isinstance(self.loss_weights, str):
            return
        weights = np.asarray(self.loss_weights, dtype=np.float64)
        wanted = len(self._parts)
        if weights.shape != (wanted,) or not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
            raise ValueError(
                f"loss_weights={self.loss_weights!r} must be 'equal', 'dynamic' or {wanted} numbers >= 0, not all 0: "
                f"the weights of {', '.join(self._parts)}."
            )

    def _check_beside(
        self, beside: GivenImages, classes: np.ndarray, codes: Any, *, continued: bool
    ) -> ImagePool | None:
        if beside.images is None:
            if beside.labels is not None:
                raise ValueError("image_labels are given without images: pass both, or neither.")
            return None
        if continued and not self._with_images:
            raise ValueError(
                f"This {type(self).__name__} was first fitted without images, so its network has no image encoder: "
                "fit a new one with images."
            )
        paired = beside.labels is None
        images = check_images(
            beside.images, n_expected=len(codes) if paired else None, like=self.image_shape_ if continued else None
        )
        of_sequences, of_images = self._number_labels(classes, codes, beside.labels, len(images))
        if paired:
            return ImagePool.paired(images, of_images)
        return ImagePool.matched(images, of_images, of_sequences)

    def _check_data(self, training: Training, classes: np.ndarray | None, *, continued: bool) -> None:
        super()._check_data(training, classes, continued=continued)
        if training.partners is not None and classes is not None:
            self._label_distances(classes, training.partners)
        if continued:
            return
        if training.partners is not None and isinstance(self.image_encoder, str):
            _, height, width = training.partners.images.shape
            if min(height, width) < LEAST_PIXELS:
                raise ValueError(
                    f"The images are {height} x {width} pixels, and image_encoder='conv' takes {LEAST_PIXELS} or more "
                    "a side: enlarge them, or pass an encoder of your own."
                )
        self._width_of_encoders(training)

    @property
    def _with_images(self) -> bool:
        """Whether the network has an image encoder."""
        return self.module_.image_encoder is not None

    # ------------------------------------------------------------------ network
    def _start(self, training: Training, seed: int, classes: np.ndarray | None = None) -> None:
        self.__dict__.pop("image_shape_", None)
        if training.partners is not None:
            self.image_shape_: tuple[int, int, int] = training.partners.images.shape
        self._width = self._width_of_encoders(training)
        super()._start(training, seed, classes)

    def _width_of_encoders(self, training: Training) -> int:
        """Features F that both encoders return; modules of the user are run on two sequences and images."""
        series, images = (copied(encoder) for encoder in (self.series_encoder, self.image_encoder))
        pixels = None if training.partners is None else torch.from_numpy(training.partners.images.values[:2])
        if series is not None:
            return encoder_width(series, images, *_shortest_and_longest(training), pixels)
        return N_FEATURES if images is None or pixels is None else image_width(images, pixels)

    def _build_network(self, n_channels: int, longest: int, generator: torch.Generator) -> CrossModalNetwork:
        series, images = (copied(encoder) for encoder in (self.series_encoder, self.image_encoder))
        if series is None:
            series = SeriesEncoder(
                n_channels,
                self.n_filters,
                n_units=self.n_units,
                n_layers=self.n_layers,
                dropout=self.dropout,
                n_outputs=self._width,
                generator=generator,
            )
        shape = getattr(self, "image_shape_", None)
        if shape is None:
            images = None
        elif images is None:
            images = ImageEncoder(shape, n_outputs=self._width, dropout=self.dropout, generator=generator)
        return CrossModalNetwork(series, images, self._width, self.n_components, self._n_scores, self._head, generator)

    @property
    def _n_scores(self) -> int:
        """Scores that a head of the network gives."""
        return len(self.classes_)

    # ------------------------------------------------------------------ training
    def _plan(self, training: Training, n_batches: int, rng: np.random.Generator) -> Plan:
        return partial(shuffled_batches, training.sequences.lengths, self.batch_size, n_batches, rng)

    def _learn(
        self, training: Training, validation: Training | None, data: tuple[Any, Any], epochs: int | None = None
    ) -> dict[str, Any] | None:
        if training.partners is None:
            return super()._learn(training, validation, data, epochs)
        course = self._course(len(training), epochs)
        # drawing images leaves the batches as they are
        rng = numpy_generator(self._seed, IMAGE_STREAM + self.n_iter_)
        pool = training.partners
        pairing = Pairing(pool, self._label_distances(self.classes_, pool), course, rng, self._choosing_distances(pool))
        validation = None if validation is None else replace(validation, partners=None)
        n_before = len(self.history_)
        try:
            return super()._learn(replace(training, partners=pairing), validation, data, epochs)
        finally:
            for row, losses in zip(self.history_[n_before:], course.rows, strict=False):
                row.update(losses)

    def _course(self, n_sequences: int, epochs: int | None) -> Course:
        """A whole fit counts its own epochs; parts of a fit go on counting."""
        all_epochs, _ = self._budget(n_sequences, self.batch_size)
        return Course(
            self._parts,
            self.loss_weights,
            earlier=self.history_,
            curriculum=self.curriculum,
            epoch=self.n_iter_ if epochs else 0,
            max_epochs=self.max_epochs if epochs else all_epochs,
        )

    def _batches(self, part: Training, plan: Plan, augment: Callable[..., Tensor]) -> Batches:
        series = self._labelled_batches(part, plan, augment)
        return CrossModalBatches(series, part.partners) if isinstance(part.partners, Pairing) else series

    def _objective(self, training: Training, generator: torch.Generator) -> CrossModalObjective:
        cross = None
        if isinstance(training.partners, Pairing):
            beta = default_beta(self.distance, self.n_components) if self.beta is None else self.beta
            margin = None if self.margin == "dynamic" else self.margin
            cross = CrossTerm(training.partners.course, self.loss, self.distance, margin, beta)
        mean_weight = float(training.weights.mean())
        return CrossModalObjective(self.module_, self._task_loss, mean_weight, generator, cross)

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
        check_is_fitted(self)
        return self._run_steps(X, self.module_.series_states)

    def _embed_series(self, X: Any) -> np.ndarray:
        """Embeddings (n, n_components) of sequences, float32."""

        def embed(values: Tensor, lengths: Tensor) -> Tensor:
            return self.module_.embed_series(*self.module_.encode_series(values, lengths))

        return self._run(X, embed, self.module_.n_outputs)

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

        run_tiles(each, [order[i : i + size] for i in range(0, len(order), size)], self._n_threads)
        return out


def copied(encoder: str | nn.Module) -> nn.Module | None:
    """A module of the user, copied, as it was given; None for the package's own."""
    return None if isinstance(encoder, str) else copy.deepcopy(encoder).cpu()


def _shortest_and_longest(training: Training) -> tuple[Tensor, Tensor]:
    lengths = training.sequences.lengths
    rows = np.array([lengths.argmin(), lengths.argmax()])
    n_channels = training.sequences.n_channels
    flat = FlatSequences.from_sequences(
        training.sequences.take(rows), np.zeros(n_channels), np.ones(n_channels), torch.device("cpu")
    )
    return flat.padded(np.arange(2))
