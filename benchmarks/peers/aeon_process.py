"""aeon as a contender though it lives in another environment: a process that waits for orders."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks.threads import thread_variables

ROOT = Path(__file__).parents[2]
DISTANCES = "benchmarks.peers.aeon_worker"
CONVOLUTIONS = "benchmarks.peers.aeon_convolutions"


class AeonProcess:
    """A module of `benchmarks` run by another interpreter. It answers each order, a line, by a line of JSON."""

    def __init__(self, python: Path, module: str, arguments: list[str], threads: int) -> None:
        command = [str(python.absolute()), "-m", module, *arguments]
        # nothing of this environment may be found from there but the module itself
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        variables |= thread_variables(threads)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables, cwd=ROOT
        )
        self.versions = self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def order(self, line: str) -> dict[str, Any]:
        """Give an order and wait for its answer."""
        if self._process.stdin is None:
            raise RuntimeError("the process of aeon takes no orders")
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise RuntimeError("the process of aeon gives no answers")
        # whatever else it prints is passed over
        for line in self._process.stdout:
            if line.startswith("{"):
                return dict(json.loads(line))
        raise RuntimeError(f"the process of aeon ended with status {self._process.wait()}")


class Aeon:
    """What a worker computes of queries and references at every `run`, by the Python interpreter that has aeon.

    The pipe costs microseconds, so the clock of the caller may run over `run`.
    """

    def __init__(
        self,
        python: Path,
        queries: list[np.ndarray],
        references: list[np.ndarray],
        threads: int,
        worker: str = DISTANCES,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        inputs = Path(self._folder.name) / "inputs.npz"
        arrays: dict[str, Any] = {}
        for name, sequences in (("queries", queries), ("references", references)):
            arrays[f"{name}_values"] = np.concatenate(sequences)
            arrays[f"{name}_lengths"] = np.array([len(s) for s in sequences])
        np.savez(inputs, **arrays)
        self._process = AeonProcess(python, worker, [str(inputs), str(threads)], threads)
        self.versions = self._process.versions

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()
        self._folder.cleanup()

    def run(self) -> Self:
        """Compute; the result stays there until `result` asks for it."""
        self._process.order("run")
        return self

    def distances(self) -> np.ndarray:
        """The last result, (Q, R): aeon's are squared."""
        return np.sqrt(self.result())

    def result(self) -> np.ndarray:
        """The last result."""
        path = Path(self._folder.name) / "result.npy"
        self._process.order(f"save {path}")
        return np.load(path)
