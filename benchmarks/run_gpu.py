"""Everything that is checked on a CUDA device: first whether the kernels are right, then how fast they are.

If no answer is wrong: the tests for CUDA, whole models, coupled pairs a second, training steps compared with cuDNN's
GRU, large searches by embedding, and what torch.compile and CUDA graphs make of the path without kernels. A part begins
only if `--seconds` are not over. `--interpret` runs only the answers, a few tiny ones, in Triton's interpreter on the
CPU. `--device cpu --quick` runs the parts that need no kernels, to show that they run.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import gpu_memory, gpu_models
from benchmarks.environment import environment
from benchmarks.gpu_checks import LIMITS, all_cases, run_checks
from benchmarks.harness import Result, argument_parser, measure, print_table
from skseqmetric._networks.sync_gru import SyncGRUCell
from skseqmetric._ops import eager, triton
from skseqmetric._ops.alignment_tile import alignment_tile
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.reference import gru as reference
from skseqmetric._ops.references import References
from skseqmetric._ops.steps import pool_states
from skseqmetric._ops.weights import RecurrentWeights, Side, project

STEPS, CHANNELS = 128, 9
PRECISIONS = tuple(LIMITS)
BARS = {"pairs a second, H=64": 2.5e6, "forward and backward over cuDNN": 1.5}

Answers = dict[str, Any]


class Report:
    """What was found so far; written anew after every part, so that nothing is lost when one fails."""

    def __init__(self, out: Path | None, device: str) -> None:
        self.out, self.device, self.parts = out, device, {"environment": environment(device, 1)}
        self.start = time.perf_counter()
        self.wrong: list[str] = []

    def add(self, name: str, content: Any) -> None:
        """Keep `content` under `name`."""
        self.parts[name] = content
        if self.out is not None:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.out.write_text(json.dumps(self.parts, indent=1, default=str) + "\n", encoding="utf-8")
        print(f"[{self.elapsed:.0f} s] {name}", flush=True)

    def timed(self, result: Result) -> Result:
        """Print and keep the times of a comparison."""
        print_table(result)
        self.add(result.title, [asdict(timing) for timing in result.timings])
        return result

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.start

    def expect(self, name: str, error: float, limit: float) -> None:
        """An error beyond its limit is wrong, and so is NaN."""
        if not error <= limit:
            self.wrong.append(f"{name} is off by {error:.3g}, more than {limit}")

    def bar(self, name: str, value: float, reached: bool) -> None:
        """Say whether a bar is reached; one that is not counts as wrong."""
        print(f"{'reached' if reached else 'MISSED'}: {name}: {value:.3g}, bar {BARS[name]:.3g}")
        self.parts.setdefault("bars", {})[name] = {"value": value, "bar": BARS[name], "reached": reached}
        if not reached:
            self.wrong.append(f"bar of {name} missed")


def events(call: Callable[[], Any], repeats: int = 5) -> float:
    """Median milliseconds between CUDA events around a call."""
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def random_weights(n_units: int, n_features: int, device: str, coupling: str = "symmetric") -> list[RecurrentWeights]:
    """One direction at its starting values, as leaves of autograd."""
    return [SyncGRUCell(n_features, n_units, coupling, torch.Generator().manual_seed(0)).to(device).weights()]


def random_side(n: int, n_features: int, device: str, seed: int, steps: int = STEPS) -> Side:
    """Sequences of full length in one direction."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(1, steps, n, n_features, generator=generator)
    return Side(features.to(device), torch.full((n,), steps, device=device))


# ------------------------------------------------------------------------------------------------------- right answers


def check_answers(report: Report, arguments: Namespace) -> None:
    """Run every case; print the wrong ones."""
    cases = all_cases(arguments.interpret)
    processes = 1 if arguments.interpret else max(1, min(14, (os.cpu_count() or 2) - 1))
    outcomes = []
    for outcome in run_checks(cases, processes):
        outcomes.append(outcome)
        if report.elapsed > arguments.seconds / 2:
            report.wrong.append(f"only {len(outcomes)} of {len(cases)} cases were checked in half of the time")
            break
        if not outcome.right:
            report.wrong.append(f"{outcome.case}: {outcome.failure or outcome.errors}")
            print(f"WRONG {report.wrong[-1]}", flush=True)
    print(f"{sum(outcome.right for outcome in outcomes)} of {len(outcomes)} cases right")
    worst: dict[str, float] = {}
    for outcome in outcomes:
        for name, (error, _) in outcome.errors.items():
            key = f"{outcome.case.what} {outcome.case.precision} {name}"
            worst[key] = max(worst.get(key, 0.0), error)
    for key, error in worst.items():
        print(f"  largest error, {key}: {error:.2g}")
    report.add("answers", {"n_cases": len(outcomes), "worst": worst})


