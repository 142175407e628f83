"""Whole models on a device: updates of a network with memory, echo states, recurrences, and a search of a million.

Every part compares its answers first. All of them run on the CPU too, where they show that they run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.echo_state import throughput
from benchmarks.harness import measure
from skseqmetric import EchoStateRegressor, NRNMClassifier
from skseqmetric._ops import device_search
from skseqmetric._ops.cells import cell_scan
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.gru import gru_scan
from skseqmetric._ops.reference import reservoir as reference
from skseqmetric._ops.references import References
from skseqmetric._ops.reservoir import reservoir_pooled, reservoir_scan
from skseqmetric._ops.steps import pool_states
from skseqmetric._ops.weights import RecurrentWeights, ReservoirWeights

LIMIT = 1e-3
"""Largest error of an answer relative to the largest of its numbers, in float32."""

TESTS_SECONDS = 150
"""What all tests for CUDA may take together."""

ROOT = Path(__file__).resolve().parents[1]

Calls = dict[str, Callable[[], Any]]


def nrnm_update(report: Any, device: str, quick: bool) -> None:
    """Updates of `NRNMClassifier` with its defaults, on windows of 128 x 6 as of activity."""
    n, n_updates = (60, 2) if quick else (2000, 40)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 128, 6)).astype(np.float32), np.arange(n) % 6

    def fitted(where: str, n_updates: int = n_updates) -> Any:
        classifier = NRNMClassifier(instance_channels=False, max_updates=n_updates, random_state=0, device=where)
        return classifier.fit(X, y)

    def check(_: dict[str, Any]) -> None:
        first = [call(1).transform(X[:50]) for call in (fitted_on, forced)]
        report.expect("an update of NRNMClassifier", _error(*first), LIMIT)

    def fitted_on(n_updates: int = n_updates) -> Any:
        return fitted(device, n_updates)

    def forced(n_updates: int = n_updates) -> Any:
        with implementation("eager"):
            return fitted(device, n_updates)

    calls: Calls = {device: fitted_on, f"{device}, torch operations": forced}
    calls |= {} if device == "cpu" else {"cpu": lambda: fitted("cpu")}
    title = f"fit of NRNMClassifier, {n} windows of 128 x 6, defaults"
    settings = {"items": n_updates, "unit": "updates", "device": device, "memory": False}
    report.timed(measure(title, calls, check=check, repeats=1 if quick else 3, **settings))


def echo_states(report: Any, device: str, quick: bool) -> None:
    """Fit and predict of `EchoStateRegressor`, dense matrices."""
    for units in (20,) if quick else (300, 1000):
        (X, y), (X_new, _) = throughput.task()
        rows = slice(50 if quick else None)

        def answers(where: str, n: int = units, data: Any = (X[rows], y[rows], X_new[rows])) -> np.ndarray:
            regressor = EchoStateRegressor(
                n, spectral_radius=1.1, leak=0.05, density=0.85, random_state=0, device=where
            )
            return regressor.fit(*data[:2]).predict(data[2])

        def forced(answers: Any = answers) -> np.ndarray:
            with implementation("eager"):
                return answers(device)

        def check(found: dict[str, np.ndarray], n: int = units) -> None:
            for name, answer in found.items():
                # a ridge regression of many states says more of their rounding than the states do
                report.expect(f"echo states, {n} units, {name}", _error(answer, found["cpu"]), 10 * LIMIT)

        calls: Calls = {device: lambda answers=answers: answers(device), f"{device}, torch operations": forced}
        calls["cpu"] = lambda answers=answers: answers("cpu")
        title = throughput.title(units, 0.85)
        settings = {"device": device, "memory": False, "repeats": 1 if quick else 3}
        report.timed(measure(title, calls, check=check, **settings))


def reservoir_answers(device: str) -> dict[str, float]:
    """Worst errors of states and of summaries against the reference loop in float64, ragged lengths, two reservoirs."""
    generator, n, n_steps = torch.Generator().manual_seed(3), 70, 9
    features = torch.randn(2, n_steps, 19, 3, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, n_steps + 1, (19,), generator=generator)
    weights = [
        ReservoirWeights(*(torch.randn(n, width, generator=generator).double() / n**0.5 for width in (4, n)), 0.3)
        for _ in range(2)
    ]
    runs = [reference.reservoir_scan(u.transpose(0, 1), lengths, w) for u, w in zip(features, weights, strict=True)]
    expected = torch.stack(runs).permute(2, 0, 1, 3)
    single = [ReservoirWeights(w.input.float().to(device), w.recurrent.float().to(device), w.leak) for w in weights]
    operands = features.float().to(device), lengths.to(device), single
    summaries = pool_states(expected, lengths, "both")
    return {
        "reservoir: states": _error(reservoir_scan(*operands), expected),
        "reservoir: summaries": _error(reservoir_pooled(*operands, "both"), summaries),
    }


def recurrences(report: Any, device: str, quick: bool) -> None:
    """Forward and backward of LSTM and GRU, 64 units, 128 steps, beside torch's modules."""
    n, steps = (5, 7) if quick else (64, 128)
    for cell, rows in [(cell, rows) for cell in ("lstm", "gru") for rows in ((3,) if quick else (64, 256, 1024))]:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(rows, steps, n, generator=generator).to(device).requires_grad_()
        lengths = torch.full((rows,), steps, device=device)
        module = (nn.LSTM if cell == "lstm" else nn.GRU)(n, n, batch_first=True, device=device)
        weights = [parameter.detach().clone().requires_grad_() for parameter in module.parameters()]
        calls: Calls = {
            "skseqmetric": _with_gradients(_ours(cell, lengths, weights), x, weights),
            "torch.nn": _with_gradients(lambda v, module=module: module(v)[0], x, list(module.parameters())),
        }

        def check(answers: dict[str, list[Tensor]], what: str = f"{cell}, {rows} rows") -> None:
            error = max(_error(a, b) for a, b in zip(*answers.values(), strict=True))
            report.expect(f"forward and backward of {what}", error, LIMIT)

        title = f"forward + backward, {cell}, H={n}, {rows} sequences of {steps} x {n}"
        settings = {"device": device, "memory": False, "repeats": 2 if quick else 9}
        report.timed(measure(title, calls, check=check, **settings))


