"""The optional compiled extension: loading it, and saying once where it is missing."""

from __future__ import annotations

from torch import Tensor

from skseqmetric._ops.weights import RecurrentWeights, Side


def obstacle() -> str | None:
    """Why the extension cannot be used; None where it can."""
    return "it was not built when the package was installed"


def warn_where_missing() -> None:
    """Say once in a process that the slower path is taken, and why."""


def gru_states(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights]) -> Tensor:
    """States (T, D, B, H), frozen behind each sequence's end."""
    raise NotImplementedError


def gru_readout(features: Tensor, lengths: Tensor, weights: list[RecurrentWeights], how: str) -> Tensor:
    """Read-outs (B, D H)."""
    raise NotImplementedError


def sync_gru_states(
    projected: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights]
) -> tuple[Tensor, Tensor]:
    """States of both halves, (T, D, P, H) each."""
    raise NotImplementedError


def sync_gru_readout(
    projected: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights], how: str
) -> tuple[Tensor, Tensor]:
    """Read-outs of both halves, (P, D H) each."""
    raise NotImplementedError


def sync_gru_tile(
    first: Side, second: Side, weights: list[RecurrentWeights], how: str, *, crossed: bool, n_threads: int | None
) -> Tensor:
    """Squared coupled distances (N, M), or (N,) pair by pair."""
    raise NotImplementedError
