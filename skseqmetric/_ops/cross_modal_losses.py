"""Losses that draw a series and an image of its label together, and push an image of another label away."""

from __future__ import annotations

import torch
from torch import Tensor

from skseqmetric._ops.embedding_distances import BATCH, batch_distance, paired_distance
from skseqmetric._ops.metric_losses import weighted_mean

KINDS = frozenset({"pair", "contrastive", "triplet"})


def cross_modal_loss(
    kind: str,
    distance: str,
    anchors: Tensor,
    positives: Tensor,
    negatives: Tensor | None,
    has_negative: Tensor,
    margin: float | Tensor,
    weights: Tensor,
) -> Tensor:
    """Weighted mean over the anchors of one of three losses, with d a distance of `_distances`; O(B D).

    =========== ====================================== ===========================================
    kind        loss of one anchor                     an anchor without a negative
    =========== ====================================== ===========================================
    pair        d(a, p)                                the same
    contrastive d(a, p) + max(margin - d(a, n), 0)     d(a, p)
    triplet     max(d(a, p) - d(a, n) + margin, 0)     is left out of the mean
    =========== ====================================== ===========================================

    A batch distance (mmd, coral, homm) gives one d for all rows. The formulas then use the weighted mean margin. The
    rows with a negative give d(a, n) and, for the triplet, also d(a, p).

    Parameters
    ----------
    kind : {"pair", "contrastive", "triplet"}
    distance : one of `PAIRED` or `BATCH`
    anchors, positives, negatives : Tensor (B, D)
        Embeddings of the series, of images of the same label, and of images of another label. `negatives` may be None
        for "pair"; its rows without a negative may hold anything.
    has_negative : Tensor (B,) of bool
    margin : float or Tensor (B,)
        Fixed or one for each triplet, in units of the distance; ignored where there is no negative.
    weights : Tensor (B,), >= 0

    Returns
    -------
    Tensor ()
        0 with zero gradients where no row counts.
    """
    if kind not in KINDS:
        raise ValueError(f"The loss must be one of {sorted(KINDS)}, got {kind!r}.")
    if kind == "pair":
        return _pair(distance, anchors, positives, weights)
    if negatives is None:
        raise ValueError(f"The {kind} loss needs negatives.")
    negatives = negatives.masked_fill(~has_negative[:, None], 0.0)
    margin = torch.as_tensor(margin, dtype=anchors.dtype, device=anchors.device).expand(len(anchors))
    with_negatives = _with_batches if distance in BATCH else _with_pairs
    return with_negatives(kind, distance, anchors, positives, negatives, has_negative, margin, weights)


def _pair(distance: str, anchors: Tensor, positives: Tensor, weights: Tensor) -> Tensor:
    if distance in BATCH:
        return batch_distance(distance, anchors, positives, weights)
    return weighted_mean(paired_distance(distance, anchors, positives), weights, weights > 0)


def _with_pairs(
    kind: str,
    distance: str,
    anchors: Tensor,
    positives: Tensor,
    negatives: Tensor,
    has_negative: Tensor,
    margin: Tensor,
    weights: Tensor,
) -> Tensor:
    near = paired_distance(distance, anchors, positives)
    far = paired_distance(distance, anchors, negatives)
    if kind == "triplet":
        return weighted_mean((near - far + margin).clamp_min(0), weights, has_negative)
    push = (margin - far).clamp_min(0).masked_fill(~has_negative, 0.0)
    return weighted_mean(near + push, weights, weights > 0)


def _with_batches(
    kind: str,
    distance: str,
    anchors: Tensor,
    positives: Tensor,
    negatives: Tensor,
    has_negative: Tensor,
    margin: Tensor,
    weights: Tensor,
) -> Tensor:
    pushed = weights * has_negative
    # Without any negative the mean margin and the distance are both 0, and so is the hinge.
    mean_margin = weighted_mean(margin, weights, has_negative)
    far = batch_distance(distance, anchors, negatives, pushed)
    near = batch_distance(distance, anchors, positives, pushed if kind == "triplet" else weights)
    if kind == "triplet":
        return (near - far + mean_margin).clamp_min(0)
    return near + (mean_margin - far).clamp_min(0)
