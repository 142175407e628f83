"""Batches of sequences with images beside them, the course of a training, and the sum that it minimises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from skseqmetric._estimators.cross_modal.batches import CrossModalBatches, ImagePool, Pairing
from skseqmetric._estimators.cross_modal.margins import label_distance
from skseqmetric._estimators.cross_modal.objective import Course, CrossModalObjective, CrossTerm
from skseqmetric._input import check_images, check_sequences
from skseqmetric._networks.cross_modal import CrossModalNetwork
from skseqmetric._networks.encoders import ImageEncoder, SeriesEncoder
from skseqmetric._ops.cross_modal_losses import cross_modal_loss
from skseqmetric._tensors.flat import FlatSequences
from skseqmetric._training.batches import LabelledBatches
from tests.small_embedder import PARTS, Data

# --------------------------------------------------------------------------------------------------- batches, objective


def pool_of(y: np.ndarray, images: np.ndarray, labels: np.ndarray | None) -> ImagePool:
    checked = check_images(images)
    return ImagePool.paired(checked, y) if labels is None else ImagePool.matched(checked, labels, y)


def course(**changes: Any) -> Course:
    return Course(
        PARTS, **{"how": "equal", "earlier": [], "epoch": 0, "max_epochs": 10, "curriculum": False, **changes}
    )


def batches_of(pairs: Data, pool: ImagePool, how: Any, progress: Course) -> CrossModalBatches:
    X, y, _ = pairs
    flat = FlatSequences.from_sequences(check_sequences(X), np.zeros(2), np.ones(2), torch.device("cpu"))
    series = LabelledBatches(
        flat, torch.from_numpy(y), torch.ones(len(y)), lambda: np.array_split(np.arange(len(y)), 4), lambda v, _: v
    )

    def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return label_distance(how, first, second, table=True)

    return CrossModalBatches(series, Pairing(pool, distances, progress, np.random.default_rng(0)))


@pytest.mark.parametrize("paired", [True, False])
def test_batches_put_the_right_image_beside_every_sequence(pairs: Data, paired: bool) -> None:
    _, y, images = pairs
    labels = None if paired else y[:15]
    pool = pool_of(y, images if paired else images[:15], labels)
    table = np.array([[0, 2.0, 0.5], [2, 0, 3], [0.5, 3, 0]])
    batches = batches_of(pairs, pool, table, course())
    drawn: set[bytes] = set()
    for _ in range(30):
        seen = 0
        for batch in batches:
            rows = np.arange(seen, seen + len(batch["labels"]))
            seen += len(rows)
            assert torch.equal(batch["image_labels"], batch["labels"])
            if paired:
                np.testing.assert_array_equal(batch["images"][:, 0], images[rows])
            drawn |= {image.numpy().tobytes() for image in batch["images"]}
            own, other = y[rows], batch["image_labels"].numpy()[batch["negatives"]]
            assert (own != other).all()
            np.testing.assert_array_equal(batch["apart"], table[own, other].astype(np.float32))
    assert len(drawn) == len(pool.images)


def test_a_batch_of_one_class_has_no_negatives(pairs: Data) -> None:
    _, y, images = pairs
    batches = batches_of(pairs, pool_of(np.zeros_like(y), images, None), "classes", course())
    batch = next(iter(batches))
    assert (batch["negatives"] == -1).all()
    assert (batch["apart"] == 0).all()


def test_curriculum_starts_with_far_negatives(pairs: Data) -> None:
    _, y, images = pairs
    table = np.array([[0, 1.0, 5], [1, 0, 5], [5, 5, 0]])
    batches = batches_of(pairs, pool_of(y, images, None), table, course(curriculum=True, max_epochs=5))
    least = [min(batch["apart"].min().item() for batch in batches) for _ in range(5)]
    assert least == [5, 5, 5, 5, 1]


def test_course_settles_weights_from_the_epochs_before() -> None:
    rows = [dict(zip(PARTS, losses, strict=True)) for losses in ([2.0, 1.0, 1.0], [1.0, 1.0, 0.5])]
    progress = course(how="dynamic", earlier=[{"train_loss": 1.0}, *rows])
    speed = np.exp([0.5, 1.0, 0.5])
    np.testing.assert_allclose(progress.weights, speed / speed.sum())
    progress.record(torch.tensor([1.0, 2.0, 3.0]), 3)
    progress.record(torch.tensor([5.0, 2.0, 7.0]), 1)
    progress.end_epoch()
    assert progress.rows == [dict(zip(PARTS, [2.0, 2.0, 4.0], strict=True))]
    np.testing.assert_allclose(progress.weights, speed / speed.sum())
    progress.begin_epoch()
    speed = np.exp([2.0, 2.0, 8.0])
    np.testing.assert_allclose(progress.weights, speed / speed.sum())
    assert progress.epoch == 1
    assert course(how="dynamic").weights == pytest.approx([1 / 3] * 3)
    assert course(how=(1.0, 0.0, 3.0)).weights == [1.0, 0.0, 3.0]


def test_objective_is_the_weighted_sum_of_its_parts(pairs: Data) -> None:
    _, y, images = pairs
    generator = torch.Generator().manual_seed(0)
    network = CrossModalNetwork(
        SeriesEncoder(2, 6, n_units=3, n_outputs=5, dropout=0.0, generator=generator),
        ImageEncoder((1, 9, 8), n_outputs=5, dropout=0.0, generator=generator),
        5,
        4,
        3,
        "classes",
        generator,
    )
    progress = course(how=(0.5, 0.25, 2.0))

    def task(logits: Tensor, steps: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, reduction="none")

    objective = CrossModalObjective(network, task, 1.5, generator, CrossTerm(progress, "triplet", "cosine", None, 0.7))
    batch = next(iter(batches_of(pairs, pool_of(y, images, None), "ordered", progress)))
    batch["weights"] = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0, 1.0])
    total = objective(**batch)
    features = network.encode_series(batch["values"], batch["lengths"])
    vectors, weights = network.encode_images(batch["images"]), batch["weights"]
    u, v = network.embed_series(*features), network.embed_images(vectors)
    parts = [
        sum(w * cross_entropy(row[None], k[None]) for w, row, k in zip(weights, logits, batch["labels"], strict=True))
        / 6
        / 1.5
        for logits in (network.series_logits(*features), network.image_logits(vectors))
    ]
    negatives, apart = batch["negatives"], batch["apart"]
    cross = cross_modal_loss("triplet", "cosine", u, v, v[negatives.clamp_min(0)], negatives >= 0, 0.7 * apart, weights)
    expected = torch.stack([*parts, cross * weights.mean() / 1.5])
    torch.testing.assert_close(total, expected @ torch.tensor([0.5, 0.25, 2.0]))
    progress.end_epoch()
    assert list(progress.rows[0].values()) == pytest.approx(expected.tolist(), rel=1e-5)
    alone = objective(**{k: batch[k] for k in ("values", "lengths", "labels", "weights")})
    torch.testing.assert_close(alone, parts[0])
