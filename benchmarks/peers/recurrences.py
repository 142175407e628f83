"""Plain and coupled GRU against torch's own GRU and LSTM, and the rate of the matrix product they are made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Result, measure
from benchmarks.peers.runs import CHANNELS, check_close, forced, implementations
from benchmarks.threads import fixed_threads
from skseqmetric._networks.sync_gru import SyncGRUCell
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.gru import gru_scan
from skseqmetric._ops.sync_gru import sync_gru_scan

STEPS = 128
GEMM_SIZES = (1024, 1536, 2048)
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Size:
    """Rows are sequences that run at once: 2 a pair where pairs are coupled."""

    units: int
    rows: int
    steps: int = STEPS

    def flop(self, gates: int, *, backward: bool) -> float:
        """2 H (H + F) a gate, row and step; backward twice that again."""
        forward = 2.0 * gates * self.units * (self.units + CHANNELS) * self.rows * self.steps
        return 3 * forward if backward else forward


def gemm_peak(threads: int, repeats: int) -> float:
    """FLOP a second of the fastest float32 product of square matrices of three sizes."""
    with fixed_threads(threads):
        return max(_gemm_rate(n, repeats) for n in GEMM_SIZES)


def _gemm_rate(n: int, repeats: int) -> float:
    generator = torch.Generator().manual_seed(n)
    a, b = (torch.randn(n, n, generator=generator) for _ in range(2))
    out = torch.mm(a, b)
    fastest = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * n**3 / fastest


def scans(size: Size, *, backward: bool, threads: int, repeats: int) -> Result:
    """Forward, or forward and backward, of all contenders on as many rows; items are FLOP.

    Backward gives the gradients of the input and of all weights from that of every state.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(size.steps, size.rows, CHANNELS, generator=generator)
    plain = SyncGRUCell(CHANNELS, size.units, None, generator)
    coupled = SyncGRUCell(CHANNELS, size.units, "symmetric", generator)
    contenders = {
        "nn.GRU": _theirs(_torch_gru(plain), x, backward),
        "nn.LSTM": _theirs(_torch_lstm(size.units, generator), x, backward),
    }
    flop = {"nn.GRU": size.flop(3, backward=backward), "nn.LSTM": size.flop(4, backward=backward)}
    for name in implementations("gru"):
        contenders[f"plain, {name}"] = forced(name, _ours(_plain_states(x, plain), x, plain, backward))
        flop[f"plain, {name}"] = flop["nn.GRU"]
    for name in implementations("sync_gru"):
        contenders[f"coupled, {name}"] = forced(name, _ours(_coupled_states(x, coupled), x, coupled, backward))
        # 14 H^2 a pair and step: one gate more, shared by both halves
        flop[f"coupled, {name}"] = size.flop(7, backward=backward) / 2
    return measure(
        f"{'forward + backward' if backward else 'forward'}, H={size.units}, {size.rows} rows, T={size.steps}",
        contenders,
        check=_checked_against(_ours(_coupled_states(x, coupled), x, coupled, backward)),
        repeats=repeats,
        items=flop,
        unit="FLOP",
        threads=threads,
        memory=False,
    )


def _torch_gru(cell: SyncGRUCell) -> nn.GRU:
    """torch's GRU with the weights of the cell, which has its layout."""
    gru = nn.GRU(CHANNELS, cell.hidden.shape[1])
    with torch.no_grad():
        for theirs, ours in zip(gru.parameters(), _plain_weights(cell), strict=True):
            theirs.copy_(ours)
    return gru


def _torch_lstm(units: int, generator: torch.Generator) -> nn.LSTM:
    lstm = nn.LSTM(CHANNELS, units)
    for parameter in lstm.parameters():
        nn.init.uniform_(parameter, -(units**-0.5), units**-0.5, generator=generator)
    return lstm


def _plain_weights(cell: SyncGRUCell) -> list[Tensor]:
    return [cell.input, cell.hidden, cell.input_bias, cell.hidden_bias]


def _theirs(module: nn.RNNBase, x: Tensor, backward: bool) -> Callable[[], Any]:
    return _with_gradients(lambda x: (module(x)[0],), x, list(module.parameters()), backward)


def _ours(
    states: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor, cell: SyncGRUCell, backward: bool
) -> Callable[[], Any]:
    own = _plain_weights(cell)
    others = [p for p in cell.parameters() if all(p is not q for q in own)]
    return _with_gradients(states, x, [*own, *others], backward)


def _plain_states(x: Tensor, cell: SyncGRUCell) -> Callable[[Tensor], tuple[Tensor, ...]]:
    lengths = torch.full((x.shape[1],), len(x))
    return lambda x: (gru_scan(x[None], lengths, [cell.weights()])[:, 0],)


def _coupled_states(x: Tensor, cell: SyncGRUCell) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """Both halves of rows / 2 pairs of different sequences, (T, 1, rows / 2, H) each."""
    lengths = torch.full((x.shape[1],), len(x))
    rows = torch.arange(0, x.shape[1], 2)
    return lambda x: sync_gru_scan(x[None], lengths, rows, rows + 1, [cell.weights()])


def _with_gradients(
    states: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor, weights: list[Tensor], backward: bool
) -> Callable[[], list[Tensor]]:
    """States, and the gradients of x and `weights` where asked for."""
    if not backward:

        def forward() -> list[Tensor]:
            with torch.no_grad():
                return list(states(x))

        return forward
    inputs = [x.clone().requires_grad_(), *weights]

    def both() -> list[Tensor]:
        out = states(inputs[0])
        gradients = torch.autograd.grad(out, inputs, [torch.ones_like(o) for o in out])
        return [*(o.detach() for o in out), *gradients]

    return both


def _checked_against(coupled: Callable[[], list[Tensor]]) -> Callable[[dict[str, Any]], None]:
    """Plain runs against torch's GRU, coupled ones against the reference loop, gradients too."""

    def check(answers: dict[str, list[Tensor]]) -> None:
        with implementation("reference"):
            expected = coupled()
        for name, answer in answers.items():
            right = expected if name.startswith("coupled") else answers["nn.GRU"]
            for i, (ours, theirs) in enumerate(zip(answer, right, strict=True) if "LSTM" not in name else ()):
                check_close(f"{name}, result {i}", ours.numpy(), theirs.numpy(), TOLERANCE)

    return check


def all_scans(units: Sequence[int], rows: Sequence[int], threads: int, repeats: int) -> list[Result]:
    """Every size, forward and forward + backward."""
    sizes = [Size(h, n) for h in units for n in rows]
    return [scans(s, backward=b, threads=threads, repeats=repeats) for s in sizes for b in (False, True)]
