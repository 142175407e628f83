"""Losses of metric learning on a block of squared distances and a mask of labels, for any metric.

Every function takes squared distances `squared` (B, B) and the weights `weights` (B,) of the anchors. The mask `same`
(B, B) marks pairs with equal labels. The mask `valid` (B, B) marks pairs with a distance; the diagonal is never valid.
The result is a scalar: the weighted mean over the anchors that have the pairs that the loss needs. Without any such
anchor the loss and its gradient are 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid, softplus

BlockLoss = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, float], Tensor]

DIFFERENCES = 1 << 20
"""Numbers of differences between embeddings that are held at once: 4 MB in float32."""

ENTRIES = 1 << 18
"""Entries of a matrix over pairs that a block holds: 1 MB in float32."""


def row_blocks(rows: Tensor) -> tuple[Tensor, ...]:
    """Split N rows into blocks, so that a block and all rows make at most `ENTRIES` pairs."""
    return rows.split(max(1, ENTRIES // max(1, len(rows))))


def safe_sqrt(squared: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0 instead of infinite."""
    positive = squared > 0
    return torch.where(positive, squared, 1.0).sqrt() * positive


def squared_distances(embeddings: Tensor) -> Tensor:
    """(B, D) -> (B, B), by direct differences: exact zeros on the diagonal, no cancellation.

    Memory holds the result and differences of at most `DIFFERENCES` numbers, in both passes.
    """
    distances: Tensor = _SquaredDistances.apply(embeddings)
    return distances


class _SquaredDistances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        blocks = x.split(max(1, DIFFERENCES // max(1, x.numel())))
        return torch.cat([(rows[:, None] - x[None]).square().sum(-1) for rows in blocks])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        both = grad + grad.T
        return 2 * (both.sum(1, keepdim=True) * x - both @ x)


def weighted_mean(values: Tensor, weights: Tensor, usable: Tensor) -> Tensor:
    """Mean of the usable values (B,) by their weights; 0, and so its gradient, where no weight is left."""
    weights = weights * usable
    total = weights.sum()
    return (values.masked_fill(~usable, 0.0) * weights).sum() / torch.where(total > 0, total, 1.0)


def nca(squared: Tensor, same: Tensor, valid: Tensor, weights: Tensor, scale: Tensor, margin: float) -> Tensor:
    """-log sum_{j same} softmax_j(-scale d^2_ij): neighbourhood component analysis (Goldberger et al. 2004)."""
    logits = (-scale * squared).masked_fill(~valid, -torch.inf)
    positive = same & valid
    usable = positive.any(1) & (valid & ~same).any(1)
    logits = torch.where(usable[:, None], logits, 0.0)
    loss = logits.logsumexp(1) - logits.masked_fill(~(positive | ~usable[:, None]), -torch.inf).logsumexp(1)
    return weighted_mean(loss, weights, usable)


def contrastive(squared: Tensor, same: Tensor, valid: Tensor, weights: Tensor, scale: Tensor, margin: float) -> Tensor:
    """Mean of d^2 over same-class pairs plus mean of max(0, margin - d)^2 over the others (Hadsell et al. 2006)."""
    scaled = scale * squared
    apart = (margin - safe_sqrt(scaled)).clamp_min(0).square()
    total = squared.new_zeros(())
    for cost, chosen in ((scaled, same & valid), (apart, ~same & valid)):
        count = chosen.sum(1)
        total = total + weighted_mean((cost * chosen).sum(1) / count.clamp_min(1), weights, count > 0)
    return total


def triplet(squared: Tensor, same: Tensor, valid: Tensor, weights: Tensor, scale: Tensor, margin: float) -> Tensor:
    """softplus(d_ip - d_in) with semi-hard negatives (Schroff et al. 2015; soft margin of Hermans et al. 2017).

    For every positive p of an anchor, the negative is the nearest one that is farther than p. If there is none, it is
    the farthest of all. Sorting the negatives of every anchor takes O(B^2 log B) time and O(B^2) memory.
    """
    distance = safe_sqrt(scale * squared)
    positive, negative = same & valid, ~same & valid
    cost = softplus(distance - _SemiHardNegatives.apply(distance, negative))
    count = positive.sum(1)
    usable = (count > 0) & negative.any(1)
    return weighted_mean((cost * positive).sum(1) / count.clamp_min(1), weights, usable)


class _SemiHardNegatives(torch.autograd.Function):
    """Distance (B, B) of the negative that every entry of `distance` gets; infinite for an anchor without any.

    Negatives at exactly the same distance share the gradient equally, so that no order of the batch matters. Both
    passes sort a block of anchors at a time, because kept orders would take four times the memory of the distances.
    """

    @staticmethod
    def forward(ctx: Any, distance: Tensor, negative: Tensor) -> Tensor:
        ctx.save_for_backward(distance, negative)
        found = []
        for block in zip(row_blocks(distance), row_blocks(negative), strict=True):
            others, _, place = _semi_hard(*block)
            found.append(others.gather(1, place))
        return torch.cat(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        blocks = zip(*(row_blocks(saved) for saved in (*ctx.saved_tensors, grad)), strict=True)
        return torch.cat([_to_negatives(*block) for block in blocks]), None


def _semi_hard(distance: Tensor, negative: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sorted distances of the negatives of each anchor, their order, and the place there that every entry gets."""
    others, order = distance.masked_fill(~negative, torch.inf).sort(1)
    last = (negative.sum(1, keepdim=True) - 1).clamp_min(0)
    return others, order, torch.searchsorted(others, distance, right=True).minimum(last)


def _to_negatives(distance: Tensor, negative: Tensor, grad: Tensor) -> Tensor:
    """The gradient of the negatives' distances from that of `_SemiHardNegatives`."""
    others, order, place = _semi_hard(distance, negative)
    first = torch.searchsorted(others, others)  # of the equal ones
    total = torch.zeros_like(grad).scatter_add_(1, first.gather(1, place), grad)
    equal = torch.zeros_like(grad).scatter_add_(1, first, torch.ones_like(grad))
    shares = (total / equal.clamp_min(1)).gather(1, first)
    return torch.empty_like(grad).scatter_(1, order, shares).masked_fill_(~negative, 0.0)


def contrastive_pairs(squared: Tensor, same: Tensor, margin: float) -> Tensor:
    """Contrastive loss (P,) of given pairs: d^2 where both belong together, else max(0, margin - d)^2."""
    return torch.where(same, squared, (margin - safe_sqrt(squared)).clamp_min(0).square())


def logistic_pairs(squared: Tensor, same: Tensor, margin: float) -> Tensor:
    """-log sigma(+-(margin^2 - d^2)), (P,): the probability that a pair belongs together, decided at d = margin."""
    evidence = margin**2 - squared
    return -logsigmoid(torch.where(same, evidence, -evidence))


BLOCK_LOSSES: dict[str, BlockLoss] = {"nca": nca, "contrastive": contrastive, "triplet": triplet}
PAIR_LOSSES = {"contrastive": contrastive_pairs, "logistic": logistic_pairs}