def check_scans(report: Report, device: str) -> None:
    """Compare the kernels of layers with memory and of reservoirs with the reference loops."""
    with implementation("triton"):
        errors = gpu_memory.memory_answers(device) | gpu_models.reservoir_answers(device)
    for name, error in errors.items():
        report.expect(f"kernels, {name}", error, gpu_memory.LIMIT)
    report.add("scans", errors)


# -------------------------------------------------------------------------------------------------------------- timings


def coupled_pairs(report: Report, device: str, quick: bool) -> None:
    """Coupled distances a second, projections included, for full-length sequences in one direction."""
    for n in (64, 32, 128):
        shape = (64, 128) if quick else (1024, 4096) if n <= 64 else (256, 1024)
        left, right = random_side(shape[0], CHANNELS, device, 1), random_side(shape[1], CHANNELS, device, 2)
        weights = random_weights(n, CHANNELS, device)
        few = Side(left.features[:, :, :32], left.lengths[:32]), Side(right.features[:, :, :64], right.lengths[:64])

        def tile(a: Side = left, b: Side = right, w: Any = weights) -> Tensor:
            return triton.sync_gru_tile(a, b, w, "mean")

        calls: dict[str, Callable[[], Tensor]] = {"kernel float32": tile, "eager": eager_tile(few, weights)}
        title = f"coupled distances, {shape[0]} x {shape[1]} sequences of {STEPS} x {CHANNELS}, H={n}"

        def check(
            answers: Answers, few: Any = few, w: Any = weights, calls: Any = calls, title: str = title
        ) -> dict[str, Any]:
            expected = reference_distances(*few, w)
            for name, answer in answers.items():
                error = (answer[:4, :4].sqrt().cpu().double() - expected).abs().max() / expected.median()
                report.expect(f"{title}: {name}", float(error), LIMITS["float32"][0])
            return {name: {"event ms": events(call, 3)} for name, call in calls.items()}

        pairs = {name: 32 * 64 if name == "eager" else shape[0] * shape[1] for name in calls}
        result = report.timed(measure(title, calls, check=check, items=pairs, unit="pairs", device=device, threads=1))
        if n == 64 and not quick:
            found = result["kernel float32"].per_second or 0.0
            report.bar("pairs a second, H=64", found, found >= BARS["pairs a second, H=64"])


def eager_tile(sides: tuple[Side, Side], weights: list[RecurrentWeights]) -> Callable[[], Tensor]:
    """Crossed distances by torch operations."""

    @torch.no_grad()
    def run() -> Tensor:
        return eager.sync_gru_tile(*sides, weights, "mean", crossed=True, n_threads=None)

    return run


def reference_distances(left: Side, right: Side, weights: list[RecurrentWeights]) -> Tensor:
    """The first 4 x 4 distances by the plain loops in float64."""
    w = RecurrentWeights(
        **{k: t.detach().cpu().double() if isinstance(t, Tensor) else t for k, t in vars(weights[0]).items()}
    )
    halves = []
    x = [side.features[0, :, :4].transpose(0, 1).cpu().double() for side in (left, right)]
    lengths = [side.lengths[:4].cpu() for side in (left, right)]
    i, j = torch.arange(4).repeat_interleave(4), torch.arange(4).repeat(4)
    states = reference.sync_gru_scan(x[0][i], x[1][j], lengths[0][i], lengths[1][j], w)
    for half, own in zip(states, (lengths[0][i], lengths[1][j]), strict=True):
        halves.append(reference.pool_states(half, own, "mean"))
    return (halves[0] - halves[1]).square().sum(1).sqrt().view(4, 4)


def training(report: Report, device: str, quick: bool) -> None:
    """Forward and backward of the pooled states of P coupled pairs, and of nn.GRU on as many rows, 2 P."""
    for n, n_pairs in ((64, 4096), (64, 512), (32, 4096), (128, 4096)):
        n_pairs = 64 if quick else n_pairs
        weights, side = random_weights(n, n, device), random_side(256, n, device, 3)
        rows, columns = torch.randint(0, 256, (2, n_pairs), generator=torch.Generator().manual_seed(4)).to(device)
        leaves = [t for t in vars(weights[0]).values() if isinstance(t, Tensor)]
        calls = {f"kernel {p}": kernel_step(side, rows, columns, weights, leaves, p) for p in PRECISIONS}
        calls["eager"] = eager_step(side, rows, columns, weights, leaves)
        calls["cuDNN GRU"] = cudnn_step(n, 2 * n_pairs, device)
        title = f"forward and backward, {n_pairs} pairs or {2 * n_pairs} rows, {STEPS} steps, H={n}"

        def check(answers: Answers, calls: Any = calls, title: str = title) -> dict[str, Any]:
            for name, answer in answers.items():
                if name.startswith("kernel"):
                    error = worst_gradient(answer, answers["eager"])
                    report.expect(f"{title}: gradient of {name}", error, LIMITS[name.split()[1]][1])
            return {name: {"event ms": events(call, 3)} for name, call in calls.items()}

        result = report.timed(measure(title, calls, check=check, items=n_pairs, unit="pairs", device=device, threads=1))
        if (n, n_pairs) == (64, 4096):
            ratio = result.ratio("kernel bfloat16", "cuDNN GRU")
            report.bar("forward and backward over cuDNN", ratio, ratio <= BARS["forward and backward over cuDNN"])


