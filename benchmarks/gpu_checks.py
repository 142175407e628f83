"""Are the Triton kernels right? Distances, pooled states and gradients against the plain loops in float64.

Every case is random and ragged. Kernels take seconds each to compile, so cases are shared by several processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor

from benchmarks.threads import limit_threads, threads_of_children
from skseqmetric._networks.sync_gru import SyncGRUCell
from skseqmetric._ops import triton
from skseqmetric._ops.reference import gru as reference
from skseqmetric._ops.steps import reverse_valid, valid_steps
from skseqmetric._ops.weights import RecurrentWeights, Side, project

COUPLINGS = (None, "scalar", "symmetric", "diffusive")
LIMITS = {"float32": (1e-4, 1e-3), "bfloat16": (1e-2, 2e-2)}
"""Largest error of distances relative to their median, and of gradients relative to the largest of their tensor."""


@dataclass(frozen=True)
class Case:
    """What is checked: the "tile" of distances, the differentiable "pooled" states, or all "states"."""

    what: str
    coupling: str | None
    how: str
    n_units: int
    precision: str
    n_directions: int = 2
    n_steps: int = 24
    n_rows: int = 30
    device: str = "cuda"


@dataclass(frozen=True)
class Outcome:
    """Errors of one case by name, each with its limit; `failure` where it could not be run."""

    case: Case
    errors: dict[str, tuple[float, float]]
    failure: str | None = None

    @property
    def right(self) -> bool:
        """Whether it ran, was compared, and every error is within its limit."""
        within = [error <= limit for error, limit in self.errors.values()]
        return self.failure is None and bool(within) and all(within)


def all_cases(interpret: bool) -> list[Case]:
    """Every coupling, pooling, number of units and precision; a few of them, tiny, for the interpreter."""
    if interpret:
        tiny: dict[str, Any] = {"n_steps": 6, "n_rows": 7, "device": "cpu"}
        what = [("tile", "mean"), ("tile", "last"), ("pooled", "mean"), ("pooled", "last"), ("states", "mean")]
        cases = [Case(w, c, how, 5, "float32", 1, **tiny) for (w, how), c in product(what, COUPLINGS)]
        return [*cases, Case("pooled", "symmetric", "mean", 16, "bfloat16", **tiny)]
    sizes, precisions = (5, 32, 48, 64, 128), tuple(LIMITS)
    tiles = [Case("tile", *rest, "float32") for rest in product(COUPLINGS, ("mean", "last"), sizes)]
    scans = [
        Case("pooled", coupling, ("mean", "last")[(i + j) % 2], n, precision)
        for (i, n), (j, coupling), precision in product(enumerate(sizes), enumerate(COUPLINGS), precisions)
    ]
    states = [Case("states", coupling, "mean", n, "float32") for coupling, n in product(COUPLINGS, (5, 64))]
    # one direction alone, and a length at which many steps are taken again from few kept states
    alone = [Case("pooled", "symmetric", "mean", 64, precision, 1, 200) for precision in precisions]
    return [*tiles, *scans, *states, *alone]


def run_checks(cases: list[Case], n_processes: int) -> Iterator[Outcome]:
    """Outcomes in the order of the cases."""
    if n_processes == 1:
        yield from map(check, cases)
        return
    limits: dict[str, Any] = {"initializer": limit_threads, "initargs": (1,)}
    with threads_of_children(1), ProcessPoolExecutor(n_processes, mp_context=get_context("spawn"), **limits) as pool:
        try:
            yield from pool.map(check, cases)
        finally:  # who stops in the middle does not wait for the others
            pool.shutdown(cancel_futures=True)


def check(case: Case) -> Outcome:
    """Run one case; what goes wrong on the way is an outcome too."""
    try:
        errors = (_check_tile if case.what == "tile" else _check_scan)(_Data(case))
    except Exception as error:
        return Outcome(case, {}, f"{type(error).__name__}: {str(error)[:500]}")
    return Outcome(case, errors)


class _Data:
    """Random ragged sequences and weights in float64 on the CPU, and their copies for the kernels."""

    def __init__(self, case: Case, n_features: int = 3) -> None:
        self.case = case
        self.generator = torch.Generator().manual_seed(hash_of(asdict(case)))
        n, t = case.n_rows, case.n_steps
        self.lengths = torch.randint(1, t + 1, (n,), generator=self.generator)
        self.lengths[0] = t
        x = self.normal(n, t, n_features) * valid_steps(self.lengths, t)[..., None]
        both = [x, reverse_valid(x, self.lengths)][: case.n_directions]
        self.features = torch.stack(both).transpose(1, 2).contiguous()
        self.weights = [self._direction(n_features) for _ in range(case.n_directions)]

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def _direction(self, n_features: int) -> RecurrentWeights:
        cell = SyncGRUCell(n_features, self.case.n_units, self.case.coupling, self.generator).double()
        for parameter in cell.parameters():
            parameter.data = self.normal(*parameter.shape) / self.case.n_units**0.5
        return cell.weights()

    def placed(self, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor, list[RecurrentWeights]]:
        """Features, lengths and weights as leaves of autograd."""

        def leaf(t: Any) -> Any:
            return t.detach().to(device, dtype).requires_grad_() if isinstance(t, Tensor) else t

        weights = [RecurrentWeights(**{name: leaf(t) for name, t in vars(w).items()}) for w in self.weights]
        return leaf(self.features), self.lengths.to(device), weights


def hash_of(settings: dict[str, Any]) -> int:
    """A seed that is the same in every process."""
    return sum((i + 1) * ord(letter) for i, letter in enumerate(repr(settings))) % 2**31


def _by_reference(data: _Data, rows: Tensor, columns: Tensor, how: str | None) -> tuple[list[Tensor], list[Tensor]]:
    """Both halves' pooled states (P, D H), or states (T, D, P, H) where `how` is None, and the leaves."""
    x, lengths, weights = data.placed(torch.float64, "cpu")
    halves: tuple[list[Tensor], list[Tensor]] = ([], [])
    for features, w in zip(x.transpose(1, 2), weights, strict=True):
        both = reference.sync_gru_scan(features[rows], features[columns], lengths[rows], lengths[columns], w)
        for kept, states, own in zip(halves, both, (rows, columns), strict=True):
            kept.append(states if how is None else reference.pool_states(states, lengths[own], how))
    if how is None:
        return [torch.stack(half).permute(2, 0, 1, 3) for half in halves], _leaves(x, weights)
    return [torch.cat(half, 1) for half in halves], _leaves(x, weights)


