"""Training on labels that are sequences of symbols, by connectionist temporal classification (CTC)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import ctc_loss

from skseqmetric._base.template import MAX_STEPS
from skseqmetric._estimators.cross_modal.base import GivenImages, copied
from skseqmetric._estimators.cross_modal.batches import ImagePool, LabelDistances
from skseqmetric._estimators.cross_modal.margins import label_distance
from skseqmetric._estimators.cross_modal.retrieval import CrossModalRetrieval
from skseqmetric._input import Sequences, check_sequences
from skseqmetric._networks.cross_modal import encoder_steps
from skseqmetric._networks.encoders import SeriesEncoder
from skseqmetric._tasks.symbols import (
    BLANK,
    check_alphabet,
    check_known,
    check_room,
    check_symbol_labels,
    led,
    numbered,
    read,
    spelled,
    without_lead,
)
from skseqmetric._tensors.flat import FlatSequences, batches_by_length
from skseqmetric._training.batches import StepLabels


class CTCTranscription(CrossModalRetrieval):
    """What labels become, what a network whose steps have scores costs on them, and what it says of sequences."""

    _head = "steps"
    _parts = ("series_loss", "cross_loss")

    label_kind_: str

    @property
    def symbols_(self) -> np.ndarray:
        """The symbols that labels are made of, sorted, (K,)."""
        return self.classes_

    # ------------------------------------------------------------------ labels
    def _check_targets(self, y: Any, sequences: Sequences, known: np.ndarray | None) -> tuple[np.ndarray, StepLabels]:
        labels = check_symbol_labels(y, len(sequences))
        alphabet = check_alphabet(symbol for label in labels.labels for symbol in label) if known is None else known
        codes = spelled(labels, alphabet)
        check_known(codes, labels, alphabet)
        continued = known is not None and hasattr(self, "module_")
        if continued and labels.kind != self.label_kind_:
            raise ValueError(
                f"The labels of y are {labels.kind}s, but those of the first fit were {self.label_kind_}s."
            )
        check_room(codes, sequences.lengths, self._steps_left(sequences, continued=continued))
        self.label_kind_ = labels.kind
        return alphabet, led(codes)

    def _steps_left(self, sequences: Sequences, *, continued: bool) -> np.ndarray:
        """Steps (n,) that the encoder of the sequences leaves of each; a module of the user is run to see."""
        encoder = self.module_.series_encoder if continued else copied(self.series_encoder)
        if encoder is None or isinstance(encoder, SeriesEncoder):
            return SeriesEncoder.output_lengths(sequences.lengths)
        return _steps_by_running(encoder, sequences)

    def _number_labels(
        self, classes: np.ndarray, codes: StepLabels, image_labels: Any, n_images: int
    ) -> tuple[np.ndarray, np.ndarray]:
        distinct, of_sequences = numbered(without_lead(codes))
        if image_labels is None:
            return of_sequences, of_sequences
        labels = check_symbol_labels(image_labels, n_images, name="image_labels", of="there are {} images")
        places = {row.tobytes(): k for k, row in enumerate(distinct)}
        of_images = np.array([places.get(row.tobytes(), -1) for row in spelled(labels, classes)], dtype=np.int64)
        missing = np.setdiff1d(of_sequences, of_images)
        if len(missing):
            label = read(distinct[missing[0]], classes, self.label_kind_)
            raise ValueError(f"label {label!r} has sequences but no image: every label of y needs one.")
        return of_sequences, of_images

    def _check_beside(
        self, beside: GivenImages, classes: np.ndarray, codes: Any, *, continued: bool
    ) -> ImagePool | None:
        pool = super()._check_beside(beside, classes, codes, continued=continued)
        return None if pool is None else replace(pool, spelled=numbered(without_lead(codes))[0])

    def _label_distances(self, classes: np.ndarray, pool: ImagePool) -> LabelDistances:
        return partial(_distances, "edit", pool.spelled)

    def _choosing_distances(self, pool: ImagePool) -> LabelDistances:
        return partial(_exchanges, pool.spelled)

    # ------------------------------------------------------------------ training
    @property
    def _n_scores(self) -> int:
        return len(self.classes_) + 1

    def _task_loss(self, logits: Tensor, steps: Tensor, labels: Tensor) -> Tensor:
        targets = labels[:, 1:]
        n_symbols = (targets > BLANK).sum(1)
        log_probs = logits.log_softmax(2).transpose(0, 1)
        losses = ctc_loss(log_probs, targets.clamp_min(BLANK), steps, n_symbols, blank=BLANK, reduction="none")
        return losses / n_symbols.clamp_min(1)

    # ------------------------------------------------------------------ inference
    def _of_steps(self, X: Any, what: Callable[[Tensor, Tensor], list[np.ndarray]]) -> list[np.ndarray]:
        """what(log-probabilities (B, T', K + 1), their steps (B,)) of all sequences, in their order."""
        flat = self._standardise(check_sequences(X, estimator=self, reset=False))
        out: list[Any] = [None] * len(flat)

        def each(values: Tensor, lengths: Tensor, indices: np.ndarray) -> None:
            features, steps = self.module_.encode_series(values, lengths)
            log_probs = self.module_.series_logits(features, steps).log_softmax(2)
            for i, found in zip(indices, what(log_probs, steps), strict=True):
                out[i] = found

        self._over_batches(flat, flat.digests(), each)
        return out


def _distances(how: str, codes: Sequence[np.ndarray], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distances of labels that are given by their places in codes: (B,) and (M,) -> (B, M)."""
    return label_distance(how, [codes[i] for i in first], [codes[i] for i in second], table=True)


def _exchanges(codes: Sequence[np.ndarray], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Symbols that differ between labels of one length; edit distances in rows without another label of its length."""
    table = _distances("substitutions", codes, first, second)
    alone = ~(table > 0).any(axis=1)
    if alone.any():
        table[alone] = _distances("edit", codes, first[alone], second)
    return table


def _steps_by_running(encoder: nn.Module, sequences: Sequences) -> np.ndarray:
    device = next((parameter.device for parameter in encoder.parameters()), torch.device("cpu"))
    n_channels = sequences.n_channels
    flat = FlatSequences.from_sequences(sequences, np.zeros(n_channels), np.ones(n_channels), device)
    steps = np.empty(len(flat), dtype=np.int64)
    for rows in batches_by_length(flat.host_lengths, MAX_STEPS):
        steps[rows] = encoder_steps(encoder, *flat.padded(rows)).cpu().numpy()
    return steps
