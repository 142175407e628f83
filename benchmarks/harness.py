"""Measure competitors side by side: right answers first, then interleaved times, then memory.

>>> result = measure("sum of a million", {"numpy": by_numpy, "torch": by_torch}, check=same_sum)
>>> print_table(result)
>>> result.ratio("torch", "numpy")
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from benchmarks.environment import available_cores, checkout, environment
from benchmarks.memory import peak_memory, reset_peak_memory
from benchmarks.threads import fixed_threads

RESULTS = Path(__file__).parent / "results"
"""What the documentation quotes."""

JSON_LINE = 200
"""Characters up to which a list or mapping stays on one line of a file."""

Check = Callable[[dict[str, Any]], Mapping[str, Mapping[str, float]] | None]


@dataclass(frozen=True)
class Timing:
    """What was measured of one contender.

    seconds : time of each repeat by the clock of the run, in the order run.
    peak_bytes : memory at the highest point of one further call, beyond what was held when it began; of this
    process alone, and None where the system does not tell.
    peak_device_bytes : the same of CUDA memory.
    items : things done by one call.
    quality : the columns that `check` returned.
    """

    name: str
    seconds: tuple[float, ...]
    peak_bytes: int | None = None
    peak_device_bytes: int | None = None
    items: float | None = None
    quality: Mapping[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """Median seconds of a call."""
        return statistics.median(self.seconds)

    @property
    def per_second(self) -> float | None:
        """Items per second at the median time."""
        return None if self.items is None else self.items / self.median


@dataclass(frozen=True)
class Result:
    """One comparison: its contenders in the order given, and the circumstances."""

    title: str
    timings: tuple[Timing, ...]
    unit: str
    environment: Mapping[str, Any]

    def __getitem__(self, name: str) -> Timing:
        return next(timing for timing in self.timings if timing.name == name)

    def ratio(self, name: str, reference: str) -> float:
        """Median over the rounds of time(name) / time(reference).

        Both run in every round, so whatever slowed the machine down in one round slowed both.
        """
        pairs = zip(self[name].seconds, self[reference].seconds, strict=True)
        return statistics.median(a / b for a, b in pairs)


def measure(
    title: str,
    contenders: Mapping[str, Callable[[], Any]],
    *,
    check: Check,
    warmup: int = 1,
    repeats: int = 5,
    items: float | Mapping[str, float] | None = None,
    unit: str = "items",
    threads: int | None = None,
    device: str = "cpu",
    memory: bool = True,
    clock: Callable[[], float] | None = None,
) -> Result:
    """Check, time and weigh each of `contenders`, callables without arguments.

    Parameters
    ----------
    title : str
        What is compared, for the table.
    contenders : mapping of str to callable
        Each must do its whole job at every call and return its answer.
    check : callable
        Gets {name: answer} of the first calls, raises where one is wrong, and may return figures of quality,
        {name: {column: number}}, that then stand next to the times. Nothing is timed before it returned.
    warmup : int, default=1
        Calls of each before the clock runs; at least 1, since `check` needs an answer.
    repeats : int, default=5
        Rounds. In each, every contender runs once, starting one further along than in the round before.
    items : float or mapping of str to float, default=None
        Things one call does (queries, pairs, epochs), one number for all or one for each.
    unit : str, default="items"
        What those things are called.
    threads : int, default=None
        Threads of torch, OpenMP, BLAS, numba and of processes that start; None takes every core of this process.
    device : str, default="cpu"
        Where the work is done; on CUDA the clock waits for the device.
    memory : bool, default=True
        Whether to call each once more, untimed, for its peak memory.
    clock : callable, default=None
        Returns seconds. None: `time.perf_counter`. `time.process_time` counts those of the processor, on a machine with
        other work.

    Returns
    -------
    Result
    """
    threads = threads or available_cores()
    with fixed_threads(threads), _small_garbage():
        answers = {name: _warmed_up(call, warmup) for name, call in contenders.items()}
        quality = check(answers) or {}
        del answers
        seconds = _interleaved(contenders, repeats, device, clock or time.perf_counter)
        peaks = {name: _peak_memory(call, device) for name, call in contenders.items() if memory}
    counts = items if isinstance(items, Mapping) else dict.fromkeys(contenders, items)
    timings = [
        Timing(
            name,
            tuple(seconds[name]),
            *peaks.get(name, (None, None)),
            counts.get(name),
            quality.get(name, {}),
        )
        for name in contenders
    ]
    return Result(title, tuple(timings), unit, environment(device, threads))


def _warmed_up(call: Callable[[], Any], warmup: int) -> Any:
    for _ in range(max(warmup, 1) - 1):
        call()
    return call()


def _interleaved(
    contenders: Mapping[str, Callable[[], Any]], repeats: int, device: str, clock: Callable[[], float]
) -> dict[str, list[float]]:
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with progress_bar("rounds", repeats * len(names), "call") as bar:
        for turn in range(repeats):
            start = turn % len(names)
            for name in names[start:] + names[:start]:
                seconds[name].append(_timed(contenders[name], device, clock))
                bar.update()
    return seconds


def progress_bar(what: str, total: int, unit: str) -> Any:
    """A bar on a terminal; nothing where the output goes to a file."""
    return tqdm(total=total, desc=what, unit=unit, disable=None, dynamic_ncols=True, leave=False)


def _timed(call: Callable[[], Any], device: str, clock: Callable[[], float]) -> float:
    gc.collect()
    _synchronize(device)
    start = clock()
    answer = call()
    _synchronize(device)
    elapsed = clock() - start
    del answer
    return elapsed


def _synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


@contextlib.contextmanager
def _small_garbage() -> Iterator[None]:
    """Keep what exists already out of garbage collection: it costs 0.1 s wherever it strikes."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _peak_memory(call: Callable[[], Any], device: str) -> tuple[int | None, int | None]:
    """Bytes of host and of CUDA memory at the highest point of `call`, beyond those held before it."""
    on_cuda = device.startswith("cuda")
    held_on_device = torch.cuda.memory_allocated(device) if on_cuda else 0
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    held = reset_peak_memory()
    call()
    host = None if held is None else max(peak_memory() - held, 0)
    return host, torch.cuda.max_memory_allocated(device) - held_on_device if on_cuda else None


