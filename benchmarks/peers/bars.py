"""What the package sets out to reach on a CPU, and whether the run reached it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.harness import Result

PLAIN = {32: 0.35, 64: 0.4, 128: 0.6}
"""Time of the plain GRU, forward + backward, over that of nn.GRU, at most; by units."""

COUPLED = {32: 0.5, 64: 0.5, 128: 0.9}
"""The same of the coupled GRU on as many rows."""

OVER_LSTM = 1.0
"""Time of either, compiled, over that of nn.LSTM. It has a gate more, but takes less than nn.GRU for small batches."""

COUPLED_WITHOUT_EXTENSION = 1.1
FORWARD_SHARE = 0.6
PAIRS_SHARE = {32: 0.45, 64: 0.6}
PAIRS_OVER_TSLEARN, PAIRS_OVER_DTAIDISTANCE, RAGGED_OVER_TSLEARN = 3.0, 2.0, 10.0
PAIRS_WITHOUT_EXTENSION = 15_000.0
NEIGHBOURS_OVER_TSLEARN = 25.0
POINTS_OF_EXACT = 0.5


@dataclass(frozen=True)
class Bar:
    """A measured number and its bound; `at_most` says which side of it is good."""

    name: str
    measured: float
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the number is on the good side."""
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound

    def row(self) -> dict[str, Any]:
        """What a summary holds of it."""
        return {**asdict(self), "met": self.met}

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        return f"{'met    ' if self.met else 'NOT MET'}  {self.measured:>10.4g} {sign} {self.bound:<8g} {self.name}"


def speed_over(result: Result, name: str, peers: Iterable[str]) -> float:
    """How many times as fast `name` is as the fastest of `peers`, round by round."""
    return min(1 / result.ratio(name, peer) for peer in peers)


def named(result: Result, start: str) -> list[str]:
    """Contenders whose names begin so."""
    return [timing.name for timing in result.timings if timing.name.startswith(start)]


def scan_bars(results: Sequence[Result], sizes: Sequence[tuple[int, bool]], peak: float) -> list[Bar]:
    """Of recurrences: one result and (units, backward) each; `peak` in FLOP a second."""
    bars = []
    for result, (units, backward) in zip(results, sizes, strict=True):
        for name in (timing.name for timing in result.timings if timing.name.endswith(("eager", "compiled"))):
            bars += _scan_bar(result, name, units, backward, peak)
    return bars


def _scan_bar(result: Result, name: str, units: int, backward: bool, peak: float) -> list[Bar]:
    compiled, plain = name.endswith("compiled"), name.startswith("plain")
    what = f"{result.title}: {name}"
    if not backward:
        share = (result[name].per_second or 0.0) / peak
        return [Bar(f"{what}, share of GEMM peak", share, FORWARD_SHARE)] if compiled and plain else []
    if compiled:
        bound = (PLAIN if plain else COUPLED)[units]
    elif plain:
        return []
    else:
        bound = COUPLED_WITHOUT_EXTENSION
    bars = [Bar(f"{what}, time over nn.GRU's", result.ratio(name, "nn.GRU"), bound, at_most=True)]
    over_lstm = Bar(f"{what}, time over nn.LSTM's", result.ratio(name, "nn.LSTM"), OVER_LSTM, at_most=True)
    return [*bars, over_lstm] if compiled else bars


def pair_bars(equal: Result, ragged: Result, peak: float, flop: Mapping[int, float]) -> list[Bar]:
    """Of all-pairs distances; `flop` of a pair by units."""
    bars = []
    for units, bound in PAIRS_SHARE.items():
        for name in named(equal, f"coupled H={units}, compiled"):
            share = (equal[name].per_second or 0.0) * flop[units] / peak
            bars.append(Bar(f"{equal.title}: {name}, share of GEMM peak", share, bound))
    for name in named(equal, "coupled H=32, compiled"):
        for peer, bound in (("tslearn", PAIRS_OVER_TSLEARN), ("dtaidistance", PAIRS_OVER_DTAIDISTANCE)):
            if peers := named(equal, peer):
                bars.append(Bar(f"{equal.title}: {name}, speed over {peer}", speed_over(equal, name, peers), bound))
    for name in named(ragged, "coupled H=32, compiled"):
        faster = speed_over(ragged, name, named(ragged, "tslearn"))
        bars.append(Bar(f"{ragged.title}: {name}, speed over tslearn", faster, RAGGED_OVER_TSLEARN))
    for name in named(equal, "coupled H=32, eager"):
        rate = equal[name].per_second or 0.0
        bars.append(Bar(f"{equal.title}: {name}, pairs a second", rate, PAIRS_WITHOUT_EXTENSION))
    return bars


def neighbour_bars(result: Result) -> list[Bar]:
    """Of 1-NN prediction by re-ranking, the implementation that a user gets."""
    names = named(result, "re-rank H=32, compiled") or named(result, "re-rank H=32")
    peers = named(result, "tslearn")
    return [
        Bar(f"{result.title}: {name}, speed over tslearn", speed_over(result, name, peers), NEIGHBOURS_OVER_TSLEARN)
        for name in names
    ]


def accuracy_bars(rows: Iterable[Mapping[str, float | str]]) -> list[Bar]:
    """Of real problems: re-ranked against exact, in points of accuracy."""
    return [
        Bar(f"{row['problem']}: accuracy re-ranked against exact, points", float(row["difference"]), -POINTS_OF_EXACT)
        for row in rows
    ]
