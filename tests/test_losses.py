"""The losses against brute force over anchors, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from skseqmetric._ops import metric_losses as _losses
from tests.torch_memory import peak_bytes, squared_bytes

LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 2, 0])
SAME = LABELS[:, None] == LABELS
WEIGHTS = torch.tensor([1.0, 2.0, 0.5, 1.0, 0.0, 3.0, 1.0, 1.0], dtype=torch.float64)
SCALE = torch.tensor(1.7, dtype=torch.float64)
MARGIN = 1.3


def block(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Squared distances of random points, and a symmetric mask that leaves out the diagonal and some pairs."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(8, 3, generator=generator, dtype=torch.float64)
    valid = torch.rand(8, 8, generator=generator) < 0.8
    return _losses.squared_distances(points), (valid | valid.T) & ~torch.eye(8, dtype=torch.bool)


def brute_nca(squared: Tensor, valid: Tensor, i: int) -> float | None:
    positive = [j for j in range(8) if valid[i, j] and SAME[i, j]]
    everyone = [j for j in range(8) if valid[i, j]]
    if not positive or len(positive) == len(everyone):
        return None
    share = [math.exp(-float(SCALE) * float(squared[i, j])) for j in range(8)]
    return -math.log(sum(share[j] for j in positive) / sum(share[j] for j in everyone))


def brute_triplet(squared: Tensor, valid: Tensor, i: int) -> float | None:
    d = [math.sqrt(float(SCALE) * float(v)) for v in squared[i]]
    negative = [d[j] for j in range(8) if valid[i, j] and not SAME[i, j]]
    positive = [d[j] for j in range(8) if valid[i, j] and SAME[i, j]]
    if not negative or not positive:
        return None
    costs = []
    for p in positive:
        farther = [v for v in negative if v > p]
        costs.append(math.log1p(math.exp(p - (min(farther) if farther else max(negative)))))
    return sum(costs) / len(costs)


def weighted(brute: object, squared: Tensor, valid: Tensor) -> float:
    terms = [(float(WEIGHTS[i]), brute(squared, valid, i)) for i in range(8)]  # type: ignore[operator]
    used = [(w, v) for w, v in terms if v is not None]
    return sum(w * v for w, v in used) / sum(w for w, _ in used)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("name", "brute"), [("nca", brute_nca), ("triplet", brute_triplet)])
def test_loss_equals_brute_force(name: str, brute: object, seed: int) -> None:
    squared, valid = block(seed)
    got = _losses.BLOCK_LOSSES[name](squared, SAME, valid, WEIGHTS, SCALE, MARGIN)
    assert float(got) == pytest.approx(weighted(brute, squared, valid), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_contrastive_equals_brute_force(seed: int) -> None:
    squared, valid = block(seed)

    def pull(s: Tensor, v: Tensor, i: int) -> float | None:
        costs = [float(SCALE * s[i, j]) for j in range(8) if v[i, j] and SAME[i, j]]
        return sum(costs) / len(costs) if costs else None

    def push(s: Tensor, v: Tensor, i: int) -> float | None:
        gaps = [MARGIN - math.sqrt(float(SCALE * s[i, j])) for j in range(8) if v[i, j] and not SAME[i, j]]
        return sum(max(0.0, g) ** 2 for g in gaps) / len(gaps) if gaps else None

    got = _losses.contrastive(squared, SAME, valid, WEIGHTS, SCALE, MARGIN)
    expected = weighted(pull, squared, valid) + weighted(push, squared, valid)
    assert float(got) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", sorted(_losses.BLOCK_LOSSES))
def test_gradients_are_finite_where_points_coincide(name: str) -> None:
    points = torch.zeros(8, 3, dtype=torch.float64, requires_grad=True)
    off_diagonal = ~torch.eye(8, dtype=torch.bool)
    loss = _losses.BLOCK_LOSSES[name](_losses.squared_distances(points), SAME, off_diagonal, WEIGHTS, SCALE, MARGIN)
    (gradient,) = torch.autograd.grad(loss, points)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", sorted(_losses.BLOCK_LOSSES))
def test_gradcheck(name: str) -> None:
    _, valid = block(1)
    points = torch.randn(8, 3, generator=torch.Generator().manual_seed(9), dtype=torch.float64, requires_grad=True)

    def run(p: Tensor) -> Tensor:
        return _losses.BLOCK_LOSSES[name](_losses.squared_distances(p), SAME, valid, WEIGHTS, SCALE, MARGIN)

    assert torch.autograd.gradcheck(run, points)


@pytest.mark.parametrize("name", sorted(_losses.BLOCK_LOSSES))
@pytest.mark.parametrize("labels", [torch.zeros(4), torch.arange(4)], ids=["one class", "all different"])
def test_a_batch_without_usable_anchor_has_finite_loss_and_gradient(name: str, labels: Tensor) -> None:
    points = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    off_diagonal = ~torch.eye(4, dtype=torch.bool)
    same = labels[:, None] == labels
    loss = _losses.BLOCK_LOSSES[name](
        _losses.squared_distances(points), same, off_diagonal, torch.ones(4), SCALE, MARGIN
    )
    (gradient,) = torch.autograd.grad(loss, points)
    assert torch.isfinite(gradient).all()
    if name != "contrastive":
        assert loss.item() == 0.0


def test_pair_losses_equal_their_equations() -> None:
    squared = torch.tensor([0.0, 0.5, 4.0, 0.2], dtype=torch.float64)
    same = torch.tensor([True, True, False, False])
    d = [math.sqrt(1.7 * v) for v in squared.tolist()]
    contrastive = [d[0] ** 2, d[1] ** 2, max(0, MARGIN - d[2]) ** 2, max(0, MARGIN - d[3]) ** 2]
    assert _losses.contrastive_pairs(1.7 * squared, same, MARGIN).tolist() == pytest.approx(contrastive)
    together = [1 / (1 + math.exp(v**2 - MARGIN**2)) for v in d]
    right = [together[0], together[1], 1 - together[2], 1 - together[3]]
    logistic = [-math.log(p) for p in right]
    assert _losses.logistic_pairs(1.7 * squared, same, MARGIN).tolist() == pytest.approx(logistic)


@pytest.mark.parametrize("at_once", [60, 1 << 18], ids=["blocks", "one block"])
@pytest.mark.parametrize(("dtype", "exact"), [(torch.float32, 1.2e-7), (torch.float64, 5e-9)])
def test_distances_of_a_batch_are_exact_where_products_nearly_cancel(
    dtype: torch.dtype, exact: float, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clusters whose members are 1e-3 apart, far from the origin; the reference is direct differences in float64."""
    monkeypatch.setattr(_losses, "ENTRIES", at_once)
    generator, kept = torch.Generator().manual_seed(0), []
    centres = torch.randn(6, 1, 5, dtype=torch.float64, generator=generator)
    points = (centres + 1e-3 * torch.randn(6, 4, 5, dtype=torch.float64, generator=generator)).flatten(0, 1) + 100
    points = points.to(dtype)
    points[7] = points[4]
    points.requires_grad_()
    wide = points.detach().double().requires_grad_()
    direct = (wide[:, None] - wide[None]).square().sum(-1)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: (kept.append(x.numel()), x)[1], lambda x: x):
        found = _losses.squared_distances(points)
    assert max(kept) == points.numel()
    torch.testing.assert_close(found.double(), direct, rtol=exact, atol=0)
    assert torch.equal(found, found.T)
    assert (found.diagonal() == 0).all()
    assert found[4, 7] == 0
    sides = torch.rand(24, 24, dtype=torch.float64, generator=generator)
    (by_hand,) = torch.autograd.grad((found * sides.to(dtype)).sum(), points)
    (by_torch,) = torch.autograd.grad((direct * sides).sum(), wide)
    torch.testing.assert_close(by_hand.double(), by_torch, rtol=40 * exact, atol=100 * exact)


