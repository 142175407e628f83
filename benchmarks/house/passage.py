"""The way of a call through the package: which files and functions it enters, and what it copies on its way."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import skseqmetric
from benchmarks.memory import peak_memory, reset_peak_memory
from skseqmetric import CrossModalTranscriber, NRNMClassifier, SequenceKNeighborsClassifier, SyncGRUMetric
from skseqmetric.datasets import make_sine_words

ROOT = Path(skseqmetric.__file__).parent
RECURRENCE = ROOT / "_ops" / "gru.py"
"""The interface of the first kernel that a plain `SyncGRUMetric` runs."""

SHORT: dict[str, Any] = {"max_epochs": 1, "min_batches": 1, "random_state": 0, "device": "cpu"}
"""Settings of a fit of few updates."""

Call = Callable[[], Any]


@dataclass
class Passage:
    """Files and functions of the package that a call enters, and how often one file calls into another.

    Control changes file where a function is entered whose file is not that of the function entered before it. So the
    number says how often a reader who follows the call turns to another file.
    """

    files: set[str] = field(default_factory=set)
    functions: set[tuple[str, str]] = field(default_factory=set)
    changes: int = 0
    last: str | None = None

    def enter(self, frame: FrameType) -> None:
        """Count a function that is entered."""
        name = frame.f_code.co_filename
        self.files.add(name)
        self.functions.add((name, frame.f_code.co_qualname))
        self.changes += self.last not in (None, name)
        self.last = name

    def counts(self) -> dict[str, int]:
        """What a summary holds of it."""
        return {"files": len(self.files), "functions": len(self.functions), "changes of file": self.changes}


def passage(call: Call) -> Passage:
    """Of `call` when it runs for the second time: by then what is imported or loaded once is there."""
    call()
    found = Passage()
    with profiled(found.enter):
        call()
    return found


@contextlib.contextmanager
def profiled(enter: Callable[[FrameType], None]) -> Iterator[None]:
    """Tell `enter` the frame of every function of the package that this thread enters."""
    before = sys.getprofile()

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(ROOT)):
            enter(frame)

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)


# ---------------------------------------------------------------------------------------------------------- calls


def traced_calls() -> dict[str, Call]:
    """Small fits of three estimators, and a search for neighbours."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(steps, 2)) for steps in rng.integers(6, 12, 12)]
    y = np.array([0, 1] * 6)
    labels = [(np.arange(len(x)) > 3).astype(int) for x in X]
    W, words, images = make_sine_words(20, n_classes=3, image_size=16, random_state=0)
    transcriber = CrossModalTranscriber(8, n_filters=8, n_units=8, **SHORT)
    neighbors = SequenceKNeighborsClassifier(SyncGRUMetric(8, **SHORT), n_neighbors=1).fit(X, y)
    return {
        "SyncGRUMetric.fit": lambda: SyncGRUMetric(8, **SHORT).fit(X, y),
        "NRNMClassifier.fit, a label a step": lambda: NRNMClassifier(8, target="step", **SHORT).fit(X, labels),
        "CrossModalTranscriber.fit": lambda: transcriber.fit(W, words, images=images),
        "SequenceKNeighborsClassifier.kneighbors": lambda: neighbors.kneighbors(X),
    }


# --------------------------------------------------------------------------------------------------------- copies


@dataclass
class Copies:
    """What happens to X between the caller's list and the first kernel.

    conversions : times that `check_sequences` or `lent_sequences` makes `Sequences` of something else, in the whole
        call.
    checks : all its runs.
    peak : memory at the highest point before the first recurrence runs, beyond X and over its bytes; NumPy's and
    torch's. None where the system does not tell.
    """

    conversions: int = 0
    checks: int = 0
    peak: float | None = None

    def counts(self) -> dict[str, Any]:
        """What a summary holds of it."""
        return asdict(self)


def copies(call: Call, n_bytes: int) -> Copies:
    """Of `call` on sequences of `n_bytes`."""
    found = Copies()
    held: int | None = None
    is_kernel_reached = False

    def enter(frame: FrameType) -> None:
        nonlocal is_kernel_reached
        if frame.f_code.co_name in ("check_sequences", "lent_sequences"):
            found.checks += 1
            found.conversions += type(frame.f_locals["X"]).__name__ != "Sequences"
        elif held is not None and not is_kernel_reached and frame.f_code.co_filename == str(RECURRENCE):
            is_kernel_reached = True
            found.peak = max(peak_memory() - held, 0) / n_bytes

    held = reset_peak_memory()
    with profiled(enter):
        call()
    return found


def copying_calls(n: int = 4000, steps: int = 500, channels: int = 4) -> tuple[dict[str, Call], int]:
    """Fits of one update, and the bytes of their sequences: float64, 64 MB in this size."""
    rng = np.random.default_rng(0)
    X = list(rng.normal(size=(n, steps, channels)))
    y = np.arange(n) % 2
    metric = SyncGRUMetric(4, **SHORT, max_updates=1)
    calls: dict[str, Call] = {
        "SyncGRUMetric.fit": lambda: metric.fit(X, y),
        "SequenceKNeighborsClassifier.fit": lambda: SequenceKNeighborsClassifier(metric, n_neighbors=1).fit(X, y),
    }
    return calls, sum(x.nbytes for x in X)
