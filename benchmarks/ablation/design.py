"""Which fits are made: every one a `Job`, the question it answers an `Arm`.

A job is identified by what it does alone, so that parts of the study share the fits they have in common.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

COUPLINGS = (None, "scalar", "symmetric", "diffusive")
LOSSES = ("nca", "contrastive", "triplet")
PROBLEMS = ("ECG200", "Libras", "RacketSports", "JapaneseVowels", "activity")
"""Real problems, those with the shortest fits first."""

SYNTHETIC = {"aligned": {"shift": 0.0, "warp": 0.0}, "shifted": {"shift": 0.25, "warp": 0.6}}
"""Settings of `make_shifted_sequences` that differ between the two, which are drawn anew for every seed."""

COUPLED_ONLY = ("embedding_weight", "gate_bias", "pairs_per_sequence")
"""Settings without effect where nothing is coupled."""


@dataclass(frozen=True)
class Job:
    """One fit and its two accuracies.

    settings : parameters of `SyncGRUMetric` that are not at their defaults, coupling and random_state apart.
    constraints : pairs per class given to `fit_pairs`; None means that `fit` gets the labels.
    gate_bias : where the bias of the coupling gate starts; None leaves the package's own start.
    """

    problem: str
    coupling: str | None
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    constraints: int | None = None
    gate_bias: float | None = None

    @property
    def key(self) -> str:
        """What identifies the job in the log, the same text for the same work."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Configuration:
    """A named setting that is fitted with every coupling."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    constraints: int | None = None
    gate_bias: float | None = None


@dataclass(frozen=True)
class Arm:
    """A job in its place: the part of the study and the configuration whose couplings are compared."""

    part: str
    configuration: str
    job: Job


def _bare(**settings: Any) -> dict[str, Any]:
    """The recurrence alone: no stem, one direction, last state, no augmentation."""
    return {"n_filters": None, "pooling": "last", "bidirectional": False, "augment": None, **settings}


LOSS_CONFIGURATIONS = tuple(Configuration(loss, {"loss": loss}) for loss in LOSSES)

WEAK_CONFIGURATIONS = (
    Configuration("labels, nca", {"loss": "nca"}),
    Configuration("labels, contrastive", {"loss": "contrastive"}),
    *(
        Configuration(f"{n} pairs a class, {loss}", {"loss": loss}, constraints=n)
        for n in (10, 50, 200)
        for loss in ("contrastive", "logistic")
    ),
)

SEARCH_CONFIGURATIONS = (
    Configuration("default", {"loss": "nca"}),
    Configuration("gate bias -4", {"loss": "nca"}, gate_bias=-4.0),
    Configuration("gate bias 0", {"loss": "nca"}, gate_bias=0.0),
    Configuration("gate bias 2", {"loss": "nca"}, gate_bias=2.0),
    Configuration("embedding weight 0", {"loss": "nca", "embedding_weight": 0.0}),
    Configuration("embedding weight 0.3", {"loss": "nca", "embedding_weight": 0.3}),
    Configuration("contrastive, embedding weight 0", {"loss": "contrastive", "embedding_weight": 0.0}),
    Configuration("triplet, embedding weight 0", {"loss": "triplet", "embedding_weight": 0.0}),
    Configuration("no stem", {"loss": "nca", "n_filters": None}),
    Configuration("last state", {"loss": "nca", "pooling": "last"}),
    Configuration("one direction", {"loss": "nca", "bidirectional": False}),
    Configuration("no augmentation", {"loss": "nca", "augment": None}),
    Configuration("bare, nca", _bare(loss="nca")),
    Configuration("bare, nca, embedding weight 0", _bare(loss="nca", embedding_weight=0.0)),
    Configuration("bare, contrastive", _bare(loss="contrastive")),
    Configuration("bare, contrastive, embedding weight 0", _bare(loss="contrastive", embedding_weight=0.0)),
    Configuration(
        "bare, contrastive, embedding weight 0, gate bias 0",
        _bare(loss="contrastive", embedding_weight=0.0),
        gate_bias=0.0,
    ),
    Configuration("10 pairs a class", {"loss": "contrastive"}, constraints=10),
    Configuration(
        "bare, 10 pairs a class, embedding weight 0", _bare(loss="contrastive", embedding_weight=0.0), constraints=10
    ),
    Configuration(
        "bare, 50 pairs a class, embedding weight 0", _bare(loss="contrastive", embedding_weight=0.0), constraints=50
    ),
)

SAMPLING_CONFIGURATIONS = tuple(
    Configuration(f"{n or 'all'} pairs a sequence", {"loss": "nca", "pairs_per_sequence": n})
    for n in (2, 4, 8, 16, None)
)

PARTS: dict[str, tuple[tuple[Configuration, ...], tuple[str | None, ...], tuple[str, ...]]] = {
    "coupling": (LOSS_CONFIGURATIONS, COUPLINGS, PROBLEMS),
    "weak": (WEAK_CONFIGURATIONS, (None, "symmetric"), PROBLEMS),
    "sampling": (SAMPLING_CONFIGURATIONS, (None, "symmetric"), PROBLEMS[:4]),
    "search": (SEARCH_CONFIGURATIONS, COUPLINGS, ("aligned", "shifted", *PROBLEMS[:3])),
}
"""Of every part: its configurations, couplings and problems."""


def arms_of(
    part: str,
    n_seeds: int,
    *,
    common: dict[str, Any],
    problems: Sequence[str] | None = None,
    configurations: Sequence[str] | None = None,
    couplings: Sequence[str | None] | None = None,
) -> list[Arm]:
    """All arms of a part, seed by seed, so that an interrupted run has every comparison equally often.

    `common` are settings of every job alike; the last three restrict the part to what they name.
    """
    all_configurations, all_couplings, all_problems = PARTS[part]
    return [
        Arm(part, configuration.name, _job(configuration, problem, coupling, seed, common))
        for seed in range(n_seeds)
        for configuration in all_configurations
        if configurations is None or configuration.name in configurations
        for problem in problems or all_problems
        for coupling in all_couplings
        if couplings is None or coupling is None or coupling in couplings
    ]


def _job(configuration: Configuration, problem: str, coupling: str | None, seed: int, common: dict[str, Any]) -> Job:
    settings = {**configuration.settings, **common}
    gate_bias = configuration.gate_bias
    if coupling is None:
        settings = {name: value for name, value in settings.items() if name not in COUPLED_ONLY}
        gate_bias = None
    return Job(problem, coupling, seed, settings, configuration.constraints, gate_bias)


def distinct_jobs(arms: Iterable[Arm], done: Iterable[str] = ()) -> list[Job]:
    """The jobs that are still to do, seed by seed and otherwise in the order of the arms, each once."""
    seen = set(done)
    jobs = []
    for arm in sorted(arms, key=lambda arm: arm.job.seed):
        if arm.job.key not in seen:
            seen.add(arm.job.key)
            jobs.append(arm.job)
    return jobs