def worst_gradient(got: list[Tensor], expected: list[Tensor]) -> float:
    """Largest error of a gradient relative to the largest entry of its tensor."""
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(got, expected, strict=True))


Step = Callable[[], list[Tensor]]


def kernel_step(
    side: Side, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights], leaves: list[Tensor], precision: str
) -> Step:
    """Gradients of a sum of squared distances, by the kernels."""

    def step() -> list[Tensor]:
        x = project(side.features, weights)
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bfloat16"):
            halves = triton.sync_gru_pooled(x, side.lengths, rows, columns, weights, "mean")
        return list(torch.autograd.grad((halves[0] - halves[1]).square().sum(), leaves))

    return step


def eager_step(
    side: Side, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights], leaves: list[Tensor]
) -> Step:
    """The same by torch operations."""

    def step() -> list[Tensor]:
        states = eager.sync_gru_states(side.features, side.lengths, rows, columns, weights)
        halves = [pool_states(s, side.lengths[i], "mean") for s, i in zip(states, (rows, columns), strict=True)]
        return list(torch.autograd.grad((halves[0] - halves[1]).square().sum(), leaves))

    return step


def cudnn_step(n_units: int, n_rows: int, device: str) -> Step:
    """Forward and backward of the plain GRU, weights and input."""
    gru = nn.GRU(n_units, n_units, device=device)
    x = torch.randn(STEPS, n_rows, n_units, generator=torch.Generator().manual_seed(5)).to(device).requires_grad_()
    return lambda: list(torch.autograd.grad(gru(x)[0].mean(0).square().sum(), [*gru.parameters(), x]))


def searches(report: Report, device: str, quick: bool) -> None:
    """50,000 queries in 50,000 references by embedding."""
    n = 500 if quick else 50_000
    generator = torch.Generator().manual_seed(6)
    queries, references = (torch.randn(n, 96, generator=generator).to(device) for _ in range(2))

    def check_embedding(answers: Answers) -> None:
        distances, indices = answers["euclidean_topk"]
        wanted = torch.cdist(queries[:50].double(), references.double()).topk(10, largest=False)
        torch.testing.assert_close(distances[:50], wanted.values, rtol=1e-6, atol=1e-6)
        if not torch.equal(indices[:50], wanted.indices):
            raise ValueError("euclidean_topk returned other neighbours than cdist")

    calls = {"euclidean_topk": lambda: References.of(references).search(queries, 10, memory=2**30)}
    title = f"10 nearest by embedding, {n} x {n}, 96 numbers each"
    result = measure(title, calls, check=check_embedding, items=n, device=device, threads=1, repeats=2, unit="queries")
    report.timed(result)


def matched_pairs(report: Report, device: str, quick: bool) -> None:
    """Squared distances of matched states a second: 24 places of 96 numbers, all pairs."""
    n = 20 if quick else 1_000
    generator = torch.Generator().manual_seed(11)
    first, second = (torch.randn(n, 24, 96, generator=generator).cumsum(1).div(3).tanh().to(device) for _ in range(2))

    def check(answers: Answers) -> None:
        some = torch.arange(min(n, 20))
        with implementation("reference"):
            wanted = alignment_tile(first[:20].cpu(), second[:20].cpu(), pairs=(some, some))
        torch.testing.assert_close(answers["alignment_tile"].diagonal()[: len(some)].cpu(), wanted, rtol=2e-6, atol=0)

    calls = {"alignment_tile": lambda: alignment_tile(first, second)}
    title = f"matched states, {n} x {n} pairs"
    result = measure(title, calls, check=check, items=n * n, device=device, threads=1, repeats=2, unit="pairs")
    report.timed(result)


