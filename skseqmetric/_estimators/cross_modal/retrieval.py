"""From one modality to the other: embeddings of both, the nearest of the other kind, distances between sequences."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skseqmetric._base.supervised import Training
from skseqmetric._estimators.cross_modal.base import CrossModalEstimator
from skseqmetric._input import Sequences
from skseqmetric._metrics.pair_runs import PreparedSequences
from skseqmetric._metrics.protocol import BaseSequenceMetric
from skseqmetric._metrics.search import k_nearest


class CrossModalRetrieval(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CrossModalEstimator, BaseSequenceMetric):
    """A cross-modal estimator whose embeddings are asked for; a subclass calls `_keep` at the end of its fits."""

    def _start(self, training: Training, seed: int, classes: np.ndarray | None = None) -> None:
        for name in ("_known_images", "_known_series"):
            self.__dict__.pop(name, None)
        super()._start(training, seed, classes)

    def _learn(
        self, training: Training, validation: Training | None, data: tuple[Any, Any], epochs: int | None = None
    ) -> dict[str, Any] | None:
        # what was measured with the weights before; without images the branch of the images stays as it is
        self._forget_threshold()
        self.__dict__.pop("_known_series", None)
        if training.partners is not None:
            self.__dict__.pop("_known_images", None)
        return super()._learn(training, validation, data, epochs)

    def _keep(self, X: Any, images: Any) -> None:
        """The embeddings of the training data, in the caller's order, for `kneighbors`."""
        if self._with_images:
            self._known_series = self._embed_series(X)
        if images is not None:
            self._known_images = self._embed_images(images)

    # ------------------------------------------------------------------ embedding
    def transform(self, X: Any) -> np.ndarray:
        """The embeddings of sequences, (n, n_components) float32, of length 1.

        Parameters
        ----------
        X : list of (T_i, C) arrays, array (n, T, C), or array (n, T)
        """
        check_is_fitted(self)
        return self._embed_series(X)

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
        queries = self._embed_series(X) if from_series else self._embed_images(images)
        references = self._references(gallery, of_images=from_series)
        distances, indices = k_nearest(self, _points(queries), _points(references), int(n_neighbors))
        return (distances, indices) if return_distance else indices

    def _references(self, gallery: Any, *, of_images: bool) -> np.ndarray:
        if gallery is not None:
            return self._embed_images(gallery) if of_images else self._embed_series(gallery)
        known = getattr(self, "_known_images" if of_images else "_known_series", None)
        if known is None:
            raise ValueError("The last fit kept no embeddings, as it did not end: pass a gallery.")
        return known

    def _need_images(self) -> None:
        if not self._with_images:
            raise ValueError(f"This {type(self).__name__} was fitted without images: its network knows sequences only.")

    # ------------------------------------------------------------------ distances between sequences
    @property
    def _is_euclidean(self) -> bool:
        return True

    def _prepare(self, sequences: Sequences) -> PreparedSequences:
        return PreparedSequences(self._embed_series(sequences), sequences.lengths)

    def _embeddings(self, prepared: PreparedSequences) -> np.ndarray:
        return prepared.embeddings

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # embeddings are float32 whatever comes in
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _points(embeddings: np.ndarray) -> PreparedSequences:
    """Embeddings of either modality as the search takes them."""
    return PreparedSequences(embeddings, np.ones(len(embeddings), dtype=np.int64))