def _ours(cell: str, lengths: Tensor, weights: list[Tensor]) -> Callable[[Tensor], Tensor]:
    of_direction = [RecurrentWeights(*weights)]
    if cell == "lstm":
        return lambda x: cell_scan("lstm", x, lengths, of_direction)
    return lambda x: gru_scan(x.transpose(0, 1)[None], lengths, of_direction)[:, 0].transpose(0, 1)


def _with_gradients(run: Callable[[Tensor], Tensor], x: Tensor, weights: list[Tensor]) -> Callable[[], list[Tensor]]:
    return lambda: list(torch.autograd.grad(run(x).square().mean(), [x, *weights]))


def large_search(report: Any, device: str, quick: bool) -> None:
    """Ten nearest of a million embeddings of 64 numbers, prepared once, beside a cached product and top-k."""
    n = 2000 if quick else 1_000_000
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(n, 64, generator=generator)
    references, on_device, squares = References.of(rows.to(device)), rows.to(device), rows.square().sum(1).to(device)
    wanted = References.of(rows)
    for n_queries in (1, 32) if quick else (1, 32, 1000):
        queries = torch.randn(n_queries, 64, generator=generator)
        there = queries.to(device)

        def check(answers: dict[str, Any], queries: Tensor = queries) -> None:
            expected = wanted.search(queries[:32], 10)
            same = [torch.equal(a[:32], b) for a, b in zip(answers["exact search"], expected, strict=True)]
            report.expect("a search of a million has the bits of the CPU", float(not all(same)), 0.0)

        def product(there: Tensor = there) -> Tensor:
            return torch.addmm(squares, there, on_device.T, alpha=-2).topk(10, largest=False).indices.cpu()

        def search(there: Tensor = there) -> tuple[Tensor, Tensor]:
            return device_search.nearest(references, there, 10, memory=2**29)

        title = f"10 nearest of {n} references of 64 numbers, {n_queries} queries"
        settings = {"items": n_queries, "unit": "queries", "device": device, "repeats": 2 if quick else 5}
        calls: Calls = {"exact search": search, "product and top-k, float32": product}
        report.timed(measure(title, calls, check=check, memory=False, **settings))


def cuda_tests(report: Any, device: str, quick: bool) -> None:
    """The tests for CUDA, of the files that have any; on the CPU they are skipped, which says that they load."""
    files = [str(path) for path in sorted((ROOT / "tests").glob("test_*.py")) if "mark.cuda" in path.read_text("utf-8")]
    files = files[:2] if quick else files
    command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "-p", "no:cacheprovider", *files]
    command += [] if device == "cpu" else ["-n", "8"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TESTS_SECONDS, check=False)
        tail, status = done.stdout[-3000:], done.returncode
    except subprocess.TimeoutExpired as late:
        tail, status = str(late)[-500:], -1
    counts = {kind: int(count) for count, kind in re.findall(r"(\d+) (passed|failed|skipped|errors?)", tail)}
    report.add("tests for CUDA", {"status": status, **counts, "end": tail if status else ""})
    report.expect("the tests for CUDA", float(status != 0), 0.0)


def _error(got: Any, expected: Any) -> float:
    a, b = (torch.as_tensor(part).detach().cpu().double() for part in (got, expected))
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-12))