def compiled_eager(report: Report, device: str, quick: bool) -> None:
    """Forward of the path without kernels as it is, as a CUDA graph, and through torch.compile; reasons where not."""
    steps, n_pairs = (4, 64) if quick else (32, 1024)
    weights, side = random_weights(64, CHANNELS, device), random_side(256, CHANNELS, device, 9, steps)
    rows, columns = torch.randint(0, 256, (2, n_pairs), generator=torch.Generator().manual_seed(10)).to(device)

    @torch.no_grad()
    def plain() -> Tensor:
        return eager.sync_gru_states(side.features, side.lengths, rows, columns, weights)[0]

    expected, found = plain(), {"eager": events(plain)}
    for name, make in (("CUDA graph", graphed), ("torch.compile", torch.compile)):
        try:
            call = make(plain)
            torch.testing.assert_close(call(), expected, rtol=1e-3, atol=1e-3)
            found[name] = events(call)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"

    @torch.no_grad()
    def fused() -> Tensor:
        x = project(side.features, weights)
        return triton.sync_gru_states(x, side.lengths, rows, columns, weights)[0]

    torch.testing.assert_close(fused(), expected, rtol=0, atol=LIMITS["float32"][0])
    found["kernel float32"] = events(fused)
    print(f"\nforward of {n_pairs} pairs, {steps} steps, H=64: milliseconds by events")
    for name, value in found.items():
        print(f"  {name}: {value if isinstance(value, str) else f'{value:.3f}'}")
    report.add("compiled eager", found)


def memory_layer(report: Report, device: str, quick: bool) -> None:
    """The layer with non-local memory: answers, then its time, that of a plain LSTM step by step and of cuDNN's."""
    errors = gpu_memory.memory_answers(device)
    for name, error in errors.items():
        report.expect(f"layer with memory, {name}", error, gpu_memory.LIMIT)
    report.add("layer with memory", errors)
    for result in gpu_memory.memory_speed(device, quick=quick):
        report.timed(result)


def graphed(call: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The call as one CUDA graph."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = call()

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay


# ----------------------------------------------------------------------------------------------------------------- main

MODELS = (
    gpu_models.nrnm_update,
    gpu_models.echo_states,
    gpu_models.recurrences,
    gpu_models.large_search,
    gpu_models.cuda_tests,
)
"""Parts that need no kernels, so that they run on the CPU too."""

KERNELS = (coupled_pairs, matched_pairs, training, searches, memory_layer, compiled_eager)
PARTS = {part.__name__: part for part in (*MODELS, *KERNELS)}


def interpreted_again() -> int:
    """The same command in a process in which Triton interprets from its import on."""
    command = [sys.executable, "-m", "benchmarks.run_gpu", *sys.argv[1:]]
    return subprocess.call(command, env={**os.environ, "TRITON_INTERPRET": "1"})


def main() -> int:
    """Status of the process: 0 where every answer is right and every bar reached."""
    parser = argument_parser(__doc__)
    parser.set_defaults(device="cuda")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), help="what to time; everything unless given")
    parser.add_argument("--interpret", action="store_true", help="tiny cases in Triton's interpreter on the CPU")
    parser.add_argument("--seconds", type=float, default=420.0, help="no part begins after so many seconds")
    arguments = parser.parse_args()
    if arguments.interpret and os.environ.get("TRITON_INTERPRET") != "1":
        return interpreted_again()
    reason = what_is_missing(arguments)
    if reason is not None:
        print(f"nothing was run: {reason}")
        return 2
    report = Report(arguments.out, "cpu" if arguments.interpret else arguments.device)
    if arguments.device != "cpu" or arguments.interpret:
        check_scans(report, report.device)
        check_answers(report, arguments)
    if not arguments.interpret and not report.wrong:
        run_parts(report, arguments)
    report.add("wrong", report.wrong)
    print(*(report.wrong or ["every answer right"]), sep="\n")
    return int(bool(report.wrong))


def what_is_missing(arguments: Namespace) -> str | None:
    """Why nothing can be run."""
    if arguments.interpret:
        return triton.obstacle(torch.device("cpu"), 1)
    if arguments.device == "cpu":
        return None if arguments.quick else "on the CPU --quick shows that the parts run; their times say nothing"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device; --interpret checks the answers without one"
    return triton.obstacle(torch.device(arguments.device), 1)


def run_parts(report: Report, arguments: Namespace) -> None:
    """Time what is asked for, as long as there is time."""
    usual = [part.__name__ for part in MODELS] if arguments.device == "cpu" else list(PARTS)
    left_out = []
    for name in arguments.parts or usual:
        if report.elapsed > arguments.seconds:
            left_out.append(name)
            continue
        try:
            PARTS[name](report, arguments.device, arguments.quick)
        except Exception as error:  # the other parts are still worth their time
            report.wrong.append(f"{name}: {type(error).__name__}: {error}")
    report.add("left out for want of time", left_out)


if __name__ == "__main__":
    sys.exit(main())