def _leaves(x: Tensor, weights: list[RecurrentWeights]) -> list[Tensor]:
    return [x, *(t for w in weights for t in vars(w).values() if isinstance(t, Tensor))]


def _check_tile(data: _Data) -> dict[str, tuple[float, float]]:
    """Crossed and pair-by-pair distances; the diagonal; the same bits twice."""
    case, n = data.case, data.case.n_rows
    i = torch.arange(n)
    halves, _ = _by_reference(data, i.repeat_interleave(n), i.repeat(n), case.how)
    expected = (halves[0] - halves[1]).square().sum(1).sqrt().view(n, n).detach()
    x, lengths, weights = data.placed(torch.float32, case.device)
    side = Side(x.detach(), lengths)
    got = triton.sync_gru_tile(side, side, weights, case.how)
    again = triton.sync_gru_tile(side, side, weights, case.how)
    turned = torch.roll(i, 1)
    pairs = (i.to(case.device), turned.to(case.device))
    rows = triton.sync_gru_tile(side, side, weights, case.how, pairs=pairs)
    limit, scale = LIMITS[case.precision][0], expected[expected > 0].median()
    return {
        "crossed": (_worst(got.sqrt(), expected, scale), limit),
        "by pairs": (_worst(rows.sqrt(), expected[i, turned], scale), limit),
        "diagonal": (float(got.diagonal().abs().max()), 0.0),
        "twice": (float((got - again).abs().max()), 0.0),
    }


def _check_scan(data: _Data) -> dict[str, tuple[float, float]]:
    """Values and every gradient of the pooled or all states; the same bits twice."""
    case, how = data.case, None if data.case.what == "states" else data.case.how
    rows, columns = torch.randint(0, case.n_rows, (2, 3 * case.n_rows), generator=data.generator)
    outputs, wanted = _by_reference(data, rows, columns, how)
    weighing = [data.normal(*o.shape) for o in outputs]
    expected = _gradients(outputs, wanted, weighing)
    runs = []
    for _ in range(2):
        x, lengths, weights = data.placed(torch.float32, case.device)
        operands = project(x, weights), lengths, rows.to(case.device), columns.to(case.device), weights
        with torch.autocast(case.device, torch.bfloat16, enabled=case.precision == "bfloat16"):
            halves = triton.sync_gru_states(*operands) if how is None else triton.sync_gru_pooled(*operands, how)
        runs.append((list(halves), _gradients(list(halves), _leaves(x, weights), weighing)))
    limit, gradient_limit = LIMITS[case.precision]
    inside = valid_steps(data.lengths, case.n_steps).T[None, ..., None]
    # behind the end of a sequence the features are constants
    got = [runs[0][1][0].cpu() * inside, *runs[0][1][1:]]
    expected = [expected[0] * inside, *expected[1:]]
    return {
        "values": (max(_worst(a, b.detach(), 1.0) for a, b in zip(runs[0][0], outputs, strict=True)), limit),
        "gradients": (max(_worst(a, b, b.abs().max()) for a, b in zip(got, expected, strict=True)), gradient_limit),
        "twice": (max(float((a - b).abs().max()) for a, b in zip(runs[0][1], runs[1][1], strict=True)), 0.0),
    }


def _gradients(outputs: list[Tensor], wanted: Iterable[Tensor], weighing: list[Tensor]) -> list[Tensor]:
    loss = sum((o * w.to(o)).sum() for o, w in zip(outputs, weighing, strict=True))
    return list(torch.autograd.grad(loss, list(wanted)))


def _worst(got: Tensor, expected: Tensor, scale: Tensor | float) -> float:
    """Largest error relative to `scale`; NaN counts as infinite."""
    error = (got.detach().cpu().double() - expected).abs().max() / torch.as_tensor(scale).clamp(min=1e-6)
    return float(error.nan_to_num(torch.inf, torch.inf))
