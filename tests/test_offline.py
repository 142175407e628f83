"""What the image branch alone answers: classes of images, labels of strips, and when it cannot."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from skseqmetric.metrics import character_error_rate
from tests.small_embedder import CHEAP, pictures, started
from tests.small_embedder import small as small_embedder
from tests.small_transcriber import ALL_PARTS, PARTS, Data, equal, small

FAST: dict[str, Any] = {"series_encoder": CHEAP["series_encoder"], "augment": None}


class Columns(nn.Module):
    """An image encoder that leaves the columns of an image (B, 1, 9, w), or the mean of all if it is flat."""

    def __init__(self, flat: bool = False) -> None:
        super().__init__()
        self.layer, self.flat = started(9, 7, seed=1), flat

    def forward(self, images: Tensor) -> Tensor:
        columns = self.layer(images[:, 0].transpose(1, 2))
        return columns.mean(1) if self.flat else columns


class MuteSteps(nn.Module):
    """A series encoder whose features say nothing, so that CTC learns the blank at every step."""

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(values[..., :1]).expand(-1, -1, 7), lengths


class MuteColumns(nn.Module):
    """An image encoder whose columns say nothing."""

    def forward(self, images: Tensor) -> Tensor:
        return images.new_zeros(len(images), images.shape[3], 7)


MUTE: dict[str, Any] = {
    "series_encoder": MuteSteps(),
    "image_encoder": MuteColumns(),
    "augment": None,
    "max_epochs": 4,
    "learning_rate": 0.3,
}


@pytest.mark.parametrize("alone", [False, True])
def test_embedder_reads_images_with_and_without_sequences(pairs: Any, alone: bool) -> None:
    X, y, images = pairs
    settings = {"loss_weights": (0, 1, 0)} if alone else {}
    embedder = small_embedder(**FAST, image_encoder=CHEAP["image_encoder"], max_epochs=15, **settings)
    embedder.set_params(learning_rate=0.1).fit(X, y, images=images)
    new, y_new = pictures(np.arange(12) % 3, seed=9), np.arange(12) % 3
    assert embedder.score_images(new, y_new) == np.mean(embedder.predict_images(new) == y_new) > 0.9
    shares = embedder.predict_proba_images(new)
    assert shares.shape == (12, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_array_equal(embedder.classes_[shares.argmax(axis=1)], embedder.predict_images(new))
    np.testing.assert_array_equal(embedder.decision_function_images(new).argmax(axis=1), shares.argmax(axis=1))
    np.testing.assert_array_equal(embedder.predict_images(new[::-1])[::-1], embedder.predict_images(new))
    weights = np.arange(12) % 2
    wrong = np.where(weights, y_new, (y_new + 1) % 3)
    assert embedder.score_images(new, wrong, weights) > 0.9 > embedder.score_images(new, wrong)
    with pytest.raises(ValueError, match="12 images"):
        embedder.score_images(new, y_new[:11])


def test_transcriber_reads_strips(words: Data) -> None:
    X, y, images = words
    reader = small(**FAST, image_encoder=Columns(), loss_weights=(0, 1, 0), max_epochs=30, learning_rate=0.1)
    reader.fit(X, y, images=images)
    assert reader.score_images(images, y) == 1 - character_error_rate(y, reader.predict_images(images)) > 0.8
    rows = reader.predict_log_proba_images(images)
    assert {(type(row), row.shape, row.dtype) for row in rows} == {(np.ndarray, (16, 4), np.dtype("float32"))}
    np.testing.assert_allclose([np.exp(row.astype(float)).sum(axis=1) for row in rows], 1, rtol=1e-5)
    assert equal(pickle.loads(pickle.dumps(reader)).predict_log_proba_images(images), rows)
    # the beam is set after the fit, and the sequences were not learned from
    wide = reader.set_params(decoding="beam").predict_images(images)
    assert character_error_rate(y, wide) < 0.2 < character_error_rate(y, reader.predict(X))
    with pytest.raises(ValueError, match="2 labels, but there are 30 images"):
        reader.score_images(images, y[:2])


def test_the_own_encoder_of_strips_reads_from_left_to_right(words: Data) -> None:
    X, y, images = words
    reader = small(**FAST, max_epochs=1, min_batches=1).fit(X, y, images=images)
    assert set(ALL_PARTS) < set(reader.history_[0])
    before = np.array(reader.predict_log_proba_images(images[:4]))
    assert before.shape == (4, 8, 4)
    assert np.array_equal(reader.predict_log_proba_images(images[:1])[0], before[0])
    # an image has as many columns as the convolutions and the LSTM leave of it, also where its halves are exchanged
    assert not np.allclose(reader.predict_log_proba_images(np.roll(images[:4], 8, axis=2)), before)
    np.testing.assert_allclose(np.linalg.norm(reader.transform_images(images), axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_encoder": Columns(flat=True)}, "does not read images"),
        ({"transcribe_images": False}, "does not read images"),
        ({"loss_weights": (1, 1)}, "does not read images"),
    ],
)
def test_images_that_are_not_transcribed(words: Data, settings: dict[str, Any], message: str) -> None:
    X, y, images = words
    reader = small(**{**FAST, **settings}, max_epochs=1, min_batches=1).fit(X, y, images=images)
    assert set(reader.history_[0]) & set(ALL_PARTS) == set(PARTS)
    for method in (reader.predict_images, reader.predict_log_proba_images):
        with pytest.raises(ValueError, match=message):
            method(images)
    alone = small(**FAST, max_epochs=1, min_batches=1).fit(X, y)
    with pytest.raises(ValueError, match="fitted without images"):
        alone.predict_images(images)


def test_labels_without_room_in_their_images(words: Data) -> None:
    X, y, images = words
    narrow = images[:, :, :8]  # four columns are left, and aba a takes five
    labels = ["abaa", *["ab"] * 29]
    reader = small(**FAST, max_epochs=1, min_batches=1)
    with pytest.raises(ValueError, match="label 'abaa' does not fit into its image: its 4 symbols take 5 columns"):
        copy.deepcopy(reader).set_params(transcribe_images=True).fit(X, labels, images=narrow)
    with pytest.raises(ValueError, match="one vector of it"):
        copy.deepcopy(reader).set_params(transcribe_images=True, image_encoder=Columns(flat=True)).fit(
            X, y, images=images
        )
    assert reader.fit(X, labels, images=narrow).module_.image_head is None
    reader.fit(X[:9], ["ab"] * 9, images=narrow[:9])
    weights = reader.module_.image_head.weight.clone()
    with pytest.raises(ValueError, match="'abaa' does not fit"):
        reader.partial_fit(X, labels, images=narrow)
    assert torch.equal(reader.module_.image_head.weight, weights)
    reader.partial_fit(X[:9], ["ba"] * 9, images=narrow[:9])
    assert not torch.equal(reader.module_.image_head.weight, weights)
    for wrong in ({"loss_weights": (1, 2, 3, 4)}, {"loss_weights": (1, 2), "transcribe_images": True}):
        with pytest.raises(ValueError, match="3 numbers"):
            small(**FAST, **wrong).fit(X, y, images=images)


@pytest.mark.parametrize("images_alone", [False, True])
def test_a_transcriber_that_writes_blanks_alone_says_so_once(
    words: Data, images_alone: bool, recwarn: pytest.WarningsRecorder
) -> None:
    X, y, images = words
    given = {"loss_weights": (0, 1, 0)} if images_alone else {}
    reader = small(**MUTE, **given)
    reader.fit(X, y, images=images)
    (told,) = recwarn.list
    assert told.category is ConvergenceWarning
    assert "blanks alone" in str(told.message)
    assert "max_epochs=4, max_updates=2500" in str(told.message)
    assert ("images" if images_alone else "sequences") in str(told.message)
    assert set(reader.predict_images(images) if images_alone else reader.predict(X)) == {""}
    assert len(recwarn.list) == 1


def test_after_partial_fit_the_answers_say_so(words: Data) -> None:
    X, y, _ = words
    reader = small(**MUTE)
    for _ in range(4):
        reader.partial_fit(X, y)
    with pytest.warns(ConvergenceWarning, match="blanks alone: all 30 answers are empty after 4 epochs"):
        assert set(reader.predict(X)) == {""}
    silent = small(**MUTE).partial_fit(X, [""] * 30, "ab")
    assert set(silent.predict(X)) == {""}


def test_a_warning_that_is_an_error_keeps_the_fit(words: Data) -> None:
    X, y, _ = words
    reader = small(**MUTE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            reader.fit(X, y)
    assert reader.n_iter_ == 4
