"""Many fits in processes of few threads each, every one written to a log as soon as it is done.

A job that is in the log is not done again, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from benchmarks.environment import environment
from benchmarks.harness import argument_parser, progress_bar
from benchmarks.threads import limit_threads, threads_of_children


class Keyed(Protocol):
    """What can be done and found again in a log."""

    @property
    def key(self) -> str:
        """What a finished job is known by in the log."""


AnyJob = TypeVar("AnyJob", bound=Keyed)


@dataclass(frozen=True)
class Job:
    """One fit: what is measured, on what data, by which contender, from which seed, with which settings."""

    part: str
    task: str
    arm: str
    seed: int
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def key(self) -> str:
        """What a finished job is known by in the log."""
        return repr((self.part, self.task, self.arm, self.seed, self.settings))


Settings = tuple[tuple[str, Any], ...]

LOG_NOTE = """Every fit is a line of the log FILE.jsonl, in the folder of the summary FILE.json. Git ignores logs; the
same command skips what the log has."""


def job_parser(description: str | None, parts: Sequence[str], out: Path) -> argparse.ArgumentParser:
    """The options of a benchmark that consists of jobs: which of them, how often, and how many at a time."""
    parser = argument_parser(description)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = LOG_NOTE
    parser.set_defaults(out=out)
    parser.add_argument("--part", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--tasks", nargs="+", help="only these")
    parser.add_argument("--arms", nargs="+", help="only these")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each")
    return parser


def every_job(
    args: argparse.Namespace,
    tasks: Mapping[str, Iterable[str]],
    arms: Mapping[str, Iterable[str]],
    settings: Callable[[str, str], Settings] = lambda part, task: (),
) -> list[Job]:
    """Those asked for by the options of `job_parser`, all with their first seed before any gets its second."""
    jobs = []
    for seed in range(1 if args.quick else args.seeds):
        for part in (part for part in args.part if part in tasks):
            chosen = [task for task in tasks[part] if args.tasks is None or task in args.tasks]
            contenders = [arm for arm in arms[part] if args.arms is None or arm in args.arms]
            jobs += [Job(part, task, arm, seed, settings(part, task)) for task in chosen for arm in contenders]
    return jobs


def read_log(path: Path) -> dict[str, dict[str, Any]]:
    """Finished jobs by key; a last line cut off by an interruption is left out."""
    if not path.exists():
        return {}
    done: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        done[row["key"]] = row
    return done


def append_row(path: Path, row: dict[str, Any]) -> None:
    """One line more; a line that an interruption cut off is closed first, so that it spoils only itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_off = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut_off else "") + json.dumps(row) + "\n")


def exit_if_any_failed(jobs: Sequence[Keyed], rows: Sequence[dict[str, Any]]) -> None:
    """End the process with an error where jobs have no row."""
    if len(rows) < len(jobs):
        sys.exit(f"{len(jobs) - len(rows)} fits failed")


Work = Callable[[Job, Any], dict[str, Any]]


def do_all(
    work: Work, jobs: Sequence[Job], data: Any, n_processes: int, log: Path, *, threads: int = 1
) -> list[dict[str, Any]]:
    """Rows of the jobs, those that are in the log and those that are missing there; none of a job that fails.

    `work` is a function of a module, for the processes to import: of a job, and of `data`, which says where the data
    are. A row holds the job, what `work` returned, and the commit.
    """
    done, commit = read_log(log), environment()["commit"]
    missing = [job for job in jobs if job.key not in done]
    start = time.perf_counter()
    with progress_bar("fits", len(missing), "fit") as bar:
        for count, (job, found) in enumerate(finished(work, missing, data, n_processes, threads) if missing else (), 1):
            done[job.key] = {"key": job.key, **asdict(job), **found, "commit": commit}
            append_row(log, done[job.key])
            left = (time.perf_counter() - start) / count * (len(missing) - count)
            shown = ", ".join(f"{name} {value:.4g}" for name, value in found.items() if isinstance(value, float))
            line = f"{count}/{len(missing)}  {job.part}, {job.task}, {job.arm}, seed {job.seed}: {shown}"
            bar.write(f"{line}; {left / 60:.0f} min left")
            sys.stdout.flush()
            bar.update()
    return [done[job.key] for job in jobs if job.key in done]


def _start(threads: int) -> None:
    """Begin a process: so many threads, and an end with that of the process that started it, even if it was killed."""
    limit_threads(threads)

    def follow() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def finished(
    work: Callable[[AnyJob, Any], dict[str, Any]],
    jobs: Sequence[AnyJob],
    data: Any,
    n_processes: int,
    threads: int = 1,
) -> Iterator[tuple[AnyJob, dict[str, Any]]]:
    """Do the jobs in processes of `threads` each; every job, and what `work` returned of it, as soon as it is done."""
    context = multiprocessing.get_context("spawn")
    start = {"initializer": _start, "initargs": (threads,)}
    with threads_of_children(threads), ProcessPoolExecutor(n_processes, mp_context=context, **start) as pool:
        waiting = {pool.submit(work, job, data): job for job in jobs}
        try:
            for future in as_completed(waiting):
                job = waiting.pop(future)
                try:
                    found = future.result()
                except BrokenExecutor:
                    raise
                except Exception:
                    # a long run goes on; what is not in the log is done when the command is given again
                    print(f"failed: {job.key}\n{traceback.format_exc()}", flush=True)
                    continue
                yield job, found
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
