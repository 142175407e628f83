"""Whole scans of the compiled kernels: LSTM and plain RNN beside torch's, and echo states beside torch operations.

Forward and backward have 64 units, 128 steps of 9 channels, and gradients of the input and of all weights. Then come
fit and predict of `EchoStateClassifier` with 300 units on 400 sequences of 128 x 6, and one sequence at a time. Calls
alternate. Times are medians, by the processor's clock and by the wall's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.environment import environment
from benchmarks.harness import argument_parser, write_json
from benchmarks.threads import fixed_threads
from skseqmetric import EchoStateClassifier, RecurrentClassifier
from skseqmetric._ops.cells import cell_scan
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.weights import RecurrentWeights

UNITS, STEPS, CHANNELS = 64, 128, 9
ROWS = (64, 256, 1024)
TOLERANCE = 1e-4
"""Of states and gradients beside torch's, relative to the largest."""

Row = dict[str, Any]


def alternating(what: str, calls: Mapping[str, Callable[[], Any]], repeats: int) -> Row:
    """Return the median milliseconds of every call, of the processor and of the wall, without those of the first."""
    clocks = {"cpu": time.process_time, "wall": time.perf_counter}
    seconds: dict[str, dict[str, list[float]]] = {name: {clock: [] for clock in clocks} for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            starts = {clock: read() for clock, read in clocks.items()}
            call()
            for clock, read in clocks.items():
                seconds[name][clock].append(read() - starts[clock])
    medians = {
        name: {clock: round(1e3 * median(found), 3) for clock, found in of.items()} for name, of in seconds.items()
    }
    reference, ours = medians.values()
    ratios = {clock: round(ours[clock] / reference[clock], 3) for clock in clocks}
    print(f"{what}: {medians}, ratio {ratios}")
    return {"what": what, "ms": medians, "ratio": ratios}


def scan_against_torch(module: type[nn.RNNBase], rows: int, repeats: int) -> Row:
    """Forward and backward of one layer by torch and by the compiled kernels, whose answers are compared first."""
    cell = "lstm" if module is nn.LSTM else "rnn"
    generator = torch.Generator().manual_seed(0)
    layer = module(CHANNELS, UNITS, batch_first=True)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -(UNITS**-0.5), UNITS**-0.5, generator=generator)
    x = torch.randn(rows, STEPS, CHANNELS, generator=generator).requires_grad_()
    lengths, outer = torch.full((rows,), STEPS), torch.ones(rows, STEPS, UNITS)
    weights = list(layer.parameters())

    def with_gradients(states: Tensor) -> list[Tensor]:
        return [states.detach(), *torch.autograd.grad(states, [x, *weights], outer)]

    def theirs() -> list[Tensor]:
        return with_gradients(layer(x)[0])

    def ours() -> list[Tensor]:
        with implementation("compiled"):
            return with_gradients(cell_scan(cell, x, lengths, [RecurrentWeights(*weights)]))

    for found, true in zip(ours(), theirs(), strict=True):
        torch.testing.assert_close(found, true, rtol=0, atol=TOLERANCE * max(1.0, true.abs().max().item()))
    title = f"{cell}, forward + backward, {rows} rows"
    return alternating(title, {f"nn.{module.__name__}": theirs, "compiled": ours}, repeats)


def problem(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, 128, 6) sequences of noise whose mean tells their class, and the classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 6, n)
    return (rng.normal(size=(n, STEPS, 6)) + 0.3 * y[:, None, None]).astype(np.float32), y


def by_form(what: str, call: Callable[[], Any], repeats: int) -> Row:
    """Return the times of a call by torch operations and by the compiled kernels."""

    def forced(form: str) -> Callable[[], Any]:
        def run() -> Any:
            with implementation(form):
                return call()

        return run

    return alternating(what, {form: forced(form) for form in ("eager", "compiled")}, repeats)


def estimators(n: int, repeats: int) -> list[Row]:
    """Return the times of echo state and recurrent classifiers."""
    X, y = problem(n)
    echo = EchoStateClassifier(random_state=0)
    recurrent = RecurrentClassifier(UNITS, max_epochs=1, random_state=0)
    rows = [by_form("echo state classifier, fit + predict", lambda: echo.fit(X, y).predict(X), repeats)]
    recurrent.fit(X, y)
    for name, estimator in (("echo state", echo), ("recurrent", recurrent)):
        rows.append(by_form(f"{name} classifier, one predict", lambda e=estimator: e.predict(X[:1]), 20 * repeats))
    return rows


def main() -> None:
    """Measure, print every row, and write them."""
    args = argument_parser(__doc__).parse_args()
    threads, repeats = args.threads or 1, 1 if args.quick else 7
    with fixed_threads(threads):
        rows = [
            scan_against_torch(module, n, repeats)
            for module in (nn.LSTM, nn.RNN)
            for n in (ROWS[:1] if args.quick else ROWS)
        ]
        rows += estimators(40 if args.quick else 400, repeats)
    if args.out:
        write_json(args.out, {"environment": environment(threads=threads), "rows": rows})


if __name__ == "__main__":
    main()
