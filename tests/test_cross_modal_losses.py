"""Cross-modal distances and losses against plain loops in float64."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from skseqmetric._ops import metric_losses
from skseqmetric._ops.cross_modal_losses import KINDS, cross_modal_loss
from skseqmetric._ops.embedding_distances import BATCH, PAIRED, batch_distance, mmd, paired_distance
from tests.torch_memory import peak_bytes, squared_bytes

HAS_NEGATIVE = torch.tensor([True, True, False, True, True, False])
WEIGHTS = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0], dtype=torch.float64)
MARGINS = torch.tensor([0.9, 0.2, 7.0, 0.4, 1.7, 9.0], dtype=torch.float64)
Rows = list[list[float]]


def triple(seed: int = 0, n: int = 6, size: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    u, p, v = torch.randn(3, n, size, generator=generator, dtype=torch.float64)
    return u, p, 0.5 * u + v


# --- distances by plain loops ---------------------------------------------------------------------------------------


def brute_cosine(u: list[float], v: list[float]) -> float:
    dot = math.fsum(a * b for a, b in zip(u, v, strict=True))
    return 1 - dot / math.sqrt(math.fsum(a * a for a in u) * math.fsum(b * b for b in v))


def centred(u: list[float]) -> list[float]:
    return [a - math.fsum(u) / len(u) for a in u]


def brute_kl(u: list[float], v: list[float]) -> float:
    p, q = ([math.exp(a) / math.fsum(map(math.exp, w)) for a in w] for w in (u, v))
    return math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


BRUTE_PAIRED = {
    "mse": lambda u, v: math.fsum((a - b) ** 2 for a, b in zip(u, v, strict=True)) / len(u),
    "cosine": brute_cosine,
    "pearson": lambda u, v: brute_cosine(centred(u), centred(v)),
    "kl": brute_kl,
}


def brute_mmd(u: Rows, v: Rows, p: list[float], q: list[float]) -> float:
    def gap(a: list[float], b: list[float]) -> float:
        return math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True))

    used = [row for row, share in zip(u + v, p + q, strict=True) if share > 0]
    gaps = sorted(gap(a, b) for a, b in itertools.combinations(used, 2))
    middle = gaps[(len(gaps) - 1) // 2]
    signed = [(row, share) for row, share in zip(u, p, strict=True)] + [
        (row, -share) for row, share in zip(v, q, strict=True)
    ]
    return math.fsum(
        s * t * math.exp(-gap(a, b) / (width * middle))
        for (a, s), (b, t) in itertools.product(signed, signed)
        for width in (0.25, 0.5, 1.0, 2.0, 4.0)
    )


def brute_covariance(rows: Rows, shares: list[float]) -> Rows:
    size = len(rows[0])
    mean = [math.fsum(s * row[i] for row, s in zip(rows, shares, strict=True)) for i in range(size)]
    unbiased = 1 - math.fsum(s * s for s in shares)
    return [
        [
            math.fsum(s * (row[i] - mean[i]) * (row[j] - mean[j]) for row, s in zip(rows, shares, strict=True))
            / unbiased
            for j in range(size)
        ]
        for i in range(size)
    ]


def brute_coral(u: Rows, v: Rows, p: list[float], q: list[float]) -> float:
    size, first, second = len(u[0]), brute_covariance(u, p), brute_covariance(v, q)
    entries = itertools.product(range(size), range(size))
    return math.fsum((first[i][j] - second[i][j]) ** 2 for i, j in entries) / (4 * size**2)


def brute_homm(u: Rows, v: Rows, p: list[float], q: list[float]) -> float:
    def moment(rows: Rows, shares: list[float], i: int, j: int, k: int) -> float:
        return math.fsum(s * row[i] * row[j] * row[k] for row, s in zip(rows, shares, strict=True))

    indices = list(itertools.product(range(len(u[0])), repeat=3))
    return math.fsum((moment(u, p, *ijk) - moment(v, q, *ijk)) ** 2 for ijk in indices) / len(indices)


BRUTE_BATCH = {"mmd": brute_mmd, "coral": brute_coral, "homm": brute_homm}


def brute_batch(name: str, u: Tensor, v: Tensor, weights: Tensor) -> float:
    shares = (weights / weights.sum()).tolist()
    return BRUTE_BATCH[name](u.tolist(), v.tolist(), shares, shares)


def test_every_distance_has_a_brute_force() -> None:
    assert set(BRUTE_PAIRED) == PAIRED
    assert set(BRUTE_BATCH) == BATCH


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(PAIRED))
def test_paired_distance_equals_brute_force(name: str, seed: int) -> None:
    u, v, _ = triple(seed)
    expected = [BRUTE_PAIRED[name](a, b) for a, b in zip(u.tolist(), v.tolist(), strict=True)]
    assert paired_distance(name, u, v).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", sorted(PAIRED))
def test_paired_distance_broadcasts(name: str) -> None:
    u, v, _ = triple()
    table = paired_distance(name, u[:, None], v[None])
    assert table.shape == (6, 6)
    torch.testing.assert_close(table.diagonal(), paired_distance(name, u, v), rtol=1e-12, atol=0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(BATCH))
def test_batch_distance_equals_brute_force(name: str, seed: int) -> None:
    u, v, _ = triple(seed)
    expected = brute_batch(name, u, v, torch.ones(6, dtype=torch.float64))
    assert float(batch_distance(name, u, v)) == pytest.approx(expected, rel=1e-11)
    weighted = brute_batch(name, u, v, WEIGHTS)
    assert float(batch_distance(name, u, v, WEIGHTS)) == pytest.approx(weighted, rel=1e-11)


@pytest.mark.parametrize("name", sorted(BATCH))
def test_batch_distance_takes_batches_of_unequal_size(name: str) -> None:
    u, v, _ = triple()
    shares = [1 / 6] * 6, [1 / 4] * 4
    expected = BRUTE_BATCH[name](u.tolist(), v[:4].tolist(), *shares)
    assert float(batch_distance(name, u, v[:4])) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("name", sorted(BATCH))
def test_rows_of_weight_zero_might_as_well_be_absent(name: str) -> None:
    u, v, _ = triple()
    kept = WEIGHTS > 0
    expected = batch_distance(name, u[kept], v[kept], WEIGHTS[kept])
    far = torch.where(kept[:, None], v, 50.0)
    torch.testing.assert_close(batch_distance(name, u, far, WEIGHTS), expected, rtol=1e-11, atol=0)


def test_coral_uses_the_covariance_of_numpy() -> None:
    u, v, _ = triple()
    gap = np.cov(u.numpy(), rowvar=False) - np.cov(v.numpy(), rowvar=False)
    assert float(batch_distance("coral", u, v)) == pytest.approx((gap**2).sum() / 64, rel=1e-12)


def test_homm_of_many_features_equals_the_moments_themselves() -> None:
    u, v, _ = triple(size=40)
    moments = [torch.einsum("bi,bj,bk->ijk", w, w, w) / 6 for w in (u, v)]
    expected = (moments[0] - moments[1]).square().mean()
    torch.testing.assert_close(batch_distance("homm", u, v), expected, rtol=1e-11, atol=0)


@pytest.mark.parametrize("name", sorted(PAIRED))
def test_equal_vectors_are_at_distance_zero(name: str) -> None:
    u, _, _ = triple()
    assert torch.equal(paired_distance(name, u, u.clone()), torch.zeros(6, dtype=torch.float64))


@pytest.mark.parametrize("name", sorted(BATCH))
def test_equal_distributions_are_at_distance_zero(name: str) -> None:
    u, _, _ = triple()
    order = [3, 1, 5, 0, 2, 4]
    assert float(batch_distance(name, u, u[order])) == pytest.approx(0, abs=1e-14)


def test_unknown_names_are_refused() -> None:
    u, p, v = triple()
    with pytest.raises(ValueError, match=r"one of \['cosine', 'kl', 'mse', 'pearson'\], got 'l2'"):
        paired_distance("l2", u, v)
    with pytest.raises(ValueError, match=r"one of \['coral', 'homm', 'mmd'\], got 'mse'"):
        batch_distance("mse", u, v)
    with pytest.raises(ValueError, match="got 'quadruplet'"):
        cross_modal_loss("quadruplet", "mse", u, p, v, HAS_NEGATIVE, 1.0, WEIGHTS)
    with pytest.raises(ValueError, match="triplet loss needs negatives"):
        cross_modal_loss("triplet", "mse", u, p, None, HAS_NEGATIVE, 1.0, WEIGHTS)


# --- invariances, zero vectors, extremes ----------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-100, 3.0, 1e200])
@pytest.mark.parametrize("name", ["cosine", "pearson"])
def test_angles_do_not_depend_on_scale(name: str, scale: float) -> None:
    u, v, _ = triple()
    torch.testing.assert_close(paired_distance(name, scale * u, v), paired_distance(name, u, v), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["pearson", "kl"])
def test_adding_a_constant_changes_nothing(name: str) -> None:
    u, v, _ = triple()
    shifted = paired_distance(name, u + 5.0, v - 3.0)
    torch.testing.assert_close(shifted, paired_distance(name, u, v), rtol=1e-12, atol=0)


def test_cosine_does_depend_on_a_constant() -> None:
    u, v, _ = triple()
    assert not torch.allclose(paired_distance("cosine", u + 5.0, v), paired_distance("cosine", u, v))


def test_mmd_has_no_unit_and_no_origin() -> None:
    u, v, _ = triple()
    torch.testing.assert_close(mmd(1e3 * u + 7.0, 1e3 * v + 7.0), mmd(u, v), rtol=1e-10, atol=0)
    # Adding 1e6 rounds the rows to 1e-10; norms of 1e12, without centring, would be rounded to 1e-4.
    torch.testing.assert_close(mmd(u + 1e6, v + 1e6), mmd(u, v), rtol=1e-8, atol=0)


def test_mmd_of_two_far_points_is_known_by_hand() -> None:
    # One distance, so it is its own median: k(a, b) = sum of exp(-1 / c), k(a, a) = 5.
    far = mmd(torch.zeros(1, 2, dtype=torch.float64), torch.full((1, 2), 9.0, dtype=torch.float64))
    assert float(far) == pytest.approx(10 - 2 * sum(math.exp(-1 / c) for c in (0.25, 0.5, 1, 2, 4)), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", sorted(PAIRED))
def test_zero_and_constant_vectors_give_finite_values_and_gradients(name: str, dtype: torch.dtype) -> None:
    u = torch.tensor([[0, 0, 0], [0.1, 0.1, 0.1], [0, 0, 0], [1, 2, 4], [1e-30, 0, 0]], dtype=dtype)
    v = torch.tensor([[1, 2, 4], [1, 2, 4], [0, 0, 0], [0.3, 0.3, 0.3], [1, 2, 4]], dtype=dtype)
    u, v = u.requires_grad_(), v.requires_grad_()
    distances = paired_distance(name, u, v)
    distances.sum().backward()
    assert distances.isfinite().all()
    assert u.grad is not None
    assert v.grad is not None
    assert u.grad.isfinite().all()
    assert v.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_has_no_direction_is_at_distance_one(dtype: torch.dtype) -> None:
    other = torch.tensor([1.0, 2.0, 4.0], dtype=dtype, requires_grad=True)
    zero, constant = torch.zeros(3, dtype=dtype), torch.full((3,), 0.1, dtype=dtype)
    for name, lost in (("cosine", zero), ("pearson", zero), ("pearson", constant)):
        for distance in (paired_distance(name, lost, other), paired_distance(name, other, lost)):
            assert distance.item() == pytest.approx(1, rel=1e-6)
            (gradient,) = torch.autograd.grad(distance, other)
            assert float(gradient.abs().max()) < 1e-6
        assert float(paired_distance(name, lost, lost)) == 1


@pytest.mark.parametrize("name", sorted(PAIRED))
def test_nan_stays_nan(name: str) -> None:
    u, v, _ = triple()
    u[2, 1] = torch.nan
    assert paired_distance(name, u, v).isnan().tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize("name", sorted(BATCH))
def test_batches_without_spread_give_finite_values_and_gradients(name: str) -> None:
    for rows in (1, 4):
        u, v = torch.zeros(2, rows, 3, requires_grad=True)
        distance = batch_distance(name, u, v)
        (gradient,) = torch.autograd.grad(distance, u)
        assert distance.item() == 0
        assert not gradient.any()
    u, v, _ = triple()
    assert float(batch_distance(name, u, v, torch.zeros(6))) == 0


# --- losses ---------------------------------------------------------------------------------------------------------


def brute_loss(kind: str, name: str, batch: tuple[Tensor, Tensor, Tensor]) -> float:
    u, p, v = (rows.tolist() for rows in batch)
    d, total, count = BRUTE_PAIRED[name], 0.0, 0.0
    for i, weight in enumerate(WEIGHTS.tolist()):
        has, margin = bool(HAS_NEGATIVE[i]), float(MARGINS[i])
        if kind == "triplet" and not has:
            continue
        loss = d(u[i], p[i])
        if kind == "contrastive" and has:
            loss += max(margin - d(u[i], v[i]), 0)
        if kind == "triplet":
            loss = max(loss - d(u[i], v[i]) + margin, 0)
        total, count = total + weight * loss, count + weight
    return total / count


def brute_batch_loss(kind: str, name: str, batch: tuple[Tensor, Tensor, Tensor]) -> float:
    u, p, v = batch
    if kind == "pair":
        return brute_batch(name, u, p, WEIGHTS)
    pushed = WEIGHTS[HAS_NEGATIVE]
    margin = float((MARGINS[HAS_NEGATIVE] * pushed).sum() / pushed.sum())
    far = brute_batch(name, u[HAS_NEGATIVE], v[HAS_NEGATIVE], pushed)
    if kind == "triplet":
        return max(brute_batch(name, u[HAS_NEGATIVE], p[HAS_NEGATIVE], pushed) - far + margin, 0)
    return brute_batch(name, u, p, WEIGHTS) + max(margin - far, 0)


def loss_of(kind: str, name: str, batch: tuple[Tensor, Tensor, Tensor], margin: float | Tensor = MARGINS) -> Tensor:
    return cross_modal_loss(kind, name, *batch, HAS_NEGATIVE, margin, WEIGHTS)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(PAIRED | BATCH))
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_loss_equals_brute_force(kind: str, name: str, seed: int) -> None:
    batch = triple(seed)
    brute = brute_loss if name in PAIRED else brute_batch_loss
    assert float(loss_of(kind, name, batch)) == pytest.approx(brute(kind, name, batch), rel=1e-11, abs=1e-14)


@pytest.mark.parametrize("name", sorted(PAIRED | BATCH))
def test_hinges_open_and_close(name: str) -> None:
    batch = triple()
    assert float(loss_of("triplet", name, batch, -1e6)) == 0
    near = cross_modal_loss("pair", name, *batch[:2], None, HAS_NEGATIVE, 0.0, WEIGHTS)
    torch.testing.assert_close(loss_of("contrastive", name, batch, -1e6), near, rtol=0, atol=0)
    assert float(loss_of("triplet", name, batch, 1e3)) > 500
    assert float(loss_of("contrastive", name, batch, 1e3)) > 500


@pytest.mark.parametrize("name", sorted((PAIRED | BATCH) - {"mmd"}))
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_gradients_equal_finite_differences(kind: str, name: str) -> None:
    inputs = [rows.requires_grad_() for rows in triple(1)]
    assert loss_of(kind, name, (inputs[0], inputs[1], inputs[2])).item() > 0
    assert torch.autograd.gradcheck(lambda *batch: loss_of(kind, name, batch), inputs)


def test_gradient_of_mmd_equals_finite_differences_at_a_fixed_bandwidth() -> None:
    u, v = (rows.requires_grad_() for rows in triple(1)[:2])
    fixed = torch.tensor(3.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *pair: mmd(*pair, WEIGHTS, fixed), (u, v))


@pytest.mark.parametrize("name", sorted(PAIRED | BATCH))
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_rows_without_a_negative_may_hold_anything(kind: str, name: str) -> None:
    u, p, v = triple()
    expected = loss_of(kind, name, (u, p, v))
    garbage = torch.where(HAS_NEGATIVE[:, None], v, torch.nan).requires_grad_()
    margin = torch.where(HAS_NEGATIVE, MARGINS, torch.nan)
    u.requires_grad_()
    got = loss_of(kind, name, (u, p, garbage), margin)
    torch.testing.assert_close(got, expected, rtol=0, atol=0, check_dtype=True)
    gradients = torch.autograd.grad(got, (u, garbage), allow_unused=True)
    assert all(g.isfinite().all() for g in gradients if g is not None)


@pytest.mark.parametrize("name", sorted(PAIRED | BATCH))
def test_batch_without_any_negative(name: str) -> None:
    u, p, v = (rows.requires_grad_() for rows in triple())
    nobody = torch.zeros(6, dtype=torch.bool)
    triplet = cross_modal_loss("triplet", name, u, p, v, nobody, 1.0, WEIGHTS)
    gradients = torch.autograd.grad(triplet, (u, p, v))
    assert triplet.item() == 0
    assert not any(g.any() for g in gradients)
    contrastive = cross_modal_loss("contrastive", name, u, p, v, nobody, 1.0, WEIGHTS)
    pair = cross_modal_loss("pair", name, u, p, None, nobody, 1.0, WEIGHTS)
    torch.testing.assert_close(contrastive, pair, rtol=0, atol=0)
    (gradient,) = torch.autograd.grad(contrastive, v)
    assert not gradient.any()


@pytest.mark.parametrize("name", sorted(PAIRED | BATCH))
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_weight_no_loss(kind: str, name: str) -> None:
    u, p, v = (rows.requires_grad_() for rows in triple())
    loss = cross_modal_loss(kind, name, u, p, v, HAS_NEGATIVE, 0.0, torch.zeros(6))
    (gradient,) = torch.autograd.grad(loss, u)
    assert loss.item() == 0
    assert not gradient.any()


@pytest.mark.parametrize("name", ["mmd", "homm"])
def test_blocks_of_a_kernel_give_the_same_value_and_gradient(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(5)
    u, v = (torch.randn(19, 4, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    weights = torch.rand(19, generator=generator, dtype=torch.float64).masked_fill(torch.arange(19) % 5 == 0, 0.0)
    found = []
    for at_once in (1 << 18, 5 * 38):
        monkeypatch.setattr(metric_losses, "ENTRIES", at_once)
        value = batch_distance(name, u, v, weights)
        found.append((value, *torch.autograd.grad(value, (u, v))))
    assert found[0][1].abs().max() > 1e-6
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("distance", sorted(PAIRED | BATCH))
def test_a_loss_holds_a_few_matrices_of_the_batch(distance: str) -> None:
    generator = torch.Generator().manual_seed(0)
    anchors, positives, negatives = (
        torch.randn(600, 16, generator=generator, dtype=torch.float32, requires_grad=True) for _ in range(3)
    )
    ones = torch.ones(600, dtype=torch.float32)

    def update() -> None:
        cross_modal_loss("contrastive", distance, anchors, positives, negatives, ones > 0, 0.1, ones).backward()

    assert peak_bytes(update) < 16 * squared_bytes(600)