def direct_triplet(squared: Tensor, same: Tensor, valid: Tensor, weights: Tensor, scale: Tensor) -> Tensor:
    """The loss as its definition says, with an array of all triplets."""
    distance = _losses.safe_sqrt(scale * squared)
    positive, negative = same & valid, ~same & valid
    others = distance.masked_fill(~negative, torch.inf)
    farther = others[:, None, :].masked_fill(others[:, None, :] <= distance[:, :, None], torch.inf).amin(2)
    farthest = distance.masked_fill(~negative, 0.0).amax(1, keepdim=True)
    cost = torch.nn.functional.softplus(distance - torch.where(farther.isinf(), farthest, farther))
    count = positive.sum(1)
    usable = (count > 0) & negative.any(1)
    return _losses.weighted_mean((cost * positive).sum(1) / count.clamp_min(1), weights, usable)


@pytest.mark.parametrize("at_once", [60, 1 << 18], ids=["blocks", "one block"])
@pytest.mark.parametrize("ties", [False, True])
def test_triplet_has_the_value_and_gradient_of_its_definition(
    ties: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with equal distances, left out pairs, and anchors without a positive or a negative."""
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(24, 3, generator=generator, dtype=torch.float64)
    points = (points.round() if ties else points).requires_grad_()
    labels = torch.randint(0, 4, (24,), generator=generator, dtype=torch.int64)
    labels[0] = 9
    valid = torch.rand(24, 24, generator=generator, dtype=torch.float32) < 0.7
    valid = (valid | valid.T) & ~torch.eye(24, dtype=torch.bool)
    same = labels[:, None] == labels
    valid[1] &= same[1]
    weights = torch.rand(24, generator=generator, dtype=torch.float64)
    squared = _losses.squared_distances(points)
    expected = direct_triplet(squared, same, valid, weights, SCALE)
    monkeypatch.setattr(_losses, "ENTRIES", at_once)
    got = _losses.triplet(squared, same, valid, weights, SCALE, MARGIN)
    torch.testing.assert_close(got, expected, rtol=1e-14, atol=0)
    gradients = [torch.autograd.grad(loss, points, retain_graph=True)[0] for loss in (got, expected)]
    assert gradients[1].abs().max() > 1e-3
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", sorted(_losses.BLOCK_LOSSES))
def test_a_loss_holds_a_few_matrices_of_the_batch(name: str) -> None:
    points = torch.rand(800, 4, dtype=torch.float32, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels, one = torch.arange(800, dtype=torch.int64) % 50, torch.ones((), dtype=torch.float32)
    same, apart = labels[:, None] == labels, ~torch.eye(800, dtype=torch.bool)

    def update() -> None:
        squared = _losses.squared_distances(points)
        _losses.BLOCK_LOSSES[name](squared, same, apart, one.expand(800), one, MARGIN).backward()

    assert peak_bytes(update) < 16 * squared_bytes(800)
