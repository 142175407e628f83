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
    """Return |x_i - x_j|^2, (B, D) -> (B, B), from the products x_i x_j of centred rows: symmetric to the bit.

    Products are computed in float64, so that float32 rows lose nothing where they almost cancel. A distance below the
    rounding of its products is 0, and so are those of equal rows. Memory holds the result and `ENTRIES` products.
    """
    distances: Tensor = _SquaredDistances.apply(embeddings)
    return distances


NEGLIGIBLE = 64
"""Distances below so many times the precision of float64, relative to the rows' norms, are 0."""


class _SquaredDistances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        wide = x if x.device.type == "mps" else x.double()  # mps has no float64
        wide = wide - wide.mean(0)
        ctx.save_for_backward(wide.to(x.dtype))
        norms, rest = wide.square().sum(1), NEGLIGIBLE * torch.finfo(wide.dtype).eps
        out, first = x.new_empty(len(x), len(x)), 0
        for rows in row_blocks(wide):
            # from the diagonal to the right; what is left of it is its mirror image
            size, sizes = len(rows), norms[first : first + len(rows), None] + norms[first:]
            block = torch.addmm(sizes, rows, wide[first:].T, alpha=-2)
            block[:, :size] = (block[:, :size] + block[:, :size].T) / 2
            block = block.masked_fill_(block < rest * sizes, 0).to(x.dtype)
            if size == len(x):
                return block
            out[first : first + size, first:] = block
            out[first:, first : first + size] = block.T
            first += size
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        both = grad + grad.T
        return 2 * torch.addcmul(both @ x, both.sum(1, keepdim=True), x, value=-1).neg_()


def weighted_mean(values: Tensor, weights: Tensor, usable: Tensor) -> Tensor:
    """Mean of the usable values (B,) by their weights; 0, and so its gradient, where no weight is left."""
    weights = weights * usable
    total = weights.sum()
    return (values.masked_fill(~usable, 0.0) * weights).sum() / torch.where(total > 0, total, 1.0)


def nca(squared: Tensor, same: Tensor, valid: Tensor, weights: Tensor, scale: Tensor, margin: float) -> Tensor:
    """-log sum_{j same} softmax_j(-scale d^2_ij): neighbourhood component analysis (Goldberger et al. 2004)."""
    loss: Tensor = _NCA.apply(squared, same & valid, valid, weights, scale)
    return loss


class _NCA(torch.autograd.Function):
    """As softplus(log sum_{j apart} - log sum_{j same}), which keeps its digits where it is small; gradient by hand."""

    @staticmethod
    def forward(ctx: Any, squared: Tensor, positive: Tensor, valid: Tensor, weights: Tensor, scale: Tensor) -> Tensor:
        logits, negative = squared * -scale, valid & ~positive
        usable = positive.any(1) & negative.any(1)
        shares, totals = [], []
        for chosen in (negative, positive):
            # rows without a pair are not used, and must not become NaN
            among = logits.masked_fill(~chosen, -torch.inf)
            total = among.logsumexp(1).masked_fill_(~usable, 0)
            shares.append(among.sub_(total[:, None]).exp_())
            totals.append(total)
        weights = weights * usable
        weights = weights / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)
        excess = totals[0] - totals[1]
        of_logits = shares[0].sub_(shares[1]).mul_((weights * excess.sigmoid())[:, None])
        ctx.save_for_backward(squared, of_logits, scale)
        return (softplus(excess) * weights).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        squared, of_logits, scale = ctx.saved_tensors
        of_scale = -grad * (of_logits * squared).sum() if ctx.needs_input_grad[4] else None
        return of_logits * (-scale * grad), None, None, None, of_scale


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
