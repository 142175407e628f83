"""Labels from the step-wise log-probabilities of connectionist temporal classification (CTC).

A path has one of K symbols at each of T steps. One symbol is the blank. Merging repeated symbols and then removing
blanks turns a path into its label. The probability of a label is the sum over its paths (Graves et al. 2006).

Layouts: B sequences, T steps, K symbols, W beams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_NEVER = -torch.inf


def least_steps(codes: Sequence[int] | np.ndarray) -> int:
    """The fewest steps with which CTC can spell a label: one a symbol, and a blank between equal neighbours."""
    codes = np.asarray(codes)
    return len(codes) + int(np.count_nonzero(codes[1:] == codes[:-1]))


@torch.no_grad()
def greedy_decode(log_probs: Tensor, lengths: Tensor, blank: int = 0) -> list[np.ndarray]:
    """The label of the likeliest path, which need not be the likeliest label.

    Parameters
    ----------
    log_probs : Tensor (B, T, K)
        Logarithms of the symbols' probabilities at each step; what lies behind a sequence's end is not read.
    lengths : Tensor (B,), integer
        True lengths, between 0 and T.
    blank : int, default=0

    Returns
    -------
    labels : list of B arrays (L_i,) int64, L_i <= lengths[i]
        Of equally likely symbols the first is taken.

    Raises
    ------
    ValueError
        Where shapes, lengths or the blank do not fit together.

    Notes
    -----
    O(B T K), no loop.
    """
    _check(log_probs, lengths, blank)
    path = log_probs.argmax(2)
    kept = path != blank
    kept[:, 1:] &= path[:, 1:] != path[:, :-1]
    kept &= torch.arange(path.shape[1], dtype=torch.int64, device=path.device) < lengths.to(path.device)[:, None]
    ends = np.cumsum(kept.sum(1).cpu().numpy())
    return np.split(path[kept].cpu().numpy(), ends[:-1]) if len(ends) else []


def beam_decode(log_probs: Tensor, lengths: Tensor, beam_width: int, blank: int = 0) -> list[np.ndarray]:
    """The likeliest label that a prefix beam search finds; parameters, errors and cost as in `beam_search`."""
    return beam_search(log_probs, lengths, beam_width, blank)[0]


@torch.no_grad()
def beam_search(
    log_probs: Tensor, lengths: Tensor, beam_width: int, blank: int = 0
) -> tuple[list[np.ndarray], np.ndarray]:
    """Prefix beam search (Graves & Jaitly 2014; Hannun et al. 2014), all sequences at once.

    A beam is a label l of the steps so far. Its paths that end in a blank have the probability p_b(l). Those that end
    in its last symbol have p_n(l), and p = p_b + p_n. y_t are the probabilities of step t, and l+c is l followed by c:

        p_b(l) <- y_t(blank) p(l)
        p_n(l) <- y_t(last of l) p_n(l)  + the extension to l of its own prefix, if the prefix is a beam
        p_n(l+c) <- y_t(c) p(l),         or y_t(c) p_b(l) if c repeats the last symbol of l.

    The W labels with the largest p stay. The computation uses logarithms in float64.

    Parameters
    ----------
    log_probs, lengths, blank
        As in `greedy_decode`.
    beam_width : int, >= 1
        W. With as many beams as there are labels the search is exact.

    Returns
    -------
    labels : list of B arrays (L_i,) int64
    scores : array (B,) float64
        Log-probability of the paths that were followed to the label: exact, or a lower bound where beams were dropped.

    Raises
    ------
    ValueError
        As `greedy_decode`, or where `beam_width` is below 1.

    Notes
    -----
    One loop over the steps. A step takes O(W K + W^2 + W T) operations a sequence, the state O(B W (T + W)) memory.
    """
    _check(log_probs, lengths, blank)
    if beam_width < 1:
        raise ValueError(f"beam_width={beam_width}: must be at least 1.")
    # longest first: the sequences that go on are always the first rows
    order = torch.argsort(lengths.cpu(), descending=True, stable=True)
    sorted_lengths = lengths.cpu()[order]
    rows = log_probs.detach().to(torch.float64)[order.to(log_probs.device)]
    beams = _Beams.empty(*rows.shape[:2], blank=blank, device=rows.device)
    labels, scores = [np.empty(0, dtype=np.int64)] * len(rows), np.zeros(len(rows))
    for t in range(rows.shape[1] + 1):
        n_active = int((sorted_lengths > t).sum())
        if n_active < len(beams.length):
            ended = order[n_active : len(beams.length)].tolist()
            for i, label, score in zip(ended, *beams.last_rows(n_active).likeliest(), strict=True):
                labels[i], scores[i] = label, score
            beams = beams.first_rows(n_active)
        if not n_active:
            break
        beams = _step(beams, rows[:n_active, t], beam_width, blank)
    return labels, scores


def _check(log_probs: Tensor, lengths: Tensor, blank: int) -> None:
    if log_probs.ndim != 3:
        raise ValueError(f"log_probs has shape {tuple(log_probs.shape)}, expected (B, T, K).")
    n_rows, n_steps, n_symbols = log_probs.shape
    if lengths.shape != (n_rows,):
        raise ValueError(f"lengths has shape {tuple(lengths.shape)}, but log_probs has {n_rows} sequences.")
    if n_rows and (int(lengths.min()) < 0 or int(lengths.max()) > n_steps):
        raise ValueError(f"lengths must be between 0 and the {n_steps} steps of log_probs, got {lengths.tolist()}.")
    if not 0 <= blank < n_symbols:
        raise ValueError(f"blank={blank}: log_probs has the symbols 0 to {n_symbols - 1}.")


@dataclass(frozen=True)
class _Beams:
    """W labels a sequence; those that can be spelled at all are different from one another.

    `extends` [b, j, i] says that label i is the beginning of label j, or j itself. It is carried along, not searched
    for: that keeps the merging of equal labels exact, also where a label was dropped and comes back.
    """

    symbols: Tensor  # (B, W, T) int64, -1 behind a label's end
    length: Tensor  # (B, W)
    last: Tensor  # (B, W), the blank for an empty label
    extends: Tensor  # (B, W, W) bool
    ends_blank: Tensor  # (B, W), log p_b
    ends_symbol: Tensor  # (B, W), log p_n

    @classmethod
    def empty(cls, n_rows: int, n_steps: int, *, blank: int, device: torch.device) -> _Beams:
        """The empty label, of probability 1, as the only beam of every sequence."""
        one = torch.zeros(n_rows, 1, dtype=torch.int64, device=device)
        zero = torch.zeros(n_rows, 1, dtype=torch.float64, device=device)
        return cls(
            symbols=one[..., None].expand(-1, -1, n_steps) - 1,
            length=one,
            last=one + blank,
            extends=torch.ones(n_rows, 1, 1, dtype=torch.bool, device=device),
            ends_blank=zero,
            ends_symbol=zero + _NEVER,
        )

    @property
    def total(self) -> Tensor:
        return torch.logaddexp(self.ends_blank, self.ends_symbol)

    def first_rows(self, n: int) -> _Beams:
        return _Beams(*(part[:n] for part in vars(self).values()))

    def last_rows(self, n: int) -> _Beams:
        return _Beams(*(part[n:] for part in vars(self).values()))

    def likeliest(self) -> tuple[list[np.ndarray], list[float]]:
        """The best label of every sequence, and its log-probability."""
        score, best = self.total.max(1)
        rows = torch.arange(len(best), dtype=torch.int64, device=best.device)
        symbols, lengths = self.symbols[rows, best].cpu().numpy(), self.length[rows, best].tolist()
        return [row[:n].copy() for row, n in zip(symbols, lengths, strict=True)], score.tolist()


def _step(beams: _Beams, log_probs: Tensor, width: int, blank: int) -> _Beams:
    """The beams after one more step with log_probs (B, K)."""
    total, last = beams.total, beams.last
    longer = total[..., None] + log_probs[:, None]  # (B, W, K): log p_n of every label followed by every symbol
    at_last = log_probs.gather(1, last)
    longer.scatter_(2, last[..., None], (beams.ends_blank + at_last)[..., None])
    longer[..., blank] = _NEVER
    inherited = _take_known(longer, beams, total, blank)
    ends_blank = total + log_probs[:, None, blank]
    ends_symbol = torch.logaddexp(beams.ends_symbol + at_last, inherited)
    # the column of the blank is free: there compete the labels that stay as they are
    longer[..., blank] = torch.logaddexp(ends_blank, ends_symbol)
    candidates = longer.flatten(1)
    score, chosen = candidates.topk(min(width, candidates.shape[1]), dim=1)
    source, symbol = chosen // longer.shape[2], chosen % longer.shape[2]
    stays = symbol == blank
    return _grown(
        beams,
        source,
        torch.where(stays, -1, symbol),
        torch.where(stays, ends_blank.gather(1, source), _NEVER),
        torch.where(stays, ends_symbol.gather(1, source), score),
    )


def _take_known(longer: Tensor, beams: _Beams, total: Tensor, blank: int) -> Tensor:
    """Move what leads to a label that is a beam already out of `longer`, to that beam: (B, W)."""
    alive = total > _NEVER  # labels of probability 0 may be there twice
    one_longer = beams.length[:, :, None] == beams.length[:, None] + 1
    from_beam = beams.extends & one_longer & alive[:, :, None] & alive[:, None]  # at most one i for a j
    known = from_beam.any(2)
    place = from_beam.long().argmax(2) * longer.shape[2] + torch.where(known, beams.last, blank)
    flat = longer.view(len(longer), -1)
    taken = flat.gather(1, place)  # the blank's column holds log 0 here
    flat.scatter_(1, place, _NEVER)
    return taken


def _grown(beams: _Beams, source: Tensor, added: Tensor, ends_blank: Tensor, ends_symbol: Tensor) -> _Beams:
    """Beams made of those at `source`, each followed by the symbol `added`, or by nothing where that is -1."""
    before = beams.length.gather(1, source)
    symbols = beams.symbols.gather(1, source[..., None].expand(-1, -1, beams.symbols.shape[2]))
    symbols.scatter_(2, before[..., None], added[..., None])
    stays = added < 0
    rows = torch.arange(len(source), dtype=torch.int64, device=source.device)[:, None, None]
    began = beams.extends[rows, source[:, :, None], source[:, None]]
    # label i followed by c is the beginning of j where i was, and j goes on with c
    follows = symbols.gather(2, before[:, None].expand_as(began))
    return _Beams(
        symbols=symbols,
        length=before + (~stays).long(),
        last=torch.where(stays, beams.last.gather(1, source), added),
        extends=began & (stays[:, None] | (follows == added[:, None])),
        ends_blank=ends_blank,
        ends_symbol=ends_symbol,
    )
