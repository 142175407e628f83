"""One fit and its figures, for the processes of `benchmarks.jobs`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.jobs import Job
from benchmarks.panel.cost import costed
from benchmarks.unseen.contenders import CONTENDERS
from benchmarks.unseen.design import Parts, Sizes
from benchmarks.unseen.problems import PROBLEMS
from benchmarks.unseen.trials import judged


def run_job(job: Job, data: Path | None) -> dict[str, Any]:
    """Figures of `judged`, and the cost of the fit and of all trials."""
    settings = dict(job.settings)
    settings.pop("threads")
    sizes = Sizes(**settings)
    parts = _parts(job.task, data, sizes, job.seed)
    metric = CONTENDERS[job.arm].build(job.seed, sizes.updates)
    _, fit = costed(lambda: metric.fit(parts.train.X, parts.train.labels), "fit")
    figures, ask = costed(lambda: judged(metric, parts, sizes, job.seed), "ask")
    return {**figures, **fit, **ask}


@lru_cache(maxsize=2)
def _parts(name: str, data: Path | None, sizes: Sizes, seed: int) -> Parts:
    return PROBLEMS[name].make(data, sizes, seed)
