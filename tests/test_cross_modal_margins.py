"""Label distances, margins, the curriculum of negatives and the balance of losses, by hand and by brute force."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from skseqmetric._ops.embedding_distances import batch_distance, paired_distance
from skseqmetric._ops.loss_balance import task_weights
from skseqmetric._ops.margins import (
    choose_negatives,
    confusion_distances,
    default_beta,
    label_distance,
    label_matrix,
    least_edit_distance,
    prototype_distances,
)
from tests.small_embedder import distances_by_hand

# --- label distances, margins, curriculum, negatives ----------------------------------------------------------------


def test_label_distance_of_classes() -> None:
    first, second = np.array([0, 2, 4]), np.array([4, 3])
    assert label_distance("classes", first, second).tolist() == [[1, 1], [1, 1], [0, 1]]
    assert label_distance("ordered", first, second).tolist() == [[4, 3], [2, 1], [0, 1]]
    assert label_distance("classes", first, second).dtype == label_distance("ordered", first, second).dtype == float


def test_ordered_distance_of_unsigned_codes_does_not_wrap() -> None:
    codes = np.array([0, 3], dtype=np.uint8)
    assert label_distance("ordered", codes, codes[::-1]).tolist() == [[3, 0], [0, 3]]


def test_label_distance_by_matrix() -> None:
    matrix = label_matrix([[0, 1, 5], [2, 0, 3], [4, 6, 0]], np.arange(3))
    assert label_distance(matrix, np.array([0, 1, 2]), np.array([2, 0])).tolist() == [[5, 0], [3, 2], [0, 4]]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((1, 2)), r"\(2, 2\); got the shape \(1, 2\)"),
        (np.zeros((4, 4)), r"\(2, 2\); got the shape \(4, 4\)"),
        ([[0, -1], [1, 0]], r"not negative, got -1.0 at \(0, 1\) of the matrix of shape \(2, 2\)"),
        ([[0, 1], [np.nan, 0]], r"finite and not negative, got nan at \(1, 0\)"),
        ([[0, 1], [1, 2]], r"distance 0 from itself, got 2.0 at \(1, 1\)"),
        (lambda a, b: float(a == b), "distance 0 from itself, got 1.0"),
        (lambda a, b: -1.0 * (a != b), "finite and not negative, got -1.0 for 'a' and 'b'"),
        (lambda a, b: np.nan, "finite and not negative, got nan for 'a' and 'a'"),
        (lambda a, b: np.inf if a > b else 0, "finite and not negative, got inf for 'b' and 'a'"),
    ],
)
def test_wrong_label_distances_are_refused(matrix: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        label_matrix(matrix, np.array(["a", "b"]))


def test_a_function_of_labels_sees_the_classes_themselves() -> None:
    matrix = label_matrix(lambda a, b: abs(ord(a) - ord(b)), np.array(["a", "c", "z"]))
    assert matrix.tolist() == [[0, 2, 25], [2, 0, 23], [25, 23, 0]]
    assert label_matrix(lambda a, b: max(b - a, 0), np.arange(2)).tolist() == [[0, 1], [0, 0]]


def brute_edits(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(brute_edits(a[1:], b) + 1, brute_edits(a, b[1:]) + 1, brute_edits(a[1:], b[1:]) + (a[0] != b[0]))


def test_label_distance_of_sequences() -> None:
    rng = np.random.default_rng(3)
    first, second = ([rng.integers(0, 3, size=n) for n in sizes] for sizes in ((0, 2, 4, 3), (3, 2, 4, 5)))
    expected = np.array([[brute_edits(tuple(a.tolist()), tuple(b.tolist())) for b in second] for a in first])
    assert label_distance("edit", first, second[:3]).tolist() == expected[:, :3].tolist()
    places = [[int((a != b).sum()) if len(a) == len(b) else -1 for b in second] for a in first]
    assert label_distance("substitutions", first, second[:3]).tolist() == [row[:3] for row in places]


def test_default_beta_is_the_same_share_of_what_a_distance_reaches() -> None:
    size = 8
    assert [default_beta(name, size) for name in ("mse", "cosine", "pearson", "mmd")] == [1e-3, 0.1, 0.1, 0.1]
    axes = torch.eye(size, dtype=torch.float64)
    # Two opposite points against none: the largest third moments there are.
    homm = batch_distance("homm", axes[:1], -axes[:1])
    assert default_beta("homm", size) == pytest.approx(float(homm) / 20, rel=1e-12)
    # Many points, half at e_0 and half at -e_0, against the same on e_1: covariances of trace 1 on different axes.
    u, v = (torch.cat([axes[i].expand(5000, size), -axes[i].expand(5000, size)]) for i in range(2))
    assert default_beta("coral", size) == pytest.approx(float(batch_distance("coral", u, v)) / 20, rel=1e-3)


@pytest.mark.parametrize("size", [2, 3, 8, 64])
def test_default_beta_of_kl_is_a_twentieth_of_its_maximum_on_the_sphere(size: int) -> None:
    rng = torch.Generator().manual_seed(size)
    u, v = (torch.randn(32, size, generator=rng, dtype=torch.float64).requires_grad_() for _ in range(2))
    climb = torch.optim.Adam([u, v], lr=0.05)
    for _ in range(600):
        climb.zero_grad()
        divergence = paired_distance("kl", torch.nn.functional.normalize(u), torch.nn.functional.normalize(v))
        (-size * divergence.sum()).backward()
        climb.step()
    assert 20 * default_beta("kl", size) == pytest.approx(float(divergence.detach().max()), rel=1e-4)


def test_default_beta_of_kl_in_one_dimension_where_it_is_always_0() -> None:
    assert default_beta("kl", 1) == 0.0


def test_curriculum_of_hundred_epochs() -> None:
    expected = [1 + (100 - epoch - 1) // 20 for epoch in range(100)]
    assert [least_edit_distance(epoch, 100) for epoch in range(100)] == expected


def test_curriculum_of_other_lengths() -> None:
    assert [least_edit_distance(epoch, 10) for epoch in range(10)] == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert [least_edit_distance(epoch, 3) for epoch in range(3)] == [4, 2, 1]
    assert least_edit_distance(0, 1) == 1
    assert least_edit_distance(100, 100) == least_edit_distance(250, 100) == 1
    for max_epochs in (7, 33, 250):
        table = [least_edit_distance(epoch, max_epochs) for epoch in range(max_epochs)]
        assert table == sorted(table, reverse=True)
        assert table[-1] == 1


def test_negatives_are_far_enough_or_the_farthest(rng: np.random.Generator) -> None:
    distances = np.array([[0, 3, 5, 1], [0, 2, 2, 1], [0, 0, 0, 0], [-1, 0, 0.5, -1], [-1, -1, -1, -1]])
    seen = [choose_negatives(distances, 3, rng).tolist() for _ in range(200)]
    chosen = [set(column) for column in zip(*seen, strict=True)]
    assert chosen == [{1, 2}, {1, 2}, {-1}, {2}, {-1}]


@pytest.mark.parametrize("least", [0, 1, 4, 100])
def test_negatives_never_have_the_label_of_the_anchor(least: int, rng: np.random.Generator) -> None:
    codes, pool = rng.integers(0, 6, size=300), rng.integers(0, 6, size=20)
    distances = label_distance("ordered", codes, pool)
    chosen = choose_negatives(distances, least, rng)
    assert (chosen >= 0).all()
    assert (pool[chosen] != codes).all()
    got = distances[np.arange(300), chosen]
    assert (got >= np.minimum(least, distances.max(axis=1))).all()


def test_negatives_are_drawn_uniformly(rng: np.random.Generator) -> None:
    distances = np.tile([0.0, 2.0, 1.0, 3.0, 2.0, 5.0], (30_000, 1))
    counts = np.bincount(choose_negatives(distances, 2, rng), minlength=6)
    assert counts[[0, 2]].tolist() == [0, 0]
    # Binomial with p = 1/4: five standard deviations are 375.
    assert np.abs(counts[[1, 3, 4, 5]] - 7500).max() < 375


def test_negatives_are_deterministic_and_none_come_of_an_empty_pool() -> None:
    distances = np.random.default_rng(0).integers(0, 4, size=(50, 9)).astype(float)
    first, again, other = (choose_negatives(distances, 2, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert choose_negatives(np.zeros((3, 0)), 1, np.random.default_rng(0)).tolist() == [-1, -1, -1]
    assert choose_negatives(np.zeros((0, 3)), 1, np.random.default_rng(0)).shape == (0,)


# --- balance --------------------------------------------------------------------------------------------------------


def test_dynamic_weights_by_hand() -> None:
    history = [[9.0, 4.0, 2.0], [9.0, 1.0, 1.0], [9.0, 2.0, 3.0]]  # ratios of the last two: 0.5, 1, 1.5
    total = math.exp(0.5) + math.exp(1) + math.exp(1.5)
    expected = [math.exp(0.5) / total, math.exp(1) / total, math.exp(1.5) / total]
    assert task_weights(history, "dynamic").tolist() == pytest.approx(expected, rel=1e-14)
    warm = [math.exp(ratio / 4) for ratio in (0.5, 1, 1.5)]
    assert task_weights(history, "dynamic", 4.0).tolist() == pytest.approx([w / sum(warm) for w in warm], rel=1e-14)
    assert task_weights(history, "equal").tolist() == [1 / 3] * 3


def test_first_two_epochs_are_equal() -> None:
    assert task_weights([[], [], [], []], "dynamic").tolist() == [0.25] * 4
    assert task_weights([[3.0], [1.0]], "dynamic").tolist() == [0.5, 0.5]
    assert task_weights([[3.0, 1.0], [1.0, 1.0]], "dynamic").tolist() != [0.5, 0.5]


def test_ratios_that_say_nothing_count_as_no_change() -> None:
    history = [[1.0, 1.0], [0.0, 0.0], [0.0, 4.0], [np.nan, 1.0], [1.0, np.inf], [-1.0, 2.0]]
    assert task_weights(history, "dynamic").tolist() == pytest.approx([1 / 6] * 6, rel=1e-14)
    huge = task_weights([[1e-300, 1e5], [1.0, 1.0]], "dynamic")
    assert huge.tolist() == [1.0, 0.0]


def test_unknown_balance_is_refused() -> None:
    with pytest.raises(ValueError, match="'equal' or 'dynamic', got 'learned'"):
        task_weights([[1.0], [2.0]], "learned")


def test_distances_of_sums_against_loops() -> None:
    ones = 1.0 - np.eye(3)
    rng, y = np.random.default_rng(0), np.arange(30) % 3
    points, shares = rng.normal(size=(30, 4)), rng.dirichlet([1, 1, 1], size=30) + 2 * np.eye(3)[y]
    shares /= shares.sum(axis=1, keepdims=True)
    for kind, rows, compute in (
        ("prototypes", points, prototype_distances),
        ("confusion", shares, confusion_distances),
    ):
        sums = np.array([rows[y == k].sum(axis=0) for k in range(3)])
        np.testing.assert_allclose(compute(sums, np.full(3, 10.0), ones), distances_by_hand(kind, rows, y), rtol=1e-12)
    # a class without members keeps its distances, and what nobody confuses is finite
    kept = prototype_distances(np.array([[1.0, 0], [0, 3], [9, 9]]), np.array([1.0, 1, 0]), 5 * ones)
    assert kept.tolist() == [[0, 1, 5], [1, 0, 5], [5, 5, 0]]
    assert np.isfinite(confusion_distances(np.eye(3), np.ones(3), ones)).all()
    assert prototype_distances(np.ones((3, 2)), np.ones(3), 7 * ones).tolist() == (7 * ones).tolist()
    # two classes that are confused more often than told apart
    turned = confusion_distances(np.array([[0.4, 0.5, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]]), np.ones(3), ones)
    assert turned[0, 1] == turned[1, 0] == 0 < turned[0, 2]
