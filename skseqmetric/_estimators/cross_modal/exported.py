"""The models of the cross-modal estimators for export: one program for sequences, and one for images."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skseqmetric._base import exporting
from skseqmetric._networks.cross_modal import CrossModalNetwork
from skseqmetric._networks.encoders import ImageEncoder, SeriesEncoder, StripEncoder
from skseqmetric._networks.exported import Answers, ClassAnswers, zero_past_end
from skseqmetric._tasks import probabilities
from skseqmetric._tensors.modules import frozen_copy

EXTRA_STEPS = 4
"""Padding of sequences, of which the series encoder leaves a quarter."""

EMBEDDING: exporting.Axes = {"embedding": ("batch", "component")}


class SeriesAnswers(nn.Module):
    """The embedding of sequences, and their class scores, or the log-probabilities of symbols at every step left."""

    def __init__(self, network: CrossModalNetwork, *, symbols: bool) -> None:
        super().__init__()
        self.network, self.symbols, self.classes = network, symbols, ClassAnswers()

    def forward(self, values: Tensor, lengths: Tensor) -> Answers:
        features, steps = self.network.encode_series(values, lengths)
        embedding, scores = self.network.embed_series(features, steps), self.network.series_logits(features, steps)
        if not self.symbols:
            return (embedding, *self.classes(scores))
        return embedding, zero_past_end(scores.log_softmax(2), steps), steps


class ImageAnswers(nn.Module):
    """The embedding of images, and their class scores, or the log-probabilities of symbols at every column."""

    def __init__(self, network: CrossModalNetwork, *, symbols: bool) -> None:
        super().__init__()
        self.network, self.symbols, self.classes = network, symbols, ClassAnswers()

    def forward(self, images: Tensor) -> Answers:
        features = self.network.encode_images(images)
        embedding = self.network.embed_images(features)
        if self.network.image_head is None:
            return (embedding,)
        scores = self.network.image_logits(features)
        return (embedding, scores.log_softmax(2)) if self.symbols else (embedding, *self.classes(scores))


def series_model(estimator: Any, *, symbols: bool) -> exporting.ExportedModel:
    """Return the model of the series branch. ValueError if its encoder is a module of the user."""
    network = frozen_copy(estimator.module_)
    _refuse_own(estimator, "series_encoder", network.series_encoder, SeriesEncoder)
    run = SeriesAnswers(network, symbols=symbols)
    if not symbols:
        outputs = {**EMBEDDING, **exporting.SCORES}
        classes = exporting.plain(estimator.classes_)
        answers = _classified(estimator.transform, estimator._outputs)
        return exporting.of_series(estimator, run, outputs, answers, extra_steps=EXTRA_STEPS, classes=classes)
    outputs = {**EMBEDDING, "log_probabilities": ("batch", "steps", "symbol"), "steps": ("batch",)}
    spelled = exporting.plain(estimator.symbols_)

    def transcribed(X: Any) -> tuple[Any, ...]:
        found = estimator.predict_log_proba(X)
        return estimator.transform(X), found, np.array([len(rows) for rows in found])

    return exporting.of_series(estimator, run, outputs, transcribed, extra_steps=EXTRA_STEPS, symbols=spelled)


def image_model(estimator: Any, *, symbols: bool) -> exporting.ExportedModel:
    """Return the model of the image branch. ValueError if there is none, or its encoder is a module of the user."""
    estimator._need_images()
    network = frozen_copy(estimator.module_)
    _refuse_own(estimator, "image_encoder", network.image_encoder, (ImageEncoder, StripEncoder))
    run, embed = ImageAnswers(network, symbols=symbols), estimator.transform_images
    if network.image_head is None:
        return exporting.of_images(estimator, run, EMBEDDING, lambda images: (embed(images),))
    if symbols:
        outputs = {**EMBEDDING, "log_probabilities": ("batch", "columns", "symbol")}
        spelled = exporting.plain(estimator.symbols_)

        def spell(images: Any) -> tuple[Any, ...]:
            return embed(images), torch.from_numpy(estimator._image_outputs(images)).log_softmax(2).numpy()

        return exporting.of_images(estimator, run, outputs, spell, symbols=spelled)
    outputs = {**EMBEDDING, **exporting.SCORES}
    classes = exporting.plain(estimator.classes_)
    return exporting.of_images(estimator, run, outputs, _classified(embed, estimator._image_outputs), classes=classes)


def _classified(embed: Any, score: Any) -> Any:
    def answers(X: Any) -> tuple[Any, ...]:
        scores = score(X)
        return embed(X), scores, probabilities(scores)

    return answers


def _refuse_own(estimator: Any, name: str, encoder: nn.Module, kinds: Any) -> None:
    if not isinstance(encoder, kinds):
        raise ValueError(
            f"{type(estimator).__name__} with {name}={type(encoder).__name__}(...) cannot be exported: what a module "
            "of your own does with lengths and sizes is not known here. Export estimator.module_ with "
            "torch.onnx.export, or use the package's own encoder."
        )


def export(self: Any, path: str | os.PathLike[str], format: str = "onnx", *, modality: str = "series") -> None:
    """Write the fitted model as a program that runs without this package, for sequences or for images.

    The program of sequences takes `values` float32 (batch, time, channel), as they were measured, and `lengths` int64
    (batch,). Scaling and masks are inside, and values past the end of a sequence are never read. The program of images
    takes `images` float32 (batch, color, height, width). Pixels that were uint8 at fit are divided by 255 before.

    Parameters
    ----------
    path : str or path-like
        The file. It is replaced in one step, after the program was checked.
    format : {"onnx", "pt2"}, default="onnx"
        "onnx" is read by ONNX Runtime and other programs, and needs the extra ``skseqmetric[onnx]``. "pt2" is read by
        `torch.export.load`.
    modality : {"series", "images"}, default="series"
        What the program reads. Embeddings of both programs are compared by their Euclidean distance.

    Raises
    ------
    ValueError
        The encoder is a module of your own, or the model was fitted without images and `modality` is "images".
    ImportError
        A package of the extra is missing.
    RuntimeError
        The program differs from the estimator by more than 1e-5 of the largest answer, for random sequences of random
        lengths or random images. No file is then written.

    Notes
    -----
    An export takes some seconds: the network is recorded, and the file is run and compared with the estimator.
    """
    check_is_fitted(self)
    if modality not in ("series", "images"):
        raise ValueError(f'modality={modality!r}: must be "series" or "images".')
    make = self._exportable if modality == "series" else self._exportable_images
    exporting.write(self, make, path, format)