def print_table(result: Result) -> None:
    """Print one line a contender: median, fastest, slowest call; rate, peak memory, quality where known."""
    qualities = sorted({column for timing in result.timings for column in timing.quality})
    header = ["", "median s", "min", "max", f"{result.unit}/s", "peak MiB", *qualities]
    columns = list(zip(header, *(_row(timing, qualities) for timing in result.timings), strict=True))
    shown = [cells for cells in columns if set(cells[1:]) != {"-"}]
    widths = [max(map(len, cells)) for cells in shown]
    print(f"\n{result.title}")
    for row in zip(*shown, strict=True):
        print("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]))


def _row(timing: Timing, columns: Sequence[str]) -> list[str]:
    peak = timing.peak_bytes if timing.peak_device_bytes is None else timing.peak_device_bytes
    numbers = [timing.median, min(timing.seconds), max(timing.seconds), timing.per_second]
    numbers += [None if peak is None else peak / 2**20, *(timing.quality.get(column) for column in columns)]
    return [timing.name, *("-" if number is None else f"{number:.4g}" for number in numbers)]


def save(results: Result | Sequence[Result], path: Path) -> None:
    """Write `results` as JSON, each with its circumstances."""
    results = [results] if isinstance(results, Result) else results
    write_json(path, [asdict(result) for result in results])


def write_json(path: Path, document: Any) -> None:
    """Write `document`, every list and mapping that is short enough on one line; a missing folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_json(document, "") + "\n", encoding="utf-8")


def _json(value: Any, indent: str) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, Mapping | list | tuple) or len(indent) + len(text) <= JSON_LINE:
        return text
    inner = indent + " "
    if isinstance(value, Mapping):
        items = [f"{inner}{json.dumps(str(name))}: {_json(item, inner)}" for name, item in value.items()]
        return "\n".join(["{", ",\n".join(items), indent + "}"])
    return "\n".join(["[", ",\n".join(inner + _json(item, inner) for item in value), indent + "]"])


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """The options every benchmark has; add to them where one needs more."""
    checkout()  # before anything is measured
    parser = argparse.ArgumentParser(prog=Path(sys.argv[0]).stem, description=description)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of real data sets (.npz)")
    parser.add_argument("--out", type=result_file, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--quick", action="store_true", help="small sizes, few repeats: shows that it runs")
    parser.add_argument("--threads", type=int, help="of every contender; every available core unless given")
    parser.add_argument("--device", default="cpu", help='"cpu", "cuda", "cuda:1"')
    return parser


def result_file(name: str) -> Path:
    """The path of `--out`. Results of the repository come from the code of a commit, so a modified tree has none."""
    path = Path(name)
    modified = checkout().modified
    if modified and path.resolve().is_relative_to(RESULTS):
        some = ", ".join(modified[:3]) + (", ..." if len(modified) > 3 else "")
        raise argparse.ArgumentTypeError(
            f"{name} would name a commit whose code was not measured: {some} differ from it. "
            "Commit or stash the changes, or write to another folder."
        )
    return path


def report(results: Sequence[Result], out: Path | None) -> None:
    """Print every table, and save all where `out` is given."""
    for result in results:
        print_table(result)
    if out is not None:
        save(results, out)
